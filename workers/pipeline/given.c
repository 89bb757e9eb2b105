/*
 * given.c: a candidate that the caller sent (`"kind": "verify"`), and the map that is inferred for it.
 *
 * Worker thread. The candidate stands where a draft would. Which map fits is decided by comparing arrays: the
 * jax sandbox only offers some, and what it says about them is untrusted.
 */
#include "workers/pipeline/pipeline.h"

#include <string.h>

enum { MAP_CHOICES_MAX = 8, UNMATCHED_MAX = 64 };

int run_given(struct run *r, struct err *e)
{
    json_t *candidate = json_object_get(r->request, "candidate");
    r->drafted.result = json_pack("{s:O, s:O}", "files", json_object_get(candidate, "files"), "weights",
                                  json_object_get(candidate, "weights"));
    return r->drafted.result ? RUN_GO_ON : err_set(e, FERR_STORE, "the stored request has no candidate");
}

static bool map_is_inferred(const struct run *r)
{
    json_t *candidate = json_object_get(r->request, "candidate");
    return r->given && json_is_null(json_object_get(candidate, "weights"));
}

void run_take_map(struct run *r)
{
    json_t *map = json_object_get(r->checked.result, "weights");
    if (map_is_inferred(r) && json_is_object(map))
        (void)json_object_set(r->drafted.result, "weights", map);
}

static int map_choices(const struct run *r)
{
    json_int_t n = json_integer_value(json_object_get(r->checked.result, "map_choices"));
    return n > MAP_CHOICES_MAX ? MAP_CHOICES_MAX : (int)n;
}

static bool passed(const json_t *judgement, enum stage stage)
{
    const json_t *row = json_array_get(json_object_get(judgement, "stages"), (size_t)stage);
    const char *status = json_string_value(json_object_get(row, "status"));
    return status && strcmp(status, stage_status_name(STAGE_STATUS_PASSED)) == 0;
}

/* Does the candidate compute the source's float64 outputs with this map? */
static int try_map(struct run *r, int choice, bool *fits, struct err *e)
{
    struct trial t = {.oracle = &r->captured, .map_choice = choice};
    for (int s = 0; s <= STAGE_FORWARD_F64; s++)
        t.stages |= STAGE_BIT(s);
    struct step_out checked = {0};
    json_t *judgement = NULL;
    int rc = run_trial(r, STEP_CHECK, &t, &checked, e);
    if (rc == RUN_GO_ON)
        rc = run_judge_trial(r, &t, &checked, &judgement, e);
    (void)run_went_well(r, &rc);
    *fits = run_is_equal(judgement);
    json_decref(judgement);
    step_out_fini(&checked);
    return rc;
}

/* The whole check again, with the map that fits. */
static int take_choice(struct run *r, int choice, struct err *e)
{
    struct trial t = {.oracle = &r->captured, .stages = r->asked & ~STAGES_ACCEPT, .map_choice = choice};
    step_out_fini(&r->checked);
    json_decref(r->judged);
    r->judged = NULL;
    int rc = run_trial(r, STEP_CHECK, &t, &r->checked, e);
    if (rc != RUN_GO_ON)
        return rc;
    run_take_map(r);
    return run_judge_trial(r, &t, &r->checked, &r->judged, e);
}

int run_choose_map(struct run *r, struct err *e)
{
    if (!map_is_inferred(r) || passed(r->judged, STAGE_FORWARD_F64))
        return RUN_GO_ON;
    json_t *inferred = json_incref(json_object_get(r->drafted.result, "weights"));
    (void)json_object_set_new(r->drafted.result, "weights", json_null()); /* it is asked to infer again */
    int n = map_choices(r), rc = RUN_GO_ON;
    bool fits = false;
    for (int choice = 1; choice < n && !fits && rc == RUN_GO_ON; choice++) {
        rc = try_map(r, choice, &fits, e);
        if (rc == RUN_GO_ON && fits)
            rc = take_choice(r, choice, e);
    }
    if (!fits)
        (void)json_object_set(r->drafted.result, "weights", inferred);
    json_decref(inferred);
    return rc;
}

/* The strings of an untrusted array, cut in number and, by JSON's own limit on results, in size. */
static json_t *bounded_names(const json_t *array)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(array) && i < UNMATCHED_MAX; i++)
        if (json_is_string(json_array_get(array, i)))
            (void)json_array_append(out, json_array_get(array, i));
    return out;
}

void run_name_unmatched(const struct run *r, json_t *error)
{
    json_t *unmatched = json_object_get(r->checked.result, "unmatched");
    const char *code = json_string_value(json_object_get(error, "code"));
    if (!r->given || !json_is_object(unmatched) || !code || strcmp(code, reason_name(REASON_WEIGHT_MAP)) != 0)
        return;
    (void)json_object_set_new(error, "unmatched",
                              json_pack("{s:o, s:o}", "source",
                                        bounded_names(json_object_get(unmatched, "source")), "target",
                                        bounded_names(json_object_get(unmatched, "target"))));
}
