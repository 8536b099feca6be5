/* SPDX-License-Identifier: MIT */
/*
 * special_transfer: state transfers, and what the machine could do at best.
 *
 * A store has one server, is filled, and gets its second while clients are at
 * work. Between the turns the second is killed, so that each turn has a new
 * process whose memory the system has still to provide; the first stays, and
 * with it the keys. A transfer is timed by its log, whose lines have
 * milliseconds.
 *
 * What a transfer cannot avoid is measured beside it, turn by turn: a process
 * sends as many octets over a connection of loopback to a new one, which stores
 * them in memory that nobody has touched yet, and does nothing else.
 */
#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/tool.h"
#include "node/memory.h"
#include "tests/bench/port.h"
#include "tests/bench/special.h"

enum {
    TRANSFER_VALUE = 1024, /* octets */
    KEY_SIZE = 16,
    TRANSFER_MS = 60000,
    MOMENT_MS = 500, /* for which the clients work before the transfer */
    QUICK_SECONDS = 3,
    PIECE = 256 * 1024, /* octets in one call */
    PATIENCE_S = 60,
};

static const char began_event[] = "transfer.started";
static const char ended_event[] = "transfer.done";

struct transfers {
    struct contender contender;
    unsigned done;
};

/* Returns MB/s (10^6 octets of keys and values). */
static double rate(uint32_t keys, double ms)
{
    return (double)keys * (KEY_SIZE + TRANSFER_VALUE) / 1000 /
           (ms > 1 ? ms : 1);
}

/* ---- The log ------------------------------------------------------------ */

/* Returns the milliseconds in a day of the last line of a log with an event, or
 * -1; counts such lines. */
static double last_ms(const char *log, const char *event, unsigned *count)
{
    const char *last = NULL, *found = log;
    int hours, minutes;
    double seconds;

    for (*count = 0; (found = strstr(found, event)) != NULL; found++) {
        last = found;
        ++*count;
    }
    while (last && last > log && last[-1] != '\n')
        last--;
    if (!last ||
        sscanf(last, "%*d-%*d-%*dT%d:%d:%lfZ", &hours, &minutes, &seconds) != 3)
        return -1;
    return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

/* Whether one more transfer is done than before. */
static bool condition_done(void *context)
{
    const struct transfers *transfers = context;
    char *log = process_log(transfers->contender.servers[0]);
    unsigned count;

    last_ms(log, ended_event, &count);
    free(log);
    return count > transfers->done;
}

/* Returns how long the last transfer took, or -1. */
static double last_transfer_ms(const struct transfers *transfers)
{
    char *log = process_log(transfers->contender.servers[0]);
    unsigned count;
    double began = last_ms(log, began_event, &count);
    double ended = last_ms(log, ended_event, &count);

    free(log);
    if (began < 0 || ended < 0)
        return -1;
    return ended < began ? ended - began + 86400000.0 : ended - began;
}

/* ---- A transfer --------------------------------------------------------- */

void special_release_transfers(struct special *special)
{
    if (special->transfers)
        cluster_free(special->transfers->contender.cluster);
    free(special->transfers);
    special->transfers = NULL;
}

/* Returns the store, made and filled if need be, or NULL. */
static struct transfers *store_of(struct special *special,
                                  const struct series *series)
{
    static const struct cluster_options options = {.tcp = true, .ping_ms = 100};
    struct contender *contender;

    if (special->transfers)
        return special->transfers;
    special->transfers = memory_new(sizeof(*special->transfers));
    contender = &special->transfers->contender;
    contender->kind = STORE;
    contender->keys = special_keys(special, series);
    contender->cluster = cluster_new(&options);
    if (store_form(contender->cluster, contender->servers, false) &&
        load_fill(contenders_build(special->contenders), contender,
                  TRANSFER_VALUE))
        return special->transfers;
    special_release_transfers(special);
    return NULL;
}

static bool add_backup(struct transfers *transfers)
{
    struct contender *contender = &transfers->contender;

    if (contender->servers[1])
        process_restart(contender->servers[1]);
    else
        contender->servers[1] = cluster_add_server(contender->cluster, NULL);
    return contender->servers[1] &&
           cluster_wait(TRANSFER_MS, condition_done, transfers);
}

/* Makes the primary the only server again. */
static bool remove_backup(struct transfers *transfers)
{
    struct contender *contender = &transfers->contender;

    process_signal(contender->servers[1], SIGKILL);
    return cluster_settles(contender->cluster, contender->servers[0], NULL,
                           NULL);
}

bool measure_transfer(struct special *special, const struct series *series,
                      struct outcome *outcome)
{
    struct load load = {.connections = series->connections,
                        .outstanding = series->outstanding,
                        .value_size = TRANSFER_VALUE,
                        .seconds =
                            special->quick ? QUICK_SECONDS : series->seconds};
    struct timespec moment = {0, MOMENT_MS * 1000000L};
    struct transfers *transfers = store_of(special, series);
    struct loading loading;
    bool done;
    double ms;

    if (!transfers || !load_start(contenders_build(special->contenders),
                                  &transfers->contender, &load, &loading))
        return false;
    nanosleep(&moment, NULL);
    done = add_backup(transfers);
    if (!load_finish(&loading, outcome) || !done)
        return false;
    transfers->done++;
    ms = last_transfer_ms(transfers);
    outcome->figure = rate(transfers->contender.keys, ms);
    if (ms > load.seconds * 1000.0 - MOMENT_MS)
        fprintf(stderr, "bench: the transfer took longer than the clients' "
                        "work: waits after it are unknown\n");
    return remove_backup(transfers) && ms >= 0;
}

/* ---- What it cannot avoid ----------------------------------------------- */

/* Receives so many octets into new memory, and says so by one octet. */
static bool store_octets(uint16_t port, size_t size)
{
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = port_dial(port);
    size_t have = 0;

    if (fd < 0 || memory == MAP_FAILED)
        return false;
    while (have < size) {
        size_t piece = size - have < PIECE ? size - have : PIECE;
        ssize_t got = recv(fd, memory + have, piece, 0);

        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return send(fd, memory, 1, MSG_NOSIGNAL) == 1;
}

/* Sends so many octets and waits until they are stored. */
static bool send_octets(int fd, size_t size)
{
    uint8_t *piece = memory_new(PIECE);
    ssize_t sent = 1;

    for (; size > 0 && sent > 0; size -= (size_t)sent)
        sent = send(fd, piece, size < PIECE ? size : PIECE, MSG_NOSIGNAL);
    if (sent > 0)
        sent = recv(fd, piece, 1, 0);
    free(piece);
    return sent > 0;
}

bool measure_storing(struct special *special, const struct series *series,
                     struct outcome *outcome)
{
    uint32_t keys = special_keys(special, series);
    size_t size = (size_t)keys * (KEY_SIZE + TRANSFER_VALUE);
    struct timeval patience = {PATIENCE_S, 0};
    uint16_t port;
    uint64_t began_ns;
    bool stored;
    pid_t child;
    int fd, listener = port_listen(1, &port);

    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience,
                                   sizeof(patience)) != 0)
        return false;
    fflush(NULL);
    child = fork();
    if (child == 0)
        _exit(store_octets(port, size) ? 0 : 1);
    fd = accept(listener, NULL, NULL);
    began_ns = tool_now_ns();
    stored = fd >= 0 && send_octets(fd, size);
    outcome->figure = rate(keys, (double)(tool_now_ns() - began_ns) / 1e6);
    close(fd);
    close(listener);
    waitpid(child, NULL, 0);
    return stored;
}
