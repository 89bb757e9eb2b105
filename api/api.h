/*
 * api.h: the HTTP server. The only header of api/ that others include.
 *
 * libmicrohttpd runs one internal epoll thread; requests that wait (a commit, a long poll, an event stream)
 * are suspended and resumed from other threads. MHD_* is used in api/ only.
 */
#ifndef FERRY_API_API_H
#define FERRY_API_API_H

#include "daemon/err.h"
#include "daemon/vocab.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct api;

struct api_limits {
    size_t body_bytes; /* 8 MiB */
    size_t head_bytes; /* request line and headers together */
    unsigned files;    /* in one job */
    unsigned json_depth;
    unsigned head_ms, total_ms; /* deadlines: head complete, request complete */
    unsigned connections;
    unsigned streams;     /* event streams and long polls at once */
    unsigned wait_max_s;  /* cap of ?wait= */
    unsigned heartbeat_s; /* comment on a quiet event stream */
};

/* What the server asks of the rest of the daemon; functions are called on the http thread and must not block.
 */
struct api_hooks {
    void *arg;
    json_t *(*sandbox_status)(void *arg); /* new reference, for /readyz */
    bool (*sandbox_ready)(void *arg);
    const char *version;
};

struct api_options {
    const char *host; /* "127.0.0.1" */
    uint16_t port;    /* 0: any free one */
    struct api_limits limits;
    struct api_hooks hooks;
};

/* Main thread. Binds and serves; `s` is borrowed and must outlive the server. */
int api_start(const struct api_options *opts, struct store *s, struct api **out, struct err *e);
uint16_t api_port(const struct api *a);
/* Any thread, until api_free(): an event of this job is durable (the store's listener calls it). Never
 * blocks. */
void api_notify(struct api *a, const char *job_id, int64_t seq);
/* Main thread. Stops accepting new connections; requests under way are answered. */
void api_drain(struct api *a);
/* Main thread. Resumes what is suspended, waits for commands on their way to the store, stops; streams end
 * cleanly. The store must still be open. */
void api_stop(struct api *a);
/* Main thread, after the store is closed: only then does nobody call api_notify() any more. NULL is fine. */
void api_free(struct api *a);
/* One line a route: "METHOD path param,param". tests/api compares openapi.yaml with it. */
void api_print_routes(FILE *out);

#endif
