/*
 * tensors.h: writes safetensors files in memory for the tests, right ones and wrong ones.
 */
#ifndef FERRY_TESTS_UNIT_TENSORS_H
#define FERRY_TESTS_UNIT_TENSORS_H

#include "workers/verdict/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
    unsigned char *data;
    size_t len;
};

/* A file with exactly this header and this data; free it with free(b.data). */
static inline struct bytes bytes_of(const char *header, const void *data, size_t len)
{
    uint64_t n = strlen(header);
    struct bytes b = {.len = 8 + n + len};
    b.data = malloc(b.len);
    assert_non_null(b.data);
    memcpy(b.data, &n, 8);
    memcpy(b.data + 8, header, n);
    if (len > 0)
        memcpy(b.data + 8 + n, data, len);
    return b;
}

/* Collects tensors; zero-initialise it. */
struct builder {
    char header[16384];
    unsigned char data[65536];
    size_t header_len, len;
};

static inline void builder_add(struct builder *b, const char *name, const char *dtype, const char *shape,
                               const void *data, size_t len)
{
    int n = snprintf(b->header + b->header_len, sizeof b->header - b->header_len,
                     "%s\"%s\": {\"dtype\": \"%s\", \"shape\": %s, \"data_offsets\": [%zu, %zu]}",
                     b->header_len ? ", " : "{", name, dtype, shape, b->len, b->len + len);
    b->header_len += (size_t)n;
    assert_true(b->header_len + 2 < sizeof b->header && b->len + len <= sizeof b->data);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

#define ADD(b, name, dtype, shape, ...) builder_add(b, name, dtype, shape, (__VA_ARGS__), sizeof(__VA_ARGS__))

/* The finished file; the builder may be extended and finished again. */
static inline struct bytes builder_bytes(const struct builder *b)
{
    char header[sizeof b->header + 2];
    (void)snprintf(header, sizeof header, "%s}", b->header_len ? b->header : "{");
    return bytes_of(header, b->data, b->len);
}

/* An open file over bytes that it borrows. */
static inline struct st_file *open_bytes_ok(const struct bytes *b)
{
    struct st_file *f = NULL;
    struct err e = {0};
    int rc = st_open_memory(b->data, b->len, NULL, &f, &e);
    if (rc)
        fail_msg("%s", e.text);
    return f;
}

#endif
