/* SPDX-License-Identifier: MIT */
/*
 * world_queue: what is to happen in a world, in the order of time and, at the
 * same time, in the order in which it was decided; that makes runs exact. It
 * belongs to one world.
 *
 * The heap has only what is compared; what is to happen stays where it is while
 * the heap is put in order.
 */
#ifndef SIM_WORLD_QUEUE_H
#define SIM_WORLD_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"

enum happening_kind { HAPPENING_MESSAGE, HAPPENING_TIMER, HAPPENING_WAKE };

struct happening {
    enum happening_kind kind;
    uint16_t from;
    uint16_t to;
    unsigned slot;
    uint64_t life; /* of `to` that it is meant for; 0: any */
    uint64_t from_life;
    uint64_t generation;
    struct bytes *body;
    struct bytes *stamp; /* of the send, while a trace is written */
};

struct queue_entry {
    uint64_t time;
    uint64_t order;
    uint32_t place; /* in happenings */
};

/* Treat the fields as private. */
struct world_queue {
    uint64_t order;
    struct queue_entry *heap;
    size_t count;
    size_t capacity;
    struct happening *happenings;
    uint32_t *unused; /* places, capacity - count of them */
};

/* Makes an empty queue. */
void queue_init(struct world_queue *queue);

/* Frees the queue and gives back what its happenings refer to. */
void queue_release(struct world_queue *queue);

/* Adds a copy of a happening, whose references the queue takes over. */
void queue_push(struct world_queue *queue, uint64_t time,
                const struct happening *happening);

/* Takes out what is next, with its time; the caller takes over the references.
 * Returns false when nothing is to happen at limit or before. */
bool queue_pop(struct world_queue *queue, uint64_t limit, uint64_t *time,
               struct happening *happening);

/* Gives back what a happening refers to. */
void happening_release(const struct happening *happening);

#endif
