/* SPDX-License-Identifier: MIT */
/*
 * Failover of the real programs: servers are killed, stopped and started again
 * while clients append, and afterwards the ledger (ledger.h) is audited: what
 * was acknowledged is there, once, and in order.
 */
#include <pthread.h>
#include <signal.h>

#include "tests/cluster.h"
#include "tests/ledger.h"
#include "tests/suite.h"

static const struct cluster_options usual = {0};

/* Waits for the ledger's clients, asserts that at least so many appends were
 * acknowledged, and audits the store. */
static void finish_and_audit(struct cluster *cluster, struct ledger *ledger,
                             uint64_t least)
{
    struct pbkv *store = cluster_open(cluster, NULL);
    uint64_t acknowledged = ledger_finish(ledger);
    const char *problem = ledger_audit(ledger, store);

    ck_assert_msg(!problem, "%s", problem);
    ck_assert_uint_ge(acknowledged, least);
    ledger_free(ledger);
    pbkv_close(store);
}

/* P4, V5: with the primary dies nothing that was acknowledged. */
TEST(killing_the_primary_loses_nothing_acknowledged)
{
    static const struct ledger_plan plan = {
        .clients = 8, .keys = 3, .appends = 100};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[3];
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 3));
    ledger = ledger_start(cluster, &plan);
    ck_assert(ledger_reaches(ledger, 200));
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], servers[2], NULL));
    finish_and_audit(cluster, ledger, 800);
    ck_assert(cluster_agree(cluster, servers[1], servers[2]));
    cluster_free(cluster);
}

/* V6, T1: an idle server is promoted and gets the state. */
TEST(an_idle_server_takes_the_place_of_a_dead_backup)
{
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 3, .appends = 100};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[3];
    struct pbkv_view before, after;
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 3));
    ck_assert(cluster_view(cluster, &before));
    ledger = ledger_start(cluster, &plan);
    ck_assert(ledger_reaches(ledger, 100));
    process_signal(servers[1], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[0], servers[2], &after));
    ck_assert_uint_eq(after.number, before.number + 1);
    finish_and_audit(cluster, ledger, 400);
    ck_assert(cluster_agree(cluster, servers[0], servers[2]));
    cluster_free(cluster);
}

/* V8: a server started again at its address is a new one; as the only idle
 * server it becomes backup (V6) and gets the state (T1). */
TEST(a_restarted_backup_is_a_new_server)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2];
    struct pbkv_view before, after;
    struct pbkv *store;

    ck_assert(cluster_form(cluster, servers, 2));
    ck_assert(cluster_view(cluster, &before));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    process_signal(servers[1], SIGKILL);
    process_restart(servers[1]);
    ck_assert(process_is_ready(servers[1]));
    ck_assert(cluster_settles(cluster, servers[0], servers[1], &after));
    ck_assert_uint_gt(after.backup.incarnation, before.backup.incarnation);
    ck_assert_uint_gt(after.number, before.number);
    ck_assert(cluster_agree(cluster, servers[0], servers[1]));
    pbkv_close(store);
    cluster_free(cluster);
}

/* V8: the ping of the new life proves the old one dead, long before the pings
 * of the old one are missed. The new life has no state and is not primary. */
TEST(a_primary_that_restarts_at_once_is_replaced)
{
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 3, .appends = 100};
    static const struct cluster_options patient = {.dead_pings = 1000};
    struct cluster *cluster = cluster_new(&patient);
    struct process *servers[2];
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 2));
    ledger = ledger_start(cluster, &plan);
    ck_assert(ledger_reaches(ledger, 100));
    process_signal(servers[0], SIGKILL);
    process_restart(servers[0]);
    ck_assert(cluster_settles(cluster, servers[1], servers[0], NULL));
    finish_and_audit(cluster, ledger, 400);
    ck_assert(cluster_agree(cluster, servers[0], servers[1]));
    cluster_free(cluster);
}

/* P6, C2: each of fifty clients finds each of its appends exactly once, in
 * order, although the retries of all of them meet at the new primary. */
TEST(fifty_clients_find_every_append_once)
{
    static const struct ledger_plan plan = {
        .clients = 50, .keys = 5, .appends = 40, .own_handles = true};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[3];
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 3));
    ledger = ledger_start(cluster, &plan);
    ck_assert(ledger_reaches(ledger, 500));
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], servers[2], NULL));
    finish_and_audit(cluster, ledger, 2000);
    ck_assert(cluster_agree(cluster, servers[1], servers[2]));
    cluster_free(cluster);
}

/* P6 over several failovers: first answers are kept by whoever is primary. */
TEST(primaries_may_die_one_after_the_other)
{
    static const struct ledger_plan plan = {
        .clients = 8, .keys = 3, .appends = 200};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[3];
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 3));
    ledger = ledger_start(cluster, &plan);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(ledger_reaches(ledger, UINT64_C(300) * (i + 1)));
        process_signal(servers[i], SIGKILL);
        ck_assert(cluster_settles(cluster, servers[(i + 1) % 3],
                                  servers[(i + 2) % 3], NULL));
        process_restart(servers[i]);
        ck_assert(process_is_ready(servers[i]));
    }
    finish_and_audit(cluster, ledger, 1600);
    ck_assert(cluster_agree(cluster, servers[0], servers[1]));
    cluster_free(cluster);
}

/* ---- A primary that was stopped ----------------------------------------- */

/* The end of one get, and what it found. */
struct reading {
    pthread_mutex_t mutex;
    bool ended;
    enum pbkv_status status;
    char value[16];
};

static void on_read(void *context, const struct pbkv_result *result)
{
    struct reading *reading = context;

    pthread_mutex_lock(&reading->mutex);
    reading->ended = true;
    reading->status = result->status;
    if (result->length < sizeof(reading->value) && result->length > 0)
        memcpy(reading->value, result->data, result->length);
    pthread_mutex_unlock(&reading->mutex);
}

static bool condition_read(void *context)
{
    struct reading *reading = context;
    bool ended;

    pthread_mutex_lock(&reading->mutex);
    ended = reading->ended;
    pthread_mutex_unlock(&reading->mutex);
    return ended;
}

/* P1, P4, P5: a primary that slept through its own replacement still believes
 * in its view when it wakes, and finds a request waiting. It must not answer
 * with what it remembers. The client that asks knows the old view only, as its
 * own way to the view service is cut. */
TEST(a_stopped_primary_serves_nothing_stale)
{
    struct reading reading = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[3];
    struct link *link;
    struct pbkv *loyal, *store;

    ck_assert(cluster_form(cluster, servers, 3));
    link = cluster_add_link(cluster, cluster_view_address(cluster));
    loyal = cluster_open(cluster, link_address(link));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(loyal, "k", 1, "old", 3, 0), PBKV_OK);
    link_cut(link);
    process_signal(servers[0], SIGSTOP);
    ck_assert(cluster_settles(cluster, servers[1], servers[2], NULL));
    ck_assert_int_eq(pbkv_put(store, "k", 1, "new", 3, 0), PBKV_OK);
    ck_assert_int_eq(
        pbkv_get_async(loyal, "k", 1, cluster_stretch(1000), on_read, &reading),
        PBKV_OK);
    process_signal(servers[0], SIGCONT);
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, condition_read, &reading));
    if (reading.status == PBKV_OK)
        ck_assert_str_eq(reading.value, "new");
    else
        ck_assert_int_eq(reading.status, PBKV_TIMEOUT);
    pbkv_close(loyal);
    pbkv_close(store);
    cluster_free(cluster);
}

/* ---- A bad network ------------------------------------------------------ */

/* P3, P6, T4: lost, doubled and reordered messages of servers change nothing
 * but the time it takes, with a failover and a transfer in between. */
TEST(appends_stay_right_on_a_bad_network)
{
    static const struct cluster_options bad = {
        .faults = "drop=0.05,dup=0.05,delay=0-10ms,seed=7"};
    static const struct ledger_plan plan = {
        .clients = 16, .keys = 3, .appends = 25};
    struct cluster *cluster = cluster_new(&bad);
    struct process *servers[3];
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 3));
    ledger = ledger_start(cluster, &plan);
    ck_assert(ledger_reaches(ledger, 100));
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], servers[2], NULL));
    ck_assert(ledger_reaches(ledger, 300));
    ck_assert_uint_gt(process_count(servers[1], "fault.drop"), 0);
    finish_and_audit(cluster, ledger, 400);
    ck_assert(cluster_agree(cluster, servers[1], servers[2]));
    cluster_free(cluster);
}

/* ---- Traces ------------------------------------------------------------- */

/* K1, K2, K3: the traces of a whole run, with a server that was killed and its
 * next life, break no rule. */
TEST(the_traces_of_a_failover_are_true)
{
    static const struct cluster_options traced = {.trace = true};
    static const struct ledger_plan plan = {
        .clients = 3, .keys = 2, .appends = 50, .own_handles = true};
    static const char *const files[] = {
        "view-1.trace",  "s1-1.trace",    "s1-2.trace",    "s2-1.trace",
        "s3-1.trace",    "client1.trace", "client2.trace", "client3.trace",
        "client4.trace", "observer.trace"};
    enum { FILES = sizeof(files) / sizeof(files[0]) };
    char paths[FILES][CLUSTER_PATH_SIZE];
    const char *arguments[FILES + 1] = {NULL};
    struct cluster *cluster = cluster_new(&traced);
    struct process *servers[3], *check;
    struct ledger *ledger;

    ck_assert(cluster_form(cluster, servers, 3));
    ledger = ledger_start(cluster, &plan);
    ck_assert(ledger_reaches(ledger, 50));
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], servers[2], NULL));
    process_restart(servers[0]);
    ck_assert(process_is_ready(servers[0]));
    finish_and_audit(cluster, ledger, 150);
    cluster_hush(cluster);
    for (unsigned i = 0; i < 3; i++) {
        process_signal(servers[i], SIGTERM);
        ck_assert_int_eq(process_wait(servers[i], CLUSTER_WAIT_MS), 0);
    }
    for (unsigned i = 0; i < FILES; i++)
        arguments[i] = cluster_path(cluster, files[i], paths[i]);
    check = process_start(cluster, "tracecheck", "tracecheck", arguments);
    ck_assert_int_eq(process_wait(check, CLUSTER_WAIT_MS), 0);
    cluster_free(cluster);
}

SUITE("live failover",
      CASE_LIMIT(killing_the_primary_loses_nothing_acknowledged, 60),
      CASE_LIMIT(an_idle_server_takes_the_place_of_a_dead_backup, 60),
      CASE_LIMIT(a_restarted_backup_is_a_new_server, 60),
      CASE_LIMIT(a_primary_that_restarts_at_once_is_replaced, 60),
      CASE_LIMIT(fifty_clients_find_every_append_once, 60),
      CASE_LIMIT(primaries_may_die_one_after_the_other, 60),
      CASE_LIMIT(a_stopped_primary_serves_nothing_stale, 60),
      CASE_LIMIT(appends_stay_right_on_a_bad_network, 60),
      CASE_LIMIT(the_traces_of_a_failover_are_true, 60))
