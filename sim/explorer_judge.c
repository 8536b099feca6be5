/* SPDX-License-Identifier: MIT */
/*
 * explorer_judge: rules about many states, each looked at as seldom as can be.
 *
 * A state that is left has no verdict against it, so in the states that follow
 * from it only rules that see a changed node can have one. Rules that see the
 * same of the same nodes are judged together, and what they said is kept in a
 * table that forgets when two entries fall on the same place. Its keys are
 * locals, or numbers of what the rules see of locals, which are far fewer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"
#include "sim/pages.h"

enum { SLOTS = 1 << 16 };

enum opinion {
    OPINION_NONE, /* of a slot: free */
    OPINION_GOOD,
    OPINION_BAD, /* some rule has a sentence */
};

/* ---- Groups ---- */

static struct rule_group *group_for(struct rule_groups *groups,
                                    const struct explorer_rule *rule,
                                    uint32_t nodes)
{
    struct rule_group *group = groups->groups;

    for (uint32_t i = 0; i < groups->count; i++, group++) {
        if (group->nodes == nodes && group->aspect == rule->aspect)
            return group;
    }
    assert(groups->count < RULE_GROUPS_MAX);
    groups->count++;
    group->nodes = nodes;
    group->aspect = rule->aspect;
    group->width = (uint32_t)__builtin_popcount(nodes) + 1;
    if (group->aspect)
        intern_init(&group->names);
    return group;
}

static size_t slots_size(const struct rule_group *group)
{
    return SLOTS * (size_t)group->width * sizeof(uint32_t);
}

void rule_groups_init(struct rule_groups *groups,
                      const struct explorer_rule *rules)
{
    memset(groups, 0, sizeof(*groups));
    for (uint32_t i = 0; rules && rules[i].name; i++) {
        uint32_t nodes =
            rules[i].nodes & (((uint32_t)1 << EXPLORER_NODES_MAX) - 1);
        struct rule_group *group = group_for(groups, &rules[i], nodes);

        assert(i < 32);
        group->rules = rules;
        group->members |= (uint32_t)1 << i;
    }
    for (uint32_t i = 0; i < groups->count; i++)
        groups->groups[i].slots = pages_new(slots_size(&groups->groups[i]));
}

void rule_groups_release(struct rule_groups *groups)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        struct rule_group *group = &groups->groups[i];

        pages_free(group->slots, slots_size(group));
        free(group->aspects);
        if (group->aspect)
            intern_release(&group->names);
    }
}

/* ---- Aspects ---- */

static uint32_t aspect_anew(struct worker *worker, struct rule_group *group,
                            uint32_t local)
{
    const struct node *node = local_at(worker->explorer, local)->node;

    sink_clear(&worker->sink);
    sink_bool(&worker->sink, "up", node != NULL);
    if (node)
        group->aspect(node, &worker->sink);
    return intern_put(&group->names, worker->sink.buffer, worker->sink.length,
                      NULL);
}

/* Returns what stands for a local in the keys of a group. */
static uint32_t aspect_of(struct worker *worker, struct rule_group *group,
                          uint32_t local)
{
    if (!group->aspect)
        return local;
    if (local >= group->aspects_capacity) {
        uint32_t old = group->aspects_capacity;

        group->aspects_capacity = 2 * local + 64;
        group->aspects = memory_resize(
            group->aspects, group->aspects_capacity * sizeof(*group->aspects));
        memset(group->aspects + old, 0,
               (group->aspects_capacity - old) * sizeof(*group->aspects));
    }
    if (group->aspects[local] == 0)
        group->aspects[local] = aspect_anew(worker, group, local) + 1;
    return group->aspects[local];
}

/* ---- Judging ---- */

static const char *judge_rule(const struct explorer *explorer,
                              const struct explorer_rule *rule,
                              const struct global *global)
{
    struct explorer_view view = {.count = explorer->count,
                                 .parameter = rule->parameter};

    for (uint32_t i = 0; i < explorer->count; i++) {
        if (rule->nodes >> i & 1)
            view.nodes[i] = local_at(explorer, global->locals[i])->node;
    }
    return rule->judge(&view);
}

/* Returns the sentence of a group's first rule that has one. */
static const char *judge_group(const struct explorer *explorer,
                               const struct rule_group *group,
                               const struct global *global,
                               const struct explorer_rule **which)
{
    for (uint32_t rest = group->members; rest; rest &= rest - 1) {
        const struct explorer_rule *rule = &group->rules[__builtin_ctz(rest)];
        const char *sentence = judge_rule(explorer, rule, global);

        if (sentence) {
            *which = rule;
            return sentence;
        }
    }
    return NULL;
}

/* Returns the opinion on a state, which may be none yet, in a slot for it. */
static uint32_t *find_slot(struct worker *worker, struct rule_group *group,
                           const struct global *global)
{
    const struct explorer *explorer = worker->explorer;
    uint32_t key[EXPLORER_NODES_MAX];
    uint32_t words = 0;
    uint32_t different = 0;
    uint64_t hash = 0;
    uint32_t *slot;

    for (uint32_t rest = group->nodes; rest; rest &= rest - 1) {
        uint32_t host = (uint32_t)__builtin_ctz(rest);

        key[words] = host < explorer->count
                         ? aspect_of(worker, group, global->locals[host])
                         : 0;
        hash = (hash ^ key[words++]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    slot = &group->slots[(hash & (SLOTS - 1)) * group->width];
    for (uint32_t i = 0; i < words; i++)
        different |= slot[i] ^ key[i];
    if (different) {
        memcpy(slot, key, words * sizeof(key[0]));
        slot[words] = OPINION_NONE;
    }
    return slot + words;
}

/* Returns a group's opinion on a state. */
static enum opinion opinion_on(struct worker *worker, struct rule_group *group,
                               const struct global *global)
{
    uint32_t *slot = find_slot(worker, group, global);
    uint32_t recheck = worker->explorer->recheck;
    const struct explorer_rule *rule;
    enum opinion opinion = (enum opinion) * slot;

    if (opinion != OPINION_NONE &&
        (recheck == 0 || ++worker->verdicts % recheck != 0))
        return opinion;
    *slot = judge_group(worker->explorer, group, global, &rule) ? OPINION_BAD
                                                                : OPINION_GOOD;
    assert(opinion == OPINION_NONE || opinion == (enum opinion) * slot);
    return (enum opinion) * slot;
}

const char *worker_judge(struct worker *worker, struct rule_groups *groups,
                         const struct global *global, uint32_t changed,
                         const struct explorer_rule **which)
{
    const struct explorer_rule *first = NULL;
    const char *sentence = NULL;

    for (uint32_t i = 0; i < groups->count; i++) {
        struct rule_group *group = &groups->groups[i];
        const struct explorer_rule *rule = NULL;
        const char *own;

        if (!(group->nodes & changed) ||
            opinion_on(worker, group, global) == OPINION_GOOD)
            continue;
        own = judge_group(worker->explorer, group, global, &rule);
        if (!first || rule < first) {
            first = rule;
            sentence = own;
        }
    }
    if (which)
        *which = first;
    return sentence;
}

bool worker_prunes(struct worker *worker, const struct global *global)
{
    const struct explorer *explorer = worker->explorer;
    uint32_t queue = worker->search->queue;

    for (uint32_t i = 0; queue > 0 && i < explorer->count; i++) {
        if (context_at(explorer, global->contexts[i])->waiting > queue)
            return true;
    }
    for (uint32_t i = 0; i < worker->prunes.count; i++) {
        if (opinion_on(worker, &worker->prunes.groups[i], global) ==
            OPINION_BAD)
            return true;
    }
    return false;
}
