/* SPDX-License-Identifier: MIT */
/*
 * scenario_conditions: see scenario_conditions.h. Each condition is a function
 * of the line's words that looks at the stage and changes nothing.
 */
#include "sim/scenario_conditions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Looks at the words from `at` on. */
typedef enum scenario_truth (*condition)(const struct scenario *scenario,
                                         size_t at,
                                         char found[SCENARIO_FOUND_MAX]);

static enum scenario_truth truth(bool holds)
{
    return holds ? SCENARIO_TRUE : SCENARIO_FALSE;
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
static enum scenario_truth is_view(const struct scenario *scenario, size_t at,
                                   char found[SCENARIO_FOUND_MAX])
{
    const struct view_record *record = stage_record(scenario->stage);
    bool none = scenario_is_word(scenario, at + 3, "no");
    char primary[PEER_TEXT_MAX];
    char backup[PEER_TEXT_MAX];
    uint64_t number;

    if (!scenario_read_number(scenario_word(scenario, at), "", &number) ||
        !scenario_is_word(scenario, at + 1, "primary") ||
        !scenario_is_word(scenario, at + (none ? 4 : 3), "backup"))
        return SCENARIO_NONSENSE;
    if (!record) {
        snprintf(found, SCENARIO_FOUND_MAX, "no view service");
        return SCENARIO_FALSE;
    }
    snprintf(found, SCENARIO_FOUND_MAX, "view %" PRIu64 " primary %s backup %s",
             record->view.number, peer_format(&record->view.primary, primary),
             peer_format(&record->view.backup, backup));
    if (number != record->view.number ||
        !names_peer(scenario_word(scenario, at + 2), &record->view.primary))
        return SCENARIO_FALSE;
    return truth(none ? !peer_is_present(&record->view.backup)
                      : names_peer(scenario_word(scenario, at + 4),
                                   &record->view.backup));
}

/* acknowledged N */
static enum scenario_truth is_acknowledged(const struct scenario *scenario,
                                           size_t at,
                                           char found[SCENARIO_FOUND_MAX])
{
    const struct view_record *record = stage_record(scenario->stage);
    uint64_t number;

    if (!scenario_read_number(scenario_word(scenario, at), "", &number))
        return SCENARIO_NONSENSE;
    snprintf(found, SCENARIO_FOUND_MAX, "acknowledged %" PRIu64,
             record ? record->acknowledged : 0);
    return truth(record && record->acknowledged == number);
}

/* knows S N */
static enum scenario_truth is_known(const struct scenario *scenario, size_t at,
                                    char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actor =
        scenario_actor(scenario, at, STAGE_SERVER);
    const struct server *server;
    uint64_t number;

    if (!actor ||
        !scenario_read_number(scenario_word(scenario, at + 1), "", &number))
        return SCENARIO_NONSENSE;
    server = stage_server(scenario->stage, actor);
    snprintf(found, SCENARIO_FOUND_MAX, "view %" PRIu64,
             server ? server->view.number : 0);
    return truth(server && server->view.number == number);
}

/* role S R */
static enum scenario_truth is_role(const struct scenario *scenario, size_t at,
                                   char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actor =
        scenario_actor(scenario, at, STAGE_SERVER);
    const struct server *server;

    if (!actor || scenario->count <= at + 1)
        return SCENARIO_NONSENSE;
    server = stage_server(scenario->stage, actor);
    snprintf(found, SCENARIO_FOUND_MAX, "%s",
             !server                     ? "down"
             : server_is_primary(server) ? "primary"
             : server_is_backup(server)  ? "backup"
                                         : "idle");
    return truth(scenario_is_word(scenario, at + 1, found));
}

static enum scenario_truth server_is(const struct scenario *scenario, size_t at,
                                     bool (*judge)(const struct server *server),
                                     const char *yes, const char *no,
                                     char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actor =
        scenario_actor(scenario, at, STAGE_SERVER);
    const struct server *server;
    bool is;

    if (!actor)
        return SCENARIO_NONSENSE;
    server = stage_server(scenario->stage, actor);
    is = server && judge(server);
    snprintf(found, SCENARIO_FOUND_MAX, "%s", is ? yes : no);
    return truth(is);
}

static bool is_initialised(const struct server *server)
{
    return server->initialised;
}

/* state S */
static enum scenario_truth has_state(const struct scenario *scenario, size_t at,
                                     char found[SCENARIO_FOUND_MAX])
{
    return server_is(scenario, at, is_initialised, "it has the state",
                     "it does not have the state", found);
}

/* serving S */
static enum scenario_truth is_serving(const struct scenario *scenario,
                                      size_t at, char found[SCENARIO_FOUND_MAX])
{
    return server_is(scenario, at, server_is_serving, "it serves",
                     "it does not serve", found);
}

/* no state S; not serving S: the contrary of the rest */
static enum scenario_truth is_not(const struct scenario *scenario, size_t at,
                                  char found[SCENARIO_FOUND_MAX])
{
    enum scenario_truth rest = SCENARIO_NONSENSE;

    if (scenario_is_word(scenario, at, "state"))
        rest = has_state(scenario, at + 1, found);
    else if (scenario_is_word(scenario, at, "serving"))
        rest = is_serving(scenario, at + 1, found);
    return rest == SCENARIO_NONSENSE ? rest : truth(rest == SCENARIO_FALSE);
}

/* value S K V; value S K nothing */
static enum scenario_truth is_value(const struct scenario *scenario, size_t at,
                                    char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actor =
        scenario_actor(scenario, at, STAGE_SERVER);
    const struct server *server;
    const char *key = scenario_word(scenario, at + 1);
    const struct bytes *value = NULL;

    if (!actor || scenario->count <= at + 2)
        return SCENARIO_NONSENSE;
    server = stage_server(scenario->stage, actor);
    if (server)
        value = kv_get(&server->state.kv, key, strlen(key));
    if (!value)
        snprintf(found, SCENARIO_FOUND_MAX, "nothing");
    else if (value->length == 0)
        snprintf(found, SCENARIO_FOUND_MAX, "\"\"");
    else
        snprintf(found, SCENARIO_FOUND_MAX, "%.*s", (int)value->length,
                 (const char *)value->data);
    return truth(scenario_is_word(scenario, at + 2, found));
}

/* digest S S */
static enum scenario_truth is_digest(const struct scenario *scenario, size_t at,
                                     char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actors[2] = {
        scenario_actor(scenario, at, STAGE_SERVER),
        scenario_actor(scenario, at + 1, STAGE_SERVER),
    };
    const struct server *servers[2];
    struct digest digests[2];

    if (!actors[0] || !actors[1])
        return SCENARIO_NONSENSE;
    for (size_t i = 0; i < 2; i++) {
        servers[i] = stage_server(scenario->stage, actors[i]);
        if (!servers[i]) {
            snprintf(found, SCENARIO_FOUND_MAX, "%s is down", actors[i]->name);
            return SCENARIO_FALSE;
        }
        digests[i] = state_digest(&servers[i]->state);
    }
    snprintf(found, SCENARIO_FOUND_MAX,
             "different states at op %" PRIu64 " and %" PRIu64,
             servers[0]->state.op, servers[1]->state.op);
    return truth(digest_equal(&digests[0], &digests[1]));
}

/* event NAME at S; event N NAME at S */
static enum scenario_truth is_event(const struct scenario *scenario, size_t at,
                                    char found[SCENARIO_FOUND_MAX])
{
    uint64_t number;
    uint64_t happened;
    bool exact = scenario_read_number(scenario_word(scenario, at), "", &number);
    size_t name = exact ? at + 1 : at;
    const struct stage_actor *actor = scenario_host(scenario, name + 2);

    if (!actor || !scenario_is_word(scenario, name + 1, "at"))
        return SCENARIO_NONSENSE;
    happened =
        stage_events(scenario->stage, actor, scenario_word(scenario, name));
    snprintf(found, SCENARIO_FOUND_MAX, "it has happened %" PRIu64 " times",
             happened);
    return truth(exact ? happened == number : happened > 0);
}

/* never NAME; never NAME at S */
static enum scenario_truth is_never(const struct scenario *scenario, size_t at,
                                    char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actor = scenario_host(scenario, at + 2);
    uint64_t happened;

    if (scenario->count <= at ||
        (scenario->count > at + 1 &&
         !(scenario_is_word(scenario, at + 1, "at") && actor)))
        return SCENARIO_NONSENSE;
    happened =
        stage_events(scenario->stage, actor, scenario_word(scenario, at));
    snprintf(found, SCENARIO_FOUND_MAX, "it has happened %" PRIu64 " times",
             happened);
    return truth(happened == 0);
}

/* waiting C */
static enum scenario_truth is_waiting(const struct scenario *scenario,
                                      size_t at, char found[SCENARIO_FOUND_MAX])
{
    const struct stage_actor *actor =
        scenario_actor(scenario, at, STAGE_CLIENT);

    if (!actor)
        return SCENARIO_NONSENSE;
    snprintf(found, SCENARIO_FOUND_MAX, "it has ended: %s", actor->result);
    return truth(actor->waiting);
}

enum scenario_truth scenario_evaluate(const struct scenario *scenario,
                                      char found[SCENARIO_FOUND_MAX])
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
        if (scenario_is_word(scenario, 1, conditions[i].name))
            return conditions[i].condition(scenario, 2, found);
    }
    return SCENARIO_NONSENSE;
}
