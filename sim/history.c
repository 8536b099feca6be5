/* SPDX-License-Identifier: MIT */
/*
 * history: see history.h.
 */
#include "sim/history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
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

/* ---- Appends only ---- */

/* Returns the longest value that was read of the key of op, or NULL. */
static const struct bytes *longest_read(const struct history *history,
                                        const struct history_op *op)
{
    const struct bytes *longest = NULL;

    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *other = &history->ops[i];

        if (other->kind == HISTORY_GET && other->value &&
            bytes_equal(other->key, op->key) &&
            (!longest || other->value->length > longest->length))
            longest = other->value;
    }
    return longest;
}

static size_t occurrences(const struct bytes *in, const struct bytes *token,
                          size_t *end)
{
    size_t count = 0;

    for (size_t at = 0; in && at + token->length <= in->length; at++) {
        if (memcmp(in->data + at, token->data, token->length) == 0) {
            count++;
            *end = at + token->length;
        }
    }
    return count;
}

/* Finds out how long the value was at least after op, and whether op can be
 * explained at all. */
static const char *position(const struct history *history,
                            const struct history_op *op, size_t *length)
{
    const struct bytes *longest = longest_read(history, op);
    size_t count;

    *length = 0;
    if (op->kind == HISTORY_APPEND) {
        count = occurrences(longest, op->value, length);
        if (count > 1)
            return "an append took effect twice";
        if (count == 0 && op->returned != HISTORY_PENDING)
            return "an acknowledged append was lost";
        return NULL;
    }
    if (op->returned == HISTORY_PENDING || !op->value)
        return NULL;
    *length = op->value->length;
    if (memcmp(op->value->data, longest->data, op->value->length) != 0)
        return "a read saw a value that was never there";
    return NULL;
}

static bool complain(const struct history_op *op, const char *sentence,
                     char *text, size_t size)
{
    static const char *const kinds[] = {"get", "put", "append"};

    snprintf(text, size, "%s: %s %.*s %.*s by process %" PRIu32, sentence,
             kinds[op->kind], (int)op->key->length, (const char *)op->key->data,
             op->value && op->kind != HISTORY_GET ? (int)op->value->length : 0,
             op->value ? (const char *)op->value->data : "", op->process);
    return false;
}

/* Whether a and b, a having ended before b began, are in the right order. */
static const char *order(const struct history_op *a, size_t a_length,
                         const struct history_op *b, size_t b_length)
{
    if (a->returned >= b->invoked || !bytes_equal(a->key, b->key))
        return NULL;
    if (b->kind == HISTORY_GET && b->returned != HISTORY_PENDING &&
        b_length < a_length)
        return "a read was stale";
    if (b->kind == HISTORY_APPEND && b_length > 0 && b_length <= a_length)
        return "an append went before what it followed";
    return NULL;
}

bool history_check_appends(const struct history *history, char *text,
                           size_t size)
{
    size_t *lengths = memory_new(history->count * sizeof(*lengths) + 1);
    const char *sentence = NULL;
    const struct history_op *culprit = NULL;

    for (size_t i = 0; i < history->count && !sentence; i++) {
        culprit = &history->ops[i];
        assert(culprit->kind != HISTORY_PUT);
        sentence = position(history, culprit, &lengths[i]);
    }
    for (size_t i = 0; i < history->count && !sentence; i++) {
        for (size_t j = 0; j < history->count && !sentence; j++) {
            culprit = &history->ops[j];
            sentence = order(&history->ops[i], lengths[i], culprit, lengths[j]);
        }
    }
    free(lengths);
    return sentence ? complain(culprit, sentence, text, size) : true;
}
