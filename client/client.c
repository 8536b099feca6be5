/* SPDX-License-Identifier: MIT */
/*
 * client: see client.h. This file is the node: it takes events, hands each to
 * the function for it, and counts ticks. The files of the role are listed in
 * client_state.h.
 *
 * The tick runs on for at most one tick after the last call has ended, which is
 * cheaper than stopping and starting a timer for every call of a busy client.
 */
#include "client/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "client/client_state.h"
#include "node/memory.h"
#include "node/message.h"

enum {
    NEAR_STRIDES = 20, /* a stride is a twentieth of a near deadline */
    FEW_SESSIONS = 4,  /* so many are checked at every event */
};

static const struct node_type client_type;

static struct client *client_of(struct node *node)
{
    assert(node->type == &client_type);
    return (struct client *)node;
}

static const struct client *client_of_const(const struct node *node)
{
    assert(node->type == &client_type);
    return (const struct client *)node;
}

struct client *client_new(const struct client_config *config)
{
    struct client *client = memory_new(sizeof(*client));

    assert(config->view_service.length > 0);
    assert(config->tick_ms > 0 && config->retry_ticks > 0);
    assert(config->sessions_max > 0 && config->calls_max > 0);
    client->node.type = &client_type;
    client->config = *config;
    client->sessions =
        memory_new(config->sessions_max * sizeof(*client->sessions));
    return client;
}

struct node *client_node(struct client *client)
{
    return &client->node;
}

/* ---- Calls --------------------------------------------------------------- */

/* Returns the status with which a request ends before it begins, or OK. */
static Pbkv__Status request_admit(const struct client *client,
                                  const struct client_request *request)
{
    bool update = request->kind == PBKV__BODY__KIND_PUT ||
                  request->kind == PBKV__BODY__KIND_APPEND;
    uint64_t sessions_free = client->config.sessions_max - client->busy;

    if (request->key && request->key->length > KEY_LIMIT)
        return PBKV__STATUS__TOO_LARGE;
    if (request->value && request->value->length > VALUE_LIMIT)
        return PBKV__STATUS__TOO_LARGE;
    if (client->callers >= client->config.calls_max)
        return PBKV__STATUS__OVERLOADED;
    if (update && client->waiting >= client->config.queue_max + sessions_free)
        return PBKV__STATUS__OVERLOADED;
    return PBKV__STATUS__OK;
}

static void request_check(const struct client_request *request)
{
    assert(request->deadline_ticks > 0);
    switch (request->kind) {
    case PBKV__BODY__KIND_GET: assert(request->key); break;
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND: assert(request->key && request->value); break;
    case PBKV__BODY__KIND_ECHO:
        assert(request->value && request->address.length > 0);
        break;
    case PBKV__BODY__KIND_INSPECT: assert(request->address.length > 0); break;
    default:
        assert(request->kind == PBKV__BODY__KIND_SCAN ||
               request->kind == PBKV__BODY__KIND_GET_VIEW);
    }
}

static void refuse_request(struct env *env,
                           const struct client_request *request,
                           Pbkv__Status status)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Reply reply = PBKV__REPLY__INIT;

    env_log(env, LOG_LEVEL_WARN, "call.turned_away", "%s, call %s",
            status_name(status), message_name(request->kind));
    reply.call = request->call;
    reply.status = status;
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &reply;
    env_answer(env, request->call, &body);
}

/* A session that was left opening when the tick stopped is asked for again. */
static void wake_openings(struct client *client)
{
    for (uint32_t i = 0; client->opening > 0 && i < client->config.sessions_max;
         i++) {
        struct client_session *session = &client->sessions[i];
        struct call *call;

        if (session->state != SESSION_OPENING)
            continue;
        call = client_calls_find(client, session->tag);
        if (call->sent != SENT_NEVER)
            call->wait = 1;
    }
}

static uint32_t longest_stride(const struct client *client)
{
    uint32_t stride = client->config.stride_ticks;

    return stride > 1 ? stride : 1;
}

/* Deadlines that are nearer than so many ticks are kept to the tick. */
static uint32_t near_ticks(const struct client *client)
{
    return longest_stride(client) * NEAR_STRIDES;
}

static void set_tick(struct client *client, struct env *env, uint32_t stride)
{
    uint32_t delay_ms = stride * client->config.tick_ms;

    client->stride = stride;
    env_set_timer(env, CLIENT_TICK, delay_ms, delay_ms);
}

void client_hurry(struct client *client, struct env *env)
{
    if (longest_stride(client) == 1)
        return;
    client->hurry = near_ticks(client);
    if (client->ticking && client->stride > 1)
        set_tick(client, env, 1);
}

static void start_ticking(struct client *client, struct env *env)
{
    if (client->ticking)
        return;
    client->ticking = true;
    client->hurry = 0;
    client->doubts = 0;
    set_tick(client, env, longest_stride(client));
    wake_openings(client);
    client->view_wait = 0;
}

static struct call *request_add(struct client *client,
                                const struct client_request *request)
{
    struct call *call = client_calls_add(client, request->kind);

    call->call = request->call;
    call->key = bytes_share(request->key);
    call->value = bytes_share(request->value);
    call->cursor = request->cursor;
    /* Never early: the timer may be at the end of its stride. */
    call->ticks_left = request->deadline_ticks + (client->stride - 1);
    if (request->kind == PBKV__BODY__KIND_GET_VIEW)
        call->to.address = client->config.view_service;
    else if (!client_call_is_for_primary(call))
        call->to.address = request->address;
    client->callers++;
    client->viewers += request->kind == PBKV__BODY__KIND_GET_VIEW;
    return call;
}

void client_call(struct client *client, struct env *env,
                 const struct client_request *request)
{
    Pbkv__Status status = request_admit(client, request);
    struct call *call;

    request_check(request);
    if (status != PBKV__STATUS__OK) {
        refuse_request(env, request, status);
        return;
    }
    start_ticking(client, env);
    if (request->deadline_ticks <= near_ticks(client))
        client_hurry(client, env);
    if (client->lost)
        client_view_doubt(client, env);
    call = request_add(client, request);
    if (client_call_is_update(call)) {
        client_queue_append(client, call);
        client_sessions_serve(client, env);
    } else {
        client_call_send(client, env, call);
    }
    client->node.type->check(&client->node);
}

void client_lost(struct client *client, struct env *env,
                 const struct address *address)
{
    if (client->view.number == 0 ||
        !address_equal(address, &client->view.primary.address))
        return;
    if (client->callers > 0)
        client_view_doubt(client, env);
    else
        client->lost = true;
    client->node.type->check(&client->node);
}

bool client_cancel(struct client *client, struct env *env, uint64_t tag)
{
    struct call *call, *next;

    DL_FOREACH_SAFE2(client->calls.first, call, next, after)
    {
        if (call->call != tag || call->kind == PBKV__BODY__KIND_OPEN_SESSION)
            continue;
        client_session_leave(client, call);
        client_call_forget(client, call);
        client_sessions_serve(client, env);
        client->node.type->check(&client->node);
        return true;
    }
    return false;
}

/* ---- Events -------------------------------------------------------------- */

/* The first event changes nothing: the view service is asked when the first
 * call needs a view (rule C1). */
static void client_on_start(struct node *node, struct env *env)
{
    assert(client_of(node)->callers == 0 && env);
}

static void client_on_message(struct node *node, struct env *env,
                              const struct peer *from, const Pbkv__Body *body)
{
    struct client *client = client_of(node);

    if (client->doubts > 0 &&
        address_equal(&from->address, &client->view.primary.address))
        client_view_trust(client);
    switch (body->kind_case) {
    case PBKV__BODY__KIND_REPLY:
        client_on_reply(client, env, from, body);
        break;
    case PBKV__BODY__KIND_VIEW_REPLY:
        client_on_view_reply(client, env, from, body);
        break;
    case PBKV__BODY__KIND_SESSION_OPENED:
        client_on_session_opened(client, env, body);
        break;
    case PBKV__BODY__KIND_PAGE: client_on_page(client, env, body); break;
    case PBKV__BODY__KIND_ECHO_REPLY:
        client_on_echo_reply(client, env, body);
        break;
    case PBKV__BODY__KIND_INSPECT_REPLY:
        client_on_inspect_reply(client, env, body);
        break;
    case PBKV__BODY__KIND_ECHO:
        message_answer_echo(env, from, body->echo);
        break;
    default:
        env_log(env, LOG_LEVEL_WARN, "message.unexpected", "%s",
                message_name(body->kind_case));
    }
}

/* Asserts what must hold of one call; see client_state.h for its places. */
static void call_check(const struct client *client, const struct call *call)
{
    bool open = call->kind == PBKV__BODY__KIND_OPEN_SESSION;

    assert(call->tag > 0 && call->tag <= client->last_tag);
    assert(open == (call->ticks_left == 0));
    assert(call->queued ==
           (client_call_is_update(call) && call->session == CLIENT_NO_SESSION));
    assert((call->sent == SENT_NEVER) == (call->wait == 0));
    assert(call->sent != SENT_NEVER || call->queued ||
           (client->view.number == 0 && client->view_wanted));
    assert(call->pause > 0 && call->wait <= client->config.retry_ticks);
    if (call->session != CLIENT_NO_SESSION)
        client_session_check_call(client, call);
}

/* Returns the stride of the next timer: one tick while something is urgent. */
static uint32_t next_stride(const struct client *client)
{
    uint32_t longest = longest_stride(client);
    const struct call *call;

    if (longest == 1 || client->hurry > 0 || client->view_wanted)
        return 1;
    for (call = client->calls.first; call; call = call->after) {
        if (call->refused ||
            (call->ticks_left > 0 && call->ticks_left <= 2 * longest))
            return 1;
    }
    return longest;
}

static void client_on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct client *client = client_of(node);
    uint32_t ticks = client->stride;
    struct call *call, *next;

    assert(slot == CLIENT_TICK && client->ticking);
    client->hurry -= client->hurry < ticks ? client->hurry : ticks;
    client_view_tick(client, env, ticks);
    client_sessions_check(client);
    DL_FOREACH_SAFE2(client->calls.first, call, next, after)
    {
        call_check(client, call);
        client_call_tick(client, env, call, ticks);
    }
    client->ticking = client->callers > 0;
    if (client->ticking)
        set_tick(client, env, next_stride(client));
}

/* ---- Copy, description, invariants --------------------------------------- */

static void clone_calls(const struct client *client, struct client *copy)
{
    const struct call *call;

    copy->calls = (struct call_table){0};
    copy->spare = NULL;
    copy->spares = 0;
    for (call = client->calls.first; call; call = call->after) {
        struct call *twin = memory_new(sizeof(*twin));

        *twin = *call;
        bytes_share(twin->key);
        bytes_share(twin->value);
        call_table_add(&copy->calls, twin);
    }
    copy->queue = NULL;
    for (call = client->queue; call; call = call->next) {
        struct call *twin = client_calls_find(copy, call->tag);

        DL_APPEND(copy->queue, twin);
    }
}

static struct node *client_clone(const struct node *node)
{
    const struct client *client = client_of_const(node);
    size_t size = client->config.sessions_max * sizeof(*client->sessions);
    struct client *copy = memory_new(sizeof(*copy));

    *copy = *client;
    copy->sessions = memory_new(size);
    memcpy(copy->sessions, client->sessions, size);
    clone_calls(client, copy);
    return &copy->node;
}

static void client_release(struct node *node)
{
    struct client *client = client_of(node);
    struct call *first = client->calls.first;
    struct call *call, *next;

    call_table_release(&client->calls);
    DL_FOREACH_SAFE2(first, call, next, after)
    {
        bytes_release(call->key);
        bytes_release(call->value);
        free(call);
    }
    while ((call = client->spare) != NULL) {
        client->spare = call->next;
        free(call);
    }
    free(client->sessions);
    free(client);
}

static void describe_bytes(const struct bytes *bytes, const char *name,
                           struct sink *sink)
{
    sink_bool(sink, name, bytes != NULL);
    if (bytes)
        sink_octets(sink, name, bytes->data, bytes->length);
}

static void describe_call(const struct call *call, struct sink *sink)
{
    sink_open(sink, "call");
    sink_u64(sink, "tag", call->tag);
    sink_u64(sink, "caller_tag", call->call);
    sink_text(sink, "kind", message_name(call->kind));
    describe_bytes(call->key, "key", sink);
    describe_bytes(call->value, "value", sink);
    sink_u64(sink, "cursor", call->cursor);
    sink_u64(sink, "ticks_left", call->ticks_left);
    sink_u64(sink, "session", call->session);
    sink_u64(sink, "seq", call->seq);
    sink_u64(sink, "sent", call->sent);
    peer_describe(&call->to, "to", sink);
    sink_u64(sink, "wait", call->wait);
    sink_u64(sink, "pause", call->pause);
    sink_bool(sink, "refused", call->refused);
    sink_bool(sink, "queued", call->queued);
    sink_close(sink);
}

static void describe_session(const struct client_session *session,
                             struct sink *sink)
{
    sink_open(sink, "session");
    sink_u64(sink, "state", session->state);
    sink_u64(sink, "id", session->id);
    sink_u64(sink, "seq", session->seq);
    sink_u64(sink, "tag", session->tag);
    sink_close(sink);
}

/* What is mostly at rest is described only when it is not: fields have names,
 * so nothing is ambiguous, and clients in worlds without strides and losses
 * have the digests that they always had. */
static void describe_haste(const struct client *client, struct sink *sink)
{
    if (client->doubts > 0)
        sink_u64(sink, "doubts", client->doubts);
    if (client->lost)
        sink_bool(sink, "lost", client->lost);
    if (client->stride > 1)
        sink_u64(sink, "stride", client->stride);
    if (client->hurry > 0)
        sink_u64(sink, "hurry", client->hurry);
}

/* The configuration never changes and is left out; opening, idle, busy,
 * waiting, callers and viewers are counts of what is described, and first_idle
 * says where to look for some of it. */
static void client_describe(const struct node *node, struct sink *sink)
{
    const struct client *client = client_of_const(node);
    const struct call *call;

    view_describe(&client->view, "view", sink);
    sink_bool(sink, "view_wanted", client->view_wanted);
    sink_u64(sink, "view_wait", client->view_wait);
    sink_u64(sink, "last_tag", client->last_tag);
    sink_bool(sink, "ticking", client->ticking);
    describe_haste(client, sink);
    for (uint32_t i = 0; i < client->config.sessions_max; i++)
        describe_session(&client->sessions[i], sink);
    for (call = client->calls.first; call; call = call->after)
        describe_call(call, sink);
    for (call = client->queue; call; call = call->next)
        sink_u64(sink, "queued", call->tag);
}

/* Calls are checked one by one at each tick, not at each event: there can be
 * very many. So are sessions when there are many of them. */
static void client_check(const struct node *node)
{
    const struct client *client = client_of_const(node);

    assert(client->calls.count == client->callers + client->opening);
    assert(client->callers <= client->config.calls_max);
    assert(client->viewers + client->waiting <= client->callers);
    assert(client->callers == 0 || client->ticking);
    assert(client->doubts == 0 || client->view_wanted);
    assert(!client->ticking || client->hurry == 0 || client->stride == 1);
    assert(client->view_wait <= client->config.retry_ticks);
    assert(client->view.number == 0 || peer_is_present(&client->view.primary));
    client_sessions_check_counts(client);
    if (client->config.sessions_max <= FEW_SESSIONS)
        client_sessions_check(client);
}

static void client_inspect(const struct node *node,
                           struct inspection *inspection)
{
    const struct client *client = client_of_const(node);

    assert(!inspection->role);
    inspection->role = "client";
    inspection->view = client->view;
    for (uint32_t i = 0; i < client->config.sessions_max; i++)
        inspection->sessions += client->sessions[i].id > 0;
}

static const struct node_type client_type = {
    .name = "client",
    .on_start = client_on_start,
    .on_message = client_on_message,
    .on_timer = client_on_timer,
    .clone = client_clone,
    .release = client_release,
    .describe = client_describe,
    .check = client_check,
    .inspect = client_inspect,
};
