/* SPDX-License-Identifier: MIT */
/*
 * special: state transfer and memory. See special.h.
 *
 * A transfer is timed by the primary's own log, whose lines have milliseconds.
 * The store has one server at first, is filled, and then gets its second while
 * clients are at work.
 */
#include "tests/bench/special.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TRANSFER_VALUE = 1024, /* octets */
    KEY_SIZE = 16,
    QUICK = 10, /* a quick run has so much less */
    TRANSFER_MS = 60000,
    MOMENT_MS = 500, /* for which the clients work before the transfer */
};

uint32_t special_keys(const struct special *special,
                      const struct series *series)
{
    if (special->quick && series->keys >= QUICK * 1000)
        return series->keys / QUICK;
    return series->keys;
}

/* ---- Memory ------------------------------------------------------------- */

bool measure_memory(struct special *special, const struct series *series,
                    struct outcome *outcome)
{
    const struct contender *contender = contenders_get(
        special->contenders, series->kind, special_keys(special, series));

    if (!contender)
        return false;
    outcome->figure =
        process_memory(contender->servers[series->server]) / (1 << 20);
    return outcome->figure > 0;
}

/* ---- Transfer ----------------------------------------------------------- */

/* Returns the milliseconds in a day of the log line with an event, or -1. */
static double logged_ms(const struct process *process, const char *event)
{
    char *log = process_log(process);
    const char *found = strstr(log, event);
    int hours, minutes;
    double seconds, ms = -1;

    while (found && found > log && found[-1] != '\n')
        found--;
    if (found && sscanf(found, "%*d-%*d-%*dT%d:%d:%lfZ", &hours, &minutes,
                        &seconds) == 3)
        ms = ((hours * 60 + minutes) * 60 + seconds) * 1000;
    free(log);
    return ms;
}

/* Returns how long the primary's transfer took, or -1. */
static double transfer_ms(const struct process *primary)
{
    double began = logged_ms(primary, "transfer.started");
    double ended = logged_ms(primary, "transfer.done");

    if (began < 0 || ended < 0)
        return -1;
    return ended < began ? ended - began + 86400000.0 : ended - began;
}

/* Adds the backup while clients are at work. */
static bool transfer_under_load(struct special *special,
                                const struct series *series,
                                struct contender *contender,
                                struct outcome *outcome)
{
    struct load load = {.connections = series->connections,
                        .outstanding = series->outstanding,
                        .value_size = TRANSFER_VALUE,
                        .seconds = special->quick ? 3 : series->seconds};
    struct timespec moment = {0, MOMENT_MS * 1000000L};
    struct loading loading;
    bool done;
    double ms;

    if (!load_start(contenders_build(special->contenders), contender, &load,
                    &loading))
        return false;
    nanosleep(&moment, NULL);
    done = cluster_add_server(contender->cluster, NULL) &&
           process_says(contender->servers[0], "transfer.done", TRANSFER_MS);
    if (!load_finish(&loading, outcome) || !done)
        return false;
    ms = transfer_ms(contender->servers[0]);
    outcome->figure = (double)contender->keys * (KEY_SIZE + TRANSFER_VALUE) /
                      1000 / (ms > 1 ? ms : 1);
    if (ms > load.seconds * 1000.0 - MOMENT_MS)
        fprintf(stderr, "bench: the transfer took longer than the clients' "
                        "work: waits after it are unknown\n");
    return ms >= 0;
}

bool measure_transfer(struct special *special, const struct series *series,
                      struct outcome *outcome)
{
    static const struct cluster_options options = {.tcp = true, .ping_ms = 100};
    struct contender contender = {.kind = STORE,
                                  .keys = special_keys(special, series)};
    bool measured;

    contender.cluster = cluster_new(&options);
    measured = store_form(contender.cluster, contender.servers, false) &&
               load_fill(contenders_build(special->contenders), &contender,
                         TRANSFER_VALUE) &&
               transfer_under_load(special, series, &contender, outcome);
    cluster_free(contender.cluster);
    return measured;
}
