/* SPDX-License-Identifier: MIT */
/*
 * lincheck: decides whether a history is linearizable: whether every operation
 * can be given one moment between its invocation and its end, such that all
 * operations, done one after the other at these moments, answer what they did.
 * An operation without an answer may have its moment at any time after its
 * invocation, or never.
 *
 * A history is linearizable when the operations on each key are, so each key is
 * a part of its own (lincheck_part.h). A part is looked at twice: first come
 * cheap checks (lincheck_cheap.h), which follow tokens through the values that
 * were read and can say in plain words what is wrong; then the search of Wing
 * and Gong with Lowe's memoisation (lincheck_search.h), which decides.
 *
 * One machine serves three models; they differ in the operations that they
 * have. A kv store has get, put and append; a register has read and write; a
 * cas register has read, write and compare-and-set.
 *
 * Two moments are in order when one is smaller. An operation that ends at the
 * moment at which another begins counts as concurrent with it.
 */
#ifndef SIM_LINCHECK_H
#define SIM_LINCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/history.h"

enum lincheck_model { LINCHECK_KV, LINCHECK_REGISTER, LINCHECK_CAS };

/* The numbers are the exit statuses of the program. */
enum lincheck_verdict {
    LINCHECK_LINEARIZABLE,
    LINCHECK_VIOLATION,
    LINCHECK_UNKNOWN, /* a limit was reached */
};

enum { LINCHECK_VALUE_TEXT = 256 };

/* How much effort is allowed. */
struct lincheck_limits {
    size_t memory;                  /* octets of one search; 0: no limit */
    bool (*expired)(void *context); /* asked now and then; NULL: never */
    void *context;
};

struct lincheck_report {
    enum lincheck_verdict verdict;
    size_t keys;
    size_t longest;  /* operations in the largest part */
    uint64_t states; /* that the searches have remembered */

    /* Of a violation. */
    char *sentence;  /* what is wrong, in plain words */
    char *reason;    /* why the culprit fits nowhere; or NULL */
    size_t *failing; /* the smallest failing part: indices into the history */
    size_t failing_count;
    size_t culprit; /* the one of them that fits nowhere */
};

/* Returns the index of the first operation that a model does not have, or
 * history->count. */
size_t lincheck_misfit(const struct history *history,
                       enum lincheck_model model);

/* Decides. One key that is not linearizable decides for all; limits may be
 * NULL. The caller frees the report with lincheck_release. The history must
 * outlive it only for lincheck_print and lincheck_draw. */
struct lincheck_report lincheck_check(const struct history *history,
                                      const struct lincheck_limits *limits);
void lincheck_release(struct lincheck_report *report);

/* Writes a value into text (LINCHECK_VALUE_TEXT octets) as the checker shows
 * it: quoted and shortened. Returns the text, or `nothing` for NULL. */
const char *lincheck_value_text(const struct bytes *value, char *text);

/* Writes an operation and its answer into text (size octets with its zero),
 * such as `process 3 get "k" -> "v"`. Long values are shortened. */
void lincheck_describe(const struct history_op *op, char *text, size_t size);

/* Writes why a history is not linearizable: the sentence, the smallest failing
 * part line by line, the culprit and the reason. */
void lincheck_print(FILE *file, const struct history *history,
                    const struct lincheck_report *report);

/* Writes a page of HTML that needs no other file: one lane for each process,
 * one bar for each operation, from its invocation to its end. Of a violation it
 * shows the key concerned and marks the smallest failing part. */
void lincheck_draw(FILE *file, const struct history *history,
                   const struct lincheck_report *report);

#endif
