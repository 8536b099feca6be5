/* SPDX-License-Identifier: MIT */
/*
 * intern: see intern.h. The tables are open-addressed with linear probing and
 * at most half full; octets lie one after the other in large blocks.
 */
#include "sim/intern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/memory.h"
#include "sim/pages.h"

enum { SLOTS_FIRST = 256, BLOCK_OCTETS = 256 * 1024 };

/* ---- Segments ---- */

void segments_init(struct segments *array, size_t element_size)
{
    memset(array, 0, sizeof(*array));
    array->element_size = element_size;
}

static size_t segment_size(const struct segments *array, unsigned segment)
{
    return ((size_t)SEGMENT_FIRST << segment) * array->element_size;
}

void segments_release(struct segments *array)
{
    for (size_t i = 0; i < SEGMENTS_MAX; i++)
        pages_free(array->segments[i], segment_size(array, (unsigned)i));
    segments_init(array, array->element_size);
}

void *segments_push(struct segments *array)
{
    uint32_t place = array->count + SEGMENT_FIRST;
    unsigned segment = 31 - (unsigned)__builtin_clz(place) - 6;

    assert(segment < SEGMENTS_MAX);
    if (!array->segments[segment])
        array->segments[segment] = pages_new(segment_size(array, segment));
    array->count++;
    return segments_at(array, array->count - 1);
}

/* ---- Octets ---- */

void intern_init(struct intern *table)
{
    memset(table, 0, sizeof(*table));
    segments_init(&table->entries, sizeof(struct interned));
    segments_init(&table->blocks, sizeof(uint8_t *));
    table->capacity = SLOTS_FIRST;
    table->slots = memory_new(SLOTS_FIRST * sizeof(*table->slots));
}

void intern_release(struct intern *table)
{
    for (uint32_t i = 0; i < table->blocks.count; i++)
        free(*(uint8_t **)segments_at(&table->blocks, i));
    segments_release(&table->blocks);
    segments_release(&table->entries);
    free(table->slots);
    memset(table, 0, sizeof(*table));
}

const struct interned *intern_at(const struct intern *table, uint32_t number)
{
    return segments_at(&table->entries, number);
}

static void intern_grow(struct intern *table)
{
    uint32_t capacity = 2 * table->capacity;

    free(table->slots);
    table->slots = memory_new(capacity * sizeof(*table->slots));
    table->capacity = capacity;
    for (uint32_t i = 0; i < table->entries.count; i++) {
        uint32_t slot = (uint32_t)intern_at(table, i)->hash & (capacity - 1);

        while (table->slots[slot])
            slot = (slot + 1) & (capacity - 1);
        table->slots[slot] = i + 1;
    }
}

static const uint8_t *keep_octets(struct intern *table, const void *octets,
                                  size_t length)
{
    uint8_t *place;

    if (length > table->block_left) {
        table->block_left = length > BLOCK_OCTETS ? length : BLOCK_OCTETS;
        table->block = memory_resize(NULL, table->block_left);
        *(uint8_t **)segments_push(&table->blocks) = table->block;
    }
    place = table->block;
    if (length > 0)
        memcpy(place, octets, length);
    table->block += length;
    table->block_left -= length;
    return place;
}

uint32_t intern_put(struct intern *table, const void *octets, size_t length,
                    bool *is_new)
{
    uint64_t hash = XXH3_64bits(octets, length);
    uint32_t slot = (uint32_t)hash & (table->capacity - 1);
    struct interned *entry;

    for (; table->slots[slot]; slot = (slot + 1) & (table->capacity - 1)) {
        const struct interned *old = intern_at(table, table->slots[slot] - 1);

        if (old->hash == hash && old->length == length &&
            (length == 0 || memcmp(old->octets, octets, length) == 0)) {
            if (is_new)
                *is_new = false;
            return table->slots[slot] - 1;
        }
    }
    entry = segments_push(&table->entries);
    entry->octets = keep_octets(table, octets, length);
    entry->length = length;
    entry->hash = hash;
    table->slots[slot] = table->entries.count;
    if (2 * table->entries.count > table->capacity)
        intern_grow(table);
    if (is_new)
        *is_new = true;
    return table->entries.count - 1;
}
