/* SPDX-License-Identifier: MIT */
/*
 * cluster: see cluster.h. This file has the run; what clients do and what
 * breaks are files of their own (cluster_state.h).
 */
#include "sim/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/cluster_state.h"
#include "sim/lincheck.h"
#include "sim/roles.h"
#include "viewservice/view_server.h"

enum {
    PING_MS = 100,
    DEAD_PINGS = 5,
    CHUNK_OCTETS = 256, /* many chunks */
    LOG_OCTETS = 4096,
    FAULT_STEP_US = 100000,
    FINISH_US = 30000000, /* bound of the second half */
};

/* ---- Births ---- */

static const struct view_server_config view_service_config = {PING_MS,
                                                              DEAD_PINGS};

static struct server_config server_config_of(const struct cluster_plan *plan)
{
    struct server_config config = server_config_default();

    config.view_service = peer_at("view", 0).address;
    config.ping_ms = PING_MS;
    config.chunk_octets = CHUNK_OCTETS;
    config.log_octets = LOG_OCTETS;
    if (plan->sessions > 0)
        config.limits.sessions = plan->sessions;
    if (plan->value > 0)
        config.limits.value = plan->value;
    return config;
}

static void populate(struct cluster *cluster)
{
    char address[32];

    cluster->server_config = server_config_of(&cluster->config.plan);
    world_add(cluster->world, "view", NULL, roles_view_service,
              &view_service_config);
    for (uint32_t i = 1; i <= cluster->config.servers; i++) {
        snprintf(address, sizeof(address), "s%u", (unsigned)i);
        invariants_add_server(&cluster->invariants,
                              world_add(cluster->world, address, NULL,
                                        roles_server, &cluster->server_config));
    }
    cluster_add_clients(cluster);
}

/* ---- Invariants ---- */

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

/* ---- The run ---- */

static void run_until(struct cluster *cluster, uint64_t until)
{
    while (!is_violated(cluster) && world_step(cluster->world, until))
        ;
}

static void first_half(struct cluster *cluster)
{
    uint64_t end = (uint64_t)cluster->config.workload.seconds * 1000000;

    world_set_plan(cluster->world, &cluster->config.plan.network);
    cluster_skew(cluster);
    while (world_now(cluster->world) < end && !is_violated(cluster)) {
        run_until(cluster, world_now(cluster->world) + FAULT_STEP_US);
        if (!is_violated(cluster))
            cluster_break_something(cluster);
    }
}

static void second_half(struct cluster *cluster)
{
    uint64_t end = world_now(cluster->world) + FINISH_US;
    bool reading = false;

    cluster_finish_clients(cluster);
    cluster_repair(cluster);
    while (world_now(cluster->world) < end && !is_violated(cluster)) {
        run_until(cluster, world_now(cluster->world) + FAULT_STEP_US);
        if (!cluster_clients_are_finished(cluster))
            continue;
        if (reading)
            return;
        reading = true;
        cluster_read_all(cluster);
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

static void collect(struct cluster *cluster, struct cluster_result *result)
{
    const struct invariants *invariants = &cluster->invariants;

    *result = cluster->result;
    result->violation = invariants->violation;
    memcpy(result->detail, invariants->detail, sizeof(result->detail));
    result->counts = *world_counts(cluster->world);
    result->view = invariants->view.number;
    result->transfers = world_event_count(cluster->world, "transfer.installed");
    result->virtual_us = world_now(cluster->world);
    result->hash = world_hash(cluster->world);
}

/* Makes the world; nobody is in it yet. */
static void prepare(struct cluster *cluster)
{
    const struct cluster_config *config = &cluster->config;

    assert(config->workload.clients > 0 &&
           config->workload.clients <= WORKLOAD_CLIENTS_MAX);
    assert(config->workload.keys > 0 &&
           config->workload.keys <= WORKLOAD_KEYS_MAX);
    assert(config->servers > 0);
    cluster->world = world_new(config->seed, &config->plan.network);
    if (config->trace)
        cluster->result.trace_error =
            world_trace(cluster->world, config->trace);
    history_init(&cluster->history);
    invariants_init(&cluster->invariants, cluster->world, VIEW_SERVICE);
    world_observe(cluster->world, cluster_on_answer, on_check, cluster);
    world_intercept(cluster->world, on_message, on_event, cluster);
    world_govern(cluster->world, cluster_on_alarm, cluster_may_die,
                 cluster_hears_the_dead, cluster);
}

struct cluster_result cluster_run(const struct cluster_config *config)
{
    struct cluster *cluster = memory_new(sizeof(*cluster));
    struct cluster_result result;
    int error;

    cluster->config = *config;
    prepare(cluster);
    populate(cluster);
    first_half(cluster);
    if (!is_violated(cluster))
        second_half(cluster);
    if (!is_violated(cluster))
        check_history(cluster);
    error = world_trace_end(cluster->world);
    if (cluster->result.trace_error == 0)
        cluster->result.trace_error = error;
    collect(cluster, &result);
    world_free(cluster->world);
    history_release(&cluster->history);
    cluster_release_clients(cluster);
    free(cluster);
    return result;
}

struct cluster_config cluster_config_default(void)
{
    struct cluster_config config = {.servers = 3};
    bool found = plan_named("calm", &config.plan) &&
                 workload_named("hot", &config.workload);

    assert(found);
    (void)found;
    return config;
}
