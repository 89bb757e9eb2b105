/*
 * tree.c: walks and compares the specs of output trees.
 *
 * Any thread. Recursion is bounded by DEPTH_MAX, so a hostile spec can't exhaust a worker's stack; a path
 * that does not fit its buffer counts as malformed, because a cut path would name something else.
 */
#include "workers/verdict/tree.h"

#include "workers/verdict/compare.h"
#include "workers/verdict/st_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64
#define KEYS_MAX 4096 /* of one mapping: its keys are paired by search */

bool tree_is(const json_t *spec, const char *kind)
{
    const char *t = json_string_value(json_object_get(spec, "t"));
    return t && strcmp(t, kind) == 0;
}

bool tree_is_number(const json_t *spec)
{
    return tree_is(spec, "bool") || tree_is(spec, "int") || tree_is(spec, "float");
}

double tree_number(const json_t *spec)
{
    const json_t *value = json_object_get(spec, "value");
    const char *word = json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? 1 : 0;
    if (word && strcmp(word, "inf") == 0)
        return INFINITY;
    if (word && strcmp(word, "-inf") == 0)
        return -INFINITY;
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const json_t *items_of(const json_t *spec)
{
    return json_object_get(spec, "items");
}

static size_t arity(const json_t *spec)
{
    return json_array_size(items_of(spec));
}

static const char *key_at(const json_t *spec, size_t i)
{
    return json_string_value(json_array_get(json_object_get(spec, "keys"), i));
}

/* A seq, or a map whose keys are strings, one for each item. */
static bool is_branch(const json_t *spec)
{
    if (!json_is_array(items_of(spec)))
        return false;
    if (tree_is(spec, "seq"))
        return true;
    if (!tree_is(spec, "map") || json_array_size(json_object_get(spec, "keys")) != arity(spec) ||
        arity(spec) > KEYS_MAX)
        return false;
    for (size_t i = 0; i < arity(spec); i++)
        if (!key_at(spec, i))
            return false;
    return true;
}

static bool is_leaf(const json_t *spec)
{
    return tree_is(spec, "tensor") || tree_is(spec, "none") || tree_is(spec, "str") || tree_is_number(spec);
}

/* Enters item i; the caller restores `path->len` afterwards. */
static bool path_enter(struct tree_path *path, const json_t *spec, size_t i)
{
    char index[24];
    (void)snprintf(index, sizeof index, "%zu", i);
    size_t room = sizeof path->text - path->len;
    int n = snprintf(path->text + path->len, room, "%s%s", path->len ? "/" : "",
                     tree_is(spec, "map") ? key_at(spec, i) : index);
    if (n < 0 || (size_t)n >= room)
        return false;
    path->len += (size_t)n;
    return true;
}

static void path_leave(struct tree_path *path, size_t len)
{
    path->len = len;
    path->text[len] = '\0';
}

static bool walk(const json_t *spec, struct tree_path *path, int depth, tree_visit *visit, void *arg)
{
    if (is_leaf(spec))
        return visit(path->len ? path->text : "0", spec, arg);
    if (!is_branch(spec) || depth >= DEPTH_MAX)
        return false;
    size_t len = path->len;
    for (size_t i = 0; i < arity(spec); i++) {
        if (!path_enter(path, spec, i) ||
            !walk(json_array_get(items_of(spec), i), path, depth + 1, visit, arg))
            return false;
        path_leave(path, len);
    }
    return true;
}

bool tree_walk(const json_t *spec, tree_visit *visit, void *arg)
{
    struct tree_path path = {.len = 0};
    return walk(spec, &path, 0, visit, arg);
}

/* "a tensor", "a list of 2", …: for messages, from untrusted specs. */
static const char *describe(const json_t *spec, char *out, size_t size)
{
    char word[24];
    const char *t = json_string_value(json_object_get(spec, "t"));
    if (is_branch(spec))
        (void)snprintf(out, size, "a %s of %zu", tree_is(spec, "map") ? "mapping" : "sequence", arity(spec));
    else if (tree_is_number(spec))
        (void)snprintf(out, size, "the %s %.17g", t, tree_number(spec));
    else if (is_leaf(spec))
        (void)snprintf(out, size, "a %s", t);
    else
        (void)snprintf(out, size, "malformed (%s)", st_printable(t ? t : "no type", word, sizeof word));
    return out;
}

static bool mismatch(const json_t *want, const json_t *got, const struct tree_path *path,
                     struct tree_difference *diff)
{
    char is[64], expected[64];
    diff->path = *path;
    if (path->len == 0)
        (void)snprintf(diff->path.text, sizeof diff->path.text, "0");
    (void)snprintf(diff->text, sizeof diff->text, "is %s, expected %s", describe(got, is, sizeof is),
                   describe(want, expected, sizeof expected));
    return false;
}

/* A number that went through a traced function comes back as a tensor of one element. */
static bool number_of_tensor(const struct tree_context *c, const struct tree_path *path, double *out)
{
    char name[sizeof path->text + 128];
    (void)snprintf(name, sizeof name, "%s%s", c->prefix, path->len ? path->text : "0");
    const struct st_tensor *t = c->actual ? st_find(c->actual, name) : NULL;
    if (!t || t->count != 1)
        return false;
    st_load_double(t, 0, 1, out);
    return true;
}

/* Two scalars of the same type. */
static bool scalars_identical(const json_t *want, const json_t *got)
{
    return json_equal(json_object_get(want, "value"), json_object_get(got, "value")) == 1;
}

static bool same_kind(const json_t *want, const json_t *got)
{
    return tree_is(got, json_string_value(json_object_get(want, "t")));
}

static bool numbers_agree(const json_t *want, const json_t *got, const json_t *truth,
                          const struct tree_context *c, const struct tree_path *path)
{
    double expected = tree_number(want), actual = tree_number(got), reference = tree_number(truth);
    if (tree_is(got, "tensor")) {
        if (!number_of_tensor(c, path, &actual))
            return false;
    } else if (!same_kind(want, got)) {
        return false;
    } else if (!tree_is(want, "float")) {
        return scalars_identical(want, got);
    }
    if (!tree_is(want, "float"))
        return expected == actual;
    return verdict_numbers_equal(expected, actual, tree_is(truth, "float") ? &reference : NULL, c->stored,
                                 c->tol);
}

static bool leaves_agree(const json_t *want, const json_t *got, const json_t *truth,
                         const struct tree_context *c, const struct tree_path *path)
{
    if (tree_is_number(want))
        return numbers_agree(want, got, truth, c, path);
    return same_kind(want, got) && (!tree_is(want, "str") || scalars_identical(want, got));
}

const json_t *tree_item(const json_t *map, const char *key)
{
    for (size_t k = 0; tree_is(map, "map") && is_branch(map) && k < arity(map); k++)
        if (strcmp(key_at(map, k), key) == 0)
            return json_array_get(items_of(map), k);
    return NULL;
}

static bool fixed(const json_t *spec, int depth)
{
    if (is_leaf(spec))
        return true;
    if (!tree_is(spec, "seq") || json_is_true(json_object_get(spec, "list")) || depth >= DEPTH_MAX)
        return false;
    for (size_t i = 0; i < arity(spec); i++)
        if (!fixed(json_array_get(items_of(spec), i), depth + 1))
            return false;
    return true;
}

bool tree_is_fixed(const json_t *spec)
{
    return fixed(spec, 0);
}

/* The item of `spec` that belongs to item i of `like`: by index, or by key. */
static const json_t *counterpart(const json_t *spec, const json_t *like, size_t i)
{
    if (!is_branch(spec) || !same_kind(like, spec))
        return NULL;
    return tree_is(like, "seq") ? json_array_get(items_of(spec), i) : tree_item(spec, key_at(like, i));
}

static bool equal(const json_t *want, const json_t *got, const json_t *truth, const struct tree_context *c,
                  struct tree_path *path, int depth, struct tree_difference *diff)
{
    if (is_leaf(want))
        return leaves_agree(want, got, truth, c, path) || mismatch(want, got, path, diff);
    if (!is_branch(want) || !is_branch(got) || !same_kind(want, got) || depth >= DEPTH_MAX ||
        arity(want) != arity(got))
        return mismatch(want, got, path, diff);
    size_t len = path->len;
    for (size_t i = 0; i < arity(want); i++) {
        const json_t *item = counterpart(got, want, i);
        if (!path_enter(path, want, i))
            return mismatch(want, got, path, diff);
        if (!item)
            return mismatch(json_array_get(items_of(want), i), item, path, diff);
        if (!equal(json_array_get(items_of(want), i), item, counterpart(truth, want, i), c, path, depth + 1,
                   diff))
            return false;
        path_leave(path, len);
    }
    return true;
}

bool tree_equal(const json_t *want, const json_t *got, const json_t *truth,
                const struct tree_context *context, struct tree_difference *diff)
{
    struct tree_path path = {.len = 0};
    return equal(want, got, truth, context, &path, 0, diff);
}
