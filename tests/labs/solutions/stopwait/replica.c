/* SPDX-License-Identifier: MIT */
/*
 * stopwait: another correct kv server for lab 2B, as a test of the tests. It
 * is the simplest one: requests wait in one queue, and only the first of them
 * is ever with the backup. The primary itself applies an operation when the
 * backup has it, so it never shows what is not committed, and it has no log.
 *
 * A read is a turn in the same queue: a Forward without operations, whose
 * acknowledgement says that the backup is still in this view. While a new
 * backup waits for the state, clients are refused (STATE_TRANSFER), so the
 * state stands still and goes over one chunk at a time.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "pbserver/server.h"

enum { TIMER_PING = 0, TIMER_RESEND = 1, PENDING_MAX = 64 };

/* A request that waits for its turn; the first one may be with the backup. */
struct request {
    struct peer client;
    uint64_t call;
    bool is_read;
    struct operation operation;
};

struct replica {
    struct node node;
    struct server_config config;
    struct view view;
    uint64_t acknowledged;
    bool ready; /* holds the state of its view */
    bool deposed;
    struct state state;

    struct request queue[PENDING_MAX];
    uint32_t count;
    bool asked; /* the first request is with the backup */
    uint64_t round;

    bool transferring;
    uint64_t sent; /* items that have arrived at the backup */
    bool watching;

    struct state incoming; /* as a backup without the state */
    uint64_t received;
};

/* ---- Messages -------------------------------------------------------------
 */

static void send_ping(const struct replica *replica, struct env *env)
{
    struct peer to = {.address = replica->config.view_service};
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = replica->acknowledged;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    env_send(env, &to, &body);
}

static void send_reply(const struct replica *replica, struct env *env,
                       const struct peer *to, uint64_t call,
                       Pbkv__Status status, const struct bytes *value)
{
    struct view_message view;
    Pbkv__Reply reply = PBKV__REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    reply.call = call;
    reply.status = status;
    if (value)
        reply.value = message_bytes(value);
    if (status == PBKV__STATUS__WRONG_SERVER) {
        view_to_message(&replica->view, &view);
        reply.view = &view.view;
    }
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    env_send(env, to, &body);
}

static void send_opened(struct env *env, const struct peer *to, uint64_t call,
                        uint64_t session)
{
    Pbkv__SessionOpened opened = PBKV__SESSION_OPENED__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    opened.call = call;
    opened.session = session;
    body.kind_case = PBKV__BODY__KIND_SESSION_OPENED;
    body.session_opened = &opened;
    env_send(env, to, &body);
}

static void send_refusal(const struct replica *replica, struct env *env,
                         const struct peer *to, uint64_t view,
                         Pbkv__Status status)
{
    Pbkv__Refusal refusal = PBKV__REFUSAL__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    refusal.refused = view;
    refusal.known = replica->view.number;
    refusal.status = status;
    body.kind_case = PBKV__BODY__KIND_REFUSAL;
    body.refusal = &refusal;
    env_send(env, to, &body);
}

static void send_forward_ack(const struct replica *replica, struct env *env,
                             const struct peer *to, uint64_t round)
{
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = replica->view.number;
    ack.applied = replica->state.op;
    ack.round = round;
    body.kind_case = PBKV__BODY__KIND_FORWARD_ACK;
    body.forward_ack = &ack;
    env_send(env, to, &body);
}

static bool is_primary(const struct replica *replica)
{
    return peer_equal(&replica->view.primary, &replica->config.self);
}

static bool is_backup(const struct replica *replica)
{
    return peer_equal(&replica->view.backup, &replica->config.self);
}

static bool has_backup(const struct replica *replica)
{
    return peer_is_present(&replica->view.backup);
}

static bool is_serving(const struct replica *replica)
{
    return is_primary(replica) && replica->ready && !replica->deposed;
}

static void acknowledge_view(struct replica *replica, struct env *env)
{
    replica->acknowledged = replica->view.number;
    send_ping(replica, env);
}

/* Sees to it that silence is noticed while something is due. */
static void watch(struct replica *replica, struct env *env)
{
    if (replica->watching || !is_serving(replica) ||
        !(replica->transferring || replica->count > 0))
        return;
    replica->watching = true;
    env_set_timer(env, TIMER_RESEND, replica->config.resend_ms,
                  replica->config.resend_ms);
}

/* ---- One request at a time ------------------------------------------------
 */

static void request_release(struct request *request)
{
    operation_release(&request->operation);
}

static void pop(struct replica *replica)
{
    request_release(&replica->queue[0]);
    replica->count--;
    memmove(replica->queue, replica->queue + 1,
            replica->count * sizeof(replica->queue[0]));
    replica->asked = false;
}

static void refuse_all(struct replica *replica, struct env *env)
{
    while (replica->count > 0) {
        send_reply(replica, env, &replica->queue[0].client,
                   replica->queue[0].call, PBKV__STATUS__WRONG_SERVER, NULL);
        pop(replica);
    }
}

/* Does the first request and answers it: the backup has it, or there is none.
 */
static void finish_first(struct replica *replica, struct env *env)
{
    struct request *first = &replica->queue[0];
    struct operation *operation = &first->operation;

    if (first->is_read) {
        const struct bytes *value = kv_get(
            &replica->state.kv, operation->key->data, operation->key->length);

        send_reply(replica, env, &first->client, first->call,
                   value ? PBKV__STATUS__OK : PBKV__STATUS__NO_KEY, value);
    } else {
        state_apply(&replica->state, operation);
        if (operation->kind == PBKV__KIND__KIND_OPEN)
            send_opened(env, &first->client, first->call, replica->state.op);
        else
            send_reply(replica, env, &first->client, first->call,
                       operation->status, NULL);
    }
    pop(replica);
}

/* Tells the backup of the first request. */
static void ask_backup(struct replica *replica, struct env *env)
{
    struct request *first = &replica->queue[0];
    Pbkv__LogOp op;
    Pbkv__LogOp *ops = &op;
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    forward.view = replica->view.number;
    forward.first = replica->state.op + 1;
    forward.round = replica->round;
    if (!first->is_read) {
        operation_to_message(&first->operation, &op);
        forward.n_ops = 1;
        forward.ops = &ops;
    }
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    env_send(env, &replica->view.backup, &body);
}

/* A request may have become old while it waited: its session is gone, or it was
 * done by another way. */
static bool is_outdated(struct replica *replica, struct env *env)
{
    const struct request *first = &replica->queue[0];
    const struct session_record *record =
        sessions_find(&replica->state.sessions, first->operation.session);

    if (first->is_read || first->operation.kind == PBKV__KIND__KIND_OPEN)
        return false;
    if (record && record->seq < first->operation.seq)
        return false;
    if (!record)
        send_reply(replica, env, &first->client, first->call,
                   PBKV__STATUS__SESSION_EXPIRED, NULL);
    else if (record->seq == first->operation.seq)
        send_reply(replica, env, &first->client, first->call, record->status,
                   NULL);
    return true;
}

/* Begins the first request, and those after it as long as there is no backup
 * to wait for. */
static void pump(struct replica *replica, struct env *env)
{
    while (is_serving(replica) && !replica->transferring && !replica->asked &&
           replica->count > 0) {
        struct request *first = &replica->queue[0];

        if (is_outdated(replica, env)) {
            pop(replica);
            continue;
        }
        if (!first->is_read)
            state_decide(&replica->state, &replica->config.limits,
                         &first->operation);
        if (!has_backup(replica)) {
            finish_first(replica, env);
            continue;
        }
        replica->asked = true;
        replica->round++;
        ask_backup(replica, env);
    }
    watch(replica, env);
}

static void on_forward_ack(struct replica *replica, struct env *env,
                           const struct peer *from, const Pbkv__ForwardAck *ack)
{
    if (!is_serving(replica) || ack->view != replica->view.number ||
        !peer_equal(from, &replica->view.backup) || !replica->asked ||
        ack->round != replica->round)
        return; /* T5 */
    if (ack->applied != replica->state.op + !replica->queue[0].is_read)
        return;
    finish_first(replica, env);
    pump(replica, env);
}

/* ---- Requests of clients --------------------------------------------------
 */

static struct request request_from(const struct peer *from,
                                   const Pbkv__Body *body)
{
    struct request request = {.client = *from};
    struct operation *operation = &request.operation;
    ProtobufCBinaryData key = {0};
    ProtobufCBinaryData value = {0};

    switch (body->kind_case) {
    case PBKV__BODY__KIND_OPEN_SESSION:
        request.call = body->open_session->call;
        operation->kind = PBKV__KIND__KIND_OPEN;
        break;
    case PBKV__BODY__KIND_GET:
        request.call = body->get->call;
        request.is_read = true;
        operation->kind = PBKV__KIND__KIND_PUT;
        key = body->get->key;
        break;
    case PBKV__BODY__KIND_PUT:
        request.call = body->put->call;
        operation->kind = PBKV__KIND__KIND_PUT;
        operation->session = body->put->session;
        operation->seq = body->put->seq;
        key = body->put->key;
        value = body->put->value;
        break;
    default:
        request.call = body->append->call;
        operation->kind = PBKV__KIND__KIND_APPEND;
        operation->session = body->append->session;
        operation->seq = body->append->seq;
        key = body->append->key;
        value = body->append->value;
    }
    operation->key = bytes_new(key.data, key.len);
    operation->value = bytes_new(value.data, value.len);
    return request;
}

/* Whether a copy of a request waits already. */
static bool waits(const struct replica *replica, const struct request *request)
{
    for (uint32_t i = 0; i < replica->count; i++) {
        const struct request *other = &replica->queue[i];

        if (other->call == request->call &&
            peer_equal(&other->client, &request->client))
            return true;
    }
    return false;
}

/* Returns why a request is refused, or OK. */
static Pbkv__Status refusal_of(const struct replica *replica,
                               const struct request *request)
{
    bool is_update =
        !request->is_read && request->operation.kind != PBKV__KIND__KIND_OPEN;

    if (!is_serving(replica))
        return PBKV__STATUS__WRONG_SERVER; /* P1 */
    if (is_update &&
        (request->operation.session == 0 || request->operation.seq == 0))
        return PBKV__STATUS__BAD_REQUEST;
    if (replica->transferring)
        return PBKV__STATUS__STATE_TRANSFER;
    return replica->count < PENDING_MAX ? PBKV__STATUS__OK
                                        : PBKV__STATUS__OVERLOADED;
}

static void on_request(struct replica *replica, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct request request = request_from(from, body);
    Pbkv__Status refusal = refusal_of(replica, &request);

    if (refusal == PBKV__STATUS__OK && !waits(replica, &request)) {
        replica->queue[replica->count++] = request;
        pump(replica, env);
        return;
    }
    if (refusal != PBKV__STATUS__OK)
        send_reply(replica, env, from, request.call, refusal, NULL);
    request_release(&request);
}

/* ---- Items of a state -----------------------------------------------------
 */

struct chunk_message {
    Pbkv__Chunk chunk;
    Pbkv__SessionRecord *sessions;
    Pbkv__SessionRecord **session_pointers;
    Pbkv__Entry *entries;
    Pbkv__Entry **entry_pointers;
};

static void add_session(struct chunk_message *message,
                        const struct session_record *record)
{
    Pbkv__SessionRecord *to = &message->sessions[message->chunk.n_sessions];

    pbkv__session_record__init(to);
    to->id = record->id;
    to->seq = record->seq;
    to->status = record->seq ? record->status : PBKV__STATUS__OK;
    to->op = record->op;
    message->session_pointers[message->chunk.n_sessions++] = to;
}

static void add_entry(struct chunk_message *message, const struct kv_item *item)
{
    Pbkv__Entry *to = &message->entries[message->chunk.n_entries];

    pbkv__entry__init(to);
    to->key = message_bytes(item->key);
    to->value = message_bytes(item->value);
    to->modified = item->modified;
    message->entry_pointers[message->chunk.n_entries++] = to;
}

/* Returns the encoded Chunk with the items of a state from first on, at least
 * one and about octets_max, and the item after its last in *end. */
static struct bytes *build_chunk(const struct replica *replica,
                                 const struct state *state, uint64_t first,
                                 size_t octets_max, uint64_t *end)
{
    struct session_record *sessions = sessions_list(&state->sessions);
    uint64_t session_count = state->sessions.count;
    uint64_t total = session_count + state->kv.count;
    struct digest digest = state_digest(state);
    struct chunk_message message = {.chunk = PBKV__CHUNK__INIT};
    Pbkv__Body body = PBKV__BODY__INIT;
    struct bytes *encoded;
    size_t octets = 0;

    message.sessions = memory_new((total + 1) * sizeof(*message.sessions));
    message.session_pointers = memory_new((total + 1) * sizeof(void *));
    message.entries = memory_new((total + 1) * sizeof(*message.entries));
    message.entry_pointers = memory_new((total + 1) * sizeof(void *));
    for (*end = first; *end < total && octets < octets_max; ++*end) {
        if (*end < session_count) {
            add_session(&message, &sessions[*end]);
            octets += SESSION_COST;
        } else {
            struct kv_item item = kv_at(&state->kv, *end - session_count);

            if (octets > 0 && octets + item.value->length > octets_max)
                break;
            add_entry(&message, &item);
            octets += item.key->length + item.value->length + 32;
        }
    }
    message.chunk.view = replica->view.number;
    message.chunk.first = first;
    message.chunk.since = state->op;
    message.chunk.sessions = message.session_pointers;
    message.chunk.entries = message.entry_pointers;
    message.chunk.total = total;
    message.chunk.transfer = 1;
    message.chunk.last = *end == total;
    if (message.chunk.last)
        message.chunk.digest = message_octets(digest.octets, DIGEST_SIZE);
    body.kind_case = PBKV__BODY__KIND_CHUNK;
    body.chunk = &message.chunk;
    encoded = message_encode(&body);
    free(message.sessions);
    free(message.session_pointers);
    free(message.entries);
    free(message.entry_pointers);
    free(sessions);
    return encoded;
}

static void take_items(struct state *state, const Pbkv__Chunk *chunk)
{
    for (size_t i = 0; i < chunk->n_sessions; i++) {
        const Pbkv__SessionRecord *from = chunk->sessions[i];
        struct session_record record = {
            from->id, from->seq, from->seq ? from->status : PBKV__STATUS__OK,
            from->op};

        sessions_set(&state->sessions, &record);
    }
    for (size_t i = 0; i < chunk->n_entries; i++) {
        const Pbkv__Entry *from = chunk->entries[i];
        struct bytes *key = bytes_new(from->key.data, from->key.len);
        struct bytes *value = bytes_new(from->value.data, from->value.len);

        kv_put(&state->kv, key, value, from->modified);
        bytes_release(key);
        bytes_release(value);
    }
    state->op = chunk->since;
}

/* ---- The transfer: one chunk at a time, clients wait -----------------------
 */

static void forget_transfers(struct replica *replica)
{
    state_release(&replica->incoming);
    state_init(&replica->incoming);
    replica->received = 0;
    replica->transferring = false;
    replica->asked = false;
}

static void send_chunk(const struct replica *replica, struct env *env)
{
    uint64_t end;
    struct bytes *chunk = build_chunk(replica, &replica->state, replica->sent,
                                      replica->config.chunk_octets, &end);

    env_send_encoded(env, &replica->view.backup, PBKV__BODY__KIND_CHUNK, chunk);
    bytes_release(chunk);
}

static void become_primary(struct replica *replica, struct env *env)
{
    if (!has_backup(replica)) {
        acknowledge_view(replica, env);
        pump(replica, env);
        return;
    }
    replica->transferring = true;
    replica->sent = 0;
    send_chunk(replica, env);
    watch(replica, env);
}

/* ---- Views ----------------------------------------------------------------
 */

static void adopt(struct replica *replica, struct env *env,
                  const struct view *view)
{
    bool first = replica->view.number == 0 && view->number == 1; /* V1 */

    env_log(env, LOG_LEVEL_INFO, "view.adopted", "view %" PRIu64, view->number);
    replica->view = *view;
    replica->deposed = false;
    forget_transfers(replica);
    if (is_primary(replica) && (replica->ready || first)) {
        replica->ready = true;
        become_primary(replica, env);
        return;
    }
    refuse_all(replica, env);
    state_release(&replica->state);
    state_init(&replica->state);
    replica->ready = false;
    if (!is_primary(replica))
        acknowledge_view(replica, env);
}

static void on_view_reply(struct replica *replica, struct env *env,
                          const struct peer *from, const Pbkv__ViewReply *reply)
{
    struct view view;

    if (!address_equal(&from->address, &replica->config.view_service) ||
        view_from_message(reply->view, &view) != 0)
        return;
    if (reply->superseded_by > replica->config.self.incarnation)
        env_log(env, LOG_LEVEL_FATAL, "server.superseded", "%s",
                from->address.text);
    else if (view.number > replica->view.number) /* P2 */
        adopt(replica, env, &view);
}

/* Whether a Forward or Chunk is from our primary in our view; refuses it
 * otherwise (P2). */
static bool is_from_primary(struct replica *replica, struct env *env,
                            const struct peer *from, uint64_t view)
{
    if (view == replica->view.number && is_backup(replica) &&
        peer_equal(from, &replica->view.primary))
        return true;
    if (view > replica->view.number)
        send_ping(replica, env);
    send_refusal(replica, env, from, view, PBKV__STATUS__WRONG_VIEW);
    return false;
}

static void on_refusal(struct replica *replica, const struct peer *from,
                       const Pbkv__Refusal *refusal)
{
    if (is_primary(replica) && refusal->refused == replica->view.number &&
        peer_equal(from, &replica->view.backup) &&
        refusal->known > replica->view.number)
        replica->deposed = true; /* P5 */
}

/* ---- The backup -----------------------------------------------------------
 */

static void on_forward(struct replica *replica, struct env *env,
                       const struct peer *from, const Pbkv__Forward *forward)
{
    if (!is_from_primary(replica, env, from, forward->view))
        return;
    if (!replica->ready) {
        send_refusal(replica, env, from, forward->view,
                     PBKV__STATUS__STATE_TRANSFER);
        return;
    }
    if (forward->n_ops == 1 && forward->first == replica->state.op + 1) {
        struct operation operation = operation_from_message(forward->ops[0]);

        if (state_can_apply(&replica->state, &operation))
            state_apply(&replica->state, &operation); /* P3 */
        operation_release(&operation);
    }
    send_forward_ack(replica, env, from, forward->round);
}

static void send_chunk_ack(const struct replica *replica, struct env *env,
                           const struct peer *to)
{
    Pbkv__ChunkAck ack = PBKV__CHUNK_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = replica->view.number;
    ack.received = replica->received;
    ack.installed = replica->ready;
    ack.transfer = 1;
    body.kind_case = PBKV__BODY__KIND_CHUNK_ACK;
    body.chunk_ack = &ack;
    env_send(env, to, &body);
}

/* The backup: chunks come one after the other; the last installs (T4). */
static void on_chunk(struct replica *replica, struct env *env,
                     const struct peer *from, const Pbkv__Chunk *chunk)
{
    if (!is_from_primary(replica, env, from, chunk->view))
        return;
    if (!replica->ready && chunk->first == replica->received) {
        struct digest digest;

        take_items(&replica->incoming, chunk);
        replica->received += chunk->n_sessions + chunk->n_entries;
        digest = state_digest(&replica->incoming);
        if (chunk->last &&
            memcmp(digest.octets, chunk->digest.data, DIGEST_SIZE) == 0) {
            state_release(&replica->state);
            replica->state = replica->incoming;
            state_init(&replica->incoming);
            replica->ready = true;
            env_log(env, LOG_LEVEL_INFO, "transfer.installed", "op %" PRIu64,
                    replica->state.op);
        }
    }
    send_chunk_ack(replica, env, from);
}

static void on_chunk_ack(struct replica *replica, struct env *env,
                         const struct peer *from, const Pbkv__ChunkAck *ack)
{
    if (!is_serving(replica) || !replica->transferring ||
        ack->view != replica->view.number ||
        !peer_equal(from, &replica->view.backup))
        return; /* T5 */
    if (ack->installed) {
        replica->transferring = false;
        acknowledge_view(replica, env); /* T2 */
        pump(replica, env);
    } else if (ack->received > replica->sent) {
        replica->sent = ack->received;
        send_chunk(replica, env);
    }
}

static void on_silence(struct replica *replica, struct env *env)
{
    if (!is_serving(replica))
        return;
    if (replica->transferring)
        send_chunk(replica, env);
    else if (replica->asked)
        ask_backup(replica, env);
    watch(replica, env);
}

/* ---- Copies ---------------------------------------------------------------
 */

static void replica_release(struct node *node)
{
    struct replica *replica = (struct replica *)(void *)node;

    for (uint32_t i = 0; i < replica->count; i++)
        request_release(&replica->queue[i]);
    state_release(&replica->state);
    state_release(&replica->incoming);
    free(replica);
}

static struct node *replica_clone(const struct node *node)
{
    const struct replica *replica = (const struct replica *)(const void *)node;
    struct replica *copy = memory_new(sizeof(*copy));

    *copy = *replica;
    state_clone(&replica->state, &copy->state);
    state_clone(&replica->incoming, &copy->incoming);
    for (uint32_t i = 0; i < copy->count; i++)
        operation_share(&copy->queue[i].operation);
    return &copy->node;
}

static void describe_request(const struct request *request, struct sink *sink)
{
    sink_open(sink, "request");
    peer_describe(&request->client, "client", sink);
    sink_u64(sink, "call", request->call);
    sink_bool(sink, "is_read", request->is_read);
    operation_describe(&request->operation, "operation", sink);
    sink_close(sink);
}

static void replica_describe(const struct node *node, struct sink *sink)
{
    const struct replica *replica = (const struct replica *)(const void *)node;

    view_describe(&replica->view, "view", sink);
    sink_u64(sink, "acknowledged", replica->acknowledged);
    sink_bool(sink, "ready", replica->ready);
    sink_bool(sink, "deposed", replica->deposed);
    state_describe(&replica->state, sink);
    for (uint32_t i = 0; i < replica->count; i++)
        describe_request(&replica->queue[i], sink);
    sink_bool(sink, "asked", replica->asked);
    sink_u64(sink, "round", replica->round);
    sink_bool(sink, "transferring", replica->transferring);
    sink_u64(sink, "sent", replica->sent);
    sink_bool(sink, "watching", replica->watching);
    state_describe(&replica->incoming, sink);
    sink_u64(sink, "received", replica->received);
}

/* ---- The node -------------------------------------------------------------
 */

static struct replica *replica_of(struct node *node)
{
    return (struct replica *)(void *)node;
}

static const struct replica *const_replica_of(const struct node *node)
{
    return (const struct replica *)(const void *)node;
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct replica *replica = replica_of(node);

    if (slot == TIMER_PING) {
        send_ping(replica, env);
        env_set_timer(env, TIMER_PING, replica->config.ping_ms,
                      replica->config.ping_ms);
        return;
    }
    replica->watching = false;
    on_silence(replica, env);
}

static void on_start(struct node *node, struct env *env)
{
    on_timer(node, env, TIMER_PING);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct replica *replica = replica_of(node);

    switch (body->kind_case) {
    case PBKV__BODY__KIND_VIEW_REPLY:
        on_view_reply(replica, env, from, body->view_reply);
        break;
    case PBKV__BODY__KIND_OPEN_SESSION:
    case PBKV__BODY__KIND_GET:
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND: on_request(replica, env, from, body); break;
    case PBKV__BODY__KIND_SCAN:
        send_reply(replica, env, from, body->scan->call,
                   PBKV__STATUS__BAD_REQUEST, NULL);
        break;
    case PBKV__BODY__KIND_FORWARD:
        on_forward(replica, env, from, body->forward);
        break;
    case PBKV__BODY__KIND_FORWARD_ACK:
        on_forward_ack(replica, env, from, body->forward_ack);
        break;
    case PBKV__BODY__KIND_CHUNK:
        on_chunk(replica, env, from, body->chunk);
        break;
    case PBKV__BODY__KIND_CHUNK_ACK:
        on_chunk_ack(replica, env, from, body->chunk_ack);
        break;
    case PBKV__BODY__KIND_REFUSAL:
        on_refusal(replica, from, body->refusal);
        break;
    case PBKV__BODY__KIND_ECHO:
        message_answer_echo(env, from, body->echo);
        break;
    default: break;
    }
}

static void replica_check(const struct node *node)
{
    const struct replica *replica = const_replica_of(node);

    assert(replica->acknowledged <= replica->view.number);
    assert(replica->count <= PENDING_MAX);
}

static void replica_inspect(const struct node *node,
                            struct inspection *inspection)
{
    const struct replica *replica = const_replica_of(node);

    inspection->role = is_primary(replica)  ? "primary"
                       : is_backup(replica) ? "backup"
                                            : "idle";
    inspection->view = replica->view;
    inspection->applied = replica->state.op;
    inspection->committed = replica->state.op;
    inspection->keys = replica->state.kv.count;
    inspection->bytes = replica->state.kv.octets;
    inspection->sessions = replica->state.sessions.count;
    inspection->digest = state_digest(&replica->state);
}

static const struct node_type replica_type = {
    .name = "kv server, one request at a time",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_timer,
    .clone = replica_clone,
    .release = replica_release,
    .describe = replica_describe,
    .check = replica_check,
    .inspect = replica_inspect,
};

struct server_config server_config_default(void)
{
    return (struct server_config){
        .ping_ms = 100,
        .resend_ms = 50,
        .limits = {.key = KEY_LIMIT,
                   .value = VALUE_LIMIT,
                   .sessions = 65536,
                   .octets = (uint64_t)1 << 30},
        .chunk_octets = CHUNK_LIMIT / 2,
    };
}

struct node *server_new(const struct server_config *config)
{
    struct replica *replica = memory_new(sizeof(*replica));

    replica->node.type = &replica_type;
    replica->config = *config;
    state_init(&replica->state);
    state_init(&replica->incoming);
    return &replica->node;
}

void server_set_address(struct node *node, const struct address *address)
{
    replica_of(node)->config.self.address = *address;
}
