/* SPDX-License-Identifier: MIT */
/*
 * cluster: a whole store in a world: one view service, some servers, some
 * clients with work to do, faults that come and go, and the invariants that
 * must hold across nodes after every event.
 *
 * A run has two halves. In the first, faults happen as the plan says and
 * clients work. Then faults stop, everybody who is down comes back, and the
 * clients must finish what they began and read every key within a bounded time.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "sim/history.h"
#include "sim/world.h"

/* How often things break, in 1/1000 per virtual 100 ms, and how long for. */
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

struct cluster_config {
    uint64_t seed;
    uint32_t servers;
    uint32_t clients;
    uint32_t keys;
    uint32_t value_octets; /* of an append, about */
    uint64_t fault_us;     /* length of the first half */
    uint64_t finish_us;    /* bound of the second half */
    struct cluster_plan plan;
};

/* What came out. */
struct cluster_result {
    const char *violation; /* NULL: none; a constant sentence */
    char detail[256];
    uint64_t operations;
    uint64_t unknown; /* … whose outcome was not known */
    uint64_t view;    /* newest view number */
    uint64_t transfers;
    uint64_t virtual_us;
    uint64_t hash;
    struct world_counts counts;
};

/* Returns named plans: "calm", "lossy", "crowded" (all limits are
 * low),
 * "vicious"; false when there is no plan of that name. */
bool cluster_plan_named(const char *name, struct cluster_plan *plan);

/* Returns a configuration of three servers, four clients and the plan calm. */
struct cluster_config cluster_config_default(void);

/* Runs it. The same configuration gives the same result. */
struct cluster_result cluster_run(const struct cluster_config *config);

#endif
