/*
 * handler.c: what libmicrohttpd calls: connections, heads, bodies, completion.
 *
 * http thread. The head is judged in the first call. A refused request that brings a body is answered at once
 * where its client waits for "100 Continue" or announces far too much; otherwise its body is read and dropped
 * first, because closing under a client that still sends would lose the answer. Where the head is fine the
 * body is kept, within the limit, and the route runs when it is complete. A route that suspended is run again
 * after the wake.
 */
#include "api/guard.h"
#include "api/internal.h"
#include "api/params.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bodies held at once, in units of the largest one. */
#define BODIES_HELD 16
/* How much of a refused body is read for the sake of its client, in the same unit. */
#define BODIES_DROPPED 4

/* ---- connections ---- */

static struct conn_watch *watch_of(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void expect_client(struct request *r, unsigned ms)
{
    struct conn_watch *watch = watch_of(r);
    if (watch)
        watch_deadline(&r->api->registry, watch, ms ? clock_mono_us() + (int64_t)ms * 1000 : 0);
}

static struct conn_watch *watch_new(struct api *a, struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn_watch *watch = info ? calloc(1, sizeof *watch) : NULL;
    if (!watch)
        return NULL;
    watch->fd = info->connect_fd;
    watch->deadline_us = clock_mono_us() + (int64_t)a->limits.head_ms * 1000;
    watch_add(&a->registry, watch);
    return watch;
}

void handler_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
                        enum MHD_ConnectionNotificationCode what)
{
    struct api *a = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        metric_add(METRIC_HTTP_CONNECTIONS, 0, 1);
        *socket_context = watch_new(a, conn);
        return;
    }
    metric_add(METRIC_HTTP_CONNECTIONS, 0, -1);
    struct conn_watch *watch = *socket_context;
    if (!watch)
        return;
    watch_remove(&a->registry, watch);
    free(watch);
    *socket_context = NULL;
}

/* ---- the head ---- */

static enum MHD_Result add_sizes(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                 const char *value, size_t value_size)
{
    (void)kind, (void)key, (void)value;
    size_t *total = cls;
    *total += key_size + value_size + 4; /* ": " and the line's end */
    return MHD_YES;
}

static int judge_size(struct request *r, const char *url)
{
    size_t total = strlen(url);
    (void)MHD_get_connection_values_n(r->conn, MHD_HEADER_KIND | MHD_GET_ARGUMENT_KIND, add_sizes, &total);
    if (total <= r->api->limits.head_bytes)
        return 0;
    return err_set(&r->err, FERR_HEAD_TOO_LARGE, "the request line and headers have more than %zu bytes",
                   r->api->limits.head_bytes);
}

static int judge_sender(struct request *r, const char *version)
{
    const char *host = request_header(r, MHD_HTTP_HEADER_HOST);
    if (!host && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
        return err_set(&r->err, FERR_BAD_REQUEST, "an HTTP/1.1 request needs a Host");
    if (!guard_host_allowed(host))
        return err_set(&r->err, FERR_FORBIDDEN_HOST, "the Host must be localhost, 127.0.0.1 or [::1]");
    if (!r->get && !guard_origin_allowed(request_header(r, MHD_HTTP_HEADER_ORIGIN), host))
        return err_set(&r->err, FERR_FORBIDDEN_HOST, "requests from other origins may not change anything");
    return 0;
}

struct param_scan {
    struct request *r;
    unsigned seen; /* bits of route->params */
};

static enum MHD_Result scan_param(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                  const char *value, size_t value_size)
{
    (void)kind;
    struct param_scan *scan = cls;
    struct request *r = scan->r;
    if (strlen(key) != key_size || !route_takes(r->route, key)) {
        (void)err_set(&r->err, FERR_UNKNOWN_PARAMETER, "there is no parameter \"%.64s\" here", key);
        return MHD_NO;
    }
    unsigned bit = 0;
    while (strcmp(r->route->params[bit], key) != 0)
        bit++;
    if (!value || strlen(value) != value_size || value_size == 0 || scan->seen & (1u << bit)) {
        (void)err_set(&r->err, FERR_INVALID_PARAMETER, "\"%s\" must be given once, with a value", key);
        return MHD_NO;
    }
    scan->seen |= 1u << bit;
    return MHD_YES;
}

static int judge_params(struct request *r)
{
    struct param_scan scan = {.r = r};
    (void)MHD_get_connection_values_n(r->conn, MHD_GET_ARGUMENT_KIND, scan_param, &scan);
    return r->err.code;
}

/* The declared length of the body; -1 where it is chunked; 0 where there is none. */
static int64_t body_length(const struct request *r)
{
    if (request_header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        return -1;
    const char *text = request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t n = 0;
    return !text || params_int(text, 0, INT64_MAX, &n) ? n : INT64_MAX;
}

static int judge_body(struct request *r)
{
    if (r->route->run != jobs_create)
        return 0;
    size_t limit = r->api->limits.body_bytes;
    if (body_length(r) > (int64_t)limit)
        return err_set(&r->err, FERR_TOO_LARGE, "the body may have at most %zu bytes", limit);
    if (request_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING))
        return err_set(&r->err, FERR_UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed");
    const char *type = request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (params_media_type_is(type, "application/json") || params_media_type_is(type, "text/x-python"))
        return 0;
    return err_set(&r->err, FERR_UNSUPPORTED_MEDIA_TYPE,
                   "the Content-Type must be application/json or text/x-python, in UTF-8");
}

/* Fills r->route, or r->err; OPTIONS has neither. */
static void judge(struct request *r, const char *url, const char *method, const char *version)
{
    if (judge_size(r, url) || judge_sender(r, version))
        return;
    r->options = strcmp(method, "OPTIONS") == 0;
    r->route = router_find(method, url, r->args, r->allow, &r->err);
    if (r->options && r->allow[0])
        r->err = (struct err){0};
    if (!r->route || judge_params(r) || judge_body(r))
        return;
    if (!r->get && atomic_load(&r->api->draining))
        (void)err_set(&r->err, FERR_SHUTTING_DOWN, "the daemon is stopping and takes no new work");
}

/* A refused request whose body is not worth reading. */
static bool answer_now(const struct request *r)
{
    int64_t len = body_length(r);
    const char *expect = request_header(r, MHD_HTTP_HEADER_EXPECT);
    return r->err.code && len != 0 && (expect || len > (int64_t)(r->api->limits.body_bytes * BODIES_DROPPED));
}

/* ---- the body ---- */

static void refuse_body(struct request *r, enum ferr code, const char *what)
{
    (void)err_set(&r->err, code, "%s", what);
    r->api->body_bytes -= r->body.len;
    buf_fini(&r->body);
}

static void keep_body(struct request *r, const char *data, size_t len)
{
    struct api *a = r->api;
    if (a->body_bytes + len > a->limits.body_bytes * BODIES_HELD) {
        refuse_body(r, FERR_OVERLOADED, "too many bodies are arriving at once");
        return;
    }
    size_t before = r->body.len;
    buf_add(&r->body, data, len);
    a->body_bytes += r->body.len - before;
    if (buf_failed(&r->body) && before + len > a->limits.body_bytes)
        refuse_body(r, FERR_TOO_LARGE, "the body is larger than the limit");
    else if (buf_failed(&r->body))
        refuse_body(r, FERR_NO_MEMORY, "no memory for the body");
}

static enum MHD_Result take_body(struct request *r, const char *data, size_t len)
{
    r->received += len;
    if (r->received > r->api->limits.body_bytes * BODIES_DROPPED)
        return MHD_NO;
    if (r->err.code == 0 && r->route && r->route->run == jobs_create)
        keep_body(r, data, len);
    return MHD_YES;
}

/* ---- the request ---- */

static struct request *request_new(struct api *a, struct MHD_Connection *conn, const char *url,
                                   const char *method)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->magic = REQUEST_MAGIC;
    r->api = a;
    r->conn = conn;
    r->get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    r->head = strcmp(method, "HEAD") == 0;
    r->began_us = clock_mono_us();
    (void)snprintf(r->path, sizeof r->path, "%s", url);
    buf_init(&r->body, a->limits.body_bytes);
    watch_request(&a->registry, 1);
    return r;
}

static void request_free(struct request *r)
{
    wait_leave(&r->api->registry, &r->wait);
    r->api->body_bytes -= r->job ? r->job->len : r->body.len;
    buf_fini(&r->body);
    intake_job_free(r->job);
    stream_free(r->stream);
    r->magic = 0;
    free(r);
}

static enum MHD_Result dispatch(struct request *r)
{
    int rc;
    if (r->err.code)
        rc = r->err.code;
    else if (r->options)
        rc = reply_empty(r, MHD_HTTP_NO_CONTENT,
                         &(struct reply_options){.headers = {{MHD_HTTP_HEADER_ALLOW, r->allow}}});
    else
        rc = r->route->run(r);
    if (rc)
        rc = reply_problem(r);
    return rc ? MHD_NO : MHD_YES;
}

enum MHD_Result handler_access(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_size, void **con_cls)
{
    struct request *r = *con_cls;
    if (!r) {
        *con_cls = r = request_new(cls, conn, url, method);
        if (!r)
            return MHD_NO;
        judge(r, url, method, version);
        expect_client(r, r->api->limits.total_ms);
        return answer_now(r) ? dispatch(r) : MHD_YES;
    }
    assert(r->magic == REQUEST_MAGIC);
    if (*upload_size > 0) {
        size_t len = *upload_size;
        *upload_size = 0;
        return take_body(r, upload, len);
    }
    if (!r->complete) {
        r->complete = true;
        expect_client(r, 0);
    }
    return dispatch(r);
}

void handler_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                       enum MHD_RequestTerminationCode how)
{
    (void)conn, (void)how;
    struct api *a = cls;
    struct request *r = *con_cls;
    if (!r)
        return;
    *con_cls = NULL;
    expect_client(r, a->limits.head_ms);
    request_free(r);
    watch_request(&a->registry, -1);
}
