/* SPDX-License-Identifier: MIT */
/*
 * scenario: see scenario.h. A script is read line by line, and each line is
 * done as it is read. A statement is a function of the line's words
 * (scenario_words.h), and some take a condition (scenario_conditions.h).
 */
#include "sim/scenario.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/view.h"
#include "sim/replay.h"
#include "sim/scenario_conditions.h"
#include "sim/scenario_stage.h"
#include "sim/scenario_words.h"

enum {
    UNTIL_US = 10000000,
    DEADLINE_MS = 5000,
    DURATION_MAX_S = 3600, /* that one statement can name */
};

/* ---- Failing ---- */

static bool fail_at(struct scenario *scenario, size_t line, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

static bool fail_at(struct scenario *scenario, size_t line, const char *format,
                    ...)
{
    va_list arguments;
    int length = snprintf(scenario->failure, scenario->failure_size,
                          "%s:%zu: ", scenario->name, line);

    if (length < 0 || (size_t)length >= scenario->failure_size)
        return false;
    va_start(arguments, format);
    vsnprintf(scenario->failure + length,
              scenario->failure_size - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

/* The line is no statement. */
static bool refuse(struct scenario *scenario, const char *why)
{
    return fail_at(scenario, scenario->line, "'%s' is no statement: %s",
                   scenario->text, why);
}

/* The statement is not true. */
static bool deny(struct scenario *scenario, const char *found)
{
    return fail_at(scenario, scenario->line, "expected '%s'; there is: %s",
                   scenario->text, found);
}

/* ---- Words with a meaning of their own ---- */

static bool read_duration(const char *text, uint64_t *us)
{
    uint64_t number;

    if (scenario_read_number(text, "ms", &number) &&
        number <= 1000 * DURATION_MAX_S)
        *us = number * 1000;
    else if (scenario_read_number(text, "s", &number) &&
             number <= DURATION_MAX_S)
        *us = number * 1000000;
    else
        return false;
    return true;
}

static bool read_kind(const char *text, Pbkv__Body__KindCase *kind)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(&pbkv__body__descriptor,
                                                        text);

    *kind = PBKV__BODY__KIND__NOT_SET;
    if (strcmp(text, "any") == 0)
        return true;
    if (!field)
        return false;
    *kind = (Pbkv__Body__KindCase)field->id;
    return true;
}

/* ---- Time ---- */

/* Returns whether the invariants hold; if not, that is the failure. */
static bool is_sound(struct scenario *scenario)
{
    const struct invariants *invariants = &scenario->stage->invariants;

    if (!invariants->violation)
        return true;
    return fail_at(scenario, scenario->line, "at '%s': %s: %s", scenario->text,
                   invariants->violation, invariants->detail);
}

static bool do_run(struct scenario *scenario)
{
    struct world *world = scenario->stage->world;
    uint64_t duration;

    if (!read_duration(scenario_word(scenario, 1), &duration))
        return refuse(scenario, "it takes a time such as 500ms or 2s");
    duration += world_now(world);
    while (world_step(world, duration)) {
        if (!is_sound(scenario))
            return false;
    }
    return true;
}

static bool do_expect(struct scenario *scenario)
{
    char found[SCENARIO_FOUND_MAX] = "";
    enum scenario_truth holds = scenario_evaluate(scenario, found);

    if (holds == SCENARIO_NONSENSE)
        return refuse(scenario, "it is no condition");
    return holds == SCENARIO_TRUE ? true : deny(scenario, found);
}

static bool do_until(struct scenario *scenario)
{
    struct world *world = scenario->stage->world;
    uint64_t limit = world_now(world) + UNTIL_US;
    char found[SCENARIO_FOUND_MAX] = "";
    enum scenario_truth holds;

    while ((holds = scenario_evaluate(scenario, found)) == SCENARIO_FALSE) {
        if (!world_step(world, limit))
            return deny(scenario, found);
        if (!is_sound(scenario))
            return false;
    }
    return holds == SCENARIO_TRUE ? true
                                  : refuse(scenario, "it is no condition");
}

/* ---- Actors ---- */

static bool add_actors(struct scenario *scenario, enum stage_role role)
{
    if (scenario->count < 2)
        return refuse(scenario, "it takes names");
    for (size_t i = 1; i < scenario->count; i++) {
        if (!stage_add(scenario->stage, scenario_word(scenario, i), role))
            return refuse(scenario,
                          "a name is taken, too long or not printable, "
                          "or there are too many");
    }
    return true;
}

static bool do_servers(struct scenario *scenario)
{
    return add_actors(scenario, STAGE_SERVER);
}

static bool do_clients(struct scenario *scenario)
{
    return add_actors(scenario, STAGE_CLIENT);
}

static bool do_set(struct scenario *scenario)
{
    struct server_config *config = &scenario->stage->config;
    uint64_t number;

    if (!scenario_read_number(scenario_word(scenario, 2), "", &number) ||
        number == 0 || number > UINT32_MAX)
        return refuse(scenario, "it takes a name and a number");
    if (scenario_is_word(scenario, 1, "value") &&
        number <= config->limits.value)
        config->limits.value = (uint32_t)number;
    else if (scenario_is_word(scenario, 1, "store"))
        config->limits.octets = number;
    else if (scenario_is_word(scenario, 1, "sessions"))
        config->limits.sessions = (uint32_t)number;
    else if (scenario_is_word(scenario, 1, "chunk"))
        config->chunk_octets = number;
    else if (scenario_is_word(scenario, 1, "log"))
        config->log_octets = number;
    else
        return refuse(scenario, "there is no such limit, or not so high");
    return true;
}

static bool do_start(struct scenario *scenario)
{
    if (scenario->count < 2)
        return refuse(scenario, "it takes names");
    for (size_t i = 1; i < scenario->count; i++) {
        struct stage_actor *actor = scenario_actor(scenario, i, STAGE_SERVER);

        if (!actor || actor->started)
            return refuse(scenario, "it takes servers that have not started");
        stage_start(scenario->stage, actor);
    }
    return true;
}

/* Returns whether the actor can die and come back. */
static bool is_mortal(const struct stage_actor *actor)
{
    return actor && actor->role != STAGE_CLIENT;
}

static bool do_restart(struct scenario *scenario)
{
    const struct stage_actor *actor = scenario_host(scenario, 1);

    if (!is_mortal(actor) || world_is_up(scenario->stage->world, actor->host))
        return refuse(scenario, "it takes somebody who has crashed");
    world_restart(scenario->stage->world, actor->host);
    return true;
}

static bool do_pause(struct scenario *scenario)
{
    const struct stage_actor *actor = scenario_host(scenario, 1);
    uint64_t duration;

    if (!actor || !world_is_up(scenario->stage->world, actor->host) ||
        !read_duration(scenario_word(scenario, 2), &duration))
        return refuse(scenario, "it takes somebody who is up, and a time");
    world_pause(scenario->stage->world, actor->host, duration);
    return true;
}

/* ---- Clients ---- */

/* Lets time pass until the client's operation has ended, and compares its
 * result with the words from `at` on. */
static bool await(struct scenario *scenario, const struct stage_actor *client,
                  size_t at)
{
    struct world *world = scenario->stage->world;
    uint64_t limit = world_now(world) + UNTIL_US;

    if (!scenario_is_word(scenario, at, "->") || scenario->count != at + 2)
        return refuse(scenario, "-> and a result, or ..., come last");
    while (client->waiting) {
        if (!world_step(world, limit))
            return deny(scenario, "no end");
        if (!is_sound(scenario))
            return false;
    }
    return scenario_is_word(scenario, at + 1, client->result)
               ? true
               : deny(scenario, client->result);
}

/* Reads `get K`, `put K V` or `append K V` at the second word, and returns how
 * many words it has; 0: it is none of them. */
static size_t read_operation(const struct scenario *scenario,
                             Pbkv__Body__KindCase *kind)
{
    size_t words;

    if (!read_kind(scenario_word(scenario, 1), kind))
        return 0;
    if (*kind == PBKV__BODY__KIND_GET)
        words = 2;
    else if (*kind == PBKV__BODY__KIND_PUT || *kind == PBKV__BODY__KIND_APPEND)
        words = 3;
    else
        return 0;
    return scenario->count > words ? words : 0;
}

/* c1: put x 1 -> ok; c1: put x 1 ...; c1: -> ok */
static bool do_client(struct scenario *scenario, struct stage_actor *client)
{
    Pbkv__Body__KindCase kind;
    uint64_t deadline = (uint64_t)DEADLINE_MS * 1000;
    size_t at = 1 + read_operation(scenario, &kind);
    const char *value = scenario_word(scenario, 3);

    if (scenario_is_word(scenario, 1, "->"))
        return client->result[0] ? await(scenario, client, 1)
                                 : refuse(scenario, "nothing was begun");
    if (at == 1)
        return refuse(scenario, "a client can get K, put K V and append K V");
    if (client->waiting)
        return refuse(scenario, "what was begun before has not ended");
    if (scenario_is_word(scenario, at, "within")) {
        if (!read_duration(scenario_word(scenario, at + 1), &deadline))
            return refuse(scenario, "within takes a time");
        at += 2;
    }
    stage_call(scenario->stage, client, kind, scenario_word(scenario, 2),
               strcmp(value, "\"\"") == 0 ? "" : value, deadline / 1000);
    if (scenario_is_word(scenario, at, "...") && scenario->count == at + 1)
        return true;
    return await(scenario, client, at);
}

/* ---- Links ---- */

static bool do_cut(struct scenario *scenario)
{
    const struct stage_actor *from = scenario_host(scenario, 1);
    const struct stage_actor *to = scenario_host(scenario, 3);

    if (!from || !to || !scenario_is_word(scenario, 2, "->"))
        return refuse(scenario, "it takes two who have started");
    world_cut(scenario->stage->world, from->host, to->host, true);
    return true;
}

static bool do_partition(struct scenario *scenario)
{
    struct world *world = scenario->stage->world;
    size_t middle = 1;

    while (middle < scenario->count && !scenario_is_word(scenario, middle, "|"))
        middle++;
    if (middle == 1 || middle + 1 >= scenario->count)
        return refuse(scenario, "it takes two sides with | between them");
    for (size_t i = 1; i < middle; i++) {
        for (size_t j = middle + 1; j < scenario->count; j++) {
            const struct stage_actor *one = scenario_host(scenario, i);
            const struct stage_actor *other = scenario_host(scenario, j);

            if (!one || !other)
                return refuse(scenario, "it takes some who have started");
            world_cut(world, one->host, other->host, true);
            world_cut(world, other->host, one->host, true);
        }
    }
    return true;
}

static bool do_heal(struct scenario *scenario)
{
    world_heal(scenario->stage->world);
    return true;
}

/* ---- Messages ---- */

/* Reads `[next [N]|every] KIND FROM -> TO` at a word into a rule. */
static bool add_rule(struct scenario *scenario, size_t at,
                     enum stage_action action)
{
    struct stage_rule rule = {.action = action, .line = scenario->line};
    uint64_t number = 1;

    rule.left = scenario_is_word(scenario, at, "every") ? STAGE_EVERY : 1;
    if (!scenario_is_word(scenario, at, "every") &&
        !scenario_is_word(scenario, at, "next"))
        return refuse(scenario, "next or every tells which messages");
    at++;
    if (rule.left == 1 &&
        scenario_read_number(scenario_word(scenario, at), "", &number)) {
        rule.left = (uint32_t)number;
        at++;
    }
    rule.from = stage_find(scenario->stage, scenario_word(scenario, at + 1));
    rule.to = stage_find(scenario->stage, scenario_word(scenario, at + 3));
    if (number == 0 || number >= STAGE_EVERY ||
        !read_kind(scenario_word(scenario, at), &rule.what) ||
        !scenario_is_word(scenario, at + 2, "->") ||
        (!rule.from && !scenario_is_word(scenario, at + 1, "any")) ||
        (!rule.to && !scenario_is_word(scenario, at + 3, "any")))
        return refuse(scenario, "a message is KIND FROM -> TO");
    if ((action == STAGE_CRASH_BEFORE || action == STAGE_CRASH_AFTER) &&
        !is_mortal(rule.from))
        return refuse(scenario, "its sender cannot crash");
    return stage_add_rule(scenario->stage, &rule)
               ? true
               : refuse(scenario, "there are too many of these");
}

static bool do_release(struct scenario *scenario)
{
    if (scenario->stage->held_count == 0)
        return deny(scenario, "nothing is held");
    stage_release(scenario->stage);
    return true;
}

static bool do_pass(struct scenario *scenario)
{
    stage_pass(scenario->stage);
    return true;
}

/* crash S; crash before|after next KIND FROM -> TO */
static bool do_crash(struct scenario *scenario)
{
    const struct stage_actor *actor = scenario_host(scenario, 1);

    if (scenario_is_word(scenario, 1, "before"))
        return add_rule(scenario, 2, STAGE_CRASH_BEFORE);
    if (scenario_is_word(scenario, 1, "after"))
        return add_rule(scenario, 2, STAGE_CRASH_AFTER);
    if (!is_mortal(actor) || !world_is_up(scenario->stage->world, actor->host))
        return refuse(scenario, "it takes a server that is up, or vs");
    world_crash(scenario->stage->world, actor->host);
    return true;
}

/* ---- Lines ---- */

/* Returns the client that a line's first word addresses ("c1:"), or NULL. */
static struct stage_actor *addressed(const struct scenario *scenario)
{
    const char *first = scenario_word(scenario, 0);
    size_t length = strlen(first);
    char name[STAGE_NAME_MAX];
    struct stage_actor *actor;

    if (length < 2 || length > sizeof(name) || first[length - 1] != ':')
        return NULL;
    memcpy(name, first, length - 1);
    name[length - 1] = '\0';
    actor = stage_find(scenario->stage, name);
    return actor && actor->role == STAGE_CLIENT ? actor : NULL;
}

static bool play_line(struct scenario *scenario)
{
    static const struct {
        const char *name;
        bool (*play)(struct scenario *scenario);
    } statements[] = {
        {"servers", do_servers}, {"clients", do_clients},
        {"set", do_set},         {"start", do_start},
        {"crash", do_crash},     {"restart", do_restart},
        {"pause", do_pause},     {"partition", do_partition},
        {"cut", do_cut},         {"heal", do_heal},
        {"release", do_release}, {"pass", do_pass},
        {"run", do_run},         {"expect", do_expect},
        {"until", do_until},
    };
    static const struct {
        const char *name;
        enum stage_action action;
    } rules[] = {
        {"drop", STAGE_DROP},       {"duplicate", STAGE_DUPLICATE},
        {"hold", STAGE_HOLD},       {"copy", STAGE_COPY},
        {"deliver", STAGE_DELIVER}, {"spoil", STAGE_SPOIL},
    };
    struct stage_actor *client;

    if (!scenario_split(scenario))
        return refuse(scenario, "it has too many words");
    client = addressed(scenario);
    if (scenario->count == 0)
        return true;
    if (client)
        return do_client(scenario, client);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (scenario_is_word(scenario, 0, statements[i].name))
            return statements[i].play(scenario);
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (scenario_is_word(scenario, 0, rules[i].name))
            return add_rule(scenario, 1, rules[i].action);
    }
    return refuse(scenario, "it begins with no known word");
}

/* Takes the next line from the text. Returns what comes after it, or NULL at
 * the end. */
static const char *take_line(struct scenario *scenario, const char *text)
{
    size_t length = strcspn(text, "\n");
    size_t taken =
        length < sizeof(scenario->text) ? length : sizeof(scenario->text) - 1;

    if (*text == '\0')
        return NULL;
    memset(scenario->text, 0, sizeof(scenario->text));
    memcpy(scenario->text, text, taken);
    scenario->line++;
    return text + length + (text[length] == '\n' ? 1 : 0);
}

/* A rule about the next message has to have met it. */
static bool check_rules(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->stage->rule_count; i++) {
        const struct stage_rule *rule = &scenario->stage->rules[i];

        if (rule->left > 0 && rule->left != STAGE_EVERY)
            return fail_at(scenario, rule->line,
                           "no such message has been sent%s",
                           rule->left > 1 ? ", or too few" : "");
    }
    return true;
}

/* Plays a script that is a path of the explorer. */
static bool play_path(struct scenario *scenario, const struct system_plan *plan,
                      const char *text)
{
    struct replay_result result;
    struct system system;

    system_init(&system, plan);
    if (replay_play(&system, text, &result) < 0)
        return fail_at(scenario, result.line, "no event of %s", plan->name);
    return !result.sentence || fail_at(scenario, result.line, "%s: %s",
                                       result.rule, result.sentence);
}

static bool play_lines(struct scenario *scenario, const char *text)
{
    bool good = true;

    scenario->stage = stage_new();
    while (good && (text = take_line(scenario, text)))
        good = play_line(scenario) && is_sound(scenario);
    good = good && check_rules(scenario);
    stage_free(scenario->stage);
    return good;
}

bool scenario_play(const char *name, const char *text, char *failure,
                   size_t size)
{
    struct scenario *scenario = memory_new(sizeof(*scenario));
    const struct system_plan *plan = replay_plan(text);
    bool good;

    assert(size > 0);
    scenario->name = name;
    scenario->failure = failure;
    scenario->failure_size = size;
    good = plan ? play_path(scenario, plan, text) : play_lines(scenario, text);
    free(scenario);
    return good;
}
