/* SPDX-License-Identifier: MIT */
/*
 * replay: see replay.h. The world's filter takes every message that is sent and
 * keeps it; one that is to arrive is looked for among these and posted, and as
 * the plan has no delay and timers have, it is the next thing that happens.
 */
#include "sim/replay.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_catch.h"
#include "sim/path_file.h"
#include "sim/world.h"

enum { LINE_OCTETS_MAX = 65536, STATUS_VIOLATED = 1, STATUS_NO_PATH = 2 };

struct replay {
    const struct system *system;
    struct world *world;
    struct world_message *sent; /* each with a reference to its body */
    size_t sent_count;
    struct path_line line; /* that is being played */
    bool happened;
    struct replay_result *result;
};

/* ---- Messages ---- */

static bool keep(void *context, const struct world_message *message)
{
    struct replay *replay = context;

    replay->sent = memory_resize(replay->sent, (replay->sent_count + 1) *
                                                   sizeof(*replay->sent));
    replay->sent[replay->sent_count] = *message;
    bytes_share(message->body);
    replay->sent_count++;
    return false;
}

/* Forgets all messages but those of one kind. */
static void forget(struct replay *replay, uint32_t but)
{
    size_t kept = 0;

    for (size_t i = 0; i < replay->sent_count; i++) {
        if (but != 0 && (uint32_t)replay->sent[i].what == but)
            replay->sent[kept++] = replay->sent[i];
        else
            bytes_release(replay->sent[i].body);
    }
    replay->sent_count = kept;
}

static bool is_meant(const struct world_message *message,
                     const struct path_line *line)
{
    return message->from == line->from && message->to == line->host &&
           message->from_life == line->from_life &&
           message->to_life == line->to_life &&
           message->body->length == line->length &&
           memcmp(message->body->data, line->body, line->length) == 0;
}

static bool deliver(struct replay *replay)
{
    const struct path_line *line = &replay->line;

    for (size_t i = 0; i < replay->sent_count; i++) {
        if (!is_meant(&replay->sent[i], line))
            continue;
        world_post(replay->world, &replay->sent[i]);
        return world_step(replay->world, world_now(replay->world));
    }
    return false;
}

/* ---- Other events ---- */

static const struct explorer_node *node_of(const struct replay *replay)
{
    return &replay->system->nodes[replay->line.host];
}

/* What is known of everybody's progress, as explorer_node.act takes it. */
static uint32_t knowledge(const struct replay *replay)
{
    uint32_t known = 0;
    unsigned shift = 0;

    for (uint32_t i = 0; i < replay->system->count; i++) {
        const struct explorer_node *node = &replay->system->nodes[i];

        if (!node->progress)
            continue;
        known |= node->progress(world_node(replay->world, i)) << shift;
        shift += 4;
    }
    return known;
}

static void act_now(void *argument, struct node *node, struct env *env)
{
    const struct replay *replay = argument;

    node_of(replay)->act(node, env, knowledge(replay));
}

static bool act(struct replay *replay)
{
    const struct explorer_node *node = node_of(replay);
    uint32_t host = replay->line.host;

    if (!node->wants || !node->wants(world_node(replay->world, host)))
        return false;
    world_call(replay->world, host, act_now, replay);
    return true;
}

static bool crash(struct replay *replay)
{
    if (!node_of(replay)->crashes ||
        !world_is_up(replay->world, replay->line.host))
        return false;
    world_crash(replay->world, replay->line.host);
    return true;
}

static bool restart(struct replay *replay)
{
    if (!node_of(replay)->restarts ||
        world_is_up(replay->world, replay->line.host))
        return false;
    world_restart(replay->world, replay->line.host);
    return true;
}

static void play_event(void *argument)
{
    struct replay *replay = argument;
    const struct path_line *line = &replay->line;

    replay->happened = false;
    switch (line->kind) {
    case PATH_DELIVER: replay->happened = deliver(replay); break;
    case PATH_LOSE: /* it does not arrive */ replay->happened = true; break;
    case PATH_TIMER:
        replay->happened = world_fire(replay->world, line->host, line->slot);
        break;
    case PATH_CRASH: replay->happened = crash(replay); break;
    case PATH_RESTART: replay->happened = restart(replay); break;
    case PATH_ACT: replay->happened = act(replay); break;
    case PATH_FORGET:
        forget(replay, line->but);
        replay->happened = true;
        break;
    case PATH_NOTHING:
    case PATH_SYSTEM: break;
    }
}

/* ---- Judging ---- */

static const char *judge(const struct replay *replay,
                         const struct explorer_rule *rule)
{
    struct explorer_view view = {.count = replay->system->count,
                                 .parameter = rule->parameter};

    for (uint32_t i = 0; i < view.count; i++) {
        if (rule->nodes >> i & 1)
            view.nodes[i] = world_node(replay->world, i);
    }
    return rule->judge(&view);
}

static void judge_all(struct replay *replay)
{
    const struct explorer_rule *rule = replay->system->invariants;

    for (; !replay->result->sentence && rule->name; rule++) {
        replay->result->sentence = judge(replay, rule);
        replay->result->rule = rule->name;
    }
}

/* Plays the line that was read. Returns the signal with which a role failed, or
 * 0. */
static int play_line(struct replay *replay)
{
    struct replay_result *result = replay->result;
    int number = catch_call(play_event, replay);

    if (number != 0) {
        result->sentence = catch_sentence(number);
        result->rule = "the contract of node.h";
    } else if (replay->happened)
        judge_all(replay);
    if (number != 0 || replay->happened)
        result->played++;
    else
        result->left_out++;
    return number;
}

/* ---- A path ---- */

static void free_world(void *argument)
{
    world_free(argument);
}

static void begin(struct replay *replay)
{
    static const struct world_plan plan = {.drop = 0};

    replay->world = world_new(1, &plan);
    world_intercept(replay->world, keep, NULL, replay);
    for (uint32_t i = 0; i < replay->system->count; i++)
        world_add(replay->world, replay->system->nodes[i].address, NULL,
                  replay->system->nodes[i].birth,
                  replay->system->nodes[i].context);
}

/* Takes the next line from the text into line. Returns what comes after it, or
 * NULL at the end. */
static const char *take_line(const char *text, char *line)
{
    size_t length = strcspn(text, "\n");
    size_t taken = length < LINE_OCTETS_MAX ? length : LINE_OCTETS_MAX - 1;

    if (*text == '\0')
        return NULL;
    memcpy(line, text, taken);
    line[taken] = '\0';
    return text + length + (text[length] == '\n' ? 1 : 0);
}

static int play_text(struct replay *replay, const char *text)
{
    char *line = memory_new(LINE_OCTETS_MAX);
    int failed = 0;
    int result = 0;

    while (result == 0 && !replay->result->sentence &&
           (text = take_line(text, line))) {
        replay->result->line++;
        result = path_line_read(line, replay->system->nodes,
                                replay->system->count, &replay->line);
        if (result == 0 && replay->line.kind != PATH_NOTHING &&
            replay->line.kind != PATH_SYSTEM)
            failed = play_line(replay);
    }
    free(line);
    forget(replay, 0);
    /* What a handler that failed has left behind may not be fit for freeing. */
    if (failed == 0)
        world_free(replay->world);
    else
        catch_call(free_world, replay->world);
    return result;
}

int replay_play(const struct system *system, const char *text,
                struct replay_result *result)
{
    struct replay replay = {.system = system, .result = result};
    struct catch_signals *catch = catch_begin();
    int status;

    *result = (struct replay_result){.sentence = NULL};
    begin(&replay);
    status = play_text(&replay, text);
    free(replay.sent);
    catch_end(catch);
    return status;
}

const struct system_plan *replay_plan(const char *text)
{
    char *line = memory_new(LINE_OCTETS_MAX);
    struct path_line read = {.kind = PATH_NOTHING};
    const struct system_plan *plan = NULL;

    while (read.kind == PATH_NOTHING && (text = take_line(text, line)) &&
           path_line_read(line, NULL, 0, &read) == 0)
        ;
    if (read.kind == PATH_SYSTEM)
        plan = system_plan_named(read.system);
    free(line);
    return plan;
}

/* ---- A program ---- */

char *replay_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t length = 0;
    ssize_t got;

    if (!file)
        return NULL;
    got = getdelim(&text, &length, '\0', file);
    fclose(file);
    if (got >= 0)
        return text;
    free(text);
    errno = EBADMSG;
    return NULL;
}

static int print_result(const struct replay_result *result)
{
    printf("%" PRIu32 " events, %" PRIu32 " that could not happen left out\n",
           result->played, result->left_out);
    if (!result->sentence) {
        puts("nothing is violated");
        return EXIT_SUCCESS;
    }
    printf("line %" PRIu32 ": VIOLATED: %s (%s)\n", result->line,
           result->sentence, result->rule);
    return STATUS_VIOLATED;
}

int replay_file(const char *path)
{
    char *text = replay_read(path);
    const struct system_plan *plan = text ? replay_plan(text) : NULL;
    struct replay_result result;
    struct system system;
    int status = STATUS_NO_PATH;

    if (!text)
        perror(path);
    else if (!plan)
        fprintf(stderr, "%s: it names no system of the explorer\n", path);
    else {
        system_init(&system, plan);
        if (replay_play(&system, text, &result) == 0)
            status = print_result(&result);
        else
            fprintf(stderr, "%s:%" PRIu32 ": not an event of %s\n", path,
                    result.line, plan->name);
    }
    free(text);
    return status;
}
