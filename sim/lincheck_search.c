/* SPDX-License-Identifier: MIT */
/*
 * lincheck_search: see lincheck_search.h. No recursion: a stack of frames tells
 * what was done. Frames that had no alternative (`forced`) are undone together
 * with the choice below them.
 */
#include "sim/lincheck_search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/lincheck_cache.h"
#include "sim/lincheck_future.h"

enum {
    HEAD = 0,            /* of the list, and its end */
    EXPIRY_STEPS = 1024, /* between questions whether time is up */
    WORD_BITS = 64,
};

/* An invocation or an end in the list. */
struct entry {
    uint32_t previous;
    uint32_t next;
    uint32_t op;
    bool is_end;
};

struct frame {
    uint32_t op;
    uint32_t state; /* before it */
    bool forced;
};

struct search {
    struct part *part;
    struct entry *entries;
    uint32_t *calls; /* entry of each operation's invocation */
    uint32_t *ends;  /* … and end; HEAD when it is pending */

    uint32_t state;
    uint32_t left; /* operations that have ended and are not done */
    uint64_t *done;
    size_t words;
    size_t words_completed; /* of these for operations that have ended */
    struct frame *frames;
    uint32_t depth;

    struct future future;
    struct lincheck_cache cache;
    struct search_result result;
};

/* ---- The list ---- */

struct event {
    uint64_t time;
    uint32_t op;
    bool is_end;
};

static int compare_events(const void *left, const void *right)
{
    const struct event *a = left;
    const struct event *b = right;

    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->is_end != b->is_end)
        return a->is_end - b->is_end;
    return (a->op > b->op) - (a->op < b->op);
}

/* A pending write that nobody observes need not happen: nothing can be done
 * after it that could not be done without it, except a refusal. */
static bool is_listed(const struct part *part, const struct part_op *op)
{
    return op->returned != HISTORY_PENDING || !op->dead || part->has_refusals;
}

static uint32_t collect_events(const struct part *part, struct event *events)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < part->count; i++) {
        const struct part_op *op = &part->ops[i];

        if (!is_listed(part, op))
            continue;
        events[count++] = (struct event){op->invoked, i, false};
        if (op->returned != HISTORY_PENDING)
            events[count++] = (struct event){op->returned, i, true};
    }
    qsort(events, count, sizeof(*events), compare_events);
    return count;
}

static void make_list(struct search *search)
{
    size_t most = 2 * (size_t)search->part->count + 1;
    struct event *events = memory_new(most * sizeof(*events));
    uint32_t count = collect_events(search->part, events);

    search->entries = memory_new(most * sizeof(*search->entries));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = i + 1;

        search->entries[place] =
            (struct entry){i, place + 1, events[i].op, events[i].is_end};
        if (events[i].is_end)
            search->ends[events[i].op] = place;
        else
            search->calls[events[i].op] = place;
    }
    search->entries[count].next = HEAD;
    search->entries[HEAD].previous = count;
    search->entries[HEAD].next = count > 0 ? 1 : HEAD;
    search->entries[HEAD].is_end = true;
    free(events);
}

static void take_out(struct search *search, uint32_t place)
{
    const struct entry *entry = &search->entries[place];

    search->entries[entry->previous].next = entry->next;
    search->entries[entry->next].previous = entry->previous;
}

static void put_back(struct search *search, uint32_t place)
{
    const struct entry *entry = &search->entries[place];

    search->entries[entry->previous].next = place;
    search->entries[entry->next].previous = place;
}

/* ---- Doing and undoing ---- */

static void do_op(struct search *search, uint32_t op, uint32_t state,
                  bool forced)
{
    search->frames[search->depth++] = (struct frame){op, search->state, forced};
    search->state = state;
    take_out(search, search->calls[op]);
    if (search->ends[op] != HEAD) {
        take_out(search, search->ends[op]);
        search->left--;
    }
    search->done[op / WORD_BITS] |= UINT64_C(1) << op % WORD_BITS;
    future_do(&search->future, op);
}

static struct frame undo(struct search *search)
{
    struct frame frame = search->frames[--search->depth];
    uint32_t op = frame.op;

    if (search->ends[op] != HEAD) {
        put_back(search, search->ends[op]);
        search->left++;
    }
    put_back(search, search->calls[op]);
    search->done[op / WORD_BITS] &= ~(UINT64_C(1) << op % WORD_BITS);
    future_undo(&search->future, op);
    search->state = frame.state;
    return frame;
}

/* ---- What can come next ---- */

/* Whether an operation can be done now and need not be tried later. */
static bool is_forced(const struct search *search, const struct part_op *op)
{
    uint32_t exact = search->part->states[search->state].exact;

    switch (op->kind) {
    case PART_READ: return exact == op->observed;
    case PART_REFUSED: return exact != op->observed;
    default: break;
    }
    return op->dead && search->state == STATE_DEAD &&
           !search->part->has_refusals;
}

/* Finds the state after a write. Returns false when it cannot come now or,
 * being pending, has no reason to. */
static bool leads_to(struct search *search, const struct part_op *op,
                     uint32_t *state)
{
    switch (op->kind) {
    case PART_SET: *state = op->state; break;
    case PART_APPEND:
        *state = part_append(search->part, search->state, op->token);
        break;
    case PART_CAS:
        *state = op->state;
        if (search->part->states[search->state].exact != op->observed)
            return false;
        break;
    default: return false;
    }
    return op->returned != HISTORY_PENDING || *state != search->state;
}

static bool same_effect(const struct part_op *a, const struct part_op *b)
{
    return a->kind == b->kind && a->token == b->token &&
           (a->kind != PART_CAS || a->observed == b->observed);
}

/* Whether a pending operation has a twin that was invoked earlier. */
static bool has_earlier_twin(const struct search *search, uint32_t op)
{
    const struct part_op *ops = search->part->ops;
    uint32_t place = search->entries[search->calls[op]].previous;

    if (ops[op].returned != HISTORY_PENDING)
        return false;
    for (; place != HEAD; place = search->entries[place].previous) {
        uint32_t other = search->entries[place].op;

        if (ops[other].returned == HISTORY_PENDING &&
            same_effect(&ops[op], &ops[other]))
            return true;
    }
    return false;
}

/* Does a write if that can lead anywhere. */
static bool try_op(struct search *search, uint32_t index)
{
    const struct part_op *op = &search->part->ops[index];
    struct range old = search->part->states[search->state].range;
    struct range new;
    uint32_t state;

    if (!leads_to(search, op, &state) || has_earlier_twin(search, index))
        return false;
    new = search->part->states[state].range;
    do_op(search, index, state, false);
    if (!future_is_spoilt(&search->future, index, old, new))
        return true;
    undo(search);
    return false;
}

/* Whether the state is still told from others. */
static bool is_observed(const struct search *search)
{
    return future_observes(&search->future,
                           search->part->states[search->state].range);
}

/* Does all that can be done now without choosing. */
static void settle(struct search *search)
{
    uint32_t place = search->entries[HEAD].next;
    bool was_observed = search->state != STATE_DEAD;

    for (;;) {
        const struct entry *entry = &search->entries[place];

        if (!entry->is_end) {
            uint32_t previous = entry->previous;

            place = entry->next;
            if (is_forced(search, &search->part->ops[entry->op])) {
                do_op(search, entry->op, search->state, true);
                place = search->entries[previous].next;
            }
            continue;
        }
        if (!was_observed || is_observed(search))
            return;
        was_observed = false;
        search->state = STATE_DEAD;
        place = search->entries[HEAD].next;
    }
}

/* ---- The search ---- */

static void search_init(struct search *search, struct part *part)
{
    size_t count = (size_t)part->count + 1;
    size_t pending = part->count - part->completed;

    memset(search, 0, sizeof(*search));
    search->part = part;
    search->calls = memory_new(count * sizeof(*search->calls));
    search->ends = memory_new(count * sizeof(*search->ends));
    search->frames = memory_new(count * sizeof(*search->frames));
    search->result.order = memory_new(count * sizeof(uint32_t));
    search->words_completed = part->completed / WORD_BITS + 1;
    search->words = (part->completed + pending) / WORD_BITS + 1;
    search->done = memory_new(search->words * sizeof(*search->done));
    search->left = part->completed;
    lincheck_cache_init(&search->cache);
    make_list(search);
    future_init(&search->future, part);
}

static void release(struct search *search)
{
    lincheck_cache_release(&search->cache);
    future_release(&search->future);
    free(search->done);
    free(search->frames);
    free(search->ends);
    free(search->calls);
    free(search->entries);
}

static void note_order(struct search *search)
{
    search->result.ordered = search->depth;
    for (uint32_t i = 0; i < search->depth; i++)
        search->result.order[i] = search->frames[i].op;
}

/* Goes to the next configuration that was not searched yet. place is where to
 * look for the next operation. Returns false when there is none. */
static bool advance(struct search *search, uint32_t place)
{
    for (;;) {
        const struct entry *entry = &search->entries[place];

        if (!entry->is_end) {
            if (try_op(search, entry->op))
                return true;
            place = entry->next;
            continue;
        }
        for (;;) {
            struct frame frame;

            if (search->depth == 0)
                return false;
            frame = undo(search);
            if (frame.forced)
                continue;
            place = search->entries[search->calls[frame.op]].next;
            break;
        }
    }
}

static bool is_too_much(const struct search *search,
                        const struct lincheck_limits *limits, uint64_t steps)
{
    if (!limits)
        return false;
    if (limits->memory > 0 &&
        lincheck_cache_octets(&search->cache) > limits->memory)
        return true;
    return steps % EXPIRY_STEPS == 0 && limits->expired &&
           limits->expired(limits->context);
}

static enum lincheck_verdict run(struct search *search,
                                 const struct lincheck_limits *limits)
{
    for (uint64_t steps = 1;; steps++) {
        settle(search);
        if (search->left == 0)
            return LINCHECK_LINEARIZABLE;
        if (is_too_much(search, limits, steps))
            return LINCHECK_UNKNOWN;
        if (lincheck_cache_add(&search->cache, search->done, search->words,
                               search->words_completed, search->state)) {
            if (!advance(search, search->entries[HEAD].next))
                return LINCHECK_VIOLATION;
        } else if (!advance(search, HEAD)) {
            return LINCHECK_VIOLATION;
        }
    }
}

struct search_result search_part(struct part *part,
                                 const struct lincheck_limits *limits)
{
    struct search search;

    search_init(&search, part);
    search.result.verdict = run(&search, limits);
    search.result.states = search.cache.count;
    if (search.result.verdict == LINCHECK_LINEARIZABLE)
        note_order(&search);
    release(&search);
    return search.result;
}

void search_release(struct search_result *result)
{
    free(result->order);
    result->order = NULL;
}
