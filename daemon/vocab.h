/*
 * vocab.h: the vocabularies of ferryd, one table each.
 *
 * Code, schema.sql (CHECK lists), openapi.yaml (enums) and the docs are tested against
 * these tables; nothing else spells their words. Order matters where a comment says so.
 */
#ifndef FERRY_DAEMON_VOCAB_H
#define FERRY_DAEMON_VOCAB_H

#include <stdbool.h>
#include <stddef.h>

/* Job states; `final` ones never change again. */
#define JOB_STATE_TABLE(X)             \
    X(QUEUED, "queued", false)         \
    X(RUNNING, "running", false)       \
    X(WAITING, "waiting", false)       \
    X(CANCELLING, "cancelling", false) \
    X(SUCCEEDED, "succeeded", true)    \
    X(FAILED, "failed", true)          \
    X(CANCELLED, "cancelled", true)

/* Steps of a job in order; `env` is the sandbox that runs it, or NONE for C and the engine. */
#define STEP_TABLE(X)            \
    X(INTAKE, "intake", NONE)    \
    X(INSPECT, "inspect", TORCH) \
    X(CAPTURE, "capture", TORCH) \
    X(DRAFT, "draft", TORCH)     \
    X(CHECK, "check", JAX)       \
    X(DEBUG, "debug", NONE)      \
    X(ACCEPT, "accept", JAX)     \
    X(DELIVER, "deliver", TORCH)

/* Stages of the contract, in order: a later one counts only after the earlier. The group is the word by which
 * a request asks for several stages at once; the stages of ALWAYS are those that no other can do without. */
#define STAGE_TABLE(X)                     \
    X(PARSE, "parse", ALWAYS)              \
    X(IMPORT, "import", ALWAYS)            \
    X(BUILD, "build", ALWAYS)              \
    X(WEIGHTS, "weights", ALWAYS)          \
    X(SHAPES, "shapes", ALWAYS)            \
    X(FORWARD_F64, "forward_f64", FORWARD) \
    X(FORWARD_F32, "forward_f32", FORWARD) \
    X(RESIZE, "resize", FORWARD)           \
    X(GRADIENTS, "gradients", GRADIENTS)   \
    X(TRAIN_STATE, "train_state", TRAIN)   \
    X(OPTIMIZER, "optimizer", OPTIMIZER)   \
    X(JIT, "jit", FORWARD)                 \
    X(HELDOUT, "heldout", FORWARD)         \
    X(WORST_CASE, "worst_case", FORWARD)

#define STAGE_GROUP_TABLE(X)  \
    X(ALWAYS, "always")       \
    X(FORWARD, "forward")     \
    X(GRADIENTS, "gradients") \
    X(TRAIN, "train")         \
    X(OPTIMIZER, "optimizer")

#define STAGE_STATUS_TABLE(X) \
    X(PASSED, "passed")       \
    X(FAILED, "failed")       \
    X(NOT_RUN, "not_run")     \
    X(NOT_APPLICABLE, "not_applicable")

#define VERDICT_TABLE(X)                                  \
    X(EQUAL, "equal")                                     \
    X(EQUAL_UNDER_ASSUMPTIONS, "equal_under_assumptions") \
    X(DIFFERS, "differs")                                 \
    X(REFUSED, "refused")                                 \
    X(VACUOUS, "vacuous")                                 \
    X(SOURCE_ERROR, "source_error")

/* Why a job did not succeed (`result.reason`), with the verdict that goes with it. A step
 * of the candidate that fails ends as DIFFERS whatever stopped it: see reason_verdict(). */
#define REASON_TABLE(X)                                                                                      \
    X(SOURCE_SYNTAX, "source_syntax", SOURCE_ERROR, "The source does not parse")                             \
    X(SOURCE_IMPORT, "source_import", SOURCE_ERROR, "Importing the source raised an error")                  \
    X(SOURCE_ERROR, "source_error", SOURCE_ERROR, "Running the source raised an error")                      \
    X(MISSING_PACKAGE, "missing_package", SOURCE_ERROR, "The source needs a package that is not installed")  \
    X(ENTRY_NOT_FOUND, "entry_not_found", SOURCE_ERROR, "The entry is not in the source")                    \
    X(ENTRY_AMBIGUOUS, "entry_ambiguous", SOURCE_ERROR, "The source has several possible entries")           \
    X(INIT_UNKNOWN, "init_unknown", SOURCE_ERROR, "A constructor argument could not be inferred")            \
    X(INPUTS_UNKNOWN, "inputs_unknown", SOURCE_ERROR, "An input could not be inferred")                      \
    X(INPUTS_REFUSED, "inputs_refused", SOURCE_ERROR, "The source does not accept the inputs")               \
    X(UNSUPPORTED_EXPRESSION, "unsupported_expression", SOURCE_ERROR,                                        \
      "An expression cannot be evaluated on the JAX side")                                                   \
    X(UNSUPPORTED_OUTPUT, "unsupported_output", SOURCE_ERROR,                                                \
      "The source's output is not a tree of tensors")                                                        \
    X(REFUSED, "refused", REFUSED, "The engine cannot translate a construct")                                \
    X(DIFFERS, "differs", DIFFERS, "The candidate computes something else")                                  \
    X(CANDIDATE_ERROR, "candidate_error", DIFFERS, "The candidate raised an error")                          \
    X(CANDIDATE_IMPORT, "candidate_import", DIFFERS, "The candidate imports what it may not")                \
    X(WEIGHT_MAP, "weight_map", DIFFERS, "The weight map does not fit")                                      \
    X(DRAWS_DIFFER, "draws_differ", DIFFERS, "The candidate draws random numbers differently")               \
    X(VACUOUS, "vacuous", VACUOUS, "The output reacts to nothing, so any answer would pass")                 \
    X(LIMIT_WALL, "limit_wall", SOURCE_ERROR, "A step passed its wall-clock limit")                          \
    X(LIMIT_CPU, "limit_cpu", SOURCE_ERROR, "A step passed its CPU limit")                                   \
    X(LIMIT_MEMORY, "limit_memory", SOURCE_ERROR, "A step passed its memory limit")                          \
    X(LIMIT_PROCESSES, "limit_processes", SOURCE_ERROR, "A step passed its process limit")                   \
    X(LIMIT_OUTPUT, "limit_output", SOURCE_ERROR, "A step printed more than its limit")                      \
    X(LIMIT_FILE_SIZE, "limit_file_size", SOURCE_ERROR, "A step wrote a file larger than its limit")         \
    X(STEP_CRASHED, "step_crashed", SOURCE_ERROR, "A step's process ended without a result")                 \
    X(RESULT_INVALID, "result_invalid", SOURCE_ERROR, "A step's result is malformed")                        \
    X(BUDGET, "budget", DIFFERS, "The job's budget is spent")                                                \
    X(ABANDONED, "abandoned", SOURCE_ERROR, "ferryd ended several times while it ran the job")               \
    X(SANDBOX_UNAVAILABLE, "sandbox_unavailable", SOURCE_ERROR, "The sandbox does not work on this machine") \
    X(INTERNAL, "internal", SOURCE_ERROR, "ferryd itself failed")

#define ENGINE_TABLE(X)                                                          \
    X(AUTO, "auto", true, "builtin first; a configured model gets what is left") \
    X(BUILTIN, "builtin", true, "the deterministic translator")                  \
    X(GIVEN, "given", true, "the caller's own candidate: with the kind verify, and only there")

#define STYLE_TABLE(X)      \
    X(FAITHFUL, "faithful") \
    X(IDIOMATIC, "idiomatic")

#define KIND_TABLE(X)     \
    X(MIGRATE, "migrate") \
    X(VERIFY, "verify")

/* Events of a job; the job row is their fold (store/fold.c). */
#define EVENT_TABLE(X)                    \
    X(JOB_QUEUED, "job.queued")           \
    X(JOB_STARTED, "job.started")         \
    X(JOB_RESUMED, "job.resumed")         \
    X(STEP_STARTED, "step.started")       \
    X(STEP_FINISHED, "step.finished")     \
    X(ATTEMPT_CREATED, "attempt.created") \
    X(ATTEMPT_CHECKED, "attempt.checked") \
    X(ARTIFACT_STORED, "artifact.stored") \
    X(JOB_CANCELLING, "job.cancelling")   \
    X(JOB_SUCCEEDED, "job.succeeded")     \
    X(JOB_FAILED, "job.failed")           \
    X(JOB_CANCELLED, "job.cancelled")

#define X(name, ...) JOB_STATE_##name,
enum job_state { JOB_STATE_TABLE(X) JOB_STATE_COUNT };
#undef X
#define X(name, ...) STEP_##name,
enum step_kind { STEP_TABLE(X) STEP_COUNT };
#undef X
#define X(name, ...) STAGE_##name,
enum stage { STAGE_TABLE(X) STAGE_COUNT };
#undef X
#define X(name, ...) STAGE_GROUP_##name,
enum stage_group { STAGE_GROUP_TABLE(X) STAGE_GROUP_COUNT };
#undef X
#define X(name, ...) STAGE_STATUS_##name,
enum stage_status { STAGE_STATUS_TABLE(X) STAGE_STATUS_COUNT };
#undef X
#define X(name, ...) VERDICT_##name,
enum verdict_kind { VERDICT_TABLE(X) VERDICT_COUNT };
#undef X
#define X(name, ...) REASON_##name,
enum reason { REASON_TABLE(X) REASON_COUNT };
#undef X
#define X(name, ...) ENGINE_##name,
enum engine { ENGINE_TABLE(X) ENGINE_COUNT };
#undef X
#define X(name, ...) STYLE_##name,
enum style { STYLE_TABLE(X) STYLE_COUNT };
#undef X
#define X(name, ...) KIND_##name,
enum job_kind { KIND_TABLE(X) KIND_COUNT };
#undef X
#define X(name, ...) EVENT_##name,
enum event_type { EVENT_TABLE(X) EVENT_COUNT };
#undef X

/* A set of stages: bit s stands for stage s. */
typedef unsigned stage_set;
#define STAGE_BIT(s) (1u << (s))
#define STAGES_ALL (STAGE_BIT(STAGE_COUNT) - 1)
/* Those that are run once the candidate is final, on what nothing has seen before. */
#define STAGES_ACCEPT (STAGE_BIT(STAGE_HELDOUT) | STAGE_BIT(STAGE_WORST_CASE))

/* Words of the tables, by index; asserts that the index is in range. */
const char *job_state_name(enum job_state v);
bool job_state_final(enum job_state v);
const char *step_name(enum step_kind v);
const char *stage_name(enum stage v);
enum stage_group stage_group_of(enum stage v);
const char *stage_status_name(enum stage_status v);
const char *verdict_name(enum verdict_kind v);
const char *reason_name(enum reason v);
const char *reason_title(enum reason v);
/* The verdict that a reason gives: in a step of the candidate (`candidate`), a limit or a crash
 * is the candidate's fault and means DIFFERS. */
enum verdict_kind reason_verdict(enum reason v, bool candidate);
const char *engine_name(enum engine v);
const char *engine_about(enum engine v);
const char *style_name(enum style v);
const char *kind_name(enum job_kind v);
const char *event_name(enum event_type v);

/* Index of a word, or -1. `s` may be NULL (-1). */
int job_state_parse(const char *s);
int stage_parse(const char *s);
int stage_group_parse(const char *s);
int stage_status_parse(const char *s);
int verdict_parse(const char *s);
int reason_parse(const char *s);
int engine_parse(const char *s);
int style_parse(const char *s);
int kind_parse(const char *s);
int event_parse(const char *s);

#endif
