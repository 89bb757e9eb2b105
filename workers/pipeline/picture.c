/*
 * picture.c: errors.svg, the largest error of each stage against its tolerance, on a logarithmic scale.
 *
 * Any thread. Only numbers and the words of daemon/vocab.h go into the picture, so nothing needs escaping.
 * The same report gives the same bytes.
 */
#include "workers/pipeline/pipeline.h"

#include <math.h>
#include <string.h>

enum {
    WIDTH = 720,
    ROW = 22,
    TOP = 40,
    LEFT = 130,
    RIGHT = 110,
    FIRST_DECADE = -18, /* errors below are drawn at the left edge */
    LAST_DECADE = 2,    /* and above at the right */
    PICTURE_MAX = 65536
};

static const char STYLE[] =
    "text{font:12px system-ui,sans-serif;fill:#222}.grid{stroke:#ddd}.tolerance{stroke:#222;stroke-width:2}"
    ".passed{fill:#2a7f4f}.failed{fill:#b3261e}.quiet{fill:#777}.note{fill:#777;font-size:11px}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.tolerance{stroke:#ddd}.quiet,.note{"
    "fill:"
    "#999}}";

static double x_of(double value)
{
    double decade = value > 0 ? log10(value) : FIRST_DECADE;
    decade = fmin(fmax(decade, FIRST_DECADE), LAST_DECADE);
    return LEFT + (decade - FIRST_DECADE) / (LAST_DECADE - FIRST_DECADE) * (WIDTH - LEFT - RIGHT);
}

static void draw_scale(struct buf *out, int bottom)
{
    for (int decade = FIRST_DECADE; decade <= LAST_DECADE; decade += 4) {
        double x = x_of(pow(10, decade));
        buf_printf(out,
                   "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                   "<text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">1e%d</text>\n",
                   x, x, TOP - 8, bottom, x, TOP - 14, decade);
    }
}

/* A stage without a measured error shows its status instead of a bar. */
static void draw_stage(struct buf *out, const json_t *row, int y)
{
    const char *status = json_string_value(json_object_get(row, "status"));
    const json_t *error = json_object_get(row, "max_error"), *tolerance = json_object_get(row, "tolerance");
    bool failed = strcmp(status, stage_status_name(STAGE_STATUS_FAILED)) == 0;
    buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", LEFT - 10, y + 14,
               json_string_value(json_object_get(row, "name")));
    if (json_is_number(error)) {
        double end = x_of(json_number_value(error));
        buf_printf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" rx=\"2\"/>",
                   failed ? "failed" : "passed", LEFT, y + 4, fmax(end - LEFT, 2));
        buf_printf(out, "<text class=\"note\" x=\"%d\" y=\"%d\">%.1e</text>", WIDTH - RIGHT + 12, y + 14,
                   json_number_value(error));
    } else {
        buf_printf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>", failed ? "failed" : "quiet",
                   LEFT + 4, y + 14, status);
    }
    if (json_is_number(tolerance) && json_number_value(tolerance) > 0) {
        double x = x_of(json_number_value(tolerance));
        buf_printf(out, "<line class=\"tolerance\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
                   y + 1, y + 19);
    }
    buf_printf(out, "\n");
}

char *run_picture(const json_t *stages)
{
    struct buf out;
    int n = (int)json_array_size(stages), height = TOP + n * ROW + 30;
    buf_init(&out, PICTURE_MAX);
    buf_printf(&out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
               "aria-label=\"Largest error of each stage against its tolerance\">\n<style>%s</style>\n",
               WIDTH, height, STYLE);
    draw_scale(&out, TOP + n * ROW);
    for (int i = 0; i < n; i++)
        draw_stage(&out, json_array_get(stages, (size_t)i), TOP + i * ROW);
    buf_printf(&out,
               "<text class=\"note\" x=\"%d\" y=\"%d\">bar: largest error, relative to the tensor's range; "
               "line: what the contract allows</text>\n</svg>\n",
               LEFT, height - 10);
    size_t len;
    return buf_take(&out, &len);
}
