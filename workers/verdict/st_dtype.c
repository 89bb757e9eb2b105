/*
 * st_dtype.c: the element types of safetensors and how to read them.
 *
 * Any thread. Data is little endian and may start at any byte, so every load goes through memcpy, which
 * compilers turn into plain moves. A dtype out of range is a programming error and aborts.
 */
#include "workers/verdict/st_internal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read in place, as little endian");

struct dtype_row {
    const char *header, *torch;
    size_t size;
};

static const struct dtype_row ROWS[ST_DTYPE_COUNT] = {
#define X(name, header, torch, size) {header, torch, size},
    ST_DTYPE_TABLE(X)
#undef X
};

const char *st_dtype_torch(enum st_dtype d)
{
    assert((unsigned)d < ST_DTYPE_COUNT);
    return ROWS[d].torch;
}

size_t st_dtype_size(enum st_dtype d)
{
    assert((unsigned)d < ST_DTYPE_COUNT);
    return ROWS[d].size;
}

bool st_dtype_float(enum st_dtype d)
{
    return d == ST_F16 || d == ST_BF16 || d == ST_F32 || d == ST_F64;
}

int st_dtype_parse(const char *word)
{
    for (int i = 0; i < ST_DTYPE_COUNT; i++)
        if (strcmp(ROWS[i].header, word) == 0)
            return i;
    return -1;
}

double st_dtype_roundoff(enum st_dtype d)
{
    switch (d) {
    case ST_F16:
        return 0x1p-11;
    case ST_BF16:
        return 0x1p-8;
    case ST_F32:
        return 0x1p-24;
    case ST_F64:
        return 0x1p-53;
    default:
        return 0;
    }
}

static double float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. Moved to where a float has them, the
 * exponent is too small by the difference of the biases, 127 - 15, which also holds for subnormals. */
static double half_to_double(uint16_t h)
{
    bool finite = (h & 0x7c00) != 0x7c00;
    double magnitude = float_of_bits((uint32_t)(h & 0x7fff) << 13 | (finite ? 0 : 0x7f800000)) * 0x1p112;
    return (h & 0x8000) ? -magnitude : magnitude;
}

/* bfloat16 is the upper half of a float32. */
static double bfloat_to_double(uint16_t b)
{
    return float_of_bits((uint32_t)b << 16);
}

/* for each element: reads a `type` and stores `convert` of it, called x there */
#define LOAD_EACH(type, convert)                \
    for (size_t i = 0; i < n; i++) {            \
        type x;                                 \
        memcpy(&x, p + i * sizeof x, sizeof x); \
        out[i] = (convert);                     \
    }                                           \
    break

void st_load_double(const struct st_tensor *t, uint64_t first, size_t n, double *out)
{
    const unsigned char *p = (const unsigned char *)t->data + first * st_dtype_size(t->dtype);
    switch (t->dtype) {
    case ST_BOOL:
    case ST_U8:
        LOAD_EACH(uint8_t, (double)x);
    case ST_I8:
        LOAD_EACH(int8_t, (double)x);
    case ST_I16:
        LOAD_EACH(int16_t, (double)x);
    case ST_I32:
        LOAD_EACH(int32_t, (double)x);
    case ST_I64:
        LOAD_EACH(int64_t, (double)x);
    case ST_F16:
        LOAD_EACH(uint16_t, half_to_double(x));
    case ST_BF16:
        LOAD_EACH(uint16_t, bfloat_to_double(x));
    case ST_F32:
        LOAD_EACH(float, (double)x);
    case ST_F64:
        memcpy(out, p, n * sizeof *out);
        break;
    default:
        abort(); /* the reader lets no other dtype through */
    }
}

void st_load_int64(const struct st_tensor *t, uint64_t first, size_t n, int64_t *out)
{
    const unsigned char *p = (const unsigned char *)t->data + first * st_dtype_size(t->dtype);
    switch (t->dtype) {
    case ST_BOOL:
    case ST_U8:
        LOAD_EACH(uint8_t, (int64_t)x);
    case ST_I8:
        LOAD_EACH(int8_t, (int64_t)x);
    case ST_I16:
        LOAD_EACH(int16_t, (int64_t)x);
    case ST_I32:
        LOAD_EACH(int32_t, (int64_t)x);
    case ST_I64:
        memcpy(out, p, n * sizeof *out);
        break;
    default:
        abort(); /* the caller asked for integers of a float tensor */
    }
}
