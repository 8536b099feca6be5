/* SPDX-License-Identifier: MIT */
/*
 * Hostile peers against real processes: how many they are, and what they hold
 * on to. Floods of connections, readers that do not read, the largest answers
 * for a thousand clients at once, and servers that run out of descriptors and
 * memory, while well-behaved clients work; siege.h has what must hold
 * meanwhile.
 */
#define _GNU_SOURCE // prlimit
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/program.h"
#include "tests/raw_peer.h"
#include "tests/siege.h"
#include "tests/suite.h"

enum {
    CROWD = 10000,
    CROWD_DESCRIPTORS = CROWD + 500, /* that this process needs */
    FLOOD_MS = 1500,
    DEAF = 12,     /* clients that never read */
    QUESTIONS = 3, /* of different kinds */
    DEAF_MS = 4000,
    READERS = 1000,
    READ_MS = 3000,
    READ_SIZE = 256 * 1024,
    SPARE_DESCRIPTORS = 10,
    SPARE_MEMORY = 24 << 20,
    HOGS = 64,   /* connections that want all memory */
    MITES = 800, /* and those that want what these leave */
    MITE_OCTETS = 3000,
    HOG_OCTETS = 1024 * 1024,
    CONNECTION_KIB = 2, /* that an idle connection costs, at most */
    OUTPUT_KIB = 256 * 1024,
    PRIMARY = 0,
};

static const struct siege_limits usual = {.memory_kib = 64 * 1024,
                                          .descriptors = 8};

static void let_block(int fd, bool blocks)
{
    int flags = fcntl(fd, F_GETFL);

    ck_assert_int_ge(flags, 0);
    fcntl(fd, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/* ---- Connections ----------------------------------------------------------
 */

/* Ten thousand connections that say nothing: those over the limit are closed at
 * once, and who was there before goes on. */
TEST(ten_thousand_connections_disturb_nobody)
{
    struct siege_limits limits = usual;
    int *crowd = calloc(CROWD, sizeof(*crowd));
    struct rlimit allowed;
    struct siege siege;

    ck_assert_ptr_nonnull(crowd);
    ck_assert_int_eq(program_raise_descriptors(), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &allowed), 0);
    ck_assert_msg(allowed.rlim_cur >= CROWD_DESCRIPTORS,
                  "this test needs %d descriptors (ulimit -n)",
                  CROWD_DESCRIPTORS);
    siege_begin(&siege, NULL);
    siege_attack(&siege);
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = siege_dial(&siege, PRIMARY);
    siege_wait(FLOOD_MS);
    siege_expect(&siege, PRIMARY, "accept.limit", 1);
    for (unsigned i = 0; i < CROWD; i++)
        close(crowd[i]);
    free(crowd);
    limits.memory_kib += CROWD * CONNECTION_KIB;
    siege_end(&siege, limits);
}

TEST(a_flood_of_connections_that_close_at_once_disturbs_nobody)
{
    struct siege siege;
    unsigned count = 0;
    uint64_t end;

    siege_begin(&siege, NULL);
    siege_attack(&siege);
    for (end = cluster_now_ms() + FLOOD_MS; cluster_now_ms() < end; count++)
        close(siege_dial(&siege, count % SIEGE_PROCESSES));
    printf("  %u connections in %d ms\n", count, FLOOD_MS);
    for (unsigned i = 0; i < SIEGE_PROCESSES; i++)
        siege_expect(&siege, i, "rpc.accepted", count / SIEGE_PROCESSES / 2);
    siege_end(&siege, usual);
}

/* ---- Answers that nobody takes ---------------------------------------------
 */

/* Sends as much as the other side takes, without waiting. */
static void push(int fd, const uint8_t *octets, size_t size, size_t *sent)
{
    ssize_t count;

    while ((count = send(fd, octets + *sent, size - *sent, MSG_NOSIGNAL)) > 0)
        *sent = (*sent + (size_t)count) % size;
}

/* Puts a value of the largest size under the key "k". */
static void put_largest(struct siege *siege)
{
    struct pbkv *store = cluster_open(siege->cluster, NULL);
    void *value = calloc(1, PBKV_VALUE_MAX);

    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(pbkv_put(store, "k", 1, value, PBKV_VALUE_MAX, 0),
                     PBKV_OK);
    free(value);
    pbkv_close(store);
}

/* What a deaf client asks for, again and again: large echoes, small ones, or,
 * with the shortest questions for the largest answers, Gets. */
static uint8_t *question(unsigned kind, size_t *size)
{
    struct raw_frame frame = raw_frame_good();
    Pbkv__Get get = PBKV__GET__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    const struct forged forged = {.from = peer_at("client:deaf", 1),
                                  .lamport = 1,
                                  .clock_entries = 1,
                                  .body = &body};

    if (kind == 2) {
        get.key = message_octets("k", 1);
        body.kind_case = PBKV__BODY__KIND_GET;
        body.get = &get;
        return forged_pack(&forged, size);
    }
    frame.payload = kind == 0 ? VALUE_LIMIT : frame.payload;
    return raw_frame_pack(&frame, size);
}

/* Clients that ask for large answers and never read them are not read from
 * either; what they had asked for before has a limit for each, and one for all
 * that leaves some for everybody else. */
TEST(clients_that_never_read_disturb_nobody)
{
    struct siege_limits limits = {.memory_kib = OUTPUT_KIB, .descriptors = 8};
    int deaf[DEAF];
    size_t sent[DEAF] = {0}, size[QUESTIONS];
    struct siege siege;
    uint8_t *octets[QUESTIONS];
    uint64_t end;

    for (unsigned i = 0; i < QUESTIONS; i++)
        octets[i] = question(i, &size[i]);
    siege_begin(&siege, NULL);
    put_largest(&siege);
    siege_attack(&siege);
    for (unsigned i = 0; i < DEAF; i++) {
        deaf[i] = siege_dial(&siege, PRIMARY);
        let_block(deaf[i], false);
    }
    for (end = cluster_now_ms() + DEAF_MS; cluster_now_ms() < end;) {
        for (unsigned i = 0; i < DEAF; i++)
            push(deaf[i], octets[i % QUESTIONS], size[i % QUESTIONS], &sent[i]);
        siege_wait(5);
    }
    for (unsigned i = 0; i < DEAF; i++)
        close(deaf[i]);
    siege_expect(&siege, PRIMARY, "receive.paused", DEAF);
    for (unsigned i = 0; i < QUESTIONS; i++)
        free(octets[i]);
    siege_end(&siege, limits);
}

/* Reads what there is on all sockets until the time is over. */
static void read_all(const int *readers, uint32_t ms)
{
    static uint8_t scratch[READ_SIZE];
    struct pollfd polls[READERS];
    uint64_t end = cluster_now_ms() + ms;

    for (unsigned i = 0; i < READERS; i++)
        polls[i] = (struct pollfd){.fd = readers[i], .events = POLLIN};
    while (cluster_now_ms() < end && poll(polls, READERS, 100) >= 0) {
        for (unsigned i = 0; i < READERS; i++) {
            if (polls[i].revents &&
                recv(polls[i].fd, scratch, sizeof(scratch), MSG_DONTWAIT) == 0)
                polls[i].fd = -1;
        }
    }
}

TEST(the_largest_answers_for_a_thousand_clients_stay_within_limits)
{
    struct siege_limits limits = {.memory_kib = 3 * OUTPUT_KIB,
                                  .descriptors = 8};
    int *readers = calloc(READERS, sizeof(*readers));
    Pbkv__Get get = PBKV__GET__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct siege siege;

    ck_assert_ptr_nonnull(readers);
    siege_begin(&siege, NULL);
    put_largest(&siege);
    siege_attack(&siege);
    get.key = message_octets("k", 1);
    body.kind_case = PBKV__BODY__KIND_GET;
    body.get = &get;
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = siege_dial(&siege, PRIMARY);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert(forged_send(readers[i], &body));
    read_all(readers, READ_MS);
    for (unsigned i = 0; i < READERS; i++)
        close(readers[i]);
    free(readers);
    siege_end(&siege, limits);
}

/* ---- No descriptors, no memory ----------------------------------------------
 */

static void limit_descriptors(const struct process *process, rlim_t most)
{
    const struct rlimit limit = {most, most};

    ck_assert_int_eq(prlimit(process->pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void limit_memory(const struct process *process, rlim_t most)
{
    const struct rlimit limit = {most, most};

    ck_assert_int_eq(prlimit(process->pid, RLIMIT_AS, &limit, NULL), 0);
}

/* EMFILE: accepting pauses instead of trying again and again, and goes on when
 * descriptors are free. */
TEST(a_server_without_descriptors_lives_and_rests)
{
    enum { CROWD_SMALL = 100 };
    int crowd[CROWD_SMALL];
    struct usage early, late;
    struct siege siege;
    struct pbkv *store;

    siege_begin(&siege, NULL);
    limit_descriptors(siege.processes[PRIMARY],
                      siege.before[PRIMARY].descriptors + SPARE_DESCRIPTORS);
    siege_attack(&siege);
    early = siege_usage(siege.processes[PRIMARY]);
    for (unsigned i = 0; i < CROWD_SMALL; i++)
        crowd[i] = siege_dial(&siege, PRIMARY);
    siege_wait(FLOOD_MS);
    late = siege_usage(siege.processes[PRIMARY]);
    printf("  without descriptors: processor %u ms of %d\n",
           (unsigned)(late.cpu_ms - early.cpu_ms), FLOOD_MS);
    ck_assert_uint_le(late.cpu_ms - early.cpu_ms, FLOOD_MS * 2 / 3);
    for (unsigned i = 0; i < CROWD_SMALL; i++)
        close(crowd[i]);
    store = cluster_open(siege.cluster, NULL); /* a newcomer is let in */
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    pbkv_close(store);
    siege_expect(&siege, PRIMARY, "accept.pause", 1);
    siege_end(&siege, usual);
}

static rlim_t address_space(const struct process *process)
{
    char path[64];
    unsigned long pages = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)process->pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Unfinished frames of all sizes: large ones, as much of them as the servers
 * take in the time, and then many small ones. */
struct hogs {
    int large[HOGS];
    int small[MITES];
    size_t sent[HOGS];
};

static void push_large(struct hogs *hogs)
{
    static uint8_t octets[HOG_OCTETS] = {0, 0x0f, 0xff, 0xff};

    for (unsigned i = 0; i < HOGS; i++) {
        ssize_t count = send(hogs->large[i], octets + hogs->sent[i],
                             sizeof(octets) - 8 - hogs->sent[i], MSG_NOSIGNAL);

        if (count > 0)
            hogs->sent[i] += (size_t)count;
    }
}

static void take_all_memory(struct siege *siege, struct hogs *hogs)
{
    static const uint8_t octets[MITE_OCTETS] = {0, 0x0f, 0xff, 0xff};
    uint64_t end = cluster_now_ms() + FLOOD_MS;

    for (unsigned i = 0; i < HOGS; i++) {
        hogs->sent[i] = 0;
        hogs->large[i] = siege_dial(siege, i % 2);
        let_block(hogs->large[i], false);
    }
    for (; cluster_now_ms() < end; siege_wait(5))
        push_large(hogs);
    for (unsigned i = 0; i < MITES; i++) {
        hogs->small[i] = siege_dial(siege, i % 2);
        raw_send(hogs->small[i], octets, sizeof(octets));
    }
    siege_wait(FLOOD_MS);
}

/* ENOMEM: strangers with unfinished frames are refused while there is still
 * enough for everybody else. */
TEST(a_server_without_memory_refuses_strangers_and_lives)
{
    struct hogs hogs;
    struct siege siege;

    if (!siege_memory_counts())
        return;
    siege_begin(&siege, NULL);
    for (unsigned i = 0; i < 2; i++)
        limit_memory(siege.processes[i],
                     address_space(siege.processes[i]) + SPARE_MEMORY);
    siege_attack(&siege);
    take_all_memory(&siege, &hogs);
    for (unsigned i = 0; i < 2; i++)
        siege_expect(&siege, i, "receive.limit", 1);
    for (unsigned i = 0; i < HOGS; i++)
        close(hogs.large[i]);
    for (unsigned i = 0; i < MITES; i++)
        close(hogs.small[i]);
    siege_end(&siege, usual);
}

SUITE("live flood", CASE_LIMIT(ten_thousand_connections_disturb_nobody, 60),
      CASE_LIMIT(a_flood_of_connections_that_close_at_once_disturbs_nobody, 60),
      CASE_LIMIT(clients_that_never_read_disturb_nobody, 60),
      CASE_LIMIT(the_largest_answers_for_a_thousand_clients_stay_within_limits,
                 60),
      CASE_LIMIT(a_server_without_descriptors_lives_and_rests, 60),
      CASE_LIMIT(a_server_without_memory_refuses_strangers_and_lives, 60))
