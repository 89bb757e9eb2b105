/*
 * request.c: what each step is asked: docs/steps.md.
 *
 * Worker thread. Requests are built from the job's canonical request and from results of earlier steps, which
 * are untrusted: where a part of one is missing there is no request.
 */
#include "workers/pipeline/pipeline.h"

enum { TRAIN_STEPS = 2, RESIZED_INPUTS = 2, OPTIMIZER_STEPS = 3 };

/* How the floating inputs of the sets are scaled, in turn: at 1, where functions bend most and where they are
 * nearly linear. */
static const double SCALES[] = {1, 8, 0.01};

json_t *run_source_request(const struct run *r)
{
    static const char *const FIELDS[] = {"entry", "init", "init_expr", "inputs", "inputs_expr"};
    json_t *files = json_object_get(json_object_get(r->request, "source"), "files");
    json_t *out = json_pack("{s:O, s:i}", "files", files, "seed", r->p->seed);
    for (size_t i = 0; out && i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        json_t *value = json_object_get(r->request, FIELDS[i]);
        (void)json_object_set(out, FIELDS[i], value ? value : json_null());
    }
    return out;
}

/* What the contract does not ask for is not made: sizes beside the given ones bind the port in its shapes. */
static json_t *recipe(const struct run *r)
{
    json_t *seeds = json_object_get(json_object_get(r->request, "contract"), "seeds");
    int draws = r->p->draws, inputs = r->p->inputs;
    if (json_is_integer(seeds))
        draws = inputs = (int)json_integer_value(seeds);
    json_t *scales = json_array();
    for (int i = 0; i < inputs; i++)
        (void)json_array_append_new(scales, json_real(SCALES[(size_t)i % (sizeof SCALES / sizeof *SCALES)]));
    bool resize = r->asked & STAGE_BIT(STAGE_RESIZE), optimizer = r->asked & STAGE_BIT(STAGE_OPTIMIZER);
    return json_pack("{s:i, s:i, s:i, s:i, s:o, s:i, s:i}", "draws", draws, "inputs", inputs, "seed",
                     r->p->seed, "train_steps", TRAIN_STEPS, "scales", scales, "resize",
                     resize ? RESIZED_INPUTS : 0, "optimizer_steps", optimizer ? OPTIMIZER_STEPS : 0);
}

json_t *run_capture_request(const struct run *r)
{
    json_t *out = run_source_request(r);
    if (out && (json_object_set(out, "inspected", r->inspected.result) ||
                json_object_set_new(out, "recipe", recipe(r)))) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static json_t *stage_names(stage_set set)
{
    json_t *names = json_array();
    for (int s = 0; s < STAGE_COUNT; s++)
        if (set & STAGE_BIT(s))
            (void)json_array_append_new(names, json_string(stage_name((enum stage)s)));
    return names;
}

/* What only a candidate of the caller needs: its own entry, an adapter, and which of several maps. */
static void add_given(const struct run *r, const struct trial *t, json_t *out)
{
    json_t *candidate = json_object_get(r->request, "candidate");
    json_t *adapter = json_object_get(candidate, "adapter"), *entry = json_object_get(candidate, "entry");
    (void)json_object_set_new(out, "given", json_true());
    (void)json_object_set(out, "adapter", adapter ? adapter : json_null());
    (void)json_object_set(out, "entry", entry ? entry : json_null());
    (void)json_object_set_new(out, "map_choice", json_integer(t->map_choice));
}

json_t *run_check_request(const struct run *r, const struct trial *t)
{
    json_t *weights = json_object_get(r->drafted.result, "weights");
    json_t *tensors = json_object_get(t->oracle->result, "tensors");
    json_t *out = json_pack(
        "{s:O, s:O, s:O, s:O, s:o, s:b, s:n}", "files", json_object_get(r->drafted.result, "files"),
        "weights", weights ? weights : json_null(), "plan", json_object_get(t->oracle->result, "plan"),
        "tensors", tensors ? tensors : json_object_get(r->captured.result, "tensors"), "stages",
        stage_names(t->stages), "locate", t->locate, "entry");
    if (out && r->given)
        add_given(r, t, out);
    return out;
}
