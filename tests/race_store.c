/* SPDX-License-Identifier: MIT */
/*
 * The whole store in one process (hosts.h), for tools that look for data races
 * and leaks: loops and clients in threads of their own, real sockets, and
 * everything that moves state between threads and hosts. Each test records what
 * its clients were told and has the history judged at the end, so that it is a
 * test of the store without a tool, too.
 */
#include "tests/clients.h"
#include "tests/hosts.h"
#include "tests/suite.h"

static const struct hosts_options three = {.servers = 3};

/* Waits for the clients' threads, and judges what they saw. */
static void finish_and_judge(struct clients *clients, unsigned least)
{
    unsigned answered = clients_finish(clients);
    const char *problem = clients_judge(clients);

    ck_assert_msg(!problem, "%s", problem);
    ck_assert_uint_ge(answered, least);
    clients_free(clients);
}

/* P3, P4, P6: without any failure, every call is answered. */
TEST(sixteen_clients_work_on_one_store)
{
    static const struct clients_plan plan = {
        .threads = 16, .handles = 4, .keys = 4, .operations = 20};
    struct hosts *hosts = hosts_new(&three);
    struct clients *clients;

    ck_assert_ptr_nonnull(hosts);
    clients = clients_start(hosts, &plan);
    finish_and_judge(clients, 320);
    ck_assert(hosts_agree(hosts, 0, 1));
    hosts_free(hosts);
}

/* V5, V8, T1, P6: each primary crashes in its turn; the next life of a crashed
 * server joins as an idle one, and becomes backup at the next failover. */
TEST(primaries_crash_one_after_the_other)
{
    static const struct clients_plan plan = {
        .threads = 8, .handles = 2, .keys = 4, .operations = 60};
    struct hosts *hosts = hosts_new(&three);
    uint64_t before, after;
    struct clients *clients;

    ck_assert_ptr_nonnull(hosts);
    clients = clients_start(hosts, &plan);
    ck_assert(hosts_settle(hosts, 0, 1, &before));
    for (unsigned i = 0; i < 3; i++) {
        unsigned next = (i + 1) % 3, then = (i + 2) % 3;

        ck_assert(clients_reach(clients, 80 * (i + 1)));
        hosts_crash(hosts, i);
        ck_assert(hosts_settle(hosts, next, (int)then, &after));
        ck_assert_uint_gt(after, before);
        before = after;
        hosts_restart(hosts, i);
    }
    finish_and_judge(clients, 450);
    ck_assert(hosts_agree(hosts, 0, 1));
    hosts_free(hosts);
}

static void fill(const struct hosts *hosts, unsigned keys)
{
    struct pbkv *store = hosts_open(hosts);
    char key[16];

    for (unsigned i = 0; i < keys; i++) {
        snprintf(key, sizeof(key), "fill-%u", i);
        ck_assert_int_eq(pbkv_put(store, key, strlen(key), key, strlen(key), 0),
                         PBKV_OK);
    }
    pbkv_close(store);
}

/* V6, T1, T3: the state goes to a new backup in many chunks while clients
 * change it. */
TEST(a_transfer_runs_while_clients_write)
{
    static const struct hosts_options small = {.servers = 3,
                                               .chunk_octets = 256};
    static const struct clients_plan plan = {
        .threads = 6, .handles = 2, .keys = 4, .operations = 40};
    struct hosts *hosts = hosts_new(&small);
    struct clients *clients;

    ck_assert_ptr_nonnull(hosts);
    fill(hosts, 100);
    clients = clients_start(hosts, &plan);
    ck_assert(clients_reach(clients, 40));
    hosts_crash(hosts, 1);
    ck_assert(hosts_settle(hosts, 0, 2, NULL));
    hosts_restart(hosts, 1);
    ck_assert(clients_reach(clients, 120));
    hosts_crash(hosts, 2);
    ck_assert(hosts_settle(hosts, 0, 1, NULL));
    finish_and_judge(clients, 230);
    ck_assert(hosts_agree(hosts, 0, 1));
    hosts_free(hosts);
}

/* V11: the view service goes on from its file; meanwhile the store serves. */
TEST(the_view_service_crashes_and_goes_on)
{
    static const struct clients_plan plan = {
        .threads = 6, .handles = 6, .keys = 3, .operations = 40};
    struct hosts *hosts = hosts_new(&three);
    struct clients *clients;

    ck_assert_ptr_nonnull(hosts);
    clients = clients_start(hosts, &plan);
    ck_assert(clients_reach(clients, 50));
    hosts_crash_view_service(hosts);
    ck_assert(clients_reach(clients, 120));
    hosts_crash(hosts, 0);
    hosts_restart_view_service(hosts);
    ck_assert(hosts_settle(hosts, 1, 2, NULL));
    finish_and_judge(clients, 230);
    ck_assert(hosts_agree(hosts, 1, 2));
    hosts_free(hosts);
}

/* P3, P6, T4: lost, doubled and delayed messages, and a failover. */
TEST(a_bad_network_is_survived)
{
    static const struct hosts_options bad = {
        .servers = 3, .faults = "drop=0.03,dup=0.05,delay=0-5ms,seed=5"};
    static const struct clients_plan plan = {
        .threads = 6, .handles = 2, .keys = 3, .operations = 20};
    struct hosts *hosts = hosts_new(&bad);
    struct clients *clients;

    ck_assert_ptr_nonnull(hosts);
    clients = clients_start(hosts, &plan);
    ck_assert(clients_reach(clients, 40));
    hosts_crash(hosts, 0);
    ck_assert(hosts_settle(hosts, 1, 2, NULL));
    finish_and_judge(clients, 110);
    ck_assert(hosts_agree(hosts, 1, 2));
    hosts_free(hosts);
}

SUITE("whole store in one process",
      CASE_LIMIT(sixteen_clients_work_on_one_store, 30),
      CASE_LIMIT(primaries_crash_one_after_the_other, 30),
      CASE_LIMIT(a_transfer_runs_while_clients_write, 30),
      CASE_LIMIT(the_view_service_crashes_and_goes_on, 30),
      CASE_LIMIT(a_bad_network_is_survived, 30))
