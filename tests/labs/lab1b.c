/* SPDX-License-Identifier: MIT */
/*
 * lab1b: exactly-once. One server, alone in view 1, and clients; the view
 * service is by hand and says so. Requests and answers are lost, doubled, late;
 * what is judged is how often each update took effect, what its client was
 * told, and what is on the wire. Table tests use sessions.h directly.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pbserver/sessions.h"
#include "tests/labs/lab1b_live.h"
#include "tests/labs/store.h"

enum { SHORT_MS = 600, HAND = C8 };

#define REPLY  PBKV__BODY__KIND_REPLY
#define APPEND PBKV__BODY__KIND_APPEND
#define PUT    PBKV__BODY__KIND_PUT
#define GET    PBKV__BODY__KIND_GET
#define OPEN   PBKV__BODY__KIND_OPEN_SESSION
#define OPENED PBKV__BODY__KIND_SESSION_OPENED

/* ---- The table ------------------------------------------------------------
 */

static void add_record(struct sessions *sessions, uint64_t id, uint64_t seq,
                       uint64_t op)
{
    struct session_record record = {id, seq, PBKV__STATUS__OK, op};

    sessions_set(sessions, &record);
}

static void table_remembers(struct lab *lab)
{
    struct sessions sessions;
    const struct session_record *record;

    sessions_init(&sessions);
    LAB_EXPECT(lab, !sessions_find(&sessions, 1), "an empty table knows 1");
    add_record(&sessions, 1, 0, 1);
    add_record(&sessions, 2, 0, 2);
    add_record(&sessions, 1, 1, 3);
    record = sessions_find(&sessions, 1);
    LAB_EXPECT(lab, record && record->seq == 1 && record->op == 3,
               "session 1 did operation 1 as number 3, and the table does not "
               "say so");
    LAB_EXPECT(lab, sessions.count == 2, "two sessions are %zu in the table",
               sessions.count);
    LAB_EXPECT(lab, !sessions_find(&sessions, 3), "the table knows session 3");
    sessions_release(&sessions);
}

static void table_order(struct lab *lab)
{
    struct sessions sessions;
    struct session_record *list;
    static const uint64_t expected[] = {2, 3, 1};

    sessions_init(&sessions);
    LAB_EXPECT(lab, sessions_oldest(&sessions) == 0,
               "an empty table has an oldest session");
    for (uint64_t id = 1; id <= 3; id++)
        add_record(&sessions, id, 0, id);
    add_record(&sessions, 1, 1, 4);
    LAB_EXPECT(lab, sessions_oldest(&sessions) == 2,
               "session 1 was used after session 2, and %" PRIu64
               " is the oldest",
               sessions_oldest(&sessions));
    list = sessions_list(&sessions);
    for (int i = 0; i < 3; i++)
        LAB_EXPECT(lab, list && list[i].id == expected[i],
                   "the list is not in the order of last use");
    free(list);
    sessions_evict(&sessions, 2);
    sessions_evict(&sessions, 99);
    LAB_EXPECT(lab,
               sessions_oldest(&sessions) == 3 && sessions.count == 2 &&
                   !sessions_find(&sessions, 2),
               "session 2 was evicted and is still there, or another is gone");
    sessions_release(&sessions);
    LAB_EXPECT(lab, sessions.count == 0 && !sessions_list(&sessions),
               "a released table is not empty");
}

static void table_copies(struct lab *lab)
{
    struct sessions sessions;
    struct sessions copy;

    sessions_init(&sessions);
    for (uint64_t id = 1; id <= 5; id++)
        add_record(&sessions, id, 0, id);
    add_record(&sessions, 2, 1, 6);
    sessions_clone(&sessions, &copy);
    LAB_EXPECT(lab,
               copy.count == 5 &&
                   sessions_oldest(&copy) == sessions_oldest(&sessions),
               "a copy has other sessions or another order");
    add_record(&copy, 1, 1, 7);
    LAB_EXPECT(lab,
               sessions_oldest(&sessions) == 1 &&
                   sessions_find(&sessions, 1)->seq == 0,
               "a change of the copy changed the original");
    sessions_release(&sessions);
    LAB_EXPECT(lab, sessions_find(&copy, 2)->seq == 1,
               "releasing the original took the copy with it");
    sessions_release(&copy);
}

static bool same_sum(const struct sessions *a, const struct sessions *b)
{
    return a->sum.low == b->sum.low && a->sum.high == b->sum.high;
}

static void table_digest(struct lab *lab)
{
    struct sessions one;
    struct sessions other;

    sessions_init(&one);
    sessions_init(&other);
    add_record(&one, 1, 0, 1);
    add_record(&one, 1, 1, 3);
    add_record(&one, 2, 0, 2);
    add_record(&one, 9, 0, 9);
    sessions_evict(&one, 9);
    add_record(&other, 2, 0, 2);
    add_record(&other, 1, 1, 3);
    LAB_EXPECT(lab, same_sum(&one, &other),
               "two tables with the same records have different sums");
    add_record(&other, 2, 1, 4);
    LAB_EXPECT(lab, !same_sum(&one, &other),
               "two tables with different records have the same sum");
    sessions_release(&one);
    sessions_release(&other);
}

/* ---- One server -----------------------------------------------------------
 */

static struct store *lone(struct lab *lab, unsigned clients, uint32_t sessions,
                          uint32_t value)
{
    struct store_config config = store_config();
    struct store *store;

    config.servers = 1;
    config.clients = clients;
    config.by_hand = 1u << VS | 1u << HAND;
    if (sessions > 0)
        config.server.limits.sessions = sessions;
    if (value > 0)
        config.server.limits.value = value;
    store = store_new(lab, &config);
    store_start(store, HAND);
    store_tell_view(store, S1, 1, S1, NOBODY);
    for (unsigned i = 0; i < clients; i++)
        store_tell_view(store, C1 + (int)i, 1, S1, NOBODY);
    store_run(store, 20);
    return store;
}

/* An update that the test sends itself; returns the status of the answer, or 0
 * when there is none. */
static Pbkv__Status hand_append(struct store *store, uint64_t session,
                                uint64_t seq, uint64_t call, const char *value)
{
    Pbkv__Append append = PBKV__APPEND__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    size_t mark = store_mark(store);
    const struct store_line *line;

    append.call = call;
    append.session = session;
    append.seq = seq;
    append.key = message_octets("a", 1);
    append.value = message_octets(value, strlen(value));
    body.kind_case = APPEND;
    body.append = &append;
    store_send(store, HAND, S1, &body);
    store_run(store, 50);
    line = store_find(store, mark, LINE_RECEIVE, REPLY, S1, HAND);
    if (!line || store_body(store, line)->reply->call != call)
        return PBKV__STATUS__STATUS_INVALID;
    return store_body(store, line)->reply->status;
}

static uint64_t hand_open(struct store *store, uint64_t call)
{
    Pbkv__OpenSession open = PBKV__OPEN_SESSION__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    size_t mark = store_mark(store);
    const struct store_line *line;

    open.call = call;
    body.kind_case = OPEN;
    body.open_session = &open;
    store_send(store, HAND, S1, &body);
    store_run(store, 50);
    line = store_find(store, mark, LINE_RECEIVE, OPENED, S1, HAND);
    return line ? store_body(store, line)->session_opened->session : 0;
}

static void first_answer(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 3);
    uint64_t session = hand_open(store, 1);

    LAB_EXPECT(lab, session > 0, "an OpenSession was not answered");
    LAB_EXPECT(lab, hand_append(store, session, 1, 2, "ab") == PBKV__STATUS__OK,
               "the first update of a session was not answered OK");
    LAB_EXPECT(
        lab, hand_append(store, session, 2, 3, "cd") == PBKV__STATUS__TOO_LARGE,
        "an append past the limit of 3 octets was not TOO_LARGE");
    store_put(store, C1, "a", "");
    LAB_EXPECT(
        lab, hand_append(store, session, 2, 4, "cd") == PBKV__STATUS__TOO_LARGE,
        "a retry of a refused update was executed, because it would fit "
        "by now: a retry gets the first answer");
    store_expect(store, C1, "a", "");
    store_free(store);
}

static void retry_acts_once(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    uint64_t session = hand_open(store, 1);

    for (uint64_t call = 2; call < 6; call++)
        LAB_EXPECT(
            lab, hand_append(store, session, 1, call, "x") == PBKV__STATUS__OK,
            "copy %" PRIu64 " of an update was not answered OK with its "
            "own call",
            call - 1);
    store_expect(store, C1, "a", "x");
    store_free(store);
}

static void older_gets_nothing(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    uint64_t session = hand_open(store, 1);
    Pbkv__Status status;

    hand_append(store, session, 1, 2, "x");
    hand_append(store, session, 2, 3, "y");
    status = hand_append(store, session, 1, 4, "x");
    LAB_EXPECT(lab, status != PBKV__STATUS__OK,
               "an update older than the session's newest was answered OK");
    store_expect(store, C1, "a", "xy");
    hand_append(store, session, 7, 5, "z");
    store_expect(store, C1, "a", "xyz");
    store_free(store);
}

static void two_sessions(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    uint64_t one = hand_open(store, 1);
    uint64_t other = hand_open(store, 2);

    LAB_EXPECT(lab, one > 0 && other > 0 && one != other,
               "two sessions have the ids %" PRIu64 " and %" PRIu64, one,
               other);
    hand_append(store, one, 1, 3, "x");
    hand_append(store, other, 1, 4, "y");
    store_expect(store, C1, "a", "xy");
    store_free(store);
}

static void nonsense_is_refused(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    uint64_t session = hand_open(store, 1);

    LAB_EXPECT(lab,
               hand_append(store, 0, 1, 2, "x") == PBKV__STATUS__BAD_REQUEST,
               "an update of session 0 was not a BAD_REQUEST");
    LAB_EXPECT(lab,
               hand_append(store, session, 0, 3, "x") ==
                   PBKV__STATUS__BAD_REQUEST,
               "an update with seq 0 was not a BAD_REQUEST");
    LAB_EXPECT(lab,
               hand_append(store, session + 100, 1, 4, "x") ==
                   PBKV__STATUS__SESSION_EXPIRED,
               "an update of a session that does not exist was not "
               "SESSION_EXPIRED");
    store_expect(store, C1, "a", NULL);
    store_free(store);
}

static void evicted_is_refused(struct lab *lab)
{
    struct store *store = lone(lab, 1, 2, 0);
    uint64_t session = hand_open(store, 1);
    Pbkv__Status status;

    hand_append(store, session, 1, 2, "x");
    hand_open(store, 3);
    hand_open(store, 4);
    status = hand_append(store, session, 1, 5, "x");
    LAB_EXPECT(lab, status == PBKV__STATUS__SESSION_EXPIRED,
               "a retry in an evicted session got %s and not SESSION_EXPIRED",
               status_name(status));
    store_expect(store, C1, "a", "x");
    LAB_EXPECT(lab, store_inspect(store, S1).sessions <= 2,
               "the table may hold 2 sessions and holds %" PRIu64,
               store_inspect(store, S1).sessions);
    store_free(store);
}

static void busy_session_stays(struct lab *lab)
{
    struct store *store = lone(lab, 1, 2, 0);
    uint64_t session = hand_open(store, 1);

    for (uint64_t i = 1; i <= 6; i++) {
        LAB_EXPECT(lab,
                   hand_append(store, session, i, 10 + i, "x") ==
                       PBKV__STATUS__OK,
                   "a session that is used all the time was evicted, and one "
                   "that is not stayed");
        hand_open(store, 100 + i);
    }
    store_expect(store, C1, "a", "xxxxxx");
    store_free(store);
}

/* ---- Clients over a bad network -------------------------------------------
 */

static void doubled_requests(struct lab *lab)
{
    struct store *store = lone(lab, 2, 0, 0);

    store_rule(store, RULE_DOUBLE, APPEND, NOBODY, S1, ALWAYS);
    for (int i = 0; i < 5; i++) {
        store_append(store, C1, "a", "x");
        store_append(store, C2, "a", "y");
    }
    store_run(store, SHORT_MS);
    store_expect(store, C1, "a", "xyxyxyxyxy");
    store_free(store);
}

static void lost_requests(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);

    store_rule(store, RULE_DROP, OPEN, C1, S1, 2);
    store_rule(store, RULE_DROP, OPENED, S1, C1, 1);
    store_rule(store, RULE_DROP, APPEND, C1, S1, 2);
    store_append(store, C1, "a", "x");
    store_rule(store, RULE_DROP, GET, C1, S1, 2);
    store_expect(store, C1, "a", "x");
    store_free(store);
}

static void lost_answers(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);

    for (int i = 0; i < 5; i++) {
        store_rule(store, RULE_DROP, REPLY, S1, C1, 2);
        store_append(store, C1, "a", "x");
    }
    store_expect(store, C1, "a", "xxxxx");
    store_free(store);
}

static void late_copy(struct lab *lab)
{
    struct store *store = lone(lab, 2, 0, 0);

    store_append(store, C1, "a", "1");
    store_rule(store, RULE_HOLD, PUT, C1, S1, 1);
    store_put(store, C1, "a", "2");
    store_put(store, C2, "a", "3");
    store_append(store, C1, "b", "4");
    store_release(store);
    store_run(store, SHORT_MS);
    store_expect(store, C2, "a", "3");
    store_judge(store);
    store_free(store);
}

/* All messages of a retry name the same session and seq. */
static void retry_is_the_same(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    size_t mark;
    const struct store_line *line;
    uint64_t session = 0;
    uint64_t seq = 0;
    size_t copies = 0;

    store_append(store, C1, "a", "1");
    mark = store_mark(store);
    store_rule(store, RULE_DROP, REPLY, S1, C1, 3);
    store_append(store, C1, "a", "2");
    while ((line = store_find(store, mark, LINE_SEND, APPEND, C1, S1))) {
        const Pbkv__Append *append = store_body(store, line)->append;

        LAB_EXPECT(lab,
                   copies == 0 ||
                       (append->session == session && append->seq == seq),
                   "an append was sent as session %" PRIu64 " seq %" PRIu64
                   " and repeated as session %" PRIu64 " seq %" PRIu64,
                   session, seq, append->session, append->seq);
        session = append->session;
        seq = append->seq;
        copies++;
        mark = store_line_index(store, line) + 1;
    }
    LAB_EXPECT(lab, copies >= 4,
               "three answers were lost and the append was sent %zu times",
               copies);
    store_free(store);
}

static void deadline(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    size_t mark;

    store_append(store, C1, "a", "1");
    store_isolate(store, S1);
    store_begin(store, C1, APPEND, "a", "2", 500);
    LAB_EXPECT(lab, store_end(store, C1) == PBKV__STATUS__TIMEOUT,
               "a call that nobody answered did not end with TIMEOUT");
    mark = store_mark(store);
    store_run(store, 1000);
    LAB_EXPECT(lab,
               store_count(store, mark, LINE_SEND, APPEND, C1, NOBODY) == 0,
               "a call that has ended is still repeated");
    store_heal(store);
    store_append(store, C1, "b", "3");
    store_expect(store, C1, "b", "3");
    store_judge(store);
    store_free(store);
}

static void silence_asks(struct lab *lab)
{
    struct store *store = lone(lab, 1, 0, 0);
    size_t mark;

    store_append(store, C1, "a", "1");
    mark = store_mark(store);
    for (int i = 0; i < 20; i++)
        store_append(store, C1, "a", "x");
    LAB_EXPECT(lab,
               store_count(store, mark, LINE_SEND, PBKV__BODY__KIND_GET_VIEW,
                           C1, VS) == 0,
               "a client that gets its answers asks the view service");
    store_isolate(store, S1);
    store_begin(store, C1, APPEND, "a", "2", 500);
    store_end(store, C1);
    LAB_EXPECT(lab,
               store_count(store, mark, LINE_SEND, PBKV__BODY__KIND_GET_VIEW,
                           C1, VS) > 0,
               "a client without answers does not ask the view service");
    store_free(store);
}

static void state_bounded(struct lab *lab)
{
    struct store *store = lone(lab, 2, 0, 0);
    size_t early;
    size_t late;
    struct sink sink;
    const struct node *node = world_node(store_world(store), 1);

    sink_init(&sink, SINK_CANONICAL);
    for (int i = 0; i < 50; i++)
        store_put(store, C1, "a", "value");
    node->type->describe(node, &sink);
    early = sink.length;
    for (int i = 0; i < 400; i++)
        store_put(store, C1 + i % 2, "a", "value");
    sink_clear(&sink);
    node->type->describe(node, &sink);
    late = sink.length;
    sink_release(&sink);
    LAB_EXPECT(lab, late <= early + 512,
               "the server's state grew from %zu to %zu octets while 400 puts "
               "wrote one key",
               early, late);
    store_free(store);
}

static void storm(struct lab *lab)
{
    struct world_plan plan = {.drop = 150,
                              .dup = 150,
                              .min_us = 200,
                              .max_us = 60000,
                              .slow = 50,
                              .slow_us = 900000};
    struct storm work = {.ms = 8000, .keys = 2};
    struct store *store = lone(lab, 5, 0, 0);

    store_network(store, &plan);
    store_storm(store, &work);
    store_free(store);
}

static void crowded_storm(struct lab *lab)
{
    struct world_plan plan = {.drop = 100,
                              .dup = 200,
                              .min_us = 200,
                              .max_us = 60000,
                              .slow = 100,
                              .slow_us = 900000};
    struct storm work = {.ms = 8000, .keys = 1};
    struct store *store = lone(lab, 6, 3, 0);

    store_network(store, &plan);
    store_storm(store, &work);
    store_free(store);
}

static const struct lab_test tests[] = {
    {"the_table_remembers_the_newest_operation_of_each_session",
     table_remembers, 2, LAB_UNIT, 5, "P6"},
    {"the_table_knows_the_order_of_last_use", table_order, 3, LAB_UNIT, 5,
     "P6"},
    {"a_copy_of_the_table_is_independent", table_copies, 2, LAB_UNIT, 5, "P6"},
    {"equal_tables_have_equal_sums", table_digest, 2, LAB_UNIT, 5, "P6"},
    {"a_retry_acts_once_and_is_answered", retry_acts_once, 4, LAB_UNIT, 5,
     "P6"},
    {"a_retry_gets_the_first_answer", first_answer, 4, LAB_UNIT, 5, "P6"},
    {"an_update_older_than_the_newest_changes_nothing", older_gets_nothing, 4,
     LAB_UNIT, 5, "P6"},
    {"two_sessions_do_not_hide_each_other", two_sessions, 3, LAB_UNIT, 5, "P6"},
    {"an_update_without_session_or_seq_is_refused", nonsense_is_refused, 2,
     LAB_UNIT, 5, "P6"},
    {"an_evicted_session_is_refused_and_not_executed_again", evicted_is_refused,
     4, LAB_UNIT, 5, "P6"},
    {"the_session_unused_for_longest_is_evicted", busy_session_stays, 3,
     LAB_UNIT, 5, "P6"},
    {"a_doubled_append_is_executed_once", doubled_requests, 4, LAB_UNIT, 5,
     "P6"},
    {"a_lost_request_is_repeated", lost_requests, 3, LAB_UNIT, 5, "C2"},
    {"an_append_whose_answer_was_lost_is_executed_once", lost_answers, 4,
     LAB_UNIT, 5, "P6"},
    {"a_late_copy_changes_nothing", late_copy, 4, LAB_UNIT, 5, "P6"},
    {"a_retry_repeats_session_and_seq", retry_is_the_same, 4, LAB_UNIT, 5,
     "C2"},
    {"a_call_ends_at_its_deadline", deadline, 3, LAB_UNIT, 5, "C2"},
    {"silence_is_a_reason_to_ask_for_the_view_and_answers_are_not",
     silence_asks, 3, LAB_UNIT, 5, "C1"},
    {"memory_does_not_grow_with_the_number_of_operations", state_bounded, 3,
     LAB_UNIT, 5, "P6"},
    {"a_bad_network_loses_and_doubles_nothing", storm, 6, LAB_SIMULATED, 20,
     "P6 C2"},
    {"a_full_table_doubles_nothing", crowded_storm, 5, LAB_SIMULATED, 20, "P6"},

    {"live_clients_have_every_append_executed_once", lab1b_live_clients, 4,
     LAB_LIVE, 20, "P6"},
    {"what_a_live_server_gets_many_times_is_executed_once",
     lab1b_live_stopped_server, 4, LAB_LIVE, 20, "P6 C2"},
    {"a_live_server_that_loses_and_doubles_answers_executes_once",
     lab1b_live_loss, 4, LAB_UNRELIABLE, 40, "P6 C2"},
};

LAB_SUITE("1b", "exactly once", tests)
