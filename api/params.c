/*
 * params.c: small parsers, and reading parameters and headers of a request.
 *
 * The parsers are pure; request_*() run on the http thread.
 */
#include "api/params.h"

#include "api/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SPACE " \t"

bool params_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return false;
    int64_t n = strtoll(text, NULL, 10);
    if (n < min || n > max)
        return false;
    *out = n;
    return true;
}

bool params_etag_matches(const char *header, const char *etag)
{
    if (!header)
        return false;
    size_t len = strlen(etag);
    for (const char *s = header; *s;) {
        s += strspn(s, SPACE ",");
        if (*s == '*')
            return true;
        if (strncmp(s, "W/", 2) == 0)
            s += 2;
        size_t n = strcspn(s, ",");
        size_t bare = n;
        while (bare > 0 && strchr(SPACE, s[bare - 1]))
            bare--;
        if (bare == len && memcmp(s, etag, len) == 0)
            return true;
        s += n;
    }
    return false;
}

/* The next `name=value` after a ';' at `*s`; false at the end. The value loses its quotes. */
static bool next_parameter(const char **s, const char **name, size_t *name_len, const char **value,
                           size_t *value_len)
{
    const char *p = *s + strspn(*s, SPACE ";");
    size_t n = strcspn(p, ";,");
    if (n == 0)
        return false;
    const char *eq = memchr(p, '=', n);
    *name = p;
    *name_len = eq ? (size_t)(eq - p) : n;
    *value = eq ? eq + 1 : p + n;
    *value_len = (size_t)(p + n - *value);
    while (*value_len > 0 && strchr(SPACE, (*value)[*value_len - 1]))
        (*value_len)--;
    if (*value_len >= 2 && (*value)[0] == '"' && (*value)[*value_len - 1] == '"') {
        (*value)++;
        *value_len -= 2;
    }
    *s = p + n;
    return true;
}

static bool word_is(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

/* Length of the media type at `s`, without what follows. */
static size_t type_length(const char *s)
{
    return strcspn(s, ";," SPACE);
}

bool params_media_type_is(const char *header, const char *type)
{
    if (!header)
        return false;
    const char *s = header + strspn(header, SPACE);
    size_t n = type_length(s);
    if (!word_is(s, n, type))
        return false;
    s += n;
    const char *name, *value;
    size_t name_len, value_len;
    while (next_parameter(&s, &name, &name_len, &value, &value_len))
        if (word_is(name, name_len, "charset") && !word_is(value, value_len, "utf-8"))
            return false;
    return true;
}

/* Whether the parameters at `s` hold q=0. */
static bool quality_zero(const char *s)
{
    const char *name, *value;
    size_t name_len, value_len;
    while (next_parameter(&s, &name, &name_len, &value, &value_len))
        if (word_is(name, name_len, "q"))
            return value_len > 0 && strspn(value, "0.") >= value_len;
    return false;
}

bool params_accepts(const char *header, const char *type)
{
    if (!header)
        return false;
    for (const char *s = header; *s;) {
        s += strspn(s, SPACE ",");
        size_t n = type_length(s);
        if (word_is(s, n, type))
            return !quality_zero(s + n);
        s += strcspn(s, ",");
    }
    return false;
}

const char *request_param(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

int request_param_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t *out)
{
    const char *text = request_param(r, name);
    if (!text || params_int(text, min, max, out))
        return 0;
    return err_set(&r->err, FERR_INVALID_PARAMETER, "\"%s\" must be an integer from %" PRId64 " to %" PRId64,
                   name, min, max);
}
