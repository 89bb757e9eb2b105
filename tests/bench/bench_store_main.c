/*
 * bench_store.c: how many jobs the store creates a second, each acknowledged after its fsync.
 *
 *     bench_store DIR [SECONDS]
 *
 * Prints one line for 1 caller and one for 64, who each wait for one creation before the next, beside the
 * bare cost of writing and syncing in the same directory. A creation is a row of jobs and an event, with all
 * indexes.
 */
#include "store/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLERS_MAX 64

struct caller {
    struct store *s;
    const char *request_sha;
    int64_t until_us;
    uint64_t created;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
    int rc;
};

static void created(void *arg, int rc, const struct err *e)
{
    (void)e;
    struct caller *c = arg;
    (void)pthread_mutex_lock(&c->lock);
    c->done = true;
    c->rc = rc;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
}

static void *call(void *arg)
{
    struct caller *c = arg;
    struct err e = {0};
    while (clock_mono_us() < c->until_us) {
        struct store_job_new job = {.name = "bench"};
        job_id_new(job.id);
        (void)snprintf(job.request_sha, sizeof job.request_sha, "%s", c->request_sha);
        c->done = false;
        int rc = store_job_create(c->s, &job, created, c, &e);
        (void)pthread_mutex_lock(&c->lock);
        while (rc == 0 && !c->done)
            (void)pthread_cond_wait(&c->wake, &c->lock);
        (void)pthread_mutex_unlock(&c->lock);
        if (rc < 0 || c->rc < 0)
            exit(1);
        c->created++;
    }
    return NULL;
}

static void measure(struct store *s, const char *request_sha, int callers, double seconds)
{
    static struct caller all[CALLERS_MAX];
    pthread_t threads[CALLERS_MAX];
    struct store_stats before, after;
    int64_t start = clock_mono_us();
    uint64_t total = 0;
    store_stats_get(s, &before);
    for (int i = 0; i < callers; i++) {
        all[i] = (struct caller){.s = s,
                                 .request_sha = request_sha,
                                 .until_us = start + (int64_t)(seconds * 1e6),
                                 .lock = PTHREAD_MUTEX_INITIALIZER,
                                 .wake = PTHREAD_COND_INITIALIZER};
        if (pthread_create(&threads[i], NULL, call, &all[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < callers; i++) {
        (void)pthread_join(threads[i], NULL);
        total += all[i].created;
    }
    double took = (double)(clock_mono_us() - start) / 1e6;
    store_stats_get(s, &after);
    printf("callers=%d creations_per_s=%.0f commits_per_s=%.0f\n", callers, (double)total / took,
           (double)(after.commits - before.commits) / took);
}

static void measure_syncs(const char *dir, double seconds)
{
    char path[4200], page[4096] = "";
    (void)snprintf(path, sizeof path, "%s/sync.tmp", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), n = 0;
    int64_t start = clock_mono_us(), until = start + (int64_t)(seconds * 1e6);
    for (; clock_mono_us() < until; n++)
        if (write(fd, page, sizeof page) < 0 || fdatasync(fd) < 0)
            exit(1);
    printf("bare_syncs_per_s=%.0f\n", n / ((double)(clock_mono_us() - start) / 1e6));
    (void)close(fd);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_store DIR [SECONDS]\n");
        return 2;
    }
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    struct store_options opts = {.data_dir = argv[1], .queue_max = 1024};
    struct store *s = NULL;
    struct err e = {0};
    char sha[STORE_SHA_SIZE];
    if (store_open(&opts, &s, &e) < 0 || store_blob_put(s, "{}", 2, sha, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    measure_syncs(argv[1], 1);
    measure(s, sha, 1, seconds);
    measure(s, sha, CALLERS_MAX, seconds);
    store_close(s);
    return 0;
}
