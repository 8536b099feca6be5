/* SPDX-License-Identifier: MIT */
/*
 * store: see store.h. The world carries events; everything else is done on the
 * three occasions on which it calls: a message is sent (on_send), a message
 * comes in (on_arrival), a client's operation ends (on_answer).
 *
 * on_send takes every message off the network, stamps and logs it, lets the
 * rules and the plan decide about it, and puts a copy back with world_post. The
 * copy is known again by its address when it arrives.
 */
#include "tests/labs/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/random.h"
#include "sim/roles.h"
#include "tests/labs/store_state.h"

enum { PER_MILLE = 1000 };

/* ---- Actors ---------------------------------------------------------------
 */

static void on_nothing(struct node *node, struct env *env)
{
    (void)node;
    (void)env;
}

static void on_no_message(struct node *node, struct env *env,
                          const struct peer *from, const Pbkv__Body *body)
{
    (void)node;
    (void)env;
    (void)from;
    (void)body;
}

static void on_no_timer(struct node *node, struct env *env, unsigned slot)
{
    (void)node;
    (void)env;
    (void)slot;
}

static struct node *hand_clone(const struct node *node)
{
    struct node *copy = memory_new(sizeof(*copy));

    *copy = *node;
    return copy;
}

static void hand_release(struct node *node)
{
    free(node);
}

static void hand_describe(const struct node *node, struct sink *sink)
{
    (void)node;
    (void)sink;
}

static void hand_check(const struct node *node)
{
    (void)node;
}

static void hand_inspect(const struct node *node, struct inspection *inspection)
{
    (void)node;
    inspection->role = "by hand";
}

/* Who does nothing by himself. */
static const struct node_type hand_type = {
    .name = "by hand",
    .on_start = on_nothing,
    .on_message = on_no_message,
    .on_timer = on_no_timer,
    .clone = hand_clone,
    .release = hand_release,
    .describe = hand_describe,
    .check = hand_check,
    .inspect = hand_inspect,
};

static struct node *hand_birth(const void *context, const struct peer *self,
                               const struct bytes *record)
{
    struct node *node = memory_new(sizeof(*node));

    (void)context;
    (void)self;
    (void)record;
    node->type = &hand_type;
    return node;
}

static struct node *client_birth(const struct store *store)
{
    struct client_config config = {
        .view_service = peer_at("vs", 0).address,
        .tick_ms = CLIENT_TICK_MS,
        .retry_ticks = 5,
        .sessions_max = 1,
        .queue_max = 1,
        .calls_max = 4,
    };

    (void)store;
    return client_node(client_new(&config));
}

static bool is_client(int actor)
{
    return actor >= C1 && actor < C1 + CLIENTS;
}

static void name_life(struct store *store, int actor)
{
    struct actor *one = &store->actors[actor];
    char text[sizeof(one->name)] = "";

    memcpy(text, one->address, sizeof(one->address));
    if (one->life > 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "/%u",
                 one->life);
    memcpy(one->name, text, sizeof(text));
    host_clock_init(&one->clock, one->name);
}

/* The role of an actor, or NULL when it is a client. */
static world_birth birth_of(const struct store *store, int actor)
{
    if (store->config.by_hand >> actor & 1)
        return hand_birth;
    if (is_client(actor))
        return NULL;
    return actor == VS ? roles_view_service : roles_server;
}

void store_start(struct store *store, int actor)
{
    struct actor *one = &store->actors[actor];
    world_birth birth = birth_of(store, actor);
    const void *context = actor == VS ? (const void *)&store->view_config
                                      : (const void *)&store->config.server;

    assert(one->life == 0);
    one->life = 1;
    name_life(store, actor);
    one->host = store->hosts;
    store->actor_of[store->hosts++] = actor;
    world_add(store->world, one->address, birth ? NULL : client_birth(store),
              birth, context);
}

const char *store_name(struct store *store, int actor)
{
    return actor == NOBODY ? "nobody" : store->actors[actor].name;
}

struct peer store_peer(const struct store *store, int actor)
{
    if (actor == NOBODY)
        return (struct peer){0};
    assert(store->actors[actor].life > 0);
    return world_peer(store->world, store->actors[actor].host);
}

/* ---- The log --------------------------------------------------------------
 */

/* Adds an empty line to the log; good until the next. */
static struct store_line *add_line(struct store *store)
{
    if (store->line_count == store->line_capacity) {
        store->line_capacity =
            store->line_capacity ? 2 * store->line_capacity : 256;
        store->lines = memory_resize(store->lines, store->line_capacity *
                                                       sizeof(*store->lines));
    }
    store->lines[store->line_count] =
        (struct store_line){.time_us = world_now(store->world), .to = NOBODY};
    return &store->lines[store->line_count++];
}

static void log_message(struct store *store, enum line_kind kind,
                        const struct flight *flight, int to)
{
    struct store_line *line = add_line(store);
    int clock = kind == LINE_RECEIVE ? to : flight->from;

    line->kind = kind;
    line->from = (int16_t)flight->from;
    line->from_life = (uint16_t)flight->from_life;
    line->to = (int16_t)to;
    line->to_life = (uint16_t)store->actors[to].life;
    line->what = flight->what;
    line->body = bytes_share(flight->body);
    line->lamport = kind == LINE_LOST ? flight->lamport
                                      : store->actors[clock].clock.lamport.time;
}

void store_note(struct store *store, int actor, const char *format, ...)
{
    struct store_line *line = add_line(store);
    char text[EVENT_DETAIL_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    line->kind = LINE_NOTE;
    line->from = (int16_t)actor;
    line->from_life = (uint16_t)(actor < 0 ? 0 : store->actors[actor].life);
    line->note = memory_copy_text(text);
}

static void trace_line(struct store *store, int actor, enum trace_kind kind,
                       const struct flight *flight)
{
    char text[256];
    Pbkv__Body *body;

    if (!store->trace)
        return;
    if (message_decode(&store->trace_arena, flight->body->data,
                       flight->body->length, &body) != 0)
        return;
    message_format(body, text, sizeof(text));
    trace_write(store->trace, &store->actors[actor].clock, kind,
                flight->from_name, flight->sent, text);
}

size_t store_mark(const struct store *store)
{
    return store->line_count;
}

const struct store_line *store_line_at(const struct store *store, size_t index)
{
    return index < store->line_count ? &store->lines[index] : NULL;
}

size_t store_line_index(const struct store *store,
                        const struct store_line *line)
{
    return (size_t)(line - store->lines);
}

static bool fits(const struct store_line *line, enum line_kind kind,
                 Pbkv__Body__KindCase what, int from, int to)
{
    return line->kind == kind &&
           (what == PBKV__BODY__KIND__NOT_SET || line->what == what) &&
           (from == NOBODY || line->from == from) &&
           (to == NOBODY || line->to == to);
}

const struct store_line *store_find(const struct store *store, size_t mark,
                                    enum line_kind line,
                                    Pbkv__Body__KindCase kind, int from, int to)
{
    for (size_t i = mark; i < store->line_count; i++) {
        if (fits(&store->lines[i], line, kind, from, to))
            return &store->lines[i];
    }
    return NULL;
}

size_t store_count(const struct store *store, size_t mark, enum line_kind line,
                   Pbkv__Body__KindCase kind, int from, int to)
{
    size_t count = 0;

    for (size_t i = mark; i < store->line_count; i++)
        count += fits(&store->lines[i], line, kind, from, to);
    return count;
}

const Pbkv__Body *store_body(struct store *store, const struct store_line *line)
{
    Pbkv__Body *body;
    int result = message_decode(&store->arena, line->body->data,
                                line->body->length, &body);

    assert(result == 0);
    (void)result;
    return body;
}

/* ---- Judgement ------------------------------------------------------------
 */

/* V2, V3, V7: what can be said of a view and the one that follows it. */
static void judge_successor(struct store *store, const struct view *next)
{
    const struct view *last = &store->view;
    bool same_primary = peer_equal(&next->primary, &last->primary);

    LAB_EXPECT(store->lab,
               same_primary || peer_equal(&next->primary, &last->backup),
               "the primary of view %" PRIu64 " was neither primary nor backup "
               "of view %" PRIu64 " (V2)",
               next->number, last->number);
    LAB_EXPECT(store->lab, same_primary || store->acknowledged == last->number,
               "view %" PRIu64 " names another primary although the primary of "
               "view %" PRIu64 " has not acknowledged that view (V3)",
               next->number, last->number);
    LAB_EXPECT(store->lab,
               !same_primary || !peer_equal(&next->backup, &last->backup),
               "view %" PRIu64 " has the same servers as view %" PRIu64 " (V7)",
               next->number, last->number);
}

static void judge_view(struct store *store, const Pbkv__ViewReply *reply)
{
    struct view view;

    if (view_from_message(reply->view, &view) != 0)
        return;
    LAB_EXPECT(store->lab, view.number >= store->view.number,
               "the view service told view %" PRIu64 " after view %" PRIu64,
               view.number, store->view.number);
    if (view.number == store->view.number) {
        LAB_EXPECT(store->lab, view_equal(&view, &store->view),
                   "the view service told two different views of number "
                   "%" PRIu64,
                   view.number);
        return;
    }
    LAB_EXPECT(store->lab,
               peer_is_present(&view.primary) &&
                   !peer_equal(&view.primary, &view.backup),
               "view %" PRIu64 " has no primary, or one server in both places",
               view.number);
    if (view.number == store->view.number + 1 && store->view.number > 0)
        judge_successor(store, &view);
    store->view = view;
    store_note(store, VS, "view %" PRIu64 " is published", view.number);
}

/* P2: no server talks of a view that does not exist. */
static void judge_view_number(struct store *store, int from, uint64_t number,
                              const char *what)
{
    if (store->config.by_hand & 1)
        return;
    LAB_EXPECT(store->lab, number <= store->view.number,
               "%s sent a %s of view %" PRIu64
               ", which the view service has not published (P2)",
               store_name(store, from), what, number);
}

/* C2 and P6: what a client sends. */
static void judge_message(struct store *store, const struct flight *flight,
                          const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_VIEW_REPLY:
        if (flight->from == VS && !(store->config.by_hand & 1))
            judge_view(store, body->view_reply);
        break;
    case PBKV__BODY__KIND_PING:
        if (!(store->config.by_hand >> flight->from & 1))
            judge_view_number(store, flight->from, body->ping->view, "ping");
        break;
    case PBKV__BODY__KIND_FORWARD:
        if (!(store->config.by_hand >> flight->from & 1))
            judge_view_number(store, flight->from, body->forward->view,
                              "forward");
        break;
    default: break;
    }
}

/* Notes what a ping that arrives tells the view service. */
static void note_ping(struct store *store, const struct flight *flight,
                      const Pbkv__Body *body)
{
    struct actor *from = &store->actors[flight->from];
    struct peer pinger = peer_at(from->address, flight->from_life);

    if (flight->from_life == from->life)
        from->heard_us = world_now(store->world);
    if (body->ping->view == store->view.number &&
        peer_equal(&pinger, &store->view.primary) &&
        store->acknowledged < body->ping->view)
        store->acknowledged = body->ping->view; /* V3 */
}

/* ---- Messages -------------------------------------------------------------
 */

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
                       is_client(flight->from));
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
    log_message(store, LINE_LOST, flight, flight->to);
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

static bool on_send(void *context, const struct world_message *message)
{
    struct store *store = context;
    struct flight *flight = take_off(store, message);
    const struct rule *rule;
    Pbkv__Body *body;

    log_message(store, LINE_SEND, flight, flight->to);
    trace_line(store, flight->from, TRACE_SEND, flight);
    if (message_decode(&store->judge_arena, flight->body->data,
                       flight->body->length, &body) != 0)
        lab_fail(store->lab, "%s sent a message that makes no sense: %s",
                 store_name(store, flight->from), message_name(flight->what));
    judge_message(store, flight, body);
    rule = meet_rule(store, flight);
    if (rule)
        obey(store, flight, rule->action);
    else if (chance(store, store->network.drop))
        lose(store, flight);
    else
        post(store, flight, chance(store, store->network.dup) ? 2 : 1);
    return false;
}

static void on_arrival(void *context, const struct world_message *message,
                       bool delivered)
{
    struct store *store = context;
    struct flight *flight = flight_of(store, message->body);
    int to = store->actor_of[message->to];
    Pbkv__Body *body;

    assert(flight && flight->copies > 0);
    if (delivered) {
        receive_stamp(store, to, flight);
        trace_line(store, to, TRACE_RECEIVE, flight);
        if (to == VS && flight->what == PBKV__BODY__KIND_PING &&
            message_decode(&store->judge_arena, flight->body->data,
                           flight->body->length, &body) == 0)
            note_ping(store, flight, body);
    }
    log_message(store, delivered ? LINE_RECEIVE : LINE_LOST, flight, to);
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

/* ---- What happens ---------------------------------------------------------
 */

void store_limit(struct store *store, uint64_t octets, uint32_t sessions)
{
    store->config.server.limits.octets = octets;
    store->config.server.limits.sessions = sessions;
}

void store_crash(struct store *store, int actor)
{
    store_note(store, actor, "%s crashes", store_name(store, actor));
    world_crash(store->world, store->actors[actor].host);
    store->actors[actor].heard_us = 0;
}

void store_restart(struct store *store, int actor)
{
    store->actors[actor].life++;
    name_life(store, actor);
    store_note(store, actor, "%s starts", store_name(store, actor));
    world_restart(store->world, store->actors[actor].host);
}

void store_pause(struct store *store, int actor, uint32_t ms)
{
    store_note(store, actor, "%s stops for %u ms", store_name(store, actor),
               ms);
    world_pause(store->world, store->actors[actor].host, ms * UINT64_C(1000));
}

void store_cut(struct store *store, int from, int to)
{
    store_note(store, from, "nothing passes from %s to %s",
               store_name(store, from), store_name(store, to));
    world_cut(store->world, store->actors[from].host, store->actors[to].host,
              true);
}

void store_isolate(struct store *store, int actor)
{
    store_note(store, actor, "%s is cut off from everybody",
               store_name(store, actor));
    for (size_t host = 0; host < store->hosts; host++) {
        world_cut(store->world, store->actors[actor].host, host, true);
        world_cut(store->world, host, store->actors[actor].host, true);
    }
}

void store_heal(struct store *store)
{
    store_note(store, NOBODY, "all links work");
    world_heal(store->world);
}

static void use_plan(struct store *store, const struct world_plan *plan)
{
    struct world_plan carried = *plan;

    if (carried.max_us == 0)
        carried.min_us = carried.max_us = 1000;
    if (carried.min_us < carried.max_us)
        carried.reorder = PER_MILLE;
    store->network = carried;
    carried.drop = 0;
    carried.dup = 0;
    if (store->world)
        world_set_plan(store->world, &carried);
    else
        store->world = world_new(store->config.seed, &carried);
}

void store_network(struct store *store, const struct world_plan *plan)
{
    use_plan(store, plan);
}

bool store_is_up(const struct store *store, int actor)
{
    const struct actor *one = &store->actors[actor];

    return one->life > 0 && world_is_up(store->world, one->host);
}

struct world *store_world(struct store *store)
{
    return store->world;
}

/* ---- Time -----------------------------------------------------------------
 */

void store_run(struct store *store, uint32_t ms)
{
    uint64_t until = world_now(store->world) + ms * UINT64_C(1000);

    while (world_step(store->world, until))
        ;
}

bool store_until(struct store *store, store_condition condition,
                 const void *argument, uint32_t ms)
{
    uint64_t until = world_now(store->world) + ms * UINT64_C(1000);

    while (!condition(store, argument)) {
        if (!world_step(store->world, until))
            return condition(store, argument);
    }
    return true;
}

uint64_t store_now_ms(const struct store *store)
{
    return world_now(store->world) / 1000;
}

/* ---- What can be seen -----------------------------------------------------
 */

const struct view *store_view(const struct store *store)
{
    return &store->view;
}

uint64_t store_acknowledged(const struct store *store)
{
    return store->acknowledged;
}

bool store_view_is(struct store *store, int primary, int backup)
{
    struct peer first = store_peer(store, primary);
    struct peer second = store_peer(store, backup);

    return peer_equal(&store->view.primary, &first) &&
           peer_equal(&store->view.backup, &second);
}

struct pair {
    int primary;
    int backup;
};

static bool is_settled(struct store *store, const void *argument)
{
    const struct pair *pair = argument;

    return store_view_is(store, pair->primary, pair->backup) &&
           store->acknowledged == store->view.number;
}

void store_settles(struct store *store, int primary, int backup)
{
    struct pair pair = {primary, backup};
    char text[2][PEER_TEXT_MAX];

    LAB_EXPECT(store->lab, store_until(store, is_settled, &pair, 2 * SOON_MS),
               "within %d ms there is no acknowledged view with primary %s and "
               "backup %s: the view is %" PRIu64
               " with primary %s and backup %s, and view %" PRIu64
               " is acknowledged (V3 to V6, T2)",
               2 * SOON_MS, store_name(store, primary),
               store_name(store, backup), store->view.number,
               peer_format(&store->view.primary, text[0]),
               peer_format(&store->view.backup, text[1]), store->acknowledged);
}

struct inspection store_inspect(struct store *store, int actor)
{
    struct inspection inspection = {0};
    const struct node *node =
        world_node(store->world, store->actors[actor].host);

    assert(node);
    node->type->inspect(node, &inspection);
    return inspection;
}

/* ---- The store ------------------------------------------------------------
 */

struct store_config store_config(void)
{
    struct store_config config = {
        .servers = 2,
        .clients = 1,
        .server = server_config_default(),
        .dead_pings = DEAD_PINGS,
    };

    config.server.view_service = peer_at("vs", 0).address;
    config.server.ping_ms = PING_MS;
    config.server.chunk_octets = 1024;
    return config;
}

static void name_actors(struct store *store)
{
    snprintf(store->actors[VS].address, ADDRESS_SIZE, "vs");
    for (int i = 0; i < SERVERS; i++)
        snprintf(store->actors[S1 + i].address, ADDRESS_SIZE, "s%d", i + 1);
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(store->actors[C1 + i].address, ADDRESS_SIZE, "c%d", i + 1);
        store->workers[i].process = (uint32_t)i;
    }
    store->processes = CLIENTS;
}

struct store *store_new(struct lab *lab, const struct store_config *config)
{
    struct store *store = memory_new(sizeof(*store));

    store->lab = lab;
    store->config = *config;
    store->config.seed = config->seed ? config->seed : lab->seed;
    store->random = store->config.seed * UINT64_C(0x9e3779b97f4a7c15);
    store->view_config =
        (struct view_server_config){PING_MS, config->dead_pings};
    arena_init_trusted(&store->arena);
    arena_init_trusted(&store->judge_arena);
    arena_init_trusted(&store->trace_arena);
    history_init(&store->history);
    use_plan(store, &config->network);
    name_actors(store);
    store_report_to(store);
    world_observe(store->world, store_on_answer, NULL, store);
    world_intercept(store->world, on_send, NULL, store);
    world_watch(store->world, on_arrival, store);
    store_start(store, VS);
    for (unsigned i = 0; i < config->servers; i++)
        store_start(store, S1 + (int)i);
    for (unsigned i = 0; i < config->clients; i++)
        store_start(store, C1 + (int)i);
    return store;
}

void store_end_trace(struct store *store)
{
    trace_close(store->trace);
    store->trace = NULL;
}

void store_free(struct store *store)
{
    store->lab->reporter = NULL;
    trace_close(store->trace);
    world_free(store->world);
    for (size_t i = 0; i < store->flight_count; i++) {
        if (store->flights[i].body)
            flight_release(&store->flights[i]);
    }
    for (size_t i = 0; i < store->line_count; i++) {
        bytes_release(store->lines[i].body);
        free(store->lines[i].note);
    }
    for (int i = 0; i < CLIENTS; i++)
        bytes_release(store->workers[i].read);
    free(store->flights);
    free(store->lines);
    history_release(&store->history);
    arena_release(&store->arena);
    arena_release(&store->judge_arena);
    arena_release(&store->trace_arena);
    free(store);
}
