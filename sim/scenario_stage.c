/* SPDX-License-Identifier: MIT */
/*
 * scenario_stage: see scenario_stage.h. Rules about messages are tried in the
 * order of the script; the first that fits decides. A rule that has met all its
 * messages stays in the list, and is passed over.
 */
#include "sim/scenario_stage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "node/memory.h"
#include "node/message.h"
#include "sim/roles.h"
#include "viewservice/view_server.h"

enum { PING_MS = 100, DEAD_PINGS = 5, RETRY_TICKS = 5, DELAY_US = 1000 };

/* ---- Births ---- */

static struct node *client_birth(void)
{
    struct client_config config = {
        .view_service = peer_at("vs", 0).address,
        .tick_ms = STAGE_TICK_MS,
        .retry_ticks = RETRY_TICKS,
        .sessions_max = 1,
        .queue_max = 1,
        .calls_max = 1,
    };

    return client_node(client_new(&config));
}

/* ---- Actors ---- */

struct stage_actor *stage_find(struct stage *stage, const char *name)
{
    for (size_t i = 0; i < stage->actor_count; i++) {
        if (strcmp(stage->actors[i].name, name) == 0)
            return &stage->actors[i];
    }
    return NULL;
}

static struct stage_actor *actor_at(struct stage *stage, size_t host)
{
    for (size_t i = 0; i < stage->actor_count; i++) {
        if (stage->actors[i].started && stage->actors[i].host == host)
            return &stage->actors[i];
    }
    return NULL;
}

struct stage_actor *stage_add(struct stage *stage, const char *name,
                              enum stage_role role)
{
    struct stage_actor *actor = &stage->actors[stage->actor_count];
    struct address address;

    if (address_init(&address, name, strlen(name)) < 0 ||
        strlen(name) >= STAGE_NAME_MAX || stage_find(stage, name) ||
        stage->actor_count == STAGE_ACTORS_MAX)
        return NULL;
    snprintf(actor->name, sizeof(actor->name), "%s", name);
    actor->role = role;
    stage->actor_count++;
    if (role == STAGE_CLIENT)
        stage_start(stage, actor);
    return actor;
}

void stage_start(struct stage *stage, struct stage_actor *actor)
{
    static const struct view_server_config views = {PING_MS, DEAD_PINGS};
    struct world *world = stage->world;
    size_t host = 0;

    assert(!actor->started);
    actor->started = true;
    actor->config = stage->config;
    actor->host = stage->started++; /* known to its first effects already */
    switch (actor->role) {
    case STAGE_VIEW_SERVICE:
        host = world_add(world, actor->name, NULL, roles_view_service, &views);
        break;
    case STAGE_SERVER:
        host =
            world_add(world, actor->name, NULL, roles_server, &actor->config);
        invariants_add_server(&stage->invariants, host);
        break;
    case STAGE_CLIENT:
        host = world_add(world, actor->name, client_birth(), NULL, NULL);
        break;
    }
    assert(host == actor->host);
}

const struct server *stage_server(const struct stage *stage,
                                  const struct stage_actor *actor)
{
    if (!actor->started || actor->role != STAGE_SERVER)
        return NULL;
    return (const struct server *)world_node(stage->world, actor->host);
}

const struct view_record *stage_record(const struct stage *stage)
{
    const struct view_server *vs = (const struct view_server *)world_node(
        stage->world, stage->actors[0].host);

    return vs ? &vs->record : NULL;
}

/* ---- Clients ---- */

static void on_answer(void *context, size_t host, uint64_t call,
                      const Pbkv__Body *body)
{
    struct stage *stage = context;
    struct stage_actor *client = actor_at(stage, host);
    const Pbkv__Reply *reply = body->reply;

    assert(client->waiting && call == client->call);
    assert(body->kind_case == PBKV__BODY__KIND_REPLY);
    client->waiting = false;
    if (reply->status != PBKV__STATUS__OK)
        snprintf(client->result, sizeof(client->result), "%s",
                 status_name(reply->status));
    else if (strcmp(client->result, "get") != 0)
        snprintf(client->result, sizeof(client->result), "ok");
    else if (reply->value.len == 0)
        snprintf(client->result, sizeof(client->result), "\"\"");
    else
        snprintf(client->result, sizeof(client->result), "%.*s",
                 (int)reply->value.len, (const char *)reply->value.data);
}

static void begin_call(void *argument, struct node *node, struct env *env)
{
    client_call((struct client *)(void *)node, env, argument);
}

void stage_call(struct stage *stage, struct stage_actor *client,
                Pbkv__Body__KindCase kind, const char *key, const char *value,
                uint64_t deadline_ms)
{
    bool get = kind == PBKV__BODY__KIND_GET;
    struct client_request request = {
        .kind = kind,
        .call = ++client->call,
        .deadline_ticks = (uint32_t)(deadline_ms / STAGE_TICK_MS),
        .key = bytes_new(key, strlen(key)),
        .value = get ? NULL : bytes_new(value, strlen(value)),
    };

    assert(client->role == STAGE_CLIENT && !client->waiting);
    client->waiting = true;
    snprintf(client->result, sizeof(client->result), get ? "get" : "update");
    world_call(stage->world, client->host, begin_call, &request);
    bytes_release(request.key);
    bytes_release(request.value);
}

/* ---- Messages ---- */

bool stage_add_rule(struct stage *stage, const struct stage_rule *rule)
{
    if (stage->rule_count == STAGE_RULES_MAX)
        return false;
    stage->rules[stage->rule_count++] = *rule;
    return true;
}

static struct stage_rule *find_rule(struct stage *stage,
                                    const struct world_message *message)
{
    const struct stage_actor *from = actor_at(stage, message->from);
    const struct stage_actor *to = actor_at(stage, message->to);

    for (size_t i = 0; i < stage->rule_count; i++) {
        struct stage_rule *rule = &stage->rules[i];

        if (rule->left > 0 && (!rule->from || rule->from == from) &&
            (!rule->to || rule->to == to) &&
            (rule->what == PBKV__BODY__KIND__NOT_SET ||
             rule->what == message->what))
            return rule;
    }
    return NULL;
}

static void keep(struct stage *stage, const struct world_message *message)
{
    stage->held = memory_resize(stage->held,
                                (stage->held_count + 1) * sizeof(*stage->held));
    stage->held[stage->held_count] = *message;
    bytes_share(message->body);
    stage->held_count++;
}

/* Posts a message in another's place: a Chunk with another digest. Anything
 * else goes as it is. */
static void spoil(struct stage *stage, const struct world_message *message)
{
    static const uint8_t wrong[DIGEST_SIZE];
    struct world_message copy = *message;
    Pbkv__Body *body;
    int result = message_decode(&stage->arena, message->body->data,
                                message->body->length, &body);

    assert(result == 0);
    (void)result;
    if (body->kind_case == PBKV__BODY__KIND_CHUNK && body->chunk->last)
        body->chunk->digest = message_octets(wrong, sizeof(wrong));
    stage->spoiled = true;
    copy.body = message_encode(body);
    world_post(stage->world, &copy);
    bytes_release(copy.body);
}

static bool on_message(void *context, const struct world_message *message)
{
    struct stage *stage = context;
    struct stage_rule *rule = find_rule(stage, message);

    invariants_on_message(&stage->invariants, message);
    if (!rule)
        return true;
    if (rule->left != STAGE_EVERY)
        rule->left--;
    switch (rule->action) {
    case STAGE_DELIVER: break;
    case STAGE_DROP: return false;
    case STAGE_DUPLICATE: world_post(stage->world, message); break;
    case STAGE_HOLD: keep(stage, message); return false;
    case STAGE_COPY: keep(stage, message); break;
    case STAGE_SPOIL: spoil(stage, message); return false;
    case STAGE_CRASH_BEFORE:
        world_crash(stage->world, message->from);
        return false;
    case STAGE_CRASH_AFTER: world_crash(stage->world, message->from); break;
    }
    return true;
}

void stage_release(struct stage *stage)
{
    for (size_t i = 0; i < stage->held_count; i++) {
        world_post(stage->world, &stage->held[i]);
        bytes_release(stage->held[i].body);
    }
    stage->held_count = 0;
}

void stage_pass(struct stage *stage)
{
    for (size_t i = 0; i < stage->rule_count; i++) {
        if (stage->rules[i].left == STAGE_EVERY)
            stage->rules[i].left = 0;
    }
}

/* ---- Events ---- */

static void on_event(void *context, size_t host, const char *name)
{
    struct stage *stage = context;
    size_t i = 0;

    if (!stage->spoiled || strcmp(name, "chunk.digest") != 0)
        invariants_on_event(&stage->invariants, host, name);
    while (i < stage->event_count && (stage->events[i].host != host ||
                                      strcmp(stage->events[i].name, name) != 0))
        i++;
    assert(i < STAGE_EVENTS_MAX);
    if (i == stage->event_count) {
        stage->events[i] = (struct stage_event){host, name, 0};
        stage->event_count++;
    }
    stage->events[i].count++;
}

uint64_t stage_events(const struct stage *stage,
                      const struct stage_actor *actor, const char *name)
{
    uint64_t count = 0;

    for (size_t i = 0; i < stage->event_count; i++) {
        const struct stage_event *event = &stage->events[i];

        if ((!actor || (actor->started && actor->host == event->host)) &&
            strcmp(event->name, name) == 0)
            count += event->count;
    }
    return count;
}

static void on_check(void *context, struct world *world, size_t host)
{
    struct stage *stage = context;

    (void)world;
    invariants_check(&stage->invariants, host);
}

/* ---- The stage ---- */

struct stage *stage_new(void)
{
    static const struct world_plan plan = {.min_us = DELAY_US,
                                           .max_us = DELAY_US};
    struct stage *stage = memory_new(sizeof(*stage));

    stage->world = world_new(1, &plan);
    arena_init(&stage->arena);
    stage->config = server_config_default();
    stage->config.view_service = peer_at("vs", 0).address;
    stage->config.ping_ms = PING_MS;
    invariants_init(&stage->invariants, stage->world, 0);
    world_observe(stage->world, on_answer, on_check, stage);
    world_intercept(stage->world, on_message, on_event, stage);
    stage_start(stage, stage_add(stage, "vs", STAGE_VIEW_SERVICE));
    assert(stage->actors[0].host == 0);
    return stage;
}

void stage_free(struct stage *stage)
{
    for (size_t i = 0; i < stage->held_count; i++)
        bytes_release(stage->held[i].body);
    free(stage->held);
    arena_release(&stage->arena);
    world_free(stage->world);
    free(stage);
}
