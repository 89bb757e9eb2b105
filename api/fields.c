/*
 * fields.c: the walker behind the tables of fields.h.
 *
 * Any thread. Depth is bounded by the table, and for free-form values by the caller's limit on nesting.
 */
#include "api/fields.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct pointer pointer_member(const struct pointer *parent, const char *name)
{
    struct pointer p = *parent;
    size_t n = strlen(p.text);
    if (n + 2 >= sizeof p.text)
        return p;
    p.text[n++] = '/';
    for (; *name && n + 3 < sizeof p.text; name++) {
        if (*name == '~' || *name == '/') {
            p.text[n++] = '~';
            p.text[n++] = *name == '~' ? '0' : '1';
        } else {
            p.text[n++] = *name;
        }
    }
    p.text[n] = '\0';
    return p;
}

struct pointer pointer_index(const struct pointer *parent, size_t index)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%zu", index);
    return pointer_member(parent, digits);
}

bool words_have(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, " ");
        if (n == len && memcmp(w, word, n) == 0)
            return true;
        w += n;
        w += strspn(w, " ");
    }
    return false;
}

static const char *type_name(enum field_type type)
{
    static const char *const NAMES[] = {
        [FIELD_STRING] = "a string",   [FIELD_INTEGER] = "an integer", [FIELD_NUMBER] = "a number",
        [FIELD_BOOLEAN] = "a boolean", [FIELD_OBJECT] = "an object",   [FIELD_ARRAY] = "an array",
        [FIELD_ANY] = "a value",
    };
    return NAMES[type];
}

static bool has_type(enum field_type type, const json_t *v)
{
    switch (type) {
    case FIELD_STRING:
        return json_is_string(v);
    case FIELD_INTEGER:
        return json_is_integer(v);
    case FIELD_NUMBER:
        return json_is_number(v);
    case FIELD_BOOLEAN:
        return json_is_boolean(v);
    case FIELD_OBJECT:
        return json_is_object(v);
    case FIELD_ARRAY:
        return json_is_array(v);
    case FIELD_ANY:
        return true;
    }
    return false;
}

static int invalid(const struct pointer *at, struct err *e, const char *what, json_int_t min, json_int_t max)
{
    return err_at(e, FERR_INVALID_FIELD, at->text,
                  "must %s from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, what, min, max);
}

static int check_range(const struct field *f, const json_t *v, const struct pointer *at, struct err *e)
{
    json_int_t n;
    const char *what;
    switch (f->type) {
    case FIELD_STRING:
        n = (json_int_t)json_string_length(v);
        what = "have a length in bytes";
        break;
    case FIELD_INTEGER:
        n = json_integer_value(v);
        what = "be an integer";
        break;
    case FIELD_ARRAY:
        n = (json_int_t)json_array_size(v);
        what = "have a number of items";
        break;
    case FIELD_OBJECT:
        n = (json_int_t)json_object_size(v);
        what = "have a number of members";
        break;
    default:
        return 0;
    }
    if (f->min == 0 && f->max == 0)
        return 0;
    return n < f->min || n > f->max ? invalid(at, e, what, f->min, f->max) : 0;
}

static const struct field *member_find(const struct field *members, const char *name)
{
    for (const struct field *m = members; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

static int check_known(const struct field *f, json_t *object, const struct pointer *at, struct err *e)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const struct field *m = member_find(f->members, name);
        struct pointer here = pointer_member(at, name);
        if (!m)
            return err_at(e, FERR_UNKNOWN_FIELD, here.text, "there is no such field");
        if (m->refused)
            return err_at(e, FERR_INVALID_FIELD, here.text, "is %s", m->refused);
    }
    return 0;
}

static int fill_default(const struct field *m, json_t *object, const struct pointer *at, struct err *e)
{
    if (m->flags & FIELD_REQUIRED) {
        struct pointer here = pointer_member(at, m->name);
        return err_at(e, FERR_MISSING_FIELD, here.text, "this field is required");
    }
    if (!m->fallback)
        return 0;
    json_t *value = json_loads(m->fallback, JSON_DECODE_ANY, NULL);
    if (!value || json_object_set_new(object, m->name, value))
        return err_set(e, FERR_NO_MEMORY, "no memory for the request");
    return 0;
}

static int check_members(const struct field *f, json_t *object, const struct pointer *at, const void *arg,
                         struct err *e)
{
    int rc = check_known(f, object, at, e);
    for (const struct field *m = f->members; rc == 0 && m->name; m++) {
        if (m->refused)
            continue;
        json_t *value = json_object_get(object, m->name);
        struct pointer here = pointer_member(at, m->name);
        rc = value ? fields_check(m, value, &here, arg, e) : fill_default(m, object, at, e);
    }
    return rc;
}

static int check_items(const struct field *f, json_t *array, const struct pointer *at, const void *arg,
                       struct err *e)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        struct pointer here = pointer_index(at, i);
        int rc = fields_check(f->items, item, &here, arg, e);
        if (rc)
            return rc;
    }
    return 0;
}

int fields_check(const struct field *f, json_t *value, const struct pointer *at, const void *arg,
                 struct err *e)
{
    if (json_is_null(value) && (f->flags & FIELD_NULLABLE))
        return 0;
    if (!has_type(f->type, value))
        return err_at(e, FERR_INVALID_FIELD, at->text, "must be %s%s", type_name(f->type),
                      f->flags & FIELD_NULLABLE ? " or null" : "");
    int rc = check_range(f, value, at, e);
    if (rc)
        return rc;
    if (f->words && !words_have(f->words, json_string_value(value)))
        return err_at(e, FERR_INVALID_FIELD, at->text, "must be one of: %s", f->words);
    if (f->type == FIELD_OBJECT && f->members)
        rc = check_members(f, value, at, arg, e);
    else if (f->type == FIELD_ARRAY && f->items)
        rc = check_items(f, value, at, arg, e);
    return rc == 0 && f->check ? f->check(value, at, arg, e) : rc;
}
