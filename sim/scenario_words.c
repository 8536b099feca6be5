/* SPDX-License-Identifier: MIT */
/*
 * scenario_words: see scenario_words.h. Words are cut out of a copy of the
 * line, which itself is kept for messages.
 */
#include "sim/scenario_words.h"

#include <stdlib.h>
#include <string.h>

const char *scenario_word(const struct scenario *scenario, size_t index)
{
    return index < scenario->count ? scenario->words[index] : "";
}

bool scenario_is_word(const struct scenario *scenario, size_t index,
                      const char *expected)
{
    return strcmp(scenario_word(scenario, index), expected) == 0;
}

bool scenario_read_number(const char *text, const char *unit, uint64_t *number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *number = strtoull(text, &end, 10);
    return strcmp(end, unit) == 0;
}

struct stage_actor *scenario_actor(const struct scenario *scenario,
                                   size_t index, enum stage_role role)
{
    struct stage_actor *actor =
        stage_find(scenario->stage, scenario_word(scenario, index));

    return actor && actor->role == role ? actor : NULL;
}

struct stage_actor *scenario_host(const struct scenario *scenario, size_t index)
{
    struct stage_actor *actor =
        stage_find(scenario->stage, scenario_word(scenario, index));

    return actor && actor->started ? actor : NULL;
}

bool scenario_split(struct scenario *scenario)
{
    char *rest = scenario->split;
    char *one;

    memcpy(scenario->split, scenario->text, sizeof(scenario->split));
    scenario->count = 0;
    while ((one = strtok_r(rest, " \t\r", &rest)) && one[0] != '#') {
        if (scenario->count == SCENARIO_WORDS_MAX)
            return false;
        scenario->words[scenario->count++] = one;
    }
    return true;
}
