/* SPDX-License-Identifier: MIT */
/*
 * vector: a counter in the place of the clock that you write in lab 1A. A clock
 * has its owner's entry and no other.
 */
#include "clocks/vector.h"

#include <string.h>

void vclock_init(struct vclock *clock, const char *host)
{
    memset(clock, 0, sizeof(*clock));
    clock->count = 1;
    clock->entries[0].length = (uint8_t)strnlen(host, HOST_NAME_MAX_LENGTH);
    memcpy(clock->entries[0].host, host, clock->entries[0].length);
}

uint64_t vclock_tick(struct vclock *clock)
{
    return ++clock->entries[0].time;
}

uint64_t vclock_time(const struct vclock *clock, const char *host)
{
    bool own = strcmp(host, clock->entries[0].host) == 0;

    return own ? clock->entries[0].time : 0;
}

void vclock_raise(struct vclock *clock, const char *host, uint64_t time)
{
    (void)clock;
    (void)host;
    (void)time;
}

void vclock_raise_octets(struct vclock *clock, const void *host, size_t length,
                         uint64_t time)
{
    (void)clock;
    (void)host;
    (void)length;
    (void)time;
}

void vclock_merge(struct vclock *clock, const struct vclock *other)
{
    (void)clock;
    (void)other;
}

void vclock_forget(struct vclock *clock, const char *host)
{
    (void)clock;
    (void)host;
}

enum vclock_order vclock_compare(const struct vclock *a, const struct vclock *b)
{
    (void)a;
    (void)b;
    return VCLOCK_CONCURRENT;
}

bool host_name_is_valid(const char *text, size_t length)
{
    (void)text;
    return length > 0 && length <= HOST_NAME_MAX_LENGTH;
}
