/*
 * server.c: starting, draining and stopping the HTTP server.
 *
 * Main thread; libmicrohttpd's own epoll thread serves. We open the listening socket ourselves, so that a
 * busy port is reported as such. Order of the stop: nobody falls asleep any more and sleepers are woken,
 * commands to the store are answered, requests under way get a moment, intake ends, and only then
 * libmicrohttpd stops: it aborts when a connection is still suspended.
 */
#include "api/guard.h"
#include "api/internal.h"
#include "daemon/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTAKE_QUEUE_MAX 128
#define STOP_GRACE_US 2000000
/* Memory of a connection beside the head: libmicrohttpd's own tables and the response's head. */
#define CONNECTION_SPARE 32768

__attribute__((format(printf, 2, 0))) static void log_library(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char text[512];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_warn("http", "libmicrohttpd", "detail", text);
}

static int bind_socket(const struct addrinfo *ai, const struct api_options *o, uint16_t *port, struct err *e)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, errno, "can't make a socket");
    int on = 1;
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, ai->ai_addr, ai->ai_addrlen) ||
        listen(fd, SOMAXCONN) || getsockname(fd, (struct sockaddr *)&bound, &len)) {
        int errnum = errno;
        (void)close(fd);
        return err_errno(e, errnum, "can't listen on %s port %u", o->host, o->port);
    }
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    return fd;
}

/* The listening descriptor, or a negative code. */
static int open_socket(const struct api_options *o, uint16_t *port, struct err *e)
{
    if (!guard_loopback(o->host))
        return err_set(e, FERR_CONFIG, "\"%s\" is no loopback address: without tokens nothing else is served",
                       o->host);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
                    *ai = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", o->port);
    int rc = getaddrinfo(o->host, service, &hints, &ai);
    if (rc)
        return err_set(e, FERR_CONFIG, "\"%s\": %s", o->host, gai_strerror(rc));
    int fd = bind_socket(ai, o, port, e);
    freeaddrinfo(ai);
    return fd;
}

/* Drains by turning new connections away on the http thread itself: MHD_quiesce_daemon() races with
 * libmicrohttpd's own thread for the listening descriptor, and the loser aborts. */
static enum MHD_Result accept_policy(void *cls, const struct sockaddr *addr, socklen_t len)
{
    (void)addr, (void)len;
    const struct api *a = cls;
    return atomic_load(&a->draining) ? MHD_NO : MHD_YES;
}

/* Takes `fd`, also when it fails (libmicrohttpd may have closed it then). */
static int start_mhd(struct api *a, int fd, struct err *e)
{
    const struct api_limits *l = &a->limits;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    a->mhd = MHD_start_daemon(flags, 0, accept_policy, a, handler_access, a, MHD_OPTION_EXTERNAL_LOGGER,
                              log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                              l->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                              l->head_bytes * 2 + CONNECTION_SPARE, MHD_OPTION_CONNECTION_TIMEOUT,
                              l->total_ms / 1000 + 1, MHD_OPTION_NOTIFY_COMPLETED, handler_completed, a,
                              MHD_OPTION_NOTIFY_CONNECTION, handler_connection, a, MHD_OPTION_END);
    return a->mhd ? 0 : err_set(e, FERR_INTERNAL, "the HTTP server did not start");
}

/* Takes `fd`. Starts all parts in order; what has started is undone when a later one fails. */
static int start_parts(struct api *a, int fd, struct err *e)
{
    struct jobspec_limits spec = {a->limits.files, a->limits.json_depth};
    int rc = store_reader_open(a->store, &a->reader, e);
    if (rc)
        goto close_fd;
    rc = registry_init(&a->registry, a->limits.streams, e);
    if (rc)
        goto close_reader;
    rc = intake_init(&a->intake, a->store, &spec, INTAKE_QUEUE_MAX, e);
    if (rc)
        goto fini_registry;
    rc = start_mhd(a, fd, e);
    fd = -1;
    if (rc == 0)
        return 0;
    intake_fini(&a->intake);
fini_registry:
    registry_end_clock(&a->registry);
    registry_fini(&a->registry);
close_reader:
    store_reader_close(a->reader);
close_fd:
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

int api_start(const struct api_options *opts, struct store *s, struct api **out, struct err *e)
{
    *out = NULL;
    struct api *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, FERR_NO_MEMORY, "no memory for the HTTP server");
    a->store = s;
    a->limits = opts->limits;
    a->hooks = opts->hooks;
    int fd = open_socket(opts, &a->port, e);
    int rc = fd < 0 ? fd : start_parts(a, fd, e);
    if (rc)
        free(a);
    else
        *out = a;
    return rc;
}

uint16_t api_port(const struct api *a)
{
    return a->port;
}

void api_notify(struct api *a, const char *job_id, int64_t seq)
{
    (void)seq;
    wait_notify(&a->registry, job_id);
}

void api_drain(struct api *a)
{
    atomic_store(&a->draining, true);
}

void api_stop(struct api *a)
{
    api_drain(a);
    registry_stop(&a->registry, STOP_GRACE_US);
    intake_fini(&a->intake);
    MHD_stop_daemon(a->mhd);
    registry_end_clock(&a->registry);
    store_reader_close(a->reader);
}

void api_free(struct api *a)
{
    if (!a)
        return;
    registry_fini(&a->registry);
    free(a);
}
