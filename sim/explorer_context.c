/* SPDX-License-Identifier: MIT */
/*
 * explorer_context: a local with the messages that wait for it. All global
 * states in which a node is in the same context share its steps
 * (explorer_expand.c).
 *
 * A list of messages is interned as words: how many were lost, then the
 * messages, in the order that the network gives them. In a set they are sorted
 * and each is there once; in a bag they are sorted; in FIFO order those of one
 * sender are together, in the order in which they were sent.
 *
 * Two exact reductions: a message to a life that is over is dropped, and so is
 * every message to a node that is down for good. Nobody can ever receive them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"
#include "sim/pages.h"

enum { SLOTS_FIRST = 256, LIST_MAX = 4096 /* messages that wait for a node */ };

/* ---- Lists ---- */

/* Words of a list that is being made; counts its losses. */
struct words {
    uint32_t count;
    uint32_t words[1 + LIST_MAX];
};

static void words_add(struct words *words, uint32_t message)
{
    assert(words->count < 1 + LIST_MAX);
    words->words[words->count++] = message;
}

static uint32_t words_intern(struct explorer *explorer,
                             const struct words *words)
{
    uint64_t hash = intern_mix(words->words[0]);
    bool is_new;
    uint32_t number;

    pthread_mutex_lock(&explorer->list_lock);
    number = intern_put(&explorer->lists, words->words,
                        words->count * sizeof(words->words[0]), &is_new);
    for (uint32_t i = 1; is_new && i < words->count; i++) {
        uint64_t own =
            intern_at(&explorer->message_names, words->words[i])->hash;

        hash = explorer->network == EXPLORER_FIFO ? intern_mix(hash + own)
                                                  : hash + intern_mix(own);
    }
    if (is_new)
        *(uint64_t *)segments_push(&explorer->list_hashes) = hash;
    pthread_mutex_unlock(&explorer->list_lock);
    return number;
}

uint32_t list_number(struct explorer *explorer, const uint32_t *messages,
                     uint32_t count)
{
    struct words words;

    words.count = 1;
    words.words[0] = 0;
    for (uint32_t i = 0; i < count; i++)
        words_add(&words, messages[i]);
    return words_intern(explorer, &words);
}

const uint32_t *list_messages(const struct explorer *explorer, uint32_t list,
                              uint32_t *count)
{
    const struct interned *name = intern_at(&explorer->lists, list);

    *count = (uint32_t)(name->length / sizeof(uint32_t)) - 1;
    return (const uint32_t *)(const void *)name->octets + 1;
}

static uint32_t list_losses(const struct explorer *explorer, uint32_t list)
{
    uint32_t count;

    return list_messages(explorer, list, &count)[-1];
}

/* ---- Orders ---- */

/* Returns whether a message of a list stands before one that is added. */
static bool stands_before(const struct explorer *explorer, uint32_t old,
                          uint32_t added)
{
    const struct sent_message *a, *b;

    if (explorer->network != EXPLORER_FIFO)
        return old <= added;
    a = message_at(explorer, old);
    b = message_at(explorer, added);
    if (a->from != b->from)
        return a->from < b->from;
    return a->from_incarnation <= b->from_incarnation;
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

/* Fills in a list with another merged in, of which only what can still arrive
 * is taken. */
static void merge(const struct explorer *explorer, const struct local *local,
                  uint32_t list, uint32_t added, struct words *out)
{
    uint32_t a_count, b_count;
    const uint32_t *a = list_messages(explorer, list, &a_count);
    const uint32_t *b = list_messages(explorer, added, &b_count);
    uint32_t i = 0, j = 0;

    out->count = 0;
    words_add(out, a[-1] + b[-1]);
    while (i < a_count || j < b_count) {
        if (j == b_count ||
            (i < a_count && stands_before(explorer, a[i], b[j]))) {
            words_add(out, a[i]);
            if (explorer->network == EXPLORER_SET && j < b_count &&
                a[i] == b[j])
                j++;
            i++;
        } else {
            if (can_arrive(explorer, local, b[j]))
                words_add(out, b[j]);
            j++;
        }
    }
}

bool list_may_deliver(const struct explorer *explorer, const uint32_t *messages,
                      uint32_t index)
{
    const struct sent_message *own, *before;

    if (explorer->network == EXPLORER_SET || index == 0)
        return true;
    if (explorer->network == EXPLORER_BAG)
        return messages[index - 1] != messages[index];
    own = message_at(explorer, messages[index]);
    before = message_at(explorer, messages[index - 1]);
    return before->from != own->from ||
           before->from_incarnation != own->from_incarnation;
}

/* Returns a list after an event of its node: without the message that arrived
 * or was lost, where the network counts them. */
static uint32_t list_after(struct explorer *explorer, uint32_t list,
                           uint32_t event)
{
    bool lost = event_kind(event) == EVENT_LOSE;
    struct words words;
    uint32_t count;
    const uint32_t *messages = list_messages(explorer, list, &count);
    bool taken = false;

    if (explorer->network == EXPLORER_SET ||
        (event_kind(event) != EVENT_DELIVER && !lost))
        return list;
    words.count = 0;
    words_add(&words, messages[-1] + lost);
    for (uint32_t i = 0; i < count; i++) {
        if (taken || messages[i] != event_argument(event))
            words_add(&words, messages[i]);
        else
            taken = true;
    }
    return words_intern(explorer, &words);
}

/* ---- Contexts ---- */

static uint32_t slot_of(const struct explorer *explorer, uint32_t local,
                        uint32_t list)
{
    return (uint32_t)intern_mix((uint64_t)local << 32 | list) &
           (explorer->context_capacity - 1);
}

static void context_slots_grow(struct explorer *explorer)
{
    uint32_t old = explorer->context_capacity;
    uint32_t mask;

    pages_free(explorer->context_slots, old * sizeof(uint32_t));
    explorer->context_capacity = old ? 2 * old : SLOTS_FIRST;
    mask = explorer->context_capacity - 1;
    explorer->context_slots =
        pages_new(explorer->context_capacity * sizeof(uint32_t));
    for (uint32_t i = 0; i < explorer->contexts.count; i++) {
        const struct context *context = context_at(explorer, i);
        uint32_t slot = slot_of(explorer, context->local, context->list);

        while (explorer->context_slots[slot])
            slot = (slot + 1) & mask;
        explorer->context_slots[slot] = i + 1;
    }
}

static bool is_in_turn(const struct local *local)
{
    for (uint32_t i = 0; i < local->timer_count; i++) {
        if (local->timers[i].max_ms == 0)
            return true;
    }
    return false;
}

static void context_fill(const struct explorer *explorer,
                         struct context *context, uint32_t local_number,
                         uint32_t list)
{
    const struct local *local = local_at(explorer, local_number);
    uint64_t hash =
        *(const uint64_t *)segments_at(&explorer->list_hashes, list);
    uint32_t waiting;

    list_messages(explorer, list, &waiting);
    context->local = local_number;
    context->list = list;
    context->hash = intern_mix(
        intern_at(&explorer->local_names, local_number)->hash + 3 * hash);
    context->waiting = (uint16_t)waiting;
    context->crashes = (uint8_t)local->crashes;
    context->losses = (uint8_t)list_losses(explorer, list);
    context->wants = local->wants;
    context->in_turn = is_in_turn(local);
    context->progress = (uint8_t)local->progress;
}

/* With context_lock held. */
static uint32_t context_find(struct explorer *explorer, uint32_t local,
                             uint32_t list)
{
    uint32_t slot;

    if (3 * (uint64_t)explorer->context_capacity <=
        4 * ((uint64_t)explorer->contexts.count + 1))
        context_slots_grow(explorer);
    slot = slot_of(explorer, local, list);
    for (; explorer->context_slots[slot];
         slot = (slot + 1) & (explorer->context_capacity - 1)) {
        uint32_t number = explorer->context_slots[slot] - 1;
        const struct context *context = context_at(explorer, number);

        if (context->local == local && context->list == list)
            return number;
    }
    context_fill(explorer, segments_push(&explorer->contexts), local, list);
    explorer->context_slots[slot] = explorer->contexts.count;
    return explorer->contexts.count - 1;
}

static uint32_t context_intern(struct explorer *explorer, uint32_t local,
                               uint32_t list)
{
    uint32_t number;

    pthread_mutex_lock(&explorer->context_lock);
    number = context_find(explorer, local, list);
    pthread_mutex_unlock(&explorer->context_lock);
    return number;
}

uint32_t context_number(struct explorer *explorer, uint32_t local_number,
                        uint32_t list)
{
    const struct local *local = local_at(explorer, local_number);
    uint32_t count;
    const uint32_t *messages = list_messages(explorer, list, &count);
    struct words rest;

    rest.count = 0;
    words_add(&rest, messages[-1]);
    for (uint32_t i = 0; i < count; i++) {
        if (can_arrive(explorer, local, messages[i]))
            words_add(&rest, messages[i]);
    }
    if (rest.count <= count)
        list = words_intern(explorer, &rest);
    return context_intern(explorer, local_number, list);
}

uint32_t context_add(struct explorer *explorer, uint32_t number, uint32_t list)
{
    const struct context *context = context_at(explorer, number);
    struct words all;

    merge(explorer, local_at(explorer, context->local), context->list, list,
          &all);
    return context_intern(explorer, context->local,
                          words_intern(explorer, &all));
}

/* ---- One step ---- */

/* Whether the same messages can arrive at both locals of a node. */
static bool is_same_life(const struct local *a, const struct local *b)
{
    return a->incarnation == b->incarnation && !a->node == !b->node;
}

/* Returns the context of the node itself after a step. */
static uint32_t own_after(struct explorer *explorer, uint32_t number,
                          const struct step *step, uint32_t host)
{
    const struct context *context = context_at(explorer, number);
    const struct outcome *outcome = step->outcome;
    uint32_t list = list_after(explorer, context->list, step->event);
    uint32_t after = number;

    if (outcome->local != context->local &&
        !is_same_life(local_at(explorer, outcome->local),
                      local_at(explorer, context->local)))
        after = context_number(explorer, outcome->local, list);
    else if (outcome->local != context->local || list != context->list)
        after = context_intern(explorer, outcome->local, list);
    for (uint32_t i = 0; i < outcome->send_count; i++) {
        if (outcome->sends[i].to == host)
            after = context_add(explorer, after, outcome->sends[i].list);
    }
    return after;
}

static void note_sends(struct step *step, uint32_t host)
{
    const struct outcome *outcome = step->outcome;

    for (uint32_t i = 0; i < outcome->send_count; i++) {
        if (outcome->sends[i].to == host)
            continue;
        if (step->send_count++ == 0) {
            step->first_to = (uint8_t)outcome->sends[i].to;
            step->first_list = outcome->sends[i].list;
        }
    }
}

void context_step(struct runner *runner, uint32_t number, uint32_t event,
                  struct step *step, uint64_t *hits)
{
    struct explorer *explorer = runner->explorer;
    const struct context *context = context_at(explorer, number);
    uint32_t host = local_at(explorer, context->local)->host;

    *step = (struct step){.event = event, .after = INTERN_NONE};
    step->outcome = explorer_outcome(runner, context->local, event, hits);
    step->failed = step->outcome->failure != NULL;
    if (step->failed)
        return;
    step->after = own_after(explorer, number, step, host);
    step->hash_change = context_at(explorer, step->after)->hash - context->hash;
    step->local = step->outcome->local;
    step->moves = step->outcome->local != context->local;
    note_sends(step, host);
}
