/* SPDX-License-Identifier: MIT */
/*
 * inspect: answers Inspect for the node, with what the node tells about itself
 * and with the runtime's counters.
 */
#ifndef RPC_INSPECT_H
#define RPC_INSPECT_H

#include "rpc/loop.h"

/* Writes the answer to an Inspect into rpc->env. */
void inspect_answer(struct rpc *rpc, const struct peer *from,
                    const Pbkv__Inspect *inspect);

/* Returns the value of a counter or of one of the runtime's figures. */
uint64_t inspect_count(const struct rpc *rpc, const char *name);

#endif
