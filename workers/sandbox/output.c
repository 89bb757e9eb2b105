/*
 * output.c: what a step prints.
 *
 * Owned by the worker that runs the step. The bytes are untrusted; they are kept as they came, but
 * for NUL, which would hide the rest.
 */
#include "workers/sandbox/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_CAPACITY 4096

static int make_room(struct step_output *o, size_t more)
{
    size_t need = o->len + more + 1;
    if (need <= o->capacity)
        return 0;
    size_t capacity = o->capacity ? o->capacity : FIRST_CAPACITY;
    while (capacity < need)
        capacity *= 2;
    char *text = realloc(o->text, capacity);
    if (!text)
        return -1;
    o->text = text;
    o->capacity = capacity;
    return 0;
}

static void append(struct step_output *o, const char *bytes, size_t n)
{
    if (make_room(o, n) != 0)
        return; /* without memory the output is cut here */
    for (size_t i = 0; i < n; i++)
        o->text[o->len++] = bytes[i] ? bytes[i] : '?';
}

int step_output_read(struct step_output *o, int pipe)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = read(pipe, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 1 : 0;
        size_t room = o->most - o->len;
        append(o, bytes, (size_t)n < room ? (size_t)n : room);
        if ((size_t)n > room)
            return -1;
    }
}

char *step_output_finish(struct step_output *o)
{
    char *text = NULL;
    if (make_room(o, 0) == 0) {
        text = o->text;
        text[o->len] = '\0';
    } else {
        free(o->text);
    }
    *o = (struct step_output){0};
    return text;
}
