/* SPDX-License-Identifier: MIT */
/*
 * plan: what breaks in an imagined world, how often and how badly, and what the
 * clients do in it meanwhile. Both are plain numbers with names, so that they
 * can be printed and entered again (settings.h).
 *
 * Probabilities are in 1/1000: of messages for what the network does, and per
 * 100 ms of virtual time for what happens to processes and links.
 *
 * In a swarm every seed draws for itself which faults are on and how strong,
 * and what the clients do: faults hide each other, so schedules that have only
 * some of them find what those with all of them do not.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/settings.h"
#include "sim/world.h"

enum { WORKLOAD_CLIENTS_MAX = 32, WORKLOAD_KEYS_MAX = 64 };

struct cluster_plan {
    struct world_plan network;
    uint32_t crash;        /* of one server */
    uint32_t restart;      /* of a server that is down */
    uint32_t pause;        /* of one host */
    uint32_t partition;    /* one server is cut off, from some or all */
    uint32_t heal;         /* all links work again */
    uint32_t view_restart; /* of the view service, from its record */
    uint32_t skew;         /* timers are off by up to this many percent */
    uint32_t sessions;     /* that the servers remember; 0: more than enough */
    uint32_t value;        /* limit on a value; 0: more than enough */
};

struct workload {
    uint32_t seconds; /* of virtual time, before the faults stop */
    uint32_t clients;
    uint32_t keys;
    uint32_t gets; /* shares of the three kinds of operations */
    uint32_t puts;
    uint32_t appends;
    uint32_t octets;   /* of a value written, about */
    uint32_t pause_us; /* of a client between two operations, at most */
    uint32_t life;     /* operations of a client, after which a new one takes
                          its place, with a session of its own; 0: no end */
};

extern const struct settings plan_settings;
extern const struct settings workload_settings;

/* Copy a named plan or workload. Return false when there is none of that name;
 * the names are PLAN_NAMES and WORKLOAD_NAMES. */
bool plan_named(const char *name, struct cluster_plan *plan);
bool workload_named(const char *name, struct workload *workload);

#define PLAN_NAMES     "calm, shuffled, lossy, crowded, brisk, vicious or swarm"
#define WORKLOAD_NAMES "hot, busy, sessions, large, long or swarm"

/* What a seed draws in a swarm. */
struct cluster_plan plan_drawn(uint64_t seed);
struct workload workload_drawn(uint64_t seed);

#endif
