/* SPDX-License-Identifier: MIT */
/*
 * packed_stamp: see packed_stamp.h. An entry is packed by hand, like the rest
 * of a head (frame.c); a test compares the two octet for octet.
 */
#include "rpc/packed_stamp.h"

#include <assert.h>

#include "node/message_head.h"
#include "node/wire.h"

/* Host names are so short that the length of an entry takes one octet, which is
 * written last. */
static uint8_t *put_entry(uint8_t *room, const Pbkv__ClockEntry *entry)
{
    uint8_t *inside = wire_put_tag(room, FRAME_VECTOR, WIRE_DELIMITED) + 1;

    assert(entry->host.len <= HOST_NAME_MAX_LENGTH);
    room = wire_put_octets(inside, ENTRY_HOST, &entry->host);
    room = wire_put_number(room, ENTRY_TIME, entry->time);
    inside[-1] = (uint8_t)(room - inside);
    return room;
}

static void pack_anew(struct packed_stamp *packed,
                      const struct host_clock *clock)
{
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    struct stamp_storage storage;
    uint8_t *end = packed->octets;

    packed->length = 0;
    host_clock_stamp(clock, &frame, &storage);
    assert(frame.n_vector <= CLOCK_ENTRIES_LIMIT);
    for (size_t i = 0; i < frame.n_vector; i++) {
        uint64_t time = frame.vector[i]->time;

        end = put_entry(end, frame.vector[i]);
        packed->length = (size_t)(end - packed->octets);
        packed->times[i] = time;
        packed->lengths[i] = time > 0 ? (uint8_t)wire_varint_size(time) : 0;
        packed->places[i] = (uint16_t)(packed->length - packed->lengths[i]);
    }
    packed->lamport = frame.lamport;
    packed->count = frame.n_vector;
    packed->changes = clock->vector.changes;
}

/* Writes a time over the one before it. Returns whether it has the same length.
 */
static bool replace_time(struct packed_stamp *packed, size_t index,
                         uint64_t time)
{
    if (wire_varint_size(time) != packed->lengths[index])
        return false;
    wire_put_varint(packed->octets + packed->places[index], time);
    packed->times[index] = time;
    return true;
}

/* Brings the times up to date. Returns false when that is not enough. */
static bool replace_times(struct packed_stamp *packed,
                          const struct host_clock *clock)
{
    const struct vclock *vector = &clock->vector;

    if (vector->changes == 0 || vector->changes != packed->changes)
        return false;
    for (size_t i = 0; i < packed->count; i++) {
        uint64_t time = vector->entries[i].time;

        if (time != packed->times[i] && !replace_time(packed, i, time))
            return false;
    }
    packed->lamport = clock->lamport.time;
    return true;
}

void packed_stamp_update(struct packed_stamp *packed,
                         const struct host_clock *clock)
{
    if (!replace_times(packed, clock))
        pack_anew(packed, clock);
}
