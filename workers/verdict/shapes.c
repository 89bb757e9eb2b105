/*
 * shapes.c: the stage `shapes`: dtype and shape of every output leaf, found by the check without running the
 * model.
 *
 * Any thread. The check's object is untrusted. Its run is a float32 one, the plan's outputs are those of
 * float64: widths of floats, and int32 against int64, are no difference here; the array stages are exact
 * about them.
 */
#include "workers/verdict/stage.h"

#include "workers/verdict/st_internal.h"

#include <stdio.h>
#include <string.h>

struct shapes_run {
    const char *case_id;
    const json_t *got;
    size_t matched; /* entries of `got` that belong to a leaf */
    struct stage_result *r;
};

/* A dtype's name without the widths that depend on the precision of a run. */
static const char *dtype_class(const char *word)
{
    static const char *const CLASSES[][2] = {
        {"float16", "float"}, {"bfloat16", "float"}, {"float32", "float"},     {"float64", "float"},
        {"int32", "int"},     {"int64", "int"},      {"complex64", "complex"}, {"complex128", "complex"}};
    for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++)
        if (strcmp(word, CLASSES[i][0]) == 0)
            return CLASSES[i][1];
    return word;
}

static bool same_dtype(const json_t *want, const json_t *got)
{
    const char *a = json_string_value(json_object_get(want, "dtype"));
    const char *b = json_string_value(json_object_get(got, "dtype"));
    return a && b && strcmp(dtype_class(a), dtype_class(b)) == 0;
}

/* "float32 [2, 3]" of an untrusted entry, cut to fit. */
static void entry_text(const json_t *entry, char *out, size_t size)
{
    char dtype[24], shape[96];
    const char *word = json_string_value(json_object_get(entry, "dtype"));
    struct st_tensor t = {.ndim = json_array_size(json_object_get(entry, "shape"))};
    if (t.ndim > ST_NDIM_MAX)
        t.ndim = ST_NDIM_MAX;
    for (size_t i = 0; i < t.ndim; i++)
        t.shape[i] = (uint64_t)json_integer_value(json_array_get(json_object_get(entry, "shape"), i));
    (void)snprintf(out, size, "%s %s", st_printable(word ? word : "?", dtype, sizeof dtype),
                   st_shape_text(&t, shape, sizeof shape));
}

static void record(struct shapes_run *run, const char *path, enum finding_why why, const json_t *want,
                   const json_t *got)
{
    struct finding f = {.why = why};
    char is[112], expected[112];
    (void)snprintf(f.case_id, sizeof f.case_id, "%s", run->case_id);
    (void)snprintf(f.tensor, sizeof f.tensor, "out/%s", path);
    entry_text(want, expected, sizeof expected);
    entry_text(got, is, sizeof is);
    if (got)
        (void)snprintf(f.text, sizeof f.text, "is %s, expected %s", is, expected);
    else
        (void)snprintf(f.text, sizeof f.text, "is missing, expected %s", expected);
    stage_record(run->r, &f);
}

static bool visit(const char *path, const json_t *leaf, void *arg)
{
    struct shapes_run *run = arg;
    char name[sizeof(struct tree_path) + 16];
    (void)snprintf(name, sizeof name, "out/%s", path);
    const json_t *got = json_object_get(run->got, name);
    run->matched += got != NULL;
    if (!tree_is(leaf, "tensor"))
        return true; /* a number that was traced is an array; its value is compared where it is one */
    run->r->tensors++;
    if (!got)
        record(run, path, FINDING_MISSING, leaf, got);
    else if (json_equal(json_object_get(leaf, "shape"), json_object_get(got, "shape")) != 1)
        record(run, path, FINDING_SHAPE, leaf, got);
    else if (!same_dtype(leaf, got))
        record(run, path, FINDING_DTYPE, leaf, got);
    return true;
}

static void one_input(const json_t *want, const char *case_id, const json_t *got, struct stage_result *r)
{
    struct shapes_run run = {.case_id = case_id, .got = got, .r = r};
    if (!json_is_object(got)) {
        stage_fail(r, stage_invalid("the check has no shapes of input set %s", case_id));
        return;
    }
    if (!tree_walk(want, visit, &run)) {
        stage_fail(r, stage_invalid("the output of input set %s has no valid spec", case_id));
        return;
    }
    if (json_object_size(got) > run.matched) {
        struct finding f = {.tensor = "out", .why = FINDING_EXTRA};
        (void)snprintf(f.case_id, sizeof f.case_id, "%s", case_id);
        (void)snprintf(f.text, sizeof f.text, "the output has %zu leaves, expected %zu",
                       json_object_size(got), run.matched);
        stage_record(r, &f);
    }
}

void stage_shapes(const struct plan *plan, const json_t *check, struct stage_result *r)
{
    const json_t *got = json_object_get(check, "shapes");
    r->status = STAGE_STATUS_PASSED;
    r->cases = json_array_size(plan->outputs);
    for (size_t i = 0; i < r->cases; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "x%zu", i);
        one_input(json_array_get(plan->outputs, i), id, json_object_get(got, id), r);
    }
}
