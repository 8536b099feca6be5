/* SPDX-License-Identifier: MIT */
/*
 * kv: see kv.h. One array holds the entries, in the order in which their keys
 * came in; kv_index finds the position of a key. An entry has three words, so
 * the array can grow by realloc, which moves pages and not octets when it is
 * large.
 */
#include "pbserver/kv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Keys and most values are short: a call to the library takes as long as the
 * hash itself. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "node/memory.h"

enum { CACHE_LINE = 64 /* octets */ };

#define NOWHERE SIZE_MAX

struct kv_entry {
    struct bytes *key;
    struct bytes *value;
    uint64_t modified;
};

void kv_init(struct kv *kv)
{
    memset(kv, 0, sizeof(*kv));
    kv_index_init(&kv->index);
}

bool kv_release_some(struct kv *kv, size_t keys)
{
    for (; keys > 0 && kv->count > 0; keys--) {
        struct kv_entry *entry = &kv->entries[--kv->count];

        bytes_release(entry->value);
        bytes_release(entry->key);
    }
    if (kv->count > 0)
        return true;
    kv_index_release(&kv->index);
    free(kv->entries);
    kv_init(kv);
    return false;
}

void kv_release(struct kv *kv)
{
    kv_release_some(kv, kv->count);
}

void digest_sum_add(struct digest_sum *sum, const void *octets, size_t length,
                    uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(octets, length, seed);

    sum->low += hash.low64;
    sum->high += hash.high64;
}

void digest_sum_subtract(struct digest_sum *sum, const void *octets,
                         size_t length, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(octets, length, seed);

    sum->low -= hash.low64;
    sum->high -= hash.high64;
}

/* The hash of a key. Its lower half leads to slots of the index, all of it is
 * the seed of the value's hash in the digest. An empty key in a message is
 * NULL, here and below. */
static uint64_t key_hash(const void *key, size_t length)
{
    return XXH3_64bits(length > 0 ? key : "", length);
}

static bool key_is(const struct bytes *key, const void *octets, size_t length)
{
    return key->length == length &&
           (length == 0 || memcmp(key->data, octets, length) == 0);
}

/* Where a key is: its entry, NULL if it has none, and its hash. */
struct place {
    struct kv_entry *entry;
    uint64_t hash;
};

/* Whether this is the key that kv_key found last: then it is the map's own, at
 * the same address. Keys and positions stay for as long as the map. */
static bool is_recent(const struct kv *kv, const void *key, size_t length)
{
    const struct bytes *recent;

    if (kv->recent >= kv->count)
        return false;
    recent = kv->entries[kv->recent].key;
    return recent->data == key && recent->length == length;
}

static struct kv_entry *find_hashed(const struct kv *kv, uint64_t hash,
                                    const void *key, size_t length)
{
    struct kv_search search = kv_search_begin(&kv->index, (uint32_t)hash);
    size_t position;

    while (kv_search_next(&search, &position)) {
        struct kv_entry *entry = &kv->entries[position];

        /* In a large store every step is a cache miss: the value, which the
         * caller will want, is on its way while the key is compared. */
        __builtin_prefetch(entry->value);
        if (key_is(entry->key, key, length))
            return entry;
    }
    return NULL;
}

static struct place kv_find(const struct kv *kv, const void *key, size_t length)
{
    struct place place;

    if (is_recent(kv, key, length))
        return (struct place){&kv->entries[kv->recent], kv->recent_hash};
    place.hash = key_hash(key, length);
    place.entry = find_hashed(kv, place.hash, key, length);
    return place;
}

struct kv_foreseen kv_foresee(const struct kv *kv, const void *key,
                              size_t length)
{
    struct kv_foreseen foreseen = {key_hash(key, length), NOWHERE};

    kv_index_foresee(&kv->index, (uint32_t)foreseen.hash);
    return foreseen;
}

/* The first entry under a hash is the right one but for keys with the same
 * hash. */
static void foresee_entry(const struct kv *kv, struct kv_foreseen *foreseen)
{
    struct kv_search search =
        kv_search_begin(&kv->index, (uint32_t)foreseen->hash);

    if (kv_search_next(&search, &foreseen->position))
        __builtin_prefetch(&kv->entries[foreseen->position]);
}

static void foresee_octets(const struct kv *kv,
                           const struct kv_foreseen *foreseen)
{
    const struct kv_entry *entry;

    if (foreseen->position == NOWHERE)
        return;
    entry = &kv->entries[foreseen->position];
    __builtin_prefetch(entry->key);
    __builtin_prefetch(entry->value);
    __builtin_prefetch((const char *)entry->value + CACHE_LINE);
}

void kv_foresee_rest(const struct kv *kv, struct kv_foreseen *keys,
                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        foresee_entry(kv, &keys[i]);
    for (size_t i = 0; i < count; i++)
        foresee_octets(kv, &keys[i]);
}

/* Adds a key with this hash, without a value. */
static struct kv_entry *kv_add(struct kv *kv, uint64_t hash, struct bytes *key)
{
    struct kv_entry *entry;

    if (kv->count == kv->capacity) {
        kv->capacity = kv->capacity ? 2 * kv->capacity : 8;
        kv->entries =
            memory_resize(kv->entries, kv->capacity * sizeof(*kv->entries));
    }
    kv_index_add(&kv->index, (uint32_t)hash, kv->count);
    entry = &kv->entries[kv->count++];
    *entry = (struct kv_entry){.key = bytes_share(key)};
    kv->octets += key->length;
    return entry;
}

/* Gives an entry, whose key has this hash, a value, which it takes over, and
 * keeps the sums right. */
static void entry_set(struct kv *kv, struct kv_entry *entry, uint64_t hash,
                      struct bytes *value, uint64_t op)
{
    assert(op > entry->modified);
    if (entry->value) {
        digest_sum_subtract(&kv->sum, entry->value->data, entry->value->length,
                            hash);
        kv->octets -= entry->value->length;
        bytes_release(entry->value);
    }
    digest_sum_add(&kv->sum, value->data, value->length, hash);
    kv->octets += value->length;
    entry->value = value;
    entry->modified = op;
}

void kv_clone(const struct kv *kv, struct kv *copy)
{
    kv_init(copy);
    for (size_t i = 0; i < kv->count; i++) {
        const struct kv_entry *from = &kv->entries[i];
        uint64_t hash = key_hash(from->key->data, from->key->length);
        struct kv_entry *entry = kv_add(copy, hash, from->key);

        entry->value = bytes_share(from->value);
        entry->modified = from->modified;
    }
    copy->octets = kv->octets;
    copy->sum = kv->sum;
}

struct bytes *kv_get(const struct kv *kv, const void *key, size_t length)
{
    const struct kv_entry *entry = kv_find(kv, key, length).entry;

    return entry ? entry->value : NULL;
}

static struct kv_item item_of(const struct kv_entry *entry)
{
    return (struct kv_item){entry->key, entry->value, entry->modified};
}

bool kv_item(const struct kv *kv, const void *key, size_t length,
             struct kv_item *item)
{
    const struct kv_entry *entry = kv_find(kv, key, length).entry;

    if (entry)
        *item = item_of(entry);
    return entry != NULL;
}

uint64_t kv_modified(const struct kv *kv, const void *key, size_t length)
{
    const struct kv_entry *entry = kv_find(kv, key, length).entry;

    return entry ? entry->modified : 0;
}

/* Returns the key at a place, which it remembers, or a copy of it. */
static struct bytes *key_at(struct kv *kv, struct place place, const void *key,
                            size_t length)
{
    if (!place.entry)
        return bytes_new(key, length);
    kv->recent = (size_t)(place.entry - kv->entries);
    kv->recent_hash = place.hash;
    return bytes_share(place.entry->key);
}

struct bytes *kv_key(struct kv *kv, const void *key, size_t length)
{
    return key_at(kv, kv_find(kv, key, length), key, length);
}

struct bytes *kv_key_foreseen(struct kv *kv, const void *key, size_t length,
                              const struct kv_foreseen *foreseen)
{
    struct place place = {NULL, foreseen->hash};

    if (foreseen->position < kv->count)
        place.entry = &kv->entries[foreseen->position];
    if (!place.entry || !key_is(place.entry->key, key, length))
        place.entry = find_hashed(kv, place.hash, key, length);
    return key_at(kv, place, key, length);
}

uint64_t kv_octets_after(const struct kv *kv, const struct bytes *key,
                         size_t length)
{
    const struct kv_entry *entry = kv_find(kv, key->data, key->length).entry;

    if (!entry)
        return kv->octets + key->length + length;
    return kv->octets - entry->value->length + length;
}

/* Gives the key at a place a value. */
static void put_at(struct kv *kv, struct place place, struct bytes *key,
                   struct bytes *value, uint64_t op)
{
    if (!place.entry)
        place.entry = kv_add(kv, place.hash, key);
    entry_set(kv, place.entry, place.hash, bytes_share(value), op);
}

void kv_put(struct kv *kv, struct bytes *key, struct bytes *value, uint64_t op)
{
    put_at(kv, kv_find(kv, key->data, key->length), key, value, op);
}

void kv_put_newer(struct kv *kv, struct bytes *key, struct bytes *value,
                  uint64_t op)
{
    struct place place = kv_find(kv, key->data, key->length);

    if (op > (place.entry ? place.entry->modified : 0))
        put_at(kv, place, key, value, op);
}

void kv_append(struct kv *kv, struct bytes *key, struct bytes *value,
               uint64_t op)
{
    struct place place = kv_find(kv, key->data, key->length);

    if (place.entry)
        entry_set(kv, place.entry, place.hash,
                  bytes_concat(place.entry->value, value->data, value->length),
                  op);
    else
        put_at(kv, place, key, value, op);
}

struct kv_item kv_at(const struct kv *kv, size_t position)
{
    assert(position < kv->count);
    return item_of(&kv->entries[position]);
}

void kv_describe(const struct kv *kv, struct sink *sink)
{
    sink_open(sink, "kv");
    for (size_t i = 0; i < kv->count; i++) {
        const struct kv_entry *entry = &kv->entries[i];

        sink_octets(sink, "key", entry->key->data, entry->key->length);
        sink_octets(sink, "value", entry->value->data, entry->value->length);
        sink_u64(sink, "modified", entry->modified);
    }
    sink_close(sink);
}
