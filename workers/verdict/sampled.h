/*
 * sampled.h: do two samples of a tensor come from one distribution?
 *
 * For draws that have no place in an order, so that they can't be replayed. Both sides were run many times;
 * what they gave are tensors with the runs as their first axis. Pure functions; any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_SAMPLED_H
#define FERRY_WORKERS_VERDICT_SAMPLED_H

#include "workers/verdict/verdict.h"

/* The most tests that one tensor takes: what a Bonferroni correction counts. */
#define SAMPLED_TESTS_MAX 64

/* The largest distance between the distributions of a statistic that `tests` tests together exceed with the
 * probability `alarm` where there is no difference. */
double sampled_tolerance(double alarm, double tests);

struct sampled_diff {
    double distance; /* of the worst statistic: the largest gap between the two distribution functions */
    const char *statistic;   /* its name, for people */
    uint64_t element;        /* of the kept elements, where it is one of them; else 0 */
    double expected, actual; /* its means */
};

/* `source` has VERDICT_CALIBRATION_RUNS and then VERDICT_SAMPLE_RUNS runs, `candidate` the latter; the other
 * axes are the same: has to be checked before. `slack` is the share of a statistic's size within which
 * values count as one. FERR_NO_MEMORY. */
int sampled_compare(const struct st_tensor *source, const struct st_tensor *candidate, double slack,
                    struct sampled_diff *out, struct err *e);

#endif
