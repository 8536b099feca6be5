/* SPDX-License-Identifier: MIT */
/*
 * explorer: every schedule of a small system. The roles are those that run on
 * the real network; the explorer decides what happens next, and tries all of
 * it: which message arrives, which timer runs out, who crashes and comes back.
 *
 * A global state is one number per node: the node's state with its armed
 * timers, its incarnation and its durable record, together with the set of
 * messages that were ever sent to it. Nothing is taken out of that set, so
 * loss (never delivered), delay, reordering and duplication need no code of
 * their own; only messages to a life that is over are dropped, as nobody can
 * receive them.
 *
 * A handler is a function of node state and event, so it runs once for each
 * pair; the outcome is kept and used for all the global states in which the
 * pair comes up. `memo = false` runs it every time, with the same counts.
 *
 * Time: a timer that was set later may run out before one that was set earlier
 * only if its shortest delay is below the other's longest.
 *
 * Not modelled: a crash between two effects of one event. It adds no state that
 * matters: a message that was not sent is one that is never delivered, and the
 * view server persists before it sends (V11).
 *
 * What is found is a path of events. A search with one thread and one with two
 * report the same counts and the same path.
 */
#ifndef SIM_EXPLORER_H
#define SIM_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "node/node.h"

enum {
    EXPLORER_NODES_MAX = 8,
    EXPLORER_THREADS_MAX = 16,
    EXPLORER_CRASHES_MAX = 15, /* of one node */
};

/* One node of a system. Everything is borrowed for the explorer's life. */
struct explorer_node {
    const char *address;

    /* Makes the node of a next life from the record that the life before left,
     * or NULL. The caller owns it. */
    struct node *(*birth)(const void *context, const struct peer *self,
                          const struct bytes *record);
    const void *context;

    bool crashes;  /* it may crash, within the search's budget */
    bool restarts; /* it may come back */

    /* For a node that does something by itself (a client with a script); all
     * three or none. wants: whether it could act now. act: does so; knowledge
     * has four bits for each node that has `progress`, in their order: its
     * progress at this moment, up to 15, so that real time is known. */
    bool (*wants)(const struct node *node);
    void (*act)(struct node *node, struct env *env, uint32_t knowledge);
    uint32_t (*progress)(const struct node *node);
};

/*
 * How messages travel. In a set nothing is ever taken out, so that every
 * message may be lost, late, doubled and overtaken. In the other two a message
 * arrives once, and is lost only within a search's budget.
 */
enum explorer_network {
    EXPLORER_SET,
    EXPLORER_BAG,  /* in any order */
    EXPLORER_FIFO, /* in order, from each life of a sender */
};

/* A global state, to look at. */
struct explorer_view {
    const struct node *nodes[EXPLORER_NODES_MAX]; /* NULL: down, or not for
                                                     the rule's eyes */
    uint32_t count;
    uint64_t parameter; /* the rule's */
};

/*
 * A judgement of global states: an invariant, a goal or a prune. It sees the
 * nodes whose bits are in `nodes` and depends on nothing else; its verdicts are
 * kept. NULL, or a constant sentence: what is violated, reached, or left out.
 *
 * `aspect`, which may be NULL, describes all that the rule looks at in one
 * node, so that one verdict does for all states that look the same to it. One
 * kept verdict in `recheck` is asked for again, and must be the same.
 */
struct explorer_rule {
    const char *name; /* NULL ends a list of rules */
    const char *(*judge)(const struct explorer_view *view);
    uint32_t nodes;
    uint64_t parameter;
    void (*aspect)(const struct node *node, struct sink *sink);
};

enum explorer_end {
    EXPLORER_EXHAUSTED, /* there is no other state */
    EXPLORER_GOAL,
    EXPLORER_VIOLATION,
    EXPLORER_DEPTH, /* stopped at a limit */
    EXPLORER_STATES,
    EXPLORER_MEMORY,
    EXPLORER_TIME,
    EXPLORER_WALKS,
};

/* What a search may do and how far it goes; a limit of 0 is no limit. */
struct explorer_search {
    const struct explorer_rule *invariants; /* NULL: none */
    const struct explorer_rule *goals;      /* … that end the search */
    const struct explorer_rule *prunes;     /* … not to be left from */

    /* Switches. */
    uint32_t nodes_off;                     /* these have no events */
    uint8_t timers_off[EXPLORER_NODES_MAX]; /* slots, as bits; a timer that is
                                               set without a delay is the end
                                               of a turn, and never off */
    uint32_t links_off[EXPLORER_NODES_MAX]; /* from a node: to these */
    uint32_t crash_budget;                  /* of all nodes together */
    uint32_t loss_budget; /* of messages, where the network counts */
    uint32_t queue;       /* messages that may wait for one node; with more,
                             a state is not left; 0: no limit */
    bool short_turns; /* a turn has one message: while a timer is set without a
                         delay, nothing else happens anywhere */

    uint32_t depth;
    uint64_t states;
    uint64_t memory; /* octets, of the whole process */
    double seconds;

    uint32_t threads; /* at least 1 */
    bool no_memo;

    uint64_t seed;  /* of random walks */
    uint64_t walks; /* random walks of `depth` events; 0: breadth first */
};

/* One event of a path. */
struct explorer_event {
    uint32_t node;
    uint32_t event;
};

struct explorer_path {
    struct explorer_event *events;
    size_t count;
};

struct explorer_result {
    enum explorer_end end;
    const char *sentence; /* of the goal or violation */
    const char *rule;     /* its name */
    uint64_t states;      /* different ones; of walks: steps */
    uint64_t transitions; /* events that could happen, over all states */
    uint64_t successors;  /* … that change something, without repetitions */
    uint64_t pruned;      /* states that were not left */
    uint32_t depth;       /* events of the longest shortest path */
    uint64_t handlers;    /* runs of a handler that were needed */
    uint64_t checks;      /* runs of a handler that only prove the memo */
    uint64_t walks;
    double seconds;
    double cpu_seconds; /* of all threads: what a busy machine does not hide */
    uint64_t octets;    /* of the process, at its peak */
    struct explorer_path path; /* to the goal or violation, from the start */
};

struct explorer;

/*
 * Returns a new explorer of these nodes, all in their first life and started,
 * in this order. `guards` has every new pair of state and event run twice, on
 * clones, and compared. One hit of the memo in `recheck` is run again; 0: none.
 * The caller frees it.
 */
struct explorer *explorer_new(const struct explorer_node *nodes, uint32_t count,
                              bool guards, uint32_t recheck);
void explorer_free(struct explorer *explorer);

/* Chooses the network, before anything else, and begins anew. */
void explorer_set_network(struct explorer *explorer,
                          enum explorer_network network);

/* Searches from the explorer's present start. The caller releases the result.
 */
struct explorer_result explorer_run(struct explorer *explorer,
                                    const struct explorer_search *search);
void explorer_result_release(struct explorer_result *result);

/* What is lost before searches go on: that messages are lost is one of the
 * things that may happen. */
enum explorer_forget {
    EXPLORER_FORGET_NOTHING,
    EXPLORER_FORGET_ALL,
    EXPLORER_FORGET_BUT, /* … of one kind, with the kind added */
};

/* Begins further searches where a path leads, with this lost of what is on the
 * way there. Paths of later searches begin there. Returns false when the path
 * cannot be gone. */
bool explorer_start_at(struct explorer *explorer,
                       const struct explorer_path *path, uint32_t forget);

/*
 * Goes a path from the start, leaving out events that cannot happen, and
 * returns the sentence of the first violation, or NULL. *used, when not NULL,
 * gets the events that did happen; the caller frees used->events.
 */
const char *explorer_replay(struct explorer *explorer,
                            const struct explorer_search *search,
                            const struct explorer_path *path,
                            struct explorer_path *used);

/* Makes a path that begins where searches begin one from the beginning of the
 * system, and searches begin there again. */
void explorer_whole_path(struct explorer *explorer, struct explorer_path *path);

/* Replaces a path to a violation by one with the fewest events that greedy
 * removal, of single events and of pairs, finds, with the same sentence at its
 * end. */
void explorer_minimise(struct explorer *explorer,
                       const struct explorer_search *search,
                       struct explorer_path *path);

/* Writes a path as a story, one line per event. */
void explorer_narrate(struct explorer *explorer,
                      const struct explorer_path *path, FILE *file);

/* Writes a path of the system of this name (path_file.h), with comments for a
 * reader, so that explorer_load reads it back, in this process or another, and
 * the world plays it (replay.h). Returns 0 or -errno. */
int explorer_save(struct explorer *explorer, const struct explorer_path *path,
                  const char *system, FILE *file);

/* Reads a path. Events that do not exist in this system are refused. Returns 0,
 * or -EBADMSG with the number of the bad line in *line. */
int explorer_load(struct explorer *explorer, FILE *file,
                  struct explorer_path *path, uint32_t *line);

/* Returns the number of different node states, messages, and message sets. */
struct explorer_sizes {
    uint32_t locals;
    uint32_t messages;
    uint32_t sets;
    uint32_t contexts; /* node state with message set */
};
struct explorer_sizes explorer_sizes(const struct explorer *explorer);

/* Returns the seconds of a clock that only rises. */
double explorer_seconds(void);

/* Returns "exhausted", or "stopped at …", or what was found. */
const char *explorer_end_name(enum explorer_end end);

#endif
