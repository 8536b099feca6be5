/* SPDX-License-Identifier: MIT */
/*
 * raw_peer: see raw_peer.h. The sockets are blocking, with a time limit on
 * receiving so that a test that is wrong ends.
 */
#include "tests/raw_peer.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "node/memory.h"
#include "rpc/address.h"
#include "rpc/frame.h"

enum { RECEIVE_LIMIT_S = 20 };

struct raw_frame raw_frame_good(void)
{
    return (struct raw_frame){.from = "client:feed",
                              .lamport = 1,
                              .hosts = {"raw-1"},
                              .times = {1},
                              .payload = 5};
}

static void pack_body(const struct raw_frame *raw, Pbkv__Body *body,
                      Pbkv__Echo *echo, Pbkv__Inspect *inspect,
                      const uint8_t *payload)
{
    echo->call = 11;
    inspect->call = 12;
    echo->payload = message_octets(payload, raw->payload);
    if (raw->inspect) {
        body->kind_case = PBKV__BODY__KIND_INSPECT;
        body->inspect = inspect;
    } else {
        body->kind_case = PBKV__BODY__KIND_ECHO;
        body->echo = echo;
    }
}

static void fill_stamp(const struct raw_frame *raw, Pbkv__ClockEntry entries[3],
                       Pbkv__ClockEntry *pointers[3], Pbkv__Frame *frame)
{
    for (size_t i = 0; i < 3 && raw->hosts[i] != NULL; i++) {
        pbkv__clock_entry__init(&entries[i]);
        entries[i].host = message_octets(raw->hosts[i], strlen(raw->hosts[i]));
        entries[i].time = raw->times[i];
        pointers[i] = &entries[i];
        frame->n_vector = i + 1;
    }
    frame->vector = pointers;
    frame->lamport = raw->lamport;
}

uint8_t *raw_frame_pack(const struct raw_frame *raw, size_t *size)
{
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from = PBKV__PEER__INIT;
    Pbkv__Peer to = PBKV__PEER__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Body **bodies = memory_new((raw->more + 1) * sizeof(*bodies));
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Inspect inspect = PBKV__INSPECT__INIT;
    Pbkv__ClockEntry entries[3];
    Pbkv__ClockEntry *pointers[3];
    uint8_t *payload = memory_new(raw->payload + 1);
    uint8_t *octets;
    size_t length;

    pack_body(raw, &body, &echo, &inspect, payload);
    fill_stamp(raw, entries, pointers, &frame);
    for (; frame.n_bodies <= raw->more; frame.n_bodies++)
        bodies[frame.n_bodies] = &body;
    frame.bodies = bodies;
    frame.to = &to;
    to.incarnation = raw->to_incarnation;
    if (raw->from != NULL) {
        frame.from = &from;
        from.address = message_octets(raw->from, strlen(raw->from));
    }
    length = pbkv__frame__get_packed_size(&frame);
    octets = memory_new(length + FRAME_LENGTH_SIZE);
    for (size_t i = 0; i < FRAME_LENGTH_SIZE; i++)
        octets[i] = (uint8_t)(length >> (24 - 8 * i));
    pbkv__frame__pack(&frame, octets + FRAME_LENGTH_SIZE);
    free(payload);
    free(bodies);
    *size = length + FRAME_LENGTH_SIZE;
    return octets;
}

int raw_dial(const struct address *address)
{
    const struct timeval limit = {.tv_sec = RECEIVE_LIMIT_S};
    struct endpoint endpoint;
    int fd;

    ck_assert_int_eq(address_resolve(address, false, 0, &endpoint), 0);
    fd = socket(endpoint.socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, &endpoint.socket.any, endpoint.length), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

bool raw_send(int fd, const void *octets, size_t size)
{
    const uint8_t *next = octets;

    while (size > 0) {
        ssize_t count = send(fd, next, size, MSG_NOSIGNAL);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        next += count;
        size -= (size_t)count;
    }
    return true;
}

size_t raw_send_some(int fd, const void *octets, size_t size)
{
    const uint8_t *next = octets;
    size_t sent = 0;
    ssize_t count = 1;

    while (sent < size && count > 0) {
        count = send(fd, next + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += count > 0 ? (size_t)count : 0;
    }
    return sent;
}

bool raw_send_frame(int fd, const struct raw_frame *frame)
{
    size_t size;
    uint8_t *octets = raw_frame_pack(frame, &size);
    bool sent = raw_send(fd, octets, size);

    free(octets);
    return sent;
}

/* Receives exactly size octets; returns false when the other side closes. */
static bool receive(int fd, void *octets, size_t size)
{
    uint8_t *next = octets;

    while (size > 0) {
        ssize_t count = recv(fd, next, size, 0);

        if (count < 0 && errno == EINTR)
            continue;
        ck_assert_msg(count >= 0 || errno != EAGAIN, "nothing came");
        if (count <= 0)
            return false;
        next += count;
        size -= (size_t)count;
    }
    return true;
}

Pbkv__Frame *raw_receive_frame(int fd, struct arena *arena)
{
    uint8_t head[FRAME_LENGTH_SIZE];
    Pbkv__Frame *frame = NULL;
    uint8_t *octets;
    size_t length;

    if (!receive(fd, head, sizeof(head)))
        return NULL;
    length = frame_length_read(head);
    ck_assert_uint_le(length, FRAME_LIMIT);
    octets = memory_new(length);
    if (receive(fd, octets, length))
        ck_assert_int_eq(frame_decode(arena, octets, length, &frame), 0);
    free(octets);
    return frame;
}

void raw_await_close(int fd)
{
    uint8_t scratch[4096];

    while (receive(fd, scratch, 1))
        ;
}
