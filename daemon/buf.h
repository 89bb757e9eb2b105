/*
 * buf.h: a growing byte buffer with a maximum, given when it is made.
 *
 * One thread at a time. Appending past the maximum, or out of memory, marks the buffer failed: later
 * appends do nothing, and the caller asks buf_failed() once at the end.
 */
#ifndef FERRY_DAEMON_BUF_H
#define FERRY_DAEMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* NUL-terminated after every append; NULL while empty */
    size_t len, cap, max;
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}
/* Hands the memory to the caller (free it); the buffer is empty afterwards. NULL where it failed. */
char *buf_take(struct buf *b, size_t *len);

#endif
