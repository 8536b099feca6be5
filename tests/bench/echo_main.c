/* SPDX-License-Identifier: MIT */
/*
 * echo: a server that sends back what it receives, with libevent and one
 * thread. It is what one server process can do at the most: a store's server
 * has the same events to wait for and the same system calls to make, and then
 * its own work.
 *
 * With --to it sends what it receives to the address, on a connection of its
 * own for each of its clients, and what comes from there to the client. A
 * client, one of these and a plain one make the two hops that a replicated
 * write cannot avoid: client, primary, backup, primary, client.
 *
 * What cannot be written at once is waited for with poll: the loaders have a
 * bounded number of octets under way, so the peer reads on.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/memory.h"
#include "rpc/program.h"
#include "tests/bench/port.h"

enum { BUFFER_SIZE = 65536, BACKLOG = 4096 };

struct echo {
    struct event_base *base;
    uint16_t to; /* port to relay to; 0: none */
    char buffer[BUFFER_SIZE];
};

/* One end of a connection: what is read from it goes to `target`, which is its
 * own descriptor or that of the other end. */
struct end {
    struct echo *echo;
    struct event *event;
    struct end *other; /* NULL: none */
    int fd;
    int target;
};

static bool write_all(int fd, const char *octets, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, octets, length, MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            struct pollfd wait = {fd, POLLOUT, 0};

            poll(&wait, 1, -1);
        } else if (sent < 0) {
            return false;
        } else {
            octets += sent;
            length -= (size_t)sent;
        }
    }
    return true;
}

static void end_close(struct end *end)
{
    event_free(end->event);
    close(end->fd);
    free(end);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct end *end = argument;
    ssize_t got = recv(fd, end->echo->buffer, BUFFER_SIZE, 0);

    (void)what;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0 && write_all(end->target, end->echo->buffer, (size_t)got))
        return;
    if (end->other)
        end_close(end->other);
    end_close(end);
}

static struct end *end_new(struct echo *echo, int fd)
{
    struct end *end = memory_new(sizeof(*end));
    int on = 1;

    evutil_make_socket_nonblocking(fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    end->echo = echo;
    end->fd = fd;
    end->target = fd;
    end->event =
        event_new(echo->base, fd, EV_READ | EV_PERSIST, on_readable, end);
    event_add(end->event, NULL);
    return end;
}

static void on_connection(evutil_socket_t listener, short what, void *argument)
{
    struct echo *echo = argument;
    int fd = accept(listener, NULL, NULL);
    int onward;
    struct end *near, *far;

    (void)what;
    if (fd < 0)
        return;
    onward = echo->to != 0 ? port_dial(echo->to) : -1;
    if (echo->to != 0 && onward < 0) {
        close(fd);
        return;
    }
    near = end_new(echo, fd);
    if (onward < 0)
        return;
    far = end_new(echo, onward);
    near->other = far;
    far->other = near;
    near->target = onward;
    far->target = fd;
}

/* Listens on a port that the system chooses, and says on standard error which.
 */
static int serve(struct echo *echo)
{
    uint16_t port;
    int listener = port_listen(BACKLOG, &port);
    struct event *event;

    if (listener < 0) {
        perror("echo");
        return PROGRAM_FAILED;
    }
    echo->base = event_base_new();
    event = event_new(echo->base, listener, EV_READ | EV_PERSIST, on_connection,
                      echo);
    event_add(event, NULL);
    fprintf(stderr, "listen.ready 127.0.0.1:%u\n", (unsigned)port);
    event_base_dispatch(echo->base);
    event_free(event);
    event_base_free(echo->base);
    close(listener);
    return 0;
}

int main(int argc, char **argv)
{
    uint32_t to = 0;
    const struct program_option options[] = {PROGRAM_U32_OPTION(
        "to", "PORT", "relay to this port of loopback", &to, 1, UINT16_MAX)};
    const struct program program = {
        "echo", "", "Sends back what it receives, on loopback.", options, 1,
        0,      0};
    int at, status = program_parse(&program, argc, argv, &at);
    struct echo *echo;

    if (status != PROGRAM_GO_ON)
        return status;
    program_raise_descriptors();
    echo = memory_new(sizeof(*echo));
    echo->to = (uint16_t)to;
    status = serve(echo);
    free(echo);
    return status;
}
