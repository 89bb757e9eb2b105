/*
 * jobspec_checks.c: what a job request may say, beyond types and ranges.
 *
 * Any thread, pure. Each check gets a value that already has its type; strings hold valid UTF-8 without NUL,
 * because the JSON parser refused anything else.
 */
#include "api/jobspec_checks.h"

#include "api/jobspec.h"
#include "api/jobspec_candidate.h"
#include "daemon/vocab.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const struct pointer *at, struct err *e, const char *what)
{
    return err_at(e, FERR_INVALID_FIELD, at->text, "%s", what);
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

const char *path_fault(const char *path)
{
    if (path[0] == '/')
        return "must be a relative path";
    if (strchr(path, '\\'))
        return "must not hold a backslash";
    if (has_control(path))
        return "must not hold control characters";
    for (const char *seg = path;; seg++) {
        size_t n = strcspn(seg, "/");
        if (n == 0)
            return "must not have an empty segment";
        if ((n == 1 && seg[0] == '.') || (n == 2 && seg[0] == '.' && seg[1] == '.'))
            return "must not have a segment \".\" or \"..\"";
        seg += n;
        if (!*seg)
            return NULL;
    }
}

/* Length of the identifier at `s`; bytes of non-ASCII characters count as letters. */
static size_t identifier_length(const char *s)
{
    size_t n = 0;
    for (; s[n]; n++) {
        unsigned char c = (unsigned char)s[n];
        if (c != '_' && c < 0x80 && !isalpha(c) && !(n > 0 && isdigit(c)))
            break;
    }
    return n;
}

static bool identifier_valid(const char *s)
{
    size_t n = identifier_length(s);
    return n > 0 && s[n] == '\0';
}

bool entry_valid(const char *entry)
{
    const char *colon = strchr(entry, ':');
    if (!colon)
        return identifier_valid(entry);
    for (const char *s = entry;; s++) {
        size_t n = identifier_length(s);
        if (n == 0)
            return false;
        s += n;
        if (s == colon)
            return identifier_valid(colon + 1);
        if (*s != '.')
            return false;
    }
}

size_t json_text_depth(const char *text, size_t len)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            deepest = ++depth > deepest ? depth : deepest;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

int check_path(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    const char *fault = path_fault(json_string_value(value));
    return fault ? refuse(at, e, fault) : 0;
}

int check_entry(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    if (entry_valid(json_string_value(value)))
        return 0;
    return refuse(at, e, "must be \"Name\" or \"module:Name\" (a class or a function)");
}

int check_plain_text(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    return has_control(json_string_value(value)) ? refuse(at, e, "must not hold control characters") : 0;
}

int check_identifier(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    return identifier_valid(json_string_value(value)) ? 0 : refuse(at, e, "must be a Python identifier");
}

int check_labels(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    const char *key;
    json_t *label;
    json_object_foreach(value, key, label)
    {
        struct pointer here = pointer_member(at, key);
        size_t n = strlen(key);
        if (n == 0 || n > 63 || has_control(key))
            return refuse(&here, e, "must have a name of 1 to 63 bytes without control characters");
        if (!json_is_string(label) || json_string_length(label) > 255 ||
            has_control(json_string_value(label)))
            return refuse(&here, e, "must be a string of at most 255 bytes without control characters");
    }
    return 0;
}

int check_kwargs(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member)
    {
        struct pointer here = pointer_member(at, key);
        if (!identifier_valid(key))
            return refuse(&here, e, "must be named by a Python identifier");
    }
    return 0;
}

/* ---- files ---- */

struct path_at {
    const char *path;
    size_t index;
};

/* Orders "a" before "a/b" and both before "a.py": '/' sorts lowest, so that a folder's files follow its name.
 */
static int path_compare(const void *left, const void *right)
{
    const struct path_at *a = left, *b = right;
    const char *x = a->path, *y = b->path;
    for (; *x && *x == *y; x++, y++)
        ;
    int cx = *x == '/' ? 1 : *x ? (unsigned char)*x + 1 : 0;
    int cy = *y == '/' ? 1 : *y ? (unsigned char)*y + 1 : 0;
    if (cx != cy)
        return cx < cy ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Two neighbours of the sorted list that can't exist together. */
static int check_pair(const struct path_at *a, const struct path_at *b, const struct pointer *at,
                      struct err *e)
{
    size_t n = strlen(a->path);
    if (strncmp(a->path, b->path, n) != 0 || (b->path[n] != '\0' && b->path[n] != '/'))
        return 0;
    struct pointer item = pointer_index(at, b->index), here = pointer_member(&item, "path");
    return err_at(e, FERR_INVALID_FIELD, here.text,
                  b->path[n] ? "lies in \"%.128s\", which is a file" : "is \"%.128s\" for the second time",
                  a->path);
}

static int check_paths_differ(const json_t *files, const struct pointer *at, struct err *e)
{
    size_t n = json_array_size(files);
    struct path_at *paths = calloc(n, sizeof *paths);
    if (!paths)
        return err_set(e, FERR_NO_MEMORY, "no memory for the request");
    for (size_t i = 0; i < n; i++)
        paths[i] = (struct path_at){json_string_value(json_object_get(json_array_get(files, i), "path")), i};
    qsort(paths, n, sizeof *paths, path_compare);
    int rc = 0;
    for (size_t i = 1; i < n && rc == 0; i++)
        rc = check_pair(&paths[i - 1], &paths[i], at, e);
    free(paths);
    return rc;
}

static bool is_python(const json_t *file)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".py") == 0;
}

int check_files(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    const struct jobspec_limits *limits = arg;
    size_t n = json_array_size(value);
    if (n > limits->files)
        return err_at(e, FERR_INVALID_FIELD, at->text, "must have at most %u files", limits->files);
    bool python = false;
    for (size_t i = 0; i < n; i++)
        python = python || is_python(json_array_get(value, i));
    if (!python)
        return refuse(at, e, "must have a file that ends in \".py\"");
    return check_paths_differ(value, at, e);
}

/* ---- inputs ---- */

/* Elements of a shape, or a number above the limit. */
static json_int_t shape_elements(const json_t *shape)
{
    json_int_t total = 1;
    size_t i;
    json_t *dim;
    json_array_foreach(shape, i, dim)
    {
        json_int_t n = json_integer_value(dim);
        if (n == 0)
            return 0;
        total = total > JOBSPEC_ELEMENTS_MAX / n ? JOBSPEC_ELEMENTS_MAX + 1 : total * n;
    }
    return total;
}

static int check_bounds(const json_t *input, const struct pointer *at, struct err *e)
{
    const json_t *low = json_object_get(input, "low"), *high = json_object_get(input, "high");
    if (!low || !high || json_number_value(low) < json_number_value(high))
        return 0;
    struct pointer here = pointer_member(at, "high");
    return refuse(&here, e, "must be greater than \"low\"");
}

/* A value is a plain argument, or with a shape the number that fills the tensor. */
static int check_value(const json_t *input, const struct pointer *at, struct err *e)
{
    static const char *const DRAWN_ONLY[] = {"low", "high"};
    bool shape = json_object_get(input, "shape");
    for (size_t i = 0; i < sizeof DRAWN_ONLY / sizeof DRAWN_ONLY[0]; i++) {
        struct pointer here = pointer_member(at, DRAWN_ONLY[i]);
        if (json_object_get(input, DRAWN_ONLY[i]))
            return refuse(&here, e, "does not go with a \"value\"");
    }
    struct pointer here = pointer_member(at, shape ? "value" : "dtype");
    if (!shape && json_object_get(input, "dtype"))
        return refuse(&here, e, "belongs to an input with a \"shape\"");
    const json_t *value = json_object_get(input, "value");
    if (shape && !json_is_number(value) && !json_is_boolean(value))
        return refuse(&here, e, "must be a number or a boolean where there is a \"shape\"");
    return 0;
}

int check_input(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    bool shape = json_object_get(value, "shape"), given = json_object_get(value, "value");
    if (!shape && !given) {
        struct pointer here = pointer_member(at, "shape");
        return err_at(e, FERR_MISSING_FIELD, here.text, "this or a \"value\" is required");
    }
    int rc = given ? check_value(value, at, e) : check_bounds(value, at, e);
    if (rc || !shape || json_object_get(value, "dtype"))
        return rc;
    if (json_object_set_new(value, "dtype", json_string("float32")))
        return err_set(e, FERR_NO_MEMORY, "no memory for the request");
    return 0;
}

int check_inputs(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    json_int_t total = 0;
    size_t i;
    json_t *input;
    json_array_foreach(value, i, input)
    {
        const json_t *shape = json_object_get(input, "shape");
        total += shape ? shape_elements(shape) : 0;
        if (total <= JOBSPEC_ELEMENTS_MAX)
            continue;
        struct pointer item = pointer_index(at, i), here = pointer_member(&item, "shape");
        return err_at(e, FERR_INVALID_FIELD, here.text,
                      "brings the inputs above %" JSON_INTEGER_FORMAT " elements", JOBSPEC_ELEMENTS_MAX);
    }
    return 0;
}

/* ---- the whole ---- */

static bool both_given(const json_t *request, const char *a, const char *b)
{
    const json_t *x = json_object_get(request, a), *y = json_object_get(request, b);
    return x && y && !json_is_null(x) && !json_is_null(y);
}

int check_request(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    static const char *const PAIRS[][2] = {{"init", "init_expr"}, {"inputs", "inputs_expr"}};
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        if (!both_given(value, PAIRS[i][0], PAIRS[i][1]))
            continue;
        struct pointer here = pointer_member(at, PAIRS[i][1]);
        return err_at(e, FERR_INVALID_FIELD, here.text, "excludes \"%s\"", PAIRS[i][0]);
    }
    const char *style = json_string_value(json_object_get(value, "style"));
    if (json_is_true(json_object_get(value, "scan")) && (!style || style_parse(style) != STYLE_IDIOMATIC)) {
        struct pointer here = pointer_member(at, "scan");
        return err_at(e, FERR_INVALID_FIELD, here.text, "needs the style \"idiomatic\"");
    }
    return check_kind(value, at, e);
}
