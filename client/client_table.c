/* SPDX-License-Identifier: MIT */
/*
 * client_table: see client_table.h. A hash table of chains. Tags are counted
 * up, so their low bits are as good as any hash: the calls of one time are all
 * in chains of their own, and only one that takes long meets another. There are
 * at least as many chains as calls.
 */
#include "client/client_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "client/client_state.h"
#include "node/memory.h"

enum { CHAINS_LEAST = 16 };

/* Returns what points to the call with this tag, or would if there was one. */
static struct call **place_of(const struct call_table *table, uint64_t tag)
{
    struct call **place = &table->chains[tag & (table->size - 1)];

    while (*place && (*place)->tag != tag)
        place = &(*place)->chain;
    return place;
}

static void put(struct call_table *table, struct call *call)
{
    struct call **place = place_of(table, call->tag);

    assert(!*place);
    *place = call;
    call->chain = NULL;
}

static void grow(struct call_table *table)
{
    struct call *call;

    assert(table->size <= UINT32_MAX / 2);
    free(table->chains);
    table->size = table->size > 0 ? 2 * table->size : CHAINS_LEAST;
    table->chains = memory_new(table->size * sizeof(struct call *));
    DL_FOREACH2(table->first, call, after)
    put(table, call);
}

void call_table_add(struct call_table *table, struct call *call)
{
    assert(call->tag > 0);
    if (table->count == table->size)
        grow(table);
    put(table, call);
    table->count++;
    DL_APPEND2(table->first, call, before, after);
}

struct call *call_table_find(const struct call_table *table, uint64_t tag)
{
    return table->size > 0 ? *place_of(table, tag) : NULL;
}

void call_table_remove(struct call_table *table, struct call *call)
{
    struct call **place = place_of(table, call->tag);

    assert(*place == call && table->count > 0);
    *place = call->chain;
    table->count--;
    DL_DELETE2(table->first, call, before, after);
}

void call_table_release(struct call_table *table)
{
    free(table->chains);
    memset(table, 0, sizeof(*table));
}
