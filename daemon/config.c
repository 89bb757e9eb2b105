/*
 * config.c: settings from the table, INI files (inih) and the command line.
 *
 * Main thread, before the others start. Nothing is fatal: a wrong file or value is FERR_CONFIG.
 */
#include "daemon/config.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum config_type { TEXT, NUMBER, CHOICE };

struct config_row {
    const char *section, *key;
    enum config_type type;
    const char *fallback;
    int64_t min, max;
    const char *help;
};

static const struct config_row ROWS[CONFIG_COUNT] = {
#define X(section, key, type, fallback, min, max, help) {#section, #key, type, fallback, min, max, help},
    CONFIG_TABLE(X)
#undef X
};

struct config {
    char *values[CONFIG_COUNT]; /* owned */
};

static const char *const *choices_of(enum config_key key)
{
    static const char *const MODES[] = {"strict", "weak", NULL};
    static const char *const LEVELS[] = {"error", "warn", "info", "debug", NULL};
    return key == CONFIG_sandbox_mode ? MODES : LEVELS;
}

static char *copy(const char *s)
{
    char *out = strdup(s);
    assert(out); /* start-up only: without memory there is no daemon */
    return out;
}

struct config *config_new(void)
{
    struct config *c = calloc(1, sizeof *c);
    assert(c);
    for (int k = 0; k < CONFIG_COUNT; k++)
        c->values[k] = copy(ROWS[k].fallback);
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (int k = 0; k < CONFIG_COUNT; k++)
        free(c->values[k]);
    free(c);
}

static int check_number(const struct config_row *row, const char *value, struct err *e)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (errno || end == value || *end)
        return err_set(e, FERR_CONFIG, "%s.%s: \"%s\" is not a whole number", row->section, row->key, value);
    if (n < row->min || n > row->max)
        return err_set(e, FERR_CONFIG, "%s.%s: %lld is outside %" PRId64 "..%" PRId64, row->section, row->key,
                       n, row->min, row->max);
    return 0;
}

static int check_choice(enum config_key key, const char *value, struct err *e)
{
    for (const char *const *word = choices_of(key); *word; word++)
        if (strcmp(*word, value) == 0)
            return 0;
    return err_set(e, FERR_CONFIG, "%s.%s: \"%s\" is none of its words (%s)", ROWS[key].section,
                   ROWS[key].key, value, ROWS[key].help);
}

int config_set_key(struct config *c, enum config_key key, const char *value, struct err *e)
{
    const struct config_row *row = &ROWS[key];
    int rc = 0;
    if (row->type == NUMBER)
        rc = check_number(row, value, e);
    else if (row->type == CHOICE)
        rc = check_choice(key, value, e);
    else if (row->min > 0 && !*value)
        rc = err_set(e, FERR_CONFIG, "%s.%s may not be empty", row->section, row->key);
    if (rc != 0)
        return rc;
    free(c->values[key]);
    c->values[key] = copy(value);
    return 0;
}

static int find_key(const char *section, const char *key)
{
    for (int k = 0; k < CONFIG_COUNT; k++)
        if (strcmp(ROWS[k].section, section) == 0 && strcmp(ROWS[k].key, key) == 0)
            return k;
    return -1;
}

int config_set(struct config *c, const char *assignment, struct err *e)
{
    const char *dot = strchr(assignment, '.'), *equals = strchr(assignment, '=');
    if (!dot || !equals || equals < dot)
        return err_set(e, FERR_CONFIG, "\"%s\" is not section.key=value", assignment);
    char *section = strndup(assignment, (size_t)(dot - assignment));
    char *key = strndup(dot + 1, (size_t)(equals - dot - 1));
    assert(section && key);
    int k = find_key(section, key);
    int rc = k < 0 ? err_set(e, FERR_CONFIG, "there is no setting %s.%s", section, key)
                   : config_set_key(c, (enum config_key)k, equals + 1, e);
    free(section);
    free(key);
    return rc;
}

struct load {
    struct config *config;
    struct err *e;
    int rc;
};

/* inih's handler: 1 goes on, 0 marks the line as wrong. */
static int load_pair(void *user, const char *section, const char *key, const char *value)
{
    struct load *load = user;
    if (load->rc != 0)
        return 1; /* the first error stands */
    int k = find_key(section, key);
    load->rc = k < 0 ? err_set(load->e, FERR_CONFIG, "there is no setting %s.%s", section, key)
                     : config_set_key(load->config, (enum config_key)k, value ? value : "", load->e);
    return load->rc == 0;
}

int config_load(struct config *c, const char *path, struct err *e)
{
    struct err local = {0};
    struct load load = {.config = c, .e = &local};
    int line = ini_parse(path, load_pair, &load);
    if (line == 0)
        return 0;
    if (line < 0)
        return err_set(e, FERR_CONFIG, "%s: cannot be read", path);
    return err_set(e, FERR_CONFIG, "%s:%d: %s", path, line,
                   load.rc != 0 ? local.text : "neither [section] nor key = value");
}

const char *config_text(const struct config *c, enum config_key key)
{
    return c->values[key];
}

int64_t config_number(const struct config *c, enum config_key key)
{
    assert(ROWS[key].type == NUMBER);
    return strtoll(c->values[key], NULL, 10); /* checked when it was set */
}

void config_print(const struct config *c, FILE *out)
{
    const char *section = "";
    for (int k = 0; k < CONFIG_COUNT; k++) {
        if (strcmp(section, ROWS[k].section) != 0)
            (void)fprintf(out, "%s[%s]\n", *section ? "\n" : "", ROWS[k].section);
        section = ROWS[k].section;
        (void)fprintf(out, "; %s\n%s = %s\n", ROWS[k].help, ROWS[k].key, c->values[k]);
    }
}

void config_help(FILE *out)
{
    for (int k = 0; k < CONFIG_COUNT; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s.%s", ROWS[k].section, ROWS[k].key);
        (void)fprintf(out, "  %-22s %s", name, ROWS[k].help);
        if (ROWS[k].type == NUMBER)
            (void)fprintf(out, " (%" PRId64 "..%" PRId64 ")", ROWS[k].min, ROWS[k].max);
        (void)fprintf(out, "; default: %s\n", *ROWS[k].fallback ? ROWS[k].fallback : "empty");
    }
}
