/*
 * jobspec.c: the table of a job request.
 *
 * Any thread. Words come from the vocabularies of daemon/vocab.h; openapi.yaml repeats this table and is
 * tested against the running daemon.
 */
#include "api/jobspec.h"

#include "api/fields.h"
#include "api/jobspec_candidate.h"
#include "api/jobspec_checks.h"
#include "daemon/vocab.h"

#include <stdlib.h>
#include <string.h>

#define X(name, word, ...) word " "
static const char ENGINE_WORDS[] = ENGINE_TABLE(X);
static const char STYLE_WORDS[] = STYLE_TABLE(X);
static const char KIND_WORDS[] = KIND_TABLE(X);
#undef X

#define NOT_HERE "not implemented in this version"
#define DIM_MAX ((json_int_t)1 << 31)
#define BYTES_MAX ((json_int_t)1 << 31)

static const struct field FILE_MEMBERS[] = {
    {.name = "path",
     .type = FIELD_STRING,
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 255,
     .check = check_path},
    {.name = "content", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .min = 0, .max = BYTES_MAX},
    {.name = NULL},
};
static const struct field FILE_ITEM = {.type = FIELD_OBJECT, .members = FILE_MEMBERS};
/* of the source and of a candidate */
#define FILES_FIELD                                                                            \
    {                                                                                          \
        .name = "files", .type = FIELD_ARRAY, .flags = FIELD_REQUIRED, .min = 1, .max = 10000, \
        .items = &FILE_ITEM, .check = check_files                                              \
    }

static const struct field SOURCE_MEMBERS[] = {
    FILES_FIELD,
    {.name = NULL},
};

static const struct field INIT_MEMBERS[] = {
    {.name = "args", .type = FIELD_ARRAY, .max = 256, .fallback = "[]"},
    {.name = "kwargs", .type = FIELD_OBJECT, .max = 256, .check = check_kwargs, .fallback = "{}"},
    {.name = NULL},
};

static const struct field DIM_ITEM = {.type = FIELD_INTEGER, .min = 0, .max = DIM_MAX};
static const struct field INPUT_MEMBERS[] = {
    {.name = "shape", .type = FIELD_ARRAY, .min = 0, .max = 8, .items = &DIM_ITEM},
    {.name = "dtype", .type = FIELD_STRING, .words = DTYPE_WORDS},
    {.name = "low", .type = FIELD_NUMBER},
    {.name = "high", .type = FIELD_NUMBER},
    {.name = "name", .type = FIELD_STRING, .min = 1, .max = 255, .check = check_identifier},
    {.name = "value", .type = FIELD_ANY},
    {.name = NULL},
};
static const struct field INPUT_ITEM = {.type = FIELD_OBJECT, .members = INPUT_MEMBERS, .check = check_input};

static const struct field BUDGET_MEMBERS[] = {
    {.name = "seconds", .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .min = 1, .max = 86400},
    {.name = "attempts", .refused = NOT_HERE},
    {.name = "tokens", .refused = NOT_HERE},
    {.name = NULL},
};

static const struct field ADAPTER_MEMBERS[] = {
    {.name = "content", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = 65536},
    {.name = NULL},
};

static const struct field CANDIDATE_MEMBERS[] = {
    FILES_FIELD,
    FIELD_OR_NULL(.name = "weights", .type = FIELD_OBJECT, .members = WEIGHTS_MEMBERS),
    FIELD_OR_NULL(.name = "entry", .type = FIELD_STRING, .min = 1, .max = 255, .check = check_entry),
    FIELD_OR_NULL(.name = "adapter", .type = FIELD_OBJECT, .members = ADAPTER_MEMBERS),
    {.name = NULL},
};

static const struct field REQUEST_MEMBERS[] = {
    {.name = "kind", .type = FIELD_STRING, .words = KIND_WORDS, .fallback = "\"migrate\""},
    FIELD_OR_NULL(.name = "name", .type = FIELD_STRING, .min = 1, .max = 200, .check = check_plain_text),
    {.name = "labels", .type = FIELD_OBJECT, .min = 0, .max = 32, .check = check_labels, .fallback = "{}"},
    {.name = "source", .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, .members = SOURCE_MEMBERS},
    FIELD_OR_NULL(.name = "entry", .type = FIELD_STRING, .min = 1, .max = 255, .check = check_entry),
    FIELD_OR_NULL(.name = "init", .type = FIELD_OBJECT, .members = INIT_MEMBERS),
    FIELD_OR_NULL(.name = "init_expr", .type = FIELD_STRING, .min = 1, .max = 65536),
    FIELD_OR_NULL(.name = "inputs", .type = FIELD_ARRAY, .min = 0, .max = 64, .items = &INPUT_ITEM,
                  .check = check_inputs),
    FIELD_OR_NULL(.name = "inputs_expr", .type = FIELD_STRING, .min = 1, .max = 65536),
    {.name = "engine", .type = FIELD_STRING, .words = ENGINE_WORDS, .fallback = "\"auto\""},
    {.name = "style", .type = FIELD_STRING, .words = STYLE_WORDS, .fallback = "\"faithful\""},
    {.name = "scan", .type = FIELD_BOOLEAN, .fallback = "false"},
    {.name = "priority", .type = FIELD_INTEGER, .min = -100, .max = 100, .fallback = "0"},
    FIELD_OR_NULL(.name = "budget", .type = FIELD_OBJECT, .members = BUDGET_MEMBERS),
    {.name = "strategy", .refused = NOT_HERE},
    FIELD_OR_NULL(.name = "contract", .type = FIELD_OBJECT, .members = CONTRACT_MEMBERS),
    FIELD_OR_NULL(.name = "candidate", .type = FIELD_OBJECT, .members = CANDIDATE_MEMBERS),
    {.name = "webhook", .refused = NOT_HERE},
    {.name = NULL},
};
static const struct field REQUEST = {
    .type = FIELD_OBJECT, .members = REQUEST_MEMBERS, .check = check_request};

int jobspec_from_json(const char *body, size_t len, const struct jobspec_limits *limits, json_t **out,
                      struct err *e)
{
    *out = NULL;
    if (json_text_depth(body, len) > limits->json_depth)
        return err_set(e, FERR_BAD_JSON, "the body is nested deeper than %u levels", limits->json_depth);
    json_error_t syntax;
    json_t *spec = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &syntax);
    if (!spec)
        return err_set(e, FERR_BAD_JSON, "line %d, column %d: %s", syntax.line, syntax.column, syntax.text);
    struct pointer root = {""};
    struct err fault = {0};
    int rc = fields_check(&REQUEST, spec, &root, limits, &fault);
    if (rc == 0) {
        *out = spec;
        return 0;
    }
    json_decref(spec);
    return err_at(e, (enum ferr)rc, fault.pointer, "%s%s%s", fault.pointer[0] ? fault.pointer : "the body",
                  rc == FERR_INVALID_FIELD ? " " : ": ", fault.text);
}

static json_t *python_request(const char *text, size_t len, const struct jobspec_python *q)
{
    return json_pack("{s:{s:[{s:s, s:s%}]}, s:s*, s:s*, s:s*, s:s*}", "source", "files", "path", "model.py",
                     "content", text, len, "entry", q->entry, "name", q->name, "engine", q->engine, "style",
                     q->style);
}

int jobspec_from_python(const char *text, size_t len, const struct jobspec_python *query,
                        const struct jobspec_limits *limits, json_t **out, struct err *e)
{
    *out = NULL;
    if (len == 0)
        return err_set(e, FERR_BAD_REQUEST, "the body is empty: send a Python file");
    if (memchr(text, '\0', len))
        return err_set(e, FERR_BAD_REQUEST, "the body holds a NUL character: it is not Python source");
    json_t *spec = python_request(text, len, query);
    if (!spec)
        return err_set(e, FERR_BAD_REQUEST, "the body or a parameter is not valid UTF-8");
    struct pointer root = {""};
    struct err fault = {0};
    int rc = fields_check(&REQUEST, spec, &root, limits, &fault);
    if (rc == 0) {
        *out = spec;
        return 0;
    }
    json_decref(spec);
    if (rc == FERR_NO_MEMORY)
        return err_set(e, FERR_NO_MEMORY, "%s", fault.text);
    return err_set(e, FERR_INVALID_PARAMETER, "\"%s\" %s", fault.pointer + (fault.pointer[0] == '/'),
                   fault.text);
}

char *jobspec_dump(const json_t *spec)
{
    return json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
}
