/*
 * test_store_writer.c: the queue, group commit, what the listener hears, and failing transactions.
 */
#include "test_store.h"

/* ---- holding the writer, so that a group forms behind it ------------------------------------------------
 */

struct gate {
    struct command base;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool entered, open;
};
#define GATE_INIT                                                           \
    {                                                                       \
        .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER \
    }

static int gate_run(struct store *s, struct command *base, struct err *e)
{
    (void)s, (void)e;
    struct gate *g = (struct gate *)base;
    (void)pthread_mutex_lock(&g->lock);
    g->entered = true;
    (void)pthread_cond_broadcast(&g->wake);
    while (!g->open)
        (void)pthread_cond_wait(&g->wake, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
    return 0;
}

static void gate_close(struct store *s, struct gate *g)
{
    g->base.run = gate_run;
    assert_ok(writer_post(s, &g->base, &e));
    (void)pthread_mutex_lock(&g->lock);
    while (!g->entered)
        (void)pthread_cond_wait(&g->wake, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->open = true;
    (void)pthread_cond_broadcast(&g->wake);
    (void)pthread_mutex_unlock(&g->lock);
}

/* ---- jobs posted in bulk --------------------------------------------------------------------------------
 */

#define MANY 20

static void post_jobs(struct store *s, struct store_job_new *jobs, struct outcome *outcomes, int n)
{
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct store_job_new){.name = "many"};
        outcomes[i] = (struct outcome)OUTCOME_INIT;
        job_id_new(jobs[i].id);
        put_text(s, "{}", jobs[i].request_sha);
        assert_ok(store_job_create(s, &jobs[i], outcome_done, &outcomes[i], &e));
    }
}

static void test_a_group_is_one_commit(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct store_job_new jobs[MANY];
    struct outcome outcomes[MANY];
    struct store_stats before, after;
    gate_close(f->s, &gate);
    store_stats_get(f->s, &before);
    post_jobs(f->s, jobs, outcomes, MANY);
    store_stats_get(f->s, &after);
    assert_int_equal(after.queue_len, MANY);
    gate_open(&gate);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(outcome_wait(&outcomes[i]), 0);
    job_create(f->s, 0, jobs[0].id); /* a command later: the figures of the group are in */
    store_stats_get(f->s, &after);
    assert_int_equal(after.commits - before.commits, 3); /* the gate's, the group's, the last job's */
    assert_int_equal(after.commands - before.commands, MANY + 2);
    assert_int_equal(after.queue_len, 0);
}

static void test_one_refusal_spoils_nothing(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct store_job_new jobs[3];
    struct outcome outcomes[3], refused = OUTCOME_INIT;
    char none[JOB_ID_SIZE];
    struct store_event_new cancel = {.type = EVENT_JOB_CANCELLING};
    job_id_new(none);
    gate_close(f->s, &gate);
    post_jobs(f->s, jobs, outcomes, 2);
    assert_ok(store_append(f->s, NULL, none, &cancel, 1, outcome_done, &refused, &e));
    post_jobs(f->s, jobs + 2, outcomes + 2, 1);
    gate_open(&gate);
    assert_int_equal(outcome_wait(&refused), FERR_JOB_NOT_FOUND);
    assert_int_equal(refused.err.code, FERR_JOB_NOT_FOUND);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(outcome_wait(&outcomes[i]), 0);
        assert_int_equal(outcomes[i].calls, 1);
    }
    assert_int_equal(assert_rows_are_folds(f->r), 3);
}

static void test_a_full_queue_refuses(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct store_job_new jobs[MANY];
    struct outcome outcomes[MANY];
    struct store_event_new cancel = {.type = EVENT_JOB_CANCELLING};
    gate_close(f->s, &gate);
    f->s->writer.queue_max = MANY; /* nobody else posts now */
    post_jobs(f->s, jobs, outcomes, MANY);
    assert_fails(FERR_OVERLOADED, store_append(f->s, NULL, jobs[0].id, &cancel, 1, NULL, NULL, &e));
    assert_fails(FERR_OVERLOADED, store_append_wait(f->s, NULL, jobs[0].id, &cancel, 1, &e));
    gate_open(&gate);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(outcome_wait(&outcomes[i]), 0);
}

static void test_closing_finishes_what_waits(void **state)
{
    struct fixture *f = *state;
    struct store_job_new jobs[MANY];
    struct outcome outcomes[MANY];
    post_jobs(f->s, jobs, outcomes, MANY);
    fixture_reopen(f);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].rc, 0);
    }
    assert_int_equal(assert_rows_are_folds(f->r), MANY);
}

static void test_a_closing_store_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_lease lease;
    (void)pthread_mutex_lock(&f->s->writer.lock);
    f->s->writer.stopping = true;
    (void)pthread_mutex_unlock(&f->s->writer.lock);
    assert_fails(FERR_SHUTTING_DOWN, store_job_claim(f->s, &lease, &e));
    assert_fails(FERR_SHUTTING_DOWN, store_jobs_recover(f->s, &e));
}

/* ---- the listener ---------------------------------------------------------------------------------------
 */

struct heard {
    struct store_reader *r; /* only used while the listener runs */
    int n, early;
    char last_id[JOB_ID_SIZE];
    int64_t last_seq;
    enum event_type types[16];
};

/* What the listener is told of must be readable already. */
static void hear(void *arg, const char *job_id, int64_t seq, enum event_type type)
{
    struct heard *h = arg;
    struct store_event *events = NULL;
    size_t n = 0;
    struct err e = {0};
    if (store_event_list(h->r, job_id, seq - 1, 1, &events, &n, &e) < 0 || n != 1 || events[0].type != type)
        h->early++;
    store_events_free(events, n);
    (void)snprintf(h->last_id, sizeof h->last_id, "%s", job_id);
    h->last_seq = seq;
    h->types[h->n++ % 16] = type;
}

static void test_the_listener_hears_in_order_after_the_commit(void **state)
{
    struct fixture *f = *state;
    struct heard h = {.n = 0};
    struct store_lease lease;
    char id[JOB_ID_SIZE];
    assert_ok(store_reader_open(f->s, &h.r, &e));
    store_set_listener(f->s, hear, &h);
    job_create(f->s, 0, id);
    claim(f->s, &lease);
    struct store_event_new bad[] = {{EVENT_ATTEMPT_CHECKED, NULL}, {EVENT_JOB_STARTED, NULL}};
    assert_fails(FERR_CONFLICT, store_append_wait(f->s, &lease, id, bad, 2, &e)); /* heard by nobody */
    struct store_event_new end[] = {{EVENT_JOB_CANCELLING, NULL}, {EVENT_JOB_CANCELLED, NULL}};
    assert_ok(store_append_wait(f->s, &lease, id, end, 2, &e));
    assert_fails(FERR_CONFLICT,
                 append(f->s, NULL, id, EVENT_JOB_CANCELLING, NULL, &e)); /* the last group is over */
    store_set_listener(f->s, NULL, NULL);
    static const enum event_type WANT[] = {EVENT_JOB_QUEUED, EVENT_JOB_STARTED, EVENT_JOB_CANCELLING,
                                           EVENT_JOB_CANCELLED};
    assert_int_equal(h.n, 4);
    for (int i = 0; i < h.n; i++)
        assert_int_equal(h.types[i], WANT[i]);
    assert_int_equal(h.early, 0);
    assert_string_equal(h.last_id, id);
    assert_int_equal(h.last_seq, 4);
    store_reader_close(h.r);
}

/* ---- failing transactions -------------------------------------------------------------------------------
 */

static int refuse_commit(void *arg)
{
    (void)arg;
    return 1;
}

static int set_commit_hook(struct store *s, void *refuse, struct err *e)
{
    (void)e;
    (void)sqlite3_commit_hook(s->db.handle, refuse ? refuse_commit : NULL, NULL);
    return 0;
}

static void test_a_failed_commit_is_nobodys_success(void **state)
{
    struct fixture *f = *state;
    char id[JOB_ID_SIZE];
    struct store_job_new job = {.name = "unlucky"};
    struct store_job j;
    job_create(f->s, 0, id);
    job_id_new(job.id);
    put_text(f->s, "{}", job.request_sha);
    assert_fails(FERR_STORE, on_writer(f->s, set_commit_hook, f, &e));
    assert_fails(FERR_STORE, job_create_as(f->s, &job, &e));
    assert_fails(FERR_JOB_NOT_FOUND, store_job_get(f->r, job.id, &j, &e));
    assert_ok(on_writer(f->s, set_commit_hook, NULL, &e));
    assert_ok(job_create_as(f->s, &job, &e));
    assert_int_equal(assert_rows_are_folds(f->r), 2);
}

static int limit_pages(struct store *s, void *arg, struct err *e)
{
    (void)arg;
    char limit[64];
    int64_t pages = 0;
    int rc = db_int(&s->db, "PRAGMA page_count", &pages, e);
    (void)snprintf(limit, sizeof limit, "PRAGMA max_page_count = %d", (int)pages + 30);
    return rc < 0 ? rc : db_exec(&s->db, limit, e);
}

static void test_a_full_disk_spoils_only_what_did_not_fit(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct store_job_new jobs[2];
    struct outcome outcomes[2], big = OUTCOME_INIT;
    char id[JOB_ID_SIZE];
    job_create(f->s, 0, id);
    assert_ok(on_writer(f->s, limit_pages, NULL, &e));
    char *text = malloc(1000001);
    assert_non_null(text);
    memset(text, 'x', 1000000);
    text[1000000] = '\0';
    json_t *data = json_pack("{s:{s:s}}", "result", "text", text);
    free(text);
    struct store_event_new fail = {.type = EVENT_JOB_FAILED, .data = data};
    gate_close(f->s, &gate);
    post_jobs(f->s, jobs, outcomes, 1);
    assert_ok(store_append(f->s, NULL, id, &fail, 1, outcome_done, &big, &e));
    post_jobs(f->s, jobs + 1, outcomes + 1, 1);
    json_decref(data);
    gate_open(&gate);
    assert_int_equal(outcome_wait(&big), FERR_STORE);
    assert_int_equal(outcome_wait(&outcomes[0]), 0);
    assert_int_equal(outcome_wait(&outcomes[1]), 0);
    assert_int_equal(job_state_of(f->r, id), JOB_STATE_QUEUED);
    assert_int_equal(assert_rows_are_folds(f->r), 3);
}

/* ---- many callers ---------------------------------------------------------------------------------------
 */

#define CALLERS 16
#define LIVES 20

/* A worker that claims whatever waits, twice in three gives it back, and ends it otherwise. */
static void *work(void *arg)
{
    struct store *s = arg;
    struct store_lease lease;
    struct err e = {0};
    intptr_t failures = 0;
    for (int i = 0; i < 3 * LIVES; i++) {
        char id[JOB_ID_SIZE];
        if (i % 3 == 0)
            job_create(s, i, id);
        int rc = store_job_claim(s, &lease, &e);
        if (rc == 1 && i % 3 != 2)
            rc = store_job_release(s, &lease, &e);
        else if (rc == 1)
            rc = append(s, &lease, lease.job_id, EVENT_JOB_FAILED, json_pack("{s:{s:i}}", "result", "i", i),
                        &e);
        failures += rc < 0;
    }
    return (void *)failures;
}

static void test_many_workers(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[CALLERS];
    int64_t counts[JOB_STATE_COUNT];
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, f->s), 0);
    for (int i = 0; i < CALLERS; i++) {
        void *failures = NULL;
        (void)pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_int_equal(assert_rows_are_folds(f->r), CALLERS * LIVES);
    assert_ok(store_job_counts(f->r, counts, &e));
    assert_int_equal(counts[JOB_STATE_RUNNING], 0);
    assert_int_equal(counts[JOB_STATE_QUEUED] + counts[JOB_STATE_FAILED], CALLERS * LIVES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_group_is_one_commit),
        TEST(test_one_refusal_spoils_nothing),
        TEST(test_a_full_queue_refuses),
        TEST(test_closing_finishes_what_waits),
        TEST(test_a_closing_store_takes_nothing),
        TEST(test_the_listener_hears_in_order_after_the_commit),
        TEST(test_a_failed_commit_is_nobodys_success),
        TEST(test_a_full_disk_spoils_only_what_did_not_fit),
        TEST(test_many_workers),
    };
    return cmocka_run_group_tests_name("store_writer", tests, NULL, NULL);
}
