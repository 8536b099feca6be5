/* SPDX-License-Identifier: MIT */
/*
 * lab2b_replication: who answers, when, and what becomes of retries. Single
 * messages are lost, doubled and held back; what is judged are answers and
 * views, never how a solution comes to them.
 */
#include <inttypes.h>
#include <string.h>

#include "tests/labs/lab2b.h"

enum { SHORT_MS = 600, HAND = C8 };

#define FORWARD     PBKV__BODY__KIND_FORWARD
#define FORWARD_ACK PBKV__BODY__KIND_FORWARD_ACK
#define REPLY       PBKV__BODY__KIND_REPLY
#define APPEND      PBKV__BODY__KIND_APPEND
#define PUT         PBKV__BODY__KIND_PUT
#define GET         PBKV__BODY__KIND_GET
#define ANY         PBKV__BODY__KIND__NOT_SET

struct store *lab2b_pair(struct lab *lab, unsigned clients)
{
    struct store_config config = store_config();
    struct store *store;

    config.clients = clients;
    store = store_new(lab, &config);
    store_settles(store, S1, S2);
    return store;
}

struct store *lab2b_trio(struct lab *lab, unsigned clients)
{
    struct store *store = lab2b_pair(lab, clients);

    store_start(store, S3);
    store_run(store, 3 * PING_MS);
    return store;
}

void lab2b_fail_over(struct store *store, int dead, int primary, int backup)
{
    store_crash(store, dead);
    store_settles(store, primary, backup);
}

/* Cuts the link between two, both ways. */
static void part(struct store *store, int one, int other)
{
    store_cut(store, one, other);
    store_cut(store, other, one);
}

void lab2b_look(struct store *store, int client, const char *key)
{
    store_begin(store, client, GET, key, NULL, 2 * SOON_MS);
    store_end(store, client);
}

/* The number of answers with data that a server has sent since a mark. */
static size_t answers(struct store *store, size_t mark, int server)
{
    const struct store_line *line;
    size_t count = 0;

    while ((line = store_find(store, mark, LINE_SEND, REPLY, server, NOBODY))) {
        Pbkv__Status status = store_body(store, line)->reply->status;

        count += status == PBKV__STATUS__OK || status == PBKV__STATUS__NO_KEY;
        mark = store_line_index(store, line) + 1;
    }
    return count;
}

/* A Get that the test sends itself, to a server of its choice. */
static const Pbkv__Reply *hand_get(struct store *store, int server,
                                   const char *key, uint64_t call)
{
    Pbkv__Get get = PBKV__GET__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    size_t mark = store_mark(store);
    const struct store_line *line;

    get.call = call;
    get.key = message_octets(key, strlen(key));
    body.kind_case = GET;
    body.get = &get;
    store_send(store, HAND, server, &body);
    store_run(store, SHORT_MS);
    line = store_find(store, mark, LINE_RECEIVE, REPLY, server, HAND);
    return line ? store_body(store, line)->reply : NULL;
}

static struct store *with_hand(struct lab *lab, unsigned servers)
{
    struct store_config config = store_config();
    struct store *store;

    config.servers = servers;
    config.by_hand = 1u << HAND;
    store = store_new(lab, &config);
    store_start(store, HAND);
    return store;
}

/* ---- P1, P2 ---------------------------------------------------------------
 */

void lab2b_alone(struct lab *lab)
{
    struct store_config config = store_config();
    struct store *store;

    config.servers = 1;
    store = store_new(lab, &config);
    store_settles(store, S1, NOBODY);
    store_expect(store, C1, "a", NULL);
    store_put(store, C1, "a", "1");
    store_append(store, C1, "a", "2");
    store_expect(store, C1, "a", "12");
    store_put(store, C1, "a", "");
    store_expect(store, C1, "a", "");
    store_free(store);
}

void lab2b_pair_answers(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_put(store, C1, "a", "1");
    store_append(store, C2, "a", "2");
    store_append(store, C1, "b", "x");
    store_expect(store, C2, "a", "12");
    store_expect(store, C1, "b", "x");
    store_judge(store);
    store_free(store);
}

static void expect_refused(struct store *store, struct lab *lab, int server,
                           const char *who)
{
    const Pbkv__Reply *reply = hand_get(store, server, "a", 7);

    LAB_EXPECT(lab, reply && reply->call == 7, "%s did not answer a get at all",
               who);
    LAB_EXPECT(lab, reply->status == PBKV__STATUS__WRONG_SERVER,
               "%s answered a get with %s and not with WRONG_SERVER", who,
               status_name(reply->status));
    LAB_EXPECT(lab, reply->view && reply->view->number == 2,
               "%s refused a get and did not name the view that it knows", who);
}

void lab2b_backup_refuses(struct lab *lab)
{
    struct store *store = with_hand(lab, 2);

    store_settles(store, S1, S2);
    store_put(store, C1, "a", "1");
    expect_refused(store, lab, S2, "the backup");
    store_free(store);
}

void lab2b_idle_refuses(struct lab *lab)
{
    struct store *store = with_hand(lab, 2);

    store_settles(store, S1, S2);
    store_start(store, S3);
    store_run(store, 4 * PING_MS);
    expect_refused(store, lab, S3, "the idle server");
    store_free(store);
}

static uint64_t lowest_ping(struct store *store, size_t mark, int server)
{
    const struct store_line *line;
    uint64_t lowest = UINT64_MAX;

    while ((line = store_find(store, mark, LINE_SEND, PBKV__BODY__KIND_PING,
                              server, VS))) {
        uint64_t view = store_body(store, line)->ping->view;

        lowest = view < lowest ? view : lowest;
        mark = store_line_index(store, line) + 1;
    }
    return lowest;
}

void lab2b_view_never_goes_down(struct lab *lab)
{
    struct store_config config = store_config();
    struct store *store;
    const Pbkv__Reply *reply;
    size_t mark;

    config.servers = 1;
    config.clients = 0;
    config.by_hand = 1u << VS | 1u << HAND | 1u << S2 | 1u << S3;
    store = store_new(lab, &config);
    store_start(store, HAND);
    store_start(store, S2);
    store_start(store, S3);
    store_tell_view(store, S1, 4, S2, S3);
    store_run(store, 2 * PING_MS);
    mark = store_mark(store);
    store_tell_view(store, S1, 3, S1, S2);
    store_run(store, 3 * PING_MS);
    reply = hand_get(store, S1, "a", 1);
    LAB_EXPECT(lab,
               !reply || (reply->status == PBKV__STATUS__WRONG_SERVER &&
                          (!reply->view || reply->view->number == 4)),
               "s1 knew view 4, was told view 3 late, and went back to it");
    LAB_EXPECT(lab, lowest_ping(store, mark, S1) >= 4,
               "s1 pings view %" PRIu64 " after it has known view 4",
               lowest_ping(store, mark, S1));
    store_free(store);
}

void lab2b_other_view_refused(struct lab *lab)
{
    struct store_config config = store_config();
    struct store *store;
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    const struct store_line *line;

    config.servers = 0;
    config.clients = 0;
    config.by_hand = 1u << VS | 1u << S1 | 1u << S3;
    store = store_new(lab, &config);
    store_start(store, S1);
    store_start(store, S2);
    store_start(store, S3);
    store_tell_view(store, S2, 5, S3, S2);
    store_run(store, PING_MS);
    forward.view = 4;
    forward.first = 1;
    body.kind_case = FORWARD;
    body.forward = &forward;
    store_send(store, S1, S2, &body);
    store_run(store, PING_MS);
    line = store_find(store, 0, LINE_SEND, PBKV__BODY__KIND_REFUSAL, S2, S1);
    LAB_EXPECT(lab, line,
               "s2 knows view 5 and did not refuse a forward of view 4");
    LAB_EXPECT(lab,
               store_body(store, line)->refusal->known == 5 &&
                   store_body(store, line)->refusal->refused == 4,
               "the refusal of a forward of view 4 does not say that s2 knows "
               "view 5");
    LAB_EXPECT(lab,
               store_count(store, 0, LINE_SEND, FORWARD_ACK, S2, NOBODY) == 0,
               "s2 acknowledged a forward of an older view");
    store_free(store);
}

/* ---- P4: the commit point -------------------------------------------------
 */

/* Messages of one kind are lost between primary and backup: s1 may not answer a
 * request before they arrive again, and has to then. */
static void expect_wait(struct lab *lab, Pbkv__Body__KindCase lost, int from,
                        int to, Pbkv__Body__KindCase request,
                        const char *answered)
{
    struct store *store = lab2b_pair(lab, 1);
    size_t mark;

    store_put(store, C1, "a", "1");
    store_rule(store, RULE_DROP, lost, from, to, ALWAYS);
    mark = store_mark(store);
    store_begin(store, C1, request, "a", request == GET ? NULL : "2", SOON_MS);
    store_run(store, SHORT_MS);
    LAB_EXPECT(lab, answers(store, mark, S1) == 0, "s1 answered %s", answered);
    store_pass(store);
    LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__OK,
               "the %s was never answered, although each %s arrives again",
               message_name(request), message_name(lost));
    store_expect(store, C1, "a",
                 request == GET   ? "1"
                 : request == PUT ? "2"
                                  : "12");
    store_free(store);
}

void lab2b_update_awaits_backup(struct lab *lab)
{
    expect_wait(lab, FORWARD, S1, S2, APPEND,
                "an append that its backup has not got: the store would lose "
                "it with s1");
}

void lab2b_update_awaits_acknowledgement(struct lab *lab)
{
    expect_wait(lab, FORWARD_ACK, S2, S1, PUT,
                "a put that its backup has not acknowledged");
}

void lab2b_read_awaits_backup(struct lab *lab)
{
    expect_wait(lab, FORWARD, S1, S2, GET,
                "a get without hearing from its backup: it cannot know that it "
                "is still primary");
}

void lab2b_read_of_uncommitted(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_put(store, C1, "a", "1");
    store_rule(store, RULE_DROP, FORWARD, S1, S2, ALWAYS);
    store_begin(store, C1, PUT, "a", "2", SOON_MS);
    store_run(store, 20);
    store_begin(store, C2, GET, "a", NULL, SOON_MS);
    store_run(store, 20);
    store_crash(store, S1);
    store_pass(store);
    store_end(store, C1);
    store_end(store, C2);
    store_expect(store, C2, "a", "2");
    store_judge(store);
    store_free(store);
}

/* The append's forward is lost, the read's is not. */
void lab2b_read_overtakes_update(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    store_rule(store, RULE_DROP, FORWARD, S1, S2, 1);
    store_begin(store, C1, APPEND, "a", "2", 300);
    store_run(store, 5);
    store_begin(store, C2, GET, "a", NULL, SOON_MS);
    store_run(store, 15);
    store_crash(store, S1);
    store_end(store, C1);
    store_end(store, C2);
    store_settles(store, S2, NOBODY);
    lab2b_look(store, C2, "a");
    store_judge(store);
    store_free(store);
}

void lab2b_lost_forwards(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    store_rule(store, RULE_DROP, FORWARD, S1, S2, 3);
    store_append(store, C1, "a", "1");
    store_rule(store, RULE_DROP, FORWARD_ACK, S2, S1, 3);
    store_append(store, C1, "a", "2");
    store_rule(store, RULE_DROP, FORWARD, S1, S2, 2);
    store_expect(store, C1, "a", "12");
    store_free(store);
}

static bool same_digest(struct store *store, const void *argument)
{
    const int *pair = argument;
    struct inspection one = store_inspect(store, pair[0]);
    struct inspection other = store_inspect(store, pair[1]);

    return one.applied == other.applied &&
           digest_equal(&one.digest, &other.digest);
}

void lab2b_expect_same(struct store *store, struct lab *lab, int one, int other)
{
    int pair[2] = {one, other};

    LAB_EXPECT(
        lab, store_until(store, same_digest, pair, SOON_MS),
        "%s and %s are primary and backup, nothing is under way, and "
        "their states differ: op %" PRIu64 " with %" PRIu64 " keys and %" PRIu64
        " sessions, op %" PRIu64 " with %" PRIu64 " keys and %" PRIu64
        " sessions",
        store_name(store, one), store_name(store, other),
        store_inspect(store, one).applied, store_inspect(store, one).keys,
        store_inspect(store, one).sessions, store_inspect(store, other).applied,
        store_inspect(store, other).keys, store_inspect(store, other).sessions);
}

void lab2b_doubled_forwards(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    store_rule(store, RULE_DOUBLE, FORWARD, S1, S2, ALWAYS);
    store_rule(store, RULE_DOUBLE, FORWARD_ACK, S2, S1, ALWAYS);
    for (int i = 0; i < 10; i++)
        store_append(store, C1, "a", "x");
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    store_expect(store, C1, "a", "xxxxxxxxxx");
    store_free(store);
}

void lab2b_late_forwards(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 4);
    static const char *const values[] = {"1", "2", "3", "4"};

    for (int i = 0; i < 4; i++)
        store_put(store, C1 + i, "b", "0");
    store_rule(store, RULE_HOLD, FORWARD, S1, S2, 2);
    for (int i = 0; i < 4; i++)
        store_begin(store, C1 + i, APPEND, "a", values[i], SOON_MS);
    store_run(store, 30);
    store_release(store);
    for (int i = 0; i < 4; i++)
        store_end(store, C1 + i);
    lab2b_expect_same(store, lab, S1, S2);
    lab2b_fail_over(store, S1, S2, NOBODY);
    lab2b_look(store, C1, "a");
    LAB_EXPECT(lab, store_read(store, C1) && store_read(store, C1)->length == 4,
               "four appends were acknowledged, some forwards came late, and "
               "the new primary does not have each of them once");
    store_judge(store);
    store_free(store);
}

/* An acknowledgement of view 2 comes when view 3 waits for another backup. */
void lab2b_old_acknowledgement(struct lab *lab)
{
    struct store *store = lab2b_trio(lab, 2);
    size_t mark;

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    store_rule(store, RULE_HOLD, FORWARD_ACK, S2, S1, 2);
    store_begin(store, C1, APPEND, "a", "2", 4 * SOON_MS);
    store_run(store, 30);
    lab2b_fail_over(store, S2, S1, S3);
    store_end(store, C1);
    store_rule(store, RULE_DROP, FORWARD, S1, S3, ALWAYS);
    mark = store_mark(store);
    store_begin(store, C2, APPEND, "a", "3", 4 * SOON_MS);
    store_run(store, 30);
    store_release(store);
    store_run(store, 200);
    LAB_EXPECT(lab, answers(store, mark, S1) == 0,
               "s1 answered an append of view 3 after a late acknowledgement "
               "of view 2");
    store_pass(store);
    store_end(store, C2);
    store_expect(store, C1, "a", "123");
    store_free(store);
}

/* ---- P6: at most once -----------------------------------------------------
 */

void lab2b_doubled_requests(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);
    char expected[32] = "";

    store_rule(store, RULE_DOUBLE, APPEND, C1, NOBODY, ALWAYS);
    for (int i = 0; i < 10; i++) {
        store_append(store, C1, "a", "x");
        strcat(expected, "x");
    }
    store_run(store, SHORT_MS);
    store_expect(store, C1, "a", expected);
    store_free(store);
}

void lab2b_lost_replies(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    for (int i = 0; i < 5; i++) {
        store_rule(store, RULE_DROP, REPLY, S1, C1, 2);
        store_append(store, C1, "a", "x");
    }
    store_expect(store, C1, "a", "xxxxx");
    store_free(store);
}

void lab2b_retry_after_failover(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);

    store_put(store, C1, "a", "1");
    store_rule(store, RULE_DROP, REPLY, S1, C1, ALWAYS);
    store_begin(store, C1, APPEND, "a", "2", 2 * SOON_MS);
    store_run(store, 30);
    store_crash(store, S1);
    store_pass(store);
    LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__OK,
               "the retry of an append at the new primary was not answered");
    store_expect(store, C1, "a", "12");
    store_free(store);
}

void lab2b_retry_after_two_failovers(struct lab *lab)
{
    struct store *store = lab2b_trio(lab, 1);

    store_put(store, C1, "a", "1");
    store_rule(store, RULE_DROP, REPLY, NOBODY, C1, ALWAYS);
    store_begin(store, C1, APPEND, "a", "2", 6 * SOON_MS);
    store_run(store, 30);
    lab2b_fail_over(store, S1, S2, S3);
    store_crash(store, S2);
    store_pass(store);
    LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__OK,
               "the retry of an append after two failovers was not answered");
    store_expect(store, C1, "a", "12");
    store_free(store);
}

/* A copy of an update that arrives long after its answer, and after others. */
void lab2b_late_duplicate(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_append(store, C1, "a", "1");
    store_rule(store, RULE_HOLD, PUT, C1, S1, 1);
    store_put(store, C1, "a", "2"); /* by its retry */
    store_put(store, C2, "a", "3");
    store_append(store, C1, "b", "4");
    store_release(store);
    store_run(store, SHORT_MS);
    store_expect(store, C2, "a", "3");
    store_judge(store);
    store_free(store);
}

void lab2b_late_duplicate_after_failover(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);
    size_t mark;

    store_append(store, C1, "a", "1");
    store_rule(store, RULE_HOLD, APPEND, C1, S1, 1);
    store_append(store, C1, "a", "2"); /* by its retry */
    mark = store_mark(store);
    lab2b_fail_over(store, S1, S2, NOBODY);
    lab2b_repeat(store, lab, mark, APPEND, C1, S2);
    store_run(store, SHORT_MS);
    store_expect(store, C1, "a", "12");
    store_free(store);
}

/* Sends the last message of a kind that a client sent before mark once more, to
 * this server. */
void lab2b_repeat(struct store *store, struct lab *lab, size_t mark,
                  Pbkv__Body__KindCase kind, int client, int server)
{
    const struct store_line *line = NULL;

    for (size_t i = mark; i-- > 0 && !line;) {
        line = store_line_at(store, i);
        if (line->kind != LINE_SEND || line->what != kind ||
            line->from != client)
            line = NULL;
    }
    LAB_EXPECT(lab, line, "%s has sent no %s", store_name(store, client),
               message_name(kind));
    store_send(store, client, server, store_body(store, line));
}

void lab2b_evicted_session(struct lab *lab)
{
    struct store_config config = store_config();
    struct store *store;
    size_t mark;

    config.clients = 4;
    config.server.limits.sessions = 2;
    store = store_new(lab, &config);
    store_settles(store, S1, S2);
    store_append(store, C1, "a", "1");
    mark = store_mark(store);
    for (int i = 1; i < 4; i++)
        store_append(store, C1 + i, "b", "x");
    lab2b_repeat(store, lab, mark, APPEND, C1, S1);
    store_run(store, SHORT_MS);
    store_expect(store, C2, "a", "1");
    LAB_EXPECT(lab, store_inspect(store, S1).sessions <= 2,
               "the table of sessions may hold 2 and holds %" PRIu64,
               store_inspect(store, S1).sessions);
    store_free(store);
}

void lab2b_too_large(struct lab *lab)
{
    struct store_config config = store_config();
    struct store *store;

    config.server.limits.value = 8;
    store = store_new(lab, &config);
    store_settles(store, S1, S2);
    store_put(store, C1, "a", "12345");
    store_begin(store, C1, APPEND, "a", "6789", SOON_MS);
    LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__TOO_LARGE,
               "an append that makes a value of 9 octets, where 8 are allowed, "
               "was not answered TOO_LARGE");
    store_expect(store, C1, "a", "12345");
    store_append(store, C1, "a", "678");
    lab2b_fail_over(store, S1, S2, NOBODY);
    store_expect(store, C1, "a", "12345678");
    store_free(store);
}

/* ---- P1, P5: an old primary -----------------------------------------------
 */

void lab2b_cut_off_s1(struct store *store)
{
    part(store, S1, VS);
    part(store, S1, S2);
}

void lab2b_old_primary_before_writes(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 1);
    size_t mark;

    store_put(store, C1, "a", "1");
    lab2b_cut_off_s1(store);
    store_settles(store, S2, NOBODY);
    mark = store_mark(store);
    lab2b_look(store, C1, "a");
    store_begin(store, C1, PUT, "a", "2", 2 * SOON_MS);
    store_end(store, C1);
    LAB_EXPECT(lab, answers(store, mark, S1) == 0,
               "s1 was primary of view 2, is cut off, s2 is primary of view 3, "
               "and s1 still answers clients");
    store_expect(store, C1, "a", "2");
    store_free(store);
}

void lab2b_old_primary_after_writes(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);
    size_t mark;

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    lab2b_cut_off_s1(store);
    store_settles(store, S2, NOBODY);
    store_put(store, C2, "a", "2");
    mark = store_mark(store);
    store_begin(store, C1, GET, "a", NULL, 2 * SOON_MS);
    store_run(store, 30);
    LAB_EXPECT(lab, answers(store, mark, S1) == 0,
               "s1, cut off, answered a get although s2 is primary of view 3 "
               "and has newer writes");
    store_end(store, C1);
    store_expect(store, C1, "a", "2");
    store_judge(store);
    store_heal(store);
    store_settles(store, S2, S1);
    lab2b_expect_same(store, lab, S2, S1);
    store_free(store);
}

void lab2b_deposed_by_refusal(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);
    size_t mark;

    store_put(store, C1, "a", "1");
    part(store, S1, VS);
    store_settles(store, S2, NOBODY);
    mark = store_mark(store);
    store_begin(store, C1, APPEND, "a", "2", 2 * SOON_MS);
    store_end(store, C1);
    lab2b_look(store, C1, "a");
    LAB_EXPECT(lab, answers(store, mark, S1) == 0,
               "s2 knows view 3 and refuses the forwards of s1, and s1 answers "
               "clients all the same");
    store_expect(store, C2, "a", "12");
    store_judge(store);
    store_free(store);
}

static bool has_confirmed(struct store *store, const void *argument)
{
    const size_t *mark = argument;

    return store_find(store, *mark, LINE_SEND, FORWARD_ACK, S2, S1);
}

/* The confirmation of an earlier read arrives after a later read has. */
void lab2b_earlier_confirmation(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 3);
    size_t mark;

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    store_put(store, C3, "c", "1");
    store_rule(store, RULE_HOLD, FORWARD_ACK, S2, S1, ALWAYS);
    mark = store_mark(store);
    store_begin(store, C1, GET, "b", NULL, 2 * SOON_MS);
    store_until(store, has_confirmed, &mark, SHORT_MS);
    lab2b_cut_off_s1(store);
    store_cut(store, C2, S1); /* so that s1 does not hear of the put */
    store_settles(store, S2, NOBODY);
    store_put(store, C2, "a", "2");
    store_begin(store, C3, GET, "a", NULL, SOON_MS);
    store_run(store, 5);
    world_cut(store_world(store), 2, 1, false); /* late, from s2 to s1 */
    store_release(store);
    store_run(store, 20);
    store_end(store, C3);
    store_heal(store);
    store_end(store, C1);
    store_judge(store);
    store_free(store);
}

/* P5: from the refusal on, clients are sent away at once. */
void lab2b_deposed_refuses(struct lab *lab)
{
    struct store *store = with_hand(lab, 2);
    const Pbkv__Reply *reply;

    store_settles(store, S1, S2);
    store_put(store, C1, "a", "1");
    part(store, S1, VS);
    store_settles(store, S2, NOBODY);
    hand_get(store, S1, "a", 1);
    LAB_EXPECT(
        lab,
        store_count(store, 0, LINE_RECEIVE, PBKV__BODY__KIND_REFUSAL, S2, S1) >
            0,
        "s2 is primary of view 3 and did not refuse what s1 sent in view "
        "2 (P2)");
    reply = hand_get(store, S1, "a", 2);
    LAB_EXPECT(lab, reply && reply->status == PBKV__STATUS__WRONG_SERVER,
               "s1 was refused by its backup, which knows view 3, and leaves "
               "the next client without an answer");
    store_free(store);
}

/* A forward of view 2 comes to s2 when it is backup of view 5. */
void lab2b_forward_of_old_primary(struct lab *lab)
{
    struct store *store = lab2b_trio(lab, 2);

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    store_rule(store, RULE_HOLD, FORWARD, S1, S2, 1);
    store_begin(store, C1, APPEND, "a", "2", 40);
    store_end(store, C1);
    lab2b_fail_over(store, S1, S2, S3);
    store_isolate(store, S2);
    store_settles(store, S3, NOBODY);
    store_heal(store);
    store_settles(store, S3, S2);
    store_release(store);
    store_run(store, SHORT_MS);
    lab2b_expect_same(store, lab, S3, S2);
    lab2b_fail_over(store, S3, S2, NOBODY);
    store_expect(store, C2, "b", "1");
    lab2b_look(store, C2, "a");
    store_judge(store);
    store_free(store);
}

/* A read that arrived at the old primary before it was replaced, and whose
 * confirmation was on the way, must not show an old value later. */
void lab2b_stale_confirmation(struct lab *lab)
{
    struct store *store = lab2b_pair(lab, 2);

    store_put(store, C1, "a", "1");
    store_put(store, C2, "b", "1");
    store_rule(store, RULE_HOLD, FORWARD_ACK, S2, S1, 1);
    store_begin(store, C1, GET, "a", NULL, SOON_MS);
    store_run(store, 30);
    lab2b_cut_off_s1(store);
    store_end(store, C1);
    store_settles(store, S2, NOBODY);
    store_put(store, C2, "a", "2");
    store_begin(store, C1, GET, "a", NULL, SOON_MS);
    store_run(store, 5);
    store_heal(store);
    store_release(store);
    store_end(store, C1);
    store_judge(store);
    store_free(store);
}
