/*
 * router.c: the table of what is served.
 *
 * Any thread, constant. openapi.yaml describes exactly this table; tests/api compares the two through
 * api_print_routes(). HEAD is served wherever GET is, OPTIONS everywhere.
 */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

static const char *const METHOD_NAMES[] = {
    [METHOD_GET] = "GET", [METHOD_POST] = "POST", [METHOD_DELETE] = "DELETE"};

static const struct route ROUTES[] = {
    {METHOD_POST, "/v1/jobs", jobs_create, {"entry", "name", "engine", "style"}},
    {METHOD_GET, "/v1/jobs", jobs_list, {"limit", "cursor", "state"}},
    {METHOD_GET, "/v1/jobs/{id}", job_get, {"wait"}},
    {METHOD_DELETE, "/v1/jobs/{id}", job_delete, {NULL}},
    {METHOD_POST, "/v1/jobs/{id}/cancel", job_cancel, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/events", job_events, {"after", "wait", "limit"}},
    {METHOD_GET, "/v1/jobs/{id}/attempts", job_attempts, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/attempts/{n}", job_attempt, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/diff", job_diff, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/report", job_report, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/logs", job_logs, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/errors.svg", job_picture, {NULL}},
    {METHOD_GET, "/v1/jobs/{id}/bundle.tar.gz", job_bundle, {NULL}},
    {METHOD_GET, "/v1/engines", engines_list, {NULL}},
    {METHOD_GET, "/healthz", service_health, {NULL}},
    {METHOD_GET, "/readyz", service_ready, {NULL}},
    {METHOD_GET, "/metrics", service_metrics, {NULL}},
    {METHOD_GET, "/openapi.yaml", service_openapi, {NULL}},
    {METHOD_GET, "/", page_index, {NULL}},
    {METHOD_GET, "/dashboard/style.css", page_style, {NULL}},
    {METHOD_GET, "/dashboard/app.js", page_script, {NULL}},
};
#define ROUTES_COUNT (sizeof ROUTES / sizeof ROUTES[0])

/* Matches one segment; a `{name}` takes anything but "", and keeps it (cut, which makes it no valid id). */
static bool segment_matches(const char *pattern, size_t plen, const char *seg, size_t slen,
                            char args[2][ROUTE_ARG_SIZE], size_t *n_args)
{
    if (plen == 0 || pattern[0] != '{')
        return plen == slen && memcmp(pattern, seg, slen) == 0;
    if (slen == 0)
        return false;
    (void)snprintf(args[(*n_args)++], ROUTE_ARG_SIZE, "%.*s", (int)(slen < 4096 ? slen : 4096), seg);
    return true;
}

static bool path_matches(const char *pattern, const char *path, char args[2][ROUTE_ARG_SIZE])
{
    size_t n_args = 0;
    for (;;) {
        size_t plen = strcspn(pattern, "/"), slen = strcspn(path, "/");
        if (!segment_matches(pattern, plen, path, slen, args, &n_args))
            return false;
        pattern += plen;
        path += slen;
        if (!*pattern || !*path)
            return !*pattern && !*path;
        pattern++;
        path++;
    }
}

static void allow_add(char allow[64], const char *word)
{
    size_t n = strlen(allow);
    (void)snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", word);
}

const struct route *router_find(const char *method, const char *path, char args[2][ROUTE_ARG_SIZE],
                                char allow[64], struct err *e)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const struct route *found = NULL;
    char matched[2][ROUTE_ARG_SIZE] = {{0}};
    allow[0] = '\0';
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        if (!path_matches(ROUTES[i].path, path, matched))
            continue;
        const char *name = METHOD_NAMES[ROUTES[i].method];
        allow_add(allow, ROUTES[i].method == METHOD_GET ? "GET, HEAD" : name);
        if (strcmp(name, wanted) != 0)
            continue;
        found = &ROUTES[i];
        memcpy(args, matched, sizeof matched);
    }
    if (allow[0])
        allow_add(allow, "OPTIONS");
    if (!found && allow[0])
        (void)err_set(e, FERR_METHOD_NOT_ALLOWED, "allowed here: %s", allow);
    else if (!found)
        (void)err_set(e, FERR_NOT_FOUND, "nothing is served at this path");
    return found;
}

bool route_takes(const struct route *route, const char *param)
{
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && route->params[i]; i++)
        if (strcmp(route->params[i], param) == 0)
            return true;
    return false;
}

void api_print_routes(FILE *out)
{
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        (void)fprintf(out, "%s %s", METHOD_NAMES[ROUTES[i].method], ROUTES[i].path);
        for (size_t k = 0; k < ROUTE_PARAMS_MAX && ROUTES[i].params[k]; k++)
            (void)fprintf(out, "%c%s", k ? ',' : ' ', ROUTES[i].params[k]);
        (void)fputc('\n', out);
    }
}
