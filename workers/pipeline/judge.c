/*
 * judge.c: a candidate is run and what it gave is decided.
 *
 * Worker thread. The comparison itself is workers/verdict/; here its files are opened and the job's outcome
 * is set. What the jax sandbox wrote is untrusted: a file that cannot be read makes the candidate differ.
 */
#include "workers/pipeline/pipeline.h"

#include "workers/verdict/verdict.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The check and both rounds of the acceptance each judge once. */
enum { JUDGEMENTS_MAX = 3 };

int run_open_tensors(struct run *r, const char *sha, struct st_file **out, struct err *e)
{
    int fd;
    int64_t size;
    int rc = store_blob_open(r->p->store, sha, &fd, &size, e);
    if (rc != 0)
        return rc;
    *out = NULL;
    if (size > 0)
        rc = st_open(fd, NULL, out, e);
    (void)close(fd);
    return rc;
}

int run_malformed(struct run *r, int rc, bool candidate, const char *what, const struct err *e)
{
    if (rc != FERR_INVALID_TENSORS && rc != FERR_INVALID_FIELD)
        return rc;
    json_t *error = run_error(REASON_RESULT_INVALID, "%s: %s", what, e->text);
    rc = run_end(r, REASON_RESULT_INVALID, candidate, error);
    json_decref(error);
    return rc;
}

int run_check_oracle(struct run *r, const struct step_out *oracle, struct err *e)
{
    const json_t *tensors = json_object_get(oracle->result, "tensors");
    int rc = verdict_plan_check(json_object_get(oracle->result, "plan"), e);
    if (rc == 0 && tensors && !json_is_array(tensors))
        rc = err_at(e, FERR_INVALID_FIELD, "/tensors", "its tensors are no array");
    return run_malformed(r, rc, false, "the oracle", e);
}

int run_trial(struct run *r, enum step_kind kind, const struct trial *t, struct step_out *checked,
              struct err *e)
{
    static const char *const OUTS[] = {"actual"};
    json_t *request = run_check_request(r, t);
    if (!request)
        return run_end(r, REASON_RESULT_INVALID, false, NULL);
    struct step_in in = {.name = "given", .sha = step_out_sha(t->oracle, "given")};
    int rc = step_run(r, kind, FUNCTION_CHECK, request, &in, 1, OUTS, 1, checked, e);
    json_decref(request);
    return rc;
}

/* Opens what was sampled, if anything was; what the candidate gave must be readable. */
static int open_samples(struct run *r, const struct samples *s, struct st_file **source,
                        struct st_file **candidate, struct err *e)
{
    const char *ours = s ? step_out_sha(&s->source, "samples") : NULL;
    const char *theirs = s ? step_out_sha(&s->candidate, "actual") : NULL;
    int rc = ours ? run_open_tensors(r, ours, source, e) : RUN_GO_ON;
    rc = run_malformed(r, rc, false, "the oracle", e);
    if (rc == RUN_GO_ON && theirs)
        rc = run_malformed(r, run_open_tensors(r, theirs, candidate, e), true, "the candidate's samples", e);
    return rc;
}

int run_decide(struct run *r, const struct trial *t, const struct step_out *checked,
               const struct samples *samples, verdict_function *decide, json_t **out, struct err *e)
{
    struct st_file *expected = NULL, *actual = NULL, *source = NULL, *candidate = NULL;
    int rc = run_open_tensors(r, step_out_sha(t->oracle, "expected"), &expected, e);
    if (rc == 0 && !expected)
        rc = err_set(e, FERR_INVALID_TENSORS, "there are no expected tensors");
    rc = run_malformed(r, rc, false, "the oracle", e);
    if (rc == RUN_GO_ON)
        rc = run_malformed(r, run_open_tensors(r, step_out_sha(checked, "actual"), &actual, e), true,
                           "the candidate's tensors", e);
    if (rc == RUN_GO_ON)
        rc = open_samples(r, samples, &source, &candidate, e);
    if (rc == RUN_GO_ON) {
        struct verdict_input input = {.plan = json_object_get(t->oracle->result, "plan"),
                                      .expected = expected,
                                      .check = checked->result,
                                      .actual = actual,
                                      .weights = json_object_get(r->drafted.result, "weights"),
                                      .samples = source,
                                      .sampled = candidate,
                                      .asked = t->stages,
                                      .tol = &VERDICT_TOLERANCES_DEFAULT};
        rc = run_malformed(r, decide(&input, out, e), false, "the oracle", e);
    }
    st_close(expected);
    st_close(actual);
    st_close(source);
    st_close(candidate);
    return rc;
}

int run_judge_trial(struct run *r, const struct trial *t, const struct step_out *checked, json_t **judgement,
                    struct err *e)
{
    struct samples samples = {0};
    int rc = run_sample(r, t, checked, &samples, e);
    if (rc == RUN_GO_ON)
        rc = run_decide(r, t, checked, &samples, verdict_judge, judgement, e);
    samples_fini(&samples);
    return rc;
}

bool run_is_equal(const json_t *judgement)
{
    return verdict_parse(json_string_value(json_object_get(judgement, "verdict"))) == VERDICT_EQUAL;
}

static struct trial whole_contract(const struct run *r)
{
    return (struct trial){.oracle = &r->captured, .stages = r->asked & ~STAGES_ACCEPT};
}

int run_check(struct run *r, struct err *e)
{
    struct trial t = whole_contract(r);
    int rc = run_trial(r, STEP_CHECK, &t, &r->checked, e);
    if (rc == RUN_GO_ON)
        run_take_map(r);
    return rc;
}

int run_judge(struct run *r, struct err *e)
{
    struct trial t = whole_contract(r);
    int rc = run_judge_trial(r, &t, &r->checked, &r->judged, e);
    if (rc == RUN_GO_ON)
        rc = run_choose_map(r, e);
    if (rc == RUN_GO_ON)
        run_take_notes(r, &r->checked, "jax");
    return rc;
}

/* ---- the outcome -----------------------------------------------------------------------------------------
 */

static bool has_assumption(const struct run *r, const char *code)
{
    size_t i;
    json_t *item;
    json_array_foreach(r->assumptions, i, item)
    {
        const char *word = json_string_value(json_object_get(item, "code"));
        if (word && strcmp(word, code) == 0)
            return true;
    }
    return false;
}

static void assume(struct run *r, const char *code, const char *text)
{
    json_t *item = json_pack("{s:s, s:s, s:n, s:n}", "code", code, "text", text, "file", "line");
    if (!has_assumption(r, code))
        (void)json_array_append(r->assumptions, item);
    json_decref(item);
}

/* What the contract left out by request weakens what was proven, and is said. */
static void assume_left_out(struct run *r)
{
    char text[512] = "left out by request:";
    for (int s = 0; s < STAGE_COUNT; s++)
        if (!(r->asked & STAGE_BIT(s)))
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), " %s", stage_name((enum stage)s));
    if (r->asked != STAGES_ALL)
        assume(r, "stages_left_out", text);
}

/* How many tensors of a stage were not compared. */
static json_int_t assumed_in(const struct run *r, enum stage stage)
{
    const json_t *row = json_array_get(json_object_get(r->judged, "stages"), (size_t)stage);
    return json_integer_value(json_object_get(row, "assumed"));
}

/* Parameters that the map adds up are one variable in the candidate. */
static void assume_sums(struct run *r)
{
    json_int_t n = assumed_in(r, STAGE_OPTIMIZER);
    char text[160];
    (void)snprintf(text, sizeof text,
                   "%" JSON_INTEGER_FORMAT " parameters that the weight map adds up are not compared after "
                   "optimizer steps",
                   n);
    if (n > 0)
        assume(r, "optimizer_sum", text);
}

/* An array that the source writes into stays as it was for a caller of the candidate. */
static void assume_arguments(struct run *r)
{
    if (assumed_in(r, STAGE_FORWARD_F64) > 0)
        assume(r, "argument_not_updated",
               "the source changes arguments in place whose new values the candidate does not hand back");
}

/* Cases that were decided by distribution say less than replayed ones, and wrongly reject now and then. */
static void assume_distribution(struct run *r)
{
    json_int_t n = 0;
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(r->judged, "stages"), i, row)
    {
        n += json_integer_value(json_object_get(row, "sampled"));
    }
    char text[320];
    (void)snprintf(text, sizeof text,
                   "the candidate draws in another order than the source: %" JSON_INTEGER_FORMAT
                   " cases were decided by the distributions of %d runs of each side, by tests that reject "
                   "equal distributions with a probability of at most %.0e",
                   n, VERDICT_SAMPLE_RUNS, JUDGEMENTS_MAX * VERDICT_TOLERANCES_DEFAULT.false_alarm);
    if (n > 0)
        assume(r, "draws_by_distribution", text);
}

static int conclude_difference(struct run *r, int verdict)
{
    int reason = reason_parse(json_string_value(json_object_get(r->judged, "reason")));
    json_t *difference = json_object_get(r->judged, "first_difference");
    json_t *error = json_deep_copy(json_object_get(difference, "error"));
    run_name_unmatched(r, error);
    (void)run_end(r, reason < 0 ? REASON_DIFFERS : (enum reason)reason, true, error);
    json_decref(error);
    if (verdict >= 0)
        r->verdict = (enum verdict_kind)verdict;
    return RUN_ENDED;
}

int run_conclude(struct run *r, struct err *e)
{
    (void)e;
    int verdict = verdict_parse(json_string_value(json_object_get(r->judged, "verdict")));
    assume_left_out(r);
    assume_sums(r);
    assume_distribution(r);
    assume_arguments(r);
    if (verdict != VERDICT_EQUAL)
        return conclude_difference(r, verdict);
    bool assumed = json_array_size(r->assumptions) > 0;
    r->verdict = assumed ? VERDICT_EQUAL_UNDER_ASSUMPTIONS : VERDICT_EQUAL;
    r->reason = -1;
    return RUN_ENDED;
}
