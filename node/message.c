/* SPDX-License-Identifier: MIT */
/*
 * message: see message.h. This file has the arena and the codec; what is around
 * a body is read by message_frame.c, what makes a message meaningful is in
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

enum {
    ARENA_ALIGNMENT = 16,
    /* Decoded octets per encoded octet. Our own densest messages, full chunks
     * of one-octet keys and values, need 14 (tests/test_message.c). */
    BUDGET_FACTOR = 24,
    BUDGET_BASE = 16 * 1024,
    /* Octets that all fields of a Reply, ForwardAck, LogOp or (but for its
     * operations) Forward take at most, with their tags, lengths and what is
     * around the message, but for keys, values and views. */
    SHORT_BOUND = 64,
};

static void *arena_allocate(void *context, size_t size)
{
    struct arena *arena = context;
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

int frame_decode(struct arena *arena, const uint8_t *data, size_t length,
                 Pbkv__Frame **frame)
{
    int result = begin(arena, length);

    if (result < 0)
        return result;
    *frame = message_read_frame(arena, data, length);
    if (!*frame)
        return failure(arena);
    if (!(*frame)->from || !(*frame)->body ||
        (*frame)->from->address.len == 0 ||
        !peer_message_is_valid((*frame)->from) ||
        !peer_message_is_valid((*frame)->to))
        return -EPROTO;
    return message_check((*frame)->body);
}

int message_decode(struct arena *arena, const uint8_t *data, size_t length,
                   Pbkv__Body **body)
{
    int result = begin(arena, length);

    if (result < 0)
        return result;
    *body = pbkv__body__unpack(&arena->allocator, length, data);
    return *body ? message_check(*body) : failure(arena);
}

/* Returns octets in which the numbers, tags and lengths of a Forward and its
 * operations certainly fit, and what they name. */
static size_t forward_bound(const Pbkv__Forward *forward)
{
    size_t bound = SHORT_BOUND;

    for (size_t i = 0; i < forward->n_ops; i++)
        bound +=
            SHORT_BOUND + forward->ops[i]->key.len + forward->ops[i]->value.len;
    return bound;
}

/* Returns octets in which the encoded body fits. What there are many of is not
 * measured by protobuf-c, for which that is nearly as much work as packing. */
static size_t encoded_bound(const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_FORWARD: return forward_bound(body->forward);
    case PBKV__BODY__KIND_FORWARD_ACK: return SHORT_BOUND;
    case PBKV__BODY__KIND_REPLY:
        if (!body->reply->view)
            return SHORT_BOUND + body->reply->value.len;
        break;
    default: break;
    }
    return pbkv__body__get_packed_size(body);
}

struct bytes *message_encode(const Pbkv__Body *body)
{
    struct bytes *encoded;
    size_t written;

    assert(message_check(body) == 0);
    encoded = bytes_new_uninitialised(encoded_bound(body));
    written = pbkv__body__pack(body, encoded->data);
    assert(written <= encoded->length);
    encoded->length = (uint32_t)written;
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
