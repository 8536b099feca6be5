/* SPDX-License-Identifier: MIT */
/*
 * lincheck_part: see lincheck_part.h. Values, tokens and operations are built
 * once; states come into being as a search meets them.
 */
#include "sim/lincheck_part.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/memory.h"

#define HASH_FUNCTION(key, length, hash)                                       \
    ((hash) = (unsigned)XXH3_64bits((key), (length)))
#define uthash_malloc(size)       memory_new(size)
#define uthash_free(memory, size) free(memory)
#include <uthash.h>

struct token_name {
    struct token token; /* first, so that part->tokens can point at it */
    UT_hash_handle hh;
};

/* What identifies a state. */
struct state_key {
    uint32_t low;
    uint32_t length;
};

struct state_name {
    struct state_key key;
    uint32_t state;
    UT_hash_handle hh;
};

struct part_names {
    struct token_name *tokens;
    struct state_name *states;
};

/* ---- Values ---- */

static int compare_texts(const struct bytes *a, const struct bytes *b)
{
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, shorter);

    return order != 0 ? order
                      : (a->length > b->length) - (b->length > a->length);
}

static int compare_values(const void *left, const void *right)
{
    const struct value *a = left;
    const struct value *b = right;

    if (!a->text || !b->text)
        return (a->text != NULL) - (b->text != NULL);
    return compare_texts(a->text, b->text);
}

static const struct bytes *observed_text(const struct part *part,
                                         const struct part_op *op)
{
    const struct bytes *text =
        op->kind == PART_READ ? op->source->value : op->source->expected;

    return text && text->length == 0 && part->no_absence ? NULL : text;
}

static bool observes(const struct part_op *op)
{
    return op->kind != PART_SET && op->kind != PART_APPEND;
}

static void collect_values(struct part *part)
{
    uint32_t kept = 1;

    part->values = memory_new((part->count + 1) * sizeof(*part->values));
    part->value_count = 1;
    for (uint32_t i = 0; i < part->count; i++) {
        if (observes(&part->ops[i]))
            part->values[part->value_count++].text =
                observed_text(part, &part->ops[i]);
    }
    qsort(part->values, part->value_count, sizeof(*part->values),
          compare_values);
    for (uint32_t i = 1; i < part->value_count; i++) {
        if (compare_values(&part->values[kept - 1], &part->values[i]) != 0)
            part->values[kept++] = part->values[i];
    }
    part->value_count = kept;
}

static uint32_t find_value(const struct part *part, const struct bytes *text)
{
    struct value wanted = {.text = text};
    const struct value *found =
        bsearch(&wanted, part->values, part->value_count, sizeof(*part->values),
                compare_values);

    return found ? (uint32_t)(found - part->values) : PART_NONE;
}

/* ---- States ---- */

static uint32_t add_state(struct part *part, struct state state)
{
    if (part->state_count == part->state_capacity) {
        part->state_capacity =
            part->state_capacity > 0 ? 2 * part->state_capacity : 64;
        part->states = memory_resize(part->states, part->state_capacity *
                                                       sizeof(*part->states));
    }
    part->states[part->state_count] = state;
    return part->state_count++;
}

/* Returns the state that is the first length octets of the values of a range,
 * and of no others. */
static uint32_t state_of(struct part *part, struct range range, uint32_t length)
{
    struct state_key key = {range.low, length};
    struct state_name *name;
    bool equal = part->values[range.low].text->length == length;

    HASH_FIND(hh, part->names->states, &key, sizeof(key), name);
    if (name)
        return name->state;
    name = memory_new(sizeof(*name));
    name->key = key;
    name->state = add_state(
        part, (struct state){range, length, equal ? range.low : PART_NONE});
    HASH_ADD(hh, part->names->states, key, sizeof(key), name);
    return name->state;
}

/* Compares what a value has behind an offset with a token: less than 0, 0 when
 * it begins with it, or more. */
static int compare_at(const struct value *value, uint32_t offset,
                      const struct bytes *token)
{
    uint32_t rest = value->text->length - offset;
    uint32_t shorter = rest < token->length ? rest : token->length;
    int order = memcmp(value->text->data + offset, token->data, shorter);

    return order != 0 ? order : -(rest < token->length);
}

/* Returns the first value of a range that is not below (or, if past, is above)
 * a token, as compare_at says. */
static uint32_t bound(const struct part *part, struct range range,
                      uint32_t offset, const struct bytes *token, bool past)
{
    while (range.low < range.high) {
        uint32_t middle = range.low + (range.high - range.low) / 2;
        int order = compare_at(&part->values[middle], offset, token);

        if (order < 0 || (past && order == 0))
            range.low = middle + 1;
        else
            range.high = middle;
    }
    return range.low;
}

static uint32_t extend(struct part *part, struct range range, uint32_t length,
                       const struct bytes *token)
{
    struct range found;

    if (range.low == VALUE_ABSENT)
        range.low = VALUE_ABSENT + 1;
    found.low = bound(part, range, length, token, false);
    range.low = found.low;
    found.high = bound(part, range, length, token, true);
    if (found.low >= found.high)
        return STATE_DEAD;
    return state_of(part, found, length + token->length);
}

uint32_t part_append(struct part *part, uint32_t state, uint32_t token)
{
    const struct bytes *text = part->tokens[token]->text;

    if (state == STATE_DEAD ||
        (text->length == 0 && (state != STATE_ABSENT || part->no_absence)))
        return state;
    return extend(part, part->states[state].range, part->states[state].length,
                  text);
}

/* Returns the state of a key that was set to a text. */
static uint32_t state_after_set(struct part *part, const struct bytes *text)
{
    uint32_t value;

    if (text->length == 0 && part->no_absence)
        return STATE_ABSENT;
    if (part->has_appends)
        return extend(part, (struct range){0, part->value_count}, 0, text);
    value = find_value(part, text);
    if (value == PART_NONE)
        return STATE_DEAD;
    return state_of(part, (struct range){value, value + 1}, text->length);
}

static void first_states(struct part *part)
{
    uint32_t all = part->has_appends ? part->value_count : 1;
    uint32_t state = add_state(part, (struct state){{0, all}, 0, VALUE_ABSENT});

    assert(state == STATE_ABSENT);
    state = add_state(part, (struct state){{0, 0}, 0, PART_NONE});
    assert(state == STATE_DEAD);
}

/* ---- Tokens ---- */

struct token *part_token(const struct part *part, const uint8_t *text,
                         uint32_t length)
{
    struct token_name *name;

    HASH_FIND(hh, part->names->tokens, text, length, name);
    return name ? &name->token : NULL;
}

static struct token *intern_token(struct part *part, const struct bytes *text)
{
    struct token *token = part_token(part, text->data, text->length);
    struct token_name *name;

    if (token)
        return token;
    name = memory_new(sizeof(*name));
    token = &name->token;
    token->text = text;
    token->id = part->token_count;
    token->set_born = HISTORY_PENDING;
    token->append_born = HISTORY_PENDING;
    part->tokens[part->token_count++] = token;
    HASH_ADD_KEYPTR(hh, part->names->tokens, text->data, text->length, name);
    return token;
}

static void note_write(struct part *part, uint32_t index)
{
    struct part_op *op = &part->ops[index];
    struct token *token = intern_token(part, op->source->value);

    op->token = token->id;
    token->op = index;
    if (op->kind == PART_APPEND) {
        token->appends++;
        if (op->invoked < token->append_born)
            token->append_born = op->invoked;
    } else {
        token->sets++;
        if (op->invoked < token->set_born)
            token->set_born = op->invoked;
    }
}

/* ---- Operations ---- */

static enum part_kind kind_of(const struct history_op *op)
{
    switch (op->kind) {
    case HISTORY_GET: return PART_READ;
    case HISTORY_PUT: return PART_SET;
    case HISTORY_APPEND: return PART_APPEND;
    case HISTORY_CAS: break;
    }
    return op->result == HISTORY_REFUSED ? PART_REFUSED : PART_CAS;
}

static int compare_ops(const void *left, const void *right)
{
    const struct part_op *a = left;
    const struct part_op *b = right;
    bool a_pends = a->returned == HISTORY_PENDING;
    bool b_pends = b->returned == HISTORY_PENDING;

    if (a_pends != b_pends)
        return a_pends - b_pends;
    if (a->invoked != b->invoked)
        return a->invoked < b->invoked ? -1 : 1;
    return (a->source > b->source) - (a->source < b->source);
}

static void add_op(struct part *part, const struct history_op *source,
                   uint64_t until)
{
    struct part_op op = {
        .source = source,
        .invoked = source->invoked,
        .returned = source->returned,
        .kind = kind_of(source),
    };

    if (op.returned > until)
        op.returned = HISTORY_PENDING;
    if (op.invoked > until || source->result == HISTORY_FAILED)
        return;
    if (op.returned == HISTORY_PENDING && op.kind == PART_REFUSED)
        op.kind = PART_CAS;
    if (op.returned == HISTORY_PENDING && op.kind == PART_READ)
        return;
    part->completed += op.returned != HISTORY_PENDING;
    part->has_appends |= op.kind == PART_APPEND;
    part->has_cas |= op.kind == PART_CAS;
    part->has_refusals |= op.kind == PART_REFUSED;
    part->has_empty_append |=
        op.kind == PART_APPEND && source->value->length == 0;
    part->ops[part->count++] = op;
}

/* Fills in what the operations mean, now that values and tokens are known. */
static void resolve_ops(struct part *part)
{
    for (uint32_t i = 0; i < part->count; i++) {
        struct part_op *op = &part->ops[i];

        if (observes(op))
            op->observed = find_value(part, observed_text(part, op));
        if (op->kind == PART_SET || op->kind == PART_CAS)
            op->state = state_after_set(part, op->source->value);
        if (op->kind == PART_SET)
            op->dead = op->state == STATE_DEAD;
        if (op->kind == PART_APPEND)
            op->dead = !part->tokens[op->token]->append_used &&
                       op->source->value->length > 0;
    }
}

struct part *part_new(const struct history_op *const *ops, size_t count,
                      uint64_t until, bool no_absence)
{
    struct part *part = memory_new(sizeof(*part));

    assert(count < PART_NONE / 2);
    part->no_absence = no_absence;
    part->names = memory_new(sizeof(*part->names));
    part->ops = memory_new((count + 1) * sizeof(*part->ops));
    part->tokens = memory_new((count + 1) * sizeof(*part->tokens));
    for (size_t i = 0; i < count; i++)
        add_op(part, ops[i], until);
    qsort(part->ops, part->count, sizeof(*part->ops), compare_ops);
    collect_values(part);
    first_states(part);
    for (uint32_t i = 0; i < part->count; i++) {
        if (part->ops[i].kind != PART_READ && part->ops[i].kind != PART_REFUSED)
            note_write(part, i);
    }
    part_parse(part);
    resolve_ops(part);
    return part;
}

void part_free(struct part *part)
{
    struct token_name *token;
    struct token_name *next_token;
    struct state_name *state;
    struct state_name *next_state;

    HASH_ITER(hh, part->names->tokens, token, next_token)
    {
        HASH_DEL(part->names->tokens, token);
        free(token->token.ranges);
        free(token);
    }
    HASH_ITER(hh, part->names->states, state, next_state)
    {
        HASH_DEL(part->names->states, state);
        free(state);
    }
    free(part->names);
    free(part->states);
    free(part->lengths);
    free(part->tokens);
    free(part->values);
    free(part->ops);
    free(part);
}
