/*
 * compare_main.c: how fast the verdict compares two large tensors, measured against memcpy.
 *
 *     build/tests/compare_main [MIB] [REPEATS]
 *
 * Two float32 tensors of MIB (256) each, without and with the float64 truth of the float32 stages, and two
 * float64 tensors. Each comparison alternates with a memcpy of all its bytes; printed are the medians, their
 * ratio, and the ratio to a copy of the first tensor alone. Exit status 1 where
 * float32 against float32 is below half the speed of memcpy of the same bytes.
 */
#include "daemon/clock.h"
#include "workers/verdict/compare.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOAL 0.5
#define MOST_REPEATS 99

/* Tensors whose values differ a little everywhere, in memory that was touched before. */
struct arrays {
    struct st_tensor expected, actual, truth, other; /* float32 twice, float64 twice */
    unsigned char *copy;                             /* room for all */
};

static struct st_tensor new_tensor(enum st_dtype dtype, uint64_t count)
{
    struct st_tensor t = {.dtype = dtype, .ndim = 1, .shape = {count}, .count = count};
    t.bytes = (size_t)count * st_dtype_size(dtype);
    t.data = malloc(t.bytes);
    assert(t.data);
    return t;
}

static void fill(struct arrays *a, uint64_t count)
{
    uint32_t seed = 1;
    *a = (struct arrays){.expected = new_tensor(ST_F32, count),
                         .actual = new_tensor(ST_F32, count),
                         .truth = new_tensor(ST_F64, count),
                         .other = new_tensor(ST_F64, count)};
    size_t room = a->expected.bytes * 2 + a->truth.bytes;
    a->copy = malloc(room);
    assert(a->copy);
    memset(a->copy, 1, room);
    for (uint64_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        double exact = (double)(int32_t)seed / 0x1p31;
        ((double *)(uintptr_t)a->truth.data)[i] = exact;
        ((double *)(uintptr_t)a->other.data)[i] = exact * (1 + 0x1p-50);
        ((float *)(uintptr_t)a->expected.data)[i] = (float)exact;
        ((float *)(uintptr_t)a->actual.data)[i] = (float)exact * (1 + 0x1p-23F);
    }
}

static void release(struct arrays *a)
{
    free((void *)(uintptr_t)a->expected.data);
    free((void *)(uintptr_t)a->actual.data);
    free((void *)(uintptr_t)a->truth.data);
    free((void *)(uintptr_t)a->other.data);
    free(a->copy);
}

static double seconds_since(int64_t started)
{
    return (double)(clock_mono_us() - started) / 1e6;
}

static double time_copy(const struct arrays *a, const struct st_tensor *const *from)
{
    int64_t started = clock_mono_us();
    size_t at = 0;
    for (; *from; from++) {
        memcpy(a->copy + at, (*from)->data, (*from)->bytes);
        at += (*from)->bytes;
    }
    __asm__ volatile("" ::"r"(a->copy) : "memory"); /* the copy is not to be optimised away */
    return seconds_since(started);
}

static double time_compare(const struct st_tensor *expected, const struct st_tensor *actual,
                           const struct st_tensor *truth)
{
    struct verdict_diff d;
    int64_t started = clock_mono_us();
    verdict_compare(expected, actual, truth, &VERDICT_TOLERANCES_DEFAULT, &d);
    double seconds = seconds_since(started);
    if (!d.equal || d.max_error == 0) {
        (void)fprintf(stderr, "compare: the tensors differ a little, and that was not found\n");
        exit(1);
    }
    return seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

/* Returns how many times as fast as memcpy of the same bytes. */
static double pairs(const char *title, const struct arrays *a, const struct st_tensor *expected,
                    const struct st_tensor *actual, const struct st_tensor *truth, int repeats)
{
    const struct st_tensor *all[] = {expected, actual, truth, NULL}, *one[] = {expected, NULL};
    double copies[MOST_REPEATS], singles[MOST_REPEATS], compares[MOST_REPEATS];
    for (int i = 0; i < repeats; i++) {
        copies[i] = time_copy(a, all);
        compares[i] = time_compare(expected, actual, truth);
        singles[i] = time_copy(a, one);
    }
    double copy = median(copies, repeats), compare = median(compares, repeats);
    (void)printf("compare: %-28s %.4f s, memcpy of the same bytes %.4f s, ratio %.2f; of one of them "
                 "%.2f\n",
                 title, compare, copy, copy / compare, median(singles, repeats) / compare);
    return copy / compare;
}

int main(int argc, char **argv)
{
    long mib = argc > 1 ? strtol(argv[1], NULL, 10) : 256, repeats = argc > 2 ? strtol(argv[2], NULL, 10) : 7;
    if (mib < 1 || mib > 4096 || repeats < 1 || repeats > MOST_REPEATS) {
        (void)fprintf(stderr, "usage: compare_main [MIB] [REPEATS]\n");
        return 2;
    }
    struct arrays a;
    fill(&a, (uint64_t)mib << 18);
    double ratio = pairs("float32, float32", &a, &a.expected, &a.actual, NULL, (int)repeats);
    (void)pairs("float32, float32, truth", &a, &a.expected, &a.actual, &a.truth, (int)repeats);
    (void)pairs("float64, float64", &a, &a.truth, &a.other, NULL, (int)repeats);
    release(&a);
    (void)printf("compare: goal %.1f of memcpy of the same bytes for float32, float32: %s\n", GOAL,
                 ratio >= GOAL ? "met" : "missed");
    return ratio >= GOAL ? 0 : 1;
}
