/* SPDX-License-Identifier: MIT */
/*
 * output: the octets that wait to be sent on one connection, in a list of
 * segments. A frame lies in one segment, so it is written in place once and
 * never moved; many small frames share a segment and leave in one sendmsg. A
 * large body is not even copied: a segment can lead to shared octets.
 * Segments of the usual size come from a pool that all connections of a loop
 * share.
 */
#ifndef RPC_OUTPUT_H
#define RPC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "node/bytes.h"

enum {
    SEGMENT_SIZE = 16 * 1024, /* octets of a segment from the pool */
    POOL_SEGMENTS = 64,       /* spare segments that a pool keeps */
};

struct segment {
    struct segment *next;
    size_t capacity;
    size_t start;       /* octets before it are sent */
    size_t end;         /* octets before it are filled */
    struct bytes *lent; /* where they are; NULL: in the segment itself */
    uint8_t octets[];
};

struct segment_pool {
    struct segment *spare;
    unsigned count;
};

struct output {
    struct segment *first;
    struct segment *last;
    size_t octets; /* not sent yet */
};

/* Returns room for size octets (at least 1) at the end, which count as filled:
 * the caller writes them before anything else happens to the output. Returns
 * NULL when the system has no memory. */
uint8_t *output_reserve(struct output *output, struct segment_pool *pool,
                        size_t size);

/* Makes the room reserved last, none of which was gathered since, longer by
 * size octets, which count as filled. Returns whether it can be that long where
 * it is. */
bool output_extend(struct output *output, size_t size);

/* Adds a copy of head_length octets (at least 1) at head, and then the octets
 * of body as they are, with a reference of its own until they are dropped.
 * Returns false, having added nothing, when the system has no memory. */
bool output_lend(struct output *output, struct segment_pool *pool,
                 const void *head, size_t head_length, struct bytes *body);

/* Points up to limit vectors at the octets from the front; returns how many
 * vectors it used. */
int output_gather(const struct output *output, struct iovec *vectors,
                  int limit);

/* Drops count octets, which have been sent, from the front. */
void output_consume(struct output *output, struct segment_pool *pool,
                    size_t count);

/* Drops everything. */
void output_clear(struct output *output, struct segment_pool *pool);

/* Frees the pool's spare segments. */
void segment_pool_release(struct segment_pool *pool);

#endif
