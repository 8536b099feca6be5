/* SPDX-License-Identifier: MIT */
/*
 * env: see env.h. Effects sit in one array that keeps its memory between
 * events; what an effect points to (encoded bodies, event details) is freed by
 * env_clear.
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
    free(env->effects);
    memset(env, 0, sizeof(*env));
}

static void effect_release(struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SEND: bytes_release(effect->send.body); break;
    case EFFECT_PERSIST: bytes_release(effect->persist.record); break;
    case EFFECT_ANSWER: bytes_release(effect->answer.body); break;
    case EFFECT_LOG: free(effect->log.detail); break;
    case EFFECT_SET_TIMER:
    case EFFECT_STOP_TIMER: break;
    }
}

void env_clear(struct env *env)
{
    for (size_t i = 0; i < env->count; i++)
        effect_release(&env->effects[i]);
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
    return effect;
}

void env_send(struct env *env, const struct peer *to, const Pbkv__Body *body)
{
    struct bytes *encoded = message_encode(body);

    env_send_encoded(env, to, body->kind_case, encoded);
    bytes_release(encoded);
}

void env_send_encoded(struct env *env, const struct peer *to,
                      Pbkv__Body__KindCase what, struct bytes *body)
{
    struct effect *effect;

    assert(peer_is_present(to));
    effect = env_add(env, EFFECT_SEND);
    effect->send.to = *to;
    effect->send.what = what;
    effect->send.body = bytes_share(body);
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
    struct bytes *encoded = message_encode(body);
    struct effect *effect = env_add(env, EFFECT_ANSWER);

    effect->answer.call = call;
    effect->answer.body = encoded;
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
