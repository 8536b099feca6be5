/* SPDX-License-Identifier: MIT */
/*
 * Ranges of seeds (sim/campaign.h), the plans that they draw (sim/plan.h) and
 * the traces of single ones: what a seed gives does not depend on how many
 * workers there are, on whether anybody traces, or on whether its plan was
 * drawn or entered.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clocks/verify.h"
#include "sim/campaign.h"
#include "tests/suite.h"

/* ---- Plans ---- */

static void assert_same_plan(const struct cluster_plan *plan)
{
    struct cluster_plan again;
    char text[SETTINGS_TEXT];
    char other[SETTINGS_TEXT];
    char reason[SETTINGS_REASON];

    ck_assert(plan_named("calm", &again));
    ck_assert_msg(settings_read(&plan_settings,
                                settings_format(&plan_settings, plan, text),
                                &again, sizeof(again), reason),
                  "%s: %s", text, reason);
    ck_assert_str_eq(text, settings_format(&plan_settings, &again, other));
    ck_assert_mem_eq(plan, &again, sizeof(again));
}

TEST(a_plan_that_is_printed_can_be_entered)
{
    static const char *const names[] = {"calm",    "shuffled", "lossy",
                                        "crowded", "brisk",    "vicious"};
    struct cluster_plan plan;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert(plan_named(names[i], &plan));
        assert_same_plan(&plan);
    }
    for (uint64_t seed = 1; seed <= 200; seed++) {
        plan = plan_drawn(seed);
        assert_same_plan(&plan);
    }
}

TEST(a_workload_that_is_printed_can_be_entered)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct workload drawn = workload_drawn(seed);
        struct workload again = {0};
        char text[SETTINGS_TEXT];
        char reason[SETTINGS_REASON];

        settings_format(&workload_settings, &drawn, text);
        ck_assert_msg(settings_read(&workload_settings, text, &again,
                                    sizeof(again), reason),
                      "%s: %s", text, reason);
        ck_assert_mem_eq(&drawn, &again, sizeof(again));
    }
}

TEST(settings_come_on_top_of_a_name)
{
    struct cluster_plan plan = {0};
    struct cluster_plan vicious;
    char reason[SETTINGS_REASON];

    ck_assert(settings_enter(&plan_settings, "vicious,drop=7 # less\ncrash=0",
                             &plan, sizeof(plan), reason));
    ck_assert(plan_named("vicious", &vicious));
    ck_assert_uint_eq(plan.network.drop, 7);
    ck_assert_uint_eq(plan.crash, 0);
    ck_assert_uint_eq(plan.pause, vicious.pause);
}

TEST(a_bad_plan_is_refused_with_a_reason)
{
    static const struct {
        const char *text;
        const char *reason;
    } bad[] = {
        {"fury", "'fury' is neither the name of a plan nor a file"},
        {"drop=1000", "drop needs a number from 0 to 999"},
        {"drop=", "drop needs a number from 0 to 999"},
        {"drop=-1", "drop needs a number from 0 to 999"},
        {"drop=1x", "drop needs a number from 0 to 999"},
        {"drop=99999999999999999999", "drop needs a number from 0 to 999"},
        {"rain=3", "'rain' is nothing that a plan has"},
        {"drop=3,calm", "'calm' is nothing that a plan has"},
        {"min_us=9,max_us=3", "min_us is more than max_us"},
        {"slow=3", "slow and slow_us go together"},
        {",", "there is nothing in it"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cluster_plan plan = {.network = {.min_us = 1, .max_us = 2}};
        char reason[SETTINGS_REASON] = "";

        ck_assert(!settings_enter(&plan_settings, bad[i].text, &plan,
                                  sizeof(plan), reason));
        ck_assert_str_eq(reason, bad[i].reason);
        ck_assert_uint_eq(plan.network.max_us, 2);
    }
}

/* Half of the seeds are without any one fault, and few without all. */
TEST(seeds_draw_different_faults)
{
    size_t with_crashes = 0;
    size_t with_loss = 0;
    size_t with_both = 0;

    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct cluster_plan plan = plan_drawn(seed);

        with_crashes += plan.crash > 0;
        with_loss += plan.network.drop > 0;
        with_both += plan.crash > 0 && plan.network.drop > 0;
    }
    ck_assert_uint_gt(with_crashes, 150);
    ck_assert_uint_lt(with_crashes, 250);
    ck_assert_uint_gt(with_loss, 150);
    ck_assert_uint_lt(with_loss, 250);
    ck_assert_uint_gt(with_both, 60);
    ck_assert_uint_lt(with_both, 140);
}

/* ---- Campaigns ---- */

static struct campaign swarm(uint64_t first, uint64_t last, uint32_t jobs)
{
    return (struct campaign){.first = first,
                             .last = last,
                             .jobs = jobs,
                             .servers = 3,
                             .swarm_plan = true,
                             .swarm_workload = true};
}

TEST(the_number_of_jobs_changes_nothing)
{
    struct campaign alone = swarm(1, 12, 1);
    struct campaign many = swarm(1, 12, 5);
    struct campaign later = swarm(2, 13, 5);
    struct campaign_outcome one = campaign_run(&alone);
    struct campaign_outcome two = campaign_run(&many);
    struct campaign_outcome other = campaign_run(&later);

    ck_assert_int_eq(one.end, CAMPAIGN_DONE);
    ck_assert_uint_eq(one.totals.schedules, 12);
    ck_assert_uint_eq(one.seed, 12);
    ck_assert_mem_eq(&one.totals, &two.totals, sizeof(one.totals));
    ck_assert(one.totals.hash != other.totals.hash);
}

/* Fails at seeds 9 and 11, and dies at 20. */
static struct cluster_result fail_later(const struct cluster_config *config)
{
    struct cluster_result result = {.hash = config->seed, .operations = 1};

    if (config->seed == 20)
        abort();
    if (config->seed == 9 || config->seed == 11)
        result.violation = "it is not as it should be";
    return result;
}

TEST(the_lowest_seed_that_fails_is_reported)
{
    for (uint32_t jobs = 1; jobs <= 7; jobs++) {
        struct campaign campaign = swarm(3, 1000, jobs);
        struct campaign_outcome outcome;

        campaign.run = fail_later;
        outcome = campaign_run(&campaign);
        ck_assert_int_eq(outcome.end, CAMPAIGN_VIOLATION);
        ck_assert_uint_eq(outcome.seed, 9);
        ck_assert_str_eq(outcome.result.violation, "it is not as it should be");
        ck_assert_uint_eq(outcome.totals.schedules, 7);
        ck_assert(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
    }
}

TEST(a_worker_that_dies_has_found_something)
{
    for (uint32_t jobs = 1; jobs <= 4; jobs++) {
        struct campaign campaign = swarm(12, 1000, jobs);
        struct campaign_outcome outcome;

        campaign.run = fail_later;
        outcome = campaign_run(&campaign);
        ck_assert_int_eq(outcome.end, CAMPAIGN_VIOLATION);
        ck_assert_uint_eq(outcome.seed, 20);
        ck_assert_str_eq(outcome.result.violation,
                         "a role or the world has crashed");
        ck_assert_str_eq(outcome.result.detail, strsignal(SIGABRT));
    }
}

TEST(a_signal_ends_a_campaign_and_its_workers)
{
    struct campaign campaign = swarm(1, UINT64_MAX, 3);
    struct campaign_outcome outcome;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGINT);
    outcome = campaign_run(&campaign);
    ck_assert_int_eq(outcome.end, CAMPAIGN_STOPPED);
    ck_assert_int_eq(outcome.signal, SIGINT);
    ck_assert(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

/* ---- Traces ---- */

static void print_break(void *context, const char *rule, const char *file,
                        uint64_t line, const char *sentence)
{
    (void)context;
    fprintf(stderr, "%s:%llu: %s: %s\n", file, (unsigned long long)line, rule,
            sentence);
}

/* K1 to K4, through crashes between two effects, doubles and new clients. */
TEST(the_trace_of_a_world_keeps_the_clock_rules)
{
    char directory[] = "/tmp/pbkv-campaign-XXXXXX";
    char path[64];
    struct cluster_config config = cluster_config_default();
    struct verifier *verifier = verifier_new();
    struct verify_summary summary;
    struct cluster_result silent;
    struct cluster_result traced;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/trace", directory);
    ck_assert(plan_named("vicious", &config.plan));
    ck_assert(workload_named("sessions", &config.workload));
    config.seed = 7;
    silent = cluster_run(&config);
    config.trace = path;
    traced = cluster_run(&config);
    ck_assert_int_eq(traced.trace_error, 0);
    ck_assert(traced.hash == silent.hash);
    ck_assert_int_eq(verifier_add_file(verifier, path), 0);
    verifier_run(verifier, print_break, NULL, &summary);
    ck_assert_uint_eq(summary.broken, 0);
    ck_assert_uint_eq(summary.receipts, traced.counts.delivered);
    ck_assert_uint_eq(summary.receipts, summary.receipts_matched);
    ck_assert_uint_gt(summary.hosts, 24 + 4);
    verifier_free(verifier);
    unlink(path);
    rmdir(directory);
}

TEST(a_trace_that_cannot_be_written_is_an_error)
{
    struct cluster_config config = cluster_config_default();

    config.workload.seconds = 1;
    config.trace = "/nowhere/trace";
    ck_assert_int_eq(cluster_run(&config).trace_error, -ENOENT);
}

SUITE("campaign", CASE(a_plan_that_is_printed_can_be_entered),
      CASE(a_workload_that_is_printed_can_be_entered),
      CASE(settings_come_on_top_of_a_name),
      CASE(a_bad_plan_is_refused_with_a_reason),
      CASE(seeds_draw_different_faults),
      CASE_LIMIT(the_number_of_jobs_changes_nothing, 120),
      CASE_LIMIT(the_lowest_seed_that_fails_is_reported, 60),
      CASE_LIMIT(a_worker_that_dies_has_found_something, 60),
      CASE_LIMIT(a_signal_ends_a_campaign_and_its_workers, 60),
      CASE_LIMIT(the_trace_of_a_world_keeps_the_clock_rules, 60),
      CASE(a_trace_that_cannot_be_written_is_an_error))
