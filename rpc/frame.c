/* SPDX-License-Identifier: MIT */
/*
 * frame: see frame.h. The head is written field by field (here, in
 * packed_stamp.c and in message_head.c) and not by protobuf-c: every frame
 * has one, and the walk through descriptors took longer than everything else
 * that happens to a short message on its way out. A test compares the two octet
 * for octet.
 *
 * The bound on the head: two peers of less than 140 octets, a Lamport time of
 * 11, the entries of the stamp, and 10 more around the body.
 */
#include "rpc/frame.h"

#include <assert.h>
#include <string.h>

#include "node/message_head.h"
#include "node/wire.h"

static_assert(2 * 140 + 11 + PACKED_VECTOR_MAX + 10 <= FRAME_HEAD_MAX,
              "the longest head fits");
static_assert(BODY_LIMIT + FRAME_HEAD_MAX <= FRAME_LIMIT,
              "the longest frame is within the limit");

static void length_write(uint8_t *room, size_t value)
{
    assert(value > 0 && value <= FRAME_LIMIT);
    room[0] = (uint8_t)(value >> 24);
    room[1] = (uint8_t)(value >> 16);
    room[2] = (uint8_t)(value >> 8);
    room[3] = (uint8_t)value;
}

uint32_t frame_length_read(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
           (uint32_t)data[2] << 8 | (uint32_t)data[3];
}

void frame_pack(const Pbkv__Frame *frame, const struct packed_stamp *stamp,
                const struct bytes *body, uint8_t *head,
                struct outgoing *outgoing)
{
    uint8_t *end = head + FRAME_LENGTH_SIZE;
    size_t length;

    assert(frame->n_bodies == 0 && frame->n_vector == 0);
    assert(body->length > 0 && body->length <= BODY_LIMIT);
    end = head_put_peer(end, FRAME_FROM, frame->from);
    end = head_put_peer(end, FRAME_TO, frame->to);
    end = wire_put_number(end, FRAME_LAMPORT, stamp->lamport);
    memcpy(end, stamp->octets, stamp->length);
    end += stamp->length;
    end = wire_put_tag(end, FRAME_BODIES, WIRE_DELIMITED);
    end = wire_put_varint(end, body->length);
    length = (size_t)(end - head);
    assert(length <= FRAME_HEAD_MAX);
    length_write(head, length - FRAME_LENGTH_SIZE + body->length);
    *outgoing = (struct outgoing){.head = head,
                                  .head_length = length,
                                  .body = body->data,
                                  .body_length = body->length};
}

size_t frame_size(const struct outgoing *outgoing)
{
    return outgoing->head_length + outgoing->body_length;
}

void frame_write(const struct outgoing *outgoing, uint8_t *room)
{
    memcpy(room, outgoing->head, outgoing->head_length);
    if (outgoing->body_length > 0)
        memcpy(room + outgoing->head_length, outgoing->body,
               outgoing->body_length);
}

size_t frame_addition(const struct bytes *body)
{
    return 1 + wire_varint_size(body->length) + body->length;
}

void frame_add(uint8_t *frame, const struct bytes *body)
{
    size_t length = frame_length_read(frame);
    uint8_t *room = frame + FRAME_LENGTH_SIZE + length;

    assert(body->length > 0 && length + frame_addition(body) <= FRAME_LIMIT);
    room = wire_put_tag(room, FRAME_BODIES, WIRE_DELIMITED);
    room = wire_put_varint(room, body->length);
    memcpy(room, body->data, body->length);
    length_write(frame, length + frame_addition(body));
}
