/* SPDX-License-Identifier: MIT */
/*
 * echo: see echo.h. The server has no state at all. The client's state is the
 * number of the echo under way and how often it was sent; 0 attempts says that
 * it has ended.
 */
#include "node/echo.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

struct echo_client {
    struct node node;
    struct echo_config config;
    uint64_t call;     /* of the echo under way */
    uint32_t attempts; /* transmissions of it; 0: all is over */
};

size_t echo_payload(uint64_t call, char text[ECHO_PAYLOAD_MAX])
{
    return (size_t)snprintf(text, ECHO_PAYLOAD_MAX, "echo %" PRIu64, call);
}

/* ---- The server -----------------------------------------------------------
 */

static void server_on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
}

static void server_on_message(struct node *node, struct env *env,
                              const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    if (body->kind_case == PBKV__BODY__KIND_ECHO)
        message_answer_echo(env, from, body->echo); /* E1 */
    else
        env_log(env, LOG_LEVEL_WARN, "message.unexpected", "%s",
                message_name(body->kind_case));
}

static void server_on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
}

static struct node *server_clone(const struct node *node)
{
    struct node *copy = memory_new(sizeof(*copy));

    *copy = *node;
    return copy;
}

static void server_release(struct node *node)
{
    free(node);
}

static void server_describe(const struct node *node, struct sink *sink)
{
    (void)node;
    (void)sink;
}

static void server_check(const struct node *node)
{
    (void)node;
}

static void server_inspect(const struct node *node,
                           struct inspection *inspection)
{
    (void)node;
    inspection->role = "echo server";
}

static const struct node_type server_type = {
    .name = "echo server",
    .on_start = server_on_start,
    .on_message = server_on_message,
    .on_timer = server_on_timer,
    .clone = server_clone,
    .release = server_release,
    .describe = server_describe,
    .check = server_check,
    .inspect = server_inspect,
};

struct node *echo_server_new(void)
{
    struct node *node = memory_new(sizeof(*node));

    node->type = &server_type;
    return node;
}

/* ---- The client -----------------------------------------------------------
 */

static const struct node_type client_type;

static struct echo_client *client_of(struct node *node)
{
    assert(node->type == &client_type);
    return (struct echo_client *)(void *)node;
}

static const struct echo_client *const_client_of(const struct node *node)
{
    assert(node->type == &client_type);
    return (const struct echo_client *)(const void *)node;
}

static void transmit(struct echo_client *client, struct env *env)
{
    struct peer to = {.address = client->config.server};
    char payload[ECHO_PAYLOAD_MAX];
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    assert(client->attempts < client->config.attempts);
    client->attempts++;
    echo.call = client->call;
    echo.payload = message_octets(payload, echo_payload(client->call, payload));
    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    env_send(env, &to, &body);
    env_set_timer(env, ECHO_TIMER, client->config.retry_ms,
                  client->config.retry_ms); /* E3 */
}

/* Ends the echo under way and begins the next, if there is one. */
static void go_on(struct echo_client *client, struct env *env,
                  const Pbkv__Body *answer)
{
    env_answer(env, client->call, answer);
    client->attempts = 0;
    if (client->call == client->config.count) {
        env_stop_timer(env, ECHO_TIMER); /* E6 */
        return;
    }
    client->call++;
    transmit(client, env);
}

static void client_on_start(struct node *node, struct env *env)
{
    transmit(client_of(node), env); /* E2 */
}

/* Whether a message is the answer to the echo under way (E4). */
static bool is_answer(const struct echo_client *client, const struct peer *from,
                      const Pbkv__Body *body)
{
    char payload[ECHO_PAYLOAD_MAX];
    size_t length = echo_payload(client->call, payload);

    return body->kind_case == PBKV__BODY__KIND_ECHO_REPLY &&
           client->attempts > 0 &&
           address_equal(&from->address, &client->config.server) &&
           body->echo_reply->call == client->call &&
           body->echo_reply->payload.len == length &&
           memcmp(body->echo_reply->payload.data, payload, length) == 0;
}

static void client_on_message(struct node *node, struct env *env,
                              const struct peer *from, const Pbkv__Body *body)
{
    struct echo_client *client = client_of(node);

    if (is_answer(client, from, body))
        go_on(client, env, body);
    else
        env_log(env, LOG_LEVEL_DEBUG, "echo.stale", "%s from %s",
                message_name(body->kind_case), from->address.text);
}

static void client_on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct echo_client *client = client_of(node);
    Pbkv__Reply reply = PBKV__REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    assert(slot == ECHO_TIMER && client->attempts > 0);
    (void)slot;
    if (client->attempts < client->config.attempts) {
        transmit(client, env);
        return;
    }
    reply.call = client->call;
    reply.status = PBKV__STATUS__TIMEOUT; /* E5 */
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    go_on(client, env, &body);
}

static struct node *client_clone(const struct node *node)
{
    struct echo_client *copy = memory_new(sizeof(*copy));

    *copy = *const_client_of(node);
    return &copy->node;
}

static void client_release(struct node *node)
{
    free(client_of(node));
}

static void client_describe(const struct node *node, struct sink *sink)
{
    const struct echo_client *client = const_client_of(node);

    sink_u64(sink, "call", client->call);
    sink_u64(sink, "attempts", client->attempts);
}

static void client_check(const struct node *node)
{
    const struct echo_client *client = const_client_of(node);

    assert(client->call >= 1 && client->call <= client->config.count);
    assert(client->attempts <= client->config.attempts);
}

static void client_inspect(const struct node *node,
                           struct inspection *inspection)
{
    inspection->role = "echo client";
    inspection->applied = const_client_of(node)->call;
}

static const struct node_type client_type = {
    .name = "echo client",
    .on_start = client_on_start,
    .on_message = client_on_message,
    .on_timer = client_on_timer,
    .clone = client_clone,
    .release = client_release,
    .describe = client_describe,
    .check = client_check,
    .inspect = client_inspect,
};

struct node *echo_client_new(const struct echo_config *config)
{
    struct echo_client *client = memory_new(sizeof(*client));

    assert(config->count > 0 && config->attempts > 0 && config->retry_ms > 0);
    client->node.type = &client_type;
    client->config = *config;
    client->call = 1;
    return &client->node;
}
