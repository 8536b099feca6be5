/* SPDX-License-Identifier: MIT */
/*
 * whole: another correct kv server for lab 2B, as a test of the tests. The
 * primary applies and logs an operation at once and sends each one as it
 * comes; after silence it sends everything that is not acknowledged. Reads
 * wait beside the log for a confirmation that was asked for after they came.
 *
 * The state goes to a new backup in one message, as it is when the view
 * begins; what clients do meanwhile waits in the log and is forwarded when the
 * backup has installed it. So the whole store has to fit into one Chunk:
 * beyond that the primary never acknowledges the view.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "pbserver/server.h"

enum { TIMER_PING = 0, TIMER_RESEND = 1, PENDING_MAX = 256 };

/* An operation that is applied here and not committed, or a read behind it. */
struct entry {
    struct peer client; /* none: nobody waits for the answer any more */
    uint64_t call;
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

    struct entry log[PENDING_MAX]; /* what follows op number `committed` */
    uint32_t count;
    uint64_t committed;
    struct waiting {
        struct peer client;
        uint64_t call;
        uint64_t op;    /* that has to be committed */
        uint64_t round; /* that has to be confirmed */
        struct bytes *value;
    } reads[PENDING_MAX];
    uint32_t read_count;
    uint64_t round;
    uint64_t confirmed;

    bool transferring;
    struct bytes *chunk; /* the message, as it was built */
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
        !(replica->transferring || replica->count > 0 ||
          replica->read_count > 0))
        return;
    replica->watching = true;
    env_set_timer(env, TIMER_RESEND, replica->config.resend_ms,
                  replica->config.resend_ms);
}

/* ---- The log --------------------------------------------------------------
 */

static void entry_answer(const struct replica *replica, struct env *env,
                         const struct entry *entry, uint64_t number)
{
    if (!peer_is_present(&entry->client))
        return;
    if (entry->operation.kind == PBKV__KIND__KIND_OPEN)
        send_opened(env, &entry->client, entry->call, number);
    else
        send_reply(replica, env, &entry->client, entry->call,
                   entry->operation.status, NULL);
}

static void drop_first(struct replica *replica)
{
    operation_release(&replica->log[0].operation);
    replica->count--;
    memmove(replica->log, replica->log + 1,
            replica->count * sizeof(replica->log[0]));
}

static void drop_read(struct replica *replica)
{
    bytes_release(replica->reads[0].value);
    replica->read_count--;
    memmove(replica->reads, replica->reads + 1,
            replica->read_count * sizeof(replica->reads[0]));
}

/* Answers the reads that are confirmed and show nothing uncommitted. */
static void answer_reads(struct replica *replica, struct env *env, bool alone)
{
    while (replica->read_count > 0) {
        const struct waiting *read = &replica->reads[0];

        if (read->op > replica->committed ||
            (!alone && read->round > replica->confirmed))
            return;
        send_reply(replica, env, &read->client, read->call,
                   read->value ? PBKV__STATUS__OK : PBKV__STATUS__NO_KEY,
                   read->value);
        drop_read(replica);
    }
}

static void commit(struct replica *replica, struct env *env, uint64_t number)
{
    while (replica->committed < number) {
        replica->committed++;
        entry_answer(replica, env, &replica->log[0], replica->committed);
        drop_first(replica);
    }
}

static void refuse_all(struct replica *replica, struct env *env)
{
    for (; replica->count > 0; drop_first(replica)) {
        const struct entry *entry = &replica->log[0];

        if (peer_is_present(&entry->client))
            send_reply(replica, env, &entry->client, entry->call,
                       PBKV__STATUS__WRONG_SERVER, NULL);
    }
    for (; replica->read_count > 0; drop_read(replica))
        send_reply(replica, env, &replica->reads[0].client,
                   replica->reads[0].call, PBKV__STATUS__WRONG_SERVER, NULL);
}

/* Sends the operations after op number `from`, which may be none. */
static void send_forward(const struct replica *replica, struct env *env,
                         uint64_t from)
{
    size_t skip = (size_t)(from - replica->committed);
    Pbkv__LogOp *ops = memory_new(PENDING_MAX * sizeof(*ops));
    Pbkv__LogOp **pointers = memory_new(PENDING_MAX * sizeof(*pointers));
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    size_t octets = 0;

    forward.view = replica->view.number;
    forward.first = from + 1;
    forward.round = replica->round;
    forward.ops = pointers;
    for (size_t i = skip; i < replica->count; i++) {
        const struct operation *operation = &replica->log[i].operation;

        octets += operation_size(operation);
        if (i > skip && octets > CHUNK_LIMIT / 2)
            break;
        operation_to_message(operation, &ops[i - skip]);
        pointers[i - skip] = &ops[i - skip];
        forward.n_ops++;
    }
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    env_send(env, &replica->view.backup, &body);
    free(pointers);
    free(ops);
}

/* The newest operation was just added: tells the backup, or commits. */
static void replicate_newest(struct replica *replica, struct env *env)
{
    if (!has_backup(replica))
        commit(replica, env, replica->state.op);
    else if (!replica->transferring)
        send_forward(replica, env, replica->state.op - 1);
    watch(replica, env);
}

/* ---- Requests of clients --------------------------------------------------
 */

/* An update as a message carries it. */
struct update {
    uint64_t call;
    Pbkv__Kind kind;
    uint64_t session;
    uint64_t seq;
    ProtobufCBinaryData key;
    ProtobufCBinaryData value;
};

/* Decides, applies, logs and forwards. */
static void execute(struct replica *replica, struct env *env,
                    const struct peer *client, const struct update *update)
{
    struct entry *entry = &replica->log[replica->count];

    if (replica->count == PENDING_MAX) {
        send_reply(replica, env, client, update->call, PBKV__STATUS__OVERLOADED,
                   NULL);
        return;
    }
    *entry = (struct entry){
        .client = *client,
        .call = update->call,
        .operation = {.kind = update->kind,
                      .session = update->session,
                      .seq = update->seq,
                      .key = bytes_new(update->key.data, update->key.len),
                      .value =
                          bytes_new(update->value.data, update->value.len)},
    };
    state_decide(&replica->state, &replica->config.limits, &entry->operation);
    state_apply(&replica->state, &entry->operation);
    replica->count++;
    replicate_newest(replica, env);
}

/* A retry of the session's newest update: now, or when it is committed. */
static void repeat(struct replica *replica, struct env *env,
                   const struct peer *client, uint64_t call,
                   const struct session_record *record)
{
    struct entry *entry;

    if (record->op <= replica->committed) {
        send_reply(replica, env, client, call, record->status, NULL);
        return;
    }
    entry = &replica->log[record->op - replica->committed - 1];
    entry->client = *client;
    entry->call = call;
}

static void on_update(struct replica *replica, struct env *env,
                      const struct peer *client, const struct update *update)
{
    const struct session_record *record =
        sessions_find(&replica->state.sessions, update->session);

    if (update->session == 0 || update->seq == 0)
        send_reply(replica, env, client, update->call,
                   PBKV__STATUS__BAD_REQUEST, NULL);
    else if (!record)
        send_reply(replica, env, client, update->call,
                   PBKV__STATUS__SESSION_EXPIRED, NULL);
    else if (record->seq == update->seq)
        repeat(replica, env, client, update->call, record);
    else if (record->seq < update->seq)
        execute(replica, env, client, update);
}

static bool is_opening(const struct replica *replica, const struct peer *client,
                       uint64_t call)
{
    for (uint32_t i = 0; i < replica->count; i++) {
        const struct entry *entry = &replica->log[i];

        if (entry->operation.kind == PBKV__KIND__KIND_OPEN &&
            entry->call == call && peer_equal(&entry->client, client))
            return true;
    }
    return false;
}

static void on_open(struct replica *replica, struct env *env,
                    const struct peer *client, uint64_t call)
{
    struct update update = {.call = call, .kind = PBKV__KIND__KIND_OPEN};

    if (!is_opening(replica, client, call))
        execute(replica, env, client, &update);
}

static void on_get(struct replica *replica, struct env *env,
                   const struct peer *client, const Pbkv__Get *get)
{
    struct bytes *value =
        kv_get(&replica->state.kv, get->key.data, get->key.len);

    if (replica->read_count == PENDING_MAX) {
        send_reply(replica, env, client, get->call, PBKV__STATUS__OVERLOADED,
                   NULL);
        return;
    }
    replica->reads[replica->read_count++] =
        (struct waiting){*client, get->call, replica->state.op,
                         ++replica->round, bytes_share(value)};
    if (!has_backup(replica))
        answer_reads(replica, env, true);
    else if (!replica->transferring)
        send_forward(replica, env, replica->state.op);
    watch(replica, env);
}

static void on_put(struct replica *replica, struct env *env,
                   const struct peer *client, const Pbkv__Put *put)
{
    struct update update = {put->call,    PBKV__KIND__KIND_PUT,
                            put->session, put->seq,
                            put->key,     put->value};

    on_update(replica, env, client, &update);
}

static void on_append(struct replica *replica, struct env *env,
                      const struct peer *client, const Pbkv__Append *append)
{
    struct update update = {append->call,    PBKV__KIND__KIND_APPEND,
                            append->session, append->seq,
                            append->key,     append->value};

    on_update(replica, env, client, &update);
}

static uint64_t call_of(const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_OPEN_SESSION: return body->open_session->call;
    case PBKV__BODY__KIND_GET: return body->get->call;
    case PBKV__BODY__KIND_PUT: return body->put->call;
    default: return body->append->call;
    }
}

static void on_request(struct replica *replica, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    if (!is_serving(replica))
        send_reply(replica, env, from, call_of(body),
                   PBKV__STATUS__WRONG_SERVER, NULL); /* P1, P5 */
    else if (body->kind_case == PBKV__BODY__KIND_OPEN_SESSION)
        on_open(replica, env, from, body->open_session->call);
    else if (body->kind_case == PBKV__BODY__KIND_GET)
        on_get(replica, env, from, body->get);
    else if (body->kind_case == PBKV__BODY__KIND_PUT)
        on_put(replica, env, from, body->put);
    else
        on_append(replica, env, from, body->append);
}

static void on_forward_ack(struct replica *replica, struct env *env,
                           const struct peer *from, const Pbkv__ForwardAck *ack)
{
    if (!is_serving(replica) || ack->view != replica->view.number ||
        !peer_equal(from, &replica->view.backup) || replica->transferring ||
        ack->applied > replica->state.op)
        return; /* T5 */
    commit(replica, env, ack->applied);
    if (ack->round > replica->confirmed && ack->round <= replica->round)
        replica->confirmed = ack->round;
    answer_reads(replica, env, false);
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

/* ---- The transfer: all in one message --------------------------------------
 */

static void forget_transfers(struct replica *replica)
{
    state_release(&replica->incoming);
    state_init(&replica->incoming);
    replica->received = 0;
    replica->transferring = false;
    bytes_release(replica->chunk);
    replica->chunk = NULL;
}

/* What is in the log goes on: as the primary before, or with nothing in it. */
static void become_primary(struct replica *replica, struct env *env)
{
    uint64_t end;

    if (replica->count == 0)
        replica->committed = replica->state.op;
    if (!has_backup(replica)) {
        commit(replica, env, replica->state.op);
        answer_reads(replica, env, true);
        acknowledge_view(replica, env);
        return;
    }
    replica->transferring = true;
    replica->chunk = build_chunk(replica, &replica->state, 0, SIZE_MAX, &end);
    if (replica->chunk->length > BODY_LIMIT) {
        env_log(env, LOG_LEVEL_WARN, "transfer.too_large", "%" PRIu32 " octets",
                replica->chunk->length);
        return;
    }
    env_send_encoded(env, &replica->view.backup, PBKV__BODY__KIND_CHUNK,
                     replica->chunk);
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

static void apply_next(struct replica *replica, const Pbkv__LogOp *message)
{
    struct operation operation = operation_from_message(message);

    if (state_can_apply(&replica->state, &operation))
        state_apply(&replica->state, &operation);
    operation_release(&operation);
}

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
    for (size_t i = 0; i < forward->n_ops; i++) {
        if (forward->first + i == replica->state.op + 1)
            apply_next(replica, forward->ops[i]); /* P3 */
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
    if (!is_serving(replica) || !replica->transferring || !ack->installed ||
        ack->view != replica->view.number ||
        !peer_equal(from, &replica->view.backup))
        return; /* T5 */
    replica->transferring = false;
    bytes_release(replica->chunk);
    replica->chunk = NULL;
    acknowledge_view(replica, env); /* T2 */
    replica->round++;
    send_forward(replica, env, replica->committed); /* T3 */
    watch(replica, env);
}

static void on_silence(struct replica *replica, struct env *env)
{
    if (!is_serving(replica))
        return;
    if (replica->transferring && replica->chunk->length <= BODY_LIMIT)
        env_send_encoded(env, &replica->view.backup, PBKV__BODY__KIND_CHUNK,
                         replica->chunk);
    else if (has_backup(replica) && !replica->transferring)
        send_forward(replica, env, replica->committed);
    watch(replica, env);
}

/* ---- Copies ---------------------------------------------------------------
 */

static void replica_release(struct node *node)
{
    struct replica *replica = (struct replica *)(void *)node;

    while (replica->count > 0)
        drop_first(replica);
    while (replica->read_count > 0)
        drop_read(replica);
    bytes_release(replica->chunk);
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
        operation_share(&copy->log[i].operation);
    for (uint32_t i = 0; i < copy->read_count; i++)
        bytes_share(copy->reads[i].value);
    bytes_share(copy->chunk);
    return &copy->node;
}

static void describe_entry(const struct entry *entry, struct sink *sink)
{
    sink_open(sink, "entry");
    peer_describe(&entry->client, "client", sink);
    sink_u64(sink, "call", entry->call);
    operation_describe(&entry->operation, "operation", sink);
    sink_close(sink);
}

static void describe_read(const struct waiting *read, struct sink *sink)
{
    sink_open(sink, "read");
    peer_describe(&read->client, "client", sink);
    sink_u64(sink, "call", read->call);
    sink_u64(sink, "op", read->op);
    sink_u64(sink, "round", read->round);
    if (read->value)
        sink_octets(sink, "value", read->value->data, read->value->length);
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
    sink_u64(sink, "committed", replica->committed);
    for (uint32_t i = 0; i < replica->count; i++)
        describe_entry(&replica->log[i], sink);
    sink_bool(sink, "transferring", replica->transferring);
    for (uint32_t i = 0; i < replica->read_count; i++)
        describe_read(&replica->reads[i], sink);
    sink_u64(sink, "round", replica->round);
    sink_u64(sink, "confirmed", replica->confirmed);
    if (replica->chunk)
        sink_octets(sink, "chunk", replica->chunk->data,
                    replica->chunk->length);
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
    inspection->committed =
        is_primary(replica) ? replica->committed : replica->state.op;
    inspection->keys = replica->state.kv.count;
    inspection->bytes = replica->state.kv.octets;
    inspection->sessions = replica->state.sessions.count;
    inspection->digest = state_digest(&replica->state);
}

static const struct node_type replica_type = {
    .name = "kv server, whole state in one message",
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
