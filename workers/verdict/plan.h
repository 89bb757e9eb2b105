/*
 * plan.h: the frozen plan of capture, read into C.
 *
 * Borrowed from the JSON, which must outlive it; immutable after plan_read(). Any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_PLAN_H
#define FERRY_WORKERS_VERDICT_PLAN_H

#include "daemon/err.h"
#include "daemon/vocab.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PLAN_CASES_MAX 1024

struct plan_case {
    const char *id;    /* "c0" */
    enum stage stage;  /* one whose result is arrays */
    bool wide;         /* a float64 run */
    const char *truth; /* id of the float64 case that a float32 run is measured against, or NULL */
    bool draws;        /* the source draws random numbers in it */
    double noise;      /* how far one ulp moves the source's own float64 result; 0 where that is rounding */
    const json_t *output;    /* spec of the output; NULL where `steps` is set */
    const json_t *steps;     /* a case of several calls: array of specs, one of each step; else NULL */
    const json_t *arguments; /* a map of the arguments that the call writes into; NULL where there are none */
    const json_t *unwritten; /* array: state that the source only reads, so a port may hold it elsewhere */
};

struct plan {
    bool function;            /* the entry is a function: nothing is built and there is no map */
    bool vacuous;             /* the oracle reacts to nothing */
    const json_t *outputs;    /* array: the spec of each input set's output in eval mode */
    const json_t *submodules; /* array of "path#call" in execution order */
    struct plan_case cases[PLAN_CASES_MAX];
    size_t n_cases;
};

/* Reads and checks; FERR_INVALID_FIELD with a JSON pointer into the plan. */
int plan_read(const json_t *json, struct plan *out, struct err *e);

const struct plan_case *plan_first(const struct plan *p, enum stage stage); /* NULL if there is none */
size_t plan_count(const struct plan *p, enum stage stage);

/* Is a stage decided by comparing arrays of cases? */
bool plan_stage_has_cases(enum stage stage);

#endif
