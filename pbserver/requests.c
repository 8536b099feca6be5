/* SPDX-License-Identifier: MIT */
/*
 * requests: what clients ask of the primary. Every handler has the same story:
 * refuse with a status, or do it once, or recognise that it was done.
 *
 * Updates go through a session (rule P6). A seq above the session's newest is
 * new; the same seq is a retry and gets the first answer, now if it is
 * committed and otherwise when it is; a lower seq was given up by its client
 * long ago and gets nothing.
 */
#include <assert.h>
#include <inttypes.h>

#include "node/message.h"
#include "pbserver/server.h"

enum {
    PAGE_OCTETS = 256 * 1024, /* of a Page, about */
    PAGE_ENTRIES = 1024,      /* of a Page, at most */
    OPENINGS_SEEN = 1024,     /* operations searched for a repeated opening */
    ENTRY_OVERHEAD = 32,      /* octets of an entry beside key and value */
};

void server_reply(const struct server *server, struct env *env,
                  const struct peer *client, uint64_t call, Pbkv__Status status)
{
    struct view_message view;
    Pbkv__Reply reply = PBKV__REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    assert(status != PBKV__STATUS__STATUS_INVALID);
    reply.call = call;
    reply.status = status;
    if (status == PBKV__STATUS__WRONG_SERVER) {
        view_to_message(&server->view, &view);
        reply.view = &view.view;
    }
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    env_send(env, client, &body);
}

static void reply_opened(struct env *env, const struct peer *client,
                         uint64_t call, uint64_t session)
{
    Pbkv__SessionOpened opened = PBKV__SESSION_OPENED__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    assert(session > 0);
    opened.call = call;
    opened.session = session;
    body.kind_case = PBKV__BODY__KIND_SESSION_OPENED;
    body.session_opened = &opened;
    env_send(env, client, &body);
}

void server_answer_update(const struct server *server, struct env *env,
                          struct log_entry *entry, uint64_t number)
{
    if (!peer_is_present(&entry->client))
        return;
    assert(number <= server->state.op);
    if (entry->operation.kind == PBKV__KIND__KIND_OPEN)
        reply_opened(env, &entry->client, entry->call, number);
    else
        server_reply(server, env, &entry->client, entry->call,
                     entry->operation.status);
    entry->client = (struct peer){0};
}

/* ---- Updates ---- */

struct update {
    uint64_t call;
    uint64_t session;
    uint64_t seq;
    Pbkv__Kind kind;
    ProtobufCBinaryData key;
    ProtobufCBinaryData value;
};

/* Returns why no new operation can be taken now, or OK. */
static Pbkv__Status admission(const struct server *server)
{
    size_t size =
        server->log.octets + server->log.count * sizeof(struct log_entry);

    if (server->backup_full)
        return PBKV__STATUS__BACKUP_FAILED;
    if (size <= server->config.log_octets)
        return PBKV__STATUS__OK;
    return server->out.active ? PBKV__STATUS__STATE_TRANSFER
                              : PBKV__STATUS__OVERLOADED;
}

/* Decides, applies and logs an operation, which it takes over, and sees to its
 * replication (P3). */
static void execute(struct server *server, struct env *env,
                    const struct peer *client, uint64_t call,
                    struct operation *operation)
{
    struct log_entry entry = {.client = *client, .call = call};

    state_decide(&server->state, &server->config.limits, operation);
    if (state_is_full(&server->state, &server->config.limits, operation)) {
        server_reply(server, env, client, call, PBKV__STATUS__OVERLOADED);
        operation_release(operation);
        return;
    }
    state_apply(&server->state, operation);
    entry.operation = *operation;
    oplog_append(&server->log, &entry);
    server_replicate(server, env);
}

/* Answers a retry of the session's newest operation (P6). */
static void repeat(struct server *server, struct env *env,
                   const struct peer *client, uint64_t call,
                   const struct session_record *record)
{
    struct log_entry *entry;

    env_log(env, LOG_LEVEL_DEBUG, "request.duplicate",
            "session %" PRIu64 " seq %" PRIu64, record->id, record->seq);
    if (record->op <= server->committed) {
        server_reply(server, env, client, call, record->status);
        return;
    }
    entry = oplog_at(&server->log, record->op);
    entry->client = *client; /* answered when it is committed (P4) */
    entry->call = call;
}

static void on_update(struct server *server, struct env *env,
                      const struct peer *client, const struct update *update)
{
    const struct session_record *record =
        sessions_find(&server->state.sessions, update->session);
    Pbkv__Status status = admission(server);
    struct operation operation = {
        .kind = update->kind,
        .session = update->session,
        .seq = update->seq,
    };

    if (update->session == 0 || update->seq == 0)
        server_reply(server, env, client, update->call,
                     PBKV__STATUS__BAD_REQUEST);
    else if (!record)
        server_reply(server, env, client, update->call,
                     PBKV__STATUS__SESSION_EXPIRED);
    else if (update->seq == record->seq)
        repeat(server, env, client, update->call, record);
    else if (update->seq < record->seq)
        env_log(env, LOG_LEVEL_DEBUG, "request.stale",
                "session %" PRIu64 " seq %" PRIu64, update->session,
                update->seq);
    else if (status != PBKV__STATUS__OK)
        server_reply(server, env, client, update->call, status);
    else {
        operation.key =
            kv_key(&server->state.kv, update->key.data, update->key.len);
        operation.value = bytes_new(update->value.data, update->value.len);
        execute(server, env, client, update->call, &operation);
    }
}

static void on_put(struct server *server, struct env *env,
                   const struct peer *client, const Pbkv__Put *put)
{
    struct update update = {
        .call = put->call,
        .session = put->session,
        .seq = put->seq,
        .kind = PBKV__KIND__KIND_PUT,
        .key = put->key,
        .value = put->value,
    };

    on_update(server, env, client, &update);
}

static void on_append(struct server *server, struct env *env,
                      const struct peer *client, const Pbkv__Append *append)
{
    struct update update = {
        .call = append->call,
        .session = append->session,
        .seq = append->seq,
        .kind = PBKV__KIND__KIND_APPEND,
        .key = append->key,
        .value = append->value,
    };

    on_update(server, env, client, &update);
}

/* Whether an opening for the same call waits already, among the newest
 * operations. One that was committed in the meantime opens one more session;
 * the one that nobody uses grows old and is evicted. */
static bool is_opening(const struct server *server, const struct peer *client,
                       uint64_t call)
{
    uint64_t number = server->state.op;

    for (int i = 0; i < OPENINGS_SEEN && number > server->committed;
         i++, number--) {
        const struct log_entry *entry = oplog_at(&server->log, number);

        if (entry->operation.kind == PBKV__KIND__KIND_OPEN &&
            entry->call == call && peer_equal(&entry->client, client))
            return true;
    }
    return false;
}

static void on_open_session(struct server *server, struct env *env,
                            const struct peer *client,
                            const Pbkv__OpenSession *open)
{
    Pbkv__Status status = admission(server);
    struct operation operation = {.kind = PBKV__KIND__KIND_OPEN};

    if (is_opening(server, client, open->call)) {
        env_log(env, LOG_LEVEL_DEBUG, "request.duplicate", "opening");
        return;
    }
    if (status != PBKV__STATUS__OK) {
        server_reply(server, env, client, open->call, status);
        return;
    }
    operation.key = bytes_new(NULL, 0);
    operation.value = bytes_new(NULL, 0);
    execute(server, env, client, open->call, &operation);
}

/* ---- Reads ---- */

/* Sends the answer of a read, or keeps it until the backup has applied
 * operation op, the newest that the answer shows, and has confirmed that this
 * server was still primary when the read arrived (P4). */
static void answer_read(struct server *server, struct env *env,
                        const struct peer *client, uint64_t call, uint64_t op,
                        const Pbkv__Body *body)
{
    struct waiting_read read = {
        .client = *client,
        .call = call,
        .op = op,
        .round = server->round + 1,
        .what = body->kind_case,
    };

    if (server_commits_alone(server)) {
        env_send(env, client, body);
        return;
    }
    if (server->reads.octets +
            server->reads.count * sizeof(struct waiting_read) >
        server->config.read_octets) {
        server_reply(server, env, client, call, PBKV__STATUS__OVERLOADED);
        return;
    }
    read.answer = message_encode(body);
    reads_push(&server->reads, &read);
    server_replicate(server, env);
}

static void on_get(struct server *server, struct env *env,
                   const struct peer *client, const Pbkv__Get *get)
{
    struct kv_item item = {0};
    bool there = kv_item(&server->state.kv, get->key.data, get->key.len, &item);
    Pbkv__Reply reply = PBKV__REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    if (get->key.len > server->config.limits.key) {
        server_reply(server, env, client, get->call, PBKV__STATUS__TOO_LARGE);
        return;
    }
    reply.call = get->call;
    reply.status = there ? PBKV__STATUS__OK : PBKV__STATUS__NO_KEY;
    if (there)
        reply.value = message_bytes(item.value);
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    answer_read(server, env, client, get->call, item.modified, &body);
}

static void entry_to_message(const struct kv_item *item, Pbkv__Entry *message)
{
    pbkv__entry__init(message);
    message->key = message_bytes(item->key);
    message->value = message_bytes(item->value);
    message->modified = item->modified;
}

static void on_scan(struct server *server, struct env *env,
                    const struct peer *client, const Pbkv__Scan *scan)
{
    const struct kv *kv = &server->state.kv;
    Pbkv__Entry entries[PAGE_ENTRIES];
    Pbkv__Entry *pointers[PAGE_ENTRIES];
    Pbkv__Page page = PBKV__PAGE__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    size_t octets = 0;

    page.call = scan->call;
    page.total = kv->count;
    page.next = scan->cursor < kv->count ? scan->cursor : kv->count;
    page.entries = pointers;
    while (page.next < kv->count && page.n_entries < PAGE_ENTRIES &&
           octets < PAGE_OCTETS) {
        struct kv_item item = kv_at(kv, (size_t)page.next);

        if (page.n_entries > 0 &&
            octets + item.key->length + item.value->length > PAGE_OCTETS)
            break;
        entry_to_message(&item, &entries[page.n_entries]);
        pointers[page.n_entries] = &entries[page.n_entries];
        page.n_entries++;
        page.next++;
        octets += item.key->length + item.value->length + ENTRY_OVERHEAD;
    }
    body.kind_case = PBKV__BODY__KIND_PAGE;
    body.page = &page;
    answer_read(server, env, client, scan->call, server->state.op, &body);
}

static uint64_t call_of(const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_OPEN_SESSION: return body->open_session->call;
    case PBKV__BODY__KIND_GET: return body->get->call;
    case PBKV__BODY__KIND_PUT: return body->put->call;
    case PBKV__BODY__KIND_APPEND: return body->append->call;
    default: assert(body->kind_case == PBKV__BODY__KIND_SCAN);
    }
    return body->scan->call;
}

void server_on_request(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    if (!server_is_serving(server)) { /* P1, P5 */
        env_log(env, LOG_LEVEL_DEBUG, "request.wrong_server", "%s from %s",
                message_name(body->kind_case), from->address.text);
        server_reply(server, env, from, call_of(body),
                     PBKV__STATUS__WRONG_SERVER);
        return;
    }
    switch (body->kind_case) {
    case PBKV__BODY__KIND_OPEN_SESSION:
        on_open_session(server, env, from, body->open_session);
        break;
    case PBKV__BODY__KIND_GET: on_get(server, env, from, body->get); break;
    case PBKV__BODY__KIND_PUT: on_put(server, env, from, body->put); break;
    case PBKV__BODY__KIND_APPEND:
        on_append(server, env, from, body->append);
        break;
    default:
        assert(body->kind_case == PBKV__BODY__KIND_SCAN);
        on_scan(server, env, from, body->scan);
    }
}
