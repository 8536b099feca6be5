/* SPDX-License-Identifier: MIT */
/*
 * explorer_worker: what one thread keeps for itself, so that threads meet as
 * seldom as possible: what a context becomes when messages are added, what a
 * node does by itself, and verdicts of rules. All three forget when two entries
 * fall on the same place; the whole keys are compared, so nothing is guessed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

enum {
    UNION_SLOTS = 1 << 18,
    ACT_SLOTS = 1 << 12,
    VERDICT_SLOTS = 1 << 16,
};

static struct verdict_slot *verdict_slots_new(void)
{
    size_t size = VERDICT_SLOTS * sizeof(struct verdict_slot);
    void *slots = aligned_alloc(_Alignof(struct verdict_slot), size);

    assert(slots);
    return memset(slots, 0, size);
}

void worker_init(struct worker *worker, struct explorer *explorer,
                 const struct explorer_search *search)
{
    memset(worker, 0, sizeof(*worker));
    worker->explorer = explorer;
    worker->search = search;
    worker->unions = memory_new(UNION_SLOTS * sizeof(*worker->unions));
    worker->acts = memory_new(ACT_SLOTS * sizeof(*worker->acts));
    worker->verdicts = verdict_slots_new();
    worker->opinions = verdict_slots_new();
}

void worker_release(struct worker *worker)
{
    free(worker->unions);
    free(worker->acts);
    free(worker->verdicts);
    free(worker->opinions);
}

/* ---- Rules ---- */

static const char *judge_anew(const struct explorer *explorer,
                              const struct explorer_rule *rule,
                              const uint32_t *locals)
{
    struct explorer_view view = {.count = explorer->count,
                                 .parameter = rule->parameter};

    for (uint32_t i = 0; i < explorer->count; i++) {
        if (rule->nodes >> i & 1)
            view.nodes[i] = local_at(explorer, locals[i])->node;
    }
    return rule->judge(&view);
}

/* Returns the slot for these locals. Its verdict holds if this returns true. */
static bool find_verdict(struct verdict_slot *slots,
                         const struct explorer_rule *rules,
                         const uint32_t *locals, struct verdict_slot **found)
{
    uint64_t words[EXPLORER_NODES_MAX / 2];
    uint64_t hash = (uintptr_t)rules;
    struct verdict_slot *slot;

    memcpy(words, locals, sizeof(words));
    for (size_t i = 0; i < EXPLORER_NODES_MAX / 2; i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15u;
    slot = &slots[hash >> 32 & (VERDICT_SLOTS - 1)];
    *found = slot;
    if (slot->rules == rules &&
        memcmp(slot->locals, locals, sizeof(slot->locals)) == 0)
        return true;
    slot->rules = rules;
    memcpy(slot->locals, locals, sizeof(slot->locals));
    return false;
}

static const char *judge_one(struct worker *worker,
                             const struct explorer_rule *rule,
                             const uint32_t *all)
{
    uint32_t locals[EXPLORER_NODES_MAX] = {0};
    struct verdict_slot *slot;

    for (uint32_t i = 0; i < worker->explorer->count; i++) {
        if (rule->nodes >> i & 1)
            locals[i] = all[i];
    }
    if (!find_verdict(worker->opinions, rule, locals, &slot))
        slot->verdict = judge_anew(worker->explorer, rule, locals);
    return slot->verdict;
}

static void judge_list(struct worker *worker, struct verdict_slot *slot)
{
    const struct explorer_rule *rule = slot->rules;

    slot->verdict = NULL;
    for (; !slot->verdict && rule->name; rule++) {
        slot->verdict = judge_one(worker, rule, slot->locals);
        slot->which = rule;
    }
}

const char *worker_judge(struct worker *worker,
                         const struct explorer_rule *rules,
                         const struct global *global,
                         const struct explorer_rule **which)
{
    const struct explorer *explorer = worker->explorer;
    uint32_t locals[EXPLORER_NODES_MAX] = {0};
    struct verdict_slot *slot;

    if (!rules || !rules->name)
        return NULL;
    for (uint32_t i = 0; i < explorer->count; i++)
        locals[i] = context_at(explorer, global->contexts[i])->local;
    if (!find_verdict(worker->verdicts, rules, locals, &slot))
        judge_list(worker, slot);
    if (which)
        *which = slot->which;
    return slot->verdict;
}

/* ---- Steps ---- */

static const struct steps *find_act(struct worker *worker, uint32_t context,
                                    uint32_t knowledge)
{
    uint64_t key = (uint64_t)context << 32 | knowledge;
    struct act_slot *slot =
        &worker->acts[(intern_mix(key) >> 16) & (ACT_SLOTS - 1)];

    if (worker->search->no_memo)
        return context_act(worker->explorer, context, knowledge);
    if (!slot->steps || slot->key != key)
        *slot = (struct act_slot){
            key, context_act(worker->explorer, context, knowledge)};
    return slot->steps;
}

struct choice worker_choice(struct worker *worker, const struct global *global,
                            uint32_t host)
{
    const struct explorer *explorer = worker->explorer;
    uint32_t context = global->contexts[host];
    struct choice choice = {context_steps(worker->explorer, context), NULL};

    if (context_at(explorer, context)->wants &&
        !(worker->search->nodes_off >> host & 1))
        choice.act =
            find_act(worker, context, global_knowledge(explorer, global));
    return choice;
}

static void steps_done(const struct steps *steps)
{
    union {
        const struct steps *in;
        void *out;
    } cast = {.in = steps};

    for (uint32_t i = 0; steps && i < steps->count; i++)
        outcome_free(steps->step[i].outcome);
    free(cast.out);
}

void worker_choice_done(struct worker *worker, const struct choice *choice)
{
    if (!worker->search->no_memo)
        return;
    steps_done(choice->steps);
    steps_done(choice->act);
}

static uint32_t find_union(struct worker *worker, uint32_t context,
                           uint32_t list)
{
    struct explorer *explorer = worker->explorer;
    uint64_t key = (uint64_t)context << 32 | list;
    struct union_slot *slot =
        &worker->unions[(intern_mix(key) >> 16) & (UNION_SLOTS - 1)];

    if (slot->key == key + 1)
        return (uint32_t)slot->after;
    pthread_mutex_lock(&explorer->lock);
    *slot = (struct union_slot){key + 1, context_add(explorer, context, list)};
    pthread_mutex_unlock(&explorer->lock);
    return (uint32_t)slot->after;
}

void worker_apply(struct worker *worker, const struct global *global,
                  uint32_t host, const struct step *step, struct global *next)
{
    const struct explorer *explorer = worker->explorer;
    const struct outcome *outcome = step->outcome;

    *next = *global;
    next->contexts[host] = step->after;
    next->sum += context_at(explorer, step->after)->hash -
                 context_at(explorer, global->contexts[host])->hash;
    for (uint32_t i = 0; i < outcome->send_count; i++) {
        uint32_t to = outcome->sends[i].to;

        if (to == host)
            continue;
        next->contexts[to] =
            find_union(worker, global->contexts[to], outcome->sends[i].list);
        next->sum += context_at(explorer, next->contexts[to])->hash -
                     context_at(explorer, global->contexts[to])->hash;
    }
}
