/* SPDX-License-Identifier: MIT */
/*
 * Entries are in an array and are found by comparing lengths and then octets.
 * A cluster has a handful of hosts, so a search is short; and because a stamp
 * lists hosts in much the same order every time, each search begins where the
 * last one ended (next), which makes a merge of two long clocks linear unless
 * their orders differ. Names of the lives of one server differ at their ends,
 * so the last octet is compared before the others.
 *
 * `advanced` is kept in the owner's own time, so "stood still for longest"
 * needs no clock on the wall. Of entries that stand still equally long the
 * first in the array goes.
 */
#include "clocks/vector.h"

#include <assert.h>
#include <string.h>

#include "clocks/octets.h"

static bool entry_is(const struct vclock_entry *entry, const char *host,
                     size_t length)
{
    return entry->length == length &&
           entry->host[length - 1] == host[length - 1] &&
           memcmp(entry->host, host, length) == 0;
}

/* Returns the index of host, looking from index first on and then around, or
 * count when it is not listed. */
static size_t entry_find(const struct vclock *clock, size_t first,
                         const char *host, size_t length)
{
    if (first > clock->count)
        first = clock->count;
    for (size_t i = first; i < clock->count; i++) {
        if (entry_is(&clock->entries[i], host, length))
            return i;
    }
    for (size_t i = 0; i < first; i++) {
        if (entry_is(&clock->entries[i], host, length))
            return i;
    }
    return clock->count;
}

/* Returns the index of the entry, not the owner's, that has stood still for
 * longest. */
static size_t entry_stalest(const struct vclock *clock)
{
    size_t stalest = 1;

    for (size_t i = 2; i < clock->count; i++) {
        if (clock->entries[i].advanced < clock->entries[stalest].advanced)
            stalest = i;
    }
    return stalest;
}

static void entry_name(struct vclock_entry *entry, const void *host,
                       size_t length)
{
    assert(length <= HOST_NAME_MAX_LENGTH);
    memcpy(entry->host, host, length);
    entry->host[length] = '\0';
    entry->length = (uint8_t)length;
    entry->time = 0;
    entry->advanced = 0;
}

/* Lists a host that is not listed, in place of another one when the clock is
 * full, and returns its index. */
static size_t entry_add(struct vclock *clock, const void *host, size_t length)
{
    size_t index = clock->count < CLOCK_ENTRIES_LIMIT ? clock->count++
                                                      : entry_stalest(clock);

    entry_name(&clock->entries[index], host, length);
    clock->changes++;
    return index;
}

void vclock_init(struct vclock *clock, const char *host)
{
    size_t length = strlen(host);

    assert(host_name_is_valid(host, length));
    clock->count = 1;
    clock->next = 0;
    clock->changes = 1;
    entry_name(&clock->entries[0], host, length);
}

uint64_t vclock_tick(struct vclock *clock)
{
    struct vclock_entry *own = &clock->entries[0];

    own->time++;
    own->advanced = own->time;
    return own->time;
}

uint64_t vclock_time(const struct vclock *clock, const char *host)
{
    size_t index = entry_find(clock, 0, host, strlen(host));

    return index < clock->count ? clock->entries[index].time : 0;
}

void vclock_raise_octets(struct vclock *clock, const void *host, size_t length,
                         uint64_t time)
{
    size_t index = entry_find(clock, clock->next, host, length);

    if (index == clock->count) {
        if (time == 0)
            return;
        index = entry_add(clock, host, length);
    }
    clock->next = index + 1;
    if (index > 0 && clock->entries[index].time < time) {
        clock->entries[index].time = time;
        clock->entries[index].advanced = clock->entries[0].time;
    }
}

void vclock_raise(struct vclock *clock, const char *host, uint64_t time)
{
    vclock_raise_octets(clock, host, strlen(host), time);
}

void vclock_merge(struct vclock *clock, const struct vclock *other)
{
    clock->next = 0;
    for (size_t i = 0; i < other->count; i++) {
        const struct vclock_entry *entry = &other->entries[i];

        vclock_raise_octets(clock, entry->host, entry->length, entry->time);
    }
}

void vclock_forget(struct vclock *clock, const char *host)
{
    size_t index = entry_find(clock, clock->next, host, strlen(host));

    if (index == 0 || index == clock->count)
        return;
    clock->count--;
    clock->changes++;
    if (index < clock->count)
        clock->entries[index] = clock->entries[clock->count];
}

/* Returns whether a knows of an event that b does not. */
static bool knows_more(const struct vclock *a, const struct vclock *b)
{
    size_t next = 0;

    for (size_t i = 0; i < a->count; i++) {
        const struct vclock_entry *entry = &a->entries[i];
        size_t at = entry_find(b, next, entry->host, entry->length);
        uint64_t time = at < b->count ? b->entries[at].time : 0;

        if (entry->time > time)
            return true;
        next = at + 1;
    }
    return false;
}

enum vclock_order vclock_compare(const struct vclock *a, const struct vclock *b)
{
    bool a_knows_more = knows_more(a, b);
    bool b_knows_more = knows_more(b, a);

    if (a_knows_more && b_knows_more)
        return VCLOCK_CONCURRENT;
    if (a_knows_more)
        return VCLOCK_AFTER;
    return b_knows_more ? VCLOCK_BEFORE : VCLOCK_EQUAL;
}

bool host_name_is_valid(const char *text, size_t length)
{
    return length > 0 && length <= HOST_NAME_MAX_LENGTH &&
           octets_are_printable(text, length, '"', '\\');
}
