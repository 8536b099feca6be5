/* SPDX-License-Identifier: MIT */
/*
 * explorer_worker: what one thread keeps for itself, so that threads meet as
 * seldom as possible: what a context becomes when messages are added, what a
 * node does by itself, and the memory of the steps that it lists. The caches
 * forget when two entries fall on the same place; whole keys are compared, so
 * nothing is guessed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"
#include "sim/pages.h"

enum {
    UNION_SLOTS = 1 << 17,
    ACT_SLOTS = 1 << 14,
    BLOCK_WORDS = (1 << 18) - 1, /* with the pointer, 2 MiB */
    BLOCK_OCTETS = BLOCK_WORDS * sizeof(uint64_t),
};

struct memory_block {
    struct memory_block *next;
    uint64_t words[BLOCK_WORDS];
};

void worker_init(struct worker *worker, struct explorer *explorer,
                 const struct explorer_search *search)
{
    memset(worker, 0, sizeof(*worker));
    worker->explorer = explorer;
    worker->search = search;
    worker->unions = pages_new(UNION_SLOTS * sizeof(*worker->unions));
    worker->acts = pages_new(ACT_SLOTS * sizeof(*worker->acts));
    sink_init(&worker->sink, SINK_CANONICAL);
    worker->runner = &explorer->runner;
    if (search->no_memo) {
        worker->runner = memory_new(sizeof(*worker->runner));
        runner_init(worker->runner, explorer, true);
    }
    rule_groups_init(&worker->invariants, search->invariants);
    rule_groups_init(&worker->goals, search->goals);
    rule_groups_init(&worker->prunes, search->prunes);
}

void worker_release(struct worker *worker)
{
    pages_free(worker->unions, UNION_SLOTS * sizeof(*worker->unions));
    pages_free(worker->acts, ACT_SLOTS * sizeof(*worker->acts));
    rule_groups_release(&worker->invariants);
    rule_groups_release(&worker->goals);
    rule_groups_release(&worker->prunes);
    sink_release(&worker->sink);
    if (worker->runner != &worker->explorer->runner) {
        worker->explorer->runner.handlers += worker->runner->handlers;
        worker->explorer->runner.checks += worker->runner->checks;
        runner_release(worker->runner);
        free(worker->runner);
    }
    while (worker->blocks) {
        struct memory_block *next = worker->blocks->next;

        pages_free(worker->blocks, sizeof(*worker->blocks));
        worker->blocks = next;
    }
    free(worker->draft);
}

/* ---- Memory ---- */

void *worker_memory(struct worker *worker, size_t size)
{
    assert(size <= BLOCK_OCTETS && size % 8 == 0);
    if (size > worker->block_left) {
        struct memory_block *block = pages_new(sizeof(*block));

        block->next = worker->blocks;
        worker->blocks = block;
        worker->block_left = BLOCK_OCTETS;
    }
    worker->block_left -= size;
    return &worker->blocks->words[worker->block_left / sizeof(uint64_t)];
}

/* ---- Steps ---- */

static const struct steps *find_act(struct worker *worker, uint32_t context,
                                    uint32_t knowledge)
{
    uint64_t key = (uint64_t)context << 32 | knowledge;
    struct act_slot *slot =
        &worker->acts[(intern_mix(key) >> 16) & (ACT_SLOTS - 1)];

    if (worker->search->no_memo)
        return context_act(worker, context, knowledge);
    if (slot->key != key + 1)
        *slot =
            (struct act_slot){key + 1, context_act(worker, context, knowledge)};
    return slot->steps;
}

/* Whether a node has to wait until the turn of another one ends, if that one
 * has events at all. */
static bool waits_for_turn(const struct worker *worker,
                           const struct global *global, uint32_t host)
{
    const struct explorer *explorer = worker->explorer;

    if (!worker->search->short_turns ||
        context_at(explorer, global->contexts[host])->in_turn)
        return false;
    for (uint32_t i = 0; i < explorer->count; i++) {
        if (context_at(explorer, global->contexts[i])->in_turn &&
            !(worker->search->nodes_off >> i & 1))
            return true;
    }
    return false;
}

struct choice worker_choice(struct worker *worker, const struct global *global,
                            uint32_t host)
{
    static const struct steps none = {0};
    const struct explorer *explorer = worker->explorer;
    uint32_t context = global->contexts[host];
    struct choice choice = {&none, NULL};

    if (waits_for_turn(worker, global, host))
        return choice;
    choice.steps = context_steps(worker, context);
    if (context_at(explorer, context)->wants &&
        !(worker->search->nodes_off >> host & 1))
        choice.act =
            find_act(worker, context, global_knowledge(explorer, global));
    return choice;
}

static void free_outcomes(const struct steps *steps)
{
    for (uint32_t i = 0; steps && i < steps->count; i++)
        outcome_free(steps->step[i].outcome);
}

void worker_choice_done(struct worker *worker, const struct choice *choice)
{
    if (!worker->search->no_memo)
        return;
    free_outcomes(choice->steps);
    free_outcomes(choice->act);
    assert(!worker->blocks || !worker->blocks->next);
    worker->block_left = worker->blocks ? BLOCK_OCTETS : 0;
}

struct budgets worker_budgets(const struct worker *worker,
                              const struct global *global)
{
    const struct explorer *explorer = worker->explorer;
    const struct explorer_search *search = worker->search;
    uint32_t losses = 0;

    if (search->crash_budget + search->loss_budget == 0)
        return (struct budgets){false, false};
    for (uint32_t i = 0; i < explorer->count; i++)
        losses += context_at(explorer, global->contexts[i])->losses;
    return (struct budgets){global_crashes(explorer, global) <
                                search->crash_budget,
                            losses < search->loss_budget};
}

static const struct union_slot *find_union(struct worker *worker,
                                           uint32_t context, uint32_t list)
{
    struct explorer *explorer = worker->explorer;
    uint64_t key = (uint64_t)context << 32 | list;
    struct union_slot *slot =
        &worker->unions[(intern_mix(key) >> 16) & (UNION_SLOTS - 1)];
    uint32_t after;

    if (slot->key == key + 1)
        return slot;
    after = context_add(explorer, context, list);
    slot->key = key + 1;
    slot->hash_change =
        context_at(explorer, after)->hash - context_at(explorer, context)->hash;
    slot->after = after;
    return slot;
}

static void add_messages(struct worker *worker, struct global *global,
                         uint32_t to, uint32_t list)
{
    const struct union_slot *slot =
        find_union(worker, global->contexts[to], list);

    global->contexts[to] = (uint32_t)slot->after;
    global->sum += slot->hash_change;
}

/* Runs a step again whose outcome came from the memo. */
static const char *run_again(struct worker *worker, uint32_t local,
                             const struct step *step)
{
    struct explorer *explorer = worker->explorer;
    struct outcome *failed;
    const char *sentence;

    pthread_mutex_lock(&explorer->lock);
    failed =
        outcome_recheck(&explorer->runner, local, step->event, step->outcome);
    pthread_mutex_unlock(&explorer->lock);
    sentence = failed ? failed->failure : NULL;
    outcome_free(failed);
    return sentence;
}

const char *worker_apply(struct worker *worker, const struct global *global,
                         uint32_t host, const struct step *step,
                         struct global *next)
{
    struct explorer *explorer = worker->explorer;
    const struct outcome *outcome = step->outcome;

    *next = *global;
    next->contexts[host] = step->after;
    next->locals[host] = step->local;
    next->sum += step->hash_change;
    if (step->send_count == 1)
        add_messages(worker, next, step->first_to, step->first_list);
    else if (step->send_count > 1) {
        for (uint32_t i = 0; i < outcome->send_count; i++) {
            if (outcome->sends[i].to != host)
                add_messages(worker, next, outcome->sends[i].to,
                             outcome->sends[i].list);
        }
    }
    if (explorer->recheck > 0 && !worker->search->no_memo &&
        ++worker->hits % explorer->recheck == 0)
        return run_again(worker, global->locals[host], step);
    return NULL;
}
