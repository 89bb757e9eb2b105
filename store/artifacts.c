/*
 * artifacts.c: what a job hands out by name.
 *
 * Putting: a worker's thread, waiting for the writer. Reading: the reader's thread.
 */
#include "store/internal.h"

static const char SQL_OLD_BLOB[] = "SELECT sha FROM artifacts WHERE job_id = ? AND name = ?";
static const char SQL_PUT[] =
    "INSERT INTO artifacts (job_id, name, media_type, sha, size) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET media_type = excluded.media_type, sha = excluded.sha, size = excluded.size";
static const char SQL_GET[] =
    "SELECT name, media_type, sha, size FROM artifacts WHERE job_id = ? AND name = ?";

struct artifact_command {
    struct command base;
    const struct store_lease *lease;
    const char *name, *media_type, *sha;
    int64_t size;
};

static int trash_old(struct store *s, const struct artifact_command *c, struct err *e)
{
    struct query q;
    query_begin(&q, &s->db, SQL_OLD_BLOB);
    query_text(&q, c->lease->job_id);
    query_text(&q, c->name);
    return trash_selected_blob(s, &q, e);
}

static int artifact_run(struct store *s, struct command *base, struct err *e)
{
    struct artifact_command *c = (struct artifact_command *)base;
    int rc = job_may_name_blob(s, c->lease, c->sha, e);
    if (rc == 0)
        rc = trash_old(s, c, e);
    if (rc < 0)
        return rc;
    struct query q;
    query_begin(&q, &s->db, SQL_PUT);
    query_text(&q, c->lease->job_id);
    query_text(&q, c->name);
    query_text(&q, c->media_type);
    query_text(&q, c->sha);
    query_int(&q, c->size);
    return query_run(&q, e);
}

int store_artifact_put(struct store *s, const struct store_lease *lease, const char *name,
                       const char *media_type, const char *sha, int64_t size, struct err *e)
{
    if (lease->token == 0)
        return err_set(e, FERR_INTERNAL, "artifact %s needs a lease", name);
    struct artifact_command c = {.base = {.run = artifact_run},
                                 .lease = lease,
                                 .name = name,
                                 .media_type = media_type,
                                 .sha = sha,
                                 .size = size};
    return writer_call(s, &c.base, e);
}

int store_artifact_get(struct store_reader *r, const char *job_id, const char *name,
                       struct store_artifact *out, struct err *e)
{
    struct query q;
    query_begin(&q, &r->db, SQL_GET);
    query_text(&q, job_id);
    query_text(&q, name);
    bool found = query_row(&q);
    if (found) {
        query_col_copy(&q, 0, out->name, sizeof out->name);
        query_col_copy(&q, 1, out->media_type, sizeof out->media_type);
        query_col_copy(&q, 2, out->sha, sizeof out->sha);
        out->size = query_col_int(&q, 3);
    }
    int rc = query_end(&q, e);
    if (rc < 0 || found)
        return rc;
    rc = job_exists(&r->db, job_id, e);
    return rc < 0 ? rc : err_set(e, FERR_NOT_FOUND, "job %s has no \"%.63s\"", job_id, name);
}
