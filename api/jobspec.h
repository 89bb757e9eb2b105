/*
 * jobspec.h: from the body of POST /v1/jobs to the canonical request that the pipeline reads.
 *
 * The canonical request has every field that this version knows, defaults filled in:
 *   {"kind", "name", "labels", "source": {"files": [{"path", "content"}]}, "entry",
 *    "init": {"args", "kwargs"} | null, "init_expr",
 *    "inputs": [{"shape", "dtype", "low"?, "high"?, "value"?, "name"?} | {"value", "name"?}] | null,
 *    "inputs_expr", "engine", "style", "priority", "budget": {"seconds"} | null,
 *    "contract": {"stages": [names of all stages to run, in order] | null, "seeds": n | null} | null,
 *    "candidate": {"files", "weights": ferry.weights/1 | null, "entry", "adapter": {"content"} | null} |
 * null} Any thread.
 */
#ifndef FERRY_API_JOBSPEC_H
#define FERRY_API_JOBSPEC_H

#include "daemon/err.h"

#include <jansson.h>
#include <stddef.h>

struct jobspec_limits {
    unsigned files;      /* in one job */
    unsigned json_depth; /* of the body */
};

/* Elements of all inputs of a request together. */
#define JOBSPEC_ELEMENTS_MAX ((json_int_t)1 << 28)

/* A JSON body. `*out` is a new reference. FERR_BAD_JSON, FERR_INVALID_FIELD, FERR_UNKNOWN_FIELD,
 * FERR_MISSING_FIELD. */
int jobspec_from_json(const char *body, size_t len, const struct jobspec_limits *limits, json_t **out,
                      struct err *e);

/* A bare Python file, named model.py, with what query parameters said (each may be NULL). Errors of the
 * parameters are FERR_INVALID_PARAMETER. */
struct jobspec_python {
    const char *entry, *name, *engine, *style;
};
int jobspec_from_python(const char *text, size_t len, const struct jobspec_python *query,
                        const struct jobspec_limits *limits, json_t **out, struct err *e);

/* The text that is stored: sorted keys, no spaces; malloc'd. */
char *jobspec_dump(const json_t *spec);

#endif
