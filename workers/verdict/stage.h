/*
 * stage.h: what one stage of the ladder found; the parts of the ladder share it.
 *
 * A stage_result is filled by one function and owned by verdict_judge(). Any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_STAGE_H
#define FERRY_WORKERS_VERDICT_STAGE_H

#include "workers/verdict/plan.h"
#include "workers/verdict/tree.h"
#include "workers/verdict/verdict.h"

/* Why a tensor or an output does not match; `values` is the only one that carries figures. */
#define FINDING_TABLE(X)                                                                     \
    X(VALUES, "values")   /* shape and dtype fit, the numbers do not, or how well they do */ \
    X(MISSING, "missing") /* the candidate gave no such tensor */                            \
    X(EXTRA, "extra")     /* it gave one that the source does not have */                    \
    X(SHAPE, "shape")                                                                        \
    X(DTYPE, "dtype")                                                                        \
    X(TREE, "tree") /* the output's structure, or a number, string or None in it */

#define X(name, word) FINDING_##name,
enum finding_why { FINDING_TABLE(X) FINDING_COUNT };
#undef X

/* One comparison; a finding of VALUES may be a good one. */
struct finding {
    char case_id[72];
    char tensor[sizeof(struct tree_path) + 16]; /* "out/0": without the case */
    const struct st_tensor *expected;           /* for its shape; NULL where there is none */
    enum finding_why why;
    struct verdict_diff diff; /* VALUES only */
    char text[256];           /* for people; "" for VALUES */
};

bool finding_ok(const struct finding *f);

struct stage_result {
    enum stage_status status;
    size_t cases, tensors; /* compared */
    size_t skipped;        /* integer buffers that the weight map leaves out on purpose */
    size_t assumed;        /* parameters that it sums, which steps of an optimizer can't be compared in */
    size_t sampled;        /* cases that were decided by distribution */
    double noise;          /* the largest of a case, where it widened the tolerance; else 0 */
    bool has_worst, has_first;
    struct finding worst; /* the largest error in units of its tolerance */
    struct finding first; /* the first that is not ok, in the order of the plan */
    json_t *by_tensor;    /* owned: name to the figures of its worst case; NULL before the first */
    json_t *error;        /* owned: what stopped the stage, in the form of a step's error */
};

/* Takes a comparison in. */
void stage_record(struct stage_result *r, const struct finding *f);
/* Makes the stage fail because of what the check said rather than because of a comparison. */
void stage_fail(struct stage_result *r, json_t *error_owned);

/* {"code": "result_invalid", "message"} as printf gives it; NULL when out of memory. */
json_t *stage_invalid(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A copy of an untrusted error: known fields of the right type only, texts cut; what is no error is
 * result_invalid. */
json_t *stage_copy_error(const json_t *error);
/* The reason of a job that such an error stopped. */
enum reason stage_error_reason(const json_t *error);

/* {"name", "status", …} and the first_difference of verdict.h; NULL when out of memory. */
json_t *stage_json(enum stage stage, const struct stage_result *r);
json_t *stage_first_difference(enum stage stage, const struct stage_result *r);
/* Adds max_error, tolerance, index, expected, actual and shape. 0, or -1 when out of memory. */
int finding_add_figures(json_t *o, const struct finding *f);

/* Fills a finding by comparing `expected` with the tensor of that name in `actual` (NULL: none). `local` is
 * its name without the case, `wide` says that the run is a float64 one. */
void stage_compare(const struct st_tensor *expected, const char *local, const struct st_tensor *actual,
                   const struct st_tensor *truth, bool wide, const struct verdict_tolerances *tol,
                   double least_range, struct finding *out);

/* Integers of 32 and 64 bits meet, and in runs that are not `wide` the floats of these widths. */
bool stage_dtypes_meet(enum st_dtype want, enum st_dtype got, bool wide);

/* samples.c: is a case one of those that the check could not replay, in which the source draws? */
bool stage_is_sampled(const struct verdict_input *in, const struct plan_case *c);
/* samples.c: compares the distributions of a tensor; errors for a malformed oracle, or out of memory. */
int stage_sample(const struct verdict_input *in, const struct st_tensor *expected, const char *local,
                 bool wide, struct finding *out, struct err *e);
/* samples.c: the error of a stage that has such a case while nobody took samples; NULL when out of memory. */
json_t *stage_without_samples(void);

/* The stage `shapes`: what the check says of every output leaf against the plan. */
void stage_shapes(const struct plan *plan, const json_t *check, struct stage_result *r);
/* A stage of cases, whose arrays are there. Errors only for a malformed oracle. */
int stage_arrays(const struct verdict_input *in, const struct plan *plan, enum stage stage,
                 struct stage_result *r, struct err *e);

#endif
