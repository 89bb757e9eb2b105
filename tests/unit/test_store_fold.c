/*
 * test_store_fold.c: the state machine of a job, without a database.
 */
#include "test_store.h"

/* Folds a fresh event into the row; `data` is a new reference or NULL. Returns the code. */
static int fold(struct fold_row *row, enum event_type type, json_t *data)
{
    struct fold_event ev;
    struct err e = {0};
    int rc = fold_event_init(&ev, type, data, &e);
    json_decref(data);
    if (rc < 0)
        return rc;
    ev.seq = row->version + 1;
    ev.at_us = 1000 * ev.seq;
    rc = fold_apply(row, &ev, &e);
    row->result = row->usage = NULL; /* borrowed from `ev` */
    fold_event_fini(&ev);
    return rc;
}

static void test_a_whole_life(void **state)
{
    (void)state;
    struct fold_row row;
    fold_row_init(&row);
    assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), 0);
    assert_int_equal(row.state, JOB_STATE_QUEUED);
    assert_int_equal(row.created_us, 1000);
    assert_int_equal(fold(&row, EVENT_JOB_STARTED, NULL), 0);
    assert_int_equal(row.started_us, 2000);
    json_t *started = json_pack("{s:s, s:i, s:i}", "step", "capture", "done", 2, "total", 8);
    assert_int_equal(fold(&row, EVENT_STEP_STARTED, started), 0);
    assert_int_equal(row.step, STEP_CAPTURE);
    assert_int_equal(row.steps_done, 2);
    assert_int_equal(
        fold(&row, EVENT_STEP_FINISHED, json_pack("{s:s, s:f}", "step", "capture", "seconds", 0.5)), 0);
    assert_int_equal(row.steps_done, 3);
    assert_int_equal(fold(&row, EVENT_ATTEMPT_CREATED, json_pack("{s:i}", "n", 4)), 0);
    assert_int_equal(row.attempt, 4);
    assert_int_equal(fold(&row, EVENT_JOB_SUCCEEDED, json_pack("{s:{}, s:i}", "result", "attempt", 3)), 0);
    assert_int_equal(row.state, JOB_STATE_SUCCEEDED);
    assert_int_equal(row.attempt, 3);
    assert_int_equal(row.finished_us, 6000);
    assert_int_equal(row.version, 6);
}

static void test_given_back_and_resumed(void **state)
{
    (void)state;
    struct fold_row row;
    fold_row_init(&row);
    assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), 0);
    assert_int_equal(fold(&row, EVENT_JOB_STARTED, NULL), 0);
    assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), 0);
    assert_int_equal(row.state, JOB_STATE_QUEUED);
    assert_int_equal(fold(&row, EVENT_JOB_RESUMED, NULL), 0);
    assert_int_equal(row.state, JOB_STATE_RUNNING);
    assert_int_equal(row.started_us, 2000);
    assert_int_equal(row.created_us, 1000);
}

static void test_steps_done_never_passes_total(void **state)
{
    (void)state;
    struct fold_row row;
    fold_row_init(&row);
    assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), 0);
    assert_int_equal(fold(&row, EVENT_JOB_STARTED, NULL), 0);
    assert_int_equal(fold(&row, EVENT_STEP_STARTED,
                          json_pack("{s:s, s:i, s:i}", "step", "deliver", "done", 8, "total", 8)),
                     0);
    assert_int_equal(fold(&row, EVENT_STEP_FINISHED, json_pack("{s:s}", "step", "deliver")), 0);
    assert_int_equal(row.steps_done, 8);
}

static json_t *valid_data(enum event_type type)
{
    switch (type) {
    case EVENT_STEP_STARTED:
        return json_pack("{s:s, s:i, s:i}", "step", "check", "done", 0, "total", 8);
    case EVENT_STEP_FINISHED:
        return json_pack("{s:s}", "step", "check");
    case EVENT_ATTEMPT_CREATED:
        return json_pack("{s:i}", "n", 1);
    default:
        return NULL;
    }
}

static void test_final_jobs_take_nothing(void **state)
{
    (void)state;
    static const enum event_type ENDS[] = {EVENT_JOB_SUCCEEDED, EVENT_JOB_FAILED, EVENT_JOB_CANCELLED};
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        struct fold_row row;
        fold_row_init(&row);
        assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), 0);
        assert_int_equal(fold(&row, EVENT_JOB_STARTED, NULL), 0);
        assert_int_equal(fold(&row, ENDS[i], NULL), 0);
        struct fold_row before = row;
        for (int type = 0; type < EVENT_COUNT; type++)
            assert_int_equal(fold(&row, (enum event_type)type, valid_data((enum event_type)type)),
                             FERR_CONFLICT);
        assert_memory_equal(&before, &row, sizeof row);
    }
}

static void test_a_new_job_takes_only_queued(void **state)
{
    (void)state;
    for (int type = 0; type < EVENT_COUNT; type++) {
        struct fold_row row;
        fold_row_init(&row);
        int want = type == EVENT_JOB_QUEUED ? 0 : FERR_CONFLICT;
        assert_int_equal(fold(&row, (enum event_type)type, valid_data((enum event_type)type)), want);
    }
}

static void test_cancelling_still_may_succeed(void **state)
{
    (void)state;
    struct fold_row row;
    fold_row_init(&row);
    assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), 0);
    assert_int_equal(fold(&row, EVENT_JOB_STARTED, NULL), 0);
    assert_int_equal(fold(&row, EVENT_JOB_CANCELLING, NULL), 0);
    assert_int_equal(row.state, JOB_STATE_CANCELLING);
    assert_int_equal(fold(&row, EVENT_JOB_QUEUED, NULL), FERR_CONFLICT);
    assert_int_equal(fold(&row, EVENT_JOB_SUCCEEDED, NULL), 0);
}

static void assert_refused(enum event_type type, const char *json)
{
    struct fold_event ev;
    json_t *data = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(data);
    assert_fails(FERR_INVALID_FIELD, fold_event_init(&ev, type, data, &e));
    json_decref(data);
}

static void test_bad_data_is_refused(void **state)
{
    (void)state;
    assert_refused(EVENT_JOB_QUEUED, "[]");
    assert_refused(EVENT_JOB_STARTED, "\"x\"");
    assert_refused(EVENT_STEP_STARTED, "{}");
    assert_refused(EVENT_STEP_STARTED, "{\"step\": \"nap\", \"done\": 0, \"total\": 8}");
    assert_refused(EVENT_STEP_STARTED, "{\"step\": \"check\", \"done\": 0}");
    assert_refused(EVENT_STEP_STARTED, "{\"step\": \"check\", \"done\": 9, \"total\": 8}");
    assert_refused(EVENT_STEP_STARTED, "{\"step\": \"check\", \"done\": -1, \"total\": 8}");
    assert_refused(EVENT_STEP_STARTED, "{\"step\": \"check\", \"done\": 0, \"total\": 4294967296}");
    assert_refused(EVENT_STEP_STARTED, "{\"step\": \"check\", \"done\": 0.5, \"total\": 8}");
    assert_refused(EVENT_STEP_FINISHED, "{\"step\": 3}");
    assert_refused(EVENT_STEP_FINISHED, "{\"step\": \"check\", \"key\": \"abc\"}");
    assert_refused(EVENT_ATTEMPT_CREATED, "{}");
    assert_refused(EVENT_ATTEMPT_CREATED, "{\"n\": 0}");
    assert_refused(EVENT_JOB_FAILED, "{\"result\": []}");
    assert_refused(EVENT_JOB_FAILED, "{\"attempt\": \"1\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_life),
        cmocka_unit_test(test_given_back_and_resumed),
        cmocka_unit_test(test_steps_done_never_passes_total),
        cmocka_unit_test(test_final_jobs_take_nothing),
        cmocka_unit_test(test_a_new_job_takes_only_queued),
        cmocka_unit_test(test_cancelling_still_may_succeed),
        cmocka_unit_test(test_bad_data_is_refused),
    };
    return cmocka_run_group_tests_name("store_fold", tests, NULL, NULL);
}
