/*
 * err.c: filling errors and reading their table.
 *
 * Any thread; no allocation, so that running out of memory can be reported too.
 */
#include "daemon/err.h"

#include <stdio.h>
#include <string.h>

struct ferr_row {
    const char *code;
    int http;
    const char *title;
};

static const struct ferr_row ROWS[FERR_COUNT] = {
#define X(name, code, http, title) {code, http, title},
    FERR_TABLE(X)
#undef X
};

static const struct ferr_row *row_of(int code)
{
    int i = -1 - code;
    return (i >= 0 && i < FERR_COUNT) ? &ROWS[i] : &ROWS[FERR_I_INTERNAL];
}

__attribute__((format(printf, 4, 0))) static void set_text(struct err *e, enum ferr code, const char *pointer,
                                                           const char *fmt, va_list ap)
{
    e->code = code;
    (void)snprintf(e->pointer, sizeof e->pointer, "%s", pointer);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
}

int err_set(struct err *e, enum ferr code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        set_text(e, code, "", fmt, ap);
        va_end(ap);
    }
    return code;
}

int err_at(struct err *e, enum ferr code, const char *pointer, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        set_text(e, code, pointer, fmt, ap);
        va_end(ap);
    }
    return code;
}

int err_errno(struct err *e, int errnum, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        set_text(e, FERR_IO, "", fmt, ap);
        va_end(ap);
        size_t used = strlen(e->text);
        char reason[128];
        const char *text = strerror_r(errnum, reason, sizeof reason);
        (void)snprintf(e->text + used, sizeof e->text - used, ": %s", text);
    }
    return FERR_IO;
}

const char *ferr_code(int code)
{
    return row_of(code)->code;
}

int ferr_http(int code)
{
    return row_of(code)->http;
}

const char *ferr_title(int code)
{
    return row_of(code)->title;
}
