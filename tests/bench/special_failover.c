/* SPDX-License-Identifier: MIT */
/*
 * special_failover: kills primaries. A store of two servers is kept between the
 * turns: what was killed is started again and becomes the backup, with a state
 * transfer, so a store of a million keys is filled only once.
 *
 * The client is one handle with the library's defaults, which has just used the
 * primary. It kills at a random moment of the ping cycle, because how long a
 * failover takes depends on it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/tool.h"
#include "node/memory.h"
#include "node/random.h"
#include "tests/bench/special.h"

enum {
    DEAD_PINGS = 5,
    SETTLE_TRIES = 6, /* of eight seconds each */
    WARM_PUTS = 20,
    DEADLINE_MS = 10000,
};

struct failover {
    uint32_t keys;
    uint32_t ping_ms;
    struct contender contender;
    struct pbkv *client;
    uint64_t random;
    struct failover *next;
};

void special_release(struct special *special)
{
    special_release_transfers(special);
    while (special->failovers) {
        struct failover *failover = special->failovers;

        special->failovers = failover->next;
        pbkv_close(failover->client);
        cluster_free(failover->contender.cluster);
        free(failover);
    }
}

static bool form(struct special *special, struct failover *failover)
{
    struct contender *contender = &failover->contender;

    return store_form(contender->cluster, contender->servers, true) &&
           load_fill(contenders_build(special->contenders), contender,
                     VALUE_SIZE);
}

/* Returns the store of a series, made if need be, or NULL. */
static struct failover *store_of(struct special *special,
                                 const struct series *series)
{
    uint32_t keys = special_keys(special, series);
    struct cluster_options options = {
        .tcp = true, .ping_ms = series->ping_ms, .dead_pings = DEAD_PINGS};
    struct failover *failover = special->failovers;

    while (failover &&
           (failover->keys != keys || failover->ping_ms != series->ping_ms))
        failover = failover->next;
    if (failover)
        return failover;
    failover = memory_new(sizeof(*failover));
    failover->keys = keys;
    failover->ping_ms = series->ping_ms;
    failover->random = series->ping_ms;
    failover->contender.kind = STORE;
    failover->contender.keys = keys;
    failover->contender.cluster = cluster_new(&options);
    failover->next = special->failovers;
    special->failovers = failover;
    if (!form(special, failover))
        return NULL;
    failover->client = cluster_open(failover->contender.cluster, NULL);
    return failover;
}

static bool settles(struct failover *failover)
{
    struct process **servers = failover->contender.servers;

    for (int i = 0; i < SETTLE_TRIES; i++)
        if (cluster_settles(failover->contender.cluster, servers[0], servers[1],
                            NULL))
            return true;
    fprintf(stderr, "bench: the store did not recover\n");
    return false;
}

static enum pbkv_status put(struct failover *failover)
{
    return pbkv_put(failover->client, "failover", 8, "x", 1, DEADLINE_MS);
}

static void rest_for_part_of_a_cycle(struct failover *failover)
{
    struct timespec pause = {0, 0};

    pause.tv_nsec =
        (long)(random_fraction(&failover->random) * failover->ping_ms * 1e6);
    nanosleep(&pause, NULL);
}

bool measure_failover(struct special *special, const struct series *series,
                      struct outcome *outcome)
{
    struct failover *failover = store_of(special, series);
    struct process *killed;
    enum pbkv_status status = PBKV_OK;
    uint64_t began_ns;

    if (!failover || !failover->client || !settles(failover))
        return false;
    for (int i = 0; i < WARM_PUTS && status == PBKV_OK; i++)
        status = put(failover);
    rest_for_part_of_a_cycle(failover);
    killed = failover->contender.servers[0];
    began_ns = tool_now_ns();
    kill(killed->pid, SIGKILL);
    if (status == PBKV_OK)
        status = put(failover);
    outcome->figure = (double)(tool_now_ns() - began_ns) / 1e6;
    process_signal(killed, SIGKILL); /* buries it */
    process_restart(killed);
    failover->contender.servers[0] = failover->contender.servers[1];
    failover->contender.servers[1] = killed;
    if (status != PBKV_OK)
        fprintf(stderr, "bench: %s\n", pbkv_status_text(status));
    return status == PBKV_OK;
}
