/*
 * judge.c: from the arrays of a check to the verdict.
 *
 * Worker thread. The comparison itself is workers/verdict/; here its files are opened, a difference is
 * located in a second check, and the job's outcome is set. What the jax sandbox wrote is untrusted: a file
 * that cannot be read makes the candidate differ.
 */
#include "workers/pipeline/pipeline.h"

#include "workers/verdict/verdict.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_tensors(struct run *r, const char *sha, struct st_file **out, struct err *e)
{
    int fd;
    int64_t size;
    int rc = store_blob_open(r->p->store, sha, &fd, &size, e);
    if (rc != 0)
        return rc;
    if (size > 0)
        rc = st_open(fd, NULL, out, e);
    else
        *out = NULL;
    (void)close(fd);
    return rc;
}

/* What a sandbox wrote may be malformed: the fault of the source in the oracle, of the candidate in its
 * arrays. */
static int malformed(struct run *r, int rc, bool candidate, const char *what, const struct err *e)
{
    if (rc != FERR_INVALID_TENSORS && rc != FERR_INVALID_FIELD)
        return rc;
    json_t *error = run_error(REASON_RESULT_INVALID, "%s: %s", what, e->text);
    rc = run_end(r, REASON_RESULT_INVALID, candidate, error);
    json_decref(error);
    return rc;
}

static int open_pair(struct run *r, const struct step_out *checked, struct st_file **expected,
                     struct st_file **actual, struct err *e)
{
    *expected = *actual = NULL;
    int rc = open_tensors(r, step_out_sha(&r->captured, "expected"), expected, e);
    if (rc == 0 && !*expected)
        rc = err_set(e, FERR_INVALID_TENSORS, "capture wrote none");
    if (rc != 0)
        return malformed(r, rc, false, "the oracle", e);
    rc = open_tensors(r, step_out_sha(checked, "actual"), actual, e);
    return malformed(r, rc, true, "the candidate's tensors", e);
}

static struct verdict_input input_of(const struct run *r, const struct step_out *checked,
                                     const struct st_file *expected, const struct st_file *actual)
{
    return (struct verdict_input){.plan = json_object_get(r->captured.result, "plan"),
                                  .expected = expected,
                                  .check = checked->result,
                                  .actual = actual,
                                  .tol = &VERDICT_TOLERANCES_DEFAULT};
}

/* Runs the candidate once more with every submodule's output recorded, and places the first difference. A
 * candidate that cannot be placed keeps the difference that the stage showed. */
static int locate(struct run *r, struct err *e)
{
    static const char *const OUTS[] = {"actual"};
    json_t *difference = json_object_get(r->judged, "first_difference");
    struct step_out located = {0};
    struct st_file *expected = NULL, *actual = NULL;
    json_t *place = NULL, *request = run_check_request(r, true);
    struct step_in in = {.name = "given", .sha = step_out_sha(&r->captured, "given")};
    int rc = step_run(r, STEP_CHECK, "check", request, &in, 1, OUTS, 1, &located, e);
    json_decref(request);
    if (rc == RUN_GO_ON)
        rc = open_pair(r, &located, &expected, &actual, e);
    if (rc == RUN_GO_ON && actual) {
        struct verdict_input input = input_of(r, &located, expected, actual);
        rc = malformed(r, verdict_locate(&input, &place, e), true, "the candidate's submodules", e);
    }
    if (rc == RUN_GO_ON && place)
        (void)json_object_update(difference, place);
    if (rc == RUN_ENDED) { /* the second run broke; the first one's finding stands */
        r->ended = false;
        rc = RUN_GO_ON;
    }
    json_decref(place);
    st_close(expected);
    st_close(actual);
    step_out_fini(&located);
    return rc;
}

/* Copies verdict and reason out of the judgement; assumptions weaken `equal`. */
static int conclude(struct run *r)
{
    int verdict = verdict_parse(json_string_value(json_object_get(r->judged, "verdict")));
    int reason = reason_parse(json_string_value(json_object_get(r->judged, "reason")));
    if (verdict == VERDICT_EQUAL) {
        bool assumed = json_array_size(r->assumptions) > 0;
        r->verdict = assumed ? VERDICT_EQUAL_UNDER_ASSUMPTIONS : VERDICT_EQUAL;
        r->reason = -1;
        r->ended = true;
        return RUN_ENDED;
    }
    json_t *difference = json_object_get(r->judged, "first_difference");
    (void)run_end(r, reason < 0 ? REASON_DIFFERS : (enum reason)reason, true,
                  json_object_get(difference, "error"));
    if (verdict >= 0)
        r->verdict = (enum verdict_kind)verdict;
    return RUN_ENDED;
}

static bool differs_in_values(const struct run *r)
{
    json_t *difference = json_object_get(r->judged, "first_difference");
    return json_is_object(difference) && json_is_string(json_object_get(difference, "tensor")) &&
           json_array_size(json_object_get(json_object_get(r->captured.result, "plan"), "submodules")) > 0;
}

int run_judge(struct run *r, struct err *e)
{
    struct st_file *expected = NULL, *actual = NULL;
    int rc = open_pair(r, &r->checked, &expected, &actual, e);
    if (rc == RUN_GO_ON) {
        struct verdict_input input = input_of(r, &r->checked, expected, actual);
        rc = malformed(r, verdict_judge(&input, &r->judged, e), false, "the oracle", e);
    }
    st_close(expected);
    st_close(actual);
    if (rc == RUN_GO_ON && differs_in_values(r))
        rc = locate(r, e);
    return rc == RUN_GO_ON ? conclude(r) : rc;
}
