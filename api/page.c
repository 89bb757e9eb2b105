/*
 * page.c: the first page, embedded in the binary.
 *
 * http thread. The page loads nothing from elsewhere and its policy forbids it to; names and texts of jobs
 * come from callers, so the script only ever sets text, never markup.
 */
#include "api/internal.h"
#include "dashboard_css.h"
#include "dashboard_html.h"
#include "dashboard_js.h"

static const char POLICY[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static int serve(struct request *r, const unsigned char *data, size_t len, const char *media_type)
{
    return reply_static(
        r, data, len,
        &(struct reply_options){.media_type = media_type,
                                .headers = {{"Content-Security-Policy", POLICY},
                                            {"Referrer-Policy", "no-referrer"},
                                            {"Cross-Origin-Resource-Policy", "same-origin"}}});
}

int page_index(struct request *r)
{
    return serve(r, dashboard_html, sizeof dashboard_html - 1, "text/html; charset=utf-8");
}

int page_style(struct request *r)
{
    return serve(r, dashboard_css, sizeof dashboard_css - 1, "text/css; charset=utf-8");
}

int page_script(struct request *r)
{
    return serve(r, dashboard_js, sizeof dashboard_js - 1, "text/javascript; charset=utf-8");
}
