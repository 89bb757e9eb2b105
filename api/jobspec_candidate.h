/*
 * jobspec_candidate.h: the parts of a job request that say what is proven, and about which candidate.
 *
 * Tables and checks for fields_check(); constant, any thread.
 */
#ifndef FERRY_API_JOBSPEC_CANDIDATE_H
#define FERRY_API_JOBSPEC_CANDIDATE_H

#include "api/fields.h"

/* The dtypes of docs/steps.md, section 3, each followed by a space. */
#define DTYPE_WORDS "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128 "

extern const struct field WEIGHTS_MEMBERS[];  /* a ferry.weights/1 */
extern const struct field CONTRACT_MEMBERS[]; /* {"stages", "seeds"} */

/* field_check_fn of the array "stages": words of groups and of stages become the names of all stages that are
 * run for them, in the contract's order. */
int check_stages(json_t *value, const struct pointer *at, const void *arg, struct err *e);

/* Of the whole request: a candidate belongs to the kind verify, and so does the engine `given`, which that
 * kind implies. */
int check_kind(json_t *request, const struct pointer *at, struct err *e);

#endif
