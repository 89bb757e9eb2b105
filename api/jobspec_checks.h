/*
 * jobspec_checks.h: the tests of a job request that a table of fields can't say. Any thread, pure.
 */
#ifndef FERRY_API_JOBSPEC_CHECKS_H
#define FERRY_API_JOBSPEC_CHECKS_H

#include "api/fields.h"

#include <stddef.h>

/* NULL where `path` is a relative path of plain segments, else what is wrong with it. */
const char *path_fault(const char *path);
/* "Name" or "module:Name", the module dotted. */
bool entry_valid(const char *entry);
/* Deepest nesting of arrays and objects in JSON text; strings are skipped. */
size_t json_text_depth(const char *text, size_t len);

/* field_check_fn; their `arg` is a struct jobspec_limits. */
int check_path(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_files(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_entry(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_plain_text(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_labels(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_kwargs(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_identifier(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_input(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_inputs(json_t *value, const struct pointer *at, const void *arg, struct err *e);
int check_request(json_t *value, const struct pointer *at, const void *arg, struct err *e);

#endif
