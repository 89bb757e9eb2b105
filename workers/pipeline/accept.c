/*
 * accept.c: the stages `heldout` and `worst_case`: what no engine and no sandbox saw before the candidate was
 * final.
 *
 * Worker thread. The seed follows from source, candidate and map, so nobody can know it before all three are
 * there, and the same job always draws the same. A round is an oracle (torch) and a check (jax); the
 * second searches around the input that C found worst in the first.
 */
#include "workers/pipeline/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A candidate is parsed, imported, built and filled anew. */
#define GATES \
    (STAGE_BIT(STAGE_PARSE) | STAGE_BIT(STAGE_IMPORT) | STAGE_BIT(STAGE_BUILD) | STAGE_BIT(STAGE_WEIGHTS))

enum { FIRST_VALUES = 8 };

struct accept_round {
    int number;
    struct step_out oracle, checked;
    json_t *judged;
};

static void round_fini(struct accept_round *a)
{
    step_out_fini(&a->oracle);
    step_out_fini(&a->checked);
    json_decref(a->judged);
}

/* From 0 below 2^31. */
int run_seed(const struct run *r, json_t **out, struct err *e)
{
    json_t *weights = json_object_get(r->drafted.result, "weights");
    json_t *all = json_pack("[O, O, O]", json_object_get(r->request, "source"),
                            json_object_get(r->drafted.result, "files"), weights ? weights : json_null());
    char *text = all ? json_dumps(all, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_decref(all);
    if (!text)
        return err_set(e, FERR_NO_MEMORY, "no memory for a seed");
    char sha[STORE_SHA_SIZE], head[9];
    store_sha256(text, strlen(text), sha);
    free(text);
    (void)snprintf(head, sizeof head, "%.8s", sha);
    *out = json_integer((json_int_t)(strtoul(head, NULL, 16) & 0x7fffffff));
    return 0;
}

/* Of the stages that heldout repeats on fresh numbers those that were asked for. */
static json_t *repeated(const struct run *r)
{
    static const enum stage STAGES[] = {STAGE_GRADIENTS, STAGE_TRAIN_STATE};
    json_t *out = json_array();
    for (size_t i = 0; i < sizeof STAGES / sizeof *STAGES; i++)
        if (r->asked & STAGE_BIT(STAGES[i]))
            (void)json_array_append_new(out, json_string(stage_name(STAGES[i])));
    return out;
}

static json_t *accept_request(const struct run *r, int number, json_t *around)
{
    json_t *out = run_capture_request(r);
    json_t *accept = json_pack("{s:O, s:i, s:O, s:o}", "seed", r->accept_seed, "round", number, "around",
                               around ? around : json_null(), "repeated", repeated(r));
    if (out && (json_object_set(out, "plan", json_object_get(r->captured.result, "plan")) ||
                json_object_set_new(out, "accept", accept))) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* A search that has nothing to try. */
static bool found_nothing(const struct step_out *oracle)
{
    json_t *cases = json_object_get(json_object_get(oracle->result, "plan"), "cases");
    return json_is_array(cases) && json_array_size(cases) == 0;
}

/* One oracle and its check, judged; a later round without a case is not. `previous` is the round before, or
 * NULL. */
static int one_round(struct run *r, const struct accept_round *previous, json_t *around,
                     struct accept_round *a, struct err *e)
{
    static const char *const OUTS[] = {"given", "expected"};
    a->number = previous ? previous->number + 1 : 0;
    json_t *request = accept_request(r, a->number, around);
    if (!request)
        return run_end(r, REASON_RESULT_INVALID, false, NULL);
    struct step_in ins[2] = {{"given", step_out_sha(&r->captured, "given")}};
    if (previous)
        ins[1] = (struct step_in){"previous", step_out_sha(&previous->oracle, "given")};
    int rc =
        step_run(r, STEP_ACCEPT, FUNCTION_ACCEPT, request, ins, previous ? 2 : 1, OUTS, 2, &a->oracle, e);
    json_decref(request);
    if (rc == RUN_GO_ON && previous && found_nothing(&a->oracle))
        return RUN_GO_ON;
    if (rc == RUN_GO_ON)
        rc = run_check_oracle(r, &a->oracle, e);
    struct trial t = {.oracle = &a->oracle, .stages = GATES | (r->asked & STAGES_ACCEPT)};
    if (rc == RUN_GO_ON)
        rc = run_trial(r, STEP_ACCEPT, &t, &a->checked, e);
    if (rc == RUN_GO_ON)
        rc = run_judge_trial(r, &t, &a->checked, &a->judged, e);
    return rc;
}

/* ---- the worst input -------------------------------------------------------------------------------------
 */

static json_t *worst_row(const struct accept_round *a)
{
    return json_array_get(json_object_get(a->judged, "stages"), STAGE_WORST_CASE);
}

/* The share of its tolerance that the worst tensor uses; -1 where the round has none. */
static double worst_share(const struct accept_round *a)
{
    return json_object_get(worst_row(a), "worst") ? verdict_row_share(worst_row(a)) : -1;
}

/* The plan's entry of the worst case; NULL where there is none. */
static json_t *worst_case(const struct accept_round *a)
{
    const char *id = json_string_value(json_object_get(json_object_get(worst_row(a), "worst"), "case"));
    json_t *cases = json_object_get(json_object_get(a->oracle.result, "plan"), "cases"), *item;
    size_t i;
    json_array_foreach(cases, i, item)
    {
        const char *other = json_string_value(json_object_get(item, "id"));
        if (id && other && strcmp(id, other) == 0)
            return item;
    }
    return NULL;
}

/* The input set of the worst case, or -1. */
static int worst_input(const struct accept_round *a)
{
    json_t *input = json_object_get(worst_case(a), "input");
    return json_is_integer(input) && json_integer_value(input) >= 0 ? (int)json_integer_value(input) : -1;
}

static json_t *shape_of(const struct st_tensor *t)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < t->ndim; i++)
        (void)json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return shape;
}

/* The first values, in row-major order; what JSON has no number for is a word. */
static json_t *first_values(const struct st_tensor *t)
{
    double values[FIRST_VALUES];
    size_t n = t->count < FIRST_VALUES ? (size_t)t->count : FIRST_VALUES;
    json_t *out = json_array();
    st_load_double(t, 0, n, values);
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(out, verdict_number(values[i]));
    return out;
}

/* What a tensor of an input is, for people: NaN and infinities are not counted in its span. */
static json_t *summary(const struct st_tensor *t)
{
    double least, greatest;
    bool some = verdict_span(t, &least, &greatest);
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "dtype", st_dtype_torch(t->dtype), "shape", shape_of(t),
                     "least", some ? json_real(least) : json_null(), "greatest",
                     some ? json_real(greatest) : json_null(), "first", first_values(t));
}

/* {path: summary} of the input set, out of the round's own `given`. */
static int summarize(struct run *r, const struct accept_round *a, int input, json_t **out, struct err *e)
{
    struct st_file *given = NULL;
    char prefix[24];
    int rc = run_malformed(r, run_open_tensors(r, step_out_sha(&a->oracle, "given"), &given, e), false,
                           "the oracle", e);
    *out = json_object();
    (void)snprintf(prefix, sizeof prefix, "x%d/", input);
    for (size_t i = 0; given && i < st_count(given); i++) {
        const struct st_tensor *t = st_at(given, i);
        if (strncmp(t->name, prefix, strlen(prefix)) == 0)
            (void)json_object_set_new(*out, t->name + strlen(prefix), summary(t));
    }
    st_close(given);
    return rc;
}

/* Seed, round and pattern are what the step accept makes the input of. */
static int report_worst(struct run *r, const struct accept_round *a, struct err *e)
{
    json_t *row = worst_row(a), *tensors = NULL;
    json_t *worst = json_object_get(row, "worst"), *pattern = json_object_get(worst_case(a), "pattern");
    int input = worst_input(a);
    if (input < 0)
        return RUN_GO_ON;
    int rc = summarize(r, a, input, &tensors, e);
    json_t *error = json_object_get(row, "max_error"), *tolerance = json_object_get(row, "tolerance");
    r->worst_case =
        json_pack("{s:i, s:O, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O, s:O, s:o}", "round", a->number, "seed",
                  r->accept_seed, "pattern", json_is_string(pattern) ? pattern : NULL, "case",
                  json_object_get(worst, "case"), "tensor", json_object_get(worst, "tensor"), "index",
                  json_object_get(worst, "index"), "expected", json_object_get(worst, "expected"), "actual",
                  json_object_get(worst, "actual"), "error", error ? error : json_null(), "tolerance",
                  tolerance ? tolerance : json_null(), "input", tensors);
    return rc;
}

/* ---- both rounds -----------------------------------------------------------------------------------------
 */

static int merge(struct run *r, const struct accept_round *a, struct err *e)
{
    return verdict_merge(r->judged, a->judged, r->asked & STAGES_ACCEPT, e);
}

/* Around the worst input of the round before; nothing to do where that found none. */
static int search_on(struct run *r, const struct accept_round *first, struct accept_round *second,
                     struct err *e)
{
    int input = worst_input(first);
    if (!run_is_equal(r->judged) || input < 0)
        return RUN_GO_ON;
    json_t *around = json_pack("{s:i, s:s}", "input", input, "given", "previous");
    int rc = one_round(r, first, around, second, e);
    json_decref(around);
    return rc == RUN_GO_ON && second->judged ? merge(r, second, e) : rc;
}

int run_accept(struct run *r, struct err *e)
{
    if (!run_is_equal(r->judged) || !(r->asked & STAGES_ACCEPT))
        return RUN_GO_ON;
    struct accept_round first = {0}, second = {0};
    int rc = run_seed(r, &r->accept_seed, e);
    if (rc == 0)
        rc = one_round(r, NULL, NULL, &first, e);
    if (rc == RUN_GO_ON)
        rc = merge(r, &first, e);
    if (rc == RUN_GO_ON)
        rc = search_on(r, &first, &second, e);
    if (rc == RUN_GO_ON)
        rc = report_worst(r, worst_share(&second) > worst_share(&first) ? &second : &first, e);
    round_fini(&first);
    round_fini(&second);
    return rc;
}
