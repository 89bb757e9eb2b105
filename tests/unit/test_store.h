/*
 * test_store.h: what the tests of the store share: a store in a folder of its own, jobs to play with, and the
 * comparison of every row with the fold of its events.
 */
#ifndef FERRY_TESTS_UNIT_TEST_STORE_H
#define FERRY_TESTS_UNIT_TEST_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

struct fixture {
    char dir[64];
    struct store *s;
    struct store_reader *r;
};

#define assert_ok(call)                                                                 \
    do {                                                                                \
        struct err e = {0};                                                             \
        int rc_ = (call);                                                               \
        if (rc_ != 0)                                                                   \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, ferr_code(rc_), e.text); \
        assert_int_equal(rc_, 0);                                                       \
    } while (0)
#define assert_fails(want, call)          \
    do {                                  \
        struct err e = {0};               \
        assert_int_equal((call), (want)); \
        assert_int_equal(e.code, (want)); \
        assert_true(e.text[0] != '\0');   \
    } while (0)

/* ---- the fixture --------------------------------------------------------------------------------------- */

static UNUSED int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static UNUSED void remove_tree(const char *dir)
{
    assert_int_equal(nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static UNUSED void make_dir(char dir[64])
{
    (void)snprintf(dir, 64, "/tmp/ferry-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static UNUSED void fixture_open(struct fixture *f, int64_t grace_us)
{
    struct store_options opts = {.data_dir = f->dir, .queue_max = 1000, .grace_us = grace_us};
    assert_ok(store_open(&opts, &f->s, &e));
    assert_ok(store_reader_open(f->s, &f->r, &e));
}

static UNUSED void fixture_close(struct fixture *f)
{
    store_reader_close(f->r);
    store_close(f->s);
    f->r = NULL;
    f->s = NULL;
}

static UNUSED void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f, 0);
}

static UNUSED int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    make_dir(f->dir);
    fixture_open(f, 0);
    *state = f;
    return 0;
}

static UNUSED int teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    remove_tree(f->dir);
    free(f);
    return 0;
}

/* ---- waiting for posted commands ----------------------------------------------------------------------- */

struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int calls, rc;
    struct err err;
};
#define OUTCOME_INIT                                                        \
    {                                                                       \
        .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER \
    }

static UNUSED void outcome_done(void *arg, int rc, const struct err *e)
{
    struct outcome *o = arg;
    (void)pthread_mutex_lock(&o->lock);
    o->calls++;
    o->rc = rc;
    o->err = *e;
    (void)pthread_cond_signal(&o->wake);
    (void)pthread_mutex_unlock(&o->lock);
}

static UNUSED int outcome_wait(struct outcome *o)
{
    (void)pthread_mutex_lock(&o->lock);
    while (o->calls == 0)
        (void)pthread_cond_wait(&o->wake, &o->lock);
    (void)pthread_mutex_unlock(&o->lock);
    return o->rc;
}

/* ---- the writer's own connection ------------------------------------------------------------------------
 */

struct on_writer {
    struct command base;
    int (*fn)(struct store *s, void *arg, struct err *e);
    void *arg;
};

static UNUSED int on_writer_run(struct store *s, struct command *base, struct err *e)
{
    struct on_writer *c = (struct on_writer *)base;
    return c->fn(s, c->arg, e);
}

/* Runs `fn` as a command, since only the writer thread may touch s->db. */
static UNUSED int on_writer(struct store *s, int (*fn)(struct store *, void *, struct err *), void *arg,
                            struct err *e)
{
    struct on_writer c = {.base = {.run = on_writer_run}, .fn = fn, .arg = arg};
    return writer_call(s, &c.base, e);
}

static UNUSED int exec_sql(struct store *s, void *sql, struct err *e)
{
    return db_exec(&s->db, sql, e);
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

static UNUSED void put_text(struct store *s, const char *text, char sha[STORE_SHA_SIZE])
{
    assert_ok(store_blob_put(s, text, strlen(text), sha, &e));
}

static UNUSED int job_create_as(struct store *s, const struct store_job_new *job, struct err *e)
{
    struct outcome o = OUTCOME_INIT;
    int rc = store_job_create(s, job, outcome_done, &o, e);
    if (rc == 0) {
        rc = outcome_wait(&o);
        *e = o.err;
    }
    return rc;
}

static UNUSED void job_create(struct store *s, int priority, char id[JOB_ID_SIZE])
{
    struct store_job_new job = {.name = "lenet", .engine = ENGINE_AUTO, .priority = priority};
    job_id_new(job.id);
    put_text(s, "{\"a\":1}", job.request_sha);
    assert_ok(job_create_as(s, &job, &e));
    memcpy(id, job.id, JOB_ID_SIZE);
}

static UNUSED int job_delete(struct store *s, const char *id, struct err *e)
{
    struct outcome o = OUTCOME_INIT;
    int rc = store_job_delete(s, id, outcome_done, &o, e);
    if (rc == 0) {
        rc = outcome_wait(&o);
        *e = o.err;
    }
    return rc;
}

static UNUSED void claim(struct store *s, struct store_lease *lease)
{
    struct err e = {0};
    assert_int_equal(store_job_claim(s, lease, &e), 1);
}

/* Appends one event; `data` is a new reference or NULL. */
static UNUSED int append(struct store *s, const struct store_lease *lease, const char *id,
                         enum event_type type, json_t *data, struct err *e)
{
    struct store_event_new ev = {.type = type, .data = data};
    int rc = store_append_wait(s, lease, id, &ev, 1, e);
    json_decref(data);
    return rc;
}

/* A job that was created, claimed and has ended well. */
static UNUSED void job_succeed(struct store *s, char id[JOB_ID_SIZE])
{
    struct store_lease lease = {.token = 0};
    job_create(s, 1000, id);
    claim(s, &lease);
    assert_string_equal(lease.job_id, id);
    assert_ok(
        append(s, &lease, id, EVENT_JOB_SUCCEEDED, json_pack("{s:{s:s}}", "result", "verdict", "equal"), &e));
}

static UNUSED enum job_state job_state_of(struct store_reader *r, const char *id)
{
    struct store_job j;
    assert_ok(store_job_get(r, id, &j, &e));
    enum job_state state = j.state;
    store_job_fini(&j);
    return state;
}

/* ---- rows against events ------------------------------------------------------------------------------- */

static UNUSED void assert_json_text(const json_t *row, const char *folded)
{
    json_t *want = folded ? json_loads(folded, JSON_DECODE_ANY, NULL) : NULL;
    assert_int_equal(!row, !want);
    if (row)
        assert_true(json_equal(row, want));
    json_decref(want);
}

static UNUSED void assert_first_event(const struct store_job *j, const char *text)
{
    json_t *d = json_loads(text, 0, NULL);
    assert_non_null(d);
    const char *name = json_string_value(json_object_get(d, "name"));
    assert_int_equal(!j->name, !name);
    if (name)
        assert_string_equal(j->name, name);
    assert_string_equal(kind_name(j->kind), json_string_value(json_object_get(d, "kind")));
    assert_string_equal(engine_name(j->engine), json_string_value(json_object_get(d, "engine")));
    assert_string_equal(style_name(j->style), json_string_value(json_object_get(d, "style")));
    assert_int_equal(j->priority, json_integer_value(json_object_get(d, "priority")));
    assert_string_equal(j->request_sha, json_string_value(json_object_get(d, "request_sha256")));
    json_decref(d);
}

/* Folds the job's events from nothing and compares every field with the row. */
static UNUSED void assert_row_is_fold(struct store_reader *r, const struct store_job *j)
{
    struct store_event *events = NULL;
    size_t n = 0;
    assert_ok(store_event_list(r, j->id, 0, 10000, &events, &n, &e));
    assert_true(n > 0);
    assert_first_event(j, events[0].data);
    struct fold_event *made = calloc(n, sizeof *made);
    assert_non_null(made);
    struct fold_row row;
    fold_row_init(&row);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(events[i].seq, (int64_t)i + 1);
        json_t *data = json_loads(events[i].data, 0, NULL);
        assert_ok(fold_event_init(&made[i], events[i].type, data, &e));
        json_decref(data);
        made[i].seq = events[i].seq;
        made[i].at_us = events[i].at_us;
        assert_ok(fold_apply(&row, &made[i], &e));
    }
    assert_int_equal(row.state, j->state);
    assert_int_equal(row.attempt, j->attempt);
    assert_int_equal(row.step, j->step);
    assert_int_equal(row.steps_done, j->steps_done);
    assert_int_equal(row.steps_total, j->steps_total);
    assert_int_equal(row.version, j->version);
    assert_int_equal(row.created_us, j->created_us);
    assert_int_equal(row.updated_us, j->updated_us);
    assert_int_equal(row.started_us, j->started_us);
    assert_int_equal(row.finished_us, j->finished_us);
    assert_json_text(j->result, row.result);
    assert_json_text(j->usage, row.usage);
    for (size_t i = 0; i < n; i++)
        fold_event_fini(&made[i]);
    free(made);
    store_events_free(events, n);
}

/* Every row of the store; returns how many. */
static UNUSED size_t assert_rows_are_folds(struct store_reader *r)
{
    char before[JOB_ID_SIZE] = "";
    size_t total = 0;
    for (;;) {
        struct store_job_filter filter = {.state = -1, .before_id = before[0] ? before : NULL, .limit = 100};
        struct store_job *jobs = NULL;
        size_t n = 0;
        assert_ok(store_job_list(r, &filter, &jobs, &n, &e));
        for (size_t i = 0; i < n; i++) {
            assert_row_is_fold(r, &jobs[i]);
            memcpy(before, jobs[i].id, sizeof before);
            store_job_fini(&jobs[i]);
        }
        free(jobs);
        total += n;
        if (n == 0)
            return total;
    }
}

/* ---- blobs --------------------------------------------------------------------------------------------- */

static UNUSED bool blob_there(const struct fixture *f, const char *sha)
{
    char path[200], name[BLOB_PATH_SIZE];
    blob_path(sha, name);
    (void)snprintf(path, sizeof path, "%s/blobs/%s", f->dir, name);
    return access(path, F_OK) == 0;
}

/* Waits up to ten seconds for the writer to have removed it. */
static UNUSED bool blob_goes(const struct fixture *f, const char *sha)
{
    for (int i = 0; i < 1000 && blob_there(f, sha); i++)
        (void)usleep(10000);
    return !blob_there(f, sha);
}

#endif
