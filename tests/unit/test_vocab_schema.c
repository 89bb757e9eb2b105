/*
 * test_vocab_schema.c: the CHECK lists of schema.sql are the tables of daemon/vocab.h, word for word and in
 * order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/vocab.h"
#include "schema_sql.h"

#include <stdio.h>
#include <string.h>

#define X(name, word, ...) ", '" word "'"
static const char KINDS[] = KIND_TABLE(X);
static const char ENGINES[] = ENGINE_TABLE(X);
static const char STYLES[] = STYLE_TABLE(X);
static const char STATES[] = JOB_STATE_TABLE(X);
static const char STEPS[] = STEP_TABLE(X);
static const char EVENTS[] = EVENT_TABLE(X);
#undef X

/* `words` begins with ", ". */
static void assert_listed(const char *column, const char *words)
{
    char check[1024];
    (void)snprintf(check, sizeof check, "CHECK (%s IN (%s))", column, words + 2);
    if (!strstr((const char *)schema_sql, check))
        print_error("schema.sql lacks: %s\n", check);
    assert_non_null(strstr((const char *)schema_sql, check));
}

static void test_check_lists(void **state)
{
    (void)state;
    assert_listed("kind", KINDS);
    assert_listed("engine", ENGINES);
    assert_listed("style", STYLES);
    assert_listed("state", STATES);
    assert_listed("step", STEPS);
    assert_listed("type", EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_lists),
    };
    return cmocka_run_group_tests_name("vocab_schema", tests, NULL, NULL);
}
