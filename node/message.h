/* SPDX-License-Identifier: MIT */
/*
 * message: between protobuf and the roles. Decoding is the one place where a
 * stranger's octets become structures, so it is the one place that is careful:
 *
 * - The memory comes from an arena with a budget, in proportion to the encoded
 *   length. A frame of a million empty fields, which would unpack to fifty
 * times its size, runs out of budget and is refused.
 * - After decoding, a message is checked for meaning: an unset body, a missing
 *   part, an enum outside its range or an impossible number refuses the whole
 *   frame. Handlers rely on it: in a body that reaches a role every nested
 *   message is present and every enum is valid.
 *
 * A decoded message lives in its arena until the arena is reset: roles borrow
 * it for the length of a handler and copy what they keep. What it says is in
 * pbkv.proto; the frequent messages are coded by hand and all others by
 * protobuf-c, with the same result.
 */
#ifndef NODE_MESSAGE_H
#define NODE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/env.h"
#include "node/sink.h"
#include "node/view.h"
#include "pbkv.pb-c.h"

enum {
    KEY_LIMIT = 4096,                  /* octets, at the most */
    VALUE_LIMIT = 1024 * 1024 - 16384, /* octets, at the most */
    CHUNK_LIMIT = 1024 * 1024,         /* octets of a Chunk or Forward */
    BODY_LIMIT = CHUNK_LIMIT + 4096,   /* octets of an encoded Body */
    FRAME_LIMIT = BODY_LIMIT + 16384,  /* octets of an encoded Frame */
    FRAME_BODIES_LIMIT = 32,           /* bodies in a Frame */
    MESSAGE_ROOM = 256,                /* octets, for message_encode_in */
};

/* No number in a message (view, op number, item, …) may be greater: so that
 * counting on from it cannot overflow. */
#define NUMBER_LIMIT ((uint64_t)1 << 62)

/* Memory for decoding one message at a time. */
struct arena {
    uint8_t *memory;
    size_t size;
    size_t used;
    size_t budget;
    bool exhausted; /* the message needed more than the budget */
    bool trusted;
    bool borrows; /* octets of a message stay where they were received */
    struct ProtobufCAllocator allocator;
};

/* Makes an empty arena. It must not move while it is in use. */
void arena_init(struct arena *arena);

/* Makes an empty arena for our own messages, which may take as much memory as
 * the largest frame however short they are. */
void arena_init_trusted(struct arena *arena);

/* Frees the arena's memory, and with it every message decoded into it. */
void arena_release(struct arena *arena);

/*
 * Decodes length octets at data as a Frame and checks it. On success stores the
 * frame, which lives until the next call with this arena, and returns 0. Names,
 * keys and values in it may be where they are in data, which has to stay as
 * long. Returns -EBADMSG when the octets are not a frame, -EPROTO when they are
 * but make no sense, -E2BIG when decoding would pass the budget, -ENOMEM when
 * the system has no memory.
 */
int frame_decode(struct arena *arena, const uint8_t *data, size_t length,
                 Pbkv__Frame **frame);

/* Decodes and checks a Body in the same way, but copies what is in it. */
int message_decode(struct arena *arena, const uint8_t *data, size_t length,
                   Pbkv__Body **body);

/* Returns the encoded body. The caller owns one reference. */
struct bytes *message_encode(const Pbkv__Body *body);

/* Does the same, but returns room with the body in it when there is a room and
 * it is large enough: a byte string of MESSAGE_ROOM octets that nobody else
 * holds, and whose length becomes the body's. */
struct bytes *message_encode_in(const Pbkv__Body *body, struct bytes *room);

/* Returns a copy of a message that a role may see, in memory of its own; fields
 * that are not in pbkv.proto may be left out. message_free frees it; NULL is
 * allowed. */
Pbkv__Body *message_copy(const Pbkv__Body *body);
void message_free(Pbkv__Body *body);

/* Returns 0 when body is a message that a role may see, or -EPROTO. */
int message_check(const Pbkv__Body *body);

/* Returns the name of a message in lower case, such as "forward_ack". */
const char *message_name(Pbkv__Body__KindCase kind);

/* Returns the name of a status as in pbkv.proto, such as "NO_KEY". */
const char *status_name(Pbkv__Status status);

/* Writes a summary of at most size octets with its zero ("forward view 3 ops
 * 17-18 round 2") into text and returns text: for traces and logs. Values do
 * not appear in it, keys are cut to 32 octets and escaped. */
const char *message_format(const Pbkv__Body *body, char *text, size_t size);

/* The same for what is in a frame that was decoded: the first body, and how
 * many more ("put ... and 3 more"). */
const char *frame_format(const Pbkv__Frame *frame, char *text, size_t size);

/* Points a protobuf field at octets without copying. */
ProtobufCBinaryData message_octets(const void *data, size_t length);
ProtobufCBinaryData message_bytes(const struct bytes *bytes);

/* Answers an Echo with its own payload: for every role. */
void message_answer_echo(struct env *env, const struct peer *from,
                         const Pbkv__Echo *echo);

#endif
