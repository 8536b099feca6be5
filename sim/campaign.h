/* SPDX-License-Identifier: MIT */
/*
 * campaign: a range of seeds, each the seed of one imagined world, run on some
 * cores until one of them breaks an invariant.
 *
 * Worker i of n is a child process that runs every n-th seed, from the i-th on,
 * and sends the results through a pipe; the parent takes them in the order of
 * the seeds. So the outcome does not depend on the number of workers: what is
 * reported is the lowest seed that fails, and what is counted are the seeds up
 * to it. A worker that dies has found something as well: an assertion failed in
 * the seed that was due.
 */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/cluster.h"

enum { CAMPAIGN_JOBS_MAX = 256 };

struct campaign {
    uint64_t first;
    uint64_t last;
    uint32_t jobs;
    uint32_t servers;
    bool swarm_plan;     /* each seed draws its own; `plan` is not used */
    bool swarm_workload; /* … `workload` is not used */
    struct cluster_plan plan;
    struct workload workload;
    const char *trace; /* of a single seed, or NULL */

    /* Runs one seed; NULL: cluster_run. */
    struct cluster_result (*run)(const struct cluster_config *config);

    /* Called now and then, with the seed that is done; may be NULL. */
    void (*progress)(void *context, uint64_t seed);
    void *context;
};

enum campaign_end {
    CAMPAIGN_DONE,
    CAMPAIGN_VIOLATION,
    CAMPAIGN_STOPPED, /* by SIGINT or SIGTERM */
    CAMPAIGN_FAILED,  /* the system refused something: errno */
};

/* What all schedules have done together. */
struct campaign_totals {
    uint64_t schedules;
    uint64_t hash; /* of their hashes, in the order of their seeds */
    struct cluster_result sums;
};

struct campaign_outcome {
    enum campaign_end end;
    int signal; /* of CAMPAIGN_STOPPED */
    struct campaign_totals totals;

    /* Of the last seed that is counted; the one with the violation. */
    uint64_t seed;
    struct cluster_result result;
};

/* Returns the configuration of one seed. */
struct cluster_config campaign_config(const struct campaign *campaign,
                                      uint64_t seed);

/* Runs all seeds, or those up to the first violation. What a worker that died
 * has said is then written to standard error. Blocks SIGINT and SIGTERM, which
 * end the campaign, in this process; leaves no child behind. */
struct campaign_outcome campaign_run(const struct campaign *campaign);

#endif
