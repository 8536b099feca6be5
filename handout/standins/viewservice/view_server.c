/* SPDX-License-Identifier: MIT */
/*
 * view_server: a view service for one server, in the place of the one that you
 * write in lab 2A. Whoever pings first is primary of view 1, for ever. It keeps
 * no record and watches nobody.
 */
#include "viewservice/view_server.h"

#include <stdlib.h>

#include "node/memory.h"
#include "node/message.h"

struct view view_server_next_view(const struct view *view,
                                  const struct view_facts *facts)
{
    (void)facts;
    return *view;
}

static struct view_server *self_of(struct node *node)
{
    return (struct view_server *)(void *)node;
}

static void on_start(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
}

static void note(struct view_server *self, const struct peer *from,
                 uint64_t number)
{
    if (self->server_count == 0) {
        self->record.view.number = 1;
        self->record.view.primary = *from;
        self->servers = memory_new(sizeof(struct server_seen));
        self->servers[self->server_count++].peer = *from;
    }
    if (peer_equal(from, &self->servers[0].peer)) {
        self->servers[0].view = number;
        self->record.acknowledged = number;
    }
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct view_server *self = self_of(node);
    struct view_message storage;
    Pbkv__ViewReply told = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body answer = PBKV__BODY__INIT;

    switch (body->kind_case) {
    case PBKV__BODY__KIND_PING: note(self, from, body->ping->view); break;
    case PBKV__BODY__KIND_GET_VIEW: break;
    default: return;
    }
    view_to_message(&self->record.view, &storage);
    told.view = &storage.view;
    answer.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    answer.view_reply = &told;
    env_send(env, from, &answer);
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
}

static void let_go(struct node *node)
{
    free(self_of(node)->servers);
    free(node);
}

static struct node *copy_of(const struct node *node)
{
    const struct view_server *self = (const struct view_server *)node;
    struct view_server *made = memory_new(sizeof(struct view_server));

    *made = *self;
    if (self->servers) {
        made->servers = memory_new(sizeof(struct server_seen));
        made->servers[0] = self->servers[0];
    }
    return &made->node;
}

static void describe(const struct node *node, struct sink *sink)
{
    const struct view_server *self = (const struct view_server *)node;

    view_describe(&self->record.view, "view", sink);
    sink_u64(sink, "acknowledged", self->record.acknowledged);
}

static void check(const struct node *node)
{
    (void)node; /* assert here what must always hold */
}

static void inspect(const struct node *node, struct inspection *inspection)
{
    const struct view_server *self = (const struct view_server *)node;

    inspection->role = "view service";
    inspection->view = self->record.view;
    inspection->server_count = self->server_count;
    for (uint32_t i = 0; i < self->server_count; i++)
        inspection->servers[i] = self->servers[i];
}

static const struct node_type view_server_type = {
    .name = "view service",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_timer,
    .clone = copy_of,
    .release = let_go,
    .describe = describe,
    .check = check,
    .inspect = inspect,
};

struct node *view_server_new(const struct view_server_config *config,
                             const struct view_record *record)
{
    struct view_server *made = memory_new(sizeof(struct view_server));

    (void)record;
    made->node.type = &view_server_type;
    made->config = *config;
    return &made->node;
}
