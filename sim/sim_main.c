/* SPDX-License-Identifier: MIT */
/*
 * sim: runs whole stores in imagined worlds, one per seed, and stops at the
 * first that breaks an invariant, with the command that shows it again. Each
 * runs in a process of its own, so that an assertion that fails in a role is a
 * finding like any other, with its seed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rpc/program.h"
#include "sim/cluster.h"

struct arguments {
    const char *seeds;
    const char *plan;
    uint32_t seconds;
    uint32_t servers;
    uint32_t clients;
};

struct totals {
    uint64_t schedules;
    uint64_t operations;
    uint64_t unknown;
    uint64_t views;
    uint64_t transfers;
    uint64_t virtual_us;
    struct world_counts counts;
};

enum { STATUS_VIOLATION = 1, PROGRESS_S = 1 };

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reads "7" or "1-1000". Returns false for anything else. */
static bool read_range(const char *text, uint64_t *first, uint64_t *last)
{
    char *end;

    errno = 0;
    *first = strtoull(text, &end, 10);
    *last = *first;
    if (end == text || *text == '-')
        return false;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        *last = strtoull(end + 1, &end, 10);
    return *end == '\0' && errno == 0 && *first <= *last;
}

static void add(struct totals *totals, const struct cluster_result *result)
{
    totals->schedules++;
    totals->operations += result->operations;
    totals->unknown += result->unknown;
    totals->views += result->view;
    totals->transfers += result->transfers;
    totals->virtual_us += result->virtual_us;
    totals->counts.events += result->counts.events;
    totals->counts.crashes += result->counts.crashes;
    totals->counts.dropped += result->counts.dropped;
    totals->counts.doubled += result->counts.doubled;
}

static void print_totals(const struct totals *totals, double seconds)
{
    printf("%" PRIu64 " schedules, %" PRIu64 " operations (%" PRIu64
           " outcomes unknown), %" PRIu64 " views, %" PRIu64
           " transfers, %" PRIu64 " crashes\n",
           totals->schedules, totals->operations, totals->unknown,
           totals->views, totals->transfers, totals->counts.crashes);
    printf("%" PRIu64 " events, %" PRIu64 " messages lost, %" PRIu64
           " doubled; %.0f s of virtual time in %.1f s\n",
           totals->counts.events, totals->counts.dropped,
           totals->counts.doubled, (double)totals->virtual_us / 1e6, seconds);
}

static void print_violation(const struct arguments *arguments, uint64_t seed,
                            const struct cluster_result *result)
{
    printf("seed %" PRIu64 ": %s: %s\n", seed, result->violation,
           result->detail);
    printf("again: sim --plan %s --seconds %" PRIu32 " --servers %" PRIu32
           " --clients %" PRIu32 " --seeds %" PRIu64 "\n",
           arguments->plan, arguments->seconds, arguments->servers,
           arguments->clients, seed);
}

static void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* Runs one schedule in a child process, which has the same constants at the
 * same places. */
static struct cluster_result run_apart(const struct cluster_config *config)
{
    struct cluster_result result = {0};
    int ends[2];
    int status;
    ssize_t got;
    pid_t child;

    if (pipe(ends) < 0)
        give_up("pipe");
    child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0) {
        result = cluster_run(config);
        _exit(write(ends[1], &result, sizeof(result)) != sizeof(result));
    }
    close(ends[1]);
    got = read(ends[0], &result, sizeof(result));
    close(ends[0]);
    if (waitpid(child, &status, 0) < 0)
        give_up("waitpid");
    if (got != (ssize_t)sizeof(result)) {
        result.violation = "a role or the world has crashed";
        snprintf(result.detail, sizeof(result.detail), "%s",
                 WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
    }
    return result;
}

static int run(const struct arguments *arguments, struct cluster_config config,
               uint64_t first, uint64_t last)
{
    struct totals totals = {0};
    double start = now_s();
    double said = start;

    for (uint64_t seed = first;; seed++) {
        struct cluster_result result;

        config.seed = seed;
        result = run_apart(&config);
        add(&totals, &result);
        if (result.violation) {
            print_violation(arguments, seed, &result);
            return STATUS_VIOLATION;
        }
        if (now_s() - said >= PROGRESS_S) {
            said = now_s();
            fprintf(stderr, "seed %" PRIu64 " of %" PRIu64 "\n", seed, last);
        }
        if (seed == last)
            break;
    }
    print_totals(&totals, now_s() - start);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {"1-100", "vicious", 10, 3, 4};
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("seeds", "N|N-M", "schedules to run (1-100)",
                            &arguments.seeds),
        PROGRAM_TEXT_OPTION("plan", "NAME",
                            "calm, lossy, crowded or vicious (vicious)",
                            &arguments.plan),
        PROGRAM_U32_OPTION("seconds", "S", "virtual time with faults (10)",
                           &arguments.seconds, 1, 100000),
        PROGRAM_U32_OPTION("servers", "N", "kv servers (3)", &arguments.servers,
                           1, 16),
        PROGRAM_U32_OPTION("clients", "N", "clients (4)", &arguments.clients, 1,
                           32),
    };
    const struct program program = {
        .name = "sim",
        .operands = "",
        .purpose = "Runs the store in imagined worlds and checks it.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    struct cluster_config config = cluster_config_default();
    uint64_t first;
    uint64_t last;
    int operand;
    int status = program_parse(&program, argc, argv, &operand);

    if (status != PROGRAM_GO_ON)
        return status;
    if (!read_range(arguments.seeds, &first, &last))
        return program_refuse(&program, "--seeds: '%s' is not a range",
                              arguments.seeds);
    if (!cluster_plan_named(arguments.plan, &config.plan))
        return program_refuse(&program, "--plan: '%s' is not a plan",
                              arguments.plan);
    config.fault_us = (uint64_t)arguments.seconds * 1000000;
    config.servers = arguments.servers;
    config.clients = arguments.clients;
    return run(&arguments, config, first, last);
}
