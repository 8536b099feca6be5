/* SPDX-License-Identifier: MIT */
/*
 * kv_index: from the hash of a key to the positions where the key may be. A
 * table with open addressing and linear probing: a slot has a hash and a
 * position, so a search touches an entry only when 32 bits of its hash are
 * right, and the table grows without a look at any key.
 *
 * It grows little by little. The table that is too small stays while its slots
 * are carried over, a few with every addition; until then a search looks in
 * both. So no addition takes longer than others, however many keys there are.
 * Nothing is ever taken out: keys are never removed (kv.h).
 */
#ifndef PBSERVER_KV_INDEX_H
#define PBSERVER_KV_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_slot {
    uint32_t hash;
    uint32_t place; /* position + 1; 0: empty */
};

struct kv_table {
    struct kv_slot *slots; /* a power of two; NULL: none */
    size_t size;
};

/* Treat the fields as private. */
struct kv_index {
    struct kv_table table;
    struct kv_table old; /* still to be carried over, from `carried` on */
    size_t carried;
    size_t count;
};

/* Positions that an index can tell apart. */
#define KV_INDEX_LIMIT (UINT32_MAX - 1)

/* Makes an empty index; release it with kv_index_release. */
void kv_index_init(struct kv_index *index);
void kv_index_release(struct kv_index *index);

/* Adds a position, less than KV_INDEX_LIMIT, under a hash. */
void kv_index_add(struct kv_index *index, uint32_t hash, size_t position);

/* Brings the slot of a hash into the caches: a hint without any effect. */
void kv_index_foresee(const struct kv_index *index, uint32_t hash);

/* ---- Searching ----------------------------------------------------------- */

/* A search: begin with kv_search_begin, then ask kv_search_next for one
 * position after another until the right one is found or there are no more.
 * Both run for every operation, so they are inline. */
struct kv_search {
    const struct kv_index *index;
    const struct kv_table *table; /* NULL: at its end */
    uint32_t hash;
    size_t at;
};

/* Lets a search go on in a table, if it has slots. */
static inline void kv_search_table(struct kv_search *search,
                                   const struct kv_table *table)
{
    search->table = table->slots ? table : NULL;
    search->at = table->slots ? search->hash & (table->size - 1) : 0;
}

/* Returns a search for the positions under a hash. The index must not change
 * during the search. */
static inline struct kv_search kv_search_begin(const struct kv_index *index,
                                               uint32_t hash)
{
    struct kv_search search = {.index = index, .hash = hash};

    kv_search_table(&search, &index->table);
    return search;
}

/* Stores the next position and returns true, or returns false when there are no
 * more. The same position can come twice. */
static inline bool kv_search_next(struct kv_search *search, size_t *position)
{
    while (search->table) {
        const struct kv_table *table = search->table;
        const struct kv_slot *slot = &table->slots[search->at];

        if (slot->place == 0) {
            if (table == &search->index->old)
                break;
            kv_search_table(search, &search->index->old);
            continue;
        }
        search->at = (search->at + 1) & (table->size - 1);
        if (slot->hash == search->hash) {
            *position = slot->place - 1;
            return true;
        }
    }
    return false;
}

#endif
