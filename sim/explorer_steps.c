/* SPDX-License-Identifier: MIT */
/*
 * explorer_steps: what one event does to one node. This is the only file in
 * which handlers run, always on a clone, and only when the pair of node state
 * and event is new (or is run again to prove that nothing was hidden).
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

/* ---- Locals ---- */

static void describe_local(const struct local *local, struct sink *sink)
{
    sink_clear(sink);
    sink_u64(sink, "host", local->host);
    sink_u64(sink, "crashes", local->crashes);
    sink_u64(sink, "incarnation", local->incarnation);
    sink_bool(sink, "finished", local->finished);
    for (uint32_t i = 0; i < local->timer_count; i++) {
        sink_u64(sink, "slot", local->timers[i].slot);
        sink_u64(sink, "min", local->timers[i].min_ms);
        sink_u64(sink, "max", local->timers[i].max_ms);
    }
    if (local->record)
        sink_octets(sink, "record", local->record->data, local->record->length);
    sink_bool(sink, "up", local->node != NULL);
    if (local->node)
        local->node->type->describe(local->node, sink);
}

static void local_release(struct local *local)
{
    node_release(local->node);
    bytes_release(local->record);
}

/* Returns the number of a local, which it takes over. */
static uint32_t local_intern(struct explorer *explorer, struct local *local)
{
    const struct explorer_node *node = &explorer->nodes[local->host];
    bool is_new;
    uint32_t number;

    describe_local(local, &explorer->sink);
    number = intern_put(&explorer->local_names, explorer->sink.buffer,
                        explorer->sink.length, &is_new);
    if (!is_new) {
        local_release(local);
        return number;
    }
    if (local->node && node->wants) {
        local->wants = node->wants(local->node);
        local->progress = node->progress(local->node);
        assert(local->progress < 16);
    }
    *(struct local *)segments_push(&explorer->locals) = *local;
    return number;
}

uint32_t local_unborn(struct explorer *explorer, uint32_t host)
{
    struct local local = {.host = host};

    return local_intern(explorer, &local);
}

/* ---- Timers ---- */

bool timer_may_fire(const struct local *local, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (local->timers[index].min_ms >= local->timers[i].max_ms)
            return false;
    }
    return true;
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

/* ---- Messages ---- */

static uint32_t find_host(const struct explorer *explorer,
                          const struct address *address)
{
    uint32_t host = 0;

    while (host < explorer->count &&
           strcmp(explorer->nodes[host].address, address->text) != 0)
        host++;
    return host;
}

uint32_t message_number(struct explorer *explorer,
                        const struct sent_message *message)
{
    struct sink *sink = &explorer->sink;
    struct sent_message *kept;
    const struct interned *name;
    bool is_new;
    uint32_t number;

    sink_clear(sink);
    sink_u64(sink, "f", message->from);
    sink_u64(sink, "i", message->from_incarnation);
    sink_u64(sink, "t", message->to);
    sink_u64(sink, "j", message->to_incarnation);
    sink_octets(sink, "b", message->body, message->length);
    number = intern_put(&explorer->message_names, sink->buffer, sink->length,
                        &is_new);
    if (!is_new)
        return number;
    assert(number < (uint32_t)1 << EVENT_SHIFT);
    name = intern_at(&explorer->message_names, number);
    kept = segments_push(&explorer->messages);
    *kept = *message;
    kept->body = name->octets + name->length - message->length;
    return number;
}

/* ---- Running a handler ---- */

/* The messages of one event, as (receiver, message) pairs. */
struct sending {
    uint32_t to[SENDS_MAX];
    uint32_t message[SENDS_MAX];
    uint32_t count;
};

struct run {
    struct explorer *explorer;
    struct local *local;
    uint32_t event;
};

static void run_message(struct run *run)
{
    const struct explorer *explorer = run->explorer;
    const struct sent_message *message =
        message_at(explorer, event_argument(run->event));
    struct peer from = peer_at(explorer->nodes[message->from].address,
                               message->from_incarnation);
    Pbkv__Body *body;
    int result = message_decode(&run->explorer->arena, message->body,
                                message->length, &body);

    assert(result == 0);
    (void)result;
    node_message(run->local->node, &run->explorer->env, &from, body);
}

static void run_restart(struct run *run)
{
    const struct explorer_node *node = &run->explorer->nodes[run->local->host];
    struct peer self;

    run->local->incarnation++;
    self = peer_at(node->address, run->local->incarnation);
    run->local->node = node->birth(node->context, &self, run->local->record);
    node_start(run->local->node, &run->explorer->env);
}

static void run_event(void *argument)
{
    struct run *run = argument;
    struct local *local = run->local;
    struct env *env = &run->explorer->env;

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
        run->explorer->nodes[local->host].act(local->node, env,
                                              event_argument(run->event));
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

static void note_send(struct explorer *explorer, const struct local *local,
                      const struct effect *effect, struct sending *sending)
{
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
    sending->message[sending->count++] = message_number(explorer, &message);
}

static void carry_out(struct explorer *explorer, struct local *local,
                      struct sending *sending)
{
    for (size_t i = 0; i < explorer->env.count; i++) {
        const struct effect *effect = &explorer->env.effects[i];

        switch (effect->kind) {
        case EFFECT_SEND: note_send(explorer, local, effect, sending); break;
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

/* Runs an event on a clone, whose effects are then in the explorer's env.
 * Returns 0, or the signal with which the handler ended. */
static int run_on_clone(struct explorer *explorer, uint32_t number,
                        uint32_t event, struct local *after)
{
    const struct local *before = local_at(explorer, number);
    struct run run = {explorer, after, event};

    *after = *before;
    atomic_init(&after->reactions, NULL);
    after->wants = false;
    after->progress = 0;
    after->node = before->node && event_kind(event) != EVENT_CRASH
                      ? before->node->type->clone(before->node)
                      : NULL;
    bytes_share(after->record);
    if (event_kind(event) == EVENT_CRASH)
        after->timer_count = 0;
    env_clear(&explorer->env);
    return catch_call(run_event, &run);
}

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
    struct local after;
    enum log_level level = explorer->env.log_level;
    int signal_number;

    explorer->env.log_level = LOG_LEVEL_DEBUG;
    signal_number = run_on_clone(explorer, local, event, &after);
    tell(context, &explorer->env);
    env_clear(&explorer->env);
    explorer->env.log_level = level;
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

/* Runs an event once, without guards. */
static struct outcome *run_once(struct explorer *explorer, uint32_t local,
                                uint32_t event)
{
    static const char aborted[] =
        "a handler aborted: an assertion of the role failed";
    struct local after;
    struct sending sending = {.count = 0};
    int signal_number = run_on_clone(explorer, local, event, &after);
    struct outcome *outcome = outcome_new(signal_number ? aborted : NULL);

    if (signal_number != 0) {
        abandon(&after, signal_number);
        return outcome;
    }
    carry_out(explorer, &after, &sending);
    env_clear(&explorer->env);
    for (uint32_t host = 0; host < explorer->count; host++) {
        uint32_t list = sent_to(explorer, &sending, host);

        if (list != INTERN_NONE)
            outcome->sends[outcome->send_count++] =
                (struct send_list){host, list};
    }
    outcome->local = local_intern(explorer, &after);
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

static bool describes_itself_as_before(struct explorer *explorer,
                                       uint32_t number)
{
    const struct interned *name = intern_at(&explorer->local_names, number);

    describe_local(local_at(explorer, number), &explorer->other_sink);
    return explorer->other_sink.length == name->length &&
           memcmp(explorer->other_sink.buffer, name->octets, name->length) == 0;
}

static bool clone_is_alike(struct explorer *explorer, uint32_t number)
{
    const struct interned *name = intern_at(&explorer->local_names, number);
    struct local copy = *local_at(explorer, number);
    bool alike;

    if (!copy.node)
        return true;
    copy.node = copy.node->type->clone(copy.node);
    describe_local(&copy, &explorer->other_sink);
    alike =
        explorer->other_sink.length == name->length &&
        memcmp(explorer->other_sink.buffer, name->octets, name->length) == 0;
    node_release(copy.node);
    return alike;
}

/* Returns NULL, or how a role breaks the contract of node.h. */
static const char *guard(struct explorer *explorer, uint32_t local,
                         uint32_t event, const struct outcome *outcome)
{
    struct outcome *again;
    bool same;

    if (!describes_itself_as_before(explorer, local))
        return "an event on a clone changed the original";
    if (!clone_is_alike(explorer, local))
        return "a clone describes itself unlike its original";
    again = run_once(explorer, local, event);
    explorer->checks++;
    same = outcome_equal(outcome, again);
    free(again);
    return same ? NULL : "the same event in the same state did something else";
}

struct outcome *outcome_run(struct explorer *explorer, uint32_t local,
                            uint32_t event)
{
    struct outcome *outcome = run_once(explorer, local, event);

    explorer->handlers++;
    if (explorer->guards && !outcome->failure)
        outcome->failure = guard(explorer, local, event, outcome);
    return outcome;
}

struct outcome *outcome_recheck(struct explorer *explorer, uint32_t local,
                                uint32_t event, const struct outcome *outcome)
{
    struct outcome *again = run_once(explorer, local, event);

    explorer->checks++;
    if (outcome_equal(outcome, again)) {
        free(again);
        return NULL;
    }
    again->failure = "the same event in the same state did something else";
    return again;
}

uint64_t event_hash(const struct explorer *explorer, uint32_t host,
                    uint32_t event)
{
    enum event_kind kind = event_kind(event);
    uint64_t hash = event;

    if (kind == EVENT_DELIVER || kind == EVENT_LOSE)
        hash = intern_at(&explorer->message_names, event_argument(event))->hash;
    return intern_mix(hash + host + (kind == EVENT_LOSE));
}
