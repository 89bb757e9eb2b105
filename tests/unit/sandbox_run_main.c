/*
 * sandbox_run_main.c: runs steps through the real sandbox, for tests and for people.
 *
 *     sandbox_run_main --jail FILE --torch PYTHON --jax PYTHON --package DIR [--slots N] [--weak]
 *
 * reads one JSON object a line from stdin and starts it at once, each on a thread of its own:
 *
 *     {"id": 1, "env": "torch", "step": "exec", "request": {…}, "in": {"given": FILE}, "out": ["expected"],
 *      "limits": {"wall_ms": 5000, …}, "cancel_after_ms": 100}
 *     {"id": 2, "status": true}
 *
 * and prints one object a line as they end. At the end of the input it waits for all, stops the
 * sandbox and exits. "out" files come back as their size and first bytes.
 */
#include "workers/sandbox/sandbox.h"

#include <assert.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sandbox *sandbox;

struct task {
    pthread_t thread;
    struct task *next;
    json_t *order; /* owned */
};

struct alarm {
    atomic_bool cancelled;
    uv_timer_t timer;
};

static void print_line(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    pthread_mutex_lock(&output_lock);
    (void)printf("%s\n", text ? text : "{}");
    (void)fflush(stdout);
    pthread_mutex_unlock(&output_lock);
    free(text);
    json_decref(line);
}

static json_int_t limit_or(const json_t *order, const char *name, json_int_t otherwise)
{
    const json_t *value = json_object_get(json_object_get(order, "limits"), name);
    return value ? json_integer_value(value) : otherwise;
}

static void read_limits(const json_t *order, struct sandbox_limits *l)
{
    l->wall_ms = (unsigned)limit_or(order, "wall_ms", 60000);
    l->cpu_s = (unsigned)limit_or(order, "cpu_s", 60);
    l->memory_bytes = (uint64_t)limit_or(order, "memory_bytes", 2LL << 30);
    l->processes = (unsigned)limit_or(order, "processes", 64);
    l->output_bytes = (uint64_t)limit_or(order, "output_bytes", 1 << 20);
    l->file_bytes = (uint64_t)limit_or(order, "file_bytes", 64 << 20);
}

static void read_files(json_t *order, struct sandbox_step *step)
{
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach(json_object_get(order, "in"), name, value)
    {
        assert(step->n_in < 4);
        step->in_names[step->n_in] = name;
        step->in_fds[step->n_in] = open(json_string_value(value), O_RDONLY | O_CLOEXEC);
        assert(step->in_fds[step->n_in] >= 0);
        step->n_in++;
    }
    json_array_foreach(json_object_get(order, "out"), i, value)
    {
        assert(i < 4);
        step->out_names[step->n_out++] = json_string_value(value);
    }
}

static json_t *describe_files(const struct sandbox_step *step, const struct sandbox_result *r)
{
    json_t *files = json_object();
    for (size_t i = 0; i < step->n_out; i++) {
        struct stat st;
        char head[64];
        if (r->out_fds[i] < 0 || fstat(r->out_fds[i], &st) != 0)
            continue;
        ssize_t n = pread(r->out_fds[i], head, sizeof head, 0);
        (void)json_object_set_new(files, step->out_names[i],
                                  json_pack("{s:I, s:o}", "size", (json_int_t)st.st_size, "head",
                                            json_stringn(head, n > 0 ? (size_t)n : 0)));
    }
    return files;
}

static json_t *describe(const json_t *order, const struct sandbox_step *step, int rc, const struct err *e,
                        const struct sandbox_result *r)
{
    json_t *line = json_object();
    (void)json_object_set(line, "id", json_object_get(order, "id"));
    (void)json_object_set_new(line, "error", rc ? json_string(ferr_code(rc)) : json_null());
    (void)json_object_set_new(line, "error_text", json_string(e->text));
    (void)json_object_set_new(line, "ok", json_boolean(r->ok));
    (void)json_object_set_new(line, "reason", r->ok ? json_null() : json_string(reason_name(r->reason)));
    (void)json_object_set_new(line, "detail", json_string(r->detail));
    (void)json_object_set_new(line, "result", r->result ? json_incref(r->result) : json_null());
    (void)json_object_set_new(line, "output", r->output ? json_string(r->output) : json_null());
    (void)json_object_set_new(line, "output_bytes",
                              json_integer(r->output ? (json_int_t)strlen(r->output) : 0));
    (void)json_object_set_new(line, "confinement",
                              r->confinement ? json_incref(r->confinement) : json_null());
    (void)json_object_set_new(line, "wall_s", json_real(r->wall_s));
    (void)json_object_set_new(line, "cpu_s", json_real(r->cpu_s));
    (void)json_object_set_new(line, "peak_rss_bytes", json_integer((json_int_t)r->peak_rss_bytes));
    (void)json_object_set_new(line, "out", describe_files(step, r));
    return line;
}

static void on_wake(uv_async_t *async)
{
    (void)async;
}

static void on_alarm(uv_timer_t *timer)
{
    struct alarm *alarm = timer->data;
    atomic_store(&alarm->cancelled, true);
}

static void *run_task(void *arg)
{
    struct task *task = arg;
    struct alarm alarm = {.timer.data = &alarm};
    uv_loop_t loop;
    uv_async_t wake;
    struct worker_io io = {.loop = &loop, .wake = &wake, .cancelled = &alarm.cancelled};
    struct sandbox_result result;
    struct err e = {0};
    const char *env = json_string_value(json_object_get(task->order, "env"));
    char *request = json_dumps(json_object_get(task->order, "request"), JSON_ENCODE_ANY);
    struct sandbox_step step = {.env = strcmp(env, "jax") == 0 ? SANDBOX_JAX : SANDBOX_TORCH,
                                .name = json_string_value(json_object_get(task->order, "step")),
                                .request = request,
                                .request_len = strlen(request)};
    const json_t *cancel = json_object_get(task->order, "cancel_after_ms");

    uv_loop_init(&loop);
    uv_async_init(&loop, &wake, on_wake);
    uv_timer_init(&loop, &alarm.timer);
    if (cancel)
        uv_timer_start(&alarm.timer, on_alarm, (uint64_t)json_integer_value(cancel), 0);
    read_limits(task->order, &step.limits);
    read_files(task->order, &step);
    int rc = sandbox_run(sandbox, &io, &step, &result, &e);
    print_line(describe(task->order, &step, rc, &e, &result));
    sandbox_result_fini(&result);
    for (size_t i = 0; i < step.n_in; i++)
        (void)close(step.in_fds[i]);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_close((uv_handle_t *)&alarm.timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    free(request);
    return NULL;
}

static void start_task(struct task **tasks, json_t *order)
{
    struct task *task = calloc(1, sizeof *task);
    assert(task);
    task->order = order;
    task->next = *tasks;
    *tasks = task;
    int rc = pthread_create(&task->thread, NULL, run_task, task);
    assert(rc == 0);
}

static void *read_orders(void *arg)
{
    struct task *tasks = NULL;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        json_t *order = json_loads(line, 0, NULL);
        assert(order);
        if (json_object_get(order, "status")) {
            json_t *reply = sandbox_status(sandbox);
            (void)json_object_set(reply, "id", json_object_get(order, "id"));
            print_line(reply);
            json_decref(order);
        } else {
            start_task(&tasks, order);
        }
    }
    free(line);
    while (tasks) {
        struct task *task = tasks;
        tasks = task->next;
        (void)pthread_join(task->thread, NULL);
        json_decref(task->order);
        free(task);
    }
    (void)uv_async_send(arg);
    return NULL;
}

static void on_done(uv_async_t *done)
{
    sandbox_stop(sandbox);
    uv_close((uv_handle_t *)done, NULL);
}

static void parse_options(int argc, char **argv, struct sandbox_options *o)
{
    static const struct option OPTIONS[] = {
        {"jail", required_argument, NULL, 'j'},
        {"torch", required_argument, NULL, 't'},
        {"jax", required_argument, NULL, 'x'},
        {"package", required_argument, NULL, 'p'},
        {"slots", required_argument, NULL, 's'},
        {"weak", no_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (opt == 'j')
            o->jail = optarg;
        else if (opt == 't')
            o->python[SANDBOX_TORCH] = optarg;
        else if (opt == 'x')
            o->python[SANDBOX_JAX] = optarg;
        else if (opt == 'p')
            o->package_dir = optarg;
        else if (opt == 's')
            o->slots = (unsigned)strtoul(optarg, NULL, 10);
        else if (opt == 'w')
            o->mode = SANDBOX_WEAK;
        else
            exit(2);
    }
}

int main(int argc, char **argv)
{
    struct sandbox_options options = {0};
    uv_loop_t loop;
    uv_async_t done;
    pthread_t reader;
    struct err e = {0};

    parse_options(argc, argv, &options);
    assert(options.jail && options.python[0] && options.python[1] && options.package_dir);
    uv_loop_init(&loop);
    uv_async_init(&loop, &done, on_done);
    int rc = sandbox_new(&options, &loop, &sandbox, &e);
    assert(rc == 0);
    rc = pthread_create(&reader, NULL, read_orders, &done);
    assert(rc == 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    (void)pthread_join(reader, NULL);
    sandbox_free(sandbox);
    rc = uv_loop_close(&loop);
    assert(rc == 0);
    return 0;
}
