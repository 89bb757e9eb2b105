/*
 * service.c: what the daemon says about itself: health, readiness, metrics, engines, its own description.
 *
 * http thread.
 */
#include "api/internal.h"
#include "api/params.h"
#include "daemon/metrics.h"
#include "openapi_yaml.h"
#include "operations_txt.h"

#include <string.h>

int service_health(struct request *r)
{
    return reply_json(r, MHD_HTTP_OK,
                      json_pack("{s:s, s:s}", "status", "ok", "version", r->api->hooks.version), NULL);
}

int service_ready(struct request *r)
{
    const struct api_hooks *hooks = &r->api->hooks;
    bool ready = !atomic_load(&r->api->draining) && hooks->sandbox_ready(hooks->arg);
    json_t *body = json_pack("{s:b, s:o}", "ready", ready, "sandbox", hooks->sandbox_status(hooks->arg));
    return reply_json(r, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, body, NULL);
}

int service_metrics(struct request *r)
{
    int64_t counts[JOB_STATE_COUNT];
    int rc = store_job_counts(r->api->reader, counts, &r->err);
    if (rc)
        return rc;
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++)
        metric_set(METRIC_JOBS, i, counts[i]);
    struct store_stats stats;
    store_stats_get(r->api->store, &stats);
    metric_set(METRIC_STORE_COMMITS, 0, (int64_t)stats.commits);
    metric_set(METRIC_STORE_COMMANDS, 0, (int64_t)stats.commands);
    struct buf out;
    buf_init(&out, (size_t)1 << 20);
    metrics_render(&out);
    rc = reply_text(r, &out,
                    &(struct reply_options){.media_type = "text/plain; version=0.0.4; charset=utf-8"});
    buf_fini(&out);
    return rc;
}

/* The lines of api/operations.txt, which tools/operations.py writes. */
static json_t *builtin_operations(void)
{
    json_t *names = json_array();
    const char *at = (const char *)operations_txt;
    for (const char *end; (end = strchr(at, '\n')); at = end + 1)
        json_array_append_new(names, json_stringn(at, (size_t)(end - at)));
    return names;
}

int engines_list(struct request *r)
{
    json_t *engines = json_array();
    for (unsigned i = 0; i < ENGINE_COUNT; i++) {
        enum engine engine = (enum engine)i;
        json_t *item =
            json_pack("{s:s, s:s, s:o*}", "name", engine_name(engine), "about", engine_about(engine),
                      "operations", engine == ENGINE_BUILTIN ? builtin_operations() : NULL);
        if (json_array_append_new(engines, item)) {
            json_decref(engines);
            return err_set(&r->err, FERR_NO_MEMORY, "no memory for the response");
        }
    }
    return reply_json(r, MHD_HTTP_OK, json_pack("{s:o}", "engines", engines), NULL);
}

int service_openapi(struct request *r)
{
    return reply_static(r, openapi_yaml, sizeof openapi_yaml - 1,
                        &(struct reply_options){.media_type = "application/yaml"});
}
