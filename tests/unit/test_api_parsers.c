/*
 * test_api_parsers.c: Host and Origin checks, parameters and headers, JSON pointers and the field walker.
 */
#include "api/fields.h"
#include "api/guard.h"
#include "api/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void hosts(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"localhost",       "LOCALHOST:80", "127.0.0.1",
                                       "127.0.0.1:65535", "[::1]",        "[::1]:8642"};
    static const char *const BAD[] = {"",
                                      "localhost.evil.example",
                                      "localhost:",
                                      "localhost:80x",
                                      "127.0.0.10",
                                      "127.0.0.1@",
                                      "example.com",
                                      "[::1]:12345678",
                                      "::1",
                                      "localhost/"};
    assert_true(guard_host_allowed(NULL));
    for (size_t i = 0; i < COUNT(GOOD); i++)
        assert_true(guard_host_allowed(GOOD[i]));
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_false(guard_host_allowed(BAD[i]));
}

static void origins(void **state)
{
    (void)state;
    assert_true(guard_origin_allowed(NULL, "localhost:1"));
    assert_true(guard_origin_allowed("http://localhost:1", "localhost:1"));
    assert_true(guard_origin_allowed("HTTP://LocalHost:1", "localhost:1"));
    assert_false(guard_origin_allowed("http://localhost:2", "localhost:1"));
    assert_false(guard_origin_allowed("https://localhost:1", "localhost:1"));
    assert_false(guard_origin_allowed("null", "localhost:1"));
    assert_false(guard_origin_allowed("http://localhost:1", NULL));
}

static void loopback(void **state)
{
    (void)state;
    assert_true(guard_loopback("127.0.0.1"));
    assert_true(guard_loopback("127.8.9.1"));
    assert_true(guard_loopback("::1"));
    assert_false(guard_loopback("0.0.0.0"));
    assert_false(guard_loopback("::"));
    assert_false(guard_loopback("10.0.0.1"));
    assert_false(guard_loopback("localhost"));
}

static void integers(void **state)
{
    (void)state;
    int64_t n = -7;
    static const char *const BAD[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "11", "9999999999999999999999", "abc"};
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_false(params_int(BAD[i], 0, 10, &n));
    assert_int_equal(n, -7);
    assert_true(params_int("10", 0, 10, &n));
    assert_int_equal(n, 10);
    assert_true(params_int("007", 0, 10, &n));
    assert_int_equal(n, 7);
}

static void etags(void **state)
{
    (void)state;
    assert_true(params_etag_matches("\"v1\"", "\"v1\""));
    assert_true(params_etag_matches("W/\"v1\"", "\"v1\""));
    assert_true(params_etag_matches("\"v0\" , W/\"v1\" ", "\"v1\""));
    assert_true(params_etag_matches("*", "\"v1\""));
    assert_false(params_etag_matches("\"v12\"", "\"v1\""));
    assert_false(params_etag_matches("v1", "\"v1\""));
    assert_false(params_etag_matches("", "\"v1\""));
    assert_false(params_etag_matches(NULL, "\"v1\""));
}

static void media_types(void **state)
{
    (void)state;
    assert_true(params_media_type_is("application/json", "application/json"));
    assert_true(params_media_type_is(" Application/JSON ; charset=\"UTF-8\"", "application/json"));
    assert_true(params_media_type_is("application/json;v=1", "application/json"));
    assert_false(params_media_type_is("application/json; charset=latin1", "application/json"));
    assert_false(params_media_type_is("application/jsonx", "application/json"));
    assert_false(params_media_type_is("", "application/json"));
    assert_false(params_media_type_is(NULL, "application/json"));
}

static void accepts(void **state)
{
    (void)state;
    assert_true(params_accepts("text/event-stream", "text/event-stream"));
    assert_true(params_accepts("application/json, text/event-stream;q=0.5", "text/event-stream"));
    assert_false(params_accepts("text/event-stream;q=0.0, */*", "text/event-stream"));
    assert_false(params_accepts("*/*", "text/event-stream"));
    assert_false(params_accepts(NULL, "text/event-stream"));
}

static void pointers(void **state)
{
    (void)state;
    struct pointer root = {""}, a = pointer_member(&root, "a/b~c"), b = pointer_index(&a, 12);
    assert_string_equal(b.text, "/a~1b~0c/12"); /* RFC 6901, section 3 */
    char longer[600];
    memset(longer, '~', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct pointer cut = pointer_member(&b, longer);
    assert_true(strlen(cut.text) < sizeof cut.text);
    cut = pointer_member(&cut, longer);
    assert_true(strlen(cut.text) < sizeof cut.text);
}

static void words(void **state)
{
    (void)state;
    assert_true(words_have("one two ", "one"));
    assert_true(words_have("one two ", "two"));
    assert_false(words_have("one two ", "tw"));
    assert_false(words_have("one two ", "twos"));
    assert_false(words_have("one two ", ""));
    assert_false(words_have("one two ", "one two"));
}

static void defaults_are_filled(void **state)
{
    (void)state;
    static const struct field MEMBERS[] = {
        {.name = "n", .type = FIELD_INTEGER, .min = 1, .max = 3, .fallback = "2"},
        {.name = "s", .type = FIELD_STRING, .flags = FIELD_NULLABLE, .fallback = "null"},
        {.name = "free", .type = FIELD_ANY},
        {.name = NULL},
    };
    static const struct field OBJECT = {.type = FIELD_OBJECT, .members = MEMBERS};
    struct pointer root = {""};
    struct err e = {0};
    json_t *value = json_pack("{}");
    assert_int_equal(fields_check(&OBJECT, value, &root, NULL, &e), 0);
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"n\":2,\"s\":null}");
    free(text);
    json_object_set_new(value, "n", json_integer(4));
    assert_int_equal(fields_check(&OBJECT, value, &root, NULL, &e), FERR_INVALID_FIELD);
    assert_string_equal(e.pointer, "/n");
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),    cmocka_unit_test(origins),
        cmocka_unit_test(loopback), cmocka_unit_test(integers),
        cmocka_unit_test(etags),    cmocka_unit_test(media_types),
        cmocka_unit_test(accepts),  cmocka_unit_test(pointers),
        cmocka_unit_test(words),    cmocka_unit_test(defaults_are_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
