/* SPDX-License-Identifier: MIT */
/*
 * history_read: reads histories that somebody else has written, one event (an
 * invocation or an end of an operation) on each line. The number of a line is
 * the moment of its event. Three forms are known; the first line that is not
 * blank tells which one a file is in:
 *
 *   JSON  {"process":3,"type":"ok","f":"get","key":"k","value":"v","time":7}
 *         as `pbkv history` writes it: each character of a text is one octet.
 *         A value that was never written is null.
 *   EDN   {:process 3, :type :ok, :f :get, :key "k", :value "v"}
 *         In this form a key that was never written reads as empty.
 *   log   INFO  jepsen.util - 3 :ok :cas [1 2]
 *         of one register; read, write and cas. Lines of others than
 *         jepsen.util are passed over.
 *
 * f is get or read, put or write, append, or cas with two values. An operation
 * that ends with `info`, or not at all, may take effect later or never; one
 * that ends with `fail` did not happen, except that a cas that repeats its two
 * values was refused: it found another value.
 */
#ifndef SIM_HISTORY_READ_H
#define SIM_HISTORY_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/history.h"

enum history_form { HISTORY_JSON, HISTORY_EDN, HISTORY_LOG };

enum { HISTORY_ERROR_TEXT = 256 };

/* Reads a stream to its end into an empty history. Returns true, or false with
 * a sentence about the first mistake, and its line, in error
 * (HISTORY_ERROR_TEXT octets). The caller releases the history in any case. */
bool history_read(FILE *file, struct history *history, enum history_form *form,
                  char *error);

/* ---- What the forms share ----------------------------------------------- */

enum history_type {
    HISTORY_INVOKE,
    HISTORY_OK,
    HISTORY_FAIL,
    HISTORY_INFO,
};

/* One line. */
struct history_event {
    uint32_t process;
    enum history_type type;
    enum history_kind kind;
    struct bytes *key;      /* NULL: the one key there is */
    struct bytes *value;    /* NULL: null, nil or not given */
    struct bytes *expected; /* of a cas */
    bool is_pair;           /* value and expected are given as a pair */
    const char *odd;        /* what is wrong with the value, if that matters */
    bool ignored;           /* the line says nothing about the store */
};

/* Fills in what a name means. Returns false when there is no such name. */
bool history_type_named(const char *name, size_t length,
                        enum history_type *type);
bool history_kind_named(const char *name, size_t length,
                        enum history_kind *kind);

/* Read one line (without its end) of a form into an event whose bytes the
 * caller releases. Return NULL, or a constant sentence that says what is wrong
 * with it. */
const char *history_read_json(const char *line, size_t length,
                              struct history_event *event);
const char *history_read_edn(const char *line, size_t length,
                             struct history_event *event);
const char *history_read_log(const char *line, size_t length,
                             struct history_event *event);

#endif
