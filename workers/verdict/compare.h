/*
 * compare.h: the comparison of two tensors where the caller knows more than the tensors say.
 */
#ifndef FERRY_WORKERS_VERDICT_COMPARE_H
#define FERRY_WORKERS_VERDICT_COMPARE_H

#include "workers/verdict/verdict.h"

/* verdict_compare() with a least range: a tensor that is analytically zero consists of rounding noise of its
 * neighbours, so it is measured on their scale. 0 where nothing is known. */
void verdict_compare_scaled(const struct st_tensor *expected, const struct st_tensor *actual,
                            const struct st_tensor *truth, const struct verdict_tolerances *tol,
                            double least_range, struct verdict_diff *out);

/* The largest finite magnitude of a float tensor; 0 for other dtypes. */
double verdict_magnitude(const struct st_tensor *t);

/* Compares two numbers of a tree by the same rules, `truth` may be NULL. `stored` is the precision of the
 * run. */
bool verdict_numbers_equal(double expected, double actual, const double *truth, enum st_dtype stored,
                           const struct verdict_tolerances *tol);

#endif
