/* SPDX-License-Identifier: MIT */
/*
 * intern: equal octets get equal numbers. The explorer names node states,
 * messages and sets of messages by small integers, so that a global state is a
 * short vector, and comparing two of them compares a few words.
 *
 * Interning is exact. The octets are kept and compared; a hash of them only
 * finds the candidates. Numbers count from 0 in the order of arrival and are
 * never taken back.
 *
 * Two containers, each for itself useful: `segments` is an array that grows
 * without moving, so that whoever has a number may read the element while
 * somebody else adds new ones; `intern` maps octets to numbers. Adding needs a
 * lock of the caller's; reading an element by its number does not, if the
 * number came to the reader through synchronisation.
 */
#ifndef SIM_INTERN_H
#define SIM_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No number. */
#define INTERN_NONE UINT32_MAX

enum { SEGMENTS_MAX = 26, SEGMENT_FIRST = 64 };

/* Segment k holds SEGMENT_FIRST << k elements. Treat the fields as private. */
struct segments {
    size_t element_size;
    uint32_t count;
    void *segments[SEGMENTS_MAX];
};

/* Makes an empty array of elements of this size. */
void segments_init(struct segments *array, size_t element_size);

/* Frees the elements. */
void segments_release(struct segments *array);

/* Returns a new element of zeros at the end, at index count - 1. Ends the
 * process when the array is full (four thousand million elements) or memory is
 * exhausted. */
void *segments_push(struct segments *array);

/* Returns the element at an index that is less than count. */
static inline void *segments_at(const struct segments *array, uint32_t index)
{
    uint32_t place = index + SEGMENT_FIRST;
    unsigned top = 31 - (unsigned)__builtin_clz(place);

    return (char *)array->segments[top - 6] +
           (size_t)(place - ((uint32_t)1 << top)) * array->element_size;
}

struct interned {
    const uint8_t *octets;
    size_t length;
    uint64_t hash; /* of the octets; does not depend on the number */
};

/* Treat the fields as private. */
struct intern {
    struct segments entries; /* struct interned */
    uint32_t *slots;         /* number + 1; 0: free */
    uint32_t capacity;       /* of slots, a power of two */
    uint8_t *block;          /* where the next octets go */
    size_t block_left;
    struct segments blocks; /* uint8_t *, to be freed */
};

/* Makes an empty table; intern_release frees it with all octets. */
void intern_init(struct intern *table);
void intern_release(struct intern *table);

/* Returns the number of these octets, which are copied if they are new.
 * *is_new, which may be NULL, says whether they are. */
uint32_t intern_put(struct intern *table, const void *octets, size_t length,
                    bool *is_new);

/* Returns what has this number; borrowed for the life of the table. */
const struct interned *intern_at(const struct intern *table, uint32_t number);

/* Returns 64 well-mixed bits of a key. */
static inline uint64_t intern_mix(uint64_t key)
{
    key ^= key >> 32;
    key *= 0xd6e8feb86659fd93u;
    key ^= key >> 32;
    key *= 0xd6e8feb86659fd93u;
    return key ^ key >> 32;
}

#endif
