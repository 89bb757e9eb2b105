/*
 * test_config.c: settings from files and the command line, and how wrong ones are told.
 */
#include "daemon/args.h"
#include "daemon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A file with this text; the caller unlinks it. */
static void write_file(char path[], const char *text)
{
    memcpy(path, "/tmp/ferryd-config-XXXXXX", 26);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void load_fails_with(const char *text, const char *message)
{
    char path[26], wanted[256];
    struct err e = {0};
    struct config *c = config_new();
    write_file(path, text);
    assert_int_equal(config_load(c, path, &e), FERR_CONFIG);
    (void)snprintf(wanted, sizeof wanted, "%s:%s", path, message);
    assert_string_equal(e.text, wanted);
    unlink(path);
    config_free(c);
}

static void wrong_lines_are_named(void **state)
{
    (void)state;
    load_fails_with("[server]\nbody_byte = 3\n", "2: there is no setting server.body_byte");
    load_fails_with("[store]\n\nqueue_max = many\n", "3: store.queue_max: \"many\" is not a whole number");
    load_fails_with("[log]\nlevel = loud\n",
                    "2: log.level: \"loud\" is none of its words (error, warn, info or debug)");
    load_fails_with("[server]\nfiles = 0\n", "2: server.files: 0 is outside 1..10000");
    load_fails_with("[server]\nlisten\n", "2: neither [section] nor key = value");
    load_fails_with("[nowhere]\nkey = 1\n", "2: there is no setting nowhere.key");
}

static void a_missing_file_is_an_error(void **state)
{
    (void)state;
    struct err e = {0};
    struct config *c = config_new();
    assert_int_equal(config_load(c, "/nonexistent/ferryd.ini", &e), FERR_CONFIG);
    assert_string_equal(e.text, "/nonexistent/ferryd.ini: cannot be read");
    config_free(c);
}

static void what_is_printed_can_be_loaded(void **state)
{
    (void)state;
    char path[26];
    struct err e = {0};
    struct config *a = config_new(), *b = config_new();
    write_file(path, "");
    assert_int_equal(config_set(a, "server.files=77", &e), 0);
    FILE *f = fopen(path, "w");
    config_print(a, f);
    fclose(f);
    assert_int_equal(config_load(b, path, &e), 0);
    for (int k = 0; k < CONFIG_COUNT; k++)
        assert_string_equal(config_text(a, (enum config_key)k), config_text(b, (enum config_key)k));
    assert_int_equal(config_number(b, CONFIG_server_files), 77);
    unlink(path);
    config_free(a);
    config_free(b);
}

static void the_defaults_are_in_their_ranges(void **state)
{
    (void)state;
    struct err e = {0};
    struct config *c = config_new();
    for (int k = 0; k < CONFIG_COUNT; k++) {
        char *value = strdup(config_text(c, (enum config_key)k));
        assert_int_equal(config_set_key(c, (enum config_key)k, value, &e), 0);
        free(value);
    }
    config_free(c);
}

static void a_flag_wins_over_a_file_wherever_it_stands(void **state)
{
    (void)state;
    char path[26];
    struct err e = {0};
    enum args_action action;
    struct config *c = config_new();
    write_file(path, "[server]\nfiles = 5\nlisten = 127.0.0.1:1\n");
    char *argv[] = {"ferryd", "--set", "server.files=6", "--config", path, "--listen", "127.0.0.1:0", NULL};
    assert_int_equal(args_parse(7, argv, c, &action, &e), 0);
    assert_int_equal(action, ARGS_RUN);
    assert_int_equal(config_number(c, CONFIG_server_files), 6);
    assert_string_equal(config_text(c, CONFIG_server_listen), "127.0.0.1:0");
    unlink(path);
    config_free(c);
}

static void unknown_arguments_are_errors(void **state)
{
    (void)state;
    struct err e = {0};
    enum args_action action;
    struct config *c = config_new();
    char *unknown[] = {"ferryd", "--nope", NULL};
    assert_int_equal(args_parse(2, unknown, c, &action, &e), FERR_CONFIG);
    char *stray[] = {"ferryd", "stray", NULL};
    assert_int_equal(args_parse(2, stray, c, &action, &e), FERR_CONFIG);
    assert_string_equal(e.text, "unexpected argument: stray (see --help)");
    char *shapeless[] = {"ferryd", "--set", "server", NULL};
    assert_int_equal(args_parse(3, shapeless, c, &action, &e), FERR_CONFIG);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(a_missing_file_is_an_error),
        cmocka_unit_test(what_is_printed_can_be_loaded),
        cmocka_unit_test(the_defaults_are_in_their_ranges),
        cmocka_unit_test(a_flag_wins_over_a_file_wherever_it_stands),
        cmocka_unit_test(unknown_arguments_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
