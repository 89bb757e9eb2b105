/*
 * blobs.c: files named by the sha256 of their bytes.
 *
 * Any thread. A blob is written under blobs/tmp, synced, renamed to its name, and its folder synced: what has
 * its name is whole. Putting one that is there touches it and syncs the folder, in case another put's rename
 * is not durable yet. Touching matters because only what is neither named by a row nor young is ever removed,
 * and blob_lock makes "touch" and "old, so unlink" exclude each other: after a put, the caller has a grace
 * period to commit the row that names the blob. A row is refused where that took longer (blob_check).
 */
#include "store/internal.h"
#include "store/sha256.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_CHUNK (256 * 1024)
#define TMP_NAME_SIZE 48

void blob_path(const char *sha, char out[BLOB_PATH_SIZE])
{
    (void)snprintf(out, BLOB_PATH_SIZE, "%.2s/%s", sha, sha);
}

static int bad_name(const char *sha, struct err *e)
{
    return err_set(e, FERR_NOT_FOUND, "there is no blob named \"%.80s\"", sha);
}

/* ---- presence, age and removal ------------------------------------------------------------------------- */

int blob_check(struct store *s, const char *sha, struct err *e)
{
    char path[BLOB_PATH_SIZE];
    if (!sha256_valid(sha))
        return bad_name(sha, e);
    blob_path(sha, path);
    if (faccessat(s->blobs_fd, path, F_OK, 0) < 0)
        return errno == ENOENT ? bad_name(sha, e) : err_errno(e, errno, "blob %s", sha);
    return 0;
}

int blob_touch(struct store *s, const char *sha, struct err *e)
{
    char path[BLOB_PATH_SIZE];
    if (!sha256_valid(sha))
        return bad_name(sha, e);
    blob_path(sha, path);
    (void)pthread_mutex_lock(&s->blob_lock);
    int errnum = utimensat(s->blobs_fd, path, NULL, 0) < 0 ? errno : 0;
    (void)pthread_mutex_unlock(&s->blob_lock);
    if (errnum == ENOENT)
        return bad_name(sha, e);
    return errnum ? err_errno(e, errnum, "blob %s", sha) : 0;
}

int64_t blob_young_until(struct store *s, const char *sha)
{
    struct stat st;
    char path[BLOB_PATH_SIZE];
    blob_path(sha, path);
    if (fstatat(s->blobs_fd, path, &st, 0) < 0)
        return 0;
    return (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000 + s->grace_us;
}

void blob_remove(struct store *s, const char *sha)
{
    char path[BLOB_PATH_SIZE];
    blob_path(sha, path);
    (void)pthread_mutex_lock(&s->blob_lock);
    if (blob_young_until(s, sha) <= clock_wall_us())
        (void)unlinkat(s->blobs_fd, path, 0); /* one that stays is found again at the next start */
    (void)pthread_mutex_unlock(&s->blob_lock);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static int sync_folder(struct store *s, const char *sha, struct err *e)
{
    char folder[3] = {sha[0], sha[1], '\0'};
    int fd = openat(s->blobs_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno, "blobs/%s", folder);
    int errnum = fsync(fd) < 0 ? errno : 0;
    (void)close(fd);
    return errnum ? err_errno(e, errnum, "syncing blobs/%s", folder) : 0;
}

static int open_tmp(struct store *s, char name[TMP_NAME_SIZE], struct err *e)
{
    char unique[BOOT_ID_SIZE];
    boot_id_new(unique);
    (void)snprintf(name, TMP_NAME_SIZE, "tmp/%s", unique);
    int fd = openat(s->blobs_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? err_errno(e, errno, "blobs/%s", name) : fd;
}

static int write_all(int fd, const char *data, size_t len, struct err *e)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "writing a blob");
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Gives the written temporary file its name, durably; the file is gone or named afterwards. */
static int publish(struct store *s, int fd, const char *tmp, const char *sha, struct err *e)
{
    char path[BLOB_PATH_SIZE];
    blob_path(sha, path);
    int rc = fsync(fd) < 0 ? err_errno(e, errno, "syncing a blob") : 0;
    if (rc == 0 && renameat(s->blobs_fd, tmp, s->blobs_fd, path) < 0)
        rc = err_errno(e, errno, "naming blob %s", sha);
    if (rc < 0) {
        (void)unlinkat(s->blobs_fd, tmp, 0);
        return rc;
    }
    return sync_folder(s, sha, e);
}

/* 1 where the blob is there, and made young. */
static int keep_present(struct store *s, const char *sha, struct err *e)
{
    int rc = blob_touch(s, sha, e);
    if (rc == FERR_NOT_FOUND)
        return 0;
    if (rc == 0)
        rc = sync_folder(s, sha, e);
    return rc < 0 ? rc : 1;
}

int store_blob_put(struct store *s, const void *data, size_t len, char sha[STORE_SHA_SIZE], struct err *e)
{
    char tmp[TMP_NAME_SIZE];
    store_sha256(data, len, sha);
    int rc = keep_present(s, sha, e);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    int fd = open_tmp(s, tmp, e);
    if (fd < 0)
        return fd;
    rc = write_all(fd, data, len, e);
    if (rc == 0)
        rc = publish(s, fd, tmp, sha, e);
    else
        (void)unlinkat(s->blobs_fd, tmp, 0);
    (void)close(fd);
    return rc;
}

/* Copies and hashes the same bytes, so the name is right even if the source changes meanwhile. */
static int copy_hashed(int from, int to, char sha[STORE_SHA_SIZE], int64_t *size, struct err *e)
{
    char *chunk = malloc(COPY_CHUNK);
    if (!chunk)
        return err_set(e, FERR_NO_MEMORY, "no memory to copy a blob");
    struct evp_md_ctx_st *ctx = sha256_new();
    int rc = 0;
    *size = 0;
    for (ssize_t n = 1; rc == 0 && n != 0;) {
        n = pread(from, chunk, COPY_CHUNK, (off_t)*size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = err_errno(e, errno, "reading what shall become a blob");
            break;
        }
        sha256_add(ctx, chunk, (size_t)n);
        rc = write_all(to, chunk, (size_t)n, e);
        *size += n;
    }
    sha256_end(ctx, sha);
    free(chunk);
    return rc;
}

int store_blob_put_fd(struct store *s, int fd, char sha[STORE_SHA_SIZE], int64_t *size, struct err *e)
{
    char tmp[TMP_NAME_SIZE];
    int to = open_tmp(s, tmp, e);
    if (to < 0)
        return to;
    int rc = copy_hashed(fd, to, sha, size, e);
    if (rc == 0)
        rc = keep_present(s, sha, e);
    if (rc == 0)
        rc = publish(s, to, tmp, sha, e);
    else
        (void)unlinkat(s->blobs_fd, tmp, 0);
    (void)close(to);
    return rc < 0 ? rc : 0;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

int store_blob_open(struct store *s, const char *sha, int *fd, int64_t *size, struct err *e)
{
    char path[BLOB_PATH_SIZE];
    struct stat st;
    if (!sha256_valid(sha))
        return bad_name(sha, e);
    blob_path(sha, path);
    int opened = openat(s->blobs_fd, path, O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return errno == ENOENT ? bad_name(sha, e) : err_errno(e, errno, "blob %s", sha);
    if (fstat(opened, &st) < 0) {
        int errnum = errno;
        (void)close(opened);
        return err_errno(e, errnum, "blob %s", sha);
    }
    *fd = opened;
    *size = st.st_size;
    return 0;
}

static int read_whole(int fd, char *out, size_t len, const char *sha, struct err *e)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, out + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, errno, "blob %s", sha);
        if (n == 0)
            return err_set(e, FERR_STORE, "blob %s is shorter than it was", sha);
        got += (size_t)n;
    }
    char found[STORE_SHA_SIZE];
    store_sha256(out, len, found);
    if (strcmp(found, sha) != 0)
        return err_set(e, FERR_STORE, "blob %s is damaged: its bytes are those of %s", sha, found);
    out[len] = '\0';
    return 0;
}

int store_blob_read(struct store *s, const char *sha, char **data, size_t *len, struct err *e)
{
    int fd = -1;
    int64_t size = 0;
    int rc = store_blob_open(s, sha, &fd, &size, e);
    if (rc < 0)
        return rc;
    char *out = malloc((size_t)size + 1);
    rc = out ? read_whole(fd, out, (size_t)size, sha, e)
             : err_set(e, FERR_NO_MEMORY, "blob %s does not fit", sha);
    (void)close(fd);
    if (rc < 0) {
        free(out);
        return rc;
    }
    *data = out;
    *len = (size_t)size;
    return 0;
}
