/* SPDX-License-Identifier: MIT */
/*
 * client_calls: the calls under way. A call is encoded anew for each
 * transmission, from fields that never change once it was sent, so every
 * transmission carries the same tag, session and seq (rule C2).
 *
 * Two things make a call go out again: silence, which also casts doubt on the
 * view (rule C1), and the end of a pause after a refusal.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_state.h"
#include "node/memory.h"
#include "node/message.h"

enum { SPARES_MAX = 64 /* calls that are kept for others */ };

/* Returns a call with nothing in it. Calls end and begin all the time, many at
 * once, which malloc is not made for. */
static struct call *call_new(struct client *client)
{
    struct call *call = client->spare;

    if (!call)
        return memory_new(sizeof(*call));
    client->spare = call->next;
    client->spares--;
    memset(call, 0, sizeof(*call));
    return call;
}

static void call_free(struct client *client, struct call *call)
{
    if (client->spares == SPARES_MAX) {
        free(call);
        return;
    }
    call->next = client->spare;
    client->spare = call;
    client->spares++;
}

struct call *client_calls_add(struct client *client, Pbkv__Body__KindCase kind)
{
    struct call *call = call_new(client);

    assert(client->last_tag < UINT64_MAX);
    call->tag = ++client->last_tag;
    call->kind = kind;
    call->session = CLIENT_NO_SESSION;
    call->pause = 1;
    call_table_add(&client->calls, call);
    return call;
}

struct call *client_calls_find(const struct client *client, uint64_t tag)
{
    struct call *call = call_table_find(&client->calls, tag);

    assert(!call || call->tag == tag);
    return call;
}

void client_call_renew(struct client *client, struct call *call)
{
    assert(client->last_tag < UINT64_MAX);
    call_table_remove(&client->calls, call);
    call->tag = ++client->last_tag;
    call_table_add(&client->calls, call);
}

bool client_call_is_update(const struct call *call)
{
    return call->kind == PBKV__BODY__KIND_PUT ||
           call->kind == PBKV__BODY__KIND_APPEND;
}

bool client_call_is_for_primary(const struct call *call)
{
    return client_call_is_update(call) || call->kind == PBKV__BODY__KIND_GET ||
           call->kind == PBKV__BODY__KIND_SCAN ||
           call->kind == PBKV__BODY__KIND_OPEN_SESSION;
}

/* ---- Sending ------------------------------------------------------------- */

/* The messages of a call; a body points at one of them. */
union call_message {
    Pbkv__OpenSession open_session;
    Pbkv__Get get;
    Pbkv__Put put;
    Pbkv__Append append;
    Pbkv__Scan scan;
    Pbkv__GetView get_view;
    Pbkv__Echo echo;
    Pbkv__Inspect inspect;
};

static void call_write_update(const struct client *client,
                              const struct call *call,
                              union call_message *message, Pbkv__Body *body)
{
    uint64_t session = client->sessions[call->session].id;

    assert(session > 0 && call->seq > 0);
    if (call->kind == PBKV__BODY__KIND_PUT) {
        pbkv__put__init(&message->put);
        message->put.session = session;
        message->put.seq = call->seq;
        message->put.key = message_bytes(call->key);
        message->put.value = message_bytes(call->value);
        message->put.call = call->tag;
        body->put = &message->put;
    } else {
        pbkv__append__init(&message->append);
        message->append.session = session;
        message->append.seq = call->seq;
        message->append.key = message_bytes(call->key);
        message->append.value = message_bytes(call->value);
        message->append.call = call->tag;
        body->append = &message->append;
    }
}

static void call_write_read(const struct call *call,
                            union call_message *message, Pbkv__Body *body)
{
    if (call->kind == PBKV__BODY__KIND_GET) {
        pbkv__get__init(&message->get);
        message->get.call = call->tag;
        message->get.key = message_bytes(call->key);
        body->get = &message->get;
    } else {
        pbkv__scan__init(&message->scan);
        message->scan.call = call->tag;
        message->scan.cursor = call->cursor;
        body->scan = &message->scan;
    }
}

static void call_write_observation(const struct call *call,
                                   union call_message *message,
                                   Pbkv__Body *body)
{
    if (call->kind == PBKV__BODY__KIND_ECHO) {
        pbkv__echo__init(&message->echo);
        message->echo.call = call->tag;
        message->echo.payload = message_bytes(call->value);
        body->echo = &message->echo;
    } else {
        pbkv__inspect__init(&message->inspect);
        message->inspect.call = call->tag;
        body->inspect = &message->inspect;
    }
}

static void call_write(const struct client *client, const struct call *call,
                       union call_message *message, Pbkv__Body *body)
{
    pbkv__body__init(body);
    body->kind_case = call->kind;
    if (client_call_is_update(call)) {
        call_write_update(client, call, message, body);
    } else if (call->kind == PBKV__BODY__KIND_OPEN_SESSION) {
        pbkv__open_session__init(&message->open_session);
        message->open_session.call = call->tag;
        body->open_session = &message->open_session;
    } else if (call->kind == PBKV__BODY__KIND_GET_VIEW) {
        pbkv__get_view__init(&message->get_view);
        body->get_view = &message->get_view;
    } else if (client_call_is_for_primary(call)) {
        call_write_read(call, message, body);
    } else {
        call_write_observation(call, message, body);
    }
}

void client_call_send(struct client *client, struct env *env, struct call *call)
{
    union call_message message;
    Pbkv__Body body;

    assert(!call->queued);
    if (client_call_is_for_primary(call)) {
        call->to = client->view.primary;
        if (client->view.number == 0) {
            client_view_want(client, env);
            return;
        }
    }
    if (call->sent != SENT_NEVER)
        env_log(env, LOG_LEVEL_DEBUG, "call.repeated", "call %llu %s",
                (unsigned long long)call->tag, message_name(call->kind));
    call->sent = call->sent == SENT_NEVER ? SENT_ONCE : SENT_AGAIN;
    call->refused = false;
    call->wait = client->config.retry_ticks;
    call_write(client, call, &message, &body);
    env_send(env, &call->to, &body);
}

void client_call_pause(struct client *client, struct env *env,
                       struct call *call)
{
    assert(call->sent != SENT_NEVER && call->pause > 0);
    call->refused = true;
    call->wait = call->pause;
    call->pause = call->pause > client->config.retry_ticks / 2
                      ? client->config.retry_ticks
                      : call->pause * 2;
    client_hurry(client, env);
}

/* ---- Ending -------------------------------------------------------------- */

void client_call_forget(struct client *client, struct call *call)
{
    assert(!call->queued && call->session == CLIENT_NO_SESSION);
    if (call->kind != PBKV__BODY__KIND_OPEN_SESSION) {
        assert(client->callers > 0);
        client->callers--;
    }
    if (call->kind == PBKV__BODY__KIND_GET_VIEW) {
        assert(client->viewers > 0);
        client->viewers--;
    }
    call_table_remove(&client->calls, call);
    bytes_release(call->key);
    bytes_release(call->value);
    call_free(client, call);
}

void client_call_end(struct client *client, struct env *env, struct call *call,
                     const Pbkv__Body *answer)
{
    assert(call->kind != PBKV__BODY__KIND_OPEN_SESSION);
    env_answer(env, call->call, answer);
    client_session_leave(client, call);
    client_call_forget(client, call);
    client_sessions_serve(client, env);
}

void client_call_end_status(struct client *client, struct env *env,
                            struct call *call, Pbkv__Status status)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Reply reply = PBKV__REPLY__INIT;

    reply.call = call->call;
    reply.status = status;
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    client_call_end(client, env, call, &body);
}

/* ---- Ticks --------------------------------------------------------------- */

/* Rule C1: silence is a reason to ask the view service. */
static void call_on_silence(struct client *client, struct env *env,
                            struct call *call)
{
    assert(!call->refused);
    if (client_call_is_for_primary(call))
        client_view_want(client, env);
    client_call_send(client, env, call);
}

/* Takes ticks from a count that stops at 0. Returns whether it stopped now. */
static bool count_down(uint32_t *count, uint32_t ticks)
{
    bool runs = *count > 0;

    *count -= *count < ticks ? *count : ticks;
    return runs && *count == 0;
}

void client_call_tick(struct client *client, struct env *env, struct call *call,
                      uint32_t ticks)
{
    if (count_down(&call->ticks_left, ticks)) {
        env_log(env, LOG_LEVEL_DEBUG, "call.timeout", "call %llu %s",
                (unsigned long long)call->tag, message_name(call->kind));
        client_call_end_status(client, env, call, PBKV__STATUS__TIMEOUT);
        return;
    }
    if (!count_down(&call->wait, ticks))
        return;
    if (call->refused)
        client_call_send(client, env, call);
    else
        call_on_silence(client, env, call);
}
