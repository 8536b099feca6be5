/* SPDX-License-Identifier: MIT */
/*
 * transfer_send: the primary's side of a state transfer (T1 to T3, T5); see
 * transfer.c for the design. At most TRANSFER_WINDOW chunks are on the way.
 * When a resend timer finds that nothing has moved, the first of them goes out
 * again, and the others one by one as those before them arrive: a slow link is
 * not filled with copies.
 *
 * Behind the last chunk clients wait until the backup has installed the state.
 * So that this does not take long it is built when nearly all chunks before it
 * have arrived.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "pbserver/server.h"

enum {
    CHUNK_ITEMS_MAX = 16384, /* items of a chunk */
    RECORD_OCTETS = 40,      /* a session record in a message, about */
    ENTRY_OVERHEAD = 32,     /* an entry beside key and value */
    BEFORE_LAST = 1,         /* chunks on the way when the last is built */
};

static uint64_t first_operation(const struct transfer_out *out)
{
    return out->session_count + out->key_count;
}

static uint64_t items_now(const struct server *server)
{
    const struct transfer_out *out = &server->out;

    return first_operation(out) + (server->state.op - out->since);
}

static struct log_entry *operation_at(const struct server *server,
                                      uint64_t item)
{
    const struct transfer_out *out = &server->out;

    return oplog_at(&server->log,
                    out->since + 1 + (item - first_operation(out)));
}

static size_t item_size(const struct server *server, uint64_t item)
{
    const struct transfer_out *out = &server->out;
    struct kv_item entry;

    if (item < out->session_count)
        return RECORD_OCTETS;
    if (item >= first_operation(out))
        return operation_size(&operation_at(server, item)->operation);
    entry = kv_at(&server->state.kv, (size_t)(item - out->session_count));
    return entry.key->length + entry.value->length + ENTRY_OVERHEAD;
}

/* Returns the end of the chunk that starts at item `first`: by size, by count,
 * or because there are no more items. */
static uint64_t chunk_end(const struct server *server, uint64_t first,
                          uint64_t limit)
{
    size_t octets = 0;
    uint64_t end = first;

    while (end < limit && end - first < CHUNK_ITEMS_MAX) {
        octets += item_size(server, end);
        if (end > first && octets > server->config.chunk_octets)
            break;
        end++;
    }
    return end;
}

union chunk_item {
    Pbkv__SessionRecord session;
    Pbkv__Entry entry;
    Pbkv__LogOp operation;
};

/* A Chunk and the memory behind its lists: the three follow each other in one
 * array, as the items do. */
struct chunk_builder {
    Pbkv__Chunk chunk;
    union chunk_item *items;
    void **pointers; /* to each of them */
    size_t count;
};

static void builder_init(struct chunk_builder *builder, size_t items)
{
    pbkv__chunk__init(&builder->chunk);
    builder->items = memory_resize(NULL, items * sizeof(*builder->items));
    builder->pointers = memory_resize(NULL, items * sizeof(*builder->pointers));
    builder->count = 0;
}

static void builder_release(struct chunk_builder *builder)
{
    free(builder->pointers);
    free(builder->items);
}

static void add_session(struct chunk_builder *builder,
                        const struct session_record *record)
{
    Pbkv__SessionRecord *message = &builder->items[builder->count].session;

    pbkv__session_record__init(message);
    message->id = record->id;
    message->seq = record->seq;
    message->status = record->status;
    message->op = record->op;
    builder->chunk.n_sessions++;
}

static void add_entry(struct chunk_builder *builder, const struct kv_item *item)
{
    Pbkv__Entry *message = &builder->items[builder->count].entry;

    pbkv__entry__init(message);
    message->key = message_bytes(item->key);
    message->value = message_bytes(item->value);
    message->modified = item->modified;
    builder->chunk.n_entries++;
}

static void add_operation(struct chunk_builder *builder,
                          const struct operation *operation)
{
    operation_to_message(operation, &builder->items[builder->count].operation);
    builder->chunk.n_ops++;
}

static void add_item(struct chunk_builder *builder, const struct server *server,
                     uint64_t item)
{
    const struct transfer_out *out = &server->out;
    struct kv_item entry;

    builder->pointers[builder->count] = &builder->items[builder->count];
    if (item < out->session_count)
        add_session(builder, &out->sessions[item]);
    else if (item >= first_operation(out))
        add_operation(builder, &operation_at(server, item)->operation);
    else {
        entry = kv_at(&server->state.kv, (size_t)(item - out->session_count));
        add_entry(builder, &entry);
    }
    builder->count++;
}

/* Points the Chunk at its lists, now that all items are in them. */
static void builder_finish(struct chunk_builder *builder)
{
    Pbkv__Chunk *chunk = &builder->chunk;

    chunk->sessions = (Pbkv__SessionRecord **)builder->pointers;
    chunk->entries = (Pbkv__Entry **)(builder->pointers + chunk->n_sessions);
    chunk->ops = (Pbkv__LogOp **)(builder->pointers + chunk->n_sessions +
                                  chunk->n_entries);
}

/* The chunk up to `end` is the last one: from here on operations go to the
 * backup by forwarding, and wait for it (T3). */
static void close_transfer(struct server *server, uint64_t end)
{
    struct transfer_out *out = &server->out;

    assert(end == items_now(server));
    out->closed = true;
    out->total = end;
    out->close_op = server->state.op;
    out->digest = state_digest(&server->state);
}

/* Builds the chunk from `next` up to `end` and sends it. */
static void send_chunk(struct server *server, struct env *env, uint64_t end)
{
    struct transfer_out *out = &server->out;
    struct chunk_builder builder;
    struct transfer_chunk *chunk;
    Pbkv__Body body = PBKV__BODY__INIT;

    builder_init(&builder, (size_t)(end - out->next));
    for (uint64_t item = out->next; item < end; item++)
        add_item(&builder, server, item);
    builder_finish(&builder);
    builder.chunk.view = server->view.number;
    builder.chunk.first = out->next;
    builder.chunk.since = out->since;
    builder.chunk.transfer = out->number;
    builder.chunk.total = items_now(server);
    if (out->closed && end == out->total) {
        builder.chunk.last = true;
        builder.chunk.digest = message_octets(out->digest.octets, DIGEST_SIZE);
    }
    body.kind_case = PBKV__BODY__KIND_CHUNK;
    body.chunk = &builder.chunk;
    chunk = &out->way[out->on_the_way++];
    chunk->body = message_encode(&body);
    chunk->end = end;
    out->next = end;
    env_send_encoded(env, &server->view.backup, body.kind_case, chunk->body);
    builder_release(&builder);
}

static void send_again(struct server *server, struct env *env)
{
    env_send_encoded(env, &server->view.backup, PBKV__BODY__KIND_CHUNK,
                     server->out.way[0].body);
}

/* Sends chunks as far as the window allows. */
static void pump(struct server *server, struct env *env)
{
    struct transfer_out *out = &server->out;

    assert(out->active && server_is_primary(server));
    while (out->on_the_way < TRANSFER_WINDOW && !out->closed &&
           out->acked >= out->again) {
        uint64_t items = items_now(server);
        uint64_t end = chunk_end(server, out->next, items);

        if (end == items && out->on_the_way > BEFORE_LAST)
            break;
        if (end == items)
            close_transfer(server, end);
        send_chunk(server, env, end);
    }
    server_watch_backup(server, env);
}

void transfer_resend(struct server *server, struct env *env)
{
    struct transfer_out *out = &server->out;

    assert(out->active && out->on_the_way > 0);
    out->again = out->next;
    send_again(server, env);
}

void transfer_start(struct server *server, struct env *env)
{
    struct transfer_out *out = &server->out;

    assert(server_is_serving(server));
    assert(peer_is_present(&server->view.backup));
    transfer_clear(server);
    out->active = true;
    out->number = ++server->transfers;
    server->backup_full = false;
    server_commit(server, env, server->state.op); /* alone, from here on */
    oplog_drop_through(&server->log, server->state.op);
    out->since = server->state.op;
    out->sessions = sessions_list(&server->state.sessions);
    out->session_count = server->state.sessions.count;
    out->key_count = server->state.kv.count;
    env_log(env, LOG_LEVEL_INFO, "transfer.started",
            "view %" PRIu64 " to %s: %zu sessions, %zu keys, %" PRIu64
            " octets",
            server->view.number, server->view.backup.address.text,
            out->session_count, out->key_count, server->state.kv.octets);
    pump(server, env);
}

/* The backup has the state as of close_op (T2). */
static void finish(struct server *server, struct env *env)
{
    assert(server->out.closed && server->out.acked == server->out.total);
    assert(server->committed == server->out.close_op);
    env_log(env, LOG_LEVEL_INFO, "transfer.done",
            "view %" PRIu64 " at op %" PRIu64, server->view.number,
            server->out.close_op);
    transfer_clear(server);
    oplog_drop_through(&server->log, server->committed);
    server->forwarded = server->committed;
    server->flight_octets = 0;
    server_acknowledge(server, env); /* T2 */
    server_replicate(server, env);
}

/* Items up to `received` have arrived. After a resend the chunks behind them
 * may be lost as well, and go out again one by one. */
static void advance(struct server *server, struct env *env, uint64_t received)
{
    struct transfer_out *out = &server->out;
    size_t arrived = 0;

    if (received <= out->acked)
        return;
    while (arrived < out->on_the_way && out->way[arrived].end <= received)
        bytes_release(out->way[arrived++].body);
    out->on_the_way -= arrived;
    memmove(out->way, out->way + arrived,
            out->on_the_way * sizeof(out->way[0]));
    server_note_progress(server);
    out->acked = received;
    if (received > first_operation(out))
        oplog_drop_through(&server->log,
                           out->since + received - first_operation(out));
    if (out->on_the_way > 0 && out->way[0].end <= out->again)
        send_again(server, env);
}

void server_on_chunk_ack(struct server *server, struct env *env,
                         const struct peer *from, const Pbkv__ChunkAck *ack)
{
    struct transfer_out *out = &server->out;

    if (!server_is_serving(server) || !out->active ||
        ack->view != server->view.number || ack->transfer != out->number ||
        !peer_equal(from, &server->view.backup)) {
        env_log(env, LOG_LEVEL_DEBUG, "chunk_ack.stale",
                "view %" PRIu64 " from %s", ack->view, from->address.text);
        return; /* T5 */
    }
    if (ack->received > out->next ||
        ack->installed != (out->closed && ack->received == out->total)) {
        env_log(env, LOG_LEVEL_WARN, "chunk_ack.ahead", "item %" PRIu64,
                ack->received);
        return;
    }
    server->backup_full = false;
    advance(server, env, ack->received);
    if (ack->installed)
        finish(server, env);
    else
        pump(server, env);
}
