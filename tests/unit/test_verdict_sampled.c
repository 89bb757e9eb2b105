/*
 * test_verdict_sampled.c: two samples from one distribution or from two, and how a judgement takes them.
 *
 * The model of most tests is dropout at the rate 1/2 of eight constants in three rows.
 */
#include "tests/unit/json_text.h"
#include "tests/unit/tensors.h"

#include "workers/verdict/sampled.h"

#include <math.h>

enum { ROWS = 3, COLUMNS = 8, ELEMENTS = ROWS * COLUMNS };
enum { TESTED = VERDICT_SAMPLE_RUNS, ALL = VERDICT_CALIBRATION_RUNS + VERDICT_SAMPLE_RUNS };

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* How one run is drawn. */
struct law {
    double keep, scale;
    bool rows_share; /* one mask for all rows */
    double offset;   /* of everything: rounding, or a wrong mean */
};

static const struct law RIGHT = {.keep = 0.5, .scale = 2};

static void draw_run(const struct law *law, uint64_t *state, double *out)
{
    bool kept[ELEMENTS];
    for (size_t i = 0; i < ELEMENTS; i++)
        kept[i] = law->rows_share && i >= COLUMNS ? kept[i - COLUMNS] : uniform(state) < law->keep;
    for (size_t i = 0; i < ELEMENTS; i++)
        out[i] = (kept[i] ? law->scale * ((double)(i % 5) + 1) : 0) + law->offset;
}

static struct st_tensor sample(const struct law *law, size_t runs, uint64_t seed)
{
    double *data = malloc(runs * ELEMENTS * sizeof *data);
    assert_non_null(data);
    for (size_t run = 0; run < runs; run++)
        draw_run(law, &seed, data + run * ELEMENTS);
    return (struct st_tensor){.name = "c0/out/0",
                              .dtype = ST_F64,
                              .ndim = 3,
                              .shape = {runs, ROWS, COLUMNS},
                              .count = runs * ELEMENTS,
                              .data = data,
                              .bytes = runs * ELEMENTS * sizeof *data};
}

static double distance_of(const struct law *theirs, const struct law *ours, uint64_t seed,
                          struct sampled_diff *diff)
{
    struct st_tensor source = sample(theirs, ALL, seed), candidate = sample(ours, TESTED, seed + 1);
    struct err e = {0};
    assert_int_equal(sampled_compare(&source, &candidate, 1e-6, diff, &e), 0);
    free((void *)(uintptr_t)source.data);
    free((void *)(uintptr_t)candidate.data);
    return diff->distance;
}

static double distance(const struct law *law, uint64_t seed, struct sampled_diff *diff)
{
    return distance_of(&RIGHT, law, seed, diff);
}

/* sqrt((ln 2 + ln 64 + ln(1 / 3e-7)) / 512) */
static void the_tolerance_follows_from_the_bound(void **state)
{
    (void)state;
    assert_true(fabs(sampled_tolerance(3e-7, 64) - 0.197006) < 1e-6);
}

static void equal_distributions_stay_below(void **state)
{
    (void)state;
    struct sampled_diff diff;
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_true(distance(&RIGHT, 1000 * seed, &diff) < sampled_tolerance(3e-7, SAMPLED_TESTS_MAX));
}

static void rounding_parts_no_equal_values(void **state)
{
    (void)state;
    struct sampled_diff plain, moved;
    struct law law = RIGHT;
    law.offset = 1e-12;
    assert_true(distance(&RIGHT, 7, &plain) == distance(&law, 7, &moved));
    /* what is constant but for rounding is so on both sides */
    struct law still = {.keep = 1, .scale = 1, .offset = 1e-12}, plain_still = {.keep = 1, .scale = 1};
    assert_true(distance_of(&plain_still, &still, 7, &moved) == 0);
    assert_true(distance_of(&still, &plain_still, 7, &moved) == 0);
}

static void other_distributions_are_seen(void **state)
{
    (void)state;
    static const struct law LAWS[] = {
        {.keep = 0.6, .scale = 1 / 0.6},               /* another rate, rightly scaled */
        {.keep = 0.5, .scale = 1},                     /* not scaled */
        {.keep = 0.5, .scale = 2, .rows_share = true}, /* one mask for all rows */
        {.keep = 1, .scale = 1},                       /* not dropped at all */
        {.keep = 0.5, .scale = 2, .offset = 0.5},      /* moved */
        {.keep = 0.5, .scale = 2.5},
    };
    struct sampled_diff diff;
    for (size_t i = 0; i < sizeof LAWS / sizeof *LAWS; i++)
        for (uint64_t seed = 1; seed <= 5; seed++)
            assert_true(distance(&LAWS[i], 1000 * seed, &diff) > sampled_tolerance(3e-7, 64));
}

/* A mask that the rows share leaves each element's distribution as it is. */
static void what_is_shared_shows_in_neighbours(void **state)
{
    (void)state;
    struct law law = RIGHT;
    struct sampled_diff diff;
    law.rows_share = true;
    (void)distance(&law, 5, &diff);
    assert_string_equal(diff.statistic, "how neighbours along an axis go together");
}

/* ---- in a judgement --------------------------------------------------------------------------------------
 */

static const char PLAN[] =
    "{'format': 'ferry.plan/1', 'kind': 'class', 'outputs': [], 'cases': ["
    "{'id': 'c0', 'stage': 'train_state', 'dtype': 'float64', 'truth': null, 'output': null, 'rng': [{}],"
    " 'outputs': [{'t': 'tensor', 'dtype': 'float64', 'shape': [1]}]}]}";

static const char CHECK[] = "{'stages': {'train_state': {'status': 'ran'}}, 'unreplayed': ['c0']}";

/* A single coin in each run. */
static struct bytes coins(size_t runs, double probability)
{
    static struct builder b;
    static double data[ALL];
    char shape[32];
    uint64_t seed = 11 + runs;
    memset(&b, 0, sizeof b);
    for (size_t i = 0; i < runs; i++)
        data[i] = uniform(&seed) < probability;
    (void)snprintf(shape, sizeof shape, "[%zu, 1]", runs);
    builder_add(&b, "c0/out/0/0", "F64", shape, data, runs * sizeof *data);
    return builder_bytes(&b);
}

struct outcome {
    const char *status, *why, *code;
    json_int_t sampled;
};

/* Judges one case; its words last until the next call. `probability` is that of the candidate's coin, or
 * negative where nobody took samples. */
static struct outcome judge(const char *plan_text, double probability, size_t runs)
{
    static struct builder b;
    static char words[3][64];
    memset(&b, 0, sizeof b);
    ADD(&b, "c0/out/0/0", "F64", "[1]", (const double[]){1});
    ADD(&b, "c0/draw/0/p", "F64", "[]", (const double[]){0.5});
    struct bytes files[] = {builder_bytes(&b), coins(ALL, 0.5), coins(runs, probability)};
    struct st_file *open[3];
    for (size_t i = 0; i < 3; i++)
        open[i] = open_bytes_ok(&files[i]);
    json_t *plan = json_of(plan_text), *check = json_of(CHECK), *out = NULL;
    struct verdict_input in = {.plan = plan,
                               .expected = open[0],
                               .check = check,
                               .samples = probability < 0 ? NULL : open[1],
                               .sampled = probability < 0 ? NULL : open[2],
                               .asked = STAGE_BIT(STAGE_TRAIN_STATE),
                               .tol = &VERDICT_TOLERANCES_DEFAULT};
    struct err e = {0};
    assert_int_equal(verdict_judge(&in, &out, &e), 0);
    json_t *row = json_array_get(json_object_get(out, "stages"), STAGE_TRAIN_STATE);
    json_t *found[] = {json_object_get(row, "status"), json_object_get(json_object_get(row, "worst"), "why"),
                       json_object_get(json_object_get(row, "error"), "code")};
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(words[i], sizeof words[i], "%s", found[i] ? json_string_value(found[i]) : "");
    struct outcome result = {words[0], words[1], words[2],
                             json_integer_value(json_object_get(row, "sampled"))};
    for (size_t i = 0; i < 3; i++) {
        st_close(open[i]);
        free(files[i].data);
    }
    json_decref(plan);
    json_decref(check);
    json_decref(out);
    return result;
}

static void a_case_is_decided_by_its_samples(void **state)
{
    (void)state;
    struct outcome o = judge(PLAN, 0.5, TESTED);
    assert_string_equal(o.status, "passed");
    assert_int_equal(o.sampled, 1);
    o = judge(PLAN, 0.9, TESTED);
    assert_string_equal(o.status, "failed");
    assert_string_equal(o.why, "values");
}

static void too_few_runs_are_no_sample(void **state)
{
    (void)state;
    struct outcome o = judge(PLAN, 0.5, TESTED - 1);
    assert_string_equal(o.status, "failed");
    assert_string_equal(o.why, "shape");
}

static void without_samples_the_stage_fails(void **state)
{
    (void)state;
    struct outcome o = judge(PLAN, -1, TESTED);
    assert_string_equal(o.status, "failed");
    assert_string_equal(o.code, "draws_differ");
}

/* Where the source draws nothing there is nothing to excuse. */
static void a_source_that_draws_nothing_is_compared(void **state)
{
    (void)state;
    char plan[sizeof PLAN];
    (void)snprintf(plan, sizeof plan, "%s", PLAN);
    memcpy(strstr(plan, "[{}]"), "[  ]", 4);
    struct outcome o = judge(plan, 0.5, TESTED);
    assert_string_equal(o.status, "failed");
    assert_int_equal(o.sampled, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tolerance_follows_from_the_bound),
        cmocka_unit_test(equal_distributions_stay_below),
        cmocka_unit_test(rounding_parts_no_equal_values),
        cmocka_unit_test(other_distributions_are_seen),
        cmocka_unit_test(what_is_shared_shows_in_neighbours),
        cmocka_unit_test(a_case_is_decided_by_its_samples),
        cmocka_unit_test(too_few_runs_are_no_sample),
        cmocka_unit_test(without_samples_the_stage_fails),
        cmocka_unit_test(a_source_that_draws_nothing_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
