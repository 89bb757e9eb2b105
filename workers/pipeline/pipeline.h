/*
 * pipeline.h: one job from its claim to its end.
 *
 * pipeline_run() is what a worker does with a job: the steps of STEP_TABLE in order, each a pure
 * function of stored blobs whose result is kept under the hash of its inputs (step.c), so that a
 * restart goes on after the last finished one. Whatever happens, the job is either brought to a final state
 * or given back to the queue.
 */
#ifndef FERRY_WORKERS_PIPELINE_PIPELINE_H
#define FERRY_WORKERS_PIPELINE_PIPELINE_H

#include "daemon/buf.h"
#include "daemon/err.h"
#include "daemon/vocab.h"
#include "store/store.h"
#include "workers/sandbox/sandbox.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Constant after pipeline_init; shared by all workers. */
struct pipeline {
    struct store *store;     /* borrowed */
    struct sandbox *sandbox; /* borrowed */
    struct sandbox_limits limits;
    unsigned job_s; /* seconds a job may take */
    int draws, inputs, seed; /* the oracle's recipe */
    char code[STORE_SHA_SIZE]; /* hash of the ferry package and of what the environments hold */
};

/* Main thread. Hashes the package below `package_dir` and the environments of the interpreters into p->code;
 * the other fields are the caller's. */
int pipeline_hash_code(struct pipeline *p, const char *package_dir, const char *const python[SANDBOX_ENV_COUNT],
                       struct err *e);

/* Worker thread. Runs the claimed job to its end. */
void pipeline_run(const struct pipeline *p, struct worker_io *io, const struct store_lease *lease);

/* ---- inside the pipeline ------------------------------------------------------------------------------- */

/* How a stretch of the pipeline came out; negative values are codes of err.h (the job goes back or fails as internal). */
enum { RUN_GO_ON = 0, RUN_ENDED = 1 };

struct step_out {
    json_t *result; /* the step's result object; owned */
    size_t n_out;
    char out_names[4][16];
    char out_sha[4][STORE_SHA_SIZE];
};
void step_out_fini(struct step_out *o);
/* sha of an out by name; NULL where the step has none of that name. */
const char *step_out_sha(const struct step_out *o, const char *name);

/* What one job carries from step to step. Worker thread only. */
struct run {
    const struct pipeline *p; /* borrowed */
    struct worker_io *io;     /* borrowed */
    const struct store_lease *lease;
    struct store_reader *reader;
    struct store_job job;
    json_t *request; /* canonical request */
    struct buf log;  /* becomes logs.txt */
    int64_t started_us, deadline_us; /* monotonic */
    int steps_done;
    bool deadline_passed;

    struct step_out inspected, captured, drafted, checked;
    json_t *judged; /* of verdict_judge, or NULL */

    json_t *assumptions, *refusals, *notes; /* arrays */
    json_t *versions, *confinement, *seconds; /* objects: by environment or step */

    /* Set once by run_end(). */
    bool ended;
    enum verdict_kind verdict;
    int reason;    /* enum reason, or -1 for a proven job */
    json_t *error; /* object or NULL */
};

/* One input of a step: a stored blob under the name that the step uses. */
struct step_in {
    const char *name, *sha;
};

/* Runs (or finds) one step. `request` is borrowed. RUN_GO_ON with `out` filled; RUN_ENDED after run_end(); or a code. */
int step_run(struct run *r, enum step_kind kind, const char *function, json_t *request, const struct step_in *ins,
             size_t n_in, const char *const *outs, size_t n_out, struct step_out *out, struct err *e);

/* Decides how the job ends. `candidate` says on whose side it happened; `error` (borrowed, or NULL) becomes result.error.
 * Returns RUN_ENDED. */
int run_end(struct run *r, enum reason reason, bool candidate, json_t *error);
/* "message" as an error object: new reference. */
json_t *run_error(enum reason reason, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds an array's elements to another; `more` may be NULL. */
void run_extend(json_t *array, const json_t *more);

/* judge.c: compares what check gave, locates the first difference, stores the attempt. */
int run_judge(struct run *r, struct err *e);
/* draft.c: the request of a step that gets the candidate. New reference. */
json_t *run_check_request(const struct run *r, bool locate);
/* report.c: `result` of the job resource, usage, and report.json. New references. */
json_t *run_result(const struct run *r);
json_t *run_usage(const struct run *r);
json_t *run_report(const struct run *r);
/* attempt.c: stores the candidate with what is known of it. */
int run_store_attempt(struct run *r, struct err *e);
/* deliver.c: report, diff, logs and, where there is a candidate, the bundle. */
int run_deliver(struct run *r, struct err *e);
/* A JSON value or a text as an artifact. */
int run_store_text(struct run *r, const char *name, const char *media_type, const char *text, size_t len, struct err *e);

#endif
