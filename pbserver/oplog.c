/* SPDX-License-Identifier: MIT */
/*
 * oplog: see oplog.h. A ring of pointers leads to the blocks; when it has to
 * grow only pointers are copied. A block is freed with its last entry.
 */
#include "pbserver/oplog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum {
    BLOCK_ENTRIES = 16,
    RING_FIRST = 8, /* blocks */
};

struct log_block {
    struct log_entry entries[BLOCK_ENTRIES];
};

void oplog_init(struct oplog *log, uint64_t first)
{
    memset(log, 0, sizeof(*log));
    log->first = first;
}

/* Returns where the i-th block in use is in the ring. */
static struct log_block **block_at(const struct oplog *log, size_t i)
{
    return &log->ring[(log->ring_head + i) & (log->ring_size - 1)];
}

static struct log_entry *oplog_place(const struct oplog *log, size_t i)
{
    size_t place = log->head + i;

    return &(*block_at(log, place / BLOCK_ENTRIES))
                ->entries[place % BLOCK_ENTRIES];
}

void oplog_release(struct oplog *log)
{
    for (size_t i = 0; i < log->count; i++)
        operation_release(&oplog_place(log, i)->operation);
    for (size_t i = 0; i < log->blocks; i++)
        free(*block_at(log, i));
    free(log->ring);
    memset(log, 0, sizeof(*log));
}

void oplog_clone(const struct oplog *log, struct oplog *copy)
{
    oplog_init(copy, log->first);
    for (size_t i = 0; i < log->count; i++) {
        struct log_entry entry = *oplog_place(log, i);

        entry.operation = operation_share(&entry.operation);
        oplog_append(copy, &entry);
    }
}

static void grow_ring(struct oplog *log)
{
    size_t size = log->ring_size ? 2 * log->ring_size : RING_FIRST;
    struct log_block **ring = memory_new(size * sizeof(struct log_block *));

    for (size_t i = 0; i < log->blocks; i++)
        ring[i] = *block_at(log, i);
    free(log->ring);
    log->ring = ring;
    log->ring_head = 0;
    log->ring_size = size;
}

static void add_block(struct oplog *log)
{
    if (log->blocks == log->ring_size)
        grow_ring(log);
    log->blocks++;
    *block_at(log, log->blocks - 1) =
        memory_resize(NULL, sizeof(struct log_block));
}

static void drop_first_block(struct oplog *log)
{
    free(*block_at(log, 0));
    log->ring_head = (log->ring_head + 1) & (log->ring_size - 1);
    log->blocks--;
    log->head = 0;
}

void oplog_append(struct oplog *log, const struct log_entry *entry)
{
    struct log_entry *place;

    if (log->head + log->count == log->blocks * BLOCK_ENTRIES)
        add_block(log);
    place = oplog_place(log, log->count);
    *place = *entry;
    place->octets = operation_size(&entry->operation);
    log->count++;
    log->octets += place->octets;
}

struct log_entry *oplog_at(const struct oplog *log, uint64_t number)
{
    assert(number >= log->first && number - log->first < log->count);
    return oplog_place(log, (size_t)(number - log->first));
}

uint64_t oplog_last(const struct oplog *log)
{
    return log->first + log->count - 1;
}

void oplog_drop_through(struct oplog *log, uint64_t number)
{
    while (log->count > 0 && log->first <= number) {
        struct log_entry *entry = oplog_place(log, 0);

        log->octets -= entry->octets;
        operation_release(&entry->operation);
        log->first++;
        log->count--;
        if (++log->head == BLOCK_ENTRIES)
            drop_first_block(log);
    }
}

void oplog_describe(const struct oplog *log, struct sink *sink)
{
    sink_open(sink, "log");
    sink_u64(sink, "first", log->first);
    for (size_t i = 0; i < log->count; i++) {
        const struct log_entry *entry = oplog_place(log, i);

        operation_describe(&entry->operation, "operation", sink);
        peer_describe(&entry->client, "client", sink);
        sink_u64(sink, "call", entry->call);
    }
    sink_close(sink);
}
