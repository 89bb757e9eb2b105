/*
 * samples.c: a case whose draws can't be replayed, decided by distribution.
 *
 * Any thread. The check only says that it could not replay; the plan must say that the source draws in that
 * case at all. The samples of both sides are named as the expected tensors are.
 */
#include "workers/verdict/sampled.h"
#include "workers/verdict/st_internal.h"
#include "workers/verdict/stage.h"

#include <stdio.h>
#include <string.h>

/* The share of a statistic's size within which values count as equal: both sides round on their own, and
 * differently; far below what the tests see. */
static const double SLACK_WIDE = 1e-6, SLACK_NARROW = 1e-3;

bool stage_is_sampled(const struct verdict_input *in, const struct plan_case *c)
{
    const json_t *cases = json_object_get(in->check, "unreplayed");
    for (size_t i = 0; c->draws && i < json_array_size(cases); i++) {
        const char *id = json_string_value(json_array_get(cases, i));
        if (id && strcmp(id, c->id) == 0)
            return true;
    }
    return false;
}

json_t *stage_without_samples(void)
{
    return json_pack("{s:s, s:s, s:s}", "code", reason_name(REASON_DRAWS_DIFFER), "message",
                     "the candidate draws inside of a transformation of jax, where draws can't be replayed, "
                     "and there are no samples to compare",
                     "why", "inside_transformation");
}

static bool has_runs(const struct st_tensor *t, uint64_t runs)
{
    return t && t->ndim > 0 && t->shape[0] == runs;
}

static bool same_elements(const struct st_tensor *a, const struct st_tensor *b)
{
    return a->ndim == b->ndim && memcmp(a->shape + 1, b->shape + 1, (a->ndim - 1) * sizeof *a->shape) == 0;
}

static int compare(const struct verdict_input *in, const struct st_tensor *source,
                   const struct st_tensor *candidate, bool wide, struct finding *out, struct err *e)
{
    struct sampled_diff d;
    int rc = sampled_compare(source, candidate, wide ? SLACK_WIDE : SLACK_NARROW, &d, e);
    if (rc)
        return rc;
    double tests = SAMPLED_TESTS_MAX * (double)st_count(in->samples);
    double tolerance = sampled_tolerance(in->tol->false_alarm, tests);
    out->diff = (struct verdict_diff){.equal = d.distance <= tolerance,
                                      .max_error = d.distance,
                                      .tolerance = tolerance,
                                      .index = d.element,
                                      .expected = d.expected,
                                      .actual = d.actual};
    if (!out->diff.equal)
        (void)snprintf(out->text, sizeof out->text, "is distributed differently: %s", d.statistic);
    return 0;
}

int stage_sample(const struct verdict_input *in, const struct st_tensor *expected, const char *local,
                 bool wide, struct finding *out, struct err *e)
{
    const struct st_tensor *source = st_find(in->samples, expected->name);
    const struct st_tensor *candidate = in->sampled ? st_find(in->sampled, expected->name) : NULL;
    char text[96];
    *out = (struct finding){.expected = expected, .why = FINDING_VALUES};
    (void)snprintf(out->tensor, sizeof out->tensor, "%s", local);
    if (!has_runs(source, VERDICT_CALIBRATION_RUNS + VERDICT_SAMPLE_RUNS))
        return err_set(e, FERR_INVALID_TENSORS, "the oracle has no sample of '%s'",
                       st_printable(expected->name, text, sizeof text));
    if (!candidate) {
        out->why = FINDING_MISSING;
        (void)snprintf(out->text, sizeof out->text, "the candidate gave no such tensor");
    } else if (!has_runs(candidate, VERDICT_SAMPLE_RUNS) || !same_elements(source, candidate)) {
        out->why = FINDING_SHAPE;
        (void)snprintf(out->text, sizeof out->text, "its runs have another shape than the source's");
    } else if (!stage_dtypes_meet(source->dtype, candidate->dtype, wide)) {
        out->why = FINDING_DTYPE;
        (void)snprintf(out->text, sizeof out->text, "is %s, expected %s", st_dtype_torch(candidate->dtype),
                       st_dtype_torch(source->dtype));
    } else {
        return compare(in, source, candidate, wide, out, e);
    }
    return 0;
}
