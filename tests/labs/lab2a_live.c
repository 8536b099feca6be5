/* SPDX-License-Identifier: MIT */
/*
 * lab2a_live: see lab2a_live.h. A frame is packed by hand: a big-endian length,
 * then the Frame. Each ping waits for its answer, so nothing here depends on
 * time; the view service is told to be very patient with its servers.
 */
#include "tests/labs/lab2a_live.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/message.h"
#include "tests/cluster.h"

enum { FRAME_MAX = 512 };

/* A server that is a socket. */
struct pinger {
    const char *address;
    int fd;
    uint64_t events;
};

static void dial(struct lab *lab, struct pinger *pinger, const char *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = address + strlen("unix:");

    if (pinger->fd >= 0)
        close(pinger->fd);
    pinger->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    LAB_EXPECT(
        lab,
        connect(pinger->fd, (const struct sockaddr *)&name, sizeof(name)) == 0,
        "the view service does not accept connections at %s", address);
}

static bool receive(int fd, uint8_t *octets, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, octets, size, 0);

        if (got <= 0)
            return false;
        octets += got;
        size -= (size_t)got;
    }
    return true;
}

/* Receives a frame of at most 512 octets into the arena; NULL: there is none.
 */
static Pbkv__Frame *receive_frame(int fd, struct arena *arena)
{
    uint8_t octets[FRAME_MAX];
    uint32_t length;
    Pbkv__Frame *frame;

    if (!receive(fd, (uint8_t *)&length, sizeof(length)))
        return NULL;
    length = ntohl(length);
    if (length > sizeof(octets) || !receive(fd, octets, length))
        return NULL;
    return frame_decode(arena, octets, length, &frame) == 0 ? frame : NULL;
}

static bool send_ping(struct pinger *pinger, uint64_t view)
{
    Pbkv__Peer from = PBKV__PEER__INIT;
    Pbkv__Peer to = PBKV__PEER__INIT;
    Pbkv__ClockEntry entry = PBKV__CLOCK_ENTRY__INIT;
    Pbkv__ClockEntry *entries = &entry;
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Body *bodies = &body;
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    uint8_t octets[FRAME_MAX];
    uint32_t length;

    from.address = message_octets(pinger->address, strlen(pinger->address));
    from.incarnation = 1;
    entry.host = from.address;
    entry.time = frame.lamport = ++pinger->events;
    ping.view = view;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    frame.from = &from;
    frame.to = &to;
    frame.n_vector = 1;
    frame.vector = &entries;
    frame.n_bodies = 1;
    frame.bodies = &bodies;
    length = (uint32_t)pbkv__frame__pack(&frame, octets + 4);
    memcpy(octets, &(uint32_t){htonl(length)}, 4);
    return send(pinger->fd, octets, length + 4, MSG_NOSIGNAL) ==
           (ssize_t)length + 4;
}

/* Pings and returns the view of the answer. */
static struct view ping(struct lab *lab, struct pinger *pinger, uint64_t number)
{
    struct arena arena;
    struct view view = {0};
    Pbkv__Frame *frame;

    arena_init(&arena);
    LAB_EXPECT(lab, send_ping(pinger, number),
               "the view service closed the connection of %s", pinger->address);
    frame = receive_frame(pinger->fd, &arena);
    LAB_EXPECT(lab,
               frame &&
                   frame->bodies[0]->kind_case == PBKV__BODY__KIND_VIEW_REPLY,
               "the view service did not answer a ping of %s with a view",
               pinger->address);
    LAB_EXPECT(lab, frame->lamport > 0 && frame->n_vector > 0,
               "the view service's answer is not stamped (K1)");
    view_from_message(frame->bodies[0]->view_reply->view, &view);
    arena_release(&arena);
    return view;
}

static void expect_number(struct lab *lab, const struct view *view,
                          uint64_t number, const char *when)
{
    LAB_EXPECT(lab, view->number == number,
               "%s the view is %" PRIu64 " and not %" PRIu64, when,
               view->number, number);
}

void lab2a_live_view_service(struct lab *lab)
{
    static const struct cluster_options options = {.dead_pings = 1000};
    struct cluster *cluster = cluster_new(&options);
    struct process *service = cluster_add_view_service(cluster);
    struct pinger one = {"unix:/imagined/s1", -1, 0};
    struct pinger two = {"unix:/imagined/s2", -1, 0};
    struct view view;

    LAB_EXPECT(lab, service, "the view service does not start");
    dial(lab, &one, cluster_view_address(cluster));
    dial(lab, &two, cluster_view_address(cluster));
    view = ping(lab, &one, 0);
    expect_number(lab, &view, 1, "after the first ping");
    ping(lab, &one, 1);
    view = ping(lab, &two, 0);
    expect_number(lab, &view, 2, "after the ping of a second server");
    process_signal(service, SIGKILL);
    process_restart(service);
    LAB_EXPECT(lab, process_is_ready(service),
               "the view service does not start from its state file (V11)");
    dial(lab, &two, cluster_view_address(cluster));
    view = ping(lab, &two, 2);
    expect_number(lab, &view, 2, "after a restart");
    LAB_EXPECT(lab,
               strcmp(view.primary.address.text, one.address) == 0 &&
                   strcmp(view.backup.address.text, two.address) == 0,
               "after a restart view 2 has other servers (V11)");
    close(one.fd);
    close(two.fd);
    cluster_free(cluster);
}
