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
#include <string.h>

#include "tests/labs/solutions/member.h"

enum { QUEUE_MAX = 64 };

struct replica {
    struct member member;
    struct request queue[QUEUE_MAX]; /* the first may be with the backup */
    uint32_t count;
    bool asked; /* the first request is with the backup */
    uint64_t round;
    uint64_t sent; /* items of the state that have arrived at the backup */
};

static struct replica *replica_of(struct member *member)
{
    return (struct replica *)(void *)member;
}

static const struct replica *const_replica_of(const struct member *member)
{
    return (const struct replica *)(const void *)member;
}

/* ---- One request at a time ------------------------------------------------
 */

static void pop(struct replica *replica)
{
    request_release(&replica->queue[0]);
    replica->count--;
    memmove(replica->queue, replica->queue + 1,
            replica->count * sizeof(replica->queue[0]));
    replica->asked = false;
}

static void refuse_all(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    for (; replica->count > 0; pop(replica))
        request_refuse(&replica->queue[0], member, env,
                       PBKV__STATUS__WRONG_SERVER);
}

/* Does the first request and answers it: the backup has it, or there is none.
 */
static void finish_first(struct replica *replica, struct env *env)
{
    struct member *member = &replica->member;
    struct request *first = &replica->queue[0];

    if (first->is_read)
        request_look_up(first, member);
    else
        state_apply(&member->state, &first->operation);
    request_answer(first, member, env, member->state.op);
    pop(replica);
}

/* Tells the backup of the first request. */
static void ask_backup(const struct replica *replica, struct env *env)
{
    const struct request *first = &replica->queue[0];
    Pbkv__LogOp op;
    Pbkv__LogOp *ops = &op;
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    forward.view = replica->member.view.number;
    forward.first = replica->member.state.op + 1;
    forward.round = replica->round;
    if (!first->is_read) {
        operation_to_message(&first->operation, &op);
        forward.n_ops = 1;
        forward.ops = &ops;
    }
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    env_send(env, &replica->member.view.backup, &body);
}

/* A request may have become old while it waited: its session is gone, or it was
 * done by another way. */
static bool is_outdated(const struct replica *replica, struct env *env)
{
    const struct member *member = &replica->member;
    const struct request *first = &replica->queue[0];
    const struct session_record *record =
        sessions_find(&member->state.sessions, first->operation.session);

    if (!request_is_update(first) ||
        (record && record->seq < first->operation.seq))
        return false;
    if (!record)
        request_refuse(first, member, env, PBKV__STATUS__SESSION_EXPIRED);
    else if (record->seq == first->operation.seq)
        request_refuse(first, member, env, record->status);
    return true;
}

/* Begins the first request, and those after it as long as there is no backup
 * to wait for. */
static void pump(struct replica *replica, struct env *env)
{
    struct member *member = &replica->member;

    while (!member->transferring && !replica->asked && replica->count > 0) {
        struct request *first = &replica->queue[0];

        if (is_outdated(replica, env)) {
            pop(replica);
            continue;
        }
        if (!first->is_read)
            state_decide(&member->state, &member->config.limits,
                         &first->operation);
        if (!member_has_backup(member)) {
            finish_first(replica, env);
            continue;
        }
        replica->asked = true;
        replica->round++;
        ask_backup(replica, env);
    }
    member_watch(member, env);
}

static void on_forward_ack(struct member *member, struct env *env,
                           const Pbkv__ForwardAck *ack)
{
    struct replica *replica = replica_of(member);

    if (!replica->asked || ack->round != replica->round)
        return; /* T5 */
    if (ack->applied != member->state.op + !replica->queue[0].is_read)
        return;
    finish_first(replica, env);
    pump(replica, env);
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

static void on_request(struct member *member, struct env *env,
                       struct request *request)
{
    struct replica *replica = replica_of(member);

    if (member->transferring)
        request_refuse(request, member, env, PBKV__STATUS__STATE_TRANSFER);
    else if (replica->count == QUEUE_MAX)
        request_refuse(request, member, env, PBKV__STATUS__OVERLOADED);
    else if (!waits(replica, request)) {
        replica->queue[replica->count++] = *request;
        pump(replica, env);
        return;
    }
    request_release(request);
}

/* ---- Views, and the transfer: one chunk at a time, clients wait -----------
 */

static void leave_view(struct member *member)
{
    replica_of(member)->asked = false;
    replica_of(member)->sent = 0;
}

static void send_chunk(const struct replica *replica, struct env *env)
{
    const struct member *member = &replica->member;
    struct bytes *chunk = member_build_chunk(
        member, &member->state, replica->sent, member->config.chunk_octets);

    env_send_encoded(env, &member->view.backup, PBKV__BODY__KIND_CHUNK, chunk);
    bytes_release(chunk);
}

static void take_over(struct member *member, struct env *env)
{
    if (member->transferring)
        send_chunk(replica_of(member), env);
    else
        pump(replica_of(member), env);
}

static void on_received(struct member *member, struct env *env,
                        uint64_t received)
{
    struct replica *replica = replica_of(member);

    if (received <= replica->sent)
        return;
    replica->sent = received;
    send_chunk(replica, env);
}

static void on_installed(struct member *member, struct env *env)
{
    pump(replica_of(member), env);
}

static bool is_waiting(const struct member *member)
{
    return const_replica_of(member)->count > 0;
}

static void on_silence(struct member *member, struct env *env)
{
    if (member->transferring)
        send_chunk(replica_of(member), env);
    else if (replica_of(member)->asked)
        ask_backup(replica_of(member), env);
}

static const struct protocol protocol = {
    .leave_view = leave_view,
    .take_over = take_over,
    .refuse_all = refuse_all,
    .on_request = on_request,
    .apply = member_apply,
    .on_forward_ack = on_forward_ack,
    .on_received = on_received,
    .on_installed = on_installed,
    .is_waiting = is_waiting,
    .on_silence = on_silence,
};

/* ---- The node -------------------------------------------------------------
 */

static void replica_release(struct node *node)
{
    struct replica *replica = replica_of(member_of(node));

    while (replica->count > 0)
        pop(replica);
    member_release(node);
}

static struct node *replica_clone(const struct node *node)
{
    struct replica *copy = replica_of(member_clone(node, sizeof(*copy)));

    for (uint32_t i = 0; i < copy->count; i++)
        request_share(&copy->queue[i]);
    return &copy->member.node;
}

static void replica_describe(const struct node *node, struct sink *sink)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_describe(node, sink);
    for (uint32_t i = 0; i < replica->count; i++)
        request_describe(&replica->queue[i], sink);
    sink_bool(sink, "asked", replica->asked);
    sink_u64(sink, "round", replica->round);
    sink_u64(sink, "sent", replica->sent);
}

static void replica_check(const struct node *node)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_check(node);
    assert(!replica->asked || replica->count > 0);
}

static const struct node_type replica_type = {
    .name = "kv server, one request at a time",
    .on_start = member_on_start,
    .on_message = member_on_message,
    .on_timer = member_on_timer,
    .clone = replica_clone,
    .release = replica_release,
    .describe = replica_describe,
    .check = replica_check,
    .inspect = member_inspect,
};

struct node *server_new(const struct server_config *config)
{
    return member_new(sizeof(struct replica), config, &replica_type, &protocol);
}
