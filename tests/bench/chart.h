/* SPDX-License-Identifier: MIT */
/*
 * chart: lines through points, as SVG. The axes are linear from 0 or
 * logarithmic; the ranges follow from the points.
 */
#ifndef TESTS_BENCH_CHART_H
#define TESTS_BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CHART_LINES_MAX = 16, CHART_POINTS_MAX = 256 };

struct chart_line {
    const char *name;
    size_t count;
    double x[CHART_POINTS_MAX];
    double y[CHART_POINTS_MAX];
};

struct chart {
    const char *title;
    const char *x_label;
    const char *y_label;
    bool x_logarithmic; /* then points with x of 0 or less are left out */
    bool y_logarithmic;
    bool x_shares; /* x is 1 / (1 - share): ticks are named 90 %, 99 %, … */
    size_t count;
    struct chart_line lines[CHART_LINES_MAX];
};

/* Adds a point to the line of a name, which is made if it is new. What does not
 * fit is left out. */
void chart_add(struct chart *chart, const char *name, double x, double y);

/* Writes the chart, or nothing when it has no points. */
void chart_write(FILE *file, const struct chart *chart);

#endif
