/*
 * turn_main.c: seconds of one check turn, from sending the step to the verdict in C.
 *
 *     build/tests/turn_main FOLDER REPEATS
 *
 * FOLDER holds check.json (the step's request), plan.json, given.safetensors and expected.safetensors. Runs
 * the real sandbox and the real verdict REPEATS times and prints one line of seconds a turn, then the verdict
 * of the last.
 */
#include "daemon/clock.h"
#include "workers/sandbox/sandbox.h"
#include "workers/verdict/verdict.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench {
    const char *folder;
    int repeats;
    struct sandbox *sandbox;
    uv_async_t *finished; /* on the main loop */
    int status;
};

static int open_in(const struct bench *b, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", b->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

static json_t *load_json(const struct bench *b, const char *name)
{
    json_error_t error;
    int fd = open_in(b, name);
    json_t *value = json_loadfd(fd, 0, &error);
    (void)close(fd);
    if (!value) {
        (void)fprintf(stderr, "%s: %s\n", name, error.text);
        exit(1);
    }
    return value;
}

/* The outputs of the plan's one float32 case against the oracle's, by the float32 rule of the contract. */
static bool compare_case(const json_t *plan, const struct st_file *expected, const struct st_file *actual)
{
    const json_t *only = json_array_get(json_object_get(plan, "cases"), 0);
    const char *id = json_string_value(json_object_get(only, "id"));
    const char *truth = json_string_value(json_object_get(only, "truth"));
    char prefix[64], name[256];
    size_t n = (size_t)snprintf(prefix, sizeof prefix, "%s/out/", id), compared = 0;
    for (size_t i = 0; i < st_count(expected); i++) {
        const struct st_tensor *mine = st_at(expected, i);
        if (strncmp(mine->name, prefix, n) != 0)
            continue;
        (void)snprintf(name, sizeof name, "%s/out/%s", truth, mine->name + n);
        const struct st_tensor *theirs = st_find(actual, mine->name), *exact = st_find(expected, name);
        struct verdict_diff diff = {0};
        if (!theirs || !exact || theirs->count != mine->count)
            return false;
        verdict_compare(mine, theirs, exact, &VERDICT_TOLERANCES_DEFAULT, &diff);
        if (!diff.equal)
            return false;
        compared++;
    }
    return compared > 0;
}

/* One turn; the verdict's word goes to `word`. */
static double turn(struct bench *b, struct worker_io *io, const char *request, const json_t *plan,
                   char word[32])
{
    struct err e = {0};
    struct sandbox_step step = {.env = SANDBOX_JAX,
                                .name = "check",
                                .request = request,
                                .request_len = strlen(request),
                                .n_in = 1,
                                .in_names = {"given"},
                                .in_fds = {open_in(b, "given.safetensors")},
                                .n_out = 1,
                                .out_names = {"actual"},
                                .limits = {.wall_ms = 60000,
                                           .cpu_s = 60,
                                           .memory_bytes = 4ULL << 30,
                                           .processes = 64,
                                           .output_bytes = 1 << 20,
                                           .file_bytes = 1ULL << 30}};
    struct sandbox_result result = {0};
    int64_t started = clock_mono_us();
    int rc = sandbox_run(b->sandbox, io, &step, &result, &e);
    if (rc != 0 || !result.ok) {
        (void)fprintf(stderr, "step: %s %s\n%s\n", e.text, result.detail, result.output ? result.output : "");
        exit(1);
    }
    struct st_file *expected = NULL, *actual = NULL;
    int fd = open_in(b, "expected.safetensors");
    rc = st_open(fd, NULL, &expected, &e);
    (void)close(fd);
    if (rc == 0)
        rc = st_open(result.out_fds[0], NULL, &actual, &e);
    bool equal = rc == 0 && compare_case(plan, expected, actual);
    double seconds = (double)(clock_mono_us() - started) / 1e6;
    if (rc != 0) {
        (void)fprintf(stderr, "tensors: %s\n", e.text);
        exit(1);
    }
    (void)snprintf(word, 32, "%s", equal ? "equal" : "differs");
    st_close(expected);
    st_close(actual);
    sandbox_result_fini(&result);
    (void)close(step.in_fds[0]);
    return seconds;
}

static void nothing(uv_async_t *handle)
{
    (void)handle;
}

static void worker(void *arg)
{
    struct bench *b = arg;
    uv_loop_t loop;
    uv_async_t wake;
    atomic_bool cancelled = false;
    char word[32] = "";
    int rc = uv_loop_init(&loop);
    assert(rc == 0);
    rc = uv_async_init(&loop, &wake, nothing);
    assert(rc == 0);
    while (!sandbox_ready(b->sandbox))
        (void)usleep(20000);
    struct worker_io io = {.loop = &loop, .wake = &wake, .cancelled = &cancelled};
    json_t *request = load_json(b, "check.json"), *plan = load_json(b, "plan.json");
    char *text = json_dumps(request, JSON_COMPACT);
    for (int i = 0; i < b->repeats; i++)
        (void)printf("%.4f ", turn(b, &io, text, plan, word));
    (void)printf("\n%s\n", word);
    free(text);
    json_decref(request);
    json_decref(plan);
    uv_close((uv_handle_t *)&wake, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    (void)uv_async_send(b->finished);
}

static void on_finished(uv_async_t *handle)
{
    uv_close((uv_handle_t *)handle, NULL);
    uv_stop(handle->loop);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: turn_main FOLDER REPEATS\n");
        return 2;
    }
    struct bench b = {.folder = argv[1], .repeats = (int)strtol(argv[2], NULL, 10)};
    struct sandbox_options opts = {.mode = SANDBOX_STRICT,
                                   .jail = "build/ferry-jail",
                                   .python = {"build/envs/torch/bin/python", "build/envs/jax/bin/python"},
                                   .package_dir = "build/python"};
    uv_loop_t loop;
    uv_async_t finished;
    uv_thread_t thread;
    struct err e = {0};
    int rc = uv_loop_init(&loop);
    assert(rc == 0);
    rc = uv_async_init(&loop, &finished, on_finished);
    assert(rc == 0);
    b.finished = &finished;
    if (sandbox_new(&opts, &loop, &b.sandbox, &e) != 0) {
        (void)fprintf(stderr, "sandbox: %s\n", e.text);
        return 1;
    }
    rc = uv_thread_create(&thread, worker, &b);
    assert(rc == 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_thread_join(&thread);
    sandbox_stop(b.sandbox);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    sandbox_free(b.sandbox);
    (void)uv_loop_close(&loop);
    return 0;
}
