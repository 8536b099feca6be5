/* SPDX-License-Identifier: MIT */
/*
 * explorer_state: what the explorer's files share, for them only.
 *
 *   explorer.c         the system: its nodes, its start, its tables
 *   explorer_local.c   node states and messages get numbers
 *   explorer_steps.c   an event of a node; runs handlers
 *   explorer_memo.c    what an event does to a node state, kept
 *   explorer_context.c a node state with its messages; one step
 *   explorer_expand.c  … all steps
 *   explorer_catch.c   handlers that abort, crash or do not return
 *   explorer_worker.c  what a thread has for itself
 *   explorer_judge.c   rules
 *   explorer_set.c     the set of global states
 *   explorer_search.c  breadth first, on several threads
 *   explorer_walk.c    random walks
 *   explorer_path.c    paths: found, gone again, made shorter
 *   explorer_text.c    paths as stories and files
 *
 * Four kinds of numbers. A local is a node's state (with incarnation, armed
 * timers, durable record) or its being down. A message is what one life sent to
 * another. A list is a sorted set of messages. A context is a local with the
 * list of everything sent to it, and a global state is one context per node.
 *
 * Numbers depend on the order of discovery, thus on threads. Hashes of content
 * do not: they decide between equally short paths, so that results do not
 * depend on threads either.
 *
 * Threads meet in three places. `lock` guards locals, messages and outcomes,
 * and the common runner while a handler runs on it. `list_lock` and
 * `context_lock` guard those two tables, for the length of one look. Whatever
 * has a number is read without a lock, and a context's steps are computed once
 * and then only read. A thread with `lock` may take one of the others, and
 * never the other way round.
 */
#ifndef SIM_EXPLORER_STATE_H
#define SIM_EXPLORER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "node/message.h"
#include "sim/explorer.h"
#include "sim/explorer_catch.h"
#include "sim/intern.h"

enum event_kind {
    EVENT_DELIVER, /* of a message, by its number */
    EVENT_TIMER,   /* of a slot */
    EVENT_CRASH,
    EVENT_RESTART,
    EVENT_ACT,    /* with what is known of the others */
    EVENT_FORGET, /* what is on the way is lost, but this kind, unless it is 0;
                     of no node in particular */
    EVENT_LOSE,   /* of a message, by its number, where losses are counted */
};

enum { EVENT_SHIFT = 28 };

static inline uint32_t event_make(enum event_kind kind, uint32_t argument)
{
    return (uint32_t)kind << EVENT_SHIFT | argument;
}

static inline enum event_kind event_kind(uint32_t event)
{
    return (enum event_kind)(event >> EVENT_SHIFT);
}

static inline uint32_t event_argument(uint32_t event)
{
    return event & (((uint32_t)1 << EVENT_SHIFT) - 1);
}

struct armed_timer {
    uint32_t slot;
    uint32_t min_ms;
    uint32_t max_ms;
};

/* A node's state. The struct node is nobody's but the table's: it is cloned for
 * every event and never changed. */
struct local {
    struct node *node; /* NULL: down */
    uint32_t host;
    uint32_t crashes;
    uint64_t incarnation; /* of this or the last life; 0: none yet */
    bool finished;        /* down for good */
    bool wants;
    uint32_t progress;
    uint32_t timer_count;
    struct armed_timer timers[TIMERS_MAX]; /* in the order of setting */
    struct bytes *record;
    uint32_t origin; /* the local and the event that led here first */
    uint32_t origin_event;
    _Atomic(struct reactions *) reactions; /* explorer_memo.c */
};

struct sent_message {
    uint8_t from;
    uint8_t to;
    uint64_t from_incarnation;
    uint64_t to_incarnation; /* 0: any */
    const uint8_t *body;
    size_t length;
    Pbkv__Body__KindCase what;
};

struct send_list {
    uint32_t to;
    uint32_t list;
};

/* What an event does to a node. */
struct outcome {
    const char *failure; /* NULL, or why there is none */
    uint32_t local;
    uint32_t send_count;
    struct send_list sends[];
};

/* One step of a context, with what a search needs of it close together. */
struct step {
    uint32_t event;
    uint32_t after; /* context; sends to itself are in it */
    uint64_t hash_change;
    const struct outcome *outcome;
    uint32_t local;      /* afterwards */
    uint32_t first_list; /* to another node */
    uint8_t first_to;
    uint8_t send_count; /* … to other nodes */
    bool failed;
    bool moves; /* to another local: rules have to look again */
};

/* All steps of a context that change something, each effect once. */
struct steps {
    uint32_t count;
    uint16_t enabled; /* events that can happen at any time */
    uint8_t crashes;  /* … within the budget of crashes */
    uint8_t losses;   /* … within the budget of losses */
    struct step step[];
};

struct context {
    uint64_t hash;
    _Atomic(const struct steps *) steps;
    uint32_t local;
    uint32_t list;
    uint16_t waiting; /* messages in the list */
    uint8_t crashes;
    uint8_t losses;
    uint8_t progress;
    bool wants;
    bool in_turn; /* a timer is set without a delay */
};

struct global {
    uint32_t contexts[EXPLORER_NODES_MAX];
    uint32_t locals[EXPLORER_NODES_MAX]; /* theirs */
    uint64_t sum;                        /* of the contexts' hashes */
};

/* What a handler needs to run (explorer_steps.c). */
struct runner {
    struct explorer *explorer;
    struct segments *replicas; /* struct replica; NULL: the common runner */
    struct env env;
    struct arena arena;
    struct sink sink;
    struct sink other_sink;
    uint64_t handlers;
    uint64_t checks;
};

struct explorer {
    struct explorer_node nodes[EXPLORER_NODES_MAX];
    uint32_t count;
    uint32_t acting; /* nodes that have `progress` */
    bool guards;
    uint32_t recheck;

    enum explorer_network network;

    pthread_mutex_t lock;
    struct intern local_names; /* parallel to locals */
    struct segments locals;    /* struct local */
    struct intern message_names;
    struct segments messages;     /* struct sent_message */
    struct segments outcome_list; /* struct outcome *, to be freed */

    pthread_mutex_t list_lock;
    struct intern lists; /* words: losses, then message numbers in order */
    struct segments list_hashes;

    pthread_mutex_t context_lock;
    struct segments contexts;
    uint32_t *context_slots;   /* number + 1; 0: free */
    uint32_t context_capacity; /* a power of two */

    struct runner runner; /* the common one */

    const struct explorer_search *search; /* the present one */

    struct global beginning;     /* of the system */
    struct global start;         /* of searches */
    struct explorer_path prefix; /* from one to the other */
};

static inline const struct local *local_at(const struct explorer *explorer,
                                           uint32_t number)
{
    return segments_at(&explorer->locals, number);
}

static inline struct context *context_at(const struct explorer *explorer,
                                         uint32_t number)
{
    return segments_at(&explorer->contexts, number);
}

static inline const struct sent_message *message_at(
    const struct explorer *explorer, uint32_t number)
{
    return segments_at(&explorer->messages, number);
}

/* ---- explorer_local.c; with `lock` held ---- */

/* Describes a local in canonical octets, alone in the sink; without the lock.
 */
void local_describe(const struct local *local, struct sink *sink);

/* Returns the number of a local with this description. A new one is taken over
 * by the table. */
uint32_t local_intern(struct explorer *explorer, struct local *local,
                      const struct sink *name, bool *is_new);

/* Releases what a local owns that is in no table; without the lock. */
void local_release(struct local *local);

/* Returns the local of a node that was never alive. */
uint32_t local_unborn(struct explorer *explorer, uint32_t host);

/* Whether a timer of a local may be the next to run out; without the lock. */
bool timer_may_fire(const struct local *local, uint32_t index);

/* Returns the number of a message, whose octets are copied. The sink is for its
 * description. */
uint32_t message_number(struct explorer *explorer,
                        const struct sent_message *message, struct sink *name);

/* Returns the hash of an event's content at a node; without the lock. */
uint64_t event_hash(const struct explorer *explorer, uint32_t host,
                    uint32_t event);

/* ---- explorer_steps.c; on the common runner, with `lock` held ---- */

/* Makes a runner with replicas of its own, or the common one. */
void runner_init(struct runner *runner, struct explorer *explorer,
                 bool replicas);
void runner_release(struct runner *runner);

/* Runs an event on a clone, twice if there are guards. The caller frees the
 * outcome. */
struct outcome *outcome_run(struct runner *runner, uint32_t local,
                            uint32_t event);

/* Returns NULL if the event still does what the outcome says; otherwise an
 * outcome that says so, which the caller frees. */
struct outcome *outcome_recheck(struct runner *runner, uint32_t local,
                                uint32_t event, const struct outcome *outcome);

/* Runs an event on a clone and shows its effects. */
void explorer_tell(struct explorer *explorer, uint32_t local, uint32_t event,
                   void (*tell)(void *context, const struct env *env),
                   void *context);

/* ---- explorer_memo.c; takes `lock` when it has to ---- */

/* Returns what an event does to a local, from the memo or by running it. The
 * outcome belongs to the explorer; in a search without memo, to the caller.
 * hits, which may be NULL, counts for the samples that are run again. */
const struct outcome *explorer_outcome(struct runner *runner, uint32_t local,
                                       uint32_t event, uint64_t *hits);

/* Frees an outcome that is the caller's. */
void outcome_free(const struct outcome *outcome);

/* Forgets what was kept of a local, while no other thread searches. */
void reactions_forget(struct local *local);

/* ---- explorer_context.c; takes locks itself ---- */

/* Returns the number of a list of messages, in the order that the network asks
 * for, with no losses. */
uint32_t list_number(struct explorer *explorer, const uint32_t *messages,
                     uint32_t count);

/* Returns a list's messages. */
const uint32_t *list_messages(const struct explorer *explorer, uint32_t list,
                              uint32_t *count);

/* Returns the context of a local with a list, without messages that cannot
 * arrive any more. */
uint32_t context_number(struct explorer *explorer, uint32_t local,
                        uint32_t list);

/* Returns the context that a context is after these messages were sent. */
uint32_t context_add(struct explorer *explorer, uint32_t number, uint32_t list);

/* Whether a message of a list may be the next to arrive, or to be lost; of
 * equal ones the first. */
bool list_may_deliver(const struct explorer *explorer, const uint32_t *messages,
                      uint32_t index);

/* Fills in the step of an event of a context, whatever it changes. */
void context_step(struct runner *runner, uint32_t number, uint32_t event,
                  struct step *step, uint64_t *hits);

/* ---- explorer_expand.c; takes locks itself ---- */

struct worker;

/* Returns the steps of a context, which it computes when they are needed for
 * the first time, in memory of the worker's. Without memo their outcomes are
 * the caller's and they last until worker_choice_done. */
const struct steps *context_steps(struct worker *worker, uint32_t number);

/* Returns the one step of a context that acts, likewise, and always anew. */
struct steps *context_act(struct worker *worker, uint32_t number,
                          uint32_t knowledge);

/* Forgets all steps: the switches have changed. */
void contexts_forget_steps(struct explorer *explorer);

/* ---- Global states (explorer.c); without the lock ---- */

/* Returns what a global state knows of everybody's progress. */
uint32_t global_knowledge(const struct explorer *explorer,
                          const struct global *global);

/* Fills in what follows from the contexts. */
void global_complete(const struct explorer *explorer, struct global *global);
uint64_t global_hash(const struct global *global);
uint32_t global_crashes(const struct explorer *explorer,
                        const struct global *global);
bool global_equal(const struct explorer *explorer, const struct global *a,
                  const struct global *b);

/* ---- A worker: what one thread has for itself (explorer_worker.c) ---- */

struct union_slot {
    uint64_t key; /* plus one; 0: free */
    uint64_t hash_change;
    uint64_t after;
};

/* The one step of a context that acts. */
struct act_slot {
    uint64_t key; /* plus one; 0: free */
    struct steps *steps;
};

/* Rules that look at the same in the same nodes, and their verdicts so far. */
struct rule_group {
    const struct explorer_rule *rules; /* the list that they stand in */
    uint32_t members;                  /* … as bits */
    uint32_t nodes;                    /* as bits */
    void (*aspect)(const struct node *node, struct sink *sink);
    struct intern names; /* of aspects */
    uint32_t *aspects;   /* of locals: name + 1; 0: not yet known */
    uint32_t aspects_capacity;
    uint32_t width; /* words of a slot: one for each node, and the verdict */
    uint32_t *slots;
};

enum { RULE_GROUPS_MAX = 8 };

struct rule_groups {
    struct rule_group groups[RULE_GROUPS_MAX];
    uint32_t count;
};

struct worker {
    struct explorer *explorer;
    const struct explorer_search *search;
    struct union_slot *unions;
    struct act_slot *acts;
    struct rule_groups invariants;
    struct rule_groups goals;
    struct rule_groups prunes;
    struct sink sink;            /* for aspects */
    struct runner *runner;       /* the common one, or the worker's own */
    struct memory_block *blocks; /* of steps */
    size_t block_left;
    struct step *draft; /* steps that are being collected */
    uint32_t draft_capacity;
    uint64_t hits;     /* of outcomes */
    uint64_t verdicts; /* that were known */
    uint64_t transitions;
    uint64_t successors;
    uint64_t pruned;
};

void worker_init(struct worker *worker, struct explorer *explorer,
                 const struct explorer_search *search);
void worker_release(struct worker *worker);

/* Returns size octets that last as long as the worker, or without memo until
 * worker_choice_done. */
void *worker_memory(struct worker *worker, size_t size);

/* The steps of one node in a global state: two lists, either may be NULL. */
struct choice {
    const struct steps *steps;
    const struct steps *act;
};
struct choice worker_choice(struct worker *worker, const struct global *global,
                            uint32_t host);
void worker_choice_done(struct worker *worker, const struct choice *choice);

/* Makes next the state after a step of host. The step has not failed. One step
 * in a while is run again. Returns NULL, or how the role breaks the contract.
 */
const char *worker_apply(struct worker *worker, const struct global *global,
                         uint32_t host, const struct step *step,
                         struct global *next);

/* Whether a step is within the budgets that are left. */
struct budgets {
    bool crash;
    bool loss;
};
struct budgets worker_budgets(const struct worker *worker,
                              const struct global *global);

static inline bool budgets_allow(const struct budgets *budgets, uint32_t event)
{
    switch (event_kind(event)) {
    case EVENT_CRASH: return budgets->crash;
    case EVENT_LOSE: return budgets->loss;
    default: return true;
    }
}

/* ---- Rules (explorer_judge.c) ---- */

void rule_groups_init(struct rule_groups *groups,
                      const struct explorer_rule *rules);
void rule_groups_release(struct rule_groups *groups);

/* Returns the verdict of rules about a state that differs in these nodes, as
 * bits, from one without verdict; or NULL. Of several that of the first rule,
 * which may be asked for. */
const char *worker_judge(struct worker *worker, struct rule_groups *groups,
                         const struct global *global, uint32_t changed,
                         const struct explorer_rule **which);

/* Whether a state is not to be left. */
bool worker_prunes(struct worker *worker, const struct global *global);

/* ---- The set of global states (explorer_set.c) ---- */

enum { SHARDS = 32 };

/* Names a state: place * SHARDS + shard. */
#define STATE_NONE UINT32_MAX

struct shard {
    pthread_mutex_t lock;
    uint32_t *slots; /* eight bits of the hash, then place + 1; 0: free */
    uint32_t capacity;
    _Atomic(uint32_t *) shown_slots; /* for prefetching without the lock */
    atomic_uint shown_capacity;
    struct segments records;
    uint32_t level_start; /* the states that are being left */
    uint32_t level_end;   /* … up to here; then those that they lead to */
};

struct state_set {
    const struct explorer *explorer;
    struct shard shards[SHARDS];
};

struct state_set *state_set_new(const struct explorer *explorer);
void state_set_free(struct state_set *set);

/* Loads the place where a state with this hash would be. */
void state_set_prefetch(const struct state_set *set, uint64_t hash);

/* Loads the contexts of a state that is to be left soon. */
void state_set_expect(const struct state_set *set, uint32_t state);

/* Adds a state that follows from parent, whose hash is parent_hash. Returns
 * whether it is new, and its name. Of several parents in one level the one with
 * the lowest hash stays. Thread-safe. */
bool state_set_add(struct state_set *set, const struct global *global,
                   uint64_t hash, uint32_t parent, uint64_t parent_hash,
                   uint32_t *state);

/* Makes the newest states those to leave next; returns how many they are. */
uint64_t state_set_next_level(struct state_set *set);

/* Returns a state, and its parent. */
struct global state_set_at(const struct state_set *set, uint32_t state);
uint32_t state_set_parent(const struct state_set *set, uint32_t state);

/* ---- explorer_path.c ---- */

/* Appends an event to a path with room for it or not. */
void path_append(struct explorer_path *path, uint32_t node, uint32_t event);

/* Does an event of a path in a state. Returns NULL or what is wrong with it. */
const char *path_go(struct explorer *explorer, struct global *global,
                    const struct explorer_event *event);

/* Searches at random (explorer_walk.c); fills in the result. */
void explorer_walks(struct explorer *explorer,
                    const struct explorer_search *search,
                    struct explorer_result *result);

/* Returns the processor time of all threads so far, in seconds. */
double explorer_cpu_seconds(void);

/* Returns the peak of the process's memory in octets. */
uint64_t explorer_memory(void);

#endif
