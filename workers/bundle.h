/*
 * bundle.h: packs files into a .tar.gz that is the same bytes for the same files.
 *
 * Any thread.
 */
#ifndef FERRY_WORKERS_BUNDLE_H
#define FERRY_WORKERS_BUNDLE_H

#include "daemon/err.h"

#include <stddef.h>

/* One file; all borrowed. */
struct bundle_entry {
    const char *path; /* relative to the top folder, segments joined by '/' */
    const void *data; /* len bytes, unless fd is given */
    size_t len;
    int fd; /* >= 0: the whole file behind it, whatever its offset; else -1 */
};

/* Packs the entries in the order of their paths, in any order given, below the folder `top`, with fixed
 * owner, mode and time. `*fd_out` is a sealed memfd at offset 0 that the caller closes. A path that is
 * absolute, leaves the folder, is empty, occurs twice or is both a file and a folder is FERR_INVALID_FIELD:
 * some of them come out of a sandbox. */
int bundle_pack(const char *top, const struct bundle_entry *entries, size_t n, int *fd_out, struct err *e);

#endif
