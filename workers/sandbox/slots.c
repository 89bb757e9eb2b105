/*
 * slots.c: waiting for a sandbox slot or for a zygote.
 *
 * Worker threads. Slots are counted apart from jobs: many jobs may wait, few burn CPU. They are
 * given in the order of arrival. Waiting spins the worker's own loop, so its other business goes on;
 * the tick is only a safety net, the wake-ups come from sandbox_wake_waiters().
 */
#include "workers/sandbox/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

#define TICK_MS 1000

void sandbox_wake_waiters(struct sandbox *s)
{
    for (struct waiter *w = s->waiters; w; w = w->next)
        (void)uv_async_send(w->wake);
}

/* What a worker waits for: called under the lock, 1 when it is there, 0 to go on waiting, or an error. */
typedef int (*ready_fn)(struct sandbox *s, const struct waiter *self, void *arg, struct err *e);

static void append_waiter(struct sandbox *s, struct waiter *w)
{
    struct waiter **end = &s->waiters;
    while (*end)
        end = &(*end)->next;
    *end = w;
}

static void remove_waiter(struct sandbox *s, const struct waiter *w)
{
    struct waiter **at = &s->waiters;
    while (*at != w) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = w->next;
}

static int check(struct sandbox *s, struct worker_io *io, struct waiter *self, ready_fn ready, void *arg,
                 struct err *e)
{
    if (atomic_load(io->cancelled))
        return err_set(e, FERR_CANCELLED, "cancelled while waiting for the sandbox");
    if (s->stopping)
        return err_set(e, FERR_SHUTTING_DOWN, "the sandbox is stopping");
    return ready(s, self, arg, e);
}

static void on_tick(uv_timer_t *t)
{
    (void)t; /* uv_run() returns, and the condition is looked at again */
}

static void on_closed(uv_handle_t *h)
{
    *(bool *)h->data = true;
}

static int wait_until(struct sandbox *s, struct worker_io *io, bool for_slot, ready_fn ready, void *arg,
                      struct err *e)
{
    struct waiter self = {.wake = io->wake, .for_slot = for_slot};
    uv_timer_t tick;
    bool closed = false;
    int rc;

    uv_timer_init(io->loop, &tick);
    tick.data = &closed;
    uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);
    pthread_mutex_lock(&s->lock);
    append_waiter(s, &self);
    while ((rc = check(s, io, &self, ready, arg, e)) == 0) {
        pthread_mutex_unlock(&s->lock);
        uv_run(io->loop, UV_RUN_ONCE);
        pthread_mutex_lock(&s->lock);
    }
    remove_waiter(s, &self);
    sandbox_wake_waiters(s); /* another one may be first now */
    pthread_mutex_unlock(&s->lock);
    uv_close((uv_handle_t *)&tick, on_closed);
    while (!closed)
        uv_run(io->loop, UV_RUN_ONCE);
    return rc < 0 ? rc : 0;
}

static int slot_ready(struct sandbox *s, const struct waiter *self, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    for (const struct waiter *w = s->waiters; w != self; w = w->next) {
        if (w->for_slot)
            return 0;
    }
    if (s->slots_free == 0)
        return 0;
    s->slots_free--;
    return 1;
}

int sandbox_wait_slot(struct sandbox *s, struct worker_io *io, struct err *e)
{
    return wait_until(s, io, true, slot_ready, NULL, e);
}

void sandbox_release_slot(struct sandbox *s)
{
    pthread_mutex_lock(&s->lock);
    s->slots_free++;
    sandbox_wake_waiters(s);
    pthread_mutex_unlock(&s->lock);
}

struct wanted_zygote {
    enum sandbox_env env;
    int control;
    uint64_t life;
};

static int refuse(const struct zygote *z, struct err *e)
{
    const char *part = "zygote";
    const char *why = "it does not start";
    const json_t *first = json_array_get(z->missing, 0);
    if (first) {
        part = json_string_value(json_object_get(first, "part"));
        why = json_string_value(json_object_get(first, "why"));
    }
    return err_set(e, FERR_SANDBOX, "the %s sandbox does not work here: %s: %s", sandbox_env_name(z->env),
                   part, why);
}

static int zygote_ready(struct sandbox *s, const struct waiter *self, void *arg, struct err *e)
{
    (void)self;
    struct wanted_zygote *want = arg;
    struct zygote *z = &s->zygotes[want->env];
    if (z->state == ZYGOTE_FAILED)
        return refuse(z, e);
    if (z->state != ZYGOTE_READY || z->life == want->life)
        return 0;
    want->control = fcntl(z->control, F_DUPFD_CLOEXEC, 0);
    want->life = z->life;
    return want->control >= 0 ? 1 : err_errno(e, errno, "the zygote's socket");
}

int sandbox_wait_zygote(struct sandbox *s, struct worker_io *io, enum sandbox_env env, int *control,
                        uint64_t *life, struct err *e)
{
    struct wanted_zygote want = {.env = env, .control = -1, .life = *life};
    int rc = wait_until(s, io, false, zygote_ready, &want, e);
    *control = want.control;
    *life = want.life;
    return rc;
}

void sandbox_report_lost(struct sandbox *s, enum sandbox_env env, uint64_t life)
{
    pthread_mutex_lock(&s->lock);
    struct zygote *z = &s->zygotes[env];
    if (z->life == life && z->state == ZYGOTE_READY) {
        z->lost = true;
        (void)uv_async_send(&s->look);
    }
    pthread_mutex_unlock(&s->lock);
}
