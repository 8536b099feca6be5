/* SPDX-License-Identifier: MIT */
/*
 * env: see env.h. Effects sit in one array that keeps its memory between
 * events; what an effect points to (bodies, event details) is freed by
 * env_clear. An event may have many short bodies, such as the replies to all
 * that was committed: the memory of some is kept as rooms for the next.
 */
#include "node/env.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

void env_init(struct env *env)
{
    memset(env, 0, sizeof(*env));
    env->log_level = LOG_LEVEL_DEBUG;
}

void env_release(struct env *env)
{
    env_clear(env);
    while (env->room_count > 0)
        bytes_release(env->rooms[--env->room_count]);
    free(env->effects);
    memset(env, 0, sizeof(*env));
}

static struct bytes *room_take(struct env *env)
{
    return env->room_count > 0 ? env->rooms[--env->room_count]
                               : bytes_new_uninitialised(MESSAGE_ROOM);
}

/* Gives a room back, if nobody else has come to share what is in it. */
static void room_give(struct env *env, struct bytes *room)
{
    if (room->references == 1 && env->room_count < ENV_ROOMS_MAX)
        env->rooms[env->room_count++] = room;
    else
        bytes_release(room);
}

static void body_release(struct env *env, const struct effect *effect,
                         struct bytes *body)
{
    if (effect->in_room)
        room_give(env, body);
    else
        bytes_release(body);
}

static void effect_release(struct env *env, struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SEND: body_release(env, effect, effect->send.body); break;
    case EFFECT_PERSIST: bytes_release(effect->persist.record); break;
    case EFFECT_ANSWER: message_free(effect->answer.body); break;
    case EFFECT_LOG: free(effect->log.detail); break;
    case EFFECT_SET_TIMER:
    case EFFECT_STOP_TIMER: break;
    }
}

void env_clear(struct env *env)
{
    for (size_t i = 0; i < env->count; i++)
        effect_release(env, &env->effects[i]);
    env->count = 0;
}

static struct effect *env_add(struct env *env, enum effect_kind kind)
{
    struct effect *effect;

    if (env->count == env->capacity) {
        env->capacity = env->capacity ? 2 * env->capacity : 8;
        env->effects =
            memory_resize(env->effects, env->capacity * sizeof(*env->effects));
    }
    effect = &env->effects[env->count++];
    effect->kind = kind;
    effect->in_room = false;
    return effect;
}

/* Encodes the body of an effect, in a room if it is short. */
static struct bytes *encode_body(struct env *env, struct effect *effect,
                                 const Pbkv__Body *body)
{
    struct bytes *room = room_take(env);
    struct bytes *encoded = message_encode_in(body, room);

    effect->in_room = encoded == room;
    if (!effect->in_room)
        room_give(env, room);
    return encoded;
}

static struct effect *add_send(struct env *env, const struct peer *to,
                               Pbkv__Body__KindCase what)
{
    struct effect *effect;

    assert(peer_is_present(to));
    effect = env_add(env, EFFECT_SEND);
    effect->send.to = *to;
    effect->send.what = what;
    return effect;
}

void env_send(struct env *env, const struct peer *to, const Pbkv__Body *body)
{
    struct effect *effect = add_send(env, to, body->kind_case);

    effect->send.body = encode_body(env, effect, body);
}

void env_send_encoded(struct env *env, const struct peer *to,
                      Pbkv__Body__KindCase what, struct bytes *body)
{
    add_send(env, to, what)->send.body = bytes_share(body);
}

void env_set_timer(struct env *env, unsigned slot, uint32_t min_ms,
                   uint32_t max_ms)
{
    struct effect *effect;

    assert(slot < TIMERS_MAX && min_ms <= max_ms);
    effect = env_add(env, EFFECT_SET_TIMER);
    effect->timer.slot = slot;
    effect->timer.min_ms = min_ms;
    effect->timer.max_ms = max_ms;
}

void env_stop_timer(struct env *env, unsigned slot)
{
    struct effect *effect;

    assert(slot < TIMERS_MAX);
    effect = env_add(env, EFFECT_STOP_TIMER);
    effect->timer.slot = slot;
    effect->timer.min_ms = 0;
    effect->timer.max_ms = 0;
}

void env_persist(struct env *env, struct bytes *record)
{
    assert(record);
    env_add(env, EFFECT_PERSIST)->persist.record = bytes_share(record);
}

void env_answer(struct env *env, uint64_t call, const Pbkv__Body *body)
{
    struct effect *effect = env_add(env, EFFECT_ANSWER);

    effect->answer.call = call;
    effect->answer.body = message_copy(body);
}

void env_log(struct env *env, enum log_level level, const char *name,
             const char *format, ...)
{
    struct effect *effect;
    char text[EVENT_DETAIL_MAX] = "";
    va_list arguments;

    assert(strlen(name) < EVENT_NAME_MAX);
    if (level >= env->log_level) {
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
    }
    effect = env_add(env, EFFECT_LOG);
    effect->log.level = level;
    effect->log.name = name;
    effect->log.detail = text[0] ? memory_copy_text(text) : NULL;
}

size_t env_count_events(const struct env *env, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < env->count; i++) {
        if (env->effects[i].kind == EFFECT_LOG &&
            strcmp(env->effects[i].log.name, name) == 0)
            count++;
    }
    return count;
}
