/* SPDX-License-Identifier: MIT */
/*
 * explorer_set: all global states that were found. A state takes four octets
 * per node, eight for its parent (which, and a part of its hash) and about six
 * for its place in the hash table.
 *
 * The set is cut into shards by the hash, each with a lock of its own, so that
 * threads seldom meet. A shard's states lie in the order in which they came, so
 * the states of one level are a range in each shard and need no queue.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"
#include "sim/pages.h"

enum { SLOTS_FIRST = 64, PLACE_BITS = 24 };

#define PLACE_MASK (((uint32_t)1 << PLACE_BITS) - 1)

static uint32_t shard_of(uint64_t hash)
{
    return (uint32_t)(hash >> 59); /* SHARDS of them */
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 40) & 0xff;
}

/* Shows threads without the lock where to prefetch. If they see a part of an
 * old table they prefetch nothing of use, which does no harm. */
static void shard_show(struct shard *shard)
{
    atomic_store_explicit(&shard->shown_slots, shard->slots,
                          memory_order_relaxed);
    atomic_store_explicit(&shard->shown_capacity, shard->capacity,
                          memory_order_relaxed);
}

struct state_set *state_set_new(const struct explorer *explorer)
{
    struct state_set *set = memory_new(sizeof(*set));

    set->explorer = explorer;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &set->shards[i];

        pthread_mutex_init(&shard->lock, NULL);
        shard->capacity = SLOTS_FIRST;
        shard->slots = pages_new(SLOTS_FIRST * sizeof(*shard->slots));
        segments_init(&shard->records,
                      (explorer->count + 2) * sizeof(uint32_t));
        shard_show(shard);
    }
    return set;
}

void state_set_free(struct state_set *set)
{
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&set->shards[i].lock);
        pages_free(set->shards[i].slots,
                   set->shards[i].capacity * sizeof(uint32_t));
        segments_release(&set->shards[i].records);
    }
    free(set);
}

static const uint32_t *record_of(const struct state_set *set, uint32_t state)
{
    return segments_at(&set->shards[state % SHARDS].records, state / SHARDS);
}

struct global state_set_at(const struct state_set *set, uint32_t state)
{
    struct global global = {.sum = 0};

    memcpy(global.contexts, record_of(set, state),
           set->explorer->count * sizeof(uint32_t));
    global_complete(set->explorer, &global);
    return global;
}

void state_set_expect(const struct state_set *set, uint32_t state)
{
    const uint32_t *contexts = record_of(set, state);

    for (uint32_t i = 0; i < set->explorer->count; i++)
        __builtin_prefetch(context_at(set->explorer, contexts[i]));
}

uint32_t state_set_parent(const struct state_set *set, uint32_t state)
{
    return record_of(set, state)[set->explorer->count];
}

static void shard_grow(const struct state_set *set, struct shard *shard)
{
    uint32_t capacity = 2 * shard->capacity;

    pages_free(shard->slots, shard->capacity * sizeof(*shard->slots));
    shard->slots = pages_new(capacity * sizeof(*shard->slots));
    shard->capacity = capacity;
    for (uint32_t place = 0; place < shard->records.count; place++) {
        struct global global;
        uint64_t hash;
        uint32_t slot;

        memcpy(global.contexts, segments_at(&shard->records, place),
               set->explorer->count * sizeof(uint32_t));
        global_complete(set->explorer, &global);
        hash = global_hash(&global);
        slot = (uint32_t)hash & (capacity - 1);
        while (shard->slots[slot])
            slot = (slot + 1) & (capacity - 1);
        shard->slots[slot] = tag_of(hash) << PLACE_BITS | (place + 1);
    }
    shard_show(shard);
}

void state_set_prefetch(const struct state_set *set, uint64_t hash)
{
    const struct shard *shard = &set->shards[shard_of(hash)];
    const uint32_t *slots =
        atomic_load_explicit(&shard->shown_slots, memory_order_relaxed);
    uint32_t capacity =
        atomic_load_explicit(&shard->shown_capacity, memory_order_relaxed);

    __builtin_prefetch(&slots[(uint32_t)hash & (capacity - 1)]);
}

/* Whether parent is to stand in a record rather than the one that does. */
static bool goes_before(const struct state_set *set, const uint32_t *record,
                        uint32_t parent, uint64_t parent_hash)
{
    uint32_t count = set->explorer->count;
    struct global old;

    if (record[count] == parent || record[count + 1] < (uint32_t)parent_hash)
        return false;
    if (record[count + 1] > (uint32_t)parent_hash)
        return true;
    old = state_set_at(set, record[count]);
    return parent_hash < global_hash(&old);
}

/* Returns the place of a state in a shard, or the number of its states. *slot
 * is where it stands or has to. */
static uint32_t shard_find(const struct state_set *set,
                           const struct shard *shard,
                           const struct global *global, uint64_t hash,
                           uint32_t *slot)
{
    size_t size = set->explorer->count * sizeof(uint32_t);

    *slot = (uint32_t)hash & (shard->capacity - 1);
    for (; shard->slots[*slot]; *slot = (*slot + 1) & (shard->capacity - 1)) {
        uint32_t word = shard->slots[*slot];

        if (word >> PLACE_BITS == tag_of(hash) &&
            memcmp(segments_at(&shard->records, (word & PLACE_MASK) - 1),
                   global->contexts, size) == 0)
            return (word & PLACE_MASK) - 1;
    }
    return shard->records.count;
}

bool state_set_add(struct state_set *set, const struct global *global,
                   uint64_t hash, uint32_t parent, uint64_t parent_hash,
                   uint32_t *state)
{
    struct shard *shard = &set->shards[shard_of(hash)];
    uint32_t count = set->explorer->count;
    uint32_t slot;
    uint32_t place;
    uint32_t *record;
    bool is_new;

    pthread_mutex_lock(&shard->lock);
    place = shard_find(set, shard, global, hash, &slot);
    is_new = place == shard->records.count;
    record = is_new ? segments_push(&shard->records)
                    : segments_at(&shard->records, place);
    assert(place < PLACE_MASK);
    if (is_new) {
        memcpy(record, global->contexts, count * sizeof(uint32_t));
        shard->slots[slot] = tag_of(hash) << PLACE_BITS | (place + 1);
    }
    if (is_new || (place >= shard->level_end &&
                   goes_before(set, record, parent, parent_hash))) {
        record[count] = parent;
        record[count + 1] = (uint32_t)parent_hash;
    }
    if (is_new &&
        4 * (uint64_t)shard->records.count > 3 * (uint64_t)shard->capacity)
        shard_grow(set, shard);
    pthread_mutex_unlock(&shard->lock);
    *state = place * SHARDS + shard_of(hash);
    return is_new;
}

uint64_t state_set_next_level(struct state_set *set)
{
    uint64_t count = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &set->shards[i];

        shard->level_start = shard->level_end;
        shard->level_end = shard->records.count;
        count += shard->level_end - shard->level_start;
    }
    return count;
}
