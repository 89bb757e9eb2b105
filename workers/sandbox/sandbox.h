/*
 * sandbox.h: run one confined step in the torch or the jax sandbox.
 *
 * The daemon owns one `struct sandbox`: it starts and supervises the two zygotes and counts
 * sandbox slots. Workers call sandbox_run(), which looks blocking: it spins the worker's own
 * uv loop until the step ended, was cancelled or passed a limit. The protocol is docs/steps.md.
 * Everything that comes back from a step is untrusted bytes of bounded size.
 */
#ifndef FERRY_WORKERS_SANDBOX_H
#define FERRY_WORKERS_SANDBOX_H

#include "daemon/err.h"
#include "daemon/vocab.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum sandbox_env { SANDBOX_TORCH, SANDBOX_JAX, SANDBOX_ENV_COUNT };

enum sandbox_mode { SANDBOX_STRICT, SANDBOX_WEAK };

struct sandbox_options {
    enum sandbox_mode mode;
    const char *jail;                      /* path of ferry-jail */
    const char *python[SANDBOX_ENV_COUNT]; /* interpreters of the two environments */
    const char *package_dir;               /* folder that holds the ferry package */
    const char *cgroup;                    /* folder of a cgroup that both zygotes must join, or NULL */
    unsigned slots;                        /* steps that run at once; 0 means one per core */
};

struct sandbox_limits {
    unsigned wall_ms;
    unsigned cpu_s;
    uint64_t memory_bytes;
    unsigned processes;
    uint64_t output_bytes; /* of stdout and stderr together */
    uint64_t file_bytes;   /* of each out file and of the result */
};

struct sandbox;

/* Main thread. `main_loop` runs the supervision; borrowed until sandbox_free. Starts both zygotes in the
 * background: sandbox_ready() tells when they serve. Where a part of the confinement does not work and the
 * mode is strict, the sandbox exists but refuses steps (FERR_SANDBOX) and says which part in its status. */
int sandbox_new(const struct sandbox_options *opts, uv_loop_t *main_loop, struct sandbox **out,
                struct err *e);
/* Main thread; kills what still runs, closes its handles on the main loop (the caller then runs the loop
 * dry), and frees. */
void sandbox_stop(struct sandbox *s);
void sandbox_free(struct sandbox *s);

/* Any thread. Both zygotes serve. */
bool sandbox_ready(struct sandbox *s);
/* Any thread; a new reference: {"mode": "strict", "cgroup": {"folder", "version", "memory_bytes"} or null,
 * "torch": {"state": "ready" | "starting" | "failed", "pid": 12, "rss_bytes": …, "restarts": 0,
 * "confinement": ["userns", "pidns", "netns", "seccomp", "landlock", …], "missing": [{"part", "why"}]},
 * "jax": {…}} */
json_t *sandbox_status(struct sandbox *s);

struct sandbox_step {
    enum sandbox_env env;
    const char *name;    /* key of ferry.steps.STEPS */
    const char *request; /* JSON text, borrowed */
    size_t request_len;
    size_t n_in;
    const char *in_names[4];
    int in_fds[4]; /* borrowed; passed read-only */
    size_t n_out;
    const char *out_names[4];
    struct sandbox_limits limits;
};

struct sandbox_result {
    bool ok;              /* the step ended by itself with a well-formed result object */
    enum reason reason;   /* where !ok: a limit, STEP_CRASHED, RESULT_INVALID, SANDBOX_UNAVAILABLE */
    char detail[256];     /* where !ok: for people ("killed: 1.2 GiB of 1 GiB memory") */
    json_t *result;       /* where ok; owned */
    int out_fds[4];       /* sealed memfds, owned, -1 where absent */
    char *output;         /* stdout and stderr, interleaved, cut at the limit; owned, NUL-terminated */
    json_t *confinement;  /* array of strings: what was in force; owned, may be NULL */
    double wall_s, cpu_s; /* seconds */
    uint64_t peak_rss_bytes;
};

/* What a worker lends to the helpers that look blocking. Worker thread only, but for the atomics and `wake`.
 */
struct worker_io {
    uv_loop_t *loop;        /* the worker's own */
    uv_async_t *wake;       /* sent by others after they set a flag below */
    atomic_bool *cancelled; /* the job's: stop as soon as possible */
};

/* Worker thread. Waits for a slot, runs the step, fills `out` (always; free with sandbox_result_fini).
 * 0 when the step ran, whatever came of it (see out->ok); FERR_CANCELLED when cancelled; FERR_SANDBOX where
 * the sandbox refuses; FERR_SHUTTING_DOWN. A step whose zygote died is tried again once. */
int sandbox_run(struct sandbox *s, struct worker_io *io, const struct sandbox_step *step,
                struct sandbox_result *out, struct err *e);
void sandbox_result_fini(struct sandbox_result *r);

#endif
