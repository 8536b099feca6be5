/* SPDX-License-Identifier: MIT */
/*
 * test_client: the client's role, event by event. Each test is a conversation:
 * the client gets a call, a message or a tick, and the test reads what it sent
 * and what it answered. Nothing here has a network or a clock.
 *
 * The table plays three parts: the view service VS, and the servers A and B.
 * Every event is also given to a clone that was taken just before, which must
 * end up the same: so all tests test cloning.
 */
#include "client/client.h"

#include <signal.h>

#include "client/client_state.h"
#include "node/memory.h"
#include "node/message.h"
#include "node/random.h"
#include "tests/suite.h"

enum {
    RETRY = 4,      /* ticks of silence */
    DEADLINE = 100, /* ticks, of calls that do not care */
};

#define KIND(name) PBKV__BODY__KIND_##name
#define STATUS(s)  PBKV__STATUS__##s

/* ---- The table ----------------------------------------------------------- */

struct table {
    struct client *client;
    struct env env; /* effects of the newest event */
    struct arena arena;
    bool timer_runs;
};

static struct peer vs(void)
{
    return peer_at("vs:1", 7);
}

static struct peer server_a(void)
{
    return peer_at("a:1", 11);
}

static struct peer server_b(void)
{
    return peer_at("b:1", 22);
}

static struct client_config config_default(void)
{
    return (struct client_config){
        .view_service = vs().address,
        .tick_ms = 10,
        .retry_ticks = RETRY,
        .sessions_max = 2,
        .queue_max = 3,
        .calls_max = 10,
        .delivers_at_most_once = true,
    };
}

static struct table *table_new(struct client_config config)
{
    struct table *table = calloc(1, sizeof(*table));

    ck_assert_ptr_nonnull(table);
    table->client = client_new(&config);
    env_init(&table->env);
    arena_init(&table->arena);
    node_start(client_node(table->client), &table->env);
    ck_assert_uint_eq(table->env.count, 0);
    return table;
}

static void table_free(struct table *table)
{
    node_release(client_node(table->client));
    env_release(&table->env);
    arena_release(&table->arena);
    free(table);
}

/* Before an event: forgets the effects of the last and takes a clone. */
static struct node *before_event(struct table *table)
{
    struct node *node = client_node(table->client);
    struct node *twin = node->type->clone(node);
    struct digest a = node_digest(node), b = node_digest(twin);

    ck_assert(digest_equal(&a, &b));
    env_clear(&table->env);
    return twin;
}

static void assert_same_body(const Pbkv__Body *a, const Pbkv__Body *b)
{
    struct bytes *first = message_encode(a);
    struct bytes *second = message_encode(b);

    ck_assert(bytes_equal(first, second));
    bytes_release(first);
    bytes_release(second);
}

static void assert_same_effect(const struct effect *a, const struct effect *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    if (a->kind == EFFECT_SEND) {
        ck_assert(peer_equal(&a->send.to, &b->send.to));
        ck_assert(bytes_equal(a->send.body, b->send.body));
    } else if (a->kind == EFFECT_ANSWER) {
        ck_assert_uint_eq(a->answer.call, b->answer.call);
        assert_same_body(a->answer.body, b->answer.body);
    } else if (a->kind == EFFECT_LOG) {
        ck_assert_str_eq(a->log.name, b->log.name);
    }
}

/* After an event: the clone, which had the same event, must be the same. */
static void after_event(struct table *table, struct node *twin,
                        struct env *twin_env)
{
    struct digest a = node_digest(client_node(table->client));
    struct digest b = node_digest(twin);

    ck_assert(digest_equal(&a, &b));
    ck_assert_uint_eq(table->env.count, twin_env->count);
    for (size_t i = 0; i < twin_env->count; i++) {
        assert_same_effect(&table->env.effects[i], &twin_env->effects[i]);
        if (twin_env->effects[i].kind == EFFECT_SET_TIMER)
            table->timer_runs = true;
    }
    client_node(table->client)->type->check(client_node(table->client));
    env_release(twin_env);
    node_release(twin);
}

static void deliver(struct table *table, struct peer from,
                    const Pbkv__Body *body)
{
    struct node *twin = before_event(table);
    struct env env;

    env_init(&env);
    ck_assert_int_eq(message_check(body), 0);
    node_message(client_node(table->client), &table->env, &from, body);
    node_message(twin, &env, &from, body);
    after_event(table, twin, &env);
}

static void tick(struct table *table)
{
    struct node *twin = before_event(table);
    struct env env;

    ck_assert(table->timer_runs);
    table->timer_runs = false;
    env_init(&env);
    node_timer(client_node(table->client), &table->env, CLIENT_TICK);
    node_timer(twin, &env, CLIENT_TICK);
    after_event(table, twin, &env);
}

/* Lets ticks pass in which nothing is sent and nothing answered. */
static void quiet_ticks(struct table *table, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        tick(table);
        for (size_t j = 0; j < table->env.count; j++) {
            ck_assert_int_ne(table->env.effects[j].kind, EFFECT_SEND);
            ck_assert_int_ne(table->env.effects[j].kind, EFFECT_ANSWER);
        }
    }
}

/* ---- Calls --------------------------------------------------------------- */

static struct bytes *octets(const char *text)
{
    return bytes_new(text, strlen(text));
}

static void call_with(struct table *table, struct client_request request)
{
    struct node *twin = before_event(table);
    struct env env;

    if (request.deadline_ticks == 0)
        request.deadline_ticks = DEADLINE;
    env_init(&env);
    client_call(table->client, &table->env, &request);
    /* A clone shares byte strings with its original, not with the caller. */
    client_call((struct client *)twin, &env, &request);
    after_event(table, twin, &env);
    bytes_release(request.key);
    bytes_release(request.value);
}

static void call_get(struct table *table, uint64_t call, const char *key)
{
    call_with(table, (struct client_request){
                         .kind = KIND(GET), .call = call, .key = octets(key)});
}

static void call_put(struct table *table, uint64_t call, const char *key,
                     const char *value)
{
    call_with(table, (struct client_request){.kind = KIND(PUT),
                                             .call = call,
                                             .key = octets(key),
                                             .value = octets(value)});
}

static void lose(struct table *table, struct peer server)
{
    struct node *twin = before_event(table);
    struct env env;

    env_init(&env);
    client_lost(table->client, &table->env, &server.address);
    client_lost((struct client *)twin, &env, &server.address);
    after_event(table, twin, &env);
}

/* ---- Effects ------------------------------------------------------------- */

static unsigned count_sent(const struct table *table, Pbkv__Body__KindCase what)
{
    unsigned count = 0;

    for (size_t i = 0; i < table->env.count; i++) {
        const struct effect *effect = &table->env.effects[i];

        if (effect->kind == EFFECT_SEND &&
            (what == KIND(_NOT_SET) || effect->send.what == what))
            count++;
    }
    return count;
}

static unsigned count_answers(const struct table *table)
{
    unsigned count = 0;

    for (size_t i = 0; i < table->env.count; i++)
        count += table->env.effects[i].kind == EFFECT_ANSWER;
    return count;
}

static const Pbkv__Body *decode(struct table *table, const struct bytes *bytes)
{
    Pbkv__Body *body;

    ck_assert_int_eq(
        message_decode(&table->arena, bytes->data, bytes->length, &body), 0);
    return body;
}

/* Returns the nth message of a kind that was sent, which must go to `to`; it is
 * good until the next one is looked at. */
static const Pbkv__Body *sent_nth(struct table *table, struct peer to,
                                  Pbkv__Body__KindCase what, unsigned nth)
{
    for (size_t i = 0; i < table->env.count; i++) {
        const struct effect *effect = &table->env.effects[i];

        if (effect->kind != EFFECT_SEND || effect->send.what != what)
            continue;
        if (nth-- > 0)
            continue;
        ck_assert(address_equal(&effect->send.to.address, &to.address));
        return decode(table, effect->send.body);
    }
    ck_abort_msg("no %s was sent", message_name(what));
    return NULL;
}

/* Returns to which life of a server the last message went. */
static uint64_t incarnation_sent_to(const struct table *table)
{
    uint64_t incarnation = 0;

    for (size_t i = 0; i < table->env.count; i++) {
        const struct effect *effect = &table->env.effects[i];

        if (effect->kind == EFFECT_SEND)
            incarnation = effect->send.to.incarnation;
    }
    return incarnation;
}

/* The only message of its kind. */
static const Pbkv__Body *sent(struct table *table, struct peer to,
                              Pbkv__Body__KindCase what)
{
    ck_assert_uint_eq(count_sent(table, what), 1);
    return sent_nth(table, to, what, 0);
}

/* The only answer of the event, which must be to this call. */
static const Pbkv__Body *answer(struct table *table, uint64_t call)
{
    ck_assert_uint_eq(count_answers(table), 1);
    for (size_t i = 0; i < table->env.count; i++) {
        const struct effect *effect = &table->env.effects[i];

        if (effect->kind != EFFECT_ANSWER)
            continue;
        ck_assert_uint_eq(effect->answer.call, call);
        return effect->answer.body;
    }
    return NULL;
}

static void assert_answer(struct table *table, uint64_t call,
                          Pbkv__Status status)
{
    const Pbkv__Body *body = answer(table, call);

    ck_assert_int_eq(body->kind_case, KIND(REPLY));
    ck_assert_uint_eq(body->reply->call, call);
    ck_assert_int_eq(body->reply->status, status);
}

static void assert_event(const struct table *table, const char *name)
{
    ck_assert_msg(env_count_events(&table->env, name) == 1,
                  "%zu events %s, expected 1",
                  env_count_events(&table->env, name), name);
}

static void assert_nothing_sent_or_answered(const struct table *table)
{
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 0);
    ck_assert_uint_eq(count_answers(table), 0);
}

/* ---- Messages to the client ---------------------------------------------- */

static struct view view_of(uint64_t number, struct peer primary,
                           struct peer backup)
{
    return (struct view){number, primary, backup};
}

static struct view view_ab(uint64_t number)
{
    return view_of(number, server_a(), server_b());
}

static struct view view_b(uint64_t number)
{
    return view_of(number, server_b(), (struct peer){0});
}

static void view_reply_from(struct table *table, struct peer from,
                            struct view view)
{
    struct view_message storage;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;

    view_to_message(&view, &storage);
    reply.view = &storage.view;
    body.kind_case = KIND(VIEW_REPLY);
    body.view_reply = &reply;
    deliver(table, from, &body);
}

static void view_reply(struct table *table, struct view view)
{
    view_reply_from(table, vs(), view);
}

static void reply_full(struct table *table, struct peer from, uint64_t tag,
                       Pbkv__Status status, const char *value, struct view view)
{
    struct view_message storage;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Reply reply = PBKV__REPLY__INIT;

    view_to_message(&view, &storage);
    reply.call = tag;
    reply.status = status;
    reply.value = message_octets(value, strlen(value));
    if (view.number > 0)
        reply.view = &storage.view;
    body.kind_case = KIND(REPLY);
    body.reply = &reply;
    deliver(table, from, &body);
}

static void reply(struct table *table, struct peer from, uint64_t tag,
                  Pbkv__Status status)
{
    reply_full(table, from, tag, status, "", (struct view){0});
}

static void session_opened(struct table *table, struct peer from, uint64_t tag,
                           uint64_t session)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__SessionOpened opened = PBKV__SESSION_OPENED__INIT;

    opened.call = tag;
    opened.session = session;
    body.kind_case = KIND(SESSION_OPENED);
    body.session_opened = &opened;
    deliver(table, from, &body);
}

/* ---- Where tests begin --------------------------------------------------- */

/* A client that knows view 1, {A, B}, and has no call under way. */
static struct table *table_with_view(struct client_config config)
{
    struct table *table = table_new(config);
    uint64_t tag;

    call_get(table, 1000, "first");
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 1);
    view_reply(table, view_ab(1));
    tag = sent(table, server_a(), KIND(GET))->get->call;
    reply(table, server_a(), tag, STATUS(NO_KEY));
    assert_answer(table, 1000, STATUS(NO_KEY));
    return table;
}

/* The same with an open session 50 that has seen seq 1. */
static struct table *table_with_session(struct client_config config)
{
    struct table *table = table_with_view(config);
    uint64_t tag;

    call_put(table, 1001, "first", "1");
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    session_opened(table, server_a(), tag, 50);
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    reply(table, server_a(), tag, STATUS(OK));
    assert_answer(table, 1001, STATUS(OK));
    return table;
}

/* ---- The view (C1) ------------------------------------------------------- */

/* C1: at the start */
TEST(the_first_call_asks_the_view_service)
{
    struct table *table = table_new(config_default());

    call_get(table, 1, "k");
    sent(table, vs(), KIND(GET_VIEW));
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 1);
    ck_assert(table->timer_runs);
    call_get(table, 2, "l");
    assert_nothing_sent_or_answered(table);
    view_reply(table, view_ab(3));
    assert_event(table, "view.adopted");
    ck_assert_uint_eq(count_sent(table, KIND(GET)), 2);
    ck_assert_mem_eq(sent_nth(table, server_a(), KIND(GET), 0)->get->key.data,
                     "k", 1);
    ck_assert_mem_eq(sent_nth(table, server_a(), KIND(GET), 1)->get->key.data,
                     "l", 1);
    table_free(table);
}

/* C1 */
TEST(a_cached_view_is_not_asked_for_again)
{
    struct table *table = table_with_session(config_default());

    for (uint64_t call = 1; call <= 20; call++) {
        uint64_t tag;

        call_put(table, call, "k", "v");
        ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
        tag = sent(table, server_a(), KIND(PUT))->put->call;
        reply(table, server_a(), tag, STATUS(OK));
        ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
        assert_answer(table, call, STATUS(OK));
    }
    table_free(table);
}

/* C1: again and again, because the view service does not know it yet */
TEST(a_lost_primary_makes_the_view_service_asked_until_there_is_another)
{
    struct table *table = table_with_view(config_default());

    call_get(table, 1, "k");
    lose(table, server_a());
    sent(table, vs(), KIND(GET_VIEW));
    for (unsigned i = 0; i < 7; i++) {
        view_reply(table, view_ab(1));
        assert_nothing_sent_or_answered(table);
        tick(table);
        ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 1);
    }
    /* Another backup is no reason to believe in the primary. */
    view_reply(table, view_of(2, server_a(), (struct peer){0}));
    tick(table); /* by now the questions are further apart */
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
    tick(table);
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 1);
    view_reply(table, view_b(3));
    sent(table, server_b(), KIND(GET));
    tick(table);
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
    table_free(table);
}

TEST(a_primary_that_answers_is_not_lost_any_more)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    call_get(table, 2, "l");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    lose(table, server_a());
    reply(table, server_a(), tag, STATUS(NO_KEY));
    assert_answer(table, 2, STATUS(NO_KEY));
    quiet_ticks(table, RETRY - 1);
    table_free(table);
}

TEST(a_primary_lost_while_nobody_waits_is_asked_for_with_the_next_call)
{
    struct table *table = table_with_view(config_default());

    lose(table, server_b());
    lose(table, vs());
    lose(table, server_a());
    assert_nothing_sent_or_answered(table);
    call_get(table, 1, "k");
    sent(table, vs(), KIND(GET_VIEW));
    sent(table, server_a(), KIND(GET));
    table_free(table);
}

TEST(only_the_loss_of_the_primary_is_of_concern)
{
    struct table *table = table_with_view(config_default());

    call_get(table, 1, "k");
    lose(table, server_b());
    assert_nothing_sent_or_answered(table);
    lose(table, vs());
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

/* C1: a lost question is asked again, one at a time */
TEST(an_unanswered_question_for_the_view_is_repeated)
{
    struct table *table = table_new(config_default());

    call_get(table, 1, "k");
    sent(table, vs(), KIND(GET_VIEW));
    quiet_ticks(table, RETRY - 1);
    tick(table);
    sent(table, vs(), KIND(GET_VIEW));
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 1);
    quiet_ticks(table, RETRY - 1);
    table_free(table);
}

/* C1: view 0 is "no view yet" */
TEST(while_there_is_no_view_the_client_keeps_asking)
{
    struct table *table = table_new(config_default());

    call_get(table, 1, "k");
    view_reply(table, (struct view){0});
    assert_nothing_sent_or_answered(table);
    quiet_ticks(table, RETRY - 1);
    tick(table);
    sent(table, vs(), KIND(GET_VIEW));
    view_reply(table, view_ab(1));
    sent(table, server_a(), KIND(GET));
    table_free(table);
}

/* P2, for clients */
TEST(an_older_view_changes_nothing)
{
    struct table *table = table_new(config_default());

    call_get(table, 1, "k");
    view_reply(table, view_ab(5));
    view_reply(table, view_b(4));
    assert_event(table, "view.stale");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(another_view_with_the_same_number_changes_nothing)
{
    struct table *table = table_new(config_default());

    call_get(table, 1, "k");
    view_reply(table, view_ab(5));
    view_reply(table, view_b(5));
    assert_event(table, "view.conflict");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(only_the_view_service_tells_the_view)
{
    struct table *table = table_new(config_default());

    call_get(table, 1, "k");
    view_reply_from(table, server_a(), view_ab(5));
    assert_event(table, "view.unexpected");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

/* ---- Refusals ------------------------------------------------------------ */

/* C1: after a refusal */
TEST(a_refusal_that_names_no_newer_view_asks_the_view_service)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    quiet_ticks(table, 1);
    reply_full(table, server_a(), tag, STATUS(WRONG_SERVER), "", view_ab(1));
    assert_event(table, "call.refused");
    sent(table, vs(), KIND(GET_VIEW));
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 1);
    view_reply(table, view_b(2));
    ck_assert_uint_eq(sent(table, server_b(), KIND(GET))->get->call, tag);
    reply_full(table, server_b(), tag, STATUS(OK), "v", (struct view){0});
    assert_answer(table, 1, STATUS(OK));
    ck_assert_uint_eq(answer(table, 1)->reply->value.len, 1);
    table_free(table);
}

/* C1 */
TEST(a_refusal_that_names_a_newer_view_is_followed_without_asking)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    reply_full(table, server_a(), tag, STATUS(WRONG_SERVER), "", view_b(2));
    assert_event(table, "view.adopted");
    ck_assert_uint_eq(sent(table, server_b(), KIND(GET))->get->call, tag);
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
    table_free(table);
}

/* C1: one refusal sends every call to the new primary */
TEST(a_newer_view_redirects_all_calls_under_way)
{
    struct table *table = table_with_session(config_default());
    uint64_t get;

    call_get(table, 1, "k");
    get = sent(table, server_a(), KIND(GET))->get->call;
    call_put(table, 2, "k", "v");
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->seq, 2);
    reply_full(table, server_a(), get, STATUS(WRONG_SERVER), "", view_b(2));
    sent(table, server_b(), KIND(GET));
    ck_assert_uint_eq(sent(table, server_b(), KIND(PUT))->put->seq, 2);
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 2);
    table_free(table);
}

TEST(a_view_with_the_same_primary_repeats_only_what_was_refused)
{
    struct table *table = table_with_view(config_default());
    struct view newer = view_of(2, server_a(), (struct peer){0});
    uint64_t tag;

    call_get(table, 1, "k");
    call_get(table, 2, "l");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    reply_full(table, server_a(), tag, STATUS(STATE_TRANSFER), "", newer);
    assert_event(table, "view.adopted");
    ck_assert_uint_eq(sent(table, server_a(), KIND(GET))->get->call, tag);
    table_free(table);
}

static void refusal_is_retried_after_a_pause(Pbkv__Status status, bool asks)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    quiet_ticks(table, 1);
    reply(table, server_a(), tag, status);
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), asks ? 1 : 0);
    ck_assert_uint_eq(count_sent(table, KIND(GET)), 0);
    if (asks)
        view_reply(table, view_ab(1));
    ck_assert_uint_eq(count_sent(table, KIND(GET)), 0);
    tick(table);
    ck_assert_uint_eq(sent(table, server_a(), KIND(GET))->get->call, tag);
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 1);
    reply(table, server_a(), tag, STATUS(NO_KEY));
    assert_answer(table, 1, STATUS(NO_KEY));
    table_free(table);
}

/* C2 */
TEST(refusals_are_repeated_until_there_is_an_answer)
{
    refusal_is_retried_after_a_pause(STATUS(OVERLOADED), false);
    refusal_is_retried_after_a_pause(STATUS(STATE_TRANSFER), false);
    refusal_is_retried_after_a_pause(STATUS(BACKUP_FAILED), false);
    refusal_is_retried_after_a_pause(STATUS(WRONG_SERVER), true);
    refusal_is_retried_after_a_pause(STATUS(WRONG_VIEW), true);
}

TEST(the_pause_after_a_refusal_doubles_up_to_the_time_of_silence)
{
    static const unsigned pauses[] = {1, 2, 4, 4};
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    for (size_t i = 0; i < 4; i++) {
        reply(table, server_a(), tag, STATUS(OVERLOADED));
        assert_nothing_sent_or_answered(table);
        /* A doubled refusal does not double the pause. */
        reply(table, server_a(), tag, STATUS(OVERLOADED));
        quiet_ticks(table, pauses[i] - 1);
        tick(table);
        sent(table, server_a(), KIND(GET));
    }
    table_free(table);
}

TEST(refusals_ask_the_view_service_at_most_once_per_tick)
{
    struct table *table = table_with_view(config_default());
    uint64_t first, second;

    call_get(table, 1, "k");
    first = sent(table, server_a(), KIND(GET))->get->call;
    call_get(table, 2, "l");
    second = sent(table, server_a(), KIND(GET))->get->call;
    quiet_ticks(table, 1);
    reply(table, server_a(), first, STATUS(WRONG_SERVER));
    sent(table, vs(), KIND(GET_VIEW));
    reply(table, server_a(), second, STATUS(WRONG_SERVER));
    assert_nothing_sent_or_answered(table);
    view_reply(table, view_ab(1));
    reply(table, server_a(), second, STATUS(WRONG_SERVER));
    assert_nothing_sent_or_answered(table);
    tick(table);
    sent(table, vs(), KIND(GET_VIEW));
    ck_assert_uint_eq(count_sent(table, KIND(GET)), 2);
    table_free(table);
}

TEST(a_late_refusal_of_the_old_primary_is_ignored)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    reply_full(table, server_a(), tag, STATUS(WRONG_SERVER), "", view_b(2));
    reply_full(table, server_a(), tag, STATUS(WRONG_SERVER), "", view_ab(1));
    assert_event(table, "refusal.stale");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

/* ---- Silence ------------------------------------------------------------- */

/* C1 and C2: after silence */
TEST(silence_repeats_the_call_and_asks_the_view_service)
{
    struct table *table = table_with_session(config_default());
    const Pbkv__Put *put;
    uint64_t tag;

    tick(table); /* the timer of the calls before ends */
    ck_assert(!table->timer_runs);
    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    quiet_ticks(table, RETRY - 1);
    tick(table);
    assert_event(table, "call.repeated");
    sent(table, vs(), KIND(GET_VIEW));
    put = sent(table, server_a(), KIND(PUT))->put;
    ck_assert_uint_eq(put->call, tag);
    ck_assert_uint_eq(put->session, 50);
    ck_assert_uint_eq(put->seq, 2);
    view_reply(table, view_b(2));
    put = sent(table, server_b(), KIND(PUT))->put;
    ck_assert_uint_eq(put->call, tag);
    ck_assert_uint_eq(put->session, 50);
    ck_assert_uint_eq(put->seq, 2);
    reply(table, server_b(), tag, STATUS(OK));
    assert_answer(table, 1, STATUS(OK));
    table_free(table);
}

/* V8: another life of the same address is another server */
TEST(a_primary_in_a_new_life_gets_the_call_again)
{
    struct table *table = table_with_view(config_default());

    call_get(table, 1, "k");
    view_reply(table, view_of(2, server_b(), (struct peer){0}));
    sent(table, server_b(), KIND(GET));
    view_reply(table, view_of(3, peer_at("b:1", 23), (struct peer){0}));
    sent(table, server_b(), KIND(GET));
    ck_assert_uint_eq(incarnation_sent_to(table), 23);
    table_free(table);
}

/* C2: what an old primary answers is committed */
TEST(a_late_answer_to_an_earlier_transmission_is_taken)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    view_reply(table, view_b(2));
    sent(table, server_b(), KIND(GET));
    reply(table, server_a(), tag, STATUS(NO_KEY));
    assert_answer(table, 1, STATUS(NO_KEY));
    reply(table, server_b(), tag, STATUS(NO_KEY));
    assert_event(table, "reply.late");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

/* ---- Deadlines ----------------------------------------------------------- */

/* C2 */
TEST(at_its_deadline_a_call_ends_with_an_unknown_outcome)
{
    struct table *table = table_with_view(config_default());

    call_with(table, (struct client_request){.kind = KIND(GET),
                                             .call = 1,
                                             .key = octets("k"),
                                             .deadline_ticks = 3});
    quiet_ticks(table, 2);
    tick(table);
    assert_answer(table, 1, STATUS(TIMEOUT));
    assert_event(table, "call.timeout");
    table_free(table);
}

TEST(without_any_server_every_kind_of_call_ends_at_its_deadline)
{
    static const Pbkv__Body__KindCase kinds[] = {
        KIND(GET),      KIND(PUT),  KIND(APPEND),  KIND(SCAN),
        KIND(GET_VIEW), KIND(ECHO), KIND(INSPECT),
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct table *table = table_new(config_default());

        call_with(table, (struct client_request){.kind = kinds[i],
                                                 .call = 9,
                                                 .key = octets("k"),
                                                 .value = octets("v"),
                                                 .address = server_b().address,
                                                 .deadline_ticks = 20});
        for (unsigned passed = 1; passed < 20; passed++) {
            tick(table);
            ck_assert_uint_eq(count_answers(table), 0);
        }
        tick(table);
        assert_answer(table, 9, STATUS(TIMEOUT));
        ck_assert(!table->timer_runs);
        table_free(table);
    }
}

static struct client_config config_of_strides(void)
{
    struct client_config config = config_default();

    config.stride_ticks = 5;
    config.retry_ticks = 2000; /* never silent */
    return config;
}

static void call_get_within(struct table *table, uint64_t call, uint32_t ticks)
{
    call_with(table, (struct client_request){.kind = KIND(GET),
                                             .call = call,
                                             .key = octets("k"),
                                             .deadline_ticks = ticks});
}

/* Returns the delay of the timer that the event set, or 0. */
static uint32_t timer_ms(const struct table *table)
{
    uint32_t delay_ms = 0;

    for (size_t i = 0; i < table->env.count; i++) {
        if (table->env.effects[i].kind == EFFECT_SET_TIMER)
            delay_ms = table->env.effects[i].timer.max_ms;
    }
    return delay_ms;
}

TEST(while_nothing_is_urgent_a_timer_covers_several_ticks)
{
    struct table *table = table_new(config_of_strides());
    uint64_t tag;

    call_get_within(table, 1, 1000);
    ck_assert_uint_eq(timer_ms(table), 50);
    view_reply(table, view_ab(1));
    tag = sent(table, server_a(), KIND(GET))->get->call;
    tick(table);
    ck_assert_uint_eq(timer_ms(table), 50);
    /* A refusal is tried again after a tick. */
    reply(table, server_a(), tag, STATUS(STATE_TRANSFER));
    ck_assert_uint_eq(timer_ms(table), 10);
    tick(table);
    sent(table, server_a(), KIND(GET));
    ck_assert_uint_eq(timer_ms(table), 10);
    table_free(table);
}

TEST(a_near_deadline_is_kept_to_the_tick)
{
    struct table *table = table_new(config_of_strides());

    call_get_within(table, 1, 1000);
    view_reply(table, view_ab(1));
    call_get_within(table, 2, 3);
    ck_assert_uint_eq(timer_ms(table), 10);
    quiet_ticks(table, 2);
    tick(table);
    assert_answer(table, 2, STATUS(TIMEOUT));
    table_free(table);
}

/* The stride may be all but over when the call begins: so only timers that are
 * set afterwards count. The first tick of a deadline is the one under way. */
TEST(a_deadline_is_not_early_whenever_in_a_stride_the_call_begins)
{
    for (uint32_t deadline = 101; deadline < 112; deadline++) {
        struct table *table = table_new(config_of_strides());
        uint32_t passed_ms = 0;

        call_get_within(table, 1, 1000);
        view_reply(table, view_ab(1));
        call_get_within(table, 2, deadline);
        tick(table);
        while (count_answers(table) == 0) {
            passed_ms += timer_ms(table);
            tick(table);
        }
        assert_answer(table, 2, STATUS(TIMEOUT));
        ck_assert_uint_ge(passed_ms, (deadline - 1) * 10);
        ck_assert_uint_le(passed_ms, deadline * 10 + 100);
        table_free(table);
    }
}

TEST(the_tick_runs_only_while_calls_are_under_way)
{
    struct table *table = table_new(config_default());
    uint64_t tag;

    ck_assert(!table->timer_runs);
    call_get(table, 1, "k");
    ck_assert(table->timer_runs);
    view_reply(table, view_ab(1));
    tag = sent(table, server_a(), KIND(GET))->get->call;
    reply(table, server_a(), tag, STATUS(NO_KEY));
    quiet_ticks(table, 1);
    ck_assert(!table->timer_runs);
    call_get(table, 2, "k");
    ck_assert(table->timer_runs);
    table_free(table);
}

/* P6: the lost update's number is stale as soon as its successor is there */
TEST(after_a_deadline_the_session_goes_on_with_the_next_seq)
{
    struct table *table = table_with_session(config_default());
    const Pbkv__Put *put;
    uint64_t late;

    call_with(table, (struct client_request){.kind = KIND(PUT),
                                             .call = 1,
                                             .key = octets("k"),
                                             .value = octets("v"),
                                             .deadline_ticks = 2});
    late = sent(table, server_a(), KIND(PUT))->put->call;
    quiet_ticks(table, 1);
    tick(table);
    assert_answer(table, 1, STATUS(TIMEOUT));
    call_put(table, 2, "k", "w");
    put = sent(table, server_a(), KIND(PUT))->put;
    ck_assert_uint_eq(put->session, 50);
    ck_assert_uint_eq(put->seq, 3);
    ck_assert_uint_ne(put->call, late);
    reply(table, server_a(), late, STATUS(OK));
    assert_event(table, "reply.late");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(a_cancelled_call_is_forgotten_and_frees_its_session)
{
    struct table *table = table_with_session(config_default());
    uint64_t tag;

    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    env_clear(&table->env);
    ck_assert(client_cancel(table->client, &table->env, 1));
    ck_assert(!client_cancel(table->client, &table->env, 1));
    ck_assert_uint_eq(table->env.count, 0);
    reply(table, server_a(), tag, STATUS(OK));
    assert_event(table, "reply.late");
    assert_nothing_sent_or_answered(table);
    call_put(table, 2, "k", "w");
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->seq, 3);
    table_free(table);
}

/* ---- Answers ------------------------------------------------------------- */

static void get_ends_with(Pbkv__Status status, const char *value)
{
    struct table *table = table_with_view(config_default());
    const Pbkv__Reply *end;

    call_get(table, 1, "k");
    reply_full(table, server_a(), sent(table, server_a(), KIND(GET))->get->call,
               status, value, (struct view){0});
    assert_answer(table, 1, status);
    end = answer(table, 1)->reply;
    ck_assert_uint_eq(end->value.len, status == STATUS(OK) ? strlen(value) : 0);
    table_free(table);
}

TEST(a_get_ends_with_each_final_status)
{
    get_ends_with(STATUS(OK), "value");
    get_ends_with(STATUS(OK), "");
    get_ends_with(STATUS(NO_KEY), "nonsense");
    get_ends_with(STATUS(TOO_LARGE), "");
    get_ends_with(STATUS(BAD_REQUEST), "");
}

static void update_ends_with(Pbkv__Status status)
{
    struct table *table = table_with_session(config_default());
    const Pbkv__Append *append;

    call_with(table, (struct client_request){.kind = KIND(APPEND),
                                             .call = 1,
                                             .key = octets("k"),
                                             .value = octets("v")});
    append = sent(table, server_a(), KIND(APPEND))->append;
    ck_assert_uint_eq(append->session, 50);
    ck_assert_uint_eq(append->seq, 2);
    ck_assert_mem_eq(append->value.data, "v", 1);
    reply(table, server_a(), append->call, status);
    assert_answer(table, 1, status);
    call_put(table, 2, "k", "v");
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->seq, 3);
    table_free(table);
}

TEST(an_update_ends_with_each_final_status)
{
    update_ends_with(STATUS(OK));
    update_ends_with(STATUS(TOO_LARGE));
    update_ends_with(STATUS(BAD_REQUEST));
}

static void assert_ignored(Pbkv__Body__KindCase kind, Pbkv__Status status)
{
    struct table *table = table_with_session(config_default());
    uint64_t tag = 0;

    call_with(table, (struct client_request){.kind = kind,
                                             .call = 1,
                                             .key = octets("k"),
                                             .value = octets("v"),
                                             .address = server_a().address});
    switch (kind) {
    case KIND(GET): tag = sent(table, server_a(), kind)->get->call; break;
    case KIND(PUT): tag = sent(table, server_a(), kind)->put->call; break;
    case KIND(SCAN): tag = sent(table, server_a(), kind)->scan->call; break;
    case KIND(ECHO): tag = sent(table, server_a(), kind)->echo->call; break;
    default: ck_abort_msg("not one of these");
    }
    reply(table, server_a(), tag, status);
    assert_event(table, "reply.unexpected");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(a_status_that_makes_no_sense_for_the_call_is_ignored)
{
    assert_ignored(KIND(GET), STATUS(SESSION_EXPIRED));
    assert_ignored(KIND(GET), STATUS(TIMEOUT));
    assert_ignored(KIND(PUT), STATUS(NO_KEY));
    assert_ignored(KIND(PUT), STATUS(TIMEOUT));
    assert_ignored(KIND(SCAN), STATUS(OK));
    assert_ignored(KIND(SCAN), STATUS(NO_KEY));
    assert_ignored(KIND(ECHO), STATUS(OK));
}

TEST(an_answer_of_another_kind_is_ignored)
{
    struct table *table = table_with_view(config_default());
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Page page = PBKV__PAGE__INIT;
    uint64_t tag;

    call_get(table, 1, "k");
    tag = sent(table, server_a(), KIND(GET))->get->call;
    page.call = tag;
    body.kind_case = KIND(PAGE);
    body.page = &page;
    deliver(table, server_a(), &body);
    assert_event(table, "reply.unexpected");
    assert_nothing_sent_or_answered(table);
    session_opened(table, server_a(), tag, 9);
    assert_event(table, "reply.unexpected");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(an_answer_to_a_call_that_never_was_is_ignored)
{
    struct table *table = table_with_view(config_default());

    reply(table, server_a(), 999999, STATUS(OK));
    assert_event(table, "reply.unknown");
    reply(table, server_a(), 0, STATUS(OK));
    assert_event(table, "reply.unknown");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

/* A call without a session is in the table, but nobody can have its tag. */
TEST(an_answer_to_an_update_that_still_waits_is_ignored)
{
    struct table *table = table_with_view(config_default());
    uint64_t open;

    call_put(table, 1, "k", "v");
    open = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    reply(table, server_a(), open - 1, STATUS(OK));
    assert_event(table, "reply.unexpected");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(a_scan_ends_with_a_page)
{
    struct table *table = table_with_view(config_default());
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Page page = PBKV__PAGE__INIT;
    Pbkv__Entry entry = PBKV__ENTRY__INIT;
    Pbkv__Entry *entries[] = {&entry};
    const Pbkv__Scan *scan;

    call_with(table, (struct client_request){
                         .kind = KIND(SCAN), .call = 1, .cursor = 17});
    scan = sent(table, server_a(), KIND(SCAN))->scan;
    ck_assert_uint_eq(scan->cursor, 17);
    page.call = scan->call;
    page.next = 18;
    page.total = 20;
    page.n_entries = 1;
    page.entries = entries;
    entry.key = message_octets("key", 3);
    entry.modified = 5;
    body.kind_case = KIND(PAGE);
    body.page = &page;
    deliver(table, server_a(), &body);
    ck_assert_int_eq(answer(table, 1)->kind_case, KIND(PAGE));
    ck_assert_uint_eq(answer(table, 1)->page->call, 1);
    ck_assert_uint_eq(answer(table, 1)->page->next, 18);
    ck_assert_uint_eq(answer(table, 1)->page->n_entries, 1);
    table_free(table);
}

/* ---- Limits -------------------------------------------------------------- */

static void call_sized(struct table *table, Pbkv__Body__KindCase kind,
                       size_t key, size_t value)
{
    struct client_request request = {
        .kind = kind, .call = 1, .address = server_a().address};

    request.key = bytes_new_uninitialised(key);
    request.value = bytes_new_uninitialised(value);
    memset(request.key->data, 'k', key);
    memset(request.value->data, 'v', value);
    call_with(table, request);
}

static void assert_size(Pbkv__Body__KindCase kind, size_t key, size_t value,
                        bool fits)
{
    struct table *table = table_with_session(config_default());

    call_sized(table, kind, key, value);
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), fits ? 1 : 0);
    if (!fits)
        assert_answer(table, 1, STATUS(TOO_LARGE));
    table_free(table);
}

TEST(keys_and_values_over_the_limit_are_not_sent)
{
    assert_size(KIND(GET), 0, 0, true);
    assert_size(KIND(GET), KEY_LIMIT, 0, true);
    assert_size(KIND(GET), KEY_LIMIT + 1, 0, false);
    assert_size(KIND(PUT), 0, 0, true);
    assert_size(KIND(PUT), KEY_LIMIT, VALUE_LIMIT, true);
    assert_size(KIND(PUT), KEY_LIMIT + 1, 0, false);
    assert_size(KIND(PUT), 1, VALUE_LIMIT + 1, false);
    assert_size(KIND(APPEND), 1, VALUE_LIMIT + 1, false);
    assert_size(KIND(ECHO), 0, VALUE_LIMIT, true);
    assert_size(KIND(ECHO), 0, VALUE_LIMIT + 1, false);
}

TEST(calls_over_the_limit_are_turned_away_at_once)
{
    struct client_config config = config_default();
    struct table *table;

    config.calls_max = 2;
    table = table_with_view(config);
    call_get(table, 1, "k");
    call_get(table, 2, "k");
    call_get(table, 3, "k");
    assert_answer(table, 3, STATUS(OVERLOADED));
    assert_event(table, "call.turned_away");
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 0);
    table_free(table);
}

TEST(updates_over_the_queue_are_turned_away_at_once)
{
    struct table *table = table_with_view(config_default());

    /* 2 sessions and 3 places in the queue. */
    for (uint64_t call = 1; call <= 5; call++) {
        call_put(table, call, "k", "v");
        ck_assert_uint_eq(count_answers(table), 0);
    }
    call_put(table, 6, "k", "v");
    assert_answer(table, 6, STATUS(OVERLOADED));
    call_get(table, 7, "k");
    sent(table, server_a(), KIND(GET));
    table_free(table);
}

TEST(without_a_queue_there_is_one_update_for_each_session)
{
    struct client_config config = config_default();
    struct table *table;
    uint64_t tag;

    config.sessions_max = 1;
    config.queue_max = 0;
    table = table_with_view(config);
    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    call_put(table, 2, "k", "v");
    assert_answer(table, 2, STATUS(OVERLOADED));
    session_opened(table, server_a(), tag, 50);
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    call_put(table, 3, "k", "v");
    assert_answer(table, 3, STATUS(OVERLOADED));
    reply(table, server_a(), tag, STATUS(OK));
    call_put(table, 4, "k", "v");
    sent(table, server_a(), KIND(PUT));
    table_free(table);
}

TEST(a_call_without_a_deadline_asserts)
{
    struct table *table = table_new(config_default());
    struct client_request request = {
        .kind = KIND(GET), .call = 1, .key = octets("k")};

    client_call(table->client, &table->env, &request);
}

/* ---- Sessions (P6) ------------------------------------------------------- */

TEST(sessions_are_opened_when_updates_need_them_and_used_again)
{
    struct table *table = table_with_view(config_default());
    uint64_t open[2], put[2];

    call_get(table, 1, "k");
    ck_assert_uint_eq(count_sent(table, KIND(OPEN_SESSION)), 0);
    call_put(table, 2, "k", "v");
    open[0] = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    call_put(table, 3, "l", "w");
    open[1] = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    call_put(table, 4, "m", "x");
    assert_nothing_sent_or_answered(table);
    session_opened(table, server_a(), open[1], 61);
    assert_event(table, "session.opened");
    put[0] = sent(table, server_a(), KIND(PUT))->put->call;
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->session, 61);
    ck_assert_mem_eq(sent(table, server_a(), KIND(PUT))->put->key.data, "k", 1);
    session_opened(table, server_a(), open[0], 60);
    put[1] = sent(table, server_a(), KIND(PUT))->put->call;
    ck_assert_mem_eq(sent(table, server_a(), KIND(PUT))->put->key.data, "l", 1);
    reply(table, server_a(), put[1], STATUS(OK));
    assert_answer(table, 3, STATUS(OK));
    /* The third update goes into the session that has come free. */
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->session, 60);
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->seq, 2);
    ck_assert_mem_eq(sent(table, server_a(), KIND(PUT))->put->key.data, "m", 1);
    reply(table, server_a(), put[0], STATUS(OK));
    assert_answer(table, 2, STATUS(OK));
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 0);
    table_free(table);
}

TEST(waiting_updates_go_out_in_the_order_of_their_arrival)
{
    struct client_config config = config_default();
    struct table *table;
    uint64_t tag;

    config.sessions_max = 1;
    table = table_with_session(config);
    call_put(table, 1, "1", "");
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    call_put(table, 2, "2", "");
    call_put(table, 3, "3", "");
    for (uint64_t call = 1; call <= 2; call++) {
        const Pbkv__Put *put;

        reply(table, server_a(), tag, STATUS(OK));
        assert_answer(table, call, STATUS(OK));
        put = sent(table, server_a(), KIND(PUT))->put;
        ck_assert_int_eq(put->key.data[0], (int)('1' + call));
        tag = put->call;
    }
    table_free(table);
}

TEST(the_opening_of_a_session_is_repeated_and_follows_the_primary)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    reply(table, server_a(), tag, STATUS(OVERLOADED));
    assert_nothing_sent_or_answered(table);
    tick(table);
    ck_assert_uint_eq(
        sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call, tag);
    reply_full(table, server_a(), tag, STATUS(WRONG_SERVER), "", view_b(2));
    ck_assert_uint_eq(
        sent(table, server_b(), KIND(OPEN_SESSION))->open_session->call, tag);
    session_opened(table, server_b(), tag, 70);
    ck_assert_uint_eq(sent(table, server_b(), KIND(PUT))->put->session, 70);
    session_opened(table, server_b(), tag, 71);
    assert_event(table, "reply.late");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(a_final_status_does_not_end_the_opening_of_a_session)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    reply(table, server_a(), tag, STATUS(BAD_REQUEST));
    assert_event(table, "reply.unexpected");
    reply(table, server_a(), tag, STATUS(OK));
    assert_event(table, "reply.unexpected");
    assert_nothing_sent_or_answered(table);
    session_opened(table, server_a(), tag, 70);
    sent(table, server_a(), KIND(PUT));
    table_free(table);
}

TEST(an_update_that_waits_ends_at_its_deadline_and_is_never_sent)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_with(table, (struct client_request){.kind = KIND(PUT),
                                             .call = 1,
                                             .key = octets("k"),
                                             .value = octets("v"),
                                             .deadline_ticks = 2});
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    quiet_ticks(table, 1);
    tick(table);
    assert_answer(table, 1, STATUS(TIMEOUT));
    session_opened(table, server_a(), tag, 70);
    assert_nothing_sent_or_answered(table);
    call_put(table, 2, "l", "w");
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->session, 70);
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->seq, 1);
    table_free(table);
}

TEST(an_opening_that_was_left_is_taken_up_by_the_next_update)
{
    struct table *table = table_with_view(config_default());
    uint64_t tag;

    call_with(table, (struct client_request){.kind = KIND(PUT),
                                             .call = 1,
                                             .key = octets("k"),
                                             .value = octets("v"),
                                             .deadline_ticks = 1});
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    tick(table);
    assert_answer(table, 1, STATUS(TIMEOUT));
    ck_assert(!table->timer_runs);
    call_put(table, 2, "l", "w");
    assert_nothing_sent_or_answered(table);
    tick(table);
    ck_assert_uint_eq(
        sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call, tag);
    table_free(table);
}

/* P6: the only transmission met no session, so nothing was executed */
TEST(an_update_whose_first_transmission_meets_no_session_gets_another)
{
    struct table *table = table_with_session(config_default());
    const Pbkv__Put *put;
    uint64_t refused, tag;

    call_put(table, 1, "k", "v");
    refused = sent(table, server_a(), KIND(PUT))->put->call;
    reply(table, server_a(), refused, STATUS(SESSION_EXPIRED));
    assert_event(table, "session.expired");
    ck_assert_uint_eq(count_answers(table), 0);
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    session_opened(table, server_a(), tag, 80);
    put = sent(table, server_a(), KIND(PUT))->put;
    ck_assert_uint_eq(put->session, 80);
    ck_assert_uint_eq(put->seq, 1);
    tag = put->call;
    /* The same refusal again must not start it all anew. */
    reply(table, server_a(), refused, STATUS(SESSION_EXPIRED));
    assert_event(table, "reply.late");
    assert_nothing_sent_or_answered(table);
    reply(table, server_a(), tag, STATUS(OK));
    assert_answer(table, 1, STATUS(OK));
    table_free(table);
}

TEST(an_update_that_gets_another_session_keeps_its_place)
{
    struct client_config config = config_default();
    struct table *table;
    uint64_t tag;

    config.sessions_max = 1;
    table = table_with_session(config);
    call_put(table, 1, "1", "");
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    call_put(table, 2, "2", "");
    reply(table, server_a(), tag, STATUS(SESSION_EXPIRED));
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    session_opened(table, server_a(), tag, 80);
    ck_assert_int_eq(sent(table, server_a(), KIND(PUT))->put->key.data[0], '1');
    table_free(table);
}

/* P6: refused, never executed again */
TEST(a_repeated_update_whose_session_is_gone_ends_with_an_unknown_outcome)
{
    struct table *table = table_with_session(config_default());
    uint64_t tag;

    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    for (unsigned i = 0; i < RETRY; i++)
        tick(table);
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->call, tag);
    reply(table, server_a(), tag, STATUS(SESSION_EXPIRED));
    assert_answer(table, 1, STATUS(SESSION_EXPIRED));
    ck_assert_uint_eq(count_sent(table, KIND(PUT)), 0);
    /* Later updates get a new session. */
    call_put(table, 2, "l", "w");
    tag = sent(table, server_a(), KIND(OPEN_SESSION))->open_session->call;
    session_opened(table, server_a(), tag, 90);
    ck_assert_uint_eq(sent(table, server_a(), KIND(PUT))->put->session, 90);
    table_free(table);
}

/* P6: the refusal may belong to a second copy of the one transmission */
TEST(where_messages_may_double_an_expired_session_always_ends_the_update)
{
    struct client_config config = config_default();
    struct table *table;
    uint64_t tag;

    config.delivers_at_most_once = false;
    table = table_with_session(config);
    call_put(table, 1, "k", "v");
    tag = sent(table, server_a(), KIND(PUT))->put->call;
    reply(table, server_a(), tag, STATUS(SESSION_EXPIRED));
    assert_answer(table, 1, STATUS(SESSION_EXPIRED));
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 0);
    table_free(table);
}

/* ---- Observation --------------------------------------------------------- */

TEST(a_view_call_asks_afresh_and_gets_the_view)
{
    struct table *table = table_with_view(config_default());
    const Pbkv__Body *body;

    call_with(table,
              (struct client_request){.kind = KIND(GET_VIEW), .call = 1});
    sent(table, vs(), KIND(GET_VIEW));
    call_with(table,
              (struct client_request){.kind = KIND(GET_VIEW), .call = 2});
    env_clear(&table->env);
    ck_assert(client_cancel(table->client, &table->env, 2));
    view_reply(table, view_b(2));
    body = answer(table, 1);
    ck_assert_int_eq(body->kind_case, KIND(VIEW_REPLY));
    ck_assert_uint_eq(body->view_reply->view->number, 2);
    table_free(table);
}

TEST(a_view_call_is_told_that_there_is_no_view_yet)
{
    struct table *table = table_new(config_default());

    call_with(table,
              (struct client_request){.kind = KIND(GET_VIEW), .call = 1});
    sent(table, vs(), KIND(GET_VIEW));
    quiet_ticks(table, RETRY - 1);
    tick(table);
    sent(table, vs(), KIND(GET_VIEW));
    view_reply(table, (struct view){0});
    ck_assert_int_eq(answer(table, 1)->kind_case, KIND(VIEW_REPLY));
    table_free(table);
}

TEST(an_echo_goes_to_its_address_and_comes_back)
{
    struct table *table = table_new(config_default());
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__EchoReply echoed = PBKV__ECHO_REPLY__INIT;
    const Pbkv__Echo *echo;

    call_with(table, (struct client_request){.kind = KIND(ECHO),
                                             .call = 1,
                                             .value = octets("hello"),
                                             .address = server_b().address});
    echo = sent(table, server_b(), KIND(ECHO))->echo;
    ck_assert_uint_eq(echo->payload.len, 5);
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
    echoed.call = echo->call;
    echoed.payload = message_octets("hello", 5);
    body.kind_case = KIND(ECHO_REPLY);
    body.echo_reply = &echoed;
    quiet_ticks(table, RETRY - 1);
    tick(table);
    sent(table, server_b(), KIND(ECHO));
    ck_assert_uint_eq(count_sent(table, KIND(GET_VIEW)), 0);
    deliver(table, server_b(), &body);
    ck_assert_uint_eq(answer(table, 1)->echo_reply->call, 1);
    ck_assert_mem_eq(answer(table, 1)->echo_reply->payload.data, "hello", 5);
    deliver(table, server_b(), &body);
    assert_event(table, "reply.late");
    table_free(table);
}

TEST(an_inspection_goes_to_its_address_and_comes_back)
{
    static const uint8_t digest[DIGEST_SIZE] = {1};
    struct table *table = table_new(config_default());
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__InspectReply inspected = PBKV__INSPECT_REPLY__INIT;

    call_with(table, (struct client_request){.kind = KIND(INSPECT),
                                             .call = 1,
                                             .address = server_b().address});
    inspected.call = sent(table, server_b(), KIND(INSPECT))->inspect->call;
    inspected.keys = 12;
    inspected.digest = message_octets(digest, DIGEST_SIZE);
    body.kind_case = KIND(INSPECT_REPLY);
    body.inspect_reply = &inspected;
    deliver(table, server_b(), &body);
    ck_assert_uint_eq(answer(table, 1)->inspect_reply->call, 1);
    ck_assert_uint_eq(answer(table, 1)->inspect_reply->keys, 12);
    table_free(table);
}

TEST(a_refused_observation_is_repeated_without_the_view_service)
{
    struct table *table = table_new(config_default());
    uint64_t tag;

    call_with(table, (struct client_request){.kind = KIND(INSPECT),
                                             .call = 1,
                                             .address = server_b().address});
    tag = sent(table, server_b(), KIND(INSPECT))->inspect->call;
    reply_full(table, server_b(), tag, STATUS(OVERLOADED), "", view_ab(1));
    assert_nothing_sent_or_answered(table);
    tick(table);
    sent(table, server_b(), KIND(INSPECT));
    ck_assert_uint_eq(count_sent(table, KIND(_NOT_SET)), 1);
    table_free(table);
}

TEST(a_client_answers_an_echo)
{
    struct table *table = table_new(config_default());
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Echo echo = PBKV__ECHO__INIT;

    echo.call = 5;
    echo.payload = message_octets("x", 1);
    body.kind_case = KIND(ECHO);
    body.echo = &echo;
    deliver(table, server_a(), &body);
    ck_assert_uint_eq(
        sent(table, server_a(), KIND(ECHO_REPLY))->echo_reply->call, 5);
    table_free(table);
}

TEST(a_message_that_is_not_for_clients_is_ignored)
{
    struct table *table = table_new(config_default());
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Ping ping = PBKV__PING__INIT;

    body.kind_case = KIND(PING);
    body.ping = &ping;
    deliver(table, server_a(), &body);
    assert_event(table, "message.unexpected");
    assert_nothing_sent_or_answered(table);
    table_free(table);
}

TEST(a_client_tells_its_view_and_sessions)
{
    struct table *table = table_with_session(config_default());
    struct inspection inspection = {0};

    client_node(table->client)
        ->type->inspect(client_node(table->client), &inspection);
    ck_assert_str_eq(inspection.role, "client");
    ck_assert_uint_eq(inspection.view.number, 1);
    ck_assert_uint_eq(inspection.sessions, 1);
    table_free(table);
}

/* ---- Everything at once -------------------------------------------------- */

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Sends one random message with a tag that is probably in use. */
static void random_reply(struct table *table, uint64_t *state, uint64_t tags)
{
    static const Pbkv__Status statuses[] = {
        STATUS(OK),         STATUS(NO_KEY),        STATUS(WRONG_SERVER),
        STATUS(WRONG_VIEW), STATUS(OVERLOADED),    STATUS(SESSION_EXPIRED),
        STATUS(TOO_LARGE),  STATUS(BACKUP_FAILED), STATUS(STATE_TRANSFER),
    };
    uint64_t tag = tags - draw(state) % 12;
    struct peer from = draw(state) % 2 ? server_a() : server_b();
    uint64_t number = 1 + draw(state) % 40;
    struct view view = number % 2 ? view_ab(number) : view_b(number);

    switch (draw(state) % 8) {
    case 0: view_reply(table, view); break;
    case 1: reply_full(table, from, tag, STATUS(WRONG_SERVER), "", view); break;
    case 2:
    case 3: session_opened(table, from, tag, 1 + draw(state) % 1000); break;
    default: reply(table, from, tag, statuses[draw(state) % 9]);
    }
}

/* C2: exactly one answer for every call, whatever servers say */
TEST(every_call_ends_exactly_once_whatever_happens)
{
    uint64_t state = 88172645463325252u, calls = 0, ended = 0, tags = 12;
    struct table *table = table_new(config_default());

    for (unsigned step = 0; step < 5000; step++) {
        uint64_t choice = draw(&state) % 10;

        if (choice < 2) {
            call_with(table,
                      (struct client_request){
                          .kind = choice ? KIND(PUT) : KIND(GET),
                          .call = ++calls,
                          .key = octets("k"),
                          .value = octets("v"),
                          .deadline_ticks = (uint32_t)(1 + draw(&state) % 20)});
        } else if (choice < 5 && table->timer_runs) {
            tick(table);
        } else {
            random_reply(table, &state, tags);
        }
        ended += count_answers(table);
        for (size_t i = 0; i < table->env.count; i++) {
            const struct effect *effect = &table->env.effects[i];
            const Pbkv__Body *body;

            if (effect->kind != EFFECT_SEND)
                continue;
            body = decode(table, effect->send.body);
            if (body->kind_case == KIND(GET))
                tags = body->get->call > tags ? body->get->call : tags;
            if (body->kind_case == KIND(PUT))
                tags = body->put->call > tags ? body->put->call : tags;
        }
    }
    while (table->timer_runs) {
        tick(table);
        ended += count_answers(table);
    }
    ck_assert_uint_gt(calls, 500);
    ck_assert_uint_eq(ended, calls);
    table_free(table);
}

/* ---- The table of calls -------------------------------------------------- */

enum { TABLE_STEPS = 20000, TABLE_CALLS = 200, TABLE_OLD = 5 };

/* Whether the table has these calls and no others, and has them in order. */
static bool table_has(const struct call_table *table, struct call *const all[],
                      uint32_t count)
{
    const struct call *call = table->first;
    uint64_t last = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (call_table_find(table, all[i]->tag) != all[i] || !call ||
            call->tag <= last)
            return false;
        last = call->tag;
        call = call->after;
    }
    return table->count == count && !call;
}

/* Calls come and go at random; the first few stay and are in the way of those
 * whose tags have the same low bits. */
TEST(calls_are_found_whatever_ended_before_them)
{
    struct call_table table = {0};
    struct call *all[TABLE_CALLS];
    uint64_t random = 1, tag = 0;
    uint32_t count = 0;

    ck_assert_ptr_null(call_table_find(&table, 1));
    for (int step = 0; step < TABLE_STEPS; step++) {
        bool adds = count <= TABLE_OLD || random_between(&random, 0, 1) == 1;

        if (adds && count < TABLE_CALLS) {
            all[count] = memory_new(sizeof(*all[count]));
            all[count]->tag = ++tag;
            call_table_add(&table, all[count++]);
        } else {
            uint32_t gone = random_between(&random, TABLE_OLD, count - 1);
            uint64_t gone_tag = all[gone]->tag;

            call_table_remove(&table, all[gone]);
            free(all[gone]);
            all[gone] = all[--count];
            ck_assert_ptr_null(call_table_find(&table, gone_tag));
        }
        ck_assert_msg(table_has(&table, all, count), "after step %d", step);
    }
    while (count > 0) {
        call_table_remove(&table, all[--count]);
        free(all[count]);
    }
    ck_assert_ptr_null(table.first);
    call_table_release(&table);
}

SUITE(
    "client", CASE(calls_are_found_whatever_ended_before_them),
    CASE(the_first_call_asks_the_view_service),
    CASE(a_cached_view_is_not_asked_for_again),
    CASE(a_lost_primary_makes_the_view_service_asked_until_there_is_another),
    CASE(a_primary_that_answers_is_not_lost_any_more),
    CASE(a_primary_lost_while_nobody_waits_is_asked_for_with_the_next_call),
    CASE(only_the_loss_of_the_primary_is_of_concern),
    CASE(while_nothing_is_urgent_a_timer_covers_several_ticks),
    CASE(a_near_deadline_is_kept_to_the_tick),
    CASE(a_deadline_is_not_early_whenever_in_a_stride_the_call_begins),
    CASE(an_unanswered_question_for_the_view_is_repeated),
    CASE(while_there_is_no_view_the_client_keeps_asking),
    CASE(an_older_view_changes_nothing),
    CASE(another_view_with_the_same_number_changes_nothing),
    CASE(only_the_view_service_tells_the_view),
    CASE(a_refusal_that_names_no_newer_view_asks_the_view_service),
    CASE(a_refusal_that_names_a_newer_view_is_followed_without_asking),
    CASE(a_newer_view_redirects_all_calls_under_way),
    CASE(a_view_with_the_same_primary_repeats_only_what_was_refused),
    CASE(refusals_are_repeated_until_there_is_an_answer),
    CASE(the_pause_after_a_refusal_doubles_up_to_the_time_of_silence),
    CASE(refusals_ask_the_view_service_at_most_once_per_tick),
    CASE(a_late_refusal_of_the_old_primary_is_ignored),
    CASE(silence_repeats_the_call_and_asks_the_view_service),
    CASE(a_primary_in_a_new_life_gets_the_call_again),
    CASE(a_late_answer_to_an_earlier_transmission_is_taken),
    CASE(at_its_deadline_a_call_ends_with_an_unknown_outcome),
    CASE(without_any_server_every_kind_of_call_ends_at_its_deadline),
    CASE(the_tick_runs_only_while_calls_are_under_way),
    CASE(after_a_deadline_the_session_goes_on_with_the_next_seq),
    CASE(a_cancelled_call_is_forgotten_and_frees_its_session),
    CASE(a_get_ends_with_each_final_status),
    CASE(an_update_ends_with_each_final_status),
    CASE(a_status_that_makes_no_sense_for_the_call_is_ignored),
    CASE(an_answer_of_another_kind_is_ignored),
    CASE(an_answer_to_a_call_that_never_was_is_ignored),
    CASE(an_answer_to_an_update_that_still_waits_is_ignored),
    CASE(a_scan_ends_with_a_page),
    CASE(keys_and_values_over_the_limit_are_not_sent),
    CASE(calls_over_the_limit_are_turned_away_at_once),
    CASE(updates_over_the_queue_are_turned_away_at_once),
    CASE(without_a_queue_there_is_one_update_for_each_session),
    CASE_SIGNAL(a_call_without_a_deadline_asserts, SIGABRT),
    CASE(sessions_are_opened_when_updates_need_them_and_used_again),
    CASE(waiting_updates_go_out_in_the_order_of_their_arrival),
    CASE(the_opening_of_a_session_is_repeated_and_follows_the_primary),
    CASE(a_final_status_does_not_end_the_opening_of_a_session),
    CASE(an_update_that_waits_ends_at_its_deadline_and_is_never_sent),
    CASE(an_opening_that_was_left_is_taken_up_by_the_next_update),
    CASE(an_update_whose_first_transmission_meets_no_session_gets_another),
    CASE(an_update_that_gets_another_session_keeps_its_place),
    CASE(a_repeated_update_whose_session_is_gone_ends_with_an_unknown_outcome),
    CASE(where_messages_may_double_an_expired_session_always_ends_the_update),
    CASE(a_view_call_asks_afresh_and_gets_the_view),
    CASE(a_view_call_is_told_that_there_is_no_view_yet),
    CASE(an_echo_goes_to_its_address_and_comes_back),
    CASE(an_inspection_goes_to_its_address_and_comes_back),
    CASE(a_refused_observation_is_repeated_without_the_view_service),
    CASE(a_client_answers_an_echo),
    CASE(a_message_that_is_not_for_clients_is_ignored),
    CASE(a_client_tells_its_view_and_sessions),
    CASE_LIMIT(every_call_ends_exactly_once_whatever_happens, 60))
