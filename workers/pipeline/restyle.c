/*
 * restyle.c: switches of the idiomatic style that do not hold are taken back, each alone.
 *
 * Worker thread. A candidate that is not proven is drafted again without the switch that its first difference
 * points at. Where that points at none, the faithful port is tried: if that holds, the switch at fault is
 * found by halving, else the job ends with it. Each candidate is an attempt of its own, and every one is
 * judged by the whole contract; what the draft says of its switches decides nothing.
 */
#include "workers/pipeline/pipeline.h"

#include <stdio.h>
#include <string.h>

enum { ATTEMPTS_MAX = 16 };

/* The switch of the whole source, whose modules have outputs of another layout than the source's. */
static const char LAYOUT[] = "channels_last";

static json_t *made(const struct run *r)
{
    return json_object_get(r->drafted.result, "switches");
}

static bool is_layout(const json_t *one)
{
    const char *id = json_string_value(json_object_get(one, "id"));
    return id && strcmp(id, LAYOUT) == 0;
}

/* ---- which switch a difference points at -----------------------------------------------------------------
 */

/* True where `name` is the module `path` or lies in it. */
static bool is_inside(const char *name, const char *path)
{
    size_t n = strlen(path);
    return n > 0 && strncmp(name, path, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

/* The length of the longest path among a switch's modules that holds `name`; 0 where none does. */
static size_t module_length(const json_t *one, const char *name)
{
    const json_t *modules = json_object_get(one, "modules");
    size_t longest = 0;
    for (size_t i = 0; i < json_array_size(modules); i++) {
        const char *path = json_string_value(json_array_get(modules, i));
        if (path && is_inside(name, path) && strlen(path) > longest)
            longest = strlen(path);
    }
    return longest;
}

/* The switch of the innermost module that holds `name`. */
static json_t *switch_of(const struct run *r, const char *name)
{
    json_t *found = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < json_array_size(made(r)); i++) {
        json_t *one = json_array_get(made(r), i);
        size_t length = is_layout(one) ? 0 : module_length(one, name);
        if (length > longest) {
            longest = length;
            found = one;
        }
    }
    return found;
}

/* The source's tensor in the name of a compared one: "grad/param/fc.weight" is of fc.weight. */
static const char *tensor_name(const char *compared)
{
    static const char *const KINDS[] = {"grad/param/", "param/", "state/"};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        const char *at = strstr(compared, KINDS[i]);
        if (at)
            return at + strlen(KINDS[i]);
    }
    return NULL;
}

/* Where channels are last, the first image of all differs from the source's, which says nothing. */
static bool says_nothing(const struct run *r, const char *path)
{
    const json_t *first = json_array_get(made(r), 0);
    return is_layout(first) && module_length(first, path) > 0;
}

/* Borrowed; NULL where nothing points at one. */
static json_t *pointed_at(const struct run *r)
{
    const json_t *difference = json_object_get(r->judged, "first_difference");
    const char *tensor = json_string_value(json_object_get(difference, "tensor"));
    const char *path = json_string_value(json_object_get(difference, "path"));
    const char *name = tensor ? tensor_name(tensor) : NULL;
    if (name)
        return switch_of(r, name);
    return path && !says_nothing(r, path) ? switch_of(r, path) : NULL;
}

/* ---- drafting again --------------------------------------------------------------------------------------
 */

/* What went wrong with the candidate at hand, for the report. New reference. */
static json_t *reason_of(const struct run *r)
{
    const json_t *difference = json_object_get(r->judged, "first_difference");
    const char *stage = json_string_value(json_object_get(difference, "stage"));
    const char *path = json_string_value(json_object_get(difference, "path"));
    const char *tensor = json_string_value(json_object_get(difference, "tensor"));
    const char *message = json_string_value(json_object_get(json_object_get(difference, "error"), "message"));
    const char *where = path && *path ? path : tensor;
    char text[512];
    (void)snprintf(text, sizeof text, "%s %s%s%s", stage ? stage : "the check",
                   message ? "failed" : "differed", message || where ? (message ? ": " : " at ") : "",
                   message ? message
                   : where ? where
                           : "");
    return json_string(text);
}

static void take_back(struct run *r, json_t *one, json_t *reason)
{
    json_t *copy = json_copy(one);
    (void)json_object_set(copy, "reason", reason);
    (void)json_array_append_new(r->taken_back, copy);
}

static void forget_candidate(struct run *r)
{
    step_out_fini(&r->drafted);
    step_out_fini(&r->checked);
    json_decref(r->judged);
    json_decref(r->worst_case);
    json_decref(r->accept_seed);
    r->judged = r->worst_case = r->accept_seed = NULL;
    (void)json_array_clear(r->refusals);
}

/* The candidate at hand is kept as an attempt, and the next one made and judged. A bad end of it is a
 * difference like any other. */
static int try_again(struct run *r, struct err *e)
{
    static int (*const STRETCHES[])(struct run *, struct err *) = {run_draft, run_check, run_judge,
                                                                   run_accept, run_locate};
    int rc = run_store_attempt(r, e);
    if (rc != 0)
        return rc;
    forget_candidate(r);
    r->attempt++;
    for (size_t i = 0; i < sizeof STRETCHES / sizeof *STRETCHES && rc == RUN_GO_ON; i++)
        rc = STRETCHES[i](r, e);
    (void)run_went_well(r, &rc);
    return rc;
}

static bool may_try(const struct run *r)
{
    return r->attempt < ATTEMPTS_MAX && clock_mono_us() < r->deadline_us;
}

/* ---- where nothing points --------------------------------------------------------------------------------
 */

static json_t *slice(const json_t *array, size_t from, size_t to)
{
    json_t *out = json_array();
    for (size_t i = from; i < to; i++)
        (void)json_array_append(out, json_array_get(array, i));
    return out;
}

/* A draft without those of `before` and `more`. */
static int try_without(struct run *r, const json_t *before, const json_t *more, json_t *reason, struct err *e)
{
    (void)json_array_clear(r->taken_back);
    (void)json_array_extend(r->taken_back, (json_t *)(uintptr_t)before);
    for (size_t i = 0; i < json_array_size(more); i++)
        take_back(r, json_array_get(more, i), reason);
    return try_again(r, e);
}

/* Halves the suspects (owned) until one is left or no attempt is; `*held` (new) are those without which the
 * port was proven last, or NULL. */
static int halve(struct run *r, const json_t *before, json_t *suspects, json_t *reason, json_t **held,
                 struct err *e)
{
    int rc = RUN_GO_ON;
    while (rc == RUN_GO_ON && json_array_size(suspects) > 1 && may_try(r)) {
        size_t n = json_array_size(suspects);
        json_t *half = slice(suspects, 0, n / 2), *rest = slice(suspects, n / 2, n);
        rc = try_without(r, before, half, reason, e);
        bool proven = rc == RUN_GO_ON && run_is_equal(r->judged);
        json_decref(suspects);
        suspects = json_incref(proven ? half : rest);
        if (proven) {
            json_decref(*held);
            *held = json_incref(half);
        }
        json_decref(half);
        json_decref(rest);
    }
    if (rc == RUN_GO_ON && !(*held && json_equal(*held, suspects))) {
        rc = try_without(r, before, suspects, reason, e);
        if (rc == RUN_GO_ON && run_is_equal(r->judged)) {
            json_decref(*held);
            *held = json_incref(suspects);
        }
    }
    json_decref(suspects);
    return rc;
}

/* The faithful port, as the last resort and as the proof that a switch is at fault. */
static int try_faithful(struct run *r, const json_t *before, const json_t *all, json_t *reason, struct err *e)
{
    r->plain = true;
    return try_without(r, before, all, reason, e);
}

static int search(struct run *r, struct err *e)
{
    json_t *all = json_deep_copy(made(r)), *before = json_copy(r->taken_back), *reason = reason_of(r);
    json_t *held = NULL;
    int rc = try_faithful(r, before, all, reason, e);
    if (rc == RUN_GO_ON && run_is_equal(r->judged)) {
        r->plain = false;
        rc = halve(r, before, json_incref(all), reason, &held, e);
        if (rc == RUN_GO_ON && !run_is_equal(r->judged))
            rc = held ? try_without(r, before, held, reason, e) : try_faithful(r, before, all, reason, e);
    }
    json_decref(held);
    json_decref(reason);
    json_decref(before);
    json_decref(all);
    return rc;
}

/* ---- the stretch -----------------------------------------------------------------------------------------
 */

/* A source that reacts to nothing is no fault of a switch. */
static bool is_to_blame(const struct run *r)
{
    const char *verdict = json_string_value(json_object_get(r->judged, "verdict"));
    bool differs = verdict && strcmp(verdict, verdict_name(VERDICT_DIFFERS)) == 0;
    return differs && json_array_size(made(r)) > 0;
}

int run_restyle(struct run *r, struct err *e)
{
    int rc = RUN_GO_ON;
    while (rc == RUN_GO_ON && is_to_blame(r) && may_try(r)) {
        json_t *one = pointed_at(r);
        if (!one)
            return search(r, e);
        json_t *reason = reason_of(r);
        take_back(r, one, reason);
        json_decref(reason);
        rc = try_again(r, e);
    }
    if (rc == RUN_GO_ON && is_to_blame(r)) { /* the attempts are spent */
        json_t *all = json_deep_copy(made(r)), *before = json_copy(r->taken_back), *reason = reason_of(r);
        rc = try_faithful(r, before, all, reason, e);
        json_decref(reason);
        json_decref(before);
        json_decref(all);
    }
    return rc;
}

bool run_is_relaid(const struct run *r)
{
    return is_layout(json_array_get(made(r), 0));
}

json_t *run_switches(const struct run *r)
{
    if (r->job.style != STYLE_IDIOMATIC || r->given)
        return json_null();
    json_t *now = made(r);
    return json_pack("{s:O, s:O}", "made", now ? now : json_array(), "taken_back", r->taken_back);
}
