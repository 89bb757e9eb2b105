/*
 * span.h: the inner loop of the comparison: one block of two arrays of one float type.
 *
 * Written with the vector extension of gcc and clang, 16 bytes wide, so that it needs no special instruction
 * set and no -ffast-math. A maximum is taken lane by lane with an explicit comparison: NaN never wins one,
 * therefore NaN in the difference is gathered apart. Pointers may be unaligned.
 */
#ifndef FERRY_WORKERS_VERDICT_SPAN_H
#define FERRY_WORKERS_VERDICT_SPAN_H

#include <stdbool.h>
#include <stddef.h>

struct span {
    double reference; /* the largest magnitude of the reference */
    double distance;  /* the largest |x - reference| */
    bool finite;      /* every difference is a finite number; else the two others mean nothing */
};

void span_float(const void *reference, const void *x, size_t n, struct span *out);
void span_double(const void *reference, const void *x, size_t n, struct span *out);

/* Converts n floats. */
void span_widen(const void *floats, size_t n, double *out);

#endif
