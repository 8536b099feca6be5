/* SPDX-License-Identifier: MIT */
/*
 * route: which connection leads to an address. A route knows the connection
 * that we dialled (`own`) and the accepted connection from which the address
 * last sent (`theirs`).
 *
 * A request, which a role sends of its own accord, goes by `own`; without one
 * it waits while we dial. An answer goes by whichever is open, `own` first; if
 * none is, it is lost ("send.nowhere"): who still wants it asks again. So
 * nobody makes us dial, or look up, an address by claiming to be there: the
 * addresses that we dial are those of the configuration and of views. To an
 * address that cannot be dialled everything goes by `theirs`.
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

enum purpose {
    PURPOSE_REQUEST, /* the role began: worth dialling for */
    PURPOSE_ANSWER,  /* to somebody who has sent to us */
};

/* Sends a frame to an address by the best way there is now. */
void route_send(struct rpc *rpc, const struct address *to,
                const struct outgoing *outgoing, enum purpose purpose);

/* Adds an encoded body to the frame that went to this peer last, if it can be
 * (connection_join). Returns whether it was added. */
bool route_join(struct rpc *rpc, const struct peer *to,
                const struct bytes *body, enum purpose purpose);

/* The same as route_send, delay_ms milliseconds later. The octets are copied.
 */
void route_send_later(struct rpc *rpc, const struct address *to,
                      const struct outgoing *outgoing, enum purpose purpose,
                      uint32_t delay_ms);

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
