/* SPDX-License-Identifier: MIT */
/*
 * script: see script.h. The node hands every event to the client role inside it
 * and reads the effects: an answer ends the operation under way.
 */
#include "sim/script.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_state.h"
#include "node/memory.h"
#include "node/message.h"

enum { DEADLINE_TICKS = 1000 /* never reached */ };

static const struct node_type script_type;

static struct script *own(struct node *node)
{
    assert(node->type == &script_type);
    return (struct script *)node;
}

static const struct script *own_const(const struct node *node)
{
    assert(node->type == &script_type);
    return (const struct script *)node;
}

const struct script *script_of(const struct node *node)
{
    return node && node->type == &script_type ? own_const(node) : NULL;
}

struct node *script_birth(const void *context, const struct peer *self,
                          const struct bytes *record)
{
    const struct script_config *config = context;
    struct script *script = memory_new(sizeof(*script));

    assert(self && !record && config->count <= SCRIPT_OPS_MAX);
    (void)self;
    (void)record;
    script->node.type = &script_type;
    script->client = client_new(&config->client);
    script->ops = config->ops;
    script->count = config->count;
    return &script->node;
}

/* ---- Events ---- */

static void note_end(struct script *script, const Pbkv__Body *body)
{
    struct script_note *note = &script->notes[script->ended];

    assert(body->kind_case == PBKV__BODY__KIND_REPLY);
    assert(script->ended < script->begun);
    note->status = body->reply->status;
    if (script->ops[script->ended].kind == SCRIPT_GET &&
        note->status == PBKV__STATUS__OK)
        note->value =
            bytes_new(body->reply->value.data, body->reply->value.len);
    script->ended++;
}

/* Ends every event: reads the answers, and puts deadlines off. */
static void after_event(struct script *script, const struct env *env)
{
    struct call *call;

    for (size_t i = 0; i < env->count; i++) {
        if (env->effects[i].kind == EFFECT_ANSWER)
            note_end(script, env->effects[i].answer.body);
    }
    for (call = script->client->calls.first; call; call = call->after) {
        if (call->ticks_left > 0)
            call->ticks_left = DEADLINE_TICKS;
    }
}

static void on_start(struct node *node, struct env *env)
{
    node_start(client_node(own(node)->client), env);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct script *script = own(node);

    node_message(client_node(script->client), env, from, body);
    after_event(script, env);
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct script *script = own(node);

    node_timer(client_node(script->client), env, slot);
    after_event(script, env);
}

bool script_wants(const struct node *node)
{
    const struct script *script = own_const(node);

    return script->ended == script->begun && script->begun < script->count;
}

void script_act(struct node *node, struct env *env, uint32_t knowledge)
{
    static const Pbkv__Body__KindCase kinds[] = {
        [SCRIPT_PUT] = PBKV__BODY__KIND_PUT,
        [SCRIPT_APPEND] = PBKV__BODY__KIND_APPEND,
        [SCRIPT_GET] = PBKV__BODY__KIND_GET,
    };
    struct script *script = own(node);
    const struct script_op *op = &script->ops[script->begun];
    struct client_request request = {
        .kind = kinds[op->kind],
        .call = script->begun + 1,
        .deadline_ticks = DEADLINE_TICKS,
        .key = bytes_new(op->key, strlen(op->key)),
    };

    assert(script_wants(node));
    if (op->value)
        request.value = bytes_new(op->value, strlen(op->value));
    script->notes[script->begun++].knowledge = knowledge;
    client_call(script->client, env, &request);
    bytes_release(request.key);
    bytes_release(request.value);
    after_event(script, env);
}

uint32_t script_progress(const struct node *node)
{
    return own_const(node)->ended;
}

/* ---- The node ---- */

static struct node *script_clone(const struct node *node)
{
    const struct script *script = own_const(node);
    struct script *copy = memory_new(sizeof(*copy));
    struct node *client = client_node(script->client);

    *copy = *script;
    for (uint32_t i = 0; i < script->ended; i++)
        bytes_share(copy->notes[i].value);
    copy->client = (struct client *)(void *)client->type->clone(client);
    return &copy->node;
}

static void script_release(struct node *node)
{
    struct script *script = own(node);

    for (uint32_t i = 0; i < script->ended; i++)
        bytes_release(script->notes[i].value);
    node_release(client_node(script->client));
    free(script);
}

static void script_describe(const struct node *node, struct sink *sink)
{
    const struct script *script = own_const(node);
    struct node *client = client_node(script->client);

    sink_u64(sink, "begun", script->begun);
    sink_u64(sink, "ended", script->ended);
    for (uint32_t i = 0; i < script->begun; i++) {
        const struct script_note *note = &script->notes[i];

        sink_u64(sink, "knowledge", note->knowledge);
        sink_u64(sink, "status", (uint64_t)note->status);
        if (note->value)
            sink_octets(sink, "value", note->value->data, note->value->length);
    }
    client->type->describe(client, sink);
}

static void script_check(const struct node *node)
{
    const struct script *script = own_const(node);

    assert(script->ended <= script->begun && script->begun <= script->count);
    assert(script->begun - script->ended <= 1);
    assert(script->client->callers == script->begun - script->ended);
}

static const struct node_type script_type = {
    .name = "scripted client",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_timer,
    .clone = script_clone,
    .release = script_release,
    .describe = script_describe,
    .check = script_check,
};
