/*
 * plan.c: reads ferry.plan/1 (docs/steps.md section 5).
 *
 * Any thread. The plan is written by our own code, but beside a caller's source in one process, so its form
 * is checked like any other input: what this file lets through needs no further check of types.
 */
#include "workers/verdict/plan.h"

#include "workers/verdict/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 64

bool plan_stage_has_cases(enum stage stage)
{
    return stage > STAGE_SHAPES;
}

static int bad_case(struct err *e, size_t i, const char *field, const char *what)
{
    char pointer[64];
    (void)snprintf(pointer, sizeof pointer, "/cases/%zu/%s", i, field);
    return err_at(e, FERR_INVALID_FIELD, pointer, "case %zu of the plan: %s", i, what);
}

static const struct plan_case *find_case(const struct plan *p, const char *id)
{
    for (size_t i = 0; i < p->n_cases; i++)
        if (strcmp(p->cases[i].id, id) == 0)
            return &p->cases[i];
    return NULL;
}

static bool is_id(const char *s)
{
    return s && *s && strlen(s) <= ID_MAX && !strchr(s, '/');
}

/* Capture states it for a source that is itself inexact. */
static int read_noise(const json_t *v, size_t i, struct plan_case *c, struct err *e)
{
    const json_t *noise = json_object_get(v, "noise");
    if (!noise || json_is_null(noise))
        return 0;
    c->noise = json_number_value(noise);
    if (!json_is_number(noise) || !(c->noise >= 0))
        return bad_case(e, i, "noise", "noise is not a number from 0");
    return 0;
}

/* A float32 run is measured against an earlier float64 one, a float64 run against nothing. */
static int read_precision(const json_t *v, size_t i, const struct plan *p, struct plan_case *c, struct err *e)
{
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    c->wide = dtype && strcmp(dtype, "float64") == 0;
    if (!c->wide && !(dtype && strcmp(dtype, "float32") == 0))
        return bad_case(e, i, "dtype", "dtype is neither float64 nor float32");
    c->truth = json_string_value(json_object_get(v, "truth"));
    if (c->wide)
        return c->truth ? bad_case(e, i, "truth", "a float64 run has no truth but itself") : 0;
    const struct plan_case *truth = c->truth ? find_case(p, c->truth) : NULL;
    if (!truth || !truth->wide)
        return bad_case(e, i, "truth", "a float32 run needs an earlier float64 case as its truth");
    return 0;
}

static int read_case(const json_t *v, size_t i, struct plan *p, struct err *e)
{
    struct plan_case *c = &p->cases[p->n_cases];
    *c = (struct plan_case){.id = json_string_value(json_object_get(v, "id")),
                            .arguments = json_object_get(v, "arguments"),
                            .draws = json_array_size(json_object_get(v, "rng")) > 0,
                            .unwritten = json_object_get(v, "unwritten")};
    if (!is_id(c->id) || find_case(p, c->id))
        return bad_case(e, i, "id", "the id is missing, malformed or used twice");
    int stage = stage_parse(json_string_value(json_object_get(v, "stage")));
    if (stage < 0 || !plan_stage_has_cases((enum stage)stage))
        return bad_case(e, i, "stage", "the stage is not one that is decided by cases");
    c->stage = (enum stage)stage;
    int rc = read_precision(v, i, p, c, e);
    if (rc == 0)
        rc = read_noise(v, i, c, e);
    if (rc)
        return rc;
    const json_t *output = json_object_get(v, "output"), *steps = json_object_get(v, "outputs");
    if (json_is_object(output))
        c->output = output;
    else if (json_is_array(steps))
        c->steps = steps;
    else
        return bad_case(e, i, "output", "there is no output spec");
    p->n_cases++;
    return 0;
}

int plan_read(const json_t *json, struct plan *out, struct err *e)
{
    *out = (struct plan){.vacuous = json_is_true(json_object_get(json, "vacuous")),
                         .outputs = json_object_get(json, "outputs"),
                         .submodules = json_object_get(json, "submodules")};
    const char *format = json_string_value(json_object_get(json, "format"));
    if (!format || strcmp(format, "ferry.plan/1") != 0)
        return err_at(e, FERR_INVALID_FIELD, "/format", "the plan is not a ferry.plan/1");
    const char *kind = json_string_value(json_object_get(json, "kind"));
    out->function = kind && strcmp(kind, "function") == 0;
    if (!out->function && !(kind && strcmp(kind, "class") == 0))
        return err_at(e, FERR_INVALID_FIELD, "/kind", "the plan's kind is neither class nor function");
    if (!json_is_array(out->outputs))
        return err_at(e, FERR_INVALID_FIELD, "/outputs", "the plan has no outputs");
    const json_t *cases = json_object_get(json, "cases");
    if (json_array_size(cases) == 0 || json_array_size(cases) > PLAN_CASES_MAX)
        return err_at(e, FERR_INVALID_FIELD, "/cases", "the plan has no cases, or more than %d",
                      PLAN_CASES_MAX);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        int rc = read_case(json_array_get(cases, i), i, out, e);
        if (rc)
            return rc;
    }
    return 0;
}

int verdict_plan_check(const json_t *json, struct err *e)
{
    struct plan *plan = malloc(sizeof *plan);
    int rc = plan ? plan_read(json, plan, e) : err_set(e, FERR_NO_MEMORY, "no memory for a plan");
    free(plan);
    return rc;
}

const struct plan_case *plan_first(const struct plan *p, enum stage stage)
{
    for (size_t i = 0; i < p->n_cases; i++)
        if (p->cases[i].stage == stage)
            return &p->cases[i];
    return NULL;
}

size_t plan_count(const struct plan *p, enum stage stage)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_cases; i++)
        n += p->cases[i].stage == stage;
    return n;
}
