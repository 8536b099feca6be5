/* SPDX-License-Identifier: MIT */
/*
 * transfer: the whole state for a new backup (rules T1 to T5), while clients go
 * on.
 *
 * The state is a sequence of numbered items: the sessions as of op number
 * `since`, at which the transfer starts; then the keys that exist at that
 * moment, in their fixed positions, each with the value it has when its chunk
 * is built; then the operations since+1, since+2, …. A chunk is a run of items.
 * The receiver takes every item exactly once and in order, and acknowledges how
 * many it has; so loss, duplicates and broken connections need no thought
 * beyond "start again behind the newest acknowledgement".
 *
 * A key's value may be newer than `since`. The entry says by which operation it
 * was last changed, and state_apply leaves it alone for operations up to that
 * one; at the end of the items both sides are exactly equal, which the digest
 * in the last chunk proves before the receiver installs anything.
 *
 * While items are left, the primary answers clients alone: nothing is lost that
 * a crash of this only holder of the state would not lose anyway, since the
 * view cannot pass to another primary before this one acknowledges it (V3, T2),
 * and every operation becomes an item (T3). The last chunk ends that:
 * operations after it wait for the backup.
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
};

/* ---- The primary sends ---- */

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

/* A Chunk and the memory behind its lists. */
struct chunk_builder {
    Pbkv__Chunk chunk;
    Pbkv__SessionRecord *sessions;
    Pbkv__Entry *entries;
    Pbkv__LogOp *ops;
    void **pointers;
};

static void add_session(struct chunk_builder *builder,
                        const struct session_record *record)
{
    Pbkv__SessionRecord *message =
        &builder->sessions[builder->chunk.n_sessions];

    pbkv__session_record__init(message);
    message->id = record->id;
    message->seq = record->seq;
    message->status = record->status;
    message->op = record->op;
    builder->chunk.sessions[builder->chunk.n_sessions++] = message;
}

static void add_entry(struct chunk_builder *builder, const struct kv_item *item)
{
    Pbkv__Entry *message = &builder->entries[builder->chunk.n_entries];

    pbkv__entry__init(message);
    message->key = message_bytes(item->key);
    message->value = message_bytes(item->value);
    message->modified = item->modified;
    builder->chunk.entries[builder->chunk.n_entries++] = message;
}

static void add_operation(struct chunk_builder *builder,
                          const struct operation *operation)
{
    Pbkv__LogOp *message = &builder->ops[builder->chunk.n_ops];

    operation_to_message(operation, message);
    builder->chunk.ops[builder->chunk.n_ops++] = message;
}

static void builder_init(struct chunk_builder *builder, size_t items)
{
    pbkv__chunk__init(&builder->chunk);
    builder->sessions = memory_new(items * sizeof(*builder->sessions));
    builder->entries = memory_new(items * sizeof(*builder->entries));
    builder->ops = memory_new(items * sizeof(*builder->ops));
    builder->pointers = memory_new(3 * items * sizeof(*builder->pointers));
    builder->chunk.sessions = (Pbkv__SessionRecord **)builder->pointers;
    builder->chunk.entries = (Pbkv__Entry **)(builder->pointers + items);
    builder->chunk.ops = (Pbkv__LogOp **)(builder->pointers + 2 * items);
}

static void builder_release(struct chunk_builder *builder)
{
    free(builder->pointers);
    free(builder->ops);
    free(builder->entries);
    free(builder->sessions);
}

static void add_item(struct chunk_builder *builder, const struct server *server,
                     uint64_t item)
{
    const struct transfer_out *out = &server->out;
    struct kv_item entry;

    if (item < out->session_count)
        add_session(builder, &out->sessions[item]);
    else if (item >= first_operation(out))
        add_operation(builder, &operation_at(server, item)->operation);
    else {
        entry = kv_at(&server->state.kv, (size_t)(item - out->session_count));
        add_entry(builder, &entry);
    }
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

void transfer_pump(struct server *server, struct env *env)
{
    struct transfer_out *out = &server->out;

    assert(out->active && server_is_primary(server));
    while (out->on_the_way < TRANSFER_WINDOW && !out->closed) {
        uint64_t items = items_now(server);
        uint64_t end = chunk_end(server, out->next, items);

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
    for (size_t i = 0; i < out->on_the_way; i++)
        env_send_encoded(env, &server->view.backup, PBKV__BODY__KIND_CHUNK,
                         out->way[i].body);
}

void transfer_start(struct server *server, struct env *env)
{
    struct transfer_out *out = &server->out;

    assert(server_is_serving(server));
    assert(peer_is_present(&server->view.backup));
    transfer_clear(server);
    out->active = true;
    out->number = ++server->transfers;
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
    transfer_pump(server, env);
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
    if (server->reads.count > 0)
        server_confirm(server, env);
}

/* Items up to `received` have arrived. */
static void advance(struct server *server, uint64_t received)
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
    server->progressed = true;
    out->acked = received;
    if (received > first_operation(out))
        oplog_drop_through(&server->log,
                           out->since + received - first_operation(out));
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
    advance(server, ack->received);
    if (ack->installed)
        finish(server, env);
    else
        transfer_pump(server, env);
}

/* ---- The backup receives ---- */

static void receipt_begin(struct transfer_in *in, const Pbkv__Chunk *chunk)
{
    assert(chunk->transfer > in->number);
    state_release(&in->state);
    in->active = true;
    in->number = chunk->transfer;
    in->refused = PBKV__STATUS__STATUS_INVALID;
    in->received = 0;
    in->state.op = chunk->since;
}

/* Gives a transfer up, and says so as often as its chunks come. */
static void receipt_refuse(struct transfer_in *in, Pbkv__Status status)
{
    assert(in->active);
    state_release(&in->state);
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

    if (kv_modified(&in->state.kv, key->data, key->length) < message->modified)
        kv_put(&in->state.kv, key, value, message->modified);
    bytes_release(value);
    bytes_release(key);
}

/* An operation that cannot have this number is left out: the digest will tell.
 */
static void take_operation(struct transfer_in *in, const Pbkv__LogOp *message)
{
    uint64_t number = in->state.op + 1;
    struct operation operation;

    if (message->session > number ||
        (message->kind == PBKV__KIND__KIND_OPEN && message->session != number))
        return;
    operation = operation_from_message(message);
    state_apply(&in->state, &operation);
    operation_release(&operation);
}

/* Takes the items of the chunk that comes next. */
static void take_items(struct transfer_in *in, const Pbkv__Chunk *chunk)
{
    assert(chunk->first == in->received);
    for (size_t i = 0; i < chunk->n_sessions; i++)
        take_session(in, chunk->sessions[i]);
    for (size_t i = 0; i < chunk->n_entries; i++)
        take_entry(in, chunk->entries[i]);
    for (size_t i = 0; i < chunk->n_ops; i++)
        take_operation(in, chunk->ops[i]);
    in->received += chunk->n_sessions + chunk->n_entries + chunk->n_ops;
    in->total = chunk->total;
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
    if (memcmp(digest.octets, chunk->digest.data, DIGEST_SIZE) != 0) {
        env_log(env, LOG_LEVEL_WARN, "chunk.digest",
                "the state differs from the primary's at op %" PRIu64,
                in->state.op);
        receipt_refuse(in, PBKV__STATUS__STATE_TRANSFER);
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
static const char *chunk_refusal(struct server *server,
                                 const Pbkv__Chunk *chunk)
{
    struct transfer_in *in = &server->in;

    if (server->initialised)
        return "chunk.duplicate"; /* T4: at most once per view */
    if (chunk->transfer > in->number)
        receipt_begin(in, chunk);
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
    refusal = chunk_refusal(server, chunk);
    if (refusal)
        env_log(env, LOG_LEVEL_DEBUG, refusal,
                "item %" PRIu64 " after %" PRIu64, chunk->first, in->received);
    else
        take_items(in, chunk);
    if (in->state.kv.octets > server->config.limits.octets) {
        env_log(env, LOG_LEVEL_WARN, "chunk.full", "%" PRIu64 " octets",
                in->state.kv.octets);
        receipt_refuse(in, PBKV__STATUS__BACKUP_FAILED);
    }
    if (in->refused != PBKV__STATUS__STATUS_INVALID)
        server_refuse(server, env, from, chunk->view, in->refused);
    else if (!refusal && chunk->last)
        install(server, env, from, chunk);
    else
        acknowledge_chunk(server, env, from); /* T4 */
}

/* ---- Both ---- */

void transfer_clear(struct server *server)
{
    struct transfer_out *out = &server->out;

    for (size_t i = 0; i < out->on_the_way; i++)
        bytes_release(out->way[i].body);
    free(out->sessions);
    memset(out, 0, sizeof(*out));
    state_release(&server->in.state);
    memset(&server->in, 0, sizeof(server->in));
    state_init(&server->in.state);
}

void transfer_clone(const struct server *server, struct server *copy)
{
    const struct transfer_out *out = &server->out;
    size_t size = out->session_count * sizeof(*out->sessions);

    for (size_t i = 0; i < out->on_the_way; i++)
        bytes_share(out->way[i].body);
    if (out->sessions) {
        copy->out.sessions = memory_new(size);
        memcpy(copy->out.sessions, out->sessions, size);
    }
    state_clone(&server->in.state, &copy->in.state);
}

void transfer_check(const struct server *server)
{
    const struct transfer_out *out = &server->out;
    const struct transfer_in *in = &server->in;

    if (out->active) {
        assert(server_is_primary(server) && server->initialised);
        assert(peer_is_present(&server->view.backup));
        assert(out->on_the_way > 0 && out->on_the_way <= TRANSFER_WINDOW);
        assert(out->acked <= out->next);
        assert(out->way[out->on_the_way - 1].end == out->next);
        assert(!out->closed || out->next == out->total);
    } else
        assert(out->on_the_way == 0);
    if (in->active)
        assert(server_is_backup(server) && !server->initialised);
    else
        assert(in->state.kv.count == 0);
}

static void describe_out(const struct transfer_out *out, struct sink *sink)
{
    sink_open(sink, "transfer_out");
    sink_u64(sink, "number", out->number);
    sink_bool(sink, "active", out->active);
    sink_bool(sink, "closed", out->closed);
    sink_u64(sink, "since", out->since);
    for (size_t i = 0; i < out->session_count; i++) {
        sink_u64(sink, "session", out->sessions[i].id);
        sink_u64(sink, "seq", out->sessions[i].seq);
        sink_u64(sink, "status", (uint64_t)out->sessions[i].status);
        sink_u64(sink, "op", out->sessions[i].op);
    }
    sink_u64(sink, "key_count", out->key_count);
    sink_u64(sink, "acked", out->acked);
    sink_u64(sink, "next", out->next);
    sink_u64(sink, "total", out->total);
    sink_u64(sink, "close_op", out->close_op);
    sink_octets(sink, "digest", out->digest.octets, DIGEST_SIZE);
    for (size_t i = 0; i < out->on_the_way; i++) {
        sink_u64(sink, "end", out->way[i].end);
        sink_octets(sink, "chunk", out->way[i].body->data,
                    out->way[i].body->length);
    }
    sink_close(sink);
}

void transfer_describe(const struct server *server, struct sink *sink)
{
    const struct transfer_in *in = &server->in;

    sink_u64(sink, "transfers", server->transfers);
    describe_out(&server->out, sink);
    sink_open(sink, "transfer_in");
    sink_bool(sink, "active", in->active);
    sink_u64(sink, "number", in->number);
    sink_u64(sink, "refused", (uint64_t)in->refused);
    sink_u64(sink, "received", in->received);
    sink_u64(sink, "total", in->total);
    state_describe(&in->state, sink);
    sink_close(sink);
}
