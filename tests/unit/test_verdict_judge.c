/*
 * test_verdict_judge.c: the ladder, on a small oracle with every kind of case; each test spoils one thing.
 *
 * The model: y = w * x with w = [2, 4], a buffer n that counts calls and a running mean m.
 */
#include "tests/unit/json_text.h"
#include "tests/unit/tensors.h"

#include <math.h>

#define TENSOR(dtype) "{'t': 'tensor', 'dtype': '" dtype "', 'shape': [2]}"
#define OUTPUT(dtype)                                                                              \
    "{'t': 'map', 'keys': ['y', 'k', 's'], 'items': [" TENSOR(                                     \
        dtype) ", {'t': 'seq', 'items': [{'t': 'int', 'value': 3}, {'t': 'float', 'value': 0.5}, " \
               "{'t': 'none'}]}, {'t': 'str', 'value': 'mean'}]}"

static const char PLAN[] = "{'format': 'ferry.plan/1', 'kind': 'class', 'outputs': [" OUTPUT(
    "float64") "], 'cases': ["
               "{'id': 'c0', 'stage': 'forward_f64', 'dtype': 'float64', 'truth': null, 'output': " OUTPUT(
                   "float64") "},"
                              "{'id': 'c1', 'stage': 'forward_f32', 'dtype': 'float32', 'truth': 'c0', "
                              "'output': " OUTPUT(
                                  "float32") "},"
                                             "{'id': 'c2', 'stage': 'gradients', 'dtype': 'float64', "
                                             "'truth': null, 'output': " OUTPUT(
                                                 "float64") "},"
                                                            "{'id': 'c3', 'stage': 'train_state', 'dtype': "
                                                            "'float64', 'truth': null, 'output': null, "
                                                            "'outputs': [" TENSOR("float64") ", " TENSOR(
                                                                "float64") "]},"
                                                                           "{'id': 'c4', 'stage': 'jit', "
                                                                           "'dtype': 'float32', 'truth': "
                                                                           "'c0', 'output': " OUTPUT(
                                                                               "float32") "}],"
                                                                                          "'submodules': "
                                                                                          "['a#0', 'b#0', "
                                                                                          "'b#1', '.#0']}";

static const char CHECK[] =
    "{'ok': true, 'stages': {'parse': {'status': 'ran'}, 'import': {'status': 'ran'}, 'build': {'status': "
    "'ran'}, "
    "'weights': {'status': 'ran'}, 'shapes': {'status': 'ran'}, 'forward_f64': {'status': 'ran'}, "
    "'forward_f32': {'status': 'ran'}, 'gradients': {'status': 'ran'}, 'train_state': {'status': 'ran'}, "
    "'jit': {'status': 'ran'}, 'resize': {'status': 'not_run'}},"
    "'shapes': {'x0': {'out/y': {'dtype': 'float32', 'shape': [2]}}},"
    "'outputs': {'c0': " OUTPUT("float64") ", 'c1': " OUTPUT("float32") ", 'c2': " OUTPUT(
        "float64") ", 'c3': [" TENSOR("float64") ", " TENSOR("float64") "], 'c4': " OUTPUT("float32") "}}";

/* The tensors of the oracle; also what a right candidate hands back. */
static void add_all(struct builder *b)
{
    static const double Y[] = {2, -4};
    static const float Y32[] = {2, -4};
    ADD(b, "c0/out/y", "F64", "[2]", Y);
    ADD(b, "c1/out/y", "F32", "[2]", Y32);
    ADD(b, "c2/out/y", "F64", "[2]", Y);
    ADD(b, "c2/grad/param/w", "F64", "[2]", (const double[]){1, 1000});
    ADD(b, "c2/grad/param/zero", "F64", "[1]", (const double[]){0});
    ADD(b, "c2/grad/input/0", "F64", "[2]", (const double[]){2, 4});
    ADD(b, "c3/out/0/0", "F64", "[2]", Y);
    ADD(b, "c3/out/1/0", "F64", "[2]", Y);
    ADD(b, "c3/state/m", "F64", "[2]", (const double[]){0.5, 0.25});
    ADD(b, "c3/state/n", "I64", "[]", (const int64_t[]){2});
    ADD(b, "c4/out/y", "F32", "[2]", Y32);
    ADD(b, "c0/sub/a#0/0", "F64", "[2]", (const double[]){1, 1});
    ADD(b, "c0/sub/b#0/0", "F64", "[2]", (const double[]){3, 5});
    ADD(b, "c0/sub/b#1/0", "F64", "[2]", (const double[]){6, 7});
    ADD(b, "c0/sub/.#0/y", "F64", "[2]", Y);
}

struct setup {
    json_t *plan, *check, *result;
    struct builder expected, actual;
    struct bytes expected_bytes, actual_bytes;
};

static int set_up(void **state)
{
    struct setup *s = calloc(1, sizeof *s);
    s->plan = json_of(PLAN);
    s->check = json_of(CHECK);
    add_all(&s->expected);
    add_all(&s->actual);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *s = *state;
    json_decref(s->plan);
    json_decref(s->check);
    json_decref(s->result);
    free(s);
    return 0;
}

/* Overwrites the bytes of a tensor of the candidate. */
static void set_actual(struct setup *s, const char *name, const void *data)
{
    struct bytes b = builder_bytes(&s->actual);
    struct st_file *f = open_bytes_ok(&b);
    const struct st_tensor *t = st_find(f, name);
    assert_non_null(t);
    size_t at = (size_t)((const unsigned char *)t->data - (const unsigned char *)st_at(f, 0)->data);
    memcpy(s->actual.data + at, data, t->bytes);
    st_close(f);
    free(b.data);
}

/* Gives a tensor of the candidate another name, of the same length. */
static void rename_actual(struct setup *s, const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    char *at = strstr(s->actual.header, from);
    assert_non_null(at);
    memcpy(at, to, strlen(to));
}

typedef int decide(const struct verdict_input *in, json_t **out, struct err *e);

static int run(struct setup *s, decide *f, bool with_actual, struct err *e)
{
    struct bytes expected = builder_bytes(&s->expected), actual = builder_bytes(&s->actual);
    struct st_file *x = open_bytes_ok(&expected), *a = open_bytes_ok(&actual);
    struct verdict_input in = {.plan = s->plan,
                               .expected = x,
                               .check = s->check,
                               .actual = with_actual ? a : NULL,
                               .asked = STAGES_ALL,
                               .tol = &VERDICT_TOLERANCES_DEFAULT};
    json_decref(s->result);
    s->result = NULL;
    int rc = f(&in, &s->result, e);
    st_close(x);
    st_close(a);
    free(expected.data);
    free(actual.data);
    return rc;
}

static void judge(struct setup *s)
{
    struct err e = {0};
    if (run(s, verdict_judge, true, &e) != 0)
        fail_msg("%s", e.text);
}

static const json_t *stage(const struct setup *s, const char *name)
{
    return json_array_get(json_object_get(s->result, "stages"), (size_t)stage_parse(name));
}

static const char *status(const struct setup *s, const char *name)
{
    return json_string_value(json_object_get(stage(s, name), "status"));
}

static void concludes(const struct setup *s, const char *verdict, const char *reason, int score)
{
    assert_string_equal(word(s->result, "verdict"), verdict);
    assert_string_equal(word(s->result, "reason"), reason);
    assert_int_equal(json_integer_value(json_object_get(s->result, "score")), score);
}

/* The run differs; the first difference is in this stage and tensor, for this cause. */
static const json_t *differs_at(struct setup *s, int score, const char *stage_name, const char *tensor,
                                const char *why)
{
    judge(s);
    concludes(s, "differs", "differs", score);
    const json_t *d = json_object_get(s->result, "first_difference");
    assert_string_equal(word(d, "stage"), stage_name);
    assert_string_equal(word(d, "tensor"), tensor);
    assert_string_equal(word(d, "why"), why);
    assert_string_equal(status(s, stage_name), "failed");
    return d;
}

static void fails_with_error(struct setup *s, int score, const char *reason, const char *stage_name)
{
    judge(s);
    concludes(s, "differs", reason, score);
    const json_t *d = json_object_get(s->result, "first_difference");
    assert_string_equal(word(d, "stage"), stage_name);
    assert_string_equal(word(json_object_get(d, "error"), "code"), reason);
    assert_true(json_is_null(json_object_get(d, "tensor")));
}

static void equal_passes_every_stage(void **state)
{
    struct setup *s = *state;
    judge(s);
    concludes(s, "equal", "", 10);
    assert_int_equal(json_array_size(json_object_get(s->result, "stages")), STAGE_COUNT);
    assert_true(json_is_null(json_object_get(s->result, "first_difference")));
    static const char *const WITHOUT_CASES[] = {"resize", "optimizer", "heldout", "worst_case"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(status(s, WITHOUT_CASES[i]), "not_applicable");
    assert_true(number(stage(s, "forward_f64"), "max_error") == 0);
    assert_true(number(stage(s, "forward_f64"), "tolerance") == 1e-9);
    assert_int_equal(number(stage(s, "train_state"), "tensors"), 4);
    assert_int_equal(number(stage(s, "gradients"), "cases"), 1);
}

static void values_differ(void **state)
{
    struct setup *s = *state;
    set_actual(s, "c0/out/y", (const double[]){2, -3});
    const json_t *d = differs_at(s, 5, "forward_f64", "out/y", "values");
    assert_true(number(d, "max_error") == 0.25 && number(d, "tolerance") == 1e-9);
    assert_int_equal(number(d, "index"), 1);
    assert_true(number(d, "expected") == -4 && number(d, "actual") == -3);
    assert_string_equal(word(d, "case"), "c0");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(d, "shape"), 0)), 2);
    assert_true(json_is_null(json_object_get(d, "path")));
    /* later stages are judged, but do not count */
    assert_string_equal(status(s, "gradients"), "passed");
}

static void nan_is_written_as_a_word(void **state)
{
    struct setup *s = *state;
    set_actual(s, "c0/out/y", (const double[]){2, NAN});
    const json_t *d = differs_at(s, 5, "forward_f64", "out/y", "values");
    assert_string_equal(word(d, "actual"), "nan");
    assert_true(json_is_null(json_object_get(d, "max_error")));
}

/* 2^-18 of the range 4 is 2^-20 relative, which is allowed; 2^-17 is not. */
static void float32_is_measured_against_the_truth(void **state)
{
    struct setup *s = *state;
    set_actual(s, "c1/out/y", (const float[]){2 + 0x1p-18f, -4});
    judge(s);
    concludes(s, "equal", "", 10);
    assert_true(number(stage(s, "forward_f32"), "max_error") == 0x1p-20);
    set_actual(s, "c1/out/y", (const float[]){2 + 0x1p-17f, -4});
    (void)differs_at(s, 6, "forward_f32", "out/y", "values");
}

/* An analytically zero gradient is noise on the scale of its neighbours: 1e-9 * 1e-3 * 1000. */
static void zero_gradients_use_the_cases_scale(void **state)
{
    struct setup *s = *state;
    set_actual(s, "c2/grad/param/zero", (const double[]){0.9e-9});
    judge(s);
    concludes(s, "equal", "", 10);
    set_actual(s, "c2/grad/param/zero", (const double[]){1.1e-9});
    (void)differs_at(s, 7, "gradients", "grad/param/zero", "values");
    set_actual(s, "c2/grad/param/zero", (const double[]){0});
    set_actual(s, "c2/grad/input/0", (const double[]){2, 4.0001});
    (void)differs_at(s, 7, "gradients", "grad/input/0", "values");
}

static void a_tensor_is_missing(void **state)
{
    struct setup *s = *state;
    rename_actual(s, "c2/grad/param/w", "c2/grad/param/v");
    const json_t *d = differs_at(s, 7, "gradients", "grad/param/w", "missing");
    assert_true(json_is_null(json_object_get(d, "max_error")));
}

static void no_arrays_at_all(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    assert_int_equal(run(s, verdict_judge, false, &e), 0);
    concludes(s, "differs", "differs", 5);
}

static void a_shape_differs(void **state)
{
    struct setup *s = *state;
    struct builder *b = &s->actual;
    memset(b, 0, sizeof *b);
    add_all(b);
    rename_actual(s, "c0/out/y", "c0/old/y");
    ADD(b, "c0/out/y", "F64", "[2, 1]", (const double[]){2, -4});
    const json_t *d = differs_at(s, 5, "forward_f64", "out/y", "shape");
    assert_string_equal(word(d, "text"), "has the shape [2, 1], expected [2]");
}

static void a_dtype_differs(void **state)
{
    struct setup *s = *state;
    rename_actual(s, "c0/out/y", "c0/old/y");
    ADD(&s->actual, "c0/out/y", "F32", "[2]", (const float[]){2, -4});
    const json_t *d = differs_at(s, 5, "forward_f64", "out/y", "dtype");
    assert_string_equal(word(d, "text"), "is float32, expected float64");
}

static void integers_of_another_width_meet(void **state)
{
    struct setup *s = *state;
    rename_actual(s, "c3/state/n", "c3/other/n");
    ADD(&s->actual, "c3/state/n", "I32", "[]", (const int32_t[]){2});
    judge(s);
    concludes(s, "equal", "", 10);
    rename_actual(s, "c3/state/n", "c3/third/n");
    ADD(&s->actual, "c3/state/n", "U8", "[]", (const uint8_t[]){2});
    (void)differs_at(s, 8, "train_state", "state/n", "dtype");
}

static void an_output_is_extra(void **state)
{
    struct setup *s = *state;
    ADD(&s->actual, "c0/out/z", "F64", "[1]", (const double[]){1});
    (void)differs_at(s, 5, "forward_f64", "out/z", "extra");
}

/* Only an integer buffer that the check names may be absent. */
static void a_counter_may_be_left_out(void **state)
{
    struct setup *s = *state;
    rename_actual(s, "c3/state/n", "c3/other/n");
    (void)differs_at(s, 8, "train_state", "state/n", "missing");
    edit(s->check, "absent", "{'c3': ['state/n', 'state/m']}");
    judge(s);
    concludes(s, "equal", "", 10);
    assert_int_equal(number(stage(s, "train_state"), "skipped"), 1);
    rename_actual(s, "c3/state/m", "c3/other/m");
    (void)differs_at(s, 8, "train_state", "state/m", "missing");
}

/* A constant that the source holds as an attribute may be one in the candidate's code, if the check says so;
 * what the candidate does hand back is compared. */
static void what_the_source_only_reads_may_be_left_out(void **state)
{
    struct setup *s = *state;
    edit(s->plan, "cases.3.unwritten", "['state/m']");
    judge(s);
    concludes(s, "equal", "", 10);
    set_actual(s, "c3/state/m", (const double[]){0.5, 0.26});
    (void)differs_at(s, 8, "train_state", "state/m", "values");
    rename_actual(s, "c3/state/m", "c3/other/m");
    (void)differs_at(s, 8, "train_state", "state/m", "missing");
    edit(s->check, "absent", "{'c3': ['state/m']}");
    judge(s);
    concludes(s, "equal", "", 10);
}

#define FIXED "{'t': 'seq', 'items': [{'t': 'tensor', 'dtype': 'float64', 'shape': [1]}]}"
#define KEPT "{'t': 'map', 'keys': ['k'], 'items': [{'t': 'tensor', 'dtype': 'float64', 'shape': [1]}]}"
#define WRITTEN "{'t': 'map', 'keys': ['0', '1'], 'items': [" FIXED ", " KEPT "]}"

/* A mapping that the source writes into must have been written into; arrays may be handed back. */
static void written_arguments_are_compared(void **state)
{
    struct setup *s = *state;
    ADD(&s->expected, "c0/arg/0/0", "F64", "[1]", (const double[]){7});
    ADD(&s->expected, "c0/arg/1/k", "F64", "[1]", (const double[]){8});
    edit(s->plan, "cases.0.arguments", WRITTEN);
    judge(s);
    concludes(s, "differs", "result_invalid", 5);
    ADD(&s->actual, "c0/arg/1/k", "F64", "[1]", (const double[]){8});
    edit(s->check, "arguments", "{'c0': {'t': 'map', 'keys': ['1'], 'items': [" KEPT "]}}");
    judge(s);
    concludes(s, "equal", "", 10);
    assert_int_equal(number(stage(s, "forward_f64"), "assumed"), 1);
    edit(s->check, "arguments", "{'c0': " WRITTEN "}");
    (void)differs_at(s, 5, "forward_f64", "arg/0/0", "missing");
    ADD(&s->actual, "c0/arg/0/0", "F64", "[1]", (const double[]){7.5});
    (void)differs_at(s, 5, "forward_f64", "arg/0/0", "values");
}

static void trees_differ(void **state)
{
    static const struct {
        const char *path, *json, *tensor;
    } EDITS[] = {
        {"outputs.c0.items.1.items", "[{'t': 'int', 'value': 3}, {'t': 'float', 'value': 0.5}]", "out/k"},
        {"outputs.c0.items.1.items.0.value", "4", "out/k/0"},
        {"outputs.c0.items.1.items.1.value", "0.50001", "out/k/1"},
        {"outputs.c0.items.1.items.1.value", "'nan'", "out/k/1"},
        {"outputs.c0.items.1.items.2.t", "'str'", "out/k/2"},
        {"outputs.c0.items.2.value", "'sum'", "out/s"},
        {"outputs.c0.keys", "['y', 'k', 't']", "out/s"},
        {"outputs.c0.t", "'seq'", "out/0"},
    };
    struct setup *s = *state;
    for (size_t i = 0; i < sizeof EDITS / sizeof *EDITS; i++) {
        json_decref(s->check);
        s->check = json_of(CHECK);
        edit(s->check, EDITS[i].path, EDITS[i].json);
        (void)differs_at(s, 5, "forward_f64", EDITS[i].tensor, "tree");
    }
}

static void trees_agree_in_spite_of(void **state)
{
    struct setup *s = *state;
    /* another order of keys, and a float that is off by rounding */
    edit(
        s->check, "outputs.c0",
        "{'t': 'map', 'keys': ['k', 's', 'y'], 'items': [{'t': 'seq', 'items': [{'t': 'int', 'value': 3}, "
        "{'t': 'float', "
        "'value': 0.5000000000001}, {'t': 'none'}]}, {'t': 'str', 'value': 'mean'}, " TENSOR("float64") "]}");
    /* a number that was traced */
    edit(s->check, "outputs.c4.items.1.items.0", "{'t': 'tensor', 'dtype': 'int32', 'shape': []}");
    ADD(&s->actual, "c4/out/k/0", "I32", "[]", (const int32_t[]){3});
    edit(s->check, "shapes.x0.out/k/0", "{'dtype': 'int32', 'shape': []}");
    judge(s);
    concludes(s, "equal", "", 10);
    set_actual(s, "c4/out/k/0", (const int32_t[]){4});
    (void)differs_at(s, 9, "jit", "out/k/0", "tree");
}

static void malformed_outputs_are_invalid(void **state)
{
    static const char *const BAD[] = {"null",
                                      "3",
                                      "'x'",
                                      "[]",
                                      "{}",
                                      "{'t': 'seq'}",
                                      "{'t': 'map', 'keys': [1], 'items': [{'t': 'none'}]}",
                                      "{'t': 'map', 'keys': [], 'items': [{'t': 'none'}]}",
                                      "{'t': 'set', 'items': []}"};
    struct setup *s = *state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        edit(s->check, "outputs.c0", BAD[i]);
        fails_with_error(s, 5, "result_invalid", "forward_f64");
    }
    edit(s->check, "outputs", NULL);
    fails_with_error(s, 5, "result_invalid", "forward_f64");
}

static void a_deep_tree_is_invalid(void **state)
{
    struct setup *s = *state;
    json_t *spec = json_of("{'t': 'none'}");
    for (int i = 0; i < 1000; i++)
        spec = json_pack("{s:s, s:[o]}", "t", "seq", "items", spec);
    json_object_set_new(json_object_get(s->check, "outputs"), "c0", spec);
    fails_with_error(s, 5, "result_invalid", "forward_f64");
}

static void shapes_are_checked(void **state)
{
    static const struct {
        const char *path, *json, *why;
    } EDITS[] = {
        {"shapes.x0.out/y.shape", "[3]", "shape"},
        {"shapes.x0.out/y.shape", "[2, 1]", "shape"},
        {"shapes.x0.out/y.dtype", "'int32'", "dtype"},
        {"shapes.x0.out/z", "{'dtype': 'float32', 'shape': [2]}", "extra"},
        {"shapes.x0", "{'out/z': {}}", "missing"},
        {"shapes.x0.out/y", "7", "shape"},
    };
    struct setup *s = *state;
    for (size_t i = 0; i < sizeof EDITS / sizeof *EDITS; i++) {
        json_decref(s->check);
        s->check = json_of(CHECK);
        edit(s->check, EDITS[i].path, EDITS[i].json);
        const char *tensor = strcmp(EDITS[i].why, "extra") == 0 ? "out" : "out/y";
        (void)differs_at(s, 4, "shapes", tensor, EDITS[i].why);
    }
    edit(s->check, "shapes", "[]");
    fails_with_error(s, 4, "result_invalid", "shapes");
}

static void errors_stop_the_ladder(void **state)
{
    struct setup *s = *state;
    edit(s->check, "stages.import",
         "{'status': 'failed', 'error': {'code': 'candidate_import', 'message': 'no torch here', 'file': "
         "'model.py', "
         "'line': 2, 'text': 'import torch', 'why': 7, 'secret': 'x'}}");
    edit(s->check, "stages.build.status", "'not_run'");
    fails_with_error(s, 1, "candidate_import", "import");
    const json_t *error = json_object_get(stage(s, "import"), "error");
    assert_string_equal(word(error, "message"), "no torch here");
    assert_int_equal(number(error, "line"), 2);
    assert_true(json_is_null(json_object_get(error, "why")));
    assert_null(json_object_get(error, "secret"));
    assert_string_equal(status(s, "build"), "not_run");
    assert_string_equal(status(s, "forward_f64"), "passed");
}

static void errors_are_bounded_and_checked(void **state)
{
    struct setup *s = *state;
    char *text = malloc(20001);
    for (size_t i = 0; i < 20000; i += 2)
        memcpy(text + i, "\xc3\xa9", 2); /* é */
    text[20000] = '\0';
    json_t *record = json_pack("{s:s, s:{s:s, s:s}}", "status", "failed", "error", "code", "weight_map",
                               "message", text + 0);
    json_object_set_new(json_object_get(s->check, "stages"), "weights", record);
    fails_with_error(s, 3, "weight_map", "weights");
    assert_int_equal(strlen(word(json_object_get(stage(s, "weights"), "error"), "message")), 4096);
    free(text);
    static const char *const NO_CODES[] = {"'refused'",      "'vacuous'",  "'internal'", "'source_error'",
                                           "'limit_memory'", "'nonsense'", "3",          "null"};
    for (size_t i = 0; i < sizeof NO_CODES / sizeof *NO_CODES; i++) {
        edit(s->check, "stages.weights.error.code", NO_CODES[i]);
        fails_with_error(s, 3, "result_invalid", "weights");
    }
    edit(s->check, "stages.weights.error", NULL);
    fails_with_error(s, 3, "result_invalid", "weights");
}

static void lies_about_stages_are_invalid(void **state)
{
    static const char *const LIES[] = {
        "{'status': 'passed'}", "{'status': 'not_applicable'}", "{'status': 1}", "{}", "3", "[]"};
    struct setup *s = *state;
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
        edit(s->check, "stages.weights", LIES[i]);
        fails_with_error(s, 3, "result_invalid", "weights");
        edit(s->check, "stages.weights", "{'status': 'ran'}");
        edit(s->check, "stages.forward_f64", LIES[i]);
        fails_with_error(s, 5, "result_invalid", "forward_f64");
        edit(s->check, "stages.forward_f64", "{'status': 'ran'}");
    }
    edit(s->check, "stages.gradients", NULL);
    fails_with_error(s, 7, "result_invalid", "gradients");
    edit(s->check, "stages", "7");
    fails_with_error(s, 0, "result_invalid", "parse");
}

/* A stage that was not run proves nothing, whatever the others show. */
static void not_run_is_not_equal(void **state)
{
    struct setup *s = *state;
    edit(s->check, "stages.jit.status", "'not_run'");
    judge(s);
    concludes(s, "differs", "result_invalid", 9);
    assert_string_equal(status(s, "jit"), "not_run");
    assert_true(json_is_null(json_object_get(s->result, "first_difference")));
}

static void a_check_that_ended_early_says_why(void **state)
{
    struct setup *s = *state;
    json_decref(s->check);
    s->check = json_of("{'ok': false, 'error': {'code': 'weight_map', 'message': 'not a map'}}");
    fails_with_error(s, 0, "weight_map", "parse");
    assert_string_equal(status(s, "import"), "not_run");
    json_decref(s->check);
    s->check = NULL;
    fails_with_error(s, 0, "result_invalid", "parse");
}

static void stages_without_cases_do_not_apply(void **state)
{
    struct setup *s = *state;
    json_array_remove(json_object_get(s->plan, "cases"), 2); /* gradients */
    edit(s->check, "stages.gradients.status", "'not_applicable'");
    judge(s);
    concludes(s, "equal", "", 9);
    assert_string_equal(status(s, "gradients"), "not_applicable");
    edit(s->plan, "kind", "'function'");
    edit(s->check, "stages.build.status", "'not_applicable'");
    edit(s->check, "stages.weights.status", "'not_applicable'");
    judge(s);
    concludes(s, "equal", "", 7);
}

static void a_deaf_oracle_proves_nothing(void **state)
{
    struct setup *s = *state;
    edit(s->plan, "vacuous", "true");
    judge(s);
    concludes(s, "vacuous", "vacuous", 10);
    set_actual(s, "c0/out/y", (const double[]){2, -3});
    (void)differs_at(s, 5, "forward_f64", "out/y", "values");
}

static void a_malformed_plan_is_an_error(void **state)
{
    static const struct {
        const char *path, *json, *pointer;
    } EDITS[] = {
        {"format", "'ferry.plan/2'", "/format"},
        {"kind", "'program'", "/kind"},
        {"outputs", "null", "/outputs"},
        {"cases", "[]", "/cases"},
        {"cases.1.id", "'c0'", "/cases/1/id"},
        {"cases.1.id", "'c/0'", "/cases/1/id"},
        {"cases.1.stage", "'build'", "/cases/1/stage"},
        {"cases.1.stage", "'parse'", "/cases/1/stage"},
        {"cases.1.dtype", "'bfloat16'", "/cases/1/dtype"},
        {"cases.1.truth", "'c4'", "/cases/1/truth"},
        {"cases.1.truth", "null", "/cases/1/truth"},
        {"cases.0.truth", "'c1'", "/cases/0/truth"},
        {"cases.1.output", "null", "/cases/1/output"},
    };
    struct setup *s = *state;
    for (size_t i = 0; i < sizeof EDITS / sizeof *EDITS; i++) {
        struct err e = {0};
        json_decref(s->plan);
        s->plan = json_of(PLAN);
        edit(s->plan, EDITS[i].path, EDITS[i].json);
        assert_int_equal(run(s, verdict_judge, true, &e), FERR_INVALID_FIELD);
        assert_string_equal(e.pointer, EDITS[i].pointer);
        assert_null(s->result);
    }
}

/* An oracle that lacks what its plan promises would let an empty answer pass. */
static void a_hollow_oracle_is_an_error(void **state)
{
    static const char *const NAMES[][2] = {
        {"c0/out/y", "c0/old/y"}, {"c3/out/1/0", "c3/out/2/0"}, {"c4/out/y", "c4/old/y"}};
    struct setup *s = *state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct err e = {0};
        char *at = strstr(s->expected.header, NAMES[i][0]);
        memcpy(at, NAMES[i][1], strlen(NAMES[i][1]));
        assert_int_equal(run(s, verdict_judge, true, &e), FERR_INVALID_TENSORS);
        memcpy(at, NAMES[i][0], strlen(NAMES[i][0]));
    }
    for (char *at; (at = strstr(s->expected.header, "c2/grad")) != NULL;)
        memcpy(at, "c2/none", 7);
    struct err e = {0};
    assert_int_equal(run(s, verdict_judge, true, &e), FERR_INVALID_TENSORS);
    assert_non_null(strstr(e.text, "no tensor c2/grad/"));
}

static void locates_the_first_call(void **state)
{
    struct setup *s = *state;
    struct err e = {0};
    assert_int_equal(run(s, verdict_locate, true, &e), 0);
    assert_null(s->result);
    set_actual(s, "c0/sub/.#0/y", (const double[]){0, 0});
    set_actual(s, "c0/sub/b#1/0", (const double[]){6, 7.5});
    assert_int_equal(run(s, verdict_locate, true, &e), 0);
    assert_string_equal(word(s->result, "path"), "b");
    assert_int_equal(number(s->result, "call"), 1);
    assert_string_equal(word(s->result, "tensor"), "0");
    assert_true(number(s->result, "max_error") == 0.5 / 7);
    assert_int_equal(number(s->result, "index"), 1);
    rename_actual(s, "c0/sub/b#1/0", "c0/sub/q#1/0"); /* no counterpart: the parent is what is left */
    assert_int_equal(run(s, verdict_locate, true, &e), 0);
    assert_string_equal(word(s->result, "path"), ".");
    assert_int_equal(run(s, verdict_locate, false, &e), 0);
    assert_null(s->result);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_passes_every_stage),
        TEST(values_differ),
        TEST(nan_is_written_as_a_word),
        TEST(float32_is_measured_against_the_truth),
        TEST(zero_gradients_use_the_cases_scale),
        TEST(a_tensor_is_missing),
        TEST(no_arrays_at_all),
        TEST(a_shape_differs),
        TEST(a_dtype_differs),
        TEST(integers_of_another_width_meet),
        TEST(an_output_is_extra),
        TEST(a_counter_may_be_left_out),
        TEST(what_the_source_only_reads_may_be_left_out),
        TEST(written_arguments_are_compared),
        TEST(trees_differ),
        TEST(trees_agree_in_spite_of),
        TEST(malformed_outputs_are_invalid),
        TEST(a_deep_tree_is_invalid),
        TEST(shapes_are_checked),
        TEST(errors_stop_the_ladder),
        TEST(errors_are_bounded_and_checked),
        TEST(lies_about_stages_are_invalid),
        TEST(not_run_is_not_equal),
        TEST(a_check_that_ended_early_says_why),
        TEST(stages_without_cases_do_not_apply),
        TEST(a_deaf_oracle_proves_nothing),
        TEST(a_malformed_plan_is_an_error),
        TEST(a_hollow_oracle_is_an_error),
        TEST(locates_the_first_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
