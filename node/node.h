/* SPDX-License-Identifier: MIT */
/*
 * node: the contract between roles and runtimes. A role (view server, kv
 * server, client) is a deterministic state machine: a function of its state and
 * one event that changes the state and writes effects. A runtime (rpc/ on a
 * real network, sim/ in an imagined one) owns the node, feeds it events one at
 * a time and carries out the effects. The same role code runs in all of them.
 *
 * A role's struct has `struct node node` as its first member. A handler
 *
 * - never blocks and never reads a clock, a socket, a file or a random source;
 * - keeps no pointer into a message or an env after it returned;
 * - keeps no state outside its struct.
 *
 * After every event the runtime calls `check`, which asserts what must hold in
 * every reachable state. Assertions are never compiled out.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/env.h"
#include "node/sink.h"
#include "node/view.h"
#include "pbkv.pb-c.h"

struct node;

enum { SERVERS_MAX = 64 /* servers that a view service keeps in sight */ };

/* A server as the view service sees it. */
struct server_seen {
    struct peer peer;
    uint64_t view;          /* newest view it has pinged */
    uint32_t missed_cycles; /* ping cycles since its last ping (rule V4) */
};

/* What a node tells about itself to an operator; fields that do not apply to a
 * role stay 0. */
struct inspection {
    const char *role; /* "view service", "primary", "backup", "idle", … */
    struct view view;
    uint64_t applied;        /* op number of the newest operation applied */
    uint64_t committed;      /* op number up to which clients are answered */
    uint64_t keys;           /* keys in the store */
    uint64_t bytes;          /* octets of keys and values */
    uint64_t sessions;       /* sessions in the table */
    struct digest digest;    /* of keys, values and sessions */
    uint64_t transfer_items; /* items of a state transfer that have arrived */
    uint64_t transfer_total; /* items in all; 0: no transfer under way */
    uint32_t server_count;   /* of servers[] */
    struct server_seen servers[SERVERS_MAX];
};

struct node_type {
    const char *name;

    /* The first event of a node's life. */
    void (*on_start)(struct node *node, struct env *env);

    /* A message from a peer. Both are borrowed for the length of the call, and
     * message_check holds for the body. */
    void (*on_message)(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body);

    /* A timer that the node set has run out. */
    void (*on_timer)(struct node *node, struct env *env, unsigned slot);

    /* Returns an independent copy that describes itself identically. The caller
     * owns it. */
    struct node *(*clone)(const struct node *node);

    /* Frees the node. */
    void (*release)(struct node *node);

    /* Names every field of the state to the sink. */
    void (*describe)(const struct node *node, struct sink *sink);

    /* Asserts the role's invariants. */
    void (*check)(const struct node *node);

    /* Fills in a zeroed inspection. */
    void (*inspect)(const struct node *node, struct inspection *inspection);

    /* Up to FRAME_BODIES_LIMIT messages have arrived and will probably be
     * delivered in a moment: the role may bring what it will touch into the
     * processor's caches. Changes nothing, and no runtime has to call it. NULL:
     * nothing to do. */
    void (*foresee)(const struct node *node, Pbkv__Body **bodies, size_t count);
};

struct node {
    const struct node_type *type;
};

/* Deliver one event and then check the node's invariants. They are all that a
 * runtime calls. */
void node_start(struct node *node, struct env *env);
void node_message(struct node *node, struct env *env, const struct peer *from,
                  const Pbkv__Body *body);
void node_timer(struct node *node, struct env *env, unsigned slot);

/* Tells the role what will come, if it wants to know. */
void node_foresee(const struct node *node, Pbkv__Body **bodies, size_t count);

/* Release a node through its type. NULL is allowed. */
void node_release(struct node *node);

/* Returns the digest of what the node describes. */
struct digest node_digest(const struct node *node);

#endif
