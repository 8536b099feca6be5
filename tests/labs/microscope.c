/* SPDX-License-Identifier: MIT */
/*
 * microscope: see microscope.h. The search is the explorer's. Going through a
 * schedule with clocks is done here, with nodes of its own: each line of the
 * file is one event, a message is the first one on its way with these octets,
 * and the clocks are plain arrays.
 */
#include "tests/labs/microscope.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"
#include "pbserver/server.h"
#include "sim/path_file.h"
#include "sim/roles.h"
#include "sim/script.h"
#include "tests/labs/search.h"
#include "viewservice/view_server.h"

enum { WALKS = 4000, DEPTH = 120, LINE_MAX_OCTETS = 65536, LATE = 100 };

static const char *const names[MICROSCOPE_NODES] = {"vs", "s1", "s2",
                                                    "client:1", "client:2"};
static const struct script_op appends[] = {{SCRIPT_APPEND, "x", "a"},
                                           {SCRIPT_APPEND, "x", "b"}};
static const struct script_op gets[] = {
    {SCRIPT_GET, "x", NULL}, {SCRIPT_GET, "x", NULL}, {SCRIPT_GET, "x", NULL}};

struct microscope {
    struct view_server_config view_config;
    struct server_config server_config;
    struct script_config scripts[2];
    struct explorer_node nodes[MICROSCOPE_NODES];
    struct explorer *explorer;
    struct explorer_rule invariants[2];
    struct explorer_rule goals[2];
    struct explorer_rule prunes[2];
};

const char *microscope_name(uint32_t node)
{
    return names[node];
}

/* Returns a node's number by its name, or MICROSCOPE_NODES. */
static uint32_t node_named(const char *name)
{
    uint32_t node = 0;

    while (node < MICROSCOPE_NODES && strcmp(names[node], name) != 0)
        node++;
    return node;
}

/* ---- Judgement ------------------------------------------------------------
 */

static const char *judge_answers(const struct explorer_view *view)
{
    return script_nodes_are_linearizable(view->nodes, view->count)
               ? NULL
               : "what the clients were told is not linearizable";
}

static const char *goal_settled(const struct explorer_view *view)
{
    struct inspection service = search_inspect(view->nodes[0]);

    return service.view.number == 2 && search_is_acknowledged(&service)
               ? "view 2 is acknowledged"
               : NULL;
}

static const char *goal_answered(const struct explorer_view *view)
{
    return script_of(view->nodes[3])->ended > 0 &&
                   script_of(view->nodes[4])->ended > 0
               ? "both clients have an answer"
               : NULL;
}

static const char *goal_appended(const struct explorer_view *view)
{
    return script_of(view->nodes[3])->ended == 2 ? "client:1 is done" : NULL;
}

/* ---- The system -----------------------------------------------------------
 */

static void set_nodes(struct microscope *microscope)
{
    struct explorer_node *nodes = microscope->nodes;

    nodes[0] = (struct explorer_node){.birth = roles_view_service,
                                      .context = &microscope->view_config};
    nodes[1] = (struct explorer_node){.birth = roles_server,
                                      .context = &microscope->server_config};
    nodes[2] = nodes[1];
    for (int i = 0; i < 2; i++)
        nodes[3 + i] = (struct explorer_node){
            .birth = script_birth,
            .context = &microscope->scripts[i],
            .wants = script_wants,
            .act = script_act,
            .progress = script_progress,
        };
    for (int i = 0; i < MICROSCOPE_NODES; i++)
        nodes[i].address = names[i];
}

static void configure(struct microscope *microscope)
{
    struct client_config client = {.view_service = peer_at("vs", 0).address,
                                   .tick_ms = 100,
                                   .retry_ticks = 1,
                                   .sessions_max = 1,
                                   .queue_max = 1,
                                   .calls_max = 1};

    microscope->view_config =
        (struct view_server_config){100, VIEW_SERVER_DEAD_PINGS_MIN};
    microscope->server_config = server_config_default();
    microscope->server_config.view_service = client.view_service;
    microscope->scripts[0] = (struct script_config){client, appends, 2};
    microscope->scripts[1] = (struct script_config){client, gets, 3};
    microscope->invariants[0] = (struct explorer_rule){
        "linearizable answers", judge_answers, 8 | 16, 0, NULL};
    set_nodes(microscope);
}

struct microscope *microscope_new(void)
{
    struct microscope *microscope = memory_new(sizeof(*microscope));

    configure(microscope);
    microscope->explorer =
        explorer_new(microscope->nodes, MICROSCOPE_NODES, false, 0);
    return microscope;
}

void microscope_free(struct microscope *microscope)
{
    explorer_free(microscope->explorer);
    free(microscope);
}

/* ---- Finding --------------------------------------------------------------
 */

static struct explorer_search search_of(struct microscope *microscope)
{
    memset(microscope->goals, 0, sizeof(microscope->goals));
    microscope->prunes[0] =
        (struct explorer_rule){"views", search_prune_views, 1, 3, NULL};
    return (struct explorer_search){
        .invariants = microscope->invariants,
        .goals = microscope->goals,
        .prunes = microscope->prunes,
        .threads = 1,
    };
}

/* Goes to the nearest state of a goal; one about the view wants view 3. */
static bool go_to(struct microscope *microscope, struct explorer_search *how,
                  const char *(*goal)(const struct explorer_view *view),
                  uint32_t nodes, bool forget)
{
    struct explorer_result result;
    bool reached;

    microscope->goals[0] = (struct explorer_rule){"goal", goal, nodes, 3, NULL};
    result = explorer_run(microscope->explorer, how);
    reached = result.end == EXPLORER_GOAL &&
              explorer_start_at(microscope->explorer, &result.path, forget);
    explorer_result_release(&result);
    return reached;
}

static bool go_to_start(struct microscope *microscope)
{
    struct explorer_search how = search_of(microscope);

    how.nodes_off = 8 | 16;
    if (!go_to(microscope, &how, goal_settled, 1, true))
        return false;
    how = search_of(microscope);
    for (int i = 0; i < 3; i++)
        how.timers_off[i] = 0xff;
    if (!go_to(microscope, &how, goal_answered, 8 | 16, false))
        return false;
    how = search_of(microscope);
    how.nodes_off = 2 | 8 | 16;
    if (!go_to(microscope, &how, search_goal_view, 1, false))
        return false;
    how = search_of(microscope);
    how.nodes_off = 2 | 16; /* s1 and client:2 sleep */
    how.timers_off[0] = 0xff;
    return go_to(microscope, &how, goal_appended, 8, false);
}

static bool keep(struct microscope *microscope, struct explorer_result *result,
                 const char *path)
{
    bool found = result->end == EXPLORER_VIOLATION;
    FILE *file = found ? fopen(path, "w") : NULL;

    if (file) {
        explorer_save(microscope->explorer, &result->path, "microscope", file);
        fclose(file);
    }
    explorer_result_release(result);
    return file != NULL;
}

bool microscope_find(struct microscope *microscope, uint64_t states,
                     uint64_t seed, const char *path)
{
    struct explorer_search how;
    struct explorer_result result;

    if (!go_to_start(microscope))
        return false;
    how = search_of(microscope);
    how.timers_off[0] = 0xff;
    how.states = states;
    result = explorer_run(microscope->explorer, &how);
    if (keep(microscope, &result, path))
        return true;
    how.states = 0;
    how.walks = WALKS;
    how.depth = DEPTH;
    how.seed = seed;
    result = explorer_run(microscope->explorer, &how);
    return keep(microscope, &result, path);
}

bool microscope_minimise(struct microscope *microscope, const char *path)
{
    struct explorer_search how = search_of(microscope);
    struct explorer_path schedule = {0};
    FILE *file = fopen(path, "r");
    uint32_t line;
    bool good = file && explorer_load(microscope->explorer, file, &schedule,
                                      &line) == 0;

    if (file)
        fclose(file);
    good = good && schedule.count > 0 &&
           explorer_replay(microscope->explorer, &how, &schedule, NULL);
    if (good) {
        explorer_minimise(microscope->explorer, &how, &schedule);
        file = fopen(path, "w");
        good = file && explorer_save(microscope->explorer, &schedule,
                                     "microscope", file) == 0;
        if (file)
            fclose(file);
    }
    free(schedule.events);
    return good;
}

/* ---- Replaying ------------------------------------------------------------
 */

static size_t count_spare(struct microscope *microscope,
                          const struct explorer_search *how,
                          const struct explorer_path *path)
{
    struct explorer_path shorter = {
        memory_new((path->count + 1) * sizeof(*path->events)), path->count - 1};
    size_t spare = 0;

    for (size_t i = 0; i < path->count; i++) {
        memcpy(shorter.events, path->events, i * sizeof(*path->events));
        memcpy(shorter.events + i, path->events + i + 1,
               (path->count - i - 1) * sizeof(*path->events));
        spare +=
            explorer_replay(microscope->explorer, how, &shorter, NULL) != NULL;
    }
    free(shorter.events);
    return spare;
}

const char *microscope_replay(struct microscope *microscope, const char *path,
                              size_t *events, size_t *spare)
{
    struct explorer_search how = search_of(microscope);
    struct explorer_path schedule = {0};
    const char *sentence = "";
    FILE *file = fopen(path, "r");
    uint32_t line;

    if (!file)
        return sentence;
    if (explorer_load(microscope->explorer, file, &schedule, &line) == 0 &&
        schedule.count > 0) {
        sentence = explorer_replay(microscope->explorer, &how, &schedule, NULL);
        *events = schedule.count;
        *spare = sentence ? count_spare(microscope, &how, &schedule) : 0;
    }
    fclose(file);
    free(schedule.events);
    return sentence;
}

/* ---- Going through with clocks --------------------------------------------
 */

struct on_the_way {
    struct bytes *body;
    Pbkv__Body__KindCase what;
    uint32_t from;
    uint32_t to;
    uint64_t lamport;
    uint64_t vector[MICROSCOPE_NODES];
};

struct walk {
    struct microscope microscope; /* for its configuration only */
    struct node *nodes[MICROSCOPE_NODES];
    struct peer peers[MICROSCOPE_NODES];
    uint64_t lamport[MICROSCOPE_NODES];
    uint64_t vector[MICROSCOPE_NODES][MICROSCOPE_NODES];
    struct on_the_way *way;
    size_t way_count;
    struct env env;
    struct arena arena;
    struct schedule *schedule;
};

static void note_send(struct walk *walk, uint32_t node,
                      const struct effect *effect)
{
    struct on_the_way *message;
    uint32_t to = node_named(effect->send.to.address.text);

    if (to == MICROSCOPE_NODES)
        return;
    walk->way =
        memory_resize(walk->way, (walk->way_count + 1) * sizeof(*walk->way));
    message = &walk->way[walk->way_count++];
    *message = (struct on_the_way){.body = bytes_share(effect->send.body),
                                   .what = effect->send.what,
                                   .from = node,
                                   .to = to,
                                   .lamport = walk->lamport[node]};
    memcpy(message->vector, walk->vector[node], sizeof(message->vector));
}

/* Ends an event: stamps what it sent and notes it. */
static void note_event(struct walk *walk, uint32_t node,
                       Pbkv__Body__KindCase received, const char *text)
{
    struct observed *event;

    for (size_t i = 0; i < walk->env.count; i++) {
        if (walk->env.effects[i].kind == EFFECT_SEND)
            note_send(walk, node, &walk->env.effects[i]);
    }
    if (walk->schedule->count < MICROSCOPE_EVENTS_MAX) {
        event = &walk->schedule->events[walk->schedule->count++];
        *event = (struct observed){
            .node = node, .received = received, .lamport = walk->lamport[node]};
        memcpy(event->vector, walk->vector[node], sizeof(event->vector));
        snprintf(event->text, sizeof(event->text), "%s", text);
        for (size_t i = 0; i < walk->env.count; i++) {
            const struct effect *effect = &walk->env.effects[i];
            uint32_t to = effect->kind == EFFECT_SEND
                              ? node_named(effect->send.to.address.text)
                              : MICROSCOPE_NODES;

            if (to < MICROSCOPE_NODES &&
                effect->send.what == PBKV__BODY__KIND_REPLY)
                event->answers[to] = true;
        }
    }
    env_clear(&walk->env);
}

static void tick(struct walk *walk, uint32_t node,
                 const struct on_the_way *message)
{
    if (message && message->lamport > walk->lamport[node])
        walk->lamport[node] = message->lamport;
    walk->lamport[node]++;
    for (uint32_t i = 0; message && i < MICROSCOPE_NODES; i++) {
        if (i != node && message->vector[i] > walk->vector[node][i])
            walk->vector[node][i] = message->vector[i];
    }
    walk->vector[node][node]++;
}

/* Returns the first message on its way that a line names. */
static const struct on_the_way *find_message(const struct walk *walk,
                                             const struct path_line *line)
{
    for (size_t i = 0; i < walk->way_count; i++) {
        const struct on_the_way *message = &walk->way[i];

        if (message->from == line->from && message->to == line->host &&
            message->body->length == line->length &&
            memcmp(message->body->data, line->body, line->length) == 0)
            return message;
    }
    return NULL;
}

static bool walk_delivery(struct walk *walk, const struct path_line *line)
{
    const struct on_the_way *message = find_message(walk, line);
    char body_text[120];
    char text[160];
    Pbkv__Body *body;

    if (!message || message_decode(&walk->arena, message->body->data,
                                   message->body->length, &body) != 0)
        return false;
    tick(walk, line->host, message);
    message_format(body, body_text, sizeof(body_text));
    snprintf(text, sizeof(text), "receives from %s: %s", names[line->from],
             body_text);
    node_message(walk->nodes[line->host], &walk->env, &walk->peers[line->from],
                 body);
    note_event(walk, line->host, message->what, text);
    return true;
}

/* Plays a line, which it changes. Nobody crashes here. */
static bool walk_line(struct walk *walk, char *text)
{
    struct path_line line;

    text[strcspn(text, "\n")] = '\0';
    if (path_line_read(text, walk->microscope.nodes, MICROSCOPE_NODES, &line) <
        0)
        return false;
    switch (line.kind) {
    case PATH_NOTHING:
    case PATH_SYSTEM:
    case PATH_FORGET: return true;
    case PATH_DELIVER: return walk_delivery(walk, &line);
    case PATH_TIMER:
        tick(walk, line.host, NULL);
        node_timer(walk->nodes[line.host], &walk->env, line.slot);
        note_event(walk, line.host, PBKV__BODY__KIND__NOT_SET,
                   "a timer runs out");
        return true;
    case PATH_ACT:
        if (!script_of(walk->nodes[line.host]))
            return false;
        tick(walk, line.host, NULL);
        script_act(walk->nodes[line.host], &walk->env, 0);
        note_event(walk, line.host, PBKV__BODY__KIND__NOT_SET,
                   "begins its next operation");
        return true;
    default: return false;
    }
}

static void walk_begin(struct walk *walk)
{
    configure(&walk->microscope);
    env_init(&walk->env);
    arena_init_trusted(&walk->arena);
    for (uint32_t i = 0; i < MICROSCOPE_NODES; i++) {
        const struct explorer_node *node = &walk->microscope.nodes[i];

        walk->peers[i] = peer_at(names[i], 1);
        walk->nodes[i] = node->birth(node->context, &walk->peers[i], NULL);
        tick(walk, i, NULL);
        node_start(walk->nodes[i], &walk->env);
        for (size_t j = 0; j < walk->env.count; j++) {
            if (walk->env.effects[j].kind == EFFECT_SEND)
                note_send(walk, i, &walk->env.effects[j]);
        }
        env_clear(&walk->env);
    }
}

bool microscope_observe(const char *path, struct schedule *schedule)
{
    struct walk *walk = memory_new(sizeof(*walk));
    FILE *file = fopen(path, "r");
    char *line = memory_new(LINE_MAX_OCTETS);
    bool good = file != NULL;

    memset(schedule, 0, sizeof(*schedule));
    walk->schedule = schedule;
    walk_begin(walk);
    while (good && fgets(line, LINE_MAX_OCTETS, file))
        good = walk_line(walk, line);
    for (uint32_t i = 0; i < MICROSCOPE_NODES; i++) {
        if (i < 3) /* clients show nothing */
            schedule->views[i] = search_inspect(walk->nodes[i]).view.number;
        node_release(walk->nodes[i]);
    }
    for (size_t i = 0; i < walk->way_count; i++)
        bytes_release(walk->way[i].body);
    free(walk->way);
    env_release(&walk->env);
    arena_release(&walk->arena);
    if (file)
        fclose(file);
    free(line);
    free(walk);
    return good && schedule->count > 0;
}

enum vclock_order microscope_order(const struct observed *a,
                                   const struct observed *b)
{
    bool less = false;
    bool more = false;

    for (int i = 0; i < MICROSCOPE_NODES; i++) {
        less |= a->vector[i] < b->vector[i];
        more |= a->vector[i] > b->vector[i];
    }
    if (less && more)
        return VCLOCK_CONCURRENT;
    return less ? VCLOCK_BEFORE : more ? VCLOCK_AFTER : VCLOCK_EQUAL;
}
