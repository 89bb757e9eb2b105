/*
 * guard.c: Host, Origin and listen address.
 *
 * Any thread, pure.
 */
#include "api/guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool port_valid(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 5 && s[n] == '\0';
}

bool guard_host_allowed(const char *host)
{
    static const char *const NAMES[] = {"localhost", "127.0.0.1", "[::1]"};
    if (!host)
        return true;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        size_t n = strlen(NAMES[i]);
        if (strncasecmp(host, NAMES[i], n) != 0)
            continue;
        if (host[n] == '\0' || (host[n] == ':' && port_valid(host + n + 1)))
            return true;
    }
    return false;
}

bool guard_origin_allowed(const char *origin, const char *host)
{
    static const char SCHEME[] = "http://";
    if (!origin)
        return true;
    return host && strncasecmp(origin, SCHEME, sizeof SCHEME - 1) == 0 &&
           strcasecmp(origin + sizeof SCHEME - 1, host) == 0;
}

bool guard_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
