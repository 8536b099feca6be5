/* SPDX-License-Identifier: MIT */
/*
 * sim: runs whole stores in imagined worlds, one per seed, and stops at the
 * first that breaks an invariant, with the command that shows it again. What a
 * seed has drawn for itself is in that command, so it stays good when the rules
 * of drawing change.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpc/program.h"
#include "sim/campaign.h"
#include "sim/replay.h"

struct arguments {
    const char *seeds;
    const char *seed;
    const char *plan;
    const char *workload;
    const char *trace;
    const char *replay;
    uint32_t seconds; /* 0: as the workload says */
    uint32_t servers;
    uint32_t jobs; /* 0: one for each core */
    bool print_plan;
};

enum { STATUS_VIOLATION = 1, STATUS_SIGNAL = 128 };

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- What is said ---- */

static void print_totals(const struct campaign_totals *totals, double seconds)
{
    const struct cluster_result *sums = &totals->sums;
    const struct world_counts *counts = &sums->counts;

    printf("%" PRIu64 " schedules, %" PRIu64 " operations (%" PRIu64
           " outcomes unknown), %" PRIu64 " events, %" PRIu64 " views, %" PRIu64
           " transfers\n",
           totals->schedules, sums->operations, sums->unknown, counts->events,
           sums->view, sums->transfers);
    printf("processes: %" PRIu64 " crashes (%" PRIu64
           " between two effects), %" PRIu64 " restarts, %" PRIu64
           " pauses, %" PRIu64 " view-service restarts, %" PRIu64
           " skewed clocks, %" PRIu64 " clients replaced\n",
           counts->crashes, counts->midway, counts->restarts, counts->pauses,
           sums->view_restarts, sums->skewed, counts->successions);
    printf("links: %" PRIu64 " messages, %" PRIu64 " lost, %" PRIu64
           " doubled, %" PRIu64 " overtaken, %" PRIu64 " held back, %" PRIu64
           " queued at a narrow link, %" PRIu64 " partitions, %" PRIu64
           " one-way\n",
           counts->sent, counts->dropped, counts->doubled, counts->overtaken,
           counts->held, counts->queued, sums->partitions, sums->one_way);
    printf("%.0f s of virtual time in %.1f s: per second %.0f schedules, %.0f "
           "operations, %.0f events\n",
           (double)sums->virtual_us / 1e6, seconds,
           (double)totals->schedules / seconds,
           (double)sums->operations / seconds,
           (double)counts->events / seconds);
    printf("hash %016" PRIx64 "\n", totals->hash);
}

/* Prints what a seed has drawn, as options. */
static void print_config(const struct cluster_config *config)
{
    char text[SETTINGS_TEXT];

    printf("--plan '%s'", settings_format(&plan_settings, &config->plan, text));
    printf(" --workload '%s'",
           settings_format(&workload_settings, &config->workload, text));
    if (config->servers != 3)
        printf(" --servers %" PRIu32, config->servers);
    printf("\n");
}

static void print_violation(const struct campaign *campaign,
                            const struct campaign_outcome *outcome,
                            const char *program)
{
    struct cluster_config config = campaign_config(campaign, outcome->seed);

    printf("seed %" PRIu64 ": %s: %s\n", outcome->seed,
           outcome->result.violation, outcome->result.detail);
    printf("again: %s --seed %" PRIu64 " ", program, outcome->seed);
    print_config(&config);
}

static void say_progress(void *context, uint64_t seed)
{
    const struct campaign *campaign = context;

    fprintf(stderr, "seed %" PRIu64 " of %" PRIu64 "\n", seed, campaign->last);
}

/* ---- What is asked ---- */

/* Reads "7" or "1-1000". Returns false for anything else. */
static bool read_range(const char *text, uint64_t *first, uint64_t *last)
{
    char *end;

    errno = 0;
    *first = strtoull(text, &end, 10);
    *last = *first;
    if (*text < '0' || *text > '9')
        return false;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        *last = strtoull(end + 1, &end, 10);
    return *end == '\0' && errno == 0 && *first <= *last;
}

static int read_seeds(const struct program *program,
                      const struct arguments *arguments,
                      struct campaign *campaign)
{
    const char *text = arguments->seed ? arguments->seed : arguments->seeds;

    if (arguments->seed && arguments->seeds)
        return program_refuse(program, "--seed and --seeds exclude each other");
    if (!text)
        text = "1-100";
    if (!read_range(text, &campaign->first, &campaign->last) ||
        (arguments->seed && campaign->first != campaign->last))
        return program_refuse(program, "--%s: '%s' is not a %s",
                              arguments->seed ? "seed" : "seeds", text,
                              arguments->seed ? "number" : "range");
    if (arguments->trace && campaign->first != campaign->last)
        return program_refuse(program, "--trace is for one seed");
    return PROGRAM_GO_ON;
}

static int read_plans(const struct program *program,
                      const struct arguments *arguments,
                      struct campaign *campaign)
{
    struct cluster_config usual = cluster_config_default();
    char reason[SETTINGS_REASON];

    campaign->plan = usual.plan;
    campaign->workload = usual.workload;
    campaign->swarm_plan = strcmp(arguments->plan, "swarm") == 0;
    campaign->swarm_workload = strcmp(arguments->workload, "swarm") == 0;
    if (!campaign->swarm_plan &&
        !settings_enter(&plan_settings, arguments->plan, &campaign->plan,
                        sizeof(campaign->plan), reason))
        return program_refuse(program, "--plan: %s", reason);
    if (!campaign->swarm_workload &&
        !settings_enter(&workload_settings, arguments->workload,
                        &campaign->workload, sizeof(campaign->workload),
                        reason))
        return program_refuse(program, "--workload: %s", reason);
    if (arguments->seconds > 0 && campaign->swarm_workload)
        return program_refuse(program, "--seconds: a swarm draws its own");
    if (arguments->seconds > 0)
        campaign->workload.seconds = arguments->seconds;
    return PROGRAM_GO_ON;
}

static int read_campaign(const struct program *program,
                         const struct arguments *arguments,
                         struct campaign *campaign)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int status = read_seeds(program, arguments, campaign);

    if (status == PROGRAM_GO_ON)
        status = read_plans(program, arguments, campaign);
    campaign->servers = arguments->servers;
    campaign->trace = arguments->trace;
    campaign->jobs = arguments->jobs;
    if (campaign->jobs == 0)
        campaign->jobs = cores < 1 ? 1u
                                   : (uint32_t)(cores < CAMPAIGN_JOBS_MAX
                                                    ? cores
                                                    : CAMPAIGN_JOBS_MAX);
    return status;
}

/* ---- What is done ---- */

static int conclude(const struct campaign *campaign,
                    const struct campaign_outcome *outcome, const char *program)
{
    struct cluster_config config = campaign_config(campaign, outcome->seed);
    int error = outcome->result.trace_error;

    if (outcome->end == CAMPAIGN_VIOLATION) {
        print_violation(campaign, outcome, program);
        return STATUS_VIOLATION;
    }
    if (outcome->end == CAMPAIGN_STOPPED) {
        fprintf(stderr, "stopped by a signal\n");
        return STATUS_SIGNAL + outcome->signal;
    }
    if (error < 0) {
        fprintf(stderr, "sim: %s: %s\n", campaign->trace, strerror(-error));
        return PROGRAM_FAILED;
    }
    if (campaign->first == campaign->last) {
        printf("seed %" PRIu64 ": ", outcome->seed);
        print_config(&config);
    }
    return EXIT_SUCCESS;
}

static int run(struct campaign *campaign, const char *program)
{
    double start = now_s();
    struct campaign_outcome outcome;

    campaign->progress = say_progress;
    campaign->context = campaign;
    outcome = campaign_run(campaign);
    if (outcome.end == CAMPAIGN_FAILED) {
        perror("sim");
        return PROGRAM_FAILED;
    }
    if (outcome.totals.schedules > 0)
        print_totals(&outcome.totals, now_s() - start);
    return conclude(campaign, &outcome, program);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .plan = "swarm", .workload = "swarm", .servers = 3};
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("seeds", "N|N-M", "schedules to run (1-100)",
                            &arguments.seeds),
        PROGRAM_TEXT_OPTION("seed", "N", "the schedule to run",
                            &arguments.seed),
        PROGRAM_TEXT_OPTION("plan", "PLAN",
                            "what breaks: " PLAN_NAMES " (swarm)",
                            &arguments.plan),
        PROGRAM_TEXT_OPTION("workload", "WORK",
                            "what clients do: " WORKLOAD_NAMES " (swarm)",
                            &arguments.workload),
        PROGRAM_TEXT_OPTION("replay", "FILE",
                            "play a path that `explore --save` wrote",
                            &arguments.replay),
        PROGRAM_U32_OPTION("seconds", "S",
                           "virtual time with faults (as the workload says)",
                           &arguments.seconds, 1, 100000),
        PROGRAM_U32_OPTION("servers", "N", "kv servers (3)", &arguments.servers,
                           1, 16),
        PROGRAM_U32_OPTION("jobs", "N", "worker processes (one for each core)",
                           &arguments.jobs, 1, CAMPAIGN_JOBS_MAX),
        PROGRAM_TEXT_OPTION("trace", "FILE",
                            "write the stamped trace of one seed to FILE",
                            &arguments.trace),
        PROGRAM_FLAG_OPTION("print-plan",
                            "print the plan and the workload, and run nothing",
                            &arguments.print_plan),
    };
    const struct program program = {
        .name = "sim",
        .operands = "",
        .purpose = "Runs the store in imagined worlds, one for each seed, and "
                   "checks it.\nA plan or a workload is a name, settings such "
                   "as 'vicious,drop=5' or\n'max_us=500,crash=40', or a file "
                   "with either. --print-plan shows the settings.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    struct campaign campaign = {0};
    struct cluster_config config;
    int operand;
    int status = program_parse(&program, argc, argv, &operand);

    if (status == PROGRAM_GO_ON && arguments.replay)
        return replay_file(arguments.replay);
    if (status == PROGRAM_GO_ON)
        status = read_campaign(&program, &arguments, &campaign);
    if (status != PROGRAM_GO_ON)
        return status;
    if (!arguments.print_plan)
        return run(&campaign, argv[0]);
    config = campaign_config(&campaign, campaign.first);
    print_config(&config);
    return EXIT_SUCCESS;
}
