/*
 * attempts.c: each candidate of a job: whole as a blob, and in its row without files and weight map.
 *
 * Putting: a worker's thread writes the blob, then waits for the writer. Reading: the reader's thread.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

static const char SQL_OLD_BLOB[] = "SELECT sha FROM attempts WHERE job_id = ? AND n = ?";
static const char SQL_PUT[] = "INSERT INTO attempts (job_id, n, summary, sha) VALUES (?, ?, ?, ?)"
                              " ON CONFLICT DO UPDATE SET summary = excluded.summary, sha = excluded.sha";
static const char SQL_LIST[] = "SELECT summary FROM attempts WHERE job_id = ? ORDER BY n";
static const char SQL_GET[] = "SELECT sha FROM attempts WHERE job_id = ? AND n = ?";

/* ---- putting ------------------------------------------------------------------------------------------- */

struct attempt_command {
    struct command base;
    const struct store_lease *lease;
    int n;
    const char *summary;
    char sha[STORE_SHA_SIZE];
};

static int trash_old(struct store *s, const struct attempt_command *c, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_OLD_BLOB);
    query_text(&q, c->lease->job_id);
    query_int(&q, c->n);
    return trash_selected_blob(s, &q, e);
}

static int attempt_run(struct store *s, struct command *base, struct err *e)
{
    struct attempt_command *c = (struct attempt_command *)base;
    int rc = job_may_name_blob(s, c->lease, c->sha, e);
    if (rc == 0)
        rc = trash_old(s, c, e);
    if (rc < 0)
        return rc;
    struct query q;
    query_begin(&q, &s->db, SQL_PUT);
    query_text(&q, c->lease->job_id);
    query_int(&q, c->n);
    query_text(&q, c->summary);
    query_text(&q, c->sha);
    return query_run(&q, e);
}

static char *summary_of(json_t *attempt)
{
    json_t *summary = json_copy(attempt);
    if (!summary)
        return NULL;
    (void)json_object_del(summary, "files");
    (void)json_object_del(summary, "weights");
    char *text = json_dumps(summary, JSON_COMPACT);
    json_decref(summary);
    return text;
}

int store_attempt_put(struct store *s, const struct store_lease *lease, int n, json_t *attempt, struct err *e)
{
    if (lease->token == 0 || n < 1 || !json_is_object(attempt))
        return err_set(e, FERR_INTERNAL, "attempt %d needs a lease and an object", n);
    char *whole = json_dumps(attempt, JSON_COMPACT), *summary = summary_of(attempt);
    struct attempt_command c = {.base = {.run = attempt_run}, .lease = lease, .n = n, .summary = summary};
    int rc = whole && summary ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for attempt %d", n);
    if (rc == 0)
        rc = store_blob_put(s, whole, strlen(whole), c.sha, e);
    if (rc == 0)
        rc = writer_call(s, &c.base, e);
    free(whole);
    free(summary);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static int add_summary(json_t *list, const char *text, struct err *e)
{
    json_t *summary = json_loads(text, 0, NULL);
    if (!summary)
        return err_set(e, FERR_STORE, "an attempt's summary is damaged");
    if (json_array_append_new(list, summary) < 0)
        return err_set(e, FERR_NO_MEMORY, "no memory for a list of attempts");
    return 0;
}

int store_attempt_list(struct store_reader *r, const char *job_id, json_t **out, struct err *e)
{
    json_t *list = json_array();
    int rc = list ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for a list of attempts");
    struct query q;
    query_begin(&q, &r->db, SQL_LIST);
    query_text(&q, job_id);
    while (rc == 0 && query_row(&q))
        rc = add_summary(list, query_col_text(&q, 0), e);
    int ended = query_end(&q, rc == 0 ? e : NULL);
    rc = rc < 0 ? rc : ended;
    if (rc == 0 && json_array_size(list) == 0)
        rc = job_exists(&r->db, job_id, e);
    if (rc < 0)
        json_decref(list);
    else
        *out = list;
    return rc;
}

static int parse_blob(struct store *s, const char *sha, json_t **out, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    int rc = store_blob_read(s, sha, &text, &len, e);
    if (rc < 0)
        return rc;
    *out = json_loadb(text, len, 0, NULL);
    free(text);
    return *out ? 0 : err_set(e, FERR_STORE, "blob %s is not JSON", sha);
}

int store_attempt_get(struct store_reader *r, const char *job_id, int n, json_t **out, struct err *e)
{
    char sha[STORE_SHA_SIZE] = "";
    struct query q;
    query_begin(&q, &r->db, SQL_GET);
    query_text(&q, job_id);
    query_int(&q, n);
    if (query_row(&q))
        query_col_copy(&q, 0, sha, sizeof sha);
    int rc = query_end(&q, e);
    if (rc == 0 && !sha[0]) {
        rc = job_exists(&r->db, job_id, e);
        return rc < 0 ? rc : err_set(e, FERR_NOT_FOUND, "job %s has no attempt %d", job_id, n);
    }
    return rc < 0 ? rc : parse_blob(r->store, sha, out, e);
}
