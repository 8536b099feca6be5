/* SPDX-License-Identifier: MIT */
/*
 * lab2a: the view service. The servers are by hand: each test says who pings in
 * which cycle, and with which view number. A bench keeps count of that:
 *
 *     bench.pings[S1] = 2;          from now on s1 pings "2" in each cycle
 *     bench_cycles(&bench, 3);      three ping cycles pass
 *
 * A server pings in the middle of a cycle. Death and forgiveness are judged
 * with a cycle to spare, because a solution may count from either end of one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/random.h"
#include "sim/roles.h"
#include "tests/labs/lab2a_live.h"
#include "tests/labs/lab2a_search.h"
#include "tests/labs/store.h"
#include "viewservice/view_server.h"

enum { SILENT = -1, LONG_DEAD = DEAD_PINGS + 2 };

struct bench {
    struct lab *lab;
    struct store *store;
    int64_t pings[S4 + 1]; /* the number that each server pings, or SILENT */
};

/* Makes a view service and servers that are silent. */
static struct bench bench_new(struct lab *lab)
{
    struct bench bench = {.lab = lab};
    struct store_config config = store_config();

    config.servers = 4;
    config.clients = 0;
    config.by_hand = 1u << S1 | 1u << S2 | 1u << S3 | 1u << S4;
    bench.store = store_new(lab, &config);
    for (int i = S1; i <= S4; i++)
        bench.pings[i] = SILENT;
    store_run(bench.store, PING_MS / 2);
    return bench;
}

/* One ping of one server arrives and is answered. */
static void bench_ping(struct bench *bench, int server, uint64_t view)
{
    store_ping(bench->store, server, view);
    store_run(bench->store, 3);
}

static void bench_cycles(struct bench *bench, int count)
{
    while (count-- > 0) {
        uint64_t next = store_now_ms(bench->store) / PING_MS * PING_MS +
                        PING_MS + PING_MS / 2;

        for (int i = S1; i <= S4; i++) {
            if (bench->pings[i] != SILENT)
                bench_ping(bench, i, (uint64_t)bench->pings[i]);
        }
        store_run(bench->store, (uint32_t)(next - store_now_ms(bench->store)));
    }
}

/* The number of the newest published view. */
static uint64_t number(const struct bench *bench)
{
    return store_view(bench->store)->number;
}

static void expect_view(struct bench *bench, uint64_t expected, int primary,
                        int backup, const char *why)
{
    char text[2][PEER_TEXT_MAX];

    LAB_EXPECT(bench->lab,
               number(bench) == expected &&
                   store_view_is(bench->store, primary, backup),
               "%s: view %" PRIu64 " with primary %s and backup %s was due, "
               "but the view is %" PRIu64 " with primary %s and backup %s",
               why, expected, store_name(bench->store, primary),
               store_name(bench->store, backup), number(bench),
               peer_format(&store_view(bench->store)->primary, text[0]),
               peer_format(&store_view(bench->store)->backup, text[1]));
}

/* Comes to view 2 with s1 and s2, acknowledged or not. */
static void bench_pair(struct bench *bench, bool acknowledged)
{
    bench_ping(bench, S1, 0);
    bench_ping(bench, S1, 1);
    bench_ping(bench, S2, 0);
    expect_view(bench, 2, S1, S2, "two servers ping");
    if (acknowledged)
        bench_ping(bench, S1, 2);
    bench->pings[S1] = acknowledged ? 2 : 1;
    bench->pings[S2] = 2;
}

static void bench_end(struct bench *bench)
{
    store_free(bench->store);
}

/* ---- V1 -------------------------------------------------------------------
 */

static void first_is_primary(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_ping(&bench, S2, 0);
    expect_view(&bench, 1, S2, NOBODY, "s2 pings first");
    bench_end(&bench);
}

static void ask_for_view(struct bench *bench, int server)
{
    Pbkv__GetView ask = PBKV__GET_VIEW__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    body.kind_case = PBKV__BODY__KIND_GET_VIEW;
    body.get_view = &ask;
    store_send(bench->store, server, VS, &body);
    store_run(bench->store, 3);
}

static const Pbkv__ViewReply *last_reply(struct bench *bench, size_t mark,
                                         int server)
{
    const struct store_line *line =
        store_find(bench->store, mark, LINE_RECEIVE,
                   PBKV__BODY__KIND_VIEW_REPLY, VS, server);

    LAB_EXPECT(bench->lab, line, "the view service did not answer %s",
               store_name(bench->store, server));
    return store_body(bench->store, line)->view_reply;
}

static void nothing_before_first_ping(struct lab *lab)
{
    struct bench bench = bench_new(lab);
    size_t mark = store_mark(bench.store);
    const Pbkv__ViewReply *reply;

    bench_cycles(&bench, 3);
    ask_for_view(&bench, S1);
    reply = last_reply(&bench, mark, S1);
    LAB_EXPECT(lab, !reply->view || reply->view->number == 0,
               "there is a view %" PRIu64 " although no server has pinged",
               reply->view->number);
    bench_cycles(&bench, 2);
    bench_ping(&bench, S1, 0);
    expect_view(&bench, 1, S1, NOBODY, "s1 asked for the view, then pings");
    bench_end(&bench);
}

/* ---- V3: acknowledgement --------------------------------------------------
 */

static void no_backup_before_acknowledgement(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_ping(&bench, S1, 0);
    bench.pings[S1] = 0;
    bench.pings[S2] = 0;
    bench_cycles(&bench, 3);
    expect_view(&bench, 1, S1, NOBODY, "s1 has not acknowledged view 1");
    bench_ping(&bench, S1, 1);
    bench.pings[S1] = 1;
    bench_cycles(&bench, 1);
    expect_view(&bench, 2, S1, S2, "s1 has acknowledged view 1");
    bench_end(&bench);
}

static void only_primary_acknowledges(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, false);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, LONG_DEAD + 2);
    expect_view(&bench, 2, S1, S2,
                "only the backup pinged view 2, and the primary is silent");
    bench_end(&bench);
}

static void unacknowledged_view_stays(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, false);
    bench.pings[S1] = SILENT;
    bench.pings[S3] = 0;
    bench_cycles(&bench, LONG_DEAD + 2);
    expect_view(&bench, 2, S1, S2,
                "the primary died before it acknowledged view 2, so the backup "
                "may not have the state");
    bench.pings[S1] = 2;
    bench_cycles(&bench, 1);
    LAB_EXPECT(lab,
               peer_equal(&store_view(bench.store)->primary,
                          &(struct peer[]){store_peer(bench.store, S1)}[0]),
               "the primary of the unacknowledged view returned and is not "
               "primary any more");
    bench_end(&bench);
}

static void old_ping_keeps_transferring_primary_alive(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, false);
    bench.pings[S3] = 0;
    bench_cycles(&bench, 3 * LONG_DEAD);
    expect_view(&bench, 2, S1, S2,
                "the primary pings view 1 while it sends the state (T2)");
    bench.pings[S1] = 2;
    bench_cycles(&bench, 2);
    expect_view(&bench, 2, S1, S2, "the transfer is over and nobody died");
    bench_end(&bench);
}

static void dead_backup_replaced_before_acknowledgement(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, false);
    bench.pings[S2] = SILENT;
    bench.pings[S3] = 0;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S1, S3,
                "the backup died in the transfer and s3 is there");
    bench_end(&bench);
}

/* ---- V4: liveness ---------------------------------------------------------
 */

static void missed_cycle_is_forgiven(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    for (int i = 0; i < 6; i++) {
        bench.pings[S1] = i % 2 == 0 ? SILENT : 2;
        bench.pings[S2] = i % 2 == 0 ? 2 : SILENT;
        bench_cycles(&bench, 1);
    }
    expect_view(&bench, 2, S1, S2, "each server missed every other cycle");
    bench_end(&bench);
}

static void not_dead_too_early(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, DEAD_PINGS - 2);
    expect_view(&bench, 2, S1, S2,
                "the primary was silent for less than the configured cycles");
    bench.pings[S1] = 2;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 2, S1, S2, "the primary pings again");
    bench_end(&bench);
}

static void dead_in_time(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S2, NOBODY,
                "the primary was silent for more than the configured cycles");
    bench_end(&bench);
}

static void idle_counted_too(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S3] = 0;
    bench_cycles(&bench, 2);
    bench.pings[S3] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S1, NOBODY,
                "the backup died, and s3 had died before");
    bench_end(&bench);
}

/* ---- V5 and V6 ------------------------------------------------------------
 */

static void backup_takes_over_with_idle(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S3] = 0;
    bench_cycles(&bench, 1);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S2, S3, "the primary died and s3 was idle");
    bench_end(&bench);
}

static void dead_backup_is_dropped(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S1, NOBODY, "the backup died");
    bench_end(&bench);
}

static void dead_backup_is_replaced(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S3] = 0;
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S1, S3, "the backup died and s3 was idle");
    bench_end(&bench);
}

static void idle_is_never_primary(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_ping(&bench, S1, 0);
    bench_ping(&bench, S1, 1);
    bench.pings[S3] = 1;
    bench_cycles(&bench, 1);
    bench.pings[S3] = SILENT;
    bench.pings[S2] = 0;
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, 2 * LONG_DEAD);
    LAB_EXPECT(lab,
               !peer_equal(&store_view(bench.store)->primary,
                           &(struct peer[]){store_peer(bench.store, S2)}[0]),
               "s2 became primary of view %" PRIu64
               " although it never was a backup (V2)",
               number(&bench));
    bench_end(&bench);
}

static void replaced_primary_returns_as_idle(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S2, NOBODY, "the primary died");
    bench.pings[S2] = 3;
    bench_cycles(&bench, 1);
    bench.pings[S1] = 2;
    bench_cycles(&bench, 2);
    expect_view(&bench, 4, S2, S1, "the old primary returned");
    bench_end(&bench);
}

/* ---- V7, V9, V10 ----------------------------------------------------------
 */

static void silent_idle_is_not_chosen(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S3] = 0;
    bench_cycles(&bench, 2);
    bench.pings[S3] = SILENT;
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, LONG_DEAD + 1);
    expect_view(&bench, 3, S1, NOBODY,
                "the backup died, and s3 was silent for as long");
    bench_end(&bench);
}

static void steady_state(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S3] = 2;
    bench_cycles(&bench, 200);
    expect_view(&bench, 2, S1, S2, "everybody pinged in each of 200 cycles");
    bench_end(&bench);
}

static void view_stays_when_both_silent(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S1] = SILENT;
    bench.pings[S2] = SILENT;
    bench.pings[S3] = 0;
    bench_cycles(&bench, 2 * LONG_DEAD);
    expect_view(&bench, 2, S1, S2,
                "both servers with the state are silent, and s3 has nothing");
    bench_end(&bench);
}

/* Delivers a ping to a view service that stands alone, without its own check:
 * what becomes of a mistake that the check would stop is seen, too. */
static void ping_alone(struct node *node, const char *server, uint64_t view)
{
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct peer peer = peer_at(server, 1);
    struct env env;

    ping.view = view;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    env_init(&env);
    node->type->on_message(node, &env, &peer, &body);
    env_release(&env);
}

static void cycle_alone(struct node *node)
{
    struct env env;

    env_init(&env);
    node->type->on_timer(node, &env, VIEW_SERVER_TIMER);
    env_release(&env);
}

static void silent_backup_is_not_promoted(struct lab *lab)
{
    struct view_server_config config = {PING_MS, DEAD_PINGS};
    struct node *node = view_server_new(&config, NULL);
    struct inspection inspection = {0};

    ping_alone(node, "s1", 0);
    ping_alone(node, "s1", 1);
    ping_alone(node, "s2", 0);
    ping_alone(node, "s1", 2);
    for (int i = 0; i < LONG_DEAD; i++) {
        cycle_alone(node);
        ping_alone(node, "s3", 0);
    }
    node->type->inspect(node, &inspection);
    LAB_EXPECT(lab, inspection.view.number == 2,
               "s1 and s2 of view 2 are both silent, only s3 pings, and the "
               "view service comes to view %" PRIu64 ", of %s",
               inspection.view.number, inspection.view.primary.address.text);
    node_release(node);
}

/* s2 stops just before s1 is counted dead: its last ping is no sign that it is
 * there now. */
static void silent_one_after_the_other(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, DEAD_PINGS - 1);
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, 2 * LONG_DEAD);
    expect_view(&bench, 2, S1, S2,
                "the primary and then the backup fell silent, so nobody pings");
    bench.pings[S1] = 2;
    bench_cycles(&bench, 2);
    expect_view(&bench, 3, S1, NOBODY, "then the primary returned");
    bench_end(&bench);
}

static void silent_for_a_while(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S3] = 0;
    bench_cycles(&bench, 1);
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, 2);
    bench.pings[S3] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S1, NOBODY,
                "the backup died, and s3 had missed more than one cycle");
    bench_end(&bench);
}

static void returning_backup_goes_on(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S1] = SILENT;
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    bench.pings[S2] = 2;
    bench_cycles(&bench, 2);
    expect_view(&bench, 3, S2, NOBODY,
                "both were silent and the backup, which has the state, "
                "returned");
    bench_end(&bench);
}

static void returning_primary_goes_on(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench.pings[S1] = SILENT;
    bench.pings[S2] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    bench.pings[S1] = 2;
    bench_cycles(&bench, 2);
    expect_view(&bench, 3, S1, NOBODY,
                "both were silent and the primary returned");
    bench_end(&bench);
}

static void newcomer_taken_at_once(struct lab *lab)
{
    struct bench bench = bench_new(lab);
    size_t mark;
    const Pbkv__ViewReply *reply;

    bench_ping(&bench, S1, 0);
    bench_ping(&bench, S1, 1);
    mark = store_mark(bench.store);
    bench_ping(&bench, S2, 0);
    reply = last_reply(&bench, mark, S2);
    LAB_EXPECT(lab, reply->view && reply->view->number == 2,
               "the answer to the ping that made s2 eligible still names view "
               "%" PRIu64,
               reply->view ? reply->view->number : 0);
    bench_end(&bench);
}

/* ---- V8: lives ------------------------------------------------------------
 */

static void restarted_primary_is_replaced(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    store_crash(bench.store, S1);
    store_restart(bench.store, S1);
    bench.pings[S1] = 0;
    bench_cycles(&bench, 2);
    expect_view(&bench, 3, S2, S1,
                "the primary's new life pinged, which proves the old one dead");
    bench_end(&bench);
}

static void restarted_backup_is_new(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    store_crash(bench.store, S2);
    store_restart(bench.store, S2);
    bench.pings[S2] = 0;
    bench_cycles(&bench, 2);
    expect_view(&bench, 3, S1, S2, "the backup's new life pinged");
    bench_end(&bench);
}

static void restarted_lone_primary_is_not_primary(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_ping(&bench, S1, 0);
    bench_ping(&bench, S1, 1);
    store_crash(bench.store, S1);
    store_restart(bench.store, S1);
    bench.pings[S1] = 0;
    bench_cycles(&bench, LONG_DEAD);
    LAB_EXPECT(lab,
               !peer_equal(&store_view(bench.store)->primary,
                           &(struct peer[]){store_peer(bench.store, S1)}[0]),
               "s1 restarted without the state and view %" PRIu64
               " makes its new life primary",
               number(&bench));
    bench_end(&bench);
}

static void late_ping_of_older_life(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    store_rule(bench.store, RULE_HOLD, PBKV__BODY__KIND_PING, S2, VS, 1);
    bench_ping(&bench, S2, 2);
    store_crash(bench.store, S2);
    store_restart(bench.store, S2);
    bench.pings[S2] = 0;
    bench_cycles(&bench, 2);
    expect_view(&bench, 3, S1, S2, "the backup's new life pinged");
    bench_ping(&bench, S1, 3);
    bench.pings[S1] = 3;
    bench.pings[S2] = SILENT;
    for (int i = 0; i < LONG_DEAD; i++) {
        if (i == 2)
            store_release(bench.store);
        bench_cycles(&bench, 1);
    }
    expect_view(&bench, 4, S1, NOBODY,
                "only a late ping of the backup's older life came in");
    bench_end(&bench);
}

static void older_number_is_no_life(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    bench.pings[S1] = 1;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S2, NOBODY,
                "only late pings with an older number came from the primary");
    bench_end(&bench);
}

static void superseded_is_told(struct lab *lab)
{
    struct bench bench = bench_new(lab);
    size_t mark;
    const Pbkv__ViewReply *reply;

    bench_pair(&bench, true);
    store_rule(bench.store, RULE_HOLD, PBKV__BODY__KIND_PING, S2, VS, 1);
    bench_ping(&bench, S2, 2);
    store_crash(bench.store, S2);
    store_restart(bench.store, S2);
    bench_ping(&bench, S2, 0);
    mark = store_mark(bench.store);
    store_release(bench.store);
    store_run(bench.store, 3);
    if (store_count(bench.store, mark, LINE_SEND, PBKV__BODY__KIND_VIEW_REPLY,
                    VS, S2) > 0) {
        const struct store_line *line = store_find(
            bench.store, mark, LINE_SEND, PBKV__BODY__KIND_VIEW_REPLY, VS, S2);

        reply = store_body(bench.store, line)->view_reply;
        LAB_EXPECT(lab, reply->superseded_by == 2,
                   "the answer to an older life's ping does not name the newer "
                   "life (superseded_by is %" PRIu64 ")",
                   reply->superseded_by);
    }
    bench_end(&bench);
}

/* ---- V11: the record ------------------------------------------------------
 */

static void view_survives_restart(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, true);
    bench_cycles(&bench, 1);
    store_crash(bench.store, VS);
    store_restart(bench.store, VS);
    bench_cycles(&bench, 2);
    expect_view(&bench, 2, S1, S2, "the view service was restarted");
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S2, NOBODY, "then the primary died");
    bench_end(&bench);
}

static void told_after_disk(struct lab *lab)
{
    for (int step = 0; step < 3; step++) {
        struct bench bench = bench_new(lab);
        uint64_t told;

        bench_ping(&bench, S1, 0);
        if (step > 0)
            bench_ping(&bench, S1, 1);
        store_rule(bench.store, RULE_CRASH_AFTER, PBKV__BODY__KIND_VIEW_REPLY,
                   VS, NOBODY, 1);
        bench_ping(&bench, step == 0 ? S1 : S2, step == 0);
        told = number(&bench);
        store_restart(bench.store, VS);
        ask_for_view(&bench, S3);
        LAB_EXPECT(lab, number(&bench) == told,
                   "the view service told view %" PRIu64
                   ", died at once, and remembers another",
                   told);
        bench_end(&bench);
    }
}

static void acknowledgement_survives_restart(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, false);
    store_rule(bench.store, RULE_CRASH_AFTER, PBKV__BODY__KIND_VIEW_REPLY, VS,
               NOBODY, 1);
    bench_ping(&bench, S1, 2);
    LAB_EXPECT(lab, !store_is_up(bench.store, VS),
               "the view service did not answer the acknowledging ping");
    store_restart(bench.store, VS);
    bench.pings[S1] = SILENT;
    bench_cycles(&bench, LONG_DEAD);
    expect_view(&bench, 3, S2, NOBODY,
                "view 2 was acknowledged, the view service restarted, and then "
                "the primary died");
    bench_end(&bench);
}

static void unacknowledged_after_restart(struct lab *lab)
{
    struct bench bench = bench_new(lab);

    bench_pair(&bench, false);
    store_crash(bench.store, VS);
    store_restart(bench.store, VS);
    bench.pings[S1] = SILENT;
    bench.pings[S2] = 2;
    bench_cycles(&bench, 2 * LONG_DEAD);
    expect_view(&bench, 2, S1, S2,
                "view 2 was not acknowledged before the view service restarted "
                "and the primary died");
    bench_end(&bench);
}

/* ---- Bounds ---------------------------------------------------------------
 */

/* Pings of many strangers; the view and the memory are to stay as they are. */
static void strangers(struct lab *lab)
{
    struct view_server_config config = {PING_MS, DEAD_PINGS};
    struct node *node = view_server_new(&config, NULL);
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct inspection inspection;
    struct env env;
    struct sink sink;
    size_t first = 0;

    env_init(&env);
    sink_init(&sink, SINK_CANONICAL);
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    node_start(node, &env);
    for (uint64_t i = 0; i < 2000; i++) {
        char name[16];
        struct peer peer;

        snprintf(name, sizeof(name), "s%" PRIu64, i);
        peer = peer_at(name, 1);
        env_clear(&env);
        node_message(node, &env, &peer, &body);
        sink_clear(&sink);
        node->type->describe(node, &sink);
        if (i == 500)
            first = sink.length;
    }
    LAB_EXPECT(lab, sink.length <= first + first / 4,
               "the view service's state grew from %zu to %zu octets while "
               "1500 strangers pinged",
               first, sink.length);
    memset(&inspection, 0, sizeof(inspection));
    node->type->inspect(node, &inspection);
    LAB_EXPECT(lab, inspection.server_count <= SERVERS_MAX,
               "the view service shows more than %d servers", SERVERS_MAX);
    sink_release(&sink);
    env_release(&env);
    node_release(node);
}

/* One answer for each ping at the most. */
static void one_answer_each(struct lab *lab)
{
    struct bench bench = bench_new(lab);
    size_t mark = store_mark(bench.store);
    size_t pings;
    size_t answers;

    bench_pair(&bench, true);
    bench.pings[S3] = 2;
    bench_cycles(&bench, 50);
    pings = store_count(bench.store, mark, LINE_SEND, PBKV__BODY__KIND_PING,
                        NOBODY, VS);
    answers = store_count(bench.store, mark, LINE_SEND,
                          PBKV__BODY__KIND__NOT_SET, VS, NOBODY);
    LAB_EXPECT(lab, answers <= pings,
               "%zu messages of the view service answered %zu pings", answers,
               pings);
    LAB_EXPECT(lab, answers == pings,
               "%zu pings got only %zu answers, although nothing was lost",
               pings, answers);
    bench_end(&bench);
}

/* ---- Random walks ---------------------------------------------------------
 */

/* A server of a random walk: it pings what it has heard last, some pings late;
 * it dies and returns. The store judges V2, V3 and V7 all the time. */
static void walk_server(struct bench *bench, int server)
{
    uint64_t *random = world_random(store_world(bench->store));
    uint32_t draw = random_between(random, 0, 99);

    if (!store_is_up(bench->store, server)) {
        if (draw < 30) {
            store_restart(bench->store, server);
            bench->pings[server] = 0;
        }
        return;
    }
    if (draw < 5)
        store_crash(bench->store, server);
    else if (draw < 70) {
        store_ping(bench->store, server, (uint64_t)bench->pings[server]);
        if (draw < 50)
            bench->pings[server] = (int64_t)number(bench);
    }
}

static void random_walk(struct lab *lab)
{
    struct world_plan plan = {
        .drop = 100, .dup = 100, .min_us = 500, .max_us = 150000};
    struct bench bench = bench_new(lab);

    store_network(bench.store, &plan);
    for (int i = S1; i <= S4; i++)
        bench.pings[i] = 0;
    for (int step = 0; step < 1500; step++) {
        for (int i = S1; i <= S4; i++)
            walk_server(&bench, i);
        if (step % 100 == 99) {
            store_crash(bench.store, VS);
            store_restart(bench.store, VS);
        }
        store_run(bench.store, 60);
    }
    bench_end(&bench);
}

static const struct lab_test tests[] = {
    {"the_first_server_that_pings_is_primary_without_a_backup",
     first_is_primary, 3, LAB_UNIT, 5, "V1"},
    {"there_is_no_view_before_the_first_ping", nothing_before_first_ping, 2,
     LAB_UNIT, 5, "V1"},
    {"there_is_no_backup_until_the_primary_has_acknowledged",
     no_backup_before_acknowledgement, 4, LAB_UNIT, 5, "V3"},
    {"only_the_primary_can_acknowledge_a_view", only_primary_acknowledges, 4,
     LAB_UNIT, 5, "V3"},
    {"an_unacknowledged_view_stays_while_its_primary_is_dead",
     unacknowledged_view_stays, 4, LAB_UNIT, 5, "V3"},
    {"a_primary_that_pings_the_old_view_in_a_transfer_is_alive",
     old_ping_keeps_transferring_primary_alive, 3, LAB_UNIT, 5, "V3"},
    {"a_backup_that_dies_in_the_transfer_is_replaced",
     dead_backup_replaced_before_acknowledgement, 3, LAB_UNIT, 5, "V3"},
    {"a_missed_cycle_is_forgiven", missed_cycle_is_forgiven, 3, LAB_UNIT, 5,
     "V4"},
    {"a_server_is_not_dead_before_the_configured_number_of_cycles",
     not_dead_too_early, 3, LAB_UNIT, 5, "V4"},
    {"a_server_is_dead_after_the_configured_number_of_cycles", dead_in_time, 4,
     LAB_UNIT, 5, "V4"},
    {"idle_servers_die_too", idle_counted_too, 3, LAB_UNIT, 5, "V4"},
    {"the_backup_takes_over_and_an_idle_server_becomes_backup_at_once",
     backup_takes_over_with_idle, 4, LAB_UNIT, 5, "V5"},
    {"a_dead_backup_is_dropped", dead_backup_is_dropped, 3, LAB_UNIT, 5, "V6"},
    {"a_dead_backup_is_replaced_by_an_idle_server", dead_backup_is_replaced, 3,
     LAB_UNIT, 5, "V6"},
    {"an_idle_server_never_becomes_primary", idle_is_never_primary, 4, LAB_UNIT,
     5, "V2"},
    {"a_primary_that_was_replaced_returns_as_an_idle_server",
     replaced_primary_returns_as_idle, 3, LAB_UNIT, 5, "V5"},
    {"a_silent_idle_server_is_not_chosen", silent_idle_is_not_chosen, 3,
     LAB_UNIT, 5, "V7"},
    {"an_idle_server_that_missed_some_cycles_is_not_chosen", silent_for_a_while,
     2, LAB_UNIT, 5, "V7"},
    {"nothing_changes_while_everybody_pings", steady_state, 2, LAB_UNIT, 5,
     "V7"},
    {"the_view_stays_when_both_servers_with_the_state_are_silent",
     view_stays_when_both_silent, 4, LAB_UNIT, 5, "V9"},
    {"a_silent_backup_is_not_made_primary_by_somebody_elses_ping",
     silent_backup_is_not_promoted, 3, LAB_UNIT, 5, "V9"},
    {"the_view_stays_when_one_after_the_other_falls_silent",
     silent_one_after_the_other, 3, LAB_UNIT, 5, "V9"},
    {"a_backup_that_returns_alone_goes_on", returning_backup_goes_on, 3,
     LAB_UNIT, 5, "V9"},
    {"a_primary_that_returns_alone_goes_on", returning_primary_goes_on, 3,
     LAB_UNIT, 5, "V9"},
    {"a_newcomer_is_taken_in_the_event_of_its_ping", newcomer_taken_at_once, 2,
     LAB_UNIT, 5, "V10"},
    {"a_restarted_primary_is_replaced_at_once", restarted_primary_is_replaced,
     4, LAB_UNIT, 5, "V8"},
    {"a_restarted_backup_is_another_server", restarted_backup_is_new, 3,
     LAB_UNIT, 5, "V8"},
    {"a_restarted_primary_without_a_backup_is_not_primary",
     restarted_lone_primary_is_not_primary, 4, LAB_UNIT, 5, "V8"},
    {"a_late_ping_of_an_older_life_changes_nothing", late_ping_of_older_life, 3,
     LAB_UNIT, 5, "V8"},
    {"a_ping_of_an_older_number_is_no_sign_of_life", older_number_is_no_life, 2,
     LAB_UNIT, 5, "V8"},
    {"an_older_life_is_told_that_it_is_over", superseded_is_told, 2, LAB_UNIT,
     5, "V8"},
    {"the_view_survives_a_restart_of_the_view_service", view_survives_restart,
     3, LAB_UNIT, 5, "V11"},
    {"nobody_is_told_a_view_that_is_not_on_disk", told_after_disk, 4, LAB_UNIT,
     5, "V11"},
    {"an_acknowledgement_survives_a_restart_of_the_view_service",
     acknowledgement_survives_restart, 4, LAB_UNIT, 5, "V11"},
    {"a_restart_does_not_acknowledge_the_view", unacknowledged_after_restart, 3,
     LAB_UNIT, 5, "V11"},
    {"strangers_do_not_make_the_state_grow", strangers, 2, LAB_UNIT, 5, "V8"},
    {"every_ping_gets_one_answer", one_answer_each, 2, LAB_UNIT, 5, "V10"},
    {"a_random_walk_breaks_no_rule", random_walk, 5, LAB_SIMULATED, 20,
     "V2 V3 V7 V11"},
    {"no_schedule_of_two_servers_loses_the_state", lab2a_search_two, 4,
     LAB_SEARCHED, 30, "V2 V3 V8"},
    {"no_schedule_of_three_servers_loses_the_state", lab2a_search_three, 4,
     LAB_SEARCHED, 30, "V2 V3 V8"},
    {"no_schedule_of_restarts_tells_two_views_of_one_number",
     lab2a_search_restarts, 4, LAB_SEARCHED, 30, "V11"},
    {"a_live_view_service_forms_a_view_and_keeps_it_over_a_restart",
     lab2a_live_view_service, 4, LAB_LIVE, 20, "V11"},
};

LAB_SUITE("2a", "the view service", tests)
