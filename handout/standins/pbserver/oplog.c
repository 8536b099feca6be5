/* SPDX-License-Identifier: MIT */
/*
 * oplog: a list that server_replicate empties at once, in the place of the log
 * that you write in lab 2B.
 */
#include "pbserver/oplog.h"

#include <assert.h>

#include "node/memory.h"

void oplog_append(struct oplog *log, const struct log_entry *entry)
{
    log->entries = memory_resize(log->entries,
                                 (log->count + 1) * sizeof(struct log_entry));
    log->entries[log->count] = *entry;
    log->count++;
}

struct log_entry *oplog_at(const struct oplog *log, uint64_t number)
{
    (void)number;
    assert(log->count > 0); /* all that was logged is committed */
    return log->entries;
}
