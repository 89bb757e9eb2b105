/*
 * guard.h: refusing requests that a browser sends on somebody else's behalf. Any thread, pure.
 *
 * The server has no tokens and is bound to loopback; what protects it from web pages is that the Host must be
 * a loopback name (DNS rebinding) and that an Origin, where one is sent with a change, must be the server's
 * own.
 */
#ifndef FERRY_API_GUARD_H
#define FERRY_API_GUARD_H

#include <stdbool.h>

/* localhost, 127.0.0.1 or [::1], with any port. NULL (HTTP/1.0) is allowed. */
bool guard_host_allowed(const char *host);
/* "http://" and the Host of the same request. NULL is allowed. */
bool guard_origin_allowed(const char *origin, const char *host);
/* Numeric addresses that only this machine reaches: 127.0.0.0/8 and ::1. */
bool guard_loopback(const char *address);

#endif
