/* SPDX-License-Identifier: MIT */
/*
 * lincheck_cache: the configurations (set of operations done, state) that a
 * search has met. A set is a row of 64-bit words, of which a configuration
 * keeps those that say something: operations are done roughly in the order of
 * their numbers, so all words before some point are full and all behind another
 * are empty, and these are left out. Entries are compared exactly; a hash only
 * finds them.
 */
#ifndef SIM_LINCHECK_CACHE_H
#define SIM_LINCHECK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lincheck_cache {
    uint64_t *entries; /* one behind the other */
    size_t used;       /* words of them */
    size_t capacity;
    uint64_t *slots; /* where entries begin, and some bits of their hash */
    size_t slot_count;
    size_t count;
};

/* Makes an empty cache; lincheck_cache_release frees what it holds. */
void lincheck_cache_init(struct lincheck_cache *cache);
void lincheck_cache_release(struct lincheck_cache *cache);

/*
 * Adds a configuration. The set has `words` words; the first `filled` of them
 * tend to fill up from the left, the rest tend to stay empty. Returns whether
 * it was new.
 */
bool lincheck_cache_add(struct lincheck_cache *cache, const uint64_t *set,
                        size_t words, size_t filled, uint32_t state);

/* Returns how many octets the cache has allocated. */
size_t lincheck_cache_octets(const struct lincheck_cache *cache);

#endif
