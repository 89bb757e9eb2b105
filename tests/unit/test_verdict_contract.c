/*
 * test_verdict_contract.c: the stages beyond one check, what a request leaves out, noise, sums and the
 * joining of judgements; each on an oracle of one tensor a case.
 */
#include "tests/unit/json_text.h"
#include "tests/unit/tensors.h"

#define CASE(id, stage) \
    "{'id': '" id "', 'stage': '" stage "', 'dtype': 'float64', 'truth': null, 'output': " TENSOR "}"
#define TENSOR "{'t': 'tensor', 'dtype': 'float64', 'shape': [2]}"
#define OUTPUTS(id) "'" id "': " TENSOR
#define RAN(stage) "'" stage "': {'status': 'ran'}"

static const char PLAN[] =
    "{'format': 'ferry.plan/1', 'kind': 'class', 'outputs': [" TENSOR
    "], 'cases': [" CASE("c0", "forward_f64") "," CASE(
        "c1", "resize") ","
                        "{'id': 'c2', 'stage': 'optimizer', 'dtype': 'float64', 'truth': null, 'output': "
                        "null, 'outputs': [" TENSOR "]}," CASE("c3", "heldout") "," CASE(
                            "c4", "worst_case") ","
                                                "{'id': 'c5', 'stage': 'worst_case', 'dtype': 'float32', "
                                                "'truth': 'c4', 'output': " TENSOR "}],"
                                                "'submodules': []}";

static const char CHECK[] = "{'ok': true, 'stages': {" RAN("parse") "," RAN("import") "," RAN("build") "," RAN("weights") "," RAN(
    "sh"
    "ap"
    "e"
    "s") "," RAN("forward_f64") "," RAN("resize") "," RAN("optimizer") "," RAN("heldout") "," RAN("worst_"
                                                                                                  "case") "},"
                                                                                                          " '"
                                                                                                          "sh"
                                                                                                          "ap"
                                                                                                          "es"
                                                                                                          "':"
                                                                                                          " {"
                                                                                                          "'x"
                                                                                                          "0'"
                                                                                                          ": "
                                                                                                          "{'"
                                                                                                          "ou"
                                                                                                          "t/"
                                                                                                          "0'"
                                                                                                          ": "
                                                                                                          "{'"
                                                                                                          "dt"
                                                                                                          "yp"
                                                                                                          "e'"
                                                                                                          ": "
                                                                                                          "'f"
                                                                                                          "lo"
                                                                                                          "at"
                                                                                                          "32"
                                                                                                          "',"
                                                                                                          " '"
                                                                                                          "sh"
                                                                                                          "ap"
                                                                                                          "e'"
                                                                                                          ": "
                                                                                                          "[2"
                                                                                                          "]}"
                                                                                                          "}}"
                                                                                                          ","
                                                                                                          "'o"
                                                                                                          "ut"
                                                                                                          "pu"
                                                                                                          "ts"
                                                                                                          "':"
                                                                                                          " "
                                                                                                          "{" OUTPUTS("c0") "," OUTPUTS(
                                                                                                              "c1") ", 'c2': [" TENSOR
                                                                                                                    "]," OUTPUTS("c3") "," OUTPUTS(
                                                                                                                        "c4") "," OUTPUTS("c5") "}}";

/* Two biases are added up on the other side, one weight is not. */
static const char WEIGHTS[] =
    "{'format': 'ferry.weights/1', 'params': [{'to': 'w', 'from': ['w'], 'ops': []},"
    "{'to': 'b', 'from': ['b_ih', 'b_hh'], 'ops': [{'op': 'add'}]}], 'ignored': []}";

struct setup {
    json_t *plan, *check, *weights, *result;
    stage_set asked;
    double y[2];         /* the candidate's outputs, in every float64 case but c1 */
    double y1[2];        /* and in that */
    float y5[2];         /* in the float32 one */
    double w[2];         /* its trained weight */
    bool sums, no_param; /* hand back the two biases; the oracle has no parameters */
    bool with_arg;       /* both sides have an argument after the call, the candidate this one */
    double arg[2];
};

static int set_up(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    *s = (struct setup){.plan = json_of(PLAN),
                        .check = json_of(CHECK),
                        .weights = json_of(WEIGHTS),
                        .asked = STAGES_ALL,
                        .y = {2, -4},
                        .y1 = {2, -4},
                        .y5 = {2, -4},
                        .w = {1, 3},
                        .sums = true,
                        .arg = {7, 8}};
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *s = *state;
    json_decref(s->plan);
    json_decref(s->check);
    json_decref(s->weights);
    json_decref(s->result);
    free(s);
    return 0;
}

static void add_param(struct builder *b, bool named, const double w[2], bool sums)
{
    if (!named)
        return;
    builder_add(b, "c2/param/w", "F64", "[2]", w, 2 * sizeof *w);
    if (!sums)
        return;
    ADD(b, "c2/param/b_ih", "F64", "[1]", (const double[]){5});
    ADD(b, "c2/param/b_hh", "F64", "[1]", (const double[]){6});
}

static void add_side(struct builder *b, const struct setup *s, bool candidate)
{
    static const double Y[] = {2, -4}, W[] = {1, 3}, ARG[] = {7, 8};
    static const float Y5[] = {2, -4};
    static const char *const IDS[] = {"c0", "c3", "c4"};
    char name[16];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s/out/0", IDS[i]);
        builder_add(b, name, "F64", "[2]", candidate ? s->y : Y, sizeof Y);
    }
    builder_add(b, "c1/out/0", "F64", "[2]", candidate ? s->y1 : Y, sizeof Y);
    builder_add(b, "c2/out/0/0", "F64", "[2]", Y, sizeof Y);
    builder_add(b, "c5/out/0", "F32", "[2]", candidate ? s->y5 : Y5, sizeof Y5);
    add_param(b, !s->no_param, candidate ? s->w : W, !candidate || s->sums);
    if (s->with_arg)
        builder_add(b, "c0/arg/0", "F64", "[2]", candidate ? s->arg : ARG, sizeof ARG);
}

static int run(struct setup *s, struct err *e)
{
    struct builder *sides = calloc(2, sizeof *sides);
    assert_non_null(sides);
    add_side(&sides[0], s, false);
    add_side(&sides[1], s, true);
    struct bytes expected = builder_bytes(&sides[0]), actual = builder_bytes(&sides[1]);
    free(sides);
    struct st_file *x = open_bytes_ok(&expected), *a = open_bytes_ok(&actual);
    struct verdict_input in = {.plan = s->plan,
                               .expected = x,
                               .check = s->check,
                               .actual = a,
                               .weights = s->weights,
                               .asked = s->asked,
                               .tol = &VERDICT_TOLERANCES_DEFAULT};
    json_decref(s->result);
    s->result = NULL;
    int rc = verdict_judge(&in, &s->result, e);
    st_close(x);
    st_close(a);
    free(expected.data);
    free(actual.data);
    return rc;
}

static void judge(struct setup *s)
{
    struct err e = {0};
    if (run(s, &e) != 0)
        fail_msg("%s", e.text);
}

static json_t *row(const json_t *judgement, enum stage stage)
{
    return json_array_get(json_object_get(judgement, "stages"), (size_t)stage);
}

static void is(const json_t *judgement, enum stage stage, const char *status)
{
    assert_string_equal(word(row(judgement, stage), "status"), status);
}

static void concludes(const json_t *judgement, const char *verdict, int score)
{
    assert_string_equal(word(judgement, "verdict"), verdict);
    assert_int_equal(number(judgement, "score"), score);
}

static void differs_at(struct setup *s, const char *stage, const char *tensor, const char *why)
{
    judge(s);
    const json_t *d = json_object_get(s->result, "first_difference");
    assert_string_equal(word(s->result, "verdict"), "differs");
    assert_string_equal(word(d, "stage"), stage);
    assert_string_equal(word(d, "tensor"), tensor);
    assert_string_equal(word(d, "why"), why);
}

static void all_stages_with_cases_are_judged(void **state)
{
    struct setup *s = *state;
    judge(s);
    concludes(s->result, "equal", 10);
    is(s->result, STAGE_RESIZE, "passed");
    is(s->result, STAGE_OPTIMIZER, "passed");
    is(s->result, STAGE_HELDOUT, "passed");
    is(s->result, STAGE_WORST_CASE, "passed");
    is(s->result, STAGE_GRADIENTS, "not_applicable");
    s->y1[1] = -4.0001;
    differs_at(s, "resize", "out/0", "values");
}

/* 2^-18 of the range 4 is allowed in float32, 2^-17 is not. */
static void worst_case_has_both_precisions(void **state)
{
    struct setup *s = *state;
    s->y5[0] += 0x1p-18f;
    judge(s);
    concludes(s->result, "equal", 10);
    s->y5[0] = 2 + 0x1p-17f;
    differs_at(s, "worst_case", "out/0", "values");
}

/* What was not asked for is not run, and neither counts nor stops. */
static void stages_are_left_out(void **state)
{
    struct setup *s = *state;
    s->asked = STAGES_ALL & ~STAGE_BIT(STAGE_RESIZE) & ~STAGE_BIT(STAGE_GRADIENTS);
    s->y1[1] = 9;
    judge(s);
    concludes(s->result, "equal", 9);
    is(s->result, STAGE_RESIZE, "not_run");
    is(s->result, STAGE_GRADIENTS, "not_run"); /* though there is no case of it */
    assert_null(json_object_get(row(s->result, STAGE_RESIZE), "by_tensor"));
}

static void parameters_are_compared(void **state)
{
    struct setup *s = *state;
    s->w[1] = 3.00001;
    differs_at(s, "optimizer", "param/w", "values");
    s->w[1] = 3;
    s->sums = false;
    differs_at(s, "optimizer", "param/b_hh", "missing");
}

/* A sum may be left out where both the check and the map name it; then it is counted. */
static void sums_are_assumed(void **state)
{
    struct setup *s = *state;
    s->sums = false;
    edit(s->check, "assumed", "{'c2': ['param/b_ih', 'param/b_hh', 'param/w']}");
    judge(s);
    concludes(s->result, "equal", 10);
    assert_int_equal(number(row(s->result, STAGE_OPTIMIZER), "assumed"), 2);
    s->w[0] = 1.5; /* is there, so it is compared */
    differs_at(s, "optimizer", "param/w", "values");
    s->w[0] = 1;
    edit(s->weights, "params.1.ops", "[{'op': 'concat', 'axis': 0}]");
    differs_at(s, "optimizer", "param/b_hh", "missing");
    json_decref(s->weights);
    s->weights = NULL;
    differs_at(s, "optimizer", "param/b_hh", "missing");
}

static void an_optimizer_case_without_parameters_is_hollow(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    s->no_param = true;
    assert_int_equal(run(s, &e), FERR_INVALID_TENSORS);
    assert_non_null(strstr(e.text, "c2/param/"));
}

/* 16 times the noise, 1.6e-7, is allowed of the range 4; the stage says so. */
static void noise_widens_the_tolerance(void **state)
{
    struct setup *s = *state;
    s->y1[1] = -4 - 6e-7;
    differs_at(s, "resize", "out/0", "values");
    edit(s->plan, "cases.1.noise", "1e-8");
    judge(s);
    concludes(s->result, "equal", 10);
    const json_t *r = row(s->result, STAGE_RESIZE);
    assert_true(number(r, "noise") == 1e-8 && number(r, "tolerance") == 16e-8);
    assert_null(json_object_get(row(s->result, STAGE_HELDOUT), "noise"));
    s->y1[1] = -4 - 7e-7;
    differs_at(s, "resize", "out/0", "values");
}

static void noise_is_capped(void **state)
{
    struct setup *s = *state;
    edit(s->plan, "cases.1.noise", "0.5");
    s->y1[1] = -4 - 3.9e-6;
    judge(s);
    concludes(s->result, "equal", 10);
    assert_true(number(row(s->result, STAGE_RESIZE), "tolerance") == 1e-6);
    s->y1[1] = -4 - 4.1e-6;
    differs_at(s, "resize", "out/0", "values");
}

static void little_noise_changes_nothing(void **state)
{
    struct setup *s = *state;
    edit(s->plan, "cases.1.noise", "1e-15");
    judge(s);
    assert_true(number(row(s->result, STAGE_RESIZE), "tolerance") == 1e-9);
    assert_null(json_object_get(row(s->result, STAGE_RESIZE), "noise"));
    static const char *const BAD[] = {"-1", "'much'", "true", "[]"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct err e = {0};
        edit(s->plan, "cases.1.noise", BAD[i]);
        assert_int_equal(run(s, &e), FERR_INVALID_FIELD);
        assert_string_equal(e.pointer, "/cases/1/noise");
    }
}

static void effects_on_arguments_are_compared(void **state)
{
    struct setup *s = *state;
    s->with_arg = true;
    judge(s);
    concludes(s->result, "equal", 10);
    s->arg[1] = 9;
    differs_at(s, "forward_f64", "arg/0", "values");
}

static void each_tensor_has_its_numbers(void **state)
{
    struct setup *s = *state;
    s->w[1] = 3 + 3e-10;
    judge(s);
    const json_t *tensors = json_object_get(row(s->result, STAGE_OPTIMIZER), "by_tensor");
    const json_t *w = json_object_get(tensors, "param/w");
    assert_int_equal(json_object_size(tensors), 4); /* out/0/0, w, b_ih, b_hh */
    assert_true(number(w, "max_error") > 0.9e-10 && number(w, "max_error") < 1.1e-10);
    assert_true(number(w, "tolerance") == 1e-9);
    assert_int_equal(number(w, "cases"), 1);
    assert_string_equal(word(w, "case"), "c2");
    tensors = json_object_get(row(s->result, STAGE_WORST_CASE), "by_tensor");
    assert_int_equal(number(json_object_get(tensors, "out/0"), "cases"), 2);
}

/* ---- joining ---- */

/* The judgement of a check that had only the stages of `asked`. */
static json_t *judged(struct setup *s, stage_set asked)
{
    s->asked = asked;
    judge(s);
    return json_incref(s->result);
}

static const stage_set GATES = STAGE_BIT(STAGE_PARSE) | STAGE_BIT(STAGE_IMPORT) | STAGE_BIT(STAGE_WEIGHTS);

static void merging_adds_the_later_stages(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    json_t *first = judged(s, STAGES_ALL & ~STAGES_ACCEPT), *later = judged(s, GATES | STAGES_ACCEPT);
    concludes(first, "equal", 8);
    is(first, STAGE_HELDOUT, "not_run");
    assert_int_equal(verdict_merge(first, later, STAGES_ACCEPT, &e), 0);
    concludes(first, "equal", 10);
    is(first, STAGE_RESIZE, "passed");
    is(first, STAGE_HELDOUT, "passed");
    assert_int_equal(number(row(first, STAGE_WORST_CASE), "cases"), 2);
    json_decref(first);
    json_decref(later);
}

static void merging_joins_rows(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    json_t *first = judged(s, STAGES_ALL);
    s->y5[0] += 0x1p-19f;
    json_t *later = judged(s, GATES | STAGES_ACCEPT);
    assert_int_equal(verdict_merge(first, later, STAGES_ACCEPT, &e), 0);
    const json_t *r = row(first, STAGE_WORST_CASE);
    assert_true(number(r, "max_error") == 0x1p-21);
    assert_int_equal(number(r, "cases"), 4);
    assert_int_equal(number(r, "tensors"), 4);
    assert_int_equal(number(json_object_get(json_object_get(r, "by_tensor"), "out/0"), "cases"), 4);
    assert_int_equal(number(row(first, STAGE_FORWARD_F64), "cases"), 1); /* not in the set */
    json_decref(first);
    json_decref(later);
}

static void merging_takes_a_difference(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    json_t *first = judged(s, STAGES_ALL & ~STAGES_ACCEPT);
    s->y[0] = 2.1;
    json_t *later = judged(s, GATES | STAGES_ACCEPT);
    assert_int_equal(verdict_merge(first, later, STAGES_ACCEPT, &e), 0);
    concludes(first, "differs", 8);
    assert_string_equal(word(first, "reason"), "differs");
    assert_string_equal(word(json_object_get(first, "first_difference"), "stage"), "heldout");
    json_decref(first);
    json_decref(later);
}

/* A candidate that fails to import the second time has failed what that time was for. */
static void merging_blames_the_first_stage(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    json_t *first = judged(s, STAGES_ALL & ~STAGES_ACCEPT);
    edit(s->check, "stages",
         "{'parse': {'status': 'ran'}, 'import': {'status': 'failed', 'error': {'code': 'candidate_error', "
         "'message': 'only once'}}}");
    json_t *later = judged(s, GATES | STAGES_ACCEPT);
    assert_int_equal(verdict_merge(first, later, STAGES_ACCEPT, &e), 0);
    concludes(first, "differs", 8);
    assert_string_equal(word(first, "reason"), "candidate_error");
    is(first, STAGE_IMPORT, "passed");
    is(first, STAGE_HELDOUT, "failed");
    is(first, STAGE_WORST_CASE, "not_run");
    assert_string_equal(word(json_object_get(row(first, STAGE_HELDOUT), "error"), "message"), "only once");
    assert_string_equal(word(json_object_get(first, "first_difference"), "stage"), "heldout");
    json_decref(first);
    json_decref(later);
}

static void spans_count_finite_values(void **state)
{
    (void)state;
    static const double VALUES[] = {3, -1, 0, 1e300};
    static const uint32_t INFINITE[] = {0x7f800000, 0xff800000, 0x7fc00000}; /* inf, -inf, nan */
    struct builder *b = calloc(1, sizeof *b);
    ADD(b, "a", "F64", "[4]", VALUES);
    ADD(b, "b", "F32", "[3]", INFINITE);
    struct bytes bytes = builder_bytes(b);
    struct st_file *f = open_bytes_ok(&bytes);
    double least, greatest;
    assert_true(verdict_span(st_find(f, "a"), &least, &greatest));
    assert_true(least == -1 && greatest == 1e300);
    assert_false(verdict_span(st_find(f, "b"), &least, &greatest));
    st_close(f);
    free(bytes.data);
    free(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_stages_with_cases_are_judged),
        TEST(worst_case_has_both_precisions),
        TEST(stages_are_left_out),
        TEST(parameters_are_compared),
        TEST(sums_are_assumed),
        TEST(an_optimizer_case_without_parameters_is_hollow),
        TEST(noise_widens_the_tolerance),
        TEST(noise_is_capped),
        TEST(little_noise_changes_nothing),
        TEST(effects_on_arguments_are_compared),
        TEST(each_tensor_has_its_numbers),
        TEST(merging_adds_the_later_stages),
        TEST(merging_joins_rows),
        TEST(merging_takes_a_difference),
        TEST(merging_blames_the_first_stage),
        cmocka_unit_test(spans_count_finite_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
