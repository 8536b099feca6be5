/* SPDX-License-Identifier: MIT */
/*
 * output: see output.h. A frame that does not fit into what is left of the last
 * segment begins a new one, of its own size when it is larger than the usual.
 * So at most half of the memory is unused, plus one segment for each connection
 * with output.
 */
#include "rpc/output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct segment *segment_take(struct segment_pool *pool, size_t size)
{
    struct segment *segment = pool->spare;
    if (size <= SEGMENT_SIZE && segment != NULL) {
        pool->spare = segment->next;
        --pool->count;
    } else {
        size_t capacity = size > SEGMENT_SIZE ? size : SEGMENT_SIZE;
        segment = malloc(sizeof(*segment) + capacity);
        if (segment == NULL)
            return NULL;
        segment->capacity = capacity;
    }
    segment->next = NULL;
    segment->start = 0;
    segment->end = 0;
    segment->lent = NULL;
    return segment;
}

static void segment_give(struct segment_pool *pool, struct segment *segment)
{
    if (segment->lent != NULL || segment->capacity != SEGMENT_SIZE ||
        pool->count == POOL_SEGMENTS) {
        bytes_release(segment->lent);
        free(segment);
        return;
    }
    segment->next = pool->spare;
    pool->spare = segment;
    ++pool->count;
}

static void append(struct output *output, struct segment *segment)
{
    if (output->last == NULL)
        output->first = segment;
    else
        output->last->next = segment;
    output->last = segment;
}

uint8_t *output_reserve(struct output *output, struct segment_pool *pool,
                        size_t size)
{
    assert(size > 0);
    struct segment *last = output->last;
    if (last == NULL || last->capacity - last->end < size) {
        struct segment *segment = segment_take(pool, size);
        if (segment == NULL)
            return NULL;
        append(output, segment);
        last = segment;
    }
    uint8_t *room = last->octets + last->end;
    last->end += size;
    output->octets += size;
    return room;
}

bool output_lend(struct output *output, struct segment_pool *pool,
                 const void *head, size_t head_length, struct bytes *body)
{
    struct segment *segment = malloc(sizeof(*segment));
    uint8_t *room =
        segment != NULL ? output_reserve(output, pool, head_length) : NULL;

    if (room == NULL) {
        free(segment);
        return false;
    }
    memcpy(room, head, head_length);
    segment->next = NULL;
    segment->capacity = body->length;
    segment->start = 0;
    segment->end = body->length;
    segment->lent = bytes_share(body);
    append(output, segment);
    output->octets += body->length;
    return true;
}

bool output_extend(struct output *output, size_t size)
{
    struct segment *last = output->last;

    assert(last != NULL);
    if (last->capacity - last->end < size)
        return false;
    last->end += size;
    output->octets += size;
    return true;
}

static uint8_t *octets_of(struct segment *segment)
{
    return segment->lent != NULL ? segment->lent->data : segment->octets;
}

int output_gather(const struct output *output, struct iovec *vectors, int limit)
{
    int count = 0;
    struct segment *segment = output->first;
    for (; segment != NULL && count < limit; segment = segment->next) {
        vectors[count].iov_base = octets_of(segment) + segment->start;
        vectors[count].iov_len = segment->end - segment->start;
        ++count;
    }
    return count;
}

void output_consume(struct output *output, struct segment_pool *pool,
                    size_t count)
{
    assert(count <= output->octets);
    output->octets -= count;
    while (output->first != NULL) {
        struct segment *first = output->first;
        size_t filled = first->end - first->start;
        if (count < filled) {
            first->start += count;
            return;
        }
        count -= filled;
        output->first = first->next;
        segment_give(pool, first);
    }
    assert(count == 0 && output->octets == 0);
    output->last = NULL;
}

void output_clear(struct output *output, struct segment_pool *pool)
{
    output_consume(output, pool, output->octets);
}

void segment_pool_release(struct segment_pool *pool)
{
    while (pool->spare != NULL) {
        struct segment *segment = pool->spare;
        pool->spare = segment->next;
        free(segment);
    }
    pool->count = 0;
}
