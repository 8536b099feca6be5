/* SPDX-License-Identifier: MIT */
/*
 * Hostile peers against real processes: what they say. Raw sockets send what no
 * client of ours would, to the view service and to every server, while
 * well-behaved clients work; siege.h has what must hold meanwhile. What is made
 * of quantity alone is in live_flood.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "tests/raw_peer.h"
#include "tests/siege.h"
#include "tests/suite.h"

enum {
    ROUNDS = 25,
    MILLION = 1000000,
    CLOCK_ENTRIES = 10000,
    TRICKLES = 100, /* connections with an octet a second */
    HALVES = 60,    /* connections with half a frame */
    HALF_OCTETS = 64 * 1024,
    STALL_MS = 6500, /* after which an unfinished frame is given up */
    PRIMARY = 0,
    BACKUP = 1,
    IDLE = 2,
    VIEW_SERVICE = SIEGE_SERVERS,
};

static const struct siege_limits usual = {.memory_kib = 64 * 1024,
                                          .descriptors = 8};

/* Sends octets to a process over a connection of its own, which the process
 * closes. */
static void shoot(struct siege *siege, unsigned process, const void *octets,
                  size_t size)
{
    int fd = siege_dial(siege, process);

    raw_send(fd, octets, size);
    shutdown(fd, SHUT_WR);
    raw_await_close(fd);
    close(fd);
}

/* ---- Octets without sense ------------------------------------------------ */

static void shoot_garbage(struct siege *siege, unsigned process)
{
    static const uint8_t greatest[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    static const uint8_t garbage[] = {0, 0, 0, 6, 'n', 'o', 't', 'h', 'e', 'r'};
    static const uint8_t half[] = {0, 0, 1, 0, 10};

    shoot(siege, process, greatest, sizeof(greatest));
    shoot(siege, process, garbage, sizeof(garbage));
    shoot(siege, process, half, sizeof(half));
    shoot(siege, process, "GET / HTTP/1.0\r\n\r\n", 18);
}

/* A frame of `count` empty fields, or as many as fit into the longest frame. */
static void shoot_empty_fields(struct siege *siege, unsigned process,
                               size_t count)
{
    size_t length = 2 * count;
    uint8_t *octets = calloc(1, length + FRAME_LENGTH_SIZE);

    ck_assert_ptr_nonnull(octets);
    for (size_t i = 0; i < FRAME_LENGTH_SIZE; i++)
        octets[i] = (uint8_t)(length >> (24 - 8 * i));
    for (size_t i = 0; i < count; i++)
        octets[FRAME_LENGTH_SIZE + 2 * i] = 4 << 3 | 2; /* Frame.vector */
    shoot(siege, process, octets, length + FRAME_LENGTH_SIZE);
    free(octets);
}

static void shoot_stamp(struct siege *siege, unsigned process, uint64_t lamport,
                        size_t entries)
{
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    const struct forged forged = {peer_at("client:1", 1), lamport, entries,
                                  &body};
    uint8_t *octets;
    size_t size;

    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    octets = forged_pack(&forged, &size);
    shoot(siege, process, octets, size);
    free(octets);
}

/* Every kind of nonsense closes its own connection, and is counted by name. */
TEST(nonsense_is_refused_under_load)
{
    struct siege siege;

    siege_begin(&siege, NULL);
    siege_attack(&siege);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned process = 0; process < SIEGE_PROCESSES; process++) {
            shoot_garbage(&siege, process);
            shoot_stamp(&siege, process, UINT64_MAX, 1);
            shoot_stamp(&siege, process, 1, CLOCK_ENTRIES);
            if (i % 8 == 0) {
                shoot_empty_fields(&siege, process, MILLION);
                shoot_empty_fields(&siege, process, FRAME_LIMIT / 2);
            }
        }
    }
    for (unsigned process = 0; process < SIEGE_PROCESSES; process++) {
        siege_expect(&siege, process, "frame.length", 2 * ROUNDS);
        siege_expect(&siege, process, "frame.malformed", ROUNDS);
        siege_expect(&siege, process, "frame.truncated", ROUNDS);
        siege_expect(&siege, process, "frame.stamp", 2 * ROUNDS);
        siege_expect(&siege, process, "frame.budget", ROUNDS / 8);
    }
    siege_end(&siege, usual);
}

/* ---- Frames that never end ------------------------------------------------
 */

/* An octet a second on many connections, and half a frame on others: they hold
 * no more than they sent, and are closed when nothing more comes. */
TEST(unfinished_frames_are_given_up_under_load)
{
    static const uint8_t head[HALF_OCTETS] = {0, 0x0f, 0, 0};
    int trickles[TRICKLES], halves[HALVES];
    struct siege siege;

    siege_begin(&siege, NULL);
    siege_attack(&siege);
    for (unsigned i = 0; i < TRICKLES; i++)
        trickles[i] = siege_dial(&siege, i % SIEGE_PROCESSES);
    for (unsigned i = 0; i < HALVES; i++) {
        halves[i] = siege_dial(&siege, i % SIEGE_PROCESSES);
        ck_assert(raw_send(halves[i], head, sizeof(head)));
    }
    for (unsigned second = 0; second < 3; second++) {
        for (unsigned i = 0; i < TRICKLES; i++)
            ck_assert(raw_send(trickles[i], head + second, 1));
        siege_wait(1000);
    }
    siege_wait(STALL_MS);
    for (unsigned i = 0; i < SIEGE_PROCESSES; i++)
        siege_expect(&siege, i, "receive.stalled",
                     (TRICKLES + HALVES) / SIEGE_PROCESSES);
    for (unsigned i = 0; i < TRICKLES; i++)
        close(trickles[i]);
    for (unsigned i = 0; i < HALVES; i++)
        close(halves[i]);
    siege_end(&siege, usual);
}

/* ---- Messages that lie -----------------------------------------------------
 */

/* Sends a body to a process in somebody's name. */
static void lie(int fd, const char *name, const Pbkv__Body *body)
{
    const struct forged forged = {peer_at(name, 7), 1, 1, body};
    size_t size;
    uint8_t *octets = forged_pack(&forged, &size);

    ck_assert(raw_send(fd, octets, size));
    free(octets);
}

static void lie_with_forward(int fd, const char *name, uint64_t view)
{
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    forward.view = view;
    forward.first = 1;
    forward.round = NUMBER_LIMIT;
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    lie(fd, name, &body);
    ack.view = view;
    ack.applied = ack.round = NUMBER_LIMIT;
    body.kind_case = PBKV__BODY__KIND_FORWARD_ACK;
    body.forward_ack = &ack;
    lie(fd, name, &body);
}

static void lie_with_chunk(int fd, const char *name, uint64_t view)
{
    static const uint8_t digest[DIGEST_SIZE] = {0};
    Pbkv__Chunk chunk = PBKV__CHUNK__INIT;
    Pbkv__ChunkAck ack = PBKV__CHUNK_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    chunk.view = view;
    chunk.transfer = 1;
    chunk.last = 1;
    chunk.digest = message_octets(digest, sizeof(digest));
    body.kind_case = PBKV__BODY__KIND_CHUNK;
    body.chunk = &chunk;
    lie(fd, name, &body);
    ack.view = view;
    ack.transfer = 1;
    ack.received = NUMBER_LIMIT;
    ack.installed = 1;
    body.kind_case = PBKV__BODY__KIND_CHUNK_ACK;
    body.chunk_ack = &ack;
    lie(fd, name, &body);
}

static void lie_about_views(int fd, const char *name, uint64_t view)
{
    struct view forged = {view, peer_at("unix:/nobody", 7), {{0}, 0}};
    struct view_message message;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Refusal refusal = PBKV__REFUSAL__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    view_to_message(&forged, &message);
    reply.view = &message.view;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    lie(fd, name, &body);
    refusal.refused = view;
    refusal.known = NUMBER_LIMIT;
    refusal.status = PBKV__STATUS__WRONG_VIEW;
    body.kind_case = PBKV__BODY__KIND_REFUSAL;
    body.refusal = &refusal;
    lie(fd, name, &body);
}

static void lie_with_ping(int fd, const char *name, uint64_t view)
{
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = view;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    lie(fd, name, &body);
}

/* Everything in this name, of this view, to a process. */
static void lie_with_all(int fd, const char *name, uint64_t view)
{
    lie_with_forward(fd, name, view);
    lie_with_chunk(fd, name, view);
    lie_about_views(fd, name, view);
}

/* Waits until the process has read all that was sent: it answers an Echo that
 * was sent last. */
static void await_echo(int fd)
{
    struct raw_frame last = raw_frame_good();
    struct arena arena;
    Pbkv__Frame *frame;

    arena_init(&arena);
    ck_assert(raw_send_frame(fd, &last));
    do
        frame = raw_receive_frame(fd, &arena);
    while (frame != NULL &&
           frame->bodies[0]->kind_case != PBKV__BODY__KIND_ECHO_REPLY);
    ck_assert_ptr_nonnull(frame);
    arena_release(&arena);
}

/* P2, P3, T4, T5: forwards, chunks, acknowledgements, refusals and views of
 * older, present and future views, from servers that are in no view or idle,
 * change nothing. */
TEST(forged_messages_change_nothing)
{
    static const uint64_t far[] = {1000, NUMBER_LIMIT};
    struct siege siege;

    siege_begin(&siege, NULL);
    siege_attack(&siege);
    for (unsigned round = 0; round < 4 * ROUNDS; round++) {
        uint64_t now = siege.view.number;
        const uint64_t views[] = {now - 1, now, now + 1, far[0], far[1]};
        const char *names[] = {"unix:/nobody", siege.processes[IDLE]->address};

        for (unsigned process = 0; process < SIEGE_PROCESSES; process++) {
            int fd = siege_dial(&siege, process);

            for (unsigned i = 0; i < 5; i++)
                lie_with_all(fd, names[round % 2], views[i]);
            if (process == VIEW_SERVICE)
                lie_with_ping(fd, "unix:/nobody", NUMBER_LIMIT);
            await_echo(fd);
            close(fd);
        }
    }
    for (unsigned process = 0; process < SIEGE_SERVERS; process++) {
        siege_expect(&siege, process, "replication.stale", ROUNDS);
        siege_expect(&siege, process, "replication.foreign", ROUNDS);
        siege_expect(&siege, process, "replication.early", ROUNDS);
        siege_expect(&siege, process, "view.foreign", ROUNDS);
        siege_expect(&siege, process, "forward_ack.stale", ROUNDS);
        siege_expect(&siege, process, "chunk_ack.stale", ROUNDS);
        siege_expect(&siege, process, "refusal.stale", ROUNDS);
    }
    siege_expect(&siege, VIEW_SERVICE, "message.unexpected", ROUNDS);
    siege_expect(&siege, VIEW_SERVICE, "ping.from_the_future", ROUNDS);
    siege_end(&siege, usual);
}

SUITE("live hostile", CASE_LIMIT(nonsense_is_refused_under_load, 60),
      CASE_LIMIT(unfinished_frames_are_given_up_under_load, 60),
      CASE_LIMIT(forged_messages_change_nothing, 60))
