/* SPDX-License-Identifier: MIT */
/*
 * explorer_search: breadth first, level by level. All threads leave the states
 * of one level, shard by shard, and meet when the level is done. So the set of
 * states of each level does not depend on threads, and neither does what is
 * found: in the first level with a violation the one whose content has the
 * lowest hash, and on the way to it at each state the parent with the lowest
 * hash.
 *
 * A worker collects successors before it adds them, so that the places in the
 * hash table are on their way from memory meanwhile.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

enum {
    BATCH = 32,   /* successors on their way into the set */
    CHUNK = 1024, /* states that a thread takes, between looks at the limits */
    AHEAD = 6,    /* states whose contexts are on their way from memory */
};

struct finding {
    const char *sentence; /* NULL: nothing found */
    const char *rule;
    bool violation;
    uint64_t hash;
    uint32_t state;
    uint32_t host;
    uint32_t event; /* that failed after the state; or STATE_NONE */
};

struct search {
    struct explorer *explorer;
    const struct explorer_search *search;
    struct state_set *set;
    uint32_t ranges[SHARDS + 1]; /* of the level: first chunk of each shard */
    atomic_uint chunk;           /* the next one to be taken */
    atomic_ullong states;
    atomic_int stop; /* an explorer_end, or -1 */
    double end_time;
    pthread_mutex_t lock;
    struct finding finding;
};

struct successor {
    struct global global;
    uint64_t hash;
    uint32_t parent;
    uint32_t changed; /* locals, as bits */
    uint64_t parent_hash;
};

struct searcher {
    struct worker worker;
    struct search *search;
    struct successor batch[BATCH];
    uint32_t batched;
};

/* A state whose successors are being found. */
struct leaving {
    struct global global;
    uint64_t hash;
    uint32_t state;
    struct budgets budgets;
};

/* ---- Findings ---- */

static bool is_better(const struct finding *a, const struct finding *b)
{
    if (!b->sentence)
        return true;
    if (a->violation != b->violation)
        return a->violation;
    return a->hash < b->hash;
}

static void found(struct search *search, const struct finding *finding)
{
    pthread_mutex_lock(&search->lock);
    if (is_better(finding, &search->finding))
        search->finding = *finding;
    pthread_mutex_unlock(&search->lock);
}

/* Looks at a new state. */
static void judge(struct search *search, struct worker *worker,
                  const struct successor *fresh, uint32_t state)
{
    const struct explorer_rule *rule = NULL;
    struct finding finding = {.violation = true,
                              .hash = fresh->hash,
                              .state = state,
                              .event = STATE_NONE};

    finding.sentence = worker_judge(worker, &worker->invariants, &fresh->global,
                                    fresh->changed, &rule);
    if (!finding.sentence) {
        finding.violation = false;
        finding.sentence = worker_judge(worker, &worker->goals, &fresh->global,
                                        fresh->changed, &rule);
    }
    if (!finding.sentence)
        return;
    finding.rule = rule->name;
    found(search, &finding);
}

static void handler_failed(struct searcher *searcher,
                           const struct leaving *from, uint32_t host,
                           uint32_t event, const char *sentence)
{
    struct finding finding = {
        .sentence = sentence,
        .rule = "the contract of node.h",
        .violation = true,
        .hash =
            from->hash ^ event_hash(searcher->search->explorer, host, event),
        .state = from->state,
        .host = host,
        .event = event,
    };

    found(searcher->search, &finding);
}

/* ---- One worker ---- */

static void flush(struct searcher *searcher)
{
    struct search *search = searcher->search;
    uint64_t fresh = 0;

    for (uint32_t i = 0; i < searcher->batched; i++) {
        const struct successor *next = &searcher->batch[i];
        uint32_t state;

        if (!state_set_add(search->set, &next->global, next->hash, next->parent,
                           next->parent_hash, &state))
            continue;
        fresh++;
        judge(search, &searcher->worker, next, state);
    }
    searcher->batched = 0;
    if (fresh > 0)
        atomic_fetch_add_explicit(&search->states, fresh, memory_order_relaxed);
}

static void add_successor(struct searcher *searcher,
                          const struct successor *next)
{
    state_set_prefetch(searcher->search->set, next->hash);
    searcher->batch[searcher->batched++] = *next;
    if (searcher->batched == BATCH)
        flush(searcher);
}

static void take_step(struct searcher *searcher, const struct leaving *from,
                      uint32_t host, const struct step *step,
                      struct successor *next)
{
    struct worker *worker = &searcher->worker;
    const char *sentence;

    if (step->failed) {
        handler_failed(searcher, from, host, step->event,
                       step->outcome->failure);
        return;
    }
    sentence = worker_apply(worker, &from->global, host, step, &next->global);
    if (sentence) {
        handler_failed(searcher, from, host, step->event, sentence);
        return;
    }
    if (global_equal(worker->explorer, &from->global, &next->global))
        return;
    worker->successors++;
    next->hash = global_hash(&next->global);
    next->changed = step->moves ? (uint32_t)1 << host : 0;
    add_successor(searcher, next);
}

static void take_steps(struct searcher *searcher, const struct leaving *from,
                       uint32_t host, const struct steps *steps)
{
    struct worker *worker = &searcher->worker;
    struct successor next = {.parent = from->state, .parent_hash = from->hash};

    worker->transitions += steps->enabled;
    if (from->budgets.crash)
        worker->transitions += steps->crashes;
    if (from->budgets.loss)
        worker->transitions += steps->losses;
    for (uint32_t i = 0; i < steps->count; i++) {
        if (budgets_allow(&from->budgets, steps->step[i].event))
            take_step(searcher, from, host, &steps->step[i], &next);
    }
}

static void leave(struct searcher *searcher, uint32_t state)
{
    struct worker *worker = &searcher->worker;
    struct leaving from = {.global = state_set_at(searcher->search->set, state),
                           .state = state};

    if (worker_prunes(worker, &from.global)) {
        worker->pruned++;
        return;
    }
    from.hash = global_hash(&from.global);
    from.budgets = worker_budgets(worker, &from.global);
    for (uint32_t host = 0; host < worker->explorer->count; host++) {
        struct choice choice = worker_choice(worker, &from.global, host);

        take_steps(searcher, &from, host, choice.steps);
        if (choice.act)
            take_steps(searcher, &from, host, choice.act);
        worker_choice_done(worker, &choice);
    }
}

static void look_at_limits(struct search *search)
{
    const struct explorer_search *limits = search->search;
    int stop = -1;

    if (limits->states > 0 && atomic_load(&search->states) >= limits->states)
        stop = EXPLORER_STATES;
    if (limits->memory > 0 && explorer_memory() >= limits->memory)
        stop = EXPLORER_MEMORY;
    if (limits->seconds > 0 && explorer_seconds() >= search->end_time)
        stop = EXPLORER_TIME;
    if (stop >= 0)
        atomic_store(&search->stop, stop);
}

/* Leaves a part of the level. */
static void leave_chunk(struct searcher *searcher, uint32_t number,
                        uint32_t begin)
{
    struct search *search = searcher->search;
    uint32_t end = search->set->shards[number].level_end;

    if (end - begin > CHUNK)
        end = begin + CHUNK;
    look_at_limits(search);
    for (uint32_t i = begin; i < end; i++) {
        if (atomic_load_explicit(&search->stop, memory_order_relaxed) >= 0)
            return;
        if (i + AHEAD < end)
            state_set_expect(search->set, (i + AHEAD) * SHARDS + number);
        leave(searcher, i * SHARDS + number);
    }
}

static void *search_level(void *argument)
{
    struct searcher *searcher = argument;
    struct search *search = searcher->search;
    uint32_t shard = 0;
    uint32_t chunk;

    while ((chunk = atomic_fetch_add(&search->chunk, 1)) <
           search->ranges[SHARDS]) {
        while (chunk >= search->ranges[shard + 1])
            shard++;
        leave_chunk(searcher, shard,
                    search->set->shards[shard].level_start +
                        (chunk - search->ranges[shard]) * CHUNK);
    }
    flush(searcher);
    return NULL;
}

/* ---- The search ---- */

static void run_level(struct search *search, struct searcher *searchers,
                      uint32_t threads)
{
    pthread_t ids[EXPLORER_THREADS_MAX];

    for (uint32_t i = 0; i < SHARDS; i++) {
        const struct shard *shard = &search->set->shards[i];
        uint32_t states = shard->level_end - shard->level_start;

        search->ranges[i + 1] =
            search->ranges[i] + (states + CHUNK - 1) / CHUNK;
    }
    atomic_store(&search->chunk, 0);
    for (uint32_t i = 1; i < threads; i++) {
        int result = pthread_create(&ids[i], NULL, search_level, &searchers[i]);

        assert(result == 0);
        (void)result;
    }
    search_level(&searchers[0]);
    for (uint32_t i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
}

/* Returns how it ended. */
static enum explorer_end run_levels(struct search *search,
                                    struct searcher *searchers, uint32_t *depth)
{
    enum { FEW = 256 /* states that are not worth a thread */ };
    const struct explorer_search *limits = search->search;

    for (;;) {
        uint64_t frontier;

        if (search->finding.sentence)
            return search->finding.violation ? EXPLORER_VIOLATION
                                             : EXPLORER_GOAL;
        if (atomic_load(&search->stop) >= 0)
            return (enum explorer_end)atomic_load(&search->stop);
        frontier = state_set_next_level(search->set);
        if (frontier == 0) {
            (*depth)--; /* the last level led nowhere */
            return EXPLORER_EXHAUSTED;
        }
        if (limits->depth > 0 && *depth >= limits->depth)
            return EXPLORER_DEPTH;
        run_level(search, searchers, frontier < FEW ? 1 : limits->threads);
        look_at_limits(search);
        (*depth)++;
    }
}

static void begin(struct search *search, struct searcher *first)
{
    struct successor start = {.global = search->explorer->start,
                              .hash = global_hash(&search->explorer->start),
                              .parent = STATE_NONE,
                              .changed = UINT32_MAX};
    uint32_t state;

    state_set_add(search->set, &start.global, start.hash, STATE_NONE, 0,
                  &state);
    atomic_store(&search->states, 1);
    judge(search, &first->worker, &start, state);
}

/* Returns the event that leads from one state to another: of several the one
 * with the lowest hash. */
static struct explorer_event event_between(struct worker *worker,
                                           const struct global *from,
                                           const struct global *to)
{
    struct explorer *explorer = worker->explorer;
    struct explorer_event best = {0, STATE_NONE};
    uint64_t best_hash = 0;

    for (uint32_t host = 0; host < explorer->count; host++) {
        struct choice choice = worker_choice(worker, from, host);
        const struct steps *lists[2] = {choice.steps, choice.act};

        for (uint32_t i = 0; i < 2; i++) {
            for (uint32_t j = 0; lists[i] && j < lists[i]->count; j++) {
                const struct step *step = &lists[i]->step[j];
                uint64_t hash = event_hash(explorer, host, step->event);
                struct global next;

                if (step->failed ||
                    worker_apply(worker, from, host, step, &next) ||
                    !global_equal(explorer, &next, to) ||
                    (best.event != STATE_NONE && best_hash <= hash))
                    continue;
                best = (struct explorer_event){host, step->event};
                best_hash = hash;
            }
        }
        worker_choice_done(worker, &choice);
    }
    assert(best.event != STATE_NONE);
    return best;
}

static void trace_path(struct search *search, struct worker *worker,
                       struct explorer_path *path)
{
    uint32_t states = 0;
    uint32_t state = search->finding.state;

    for (uint32_t s = state; s != STATE_NONE;
         s = state_set_parent(search->set, s))
        states++;
    path->count = states - 1;
    path->events = memory_new((states + 1) * sizeof(*path->events));
    for (uint32_t i = states - 1; i > 0; i--) {
        uint32_t parent = state_set_parent(search->set, state);
        struct global from = state_set_at(search->set, parent);
        struct global to = state_set_at(search->set, state);

        path->events[i - 1] = event_between(worker, &from, &to);
        state = parent;
    }
    if (search->finding.event != STATE_NONE)
        path->events[path->count++] = (struct explorer_event){
            search->finding.host, search->finding.event};
}

static void sum_up(const struct search *search, struct searcher *searchers,
                   struct explorer_result *result)
{
    result->states = atomic_load(&search->states);
    for (uint32_t i = 0; i < search->search->threads; i++) {
        result->transitions += searchers[i].worker.transitions;
        result->successors += searchers[i].worker.successors;
        result->pruned += searchers[i].worker.pruned;
    }
    result->sentence = search->finding.sentence;
    result->rule = search->finding.rule;
}

static void search_breadth_first(struct explorer *explorer,
                                 const struct explorer_search *limits,
                                 struct explorer_result *result)
{
    struct search search = {.explorer = explorer, .search = limits};
    struct searcher *searchers =
        memory_new(limits->threads * sizeof(*searchers));

    search.set = state_set_new(explorer);
    search.end_time = explorer_seconds() + limits->seconds;
    atomic_store(&search.stop, -1);
    pthread_mutex_init(&search.lock, NULL);
    for (uint32_t i = 0; i < limits->threads; i++) {
        searchers[i].search = &search;
        worker_init(&searchers[i].worker, explorer, limits);
    }
    begin(&search, &searchers[0]);
    result->end = run_levels(&search, searchers, &result->depth);
    sum_up(&search, searchers, result);
    if (search.finding.sentence)
        trace_path(&search, &searchers[0].worker, &result->path);
    for (uint32_t i = 0; i < limits->threads; i++)
        worker_release(&searchers[i].worker);
    free(searchers);
    pthread_mutex_destroy(&search.lock);
    state_set_free(search.set);
}

struct explorer_result explorer_run(struct explorer *explorer,
                                    const struct explorer_search *search)
{
    struct explorer_result result = {.end = EXPLORER_EXHAUSTED};
    struct catch_signals *catch = catch_begin();
    uint64_t handlers = explorer->runner.handlers;
    uint64_t checks = explorer->runner.checks;
    double started = explorer_seconds();
    double cpu_started = explorer_cpu_seconds();

    assert(search->threads > 0 && search->threads <= EXPLORER_THREADS_MAX);
    contexts_forget_steps(explorer);
    explorer->search = search;
    if (search->walks > 0)
        explorer_walks(explorer, search, &result);
    else
        search_breadth_first(explorer, search, &result);
    contexts_forget_steps(explorer);
    explorer->search = NULL;
    catch_end(catch);
    result.handlers = explorer->runner.handlers - handlers;
    result.checks = explorer->runner.checks - checks;
    result.seconds = explorer_seconds() - started;
    result.cpu_seconds = explorer_cpu_seconds() - cpu_started;
    result.octets = explorer_memory();
    return result;
}

void explorer_result_release(struct explorer_result *result)
{
    free(result->path.events);
    result->path = (struct explorer_path){NULL, 0};
}
