/* SPDX-License-Identifier: MIT */
/*
 * explorer_expand: all steps of a context. This is what makes the search fast:
 * they are listed once for all global states in which the node is in this
 * context, without the events that change nothing, and with each effect once,
 * however many events have it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

/* The list that is being made; its steps are in the worker's draft. */
struct builder {
    struct worker *worker;
    uint32_t context;
    uint32_t host;
    uint32_t count;
    uint16_t enabled;
    uint8_t crashes;
    uint8_t losses;
};

static bool changes_nothing(const struct builder *builder,
                            const struct step *step)
{
    return step->after == builder->context && step->send_count == 0;
}

static bool have_same_effect(const struct step *a, const struct step *b)
{
    const struct outcome *left = a->outcome;
    const struct outcome *right = b->outcome;

    return a->after == b->after && !a->failed && !b->failed &&
           left->send_count == right->send_count &&
           memcmp(left->sends, right->sends,
                  left->send_count * sizeof(left->sends[0])) == 0;
}

static void append(struct builder *builder, const struct step *step)
{
    struct worker *worker = builder->worker;

    if (builder->count == worker->draft_capacity) {
        worker->draft_capacity = 2 * worker->draft_capacity + 16;
        worker->draft = memory_resize(
            worker->draft, worker->draft_capacity * sizeof(*worker->draft));
    }
    worker->draft[builder->count++] = *step;
}

/* Whether a step with this effect is in the list; of the two events the one
 * whose content has the lower hash stays. Budgets tell a crash or a loss from
 * everything else. */
static bool is_merged(struct builder *builder, const struct step *step)
{
    struct explorer *explorer = builder->worker->explorer;
    enum event_kind kind = event_kind(step->event);

    if (kind == EVENT_CRASH)
        return false;
    for (uint32_t i = 0; i < builder->count; i++) {
        struct step *old = &builder->worker->draft[i];

        if (!have_same_effect(old, step) ||
            (kind == EVENT_LOSE) != (event_kind(old->event) == EVENT_LOSE))
            continue;
        if (event_hash(explorer, builder->host, step->event) <
            event_hash(explorer, builder->host, old->event))
            old->event = step->event;
        return true;
    }
    return false;
}

static void add_event(struct builder *builder, uint32_t event)
{
    struct worker *worker = builder->worker;
    struct step step;

    switch (event_kind(event)) {
    case EVENT_CRASH: builder->crashes++; break;
    case EVENT_LOSE: builder->losses++; break;
    default: builder->enabled++;
    }
    context_step(worker->runner, builder->context, event, &step, &worker->hits);
    if (step.failed ||
        (!changes_nothing(builder, &step) && !is_merged(builder, &step)))
        append(builder, &step);
    else if (worker->search->no_memo)
        outcome_free(step.outcome);
}

/* The end of a turn is a timer without a delay, and never switched off. */
static void add_timers(struct builder *builder, const struct local *local,
                       bool ends_only)
{
    const struct explorer_search *search = builder->worker->search;
    uint32_t off = ends_only ? UINT32_MAX : search->timers_off[local->host];

    for (uint32_t i = 0; i < local->timer_count; i++) {
        const struct armed_timer *timer = &local->timers[i];

        if ((timer->max_ms == 0 || !(off >> timer->slot & 1)) &&
            timer_may_fire(local, i))
            add_event(builder, event_make(EVENT_TIMER, timer->slot));
    }
}

static void add_messages(struct builder *builder, enum event_kind kind)
{
    const struct explorer *explorer = builder->worker->explorer;
    const struct explorer_search *search = builder->worker->search;
    uint32_t count;
    const uint32_t *messages = list_messages(
        explorer, context_at(explorer, builder->context)->list, &count);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = message_at(explorer, messages[i])->from;

        if (!(search->links_off[from] >> builder->host & 1) &&
            list_may_deliver(explorer, messages, i))
            add_event(builder, event_make(kind, messages[i]));
    }
}

static void add_all(struct builder *builder)
{
    const struct explorer *explorer = builder->worker->explorer;
    const struct explorer_search *search = builder->worker->search;
    const struct local *local =
        local_at(explorer, context_at(explorer, builder->context)->local);
    const struct explorer_node *node = &explorer->nodes[builder->host];
    bool ends_only;

    if (search->nodes_off >> builder->host & 1)
        return;
    if (!local->node) {
        if (node->restarts && !local->finished)
            add_event(builder, event_make(EVENT_RESTART, 0));
        return;
    }
    ends_only =
        search->short_turns && context_at(explorer, builder->context)->in_turn;
    add_timers(builder, local, ends_only);
    if (ends_only)
        return;
    add_messages(builder, EVENT_DELIVER);
    if (explorer->network != EXPLORER_SET && search->loss_budget > 0)
        add_messages(builder, EVENT_LOSE);
    if (node->crashes && local->crashes < EXPLORER_CRASHES_MAX)
        add_event(builder, event_make(EVENT_CRASH, 0));
}

static struct builder build_for(struct worker *worker, uint32_t number)
{
    const struct explorer *explorer = worker->explorer;
    uint32_t local = context_at(explorer, number)->local;

    return (struct builder){.worker = worker,
                            .context = number,
                            .host = local_at(explorer, local)->host};
}

/* Returns what was collected, in memory of the worker's. */
static struct steps *finish(struct builder *builder)
{
    size_t size = builder->count * sizeof(struct step);
    struct steps *steps = worker_memory(builder->worker, sizeof(*steps) + size);

    steps->count = builder->count;
    steps->enabled = builder->enabled;
    steps->crashes = builder->crashes;
    steps->losses = builder->losses;
    if (size > 0)
        memcpy(steps->step, builder->worker->draft, size);
    return steps;
}

const struct steps *context_steps(struct worker *worker, uint32_t number)
{
    struct context *context = context_at(worker->explorer, number);
    bool keep = !worker->search->no_memo;
    struct builder builder;
    const struct steps *steps = NULL;

    if (keep)
        steps = atomic_load_explicit(&context->steps, memory_order_acquire);
    if (steps)
        return steps;
    builder = build_for(worker, number);
    add_all(&builder);
    steps = finish(&builder);
    if (keep)
        atomic_store_explicit(&context->steps, steps, memory_order_release);
    return steps;
}

struct steps *context_act(struct worker *worker, uint32_t number,
                          uint32_t knowledge)
{
    struct builder builder = build_for(worker, number);

    add_event(&builder, event_make(EVENT_ACT, knowledge));
    return finish(&builder);
}

void contexts_forget_steps(struct explorer *explorer)
{
    for (uint32_t i = 0; i < explorer->contexts.count; i++)
        atomic_store_explicit(&context_at(explorer, i)->steps, NULL,
                              memory_order_relaxed);
}
