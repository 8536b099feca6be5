/* SPDX-License-Identifier: MIT */
/*
 * logreads: another correct kv server for lab 2B, as a test of the tests.
 * Reads are entries of the log: they get an op number, go to the backup like
 * updates (as an operation that changes nothing), and are answered when they
 * are committed. So there is one order of everything and no confirmation
 * beside it.
 *
 * A transfer copies the state when the view begins and sends the copy in
 * chunks, one at a time; what clients do meanwhile waits in the log and is
 * forwarded when the backup has installed the copy.
 */
#include <assert.h>

#include "tests/labs/solutions/log.h"

struct replica {
    struct member member;
    struct log log;
    struct state snapshot; /* that is being sent */
    uint64_t sent;         /* items of it that have arrived */
};

static struct replica *replica_of(struct member *member)
{
    return (struct replica *)(void *)member;
}

static const struct replica *const_replica_of(const struct member *member)
{
    return (const struct replica *)(const void *)member;
}

/* ---- One order of everything ----------------------------------------------
 */

/* A read takes a place in the order: everything before it is committed when it
 * is, and so is what it shows. The backup knows it by its status. */
static void on_get(struct replica *replica, struct env *env,
                   struct request *request)
{
    struct member *member = &replica->member;

    if (replica->log.count == LOG_MAX) {
        request_refuse(request, member, env, PBKV__STATUS__OVERLOADED);
        request_release(request);
        return;
    }
    request_look_up(request, member);
    operation_release(&request->operation);
    request->operation = (struct operation){
        .kind = PBKV__KIND__KIND_APPEND,
        .session = 1,
        .seq = 1,
        .key = bytes_new(NULL, 0),
        .value = bytes_new(NULL, 0),
        .status = PBKV__STATUS__NO_KEY,
    };
    member->state.op++;
    log_add(&replica->log, member, env, request);
}

static void on_request(struct member *member, struct env *env,
                       struct request *request)
{
    struct replica *replica = replica_of(member);

    if (request->is_read)
        on_get(replica, env, request);
    else
        log_on_request(&replica->log, member, env, request);
}

static void apply(struct member *member, const struct operation *operation)
{
    if (operation->status == PBKV__STATUS__NO_KEY) /* a read */
        member->state.op++;
    else
        member_apply(member, operation);
}

static void on_forward_ack(struct member *member, struct env *env,
                           const Pbkv__ForwardAck *ack)
{
    if (!member->transferring && ack->applied <= member->state.op)
        log_commit(&replica_of(member)->log, member, env, ack->applied);
}

/* ---- Views, and the transfer: a copy of the state, in chunks --------------
 */

static void leave_view(struct member *member)
{
    struct replica *replica = replica_of(member);

    state_release(&replica->snapshot);
    state_init(&replica->snapshot);
    replica->sent = 0;
}

static void send_chunk(const struct replica *replica, struct env *env)
{
    struct bytes *chunk =
        member_build_chunk(&replica->member, &replica->snapshot, replica->sent,
                           replica->member.config.chunk_octets);

    env_send_encoded(env, &replica->member.view.backup, PBKV__BODY__KIND_CHUNK,
                     chunk);
    bytes_release(chunk);
}

static void take_over(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    log_go_on(&replica->log, member, env);
    if (member->transferring) {
        state_clone(&member->state, &replica->snapshot);
        send_chunk(replica, env);
    }
}

static void refuse_all(struct member *member, struct env *env)
{
    log_refuse(&replica_of(member)->log, member, env);
}

static void on_received(struct member *member, struct env *env,
                        uint64_t received)
{
    struct replica *replica = replica_of(member);

    if (received > replica->sent) {
        replica->sent = received;
        send_chunk(replica, env);
    }
}

static void on_installed(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    leave_view(member);
    log_forward(&replica->log, member, env, replica->log.committed); /* T3 */
}

static bool is_waiting(const struct member *member)
{
    return const_replica_of(member)->log.count > 0;
}

static void on_silence(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    if (member->transferring)
        send_chunk(replica, env);
    else if (member_has_backup(member))
        log_forward(&replica->log, member, env, replica->log.committed);
}

static const struct protocol protocol = {
    .leave_view = leave_view,
    .take_over = take_over,
    .refuse_all = refuse_all,
    .on_request = on_request,
    .apply = apply,
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

    log_release(&replica->log);
    state_release(&replica->snapshot);
    member_release(node);
}

static struct node *replica_clone(const struct node *node)
{
    struct replica *copy = replica_of(member_clone(node, sizeof(*copy)));

    log_share(&copy->log);
    state_clone(&const_replica_of(const_member_of(node))->snapshot,
                &copy->snapshot);
    return &copy->member.node;
}

static void replica_describe(const struct node *node, struct sink *sink)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_describe(node, sink);
    log_describe(&replica->log, sink);
    state_describe(&replica->snapshot, sink);
    sink_u64(sink, "sent", replica->sent);
}

static void replica_check(const struct node *node)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_check(node);
    log_check(&replica->log, &replica->member);
    assert(replica->sent == 0 || replica->member.transferring);
}

static void replica_inspect(const struct node *node,
                            struct inspection *inspection)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_inspect(node, inspection);
    inspection->committed -= replica->log.count;
}

static const struct node_type replica_type = {
    .name = "kv server, reads in the log",
    .on_start = member_on_start,
    .on_message = member_on_message,
    .on_timer = member_on_timer,
    .clone = replica_clone,
    .release = replica_release,
    .describe = replica_describe,
    .check = replica_check,
    .inspect = replica_inspect,
};

struct node *server_new(const struct server_config *config)
{
    struct node *node =
        member_new(sizeof(struct replica), config, &replica_type, &protocol);

    state_init(&replica_of(member_of(node))->snapshot);
    return node;
}
