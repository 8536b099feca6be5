/* SPDX-License-Identifier: MIT */
/*
 * history: see history.h.
 */
#include "sim/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

void history_init(struct history *history)
{
    memset(history, 0, sizeof(*history));
}

void history_release(struct history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        bytes_release(history->ops[i].key);
        bytes_release(history->ops[i].value);
        bytes_release(history->ops[i].expected);
    }
    free(history->ops);
    history_init(history);
}

size_t history_invoke(struct history *history, uint32_t process,
                      enum history_kind kind, struct bytes *key,
                      struct bytes *value, uint64_t now)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity ? 2 * history->capacity : 64;
        history->ops = memory_resize(history->ops,
                                     history->capacity * sizeof(*history->ops));
    }
    assert((kind == HISTORY_GET) == (value == NULL));
    history->ops[history->count] = (struct history_op){
        .process = process,
        .kind = kind,
        .key = bytes_share(key),
        .value = bytes_share(value),
        .invoked = now,
        .returned = HISTORY_PENDING,
    };
    return history->count++;
}

void history_return(struct history *history, size_t index, struct bytes *value,
                    uint64_t now)
{
    struct history_op *op = &history->ops[index];

    assert(index < history->count && op->returned == HISTORY_PENDING);
    op->returned = now;
    if (op->kind == HISTORY_GET)
        op->value = bytes_share(value);
}

void history_expect(struct history *history, size_t index,
                    struct bytes *expected)
{
    struct history_op *op = &history->ops[index];

    assert(index < history->count && op->kind == HISTORY_CAS);
    assert(!op->expected);
    op->expected = bytes_share(expected);
}

void history_end(struct history *history, size_t index,
                 enum history_result result, uint64_t now)
{
    struct history_op *op = &history->ops[index];

    assert(index < history->count && op->returned == HISTORY_PENDING);
    assert(result != HISTORY_REFUSED || op->kind == HISTORY_CAS);
    op->returned = now;
    op->result = result;
}
