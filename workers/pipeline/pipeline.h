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
#include "workers/verdict/verdict.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Constant after pipeline_init; shared by all workers. */
struct pipeline {
    struct store *store;     /* borrowed */
    struct sandbox *sandbox; /* borrowed */
    struct sandbox_limits limits;
    unsigned job_s;            /* seconds a job may take */
    int crashes;               /* so often the daemon may end in one step of a job */
    int draws, inputs, seed;   /* the oracle's recipe; a job's contract.seeds replaces the first two */
    char code[STORE_SHA_SIZE]; /* hash of the ferry package and of what the environments hold */
};

/* Main thread. Hashes the package below `package_dir` and the environments of the interpreters into p->code;
 * the other fields are the caller's. */
int pipeline_hash_code(struct pipeline *p, const char *package_dir,
                       const char *const python[SANDBOX_ENV_COUNT], struct err *e);

/* Worker thread. Runs the claimed job to its end. */
void pipeline_run(const struct pipeline *p, struct worker_io *io, const struct store_lease *lease);

/* ---- inside the pipeline ------------------------------------------------------------------------------- */

/* How a stretch of the pipeline came out; negative values are codes of err.h (the job goes back or fails as
 * internal). */
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
    json_t *request;                 /* canonical request */
    struct buf log;                  /* becomes logs.txt */
    int64_t started_us, deadline_us; /* monotonic */
    stage_set asked;                 /* the stages of this job's contract */
    bool given;                      /* the candidate is the caller's own */
    const char *part;                /* the class that is run by itself; borrowed, NULL for the whole */
    int attempt;                     /* the number of the candidate at hand, from 1 */
    bool plain;                      /* the candidate is drafted in the faithful style, whatever was asked */

    struct step_out inspected, captured, drafted, checked;
    json_t *judged;      /* of verdict_judge, or NULL */
    json_t *worst_case;  /* what the search for the worst input found, or NULL */
    json_t *accept_seed; /* of the held-out stages, or NULL */

    json_t *taken_back;                     /* array: switches of the idiomatic style that did not hold */
    json_t *assumptions, *refusals, *notes; /* arrays */
    json_t *parts;                          /* array: a row for each class */
    json_t *versions, *confinement;         /* objects: by environment */
    json_t *seconds, *stage_seconds;        /* objects: by step function, by stage */

    /* Set by run_end(). */
    enum verdict_kind verdict;
    int reason;    /* enum reason, or -1 for a proven job */
    json_t *error; /* object or NULL */
};

/* One input of a step: a stored blob under the name that the step uses. */
struct step_in {
    const char *name, *sha;
};

/* A function of the ferry package: docs/steps.md. */
enum function {
    FUNCTION_INSPECT,
    FUNCTION_CAPTURE,
    FUNCTION_DRAFT,
    FUNCTION_CHECK,
    FUNCTION_ACCEPT,
    FUNCTION_SAMPLE,
    FUNCTION_FINGERPRINT,
    FUNCTION_DELIVER
};

/* Runs (or finds) one step, as a part of the job's step `kind`. `request` is borrowed. RUN_GO_ON with `out`
 * filled; RUN_ENDED after run_end(); or a code. */
int step_run(struct run *r, enum step_kind kind, enum function function, json_t *request,
             const struct step_in *ins, size_t n_in, const char *const *outs, size_t n_out,
             struct step_out *out, struct err *e);

/* Decides how the job ends. `candidate` says on whose side it happened; `error` (borrowed, or NULL) becomes
 * result.error. Returns RUN_ENDED. */
int run_end(struct run *r, enum reason reason, bool candidate, json_t *error);
/* "message" as an error object: new reference. */
json_t *run_error(enum reason reason, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* After a step that does not decide the job: its bad end, or a sandbox that can't run it, becomes RUN_GO_ON.
 * True where it went well. */
bool run_went_well(struct run *r, int *rc);
/* Adds to an array what it does not have yet of another; `more` may be NULL. */
void run_extend(json_t *array, const json_t *more);
/* Takes assumptions, notes and, for an environment, versions out of a step's result. */
void run_take_notes(struct run *r, const struct step_out *step, const char *env);

/* run.c: a run and its stretches in two parts. `run_fini` closes its reader and its job. */
void run_init(struct run *r, const struct pipeline *p, struct worker_io *io, const struct store_lease *lease);
void run_fini(struct run *r);
int run_to_oracle(struct run *r, struct err *e);
int run_to_verdict(struct run *r, struct err *e);

/* request.c: the requests of steps. New references; NULL where a result that they need lacks a part. */
json_t *run_source_request(const struct run *r);
json_t *run_capture_request(const struct run *r); /* also the base of what reruns the source */

/* One run of a candidate: the oracle that it meets and what is wanted of it. */
struct trial {
    const struct step_out *oracle; /* of capture or accept: a plan, and the blobs given and expected */
    stage_set stages;
    bool locate;
    int map_choice; /* where the map is inferred: which of the possible ones */
};
json_t *run_check_request(const struct run *r, const struct trial *t);

/* judge.c: maps a blob's tensors; NULL where it is empty. */
int run_open_tensors(struct run *r, const char *sha, struct st_file **out, struct err *e);
/* What a sandbox wrote may be malformed, the fault of the source in an oracle, of the candidate in its
 * arrays: turns such a code into RUN_ENDED. */
int run_malformed(struct run *r, int rc, bool candidate, const char *what, const struct err *e);
/* judge.c: an oracle whose plan or tensors can't be used ends the job before a candidate meets it. */
int run_check_oracle(struct run *r, const struct step_out *oracle, struct err *e);
/* sample.c: many runs of both sides, for cases that a check could not replay; nothing where there are none.
 */
struct samples {
    struct step_out source, candidate;
};
void samples_fini(struct samples *s);
int run_sample(struct run *r, const struct trial *t, const struct step_out *checked, struct samples *out,
               struct err *e);
/* judge.c: opens both sides' arrays and hands them to a function of the verdict. `samples` may be NULL. */
int run_decide(struct run *r, const struct trial *t, const struct step_out *checked,
               const struct samples *samples, verdict_function *decide, json_t **out, struct err *e);
/* judge.c: runs a candidate; and decides what it gave, in `*judgement` (new). RUN_GO_ON, RUN_ENDED or a code.
 */
int run_trial(struct run *r, enum step_kind kind, const struct trial *t, struct step_out *checked,
              struct err *e);
int run_judge_trial(struct run *r, const struct trial *t, const struct step_out *checked, json_t **judgement,
                    struct err *e);
/* True where the outcome is a proof, with or without assumptions. */
bool run_is_proven(const struct run *r);
/* True where a judgement says `equal`. */
bool run_is_equal(const json_t *judgement);
/* judge.c: the stretches from the check to the verdict. */
int run_check(struct run *r, struct err *e);
int run_judge(struct run *r, struct err *e);
int run_conclude(struct run *r, struct err *e);
/* place.c: where and, if it is a known bug, why a judgement's first difference arises. */
int run_locate(struct run *r, struct err *e);
/* accept.c: a number below 2^31 that follows from source, candidate and map; new reference. */
int run_seed(const struct run *r, json_t **out, struct err *e);
/* accept.c: the stages that nothing has seen before, for a candidate that passed all others. */
int run_accept(struct run *r, struct err *e);

/* run.c: the builtin engine's candidate, without the switches that were taken back. */
int run_draft(struct run *r, struct err *e);
/* restyle.c: a candidate of the idiomatic style that differs loses the switches at fault, each alone. */
int run_restyle(struct run *r, struct err *e);
/* restyle.c: true where the candidate's classes take and give images of another layout than the source's. */
bool run_is_relaid(const struct run *r);
/* restyle.c: {"made", "taken_back"} for the report; null in the faithful style. New reference. */
json_t *run_switches(const struct run *r);

/* given.c: the caller's own candidate takes the place of a draft. */
int run_given(struct run *r, struct err *e);
/* given.c: after the check, the map that was inferred; where the first one did not pass, the others in turn.
 */
void run_take_map(struct run *r);
int run_choose_map(struct run *r, struct err *e);
/* given.c: adds to an error of the map what could not be matched. */
void run_name_unmatched(const struct run *r, json_t *error);

/* parts.c: fills r->parts once the whole's verdict is known, which it leaves as it is. RUN_GO_ON or a code.
 */
int run_parts(struct run *r, struct err *e);

/* picture.c: the error of each stage against its tolerance, as SVG; malloc'd, NULL when out of memory. */
char *run_picture(const json_t *stages);
/* report.c: `result` of the job resource, usage, and report.json. New references. */
json_t *run_result(const struct run *r);
json_t *run_usage(const struct run *r);
json_t *run_report(const struct run *r);
/* attempt.c: stores the candidate with what is known of it. */
int run_store_attempt(struct run *r, struct err *e);
/* deliver.c: report, diff, logs and, where there is a candidate, the bundle. */
int run_deliver(struct run *r, struct err *e);
/* A JSON value or a text as an artifact. */
int run_store_text(struct run *r, const char *name, const char *media_type, const char *text, size_t len,
                   struct err *e);

#endif
