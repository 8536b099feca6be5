/* SPDX-License-Identifier: MIT */
/*
 * view_server: yours in lab 2A; see view_server.h and rules V1 to V11. The
 * struct has all that the rules need; the decision can be one pure function.
 */
#include "viewservice/view_server.h"

#include <stdlib.h>

#include "node/memory.h"
#include "node/unfinished.h"

struct view view_server_next_view(const struct view *view,
                                  const struct view_facts *facts)
{
    (void)view;
    (void)facts;
    unfinished("viewservice/view_server.c: view_server_next_view");
}

static void on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
    unfinished("viewservice/view_server.c: on_start (V4)");
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    (void)env;
    (void)from;
    (void)body;
    unfinished("viewservice/view_server.c: on_message (V1 to V11)");
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
    unfinished("viewservice/view_server.c: on_timer (V4)");
}

static struct node *view_server_clone(const struct node *node)
{
    (void)node;
    unfinished("viewservice/view_server.c: view_server_clone");
}

static void view_server_release(struct node *node)
{
    free(node); /* and what it owns */
}

static void view_server_describe(const struct node *node, struct sink *sink)
{
    (void)node;
    (void)sink;
    unfinished("viewservice/view_server.c: view_server_describe");
}

static void view_server_check(const struct node *node)
{
    (void)node; /* assert here what must always hold */
}

static void view_server_inspect(const struct node *node,
                                struct inspection *inspection)
{
    (void)node;
    (void)inspection;
    unfinished("viewservice/view_server.c: view_server_inspect");
}

static const struct node_type view_server_type = {
    .name = "view service",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_timer,
    .clone = view_server_clone,
    .release = view_server_release,
    .describe = view_server_describe,
    .check = view_server_check,
    .inspect = view_server_inspect,
};

struct node *view_server_new(const struct view_server_config *config,
                             const struct view_record *record)
{
    struct view_server *made = memory_new(sizeof(struct view_server));

    made->node.type = &view_server_type;
    made->config = *config;
    if (record)
        unfinished("viewservice/view_server.c: view_server_new (V11)");
    return &made->node;
}
