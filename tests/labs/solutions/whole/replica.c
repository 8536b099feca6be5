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
#include <string.h>

#include "node/message.h"
#include "tests/labs/solutions/log.h"

enum { READS_MAX = 256 };

struct waiting {
    struct request request;
    uint64_t op;    /* that has to be committed */
    uint64_t round; /* that has to be confirmed */
};

struct replica {
    struct member member;
    struct log log;
    struct waiting reads[READS_MAX];
    uint32_t read_count;
    uint64_t confirmed;  /* the newest round that the backup has answered */
    struct bytes *chunk; /* the message, as it was built */
};

static struct replica *replica_of(struct member *member)
{
    return (struct replica *)(void *)member;
}

static const struct replica *const_replica_of(const struct member *member)
{
    return (const struct replica *)(const void *)member;
}

/* ---- Reads ----------------------------------------------------------------
 */

static void drop_read(struct replica *replica)
{
    request_release(&replica->reads[0].request);
    replica->read_count--;
    memmove(replica->reads, replica->reads + 1,
            replica->read_count * sizeof(replica->reads[0]));
}

/* Answers the reads that are confirmed and show nothing uncommitted. */
static void answer_reads(struct replica *replica, struct env *env)
{
    bool alone = !member_has_backup(&replica->member);

    while (replica->read_count > 0) {
        const struct waiting *read = &replica->reads[0];

        if (read->op > replica->log.committed ||
            (!alone && read->round > replica->confirmed))
            return;
        request_answer(&read->request, &replica->member, env, 0);
        drop_read(replica);
    }
}

static void on_get(struct replica *replica, struct env *env,
                   struct request *request)
{
    struct member *member = &replica->member;

    if (replica->read_count == READS_MAX) {
        request_refuse(request, member, env, PBKV__STATUS__OVERLOADED);
        request_release(request);
        return;
    }
    request_look_up(request, member);
    replica->reads[replica->read_count++] =
        (struct waiting){*request, member->state.op, ++replica->log.round};
    if (!member_has_backup(member))
        answer_reads(replica, env);
    else if (!member->transferring)
        log_forward(&replica->log, member, env, member->state.op);
    member_watch(member, env);
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

static void on_forward_ack(struct member *member, struct env *env,
                           const Pbkv__ForwardAck *ack)
{
    struct replica *replica = replica_of(member);

    if (member->transferring || ack->applied > member->state.op)
        return;
    log_commit(&replica->log, member, env, ack->applied);
    if (ack->round > replica->confirmed && ack->round <= replica->log.round)
        replica->confirmed = ack->round;
    answer_reads(replica, env);
}

/* ---- Views, and the transfer: all in one message --------------------------
 */

static void leave_view(struct member *member)
{
    struct replica *replica = replica_of(member);

    bytes_release(replica->chunk);
    replica->chunk = NULL;
}

static void send_chunk(const struct replica *replica, struct env *env)
{
    if (replica->chunk->length <= BODY_LIMIT)
        env_send_encoded(env, &replica->member.view.backup,
                         PBKV__BODY__KIND_CHUNK, replica->chunk);
}

static void take_over(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    log_go_on(&replica->log, member, env);
    if (!member->transferring) {
        answer_reads(replica, env);
        return;
    }
    replica->chunk = member_build_chunk(member, &member->state, 0, SIZE_MAX);
    if (replica->chunk->length > BODY_LIMIT)
        env_log(env, LOG_LEVEL_WARN, "transfer.too_large", "%" PRIu32 " octets",
                replica->chunk->length);
    send_chunk(replica, env);
}

static void refuse_all(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    log_refuse(&replica->log, member, env);
    for (; replica->read_count > 0; drop_read(replica))
        request_refuse(&replica->reads[0].request, member, env,
                       PBKV__STATUS__WRONG_SERVER);
}

/* It has a part of one message: there is nothing to do. */
static void on_received(struct member *member, struct env *env,
                        uint64_t received)
{
    (void)member;
    (void)env;
    (void)received;
}

static void on_installed(struct member *member, struct env *env)
{
    struct replica *replica = replica_of(member);

    leave_view(member);
    replica->log.round++;
    log_forward(&replica->log, member, env, replica->log.committed); /* T3 */
}

static bool is_waiting(const struct member *member)
{
    const struct replica *replica = const_replica_of(member);

    return replica->log.count > 0 || replica->read_count > 0;
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

    log_release(&replica->log);
    while (replica->read_count > 0)
        drop_read(replica);
    bytes_release(replica->chunk);
    member_release(node);
}

static struct node *replica_clone(const struct node *node)
{
    struct replica *copy = replica_of(member_clone(node, sizeof(*copy)));

    log_share(&copy->log);
    for (uint32_t i = 0; i < copy->read_count; i++)
        request_share(&copy->reads[i].request);
    bytes_share(copy->chunk);
    return &copy->member.node;
}

static void replica_describe(const struct node *node, struct sink *sink)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_describe(node, sink);
    log_describe(&replica->log, sink);
    for (uint32_t i = 0; i < replica->read_count; i++) {
        request_describe(&replica->reads[i].request, sink);
        sink_u64(sink, "op", replica->reads[i].op);
        sink_u64(sink, "round", replica->reads[i].round);
    }
    sink_u64(sink, "confirmed", replica->confirmed);
    if (replica->chunk)
        sink_octets(sink, "chunk", replica->chunk->data,
                    replica->chunk->length);
}

static void replica_check(const struct node *node)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_check(node);
    log_check(&replica->log, &replica->member);
    assert(replica->confirmed <= replica->log.round);
    assert((replica->chunk != NULL) == replica->member.transferring);
}

static void replica_inspect(const struct node *node,
                            struct inspection *inspection)
{
    const struct replica *replica = const_replica_of(const_member_of(node));

    member_inspect(node, inspection);
    inspection->committed -= replica->log.count;
}

static const struct node_type replica_type = {
    .name = "kv server, whole state in one message",
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
    return member_new(sizeof(struct replica), config, &replica_type, &protocol);
}
