/* SPDX-License-Identifier: MIT */
/*
 * route: see route.h. A route exists as long as it has a connection, frames
 * that wait, or a pause to sit out; then it is freed. A parcel is one frame on
 * its own: a request that waits for a connection, or any frame held back by a
 * fault. Its memory counts as output.
 */
#include "rpc/route.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>
#include <xxhash.h>

#include "node/memory.h"
#include "node/random.h"
#include "rpc/address.h"
#include "rpc/connection.h"
#include "rpc/socket.h"

#define HASH_FUNCTION(key, length, hash)                                       \
    ((hash) = (unsigned)XXH3_64bits((key), (length)))
#include <uthash.h>

enum {
    PAUSE_FIRST_MS = 10,
    PAUSE_LONGEST_MS = 250,
    PAUSE_DOUBLINGS = 8,   /* from the first pause past the longest */
    WAIT_LIMIT_MS = 2500,  /* that a frame waits for a connection */
    DELAYED_LIMIT = 16384, /* frames held back by faults */
};

struct parcel {
    struct parcel *prev; /* in route->waiting or rpc->delayed */
    struct parcel *next;
    struct rpc *rpc;
    struct event *event; /* of a delayed parcel */
    struct address to;   /* of a delayed parcel */
    enum purpose purpose;
    uint64_t since_ms; /* of a waiting parcel */
    size_t length;
    uint8_t octets[];
};

struct route {
    struct rpc *rpc;
    struct address address;
    struct connection *own;    /* that we dialled, connecting or open */
    struct connection *theirs; /* accepted, open */
    struct parcel *waiting;    /* requests; empty while own is open */
    size_t waiting_octets;
    struct event *pause; /* NULL before the first */
    bool pausing;
    bool announced;    /* that the address cannot be reached */
    unsigned failures; /* in a row */
    UT_hash_handle hh;
};

/* ---- Parcels ---------------------------------------------------------- */

static size_t parcel_cost(const struct parcel *parcel)
{
    return sizeof(*parcel) + parcel->length;
}

/* Returns NULL when a limit is reached or the system has no memory. */
static struct parcel *parcel_new(struct rpc *rpc,
                                 const struct outgoing *outgoing)
{
    size_t length = frame_size(outgoing);
    struct parcel *parcel;

    if (rpc->output_octets + sizeof(*parcel) + length >
        rpc->config.limits.total_output)
        return NULL;
    parcel = calloc(1, sizeof(*parcel) + length);
    if (parcel == NULL)
        return NULL;
    parcel->rpc = rpc;
    parcel->length = length;
    frame_write(outgoing, parcel->octets);
    rpc->output_octets += parcel_cost(parcel);
    ++rpc->parcel_count;
    return parcel;
}

static void parcel_free(struct parcel *parcel)
{
    struct rpc *rpc = parcel->rpc;

    rpc->output_octets -= parcel_cost(parcel);
    if (--rpc->parcel_count == 0)
        rpc->parcels_overflow = false;
    if (parcel->event != NULL)
        event_free(parcel->event);
    free(parcel);
}

static struct outgoing parcel_outgoing(const struct parcel *parcel)
{
    return (struct outgoing){.head = parcel->octets,
                             .head_length = parcel->length};
}

/* ---- The table -------------------------------------------------------- */

static struct route *find(struct rpc *rpc, const struct address *address)
{
    struct route *route = rpc->recent;

    /* Frames for one peer come one after the other. */
    if (route != NULL && address_equal(&route->address, address))
        return route;
    HASH_FIND(hh, rpc->routes, address->text, address->length, route);
    rpc->recent = route;
    return route;
}

static struct route *add(struct rpc *rpc, const struct address *address)
{
    struct route *route = calloc(1, sizeof(*route));

    if (route == NULL)
        return NULL;
    route->rpc = rpc;
    route->address = *address;
    HASH_ADD_KEYPTR(hh, rpc->routes, route->address.text, address->length,
                    route);
    return route;
}

static void drop_waiting(struct route *route, struct parcel *parcel)
{
    DL_DELETE(route->waiting, parcel);
    route->waiting_octets -= parcel->length;
    parcel_free(parcel);
}

static void route_free(struct route *route)
{
    while (route->waiting != NULL)
        drop_waiting(route, route->waiting);
    if (route->own != NULL)
        route->own->route = NULL;
    if (route->theirs != NULL)
        route->theirs->route = NULL;
    if (route->pause != NULL)
        event_free(route->pause);
    HASH_DEL(route->rpc->routes, route);
    if (route->rpc->recent == route)
        route->rpc->recent = NULL;
    free(route);
}

static void free_if_unused(struct route *route)
{
    if (route->own == NULL && route->theirs == NULL && route->waiting == NULL &&
        !route->pausing)
        route_free(route);
}

/* Returns the open connection to use, or NULL. Whoever claims an address gets
 * no requests for it, if there is a way to find out who is there. */
static struct connection *best(const struct route *route, enum purpose purpose)
{
    if (route->own != NULL && route->own->state == CONNECTION_OPEN)
        return route->own;
    if (purpose == PURPOSE_REQUEST && address_is_dialable(&route->address))
        return NULL;
    return route->theirs;
}

/* ---- Sending ---------------------------------------------------------- */

/* A frame is lost because a limit is reached: told when it begins. */
static void overflow(struct rpc *rpc, const struct address *to, bool *began)
{
    rpc_event_format(rpc, *began ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
                     "send.overflow", "to %s", to->text);
    *began = true;
}

static void transmit(struct connection *connection, const struct address *to,
                     const struct outgoing *outgoing)
{
    if (!connection_send(connection, outgoing))
        overflow(connection->rpc, to, &connection->overflows);
}

static void send_waiting(struct route *route)
{
    struct connection *connection = route->own;

    assert(connection != NULL && connection->state == CONNECTION_OPEN);
    while (route->waiting != NULL) {
        struct outgoing outgoing = parcel_outgoing(route->waiting);

        transmit(connection, &route->address, &outgoing);
        drop_waiting(route, route->waiting);
    }
    assert(route->waiting_octets == 0);
}

static void dial(struct route *route);

/* Keeps a request until there is a connection. */
static void wait_for_connection(struct route *route,
                                const struct outgoing *outgoing)
{
    struct rpc *rpc = route->rpc;
    struct parcel *parcel = NULL;

    if (route->waiting_octets + frame_size(outgoing) <=
        rpc->config.limits.connection_output)
        parcel = parcel_new(rpc, outgoing);
    if (parcel == NULL) {
        overflow(rpc, &route->address, &rpc->parcels_overflow);
        free_if_unused(route);
        return;
    }
    parcel->purpose = PURPOSE_REQUEST;
    parcel->since_ms = rpc_now_ms();
    DL_APPEND(route->waiting, parcel);
    route->waiting_octets += parcel->length;
    if (route->own == NULL && !route->pausing)
        dial(route);
}

void route_send(struct rpc *rpc, const struct address *to,
                const struct outgoing *outgoing, enum purpose purpose)
{
    struct route *route = find(rpc, to);

    if (route != NULL && best(route, purpose) != NULL) {
        transmit(best(route, purpose), to, outgoing);
        return;
    }
    if (purpose == PURPOSE_ANSWER || !address_is_dialable(to)) {
        rpc_event_format(rpc, LOG_LEVEL_DEBUG, "send.nowhere", "to %s",
                         to->text);
        return;
    }
    if (route == NULL)
        route = add(rpc, to);
    if (route != NULL)
        wait_for_connection(route, outgoing);
    else
        overflow(rpc, to, &rpc->parcels_overflow);
}

bool route_join(struct rpc *rpc, const struct peer *to,
                const struct bytes *body, enum purpose purpose)
{
    struct route *route = find(rpc, &to->address);
    struct connection *connection = route != NULL ? best(route, purpose) : NULL;

    return connection != NULL &&
           connection_join(connection, to->incarnation, body);
}

static void on_delayed(evutil_socket_t fd, short what, void *argument)
{
    struct parcel *parcel = argument;
    struct rpc *rpc = parcel->rpc;
    struct outgoing outgoing = parcel_outgoing(parcel);

    (void)fd;
    (void)what;
    DL_DELETE(rpc->delayed, parcel);
    --rpc->delayed_count;
    route_send(rpc, &parcel->to, &outgoing, parcel->purpose);
    parcel_free(parcel);
}

void route_send_later(struct rpc *rpc, const struct address *to,
                      const struct outgoing *outgoing, enum purpose purpose,
                      uint32_t delay_ms)
{
    struct parcel *parcel = NULL;

    if (rpc->delayed_count < DELAYED_LIMIT)
        parcel = parcel_new(rpc, outgoing);
    if (parcel == NULL) {
        overflow(rpc, to, &rpc->parcels_overflow);
        return;
    }
    parcel->to = *to;
    parcel->purpose = purpose;
    parcel->event = rpc_event_new(rpc, -1, 0, on_delayed, parcel);
    DL_APPEND(rpc->delayed, parcel);
    ++rpc->delayed_count;
    rpc_event_after(parcel->event, delay_ms);
}

/* ---- Dialling --------------------------------------------------------- */

static void expire_waiting(struct route *route)
{
    uint64_t now_ms = rpc_now_ms();

    while (route->waiting != NULL &&
           now_ms - route->waiting->since_ms > WAIT_LIMIT_MS) {
        drop_waiting(route, route->waiting);
        counters_add(&route->rpc->counters, "send.expired", 1);
    }
}

static void on_pause_over(evutil_socket_t fd, short what, void *argument)
{
    struct route *route = argument;

    (void)fd;
    (void)what;
    route->pausing = false;
    if (route->waiting != NULL)
        dial(route);
    else
        free_if_unused(route);
}

/* Draws the next pause: half of it for certain, the rest by chance, so that
 * those who lost the same peer do not come back all at once. */
static uint32_t next_pause_ms(struct route *route)
{
    uint32_t pause_ms = PAUSE_LONGEST_MS;

    if (route->failures < PAUSE_DOUBLINGS)
        pause_ms = (uint32_t)PAUSE_FIRST_MS << route->failures;
    if (pause_ms > PAUSE_LONGEST_MS)
        pause_ms = PAUSE_LONGEST_MS;
    return random_between(&route->rpc->random, pause_ms / 2, pause_ms);
}

/* Somebody whose connection is lost, until the node is told. */
struct loss {
    struct rpc *rpc;
    struct address address;
};

static void tell_node(void *argument, struct node *node, struct env *env)
{
    struct loss *loss = argument;
    const struct rpc_config *config = &loss->rpc->config;

    if (node)
        config->on_lost(config->context, node, env, &loss->address);
    free(loss);
}

/* Tells the node, when nothing of its own is under way any more. */
static void tell_lost(struct route *route)
{
    struct loss *loss;

    if (route->rpc->config.on_lost == NULL)
        return;
    loss = memory_new(sizeof(*loss));
    loss->rpc = route->rpc;
    loss->address = route->address;
    if (rpc_post_here(route->rpc, tell_node, loss) < 0)
        free(loss);
}

/* Dialling has failed: pauses, and then goes on if frames still wait. */
static void fail(struct route *route, int error)
{
    assert(error < 0 && route->own == NULL && !route->pausing);
    if (!route->announced)
        rpc_event_format(route->rpc, LOG_LEVEL_INFO, "peer.unreachable",
                         "%s: %s", route->address.text, strerror(-error));
    route->announced = true;
    counters_add(&route->rpc->counters, "dial.failed", 1);
    tell_lost(route);
    expire_waiting(route);
    if (route->pause == NULL)
        route->pause = rpc_event_new(route->rpc, -1, 0, on_pause_over, route);
    route->pausing = true;
    rpc_event_after(route->pause, next_pause_ms(route));
    ++route->failures;
}

/* Begins a connection. Returns 0 or a negative errno. */
static int begin(struct route *route)
{
    struct rpc *rpc = route->rpc;
    struct endpoint endpoint;
    int error;
    int fd;

    if (rpc->figures.connections >= rpc->config.limits.connections)
        return -EMFILE;
    error = address_resolve(&route->address, false, route->failures, &endpoint);
    if (error < 0)
        return error;
    fd = socket_dial(&endpoint);
    if (fd < 0)
        return fd;
    route->own = connection_new(rpc, fd, CONNECTION_CONNECTING, route);
    if (route->own == NULL) {
        close(fd);
        return -ENOMEM;
    }
    ++rpc->figures.dialled;
    return 0;
}

static void dial(struct route *route)
{
    int error = begin(route);

    if (error < 0)
        fail(route, error);
}

void route_connected(struct connection *connection)
{
    struct route *route = connection->route;

    assert(route->own == connection);
    if (route->announced)
        rpc_event(route->rpc, LOG_LEVEL_INFO, "peer.reachable",
                  route->address.text);
    route->announced = false;
    send_waiting(route);
}

void route_dial_failed(struct connection *connection, int error)
{
    struct route *route = connection->route;

    assert(route->own == connection);
    route->own = NULL;
    connection->route = NULL;
    connection_close(connection);
    fail(route, error);
}

/* ---- Learning and losing ---------------------------------------------- */

const struct address *route_dialled(const struct connection *connection)
{
    assert(connection->dialled && connection->route != NULL);
    return &connection->route->address;
}

static void forget_theirs(struct connection *connection)
{
    struct route *route = connection->route;

    if (route == NULL)
        return;
    assert(route->theirs == connection);
    route->theirs = NULL;
    connection->route = NULL;
    free_if_unused(route);
}

void route_learn(struct connection *connection, const struct address *from)
{
    struct rpc *rpc = connection->rpc;
    struct route *route;

    assert(!connection->dialled);
    if (connection->route != NULL &&
        address_equal(&connection->route->address, from))
        return;
    forget_theirs(connection);
    route = find(rpc, from);
    if (route == NULL)
        route = add(rpc, from);
    if (route == NULL)
        return;
    if (route->theirs != NULL)
        route->theirs->route = NULL;
    route->theirs = connection;
    connection->route = route;
}

void route_lost(struct connection *connection)
{
    struct route *route = connection->route;

    if (route == NULL)
        return;
    if (!connection->dialled) {
        forget_theirs(connection);
        return;
    }
    assert(route->own == connection);
    route->own = NULL;
    connection->route = NULL;
    if (!connection->heard) {
        fail(route, -ECONNRESET);
        return;
    }
    route->failures = 0;
    tell_lost(route);
    free_if_unused(route);
}

void routes_release(struct rpc *rpc)
{
    struct route *route = NULL;
    struct route *next = NULL;

    HASH_ITER(hh, rpc->routes, route, next)
    {
        route_free(route);
    }
    while (rpc->delayed != NULL) {
        struct parcel *parcel = rpc->delayed;

        DL_DELETE(rpc->delayed, parcel);
        parcel_free(parcel);
    }
}
