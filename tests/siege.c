/* SPDX-License-Identifier: MIT */
/*
 * siege: see siege.h. The witnesses rest for a moment after each call, so that
 * they load the store without filling the machine: then their times would only
 * tell how they keep each other waiting.
 */
#define _GNU_SOURCE // the name of a thread's clock and dirfd
#include "tests/siege.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"
#include "node/random.h"
#include "rpc/frame.h"
#include "sim/lincheck.h"
#include "tests/raw_peer.h"
#include "tests/suite.h"

enum {
    KEYS = 4,
    TEXT_SIZE = 64,
    REST_US = 1000,
    CALM_MS = 500,         /* in which a process that rests is watched */
    CALM_CPU_PERCENT = 40, /* of one processor, in that time */
    PING_MS = 100,
    DEAD_PINGS = 40, /* a machine that is busy with the attack is no death */
    LINE_SIZE = 256,
};

void siege_wait(uint32_t ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000L};

    nanosleep(&pause, NULL);
}

bool siege_memory_counts(void)
{
#ifdef SUITE_SANITIZED
    return false;
#else
    return true;
#endif
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- Witnesses ----------------------------------------------------------- */

/* Notes the beginning of a call; returns its place in the history. */
static size_t note_begin(struct witness *witness, enum history_kind kind,
                         const char *key, const char *value)
{
    struct siege *siege = witness->siege;
    struct bytes *key_bytes, *value_bytes;
    size_t index;

    pthread_mutex_lock(&siege->mutex);
    key_bytes = bytes_new(key, strlen(key));
    value_bytes = value ? bytes_new(value, strlen(value)) : NULL;
    index = history_invoke(&siege->history, witness->number, kind, key_bytes,
                           value_bytes, now_us());
    bytes_release(key_bytes);
    bytes_release(value_bytes);
    pthread_mutex_unlock(&siege->mutex);
    return index;
}

static void note_time(struct witness *witness, uint64_t took_us)
{
    unsigned phase = witness->siege->attacked ? 1 : 0;

    if (witness->calls[phase] < SIEGE_CALLS_MAX)
        witness->times[phase][witness->calls[phase]++] = (uint32_t)took_us;
}

/* Notes the end of a call. One without an answer stays open, and the witness is
 * another process from then on. */
static void note_end(struct witness *witness, size_t index,
                     enum pbkv_status status, const struct pbkv_value *value,
                     uint64_t took_us)
{
    struct siege *siege = witness->siege;
    struct bytes *read = NULL;

    pthread_mutex_lock(&siege->mutex);
    if (status == PBKV_OK || status == PBKV_NO_KEY) {
        if (value->data)
            read = bytes_new(value->data, value->length);
        history_return(&siege->history, index, read, now_us());
        bytes_release(read);
    } else {
        witness->unknown++;
        witness->number += SIEGE_WITNESSES;
    }
    note_time(witness, took_us);
    pthread_mutex_unlock(&siege->mutex);
}

/* One call of a random kind. */
static void call_once(struct witness *witness, uint32_t count, uint64_t *random)
{
    static const enum history_kind kinds[] = {HISTORY_GET, HISTORY_PUT,
                                              HISTORY_APPEND};
    enum history_kind kind = kinds[random_between(random, 0, 2)];
    struct pbkv_value read = {NULL, 0};
    char key[TEXT_SIZE], value[TEXT_SIZE];
    enum pbkv_status status;
    uint64_t began;
    size_t index;

    snprintf(key, sizeof(key), "witness%u",
             random_between(random, 0, KEYS - 1));
    snprintf(value, sizeof(value), "%" PRIu32 ".%" PRIu32 ";", witness->number,
             count);
    began = now_us();
    index = note_begin(witness, kind, key, kind == HISTORY_GET ? NULL : value);
    if (kind == HISTORY_GET)
        status = pbkv_get(witness->handle, key, strlen(key), 0, &read);
    else if (kind == HISTORY_PUT)
        status = pbkv_put(witness->handle, key, strlen(key), value,
                          strlen(value), 0);
    else
        status = pbkv_append(witness->handle, key, strlen(key), value,
                             strlen(value), 0);
    note_end(witness, index, status, &read, now_us() - began);
    pbkv_free(&read);
}

static bool is_over(struct siege *siege)
{
    bool over;

    pthread_mutex_lock(&siege->mutex);
    over = siege->over;
    pthread_mutex_unlock(&siege->mutex);
    return over;
}

static void *witness_run(void *argument)
{
    struct witness *witness = argument;
    struct timespec rest = {0, REST_US * 1000L};
    uint64_t random = witness->number + 1;

    for (uint32_t count = 0; !is_over(witness->siege); count++) {
        call_once(witness, count, &random);
        nanosleep(&rest, NULL);
    }
    return NULL;
}

static void *sleeper_run(void *argument)
{
    struct sleeper *sleeper = argument;
    struct siege *siege = sleeper->siege;
    struct timespec rest = {0, REST_US * 1000L};

    while (!is_over(siege)) {
        uint64_t began = now_us();
        uint32_t late;

        nanosleep(&rest, NULL);
        late = (uint32_t)(now_us() - began - REST_US);
        pthread_mutex_lock(&siege->mutex);
        if (siege->attacked && late > sleeper->latest_us)
            sleeper->latest_us = late;
        pthread_mutex_unlock(&siege->mutex);
    }
    return NULL;
}

static void sleeper_start(struct siege *siege)
{
    siege->sleeper.siege = siege;
    ck_assert_int_eq(pthread_create(&siege->sleeper.thread, NULL, sleeper_run,
                                    &siege->sleeper),
                     0);
}

static void witness_start(struct siege *siege, uint32_t number)
{
    struct witness *witness = &siege->witnesses[number];

    witness->siege = siege;
    witness->number = number;
    witness->handle = cluster_open(siege->cluster, NULL);
    for (unsigned i = 0; i < 2; i++)
        witness->times[i] = memory_new(SIEGE_CALLS_MAX * sizeof(uint32_t));
    ck_assert_int_eq(
        pthread_create(&witness->thread, NULL, witness_run, witness), 0);
}

/* ---- Usage --------------------------------------------------------------- */

static uint64_t status_line(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    char line[LINE_SIZE];
    uint64_t value = 0;

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoull(line + strlen(name) + 1, NULL, 10);
    fclose(file);
    return value;
}

static uint64_t cpu_ms(pid_t pid)
{
    uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    char path[TEXT_SIZE], line[LINE_SIZE * 4] = "";
    unsigned long user = 0, system = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (fgets(line, sizeof(line), file) && strrchr(line, ')'))
        sscanf(strrchr(line, ')') + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system);
    fclose(file);
    return (user + system) * tick_ms;
}

static unsigned count_descriptors(pid_t pid)
{
    char path[TEXT_SIZE];
    unsigned count = 0;
    DIR *directory;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2; /* "." and ".." */
}

struct usage siege_usage(const struct process *process)
{
    char path[TEXT_SIZE];
    struct usage usage;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
    usage.rss_kib = status_line(path, "VmRSS");
    usage.peak_kib = status_line(path, "VmHWM");
    usage.cpu_ms = cpu_ms(process->pid);
    usage.descriptors = count_descriptors(process->pid);
    return usage;
}

/* ---- Frames -------------------------------------------------------------- */

uint8_t *forged_pack(const struct forged *forged, size_t *size)
{
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from = PBKV__PEER__INIT, to = PBKV__PEER__INIT;
    size_t count = forged->clock_entries;
    Pbkv__ClockEntry *entries = memory_new(count * sizeof(*entries));
    Pbkv__ClockEntry **pointers =
        memory_new(count * sizeof(Pbkv__ClockEntry *));
    char(*hosts)[32] = memory_new(count * sizeof(*hosts));
    Pbkv__Body body = *forged->body;
    Pbkv__Body *bodies[] = {&body};
    uint8_t *octets;

    peer_to_message(&forged->from, &from);
    for (size_t i = 0; i < count; i++) {
        snprintf(hosts[i], sizeof(hosts[i]), "forged%zu", i);
        pbkv__clock_entry__init(&entries[i]);
        entries[i].host = message_octets(hosts[i], strlen(hosts[i]));
        entries[i].time = 1;
        pointers[i] = &entries[i];
    }
    frame.from = &from;
    frame.to = &to;
    frame.lamport = forged->lamport;
    frame.vector = pointers;
    frame.n_vector = count;
    frame.n_bodies = 1;
    frame.bodies = bodies;
    *size = pbkv__frame__get_packed_size(&frame) + FRAME_LENGTH_SIZE;
    octets = memory_new(*size);
    for (size_t i = 0; i < FRAME_LENGTH_SIZE; i++)
        octets[i] = (uint8_t)((*size - FRAME_LENGTH_SIZE) >> (24 - 8 * i));
    pbkv__frame__pack(&frame, octets + FRAME_LENGTH_SIZE);
    free(entries);
    free(pointers);
    free(hosts);
    return octets;
}

bool forged_send(int fd, const Pbkv__Body *body)
{
    const struct forged forged = {
        .from = peer_at("client:1", 1),
        .lamport = 1,
        .clock_entries = 1,
        .body = body,
    };
    size_t size;
    uint8_t *octets = forged_pack(&forged, &size);
    bool sent = raw_send(fd, octets, size);

    free(octets);
    return sent;
}

int siege_dial(struct siege *siege, unsigned process)
{
    const char *listen = siege->processes[process]->listen;
    struct address address;

    ck_assert_int_eq(address_init(&address, listen, strlen(listen)), 0);
    return raw_dial(&address);
}

/* ---- The siege ----------------------------------------------------------- */

static void form(struct siege *siege, const char *const *more)
{
    static const struct cluster_options options = {.ping_ms = PING_MS,
                                                   .dead_pings = DEAD_PINGS};
    struct process **servers = siege->processes;

    siege->cluster = cluster_new(&options);
    servers[SIEGE_SERVERS] = cluster_add_view_service(siege->cluster);
    ck_assert_ptr_nonnull(servers[SIEGE_SERVERS]);
    for (unsigned i = 0; i < SIEGE_SERVERS; i++) {
        servers[i] = cluster_add_server(siege->cluster, more);
        ck_assert_ptr_nonnull(servers[i]);
        if (i < 2)
            ck_assert(cluster_settles(siege->cluster, servers[0],
                                      i > 0 ? servers[1] : NULL, &siege->view));
    }
}

void siege_begin(struct siege *siege, const char *const *more)
{
    memset(siege, 0, sizeof(*siege));
    form(siege, more);
    pthread_mutex_init(&siege->mutex, NULL);
    history_init(&siege->history);
    for (uint32_t i = 0; i < SIEGE_WITNESSES; i++)
        witness_start(siege, i);
    sleeper_start(siege);
    siege_wait(SIEGE_PEACE_MS);
    for (unsigned i = 0; i < SIEGE_PROCESSES; i++)
        siege->before[i] = siege_usage(siege->processes[i]);
}

static void change_phase(struct siege *siege, bool attacked)
{
    pthread_mutex_lock(&siege->mutex);
    siege->attacked = attacked;
    pthread_mutex_unlock(&siege->mutex);
}

void siege_attack(struct siege *siege)
{
    change_phase(siege, true);
}

void siege_expect(struct siege *siege, unsigned process, const char *event,
                  uint64_t count)
{
    uint64_t seen = process_count(siege->processes[process], event);

    ck_assert_msg(seen >= count, "%s counts %s %" PRIu64 " times, not %" PRIu64,
                  siege->processes[process]->name, event, seen, count);
}

static int by_size(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

    return (one > other) - (one < other);
}

/* Returns the time that 99 of 100 calls of all witnesses did not exceed. */
static uint32_t percentile(const struct siege *siege, unsigned phase,
                           size_t *count)
{
    uint32_t *all =
        memory_new(SIEGE_WITNESSES * SIEGE_CALLS_MAX * sizeof(*all));
    uint32_t found;

    *count = 0;
    for (unsigned i = 0; i < SIEGE_WITNESSES; i++) {
        const struct witness *witness = &siege->witnesses[i];

        memcpy(all + *count, witness->times[phase],
               witness->calls[phase] * sizeof(*all));
        *count += witness->calls[phase];
    }
    ck_assert_uint_gt(*count, 0);
    qsort(all, *count, sizeof(*all), by_size);
    found = all[(*count - 1) * 99 / 100];
    free(all);
    return found;
}

static void judge_times(const struct siege *siege)
{
    size_t calm_count, attacked_count;
    uint32_t calm = percentile(siege, 0, &calm_count);
    uint32_t attacked = percentile(siege, 1, &attacked_count);
    uint32_t floor = cluster_stretch(SIEGE_FLOOR_US);
    uint32_t base = calm > floor ? calm : floor;
    uint32_t asleep = SIEGE_HANDOFFS * siege->sleeper.latest_us;
    uint32_t limit = SIEGE_FACTOR * base;

    printf("  p99: in peace %u us (%zu calls), under attack %u us (%zu "
           "calls); an idle thread woke up %u us late\n",
           calm, calm_count, attacked, attacked_count,
           siege->sleeper.latest_us);
    fflush(stdout);
    ck_assert_msg(attacked <= (limit > asleep ? limit : asleep),
                  "p99 is %u us under attack, %u us in peace", attacked, calm);
}

static void judge_history(const struct siege *siege)
{
    struct lincheck_report report = lincheck_check(&siege->history, NULL);

    if (report.verdict != LINCHECK_LINEARIZABLE)
        lincheck_print(stderr, &siege->history, &report);
    ck_assert_int_eq(report.verdict, LINCHECK_LINEARIZABLE);
    lincheck_release(&report);
    for (unsigned i = 0; i < SIEGE_WITNESSES; i++)
        ck_assert_uint_eq(siege->witnesses[i].unknown, 0);
}

/* The same lives are in the same view. */
static void judge_lives(struct siege *siege)
{
    struct pbkv_view view;

    ck_assert(cluster_view(siege->cluster, &view));
    ck_assert_uint_eq(view.number, siege->view.number);
    for (unsigned i = 0; i < SIEGE_PROCESSES; i++) {
        struct pbkv_inspection *inspection =
            cluster_inspect(siege->cluster, siege->processes[i]);

        ck_assert_msg(inspection, "%s does not answer",
                      siege->processes[i]->name);
        pbkv_inspection_free(inspection);
    }
    ck_assert(cluster_agree(siege->cluster, siege->processes[0],
                            siege->processes[1]));
}

struct calm {
    struct siege *siege;
    unsigned process;
    unsigned descriptors;
};

static bool condition_descriptors(void *context)
{
    struct calm *calm = context;

    return siege_usage(calm->siege->processes[calm->process]).descriptors <=
           calm->descriptors;
}

static void judge_usage(struct siege *siege, unsigned i,
                        struct siege_limits limits)
{
    const struct usage *before = &siege->before[i];
    struct calm calm = {siege, i, before->descriptors + limits.descriptors};
    struct usage early, late;

    ck_assert_msg(cluster_wait(CLUSTER_WAIT_MS, condition_descriptors, &calm),
                  "%s keeps too many descriptors", siege->processes[i]->name);
    early = siege_usage(siege->processes[i]);
    siege_wait(CALM_MS);
    late = siege_usage(siege->processes[i]);
    printf("  %s: memory %" PRIu64 " KiB, at the peak %" PRIu64
           ", after %" PRIu64 "; descriptors %u, after %u; processor %" PRIu64
           " ms, %" PRIu64 " of %d ms when all is over\n",
           siege->processes[i]->name, before->rss_kib, late.peak_kib,
           late.rss_kib, before->descriptors, late.descriptors,
           late.cpu_ms - before->cpu_ms, late.cpu_ms - early.cpu_ms, CALM_MS);
    fflush(stdout);
    if (siege_memory_counts())
        ck_assert_uint_le(late.peak_kib, before->peak_kib + limits.memory_kib);
    ck_assert_uint_le(late.cpu_ms - early.cpu_ms,
                      CALM_MS * CALM_CPU_PERCENT / 100);
}

void siege_end(struct siege *siege, struct siege_limits limits)
{
    pthread_mutex_lock(&siege->mutex);
    siege->over = true;
    pthread_mutex_unlock(&siege->mutex);
    pthread_join(siege->sleeper.thread, NULL);
    for (unsigned i = 0; i < SIEGE_WITNESSES; i++) {
        pthread_join(siege->witnesses[i].thread, NULL);
        pbkv_close(siege->witnesses[i].handle);
    }
    judge_lives(siege);
    judge_history(siege);
    judge_times(siege);
    for (unsigned i = 0; i < SIEGE_PROCESSES; i++)
        judge_usage(siege, i, limits);
    for (unsigned i = 0; i < SIEGE_WITNESSES; i++) {
        free(siege->witnesses[i].times[0]);
        free(siege->witnesses[i].times[1]);
    }
    history_release(&siege->history);
    pthread_mutex_destroy(&siege->mutex);
    cluster_free(siege->cluster);
}
