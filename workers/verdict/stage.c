/*
 * stage.c: collects what a stage found and turns it into JSON.
 *
 * Any thread. Texts of the candidate pass through stage_copy_error(), which bounds them; numbers that JSON
 * lacks become the strings "nan", "inf" and "-inf" for values, and null for an error that can't be measured.
 */
#include "workers/verdict/stage.h"

#include "workers/verdict/st_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 4096
#define TRACEBACK_MAX 16384

static const char *const FINDING_WORDS[FINDING_COUNT] = {
#define X(name, word) word,
    FINDING_TABLE(X)
#undef X
};

bool finding_ok(const struct finding *f)
{
    return f->why == FINDING_VALUES && f->diff.equal;
}

/* How bad, in units of what is allowed. */
static double severity(const struct finding *f)
{
    return f->why == FINDING_VALUES ? verdict_share(f->diff.max_error, f->diff.tolerance) : INFINITY;
}

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* Keeps the figures of a tensor's worst case. They are only told, never judged by: out of memory loses them.
 */
static void note_tensor(struct stage_result *r, const struct finding *f)
{
    if (!r->by_tensor)
        r->by_tensor = json_object();
    json_t *row = json_object_get(r->by_tensor, f->tensor);
    json_int_t cases = json_integer_value(json_object_get(row, "cases")) + 1;
    if (!row || severity(f) > verdict_row_share(row))
        (void)json_object_set_new(r->by_tensor, f->tensor,
                                  json_pack("{s:s, s:o, s:o}", "case", f->case_id, "max_error",
                                            number_or_null(f->diff.max_error), "tolerance",
                                            json_real(f->diff.tolerance)));
    (void)json_object_set_new(json_object_get(r->by_tensor, f->tensor), "cases", json_integer(cases));
}

void stage_record(struct stage_result *r, const struct finding *f)
{
    if (f->why == FINDING_VALUES)
        note_tensor(r, f);
    if (!r->has_worst || severity(f) > severity(&r->worst)) {
        r->worst = *f;
        r->has_worst = true;
    }
    if (finding_ok(f))
        return;
    if (!r->has_first)
        r->first = *f;
    r->has_first = true;
    r->status = STAGE_STATUS_FAILED;
}

void stage_fail(struct stage_result *r, json_t *error_owned)
{
    r->status = STAGE_STATUS_FAILED;
    json_decref(r->error);
    r->error = error_owned;
}

json_t *stage_invalid(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return json_pack("{s:s, s:s}", "code", reason_name(REASON_RESULT_INVALID), "message", text);
}

/* A string of at most `max` bytes, cut between characters. */
static json_t *bounded_string(const json_t *v, size_t max)
{
    size_t len = json_string_length(v);
    const char *s = json_string_value(v);
    if (len > max)
        for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80;)
            len--;
    return json_stringn(s, len);
}

/* A candidate may not blame the source, the oracle or ferryd for what it did: the codes of docs/steps.md. */
static bool may_claim(int reason)
{
    static const enum reason CLAIMS[] = {REASON_CANDIDATE_ERROR, REASON_CANDIDATE_IMPORT, REASON_WEIGHT_MAP,
                                         REASON_DRAWS_DIFFER, REASON_UNSUPPORTED_EXPRESSION};
    for (size_t i = 0; i < sizeof CLAIMS / sizeof *CLAIMS; i++)
        if (reason == (int)CLAIMS[i])
            return true;
    return false;
}

json_t *stage_copy_error(const json_t *error)
{
    static const char *const TEXTS[] = {"message", "file", "text", "why", "traceback"};
    const char *code = json_string_value(json_object_get(error, "code"));
    if (!may_claim(reason_parse(code)))
        return stage_invalid("the check reports an error without a known code");
    json_t *copy = json_pack("{s:s}", "code", code);
    for (size_t i = 0; copy && i < sizeof TEXTS / sizeof *TEXTS; i++) {
        const json_t *v = json_object_get(error, TEXTS[i]);
        size_t max = strcmp(TEXTS[i], "traceback") == 0 ? TRACEBACK_MAX : TEXT_MAX;
        if (json_object_set_new(copy, TEXTS[i], json_is_string(v) ? bounded_string(v, max) : json_null()) !=
            0) {
            json_decref(copy);
            return NULL;
        }
    }
    const json_t *line = json_object_get(error, "line");
    json_t *number = json_is_integer(line) ? json_integer(json_integer_value(line)) : json_null();
    if (json_object_set_new(copy, "line", number) != 0) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

enum reason stage_error_reason(const json_t *error)
{
    int reason = reason_parse(json_string_value(json_object_get(error, "code")));
    return reason < 0 ? REASON_RESULT_INVALID : (enum reason)reason;
}

json_t *verdict_number(double v)
{
    if (isnan(v))
        return json_string("nan");
    if (isinf(v))
        return json_string(v > 0 ? "inf" : "-inf");
    return json_real(v);
}

static json_t *shape_json(const struct st_tensor *t)
{
    json_t *shape = t ? json_array() : json_null();
    for (size_t i = 0; t && i < t->ndim; i++)
        (void)json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return shape;
}

int finding_add_figures(json_t *o, const struct finding *f)
{
    bool figures = f->why == FINDING_VALUES;
    int rc = json_object_set_new(o, "max_error", figures ? number_or_null(f->diff.max_error) : json_null());
    rc |= json_object_set_new(o, "tolerance", figures ? number_or_null(f->diff.tolerance) : json_null());
    rc |= json_object_set_new(o, "index", figures ? json_integer((json_int_t)f->diff.index) : json_null());
    rc |= json_object_set_new(o, "expected", figures ? verdict_number(f->diff.expected) : json_null());
    rc |= json_object_set_new(o, "actual", figures ? verdict_number(f->diff.actual) : json_null());
    rc |= json_object_set_new(o, "shape", shape_json(f->expected));
    rc |= json_object_set_new(o, "why", json_string(FINDING_WORDS[f->why]));
    rc |= json_object_set_new(o, "text", *f->text ? json_string(f->text) : json_null());
    return rc ? -1 : 0;
}

/* {"case", "tensor"} and the figures. */
static json_t *finding_json(const struct finding *f)
{
    json_t *o = json_pack("{s:s, s:s}", "case", f->case_id, "tensor", f->tensor);
    if (o && finding_add_figures(o, f) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *stage_json(enum stage stage, const struct stage_result *r)
{
    bool figures = r->has_worst && r->worst.why == FINDING_VALUES;
    json_t *o =
        json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "name", stage_name(stage), "status",
                  stage_status_name(r->status), "max_error",
                  figures ? number_or_null(r->worst.diff.max_error) : json_null(), "tolerance",
                  figures ? number_or_null(r->worst.diff.tolerance) : json_null(), "cases",
                  (json_int_t)r->cases, "tensors", (json_int_t)r->tensors, "skipped", (json_int_t)r->skipped);
    int rc = o ? 0 : -1;
    if (rc == 0 && r->assumed > 0)
        rc = json_object_set_new(o, "assumed", json_integer((json_int_t)r->assumed));
    if (rc == 0 && r->sampled > 0)
        rc = json_object_set_new(o, "sampled", json_integer((json_int_t)r->sampled));
    if (rc == 0 && r->noise > 0)
        rc = json_object_set_new(o, "noise", json_real(r->noise));
    if (rc == 0 && r->has_worst)
        rc = json_object_set_new(o, "worst", finding_json(&r->worst));
    if (rc == 0 && r->by_tensor)
        rc = json_object_set(o, "by_tensor", r->by_tensor);
    if (rc == 0 && r->error)
        rc = json_object_set(o, "error", r->error);
    if (rc != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *stage_first_difference(enum stage stage, const struct stage_result *r)
{
    if (r->error)
        return json_pack("{s:s, s:n, s:n, s:O}", "stage", stage_name(stage), "path", "tensor", "error",
                         r->error);
    if (!r->has_first)
        return json_null();
    json_t *o = finding_json(&r->first);
    if (!o)
        return NULL;
    int rc = json_object_set_new(o, "stage", json_string(stage_name(stage)));
    rc |= json_object_set_new(o, "path", json_null());
    rc |= json_object_set_new(o, "bug", json_null());
    if (rc) {
        json_decref(o);
        return NULL;
    }
    return o;
}
