/*
 * clock.c: time and identifiers.
 *
 * Any thread; job_id_new() serialises itself. The kernel's clocks and getrandom(2) cannot fail
 * here, so a failure aborts.
 */
#include "daemon/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char BASE32[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford: no I, L, O, U */

static int64_t now_us(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    return now_us(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

char *clock_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_SIZE])
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    struct tm *ok = gmtime_r(&s, &tm);
    assert(ok);
    size_t n = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    assert(n == 19);
    unsigned us = (unsigned)(wall_us % 1000000);
    out[n++] = '.';
    for (unsigned place = 100000; place; place /= 10)
        out[n++] = (char)('0' + us / place % 10);
    out[n++] = 'Z';
    out[n] = '\0';
    return out;
}

static void fill_random(void *out, size_t len)
{
    ssize_t n = getrandom(out, len, 0);
    assert(n == (ssize_t)len); /* requests of up to 256 bytes are never short */
}

/* 128 bits as 26 characters, most significant first; the first one holds 3 bits. */
static void base32(const unsigned char bits[16], char *out)
{
    for (int i = 0; i < 26; i++) {
        unsigned value = 0;
        for (int b = 0; b < 5; b++) {
            int bit = i * 5 + b - 2; /* two zero bits in front */
            value = value << 1 | (bit < 0 ? 0U : ((unsigned)bits[bit / 8] >> (7 - bit % 8)) & 1U);
        }
        out[i] = BASE32[value];
    }
    out[26] = '\0';
}

void job_id_new(char out[JOB_ID_SIZE])
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static unsigned char last[16];
    unsigned char bits[16];
    int64_t ms = clock_wall_us() / 1000;
    for (int i = 0; i < 6; i++)
        bits[i] = (unsigned char)(ms >> (40 - 8 * i));
    fill_random(bits + 6, 10);
    pthread_mutex_lock(&lock);
    if (memcmp(bits, last, sizeof bits) <= 0) { /* same millisecond, or the clock went back: count on */
        memcpy(bits, last, sizeof bits);
        for (int i = 15; i >= 0 && ++bits[i] == 0; i--)
            continue;
    }
    memcpy(last, bits, sizeof bits);
    pthread_mutex_unlock(&lock);
    memcpy(out, "job_", 4);
    base32(bits, out + 4);
}

int job_id_valid(const char *s)
{
    if (strncmp(s, "job_", 4) != 0)
        return 0;
    return strlen(s) == JOB_ID_SIZE - 1 && strspn(s + 4, BASE32) == 26;
}

void boot_id_new(char out[BOOT_ID_SIZE])
{
    unsigned char bits[16];
    fill_random(bits, sizeof bits);
    for (size_t i = 0; i < sizeof bits; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bits[i]);
}
