/* SPDX-License-Identifier: MIT */
/*
 * explorer_memo: what an event does to a local, computed once and kept with the
 * local in a small open-addressed table.
 *
 * The table is read without a lock. A slot's event is written after its
 * outcome, and a table that became too small is replaced by a larger copy and
 * freed only at the end, since somebody may still be reading it.
 *
 * One hit in `recheck` is run again and compared, so that a role that hides
 * something from its description does not stay unnoticed.
 */
#include <assert.h>
#include <stdlib.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

enum { REACTIONS_FIRST = 8 };

struct reaction {
    atomic_uint event; /* plus one; 0: free */
    const struct outcome *outcome;
};

struct reactions {
    uint32_t capacity; /* a power of two */
    uint32_t count;
    struct reactions *older;
    struct reaction slots[];
};

/* ---- The table of a local ---- */

static uint32_t slot_of(const struct reactions *reactions, uint32_t event)
{
    return (uint32_t)(intern_mix(event) >> 32) & (reactions->capacity - 1);
}

static const struct outcome *reaction_find(const struct local *local,
                                           uint32_t event)
{
    const struct reactions *reactions =
        atomic_load_explicit(&local->reactions, memory_order_acquire);
    uint32_t mask, there;

    if (!reactions)
        return NULL;
    mask = reactions->capacity - 1;
    for (uint32_t i = slot_of(reactions, event);; i = (i + 1) & mask) {
        there = atomic_load_explicit(&reactions->slots[i].event,
                                     memory_order_acquire);
        if (there == event + 1)
            return reactions->slots[i].outcome;
        if (there == 0)
            return NULL;
    }
}

static void insert(struct reactions *reactions, uint32_t event,
                   const struct outcome *outcome)
{
    uint32_t mask = reactions->capacity - 1;
    uint32_t i = slot_of(reactions, event);

    while (
        atomic_load_explicit(&reactions->slots[i].event, memory_order_relaxed))
        i = (i + 1) & mask;
    reactions->slots[i].outcome = outcome;
    atomic_store_explicit(&reactions->slots[i].event, event + 1,
                          memory_order_release);
    reactions->count++;
}

static struct reactions *larger(struct reactions *old)
{
    uint32_t capacity = old ? 2 * old->capacity : REACTIONS_FIRST;
    struct reactions *reactions =
        memory_new(sizeof(*reactions) + capacity * sizeof(struct reaction));

    reactions->capacity = capacity;
    reactions->older = old;
    for (uint32_t i = 0; old && i < old->capacity; i++) {
        uint32_t event =
            atomic_load_explicit(&old->slots[i].event, memory_order_relaxed);

        if (event)
            insert(reactions, event - 1, old->slots[i].outcome);
    }
    return reactions;
}

/* Keeps an outcome; with the lock held. */
static void reaction_put(struct local *local, uint32_t event,
                         const struct outcome *outcome)
{
    struct reactions *reactions =
        atomic_load_explicit(&local->reactions, memory_order_relaxed);

    if (!reactions || 2 * (reactions->count + 1) > reactions->capacity)
        reactions = larger(reactions);
    insert(reactions, event, outcome);
    atomic_store_explicit(&local->reactions, reactions, memory_order_release);
}

void reactions_forget(struct local *local)
{
    struct reactions *reactions = atomic_load(&local->reactions);

    while (reactions) {
        struct reactions *older = reactions->older;

        free(reactions);
        reactions = older;
    }
    atomic_store(&local->reactions, NULL);
}

/* ---- Outcomes ---- */

void outcome_free(const struct outcome *outcome)
{
    union {
        const struct outcome *in;
        void *out;
    } cast = {.in = outcome};

    free(cast.out);
}

/* Returns its argument, which the explorer frees at its end. */
static const struct outcome *keep(struct explorer *explorer,
                                  struct outcome *outcome)
{
    *(struct outcome **)segments_push(&explorer->outcome_list) = outcome;
    return outcome;
}

static const struct outcome *miss(struct explorer *explorer, uint32_t number,
                                  uint32_t event)
{
    struct local *local = segments_at(&explorer->locals, number);
    const struct outcome *outcome;

    pthread_mutex_lock(&explorer->lock);
    outcome = reaction_find(local, event);
    if (!outcome) {
        outcome = keep(explorer, outcome_run(&explorer->runner, number, event));
        reaction_put(local, event, outcome);
    }
    pthread_mutex_unlock(&explorer->lock);
    return outcome;
}

static const struct outcome *sample(struct explorer *explorer, uint32_t local,
                                    uint32_t event,
                                    const struct outcome *outcome)
{
    struct outcome *failed;

    pthread_mutex_lock(&explorer->lock);
    failed = outcome_recheck(&explorer->runner, local, event, outcome);
    if (failed)
        outcome = keep(explorer, failed);
    pthread_mutex_unlock(&explorer->lock);
    return outcome;
}

static const struct outcome *run_anew(struct runner *runner, uint32_t local,
                                      uint32_t event)
{
    bool common = !runner->replicas;
    const struct outcome *outcome;

    if (common)
        pthread_mutex_lock(&runner->explorer->lock);
    outcome = outcome_run(runner, local, event);
    if (common)
        pthread_mutex_unlock(&runner->explorer->lock);
    return outcome;
}

const struct outcome *explorer_outcome(struct runner *runner, uint32_t local,
                                       uint32_t event, uint64_t *hits)
{
    struct explorer *explorer = runner->explorer;
    const struct outcome *outcome;

    if (explorer->search && explorer->search->no_memo)
        return run_anew(runner, local, event);
    outcome = reaction_find(local_at(explorer, local), event);
    if (!outcome)
        return miss(explorer, local, event);
    if (hits && explorer->recheck > 0 && !outcome->failure &&
        ++*hits % explorer->recheck == 0)
        return sample(explorer, local, event, outcome);
    return outcome;
}
