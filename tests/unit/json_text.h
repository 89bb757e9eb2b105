/*
 * json_text.h: JSON in tests: written with single quotes, read and edited by path.
 */
#ifndef FERRY_TESTS_UNIT_JSON_TEXT_H
#define FERRY_TESTS_UNIT_JSON_TEXT_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* JSON written with single quotes. */
static inline json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_error_t je;
    json_t *v = json_loads(copy, JSON_DECODE_ANY, &je);
    if (!v)
        fail_msg("%s: %s", je.text, copy);
    free(copy);
    return v;
}

static inline const char *word(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    return v ? v : "";
}

static inline double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* "stages.forward_f64.status" is set to a value written in JSON. */
static inline void edit(json_t *root, const char *path, const char *json)
{
    char copy[128];
    (void)snprintf(copy, sizeof copy, "%s", path);
    char *last = strrchr(copy, '.');
    json_t *at = root;
    if (last) {
        *last++ = '\0';
        for (char *save = NULL, *key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save))
            at = json_is_array(at) ? json_array_get(at, (size_t)strtol(key, NULL, 10))
                                   : json_object_get(at, key);
    }
    assert_non_null(at);
    if (json_is_array(at))
        assert_int_equal(json_array_set_new(at, (size_t)strtol(last, NULL, 10), json_of(json)), 0);
    else if (json)
        assert_int_equal(json_object_set_new(at, last ? last : copy, json_of(json)), 0);
    else
        assert_int_equal(json_object_del(at, last ? last : copy), 0);
}

#endif
