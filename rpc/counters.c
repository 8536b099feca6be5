/* SPDX-License-Identifier: MIT */
/*
 * counters: see counters.h. A hash table by name. Names come from string
 * constants in the program, never from the network, so there are only so many.
 */
#include "rpc/counters.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "node/env.h"
#include "node/memory.h"

struct counter {
    char name[EVENT_NAME_MAX];
    uint64_t value;
    UT_hash_handle hh;
};

static struct counter *find(const struct counters *counters, const char *name)
{
    struct counter *found = NULL;
    HASH_FIND_STR(counters->table, name, found);
    return found;
}

static struct counter *add(struct counters *counters, const char *name)
{
    struct counter *counter = memory_new(sizeof(*counter));
    assert(strlen(name) < sizeof(counter->name));
    memcpy(counter->name, name, strlen(name) + 1);
    HASH_ADD_STR(counters->table, name, counter);
    return counter;
}

void counters_add(struct counters *counters, const char *name, uint64_t amount)
{
    struct counter *counter = find(counters, name);
    if (counter == NULL)
        counter = add(counters, name);
    counter->value += amount;
}

uint64_t counters_value(const struct counters *counters, const char *name)
{
    const struct counter *counter = find(counters, name);
    return counter == NULL ? 0 : counter->value;
}

static int by_name(const struct counter *a, const struct counter *b)
{
    return strcmp(a->name, b->name);
}

void counters_visit(struct counters *counters,
                    void (*visit)(void *context, const char *name,
                                  uint64_t value),
                    void *context)
{
    HASH_SORT(counters->table, by_name);
    struct counter *counter = NULL;
    struct counter *next = NULL;
    HASH_ITER(hh, counters->table, counter, next)
    {
        visit(context, counter->name, counter->value);
    }
}

size_t counters_count(const struct counters *counters)
{
    return HASH_COUNT(counters->table);
}

void counters_release(struct counters *counters)
{
    struct counter *counter = NULL;
    struct counter *next = NULL;
    HASH_ITER(hh, counters->table, counter, next)
    {
        HASH_DEL(counters->table, counter);
        free(counter);
    }
}
