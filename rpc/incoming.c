/* SPDX-License-Identifier: MIT */
/*
 * incoming: see incoming.h. First every reason to refuse the frame, while
 * nothing has changed, unless its head is the one of the frame before it on the
 * connection; then the route and the clocks; then the node. A frame
 * that is refused or dropped is not an event of this host and moves no clock;
 * the named event that reports it does.
 */
#include "rpc/incoming.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "rpc/address.h"
#include "rpc/effects.h"
#include "rpc/inspect.h"
#include "rpc/route.h"

static int refuse(struct rpc *rpc, const char *event, const char *detail,
                  int error)
{
    assert(error < 0);
    rpc_event(rpc, LOG_LEVEL_WARN, event, detail);
    return error;
}

static int refuse_undecodable(struct rpc *rpc, int error)
{
    switch (error) {
    case -EBADMSG: return refuse(rpc, "frame.malformed", "not a Frame", error);
    case -EPROTO:
        return refuse(rpc, "frame.meaningless", "no valid message", error);
    default:
        return refuse(rpc, "frame.budget", "too much memory to decode", error);
    }
}

/* Returns whether the frame is for this life of this process (rule V8). */
static bool is_for_us(struct rpc *rpc, const Pbkv__Frame *frame)
{
    if (frame->to == NULL || frame->to->incarnation == 0 ||
        frame->to->incarnation == rpc->self.incarnation)
        return true;
    rpc_event_format(rpc, LOG_LEVEL_DEBUG, "frame.misaddressed",
                     "%s for incarnation %llu",
                     message_name(frame->bodies[0]->kind_case),
                     (unsigned long long)frame->to->incarnation);
    return false;
}

static void trace_receipt(struct rpc *rpc, const Pbkv__Frame *frame)
{
    const Pbkv__ClockEntry *sender = frame->vector[0];
    char host[HOST_NAME_MAX_LENGTH + 1];
    char text[EVENT_DETAIL_MAX];

    if (rpc->trace == NULL)
        return;
    assert(sender->host.len < sizeof(host));
    memcpy(host, sender->host.data, sender->host.len);
    host[sender->host.len] = '\0';
    rpc_trace(rpc, TRACE_RECEIVE, host, sender->time,
              frame_format(frame, text, sizeof(text)));
}

/* Notes who claims to have sent the frame. */
static void learn_sender(struct connection *connection,
                         const Pbkv__Frame *frame)
{
    struct peer *sender = &connection->sender;
    int error = peer_from_message(frame->from, sender);

    assert(error == 0 && peer_is_present(sender)); /* frame_decode */
    (void)error;
    connection->sender_is_dialable = address_is_dialable(&sender->address);
    known_head_learn(&connection->head, frame);
    connection->places = (struct stamp_places){0};
}

/* Decodes a frame and finds every reason to refuse it. Returns 0 and a frame
 * from connection->sender, 0 and NULL when it is to be dropped, or a negative
 * errno. */
static int examine(struct connection *connection, const uint8_t *data,
                   size_t length, Pbkv__Frame **frame)
{
    struct rpc *rpc = connection->rpc;
    int error = frame_decode(&rpc->reactor->incoming, data, length, frame);

    if (error < 0)
        return refuse_undecodable(rpc, error);
    if (host_clock_check_stamp(*frame) < 0)
        return refuse(rpc, "frame.stamp", "impossible clocks", -EPROTO);
    if (is_for_us(rpc, *frame))
        learn_sender(connection, *frame);
    else
        *frame = NULL;
    return 0;
}

/* Moves the clocks. A client's entry does not stay in them (rule K4). */
static void merge(struct connection *connection, const Pbkv__Frame *frame)
{
    struct rpc *rpc = connection->rpc;
    bool passes = !connection->sender_is_dialable;
    bool honest = true;

    if ((passes && rpc->trace != NULL) ||
        !stamp_receive(&rpc->clock, &connection->places, frame, passes,
                       &honest))
        honest = host_clock_receive(&rpc->clock, frame, passes);
    rpc->knowledge++;
    trace_receipt(rpc, frame);
    if (!honest)
        rpc_event_format(rpc, LOG_LEVEL_WARN, "clock.ahead",
                         "%s claims events of this host that never happened",
                         connection->sender.address.text);
}

static void deliver(struct rpc *rpc, const struct peer *from,
                    const Pbkv__Body *body)
{
    if (body->kind_case == PBKV__BODY__KIND_INSPECT)
        inspect_answer(rpc, from, body->inspect);
    else
        node_message(rpc->node, &rpc->env, from, body);
    effects_carry_out(rpc);
}

/* Delivers all bodies, unless one of them halts the rpc. The octets are in the
 * memory of the connection: should it ever be closed in between, they are not
 * there any more. */
static void deliver_all(struct connection *connection, const struct peer *from,
                        const Pbkv__Frame *frame)
{
    struct rpc *rpc = connection->rpc;

    ++rpc->figures.frames_in;
    for (size_t i = 0; i < frame->n_bodies && !rpc->halted &&
                       connection->state == CONNECTION_OPEN;
         i++) {
        ++rpc->figures.messages_in;
        deliver(rpc, from, frame->bodies[i]);
    }
}

int incoming_frame(struct connection *connection, const uint8_t *data,
                   size_t length)
{
    struct rpc *rpc = connection->rpc;
    Pbkv__Frame *frame = frame_decode_known(&rpc->reactor->incoming,
                                            &connection->head, data, length);
    struct peer from;
    int error = 0;

    if (frame == NULL)
        error = examine(connection, data, length, &frame);
    if (error < 0 || frame == NULL)
        return error;
    node_foresee(rpc->node, frame->bodies, frame->n_bodies);
    merge(connection, frame);
    from = connection->sender;
    if (connection->dialled)
        from.address = *route_dialled(connection);
    else
        route_learn(connection, &from.address);
    deliver_all(connection, &from, frame);
    return 0;
}
