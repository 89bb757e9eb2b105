/*
 * datadir.c: the data directory, its folders and its lock.
 *
 *     DIR/lock       flock()ed while a daemon has the directory; holds its pid for people
 *     DIR/ferry.db   SQLite, with -wal and -shm beside it
 *     DIR/blobs/ab/  blobs by the first two digits of their sha256
 *     DIR/blobs/tmp/ blobs being written; emptied here, since nobody else can be writing
 *
 * Main thread. The lock is the kernel's: it goes with the process, however that ends.
 */
#include "store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_folder(int at, const char *name, struct err *e)
{
    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
        return err_errno(e, errno, "%s", name);
    return 0;
}

static int refuse_locked(int fd, const char *dir, struct err *e)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return err_set(e, FERR_STORE_BUSY, "%s is in use by process %s", dir, pid[0] ? pid : "(unknown)");
}

static int take_lock(struct store *s, int dir_fd, struct err *e)
{
    s->lock_fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return err_errno(e, errno, "%s/lock", s->dir);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return refuse_locked(s->lock_fd, s->dir, e);
        return err_errno(e, errno, "locking %s/lock", s->dir);
    }
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
        return err_errno(e, errno, "%s/lock", s->dir);
    return 0;
}

static int empty_tmp(int blobs_fd, struct err *e)
{
    int fd = openat(blobs_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int errnum = errno;
        if (fd >= 0)
            (void)close(fd);
        return err_errno(e, errnum, "blobs/tmp");
    }
    for (const struct dirent *entry; (entry = readdir(d));)
        if (entry->d_name[0] != '.')
            (void)unlinkat(fd, entry->d_name, 0);
    (void)closedir(d);
    return 0;
}

static int make_blob_folders(struct store *s, int dir_fd, struct err *e)
{
    int rc = make_folder(dir_fd, "blobs", e);
    if (rc < 0)
        return rc;
    s->blobs_fd = openat(dir_fd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->blobs_fd < 0)
        return err_errno(e, errno, "%s/blobs", s->dir);
    for (unsigned i = 0; i < BLOB_FOLDERS && rc == 0; i++) {
        char name[3];
        (void)snprintf(name, sizeof name, "%02x", i & 0xffu);
        rc = make_folder(s->blobs_fd, name, e);
    }
    if (rc == 0)
        rc = make_folder(s->blobs_fd, "tmp", e);
    if (rc == 0)
        rc = empty_tmp(s->blobs_fd, e);
    if (rc == 0 && (fsync(s->blobs_fd) < 0 || fsync(dir_fd) < 0))
        rc = err_errno(e, errno, "syncing %s", s->dir);
    return rc;
}

int datadir_open(struct store *s, const char *dir, struct err *e)
{
    s->lock_fd = s->blobs_fd = -1;
    s->dir = strdup(dir);
    if (!s->dir)
        return err_set(e, FERR_NO_MEMORY, "no memory to open %s", dir);
    int rc = make_folder(AT_FDCWD, dir, e);
    if (rc < 0)
        return rc;
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return err_errno(e, errno, "%s", dir);
    rc = take_lock(s, dir_fd, e);
    if (rc == 0)
        rc = make_blob_folders(s, dir_fd, e);
    (void)close(dir_fd);
    return rc;
}

void datadir_close(struct store *s)
{
    if (s->blobs_fd >= 0)
        (void)close(s->blobs_fd);
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd); /* gives the lock back */
    free(s->dir);
}
