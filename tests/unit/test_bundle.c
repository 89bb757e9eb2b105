/*
 * test_bundle.c: bundles are the same bytes for the same files, and nothing leaves their folder.
 */
#include "workers/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct bundle_entry text(const char *path, const char *data)
{
    return (struct bundle_entry){.path = path, .data = data, .len = strlen(data), .fd = -1};
}

static char *read_all(int fd, size_t *len)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(pread(fd, data, (size_t)size, 0), size);
    *len = (size_t)size;
    return data;
}

static char *pack(const struct bundle_entry *entries, size_t n, size_t *len)
{
    struct err e = {0};
    int fd;
    if (bundle_pack("top", entries, n, &fd, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    char *data = read_all(fd, len);
    assert_int_equal(write(fd, "x", 1), -1); /* sealed */
    close(fd);
    return data;
}

static struct archive *open_packed(const char *data, size_t len)
{
    struct archive *a = archive_read_new();
    archive_read_support_filter_gzip(a);
    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_memory(a, data, len), ARCHIVE_OK);
    return a;
}

/* The next entry has this path and this content. */
static void next_is(struct archive *a, const char *path, const char *content, size_t len)
{
    struct archive_entry *entry;
    assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_OK);
    assert_string_equal(archive_entry_pathname(entry), path);
    assert_int_equal(archive_entry_size(entry), len);
    assert_int_equal(archive_entry_perm(entry), 0644);
    assert_int_equal(archive_entry_uid(entry), 0);
    assert_int_equal(archive_entry_mtime(entry), 315532800);
    char *data = malloc(len + 1);
    assert_int_equal(archive_read_data(a, data, len + 1), len);
    assert_memory_equal(data, content, len);
    free(data);
}

static void packs_sorted_below_one_folder(void **state)
{
    (void)state;
    size_t big_len = 200000, len;
    char *big = malloc(big_len);
    for (size_t i = 0; i < big_len; i++)
        big[i] = (char)(i * 7 % 251);
    int fd = memfd_create("t", MFD_CLOEXEC);
    assert_int_equal(write(fd, big, big_len), (ssize_t)big_len);
    const struct bundle_entry entries[] = {
        text("tests/b.py", "b"),
        text("a.txt", ""),
        text("jax/m.py", "import jax\n"),
        text("a/x", "1"),
        {.path = "tests/data/c.safetensors", .fd = fd},
    };
    char *data = pack(entries, 5, &len);
    close(fd);
    struct archive *a = open_packed(data, len);
    next_is(a, "top/a/x", "1", 1);
    next_is(a, "top/a.txt", "", 0);
    next_is(a, "top/jax/m.py", "import jax\n", 11);
    next_is(a, "top/tests/b.py", "b", 1);
    next_is(a, "top/tests/data/c.safetensors", big, big_len);
    struct archive_entry *entry;
    assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_EOF);
    archive_read_free(a);
    free(data);
    free(big);
}

static void is_reproducible(void **state)
{
    (void)state;
    const struct bundle_entry one[] = {text("a", "1"), text("b/c", "2")},
                              two[] = {text("b/c", "2"), text("a", "1")};
    size_t len_one, len_two;
    char *first = pack(one, 2, &len_one), *second = pack(two, 2, &len_two);
    assert_int_equal(len_one, len_two);
    assert_memory_equal(first, second, len_one);
    assert_memory_equal(first + 4, "\0\0\0\0", 4); /* RFC 1952: MTIME of the gzip header */
    free(first);
    free(second);
}

/* Longer than tar's 100 + 155 bytes, and not ASCII, in the C locale. */
static void keeps_long_and_foreign_names(void **state)
{
    (void)state;
    char path[400];
    size_t len;
    memset(path, 'n', sizeof path);
    path[sizeof path - 1] = '\0';
    const struct bundle_entry entries[] = {text(path, "long"), text("modèle/größe.py", "x")};
    char *data = pack(entries, 2, &len);
    struct archive *a = open_packed(data, len);
    next_is(a, "top/modèle/größe.py", "x", 1);
    char whole[410];
    memcpy(whole, "top/", 4);
    memcpy(whole + 4, path, sizeof path);
    next_is(a, whole, "long", 4);
    archive_read_free(a);
    free(data);
}

static void refuse(const char *top, const struct bundle_entry *entries, size_t n)
{
    struct err e = {0};
    int fd = 7;
    assert_int_equal(bundle_pack(top, entries, n, &fd, &e), FERR_INVALID_FIELD);
    assert_int_equal(fd, -1);
    assert_true(strlen(e.text) > 0);
}

static void refuses_paths_that_leave_or_collide(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a/.", ".."};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        refuse("top", &(struct bundle_entry){.path = BAD[i], .data = "", .fd = -1}, 1);
    const struct bundle_entry fine = text("a", "1");
    refuse("", &fine, 1);
    refuse("..", &fine, 1);
    refuse("a/b", &fine, 1);
    refuse("top", (const struct bundle_entry[]){text("a", "1"), text("b", "2"), text("a", "3")}, 3);
    refuse("top", (const struct bundle_entry[]){text("a", "1"), text("a.b", "2"), text("a/c", "3")}, 3);
}

static void tells_an_unreadable_file(void **state)
{
    (void)state;
    struct err e = {0};
    int fd, pipes[2];
    assert_int_equal(pipe(pipes), 0);
    const struct bundle_entry entry = {.path = "a", .fd = pipes[0]};
    assert_int_equal(bundle_pack("top", &entry, 1, &fd, &e), FERR_IO);
    assert_int_equal(fd, -1);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* as ferryd's main() does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_sorted_below_one_folder),
        cmocka_unit_test(is_reproducible),
        cmocka_unit_test(keeps_long_and_foreign_names),
        cmocka_unit_test(refuses_paths_that_leave_or_collide),
        cmocka_unit_test(tells_an_unreadable_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
