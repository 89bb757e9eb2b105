/*
 * ladder.c: the stages in order, the score, and the verdict.
 *
 * Any thread. What the check says about a stage can only make it fail: `ran` lets the arrays be compared (or,
 * for the stages that have none, passes), and `not_applicable` is believed only where the plan says the same.
 */
#include "workers/verdict/stage.h"

#include <stdlib.h>
#include <string.h>

struct ladder {
    const struct verdict_input *in;
    struct plan plan;
    struct stage_result stages[STAGE_COUNT];
    int first_failed; /* stage, or -1 */
};

static bool asked(const struct ladder *l, enum stage s)
{
    return l->in->asked & STAGE_BIT(s);
}

/* Is a stage without cases void because a function is neither built nor has weights? */
static bool is_void(const struct ladder *l, enum stage s)
{
    if (plan_stage_has_cases(s))
        return plan_count(&l->plan, s) == 0;
    return l->plan.function && (s == STAGE_BUILD || s == STAGE_WEIGHTS);
}

/* What a stage that the check does not mention means: the check itself ended early, or lies. */
static void judge_unmentioned(struct ladder *l, enum stage s)
{
    const json_t *error = json_object_get(l->in->check, "error");
    if (l->first_failed >= 0)
        l->stages[s].status = STAGE_STATUS_NOT_RUN;
    else if (json_is_object(error))
        stage_fail(&l->stages[s], stage_copy_error(error));
    else
        stage_fail(&l->stages[s], stage_invalid("the check has no record of the stage %s", stage_name(s)));
}

static int judge_ran(struct ladder *l, enum stage s, struct err *e)
{
    if (s == STAGE_SHAPES)
        stage_shapes(&l->plan, l->in->check, &l->stages[s]);
    else if (plan_stage_has_cases(s))
        return stage_arrays(l->in, &l->plan, s, &l->stages[s], e);
    else
        l->stages[s].status = STAGE_STATUS_PASSED;
    return 0;
}

static int judge_stage(struct ladder *l, enum stage s, struct err *e)
{
    struct stage_result *r = &l->stages[s];
    r->status = STAGE_STATUS_NOT_RUN;
    if (!asked(l, s))
        return 0;
    if (is_void(l, s)) {
        r->status = STAGE_STATUS_NOT_APPLICABLE;
        return 0;
    }
    const json_t *record = json_object_get(json_object_get(l->in->check, "stages"), stage_name(s));
    const char *status = json_string_value(json_object_get(record, "status"));
    if (!record)
        judge_unmentioned(l, s);
    else if (status && strcmp(status, "ran") == 0)
        return judge_ran(l, s, e);
    else if (status && strcmp(status, "failed") == 0)
        stage_fail(r, stage_copy_error(json_object_get(record, "error")));
    else if (!status || strcmp(status, "not_run") != 0)
        stage_fail(r, stage_invalid("the check gives the stage %s no possible status", stage_name(s)));
    return 0;
}

/* Passed stages before the first that is not; a stage that was not asked for, or is void, is no step. */
static int score(const struct ladder *l, bool *complete)
{
    int passed = 0;
    *complete = false;
    for (int s = 0; s < STAGE_COUNT; s++) {
        enum stage_status status = l->stages[s].status;
        if (status == STAGE_STATUS_PASSED)
            passed++;
        else if (asked(l, (enum stage)s) && status != STAGE_STATUS_NOT_APPLICABLE)
            return passed;
    }
    *complete = true;
    return passed;
}

static enum reason failure_reason(const struct ladder *l)
{
    if (l->first_failed < 0)
        return REASON_RESULT_INVALID; /* nothing failed, yet a stage was not run */
    const json_t *error = l->stages[l->first_failed].error;
    return error ? stage_error_reason(error) : REASON_DIFFERS;
}

static json_t *stages_json(const struct ladder *l)
{
    json_t *stages = json_array();
    for (int s = 0; stages && s < STAGE_COUNT; s++) {
        if (json_array_append_new(stages, stage_json((enum stage)s, &l->stages[s])) != 0) {
            json_decref(stages);
            return NULL;
        }
    }
    return stages;
}

static json_t *first_difference(const struct ladder *l)
{
    if (l->first_failed < 0)
        return json_null();
    return stage_first_difference((enum stage)l->first_failed, &l->stages[l->first_failed]);
}

static int conclude(const struct ladder *l, json_t **out, struct err *e)
{
    bool complete;
    int passed = score(l, &complete);
    enum verdict_kind verdict = VERDICT_EQUAL;
    const char *reason = NULL;
    if (!complete) {
        verdict = VERDICT_DIFFERS;
        reason = reason_name(failure_reason(l));
    } else if (l->plan.vacuous) {
        verdict = VERDICT_VACUOUS;
        reason = reason_name(REASON_VACUOUS);
    }
    *out = json_pack("{s:s, s:s?, s:i, s:o, s:o}", "verdict", verdict_name(verdict), "reason", reason,
                     "score", passed, "stages", stages_json(l), "first_difference", first_difference(l));
    return *out ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for a verdict");
}

static int climb(struct ladder *l, struct err *e)
{
    for (int s = 0; s < STAGE_COUNT; s++) {
        int rc = judge_stage(l, (enum stage)s, e);
        if (rc)
            return rc;
        if (l->first_failed < 0 && l->stages[s].status == STAGE_STATUS_FAILED)
            l->first_failed = s;
    }
    return 0;
}

int verdict_judge(const struct verdict_input *in, json_t **out, struct err *e)
{
    *out = NULL;
    struct ladder *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, FERR_NO_MEMORY, "no memory for a verdict");
    l->in = in;
    l->first_failed = -1;
    int rc = plan_read(in->plan, &l->plan, e);
    if (rc == 0)
        rc = climb(l, e);
    if (rc == 0)
        rc = conclude(l, out, e);
    for (int s = 0; s < STAGE_COUNT; s++) {
        json_decref(l->stages[s].error);
        json_decref(l->stages[s].by_tensor);
    }
    free(l);
    return rc;
}
