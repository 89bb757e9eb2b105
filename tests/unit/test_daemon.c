/*
 * test_daemon.c: the small parts below everything: errors, words, buffers, clocks and ids, logs, metrics.
 */
#include "daemon/buf.h"
#include "daemon/clock.h"
#include "daemon/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/vocab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void errors_carry_code_text_and_pointer(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_at(&e, FERR_INVALID_FIELD, "/inputs/0/shape", "axis %d is negative", 2),
                     FERR_INVALID_FIELD);
    assert_string_equal(e.text, "axis 2 is negative");
    assert_string_equal(e.pointer, "/inputs/0/shape");
    assert_int_equal(err_errno(&e, 2, "open %s", "x"), FERR_IO); /* 2 is ENOENT */
    assert_string_equal(e.text, "open x: No such file or directory");
    assert_int_equal(err_set(NULL, FERR_IO, "nobody listens"), FERR_IO);
}

static void errors_know_their_http_status(void **state)
{
    (void)state;
    assert_int_equal(ferr_http(FERR_JOB_NOT_FOUND), 404);
    assert_string_equal(ferr_code(FERR_TOO_LARGE), "too_large");
    assert_int_equal(ferr_http(FERR_TOO_LARGE), 413);
    assert_string_equal(ferr_code(17), "internal");
    assert_string_equal(ferr_code(-1000), "internal");
}

static void words_go_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(job_state_parse(job_state_name((enum job_state)i)), i);
    for (int i = 0; i < REASON_COUNT; i++)
        assert_int_equal(reason_parse(reason_name((enum reason)i)), i);
    for (int i = 0; i < STAGE_COUNT; i++)
        assert_int_equal(stage_parse(stage_name((enum stage)i)), i);
    for (int i = 0; i < EVENT_COUNT; i++)
        assert_int_equal(event_parse(event_name((enum event_type)i)), i);
    assert_int_equal(verdict_parse("equals"), -1);
    assert_int_equal(verdict_parse(NULL), -1);
}

static void a_limit_is_the_fault_of_whoever_ran(void **state)
{
    (void)state;
    assert_int_equal(reason_verdict(REASON_LIMIT_MEMORY, false), VERDICT_SOURCE_ERROR);
    assert_int_equal(reason_verdict(REASON_LIMIT_MEMORY, true), VERDICT_DIFFERS);
    assert_int_equal(reason_verdict(REASON_REFUSED, true), VERDICT_REFUSED);
}

static void the_contract_has_fourteen_stages_in_order(void **state)
{
    (void)state;
    assert_int_equal(STAGE_COUNT, 14);
    assert_string_equal(stage_name((enum stage)0), "parse");
    assert_string_equal(stage_name((enum stage)13), "worst_case");
}

static void buffers_grow_to_their_maximum_only(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 600);
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "%010d", i);
    assert_false(buf_failed(&b));
    assert_int_equal(b.len, 600);
    buf_puts(&b, "x");
    assert_true(buf_failed(&b));
    assert_int_equal(b.len, 600);
    buf_clear(&b);
    buf_puts(&b, "again");
    size_t len;
    char *text = buf_take(&b, &len);
    assert_string_equal(text, "again");
    assert_int_equal(len, 5);
    free(text);
    buf_fini(&b);
}

static void an_empty_buffer_can_be_taken(void **state)
{
    (void)state;
    struct buf b;
    size_t len = 7;
    buf_init(&b, 10);
    char *text = buf_take(&b, &len);
    assert_string_equal(text, "");
    assert_int_equal(len, 0);
    free(text);
}

static void times_print_as_rfc3339(void **state)
{
    (void)state;
    char out[CLOCK_RFC3339_SIZE];
    assert_string_equal(clock_rfc3339(0, out), "1970-01-01T00:00:00.000000Z");
    /* 1709210096 is 2024-02-29T12:34:56Z (date -u -d @1709210096) */
    assert_string_equal(clock_rfc3339(1709210096000042, out), "2024-02-29T12:34:56.000042Z");
}

static void job_ids_rise_and_are_valid(void **state)
{
    (void)state;
    char last[JOB_ID_SIZE] = "", id[JOB_ID_SIZE];
    for (int i = 0; i < 5000; i++) {
        job_id_new(id);
        assert_int_equal(strlen(id), 30);
        assert_true(job_id_valid(id));
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof last);
    }
    assert_false(job_id_valid("job_nope"));
    assert_false(job_id_valid("job_01ARZ3NDEKTSV4RRFFQ69G5FAU")); /* U is not in the alphabet */
    assert_false(job_id_valid("jab_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
}

/* Runs `fn` with stderr going to `out`. */
static void with_stderr(void (*fn)(void), char *out, size_t size)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
    fn();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(fds[1]);
    ssize_t n = read(fds[0], out, size - 1);
    close(fds[0]);
    out[n > 0 ? n : 0] = '\0';
}

static void say_something(void)
{
    log_info("job", "step \"x\" done", "job_id", "job_1", "text", "a\nb = c", "none", (const char *)NULL);
    log_debug("job", "not shown");
    log_set_level(LOG_LEVEL_ERROR);
    log_info("job", "not shown");
    log_notice("main", "ready");
    log_set_level(LOG_LEVEL_INFO);
}

static void log_lines_are_one_line_each(void **state)
{
    (void)state;
    char line[4200];
    with_stderr(say_something, line, sizeof line);
    assert_non_null(
        strstr(line, "Z info job msg=\"step \\\"x\\\" done\" job_id=job_1 text=\"a\\nb = c\" none=\"\"\n"));
    assert_null(strstr(line, "not shown"));
    char *second = strchr(line, '\n') + 1;
    assert_non_null(strstr(second, "Z notice main msg=ready\n"));
    assert_ptr_equal(strchr(second, '\n'), line + strlen(line) - 1);
}

static void say_too_much(void)
{
    static char big[9000];
    memset(big, 'y', sizeof big - 1);
    log_info("job", big);
}

static void long_log_lines_are_cut(void **state)
{
    (void)state;
    char line[9000];
    with_stderr(say_too_much, line, sizeof line);
    assert_int_equal(strlen(line), 4096);
    assert_int_equal(line[4095], '\n');
}

static void metrics_render_every_slot(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    metric_add(METRIC_JOBS_FINISHED, VERDICT_EQUAL, 2);
    metric_set(METRIC_UPTIME_SECONDS, 0, 5);
    metrics_render(&b);
    assert_non_null(strstr(b.data, "# TYPE ferryd_jobs_finished_total counter\n"));
    assert_non_null(strstr(b.data, "ferryd_jobs_finished_total{verdict=\"equal\"} 2\n"));
    assert_non_null(strstr(b.data, "ferryd_jobs_finished_total{verdict=\"source_error\"} 0\n"));
    assert_non_null(strstr(b.data, "ferryd_uptime_seconds 5\n"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_code_text_and_pointer),
        cmocka_unit_test(errors_know_their_http_status),
        cmocka_unit_test(words_go_both_ways),
        cmocka_unit_test(a_limit_is_the_fault_of_whoever_ran),
        cmocka_unit_test(the_contract_has_fourteen_stages_in_order),
        cmocka_unit_test(buffers_grow_to_their_maximum_only),
        cmocka_unit_test(an_empty_buffer_can_be_taken),
        cmocka_unit_test(times_print_as_rfc3339),
        cmocka_unit_test(job_ids_rise_and_are_valid),
        cmocka_unit_test(log_lines_are_one_line_each),
        cmocka_unit_test(long_log_lines_are_cut),
        cmocka_unit_test(metrics_render_every_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
