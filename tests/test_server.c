/* SPDX-License-Identifier: MIT */
/*
 * Tests of the kv server role, event by event: views (P1, P2, T2, V8), what
 * clients ask (P1, P6), and replication (P3 to P5, T5). State transfer has
 * tests of its own in test_transfer.c.
 *
 * Most tests start from a pair: view 2 with primary A and installed backup B;
 * mail moves only when the test says so (effects.h).
 */
#include <signal.h>

#include "tests/effects.h"
#include "tests/suite.h"

/* ---- Messages that servers do not send by themselves ---- */

static void from_view_service(struct group *group, unsigned server,
                              const char *address, uint64_t number,
                              uint64_t superseded_by)
{
    struct peer from = peer_at(address, 1);
    struct view view = {.number = number, .primary = group->peers[C]};
    struct view_message message;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    view_to_message(&view, &message);
    reply.view = &message.view;
    reply.superseded_by = superseded_by;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    group_receive(group, server, &from, &body);
}

static void send_forward(struct group *group, unsigned from, unsigned to,
                         uint64_t view, uint64_t first)
{
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    forward.view = view;
    forward.first = first;
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    group_receive(group, to, &group->peers[from], &body);
}

static void send_ack(struct group *group, unsigned from, unsigned to,
                     uint64_t view, uint64_t applied, uint64_t round)
{
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = view;
    ack.applied = applied;
    ack.round = round;
    body.kind_case = PBKV__BODY__KIND_FORWARD_ACK;
    body.forward_ack = &ack;
    group_receive(group, to, &group->peers[from], &body);
}

static void send_refusal(struct group *group, unsigned from, unsigned to,
                         uint64_t refused, uint64_t known, Pbkv__Status status)
{
    Pbkv__Refusal refusal = PBKV__REFUSAL__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    refusal.refused = refused;
    refusal.known = known;
    refusal.status = status;
    body.kind_case = PBKV__BODY__KIND_REFUSAL;
    body.refusal = &refusal;
    group_receive(group, to, &group->peers[from], &body);
}

/* Takes the oldest refusal out of the network. */
static Pbkv__Refusal take_refusal(struct group *group)
{
    struct mail mail = post_take(&group->network, REFUSAL, 0);
    Pbkv__Refusal refusal = *mail_body(group, &mail)->refusal;

    mail_release(&mail);
    return refusal;
}

static Pbkv__ForwardAck take_ack(struct group *group)
{
    struct mail mail = post_take(&group->network, FORWARD_ACK, 0);
    Pbkv__ForwardAck ack = *mail_body(group, &mail)->forward_ack;

    mail_release(&mail);
    return ack;
}

/* Makes the backup of view 2 the primary of view 3, alone; A hears nothing. */
static void promote(struct group *group)
{
    group_tell(group, B, 3, B, NOBODY);
}

/* A pair, one session of CLIENT, nothing on the way. */
static uint64_t pair_with_session(struct group *group)
{
    struct server_config config = group_config();

    group_make_pair(group, &config);
    return open_session(group, A, CLIENT);
}

static uint64_t single_with_session(struct group *group)
{
    struct server_config config = group_config();

    group_make_single(group, &config);
    return open_session(group, A, CLIENT);
}

/* ---- Views ---- */

/* P1, V1 */
TEST(the_only_server_of_view_one_serves)
{
    struct group group;
    uint64_t session = single_with_session(&group);

    ck_assert_uint_eq(session, 1);
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_get(&group, A, CLIENT, 3, "k");
    expect_value(&group, CLIENT, 3, "v");
    ck_assert_uint_eq(group.network.count, 0);
    group_release(&group);
}

/* T2: a ping says which view its sender is ready for, 0 at first. */
TEST(pings_say_the_acknowledged_view)
{
    struct server_config config = group_config();
    struct group group;

    group_init(&group, &config);
    ck_assert_uint_eq(post_count(&group.pings, PING), GROUP_SIZE);
    ck_assert_uint_eq(group_pinged(&group, A), 0);
    ck_assert(group.timers[A][SERVER_TIMER_PING]);
    group_view(&group, 1, A, NOBODY);
    ck_assert_uint_eq(group_events(&group, A, "view.adopted"), 1);
    ck_assert_uint_eq(group_pinged(&group, A), 1);
    ck_assert_uint_eq(group_pinged(&group, C), 1);
    group_release(&group);
}

/* P2 */
TEST(an_older_view_changes_nothing)
{
    struct group group;
    struct digest before, after;

    pair_with_session(&group);
    before = node_digest(group.nodes[A]);
    group_tell(&group, A, 1, B, NOBODY);
    after = node_digest(group.nodes[A]);
    ck_assert(digest_equal(&before, &after));
    ck_assert_uint_eq(group_events(&group, A, "view.stale"), 1);
    group_release(&group);
}

/* P2: the same view again is no news. */
TEST(a_repeated_view_changes_nothing)
{
    struct group group;
    struct digest before, after;

    pair_with_session(&group);
    before = node_digest(group.nodes[A]);
    group_forget(&group);
    group_tell(&group, A, 2, A, B);
    after = node_digest(group.nodes[A]);
    ck_assert(digest_equal(&before, &after));
    ck_assert_uint_eq(group.noted_count, 0);
    group_release(&group);
}

TEST(a_view_from_a_stranger_is_ignored)
{
    struct group group;

    pair_with_session(&group);
    from_view_service(&group, A, "stranger:1", 9, 0);
    ck_assert_uint_eq(group_events(&group, A, "view.foreign"), 1);
    ck_assert_uint_eq(group_server(&group, A)->view.number, 2);
    group_release(&group);
}

TEST(two_views_of_one_number_are_a_conflict)
{
    struct group group;

    pair_with_session(&group);
    group_tell(&group, A, 2, A, C);
    ck_assert_uint_eq(group_events(&group, A, "view.conflict"), 1);
    ck_assert(
        peer_equal(&group_server(&group, A)->view.backup, &group.peers[B]));
    group_release(&group);
}

/* V8 */
TEST(a_superseded_server_stops)
{
    struct group group;

    pair_with_session(&group);
    group_forget(&group);
    from_view_service(&group, A, "views:1", 9, 2);
    ck_assert_uint_eq(group.noted_count, 1);
    ck_assert_str_eq(group.noted[0].name, "server.superseded");
    ck_assert_int_eq(group.noted[0].level, LOG_LEVEL_FATAL);
    ck_assert_uint_eq(group_server(&group, A)->view.number, 2);
    group_release(&group);
}

/* V8: an answer meant for an earlier life proves nothing about this one. */
TEST(an_older_incarnation_supersedes_nobody)
{
    struct group group;

    pair_with_session(&group);
    from_view_service(&group, A, "views:1", 3, 1);
    ck_assert_uint_eq(group_events(&group, A, "server.superseded"), 0);
    ck_assert_uint_eq(group_server(&group, A)->view.number, 3);
    group_release(&group);
}

/* V2: whoever is named primary without the state has nothing to serve. */
TEST(a_primary_without_the_state_never_serves)
{
    struct server_config config = group_config();
    struct group group;

    group_init(&group, &config);
    group_tell(&group, C, 2, C, A);
    ck_assert_uint_eq(group_events(&group, C, "view.uninitialised"), 1);
    ask_get(&group, C, CLIENT, 1, "k");
    expect_wrong_server(&group, CLIENT, 1, 2);
    ck_assert_uint_eq(group_pinged(&group, C), 0);
    group_tell(&group, C, 3, C, NOBODY);
    ck_assert_uint_eq(group_pinged(&group, C), 0);
    ck_assert_uint_eq(group.network.count, 0);
    group_release(&group);
}

/* V2, T2: nor does a backup that never got the state. */
TEST(a_backup_without_the_state_never_serves)
{
    struct server_config config = group_config();
    struct group group;

    group_make_single(&group, &config);
    group_view(&group, 2, A, B);
    post_drop_all(&group.network);
    promote(&group);
    ck_assert_uint_eq(group_events(&group, B, "view.uninitialised"), 1);
    ask_open(&group, B, CLIENT, 1);
    expect_wrong_server(&group, CLIENT, 1, 3);
    ck_assert_uint_eq(group_pinged(&group, B), 2);
    group_release(&group);
}

/* P1 */
TEST(who_is_not_primary_refuses_and_names_the_view)
{
    struct group group;

    pair_with_session(&group);
    ask_get(&group, B, CLIENT, 2, "k");
    expect_wrong_server(&group, CLIENT, 2, 2);
    ask_put(&group, C, CLIENT, 3, 1, 1, "k", "v");
    expect_wrong_server(&group, CLIENT, 3, 2);
    ask_scan(&group, C, CLIENT, 4, 0);
    expect_wrong_server(&group, CLIENT, 4, 2);
    ask_append(&group, B, CLIENT, 5, 1, 1, "k", "v");
    expect_wrong_server(&group, CLIENT, 5, 2);
    ck_assert_uint_eq(group_events(&group, C, "request.wrong_server"), 2);
    group_release(&group);
}

/* P1 */
TEST(a_server_without_a_view_names_view_zero)
{
    struct server_config config = group_config();
    struct group group;

    group_init(&group, &config);
    ask_open(&group, A, CLIENT, 1);
    expect_wrong_server(&group, CLIENT, 1, 0);
    group_release(&group);
}

/* P6, T1: an idle server and a new backup forget what they held. */
TEST(who_leaves_the_view_forgets_the_state)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    group_pump(&group);
    group_view(&group, 3, A, NOBODY);
    ck_assert(!group_server(&group, B)->initialised);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 0);
    ck_assert_uint_eq(group_server(&group, B)->state.kv.count, 0);
    ck_assert_uint_eq(group_pinged(&group, B), 3);
    group_release(&group);
}

TEST(messages_for_other_roles_are_unexpected)
{
    struct group group;
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    pair_with_session(&group);
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    group_receive(&group, A, &group.peers[B], &body);
    ck_assert_uint_eq(group_events(&group, A, "message.unexpected"), 1);
    ck_assert_uint_eq(group.network.count, 0);
    group_release(&group);
}

TEST(an_echo_comes_back_with_its_payload)
{
    struct server_config config = group_config();
    struct group group;
    struct peer client = group_client(CLIENT);
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    const Pbkv__EchoReply *reply;

    group_init(&group, &config);
    echo.call = 5;
    echo.payload = message_octets("x\0y", 3);
    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    group_receive(&group, C, &client, &body);
    reply = mail_body(&group, &group.answers.mails[0])->echo_reply;
    ck_assert_uint_eq(reply->call, 5);
    ck_assert_uint_eq(reply->payload.len, 3);
    ck_assert_mem_eq(reply->payload.data, "x\0y", 3);
    group_release(&group);
}

/* P2: who hears of a newer view asks for it, once per ping interval. */
TEST(an_early_message_makes_one_extra_ping)
{
    struct group group;

    pair_with_session(&group);
    group_timer(&group, B, SERVER_TIMER_PING);
    post_drop_all(&group.pings);
    send_forward(&group, A, B, 3, 1);
    send_forward(&group, A, B, 3, 1);
    ck_assert_uint_eq(post_count(&group.pings, PING), 1);
    group_timer(&group, B, SERVER_TIMER_PING);
    send_forward(&group, A, B, 3, 1);
    ck_assert_uint_eq(post_count(&group.pings, PING), 3);
    group_release(&group);
}

/* T2: that a view is acknowledged is worth a ping of its own. */
TEST(an_acknowledgement_does_not_wait_for_the_timer)
{
    struct group group;

    pair_with_session(&group);
    group_timer(&group, B, SERVER_TIMER_PING);
    send_forward(&group, A, B, 3, 1); /* uses up the extra ping */
    post_drop_all(&group.pings);
    group_tell(&group, B, 3, A, NOBODY);
    ck_assert_uint_eq(
        mail_body(&group, post_at(&group.pings, PING, 0))->ping->view, 3);
    group_release(&group);
}

TEST(inspection_tells_role_and_progress)
{
    struct group group;
    struct inspection seen[GROUP_SIZE];
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "key", "value");
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        memset(&seen[i], 0, sizeof(seen[i]));
        group.nodes[i]->type->inspect(group.nodes[i], &seen[i]);
        ck_assert_uint_eq(seen[i].view.number, 2);
    }
    ck_assert_str_eq(seen[A].role, "primary");
    ck_assert_str_eq(seen[B].role, "backup");
    ck_assert_str_eq(seen[C].role, "idle");
    ck_assert_uint_eq(seen[A].applied, 2);
    ck_assert_uint_eq(seen[A].committed, 1);
    ck_assert_uint_eq(seen[B].applied, 1);
    ck_assert_uint_eq(seen[A].keys, 1);
    ck_assert_uint_eq(seen[A].bytes, 8);
    ck_assert_uint_eq(seen[A].sessions, 1);
    ck_assert_uint_eq(seen[C].sessions, 0);
    ck_assert_uint_eq(seen[A].transfer_total, 0);
    group_release(&group);
}

/* ---- Requests ---- */

TEST(a_session_is_the_op_number_of_its_opening)
{
    struct group group;
    uint64_t first = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, first, 1, "k", "v");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(open_session(&group, A, OTHER_CLIENT), 3);
    group_release(&group);
}

TEST(append_adds_and_put_replaces)
{
    struct group group;
    uint64_t session = single_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 1, "k", "one");
    ask_append(&group, A, CLIENT, 3, session, 2, "k", "two");
    ask_get(&group, A, CLIENT, 4, "k");
    ask_put(&group, A, CLIENT, 5, session, 3, "k", "three");
    ask_get(&group, A, CLIENT, 6, "k");
    ask_get(&group, A, CLIENT, 7, "unknown");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    expect_value(&group, CLIENT, 4, "onetwo");
    expect_status(&group, CLIENT, 5, PBKV__STATUS__OK);
    expect_value(&group, CLIENT, 6, "three");
    expect_status(&group, CLIENT, 7, PBKV__STATUS__NO_KEY);
    group_release(&group);
}

/* A key and a value may be empty, and hold any octets. */
TEST(an_empty_key_is_a_key)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_get(&group, A, CLIENT, 2, "");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__NO_KEY);
    ask_put(&group, A, CLIENT, 3, session, 1, "", "");
    ask_append(&group, A, CLIENT, 4, session, 2, "", "");
    ask_get(&group, A, CLIENT, 5, "");
    ask_append(&group, A, CLIENT, 6, session, 3, "", "v");
    ask_get(&group, A, CLIENT, 7, "");
    group_pump(&group);
    for (uint64_t call = 3; call <= 4; call++)
        expect_status(&group, CLIENT, call, PBKV__STATUS__OK);
    ck_assert_uint_eq(group.answers.count, 3);
    group_assert_equal(&group, A, B);
    post_drop_all(&group.answers);
    promote(&group);
    ask_get(&group, B, CLIENT, 8, "");
    expect_value(&group, CLIENT, 8, "v");
    group_release(&group);
}

TEST(octets_of_any_value_are_kept)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    uint8_t octets[256];
    const struct bytes *value;

    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)i;
    ask_update(&group, A, CLIENT, 2, PBKV__KIND__KIND_PUT, session, 1,
               message_octets(octets, 200), message_octets(octets, 256));
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    value = kv_get(&group_server(&group, B)->state.kv, octets, 200);
    ck_assert_ptr_nonnull(value);
    ck_assert_uint_eq(value->length, 256);
    ck_assert_mem_eq(value->data, octets, 256);
    group_release(&group);
}

TEST(session_or_seq_zero_is_a_bad_request)
{
    struct group group;
    uint64_t session = single_with_session(&group);

    ask_put(&group, A, CLIENT, 2, 0, 1, "k", "v");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__BAD_REQUEST);
    ask_append(&group, A, CLIENT, 3, session, 0, "k", "v");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__BAD_REQUEST);
    ck_assert_uint_eq(group_server(&group, A)->state.op, 1);
    group_release(&group);
}

/* P6 */
TEST(an_unknown_session_has_expired)
{
    struct group group;

    single_with_session(&group);
    ask_put(&group, A, CLIENT, 2, 77, 1, "k", "v");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__SESSION_EXPIRED);
    ck_assert_uint_eq(group_server(&group, A)->state.op, 1);
    group_release(&group);
}

/* P6 */
TEST(a_retry_gets_the_first_answer_and_acts_once)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 1, "k", "x");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_append(&group, A, CLIENT, 3, session, 1, "k", "x");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    ck_assert_uint_eq(group_events(&group, A, "request.duplicate"), 1);
    ck_assert_uint_eq(group.network.count, 0);
    ask_get(&group, A, CLIENT, 4, "k");
    group_pump(&group);
    expect_value(&group, CLIENT, 4, "x");
    group_release(&group);
}

/* P6: seq may skip upwards; what is lower than the newest gets nothing. */
TEST(a_given_up_seq_is_stale)
{
    struct group group;
    uint64_t session = single_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 5, "k", "x");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_append(&group, A, CLIENT, 3, session, 4, "k", "y");
    ck_assert_uint_eq(group_events(&group, A, "request.stale"), 1);
    expect_silence(&group);
    ck_assert_uint_eq(group_server(&group, A)->state.op, 2);
    group_release(&group);
}

/* P6: an outcome is recorded, also TOO_LARGE: nothing that happens in between
 * changes the answer of a retry. */
TEST(too_large_is_remembered)
{
    struct group group;
    char value[1001];
    uint64_t session = pair_with_session(&group);
    uint64_t other = open_session(&group, A, OTHER_CLIENT);

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    ask_put(&group, A, CLIENT, 2, session, 1, "k", value);
    ask_append(&group, A, CLIENT, 3, session, 2, "k", "x");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__TOO_LARGE);
    ask_put(&group, A, OTHER_CLIENT, 4, other, 1, "k", "small");
    group_pump(&group);
    expect_status(&group, OTHER_CLIENT, 4, PBKV__STATUS__OK);
    ask_append(&group, A, CLIENT, 5, session, 2, "k", "x");
    expect_status(&group, CLIENT, 5, PBKV__STATUS__TOO_LARGE);
    promote(&group);
    ask_append(&group, B, CLIENT, 6, session, 2, "k", "x");
    expect_status(&group, CLIENT, 6, PBKV__STATUS__TOO_LARGE);
    ask_get(&group, B, CLIENT, 7, "k");
    expect_value(&group, CLIENT, 7, "small");
    group_release(&group);
}

/* P4: that an operation is too large is an outcome like any other. */
TEST(too_large_waits_for_the_backup)
{
    struct group group;
    char large[1002];
    uint64_t session = pair_with_session(&group);

    memset(large, 'v', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    ask_put(&group, A, CLIENT, 2, session, 1, "k", large);
    expect_silence(&group);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__TOO_LARGE);
    ck_assert_uint_eq(group_server(&group, B)->state.kv.count, 0);
    group_release(&group);
}

TEST(keys_over_the_limit_are_too_large)
{
    struct group group;
    char *key = calloc(1, KEY_LIMIT + 2);
    uint64_t session = pair_with_session(&group);

    memset(key, 'k', KEY_LIMIT + 1);
    ask_put(&group, A, CLIENT, 2, session, 1, key, "v");
    ask_get(&group, A, CLIENT, 3, key);
    key[KEY_LIMIT] = '\0';
    ask_put(&group, A, CLIENT, 4, session, 2, key, "v");
    ask_get(&group, A, CLIENT, 5, key);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__TOO_LARGE);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__TOO_LARGE);
    expect_status(&group, CLIENT, 4, PBKV__STATUS__OK);
    expect_value(&group, CLIENT, 5, "v");
    free(key);
    group_release(&group);
}

/* A full store refuses to grow, and an operation refused like this was not
 * executed: the same seq may come again. */
TEST(a_full_store_is_overloaded_until_it_shrinks)
{
    struct server_config config = group_config();
    struct group group;
    uint64_t session, other;

    config.limits.octets = 10 + ENTRY_COST;
    group_make_single(&group, &config);
    session = open_session(&group, A, CLIENT);
    other = open_session(&group, A, OTHER_CLIENT);
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "123456789");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_append(&group, A, CLIENT, 3, session, 2, "k", "x");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OVERLOADED);
    ask_put(&group, A, OTHER_CLIENT, 4, other, 1, "k", "1");
    expect_status(&group, OTHER_CLIENT, 4, PBKV__STATUS__OK);
    ask_append(&group, A, CLIENT, 5, session, 2, "k", "x");
    expect_status(&group, CLIENT, 5, PBKV__STATUS__OK);
    ask_get(&group, A, CLIENT, 6, "k");
    expect_value(&group, CLIENT, 6, "1x");
    group_release(&group);
}

/* P6: the session unused for longest goes, and its operations are refused, on
 * the new primary too. */
TEST(an_evicted_session_is_refused_and_never_executed)
{
    struct group group;
    uint64_t used = pair_with_session(&group);
    uint64_t unused = open_session(&group, A, OTHER_CLIENT);

    ask_append(&group, A, OTHER_CLIENT, 2, unused, 1, "k", "x");
    ask_append(&group, A, CLIENT, 3, used, 1, "k", "y");
    group_pump(&group);
    post_drop_all(&group.answers);
    for (int i = 0; i < 7; i++) /* the limit is 8 */
        open_session(&group, A, THIRD_CLIENT);
    ask_append(&group, A, OTHER_CLIENT, 4, unused, 1, "k", "x");
    expect_status(&group, OTHER_CLIENT, 4, PBKV__STATUS__SESSION_EXPIRED);
    ask_append(&group, A, CLIENT, 5, used, 1, "k", "y");
    expect_status(&group, CLIENT, 5, PBKV__STATUS__OK);
    ck_assert_uint_eq(group_server(&group, B)->state.sessions.count, 8);
    promote(&group);
    ask_append(&group, B, OTHER_CLIENT, 6, unused, 1, "k", "x");
    expect_status(&group, OTHER_CLIENT, 6, PBKV__STATUS__SESSION_EXPIRED);
    ask_append(&group, B, OTHER_CLIENT, 7, unused, 2, "k", "x");
    expect_status(&group, OTHER_CLIENT, 7, PBKV__STATUS__SESSION_EXPIRED);
    ask_append(&group, B, CLIENT, 8, used, 1, "k", "y");
    expect_status(&group, CLIENT, 8, PBKV__STATUS__OK);
    ask_get(&group, B, CLIENT, 9, "k");
    expect_value(&group, CLIENT, 9, "xy");
    group_release(&group);
}

/* P6: the primary decides who is evicted; a backup with another limit repeats
 * the decision. */
TEST(the_backup_repeats_decisions_by_the_limits_of_the_primary)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_server(&group, B)->config.limits.sessions = 1;
    group_server(&group, B)->config.limits.value = 2;
    group_server(&group, B)->config.limits.key = 1;
    open_session(&group, A, OTHER_CLIENT);
    ask_put(&group, A, CLIENT, 2, session, 1, "key", "value");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ck_assert_uint_eq(group_assert_equal(&group, A, B), 3);
    group_release(&group);
}

TEST(a_scan_pages_through_the_keys_in_their_order)
{
    struct group group;
    uint64_t session = single_with_session(&group);
    const Pbkv__Page *page;

    ask_put(&group, A, CLIENT, 2, session, 1, "b", "1");
    ask_put(&group, A, CLIENT, 2, session, 2, "a", "2");
    ask_put(&group, A, CLIENT, 2, session, 3, "b", "3");
    post_drop_all(&group.answers);
    ask_scan(&group, A, CLIENT, 9, 0);
    page = mail_body(&group, post_at(&group.answers, PAGE, 0))->page;
    ck_assert_uint_eq(page->call, 9);
    ck_assert_uint_eq(page->n_entries, 2);
    ck_assert_uint_eq(page->next, 2);
    ck_assert_uint_eq(page->total, 2);
    ck_assert_int_eq(page->entries[0]->key.data[0], 'b');
    ck_assert_int_eq(page->entries[0]->value.data[0], '3');
    ck_assert_uint_eq(page->entries[0]->modified, 4);
    ck_assert_int_eq(page->entries[1]->key.data[0], 'a');
    ask_scan(&group, A, CLIENT, 10, 1);
    page = mail_body(&group, post_at(&group.answers, PAGE, 1))->page;
    ck_assert_uint_eq(page->n_entries, 1);
    ask_scan(&group, A, CLIENT, 11, UINT64_MAX);
    page = mail_body(&group, post_at(&group.answers, PAGE, 2))->page;
    ck_assert_uint_eq(page->n_entries, 0);
    ck_assert_uint_eq(page->next, page->total);
    group_release(&group);
}

/* A page ends after 1024 entries or 256 KiB, and holds one entry at least. */
TEST(pages_are_bounded)
{
    struct server_config config = group_config();
    struct group group;
    struct bytes *value = bytes_new_uninitialised(VALUE_LIMIT);
    uint64_t session, cursor = 0;
    size_t pages = 0, entries = 0;

    memset(value->data, 'v', value->length);
    config.limits.value = VALUE_LIMIT;
    group_make_single(&group, &config);
    group.unchecked = true;
    session = open_session(&group, A, CLIENT);
    for (uint16_t i = 0; i < 2050; i++)
        ask_update(
            &group, A, CLIENT, i, PBKV__KIND__KIND_PUT, session, i + 1U,
            message_octets(&i, sizeof(i)),
            message_octets(value->data, i % 1000 == 7 ? VALUE_LIMIT : i % 2));
    post_drop_all(&group.answers);
    do {
        const Pbkv__Page *page;

        ask_scan(&group, A, CLIENT, 1, cursor);
        page = mail_body(&group, post_at(&group.answers, PAGE, 0))->page;
        ck_assert_uint_gt(page->n_entries, 0);
        ck_assert_uint_le(page->n_entries, 1024);
        cursor = page->next;
        entries += page->n_entries;
        pages++;
        ck_assert_uint_eq(page->total, 2050);
        post_drop_all(&group.answers);
    } while (cursor < 2050);
    ck_assert_uint_eq(entries, 2050);
    ck_assert_uint_ge(pages, 7);
    bytes_release(value);
    group_release(&group);
}

/* ---- Replication: the commit point ---- */

/* P4 */
TEST(no_update_is_answered_before_the_backup_has_it)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    ask_append(&group, A, CLIENT, 3, session, 2, "k", "w");
    ask_open(&group, A, OTHER_CLIENT, 4);
    expect_silence(&group);
    group_pass(&group, FORWARD, 0);
    expect_silence(&group);
    group_pass(&group, FORWARD_ACK, 0);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_silence(&group);
    group_pump(&group);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    expect_opened(&group, OTHER_CLIENT, 4);
    group_assert_equal(&group, A, B);
    group_release(&group);
}

/* P4: a retry does not get its answer sooner, and only the last one who asked
 * is answered. */
TEST(a_retry_of_what_is_not_committed_waits)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    ask_put(&group, A, OTHER_CLIENT, 3, session, 1, "k", "v");
    expect_silence(&group);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 1);
    group_pump(&group);
    expect_status(&group, OTHER_CLIENT, 3, PBKV__STATUS__OK);
    expect_silence(&group);
    group_release(&group);
}

/* P4: a read waits for a confirmation that was asked for after it arrived. */
TEST(a_read_needs_a_confirmation_asked_for_after_it)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    struct mail early;

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    group_pass(&group, FORWARD, 0);
    early = post_take(&group.network, FORWARD_ACK, 0);
    ask_get(&group, A, CLIENT, 3, "k");
    group_deliver(&group, &early);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_silence(&group);
    group_pump(&group);
    expect_value(&group, CLIENT, 3, "v");
    group_deliver(&group, &early);
    mail_release(&early);
    group_release(&group);
}

/* P4: one confirmation answers all reads before it, and none after. */
TEST(a_confirmation_answers_the_reads_before_it)
{
    struct group group;

    pair_with_session(&group);
    ask_get(&group, A, CLIENT, 2, "k");
    ask_get(&group, A, CLIENT, 3, "k");
    ask_scan(&group, A, CLIENT, 4, 0);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 3);
    group_pass(&group, FORWARD, 1);
    group_pass(&group, FORWARD_ACK, 0);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__NO_KEY);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__NO_KEY);
    expect_silence(&group);
    group_pass(&group, FORWARD, 1);
    group_pass(&group, FORWARD_ACK, 0);
    ck_assert_uint_eq(post_count(&group.answers, PAGE), 1);
    group_release(&group);
}

/* P3: what comes in one turn goes out in one Forward, in order. */
TEST(requests_of_one_turn_share_a_forward)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group.one_turn = true;
    ask_open(&group, A, OTHER_CLIENT, 2);
    ask_put(&group, A, CLIENT, 3, session, 1, "k", "v");
    ask_get(&group, A, THIRD_CLIENT, 4, "k");
    ck_assert_uint_eq(group.network.count, 0);
    group_end_turn(&group, A);
    ck_assert_uint_eq(group.network.count, 1);
    expect_silence(&group);
    group_pass(&group, FORWARD, 0);
    group_pass(&group, FORWARD_ACK, 0);
    expect_opened(&group, OTHER_CLIENT, 2);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    expect_value(&group, THIRD_CLIENT, 4, "v");
    ck_assert_uint_eq(group.network.count, 0);
    group_release(&group);
}

/* P3, P4: a turn that brings very much sends a part of it early. */
TEST(a_long_turn_sends_early)
{
    enum { EARLY = 64 };
    struct server_config config = group_config();
    struct group group;
    uint64_t session;

    config.chunk_octets = 65536;
    group_make_pair(&group, &config);
    session = open_session(&group, A, CLIENT);
    group.one_turn = true;
    ask_get(&group, A, OTHER_CLIENT, 1, "k");
    for (uint64_t seq = 1; seq < EARLY - 1; seq++)
        ask_put(&group, A, CLIENT, 1 + seq, session, seq, "k", "v");
    ck_assert_uint_eq(group.network.count, 0);
    ask_get(&group, A, OTHER_CLIENT, EARLY, "k");
    ck_assert_uint_eq(group.network.count, 1);
    ask_get(&group, A, OTHER_CLIENT, EARLY + 1, "k");
    group_pass(&group, FORWARD, 0);
    group_pass(&group, FORWARD_ACK, 0);
    ck_assert_uint_eq(group.answers.count, EARLY);
    group_end_turn(&group, A);
    group_pump(&group);
    ck_assert_uint_eq(group.answers.count, EARLY + 1);
    ck_assert_uint_eq(group_server(&group, A)->round, 2);
    group_release(&group);
}

/* P4: the reads of one turn share a round; the next turn has one of its own. */
TEST(reads_of_one_turn_share_a_round)
{
    struct group group;

    pair_with_session(&group);
    group.one_turn = true;
    ask_get(&group, A, CLIENT, 2, "k");
    ask_scan(&group, A, OTHER_CLIENT, 3, 0);
    group_end_turn(&group, A);
    ask_get(&group, A, CLIENT, 4, "k");
    group_end_turn(&group, A);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 2);
    group_pass(&group, FORWARD, 0);
    group_pass(&group, FORWARD_ACK, 0);
    ck_assert_uint_eq(group.answers.count, 2);
    post_drop_all(&group.answers);
    group_pump(&group);
    expect_status(&group, CLIENT, 4, PBKV__STATUS__NO_KEY);
    group_release(&group);
}

/* P5: a turn that ends after the server was deposed, or left the view, sends
 * nothing. */
TEST(a_turn_that_ends_too_late_sends_nothing)
{
    struct group group;

    pair_with_session(&group);
    group.one_turn = true;
    ask_get(&group, A, CLIENT, 2, "k");
    send_refusal(&group, B, A, 2, 3, PBKV__STATUS__WRONG_VIEW);
    group_end_turn(&group, A);
    ck_assert_uint_eq(group.network.count, 0);
    group_tell(&group, A, 3, B, A);
    group_end_turn(&group, A);
    ck_assert_uint_eq(group.network.count, 0);
    expect_wrong_server(&group, CLIENT, 2, 3);
    group_release(&group);
}

/* P4: a read that shows an operation waits until that is committed. */
TEST(a_read_waits_for_the_operations_it_shows)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    Pbkv__ForwardAck ack;

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    post_drop(&group.network, FORWARD);
    ask_get(&group, A, OTHER_CLIENT, 3, "k");
    group_pass(&group, FORWARD, 0);
    ck_assert_uint_eq(group_events(&group, B, "forward.gap"), 1);
    ack = take_ack(&group);
    ck_assert_uint_eq(ack.applied, 1);
    send_ack(&group, B, A, ack.view, ack.applied, ack.round);
    expect_silence(&group);
    group_resend(&group, A);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_value(&group, OTHER_CLIENT, 3, "v");
    group_release(&group);
}

/* P4: a read shows the state as of its arrival. */
TEST(a_read_does_not_show_later_operations)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_get(&group, A, OTHER_CLIENT, 2, "k");
    ask_put(&group, A, CLIENT, 3, session, 1, "k", "v");
    group_pump(&group);
    expect_status(&group, OTHER_CLIENT, 2, PBKV__STATUS__NO_KEY);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    group_release(&group);
}

/* P4: with no backup everything is committed at once. */
TEST(a_primary_without_a_backup_answers_at_once)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_view(&group, 3, A, NOBODY);
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_get(&group, A, CLIENT, 3, "k");
    expect_value(&group, CLIENT, 3, "v");
    ck_assert_uint_eq(group.network.count, 0);
    group_release(&group);
}

/* ---- Replication: order, loss, duplicates ---- */

static void put_many(struct group *group, uint64_t session, uint64_t first,
                     uint64_t last)
{
    char key[] = "k0";

    for (uint64_t i = first; i <= last; i++) {
        key[1] = (char)('0' + i % 10);
        ask_append(group, A, CLIENT, 100 + i, session, i, key, "x");
    }
}

static void expect_many(struct group *group, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++)
        expect_status(group, CLIENT, 100 + i, PBKV__STATUS__OK);
}

/* P3: many are in flight, and the newest acknowledgement commits them all. */
TEST(acknowledgements_are_cumulative)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 12);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 12);
    for (int i = 0; i < 12; i++)
        group_pass(&group, FORWARD, 0);
    group_pass(&group, FORWARD_ACK, 11);
    expect_many(&group, 1, 12);
    ck_assert_uint_eq(group_server(&group, A)->committed, 13);
    group_pump(&group); /* eleven older ones change nothing */
    expect_silence(&group);
    ck_assert_uint_eq(group_server(&group, A)->committed, 13);
    group_release(&group);
}

/* P3: what is on the way is bounded; acknowledgements make room. */
TEST(operations_wait_for_room_on_the_way)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 40); /* of 67 octets; the window is 1600 */
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 24);
    ck_assert_uint_eq(group_server(&group, A)->forwarded, 25);
    group_pump(&group);
    expect_many(&group, 1, 40);
    ck_assert_uint_eq(group_server(&group, A)->flight_octets, 0);
    group_assert_equal(&group, A, B);
    group_release(&group);
}

/* P3: operations that had to wait share a Forward, up to its size. */
TEST(waiting_operations_share_a_forward)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    const Pbkv__Forward *forward;

    put_many(&group, session, 1, 40);
    for (int i = 0; i < 24; i++)
        group_pass(&group, FORWARD, 0);
    group_pass(&group, FORWARD_ACK, 23);
    forward = mail_body(&group, post_at(&group.network, FORWARD, 0))->forward;
    ck_assert_uint_eq(forward->first, 26);
    ck_assert_uint_eq(forward->n_ops, 2); /* 134 of 200 octets */
    group_pump(&group);
    expect_many(&group, 1, 40);
    group_release(&group);
}

/* P3: the backup does not cross a gap. */
TEST(a_gap_stops_the_backup_until_it_is_filled)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    struct mail first;

    put_many(&group, session, 1, 3);
    first = post_take(&group.network, FORWARD, 0);
    group_pass(&group, FORWARD, 0);
    group_pass(&group, FORWARD, 0);
    ck_assert_uint_eq(group_events(&group, B, "forward.gap"), 2);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 1);
    group_deliver(&group, &first);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 2);
    group_pump(&group);
    expect_many(&group, 1, 1);
    expect_silence(&group);
    group_timer(&group, A, SERVER_TIMER_RESEND); /* something moved */
    ck_assert_uint_eq(group_events(&group, A, "replication.resend"), 0);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group_events(&group, A, "replication.resend"), 1);
    group_pump(&group);
    expect_many(&group, 2, 3);
    mail_release(&first);
    group_release(&group);
}

/* P3: each is applied exactly once, however often it arrives. */
TEST(a_duplicate_forward_is_applied_once)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    struct mail forward;

    ask_append(&group, A, CLIENT, 2, session, 1, "k", "x");
    forward = post_take(&group.network, FORWARD, 0);
    group_deliver(&group, &forward);
    group_deliver(&group, &forward);
    ck_assert_uint_eq(group_events(&group, B, "forward.duplicate"), 1);
    ck_assert_uint_eq(post_count(&group.network, FORWARD_ACK), 2);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_silence(&group);
    group_assert_equal(&group, A, B);
    mail_release(&forward);
    group_release(&group);
}

/* P3: of a Forward that overlaps only what is new is applied. */
TEST(an_overlapping_forward_is_applied_from_its_first_news)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_append(&group, A, CLIENT, 101, session, 1, "k", "x");
    group_pass(&group, FORWARD, 0);
    post_drop(&group.network, FORWARD_ACK);
    ask_append(&group, A, CLIENT, 102, session, 2, "k", "y");
    post_drop(&group.network, FORWARD);
    group_resend(&group, A);
    ck_assert_uint_eq(
        mail_body(&group, post_at(&group.network, FORWARD, 0))->forward->n_ops,
        2);
    group_pump(&group);
    expect_many(&group, 1, 2);
    group_assert_equal(&group, A, B);
    promote(&group);
    ask_get(&group, B, CLIENT, 3, "k");
    expect_value(&group, CLIENT, 3, "xy");
    group_release(&group);
}

/* P3: a lost acknowledgement is made good by sending again. */
TEST(a_lost_acknowledgement_never_stalls)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 1, "k", "x");
    ask_get(&group, A, CLIENT, 3, "k");
    while (group.network.count > 0) {
        if (post_drop(&group.network, FORWARD_ACK) == 0)
            group_pass(&group, FORWARD, 0);
    }
    expect_silence(&group);
    ck_assert(group.timers[A][SERVER_TIMER_RESEND]);
    group_resend(&group, A);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_value(&group, CLIENT, 3, "x");
    ck_assert_uint_eq(group_events(&group, B, "forward.duplicate"), 1);
    group_release(&group);
}

/* P4: a lost confirmation is asked for again. */
TEST(a_lost_confirmation_never_stalls)
{
    struct group group;

    pair_with_session(&group);
    ask_get(&group, A, CLIENT, 2, "k");
    ck_assert_uint_eq(post_drop(&group.network, FORWARD), 1);
    group_resend(&group, A);
    group_pass(&group, FORWARD, 0);
    ck_assert_uint_eq(post_drop(&group.network, FORWARD_ACK), 1);
    expect_silence(&group);
    group_resend(&group, A);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__NO_KEY);
    group_release(&group);
}

/* P3: reads that are confirmed do not hide that an operation was lost. */
TEST(confirmed_reads_do_not_delay_a_resend)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_timer(&group, A, SERVER_TIMER_RESEND); /* of the session */
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    post_drop(&group.network, FORWARD);
    ask_get(&group, A, OTHER_CLIENT, 3, "other");
    group_pump(&group);
    ck_assert_uint_eq(group_server(&group, A)->confirmed, 1);
    expect_status(&group, OTHER_CLIENT, 3, PBKV__STATUS__NO_KEY);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group_events(&group, A, "replication.resend"), 1);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    group_release(&group);
}

/* A late acknowledgement counts although its operations were to be sent anew.
 */
TEST(an_acknowledgement_counts_after_a_resend)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 30);
    for (int i = 0; i < 24; i++)
        group_pass(&group, FORWARD, 0);
    group_resend(&group, A);
    group_pass(&group, FORWARD_ACK, 23);
    expect_many(&group, 1, 24);
    ck_assert_uint_ge(group_server(&group, A)->forwarded, 25);
    group_pump(&group);
    expect_many(&group, 25, 30);
    ck_assert_uint_eq(group_server(&group, A)->flight_octets, 0);
    group_release(&group);
}

TEST(the_resend_timer_rests_when_nothing_is_owed)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    group_pump(&group);
    ck_assert(group.timers[A][SERVER_TIMER_RESEND]);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert(!group.timers[A][SERVER_TIMER_RESEND]);
    ck_assert_uint_eq(group.network.count, 0);
    ck_assert(!group.timers[B][SERVER_TIMER_RESEND]);
    group_release(&group);
}

/* ---- Replication: whose and of which view ---- */

/* P2, P5 */
TEST(a_forward_of_an_older_view_is_refused_with_the_newer_number)
{
    struct group group;
    Pbkv__Refusal refusal;

    pair_with_session(&group);
    send_forward(&group, A, B, 1, 1);
    ck_assert_uint_eq(group_events(&group, B, "replication.stale"), 1);
    refusal = take_refusal(&group);
    ck_assert_uint_eq(refusal.refused, 1);
    ck_assert_uint_eq(refusal.known, 2);
    ck_assert_int_eq(refusal.status, PBKV__STATUS__WRONG_VIEW);
    group_release(&group);
}

/* P5: an older number means that the backup has not heard yet. */
TEST(a_backup_that_has_not_heard_yet_is_asked_again)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_tell(&group, A, 3, A, C);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), 1);
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, C, "replication.early"), 1);
    ck_assert_uint_eq(group_events(&group, A, "refusal.early"), 1);
    ck_assert(group.timers[A][SERVER_TIMER_RESEND]);
    group_tell(&group, C, 3, A, C);
    group_resend(&group, A);
    group_pump(&group);
    ck_assert(group_server(&group, C)->initialised);
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    group_release(&group);
}

/* T5 */
TEST(only_the_primary_of_the_view_may_forward)
{
    struct group group;

    pair_with_session(&group);
    send_forward(&group, C, B, 2, 2); /* C is nobody */
    send_forward(&group, B, A, 2, 2); /* A is the primary */
    send_forward(&group, A, C, 2, 2); /* to who is not the backup */
    group.peers[A].incarnation = 2;
    send_forward(&group, A, B, 2, 2); /* another life of A */
    ck_assert_uint_eq(group_events(&group, B, "replication.foreign"), 2);
    ck_assert_uint_eq(group_events(&group, A, "replication.foreign"), 1);
    ck_assert_uint_eq(group_events(&group, C, "replication.foreign"), 1);
    ck_assert_int_eq(take_refusal(&group).status, PBKV__STATUS__WRONG_SERVER);
    ck_assert_uint_eq(post_count(&group.network, FORWARD_ACK), 0);
    group_release(&group);
}

/* T4 */
TEST(a_forward_before_the_state_is_refused)
{
    struct server_config config = group_config();
    struct group group;

    group_make_single(&group, &config);
    group_view(&group, 2, A, B);
    post_drop_all(&group.network);
    send_forward(&group, A, B, 2, 1);
    ck_assert_uint_eq(group_events(&group, B, "forward.uninitialised"), 1);
    ck_assert_int_eq(take_refusal(&group).status, PBKV__STATUS__STATE_TRANSFER);
    ck_assert_uint_eq(post_count(&group.network, FORWARD_ACK), 0);
    group_release(&group);
}

/* T5 */
TEST(acknowledgements_of_another_view_or_server_do_not_count)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    send_ack(&group, B, A, 1, 2, 0);
    send_ack(&group, B, A, 3, 2, 0);
    send_ack(&group, C, A, 2, 2, 0);
    send_ack(&group, A, B, 2, 1, 0);
    group.peers[B].incarnation = 2;
    send_ack(&group, B, A, 2, 2, 0);
    expect_silence(&group);
    ck_assert_uint_eq(group_events(&group, A, "forward_ack.stale"), 4);
    ck_assert_uint_eq(group_events(&group, B, "forward_ack.stale"), 1);
    ck_assert_uint_eq(group_server(&group, A)->committed, 1);
    group_release(&group);
}

/* T5 */
TEST(acknowledgements_of_what_was_never_sent_do_not_count)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    ask_get(&group, A, CLIENT, 3, "k");
    send_ack(&group, B, A, 2, 3, 0);
    send_ack(&group, B, A, 2, 2, 2);
    send_ack(&group, B, A, 2, UINT64_MAX, UINT64_MAX);
    expect_silence(&group);
    ck_assert_uint_eq(group_events(&group, A, "forward_ack.ahead"), 3);
    group_release(&group);
}

/* T5 */
TEST(refusals_of_another_view_or_server_do_not_count)
{
    struct group group;

    pair_with_session(&group);
    send_refusal(&group, B, A, 1, 3, PBKV__STATUS__WRONG_VIEW);
    send_refusal(&group, B, A, 3, 4, PBKV__STATUS__WRONG_VIEW);
    send_refusal(&group, C, A, 2, 3, PBKV__STATUS__WRONG_VIEW);
    send_refusal(&group, A, B, 2, 3, PBKV__STATUS__WRONG_VIEW);
    ck_assert_uint_eq(group_events(&group, A, "refusal.stale"), 3);
    ck_assert_uint_eq(group_events(&group, B, "refusal.stale"), 1);
    ck_assert_uint_eq(group_events(&group, A, "server.deposed"), 0);
    ask_get(&group, A, CLIENT, 2, "k");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__NO_KEY);
    group_release(&group);
}

TEST(a_refusal_without_a_cause_is_unexpected)
{
    struct group group;

    pair_with_session(&group);
    send_refusal(&group, B, A, 2, 2, PBKV__STATUS__STATE_TRANSFER);
    send_refusal(&group, B, A, 2, 2, PBKV__STATUS__OK);
    ck_assert_uint_eq(group_events(&group, A, "refusal.unexpected"), 2);
    ck_assert_uint_eq(group_server(&group, A)->acknowledged, 2);
    ck_assert_uint_eq(group.network.count, 0);
    group_release(&group);
}

/* ---- A deposed primary (P5) ---- */

/* B is primary of view 3, and A has found out by a refusal. An update and a
 * read of CLIENT wait at A. Returns the session. */
static uint64_t depose(struct group *group)
{
    uint64_t session = pair_with_session(group);

    group_tell(group, C, 3, B, C);
    group_tell(group, B, 3, B, C);
    post_drop_all(&group->network);
    ask_put(group, A, CLIENT, 2, session, 1, "k", "v");
    ask_get(group, A, CLIENT, 3, "k");
    post_drop_all(&group->pings);
    group_timer(group, A, SERVER_TIMER_PING);
    group_pump(group);
    return session;
}

/* P5 */
TEST(a_deposed_primary_answers_nothing_and_asks_for_the_view)
{
    struct group group;
    uint64_t session = depose(&group);

    ck_assert_uint_ge(group_events(&group, A, "server.deposed"), 1);
    ck_assert(group_server(&group, A)->deposed);
    ck_assert_uint_eq(post_count(&group.pings, PING), 2); /* one is early */
    expect_silence(&group);
    ask_get(&group, A, OTHER_CLIENT, 4, "k");
    expect_wrong_server(&group, OTHER_CLIENT, 4, 2);
    ask_put(&group, A, CLIENT, 5, session, 1, "k", "v");
    expect_wrong_server(&group, CLIENT, 5, 2);
    send_ack(&group, B, A, 2, 2, 1); /* it may still be on the way */
    expect_silence(&group);
    ck_assert_uint_eq(group_events(&group, A, "forward_ack.stale"), 1);
    group_release(&group);
}

/* P5: it sends nothing more to a backup that is not its own. */
TEST(a_deposed_primary_stops_sending)
{
    struct group group;

    depose(&group);
    ck_assert(group.timers[A][SERVER_TIMER_RESEND]);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group.network.count, 0);
    ck_assert(!group.timers[A][SERVER_TIMER_RESEND]);
    group_release(&group);
}

/* P1, P5: who waited is refused when the new view is known. */
TEST(a_deposed_primary_refuses_who_waits_with_the_new_view)
{
    struct group group;

    depose(&group);
    group_tell(&group, A, 3, B, C);
    expect_wrong_server(&group, CLIENT, 2, 3);
    expect_wrong_server(&group, CLIENT, 3, 3);
    expect_silence(&group);
    ck_assert_uint_eq(group_server(&group, A)->state.op, 0);
    group_release(&group);
}

/* P5: no view older than the one that deposed it makes it primary again. */
TEST(a_deposed_primary_waits_for_a_newer_view)
{
    struct group group;

    pair_with_session(&group);
    send_refusal(&group, B, A, 2, 5, PBKV__STATUS__WRONG_VIEW);
    send_refusal(&group, B, A, 2, 4, PBKV__STATUS__WRONG_VIEW);
    ck_assert(group_server(&group, A)->deposed);
    group_tell(&group, A, 1, A, NOBODY);
    ck_assert_uint_eq(group_events(&group, A, "view.stale"), 1);
    ask_get(&group, A, CLIENT, 2, "k");
    expect_wrong_server(&group, CLIENT, 2, 2);
    group_tell(&group, A, 5, A, NOBODY);
    ask_get(&group, A, CLIENT, 3, "k");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__NO_KEY);
    group_release(&group);
}

/* P5, V3: the newer view may have the same primary; it goes on, and whoever
 * waited is answered. */
TEST(a_primary_that_stays_answers_who_waited)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_tell(&group, B, 3, A, NOBODY);
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "v");
    ask_get(&group, A, CLIENT, 3, "k");
    group_pump(&group);
    ck_assert_uint_ge(group_events(&group, A, "server.deposed"), 1);
    expect_silence(&group);
    group_tell(&group, A, 3, A, NOBODY);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_value(&group, CLIENT, 3, "v");
    ck_assert_uint_eq(group_pinged(&group, A), 3);
    group_release(&group);
}

/* ---- View changes ---- */

/* P4: with the backup gone, what waited is committed by the primary alone. */
TEST(operations_that_wait_are_answered_when_the_backup_is_dropped)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 40); /* more than the window */
    ask_get(&group, A, CLIENT, 3, "k1");
    post_drop_all(&group.network);
    expect_silence(&group);
    group_tell(&group, A, 3, A, NOBODY);
    expect_many(&group, 1, 40);
    expect_value(&group, CLIENT, 3, "xxxx");
    ck_assert_uint_eq(group_server(&group, A)->log.count, 0);
    ck_assert_uint_eq(group_pinged(&group, A), 3);
    group_release(&group);
}

/* T3: with a new backup, what waited reaches it with the state. */
TEST(operations_that_wait_are_answered_when_the_backup_is_replaced)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 40);
    post_drop_all(&group.network);
    group_view(&group, 3, A, C);
    expect_many(&group, 1, 40);
    group_pump(&group);
    ck_assert_uint_eq(group_assert_equal(&group, A, C), 41);
    ck_assert_uint_eq(group_pinged(&group, A), 3);
    group_release(&group);
}

/* P6: after failover a retry gets the first answer, also of an operation whose
 * answer was never sent. */
TEST(a_retry_after_failover_gets_the_first_answer)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 1, "k", "x");
    group_pass(&group, FORWARD, 0); /* B has it; the ack is lost with A */
    post_drop_all(&group.network);
    promote(&group);
    ask_append(&group, B, CLIENT, 3, session, 1, "k", "x");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    ck_assert_uint_eq(group_events(&group, B, "request.duplicate"), 1);
    ask_get(&group, B, CLIENT, 4, "k");
    expect_value(&group, CLIENT, 4, "x");
    group_release(&group);
}

/* P6: and an operation that was lost with the primary is executed once. */
TEST(a_retry_after_failover_executes_what_was_lost)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 1, "k", "x");
    post_drop_all(&group.network);
    promote(&group);
    ask_append(&group, B, CLIENT, 3, session, 1, "k", "x");
    ask_append(&group, B, CLIENT, 4, session, 1, "k", "x");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    expect_status(&group, CLIENT, 4, PBKV__STATUS__OK);
    ask_get(&group, B, CLIENT, 5, "k");
    expect_value(&group, CLIENT, 5, "x");
    group_release(&group);
}

/* P6: any number of failovers. */
TEST(the_first_answer_survives_many_failovers)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_append(&group, A, CLIENT, 2, session, 7, "k", "x");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    for (unsigned i = 0; i < 6; i++) {
        unsigned primary = (i + 1) % GROUP_SIZE;
        unsigned backup = (i + 2) % GROUP_SIZE;

        group_view(&group, 3 + i, primary, backup);
        group_pump(&group);
        ck_assert_uint_eq(group_pinged(&group, primary), 3 + i);
        ask_append(&group, primary, CLIENT, 10 + i, session, 7, "k", "x");
        expect_status(&group, CLIENT, 10 + i, PBKV__STATUS__OK);
        group_assert_equal(&group, primary, backup);
    }
    ask_get(&group, A, CLIENT, 20, "k");
    group_pump(&group);
    expect_value(&group, CLIENT, 20, "x");
    group_release(&group);
}

/* P3: a promoted backup goes on with the next number. */
TEST(a_promoted_backup_goes_on_with_the_numbers)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 3);
    group_pump(&group);
    expect_many(&group, 1, 3);
    promote(&group);
    ck_assert_uint_eq(group_pinged(&group, B), 3);
    ck_assert_uint_eq(open_session(&group, B, OTHER_CLIENT), 5);
    ck_assert_uint_eq(group_server(&group, B)->committed, 5);
    group_release(&group);
}

/* ---- Limits ---- */

TEST(a_full_log_is_overloaded_but_still_answers_retries)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 62); /* 62 times 67 octets is over 4096 */
    expect_silence(&group);
    ask_put(&group, A, CLIENT, 1, session, 63, "k", "v");
    expect_status(&group, CLIENT, 1, PBKV__STATUS__OVERLOADED);
    ask_open(&group, A, OTHER_CLIENT, 2);
    expect_status(&group, OTHER_CLIENT, 2, PBKV__STATUS__OVERLOADED);
    put_many(&group, session, 62, 62);
    expect_silence(&group); /* a retry waits like the first */
    group_pump(&group);
    expect_many(&group, 1, 62);
    ask_put(&group, A, CLIENT, 3, session, 63, "k", "v");
    group_pump(&group);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    group_assert_equal(&group, A, B);
    group_release(&group);
}

TEST(too_many_waiting_reads_are_overloaded)
{
    struct group group;
    char value[901];
    uint64_t session = pair_with_session(&group);

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    ask_put(&group, A, CLIENT, 2, session, 1, "k", value);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    for (uint64_t call = 10; call < 15; call++)
        ask_get(&group, A, CLIENT, call, "k");
    expect_silence(&group);
    ask_get(&group, A, CLIENT, 15, "k");
    expect_status(&group, CLIENT, 15, PBKV__STATUS__OVERLOADED);
    group_pump(&group);
    for (uint64_t call = 10; call < 15; call++)
        expect_value(&group, CLIENT, call, value);
    ck_assert_uint_eq(group_server(&group, A)->reads.octets, 0);
    group_release(&group);
}

/* A backup with less room than the primary says so; clients hear of it, and
 * nobody is answered with what the backup does not have. */
TEST(a_backup_without_room_refuses)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_server(&group, B)->config.limits.octets = 4;
    group_server(&group, B)->config.limits.sessions = 1;
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "large");
    ask_put(&group, A, CLIENT, 3, session, 2, "k", "s");
    group_pump(&group);
    expect_silence(&group);
    ck_assert_uint_ge(group_events(&group, B, "forward.full"), 1);
    ck_assert_uint_ge(group_events(&group, A, "backup.full"), 1);
    ask_put(&group, A, CLIENT, 4, session, 3, "k", "v");
    expect_status(&group, CLIENT, 4, PBKV__STATUS__BACKUP_FAILED);
    group_server(&group, B)->config.limits.octets = 1000;
    group_resend(&group, A);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    ask_put(&group, A, CLIENT, 5, session, 3, "k", "v");
    group_pump(&group);
    expect_status(&group, CLIENT, 5, PBKV__STATUS__OK);
    group_release(&group);
}

/* The way out is a view without that backup: then clients are served. */
TEST(a_primary_rid_of_a_full_backup_serves)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    group_server(&group, B)->config.limits.octets = 4;
    group_server(&group, B)->config.limits.sessions = 1;
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "large");
    group_pump(&group);
    ck_assert_uint_ge(group_events(&group, A, "backup.full"), 1);
    expect_silence(&group);
    group_view(&group, 3, A, NOBODY);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_put(&group, A, CLIENT, 3, session, 2, "k", "v");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    group_release(&group);
}

/* T5: a late complaint of a backup that has everything by now does not lock
 * clients out. */
TEST(a_late_refusal_of_a_full_backup_does_not_count)
{
    struct group group;
    uint64_t session = pair_with_session(&group);
    struct mail refusal;

    group_server(&group, B)->config.limits.octets = 4;
    group_server(&group, B)->config.limits.sessions = 1;
    ask_put(&group, A, CLIENT, 2, session, 1, "k", "large");
    group_pass(&group, FORWARD, 0);
    refusal = post_take(&group.network, REFUSAL, 0);
    group_server(&group, B)->config.limits.octets = 1000;
    group_resend(&group, A);
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    group_deliver(&group, &refusal);
    ask_put(&group, A, CLIENT, 3, session, 2, "k", "v");
    group_pump(&group);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    mail_release(&refusal);
    group_release(&group);
}

/* ---- Nonsense from a peer ---- */

static void forward_one(struct group *group, const Pbkv__LogOp *op)
{
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__LogOp copy = *op;
    Pbkv__LogOp *ops[1] = {&copy};

    forward.view = 2;
    forward.first = group_server(group, B)->state.op + 1;
    forward.n_ops = 1;
    forward.ops = ops;
    body.kind_case = PBKV__BODY__KIND_FORWARD;
    body.forward = &forward;
    if (message_check(&body) == 0)
        group_receive(group, B, &group->peers[A], &body);
}

/* Impossible numbers in an operation are refused, not believed. */
TEST(an_operation_of_a_session_from_the_future_does_no_harm)
{
    struct group group;
    Pbkv__LogOp op = PBKV__LOG_OP__INIT;

    pair_with_session(&group);
    op.kind = PBKV__KIND__KIND_OPEN;
    op.session = UINT64_MAX;
    op.status = PBKV__STATUS__OK;
    forward_one(&group, &op);
    op.session = 1; /* not the op number of this opening */
    forward_one(&group, &op);
    op.kind = PBKV__KIND__KIND_PUT;
    op.session = 9;
    op.seq = 1;
    forward_one(&group, &op);
    op.session = 2; /* no such session */
    forward_one(&group, &op);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 1);
    ck_assert_uint_eq(group_server(&group, B)->state.sessions.count, 1);
    ck_assert_uint_eq(group_events(&group, B, "forward.impossible"), 1);
    group_release(&group);
}

/* An append that a primary would have refused is not stored by a backup. */
TEST(an_append_past_the_limit_is_not_believed)
{
    struct server_config config = server_config_default();
    struct group group;
    struct bytes *octets = bytes_new_uninitialised(VALUE_LIMIT);
    Pbkv__LogOp op = PBKV__LOG_OP__INIT;

    memset(octets->data, 'x', octets->length);
    group_make_pair(&group, &config);
    group.unchecked = true;
    op.kind = PBKV__KIND__KIND_APPEND;
    op.session = open_session(&group, A, CLIENT);
    op.status = PBKV__STATUS__OK;
    op.value = message_bytes(octets);
    for (op.seq = 1; op.seq <= 2; op.seq++)
        forward_one(&group, &op);
    ck_assert_uint_eq(group_events(&group, B, "forward.impossible"), 1);
    ck_assert_uint_eq(group_server(&group, B)->state.kv.octets, VALUE_LIMIT);
    bytes_release(octets);
    group_release(&group);
}

/* ---- Waiting ---- */

/* P4: a read waits for the operations that it shows, not for all. */
TEST(a_read_waits_for_its_own_key_only)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    ask_put(&group, A, CLIENT, 2, session, 1, "old", "1");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    ask_put(&group, A, CLIENT, 3, session, 2, "new", "2");
    post_drop(&group.network, FORWARD);
    ask_get(&group, A, OTHER_CLIENT, 4, "new");
    ask_get(&group, A, OTHER_CLIENT, 5, "old");
    group_pump(&group);
    expect_value(&group, OTHER_CLIENT, 5, "1");
    expect_silence(&group);
    group_resend(&group, A);
    group_pump(&group);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    expect_value(&group, OTHER_CLIENT, 4, "2");
    group_release(&group);
}

/* P6: a retry of an opening that waits does not open one more. */
TEST(an_opening_that_waits_is_not_repeated)
{
    struct group group;

    pair_with_session(&group);
    ask_open(&group, A, OTHER_CLIENT, 7);
    ask_open(&group, A, OTHER_CLIENT, 7);
    ck_assert_uint_eq(group_server(&group, A)->state.sessions.count, 2);
    group_pump(&group);
    expect_opened(&group, OTHER_CLIENT, 7);
    expect_silence(&group);
    group_release(&group);
}

/* P5: as long as nothing comes back, a primary asks rarer and rarer, and one
 * Forward at a time. */
TEST(resends_grow_rarer_until_something_moves)
{
    struct group group;
    uint64_t session = pair_with_session(&group);

    put_many(&group, session, 1, 30);
    post_drop_all(&group.network);
    for (unsigned i = 1; i <= 8; i++) {
        group_resend(&group, A);
        ck_assert_uint_eq(group_server(&group, A)->patience, i < 5 ? i : 5);
        ck_assert_uint_eq(post_drop(&group.network, FORWARD), 1);
    }
    group_resend(&group, A);
    group_pump(&group);
    ck_assert_uint_eq(group_server(&group, A)->patience, 0);
    expect_many(&group, 1, 30);
    group_release(&group);
}

/* ---- Encoded sizes ---- */

/* The densest Forward, 4096 openings, is within the decoder's budget. */
TEST(a_forward_of_many_tiny_operations_can_be_decoded)
{
    struct server_config config = server_config_default();
    struct group group;
    const struct mail *mail;

    config.limits.sessions = 100000;
    group_make_pair(&group, &config);
    group.unchecked = true;
    for (uint64_t i = 0; i < 4096; i++)
        ask_open(&group, A, CLIENT, i);
    post_drop_all(&group.network);
    group_resend(&group, A);
    mail = post_at(&group.network, FORWARD, 0);
    ck_assert_uint_eq(mail_body(&group, mail)->forward->n_ops, 4096);
    mail_assert_frame(&group, mail);
    group_pump(&group);
    ck_assert_uint_eq(group_assert_equal(&group, A, B), 4096);
    group_release(&group);
}

/* The largest: one operation with a key and a value of the greatest length. */
TEST(a_forward_of_the_largest_operation_can_be_decoded)
{
    struct server_config config = server_config_default();
    struct group group;
    struct bytes *octets = bytes_new_uninitialised(VALUE_LIMIT);
    uint64_t session;

    memset(octets->data, 0xff, octets->length);
    group_make_pair(&group, &config);
    group.unchecked = true;
    session = open_session(&group, A, CLIENT);
    for (uint64_t i = 1; i <= 2; i++)
        ask_update(&group, A, CLIENT, i, PBKV__KIND__KIND_PUT, session, i,
                   message_octets(octets->data, KEY_LIMIT),
                   message_octets(octets->data, VALUE_LIMIT));
    post_drop(&group.network, FORWARD);
    group_resend(&group, A);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 1);
    mail_assert_frame(&group, post_at(&group.network, FORWARD, 0));
    ask_get(&group, A, CLIENT, 3, "k");
    group_pump(&group);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 3);
    ask_scan(&group, A, CLIENT, 4, 0);
    group_pump(&group);
    ck_assert_uint_gt(post_at(&group.answers, PAGE, 0)->body->length,
                      VALUE_LIMIT);
    mail_assert_frame(&group, post_at(&group.answers, PAGE, 0));
    bytes_release(octets);
    group_release(&group);
}

SUITE("server", CASE(the_only_server_of_view_one_serves),
      CASE(pings_say_the_acknowledged_view),
      CASE(an_older_view_changes_nothing),
      CASE(a_repeated_view_changes_nothing),
      CASE(a_view_from_a_stranger_is_ignored),
      CASE(two_views_of_one_number_are_a_conflict),
      CASE(a_superseded_server_stops),
      CASE(an_older_incarnation_supersedes_nobody),
      CASE(a_primary_without_the_state_never_serves),
      CASE(a_backup_without_the_state_never_serves),
      CASE(who_is_not_primary_refuses_and_names_the_view),
      CASE(a_server_without_a_view_names_view_zero),
      CASE(who_leaves_the_view_forgets_the_state),
      CASE(messages_for_other_roles_are_unexpected),
      CASE(an_echo_comes_back_with_its_payload),
      CASE(an_early_message_makes_one_extra_ping),
      CASE(an_acknowledgement_does_not_wait_for_the_timer),
      CASE(inspection_tells_role_and_progress),
      CASE(a_session_is_the_op_number_of_its_opening),
      CASE(append_adds_and_put_replaces), CASE(an_empty_key_is_a_key),
      CASE(octets_of_any_value_are_kept),
      CASE(session_or_seq_zero_is_a_bad_request),
      CASE(an_unknown_session_has_expired),
      CASE(a_retry_gets_the_first_answer_and_acts_once),
      CASE(a_given_up_seq_is_stale), CASE(too_large_is_remembered),
      CASE(too_large_waits_for_the_backup),
      CASE(keys_over_the_limit_are_too_large),
      CASE(a_full_store_is_overloaded_until_it_shrinks),
      CASE(an_evicted_session_is_refused_and_never_executed),
      CASE(the_backup_repeats_decisions_by_the_limits_of_the_primary),
      CASE(a_scan_pages_through_the_keys_in_their_order),
      CASE(pages_are_bounded),
      CASE(no_update_is_answered_before_the_backup_has_it),
      CASE(a_retry_of_what_is_not_committed_waits),
      CASE(a_read_needs_a_confirmation_asked_for_after_it),
      CASE(a_confirmation_answers_the_reads_before_it),
      CASE(requests_of_one_turn_share_a_forward),
      CASE(reads_of_one_turn_share_a_round), CASE(a_long_turn_sends_early),
      CASE(a_turn_that_ends_too_late_sends_nothing),
      CASE(a_read_waits_for_the_operations_it_shows),
      CASE(a_read_does_not_show_later_operations),
      CASE(a_primary_without_a_backup_answers_at_once),
      CASE(acknowledgements_are_cumulative),
      CASE(operations_wait_for_room_on_the_way),
      CASE(waiting_operations_share_a_forward),
      CASE(a_gap_stops_the_backup_until_it_is_filled),
      CASE(a_duplicate_forward_is_applied_once),
      CASE(an_overlapping_forward_is_applied_from_its_first_news),
      CASE(a_lost_acknowledgement_never_stalls),
      CASE(a_lost_confirmation_never_stalls),
      CASE(confirmed_reads_do_not_delay_a_resend),
      CASE(an_acknowledgement_counts_after_a_resend),
      CASE(the_resend_timer_rests_when_nothing_is_owed),
      CASE(a_forward_of_an_older_view_is_refused_with_the_newer_number),
      CASE(a_backup_that_has_not_heard_yet_is_asked_again),
      CASE(only_the_primary_of_the_view_may_forward),
      CASE(a_forward_before_the_state_is_refused),
      CASE(acknowledgements_of_another_view_or_server_do_not_count),
      CASE(acknowledgements_of_what_was_never_sent_do_not_count),
      CASE(refusals_of_another_view_or_server_do_not_count),
      CASE(a_refusal_without_a_cause_is_unexpected),
      CASE(a_deposed_primary_answers_nothing_and_asks_for_the_view),
      CASE(a_deposed_primary_stops_sending),
      CASE(a_deposed_primary_refuses_who_waits_with_the_new_view),
      CASE(a_deposed_primary_waits_for_a_newer_view),
      CASE(a_primary_that_stays_answers_who_waited),
      CASE(operations_that_wait_are_answered_when_the_backup_is_dropped),
      CASE(operations_that_wait_are_answered_when_the_backup_is_replaced),
      CASE(a_retry_after_failover_gets_the_first_answer),
      CASE(a_retry_after_failover_executes_what_was_lost),
      CASE(the_first_answer_survives_many_failovers),
      CASE(a_promoted_backup_goes_on_with_the_numbers),
      CASE(a_full_log_is_overloaded_but_still_answers_retries),
      CASE(too_many_waiting_reads_are_overloaded),
      CASE(a_backup_without_room_refuses),
      CASE(a_primary_rid_of_a_full_backup_serves),
      CASE(a_late_refusal_of_a_full_backup_does_not_count),
      CASE(an_operation_of_a_session_from_the_future_does_no_harm),
      CASE(a_forward_of_many_tiny_operations_can_be_decoded),
      CASE(an_append_past_the_limit_is_not_believed),
      CASE(a_read_waits_for_its_own_key_only),
      CASE(an_opening_that_waits_is_not_repeated),
      CASE(resends_grow_rarer_until_something_moves),
      CASE(a_forward_of_the_largest_operation_can_be_decoded))
