/*
 * test_store_migrate.c: versions of the database file, and the lock of the data directory.
 *
 * The way from older files is tested with a small schema of three versions made for it, and ferryd's own
 * history with the same check: each old version must migrate to exactly schema.sql.
 */
#include "test_store.h"

#include "store/migrate.h"

#include <sys/wait.h>

/* ---- a history of three versions ------------------------------------------------------------------------
 */

static const char V1[] = "PRAGMA application_id = 77; PRAGMA user_version = 1;"
                         "CREATE TABLE boats (name TEXT NOT NULL PRIMARY KEY, seats INTEGER) STRICT;"
                         "CREATE TABLE trips (boat TEXT NOT NULL REFERENCES boats (name)) STRICT;";
static const char V1_TO_2[] = "ALTER TABLE trips ADD COLUMN at INTEGER;";
static const char V2_TO_3[] =
    "CREATE TABLE new (name TEXT NOT NULL PRIMARY KEY, seats INTEGER NOT NULL CHECK (seats > 0)) STRICT;"
    "INSERT INTO new SELECT name, seats FROM boats;"
    "DROP TABLE boats;"
    "ALTER TABLE new RENAME TO boats;";
static const char V3[] =
    "PRAGMA application_id = 77; PRAGMA user_version = 3;"
    "CREATE TABLE boats (name TEXT NOT NULL PRIMARY KEY, seats INTEGER NOT NULL CHECK (seats > 0)) STRICT;"
    "CREATE TABLE trips (boat TEXT NOT NULL REFERENCES boats (name), at INTEGER) STRICT;";
static const char *const STEPS[] = {V1_TO_2, V2_TO_3};
static const struct migrations HISTORY = {.application_id = 77, .newest = 3, .schema = V3, .steps = STEPS};

struct file {
    char dir[64], path[80], backup[96];
    struct db db;
};

static void file_open(struct file *f, const char *sql)
{
    make_dir(f->dir);
    (void)snprintf(f->path, sizeof f->path, "%s/x.db", f->dir);
    (void)snprintf(f->backup, sizeof f->backup, "%s.v1.bak", f->path);
    assert_ok(db_open_writer(&f->db, f->path, &e));
    assert_ok(db_exec(&f->db, sql, &e));
}

static void file_close(struct file *f)
{
    db_close(&f->db);
    remove_tree(f->dir);
}

static int64_t number(struct db *db, const char *sql)
{
    int64_t n = -1;
    assert_ok(db_int(db, sql, &n, &e));
    return n;
}

/* All of the schema as one text: names sorted, runs of spaces and quotes around names left out. */
static char *schema_text(struct db *db)
{
    static const char SQL[] =
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
    char *out = calloc(1, 65536);
    assert_non_null(out);
    size_t len = 0;
    struct query q;
    query_begin(&q, db, SQL);
    while (query_row(&q)) {
        for (const char *p = query_col_text(&q, 0); *p && len < 65534; p++) {
            bool space = strchr(" \n\t", *p) != NULL;
            if (*p != '"' && !(space && len && out[len - 1] == ' '))
                out[len++] = space ? ' ' : *p;
        }
        out[len++] = '\n';
    }
    assert_ok(query_end(&q, &e));
    return out;
}

static void assert_same_schema(struct db *a, struct db *b)
{
    char *text_a = schema_text(a), *text_b = schema_text(b);
    assert_string_equal(text_a, text_b);
    free(text_a);
    free(text_b);
}

static void test_old_versions_become_the_newest(void **state)
{
    (void)state;
    struct file old, fresh;
    file_open(&old, V1);
    assert_ok(
        db_exec(&old.db, "INSERT INTO boats VALUES ('ferry', 60); INSERT INTO trips VALUES ('ferry')", &e));
    file_open(&fresh, "");
    assert_ok(migrate(&old.db, old.path, &HISTORY, &e));
    assert_ok(migrate(&fresh.db, fresh.path, &HISTORY, &e));
    assert_same_schema(&old.db, &fresh.db);
    assert_int_equal(number(&old.db, "PRAGMA user_version"), 3);
    assert_int_equal(number(&fresh.db, "PRAGMA user_version"), 3);
    assert_int_equal(number(&old.db, "SELECT seats FROM boats"), 60);
    assert_int_equal(number(&old.db, "SELECT count(*) FROM trips"), 1);
    assert_int_equal(number(&old.db, "PRAGMA foreign_keys"), 1);
    assert_ok(migrate(&old.db, old.path, &HISTORY, &e)); /* nothing more to do */
    file_close(&old);
    file_close(&fresh);
}

static void test_the_old_file_is_kept(void **state)
{
    (void)state;
    struct file old;
    struct db backup;
    file_open(&old, V1);
    assert_ok(db_exec(&old.db, "INSERT INTO boats VALUES ('ferry', 60)", &e));
    assert_ok(migrate(&old.db, old.path, &HISTORY, &e));
    assert_ok(db_open_reader(&backup, old.backup, &e));
    assert_int_equal(number(&backup, "PRAGMA user_version"), 1);
    assert_int_equal(number(&backup, "SELECT seats FROM boats"), 60);
    db_close(&backup);
    file_close(&old);
}

static void test_a_failed_step_changes_nothing(void **state)
{
    (void)state;
    struct file old;
    file_open(&old, V1);
    assert_ok(
        db_exec(&old.db, "INSERT INTO boats VALUES ('wreck', 0)", &e)); /* breaks the third version's CHECK */
    char *before = schema_text(&old.db);
    assert_fails(FERR_STORE, migrate(&old.db, old.path, &HISTORY, &e));
    char *after = schema_text(&old.db);
    assert_string_equal(before, after);
    assert_int_equal(number(&old.db, "PRAGMA user_version"), 1);
    assert_ok(db_exec(&old.db, "UPDATE boats SET seats = 1", &e));
    assert_ok(migrate(&old.db, old.path, &HISTORY, &e)); /* over the backup of the failed try */
    free(before);
    free(after);
    file_close(&old);
}

static void test_broken_references_stop_a_migration(void **state)
{
    (void)state;
    static const char LOSES_BOATS[] = "DELETE FROM boats;";
    static const char *const LOSSY[] = {LOSES_BOATS};
    const struct migrations m = {.application_id = 77, .newest = 2, .schema = V1, .steps = LOSSY};
    struct file old;
    file_open(&old, V1);
    assert_ok(
        db_exec(&old.db, "INSERT INTO boats VALUES ('ferry', 60); INSERT INTO trips VALUES ('ferry')", &e));
    assert_fails(FERR_STORE, migrate(&old.db, old.path, &m, &e));
    assert_int_equal(number(&old.db, "SELECT count(*) FROM boats"), 1);
    file_close(&old);
}

static void test_newer_and_foreign_files_are_refused(void **state)
{
    (void)state;
    static const char *const FILES[] = {
        "PRAGMA application_id = 77; PRAGMA user_version = 4; CREATE TABLE t (x)",
        "PRAGMA application_id = 78; PRAGMA user_version = 1; CREATE TABLE t (x)",
        "PRAGMA application_id = 77; CREATE TABLE t (x)",
        "CREATE TABLE t (x)",
    };
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        struct file f;
        file_open(&f, FILES[i]);
        assert_fails(FERR_STORE_VERSION, migrate(&f.db, f.path, &HISTORY, &e));
        assert_int_equal(number(&f.db, "SELECT count(*) FROM sqlite_schema"), 1);
        assert_int_equal(access(f.backup, F_OK), -1);
        file_close(&f);
    }
}

static void test_ferryds_own_schema(void **state)
{
    (void)state;
    struct file fresh;
    file_open(&fresh, "");
    assert_ok(migrate(&fresh.db, fresh.path, &MIGRATIONS, &e));
    assert_int_equal(number(&fresh.db, "PRAGMA application_id"), MIGRATIONS.application_id);
    assert_int_equal(number(&fresh.db, "PRAGMA user_version"), MIGRATIONS.newest);
    assert_int_equal(number(&fresh.db,
                            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND NOT strict"
                            " AND name NOT LIKE 'sqlite_%'"),
                     0);
    file_close(&fresh);
}

/* Copies a file that a ferryd of that version wrote and closed. */
static void copy_of_version(struct file *f, const char *name)
{
    char data[4096];
    size_t n;
    make_dir(f->dir);
    (void)snprintf(f->path, sizeof f->path, "%s/x.db", f->dir);
    (void)snprintf(f->backup, sizeof f->backup, "%s.v1.bak", f->path);
    FILE *from = fopen(name, "rb"), *to = fopen(f->path, "wb");
    assert_non_null(from);
    assert_non_null(to);
    while ((n = fread(data, 1, sizeof data, from)) > 0)
        assert_int_equal(fwrite(data, 1, n, to), n);
    assert_int_equal(fclose(from), 0);
    assert_int_equal(fclose(to), 0);
    assert_ok(db_open_writer(&f->db, f->path, &e));
}

/* The file holds a job that succeeded and one that failed, with their events, attempt, artifacts and steps.
 */
static void test_a_file_of_version_1(void **state)
{
    (void)state;
    static const char *const COUNTS[] = {"SELECT count(*) FROM jobs",      "SELECT count(*) FROM events",
                                         "SELECT count(*) FROM attempts",  "SELECT count(*) FROM artifacts",
                                         "SELECT count(*) FROM job_steps", "SELECT max(seq) FROM events"};
    int64_t before[sizeof COUNTS / sizeof *COUNTS];
    struct file old, fresh;
    copy_of_version(&old, "tests/unit/data/ferry.v1.db");
    assert_int_equal(number(&old.db, "PRAGMA user_version"), 1);
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++)
        assert_true((before[i] = number(&old.db, COUNTS[i])) > 0);
    assert_ok(migrate(&old.db, old.path, &MIGRATIONS, &e));
    file_open(&fresh, "");
    assert_ok(migrate(&fresh.db, fresh.path, &MIGRATIONS, &e));
    assert_same_schema(&old.db, &fresh.db);
    for (size_t i = 0; i < sizeof COUNTS / sizeof *COUNTS; i++)
        assert_int_equal(number(&old.db, COUNTS[i]), before[i]);
    assert_int_equal(number(&old.db, "SELECT count(*) FROM jobs WHERE state = 'succeeded' AND name = 'kept'"),
                     1);
    assert_ok(db_exec(&old.db, "UPDATE jobs SET kind = 'verify', engine = 'given' WHERE name = 'kept'", &e));
    assert_fails(FERR_STORE, db_exec(&old.db, "DELETE FROM events", &e)); /* the trigger is back */
    assert_ok(db_exec(&old.db, "DELETE FROM jobs", &e));
    assert_int_equal(number(&old.db, "SELECT count(*) FROM events"), 0);
    file_close(&old);
    file_close(&fresh);
}

/* ---- opening the store ----------------------------------------------------------------------------------
 */

static void test_pragmas(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(number(&f->r->db, "PRAGMA query_only"), 1);
    assert_int_equal(number(&f->r->db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(number(&f->r->db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    struct db db; /* as the writer has it */
    char path[100];
    (void)snprintf(path, sizeof path, "%s/other.db", f->dir);
    assert_ok(db_open_writer(&db, path, &e));
    assert_int_equal(number(&db, "PRAGMA synchronous"), 2);
    assert_int_equal(number(&db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(number(&db, "PRAGMA trusted_schema"), 0);
    db_close(&db);
}

static void test_a_directory_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_options opts = {.data_dir = f->dir, .queue_max = 10};
    struct store *second = NULL;
    struct err e = {0};
    char pid[32];
    assert_int_equal(store_open(&opts, &second, &e), FERR_STORE_BUSY);
    (void)snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(e.text, pid));
    assert_non_null(strstr(e.text, f->dir));
    fixture_close(f);
    fixture_open(f, 0); /* free again */
}

static void test_a_newer_store_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_options opts = {.data_dir = f->dir, .queue_max = 10};
    struct store *s = NULL;
    char newer[] = "PRAGMA user_version = 99", present[48];
    assert_ok(on_writer(f->s, exec_sql, newer, &e));
    fixture_close(f);
    assert_fails(FERR_STORE_VERSION, store_open(&opts, &s, &e));
    struct db db;
    char path[100];
    (void)snprintf(path, sizeof path, "%s/ferry.db", f->dir);
    (void)snprintf(present, sizeof present, "PRAGMA user_version = %d", MIGRATIONS.newest);
    assert_ok(db_open_writer(&db, path, &e));
    assert_ok(db_exec(&db, present, &e));
    db_close(&db);
    fixture_open(f, 0); /* the refusal left no lock behind */
}

static void test_places_that_cannot_be_opened(void **state)
{
    (void)state;
    static const char *const DIRS[] = {"/nonexistent/deeper", "/dev/null"};
    for (size_t i = 0; i < 2; i++) {
        struct store_options opts = {.data_dir = DIRS[i], .queue_max = 10};
        struct store *s = NULL;
        assert_fails(FERR_IO, store_open(&opts, &s, &e));
        assert_null(s);
    }
    store_close(NULL);
    store_reader_close(NULL);
}

static void test_a_file_that_is_no_database_is_refused(void **state)
{
    (void)state;
    char dir[64], path[100];
    struct store *s = NULL;
    make_dir(dir);
    (void)snprintf(path, sizeof path, "%s/ferry.db", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs("not a database\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct store_options opts = {.data_dir = dir, .queue_max = 10};
    assert_fails(FERR_STORE, store_open(&opts, &s, &e));
    remove_tree(dir);
}

static void test_the_directory_is_private(void **state)
{
    struct fixture *f = *state;
    char inner[100];
    struct stat st;
    (void)snprintf(inner, sizeof inner, "%s/inner", f->dir);
    struct store_options opts = {.data_dir = inner, .queue_max = 10};
    struct store *s = NULL;
    assert_ok(store_open(&opts, &s, &e)); /* makes it */
    store_close(s);
    assert_int_equal(stat(inner, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_versions_become_the_newest),
        cmocka_unit_test(test_the_old_file_is_kept),
        cmocka_unit_test(test_a_failed_step_changes_nothing),
        cmocka_unit_test(test_broken_references_stop_a_migration),
        cmocka_unit_test(test_newer_and_foreign_files_are_refused),
        cmocka_unit_test(test_ferryds_own_schema),
        cmocka_unit_test(test_a_file_of_version_1),
        TEST(test_pragmas),
        TEST(test_a_directory_in_use_is_refused),
        TEST(test_a_newer_store_is_refused),
        cmocka_unit_test(test_places_that_cannot_be_opened),
        cmocka_unit_test(test_a_file_that_is_no_database_is_refused),
        TEST(test_the_directory_is_private),
    };
    return cmocka_run_group_tests_name("store_migrate", tests, NULL, NULL);
}
