/* SPDX-License-Identifier: MIT */
/*
 * plot: see plot.h. Every chart starts at 0 and has its own scale, whose top is
 * its greatest value.
 */
#include "tests/chaos/plot.h"

enum { WIDTH = 860, HEIGHT = 170, LEFT = 70, TOP = 10, BOTTOM = 24 };

static const char *const colours[] = {"#1b6ca8", "#c8553d", "#3d8b37",
                                      "#8e5aa8", "#b8860b", "#4a4a4a",
                                      "#0e9aa7", "#d81b60"};

void plot_begin(FILE *file, const char *title)
{
    fprintf(file,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<title>%s</title>\n<style>body{font:14px sans-serif;margin:2em;"
            "max-width:60em}svg{background:#fafafa;border:1px solid #ddd}"
            "text{font:11px sans-serif}td,th{padding:2px 12px 2px 0;"
            "text-align:left}</style></head>\n<body><h1>%s</h1>\n",
            title, title);
}

void plot_end(FILE *file)
{
    fputs("</body></html>\n", file);
}

static double greatest(const struct plot_line *lines, size_t line_count,
                       size_t count)
{
    double top = 0;

    for (size_t line = 0; line < line_count; line++)
        for (size_t i = 0; i < count; i++)
            if (lines[line].values[i] > top)
                top = lines[line].values[i];
    return top > 0 ? top : 1;
}

static double place(const struct plot_axis *axis, double moment)
{
    double end = axis->count > 0 ? axis->moments[axis->count - 1] : 1;

    return LEFT + moment / (end > 0 ? end : 1) * (WIDTH - LEFT - 10);
}

static double height(double value, double top)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
}

static void draw_frame(FILE *file, const struct plot_axis *axis, double top)
{
    double end = axis->count > 0 ? axis->moments[axis->count - 1] : 0;

    for (size_t i = 0; i < axis->mark_count; i++)
        fprintf(file,
                "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" "
                "stroke=\"#e0b0b0\"/>\n",
                place(axis, axis->marks[i]), place(axis, axis->marks[i]), TOP,
                HEIGHT - BOTTOM);
    for (int i = 0; i <= 2; i++)
        fprintf(file,
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>"
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" "
                "stroke=\"#ccc\"/>\n",
                LEFT - 6, height(top * i / 2, top) + 4, top * i / 2, LEFT,
                WIDTH - 10, height(top * i / 2, top), height(top * i / 2, top));
    fprintf(file,
            "<text x=\"%d\" y=\"%d\">0 s</text><text x=\"%d\" y=\"%d\" "
            "text-anchor=\"end\">%.0f s</text>\n",
            LEFT, HEIGHT - 8, WIDTH - 10, HEIGHT - 8, end);
}

static void draw_line(FILE *file, const struct plot_axis *axis,
                      const struct plot_line *line, const char *colour,
                      double top)
{
    fprintf(file,
            "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" "
            "points=\"",
            colour);
    for (size_t i = 0; i < axis->count; i++)
        if (line->values[i] >= 0)
            fprintf(file, "%.1f,%.1f ", place(axis, axis->moments[i]),
                    height(line->values[i], top));
    fputs("\"/>\n", file);
}

void plot_chart(FILE *file, const struct plot_axis *axis, const char *title,
                const struct plot_line *lines, size_t line_count)
{
    double top = greatest(lines, line_count, axis->count);

    fprintf(file, "<h3>%s</h3><p>", title);
    for (size_t i = 0; i < line_count; i++)
        fprintf(file, "<span style=\"color:%s\">&#9632; %s</span> ", colours[i],
                lines[i].name);
    fprintf(file, "</p><svg width=\"%d\" height=\"%d\">\n", WIDTH, HEIGHT);
    draw_frame(file, axis, top);
    for (size_t i = 0; i < line_count; i++)
        draw_line(file, axis, &lines[i], colours[i], top);
    fputs("</svg>\n", file);
}
