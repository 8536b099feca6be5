/* SPDX-License-Identifier: MIT */
/*
 * markup: text in the XML and HTML of results. What a test or a submission
 * wrote must stay text there, whatever it is.
 */
#ifndef TESTS_LABS_MARKUP_H
#define TESTS_LABS_MARKUP_H

#include <stdbool.h>
#include <stdio.h>

/* Whether a character is printable ASCII or the end of a line; others could
 * make a file that nobody reads. */
bool markup_is_plain(char c);

/* Writes text as XML and HTML want it; `?` stands for what is not plain. */
void markup_text(FILE *file, const char *text);

#endif
