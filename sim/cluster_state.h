/* SPDX-License-Identifier: MIT */
/*
 * cluster_state: what the parts of a cluster share: cluster.c has the run,
 * cluster_clients.c what clients do, cluster_faults.c what breaks. Host 0 is
 * the view service, then come the servers, then the clients.
 */
#ifndef SIM_CLUSTER_STATE_H
#define SIM_CLUSTER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pbserver/server.h"
#include "sim/cluster.h"
#include "sim/history.h"
#include "sim/invariants.h"
#include "sim/world.h"

enum { VIEW_SERVICE = 0 };

/* A client with work to do, one operation at a time. */
struct worker {
    size_t host;
    bool busy;
    bool reads_all; /* in the second half: reads every key once */
    uint32_t keys_read;
    uint32_t done; /* operations of this life */
    uint64_t next_call;
    size_t operation; /* in the history, while busy */
    uint32_t process;
};

struct cluster {
    struct cluster_config config;
    struct server_config server_config;
    struct world *world;
    struct worker workers[WORKLOAD_CLIENTS_MAX];
    struct bytes *keys[WORKLOAD_KEYS_MAX];
    struct history history;
    struct cluster_result result;
    struct invariants invariants;
    uint32_t processes;
    uint64_t tokens;
    uint64_t moments; /* of the history: each event has one of its own */
    bool finishing;
};

/* ---- Clients (cluster_clients.c) ---- */

/* Adds the clients to the world and gives them their first work. */
void cluster_add_clients(struct cluster *cluster);

/* Frees what the clients have. */
void cluster_release_clients(struct cluster *cluster);

/* The end of a client's operation, and its next one: world_answer and
 * world_alarm. */
void cluster_on_answer(void *context, size_t host, uint64_t call,
                       const Pbkv__Body *body);
void cluster_on_alarm(void *context, size_t host);

/* From now on nobody begins anything; then the first client reads every key. */
void cluster_finish_clients(struct cluster *cluster);
void cluster_read_all(struct cluster *cluster);

/* Whether all clients have ended what they had to do. */
bool cluster_clients_are_finished(const struct cluster *cluster);

/* ---- Faults (cluster_faults.c) ---- */

/* Draws how wrong the clocks of this run are. */
void cluster_skew(struct cluster *cluster);

/* Draws what happens to processes and links now; called every 100 ms. */
void cluster_break_something(struct cluster *cluster);

/* Whether a host may die now: the store has to survive it. A world_victim. */
bool cluster_may_die(void *context, size_t host);

/* Whether a message of a dead server still arrives. A world_late. */
bool cluster_hears_the_dead(void *context, size_t from, uint64_t life,
                            size_t to);

/* Ends all faults: whoever is down comes back. */
void cluster_repair(struct cluster *cluster);

#endif
