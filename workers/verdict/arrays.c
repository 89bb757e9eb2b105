/*
 * arrays.c: a stage of cases: every tensor of the oracle against the candidate's.
 *
 * Any thread. The oracle decides what is compared: every name below {case}/out, /arg, /grad, /state, /param
 * and /draw must be met, and every tensor leaf of the plan's output specs must be in the oracle, so that an
 * empty answer can't pass. From the candidate only the arrays count, the trees that hold them, and the names
 * of integer buffers that its weight map leaves out and of parameters that it sums.
 */
#include "workers/verdict/stage.h"

#include "workers/verdict/compare.h"
#include "workers/verdict/st_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE (sizeof(struct tree_path) + 128)

#define DRAWS "draw/"
static const char *const GROUPS[] = {"out/", "arg/", "grad/", "state/", "param/", DRAWS};

struct case_run {
    const struct verdict_input *in;
    const struct plan *plan;
    const struct plan_case *c;
    const struct verdict_tolerances *tol; /* of this case */
    bool sampled;                         /* its draws can't be replayed */
    struct stage_result *r;
    struct err *e;
};

/* Integers of 32 and 64 bits meet (jax has no 64 bits in float32 runs, and neither does a widened float
 * there). */
bool stage_dtypes_meet(enum st_dtype want, enum st_dtype got, bool wide)
{
    if (want == got)
        return true;
    if ((want == ST_I64 && got == ST_I32) || (want == ST_I32 && got == ST_I64))
        return true;
    return !wide && want == ST_F64 && got == ST_F32;
}

static bool shapes_equal(const struct st_tensor *a, const struct st_tensor *b)
{
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) == 0;
}

void stage_compare(const struct st_tensor *expected, const char *local, const struct st_tensor *actual,
                   const struct st_tensor *truth, bool wide, const struct verdict_tolerances *tol,
                   double least_range, struct finding *out)
{
    char is[96], want[96];
    *out = (struct finding){.expected = expected, .why = FINDING_VALUES};
    (void)snprintf(out->tensor, sizeof out->tensor, "%s", local);
    if (!actual) {
        out->why = FINDING_MISSING;
        (void)snprintf(out->text, sizeof out->text, "the candidate gave no such tensor");
    } else if (!shapes_equal(expected, actual)) {
        out->why = FINDING_SHAPE;
        (void)snprintf(out->text, sizeof out->text, "has the shape %s, expected %s",
                       st_shape_text(actual, is, sizeof is), st_shape_text(expected, want, sizeof want));
    } else if (!stage_dtypes_meet(expected->dtype, actual->dtype, wide)) {
        out->why = FINDING_DTYPE;
        (void)snprintf(out->text, sizeof out->text, "is %s, expected %s", st_dtype_torch(actual->dtype),
                       st_dtype_torch(expected->dtype));
    } else {
        verdict_compare_scaled(expected, actual, truth, tol, least_range, &out->diff);
    }
}

/* The largest magnitude beside a tensor: of its group; gradients also count the outputs that they derive, so
 * that the gradients of a constant output, which are all noise, have a scale. */
static double group_magnitude(const struct case_run *run, const char *group)
{
    double largest = 0;
    bool gradients = strcmp(group, "grad/") == 0;
    for (size_t g = 0; g < sizeof GROUPS / sizeof *GROUPS; g++) {
        if (strcmp(GROUPS[g], group) != 0 && !(gradients && strcmp(GROUPS[g], "out/") == 0))
            continue;
        char prefix[NAME_SIZE];
        size_t first;
        (void)snprintf(prefix, sizeof prefix, "%s/%s", run->c->id, GROUPS[g]);
        size_t n = st_prefix(run->in->expected, prefix, &first);
        for (size_t i = 0; i < n; i++)
            largest = fmax(largest, verdict_magnitude(st_by_name(run->in->expected, first + i)));
    }
    return largest;
}

/* The float64 tensor that a float32 one is measured against; the oracle must have it. */
static int find_truth(const struct case_run *run, const struct st_tensor *expected, const char *local,
                      const struct st_tensor **out)
{
    *out = NULL;
    if (run->c->wide || !st_dtype_float(expected->dtype))
        return 0;
    char name[NAME_SIZE], text[96];
    int n = snprintf(name, sizeof name, "%s/%s", run->c->truth, local);
    *out = n > 0 && (size_t)n < sizeof name ? st_find(run->in->expected, name) : NULL;
    if (!*out || !shapes_equal(*out, expected) || !st_dtype_float((*out)->dtype))
        return err_set(run->e, FERR_INVALID_TENSORS, "the oracle has no float64 truth for '%s'",
                       st_printable(expected->name, text, sizeof text));
    return 0;
}

static bool names(const json_t *array, const char *wanted)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *name = json_string_value(json_array_get(array, i));
        if (name && strcmp(name, wanted) == 0)
            return true;
    }
    return false;
}

/* Does the check say of this tensor that the map can't give it back? `list` is absent or assumed. */
static bool listed(const struct case_run *run, const char *list, const char *local)
{
    return names(json_object_get(json_object_get(run->in->check, list), run->c->id), local);
}

/* A counter or an index table that the weight map leaves out takes no part in any float, and a constant that
 * the source holds as an attribute may be one in the candidate's code; their absence is no difference. A
 * float buffer, or an attribute that the source writes, that is not given back is one. Of a choice by
 * weights that adds its noise itself the weights are not seen, but the noise is such that others choose
 * differently. */
static bool may_be_absent(const struct case_run *run, const struct st_tensor *expected, const char *local)
{
    const char *last = strrchr(local, '/');
    if (strncmp(local, DRAWS, strlen(DRAWS)) == 0)
        return strcmp(last, "/weights") == 0 && listed(run, "absent", local);
    return run->c->steps && strncmp(local, "state/", 6) == 0 &&
           (!st_dtype_float(expected->dtype) || names(run->c->unwritten, local)) &&
           listed(run, "absent", local);
}

static bool has_op(const json_t *entry, const char *op)
{
    const json_t *ops = json_object_get(entry, "ops");
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(ops, i), "op"));
        if (name && strcmp(name, op) == 0)
            return true;
    }
    return false;
}

/* Two parameters that the map adds are one variable on the other side, whose steps are not theirs: the sum
 * moves by one step where the source's two move by one each. Only what the map itself adds may be assumed. */
static bool may_be_assumed(const struct case_run *run, const char *local)
{
    const json_t *params = json_object_get(run->in->weights, "params");
    if (run->c->stage != STAGE_OPTIMIZER || strncmp(local, "param/", 6) != 0 ||
        !listed(run, "assumed", local))
        return false;
    for (size_t i = 0; i < json_array_size(params); i++) {
        const json_t *entry = json_array_get(params, i);
        if (has_op(entry, "add") && names(json_object_get(entry, "from"), local + 6))
            return true;
    }
    return false;
}

/* The arguments of a case, or one of the trees of its answer. */
static const json_t *given_arguments(const struct case_run *run)
{
    return json_object_get(json_object_get(run->in->check, "arguments"), run->c->id);
}

/* An array can't be written into. Where the source does, a candidate may return the new value; if it does
 * not, its caller lacks it, which is an assumption. What can be written into, a list or a mapping, must have
 * been. */
static bool argument_is_left_out(const struct case_run *run, const char *key)
{
    return tree_is_fixed(tree_item(run->c->arguments, key)) && !tree_item(given_arguments(run), key);
}

/* Is it a tensor of such an argument? `local` is "arg/key" or "arg/key/…". */
static bool is_of_left_out(const struct case_run *run, const char *local)
{
    char key[NAME_SIZE];
    if (strncmp(local, "arg/", 4) != 0)
        return false;
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(local + 4, "/"), local + 4);
    return argument_is_left_out(run, key);
}

static void record(const struct case_run *run, struct finding *f)
{
    (void)snprintf(f->case_id, sizeof f->case_id, "%s", run->c->id);
    stage_record(run->r, f);
}

/* A tensor of a case that can't be replayed: many runs of both sides instead of one. */
static int one_sample(const struct case_run *run, const struct st_tensor *expected, const char *local)
{
    struct finding f;
    int rc = stage_sample(run->in, expected, local, run->c->wide, &f, run->e);
    if (rc)
        return rc;
    run->r->tensors++;
    record(run, &f);
    return 0;
}

/* `*scale` is the group's magnitude, computed when a tensor first asks for it (negative before). A larger
 * range only ever loosens the comparison, so a tensor that is equal without one never asks. */
static int one_tensor(const struct case_run *run, const struct st_tensor *expected, const char *group,
                      double *scale)
{
    const struct verdict_input *in = run->in;
    const char *local = expected->name + strlen(run->c->id) + 1;
    const struct st_tensor *actual = in->actual ? st_find(in->actual, expected->name) : NULL;
    const struct st_tensor *truth;
    struct finding f;
    int rc = find_truth(run, expected, local, &truth);
    if (rc)
        return rc;
    if (!actual && may_be_absent(run, expected, local)) {
        run->r->skipped++;
        return 0;
    }
    if (!actual && (may_be_assumed(run, local) || is_of_left_out(run, local))) {
        run->r->assumed++;
        return 0;
    }
    if (run->sampled)
        return one_sample(run, expected, local);
    stage_compare(expected, local, actual, truth, run->c->wide, run->tol, 0, &f);
    if (!finding_ok(&f) && f.why == FINDING_VALUES && st_dtype_float(expected->dtype)) {
        if (*scale < 0)
            *scale = group_magnitude(run, group);
        stage_compare(expected, local, actual, truth, run->c->wide, run->tol, run->tol->least_range * *scale,
                      &f);
    }
    run->r->tensors++;
    record(run, &f);
    return 0;
}

static int one_group(const struct case_run *run, const char *group, size_t *n)
{
    char prefix[NAME_SIZE];
    size_t first;
    double scale = -1;
    (void)snprintf(prefix, sizeof prefix, "%s/%s", run->c->id, group);
    *n = st_prefix(run->in->expected, prefix, &first);
    for (size_t i = 0; i < *n; i++) {
        int rc = one_tensor(run, st_by_name(run->in->expected, first + i), group, &scale);
        if (rc)
            return rc;
    }
    return 0;
}

struct leaf_search {
    const struct st_file *file;
    const char *prefix;
    const char *wanted; /* a path: is there a number? */
    bool found;
};

static bool tensor_is_in_file(const char *path, const json_t *leaf, void *arg)
{
    const struct leaf_search *s = arg;
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "%s%s", s->prefix, path);
    return !tree_is(leaf, "tensor") || st_find(s->file, name);
}

static bool number_is_wanted(const char *path, const json_t *leaf, void *arg)
{
    struct leaf_search *s = arg;
    s->found = s->found || (tree_is_number(leaf) && strcmp(path, s->wanted) == 0);
    return true;
}

/* A tensor of the candidate's output that the source's does not have; a traced number is one that it has. */
static void find_extra(const struct case_run *run, const json_t *spec, const char *prefix)
{
    size_t first, n = run->in->actual ? st_prefix(run->in->actual, prefix, &first) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = st_by_name(run->in->actual, first + i)->name;
        struct leaf_search s = {.wanted = name + strlen(prefix)};
        if (st_find(run->in->expected, name))
            continue;
        (void)tree_walk(spec, number_is_wanted, &s);
        if (s.found)
            continue;
        struct finding f = {.why = FINDING_EXTRA, .text = "the source's output has no such tensor"};
        (void)st_printable(name + strlen(run->c->id) + 1, f.tensor, sizeof f.tensor);
        record(run, &f);
        return;
    }
}

static bool any_leaf(const char *path, const json_t *leaf, void *arg)
{
    (void)path;
    (void)leaf;
    (void)arg;
    return true;
}

/* One output tree; its tensors are named `prefix` and path. */
static int one_tree(const struct case_run *run, const json_t *want, const json_t *got, const json_t *truth,
                    const char *prefix)
{
    struct leaf_search oracle = {.file = run->in->expected, .prefix = prefix};
    if (!tree_walk(want, tensor_is_in_file, &oracle))
        return err_set(run->e, FERR_INVALID_TENSORS, "the oracle lacks an output of case %s", run->c->id);
    if (!tree_walk(got, any_leaf, NULL)) {
        stage_fail(run->r, stage_invalid("the check has no valid output spec of case %s", run->c->id));
        return 0;
    }
    struct tree_context context = {.actual = run->in->actual,
                                   .prefix = prefix,
                                   .stored = run->c->wide ? ST_F64 : ST_F32,
                                   .tol = run->tol};
    struct tree_difference diff;
    if (!tree_equal(want, got, truth, &context, &diff)) {
        struct finding f = {.why = FINDING_TREE};
        (void)snprintf(f.tensor, sizeof f.tensor, "%s%s", prefix + strlen(run->c->id) + 1, diff.path.text);
        (void)snprintf(f.text, sizeof f.text, "%s", diff.text);
        record(run, &f);
    }
    find_extra(run, want, prefix);
    return 0;
}

static const struct plan_case *truth_case(const struct case_run *run)
{
    for (size_t i = 0; run->c->truth && i < run->plan->n_cases; i++)
        if (strcmp(run->plan->cases[i].id, run->c->truth) == 0)
            return &run->plan->cases[i];
    return NULL;
}

static int one_output(const struct case_run *run)
{
    char prefix[NAME_SIZE];
    const json_t *got = json_object_get(json_object_get(run->in->check, "outputs"), run->c->id);
    if (run->c->output) {
        const struct plan_case *truth = truth_case(run);
        (void)snprintf(prefix, sizeof prefix, "%s/out/", run->c->id);
        return one_tree(run, run->c->output, got, truth ? truth->output : NULL, prefix);
    }
    for (size_t k = 0; k < json_array_size(run->c->steps); k++) {
        (void)snprintf(prefix, sizeof prefix, "%s/out/%zu/", run->c->id, k);
        int rc = one_tree(run, json_array_get(run->c->steps, k), json_array_get(got, k), NULL, prefix);
        if (rc)
            return rc;
    }
    return 0;
}

/* Those of a map of arguments that are not left out; NULL when out of memory. */
static json_t *compared_arguments(const struct case_run *run)
{
    json_t *keys = json_array(), *items = json_array(), *key;
    size_t i;
    json_array_foreach(json_object_get(run->c->arguments, "keys"), i, key)
    {
        const char *name = json_string_value(key);
        if (!name || argument_is_left_out(run, name))
            continue;
        (void)json_array_append(keys, key);
        (void)json_array_append(items, json_array_get(json_object_get(run->c->arguments, "items"), i));
    }
    return json_pack("{s:s, s:o, s:o}", "t", "map", "keys", keys, "items", items);
}

/* The trees of the arguments that the source's call writes into. */
static int written_arguments(const struct case_run *run)
{
    if (!run->c->arguments)
        return 0;
    char prefix[NAME_SIZE];
    json_t *want = compared_arguments(run);
    if (!want)
        return err_set(run->e, FERR_NO_MEMORY, "no memory for arguments");
    (void)snprintf(prefix, sizeof prefix, "%s/arg/", run->c->id);
    const struct plan_case *truth = truth_case(run);
    int rc = 0;
    if (json_array_size(json_object_get(want, "keys")) > 0)
        rc = one_tree(run, want, given_arguments(run), truth ? truth->arguments : NULL, prefix);
    json_decref(want);
    return rc;
}

/* A stage that is about a group must find something in it. */
static bool needs_group(enum stage stage, const char *group)
{
    return (stage == STAGE_GRADIENTS && strcmp(group, "grad/") == 0) ||
           (stage == STAGE_OPTIMIZER && strcmp(group, "param/") == 0);
}

static int one_case(const struct case_run *run)
{
    int rc = run->sampled ? 0 : one_output(run);
    if (rc == 0 && !run->sampled)
        rc = written_arguments(run);
    for (size_t g = 0; rc == 0 && g < sizeof GROUPS / sizeof *GROUPS; g++) {
        size_t n;
        if (run->sampled && strcmp(GROUPS[g], DRAWS) == 0)
            continue; /* there is no order by which to tell which draw is which */
        rc = one_group(run, GROUPS[g], &n);
        if (rc == 0 && n == 0 && needs_group(run->c->stage, GROUPS[g]))
            rc = err_set(run->e, FERR_INVALID_TENSORS, "the oracle has no tensor %s/%s…", run->c->id,
                         GROUPS[g]);
    }
    return rc;
}

/* The tolerances of a case: wider where the source itself is inexact, which the stage then says. */
static struct verdict_tolerances case_tolerances(const struct verdict_tolerances *tol,
                                                 const struct plan_case *c, struct stage_result *r)
{
    struct verdict_tolerances own = *tol;
    double wider = fmin(tol->noise_factor * c->noise, tol->noise_cap);
    if (c->wide && wider > own.f64_relative) {
        own.f64_relative = wider;
        r->noise = fmax(r->noise, c->noise);
    }
    return own;
}

int stage_arrays(const struct verdict_input *in, const struct plan *plan, enum stage stage,
                 struct stage_result *r, struct err *e)
{
    r->status = STAGE_STATUS_PASSED;
    r->cases = plan_count(plan, stage);
    for (size_t i = 0; i < plan->n_cases; i++) {
        const struct plan_case *c = &plan->cases[i];
        if (c->stage != stage)
            continue;
        struct verdict_tolerances tol = case_tolerances(in->tol, c, r);
        struct case_run run = {.in = in, .plan = plan, .c = c, .tol = &tol, .r = r, .e = e};
        run.sampled = stage_is_sampled(in, c);
        if (run.sampled && !in->samples) {
            stage_fail(r, stage_without_samples());
            return 0;
        }
        r->sampled += run.sampled;
        int rc = one_case(&run);
        if (rc)
            return rc;
    }
    return 0;
}
