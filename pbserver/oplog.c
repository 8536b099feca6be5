/* SPDX-License-Identifier: MIT */
/*
 * oplog: see oplog.h. The ring's capacity is a power of two.
 */
#include "pbserver/oplog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum { OPLOG_INITIAL_CAPACITY = 8 };

void oplog_init(struct oplog *log, uint64_t first)
{
    memset(log, 0, sizeof(*log));
    log->first = first;
}

static struct log_entry *oplog_place(const struct oplog *log, size_t i)
{
    return &log->ring[(log->head + i) & (log->capacity - 1)];
}

void oplog_release(struct oplog *log)
{
    for (size_t i = 0; i < log->count; i++)
        operation_release(&oplog_place(log, i)->operation);
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

static void oplog_grow(struct oplog *log)
{
    size_t capacity =
        log->capacity ? 2 * log->capacity : (size_t)OPLOG_INITIAL_CAPACITY;
    struct log_entry *ring = memory_new(capacity * sizeof(*ring));

    for (size_t i = 0; i < log->count; i++)
        ring[i] = *oplog_place(log, i);
    free(log->ring);
    log->ring = ring;
    log->head = 0;
    log->capacity = capacity;
}

void oplog_append(struct oplog *log, const struct log_entry *entry)
{
    if (log->count == log->capacity)
        oplog_grow(log);
    *oplog_place(log, log->count) = *entry;
    log->count++;
    log->octets += operation_size(&entry->operation);
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

        log->octets -= operation_size(&entry->operation);
        operation_release(&entry->operation);
        log->head = (log->head + 1) & (log->capacity - 1);
        log->first++;
        log->count--;
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
