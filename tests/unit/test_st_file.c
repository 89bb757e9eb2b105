/*
 * test_st_file.c: the safetensors reader, by right files and by one crafted file for every check.
 */
#include "tests/unit/tensors.h"

#include "workers/verdict/st_internal.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#define F32(shape, begin, end) \
    "{\"dtype\": \"F32\", \"shape\": " shape ", \"data_offsets\": [" #begin ", " #end "]}"

static const float EIGHT[8] = {0, 1, 2, 3, 4, 5, 6, 7};

/* Opens a file with this header and `len` bytes of data, which must fail with a text that holds `why`. */
static void refuse_limited(const char *header, size_t len, const struct st_limits *limits, const char *why)
{
    struct bytes b = bytes_of(header, EIGHT, len);
    struct st_file *f = NULL;
    struct err e = {0};
    assert_int_equal(st_open_memory(b.data, b.len, limits, &f, &e), FERR_INVALID_TENSORS);
    assert_null(f);
    if (!strstr(e.text, why))
        fail_msg("'%s' does not say '%s'", e.text, why);
    free(b.data);
}

static void refuse(const char *header, size_t len, const char *why)
{
    refuse_limited(header, len, NULL, why);
}

static void reads_a_file(void **state)
{
    (void)state;
    struct bytes b = bytes_of(
        "{\"__metadata__\": {\"a\": \"b\"}, \"b\": " F32("[2, 3]", 8, 32) ", \"a\": " F32(
            "[1, 2]", 0, 8) ", \"empty\": " F32("[0, 7]", 8, 8) ", \"none\": " F32("[0]", 32, 32) "}   ",
        EIGHT, sizeof EIGHT);
    struct st_file *f = open_bytes_ok(&b);
    assert_int_equal(st_count(f), 4);
    assert_string_equal(st_at(f, 0)->name, "a");
    assert_string_equal(st_at(f, 1)->name, "empty");
    assert_string_equal(st_at(f, 2)->name, "b");
    const struct st_tensor *t = st_find(f, "b");
    assert_int_equal(t->dtype, ST_F32);
    assert_int_equal(t->ndim, 2);
    assert_int_equal(t->shape[1], 3);
    assert_int_equal(t->count, 6);
    assert_int_equal(t->bytes, 24);
    double v[6];
    st_load_double(t, 0, 6, v);
    assert_true(v[0] == 2 && v[5] == 7);
    assert_null(st_find(f, "c"));
    assert_null(st_find(f, "__metadata__"));
    assert_null(st_find(f, ""));
    st_close(f);
    free(b.data);
}

static void reads_a_scalar_and_an_empty_file(void **state)
{
    (void)state;
    struct bytes b = bytes_of("{\"s\": " F32("[]", 0, 4) "}", EIGHT, 4);
    struct st_file *f = open_bytes_ok(&b);
    assert_int_equal(st_find(f, "s")->count, 1);
    st_close(f);
    free(b.data);
    b = bytes_of("{}", NULL, 0);
    f = open_bytes_ok(&b);
    assert_int_equal(st_count(f), 0);
    assert_null(st_find(f, "s"));
    st_close(f);
    free(b.data);
    st_close(NULL);
}

static void maps_a_descriptor(void **state)
{
    (void)state;
    struct bytes b = bytes_of("{\"s\": " F32("[8]", 0, 32) "}", EIGHT, 32);
    int fd = memfd_create("t", MFD_CLOEXEC);
    assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
    struct st_file *f = NULL;
    struct err e = {0};
    assert_int_equal(st_open(fd, NULL, &f, &e), 0);
    close(fd);
    double v;
    st_load_double(st_find(f, "s"), 7, 1, &v);
    assert_true(v == 7);
    st_close(f);
    free(b.data);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    struct st_file *f;
    struct err e = {0};
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(st_open(pipes[0], NULL, &f, &e), FERR_INVALID_TENSORS);
    close(pipes[0]);
    close(pipes[1]);
    int fd = memfd_create("t", MFD_CLOEXEC);
    assert_int_equal(st_open(fd, NULL, &f, &e), FERR_INVALID_TENSORS);
    assert_int_equal(write(fd, "1234567", 7), 7);
    assert_int_equal(st_open(fd, NULL, &f, &e), FERR_INVALID_TENSORS);
    struct st_limits small = {.file_bytes = 8};
    assert_int_equal(write(fd, "1234567", 7), 7);
    assert_int_equal(st_open(fd, &small, &f, &e), FERR_INVALID_TENSORS);
    assert_non_null(strstr(e.text, "larger than 8"));
    close(fd);
    assert_int_equal(st_open(fd, NULL, &f, &e), FERR_IO);
    assert_null(f);
}

static void refuses_a_wrong_header_length(void **state)
{
    (void)state;
    struct st_file *f;
    struct err e = {0};
    unsigned char raw[16] = {9};
    assert_int_equal(st_open_memory(raw, 0, NULL, &f, &e), FERR_INVALID_TENSORS);
    assert_int_equal(st_open_memory(raw, 7, NULL, &f, &e), FERR_INVALID_TENSORS);
    assert_int_equal(st_open_memory(raw, 16, NULL, &f, &e), FERR_INVALID_TENSORS);
    assert_non_null(strstr(e.text, "longer than the file"));
    memset(raw, 0xff, 8);
    assert_int_equal(st_open_memory(raw, 16, NULL, &f, &e), FERR_INVALID_TENSORS);
    assert_non_null(strstr(e.text, "longer than 16777216 bytes"));
    memset(raw, 0, 8);
    assert_int_equal(st_open_memory(raw, 8, NULL, &f, &e), FERR_INVALID_TENSORS);
}

static void refuses_a_header_that_is_not_json(void **state)
{
    (void)state;
    refuse("", 0, "begin with '{'");
    refuse(" {}", 0, "begin with '{'");
    refuse("[]", 0, "begin with '{'");
    refuse("{", 0, "not valid JSON");
    refuse("{}}", 0, "not valid JSON");
    refuse("{\"a\xff\": 1}", 0, "not valid JSON");
    refuse("{\"a\\u0000b\": " F32("[1]", 0, 4) "}", 4, "not valid JSON");
    refuse("{\"a\": " F32("[1]", 0, 4) ", \"a\": " F32("[1]", 4, 8) "}", 8, "not valid JSON");
}

static void refuses_a_malformed_entry(void **state)
{
    (void)state;
    refuse("{\"a\": 1}", 0, "the entry is not");
    refuse("{\"a\": {}}", 0, "the entry is not");
    refuse("{\"a\": {\"dtype\": 3, \"shape\": [], \"data_offsets\": [0, 4]}}", 4, "the entry is not");
    refuse("{\"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4], \"x\": 1}}", 4,
           "the entry is not");
    refuse("{\"a\": {\"dtype\": \"F8_E4M3\", \"shape\": [4], \"data_offsets\": [0, 4]}}", 4,
           "dtype is not known");
    refuse("{\"a\\nb\": 1}", 0, "tensor 'a?b'");
}

static void refuses_a_malformed_shape(void **state)
{
    (void)state;
    refuse("{\"a\": " F32("4", 0, 4) "}", 4, "shape is not an array");
    refuse("{\"a\": " F32("[-1]", 0, 4) "}", 4, "dimension is not an integer");
    refuse("{\"a\": " F32("[1.0]", 0, 4) "}", 4, "dimension is not an integer");
    refuse("{\"a\": " F32("[\"1\"]", 0, 4) "}", 4, "dimension is not an integer");
    refuse("{\"a\": " F32("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "rank is too large");
    refuse("{\"a\": " F32("[4294967296, 4294967296, 2]", 0, 4) "}", 4, "elements overflows");
    refuse("{\"a\": " F32("[4611686018427387905]", 0, 4) "}", 4, "bytes overflows");
    refuse("{\"a\": " F32("[99999999999999999999]", 0, 4) "}", 4, "not valid JSON");
}

static void refuses_wrong_offsets(void **state)
{
    (void)state;
    refuse("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0]}}", 4, "not two integers");
    refuse("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": 4}}", 4, "not two integers");
    refuse("{\"a\": " F32("[1]", -4, 0) "}", 4, "not two integers");
    refuse("{\"a\": " F32("[1]", 4, 0) "}", 4, "outside the file");
    refuse("{\"a\": " F32("[2]", 0, 8) "}", 4, "outside the file");
    refuse("{\"a\": " F32("[1]", 9223372036854775803, 9223372036854775807) "}", 4, "outside the file");
    refuse("{\"a\": " F32("[2]", 0, 4) "}", 4, "do not give the size");
    refuse("{\"a\": " F32("[0]", 0, 4) "}", 4, "do not give the size");
}

static void refuses_gaps_and_overlaps(void **state)
{
    (void)state;
    refuse("{\"a\": " F32("[1]", 4, 8) "}", 8, "'a': a gap precedes");
    refuse("{\"a\": " F32("[1]", 0, 4) ", \"b\": " F32("[1]", 8, 12) "}", 12, "'b': a gap precedes");
    refuse("{\"a\": " F32("[2]", 0, 8) ", \"b\": " F32("[2]", 4, 12) "}", 12, "'b': its data overlaps");
    refuse("{\"a\": " F32("[2]", 0, 8) ", \"b\": " F32("[2]", 0, 8) "}", 8, "'b': its data overlaps");
    refuse("{\"a\": " F32("[2]", 0, 8) ", \"b\": " F32("[0]", 4, 4) "}", 8, "overlaps");
    refuse("{\"a\": " F32("[1]", 0, 4) "}", 7, "3 bytes follow the last tensor");
    refuse("{}", 4, "4 bytes follow");
}

static void keeps_limits(void **state)
{
    (void)state;
    const char *two = "{\"a\": " F32("[1]", 0, 4) ", \"b\": " F32("[1]", 4, 8) "}";
    refuse_limited(two, 8, &(struct st_limits){.tensors = 1}, "more than 1 tensors");
    refuse_limited(two, 8, &(struct st_limits){.header_bytes = 20}, "longer than 20 bytes");
    refuse_limited(two, 8, &(struct st_limits){.file_bytes = 30}, "larger than 30 bytes");
    struct st_limits enough = {.tensors = 2, .header_bytes = strlen(two), .file_bytes = strlen(two) + 16};
    struct bytes b = bytes_of(two, EIGHT, 8);
    struct st_file *f = NULL;
    struct err e = {0};
    assert_int_equal(st_open_memory(b.data, b.len, &enough, &f, &e), 0);
    st_close(f);
    free(b.data);
}

/* Small text that would need much memory once parsed. */
static void refuses_a_flood_of_values(void **state)
{
    (void)state;
    size_t n = 3000000;
    char *header = malloc(n + 64);
    (void)snprintf(header, n + 64, "{\"__metadata__\": [");
    size_t len = strlen(header);
    for (size_t i = 0; i < n; i++)
        header[len + i] = i % 2 ? ',' : '1';
    memcpy(header + len + n - 1, "]}", 3);
    refuse(header, 0, "too many values");
    memset(header + len, '[', n);
    refuse(header, 0, "too many values");
    free(header);
}

static void finds_by_prefix(void **state)
{
    (void)state;
    struct builder b = {0};
    unsigned char v[1] = {1};
    ADD(&b, "c1/out/1", "U8", "[1]", v);
    ADD(&b, "c1/out/0", "U8", "[1]", v);
    ADD(&b, "c10/out/0", "U8", "[1]", v);
    ADD(&b, "c1/state/a", "U8", "[1]", v);
    struct bytes bytes = builder_bytes(&b);
    struct st_file *f = open_bytes_ok(&bytes);
    size_t first;
    assert_int_equal(st_prefix(f, "c1/out/", &first), 2);
    assert_string_equal(st_by_name(f, first)->name, "c1/out/0");
    assert_int_equal(st_prefix(f, "c1", &first), 4);
    assert_int_equal(st_prefix(f, "z", &first), 0);
    st_close(f);
    free(bytes.data);
}

/* binary16 and bfloat16 by their definitions: largest, smallest normal, smallest subnormal, infinities, NaN.
 */
static void converts_every_dtype(void **state)
{
    (void)state;
    struct builder b = {0};
    ADD(&b, "half", "F16", "[8]",
        (const uint16_t[]){0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x7c00, 0xfc00, 0x7e00});
    ADD(&b, "bf", "BF16", "[4]", (const uint16_t[]){0x3f80, 0xc040, 0x7f80, 0x7fc0});
    ADD(&b, "pad", "BOOL", "[3]", (const unsigned char[]){0, 1, 2});
    ADD(&b, "f64", "F64", "[1]", (const double[]){0.1});
    ADD(&b, "i64", "I64", "[2]", (const int64_t[]){INT64_MIN, INT64_MAX});
    ADD(&b, "i32", "I32", "[1]", (const int32_t[]){-7});
    ADD(&b, "i16", "I16", "[1]", (const int16_t[]){-300});
    ADD(&b, "i8", "I8", "[1]", (const int8_t[]){-8});
    ADD(&b, "u8", "U8", "[1]", (const uint8_t[]){200});
    struct bytes bytes = builder_bytes(&b);
    struct st_file *f = open_bytes_ok(&bytes);
    double v[8];
    st_load_double(st_find(f, "half"), 0, 8, v);
    assert_true(v[0] == 1 && v[1] == -2 && v[2] == 65504 && v[3] == 0x1p-14 && v[4] == 0x1p-24);
    assert_true(v[5] == INFINITY && v[6] == -INFINITY && isnan(v[7]));
    st_load_double(st_find(f, "bf"), 0, 4, v);
    assert_true(v[0] == 1 && v[1] == -3 && v[2] == INFINITY && isnan(v[3]));
    st_load_double(st_find(f, "f64"), 0, 1, v); /* not aligned: three bytes of BOOL precede it */
    assert_true(v[0] == 0.1);
    int64_t i[3];
    st_load_int64(st_find(f, "i64"), 0, 2, i);
    assert_true(i[0] == INT64_MIN && i[1] == INT64_MAX);
    static const struct {
        const char *name;
        int64_t value;
    } SINGLE[] = {{"i32", -7}, {"i16", -300}, {"i8", -8}, {"u8", 200}};
    for (size_t k = 0; k < sizeof SINGLE / sizeof *SINGLE; k++) {
        st_load_int64(st_find(f, SINGLE[k].name), 0, 1, i);
        st_load_double(st_find(f, SINGLE[k].name), 0, 1, v);
        assert_true(i[0] == SINGLE[k].value && v[0] == (double)SINGLE[k].value);
    }
    st_load_int64(st_find(f, "pad"), 0, 3, i);
    assert_true(i[0] == 0 && i[1] == 1 && i[2] == 2);
    st_close(f);
    free(bytes.data);
}

/* Every single byte of a small file replaced by telling values, and every length: the reader says yes or no,
 * and what it lets through can be read to the last byte (the sanitizers watch). */
static void survives_mutations(void **state)
{
    (void)state;
    static const unsigned char VALUES[] = {0,   1,   0x7f, 0xff, '"', '\\', '[', ']',
                                           '{', '}', ',',  ':',  '-', '0',  '9', 'e'};
    struct bytes good =
        bytes_of("{\"a\": " F32("[2,3]", 0, 24) ", \"b\": " F32("[2]", 24, 32) "}", EIGHT, 32);
    size_t accepted = 0;
    for (size_t i = 0; i < good.len; i++) {
        for (size_t k = 0; k < sizeof VALUES; k++) {
            unsigned char *copy = malloc(good.len); /* exact size: one byte too far is seen */
            memcpy(copy, good.data, good.len);
            copy[i] = VALUES[k];
            struct st_file *f = NULL;
            struct err e = {0};
            if (st_open_memory(copy, good.len, NULL, &f, &e) == 0) {
                accepted++;
                for (size_t t = 0; t < st_count(f); t++) {
                    double v[64];
                    assert_true(st_at(f, t)->count <= 64);
                    st_load_double(st_at(f, t), 0, (size_t)st_at(f, t)->count, v);
                }
            }
            st_close(f);
            free(copy);
        }
    }
    assert_true(accepted >= 32 * sizeof VALUES); /* any data is fine */
    for (size_t len = 0; len < good.len; len++) {
        unsigned char *copy = malloc(len + 1);
        struct st_file *f = NULL;
        memcpy(copy, good.data, len);
        assert_int_equal(st_open_memory(copy, len, NULL, &f, NULL), FERR_INVALID_TENSORS);
        free(copy);
    }
    free(good.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_file),
        cmocka_unit_test(reads_a_scalar_and_an_empty_file),
        cmocka_unit_test(maps_a_descriptor),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(refuses_a_wrong_header_length),
        cmocka_unit_test(refuses_a_header_that_is_not_json),
        cmocka_unit_test(refuses_a_malformed_entry),
        cmocka_unit_test(refuses_a_malformed_shape),
        cmocka_unit_test(refuses_wrong_offsets),
        cmocka_unit_test(refuses_gaps_and_overlaps),
        cmocka_unit_test(keeps_limits),
        cmocka_unit_test(refuses_a_flood_of_values),
        cmocka_unit_test(finds_by_prefix),
        cmocka_unit_test(converts_every_dtype),
        cmocka_unit_test(survives_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
