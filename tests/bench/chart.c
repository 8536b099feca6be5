/* SPDX-License-Identifier: MIT */
/*
 * chart: see chart.h. A scale maps values to pixels; everything that is drawn
 * goes through the two scales of its chart.
 */
#include "tests/bench/chart.h"

#include <math.h>
#include <string.h>

#include "tests/bench/report.h"

enum {
    WIDTH = 560,
    HEIGHT = 300,
    LEFT = 70,
    RIGHT = 20,
    TOP = 34,
    BOTTOM = 46,
    LEGEND_LINE = 15,
    TICKS = 5,     /* about, of a linear axis */
    DOTS_MAX = 16, /* points of a line that are dots, too */
};

static const char *const colours[] = {"#2563a8", "#c2571a", "#3a7d44",
                                      "#8a3ffc", "#9f1853", "#6f6f6f",
                                      "#007d79", "#b28600"};

enum { COLOURS = sizeof(colours) / sizeof(colours[0]) };

struct scale {
    bool logarithmic;
    double low;
    double high;
    double from; /* pixels */
    double to;
};

void chart_add(struct chart *chart, const char *name, double x, double y)
{
    size_t at = 0;
    struct chart_line *line;

    if ((chart->x_logarithmic && x <= 0) || (chart->y_logarithmic && y <= 0))
        return;
    while (at < chart->count && strcmp(chart->lines[at].name, name) != 0)
        at++;
    if (at == CHART_LINES_MAX)
        return;
    line = &chart->lines[at];
    if (at == chart->count) {
        chart->count++;
        line->name = name;
        line->count = 0;
    }
    if (line->count == CHART_POINTS_MAX)
        return;
    line->x[line->count] = x;
    line->y[line->count++] = y;
}

static double place(const struct scale *scale, double value)
{
    double low = scale->low, high = scale->high;

    if (scale->logarithmic) {
        low = log10(low);
        high = log10(high);
        value = log10(value);
    }
    return scale->from +
           (value - low) / (high - low) * (scale->to - scale->from);
}

/* ---- Scales ------------------------------------------------------------- */

/* Widens the range of a scale by a value. */
static void include(struct scale *scale, double value)
{
    if (value < scale->low)
        scale->low = value;
    if (value > scale->high)
        scale->high = value;
}

/* Returns the distance of ticks on a linear axis: 1, 2 or 5 times a power of
 * ten. */
static double tick_step(double range)
{
    double raw = range / TICKS;
    double power = pow(10, floor(log10(raw)));

    if (raw / power > 5)
        return 10 * power;
    return raw / power > 2 ? 5 * power : raw / power > 1 ? 2 * power : power;
}

/* Makes the range one that begins and ends well. */
static void settle(struct scale *scale)
{
    if (!scale->logarithmic) {
        scale->low = 0;
        if (scale->high <= 0)
            scale->high = 1;
        scale->high *= 1.06;
        return;
    }
    if (scale->high <= scale->low)
        scale->high = scale->low * 10;
    scale->low /= 1.15;
    scale->high *= 1.15;
}

static void find_scales(const struct chart *chart, struct scale *x,
                        struct scale *y)
{
    *x = (struct scale){chart->x_logarithmic, INFINITY, -INFINITY, LEFT,
                        WIDTH - RIGHT};
    *y = (struct scale){chart->y_logarithmic, INFINITY, -INFINITY,
                        HEIGHT - BOTTOM, TOP};
    for (size_t l = 0; l < chart->count; l++)
        for (size_t p = 0; p < chart->lines[l].count; p++) {
            include(x, chart->lines[l].x[p]);
            include(y, chart->lines[l].y[p]);
        }
    settle(x);
    settle(y);
}

/* ---- Ticks -------------------------------------------------------------- */

static void number_text(double value, char text[32])
{
    if (value >= 1e6)
        snprintf(text, 32, "%gM", value / 1e6);
    else if (value >= 1e4)
        snprintf(text, 32, "%gk", value / 1e3);
    else
        snprintf(text, 32, "%g", value);
}

static void write_x_tick(FILE *file, const struct chart *chart,
                         const struct scale *x, double value)
{
    double at = place(x, value);
    char text[32];

    number_text(value, text);
    if (chart->x_shares)
        snprintf(text, sizeof(text), "%.6g %%", 100 - 100 / value);
    fprintf(file,
            "<path class='grid' d='M%.1f %dV%d'/><text x='%.1f' y='%d' "
            "text-anchor='middle'>%s</text>\n",
            at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 15, text);
}

static void write_y_tick(FILE *file, const struct scale *y, double value)
{
    double at = place(y, value);
    char text[32];

    number_text(value, text);
    fprintf(file,
            "<path class='grid' d='M%d %.1fH%d'/><text x='%d' y='%.1f' "
            "text-anchor='end'>%s</text>\n",
            LEFT, at, WIDTH - RIGHT, LEFT - 5, at + 4, text);
}

static void write_tick(FILE *file, const struct chart *chart,
                       const struct scale *scale, bool is_x, double value)
{
    if (value < scale->low || value > scale->high)
        return;
    if (is_x)
        write_x_tick(file, chart, scale, value);
    else
        write_y_tick(file, scale, value);
}

static void write_ticks(FILE *file, const struct chart *chart,
                        const struct scale *scale, bool is_x)
{
    static const double parts[] = {1, 2, 5};
    bool dense = scale->high / (scale->low > 0 ? scale->low : 1) < 1000;
    double step;

    if (scale->logarithmic) {
        for (double power = pow(10, floor(log10(scale->low)));
             power <= scale->high; power *= 10)
            for (int i = 0; i < (dense && !chart->x_shares ? 3 : 1); i++)
                write_tick(file, chart, scale, is_x, power * parts[i]);
        return;
    }
    step = tick_step(scale->high - scale->low);
    if (is_x && step < 1)
        step = 1;
    for (double value = scale->low; value <= scale->high; value += step)
        write_tick(file, chart, scale, is_x, value);
}

/* ---- The whole ---------------------------------------------------------- */

static void write_line(FILE *file, const struct chart_line *line,
                       const char *colour, const struct scale *x,
                       const struct scale *y)
{
    fprintf(file, "<polyline fill='none' stroke='%s' points='", colour);
    for (size_t p = 0; p < line->count; p++)
        fprintf(file, "%.1f,%.1f ", place(x, line->x[p]), place(y, line->y[p]));
    fputs("'/>\n", file);
    for (size_t p = 0; p < line->count && line->count <= DOTS_MAX; p++)
        fprintf(file, "<circle r='3' fill='%s' cx='%.1f' cy='%.1f'/>\n", colour,
                place(x, line->x[p]), place(y, line->y[p]));
}

static void write_legend(FILE *file, const struct chart *chart)
{
    for (size_t l = 0; l < chart->count; l++) {
        int y = HEIGHT + 4 + (int)l * LEGEND_LINE;

        fprintf(file,
                "<rect x='%d' y='%d' width='18' height='3' fill='%s'/>"
                "<text x='%d' y='%d'>",
                LEFT, y, colours[l % COLOURS], LEFT + 24, y + 6);
        report_write_text(file, chart->lines[l].name);
        fputs("</text>\n", file);
    }
}

static void write_labels(FILE *file, const struct chart *chart)
{
    fprintf(file, "<text class='title' x='%d' y='18'>", LEFT);
    report_write_text(file, chart->title);
    fprintf(file, "</text><text x='%d' y='%d' text-anchor='middle'>",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12);
    report_write_text(file, chart->x_label);
    fprintf(file,
            "</text><text transform='translate(14 %d) rotate(-90)' "
            "text-anchor='middle'>",
            (TOP + HEIGHT - BOTTOM) / 2);
    report_write_text(file, chart->y_label);
    fputs("</text>\n", file);
}

void chart_write(FILE *file, const struct chart *chart)
{
    struct scale x, y;
    int height = HEIGHT + 10 + (int)chart->count * LEGEND_LINE;

    if (chart->count == 0)
        return;
    find_scales(chart, &x, &y);
    fprintf(file, "<svg viewBox='0 0 %d %d' width='%d' height='%d'>\n", WIDTH,
            height, WIDTH, height);
    write_labels(file, chart);
    write_ticks(file, chart, &x, true);
    write_ticks(file, chart, &y, false);
    for (size_t l = 0; l < chart->count; l++)
        write_line(file, &chart->lines[l], colours[l % COLOURS], &x, &y);
    write_legend(file, chart);
    fputs("</svg>\n", file);
}
