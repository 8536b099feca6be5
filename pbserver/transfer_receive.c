/* SPDX-License-Identifier: MIT */
/*
 * transfer_receive: the backup's side of a state transfer (T4); see transfer.c
 * for the design. What has arrived grows beside the server's state and replaces
 * it at the last chunk, if it is exactly what the primary has.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "pbserver/server.h"

enum {
    FORESEEN = 16,   /* entries between the hint for one and its turn */
    ENTRY_HEADS = 32 /* octets of memory for key and value beside themselves */
};

static void receipt_begin(struct server *server, struct env *env,
                          const Pbkv__Chunk *chunk)
{
    struct transfer_in *in = &server->in;

    assert(chunk->transfer > in->number);
    server_discard(server, env, &in->state);
    in->active = true;
    in->number = chunk->transfer;
    in->refused = PBKV__STATUS__STATUS_INVALID;
    in->received = 0;
    in->newest = 0;
    in->state.op = chunk->since;
}

/* Gives a transfer up, and says so as often as its chunks come. */
static void receipt_refuse(struct server *server, struct env *env,
                           Pbkv__Status status)
{
    struct transfer_in *in = &server->in;

    assert(in->active);
    server_discard(server, env, &in->state);
    in->active = false;
    in->refused = status;
}

static void take_session(struct transfer_in *in,
                         const Pbkv__SessionRecord *message)
{
    struct session_record record = {
        .id = message->id,
        .seq = message->seq,
        .status = message->status,
        .op = message->op,
    };

    sessions_set(&in->state.sessions, &record);
}

static void take_entry(struct transfer_in *in, const Pbkv__Entry *message)
{
    struct bytes *key = bytes_new(message->key.data, message->key.len);
    struct bytes *value = bytes_new(message->value.data, message->value.len);

    kv_put_newer(&in->state.kv, key, value, message->modified);
    if (in->newest < message->modified)
        in->newest = message->modified;
    bytes_release(value);
    bytes_release(key);
}

static void foresee_memory(const Pbkv__Chunk *chunk)
{
    size_t octets = 0;

    for (size_t i = 0; i < chunk->n_entries; i++)
        octets += chunk->entries[i]->key.len + chunk->entries[i]->value.len +
                  ENTRY_HEADS;
    memory_foresee(octets);
}

/* In a large store each new key waits for its slot in the index, which is in no
 * cache; the hints make the waits overlap. */
static void take_entries(struct transfer_in *in, const Pbkv__Chunk *chunk)
{
    foresee_memory(chunk);
    for (size_t i = 0; i < chunk->n_entries; i++) {
        if (chunk->n_entries - i > FORESEEN) {
            const Pbkv__Entry *later = chunk->entries[i + FORESEEN];

            kv_foresee(&in->state.kv, later->key.data, later->key.len);
        }
        take_entry(in, chunk->entries[i]);
    }
}

/* Returns whether the operation was possible. One that cannot have this number
 * is left out. */
static bool take_operation(struct transfer_in *in, const Pbkv__LogOp *message)
{
    struct operation operation = operation_from_message(message);
    bool possible = state_can_apply(&in->state, &operation);

    if (possible)
        state_apply(&in->state, &operation);
    operation_release(&operation);
    return possible;
}

/* Takes the items of the chunk that comes next. Returns whether they were
 * possible. */
static bool take_items(struct transfer_in *in, const Pbkv__Chunk *chunk)
{
    bool possible = true;

    assert(chunk->first == in->received);
    for (size_t i = 0; i < chunk->n_sessions; i++)
        take_session(in, chunk->sessions[i]);
    take_entries(in, chunk);
    for (size_t i = 0; i < chunk->n_ops && possible; i++)
        possible = take_operation(in, chunk->ops[i]);
    in->received += chunk->n_sessions + chunk->n_entries + chunk->n_ops;
    in->total = chunk->total;
    return possible;
}

static void acknowledge_chunk(const struct server *server, struct env *env,
                              const struct peer *to)
{
    Pbkv__ChunkAck ack = PBKV__CHUNK_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = server->view.number;
    ack.received = server->in.received;
    ack.installed = server->initialised;
    ack.transfer = server->in.number;
    body.kind_case = PBKV__BODY__KIND_CHUNK_ACK;
    body.chunk_ack = &ack;
    env_send(env, to, &body);
}

/* All items are here: makes them the state, if they are what the primary has
 * (T4). */
static void install(struct server *server, struct env *env,
                    const struct peer *from, const Pbkv__Chunk *chunk)
{
    struct transfer_in *in = &server->in;
    struct digest digest = state_digest(&in->state);

    assert(server_is_backup(server) && !server->initialised);
    if (in->newest > in->state.op || /* no operation may be in it already */
        memcmp(digest.octets, chunk->digest.data, DIGEST_SIZE) != 0) {
        env_log(env, LOG_LEVEL_WARN, "chunk.digest",
                "the state differs from the primary's at op %" PRIu64,
                in->state.op);
        receipt_refuse(server, env, PBKV__STATUS__STATE_TRANSFER);
        server_refuse(server, env, from, chunk->view, in->refused);
        return;
    }
    state_release(&server->state);
    server->state = in->state;
    state_init(&in->state);
    in->active = false;
    server->initialised = true; /* The state is installed: T4. */
    env_log(env, LOG_LEVEL_INFO, "transfer.installed",
            "view %" PRIu64 " op %" PRIu64 ": %zu keys", server->view.number,
            server->state.op, server->state.kv.count);
    acknowledge_chunk(server, env, from);
}

/* Returns the name of the event that keeps a chunk from being taken, or NULL
 * when it is the one that comes next. */
static const char *chunk_refusal(struct server *server, struct env *env,
                                 const Pbkv__Chunk *chunk)
{
    struct transfer_in *in = &server->in;

    if (server->initialised)
        return "chunk.duplicate"; /* T4: at most once per view */
    if (chunk->transfer > in->number)
        receipt_begin(server, env, chunk);
    if (chunk->transfer < in->number)
        return "chunk.stale";
    if (!in->active)
        return "chunk.refused";
    if (chunk->first < in->received)
        return "chunk.duplicate";
    return chunk->first > in->received ? "chunk.gap" : NULL;
}

void server_on_chunk(struct server *server, struct env *env,
                     const struct peer *from, const Pbkv__Chunk *chunk)
{
    struct transfer_in *in = &server->in;
    const char *refusal;

    if (!server_accepts_from_primary(server, env, from, chunk->view))
        return;
    refusal = chunk_refusal(server, env, chunk);
    if (refusal)
        env_log(env, LOG_LEVEL_DEBUG, refusal,
                "item %" PRIu64 " after %" PRIu64, chunk->first, in->received);
    else if (!take_items(in, chunk)) {
        env_log(env, LOG_LEVEL_WARN, "chunk.impossible", "after op %" PRIu64,
                in->state.op);
        receipt_refuse(server, env, PBKV__STATUS__STATE_TRANSFER);
    } else if (state_size(&in->state) > server_room(server)) {
        env_log(env, LOG_LEVEL_WARN, "chunk.full", "%" PRIu64 " octets",
                state_size(&in->state));
        receipt_refuse(server, env, PBKV__STATUS__BACKUP_FAILED);
    }
    if (in->refused != PBKV__STATUS__STATUS_INVALID)
        server_refuse(server, env, from, chunk->view, in->refused);
    else if (!refusal && chunk->last)
        install(server, env, from, chunk);
    else
        acknowledge_chunk(server, env, from); /* T4 */
}
