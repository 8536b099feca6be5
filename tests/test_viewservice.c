/* SPDX-License-Identifier: MIT */
/*
 * The view service, event by event: no sockets, no clock. Each test gives a
 * view server pings and ends of ping cycles and reads its state and its
 * effects.
 *
 * Peers have one-letter addresses, and a peer is written as in "a1": address a,
 * incarnation 1. A view is written as in "2 a1 b1", with "-" for nobody, so
 * that a test reads like the story that it tells. DEAD_PINGS is 3: a server
 * that has missed one cycle is forgiven, two make it silent, three dead. The
 * end of a cycle never changes the view: in cycle() the pings come after it.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <xxhash.h>

#include "node/message.h"
#include "tests/suite.h"
#include "viewservice/view_record.h"
#include "viewservice/view_server.h"

enum { PING_MS = 100, DEAD_PINGS = 3, VIEW_TEXT_MAX = 64 };

static const struct view_server_config config = {PING_MS, DEAD_PINGS};

/* One view server and the effects of its last event. */
struct world {
    struct node *node;
    struct env env;
};

/* ---- Peers and views as texts ---- */

static struct peer peer_of(const char *text)
{
    char address[2] = {text[0], '\0'};

    if (text[0] == '-')
        return (struct peer){0};
    return peer_at(address, strtoull(text + 1, NULL, 10));
}

static const char *peer_text(const struct peer *peer, char text[VIEW_TEXT_MAX])
{
    if (peer_is_present(peer))
        snprintf(text, VIEW_TEXT_MAX, "%.8s%" PRIu64, peer->address.text,
                 peer->incarnation);
    else
        snprintf(text, VIEW_TEXT_MAX, "-");
    return text;
}

static struct view view_of(const char *text)
{
    char *primary;
    uint64_t number = strtoull(text, &primary, 10);
    const char *backup = strchr(primary + 1, ' ');

    ck_assert_ptr_nonnull(backup);
    return (struct view){number, peer_of(primary + 1), peer_of(backup + 1)};
}

static void expect_same_view(const struct view *view, const char *expected)
{
    char primary[VIEW_TEXT_MAX], backup[VIEW_TEXT_MAX];
    char text[3 * VIEW_TEXT_MAX];

    snprintf(text, sizeof(text), "%" PRIu64 " %s %s", view->number,
             peer_text(&view->primary, primary),
             peer_text(&view->backup, backup));
    ck_assert_str_eq(text, expected);
}

/* ---- The world ---- */

static const struct view_server *server_in(const struct world *world)
{
    return (const struct view_server *)world->node;
}

static struct world begin_from(const struct view_record *record)
{
    struct world world = {.node = view_server_new(&config, record)};

    env_init(&world.env);
    node_start(world.node, &world.env);
    return world;
}

static struct world begin(void)
{
    return begin_from(NULL);
}

static void end(struct world *world)
{
    env_release(&world->env);
    node_release(world->node);
}

static void deliver(struct world *world, const struct peer *from,
                    const Pbkv__Body *body)
{
    env_clear(&world->env);
    node_message(world->node, &world->env, from, body);
}

static void ping_from(struct world *world, const struct peer *from,
                      uint64_t view)
{
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = view;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    deliver(world, from, &body);
}

static void ping(struct world *world, const char *from, uint64_t view)
{
    struct peer peer = peer_of(from);

    ping_from(world, &peer, view);
}

static void tick(struct world *world)
{
    env_clear(&world->env);
    node_timer(world->node, &world->env, VIEW_SERVER_TIMER);
}

static void ticks(struct world *world, int count)
{
    while (count-- > 0)
        tick(world);
}

/* A ping cycle in which one server, or two, ping a view. */
static void cycle(struct world *world, const char *one, const char *two,
                  uint64_t view)
{
    tick(world);
    if (one != NULL)
        ping(world, one, view);
    if (two != NULL)
        ping(world, two, view);
}

static void cycles(struct world *world, int count, const char *one,
                   const char *two, uint64_t view)
{
    while (count-- > 0)
        cycle(world, one, two, view);
}

static void expect_view(const struct world *world, const char *expected)
{
    expect_same_view(&server_in(world)->record.view, expected);
}

static size_t events(const struct world *world, const char *name)
{
    return env_count_events(&world->env, name);
}

static size_t effects_of_kind(const struct world *world, enum effect_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < world->env.count; i++)
        count += world->env.effects[i].kind == kind;
    return count;
}

/* Returns the index of the first effect of a kind, which must be there. */
static size_t first_effect(const struct world *world, enum effect_kind kind)
{
    size_t i = 0;

    while (i < world->env.count && world->env.effects[i].kind != kind)
        i++;
    ck_assert_uint_lt(i, world->env.count);
    return i;
}

/* Checks the only message sent: a ViewReply to this peer. */
static void expect_reply(const struct world *world, const char *to,
                         const char *expected, uint64_t superseded_by)
{
    const struct effect *effect =
        &world->env.effects[first_effect(world, EFFECT_SEND)];
    struct peer peer = peer_of(to);
    struct arena arena;
    Pbkv__Body *body;
    struct view view;

    ck_assert_uint_eq(effects_of_kind(world, EFFECT_SEND), 1);
    ck_assert(peer_equal(&effect->send.to, &peer));
    arena_init(&arena);
    ck_assert_int_eq(message_decode(&arena, effect->send.body->data,
                                    effect->send.body->length, &body),
                     0);
    ck_assert_int_eq(body->kind_case, PBKV__BODY__KIND_VIEW_REPLY);
    ck_assert_int_eq(view_from_message(body->view_reply->view, &view), 0);
    expect_same_view(&view, expected);
    ck_assert_uint_eq(body->view_reply->superseded_by, superseded_by);
    arena_release(&arena);
}

/* Returns the record that the last event put on disk. */
static struct view_record persisted(const struct world *world)
{
    const struct bytes *octets = NULL;
    struct view_record record;
    const char *reason;

    for (size_t i = 0; i < world->env.count; i++)
        if (world->env.effects[i].kind == EFFECT_PERSIST)
            octets = world->env.effects[i].persist.record;
    ck_assert_ptr_nonnull(octets);
    ck_assert_int_eq(
        view_record_decode(octets->data, octets->length, &record, &reason), 0);
    return record;
}

/* The last event refused something: this was logged, and nothing was stored or
 * changed. Digests before and after show it. */
static void expect_refused_ping(struct world *world, const char *from,
                                uint64_t view, const char *event)
{
    struct digest before = node_digest(world->node);
    struct digest after;

    ping(world, from, view);
    after = node_digest(world->node);
    ck_assert(digest_equal(&before, &after));
    ck_assert_uint_eq(events(world, event), 1);
    ck_assert_uint_eq(effects_of_kind(world, EFFECT_PERSIST), 0);
    ck_assert_uint_eq(effects_of_kind(world, EFFECT_LOG), 1);
}

static uint32_t missed_cycles_of(const struct world *world, const char *text)
{
    const struct view_server *vs = server_in(world);
    struct peer peer = peer_of(text);

    for (uint32_t i = 0; i < vs->server_count; i++)
        if (peer_equal(&vs->servers[i].peer, &peer))
            return vs->servers[i].missed_cycles;
    ck_abort_msg("%s is not known", text);
    return 0;
}

/* View 1 with primary a1, acknowledged. */
static struct world begin_alone(void)
{
    struct world world = begin();

    ping(&world, "a1", 0);
    ping(&world, "a1", 1);
    expect_view(&world, "1 a1 -");
    return world;
}

/* View 2 with primary a1 and backup b1, not acknowledged yet. */
static struct world begin_transfer(void)
{
    struct world world = begin_alone();

    ping(&world, "b1", 0);
    expect_view(&world, "2 a1 b1");
    return world;
}

/* View 2 with primary a1 and backup b1, acknowledged. */
static struct world begin_pair(void)
{
    struct world world = begin_transfer();

    ping(&world, "a1", 2);
    ping(&world, "b1", 2);
    expect_view(&world, "2 a1 b1");
    return world;
}

/* ---- V1: the first view ---- */

/* V1 */
TEST(the_first_server_that_pings_is_primary_without_a_backup)
{
    struct world world = begin();

    expect_view(&world, "0 - -");
    ping(&world, "a1", 0);
    expect_view(&world, "1 a1 -");
    ck_assert_uint_eq(events(&world, "server.joined"), 1);
    ck_assert_uint_eq(events(&world, "view.changed"), 1);
    expect_reply(&world, "a1", "1 a1 -", 0);
    end(&world);
}

/* V1 */
TEST(nothing_happens_before_the_first_ping)
{
    struct world world = begin();

    ticks(&world, 10);
    expect_view(&world, "0 - -");
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_PERSIST), 0);
    end(&world);
}

/* ---- V3: the view waits for its primary ---- */

/* V3 */
TEST(no_backup_until_the_primary_acknowledges)
{
    struct world world = begin();

    ping(&world, "a1", 0);
    ping(&world, "b1", 0);
    ping(&world, "a1", 0);
    cycles(&world, 10, "a1", "b1", 0);
    expect_view(&world, "1 a1 -");
    ping(&world, "a1", 1);
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V3 */
TEST(only_the_primary_can_acknowledge)
{
    struct world world = begin_transfer();

    ping(&world, "b1", 2);
    ping(&world, "c1", 2);
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 0);
    ck_assert_uint_eq(server_in(&world)->record.acknowledged, 1);
    ping(&world, "a1", 2);
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 1);
    ck_assert_uint_eq(server_in(&world)->record.acknowledged, 2);
    end(&world);
}

/* V3 */
TEST(a_view_is_acknowledged_once)
{
    struct world world = begin_pair();

    ping(&world, "a1", 2);
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 0);
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_PERSIST), 0);
    end(&world);
}

/* V3: the new primary never had the state. */
TEST(an_uninitialised_backup_is_never_promoted)
{
    struct world world = begin_transfer();

    cycles(&world, 10 * DEAD_PINGS, "b1", "c1", 2);
    expect_view(&world, "2 a1 b1");
    ping(&world, "a2", 0); /* not even when a1 is known to be dead */
    ping(&world, "b1", 2);
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V3, T2 */
TEST(pinging_the_previous_view_keeps_the_primary_alive_in_a_transfer)
{
    struct world world = begin_transfer();

    cycles(&world, 10 * DEAD_PINGS, "a1", NULL, 1);
    ck_assert_uint_eq(missed_cycles_of(&world, "a1"), 0);
    ck_assert_uint_eq(server_in(&world)->record.acknowledged, 1);
    end(&world);
}

/* V3, the exception */
TEST(a_dead_backup_is_replaced_before_the_acknowledgement)
{
    struct world world = begin_transfer();

    ping(&world, "c1", 0);
    cycles(&world, DEAD_PINGS, "a1", NULL, 1);
    ck_assert_uint_eq(server_in(&world)->server_count, 1);
    expect_view(&world, "3 a1 -");
    ping(&world, "c1", 0);
    expect_view(&world, "3 a1 -"); /* nothing to replace: wait */
    ping(&world, "a1", 3);
    expect_view(&world, "4 a1 c1");
    cycles(&world, DEAD_PINGS - 1, "a1", "d1", 3);
    expect_view(&world, "4 a1 c1");
    cycle(&world, "a1", "d1", 3);
    expect_view(&world, "5 a1 d1");
    ck_assert_uint_eq(server_in(&world)->record.acknowledged, 3);
    end(&world);
}

/* V3, the exception: not without its primary */
TEST(nothing_is_replaced_while_an_unacknowledged_primary_is_away)
{
    struct world world = begin_transfer();

    cycles(&world, 4 * DEAD_PINGS, "c1", NULL, 2);
    expect_view(&world, "2 a1 b1"); /* both of it are dead */
    ping(&world, "a1", 1);
    expect_view(&world, "3 a1 c1");
    end(&world);
}

/* ---- V4: liveness in cycles ---- */

/* V4 */
TEST(a_server_is_dead_after_exactly_the_configured_number_of_cycles)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS - 1, "b1", NULL, 2);
    ck_assert_uint_eq(missed_cycles_of(&world, "a1"), DEAD_PINGS - 1);
    expect_view(&world, "2 a1 b1");
    tick(&world);
    ck_assert_uint_eq(events(&world, "server.dead"), 1);
    ping(&world, "b1", 2);
    expect_view(&world, "3 b1 -");
    end(&world);
}

/* V4 */
TEST(one_missed_cycle_is_forgiven_for_ever)
{
    struct world world = begin_pair();

    for (int i = 0; i < 100; i++) {
        cycle(&world, "a1", NULL, 2);
        cycle(&world, "b1", NULL, 2);
    }
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V4: however low the number is */
TEST(one_missed_cycle_is_forgiven_with_the_fewest_dead_pings)
{
    static const struct view_server_config hasty = {PING_MS,
                                                    VIEW_SERVER_DEAD_PINGS_MIN};
    struct world world = {.node = view_server_new(&hasty, NULL)};

    env_init(&world.env);
    node_start(world.node, &world.env);
    ping(&world, "a1", 0);
    ping(&world, "a1", 1);
    ping(&world, "b1", 1);
    ping(&world, "a1", 2);
    cycles(&world, 20, "a1", "b1", 2);
    cycle(&world, "b1", NULL, 2);
    cycle(&world, "b1", NULL, 2); /* a1 has missed a whole cycle */
    expect_view(&world, "2 a1 b1");
    cycle(&world, "b1", NULL, 2);
    expect_view(&world, "3 b1 -");
    end(&world);
}

/* V4: counting stops, so the states are finitely many. */
TEST(the_count_of_missed_cycles_stops_at_death)
{
    struct world world = begin_alone();
    struct digest early, late;

    ticks(&world, DEAD_PINGS);
    early = node_digest(world.node);
    ticks(&world, 100);
    late = node_digest(world.node);
    ck_assert_uint_eq(missed_cycles_of(&world, "a1"), DEAD_PINGS);
    ck_assert_uint_eq(events(&world, "server.dead"), 0); /* said once */
    ck_assert(digest_equal(&early, &late));
    end(&world);
}

/* V4 */
TEST(the_timer_is_set_at_the_start_and_after_every_cycle)
{
    struct world world = begin();

    for (int i = 0; i < 5; i++) {
        const struct effect *timer =
            &world.env.effects[first_effect(&world, EFFECT_SET_TIMER)];
        ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SET_TIMER), 1);
        ck_assert_uint_eq(timer->timer.slot, VIEW_SERVER_TIMER);
        ck_assert_uint_eq(timer->timer.min_ms, PING_MS);
        ck_assert_uint_eq(timer->timer.max_ms, PING_MS);
        tick(&world);
    }
    ping(&world, "a1", 0);
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SET_TIMER), 0);
    end(&world);
}

/* ---- V5: a dead primary ---- */

/* V5, V2 */
TEST(the_backup_replaces_a_dead_primary)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS, "b1", NULL, 2);
    expect_view(&world, "3 b1 -");
    end(&world);
}

/* V5: in the same change */
TEST(an_idle_server_becomes_backup_when_the_primary_is_replaced)
{
    struct world world = begin_pair();

    ping(&world, "c1", 0);
    cycles(&world, DEAD_PINGS, "b1", "c1", 2);
    expect_view(&world, "3 b1 c1");
    end(&world);
}

/* V2: an idle server has no state. */
TEST(an_idle_server_never_becomes_primary_of_a_later_view)
{
    struct world world = begin_alone();

    ticks(&world, DEAD_PINGS);
    cycles(&world, 10, "b1", "c1", 1);
    expect_view(&world, "1 a1 -");
    ping(&world, "a1", 1);
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V5, P2 */
TEST(a_primary_that_was_replaced_comes_back_as_an_idle_server)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS, "b1", NULL, 2);
    ping(&world, "b1", 3);
    expect_view(&world, "3 b1 -");
    ping(&world, "a1", 2);
    expect_view(&world, "4 b1 a1");
    end(&world);
}

/* ---- V6: the backup ---- */

/* V6 */
TEST(a_dead_backup_is_dropped)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS, "a1", NULL, 2);
    expect_view(&world, "3 a1 -");
    end(&world);
}

/* V6 */
TEST(a_dead_backup_is_replaced_by_an_idle_server)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS, "a1", "c1", 2);
    expect_view(&world, "3 a1 c1");
    end(&world);
}

/* V6, V10: in the event of the acknowledgement */
TEST(an_acknowledgement_lets_a_waiting_server_in)
{
    struct world world = begin();

    ping(&world, "a1", 0);
    ping(&world, "b1", 0);
    ping(&world, "a1", 1);
    expect_view(&world, "2 a1 b1");
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 1);
    ck_assert_uint_eq(events(&world, "view.changed"), 1);
    end(&world);
}

/* V6 */
TEST(the_server_known_longest_becomes_backup)
{
    struct world world = begin();

    ping(&world, "a1", 0);
    ping(&world, "d1", 0);
    ping(&world, "b1", 0);
    ping(&world, "c1", 0);
    ping(&world, "a1", 1);
    expect_view(&world, "2 a1 d1");
    end(&world);
}

/* ---- V7: who is never chosen ---- */

/* V7 */
TEST(a_silent_idle_server_is_not_chosen)
{
    struct world world = begin_pair();

    cycle(&world, "a1", "c1", 2);
    cycles(&world, VIEW_SERVER_FORGIVEN + 1, "a1", NULL, 2); /* b1 is dead */
    ck_assert_uint_eq(missed_cycles_of(&world, "c1"), VIEW_SERVER_FORGIVEN + 1);
    expect_view(&world, "3 a1 -");
    end(&world);
}

/* V7 */
TEST(an_idle_server_that_missed_one_cycle_is_chosen)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS - VIEW_SERVER_FORGIVEN, "a1", "c1", 2);
    cycles(&world, VIEW_SERVER_FORGIVEN, "a1", NULL, 2); /* b1 is dead */
    ck_assert_uint_eq(missed_cycles_of(&world, "c1"), VIEW_SERVER_FORGIVEN);
    expect_view(&world, "3 a1 c1");
    end(&world);
}

/* V7 */
TEST(a_dead_idle_server_is_forgotten)
{
    struct world world = begin_pair();

    ping(&world, "c1", 2);
    ck_assert_uint_eq(server_in(&world)->server_count, 3);
    cycles(&world, DEAD_PINGS, "a1", "b1", 2);
    ck_assert_uint_eq(server_in(&world)->server_count, 2);
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V7 */
TEST(pings_in_a_steady_state_change_nothing)
{
    struct world world = begin_pair();
    struct digest before = node_digest(world.node);
    struct digest after;

    cycles(&world, 100, "a1", "b1", 2);
    after = node_digest(world.node);
    ck_assert(digest_equal(&before, &after));
    expect_reply(&world, "b1", "2 a1 b1", 0);
    end(&world);
}

/* ---- V8: incarnations ---- */

/* View 2 with primary a1 and backup b1, acknowledged, then view 3, because a1
 * has a next life. */
static struct world begin_restarted(void)
{
    struct world world = begin_pair();

    ping(&world, "a2", 0);
    ping(&world, "b1", 2);
    expect_view(&world, "3 b1 a2");
    return world;
}

/* V8, V5: no cycle has to end before */
TEST(a_restarted_primary_is_replaced_at_the_backups_next_ping)
{
    struct world world = begin_pair();

    ping(&world, "a2", 0);
    ck_assert_uint_eq(events(&world, "server.restarted"), 1);
    expect_view(&world, "2 a1 b1");
    expect_reply(&world, "a2", "2 a1 b1", 0);
    ping(&world, "b1", 2);
    ck_assert_uint_eq(events(&world, "view.changed"), 1);
    expect_reply(&world, "b1", "3 b1 a2", 0);
    end(&world);
}

/* V8, V6 */
TEST(a_restarted_backup_is_replaced_at_the_primarys_next_ping)
{
    struct world world = begin_pair();

    ping(&world, "b2", 0);
    expect_view(&world, "2 a1 b1");
    ping(&world, "a1", 2);
    expect_view(&world, "3 a1 b2");
    end(&world);
}

/* V8, V2 */
TEST(a_restarted_primary_without_a_backup_is_not_primary_any_more)
{
    struct world world = begin_alone();

    ping(&world, "a2", 0);
    expect_view(&world, "1 a1 -"); /* its state is lost: crown nobody */
    cycles(&world, 10, "a2", "b1", 1);
    expect_view(&world, "1 a1 -");
    end(&world);
}

/* V8, V3 */
TEST(a_restarted_primary_cannot_acknowledge_for_the_old_one)
{
    struct world world = begin_transfer();

    ping(&world, "a2", 2);
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 0);
    ping(&world, "b1", 2);
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V8 */
TEST(a_late_ping_of_an_older_incarnation_changes_nothing)
{
    struct world world = begin_restarted();

    expect_refused_ping(&world, "a1", 2, "ping.superseded");
    expect_reply(&world, "a1", "3 b1 a2", 2);
    end(&world);
}

/* V8: as long as its address is in the view, also after the newer one died */
TEST(an_older_incarnation_stays_dead_when_the_newer_one_dies)
{
    struct world world = begin_alone();

    ping(&world, "a2", 0);
    ticks(&world, 2 * DEAD_PINGS);
    expect_refused_ping(&world, "a1", 1, "ping.superseded");
    expect_view(&world, "1 a1 -");
    end(&world);
}

/* V8 */
TEST(a_ping_of_an_older_view_number_does_not_count_as_a_sign_of_life)
{
    struct world world = begin_pair();

    tick(&world);
    expect_refused_ping(&world, "a1", 1, "ping.stale");
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SEND), 0);
    cycles(&world, DEAD_PINGS - 1, "b1", NULL, 2);
    expect_view(&world, "3 b1 -"); /* as if a1 had not pinged at all */
    end(&world);
}

/* V8 */
TEST(a_restarted_server_may_ping_a_lower_number_than_before)
{
    struct world world = begin_pair();

    ping(&world, "b2", 0);
    ck_assert_uint_eq(events(&world, "ping.stale"), 0);
    ck_assert_uint_eq(missed_cycles_of(&world, "b2"), 0);
    end(&world);
}

/* V8 */
TEST(a_ping_without_identity_is_refused)
{
    struct world world = begin_pair();

    expect_refused_ping(&world, "c0", 0, "ping.anonymous");
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SEND), 0);
    expect_refused_ping(&world, "a0", 2, "ping.anonymous");
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SEND), 0);
    end(&world);
}

/* V3, V11 */
TEST(a_ping_of_a_view_that_is_not_there_yet_is_refused)
{
    struct world world = begin_transfer();

    expect_refused_ping(&world, "a1", 3, "ping.from_the_future");
    expect_reply(&world, "a1", "2 a1 b1", 0);
    expect_refused_ping(&world, "c1", UINT64_MAX, "ping.from_the_future");
    expect_reply(&world, "c1", "2 a1 b1", 0);
    expect_refused_ping(&world, "b2", 3, "ping.from_the_future");
    end(&world);
}

/* V1: another view service's servers are not crowned in view 0. */
TEST(a_server_of_another_view_service_is_not_the_first_primary)
{
    struct world world = begin();

    expect_refused_ping(&world, "a1", 7, "ping.from_the_future");
    expect_view(&world, "0 - -");
    end(&world);
}

/* The table is bounded, and a live server is never evicted. */
TEST(a_full_table_refuses_newcomers_by_name)
{
    struct world world = begin();
    struct peer peer;
    char address[32];

    for (int i = 0; i < SERVERS_MAX; i++) {
        snprintf(address, sizeof(address), "host:%d", i);
        peer = peer_at(address, 1);
        ping_from(&world, &peer, 0);
    }
    ck_assert_uint_eq(server_in(&world)->server_count, SERVERS_MAX);
    expect_refused_ping(&world, "z1", 0, "ping.full");
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SEND), 1);
    peer.incarnation = 2; /* a known address has its place */
    ping_from(&world, &peer, 0);
    ck_assert_uint_eq(events(&world, "server.restarted"), 1);
    ticks(&world, DEAD_PINGS); /* the dead make room */
    ping(&world, "z1", 0);
    ck_assert_uint_eq(events(&world, "server.joined"), 1);
    ck_assert_uint_eq(server_in(&world)->server_count, 2);
    end(&world);
}

/* ---- V9: both silent ---- */

/* V9 */
TEST(when_both_are_silent_the_view_stays)
{
    struct world world = begin_pair();

    cycles(&world, 10 * DEAD_PINGS, "c1", NULL, 2);
    expect_view(&world, "2 a1 b1");
    end(&world);
}

/* V9 */
TEST(when_both_were_silent_and_the_primary_returns_it_goes_on)
{
    struct world world = begin_pair();

    ticks(&world, 10 * DEAD_PINGS);
    ping(&world, "a1", 2);
    expect_view(&world, "3 a1 -");
    end(&world);
}

/* V9 */
TEST(when_both_were_silent_and_the_backup_returns_it_goes_on)
{
    struct world world = begin_pair();

    ticks(&world, 10 * DEAD_PINGS);
    ping(&world, "b1", 2);
    expect_view(&world, "3 b1 -");
    end(&world);
}

/* V9: one falls silent a little before the other; neither is given up. */
TEST(servers_that_fall_silent_one_after_the_other_keep_their_view)
{
    struct world world = begin_pair();

    cycles(&world, VIEW_SERVER_FORGIVEN, "b1", NULL, 2);
    ticks(&world, 10 * DEAD_PINGS); /* a1 is dead first, b1 silent by then */
    expect_view(&world, "2 a1 b1");
    ping(&world, "a1", 2);
    expect_view(&world, "3 a1 -");
    end(&world);

    world = begin_pair();
    cycles(&world, VIEW_SERVER_FORGIVEN, "a1", NULL, 2);
    ticks(&world, 10 * DEAD_PINGS); /* b1 is dead first, a1 silent by then */
    expect_view(&world, "2 a1 b1");
    ping(&world, "b1", 2);
    expect_view(&world, "3 b1 -");
    end(&world);
}

/* V9, V6: the primary dies before its count says so, the backup only could not
 * be heard. */
TEST(a_backup_that_returns_after_the_primary_crashed_goes_on)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS - 1, "a1", "c1", 2);
    ping(&world, "c1", 2); /* a1 crashes here */
    tick(&world);          /* b1 counts as dead, a1 still as heard */
    ck_assert_uint_eq(missed_cycles_of(&world, "b1"), DEAD_PINGS);
    ck_assert_uint_eq(missed_cycles_of(&world, "a1"), VIEW_SERVER_FORGIVEN);
    cycles(&world, DEAD_PINGS, "c1", NULL, 2);
    expect_view(&world, "2 a1 b1"); /* and not a1 c1 */
    ping(&world, "b1", 2);
    expect_view(&world, "3 b1 c1");
    end(&world);
}

/* V9, V5: the mirror image; the backup dies before its count says so */
TEST(a_primary_that_returns_after_the_backup_crashed_goes_on)
{
    struct world world = begin_pair();

    cycles(&world, DEAD_PINGS - 1, "b1", "c1", 2);
    ping(&world, "c1", 2); /* b1 crashes here */
    tick(&world);          /* a1 counts as dead, b1 still as heard */
    ck_assert_uint_eq(missed_cycles_of(&world, "a1"), DEAD_PINGS);
    ck_assert_uint_eq(missed_cycles_of(&world, "b1"), VIEW_SERVER_FORGIVEN);
    cycles(&world, DEAD_PINGS, "c1", NULL, 2);
    expect_view(&world, "2 a1 b1"); /* and not b1 c1 */
    ping(&world, "a1", 2);
    expect_view(&world, "3 a1 c1");
    end(&world);
}

/* V9, V3: nor is a new backup given up for a primary that may be gone */
TEST(a_new_backup_stays_until_the_primary_itself_pings)
{
    struct world world = begin_transfer();

    cycles(&world, DEAD_PINGS - 1, "a1", "c1", 1);
    cycle(&world, "c1", NULL, 1); /* b1 counts as dead, a1 as heard */
    expect_view(&world, "2 a1 b1");
    ping(&world, "a1", 2);
    expect_view(&world, "3 a1 c1");
    end(&world);
}

/* V9, V4 */
TEST(the_end_of_a_cycle_never_changes_the_view)
{
    struct world world = begin_pair();

    ping(&world, "c1", 2);
    for (int i = 0; i < 2 * DEAD_PINGS; i++) {
        tick(&world);
        ck_assert_uint_eq(effects_of_kind(&world, EFFECT_PERSIST), 0);
        ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SEND), 0);
        expect_view(&world, "2 a1 b1");
    }
    end(&world);
}

/* V9 */
TEST(a_lone_primary_keeps_its_view_while_it_is_away)
{
    struct world world = begin_alone();

    ticks(&world, 10 * DEAD_PINGS);
    ping(&world, "a1", 1);
    expect_view(&world, "1 a1 -");
    ck_assert_uint_eq(missed_cycles_of(&world, "a1"), 0);
    end(&world);
}

/* ---- V10: one change in an event ---- */

/* V10 */
TEST(a_returning_primary_changes_the_view_once)
{
    struct world world = begin_transfer();

    ticks(&world, DEAD_PINGS);
    ping(&world, "c1", 0);
    ping(&world, "a1", 2); /* acknowledges, b1 is dead, c1 waits */
    expect_view(&world, "3 a1 c1");
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 1);
    ck_assert_uint_eq(events(&world, "view.changed"), 1);
    end(&world);
}

/* V10 */
TEST(a_ping_takes_the_newcomer_in_the_same_event)
{
    struct world world = begin_alone();

    ping(&world, "b1", 0);
    ck_assert_uint_eq(events(&world, "view.changed"), 1);
    expect_reply(&world, "b1", "2 a1 b1", 0);
    end(&world);
}

/* V10, V2: both restart, and nobody is left who has the state. */
TEST(when_both_restart_the_view_stays)
{
    struct world world = begin_pair();

    ping(&world, "a2", 0);
    ping(&world, "b2", 0);
    cycles(&world, 10 * DEAD_PINGS, "a2", "b2", 2);
    expect_view(&world, "2 a1 b1");
    end(&world);

    world = begin_restarted();
    ping(&world, "b2", 0);
    ping(&world, "a2", 3);
    expect_view(&world, "3 b1 a2"); /* V3: a2 has no state */
    end(&world);
}

/* ---- V11: on disk first ---- */

/* V11 */
TEST(a_view_is_on_disk_before_anyone_is_told)
{
    struct world world = begin();
    struct view_record record;
    size_t persist;

    ping(&world, "a1", 0);
    persist = first_effect(&world, EFFECT_PERSIST);
    ck_assert_uint_lt(persist, first_effect(&world, EFFECT_SEND));
    for (size_t i = 0; i < persist; i++)
        ck_assert_str_ne(world.env.effects[i].log.name, "view.changed");
    record = persisted(&world);
    expect_same_view(&record.view, "1 a1 -");
    ck_assert_uint_eq(record.acknowledged, 0);
    end(&world);
}

/* V11 */
TEST(an_acknowledgement_is_on_disk_before_the_reply)
{
    struct world world = begin_transfer();
    struct view_record record;

    ping(&world, "a1", 2);
    ck_assert_uint_eq(first_effect(&world, EFFECT_PERSIST), 0);
    ck_assert_str_eq(world.env.effects[1].log.name, "view.acknowledged");
    ck_assert_int_eq(world.env.effects[2].kind, EFFECT_SEND);
    record = persisted(&world);
    expect_same_view(&record.view, "2 a1 b1");
    ck_assert_uint_eq(record.acknowledged, 2);
    end(&world);
}

/* V11: a change of primary is stored too. */
TEST(a_view_with_another_primary_is_on_disk)
{
    struct world world = begin_pair();
    struct view_record record;

    cycles(&world, DEAD_PINGS, "b1", NULL, 2);
    ck_assert_uint_lt(first_effect(&world, EFFECT_PERSIST),
                      first_effect(&world, EFFECT_SEND));
    record = persisted(&world);
    expect_same_view(&record.view, "3 b1 -");
    ck_assert_uint_eq(record.acknowledged, 2);
    end(&world);
}

static struct view_record record_of(const char *view, uint64_t acknowledged)
{
    return (struct view_record){view_of(view), acknowledged};
}

/* V11 */
TEST(a_restarted_view_service_goes_on_with_its_view)
{
    struct view_record record = record_of("5 a1 b1", 5);
    struct world world = begin_from(&record);

    ck_assert_uint_eq(events(&world, "view.restored"), 1);
    expect_view(&world, "5 a1 b1");
    ping(&world, "c1", 0); /* is not the first server of all */
    expect_view(&world, "5 a1 b1");
    cycles(&world, DEAD_PINGS - 1, "b1", "c1", 5);
    expect_view(&world, "5 a1 b1"); /* a1 gets its time to report */
    cycle(&world, "b1", "c1", 5);
    expect_view(&world, "6 b1 c1");
    end(&world);
}

/* V11, V3 */
TEST(a_restarted_view_service_still_waits_for_the_acknowledgement)
{
    struct view_record record = record_of("5 a1 b1", 4);
    struct world world = begin_from(&record);

    cycles(&world, 10 * DEAD_PINGS, "b1", "c1", 5);
    expect_view(&world, "5 a1 b1");
    ping(&world, "a1", 5);
    ck_assert_uint_eq(events(&world, "view.acknowledged"), 1);
    end(&world);
}

/* V11, V8 */
TEST(a_restarted_view_service_remembers_the_incarnations)
{
    struct view_record record = record_of("5 a3 b4", 5);
    struct world world = begin_from(&record);

    expect_refused_ping(&world, "a2", 5, "ping.superseded");
    expect_reply(&world, "a2", "5 a3 b4", 3);
    ping(&world, "b5", 0);
    ping(&world, "a3", 5);
    expect_view(&world, "6 a3 b5");
    end(&world);
}

/* V11: at every step, what is on disk is what a restart begins with. */
TEST(a_crash_after_any_event_loses_nothing)
{
    struct world world = begin_restarted();
    struct view_record record = persisted(&world);

    end(&world);
    world = begin_from(&record);
    expect_view(&world, "3 b1 a2");
    ck_assert_uint_eq(server_in(&world)->record.acknowledged, 2);
    ping(&world, "b1", 3);
    ck_assert_uint_eq(persisted(&world).acknowledged, 3);
    end(&world);
}

/* ---- Other messages ---- */

/* C1: tests count how often clients ask. */
TEST(anybody_may_ask_for_the_view)
{
    struct world world = begin_pair();
    Pbkv__GetView get_view = PBKV__GET_VIEW__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct peer client = peer_of("z9");
    struct digest before = node_digest(world.node);
    struct digest after;

    body.kind_case = PBKV__BODY__KIND_GET_VIEW;
    body.get_view = &get_view;
    deliver(&world, &client, &body);
    after = node_digest(world.node);
    ck_assert(digest_equal(&before, &after)); /* who asks does not join */
    ck_assert_uint_eq(events(&world, "view.asked"), 1);
    expect_reply(&world, "z9", "2 a1 b1", 0);
    end(&world);
}

/* V8 */
TEST(a_superseded_server_that_asks_for_the_view_is_told)
{
    struct world world = begin_restarted();
    Pbkv__GetView get_view = PBKV__GET_VIEW__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct peer old = peer_of("a1");

    body.kind_case = PBKV__BODY__KIND_GET_VIEW;
    body.get_view = &get_view;
    deliver(&world, &old, &body);
    expect_reply(&world, "a1", "3 b1 a2", 2);
    end(&world);
}

TEST(an_echo_is_answered)
{
    struct world world = begin();
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct peer client = peer_of("z9");

    echo.call = 7;
    echo.payload = message_octets("hello", 5);
    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    deliver(&world, &client, &body);
    ck_assert_uint_eq(effects_of_kind(&world, EFFECT_SEND), 1);
    ck_assert_int_eq(
        world.env.effects[first_effect(&world, EFFECT_SEND)].send.what,
        PBKV__BODY__KIND_ECHO_REPLY);
    end(&world);
}

TEST(any_other_message_is_refused_by_name)
{
    struct world world = begin_pair();
    Pbkv__OpenSession open = PBKV__OPEN_SESSION__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct peer client = peer_of("z9");

    body.kind_case = PBKV__BODY__KIND_OPEN_SESSION;
    body.open_session = &open;
    deliver(&world, &client, &body);
    ck_assert_uint_eq(events(&world, "message.unexpected"), 1);
    ck_assert_uint_eq(world.env.count, 1);
    end(&world);
}

/* ---- The node ---- */

static void describe_into(const struct node *node, struct sink *sink)
{
    sink_init(sink, SINK_TEXT);
    node->type->describe(node, sink);
}

TEST(a_clone_describes_itself_like_its_original)
{
    struct world world = begin_pair();
    struct node *copy = world.node->type->clone(world.node);
    struct sink original, cloned;

    describe_into(world.node, &original);
    describe_into(copy, &cloned);
    ck_assert_str_eq(original.buffer, cloned.buffer);
    sink_release(&original);
    sink_release(&cloned);
    node_release(copy);
    end(&world);
}

TEST(a_step_of_a_clone_leaves_the_original_untouched)
{
    struct world world = begin_pair();
    struct world copy = {.node = world.node->type->clone(world.node)};
    struct digest before = node_digest(world.node);
    struct digest after;

    env_init(&copy.env);
    ping(&copy, "a2", 0);
    ping(&copy, "b1", 2);
    ticks(&copy, DEAD_PINGS);
    expect_view(&copy, "3 b1 a2");
    after = node_digest(world.node);
    ck_assert(digest_equal(&before, &after));
    expect_view(&world, "2 a1 b1");
    end(&copy);
    end(&world);
}

TEST(an_empty_view_server_can_be_cloned)
{
    struct world world = begin();
    struct node *copy = world.node->type->clone(world.node);
    struct digest original = node_digest(world.node);
    struct digest cloned = node_digest(copy);

    ck_assert(digest_equal(&original, &cloned));
    node_release(copy);
    end(&world);
}

TEST(an_inspection_tells_the_view_and_the_servers)
{
    struct world world = begin_pair();
    struct inspection *inspection = calloc(1, sizeof(*inspection));
    struct peer c = peer_of("c1");

    ck_assert_ptr_nonnull(inspection);
    ping(&world, "c1", 1);
    tick(&world);
    world.node->type->inspect(world.node, inspection);
    ck_assert_str_eq(inspection->role, "view service");
    expect_same_view(&inspection->view, "2 a1 b1");
    ck_assert_uint_eq(inspection->server_count, 3);
    ck_assert(peer_equal(&inspection->servers[2].peer, &c));
    ck_assert_uint_eq(inspection->servers[2].view, 1);
    ck_assert_uint_eq(inspection->servers[2].missed_cycles, 1);
    free(inspection);
    end(&world);
}

TEST(too_few_dead_pings_assert)
{
    static const struct view_server_config reckless = {
        PING_MS, VIEW_SERVER_DEAD_PINGS_MIN - 1};

    node_release(view_server_new(&reckless, NULL));
}

/* ---- The decision, in every situation ---- */

/* What the rules say of one situation with a view in it, in their own words. */
static void expect_by_the_rules(const struct view *now,
                                const struct view_facts *facts,
                                const struct view *next)
{
    bool changes = !view_equal(now, next);
    bool same_primary = peer_equal(&next->primary, &now->primary);
    bool from_backup = peer_is_present(&now->backup) &&
                       peer_equal(&next->primary, &now->backup);

    if (!changes)
        return;
    ck_assert_uint_eq(next->number, now->number + 1);
    ck_assert(same_primary || from_backup); /* V2 */
    ck_assert(facts->acknowledged ||
              (same_primary && peer_is_present(&now->backup) &&
               facts->backup == SERVER_DEAD)); /* V3 */
    if (!same_primary) {
        ck_assert_int_eq(facts->primary, SERVER_DEAD);   /* V5 */
        ck_assert_int_eq(facts->backup, SERVER_PINGING); /* V5, V9 */
    } else if (peer_is_present(&now->backup)) {
        ck_assert_int_eq(facts->backup, SERVER_DEAD);     /* V6 */
        ck_assert_int_eq(facts->primary, SERVER_PINGING); /* V6, V9 */
    } else {
        ck_assert_int_ge(facts->primary, SERVER_HEARD); /* V6 */
    }
    ck_assert(
        !(same_primary && peer_equal(&next->backup, &now->backup))); /* V7 */
    ck_assert(peer_equal(&next->backup, &facts->idle)); /* V5, V6 */
}

/* V2, V3, V5 to V7, V9 */
TEST(every_decision_follows_the_rules)
{
    int changes = 0;

    for (unsigned bits = 0; bits < 8; bits++) {
        for (int pair = 0; pair < 16; pair++) {
            struct view now = view_of(bits & 1 ? "7 a1 b1" : "7 a1 -");
            struct view_facts facts = {
                .acknowledged = bits & 2,
                .primary = (enum liveness)(pair / 4),
                .backup = bits & 1 ? (enum liveness)(pair % 4) : SERVER_DEAD,
                .idle = peer_of(bits & 4 ? "c1" : "-"),
            };
            struct view next;
            if (facts.primary == SERVER_PINGING &&
                facts.backup == SERVER_PINGING)
                continue; /* an event is one server's */
            next = view_server_next_view(&now, &facts);
            expect_by_the_rules(&now, &facts, &next);
            changes += !view_equal(&now, &next);
        }
    }
    /* Dead backup: 4. Dead primary: 2. No backup, and a primary that is heard
     * or pings: 2, each met 4 times. */
    ck_assert_int_eq(changes, 4 + 2 + 8);
}

/* ---- The state file ---- */

static struct view_record sample_record(void)
{
    struct view_record record = {
        .view = {3, peer_at("127.0.0.1:7001", 1732176000000001),
                 peer_at("unix:/run/pbkv/b", 1732176000000002)},
        .acknowledged = 2,
    };

    return record;
}

static bool records_equal(const struct view_record *a,
                          const struct view_record *b)
{
    return view_equal(&a->view, &b->view) && a->acknowledged == b->acknowledged;
}

static void expect_round_trip(const struct view_record *record)
{
    struct bytes *octets = view_record_encode(record);
    struct view_record decoded;
    const char *reason = "";

    ck_assert_uint_le(octets->length, VIEW_RECORD_MAX);
    ck_assert_int_eq(
        view_record_decode(octets->data, octets->length, &decoded, &reason), 0);
    ck_assert_ptr_null(reason);
    ck_assert(records_equal(record, &decoded));
    bytes_release(octets);
}

/* Returns what decoding says of octets; a refusal has a reason and leaves the
 * record alone. */
static int decode(const void *octets, size_t length, const char **reason)
{
    struct view_record before = record_of("9 x9 -", 9);
    struct view_record record = before;
    int result = view_record_decode(octets, length, &record, reason);

    if (result != 0) {
        ck_assert(result == -EBADMSG || result == -EPROTO);
        ck_assert_ptr_nonnull(*reason);
        ck_assert(records_equal(&before, &record));
    }
    return result;
}

/* Adds the right checksum to lines and expects decoding to say this. */
static void expect_lines(const char *lines, int expected, const char *word)
{
    char text[2 * VIEW_RECORD_MAX];
    const char *reason = NULL;
    int length = snprintf(text, sizeof(text), "%schecksum %016" PRIx64 "\n",
                          lines, (uint64_t)XXH64(lines, strlen(lines), 0));

    ck_assert_int_eq(decode(text, (size_t)length, &reason), expected);
    if (expected != 0)
        ck_assert_ptr_nonnull(strstr(reason, word));
}

/* V11 */
TEST(a_record_survives_the_state_file)
{
    struct view_record record = sample_record();
    char longest[ADDRESS_MAX + 1];

    expect_round_trip(&record);
    record = record_of("1 a1 -", 0);
    expect_round_trip(&record);
    record = record_of("0 - -", 0);
    expect_round_trip(&record);

    memset(longest, 'x', ADDRESS_MAX);
    longest[ADDRESS_MAX] = '\0';
    record.view.number = UINT64_MAX - 1;
    record.acknowledged = UINT64_MAX - 1;
    record.view.primary = peer_at(longest, UINT64_MAX);
    longest[0] = 'y';
    record.view.backup = peer_at(longest, UINT64_MAX);
    expect_round_trip(&record);
    record.view.primary = peer_at("none", 1); /* an address like any other */
    expect_round_trip(&record);
}

/* V11: the format is an interface; operators read it, old files stay good. */
TEST(a_record_is_written_as_documented)
{
    static const char expected[] = "pbkv view record 1\n"
                                   "view 3\n"
                                   "primary 1732176000000001 127.0.0.1:7001\n"
                                   "backup 1732176000000002 unix:/run/pbkv/b\n"
                                   "acknowledged 2\n";
    struct view_record record = sample_record();
    struct bytes *octets = view_record_encode(&record);

    ck_assert_mem_eq(octets->data, expected, sizeof(expected) - 1);
    expect_lines(expected, 0, "");
    bytes_release(octets);
}

/* V11 */
TEST(a_truncated_record_is_refused_at_every_length)
{
    struct view_record record = sample_record();
    struct bytes *octets = view_record_encode(&record);
    const char *reason;

    for (size_t length = 0; length < octets->length; length++) {
        char *copy = malloc(length + 1); /* exact, for the sanitizers */
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, octets->data, length);
        ck_assert_int_eq(decode(copy, length, &reason), -EBADMSG);
        free(copy);
    }
    ck_assert_int_eq(decode(NULL, 0, &reason), -EBADMSG);
    bytes_release(octets);
}

/* V11 */
TEST(a_record_with_any_flipped_bit_is_refused)
{
    struct view_record record = sample_record();
    struct bytes *octets = view_record_encode(&record);
    const char *reason;

    for (size_t bit = 0; bit < 8 * (size_t)octets->length; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);
        octets->data[bit / 8] ^= mask;
        ck_assert_int_ne(decode(octets->data, octets->length, &reason), 0);
        octets->data[bit / 8] ^= mask;
    }
    ck_assert_int_eq(decode(octets->data, octets->length, &reason), 0);
    bytes_release(octets);
}

/* V11 */
TEST(a_record_with_something_appended_is_refused)
{
    struct view_record record = sample_record();
    struct bytes *octets = view_record_encode(&record);
    struct bytes *longer;
    const char *reason;

    for (int octet = 0; octet < 256; octet++) {
        uint8_t tail = (uint8_t)octet;
        longer = bytes_concat(octets, &tail, 1);
        ck_assert_int_eq(decode(longer->data, longer->length, &reason),
                         -EBADMSG);
        bytes_release(longer);
    }
    longer = bytes_concat(octets, octets->data, octets->length);
    ck_assert_int_eq(decode(longer->data, longer->length, &reason), -EBADMSG);
    bytes_release(longer);
    bytes_release(octets);
}

#define TITLE "pbkv view record 1\n"

/* V11 */
TEST(a_record_of_another_version_is_refused)
{
    expect_lines("pbkv view record 2\nview 1\nprimary 1 a\nbackup none\n"
                 "acknowledged 1\n",
                 -EPROTO, "version");
    expect_lines("pbkv view record 0\n", -EPROTO, "version");
    expect_lines("hello\n", -EBADMSG, "not a view record");
}

/* V11: lines that no view service writes, under a checksum that is right */
TEST(a_record_with_a_line_out_of_place_is_refused)
{
    static const char *const lines[] = {
        TITLE,
        TITLE "primary 1 a\nview 1\nbackup none\nacknowledged 1\n",
        TITLE "view 01\nprimary 1 a\nbackup none\nacknowledged 1\n",
        TITLE "view +1\nprimary 1 a\nbackup none\nacknowledged 1\n",
        TITLE "view  1\nprimary 1 a\nbackup none\nacknowledged 1\n",
        TITLE "view 1 \nprimary 1 a\nbackup none\nacknowledged 1\n",
        TITLE "view 1\r\nprimary 1 a\nbackup none\nacknowledged 1\n",
        TITLE "view \nprimary 1 a\nbackup none\nacknowledged 0\n",
        TITLE "view 18446744073709551616\nprimary 1 a\nbackup none\n"
              "acknowledged 1\n",
        TITLE "view 1\nprimary 1 \nbackup none\nacknowledged 1\n",
        TITLE "view 1\nprimary 1\nbackup none\nacknowledged 1\n",
        TITLE "view 1\nprimary a\nbackup none\nacknowledged 1\n",
        TITLE "view 1\nprimary 1 a b\nbackup none\nacknowledged 1\n",
        TITLE "view 1\nprimary 1 a\nbackup none\nacknowledged 1\n\n",
        TITLE "view 1\nprimary 1 a\nbackup none\nacknowledged 1\nmore 1\n",
        TITLE "view 1\nprimary 1 a\nbackup none\n",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_lines(lines[i], -EBADMSG, "line");
}

/* V11 */
TEST(a_record_of_an_impossible_view_is_refused)
{
    static const char *const lines[] = {
        /* an acknowledgement of a view that is not there */
        TITLE "view 1\nprimary 1 a\nbackup none\nacknowledged 2\n",
        /* a view without a primary, view 0 with one */
        TITLE "view 1\nprimary none\nbackup none\nacknowledged 1\n",
        TITLE "view 1\nprimary none\nbackup 1 b\nacknowledged 1\n",
        TITLE "view 0\nprimary 1 a\nbackup none\nacknowledged 0\n",
        TITLE "view 0\nprimary none\nbackup 1 b\nacknowledged 0\n",
        /* a server without an identity */
        TITLE "view 1\nprimary 0 a\nbackup none\nacknowledged 1\n",
        TITLE "view 2\nprimary 1 a\nbackup 0 b\nacknowledged 1\n",
        /* one address for both */
        TITLE "view 2\nprimary 1 a\nbackup 1 a\nacknowledged 1\n",
        TITLE "view 2\nprimary 1 a\nbackup 2 a\nacknowledged 1\n",
        /* the last number of all, which has no successor */
        TITLE "view 18446744073709551615\nprimary 1 a\nbackup none\n"
              "acknowledged 1\n",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_lines(lines[i], -EPROTO, "view that cannot be");
}

/* ---- A random walk ---- */

enum { WALK_SERVERS = 5, WALK_EVENTS = 400, WALKS = 100 };

/* xorshift64*: the same seed, the same walk, everywhere. */
static uint64_t draw(uint64_t *state, uint64_t bound)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * 0x2545f4914f6cdd1d >> 33) % bound;
}

struct walker {
    struct world world;
    uint64_t *random;
    uint64_t incarnation[WALK_SERVERS];
    bool is_up[WALK_SERVERS];
    uint64_t acknowledged; /* newest number that its primary has pinged */
    struct peer pinger;    /* who pings in this event, if it is a ping */
    size_t changes;
};

static struct peer walker_peer(const struct walker *walker, size_t server)
{
    char address[2] = {(char)('a' + server), '\0'};

    return peer_at(address, walker->incarnation[server]);
}

/* A server pings: mostly the view, sometimes an older or impossible number,
 * sometimes as an incarnation that is long gone. Notes acknowledgements. */
static void walk_ping(struct walker *walker, size_t server)
{
    const struct view *view = &server_in(&walker->world)->record.view;
    struct peer peer = walker_peer(walker, server);
    uint64_t number = view->number;

    switch (draw(walker->random, 12)) {
    case 0: number += 1; break;
    case 1: number = draw(walker->random, number + 1); break;
    case 2:
    case 3: number -= number > 0; break;
    case 4:
        peer.incarnation = 1 + draw(walker->random, peer.incarnation);
        break;
    default: break;
    }
    if (number == view->number && peer_equal(&peer, &view->primary))
        walker->acknowledged = number;
    walker->pinger = peer;
    ping_from(&walker->world, &peer, number);
}

/* The view service crashes: what it finds is what it put on disk. */
static void walk_restart(struct walker *walker)
{
    struct view_record record = server_in(&walker->world)->record;
    struct view_record found;
    struct bytes *octets = view_record_encode(&record);
    const char *reason;

    ck_assert_int_eq(
        view_record_decode(octets->data, octets->length, &found, &reason), 0);
    bytes_release(octets);
    end(&walker->world);
    walker->world = begin_from(&found);
}

static void walk_step(struct walker *walker)
{
    size_t server = (size_t)draw(walker->random, WALK_SERVERS);

    env_clear(&walker->world.env);
    walker->pinger = (struct peer){0};
    switch (draw(walker->random, 100)) {
    case 0: walker->is_up[server] = false; break;
    case 1: walker->is_up[server] = true; break;
    case 2:
        walker->is_up[server] = true;
        walker->incarnation[server]++;
        break;
    case 3: walk_restart(walker); break;
    default:
        if (draw(walker->random, 6) == 0)
            tick(&walker->world);
        else if (walker->is_up[server])
            walk_ping(walker, server);
    }
}

static bool is_heard(const struct view_server *vs, const struct peer *peer)
{
    for (uint32_t i = 0; i < vs->server_count; i++)
        if (peer_equal(&vs->servers[i].peer, peer))
            return vs->servers[i].missed_cycles <= VIEW_SERVER_FORGIVEN;
    return false;
}

/* Two consecutive views, and what was acknowledged in between. */
static void expect_lawful(struct walker *walker, const struct view *before)
{
    const struct view_server *vs = server_in(&walker->world);
    const struct view *after = &vs->record.view;
    bool same_primary = peer_equal(&after->primary, &before->primary);
    struct view_record on_disk;

    ck_assert_uint_le(vs->record.acknowledged, walker->acknowledged); /* V3 */
    if (view_equal(before, after)) {
        ck_assert_uint_eq(events(&walker->world, "view.changed"), 0);
        return;
    }
    walker->changes++;
    ck_assert_uint_eq(after->number, before->number + 1);         /* V10 */
    ck_assert_uint_eq(events(&walker->world, "view.changed"), 1); /* V10 */
    ck_assert(before->number == 0 || same_primary ||
              peer_equal(&after->primary, &before->backup)); /* V2 */
    ck_assert(walker->acknowledged == before->number ||
              (same_primary && peer_is_present(&before->backup))); /* V3 */
    ck_assert(!same_primary ||
              !peer_equal(&after->backup, &before->backup)); /* V7 */
    ck_assert(peer_is_present(&walker->pinger));             /* V4 */
    ck_assert(!peer_is_present(&before->backup) ||
              peer_equal(&after->primary, &walker->pinger)); /* V5, V6, V9 */
    ck_assert(is_heard(vs, &after->primary));                /* V6 */
    ck_assert(!peer_is_present(&after->backup) ||
              is_heard(vs, &after->backup)); /* V7 */
    on_disk = persisted(&walker->world);
    ck_assert(records_equal(&on_disk, &vs->record)); /* V11 */
}

/* Returns how often the view changed. A walk is short, because most end in a
 * view whose servers have both lost their state, where V9 keeps it for ever. */
static size_t walk(uint64_t *random)
{
    struct walker walker = {.world = begin(), .random = random};
    size_t changes;

    for (size_t i = 0; i < WALK_SERVERS; i++) {
        walker.incarnation[i] = 1;
        walker.is_up[i] = true;
    }
    for (int i = 0; i < WALK_EVENTS; i++) {
        struct view before = server_in(&walker.world)->record.view;
        walk_step(&walker);
        expect_lawful(&walker, &before);
    }
    changes = walker.changes;
    end(&walker.world);
    return changes;
}

/* V2, V3, V7, V9, V10 and V11 between all consecutive views. PBKV_SEED chooses
 * other walks. */
TEST(random_walks_break_no_rule)
{
    uint64_t random = suite_seed();
    size_t changes = 0;

    for (int i = 0; i < WALKS; i++)
        changes += walk(&random);
    ck_assert_uint_gt(changes, (size_t)3 * WALKS); /* they do get somewhere */
}

SUITE("viewservice",
      CASE(the_first_server_that_pings_is_primary_without_a_backup),
      CASE(nothing_happens_before_the_first_ping),
      CASE(no_backup_until_the_primary_acknowledges),
      CASE(only_the_primary_can_acknowledge), CASE(a_view_is_acknowledged_once),
      CASE(an_uninitialised_backup_is_never_promoted),
      CASE(pinging_the_previous_view_keeps_the_primary_alive_in_a_transfer),
      CASE(a_dead_backup_is_replaced_before_the_acknowledgement),
      CASE(nothing_is_replaced_while_an_unacknowledged_primary_is_away),
      CASE(a_server_is_dead_after_exactly_the_configured_number_of_cycles),
      CASE(one_missed_cycle_is_forgiven_for_ever),
      CASE(one_missed_cycle_is_forgiven_with_the_fewest_dead_pings),
      CASE(the_count_of_missed_cycles_stops_at_death),
      CASE(the_timer_is_set_at_the_start_and_after_every_cycle),
      CASE(the_backup_replaces_a_dead_primary),
      CASE(an_idle_server_becomes_backup_when_the_primary_is_replaced),
      CASE(an_idle_server_never_becomes_primary_of_a_later_view),
      CASE(a_primary_that_was_replaced_comes_back_as_an_idle_server),
      CASE(a_dead_backup_is_dropped),
      CASE(a_dead_backup_is_replaced_by_an_idle_server),
      CASE(an_acknowledgement_lets_a_waiting_server_in),
      CASE(the_server_known_longest_becomes_backup),
      CASE(a_silent_idle_server_is_not_chosen),
      CASE(an_idle_server_that_missed_one_cycle_is_chosen),
      CASE(a_dead_idle_server_is_forgotten),
      CASE(pings_in_a_steady_state_change_nothing),
      CASE(a_restarted_primary_is_replaced_at_the_backups_next_ping),
      CASE(a_restarted_backup_is_replaced_at_the_primarys_next_ping),
      CASE(a_restarted_primary_without_a_backup_is_not_primary_any_more),
      CASE(a_restarted_primary_cannot_acknowledge_for_the_old_one),
      CASE(a_late_ping_of_an_older_incarnation_changes_nothing),
      CASE(an_older_incarnation_stays_dead_when_the_newer_one_dies),
      CASE(a_ping_of_an_older_view_number_does_not_count_as_a_sign_of_life),
      CASE(a_restarted_server_may_ping_a_lower_number_than_before),
      CASE(a_ping_without_identity_is_refused),
      CASE(a_ping_of_a_view_that_is_not_there_yet_is_refused),
      CASE(a_server_of_another_view_service_is_not_the_first_primary),
      CASE(a_full_table_refuses_newcomers_by_name),
      CASE(when_both_are_silent_the_view_stays),
      CASE(when_both_were_silent_and_the_primary_returns_it_goes_on),
      CASE(when_both_were_silent_and_the_backup_returns_it_goes_on),
      CASE(servers_that_fall_silent_one_after_the_other_keep_their_view),
      CASE(a_backup_that_returns_after_the_primary_crashed_goes_on),
      CASE(a_primary_that_returns_after_the_backup_crashed_goes_on),
      CASE(a_new_backup_stays_until_the_primary_itself_pings),
      CASE(the_end_of_a_cycle_never_changes_the_view),
      CASE(a_lone_primary_keeps_its_view_while_it_is_away),
      CASE(a_returning_primary_changes_the_view_once),
      CASE(a_ping_takes_the_newcomer_in_the_same_event),
      CASE(when_both_restart_the_view_stays),
      CASE(a_view_is_on_disk_before_anyone_is_told),
      CASE(an_acknowledgement_is_on_disk_before_the_reply),
      CASE(a_view_with_another_primary_is_on_disk),
      CASE(a_restarted_view_service_goes_on_with_its_view),
      CASE(a_restarted_view_service_still_waits_for_the_acknowledgement),
      CASE(a_restarted_view_service_remembers_the_incarnations),
      CASE(a_crash_after_any_event_loses_nothing),
      CASE(anybody_may_ask_for_the_view),
      CASE(a_superseded_server_that_asks_for_the_view_is_told),
      CASE(an_echo_is_answered), CASE(any_other_message_is_refused_by_name),
      CASE(a_clone_describes_itself_like_its_original),
      CASE(a_step_of_a_clone_leaves_the_original_untouched),
      CASE(an_empty_view_server_can_be_cloned),
      CASE(an_inspection_tells_the_view_and_the_servers),
      CASE_SIGNAL(too_few_dead_pings_assert, SIGABRT),
      CASE(every_decision_follows_the_rules),
      CASE(a_record_survives_the_state_file),
      CASE(a_record_is_written_as_documented),
      CASE(a_truncated_record_is_refused_at_every_length),
      CASE(a_record_with_any_flipped_bit_is_refused),
      CASE(a_record_with_something_appended_is_refused),
      CASE(a_record_of_another_version_is_refused),
      CASE(a_record_with_a_line_out_of_place_is_refused),
      CASE(a_record_of_an_impossible_view_is_refused),
      CASE_LIMIT(random_walks_break_no_rule, 60))
