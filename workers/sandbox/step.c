/*
 * step.c: sandbox_run(), the life of one step as its worker sees it.
 *
 * Worker thread. The worker hands the descriptors to a zygote, then spins its own loop over the
 * step's socket, its output and one timer until the zygote says that the step ended. Whatever
 * goes wrong in between (a limit, a cancellation) only leads to a kill through the pidfd; the loop
 * still ends by the zygote's word, so nothing of a step is alive when its files are judged. Where
 * the zygote itself dies or does not answer, the attempt is lost and the step is tried once more.
 */
#include "workers/sandbox/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATTEMPTS 2
#define GRACE_MS 10000
#define MESSAGE_SIZE 16384
#define MAX_STEP_FDS 16

enum outcome { OUTCOME_NONE, OUTCOME_ENDED, OUTCOME_REFUSED, OUTCOME_LOST };

struct attempt {
    /* borrowed */
    struct worker_io *io;
    const struct sandbox_step *step;
    struct sandbox_result *out;
    struct err *e;

    /* owned */
    int sock;
    int pipe;
    int pidfd;
    int result;
    int outs[4];
    uv_poll_t sock_poll;
    uv_poll_t pipe_poll;
    uv_timer_t timer;
    unsigned open; /* handles not closed yet */
    struct step_output output;

    enum outcome outcome;
    struct step_end end;
    bool stopped; /* a kill is on its way */
    bool cancelled;
    uint64_t begun; /* uv_hrtime() */
};

/* Descriptors -------------------------------------------------------------------------------- */

/* What is sent, in the protocol's order; the worker's copies are closed once they are. */
struct parcel {
    size_t n;
    int fds[MAX_STEP_FDS];
};

/* Takes over `fd`; a failed one (-1) makes the parcel bad. */
static int put(struct parcel *p, int fd)
{
    assert(p->n < MAX_STEP_FDS);
    if (fd >= 0)
        p->fds[p->n++] = fd;
    return fd >= 0 ? 0 : -1;
}

static void parcel_fini(struct parcel *p)
{
    for (size_t i = 0; i < p->n; i++)
        fd_close(&p->fds[i]);
    p->n = 0;
}

static int copy_of(int fd, struct err *e)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        (void)err_errno(e, errno, "a step's descriptor");
    return copy;
}

static int put_new_file(struct parcel *p, const char *name, int *ours, struct err *e)
{
    *ours = fd_memfile(name, e);
    return *ours < 0 ? -1 : put(p, copy_of(*ours, e));
}

static int put_socket(struct parcel *p, int *ours, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(e, errno, "a step's socket");
    *ours = pair[0];
    return put(p, pair[1]);
}

/* Standard output and standard error are one pipe, so that their order is kept. */
static int put_pipe(struct parcel *p, int *ours, struct err *e)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0)
        return err_errno(e, errno, "a step's pipe");
    *ours = pair[0];
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        (void)err_errno(e, errno, "a step's pipe");
    return put(p, pair[1]) == 0 ? put(p, copy_of(pair[1], e)) : -1;
}

static int pack_parcel(struct attempt *a, struct parcel *p)
{
    const struct sandbox_step *step = a->step;
    int rc = put_socket(p, &a->sock, a->e);
    if (rc == 0)
        rc = put(p, fd_memfile_with("request", step->request, step->request_len, a->e));
    for (size_t i = 0; i < step->n_in && rc == 0; i++)
        rc = put(p, fd_read_only(step->in_fds[i], a->e));
    for (size_t i = 0; i < step->n_out && rc == 0; i++)
        rc = put_new_file(p, step->out_names[i], &a->outs[i], a->e);
    if (rc == 0)
        rc = put_new_file(p, "result", &a->result, a->e);
    return rc == 0 ? put_pipe(p, &a->pipe, a->e) : rc;
}

static json_t *names(const char *const *list, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, json_string(list[i]));
    return array;
}

static char *order_text(const struct sandbox_step *step)
{
    json_t *order =
        json_pack("{s:s, s:{s:i, s:I, s:i, s:I}, s:o, s:o}", "step", step->name, "limits", "cpu_s",
                  (int)step->limits.cpu_s, "memory_bytes", (json_int_t)step->limits.memory_bytes, "processes",
                  (int)step->limits.processes, "file_bytes", (json_int_t)step->limits.file_bytes, "in",
                  names(step->in_names, step->n_in), "out", names(step->out_names, step->n_out));
    char *text = order ? json_dumps(order, JSON_COMPACT) : NULL;
    json_decref(order);
    return text;
}

static int send_order(struct attempt *a, int control)
{
    struct parcel parcel = {0};
    char *text = order_text(a->step);
    int rc = text ? pack_parcel(a, &parcel) : err_set(a->e, FERR_NO_MEMORY, "no memory for a step");
    if (rc == 0 && fd_send(control, text, parcel.fds, parcel.n, NULL) != 0)
        a->outcome = OUTCOME_LOST; /* the zygote has died since we asked */
    parcel_fini(&parcel);
    free(text);
    return rc == 0 ? 0 : a->e->code;
}

/* While it runs ------------------------------------------------------------------------------ */

/* Asks for the end of the step, which the zygote then reports. Before the zygote has answered there is no
 * pidfd: half-closing the socket makes it kill the step. */
static void stop(struct attempt *a, enum reason limit)
{
    if (a->stopped)
        return;
    a->stopped = true;
    a->end.limit = limit;
    if (a->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, a->pidfd, SIGKILL, NULL, 0);
    (void)shutdown(a->sock, SHUT_WR);
    uv_update_time(a->io->loop);
    (void)uv_timer_again(&a->timer);
}

static void on_timer(uv_timer_t *timer)
{
    struct attempt *a = timer->data;
    if (!a->stopped) {
        stop(a, REASON_LIMIT_WALL);
        return;
    }
    a->outcome = OUTCOME_LOST; /* the zygote does not answer */
}

static void on_output(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct attempt *a = poll->data;
    int rc = step_output_read(&a->output, a->pipe);
    if (rc <= 0)
        (void)uv_poll_stop(poll);
    if (rc < 0)
        stop(a, REASON_LIMIT_OUTPUT);
}

static void take_started(struct attempt *a, const json_t *message, int pidfd)
{
    fd_close(&a->pidfd);
    a->pidfd = pidfd;
    json_decref(a->out->confinement);
    a->out->confinement = json_incref(json_object_get(message, "confinement"));
    if (a->stopped && pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static enum reason limit_of(const json_t *message)
{
    static const struct {
        const char *word;
        enum reason reason;
    } LIMITS[] = {{"memory", REASON_LIMIT_MEMORY},
                  {"processes", REASON_LIMIT_PROCESSES},
                  {"cpu", REASON_LIMIT_CPU},
                  {"file_size", REASON_LIMIT_FILE_SIZE}};
    const char *word = json_string_value(json_object_get(message, "limit"));
    for (size_t i = 0; word && i < sizeof LIMITS / sizeof *LIMITS; i++) {
        if (strcmp(word, LIMITS[i].word) == 0)
            return LIMITS[i].reason;
    }
    return STEP_NO_LIMIT;
}

static void take_ended(struct attempt *a, const json_t *message, const json_t *ended)
{
    const json_t *status = json_object_get(ended, "exit");
    a->outcome = OUTCOME_ENDED;
    a->end.exited = status != NULL;
    a->end.code = (int)json_integer_value(status ? status : json_object_get(ended, "signal"));
    if (a->end.limit == STEP_NO_LIMIT)
        a->end.limit = limit_of(message);
    a->out->cpu_s = json_number_value(json_object_get(message, "cpu_s"));
    a->out->peak_rss_bytes = (uint64_t)json_integer_value(json_object_get(message, "peak_rss_bytes"));
}

static void take_message(struct attempt *a, const json_t *message, int passed)
{
    const json_t *ended = json_object_get(message, "ended");
    const char *refused = json_string_value(json_object_get(message, "refused"));
    if (json_is_true(json_object_get(message, "started"))) {
        take_started(a, message, passed);
        return;
    }
    fd_close(&passed);
    if (ended) {
        take_ended(a, message, ended);
    } else if (refused) {
        a->outcome = OUTCOME_REFUSED;
        (void)err_set(a->e, FERR_SANDBOX, "the zygote refused the %s step: %s", a->step->name, refused);
    } else {
        a->outcome = OUTCOME_LOST;
    }
}

static void on_message(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct attempt *a = poll->data;
    char text[MESSAGE_SIZE];
    int passed = -1;
    ssize_t n = status == 0 ? fd_receive(a->sock, text, sizeof text, &passed) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    json_t *message = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    take_message(a, message, passed);
    json_decref(message);
    if (a->outcome != OUTCOME_NONE)
        (void)uv_poll_stop(poll);
}

/* One attempt -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct attempt *a = handle->data;
    a->open--;
}

static void open_handles(struct attempt *a)
{
    uv_loop_t *loop = a->io->loop;
    a->sock_poll.data = a->pipe_poll.data = a->timer.data = a;
    (void)uv_poll_init(loop, &a->sock_poll, a->sock);
    (void)uv_poll_init(loop, &a->pipe_poll, a->pipe);
    (void)uv_timer_init(loop, &a->timer);
    a->open = 3;
    uv_update_time(loop);
    (void)uv_poll_start(&a->sock_poll, UV_READABLE, on_message);
    (void)uv_poll_start(&a->pipe_poll, UV_READABLE, on_output);
    (void)uv_timer_start(&a->timer, on_timer, a->step->limits.wall_ms, GRACE_MS);
}

static void close_handles(struct attempt *a)
{
    uv_close((uv_handle_t *)&a->sock_poll, on_closed);
    uv_close((uv_handle_t *)&a->pipe_poll, on_closed);
    uv_close((uv_handle_t *)&a->timer, on_closed);
    while (a->open > 0)
        (void)uv_run(a->io->loop, UV_RUN_ONCE);
}

static void spin(struct attempt *a)
{
    while (a->outcome == OUTCOME_NONE) {
        (void)uv_run(a->io->loop, UV_RUN_ONCE);
        if (!a->cancelled && atomic_load(a->io->cancelled)) {
            a->cancelled = true;
            stop(a, STEP_NO_LIMIT);
        }
    }
}

/* Everything that could write is dead now: the pipe ends, and the files hold still. */
static void finish(struct attempt *a)
{
    if (step_output_read(&a->output, a->pipe) < 0 && a->end.limit == STEP_NO_LIMIT)
        a->end.limit = REASON_LIMIT_OUTPUT;
    a->out->wall_s = (double)(uv_hrtime() - a->begun) / 1e9;
    free(a->out->output);
    a->out->output = step_output_finish(&a->output);
    if (a->outcome == OUTCOME_ENDED)
        step_collect(a->step, &a->end, a->result, a->outs, a->out);
}

static void attempt_fini(struct attempt *a)
{
    fd_close(&a->sock);
    fd_close(&a->pipe);
    fd_close(&a->pidfd);
    fd_close(&a->result);
    for (size_t i = 0; i < 4; i++)
        fd_close(&a->outs[i]);
    free(step_output_finish(&a->output));
}

/* 0 when the step ended, 1 when the attempt was lost with life `*life` of the zygote, or an error. */
static int run_attempt(struct sandbox *s, struct worker_io *io, const struct sandbox_step *step,
                       struct sandbox_result *out, uint64_t *life, struct err *e)
{
    struct attempt a = {.io = io,
                        .step = step,
                        .out = out,
                        .e = e,
                        .sock = -1,
                        .pipe = -1,
                        .pidfd = -1,
                        .result = -1,
                        .outs = {-1, -1, -1, -1},
                        .output = {.most = (size_t)step->limits.output_bytes},
                        .end = {.limit = STEP_NO_LIMIT}};
    int control;
    int rc = sandbox_wait_zygote(s, io, step->env, &control, life, e);
    if (rc != 0)
        return rc;
    a.begun = uv_hrtime();
    rc = send_order(&a, control);
    fd_close(&control);
    if (rc == 0 && a.outcome == OUTCOME_NONE) {
        open_handles(&a);
        spin(&a);
        close_handles(&a);
        finish(&a);
    }
    if (a.outcome == OUTCOME_LOST)
        sandbox_report_lost(s, step->env, *life);
    if (a.cancelled)
        rc = err_set(e, FERR_CANCELLED, "the %s step was cancelled", step->name);
    else if (a.outcome == OUTCOME_REFUSED)
        rc = FERR_SANDBOX;
    else if (a.outcome == OUTCOME_LOST)
        rc = 1;
    attempt_fini(&a);
    return rc;
}

int sandbox_run(struct sandbox *s, struct worker_io *io, const struct sandbox_step *step,
                struct sandbox_result *out, struct err *e)
{
    *out = (struct sandbox_result){.reason = REASON_SANDBOX_UNAVAILABLE, .out_fds = {-1, -1, -1, -1}};
    assert(step->n_in <= 4 && step->n_out <= 4);
    struct err local = {0};
    uint64_t life = 0;
    struct err *err = e ? e : &local;
    int rc = sandbox_wait_slot(s, io, err);
    if (rc != 0)
        return rc;
    for (int n = 0; n < ATTEMPTS && (n == 0 || rc == 1); n++)
        rc = run_attempt(s, io, step, out, &life, err);
    sandbox_release_slot(s);
    if (rc == 1) {
        out->reason = REASON_STEP_CRASHED;
        (void)snprintf(out->detail, sizeof out->detail, "the zygote ended %d times under the %s step",
                       ATTEMPTS, step->name);
        rc = 0;
    }
    return rc;
}

void sandbox_result_fini(struct sandbox_result *r)
{
    json_decref(r->result);
    json_decref(r->confinement);
    free(r->output);
    for (size_t i = 0; i < 4; i++)
        fd_close(&r->out_fds[i]);
    *r = (struct sandbox_result){.out_fds = {-1, -1, -1, -1}};
}
