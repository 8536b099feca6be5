/* SPDX-License-Identifier: MIT */
/*
 * message_frame: decodes what is around a body: sender, receiver and stamps.
 * Every message has them, and the general decoder of protobuf-c took longer for
 * these few fields than for the message itself; so they are read here, and the
 * body is left to it.
 *
 * It accepts what protobuf-c accepts of a Frame, but for a field that occurs
 * twice where it may occur once: nobody who packs a Frame writes that. Unknown
 * fields are passed over. Names are copied into the arena.
 */
#include <errno.h>
#include <string.h>

#include "node/message.h"

/* Octets that are left to read. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

enum wire_type { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 };

/* A field's tag with its type, for the few that matter here (pbkv.proto). */
enum {
    FRAME_FROM = 1 << 3 | DELIMITED,
    FRAME_TO = 2 << 3 | DELIMITED,
    FRAME_LAMPORT = 3 << 3 | VARINT,
    FRAME_VECTOR = 4 << 3 | DELIMITED,
    FRAME_BODY = 5 << 3 | DELIMITED,
    FRAME_FIELDS = 5,
    PEER_ADDRESS = 1 << 3 | DELIMITED,
    PEER_INCARNATION = 2 << 3 | FIXED64,
    ENTRY_HOST = 1 << 3 | DELIMITED,
    ENTRY_TIME = 2 << 3 | VARINT,
    NESTED_FIELDS = 2, /* of a Peer and of a ClockEntry */
};

struct field {
    uint64_t tag;
    uint64_t value;       /* of a number */
    struct reader inside; /* of a delimited field */
};

static bool read_varint(struct reader *reader, uint64_t *value)
{
    if (reader->at < reader->end && *reader->at < 0x80) { /* most are short */
        *value = *reader->at++;
        return true;
    }
    *value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end;
         shift += 7) {
        uint8_t octet = *reader->at++;

        *value |= (uint64_t)(octet & 0x7f) << shift;
        if (octet < 0x80)
            return true;
    }
    return false;
}

static bool read_fixed64(struct reader *reader, uint64_t *value)
{
    const uint8_t *at = reader->at;

    if (reader->end - at < 8)
        return false;
    *value = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
             (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 |
             (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
             (uint64_t)at[7] << 56;
    reader->at += 8;
    return true;
}

/* Passes over a number of a field that is not known here. */
static bool skip_fixed32(struct reader *reader)
{
    if (reader->end - reader->at < 4)
        return false;
    reader->at += 4;
    return true;
}

static bool read_delimited(struct reader *reader, struct reader *inside)
{
    uint64_t length;

    if (!read_varint(reader, &length) ||
        length > (size_t)(reader->end - reader->at))
        return false;
    inside->at = reader->at;
    reader->at += length;
    inside->end = reader->at;
    return true;
}

/* Reads the next field. A known number with another type than it should have is
 * refused, like groups, which nobody writes any more. */
static bool read_field(struct reader *reader, uint64_t known,
                       struct field *field)
{
    if (!read_varint(reader, &field->tag) || field->tag >> 3 == 0)
        return false;
    switch (field->tag & 7) {
    case VARINT: return read_varint(reader, &field->value);
    case FIXED64: return read_fixed64(reader, &field->value);
    case DELIMITED: return read_delimited(reader, &field->inside);
    case FIXED32: return field->tag >> 3 > known && skip_fixed32(reader);
    default: return false;
    }
}

static void *allocate(struct arena *arena, size_t size)
{
    return arena->allocator.alloc(arena->allocator.allocator_data, size);
}

/* Copies octets into the arena. Returns false when there is no room. */
static bool copy_octets(struct arena *arena, const struct reader *octets,
                        ProtobufCBinaryData *copy)
{
    copy->len = (size_t)(octets->end - octets->at);
    copy->data = NULL;
    if (copy->len == 0)
        return true;
    copy->data = allocate(arena, copy->len);
    if (copy->data)
        memcpy(copy->data, octets->at, copy->len);
    return copy->data != NULL;
}

static bool read_peer(struct arena *arena, struct reader reader,
                      Pbkv__Peer **result)
{
    Pbkv__Peer *peer = *result ? NULL : allocate(arena, sizeof(*peer));
    struct field field;

    if (!peer)
        return false;
    pbkv__peer__init(peer);
    while (reader.at < reader.end) {
        if (!read_field(&reader, NESTED_FIELDS, &field))
            return false;
        if (field.tag == PEER_INCARNATION)
            peer->incarnation = field.value;
        else if (field.tag == PEER_ADDRESS) {
            if (!copy_octets(arena, &field.inside, &peer->address))
                return false;
        } else if (field.tag >> 3 <= NESTED_FIELDS)
            return false;
    }
    *result = peer;
    return true;
}

static bool read_entry(struct arena *arena, struct reader reader,
                       Pbkv__Frame *frame)
{
    Pbkv__ClockEntry *entry = allocate(arena, sizeof(*entry));
    struct field field;

    if (!entry)
        return false;
    pbkv__clock_entry__init(entry);
    while (reader.at < reader.end) {
        if (!read_field(&reader, NESTED_FIELDS, &field))
            return false;
        if (field.tag == ENTRY_TIME)
            entry->time = field.value;
        else if (field.tag == ENTRY_HOST) {
            if (!copy_octets(arena, &field.inside, &entry->host))
                return false;
        } else if (field.tag >> 3 <= NESTED_FIELDS)
            return false;
    }
    frame->vector[frame->n_vector++] = entry;
    return true;
}

static bool read_body(struct arena *arena, struct reader reader,
                      Pbkv__Body **result)
{
    if (*result)
        return false;
    *result = pbkv__body__unpack(&arena->allocator,
                                 (size_t)(reader.end - reader.at), reader.at);
    return *result != NULL;
}

/* Makes room for the entries of the vector, of which there are at most as many
 * as fields of that tag. */
static bool make_vector(struct arena *arena, struct reader reader,
                        Pbkv__Frame *frame)
{
    struct field field;
    size_t count = 0;

    while (reader.at < reader.end) {
        if (!read_field(&reader, FRAME_FIELDS, &field))
            return false;
        count += field.tag == FRAME_VECTOR;
    }
    if (count == 0)
        return true;
    frame->vector = allocate(arena, count * sizeof(*frame->vector));
    return frame->vector != NULL;
}

static bool take_field(struct arena *arena, const struct field *field,
                       Pbkv__Frame *frame)
{
    switch (field->tag) {
    case FRAME_FROM: return read_peer(arena, field->inside, &frame->from);
    case FRAME_TO: return read_peer(arena, field->inside, &frame->to);
    case FRAME_LAMPORT: frame->lamport = field->value; return true;
    case FRAME_VECTOR: return read_entry(arena, field->inside, frame);
    case FRAME_BODY: return read_body(arena, field->inside, &frame->body);
    default: return field->tag >> 3 > FRAME_FIELDS;
    }
}

Pbkv__Frame *message_read_frame(struct arena *arena, const uint8_t *data,
                                size_t length)
{
    struct reader reader = {data, data + length};
    Pbkv__Frame *frame = allocate(arena, sizeof(*frame));
    struct field field;

    if (!frame)
        return NULL;
    pbkv__frame__init(frame);
    if (!make_vector(arena, reader, frame))
        return NULL;
    while (reader.at < reader.end) {
        if (!read_field(&reader, FRAME_FIELDS, &field) ||
            !take_field(arena, &field, frame))
            return NULL;
    }
    return frame;
}
