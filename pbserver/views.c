/* SPDX-License-Identifier: MIT */
/*
 * views: how a server learns its role. It pings the view service at a steady
 * pace with the newest view that it has acknowledged, and every answer carries
 * the current view. What a newer one means for the server is in adopt:
 *
 * - A primary goes on with the state it holds: as the primary or the installed
 *   backup of the view before (V2), or with an empty one in view 1 (V1). With a
 *   backup, a state transfer starts.
 * - A backup forgets what it held and waits for the primary's chunks.
 * - An idle server forgets everything: nobody will ever ask for it again.
 */
#include <assert.h>
#include <inttypes.h>

#include "pbserver/server.h"

static void send_ping(const struct server *server, struct env *env)
{
    struct peer view_service = {.address = server->config.view_service};
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = server->acknowledged;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    env_send(env, &view_service, &body);
}

void server_on_ping_timer(struct server *server, struct env *env)
{
    assert(server->acknowledged <= server->view.number);
    server->pinged_early = false;
    send_ping(server, env);
    env_set_timer(env, SERVER_TIMER_PING, server->config.ping_ms,
                  server->config.ping_ms);
}

void server_ping_early(struct server *server, struct env *env)
{
    if (server->pinged_early)
        return;
    server->pinged_early = true;
    send_ping(server, env);
}

void server_acknowledge(struct server *server, struct env *env)
{
    assert(!server->out.active); /* T2 */
    server->acknowledged = server->view.number;
    server->pinged_early = false; /* this news is worth a ping of its own */
    server_ping_early(server, env);
}

static void forget_state(struct server *server, struct env *env)
{
    assert(server->log.count == 0 && server->reads.count == 0);
    server_discard(server, env, &server->state);
    oplog_init(&server->log, 1);
    server->committed = 0;
    server->forwarded = 0;
    server->flight_octets = 0;
    server->initialised = false;
}

static void become_primary(struct server *server, struct env *env)
{
    assert(server->initialised);
    if (server->log.count == 0) { /* all that it holds is committed */
        oplog_release(&server->log);
        oplog_init(&server->log, server->state.op + 1);
        server->committed = server->state.op;
        server->forwarded = server->state.op;
    }
    if (peer_is_present(&server->view.backup)) {
        transfer_start(server, env); /* T1 */
        return;
    }
    server_replicate(server, env); /* commits alone what waited */
    server_acknowledge(server, env);
}

/* Whether the state we hold is that of the new view: the primary's goes on, the
 * installed backup's too (V2). Whoever else is made primary has nothing to
 * serve. */
static bool holds_state_of(const struct server *server, const struct view *view)
{
    return server->initialised ||
           (server->view.number == 0 && view->number == 1); /* V1 */
}

static void adopt(struct server *server, struct env *env,
                  const struct view *view)
{
    bool holds_state = holds_state_of(server, view);
    char primary[PEER_TEXT_MAX];
    char backup[PEER_TEXT_MAX];

    assert(view->number > server->view.number); /* P2 */
    env_log(env, LOG_LEVEL_INFO, "view.adopted",
            "view %" PRIu64 " primary %s backup %s", view->number,
            peer_format(&view->primary, primary),
            peer_format(&view->backup, backup));
    server_discard(server, env, &server->in.state);
    transfer_clear(server);
    server->view = *view;
    server->is_primary = peer_equal(&view->primary, &server->config.self);
    server->is_backup = peer_equal(&view->backup, &server->config.self);
    server->deposed = false; /* P5 */
    server->patience = 0;
    server->backup_full = false;
    if (server_is_primary(server) && holds_state) {
        server->initialised = true;
        become_primary(server, env);
        return;
    }
    server_refuse_waiting(server, env); /* P1 */
    forget_state(server, env);
    if (server_is_primary(server))
        env_log(env, LOG_LEVEL_WARN, "view.uninitialised",
                "view %" PRIu64 " names this server primary without the state",
                view->number);
    else
        server_acknowledge(server, env);
}

void server_on_view_reply(struct server *server, struct env *env,
                          const struct peer *from, const Pbkv__ViewReply *reply)
{
    struct view view;
    int result = view_from_message(reply->view, &view);

    assert(result == 0);
    (void)result;
    if (!address_equal(&from->address, &server->config.view_service)) {
        env_log(env, LOG_LEVEL_WARN, "view.foreign", "from %s",
                from->address.text);
        return;
    }
    if (reply->superseded_by > server->config.self.incarnation) { /* V8 */
        env_log(env, LOG_LEVEL_FATAL, "server.superseded",
                "incarnation %" PRIu64 " has this address now",
                reply->superseded_by);
        return;
    }
    if (view.number < server->view.number) /* P2 */
        env_log(env, LOG_LEVEL_DEBUG, "view.stale", "view %" PRIu64,
                view.number);
    else if (view.number > server->view.number)
        adopt(server, env, &view);
    else if (!view_equal(&view, &server->view))
        env_log(env, LOG_LEVEL_WARN, "view.conflict",
                "another view %" PRIu64 ": from another view service?",
                view.number);
}
