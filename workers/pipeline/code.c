/*
 * code.c: the version of the code that runs in steps, as a hash.
 *
 * Main thread, at start. It covers the ferry package's files and what is installed in both environments
 * (their package folders' names), so that a changed rule or an added package makes old step results
 * unfindable.
 */
#include "workers/pipeline/pipeline.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* nftw has no argument for its callback; the main thread is the only user. */
static struct buf *g_hashes;

static int hash_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    const char *dot = strrchr(path, '.');
    if (type != FTW_F || !dot || strcmp(dot, ".py") != 0)
        return 0;
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    size_t size = (size_t)st->st_size;
    char *data = malloc(size + 1);
    size_t n = data ? fread(data, 1, size, f) : 0;
    (void)fclose(f);
    char sha[STORE_SHA_SIZE];
    store_sha256(data ? data : "", n, sha);
    free(data);
    buf_printf(g_hashes, "%s %s\n", path, sha);
    return 0;
}

static void list_packages(struct buf *out, const char *python)
{
    char pattern[4096];
    const char *bin = strstr(python, "/bin/");
    (void)snprintf(pattern, sizeof pattern, "%.*s/lib/python3*/site-packages/*.dist-info",
                   bin ? (int)(bin - python) : 0, python);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            buf_printf(out, "%s\n", strrchr(found.gl_pathv[i], '/'));
    globfree(&found);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* nftw gives no order, so lines are sorted before they are hashed. */
static void hash_sorted(char *text, char sha[STORE_SHA_SIZE])
{
    size_t n = 0, i = 0;
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    char **lines = calloc(n + 1, sizeof *lines);
    char *joined = malloc(strlen(text) + n + 1), *end = joined, *save = NULL;
    if (lines && joined) {
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            lines[i++] = line;
        qsort(lines, i, sizeof *lines, by_line);
        for (size_t k = 0; k < i; k++)
            end = stpcpy(stpcpy(end, lines[k]), "\n");
        store_sha256(joined, (size_t)(end - joined), sha);
    }
    free(lines);
    free(joined);
}

int pipeline_hash_code(struct pipeline *p, const char *package_dir,
                       const char *const python[SANDBOX_ENV_COUNT], struct err *e)
{
    char *root = realpath(package_dir, NULL);
    if (!root)
        return err_errno(e, errno, "sandbox.package_dir %s", package_dir);
    struct buf hashes;
    buf_init(&hashes, 16 << 20);
    g_hashes = &hashes;
    int rc = nftw(root, hash_file, 16, FTW_PHYS);
    int saved = errno;
    g_hashes = NULL;
    free(root);
    for (int env = 0; env < SANDBOX_ENV_COUNT; env++)
        list_packages(&hashes, python[env]);
    if (rc == 0 && !buf_failed(&hashes) && hashes.data)
        hash_sorted(hashes.data, p->code);
    bool good = rc == 0 && p->code[0];
    buf_fini(&hashes);
    return good ? 0 : err_errno(e, saved, "cannot read the ferry package");
}
