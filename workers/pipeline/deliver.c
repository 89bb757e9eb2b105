/*
 * deliver.c: what the caller takes home: attempt, report, diff, logs and the bundle.
 *
 * Worker thread. A job that ended badly hands out all that exists: its best candidate with the
 * place where it differs, or at least the report. Failing to pack is an error of ours, so a code.
 */
#include "workers/pipeline/pipeline.h"

#include "workers/bundle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int run_store_text(struct run *r, const char *name, const char *media_type, const char *text, size_t len,
                   struct err *e)
{
    char sha[STORE_SHA_SIZE];
    int rc = store_blob_put(r->p->store, text, len, sha, e);
    if (rc == 0)
        rc = store_artifact_put(r->p->store, r->lease, name, media_type, sha, (int64_t)len, e);
    return rc;
}

int run_store_attempt(struct run *r, struct err *e)
{
    json_t *draft = r->drafted.result, *result = run_result(r);
    char now[CLOCK_RFC3339_SIZE];
    json_t *attempt = json_pack(
        "{s:i, s:s, s:O, s:O*, s:O, s:O, s:O, s:O, s:O, s:o, s:s}", "n", r->attempt, "engine",
        engine_name(r->given ? ENGINE_GIVEN : ENGINE_BUILTIN), "files", json_object_get(draft, "files"),
        "weights", json_object_get(draft, "weights"), "stages", json_object_get(result, "stages"), "score",
        json_object_get(result, "score"), "refusals", r->refusals, "holes", json_object_get(result, "holes"),
        "first_difference", json_object_get(result, "first_difference"), "switches", run_switches(r),
        "created_at", clock_rfc3339(clock_wall_us(), now));
    json_decref(result);
    if (!attempt)
        return err_set(e, FERR_INTERNAL, "the attempt has no files");
    int rc = store_attempt_put(r->p->store, r->lease, r->attempt, attempt, e);
    json_decref(attempt);
    if (rc != 0)
        return rc;
    json_t *data = json_pack("{s:i}", "n", r->attempt);
    struct store_event_new event = {.type = EVENT_ATTEMPT_CREATED, .data = data};
    rc = store_append_wait(r->p->store, r->lease, r->lease->job_id, &event, 1, e);
    json_decref(data);
    return rc;
}

/* ---- the bundle ------------------------------------------------------------------------------------------
 */

struct packing {
    struct bundle_entry *entries; /* entries own their path; text is borrowed from `owned` or JSON */
    size_t n, cap;
    char *texts[4]; /* owned: rendered JSON and the picture */
    int fds[4];     /* owned */
    size_t n_texts, n_fds;
};

static void pack(struct packing *p, const char *prefix, const char *path, const char *data, size_t len,
                 int fd)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->entries = realloc(p->entries, p->cap * sizeof *p->entries);
        assert(p->entries);
    }
    char *whole = NULL;
    int rc = asprintf(&whole, "%s%s", prefix, path);
    assert(rc >= 0);
    p->entries[p->n++] = (struct bundle_entry){.path = whole, .data = data, .len = len, .fd = fd};
}

static void pack_files(struct packing *p, const char *prefix, const json_t *files)
{
    size_t i;
    json_t *file;
    json_array_foreach((json_t *)(uintptr_t)files, i, file)
    {
        const char *path = json_string_value(json_object_get(file, "path"));
        json_t *content = json_object_get(file, "content");
        if (path && json_is_string(content))
            pack(p, prefix, path, json_string_value(content), json_string_length(content), -1);
    }
}

/* Takes the text, which may be NULL. */
static void pack_text(struct packing *p, const char *path, char *text)
{
    if (!text)
        return;
    assert(p->n_texts < sizeof p->texts / sizeof *p->texts);
    p->texts[p->n_texts++] = text;
    pack(p, "", path, text, strlen(text), -1);
}

static void pack_json(struct packing *p, const char *path, const json_t *value)
{
    pack_text(p, path, json_is_object(value) ? json_dumps(value, JSON_INDENT(1)) : NULL);
}

static int pack_blob(struct packing *p, struct run *r, const char *path, const char *sha, struct err *e)
{
    int fd;
    int64_t size;
    int rc = store_blob_open(r->p->store, sha, &fd, &size, e);
    if (rc == 0) {
        p->fds[p->n_fds++] = fd;
        pack(p, "", path, NULL, (size_t)size, fd);
    }
    return rc;
}

static void packing_fini(struct packing *p)
{
    for (size_t i = 0; i < p->n; i++)
        free((char *)(uintptr_t)p->entries[i].path);
    for (size_t i = 0; i < p->n_texts; i++)
        free(p->texts[i]);
    for (size_t i = 0; i < p->n_fds; i++)
        (void)close(p->fds[i]);
    free(p->entries);
}

static const char *text_of(const json_t *files, const char *path)
{
    size_t i;
    json_t *file;
    json_array_foreach((json_t *)(uintptr_t)files, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "path"));
        if (name && strcmp(name, path) == 0)
            return json_string_value(json_object_get(file, "content"));
    }
    return NULL;
}

static int store_bundle(struct run *r, const json_t *report, const struct step_out *delivered, struct err *e)
{
    struct packing p = {0};
    json_t *draft = r->drafted.result;
    const char *diff = json_string_value(json_object_get(draft, "diff"));
    pack_files(&p, "source/", json_object_get(json_object_get(r->request, "source"), "files"));
    pack_files(&p, "jax/", json_object_get(draft, "files"));
    pack_files(&p, "", json_object_get(delivered->result, "files"));
    pack_json(&p, "weights.json", json_object_get(draft, "weights"));
    pack_json(&p, "report.json", report);
    pack_text(&p, "errors.svg", run_picture(json_object_get(json_object_get(report, "result"), "stages")));
    if (diff)
        pack(&p, "", "source.diff", diff, strlen(diff), -1);
    int rc = 0;
    for (size_t i = 0; i < delivered->n_out && rc == 0; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "tests/data/%s.safetensors", delivered->out_names[i]);
        rc = pack_blob(&p, r, path, delivered->out_sha[i], e);
    }
    int fd = -1;
    if (rc == 0)
        rc = bundle_pack(r->job.id, p.entries, p.n, &fd, e);
    packing_fini(&p);
    if (rc != 0)
        return rc;
    char sha[STORE_SHA_SIZE];
    int64_t size;
    rc = store_blob_put_fd(r->p->store, fd, sha, &size, e);
    (void)close(fd);
    if (rc == 0)
        rc = store_artifact_put(r->p->store, r->lease, "bundle.tar.gz", "application/gzip", sha, size, e);
    return rc;
}

/* The plan with the candidate's own entry, which the bundle's tests import. New reference. */
static json_t *plan_for_candidate(const struct run *r)
{
    json_t *plan = json_copy(json_object_get(r->captured.result, "plan"));
    const char *named = json_string_value(json_object_get(json_object_get(r->request, "candidate"), "entry"));
    json_t *entry = named ? json_copy(json_object_get(plan, "entry")) : NULL;
    const char *colon = named ? strchr(named, ':') : NULL;
    if (colon)
        (void)json_object_set_new(entry, "module", json_stringn(named, (size_t)(colon - named)));
    if (entry) {
        (void)json_object_set_new(entry, "name", json_string(colon ? colon + 1 : named));
        (void)json_object_set_new(plan, "entry", entry);
    }
    return plan;
}

static json_t *deliver_request(const struct run *r, const json_t *report)
{
    json_t *draft = r->drafted.result, *weights = json_object_get(draft, "weights");
    json_t *adapter = json_object_get(json_object_get(r->request, "candidate"), "adapter");
    return json_pack("{s:O, s:O, s:O, s:o, s:O, s:O, s:b, s:O}", "files",
                     json_object_get(json_object_get(r->request, "source"), "files"), "candidate",
                     json_object_get(draft, "files"), "weights", weights ? weights : json_null(), "plan",
                     plan_for_candidate(r), "tensors", json_object_get(r->captured.result, "tensors"),
                     "report", report, "given", r->given, "adapter", adapter ? adapter : json_null());
}

/* The deliver step and what comes of it; a candidate that could not even be made has no bundle. */
static int deliver_candidate(struct run *r, const json_t *report, struct err *e)
{
    static const char *const OUTS[] = {"weights", "cases"};
    json_t *request = deliver_request(r, report);
    if (!request)
        return run_end(r, REASON_RESULT_INVALID, false, NULL);
    struct step_in ins[] = {{"given", step_out_sha(&r->captured, "given")},
                            {"expected", step_out_sha(&r->captured, "expected")}};
    struct step_out delivered = {0};
    int rc = step_run(r, STEP_DELIVER, FUNCTION_DELIVER, request, ins, 2, OUTS, 2, &delivered, e);
    json_decref(request);
    if (rc == RUN_GO_ON) {
        json_t *diff = json_object_get(delivered.result, "diff");
        if (r->given && json_is_string(diff))
            (void)json_object_set(r->drafted.result, "diff", diff);
        const char *markdown = text_of(json_object_get(delivered.result, "files"), "REPORT.md");
        if (markdown)
            rc =
                run_store_text(r, "REPORT.md", "text/markdown; charset=utf-8", markdown, strlen(markdown), e);
    }
    if (rc == RUN_GO_ON)
        rc = store_bundle(r, report, &delivered, e);
    step_out_fini(&delivered);
    return rc;
}

/* A job that is proven but can't be delivered has failed; one that ended otherwise keeps its end. */
static int deliver_or_note(struct run *r, const json_t *report, struct err *e)
{
    enum verdict_kind verdict = r->verdict;
    int reason = r->reason;
    json_t *error = json_incref(r->error);
    int rc = run_store_attempt(r, e);
    if (rc == RUN_GO_ON)
        rc = deliver_candidate(r, report, e);
    if (rc == RUN_ENDED && reason >= 0) {
        (void)json_array_append_new(r->notes, json_string("the bundle could not be made"));
        json_decref(r->error);
        r->error = json_incref(error);
        r->verdict = verdict;
        r->reason = reason;
    }
    json_decref(error);
    return rc;
}

static int store_picture(struct run *r, struct err *e)
{
    json_t *result = run_result(r);
    char *text = run_picture(json_object_get(result, "stages"));
    int rc = text ? run_store_text(r, "errors.svg", "image/svg+xml", text, strlen(text), e)
                  : err_set(e, FERR_NO_MEMORY, "no memory for the picture");
    free(text);
    json_decref(result);
    return rc;
}

int run_deliver(struct run *r, struct err *e)
{
    bool candidate = json_array_size(json_object_get(r->drafted.result, "files")) > 0 && r->captured.result;
    json_t *report = run_report(r);
    if (!report)
        return err_set(e, FERR_NO_MEMORY, "no memory for the report");
    int rc = candidate ? deliver_or_note(r, report, e) : RUN_GO_ON;
    const char *diff = json_string_value(json_object_get(r->drafted.result, "diff"));
    if (rc >= 0 && candidate && diff)
        rc = run_store_text(r, "source.diff", "text/x-diff; charset=utf-8", diff, strlen(diff), e);
    json_decref(report);
    report = run_report(r); /* again: deliver itself may have ended the job differently */
    char *text = report ? json_dumps(report, JSON_INDENT(1)) : NULL;
    if (rc >= 0 && text)
        rc = run_store_text(r, "report.json", "application/json", text, strlen(text), e);
    if (rc >= 0 && r->judged)
        rc = store_picture(r, e);
    if (rc >= 0)
        rc = run_store_text(r, "logs.txt", "text/plain; charset=utf-8", r->log.data ? r->log.data : "",
                            r->log.len, e);
    free(text);
    json_decref(report);
    return rc < 0 ? rc : 0;
}
