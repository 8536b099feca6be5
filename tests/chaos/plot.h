/* SPDX-License-Identifier: MIT */
/*
 * plot: a page of HTML with charts of figures over time, drawn as SVG. It needs
 * no other file and runs no script.
 */
#ifndef TESTS_CHAOS_PLOT_H
#define TESTS_CHAOS_PLOT_H

#include <stddef.h>
#include <stdio.h>

struct plot_line {
    const char *name;
    const double *values; /* one for each moment; negative: none */
};

/* The moments that all charts of a page share, in seconds. */
struct plot_axis {
    const double *moments;
    size_t count;
    const double *marks; /* moments to mark */
    size_t mark_count;
};

/* Writes the beginning and the end of a page. */
void plot_begin(FILE *file, const char *title);
void plot_end(FILE *file);

/* Writes a chart with lines (at most 8). */
void plot_chart(FILE *file, const struct plot_axis *axis, const char *title,
                const struct plot_line *lines, size_t line_count);

#endif
