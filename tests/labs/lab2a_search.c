/* SPDX-License-Identifier: MIT */
/*
 * lab2a_search: see lab2a_search.h. A server here is a few lines: it pings, it
 * adopts newer views, and the state is one bit. The primary of view 1 has it;
 * a primary gives it to its backup with a Forward and acknowledges the view
 * when a ForwardAck of that view has come (T2). Who is not primary, forgets it.
 *
 * So one can see what the rules of the view service are for: whoever it makes
 * primary has the state. Besides that, everybody is told the same view of a
 * number, and consecutive views fit together (V2, V7).
 */
#include "tests/labs/lab2a_search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "sim/explorer.h"
#include "sim/roles.h"
#include "tests/labs/search.h"
#include "viewservice/view_server.h"

enum {
    PING_MS = 100,
    PING_TIMER = 0,
    VIEWS = 8, /* of which a server remembers what it was told */
    SERVERS = 3,
    ALL_NODES = UINT32_MAX,
};

struct pinger {
    struct node node;
    struct peer self;
    struct view view;
    uint64_t acknowledged;
    bool has_state;
    bool told_two; /* different views of one number */
    struct view told[VIEWS];
};

static const struct node_type pinger_type;

static struct pinger *pinger_of(struct node *node)
{
    assert(node->type == &pinger_type);
    return (struct pinger *)node;
}

static const struct pinger *pinger_at(const struct explorer_view *view,
                                      uint32_t index)
{
    const struct node *node = view->nodes[index];

    return node && node->type == &pinger_type
               ? (const struct pinger *)(const void *)node
               : NULL;
}

/* ---- A server -------------------------------------------------------------
 */

static void send_number(struct env *env, const struct peer *to,
                        Pbkv__Body__KindCase kind, uint64_t number)
{
    Pbkv__Ping ping = PBKV__PING__INIT;
    Pbkv__Forward forward = PBKV__FORWARD__INIT;
    Pbkv__ForwardAck ack = PBKV__FORWARD_ACK__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    body.kind_case = kind;
    ping.view = forward.view = ack.view = number;
    forward.first = 1;
    if (kind == PBKV__BODY__KIND_PING)
        body.ping = &ping;
    else if (kind == PBKV__BODY__KIND_FORWARD)
        body.forward = &forward;
    else
        body.forward_ack = &ack;
    env_send(env, to, &body);
}

static bool is_primary(const struct pinger *pinger)
{
    return peer_equal(&pinger->view.primary, &pinger->self);
}

static void on_ping_timer(struct node *node, struct env *env, unsigned slot)
{
    const struct pinger *pinger = pinger_of(node);
    struct peer service = peer_at("vs", 0);

    (void)slot;
    send_number(env, &service, PBKV__BODY__KIND_PING, pinger->acknowledged);
    if (is_primary(pinger) && pinger->has_state &&
        pinger->acknowledged < pinger->view.number)
        send_number(env, &pinger->view.backup, PBKV__BODY__KIND_FORWARD,
                    pinger->view.number);
    env_set_timer(env, PING_TIMER, PING_MS, PING_MS);
}

static void on_start(struct node *node, struct env *env)
{
    on_ping_timer(node, env, PING_TIMER);
}

static void adopt(struct pinger *pinger, const struct view *view)
{
    pinger->view = *view;
    if (!is_primary(pinger))
        pinger->has_state = false;
    else if (view->number == 1)
        pinger->has_state = true;
    if (!is_primary(pinger) ||
        (pinger->has_state && !peer_is_present(&view->backup)))
        pinger->acknowledged = view->number;
}

static void hear(struct pinger *pinger, const struct view *view)
{
    if (view->number == 0)
        return;
    if (view->number < VIEWS) {
        struct view *told = &pinger->told[view->number];

        pinger->told_two |= told->number > 0 && !view_equal(told, view);
        *told = *view;
    }
    if (view->number > pinger->view.number)
        adopt(pinger, view);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct pinger *pinger = pinger_of(node);
    struct view view;

    if (body->kind_case == PBKV__BODY__KIND_VIEW_REPLY) {
        if (view_from_message(body->view_reply->view, &view) == 0)
            hear(pinger, &view);
    } else if (body->kind_case == PBKV__BODY__KIND_FORWARD) {
        if (body->forward->view != pinger->view.number ||
            !peer_equal(&pinger->view.backup, &pinger->self))
            return;
        pinger->has_state = true;
        send_number(env, from, PBKV__BODY__KIND_FORWARD_ACK,
                    pinger->view.number);
    } else if (body->kind_case == PBKV__BODY__KIND_FORWARD_ACK) {
        if (body->forward_ack->view == pinger->view.number &&
            is_primary(pinger))
            pinger->acknowledged = pinger->view.number;
    }
}

static struct node *pinger_clone(const struct node *node)
{
    struct pinger *copy = memory_new(sizeof(*copy));

    memcpy(copy, node, sizeof(*copy));
    return &copy->node;
}

static void pinger_release(struct node *node)
{
    free(pinger_of(node));
}

static void pinger_describe(const struct node *node, struct sink *sink)
{
    const struct pinger *pinger = (const struct pinger *)(const void *)node;

    peer_describe(&pinger->self, "self", sink);
    view_describe(&pinger->view, "view", sink);
    sink_u64(sink, "acknowledged", pinger->acknowledged);
    sink_u64(sink, "has_state", pinger->has_state);
    sink_u64(sink, "told_two", pinger->told_two);
    for (size_t i = 0; i < VIEWS; i++)
        view_describe(&pinger->told[i], "told", sink);
}

static void pinger_check(const struct node *node)
{
    const struct pinger *pinger = (const struct pinger *)(const void *)node;

    assert(pinger->acknowledged <= pinger->view.number);
    (void)pinger;
}

static void pinger_inspect(const struct node *node,
                           struct inspection *inspection)
{
    const struct pinger *pinger = (const struct pinger *)(const void *)node;

    inspection->role = "server";
    inspection->view = pinger->view;
}

static const struct node_type pinger_type = {
    .name = "a server that pings",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_ping_timer,
    .clone = pinger_clone,
    .release = pinger_release,
    .describe = pinger_describe,
    .check = pinger_check,
    .inspect = pinger_inspect,
};

static struct node *pinger_birth(const void *context, const struct peer *self,
                                 const struct bytes *record)
{
    struct pinger *pinger = memory_new(sizeof(*pinger));

    (void)context;
    (void)record;
    pinger->node.type = &pinger_type;
    pinger->self = *self;
    return &pinger->node;
}

/* ---- Judgement ------------------------------------------------------------
 */

static const char *rule_primary_has_state(const struct explorer_view *view)
{
    struct inspection service = search_inspect(view->nodes[0]);

    for (uint32_t i = 1; i < view->count && service.view.number > 1; i++) {
        const struct pinger *pinger = pinger_at(view, i);

        if (pinger && peer_equal(&pinger->self, &service.view.primary) &&
            !pinger->has_state)
            return "the view's primary is a server that does not have the "
                   "state (V2, V3, V8)";
    }
    return NULL;
}

/* Collects what all were told, by number; returns what is wrong with it. */
static const char *collect(const struct explorer_view *view,
                           struct view known[VIEWS])
{
    struct inspection service = search_inspect(view->nodes[0]);

    if (service.view.number < VIEWS)
        known[service.view.number] = service.view;
    for (uint32_t i = 1; i < view->count; i++) {
        const struct pinger *pinger = pinger_at(view, i);

        if (pinger && pinger->told_two)
            return "a server was told two views of one number (V11)";
        for (size_t n = 1; pinger && n < VIEWS; n++) {
            if (pinger->told[n].number == 0)
                continue;
            if (known[n].number && !view_equal(&known[n], &pinger->told[n]))
                return "there are two different views of one number (V11)";
            known[n] = pinger->told[n];
        }
    }
    return NULL;
}

static const char *rule_views_fit(const struct explorer_view *view)
{
    struct view known[VIEWS] = {{0}};
    const char *wrong = collect(view, known);

    for (size_t n = 1; n + 1 < VIEWS && !wrong; n++) {
        const struct view *last = &known[n];
        const struct view *next = &known[n + 1];

        if (last->number == 0 || next->number == 0)
            continue;
        if (!peer_equal(&next->primary, &last->primary) &&
            !peer_equal(&next->primary, &last->backup))
            wrong = "a view's primary was neither primary nor backup of the "
                    "view before (V2)";
        else if (peer_equal(&next->primary, &last->primary) &&
                 peer_equal(&next->backup, &last->backup))
            wrong = "two views, one after the other, are the same (V7)";
    }
    return wrong;
}

/* The view of this number is acknowledged. */
static const char *goal_acknowledged(const struct explorer_view *view)
{
    struct inspection service = search_inspect(view->nodes[0]);

    return service.view.number >= view->parameter &&
                   search_is_acknowledged(&service)
               ? "the view is acknowledged"
               : NULL;
}

/* ---- Searching ------------------------------------------------------------
 */

static void search(struct lab *lab, uint32_t servers, bool service_dies)
{
    static const char *const names[SERVERS] = {"s1", "s2", "s3"};
    static const struct view_server_config config = {
        PING_MS, VIEW_SERVER_DEAD_PINGS_MIN};
    static const struct explorer_rule invariants[] = {
        {"the primary has the state", rule_primary_has_state, ALL_NODES, 0,
         NULL},
        {"views fit together", rule_views_fit, ALL_NODES, 0, NULL},
        {NULL, NULL, 0, 0, NULL}};
    static const struct explorer_rule goals[] = {
        {"view 2 is acknowledged", goal_acknowledged, 1, 2, NULL},
        {NULL, NULL, 0, 0, NULL}};
    static const struct explorer_rule prunes[] = {
        {"views", search_prune_views, 1, 5, NULL}, {NULL, NULL, 0, 0, NULL}};
    struct explorer_node nodes[1 + SERVERS] = {{
        .address = "vs",
        .birth = roles_view_service,
        .context = &config,
        .crashes = service_dies,
        .restarts = service_dies,
    }};
    struct explorer_search how = {
        .invariants = invariants, .goals = goals, .threads = 1};
    struct explorer *explorer;

    for (uint32_t i = 0; i < servers; i++)
        nodes[1 + i] = (struct explorer_node){
            .address = names[i],
            .birth = pinger_birth,
            .crashes = !service_dies,
            .restarts = !service_dies,
        };
    explorer = explorer_new(nodes, 1 + servers, false, 0);
    how.prunes = prunes;
    search_go_to(lab, explorer, &how, true);
    how.goals = NULL;
    how.crash_budget = 2;
    search_look(lab, explorer, &how, 20000, 3000);
    explorer_free(explorer);
}

void lab2a_search_two(struct lab *lab)
{
    search(lab, 2, false);
}

void lab2a_search_three(struct lab *lab)
{
    search(lab, 3, false);
}

void lab2a_search_restarts(struct lab *lab)
{
    search(lab, 3, true);
}
