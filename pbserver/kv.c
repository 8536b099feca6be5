/* SPDX-License-Identifier: MIT */
/*
 * kv: see kv.h. uthash finds an entry by its key; an array holds the entries by
 * position.
 */
#include "pbserver/kv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/memory.h"

#define HASH_FUNCTION(key, length, hash)                                       \
    ((hash) = (unsigned)XXH3_64bits((key), (length)))
#define uthash_malloc(size)       memory_new(size)
#define uthash_free(memory, size) free(memory)
#include <uthash.h>

struct kv_entry {
    struct bytes *key;
    struct bytes *value;
    uint64_t modified;
    UT_hash_handle hh;
};

void kv_init(struct kv *kv)
{
    memset(kv, 0, sizeof(*kv));
}

void kv_release(struct kv *kv)
{
    HASH_CLEAR(hh, kv->index);
    for (size_t i = 0; i < kv->count; i++) {
        bytes_release(kv->entries[i]->key);
        bytes_release(kv->entries[i]->value);
        free(kv->entries[i]);
    }
    free(kv->entries);
    kv_init(kv);
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

static uint64_t key_seed(const struct bytes *key)
{
    return XXH3_64bits(key->data, key->length);
}

static struct kv_entry *kv_find(const struct kv *kv, const void *key,
                                size_t length)
{
    struct kv_entry *entry;

    if (length == 0)
        key = ""; /* an empty key in a message is NULL */
    HASH_FIND(hh, kv->index, key, (unsigned)length, entry);
    return entry;
}

static struct kv_entry *kv_add(struct kv *kv, struct bytes *key)
{
    struct kv_entry *entry = memory_new(sizeof(*entry));

    if (kv->count == kv->capacity) {
        kv->capacity = kv->capacity ? 2 * kv->capacity : 16;
        kv->entries =
            memory_resize(kv->entries, kv->capacity * sizeof(*kv->entries));
    }
    kv->entries[kv->count++] = entry;
    entry->key = bytes_share(key);
    HASH_ADD_KEYPTR(hh, kv->index, entry->key->data, entry->key->length, entry);
    kv->octets += key->length;
    return entry;
}

/* Gives an entry a value, which it takes over, and keeps the sums right. */
static void entry_set(struct kv *kv, struct kv_entry *entry,
                      struct bytes *value, uint64_t op)
{
    uint64_t seed = key_seed(entry->key);

    assert(op > entry->modified);
    if (entry->value) {
        digest_sum_subtract(&kv->sum, entry->value->data, entry->value->length,
                            seed);
        kv->octets -= entry->value->length;
        bytes_release(entry->value);
    }
    digest_sum_add(&kv->sum, value->data, value->length, seed);
    kv->octets += value->length;
    entry->value = value;
    entry->modified = op;
}

void kv_clone(const struct kv *kv, struct kv *copy)
{
    kv_init(copy);
    for (size_t i = 0; i < kv->count; i++) {
        const struct kv_entry *from = kv->entries[i];
        struct kv_entry *entry = kv_add(copy, from->key);

        entry->value = bytes_share(from->value);
        entry->modified = from->modified;
    }
    copy->octets = kv->octets;
    copy->sum = kv->sum;
}

struct bytes *kv_get(const struct kv *kv, const void *key, size_t length)
{
    struct kv_entry *entry = kv_find(kv, key, length);

    return entry ? entry->value : NULL;
}

uint64_t kv_modified(const struct kv *kv, const void *key, size_t length)
{
    struct kv_entry *entry = kv_find(kv, key, length);

    return entry ? entry->modified : 0;
}

uint64_t kv_octets_after(const struct kv *kv, const struct bytes *key,
                         size_t length)
{
    struct kv_entry *entry = kv_find(kv, key->data, key->length);

    if (!entry)
        return kv->octets + key->length + length;
    return kv->octets - entry->value->length + length;
}

void kv_put(struct kv *kv, struct bytes *key, struct bytes *value, uint64_t op)
{
    struct kv_entry *entry = kv_find(kv, key->data, key->length);

    if (!entry)
        entry = kv_add(kv, key);
    entry_set(kv, entry, bytes_share(value), op);
}

void kv_append(struct kv *kv, struct bytes *key, struct bytes *value,
               uint64_t op)
{
    struct kv_entry *entry = kv_find(kv, key->data, key->length);

    if (!entry) {
        kv_put(kv, key, value, op);
        return;
    }
    entry_set(kv, entry, bytes_concat(entry->value, value->data, value->length),
              op);
}

struct kv_item kv_at(const struct kv *kv, size_t position)
{
    const struct kv_entry *entry;

    assert(position < kv->count);
    entry = kv->entries[position];
    return (struct kv_item){entry->key, entry->value, entry->modified};
}

void kv_describe(const struct kv *kv, struct sink *sink)
{
    sink_open(sink, "kv");
    for (size_t i = 0; i < kv->count; i++) {
        const struct kv_entry *entry = kv->entries[i];

        sink_octets(sink, "key", entry->key->data, entry->key->length);
        sink_octets(sink, "value", entry->value->data, entry->value->length);
        sink_u64(sink, "modified", entry->modified);
    }
    sink_close(sink);
}
