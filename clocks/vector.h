/* SPDX-License-Identifier: MIT */
/*
 * vector: a vector clock, which tells exactly whether one event happened before
 * another or neither did (Fidge 1988, Mattern 1989). Entry h counts the events
 * of host h that are known here; a host that is not listed counts as 0, so
 * clocks of different lengths compare as if padded with zeros.
 *
 * A clock holds at most CLOCK_ENTRIES_LIMIT entries. When one more host comes
 * in, the entry that has stood still for longest is dropped, never the owner's
 * (rule K4 says what that costs).
 *
 * Not thread-safe: a clock belongs to one thread.
 */
#ifndef CLOCKS_VECTOR_H
#define CLOCKS_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLOCK_ENTRIES_LIMIT = 64,  /* entries of a clock */
    HOST_NAME_MAX_LENGTH = 64, /* octets of a host name, without its zero */
};

struct vclock_entry {
    char host[HOST_NAME_MAX_LENGTH + 1]; /* ends in a zero */
    uint8_t length;                      /* octets of host, without its zero */
    uint64_t time;
    uint64_t advanced; /* the owner's time when this entry last changed */
};

/* The owner's entry is always entries[0]; the others are in no order. next is
 * where the next search begins: stamps tend to list hosts in the same order, so
 * it tends to begin at what it looks for. changes begins at 1 and rises
 * whenever a host is listed or dropped, for those who remember where a host is
 * (stamp.h); 0 says that nobody counts them, and nobody can remember. */
struct vclock {
    size_t count;
    size_t next;
    uint64_t changes;
    struct vclock_entry entries[CLOCK_ENTRIES_LIMIT];
};

enum vclock_order {
    VCLOCK_BEFORE,
    VCLOCK_AFTER,
    VCLOCK_EQUAL,
    VCLOCK_CONCURRENT
};

/* Makes the clock of host, with its own entry at 0. host must satisfy
 * host_name_is_valid. */
void vclock_init(struct vclock *clock, const char *host);

/* Advances the owner's entry by one and returns it (rule K2). */
uint64_t vclock_tick(struct vclock *clock);

/* Returns the time of a host, 0 when it is not listed. */
uint64_t vclock_time(const struct vclock *clock, const char *host);

/* Raises the entry of host to at least time: the componentwise maximum, one
 * component at a time (rule K2). The owner's own entry is never raised: nobody
 * knows more about a host than the host itself. */
void vclock_raise(struct vclock *clock, const char *host, uint64_t time);

/* Does the same for a host name of length octets without a zero at its end, as
 * it is in a message. The name must satisfy host_name_is_valid. */
void vclock_raise_octets(struct vclock *clock, const void *host, size_t length,
                         uint64_t time);

/* Raises every entry to at least its value in other (rule K2). */
void vclock_merge(struct vclock *clock, const struct vclock *other);

/* Drops the entry of host, if it is there and not the owner's (rule K4). */
void vclock_forget(struct vclock *clock, const char *host);

/* Compares two clocks by happened-before. */
enum vclock_order vclock_compare(const struct vclock *a,
                                 const struct vclock *b);

/* Returns whether length octets at text are a host name: 1 to
 * HOST_NAME_MAX_LENGTH octets of printable ASCII without space, quote or
 * backslash. */
bool host_name_is_valid(const char *text, size_t length);

#endif
