/* SPDX-License-Identifier: MIT */
/*
 * client_table: the calls under way, by tag and in the order in which they got
 * their tags. A call is in the table from client_calls_add until it ends, and
 * leaves it for a moment when it gets a new tag.
 *
 * A table keeps its memory when it becomes empty: a client with one call at a
 * time fills and empties it for every call.
 */
#ifndef CLIENT_CLIENT_TABLE_H
#define CLIENT_CLIENT_TABLE_H

#include <stdint.h>

struct call;

/* All zeros: no calls. To walk: from `first` along call->after. */
struct call_table {
    struct call *first;
    uint32_t count;
    uint32_t size; /* chains: 0 or a power of two */
    struct call **chains;
};

/* Adds a call behind all others. Its tag, which must not change while it is in
 * the table, is not 0 and no other call's. */
void call_table_add(struct call_table *table, struct call *call);

/* Returns the call with this tag, or NULL. */
struct call *call_table_find(const struct call_table *table, uint64_t tag);

/* Takes out a call, which must be in the table. It belongs to the caller. */
void call_table_remove(struct call_table *table, struct call *call);

/* Frees the memory of a table; its calls stay as they are. */
void call_table_release(struct call_table *table);

#endif
