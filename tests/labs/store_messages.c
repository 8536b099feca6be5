/* SPDX-License-Identifier: MIT */
/*
 * store_messages: the way of a message. store_on_send takes every message off
 * the network, stamps and logs it, lets the rules and the plan decide about it,
 * and puts a copy back with world_post. The copy is known again by its address
 * when it arrives (store_on_arrival).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/random.h"
#include "tests/labs/store_state.h"

static void copy_stamp(struct flight *flight, const struct host_clock *clock)
{
    const struct vclock *vector = &clock->vector;

    flight->lamport = clock->lamport.time;
    flight->sent = vector->entries[0].time;
    flight->entry_count = vector->count;
    flight->entries = memory_new(vector->count * sizeof(*flight->entries));
    for (size_t i = 0; i < vector->count; i++) {
        memcpy(flight->entries[i].host, vector->entries[i].host,
               vector->entries[i].length + 1u);
        flight->entries[i].time = vector->entries[i].time;
    }
}

static void receive_stamp(struct store *store, int to,
                          const struct flight *flight)
{
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__ClockEntry entries[CLOCK_ENTRIES_LIMIT];
    Pbkv__ClockEntry *pointers[CLOCK_ENTRIES_LIMIT];

    for (size_t i = 0; i < flight->entry_count; i++) {
        pbkv__clock_entry__init(&entries[i]);
        entries[i].host = message_octets(flight->entries[i].host,
                                         strlen(flight->entries[i].host));
        entries[i].time = flight->entries[i].time;
        pointers[i] = &entries[i];
    }
    frame.lamport = flight->lamport;
    frame.n_vector = flight->entry_count;
    frame.vector = pointers;
    host_clock_receive(&store->actors[to].clock, &frame,
                       store_is_client(flight->from));
}

static void flight_release(struct flight *flight)
{
    bytes_release(flight->body);
    free(flight->entries);
    flight->body = NULL;
}

static struct flight *flight_new(struct store *store)
{
    for (size_t i = 0; i < store->flight_count; i++) {
        if (!store->flights[i].body)
            return &store->flights[i];
    }
    if (store->flight_count == store->flight_capacity) {
        store->flight_capacity =
            store->flight_capacity ? 2 * store->flight_capacity : 64;
        store->flights = memory_resize(
            store->flights, store->flight_capacity * sizeof(*store->flights));
    }
    return &store->flights[store->flight_count++];
}

static struct flight *flight_of(struct store *store, const struct bytes *body)
{
    for (size_t i = 0; i < store->flight_count; i++) {
        if (store->flights[i].body == body)
            return &store->flights[i];
    }
    return NULL;
}

static void post(struct store *store, struct flight *flight, unsigned copies)
{
    struct world_message message = {
        .from = store->actors[flight->from].host,
        .from_life = flight->from_life,
        .to = store->actors[flight->to].host,
        .to_life = flight->to_life,
        .what = flight->what,
        .body = flight->body,
    };

    flight->copies = copies;
    for (unsigned i = 0; i < copies; i++)
        world_post(store->world, &message);
}

static void lose(struct store *store, struct flight *flight)
{
    store_log_message(store, LINE_LOST, flight, flight->to);
    flight_release(flight);
}

/* Returns the first rule that meets a message, and counts it; or NULL. */
static const struct rule *meet_rule(struct store *store,
                                    const struct flight *flight)
{
    for (size_t i = 0; i < store->rule_count; i++) {
        struct rule *rule = &store->rules[i];

        if (rule->left > 0 &&
            (rule->what == PBKV__BODY__KIND__NOT_SET ||
             rule->what == flight->what) &&
            (rule->from == NOBODY || rule->from == flight->from) &&
            (rule->to == NOBODY || rule->to == flight->to)) {
            rule->left--;
            return rule;
        }
    }
    return NULL;
}

/* Makes the digest of a last Chunk a wrong one. */
static void spoil(struct store *store, struct flight *flight)
{
    Pbkv__Body *body;
    int result = message_decode(&store->judge_arena, flight->body->data,
                                flight->body->length, &body);

    assert(result == 0);
    (void)result;
    if (body->kind_case != PBKV__BODY__KIND_CHUNK || !body->chunk->last)
        return;
    body->chunk->digest.data[0] ^= 1;
    bytes_release(flight->body);
    flight->body = message_encode(body);
}

static void obey(struct store *store, struct flight *flight,
                 enum rule_action action)
{
    int from = flight->from;

    switch (action) {
    case RULE_DROP: lose(store, flight); break;
    case RULE_SPOIL:
        spoil(store, flight);
        post(store, flight, 1);
        break;
    case RULE_DOUBLE: post(store, flight, 2); break;
    case RULE_HOLD: flight->held = ++store->holds; break;
    case RULE_CRASH_BEFORE:
        lose(store, flight);
        store_crash(store, from);
        break;
    case RULE_CRASH_AFTER:
        post(store, flight, 1);
        store_crash(store, from);
        break;
    }
}

static bool chance(struct store *store, uint32_t per_mille)
{
    return per_mille > 0 &&
           random_between(&store->random, 0, PER_MILLE - 1) < per_mille;
}

static struct flight *take_off(struct store *store,
                               const struct world_message *message)
{
    int from = store->actor_of[message->from];
    struct actor *sender = &store->actors[from];
    struct flight *flight = flight_new(store);

    *flight = (struct flight){
        .from = from,
        .from_life = (unsigned)message->from_life,
        .to = store->actor_of[message->to],
        .to_life = message->to_life,
        .what = message->what,
        .body = bytes_new(message->body->data, message->body->length),
    };
    memcpy(flight->from_name, sender->name, sizeof(flight->from_name));
    host_clock_tick(&sender->clock);
    copy_stamp(flight, &sender->clock);
    return flight;
}

bool store_on_send(void *context, const struct world_message *message)
{
    struct store *store = context;
    struct flight *flight = take_off(store, message);
    const struct rule *rule;
    Pbkv__Body *body;

    store_log_message(store, LINE_SEND, flight, flight->to);
    store_trace_message(store, flight->from, TRACE_SEND, flight);
    if (message_decode(&store->judge_arena, flight->body->data,
                       flight->body->length, &body) != 0)
        lab_fail(store->lab, "%s sent a message that makes no sense: %s",
                 store_name(store, flight->from), message_name(flight->what));
    store_judge_message(store, flight, body);
    rule = meet_rule(store, flight);
    if (rule)
        obey(store, flight, rule->action);
    else if (chance(store, store->network.drop))
        lose(store, flight);
    else
        post(store, flight, chance(store, store->network.dup) ? 2 : 1);
    return false;
}

void store_on_arrival(void *context, const struct world_message *message,
                      bool delivered)
{
    struct store *store = context;
    struct flight *flight = flight_of(store, message->body);
    int to = store->actor_of[message->to];
    Pbkv__Body *body;

    assert(flight && flight->copies > 0);
    if (delivered) {
        receive_stamp(store, to, flight);
        store_trace_message(store, to, TRACE_RECEIVE, flight);
        if (to == VS && flight->what == PBKV__BODY__KIND_PING &&
            message_decode(&store->judge_arena, flight->body->data,
                           flight->body->length, &body) == 0)
            store_note_ping(store, flight, body);
    }
    store_log_message(store, delivered ? LINE_RECEIVE : LINE_LOST, flight, to);
    if (--flight->copies == 0)
        flight_release(flight);
}

void store_rule(struct store *store, enum rule_action action,
                Pbkv__Body__KindCase kind, int from, int to, unsigned count)
{
    assert(store->rule_count < RULES_MAX);
    store->rules[store->rule_count++] =
        (struct rule){action, kind, from, to, count};
}

void store_pass(struct store *store)
{
    store->rule_count = 0;
}

void store_release(struct store *store)
{
    for (unsigned next = 1; next <= store->holds; next++) {
        for (size_t i = 0; i < store->flight_count; i++) {
            struct flight *flight = &store->flights[i];

            if (flight->body && flight->held == next) {
                flight->held = 0;
                post(store, flight, 1);
            }
        }
    }
    store->holds = 0;
}

struct hand_message {
    const Pbkv__Body *body;
    struct peer to;
};

static void send_by_hand(void *argument, struct node *node, struct env *env)
{
    const struct hand_message *message = argument;

    (void)node;
    env_send(env, &message->to, message->body);
}

void store_send(struct store *store, int from, int to, const Pbkv__Body *body)
{
    struct hand_message message = {body, store_peer(store, to)};

    if (to == VS)
        message.to.incarnation = 0;
    world_call(store->world, store->actors[from].host, send_by_hand, &message);
}

void store_ping(struct store *store, int server, uint64_t view)
{
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    ping.view = view;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &ping;
    store_send(store, server, VS, &body);
}

void store_tell_view(struct store *store, int server, uint64_t number,
                     int primary, int backup)
{
    struct view view = {number, store_peer(store, primary),
                        store_peer(store, backup)};
    struct view_message message;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    view_to_message(&view, &message);
    reply.view = &message.view;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    store_send(store, VS, server, &body);
}

void store_release_messages(struct store *store)
{
    for (size_t i = 0; i < store->flight_count; i++) {
        if (store->flights[i].body)
            flight_release(&store->flights[i]);
    }
    free(store->flights);
}
