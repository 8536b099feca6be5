/* SPDX-License-Identifier: MIT */
/*
 * kv: the application that is replicated, a map from keys to values. Keys are
 * never removed, so a key keeps the position at which it first came in; a state
 * transfer and a scan walk the positions while the map goes on changing.
 *
 * Each entry remembers the op number of its last change. A backup that got the
 * entry from a state transfer knows by it which operations are in it already
 * (rule T3).
 *
 * The digest does not depend on the order of keys and is kept up to date per
 * change, so that a primary and its backup compare whole stores by 16 octets.
 */
#ifndef PBSERVER_KV_H
#define PBSERVER_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/sink.h"
#include "pbserver/kv_index.h"

struct kv_entry;

/* What a map foresees of a key: a hint. Treat the fields as private. */
struct kv_foreseen {
    uint64_t hash;
    size_t position; /* where the key probably is */
};

/* A sum of 128-bit hashes, modulo 2^64 in each half. */
struct digest_sum {
    uint64_t low;
    uint64_t high;
};

/* Treat the fields as private. */
struct kv {
    struct kv_index index;    /* from keys to positions */
    struct kv_entry *entries; /* by position */
    size_t count;
    size_t capacity;
    uint64_t octets; /* of all keys and values */
    struct digest_sum sum;
    size_t recent;        /* position of the key that kv_key found last */
    uint64_t recent_hash; /* and its hash */
};

/* What a key has; borrowed, until the next change. */
struct kv_item {
    struct bytes *key;
    struct bytes *value;
    uint64_t modified; /* op number of the last change */
};

/* Makes an empty map; release it with kv_release. */
void kv_init(struct kv *kv);
void kv_release(struct kv *kv);

/* Frees the newest keys of a map that nobody will use any more, at most so
 * many, and everything with the last. Returns whether there are more. */
bool kv_release_some(struct kv *kv, size_t keys);

/* Makes copy a copy that shares keys and values. copy is not initialised. */
void kv_clone(const struct kv *kv, struct kv *copy);

/*
 * Hints without any effect, for keys that will be looked up soon: in a large
 * store every step of a search waits for memory, and these make several wait at
 * the same time. The first brings a key's slot in the index into the caches and
 * begins what is foreseen; the second, for several keys of which that is done,
 * their entries, and then keys and values.
 */
struct kv_foreseen kv_foresee(const struct kv *kv, const void *key,
                              size_t length);
void kv_foresee_rest(const struct kv *kv, struct kv_foreseen *keys,
                     size_t count);

/* Returns the value of a key, borrowed, or NULL when it was never written. */
struct bytes *kv_get(const struct kv *kv, const void *key, size_t length);

/* Stores a key's item and returns true, or returns false when it was never
 * written. */
bool kv_item(const struct kv *kv, const void *key, size_t length,
             struct kv_item *item);

/* Returns the op number of a key's last change, 0 when it was never written. */
uint64_t kv_modified(const struct kv *kv, const void *key, size_t length);

/* Returns the key as the map has it, or a copy when it was never written. The
 * caller owns one reference. The map remembers where it is: whatever is done
 * next with the key that it returned needs no search. */
struct bytes *kv_key(struct kv *kv, const void *key, size_t length);

/* Does the same for a key that was foreseen. */
struct bytes *kv_key_foreseen(struct kv *kv, const void *key, size_t length,
                              const struct kv_foreseen *foreseen);

/* Returns the octets that the map would have after key got a value of length
 * octets. */
uint64_t kv_octets_after(const struct kv *kv, const struct bytes *key,
                         size_t length);

/* Sets key to value, by operation op. Takes references of its own. */
void kv_put(struct kv *kv, struct bytes *key, struct bytes *value, uint64_t op);

/* Does the same, unless the key was changed by this or a later operation. */
void kv_put_newer(struct kv *kv, struct bytes *key, struct bytes *value,
                  uint64_t op);

/* Adds value to the end of key's value, or sets it, by operation op. */
void kv_append(struct kv *kv, struct bytes *key, struct bytes *value,
               uint64_t op);

/* Returns the item at a position less than kv->count. */
struct kv_item kv_at(const struct kv *kv, size_t position);

/* Describes all items in the order of their positions. */
void kv_describe(const struct kv *kv, struct sink *sink);

/* Add a hash of some octets, chained to a seed, to a sum, or take it away. */
void digest_sum_add(struct digest_sum *sum, const void *octets, size_t length,
                    uint64_t seed);
void digest_sum_subtract(struct digest_sum *sum, const void *octets,
                         size_t length, uint64_t seed);

#endif
