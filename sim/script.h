/* SPDX-License-Identifier: MIT */
/*
 * script: a client with a list of operations, for the explorer. The node is the
 * client role with its caller: it begins the next operation when it is told to
 * act, and notes what became of it.
 *
 * The note is a history in a small, canonical form. Real time is kept as what
 * was over when an operation began: for every client, how many of its
 * operations. Two histories in which the same operations overlap are the same
 * note, whatever happened first.
 *
 * The calls have no deadline, as far as the client can tell: the caller puts it
 * off after every event. Otherwise each tick would be a new state.
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"

enum { SCRIPT_OPS_MAX = 6, SCRIPT_CLIENTS_MAX = 4 };

enum script_kind { SCRIPT_PUT, SCRIPT_APPEND, SCRIPT_GET };

struct script_op {
    enum script_kind kind;
    const char *key;
    const char *value; /* of a Put or Append */
};

/* What became of an operation that has begun. */
struct script_note {
    uint32_t knowledge;  /* what was over: four bits for each client */
    Pbkv__Status status; /* 0: it is under way */
    struct bytes *value; /* of a Get with OK */
};

struct script_config {
    struct client_config client;
    const struct script_op *ops; /* borrowed for all copies' lives */
    uint32_t count;
};

struct script {
    struct node node;
    struct client *client;
    const struct script_op *ops;
    uint32_t count;
    uint32_t begun;
    uint32_t ended;
    struct script_note notes[SCRIPT_OPS_MAX];
};

/* Returns a new scripted client, for explorer_node.birth. context: struct
 * script_config. */
struct node *script_birth(const void *context, const struct peer *self,
                          const struct bytes *record);

/* For explorer_node: whether it could begin its next operation; begins it; the
 * number of operations that have ended. */
bool script_wants(const struct node *node);
void script_act(struct node *node, struct env *env, uint32_t knowledge);
uint32_t script_progress(const struct node *node);

/* Returns the scripted client that a node is, borrowed; NULL for another node
 * and for NULL. */
const struct script *script_of(const struct node *node);

/*
 * Returns whether the histories of all scripts together are linearizable: one
 * order, in which every operation stands after all that was over when it began,
 * explains every answer. Operations without a known outcome may stand anywhere
 * after their beginning, or nowhere. The scripts are in the order of the
 * explorer's nodes.
 */
bool script_histories_are_linearizable(const struct script *const *scripts,
                                       uint32_t count);

/* The same of the scripted clients among the explorer's nodes. */
bool script_nodes_are_linearizable(const struct node *const *nodes,
                                   uint32_t count);

#endif
