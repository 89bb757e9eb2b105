/*
 * test_store_blobs.c: blobs as files, and that they go when, and only when, nothing names them.
 */
#include "test_store.h"

#include "store/sha256.h"

#include <sys/mman.h>

#define SHORT_US 300000

/* FIPS 180-4's examples. */
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static int setup_grace(void **state, int64_t grace_us)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_dir(f->dir);
    fixture_open(f, grace_us);
    *state = f;
    return 0;
}

static int setup_short(void **state)
{
    return setup_grace(state, SHORT_US);
}

static int setup_none(void **state)
{
    return setup_grace(state, 1);
}

static void test_sha256(void **state)
{
    (void)state;
    char sha[STORE_SHA_SIZE];
    store_sha256("abc", 3, sha);
    assert_string_equal(sha, SHA_ABC);
    store_sha256(NULL, 0, sha);
    assert_string_equal(sha, SHA_EMPTY);
    assert_true(sha256_valid(sha));
    assert_false(sha256_valid(""));
    assert_false(sha256_valid("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
    assert_false(sha256_valid(SHA_ABC "0"));
}

static void test_put_and_read(void **state)
{
    struct fixture *f = *state;
    char sha[STORE_SHA_SIZE], *data = NULL;
    size_t len = 0;
    for (int i = 0; i < 2; i++) { /* idempotent */
        assert_ok(store_blob_put(f->s, "abc", 3, sha, &e));
        assert_string_equal(sha, SHA_ABC);
    }
    assert_ok(store_blob_read(f->s, sha, &data, &len, &e));
    assert_int_equal(len, 3);
    assert_string_equal(data, "abc");
    free(data);
    assert_ok(store_blob_put(f->s, NULL, 0, sha, &e));
    assert_ok(store_blob_read(f->s, SHA_EMPTY, &data, &len, &e));
    assert_int_equal(len, 0);
    assert_string_equal(data, "");
    free(data);
}

static void test_put_fd_reads_from_the_start(void **state)
{
    struct fixture *f = *state;
    size_t len = 1000003;
    char *bytes = malloc(len), sha[STORE_SHA_SIZE], want[STORE_SHA_SIZE];
    int64_t size = 0;
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 31 % 251);
    store_sha256(bytes, len, want);
    int fd = memfd_create("tensors", MFD_CLOEXEC), opened = -1;
    assert_int_equal(write(fd, bytes, len), len); /* leaves the offset at the end */
    for (int i = 0; i < 2; i++) {
        assert_ok(store_blob_put_fd(f->s, fd, sha, &size, &e));
        assert_string_equal(sha, want);
        assert_int_equal(size, len);
    }
    size = 0;
    assert_ok(store_blob_open(f->s, sha, &opened, &size, &e));
    assert_int_equal(size, len);
    char *back = malloc(len);
    assert_int_equal(read(opened, back, len), len);
    assert_memory_equal(back, bytes, len);
    (void)close(opened);
    (void)close(fd);
    free(back);
    free(bytes);
    assert_fails(FERR_IO, store_blob_put_fd(f->s, -1, sha, &size, &e));
}

static void test_absent_and_badly_named(void **state)
{
    struct fixture *f = *state;
    static const char *const NAMES[] = {SHA_ABC, "", "abc", "../../../../../../etc/passwd", SHA_ABC "0"};
    int fd = -1;
    int64_t size = 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        assert_fails(FERR_NOT_FOUND, store_blob_open(f->s, NAMES[i], &fd, &size, &e));
        assert_fails(FERR_NOT_FOUND, blob_check(f->s, NAMES[i], &e));
        assert_fails(FERR_NOT_FOUND, blob_touch(f->s, NAMES[i], &e));
    }
}

static void test_damage_is_noticed(void **state)
{
    struct fixture *f = *state;
    char sha[STORE_SHA_SIZE], path[200], name[BLOB_PATH_SIZE], *data = NULL;
    size_t len = 0;
    put_text(f->s, "precious", sha);
    blob_path(sha, name);
    (void)snprintf(path, sizeof path, "%s/blobs/%s", f->dir, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fputc('P', file), 'P');
    assert_int_equal(fclose(file), 0);
    assert_fails(FERR_STORE, store_blob_read(f->s, sha, &data, &len, &e));
}

static void test_leftovers_of_a_crash_go(void **state)
{
    struct fixture *f = *state;
    char tmp[200], sha[STORE_SHA_SIZE], kept[STORE_SHA_SIZE], id[JOB_ID_SIZE];
    job_create(f->s, 0, id);
    store_sha256("{\"a\":1}", 7, kept); /* job_create()'s request */
    put_text(f->s, "named by nothing", sha);
    (void)snprintf(tmp, sizeof tmp, "%s/blobs/tmp/half", f->dir);
    int fd = open(tmp, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    fixture_close(f);
    fixture_open(f, 1);
    assert_int_equal(access(tmp, F_OK), -1);
    assert_true(blob_goes(f, sha));
    assert_true(blob_there(f, kept));
}

static void test_young_blobs_stay(void **state)
{
    struct fixture *f = *state; /* the usual grace of two minutes */
    char sha[STORE_SHA_SIZE];
    put_text(f->s, "its row comes in a moment", sha);
    fixture_reopen(f);
    (void)usleep(200000); /* the sweep of the start finds it */
    blob_remove(f->s, sha);
    assert_true(blob_there(f, sha));
}

static void test_putting_makes_young(void **state)
{
    struct fixture *f = *state;
    char sha[STORE_SHA_SIZE], path[200], name[BLOB_PATH_SIZE];
    static const struct timespec LONG_AGO[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    put_text(f->s, "old", sha);
    blob_path(sha, name);
    (void)snprintf(path, sizeof path, "%s/blobs/%s", f->dir, name);
    assert_int_equal(utimensat(AT_FDCWD, path, LONG_AGO, 0), 0);
    put_text(f->s, "old", sha);
    blob_remove(f->s, sha);
    assert_true(blob_there(f, sha));
    assert_int_equal(utimensat(AT_FDCWD, path, LONG_AGO, 0), 0);
    blob_remove(f->s, sha);
    assert_false(blob_there(f, sha));
}

static void put_artifact(struct fixture *f, const struct store_lease *lease, const char *name,
                         const char *text, char sha[STORE_SHA_SIZE])
{
    put_text(f->s, text, sha);
    assert_ok(store_artifact_put(f->s, lease, name, "text/plain", sha, (int64_t)strlen(text), &e));
}

static void test_deleting_a_job_removes_its_blobs_only(void **state)
{
    struct fixture *f = *state;
    char a[JOB_ID_SIZE], b[JOB_ID_SIZE], own[STORE_SHA_SIZE], shared[STORE_SHA_SIZE], request[STORE_SHA_SIZE];
    struct store_lease lease_a, lease_b;
    job_create(f->s, 1, a);
    claim(f->s, &lease_a);
    job_create(f->s, 0, b);
    claim(f->s, &lease_b);
    put_artifact(f, &lease_a, "logs.txt", "only of a", own);
    put_artifact(f, &lease_a, "source.diff", "of both", shared);
    put_artifact(f, &lease_b, "source.diff", "of both", shared);
    assert_ok(append(f->s, &lease_a, a, EVENT_JOB_FAILED, NULL, &e));
    assert_ok(job_delete(f->s, a, &e));
    assert_true(blob_goes(f, own));
    (void)usleep(2 * SHORT_US);
    assert_true(blob_there(f, shared));
    assert_ok(append(f->s, &lease_b, b, EVENT_JOB_FAILED, NULL, &e));
    assert_ok(job_delete(f->s, b, &e));
    assert_true(blob_goes(f, shared));
    store_sha256("{\"a\":1}", 7, request);
    assert_true(blob_goes(f, request));
}

static void test_a_replaced_artifact_goes(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE], old[STORE_SHA_SIZE], new[STORE_SHA_SIZE];
    struct store_lease lease;
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    put_artifact(f, &lease, "report.json", "first", old);
    put_artifact(f, &lease, "report.json", "second", new);
    assert_true(blob_goes(f, old));
    assert_true(blob_there(f, new));
}

static void step_of_text(struct fixture *f, const char *text, struct store_step *step)
{
    *step = (struct store_step){.n_out = 1, .out_names = {"given"}, .seconds = 0.5};
    char given[64];
    (void)snprintf(given, sizeof given, "tensors of %s", text);
    store_sha256(text, strlen(text), step->key);
    put_text(f->s, text, step->result_sha);
    put_text(f->s, given, step->out_sha[0]);
    assert_ok(store_step_put(f->s, step, &e));
}

static void finish_with_step(struct fixture *f, const struct store_lease *lease,
                             const struct store_step *step)
{
    json_t *data = json_pack("{s:s, s:s}", "step", "capture", "key", step->key);
    assert_ok(append(f->s, lease, lease->job_id, EVENT_STEP_FINISHED, data, &e));
    assert_ok(append(f->s, lease, lease->job_id, EVENT_JOB_FAILED, NULL, &e));
}

static void test_a_step_goes_with_its_last_job(void **state)
{
    struct fixture *f = *state;
    char id[2][JOB_ID_SIZE];
    struct store_lease lease;
    struct store_step step, got;
    struct err err = {0};
    step_of_text(f, "{\"step\":1}", &step);
    for (int i = 0; i < 2; i++) {
        job_create(f->s, 0, id[i]);
        claim(f->s, &lease);
        finish_with_step(f, &lease, &step);
    }
    assert_ok(job_delete(f->s, id[0], &e));
    (void)usleep(50000);
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 1);
    assert_ok(job_delete(f->s, id[1], &e));
    assert_true(blob_goes(f, step.result_sha));
    assert_true(blob_goes(f, step.out_sha[0]));
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 0);
}

static void test_a_looked_up_step_outlives_its_job(void **state)
{
    struct fixture *f = *state; /* the usual grace */
    char id[JOB_ID_SIZE];
    struct store_lease lease;
    struct store_step step, got;
    struct err err = {0};
    step_of_text(f, "{\"step\":2}", &step);
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    finish_with_step(f, &lease, &step);
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 1);
    assert_ok(job_delete(f->s, id, &e));
    job_create(f->s, 0, id); /* behind the deletion, and the writer has had its turns */
    claim(f->s, &lease);
    assert_int_equal(store_step_get(f->r, step.key, &got, &err), 1);
    assert_true(blob_there(f, step.out_sha[0]));
    finish_with_step(f, &lease, &step);
    (void)assert_rows_are_folds(f->r);
}

/* ---- putting against removing ---------------------------------------------------------------------------
 */

#define RACE_ROUNDS 60
#define RACE_THREADS 4

struct racer {
    struct fixture *f;
    int failures;
};

/* Makes, ends and deletes jobs that all have the same request: each blob that a row names must be there. */
static void *race(void *arg)
{
    struct racer *racer = arg;
    struct store *s = racer->f->s;
    for (int i = 0; i < RACE_ROUNDS; i++) {
        struct store_job_new job = {.name = "race"};
        struct err err = {0};
        job_id_new(job.id);
        if (store_blob_put(s, "the same", 8, job.request_sha, &err) < 0) {
            racer->failures++;
            continue;
        }
        int rc = job_create_as(s, &job, &err);
        if (rc == FERR_NOT_FOUND) /* no grace here, so removal may come first: refused, never dangling */
            continue;
        if (rc < 0 || !blob_there(racer->f, job.request_sha))
            racer->failures++;
        if (append(s, NULL, job.id, EVENT_JOB_CANCELLING, NULL, &err) < 0 || job_delete(s, job.id, &err) < 0)
            racer->failures++;
    }
    return NULL;
}

static void test_puts_and_removals_race(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[RACE_THREADS];
    struct racer racers[RACE_THREADS];
    char sha[STORE_SHA_SIZE];
    for (int i = 0; i < RACE_THREADS; i++) {
        racers[i] = (struct racer){.f = f};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACE_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].failures, 0);
    }
    store_sha256("the same", 8, sha);
    assert_true(blob_goes(f, sha));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHORT(name) cmocka_unit_test_setup_teardown(name, setup_short, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        TEST(test_put_and_read),
        TEST(test_put_fd_reads_from_the_start),
        TEST(test_absent_and_badly_named),
        TEST(test_damage_is_noticed),
        TEST_SHORT(test_leftovers_of_a_crash_go),
        TEST(test_young_blobs_stay),
        TEST(test_putting_makes_young),
        TEST_SHORT(test_deleting_a_job_removes_its_blobs_only),
        TEST_SHORT(test_a_replaced_artifact_goes),
        TEST_SHORT(test_a_step_goes_with_its_last_job),
        TEST(test_a_looked_up_step_outlives_its_job),
        cmocka_unit_test_setup_teardown(test_puts_and_removals_race, setup_none, teardown),
    };
    return cmocka_run_group_tests_name("store_blobs", tests, NULL, NULL);
}
