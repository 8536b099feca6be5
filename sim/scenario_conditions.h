/* SPDX-License-Identifier: MIT */
/*
 * scenario_conditions: what `expect` and `until` of a scenario can ask. A
 * condition says whether it holds and what it found, for the second half of a
 * failure's sentence. scenario.h lists them.
 */
#ifndef SIM_SCENARIO_CONDITIONS_H
#define SIM_SCENARIO_CONDITIONS_H

#include "sim/scenario_words.h"

enum { SCENARIO_FOUND_MAX = 2 * PEER_TEXT_MAX + 64 };

/* Whether a condition holds, or is none. */
enum scenario_truth { SCENARIO_NONSENSE, SCENARIO_FALSE, SCENARIO_TRUE };

/* Evaluates the condition that follows the first word of the scenario's line,
 * and sets found to what is the case. */
enum scenario_truth scenario_evaluate(const struct scenario *scenario,
                                      char found[SCENARIO_FOUND_MAX]);

#endif
