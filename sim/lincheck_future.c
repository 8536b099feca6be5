/* SPDX-License-Identifier: MIT */
/*
 * lincheck_future: see lincheck_future.h. Queues are filled in two passes: the
 * first counts, the second stores; then they are sorted.
 */
#include "sim/lincheck_future.h"

#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

/* ---- Queues ---- */

static bool is_need(const struct part_op *op)
{
    return op->returned != HISTORY_PENDING &&
           (op->kind == PART_READ || op->kind == PART_CAS);
}

static bool is_observer(const struct part_op *op)
{
    return op->kind == PART_READ || op->kind == PART_REFUSED ||
           op->kind == PART_CAS;
}

/* Returns the queue in which an operation waits to see a value, or NULL. */
static struct queue *need_queue(const struct future *future, uint32_t index)
{
    const struct part_op *op = &future->part->ops[index];

    return is_need(op) ? &future->needs[op->observed] : NULL;
}

/* Returns the queue in which an operation waits to write, or NULL. */
static struct queue *make_queue(const struct future *future, uint32_t index)
{
    const struct part_op *op = &future->part->ops[index];

    if (op->kind == PART_APPEND)
        return &future->appends[op->token];
    return op->kind == PART_SET || op->kind == PART_CAS
               ? &future->makers[op->state]
               : NULL;
}

/* An operation and the time by which it is sorted. */
struct turn {
    uint64_t time;
    uint32_t op;
};

static int compare_turns(const void *left, const void *right)
{
    const struct turn *a = left;
    const struct turn *b = right;

    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->op > b->op) - (a->op < b->op);
}

static struct turn *sort_ops(const struct part *part, bool by_end)
{
    struct turn *turns = memory_new((part->count + 1) * sizeof(*turns));

    for (uint32_t i = 0; i < part->count; i++) {
        turns[i].op = i;
        turns[i].time = by_end ? part->ops[i].returned : part->ops[i].invoked;
    }
    qsort(turns, part->count, sizeof(*turns), compare_turns);
    return turns;
}

typedef struct queue *queue_of(const struct future *future, uint32_t op);

/* Fills the queues that a function names. Returns the memory behind them. */
static uint32_t *fill_queues(struct future *future, queue_of *choose,
                             bool by_end, uint32_t *places, uint32_t *slots)
{
    struct turn *turns = sort_ops(future->part, by_end);

    for (uint32_t i = 0; i < future->part->count; i++) {
        struct queue *queue = choose(future, i);

        if (queue)
            queue->count++;
    }
    for (uint32_t i = 0; i < future->part->count; i++) {
        struct queue *queue = choose(future, turns[i].op);

        if (!queue)
            continue;
        if (!queue->ops) {
            queue->ops = slots;
            slots += queue->count;
        }
        places[turns[i].op] = queue->first;
        queue->ops[queue->first++] = turns[i].op;
    }
    for (uint32_t i = 0; i < future->part->count; i++) {
        struct queue *queue = choose(future, i);

        if (queue)
            queue->first = 0;
    }
    free(turns);
    return slots;
}

static void take(const struct future *future, struct queue *queue)
{
    while (queue->first < queue->count &&
           future->is_done[queue->ops[queue->first]])
        queue->first++;
}

/* ---- Covers ---- */

static void list_covers(struct future *future)
{
    const struct part *part = future->part;
    uint32_t all = 0;

    for (size_t s = 0; s < future->state_count; s++) {
        struct range range = part->states[s].range;

        for (uint32_t i = range.low;
             future->makers[s].count > 0 && i < range.high; i++)
            future->cover_ends[i]++;
    }
    for (uint32_t i = 0; i < part->value_count; i++) {
        uint32_t count = future->cover_ends[i];

        future->cover_ends[i] = all;
        all += count;
    }
    future->covers = memory_new((all + (size_t)1) * sizeof(*future->covers));
    for (size_t s = 0; s < future->state_count; s++) {
        struct range range = part->states[s].range;

        for (uint32_t i = range.low;
             future->makers[s].count > 0 && i < range.high; i++)
            future->covers[future->cover_ends[i]++] = (uint32_t)s;
    }
}

/* ---- Beginning and end ---- */

void future_init(struct future *future, const struct part *part)
{
    size_t count = (size_t)part->count + 1;
    size_t values = part->value_count;
    uint32_t *slots;

    memset(future, 0, sizeof(*future));
    future->part = part;
    future->state_count = part->state_count;
    future->observers = memory_new(values * sizeof(*future->observers));
    future->needs = memory_new(values * sizeof(*future->needs));
    future->makers = memory_new(part->state_count * sizeof(*future->makers));
    future->appends =
        memory_new((part->token_count + (size_t)1) * sizeof(*future->appends));
    future->places = memory_new(count * sizeof(*future->places));
    future->make_places = memory_new(count * sizeof(*future->make_places));
    future->cover_ends = memory_new(values * sizeof(*future->cover_ends));
    future->slots = memory_new(2 * count * sizeof(*future->slots));
    future->is_done = memory_new(count * sizeof(*future->is_done));
    for (uint32_t i = 0; i < part->count; i++) {
        if (is_observer(&part->ops[i]))
            future->observers[part->ops[i].observed]++;
    }
    slots =
        fill_queues(future, need_queue, true, future->places, future->slots);
    fill_queues(future, make_queue, false, future->make_places, slots);
    list_covers(future);
}

void future_release(struct future *future)
{
    free(future->is_done);
    free(future->slots);
    free(future->cover_ends);
    free(future->covers);
    free(future->make_places);
    free(future->places);
    free(future->appends);
    free(future->makers);
    free(future->needs);
    free(future->observers);
}

/* ---- Going on ---- */

void future_do(struct future *future, uint32_t op)
{
    struct queue *need = need_queue(future, op);
    struct queue *make = make_queue(future, op);

    future->is_done[op] = true;
    if (is_observer(&future->part->ops[op]))
        future->observers[future->part->ops[op].observed]--;
    if (need)
        take(future, need);
    if (make)
        take(future, make);
}

void future_undo(struct future *future, uint32_t op)
{
    struct queue *need = need_queue(future, op);
    struct queue *make = make_queue(future, op);

    future->is_done[op] = false;
    if (is_observer(&future->part->ops[op]))
        future->observers[future->part->ops[op].observed]++;
    if (need && future->places[op] < need->first)
        need->first = future->places[op];
    if (make && future->make_places[op] < make->first)
        make->first = future->make_places[op];
}

/* ---- Questions ---- */

/* By when a value must be seen next; HISTORY_PENDING: it need not be. */
static uint64_t deadline(const struct future *future, uint32_t value)
{
    const struct queue *queue = &future->needs[value];

    return queue->first < queue->count
               ? future->part->ops[queue->ops[queue->first]].returned
               : HISTORY_PENDING;
}

/* When the first operation of a queue can happen; HISTORY_PENDING: none is
 * left. */
static uint64_t opening(const struct future *future, const struct queue *queue)
{
    return queue->first < queue->count
               ? future->part->ops[queue->ops[queue->first]].invoked
               : HISTORY_PENDING;
}

/* Whether a value, or something it begins with, can be set before it is due. */
static bool can_come(const struct future *future, uint32_t value, uint64_t due)
{
    uint32_t from = value > 0 ? future->cover_ends[value - 1] : 0;

    for (uint32_t i = from; i < future->cover_ends[value]; i++) {
        if (opening(future, &future->makers[future->covers[i]]) <= due)
            return true;
    }
    return false;
}

static bool is_within(uint32_t value, struct range range)
{
    return value >= range.low && value < range.high;
}

/* Whether leaving values for others loses one that must be seen. */
static bool loses_value(const struct future *future, struct range old,
                        struct range new)
{
    for (uint32_t i = old.low; i < old.high; i++) {
        uint64_t due = deadline(future, i);

        if (is_within(i, new))
            i = new.high - 1;
        else if (due != HISTORY_PENDING && !can_come(future, i, due))
            return true;
    }
    return false;
}

/* Whether a token was the last one in time that a value, which must be seen and
 * has it as a piece, could get. */
static bool loses_token(const struct future *future, const struct token *token,
                        struct range new)
{
    uint64_t open = opening(future, &future->appends[token->id]);

    for (uint32_t i = 0; i < token->range_count; i++) {
        for (uint32_t j = token->ranges[i].low; j < token->ranges[i].high;
             j++) {
            if (is_within(j, new))
                j = new.high - 1;
            else if (deadline(future, j) < open)
                return true;
        }
    }
    return false;
}

bool future_is_spoilt(const struct future *future, uint32_t op,
                      struct range old, struct range new)
{
    const struct part_op *write = &future->part->ops[op];

    return loses_value(future, old, new) ||
           (write->kind == PART_APPEND &&
            loses_token(future, future->part->tokens[write->token], new));
}

bool future_observes(const struct future *future, struct range range)
{
    for (uint32_t i = range.low; i < range.high; i++) {
        if (future->observers[i] > 0)
            return true;
    }
    return false;
}
