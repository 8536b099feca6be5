/* SPDX-License-Identifier: MIT */
/*
 * lincheck_cache: see lincheck_cache.h. Open addressing with linear probing; a
 * slot holds an entry's place plus one in its lower 40 bits and the upper 24
 * bits of its hash above. An entry is two words that tell the state and where
 * the kept words belong, and these words.
 */
#include "sim/lincheck_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "node/memory.h"

enum {
    PLACE_BITS = 40,
    HEAD_WORDS = 2,
    FIELD_BITS = 24, /* of each number in the second word of the head */
    FIRST_SLOTS = 64,
    FIRST_WORDS = 64,
};

#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)

void lincheck_cache_init(struct lincheck_cache *cache)
{
    memset(cache, 0, sizeof(*cache));
}

void lincheck_cache_release(struct lincheck_cache *cache)
{
    free(cache->entries);
    free(cache->slots);
    lincheck_cache_init(cache);
}

size_t lincheck_cache_octets(const struct lincheck_cache *cache)
{
    return (cache->capacity + cache->slot_count) * sizeof(uint64_t);
}

/* Octets of an entry: its head says how many words follow. */
static size_t entry_words(const uint64_t *entry)
{
    return HEAD_WORDS + (size_t)(entry[1] >> (2 * FIELD_BITS)) +
           (size_t)(uint32_t)entry[0];
}

static uint64_t hash_entry(const uint64_t *entry)
{
    return XXH3_64bits(entry, entry_words(entry) * sizeof(*entry));
}

/* Copies the words of a set from the first that is not `skipped` to the last
 * that is not 0. Returns how many; where they begin goes to *first. */
static size_t keep_words(uint64_t *to, const uint64_t *set, size_t words,
                         uint64_t skipped, size_t *first)
{
    size_t at = 0;

    while (words > 0 && set[words - 1] == 0)
        words--;
    while (at < words && set[at] == skipped)
        at++;
    memcpy(to, set + at, (words - at) * sizeof(*to));
    *first = at;
    return words - at;
}

/* Writes an entry behind the others. */
static uint64_t *write_entry(struct lincheck_cache *cache, const uint64_t *set,
                             size_t words, size_t filled, uint32_t state)
{
    uint64_t *entry;
    size_t kept, rest, first, second;

    assert(words < (size_t)1 << (64 - 2 * FIELD_BITS));
    while (cache->used + HEAD_WORDS + words > cache->capacity) {
        cache->capacity =
            cache->capacity > 0 ? 2 * cache->capacity : FIRST_WORDS;
        cache->entries = memory_resize(
            cache->entries, cache->capacity * sizeof(*cache->entries));
    }
    entry = cache->entries + cache->used;
    kept = keep_words(entry + HEAD_WORDS, set, filled, UINT64_MAX, &first);
    rest = keep_words(entry + HEAD_WORDS + kept, set + filled, words - filled,
                      0, &second);
    entry[0] = (uint64_t)state << 32 | rest;
    entry[1] = (uint64_t)kept << (2 * FIELD_BITS) |
               (uint64_t)first << FIELD_BITS | second;
    return entry;
}

/* Returns the slot of an equal entry, or the empty one where it belongs. */
static uint64_t *find_slot(const struct lincheck_cache *cache,
                           const uint64_t *entry, uint64_t hash)
{
    size_t words = entry_words(entry);

    for (size_t at = (size_t)hash;; at++) {
        uint64_t *slot = &cache->slots[at & (cache->slot_count - 1)];
        const uint64_t *other;

        if (*slot == 0)
            return slot;
        if (*slot >> PLACE_BITS != hash >> PLACE_BITS)
            continue;
        other = cache->entries + (*slot & PLACE_MASK) - 1;
        if (entry_words(other) == words &&
            memcmp(other, entry, words * sizeof(*entry)) == 0)
            return slot;
    }
}

static void grow(struct lincheck_cache *cache)
{
    size_t place = 0;

    if (cache->slot_count > 0 && cache->count < cache->slot_count / 2)
        return;
    cache->slot_count =
        cache->slot_count > 0 ? 2 * cache->slot_count : FIRST_SLOTS;
    free(cache->slots);
    cache->slots = memory_new(cache->slot_count * sizeof(*cache->slots));
    while (place < cache->used) {
        const uint64_t *entry = cache->entries + place;
        uint64_t hash = hash_entry(entry);

        *find_slot(cache, entry, hash) =
            (hash >> PLACE_BITS) << PLACE_BITS | (place + 1);
        place += entry_words(entry);
    }
}

bool lincheck_cache_add(struct lincheck_cache *cache, const uint64_t *set,
                        size_t words, size_t filled, uint32_t state)
{
    const uint64_t *entry;
    uint64_t *slot;
    uint64_t hash;

    assert(filled <= words);
    grow(cache);
    entry = write_entry(cache, set, words, filled, state);
    hash = hash_entry(entry);
    slot = find_slot(cache, entry, hash);
    if (*slot != 0)
        return false;
    *slot = (hash >> PLACE_BITS) << PLACE_BITS | (cache->used + 1);
    cache->used += entry_words(entry);
    cache->count++;
    return true;
}
