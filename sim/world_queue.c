/* SPDX-License-Identifier: MIT */
/*
 * world_queue: see world_queue.h. A binary heap of times, orders and places.
 */
#include "sim/world_queue.h"

#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum { QUEUE_FIRST = 64 };

void queue_init(struct world_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
}

void happening_release(const struct happening *happening)
{
    bytes_release(happening->body);
    bytes_release(happening->stamp);
}

void queue_release(struct world_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        happening_release(&queue->happenings[queue->heap[i].place]);
    free(queue->heap);
    free(queue->happenings);
    free(queue->unused);
    queue_init(queue);
}

static bool is_before(const struct queue_entry *a, const struct queue_entry *b)
{
    return a->time < b->time || (a->time == b->time && a->order < b->order);
}

static void grow(struct world_queue *queue)
{
    size_t old = queue->capacity;
    size_t new = old > 0 ? 2 * old : QUEUE_FIRST;

    queue->heap = memory_resize(queue->heap, new * sizeof(*queue->heap));
    queue->happenings =
        memory_resize(queue->happenings, new * sizeof(*queue->happenings));
    queue->unused = memory_resize(queue->unused, new * sizeof(*queue->unused));
    for (size_t i = 0; i < new - old; i++)
        queue->unused[i] = (uint32_t)(new - 1 - i);
    queue->capacity = new;
}

void queue_push(struct world_queue *queue, uint64_t time,
                const struct happening *happening)
{
    struct queue_entry entry = {.time = time, .order = ++queue->order};
    size_t i;

    if (queue->count == queue->capacity)
        grow(queue);
    entry.place = queue->unused[queue->capacity - queue->count - 1];
    queue->happenings[entry.place] = *happening;
    i = queue->count++;
    while (i > 0 && is_before(&entry, &queue->heap[(i - 1) / 2])) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->heap[i] = entry;
}

/* Puts the last entry where the first was, and in order. */
static void remove_first(struct world_queue *queue)
{
    struct queue_entry last = queue->heap[--queue->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= queue->count)
            break;
        if (child + 1 < queue->count &&
            is_before(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!is_before(&queue->heap[child], &last))
            break;
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    queue->heap[i] = last;
}

bool queue_pop(struct world_queue *queue, uint64_t limit, uint64_t *time,
               struct happening *happening)
{
    uint32_t place;

    if (queue->count == 0 || queue->heap[0].time > limit)
        return false;
    *time = queue->heap[0].time;
    place = queue->heap[0].place;
    *happening = queue->happenings[place];
    remove_first(queue);
    queue->unused[queue->capacity - queue->count - 1] = place;
    return true;
}
