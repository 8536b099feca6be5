/* SPDX-License-Identifier: MIT */
/*
 * server: a primary that is alone, in the place of the server that you write
 * in lab 2B. It pings, believes every view, and has never heard of a backup.
 */
#include "pbserver/server.h"

#include <stdlib.h>

#include "node/memory.h"
#include "node/message.h"

struct server_config server_config_default(void)
{
    struct server_config config = {.ping_ms = 100, .resend_ms = 50};

    config.limits.key = KEY_LIMIT;
    config.limits.value = VALUE_LIMIT;
    config.limits.sessions = 1 << 16;
    config.limits.octets = UINT64_C(1) << 33;
    config.log_octets = 1 << 26;
    config.read_octets = 1 << 26;
    config.chunk_octets = CHUNK_LIMIT / 16 * 15;
    return config;
}

void server_set_address(struct node *node, const struct address *address)
{
    ((struct server *)node)->config.self.address = *address;
}

bool server_is_primary(const struct server *server)
{
    return peer_equal(&server->config.self, &server->view.primary);
}

bool server_is_backup(const struct server *server)
{
    return peer_equal(&server->config.self, &server->view.backup);
}

bool server_is_serving(const struct server *server)
{
    return server_is_primary(server);
}

static void say_which_view(struct node *node, struct env *env, unsigned slot)
{
    const struct server *server = (const struct server *)node;
    struct peer service = {.address = server->config.view_service};
    uint32_t every = server->config.ping_ms;
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = server->view.number;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    env_send(env, &service, &body);
    env_set_timer(env, slot, every, every);
}

static void on_start(struct node *node, struct env *env)
{
    say_which_view(node, env, SERVER_TIMER_PING);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct server *server = (struct server *)node;

    if (body->kind_case == PBKV__BODY__KIND_VIEW_REPLY) {
        view_from_message(body->view_reply->view, &server->view);
        server->initialised = server_is_primary(server);
    } else
        server_on_request(server, env, from, body);
}

static struct node *server_clone(const struct node *node)
{
    const struct server *server = (const struct server *)node;
    struct server *clone = memory_new(sizeof(struct server));

    *clone = *server;
    clone->log = (struct oplog){.count = 0};
    state_clone(&server->state, &clone->state);
    return &clone->node;
}

static void describe(const struct node *node, struct sink *sink)
{
    const struct server *server = (const struct server *)node;

    view_describe(&server->view, "view", sink);
    state_describe(&server->state, sink);
}

static void inspect(const struct node *node, struct inspection *inspection)
{
    const struct server *server = (const struct server *)node;

    inspection->role = server_is_primary(server) ? "primary" : "idle";
    inspection->view = server->view;
    inspection->digest = state_digest(&server->state);
}

static void server_release(struct node *node)
{
    struct server *server = (struct server *)node;

    state_release(&server->state);
    free(server);
}

static void check(const struct node *node)
{
    (void)node; /* assert here what must always hold */
}

static const struct node_type server_type = {
    .name = "kv server",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = say_which_view,
    .clone = server_clone,
    .release = server_release,
    .describe = describe,
    .check = check,
    .inspect = inspect,
};

struct node *server_new(const struct server_config *config)
{
    struct server *made = memory_new(sizeof(struct server));

    made->node.type = &server_type;
    made->config = *config;
    state_init(&made->state);
    return &made->node;
}
