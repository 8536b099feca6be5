/* SPDX-License-Identifier: MIT */
/*
 * connection: one socket. It cuts what arrives into frames and sends what is
 * queued.
 *
 * Input. Everybody reads into the loop's one large buffer, and complete frames
 * are handled right there. Only an unfinished frame is copied, into memory that
 * grows with the octets that really arrived, whatever length the frame claims.
 * What is then missing of a large frame is received in place, as far as there
 * is memory. The memory of the largest frame that was finished is left to the
 * next unfinished one, so of a stream of large frames only beginnings are
 * copied. One read of one connection per turn is the share that keeps it fair;
 * a read is short, so that it holds some thousand messages at the most, but for
 * the rest of a large frame, which holds few. Who lets
 * a frame lie unfinished is closed after a while ("receive.stalled"), or as
 * soon as somebody else needs the memory ("receive.limit"): first the one whose
 * frame has not grown for longest. Connections that we dialled are not closed
 * for others, and a part of the memory is kept for them.
 *
 * Output. What a process says to one peer at one moment can share a frame, and
 * so a stamp. Frames are queued and leave together at the end of the turn by an
 * optimistic sendmsg; only when the system takes no more does the connection
 * wait until it is writable. While much waits on an accepted connection,
 * nothing is read from it ("receive.paused"): who does not take answers cannot
 * ask on. What was read before is answered, up to the limits of output: so an
 * answer is lost only to who asked, in one read, for more than they allow.
 *
 * Life. A dialled connection begins as CONNECTING; an accepted one is OPEN. A
 * connection that is closed becomes DEAD at once, and is freed at the end of
 * the turn.
 */
#ifndef RPC_CONNECTION_H
#define RPC_CONNECTION_H

#include "clocks/stamp.h"
#include "node/message_head.h"
#include "rpc/loop.h"

enum connection_state {
    CONNECTION_CONNECTING,
    CONNECTION_OPEN,
    CONNECTION_DEAD
};

struct connection {
    struct rpc *rpc;
    struct connection *prev; /* in rpc->connections or rpc->dead */
    struct connection *next;
    struct connection *next_dirty;
    int fd;
    enum connection_state state;
    bool dialled;   /* by us */
    bool heard;     /* something has arrived on it */
    bool dirty;     /* in rpc->dirty */
    bool blocked;   /* the system takes no more output now */
    bool paused;    /* not read from until some of the output is taken */
    bool broken;    /* sending failed: the end of the turn closes it */
    bool overflows; /* a frame was lost; until all output is sent */

    /* Dialled: the route to the address dialled. Accepted: the route to the
     * address that last sent on it, or NULL. */
    struct route *route;

    /* Who sent the last frame, whether that address can be dialled, the frame's
     * head, and where in our clock the hosts of its stamp are: mostly the next
     * frame has the same. */
    struct peer sender;
    bool sender_is_dialable;
    struct known_head head;
    struct stamp_places places;

    struct event *readable;
    struct event *writable;
    struct output output;

    /* The frame at the end of output, while bodies can be added to it. */
    struct {
        uint8_t *frame;       /* NULL: there is none */
        uint64_t incarnation; /* that it is for */
        uint64_t knowledge;   /* rpc->knowledge when it was stamped */
        unsigned bodies;
    } open;

    /* The unfinished frame with its length in front. While partial_length is
     * not 0, the connection is in rpc->partials. */
    struct connection *prev_partial;
    struct connection *next_partial;
    uint64_t begun_ms; /* when its first octet came */
    uint64_t grown_ms; /* when its last octet so far came */
    uint8_t *partial;
    size_t partial_length;
    size_t partial_capacity;
};

/* Returns a new connection on fd, which it owns from now on, or NULL when the
 * system has no memory (fd is then the caller's still). It belongs to the loop.
 * A CONNECTING one belongs to route. */
struct connection *connection_new(struct rpc *rpc, int fd,
                                  enum connection_state state,
                                  struct route *route);

/* Queues one frame. Returns false when a limit is reached and the frame is
 * lost. The connection must be OPEN, and stays so until the end of the turn. */
bool connection_send(struct connection *connection,
                     const struct outgoing *outgoing);

/* Adds an encoded body to the frame that was queued last, if that is for the
 * same incarnation (a connection leads to one address at a time), nothing of it
 * is sent yet, it has room, and its stamp is still true: this process has
 * received nothing and noted no event since. Returns whether it was added;
 * otherwise the body needs a frame of its own. The connection must be OPEN. */
bool connection_join(struct connection *connection, uint64_t incarnation,
                     const struct bytes *body);

/* Closes the socket, loses what was queued and takes the connection out of its
 * route. Harmless when it is DEAD already. */
void connection_close(struct connection *connection);

/* The end of a turn: sends the output of all dirty connections and frees the
 * dead ones. */
void connections_end_turn(struct rpc *rpc);

/* Sees to it that memory is left (reserve.h) when a stranger takes size octets.
 * While it is short, closes accepted connections with unfinished frames, though
 * not the newcomer (or NULL), for which the memory is. Returns whether there is
 * enough now. The system is not asked for every small size. */
bool connections_keep_reserve(struct rpc *rpc,
                              const struct connection *newcomer, size_t size);

/* Closes the connections whose unfinished frames do not get on. */
void connections_sweep(struct rpc *rpc);

/* Closes and frees them all. */
void connections_release(struct rpc *rpc);

#endif
