/* SPDX-License-Identifier: MIT */
/*
 * explorer_path: going a path again. An event of a path that cannot happen
 * where the path has led is left out, which makes shortening simple: take an
 * event away, go the rest, and see whether it still ends in the same violation.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

void path_append(struct explorer_path *path, uint32_t node, uint32_t event)
{
    size_t count = path->count;

    if ((count & (count - 1)) == 0) /* full at every power of two */
        path->events = memory_resize(path->events, (count ? 2 * count : 1) *
                                                       sizeof(*path->events));
    path->events[path->count++] = (struct explorer_event){node, event};
}

/* ---- One event ---- */

static bool timer_is_ready(const struct local *local, uint32_t slot)
{
    for (uint32_t i = 0; i < local->timer_count; i++) {
        if (local->timers[i].slot == slot)
            return timer_may_fire(local, i);
    }
    return false;
}

static bool has_message(const struct explorer *explorer, uint32_t list,
                        uint32_t message)
{
    uint32_t count;
    const uint32_t *messages = list_messages(explorer, list, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (messages[i] == message)
            return list_may_deliver(explorer, messages, i);
    }
    return false;
}

static bool can_happen(const struct explorer *explorer,
                       const struct global *global, uint32_t host,
                       uint32_t event)
{
    const struct explorer_node *node = &explorer->nodes[host];
    const struct context *context =
        context_at(explorer, global->contexts[host]);
    const struct local *local = local_at(explorer, context->local);

    switch (event_kind(event)) {
    case EVENT_DELIVER:
        return local->node &&
               has_message(explorer, context->list, event_argument(event));
    case EVENT_TIMER: return timer_is_ready(local, event_argument(event));
    case EVENT_CRASH: return local->node && node->crashes;
    case EVENT_RESTART:
        return !local->node && !local->finished && node->restarts;
    case EVENT_ACT: return local->wants;
    case EVENT_LOSE:
        return explorer->network != EXPLORER_SET &&
               has_message(explorer, context->list, event_argument(event));
    case EVENT_FORGET: return true;
    }
    return false;
}

/* Returns the list of a list's messages of one kind. */
static uint32_t list_of_kind(struct explorer *explorer, uint32_t list,
                             uint32_t kind)
{
    uint32_t count;
    uint32_t kept_count = 0;
    const uint32_t *messages = list_messages(explorer, list, &count);
    uint32_t *kept = memory_new(count * sizeof(*kept));
    uint32_t number;

    for (uint32_t i = 0; i < count; i++) {
        if ((uint32_t)message_at(explorer, messages[i])->what == kind)
            kept[kept_count++] = messages[i];
    }
    number = list_number(explorer, kept, kept_count);
    free(kept);
    return number;
}

static void forget_messages(struct explorer *explorer, struct global *global,
                            uint32_t but)
{
    for (uint32_t i = 0; i < explorer->count; i++) {
        const struct context *context =
            context_at(explorer, global->contexts[i]);

        global->contexts[i] =
            context_number(explorer, context->local,
                           list_of_kind(explorer, context->list, but));
    }
    global_complete(explorer, global);
}

/* Does an event that can happen. Returns NULL or what is wrong with it. */
static const char *happen(struct worker *worker, struct global *global,
                          uint32_t host, uint32_t *event)
{
    struct explorer *explorer = worker->explorer;
    struct global before = *global;
    struct step step;

    if (event_kind(*event) == EVENT_FORGET) {
        forget_messages(explorer, global, event_argument(*event));
        return NULL;
    }
    if (event_kind(*event) == EVENT_ACT)
        *event = event_make(EVENT_ACT, global_knowledge(explorer, global));
    context_step(worker->runner, global->contexts[host], *event, &step, NULL);
    if (step.failed)
        return step.outcome->failure;
    return worker_apply(worker, &before, host, &step, global);
}

const char *path_go(struct explorer *explorer, struct global *global,
                    const struct explorer_event *event)
{
    static const struct explorer_search plain = {.threads = 1};
    struct worker worker;
    uint32_t what = event->event;
    const char *sentence;

    worker_init(&worker, explorer, &plain);
    sentence = happen(&worker, global, event->node, &what);
    worker_release(&worker);
    return sentence;
}

/* ---- Paths ---- */

struct replay {
    struct explorer_search search; /* of rules only */
    struct worker worker;
    struct global global;
    struct explorer_path used;
    bool complete; /* nothing was left out */
};

static void replay_init(struct replay *replay, struct explorer *explorer,
                        const struct explorer_rule *invariants)
{
    memset(replay, 0, sizeof(*replay));
    replay->search.invariants = invariants;
    worker_init(&replay->worker, explorer, &replay->search);
}

static const char *replay_path(struct replay *replay,
                               const struct explorer_path *path)
{
    struct explorer *explorer = replay->worker.explorer;
    const char *sentence = NULL;

    assert(explorer);
    replay->global = explorer->start;
    replay->used = (struct explorer_path){NULL, 0};
    replay->complete = true;
    for (size_t i = 0; i < path->count && !sentence; i++) {
        uint32_t host = path->events[i].node;
        uint32_t event = path->events[i].event;

        if (host >= explorer->count ||
            !can_happen(explorer, &replay->global, host, event)) {
            replay->complete = false;
            continue;
        }
        sentence = happen(&replay->worker, &replay->global, host, &event);
        path_append(&replay->used, host, event);
        if (!sentence)
            sentence = worker_judge(&replay->worker, &replay->worker.invariants,
                                    &replay->global, UINT32_MAX, NULL);
    }
    return sentence;
}

const char *explorer_replay(struct explorer *explorer,
                            const struct explorer_search *search,
                            const struct explorer_path *path,
                            struct explorer_path *used)
{
    struct replay replay;
    struct catch_signals *catch = catch_begin();
    const char *sentence;

    replay_init(&replay, explorer, search ? search->invariants : NULL);
    sentence = replay_path(&replay, path);
    worker_release(&replay.worker);
    catch_end(catch);
    if (used)
        *used = replay.used;
    else
        free(replay.used.events);
    return sentence;
}

bool explorer_start_at(struct explorer *explorer,
                       const struct explorer_path *path, uint32_t forget)
{
    uint32_t but =
        forget > EXPLORER_FORGET_BUT ? forget - EXPLORER_FORGET_BUT : 0;
    struct replay replay;
    struct catch_signals *catch = catch_begin();
    bool gone;

    replay_init(&replay, explorer, NULL);
    gone = replay_path(&replay, path) == NULL && replay.complete;
    if (gone) {
        for (size_t i = 0; i < replay.used.count; i++)
            path_append(&explorer->prefix, replay.used.events[i].node,
                        replay.used.events[i].event);
        if (forget != EXPLORER_FORGET_NOTHING) {
            forget_messages(explorer, &replay.global, but);
            path_append(&explorer->prefix, 0, event_make(EVENT_FORGET, but));
        }
        explorer->start = replay.global;
    }
    free(replay.used.events);
    worker_release(&replay.worker);
    catch_end(catch);
    return gone;
}

void explorer_whole_path(struct explorer *explorer, struct explorer_path *path)
{
    struct explorer_path whole = explorer->prefix;

    for (size_t i = 0; i < path->count; i++)
        path_append(&whole, path->events[i].node, path->events[i].event);
    free(path->events);
    *path = whole;
    explorer->prefix = (struct explorer_path){NULL, 0};
    explorer->start = explorer->beginning;
}

/* ---- Shorter paths ---- */

/* Goes the path without one or two events. Returns whether it still ends in
 * this sentence, and then *path is what remains of it. */
static bool goes_without(struct replay *replay, struct explorer_path *path,
                         size_t one, size_t other, const char *sentence)
{
    struct explorer_path shorter = {NULL, 0};
    const char *end;

    for (size_t i = 0; i < path->count; i++) {
        if (i != one && i != other)
            path_append(&shorter, path->events[i].node, path->events[i].event);
    }
    end = replay_path(replay, &shorter);
    free(shorter.events);
    if (!end || strcmp(end, sentence) != 0) {
        free(replay->used.events);
        return false;
    }
    free(path->events);
    *path = replay->used;
    return true;
}

static bool shorten_by_one(struct replay *replay, struct explorer_path *path,
                           const char *sentence)
{
    bool shorter = false;

    for (size_t i = path->count; i-- > 0;) {
        if (i < path->count && goes_without(replay, path, i, i, sentence))
            shorter = true;
    }
    return shorter;
}

static bool shorten_by_two(struct replay *replay, struct explorer_path *path,
                           const char *sentence)
{
    for (size_t i = path->count; i-- > 0;) {
        for (size_t j = i; j-- > 0;) {
            if (goes_without(replay, path, i, j, sentence))
                return true;
        }
    }
    return false;
}

void explorer_minimise(struct explorer *explorer,
                       const struct explorer_search *search,
                       struct explorer_path *path)
{
    struct replay replay;
    struct catch_signals *catch = catch_begin();
    const char *sentence;

    replay_init(&replay, explorer, search->invariants);
    sentence = replay_path(&replay, path);
    assert(sentence);
    free(path->events);
    *path = replay.used;
    while (shorten_by_one(&replay, path, sentence) ||
           shorten_by_two(&replay, path, sentence))
        ;
    worker_release(&replay.worker);
    catch_end(catch);
}
