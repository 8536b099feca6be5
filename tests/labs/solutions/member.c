/* SPDX-License-Identifier: MIT */
/*
 * member: see member.h. Everything that is received is looked at here first, so
 * a protocol sees only what counts: requests while it serves, and what the
 * backup of this view says.
 *
 * The items of a state are its sessions, then its keys. A chunk carries those
 * from a number on; it can be built again and is the same, as long as the state
 * that it is built from stands still.
 */
#include "tests/labs/solutions/member.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

enum { TIMER_PING = 0, TIMER_SILENCE = 1 };

struct member *member_of(struct node *node)
{
    return (struct member *)(void *)node;
}

const struct member *const_member_of(const struct node *node)
{
    return (const struct member *)(const void *)node;
}

/* ---- Messages -------------------------------------------------------------
 */

static void send_ping(const struct member *member, struct env *env)
{
    struct peer to = {.address = member->config.view_service};
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = member->acknowledged;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    env_send(env, &to, &body);
}

static void send_reply(const struct member *member, struct env *env,
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
        view_to_message(&member->view, &view);
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

static void send_refusal(const struct member *member, struct env *env,
                         const struct peer *to, uint64_t view,
                         Pbkv__Status status)
{
    Pbkv__Refusal refusal = PBKV__REFUSAL__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    refusal.refused = view;
    refusal.known = member->view.number;
    refusal.status = status;
    body.kind_case = PBKV__BODY__KIND_REFUSAL;
    body.refusal = &refusal;
    env_send(env, to, &body);
}

static void send_forward_ack(const struct member *member, struct env *env,
                             const struct peer *to, uint64_t round)
{
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = member->view.number;
    ack.applied = member->state.op;
    ack.round = round;
    body.kind_case = PBKV__BODY__KIND_FORWARD_ACK;
    body.forward_ack = &ack;
    env_send(env, to, &body);
}

static void send_chunk_ack(const struct member *member, struct env *env,
                           const struct peer *to)
{
    Pbkv__ChunkAck ack = PBKV__CHUNK_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = member->view.number;
    ack.received = member->received;
    ack.installed = member->ready;
    ack.transfer = 1;
    body.kind_case = PBKV__BODY__KIND_CHUNK_ACK;
    body.chunk_ack = &ack;
    env_send(env, to, &body);
}

/* ---- Who it is ------------------------------------------------------------
 */

static bool is_primary(const struct member *member)
{
    return peer_equal(&member->view.primary, &member->config.self);
}

static bool is_backup(const struct member *member)
{
    return peer_equal(&member->view.backup, &member->config.self);
}

bool member_has_backup(const struct member *member)
{
    return peer_is_present(&member->view.backup);
}

bool member_is_serving(const struct member *member)
{
    return is_primary(member) && member->ready && !member->deposed;
}

static void acknowledge_view(struct member *member, struct env *env)
{
    member->acknowledged = member->view.number;
    send_ping(member, env);
}

void member_watch(struct member *member, struct env *env)
{
    if (member->watching || !member_is_serving(member) ||
        !(member->transferring || member->protocol->is_waiting(member)))
        return;
    member->watching = true;
    env_set_timer(env, TIMER_SILENCE, member->config.resend_ms,
                  member->config.resend_ms);
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

bool request_is_update(const struct request *request)
{
    return !request->is_read &&
           request->operation.kind != PBKV__KIND__KIND_OPEN;
}

void request_look_up(struct request *request, const struct member *member)
{
    const struct bytes *key = request->operation.key;

    request->found =
        bytes_share(kv_get(&member->state.kv, key->data, key->length));
}

void request_answer(const struct request *request, const struct member *member,
                    struct env *env, uint64_t number)
{
    const struct operation *operation = &request->operation;

    if (request->is_read)
        send_reply(member, env, &request->client, request->call,
                   request->found ? PBKV__STATUS__OK : PBKV__STATUS__NO_KEY,
                   request->found);
    else if (operation->kind == PBKV__KIND__KIND_OPEN)
        send_opened(env, &request->client, request->call, number);
    else
        request_refuse(request, member, env, operation->status);
}

void request_refuse(const struct request *request, const struct member *member,
                    struct env *env, Pbkv__Status status)
{
    send_reply(member, env, &request->client, request->call, status, NULL);
}

void request_release(struct request *request)
{
    operation_release(&request->operation);
    bytes_release(request->found);
}

void request_share(const struct request *request)
{
    operation_share(&request->operation);
    bytes_share(request->found);
}

void request_describe(const struct request *request, struct sink *sink)
{
    sink_open(sink, "request");
    peer_describe(&request->client, "client", sink);
    sink_u64(sink, "call", request->call);
    sink_bool(sink, "is_read", request->is_read);
    operation_describe(&request->operation, "operation", sink);
    if (request->found)
        sink_octets(sink, "found", request->found->data,
                    request->found->length);
    sink_close(sink);
}

static void on_request(struct member *member, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct request request = request_from(from, body);
    Pbkv__Status refusal = PBKV__STATUS__OK;

    if (!member_is_serving(member))
        refusal = PBKV__STATUS__WRONG_SERVER; /* P1, P5 */
    else if (request_is_update(&request) &&
             (request.operation.session == 0 || request.operation.seq == 0))
        refusal = PBKV__STATUS__BAD_REQUEST; /* P6 */
    if (refusal == PBKV__STATUS__OK) {
        member->protocol->on_request(member, env, &request);
        return;
    }
    request_refuse(&request, member, env, refusal);
    request_release(&request);
}

/* ---- Views ----------------------------------------------------------------
 */

static void become_primary(struct member *member, struct env *env)
{
    member->ready = true;
    member->transferring = member_has_backup(member);
    member->protocol->take_over(member, env);
    if (!member->transferring)
        acknowledge_view(member, env);
    member_watch(member, env);
}

static void adopt(struct member *member, struct env *env,
                  const struct view *view)
{
    bool first = member->view.number == 0 && view->number == 1; /* V1 */

    env_log(env, LOG_LEVEL_INFO, "view.adopted", "view %" PRIu64, view->number);
    member->view = *view;
    member->deposed = false;
    member->transferring = false;
    member->protocol->leave_view(member);
    state_release(&member->incoming);
    state_init(&member->incoming);
    member->received = 0;
    if (is_primary(member) && (member->ready || first)) {
        become_primary(member, env);
        return;
    }
    member->protocol->refuse_all(member, env);
    state_release(&member->state);
    state_init(&member->state);
    member->ready = false;
    if (!is_primary(member))
        acknowledge_view(member, env);
}

static void on_view_reply(struct member *member, struct env *env,
                          const struct peer *from, const Pbkv__ViewReply *reply)
{
    struct view view;

    if (!address_equal(&from->address, &member->config.view_service) ||
        view_from_message(reply->view, &view) != 0)
        return;
    if (reply->superseded_by > member->config.self.incarnation)
        env_log(env, LOG_LEVEL_FATAL, "server.superseded", "%s",
                from->address.text);
    else if (view.number > member->view.number) /* P2 */
        adopt(member, env, &view);
}

static void on_refusal(struct member *member, const struct peer *from,
                       const Pbkv__Refusal *refusal)
{
    if (is_primary(member) && refusal->refused == member->view.number &&
        peer_equal(from, &member->view.backup) &&
        refusal->known > member->view.number)
        member->deposed = true; /* P5 */
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

/* Adds the items from first on; returns the one after the last that it added.
 */
static uint64_t add_items(struct chunk_message *message,
                          const struct state *state, uint64_t first,
                          size_t octets_max)
{
    struct session_record *sessions = sessions_list(&state->sessions);
    uint64_t session_count = state->sessions.count;
    uint64_t total = session_count + state->kv.count;
    uint64_t at = first;
    size_t octets = 0;

    for (; at < total && octets < octets_max; at++) {
        if (at < session_count) {
            add_session(message, &sessions[at]);
            octets += SESSION_COST;
        } else {
            struct kv_item item = kv_at(&state->kv, at - session_count);

            if (octets > 0 && octets + item.value->length > octets_max)
                break;
            add_entry(message, &item);
            octets += item.key->length + item.value->length + 32;
        }
    }
    free(sessions);
    return at;
}

struct bytes *member_build_chunk(const struct member *member,
                                 const struct state *state, uint64_t first,
                                 size_t octets_max)
{
    uint64_t total = state->sessions.count + state->kv.count;
    struct digest digest = state_digest(state);
    struct chunk_message message = {.chunk = PBKV__CHUNK__INIT};
    Pbkv__Body body = PBKV__BODY__INIT;
    struct bytes *encoded;

    message.sessions = memory_new((total + 1) * sizeof(*message.sessions));
    message.session_pointers = memory_new((total + 1) * sizeof(void *));
    message.entries = memory_new((total + 1) * sizeof(*message.entries));
    message.entry_pointers = memory_new((total + 1) * sizeof(void *));
    message.chunk.last = add_items(&message, state, first, octets_max) == total;
    message.chunk.view = member->view.number;
    message.chunk.first = first;
    message.chunk.since = state->op;
    message.chunk.sessions = message.session_pointers;
    message.chunk.entries = message.entry_pointers;
    message.chunk.total = total;
    message.chunk.transfer = 1;
    if (message.chunk.last)
        message.chunk.digest = message_octets(digest.octets, DIGEST_SIZE);
    body.kind_case = PBKV__BODY__KIND_CHUNK;
    body.chunk = &message.chunk;
    encoded = message_encode(&body);
    free(message.sessions);
    free(message.session_pointers);
    free(message.entries);
    free(message.entry_pointers);
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

/* ---- The backup -----------------------------------------------------------
 */

/* Whether a Forward or Chunk is from our primary in our view; refuses it
 * otherwise (P2). */
static bool is_from_primary(struct member *member, struct env *env,
                            const struct peer *from, uint64_t view)
{
    if (view == member->view.number && is_backup(member) &&
        peer_equal(from, &member->view.primary))
        return true;
    if (view > member->view.number)
        send_ping(member, env);
    send_refusal(member, env, from, view, PBKV__STATUS__WRONG_VIEW);
    return false;
}

void member_apply(struct member *member, const struct operation *operation)
{
    if (state_can_apply(&member->state, operation))
        state_apply(&member->state, operation);
}

static void on_forward(struct member *member, struct env *env,
                       const struct peer *from, const Pbkv__Forward *forward)
{
    if (!is_from_primary(member, env, from, forward->view))
        return;
    if (!member->ready) {
        send_refusal(member, env, from, forward->view,
                     PBKV__STATUS__STATE_TRANSFER);
        return;
    }
    for (size_t i = 0; i < forward->n_ops; i++) {
        struct operation operation = operation_from_message(forward->ops[i]);

        if (forward->first + i == member->state.op + 1)
            member->protocol->apply(member, &operation); /* P3 */
        operation_release(&operation);
    }
    send_forward_ack(member, env, from, forward->round);
}

/* Chunks come one after the other; the last installs (T4). */
static void on_chunk(struct member *member, struct env *env,
                     const struct peer *from, const Pbkv__Chunk *chunk)
{
    if (!is_from_primary(member, env, from, chunk->view))
        return;
    if (!member->ready && chunk->first == member->received) {
        struct digest digest;

        take_items(&member->incoming, chunk);
        member->received += chunk->n_sessions + chunk->n_entries;
        digest = state_digest(&member->incoming);
        if (chunk->last &&
            memcmp(digest.octets, chunk->digest.data, DIGEST_SIZE) == 0) {
            state_release(&member->state);
            member->state = member->incoming;
            state_init(&member->incoming);
            member->ready = true;
            env_log(env, LOG_LEVEL_INFO, "transfer.installed", "op %" PRIu64,
                    member->state.op);
        }
    }
    send_chunk_ack(member, env, from);
}

/* ---- The primary ----------------------------------------------------------
 */

/* Whether an acknowledgement is of the backup of this view (T5). */
static bool is_from_backup(const struct member *member, const struct peer *from,
                           uint64_t view)
{
    return member_is_serving(member) && view == member->view.number &&
           peer_equal(from, &member->view.backup);
}

static void on_chunk_ack(struct member *member, struct env *env,
                         const struct peer *from, const Pbkv__ChunkAck *ack)
{
    if (!is_from_backup(member, from, ack->view) || !member->transferring)
        return;
    if (!ack->installed) {
        member->protocol->on_received(member, env, ack->received);
        return;
    }
    member->transferring = false;
    acknowledge_view(member, env); /* T2 */
    member->protocol->on_installed(member, env);
    member_watch(member, env);
}

/* ---- The node -------------------------------------------------------------
 */

void member_on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct member *member = member_of(node);

    if (slot == TIMER_PING) {
        send_ping(member, env);
        env_set_timer(env, TIMER_PING, member->config.ping_ms,
                      member->config.ping_ms);
        return;
    }
    member->watching = false;
    if (member_is_serving(member))
        member->protocol->on_silence(member, env);
    member_watch(member, env);
}

void member_on_start(struct node *node, struct env *env)
{
    member_on_timer(node, env, TIMER_PING);
}

void member_on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct member *member = member_of(node);

    switch (body->kind_case) {
    case PBKV__BODY__KIND_VIEW_REPLY:
        on_view_reply(member, env, from, body->view_reply);
        break;
    case PBKV__BODY__KIND_OPEN_SESSION:
    case PBKV__BODY__KIND_GET:
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND: on_request(member, env, from, body); break;
    case PBKV__BODY__KIND_SCAN:
        send_reply(member, env, from, body->scan->call,
                   PBKV__STATUS__BAD_REQUEST, NULL);
        break;
    case PBKV__BODY__KIND_FORWARD:
        on_forward(member, env, from, body->forward);
        break;
    case PBKV__BODY__KIND_FORWARD_ACK:
        if (is_from_backup(member, from, body->forward_ack->view))
            member->protocol->on_forward_ack(member, env, body->forward_ack);
        break;
    case PBKV__BODY__KIND_CHUNK:
        on_chunk(member, env, from, body->chunk);
        break;
    case PBKV__BODY__KIND_CHUNK_ACK:
        on_chunk_ack(member, env, from, body->chunk_ack);
        break;
    case PBKV__BODY__KIND_REFUSAL:
        on_refusal(member, from, body->refusal);
        break;
    case PBKV__BODY__KIND_ECHO:
        message_answer_echo(env, from, body->echo);
        break;
    default: break;
    }
}

void member_describe(const struct node *node, struct sink *sink)
{
    const struct member *member = const_member_of(node);

    view_describe(&member->view, "view", sink);
    sink_u64(sink, "acknowledged", member->acknowledged);
    sink_bool(sink, "ready", member->ready);
    sink_bool(sink, "deposed", member->deposed);
    state_describe(&member->state, sink);
    sink_bool(sink, "transferring", member->transferring);
    sink_bool(sink, "watching", member->watching);
    state_describe(&member->incoming, sink);
    sink_u64(sink, "received", member->received);
}

void member_check(const struct node *node)
{
    const struct member *member = const_member_of(node);

    assert(member->acknowledged <= member->view.number);
    assert(!member->transferring || is_primary(member));
}

void member_inspect(const struct node *node, struct inspection *inspection)
{
    const struct member *member = const_member_of(node);

    inspection->role = is_primary(member)  ? "primary"
                       : is_backup(member) ? "backup"
                                           : "idle";
    inspection->view = member->view;
    inspection->applied = member->state.op;
    inspection->committed = member->state.op;
    inspection->keys = member->state.kv.count;
    inspection->bytes = member->state.kv.octets;
    inspection->sessions = member->state.sessions.count;
    inspection->digest = state_digest(&member->state);
}

struct node *member_new(size_t size, const struct server_config *config,
                        const struct node_type *type,
                        const struct protocol *protocol)
{
    struct member *member = memory_new(size);

    assert(size >= sizeof(*member));
    member->node.type = type;
    member->protocol = protocol;
    member->config = *config;
    state_init(&member->state);
    state_init(&member->incoming);
    return &member->node;
}

struct member *member_clone(const struct node *node, size_t size)
{
    const struct member *member = const_member_of(node);
    struct member *copy = memory_new(size);

    memcpy(copy, member, size);
    state_clone(&member->state, &copy->state);
    state_clone(&member->incoming, &copy->incoming);
    return copy;
}

void member_release(struct node *node)
{
    struct member *member = member_of(node);

    state_release(&member->state);
    state_release(&member->incoming);
    free(member);
}

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

void server_set_address(struct node *node, const struct address *address)
{
    member_of(node)->config.self.address = *address;
}
