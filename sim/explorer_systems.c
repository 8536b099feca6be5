/* SPDX-License-Identifier: MIT */
/*
 * explorer_systems: the plans as one table, and how a plan becomes nodes and
 * rules.
 */
#include "sim/explorer_systems.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/explorer_rules.h"
#include "sim/roles.h"

static const struct script_op put_append_get[] = {
    {SCRIPT_PUT, "k", "a"}, {SCRIPT_APPEND, "k", "b"}, {SCRIPT_GET, "k", NULL}};
static const struct script_op append_a[] = {{SCRIPT_APPEND, "k", "a"}};
static const struct script_op append_b[] = {{SCRIPT_APPEND, "k", "b"}};
static const struct script_op append_ac[] = {{SCRIPT_APPEND, "k", "a"},
                                             {SCRIPT_APPEND, "k", "c"}};
static const struct script_op append_bd[] = {{SCRIPT_APPEND, "k", "b"},
                                             {SCRIPT_APPEND, "k", "d"}};
static const struct script_op get_get[] = {{SCRIPT_GET, "k", NULL},
                                           {SCRIPT_GET, "k", NULL}};
static const struct script_op append_get[] = {{SCRIPT_APPEND, "k", "a"},
                                              {SCRIPT_GET, "k", NULL}};

#define EVERYBODY UINT32_MAX

#define SCRIPTS1(a) .scripts = {a}, .script_counts = {sizeof(a) / sizeof(a[0])}
#define SCRIPTS2(a, b)                                                         \
    .scripts = {a, b},                                                         \
    .script_counts = {sizeof(a) / sizeof(a[0]), sizeof(b) / sizeof(b[0])}

/* Stages of a plan, which are counted. */
#define STAGES(...)                                                            \
    .stages = {__VA_ARGS__},                                                   \
    .stage_count = sizeof((struct system_stage[]){__VA_ARGS__}) /              \
                   sizeof(struct system_stage)

/* Parts of stages: to a goal in the view of this number, while clients wait; no
 * view changes; what is on the way is lost, all or but for a kind; bounds of op
 * numbers and of rounds. */
#define TO_VIEW(judge, number)                                                 \
    .goal = judge, .goal_parameter = number, .views = number,                  \
    .clients_off = EVERYBODY
#define STEADY           .pings_off = true, .cycles_off = true
#define LOST             .forget = true
#define LOST_BUT(kind)   .forget = true, .but = PBKV__BODY__KIND_##kind
#define BOUND(op, round) .ops = op, .rounds = round

/* The way to view 2 with an installed backup, no client and no third server. */
#define TO_VIEW_2                                                              \
    {                                                                          \
        TO_VIEW(goal_paired_by_s1, 2), .servers_off = 4                        \
    }

/* From there to where every client has its first answer. */
#define TO_AN_ANSWER                                                           \
    {                                                                          \
        .goal = goal_answered, STEADY, .servers_off = 4, LOST                  \
    }

/* From the beginning to there, with s1 alone: the others, by their bits, have
 * not started. */
#define TO_AN_ANSWER_ALONE(others)                                             \
    {                                                                          \
        .goal = goal_answered, .views = 1, .servers_off = others               \
    }

/* From the middle of a view to where the view service is in view number; the
 * primary need not know. */
#define ON_TO_VIEW(number)                                                     \
    {                                                                          \
        .goal = goal_view, .goal_parameter = number, .clients_off = EVERYBODY  \
    }

static const struct system_plan plans[] = {
    {.name = "views2",
     .what = "view service and two servers, from the beginning",
     .servers = 2,
     STAGES({.views = 2})},
    {.name = "views3",
     .what = "view service and three servers, from the beginning to view 2",
     .servers = 3,
     STAGES({.views = 1})},
    {.name = "views3-on",
     .what = "three servers, from view 2 with its backup to view 3",
     .servers = 3,
     STAGES(TO_VIEW_2, {.views = 2, LOST})},
    {.name = "views3-crash",
     .what = "three servers, one of which dies, from view 2 to view 3",
     .servers = 3,
     STAGES(TO_VIEW_2, {.views = 2, .crashes = 1, LOST})},
    {.name = "one-client",
     .what = "Put, Append, Get over primary and backup",
     .servers = 2,
     SCRIPTS1(put_append_get),
     STAGES(TO_VIEW_2, {BOUND(4, 2), STEADY, LOST})},
    {.name = "two-clients",
     .what = "two clients append once each to one key",
     .servers = 2,
     SCRIPTS2(append_a, append_b),
     STAGES(TO_VIEW_2, {BOUND(4, 1), STEADY, .ticks_off = true, LOST})},
    {.name = "two-clients-2",
     .what = "two clients append twice each to one key; no batches",
     .servers = 2,
     SCRIPTS2(append_ac, append_bd),
     STAGES(TO_VIEW_2, {BOUND(6, 1), STEADY, .ticks_off = true,
                        .short_turns = true, LOST})},
    {.name = "failover-op",
     .what = "the view changes while an Append is under way; then a Get",
     .servers = 2,
     SCRIPTS1(append_get),
     STAGES(TO_VIEW_2,
            {.goal = goal_under_way, .goal_parameter = 2, STEADY, LOST},
            ON_TO_VIEW(3), {.views = 3, BOUND(2, 1), .cycles_off = true})},
    {.name = "failover-transfer",
     .what = "the backup takes over and sends the state to a third server",
     .servers = 3,
     SCRIPTS1(append_get),
     STAGES(TO_VIEW_2, TO_AN_ANSWER, {TO_VIEW(goal_transferring, 3), LOST},
            {.views = 3, BOUND(2, 1), .cycles_off = true, .ticks_off = true})},
    {.name = "two-failovers",
     .what = "from s1 to s2 and back to s1, with s2 deposed unknowingly",
     .servers = 2,
     SCRIPTS1(append_get),
     STAGES(TO_VIEW_2, TO_AN_ANSWER, {TO_VIEW(goal_swapped, 4), LOST},
            ON_TO_VIEW(5), {.views = 5, BOUND(2, 1), .cycles_off = true})},
    {.name = "stale-read",
     .what = "a client goes on reading from a primary that was replaced",
     .servers = 2,
     SCRIPTS2(append_ac, get_get),
     STAGES(TO_VIEW_2,
            {.goal = goal_ended,
             .goal_parameter = 0x1,
             .clients_off = 2,
             STEADY,
             LOST},
            {.goal = goal_ended,
             .goal_parameter = 0x11,
             .clients_off = 1,
             STEADY,
             LOST},
            {TO_VIEW(goal_taken_over, 3), .servers_off = 1, LOST},
            {.views = 3, BOUND(3, 2), STEADY, .resends_off = true, LOST})},
    {.name = "stale-forward",
     .what = "Forwards of view 2 are still on the way in view 6",
     .servers = 2,
     SCRIPTS2(append_a, append_b),
     STAGES(TO_VIEW_2,
            {.goal = goal_two_under_way, .goal_parameter = 4, STEADY, LOST},
            {TO_VIEW(goal_swapped, 4), LOST_BUT(FORWARD)},
            {TO_VIEW(goal_view, 5), .servers_off = 2, LOST_BUT(FORWARD)},
            {TO_VIEW(goal_paired, 6), LOST_BUT(FORWARD)},
            {BOUND(4, 1), STEADY, .resends_off = true, LOST_BUT(FORWARD)})},
    {.name = "stale-ack",
     .what = "the end of the transfer of view 2 is still on the way in view 4",
     .servers = 2,
     SCRIPTS1(append_get),
     STAGES(
         TO_AN_ANSWER_ALONE(2), {TO_VIEW(goal_paired, 2), LOST},
         {.goal = goal_view,
          .goal_parameter = 3,
          .clients_off = EVERYBODY,
          .servers_off = 2,
          LOST_BUT(CHUNK_ACK)},
         {TO_VIEW(goal_transferring, 4), LOST_BUT(CHUNK_ACK)},
         {.views = 4, BOUND(2, 1), .cycles_off = true, LOST_BUT(CHUNK_ACK)})},
    {.name = "transfer",
     .what = "operations during a state transfer in small chunks",
     .servers = 2,
     .chunk_octets = 1,
     SCRIPTS1(put_append_get),
     STAGES(TO_AN_ANSWER_ALONE(2), {TO_VIEW(goal_transferring, 2), LOST},
            {.views = 2, BOUND(3, 1), STEADY})},
    {.name = "view-restart",
     .what = "the view service dies and goes on from its record",
     .servers = 2,
     .view_service_dies = true,
     STAGES({.views = 1, .crashes = 1})},
    {.name = "backup-dies",
     .what = "the backup dies while it receives the state",
     .servers = 3,
     SCRIPTS1(append_get),
     STAGES(TO_AN_ANSWER_ALONE(6),
            {TO_VIEW(goal_transferring, 2), .servers_off = 4, LOST},
            {TO_VIEW(goal_backup_is_down, 3), .crashes = 1},
            {.views = 3, BOUND(2, 1), .cycles_off = true})},
};

const struct system_plan *system_plans(uint32_t *count)
{
    *count = sizeof(plans) / sizeof(plans[0]);
    return plans;
}

const struct system_plan *system_plan_named(const char *name)
{
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        if (strcmp(plans[i].name, name) == 0)
            return &plans[i];
    }
    return NULL;
}

/* ---- Nodes ---- */

static void add_servers(struct system *system)
{
    static const char *const names[] = {"s1", "s2", "s3", "s4"};

    assert(system->plan->servers <= sizeof(names) / sizeof(names[0]));
    for (uint32_t i = 0; i < system->plan->servers; i++) {
        system->servers |= (uint32_t)1 << system->count;
        system->nodes[system->count++] = (struct explorer_node){
            .address = names[i],
            .birth = roles_server,
            .context = &system->server_config,
            .crashes = true,
        };
    }
}

static void add_clients(struct system *system)
{
    static const char *const names[SCRIPT_CLIENTS_MAX] = {
        "client:1", "client:2", "client:3", "client:4"};
    const struct system_plan *plan = system->plan;

    for (uint32_t i = 0; i < SCRIPT_CLIENTS_MAX && plan->scripts[i]; i++) {
        system->scripts[i] = (struct script_config){
            .client = {.view_service = peer_at("view", 0).address,
                       .tick_ms = 100,
                       .retry_ticks = 1,
                       .sessions_max = 1,
                       .queue_max = 1,
                       .calls_max = 1},
            .ops = plan->scripts[i],
            .count = plan->script_counts[i],
        };
        system->clients |= (uint32_t)1 << system->count;
        system->nodes[system->count++] = (struct explorer_node){
            .address = names[i],
            .birth = script_birth,
            .context = &system->scripts[i],
            .wants = script_wants,
            .act = script_act,
            .progress = script_progress,
        };
    }
}

static void set_invariants(struct system *system)
{
    uint32_t servers = system->servers;
    uint32_t clients = system->clients;
    struct explorer_rule rules[] = {
        {"one primary in a view", rule_one_primary, servers, 0, aspect_servers},
        {"same state at the same op number", rule_same_state, servers, 0,
         aspect_servers},
        {"views come from the view service", rule_known_views, servers | 1, 0,
         aspect_view_number},
        {"views follow each other", rule_views_follow, servers | 1, 0,
         aspect_views},
        {"the backup of an acknowledged view has the state",
         rule_acknowledged_has_state, servers | 1, 0, aspect_views},
        {"committed operations survive", rule_committed_survives, servers, 0,
         aspect_servers},
        {"every operation takes effect once", rule_applied_once, servers, 0,
         aspect_servers},
        {"linearizable histories", rule_linearizable, clients, 0,
         aspect_history},
        {"answered operations survive", rule_answered_survives,
         servers | clients | 1, 0, aspect_answers},
    };
    size_t used = clients ? sizeof(rules) / sizeof(rules[0]) : 5;

    assert(sizeof(rules) / sizeof(rules[0]) < SYSTEM_RULES_MAX);
    memcpy(system->invariants, rules, used * sizeof(rules[0]));
}

void system_init(struct system *system, const struct system_plan *plan)
{
    memset(system, 0, sizeof(*system));
    system->plan = plan;
    system->view_config =
        (struct view_server_config){100, VIEW_SERVER_DEAD_PINGS_MIN};
    system->server_config = server_config_default();
    system->server_config.view_service = peer_at("view", 0).address;
    if (plan->chunk_octets > 0)
        system->server_config.chunk_octets = plan->chunk_octets;
    system->nodes[system->count++] = (struct explorer_node){
        .address = "view",
        .birth = roles_view_service,
        .context = &system->view_config,
        .crashes = plan->view_service_dies,
        .restarts = plan->view_service_dies,
    };
    add_servers(system);
    add_clients(system);
    set_invariants(system);
}

/* ---- Stages ---- */

static void set_switches(const struct system *system,
                         const struct system_stage *stage,
                         struct explorer_search *search)
{
    memset(search->timers_off, 0, sizeof(search->timers_off));
    search->nodes_off =
        ((uint64_t)stage->clients_off << (1 + system->plan->servers) &
         system->clients) |
        (stage->servers_off << 1 & system->servers);
    for (uint32_t i = 0; i < system->count; i++) {
        unsigned off = 0;

        if (system->servers >> i & 1) {
            off |= stage->pings_off ? 1u << SERVER_TIMER_PING : 0;
            off |= stage->resends_off ? 1u << SERVER_TIMER_RESEND : 0;
        } else if (system->clients >> i & 1)
            off |= stage->ticks_off ? 1u << CLIENT_TICK : 0;
        else
            off |= stage->cycles_off ? 1u << VIEW_SERVER_TIMER : 0;
        search->timers_off[i] = (uint8_t)off;
    }
}

void system_stage_search(struct system *system, uint32_t stage_number,
                         struct explorer_search *search)
{
    const struct system_stage *stage = &system->plan->stages[stage_number];
    struct explorer_rule *prune = system->prunes;

    assert(stage_number < system->plan->stage_count);
    memset(system->prunes, 0, sizeof(system->prunes));
    memset(system->goals, 0, sizeof(system->goals));
    if (stage->goal)
        system->goals[0] = (struct explorer_rule){
            "goal", stage->goal, UINT32_MAX, stage->goal_parameter, NULL};
    if (stage->views > 0)
        *prune++ = (struct explorer_rule){"views", prune_views, 1, stage->views,
                                          aspect_view_number};
    if (stage->ops > 0)
        *prune++ =
            (struct explorer_rule){"op numbers", prune_ops, system->servers,
                                   stage->ops, aspect_progress};
    if (stage->rounds > 0)
        *prune++ =
            (struct explorer_rule){"rounds", prune_rounds, system->servers,
                                   stage->rounds, aspect_progress};
    search->invariants = system->invariants;
    search->goals = system->goals;
    search->prunes = system->prunes;
    search->crash_budget = stage->crashes;
    search->short_turns = stage->short_turns;
    set_switches(system, stage, search);
}

static uint32_t forgotten(const struct system_stage *stage)
{
    if (!stage->forget)
        return EXPLORER_FORGET_NOTHING;
    return stage->but > 0 ? EXPLORER_FORGET_BUT + stage->but
                          : EXPLORER_FORGET_ALL;
}

bool system_go_to_last_stage(struct system *system, struct explorer *explorer,
                             struct explorer_search *search,
                             struct explorer_result *result)
{
    uint32_t last = system->plan->stage_count - 1;

    for (uint32_t i = 0; i < last; i++) {
        system_stage_search(system, i, search);
        *result = explorer_run(explorer, search);
        if (result->end != EXPLORER_GOAL ||
            !explorer_start_at(explorer, &result->path,
                               forgotten(&system->plan->stages[i + 1])))
            return false;
        explorer_result_release(result);
    }
    system_stage_search(system, last, search);
    return true;
}
