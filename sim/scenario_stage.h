/* SPDX-License-Identifier: MIT */
/*
 * scenario_stage: the world of a scenario: actors by their names, what clients
 * have under way, the rules about single messages, and how often each event has
 * happened to whom. For the files of the scenario only; scenario.c reads the
 * script and moves all this.
 */
#ifndef SIM_SCENARIO_STAGE_H
#define SIM_SCENARIO_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/message.h"
#include "pbserver/server.h"
#include "sim/invariants.h"
#include "sim/world.h"
#include "viewservice/view_record.h"

enum {
    STAGE_ACTORS_MAX = 16,
    STAGE_NAME_MAX = 16, /* octets of a name with its zero */
    STAGE_RULES_MAX = 32,
    STAGE_EVENTS_MAX = 256, /* pairs of host and event */
    STAGE_RESULT_MAX = 128, /* octets of an operation's result, cut */
    STAGE_TICK_MS = 10,     /* of clients */
};

enum stage_role { STAGE_VIEW_SERVICE, STAGE_SERVER, STAGE_CLIENT };

struct stage_actor {
    char name[STAGE_NAME_MAX];
    enum stage_role role;
    bool started;
    size_t host; /* in the world, once it is started */
    struct server_config config;

    /* Of a client: its operation. */
    bool waiting;
    uint64_t call;
    char result[STAGE_RESULT_MAX]; /* "": it has begun nothing yet */
};

enum stage_action {
    STAGE_DELIVER,
    STAGE_DROP,
    STAGE_DUPLICATE,
    STAGE_HOLD,
    STAGE_COPY,
    STAGE_SPOIL, /* a Chunk whose digest becomes wrong */
    STAGE_CRASH_BEFORE,
    STAGE_CRASH_AFTER,
};

#define STAGE_EVERY UINT32_MAX

/* What is to happen to messages of a kind on a link; NULL and 0 are any. */
struct stage_rule {
    enum stage_action action;
    Pbkv__Body__KindCase what;
    const struct stage_actor *from;
    const struct stage_actor *to;
    uint32_t left; /* messages yet to meet; STAGE_EVERY: no end */
    size_t line;   /* of the script */
};

struct stage_event {
    size_t host;
    const char *name;
    uint64_t count;
};

struct stage {
    struct world *world;
    struct invariants invariants;
    struct stage_actor actors[STAGE_ACTORS_MAX];
    size_t actor_count;
    size_t started;              /* actors that are hosts */
    struct server_config config; /* of servers that start later */
    struct stage_rule rules[STAGE_RULES_MAX];
    size_t rule_count;
    struct world_message *held; /* each with a reference to its body */
    size_t held_count;
    struct arena arena; /* for spoiling */
    bool spoiled;       /* some digest was wrong, and may be found wrong */
    struct stage_event events[STAGE_EVENTS_MAX];
    size_t event_count;
};

/* Returns a stage with a view service, vs. The caller frees it. */
struct stage *stage_new(void);
void stage_free(struct stage *stage);

/* Adds an actor that is not started, or returns NULL when the name is too long
 * or taken, or there are too many. A client is started at once. */
struct stage_actor *stage_add(struct stage *stage, const char *name,
                              enum stage_role role);
void stage_start(struct stage *stage, struct stage_actor *actor);

/* Returns the actor with a name, or NULL. */
struct stage_actor *stage_find(struct stage *stage, const char *name);

/* Return the role's state while the actor is up, or NULL. */
const struct server *stage_server(const struct stage *stage,
                                  const struct stage_actor *actor);
const struct view_record *stage_record(const struct stage *stage);

/* Begins a client's operation: kind is PBKV__BODY__KIND_GET, _PUT or _APPEND,
 * value "" for a Get. */
void stage_call(struct stage *stage, struct stage_actor *client,
                Pbkv__Body__KindCase kind, const char *key, const char *value,
                uint64_t deadline_ms);

/* Adds a rule; returns false when there are too many. */
bool stage_add_rule(struct stage *stage, const struct stage_rule *rule);

/* Sends all that is held, in its order, and holds nothing more; ends all rules.
 */
void stage_release(struct stage *stage);
void stage_pass(struct stage *stage);

/* Returns how often an event has happened to an actor, or, when it is NULL, to
 * all of them. */
uint64_t stage_events(const struct stage *stage,
                      const struct stage_actor *actor, const char *name);

#endif
