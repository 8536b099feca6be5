/* SPDX-License-Identifier: MIT */
/*
 * contender: see contender.h. A store is known to be ready by its log lines and
 * not by asking it, because one whose messages carry no clocks answers nobody
 * else's.
 */
#include "tests/bench/contender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "node/memory.h"
#include "tests/bench/load.h"
#include "tests/bench/port.h"

enum {
    CONTENDERS_MAX = 16,
    FORM_MS = 8000,
    ANSWER_SIZE = 8192, /* octets of an answer of Redis that are looked at */
    ARGUMENT_SIZE = 160,
};

struct contenders {
    char *build;
    struct contender *all[CONTENDERS_MAX];
    unsigned count;
};

struct contenders *contenders_new(const char *build)
{
    struct contenders *contenders = memory_new(sizeof(*contenders));

    contenders->build = memory_copy_text(build);
    return contenders;
}

void contenders_free(struct contenders *contenders)
{
    for (unsigned i = 0; i < contenders->count; i++) {
        cluster_free(contenders->all[i]->cluster);
        free(contenders->all[i]);
    }
    free(contenders->build);
    free(contenders);
}

const char *contenders_build(const struct contenders *contenders)
{
    return contenders->build;
}

/* ---- A store ------------------------------------------------------------ */

bool store_form(struct cluster *cluster, struct process *servers[2],
                bool with_backup)
{
    struct process *view = cluster_add_view_service(cluster);

    servers[0] = view ? cluster_add_server(cluster, NULL) : NULL;
    if (!servers[0] || !process_says(view, "view.acknowledged", FORM_MS))
        return false;
    if (!with_backup)
        return true;
    servers[1] = cluster_add_server(cluster, NULL);
    return servers[1] && process_says(servers[0], "transfer.done", FORM_MS);
}

static bool start_store(struct contender *contender)
{
    return store_form(contender->cluster, contender->servers, true);
}

/* Starts a store of the programs without stamps, and checks that they are. */
static bool start_unstamped(struct contender *contender)
{
    return start_store(contender) &&
           process_says(cluster_view_service(contender->cluster), " lamport 0 ",
                        FORM_MS);
}

/* ---- Redis -------------------------------------------------------------- */

struct question {
    uint16_t port;
    const char *ask;
    const char *expected;
};

/* Asks a server and returns whether the expected is in what it answers. */
static bool redis_says(void *context)
{
    const struct question *question = context;
    char answer[ANSWER_SIZE + 1];
    struct timeval limit = {1, 0};
    ssize_t got = -1;
    int fd = port_dial(question->port);

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (send(fd, question->ask, strlen(question->ask), MSG_NOSIGNAL) > 0)
        got = recv(fd, answer, ANSWER_SIZE, 0);
    close(fd);
    if (got <= 0)
        return false;
    answer[got] = '\0';
    return strstr(answer, question->expected) != NULL;
}

static struct process *start_redis_server(struct contender *contender,
                                          const char *name, uint16_t port,
                                          uint16_t primary)
{
    char directory[CLUSTER_PATH_SIZE], own[16], other[32];
    const char *arguments[] = {"--port", own, "--bind", "127.0.0.1", "--save",
                               "", "--appendonly", "no", "--daemonize", "no",
                               "--loglevel", "warning", "--dir",
                               cluster_path(contender->cluster, "", directory),
                               "--repl-diskless-sync-delay", "0",
                               /* only for the replica */
                               "--replicaof", other, NULL};

    snprintf(own, sizeof(own), "%u", (unsigned)port);
    snprintf(other, sizeof(other), "127.0.0.1 %u", (unsigned)primary);
    if (primary == 0)
        arguments[sizeof(arguments) / sizeof(arguments[0]) - 3] = NULL;
    return process_start(contender->cluster, "/usr/bin/redis-server", name,
                         arguments);
}

static bool start_redis(struct contender *contender)
{
    uint16_t replica = port_free();
    struct question primary_up = {0, "PING\r\n", "+PONG"};
    struct question linked = {replica, "INFO replication\r\n",
                              "master_link_status:up"};

    contender->port = port_free();
    primary_up.port = contender->port;
    if (replica == 0 || contender->port == 0 || replica == contender->port)
        return false;
    contender->servers[0] =
        start_redis_server(contender, "redis", contender->port, 0);
    if (!cluster_wait(FORM_MS, redis_says, &primary_up))
        return false;
    contender->servers[1] =
        start_redis_server(contender, "replica", replica, contender->port);
    return cluster_wait(FORM_MS, redis_says, &linked);
}

/* ---- Echo servers ------------------------------------------------------- */

/* Starts an echo server that relays to a port (0: it answers itself) and
 * returns the port it listens on; 0 when it does not. */
static uint16_t start_echo_server(struct contender *contender, unsigned number,
                                  uint16_t to)
{
    static const char ready[] = "listen.ready 127.0.0.1:";
    char name[16], target[16];
    const char *arguments[] = {to != 0 ? "--to" : NULL, target, NULL};
    const char *found;
    char *log;
    unsigned long port = 0;

    snprintf(name, sizeof(name), "echo%u", number);
    snprintf(target, sizeof(target), "%u", (unsigned)to);
    contender->servers[number] =
        process_start(contender->cluster, "bench/echo", name, arguments);
    if (!process_says(contender->servers[number], "\n", FORM_MS))
        return 0;
    log = process_log(contender->servers[number]);
    found = strstr(log, ready);
    if (found)
        port = strtoul(found + strlen(ready), NULL, 10);
    free(log);
    return (uint16_t)port;
}

static bool start_floor(struct contender *contender)
{
    uint16_t onward = start_echo_server(contender, 1, 0);

    contender->port = onward ? start_echo_server(contender, 0, onward) : 0;
    return contender->port != 0;
}

static bool start_ceiling(struct contender *contender)
{
    contender->port = start_echo_server(contender, 0, 0);
    return contender->port != 0;
}

/* ---- All of them -------------------------------------------------------- */

static bool start(struct contender *contender)
{
    switch (contender->kind) {
    case STORE: return start_store(contender);
    case UNSTAMPED: return start_unstamped(contender);
    case REDIS: return start_redis(contender);
    case FLOOR: return start_floor(contender);
    case CEILING: return start_ceiling(contender);
    case MACHINE: break;
    }
    return false;
}

/* Writes every key once, where there are keys. */
static bool fill(struct contenders *contenders, struct contender *contender)
{
    return contender->kind == FLOOR || contender->kind == CEILING ||
           load_fill(contenders->build, contender, VALUE_SIZE);
}

/* Starts a new contender from the folder that has its programs. */
static struct contender *launch(struct contenders *contenders,
                                enum contender_kind kind, uint32_t keys)
{
    static const struct cluster_options options = {.tcp = true, .ping_ms = 100};
    struct contender *contender = memory_new(sizeof(*contender));
    char build[4096];

    snprintf(build, sizeof(build), "%s%s", contenders->build,
             kind == UNSTAMPED ? "/bench/unstamped" : "");
    setenv("PBKV_BUILD", build, 1);
    contender->kind = kind;
    contender->keys = keys;
    contender->cluster = cluster_new(&options);
    setenv("PBKV_BUILD", contenders->build, 1);
    if (start(contender) && fill(contenders, contender))
        return contender;
    fprintf(stderr,
            "bench: a contender did not start or could not be filled\n");
    cluster_free(contender->cluster);
    free(contender);
    return NULL;
}

struct contender *contenders_get(struct contenders *contenders,
                                 enum contender_kind kind, uint32_t keys)
{
    struct contender *contender;

    for (unsigned i = 0; i < contenders->count; i++) {
        contender = contenders->all[i];
        if (contender->kind == kind && contender->keys == keys)
            return contender;
    }
    if (contenders->count == CONTENDERS_MAX)
        return NULL;
    contender = launch(contenders, kind, keys);
    if (contender)
        contenders->all[contenders->count++] = contender;
    return contender;
}

/* ---- What they use ------------------------------------------------------ */

/* Returns the clock ticks that a process has used, from /proc. */
static double cpu_ticks(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user = 0, kernel = 0;
    const char *fields = NULL;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (fgets(line, sizeof(line), file))
        fields = strrchr(line, ')'); /* the name may have anything in it */
    fclose(file);
    if (!fields || sscanf(fields,
                          ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                          "%lu %lu",
                          &user, &kernel) != 2)
        return 0;
    return (double)(user + kernel);
}

double contender_cpu_us(const struct contender *contender)
{
    double ticks = 0;

    for (int i = 0; i < 2; i++)
        if (contender->servers[i])
            ticks += cpu_ticks(contender->servers[i]->pid);
    return ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

double process_memory(const struct process *process)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "VmRSS: %lu", &kib) == 1)
            break;
    fclose(file);
    return (double)kib * 1024;
}
