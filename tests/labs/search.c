/* SPDX-License-Identifier: MIT */
/*
 * search: see search.h. Random walks go beyond the bound of the breadth-first
 * part; they are told by the test's seed, so a failure can be repeated.
 */
#include "tests/labs/search.h"

#include <inttypes.h>
#include <string.h>

enum { GOAL_STATES = 400000, WALK_DEPTH = 90, STATES_MIN = 200, WALKS_MIN = 2 };

static void condemn(struct lab *lab, struct explorer *explorer,
                    const struct explorer_search *how,
                    struct explorer_result *result)
{
    const char *sentence = result->sentence;

    explorer_minimise(explorer, how, &result->path);
    printf("the shortest schedule that was found, of %zu events:\n",
           result->path.count);
    explorer_narrate(explorer, &result->path, stdout);
    lab_fail(lab, "after the schedule above, %s", sentence);
}

void search_go_to(struct lab *lab, struct explorer *explorer,
                  struct explorer_search *how, bool forget)
{
    struct explorer_result result;

    how->states = GOAL_STATES;
    result = explorer_run(explorer, how);
    if (result.end == EXPLORER_VIOLATION)
        condemn(lab, explorer, how, &result);
    LAB_EXPECT(lab,
               result.end == EXPLORER_GOAL &&
                   explorer_start_at(explorer, &result.path, forget),
               "no schedule among %" PRIu64 " states leads to where %s",
               result.states, how->goals[0].name);
    explorer_result_release(&result);
}

static void run(struct lab *lab, struct explorer *explorer,
                const struct explorer_search *how)
{
    struct explorer_result result = explorer_run(explorer, how);

    if (result.end == EXPLORER_VIOLATION)
        condemn(lab, explorer, how, &result);
    explorer_result_release(&result);
}

void search_look(struct lab *lab, struct explorer *explorer,
                 struct explorer_search *how, uint64_t states, uint64_t walks)
{
    how->states = states / lab->slow + STATES_MIN;
    run(lab, explorer, how);
    how->states = 0;
    how->walks = walks / lab->slow + WALKS_MIN;
    how->depth = WALK_DEPTH;
    how->seed = lab->seed;
    memset(how->timers_off, 0, sizeof(how->timers_off));
    run(lab, explorer, how);
}
