/* SPDX-License-Identifier: MIT */
/*
 * log: see log.h. It is an array whose first entry leaves when it is committed:
 * short, and with few in it, so nothing is gained by a ring.
 */
#include "tests/labs/solutions/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

static void drop_first(struct log *log)
{
    request_release(&log->entries[0]);
    log->count--;
    memmove(log->entries, log->entries + 1,
            log->count * sizeof(log->entries[0]));
}

void log_commit(struct log *log, const struct member *member, struct env *env,
                uint64_t number)
{
    while (log->committed < number) {
        log->committed++;
        request_answer(&log->entries[0], member, env, log->committed);
        drop_first(log);
    }
}

void log_go_on(struct log *log, const struct member *member, struct env *env)
{
    if (log->count == 0)
        log->committed = member->state.op;
    if (!member_has_backup(member))
        log_commit(log, member, env, member->state.op);
}

void log_refuse(struct log *log, const struct member *member, struct env *env)
{
    for (; log->count > 0; drop_first(log))
        request_refuse(&log->entries[0], member, env,
                       PBKV__STATUS__WRONG_SERVER);
}

void log_forward(const struct log *log, const struct member *member,
                 struct env *env, uint64_t from)
{
    size_t skip = (size_t)(from - log->committed);
    Pbkv__LogOp *ops = memory_new(LOG_MAX * sizeof(*ops));
    Pbkv__LogOp **pointers = memory_new(LOG_MAX * sizeof(*pointers));
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    size_t octets = 0;

    forward.view = member->view.number;
    forward.first = from + 1;
    forward.round = log->round;
    forward.ops = pointers;
    for (size_t i = skip; i < log->count; i++) {
        const struct operation *operation = &log->entries[i].operation;

        octets += operation_size(operation);
        if (i > skip && octets > CHUNK_LIMIT / 2)
            break;
        operation_to_message(operation, &ops[i - skip]);
        pointers[i - skip] = &ops[i - skip];
        forward.n_ops++;
    }
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    env_send(env, &member->view.backup, &body);
    free(pointers);
    free(ops);
}

void log_add(struct log *log, struct member *member, struct env *env,
             const struct request *request)
{
    log->entries[log->count++] = *request;
    if (!member_has_backup(member))
        log_commit(log, member, env, member->state.op);
    else if (!member->transferring)
        log_forward(log, member, env, member->state.op - 1);
    member_watch(member, env);
}

static void execute(struct log *log, struct member *member, struct env *env,
                    struct request *request)
{
    if (log->count == LOG_MAX) {
        request_refuse(request, member, env, PBKV__STATUS__OVERLOADED);
        request_release(request);
        return;
    }
    state_decide(&member->state, &member->config.limits, &request->operation);
    state_apply(&member->state, &request->operation);
    log_add(log, member, env, request);
}

/* A retry of the session's newest update: now, or when it is committed. */
static void repeat(struct log *log, const struct member *member,
                   struct env *env, const struct request *request,
                   const struct session_record *record)
{
    struct request *entry;

    if (record->op <= log->committed) {
        request_refuse(request, member, env, record->status);
        return;
    }
    entry = &log->entries[record->op - log->committed - 1];
    entry->client = request->client;
    entry->call = request->call;
}

static bool is_opening(const struct log *log, const struct request *request)
{
    for (uint32_t i = 0; i < log->count; i++) {
        const struct request *entry = &log->entries[i];

        if (entry->operation.kind == PBKV__KIND__KIND_OPEN &&
            entry->call == request->call &&
            peer_equal(&entry->client, &request->client))
            return true;
    }
    return false;
}

/* Whether a request is new. What is not is answered, if that is due. */
static bool is_new(struct log *log, const struct member *member,
                   struct env *env, const struct request *request)
{
    const struct session_record *record =
        sessions_find(&member->state.sessions, request->operation.session);

    if (!request_is_update(request))
        return !is_opening(log, request);
    if (!record)
        request_refuse(request, member, env, PBKV__STATUS__SESSION_EXPIRED);
    else if (record->seq == request->operation.seq)
        repeat(log, member, env, request, record);
    return record && record->seq < request->operation.seq;
}

void log_on_request(struct log *log, struct member *member, struct env *env,
                    struct request *request)
{
    if (is_new(log, member, env, request))
        execute(log, member, env, request);
    else
        request_release(request);
}

void log_release(struct log *log)
{
    while (log->count > 0)
        drop_first(log);
}

void log_share(const struct log *log)
{
    for (uint32_t i = 0; i < log->count; i++)
        request_share(&log->entries[i]);
}

void log_describe(const struct log *log, struct sink *sink)
{
    sink_u64(sink, "committed", log->committed);
    for (uint32_t i = 0; i < log->count; i++)
        request_describe(&log->entries[i], sink);
    sink_u64(sink, "round", log->round);
}

void log_check(const struct log *log, const struct member *member)
{
    assert(log->count <= LOG_MAX);
    assert(log->count == 0 || log->committed + log->count == member->state.op);
}
