/*
 * span.h: the inner loop of the comparison: how far arrays of floats are apart.
 *
 * Everything is measured in double, so a float32 array gives exactly what it would give widened. One body,
 * compiled for several instruction sets; all give the same bits, because a maximum does not depend on the
 * order in which it is taken. Pointers may be unaligned. Any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_SPAN_H
#define FERRY_WORKERS_VERDICT_SPAN_H

#include <stdbool.h>
#include <stddef.h>

/* Arrays of the same length, borrowed. `expected` is NULL where it is the reference itself. Elements are
 * double where the flag is set, else float; where `wide` is set, all three are double. */
struct span_arrays {
    const void *reference, *expected, *actual;
    bool wide_reference, wide; /* of the reference; of the two others */
};

struct span {
    double reference; /* the largest magnitude of the reference */
    double source;    /* the largest |expected - reference|; 0 without `expected` */
    double distance;  /* the largest |actual - reference| */
    bool finite;      /* every difference is a finite number; else the three others mean nothing */
};

typedef void span_fn(const struct span_arrays *in, size_t n, struct span *out);

/* The fastest variant of this processor. */
span_fn span_measure;

/* Every variant, for tests: NULL past the last one; `*runs_here` tells whether this processor has it. */
span_fn *span_variant(size_t i, const char **name, bool *runs_here);

#endif
