/*
 * bundle.c: a reproducible .tar.gz, written by libarchive into a memfd.
 *
 * Any thread. The bytes depend on the paths and contents only: entries are sorted, and owner, mode and time
 * are constants; gzip's header carries no time. Nothing is fatal; a failed archive leaves no descriptor
 * behind.
 */
#include "workers/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MTIME 315532800 /* 1980-01-01: every archiver and file system can hold it */
#define CHUNK 65536
#define PATH_MAX_BYTES 1024

static int archive_error(struct archive *a, struct err *e, const char *what)
{
    const char *why = archive_error_string(a);
    return err_set(e, FERR_IO, "cannot %s the bundle: %s", what, why ? why : "unknown cause");
}

/* One or more segments, none of them empty, "." or "..". */
static bool path_is_sound(const char *path)
{
    if (strlen(path) > PATH_MAX_BYTES)
        return false;
    for (const char *s = path;; s++) {
        size_t len = strcspn(s, "/");
        if (len == 0 || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
            return false;
        s += len;
        if (!*s)
            return true;
    }
}

/* '/' sorts before every other byte, so that what lies in a folder follows the folder's own name directly. */
static int compare_paths(const void *a, const void *b)
{
    const struct bundle_entry *const *x = a, *const *y = b;
    const unsigned char *p = (const unsigned char *)(*x)->path, *q = (const unsigned char *)(*y)->path;
    while (*p && *p == *q) {
        p++;
        q++;
    }
    int c = *p == '/' ? 1 : *p + (*p != 0), d = *q == '/' ? 1 : *q + (*q != 0);
    return c - d;
}

/* Of two neighbours in sorted order: the same path, or one a folder of the other? */
static bool collides(const char *path, const char *next)
{
    size_t len = strlen(path);
    return strncmp(path, next, len) == 0 && (next[len] == '\0' || next[len] == '/');
}

static int check_paths(const char *top, const struct bundle_entry **sorted, size_t n, struct err *e)
{
    if (!path_is_sound(top) || strchr(top, '/'))
        return err_set(e, FERR_INVALID_FIELD, "the bundle's folder has no usable name");
    for (size_t i = 0; i < n; i++) {
        if (!path_is_sound(sorted[i]->path))
            return err_set(e, FERR_INVALID_FIELD, "the path '%.200s' does not stay in the bundle",
                           sorted[i]->path);
        if (i > 0 && collides(sorted[i - 1]->path, sorted[i]->path))
            return err_set(e, FERR_INVALID_FIELD, "the path '%.200s' occurs twice in the bundle",
                           sorted[i - 1]->path);
    }
    return 0;
}

static int entry_size(const struct bundle_entry *f, size_t *out, struct err *e)
{
    struct stat st;
    *out = f->len;
    if (f->fd < 0)
        return 0;
    if (fstat(f->fd, &st) != 0)
        return err_errno(e, errno, "cannot look at '%.200s'", f->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, FERR_IO, "'%.200s' is not a regular file", f->path);
    *out = (size_t)st.st_size;
    return 0;
}

static int write_header(struct archive *a, const char *top, const struct bundle_entry *f, size_t size,
                        struct err *e)
{
    char path[2 * PATH_MAX_BYTES + 2];
    (void)snprintf(path, sizeof path, "%s/%s", top, f->path);
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return err_set(e, FERR_NO_MEMORY, "no memory for the bundle");
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_mtime(entry, MTIME, 0);
    int rc = archive_write_header(a, entry);
    archive_entry_free(entry);
    return rc == ARCHIVE_OK ? 0 : archive_error(a, e, "write a header of");
}

static int write_bytes(struct archive *a, const void *data, size_t len, struct err *e)
{
    la_ssize_t n = archive_write_data(a, data, len);
    return n >= 0 && (size_t)n == len ? 0 : archive_error(a, e, "write");
}

static int write_file(struct archive *a, const struct bundle_entry *f, size_t size, struct err *e)
{
    char chunk[CHUNK];
    for (size_t done = 0; done < size;) {
        size_t want = size - done < sizeof chunk ? size - done : sizeof chunk;
        ssize_t n = pread(f->fd, chunk, want, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "cannot read '%.200s'", f->path);
        if (n == 0)
            return err_set(e, FERR_IO, "'%.200s' became shorter while it was packed", f->path);
        int rc = write_bytes(a, chunk, (size_t)n, e);
        if (rc != 0)
            return rc;
        done += (size_t)n;
    }
    return 0;
}

static int write_entry(struct archive *a, const char *top, const struct bundle_entry *f, struct err *e)
{
    size_t size;
    int rc = entry_size(f, &size, e);
    if (rc == 0)
        rc = write_header(a, top, f, size, e);
    if (rc == 0)
        rc = f->fd >= 0 ? write_file(a, f, size, e) : write_bytes(a, f->data, size, e);
    return rc;
}

/* libarchive converts names from the process's locale, which main() sets to UTF-8. */
static int open_archive(struct archive *a, int fd, struct err *e)
{
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_add_filter_gzip(a) != ARCHIVE_OK ||
        archive_write_set_options(a, "gzip:!timestamp") != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open_fd(a, fd) != ARCHIVE_OK)
        return archive_error(a, e, "begin");
    return 0;
}

static int write_archive(int fd, const char *top, const struct bundle_entry **sorted, size_t n, struct err *e)
{
    struct archive *a = archive_write_new();
    if (!a)
        return err_set(e, FERR_NO_MEMORY, "no memory for the bundle");
    int rc = open_archive(a, fd, e);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = write_entry(a, top, sorted[i], e);
    if (rc == 0 && archive_write_close(a) != ARCHIVE_OK)
        rc = archive_error(a, e, "finish");
    (void)archive_write_free(a);
    return rc;
}

static int pack_sorted(const char *top, const struct bundle_entry **sorted, size_t n, int *fd_out,
                       struct err *e)
{
    int rc = check_paths(top, sorted, n, e);
    if (rc != 0)
        return rc;
    int fd = memfd_create("bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(e, errno, "cannot make a memory file for the bundle");
    rc = write_archive(fd, top, sorted, n, e);
    if (rc == 0 && (lseek(fd, 0, SEEK_SET) != 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0))
        rc = err_errno(e, errno, "cannot seal the bundle");
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    *fd_out = fd;
    return 0;
}

int bundle_pack(const char *top, const struct bundle_entry *entries, size_t n, int *fd_out, struct err *e)
{
    *fd_out = -1;
    const struct bundle_entry **sorted = calloc(n + 1, sizeof *sorted);
    if (!sorted)
        return err_set(e, FERR_NO_MEMORY, "no memory for %zu files", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &entries[i];
    qsort(sorted, n, sizeof *sorted, compare_paths);
    int rc = pack_sorted(top, sorted, n, fd_out, e);
    free(sorted);
    return rc;
}
