/*
 * reply.c: building and queueing responses.
 *
 * http thread. Each response is destroyed here after it was queued (libmicrohttpd keeps its own reference).
 * Every response forbids guessing its type and, unless it says otherwise, keeping it.
 */
#include "api/internal.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct reply_options NO_OPTIONS;

static bool add_headers(struct request *r, struct MHD_Response *response, const struct reply_options *o)
{
    bool ok = true, cache = false;
    if (o->media_type)
        ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, o->media_type) == MHD_YES;
    for (size_t i = 0; i < REPLY_HEADERS_MAX && o->headers[i].name; i++) {
        if (!o->headers[i].value)
            continue;
        cache = cache || strcmp(o->headers[i].name, MHD_HTTP_HEADER_CACHE_CONTROL) == 0;
        ok = ok && MHD_add_response_header(response, o->headers[i].name, o->headers[i].value) == MHD_YES;
    }
    if (!cache)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES;
    if (atomic_load(&r->api->draining))
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    return ok && MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
}

static void note(const struct request *r, unsigned status)
{
    char number[16], ms[24];
    (void)snprintf(number, sizeof number, "%u", status);
    (void)snprintf(ms, sizeof ms, "%.1f", (double)(clock_mono_us() - r->began_us) / 1000.0);
    metric_add(METRIC_HTTP_REQUESTS, status / 100 - 2, 1);
    log_debug("http", "answered", "path", r->path, "status", number, "ms", ms);
}

/* Takes `response`, which may be NULL. */
static int queue(struct request *r, unsigned status, struct MHD_Response *response,
                 const struct reply_options *o)
{
    if (!response)
        return err_set(&r->err, FERR_NO_MEMORY, "no memory for the response");
    bool ok = add_headers(r, response, o ? o : &NO_OPTIONS);
    ok = ok && MHD_queue_response(r->conn, status, response) == MHD_YES;
    MHD_destroy_response(response);
    if (!ok)
        return err_set(&r->err, FERR_INTERNAL, "the response could not be queued");
    note(r, status);
    return 0;
}

static int reply_owned(struct request *r, unsigned status, char *text /* taken */, size_t len,
                       const struct reply_options *o)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(text);
    return queue(r, status, response, o);
}

static int reply_json_as(struct request *r, unsigned status, json_t *body, const char *media_type,
                         const struct reply_options *o)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text)
        return err_set(&r->err, FERR_NO_MEMORY, "no memory for the response");
    struct reply_options with_type = o ? *o : NO_OPTIONS;
    with_type.media_type = media_type;
    return reply_owned(r, status, text, strlen(text), &with_type);
}

int reply_json(struct request *r, unsigned status, json_t *body, const struct reply_options *o)
{
    return reply_json_as(r, status, body, "application/json", o);
}

int reply_text(struct request *r, struct buf *text, const struct reply_options *o)
{
    size_t len = 0;
    bool failed = buf_failed(text);
    char *data = buf_take(text, &len);
    if (failed || !data) {
        free(data);
        return err_set(&r->err, FERR_NO_MEMORY, "no memory for the response");
    }
    return reply_owned(r, MHD_HTTP_OK, data, len, o);
}

int reply_static(struct request *r, const void *data, size_t len, const struct reply_options *o)
{
    struct MHD_IoVec part = {data, len};
    return queue(r, MHD_HTTP_OK, MHD_create_response_from_iovec(&part, 1, NULL, NULL), o);
}

int reply_file(struct request *r, int fd, int64_t size, const struct reply_options *o)
{
    struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)size, fd);
    if (!response)
        (void)close(fd);
    return queue(r, MHD_HTTP_OK, response, o);
}

int reply_empty(struct request *r, unsigned status, const struct reply_options *o)
{
    return queue(r, status, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), o);
}

int reply_stream(struct request *r, MHD_ContentReaderCallback reader, const struct reply_options *o)
{
    return queue(r, MHD_HTTP_OK, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, reader, r, NULL),
                 o);
}

static json_t *problem_json(const struct err *e, const char *instance)
{
    char type[96];
    (void)snprintf(type, sizeof type, "urn:ferryd:problem:%s", ferr_code(e->code));
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s*, s:s*}", "type", type, "title", ferr_title(e->code),
                     "status", ferr_http(e->code), "code", ferr_code(e->code), "detail", e->text, "pointer",
                     e->pointer[0] ? e->pointer : NULL, "instance", instance[0] ? instance : NULL);
}

int reply_problem(struct request *r)
{
    struct err e = r->err;
    unsigned status = (unsigned)ferr_http(e.code);
    if (status >= 500)
        log_warn("http", "request failed", "path", r->path, "code", ferr_code(e.code), "detail", e.text);
    struct reply_options o = {
        .headers = {{MHD_HTTP_HEADER_ALLOW, e.code == FERR_METHOD_NOT_ALLOWED ? r->allow : NULL},
                    {MHD_HTTP_HEADER_RETRY_AFTER, status == 503 ? "1" : NULL}},
    };
    return reply_json_as(r, status, problem_json(&e, r->path), "application/problem+json", &o);
}
