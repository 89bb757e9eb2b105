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

/* The rows of the classes without what a class needs to be an entry of its own. */
static json_t *short_parts(const json_t *parts)
{
    json_t *out = json_array(), *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)parts, i, row)
    {
        json_t *copy = json_copy(row);
        (void)json_object_del(copy, "init_expr");
        (void)json_object_del(copy, "inputs_expr");
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
    json_t *holes = json_object_get(r->drafted.result, "holes");
    (void)json_object_set_new(out, "holes", holes ? json_incref(holes) : json_array());
    (void)json_object_set_new(out, "parts", short_parts(r->parts));
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
    (void)json_object_set(out, "parts", r->parts);
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

/* Seconds of one float32 forward on the first recorded input, each as its own sandbox took them; null where
 * one is not known. The candidate ran in the jax sandbox, so the figure is a statement, never part of a
 * proof. */
static json_t *speed(const struct run *r)
{
    double torch = json_number_value(json_object_get(r->captured.result, "eager_seconds"));
    double jax = json_number_value(json_object_get(r->checked.result, "jit_seconds"));
    if (!(torch > 0 && torch < 1e6 && jax > 0 && jax < 1e6))
        return json_null();
    return json_pack("{s:f, s:f, s:f}", "torch_eager_s", torch, "jax_jit_s", jax, "ratio",
                     round(100 * torch / jax) / 100);
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
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:O?, s:{s:s?, s:s?}, s:O, s:O, s:{s:i, s:O?}, s:o, s:O, s:O, s:o, s:O}",
        "format", "ferry.report/1", "job", job, "result", full_result(r), "switches", run_switches(r),
        "contract", contract(r), "worst_case", r->worst_case, "oracle", "given_sha256", oracle_given,
        "expected_sha256", oracle_expected, "confinement", r->confinement, "versions", r->versions, "seeds",
        "oracle", r->p->seed, "accept", r->accept_seed, "usage", run_usage(r), "step_seconds", r->seconds,
        "stage_seconds", r->stage_seconds, "speed", speed(r), "notes", r->notes);
}
