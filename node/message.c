/* SPDX-License-Identifier: MIT */
/*
 * message: see message.h. This file has the arena and the ways into the codec,
 * whose files message_codec.h lists; what makes a message meaningful is in
 * message_check.c, how it reads in message_text.c.
 *
 * The arena hands out memory from one block and takes nothing back. The block
 * is sized by the budget of the largest frame so far; the system backs only
 * those pages with memory that decoding touched.
 */
#include "node/message.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/message_codec.h"
#include "node/message_head.h"

enum {
    ARENA_ALIGNMENT = 16,
    /* Decoded octets per encoded octet. Our own densest messages, full chunks
     * of one-octet keys and values, need 14 (tests/test_message.c). */
    BUDGET_FACTOR = 24,
    BUDGET_BASE = 16 * 1024,
};

void *arena_take(struct arena *arena, size_t size)
{
    size_t rounded =
        (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    uint8_t *place;

    if (rounded < size || rounded > arena->budget - arena->used) {
        arena->exhausted = true;
        return NULL;
    }
    place = arena->memory + arena->used;
    arena->used += rounded;
    return place;
}

/* The same, for protobuf-c. */
static void *arena_allocate(void *context, size_t size)
{
    return arena_take(context, size);
}

static void arena_keep(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

void arena_init(struct arena *arena)
{
    memset(arena, 0, sizeof(*arena));
    arena->allocator.alloc = arena_allocate;
    arena->allocator.free = arena_keep;
    arena->allocator.allocator_data = arena;
}

void arena_init_trusted(struct arena *arena)
{
    arena_init(arena);
    arena->trusted = true;
}

void arena_release(struct arena *arena)
{
    free(arena->memory);
    memset(arena, 0, sizeof(*arena));
}

/* Forgets the last message and makes room for one of length octets. */
static int arena_reset(struct arena *arena, size_t length)
{
    size_t counted = arena->trusted ? (size_t)FRAME_LIMIT : length;
    size_t budget = BUDGET_BASE + BUDGET_FACTOR * counted;

    if (budget > arena->size) {
        free(arena->memory);
        arena->memory = malloc(budget);
        arena->size = arena->memory ? budget : 0;
    }
    arena->used = 0;
    arena->exhausted = false;
    arena->budget = arena->memory ? budget : 0;
    return arena->memory ? 0 : -ENOMEM;
}

/* Makes the arena ready for a message of length octets. */
static int begin(struct arena *arena, size_t length)
{
    return length > FRAME_LIMIT ? -E2BIG : arena_reset(arena, length);
}

/* Returns why nothing could be decoded. */
static int failure(const struct arena *arena)
{
    return arena->exhausted ? -E2BIG : -EBADMSG;
}

static bool peers_are_valid(const Pbkv__Frame *frame)
{
    return frame->from && frame->from->address.len > 0 &&
           peer_message_is_valid(frame->from) &&
           peer_message_is_valid(frame->to);
}

/* Returns 0 when the bodies of a frame mean something, or -EPROTO. */
static int check_bodies(const Pbkv__Frame *frame)
{
    int result = 0;

    if (frame->n_bodies < 1 || frame->n_bodies > FRAME_BODIES_LIMIT)
        return -EPROTO;
    for (size_t i = 0; i < frame->n_bodies && result == 0; i++)
        result = message_check(frame->bodies[i]);
    return result;
}

int frame_decode(struct arena *arena, const uint8_t *data, size_t length,
                 Pbkv__Frame **frame)
{
    int result = begin(arena, length);

    if (result < 0)
        return result;
    arena->borrows = true;
    *frame = message_read_frame(arena, data, length);
    if (!*frame)
        return failure(arena);
    return peers_are_valid(*frame) ? check_bodies(*frame) : -EPROTO;
}

Pbkv__Frame *frame_decode_known(struct arena *arena,
                                const struct known_head *known,
                                const uint8_t *data, size_t length)
{
    Pbkv__Frame *frame;

    if (begin(arena, length) < 0)
        return NULL;
    arena->borrows = true;
    frame = message_read_known_frame(arena, known, data, length);
    return frame && check_bodies(frame) == 0 ? frame : NULL;
}

int message_decode(struct arena *arena, const uint8_t *data, size_t length,
                   Pbkv__Body **body)
{
    int result = begin(arena, length);

    if (result < 0)
        return result;
    arena->borrows = false;
    *body = message_read_body(arena, data, length);
    return *body ? message_check(*body) : failure(arena);
}

struct bytes *message_encode(const Pbkv__Body *body)
{
    return message_encode_in(body, NULL);
}

struct bytes *message_encode_in(const Pbkv__Body *body, struct bytes *room)
{
    struct bytes *encoded;

    assert(message_check(body) == 0);
    encoded = message_hot_encode(body, room);
    if (encoded)
        return encoded;
    encoded = bytes_new_uninitialised(pbkv__body__get_packed_size(body));
    pbkv__body__pack(body, encoded->data);
    return encoded;
}

ProtobufCBinaryData message_octets(const void *data, size_t length)
{
    /* protobuf-c's structs have no const pointers; it only reads these. */
    union {
        const void *in;
        uint8_t *out;
    } cast = {.in = data};

    return (ProtobufCBinaryData){.len = length, .data = cast.out};
}

ProtobufCBinaryData message_bytes(const struct bytes *bytes)
{
    return message_octets(bytes->data, bytes->length);
}

void message_answer_echo(struct env *env, const struct peer *from,
                         const Pbkv__Echo *echo)
{
    Pbkv__EchoReply reply = PBKV__ECHO_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    reply.call = echo->call;
    reply.payload = echo->payload;
    body.kind_case = PBKV__BODY__KIND_ECHO_REPLY;
    body.echo_reply = &reply;
    env_send(env, from, &body);
}
