/* SPDX-License-Identifier: MIT */
/*
 * listener: see listener.h. The socket is in the system's queue from the moment
 * the rpc is made; connections are taken from it once the loop runs, at most
 * ACCEPTS_PER_TURN at a time.
 */
#include "rpc/listener.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/memory.h"
#include "rpc/connection.h"
#include "rpc/socket.h"

enum {
    ACCEPTS_PER_TURN = 64,
    PAUSE_MS = 100,
    CONNECTION_COST = 1024, /* octets of memory, about */
    RESERVE_SHARE = 8,      /* one connection in so many is kept for dialling */
    RESERVE_MAX = 16,
};

struct listener {
    struct rpc *rpc;
    struct listening socket;
    struct event *acceptable;
    struct event *pause;
};

static bool is_full(const struct rpc *rpc)
{
    uint32_t limit = rpc->config.limits.connections;
    uint32_t reserve = limit / RESERVE_SHARE;

    if (reserve > RESERVE_MAX)
        reserve = RESERVE_MAX;
    return rpc->figures.connections >= limit - reserve;
}

static void turn_away(struct rpc *rpc, int fd, const char *detail)
{
    close(fd);
    rpc_event(rpc, LOG_LEVEL_WARN, "accept.limit", detail);
}

static void take_in(struct rpc *rpc, int fd)
{
    if (is_full(rpc)) {
        turn_away(rpc, fd, "too many connections");
        return;
    }
    if (connection_new(rpc, fd, CONNECTION_OPEN, NULL) == NULL) {
        turn_away(rpc, fd, "out of memory");
        return;
    }
    ++rpc->figures.accepted;
}

static void pause_accepting(struct listener *listener, int error)
{
    event_del(listener->acceptable);
    rpc_event_after(listener->pause, PAUSE_MS);
    rpc_event(listener->rpc, LOG_LEVEL_WARN, "accept.pause", strerror(-error));
}

static void on_pause_over(evutil_socket_t fd, short what, void *argument)
{
    struct listener *listener = argument;

    (void)fd;
    (void)what;
    event_add(listener->acceptable, NULL);
}

/* Returns whether the error concerns one newcomer only, who has gone. */
static bool is_passing(int error)
{
    switch (error) {
    case -EINTR:
    case -ECONNABORTED:
    case -EPROTO:
    case -EPERM:
    case -ENETDOWN:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ETIMEDOUT: return true;
    default: return false;
    }
}

static void on_acceptable(evutil_socket_t fd, short what, void *argument)
{
    struct listener *listener = argument;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->rpc->halted; i++) {
        int accepted;

        if (!connections_keep_reserve(listener->rpc, NULL, CONNECTION_COST)) {
            pause_accepting(listener, -ENOMEM);
            return;
        }
        accepted = socket_accept((int)fd);

        if (accepted == -EAGAIN || accepted == -EWOULDBLOCK)
            return;
        if (accepted >= 0) {
            take_in(listener->rpc, accepted);
        } else if (!is_passing(accepted)) {
            pause_accepting(listener, accepted);
            return;
        }
    }
}

int listener_open(struct rpc *rpc, const struct address *address,
                  const char **reason)
{
    struct listening made;
    int error = socket_listen(address, &made, reason);
    struct listener *listener;

    if (error < 0)
        return error;
    listener = memory_new(sizeof(*listener));
    listener->rpc = rpc;
    listener->socket = made;
    listener->acceptable = rpc_event_new(rpc, made.fd, EV_READ | EV_PERSIST,
                                         on_acceptable, listener);
    listener->pause = rpc_event_new(rpc, -1, 0, on_pause_over, listener);
    event_add(listener->acceptable, NULL);
    rpc->listener = listener;
    return 0;
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->socket.address;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    event_free(listener->acceptable);
    event_free(listener->pause);
    socket_unlisten(&listener->socket);
    free(listener);
}
