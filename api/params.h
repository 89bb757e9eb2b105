/*
 * params.h: parsing single values of query parameters and headers. Any thread, pure.
 */
#ifndef FERRY_API_PARAMS_H
#define FERRY_API_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

/* A decimal number without sign, spaces or leading "+", from min to max. */
bool params_int(const char *text, int64_t min, int64_t max, int64_t *out);
/* Whether an If-None-Match header names `etag` (weakly) or is "*". NULL is false. */
bool params_etag_matches(const char *header, const char *etag);
/* Whether a Content-Type is `type`, with no charset or with UTF-8. NULL is false. */
bool params_media_type_is(const char *header, const char *type);
/* Whether an Accept header names `type` itself (not through a wildcard) with a quality above 0. NULL is
 * false. */
bool params_accepts(const char *header, const char *type);

#endif
