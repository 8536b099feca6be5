/* SPDX-License-Identifier: MIT */
/*
 * client_view: the cached view (rule C1). The view service is asked when a call
 * needs a view and none is known, when a server refuses without knowing a newer
 * view than ours, when a server is silent, and when the connection to the
 * primary is lost; never otherwise. A refusal that names a newer view saves the
 * question.
 *
 * However many calls want the view, there is one question at a time. It is
 * repeated when no answer comes, and the next one is at least a tick away.
 *
 * When the connection to the primary is lost, the view service does not know
 * yet, but soon will. So it is asked again and again, at first at every tick
 * and then more rarely, each time about an eighth of the time since the first
 * question later: a failover of any length is noticed soon after it.
 */
#include <assert.h>

#include <utlist.h>

#include "client/client_state.h"

enum {
    DOUBTS_PER_TICK = 8 /* questions until they are a tick further apart */
};

/* Returns the ticks until the next question. */
static uint32_t next_wait(const struct client *client)
{
    uint32_t wait = 1 + client->doubts / DOUBTS_PER_TICK;

    return client->doubts > 0 && wait < client->config.retry_ticks
               ? wait
               : client->config.retry_ticks;
}

static void view_ask(struct client *client, struct env *env)
{
    struct peer view_service = {client->config.view_service, 0};
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__GetView get_view = PBKV__GET_VIEW__INIT;

    assert(client->view_wanted && client->view_wait == 0);
    body.kind_case = PBKV__BODY__KIND_GET_VIEW;
    body.get_view = &get_view;
    env_send(env, &view_service, &body);
    client->view_wait = next_wait(client);
    client->doubts += client->doubts > 0 && client->doubts < UINT32_MAX;
}

void client_view_want(struct client *client, struct env *env)
{
    if (client->view_wanted)
        return;
    client->view_wanted = true;
    if (client->view_wait == 0)
        view_ask(client, env);
    else
        client_hurry(client, env);
}

void client_view_doubt(struct client *client, struct env *env)
{
    client->lost = false;
    if (client->doubts > 0)
        return;
    client->doubts = 1;
    client->view_wanted = true;
    client->view_wait = 0;
    view_ask(client, env);
    client_hurry(client, env);
}

void client_view_trust(struct client *client)
{
    if (client->doubts == 0)
        return;
    client->doubts = 0;
    client->view_wanted = false;
}

void client_view_tick(struct client *client, struct env *env, uint32_t ticks)
{
    client->view_wait -= client->view_wait < ticks ? client->view_wait : ticks;
    if (client->view_wanted && client->view_wait == 0)
        view_ask(client, env);
}

/* Sends every call that has not reached the new primary, or was turned away. */
static void view_send_calls(struct client *client, struct env *env)
{
    struct call *call, *next;

    DL_FOREACH_SAFE2(client->calls.first, call, next, after)
    {
        if (!client_call_is_for_primary(call) || call->queued)
            continue;
        if (call->sent != SENT_NEVER && !call->refused &&
            peer_equal(&call->to, &client->view.primary))
            continue;
        call->pause = 1;
        client_call_send(client, env, call);
    }
}

/* The question is answered; the next one is at least a tick away, or comes when
 * it would have come without an answer if we doubt this one. */
static void view_settle(struct client *client)
{
    if (client->doubts > 0)
        return;
    client->view_wanted = false;
    if (client->view_wait > 1)
        client->view_wait = 1;
}

bool client_view_adopt(struct client *client, struct env *env,
                       const struct view *view)
{
    char primary[PEER_TEXT_MAX], backup[PEER_TEXT_MAX];

    if (view->number == client->view.number && view_equal(view, &client->view))
        return true;
    if (view->number <= client->view.number) {
        env_log(env, LOG_LEVEL_DEBUG,
                view->number < client->view.number ? "view.stale"
                                                   : "view.conflict",
                "view %llu, known %llu", (unsigned long long)view->number,
                (unsigned long long)client->view.number);
        return false;
    }
    assert(peer_is_present(&view->primary));
    if (!peer_equal(&view->primary, &client->view.primary))
        client->doubts = 0;
    client->view = *view;
    view_settle(client);
    env_log(env, LOG_LEVEL_INFO, "view.adopted",
            "view %llu primary %s backup %s", (unsigned long long)view->number,
            peer_format(&view->primary, primary),
            peer_format(&view->backup, backup));
    view_send_calls(client, env);
    return true;
}

/* Ends every call that asked for the view. */
static void view_answer_calls(struct client *client, struct env *env,
                              const Pbkv__Body *body)
{
    struct call *call, *next;

    DL_FOREACH_SAFE2(client->calls.first, call, next, after)
    {
        if (client->viewers == 0)
            break;
        if (call->kind == PBKV__BODY__KIND_GET_VIEW)
            client_call_end(client, env, call, body);
    }
}

void client_on_view_reply(struct client *client, struct env *env,
                          const struct peer *from, const Pbkv__Body *body)
{
    struct view view;

    if (!address_equal(&from->address, &client->config.view_service) ||
        view_from_message(body->view_reply->view, &view) < 0) {
        env_log(env, LOG_LEVEL_WARN, "view.unexpected", "not asked for");
        return;
    }
    if (!client_view_adopt(client, env, &view))
        return;
    if (view.number > 0)
        view_settle(client);
    if (client->viewers > 0)
        view_answer_calls(client, env, body);
}
