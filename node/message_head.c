/* SPDX-License-Identifier: MIT */
/*
 * message_head: see message_head.h. What is learnt is written from the decoded
 * frame and not copied from its octets. So whichever way the frame was written,
 * octets that repeat the known head can be read in one way only.
 */
#include "node/message_head.h"

#include <assert.h>

#include "clocks/lamport.h"
#include "clocks/vector.h"
#include "node/message_codec.h"

/* What is in front of the time in an entry: tag and length of the entry, both
 * of one octet, the host's name as a field, and the tag of the time. */
enum { ENTRY_INSIDE = 2, ENTRY_REST = 3 };

/* ---- Learning ------------------------------------------------------------ */

uint8_t *head_put_peer(uint8_t *room, unsigned field, const Pbkv__Peer *peer)
{
    size_t length;

    if (!peer)
        return room;
    length =
        wire_octets_size(&peer->address) + wire_fixed64_size(peer->incarnation);
    room = wire_put_tag(room, field, WIRE_DELIMITED);
    room = wire_put_varint(room, length);
    room = wire_put_octets(room, PEER_ADDRESS, &peer->address);
    return wire_put_fixed64(room, PEER_INCARNATION, peer->incarnation);
}

/* Adds what is in front of the time in an entry. Returns whether it fits. */
static bool learn_entry(struct known_head *known, const Pbkv__ClockEntry *entry)
{
    size_t host = wire_octets_size(&entry->host);
    size_t length = ENTRY_REST + host;
    uint8_t *room = known->octets + known->length;

    if (entry->host.len > HOST_NAME_MAX_LENGTH ||
        known->length + 1 + length > KNOWN_HEAD_MAX)
        return false;
    *room++ = (uint8_t)length;
    room = wire_put_tag(room, FRAME_VECTOR, WIRE_DELIMITED);
    *room++ = (uint8_t)(host + wire_number_size(entry->time));
    room = wire_put_octets(room, ENTRY_HOST, &entry->host);
    room = wire_put_tag(room, ENTRY_TIME, WIRE_VARINT);
    known->length = (uint16_t)(room - known->octets);
    known->hosts++;
    return true;
}

void known_head_learn(struct known_head *known, const Pbkv__Frame *frame)
{
    uint8_t *end;

    end = head_put_peer(known->octets, FRAME_FROM, frame->from);
    end = head_put_peer(end, FRAME_TO, frame->to);
    known->peers = (uint16_t)(end - known->octets);
    known->length = known->peers;
    known->hosts = 0;
    for (size_t i = 0; i < frame->n_vector; i++) {
        if (!learn_entry(known, frame->vector[i])) {
            known->length = 0;
            return;
        }
    }
}

/* ---- Reading ------------------------------------------------------------- */

static bool time_is_possible(uint64_t time)
{
    return time >= 1 && time <= LAMPORT_MAX;
}

/* Takes octets, if these come next. */
static bool take_octets(struct wire_reader *reader, const uint8_t *octets,
                        size_t length)
{
    if ((size_t)(reader->end - reader->at) < length ||
        memcmp(reader->at, octets, length) != 0)
        return false;
    reader->at += length;
    return true;
}

/* Reads an entry of the stamp whose first octets are known. */
static bool read_entry(struct wire_reader *reader, const uint8_t *known,
                       size_t length, Pbkv__ClockEntry *entry)
{
    const uint8_t *inside = reader->at + ENTRY_INSIDE;
    size_t inside_length = known[ENTRY_INSIDE - 1];

    if (!take_octets(reader, known, length))
        return false;
    *entry = (Pbkv__ClockEntry)PBKV__CLOCK_ENTRY__INIT;
    entry->host = message_octets(inside + 2, length - ENTRY_REST - 2);
    return wire_read_varint(reader, WIRE_LAST_SHIFT, &entry->time) &&
           time_is_possible(entry->time) &&
           (size_t)(reader->at - inside) == inside_length;
}

static bool read_vector(struct arena *arena, const struct known_head *known,
                        struct wire_reader *reader, Pbkv__Frame *frame)
{
    const uint8_t *next = known->octets + known->peers;
    Pbkv__ClockEntry *entries =
        arena_take(arena, known->hosts * sizeof(*entries));

    frame->vector = arena_take(arena, known->hosts * sizeof(*frame->vector));
    if (!entries || !frame->vector)
        return false;
    for (size_t i = 0; i < known->hosts; i++) {
        size_t length = *next++;

        if (!read_entry(reader, next, length, &entries[i]))
            return false;
        frame->vector[i] = &entries[i];
        next += length;
    }
    frame->n_vector = known->hosts;
    return true;
}

bool message_read_known_head(struct arena *arena,
                             const struct known_head *known,
                             struct wire_reader *reader, Pbkv__Frame *frame)
{
    return known->length > 0 &&
           take_octets(reader, known->octets, known->peers) &&
           wire_read_number(reader, FRAME_LAMPORT, &frame->lamport) &&
           time_is_possible(frame->lamport) &&
           read_vector(arena, known, reader, frame);
}
