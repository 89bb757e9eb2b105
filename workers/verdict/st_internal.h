/*
 * st_internal.h: what the comparison and the ladder need of the safetensors reader beyond verdict.h.
 *
 * Pure functions on a file that stays open; any thread.
 */
#ifndef FERRY_WORKERS_VERDICT_ST_INTERNAL_H
#define FERRY_WORKERS_VERDICT_ST_INTERNAL_H

#include "workers/verdict/verdict.h"

/* Index of the word of a file's header ("F32"), or -1. */
int st_dtype_parse(const char *word);

/* Half the distance between 1 and the next number: the largest relative error of one rounding. 0 for
 * integers. */
double st_dtype_roundoff(enum st_dtype d);

/* Elements first .. first + n as integers, for the integer dtypes and BOOL (the raw byte). */
void st_load_int64(const struct st_tensor *t, uint64_t first, size_t n, int64_t *out);

/* Where the tensors whose names begin with `prefix` start in the order of names, and how many there are. */
size_t st_prefix(const struct st_file *f, const char *prefix, size_t *first);
const struct st_tensor *st_by_name(const struct st_file *f, size_t i);

/* `name` as printable ASCII, cut to fit: names are untrusted and end up in messages. Returns `out`. */
const char *st_printable(const char *name, char *out, size_t size);

/* "[2, 3]", cut to fit. Returns `out`. */
const char *st_shape_text(const struct st_tensor *t, char *out, size_t size);

#endif
