/*
 * place.c: where a difference begins, and whether it is a known bug.
 *
 * Worker thread. The candidate runs once more with every submodule's output recorded; then the source's own
 * submodule is rerun under known wrong rules. Both only explain a judgement that stands: whatever goes wrong
 * here leaves it as it was.
 */
#include "workers/pipeline/pipeline.h"

#include "workers/verdict/verdict.h"

static bool differs_in_tensors(const struct run *r)
{
    return json_is_string(json_object_get(json_object_get(r->judged, "first_difference"), "tensor"));
}

static bool has_submodules(const struct run *r)
{
    return json_array_size(json_object_get(json_object_get(r->captured.result, "plan"), "submodules")) > 0;
}

/* The bug as the step names it, its three texts only; NULL where it names none. */
static json_t *bug_of(const json_t *result)
{
    static const char *const TEXTS[] = {"code", "title", "rule"};
    json_t *bug = json_object_get(result, "bug"), *out = json_is_object(bug) ? json_object() : NULL;
    for (size_t i = 0; out && i < sizeof TEXTS / sizeof *TEXTS; i++) {
        json_t *text = json_object_get(bug, TEXTS[i]);
        (void)json_object_set(out, TEXTS[i], json_is_string(text) ? text : json_null());
    }
    return out;
}

/* A call where one is known to differ, else the case and the tensor that the stage showed. New reference. */
static json_t *site_of(const struct run *r, const json_t *place)
{
    json_t *difference = json_object_get(r->judged, "first_difference");
    json_t *path = json_object_get(place, "path"), *call = json_object_get(place, "call");
    if (path && call)
        return json_pack("{s:O, s:O}", "path", path, "call", call);
    return json_pack("{s:O, s:O}", "case", json_object_get(difference, "case"), "tensor",
                     json_object_get(difference, "tensor"));
}

static json_t *fingerprint_request(const struct run *r, const json_t *place)
{
    json_t *out = run_capture_request(r), *site = site_of(r, place);
    if (!out || !site ||
        (json_object_set(out, "plan", json_object_get(r->captured.result, "plan")) ||
         json_object_set(out, "place", site))) {
        json_decref(out);
        out = NULL;
    }
    json_decref(site);
    return out;
}

/* `arrays` is what a check handed back: the located submodules, or the cases themselves where no call is
 * known. */
static int name_bug(struct run *r, const struct step_out *arrays, const json_t *place, struct err *e)
{
    json_t *request = fingerprint_request(r, place);
    const char *actual = step_out_sha(arrays, "actual");
    if (!request || !actual) {
        json_decref(request);
        return RUN_GO_ON;
    }
    struct step_in ins[] = {{"given", step_out_sha(&r->captured, "given")}, {"located", actual}};
    struct step_out found = {0};
    int rc = step_run(r, STEP_CHECK, FUNCTION_FINGERPRINT, request, ins, 2, NULL, 0, &found, e);
    json_t *bug = run_went_well(r, &rc) ? bug_of(found.result) : NULL;
    if (bug)
        (void)json_object_set(json_object_get(r->judged, "first_difference"), "bug", bug);
    json_decref(bug);
    json_decref(request);
    step_out_fini(&found);
    return rc;
}

/* Finds the first differing call; `*place` stays NULL where there is none to be found. */
static int find_call(struct run *r, struct step_out *located, json_t **place, struct err *e)
{
    if (!has_submodules(r))
        return RUN_GO_ON;
    struct trial t = {.oracle = &r->captured, .stages = r->asked & ~STAGES_ACCEPT, .locate = true};
    int rc = run_trial(r, STEP_CHECK, &t, located, e);
    if (rc == RUN_GO_ON)
        rc = run_decide(r, &t, located, NULL, verdict_locate, place, e);
    if (!run_went_well(r, &rc))
        return rc;
    if (*place)
        (void)json_object_update(json_object_get(r->judged, "first_difference"), *place);
    return rc;
}

int run_locate(struct run *r, struct err *e)
{
    if (!differs_in_tensors(r))
        return RUN_GO_ON;
    struct step_out located = {0};
    json_t *place = NULL;
    int rc = find_call(r, &located, &place, e);
    if (rc == RUN_GO_ON)
        rc = name_bug(r, place ? &located : &r->checked, place, e);
    json_decref(place);
    step_out_fini(&located);
    return rc;
}
