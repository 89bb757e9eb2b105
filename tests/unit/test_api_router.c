/*
 * test_api_router.c: finding a route, what it captures, and the methods of a path.
 */
#include "api/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct found {
    const struct route *route;
    char args[2][ROUTE_ARG_SIZE];
    char allow[64];
    struct err err;
};

static struct found find(const char *method, const char *path)
{
    struct found f = {0};
    f.route = router_find(method, path, f.args, f.allow, &f.err);
    return f;
}

static void captures(void **state)
{
    (void)state;
    struct found f = find("GET", "/v1/jobs/job_1/attempts/2");
    assert_non_null(f.route);
    assert_ptr_equal(f.route->run, job_attempt);
    assert_string_equal(f.args[0], "job_1");
    assert_string_equal(f.args[1], "2");
    f = find("POST", "/v1/jobs/job_1/cancel");
    assert_ptr_equal(f.route->run, job_cancel);
    assert_string_equal(f.args[0], "job_1");
    assert_ptr_equal(find("GET", "/").route->run, page_index);
    assert_ptr_equal(find("HEAD", "/v1/jobs").route->run, jobs_list);
    assert_ptr_equal(find("POST", "/v1/jobs").route->run, jobs_create);
}

static void unknown_paths(void **state)
{
    (void)state;
    static const char *const PATHS[] = {
        "",          "/v1",        "/v1/",           "/v1/jobs/",  "//v1/jobs",
        "/v1/jobsx", "/v1/jobs//", "/v1/jobs/a/b/c", "v1/jobs",    "/v1/jobs/a/events/",
        "/V1/jobs",  "*",          "/v1/jobs//diff", "/dashboard/"};
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        struct found f = find("GET", PATHS[i]);
        assert_null(f.route);
        assert_int_equal(f.err.code, FERR_NOT_FOUND);
        assert_string_equal(f.allow, "");
    }
}

static void wrong_methods(void **state)
{
    (void)state;
    struct found f = find("PATCH", "/v1/jobs");
    assert_null(f.route);
    assert_int_equal(f.err.code, FERR_METHOD_NOT_ALLOWED);
    assert_string_equal(f.allow, "POST, GET, HEAD, OPTIONS");
    assert_string_equal(find("POST", "/v1/jobs/x").allow, "GET, HEAD, DELETE, OPTIONS");
    assert_int_equal(find("get", "/v1/jobs").err.code, FERR_METHOD_NOT_ALLOWED);
    assert_int_equal(find("HEAD", "/v1/jobs/x/cancel").err.code, FERR_METHOD_NOT_ALLOWED);
}

static void long_segments_are_cut(void **state)
{
    (void)state;
    char path[8192];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    memcpy(path, "/v1/jobs/", 9);
    struct found f = find("GET", path);
    assert_ptr_equal(f.route->run, job_get);
    assert_int_equal(strlen(f.args[0]), ROUTE_ARG_SIZE - 1);
    assert_false(job_id_valid(f.args[0]));
}

static void parameters(void **state)
{
    (void)state;
    const struct route *list = find("GET", "/v1/jobs").route, *diff = find("GET", "/v1/jobs/x/diff").route;
    assert_true(route_takes(list, "cursor"));
    assert_false(route_takes(list, "wait"));
    assert_false(route_takes(list, ""));
    assert_false(route_takes(diff, "wait"));
}

static void printed(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    api_print_routes(out);
    (void)fclose(out);
    assert_non_null(strstr(text, "GET /v1/jobs limit,cursor,state\n"));
    assert_non_null(strstr(text, "DELETE /v1/jobs/{id}\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures),      cmocka_unit_test(unknown_paths),
        cmocka_unit_test(wrong_methods), cmocka_unit_test(long_segments_are_cut),
        cmocka_unit_test(parameters),    cmocka_unit_test(printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
