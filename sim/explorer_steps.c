/* SPDX-License-Identifier: MIT */
/*
 * explorer_steps: what one event does to one node. This is the only file in
 * which handlers run, always on a clone, and only when the pair of node state
 * and event is new (or is run again to prove that nothing was hidden).
 *
 * A runner is what a handler needs to run: effects, scratch memory, and the
 * nodes to clone. Roles share octets by counting references, and a count
 * belongs to one thread. So there is one common runner, with the table's nodes
 * and a lock; or, for a search in which handlers run all the time, one for each
 * thread, with replicas: a runner that meets a state which another one has
 * found makes its own from the state and event that led there.
 *
 * Guards, at every run when they are on: the clone describes itself like the
 * original; the same event on a second clone leads to the same state and the
 * same effects; the original is as it was before. A role with a static variable
 * or a shared list does not pass them.
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

enum { SENDS_MAX = 256 /* messages of one event */ };

/* ---- Running a handler ---- */

static uint32_t find_host(const struct explorer *explorer,
                          const struct address *address)
{
    uint32_t host = 0;

    while (host < explorer->count &&
           strcmp(explorer->nodes[host].address, address->text) != 0)
        host++;
    return host;
}

static void disarm(struct local *local, uint32_t slot)
{
    for (uint32_t i = 0; i < local->timer_count; i++) {
        if (local->timers[i].slot != slot)
            continue;
        memmove(&local->timers[i], &local->timers[i + 1],
                (local->timer_count - i - 1) * sizeof(local->timers[0]));
        local->timer_count--;
        return;
    }
}

static void arm(struct local *local, const struct effect *effect)
{
    disarm(local, effect->timer.slot);
    assert(local->timer_count < TIMERS_MAX);
    local->timers[local->timer_count++] = (struct armed_timer){
        effect->timer.slot, effect->timer.min_ms, effect->timer.max_ms};
}

/* The messages of one event, as (receiver, message) pairs. */
struct sending {
    uint32_t to[SENDS_MAX];
    uint32_t message[SENDS_MAX];
    uint32_t count;
};

struct run {
    struct runner *runner;
    struct local *local;
    uint32_t event;
};

/* A node state that may be cloned on a runner. */
struct replica {
    struct node *node;
    struct bytes *record;
    bool known;
    bool owned; /* by the runner, not by the table */
};

static struct replica replica_of(struct runner *runner, uint32_t number);

/* The common runner has the lock already. */
static void tables_lock(struct runner *runner)
{
    if (runner->replicas)
        pthread_mutex_lock(&runner->explorer->lock);
}

static void tables_unlock(struct runner *runner)
{
    if (runner->replicas)
        pthread_mutex_unlock(&runner->explorer->lock);
}

static void run_message(struct run *run)
{
    struct runner *runner = run->runner;
    const struct explorer *explorer = runner->explorer;
    const struct sent_message *message =
        message_at(explorer, event_argument(run->event));
    struct peer from = peer_at(explorer->nodes[message->from].address,
                               message->from_incarnation);
    Pbkv__Body *body;
    int result =
        message_decode(&runner->arena, message->body, message->length, &body);

    assert(result == 0);
    (void)result;
    node_message(run->local->node, &runner->env, &from, body);
}

static void run_restart(struct run *run)
{
    struct local *local = run->local;
    const struct explorer_node *node =
        &run->runner->explorer->nodes[local->host];
    struct peer self;

    local->incarnation++;
    self = peer_at(node->address, local->incarnation);
    local->node = node->birth(node->context, &self, local->record);
    node_start(local->node, &run->runner->env);
}

static void run_event(void *argument)
{
    struct run *run = argument;
    struct local *local = run->local;
    struct env *env = &run->runner->env;

    switch (event_kind(run->event)) {
    case EVENT_DELIVER: run_message(run); break;
    case EVENT_TIMER:
        disarm(local, event_argument(run->event));
        node_timer(local->node, env, event_argument(run->event));
        break;
    case EVENT_CRASH: local->crashes++; break;
    case EVENT_FORGET:
    case EVENT_LOSE: break; /* of the network, not of the node */
    case EVENT_RESTART: run_restart(run); break;
    case EVENT_ACT:
        run->runner->explorer->nodes[local->host].act(
            local->node, env, event_argument(run->event));
        local->node->type->check(local->node);
        break;
    }
}

static void stop(struct local *local)
{
    node_release(local->node);
    local->node = NULL;
    local->timer_count = 0;
}

static void note_send(struct runner *runner, const struct local *local,
                      const struct effect *effect, struct sending *sending)
{
    struct explorer *explorer = runner->explorer;
    uint32_t to = find_host(explorer, &effect->send.to.address);
    struct sent_message message = {
        .from = (uint8_t)local->host,
        .to = (uint8_t)to,
        .from_incarnation = local->incarnation,
        .to_incarnation = effect->send.to.incarnation,
        .body = effect->send.body->data,
        .length = effect->send.body->length,
        .what = effect->send.what,
    };

    if (to == explorer->count)
        return;
    assert(sending->count < SENDS_MAX);
    sending->to[sending->count] = to;
    tables_lock(runner);
    sending->message[sending->count++] =
        message_number(explorer, &message, &runner->sink);
    tables_unlock(runner);
}

/* Carries out the effects of an event at its node; sending may be NULL. */
static void carry_out(struct runner *runner, struct local *local,
                      struct sending *sending)
{
    for (size_t i = 0; i < runner->env.count; i++) {
        const struct effect *effect = &runner->env.effects[i];

        switch (effect->kind) {
        case EFFECT_SEND:
            if (sending)
                note_send(runner, local, effect, sending);
            break;
        case EFFECT_SET_TIMER: arm(local, effect); break;
        case EFFECT_STOP_TIMER: disarm(local, effect->timer.slot); break;
        case EFFECT_PERSIST:
            bytes_release(local->record);
            local->record = bytes_share(effect->persist.record);
            break;
        case EFFECT_ANSWER: break;
        case EFFECT_LOG:
            if (effect->log.level == LOG_LEVEL_FATAL) {
                stop(local);
                local->finished = true;
                return;
            }
        }
    }
}

/* Runs an event on a clone, whose effects are then in the runner's env. Returns
 * 0, or the signal with which the handler ended. */
static int run_on_clone(struct runner *runner, uint32_t number, uint32_t event,
                        struct local *after)
{
    struct replica before = replica_of(runner, number);
    struct run run = {runner, after, event};

    *after = *local_at(runner->explorer, number);
    atomic_init(&after->reactions, NULL);
    after->origin = number;
    after->origin_event = event;
    after->wants = false;
    after->progress = 0;
    after->node = before.node && event_kind(event) != EVENT_CRASH
                      ? before.node->type->clone(before.node)
                      : NULL;
    after->record = bytes_share(before.record);
    if (event_kind(event) == EVENT_CRASH)
        after->timer_count = 0;
    env_clear(&runner->env);
    return catch_call(run_event, &run);
}

/* ---- Replicas ---- */

/* Makes a node state again from the one before it. It did not abort then, so it
 * does not now, if it is a function of its state; guards look at that. */
static struct replica replica_anew(struct runner *runner, uint32_t number)
{
    const struct local *local = local_at(runner->explorer, number);
    struct local again;
    int signal_number;

    if (local->origin == INTERN_NONE)
        return (struct replica){.known = true};
    signal_number =
        run_on_clone(runner, local->origin, local->origin_event, &again);
    assert(signal_number == 0);
    (void)signal_number;
    carry_out(runner, &again, NULL);
    env_clear(&runner->env);
    return (struct replica){again.node, again.record, true, true};
}

static struct replica *replica_place(struct runner *runner, uint32_t number)
{
    while (runner->replicas->count <= number)
        segments_push(runner->replicas);
    return segments_at(runner->replicas, number);
}

static struct replica replica_of(struct runner *runner, uint32_t number)
{
    const struct local *local = local_at(runner->explorer, number);
    struct replica *replica;

    if (!runner->replicas)
        return (struct replica){.node = local->node, .record = local->record};
    replica = replica_place(runner, number);
    if (!replica->known) {
        struct replica made = replica_anew(runner, number);

        *replica = made;
    }
    return *replica;
}

void runner_init(struct runner *runner, struct explorer *explorer,
                 bool replicas)
{
    memset(runner, 0, sizeof(*runner));
    runner->explorer = explorer;
    env_init(&runner->env);
    runner->env.log_level = LOG_LEVEL_FATAL;
    arena_init(&runner->arena);
    sink_init(&runner->sink, SINK_CANONICAL);
    sink_init(&runner->other_sink, SINK_CANONICAL);
    if (replicas) {
        runner->replicas = memory_new(sizeof(*runner->replicas));
        segments_init(runner->replicas, sizeof(struct replica));
    }
}

void runner_release(struct runner *runner)
{
    for (uint32_t i = 0; runner->replicas && i < runner->replicas->count; i++) {
        const struct replica *replica = segments_at(runner->replicas, i);

        if (!replica->owned)
            continue;
        node_release(replica->node);
        bytes_release(replica->record);
    }
    if (runner->replicas)
        segments_release(runner->replicas);
    free(runner->replicas);
    env_release(&runner->env);
    arena_release(&runner->arena);
    sink_release(&runner->sink);
    sink_release(&runner->other_sink);
}

/* ---- Outcomes ---- */

static void release_node(void *argument)
{
    node_release(argument);
}

/* Gives up a clone whose handler did not return. After an assertion it can
 * mostly be freed; otherwise nobody knows, and it is left where it is. */
static void abandon(struct local *after, int signal_number)
{
    bytes_release(after->record);
    if (signal_number == SIGABRT)
        catch_call(release_node, after->node);
}

void explorer_tell(struct explorer *explorer, uint32_t local, uint32_t event,
                   void (*tell)(void *context, const struct env *env),
                   void *context)
{
    struct runner *runner = &explorer->runner;
    struct local after;
    int signal_number;

    runner->env.log_level = LOG_LEVEL_DEBUG;
    signal_number = run_on_clone(runner, local, event, &after);
    tell(context, &runner->env);
    env_clear(&runner->env);
    runner->env.log_level = LOG_LEVEL_FATAL;
    if (signal_number == 0)
        local_release(&after);
    else
        abandon(&after, signal_number);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* Returns the list of the messages to one receiver, or INTERN_NONE. */
static uint32_t sent_to(struct explorer *explorer,
                        const struct sending *sending, uint32_t host)
{
    uint32_t messages[SENDS_MAX];
    uint32_t count = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < sending->count; i++) {
        if (sending->to[i] == host)
            messages[count++] = sending->message[i];
    }
    if (count == 0)
        return INTERN_NONE;
    if (explorer->network != EXPLORER_FIFO)
        qsort(messages, count, sizeof(messages[0]), compare_numbers);
    for (uint32_t i = 0; i < count; i++) {
        if (explorer->network != EXPLORER_SET || i == 0 ||
            messages[i] != messages[i - 1])
            messages[kept++] = messages[i];
    }
    return list_number(explorer, messages, kept);
}

static struct outcome *outcome_new(const char *failure)
{
    struct outcome *outcome = memory_new(
        sizeof(*outcome) + EXPLORER_NODES_MAX * sizeof(outcome->sends[0]));

    outcome->failure = failure;
    outcome->local = INTERN_NONE;
    return outcome;
}

/* Returns the number of the local after an event, which is taken over. */
static uint32_t intern_after(struct runner *runner, struct local *after)
{
    bool is_new;
    uint32_t number;

    local_describe(after, &runner->sink);
    tables_lock(runner);
    number = local_intern(runner->explorer, after, &runner->sink, &is_new);
    tables_unlock(runner);
    if (!is_new)
        local_release(after);
    else if (runner->replicas)
        *replica_place(runner, number) =
            (struct replica){after->node, after->record, true, false};
    return number;
}

/* Runs an event once, without guards. */
static struct outcome *run_once(struct runner *runner, uint32_t local,
                                uint32_t event)
{
    struct explorer *explorer = runner->explorer;
    struct local after;
    struct sending sending = {.count = 0};
    int signal_number = run_on_clone(runner, local, event, &after);
    struct outcome *outcome =
        outcome_new(signal_number != 0 ? catch_sentence(signal_number) : NULL);

    if (signal_number != 0) {
        abandon(&after, signal_number);
        return outcome;
    }
    carry_out(runner, &after, &sending);
    env_clear(&runner->env);
    for (uint32_t host = 0; host < explorer->count; host++) {
        uint32_t list = sent_to(explorer, &sending, host);

        if (list != INTERN_NONE)
            outcome->sends[outcome->send_count++] =
                (struct send_list){host, list};
    }
    outcome->local = intern_after(runner, &after);
    return memory_resize(outcome,
                         sizeof(*outcome) +
                             outcome->send_count * sizeof(outcome->sends[0]));
}

/* ---- Guards ---- */

static bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
    return a->failure == b->failure && a->local == b->local &&
           a->send_count == b->send_count &&
           memcmp(a->sends, b->sends, a->send_count * sizeof(a->sends[0])) == 0;
}

static bool has_name(const struct explorer *explorer, uint32_t number,
                     const struct sink *sink)
{
    const struct interned *name = intern_at(&explorer->local_names, number);

    return sink->length == name->length &&
           memcmp(sink->buffer, name->octets, name->length) == 0;
}

static bool describes_itself_as_before(struct runner *runner, uint32_t number)
{
    struct replica replica = replica_of(runner, number);
    struct local local = *local_at(runner->explorer, number);

    local.node = replica.node;
    local.record = replica.record;
    local_describe(&local, &runner->other_sink);
    return has_name(runner->explorer, number, &runner->other_sink);
}

static bool clone_is_alike(struct runner *runner, uint32_t number)
{
    struct replica replica = replica_of(runner, number);
    struct local copy = *local_at(runner->explorer, number);

    if (!copy.node)
        return true;
    copy.node = replica.node->type->clone(replica.node);
    local_describe(&copy, &runner->other_sink);
    node_release(copy.node);
    return has_name(runner->explorer, number, &runner->other_sink);
}

/* Returns NULL, or how a role breaks the contract of node.h. */
static const char *guard(struct runner *runner, uint32_t local, uint32_t event,
                         const struct outcome *outcome)
{
    struct outcome *again;
    bool same;

    if (!describes_itself_as_before(runner, local))
        return "an event on a clone changed the original";
    if (!clone_is_alike(runner, local))
        return "a clone describes itself unlike its original";
    again = run_once(runner, local, event);
    runner->checks++;
    same = outcome_equal(outcome, again);
    free(again);
    return same ? NULL : "the same event in the same state did something else";
}

struct outcome *outcome_run(struct runner *runner, uint32_t local,
                            uint32_t event)
{
    struct outcome *outcome = run_once(runner, local, event);

    runner->handlers++;
    if (runner->explorer->guards && !outcome->failure)
        outcome->failure = guard(runner, local, event, outcome);
    return outcome;
}

struct outcome *outcome_recheck(struct runner *runner, uint32_t local,
                                uint32_t event, const struct outcome *outcome)
{
    struct outcome *again = run_once(runner, local, event);

    runner->checks++;
    if (outcome_equal(outcome, again)) {
        free(again);
        return NULL;
    }
    again->failure = "the same event in the same state did something else";
    return again;
}
