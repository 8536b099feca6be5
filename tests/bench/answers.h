/* SPDX-License-Identifier: MIT */
/*
 * answers: finds in a stream of octets how many operations have ended. It
 * keeps no octets, only where in an answer the stream is, so an answer may be
 * cut anywhere.
 *
 * The answers of Redis are lines that end in CR LF: "+OK", ":1", "$5" and then
 * that many octets and CR LF, "$-1", "-ERR and a reason".
 */
#ifndef TESTS_BENCH_ANSWERS_H
#define TESTS_BENCH_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answers_kind {
    ANSWERS_WAITS,  /* each ":1" ends all that it was sent for; "+OK" none */
    ANSWERS_VALUES, /* each "$" ends an operation */
    ANSWERS_OCTETS  /* each so many octets end an operation */
};

struct answers {
    enum answers_kind kind;
    uint64_t ended; /* such ends, since the user set it to 0 */

    /* Where the stream is. */
    char first;     /* octet of the line; 0: at the start of one */
    int64_t number; /* behind it, so far */
    bool negative;
    size_t skip; /* octets of a value left, or of ANSWERS_OCTETS */
    size_t size; /* of ANSWERS_OCTETS: of one operation */
};

/* Stores the kind of a name, such as "redis-set". Returns false when there is
 * none. */
bool answers_kind_of(const char *name, enum answers_kind *kind);

/* Begins a stream. size is that of an operation of ANSWERS_OCTETS. */
void answers_init(struct answers *answers, enum answers_kind kind, size_t size);

/* Reads more of the stream and adds to `ended`. Returns false when it makes no
 * sense, or when a server refuses or a replica did not have the write. */
bool answers_read(struct answers *answers, const char *octets, size_t length);

#endif
