/* SPDX-License-Identifier: MIT */
/*
 * lab2b_search: schedules of small stores, all of them up to a bound and then
 * random ones beyond it. The explorer decides which message comes next; it
 * needs clone and describe of the role (node/node.h) and nothing else of it.
 *
 * The nodes are the view service, the servers and scripted clients. Goals and
 * bounds look at them through inspect; the one invariant is what clients can
 * see: their answers are linearizable.
 *
 * A search begins where a store of two is formed, and with what was on the way
 * forgotten, which is one of the things that may happen. Servers' timers are
 * off in the breadth-first part: loss is a message that never comes, and what
 * a repetition does is seen when a message comes twice.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "sim/explorer.h"
#include "sim/roles.h"
#include "sim/script.h"
#include "tests/labs/lab2b.h"
#include "tests/labs/search.h"
#include "viewservice/view_server.h"

enum {
    NODES_MAX = 6,
    ALL_TIMERS = 0xff,
    ALL_NODES = UINT32_MAX, /* for a rule's eyes */
    ANY_VIEW = UINT32_MAX,  /* no bound of views */
};

struct search {
    struct lab *lab;
    struct view_server_config view_config;
    struct server_config server_config;
    struct script_config scripts[2];
    struct explorer_node nodes[NODES_MAX];
    uint32_t count;
    uint32_t servers;
    uint32_t clients;
    struct explorer *explorer;
    struct explorer_rule invariants[2];
    struct explorer_rule goals[2];
    struct explorer_rule prunes[3];
};

/* ---- What can be seen -----------------------------------------------------
 */

static const char *rule_answers(const struct explorer_view *view)
{
    return script_nodes_are_linearizable(view->nodes, view->count)
               ? NULL
               : "what the clients were told is not linearizable (P4, P6)";
}

/* The view service's view has the parameter's number, with a backup, and its
 * primary has pinged it (V3), so the backup has the state (T2). */
static const char *goal_settled(const struct explorer_view *view)
{
    struct inspection service = search_inspect(view->nodes[0]);

    return service.view.number >= view->parameter &&
                   peer_is_present(&service.view.backup) &&
                   search_is_acknowledged(&service)
               ? "the view is acknowledged"
               : NULL;
}

/* Every client has ended its first operation. */
static const char *goal_answered(const struct explorer_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const struct script *script = script_of(view->nodes[i]);

        if (script && script->ended == 0)
            return NULL;
    }
    return "the clients have their first answers";
}

static const char *prune_operations(const struct explorer_view *view)
{
    for (uint32_t i = 1; i < view->count; i++) {
        if (view->nodes[i] && !script_of(view->nodes[i]) &&
            search_inspect(view->nodes[i]).applied > view->parameter)
            return "too many operations";
    }
    return NULL;
}

/* ---- The system -----------------------------------------------------------
 */

static void add_servers(struct search *search, uint32_t count)
{
    static const char *const names[] = {"s1", "s2", "s3"};

    for (uint32_t i = 0; i < count; i++) {
        search->servers |= 1u << search->count;
        search->nodes[search->count++] = (struct explorer_node){
            .address = names[i],
            .birth = roles_server,
            .context = &search->server_config,
        };
    }
}

static void add_client(struct search *search, uint32_t index,
                       const struct script_op *ops, uint32_t count)
{
    static const char *const names[] = {"client:1", "client:2"};

    search->scripts[index] = (struct script_config){
        .client = {.view_service = peer_at("vs", 0).address,
                   .tick_ms = 100,
                   .retry_ticks = 1,
                   .sessions_max = 1,
                   .queue_max = 1,
                   .calls_max = 1},
        .ops = ops,
        .count = count,
    };
    search->clients |= 1u << search->count;
    search->nodes[search->count++] = (struct explorer_node){
        .address = names[index],
        .birth = script_birth,
        .context = &search->scripts[index],
        .wants = script_wants,
        .act = script_act,
        .progress = script_progress,
    };
}

/* The search must not move. */
static void search_init(struct search *search, struct lab *lab,
                        uint32_t servers)
{
    *search = (struct search){
        .lab = lab,
        .view_config = {PING_MS, VIEW_SERVER_DEAD_PINGS_MIN},
        .server_config = server_config_default(),
    };
    search->server_config.view_service = peer_at("vs", 0).address;
    search->nodes[search->count++] = (struct explorer_node){
        .address = "vs",
        .birth = roles_view_service,
        .context = &search->view_config,
    };
    add_servers(search, servers);
    search->invariants[0] = (struct explorer_rule){
        "linearizable answers", rule_answers, ALL_NODES, 0, NULL};
}

/* ---- Searching ------------------------------------------------------------
 */

static struct explorer_search how_to(struct search *search)
{
    memset(search->goals, 0, sizeof(search->goals));
    memset(search->prunes, 0, sizeof(search->prunes));
    return (struct explorer_search){
        .invariants = search->clients ? search->invariants : NULL,
        .goals = search->goals,
        .prunes = search->prunes,
        .threads = 1,
    };
}

/* Goes to where a judgement of these nodes finds its goal. */
static void go_to(struct search *search, struct explorer_search *how,
                  const struct explorer_rule *goal, bool forget)
{
    search->goals[0] = *goal;
    search_go_to(search->lab, search->explorer, how, forget);
}

static void go_to_settled(struct search *search, uint64_t number)
{
    const struct explorer_rule settled = {
        "a view with a backup is acknowledged", goal_settled, 1, number, NULL};
    struct explorer_search how = how_to(search);

    how.nodes_off = search->clients | 8u * (search->servers >> 3 & 1);
    search->prunes[0] =
        (struct explorer_rule){"views", search_prune_views, 1, number, NULL};
    go_to(search, &how, &settled, true);
}

static void timers_off(const struct search *search, struct explorer_search *how)
{
    for (uint32_t i = 0; i < search->count; i++)
        how->timers_off[i] = ALL_TIMERS;
}

static void start(struct search *search)
{
    search->explorer = explorer_new(search->nodes, search->count, false, 0);
}

/* Looks around from here, up to a number of views and operations, and ends the
 * search. */
static void look(struct search *search, struct explorer_search *how,
                 uint64_t views, uint64_t operations, uint64_t walks)
{
    search->prunes[0] =
        (struct explorer_rule){"views", search_prune_views, 1, views, NULL};
    search->prunes[1] = (struct explorer_rule){
        "operations", prune_operations, search->servers, operations, NULL};
    search_look(search->lab, search->explorer, how, 15000, walks);
    explorer_free(search->explorer);
}

/* Looks at what clients do in view 2, and random walks beyond it. */
static void look_at_steady_view(struct search *search, uint64_t operations)
{
    struct explorer_search how;

    start(search);
    go_to_settled(search, 2);
    how = how_to(search);
    timers_off(search, &how);
    look(search, &how, ANY_VIEW, operations, 400);
}

void lab2b_search_one_client(struct lab *lab)
{
    static const struct script_op ops[] = {{SCRIPT_PUT, "x", "a"},
                                           {SCRIPT_APPEND, "x", "b"},
                                           {SCRIPT_GET, "x", NULL}};
    struct search search;

    search_init(&search, lab, 2);
    add_client(&search, 0, ops, 3);
    look_at_steady_view(&search, 5);
}

void lab2b_search_two_clients(struct lab *lab)
{
    static const struct script_op one[] = {{SCRIPT_APPEND, "x", "a"},
                                           {SCRIPT_GET, "x", NULL}};
    static const struct script_op two[] = {{SCRIPT_APPEND, "x", "b"},
                                           {SCRIPT_GET, "x", NULL}};
    struct search search;

    search_init(&search, lab, 2);
    add_client(&search, 0, one, 2);
    add_client(&search, 1, two, 2);
    look_at_steady_view(&search, 6);
}

/* Goes from settled in view 2 to a first answer, then to where the view service
 * has given the primary up, which does not know it. */
static void go_to_failover(struct search *search)
{
    static const struct explorer_rule answered = {
        "the clients have an answer", goal_answered, ALL_NODES, 0, NULL};
    static const struct explorer_rule taken_over = {
        "the backup takes over", search_goal_view, 1, 3, NULL};
    struct explorer_search how = how_to(search);

    timers_off(search, &how);
    for (uint32_t i = 0; i < search->count; i++) {
        if (search->clients >> i & 1)
            how.timers_off[i] = 0;
    }
    go_to(search, &how, &answered, true);
    how = how_to(search);
    how.nodes_off = search->clients | 2; /* s1 sleeps */
    go_to(search, &how, &taken_over, false);
}

void lab2b_search_failover(struct lab *lab)
{
    static const struct script_op one[] = {{SCRIPT_APPEND, "x", "a"},
                                           {SCRIPT_APPEND, "x", "b"}};
    static const struct script_op two[] = {{SCRIPT_GET, "x", NULL},
                                           {SCRIPT_GET, "x", NULL},
                                           {SCRIPT_GET, "x", NULL}};
    struct search search;
    struct explorer_search how;

    search_init(&search, lab, 2);
    add_client(&search, 0, one, 2);
    add_client(&search, 1, two, 3);
    start(&search);
    go_to_settled(&search, 2);
    go_to_failover(&search);
    how = how_to(&search);
    how.timers_off[0] = ALL_TIMERS;
    look(&search, &how, 3, 5, 600);
}

/* The store begins with one server; the state goes to the second while the
 * client is at work. */
void lab2b_search_transfer(struct lab *lab)
{
    static const struct script_op ops[] = {{SCRIPT_APPEND, "x", "a"},
                                           {SCRIPT_APPEND, "x", "b"},
                                           {SCRIPT_GET, "x", NULL}};
    static const struct explorer_rule answered = {
        "the client has an answer", goal_answered, ALL_NODES, 0, NULL};
    static const struct explorer_rule joined = {"s2 becomes backup",
                                                search_goal_view, 1, 2, NULL};
    struct search search;
    struct explorer_search how;

    search_init(&search, lab, 2);
    add_client(&search, 0, ops, 3);
    start(&search);
    how = how_to(&search);
    how.nodes_off = 4; /* s2 sleeps */
    go_to(&search, &how, &answered, true);
    how = how_to(&search);
    how.nodes_off = search.clients;
    go_to(&search, &how, &joined, false);
    how = how_to(&search);
    look(&search, &how, 3, 5, 600);
}
