/*
 * internal.h: what the files of api/ share. Nobody outside api/ includes it.
 *
 * A request lives from the first call of the access handler to MHD's completion callback. While it waits it
 * is suspended, and only the registry (wait.h) touches it then. A route's `run` is called again after each
 * wake, so it reads as a small state machine over `struct request`.
 */
#ifndef FERRY_API_INTERNAL_H
#define FERRY_API_INTERNAL_H

#include "api/api.h"
#include "api/intake.h"
#include "api/wait.h"
#include "daemon/buf.h"

#include <microhttpd.h>

struct api {
    /* set by api_start, constant afterwards */
    struct store *store; /* borrowed */
    struct api_limits limits;
    struct api_hooks hooks;
    uint16_t port;
    struct MHD_Daemon *mhd; /* owned */
    struct registry registry;
    struct intake intake;
    atomic_bool draining; /* set on the main thread: no new connections, no new work */
    /* http thread only */
    struct store_reader *reader; /* owned */
    size_t body_bytes;           /* held by requests whose body is arriving or waits for intake */
};

enum method { METHOD_GET, METHOD_POST, METHOD_DELETE };

#define ROUTE_ARG_SIZE 64
#define ROUTE_PARAMS_MAX 8

struct request;
/* http thread. 0: a response is queued or the request is suspended; negative: `r->err` says why. */
typedef int (*route_run_fn)(struct request *r);

struct route {
    enum method method;
    const char *path; /* "/v1/jobs/{id}" */
    route_run_fn run;
    const char *params[ROUTE_PARAMS_MAX]; /* query parameters it knows; unknown ones are an error */
};

/* A command to the store that the request waits for; written before the wake, read after it. */
struct command {
    bool sent;
    int rc;
    struct err err;
};

struct stream; /* stream.c */

/* The longest ?wait= that is accepted; limits.wait_max_s then caps it. */
#define WAIT_PARAM_MAX 3600

#define REQUEST_MAGIC 0x72717374u

struct request {
    unsigned magic;
    struct api *api;              /* borrowed */
    struct MHD_Connection *conn;  /* borrowed */
    const struct route *route;    /* NULL where the head was refused, and for OPTIONS */
    bool head;                    /* HEAD: as GET, without a body */
    bool get;                     /* GET or HEAD */
    bool options;                 /* OPTIONS: only `allow` is asked for */
    bool complete;                /* the whole request is here */
    char allow[64];               /* methods of the path */
    size_t received;              /* bytes of the body, kept or dropped */
    char path[256];               /* as asked, cut; for problems and logs */
    char args[2][ROUTE_ARG_SIZE]; /* what {id} and {n} matched */
    int64_t began_us;
    struct buf body;
    struct err err; /* why the request is refused */
    struct waiter wait;
    int64_t wait_until_us; /* deadline of a long poll, 0 before it began */
    int64_t wait_version;  /* what a long poll saw first */
    struct command command;
    struct intake_job *job; /* owned; POST /v1/jobs */
    struct stream *stream;  /* owned; server-sent events */
};

/* ---- router.c ---- */
/* The route that serves `method` (as HTTP spells it) and `path`, or NULL and a filled `e`. HEAD is served as
 * GET. `allow` (at least 64 bytes) receives the methods of the path for 405 and OPTIONS, or "". */
const struct route *router_find(const char *method, const char *path, char args[2][ROUTE_ARG_SIZE],
                                char allow[64], struct err *e);
/* Whether the route knows a query parameter. */
bool route_takes(const struct route *route, const char *param);

/* ---- handler.c: callbacks of libmicrohttpd, http thread ---- */
enum MHD_Result handler_access(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_size, void **con_cls);
void handler_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                       enum MHD_RequestTerminationCode how);
void handler_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
                        enum MHD_ConnectionNotificationCode what);

/* ---- reply.c: each queues one response; 0 or a negative code with r->err ---- */
struct reply_header {
    const char *name, *value;
};
#define REPLY_HEADERS_MAX 6
struct reply_options {
    const char *media_type;
    struct reply_header headers[REPLY_HEADERS_MAX]; /* ended by a NULL name */
};
int reply_json(struct request *r, unsigned status, json_t *body /* taken */, const struct reply_options *o);
int reply_text(struct request *r, struct buf *text /* taken */, const struct reply_options *o);
int reply_static(struct request *r, const void *data, size_t len, const struct reply_options *o);
int reply_file(struct request *r, int fd /* taken */, int64_t size, const struct reply_options *o);
int reply_empty(struct request *r, unsigned status, const struct reply_options *o);
int reply_stream(struct request *r, MHD_ContentReaderCallback reader, const struct reply_options *o);
/* Says what r->err holds, as application/problem+json. */
int reply_problem(struct request *r);

/* ---- params.c: parameters and headers of a request ---- */
/* A query parameter, or NULL. */
const char *request_param(const struct request *r, const char *name);
/* A number in a query parameter: 0, or FERR_INVALID_PARAMETER in r->err. Absent: `*out` is left. */
int request_param_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t *out);
/* A header, or NULL. */
const char *request_header(const struct request *r, const char *name);

/* ---- command.c ---- */
/* Suspends the request and hands it to `submit`, which must lead to exactly one command_done(r, …), or fail
 * at once. */
typedef int (*command_submit_fn)(struct request *r, struct err *e);
int command_run(struct request *r, command_submit_fn submit);
/* Any thread: a store_done_fn. */
void command_done(void *arg, int rc, const struct err *e);

/* ---- job_json.c ---- */
/* The job as the API shows it; new reference, NULL when out of memory. */
json_t *job_json(const struct store_job *job);
/* "\"v12\"" */
#define ETAG_SIZE 72
void job_etag(const struct store_job *job, char out[ETAG_SIZE]);
/* Loads the job that {id} names; frees nothing on failure. */
int request_job(struct request *r, struct store_job *out);
/* Whether that job has ended. */
int request_job_ended(struct request *r, bool *ended);

/* ---- routes ---- */
int jobs_create(struct request *r);
int jobs_list(struct request *r);
int job_get(struct request *r);
int job_cancel(struct request *r);
int job_delete(struct request *r);
int job_events(struct request *r);
int job_attempts(struct request *r);
int job_attempt(struct request *r);
int job_diff(struct request *r);
int job_report(struct request *r);
int job_logs(struct request *r);
int job_picture(struct request *r);
int job_bundle(struct request *r);
int engines_list(struct request *r);
int service_health(struct request *r);
int service_ready(struct request *r);
int service_metrics(struct request *r);
int service_openapi(struct request *r);
int page_index(struct request *r);
int page_style(struct request *r);
int page_script(struct request *r);

/* ---- stream.c ---- */
int stream_open(struct request *r, const struct store_job *job, int64_t after);
void stream_free(struct stream *s);

/* ---- events.c ---- */
/* {"seq", "at", "type", "data"} on one line. */
void event_render(struct buf *out, const struct store_event *event);
bool event_final(enum event_type type);

#endif
