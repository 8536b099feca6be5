/* SPDX-License-Identifier: MIT */
/*
 * echo: yours in lab 0; the rules are in echo.h. The server is complete but for
 * its one handler. The client is a struct that you give what it has to
 * remember; whatever you add, tell in client_describe.
 */
#include "node/echo.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/memory.h"
#include "node/unfinished.h"

struct echo_client {
    struct node node;
    struct echo_config config;
};

size_t echo_payload(uint64_t call, char text[ECHO_PAYLOAD_MAX])
{
    int length = snprintf(text, ECHO_PAYLOAD_MAX, "echo %" PRIu64, call);

    return (size_t)length;
}

/* ---- The server ---- */

static void server_on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
}

static void server_on_message(struct node *node, struct env *env,
                              const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    (void)env;
    (void)from;
    (void)body;
    unfinished("node/echo.c: server_on_message (E1)");
}

static void server_on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
}

static struct node *server_clone(const struct node *node)
{
    struct node *clone = memory_new(sizeof(struct node));

    clone->type = node->type;
    return clone;
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
    struct node *server = memory_new(sizeof(struct node));

    server->type = &server_type;
    return server;
}

/* ---- The client ---- */

static void client_on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
    unfinished("node/echo.c: client_on_start (E2)");
}

static void client_on_message(struct node *node, struct env *env,
                              const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    (void)env;
    (void)from;
    (void)body;
    unfinished("node/echo.c: client_on_message (E4, E6)");
}

static void client_on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
    unfinished("node/echo.c: client_on_timer (E3, E5)");
}

static struct node *client_clone(const struct node *node)
{
    struct echo_client *clone = memory_new(sizeof(struct echo_client));

    *clone = *(const struct echo_client *)(const void *)node;
    return &clone->node;
}

static void client_release(struct node *node)
{
    free(node);
}

static void client_describe(const struct node *node, struct sink *sink)
{
    (void)node;
    (void)sink;
    unfinished("node/echo.c: client_describe (name every field that changes)");
}

static void client_check(const struct node *node)
{
    (void)node; /* assert here what must always hold */
}

static void client_inspect(const struct node *node,
                           struct inspection *inspection)
{
    (void)node;
    inspection->role = "echo client";
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
    struct echo_client *made = memory_new(sizeof(struct echo_client));

    made->node.type = &client_type;
    made->config = *config;
    return &made->node;
}
