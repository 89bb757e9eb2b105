/*
 * span.c: see span.h.
 *
 * Plain C that the compiler's vectoriser turns into the widest registers of each target: the loop over a
 * chunk has a constant length, and maxima are taken of the bits of magnitudes. As integers these are in the
 * order of the numbers, with infinity and NaN above all of them, so one maximum also tells whether all
 * differences were finite, and no -ffast-math is needed.
 */
#include "workers/verdict/span.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define CHUNK 128 /* elements of one vectorised loop */
#define LINE 64   /* bytes that one prefetch brings */
/* bytes; two or three streams are more than the hardware prefetches well: a fifth faster, measured */
#define AHEAD 1024

#define INLINE static inline __attribute__((always_inline))

typedef float loose_float __attribute__((aligned(1), may_alias));
typedef double loose_double __attribute__((aligned(1), may_alias));

/* Bits of the largest magnitudes so far. */
struct largest {
    int64_t reference, source, distance;
};

INLINE double element(const void *array, bool wide, size_t i)
{
    return wide ? ((const loose_double *)array)[i] : (double)((const loose_float *)array)[i];
}

INLINE int64_t magnitude_bits(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & INT64_MAX;
}

INLINE int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Elements first .. first + n. The last three arguments say what `in` says, as constants. */
INLINE void take(const struct span_arrays *in, size_t first, size_t n, struct largest *most,
                 bool wide_reference, bool three, bool wide)
{
    int64_t reference = most->reference, source = most->source, distance = most->distance;
    for (size_t i = 0; i < n; i++) {
        double r = element(in->reference, wide_reference, first + i);
        reference = larger(reference, magnitude_bits(r));
        distance = larger(distance, magnitude_bits(element(in->actual, wide, first + i) - r));
        if (three)
            source = larger(source, magnitude_bits(element(in->expected, wide, first + i) - r));
    }
    *most = (struct largest){reference, source, distance};
}

INLINE void prefetch(const void *array, bool wide, size_t first)
{
    size_t size = wide ? sizeof(double) : sizeof(float);
    const char *at = (const char *)array + first * size + AHEAD;
    for (size_t i = 0; i < CHUNK * size; i += LINE)
        __builtin_prefetch(at + i);
}

INLINE void walk(const struct span_arrays *in, size_t n, struct largest *most, bool wide_reference,
                 bool three, bool wide)
{
    size_t whole = n - n % CHUNK;
    for (size_t first = 0; first < whole; first += CHUNK) {
        prefetch(in->reference, wide_reference, first);
        prefetch(in->actual, wide, first);
        if (three)
            prefetch(in->expected, wide, first);
        take(in, first, CHUNK, most, wide_reference, three, wide);
    }
    take(in, whole, n - whole, most, wide_reference, three, wide);
}

static double number(int64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Makes constants of the flags: one loop for each. */
INLINE void walk_as(const struct span_arrays *in, size_t n, struct largest *most, bool three)
{
    if (in->wide)
        walk(in, n, most, true, three, true);
    else if (in->wide_reference)
        walk(in, n, most, true, three, false);
    else
        walk(in, n, most, false, three, false);
}

INLINE void measure(const struct span_arrays *in, size_t n, struct span *out)
{
    struct largest most = {0};
    if (in->expected)
        walk_as(in, n, &most, true);
    else
        walk_as(in, n, &most, false);
    *out = (struct span){.reference = number(most.reference),
                         .source = number(most.source),
                         .distance = number(most.distance)};
    out->finite = isfinite(out->source) && isfinite(out->distance);
}

/* name, attributes, condition at run time; the best first, the last runs everywhere */
#ifdef __x86_64__
#define VARIANTS(X)                                                                       \
    X(avx512, __attribute__((target("avx512f"))), __builtin_cpu_supports("avx512f") != 0) \
    X(avx2, __attribute__((target("avx2"))), __builtin_cpu_supports("avx2") != 0)         \
    X(plain, , true)
#else
#define VARIANTS(X) X(plain, , true)
#endif

#define X(name, attributes, condition)                                                              \
    attributes static void measure_##name(const struct span_arrays *in, size_t n, struct span *out) \
    {                                                                                               \
        measure(in, n, out);                                                                        \
    }                                                                                               \
    static bool has_##name(void)                                                                    \
    {                                                                                               \
        return condition;                                                                           \
    }
VARIANTS(X)
#undef X

static const struct variant {
    const char *name;
    span_fn *run;
    bool (*runs_here)(void);
} TABLE[] = {
#define X(name, attributes, condition) {#name, measure_##name, has_##name},
    VARIANTS(X)
#undef X
};

void span_measure(const struct span_arrays *in, size_t n, struct span *out)
{
    const struct variant *v = TABLE;
    while (!v->runs_here())
        v++;
    v->run(in, n, out);
}

span_fn *span_variant(size_t i, const char **name, bool *runs_here)
{
    if (i >= sizeof TABLE / sizeof *TABLE)
        return NULL;
    *name = TABLE[i].name;
    *runs_here = TABLE[i].runs_here();
    return TABLE[i].run;
}
