/*
 * test_store_jobs.c: jobs in a real file: creating, claiming, appending, cancelling, recovering, deleting,
 * listing.
 */
#include "test_store.h"

static void test_create_and_get(void **state)
{
    struct fixture *f = *state;
    struct store_job_new job = {.name = "a", .entry = "model:Net", .engine = ENGINE_BUILTIN, .priority = -3};
    struct store_job j;
    job_id_new(job.id);
    put_text(f->s, "{}", job.request_sha);
    job.labels = json_pack("{s:s}", "team", "vision");
    assert_ok(job_create_as(f->s, &job, &e));
    assert_ok(store_job_get(f->r, job.id, &j, &e));
    assert_string_equal(j.id, job.id);
    assert_string_equal(j.name, "a");
    assert_string_equal(j.entry, "model:Net");
    assert_int_equal(j.engine, ENGINE_BUILTIN);
    assert_int_equal(j.state, JOB_STATE_QUEUED);
    assert_int_equal(j.priority, -3);
    assert_int_equal(j.step, -1);
    assert_int_equal(j.version, 1);
    assert_int_equal(j.started_us, 0);
    assert_true(j.created_us > 0);
    assert_true(json_equal(j.labels, job.labels));
    assert_null(j.result);
    assert_string_equal(j.request_sha, job.request_sha);
    assert_row_is_fold(f->r, &j);
    store_job_fini(&j);
    assert_fails(FERR_CONFLICT, job_create_as(f->s, &job, &e)); /* the same id again */
    json_decref(job.labels);
}

static void test_create_wants_its_request(void **state)
{
    struct fixture *f = *state;
    struct store_job_new job = {.name = NULL};
    struct store_job j;
    job_id_new(job.id);
    store_sha256("never put", 9, job.request_sha);
    assert_fails(FERR_NOT_FOUND, job_create_as(f->s, &job, &e));
    assert_fails(FERR_JOB_NOT_FOUND, store_job_get(f->r, job.id, &j, &e));
    job.request_sha[0] = '\0';
    assert_fails(FERR_NOT_FOUND, job_create_as(f->s, &job, &e));
    (void)snprintf(job.id, sizeof job.id, "job_1");
    assert_fails(FERR_INTERNAL, store_job_create(f->s, &job, NULL, NULL, &e));
}

static void test_claims_go_by_priority_then_age(void **state)
{
    struct fixture *f = *state;
    char ids[4][JOB_ID_SIZE];
    static const int PRIORITY[4] = {0, 5, 0, 5};
    static const int ORDER[4] = {1, 3, 0, 2};
    struct store_lease lease;
    for (int i = 0; i < 4; i++)
        job_create(f->s, PRIORITY[i], ids[i]);
    for (int i = 0; i < 4; i++) {
        claim(f->s, &lease);
        assert_string_equal(lease.job_id, ids[ORDER[i]]);
        assert_int_equal(lease.token, 1);
        assert_int_equal(job_state_of(f->r, lease.job_id), JOB_STATE_RUNNING);
    }
    struct err e = {0};
    assert_int_equal(store_job_claim(f->s, &lease, &e), 0);
    assert_int_equal(assert_rows_are_folds(f->r), 4);
}

static void test_append_folds_and_finishes(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_job j;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    json_t *started = json_pack("{s:s, s:i, s:i}", "step", "inspect", "done", 1, "total", 8);
    json_t *finished = json_pack("{s:s, s:f, s:b}", "step", "inspect", "seconds", 0.25, "cached", 0);
    struct store_event_new events[] = {{EVENT_STEP_STARTED, started}, {EVENT_STEP_FINISHED, finished}};
    assert_ok(store_append_wait(f->s, &lease, id, events, 2, &e));
    json_decref(started);
    json_decref(finished);
    json_t *data = json_pack("{s:{s:s}, s:{s:f}}", "result", "verdict", "equal", "usage", "seconds", 2.5);
    assert_ok(append(f->s, &lease, id, EVENT_JOB_SUCCEEDED, data, &e));
    assert_ok(store_job_get(f->r, id, &j, &e));
    assert_int_equal(j.state, JOB_STATE_SUCCEEDED);
    assert_int_equal(j.step, STEP_INSPECT);
    assert_int_equal(j.steps_done, 2);
    assert_int_equal(j.version, 5);
    assert_string_equal(json_string_value(json_object_get(j.result, "verdict")), "equal");
    assert_true(json_real_value(json_object_get(j.usage, "seconds")) == 2.5);
    assert_true(j.finished_us >= j.started_us && j.started_us >= j.created_us);
    assert_row_is_fold(f->r, &j);
    store_job_fini(&j);
    assert_fails(FERR_CONFLICT, append(f->s, NULL, id, EVENT_JOB_CANCELLING, NULL, &e));
    assert_fails(FERR_CONFLICT, append(f->s, &lease, id, EVENT_ATTEMPT_CHECKED, NULL, &e));
}

static void test_a_refused_append_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_job j;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    struct store_event_new events[] = {{EVENT_ATTEMPT_CHECKED, NULL}, {EVENT_JOB_STARTED, NULL}};
    assert_fails(FERR_CONFLICT, store_append_wait(f->s, &lease, id, events, 2, &e));
    assert_ok(store_job_get(f->r, id, &j, &e));
    assert_int_equal(j.version, 2);
    assert_row_is_fold(f->r, &j);
    store_job_fini(&j);
    assert_fails(FERR_INTERNAL, store_append_wait(f->s, &lease, id, events, 0, &e));
    assert_fails(FERR_INVALID_FIELD, append(f->s, &lease, id, EVENT_STEP_STARTED, NULL, &e));
    assert_fails(FERR_JOB_NOT_FOUND, append(f->s, NULL, "job_nonsense", EVENT_JOB_CANCELLING, NULL, &e));
    job_id_new(id);
    assert_fails(FERR_JOB_NOT_FOUND, append(f->s, NULL, id, EVENT_JOB_CANCELLING, NULL, &e));
}

static void test_leases_are_asked_for(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE], other[JOB_ID_SIZE];
    struct store_lease lease, again, wrong;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    job_create(f->s, 0, other);
    wrong = lease;
    wrong.token++;
    assert_fails(FERR_CONFLICT, append(f->s, &wrong, id, EVENT_ATTEMPT_CHECKED, NULL, &e));
    assert_fails(FERR_CONFLICT, append(f->s, &lease, other, EVENT_JOB_CANCELLED, NULL, &e));
    assert_ok(store_job_release(f->s, &lease, &e));
    assert_int_equal(job_state_of(f->r, id), JOB_STATE_QUEUED);
    assert_fails(FERR_CONFLICT, append(f->s, &lease, id, EVENT_ATTEMPT_CHECKED, NULL, &e));
    assert_fails(FERR_CONFLICT, store_job_release(f->s, &lease, &e));
    claim(f->s, &again); /* the older one */
    assert_string_equal(again.job_id, id);
    assert_int_equal(again.token, 2);
    assert_fails(FERR_CONFLICT, append(f->s, &lease, id, EVENT_ATTEMPT_CHECKED, NULL, &e));
    assert_ok(append(f->s, &again, id, EVENT_ATTEMPT_CHECKED, NULL, &e));
    struct store_lease none = {.token = 0};
    assert_fails(FERR_INTERNAL, store_job_release(f->s, &none, &e));
    (void)assert_rows_are_folds(f->r);
}

static void test_resumed_says_so(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_event *events = NULL;
    size_t n = 0;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    assert_ok(store_job_release(f->s, &lease, &e));
    claim(f->s, &lease);
    assert_ok(store_event_list(f->r, id, 1, 100, &events, &n, &e));
    assert_int_equal(n, 3);
    assert_int_equal(events[0].type, EVENT_JOB_STARTED);
    assert_int_equal(events[1].type, EVENT_JOB_QUEUED);
    assert_string_equal(events[1].data, "{\"reason\":\"released\"}");
    assert_int_equal(events[2].type, EVENT_JOB_RESUMED);
    store_events_free(events, n);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    char waiting[JOB_ID_SIZE], running[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_job j;
    job_create(f->s, 1, running);
    claim(f->s, &lease);
    job_create(f->s, 0, waiting);
    assert_ok(append(f->s, NULL, waiting, EVENT_JOB_CANCELLING, NULL, &e));
    assert_int_equal(job_state_of(f->r, waiting), JOB_STATE_CANCELLED);
    assert_ok(append(f->s, NULL, running, EVENT_JOB_CANCELLING, NULL, &e));
    assert_ok(append(f->s, NULL, running, EVENT_JOB_CANCELLING, NULL, &e));
    assert_ok(store_job_get(f->r, running, &j, &e));
    assert_int_equal(j.state, JOB_STATE_CANCELLING);
    assert_int_equal(j.version, 3); /* the second wish changed nothing */
    store_job_fini(&j);
    assert_ok(append(f->s, &lease, running, EVENT_JOB_CANCELLED, NULL, &e));
    assert_int_equal(job_state_of(f->r, running), JOB_STATE_CANCELLED);
    (void)assert_rows_are_folds(f->r);
}

static void test_a_cancelling_job_is_not_queued_again(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    assert_ok(append(f->s, NULL, id, EVENT_JOB_CANCELLING, NULL, &e));
    assert_ok(store_job_release(f->s, &lease, &e));
    assert_int_equal(job_state_of(f->r, id), JOB_STATE_CANCELLED);
}

static void test_recover(void **state)
{
    struct fixture *f = *state;
    char ids[4][JOB_ID_SIZE];
    struct store_lease lease[3];
    struct err err = {0};
    for (int i = 0; i < 4; i++)
        job_create(f->s, 0, ids[i]);
    for (int i = 0; i < 3; i++)
        claim(f->s, &lease[i]);
    assert_ok(append(f->s, NULL, ids[1], EVENT_JOB_CANCELLING, NULL, &e));
    assert_ok(append(f->s, &lease[2], ids[2], EVENT_JOB_FAILED, NULL, &e));
    assert_int_equal(store_jobs_recover(f->s, &err), 0); /* this boot's own leases stay */
    char boot[BOOT_ID_SIZE];
    memcpy(boot, store_boot_id(f->s), sizeof boot);
    fixture_reopen(f);
    assert_string_not_equal(boot, store_boot_id(f->s));
    assert_int_equal(store_jobs_recover(f->s, &err), 2);
    assert_int_equal(store_jobs_recover(f->s, &err), 0);
    assert_int_equal(job_state_of(f->r, ids[0]), JOB_STATE_QUEUED);
    assert_int_equal(job_state_of(f->r, ids[1]), JOB_STATE_CANCELLED);
    assert_int_equal(job_state_of(f->r, ids[2]), JOB_STATE_FAILED);
    assert_int_equal(job_state_of(f->r, ids[3]), JOB_STATE_QUEUED);
    assert_fails(FERR_CONFLICT, append(f->s, &lease[0], ids[0], EVENT_ATTEMPT_CHECKED, NULL, &e));
    claim(f->s, &lease[0]);
    assert_string_equal(lease[0].job_id, ids[0]);
    assert_int_equal(lease[0].token, 2);
    assert_int_equal(assert_rows_are_folds(f->r), 4);
}

static void test_delete(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_event *events = NULL;
    size_t n = 0;
    job_create(f->s, 0, id);
    assert_fails(FERR_CONFLICT, job_delete(f->s, id, &e));
    claim(f->s, &lease);
    assert_fails(FERR_CONFLICT, job_delete(f->s, id, &e));
    assert_ok(append(f->s, &lease, id, EVENT_JOB_FAILED, NULL, &e));
    assert_ok(job_delete(f->s, id, &e));
    assert_fails(FERR_JOB_NOT_FOUND, store_event_list(f->r, id, 0, 10, &events, &n, &e));
    assert_fails(FERR_JOB_NOT_FOUND, job_delete(f->s, id, &e));
    assert_fails(FERR_JOB_NOT_FOUND, store_job_delete(f->s, "../etc", NULL, NULL, &e));
}

static void test_events_cannot_be_changed(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    job_create(f->s, 0, id);
    char change[] = "UPDATE events SET data = '{}'", delete[] = "DELETE FROM events";
    assert_fails(FERR_STORE, on_writer(f->s, exec_sql, change, &e));
    assert_fails(FERR_STORE, on_writer(f->s, exec_sql, delete, &e));
    assert_fails(FERR_STORE, db_exec(&f->r->db, "DELETE FROM jobs", &e)); /* readers are read-only */
    assert_int_equal(assert_rows_are_folds(f->r), 1);
}

static void test_list_pages_and_states(void **state)
{
    struct fixture *f = *state;
    char ids[5][JOB_ID_SIZE];
    struct store_lease lease;
    struct store_job *jobs = NULL;
    size_t n = 0;
    int64_t counts[JOB_STATE_COUNT];
    for (int i = 0; i < 5; i++)
        job_create(f->s, 0, ids[i]);
    claim(f->s, &lease);
    struct store_job_filter page = {.state = -1, .limit = 3};
    assert_ok(store_job_list(f->r, &page, &jobs, &n, &e));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(jobs[i].id, ids[4 - i]);
        store_job_fini(&jobs[i]);
    }
    free(jobs);
    page.before_id = ids[2];
    assert_ok(store_job_list(f->r, &page, &jobs, &n, &e));
    assert_int_equal(n, 2);
    assert_string_equal(jobs[0].id, ids[1]);
    for (size_t i = 0; i < n; i++)
        store_job_fini(&jobs[i]);
    free(jobs);
    struct store_job_filter running = {.state = JOB_STATE_RUNNING, .limit = 1000};
    assert_ok(store_job_list(f->r, &running, &jobs, &n, &e));
    assert_int_equal(n, 1);
    assert_string_equal(jobs[0].id, ids[0]);
    store_job_fini(&jobs[0]);
    free(jobs);
    running.limit = 0;
    assert_fails(FERR_INTERNAL, store_job_list(f->r, &running, &jobs, &n, &e));
    assert_ok(store_job_counts(f->r, counts, &e));
    assert_int_equal(counts[JOB_STATE_QUEUED], 4);
    assert_int_equal(counts[JOB_STATE_RUNNING], 1);
    assert_int_equal(counts[JOB_STATE_FAILED], 0);
}

static void test_event_list_after_and_limit(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_event *events = NULL;
    size_t n = 0;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    for (int i = 0; i < 20; i++)
        assert_ok(append(f->s, &lease, id, EVENT_ATTEMPT_CHECKED, json_pack("{s:i}", "i", i), &e));
    assert_ok(store_event_list(f->r, id, 5, 3, &events, &n, &e));
    assert_int_equal(n, 3);
    assert_int_equal(events[0].seq, 6);
    assert_string_equal(events[0].data, "{\"i\":3}");
    assert_true(events[2].at_us >= events[0].at_us);
    store_events_free(events, n);
    assert_ok(store_event_list(f->r, id, 22, 3, &events, &n, &e));
    assert_int_equal(n, 0);
    store_events_free(events, n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_get),
        TEST(test_create_wants_its_request),
        TEST(test_claims_go_by_priority_then_age),
        TEST(test_append_folds_and_finishes),
        TEST(test_a_refused_append_leaves_nothing),
        TEST(test_leases_are_asked_for),
        TEST(test_resumed_says_so),
        TEST(test_cancel),
        TEST(test_a_cancelling_job_is_not_queued_again),
        TEST(test_recover),
        TEST(test_delete),
        TEST(test_events_cannot_be_changed),
        TEST(test_list_pages_and_states),
        TEST(test_event_list_after_and_limit),
    };
    return cmocka_run_group_tests_name("store_jobs", tests, NULL, NULL);
}
