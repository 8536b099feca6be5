/* SPDX-License-Identifier: MIT */
/*
 * state: see state.h.
 */
#include "pbserver/state.h"

#include <assert.h>
#include <string.h>

#include "node/message.h"

/* Octets of an encoded operation, beside key and value. */
enum { OPERATION_OVERHEAD = 64 };

void state_init(struct state *state)
{
    state->op = 0;
    kv_init(&state->kv);
    sessions_init(&state->sessions);
}

void state_release(struct state *state)
{
    kv_release(&state->kv);
    sessions_release(&state->sessions);
    state->op = 0;
}

void state_clone(const struct state *state, struct state *copy)
{
    copy->op = state->op;
    kv_clone(&state->kv, &copy->kv);
    sessions_clone(&state->sessions, &copy->sessions);
}

struct digest state_digest(const struct state *state)
{
    uint64_t words[2];
    struct digest digest;

    words[0] = state->kv.sum.low + state->sessions.sum.low + state->op;
    words[1] = state->kv.sum.high + state->sessions.sum.high;
    for (unsigned i = 0; i < DIGEST_SIZE; i++)
        digest.octets[i] = (uint8_t)(words[i / 8] >> (8 * (i % 8)));
    return digest;
}

void state_describe(const struct state *state, struct sink *sink)
{
    sink_open(sink, "state");
    sink_u64(sink, "op", state->op);
    kv_describe(&state->kv, sink);
    sessions_describe(&state->sessions, sink);
    sink_close(sink);
}

static bool is_too_large(const struct state *state,
                         const struct state_limits *limits,
                         const struct operation *operation)
{
    const struct bytes *old;

    if (operation->key->length > limits->key ||
        operation->value->length > limits->value)
        return true;
    if (operation->kind != PBKV__KIND__KIND_APPEND)
        return false;
    old = kv_get(&state->kv, operation->key->data, operation->key->length);
    return old && old->length > limits->value - operation->value->length;
}

void state_decide(const struct state *state, const struct state_limits *limits,
                  struct operation *operation)
{
    operation->status = PBKV__STATUS__OK;
    operation->evicted = 0;
    if (operation->kind == PBKV__KIND__KIND_OPEN) {
        operation->session = state->op + 1;
        if (state->sessions.count >= limits->sessions)
            operation->evicted = sessions_oldest(&state->sessions);
        return;
    }
    assert(sessions_find(&state->sessions, operation->session));
    if (is_too_large(state, limits, operation)) {
        operation->status = PBKV__STATUS__TOO_LARGE;
        bytes_release(operation->key);
        bytes_release(operation->value);
        operation->key = bytes_new(NULL, 0);
        operation->value = bytes_new(NULL, 0);
    }
}

bool state_is_full(const struct state *state, const struct state_limits *limits,
                   const struct operation *operation)
{
    const struct bytes *old;
    size_t length;

    if (operation->kind == PBKV__KIND__KIND_OPEN ||
        operation->status != PBKV__STATUS__OK)
        return false;
    length = operation->value->length;
    if (state->kv.octets + operation->key->length + length +
            (state->kv.count + 1) * ENTRY_COST <=
        limits->octets)
        return false; /* whether or not the key is there already */
    old = kv_get(&state->kv, operation->key->data, operation->key->length);
    if (old && operation->kind == PBKV__KIND__KIND_APPEND)
        length += old->length;
    return kv_octets_after(&state->kv, operation->key, length) +
               (state->kv.count + (old ? 0 : 1)) * ENTRY_COST >
           limits->octets;
}

uint64_t state_size(const struct state *state)
{
    return state->kv.octets + (uint64_t)state->kv.count * ENTRY_COST +
           (uint64_t)state->sessions.count * SESSION_COST;
}

/* Whether the value of an append, which may be in the store already, keeps to
 * the limit. */
static bool append_fits(const struct state *state,
                        const struct operation *operation)
{
    const struct bytes *key = operation->key;
    const struct bytes *old = kv_get(&state->kv, key->data, key->length);

    return !old ||
           kv_modified(&state->kv, key->data, key->length) > state->op ||
           old->length + operation->value->length <= VALUE_LIMIT;
}

bool state_can_apply(const struct state *state,
                     const struct operation *operation)
{
    const struct session_record *record =
        sessions_find(&state->sessions, operation->session);

    if (operation->kind == PBKV__KIND__KIND_OPEN)
        return operation->session == state->op + 1;
    if (!record || operation->seq <= record->seq)
        return false;
    return operation->kind != PBKV__KIND__KIND_APPEND ||
           operation->status != PBKV__STATUS__OK ||
           append_fits(state, operation);
}

void state_foresee(const struct state *state, Pbkv__LogOp **ops, size_t count,
                   struct kv_foreseen keys[STATE_FORESEEN_MAX])
{
    if (count > STATE_FORESEEN_MAX)
        count = STATE_FORESEEN_MAX;
    for (size_t i = 0; i < count; i++)
        keys[i] = kv_foresee(&state->kv, ops[i]->key.data, ops[i]->key.len);
    kv_foresee_rest(&state->kv, keys, count);
}

static void apply_to_store(struct kv *kv, const struct operation *operation,
                           uint64_t number)
{
    struct bytes *key = operation->key;

    if (operation->kind == PBKV__KIND__KIND_PUT)
        kv_put_newer(kv, key, operation->value, number);
    else if (kv_modified(kv, key->data, key->length) < number)
        kv_append(kv, key, operation->value, number);
}

void state_apply(struct state *state, const struct operation *operation)
{
    uint64_t number = state->op + 1;
    struct session_record record = {
        .id = operation->session,
        .seq = operation->seq,
        .status = operation->status,
        .op = number,
    };

    assert(operation->status != PBKV__STATUS__STATUS_INVALID);
    if (operation->evicted > 0)
        sessions_evict(&state->sessions, operation->evicted);
    sessions_set(&state->sessions, &record);
    if (operation->kind != PBKV__KIND__KIND_OPEN &&
        operation->status == PBKV__STATUS__OK)
        apply_to_store(&state->kv, operation, number);
    state->op = number;
}

void operation_release(struct operation *operation)
{
    bytes_release(operation->key);
    bytes_release(operation->value);
    operation->key = NULL;
    operation->value = NULL;
}

struct operation operation_share(const struct operation *operation)
{
    bytes_share(operation->key);
    bytes_share(operation->value);
    return *operation;
}

size_t operation_size(const struct operation *operation)
{
    return OPERATION_OVERHEAD + operation->key->length +
           operation->value->length;
}

/* Returns the operation in a message with this key, which it takes over. */
static struct operation operation_with_key(const Pbkv__LogOp *message,
                                           struct bytes *key)
{
    return (struct operation){
        .kind = message->kind,
        .session = message->session,
        .seq = message->seq,
        .key = key,
        .value = bytes_new(message->value.data, message->value.len),
        .status = message->status,
        .evicted = message->evicted,
    };
}

struct operation operation_from_message(const Pbkv__LogOp *message)
{
    return operation_with_key(message,
                              bytes_new(message->key.data, message->key.len));
}

struct operation state_operation(struct state *state,
                                 const Pbkv__LogOp *message,
                                 const struct kv_foreseen *key)
{
    return operation_with_key(
        message,
        kv_key_foreseen(&state->kv, message->key.data, message->key.len, key));
}

void operation_to_message(const struct operation *operation,
                          Pbkv__LogOp *message)
{
    *message = (Pbkv__LogOp)PBKV__LOG_OP__INIT;
    message->kind = operation->kind;
    message->session = operation->session;
    message->seq = operation->seq;
    message->key = message_bytes(operation->key);
    message->value = message_bytes(operation->value);
    message->status = operation->status;
    message->evicted = operation->evicted;
}

void operation_describe(const struct operation *operation, const char *name,
                        struct sink *sink)
{
    sink_open(sink, name);
    sink_u64(sink, "kind", (uint64_t)operation->kind);
    sink_u64(sink, "session", operation->session);
    sink_u64(sink, "seq", operation->seq);
    sink_octets(sink, "key", operation->key->data, operation->key->length);
    sink_octets(sink, "value", operation->value->data,
                operation->value->length);
    sink_u64(sink, "status", (uint64_t)operation->status);
    sink_u64(sink, "evicted", operation->evicted);
    sink_close(sink);
}
