/* SPDX-License-Identifier: MIT */
/*
 * plan: see plan.h. The names here are what is printed and entered; a plan that
 * was printed years ago must mean the same today, so names keep their meaning.
 */
#include "sim/plan.h"

#include <string.h>

#include "node/random.h"

enum { EVERY = 1000 };

#define NETWORK(field, minimum, maximum, always)                               \
    {                                                                          \
#field, offsetof(struct cluster_plan, network.field), minimum,         \
            maximum, always                                                    \
    }
#define FAULT(field, maximum)                                                  \
    {                                                                          \
#field, offsetof(struct cluster_plan, field), 0, maximum, false        \
    }
#define WORK(field, minimum, maximum)                                          \
    {                                                                          \
#field, offsetof(struct workload, field), minimum, maximum, true       \
    }

static const struct setting faults[] = {
    NETWORK(min_us, 1, 60000000, true),
    NETWORK(max_us, 1, 60000000, true),
    NETWORK(reorder, 0, EVERY, false),
    NETWORK(drop, 0, EVERY - 1, false),
    NETWORK(dup, 0, EVERY, false),
    NETWORK(slow, 0, EVERY, false),
    NETWORK(slow_us, 0, 60000000, false),
    NETWORK(spared, 0, EVERY, false),
    NETWORK(narrow, 0, EVERY, false),
    NETWORK(narrow_octets, 0, 1000000000, false),
    NETWORK(midway, 0, EVERY - 1, false),
    FAULT(crash, EVERY),
    FAULT(restart, EVERY),
    FAULT(pause, EVERY),
    FAULT(partition, EVERY),
    FAULT(heal, EVERY),
    FAULT(view_restart, EVERY),
    FAULT(skew, 90),
    FAULT(sessions, 1000000),
    FAULT(value, 1000000),
};

static const struct setting works[] = {
    WORK(seconds, 1, 100000),
    WORK(clients, 1, WORKLOAD_CLIENTS_MAX),
    WORK(keys, 1, WORKLOAD_KEYS_MAX),
    WORK(gets, 0, 1000),
    WORK(puts, 0, 1000),
    WORK(appends, 0, 1000),
    WORK(octets, 0, 100000),
    WORK(pause_us, 0, 60000000),
    WORK(life, 0, 1000000),
};

/* ---- By name ---- */

struct named_plan {
    const char *name;
    struct cluster_plan plan;
};

static const struct named_plan plans[] = {
    {"calm", {.network = {.min_us = 100, .max_us = 2000}}},
    {"shuffled",
     {.network = {.min_us = 100, .max_us = 2000, .reorder = EVERY}}},
    {"lossy",
     {.network = {.drop = 50,
                  .dup = 50,
                  .min_us = 100,
                  .max_us = 20000,
                  .reorder = EVERY,
                  .slow = 20,
                  .slow_us = 500000}}},
    {"crowded",
     {.network = {.drop = 30,
                  .dup = 200,
                  .min_us = 100,
                  .max_us = 20000,
                  .reorder = EVERY,
                  .slow = 50,
                  .slow_us = 500000},
      .sessions = 3,
      .value = 64}},
    {"brisk",
     {.network = {.drop = 1,
                  .dup = 1,
                  .min_us = 100,
                  .max_us = 1000,
                  .reorder = 1,
                  .narrow = 20,
                  .narrow_octets = 100000},
      .crash = 10,
      .restart = 200,
      .pause = 5,
      .partition = 10,
      .heal = 200,
      .view_restart = 10,
      .skew = 10}},
    {"vicious",
     {.network = {.drop = 100,
                  .dup = 100,
                  .min_us = 100,
                  .max_us = 30000,
                  .reorder = EVERY,
                  .slow = 30,
                  .slow_us = 2000000,
                  .narrow = 50,
                  .narrow_octets = 20000,
                  .midway = 1},
      .crash = 40,
      .restart = 200,
      .pause = 20,
      .partition = 40,
      .heal = 100,
      .view_restart = 20,
      .skew = 20}},
};

struct named_workload {
    const char *name;
    struct workload workload;
};

static const struct named_workload workloads[] = {
    {"hot",
     {.seconds = 10,
      .clients = 4,
      .keys = 2,
      .gets = 16,
      .puts = 2,
      .appends = 30,
      .octets = 8}},
    {"busy",
     {.seconds = 10,
      .clients = 8,
      .keys = 6,
      .gets = 2,
      .puts = 1,
      .appends = 3,
      .octets = 8,
      .pause_us = 120000}},
    {"sessions",
     {.seconds = 10,
      .clients = 24,
      .keys = 4,
      .gets = 1,
      .puts = 1,
      .appends = 2,
      .octets = 8,
      .pause_us = 200000,
      .life = 3}},
    {"large",
     {.seconds = 10,
      .clients = 4,
      .keys = 3,
      .gets = 2,
      .puts = 3,
      .appends = 1,
      .octets = 20000,
      .pause_us = 50000}},
    {"long",
     {.seconds = 300,
      .clients = 4,
      .keys = 4,
      .gets = 2,
      .puts = 1,
      .appends = 2,
      .octets = 8,
      .pause_us = 200000}},
};

static bool is_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

static bool find_plan(const char *name, size_t length, void *structure)
{
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        if (is_name(plans[i].name, name, length)) {
            memcpy(structure, &plans[i].plan, sizeof(plans[i].plan));
            return true;
        }
    }
    return false;
}

static bool find_workload(const char *name, size_t length, void *structure)
{
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (is_name(workloads[i].name, name, length)) {
            memcpy(structure, &workloads[i].workload,
                   sizeof(workloads[i].workload));
            return true;
        }
    }
    return false;
}

bool plan_named(const char *name, struct cluster_plan *plan)
{
    return find_plan(name, strlen(name), plan);
}

bool workload_named(const char *name, struct workload *workload)
{
    return find_workload(name, strlen(name), workload);
}

/* ---- As text ---- */

static const char *wrong_plan(const void *structure)
{
    const struct cluster_plan *plan = structure;
    const struct world_plan *network = &plan->network;

    if (network->min_us > network->max_us)
        return "min_us is more than max_us";
    if ((network->slow > 0) != (network->slow_us > 0))
        return "slow and slow_us go together";
    if ((network->narrow > 0) != (network->narrow_octets > 0))
        return "narrow and narrow_octets go together";
    return NULL;
}

static const char *wrong_workload(const void *structure)
{
    const struct workload *workload = structure;

    if (workload->gets + workload->puts + workload->appends == 0)
        return "gets, puts and appends are all 0";
    return NULL;
}

const struct settings plan_settings = {
    "plan", faults, sizeof(faults) / sizeof(faults[0]), find_plan, wrong_plan};

const struct settings workload_settings = {"workload", works,
                                           sizeof(works) / sizeof(works[0]),
                                           find_workload, wrong_workload};

/* ---- Drawn ---- */

/* Returns 0, or with the same chance a number up to most. */
static uint32_t perhaps(uint64_t *random, uint32_t most)
{
    uint32_t strength = random_between(random, 1, most);

    return random_between(random, 0, 1) > 0 ? strength : 0;
}

static struct world_plan network_drawn(uint64_t *random)
{
    struct world_plan plan = {
        .min_us = 100,
        .max_us = random_between(random, 200, 30000),
        .reorder = perhaps(random, EVERY),
        .drop = perhaps(random, 150),
        .dup = perhaps(random, 200),
        .slow = perhaps(random, 50),
        .spared = perhaps(random, EVERY),
        .narrow = perhaps(random, 100),
        .midway = perhaps(random, 3),
    };

    if (plan.slow > 0)
        plan.slow_us = random_between(random, 50000, 2000000);
    if (plan.narrow > 0)
        plan.narrow_octets = random_between(random, 5000, 100000);
    return plan;
}

struct cluster_plan plan_drawn(uint64_t seed)
{
    uint64_t random = ~seed;
    struct cluster_plan plan = {.network = network_drawn(&random)};

    plan.crash = perhaps(&random, 60);
    plan.restart = random_between(&random, 50, 500);
    plan.pause = perhaps(&random, 40);
    plan.partition = perhaps(&random, 60);
    plan.heal = random_between(&random, 50, 300);
    plan.view_restart = perhaps(&random, 40);
    plan.skew = perhaps(&random, 30);
    if (random_between(&random, 0, 7) == 0)
        plan.sessions = random_between(&random, 2, 8);
    if (random_between(&random, 0, 7) == 0)
        plan.value = random_between(&random, 16, 256);
    return plan;
}

struct workload workload_drawn(uint64_t seed)
{
    uint64_t random = ~seed ^ UINT64_C(0x776f726b);
    struct workload workload = {
        .seconds = 10,
        .clients = random_between(&random, 1, 12),
        .keys = random_between(&random, 1, 6),
        .gets = random_between(&random, 1, 4),
        .puts = random_between(&random, 1, 2),
        .appends = random_between(&random, 0, 5),
        .octets = random_between(&random, 0, 64),
        .pause_us = random_between(&random, 5000, 200000),
        .life = perhaps(&random, 30),
    };

    if (random_between(&random, 0, 15) == 0) {
        workload.octets = random_between(&random, 1000, 20000);
        workload.appends = random_between(&random, 0, 1);
    }
    if (random_between(&random, 0, 15) == 0)
        workload.clients = random_between(&random, 13, WORKLOAD_CLIENTS_MAX);
    if (random_between(&random, 0, 15) == 0)
        workload.pause_us = 0;
    if (random_between(&random, 0, 63) == 0)
        workload.seconds = 60;
    return workload;
}
