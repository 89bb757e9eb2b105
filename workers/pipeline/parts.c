/*
 * parts.c: a row for each class of the source, so that one hard block does not spoil the rest.
 *
 * Worker thread. Where the whole is proven its proof is that of its classes. Else each class is an entry of
 * its own, leaf first: its oracle comes from the arguments that the capture saw, its candidate is the class
 * of the same name in the candidate at hand, with a map that is inferred. A row decides nothing about the
 * job: what can't be run by itself has no verdict and says why. All runs share the job's deadline.
 */
#include "workers/pipeline/pipeline.h"

#include <ctype.h>
#include <string.h>

enum { ROWS_MAX = 256, RUNS_MAX = 12 };

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void say(json_t *row, const char *why)
{
    (void)json_object_set_new(row, "why", why ? json_string(why) : json_null());
}

/* ---- rows ------------------------------------------------------------------------------------------------
 */

/* What the capture knows of a class, and nothing yet of its port. The capture's result is untrusted: only
 * what has its type is taken over. New reference. */
static json_t *new_row(const json_t *part)
{
    static const char *const TEXTS[] = {"class", "entry", "file", "init_expr", "inputs_expr", "why"};
    static const char *const NUMBERS[] = {"line", "instances"};
    json_t *row = json_pack("{s:n, s:n, s:n, s:n, s:[], s:[], s:[], s:n}", "verdict", "proven_by", "score",
                            "reason", "assumptions", "refusals", "holes", "first_difference");
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        json_t *text = json_object_get(part, TEXTS[i]);
        (void)json_object_set(row, TEXTS[i], json_is_string(text) ? text : json_null());
    }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        json_t *number = json_object_get(part, NUMBERS[i]);
        (void)json_object_set(row, NUMBERS[i], json_is_integer(number) ? number : json_null());
    }
    return row;
}

/* The job's entry, which is no part of itself. */
static bool is_whole(const json_t *part)
{
    const char *path = text_at(part, "path");
    return path && !*path;
}

static bool was_called(const json_t *part)
{
    return json_integer_value(json_object_get(part, "calls")) > 0;
}

static void set_verdict(json_t *row, const struct run *r, const char *proven_by)
{
    json_t *score = json_object_get(r->judged, "score");
    json_t *difference = json_object_get(r->judged, "first_difference");
    (void)json_object_set_new(row, "verdict", json_string(verdict_name(r->verdict)));
    (void)json_object_set_new(row, "score", score ? json_incref(score) : json_integer(0));
    (void)json_object_set(row, "first_difference", difference ? difference : json_null());
    (void)json_object_set(row, "assumptions", r->assumptions);
    if (run_is_proven(r))
        (void)json_object_set_new(row, "proven_by", json_string(proven_by));
    say(row, NULL);
}

static void set_reason(json_t *row, const struct run *r)
{
    if (r->reason >= 0)
        (void)json_object_set_new(row, "reason", json_string(reason_name((enum reason)r->reason)));
}

/* ---- holes -----------------------------------------------------------------------------------------------
 */

static const json_t *holes_of(const struct run *r)
{
    return json_object_get(r->drafted.result, "holes");
}

static json_int_t integer_in(const json_t *array, size_t i)
{
    return json_integer_value(json_array_get(array, i));
}

/* True where a run of the source entered the function that the hole replaces; `ran` has a function's lines
 * from its first decorator on. */
static bool ran_into(const struct run *r, const json_t *hole)
{
    const json_t *ran = json_object_get(json_object_get(r->captured.result, "facts"), "ran");
    const json_t *functions = json_object_get(ran, text_at(hole, "file") ? text_at(hole, "file") : "");
    const json_t *lines = json_object_get(hole, "lines");
    bool is_class = !json_is_string(json_object_get(hole, "function"));
    for (size_t i = 0; i < json_array_size(functions); i++) {
        const json_t *function = json_array_get(functions, i);
        json_int_t first = integer_in(function, 0), last = integer_in(function, 1);
        bool same = first <= integer_in(lines, 0) && last == integer_in(lines, 1);
        bool inside = first >= integer_in(lines, 0) && last <= integer_in(lines, 1);
        if (same || (is_class && inside))
            return true;
    }
    return false;
}

/* The refusals that made a hole, by its place. */
static void add_refusals(json_t *row, const struct run *r, const json_t *hole)
{
    json_t *out = json_array(), *refusal;
    json_int_t line = json_integer_value(json_object_get(hole, "line"));
    const json_t *lines = json_object_get(hole, "lines");
    size_t i;
    json_array_foreach(r->refusals, i, refusal)
    {
        json_int_t at = json_integer_value(json_object_get(refusal, "line"));
        bool inside = at == line || (at >= integer_in(lines, 0) && at <= integer_in(lines, 1));
        if (inside && json_equal(json_object_get(refusal, "file"), json_object_get(hole, "file")))
            (void)json_array_append(out, refusal);
    }
    run_extend(json_object_get(row, "refusals"), out);
    json_decref(out);
}

static bool is_of(const json_t *row, const json_t *hole)
{
    return json_equal(json_object_get(row, "file"), json_object_get(hole, "file")) &&
           json_equal(json_object_get(row, "class"), json_object_get(hole, "class"));
}

/* A class is refused where the port lacks something of it or, once its own run is known (`part`, else NULL),
 * what that needs from elsewhere. True where it is. */
static bool refuse_for_holes(json_t *row, const struct run *whole, const struct run *part)
{
    bool found = false;
    size_t i;
    json_t *hole;
    json_array_foreach((json_t *)(uintptr_t)holes_of(whole), i, hole)
    {
        if (part ? !ran_into(part, hole) : !is_of(row, hole))
            continue;
        found = true;
        (void)json_array_append(json_object_get(row, "holes"), json_object_get(hole, "id"));
        add_refusals(row, whole, hole);
    }
    if (found) {
        (void)json_object_set_new(row, "verdict", json_string(verdict_name(VERDICT_REFUSED)));
        (void)json_object_set_new(row, "reason", json_string(reason_name(REASON_REFUSED)));
        say(row, NULL);
    }
    return found;
}

/* ---- one class by itself ---------------------------------------------------------------------------------
 */

/* The job's request with the class as its entry and the candidate at hand as one that was given. */
static json_t *part_request(const struct run *whole, const json_t *row)
{
    json_t *contract = json_object_get(whole->request, "contract");
    return json_pack("{s:O, s:O, s:O, s:O, s:O*, s:{s:O, s:n, s:n, s:n}}", "source",
                     json_object_get(whole->request, "source"), "entry", json_object_get(row, "entry"),
                     "init_expr", json_object_get(row, "init_expr"), "inputs_expr",
                     json_object_get(row, "inputs_expr"), "contract", contract, "candidate", "files",
                     json_object_get(whole->drafted.result, "files"), "weights", "entry", "adapter");
}

static void share(json_t **own, json_t *whole)
{
    json_decref(*own);
    *own = json_incref(whole);
}

/* Job, reader, and what the report says of steps and sandboxes are the whole's. */
static void part_init(struct run *part, const struct run *whole, const json_t *row)
{
    run_init(part, whole->p, whole->io, whole->lease);
    part->reader = whole->reader;
    part->job = whole->job;
    part->part = text_at(row, "entry");
    part->request = part_request(whole, row);
    part->given = true;
    part->asked = whole->asked;
    part->deadline_us = whole->deadline_us;
    share(&part->seconds, whole->seconds);
    share(&part->stage_seconds, whole->stage_seconds);
    share(&part->versions, whole->versions);
    share(&part->confinement, whole->confinement);
}

static void part_fini(struct run *part, struct run *whole)
{
    buf_printf(&whole->log, "== part %s\n%.*s", part->part, (int)part->log.len,
               part->log.data ? part->log.data : "");
    part->reader = NULL;
    part->job = (struct store_job){0};
    run_fini(part);
}

/* Numbers were compared: a class that can't be built as the source's is, or whose weights find no place, has
 * shown nothing. */
static bool was_compared(const struct run *r)
{
    const json_t *stages = json_object_get(r->judged, "stages");
    for (size_t s = STAGE_PARSE; s <= STAGE_WEIGHTS; s++) {
        const char *status = text_at(json_array_get(stages, s), "status");
        if (!status || strcmp(status, stage_status_name(STAGE_STATUS_FAILED)) == 0)
            return false;
    }
    return true;
}

static void take_outcome(json_t *row, const struct run *part)
{
    set_reason(row, part);
    if (was_compared(part) && part->reason != REASON_BUDGET)
        set_verdict(row, part, "part");
    else
        say(row, text_at(part->error, "message"));
}

/* RUN_GO_ON, also where it ended badly for the class, or a code. */
static int run_part(struct run *whole, json_t *row, struct err *e)
{
    struct run part;
    part_init(&part, whole, row);
    int rc = part.request ? run_to_oracle(&part, e) : RUN_ENDED;
    if (rc == RUN_GO_ON && refuse_for_holes(row, whole, &part)) {
        part_fini(&part, whole);
        return RUN_GO_ON;
    }
    if (rc == RUN_GO_ON)
        rc = run_to_verdict(&part, e);
    if (rc == FERR_SANDBOX)
        rc = run_end(&part, REASON_SANDBOX_UNAVAILABLE, false, NULL);
    if (rc >= 0)
        take_outcome(row, &part);
    part_fini(&part, whole);
    return rc < 0 ? rc : RUN_GO_ON;
}

/* ---- all classes -----------------------------------------------------------------------------------------
 */

/* True where a file's text has a class of this name at the start of a line. */
static bool defines(const char *text, const char *name)
{
    static const char CLASS[] = "class ";
    size_t n = strlen(name);
    for (const char *at = text; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, CLASS, sizeof CLASS - 1) != 0)
            continue;
        const char *end = at + sizeof CLASS - 1;
        if (strncmp(end, name, n) == 0 && !isalnum((unsigned char)end[n]) && end[n] != '_')
            return true;
    }
    return false;
}

static bool candidate_defines(const struct run *r, const char *name)
{
    const json_t *files = json_object_get(r->drafted.result, "files");
    for (size_t i = 0; name && i < json_array_size(files); i++) {
        const char *text = text_at(json_array_get(files, i), "content");
        if (text && defines(text, name))
            return true;
    }
    return false;
}

/* Why no class of this candidate is run by itself; NULL where they are. */
static const char *whole_obstacle(const struct run *r)
{
    const json_t *adapter = json_object_get(json_object_get(r->request, "candidate"), "adapter");
    const json_t *import = json_array_get(json_object_get(r->judged, "stages"), STAGE_IMPORT);
    const char *imported = text_at(import, "status");
    bool failed = imported && strcmp(imported, stage_status_name(STAGE_STATUS_PASSED)) != 0;
    if (json_array_size(json_object_get(r->drafted.result, "files")) == 0)
        return "there is no candidate";
    if (json_is_object(adapter))
        return "the candidate is called through an adapter";
    if (run_is_relaid(r))
        return "the candidate keeps channels last, so its classes take other arrays than the source's";
    return failed ? "the candidate can't be imported" : NULL;
}

/* The same of one class. */
static const char *part_obstacle(const struct run *r, const json_t *row, const json_t *part, int runs)
{
    if (!was_called(part))
        return text_at(row, "why") ? text_at(row, "why") : "it was not called";
    if (!text_at(row, "init_expr") || !text_at(row, "inputs_expr"))
        return text_at(row, "why") ? text_at(row, "why") : "its constructor was not seen";
    if (!candidate_defines(r, text_at(row, "class")))
        return "the candidate has no class of this name";
    return runs >= RUNS_MAX ? "too many other classes were run" : NULL;
}

static void fill_from_whole(struct run *r, json_t *row, const json_t *part)
{
    if (!is_whole(part) && !was_called(part)) {
        say(row, "it was not called");
        return;
    }
    set_reason(row, r);
    set_verdict(row, r, "whole");
    run_extend(json_object_get(row, "refusals"), r->refusals);
    size_t i;
    json_t *hole;
    json_array_foreach((json_t *)(uintptr_t)holes_of(r), i, hole)
    {
        (void)json_array_append(json_object_get(row, "holes"), json_object_get(hole, "id"));
    }
}

/* `*stop` is why no further class is run, or NULL. */
static int fill_row(struct run *r, json_t *row, const json_t *part, int *runs, const char **stop,
                    struct err *e)
{
    if (refuse_for_holes(row, r, NULL))
        return RUN_GO_ON;
    const char *obstacle = *stop ? *stop : part_obstacle(r, row, part, *runs);
    if (obstacle) {
        say(row, obstacle);
        return RUN_GO_ON;
    }
    ++*runs;
    int rc = run_part(r, row, e);
    const char *reason = text_at(row, "reason");
    if (reason && strcmp(reason, reason_name(REASON_BUDGET)) == 0)
        *stop = reason_title(REASON_BUDGET);
    if (reason && strcmp(reason, reason_name(REASON_SANDBOX_UNAVAILABLE)) == 0)
        *stop = reason_title(REASON_SANDBOX_UNAVAILABLE);
    return rc;
}

int run_parts(struct run *r, struct err *e)
{
    const json_t *parts = json_object_get(r->captured.result, "parts");
    const char *stop = whole_obstacle(r);
    int rc = RUN_GO_ON, runs = 0;
    for (size_t i = 0; i < json_array_size(parts) && i < ROWS_MAX && rc == RUN_GO_ON; i++) {
        const json_t *part = json_array_get(parts, i);
        json_t *row = new_row(part);
        (void)json_array_append_new(r->parts, row);
        if (is_whole(part) || run_is_proven(r))
            fill_from_whole(r, row, part);
        else
            rc = fill_row(r, row, part, &runs, &stop, e);
    }
    return rc;
}
