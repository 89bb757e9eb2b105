/*
 * verdict.h: the decision, taken in C from raw arrays.
 *
 * Nothing a candidate says counts: the plan and `expected` come from the frozen oracle, `actual` is
 * untrusted bytes out of the jax sandbox. Names, trees and cases are those of docs/steps.md.
 * Pure functions on the caller's memory; any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_VERDICT_H
#define FERRY_WORKERS_VERDICT_VERDICT_H

#include "daemon/err.h"
#include "daemon/vocab.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- safetensors ----------------------------------------------------------------------------------------
 */

#define ST_DTYPE_TABLE(X)          \
    X(BOOL, "BOOL", "bool", 1)     \
    X(U8, "U8", "uint8", 1)        \
    X(I8, "I8", "int8", 1)         \
    X(I16, "I16", "int16", 2)      \
    X(I32, "I32", "int32", 4)      \
    X(I64, "I64", "int64", 8)      \
    X(F16, "F16", "float16", 2)    \
    X(BF16, "BF16", "bfloat16", 2) \
    X(F32, "F32", "float32", 4)    \
    X(F64, "F64", "float64", 8)

#define X(name, ...) ST_##name,
enum st_dtype { ST_DTYPE_TABLE(X) ST_DTYPE_COUNT };
#undef X
const char *st_dtype_torch(enum st_dtype d); /* "float32" */
size_t st_dtype_size(enum st_dtype d);
bool st_dtype_float(enum st_dtype d);

#define ST_NDIM_MAX 16

struct st_tensor {
    const char *name; /* owned by the file */
    enum st_dtype dtype;
    size_t ndim;
    uint64_t shape[ST_NDIM_MAX];
    uint64_t count;   /* elements */
    const void *data; /* little endian, maybe unaligned; lives as long as the file */
    size_t bytes;
};

struct st_limits {
    size_t file_bytes, header_bytes, tensors; /* 0: built-in maximum */
};

struct st_file;

/* Maps the descriptor (which may be closed afterwards) and checks everything before a tensor can be had:
 * header size and JSON, names once, known dtypes, ranks, products without overflow, offsets inside the file,
 * without gap or overlap, sizes that equal shape times dtype. FERR_INVALID_TENSORS names the tensor. The
 * descriptor must be sealed or private. */
int st_open(int fd, const struct st_limits *limits, struct st_file **out, struct err *e);
/* The same over the caller's memory, borrowed. */
int st_open_memory(const void *data, size_t len, const struct st_limits *limits, struct st_file **out,
                   struct err *e);
void st_close(struct st_file *f);
size_t st_count(const struct st_file *f);
const struct st_tensor *st_at(const struct st_file *f, size_t i);           /* in order of offset */
const struct st_tensor *st_find(const struct st_file *f, const char *name); /* NULL if absent */

/* ---- comparison ------------------------------------------------------------------------------------------
 */

struct verdict_tolerances {
    double f64_relative; /* of the expected tensor's range; 1e-9 */
    double f32_factor;   /* times the source's own float32 error; 16 */
    double f32_floor;    /* relative to the range; 2^-20, scaled for tensors stored as float16 and bfloat16 */
    double least_range;  /* a tensor's range is at least this share of the largest beside it; 1e-3 */
    double noise_factor; /* times the noise that a plan states for a float64 case; 16 */
    double noise_cap;    /* to which noise may widen f64_relative; 1e-6 */
    double false_alarm;  /* of all tests of distributions in one judgement together; 3e-7 */
};
extern const struct verdict_tolerances VERDICT_TOLERANCES_DEFAULT;

struct verdict_diff {
    bool equal;
    double max_error; /* absolute over the expected range (dimensionless); INFINITY where NaN or infinities
                         disagree */
    double tolerance; /* in the same unit */
    uint64_t index;   /* flat index of the worst element, row-major */
    double expected, actual; /* values there */
};

/* Compares element by element: NaN equals NaN, infinities equal themselves, integers and booleans exactly.
 * `truth` (float64, same shape) turns on the float32 rule; NULL means the float64 rule. Shapes and dtype
 * classes must have been checked. */
void verdict_compare(const struct st_tensor *expected, const struct st_tensor *actual,
                     const struct st_tensor *truth, const struct verdict_tolerances *tol,
                     struct verdict_diff *out);

/* Elements first .. first + n as doubles: exact for every dtype but I64. */
void st_load_double(const struct st_tensor *t, uint64_t first, size_t n, double *out);

/* A value as JSON; what JSON has no number for is the string "nan", "inf" or "-inf". */
json_t *verdict_number(double v);

/* The least and the greatest finite value; false where there is none. */
bool verdict_span(const struct st_tensor *t, double *least, double *greatest);

/* ---- the ladder ------------------------------------------------------------------------------------------
 */

/* Runs of each side where draws can't be replayed, and further ones of the source that form the statistics.
 */
enum { VERDICT_SAMPLE_RUNS = 512, VERDICT_CALIBRATION_RUNS = 128 };

struct verdict_input {
    const json_t *plan; /* ferry.plan/1 of capture, trusted in form (made by our code over untrusted source):
                           still validated */
    const struct st_file *expected;
    const json_t *check;          /* result of check, untrusted */
    const struct st_file *actual; /* untrusted; NULL where the step gave none */
    const json_t *weights;        /* the map in use: what it adds may be left out of `optimizer`; or NULL */
    const struct st_file *samples, *sampled; /* many runs of the source and of the candidate (untrusted), for
                                                the cases that the check could not replay; or NULL */
    stage_set asked;                         /* the others are not_run, and count for nothing */
    const struct verdict_tolerances *tol;
};

/* Whether a plan can be judged by at all: FERR_INVALID_FIELD with a JSON pointer into it. */
int verdict_plan_check(const json_t *plan, struct err *e);

/* What verdict_judge() and verdict_locate() are. */
typedef int verdict_function(const struct verdict_input *in, json_t **out, struct err *e);

/* Judges one candidate. `*out` is a new object
 *   {"verdict", "reason" or null, "score",
 *    "stages": [all stages in order: {"name", "status", "max_error", "tolerance", "cases": n, "tensors": n,
 * "skipped": n, "assumed": n or absent, "sampled": n or absent, "noise": x or absent, "by_tensor": {name:
 * {"case", "max_error", "tolerance", "cases"}}, the worst of each, or absent, "worst": {"case", "tensor",
 * FIGURES} or absent, "error": the candidate's error or absent}], "first_difference": {"stage", "path",
 * "case", "tensor", FIGURES, "bug": null}, or {"stage", "path": null, "tensor": null, "error"} where an error
 * stopped the stage, or null} FIGURES are "max_error", "tolerance", "index" (flat, row-major), "expected",
 * "actual", "shape", "why" and "text". `why` is values, missing, extra, shape, dtype or tree; only `values`
 * has figures, the others have null there and say in `text` what is wrong. A max_error that is not finite is
 * null; expected and actual may be "nan", "inf", "-inf". A stage's max_error and tolerance are those of its
 * worst tensor, the one that uses most of its tolerance. `skipped` counts the integer buffers that the weight
 * map leaves out, `assumed` the parameters that it sums, `sampled` the cases that were decided by
 * distribution; `noise` is that of the source where it widened a tolerance. `path` is null until
 * verdict_locate() finds it. The verdict is VERDICT_EQUAL only where every stage asked for passed or is not
 * applicable; an oracle in which nothing reacts is told by capture
 * ("vacuous": true in the plan) and turns `equal` into `vacuous`. Errors only for a malformed plan or oracle.
 */
int verdict_judge(const struct verdict_input *in, json_t **out, struct err *e);

/* The share of what is allowed that an error uses; infinite where nothing is allowed, or what can't be
 * measured (null in a row with "max_error" and "tolerance") was found. */
double verdict_share(double max_error, double tolerance);
double verdict_row_share(const json_t *row);

/* Takes the rows of the stages `set` from a later judgement of the same candidate into `judged`, which was
 * equal so far: score, verdict, reason and first difference follow. A row that both have is joined: its cases
 * are added up and the worse one stays. What stopped the later check before any stage of `set` is the failure
 * of the first of them. */
int verdict_merge(json_t *judged, const json_t *later, stage_set set, struct err *e);

/* After a check with "locate": the first submodule call in execution order whose output differs, as {"path",
 * "call", "tensor", FIGURES};
 * `*out` is NULL where none differs or none can be matched. */
int verdict_locate(const struct verdict_input *in, json_t **out, struct err *e);

#endif
