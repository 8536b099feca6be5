/* SPDX-License-Identifier: MIT */
/*
 * client: the client's role. It carries calls of its own process to the store:
 * finds the primary through the view service, repeats what is not answered, and
 * ends every call once, with an answer or at its deadline (rules C1 and C2).
 *
 * A call is an event, like a message and a timer: client_call. Its end is an
 * effect: env_answer, with the caller's tag and a Reply, Page, ViewReply,
 * EchoReply or InspectReply whose call field is the caller's tag. An end
 * without a server's answer is a Reply with status TIMEOUT (the deadline has
 * passed and the outcome is unknown), OVERLOADED (a limit of this client) or
 * TOO_LARGE.
 *
 * Updates go through sessions, by which the servers recognise a retry (rule
 * P6). A session has one update outstanding; the client opens sessions as it
 * needs them, and further updates wait for a session in the order of their
 * arrival. Reads and observations need no session.
 *
 * Time is one timer, the tick, which runs while calls are under way. Deadlines,
 * silence and back-off are counted in ticks. While nothing is urgent, one timer
 * covers several ticks, so that a busy client costs little and a thousand of
 * them not a thousand times much. The role's events are listed in
 * docs/protocol.md.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/node.h"
#include "node/view.h"

enum { CLIENT_TICK = 0 /* timer slot: the end of a tick */ };

struct client_config {
    struct address view_service;
    uint32_t tick_ms;      /* length of a tick, at least 1 */
    uint32_t stride_ticks; /* that a timer covers while nothing is urgent; 0
                              counts as 1 */
    uint32_t retry_ticks;  /* silence that makes us ask again, at least 1 */
    uint32_t sessions_max; /* updates in flight at once, at least 1 */
    uint32_t queue_max;    /* updates that wait for a session */
    uint32_t calls_max;    /* calls under way, waiting ones included */

    /* Whether a message that is sent once arrives at most once, as over TCP
     * without faults. Then an update whose only transmission met an expired
     * session cannot have been executed, and goes out again in a new session.
     * Otherwise its outcome is unknown, because another copy of the same
     * transmission may have been executed before the session was evicted. */
    bool delivers_at_most_once;
};

/* A call. Everything is borrowed; key and value are shared, not copied. */
struct client_request {
    /* PBKV__BODY__KIND_GET, _PUT, _APPEND and _SCAN go to the primary,
     * _GET_VIEW to the view service, _ECHO and _INSPECT to `address`. */
    Pbkv__Body__KindCase kind;
    uint64_t call;           /* the caller's tag, unique among its calls */
    uint32_t deadline_ticks; /* at least 1; the call ends in this tick */
    struct bytes *key;       /* of GET, PUT and APPEND */
    struct bytes *value;     /* of PUT, APPEND and ECHO */
    uint64_t cursor;         /* of SCAN */
    struct address address;  /* of ECHO and INSPECT */
};

struct client;

/* Returns a new client, whose struct node is its first member. The
 * configuration is copied. The caller owns it; node_release frees it. */
struct client *client_new(const struct client_config *config);

/* Returns the client as a node, for a runtime. */
struct node *client_node(struct client *client);

/*
 * Begins a call. It ends with exactly one env_answer, now or in a later event,
 * at the latest in the tick of its deadline. A wrong request (no key, no
 * deadline) is the caller's bug and asserts; a key or value over the limit is
 * answered TOO_LARGE, and a call over the client's limits OVERLOADED, without
 * sending anything.
 */
void client_call(struct client *client, struct env *env,
                 const struct client_request *request);

/* Tells that a connection to this address was lost or could not be made. If
 * the primary was there, the view service is asked as soon as a call waits for
 * it, and again and again until it names another primary or this one answers
 * (rule C1). */
void client_lost(struct client *client, struct env *env,
                 const struct address *address);

/* Forgets the call with the caller's tag: no answer follows, and an update's
 * outcome is unknown. Returns whether there was such a call. */
bool client_cancel(struct client *client, struct env *env, uint64_t call);

#endif
