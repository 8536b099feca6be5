/* SPDX-License-Identifier: MIT */
/*
 * stamp: see stamp.h. Places are noted before the clock moves, so what is noted
 * never has the entry of a client in it. That of a client whose receipt went
 * the plain way is forgotten at the next event; until then the others go the
 * plain way as well.
 */
#include "clocks/stamp.h"

#include <assert.h>
#include <string.h>

enum { OWN = 0, ASIDE = UINT8_MAX }; /* places: ours; not in the clock */

static_assert((int)CLOCK_ENTRIES_LIMIT < (int)ASIDE, "no entry has that place");

/* Returns the place of a host, or ASIDE when it is not listed. */
static uint8_t place_of(const struct vclock *clock,
                        const ProtobufCBinaryData *host)
{
    for (size_t i = 0; i < clock->count; i++) {
        if (clock->entries[i].length == host->len &&
            memcmp(clock->entries[i].host, host->data, host->len) == 0)
            return (uint8_t)i;
    }
    return ASIDE;
}

/* Returns whether the sender is where host_clock_receive would leave it: a
 * client outside the clock, without having displaced anybody. */
static bool sender_is_in_place(const struct vclock *clock, uint8_t place,
                               bool passes)
{
    if (place == OWN || !passes)
        return place != ASIDE;
    return place == ASIDE && clock->count < CLOCK_ENTRIES_LIMIT;
}

/* Notes where the hosts are. Returns false when one has to be listed first. */
static bool places_note(struct stamp_places *places, const struct vclock *clock,
                        const Pbkv__Frame *frame, bool sender_passes)
{
    places->changes = 0;
    for (size_t i = 0; i < frame->n_vector; i++) {
        places->places[i] = place_of(clock, &frame->vector[i]->host);
        if (i > 0 && places->places[i] == ASIDE)
            return false;
    }
    if (!sender_is_in_place(clock, places->places[0], sender_passes))
        return false;
    places->changes = clock->changes;
    return true;
}

/* Raises the entry at a place (rule K2). Returns whether the time is no lie
 * about this host, which had `events` events before this receipt. */
static bool entry_receive(struct vclock *clock, uint8_t place, uint64_t time,
                          uint64_t events)
{
    struct vclock_entry *entry;

    if (place == OWN)
        return time <= events;
    if (place == ASIDE)
        return true;
    entry = &clock->entries[place];
    if (entry->time < time) {
        entry->time = time;
        entry->advanced = clock->entries[OWN].time;
    }
    return true;
}

bool stamp_receive(struct host_clock *clock, struct stamp_places *places,
                   const Pbkv__Frame *frame, bool sender_passes, bool *honest)
{
    struct vclock *vector = &clock->vector;
    uint64_t events = vector->entries[OWN].time;

    assert(frame->n_vector >= 1 && frame->n_vector <= CLOCK_ENTRIES_LIMIT);
    if (vector->changes == 0 || clock->passing[0] != '\0')
        return false;
    if (places->changes != vector->changes &&
        !places_note(places, vector, frame, sender_passes))
        return false;
    lamport_receive(&clock->lamport, frame->lamport);
    vclock_tick(vector);
    *honest = true;
    for (size_t i = 0; i < frame->n_vector; i++)
        *honest &= entry_receive(vector, places->places[i],
                                 frame->vector[i]->time, events);
    return true;
}
