/*
 * tree.h: trees of outputs, as docs/steps.md section 3 specifies them.
 *
 * `got` trees are untrusted: any JSON is safe. Any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_TREE_H
#define FERRY_WORKERS_VERDICT_TREE_H

#include "workers/verdict/verdict.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The path of a node: keys and indices joined by '/'. */
struct tree_path {
    char text[512];
    size_t len;
};

/* Called for every leaf, in order; returns false to stop. */
typedef bool tree_visit(const char *path, const json_t *leaf, void *arg);
/* False where `spec` is malformed, too deep, or the visitor stopped. A leaf at the root has the path "0". */
bool tree_walk(const json_t *spec, tree_visit *visit, void *arg);

bool tree_is(const json_t *spec, const char *kind); /* kind: the "t" of a spec */
/* Nothing in it can be written into: an array, or tuples of such. */
bool tree_is_fixed(const json_t *spec);
/* The item of a mapping, NULL where there is none. */
const json_t *tree_item(const json_t *map, const char *key);
bool tree_is_number(const json_t *spec); /* bool, int or float */
/* The value of a number; NAN for a malformed one. */
double tree_number(const json_t *spec);

/* What a comparison of trees needs to judge numbers. */
struct tree_context {
    const struct st_file *actual; /* a number may come back as a tensor of one element; NULL: it may not */
    const char *prefix;           /* of the names of that tree's tensors, with the last '/' */
    enum st_dtype stored;         /* precision of the run */
    const struct verdict_tolerances *tol;
};

struct tree_difference {
    struct tree_path path;
    char text[160]; /* "is a list of 2, expected a tensor" */
};

/* Structure, None, strings, booleans and integers exactly, floats by the tolerance of the run (`truth` is the
 * tree of the float64 run, or NULL). Mappings are equal in any order of keys. Tensors are only met by
 * tensors; their contents are compared elsewhere. False fills `diff` with the first difference. */
bool tree_equal(const json_t *want, const json_t *got, const json_t *truth,
                const struct tree_context *context, struct tree_difference *diff);

#endif
