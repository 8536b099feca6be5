/* SPDX-License-Identifier: MIT */
/*
 * cluster: see cluster.h. Host 0 is the view service, then come the servers,
 * then the clients. The clients append unique tokens to a few keys, or put
 * them, and read the keys, one operation at a time each.
 */
#include "sim/cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "node/memory.h"
#include "node/random.h"
#include "pbserver/server.h"
#include "sim/invariants.h"
#include "sim/lincheck.h"
#include "sim/roles.h"
#include "viewservice/view_server.h"

enum {
    VIEW_SERVICE = 0,
    CLIENTS_MAX = 32,
    PING_MS = 100,
    DEAD_PINGS = 5,
    TICK_MS = 10,
    DEADLINE_TICKS = 200,
    PUT_EVERY = 16, /* a write with such a token replaces the value */
    FAULT_STEP_US = 100000,
    PAUSE_MAX_MS = 2000,
    DEFAULT_FAULT_US = 10000000,
    DEFAULT_FINISH_US = 30000000,
};

struct worker {
    size_t host;
    bool busy;
    bool reads_all; /* in the second half: reads every key once */
    uint32_t keys_read;
    uint64_t next_call;
    size_t operation; /* in the history, while busy */
    uint32_t process;
};

struct cluster {
    struct cluster_config config;
    struct server_config server_config;
    struct world *world;
    struct worker workers[CLIENTS_MAX];
    struct history history;
    struct cluster_result result;
    struct invariants invariants;
    uint32_t processes;
    uint64_t tokens;
    uint64_t moments; /* of the history: each event has one of its own */
    bool finishing;
};

/* ---- Births ---- */

static const struct view_server_config view_service_config = {PING_MS,
                                                              DEAD_PINGS};

static struct server_config server_config_of(const struct cluster_plan *plan)
{
    struct server_config config = server_config_default();

    config.view_service = peer_at("view", 0).address;
    config.ping_ms = PING_MS;
    config.chunk_octets = 256; /* many chunks */
    config.log_octets = 4096;
    if (plan->sessions > 0)
        config.limits.sessions = plan->sessions;
    if (plan->value > 0)
        config.limits.value = plan->value;
    return config;
}

static struct node *client_birth(void)
{
    struct client_config config = {
        .view_service = peer_at("view", 0).address,
        .tick_ms = TICK_MS,
        .retry_ticks = 5,
        .sessions_max = 1,
        .queue_max = 1,
        .calls_max = 4,
    };

    return client_node(client_new(&config));
}

static void populate(struct cluster *cluster)
{
    char address[32];

    cluster->server_config = server_config_of(&cluster->config.plan);
    world_add(cluster->world, "view", NULL, roles_view_service,
              &view_service_config);
    for (uint32_t i = 1; i <= cluster->config.servers; i++) {
        snprintf(address, sizeof(address), "s%" PRIu32, i);
        invariants_add_server(&cluster->invariants,
                              world_add(cluster->world, address, NULL,
                                        roles_server, &cluster->server_config));
    }
    for (uint32_t i = 0; i < cluster->config.clients; i++) {
        struct worker *worker = &cluster->workers[i];

        snprintf(address, sizeof(address), "client:%" PRIu32, i + 1);
        worker->host =
            world_add(cluster->world, address, client_birth(), NULL, NULL);
        worker->process = cluster->processes++;
    }
}

/* ---- Invariants ---- */

static const struct server *server_at(const struct cluster *cluster,
                                      size_t host)
{
    return (const struct server *)world_node(cluster->world, host);
}

static void on_check(void *context, struct world *world, size_t host)
{
    struct cluster *cluster = context;

    (void)world;
    invariants_check(&cluster->invariants, host);
}

static bool on_message(void *context, const struct world_message *message)
{
    struct cluster *cluster = context;

    invariants_on_message(&cluster->invariants, message);
    return true;
}

static void on_event(void *context, size_t host, const char *name)
{
    struct cluster *cluster = context;

    invariants_on_event(&cluster->invariants, host, name);
}

static bool is_violated(const struct cluster *cluster)
{
    return cluster->invariants.violation != NULL;
}

/* ---- Clients ---- */

static void on_answer(void *context, size_t host, uint64_t call,
                      const Pbkv__Body *body)
{
    struct cluster *cluster = context;
    struct worker *worker =
        &cluster->workers[host - 1 - cluster->config.servers];
    const Pbkv__Reply *reply = body->reply;
    struct bytes *value = NULL;

    assert(worker->busy && call == worker->next_call);
    assert(body->kind_case == PBKV__BODY__KIND_REPLY);
    worker->busy = false;
    cluster->result.operations++;
    if (reply->status == PBKV__STATUS__SESSION_EXPIRED &&
        cluster->config.plan.sessions == 0) /* P6 */
        invariants_violated(&cluster->invariants,
                            "a session was forgotten without need", "");
    if (reply->status == PBKV__STATUS__TOO_LARGE) {
        history_end(&cluster->history, worker->operation, HISTORY_FAILED,
                    ++cluster->moments);
        return;
    }
    if (reply->status != PBKV__STATUS__OK &&
        reply->status != PBKV__STATUS__NO_KEY) {
        cluster->result.unknown++;
        worker->process = cluster->processes++;
        return;
    }
    if (worker->reads_all)
        worker->keys_read++;
    if (reply->status == PBKV__STATUS__OK && reply->value.len > 0)
        value = bytes_new(reply->value.data, reply->value.len);
    history_return(&cluster->history, worker->operation, value,
                   ++cluster->moments);
    bytes_release(value);
}

struct assignment {
    struct cluster *cluster;
    struct worker *worker;
};

static enum history_kind history_kind_of(Pbkv__Body__KindCase kind)
{
    switch (kind) {
    case PBKV__BODY__KIND_PUT: return HISTORY_PUT;
    case PBKV__BODY__KIND_APPEND: return HISTORY_APPEND;
    default: return HISTORY_GET;
    }
}

static void begin_operation(void *argument, struct node *node, struct env *env)
{
    struct assignment *assignment = argument;
    struct cluster *cluster = assignment->cluster;
    struct worker *worker = assignment->worker;
    uint64_t *random = world_random(cluster->world);
    bool append = !worker->reads_all && random_between(random, 0, 2) > 0;
    uint32_t key = worker->reads_all
                       ? worker->keys_read
                       : random_between(random, 0, cluster->config.keys - 1);
    char text[64];
    struct client_request request = {
        .kind = append ? PBKV__BODY__KIND_APPEND : PBKV__BODY__KIND_GET,
        .call = ++worker->next_call,
        .deadline_ticks = DEADLINE_TICKS,
    };

    snprintf(text, sizeof(text), "k%" PRIu32, key);
    request.key = bytes_new(text, strlen(text));
    snprintf(text, sizeof(text), "<%" PRIu64 ".", ++cluster->tokens);
    if (append && cluster->tokens % PUT_EVERY == 0)
        request.kind = PBKV__BODY__KIND_PUT;
    if (append) {
        request.value = bytes_new_uninitialised(cluster->config.value_octets +
                                                strlen(text));
        memset(request.value->data, '-', request.value->length);
        memcpy(request.value->data, text, strlen(text));
    }
    worker->busy = true;
    worker->operation = history_invoke(
        &cluster->history, worker->process, history_kind_of(request.kind),
        request.key, request.value, ++cluster->moments);
    client_call((struct client *)(void *)node, env, &request);
    bytes_release(request.key);
    bytes_release(request.value);
}

static void put_to_work(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->config.clients; i++) {
        struct worker *worker = &cluster->workers[i];
        struct assignment assignment = {cluster, worker};

        if (worker->busy || (cluster->finishing && !worker->reads_all) ||
            (worker->reads_all && worker->keys_read == cluster->config.keys))
            continue;
        world_call(cluster->world, worker->host, begin_operation, &assignment);
    }
}

/* ---- Faults ---- */

static bool chance(struct cluster *cluster, uint32_t per_mille)
{
    return random_between(world_random(cluster->world), 0, 999) < per_mille;
}

static size_t any_server(struct cluster *cluster)
{
    return 1 + random_between(world_random(cluster->world), 0,
                              cluster->config.servers - 1);
}

/* Returns the server of a view's primary or backup if it is alive and has the
 * state of that view, or NULL. */
static const struct server *holder(const struct cluster *cluster,
                                   const struct peer *peer)
{
    for (size_t host = 1; host <= cluster->config.servers; host++) {
        struct peer self = world_peer(cluster->world, host);
        const struct server *server = server_at(cluster, host);

        if (server && server->initialised && peer_equal(&self, peer))
            return server;
    }
    return NULL;
}

static size_t host_of(const struct cluster *cluster,
                      const struct server *server)
{
    size_t host = 1;

    while (server_at(cluster, host) != server)
        host++;
    return host;
}

/* Whether the view service has heard a peer lately (V4). */
static bool is_heard(const struct view_server *vs, const struct peer *peer)
{
    for (uint32_t i = 0; i < vs->server_count; i++) {
        if (peer_equal(&vs->servers[i].peer, peer))
            return vs->servers[i].missed_cycles <= VIEW_SERVER_FORGIVEN;
    }
    return false;
}

/* Whether a holder of the state is alive, running and heard. */
static bool is_sound(const struct cluster *cluster,
                     const struct view_server *vs, const struct peer *peer)
{
    const struct server *server = holder(cluster, peer);

    return server && is_heard(vs, peer) &&
           !world_is_paused(cluster->world, host_of(cluster, server));
}

/* Whether the store survives the loss of this server: one backup survives one
 * crash, if it has the state, the view service knows that (V3), and it is not
 * itself about to be given up. */
static bool is_dispensable(const struct cluster *cluster, size_t host)
{
    const struct view_server *vs =
        (const struct view_server *)world_node(cluster->world, VIEW_SERVICE);
    const struct view_record *record = &vs->record;
    struct peer victim = world_peer(cluster->world, host);

    if (record->view.number == 0)
        return false;
    if (peer_equal(&victim, &record->view.primary))
        return record->acknowledged == record->view.number &&
               is_sound(cluster, vs, &record->view.backup);
    return is_sound(cluster, vs, &record->view.primary);
}

static void partition(struct cluster *cluster, size_t host)
{
    uint32_t hosts = 1 + cluster->config.servers;
    bool both_ways = chance(cluster, 500);

    for (uint32_t other = 0; other < hosts; other++) {
        if (other == host || chance(cluster, 300))
            continue;
        world_cut(cluster->world, host, other, true);
        if (both_ways)
            world_cut(cluster->world, other, host, true);
    }
}

/* Whether two servers hold the state and the view service knows it. While only
 * one does, it is left alone: another fault would be a second failure. */
static bool is_paired(const struct cluster *cluster)
{
    const struct view_record *record =
        &((const struct view_server *)world_node(cluster->world, VIEW_SERVICE))
             ->record;

    return record->acknowledged == record->view.number &&
           holder(cluster, &record->view.primary) &&
           holder(cluster, &record->view.backup);
}

static void break_server(struct cluster *cluster, size_t host)
{
    const struct cluster_plan *plan = &cluster->config.plan;

    if (!world_is_up(cluster->world, host)) {
        if (chance(cluster, plan->restart))
            world_restart(cluster->world, host);
    } else if (chance(cluster, plan->crash) && is_dispensable(cluster, host)) {
        world_crash(cluster->world, host);
        world_heal(cluster->world);
    } else if (chance(cluster, plan->pause) && is_paired(cluster))
        world_pause(cluster->world, host,
                    1000 * (uint64_t)random_between(
                               world_random(cluster->world), 1, PAUSE_MAX_MS));
}

static void break_something(struct cluster *cluster)
{
    const struct cluster_plan *plan = &cluster->config.plan;

    break_server(cluster, any_server(cluster));
    if (chance(cluster, plan->partition) && is_paired(cluster))
        partition(cluster, any_server(cluster));
    if (chance(cluster, plan->heal))
        world_heal(cluster->world);
    if (chance(cluster, plan->view_restart)) {
        world_crash(cluster->world, VIEW_SERVICE);
        world_restart(cluster->world, VIEW_SERVICE);
    }
}

static void set_skew(struct cluster *cluster)
{
    uint32_t most = cluster->config.plan.skew;

    for (size_t host = 0; most > 0 && host <= cluster->config.servers; host++)
        world_skew(cluster->world, host,
                   random_between(world_random(cluster->world), 100 - most,
                                  100 + most));
}

/* ---- The run ---- */

static void run_until(struct cluster *cluster, uint64_t until)
{
    put_to_work(cluster);
    while (!is_violated(cluster) && world_step(cluster->world, until))
        put_to_work(cluster);
}

static void first_half(struct cluster *cluster)
{
    set_skew(cluster);
    while (world_now(cluster->world) < cluster->config.fault_us &&
           !is_violated(cluster)) {
        run_until(cluster, world_now(cluster->world) + FAULT_STEP_US);
        break_something(cluster);
    }
}

static bool is_finished(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->config.clients; i++) {
        const struct worker *worker = &cluster->workers[i];

        if (worker->busy ||
            (worker->reads_all && worker->keys_read < cluster->config.keys))
            return false;
    }
    return true;
}

static void second_half(struct cluster *cluster)
{
    static const struct world_plan quiet = {.delay_min_us = 100,
                                            .delay_max_us = 1000};
    uint64_t end = world_now(cluster->world) + cluster->config.finish_us;
    bool reading = false;

    world_heal(cluster->world);
    world_set_plan(cluster->world, &quiet);
    cluster->finishing = true;
    for (size_t host = 1; host <= cluster->config.servers; host++) {
        if (!world_is_up(cluster->world, host))
            world_restart(cluster->world, host);
    }
    while (world_now(cluster->world) < end && !is_violated(cluster)) {
        run_until(cluster, world_now(cluster->world) + FAULT_STEP_US);
        if (!is_finished(cluster))
            continue;
        if (reading)
            return;
        reading = true;
        cluster->workers[0].reads_all = true;
    }
    invariants_violated(&cluster->invariants,
                        "the clients did not finish after the faults ended",
                        "");
}

static void check_history(struct cluster *cluster)
{
    struct lincheck_report report = lincheck_check(&cluster->history, NULL);

    if (report.verdict == LINCHECK_VIOLATION)
        invariants_violated(&cluster->invariants,
                            "the history is not linearizable", report.sentence);
    lincheck_release(&report);
}

struct cluster_result cluster_run(const struct cluster_config *config)
{
    struct cluster *cluster = memory_new(sizeof(*cluster));
    struct cluster_result result;

    assert(config->clients > 0 && config->clients <= CLIENTS_MAX);
    assert(config->servers > 0 && config->keys > 0);
    cluster->config = *config;
    cluster->world = world_new(config->seed, &config->plan.network);
    history_init(&cluster->history);
    invariants_init(&cluster->invariants, cluster->world, VIEW_SERVICE);
    world_observe(cluster->world, on_answer, on_check, cluster);
    world_intercept(cluster->world, on_message, on_event, cluster);
    populate(cluster);
    first_half(cluster);
    if (!is_violated(cluster))
        second_half(cluster);
    if (!is_violated(cluster))
        check_history(cluster);
    result = cluster->result;
    result.violation = cluster->invariants.violation;
    memcpy(result.detail, cluster->invariants.detail, sizeof(result.detail));
    result.counts = *world_counts(cluster->world);
    result.view =
        ((const struct view_server *)world_node(cluster->world, VIEW_SERVICE))
            ->record.view.number;
    result.transfers = world_event_count(cluster->world, "transfer.installed");
    result.virtual_us = world_now(cluster->world);
    result.hash = world_hash(cluster->world);
    world_free(cluster->world);
    history_release(&cluster->history);
    free(cluster);
    return result;
}

/* ---- Plans ---- */

struct cluster_config cluster_config_default(void)
{
    struct cluster_config config = {
        .servers = 3,
        .clients = 4,
        .keys = 2,
        .value_octets = 8,
        .fault_us = DEFAULT_FAULT_US,
        .finish_us = DEFAULT_FINISH_US,
    };

    cluster_plan_named("calm", &config.plan);
    return config;
}

bool cluster_plan_named(const char *name, struct cluster_plan *plan)
{
    static const struct {
        const char *name;
        struct cluster_plan plan;
    } plans[] = {
        {"calm", {.network = {.delay_min_us = 100, .delay_max_us = 2000}}},
        {"lossy",
         {.network = {.drop = 50,
                      .dup = 50,
                      .delay_min_us = 100,
                      .delay_max_us = 20000,
                      .slow = 20,
                      .slow_us = 500000}}},
        {"crowded",
         {.network = {.drop = 30,
                      .dup = 200,
                      .delay_min_us = 100,
                      .delay_max_us = 20000,
                      .slow = 50,
                      .slow_us = 500000},
          .sessions = 3,
          .value = 64}},
        {"vicious",
         {.network = {.drop = 100,
                      .dup = 100,
                      .delay_min_us = 100,
                      .delay_max_us = 30000,
                      .slow = 30,
                      .slow_us = 2000000},
          .crash = 40,
          .restart = 200,
          .pause = 20,
          .partition = 40,
          .heal = 100,
          .view_restart = 20,
          .skew = 20}},
    };

    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        if (strcmp(plans[i].name, name) == 0) {
            *plan = plans[i].plan;
            return true;
        }
    }
    return false;
}
