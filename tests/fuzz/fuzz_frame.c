/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frame: what a stranger's octets go through before a role sees them: the
 * decoder with its budget and message_check, the check of the stamp, the
 * clocks, the text for logs, the packing of an answer.
 *
 * A frame that is accepted can be packed again and is accepted again; clocks
 * only rise and stay within their limit. What is coded by hand is decoded and
 * encoded as protobuf-c does.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clocks/host_clock.h"
#include "node/message.h"
#include "rpc/frame.h"
#include "tests/fuzz/fuzz.h"

enum { SHORT_TEXT = 9, COMPARED_MAX = 64 * 1024 };

static void read_stamp(const Pbkv__Frame *frame)
{
    struct host_clock clock;
    struct stamp_storage storage;
    Pbkv__Frame answer = PBKV__FRAME__INIT;

    if (host_clock_check_stamp(frame) < 0)
        return;
    host_clock_init(&clock, "here");
    host_clock_tick(&clock);
    host_clock_receive(&clock, frame, frame->from->address.len % 2 == 0);
    host_clock_tick(&clock);
    host_clock_stamp(&clock, &answer, &storage);
    if (answer.lamport == 0 || answer.lamport > LAMPORT_MAX ||
        answer.n_vector > CLOCK_ENTRIES_LIMIT)
        abort();
}

/* Adds a body to the frame in octets, which has no more than FRAME_LIMIT. */
static void add(uint8_t *octets, const Pbkv__Body *body)
{
    struct bytes *encoded = message_encode(body);

    if (frame_length_read(octets) + frame_addition(encoded) <= FRAME_LIMIT)
        frame_add(octets, encoded);
    bytes_release(encoded);
}

static void expect_frame(const uint8_t *octets)
{
    Pbkv__Frame *decoded;
    struct arena arena;

    arena_init_trusted(&arena);
    if (frame_decode(&arena, octets + FRAME_LENGTH_SIZE,
                     frame_length_read(octets), &decoded) < 0)
        abort();
    arena_release(&arena);
}

static void pack_again(const Pbkv__Frame *frame)
{
    static uint8_t head[FRAME_HEAD_MAX];
    static uint8_t octets[FRAME_LENGTH_SIZE + FRAME_LIMIT];
    struct bytes *body = message_encode(frame->bodies[0]);
    struct outgoing outgoing;
    Pbkv__Frame again = PBKV__FRAME__INIT;

    again.from = frame->from;
    if (body->length <= BODY_LIMIT) {
        frame_pack(&again, body, head, &outgoing);
        frame_write(&outgoing, octets);
        for (size_t i = 1; i < frame->n_bodies; i++)
            add(octets, frame->bodies[i]);
        expect_frame(octets);
    }
    bytes_release(body);
}

static struct bytes *packed(const ProtobufCMessage *message)
{
    struct bytes *octets =
        bytes_new_uninitialised(protobuf_c_message_get_packed_size(message));

    protobuf_c_message_pack(message, octets->data);
    return octets;
}

static void expect_equal(struct bytes *a, struct bytes *b)
{
    if (!bytes_equal(a, b))
        abort();
    bytes_release(a);
    bytes_release(b);
}

/* protobuf-c makes the same of the octets: frame is NULL if they are none. */
static void compare(const uint8_t *octets, size_t length,
                    const Pbkv__Frame *frame)
{
    Pbkv__Frame *theirs;

    if (length > COMPARED_MAX)
        return;
    theirs = pbkv__frame__unpack(NULL, length, octets);
    if ((theirs == NULL) != (frame == NULL))
        abort();
    if (frame) {
        expect_equal(packed(&frame->base), packed(&theirs->base));
        pbkv__frame__free_unpacked(theirs, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    char text[EVENT_DETAIL_MAX];
    struct arena arena;
    Pbkv__Frame *frame;
    int result;

    arena_init(&arena);
    result = frame_decode(&arena, octets, length, &frame);
    if (result == 0 || result == -EBADMSG)
        compare(octets, length, result == 0 ? frame : NULL);
    if (result == 0) {
        for (size_t i = 0; i < frame->n_bodies; i++)
            expect_equal(message_encode(frame->bodies[i]),
                         packed(&frame->bodies[i]->base));
        frame_format(frame, text, sizeof(text));
        frame_format(frame, text, SHORT_TEXT);
        read_stamp(frame);
        pack_again(frame);
    }
    arena_release(&arena);
    return 0;
}
