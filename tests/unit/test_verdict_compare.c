/*
 * test_verdict_compare.c: the comparison of two tensors, with figures calculated by hand.
 */
#include "tests/unit/tensors.h"

#include "workers/verdict/compare.h"
#include "workers/verdict/span.h"
#include "workers/verdict/st_internal.h"

#include <float.h>
#include <math.h>

static struct st_tensor tensor(enum st_dtype dtype, const void *data, uint64_t count)
{
    return (struct st_tensor){.name = "t",
                              .dtype = dtype,
                              .ndim = 1,
                              .shape = {count},
                              .count = count,
                              .data = data,
                              .bytes = (size_t)count * st_dtype_size(dtype)};
}

static struct verdict_diff compare_scaled(enum st_dtype dtype, const void *expected, const void *actual,
                                          uint64_t n, double least_range)
{
    struct st_tensor e = tensor(dtype, expected, n), a = tensor(dtype, actual, n);
    struct verdict_diff d;
    verdict_compare_scaled(&e, &a, NULL, &VERDICT_TOLERANCES_DEFAULT, least_range, &d);
    return d;
}

static struct verdict_diff compare(enum st_dtype dtype, const void *expected, const void *actual, uint64_t n)
{
    return compare_scaled(dtype, expected, actual, n, 0);
}

/* float32 rule: expected and actual of `dtype`, truth float64 */
static struct verdict_diff compare_to_truth(enum st_dtype dtype, const void *expected, const void *actual,
                                            const double *truth, uint64_t n)
{
    struct st_tensor e = tensor(dtype, expected, n), a = tensor(dtype, actual, n),
                     t = tensor(ST_F64, truth, n);
    struct verdict_diff d;
    verdict_compare(&e, &a, &t, &VERDICT_TOLERANCES_DEFAULT, &d);
    return d;
}

#define F64(...) ((const double[]){__VA_ARGS__})
#define F32(...) ((const float[]){__VA_ARGS__})

/* The range is 4, the error 1: a quarter. */
static void measures_relative_to_the_range(void **state)
{
    (void)state;
    struct verdict_diff d = compare(ST_F64, F64(1, -4, 2), F64(1, -4, 3), 3);
    assert_false(d.equal);
    assert_true(d.max_error == 0.25 && d.tolerance == 1e-9);
    assert_int_equal(d.index, 2);
    assert_true(d.expected == 2 && d.actual == 3);
}

/* 2^-31 of the range is 4.7e-10, 2^-29 is 1.9e-9. */
static void has_the_float64_tolerance(void **state)
{
    (void)state;
    assert_true(compare(ST_F64, F64(1, 0.5), F64(1, 0.5 + 0x1p-31), 2).equal);
    assert_false(compare(ST_F64, F64(1, 0.5), F64(1, 0.5 + 0x1p-29), 2).equal);
    assert_true(compare(ST_F64, F64(1e300, 1), F64(1e300, 2), 2).equal);
}

static void meets_what_is_not_finite_exactly(void **state)
{
    (void)state;
    const double special[] = {NAN, INFINITY, -INFINITY, 1};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            struct verdict_diff d = compare(ST_F64, F64(1, special[i]), F64(1, special[k]), 2);
            assert_int_equal(d.equal, i == k);
            assert_true(d.max_error == (i == k ? 0 : INFINITY));
            assert_int_equal(d.index, i == k ? 0 : 1);
        }
    }
    assert_true(compare(ST_F64, F64(NAN, 5), F64(-NAN, 5), 2).equal);
    struct verdict_diff d = compare(ST_F64, F64(NAN, 2), F64(NAN, 3), 2);
    assert_true(d.max_error == 0.5 && d.index == 1);
}

/* A zero tensor has no range of its own: nothing but zero is equal, unless neighbours give a scale. */
static void measures_zero_on_its_neighbours_scale(void **state)
{
    (void)state;
    assert_true(compare(ST_F64, F64(0, 0), F64(0, -0.0), 2).equal);
    assert_true(compare(ST_F64, F64(0, 0), F64(0, 1e-300), 2).max_error == INFINITY);
    struct verdict_diff d = compare_scaled(ST_F64, F64(0, 0), F64(0, 0x1p-33), 2, 0.5);
    assert_true(d.equal && d.max_error == 0x1p-32);
    assert_false(compare_scaled(ST_F64, F64(0, 0), F64(0, 0x1p-29), 2, 0.5).equal);
    assert_true(compare_scaled(ST_F64, F64(4), F64(5), 1, 0.5).max_error ==
                0.25); /* the own range is larger */
}

static void compares_integers_exactly(void **state)
{
    (void)state;
    const int64_t big[] = {INT64_MAX, 0, INT64_MIN}, near[] = {INT64_MAX - 1, 0, INT64_MIN};
    assert_true(compare(ST_I64, big, big, 3).equal);
    struct verdict_diff d = compare(ST_I64, big, near, 3);
    assert_false(d.equal);
    assert_true(d.tolerance == 0 && d.index == 0 && d.max_error > 0);
    const int64_t low = INT64_MIN, high = INT64_MAX;
    assert_true(compare(ST_I64, &low, &high, 1).max_error == 2);
    const unsigned char yes[] = {1, 0}, odd[] = {2, 0};
    assert_true(compare(ST_BOOL, yes, yes, 2).equal);
    assert_false(compare(ST_BOOL, yes, odd, 2).equal);
    struct st_tensor wide = tensor(ST_I64, (const int64_t[]){-3}, 1),
                     narrow = tensor(ST_I32, (const int32_t[]){-3}, 1);
    verdict_compare(&wide, &narrow, NULL, &VERDICT_TOLERANCES_DEFAULT, &d);
    assert_true(d.equal && d.actual == -3);
}

static void accepts_what_is_empty(void **state)
{
    (void)state;
    struct verdict_diff d = compare(ST_F32, NULL, NULL, 0);
    assert_true(d.equal && d.max_error == 0 && d.index == 0);
    assert_true(compare(ST_I64, NULL, NULL, 0).equal);
}

/* The truth's range is 1. The source is 2^-18 off, so 16 times that, 2^-14, is allowed. */
static void allows_sixteen_times_the_sources_error(void **state)
{
    (void)state;
    const double truth[] = {1, 0.5};
    const float source[] = {1, 0.5f + 0x1p-18f};
    struct verdict_diff d = compare_to_truth(ST_F32, source, F32(1, 0.5f - 0x1p-14f), truth, 2);
    assert_true(d.equal && d.max_error == 0x1p-14 && d.tolerance == 0x1p-14);
    d = compare_to_truth(ST_F32, source, F32(1, 0.5f - 0x1p-14f - 0x1p-20f), truth, 2);
    assert_false(d.equal);
    assert_int_equal(d.index, 1);
}

/* A source without any error still allows eight ulps, 2^-20 of the range. */
static void has_a_float32_floor(void **state)
{
    (void)state;
    const double truth[] = {2, 1};
    assert_true(compare_to_truth(ST_F32, F32(2, 1), F32(2, 1 + 0x1p-19f), truth, 2).equal);
    assert_false(compare_to_truth(ST_F32, F32(2, 1), F32(2, 1 + 0x1p-18f), truth, 2).equal);
    /* the candidate is measured against the truth, not against the source */
    assert_true(compare_to_truth(ST_F32, F32(2, 1 + 0x1p-10f), F32(2, 1), truth, 2).max_error == 0);
}

/* Where float32 overflows, the source decides, not the truth. */
static void follows_the_source_where_float32_overflows(void **state)
{
    (void)state;
    const double truth[] = {1e39, 1};
    assert_true(compare_to_truth(ST_F32, F32(INFINITY, 1), F32(INFINITY, 1), truth, 2).equal);
    assert_false(compare_to_truth(ST_F32, F32(INFINITY, 1), F32(FLT_MAX, 1), truth, 2).equal);
    assert_true(compare_to_truth(ST_F32, F32(3, 1), F32(3, 1), F64(INFINITY, 1), 2).equal);
    assert_false(compare_to_truth(ST_F32, F32(3, 1), F32(4, 1), F64(INFINITY, 1), 2).equal);
}

/* The truth is exactly 0 and the source is not: its own noise is the scale. */
static void measures_on_the_sources_noise_around_zero(void **state)
{
    (void)state;
    const double truth[] = {0};
    assert_true(compare_to_truth(ST_F32, F32(1e-8f), F32(-1e-7f), truth, 1).equal);
    assert_false(compare_to_truth(ST_F32, F32(1e-8f), F32(1e-6f), truth, 1).equal);
    assert_false(compare_to_truth(ST_F32, F32(0), F32(1e-30f), truth, 1).equal);
}

/* Sixteen half ulps of the stored type: 16 * 2^-11 and 16 * 2^-8. */
static void scales_the_floor_with_the_stored_type(void **state)
{
    (void)state;
    const uint16_t one[] = {0x3c00}, near[] = {0x3c01}, bf[] = {0x3f80};
    struct verdict_diff d = compare(ST_F16, one, near, 1);
    assert_true(d.equal && d.max_error == 0x1p-10 && d.tolerance == 0x1p-7);
    assert_true(compare(ST_BF16, bf, bf, 1).tolerance == 0x1p-4);
    assert_true(compare(ST_F32, F32(1), F32(1), 1).tolerance == 0x1p-20);
}

/* A difference at any place of several blocks is found, whatever the length and the alignment. */
static void finds_the_worst_element_anywhere(void **state)
{
    (void)state;
    enum { N = 2500 };
    static unsigned char room[2][N * 8 + 8];
    for (size_t shift = 0; shift < 8; shift += 3) {
        for (size_t n = 1; n <= N; n = n < 40 ? n + 1 : n + 611) {
            for (size_t at = 0; at < n; at += 1 + n / 7) {
                for (size_t i = 0; i < n; i++) {
                    double e = i % 2 ? 1 : -1, a = i == at ? e + 0.25 : e + 0.125;
                    memcpy(room[0] + shift + i * 8, &e, 8);
                    memcpy(room[1] + shift + i * 8, &a, 8);
                }
                struct verdict_diff d = compare(ST_F64, room[0] + shift, room[1] + shift, n);
                assert_true(d.max_error == 0.25 && d.index == at);
            }
        }
    }
}

/* The same in float32, with a NaN on both sides in another block. */
static void finds_it_in_float32_too(void **state)
{
    (void)state;
    enum { N = 3000 };
    static float e[N], a[N];
    for (size_t at = 0; at < N; at += 97) {
        for (size_t i = 0; i < N; i++)
            e[i] = a[i] = (float)(i % 7) - 4;
        e[1500] = a[1500] = NAN;
        a[at] = e[at] + 1;
        struct verdict_diff d = compare(ST_F32, e, a, N);
        assert_true(at == 1500 || (d.max_error == 0.25 && d.index == at));
    }
    assert_true(compare(ST_F32, F32(FLT_MAX), F32(-FLT_MAX), 1).max_error == 2); /* overflows in float32 */
}

/* In float32 both distances are 2^30; the second is larger by one. */
static void tells_distances_apart_that_float32_rounds_to_one(void **state)
{
    (void)state;
    enum { N = 3000 };
    static float e[N], a[N];
    e[10] = e[2500] = 0x1p30f;
    a[10] = -1;
    a[2500] = -2;
    struct verdict_diff d = compare(ST_F32, e, a, N);
    assert_int_equal(d.index, 2500);
    assert_true(d.max_error == (0x1p30 + 2) / 0x1p30);
}

enum { SPAN_MOST = 300 };

/* What span.h promises, element by element. */
static struct span plain_span(const struct span_arrays *in, const double *r, const double *e, const double *a,
                              size_t n)
{
    struct span s = {.finite = true};
    for (size_t i = 0; i < n; i++) {
        double source = in->expected ? fabs(e[i] - r[i]) : 0, distance = fabs(a[i] - r[i]);
        s.finite = s.finite && isfinite(source) && isfinite(distance);
        s.reference = fmax(s.reference, fabs(r[i]));
        s.source = fmax(s.source, source);
        s.distance = fmax(s.distance, distance);
    }
    return s;
}

/* Stores numbers as floats or doubles at any address, and rounds `values` to what is stored. */
static void store(unsigned char *at, bool wide, double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float narrow = (float)values[i];
        if (!wide)
            values[i] = (double)narrow;
        memcpy(at + i * (wide ? 8 : 4), wide ? (const void *)&values[i] : (const void *)&narrow,
               wide ? 8 : 4);
    }
}

static uint32_t random_bits(void)
{
    static uint32_t seed = 1;
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

/* Numbers of all sizes, subnormal ones and zeros too; with `special`, rarely one that is not finite. */
static double random_number(bool special)
{
    static const double ODD[] = {NAN, INFINITY, -INFINITY, DBL_MAX, -DBL_MAX};
    uint32_t kind = random_bits() % 256;
    if (special && kind == 0)
        return ODD[random_bits() % 5];
    double fraction = (double)random_bits() / 0x1p23 - 1;
    if (kind < 32)
        return ldexp(fraction, kind < 16 ? -140 : -1060);
    return kind < 40 ? 0 : ldexp(fraction, (int)(random_bits() % 60) - 30);
}

static void check_spans(struct span_arrays in, bool three, size_t n, size_t shift, bool special)
{
    static unsigned char room[3][SPAN_MOST * 8 + 8];
    double values[3][SPAN_MOST];
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < n; i++)
            values[k][i] = random_number(special);
        store(room[k] + shift, k == 0 ? in.wide_reference : in.wide, values[k], n);
    }
    in.reference = room[0] + shift;
    in.expected = three ? room[1] + shift : NULL;
    in.actual = room[2] + shift;
    struct span plain = plain_span(&in, values[0], values[1], values[2], n);
    const char *name;
    bool runs_here;
    for (size_t v = 0; span_variant(v, &name, &runs_here); v++) {
        struct span s;
        if (!runs_here)
            continue;
        span_variant(v, &name, &runs_here)(&in, n, &s);
        assert_int_equal(s.finite, plain.finite);
        assert_true(!s.finite || (s.reference == plain.reference && s.source == plain.source &&
                                  s.distance == plain.distance));
    }
}

/* Every variant that this processor runs, every combination of types, ragged ends, any alignment. */
static void spans_agree_with_a_plain_loop(void **state)
{
    (void)state;
    static const bool WIDE[][2] = {{false, false}, {true, false}, {true, true}};
    for (size_t n = 0; n <= SPAN_MOST; n++)
        for (size_t shape = 0; shape < 12; shape++)
            check_spans(
                (struct span_arrays){.wide_reference = WIDE[shape % 3][0], .wide = WIDE[shape % 3][1]},
                shape / 3 % 2, n, n % 8, shape / 6);
}

/* A NaN or an infinity in any place of any array is seen. */
static void spans_see_what_is_not_finite(void **state)
{
    (void)state;
    float values[3][SPAN_MOST] = {0};
    struct span_arrays in = {.reference = values[0], .expected = values[1], .actual = values[2]};
    const char *name;
    bool runs_here;
    for (size_t v = 0; span_variant(v, &name, &runs_here); v++) {
        for (size_t i = 0; runs_here && i < (size_t)3 * SPAN_MOST; i++) {
            struct span s;
            float *at = &values[i / SPAN_MOST][i % SPAN_MOST];
            *at = i % 2 ? NAN : -INFINITY;
            span_variant(v, &name, &runs_here)(&in, SPAN_MOST, &s);
            assert_false(s.finite);
            *at = 0;
        }
    }
}

/* The value by the definition of binary16 and bfloat16, for all 65536 patterns. */
static double plain_half(uint32_t bits, int fraction_bits, int bias)
{
    int fraction = (int)(bits & ((1U << fraction_bits) - 1)), most = 0x7fff >> fraction_bits;
    int exponent = (int)(bits & 0x7fff) >> fraction_bits;
    double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == most)
        return fraction > 0 ? NAN : sign * INFINITY;
    if (exponent > 0)
        fraction += 1 << fraction_bits;
    return sign * ldexp(fraction, (exponent > 0 ? exponent : 1) - bias - fraction_bits);
}

static void reads_every_half_number(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        const uint16_t stored = (uint16_t)bits;
        struct st_tensor half = tensor(ST_F16, &stored, 1), brain = tensor(ST_BF16, &stored, 1);
        double x, y, expected = plain_half(bits, 10, 15), other = plain_half(bits, 7, 127);
        st_load_double(&half, 0, 1, &x);
        st_load_double(&brain, 0, 1, &y);
        assert_true(isnan(expected) ? isnan(x) : x == expected && signbit(x) == signbit(expected));
        assert_true(isnan(other) ? isnan(y) : y == other && signbit(y) == signbit(other));
    }
}

static void knows_the_magnitude(void **state)
{
    (void)state;
    struct st_tensor t = tensor(ST_F64, F64(1, -5, INFINITY, NAN), 4),
                     i = tensor(ST_I64, (const int64_t[]){7}, 1);
    assert_true(verdict_magnitude(&t) == 5);
    assert_true(verdict_magnitude(&i) == 0);
}

static void compares_numbers_of_trees(void **state)
{
    (void)state;
    const struct verdict_tolerances *tol = &VERDICT_TOLERANCES_DEFAULT;
    const double truth = 1;
    assert_true(verdict_numbers_equal(1, 1 + 1e-10, NULL, ST_F64, tol));
    assert_false(verdict_numbers_equal(1, 1 + 1e-8, NULL, ST_F64, tol));
    assert_true(verdict_numbers_equal(1, 1 + 5e-7, NULL, ST_F32, tol));
    assert_true(verdict_numbers_equal(1 + 1e-6, 1 - 1e-5, &truth, ST_F32, tol));
    assert_true(verdict_numbers_equal(NAN, NAN, NULL, ST_F64, tol));
    assert_true(verdict_numbers_equal(INFINITY, INFINITY, NULL, ST_F64, tol));
    assert_false(verdict_numbers_equal(INFINITY, 1, NULL, ST_F64, tol));
    assert_false(verdict_numbers_equal(0, 1e-30, NULL, ST_F64, tol));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_relative_to_the_range),
        cmocka_unit_test(has_the_float64_tolerance),
        cmocka_unit_test(meets_what_is_not_finite_exactly),
        cmocka_unit_test(measures_zero_on_its_neighbours_scale),
        cmocka_unit_test(compares_integers_exactly),
        cmocka_unit_test(accepts_what_is_empty),
        cmocka_unit_test(allows_sixteen_times_the_sources_error),
        cmocka_unit_test(has_a_float32_floor),
        cmocka_unit_test(follows_the_source_where_float32_overflows),
        cmocka_unit_test(measures_on_the_sources_noise_around_zero),
        cmocka_unit_test(scales_the_floor_with_the_stored_type),
        cmocka_unit_test(finds_the_worst_element_anywhere),
        cmocka_unit_test(finds_it_in_float32_too),
        cmocka_unit_test(tells_distances_apart_that_float32_rounds_to_one),
        cmocka_unit_test(spans_agree_with_a_plain_loop),
        cmocka_unit_test(spans_see_what_is_not_finite),
        cmocka_unit_test(reads_every_half_number),
        cmocka_unit_test(knows_the_magnitude),
        cmocka_unit_test(compares_numbers_of_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
