/* SPDX-License-Identifier: MIT */
/*
 * explorer_context: a local with everything that was sent to it, and the list
 * of its steps. This is what makes the search fast: all global states in which
 * a node is in the same context share one list, in which events that change
 * nothing do not appear, and events with the same effect appear once.
 *
 * Two exact reductions: a message to a life that is over is dropped, and so is
 * every message to a node that is down for good. Nobody can ever receive them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

/* ---- Lists ---- */

uint32_t list_number(struct explorer *explorer, const uint32_t *messages,
                     uint32_t count)
{
    bool is_new;
    uint64_t hash = 0;
    uint32_t number = intern_put(&explorer->lists, messages,
                                 count * sizeof(*messages), &is_new);

    if (!is_new)
        return number;
    for (uint32_t i = 0; i < count; i++)
        hash +=
            intern_mix(intern_at(&explorer->message_names, messages[i])->hash);
    *(uint64_t *)segments_push(&explorer->list_hashes) = hash;
    return number;
}

const uint32_t *list_messages(const struct explorer *explorer, uint32_t list,
                              uint32_t *count)
{
    const struct interned *name = intern_at(&explorer->lists, list);

    *count = (uint32_t)(name->length / sizeof(uint32_t));
    return (const uint32_t *)(const void *)name->octets;
}

/* Whether a message can still arrive at this local or a later life. */
static bool can_arrive(const struct explorer *explorer,
                       const struct local *local, uint32_t number)
{
    uint64_t to = message_at(explorer, number)->to_incarnation;

    if (!local->node &&
        (local->finished || !explorer->nodes[local->host].restarts))
        return false;
    return to == 0 || to >= local->incarnation + (local->node ? 0 : 1);
}

/* ---- Contexts ---- */

static uint32_t context_intern(struct explorer *explorer, uint32_t local_number,
                               uint32_t list)
{
    uint64_t key = (uint64_t)local_number << 32 | list;
    const struct local *local = local_at(explorer, local_number);
    uint32_t number = number_map_get(&explorer->context_numbers, key);
    struct context *context;

    if (number != INTERN_NONE)
        return number;
    number = explorer->contexts.count;
    context = segments_push(&explorer->contexts);
    context->local = local_number;
    context->list = list;
    context->hash =
        intern_mix(intern_at(&explorer->local_names, local_number)->hash +
                   3 * *(uint64_t *)segments_at(&explorer->list_hashes, list));
    context->crashes = (uint8_t)local->crashes;
    context->wants = local->wants;
    context->progress = (uint8_t)local->progress;
    number_map_put(&explorer->context_numbers, key, number);
    return number;
}

uint32_t context_number(struct explorer *explorer, uint32_t local_number,
                        uint32_t list)
{
    const struct local *local = local_at(explorer, local_number);
    uint32_t count;
    uint32_t kept = 0;
    const uint32_t *messages = list_messages(explorer, list, &count);
    uint32_t *rest = memory_new(count * sizeof(*rest));

    for (uint32_t i = 0; i < count; i++) {
        if (can_arrive(explorer, local, messages[i]))
            rest[kept++] = messages[i];
    }
    if (kept < count)
        list = list_number(explorer, rest, kept);
    free(rest);
    return context_intern(explorer, local_number, list);
}

/* Merges two sorted lists into out; returns the length. */
static uint32_t merge(const uint32_t *a, uint32_t a_count, const uint32_t *b,
                      uint32_t b_count, uint32_t *out)
{
    uint32_t i = 0, j = 0, count = 0;

    while (i < a_count || j < b_count) {
        if (j == b_count || (i < a_count && a[i] < b[j]))
            out[count++] = a[i++];
        else {
            if (i < a_count && a[i] == b[j])
                i++;
            out[count++] = b[j++];
        }
    }
    return count;
}

uint32_t context_add(struct explorer *explorer, uint32_t number, uint32_t list)
{
    const struct context *context = context_at(explorer, number);
    uint64_t key = (uint64_t)number << 32 | list;
    uint32_t after = number_map_get(&explorer->unions, key);
    uint32_t old_count, new_count, count;
    const uint32_t *old_messages, *new_messages;
    uint32_t *all;

    if (after != INTERN_NONE)
        return after;
    old_messages = list_messages(explorer, context->list, &old_count);
    new_messages = list_messages(explorer, list, &new_count);
    all = memory_new((old_count + new_count) * sizeof(*all));
    count = merge(old_messages, old_count, new_messages, new_count, all);
    after = context_number(explorer, context->local,
                           list_number(explorer, all, count));
    free(all);
    number_map_put(&explorer->unions, key, after);
    return after;
}

/* ---- Steps ---- */

struct builder {
    struct explorer *explorer;
    uint32_t context;
    struct steps *steps;
    uint32_t capacity;
};

static bool changes_nothing(const struct builder *builder, uint32_t after,
                            const struct outcome *outcome, uint32_t host)
{
    bool sends = false;

    for (uint32_t i = 0; i < outcome->send_count; i++)
        sends = sends || outcome->sends[i].to != host;
    return after == builder->context && !sends;
}

static bool has_same_effect(const struct step *step, uint32_t after,
                            const struct outcome *outcome)
{
    return step->after == after && after != INTERN_NONE &&
           step->outcome->send_count == outcome->send_count &&
           memcmp(step->outcome->sends, outcome->sends,
                  outcome->send_count * sizeof(outcome->sends[0])) == 0;
}

/* Returns the context of the node itself after an outcome. */
static uint32_t own_after(struct explorer *explorer,
                          const struct context *context,
                          const struct outcome *outcome, uint32_t host)
{
    uint32_t after;

    if (outcome->failure)
        return INTERN_NONE;
    after = context_number(explorer, outcome->local, context->list);
    for (uint32_t i = 0; i < outcome->send_count; i++) {
        if (outcome->sends[i].to == host)
            after = context_add(explorer, after, outcome->sends[i].list);
    }
    return after;
}

static void append_step(struct builder *builder, const struct step *step)
{
    struct steps *steps = builder->steps;

    if (steps->count == builder->capacity) {
        builder->capacity = 2 * builder->capacity + 4;
        steps = memory_resize(steps, sizeof(*steps) +
                                         builder->capacity * sizeof(*step));
        builder->steps = steps;
    }
    steps->step[steps->count++] = *step;
}

/* Whether a step with this effect is in the list; of the two events the one
 * whose content has the lower hash stays. */
static bool merge_step(struct builder *builder, const struct step *step,
                       uint32_t host)
{
    struct steps *steps = builder->steps;

    for (uint32_t i = 0; i < steps->count; i++) {
        struct step *old = &steps->step[i];

        if (!has_same_effect(old, step->after, step->outcome))
            continue;
        if (event_hash(builder->explorer, host, step->event) <
            event_hash(builder->explorer, host, old->event))
            old->event = step->event;
        return true;
    }
    return false;
}

static void add_event(struct builder *builder, uint32_t event)
{
    struct explorer *explorer = builder->explorer;
    const struct context *context = context_at(explorer, builder->context);
    uint32_t host = local_at(explorer, context->local)->host;
    struct step step = {.event = event};

    if (event_kind(event) == EVENT_CRASH)
        builder->steps->crashes++;
    else
        builder->steps->enabled++;
    step.outcome = explorer_outcome(explorer, context->local, event);
    step.after = own_after(explorer, context, step.outcome, host);
    if (step.outcome->failure ||
        !(changes_nothing(builder, step.after, step.outcome, host) ||
          (event_kind(event) != EVENT_CRASH &&
           merge_step(builder, &step, host))))
        append_step(builder, &step);
    else if (explorer->search && explorer->search->no_memo)
        outcome_free(step.outcome);
}

static void add_timers(struct builder *builder, const struct local *local)
{
    const struct explorer_search *search = builder->explorer->search;

    for (uint32_t i = 0; i < local->timer_count; i++) {
        uint32_t slot = local->timers[i].slot;

        if (search && search->timers_off[local->host] >> slot & 1)
            continue;
        if (timer_may_fire(local, i))
            add_event(builder, event_make(EVENT_TIMER, slot));
    }
}

static void add_messages(struct builder *builder, const struct local *local,
                         uint32_t list)
{
    const struct explorer *explorer = builder->explorer;
    const struct explorer_search *search = explorer->search;
    uint32_t count;
    const uint32_t *messages = list_messages(explorer, list, &count);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = message_at(explorer, messages[i])->from;

        if (search && search->links_off[from] >> local->host & 1)
            continue;
        add_event(builder, event_make(EVENT_DELIVER, messages[i]));
    }
}

static struct steps *build_steps(struct explorer *explorer, uint32_t number)
{
    const struct context *context = context_at(explorer, number);
    const struct local *local = local_at(explorer, context->local);
    const struct explorer_node *node = &explorer->nodes[local->host];
    struct builder builder = {explorer, number, NULL, 0};

    builder.steps = memory_new(sizeof(*builder.steps));
    if (explorer->search && explorer->search->nodes_off >> local->host & 1)
        return builder.steps;
    if (!local->node) {
        if (node->restarts && !local->finished)
            add_event(&builder, event_make(EVENT_RESTART, 0));
        return builder.steps;
    }
    add_timers(&builder, local);
    add_messages(&builder, local, context->list);
    if (node->crashes && local->crashes < EXPLORER_CRASHES_MAX)
        add_event(&builder, event_make(EVENT_CRASH, 0));
    return builder.steps;
}

const struct steps *context_steps(struct explorer *explorer, uint32_t number)
{
    struct context *context = context_at(explorer, number);
    bool keep = !explorer->search || !explorer->search->no_memo;
    struct steps *steps = NULL;

    if (keep)
        steps = atomic_load_explicit(&context->steps, memory_order_acquire);
    if (steps)
        return steps;
    pthread_mutex_lock(&explorer->lock);
    if (keep)
        steps = atomic_load_explicit(&context->steps, memory_order_relaxed);
    if (!steps)
        steps = build_steps(explorer, number);
    if (keep)
        atomic_store_explicit(&context->steps, steps, memory_order_release);
    pthread_mutex_unlock(&explorer->lock);
    return steps;
}

const struct steps *context_act(struct explorer *explorer, uint32_t number,
                                uint32_t knowledge)
{
    bool keep = !explorer->search || !explorer->search->no_memo;
    uint64_t key = (uint64_t)number << 32 | knowledge;
    struct builder builder = {explorer, number, NULL, 0};
    uint32_t place = INTERN_NONE;

    pthread_mutex_lock(&explorer->lock);
    if (keep)
        place = number_map_get(&explorer->act_numbers, key);
    if (place != INTERN_NONE)
        builder.steps =
            *(struct steps **)segments_at(&explorer->act_steps, place);
    else {
        builder.steps = memory_new(sizeof(*builder.steps));
        add_event(&builder, event_make(EVENT_ACT, knowledge));
        if (keep) {
            number_map_put(&explorer->act_numbers, key,
                           explorer->act_steps.count);
            *(struct steps **)segments_push(&explorer->act_steps) =
                builder.steps;
        }
    }
    pthread_mutex_unlock(&explorer->lock);
    return builder.steps;
}

void context_step(struct explorer *explorer, uint32_t number, uint32_t event,
                  struct step *step)
{
    const struct context *context = context_at(explorer, number);

    pthread_mutex_lock(&explorer->lock);
    step->event = event;
    step->outcome = explorer_outcome(explorer, context->local, event);
    step->after = own_after(explorer, context, step->outcome,
                            local_at(explorer, context->local)->host);
    pthread_mutex_unlock(&explorer->lock);
}

void contexts_forget_steps(struct explorer *explorer)
{
    for (uint32_t i = 0; i < explorer->contexts.count; i++) {
        struct context *context = context_at(explorer, i);

        free(atomic_load(&context->steps));
        atomic_store(&context->steps, NULL);
    }
}
