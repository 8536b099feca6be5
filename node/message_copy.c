/* SPDX-License-Identifier: MIT */
/*
 * message_copy: messages with memory of their own, for effects that outlive the
 * message that they were made of. A copy is one piece of memory that begins
 * with the Body, so freeing it takes nothing but its address.
 *
 * The end of almost every call is a Reply without a view, which is copied field
 * by field. All others go through their encoding: that copies any message, and
 * the arena that it is decoded into is the piece.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

struct reply_copy {
    Pbkv__Body body;
    Pbkv__Reply reply;
    uint8_t value[];
};

static bool is_plain_reply(const Pbkv__Body *body)
{
    return body->kind_case == PBKV__BODY__KIND_REPLY && !body->reply->view &&
           body->base.n_unknown_fields == 0 &&
           body->reply->base.n_unknown_fields == 0;
}

static Pbkv__Body *copy_reply(const Pbkv__Body *body)
{
    const Pbkv__Reply *reply = body->reply;
    struct reply_copy *copy =
        memory_resize(NULL, sizeof(*copy) + reply->value.len);

    copy->body = *body;
    copy->body.reply = &copy->reply;
    copy->reply = *reply;
    copy->reply.value.data = copy->value;
    if (reply->value.len > 0)
        memcpy(copy->value, reply->value.data, reply->value.len);
    return &copy->body;
}

/* Decodes into an arena whose memory is the copy's. */
static int decode_into(struct arena *arena, const struct bytes *encoded,
                       Pbkv__Body **copy)
{
    int error = message_decode(arena, encoded->data, encoded->length, copy);

    if (error < 0)
        arena_release(arena);
    return error;
}

static Pbkv__Body *copy_encoded(const Pbkv__Body *body)
{
    struct bytes *encoded = message_encode(body);
    Pbkv__Body *copy = NULL;
    struct arena arena;
    int error;

    arena_init(&arena);
    error = decode_into(&arena, encoded, &copy);
    if (error == -E2BIG) { /* denser than a stranger's message may be */
        arena_init_trusted(&arena);
        error = decode_into(&arena, encoded, &copy);
    }
    assert(error == 0 && (uint8_t *)copy == arena.memory);
    (void)error;
    bytes_release(encoded);
    return copy;
}

Pbkv__Body *message_copy(const Pbkv__Body *body)
{
    assert(message_check(body) == 0);
    return is_plain_reply(body) ? copy_reply(body) : copy_encoded(body);
}

void message_free(Pbkv__Body *body)
{
    free(body);
}
