/*
 * locate.c: where a difference begins: the first submodule call whose output differs.
 *
 * Any thread. Follows the plan's order of execution, so a parent, which ends after its children, is named
 * only where no child of it differs. Calls that the candidate has no counterpart of (a fused layer, another
 * name) are passed over.
 */
#include "workers/verdict/stage.h"

#include "workers/verdict/compare.h"
#include "workers/verdict/st_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
    const char *name;  /* "conv1#0" */
    char prefix[1024]; /* of its tensors: "c0/sub/conv1#0/" */
};

/* The scale of a call is the largest of its own outputs. */
static double call_magnitude(const struct st_file *expected, size_t first, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, verdict_magnitude(st_by_name(expected, first + i)));
    return largest;
}

/* Finds the first output of a call that the candidate has and that differs. */
static bool differs(const struct verdict_input *in, const struct call *call, struct finding *f)
{
    size_t first, n = st_prefix(in->expected, call->prefix, &first);
    double least_range = in->tol->least_range * call_magnitude(in->expected, first, n);
    for (size_t i = 0; i < n; i++) {
        const struct st_tensor *expected = st_by_name(in->expected, first + i);
        const struct st_tensor *actual = st_find(in->actual, expected->name);
        if (!actual)
            continue;
        stage_compare(expected, expected->name + strlen(call->prefix), actual, NULL, true, in->tol,
                      least_range, f);
        if (!finding_ok(f))
            return true;
    }
    return false;
}

/* "blocks.0.attn#1" is call 1 of the module blocks.0.attn. */
static json_t *place_json(const struct call *call, const struct finding *f)
{
    const char *mark = strrchr(call->name, '#');
    int len = mark ? (int)(mark - call->name) : (int)strlen(call->name);
    json_t *o = json_pack("{s:s%, s:i, s:s}", "path", call->name, len, "call",
                          mark ? (int)strtol(mark + 1, NULL, 10) : 0, "tensor", f->tensor);
    if (o && finding_add_figures(o, f) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static int search(const struct verdict_input *in, const struct plan *plan, const char *case_id, json_t **out,
                  struct err *e)
{
    for (size_t i = 0; i < json_array_size(plan->submodules); i++) {
        struct call call = {.name = json_string_value(json_array_get(plan->submodules, i))};
        struct finding f;
        int n = call.name ? snprintf(call.prefix, sizeof call.prefix, "%s/sub/%s/", case_id, call.name) : -1;
        if (n < 0 || (size_t)n >= sizeof call.prefix)
            return err_at(e, FERR_INVALID_FIELD, "/submodules",
                          "submodule %zu of the plan has no usable name", i);
        if (!differs(in, &call, &f))
            continue;
        *out = place_json(&call, &f);
        return *out ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for a place");
    }
    return 0;
}

int verdict_locate(const struct verdict_input *in, json_t **out, struct err *e)
{
    *out = NULL;
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return err_set(e, FERR_NO_MEMORY, "no memory for a plan");
    int rc = plan_read(in->plan, plan, e);
    const struct plan_case *c = rc == 0 ? plan_first(plan, STAGE_FORWARD_F64) : NULL;
    if (c && in->actual)
        rc = search(in, plan, c->id, out, e);
    free(plan);
    return rc;
}
