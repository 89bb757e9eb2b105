/*
 * test_api_jobspec.c: what POST /v1/jobs accepts, what it refuses and where it points, and the canonical
 * request.
 */
#include "api/jobspec.h"
#include "api/jobspec_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
static const struct jobspec_limits LIMITS = {.files = 4, .json_depth = 16};

#define SOURCE "\"source\":{\"files\":[{\"path\":\"m.py\",\"content\":\"a\"}]}"

#define WITH(rest) "{" SOURCE "," rest "}"
#define FILES(list) "{\"source\":{\"files\":[" list "]}}"
/* A request of the kind verify with more in its candidate; with a map of one entry; with an entry of one
 * operation. */
#define PORT(more) "\"candidate\":{\"files\":[{\"path\":\"m.py\",\"content\":\"b\"}]" more "}"
#define VERIFY(more) WITH("\"kind\":\"verify\"," PORT("," more))
#define MAP(entry) VERIFY("\"weights\":{\"format\":\"ferry.weights/1\",\"params\":[" entry "]}")
#define OP(op) MAP("{\"to\":\"w\",\"from\":[\"w\"],\"ops\":[" op "]}")
#define OP_AT "/candidate/weights/params/0/ops/0"

static void canonical(void **state)
{
    (void)state;
    static const char BODY[] =
        "{" SOURCE ",\"inputs\":[{\"shape\":[2,3]},{\"value\":null,\"name\":\"mask\"}],"
        "\"init\":{\"args\":[1]}}";
    json_t *spec = NULL;
    struct err e = {0};
    assert_int_equal(jobspec_from_json(BODY, sizeof BODY - 1, &LIMITS, &spec, &e), 0);
    char *text = jobspec_dump(spec);
    assert_string_equal(
        text, "{\"budget\":null,\"candidate\":null,\"contract\":null,\"engine\":\"auto\",\"entry\":null,"
              "\"init\":{\"args\":[1],\"kwargs\":{}},"
              "\"init_expr\":null,\"inputs\":[{\"dtype\":\"float32\",\"shape\":[2,3]},"
              "{\"name\":\"mask\",\"value\":null}],\"inputs_expr\":null,\"kind\":\"migrate\",\"labels\":{},"
              "\"name\":null,\"priority\":0,"
              "\"scan\":false,\"source\":{\"files\":[{\"content\":\"a\",\"path\":\"m.py\"}]},\"style\":"
              "\"faithful\"}");
    free(text);
    json_decref(spec);
}

/* Words of groups become stages in order; the kind implies the engine; a map gets its defaults. */
static void canonical_verify(void **state)
{
    (void)state;
    static const char BODY[] = WITH(
        "\"kind\":\"verify\",\"contract\":{\"stages\":[\"optimizer\",\"gradients\",\"gradients\"]}," PORT(
            ",\"weights\":{\"format\":\"ferry.weights/1\",\"params\":[{\"to\":\"w\",\"from\":[\"w\"]}]}"));
    json_t *spec = NULL;
    struct err e = {0};
    assert_int_equal(jobspec_from_json(BODY, sizeof BODY - 1, &LIMITS, &spec, &e), 0);
    char *contract = json_dumps(json_object_get(spec, "contract"), JSON_COMPACT | JSON_SORT_KEYS);
    char *candidate = json_dumps(json_object_get(spec, "candidate"), JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(json_string_value(json_object_get(spec, "engine")), "given");
    assert_string_equal(contract, "{\"seeds\":null,\"stages\":[\"parse\",\"import\",\"build\",\"weights\","
                                  "\"shapes\",\"gradients\",\"optimizer\"]}");
    assert_string_equal(
        candidate, "{\"adapter\":null,\"entry\":null,\"files\":[{\"content\":\"b\",\"path\":\"m.py\"}],"
                   "\"weights\":{\"format\":\"ferry.weights/1\",\"ignored\":[],\"params\":[{\"from\":[\"w\"],"
                   "\"ops\":[],\"to\":\"w\"}]}}");
    free(contract);
    free(candidate);
    json_decref(spec);
}

static void same_request_same_text(void **state)
{
    (void)state;
    static const char *const BODIES[] = {"{\"entry\":\"M\"," SOURCE "}",
                                         " { " SOURCE " , \"priority\": 0, \"entry\": \"\\u004d\" } "};
    char *texts[2];
    for (size_t i = 0; i < 2; i++) {
        json_t *spec = NULL;
        assert_int_equal(jobspec_from_json(BODIES[i], strlen(BODIES[i]), &LIMITS, &spec, NULL), 0);
        texts[i] = jobspec_dump(spec);
        json_decref(spec);
    }
    assert_string_equal(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
}

struct refusal {
    const char *body;
    int code;
    const char *pointer;
};

#define FILE_AT(path) "{\"path\":\"" path "\",\"content\":\"\"}"

static const struct refusal REFUSALS[] = {
    {"", FERR_BAD_JSON, ""},
    {"{", FERR_BAD_JSON, ""},
    {"{} x", FERR_BAD_JSON, ""},
    {"{\"a\":1,\"a\":2}", FERR_BAD_JSON, ""},
    {"{\"a\":\"\xff\"}", FERR_BAD_JSON, ""},
    {"{\"a\":\"\\u0000\"}", FERR_BAD_JSON, ""},
    {"{\"a\":1e999}", FERR_BAD_JSON, ""},
    {"{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", FERR_BAD_JSON, ""},
    {"[]", FERR_INVALID_FIELD, ""},
    {"null", FERR_INVALID_FIELD, ""},
    {"{}", FERR_MISSING_FIELD, "/source"},
    {"{\"source\":{}}", FERR_MISSING_FIELD, "/source/files"},
    {"{\"source\":[]}", FERR_INVALID_FIELD, "/source"},
    {"{\"source\":{\"files\":[],\"zip\":1}}", FERR_UNKNOWN_FIELD, "/source/zip"},
    {FILES(""), FERR_INVALID_FIELD, "/source/files"},
    {FILES("{\"path\":\"a.py\"}"), FERR_MISSING_FIELD, "/source/files/0/content"},
    {FILES("{\"path\":\"a.py\",\"content\":1}"), FERR_INVALID_FIELD, "/source/files/0/content"},
    {FILES(FILE_AT("")), FERR_INVALID_FIELD, "/source/files/0/path"},
    {FILES(FILE_AT("a.py") "," FILE_AT("../x.py")), FERR_INVALID_FIELD, "/source/files/1/path"},
    {FILES(FILE_AT("/etc/x.py")), FERR_INVALID_FIELD, "/source/files/0/path"},
    {FILES(FILE_AT("a\\\\b.py")), FERR_INVALID_FIELD, "/source/files/0/path"},
    {FILES(FILE_AT("a\\n.py")), FERR_INVALID_FIELD, "/source/files/0/path"},
    {FILES(FILE_AT("a//b.py")), FERR_INVALID_FIELD, "/source/files/0/path"},
    {FILES(FILE_AT("a/./b.py")), FERR_INVALID_FIELD, "/source/files/0/path"},
    {FILES(FILE_AT("readme.txt")), FERR_INVALID_FIELD, "/source/files"},
    {FILES(FILE_AT("a.py") "," FILE_AT("b.py") "," FILE_AT("a.py")), FERR_INVALID_FIELD,
     "/source/files/2/path"},
    {FILES(FILE_AT("a/b.py") "," FILE_AT("a.py") "," FILE_AT("a")), FERR_INVALID_FIELD,
     "/source/files/0/path"},
    {FILES(FILE_AT("1.py") "," FILE_AT("2.py") "," FILE_AT("3.py") "," FILE_AT("4.py") "," FILE_AT("5.py")),
     FERR_INVALID_FIELD, "/source/files"},
    {WITH("\"surprise\":1"), FERR_UNKNOWN_FIELD, "/surprise"},
    {WITH("\"a/b\":1"), FERR_UNKNOWN_FIELD, "/a~1b"},
    {WITH("\"kind\":\"prove\""), FERR_INVALID_FIELD, "/kind"},
    {WITH("\"kind\":\"verify\""), FERR_MISSING_FIELD, "/candidate"},
    {WITH("\"kind\":\"verify\",\"candidate\":null"), FERR_MISSING_FIELD, "/candidate"},
    {WITH("\"engine\":\"given\""), FERR_INVALID_FIELD, "/engine"},
    {WITH(PORT("")), FERR_INVALID_FIELD, "/candidate"},
    {VERIFY("\"weight\":{}"), FERR_UNKNOWN_FIELD, "/candidate/weight"},
    {VERIFY("\"entry\":\"a b\""), FERR_INVALID_FIELD, "/candidate/entry"},
    {VERIFY("\"adapter\":{}"), FERR_MISSING_FIELD, "/candidate/adapter/content"},
    {VERIFY("\"adapter\":{\"content\":\"\"}"), FERR_INVALID_FIELD, "/candidate/adapter/content"},
    {VERIFY("\"weights\":[]"), FERR_INVALID_FIELD, "/candidate/weights"},
    {VERIFY("\"weights\":{\"params\":[]}"), FERR_MISSING_FIELD, "/candidate/weights/format"},
    {VERIFY("\"weights\":{\"format\":\"ferry.weights/2\",\"params\":[]}"), FERR_INVALID_FIELD,
     "/candidate/weights/format"},
    {VERIFY("\"weights\":{\"format\":\"ferry.weights/1\"}"), FERR_MISSING_FIELD, "/candidate/weights/params"},
    {MAP("{\"from\":[]}"), FERR_MISSING_FIELD, "/candidate/weights/params/0/to"},
    {MAP("{\"to\":\"w\"}"), FERR_MISSING_FIELD, "/candidate/weights/params/0/from"},
    {MAP("{\"to\":\"w\",\"from\":\"w\"}"), FERR_INVALID_FIELD, "/candidate/weights/params/0/from"},
    {MAP("{\"to\":\"w\",\"from\":[1]}"), FERR_INVALID_FIELD, "/candidate/weights/params/0/from/0"},
    {MAP("{\"to\":\"w\",\"from\":[],\"optional\":1}"), FERR_INVALID_FIELD,
     "/candidate/weights/params/0/optional"},
    {OP("3"), FERR_INVALID_FIELD, OP_AT},
    {OP("{}"), FERR_MISSING_FIELD, OP_AT "/op"},
    {OP("{\"op\":\"rotate\"}"), FERR_INVALID_FIELD, OP_AT "/op"},
    {OP("{\"op\":1}"), FERR_INVALID_FIELD, OP_AT "/op"},
    {OP("{\"op\":\"permute\"}"), FERR_MISSING_FIELD, OP_AT "/axes"},
    {OP("{\"op\":\"permute\",\"axes\":1}"), FERR_INVALID_FIELD, OP_AT "/axes"},
    {OP("{\"op\":\"permute\",\"axes\":[0,-1]}"), FERR_INVALID_FIELD, OP_AT "/axes/1"},
    {OP("{\"op\":\"permute\",\"axes\":[0],\"axis\":0}"), FERR_UNKNOWN_FIELD, OP_AT "/axis"},
    {OP("{\"op\":\"reshape\",\"shape\":[2,-1]}"), FERR_INVALID_FIELD, OP_AT "/shape/1"},
    {OP("{\"op\":\"slice\",\"axis\":0,\"start\":1}"), FERR_MISSING_FIELD, OP_AT "/stop"},
    {OP("{\"op\":\"slice\",\"axis\":0,\"start\":-1,\"stop\":2}"), FERR_INVALID_FIELD, OP_AT "/start"},
    {OP("{\"op\":\"concat\",\"axis\":\"0\"}"), FERR_INVALID_FIELD, OP_AT "/axis"},
    {OP("{\"op\":\"add\",\"axis\":0}"), FERR_UNKNOWN_FIELD, OP_AT "/axis"},
    {OP("{\"op\":\"scale\",\"by\":null}"), FERR_INVALID_FIELD, OP_AT "/by"},
    {OP("{\"op\":\"flip\"}"), FERR_MISSING_FIELD, OP_AT "/axes"},
    {OP("{\"op\":\"cast\",\"dtype\":\"float99\"}"), FERR_INVALID_FIELD, OP_AT "/dtype"},
    {OP("{\"op\":\"constant\",\"value\":0,\"shape\":[2]}"), FERR_MISSING_FIELD, OP_AT "/dtype"},
    {VERIFY("\"weights\":{\"format\":\"ferry.weights/1\",\"params\":[],\"ignored\":[\"\"]}"),
     FERR_INVALID_FIELD, "/candidate/weights/ignored/0"},
    {VERIFY("\"weights\":{\"format\":\"ferry.weights/1\",\"params\":[],\"tied\":{\"a\":1}}"),
     FERR_INVALID_FIELD, "/candidate/weights/tied/a"},
    {WITH("\"kind\":\"verify\"," PORT("") ",\"engine\":\"builtin\""), FERR_INVALID_FIELD, "/engine"},
    {WITH("\"contract\":[]"), FERR_INVALID_FIELD, "/contract"},
    {WITH("\"contract\":{\"stages\":[]}"), FERR_INVALID_FIELD, "/contract/stages"},
    {WITH("\"contract\":{\"stages\":[\"forward\",\"backward\"]}"), FERR_INVALID_FIELD, "/contract/stages/1"},
    {WITH("\"contract\":{\"stages\":[\"always\"]}"), FERR_INVALID_FIELD, "/contract/stages/0"},
    {WITH("\"contract\":{\"stages\":[7]}"), FERR_INVALID_FIELD, "/contract/stages/0"},
    {WITH("\"contract\":{\"seeds\":0}"), FERR_INVALID_FIELD, "/contract/seeds"},
    {WITH("\"contract\":{\"seeds\":17}"), FERR_INVALID_FIELD, "/contract/seeds"},
    {WITH("\"contract\":{\"tolerance\":1}"), FERR_UNKNOWN_FIELD, "/contract/tolerance"},
    {WITH("\"engine\":\"magic\""), FERR_INVALID_FIELD, "/engine"},
    {WITH("\"engine\":null"), FERR_INVALID_FIELD, "/engine"},
    {WITH("\"style\":\"baroque\""), FERR_INVALID_FIELD, "/style"},
    {WITH("\"scan\":1"), FERR_INVALID_FIELD, "/scan"},
    {WITH("\"scan\":true"), FERR_INVALID_FIELD, "/scan"},
    {WITH("\"priority\":101"), FERR_INVALID_FIELD, "/priority"},
    {WITH("\"priority\":1.5"), FERR_INVALID_FIELD, "/priority"},
    {WITH("\"name\":\"\""), FERR_INVALID_FIELD, "/name"},
    {WITH("\"name\":\"a\\tb\""), FERR_INVALID_FIELD, "/name"},
    {WITH("\"labels\":{\"team\":1}"), FERR_INVALID_FIELD, "/labels/team"},
    {WITH("\"labels\":{\"\":\"x\"}"), FERR_INVALID_FIELD, "/labels/"},
    {WITH("\"entry\":\"a:b:c\""), FERR_INVALID_FIELD, "/entry"},
    {WITH("\"entry\":\"model.Net\""), FERR_INVALID_FIELD, "/entry"},
    {WITH("\"init\":{\"arg\":[]}"), FERR_UNKNOWN_FIELD, "/init/arg"},
    {WITH("\"init\":{\"kwargs\":{\"a b\":1}}"), FERR_INVALID_FIELD, "/init/kwargs/a b"},
    {WITH("\"init\":{},\"init_expr\":\"M()\""), FERR_INVALID_FIELD, "/init_expr"},
    {WITH("\"inputs\":[],\"inputs_expr\":\"()\""), FERR_INVALID_FIELD, "/inputs_expr"},
    {WITH("\"inputs\":{}"), FERR_INVALID_FIELD, "/inputs"},
    {WITH("\"inputs\":[{}]"), FERR_MISSING_FIELD, "/inputs/0/shape"},
    {WITH("\"inputs\":[{\"shape\":[-1],\"dtype\":\"float32\"}]"), FERR_INVALID_FIELD, "/inputs/0/shape/0"},
    {WITH("\"inputs\":[{\"shape\":[2147483649]}]"), FERR_INVALID_FIELD, "/inputs/0/shape/0"},
    {WITH("\"inputs\":[{\"shape\":[1,1,1,1,1,1,1,1,1]}]"), FERR_INVALID_FIELD, "/inputs/0/shape"},
    {WITH("\"inputs\":[{\"shape\":[65536,65536]}]"), FERR_INVALID_FIELD, "/inputs/0/shape"},
    {WITH("\"inputs\":[{\"shape\":[16384,16384]},{\"shape\":[1]}]"), FERR_INVALID_FIELD, "/inputs/1/shape"},
    {WITH("\"inputs\":[{\"shape\":[1],\"dtype\":\"float99\"}]"), FERR_INVALID_FIELD, "/inputs/0/dtype"},
    {WITH("\"inputs\":[{\"shape\":[1],\"low\":3,\"high\":3}]"), FERR_INVALID_FIELD, "/inputs/0/high"},
    {WITH("\"inputs\":[{\"shape\":[1],\"low\":\"0\"}]"), FERR_INVALID_FIELD, "/inputs/0/low"},
    {WITH("\"inputs\":[{\"shape\":[1],\"value\":\"x\"}]"), FERR_INVALID_FIELD, "/inputs/0/value"},
    {WITH("\"inputs\":[{\"value\":1,\"dtype\":\"int64\"}]"), FERR_INVALID_FIELD, "/inputs/0/dtype"},
    {WITH("\"inputs\":[{\"value\":1,\"low\":0}]"), FERR_INVALID_FIELD, "/inputs/0/low"},
    {WITH("\"inputs\":[{\"shape\":[1],\"name\":\"1x\"}]"), FERR_INVALID_FIELD, "/inputs/0/name"},
    {WITH("\"budget\":{}"), FERR_MISSING_FIELD, "/budget/seconds"},
    {WITH("\"budget\":{\"seconds\":0}"), FERR_INVALID_FIELD, "/budget/seconds"},
    {WITH("\"budget\":{\"seconds\":1,\"tokens\":5}"), FERR_INVALID_FIELD, "/budget/tokens"},
    {WITH("\"strategy\":{}"), FERR_INVALID_FIELD, "/strategy"},
    {WITH("\"kind\":\"verify\",\"candidate\":{}"), FERR_MISSING_FIELD, "/candidate/files"},
    {WITH("\"webhook\":{}"), FERR_INVALID_FIELD, "/webhook"},
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(REFUSALS); i++) {
        const struct refusal *r = &REFUSALS[i];
        json_t *spec = NULL;
        struct err e = {0};
        int rc = jobspec_from_json(r->body, strlen(r->body), &LIMITS, &spec, &e);
        if (rc != r->code || strcmp(e.pointer, r->pointer) != 0)
            print_error("%s -> %s %s (%s)\n", r->body, ferr_code(rc), e.pointer, e.text);
        assert_int_equal(rc, r->code);
        assert_string_equal(e.pointer, r->pointer);
        assert_true(strlen(e.text) > 0);
        assert_null(spec);
    }
}

static const char *const ACCEPTED[] = {
    WITH("\"entry\":\"pkg.mod:Net\""),
    WITH("\"entry\":\"_f\""),
    WITH("\"entry\":\"Modèle\""),
    WITH("\"name\":null,\"init\":null,\"inputs\":null,\"budget\":null"),
    WITH("\"inputs\":[]"),
    WITH("\"inputs\":[{\"shape\":[]},{\"shape\":[0,2147483648]}]"),
    WITH("\"inputs\":[{\"shape\":[2],\"dtype\":\"int64\",\"low\":0,\"high\":100}]"),
    WITH("\"inputs\":[{\"shape\":[2],\"value\":1.5},{\"value\":[1,\"a\",null]}]"),
    WITH("\"inputs\":[{\"shape\":[16384,16384]}]"),
    WITH("\"labels\":{\"team\":\"vision\"},\"priority\":-100"),
    WITH("\"budget\":{\"seconds\":86400}"),
    WITH("\"contract\":null,\"candidate\":null"),
    WITH("\"contract\":{}"),
    WITH("\"contract\":{\"stages\":[\"forward\",\"gradients\",\"train\",\"optimizer\"],\"seeds\":16}"),
    WITH("\"kind\":\"verify\"," PORT("")),
    WITH("\"kind\":\"verify\"," PORT("") ",\"engine\":\"given\""),
    VERIFY("\"entry\":\"port:Net\",\"adapter\":{\"content\":\"def build(e, a, k): ...\"},\"weights\":null"),
    OP("{\"op\":\"permute\",\"axes\":[1,0]},{\"op\":\"reshape\",\"shape\":[]},"
       "{\"op\":\"slice\",\"axis\":0,\"start\":0,\"stop\":3},{\"op\":\"concat\",\"axis\":1},{\"op\":\"add\"},"
       "{\"op\":\"scale\",\"by\":-0.5},{\"op\":\"flip\",\"axes\":[0]},{\"op\":\"cast\",\"dtype\":\"float32\"}"
       ","
       "{\"op\":\"constant\",\"value\":0,\"shape\":[2],\"dtype\":\"int32\"}"),
    MAP("{\"to\":\"w\",\"from\":[],\"optional\":true}"),
    FILES(FILE_AT("pkg/__init__.py") "," FILE_AT("pkg/a.py") "," FILE_AT("pkg.py") "," FILE_AT("data.txt")),
};

static void accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ACCEPTED); i++) {
        json_t *spec = NULL;
        struct err e = {0};
        int rc = jobspec_from_json(ACCEPTED[i], strlen(ACCEPTED[i]), &LIMITS, &spec, &e);
        if (rc)
            print_error("%s -> %s\n", ACCEPTED[i], e.text);
        assert_int_equal(rc, 0);
        json_decref(spec);
    }
}

static void python_body(void **state)
{
    (void)state;
    static const char TEXT[] = "import torch\n# é\n";
    json_t *spec = NULL;
    struct err e = {0};
    struct jobspec_python query = {.entry = "Model", .engine = "builtin"};
    assert_int_equal(jobspec_from_python(TEXT, sizeof TEXT - 1, &query, &LIMITS, &spec, &e), 0);
    const json_t *file = json_array_get(json_object_get(json_object_get(spec, "source"), "files"), 0);
    assert_string_equal(json_string_value(json_object_get(file, "path")), "model.py");
    assert_string_equal(json_string_value(json_object_get(file, "content")), TEXT);
    assert_string_equal(json_string_value(json_object_get(spec, "entry")), "Model");
    assert_string_equal(json_string_value(json_object_get(spec, "engine")), "builtin");
    assert_true(json_is_null(json_object_get(spec, "name")));
    json_decref(spec);
}

static void python_refusals(void **state)
{
    (void)state;
    json_t *spec = NULL;
    struct err e = {0};
    struct jobspec_python none = {0}, bad = {.entry = "a b"};
    assert_int_equal(jobspec_from_python("", 0, &none, &LIMITS, &spec, &e), FERR_BAD_REQUEST);
    assert_int_equal(jobspec_from_python("a\0b", 3, &none, &LIMITS, &spec, &e), FERR_BAD_REQUEST);
    assert_int_equal(jobspec_from_python("\xff\xfe", 2, &none, &LIMITS, &spec, &e), FERR_BAD_REQUEST);
    assert_int_equal(jobspec_from_python("a", 1, &bad, &LIMITS, &spec, &e), FERR_INVALID_PARAMETER);
    assert_non_null(strstr(e.text, "entry"));
    assert_string_equal(e.pointer, "");
}

static void depth(void **state)
{
    (void)state;
    assert_int_equal(json_text_depth("1", 1), 0);
    assert_int_equal(json_text_depth("[{\"a\":[]}]", 10), 3);
    assert_int_equal(json_text_depth("[]]][[", 6), 2);
    static const char STRINGS[] = "[\"[[[\\\"[[\", \"\\\\\"]";
    assert_int_equal(json_text_depth(STRINGS, sizeof STRINGS - 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical),
        cmocka_unit_test(canonical_verify),
        cmocka_unit_test(same_request_same_text),
        cmocka_unit_test(refusals),
        cmocka_unit_test(accepted),
        cmocka_unit_test(python_body),
        cmocka_unit_test(python_refusals),
        cmocka_unit_test(depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
