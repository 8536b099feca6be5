/* SPDX-License-Identifier: MIT */
/*
 * kv_index: see kv_index.h. A table is full at three quarters. Its successor is
 * twice as large and has room for as many additions as the old table has keys,
 * so CARRY slots with each are far more than enough.
 */
#include "pbserver/kv_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum {
    SIZE_FIRST = 16,
    CARRY = 16, /* old slots carried over with an addition */
};

void kv_index_init(struct kv_index *index)
{
    memset(index, 0, sizeof(*index));
}

void kv_index_release(struct kv_index *index)
{
    free(index->table.slots);
    free(index->old.slots);
    kv_index_init(index);
}

static struct kv_table table_new(size_t size)
{
    return (struct kv_table){memory_new(size * sizeof(struct kv_slot)), size};
}

static void table_put(struct kv_table *table, struct kv_slot slot)
{
    size_t mask = table->size - 1;
    size_t at = slot.hash & mask;

    while (table->slots[at].place != 0)
        at = (at + 1) & mask;
    table->slots[at] = slot;
}

static void carry(struct kv_index *index, size_t slots)
{
    struct kv_table *old = &index->old;

    for (; slots > 0 && index->carried < old->size; slots--, index->carried++) {
        if (old->slots[index->carried].place != 0)
            table_put(&index->table, old->slots[index->carried]);
    }
    if (index->carried < old->size)
        return;
    free(old->slots);
    *old = (struct kv_table){0};
    index->carried = 0;
}

static bool is_full(const struct kv_index *index)
{
    return index->count >= index->table.size / 4 * 3;
}

static void grow(struct kv_index *index)
{
    size_t size = index->table.size ? 2 * index->table.size : SIZE_FIRST;

    assert(!index->old.slots);
    index->old = index->table;
    index->table = table_new(size);
}

void kv_index_add(struct kv_index *index, uint32_t hash, size_t position)
{
    assert(position < KV_INDEX_LIMIT);
    if (is_full(index))
        grow(index);
    if (index->old.slots)
        carry(index, CARRY);
    table_put(&index->table, (struct kv_slot){hash, (uint32_t)(position + 1)});
    index->count++;
}

void kv_index_foresee(const struct kv_index *index, uint32_t hash)
{
    if (index->table.slots)
        __builtin_prefetch(&index->table.slots[hash & (index->table.size - 1)]);
}
