/* SPDX-License-Identifier: MIT */
/*
 * cluster: a whole store in a world: one view service, some servers, some
 * clients with work to do, faults that come and go (plan.h), and the invariants
 * that must hold across nodes after every event.
 *
 * A run has two halves. In the first, faults happen as the plan says and
 * clients work. Then faults stop, everybody who is down comes back, and the
 * clients must finish what they began and read every key within a bounded time.
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "sim/plan.h"
#include "sim/world.h"

struct cluster_config {
    uint64_t seed;
    uint32_t servers;
    struct cluster_plan plan;
    struct workload workload;
    const char *trace; /* file for the stamped trace, or NULL */
};

/* What came out. */
struct cluster_result {
    const char *violation; /* NULL: none; a constant sentence */
    char detail[256];
    uint64_t operations;
    uint64_t unknown; /* … whose outcome was not known */
    uint64_t view;    /* newest view number */
    uint64_t transfers;
    uint64_t partitions;    /* of a server, both ways */
    uint64_t one_way;       /* … what it sends only */
    uint64_t view_restarts; /* of the view service, from its record */
    uint64_t skewed;        /* hosts with a wrong clock */
    uint64_t virtual_us;
    uint64_t hash;   /* of all events */
    int trace_error; /* a negative errno, or 0 */
    struct world_counts counts;
};

/* Returns a configuration of three servers, the plan calm and the workload hot.
 */
struct cluster_config cluster_config_default(void);

/* Runs it. The same configuration gives the same result, with or without a
 * trace. */
struct cluster_result cluster_run(const struct cluster_config *config);

#endif
