/*
 * test_sandbox.c: what the sandbox's C side makes of bytes and processes it cannot trust.
 *
 * No Python here: results are written as a hostile step could leave them, and the "zygote" is a
 * program that does not answer. Real zygotes are tested in tests/abuse.
 */
#include "workers/sandbox/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_LIMIT 4096

static const struct step_end ENDED_WELL = {.exited = true, .code = 0, .limit = STEP_NO_LIMIT};

static struct sandbox_step step_with(size_t n_out)
{
    return (struct sandbox_step){.name = "check",
                                 .n_out = n_out,
                                 .out_names = {"actual", "other", "third", "fourth"},
                                 .limits = {.wall_ms = 1500,
                                            .cpu_s = 3,
                                            .memory_bytes = 64 << 20,
                                            .processes = 7,
                                            .output_bytes = 10,
                                            .file_bytes = FILE_LIMIT}};
}

static int file_with(const char *text)
{
    int fd = fd_memfile("test", NULL);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* What a step that left `text` as its result comes to. */
static struct sandbox_result collect(const struct step_end *end, const char *text)
{
    struct sandbox_step step = step_with(0);
    struct sandbox_result out = {.out_fds = {-1, -1, -1, -1}};
    int none[4] = {-1, -1, -1, -1};
    int fd = file_with(text);
    step_collect(&step, end, fd, none, &out);
    fd_close(&fd);
    return out;
}

static void expect_reason(const struct step_end *end, const char *text, enum reason reason, const char *words)
{
    struct sandbox_result out = collect(end, text);
    assert_false(out.ok);
    assert_null(out.result);
    assert_string_equal(reason_name(out.reason), reason_name(reason));
    assert_non_null(strstr(out.detail, words));
    sandbox_result_fini(&out);
}

static void test_a_well_formed_result_is_taken(void **state)
{
    (void)state;
    struct sandbox_result out = collect(&ENDED_WELL, "{\"ok\": true, \"files\": [1, 2]}");
    assert_true(out.ok);
    assert_int_equal(json_array_size(json_object_get(out.result, "files")), 2);
    sandbox_result_fini(&out);
    out = collect(&ENDED_WELL,
                  "{\"ok\": false, \"error\": {\"code\": \"source_syntax\", \"message\": \"line 3\"}}");
    assert_true(out.ok);
    sandbox_result_fini(&out);
}

static void test_malformed_results_are_invalid(void **state)
{
    (void)state;
    static const char *const RESULTS[] = {
        "{",
        "[]",
        "null",
        "{}",
        "{\"ok\": 1}",
        "{\"ok\": true, \"ok\": true}",
        "{\"ok\": true} trailing",
        "{\"ok\": true, \"x\": NaN}",
        "{\"ok\": true, \"x\": 1e999}",
        "{\"ok\": true, \"x\": 99999999999999999999}",
        "{\"ok\": true, \"x\": \"\xff\"}",
        "{\"ok\": true, \"x\": \"\\ud800\"}",
        "{\"ok\": false}",
        "{\"ok\": false, \"error\": \"no\"}",
        "{\"ok\": false, \"error\": {\"code\": \"of my own\", \"message\": \"x\"}}",
        "{\"ok\": false, \"error\": {\"code\": \"source_error\", \"message\": 3}}",
    };
    for (size_t i = 0; i < sizeof RESULTS / sizeof *RESULTS; i++)
        expect_reason(&ENDED_WELL, RESULTS[i], REASON_RESULT_INVALID, "malformed");
}

static void test_deep_nesting_is_invalid(void **state)
{
    (void)state;
    char text[FILE_LIMIT];
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    expect_reason(&ENDED_WELL, text, REASON_RESULT_INVALID, "malformed");
}

static void test_the_way_a_step_ends_counts_first(void **state)
{
    (void)state;
    const char *good = "{\"ok\": true}";
    const struct step_end killed = {.exited = false, .code = 11, .limit = STEP_NO_LIMIT};
    const struct step_end status = {.exited = true, .code = 3, .limit = STEP_NO_LIMIT};
    expect_reason(&ENDED_WELL, "", REASON_STEP_CRASHED, "without a result");
    expect_reason(&killed, good, REASON_STEP_CRASHED, "signal 11");
    expect_reason(&status, good, REASON_STEP_CRASHED, "exit status 3");
}

static void test_limits_are_told_with_their_values(void **state)
{
    (void)state;
    static const struct {
        enum reason reason;
        const char *words;
    } LIMITS[] = {
        {REASON_LIMIT_WALL, "longer than 1.5 s"},
        {REASON_LIMIT_CPU, "3 s of CPU"},
        {REASON_LIMIT_MEMORY, "64 MiB"},
        {REASON_LIMIT_PROCESSES, "7 processes"},
        {REASON_LIMIT_OUTPUT, "printed more than 10"},
        {REASON_LIMIT_FILE_SIZE, "larger than 4096"},
    };
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++) {
        struct step_end end = {.exited = false, .code = 9, .limit = LIMITS[i].reason};
        expect_reason(&end, "{\"ok\": true}", LIMITS[i].reason, LIMITS[i].words);
    }
}

static void test_files_come_back_sealed(void **state)
{
    (void)state;
    struct sandbox_step step = step_with(2);
    struct sandbox_result out = {.out_fds = {-1, -1, -1, -1}};
    int fds[4] = {file_with("abc"), file_with(""), -1, -1};
    int result = file_with("{\"ok\": true}");
    step_collect(&step, &ENDED_WELL, result, fds, &out);
    assert_true(out.ok);
    assert_int_equal(fds[0], -1);
    assert_int_equal(write(out.out_fds[0], "x", 1), -1);
    assert_int_equal(ftruncate(out.out_fds[0], 0), -1);
    assert_int_equal(ftruncate(out.out_fds[1], 9), -1);
    fd_close(&result);
    sandbox_result_fini(&out);
    assert_int_equal(out.out_fds[0], -1);
}

static void expect_files_refused(int first, int second, enum reason reason)
{
    struct sandbox_step step = step_with(2);
    struct sandbox_result out = {.out_fds = {-1, -1, -1, -1}};
    int fds[4] = {first, second, -1, -1};
    int result = file_with("{\"ok\": true}");
    step_collect(&step, &ENDED_WELL, result, fds, &out);
    assert_false(out.ok);
    assert_string_equal(reason_name(out.reason), reason_name(reason));
    assert_int_equal(out.out_fds[0], -1);
    assert_int_equal(fds[0], -1);
    assert_int_equal(fds[1], -1);
    fd_close(&result);
    sandbox_result_fini(&out);
}

static void test_a_file_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    int large = file_with("");
    assert_int_equal(ftruncate(large, FILE_LIMIT + 1), 0);
    expect_files_refused(file_with("a"), large, REASON_LIMIT_FILE_SIZE);
}

/* A step may seal its file itself, so that ours can't be added. */
static void test_a_file_that_cannot_be_sealed_is_refused(void **state)
{
    (void)state;
    int sealed = file_with("a");
    assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_SEAL), 0);
    expect_files_refused(sealed, file_with("b"), REASON_RESULT_INVALID);
    int mapped = file_with("a");
    void *window = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
    assert_true(window != MAP_FAILED);
    expect_files_refused(mapped, file_with("b"), REASON_RESULT_INVALID);
    (void)munmap(window, 1);
}

static void test_what_is_sent_can_only_be_read(void **state)
{
    (void)state;
    int fd = fd_memfile_with("request", "hello", 5, NULL);
    char text[8] = "";
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, text, sizeof text, 0), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    fd_close(&fd);
}

static void test_output_is_cut_at_its_limit(void **state)
{
    (void)state;
    int pair[2];
    struct step_output output = {.most = 10};
    assert_int_equal(pipe2(pair, O_NONBLOCK), 0);
    assert_int_equal(step_output_read(&output, pair[0]), 1);
    assert_int_equal(write(pair[1], "abc\0def", 7), 7);
    assert_int_equal(step_output_read(&output, pair[0]), 1);
    assert_int_equal(write(pair[1], "ghij", 4), 4);
    assert_int_equal(step_output_read(&output, pair[0]), -1);
    (void)close(pair[1]);
    assert_int_equal(step_output_read(&output, pair[0]), 0);
    (void)close(pair[0]);
    char *text = step_output_finish(&output);
    assert_string_equal(text, "abc?defghi");
    free(text);
}

static void test_no_output_is_an_empty_text(void **state)
{
    (void)state;
    struct step_output output = {.most = 10};
    char *text = step_output_finish(&output);
    assert_string_equal(text, "");
    free(text);
}

/* A sandbox whose zygotes cannot start ---------------------------------------------------------- */

static void run_dry(uv_loop_t *loop)
{
    (void)uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void on_wake(uv_async_t *wake)
{
    (void)wake;
}

static struct sandbox *start(uv_loop_t *loop, const char *jail)
{
    struct sandbox_options options = {
        .jail = jail, .python = {"/nowhere", "/nowhere"}, .package_dir = "/nowhere"};
    struct sandbox *sandbox;
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(sandbox_new(&options, loop, &sandbox, NULL), 0);
    return sandbox;
}

static const char *part_state(const json_t *status)
{
    return json_string_value(json_object_get(json_object_get(status, "jax"), "state"));
}

/* One loop plays the main thread and the worker. */
static void expect_refusal(const char *jail, const char *words)
{
    uv_loop_t loop;
    uv_async_t wake;
    atomic_bool cancelled = false;
    struct worker_io io = {.loop = &loop, .wake = &wake, .cancelled = &cancelled};
    struct sandbox_step step = step_with(0);
    struct sandbox_result result;
    struct err e = {0};
    struct sandbox *sandbox = start(&loop, jail);

    (void)uv_async_init(&loop, &wake, on_wake);
    assert_int_equal(sandbox_run(sandbox, &io, &step, &result, &e), FERR_SANDBOX);
    assert_false(result.ok);
    assert_non_null(strstr(e.text, words));
    sandbox_result_fini(&result);
    assert_false(sandbox_ready(sandbox));
    json_t *status = sandbox_status(sandbox);
    assert_string_not_equal(part_state(status), "ready");
    json_decref(status);
    sandbox_stop(sandbox);
    uv_close((uv_handle_t *)&wake, NULL);
    run_dry(&loop);
    sandbox_free(sandbox);
}

static void test_a_jail_that_is_not_there_is_named(void **state)
{
    (void)state;
    expect_refusal("/nowhere/ferry-jail", "/nowhere/ferry-jail");
}

static void test_a_jail_that_fails_is_reported(void **state)
{
    (void)state;
    expect_refusal("/bin/false", "it ended without a word");
}

static void test_stopping_a_starting_sandbox_leaves_nothing(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct sandbox *sandbox = start(&loop, "/bin/sleep");
    sandbox_stop(sandbox);
    run_dry(&loop);
    sandbox_free(sandbox);
}

static void test_a_cancelled_worker_does_not_wait(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_async_t wake;
    atomic_bool cancelled = true;
    struct worker_io io = {.loop = &loop, .wake = &wake, .cancelled = &cancelled};
    struct sandbox_step step = step_with(0);
    struct sandbox_result result;
    struct sandbox *sandbox = start(&loop, "/bin/sleep");
    (void)uv_async_init(&loop, &wake, on_wake);
    assert_int_equal(sandbox_run(sandbox, &io, &step, &result, NULL), FERR_CANCELLED);
    sandbox_result_fini(&result);
    sandbox_stop(sandbox);
    uv_close((uv_handle_t *)&wake, NULL);
    run_dry(&loop);
    sandbox_free(sandbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_well_formed_result_is_taken),
        cmocka_unit_test(test_malformed_results_are_invalid),
        cmocka_unit_test(test_deep_nesting_is_invalid),
        cmocka_unit_test(test_the_way_a_step_ends_counts_first),
        cmocka_unit_test(test_limits_are_told_with_their_values),
        cmocka_unit_test(test_files_come_back_sealed),
        cmocka_unit_test(test_a_file_beyond_the_limit_is_refused),
        cmocka_unit_test(test_a_file_that_cannot_be_sealed_is_refused),
        cmocka_unit_test(test_what_is_sent_can_only_be_read),
        cmocka_unit_test(test_output_is_cut_at_its_limit),
        cmocka_unit_test(test_no_output_is_an_empty_text),
        cmocka_unit_test(test_a_jail_that_is_not_there_is_named),
        cmocka_unit_test(test_a_jail_that_fails_is_reported),
        cmocka_unit_test(test_stopping_a_starting_sandbox_leaves_nothing),
        cmocka_unit_test(test_a_cancelled_worker_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
