/* SPDX-License-Identifier: MIT */
/*
 * explorer_walk: random walks from the start. Nothing is remembered but the
 * path, so a walk goes deep where the breadth-first search would drown, and
 * proves nothing about what it did not come across.
 *
 * A walk ends where no event changes anything, at the depth limit, or in a
 * state that the prunes leave out; then the next one begins. All choices come
 * from the seed.
 */
#include <stdlib.h>

#include "node/memory.h"
#include "node/random.h"
#include "sim/explorer_state.h"

enum { LIMIT_INTERVAL = 4096 /* steps between two looks at the clock */ };

struct walk {
    struct worker worker;
    const struct explorer_search *search;
    struct global global;
    struct explorer_event *events;
    uint32_t depth;
    uint64_t random;
    bool may_crash;
};

/* Returns how many steps of a list are possible, and counts them. */
static uint32_t possible(const struct walk *walk, const struct steps *steps)
{
    uint32_t count = steps ? steps->count : 0;

    /* A crash stands last in its list. */
    if (count > 0 && steps->crashes > 0 && !walk->may_crash)
        count--;
    return count;
}

/* Draws the next step. Returns NULL when there is none. */
static const struct step *draw(struct walk *walk, uint32_t *host)
{
    const struct explorer *explorer = walk->worker.explorer;
    struct choice choices[EXPLORER_NODES_MAX];
    uint32_t total = 0;
    uint32_t chosen;

    for (uint32_t i = 0; i < explorer->count; i++) {
        choices[i] = worker_choice(&walk->worker, &walk->global, i);
        total += possible(walk, choices[i].steps);
        total += possible(walk, choices[i].act);
    }
    if (total == 0)
        return NULL;
    chosen = random_between(&walk->random, 0, total - 1);
    for (uint32_t i = 0; i < explorer->count; i++) {
        uint32_t own = possible(walk, choices[i].steps);
        uint32_t act = possible(walk, choices[i].act);

        *host = i;
        if (chosen < own)
            return &choices[i].steps->step[chosen];
        chosen -= own;
        if (chosen < act)
            return &choices[i].act->step[chosen];
        chosen -= act;
    }
    return NULL;
}

static void report(const struct walk *walk, struct explorer_result *result,
                   enum explorer_end end, const char *sentence,
                   const char *rule)
{
    result->end = end;
    result->sentence = sentence;
    result->rule = rule;
    for (uint32_t i = 0; i < walk->depth; i++)
        path_append(&result->path, walk->events[i].node, walk->events[i].event);
}

/* Does one step. Returns whether the walk goes on; result->sentence is set when
 * the whole search is over. */
static bool walk_on(struct walk *walk, struct explorer_result *result)
{
    struct worker *worker = &walk->worker;
    const struct explorer_rule *rule = NULL;
    const struct step *step;
    struct global next;
    uint32_t host;
    const char *sentence;

    walk->may_crash = global_crashes(worker->explorer, &walk->global) <
                      walk->search->crash_budget;
    step = draw(walk, &host);
    if (!step)
        return false;
    walk->events[walk->depth++] = (struct explorer_event){host, step->event};
    result->transitions++;
    if (step->outcome->failure) {
        report(walk, result, EXPLORER_VIOLATION, step->outcome->failure,
               "the contract of node.h");
        return false;
    }
    worker_apply(worker, &walk->global, host, step, &next);
    walk->global = next;
    sentence = worker_judge(worker, walk->search->invariants, &next, &rule);
    if (sentence)
        report(walk, result, EXPLORER_VIOLATION, sentence, rule->name);
    else if ((sentence =
                  worker_judge(worker, walk->search->goals, &next, &rule)))
        report(walk, result, EXPLORER_GOAL, sentence, rule->name);
    return !sentence && walk->depth < walk->search->depth &&
           !worker_judge(worker, walk->search->prunes, &next, NULL);
}

void explorer_walks(struct explorer *explorer,
                    const struct explorer_search *search,
                    struct explorer_result *result)
{
    struct walk walk = {.search = search, .random = search->seed};
    double end = explorer_seconds() + search->seconds;
    uint64_t looks = 0;

    worker_init(&walk.worker, explorer, search);
    walk.events = memory_new((search->depth + 1) * sizeof(*walk.events));
    result->end = EXPLORER_WALKS;
    while (!result->sentence && result->walks < search->walks) {
        walk.global = explorer->start;
        walk.depth = 0;
        result->walks++;
        while (walk_on(&walk, result))
            ;
        if (walk.depth > result->depth)
            result->depth = walk.depth;
        if (search->seconds > 0 &&
            result->transitions / LIMIT_INTERVAL > looks) {
            looks = result->transitions / LIMIT_INTERVAL;
            if (explorer_seconds() >= end && !result->sentence) {
                result->end = EXPLORER_TIME;
                break;
            }
        }
    }
    result->states = result->transitions;
    free(walk.events);
    worker_release(&walk.worker);
}
