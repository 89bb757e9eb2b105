/*
 * collect.c: judges what a step left behind.
 *
 * Any thread. All of it is bytes that a hostile step may have written: sizes are checked before
 * anything is mapped, files are sealed before anything is read, the result must be a JSON object of
 * the protocol's form. Nothing here asserts on what it finds.
 */
#include "workers/sandbox/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void fail(struct sandbox_result *out, enum reason reason, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct sandbox_result *out, enum reason reason, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out->detail, sizeof out->detail, fmt, ap);
    va_end(ap);
    out->ok = false;
    out->reason = reason;
}

static void fail_limit(const struct sandbox_step *step, enum reason limit, struct sandbox_result *out)
{
    const struct sandbox_limits *most = &step->limits;
    switch (limit) {
    case REASON_LIMIT_WALL:
        fail(out, limit, "the %s step ran longer than %.1f s", step->name, most->wall_ms / 1000.0);
        break;
    case REASON_LIMIT_CPU:
        fail(out, limit, "the %s step used more than %u s of CPU time", step->name, most->cpu_s);
        break;
    case REASON_LIMIT_MEMORY:
        fail(out, limit, "the %s step used more than %.0f MiB of memory", step->name,
             (double)most->memory_bytes / 1048576.0);
        break;
    case REASON_LIMIT_PROCESSES:
        fail(out, limit, "the %s step had more than %u processes and threads", step->name, most->processes);
        break;
    case REASON_LIMIT_OUTPUT:
        fail(out, limit, "the %s step printed more than %llu bytes", step->name,
             (unsigned long long)most->output_bytes);
        break;
    default:
        fail(out, limit, "the %s step wrote a file larger than %llu bytes", step->name,
             (unsigned long long)most->file_bytes);
        break;
    }
}

/* Where the process itself says that the step failed. */
static bool end_is_failure(const struct sandbox_step *step, const struct step_end *end,
                           struct sandbox_result *out)
{
    if (end->limit != STEP_NO_LIMIT) {
        fail_limit(step, end->limit, out);
    } else if (!end->exited) {
        fail(out, REASON_STEP_CRASHED, "the %s step was ended by signal %d (%s)", step->name, end->code,
             strsignal(end->code));
    } else if (end->code != 0) {
        fail(out, REASON_STEP_CRASHED, "the %s step ended with exit status %d", step->name, end->code);
    } else {
        return false;
    }
    return true;
}

/* Seals `fd` and gives its size, or fails. */
static int seal_sized(const struct sandbox_step *step, int fd, const char *name, size_t *size,
                      struct sandbox_result *out)
{
    struct stat st;
    if (fd_seal(fd) != 0 || fstat(fd, &st) != 0) {
        fail(out, REASON_RESULT_INVALID, "%s can't be sealed", name);
        return -1;
    }
    if ((uint64_t)st.st_size > step->limits.file_bytes) {
        fail(out, REASON_LIMIT_FILE_SIZE, "%s has %lld bytes", name, (long long)st.st_size);
        return -1;
    }
    *size = (size_t)st.st_size;
    return 0;
}

static json_t *parse_result(int fd, size_t size, json_error_t *error)
{
    void *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (text == MAP_FAILED) {
        (void)snprintf(error->text, sizeof error->text, "it can't be mapped");
        return NULL;
    }
    json_t *result = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, error);
    (void)munmap(text, size);
    return result;
}

/* {"ok": true, …} or {"ok": false, "error": {"code": a reason, "message": text, …}}. */
static const char *result_fault(const json_t *result)
{
    const json_t *ok = json_object_get(result, "ok");
    const json_t *error = json_object_get(result, "error");
    if (!json_is_object(result))
        return "it is not an object";
    if (!json_is_boolean(ok))
        return "it has no \"ok\"";
    if (json_is_true(ok))
        return NULL;
    if (reason_parse(json_string_value(json_object_get(error, "code"))) < 0)
        return "its error has no known code";
    if (!json_is_string(json_object_get(error, "message")))
        return "its error has no message";
    return NULL;
}

static int collect_result(const struct sandbox_step *step, int fd, struct sandbox_result *out)
{
    size_t size = 0;
    json_error_t error = {0};
    if (seal_sized(step, fd, "the result", &size, out) != 0)
        return -1;
    if (size == 0) {
        fail(out, REASON_STEP_CRASHED, "the %s step ended without a result", step->name);
        return -1;
    }
    json_t *result = parse_result(fd, size, &error);
    const char *fault = result ? result_fault(result) : error.text;
    if (fault) {
        fail(out, REASON_RESULT_INVALID, "the %s step's result is malformed: %s", step->name, fault);
        json_decref(result);
        return -1;
    }
    out->result = result;
    return 0;
}

static int collect_files(const struct sandbox_step *step, const int fds[4], struct sandbox_result *out)
{
    for (size_t i = 0; i < step->n_out; i++) {
        size_t size;
        if (seal_sized(step, fds[i], step->out_names[i], &size, out) != 0)
            return -1;
    }
    return 0;
}

void step_collect(const struct sandbox_step *step, const struct step_end *end, int result_fd, int out_fds[4],
                  struct sandbox_result *out)
{
    if (!end_is_failure(step, end, out) && collect_files(step, out_fds, out) == 0 &&
        collect_result(step, result_fd, out) == 0) {
        out->ok = true;
        for (size_t i = 0; i < step->n_out; i++) {
            out->out_fds[i] = out_fds[i];
            out_fds[i] = -1;
        }
    }
    for (size_t i = 0; i < step->n_out; i++)
        fd_close(&out_fds[i]);
}
