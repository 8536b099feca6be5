/* SPDX-License-Identifier: MIT */
/*
 * script_history: linearizability of a few short notes, by trying orders. An
 * operation may come next when everything that was over at its beginning has
 * come; a Get must find what was noted. With half a dozen operations this needs
 * no cleverness, and the explorer keeps the verdicts.
 */
#include <assert.h>
#include <string.h>

#include "sim/script.h"

enum { VALUE_MAX = 64, KEYS_MAX = 4 };

struct item {
    const char *key;
    size_t length;
    char value[VALUE_MAX];
};

struct attempt {
    const struct script *const *scripts;
    uint32_t count;
    bool placed[SCRIPT_CLIENTS_MAX][SCRIPT_OPS_MAX];
    uint32_t left; /* operations with a known outcome, not yet placed */
    struct item items[KEYS_MAX];
    uint32_t item_count;
};

static bool is_known(const struct script_note *note)
{
    return note->status == PBKV__STATUS__OK ||
           note->status == PBKV__STATUS__NO_KEY;
}

/* Whether everything that was over when the operation began has its place. */
static bool may_come_next(const struct attempt *attempt, uint32_t client,
                          uint32_t op)
{
    uint32_t knowledge = attempt->scripts[client]->notes[op].knowledge;

    for (uint32_t i = 0; i < attempt->count; i++) {
        uint32_t over = knowledge >> (4 * i) & 15;

        for (uint32_t j = 0; j < over; j++) {
            if (!attempt->placed[i][j] &&
                is_known(&attempt->scripts[i]->notes[j]))
                return false;
        }
    }
    return true;
}

static struct item *find_item(struct attempt *attempt, const char *key)
{
    for (uint32_t i = 0; i < attempt->item_count; i++) {
        if (strcmp(attempt->items[i].key, key) == 0)
            return &attempt->items[i];
    }
    return NULL;
}

/* Does the operation. Returns whether its answer is what was noted. */
static bool take_effect(struct attempt *attempt, const struct script_op *op,
                        const struct script_note *note)
{
    struct item *item = find_item(attempt, op->key);
    size_t length = op->value ? strlen(op->value) : 0;

    if (op->kind == SCRIPT_GET) {
        if (!is_known(note))
            return false;
        if (!item || note->status == PBKV__STATUS__NO_KEY)
            return !item && note->status == PBKV__STATUS__NO_KEY;
        return note->value->length == item->length &&
               memcmp(note->value->data, item->value, item->length) == 0;
    }
    if (!item) {
        assert(attempt->item_count < KEYS_MAX);
        item = &attempt->items[attempt->item_count++];
        *item = (struct item){.key = op->key};
    }
    if (op->kind == SCRIPT_PUT)
        item->length = 0;
    assert(op->value && item->length + length <= VALUE_MAX);
    memcpy(item->value + item->length, op->value, length);
    item->length += length;
    return true;
}

static bool can_be_completed(const struct attempt *attempt)
{
    if (attempt->left == 0)
        return true;
    for (uint32_t i = 0; i < attempt->count; i++) {
        const struct script *script = attempt->scripts[i];

        for (uint32_t j = 0; j < script->begun; j++) {
            struct attempt next = *attempt;

            if (attempt->placed[i][j] || !may_come_next(attempt, i, j) ||
                !take_effect(&next, &script->ops[j], &script->notes[j]))
                continue;
            next.placed[i][j] = true;
            next.left -= is_known(&script->notes[j]);
            if (can_be_completed(&next))
                return true;
        }
    }
    return false;
}

bool script_histories_are_linearizable(const struct script *const *scripts,
                                       uint32_t count)
{
    struct attempt attempt = {.scripts = scripts, .count = count};

    assert(count <= SCRIPT_CLIENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < scripts[i]->begun; j++)
            attempt.left += is_known(&scripts[i]->notes[j]);
    }
    return can_be_completed(&attempt);
}

bool script_nodes_are_linearizable(const struct node *const *nodes,
                                   uint32_t count)
{
    const struct script *scripts[SCRIPT_CLIENTS_MAX];
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct script *script = script_of(nodes[i]);

        if (!script)
            continue;
        assert(found < SCRIPT_CLIENTS_MAX);
        scripts[found++] = script;
    }
    return script_histories_are_linearizable(scripts, found);
}
