/* SPDX-License-Identifier: MIT */
/*
 * explorer_systems: small stores to explore, by name, with the invariants that
 * hold across nodes (docs/protocol.md) and the bounds that make them finite.
 *
 * Node 0 is the view service, then come the servers s1, s2, …, then scripted
 * clients. A system is explored in stages: each but the last searches for a
 * goal, such as a view with an installed backup, and the next begins there.
 *
 * Three things in the roles grow without bound when messages are repeated, and
 * are pruned: view numbers; op numbers, since a repeated OpenSession opens one
 * more session; and the primary's rounds and the reads that wait, since a
 * repeated Get asks for one more confirmation, or shares one.
 */
#ifndef SIM_EXPLORER_SYSTEMS_H
#define SIM_EXPLORER_SYSTEMS_H

#include "pbserver/server.h"
#include "sim/explorer.h"
#include "sim/script.h"
#include "viewservice/view_server.h"

enum { SYSTEM_STAGES_MAX = 8, SYSTEM_RULES_MAX = 12 };

/* One stage; all but the last have a goal. */
struct system_stage {
    const char *(*goal)(const struct explorer_view *view);
    uint64_t goal_parameter;
    uint32_t views; /* bound of view numbers */
    uint32_t ops;   /* bound of op numbers */
    uint32_t rounds;
    uint32_t crashes;
    uint32_t clients_off; /* these clients have no events, as bits */
    uint32_t servers_off; /* these servers have no events: bit 0 is s1 */
    bool pings_off;       /* servers do not ping by themselves */
    bool cycles_off;      /* the view service's ping cycles do not end */
    bool resends_off;     /* the primary never sends again */
    bool ticks_off;       /* clients do not repeat by themselves */
    bool short_turns;     /* a turn of a server has one message */
    bool forget;          /* begin with nothing on the way, */
    uint32_t but;         /* … except messages of this kind */
};

struct system_plan {
    const char *name;
    const char *what;
    uint32_t servers;
    uint32_t chunk_octets;  /* 0: so many that one chunk is enough */
    bool view_service_dies; /* and comes back, in stages with crashes */
    const struct script_op *scripts[SCRIPT_CLIENTS_MAX]; /* NULL: no more */
    uint32_t script_counts[SCRIPT_CLIENTS_MAX];
    struct system_stage stages[SYSTEM_STAGES_MAX];
    uint32_t stage_count;
};

/* A system ready to be explored. It must not move. */
struct system {
    const struct system_plan *plan;
    struct view_server_config view_config;
    struct server_config server_config;
    struct script_config scripts[SCRIPT_CLIENTS_MAX];
    struct explorer_node nodes[EXPLORER_NODES_MAX];
    uint32_t count;
    uint32_t servers; /* bits of nodes */
    uint32_t clients; /* bits of nodes */
    struct explorer_rule invariants[SYSTEM_RULES_MAX];
    struct explorer_rule goals[2];
    struct explorer_rule prunes[SYSTEM_RULES_MAX];
};

/* Returns the plans; *count gets their number. */
const struct system_plan *system_plans(uint32_t *count);

/* Returns the plan of this name, or NULL. */
const struct system_plan *system_plan_named(const char *name);

/* Makes a system by its plan, for explorer_new(system->nodes, system->count).
 */
void system_init(struct system *system, const struct system_plan *plan);

/* Writes what a stage needs into search: rules, switches and crash budget. The
 * rules live in the system. */
void system_stage_search(struct system *system, uint32_t stage,
                         struct explorer_search *search);

/* Goes through all stages but the last, each with the search's limits, and
 * makes search that of the last. Returns false when a stage does not reach its
 * goal: then search is that stage's and *result its end, which the caller
 * releases. */
bool system_go_to_last_stage(struct system *system, struct explorer *explorer,
                             struct explorer_search *search,
                             struct explorer_result *result);

#endif
