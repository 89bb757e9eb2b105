/*
 * err.h: how a function of ferryd says that something went wrong.
 *
 * A function that can fail returns 0 or a negative code of `enum ferr` and, where the
 * caller gave one, fills a `struct err`. A function logs or returns an error, never both.
 * The table FERR_TABLE is the only list of codes: it gives the enum, the stable `code` of
 * problem+json, the HTTP status and the title (docs/api.md and openapi.yaml are tested against it).
 */
#ifndef FERRY_DAEMON_ERR_H
#define FERRY_DAEMON_ERR_H

#include <stdarg.h>
#include <stddef.h>

/*       name                 code (stable)            HTTP  title */
#define FERR_TABLE(X)                                                                              \
    X(INTERNAL, "internal", 500, "Internal error")                                                 \
    X(NO_MEMORY, "no_memory", 503, "Out of memory")                                                \
    X(IO, "io", 500, "Input or output failed")                                                     \
    X(STORE, "store", 500, "The store failed")                                                     \
    X(STORE_BUSY, "data_dir_in_use", 503, "The data directory is in use by another daemon")        \
    X(STORE_VERSION, "data_dir_version", 503, "The data directory is of another version")          \
    X(OVERLOADED, "overloaded", 503, "Too many requests are waiting")                              \
    X(SHUTTING_DOWN, "shutting_down", 503, "The daemon is stopping")                               \
    X(SANDBOX, "sandbox_unavailable", 503, "The sandbox does not work on this machine")            \
    X(CONFIG, "config", 500, "The configuration is wrong")                                         \
    X(BAD_REQUEST, "bad_request", 400, "The request is malformed")                                 \
    X(BAD_JSON, "bad_json", 400, "The body is not valid JSON")                                     \
    X(INVALID_FIELD, "invalid_field", 422, "A field has an unacceptable value")                    \
    X(UNKNOWN_FIELD, "unknown_field", 422, "A field is not known")                                 \
    X(MISSING_FIELD, "missing_field", 422, "A required field is missing")                          \
    X(INVALID_PARAMETER, "invalid_parameter", 400, "A query parameter has an unacceptable value")  \
    X(UNKNOWN_PARAMETER, "unknown_parameter", 400, "A query parameter is not known")               \
    X(INVALID_HEADER, "invalid_header", 400, "A header has an unacceptable value")                 \
    X(NOT_FOUND, "not_found", 404, "There is no such resource")                                    \
    X(JOB_NOT_FOUND, "job_not_found", 404, "There is no such job")                                 \
    X(NOT_READY, "not_ready", 409, "The job has not produced this yet")                            \
    X(CONFLICT, "conflict", 409, "The job's state does not allow this")                            \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "The resource has no such method")            \
    X(UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415, "The body's media type is not known") \
    X(TOO_LARGE, "too_large", 413, "The body is too large")                                        \
    X(HEAD_TOO_LARGE, "head_too_large", 431, "The request's head is too large")                    \
    X(TIMEOUT, "timeout", 408, "The request took too long")                                        \
    X(FORBIDDEN_HOST, "forbidden_host", 403, "The Host or Origin is not allowed")                  \
    X(CANCELLED, "cancelled", 409, "The work was cancelled")                                       \
    X(INVALID_TENSORS, "invalid_tensors", 422, "A tensor file is malformed")                       \
    X(INVALID_MAP, "invalid_map", 422, "The weight map is wrong")

enum ferr_index {
#define X(name, code, http, title) FERR_I_##name,
    FERR_TABLE(X)
#undef X
        FERR_COUNT
};

/* Negative, so that 0 is success and a positive result stays free. */
enum ferr {
    FERR_OK = 0,
#define X(name, code, http, title) FERR_##name = -1 - FERR_I_##name,
    FERR_TABLE(X)
#undef X
};

/* Owned by the caller, of fixed size; zero-initialise it. Any thread. */
struct err {
    int code;          /* enum ferr */
    char text[512];    /* for people: names the field, file, line or limit */
    char pointer[256]; /* RFC 6901 JSON pointer into the request body, or "" */
};

/* Fills `e` (which may be NULL) and returns `code`. */
int err_set(struct err *e, enum ferr code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, with a JSON pointer. */
int err_at(struct err *e, enum ferr code, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* errno as text behind a prefix; code FERR_IO. */
int err_errno(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

const char *ferr_code(int code);  /* "job_not_found"; "internal" for what is not in the table */
int ferr_http(int code);          /* 404 */
const char *ferr_title(int code); /* "There is no such job" */

#endif
