/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frame: what a stranger's octets go through before a role sees them: the
 * decoder with its budget and message_check, the check of the stamp, the
 * clocks, the text for logs, the packing of an answer.
 *
 * A frame that is accepted can be packed again and is accepted again; clocks
 * only rise and stay within their limit. What is coded by hand is decoded and
 * encoded as protobuf-c does. When the frame comes again, or one that differs
 * in a bit, short cuts lead where the plain way leads.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clocks/stamp.h"
#include "node/message_head.h"
#include "node/wire.h"
#include "rpc/frame.h"
#include "tests/fuzz/fuzz.h"

enum {
    SHORT_TEXT = 9,
    COMPARED_MAX = 64 * 1024,
    RECEIPTS = 3,
    FLIPS = 16, /* bits, spread over FLIPPED octets at the beginning */
    FLIPPED = 256,
};

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

/* ---- Clocks -------------------------------------------------------------- */

/* Two clocks of one host, of which one takes the short cuts. */
struct twins {
    struct host_clock plain;
    struct host_clock quick;
    struct stamp_places places;
    struct packed_stamp packed;
};

static void expect_same_clocks(const struct host_clock *a,
                               const struct host_clock *b)
{
    if (a->lamport.time != b->lamport.time ||
        a->vector.count != b->vector.count ||
        vclock_compare(&a->vector, &b->vector) != VCLOCK_EQUAL)
        abort();
}

/* Stamps an answer both ways. */
static void stamp_answer(struct twins *twins)
{
    struct stamp_storage storage;
    Pbkv__Frame answer = PBKV__FRAME__INIT;
    struct bytes *quick;
    uint8_t *end;

    host_clock_stamp(&twins->plain, &answer, &storage);
    if (answer.lamport == 0 || answer.lamport > LAMPORT_MAX ||
        answer.n_vector > CLOCK_ENTRIES_LIMIT)
        abort();
    packed_stamp_update(&twins->packed, &twins->quick);
    quick = bytes_new_uninitialised(pbkv__frame__get_packed_size(&answer));
    end = wire_put_number(quick->data, FRAME_LAMPORT, twins->packed.lamport);
    if ((size_t)(end - quick->data) + twins->packed.length != quick->length)
        abort();
    memcpy(end, twins->packed.octets, twins->packed.length);
    expect_equal(quick, packed(&answer.base));
}

static void receive(struct twins *twins, const Pbkv__Frame *frame, bool passes)
{
    bool honest = host_clock_receive(&twins->plain, frame, passes);
    bool quick;

    if (!stamp_receive(&twins->quick, &twins->places, frame, passes, &quick))
        quick = host_clock_receive(&twins->quick, frame, passes);
    if (quick != honest)
        abort();
    host_clock_tick(&twins->plain);
    host_clock_tick(&twins->quick);
    expect_same_clocks(&twins->plain, &twins->quick);
}

static void read_stamp(const Pbkv__Frame *frame)
{
    static struct twins twins;

    twins = (struct twins){0};
    host_clock_init(&twins.plain, "here");
    host_clock_init(&twins.quick, "here");
    host_clock_tick(&twins.plain);
    host_clock_tick(&twins.quick);
    for (unsigned i = 0; i < RECEIPTS; i++) {
        receive(&twins, frame, frame->from->address.len % 2 == 0);
        stamp_answer(&twins);
    }
}

/* ---- Known heads --------------------------------------------------------- */

/* If the head of a frame is known, it is that of the first, and the rest is
 * what is there. */
static void recall(const struct known_head *known, const uint8_t *octets,
                   size_t length, const Pbkv__Frame *first)
{
    struct arena arenas[2];
    Pbkv__Frame *plain;
    Pbkv__Frame *quick;

    arena_init(&arenas[0]);
    arena_init(&arenas[1]);
    quick = frame_decode_known(&arenas[1], known, octets, length);
    if (quick) {
        if (frame_decode(&arenas[0], octets, length, &plain) < 0 ||
            host_clock_check_stamp(plain) < 0 || quick->from || quick->to ||
            plain->from->incarnation != first->from->incarnation)
            abort();
        quick->from = plain->from;
        quick->to = plain->to;
        expect_equal(packed(&quick->base), packed(&plain->base));
    }
    arena_release(&arenas[0]);
    arena_release(&arenas[1]);
}

static void recall_flipped(const uint8_t *octets, size_t length,
                           const Pbkv__Frame *first)
{
    size_t bits = 8 * (length < FLIPPED ? length : (size_t)FLIPPED);
    uint8_t *copy = malloc(length);
    struct known_head known;

    assert(copy != NULL);
    memcpy(copy, octets, length);
    known_head_learn(&known, first);
    recall(&known, copy, length, first);
    for (size_t i = 0; i < FLIPS; i++) {
        size_t bit = (i * bits / FLIPS + octets[length - 1] % FLIPS) % bits;

        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        recall(&known, copy, length, first);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(copy);
}

/* ---- Packing ------------------------------------------------------------- */

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
    static struct packed_stamp none;
    struct outgoing outgoing;
    Pbkv__Frame again = PBKV__FRAME__INIT;

    again.from = frame->from;
    if (body->length <= BODY_LIMIT) {
        frame_pack(&again, &none, body, head, &outgoing);
        frame_write(&outgoing, octets);
        for (size_t i = 1; i < frame->n_bodies; i++)
            add(octets, frame->bodies[i]);
        expect_frame(octets);
    }
    bytes_release(body);
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
        if (host_clock_check_stamp(frame) == 0) {
            read_stamp(frame);
            recall_flipped(octets, length, frame);
        }
        pack_again(frame);
    }
    arena_release(&arena);
    return 0;
}
