/*
 * test_store_crash.c: whatever the store has acknowledged survives SIGKILL at any moment.
 *
 * The program starts itself as a workload: threads that live jobs from creation to deletion in one data
 * directory and print a line after each acknowledgement. It is killed at a random moment, the directory is
 * opened again, and everything that was printed must be there, every row must be the fold of its events, and
 * every blob that a row names must be whole. FERRY_CRASH_ROUNDS sets how often (25). What a power cut does is
 * not tested here.
 */
#include "test_store.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define THREADS 4
#define GRACE_US 200000
#define LINE_SIZE 160

/* ---- the workload ---------------------------------------------------------------------------------------
 */

/* One write, so lines of threads do not mix. */
static void say(const char *what, const char *name, int64_t number)
{
    char line[LINE_SIZE];
    int n = snprintf(line, sizeof line, "%s %s %lld\n", what, name, (long long)number);
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(0); /* nobody listens any more */
}

static int64_t append_said(struct store *s, const struct store_lease *lease, int64_t version,
                           enum event_type type, json_t *data)
{
    struct err e = {0};
    if (append(s, lease, lease->job_id, type, data, &e) < 0)
        return -1;
    say("version", lease->job_id, version + 1);
    return version + 1;
}

static void put_results(struct store *s, const struct store_lease *lease)
{
    struct err e = {0};
    char sha[STORE_SHA_SIZE], text[80];
    (void)snprintf(text, sizeof text, "report of %s", lease->job_id);
    json_t *attempt = json_pack("{s:i, s:s}", "n", 1, "files", lease->job_id);
    if (store_blob_put(s, text, strlen(text), sha, &e) == 0 &&
        store_artifact_put(s, lease, "report.json", "application/json", sha, (int64_t)strlen(text), &e) == 0)
        say("artifact", lease->job_id, 0);
    if (store_attempt_put(s, lease, 1, attempt, &e) == 0)
        say("attempt", lease->job_id, 1);
    json_decref(attempt);
}

static void put_step(struct store *s, const struct store_lease *lease, char key[STORE_SHA_SIZE])
{
    struct err e = {0};
    struct store_step step = {.n_out = 1, .out_names = {"given"}, .seconds = 0.1};
    store_sha256(lease->job_id, strlen(lease->job_id), step.key);
    memcpy(key, step.key, sizeof step.key);
    if (store_blob_put(s, step.key, 64, step.result_sha, &e) == 0 &&
        store_blob_put(s, step.key, 32, step.out_sha[0], &e) == 0)
        (void)store_step_put(s, &step, &e);
}

/* From the lease to the end; returns the version or -1. */
static int64_t live_job(struct store *s, const struct store_lease *lease, int64_t version)
{
    char key[STORE_SHA_SIZE];
    json_t *started = json_pack("{s:s, s:i, s:i}", "step", "capture", "done", 2, "total", 8);
    version = append_said(s, lease, version, EVENT_STEP_STARTED, started);
    put_step(s, lease, key);
    if (version > 0)
        version = append_said(s, lease, version, EVENT_STEP_FINISHED,
                              json_pack("{s:s, s:s}", "step", "capture", "key", key));
    put_results(s, lease);
    if (version > 0)
        version = append_said(s, lease, version, EVENT_JOB_SUCCEEDED, json_pack("{s:{}}", "result"));
    return version;
}

static int64_t version_of(struct store_reader *r, const char *id)
{
    struct store_job j;
    struct err e = {0};
    if (store_job_get(r, id, &j, &e) < 0)
        return -1;
    int64_t version = j.version;
    store_job_fini(&j);
    return version;
}

static void *live(void *arg)
{
    struct store *s = arg;
    struct store_reader *r = NULL;
    struct err e = {0};
    if (store_reader_open(s, &r, &e) < 0)
        _exit(2);
    for (unsigned i = 0;; i++) {
        struct store_job_new job = {.name = "crash"};
        struct store_lease lease;
        char request[64];
        job_id_new(job.id);
        int n = snprintf(request, sizeof request, "request %s", job.id);
        if (store_blob_put(s, request, (size_t)n, job.request_sha, &e) < 0 || job_create_as(s, &job, &e) < 0)
            _exit(3);
        say("version", job.id, 1);
        if (store_job_claim(s, &lease, &e) != 1)
            continue;
        int64_t version = version_of(r, lease.job_id);
        say("version", lease.job_id, version);
        if (live_job(s, &lease, version) > 0 && i % 2 == 0) {
            say("deleting", lease.job_id, 0);
            if (job_delete(s, lease.job_id, &e) == 0)
                say("deleted", lease.job_id, 0);
        }
    }
}

static int workload(const char *dir)
{
    struct store_options opts = {.data_dir = dir, .queue_max = 100, .grace_us = GRACE_US};
    struct store *s = NULL;
    struct err e = {0};
    pthread_t threads[THREADS];
    if (store_open(&opts, &s, &e) < 0 || store_jobs_recover(s, &e) < 0)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, live, s) != 0)
            return 1;
    (void)pthread_join(threads[0], NULL); /* until the kill */
    return 1;
}

/* ---- killing it -----------------------------------------------------------------------------------------
 */

static pid_t start(const char *dir, int *out)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "workload", dir, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *out = ends[0];
    return pid;
}

/* All that the workload printed in `ms` milliseconds from its first line on. */
static char *run_and_kill(const char *dir, long ms)
{
    int fd = -1;
    size_t len = 0, cap = 1 << 22;
    char *said = malloc(cap);
    assert_non_null(said);
    pid_t pid = start(dir, &fd);
    ssize_t n = read(fd, said, cap - 1);
    assert_true(n > 0);
    len = (size_t)n;
    int64_t until = clock_mono_us() + ms * 1000;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    for (int64_t left; (left = until - clock_mono_us()) > 0;) {
        struct timespec nap = {.tv_nsec = (long)left * 1000};
        if (ppoll(&readable, 1, &nap, NULL) != 1)
            continue;
        n = read(fd, said + len, cap - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while ((n = read(fd, said + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    (void)close(fd);
    assert_true(len < cap - 1);
    said[len] = '\0';
    return said;
}

/* ---- what must be there ---------------------------------------------------------------------------------
 */

static bool said_so(const char *said, const char *what, const char *id)
{
    char line[LINE_SIZE];
    (void)snprintf(line, sizeof line, "%s %s ", what, id);
    return strstr(said, line) != NULL;
}

static void assert_kept(struct fixture *f, const char *said, const char *what, const char *id, int64_t number)
{
    struct store_artifact artifact;
    json_t *attempt = NULL;
    struct store_job j;
    if (said_so(said, "deleted", id)) {
        assert_fails(FERR_JOB_NOT_FOUND, store_job_get(f->r, id, &j, &e));
    } else if (said_so(said, "deleting", id)) {
        return; /* either is right */
    } else if (strcmp(what, "version") == 0) {
        assert_true(version_of(f->r, id) >= number);
    } else if (strcmp(what, "artifact") == 0) {
        assert_ok(store_artifact_get(f->r, id, "report.json", &artifact, &e));
    } else if (strcmp(what, "attempt") == 0) {
        assert_ok(store_attempt_get(f->r, id, 1, &attempt, &e));
        json_decref(attempt);
    }
}

static int assert_all_kept(struct fixture *f, char *said)
{
    int lines = 0;
    for (char *line = said, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        char what[16], id[JOB_ID_SIZE];
        long long number = 0;
        assert_int_equal(sscanf(line, "%15s %30s %lld", what, id, &number), 3);
        assert_kept(f, said, what, id, number);
    }
    return lines;
}

#define NAMED                                                                                     \
    "SELECT request_sha FROM jobs UNION SELECT sha FROM attempts UNION SELECT sha FROM artifacts" \
    " UNION SELECT result_sha FROM steps UNION SELECT sha FROM step_outputs"

static void assert_blobs_whole(struct fixture *f)
{
    static const char SQL[] = NAMED;
    struct query q;
    query_begin(&q, &f->r->db, SQL);
    while (query_row(&q)) {
        char *data = NULL;
        size_t len = 0;
        assert_ok(store_blob_read(f->s, query_col_text(&q, 0), &data, &len, &e)); /* compares the hash */
        free(data);
    }
    assert_ok(query_end(&q, &e));
}

static int files_found; /* by count_file() */

static int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)path, (void)st, (void)ftw;
    files_found += type == FTW_F;
    return 0;
}

static int count_blobs(const struct fixture *f)
{
    char blobs[80];
    (void)snprintf(blobs, sizeof blobs, "%s/blobs", f->dir);
    files_found = 0;
    assert_int_equal(nftw(blobs, count_file, 16, FTW_PHYS), 0);
    return files_found;
}

static bool is_settled(struct fixture *f)
{
    int64_t named = -1, trash = -1;
    assert_ok(db_int(&f->r->db, "SELECT count(*) FROM (" NAMED ")", &named, &e));
    assert_ok(db_int(&f->r->db, "SELECT count(*) FROM trash", &trash, &e));
    return trash == 0 && count_blobs(f) == named;
}

/* Left alone without a grace period, the store keeps exactly the files that its rows name. */
static void assert_settles(struct fixture *f)
{
    fixture_open(f, 1);
    for (int i = 0; i < 2000 && !is_settled(f); i++)
        (void)usleep(10000);
    (void)usleep(100000); /* nothing more goes */
    assert_true(is_settled(f));
    assert_blobs_whole(f);
    fixture_close(f);
}

static void assert_sound(struct fixture *f)
{
    struct err err = {0};
    int64_t n = -1, counts[JOB_STATE_COUNT];
    assert_ok(db_int(&f->r->db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check", &n, &e));
    assert_int_equal(n, 1);
    assert_ok(db_int(&f->r->db, "SELECT count(*) FROM pragma_foreign_key_check", &n, &e));
    assert_int_equal(n, 0);
    (void)assert_rows_are_folds(f->r);
    assert_blobs_whole(f);
    assert_true(store_jobs_recover(f->s, &err) >= 0);
    assert_ok(store_job_counts(f->r, counts, &e));
    assert_int_equal(counts[JOB_STATE_RUNNING], 0);
    (void)assert_rows_are_folds(f->r);
}

static void test_kills(void **state)
{
    (void)state;
    const char *wanted = getenv("FERRY_CRASH_ROUNDS");
    int rounds = wanted ? (int)strtol(wanted, NULL, 10) : 25, lines = 0;
    struct fixture f = {.s = NULL};
    unsigned seed = (unsigned)clock_mono_us();
    print_message("seed %u\n", seed);
    srandom(seed);
    for (int i = 0; i < rounds; i++) {
        if (i % 5 == 0) /* each directory is killed five times */
            make_dir(f.dir);
        char *said = run_and_kill(f.dir, random() % 150);
        fixture_open(&f, GRACE_US);
        lines += assert_all_kept(&f, said);
        assert_sound(&f);
        fixture_close(&f);
        free(said);
        if (i % 5 < 4 && i < rounds - 1)
            continue;
        assert_settles(&f);
        remove_tree(f.dir);
    }
    print_message("%d kills, %d acknowledgements kept\n", rounds, lines);
    assert_true(lines > rounds);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return workload(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills),
    };
    return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
