/* SPDX-License-Identifier: MIT */
/*
 * store: see store.h. The world carries events; everything else is done on the
 * three occasions on which it calls: a message is sent, a message comes in
 * (store_messages.c), a client's operation ends (store_clients.c). Here are the
 * actors, and what tests do to them.
 */
#include "tests/labs/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/random.h"
#include "sim/roles.h"
#include "tests/labs/store_state.h"

/* ---- Actors ---------------------------------------------------------------
 */

static void on_nothing(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
}

static void on_no_message(struct node *node, struct env *env,
                          const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    (void)env;
    (void)from;
    (void)body;
}

static void on_no_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
}

static struct node *hand_clone(const struct node *node)
{
    struct node *copy = memory_new(sizeof(*copy));

    *copy = *node;
    return copy;
}

static void hand_release(struct node *node)
{
    free(node);
}

static void hand_describe(const struct node *node, struct sink *sink)
{
    (void)node;
    (void)sink;
}

static void hand_check(const struct node *node)
{
    (void)node;
}

static void hand_inspect(const struct node *node, struct inspection *inspection)
{
    (void)node;
    inspection->role = "by hand";
}

/* Who does nothing by himself. */
static const struct node_type hand_type = {
    .name = "by hand",
    .on_start = on_nothing,
    .on_message = on_no_message,
    .on_timer = on_no_timer,
    .clone = hand_clone,
    .release = hand_release,
    .describe = hand_describe,
    .check = hand_check,
    .inspect = hand_inspect,
};

static struct node *hand_birth(const void *context, const struct peer *self,
                               const struct bytes *record)
{
    struct node *node = memory_new(sizeof(*node));

    (void)context;
    (void)self;
    (void)record;
    node->type = &hand_type;
    return node;
}

static struct node *client_birth(const struct store *store)
{
    struct client_config config = {
        .view_service = peer_at("vs", 0).address,
        .tick_ms = CLIENT_TICK_MS,
        .retry_ticks = 5,
        .sessions_max = 1,
        .queue_max = 1,
        .calls_max = 4,
    };

    (void)store;
    return client_node(client_new(&config));
}

bool store_is_client(int actor)
{
    return actor >= C1 && actor < C1 + CLIENTS;
}

static void name_life(struct store *store, int actor)
{
    struct actor *one = &store->actors[actor];
    char text[sizeof(one->name)] = "";

    memcpy(text, one->address, sizeof(one->address));
    if (one->life > 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "/%u",
                 one->life);
    memcpy(one->name, text, sizeof(text));
    host_clock_init(&one->clock, one->name);
}

/* The role of an actor, or NULL when it is a client. */
static world_birth birth_of(const struct store *store, int actor)
{
    if (store->config.by_hand >> actor & 1)
        return hand_birth;
    if (store_is_client(actor))
        return NULL;
    return actor == VS ? roles_view_service : roles_server;
}

void store_start(struct store *store, int actor)
{
    struct actor *one = &store->actors[actor];
    world_birth birth = birth_of(store, actor);
    const void *context = actor == VS ? (const void *)&store->view_config
                                      : (const void *)&store->config.server;

    assert(one->life == 0);
    one->life = 1;
    name_life(store, actor);
    one->host = store->hosts;
    store->actor_of[store->hosts++] = actor;
    world_add(store->world, one->address, birth ? NULL : client_birth(store),
              birth, context);
}

const char *store_name(struct store *store, int actor)
{
    return actor == NOBODY ? "nobody" : store->actors[actor].name;
}

struct peer store_peer(const struct store *store, int actor)
{
    if (actor == NOBODY)
        return (struct peer){0};
    assert(store->actors[actor].life > 0);
    return world_peer(store->world, store->actors[actor].host);
}

/* ---- What happens ---------------------------------------------------------
 */

void store_limit(struct store *store, uint64_t octets, uint32_t sessions)
{
    store->config.server.limits.octets = octets;
    store->config.server.limits.sessions = sessions;
}

void store_crash(struct store *store, int actor)
{
    store_note(store, actor, "%s crashes", store_name(store, actor));
    world_crash(store->world, store->actors[actor].host);
    store->actors[actor].heard_us = 0;
}

void store_restart(struct store *store, int actor)
{
    store->actors[actor].life++;
    name_life(store, actor);
    store_note(store, actor, "%s starts", store_name(store, actor));
    world_restart(store->world, store->actors[actor].host);
}

void store_pause(struct store *store, int actor, uint32_t ms)
{
    store_note(store, actor, "%s stops for %u ms", store_name(store, actor),
               ms);
    world_pause(store->world, store->actors[actor].host, ms * UINT64_C(1000));
}

void store_cut(struct store *store, int from, int to)
{
    store_note(store, from, "nothing passes from %s to %s",
               store_name(store, from), store_name(store, to));
    world_cut(store->world, store->actors[from].host, store->actors[to].host,
              true);
}

void store_isolate(struct store *store, int actor)
{
    store_note(store, actor, "%s is cut off from everybody",
               store_name(store, actor));
    for (size_t host = 0; host < store->hosts; host++) {
        world_cut(store->world, store->actors[actor].host, host, true);
        world_cut(store->world, host, store->actors[actor].host, true);
    }
}

void store_heal(struct store *store)
{
    store_note(store, NOBODY, "all links work");
    world_heal(store->world);
}

static void use_plan(struct store *store, const struct world_plan *plan)
{
    struct world_plan carried = *plan;

    if (carried.max_us == 0)
        carried.min_us = carried.max_us = 1000;
    if (carried.min_us < carried.max_us)
        carried.reorder = PER_MILLE;
    store->network = carried;
    carried.drop = 0;
    carried.dup = 0;
    if (store->world)
        world_set_plan(store->world, &carried);
    else
        store->world = world_new(store->config.seed, &carried);
}

void store_network(struct store *store, const struct world_plan *plan)
{
    use_plan(store, plan);
}

bool store_is_up(const struct store *store, int actor)
{
    const struct actor *one = &store->actors[actor];

    return one->life > 0 && world_is_up(store->world, one->host);
}

struct world *store_world(struct store *store)
{
    return store->world;
}

/* ---- Time -----------------------------------------------------------------
 */

void store_run(struct store *store, uint32_t ms)
{
    uint64_t until = world_now(store->world) + ms * UINT64_C(1000);

    while (world_step(store->world, until))
        ;
}

bool store_until(struct store *store, store_condition condition,
                 const void *argument, uint32_t ms)
{
    uint64_t until = world_now(store->world) + ms * UINT64_C(1000);

    while (!condition(store, argument)) {
        if (!world_step(store->world, until))
            return condition(store, argument);
    }
    return true;
}

uint64_t store_now_ms(const struct store *store)
{
    return world_now(store->world) / 1000;
}

struct inspection store_inspect(struct store *store, int actor)
{
    struct inspection inspection = {0};
    const struct node *node =
        world_node(store->world, store->actors[actor].host);

    assert(node);
    node->type->inspect(node, &inspection);
    return inspection;
}

/* ---- The store ------------------------------------------------------------
 */

struct store_config store_config(void)
{
    struct store_config config = {
        .servers = 2,
        .clients = 1,
        .server = server_config_default(),
        .dead_pings = DEAD_PINGS,
    };

    config.server.view_service = peer_at("vs", 0).address;
    config.server.ping_ms = PING_MS;
    config.server.chunk_octets = 1024;
    return config;
}

static void name_actors(struct store *store)
{
    snprintf(store->actors[VS].address, ADDRESS_SIZE, "vs");
    for (int i = 0; i < SERVERS; i++)
        snprintf(store->actors[S1 + i].address, ADDRESS_SIZE, "s%d", i + 1);
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(store->actors[C1 + i].address, ADDRESS_SIZE, "c%d", i + 1);
        store->workers[i].process = (uint32_t)i;
    }
    store->processes = CLIENTS;
}

struct store *store_new(struct lab *lab, const struct store_config *config)
{
    struct store *store = memory_new(sizeof(*store));

    store->lab = lab;
    store->config = *config;
    store->config.seed = config->seed ? config->seed : lab->seed;
    store->random = store->config.seed * UINT64_C(0x9e3779b97f4a7c15);
    store->view_config =
        (struct view_server_config){PING_MS, config->dead_pings};
    arena_init_trusted(&store->arena);
    arena_init_trusted(&store->judge_arena);
    arena_init_trusted(&store->trace_arena);
    history_init(&store->history);
    use_plan(store, &config->network);
    name_actors(store);
    store_report_to(store);
    world_observe(store->world, store_on_answer, NULL, store);
    world_intercept(store->world, store_on_send, NULL, store);
    world_watch(store->world, store_on_arrival, store);
    store_start(store, VS);
    for (unsigned i = 0; i < config->servers; i++)
        store_start(store, S1 + (int)i);
    for (unsigned i = 0; i < config->clients; i++)
        store_start(store, C1 + (int)i);
    return store;
}

void store_end_trace(struct store *store)
{
    trace_close(store->trace);
    store->trace = NULL;
}

void store_free(struct store *store)
{
    store->lab->reporter = NULL;
    trace_close(store->trace);
    world_free(store->world);
    store_release_messages(store);
    store_release_log(store);
    for (int i = 0; i < CLIENTS; i++)
        bytes_release(store->workers[i].read);
    history_release(&store->history);
    arena_release(&store->arena);
    arena_release(&store->judge_arena);
    arena_release(&store->trace_arena);
    free(store);
}
