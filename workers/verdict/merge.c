/*
 * merge.c: joins the judgements of one candidate's checks into one.
 *
 * Any thread. Both sides were made by verdict_judge(), so their form is known; rows are in the order of the
 * stages.
 */
#include "workers/verdict/verdict.h"

#include <math.h>
#include <string.h>

static json_t *row_of(const json_t *judgement, int stage)
{
    return json_array_get(json_object_get(judgement, "stages"), (size_t)stage);
}

static bool has_status(const json_t *row, enum stage_status status)
{
    const char *word = json_string_value(json_object_get(row, "status"));
    return word && strcmp(word, stage_status_name(status)) == 0;
}

double verdict_share(double max_error, double tolerance)
{
    if (max_error == 0)
        return 0;
    return tolerance > 0 ? max_error / tolerance : INFINITY;
}

double verdict_row_share(const json_t *row)
{
    const json_t *error = json_object_get(row, "max_error");
    double tolerance = json_number_value(json_object_get(row, "tolerance"));
    return json_is_number(error) ? verdict_share(json_number_value(error), tolerance) : INFINITY;
}

/* Of two rows of a stage that ran, the one that says more: a failed one, else the one nearer to its
 * tolerance. */
static const json_t *worse(const json_t *a, const json_t *b)
{
    bool a_failed = has_status(a, STAGE_STATUS_FAILED), b_failed = has_status(b, STAGE_STATUS_FAILED);
    if (a_failed != b_failed)
        return a_failed ? a : b;
    return verdict_row_share(b) > verdict_row_share(a) ? b : a;
}

/* Adds the tensors of one row to those of another, each at its worst. */
static void join_tensors(json_t *into, const json_t *from)
{
    const char *name;
    json_t *theirs;
    json_object_foreach((json_t *)(uintptr_t)from, name, theirs)
    {
        json_t *ours = json_object_get(into, name);
        json_int_t cases = json_integer_value(json_object_get(ours, "cases")) +
                           json_integer_value(json_object_get(theirs, "cases"));
        if (!ours || verdict_row_share(theirs) > verdict_row_share(ours))
            (void)json_object_set_new(into, name, json_deep_copy(theirs));
        (void)json_object_set_new(json_object_get(into, name), "cases", json_integer(cases));
    }
}

/* New reference. A row without cases adds nothing to one that has some. */
static json_t *join(const json_t *old, const json_t *later)
{
    static const char *const COUNTS[] = {"cases", "tensors", "skipped"};
    bool fresh = has_status(old, STAGE_STATUS_NOT_RUN) || has_status(old, STAGE_STATUS_NOT_APPLICABLE);
    bool empty = has_status(later, STAGE_STATUS_NOT_RUN) || has_status(later, STAGE_STATUS_NOT_APPLICABLE);
    if (fresh || empty)
        return json_deep_copy(fresh ? later : old);
    const json_t *base = worse(old, later), *other = base == old ? later : old;
    json_t *row = json_deep_copy(base);
    if (json_object_get(row, "by_tensor"))
        join_tensors(json_object_get(row, "by_tensor"), json_object_get(other, "by_tensor"));
    for (size_t i = 0; row && i < sizeof COUNTS / sizeof *COUNTS; i++) {
        json_int_t n = json_integer_value(json_object_get(old, COUNTS[i])) +
                       json_integer_value(json_object_get(later, COUNTS[i]));
        (void)json_object_set_new(row, COUNTS[i], json_integer(n));
    }
    json_int_t sampled = json_integer_value(json_object_get(old, "sampled")) +
                         json_integer_value(json_object_get(later, "sampled"));
    if (sampled > 0)
        (void)json_object_set_new(row, "sampled", json_integer(sampled));
    return row;
}

/* The check ended before it came to a stage of the set: that is the first one's failure. */
static int blame_first(json_t *judged, json_t *difference, stage_set set)
{
    int named = stage_parse(json_string_value(json_object_get(difference, "stage")));
    if (named < 0 || (STAGE_BIT(named) & set))
        return 0;
    int first = 0;
    while (!(STAGE_BIT(first) & set))
        first++;
    json_t *row = row_of(judged, first), *error = json_object_get(difference, "error");
    int bad = json_object_set_new(row, "status", json_string(stage_status_name(STAGE_STATUS_FAILED)));
    if (error)
        bad |= json_object_set(row, "error", error);
    return bad | json_object_set_new(difference, "stage", json_string(stage_name((enum stage)first)));
}

static json_int_t score(const json_t *judged)
{
    json_int_t passed = 0;
    for (int s = 0; s < STAGE_COUNT; s++) {
        if (has_status(row_of(judged, s), STAGE_STATUS_FAILED))
            break;
        passed += has_status(row_of(judged, s), STAGE_STATUS_PASSED);
    }
    return passed;
}

int verdict_merge(json_t *judged, const json_t *later, stage_set set, struct err *e)
{
    json_t *stages = json_object_get(judged, "stages");
    int bad = 0;
    for (int s = 0; s < STAGE_COUNT; s++)
        if (STAGE_BIT(s) & set)
            bad |= json_array_set_new(stages, (size_t)s, join(row_of(judged, s), row_of(later, s)));
    const char *verdict = json_string_value(json_object_get(later, "verdict"));
    if (!bad && verdict && strcmp(verdict, verdict_name(VERDICT_DIFFERS)) == 0) {
        json_t *difference = json_deep_copy(json_object_get(later, "first_difference"));
        bad |= !difference || blame_first(judged, difference, set);
        bad |= json_object_set_new(judged, "first_difference", difference);
        bad |= json_object_set(judged, "verdict", json_object_get(later, "verdict"));
        bad |= json_object_set(judged, "reason", json_object_get(later, "reason"));
    }
    bad |= json_object_set_new(judged, "score", json_integer(score(judged)));
    return bad ? err_set(e, FERR_NO_MEMORY, "no memory for a verdict") : 0;
}
