/*
 * compare.c: how far two tensors are apart, and whether that is too far.
 *
 * Any thread. One pass over blocks of BLOCK elements: the fast loop of span.c where all differences are
 * finite numbers, a scan element by element where not. Only the first block with the largest distance is
 * remembered; it is scanned at the end to find the element. Both ways calculate in double and give the same
 * figures to the bit. What the numbers mean is in docs/contract.md.
 */
#include "workers/verdict/compare.h"

#include "workers/verdict/span.h"
#include "workers/verdict/st_internal.h"

#include <math.h>

#define BLOCK 1024

/* f64_relative: right translations differ by 1e-16 to 1e-14 of the range, in gradients with cancellation by
 * 2e-11 (measured on benchmark models); the smallest wrong rule met so far, a softmax computed in float32, is
 * at 1e-8. 1e-9 lies between. f32_factor: two correct float32 programs differ in the order of their sums, so
 * neither is a bound for the other; 16 leaves four binary digits for that. f32_floor: the source's own error
 * can be small by luck (one number, rounded well), but half an ulp, 2^-24 of the range, is what a single
 * rounding may cost: the floor is f32_factor times that, 2^-20 or 8 ulps. least_range: a tensor is measured
 * on at least a thousandth of the largest magnitude beside it, which in float64 allows noise of 1e-12 of
 * that, some 4500 ulps. noise_factor: as with f32_factor, the source's own answer
 * to a perturbation of one ulp is one sample. noise_cap: a source noisier than that is not proven by a wide
 * tolerance; wrong rules start at 1e-8, and the common ones are above 1e-5. */
const struct verdict_tolerances VERDICT_TOLERANCES_DEFAULT = {.f64_relative = 1e-9,
                                                              .f32_factor = 16,
                                                              .f32_floor = 0x1p-20,
                                                              .least_range = 1e-3,
                                                              .noise_factor = 16,
                                                              .noise_cap = 1e-6,
                                                              .false_alarm = 3e-7};

struct tensors {
    const struct st_tensor *expected, *actual, *truth;
};

/* What one block, or a whole tensor so far, shows. Absolute figures. */
struct extent {
    double range;    /* largest finite magnitude of the reference */
    double source;   /* the source's own largest error: |expected - truth| */
    double distance; /* the candidate's largest: |actual - reference|; INFINITY where the two can't be
                        subtracted */
    uint64_t index;  /* of that distance; in an exact scan only */
};

/* The distance of one element, and what it was measured against. A value that is not finite must be met
 * exactly; an expected number where the truth is none (or overflows) is its own reference. */
static double element_distance(double expected, double actual, double truth, double *reference)
{
    *reference = isfinite(expected) && isfinite(truth) ? truth : expected;
    if (isnan(expected))
        return isnan(actual) ? 0 : INFINITY;
    if (isinf(expected))
        return actual == expected ? 0 : INFINITY;
    return isfinite(actual) ? fabs(actual - *reference) : INFINITY;
}

static void scan_floats(const struct tensors *t, uint64_t first, size_t n, struct extent *out)
{
    double expected[BLOCK], actual[BLOCK], truth[BLOCK];
    st_load_double(t->expected, first, n, expected);
    st_load_double(t->actual, first, n, actual);
    st_load_double(t->truth ? t->truth : t->expected, first, n, truth);
    *out = (struct extent){.index = first};
    for (size_t i = 0; i < n; i++) {
        double reference, distance = element_distance(expected[i], actual[i], truth[i], &reference);
        if (isfinite(reference)) {
            out->range = fmax(out->range, fabs(reference));
            out->source = fmax(out->source, fabs(expected[i] - reference));
        }
        if (distance > out->distance) {
            out->distance = distance;
            out->index = first + i;
        }
    }
}

static void scan_integers(const struct tensors *t, uint64_t first, size_t n, struct extent *out)
{
    int64_t expected[BLOCK], actual[BLOCK];
    st_load_int64(t->expected, first, n, expected);
    st_load_int64(t->actual, first, n, actual);
    *out = (struct extent){.index = first};
    for (size_t i = 0; i < n; i++) {
        uint64_t a = (uint64_t)actual[i], e = (uint64_t)expected[i];
        double distance = (double)(actual[i] > expected[i] ? a - e : e - a);
        out->range = fmax(out->range, fabs((double)expected[i]));
        if (distance > out->distance) {
            out->distance = distance;
            out->index = first + i;
        }
    }
}

/* A block's elements, unaligned perhaps: in place where they are of a type that span.c reads and `wide` is
 * theirs, else converted to double into `room`. */
static const void *elements(const struct st_tensor *t, bool wide, uint64_t first, size_t n,
                            double room[BLOCK])
{
    if (t->dtype == (wide ? ST_F64 : ST_F32))
        return (const unsigned char *)t->data + first * st_dtype_size(t->dtype);
    st_load_double(t, first, n, room);
    return room;
}

static void span_block(const struct tensors *t, uint64_t first, size_t n, struct span *out)
{
    double rooms[3][BLOCK];
    const struct st_tensor *reference = t->truth ? t->truth : t->expected;
    struct span_arrays in = {.wide = t->expected->dtype != ST_F32 || t->actual->dtype != ST_F32};
    in.wide_reference = in.wide || reference->dtype != ST_F32;
    in.reference = elements(reference, in.wide_reference, first, n, rooms[0]);
    in.actual = elements(t->actual, in.wide, first, n, rooms[1]);
    if (t->truth)
        in.expected = elements(t->expected, in.wide, first, n, rooms[2]);
    span_measure(&in, n, out);
}

static void measure_block(const struct tensors *t, uint64_t first, size_t n, struct extent *out)
{
    if (!st_dtype_float(t->expected->dtype)) {
        scan_integers(t, first, n, out);
        return;
    }
    struct span span;
    span_block(t, first, n, &span);
    if (span.finite)
        *out = (struct extent){
            .range = span.reference, .source = span.source, .distance = span.distance, .index = first};
    else
        scan_floats(t, first, n, out);
}

static size_t block_length(const struct st_tensor *t, uint64_t first)
{
    return t->count - first < BLOCK ? (size_t)(t->count - first) : BLOCK;
}

static struct extent measure(const struct tensors *t)
{
    struct extent whole = {0}, block;
    uint64_t worst = 0;
    for (uint64_t first = 0; first < t->expected->count; first += BLOCK) {
        measure_block(t, first, block_length(t->expected, first), &block);
        whole.range = fmax(whole.range, block.range);
        whole.source = fmax(whole.source, block.source);
        if (block.distance > whole.distance) {
            whole.distance = block.distance;
            worst = first;
        }
    }
    if (t->expected->count > 0) {
        if (st_dtype_float(t->expected->dtype))
            scan_floats(t, worst, block_length(t->expected, worst), &block);
        else
            scan_integers(t, worst, block_length(t->expected, worst), &block);
        whole.distance = block.distance;
        whole.index = block.index;
    }
    return whole;
}

/* An error in units of the range; 0 of 0 is no error. */
static double relative(double distance, double range)
{
    if (distance == 0)
        return 0;
    return range > 0 ? distance / range : INFINITY;
}

/* What rounding to the stored dtype allows, in units of the range. */
static double rounding_floor(enum st_dtype stored, const struct verdict_tolerances *tol)
{
    if (stored == ST_F64)
        return tol->f64_relative;
    return tol->f32_floor * (st_dtype_roundoff(stored) / st_dtype_roundoff(ST_F32));
}

static double float_tolerance(const struct tensors *t, const struct extent *x,
                              const struct verdict_tolerances *tol)
{
    enum st_dtype stored = t->expected->dtype;
    if (!t->truth)
        return rounding_floor(stored, tol);
    if (stored == ST_F64)
        stored = ST_F32; /* a float32 run that widens its result */
    return fmax(tol->f32_factor * relative(x->source, x->range), rounding_floor(stored, tol));
}

void verdict_compare_scaled(const struct st_tensor *expected, const struct st_tensor *actual,
                            const struct st_tensor *truth, const struct verdict_tolerances *tol,
                            double least_range, struct verdict_diff *out)
{
    struct tensors t = {.expected = expected, .actual = actual, .truth = truth};
    bool floats = st_dtype_float(expected->dtype);
    struct extent x = measure(&t);
    if (floats)
        x.range = fmax(x.range, least_range);
    if (x.range == 0)
        x.range = x.source; /* the truth is exactly zero, the source's float32 run is not */
    *out = (struct verdict_diff){.max_error = relative(x.distance, x.range),
                                 .tolerance = floats ? float_tolerance(&t, &x, tol) : 0,
                                 .index = x.index};
    out->equal = isfinite(out->max_error) && out->max_error <= out->tolerance;
    if (expected->count > 0) {
        st_load_double(expected, x.index, 1, &out->expected);
        st_load_double(actual, x.index, 1, &out->actual);
    }
}

void verdict_compare(const struct st_tensor *expected, const struct st_tensor *actual,
                     const struct st_tensor *truth, const struct verdict_tolerances *tol,
                     struct verdict_diff *out)
{
    verdict_compare_scaled(expected, actual, truth, tol, 0, out);
}

double verdict_magnitude(const struct st_tensor *t)
{
    if (!st_dtype_float(t->dtype))
        return 0;
    const struct tensors self = {.expected = t, .actual = t};
    double range = 0;
    for (uint64_t first = 0; first < t->count; first += BLOCK) {
        struct extent block;
        measure_block(&self, first, block_length(t, first), &block);
        range = fmax(range, block.range);
    }
    return range;
}

bool verdict_span(const struct st_tensor *t, double *least, double *greatest)
{
    *least = INFINITY;
    *greatest = -INFINITY;
    for (uint64_t first = 0; first < t->count; first += BLOCK) {
        double values[BLOCK];
        size_t n = block_length(t, first);
        st_load_double(t, first, n, values);
        for (size_t i = 0; i < n; i++) {
            if (!isfinite(values[i]))
                continue;
            *least = fmin(*least, values[i]);
            *greatest = fmax(*greatest, values[i]);
        }
    }
    return *least <= *greatest;
}

bool verdict_numbers_equal(double expected, double actual, const double *truth, enum st_dtype stored,
                           const struct verdict_tolerances *tol)
{
    double reference, distance = element_distance(expected, actual, truth ? *truth : expected, &reference);
    double allowed = rounding_floor(stored, tol) * fabs(reference);
    if (truth)
        allowed = fmax(allowed, tol->f32_factor * fabs(expected - reference));
    return distance == 0 || (isfinite(distance) && distance <= allowed);
}
