/* SPDX-License-Identifier: MIT */
/*
 * Tests of state transfer, event by event (rules T1 to T5). A transfer starts
 * when A, alone with some keys, learns of view 2 with backup B. Chunks are of
 * about 200 octets, so a few keys make several.
 *
 * What is proved at the end of most tests: both servers hold the same state, by
 * digest and field by field, and the primary acknowledges the view only then.
 */
#include <stdio.h>

#include "tests/effects.h"
#include "tests/suite.h"

/* ---- Steps ---- */

/* Puts keys k00, k01, … with a value of 20 octets each. */
static void fill(struct group *group, uint64_t session, unsigned keys)
{
    char key[] = "k00";

    for (unsigned i = 0; i < keys; i++) {
        snprintf(key, sizeof(key), "k%02u", i % 100);
        ask_put(group, A, CLIENT, 1, session, i + 1, key,
                "a value of 20 octets");
        expect_status(group, CLIENT, 1, PBKV__STATUS__OK);
    }
}

/* A alone with some keys; B is about to become its backup. Returns the session
 * of CLIENT, whose next seq is keys+1. */
static uint64_t before_transfer(struct group *group, unsigned keys)
{
    struct server_config config = group_config();
    uint64_t session;

    group_make_single(group, &config);
    session = open_session(group, A, CLIENT);
    fill(group, session, keys);
    group_forget(group);
    return session;
}

static uint64_t during_transfer(struct group *group, unsigned keys)
{
    uint64_t session = before_transfer(group, keys);

    group_view(group, 2, A, B);
    ck_assert_uint_eq(group_events(group, A, "transfer.started"), 1);
    return session;
}

/* Nothing is left to do: the transfer is done and both hold the same. */
static void assert_transferred(struct group *group)
{
    ck_assert_uint_eq(group_events(group, B, "transfer.installed"), 1);
    ck_assert_uint_eq(group_events(group, A, "transfer.done"), 1);
    ck_assert_uint_eq(group_pinged(group, A), 2);
    ck_assert(!group_server(group, A)->out.active);
    group_assert_equal(group, A, B);
}

/* Lets mail and the resend timer work until the transfer is done. */
static void pump_and_resend(struct group *group)
{
    unsigned rounds = 0;

    group_pump(group);
    while (group_server(group, A)->out.active) {
        ck_assert_uint_lt(rounds++, 100);
        group_timer(group, A, SERVER_TIMER_RESEND);
        group_pump(group);
    }
}

/* Delivers what is on the way from B, and loses it otherwise. */
static void acks_arrive(struct group *group)
{
    while (post_count(&group->network, CHUNK_ACK) > 0)
        group_pass(group, CHUNK_ACK, 0);
}

static void send_chunk_ack(struct group *group, unsigned from, uint64_t view,
                           uint64_t transfer, uint64_t received, bool installed)
{
    Pbkv__ChunkAck ack = PBKV__CHUNK_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ack.view = view;
    ack.transfer = transfer;
    ack.received = received;
    ack.installed = installed;
    body.kind_case = PBKV__BODY__KIND_CHUNK_ACK;
    body.chunk_ack = &ack;
    group_receive(group, A, &group->peers[from], &body);
}

/* Changes a value in the first chunk on the way that has one, as no network
 * does. */
static void corrupt_chunk(struct group *group)
{
    for (size_t n = 0;; n++) {
        struct mail mail = post_take(&group->network, CHUNK, 0);
        const Pbkv__Body *body = mail_body(group, &mail);
        struct bytes *changed = NULL;

        if (body->chunk->n_entries > 0) {
            body->chunk->entries[0]->value.data[0] ^= 1;
            changed = message_encode(body);
            bytes_release(mail.body);
            mail.body = changed;
        }
        group_deliver(group, &mail);
        mail_release(&mail);
        if (changed)
            return;
    }
}

/* ---- The plain transfer ---- */

/* T1: there is always one chunk, so that an empty store is installed too. */
TEST(an_empty_store_is_one_chunk)
{
    struct server_config config = group_config();
    struct group group;
    const Pbkv__Chunk *chunk;

    group_make_single(&group, &config);
    group_view(&group, 2, A, B);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), 1);
    chunk = mail_body(&group, post_at(&group.network, CHUNK, 0))->chunk;
    ck_assert(chunk->last);
    ck_assert_uint_eq(chunk->n_sessions + chunk->n_entries + chunk->n_ops, 0);
    ck_assert_uint_eq(chunk->digest.len, DIGEST_SIZE);
    group_pump(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* T1: keys, sessions and op number; chunks are bounded. */
TEST(the_backup_gets_the_whole_state_in_bounded_chunks)
{
    struct group group;
    size_t chunks = 0;
    uint64_t items = 0;

    during_transfer(&group, 12);
    while (post_count(&group.network, CHUNK) > 0) {
        const struct mail *mail = post_at(&group.network, CHUNK, 0);
        const Pbkv__Chunk *chunk = mail_body(&group, mail)->chunk;

        ck_assert_uint_le(mail->body->length, 300);
        ck_assert_uint_eq(chunk->first, items);
        ck_assert_uint_eq(chunk->total, 13);
        items += chunk->n_sessions + chunk->n_entries + chunk->n_ops;
        ck_assert(chunk->last == (items == 13));
        chunks++;
        group_pass(&group, CHUNK, 0);
        acks_arrive(&group);
    }
    ck_assert_uint_ge(chunks, 4);
    assert_transferred(&group);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 13);
    ck_assert_uint_eq(group_server(&group, B)->state.kv.count, 12);
    group_release(&group);
}

/* T2 */
TEST(the_primary_acknowledges_when_the_backup_has_installed)
{
    struct group group;

    during_transfer(&group, 5);
    while (post_count(&group.network, CHUNK) > 1)
        group_pass(&group, CHUNK, 0);
    acks_arrive(&group);
    ck_assert_uint_eq(group_pinged(&group, A), 1);
    group_pass(&group, CHUNK, 0);
    ck_assert(group_server(&group, B)->initialised);
    ck_assert_uint_eq(group_pinged(&group, A), 1);
    post_drop_all(&group.pings);
    group_pass(&group, CHUNK_ACK, 0);
    /* The news does not wait for the timer. */
    ck_assert_uint_eq(
        mail_body(&group, post_at(&group.pings, PING, 0))->ping->view, 2);
    assert_transferred(&group);
    group_release(&group);
}

/* T1: at most eight chunks are on the way. */
TEST(chunks_on_the_way_are_bounded)
{
    struct group group;

    during_transfer(&group, 60);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), TRANSFER_WINDOW);
    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK_ACK, 0);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), TRANSFER_WINDOW);
    group_pump(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* P6: the order in which sessions were used comes along, so that the next
 * eviction is the same. */
TEST(the_new_backup_evicts_like_the_primary)
{
    struct group group;
    uint64_t first = before_transfer(&group, 1);
    uint64_t sessions[7];

    for (size_t i = 0; i < 7; i++)
        sessions[i] = open_session(&group, A, OTHER_CLIENT);
    ask_put(&group, A, CLIENT, 1, first, 2, "k", "v"); /* used again */
    post_drop_all(&group.answers);
    group_view(&group, 2, A, B);
    group_pump(&group);
    assert_transferred(&group);
    open_session(&group, A, OTHER_CLIENT);
    group_assert_equal(&group, A, B);
    group_tell(&group, B, 3, B, NOBODY);
    open_session(&group, B, OTHER_CLIENT);
    ck_assert_ptr_null(
        sessions_find(&group_server(&group, B)->state.sessions, sessions[0]));
    ck_assert_ptr_null(
        sessions_find(&group_server(&group, B)->state.sessions, sessions[1]));
    ck_assert_ptr_nonnull(
        sessions_find(&group_server(&group, B)->state.sessions, first));
    group_release(&group);
}

/* V2: a backup that has installed can be promoted and has everything. */
TEST(an_installed_backup_serves_everything)
{
    struct group group;
    uint64_t session = during_transfer(&group, 12);

    group_pump(&group);
    group_tell(&group, B, 3, B, NOBODY);
    ask_get(&group, B, CLIENT, 2, "k11");
    expect_value(&group, CLIENT, 2, "a value of 20 octets");
    ask_append(&group, B, CLIENT, 3, session, 12, "k11", "twice?");
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    ask_get(&group, B, CLIENT, 4, "k11");
    expect_value(&group, CLIENT, 4, "a value of 20 octets");
    group_release(&group);
}

/* ---- Operations during the transfer (T3) ---- */

/* T3: on keys sent, on the way, not yet sent, and new; appends show whether one
 * was applied twice or not at all. */
TEST(operations_during_the_transfer_reach_the_backup)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60);

    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK, 0);
    acks_arrive(&group);
    ask_append(&group, A, CLIENT, 2, session, 61, "k00", "+sent");
    ask_append(&group, A, CLIENT, 3, session, 62, "k10", "+on the way");
    ask_append(&group, A, CLIENT, 4, session, 63, "k59", "+not sent");
    ask_append(&group, A, CLIENT, 5, session, 64, "new", "new");
    ask_append(&group, A, CLIENT, 6, session, 65, "new", "+newer");
    ask_put(&group, A, CLIENT, 7, session, 66, "k58", "replaced");
    ask_open(&group, A, OTHER_CLIENT, 8);
    for (uint64_t call = 2; call <= 7; call++)
        expect_status(&group, CLIENT, call, PBKV__STATUS__OK);
    expect_opened(&group, OTHER_CLIENT, 8);
    group_pump(&group);
    assert_transferred(&group);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 68);
    group_tell(&group, B, 3, B, NOBODY);
    ask_get(&group, B, CLIENT, 1, "k00");
    expect_value(&group, CLIENT, 1, "a value of 20 octets+sent");
    ask_get(&group, B, CLIENT, 1, "k10");
    expect_value(&group, CLIENT, 1, "a value of 20 octets+on the way");
    ask_get(&group, B, CLIENT, 1, "k59");
    expect_value(&group, CLIENT, 1, "a value of 20 octets+not sent");
    ask_get(&group, B, CLIENT, 1, "new");
    expect_value(&group, CLIENT, 1, "new+newer");
    group_release(&group);
}

/* T3: the same key changes before and after its chunk is built, over and over.
 */
TEST(a_key_that_changes_all_the_time_arrives_exact)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60);
    uint64_t seq = 61;

    while (group_server(&group, A)->out.active && group.network.count > 0) {
        ask_append(&group, A, CLIENT, 2, session, seq++, "k30", "+");
        group_pass(&group, (int)group.network.mails[0].kind, 0);
    }
    group_pump(&group);
    assert_transferred(&group);
    ck_assert_uint_eq(post_count(&group.answers, REPLY), seq - 61);
    group_release(&group);
}

/* T3, P4: after the last chunk an operation needs the backup like any other. */
TEST(operations_after_the_last_chunk_wait_for_the_backup)
{
    struct group group;
    uint64_t session = during_transfer(&group, 3);

    ck_assert(group_server(&group, A)->out.closed);
    ask_append(&group, A, CLIENT, 2, session, 4, "k00", "x");
    ask_get(&group, A, OTHER_CLIENT, 3, "k00");
    ask_append(&group, A, CLIENT, 4, session, 4, "k00", "x");
    expect_silence(&group);
    while (post_count(&group.network, CHUNK) > 0)
        group_pass(&group, CHUNK, 0);
    ck_assert(group_server(&group, B)->initialised);
    ck_assert_uint_eq(group_server(&group, B)->state.op, 4);
    acks_arrive(&group);
    ck_assert_uint_eq(group_events(&group, A, "transfer.done"), 1);
    expect_silence(&group);
    group_pump(&group);
    expect_status(&group, CLIENT, 4, PBKV__STATUS__OK);
    expect_value(&group, OTHER_CLIENT, 3, "a value of 20 octetsx");
    expect_silence(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* P4: a read alone, too: it asks for its confirmation when the backup is there.
 */
TEST(reads_after_the_last_chunk_wait_for_the_backup)
{
    struct group group;

    during_transfer(&group, 3);
    ask_get(&group, A, CLIENT, 2, "k00");
    expect_silence(&group);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 0);
    group_pump(&group);
    expect_value(&group, CLIENT, 2, "a value of 20 octets");
    assert_transferred(&group);
    group_release(&group);
}

/* P4: before the last chunk the primary is the only one who can have the state,
 * and reads for itself. */
TEST(reads_during_the_transfer_are_answered)
{
    struct group group;

    during_transfer(&group, 60);
    ask_get(&group, A, CLIENT, 2, "k59");
    expect_value(&group, CLIENT, 2, "a value of 20 octets");
    ask_scan(&group, A, CLIENT, 3, 0);
    ck_assert_uint_eq(post_count(&group.answers, PAGE), 1);
    ck_assert_uint_eq(post_count(&group.network, FORWARD), 0);
    group_release(&group);
}

/* T3: a chunk that is sent again after the last one was built must not carry
 * what came later, which the digest does not cover. */
TEST(a_lost_chunk_comes_again_as_it_was)
{
    struct group group;
    uint64_t session = during_transfer(&group, 5);

    ck_assert(group_server(&group, A)->out.closed);
    post_drop(&group.network, CHUNK);
    ask_append(&group, A, CLIENT, 2, session, 6, "k00", "x");
    ask_append(&group, A, CLIENT, 3, session, 7, "k04", "y");
    pump_and_resend(&group);
    ck_assert_uint_eq(group_events(&group, B, "chunk.digest"), 0);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    assert_transferred(&group);
    group_release(&group);
}

/* T3: the log keeps what has to reach the backup, and when it is full clients
 * hear why. */
TEST(a_full_log_during_the_transfer_says_so)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60);
    uint64_t seq = 61;

    for (; seq < 200; seq++) {
        ask_append(&group, A, CLIENT, seq, session, seq, "k00", "x");
        if (group_server(&group, A)->log.octets > 4096)
            break;
        expect_status(&group, CLIENT, seq, PBKV__STATUS__OK);
    }
    ck_assert_uint_lt(seq, 200);
    expect_status(&group, CLIENT, seq, PBKV__STATUS__OK);
    ask_append(&group, A, CLIENT, 1, session, seq + 1, "k00", "x");
    expect_status(&group, CLIENT, 1, PBKV__STATUS__STATE_TRANSFER);
    ask_open(&group, A, OTHER_CLIENT, 2);
    expect_status(&group, OTHER_CLIENT, 2, PBKV__STATUS__STATE_TRANSFER);
    group_pump(&group);
    assert_transferred(&group);
    ask_append(&group, A, CLIENT, 3, session, seq + 1, "k00", "x");
    group_pump(&group);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    group_assert_equal(&group, A, B);
    group_release(&group);
}

/* ---- Loss, duplicates, order (T4) ---- */

/* T4: what follows a lost chunk is not taken. */
TEST(a_lost_chunk_leaves_a_gap)
{
    struct group group;
    struct mail first;

    during_transfer(&group, 12);
    first = post_take(&group.network, CHUNK, 0);
    group_pass(&group, CHUNK, 0);
    ck_assert_uint_eq(group_events(&group, B, "chunk.gap"), 1);
    ck_assert_uint_eq(group_server(&group, B)->in.received, 0);
    group_deliver(&group, &first);
    ck_assert_uint_gt(group_server(&group, B)->in.received, 0);
    ck_assert(group.timers[A][SERVER_TIMER_RESEND]);
    pump_and_resend(&group);
    assert_transferred(&group);
    mail_release(&first);
    group_release(&group);
}

/* T4: every chunk arrives twice; nothing is taken twice. */
TEST(duplicate_chunks_change_nothing_and_are_acknowledged)
{
    struct group group;

    during_transfer(&group, 12);
    while (group.network.count > 0) {
        struct mail mail =
            post_take(&group.network, (int)group.network.mails[0].kind, 0);
        size_t before = group_events(&group, B, "chunk.duplicate");

        group_deliver(&group, &mail);
        group_deliver(&group, &mail);
        if (mail.kind == PBKV__BODY__KIND_CHUNK) {
            ck_assert_uint_eq(group_events(&group, B, "chunk.duplicate"),
                              before + 1);
            ck_assert_uint_eq(group.envs[B].count, 2); /* event and ack */
        }
        mail_release(&mail);
    }
    assert_transferred(&group);
    group_release(&group);
}

/* T4: the newest comes first, each time. */
TEST(chunks_in_reverse_order_arrive_in_the_end)
{
    struct group group;
    size_t rounds = 0;

    during_transfer(&group, 30);
    while (group_server(&group, A)->out.active) {
        while (group.network.count > 0) {
            const struct mail *last =
                &group.network.mails[group.network.count - 1];

            group_pass(&group, (int)last->kind,
                       post_count(&group.network, (int)last->kind) - 1);
        }
        if (group_server(&group, A)->out.active)
            group_timer(&group, A, SERVER_TIMER_RESEND);
        ck_assert_uint_lt(rounds++, 100);
    }
    ck_assert_uint_gt(group_events(&group, B, "chunk.gap"), 0);
    assert_transferred(&group);
    group_release(&group);
}

/* T3: clients do not wait for all chunks on the way when the last is built. */
TEST(the_last_chunk_is_built_when_the_others_have_arrived)
{
    struct group group;
    uint64_t session = during_transfer(&group, 12);
    uint64_t seq = 13;

    while (!group_server(&group, A)->out.closed) {
        ck_assert_uint_gt(post_count(&group.network, CHUNK), 1);
        ask_append(&group, A, CLIENT, seq, session, seq, "k00", "x");
        expect_status(&group, CLIENT, seq, PBKV__STATUS__OK);
        seq++;
        group_pass(&group, CHUNK, 0);
        acks_arrive(&group);
    }
    ck_assert_uint_gt(seq, 14);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), 2);
    group_pump(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* T4: a lost acknowledgement never stalls. */
TEST(a_lost_chunk_ack_is_made_good)
{
    struct group group;

    during_transfer(&group, 5);
    while (post_count(&group.network, CHUNK) > 0)
        group_pass(&group, CHUNK, 0);
    ck_assert(group_server(&group, B)->initialised);
    post_drop_all(&group.network); /* with the one that says "installed" */
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group_events(&group, A, "replication.resend"), 1);
    group_pass(&group, CHUNK, 0);
    ck_assert_uint_eq(group_events(&group, B, "chunk.duplicate"), 1);
    group_pass(&group, CHUNK_ACK, 0);
    assert_transferred(&group);
    group_pump(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* A transfer that moves is left alone. */
TEST(progress_keeps_chunks_from_being_sent_again)
{
    struct group group;

    during_transfer(&group, 30);
    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK_ACK, 0);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group_events(&group, A, "replication.resend"), 0);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), TRANSFER_WINDOW);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group_events(&group, A, "replication.resend"), 1);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), TRANSFER_WINDOW + 1);
    group_release(&group);
}

/* T4: after progress, only what is still missing is sent again. */
TEST(a_resend_starts_behind_what_has_arrived)
{
    struct group group;
    uint64_t acked;

    during_transfer(&group, 12);
    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK_ACK, 0);
    acked = group_server(&group, A)->out.acked;
    ck_assert_uint_gt(acked, 0);
    post_drop_all(&group.network);
    group_resend(&group, A);
    ck_assert_uint_eq(
        mail_body(&group, post_at(&group.network, CHUNK, 0))->chunk->first,
        acked);
    pump_and_resend(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* Another chunk size from one moment to the next does no harm. */
TEST(chunk_boundaries_may_change)
{
    static const size_t sizes[] = {1, 1000, 60, 100000, 130};
    struct group group;
    uint64_t session = during_transfer(&group, 60);

    for (unsigned i = 0; i < 5; i++) {
        group_server(&group, A)->config.chunk_octets = sizes[i];
        ask_append(&group, A, CLIENT, 1, session, 61 + i, "k01", "+");
        group_pass(&group, CHUNK, 0);
        acks_arrive(&group);
        post_drop(&group.network, CHUNK);
        if (group_server(&group, A)->out.active)
            group_resend(&group, A);
    }
    pump_and_resend(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* ---- Views and other servers (P2, T5) ---- */

/* P2: chunks of an old view are refused with the newer number. */
TEST(late_chunks_of_an_old_view_are_refused)
{
    struct group group;
    struct mail chunk;

    during_transfer(&group, 12);
    chunk = post_take(&group.network, CHUNK, 0);
    post_drop_all(&group.network);
    group_view(&group, 3, A, NOBODY);
    group_view(&group, 4, A, B);
    group_deliver(&group, &chunk);
    ck_assert_uint_eq(group_events(&group, B, "replication.stale"), 1);
    ck_assert_uint_eq(group_server(&group, B)->in.received, 0);
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, A, "refusal.stale"), 1);
    ck_assert_uint_eq(group_events(&group, B, "transfer.installed"), 1);
    ck_assert_uint_eq(group_pinged(&group, A), 4);
    group_assert_equal(&group, A, B);
    mail_release(&chunk);
    group_release(&group);
}

/* T4: a new view starts from the beginning, whatever had arrived before. */
TEST(a_view_change_interrupts_and_starts_anew)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60);

    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK, 0);
    acks_arrive(&group);
    ask_append(&group, A, CLIENT, 2, session, 61, "k00", "x");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    group_view(&group, 3, A, C);
    ck_assert_uint_eq(group_server(&group, B)->in.state.kv.count, 0);
    ck_assert_uint_eq(group_server(&group, A)->log.count, 0);
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, C, "transfer.installed"), 1);
    group_assert_equal(&group, A, C);
    group_view(&group, 4, A, B);
    group_pump(&group);
    group_assert_equal(&group, A, B);
    group_release(&group);
}

/* P4, T3: the transfer is interrupted after its last chunk, with operations
 * waiting. */
TEST(operations_after_the_last_chunk_survive_a_view_change)
{
    struct group group;
    uint64_t session = during_transfer(&group, 3);

    ask_append(&group, A, CLIENT, 2, session, 4, "k00", "x");
    ask_get(&group, A, OTHER_CLIENT, 3, "k00");
    expect_silence(&group);
    group_view(&group, 3, A, NOBODY);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    expect_value(&group, OTHER_CLIENT, 3, "a value of 20 octetsx");
    post_drop_all(&group.network);
    group_view(&group, 4, A, C);
    ask_append(&group, A, CLIENT, 4, session, 5, "k00", "y");
    expect_silence(&group);
    post_drop_all(&group.network);
    group_view(&group, 5, A, B);
    expect_status(&group, CLIENT, 4, PBKV__STATUS__OK);
    group_pump(&group);
    ck_assert_uint_eq(group_assert_equal(&group, A, B), 6);
    group_release(&group);
}

/* P5: a primary deposed in the middle of a transfer answers nothing. */
TEST(a_primary_deposed_during_the_transfer_stops)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60);

    group_tell(&group, B, 3, A, C);
    group_pump(&group);
    ck_assert_uint_ge(group_events(&group, A, "server.deposed"), 1);
    ask_append(&group, A, CLIENT, 2, session, 61, "k00", "x");
    expect_wrong_server(&group, CLIENT, 2, 2);
    send_chunk_ack(&group, B, 2, 1, 1, false);
    ck_assert_uint_eq(group_events(&group, A, "chunk_ack.stale"), 1);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group.network.count, 0);
    group_tell(&group, C, 3, A, C);
    group_tell(&group, A, 3, A, C);
    group_pump(&group);
    group_assert_equal(&group, A, C);
    group_release(&group);
}

/* T5: acknowledgements of other views, servers and transfers do not count. */
TEST(chunk_acks_of_others_do_not_count)
{
    struct group group;

    during_transfer(&group, 12);
    send_chunk_ack(&group, B, 1, 1, 3, false);
    send_chunk_ack(&group, B, 3, 1, 3, false);
    send_chunk_ack(&group, B, 2, 9, 3, false);
    send_chunk_ack(&group, C, 2, 1, 3, false);
    ck_assert_uint_eq(group_events(&group, A, "chunk_ack.stale"), 4);
    ck_assert_uint_eq(group_server(&group, A)->out.acked, 0);
    ck_assert(group_server(&group, A)->out.active);
    group_release(&group);
}

/* T5: nor do those of what was never sent, or that cannot be. */
TEST(chunk_acks_of_what_was_not_sent_do_not_count)
{
    struct group group;
    uint64_t next;

    during_transfer(&group, 60);
    next = group_server(&group, A)->out.next;
    send_chunk_ack(&group, B, 2, 1, next + 1, false);
    send_chunk_ack(&group, B, 2, 1, UINT64_MAX, true);
    send_chunk_ack(&group, B, 2, 1, next, true); /* the last is not built */
    ck_assert_uint_eq(group_events(&group, A, "chunk_ack.ahead"), 3);
    ck_assert_uint_eq(group_server(&group, A)->out.acked, 0);
    group_pump(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* T2: everything arrived but nothing is installed: no server says that. */
TEST(an_ack_of_everything_must_say_installed)
{
    struct group group;

    during_transfer(&group, 3);
    send_chunk_ack(&group, B, 2, 1, 4, false);
    send_chunk_ack(&group, B, 2, 1, 3, true);
    ck_assert_uint_eq(group_events(&group, A, "chunk_ack.ahead"), 2);
    ck_assert_uint_eq(group_pinged(&group, A), 1);
    group_pump(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* T5: acknowledgements of forwards say nothing about a transfer. */
TEST(forward_acks_during_the_transfer_do_not_count)
{
    struct group group;
    uint64_t session = during_transfer(&group, 3);
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ask_append(&group, A, CLIENT, 2, session, 4, "k00", "x");
    ack.view = 2;
    ack.applied = 5;
    body.kind_case = PBKV__BODY__KIND_FORWARD_ACK;
    body.forward_ack = &ack;
    group_receive(&group, A, &group.peers[B], &body);
    expect_silence(&group);
    ck_assert_uint_eq(group_events(&group, A, "forward_ack.stale"), 1);
    group_release(&group);
}

/* T4: a backup that has installed does not take the state a second time. */
TEST(a_state_is_installed_at_most_once_per_view)
{
    struct group group;
    uint64_t session = during_transfer(&group, 12);
    struct post copy = {0};
    size_t count = post_count(&group.network, CHUNK);

    copy.mails = calloc(count, sizeof(*copy.mails));
    for (size_t i = 0; i < count; i++) {
        copy.mails[i] = *post_at(&group.network, CHUNK, i);
        bytes_share(copy.mails[i].body);
    }
    group_pump(&group);
    ask_append(&group, A, CLIENT, 2, session, 13, "k00", "x");
    group_pump(&group);
    for (size_t i = 0; i < count; i++) {
        group_deliver(&group, &copy.mails[i]);
        mail_release(&copy.mails[i]);
    }
    free(copy.mails);
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, B, "chunk.duplicate"), count);
    assert_transferred(&group);
    group_release(&group);
}

/* ---- When the state cannot be installed ---- */

/* T4: the digest is compared before anything is installed, and the transfer
 * starts anew. */
TEST(a_state_with_another_digest_is_not_installed)
{
    struct group group;
    uint64_t session = during_transfer(&group, 5);

    corrupt_chunk(&group);
    while (post_count(&group.network, CHUNK) > 0)
        group_pass(&group, CHUNK, 0);
    ck_assert_uint_eq(group_events(&group, B, "chunk.digest"), 1);
    ck_assert(!group_server(&group, B)->initialised);
    ck_assert_uint_eq(post_count(&group.network, REFUSAL), 1);
    ask_append(&group, A, CLIENT, 2, session, 6, "k00", "x");
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, A, "transfer.restarted"), 1);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    assert_transferred(&group);
    group_release(&group);
}

/* T4: also when the whole state is a single chunk, and whatever is lost. */
TEST(a_single_chunk_with_another_digest_is_sent_anew)
{
    struct group group;

    during_transfer(&group, 1);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), 1);
    corrupt_chunk(&group);
    ck_assert_uint_eq(post_drop(&group.network, REFUSAL), 1);
    group_timer(&group, A, SERVER_TIMER_RESEND);
    group_pass(&group, CHUNK, 0);
    ck_assert_uint_eq(group_events(&group, B, "chunk.refused"), 1);
    pump_and_resend(&group);
    ck_assert_uint_eq(group_events(&group, A, "transfer.restarted"), 1);
    assert_transferred(&group);
    group_release(&group);
}

/* T5: the chunks, acknowledgements and refusals of the first attempt are late
 * and do nothing to the second. */
TEST(the_mail_of_a_failed_transfer_does_not_count)
{
    struct group group;
    struct mail chunk, ack, refusal;

    during_transfer(&group, 5);
    group_pass(&group, CHUNK, 0);
    ack = post_take(&group.network, CHUNK_ACK, 0);
    chunk = *post_at(&group.network, CHUNK, 0);
    bytes_share(chunk.body);
    corrupt_chunk(&group);
    while (post_count(&group.network, CHUNK) > 0)
        group_pass(&group, CHUNK, 0);
    refusal = post_take(&group.network, REFUSAL, 0);
    post_drop_all(&group.network);
    group_deliver(&group, &refusal);
    ck_assert_uint_eq(group_server(&group, A)->out.number, 2);
    group_pass(&group, CHUNK, 0);
    group_deliver(&group, &chunk);
    ck_assert_uint_eq(group_events(&group, B, "chunk.stale"), 1);
    group_deliver(&group, &ack);
    ck_assert_uint_eq(group_events(&group, A, "chunk_ack.stale"), 1);
    acks_arrive(&group);
    group_deliver(&group, &refusal);
    ck_assert_uint_eq(group_events(&group, A, "transfer.restarted"), 1);
    group_pump(&group);
    assert_transferred(&group);
    mail_release(&chunk);
    mail_release(&ack);
    mail_release(&refusal);
    group_release(&group);
}

/* A backup with less room than the state needs says so; the primary refuses
 * updates, and a view without that backup is the way out. */
TEST(a_state_that_does_not_fit_is_refused)
{
    struct group group;
    uint64_t session = before_transfer(&group, 12);

    group_server(&group, B)->config.limits.octets = 100;
    group_view(&group, 2, A, B);
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, B, "chunk.full"), 1);
    ck_assert_uint_ge(group_events(&group, A, "backup.full"), 1);
    ck_assert(!group_server(&group, B)->initialised);
    ask_append(&group, A, CLIENT, 2, session, 13, "k00", "x");
    expect_status(&group, CLIENT, 2, PBKV__STATUS__BACKUP_FAILED);
    ck_assert_uint_eq(group_pinged(&group, A), 1);
    group_view(&group, 3, A, C);
    ask_append(&group, A, CLIENT, 3, session, 13, "k00", "x");
    group_pump(&group);
    expect_status(&group, CLIENT, 3, PBKV__STATUS__OK);
    group_assert_equal(&group, A, C);
    group_release(&group);
}

/* What was sent of keys that shrank later can be more than the whole state:
 * then the transfer starts anew, and fits. */
TEST(a_state_that_shrinks_fits_in_the_end)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60); /* 1380 octets */
    char key[] = "k00";

    /* Twelve octets more than the keys now take; see server_room. */
    group_server(&group, B)->config.limits.octets =
        (60 * (3 + 20 + ENTRY_COST) + 12) * 8 / 9 + 1;
    group_server(&group, B)->config.limits.sessions = 1;
    for (unsigned i = 0; i < 3; i++)
        group_pass(&group, CHUNK, 0);
    for (unsigned i = 0; i < 6; i++) { /* these have arrived */
        key[2] = (char)('0' + i);
        ask_put(&group, A, CLIENT, 1, session, 61 + i, key, "");
    }
    ask_append(&group, A, CLIENT, 1, session, 67, "k59",
               "and another forty octets for the last one");
    group_pump(&group);
    ck_assert_uint_eq(group_events(&group, B, "chunk.full"), 1);
    ck_assert(!group_server(&group, B)->initialised);
    pump_and_resend(&group);
    ck_assert_uint_eq(group_events(&group, A, "transfer.started"), 2);
    assert_transferred(&group);
    post_drop_all(&group.answers);
    ask_put(&group, A, CLIENT, 2, session, 68, "k00", "v");
    group_pump(&group);
    expect_status(&group, CLIENT, 2, PBKV__STATUS__OK);
    group_release(&group);
}

/* Makes one chunk of nonsense from the primary. */
static void receive_chunk(struct group *group, Pbkv__Chunk *chunk)
{
    Pbkv__Body body = PBKV__BODY__INIT;

    chunk->view = 2;
    chunk->transfer = 1;
    body.kind_case = PBKV__BODY__KIND_CHUNK;
    body.chunk = chunk;
    if (message_check(&body) == 0)
        group_receive(group, B, &group->peers[A], &body);
}

/* Impossible items are not believed, and do no harm. */
TEST(nonsense_in_a_chunk_does_no_harm)
{
    struct group group;
    Pbkv__Chunk chunk = PBKV__CHUNK__INIT;
    Pbkv__SessionRecord record = PBKV__SESSION_RECORD__INIT;
    Pbkv__SessionRecord *records[1] = {&record};
    Pbkv__LogOp op = PBKV__LOG_OP__INIT;
    Pbkv__LogOp *ops[1] = {&op};
    Pbkv__Entry entry = PBKV__ENTRY__INIT;
    Pbkv__Entry *entries[2] = {&entry, &entry}; /* the same key twice */

    during_transfer(&group, 3);
    post_drop_all(&group.network);
    record.id = 9; /* op 0: before it was opened */
    record.status = PBKV__STATUS__OK;
    chunk.n_sessions = 1;
    chunk.sessions = records;
    receive_chunk(&group, &chunk);
    chunk.n_sessions = 0;
    chunk.since = NUMBER_LIMIT;
    op.kind = PBKV__KIND__KIND_OPEN;
    op.session = NUMBER_LIMIT;
    op.status = PBKV__STATUS__OK;
    chunk.n_ops = 1;
    chunk.ops = ops;
    receive_chunk(&group, &chunk);
    ck_assert_uint_eq(group_server(&group, B)->in.state.sessions.count, 0);
    chunk.n_ops = 0;
    entry.modified = 7;
    chunk.first = 1;
    chunk.n_entries = 2;
    chunk.entries = entries;
    receive_chunk(&group, &chunk);
    ck_assert_uint_eq(group_server(&group, B)->in.state.kv.count, 0);
    ck_assert_uint_eq(group_events(&group, B, "chunk.impossible"), 1);
    chunk.first = NUMBER_LIMIT;
    receive_chunk(&group, &chunk);
    ck_assert(!group_server(&group, B)->initialised);
    group_release(&group);
}

/* ---- Sizes ---- */

static void assert_all_decode(struct group *group)
{
    while (group->network.count > 0) {
        const struct mail *mail = &group->network.mails[0];

        if (mail->kind == PBKV__BODY__KIND_CHUNK)
            mail_assert_frame(group, mail);
        group_pass(group, (int)mail->kind, 0);
    }
}

static uint64_t single_of_full_size(struct group *group)
{
    struct server_config config = server_config_default();

    config.chunk_octets = CHUNK_LIMIT - CHUNK_LIMIT / 16;
    group_make_single(group, &config);
    group->unchecked = true;
    return open_session(group, A, CLIENT);
}

/* The densest chunks: 16384 keys of two octets with values of none or one. */
TEST(many_tiny_keys_fit_the_budget_of_the_decoder)
{
    for (size_t length = 0; length <= 1; length++) {
        struct group group;
        uint64_t session = single_of_full_size(&group);

        for (uint32_t i = 0; i < 17000; i++) {
            ask_update(&group, A, CLIENT, 1, PBKV__KIND__KIND_PUT, session,
                       i + 1U, message_octets(&i, 2),
                       message_octets("v", length));
            post_drop_all(&group.answers);
        }
        group_view(&group, 2, A, B);
        ck_assert_uint_eq(mail_body(&group, post_at(&group.network, CHUNK, 0))
                              ->chunk->n_entries,
                          16383); /* and one session */
        assert_all_decode(&group);
        assert_transferred(&group);
        group_release(&group);
    }
}

/* Chunks of 16384 sessions, and of 16384 operations. */
TEST(many_sessions_and_operations_fit_the_budget_of_the_decoder)
{
    struct group group;

    single_of_full_size(&group);
    group_server(&group, A)->config.chunk_octets = 1 << 22;
    for (uint32_t i = 0; i < 17000; i++) {
        ask_open(&group, A, CLIENT, 1);
        post_drop_all(&group.answers);
    }
    group_view(&group, 2, A, B);
    ck_assert_uint_eq(
        mail_body(&group, post_at(&group.network, CHUNK, 0))->chunk->n_sessions,
        16384);
    assert_all_decode(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* Operations that come in while the window is full fill chunks of their own. */
TEST(many_operations_fit_the_budget_of_the_decoder)
{
    struct group group;
    uint64_t session = single_of_full_size(&group);

    for (uint32_t i = 0; i < 40; i++)
        ask_update(&group, A, CLIENT, 1, PBKV__KIND__KIND_PUT, session, i + 1U,
                   message_octets(&i, 2), message_octets("v", 1));
    group_server(&group, A)->config.chunk_octets = 1;
    group_view(&group, 2, A, B);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), TRANSFER_WINDOW);
    group_server(&group, A)->config.chunk_octets = 1 << 22;
    for (uint32_t i = 0; i < 20000; i++)
        ask_update(&group, A, CLIENT, 1, PBKV__KIND__KIND_PUT, session, i + 41U,
                   message_octets("", 0), message_octets("", 0));
    post_drop_all(&group.answers);
    assert_all_decode(&group);
    assert_transferred(&group);
    group_release(&group);
}

/* Keys and values of the greatest length: each is a chunk. */
TEST(the_largest_values_fit_into_a_message)
{
    struct group group;
    struct bytes *octets = bytes_new_uninitialised(VALUE_LIMIT);
    uint64_t session = single_of_full_size(&group);

    memset(octets->data, 0xff, octets->length);
    for (uint8_t i = 0; i < 20; i++) {
        octets->data[0] = i;
        ask_update(&group, A, CLIENT, 1, PBKV__KIND__KIND_PUT, session, i + 1U,
                   message_octets(octets->data, KEY_LIMIT),
                   message_octets(octets->data, VALUE_LIMIT));
    }
    group_view(&group, 2, A, B);
    /* A value of the greatest length is also an operation among the items. */
    ask_update(&group, A, CLIENT, 1, PBKV__KIND__KIND_PUT, session, 21,
               message_octets(octets->data, KEY_LIMIT),
               message_octets(octets->data, VALUE_LIMIT));
    post_drop_all(&group.answers);
    ck_assert_uint_eq(post_count(&group.network, CHUNK), TRANSFER_WINDOW);
    assert_all_decode(&group);
    assert_transferred(&group);
    bytes_release(octets);
    group_release(&group);
}

/* An operator sees how far it is. */
TEST(inspection_shows_the_progress)
{
    struct group group;
    struct inspection seen = {0};

    during_transfer(&group, 60);
    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK_ACK, 0);
    group.nodes[A]->type->inspect(group.nodes[A], &seen);
    ck_assert_uint_gt(seen.transfer_items, 0);
    ck_assert_uint_eq(seen.transfer_total, 61);
    memset(&seen, 0, sizeof(seen));
    group.nodes[B]->type->inspect(group.nodes[B], &seen);
    ck_assert_uint_gt(seen.transfer_items, 0);
    ck_assert_uint_eq(seen.transfer_total, 61);
    group_pump(&group);
    memset(&seen, 0, sizeof(seen));
    group.nodes[A]->type->inspect(group.nodes[A], &seen);
    ck_assert_uint_eq(seen.transfer_total, 0);
    group_release(&group);
}

/* ---- Clones of rich states ---- */

/* Steps a clone through the rest of a transfer; the original must not notice.
 */
static void clone_and_step(struct group *group, unsigned server)
{
    struct node *original = group->nodes[server];
    struct digest before = node_digest(original);
    struct digest after;
    struct sink texts[2];

    group->nodes[server] = original->type->clone(original);
    sink_init(&texts[0], SINK_TEXT);
    sink_init(&texts[1], SINK_TEXT);
    original->type->describe(original, &texts[0]);
    original->type->describe(group->nodes[server], &texts[1]);
    ck_assert_ptr_null(sink_first_difference(&texts[0], &texts[1]));
    ck_assert_uint_gt(texts[0].length, 0);
    after = node_digest(group->nodes[server]);
    ck_assert(digest_equal(&before, &after));
    for (uint64_t i = 0; i < 5; i++)
        ask_append(group, server, CLIENT, 1, 1, 100 + i, "k00", "x");
    group_timer(group, server, SERVER_TIMER_RESEND);
    group_tell(group, server, 9, C, NOBODY);
    node_release(group->nodes[server]);
    group->nodes[server] = original;
    after = node_digest(original);
    ck_assert(digest_equal(&before, &after));
    sink_release(&texts[0]);
    sink_release(&texts[1]);
}

TEST(a_clone_is_equal_and_independent)
{
    struct group group;
    uint64_t session = during_transfer(&group, 60);

    clone_and_step(&group, A); /* sending */
    group_pass(&group, CHUNK, 0);
    group_pass(&group, CHUNK, 0);
    clone_and_step(&group, B); /* receiving */
    ask_append(&group, A, CLIENT, 2, session, 61, "k00", "x");
    acks_arrive(&group);
    clone_and_step(&group, A);
    post_drop_all(&group.network);
    group_resend(&group, A);
    pump_and_resend(&group);
    assert_transferred(&group);
    for (uint64_t seq = 62; seq < 80; seq++)
        ask_append(&group, A, CLIENT, seq, session, seq, "k01", "x");
    ask_get(&group, A, OTHER_CLIENT, 3, "k01");
    clone_and_step(&group, A); /* with a log and a read that waits */
    clone_and_step(&group, B);
    clone_and_step(&group, C);
    post_drop_all(&group.answers);
    post_drop_all(&group.network);
    group_resend(&group, A);
    group_pump(&group);
    group_assert_equal(&group, A, B);
    group_release(&group);
}

SUITE("transfer", CASE(an_empty_store_is_one_chunk),
      CASE(the_backup_gets_the_whole_state_in_bounded_chunks),
      CASE(the_primary_acknowledges_when_the_backup_has_installed),
      CASE(chunks_on_the_way_are_bounded),
      CASE(the_new_backup_evicts_like_the_primary),
      CASE(an_installed_backup_serves_everything),
      CASE(operations_during_the_transfer_reach_the_backup),
      CASE(a_key_that_changes_all_the_time_arrives_exact),
      CASE(operations_after_the_last_chunk_wait_for_the_backup),
      CASE(reads_after_the_last_chunk_wait_for_the_backup),
      CASE(reads_during_the_transfer_are_answered),
      CASE(a_lost_chunk_comes_again_as_it_was),
      CASE(a_full_log_during_the_transfer_says_so),
      CASE(a_lost_chunk_leaves_a_gap),
      CASE(duplicate_chunks_change_nothing_and_are_acknowledged),
      CASE(chunks_in_reverse_order_arrive_in_the_end),
      CASE(the_last_chunk_is_built_when_the_others_have_arrived),
      CASE(a_lost_chunk_ack_is_made_good),
      CASE(progress_keeps_chunks_from_being_sent_again),
      CASE(a_resend_starts_behind_what_has_arrived),
      CASE(chunk_boundaries_may_change),
      CASE(late_chunks_of_an_old_view_are_refused),
      CASE(a_view_change_interrupts_and_starts_anew),
      CASE(operations_after_the_last_chunk_survive_a_view_change),
      CASE(a_primary_deposed_during_the_transfer_stops),
      CASE(chunk_acks_of_others_do_not_count),
      CASE(chunk_acks_of_what_was_not_sent_do_not_count),
      CASE(an_ack_of_everything_must_say_installed),
      CASE(forward_acks_during_the_transfer_do_not_count),
      CASE(a_state_is_installed_at_most_once_per_view),
      CASE(a_state_with_another_digest_is_not_installed),
      CASE(a_single_chunk_with_another_digest_is_sent_anew),
      CASE(the_mail_of_a_failed_transfer_does_not_count),
      CASE(a_state_that_does_not_fit_is_refused),
      CASE(a_state_that_shrinks_fits_in_the_end),
      CASE(nonsense_in_a_chunk_does_no_harm),
      CASE(many_tiny_keys_fit_the_budget_of_the_decoder),
      CASE(many_sessions_and_operations_fit_the_budget_of_the_decoder),
      CASE(many_operations_fit_the_budget_of_the_decoder),
      CASE(the_largest_values_fit_into_a_message),
      CASE(inspection_shows_the_progress),
      CASE(a_clone_is_equal_and_independent))
