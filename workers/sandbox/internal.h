/*
 * internal.h: what the files of workers/sandbox share; nobody else includes it.
 *
 * Two kinds of threads meet here. The main thread starts and supervises the zygotes (zygote.c);
 * workers wait for a slot (slots.c) and run steps (step.c). What both touch lies under
 * `sandbox.lock`, which is never held across a call that may block; a worker that waits for a
 * change of it has a `struct waiter` in the list and is woken through its own loop.
 */
#ifndef FERRY_WORKERS_SANDBOX_INTERNAL_H
#define FERRY_WORKERS_SANDBOX_INTERNAL_H

#include "workers/sandbox/sandbox.h"

#include <pthread.h>
#include <sys/types.h>

enum zygote_state { ZYGOTE_STARTING, ZYGOTE_READY, ZYGOTE_FAILED };

#define ZYGOTE_LINE 512

struct zygote {
    struct sandbox *owner; /* borrowed */
    enum sandbox_env env;

    /* main thread only */
    uv_process_t process;
    uv_pipe_t log;
    uv_poll_t control_poll;
    uv_timer_t timer;  /* start deadline, then pause before the next start */
    unsigned open;     /* handles of this life (not `timer`) that are not closed yet */
    unsigned failures; /* lives in a row that ended before they served for long */
    uint64_t ready_at; /* loop time in ms; 0 before hello */
    bool timer_open;
    bool doomed;            /* does not start again: what is missing will not appear */
    char line[ZYGOTE_LINE]; /* of its stderr, not complete yet */
    size_t line_len;
    char last_line[ZYGOTE_LINE];

    /* under owner->lock */
    enum zygote_state state;
    int control; /* our end of the control socket, -1 where there is none */
    pid_t pid;   /* of the Python process, 0 before hello */
    unsigned restarts;
    uint64_t life;       /* counts starts, so that a worker can tell which one it used */
    bool lost;           /* a worker lost its step: end this life */
    json_t *confinement; /* array, never NULL */
    json_t *missing;     /* array of {"part", "why"}, never NULL */
};

/* On the stack of a worker, in the list while it waits. Strict order: first come, first served. */
struct waiter {
    struct waiter *next;
    uv_async_t *wake;
    bool for_slot;
};

struct sandbox {
    /* set once */
    enum sandbox_mode mode;
    char *jail;
    char *python[SANDBOX_ENV_COUNT];
    char *package_dir;
    char *cgroup; /* or NULL */
    uv_loop_t *main_loop;

    uv_async_t look; /* any thread sends; handled on the main thread */

    pthread_mutex_t lock;
    /* under lock */
    unsigned slots_free;
    struct waiter *waiters;
    bool stopping;
    struct zygote zygotes[SANDBOX_ENV_COUNT];
};

const char *sandbox_env_name(enum sandbox_env env); /* "torch", "jax" */

/* zygote.c, main thread. zygote_open() starts the first life; zygote_look() does what other threads asked
 * for. */
void zygote_open(struct zygote *z, struct sandbox *s, enum sandbox_env env);
void zygote_look(struct zygote *z);
void zygote_close(struct zygote *z);
void zygote_fini(struct zygote *z);
/* control.c, main thread: reads the zygote's first message. 1 when it came, 0 when there is nothing yet, -1
 * when the other end is closed or what came is not a hello. The arrays are new references. */
int control_read_hello(int fd, pid_t *pid, json_t **confinement, json_t **missing);

/* cgroup.c, any thread. Whether the process is a member; and for /readyz {"folder", "version",
 * "memory_bytes"}, the last two null where the folder has no memory controller or no limit. */
bool cgroup_holds(const char *folder, pid_t pid);
json_t *cgroup_status(const char *folder);

/* slots.c, worker thread. wait_slot() and wait_zygote() spin the worker's loop. */
int sandbox_wait_slot(struct sandbox *s, struct worker_io *io, struct err *e);
void sandbox_release_slot(struct sandbox *s);
/* A descriptor of our own of the control socket of a life other than `*life`, which is then set to it (0:
 * any). */
int sandbox_wait_zygote(struct sandbox *s, struct worker_io *io, enum sandbox_env env, int *control,
                        uint64_t *life, struct err *e);
/* Under s->lock: everybody who waits looks again. */
void sandbox_wake_waiters(struct sandbox *s);
/* Worker thread: life `life` of the zygote is of no use any more; it is ended where it still lives. */
void sandbox_report_lost(struct sandbox *s, enum sandbox_env env, uint64_t life);

/* fds.c */
int fd_memfile(const char *name, struct err *e);                                    /* empty, may be sealed */
int fd_memfile_with(const char *name, const char *data, size_t len, struct err *e); /* read-only, sealed */
int fd_read_only(int fd, struct err *e); /* a new description of the same file */
int fd_seal(int fd);                     /* 0 when nobody can change it any more */
void fd_close(int *fd);                  /* sets it to -1 */
/* One datagram with descriptors; waits a second at most. */
int fd_send(int sock, const char *text, const int *fds, size_t n, struct err *e);
/* One datagram: its length, 0 at the end, -1 with errno. `passed` is a descriptor that came along, or -1. */
ssize_t fd_receive(int sock, char *text, size_t size, int *passed);

/* collect.c: judges what a step left behind; all of it is untrusted. */
struct step_end {
    bool exited;
    int code;          /* exit status, or signal */
    enum reason limit; /* REASON_COUNT where no limit was passed */
};
#define STEP_NO_LIMIT REASON_COUNT
/* Takes over `out_fds`; fills ok, reason, detail, result and out_fds of `out`. */
void step_collect(const struct sandbox_step *step, const struct step_end *end, int result_fd, int out_fds[4],
                  struct sandbox_result *out);

/* output.c: what a step prints, up to a limit. Owned by the worker that runs the step. */
struct step_output {
    char *text; /* NUL-terminated once finished; owned */
    size_t len, capacity, most;
};
/* Takes what is in the pipe now. 1 while more may come, 0 at its end, -1 when the limit is passed. */
int step_output_read(struct step_output *o, int pipe);
/* The text, for the caller to free; NULL where nothing was printed and no memory was had. */
char *step_output_finish(struct step_output *o);

#endif
