/* SPDX-License-Identifier: MIT */
/*
 * frame: how messages go on the wire: a big-endian 32-bit length, then one
 * Frame (pbkv.proto). A body is encoded before it reaches the runtime, and
 * bodies are the last field of a Frame; so a frame is a short head, packed
 * here, and the body's octets as they are, and others can be added while it
 * waits to be sent. The result is octet for octet what protobuf-c packs from
 * the whole Frame.
 */
#ifndef RPC_FRAME_H
#define RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "pbkv.pb-c.h"
#include "rpc/packed_stamp.h"

enum {
    FRAME_LENGTH_SIZE = 4,     /* octets of the length in front of a Frame */
    FRAME_HEAD_MAX = 8 * 1024, /* octets that a head needs at the most */
};

/* A frame in two pieces, which are borrowed. */
struct outgoing {
    const uint8_t *head;
    size_t head_length;
    const uint8_t *body;
    size_t body_length;
    struct bytes *shared; /* whose octets the body is; NULL: nobody's */
    bool open;            /* bodies can be added to it */
    uint64_t incarnation; /* that it is for, and what is added to it */
};

/*
 * Packs the length, sender and receiver of frame, which has nothing else in it,
 * the stamp and the beginning of the field for the encoded body, which has
 * BODY_LIMIT octets at the most, into head of FRAME_HEAD_MAX octets, and points
 * outgoing at head and body.
 */
void frame_pack(const Pbkv__Frame *frame, const struct packed_stamp *stamp,
                const struct bytes *body, uint8_t *head,
                struct outgoing *outgoing);

/* Returns the octets of the whole frame with its length. */
size_t frame_size(const struct outgoing *outgoing);

/* Writes the whole frame to room, which has frame_size octets. */
void frame_write(const struct outgoing *outgoing, uint8_t *room);

/* Returns the octets by which an encoded body makes a frame longer. */
size_t frame_addition(const struct bytes *body);

/* Adds a body to a whole frame, with frame_addition octets of room behind it.
 * The sum must be a possible frame. */
void frame_add(uint8_t *frame, const struct bytes *body);

/* Returns the number that is in the four octets at data. */
uint32_t frame_length_read(const uint8_t *data);

#endif
