/* SPDX-License-Identifier: MIT */
/*
 * scenario_words: a scenario that is being played, and its line as words. What
 * a word means depends on the statement; here is what all of them need: a word
 * by its place, a number, and who is named.
 */
#ifndef SIM_SCENARIO_WORDS_H
#define SIM_SCENARIO_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/view.h"
#include "sim/scenario_stage.h"

enum { SCENARIO_WORDS_MAX = 24, SCENARIO_LINE_MAX = 512 };

struct scenario {
    const char *name;
    struct stage *stage;
    size_t line;
    char text[SCENARIO_LINE_MAX]; /* the line, for messages */
    char split[SCENARIO_LINE_MAX];
    const char *words[SCENARIO_WORDS_MAX + 1]; /* after the last one: "" */
    size_t count;
    char *failure;
    size_t failure_size;
};

/* Splits the line into words, up to a comment. Returns false when there are too
 * many. */
bool scenario_split(struct scenario *scenario);

/* Returns a word of the line by its place; "" when there are fewer. */
const char *scenario_word(const struct scenario *scenario, size_t index);
bool scenario_is_word(const struct scenario *scenario, size_t index,
                      const char *expected);

/* Reads a number with nothing but a unit after it. */
bool scenario_read_number(const char *text, const char *unit, uint64_t *number);

/* Returns the actor that a word names, when it plays this role, or NULL. */
struct stage_actor *scenario_actor(const struct scenario *scenario,
                                   size_t index, enum stage_role role);

/* Returns the started host that a word names, or NULL. */
struct stage_actor *scenario_host(const struct scenario *scenario,
                                  size_t index);

#endif
