/*
 * steps.c: results of steps under the hash of their inputs, shared by jobs.
 *
 * Putting: a worker's thread, waiting for the writer. Getting: the reader's thread. Getting a step makes its
 * blobs young, so that they stay for a grace period even if the last job that used the step is deleted
 * meanwhile; a step whose blobs are gone counts as not stored, and putting it again replaces it.
 */
#include "store/internal.h"

#include <stdio.h>

#define OUT_MAX (sizeof(((struct store_step *)0)->out_sha) / STORE_SHA_SIZE)

static const char SQL_OLD_OUTPUTS[] = "DELETE FROM step_outputs WHERE key = ?";
static const char SQL_PUT[] =
    "INSERT INTO steps (key, result_sha, seconds, created_us) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET result_sha = excluded.result_sha, seconds = excluded.seconds, created_us = excluded.created_us";
static const char SQL_PUT_OUTPUT[] =
    "INSERT INTO step_outputs (key, position, name, sha) VALUES (?, ?, ?, ?)";
/* One statement, so that the step and its outputs are of one snapshot. */
static const char SQL_GET[] =
    "SELECT s.result_sha, s.seconds, o.position, o.name, o.sha FROM steps s"
    " LEFT JOIN step_outputs o ON o.key = s.key WHERE s.key = ? ORDER BY o.position";

/* ---- putting ------------------------------------------------------------------------------------------- */

struct step_command {
    struct command base;
    const struct store_step *step;
};

static int forget_outputs(struct store *s, const char *key, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_OLD_OUTPUTS);
    query_text(&q, key);
    return query_run(&q, e);
}

static int put_output(struct store *s, const struct store_step *step, size_t i, struct err *e)
{
    int rc = blob_check(s, step->out_sha[i], e);
    if (rc < 0)
        return rc;
    struct query q;
    query_begin(&q, &s->db, SQL_PUT_OUTPUT);
    query_text(&q, step->key);
    query_int(&q, (int64_t)i);
    query_text(&q, step->out_names[i]);
    query_text(&q, step->out_sha[i]);
    return query_run(&q, e);
}

static int put_step(struct store *s, const struct store_step *step, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_PUT);
    query_text(&q, step->key);
    query_text(&q, step->result_sha);
    query_double(&q, step->seconds);
    query_int(&q, clock_wall_us());
    return query_run(&q, e);
}

static int step_run(struct store *s, struct command *base, struct err *e)
{
    const struct store_step *step = ((struct step_command *)base)->step;
    int rc = blob_check(s, step->result_sha, e);
    if (rc == 0)
        rc = trash_step_blobs(s, step->key, e);
    if (rc == 0)
        rc = forget_outputs(s, step->key, e);
    if (rc == 0)
        rc = put_step(s, step, e);
    for (size_t i = 0; i < step->n_out && rc == 0; i++)
        rc = put_output(s, step, i, e);
    return rc;
}

int store_step_put(struct store *s, const struct store_step *step, struct err *e)
{
    if (step->n_out > OUT_MAX)
        return err_set(e, FERR_INTERNAL, "a step with %zu outputs", step->n_out);
    struct step_command c = {.base = {.run = step_run}, .step = step};
    return writer_call(s, &c.base, e);
}

/* ---- getting ------------------------------------------------------------------------------------------- */

static void step_read(const struct query *q, struct store_step *out)
{
    query_col_copy(q, 0, out->result_sha, sizeof out->result_sha);
    out->seconds = query_col_double(q, 1);
    if (!query_col_text(q, 3) || out->n_out == OUT_MAX)
        return;
    query_col_copy(q, 3, out->out_names[out->n_out], sizeof out->out_names[0]);
    query_col_copy(q, 4, out->out_sha[out->n_out], sizeof out->out_sha[0]);
    out->n_out++;
}

/* 1, or 0 where one of the blobs is gone. */
static int touch_all(struct store *s, const struct store_step *step, struct err *e)
{
    int rc = blob_touch(s, step->result_sha, e);
    for (size_t i = 0; i < step->n_out && rc == 0; i++)
        rc = blob_touch(s, step->out_sha[i], e);
    if (rc == FERR_NOT_FOUND)
        return 0;
    return rc < 0 ? rc : 1;
}

int store_step_get(struct store_reader *r, const char *key, struct store_step *out, struct err *e)
{
    *out = (struct store_step){.n_out = 0};
    (void)snprintf(out->key, sizeof out->key, "%s", key);
    bool found = false;
    struct query q;
    query_begin(&q, &r->db, SQL_GET);
    query_text(&q, key);
    while (query_row(&q)) {
        found = true;
        step_read(&q, out);
    }
    int rc = query_end(&q, e);
    if (rc < 0 || !found)
        return rc;
    return touch_all(r->store, out, e);
}
