/* SPDX-License-Identifier: MIT */
/*
 * lab0: the echo roles (node/echo.h): event by event, in an imagined network
 * that loses and doubles messages, under the explorer, and as programs.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/echo.h"
#include "node/memory.h"
#include "node/message.h"
#include "sim/world.h"
#include "tests/cluster.h"
#include "tests/labs/lab.h"

enum { RETRY_MS = 50, ATTEMPTS = 4, COUNT = 5 };

static struct echo_config config_of(uint32_t count, uint32_t attempts)
{
    return (struct echo_config){.server = peer_at("s", 0).address,
                                .count = count,
                                .retry_ms = RETRY_MS,
                                .attempts = attempts};
}

/* ---- Event by event -------------------------------------------------------
 */

/* A role and the effects of its last event. */
struct bench {
    struct lab *lab;
    struct node *node;
    struct env env;
    struct arena arena;
};

static void bench_init(struct bench *bench, struct lab *lab, struct node *node)
{
    *bench = (struct bench){.lab = lab, .node = node};
    env_init(&bench->env);
    arena_init_trusted(&bench->arena);
    node_start(node, &bench->env);
}

static void bench_release(struct bench *bench)
{
    node_release(bench->node);
    env_release(&bench->env);
    arena_release(&bench->arena);
}

static void give(struct bench *bench, const char *from, Pbkv__Body *body)
{
    struct peer peer = peer_at(from, 1);

    env_clear(&bench->env);
    node_message(bench->node, &bench->env, &peer, body);
}

static void give_reply(struct bench *bench, const char *from, uint64_t call,
                       const char *payload)
{
    Pbkv__EchoReply reply = PBKV__ECHO_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    reply.call = call;
    reply.payload = message_octets(payload, strlen(payload));
    body.kind_case = PBKV__BODY__KIND_ECHO_REPLY;
    body.echo_reply = &reply;
    give(bench, from, &body);
}

static void fire(struct bench *bench)
{
    env_clear(&bench->env);
    node_timer(bench->node, &bench->env, ECHO_TIMER);
}

static size_t count_effects(const struct bench *bench, enum effect_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < bench->env.count; i++)
        count += bench->env.effects[i].kind == kind;
    return count;
}

static const struct effect *effect_of(const struct bench *bench,
                                      enum effect_kind kind)
{
    for (size_t i = 0; i < bench->env.count; i++) {
        if (bench->env.effects[i].kind == kind)
            return &bench->env.effects[i];
    }
    return NULL;
}

/* The event must have sent exactly one Echo: this one, to the server. */
static void expect_echo(struct bench *bench, uint64_t call, const char *rule)
{
    const struct effect *effect = effect_of(bench, EFFECT_SEND);
    char payload[ECHO_PAYLOAD_MAX];
    size_t length = echo_payload(call, payload);
    Pbkv__Body *body;

    LAB_EXPECT(bench->lab, count_effects(bench, EFFECT_SEND) == 1,
               "%s: one message was due and %zu were sent", rule,
               count_effects(bench, EFFECT_SEND));
    message_decode(&bench->arena, effect->send.body->data,
                   effect->send.body->length, &body);
    LAB_EXPECT(bench->lab,
               body->kind_case == PBKV__BODY__KIND_ECHO &&
                   body->echo->call == call &&
                   body->echo->payload.len == length &&
                   memcmp(body->echo->payload.data, payload, length) == 0,
               "%s: Echo %" PRIu64 " with payload \"%s\" was due, and another "
               "message was sent",
               rule, call, payload);
    LAB_EXPECT(bench->lab, strcmp(effect->send.to.address.text, "s") == 0,
               "%s: the Echo did not go to the server", rule);
    LAB_EXPECT(bench->lab,
               effect_of(bench, EFFECT_SET_TIMER) &&
                   effect_of(bench, EFFECT_SET_TIMER)->timer.max_ms == RETRY_MS,
               "%s: no timer of %d ms was set with the Echo", rule, RETRY_MS);
}

static void server_answers(struct lab *lab)
{
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Body *answer;
    struct bench bench;
    const struct effect *effect;

    bench_init(&bench, lab, echo_server_new());
    LAB_EXPECT(lab, bench.env.count == 0,
               "the server does something before anybody has asked");
    echo.call = 77;
    echo.payload = message_octets("\0any octets\377", 12);
    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    for (int i = 0; i < 2; i++) {
        give(&bench, "c", &body);
        effect = effect_of(&bench, EFFECT_SEND);
        LAB_EXPECT(lab, count_effects(&bench, EFFECT_SEND) == 1,
                   "an Echo got %zu answers and not one",
                   count_effects(&bench, EFFECT_SEND));
        message_decode(&bench.arena, effect->send.body->data,
                       effect->send.body->length, &answer);
        LAB_EXPECT(lab,
                   strcmp(effect->send.to.address.text, "c") == 0 &&
                       effect->send.to.incarnation == 1,
                   "the answer did not go to the sender of the Echo");
        LAB_EXPECT(lab,
                   answer->kind_case == PBKV__BODY__KIND_ECHO_REPLY &&
                       answer->echo_reply->call == 77 &&
                       answer->echo_reply->payload.len == 12 &&
                       memcmp(answer->echo_reply->payload.data,
                              "\0any octets\377", 12) == 0,
                   "the answer has another call or payload than the Echo");
    }
    bench_release(&bench);
}

static void client_begins(struct lab *lab)
{
    struct echo_config config = config_of(2, ATTEMPTS);
    struct bench bench;

    bench_init(&bench, lab, echo_client_new(&config));
    expect_echo(&bench, 1, "when the client starts");
    LAB_EXPECT(lab, count_effects(&bench, EFFECT_ANSWER) == 0,
               "the client answers its caller before it has an answer");
    bench_release(&bench);
}

static void client_goes_on(struct lab *lab)
{
    struct echo_config config = config_of(2, ATTEMPTS);
    struct bench bench;

    bench_init(&bench, lab, echo_client_new(&config));
    give_reply(&bench, "s", 1, "echo 1");
    LAB_EXPECT(lab,
               count_effects(&bench, EFFECT_ANSWER) == 1 &&
                   effect_of(&bench, EFFECT_ANSWER)->answer.call == 1,
               "the answer to Echo 1 did not end call 1");
    expect_echo(&bench, 2, "after the answer to Echo 1");
    bench_release(&bench);
}

static void client_retries(struct lab *lab)
{
    struct echo_config config = config_of(2, ATTEMPTS);
    struct bench bench;

    bench_init(&bench, lab, echo_client_new(&config));
    for (int i = 1; i < ATTEMPTS; i++) {
        fire(&bench);
        expect_echo(&bench, 1, "after a time without an answer");
    }
    give_reply(&bench, "s", 1, "echo 1");
    expect_echo(&bench, 2, "after the late answer");
    for (int i = 1; i < ATTEMPTS; i++) {
        fire(&bench);
        expect_echo(&bench, 2, "the second Echo has its own attempts");
    }
    bench_release(&bench);
}

static void client_gives_up(struct lab *lab)
{
    struct echo_config config = config_of(2, 2);
    const struct effect *answer;
    struct bench bench;
    const Pbkv__Body *body;

    bench_init(&bench, lab, echo_client_new(&config));
    fire(&bench);
    fire(&bench);
    answer = effect_of(&bench, EFFECT_ANSWER);
    LAB_EXPECT(lab, answer && answer->answer.call == 1,
               "two attempts were made in vain and call 1 has not ended");
    body = answer->answer.body;
    LAB_EXPECT(lab,
               body->kind_case == PBKV__BODY__KIND_REPLY &&
                   body->reply->status == PBKV__STATUS__TIMEOUT,
               "a call without an answer did not end with TIMEOUT");
    expect_echo(&bench, 2, "after giving Echo 1 up");
    bench_release(&bench);
}

static void expect_dropped(struct bench *bench, const char *what)
{
    LAB_EXPECT(bench->lab,
               count_effects(bench, EFFECT_ANSWER) == 0 &&
                   count_effects(bench, EFFECT_SEND) == 0,
               "%s is not dropped", what);
    LAB_EXPECT(bench->lab, env_count_events(&bench->env, "echo.stale") == 1,
               "%s is dropped without the event echo.stale", what);
}

static void client_drops(struct lab *lab)
{
    struct echo_config config = config_of(3, ATTEMPTS);
    struct bench bench;

    bench_init(&bench, lab, echo_client_new(&config));
    give_reply(&bench, "s", 2, "echo 2");
    expect_dropped(&bench, "an answer to an Echo that was not sent");
    give_reply(&bench, "s", 1, "echo 7");
    expect_dropped(&bench, "an answer with another payload");
    give_reply(&bench, "x", 1, "echo 1");
    expect_dropped(&bench, "an answer from somebody else");
    give_reply(&bench, "s", 1, "echo 1");
    give_reply(&bench, "s", 1, "echo 1");
    expect_dropped(&bench, "a doubled answer");
    bench_release(&bench);
}

static void client_ends(struct lab *lab)
{
    struct echo_config config = config_of(1, ATTEMPTS);
    struct bench bench;

    bench_init(&bench, lab, echo_client_new(&config));
    give_reply(&bench, "s", 1, "echo 1");
    LAB_EXPECT(lab,
               count_effects(&bench, EFFECT_SEND) == 0 &&
                   count_effects(&bench, EFFECT_SET_TIMER) == 0 &&
                   effect_of(&bench, EFFECT_STOP_TIMER),
               "after the last answer the client goes on, or its timer runs");
    give_reply(&bench, "s", 1, "echo 1");
    expect_dropped(&bench, "a doubled last answer");
    bench_release(&bench);
}

static void client_clones(struct lab *lab)
{
    struct echo_config config = config_of(2, ATTEMPTS);
    struct bench bench;
    struct node *copy;
    struct digest before;
    struct digest after;

    bench_init(&bench, lab, echo_client_new(&config));
    copy = bench.node->type->clone(bench.node);
    before = node_digest(copy);
    after = node_digest(bench.node);
    LAB_EXPECT(lab, digest_equal(&before, &after),
               "a clone describes itself differently");
    give_reply(&bench, "s", 1, "echo 1");
    after = node_digest(copy);
    LAB_EXPECT(lab, digest_equal(&before, &after),
               "an event of the client changed its clone");
    after = node_digest(bench.node);
    LAB_EXPECT(lab, !digest_equal(&before, &after),
               "the client's state is not in its description");
    node_release(copy);
    bench_release(&bench);
}

/* ---- In an imagined network -----------------------------------------------
 */

struct tally {
    uint32_t answered[COUNT + 1];
    uint32_t timeouts;
    uint64_t last;
    bool ordered;
};

static void on_answer(void *context, size_t host, uint64_t call,
                      const Pbkv__Body *body)
{
    struct tally *tally = context;

    (void)host;
    tally->ordered &= call == tally->last + 1 && call <= COUNT;
    tally->last = call;
    if (call <= COUNT && body->kind_case == PBKV__BODY__KIND_ECHO_REPLY)
        tally->answered[call]++;
    else
        tally->timeouts++;
}

/* Runs client and server until nothing happens any more. */
static struct tally run_world(struct lab *lab, const struct world_plan *plan,
                              uint64_t seed, uint32_t attempts, uint64_t *sent)
{
    struct echo_config config = config_of(COUNT, attempts);
    struct world *world = world_new(seed, plan);
    struct tally tally = {.ordered = true};
    int events = 0;

    world_observe(world, on_answer, NULL, &tally);
    world_add(world, "s", echo_server_new(), NULL, NULL);
    world_add(world, "c", echo_client_new(&config), NULL, NULL);
    while (events < 10000 && world_step(world, UINT64_C(1000000000)))
        events++;
    LAB_EXPECT(lab, events < 10000, "the client does not come to an end (E6)");
    *sent = world_counts(world)->sent;
    world_free(world);
    return tally;
}

static void quiet_world(struct lab *lab)
{
    struct world_plan plan = {.min_us = 1000, .max_us = 5000};
    uint64_t sent;
    struct tally tally = run_world(lab, &plan, lab->seed, ATTEMPTS, &sent);

    for (int i = 1; i <= COUNT; i++)
        LAB_EXPECT(
            lab, tally.answered[i] == 1,
            "nothing is lost, and Echo %d ended %u times with its answer", i,
            tally.answered[i]);
    LAB_EXPECT(lab, sent == 2 * COUNT,
               "nothing is lost or late, and %d echoes took %" PRIu64
               " messages",
               COUNT, sent);
}

static void bad_world(struct lab *lab)
{
    struct world_plan plan = {.drop = 300,
                              .dup = 300,
                              .reorder = 1000,
                              .min_us = 1000,
                              .max_us = 120000};

    for (uint64_t i = 0; i < 100; i++) {
        uint64_t sent;
        struct tally tally =
            run_world(lab, &plan, lab->seed * 1000 + i, 60, &sent);

        LAB_EXPECT(lab, tally.ordered && tally.last == COUNT,
                   "the calls did not end in order, each once (E4)");
        for (int j = 1; j <= COUNT; j++)
            LAB_EXPECT(lab, tally.answered[j] == 1,
                       "Echo %d was sent up to 60 times and not answered", j);
    }
}

static void dead_world(struct lab *lab)
{
    struct world_plan plan = {.drop = 1000, .min_us = 1000, .max_us = 1000};
    uint64_t sent;
    struct tally tally = run_world(lab, &plan, lab->seed, ATTEMPTS, &sent);

    LAB_EXPECT(lab, tally.timeouts == COUNT && tally.ordered,
               "everything is lost, and %u of %d calls ended with TIMEOUT",
               tally.timeouts, COUNT);
    LAB_EXPECT(lab, sent == COUNT * ATTEMPTS,
               "%d echoes with %d attempts each took %" PRIu64 " messages",
               COUNT, ATTEMPTS, sent);
}

/* ---- Live -----------------------------------------------------------------
 */

static void live(struct lab *lab, const char *const *server_arguments)
{
    static const struct cluster_options options = {0};
    struct cluster *cluster = cluster_new(&options);
    char address[CLUSTER_PATH_SIZE + 8] = "unix:";
    const char *serve[8] = {"--listen", address};
    const char *ask[] = {"--to",       address, "--count", "20",
                         "--retry-ms", "30",    NULL};
    struct process *server;
    struct process *client;
    char *log;

    cluster_path(cluster, "echo", address + strlen(address));
    for (int i = 0; server_arguments && server_arguments[i]; i++)
        serve[i + 2] = server_arguments[i];
    server = process_start(cluster, "echo", "server", serve);
    LAB_EXPECT(lab, process_is_ready(server), "the echo server does not start");
    client = process_start(cluster, "echo", "client", ask);
    LAB_EXPECT(lab, process_wait(client, CLUSTER_WAIT_MS) == 0,
               "the echo client did not end with success");
    log = process_log(client);
    LAB_EXPECT(lab, strstr(log, "echo 1\n") && strstr(log, "echo 20\n"),
               "the echo client did not print its answers: %s", log);
    free(log);
    cluster_free(cluster);
}

static void live_echo(struct lab *lab)
{
    live(lab, NULL);
}

static void unreliable_echo(struct lab *lab)
{
    static const char *const faults[] = {"--faults", "drop=0.2,dup=0.2", NULL};

    live(lab, faults);
}

static const struct lab_test tests[] = {
    {"the_server_answers_every_echo_to_its_sender", server_answers, 4, LAB_UNIT,
     5, "E1"},
    {"the_client_begins_with_the_first_echo", client_begins, 3, LAB_UNIT, 5,
     "E2"},
    {"an_answer_ends_its_call_and_begins_the_next", client_goes_on, 3, LAB_UNIT,
     5, "E4"},
    {"silence_repeats_the_same_echo", client_retries, 4, LAB_UNIT, 5, "E3"},
    {"the_last_attempt_in_vain_ends_the_call", client_gives_up, 3, LAB_UNIT, 5,
     "E5"},
    {"what_is_not_the_answer_is_dropped_by_name", client_drops, 4, LAB_UNIT, 5,
     "E4"},
    {"after_the_last_echo_nothing_happens", client_ends, 3, LAB_UNIT, 5, "E6"},
    {"a_clone_is_independent", client_clones, 2, LAB_UNIT, 5, ""},
    {"a_quiet_network_needs_no_retries", quiet_world, 3, LAB_SIMULATED, 5,
     "E3"},
    {"a_bad_network_delays_and_doubles_nothing", bad_world, 4, LAB_SIMULATED,
     10, "E4"},
    {"a_dead_network_ends_every_call", dead_world, 3, LAB_SIMULATED, 5, "E5"},
    {"a_live_client_gets_its_echoes", live_echo, 4, LAB_LIVE, 20, "E1"},
    {"a_live_client_gets_its_echoes_over_a_bad_network", unreliable_echo, 4,
     LAB_UNRELIABLE, 20, "E3"},
};

LAB_SUITE("0", "Echo", tests)
