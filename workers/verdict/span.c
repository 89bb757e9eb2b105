/*
 * span.c: see span.h. One body for both types, instantiated by macro; any thread, touches only its arguments.
 */
#include "workers/verdict/span.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define AHEAD \
    1024 /* bytes; two streams are more than the hardware prefetches well: a quarter faster, measured */

/* out = max(out, |x|) in every lane; the loop over lanes becomes one instruction */
#define LANES_MAX(type, out, x)                                                           \
    do {                                                                                  \
        type##_lanes magnitude_ = (type##_lanes)((type##_mask)(x)&type##_magnitude_bits); \
        for (size_t j_ = 0; j_ < type##_width; j_++)                                      \
            (out)[j_] = magnitude_[j_] > (out)[j_] ? magnitude_[j_] : (out)[j_];          \
    } while (0)

/* Takes in the 16 bytes at element i; two sets of accumulators hide the latency of a maximum. Arrays of
 * accumulators would be tidier, but gcc -O2 keeps those in memory, which halves the speed. */
#define LANES_STEP(type, i, largest, farthest, poison)       \
    do {                                                     \
        __builtin_prefetch(pr + (i) * sizeof(type) + AHEAD); \
        __builtin_prefetch(px + (i) * sizeof(type) + AHEAD); \
        type##_lanes a_, b_;                                 \
        memcpy(&a_, pr + (i) * sizeof(type), sizeof a_);     \
        memcpy(&b_, px + (i) * sizeof(type), sizeof b_);     \
        type##_lanes d_ = b_ - a_;                           \
        LANES_MAX(type, largest, a_);                        \
        LANES_MAX(type, farthest, d_);                       \
        (poison) += d_ - d_;                                 \
    } while (0)

#define DEFINE_SPAN(type, mask, magnitude)                                                        \
    typedef type type##_lanes __attribute__((vector_size(16)));                                   \
    typedef mask type##_mask __attribute__((vector_size(16)));                                    \
    enum { type##_width = 16 / sizeof(type) };                                                    \
                                                                                                  \
    static void span_##type##_tail(const unsigned char *r, const unsigned char *x, size_t n,      \
                                   struct span *out)                                              \
    {                                                                                             \
        for (size_t i = 0; i < n; i++) {                                                          \
            type a, b;                                                                            \
            memcpy(&a, r + i * sizeof a, sizeof a);                                               \
            memcpy(&b, x + i * sizeof b, sizeof b);                                               \
            double distance = fabs((double)b - (double)a);                                        \
            out->reference = fmax(out->reference, fabs((double)a));                               \
            out->distance = fmax(out->distance, distance);                                        \
            out->finite = out->finite && isfinite(distance);                                      \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    void span_##type(const void *reference, const void *x, size_t n, struct span *out)            \
    {                                                                                             \
        const unsigned char *pr = reference, *px = x;                                             \
        const type##_mask type##_magnitude_bits = (type##_mask){0} + (magnitude);                 \
        type##_lanes largest0 = {0}, largest1 = {0}, farthest0 = {0}, farthest1 = {0};            \
        type##_lanes poison0 = {0}, poison1 = {0};                                                \
        size_t whole = n - n % (2 * type##_width);                                                \
        for (size_t i = 0; i < whole; i += 2 * type##_width) {                                    \
            LANES_STEP(type, i, largest0, farthest0, poison0);                                    \
            LANES_STEP(type, i + type##_width, largest1, farthest1, poison1);                     \
        }                                                                                         \
        LANES_MAX(type, largest0, largest1);                                                      \
        LANES_MAX(type, farthest0, farthest1);                                                    \
        *out = (struct span){.finite = true};                                                     \
        for (size_t j = 0; j < type##_width; j++) {                                               \
            out->reference = fmax(out->reference, (double)largest0[j]);                           \
            out->distance = fmax(out->distance, (double)farthest0[j]);                            \
            out->finite = out->finite && isfinite(poison0[j] + poison1[j]);                       \
        }                                                                                         \
        span_##type##_tail(pr + whole * sizeof(type), px + whole * sizeof(type), n - whole, out); \
    }

DEFINE_SPAN(float, int32_t, INT32_MAX)
DEFINE_SPAN(double, int64_t, INT64_MAX)

void span_widen(const void *floats, size_t n, double *out)
{
    typedef float half_lanes __attribute__((vector_size(8)));
    const unsigned char *p = floats;
    size_t whole = n - n % double_width;
    for (size_t i = 0; i < whole; i += double_width) {
        half_lanes narrow;
        memcpy(&narrow, p + i * sizeof(float), sizeof narrow);
        double_lanes wide = __builtin_convertvector(narrow, double_lanes);
        memcpy(out + i, &wide, sizeof wide);
    }
    for (size_t i = whole; i < n; i++) {
        float x;
        memcpy(&x, p + i * sizeof x, sizeof x);
        out[i] = (double)x;
    }
}
