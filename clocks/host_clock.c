/* SPDX-License-Identifier: MIT */
/*
 * This runs for every message, so nothing here allocates, and nothing looks at
 * all pairs of entries unless a stamp makes it.
 *
 * A stamp is checked before it is merged, in two separate functions, because a
 * runtime drops a frame with a bad stamp before it counts as received: a drop
 * is no tick.
 *
 * On receipt the sender's entry is raised last. If a full clock has to drop an
 * entry for it, everything else that came with the same stamp is older or as
 * old, and so the line of the receipt always names the sender (rule K4).
 */
#include "clocks/host_clock.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void host_clock_init(struct host_clock *clock, const char *host)
{
    clock->lamport.time = 0;
    vclock_init(&clock->vector, host);
    clock->passing[0] = '\0';
}

const char *host_clock_name(const struct host_clock *clock)
{
    return clock->vector.entries[0].host;
}

/* Forgets the client of the receipt before this event (rule K4). */
static void passing_forget(struct host_clock *clock)
{
    if (clock->passing[0] == '\0')
        return;
    vclock_forget(&clock->vector, clock->passing);
    clock->passing[0] = '\0';
}

static void passing_remember(struct host_clock *clock,
                             const ProtobufCBinaryData *host)
{
    memcpy(clock->passing, host->data, host->len);
    clock->passing[host->len] = '\0';
}

void host_clock_tick(struct host_clock *clock)
{
    passing_forget(clock);
    lamport_tick(&clock->lamport);
    vclock_tick(&clock->vector);
}

/* Which hash values of names have been seen: most stamps have no two names with
 * the same one, and only those have to be compared. In a stamp of few entries
 * comparing all is quicker. */
enum { FILTER_BITS = 1024, FEW = 6 };

struct name_filter {
    uint64_t seen[FILTER_BITS / 64];
};

/* Notes a name and returns whether one with its hash value was noted before.
 * The hash is FNV-1a, of which the low bits are the ones that the last octets
 * mix well; the last octets are what names differ in. */
static bool filter_note(struct name_filter *filter,
                        const ProtobufCBinaryData *host)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < host->len; i++)
        hash = (hash ^ host->data[i]) * UINT64_C(0x100000001b3);
    hash %= FILTER_BITS;

    uint64_t *word = &filter->seen[hash / 64];
    uint64_t bit = UINT64_C(1) << hash % 64;
    bool noted = (*word & bit) != 0;

    *word |= bit;
    return noted;
}

/* Returns whether one of the entries before index has the name of index. */
static bool name_repeats(const Pbkv__Frame *frame, size_t index)
{
    const ProtobufCBinaryData *host = &frame->vector[index]->host;

    for (size_t i = 0; i < index; i++) {
        const ProtobufCBinaryData *other = &frame->vector[i]->host;

        /* Names of the lives of one server differ at their ends. */
        if (other->len == host->len &&
            other->data[host->len - 1] == host->data[host->len - 1] &&
            memcmp(other->data, host->data, host->len) == 0)
            return true;
    }
    return false;
}

static bool time_is_valid(uint64_t time)
{
    return time >= 1 && time <= LAMPORT_MAX;
}

static bool entry_is_valid(const Pbkv__ClockEntry *entry)
{
    return entry != NULL && time_is_valid(entry->time) &&
           host_name_is_valid((const char *)entry->host.data, entry->host.len);
}

/* Returns whether two entries have the same name. */
static bool names_repeat(const Pbkv__Frame *frame)
{
    struct name_filter filter;
    bool many = frame->n_vector > FEW;

    if (many)
        memset(&filter, 0, sizeof(filter));
    for (size_t i = 0; i < frame->n_vector; i++) {
        if ((!many || filter_note(&filter, &frame->vector[i]->host)) &&
            name_repeats(frame, i))
            return true;
    }
    return false;
}

int host_clock_check_stamp(const Pbkv__Frame *frame)
{
    if (!time_is_valid(frame->lamport))
        return -EPROTO;
    if (frame->n_vector < 1 || frame->n_vector > CLOCK_ENTRIES_LIMIT)
        return -EPROTO;
    for (size_t i = 0; i < frame->n_vector; i++) {
        if (!entry_is_valid(frame->vector[i]))
            return -EPROTO;
    }
    return names_repeat(frame) ? -EPROTO : 0;
}

/* Raises one entry and returns whether it was no lie about this host, which had
 * `events` events before this receipt. */
static bool entry_receive(struct host_clock *clock,
                          const Pbkv__ClockEntry *entry, uint64_t events)
{
    const struct vclock_entry *own = &clock->vector.entries[0];
    const ProtobufCBinaryData *host = &entry->host;

    if (host->len == own->length &&
        memcmp(host->data, own->host, host->len) == 0)
        return entry->time <= events;
    vclock_raise_octets(&clock->vector, host->data, host->len, entry->time);
    return true;
}

bool host_clock_receive(struct host_clock *clock, const Pbkv__Frame *frame,
                        bool sender_passes)
{
    uint64_t events = clock->vector.entries[0].time;
    bool honest = true;

    assert(frame->n_vector >= 1 && frame->n_vector <= CLOCK_ENTRIES_LIMIT);
    passing_forget(clock);
    lamport_receive(&clock->lamport, frame->lamport);
    vclock_tick(&clock->vector);
    clock->vector.next = 0;
    for (size_t i = 1; i < frame->n_vector; i++)
        honest &= entry_receive(clock, frame->vector[i], events);
    honest &= entry_receive(clock, frame->vector[0], events);
    if (sender_passes)
        passing_remember(clock, &frame->vector[0]->host);
    return honest;
}

/* Points at a host name. protobuf-c has no pointers to const; encoding only
 * reads. */
static ProtobufCBinaryData name_octets(const struct vclock_entry *entry)
{
    ProtobufCBinaryData octets;

    octets.len = entry->length;
    octets.data = (uint8_t *)(uintptr_t)entry->host;
    return octets;
}

void host_clock_stamp(const struct host_clock *clock, Pbkv__Frame *frame,
                      struct stamp_storage *storage)
{
    assert(clock->vector.entries[0].time > 0);
    for (size_t i = 0; i < clock->vector.count; i++) {
        const struct vclock_entry *entry = &clock->vector.entries[i];

        pbkv__clock_entry__init(&storage->entries[i]);
        storage->entries[i].host = name_octets(entry);
        storage->entries[i].time = entry->time;
        storage->pointers[i] = &storage->entries[i];
    }
    frame->lamport = clock->lamport.time;
    frame->n_vector = clock->vector.count;
    frame->vector = storage->pointers;
}
