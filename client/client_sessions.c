/* SPDX-License-Identifier: MIT */
/*
 * client_sessions: which update goes into which session (rule P6). A session
 * carries one update at a time and numbers them; the servers keep the last
 * number and its status, and so tell a retry from a new update. Sessions are
 * opened when updates wait, and kept for later ones.
 *
 * A session whose update ended at its deadline is used again, with the next
 * number: if the lost update still comes in after its successor, its number is
 * stale and it is dropped.
 *
 * A session that the servers do not know is never used again. Its update goes
 * into another session only when it is certain that no copy of it was executed.
 */
#include <assert.h>

#include <utlist.h>

#include "client/client_state.h"
#include "node/message.h"

/* ---- The queue ----------------------------------------------------------- */

static void queue_note(struct client *client, struct call *call)
{
    assert(client_call_is_update(call) && !call->queued);
    assert(call->session == CLIENT_NO_SESSION && call->sent == SENT_NEVER);
    call->queued = true;
    client->waiting++;
}

void client_queue_append(struct client *client, struct call *call)
{
    queue_note(client, call);
    DL_APPEND(client->queue, call);
}

void client_queue_prepend(struct client *client, struct call *call)
{
    queue_note(client, call);
    DL_PREPEND(client->queue, call);
}

static void queue_remove(struct client *client, struct call *call)
{
    assert(call->queued && client->waiting > 0);
    DL_DELETE(client->queue, call);
    call->prev = NULL;
    call->next = NULL;
    call->queued = false;
    client->waiting--;
}

/* ---- Sessions ------------------------------------------------------------ */

/* Returns the index of the first session in a state, from an index on, or
 * CLIENT_NO_SESSION. */
static uint32_t session_in_state(const struct client *client, uint32_t from,
                                 enum client_session_state state)
{
    for (uint32_t i = from; i < client->config.sessions_max; i++) {
        if (client->sessions[i].state == state)
            return i;
    }
    return CLIENT_NO_SESSION;
}

static void session_take(struct client *client, struct env *env, uint32_t index,
                         struct call *call)
{
    struct client_session *session = &client->sessions[index];

    assert(session->state == SESSION_IDLE && session->id > 0);
    assert(session->seq < UINT64_MAX);
    queue_remove(client, call);
    session->state = SESSION_BUSY;
    client->first_idle = index + 1;
    client->idle--;
    client->busy++;
    session->tag = call->tag;
    call->session = index;
    call->seq = ++session->seq;
    client_call_send(client, env, call);
}

static void session_open(struct client *client, struct env *env, uint32_t index)
{
    struct client_session *session = &client->sessions[index];
    struct call *call = client_calls_add(client, PBKV__BODY__KIND_OPEN_SESSION);

    assert(session->state == SESSION_CLOSED && session->id == 0);
    session->state = SESSION_OPENING;
    session->tag = call->tag;
    client->opening++;
    call->session = index;
    client_call_send(client, env, call);
}

void client_sessions_serve(struct client *client, struct env *env)
{
    uint32_t index;

    while (client->queue && client->idle > 0) {
        index = session_in_state(client, client->first_idle, SESSION_IDLE);
        session_take(client, env, index, client->queue);
    }
    while (client->opening < client->waiting) {
        index = session_in_state(client, 0, SESSION_CLOSED);
        if (index == CLIENT_NO_SESSION)
            break;
        session_open(client, env, index);
    }
}

void client_session_leave(struct client *client, struct call *call)
{
    struct client_session *session;

    if (call->queued)
        queue_remove(client, call);
    if (call->session == CLIENT_NO_SESSION)
        return;
    session = &client->sessions[call->session];
    assert(session->tag == call->tag);
    client->opening -= session->state == SESSION_OPENING;
    client->busy -= session->state == SESSION_BUSY;
    session->state = session->id > 0 ? SESSION_IDLE : SESSION_CLOSED;
    client->idle += session->id > 0;
    if (session->id > 0 && call->session < client->first_idle)
        client->first_idle = call->session;
    session->tag = 0;
    call->session = CLIENT_NO_SESSION;
    call->seq = 0;
}

void client_session_expire(struct client *client, struct env *env,
                           struct call *call)
{
    struct client_session *session = &client->sessions[call->session];

    assert(session->state == SESSION_BUSY && session->tag == call->tag);
    env_log(env, LOG_LEVEL_INFO, "session.expired", "session %llu seq %llu",
            (unsigned long long)session->id, (unsigned long long)call->seq);
    session->id = 0;
    session->seq = 0;
    client_session_leave(client, call);
    assert(session->state == SESSION_CLOSED);
}

/* ---- Invariants ---------------------------------------------------------- */

static void session_check(const struct client_session *session)
{
    bool open =
        session->state == SESSION_IDLE || session->state == SESSION_BUSY;
    bool taken =
        session->state == SESSION_OPENING || session->state == SESSION_BUSY;

    assert(open == (session->id > 0));
    assert(taken == (session->tag > 0));
    assert(open || session->seq == 0);
    assert(session->state != SESSION_BUSY || session->seq > 0);
}

void client_session_check_call(const struct client *client,
                               const struct call *call)
{
    const struct client_session *session = &client->sessions[call->session];

    assert(call->session < client->config.sessions_max);
    assert(session->tag == call->tag && session->seq == call->seq);
    assert(session->state ==
           (client_call_is_update(call) ? SESSION_BUSY : SESSION_OPENING));
}

void client_sessions_check_counts(const struct client *client)
{
    uint32_t open = client->opening + client->idle + client->busy;

    assert(open <= client->config.sessions_max);
    assert((client->waiting > 0) == (client->queue != NULL));
    /* Nobody waits without need. */
    assert(client->waiting == 0 || client->idle == 0);
    assert(client->waiting <= client->opening ||
           open == client->config.sessions_max);
}

void client_sessions_check(const struct client *client)
{
    uint32_t opening = 0, idle = 0, busy = 0;

    for (uint32_t i = 0; i < client->config.sessions_max; i++) {
        session_check(&client->sessions[i]);
        assert(i >= client->first_idle ||
               client->sessions[i].state != SESSION_IDLE);
        opening += client->sessions[i].state == SESSION_OPENING;
        idle += client->sessions[i].state == SESSION_IDLE;
        busy += client->sessions[i].state == SESSION_BUSY;
    }
    assert(opening == client->opening && idle == client->idle);
    assert(busy == client->busy);
}
