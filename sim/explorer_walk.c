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
#include <assert.h>
#include <stdlib.h>

#include "node/memory.h"
#include "node/random.h"
#include "sim/explorer_state.h"

enum { LIMIT_INTERVAL = 4096 /* steps between two looks at the clock */ };

/* What a node can do now. */
struct seat {
    struct choice choice;
    uint32_t own; /* steps that the budgets allow */
    uint32_t act;
};

struct walk {
    struct worker worker;
    const struct explorer_search *search;
    struct global global;
    struct seat seats[EXPLORER_NODES_MAX];
    uint32_t knowledge; /* for which the seats hold */
    struct budgets budgets;
    struct explorer_event *events;
    uint32_t depth;
    uint64_t random;
};

/* ---- The next step ---- */

static uint32_t allowed(const struct walk *walk, const struct steps *steps)
{
    uint32_t count = 0;

    for (uint32_t i = 0; steps && i < steps->count; i++)
        count += budgets_allow(&walk->budgets, steps->step[i].event);
    return count;
}

/* Looks again at what a node can do. */
static void seat_look(struct walk *walk, uint32_t host)
{
    struct seat *seat = &walk->seats[host];

    seat->choice = worker_choice(&walk->worker, &walk->global, host);
    seat->own = allowed(walk, seat->choice.steps);
    seat->act = allowed(walk, seat->choice.act);
}

/* Brings the seats to where the walk is; all of them, or those of nodes whose
 * contexts have changed. */
static void look_around(struct walk *walk, const struct global *before)
{
    const struct explorer *explorer = walk->worker.explorer;
    uint32_t knowledge = global_knowledge(explorer, &walk->global);
    struct budgets budgets = worker_budgets(&walk->worker, &walk->global);
    bool all = !before || walk->search->short_turns ||
               knowledge != walk->knowledge ||
               budgets.crash != walk->budgets.crash ||
               budgets.loss != walk->budgets.loss;

    walk->knowledge = knowledge;
    walk->budgets = budgets;
    for (uint32_t i = 0; i < explorer->count; i++) {
        if (all || before->contexts[i] != walk->global.contexts[i])
            seat_look(walk, i);
    }
}

static const struct step *pick(const struct walk *walk,
                               const struct steps *steps, uint32_t chosen)
{
    for (uint32_t i = 0; i < steps->count; i++) {
        if (budgets_allow(&walk->budgets, steps->step[i].event) &&
            chosen-- == 0)
            return &steps->step[i];
    }
    return NULL;
}

/* Draws the next step. Returns NULL when there is none. */
static const struct step *draw(struct walk *walk, uint32_t *host)
{
    uint32_t count = walk->worker.explorer->count;
    uint32_t total = 0;
    uint32_t chosen;

    for (uint32_t i = 0; i < count; i++)
        total += walk->seats[i].own + walk->seats[i].act;
    if (total == 0)
        return NULL;
    chosen = (uint32_t)random_between(&walk->random, 0, total - 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct seat *seat = &walk->seats[i];

        *host = i;
        if (chosen < seat->own)
            return pick(walk, seat->choice.steps, chosen);
        chosen -= seat->own;
        if (chosen < seat->act)
            return pick(walk, seat->choice.act, chosen);
        chosen -= seat->act;
    }
    return NULL;
}

/* ---- A walk ---- */

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

/* Judges the state after a step that changed some locals. Returns whether the
 * walk may go on. */
static bool judge(struct walk *walk, uint32_t changed,
                  struct explorer_result *result)
{
    struct worker *worker = &walk->worker;
    const struct explorer_rule *rule = NULL;
    enum explorer_end end = EXPLORER_VIOLATION;
    const char *sentence = worker_judge(worker, &worker->invariants,
                                        &walk->global, changed, &rule);

    if (!sentence) {
        end = EXPLORER_GOAL;
        sentence =
            worker_judge(worker, &worker->goals, &walk->global, changed, &rule);
    }
    if (sentence)
        report(walk, result, end, sentence, rule->name);
    return !sentence && walk->depth < walk->search->depth &&
           !worker_prunes(worker, &walk->global);
}

/* Does one step. Returns whether the walk goes on; result->sentence is set when
 * the whole search is over. */
static bool walk_on(struct walk *walk, struct explorer_result *result)
{
    struct global before = walk->global;
    uint32_t host;
    const struct step *step = draw(walk, &host);
    const char *sentence;

    if (!step)
        return false;
    walk->events[walk->depth++] = (struct explorer_event){host, step->event};
    result->transitions++;
    sentence = step->failed ? step->outcome->failure
                            : worker_apply(&walk->worker, &before, host, step,
                                           &walk->global);
    if (sentence) {
        report(walk, result, EXPLORER_VIOLATION, sentence,
               "the contract of node.h");
        return false;
    }
    if (!judge(walk, step->moves ? (uint32_t)1 << host : 0, result))
        return false;
    look_around(walk, &before);
    return true;
}

void explorer_walks(struct explorer *explorer,
                    const struct explorer_search *search,
                    struct explorer_result *result)
{
    struct walk walk = {.search = search, .random = search->seed};
    double end = explorer_seconds() + search->seconds;
    uint64_t looks = 0;

    assert(!search->no_memo);
    worker_init(&walk.worker, explorer, search);
    walk.events = memory_new((search->depth + 1) * sizeof(*walk.events));
    result->end = EXPLORER_WALKS;
    while (!result->sentence && result->walks < search->walks) {
        walk.global = explorer->start;
        walk.depth = 0;
        look_around(&walk, NULL);
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
