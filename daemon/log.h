/*
 * log.h: structured logs on stderr, one line an event (logfmt).
 *
 *     2026-11-24T22:30:01.123456Z info job job_id=job_01… msg="step finished" step=capture seconds=0.07
 *
 * Any thread; one write(2) a line, so lines do not mix. Never fatal.
 */
#ifndef FERRY_DAEMON_LOG_H
#define FERRY_DAEMON_LOG_H

/* NOTICE is not a setting: its lines are written at every level, for what others wait to read. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_NOTICE };

void log_set_level(enum log_level level);
int log_level_parse(const char *s); /* -1 for an unknown word */

/*
 * `area` is the room that speaks (http, store, sandbox, job …). After the message come
 * key/value pairs of strings, ended by NULL: log_event(LOG_LEVEL_INFO, "job", "claimed", "job_id", id, NULL).
 * A NULL value prints as "". Values are quoted and escaped where needed; a line is cut at 4 KiB.
 */
void log_event(enum log_level level, const char *area, const char *msg, ...) __attribute__((sentinel));

#define log_error(...) log_event(LOG_LEVEL_ERROR, __VA_ARGS__, (char *)0)
#define log_warn(...) log_event(LOG_LEVEL_WARN, __VA_ARGS__, (char *)0)
#define log_info(...) log_event(LOG_LEVEL_INFO, __VA_ARGS__, (char *)0)
#define log_notice(...) log_event(LOG_LEVEL_NOTICE, __VA_ARGS__, (char *)0)
#define log_debug(...) log_event(LOG_LEVEL_DEBUG, __VA_ARGS__, (char *)0)

#endif
