/* SPDX-License-Identifier: MIT */
/*
 * route: which connection leads to an address. A route knows the connection
 * that we dialled (`own`) and the accepted connection from which the address
 * last sent (`theirs`); frames go by the first of the two that is open. If
 * there is none and the address can be dialled, they wait while we dial; to an
 * address that cannot be dialled they are lost.
 *
 * Dialling that fails is repeated as long as frames wait, after pauses that
 * double from 10 ms to 250 ms with jitter; a connection that ends before
 * anything arrived on it counts as failed too. Frames that have waited too long
 * are dropped ("send.expired"), because the node has long given them up.
 *
 * An accepted connection has one route at a time, so strangers who claim many
 * addresses do not make the table grow.
 */
#ifndef RPC_ROUTE_H
#define RPC_ROUTE_H

#include "rpc/loop.h"

/* Sends a frame to an address by the best way there is now. */
void route_send(struct rpc *rpc, const struct address *to,
                const struct outgoing *outgoing);

/* The same, delay_ms milliseconds later. The octets are copied. */
void route_send_later(struct rpc *rpc, const struct address *to,
                      const struct outgoing *outgoing, uint32_t delay_ms);

/* Notes that an address has sent on an accepted connection. */
void route_learn(struct connection *connection, const struct address *from);

/* Returns the address that was dialled to get this connection. */
const struct address *route_dialled(const struct connection *connection);

/* What became of a dialled connection, told by connection.c. */
void route_connected(struct connection *connection);
void route_dial_failed(struct connection *connection, int error);

/* A connection has closed: no route leads over it any more. */
void route_lost(struct connection *connection);

/* Frees all routes and all frames that wait or are held back, and takes the
 * routes away from their connections. */
void routes_release(struct rpc *rpc);

#endif
