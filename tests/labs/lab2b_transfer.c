/* SPDX-License-Identifier: MIT */
/*
 * lab2b_transfer: failover, and how a new backup gets the state. Chunks are
 * lost, doubled, held back and interrupted; whether the state arrived is judged
 * by what a client reads when the old primary is gone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/labs/lab2b.h"

enum { SHORT_MS = 600, KEYS = 60, MANY_KEYS = 300 };

#define CHUNK     PBKV__BODY__KIND_CHUNK
#define CHUNK_ACK PBKV__BODY__KIND_CHUNK_ACK
#define FORWARD   PBKV__BODY__KIND_FORWARD
#define REPLY     PBKV__BODY__KIND_REPLY
#define APPEND    PBKV__BODY__KIND_APPEND
#define PUT       PBKV__BODY__KIND_PUT
#define GET       PBKV__BODY__KIND_GET
#define ANY       PBKV__BODY__KIND__NOT_SET

/* A primary alone, with some clients. */
static struct store *alone_with(struct lab *lab, unsigned clients,
                                size_t chunk_octets)
{
    struct store_config config = store_config();
    struct store *store;

    config.servers = 1;
    config.clients = clients;
    config.server.chunk_octets = chunk_octets;
    store = store_new(lab, &config);
    store_settles(store, S1, NOBODY);
    return store;
}

/* … whose state takes many chunks. */
static struct store *alone(struct lab *lab, unsigned clients)
{
    return alone_with(lab, clients, 100);
}

static bool chunk_is_sent(struct store *store, const void *argument)
{
    (void)argument;
    return store_find(store, 0, LINE_SEND, CHUNK, S1, S2);
}

static void fill(struct store *store, int keys)
{
    for (int i = 0; i < keys; i++) {
        char key[16];
        char value[32];

        snprintf(key, sizeof(key), "key%d", i);
        snprintf(value, sizeof(value), "value of %d", i);
        store_put(store, C1, key, value);
    }
}

static void expect_filled(struct store *store, int keys)
{
    for (int i = 0; i < keys; i++) {
        char key[16];
        char value[32];

        snprintf(key, sizeof(key), "key%d", i);
        snprintf(value, sizeof(value), "value of %d", i);
        store_expect(store, C1, key, value);
    }
}

/* s2 starts, and gets the state. */
static void join(struct store *store, struct lab *lab)
{
    store_start(store, S2);
    store_settles(store, S1, S2);
    lab2b_expect_same(store, lab, S1, S2);
}

/* s1 dies; what filled the store is at s2. */
static void expect_all_at_s2(struct store *store, int keys)
{
    lab2b_fail_over(store, S1, S2, NOBODY);
    expect_filled(store, keys);
}

/* The newest view number that a server has told the view service. */
static uint64_t pinged(struct store *store, int server)
{
    const struct store_line *line;
    size_t mark = 0;
    uint64_t newest = 0;

    while ((line = store_find(store, mark, LINE_SEND, PBKV__BODY__KIND_PING,
                              server, VS))) {
        uint64_t view = store_body(store, line)->ping->view;

        newest = view > newest ? view : newest;
        mark = store_line_index(store, line) + 1;
    }
    return newest;
}

/* ---- Failover -------------------------------------------------------------
 */

void lab2b_backup_takes_over(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    fill(store, 20);
    expect_all_at_s2(store, 20);
    store_put(store, C1, "key0", "later");
    store_expect(store, C1, "key0", "later");
    store_judge(store);
    store_free(store);
}

void lab2b_one_after_the_other(struct lab *lab)
{
    struct store *store = lab2b_trio(lab, 1);

    fill(store, 20);
    lab2b_fail_over(store, S1, S2, S3);
    store_append(store, C1, "a", "1");
    lab2b_fail_over(store, S2, S3, NOBODY);
    store_append(store, C1, "a", "2");
    store_restart(store, S1);
    store_settles(store, S3, S1);
    lab2b_fail_over(store, S3, S1, NOBODY);
    store_expect(store, C1, "a", "12");
    expect_filled(store, 20);
    store_free(store);
}

void lab2b_dead_backup(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    store_put(store, C1, "a", "1");
    store_crash(store, S2);
    store_begin(store, C1, APPEND, "a", "2", 2 * SOON_MS);
    store_settles(store, S1, NOBODY);
    LAB_EXPECT(
        lab, store_end(store, C1) == PBKV__STATUS__OK,
        "the backup died while an append was under way, view 3 has none, "
        "and the append is not answered");
    store_expect(store, C1, "a", "12");
    store_free(store);
}

void lab2b_idle_replaces_backup(struct lab *lab)
{
    struct store *store = lab2b_trio(lab, 1);

    fill(store, KEYS);
    lab2b_fail_over(store, S2, S1, S3);
    lab2b_expect_same(store, lab, S1, S3);
    lab2b_fail_over(store, S1, S3, NOBODY);
    expect_filled(store, KEYS);
    store_free(store);
}

void lab2b_restarted_primary(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    store_put(store, C1, "a", "1");
    store_crash(store, S1);
    store_restart(store, S1);
    store_settles(store, S2, S1);
    store_append(store, C1, "a", "2");
    lab2b_expect_same(store, lab, S2, S1);
    lab2b_fail_over(store, S2, S1, NOBODY);
    store_expect(store, C1, "a", "12");
    store_free(store);
}

/* Whoever has lost the state must not say that there is nothing. */
void lab2b_both_restarted(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);
    Pbkv__Status status;

    store_put(store, C1, "a", "1");
    store_crash(store, S1);
    store_crash(store, S2);
    store_restart(store, S1);
    store_restart(store, S2);
    store_begin(store, C1, GET, "a", NULL, 2 * SOON_MS);
    status = store_end(store, C1);
    LAB_EXPECT(lab,
               status != PBKV__STATUS__OK && status != PBKV__STATUS__NO_KEY,
               "both servers have lost the state, and one of them answers a "
               "get with %s",
               status_name(status));
    store_free(store);
}

void lab2b_told_primary_without_state(struct lab *lab)
{
    struct store_config config = store_config();
    struct store *store;
    Pbkv__Status status;

    config.servers = 1;
    config.by_hand = 1u << VS | 1u << S2;
    store = store_new(lab, &config);
    store_start(store, S2);
    store_tell_view(store, S1, 2, S2, S1);
    store_run(store, PING_MS);
    store_tell_view(store, S1, 3, S1, NOBODY);
    store_tell_view(store, C1, 3, S1, NOBODY);
    store_begin(store, C1, GET, "a", NULL, SOON_MS);
    status = store_end(store, C1);
    LAB_EXPECT(lab,
               status != PBKV__STATUS__OK && status != PBKV__STATUS__NO_KEY,
               "s1 was backup of view 2, never got the state, is named primary "
               "of view 3, and answers a get with %s",
               status_name(status));
    store_free(store);
}

void lab2b_view_service_away(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    store_crash(store, VS);
    for (int i = 0; i < 20; i++)
        store_append(store, C1, "a", "x");
    store_expect(store, C2, "b", "1");
    store_restart(store, VS);
    store_run(store, 5 * PING_MS);
    lab2b_fail_over(store, S1, S2, NOBODY);
    store_expect(store, C1, "a", "1xxxxxxxxxxxxxxxxxxxx");
    store_free(store);
}

/* C1: clients and servers leave the view service alone. */
void lab2b_view_service_requests(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 3);
    size_t asked;
    size_t pings;
    size_t mark;
    uint64_t began;

    for (int i = 0; i < 3; i++)
        store_put(store, C1 + i, "a", "0");
    mark = store_mark(store);
    began = store_now_ms(store);
    for (int i = 0; i < 200; i++)
        store_append(store, C1 + i % 3, "a", "x");
    store_run(store, 5 * PING_MS);
    asked = store_count(store, mark, LINE_SEND, PBKV__BODY__KIND_GET_VIEW,
                        NOBODY, VS);
    pings = store_count(store, mark, LINE_SEND, ANY, NOBODY, VS) - asked;
    LAB_EXPECT(lab, asked == 0,
               "200 appends in a steady view asked the view service %zu times",
               asked);
    LAB_EXPECT(lab, pings <= 2 * ((store_now_ms(store) - began) / PING_MS + 2),
               "two servers sent %zu pings in %" PRIu64
               " ms, with one due every %d ms",
               pings, store_now_ms(store) - began, PING_MS);
    store_free(store);
}

/* ---- T1, T2, T3: the transfer ---------------------------------------------
 */

void lab2b_transfer_keys(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    join(store, lab);
    expect_all_at_s2(store, KEYS);
    store_free(store);
}

void lab2b_transfer_sessions(struct lab *lab)
{
    struct store *store = alone(lab, 2);
    size_t mark;

    store_append(store, C1, "a", "1");
    store_append(store, C2, "a", "2");
    mark = store_mark(store);
    store_start(store, S2);
    store_settles(store, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    lab2b_repeat(store, lab, mark, APPEND, C1, S2);
    lab2b_repeat(store, lab, mark, APPEND, C2, S2);
    store_run(store, SHORT_MS);
    store_expect(store, C1, "a", "12");
    store_append(store, C1, "a", "3");
    store_append(store, C2, "a", "4");
    store_expect(store, C1, "a", "1234");
    store_free(store);
}

void lab2b_not_acknowledged_early(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    store_rule(store, RULE_DROP, CHUNK, S1, S2, ALWAYS);
    store_start(store, S2);
    store_run(store, SHORT_MS);
    LAB_EXPECT(lab, store_view(store)->number == 2, "s2 is not backup");
    LAB_EXPECT(lab, pinged(store, S1) < 2,
               "s1 acknowledged view 2 although nothing of the state has "
               "reached s2: the view service may now promote s2");
    store_pass(store);
    store_settles(store, S1, S2);
    expect_all_at_s2(store, KEYS);
    store_free(store);
}

void lab2b_not_acknowledged_unchecked(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    store_rule(store, RULE_DROP, CHUNK_ACK, S2, S1, ALWAYS);
    store_start(store, S2);
    store_run(store, SHORT_MS);
    LAB_EXPECT(lab, pinged(store, S1) < 2,
               "s1 acknowledged view 2 without having heard from s2 that the "
               "state is installed");
    store_pass(store);
    store_settles(store, S1, S2);
    store_free(store);
}

/* All chunks but the first few are lost: s2 has a part of the state. */
void lab2b_part_is_not_installed(struct lab *lab)
{
    struct store *store = alone(lab, 1);
    Pbkv__Status status;

    fill(store, KEYS);
    store_start(store, S2);
    store_rule(store, RULE_DROP, CHUNK_ACK, S2, S1, ALWAYS);
    store_run(store, SHORT_MS);
    store_crash(store, S1);
    store_run(store, 2 * DEAD_PINGS * PING_MS);
    store_begin(store, C1, GET, "key0", NULL, SOON_MS);
    status = store_end(store, C1);
    LAB_EXPECT(lab,
               status != PBKV__STATUS__OK && status != PBKV__STATUS__NO_KEY,
               "s1 died before it acknowledged view 2, and somebody answers a "
               "get with %s",
               status_name(status));
    LAB_EXPECT(lab,
               store_view_is(store, S1, S2) || store_view(store)->number == 2,
               "the view changed although its primary died unacknowledged");
    store_free(store);
}

static bool view_at_least(struct store *store, const void *argument)
{
    return store_view(store)->number >= *(const uint64_t *)argument;
}

void lab2b_clients_in_transfer(struct lab *lab)
{
    static const uint64_t two = 2;
    struct store *store = alone(lab, 2);
    struct world_plan slow = {.min_us = 15000, .max_us = 15000};
    char expected[64] = "";

    fill(store, KEYS);
    store_put(store, C2, "other", "0");
    store_network(store, &slow);
    store_start(store, S2);
    store_until(store, view_at_least, &two, SOON_MS);
    for (int i = 0; i < 12; i++) {
        char text[2] = {(char)('a' + i), '\0'};

        store_append(store, C1, "during", text);
        store_append(store, C2, "key59", text);
        strcat(expected, text);
    }
    store_settles(store, S1, S2);
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    store_expect(store, C1, "during", expected);
    expect_filled(store, 3);
    lab2b_look(store, C1, "key59");
    store_judge(store);
    store_free(store);
}

/* Clients are never still while the state goes over: they change what is sent
 * early, and what is sent late. A chunk holds all that they do in the time of
 * its way there and back; how a solution outruns more than that is its own. */
void lab2b_transfer_under_load(struct lab *lab)
{
    static const char *const keys[] = {"key1", "key30", "key299"};
    struct store *store = alone_with(lab, 3, 400);
    struct world_plan slow = {.min_us = 3000, .max_us = 3000};
    uint64_t began;

    fill(store, MANY_KEYS);
    store_network(store, &slow);
    store_start(store, S2);
    began = store_now_ms(store);
    while (store_acknowledged(store) < 2) {
        for (int i = 0; i < 3; i++) {
            if (!store_is_waiting(store, C1 + i))
                store_begin(store, C1 + i, APPEND, keys[i], "x", 2 * SOON_MS);
        }
        store_run(store, 1);
        LAB_EXPECT(lab, store_now_ms(store) - began < SOON_MS,
                   "clients append all the time, and after %d ms the backup "
                   "still has not got a state of %d keys",
                   SOON_MS, MANY_KEYS);
    }
    for (int i = C1; i < C1 + 3; i++)
        store_end(store, i);
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    for (int i = 0; i < 3; i++) {
        lab2b_look(store, C1, keys[i]);
    }
    store_judge(store);
    store_free(store);
}

/* The state fits into one chunk, of which every other copy is lost, and the
 * client changes the value meanwhile: what is sent again must not be something
 * between the old state and the new one. */
void lab2b_transfer_sent_again(struct lab *lab)
{
    struct store *store = alone_with(lab, 1, 1000);
    uint64_t began;

    store_put(store, C1, "a", "0");
    for (int i = 0; i < 24; i++) {
        store_rule(store, RULE_DROP, CHUNK, S1, S2, 1);
        store_rule(store, RULE_DOUBLE, CHUNK, S1, S2, 1);
    }
    store_start(store, S2);
    began = store_now_ms(store);
    while (store_acknowledged(store) < 2) {
        if (!store_is_waiting(store, C1))
            store_begin(store, C1, APPEND, "a", "x", 2 * SOON_MS);
        store_run(store, 1);
        LAB_EXPECT(lab, store_now_ms(store) - began < SOON_MS,
                   "every other chunk is lost, the client appends to the one "
                   "key all the time, and after %d ms the backup still has not "
                   "got the state",
                   SOON_MS);
    }
    store_end(store, C1);
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    lab2b_look(store, C1, "a");
    store_judge(store);
    store_free(store);
}

static bool is_refused(struct store *store, const void *argument)
{
    (void)argument;
    return store_find(store, 0, LINE_SEND, PBKV__BODY__KIND_REFUSAL, S2, S1);
}

/* Sends the state for the first time, with a wrong digest, so that the backup
 * does not install it. */
static struct store *attempt(struct lab *lab, enum rule_action acks)
{
    struct store *store = alone(lab, 1);

    fill(store, 3); /* two chunks or so: the first is acknowledged */
    store_rule(store, acks, CHUNK_ACK, S2, S1, ALWAYS);
    store_rule(store, RULE_SPOIL, CHUNK, S1, S2, ALWAYS);
    store_start(store, S2);
    store_until(store, is_refused, NULL, SHORT_MS);
    store_pass(store);
    return store;
}

static bool is_acknowledged(struct store *store, const void *argument)
{
    (void)argument;
    return store_acknowledged(store) >= 2;
}

/* Whether the solution sends a state anew that was not installed. */
static bool tries_again(struct lab *lab)
{
    struct store *store = attempt(lab, RULE_DROP);
    bool again = store_until(store, is_acknowledged, NULL, SOON_MS);

    store_free(store);
    return again;
}

/* The acknowledgements of an attempt that failed come when the chunks of the
 * next one are lost: these have not arrived, and are to be sent again. */
void lab2b_earlier_transfer(struct lab *lab)
{
    struct store *store;

    if (!tries_again(lab))
        return; /* there is no next one that they could be taken for */
    store = attempt(lab, RULE_HOLD);
    store_rule(store, RULE_DROP, CHUNK, S1, S2, ALWAYS);
    store_run(store, 5);
    store_release(store);
    store_run(store, 5);
    store_pass(store);
    store_settles(store, S1, S2);
    lab2b_expect_same(store, lab, S1, S2);
    expect_all_at_s2(store, 3);
    store_free(store);
}

/* A backup with less room than the primary: what it is sent first does not fit,
 * and then the values shrink. Whether clients are served meanwhile is up to the
 * solution. */
void lab2b_state_shrinks(struct lab *lab)
{
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct store *store = alone_with(lab, 4, 8000);
    char value[1001] = "";

    memset(value, 'v', sizeof(value) - 1);
    for (int i = 0; i < 4; i++)
        store_put(store, C1 + i, keys[i], value);
    store_rule(store, RULE_HOLD, CHUNK, S1, S2, ALWAYS);
    store_limit(store, 2000, 4);
    store_start(store, S2);
    store_until(store, chunk_is_sent, NULL, SOON_MS);
    for (int i = 0; i < 4; i++)
        store_begin(store, C1 + i, PUT, keys[i], "", 3 * SOON_MS);
    store_run(store, 20);
    store_pass(store);
    store_release(store);
    store_settles(store, S1, S2);
    for (int i = 0; i < 4; i++)
        LAB_EXPECT(lab, store_end(store, C1 + i) == PBKV__STATUS__OK,
                   "a put that began in the transfer has no answer after it");
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    for (int i = 0; i < 4; i++)
        store_expect(store, C1 + i, keys[i], "");
    store_free(store);
}

/* The last chunk says what the whole state is; here it says something else. */
void lab2b_state_is_checked(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, 10);
    store_rule(store, RULE_SPOIL, CHUNK, S1, S2, ALWAYS);
    store_start(store, S2);
    store_run(store, SHORT_MS);
    LAB_EXPECT(lab, store_view(store)->number == 2, "s2 is not backup");
    LAB_EXPECT(lab, pinged(store, S1) < 2,
               "s2 installed a state whose digest is not that of the last "
               "chunk, and s1 acknowledged view 2");
    store_free(store);
}

/* ---- T4, T5: lost, doubled, late ------------------------------------------
 */

void lab2b_lost_chunks(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    store_rule(store, RULE_DROP, CHUNK, S1, S2, 3);
    store_rule(store, RULE_DROP, CHUNK_ACK, S2, S1, 3);
    join(store, lab);
    expect_all_at_s2(store, KEYS);
    store_free(store);
}

void lab2b_doubled_chunks(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    store_rule(store, RULE_DOUBLE, CHUNK, S1, S2, ALWAYS);
    store_rule(store, RULE_DOUBLE, CHUNK_ACK, S2, S1, ALWAYS);
    store_start(store, S2);
    store_settles(store, S1, S2);
    store_append(store, C1, "a", "1");
    lab2b_expect_same(store, lab, S1, S2);
    expect_all_at_s2(store, KEYS);
    store_expect(store, C1, "a", "1");
    store_free(store);
}

/* Sends every chunk of the log once more, from the primary to the backup. */
static void repeat_chunks(struct store *store, struct lab *lab, size_t end)
{
    const struct store_line *line;
    size_t mark = 0;
    size_t count = 0;

    while ((line = store_find(store, mark, LINE_SEND, CHUNK, S1, S2)) &&
           store_line_index(store, line) < end) {
        mark = store_line_index(store, line) + 1;
        store_send(store, S1, S2, store_body(store, line));
        count++;
    }
    LAB_EXPECT(lab, count > 0, "no chunk was sent from s1 to s2");
}

/* The chunks of the transfer arrive once more when the backup has gone on. */
void lab2b_late_chunks(struct lab *lab)
{
    struct store *store = alone(lab, 1);
    size_t end;

    fill(store, 10);
    store_start(store, S2);
    store_settles(store, S1, S2);
    end = store_mark(store);
    store_put(store, C1, "key0", "newer");
    store_append(store, C1, "a", "1");
    repeat_chunks(store, lab, end);
    store_run(store, SHORT_MS);
    store_append(store, C1, "a", "2");
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    store_expect(store, C1, "key0", "newer");
    store_expect(store, C1, "a", "12");
    store_free(store);
}

/* Chunks of view 2 come to the same life of the backup in a later view. */
void lab2b_chunks_of_old_view(struct lab *lab)
{
    struct store *store = alone(lab, 1);
    size_t end;

    fill(store, 10);
    store_start(store, S2);
    store_settles(store, S1, S2);
    end = store_mark(store);
    store_isolate(store, S2);
    store_settles(store, S1, NOBODY);
    store_put(store, C1, "key0", "newer");
    store_heal(store);
    store_rule(store, RULE_HOLD, CHUNK, S1, S2, ALWAYS);
    store_run(store, 4 * PING_MS);
    store_pass(store);
    repeat_chunks(store, lab, end);
    store_run(store, 10);
    store_release(store);
    store_settles(store, S1, S2);
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    store_expect(store, C1, "key0", "newer");
    store_free(store);
}

/* Acknowledgements of an earlier transfer must not end the next one. */
void lab2b_old_chunk_acknowledgements(struct lab *lab)
{
    struct store *store = alone(lab, 1);
    uint64_t view;

    fill(store, KEYS);
    store_rule(store, RULE_HOLD, CHUNK_ACK, S2, S1, ALWAYS);
    store_start(store, S2);
    store_run(store, SHORT_MS);
    store_isolate(store, S2);
    store_run(store, 2 * DEAD_PINGS * PING_MS);
    store_heal(store);
    store_pass(store);
    store_rule(store, RULE_DROP, CHUNK, S1, S2, ALWAYS);
    store_run(store, 3 * PING_MS);
    view = store_view(store)->number;
    LAB_EXPECT(lab, view > 2, "the backup was cut off and is still in view 2");
    store_release(store);
    store_run(store, SHORT_MS);
    LAB_EXPECT(lab, !store_view_is(store, S1, S2) || pinged(store, S1) < view,
               "s1 acknowledged view %" PRIu64
               " because of acknowledgements of view 2",
               view);
    store_pass(store);
    store_settles(store, S1, S2);
    lab2b_expect_same(store, lab, S1, S2);
    store_free(store);
}

void lab2b_backup_dies_in_transfer(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    store_rule(store, RULE_CRASH_AFTER, CHUNK_ACK, S2, S1, 1);
    store_start(store, S2);
    store_run(store, SHORT_MS);
    LAB_EXPECT(lab, !store_is_up(store, S2), "s2 acknowledged no chunk");
    store_restart(store, S2);
    store_settles(store, S1, S2);
    lab2b_expect_same(store, lab, S1, S2);
    expect_all_at_s2(store, KEYS);
    store_free(store);
}

void lab2b_other_backup_in_transfer(struct lab *lab)
{
    struct store *store = alone(lab, 1);

    fill(store, KEYS);
    store_rule(store, RULE_DROP, CHUNK, S1, S2, ALWAYS);
    store_start(store, S2);
    store_run(store, 3 * PING_MS);
    store_start(store, S3);
    lab2b_fail_over(store, S2, S1, S3);
    lab2b_fail_over(store, S1, S3, NOBODY);
    expect_filled(store, KEYS);
    store_free(store);
}

/* What a backup had from an earlier view is replaced, not added to. */
void lab2b_state_is_replaced(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    lab2b_cut_off_s1(store);
    /* s1 alone takes an append that nobody else will ever see. */
    store_begin(store, C1, APPEND, "a", "lost", 200);
    store_end(store, C1);
    store_settles(store, S2, NOBODY);
    store_put(store, C2, "a", "2");
    store_heal(store);
    store_settles(store, S2, S1);
    lab2b_expect_same(store, lab, S2, S1);
    lab2b_fail_over(store, S2, S1, NOBODY);
    lab2b_look(store, C2, "a");
    store_judge(store);
    store_free(store);
}

/* ---- Bounds ---------------------------------------------------------------
 */

void lab2b_messages_bounded(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);
    size_t mark;
    size_t count;

    store_put(store, C1, "a", "0");
    mark = store_mark(store);
    for (int i = 0; i < 100; i++)
        store_append(store, C1, "a", "x");
    count = store_count(store, mark, LINE_SEND, ANY, S1, S2) +
            store_count(store, mark, LINE_SEND, ANY, S2, S1);
    LAB_EXPECT(lab, count <= 250,
               "100 appends, one after the other and without loss, took %zu "
               "messages between primary and backup",
               count);
    store_free(store);
}

void lab2b_frames_bounded(struct lab *lab)
{
    struct store *store = alone(lab, 1);
    struct bytes *value = bytes_new_uninitialised(40000);
    const struct store_line *line;
    size_t mark = 0;

    memset(value->data, 'v', value->length);
    for (int i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof(key), "big%d", i);
        store_begin_octets(store, C1, PUT, key, value, SOON_MS);
        LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__OK,
                   "a put of 40000 octets is not OK");
    }
    join(store, lab);
    while ((line = store_find(store, mark, LINE_SEND, ANY, NOBODY, NOBODY))) {
        LAB_EXPECT(lab, line->body->length <= BODY_LIMIT,
                   "%s sent a %s of %u octets; the limit is %d",
                   store_name(store, line->from), message_name(line->what),
                   line->body->length, BODY_LIMIT);
        mark = store_line_index(store, line) + 1;
    }
    bytes_release(value);
    store_free(store);
}

/* The octets that a server describes: about what it remembers. */
static size_t described(struct store *store, int server)
{
    const struct node *node = world_node(store_world(store), (size_t)server);
    struct sink sink;
    size_t length;

    sink_init(&sink, SINK_CANONICAL);
    node->type->describe(node, &sink);
    length = sink.length;
    sink_release(&sink);
    return length;
}

void lab2b_memory_bounded(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);
    size_t early[2];

    for (int i = 0; i < 100; i++)
        store_put(store, C1, "a", "some value");
    store_run(store, SHORT_MS);
    early[0] = described(store, S1);
    early[1] = described(store, S2);
    for (int i = 0; i < 500; i++) {
        store_put(store, C1 + i % 2, "a", "some value");
        store_expect(store, C1 + i % 2, "a", "some value");
    }
    store_run(store, SHORT_MS);
    for (int i = 0; i < 2; i++) {
        size_t late = described(store, S1 + i);

        LAB_EXPECT(lab, late <= early[i] + 1024,
                   "%s's state grew from %zu to %zu octets while 500 puts "
                   "wrote one key",
                   store_name(store, S1 + i), early[i], late);
    }
    store_free(store);
}

void lab2b_progress(struct lab *lab)
{
    struct store *store = lab2b_trio(lab, 1);
    struct world_plan bad = {
        .drop = 600, .dup = 200, .min_us = 1000, .max_us = 60000};
    struct world_plan good = {.min_us = 1000, .max_us = 1000};
    uint64_t began;

    store_put(store, C1, "a", "1");
    store_network(store, &bad);
    store_begin(store, C1, APPEND, "a", "2", 5 * SOON_MS);
    store_run(store, SOON_MS);
    store_network(store, &good);
    began = store_now_ms(store);
    LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__OK,
               "an append got no answer after the network had recovered");
    store_append(store, C1, "a", "3");
    LAB_EXPECT(lab, store_now_ms(store) - began <= SOON_MS,
               "the network has recovered, and an append took %" PRIu64 " ms",
               store_now_ms(store) - began);
    store_free(store);
}
