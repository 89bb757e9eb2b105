/*
 * main.c: start, run and stop of the daemon.
 *
 * Main thread: owns the uv loop with signals and timers and the zygotes' supervision. Start-up order: store,
 * sandbox, pool, http; shutdown is the reverse of who may still call whom: http stops accepting, workers
 * drain and give unfinished jobs back, streams end, the store closes last. A failed start is fatal with one
 * log line.
 */
#include "api/api.h"
#include "daemon/args.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "store/store.h"
#include "workers/pool.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION "0.1.0"

struct daemon {
    struct config *config;
    uv_loop_t loop;
    uv_signal_t on_term, on_int;
    uv_timer_t every_second;
    struct store *store;
    struct store_reader *reader; /* main thread's: counts for /metrics */
    struct sandbox *sandbox;
    struct pipeline pipeline;
    struct pool *pool;
    struct api *api;
    int64_t started_us;
    /* paths that the sandbox borrows; owned */
    char *jail, *package, *python[SANDBOX_ENV_COUNT];
};

/* The listener runs on the writer thread from the first commit on; what it tells exists later. */
static _Atomic(struct pool *) g_pool;
static _Atomic(struct api *) g_api;

static void on_commit(void *arg, const char *job_id, int64_t seq, enum event_type type)
{
    (void)arg;
    struct pool *pool = atomic_load(&g_pool);
    struct api *api = atomic_load(&g_api);
    if (pool && type == EVENT_JOB_QUEUED)
        pool_wake(pool);
    if (pool && type == EVENT_JOB_CANCELLING)
        pool_cancel(pool, job_id);
    if (api)
        api_notify(api, job_id, seq);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    log_info("main", "stopping", "signal", signum == SIGTERM ? "SIGTERM" : "SIGINT");
    uv_stop(handle->loop);
}

static int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    (void)fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void on_second(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    struct store_stats stats;
    int64_t counts[JOB_STATE_COUNT] = {0};
    struct err e = {0};
    store_stats_get(d->store, &stats);
    metric_set(METRIC_STORE_COMMITS, 0, (int64_t)stats.commits);
    metric_set(METRIC_STORE_COMMANDS, 0, (int64_t)stats.commands);
    metric_set(METRIC_RESIDENT_BYTES, 0, resident_bytes());
    metric_set(METRIC_UPTIME_SECONDS, 0, (clock_mono_us() - d->started_us) / 1000000);
    if (store_job_counts(d->reader, counts, &e) == 0)
        for (unsigned s = 0; s < JOB_STATE_COUNT; s++)
            metric_set(METRIC_JOBS, s, counts[s]);
}

static json_t *hook_sandbox_status(void *arg)
{
    return sandbox_status(((struct daemon *)arg)->sandbox);
}

static bool hook_sandbox_ready(void *arg)
{
    return sandbox_ready(((struct daemon *)arg)->sandbox);
}

/* A configured path, or one beside the binary. */
static char *path_or_beside(const char *configured, const char *name)
{
    char self[PATH_MAX], *out = NULL;
    if (*configured)
        return strdup(configured);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    return asprintf(&out, "%s/%s", dirname(self), name) < 0 ? NULL : out;
}

static int find_paths(struct daemon *d, struct err *e)
{
    const struct config *c = d->config;
    d->jail = path_or_beside(config_text(c, CONFIG_sandbox_jail), "ferry-jail");
    d->package = path_or_beside(config_text(c, CONFIG_sandbox_package_dir), "python");
    d->python[SANDBOX_TORCH] =
        path_or_beside(config_text(c, CONFIG_sandbox_torch_python), "envs/torch/bin/python");
    d->python[SANDBOX_JAX] = path_or_beside(config_text(c, CONFIG_sandbox_jax_python), "envs/jax/bin/python");
    const char *const paths[] = {d->jail, d->package, d->python[SANDBOX_TORCH], d->python[SANDBOX_JAX]};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (!paths[i] || access(paths[i], R_OK) != 0)
            return err_set(e, FERR_CONFIG, "%s is not there (run make deps and make)",
                           paths[i] ? paths[i] : "a path");
    return 0;
}

static int start_store(struct daemon *d, struct err *e)
{
    struct store_options opts = {.data_dir = config_text(d->config, CONFIG_store_data_dir),
                                 .queue_max = (unsigned)config_number(d->config, CONFIG_store_queue_max)};
    int rc = store_open(&opts, &d->store, e);
    if (rc != 0)
        return rc;
    store_set_listener(d->store, on_commit, NULL);
    int recovered = store_jobs_recover(d->store, e);
    if (recovered < 0)
        return recovered;
    if (recovered > 0) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", recovered);
        log_info("main", "took up unfinished jobs", "jobs", text);
    }
    return store_reader_open(d->store, &d->reader, e);
}

static void fill_limits(const struct config *c, struct sandbox_limits *out)
{
    *out = (struct sandbox_limits){.wall_ms = (unsigned)config_number(c, CONFIG_sandbox_wall_s) * 1000,
                                   .cpu_s = (unsigned)config_number(c, CONFIG_sandbox_cpu_s),
                                   .memory_bytes = (uint64_t)config_number(c, CONFIG_sandbox_memory_bytes),
                                   .processes = (unsigned)config_number(c, CONFIG_sandbox_processes),
                                   .output_bytes = (uint64_t)config_number(c, CONFIG_sandbox_output_bytes),
                                   .file_bytes = (uint64_t)config_number(c, CONFIG_sandbox_file_bytes)};
}

static unsigned sandbox_slots(const struct config *c)
{
    int64_t configured = config_number(c, CONFIG_sandbox_slots);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return configured > 0 ? (unsigned)configured : (unsigned)(cores > 0 ? cores : 1);
}

static int start_workers(struct daemon *d, struct err *e)
{
    const struct config *c = d->config;
    struct sandbox_options opts = {
        .mode = strcmp(config_text(c, CONFIG_sandbox_mode), "weak") == 0 ? SANDBOX_WEAK : SANDBOX_STRICT,
        .jail = d->jail,
        .python = {d->python[SANDBOX_TORCH], d->python[SANDBOX_JAX]},
        .package_dir = d->package,
        .cgroup = *config_text(c, CONFIG_sandbox_cgroup) ? config_text(c, CONFIG_sandbox_cgroup) : NULL,
        .slots = sandbox_slots(c)};
    int rc = sandbox_new(&opts, &d->loop, &d->sandbox, e);
    if (rc != 0)
        return rc;
    d->pipeline = (struct pipeline){.store = d->store,
                                    .sandbox = d->sandbox,
                                    .job_s = (unsigned)config_number(c, CONFIG_workers_job_s),
                                    .crashes = (int)config_number(c, CONFIG_workers_crashes),
                                    .draws = (int)config_number(c, CONFIG_contract_draws),
                                    .inputs = (int)config_number(c, CONFIG_contract_inputs),
                                    .seed = (int)config_number(c, CONFIG_contract_seed)};
    fill_limits(c, &d->pipeline.limits);
    rc = pipeline_hash_code(&d->pipeline, d->package, opts.python, e);
    if (rc != 0)
        return rc;
    unsigned jobs = (unsigned)config_number(c, CONFIG_workers_jobs);
    rc = pool_start(&d->pipeline, jobs ? jobs : 2 * opts.slots, &d->pool, e);
    if (rc == 0)
        atomic_store(&g_pool, d->pool);
    return rc;
}

/* "127.0.0.1:8642" or "[::1]:8642" */
static int parse_listen(const char *text, char *host, size_t size, uint16_t *port, struct err *e)
{
    const char *colon = strrchr(text, ':');
    char *end;
    unsigned long n = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || end == colon + 1 || *end || n > UINT16_MAX)
        return err_set(e, FERR_CONFIG, "server.listen: \"%s\" is not HOST:PORT", text);
    const char *from = text, *to = colon;
    if (*from == '[' && to > from && to[-1] == ']') {
        from++;
        to--;
    }
    (void)snprintf(host, size, "%.*s", (int)(to - from), from);
    *port = (uint16_t)n;
    return 0;
}

static int start_http(struct daemon *d, struct err *e)
{
    const struct config *c = d->config;
    char host[64];
    struct api_options opts = {
        .host = host,
        .limits = {.body_bytes = (size_t)config_number(c, CONFIG_server_body_bytes),
                   .head_bytes = (size_t)config_number(c, CONFIG_server_head_bytes),
                   .files = (unsigned)config_number(c, CONFIG_server_files),
                   .json_depth = (unsigned)config_number(c, CONFIG_server_json_depth),
                   .head_ms = (unsigned)config_number(c, CONFIG_server_head_ms),
                   .total_ms = (unsigned)config_number(c, CONFIG_server_total_ms),
                   .connections = (unsigned)config_number(c, CONFIG_server_connections),
                   .streams = (unsigned)config_number(c, CONFIG_server_streams),
                   .wait_max_s = (unsigned)config_number(c, CONFIG_server_wait_max_s),
                   .heartbeat_s = (unsigned)config_number(c, CONFIG_server_heartbeat_s)},
        .hooks = {.arg = d,
                  .sandbox_status = hook_sandbox_status,
                  .sandbox_ready = hook_sandbox_ready,
                  .version = VERSION}};
    int rc = parse_listen(config_text(c, CONFIG_server_listen), host, sizeof host, &opts.port, e);
    if (rc == 0)
        rc = api_start(&opts, d->store, &d->api, e);
    if (rc != 0)
        return rc;
    atomic_store(&g_api, d->api);
    char listen[96];
    (void)snprintf(listen, sizeof listen, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, api_port(d->api));
    log_notice("main", "ready", "listen", listen, "version", VERSION, "boot_id", store_boot_id(d->store));
    return 0;
}

static void watch(struct daemon *d)
{
    int rc = uv_signal_init(&d->loop, &d->on_term);
    assert(rc == 0);
    rc = uv_signal_init(&d->loop, &d->on_int);
    assert(rc == 0);
    rc = uv_timer_init(&d->loop, &d->every_second);
    assert(rc == 0);
    d->every_second.data = d;
    (void)uv_signal_start(&d->on_term, on_signal, SIGTERM);
    (void)uv_signal_start(&d->on_int, on_signal, SIGINT);
    (void)uv_timer_start(&d->every_second, on_second, 0, 1000);
}

static int start(struct daemon *d, struct err *e)
{
    int rc = find_paths(d, e);
    if (rc == 0)
        rc = start_store(d, e);
    if (rc == 0)
        rc = start_workers(d, e);
    if (rc == 0)
        rc = start_http(d, e);
    if (rc == 0)
        watch(d);
    return rc;
}

/* Also for a start that failed half-way: what is NULL was not started. */
static void stop(struct daemon *d)
{
    if (d->api)
        api_drain(d->api);
    if (d->pool)
        pool_stop(d->pool, (unsigned)config_number(d->config, CONFIG_workers_grace_ms));
    if (d->sandbox)
        sandbox_stop(d->sandbox);
    if (d->api)
        api_stop(d->api);
    if (d->every_second.data) {
        uv_close((uv_handle_t *)&d->on_term, NULL);
        uv_close((uv_handle_t *)&d->on_int, NULL);
        uv_close((uv_handle_t *)&d->every_second, NULL);
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT); /* handles close */
    store_reader_close(d->reader);
    if (d->store)
        store_close(d->store); /* ends the writer, so nobody calls on_commit any more */
    atomic_store(&g_pool, NULL);
    atomic_store(&g_api, NULL);
    pool_free(d->pool);
    api_free(d->api);
    if (d->sandbox)
        sandbox_free(d->sandbox);
    free(d->jail);
    free(d->package);
    for (int env = 0; env < SANDBOX_ENV_COUNT; env++)
        free(d->python[env]);
}

static int run(struct config *c)
{
    struct daemon d = {.config = c, .started_us = clock_mono_us()};
    struct err e = {0};
    (void)mallopt(M_ARENA_MAX,
                  2); /* many threads, little parallel allocation: keeps the resident size small */
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive reads file names by it */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
    log_set_level((enum log_level)log_level_parse(config_text(c, CONFIG_log_level)));
    int rc = uv_loop_init(&d.loop);
    assert(rc == 0);
    rc = start(&d, &e);
    if (rc == 0)
        (void)uv_run(&d.loop, UV_RUN_DEFAULT);
    else
        log_error("main", "cannot start", "code", ferr_code(rc), "error", e.text);
    stop(&d);
    int closed = uv_loop_close(&d.loop);
    assert(closed == 0);
    if (rc == 0)
        log_info("main", "stopped");
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct config *c = config_new();
    enum args_action action;
    struct err e = {0};
    int status = EXIT_SUCCESS;
    if (args_parse(argc, argv, c, &action, &e) != 0) {
        (void)fprintf(stderr, "ferryd: %s\n", e.text);
        status = 2;
    } else if (action == ARGS_HELP) {
        args_help(stdout);
    } else if (action == ARGS_VERSION) {
        (void)puts("ferryd " VERSION);
    } else if (action == ARGS_PRINT_CONFIG) {
        config_print(c, stdout);
    } else if (action == ARGS_PRINT_ROUTES) {
        api_print_routes(stdout);
    } else {
        status = run(c);
    }
    config_free(c);
    return status;
}
