/* SPDX-License-Identifier: MIT */
/*
 * explorer: see explorer.h, and explorer_state.h for the map of the files. Here
 * are the system's beginning and end, and global states as a whole.
 */
#include "sim/explorer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "node/memory.h"
#include "sim/explorer_state.h"
#include "sim/pages.h"

double explorer_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double explorer_cpu_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
}

uint64_t explorer_memory(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

/* ---- Beginning and end ---- */

static void tables_init(struct explorer *explorer)
{
    pthread_mutex_init(&explorer->lock, NULL);
    pthread_mutex_init(&explorer->list_lock, NULL);
    pthread_mutex_init(&explorer->context_lock, NULL);
    intern_init(&explorer->local_names);
    segments_init(&explorer->locals, sizeof(struct local));
    intern_init(&explorer->message_names);
    segments_init(&explorer->messages, sizeof(struct sent_message));
    segments_init(&explorer->outcome_list, sizeof(struct outcome *));
    intern_init(&explorer->lists);
    segments_init(&explorer->list_hashes, sizeof(uint64_t));
    segments_init(&explorer->contexts, sizeof(struct context));
}

/* Does one event of one node, for the start of the system. */
static void start_node(struct explorer *explorer, uint32_t host)
{
    uint32_t *contexts = explorer->start.contexts;
    const struct outcome *outcome = explorer_outcome(
        &explorer->runner, context_at(explorer, contexts[host])->local,
        event_make(EVENT_RESTART, 0), NULL);

    assert(!outcome->failure);
    contexts[host] = context_number(explorer, outcome->local,
                                    context_at(explorer, contexts[host])->list);
    for (uint32_t i = 0; i < outcome->send_count; i++) {
        uint32_t to = outcome->sends[i].to;

        contexts[to] =
            context_add(explorer, contexts[to], outcome->sends[i].list);
    }
}

static void start_system(struct explorer *explorer)
{
    uint32_t nothing = list_number(explorer, NULL, 0);

    for (uint32_t host = 0; host < explorer->count; host++) {
        bool restarts = explorer->nodes[host].restarts;
        uint32_t unborn;

        explorer->nodes[host].restarts = true; /* nothing may be dropped yet */
        pthread_mutex_lock(&explorer->lock);
        unborn = local_unborn(explorer, host);
        pthread_mutex_unlock(&explorer->lock);
        explorer->start.contexts[host] =
            context_number(explorer, unborn, nothing);
        start_node(explorer, host);
        explorer->nodes[host].restarts = restarts;
    }
    global_complete(explorer, &explorer->start);
    explorer->beginning = explorer->start;
}

struct explorer *explorer_new(const struct explorer_node *nodes, uint32_t count,
                              bool guards, uint32_t recheck)
{
    struct explorer *explorer = memory_new(sizeof(*explorer));
    struct catch_signals *catch = catch_begin();

    assert(count > 0 && count <= EXPLORER_NODES_MAX);
    memcpy(explorer->nodes, nodes, count * sizeof(*nodes));
    explorer->count = count;
    explorer->guards = guards;
    explorer->recheck = recheck;
    for (uint32_t i = 0; i < count; i++)
        explorer->acting += nodes[i].wants != NULL;
    assert(explorer->acting * 4 <= EVENT_SHIFT);
    runner_init(&explorer->runner, explorer, false);
    tables_init(explorer);
    start_system(explorer);
    catch_end(catch);
    return explorer;
}

static void tables_release(struct explorer *explorer)
{
    for (uint32_t i = 0; i < explorer->locals.count; i++) {
        struct local *local = segments_at(&explorer->locals, i);

        node_release(local->node);
        bytes_release(local->record);
        reactions_forget(local);
    }
    for (uint32_t i = 0; i < explorer->outcome_list.count; i++)
        free(*(struct outcome **)segments_at(&explorer->outcome_list, i));
    intern_release(&explorer->local_names);
    segments_release(&explorer->locals);
    intern_release(&explorer->message_names);
    segments_release(&explorer->messages);
    segments_release(&explorer->outcome_list);
    intern_release(&explorer->lists);
    segments_release(&explorer->list_hashes);
    segments_release(&explorer->contexts);
    pages_free(explorer->context_slots,
               explorer->context_capacity * sizeof(uint32_t));
    pthread_mutex_destroy(&explorer->lock);
    pthread_mutex_destroy(&explorer->list_lock);
    pthread_mutex_destroy(&explorer->context_lock);
}

void explorer_set_network(struct explorer *explorer,
                          enum explorer_network network)
{
    struct catch_signals *catch = catch_begin();

    explorer->network = network;
    free(explorer->prefix.events);
    explorer->prefix = (struct explorer_path){NULL, 0};
    for (uint32_t i = 0; i < explorer->locals.count; i++)
        reactions_forget(segments_at(&explorer->locals, i));
    start_system(explorer);
    catch_end(catch);
}

void explorer_free(struct explorer *explorer)
{
    if (!explorer)
        return;
    tables_release(explorer);
    free(explorer->prefix.events);
    runner_release(&explorer->runner);
    free(explorer);
}

struct explorer_sizes explorer_sizes(const struct explorer *explorer)
{
    return (struct explorer_sizes){
        .locals = explorer->locals.count,
        .messages = explorer->messages.count,
        .sets = explorer->lists.entries.count,
        .contexts = explorer->contexts.count,
    };
}

const char *explorer_end_name(enum explorer_end end)
{
    switch (end) {
    case EXPLORER_EXHAUSTED: return "exhausted";
    case EXPLORER_GOAL: return "goal reached";
    case EXPLORER_VIOLATION: return "violated";
    case EXPLORER_DEPTH: return "stopped at the depth limit";
    case EXPLORER_STATES: return "stopped at the limit of states";
    case EXPLORER_MEMORY: return "stopped at the memory limit";
    case EXPLORER_TIME: return "stopped at the time limit";
    case EXPLORER_WALKS: return "stopped after all walks";
    }
    return "?";
}

/* ---- Global states ---- */

uint32_t global_knowledge(const struct explorer *explorer,
                          const struct global *global)
{
    uint32_t knowledge = 0;
    unsigned shift = 0;

    for (uint32_t i = 0; i < explorer->count; i++) {
        if (!explorer->nodes[i].wants)
            continue;
        knowledge |=
            (uint32_t)context_at(explorer, global->contexts[i])->progress
            << shift;
        shift += 4;
    }
    return knowledge;
}

void global_complete(const struct explorer *explorer, struct global *global)
{
    global->sum = 0;
    for (uint32_t i = 0; i < explorer->count; i++) {
        const struct context *context =
            context_at(explorer, global->contexts[i]);

        global->sum += context->hash;
        global->locals[i] = context->local;
    }
}

uint64_t global_hash(const struct global *global)
{
    return intern_mix(global->sum);
}

uint32_t global_crashes(const struct explorer *explorer,
                        const struct global *global)
{
    uint32_t crashes = 0;

    for (uint32_t i = 0; i < explorer->count; i++)
        crashes += context_at(explorer, global->contexts[i])->crashes;
    return crashes;
}

bool global_equal(const struct explorer *explorer, const struct global *a,
                  const struct global *b)
{
    return a->sum == b->sum &&
           memcmp(a->contexts, b->contexts,
                  explorer->count * sizeof(a->contexts[0])) == 0;
}
