/*
 * sandbox.c: the sandbox as the daemon sees it: made, asked for its state, stopped.
 *
 * Main thread, but for sandbox_ready() and sandbox_status(). The two zygotes are supervised in
 * zygote.c, steps run in step.c. Nothing here is fatal: a sandbox that does not work exists and refuses.
 */
#include "workers/sandbox/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *sandbox_env_name(enum sandbox_env env)
{
    return env == SANDBOX_JAX ? "jax" : "torch";
}

static void on_look(uv_async_t *look)
{
    struct sandbox *s = look->data;
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++)
        zygote_look(&s->zygotes[i]);
}

static unsigned default_slots(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (unsigned)cores : 1;
}

static int copy_options(struct sandbox *s, const struct sandbox_options *opts)
{
    s->mode = opts->mode;
    s->slots_free = opts->slots ? opts->slots : default_slots();
    s->jail = strdup(opts->jail);
    s->package_dir = strdup(opts->package_dir);
    s->cgroup = opts->cgroup ? strdup(opts->cgroup) : NULL;
    bool complete = s->jail && s->package_dir && (s->cgroup || !opts->cgroup);
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++) {
        s->python[i] = strdup(opts->python[i]);
        complete = complete && s->python[i];
    }
    return complete ? 0 : -1;
}

static void free_options(struct sandbox *s)
{
    free(s->jail);
    free(s->package_dir);
    free(s->cgroup);
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++)
        free(s->python[i]);
}

int sandbox_new(const struct sandbox_options *opts, uv_loop_t *main_loop, struct sandbox **out, struct err *e)
{
    struct sandbox *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s || copy_options(s, opts) != 0) {
        if (s)
            free_options(s);
        free(s);
        return err_set(e, FERR_NO_MEMORY, "no memory for the sandbox");
    }
    s->main_loop = main_loop;
    pthread_mutex_init(&s->lock, NULL);
    (void)uv_async_init(main_loop, &s->look, on_look);
    s->look.data = s;
    *out = s;
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++)
        zygote_open(&s->zygotes[i], s, (enum sandbox_env)i);
    return 0;
}

void sandbox_stop(struct sandbox *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    sandbox_wake_waiters(s);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++)
        zygote_close(&s->zygotes[i]);
    uv_close((uv_handle_t *)&s->look, NULL);
}

void sandbox_free(struct sandbox *s)
{
    if (!s)
        return;
    assert(s->stopping && !s->waiters);
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++)
        zygote_fini(&s->zygotes[i]);
    pthread_mutex_destroy(&s->lock);
    free_options(s);
    free(s);
}

bool sandbox_ready(struct sandbox *s)
{
    bool ready = true;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SANDBOX_ENV_COUNT; i++)
        ready = ready && s->zygotes[i].state == ZYGOTE_READY;
    pthread_mutex_unlock(&s->lock);
    return ready;
}

static json_int_t resident_bytes(pid_t pid)
{
    char path[64];
    long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    if (!f)
        return 0;
    if (fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    (void)fclose(f);
    return (json_int_t)pages * sysconf(_SC_PAGESIZE);
}

static json_t *zygote_status(const struct zygote *z)
{
    static const char *const STATES[] = {"starting", "ready", "failed"};
    return json_pack("{s:s, s:I, s:I, s:i, s:o, s:o}", "state", STATES[z->state], "pid", (json_int_t)z->pid,
                     "rss_bytes", resident_bytes(z->pid), "restarts", (int)z->restarts, "confinement",
                     json_deep_copy(z->confinement), "missing", json_deep_copy(z->missing));
}

json_t *sandbox_status(struct sandbox *s)
{
    pthread_mutex_lock(&s->lock);
    json_t *status =
        json_pack("{s:s, s:o, s:o, s:o}", "mode", s->mode == SANDBOX_WEAK ? "weak" : "strict", "cgroup",
                  s->cgroup ? cgroup_status(s->cgroup) : json_null(), "torch",
                  zygote_status(&s->zygotes[SANDBOX_TORCH]), "jax", zygote_status(&s->zygotes[SANDBOX_JAX]));
    pthread_mutex_unlock(&s->lock);
    return status;
}
