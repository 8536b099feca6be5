/* SPDX-License-Identifier: MIT */
/*
 * replicate: the primary's operations on their way to the backup. The primary
 * sends them in order, many at a time (P3); the backup applies each exactly
 * once and acknowledges how far it is; what it has applied is committed, and
 * only then do clients hear of it (P4).
 *
 * What arrives together is sent together: a request only starts the turn timer,
 * whose delay is 0, and when it fires all operations that have come in by then
 * go out as one Forward. The reads among them share its round. A turn that
 * brings very much sends some of it early, so that the backup works at the same
 * time.
 *
 * Nothing is assumed of the network. What is lost leaves a gap, which the
 * backup does not cross; when a resend timer finds that nothing has moved, the
 * primary starts again behind the newest acknowledgement.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "node/memory.h"
#include "node/message.h"
#include "pbserver/server.h"

enum {
    FORWARD_OPS_MAX = 4096, /* operations of a Forward */
    FEW_OPS = 64,           /* of a Forward for which no memory is asked */
    EARLY_REQUESTS = 64,    /* that do not wait for the end of the turn */
    FLIGHT_CHUNKS = 8,      /* chunk_octets that may be on the way */
    PATIENCE_MAX = 5,       /* doublings of the time between resends */
};

/* ---- The primary sends ---- */

static void send_forward(const struct server *server, struct env *env,
                         uint64_t first, Pbkv__LogOp **ops, size_t count)
{
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    forward.view = server->view.number;
    forward.first = first;
    forward.round = server->round;
    forward.n_ops = count;
    forward.ops = ops;
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    env_send(env, &server->view.backup, &body);
}

/* Returns how many operations after `forwarded` fit into one Forward. */
static size_t batch_size(const struct server *server)
{
    uint64_t number = server->forwarded + 1;
    size_t octets = 0;
    size_t count = 0;

    while (number + count <= server->state.op && count < FORWARD_OPS_MAX) {
        const struct log_entry *entry = oplog_at(&server->log, number + count);

        octets += entry->octets;
        if (count > 0 && octets > server->config.chunk_octets)
            break;
        count++;
    }
    return count;
}

/* Sends one Forward with the next operations. */
static void forward_batch(struct server *server, struct env *env)
{
    size_t count = batch_size(server);
    Pbkv__LogOp few[FEW_OPS], *few_pointers[FEW_OPS];
    bool many = count > FEW_OPS;
    Pbkv__LogOp *ops = many ? memory_new(count * sizeof(*ops)) : few;
    Pbkv__LogOp **pointers =
        many ? memory_new(count * sizeof(*pointers)) : few_pointers;
    uint64_t first = server->forwarded + 1;

    assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        const struct log_entry *entry = oplog_at(&server->log, first + i);

        operation_to_message(&entry->operation, &ops[i]);
        pointers[i] = &ops[i];
        server->flight_octets += entry->octets;
    }
    send_forward(server, env, first, pointers, count);
    server->forwarded += count;
    if (many) {
        free(pointers);
        free(ops);
    }
}

static bool backup_owes_something(const struct server *server)
{
    return server_is_serving(server) &&
           (server->out.active || server->committed < server->state.op ||
            server->reads.count > 0);
}

void server_watch_backup(struct server *server, struct env *env)
{
    uint32_t wait_ms;

    if (server->resending || !backup_owes_something(server))
        return;
    wait_ms = server->config.resend_ms << server->patience;
    server->resending = true;
    server->progressed = false;
    env_set_timer(env, SERVER_TIMER_RESEND, wait_ms, wait_ms);
}

/* Returns how many octets of operations may be on the way. As long as resends
 * move nothing, one Forward is enough to find out when they do. */
static size_t flight_window(const struct server *server)
{
    return server->patience > 0 ? 1
                                : FLIGHT_CHUNKS * server->config.chunk_octets;
}

/* Whether there are operations to send, and room for them on the way. */
static bool can_forward(const struct server *server)
{
    return server->forwarded < server->state.op &&
           server->flight_octets < flight_window(server);
}

/* Whether a read waits for a confirmation that was not asked for yet. */
static bool has_new_reads(const struct server *server)
{
    return reads_newest_round(&server->reads) > server->round;
}

/* Sends what the backup lacks, as far as the window allows; if `ask`, or if
 * there are new reads, at least the question whether it is still there. */
static void send_due(struct server *server, struct env *env, bool ask)
{
    uint64_t sent = server->forwarded;

    assert(server_is_serving(server) && server_has_installed_backup(server));
    if (has_new_reads(server)) {
        server->round++; /* one round for all of them (P4) */
        ask = true;
    }
    assert(!has_new_reads(server));
    while (can_forward(server))
        forward_batch(server, env);
    if (ask && server->forwarded == sent)
        send_forward(server, env, server->forwarded + 1, NULL, 0);
}

/* Whether so much has come in that it does not wait for the end of the turn. */
static bool is_much(const struct server *server)
{
    uint64_t requests = 0;

    if (can_forward(server))
        requests += server->state.op - server->forwarded;
    if (has_new_reads(server))
        requests += server->reads.newest_count;
    return requests >= EARLY_REQUESTS;
}

/* There is something to send: now, if it is much, or at the end of the turn. */
static void send_soon(struct server *server, struct env *env)
{
    if (is_much(server))
        send_due(server, env, false);
    else if (!server->turning) {
        server->turning = true;
        env_set_timer(env, SERVER_TIMER_TURN, 0, 0);
    }
}

void server_replicate(struct server *server, struct env *env)
{
    assert(server_is_primary(server));
    if (server_commits_alone(server))
        server_commit(server, env, server->state.op);
    if (server_has_installed_backup(server) &&
        (can_forward(server) || has_new_reads(server)))
        send_soon(server, env);
    server_watch_backup(server, env);
}

void server_on_turn_timer(struct server *server, struct env *env)
{
    server->turning = false;
    if (!server_is_serving(server) || !server_has_installed_backup(server))
        return; /* something has changed in the same turn */
    send_due(server, env, false);
    server_watch_backup(server, env);
}

void server_note_progress(struct server *server)
{
    server->progressed = true;
    server->patience = 0;
}

void server_on_resend_timer(struct server *server, struct env *env)
{
    bool progressed = server->progressed;

    server->resending = false;
    if (!backup_owes_something(server))
        return;
    if (progressed)
        server->patience = 0;
    else if (server->patience < PATIENCE_MAX)
        server->patience++;
    server_watch_backup(server, env);
    if (progressed)
        return;
    env_log(env, LOG_LEVEL_DEBUG, "replication.resend", "behind op %" PRIu64,
            server->committed);
    if (server->out.active) {
        if (server->backup_full)
            transfer_start(server, env); /* the state may have shrunk */
        else
            transfer_resend(server, env);
        return;
    }
    server->forwarded = server->committed;
    server->flight_octets = 0;
    send_due(server, env, server->reads.count > 0);
}

/* ---- The commit point ---- */

/* Answers the reads that are confirmed, unless they show an operation that is
 * not committed yet. */
static void answer_reads(struct server *server, struct env *env)
{
    bool alone = server_commits_alone(server);
    const struct waiting_read *read;
    size_t i = 0;

    while ((read = reads_at(&server->reads, i)) != NULL &&
           (alone || read->round <= server->confirmed)) {
        if (read->op > server->committed) {
            i++;
            continue;
        }
        env_send_encoded(env, &read->client, read->what, read->answer);
        reads_remove(&server->reads, i);
    }
}

void server_commit(struct server *server, struct env *env, uint64_t number)
{
    assert(server_is_serving(server)); /* P1, P5 */
    assert(number <= server->state.op);
    while (server->committed < number) {
        uint64_t next = server->committed + 1;
        struct log_entry *entry = oplog_at(&server->log, next);

        if (next <= server->forwarded)
            server->flight_octets -= entry->octets;
        server->committed = next; /* The operation is committed: P4. */
        server_answer_update(server, env, entry, next);
    }
    if (server->forwarded < number)
        server->forwarded = number;
    if (!server->out.active)
        oplog_drop_through(&server->log, number);
    answer_reads(server, env);
}

void server_refuse_waiting(struct server *server, struct env *env)
{
    const struct waiting_read *read;

    for (uint64_t number = server->log.first;
         number <= oplog_last(&server->log); number++) {
        const struct log_entry *entry = oplog_at(&server->log, number);

        if (peer_is_present(&entry->client))
            server_reply(server, env, &entry->client, entry->call,
                         PBKV__STATUS__WRONG_SERVER);
    }
    while ((read = reads_at(&server->reads, 0)) != NULL) {
        server_reply(server, env, &read->client, read->call,
                     PBKV__STATUS__WRONG_SERVER);
        reads_remove(&server->reads, 0);
    }
    oplog_release(&server->log);
    oplog_init(&server->log, server->state.op + 1);
}

void server_on_forward_ack(struct server *server, struct env *env,
                           const struct peer *from, const Pbkv__ForwardAck *ack)
{
    if (!server_is_serving(server) || ack->view != server->view.number ||
        !peer_equal(from, &server->view.backup) || server->out.active) {
        env_log(env, LOG_LEVEL_DEBUG, "forward_ack.stale",
                "view %" PRIu64 " from %s", ack->view, from->address.text);
        return; /* T5 */
    }
    if (ack->applied > server->state.op || ack->round > server->round) {
        env_log(env, LOG_LEVEL_WARN, "forward_ack.ahead",
                "op %" PRIu64 " round %" PRIu64, ack->applied, ack->round);
        return;
    }
    /* A confirmed read must not hide that operations have been lost. */
    if (ack->applied > server->committed ||
        (server->committed == server->state.op &&
         ack->round > server->confirmed))
        server_note_progress(server);
    if (ack->applied == server->state.op)
        server->backup_full = false;
    if (ack->round > server->confirmed)
        server->confirmed = ack->round;
    if (ack->applied > server->committed)
        server_commit(server, env, ack->applied);
    else
        answer_reads(server, env);
    server_replicate(server, env);
}

void server_on_refusal(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Refusal *refusal)
{
    if (!server_is_primary(server) || !server->initialised ||
        refusal->refused != server->view.number ||
        !peer_equal(from, &server->view.backup)) {
        env_log(env, LOG_LEVEL_DEBUG, "refusal.stale", "of view %" PRIu64,
                refusal->refused);                     /* T5 */
    } else if (refusal->known > server->view.number) { /* P5 */
        env_log(env, LOG_LEVEL_INFO, "server.deposed",
                "the backup knows view %" PRIu64, refusal->known);
        server->deposed = true;
        server_ping_early(server, env);
    } else if (refusal->known < server->view.number) {
        env_log(env, LOG_LEVEL_DEBUG, "refusal.early",
                "the backup still knows view %" PRIu64,
                refusal->known); /* P5: the resend timer tries again */
    } else if (refusal->status == PBKV__STATUS__BACKUP_FAILED &&
               (server->out.active ? refusal->transfer != server->out.number
                                   : server->committed == server->state.op)) {
        env_log(env, LOG_LEVEL_DEBUG, "refusal.stale",
                "the backup has everything by now"); /* T5 */
    } else if (refusal->status == PBKV__STATUS__BACKUP_FAILED) {
        env_log(env, LOG_LEVEL_WARN, "backup.full", "at op %" PRIu64,
                server->state.op);
        server->backup_full = true;
    } else if (refusal->status == PBKV__STATUS__STATE_TRANSFER &&
               server->out.active && server_is_serving(server) &&
               refusal->transfer == server->out.number) { /* T5 */
        env_log(env, LOG_LEVEL_WARN, "transfer.restarted",
                "the backup could not install the state");
        transfer_start(server, env);
    } else
        env_log(env, LOG_LEVEL_WARN, "refusal.unexpected", "%s",
                status_name(refusal->status));
}

/* ---- The backup applies ---- */

void server_refuse(const struct server *server, struct env *env,
                   const struct peer *to, uint64_t view, Pbkv__Status status)
{
    Pbkv__Refusal refusal = PBKV__REFUSAL__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    assert(view > 0);
    refusal.refused = view;
    refusal.known = server->view.number; /* P2 */
    refusal.status = status;
    refusal.transfer = server->in.number;
    body.kind_case = PBKV__BODY__KIND_REFUSAL;
    body.refusal = &refusal;
    env_send(env, to, &body);
}

bool server_accepts_from_primary(struct server *server, struct env *env,
                                 const struct peer *from, uint64_t view)
{
    if (view != server->view.number) { /* P2 */
        bool early = view > server->view.number;

        env_log(env, LOG_LEVEL_DEBUG,
                early ? "replication.early" : "replication.stale",
                "view %" PRIu64 " from %s", view, from->address.text);
        if (early)
            server_ping_early(server, env);
        server_refuse(server, env, from, view, PBKV__STATUS__WRONG_VIEW);
        return false;
    }
    if (!server_is_backup(server) || !peer_equal(from, &server->view.primary)) {
        env_log(env, LOG_LEVEL_WARN, "replication.foreign",
                "view %" PRIu64 " from %s", view, from->address.text);
        server_refuse(server, env, from, view, PBKV__STATUS__WRONG_SERVER);
        return false;
    }
    return true;
}

/* Applies one operation of a Forward, the next one. Returns the status with
 * which to refuse it, or OK. */
static Pbkv__Status apply_next(struct server *server, struct env *env,
                               const Pbkv__LogOp *message,
                               const struct kv_foreseen *key)
{
    struct operation operation = state_operation(&server->state, message, key);
    Pbkv__Status status = PBKV__STATUS__OK;

    if (!state_can_apply(&server->state, &operation)) {
        env_log(env, LOG_LEVEL_WARN, "forward.impossible", "op %" PRIu64,
                server->state.op + 1);
        status = PBKV__STATUS__BAD_REQUEST;
    } else if (state_size(&server->state) + operation_size(&operation) >
               server_room(server)) {
        env_log(env, LOG_LEVEL_WARN, "forward.full", "op %" PRIu64,
                server->state.op + 1);
        status = PBKV__STATUS__BACKUP_FAILED;
    } else
        state_apply(&server->state, &operation);
    operation_release(&operation);
    return status;
}

/* Applies those of the operations that come next (P3). Returns OK, or the
 * status with which to refuse the rest. */
static Pbkv__Status apply_forward(struct server *server, struct env *env,
                                  const Pbkv__Forward *forward)
{
    Pbkv__Status status = PBKV__STATUS__OK;
    struct kv_foreseen keys[STATE_FORESEEN_MAX];

    if (forward->first > server->state.op + 1) {
        env_log(env, LOG_LEVEL_DEBUG, "forward.gap",
                "op %" PRIu64 " after %" PRIu64, forward->first,
                server->state.op);
        return status;
    }
    if (forward->first <= server->state.op && forward->n_ops > 0)
        env_log(env, LOG_LEVEL_DEBUG, "forward.duplicate", "op %" PRIu64,
                forward->first);
    for (size_t i = 0; i < forward->n_ops && status == PBKV__STATUS__OK; i++) {
        if (i % STATE_FORESEEN_MAX == 0)
            state_foresee(&server->state, forward->ops + i, forward->n_ops - i,
                          keys);
        if (forward->first + i > server->state.op)
            status = apply_next(server, env, forward->ops[i],
                                &keys[i % STATE_FORESEEN_MAX]);
    }
    return status;
}

void server_on_forward(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Forward *forward)
{
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Status status;

    if (!server_accepts_from_primary(server, env, from, forward->view))
        return;
    if (!server->initialised) {
        env_log(env, LOG_LEVEL_WARN, "forward.uninitialised", "op %" PRIu64,
                forward->first);
        server_refuse(server, env, from, forward->view,
                      PBKV__STATUS__STATE_TRANSFER);
        return;
    }
    status = apply_forward(server, env, forward);
    if (status != PBKV__STATUS__OK)
        server_refuse(server, env, from, forward->view, status);
    ack.view = forward->view;
    ack.applied = server->state.op;
    ack.round = forward->round;
    body.kind_case = PBKV__BODY__KIND_FORWARD_ACK;
    body.forward_ack = &ack;
    env_send(env, from, &body);
}
