/* SPDX-License-Identifier: MIT */
/*
 * report: a run of the benchmark as one HTML page that needs nothing else: a
 * table of the targets, and for each case its figures and its curves, drawn as
 * SVG. It is made from the JSON document of results.h alone.
 */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include <jansson.h>
#include <stdio.h>

/* Writes the page. Errors are left in the stream. */
void report_write(FILE *file, const json_t *results);

/* Writes text with the characters that mean something in HTML escaped. */
void report_write_text(FILE *file, const char *text);

#endif
