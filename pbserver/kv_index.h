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

/* A search: begin with kv_search_begin, then ask kv_search_next for one
 * position after another until the right one is found or there are no more. */
struct kv_search {
    const struct kv_index *index;
    const struct kv_table *table;
    uint32_t hash;
    size_t at;
};

/* Returns a search for the positions under a hash. The index must not change
 * during the search. */
struct kv_search kv_search_begin(const struct kv_index *index, uint32_t hash);

/* Stores the next position and returns true, or returns false when there are no
 * more. The same position can come twice. */
bool kv_search_next(struct kv_search *search, size_t *position);

#endif
