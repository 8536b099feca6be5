/* SPDX-License-Identifier: MIT */
/*
 * history: what concurrent clients asked and were told, and when. It is the
 * only thing by which the store is judged: whoever has the history need not
 * know how the answers came about.
 *
 * A process has one operation at a time. An operation that ended with "outcome
 * unknown" stays pending: it may take effect at any later time, or never.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"

enum history_kind { HISTORY_GET, HISTORY_PUT, HISTORY_APPEND, HISTORY_CAS };

/* How an operation ended, if it has. */
enum history_result {
    HISTORY_DONE,
    HISTORY_REFUSED, /* a compare-and-set that found another value */
    HISTORY_FAILED,  /* it did not happen */
};

#define HISTORY_PENDING UINT64_MAX

struct history_op {
    uint32_t process;
    enum history_kind kind;
    struct bytes *key;
    struct bytes *value;    /* written; or, of a Get that ended, read: NULL says
                               that there was no such key */
    struct bytes *expected; /* by a compare-and-set; NULL: no such key */
    enum history_result result;
    uint64_t invoked;  /* place in real time */
    uint64_t returned; /* place in real time, or HISTORY_PENDING */
};

struct history {
    struct history_op *ops;
    size_t count;
    size_t capacity;
    bool no_absence; /* a key that was never written reads as empty */
};

/* Makes an empty history; history_release frees what it holds. */
void history_init(struct history *history);
void history_release(struct history *history);

/* Notes an invocation and returns its index. Takes references of its own; value
 * is NULL for a Get. */
size_t history_invoke(struct history *history, uint32_t process,
                      enum history_kind kind, struct bytes *key,
                      struct bytes *value, uint64_t now);

/* Notes what the compare-and-set at index expects to find (NULL: no such key).
 * Takes a reference of its own. */
void history_expect(struct history *history, size_t index,
                    struct bytes *expected);

/* Notes the end of an operation; value is what a Get has read, or NULL. */
void history_return(struct history *history, size_t index, struct bytes *value,
                    uint64_t now);

/* Notes that an operation was refused or has failed. */
void history_end(struct history *history, size_t index,
                 enum history_result result, uint64_t now);

#endif
