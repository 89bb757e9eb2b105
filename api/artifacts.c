/*
 * artifacts.c: a job's files (diff, report, picture, logs, bundle), sent with sendfile from their blobs.
 *
 * http thread. A file that is not there yet is not_ready while the job runs and not_found once it has ended.
 * A file never changes under its ETag, which is its sha256.
 */
#include "api/internal.h"
#include "api/params.h"

#include <stdio.h>

/* Says why the artifact is not there. */
static int absent(struct request *r, const char *name)
{
    bool ended;
    int rc = request_job_ended(r, &ended);
    if (rc)
        return rc;
    if (ended)
        return err_set(&r->err, FERR_NOT_FOUND, "the job ended without %s", name);
    return err_set(&r->err, FERR_NOT_READY, "the job has not stored %s yet", name);
}

static int find(struct request *r, const char *name, struct store_artifact *out)
{
    if (!job_id_valid(r->args[0]))
        return err_set(&r->err, FERR_JOB_NOT_FOUND, "\"%.63s\" is no job id", r->args[0]);
    int rc = store_artifact_get(r->api->reader, r->args[0], name, out, &r->err);
    return rc == FERR_NOT_FOUND ? absent(r, name) : rc;
}

/* For a picture that is opened by itself: it may style itself and do nothing else. */
static const char POLICY[] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

static int send_artifact(struct request *r, const struct store_artifact *a, const char *media_type)
{
    char etag[STORE_SHA_SIZE + 2];
    (void)snprintf(etag, sizeof etag, "\"%s\"", a->sha);
    struct reply_options o = {.media_type = media_type,
                              .headers = {{MHD_HTTP_HEADER_ETAG, etag},
                                          {MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"},
                                          {MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT},
                                          {"Content-Security-Policy", POLICY}}};
    if (params_etag_matches(request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH), etag))
        return reply_empty(r, MHD_HTTP_NOT_MODIFIED, &o);
    int fd = -1;
    int64_t size = 0;
    int rc = store_blob_open(r->api->store, a->sha, &fd, &size, &r->err);
    return rc ? rc : reply_file(r, fd, size, &o);
}

static int serve(struct request *r, const char *name, const char *media_type)
{
    struct store_artifact artifact;
    int rc = find(r, name, &artifact);
    return rc ? rc : send_artifact(r, &artifact, media_type);
}

int job_diff(struct request *r)
{
    return serve(r, "source.diff", "text/x-diff; charset=utf-8");
}

int job_logs(struct request *r)
{
    return serve(r, "logs.txt", "text/plain; charset=utf-8");
}

int job_picture(struct request *r)
{
    return serve(r, "errors.svg", "image/svg+xml");
}

int job_bundle(struct request *r)
{
    return serve(r, "bundle.tar.gz", "application/gzip");
}

int job_report(struct request *r)
{
    struct store_artifact markdown;
    if (params_accepts(request_header(r, MHD_HTTP_HEADER_ACCEPT), "text/markdown") &&
        job_id_valid(r->args[0]) &&
        store_artifact_get(r->api->reader, r->args[0], "REPORT.md", &markdown, NULL) == 0)
        return send_artifact(r, &markdown, "text/markdown; charset=utf-8");
    return serve(r, "report.json", "application/json");
}
