/* SPDX-License-Identifier: MIT */
/*
 * listener: accepts connections. When the system has no descriptors or memory
 * left, it stops accepting for a moment instead of spinning ("accept.pause");
 * newcomers over the limit are closed at once ("accept.limit"), so that they
 * learn of it, and an eighth of the connections, 16 at most, is kept for those
 * that the loop itself dials.
 */
#ifndef RPC_LISTENER_H
#define RPC_LISTENER_H

#include "rpc/loop.h"

/* Begins to listen on an address. Returns 0 and sets rpc->listener, or returns
 * a negative errno and *reason, a constant sentence. */
int listener_open(struct rpc *rpc, const struct address *address,
                  const char **reason);

/* Returns the address in fact listened on. */
const struct address *listener_address(const struct listener *listener);

/* Stops listening and frees the listener. NULL is allowed. */
void listener_free(struct listener *listener);

#endif
