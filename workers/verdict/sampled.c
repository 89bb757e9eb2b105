/*
 * sampled.c: two-sample tests of whole tensors; see docs/contract.md, "Draws that can't be replayed".
 *
 * Any thread. Each run is reduced to a few numbers (statistics): chosen elements, random projections, and
 * sums over all elements that see a wrong rate, a wrong scale or draws that are shared where they should not
 * be. How they are formed follows from the source's calibration runs alone, so the other runs of the source
 * and those of the candidate are exchangeable where both draw alike, and the distance of Kolmogorov and
 * Smirnov between the two has a known tail whatever the distribution is.
 */
#include "workers/verdict/sampled.h"

#include "workers/verdict/st_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = VERDICT_SAMPLE_RUNS, CALIBRATION = VERDICT_CALIBRATION_RUNS };
enum { ELEMENTS = 28, PROJECTIONS = 8 };

/* Statistics of all elements. z is an element's deviation from its mean in units of its own, over those that
 * vary in the calibration. */
#define POOLED_TABLE(X)                                               \
    X(ODD, "elements that were constant in the source's calibration") \
    X(NONFINITE, "the number of elements that are not finite")        \
    X(ZEROS, "the number of zeros")                                   \
    X(MEAN, "the mean deviation")                                     \
    X(SQUARE, "the mean square deviation")                            \
    X(MAGNITUDE, "the mean magnitude of the deviations")              \
    X(LARGEST, "the largest deviation")                               \
    X(SCALE, "the component along the mean")

#define X(name, text) POOLED_##name,
enum pooled { POOLED_TABLE(X) POOLED_COUNT };
#undef X

static const char *const POOLED_TEXTS[POOLED_COUNT] = {
#define X(name, text) text,
    POOLED_TABLE(X)
#undef X
};

/* Then one for each axis, the projections and the elements. */
enum { FIRST_AXIS = POOLED_COUNT, MOST = POOLED_COUNT + ST_NDIM_MAX + PROJECTIONS + ELEMENTS };
_Static_assert(MOST <= SAMPLED_TESTS_MAX, "more tests than are accounted for");
_Static_assert(N >= 458, "the bound of sampled_tolerance() needs samples of this size");

struct sampler {
    const struct st_tensor *source, *candidate;
    size_t m;                     /* elements of a run */
    size_t elements, projections; /* statistics of these kinds */
    double range;                 /* of the calibration */
    uint64_t seed;                /* of the projections */
    double *mean, *scale; /* owned: of each element in the calibration; scale 0 where it is constant */
    double *row, *z;      /* owned: one run */
    double *values[2];    /* owned: source and candidate, [statistic][run] */
    double slack;
};

double sampled_tolerance(double alarm, double tests)
{
    return sqrt((log(2) + log(tests) - log(alarm)) / N);
}

static size_t axes(const struct sampler *s)
{
    return s->source->ndim - 1;
}

static size_t statistics(const struct sampler *s)
{
    return FIRST_AXIS + axes(s) + s->projections + s->elements;
}

/* One run as doubles; what is not finite becomes 0. Returns how many were not. */
static size_t load_row(const struct sampler *s, const struct st_tensor *t, size_t run, double *out)
{
    size_t odd = 0;
    st_load_double(t, (uint64_t)run * s->m, s->m, out);
    for (size_t i = 0; i < s->m; i++) {
        if (isfinite(out[i]))
            continue;
        out[i] = 0;
        odd++;
    }
    return odd;
}

/* Mean and standard deviation of each element over the calibration, in two passes. */
static void calibrate(struct sampler *s)
{
    for (size_t run = 0; run < CALIBRATION; run++) {
        (void)load_row(s, s->source, run, s->row);
        for (size_t i = 0; i < s->m; i++) {
            s->mean[i] += s->row[i] / CALIBRATION;
            s->range = fmax(s->range, fabs(s->row[i]));
        }
    }
    for (size_t run = 0; run < CALIBRATION; run++) {
        (void)load_row(s, s->source, run, s->row);
        for (size_t i = 0; i < s->m; i++)
            s->scale[i] += (s->row[i] - s->mean[i]) * (s->row[i] - s->mean[i]) / (CALIBRATION - 1);
    }
    for (size_t i = 0; i < s->m; i++) {
        double deviation = sqrt(s->scale[i]);
        s->scale[i] = deviation > s->slack * s->range ? deviation : 0;
    }
}

/* A sign for each element and projection, by a mixer of 64 bits (Steele, Lea and Flood, 2014). */
static double sign(uint64_t seed, size_t projection, size_t i)
{
    uint64_t x = seed + 0x9e3779b97f4a7c15u * ((uint64_t)i * PROJECTIONS + projection + 1);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) & 1 ? 1 : -1;
}

static void pool(const struct sampler *s, size_t odd, double *out)
{
    double along = 0, length = 0;
    size_t varying = 0;
    for (size_t p = 0; p < POOLED_COUNT; p++)
        out[p] = 0;
    out[POOLED_NONFINITE] = (double)odd;
    for (size_t i = 0; i < s->m; i++) {
        double x = s->row[i], z = s->z[i];
        out[POOLED_ZEROS] += fabs(x) <= s->slack * s->range;
        if (s->scale[i] == 0) {
            if (fabs(x - s->mean[i]) > s->slack * s->range)
                out[POOLED_ODD] = 1;
            continue;
        }
        varying++;
        out[POOLED_MEAN] += z;
        out[POOLED_SQUARE] += z * z;
        out[POOLED_MAGNITUDE] += fabs(z);
        out[POOLED_LARGEST] = fmax(out[POOLED_LARGEST], fabs(z));
        along += x * s->mean[i];
        length += s->mean[i] * s->mean[i];
    }
    double count = (double)(varying > 0 ? varying : 1);
    out[POOLED_MEAN] /= count;
    out[POOLED_SQUARE] /= count;
    out[POOLED_MAGNITUDE] /= count;
    out[POOLED_SCALE] = length > 0 ? along / length : 0;
}

/* The sum of products of neighbours along an axis: far from 0 where they share their draws. Of order 1 where
 * they do not. */
static double neighbours(const struct sampler *s, size_t axis)
{
    uint64_t stride = 1, size = s->source->shape[axis + 1];
    for (size_t a = axis + 2; a < s->source->ndim; a++)
        stride *= s->source->shape[a];
    double sum = 0;
    for (uint64_t i = 0; i < s->m; i++)
        if ((i / stride) % size + 1 < size)
            sum += s->z[i] * s->z[i + stride];
    return sum / sqrt((double)s->m);
}

static size_t element(const struct sampler *s, size_t number)
{
    return number * s->m / s->elements;
}

/* All statistics of the run in `row`, to `out[statistic * N]`. */
static void reduce(const struct sampler *s, size_t odd, double *out)
{
    double pooled[POOLED_COUNT], *to = out;
    for (size_t i = 0; i < s->m; i++)
        s->z[i] = s->scale[i] > 0 ? (s->row[i] - s->mean[i]) / s->scale[i] : 0;
    pool(s, odd, pooled);
    for (size_t p = 0; p < POOLED_COUNT; p++, to += N)
        *to = pooled[p];
    for (size_t a = 0; a < axes(s); a++, to += N)
        *to = neighbours(s, a);
    for (size_t p = 0; p < s->projections; p++, to += N) {
        *to = 0;
        for (size_t i = 0; i < s->m; i++)
            *to += sign(s->seed, p, i) * s->z[i] / sqrt((double)s->m);
    }
    for (size_t k = 0; k < s->elements; k++, to += N)
        *to = s->row[element(s, k)];
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The largest F(x) - G(x + slack) of two sorted samples. */
static double one_sided(const double *f, const double *g, double slack)
{
    double largest = 0;
    size_t below = 0;
    for (size_t i = 0; i < N; i++) {
        while (below < N && g[below] <= f[i] + slack)
            below++;
        largest = fmax(largest, ((double)i + 1 - (double)below) / N);
    }
    return largest;
}

/* The largest gap between two distribution functions. Values that are closer than `slack` times their size
 * count for equal, so that rounding does not part them; `size` is the least such size. Sorts both. */
static double distance(double *a, double *b, double slack, double size)
{
    qsort(a, N, sizeof *a, ascending);
    qsort(b, N, sizeof *b, ascending);
    for (size_t end = 0; end < N; end += N - 1)
        size = fmax(size, fmax(fabs(a[end]), fabs(b[end])));
    return fmax(one_sided(a, b, slack * size), one_sided(b, a, slack * size));
}

static double mean_of(const double *values)
{
    double sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += values[i];
    return sum / N;
}

static const char *name_of(const struct sampler *s, size_t statistic)
{
    if (statistic < POOLED_COUNT)
        return POOLED_TEXTS[statistic];
    if (statistic < FIRST_AXIS + axes(s))
        return "how neighbours along an axis go together";
    return statistic < FIRST_AXIS + axes(s) + s->projections ? "a random projection" : "an element";
}

static void judge(struct sampler *s, struct sampled_diff *out)
{
    size_t first = statistics(s) - s->elements;
    *out = (struct sampled_diff){.distance = -1};
    for (size_t k = 0; k < statistics(s); k++) {
        double *a = s->values[0] + k * N, *b = s->values[1] + k * N;
        double gap = distance(a, b, s->slack, k >= first ? s->range : 1);
        if (gap <= out->distance)
            continue;
        *out = (struct sampled_diff){.distance = gap,
                                     .statistic = name_of(s, k),
                                     .element = k >= first ? element(s, k - first) : 0,
                                     .expected = mean_of(a),
                                     .actual = mean_of(b)};
    }
}

static double *doubles(size_t n)
{
    return calloc(n > 0 ? n : 1, sizeof(double));
}

static void sampler_fini(struct sampler *s)
{
    free(s->mean);
    free(s->scale);
    free(s->row);
    free(s->z);
    free(s->values[0]);
    free(s->values[1]);
}

/* Seeds the projections by numbers that no candidate can know: the source's own first run. */
static void draw_seed(struct sampler *s)
{
    (void)load_row(s, s->source, 0, s->row);
    for (size_t i = 0; i < s->m; i++) {
        uint64_t bits;
        memcpy(&bits, &s->row[i], sizeof bits);
        s->seed = (s->seed ^ bits) * 0x100000001b3u;
    }
}

int sampled_compare(const struct st_tensor *source, const struct st_tensor *candidate, double slack,
                    struct sampled_diff *out, struct err *e)
{
    struct sampler s = {.source = source, .candidate = candidate, .slack = slack};
    s.m = (size_t)(candidate->count / N);
    s.elements = s.m < ELEMENTS ? s.m : ELEMENTS;
    s.projections = s.m > 1 ? PROJECTIONS : 0;
    s.mean = doubles(s.m);
    s.scale = doubles(s.m);
    s.row = doubles(s.m);
    s.z = doubles(s.m);
    for (size_t side = 0; side < 2; side++)
        s.values[side] = doubles(statistics(&s) * N);
    bool memory = s.mean && s.scale && s.row && s.z && s.values[0] && s.values[1];
    if (memory) {
        draw_seed(&s);
        calibrate(&s);
        for (size_t run = 0; run < N; run++) {
            reduce(&s, load_row(&s, source, CALIBRATION + run, s.row), s.values[0] + run);
            reduce(&s, load_row(&s, candidate, run, s.row), s.values[1] + run);
        }
        judge(&s, out);
    }
    sampler_fini(&s);
    return memory ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for a sample");
}
