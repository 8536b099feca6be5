/* SPDX-License-Identifier: MIT */
/*
 * load: see load.h. The result comes through a pipe as one JSON object. A
 * loader that goes on for ten minutes longer than it was told is killed.
 */
#define _GNU_SOURCE // wait4, pipe2
#include "tests/bench/load.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/contender.h"

enum {
    WORDS_MAX = 32,
    WORD_SIZE = 24,
    PATIENCE_S = 600,
    RESULT_SIZE = 65536,
    FILL_CONNECTIONS = 8,
    FILL_OUTSTANDING = 32,
};

/* The command line of a loader. */
struct words {
    char room[WORDS_MAX][WORD_SIZE];
    char program[4096];
    const char *list[WORDS_MAX + 1];
    unsigned count;
};

void outcome_release(struct outcome *outcome)
{
    json_decref(outcome->quantiles);
    memset(outcome, 0, sizeof(*outcome));
}

/* ---- The command line --------------------------------------------------- */

static void add_word(struct words *words, const char *word)
{
    if (words->count < WORDS_MAX)
        words->list[words->count++] = word;
}

static void add_number(struct words *words, const char *flag, uint32_t number)
{
    char *room = words->room[words->count];

    snprintf(room, WORD_SIZE, "%" PRIu32, number);
    add_word(words, flag);
    add_word(words, room);
}

static void add_store(struct words *words, const struct contender *contender,
                      const struct load *load)
{
    add_word(words, "bench");
    add_word(words, "--json");
    add_word(words, "--quiet");
    add_word(words, "--view");
    add_word(words, cluster_view_address(contender->cluster));
    add_number(words, "--read-share", load->reads ? 100 : 0);
}

static void add_other(struct words *words, const struct contender *contender,
                      const struct load *load)
{
    const char *kind = "echo";

    if (contender->kind == REDIS)
        kind = load->reads ? "redis-get" : "redis-set";
    add_word(words, "--kind");
    add_word(words, kind);
    add_number(words, "--port", contender->port);
}

static void make_words(struct words *words, const char *build,
                       const struct contender *contender,
                       const struct load *load)
{
    static const char *const programs[] = {"pbkv", "bench/unstamped/pbkv",
                                           "bench/loader", "bench/loader",
                                           "bench/loader"};

    words->count = 0;
    snprintf(words->program, sizeof(words->program), "%s/%s", build,
             programs[contender->kind]);
    add_word(words, words->program);
    if (contender->kind == STORE || contender->kind == UNSTAMPED)
        add_store(words, contender, load);
    else
        add_other(words, contender, load);
    add_number(words, "--clients", load->connections);
    add_number(words, "--outstanding", load->outstanding);
    add_number(words, "--value-size", load->value_size);
    add_number(words, "--keys", contender->keys > 0 ? contender->keys : 1);
    if (load->count > 0)
        add_number(words, "--count", load->count);
    else
        add_number(words, "--seconds", load->seconds);
    if (load->fills)
        add_word(words, "--fill");
    words->list[words->count] = NULL;
}

/* ---- The process -------------------------------------------------------- */

static void __attribute__((noreturn))
child_run(const struct words *words, int out, pid_t parent)
{
    union {
        const char *const *mine;
        char *const *theirs;
    } list = {words->list};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execv(words->program, list.theirs);
    perror(words->program);
    _exit(127);
}

bool load_start(const char *build, const struct contender *contender,
                const struct load *load, struct loading *loading)
{
    struct words words;
    pid_t parent = getpid();
    int ends[2];

    make_words(&words, build, contender, load);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("bench: pipe");
        return false;
    }
    loading->contender = contender;
    loading->seconds = load->seconds;
    loading->server_us = contender_cpu_us(contender);
    loading->out = ends[0];
    fflush(NULL);
    loading->pid = fork();
    if (loading->pid == 0)
        child_run(&words, ends[1], parent);
    close(ends[1]);
    if (loading->pid > 0)
        return true;
    perror("bench: fork");
    close(ends[0]);
    return false;
}

/* Reads all that the loader writes. Returns its length; 0 when it writes for
 * too long. */
static size_t read_result(const struct loading *loading, char *result)
{
    int ms = (int)(loading->seconds + PATIENCE_S) * 1000;
    size_t length = 0;

    for (;;) {
        struct pollfd wait = {loading->out, POLLIN, 0};
        ssize_t got;

        if (poll(&wait, 1, ms) <= 0)
            return 0;
        got = read(loading->out, result + length, RESULT_SIZE - length);
        if (got <= 0)
            return length;
        length += (size_t)got;
    }
}

static double number_at(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static double time_us(const struct timeval *time)
{
    return (double)time->tv_sec * 1e6 + (double)time->tv_usec;
}

static void read_outcome(const struct loading *loading, const json_t *result,
                         const struct rusage *usage, struct outcome *outcome)
{
    const json_t *latency = json_object_get(result, "latency_us");
    double operations = number_at(result, "operations");

    outcome->throughput = number_at(result, "throughput");
    outcome->p50_us = number_at(latency, "p50");
    outcome->p90_us = number_at(latency, "p90");
    outcome->p99_us = number_at(latency, "p99");
    outcome->p999_us = number_at(latency, "p99.9");
    outcome->max_us = number_at(latency, "max");
    outcome->quantiles = json_incref(json_object_get(result, "quantiles"));
    if (operations < 1)
        return;
    outcome->server_us =
        (contender_cpu_us(loading->contender) - loading->server_us) /
        operations;
    outcome->loader_us =
        (time_us(&usage->ru_utime) + time_us(&usage->ru_stime)) / operations;
}

bool load_finish(struct loading *loading, struct outcome *outcome)
{
    char *text = malloc(RESULT_SIZE);
    size_t length = text ? read_result(loading, text) : 0;
    struct rusage usage;
    json_t *result;
    int status;

    if (length == 0)
        kill(loading->pid, SIGKILL);
    close(loading->out);
    wait4(loading->pid, &status, 0, &usage);
    result = length > 0 ? json_loadb(text, length, 0, NULL) : NULL;
    free(text);
    memset(outcome, 0, sizeof(*outcome));
    if (result && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        read_outcome(loading, result, &usage, outcome);
        json_decref(result);
        return true;
    }
    json_decref(result);
    fprintf(stderr, "bench: a loader failed (wait status %d)\n", status);
    return false;
}

bool load_run(const char *build, const struct contender *contender,
              const struct load *load, struct outcome *outcome)
{
    struct loading loading;

    return load_start(build, contender, load, &loading) &&
           load_finish(&loading, outcome);
}

bool load_fill(const char *build, const struct contender *contender,
               uint32_t value_size)
{
    struct load load = {.connections = FILL_CONNECTIONS,
                        .outstanding = FILL_OUTSTANDING,
                        .value_size = value_size,
                        .count = 1,
                        .fills = true};
    struct outcome outcome = {0};
    bool filled = load_run(build, contender, &load, &outcome);

    outcome_release(&outcome);
    return filled;
}
