/*
 * fields.h: checking a JSON value against a table of fields, and filling in what was left out.
 *
 * A table is data: name, type, range, words, default. What data can't say is a `check` function. Errors carry
 * the JSON pointer of the value. Any thread; tables are constant.
 */
#ifndef FERRY_API_FIELDS_H
#define FERRY_API_FIELDS_H

#include "daemon/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* RFC 6901, cut at the end where it doesn't fit. */
struct pointer {
    char text[256];
};
struct pointer pointer_member(const struct pointer *parent, const char *name);
struct pointer pointer_index(const struct pointer *parent, size_t index);

enum field_type {
    FIELD_STRING,
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_BOOLEAN,
    FIELD_OBJECT,
    FIELD_ARRAY,
    FIELD_ANY
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_NULLABLE = 2, /* null is a value of it */
};

/* A further test of a value that already has its type and range; may complete it. `arg` is fields_check()'s.
 */
typedef int (*field_check_fn)(json_t *value, const struct pointer *at, const void *arg, struct err *e);

struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
    json_int_t min, max;         /* integer: value; string: bytes; array and object: length */
    const char *words;           /* string: the words allowed, each followed by a space; or NULL */
    const struct field *members; /* object: ended by a NULL name; NULL: any members */
    const struct field *items;   /* array: what each item is; NULL: anything */
    field_check_fn check;        /* or NULL */
    const char *fallback;        /* JSON text of the default; NULL: left out */
    const char *refused;         /* why this version doesn't take the field, or NULL */
};

/* The initialiser of a field that may be null, and is where it was left out. */
#define FIELD_OR_NULL(...)                                       \
    {                                                            \
        .flags = FIELD_NULLABLE, .fallback = "null", __VA_ARGS__ \
    }

/* Checks `value` (the field itself, at `at`), fills defaults into it. 0, or FERR_INVALID_FIELD,
 * FERR_UNKNOWN_FIELD, FERR_MISSING_FIELD, FERR_NO_MEMORY. */
int fields_check(const struct field *field, json_t *value, const struct pointer *at, const void *arg,
                 struct err *e);

/* Whether `words` ("a b ") holds the word. */
bool words_have(const char *words, const char *word);

#endif
