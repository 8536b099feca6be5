/* SPDX-License-Identifier: MIT */
/*
 * wire: the few forms in which protobuf writes a field, for the messages that
 * are coded by hand (message_hot.c, message_frame.c, rpc/frame.c). These run
 * several times for every message, so they are inline.
 *
 * Reading is for octets that were written in order, each field at most once: a
 * field is read if it comes next and is its default otherwise, and whoever
 * reads a message checks at its end that nothing is left. What does not fit is
 * not an error yet: protobuf-c reads it, and decides. So a function here may
 * fail on what protobuf-c takes (a number of ten octets), but must not take
 * what protobuf-c refuses, or read something else from it.
 */
#ifndef NODE_WIRE_H
#define NODE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pbkv.pb-c.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_DELIMITED = 2 };

/* A tag of one octet: of a field up to number 15. */
#define WIRE_TAG(field, type) ((uint8_t)((field) << 3 | (type)))

enum {
    WIRE_LAST_SHIFT = 56,  /* of the last octet of a number that is read */
    WIRE_LENGTH_SHIFT = 21 /* and of a length */
};

/* Octets that are left to read. */
struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* ---- Reading ------------------------------------------------------------- */

/* Takes a tag, if it comes next. Returns whether it did. */
static inline bool wire_take_tag(struct wire_reader *reader, uint8_t tag)
{
    if (reader->at == reader->end || *reader->at != tag)
        return false;
    reader->at++;
    return true;
}

/* Reads the rest of a number whose last octet is shifted by at most `last`. */
static inline bool wire_read_varint(struct wire_reader *reader, unsigned last,
                                    uint64_t *value)
{
    const uint8_t *at = reader->at;
    uint64_t read = 0;

    for (unsigned shift = 0; shift <= last && at < reader->end; shift += 7) {
        uint8_t octet = *at++;

        read |= (uint64_t)(octet & 0x7f) << shift;
        if (octet < 0x80) {
            reader->at = at;
            *value = read;
            return true;
        }
    }
    return false;
}

/* Reads a number, if its tag comes next. Returns false when it is not one. */
static inline bool wire_read_number(struct wire_reader *reader, unsigned field,
                                    uint64_t *value)
{
    if (!wire_take_tag(reader, WIRE_TAG(field, WIRE_VARINT)))
        return true;
    return wire_read_varint(reader, WIRE_LAST_SHIFT, value);
}

/* Reads a number of one octet, such as an enum's, if its tag comes next. */
static inline bool wire_read_short(struct wire_reader *reader, unsigned field,
                                   unsigned *value)
{
    if (!wire_take_tag(reader, WIRE_TAG(field, WIRE_VARINT)))
        return true;
    if (reader->at == reader->end || *reader->at >= 0x80)
        return false;
    *value = *reader->at++;
    return true;
}

/* Both ways for eight octets are one instruction to a compiler, as long as they
 * are no loop. */
static inline uint64_t wire_from_fixed64(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
           (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 |
           (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}

static inline void wire_to_fixed64(uint8_t *at, uint64_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
    at[4] = (uint8_t)(value >> 32);
    at[5] = (uint8_t)(value >> 40);
    at[6] = (uint8_t)(value >> 48);
    at[7] = (uint8_t)(value >> 56);
}

/* Reads eight octets, if their tag comes next. */
static inline bool wire_read_fixed64(struct wire_reader *reader, unsigned field,
                                     uint64_t *value)
{
    if (!wire_take_tag(reader, WIRE_TAG(field, WIRE_FIXED64)))
        return true;
    if (reader->end - reader->at < 8)
        return false;
    *value = wire_from_fixed64(reader->at);
    reader->at += 8;
    return true;
}

/* Reads a length and takes as many octets. */
static inline bool wire_read_inside(struct wire_reader *reader,
                                    struct wire_reader *inside)
{
    uint64_t length;

    if (!wire_read_varint(reader, WIRE_LENGTH_SHIFT, &length) ||
        length > (size_t)(reader->end - reader->at))
        return false;
    inside->at = reader->at;
    reader->at += length;
    inside->end = reader->at;
    return true;
}

/* Takes the octets of a field with a length, if its tag comes next. Returns
 * whether it did. */
static inline bool wire_take_inside(struct wire_reader *reader, uint8_t tag,
                                    struct wire_reader *inside)
{
    return wire_take_tag(reader, tag) && wire_read_inside(reader, inside);
}

/* Returns how many fields with this tag, each with a length, come next. */
static inline size_t wire_count(struct wire_reader reader, uint8_t tag)
{
    struct wire_reader inside;
    size_t count = 0;

    while (wire_take_inside(&reader, tag, &inside))
        count++;
    return count;
}

/* ---- Writing ------------------------------------------------------------- */

/* Returns the octets of a number. */
static inline size_t wire_varint_size(uint64_t value)
{
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

/* Return the octets of a field whose tag has one octet; a field that is 0 or
 * empty is left out, as always in proto3. */
static inline size_t wire_number_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + wire_varint_size(value);
}

static inline size_t wire_octets_size(const ProtobufCBinaryData *octets)
{
    return octets->len == 0 ? 0
                            : 1 + wire_varint_size(octets->len) + octets->len;
}

static inline size_t wire_fixed64_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + sizeof(value);
}

/* All that write return the place behind what they wrote. */
static inline uint8_t *wire_put_varint(uint8_t *room, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *room++ = (uint8_t)(value | 0x80);
    *room++ = (uint8_t)value;
    return room;
}

static inline uint8_t *wire_put_tag(uint8_t *room, unsigned field,
                                    enum wire_type type)
{
    *room = WIRE_TAG(field, type);
    return room + 1;
}

static inline uint8_t *wire_put_number(uint8_t *room, unsigned field,
                                       uint64_t value)
{
    if (value == 0)
        return room;
    return wire_put_varint(wire_put_tag(room, field, WIRE_VARINT), value);
}

static inline uint8_t *wire_put_fixed64(uint8_t *room, unsigned field,
                                        uint64_t value)
{
    if (value == 0)
        return room;
    room = wire_put_tag(room, field, WIRE_FIXED64);
    wire_to_fixed64(room, value);
    return room + 8;
}

static inline uint8_t *wire_put_octets(uint8_t *room, unsigned field,
                                       const ProtobufCBinaryData *octets)
{
    if (octets->len == 0)
        return room;
    room = wire_put_tag(room, field, WIRE_DELIMITED);
    room = wire_put_varint(room, octets->len);
    memcpy(room, octets->data, octets->len);
    return room + octets->len;
}

#endif
