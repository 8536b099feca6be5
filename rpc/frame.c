/* SPDX-License-Identifier: MIT */
/*
 * frame: see frame.h. The head is written here field by field and not by
 * protobuf-c: every frame has one, and the walk through descriptors took
 * longer than everything else that happens to a short message on its way out. A
 * test compares the two octet for octet.
 *
 * The bound on the head: two peers of less than 140 octets,
 * a Lamport time of 11, CLOCK_ENTRIES_LIMIT entries of less than 80, and 10
 * more around the body.
 */
#include "rpc/frame.h"

#include <assert.h>
#include <string.h>

#include "clocks/vector.h"
#include "node/message.h"
#include "node/wire.h"

static_assert(2 * 140 + 11 + CLOCK_ENTRIES_LIMIT * 80 + 10 <= FRAME_HEAD_MAX,
              "the longest head fits");
static_assert(BODY_LIMIT + FRAME_HEAD_MAX <= FRAME_LIMIT,
              "the longest frame is within the limit");

/* The fields of the messages in a head (pbkv.proto). */
enum {
    FRAME_FROM = 1,
    FRAME_TO = 2,
    FRAME_LAMPORT = 3,
    FRAME_VECTOR = 4,
    FRAME_BODIES = 6,
    PEER_ADDRESS = 1,
    PEER_INCARNATION = 2,
    ENTRY_HOST = 1,
    ENTRY_TIME = 2,
    SHORT_MAX = 0x7f, /* octets of a message whose length takes one octet */
};

/* Ends a nested message whose fields begin at inside, behind the octet for its
 * length; a length of two octets moves them. */
static uint8_t *end_nested(uint8_t *inside, uint8_t *end)
{
    size_t length = (size_t)(end - inside);

    if (length > SHORT_MAX) {
        memmove(inside + 1, inside, length);
        end++;
    }
    wire_put_varint(inside - 1, length);
    return end;
}

static uint8_t *put_peer(uint8_t *room, unsigned field, const Pbkv__Peer *peer)
{
    uint8_t *inside;

    if (peer == NULL)
        return room;
    inside = wire_put_tag(room, field, WIRE_DELIMITED) + 1;
    room = wire_put_octets(inside, PEER_ADDRESS, &peer->address);
    room = wire_put_fixed64(room, PEER_INCARNATION, peer->incarnation);
    return end_nested(inside, room);
}

static uint8_t *put_entry(uint8_t *room, const Pbkv__ClockEntry *entry)
{
    uint8_t *inside = wire_put_tag(room, FRAME_VECTOR, WIRE_DELIMITED) + 1;

    room = wire_put_octets(inside, ENTRY_HOST, &entry->host);
    room = wire_put_number(room, ENTRY_TIME, entry->time);
    return end_nested(inside, room);
}

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

void frame_pack(const Pbkv__Frame *frame, const struct bytes *body,
                uint8_t *head, struct outgoing *outgoing)
{
    uint8_t *end = head + FRAME_LENGTH_SIZE;
    size_t length;

    assert(frame->n_bodies == 0 && frame->n_vector <= CLOCK_ENTRIES_LIMIT);
    assert(body->length > 0 && body->length <= BODY_LIMIT);
    end = put_peer(end, FRAME_FROM, frame->from);
    end = put_peer(end, FRAME_TO, frame->to);
    end = wire_put_number(end, FRAME_LAMPORT, frame->lamport);
    for (size_t i = 0; i < frame->n_vector; i++)
        end = put_entry(end, frame->vector[i]);
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
