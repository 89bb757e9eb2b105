/*
 * log.c: logfmt lines on stderr.
 *
 * Any thread. A line is built on the stack and leaves in one write(2), so lines of several
 * threads do not mix; what does not fit is cut. Nothing here fails and nothing is fatal.
 */
#include "daemon/log.h"

#include "daemon/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static const char *const WORDS[] = {"error", "warn", "info", "debug", "notice"};
static atomic_int g_level = LOG_LEVEL_INFO;

struct line {
    char data[4096];
    size_t len;
};

static void put(struct line *l, char c)
{
    if (l->len < sizeof l->data - 1) /* the last place is the newline's */
        l->data[l->len++] = c;
}

static void put_text(struct line *l, const char *s)
{
    while (*s)
        put(l, *s++);
}

static bool needs_quotes(const char *s)
{
    if (!*s)
        return true;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
            return true;
    return false;
}

static void put_value(struct line *l, const char *s)
{
    static const char HEX[] = "0123456789abcdef";
    if (!needs_quotes(s)) {
        put_text(l, s);
        return;
    }
    put(l, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            put(l, '\\');
            put(l, (char)c);
        } else if (c == '\n') {
            put_text(l, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            put_text(l, "\\x");
            put(l, HEX[c >> 4]);
            put(l, HEX[c & 15]);
        } else {
            put(l, (char)c);
        }
    }
    put(l, '"');
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&g_level, (int)level, memory_order_relaxed);
}

int log_level_parse(const char *s)
{
    for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
        if (strcmp(WORDS[i], s) == 0)
            return i;
    return -1;
}

void log_event(enum log_level level, const char *area, const char *msg, ...)
{
    if (level != LOG_LEVEL_NOTICE && (int)level > atomic_load_explicit(&g_level, memory_order_relaxed))
        return;
    struct line l = {.len = 0};
    char when[CLOCK_RFC3339_SIZE];
    put_text(&l, clock_rfc3339(clock_wall_us(), when));
    put(&l, ' ');
    put_text(&l, WORDS[level]);
    put(&l, ' ');
    put_text(&l, area);
    put_text(&l, " msg=");
    put_value(&l, msg);
    va_list ap;
    va_start(ap, msg);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        put(&l, ' ');
        put_text(&l, key);
        put(&l, '=');
        put_value(&l, value ? value : "");
    }
    va_end(ap);
    l.data[l.len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, l.data, l.len);
    (void)ignored; /* nobody is left to be told */
}
