/* SPDX-License-Identifier: MIT */
/*
 * scenario: see scenario.h. A script is read line by line, and each line is
 * done as it is read. A statement is a function of the line's words; so is a
 * condition, which also says what it found, for the failure's second half.
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
#include "sim/scenario_stage.h"

enum {
    WORDS_MAX = 24,
    LINE_MAX_OCTETS = 512,
    FOUND_MAX = 2 * PEER_TEXT_MAX + 64,
    UNTIL_US = 10000000,
    DEADLINE_MS = 5000,
    DURATION_MAX_S = 3600, /* that one statement can name */
};

struct scenario {
    const char *name;
    struct stage *stage;
    size_t line;
    char text[LINE_MAX_OCTETS]; /* the line, for messages */
    char split[LINE_MAX_OCTETS];
    const char *words[WORDS_MAX + 1]; /* after the last one: "" */
    size_t count;
    char *failure;
    size_t failure_size;
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

/* ---- Words ---- */

static const char *word(const struct scenario *scenario, size_t index)
{
    return index < scenario->count ? scenario->words[index] : "";
}

static bool is_word(const struct scenario *scenario, size_t index,
                    const char *expected)
{
    return strcmp(word(scenario, index), expected) == 0;
}

/* Reads a number with nothing but a unit after it. */
static bool read_number(const char *text, const char *unit, uint64_t *number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *number = strtoull(text, &end, 10);
    return strcmp(end, unit) == 0;
}

static bool read_duration(const char *text, uint64_t *us)
{
    uint64_t number;

    if (read_number(text, "ms", &number) && number <= 1000 * DURATION_MAX_S)
        *us = number * 1000;
    else if (read_number(text, "s", &number) && number <= DURATION_MAX_S)
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

/* Returns the actor that a word names, when it plays this role, or NULL. */
static struct stage_actor *actor_of(const struct scenario *scenario,
                                    size_t index, enum stage_role role)
{
    struct stage_actor *actor =
        stage_find(scenario->stage, word(scenario, index));

    return actor && actor->role == role ? actor : NULL;
}

/* Returns the started host that a word names, or NULL. */
static struct stage_actor *host_of(const struct scenario *scenario,
                                   size_t index)
{
    struct stage_actor *actor =
        stage_find(scenario->stage, word(scenario, index));

    return actor && actor->started ? actor : NULL;
}

/* ---- Conditions ---- */

/* A condition looks at the words from `at` on, sets found to what is the case,
 * and returns whether it holds. */
enum truth { IS_NONSENSE, IS_FALSE, IS_TRUE };

typedef enum truth (*condition)(const struct scenario *scenario, size_t at,
                                char found[FOUND_MAX]);

static enum truth truth(bool holds)
{
    return holds ? IS_TRUE : IS_FALSE;
}

/* Whether a word means a peer: its address, or its address/incarnation. */
static bool names_peer(const char *name, const struct peer *peer)
{
    char text[PEER_TEXT_MAX];

    if (!peer_is_present(peer))
        return false;
    return strcmp(name, strchr(name, '/') ? peer_format(peer, text)
                                          : peer->address.text) == 0;
}

/* view N primary P backup B; view N primary P no backup */
static enum truth is_view(const struct scenario *scenario, size_t at,
                          char found[FOUND_MAX])
{
    const struct view_record *record = stage_record(scenario->stage);
    bool none = is_word(scenario, at + 3, "no");
    char primary[PEER_TEXT_MAX];
    char backup[PEER_TEXT_MAX];
    uint64_t number;

    if (!read_number(word(scenario, at), "", &number) ||
        !is_word(scenario, at + 1, "primary") ||
        !is_word(scenario, at + (none ? 4 : 3), "backup"))
        return IS_NONSENSE;
    if (!record) {
        snprintf(found, FOUND_MAX, "no view service");
        return IS_FALSE;
    }
    snprintf(found, FOUND_MAX, "view %" PRIu64 " primary %s backup %s",
             record->view.number, peer_format(&record->view.primary, primary),
             peer_format(&record->view.backup, backup));
    if (number != record->view.number ||
        !names_peer(word(scenario, at + 2), &record->view.primary))
        return IS_FALSE;
    return truth(
        none ? !peer_is_present(&record->view.backup)
             : names_peer(word(scenario, at + 4), &record->view.backup));
}

/* acknowledged N */
static enum truth is_acknowledged(const struct scenario *scenario, size_t at,
                                  char found[FOUND_MAX])
{
    const struct view_record *record = stage_record(scenario->stage);
    uint64_t number;

    if (!read_number(word(scenario, at), "", &number))
        return IS_NONSENSE;
    snprintf(found, FOUND_MAX, "acknowledged %" PRIu64,
             record ? record->acknowledged : 0);
    return truth(record && record->acknowledged == number);
}

/* knows S N */
static enum truth is_known(const struct scenario *scenario, size_t at,
                           char found[FOUND_MAX])
{
    const struct stage_actor *actor = actor_of(scenario, at, STAGE_SERVER);
    const struct server *server;
    uint64_t number;

    if (!actor || !read_number(word(scenario, at + 1), "", &number))
        return IS_NONSENSE;
    server = stage_server(scenario->stage, actor);
    snprintf(found, FOUND_MAX, "view %" PRIu64,
             server ? server->view.number : 0);
    return truth(server && server->view.number == number);
}

/* role S R */
static enum truth is_role(const struct scenario *scenario, size_t at,
                          char found[FOUND_MAX])
{
    const struct stage_actor *actor = actor_of(scenario, at, STAGE_SERVER);
    const struct server *server;

    if (!actor || scenario->count <= at + 1)
        return IS_NONSENSE;
    server = stage_server(scenario->stage, actor);
    snprintf(found, FOUND_MAX, "%s",
             !server                     ? "down"
             : server_is_primary(server) ? "primary"
             : server_is_backup(server)  ? "backup"
                                         : "idle");
    return truth(is_word(scenario, at + 1, found));
}

static enum truth has_state(const struct scenario *scenario, size_t at,
                            char found[FOUND_MAX])
{
    const struct stage_actor *actor = actor_of(scenario, at, STAGE_SERVER);
    const struct server *server;

    if (!actor)
        return IS_NONSENSE;
    server = stage_server(scenario->stage, actor);
    snprintf(found, FOUND_MAX, "%s",
             server && server->initialised ? "it has the state"
                                           : "it does not have the state");
    return truth(server && server->initialised);
}

static enum truth is_serving(const struct scenario *scenario, size_t at,
                             char found[FOUND_MAX])
{
    const struct stage_actor *actor = actor_of(scenario, at, STAGE_SERVER);
    const struct server *server;

    if (!actor)
        return IS_NONSENSE;
    server = stage_server(scenario->stage, actor);
    snprintf(found, FOUND_MAX, "%s",
             server && server_is_serving(server) ? "it serves"
                                                 : "it does not serve");
    return truth(server && server_is_serving(server));
}

/* no state S; not serving S: the contrary of the rest */
static enum truth is_not(const struct scenario *scenario, size_t at,
                         char found[FOUND_MAX])
{
    enum truth rest = IS_NONSENSE;

    if (is_word(scenario, at, "state"))
        rest = has_state(scenario, at + 1, found);
    else if (is_word(scenario, at, "serving"))
        rest = is_serving(scenario, at + 1, found);
    return rest == IS_NONSENSE ? rest : truth(rest == IS_FALSE);
}

/* value S K V; value S K nothing */
static enum truth is_value(const struct scenario *scenario, size_t at,
                           char found[FOUND_MAX])
{
    const struct stage_actor *actor = actor_of(scenario, at, STAGE_SERVER);
    const struct server *server;
    const char *key = word(scenario, at + 1);
    const struct bytes *value = NULL;

    if (!actor || scenario->count <= at + 2)
        return IS_NONSENSE;
    server = stage_server(scenario->stage, actor);
    if (server)
        value = kv_get(&server->state.kv, key, strlen(key));
    if (!value)
        snprintf(found, FOUND_MAX, "nothing");
    else if (value->length == 0)
        snprintf(found, FOUND_MAX, "\"\"");
    else
        snprintf(found, FOUND_MAX, "%.*s", (int)value->length,
                 (const char *)value->data);
    return truth(is_word(scenario, at + 2, found));
}

/* digest S S */
static enum truth is_digest(const struct scenario *scenario, size_t at,
                            char found[FOUND_MAX])
{
    const struct stage_actor *actors[2] = {
        actor_of(scenario, at, STAGE_SERVER),
        actor_of(scenario, at + 1, STAGE_SERVER),
    };
    const struct server *servers[2];
    struct digest digests[2];

    if (!actors[0] || !actors[1])
        return IS_NONSENSE;
    for (size_t i = 0; i < 2; i++) {
        servers[i] = stage_server(scenario->stage, actors[i]);
        if (!servers[i]) {
            snprintf(found, FOUND_MAX, "%s is down", actors[i]->name);
            return IS_FALSE;
        }
        digests[i] = state_digest(&servers[i]->state);
    }
    snprintf(found, FOUND_MAX,
             "different states at op %" PRIu64 " and %" PRIu64,
             servers[0]->state.op, servers[1]->state.op);
    return truth(digest_equal(&digests[0], &digests[1]));
}

/* event NAME at S; event N NAME at S */
static enum truth is_event(const struct scenario *scenario, size_t at,
                           char found[FOUND_MAX])
{
    uint64_t number;
    uint64_t happened;
    bool exact = read_number(word(scenario, at), "", &number);
    size_t name = exact ? at + 1 : at;
    const struct stage_actor *actor = host_of(scenario, name + 2);

    if (!actor || !is_word(scenario, name + 1, "at"))
        return IS_NONSENSE;
    happened = stage_events(scenario->stage, actor, word(scenario, name));
    snprintf(found, FOUND_MAX, "it has happened %" PRIu64 " times", happened);
    return truth(exact ? happened == number : happened > 0);
}

/* never NAME; never NAME at S */
static enum truth is_never(const struct scenario *scenario, size_t at,
                           char found[FOUND_MAX])
{
    const struct stage_actor *actor = host_of(scenario, at + 2);
    uint64_t happened;

    if (scenario->count <= at || (scenario->count > at + 1 &&
                                  !(is_word(scenario, at + 1, "at") && actor)))
        return IS_NONSENSE;
    happened = stage_events(scenario->stage, actor, word(scenario, at));
    snprintf(found, FOUND_MAX, "it has happened %" PRIu64 " times", happened);
    return truth(happened == 0);
}

/* waiting C */
static enum truth is_waiting(const struct scenario *scenario, size_t at,
                             char found[FOUND_MAX])
{
    const struct stage_actor *actor = actor_of(scenario, at, STAGE_CLIENT);

    if (!actor)
        return IS_NONSENSE;
    snprintf(found, FOUND_MAX, "it has ended: %s", actor->result);
    return truth(actor->waiting);
}

/* Evaluates the condition that follows the statement's first word. */
static enum truth evaluate(const struct scenario *scenario,
                           char found[FOUND_MAX])
{
    static const struct {
        const char *name;
        condition condition;
    } conditions[] = {
        {"view", is_view},       {"acknowledged", is_acknowledged},
        {"knows", is_known},     {"role", is_role},
        {"state", has_state},    {"no", is_not},
        {"serving", is_serving}, {"not", is_not},
        {"value", is_value},     {"digest", is_digest},
        {"event", is_event},     {"never", is_never},
        {"waiting", is_waiting},
    };

    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        if (is_word(scenario, 1, conditions[i].name))
            return conditions[i].condition(scenario, 2, found);
    }
    return IS_NONSENSE;
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

    if (!read_duration(word(scenario, 1), &duration))
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
    char found[FOUND_MAX] = "";
    enum truth holds = evaluate(scenario, found);

    if (holds == IS_NONSENSE)
        return refuse(scenario, "it is no condition");
    return holds == IS_TRUE ? true : deny(scenario, found);
}

static bool do_until(struct scenario *scenario)
{
    struct world *world = scenario->stage->world;
    uint64_t limit = world_now(world) + UNTIL_US;
    char found[FOUND_MAX] = "";
    enum truth holds;

    while ((holds = evaluate(scenario, found)) == IS_FALSE) {
        if (!world_step(world, limit))
            return deny(scenario, found);
        if (!is_sound(scenario))
            return false;
    }
    return holds == IS_TRUE ? true : refuse(scenario, "it is no condition");
}

/* ---- Actors ---- */

static bool add_actors(struct scenario *scenario, enum stage_role role)
{
    if (scenario->count < 2)
        return refuse(scenario, "it takes names");
    for (size_t i = 1; i < scenario->count; i++) {
        if (!stage_add(scenario->stage, word(scenario, i), role))
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

    if (!read_number(word(scenario, 2), "", &number) || number == 0 ||
        number > UINT32_MAX)
        return refuse(scenario, "it takes a name and a number");
    if (is_word(scenario, 1, "value") && number <= config->limits.value)
        config->limits.value = (uint32_t)number;
    else if (is_word(scenario, 1, "store"))
        config->limits.octets = number;
    else if (is_word(scenario, 1, "sessions"))
        config->limits.sessions = (uint32_t)number;
    else if (is_word(scenario, 1, "chunk"))
        config->chunk_octets = number;
    else if (is_word(scenario, 1, "log"))
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
        struct stage_actor *actor = actor_of(scenario, i, STAGE_SERVER);

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
    const struct stage_actor *actor = host_of(scenario, 1);

    if (!is_mortal(actor) || world_is_up(scenario->stage->world, actor->host))
        return refuse(scenario, "it takes somebody who has crashed");
    world_restart(scenario->stage->world, actor->host);
    return true;
}

static bool do_pause(struct scenario *scenario)
{
    const struct stage_actor *actor = host_of(scenario, 1);
    uint64_t duration;

    if (!actor || !world_is_up(scenario->stage->world, actor->host) ||
        !read_duration(word(scenario, 2), &duration))
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

    if (!is_word(scenario, at, "->") || scenario->count != at + 2)
        return refuse(scenario, "-> and a result, or ..., come last");
    while (client->waiting) {
        if (!world_step(world, limit))
            return deny(scenario, "no end");
        if (!is_sound(scenario))
            return false;
    }
    return is_word(scenario, at + 1, client->result)
               ? true
               : deny(scenario, client->result);
}

/* Reads `get K`, `put K V` or `append K V` at the second word, and returns how
 * many words it has; 0: it is none of them. */
static size_t read_operation(const struct scenario *scenario,
                             Pbkv__Body__KindCase *kind)
{
    size_t words;

    if (!read_kind(word(scenario, 1), kind))
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
    const char *value = word(scenario, 3);

    if (is_word(scenario, 1, "->"))
        return client->result[0] ? await(scenario, client, 1)
                                 : refuse(scenario, "nothing was begun");
    if (at == 1)
        return refuse(scenario, "a client can get K, put K V and append K V");
    if (client->waiting)
        return refuse(scenario, "what was begun before has not ended");
    if (is_word(scenario, at, "within")) {
        if (!read_duration(word(scenario, at + 1), &deadline))
            return refuse(scenario, "within takes a time");
        at += 2;
    }
    stage_call(scenario->stage, client, kind, word(scenario, 2),
               strcmp(value, "\"\"") == 0 ? "" : value, deadline / 1000);
    if (is_word(scenario, at, "...") && scenario->count == at + 1)
        return true;
    return await(scenario, client, at);
}

/* ---- Links ---- */

static bool do_cut(struct scenario *scenario)
{
    const struct stage_actor *from = host_of(scenario, 1);
    const struct stage_actor *to = host_of(scenario, 3);

    if (!from || !to || !is_word(scenario, 2, "->"))
        return refuse(scenario, "it takes two who have started");
    world_cut(scenario->stage->world, from->host, to->host, true);
    return true;
}

static bool do_partition(struct scenario *scenario)
{
    struct world *world = scenario->stage->world;
    size_t middle = 1;

    while (middle < scenario->count && !is_word(scenario, middle, "|"))
        middle++;
    if (middle == 1 || middle + 1 >= scenario->count)
        return refuse(scenario, "it takes two sides with | between them");
    for (size_t i = 1; i < middle; i++) {
        for (size_t j = middle + 1; j < scenario->count; j++) {
            const struct stage_actor *one = host_of(scenario, i);
            const struct stage_actor *other = host_of(scenario, j);

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

    rule.left = is_word(scenario, at, "every") ? STAGE_EVERY : 1;
    if (!is_word(scenario, at, "every") && !is_word(scenario, at, "next"))
        return refuse(scenario, "next or every tells which messages");
    at++;
    if (rule.left == 1 && read_number(word(scenario, at), "", &number)) {
        rule.left = (uint32_t)number;
        at++;
    }
    rule.from = stage_find(scenario->stage, word(scenario, at + 1));
    rule.to = stage_find(scenario->stage, word(scenario, at + 3));
    if (number == 0 || number >= STAGE_EVERY ||
        !read_kind(word(scenario, at), &rule.what) ||
        !is_word(scenario, at + 2, "->") ||
        (!rule.from && !is_word(scenario, at + 1, "any")) ||
        (!rule.to && !is_word(scenario, at + 3, "any")))
        return refuse(scenario, "a message is KIND FROM -> TO");
    if ((action == STAGE_CRASH_BEFORE || action == STAGE_CRASH_AFTER) &&
        !is_mortal(rule.from))
        return refuse(scenario, "its sender cannot crash");
    return stage_add_rule(scenario->stage, &rule)
               ? true
               : refuse(scenario, "there are too many of these");
}

static bool do_deliver(struct scenario *scenario)
{
    return add_rule(scenario, 1, STAGE_DELIVER);
}

static bool do_spoil(struct scenario *scenario)
{
    return add_rule(scenario, 1, STAGE_SPOIL);
}

static bool do_drop(struct scenario *scenario)
{
    return add_rule(scenario, 1, STAGE_DROP);
}

static bool do_duplicate(struct scenario *scenario)
{
    return add_rule(scenario, 1, STAGE_DUPLICATE);
}

static bool do_hold(struct scenario *scenario)
{
    return add_rule(scenario, 1, STAGE_HOLD);
}

static bool do_copy(struct scenario *scenario)
{
    return add_rule(scenario, 1, STAGE_COPY);
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
    const struct stage_actor *actor = host_of(scenario, 1);

    if (is_word(scenario, 1, "before"))
        return add_rule(scenario, 2, STAGE_CRASH_BEFORE);
    if (is_word(scenario, 1, "after"))
        return add_rule(scenario, 2, STAGE_CRASH_AFTER);
    if (!is_mortal(actor) || !world_is_up(scenario->stage->world, actor->host))
        return refuse(scenario, "it takes a server that is up, or vs");
    world_crash(scenario->stage->world, actor->host);
    return true;
}

/* ---- Lines ---- */

/* Splits the line into words, up to a comment. Returns false when there are too
 * many. */
static bool split_line(struct scenario *scenario)
{
    char *rest = scenario->split;
    char *one;

    memcpy(scenario->split, scenario->text, sizeof(scenario->split));
    scenario->count = 0;
    while ((one = strtok_r(rest, " \t\r", &rest)) && one[0] != '#') {
        if (scenario->count == WORDS_MAX)
            return false;
        scenario->words[scenario->count++] = one;
    }
    return true;
}

/* Returns the client that a line's first word addresses ("c1:"), or NULL. */
static struct stage_actor *addressed(const struct scenario *scenario)
{
    const char *first = word(scenario, 0);
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
        {"drop", do_drop},       {"duplicate", do_duplicate},
        {"hold", do_hold},       {"copy", do_copy},
        {"deliver", do_deliver}, {"spoil", do_spoil},
        {"release", do_release}, {"pass", do_pass},
        {"run", do_run},         {"expect", do_expect},
        {"until", do_until},
    };
    struct stage_actor *client;

    if (!split_line(scenario))
        return refuse(scenario, "it has too many words");
    client = addressed(scenario);
    if (scenario->count == 0)
        return true;
    if (client)
        return do_client(scenario, client);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (is_word(scenario, 0, statements[i].name))
            return statements[i].play(scenario);
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
