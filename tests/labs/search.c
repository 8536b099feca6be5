/* SPDX-License-Identifier: MIT */
/*
 * search: see search.h. Random walks go beyond the bound of the breadth-first
 * part; they are told by the test's seed, so a failure can be repeated.
 */
#include "tests/labs/search.h"

#include <inttypes.h>
#include <string.h>

enum { GOAL_STATES = 400000, WALK_DEPTH = 90, STATES_MIN = 200, WALKS_MIN = 2 };

struct inspection search_inspect(const struct node *node)
{
    struct inspection inspection = {0};

    if (node)
        node->type->inspect(node, &inspection);
    return inspection;
}

bool search_is_acknowledged(const struct inspection *service)
{
    for (uint32_t i = 0; i < service->server_count; i++) {
        if (peer_equal(&service->servers[i].peer, &service->view.primary) &&
            service->servers[i].view == service->view.number)
            return true;
    }
    return false;
}

const char *search_goal_view(const struct explorer_view *view)
{
    return search_inspect(view->nodes[0]).view.number >= view->parameter
               ? "the view service has come to this view"
               : NULL;
}

const char *search_prune_views(const struct explorer_view *view)
{
    return search_inspect(view->nodes[0]).view.number > view->parameter
               ? "too many views"
               : NULL;
}

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
