/* SPDX-License-Identifier: MIT */
/*
 * frame: see frame.h. The bound on the head: two peers of less than 140 octets,
 * a Lamport time of 11, CLOCK_ENTRIES_LIMIT entries of less than 80, and 10
 * more around the body.
 */
#include "rpc/frame.h"

#include <assert.h>
#include <string.h>

#include "clocks/vector.h"
#include "node/message.h"

static_assert(2 * 140 + 11 + CLOCK_ENTRIES_LIMIT * 80 + 10 <= FRAME_HEAD_MAX,
              "the longest head fits");
static_assert(BODY_LIMIT + FRAME_HEAD_MAX <= FRAME_LIMIT,
              "the longest frame is within the limit");

enum {
    WIRE_LENGTH_DELIMITED = 2,
    BODY_FIELD = 5,
    BODY_TAG = BODY_FIELD << 3 | WIRE_LENGTH_DELIMITED,
};

static size_t varint_write(uint8_t *room, size_t value)
{
    size_t count = 0;

    for (; value >= 0x80; value >>= 7)
        room[count++] = (uint8_t)(value | 0x80);
    room[count++] = (uint8_t)value;
    return count;
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
    size_t length = FRAME_LENGTH_SIZE;

    assert(frame->body == NULL);
    assert(body->length > 0 && body->length <= BODY_LIMIT);
    length += pbkv__frame__pack(frame, head + length);
    assert(length + 10 <= FRAME_HEAD_MAX);
    head[length++] = BODY_TAG;
    length += varint_write(head + length, body->length);
    length_write(head, length - FRAME_LENGTH_SIZE + body->length);
    *outgoing = (struct outgoing){head, length, body->data, body->length};
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
