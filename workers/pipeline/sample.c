/*
 * sample.c: cases whose recorded draws a candidate can't replay, because it draws inside of a transformation
 * of jax: source and candidate are run many times each, for the verdict to compare their distributions.
 *
 * Worker thread. It costs hundreds of runs, so it is done only for such a candidate. Whatever goes wrong here
 * leaves a case without samples, which then fails.
 */
#include "workers/pipeline/pipeline.h"

#include <string.h>

void samples_fini(struct samples *s)
{
    step_out_fini(&s->source);
    step_out_fini(&s->candidate);
}

static bool holds_string(const json_t *array, const char *word)
{
    for (size_t i = 0; word && i < json_array_size(array); i++) {
        const char *other = json_string_value(json_array_get(array, i));
        if (other && strcmp(other, word) == 0)
            return true;
    }
    return false;
}

/* The cases of the plan that the check names, of those in which the source draws. New reference. */
static json_t *unreplayed(const struct trial *t, const struct step_out *checked)
{
    json_t *named = json_object_get(checked->result, "unreplayed"), *found = json_array(), *item;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(t->oracle->result, "plan"), "cases"), i, item)
    {
        json_t *id = json_object_get(item, "id");
        if (json_array_size(json_object_get(item, "rng")) > 0 && holds_string(named, json_string_value(id)))
            (void)json_array_append(found, id);
    }
    return found;
}

static enum step_kind kind_of(const struct run *r, const struct trial *t)
{
    return t->oracle == &r->captured ? STEP_CHECK : STEP_ACCEPT;
}

/* One side's runs. Takes over `request` (NULL: it could not be made) and `wanted`, what is to be sampled. */
static int sample_side(struct run *r, const struct trial *t, enum function function, json_t *request,
                       json_t *wanted, const char *name, struct step_out *out, struct err *e)
{
    struct step_in in = {.name = "given", .sha = step_out_sha(t->oracle, "given")};
    int rc = request && json_object_set(request, "sample", wanted) == 0
                 ? step_run(r, kind_of(r, t), function, request, &in, 1, &name, 1, out, e)
                 : run_end(r, REASON_RESULT_INVALID, false, NULL);
    json_decref(wanted);
    json_decref(request);
    return rc;
}

static int sample_source(struct run *r, const struct trial *t, json_t *cases, json_t *seed,
                         struct step_out *out, struct err *e)
{
    json_t *request = run_capture_request(r);
    json_t *wanted = json_pack("{s:O, s:O, s:i}", "cases", cases, "seed", seed, "runs",
                               VERDICT_CALIBRATION_RUNS + VERDICT_SAMPLE_RUNS);
    if (request)
        (void)json_object_set(request, "plan", json_object_get(t->oracle->result, "plan"));
    return sample_side(r, t, FUNCTION_SAMPLE, request, wanted, "samples", out, e);
}

static int sample_candidate(struct run *r, const struct trial *t, json_t *kept, json_t *seed,
                            struct step_out *out, struct err *e)
{
    json_t *wanted = json_pack("{s:O?, s:O, s:i}", "cases", kept, "seed", seed, "runs", VERDICT_SAMPLE_RUNS);
    return sample_side(r, t, FUNCTION_CHECK, run_check_request(r, t), wanted, "actual", out, e);
}

/* What the sampled check could not give back of a case is what the first one could not. */
static void take_lists(const struct step_out *checked, const struct step_out *sampled, const json_t *cases)
{
    static const char *const LISTS[] = {"absent", "assumed"};
    for (size_t l = 0; l < sizeof LISTS / sizeof *LISTS; l++) {
        json_t *from = json_object_get(sampled->result, LISTS[l]);
        json_t *to = json_object_get(checked->result, LISTS[l]);
        for (size_t i = 0; i < json_array_size(cases); i++) {
            const char *id = json_string_value(json_array_get(cases, i));
            if (id && json_is_object(to) && json_object_get(from, id))
                (void)json_object_set(to, id, json_object_get(from, id));
        }
    }
}

/* An error of the sampled check is one of each stage that has such cases. */
static void take_error(const struct trial *t, const struct step_out *checked, const struct step_out *sampled,
                       const json_t *cases)
{
    json_t *record = json_object_get(json_object_get(sampled->result, "stages"), "sample"), *item;
    const char *status = json_string_value(json_object_get(record, "status"));
    size_t i;
    if (!status || strcmp(status, "failed") != 0)
        return;
    json_array_foreach(json_object_get(json_object_get(t->oracle->result, "plan"), "cases"), i, item)
    {
        const char *stage = json_string_value(json_object_get(item, "stage"));
        if (stage && holds_string(cases, json_string_value(json_object_get(item, "id"))))
            (void)json_object_set(json_object_get(checked->result, "stages"), stage, record);
    }
}

static int sample_both(struct run *r, const struct trial *t, const struct step_out *checked, json_t *cases,
                       struct samples *out, struct err *e)
{
    json_t *seed = NULL;
    int rc = run_seed(r, &seed, e);
    if (rc == 0)
        rc = sample_source(r, t, cases, seed, &out->source, e);
    if (run_went_well(r, &rc) && out->source.result) {
        json_t *kept = json_object_get(out->source.result, "kept");
        rc = sample_candidate(r, t, kept, seed, &out->candidate, e);
        if (run_went_well(r, &rc)) {
            take_lists(checked, &out->candidate, cases);
            take_error(t, checked, &out->candidate, cases);
        }
    }
    json_decref(seed);
    return rc;
}

int run_sample(struct run *r, const struct trial *t, const struct step_out *checked, struct samples *out,
               struct err *e)
{
    json_t *cases = unreplayed(t, checked);
    int rc = json_array_size(cases) > 0 ? sample_both(r, t, checked, cases, out, e) : RUN_GO_ON;
    json_decref(cases);
    return rc;
}
