/* SPDX-License-Identifier: MIT */
/*
 * client_replies: what ends a call, or puts it off. An answer is matched by the
 * tag that the call was sent with, and has to be of the kind that the call asks
 * for. An answer to an earlier transmission is as good as one to the last: both
 * carried the same update (rule C2), and a server answers only what is
 * committed. A refusal counts only from the server that was asked last.
 */
#include <assert.h>

#include "client/client_state.h"
#include "node/message.h"

/* Returns what an answer is called in events. */
static const char *answer_name(const Pbkv__Body *body)
{
    return body->kind_case == PBKV__BODY__KIND_REPLY
               ? status_name(body->reply->status)
               : message_name(body->kind_case);
}

/* Returns the call that an answer with this tag is for, or NULL and a named
 * event when there is none, or none of this kind. NOT_SET is any kind. */
static struct call *reply_find(const struct client *client, struct env *env,
                               const Pbkv__Body *body, uint64_t tag,
                               Pbkv__Body__KindCase kind)
{
    struct call *call = client_calls_find(client, tag);

    if (!call) {
        env_log(env, LOG_LEVEL_DEBUG,
                tag > 0 && tag <= client->last_tag ? "reply.late"
                                                   : "reply.unknown",
                "%s for call %llu", answer_name(body), (unsigned long long)tag);
        return NULL;
    }
    if ((kind != PBKV__BODY__KIND__NOT_SET && call->kind != kind) ||
        call->sent == SENT_NEVER) {
        env_log(env, LOG_LEVEL_WARN, "reply.unexpected", "%s for a %s",
                answer_name(body), message_name(call->kind));
        return NULL;
    }
    return call;
}

/* ---- Reply --------------------------------------------------------------- */

static bool status_is_refusal(Pbkv__Status status)
{
    return status == PBKV__STATUS__WRONG_SERVER ||
           status == PBKV__STATUS__WRONG_VIEW ||
           status == PBKV__STATUS__STATE_TRANSFER ||
           status == PBKV__STATUS__BACKUP_FAILED ||
           status == PBKV__STATUS__OVERLOADED;
}

/* Returns whether a status can end such a call. */
static bool status_ends(const struct call *call, Pbkv__Status status)
{
    bool update = client_call_is_update(call);
    bool get = call->kind == PBKV__BODY__KIND_GET;

    switch (status) {
    case PBKV__STATUS__OK: return update || get;
    case PBKV__STATUS__NO_KEY: return get;
    case PBKV__STATUS__TOO_LARGE: return update || get;
    case PBKV__STATUS__SESSION_EXPIRED: return update;
    case PBKV__STATUS__BAD_REQUEST:
        return call->kind != PBKV__BODY__KIND_OPEN_SESSION &&
               call->kind != PBKV__BODY__KIND_GET_VIEW;
    default: return false;
    }
}

/* Adopts the view of a refusal if it is newer, which sends the call again.
 * Returns whether it was. */
static bool refusal_names_newer_view(struct client *client, struct env *env,
                                     const Pbkv__Reply *reply)
{
    struct view view;

    if (view_from_message(reply->view, &view) < 0 ||
        view.number <= client->view.number)
        return false;
    return client_view_adopt(client, env, &view);
}

/* Rule C1: a refusal that does not name a newer view is a reason to ask. */
static void on_refusal(struct client *client, struct env *env,
                       const struct peer *from, struct call *call,
                       const Pbkv__Reply *reply)
{
    bool asked_last = address_equal(&from->address, &call->to.address);

    env_log(env, LOG_LEVEL_DEBUG, asked_last ? "call.refused" : "refusal.stale",
            "%s for call %llu", status_name(reply->status),
            (unsigned long long)call->tag);
    if (asked_last && !call->refused)
        client_call_pause(client, env, call);
    if (!client_call_is_for_primary(call) ||
        refusal_names_newer_view(client, env, reply) || !asked_last)
        return;
    if (reply->status == PBKV__STATUS__WRONG_SERVER ||
        reply->status == PBKV__STATUS__WRONG_VIEW)
        client_view_want(client, env);
}

/* Rule P6: an update that may have been executed is never sent in another
 * session. */
static void on_session_expired(struct client *client, struct env *env,
                               struct call *call)
{
    bool executed_never =
        client->config.delivers_at_most_once && call->sent == SENT_ONCE;

    client_session_expire(client, env, call);
    if (!executed_never) {
        client_call_end_status(client, env, call,
                               PBKV__STATUS__SESSION_EXPIRED);
        return;
    }
    client_call_renew(client, call);
    call->sent = SENT_NEVER;
    call->refused = false;
    call->wait = 0;
    call->pause = 1;
    client_queue_prepend(client, call);
    client_sessions_serve(client, env);
}

static void on_last_reply(struct client *client, struct env *env,
                          struct call *call, const Pbkv__Reply *reply)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Reply answer = PBKV__REPLY__INIT;

    answer.call = call->call;
    answer.status = reply->status;
    if (reply->status == PBKV__STATUS__OK && call->kind == PBKV__BODY__KIND_GET)
        answer.value = reply->value;
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &answer;
    client_call_end(client, env, call, &body);
}

void client_on_reply(struct client *client, struct env *env,
                     const struct peer *from, const Pbkv__Body *body)
{
    const Pbkv__Reply *reply = body->reply;
    struct call *call =
        reply_find(client, env, body, reply->call, PBKV__BODY__KIND__NOT_SET);

    if (!call)
        return;
    if (status_is_refusal(reply->status)) {
        on_refusal(client, env, from, call, reply);
    } else if (!status_ends(call, reply->status)) {
        env_log(env, LOG_LEVEL_WARN, "reply.unexpected", "%s for a %s",
                answer_name(body), message_name(call->kind));
    } else if (reply->status == PBKV__STATUS__SESSION_EXPIRED) {
        on_session_expired(client, env, call);
    } else {
        on_last_reply(client, env, call, reply);
    }
}

/* ---- The others ---------------------------------------------------------- */

void client_on_session_opened(struct client *client, struct env *env,
                              const Pbkv__Body *body)
{
    const Pbkv__SessionOpened *opened = body->session_opened;
    struct client_session *session;
    struct call *call = reply_find(client, env, body, opened->call,
                                   PBKV__BODY__KIND_OPEN_SESSION);

    if (!call)
        return;
    session = &client->sessions[call->session];
    assert(session->state == SESSION_OPENING && opened->session > 0);
    session->id = opened->session;
    client_session_leave(client, call);
    client_call_forget(client, call);
    assert(session->state == SESSION_IDLE);
    env_log(env, LOG_LEVEL_INFO, "session.opened", "session %llu",
            (unsigned long long)opened->session);
    client_sessions_serve(client, env);
}

void client_on_page(struct client *client, struct env *env,
                    const Pbkv__Body *body)
{
    Pbkv__Page page = *body->page;
    Pbkv__Body answer = *body;
    struct call *call =
        reply_find(client, env, body, page.call, PBKV__BODY__KIND_SCAN);

    if (!call)
        return;
    page.call = call->call;
    answer.page = &page;
    client_call_end(client, env, call, &answer);
}

void client_on_echo_reply(struct client *client, struct env *env,
                          const Pbkv__Body *body)
{
    Pbkv__EchoReply reply = *body->echo_reply;
    Pbkv__Body answer = *body;
    struct call *call =
        reply_find(client, env, body, reply.call, PBKV__BODY__KIND_ECHO);

    if (!call)
        return;
    reply.call = call->call;
    answer.echo_reply = &reply;
    client_call_end(client, env, call, &answer);
}

void client_on_inspect_reply(struct client *client, struct env *env,
                             const Pbkv__Body *body)
{
    Pbkv__InspectReply reply = *body->inspect_reply;
    Pbkv__Body answer = *body;
    struct call *call =
        reply_find(client, env, body, reply.call, PBKV__BODY__KIND_INSPECT);

    if (!call)
        return;
    reply.call = call->call;
    answer.inspect_reply = &reply;
    client_call_end(client, env, call, &answer);
}
