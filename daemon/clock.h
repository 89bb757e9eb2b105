/*
 * clock.h: time and identifiers. Any thread.
 */
#ifndef FERRY_DAEMON_CLOCK_H
#define FERRY_DAEMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_us(void); /* microseconds since 1970 UTC */
int64_t clock_mono_us(void); /* CLOCK_MONOTONIC, microseconds */

#define CLOCK_RFC3339_SIZE 28
/* "2026-11-24T22:30:01.123456Z"; returns `out`. */
char *clock_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_SIZE]);

/* Job ids: "job_" and 26 characters of Crockford base32 (upper case): 48 bits of
 * milliseconds, then 80 random bits. Within one process ids never decrease. */
#define JOB_ID_SIZE 31
void job_id_new(char out[JOB_ID_SIZE]);
/* 1 for a well-formed id. */
int job_id_valid(const char *s);

/* Hex of 16 random bytes: the daemon's boot id. */
#define BOOT_ID_SIZE 33
void boot_id_new(char out[BOOT_ID_SIZE]);

#endif
