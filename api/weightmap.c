/*
 * weightmap.c: the table of a weight map, ferry.weights/1.
 *
 * Any thread, constant. Only the form is checked here: names, ranks and shapes meet the two models in the
 * check step. The fields of an operation depend on its name, so each has a table of its own.
 */
#include "api/jobspec_candidate.h"

#include <string.h>

#define NAME_MAX_BYTES 1024
#define AXIS_MAX 63
#define DIM_MAX ((json_int_t)1 << 40)
#define LIST_MAX 1000000

static const struct field NAME_ITEM = {.type = FIELD_STRING, .min = 1, .max = NAME_MAX_BYTES};
static const struct field AXIS_ITEM = {.type = FIELD_INTEGER, .min = 0, .max = AXIS_MAX};
static const struct field DIM_ITEM = {.type = FIELD_INTEGER, .min = 0, .max = DIM_MAX};

#define OP_NAME                                                     \
    {                                                               \
        .name = "op", .type = FIELD_STRING, .flags = FIELD_REQUIRED \
    }
#define LIST(field, item)                                                                                \
    {                                                                                                    \
        .name = (field), .type = FIELD_ARRAY, .flags = FIELD_REQUIRED, .max = AXIS_MAX, .items = &(item) \
    }
#define AXIS                                                                                      \
    {                                                                                             \
        .name = "axis", .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .min = 0, .max = AXIS_MAX \
    }
#define NUMBER(field)                                                  \
    {                                                                  \
        .name = (field), .type = FIELD_NUMBER, .flags = FIELD_REQUIRED \
    }
#define INDEX(field)                                                                              \
    {                                                                                             \
        .name = (field), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .min = 0, .max = DIM_MAX \
    }
#define DTYPE                                                                                \
    {                                                                                        \
        .name = "dtype", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .words = DTYPE_WORDS \
    }
#define END          \
    {                \
        .name = NULL \
    }

static const struct field PERMUTE[] = {OP_NAME, LIST("axes", AXIS_ITEM), END};
static const struct field RESHAPE[] = {OP_NAME, LIST("shape", DIM_ITEM), END};
static const struct field SLICE[] = {OP_NAME, AXIS, INDEX("start"), INDEX("stop"), END};
static const struct field CONCAT[] = {OP_NAME, AXIS, END};
static const struct field ADD[] = {OP_NAME, END};
static const struct field SCALE[] = {OP_NAME, NUMBER("by"), END};
static const struct field FLIP[] = {OP_NAME, LIST("axes", AXIS_ITEM), END};
static const struct field CAST[] = {OP_NAME, DTYPE, END};
static const struct field CONSTANT[] = {OP_NAME, NUMBER("value"), LIST("shape", DIM_ITEM), DTYPE, END};

static const struct {
    const char *name;
    const struct field *members;
} OPS[] = {{"permute", PERMUTE}, {"reshape", RESHAPE}, {"slice", SLICE}, {"concat", CONCAT},    {"add", ADD},
           {"scale", SCALE},     {"flip", FLIP},       {"cast", CAST},   {"constant", CONSTANT}};

static int check_op(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    struct pointer here = pointer_member(at, "op");
    const json_t *name = json_object_get(value, "op");
    if (!name)
        return err_at(e, FERR_MISSING_FIELD, here.text, "this field is required");
    for (size_t i = 0; json_is_string(name) && i < sizeof OPS / sizeof OPS[0]; i++) {
        const struct field op = {.type = FIELD_OBJECT, .members = OPS[i].members};
        if (strcmp(OPS[i].name, json_string_value(name)) == 0)
            return fields_check(&op, value, at, arg, e);
    }
    return err_at(e, FERR_INVALID_FIELD, here.text,
                  "must be one of: permute reshape slice concat add scale flip cast constant");
}

static const struct field OP_ITEM = {.type = FIELD_OBJECT, .check = check_op};

static const struct field ENTRY_MEMBERS[] = {
    {.name = "to", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = NAME_MAX_BYTES},
    {.name = "from", .type = FIELD_ARRAY, .flags = FIELD_REQUIRED, .max = LIST_MAX, .items = &NAME_ITEM},
    {.name = "ops", .type = FIELD_ARRAY, .max = 64, .items = &OP_ITEM, .fallback = "[]"},
    {.name = "optional", .type = FIELD_BOOLEAN},
    {.name = NULL},
};
static const struct field ENTRY_ITEM = {.type = FIELD_OBJECT, .members = ENTRY_MEMBERS};

static int check_tied(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    const char *name;
    json_t *first;
    json_object_foreach(value, name, first)
    {
        struct pointer here = pointer_member(at, name);
        int rc = fields_check(&NAME_ITEM, first, &here, arg, e);
        if (rc)
            return rc;
    }
    return 0;
}

const struct field WEIGHTS_MEMBERS[] = {
    {.name = "format", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .words = "ferry.weights/1 "},
    {.name = "params", .type = FIELD_ARRAY, .flags = FIELD_REQUIRED, .max = LIST_MAX, .items = &ENTRY_ITEM},
    {.name = "ignored", .type = FIELD_ARRAY, .max = LIST_MAX, .items = &NAME_ITEM, .fallback = "[]"},
    {.name = "tied", .type = FIELD_OBJECT, .check = check_tied},
    {.name = NULL},
};
