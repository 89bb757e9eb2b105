/*
 * test_store_results.c: attempts, artifacts and stored steps.
 */
#include "test_store.h"

static void start_job(struct fixture *f, char id[JOB_ID_SIZE], struct store_lease *lease)
{
    job_create(f->s, 0, id);
    claim(f->s, lease);
}

/* ---- attempts ------------------------------------------------------------------------------------------ */

static json_t *attempt_new(int n, const char *code)
{
    return json_pack("{s:i, s:s, s:[{s:s, s:s}], s:{s:s}, s:i}", "n", n, "engine", "builtin", "files", "path",
                     "model.py", "content", code, "weights", "format", "ferry.weights/1", "score", 3);
}

static void test_attempts(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    json_t *list = NULL, *got = NULL;
    start_job(f, id, &lease);
    assert_ok(store_attempt_list(f->r, id, &list, &e));
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    for (int n = 2; n >= 1; n--) {
        json_t *attempt = attempt_new(n, "first");
        assert_ok(store_attempt_put(f->s, &lease, n, attempt, &e));
        assert_non_null(json_object_get(attempt, "files")); /* the caller's stays whole */
        json_decref(attempt);
    }
    json_t *again = attempt_new(2, "second");
    assert_ok(store_attempt_put(f->s, &lease, 2, again, &e));
    assert_ok(store_attempt_list(f->r, id, &list, &e));
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *summary = json_array_get(list, i);
        assert_int_equal(json_integer_value(json_object_get(summary, "n")), i + 1);
        assert_int_equal(json_integer_value(json_object_get(summary, "score")), 3);
        assert_null(json_object_get(summary, "files"));
        assert_null(json_object_get(summary, "weights"));
    }
    json_decref(list);
    assert_ok(store_attempt_get(f->r, id, 2, &got, &e));
    assert_true(json_equal(got, again));
    json_decref(got);
    json_decref(again);
    assert_fails(FERR_NOT_FOUND, store_attempt_get(f->r, id, 3, &got, &e));
}

static void test_attempts_want_job_and_lease(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE], none[JOB_ID_SIZE];
    struct store_lease lease, nobody = {.token = 0};
    json_t *out = NULL, *attempt = attempt_new(1, "x"), *array = json_array();
    start_job(f, id, &lease);
    job_id_new(none);
    assert_fails(FERR_JOB_NOT_FOUND, store_attempt_list(f->r, none, &out, &e));
    assert_fails(FERR_JOB_NOT_FOUND, store_attempt_get(f->r, none, 1, &out, &e));
    assert_fails(FERR_INTERNAL, store_attempt_put(f->s, &nobody, 1, attempt, &e));
    assert_fails(FERR_INTERNAL, store_attempt_put(f->s, &lease, 0, attempt, &e));
    assert_fails(FERR_INTERNAL, store_attempt_put(f->s, &lease, 1, array, &e));
    assert_ok(store_job_release(f->s, &lease, &e));
    assert_fails(FERR_CONFLICT, store_attempt_put(f->s, &lease, 1, attempt, &e));
    json_decref(attempt);
    json_decref(array);
}

/* ---- artifacts ----------------------------------------------------------------------------------------- */

static void test_artifacts(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE], none[JOB_ID_SIZE], sha[STORE_SHA_SIZE];
    struct store_lease lease, nobody = {.token = 0};
    struct store_artifact a;
    start_job(f, id, &lease);
    job_id_new(none);
    assert_fails(FERR_NOT_FOUND, store_artifact_get(f->r, id, "report.json", &a, &e));
    assert_fails(FERR_JOB_NOT_FOUND, store_artifact_get(f->r, none, "report.json", &a, &e));
    store_sha256("absent", 6, sha);
    assert_fails(FERR_NOT_FOUND,
                 store_artifact_put(f->s, &lease, "report.json", "application/json", sha, 6, &e));
    put_text(f->s, "{}", sha);
    assert_fails(FERR_INTERNAL,
                 store_artifact_put(f->s, &nobody, "report.json", "application/json", sha, 2, &e));
    assert_ok(store_artifact_put(f->s, &lease, "report.json", "application/json", sha, 2, &e));
    assert_ok(store_artifact_get(f->r, id, "report.json", &a, &e));
    assert_string_equal(a.name, "report.json");
    assert_string_equal(a.media_type, "application/json");
    assert_string_equal(a.sha, sha);
    assert_int_equal(a.size, 2);
    put_text(f->s, "{\"b\":2}", sha);
    assert_ok(store_artifact_put(f->s, &lease, "report.json", "text/plain", sha, 7, &e));
    assert_ok(store_artifact_get(f->r, id, "report.json", &a, &e));
    assert_string_equal(a.media_type, "text/plain");
    assert_int_equal(a.size, 7);
    assert_ok(append(f->s, &lease, id, EVENT_JOB_FAILED, NULL, &e));
    assert_fails(FERR_CONFLICT, store_artifact_put(f->s, &lease, "report.json", "text/plain", sha, 7, &e));
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static void step_make(struct fixture *f, struct store_step *step, const char *result)
{
    *step = (struct store_step){.n_out = 2, .out_names = {"given", "expected"}, .seconds = 1.25};
    store_sha256("inputs", 6, step->key);
    put_text(f->s, result, step->result_sha);
    put_text(f->s, "given", step->out_sha[0]);
    put_text(f->s, "expected", step->out_sha[1]);
}

static void test_steps(void **state)
{
    struct fixture *f = *state;
    struct store_step step, got;
    struct err err = {0};
    step_make(f, &step, "{\"ok\":true}");
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 0);
    assert_ok(store_step_put(f->s, &step, &e));
    fixture_reopen(f);
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 1);
    assert_string_equal(got.key, step.key);
    assert_string_equal(got.result_sha, step.result_sha);
    assert_true(got.seconds == 1.25);
    assert_int_equal(got.n_out, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(got.out_names[i], step.out_names[i]);
        assert_string_equal(got.out_sha[i], step.out_sha[i]);
    }
    step_make(f, &step, "{\"ok\":true,\"again\":true}");
    step.n_out = 0;
    assert_ok(store_step_put(f->s, &step, &e)); /* replaces, outputs too */
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 1);
    assert_string_equal(got.result_sha, step.result_sha);
    assert_int_equal(got.n_out, 0);
}

static void test_steps_want_their_blobs(void **state)
{
    struct fixture *f = *state;
    struct store_step step, got;
    struct err err = {0};
    char path[200], name[BLOB_PATH_SIZE];
    step_make(f, &step, "{}");
    store_sha256("absent", 6, step.out_sha[1]);
    assert_fails(FERR_NOT_FOUND, store_step_put(f->s, &step, &e));
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 0);
    step.n_out = 5;
    assert_fails(FERR_INTERNAL, store_step_put(f->s, &step, &e));
    step_make(f, &step, "{}");
    assert_ok(store_step_put(f->s, &step, &e));
    blob_path(step.out_sha[1], name);
    (void)snprintf(path, sizeof path, "%s/blobs/%s", f->dir, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 0); /* its blob is gone: not stored */
    step_make(f, &step, "{}");
    assert_ok(store_step_put(f->s, &step, &e));
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attempts), TEST(test_attempts_want_job_and_lease), TEST(test_artifacts),
        TEST(test_steps),    TEST(test_steps_want_their_blobs),
    };
    return cmocka_run_group_tests_name("store_results", tests, NULL, NULL);
}
