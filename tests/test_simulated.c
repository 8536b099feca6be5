/* SPDX-License-Identifier: MIT */
/*
 * The whole store in imagined worlds (sim/cluster.h): the same roles as in the
 * live programs, under schedules drawn from seeds. After every event the
 * invariants across nodes are checked, and at the end the clients' history.
 *
 * A failure prints the seed; build/debug/sim --plan P --workload W --seed N
 * shows it again.
 */
#include <inttypes.h>

#include "sim/cluster.h"
#include "tests/suite.h"

static struct cluster_result run_one(const char *plan, const char *workload,
                                     uint64_t seed)
{
    struct cluster_config config = cluster_config_default();

    ck_assert(plan_named(plan, &config.plan));
    ck_assert(workload_named(workload, &config.workload));
    config.seed = seed;
    return cluster_run(&config);
}

static struct cluster_result run_seed(const char *plan, uint64_t seed)
{
    return run_one(plan, "hot", seed);
}

static void run_seeds(const char *plan, const char *workload, uint64_t first,
                      uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        struct cluster_result result = run_one(plan, workload, seed);

        ck_assert_msg(!result.violation,
                      "%s: %s (again: sim --plan %s --workload %s --seed "
                      "%" PRIu64 ")",
                      result.violation, result.detail, plan, workload, seed);
        ck_assert_uint_gt(result.operations, 0);
    }
}

TEST(the_same_seed_gives_the_same_run)
{
    struct cluster_result one = run_seed("vicious", 42);
    struct cluster_result two = run_seed("vicious", 42);
    struct cluster_result other = run_seed("vicious", 43);

    ck_assert(one.hash == two.hash);
    ck_assert(one.counts.events == two.counts.events);
    ck_assert(one.hash != other.hash);
}

/* A calm network loses no time: every call ends with an answer. */
TEST(a_calm_world_answers_everything)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct cluster_result result = run_seed("calm", seed);

        ck_assert_msg(!result.violation, "%s: %s", result.violation,
                      result.detail);
        ck_assert_uint_eq(result.unknown, 0);
        ck_assert_uint_eq(result.transfers, 1);
    }
}

/* Loss, duplication and reordering alone: P3, P6, T4, T5. Found here first, and
 * kept as scenarios: a confirmed read hid that a forward was lost; a chunk that
 * was built again had values of later operations; an acknowledgement of an
 * earlier transfer counted for the next one. */
TEST(a_lossy_world_loses_nothing)
{
    run_seeds("shuffled", "hot", 1, 5);
    run_seeds("lossy", "hot", 1, 80);
    run_seeds("crowded", "hot", 1, 20);
}

/* With crashes, pauses, partitions, skewed timers and view-service restarts. */
TEST(a_vicious_world_loses_nothing)
{
    run_seeds("vicious", "hot", 1, 100);
    run_seeds("brisk", "busy", 1, 20);
}

/* Seeds that draw their own faults and work. */
TEST(a_swarm_loses_nothing)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct cluster_config config = {.seed = seed,
                                        .servers = 3,
                                        .plan = plan_drawn(seed),
                                        .workload = workload_drawn(seed)};
        struct cluster_result result = cluster_run(&config);

        ck_assert_msg(!result.violation,
                      "%s: %s (again: sim --seed %" PRIu64 ")",
                      result.violation, result.detail, seed);
        ck_assert_uint_gt(result.operations, 0);
    }
}

/* What a workload promises is there: many sessions, large values, a long one.
 */
TEST(every_workload_does_its_work)
{
    struct cluster_result sessions = run_one("brisk", "sessions", 1);
    struct cluster_result large = run_one("brisk", "large", 1);
    struct cluster_result lengthy = run_one("brisk", "long", 1);

    ck_assert_ptr_null(sessions.violation);
    ck_assert_uint_gt(sessions.counts.successions, 300);
    ck_assert_ptr_null(large.violation);
    ck_assert_uint_gt(large.operations, 100);
    ck_assert_ptr_null(lengthy.violation);
    ck_assert_uint_gt(lengthy.virtual_us, 300000000);
    run_seeds("vicious", "sessions", 1, 5);
    run_seeds("vicious", "large", 1, 5);
}

/* The faults are really there: a plan that breaks nothing would prove nothing.
 */
TEST(a_vicious_world_is_vicious)
{
    struct cluster_result total = {0};

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster_result result = run_seed("vicious", seed);

        total.view += result.view;
        total.transfers += result.transfers;
        total.partitions += result.partitions;
        total.one_way += result.one_way;
        total.view_restarts += result.view_restarts;
        total.skewed += result.skewed;
        total.counts.crashes += result.counts.crashes;
        total.counts.midway += result.counts.midway;
        total.counts.pauses += result.counts.pauses;
        total.counts.dropped += result.counts.dropped;
        total.counts.doubled += result.counts.doubled;
        total.counts.overtaken += result.counts.overtaken;
        total.counts.held += result.counts.held;
        total.counts.queued += result.counts.queued;
    }
    ck_assert_uint_gt(total.view, 60);
    ck_assert_uint_gt(total.transfers, 40);
    ck_assert_uint_gt(total.partitions, 5);
    ck_assert_uint_gt(total.one_way, 5);
    ck_assert_uint_gt(total.view_restarts, 10);
    ck_assert_uint_gt(total.skewed, 100);
    ck_assert_uint_gt(total.counts.crashes, 40);
    ck_assert_uint_gt(total.counts.midway, 10);
    ck_assert_uint_gt(total.counts.pauses, 10);
    ck_assert_uint_gt(total.counts.dropped, 1000);
    ck_assert_uint_gt(total.counts.doubled, 1000);
    ck_assert_uint_gt(total.counts.overtaken, 1000);
    ck_assert_uint_gt(total.counts.held, 100);
    ck_assert_uint_gt(total.counts.queued, 100);
}

SUITE("simulated", CASE(the_same_seed_gives_the_same_run),
      CASE_LIMIT(a_calm_world_answers_everything, 60),
      CASE_LIMIT(a_lossy_world_loses_nothing, 120),
      CASE_LIMIT(a_vicious_world_loses_nothing, 120),
      CASE_LIMIT(a_swarm_loses_nothing, 120),
      CASE_LIMIT(every_workload_does_its_work, 120),
      CASE_LIMIT(a_vicious_world_is_vicious, 60))
