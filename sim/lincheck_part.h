/* SPDX-License-Identifier: MIT */
/*
 * lincheck_part: the operations on one key, prepared for being decided.
 *
 * What a history says about a value it says through reads (and through the
 * comparisons of compare-and-sets), so two values that no observation can tell
 * apart are one state. The distinct observed values are sorted; a state is
 * either a prefix of one of them, which is a length and the range of values
 * that begin with it, or DEAD: a value that nobody observes and that no append
 * turns into an observed one. So a state is a small number, is compared
 * exactly and costs nothing to append to, however long the values are.
 *
 * The same table tells, by parsing the observed values into the tokens that
 * were written, by when each can first have been there (`born`), and which
 * writes it consists of, if there is only one way to read it.
 */
#ifndef SIM_LINCHECK_PART_H
#define SIM_LINCHECK_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/history.h"

enum {
    VALUE_ABSENT = 0, /* index of the value of a key that was never written */
    STATE_ABSENT = 0,
    STATE_DEAD = 1,
};

#define PART_NONE UINT32_MAX

enum part_kind { PART_READ, PART_REFUSED, PART_SET, PART_APPEND, PART_CAS };

struct part_op {
    const struct history_op *source;
    uint64_t invoked;
    uint64_t returned;
    enum part_kind kind;
    bool dead;         /* a write whose effect nobody observes */
    uint32_t observed; /* value that a read, cas or refusal has seen */
    uint32_t state;    /* after a set or cas */
    uint32_t token;    /* what is written */
};

/* A distinct octet string that is written. */
struct token {
    const struct bytes *text;
    uint32_t id;
    uint32_t sets;        /* operations that replace the value by it */
    uint32_t appends;     /* operations that append it */
    uint64_t set_born;    /* the earliest invocation of these; */
    uint64_t append_born; /* HISTORY_PENDING: none */
    bool append_used;     /* it may be a piece of an observed value */
    uint32_t op;          /* one of these operations */
    struct range *ranges; /* values that must have it as a piece */
    uint32_t range_count;
    uint32_t range_capacity;
};

/* Values from low up to, but without, high. */
struct range {
    uint32_t low;
    uint32_t high;
};

/* A distinct observed value. */
struct value {
    const struct bytes *text; /* NULL: absent */
    uint64_t born;            /* the earliest moment; HISTORY_PENDING: never */
    uint32_t ways;            /* to write it: 0, 1, or 2 for more */
    uint32_t repeated;        /* a token that it must have as a piece more often
                                 than it was appended, or PART_NONE */
    uint32_t root;   /* of the only way: the token set first, or PART_NONE */
    uint32_t pieces; /* … and how many tokens were appended to it */
};

struct state {
    struct range range; /* values that begin with it */
    uint32_t length;
    uint32_t exact; /* the value that is equal to it, or PART_NONE */
};

struct part {
    struct part_op *ops; /* completed ones first, each by invocation */
    uint32_t count;
    uint32_t completed;
    struct value *values; /* sorted; the first is VALUE_ABSENT */
    uint32_t value_count;
    struct token **tokens;
    uint32_t token_count;
    uint32_t *lengths; /* distinct ones of tokens, ascending; without 0 */
    uint32_t length_count;
    struct state *states;
    uint32_t state_count;
    uint32_t state_capacity;
    struct part_names *names; /* of tokens and states; private */
    bool no_absence;
    bool has_appends;
    bool has_cas;
    bool has_refusals;
    bool has_empty_append;
};

/*
 * Prepares operations of one key, as far as they are known at a moment: those
 * invoked later are left out, and those that end later are pending. Pending
 * reads and operations that failed are left out too. The operations are
 * borrowed. The caller frees the part with part_free.
 */
struct part *part_new(const struct history_op *const *ops, size_t count,
                      uint64_t until, bool no_absence);
void part_free(struct part *part);

/* Returns the state after appending a token to a state. */
uint32_t part_append(struct part *part, uint32_t state, uint32_t token);

/* Finds out how the observed values can have been written. part_new does. */
void part_parse(struct part *part);

/* Returns the token with this text, or NULL. */
struct token *part_token(const struct part *part, const uint8_t *text,
                         uint32_t length);

/*
 * The pieces of a value that can be written in one way only: their ends, in
 * ascending order, and tokens; the root is not among them. Returns how many.
 * The caller frees both arrays.
 */
uint32_t part_pieces(const struct part *part, uint32_t value, uint32_t **ends,
                     uint32_t **tokens);

#endif
