/* SPDX-License-Identifier: MIT */
/*
 * campaign: see campaign.h. Results are structures in a pipe: the workers are
 * forks of this very process, so the constant sentences in them are at the same
 * places here. A pipe holds a hundred results or so, which is how far a worker
 * gets ahead of the others.
 */
#include "sim/campaign.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"

enum { PROGRESS_S = 1 };

struct job {
    pid_t child;
    int results; /* the reading end of its pipe */
    FILE *said;  /* what it writes to standard error */
};

struct crew {
    const struct campaign *campaign;
    struct campaign_outcome outcome;
    struct job *jobs;
    uint32_t count;
    int signals;
};

struct cluster_config campaign_config(const struct campaign *campaign,
                                      uint64_t seed)
{
    return (struct cluster_config){
        .seed = seed,
        .servers = campaign->servers,
        .plan = campaign->swarm_plan ? plan_drawn(seed) : campaign->plan,
        .workload = campaign->swarm_workload ? workload_drawn(seed)
                                             : campaign->workload,
        .trace = campaign->trace,
    };
}

/* ---- The worker ---- */

/* Runs every n-th seed and ends the process. */
static void work(const struct campaign *campaign, uint32_t job, int results)
{
    for (uint64_t seed = campaign->first + job;; seed += campaign->jobs) {
        struct cluster_config config = campaign_config(campaign, seed);
        struct cluster_result result = campaign->run(&config);

        if (write(results, &result, sizeof(result)) != sizeof(result))
            _exit(EXIT_FAILURE);
        if (result.violation || campaign->last - seed < campaign->jobs)
            _exit(EXIT_SUCCESS);
    }
}

/* What the child of a fork does first: signals end it as usual, and its words
 * are kept. */
static void settle(struct crew *crew, const struct job *job)
{
    sigset_t none;

    for (uint32_t i = 0; i < crew->count; i++)
        close(crew->jobs[i].results);
    close(crew->signals);
    dup2(fileno(job->said), STDERR_FILENO);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int start(struct crew *crew, uint32_t index)
{
    struct job *job = &crew->jobs[index];
    int ends[2];

    if (pipe(ends) < 0)
        return -errno;
    job->said = tmpfile();
    job->child = job->said ? fork() : -1;
    if (job->child == 0) {
        close(ends[0]);
        settle(crew, job);
        work(crew->campaign, index, ends[1]);
    }
    close(ends[1]);
    job->results = ends[0];
    if (job->child > 0) {
        crew->count++;
        return 0;
    }
    close(ends[0]);
    if (job->said)
        fclose(job->said);
    return -errno;
}

/* ---- The parent ---- */

/* Whether a signal asks to stop. */
static bool is_stopped(struct crew *crew)
{
    struct signalfd_siginfo info;

    if (read(crew->signals, &info, sizeof(info)) != sizeof(info))
        return false;
    crew->outcome.end = CAMPAIGN_STOPPED;
    crew->outcome.signal = (int)info.ssi_signo;
    return true;
}

/* Reads the next result of a job. Returns sizeof(*result), less at the end of a
 * worker, or -1 when a signal came first. */
static ssize_t take(struct crew *crew, const struct job *job,
                    struct cluster_result *result)
{
    struct pollfd waits[] = {{.fd = job->results, .events = POLLIN},
                             {.fd = crew->signals, .events = POLLIN}};
    size_t got = 0;

    while (got < sizeof(*result)) {
        ssize_t length;

        if (poll(waits, 2, -1) < 0)
            continue; /* the process was stopped and goes on */
        if (is_stopped(crew))
            return -1;
        if (waits[0].revents == 0)
            continue;
        length =
            read(job->results, (char *)result + got, sizeof(*result) - got);
        if (length <= 0)
            break;
        got += (size_t)length;
    }
    return (ssize_t)got;
}

static void repeat_words(FILE *said)
{
    char text[4096];
    size_t length;

    rewind(said);
    while ((length = fread(text, 1, sizeof(text), said)) > 0)
        fwrite(text, 1, length, stderr);
}

/* The worker has died in the seed that was due. */
static void blame(struct crew *crew, struct job *job,
                  struct cluster_result *result)
{
    int status = 0;

    memset(result, 0, sizeof(*result));
    waitpid(job->child, &status, 0);
    job->child = 0;
    if (is_stopped(crew))
        return;
    repeat_words(job->said);
    result->violation = "a role or the world has crashed";
    if (WIFSIGNALED(status))
        snprintf(result->detail, sizeof(result->detail), "%s",
                 strsignal(WTERMSIG(status)));
}

static void add_counts(struct world_counts *sums,
                       const struct world_counts *counts)
{
    sums->events += counts->events;
    sums->sent += counts->sent;
    sums->delivered += counts->delivered;
    sums->dropped += counts->dropped;
    sums->doubled += counts->doubled;
    sums->overtaken += counts->overtaken;
    sums->held += counts->held;
    sums->queued += counts->queued;
    sums->crashes += counts->crashes;
    sums->midway += counts->midway;
    sums->restarts += counts->restarts;
    sums->successions += counts->successions;
    sums->pauses += counts->pauses;
}

static void add(struct campaign_totals *totals,
                const struct cluster_result *result)
{
    struct cluster_result *sums = &totals->sums;

    totals->schedules++;
    totals->hash = totals->hash * UINT64_C(0x9e3779b97f4a7c15) ^ result->hash;
    sums->operations += result->operations;
    sums->unknown += result->unknown;
    sums->view += result->view;
    sums->transfers += result->transfers;
    sums->partitions += result->partitions;
    sums->one_way += result->one_way;
    sums->view_restarts += result->view_restarts;
    sums->skewed += result->skewed;
    sums->virtual_us += result->virtual_us;
    add_counts(&sums->counts, &result->counts);
}

static void collect(struct crew *crew)
{
    const struct campaign *campaign = crew->campaign;
    struct campaign_outcome *outcome = &crew->outcome;
    time_t said = time(NULL);

    assert(crew->count > 0);
    for (uint64_t seed = campaign->first;; seed++) {
        struct job *job = &crew->jobs[(seed - campaign->first) % crew->count];
        struct cluster_result result = {0};
        ssize_t got = take(crew, job, &result);

        if (got >= 0 && got != (ssize_t)sizeof(result))
            blame(crew, job, &result);
        if (outcome->end == CAMPAIGN_STOPPED)
            return;
        add(&outcome->totals, &result);
        outcome->seed = seed;
        outcome->result = result;
        if (result.violation)
            outcome->end = CAMPAIGN_VIOLATION;
        if (result.violation || seed == campaign->last)
            return;
        if (campaign->progress && time(NULL) - said >= PROGRESS_S) {
            said = time(NULL);
            campaign->progress(campaign->context, seed);
        }
    }
}

static void dismiss(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->count; i++) {
        struct job *job = &crew->jobs[i];

        close(job->results);
        if (job->child > 0 && crew->outcome.end != CAMPAIGN_DONE)
            kill(job->child, SIGKILL);
        if (job->child > 0)
            waitpid(job->child, NULL, 0);
        fclose(job->said);
    }
}

struct campaign_outcome campaign_run(const struct campaign *campaign)
{
    struct campaign own = *campaign;
    struct crew crew = {.campaign = &own};
    sigset_t stop;
    int error = 0;

    if (!own.run)
        own.run = cluster_run;
    if (own.last - own.first < own.jobs)
        own.jobs = (uint32_t)(own.last - own.first + 1);
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    fflush(NULL);
    crew.jobs = memory_new(own.jobs * sizeof(*crew.jobs));
    crew.signals = signalfd(-1, &stop, SFD_NONBLOCK | SFD_CLOEXEC);
    if (crew.signals < 0)
        error = -errno;
    while (error == 0 && crew.count < own.jobs)
        error = start(&crew, crew.count);
    if (error == 0)
        collect(&crew);
    else
        crew.outcome.end = CAMPAIGN_FAILED;
    dismiss(&crew);
    free(crew.jobs);
    close(crew.signals);
    if (error < 0)
        errno = -error;
    return crew.outcome;
}
