/*
 * config.h: every setting of ferryd, in one table.
 *
 * Sources, later ones win: the defaults, `--config FILE` (INI), `--set section.key=value`, `--listen`,
 * `--data-dir`. Filled once by the main thread before other threads start, constant afterwards.
 */
#ifndef FERRY_DAEMON_CONFIG_H
#define FERRY_DAEMON_CONFIG_H

#include "daemon/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*    section    key        type  default  min  max (bytes, numbers)  help
 * Types: TEXT (min 1: may not be empty), NUMBER, CHOICE (its words in `choices` of config.c). */
#define CONFIG_TABLE(X)                                                                                      \
    X(server, listen, TEXT, "127.0.0.1:8642", 1, 0, "loopback address and port; port 0 picks a free one")    \
    X(server, body_bytes, NUMBER, "8388608", 1024, 1073741824, "largest request body")                       \
    X(server, head_bytes, NUMBER, "16384", 1024, 65536, "largest request line and headers together")         \
    X(server, files, NUMBER, "256", 1, 10000, "most files in one job")                                       \
    X(server, json_depth, NUMBER, "32", 4, 256, "deepest nesting of a JSON body")                            \
    X(server, head_ms, NUMBER, "10000", 100, 600000, "milliseconds until a request's head is complete")      \
    X(server, total_ms, NUMBER, "60000", 100, 3600000, "milliseconds until a request is complete")           \
    X(server, connections, NUMBER, "1024", 8, 100000, "most open connections")                               \
    X(server, streams, NUMBER, "1024", 1, 100000, "most event streams and long polls")                       \
    X(server, wait_max_s, NUMBER, "60", 0, 3600, "longest ?wait= in seconds")                                \
    X(server, heartbeat_s, NUMBER, "15", 1, 300, "seconds between comments on a quiet event stream")         \
    X(store, data_dir, TEXT, "ferryd-data", 1, 0, "folder of the database and the blobs")                    \
    X(store, queue_max, NUMBER, "4096", 16, 1000000, "most commands that wait for the writer")               \
    X(workers, jobs, NUMBER, "0", 0, 1024, "jobs in flight; 0 is two per sandbox slot")                      \
    X(workers, grace_ms, NUMBER, "2000", 0, 600000, "milliseconds that running steps get at shutdown")       \
    X(workers, job_s, NUMBER, "900", 1, 86400, "seconds a job may take; budget.seconds can only lower it")   \
    X(workers, crashes, NUMBER, "50", 1, 1000,                                                               \
      "times that ferryd may end in one step before it gives the job up")                                    \
    X(sandbox, mode, CHOICE, "strict", 0, 0,                                                                 \
      "strict, or weak: run without user namespaces (only for trusted sources)")                             \
    X(sandbox, slots, NUMBER, "0", 0, 1024, "steps that run at once; 0 is one per core")                     \
    X(sandbox, jail, TEXT, "", 0, 0, "path of ferry-jail; empty: beside ferryd")                             \
    X(sandbox, torch_python, TEXT, "", 0, 0,                                                                 \
      "interpreter with torch; empty: envs/torch/bin/python beside ferryd")                                  \
    X(sandbox, jax_python, TEXT, "", 0, 0, "interpreter with jax; empty: envs/jax/bin/python beside ferryd") \
    X(sandbox, package_dir, TEXT, "", 0, 0, "folder with the ferry package; empty: python beside ferryd")    \
    X(sandbox, cgroup, TEXT, "", 0, 0, "folder of a cgroup that the sandboxes must join; empty: none")       \
    X(sandbox, wall_s, NUMBER, "300", 1, 86400, "wall-clock seconds of one step")                            \
    X(sandbox, cpu_s, NUMBER, "300", 1, 86400, "CPU seconds of one step")                                    \
    X(sandbox, memory_bytes, NUMBER, "4294967296", 268435456, 1099511627776, "memory of one step")           \
    X(sandbox, processes, NUMBER, "64", 1, 4096, "processes and threads of one step")                        \
    X(sandbox, output_bytes, NUMBER, "1048576", 1024, 1073741824, "stdout and stderr of one step")           \
    X(sandbox, file_bytes, NUMBER, "1073741824", 1048576, 1099511627776,                                     \
      "largest file that a step may write")                                                                  \
    X(contract, draws, NUMBER, "3", 1, 16, "weight draws of the oracle")                                     \
    X(contract, inputs, NUMBER, "3", 1, 16, "input sets of the oracle")                                      \
    X(contract, seed, NUMBER, "0", 0, 2147483647, "seed of the oracle")                                      \
    X(log, level, CHOICE, "info", 0, 0, "error, warn, info or debug")

#define X(section, key, ...) CONFIG_##section##_##key,
enum config_key { CONFIG_TABLE(X) CONFIG_COUNT };
#undef X

struct config; /* opaque; owns its strings */

struct config *config_new(void); /* the defaults */
void config_free(struct config *c);
/* FERR_CONFIG; the text names "FILE:LINE: …". Unknown sections and keys are errors. */
int config_load(struct config *c, const char *path, struct err *e);
/* "section.key=value" */
int config_set(struct config *c, const char *assignment, struct err *e);
int config_set_key(struct config *c, enum config_key key, const char *value, struct err *e);

const char *config_text(const struct config *c, enum config_key key);
int64_t config_number(const struct config *c, enum config_key key);

/* An INI file that, loaded, gives `c` again, with the help as comments. */
void config_print(const struct config *c, FILE *out);
/* The table for --help. */
void config_help(FILE *out);

#endif
