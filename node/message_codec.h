/* SPDX-License-Identifier: MIT */
/*
 * message_codec: what the files of the codec share; nobody else includes it.
 *
 *   message.c        arena and entry points
 *   message_frame.c  what is around a body, and which decoder a body gets
 *   message_head.c   what is in front of a body, if it was so the last time
 *   message_hot.c    a codec by hand for the messages that every operation
 *                    needs: Get, Put, Append, Reply without a view, Forward
 *                    and ForwardAck
 *   message_chunk.c  the same for a Chunk, of which a state transfer is made
 *
 * pbkv.proto remains the definition of all messages. What is written by hand is
 * octet for octet what protobuf-c writes, and what is not written like that
 * (fields in another order, twice, unknown) is read by protobuf-c.
 */
#ifndef NODE_MESSAGE_CODEC_H
#define NODE_MESSAGE_CODEC_H

#include "node/message.h"
#include "node/wire.h"

/* Returns the encoded body: in `room`, if it is given and large enough, or with
 * one reference for the caller; or NULL when it is for protobuf-c. */
struct bytes *message_hot_encode(const Pbkv__Body *body, struct bytes *room);

/* Decodes a Body into an arena that is ready for it, without checking it.
 * Returns NULL when it is for protobuf-c, or when the arena is exhausted. */
Pbkv__Body *message_hot_read(struct arena *arena, struct wire_reader reader);

/* The same two for a Chunk; reading is of the message inside the body. */
struct bytes *message_chunk_encode(const Pbkv__Body *body);
bool message_chunk_read(struct arena *arena, struct wire_reader *reader,
                        Pbkv__Chunk *chunk);

/* What a Forward and a Chunk share. The first writes the fields of an operation
 * and returns the place behind them; the second reads a list of operations, if
 * it comes next. */
uint8_t *message_operation_fields(const Pbkv__LogOp *op, uint8_t *room);
bool message_operations_read(struct arena *arena, struct wire_reader *reader,
                             unsigned field, Pbkv__LogOp ***list,
                             size_t *n_list);
bool message_operations_have_unknown_fields(Pbkv__LogOp *const *ops,
                                            size_t count);

/* Decode a Frame or a Body into an arena that is ready for it, without checking
 * it. Return NULL when it is none or the arena is exhausted. */
Pbkv__Frame *message_read_frame(struct arena *arena, const uint8_t *data,
                                size_t length);
Pbkv__Body *message_read_body(struct arena *arena, const uint8_t *data,
                              size_t length);

/* Copies octets of a message, some at least, into the arena. Returns false when
 * it is exhausted. */
bool message_own_octets(struct arena *arena, ProtobufCBinaryData *octets);

struct known_head;

/* Decodes a Frame in the same way if its head repeats the known one, else
 * returns NULL. */
Pbkv__Frame *message_read_known_frame(struct arena *arena,
                                      const struct known_head *known,
                                      const uint8_t *data, size_t length);

/* Reads the stamp of a frame whose head repeats the known one. Returns false
 * when it does not. */
bool message_read_known_head(struct arena *arena,
                             const struct known_head *known,
                             struct wire_reader *reader, Pbkv__Frame *frame);

/* Reads a field of octets if its tag comes next. They stay where they are if
 * the arena borrows, and are copied into it otherwise. */
static inline bool message_read_octets(struct arena *arena,
                                       struct wire_reader *reader,
                                       unsigned field,
                                       ProtobufCBinaryData *octets)
{
    struct wire_reader inside;

    if (!wire_take_tag(reader, WIRE_TAG(field, WIRE_DELIMITED)))
        return true;
    if (!wire_read_inside(reader, &inside))
        return false;
    if (inside.at == inside.end)
        return true;
    *octets = message_octets(inside.at, (size_t)(inside.end - inside.at));
    return arena->borrows || message_own_octets(arena, octets);
}

/* Returns memory of the arena, or NULL when it is exhausted. */
void *arena_take(struct arena *arena, size_t size);

#endif
