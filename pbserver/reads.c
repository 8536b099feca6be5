/* SPDX-License-Identifier: MIT */
/*
 * reads: see reads.h. The queue is an array that is moved to its beginning when
 * its first half is free.
 */
#include "pbserver/reads.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/sink.h"

void reads_init(struct reads *reads)
{
    memset(reads, 0, sizeof(*reads));
}

void reads_release(struct reads *reads)
{
    while (reads->count > 0)
        reads_remove(reads, 0);
    free(reads->queue);
    reads_init(reads);
}

void reads_clone(const struct reads *reads, struct reads *copy)
{
    reads_init(copy);
    for (size_t i = 0; i < reads->count; i++) {
        struct waiting_read read = reads->queue[reads->head + i];

        bytes_share(read.answer);
        reads_push(copy, &read);
    }
}

static void reads_make_room(struct reads *reads)
{
    if (reads->head + reads->count < reads->capacity)
        return;
    if (reads->head > reads->count) {
        memcpy(reads->queue, reads->queue + reads->head,
               reads->count * sizeof(*reads->queue));
        reads->head = 0;
        return;
    }
    reads->capacity = reads->capacity ? 2 * reads->capacity : 8;
    reads->queue =
        memory_resize(reads->queue, reads->capacity * sizeof(*reads->queue));
}

uint64_t reads_newest_round(const struct reads *reads)
{
    return reads->count > 0 ? reads->queue[reads->head + reads->count - 1].round
                            : 0;
}

void reads_push(struct reads *reads, const struct waiting_read *read)
{
    uint64_t newest = reads_newest_round(reads);

    assert(newest <= read->round);
    reads->newest_count = newest < read->round ? 1 : reads->newest_count + 1;
    reads_make_room(reads);
    reads->queue[reads->head + reads->count++] = *read;
    reads->octets += read->answer->length;
}

const struct waiting_read *reads_at(const struct reads *reads, size_t i)
{
    return i < reads->count ? &reads->queue[reads->head + i] : NULL;
}

void reads_remove(struct reads *reads, size_t i)
{
    struct waiting_read *read = &reads->queue[reads->head + i];

    assert(i < reads->count);
    if (i >= reads->count - reads->newest_count)
        reads->newest_count--;
    reads->octets -= read->answer->length;
    bytes_release(read->answer);
    reads->count--;
    if (i == 0)
        reads->head++;
    else
        memmove(read, read + 1, (reads->count - i) * sizeof(*read));
    if (reads->count == 0)
        reads->head = 0;
}

void reads_describe(const struct reads *reads, struct sink *sink)
{
    sink_open(sink, "reads");
    for (size_t i = 0; i < reads->count; i++) {
        const struct waiting_read *read = &reads->queue[reads->head + i];

        peer_describe(&read->client, "client", sink);
        sink_u64(sink, "call", read->call);
        sink_u64(sink, "op", read->op);
        sink_u64(sink, "round", read->round);
        sink_octets(sink, "answer", read->answer->data, read->answer->length);
    }
    sink_close(sink);
}
