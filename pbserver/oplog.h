/* SPDX-License-Identifier: MIT */
/*
 * oplog: the primary's operations that the backup may not have yet, in order.
 * An operation leaves the log when the backup has acknowledged it; while a
 * state transfer goes on, the log also holds what was answered but has still to
 * reach the new backup (rule T3). With no backup the log is empty.
 *
 * The log can become long during a transfer, so it grows and shrinks by small
 * blocks: no entry ever moves, and no addition takes longer than others.
 */
#ifndef PBSERVER_OPLOG_H
#define PBSERVER_OPLOG_H

#include <stddef.h>
#include <stdint.h>

#include "node/view.h"
#include "pbserver/state.h"

struct log_entry {
    struct operation operation;
    size_t octets;      /* operation_size, noted by oplog_append */
    struct peer client; /* who waits for the answer; absent: nobody */
    uint64_t call;
};

struct log_block;

/* Entries of op numbers first … first+count-1, in blocks of equal size. */
struct oplog {
    uint64_t first;
    size_t count;
    size_t octets;           /* of all entries */
    size_t head;             /* place of the first entry in the first block */
    struct log_block **ring; /* of blocks in use, in order */
    size_t ring_size;        /* a power of two, or 0 */
    size_t ring_head;        /* place of the first block in the ring */
    size_t blocks;           /* in use */
};

/* Makes an empty log whose next entry has op number first. */
void oplog_init(struct oplog *log, uint64_t first);

/* Frees all entries; the log must be initialised again. */
void oplog_release(struct oplog *log);

/* Makes copy a copy that shares keys and values. copy is not initialised. */
void oplog_clone(const struct oplog *log, struct oplog *copy);

/* Adds the next entry; takes the operation over. */
void oplog_append(struct oplog *log, const struct log_entry *entry);

/* Returns the entry of an op number that is in the log, borrowed until the log
 * changes. */
struct log_entry *oplog_at(const struct oplog *log, uint64_t number);

/* Returns the op number of the newest entry, first-1 when the log is empty. */
uint64_t oplog_last(const struct oplog *log);

/* Frees the entries up to and including an op number. */
void oplog_drop_through(struct oplog *log, uint64_t number);

/* Describes all entries. */
void oplog_describe(const struct oplog *log, struct sink *sink);

#endif
