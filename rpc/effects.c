/* SPDX-License-Identifier: MIT */
/*
 * effects: see effects.h. One function per kind of effect. A message joins the
 * frame that waits for its peer already, if it can; with that it is sent. Else
 * its frame is an event of this host whether or not it gets anywhere: it is
 * stamped and traced first, then faults and limits decide what becomes of it.
 */
#include "rpc/effects.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node/random.h"
#include "rpc/persist.h"
#include "rpc/route.h"

/* ---- Messages --------------------------------------------------------- */

static void trace_send(struct rpc *rpc, const struct effect *effect)
{
    const struct bytes *encoded = effect->send.body;
    const char *summary;
    Pbkv__Body *body = NULL;
    char text[EVENT_DETAIL_MAX];

    if (rpc->trace == NULL)
        return;
    summary = message_name(effect->send.what);
    if (message_decode(&rpc->outgoing, encoded->data, encoded->length, &body) ==
        0)
        summary = message_format(body, text, sizeof(text));
    rpc_trace(rpc, TRACE_SEND, NULL, 0, summary);
}

/* Packs the frame for a message, with the stamp of the newest tick. Faults act
 * on single messages, and in a trace each has its line: then no other is added
 * to it. */
static void pack(struct rpc *rpc, const struct peer *to, struct bytes *body,
                 struct outgoing *outgoing)
{
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from_message = PBKV__PEER__INIT;
    Pbkv__Peer to_message = PBKV__PEER__INIT;

    peer_to_message(&rpc->self, &from_message);
    peer_to_message(to, &to_message);
    frame.from = &from_message;
    frame.to = &to_message;
    packed_stamp_update(rpc->stamp, &rpc->clock);
    frame_pack(&frame, rpc->stamp, body, rpc->head, outgoing);
    outgoing->shared = body;
    if (!rpc->config.faults.active && rpc->trace == NULL)
        outgoing->open = true;
    outgoing->incarnation = to->incarnation;
}

/* A message that a role sends of its own accord is listed here; all others
 * answer somebody. */
static enum purpose purpose_of(Pbkv__Body__KindCase what)
{
    switch (what) {
    case PBKV__BODY__KIND_PING:
    case PBKV__BODY__KIND_GET_VIEW:
    case PBKV__BODY__KIND_OPEN_SESSION:
    case PBKV__BODY__KIND_GET:
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND:
    case PBKV__BODY__KIND_SCAN:
    case PBKV__BODY__KIND_FORWARD:
    case PBKV__BODY__KIND_CHUNK:
    case PBKV__BODY__KIND_ECHO:
    case PBKV__BODY__KIND_INSPECT: return PURPOSE_REQUEST;
    default: return PURPOSE_ANSWER;
    }
}

static void send_faulty(struct rpc *rpc, const struct address *to,
                        const struct outgoing *outgoing, enum purpose purpose)
{
    struct fate fate = faults_draw(&rpc->config.faults);

    if (fate.copies == 0)
        counters_add(&rpc->counters, "fault.drop", 1);
    if (fate.copies == 2)
        counters_add(&rpc->counters, "fault.dup", 1);
    for (unsigned i = 0; i < fate.copies; i++) {
        if (fate.delay_ms[i] == 0)
            route_send(rpc, to, outgoing, purpose);
        else
            route_send_later(rpc, to, outgoing, purpose, fate.delay_ms[i]);
    }
}

/* A role should not make a message that no receiver takes; if one does, the
 * message is lost like one that the network loses. */
static bool is_too_long(struct rpc *rpc, const struct effect *effect)
{
    size_t length = effect->send.body->length;

    if (length <= BODY_LIMIT)
        return false;
    rpc_event_format(rpc, LOG_LEVEL_WARN, "send.overflow",
                     "%s of %zu octets to %s", message_name(effect->send.what),
                     length, effect->send.to.address.text);
    return true;
}

static void carry_out_send(struct rpc *rpc, const struct effect *effect)
{
    const struct peer *to = &effect->send.to;
    enum purpose purpose = purpose_of(effect->send.what);
    struct outgoing outgoing;

    if (is_too_long(rpc, effect) ||
        route_join(rpc, to, effect->send.body, purpose))
        return;
    host_clock_tick(&rpc->clock);
    trace_send(rpc, effect);
    pack(rpc, to, effect->send.body, &outgoing);
    if (rpc->config.faults.active)
        send_faulty(rpc, &to->address, &outgoing, purpose);
    else
        route_send(rpc, &to->address, &outgoing, purpose);
}

/* ---- The others ------------------------------------------------------- */

static uint32_t scaled_ms(const struct rpc *rpc, uint32_t delay_ms)
{
    uint64_t scaled =
        (uint64_t)delay_ms * rpc->config.timer_scale_percent / 100;

    return scaled > INT32_MAX ? INT32_MAX : (uint32_t)scaled;
}

static void stop_timer(struct rpc *rpc, unsigned slot)
{
    rpc->due &= ~(1u << slot);
    event_del(rpc->timers[slot].event);
}

static void carry_out_timer(struct rpc *rpc, const struct effect *effect)
{
    unsigned slot = effect->timer.slot;

    assert(slot < TIMERS_MAX);
    if (effect->timer.max_ms == 0) {
        rpc->due |= 1u << slot;
        rpc_schedule_turn(rpc);
        return;
    }
    rpc->due &= ~(1u << slot);
    rpc_event_after(
        rpc->timers[slot].event,
        scaled_ms(rpc, random_between(&rpc->random, effect->timer.min_ms,
                                      effect->timer.max_ms)));
}

static void carry_out_persist(struct rpc *rpc, const struct effect *effect)
{
    const struct bytes *record = effect->persist.record;
    int error;

    if (rpc->config.persist_path == NULL)
        return;
    error =
        persist_write(rpc->config.persist_path, record->data, record->length);
    if (error == 0)
        return;
    rpc_event_format(rpc, LOG_LEVEL_FATAL, "persist.failed", "%s: %s",
                     rpc->config.persist_path, strerror(-error));
    rpc_halt(rpc, error);
}

static void carry_out_answer(struct rpc *rpc, const struct effect *effect)
{
    if (rpc->config.on_answer != NULL)
        rpc->config.on_answer(rpc->config.context, effect->answer.call,
                              effect->answer.body);
}

static void carry_out_log(struct rpc *rpc, const struct effect *effect)
{
    rpc_event(rpc, effect->log.level, effect->log.name,
              effect->log.detail != NULL ? effect->log.detail : "");
    if (effect->log.level == LOG_LEVEL_FATAL)
        rpc_halt(rpc, -ECANCELED);
}

static void carry_out(struct rpc *rpc, const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SEND: carry_out_send(rpc, effect); break;
    case EFFECT_SET_TIMER: carry_out_timer(rpc, effect); break;
    case EFFECT_STOP_TIMER: stop_timer(rpc, effect->timer.slot); break;
    case EFFECT_PERSIST: carry_out_persist(rpc, effect); break;
    case EFFECT_ANSWER: carry_out_answer(rpc, effect); break;
    case EFFECT_LOG: carry_out_log(rpc, effect); break;
    }
}

void effects_carry_out(struct rpc *rpc)
{
    for (size_t i = 0; i < rpc->env.count && !rpc->halted; i++)
        carry_out(rpc, &rpc->env.effects[i]);
    env_clear(&rpc->env);
}
