/*
 * report.c: what the job says of itself: the resource's `result` and `usage`, and report.json.
 *
 * Worker thread. Nothing here adds to what was measured: a stage without a judgement is not_run.
 */
#include "workers/pipeline/pipeline.h"

#include <math.h>
#include <string.h>

/* Without a judgement no stage ran, or none that counts. */
static json_t *stages_not_run(void)
{
    json_t *out = json_array();
    for (int s = 0; s < STAGE_COUNT; s++)
        (void)json_array_append_new(out, json_pack("{s:s, s:s}", "name", stage_name((enum stage)s), "status",
                                                   stage_status_name(STAGE_STATUS_NOT_RUN)));
    return out;
}

/* The rows of the stages without the figures of each tensor, which only the report holds. */
static json_t *short_rows(const json_t *stages)
{
    json_t *out = json_array(), *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)stages, i, row)
    {
        json_t *copy = json_copy(row);
        (void)json_object_del(copy, "by_tensor");
        (void)json_array_append_new(out, copy);
    }
    return out;
}

json_t *run_result(const struct run *r)
{
    json_t *stages = json_object_get(r->judged, "stages");
    json_t *score = json_object_get(r->judged, "score");
    json_t *difference = json_object_get(r->judged, "first_difference");
    json_t *out = json_object();
    (void)json_object_set_new(out, "verdict", json_string(verdict_name(r->verdict)));
    (void)json_object_set_new(out, "reason",
                              r->reason < 0 ? json_null() : json_string(reason_name((enum reason)r->reason)));
    (void)json_object_set_new(out, "score", score ? json_incref(score) : json_integer(0));
    (void)json_object_set_new(out, "stages", stages ? short_rows(stages) : stages_not_run());
    (void)json_object_set(out, "assumptions", r->assumptions);
    (void)json_object_set(out, "refusals", r->refusals);
    (void)json_object_set_new(out, "first_difference", difference ? json_incref(difference) : json_null());
    (void)json_object_set_new(out, "error", r->error ? json_incref(r->error) : json_null());
    json_t *changed = json_object_get(r->drafted.result, "changed");
    (void)json_object_set_new(out, "changed", changed ? json_incref(changed) : json_null());
    return out;
}

json_t *run_usage(const struct run *r)
{
    double seconds = (double)(clock_mono_us() - r->started_us) / 1e6;
    return json_pack("{s:f, s:i, s:i}", "seconds", round(seconds * 1e6) / 1e6, "tokens_in", 0, "tokens_out",
                     0);
}

/* The result with all figures. */
static json_t *full_result(const struct run *r)
{
    json_t *out = run_result(r), *stages = json_object_get(r->judged, "stages");
    if (stages)
        (void)json_object_set(out, "stages", stages);
    return out;
}

/* Input sets of the plan that are there for other sizes. */
static int resized(const json_t *cases)
{
    int n = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *stage = json_object_get(json_array_get(cases, i), "stage");
        n += stage_parse(json_string_value(stage)) == STAGE_RESIZE;
    }
    return n;
}

static json_t *contract(const struct run *r)
{
    const struct verdict_tolerances *tol = &VERDICT_TOLERANCES_DEFAULT;
    json_t *plan = json_object_get(r->captured.result, "plan");
    json_t *draws = json_object_get(plan, "draws");
    json_t *cases = json_object_get(plan, "cases");
    json_t *left_out = json_array();
    for (int s = 0; s < STAGE_COUNT; s++)
        if (!(r->asked & STAGE_BIT(s)))
            (void)json_array_append_new(left_out, json_string(stage_name((enum stage)s)));
    int sizes = resized(cases), inputs = (int)json_array_size(json_object_get(plan, "inputs")) - sizes;
    return json_pack("{s:O*, s:i, s:i, s:i, s:o, s:{s:f, s:f, s:f, s:f, s:f, s:f}}", "draws", draws, "inputs",
                     inputs, "sizes", sizes, "cases", (int)json_array_size(cases), "left_out", left_out,
                     "tolerances", "float64_relative", tol->f64_relative, "float32_factor", tol->f32_factor,
                     "float32_floor", tol->f32_floor, "least_range", tol->least_range, "noise_factor",
                     tol->noise_factor, "noise_cap", tol->noise_cap);
}

json_t *run_report(const struct run *r)
{
    const char *oracle_given = step_out_sha(&r->captured, "given");
    const char *oracle_expected = step_out_sha(&r->captured, "expected");
    json_t *entry = json_object_get(json_object_get(r->captured.result, "plan"), "entry");
    json_t *job = json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:s}", "id", r->job.id, "name", r->job.name, "entry",
                            r->job.entry, "kind", kind_name(r->job.kind), "engine",
                            engine_name(r->job.engine), "style", style_name(r->job.style));
    if (entry)
        (void)json_object_set(job, "resolved_entry", entry);
    return json_pack("{s:s, s:o, s:o, s:o, s:O?, s:{s:s?, s:s?}, s:O, s:O, s:{s:i, s:O?}, s:o, s:O, s:O}",
                     "format", "ferry.report/1", "job", job, "result", full_result(r), "contract",
                     contract(r), "worst_case", r->worst_case, "oracle", "given_sha256", oracle_given,
                     "expected_sha256", oracle_expected, "confinement", r->confinement, "versions",
                     r->versions, "seeds", "oracle", r->p->seed, "accept", r->accept_seed, "usage",
                     run_usage(r), "step_seconds", r->seconds, "notes", r->notes);
}
