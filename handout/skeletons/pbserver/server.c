/* SPDX-License-Identifier: MIT */
/*
 * server: the life cycle of a kv server; yours in lab 2B. What is here makes
 * and frees one; what it does is not here yet.
 */
#include "pbserver/server.h"

#include <stdlib.h>

#include "node/memory.h"
#include "node/message.h"
#include "node/unfinished.h"

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
    (void)server;
    unfinished("pbserver/server.c: server_is_serving (P1, P5)");
}

static void on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
    unfinished("pbserver/server.c: on_start (T2: it pings)");
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    (void)env;
    (void)from;
    (void)body;
    unfinished("pbserver/server.c: on_message (P1 to T5)");
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
    unfinished("pbserver/server.c: on_timer");
}

static struct node *server_clone(const struct node *node)
{
    (void)node;
    unfinished("pbserver/server.c: server_clone");
}

static void describe(const struct node *node, struct sink *sink)
{
    (void)node;
    (void)sink;
    unfinished("pbserver/server.c: describe (name every field)");
}

static void inspect(const struct node *node, struct inspection *inspection)
{
    (void)node;
    (void)inspection;
    unfinished("pbserver/server.c: inspect");
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
    .on_timer = on_timer,
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
