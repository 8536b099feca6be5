/* SPDX-License-Identifier: MIT */
/*
 * state: what a primary and its backup have in common, the store and the
 * sessions as of one op number, and the operations that change it.
 *
 * The primary decides what an operation does (state_decide) and writes the
 * decision into the operation; applying it (state_apply) repeats the decision
 * on every server. So limits that differ between servers cannot make their
 * states differ.
 */
#ifndef PBSERVER_STATE_H
#define PBSERVER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "pbkv.pb-c.h"
#include "pbserver/kv.h"
#include "pbserver/sessions.h"

/* Octets of memory, about, that count towards the limits. */
enum {
    ENTRY_COST = 96,    /* of a key, beside key and value */
    SESSION_COST = 128, /* of a session */
};

struct state {
    uint64_t op; /* op number of the newest operation applied */
    struct kv kv;
    struct sessions sessions;
};

/* Limits by which a primary decides. */
struct state_limits {
    uint32_t key;      /* octets, at most KEY_LIMIT */
    uint32_t value;    /* octets, at most VALUE_LIMIT */
    uint32_t sessions; /* entries in the table, at least 1 */
    uint64_t octets;   /* of memory for keys and values, about */
};

/* An operation in the primary's order, with the decision once it is taken. */
struct operation {
    Pbkv__Kind kind;
    uint64_t session; /* for KIND_OPEN: its own op number */
    uint64_t seq;     /* for KIND_OPEN: 0 */
    struct bytes *key;
    struct bytes *value;
    Pbkv__Status status;
    uint64_t evicted; /* session that makes room for this one; 0: none */
};

/* Make, free and copy a state. */
void state_init(struct state *state);
void state_release(struct state *state);
void state_clone(const struct state *state, struct state *copy);

/* Returns the digest of op number, store and sessions. */
struct digest state_digest(const struct state *state);

/* Describes the state. */
void state_describe(const struct state *state, struct sink *sink);

/*
 * Decides the outcome of an operation that would be number state->op + 1: OK,
 * or TOO_LARGE, with which nothing is stored and the operation loses key and
 * value. The outcome is recorded with the session in either case, so that a
 * retry gets the same answer whatever happened in between.
 */
void state_decide(const struct state *state, const struct state_limits *limits,
                  struct operation *operation);

/* Returns whether a decided operation would take the store past its limit. */
bool state_is_full(const struct state *state, const struct state_limits *limits,
                   const struct operation *operation);

/* Returns whether a decided operation can be number state->op + 1: its session
 * is there, its seq is new, and its value keeps to VALUE_LIMIT. A primary's
 * always is; a message may claim anything. */
bool state_can_apply(const struct state *state,
                     const struct operation *operation);

/* Returns the octets of memory that the store takes, about: keys and values,
 * and what each of them costs besides. */
uint64_t state_size(const struct state *state);

enum { STATE_FORESEEN_MAX = 16 /* operations that state_foresee looks at */ };

/* Brings into the caches what applying the first of these operations, up to
 * STATE_FORESEEN_MAX, will touch, and stores what is foreseen of their keys: a
 * hint without any effect (kv.h). */
void state_foresee(const struct state *state, Pbkv__LogOp **ops, size_t count,
                   struct kv_foreseen keys[STATE_FORESEEN_MAX]);

/* Applies a decided operation as number state->op + 1. A key that was changed
 * by this or a later operation already (it came with a state transfer) is left
 * as it is (rule T3). */
void state_apply(struct state *state, const struct operation *operation);

/* Frees what an operation holds. */
void operation_release(struct operation *operation);

/* Returns a copy that shares key and value. */
struct operation operation_share(const struct operation *operation);

/* Returns the octets that an operation takes in memory and in a message. */
size_t operation_size(const struct operation *operation);

/* Between messages and operations: from copies, to borrows. */
struct operation operation_from_message(const Pbkv__LogOp *message);
void operation_to_message(const struct operation *operation,
                          Pbkv__LogOp *message);

/* Does the same as operation_from_message, for an operation whose key was
 * foreseen and that will be applied to this state: shares the key with the
 * store when it is there. */
struct operation state_operation(struct state *state,
                                 const Pbkv__LogOp *message,
                                 const struct kv_foreseen *key);

/* Describes an operation under a name. */
void operation_describe(const struct operation *operation, const char *name,
                        struct sink *sink);

#endif
