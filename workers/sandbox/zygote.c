/*
 * zygote.c: starts and supervises one zygote.
 *
 * Main thread only; what workers read of it is set under the sandbox's lock. A zygote lives from
 * start_life() until its process has ended and its log and control socket are closed; then, after
 * a pause that doubles with every life that did not serve for long, the next one starts. After
 * three such lives the sandbox counts as failed (steps are refused, with the last thing the zygote
 * said), but goes on trying. A zygote that finds a part of the confinement missing is not
 * started again: that needs an operator.
 */
#include "daemon/log.h"
#include "workers/sandbox/internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define START_LIMIT_MS 120000
#define SERVED_LONG_MS 10000
#define PAUSE_FIRST_MS 100
#define PAUSE_MOST_MS 10000
#define FAILED_AFTER 3

static void start_life(struct zygote *z);

static void set_state(struct zygote *z, enum zygote_state state)
{
    pthread_mutex_lock(&z->owner->lock);
    z->state = state;
    sandbox_wake_waiters(z->owner);
    pthread_mutex_unlock(&z->owner->lock);
}

static void set_missing(struct zygote *z, const char *part, const char *why)
{
    json_t *missing = json_pack("[{s:s, s:s%}]", "part", part, "why", why, strlen(why));
    if (!missing)
        return; /* `why` is not UTF-8, or there is no memory: what is known stays */
    pthread_mutex_lock(&z->owner->lock);
    json_decref(z->missing);
    z->missing = missing;
    pthread_mutex_unlock(&z->owner->lock);
}

static void kill_life(struct zygote *z)
{
    if (z->open > 0 && uv_is_active((uv_handle_t *)&z->process))
        (void)uv_process_kill(&z->process, SIGKILL);
}

/* Between lives ------------------------------------------------------------------------------ */

static void on_pause_over(uv_timer_t *timer)
{
    struct zygote *z = timer->data;
    pthread_mutex_lock(&z->owner->lock);
    z->restarts++;
    pthread_mutex_unlock(&z->owner->lock);
    start_life(z);
}

static void life_over(struct zygote *z)
{
    bool served = z->ready_at > 0 && uv_now(z->owner->main_loop) - z->ready_at >= SERVED_LONG_MS;
    (void)uv_timer_stop(&z->timer);
    if (z->doomed)
        return;
    z->failures = served ? 1 : z->failures + 1;
    if (z->failures >= FAILED_AFTER) {
        set_missing(z, "zygote", z->last_line[0] ? z->last_line : "it ended without a word");
        set_state(z, ZYGOTE_FAILED);
    }
    unsigned shift = z->failures < 8 ? z->failures - 1 : 7;
    uint64_t pause = (uint64_t)PAUSE_FIRST_MS << shift;
    log_warn("sandbox", "zygote ended", "env", sandbox_env_name(z->env), "last", z->last_line);
    (void)uv_timer_start(&z->timer, on_pause_over, pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS, 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct zygote *z = handle->data;
    assert(z->open > 0);
    if (--z->open == 0)
        life_over(z);
}

/* One life ----------------------------------------------------------------------------------- */

/* Workers keep their own descriptors of the socket; ours is closed once it is not polled. */
static void on_control_closed(uv_handle_t *handle)
{
    struct zygote *z = handle->data;
    pthread_mutex_lock(&z->owner->lock);
    fd_close(&z->control);
    pthread_mutex_unlock(&z->owner->lock);
    on_handle_closed(handle);
}

static void close_control(struct zygote *z)
{
    if (uv_is_closing((uv_handle_t *)&z->control_poll))
        return;
    if (z->state == ZYGOTE_READY)
        set_state(z, ZYGOTE_STARTING);
    uv_close((uv_handle_t *)&z->control_poll, on_control_closed);
}

static void on_ended(uv_process_t *process, int64_t status, int signal_number)
{
    (void)status;
    (void)signal_number;
    struct zygote *z = process->data;
    close_control(z);
    uv_close((uv_handle_t *)process, on_handle_closed);
}

static void say_line(struct zygote *z)
{
    z->line[z->line_len] = '\0';
    if (z->line_len > 0) {
        (void)snprintf(z->last_line, sizeof z->last_line, "%s", z->line);
        log_info("sandbox", "zygote says", "env", sandbox_env_name(z->env), "text", z->line);
    }
    z->line_len = 0;
}

static void on_log_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char chunk[4096]; /* main thread only, used up before the next read */
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(chunk, sizeof chunk);
}

static void on_log(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct zygote *z = stream->data;
    for (ssize_t i = 0; i < n; i++) {
        if (buf->base[i] == '\n' || z->line_len + 1 >= sizeof z->line)
            say_line(z);
        if (buf->base[i] != '\n')
            z->line[z->line_len++] = buf->base[i];
    }
    if (n < 0) {
        say_line(z);
        uv_close((uv_handle_t *)stream, on_handle_closed);
    }
}

static void take_hello(struct zygote *z, pid_t pid, json_t *confinement, json_t *missing)
{
    const char *cgroup = z->owner->cgroup;
    if (cgroup && cgroup_holds(cgroup, pid))
        (void)json_array_append_new(confinement, json_string("cgroup"));
    else if (cgroup)
        (void)json_array_append_new(
            missing, json_pack("{s:s, s:s+}", "part", "cgroup", "why", "not a member of ", cgroup));
    bool complete = json_array_size(missing) == 0;
    z->ready_at = uv_now(z->owner->main_loop);
    z->doomed = !complete;
    (void)uv_timer_stop(&z->timer);
    pthread_mutex_lock(&z->owner->lock);
    json_decref(z->confinement);
    json_decref(z->missing);
    z->confinement = confinement;
    z->missing = missing;
    z->pid = pid;
    pthread_mutex_unlock(&z->owner->lock);
    set_state(z, complete ? ZYGOTE_READY : ZYGOTE_FAILED);
    log_info("sandbox", complete ? "zygote ready" : "confinement is missing", "env",
             sandbox_env_name(z->env));
    if (!complete)
        kill_life(z);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct zygote *z = poll->data;
    pid_t pid = 0;
    json_t *confinement;
    json_t *missing;
    int rc = -1;
    if (status == 0 && (events & UV_READABLE) && z->ready_at == 0)
        rc = control_read_hello(z->control, &pid, &confinement, &missing);
    if (rc > 0) {
        take_hello(z, pid, confinement, missing);
    } else if (rc < 0) { /* closed, or it says what it should not */
        close_control(z);
        kill_life(z);
    }
}

static void on_start_late(uv_timer_t *timer)
{
    struct zygote *z = timer->data;
    (void)snprintf(z->last_line, sizeof z->last_line, "it did not say hello in %d s", START_LIMIT_MS / 1000);
    kill_life(z);
}

static int spawn_jail(struct zygote *z, int control)
{
    const struct sandbox *s = z->owner;
    const char *args[] = {s->jail,
                          "--env",
                          sandbox_env_name(z->env),
                          "--python",
                          s->python[z->env],
                          "--package",
                          s->package_dir,
                          NULL,
                          NULL,
                          NULL,
                          NULL};
    size_t n = 7;
    if (s->mode == SANDBOX_WEAK)
        args[n++] = "--weak";
    if (s->cgroup) {
        args[n++] = "--cgroup";
        args[n++] = s->cgroup;
    }
    char *no_environment[] = {NULL};
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&z->log},
        {.flags = UV_INHERIT_FD, .data.fd = control},
    };
    uv_process_options_t options = {
        .exit_cb = on_ended,
        .file = s->jail,
        .args = (char **)(uintptr_t)args,
        .env = no_environment,
        .stdio = stdio,
        .stdio_count = 4,
    };
    return uv_spawn(s->main_loop, &z->process, &options);
}

static void open_handles(struct zygote *z, int control)
{
    uv_loop_t *loop = z->owner->main_loop;
    pthread_mutex_lock(&z->owner->lock);
    z->control = control;
    z->life++;
    z->lost = false;
    z->pid = 0;
    if (z->state == ZYGOTE_READY)
        z->state = ZYGOTE_STARTING;
    pthread_mutex_unlock(&z->owner->lock);
    z->ready_at = 0;
    z->line_len = 0;
    z->process.data = z->log.data = z->control_poll.data = z;
    (void)uv_pipe_init(loop, &z->log, 0);
    (void)uv_poll_init(loop, &z->control_poll, control);
    z->open = 3;
}

static void start_life(struct zygote *z)
{
    int pair[2];
    int on = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 ||
        setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
        (void)snprintf(z->last_line, sizeof z->last_line, "socketpair: %s", strerror(errno));
        life_over(z);
        return;
    }
    open_handles(z, pair[0]);
    int rc = spawn_jail(z, pair[1]);
    fd_close(&pair[1]);
    (void)uv_timer_start(&z->timer, on_start_late, START_LIMIT_MS, 0);
    if (rc != 0) {
        (void)snprintf(z->last_line, sizeof z->last_line, "%s: %s", z->owner->jail, uv_strerror(rc));
        close_control(z);
        uv_close((uv_handle_t *)&z->process, on_handle_closed);
        uv_close((uv_handle_t *)&z->log, on_handle_closed);
        return;
    }
    (void)uv_read_start((uv_stream_t *)&z->log, on_log_alloc, on_log);
    (void)uv_poll_start(&z->control_poll, UV_READABLE | UV_DISCONNECT, on_control);
}

/* For sandbox.c ------------------------------------------------------------------------------ */

void zygote_open(struct zygote *z, struct sandbox *s, enum sandbox_env env)
{
    *z = (struct zygote){.owner = s, .env = env, .control = -1, .state = ZYGOTE_STARTING};
    z->confinement = json_array();
    z->missing = json_array();
    assert(z->confinement && z->missing);
    (void)uv_timer_init(s->main_loop, &z->timer);
    z->timer.data = z;
    z->timer_open = true;
    start_life(z);
}

void zygote_look(struct zygote *z)
{
    pthread_mutex_lock(&z->owner->lock);
    bool lost = z->lost;
    pthread_mutex_unlock(&z->owner->lock);
    if (lost)
        kill_life(z);
}

void zygote_close(struct zygote *z)
{
    z->doomed = true;
    kill_life(z);
    if (z->timer_open)
        uv_close((uv_handle_t *)&z->timer, NULL);
    z->timer_open = false;
}

void zygote_fini(struct zygote *z)
{
    assert(z->open == 0 && !z->timer_open);
    json_decref(z->confinement);
    json_decref(z->missing);
}
