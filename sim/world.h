/* SPDX-License-Identifier: MIT */
/*
 * world: the runtime in an imagined network. It owns some hosts, each with one
 * node, and a virtual clock, and delivers one event after the other: the start
 * of a node, a message, a timer. Whatever the network and the machines may do
 * is drawn from one seed, so the same seed and plan give the same run, event by
 * event.
 *
 * The roles are the ones that run on the real network, unchanged. Messages pass
 * through their encoding, so what a peer decodes here is what it would decode
 * there.
 *
 * Time is in microseconds of the world's own clock. A world belongs to one
 * thread.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"

enum { WORLD_HOSTS_MAX = 64 };

/* What the network does to messages; probabilities in 1/1000. */
struct world_plan {
    uint32_t drop;    /* lost */
    uint32_t dup;     /* delivered twice */
    uint32_t min_us;  /* on the way, at least */
    uint32_t max_us;  /* on the way, at most */
    uint32_t reorder; /* may overtake earlier messages of its link */
    uint32_t slow;    /* held back by up to slow_us more */
    uint32_t slow_us;
    uint32_t spared; /* links without loss, doubles, holding back, overtaking */
    uint32_t narrow; /* links that carry narrow_octets a second and no more */
    uint32_t narrow_octets;
    uint32_t midway; /* a host dies between two effects of an event */
};

struct world;

/* Makes the node of a host's next life: a role with this identity, from the
 * durable record that the life before left, or NULL. */
typedef struct node *(*world_birth)(const void *context,
                                    const struct peer *self,
                                    const struct bytes *record);

/* The end of a local call (env_answer) on a host. Borrowed. */
typedef void (*world_answer)(void *context, size_t host, uint64_t call,
                             const Pbkv__Body *body);

/* A message that a host has sent. */
struct world_message {
    size_t from;
    uint64_t from_life;
    size_t to;
    uint64_t to_life; /* that it is meant for; 0: whoever is there */
    Pbkv__Body__KindCase what;
    struct bytes *body;
    struct bytes *stamp; /* NULL, if nobody traces */
};

/* Decides about a message that is being sent: returns whether it goes on its
 * way. The message is borrowed; whoever takes a reference to its body can
 * world_post it later. May crash hosts, the sender too. */
typedef bool (*world_filter)(void *context,
                             const struct world_message *message);

/* A message that comes in; delivered: its host is up and gets it next. Its kind
 * is left open. */
typedef void (*world_arrival)(void *context,
                              const struct world_message *message,
                              bool delivered);

/* A named event of a host. */
typedef void (*world_listener)(void *context, size_t host, const char *name);

/* The wake-up that world_wake has asked for. */
typedef void (*world_alarm)(void *context, size_t host);

/* Asked before a host dies between two effects of an event: whether it may. */
typedef bool (*world_victim)(void *context, size_t host);

/* Asked when a message arrives whose sender's life is over: whether it does,
 * or is lost. */
typedef bool (*world_late)(void *context, size_t from, uint64_t from_life,
                           size_t to);

/* Called after every event with the host that had it: checks invariants. */
typedef void (*world_check)(void *context, struct world *world, size_t host);

/* What has happened so far. */
struct world_counts {
    uint64_t events;
    uint64_t sent;
    uint64_t delivered;
    uint64_t dropped; /* by chance, by a cut link, or at a dead host */
    uint64_t doubled;
    uint64_t overtaken; /* messages that a later one of their link passed */
    uint64_t held;      /* back, as the plan's slow says */
    uint64_t queued;    /* behind others at a narrow link */
    uint64_t crashes;
    uint64_t midway; /* … of which between two effects of an event */
    uint64_t restarts;
    uint64_t successions; /* of clients: new ones in place of old ones */
    uint64_t pauses;
};

/* Returns a new world at time 0. The caller frees the world. */
struct world *world_new(uint64_t seed, const struct world_plan *plan);
void world_free(struct world *world);

/* Changes the plan, at any time; which links are spared or narrow is drawn for
 * all hosts that there are. */
void world_set_plan(struct world *world, const struct world_plan *plan);

/* Writes the trace of all that happens from now on into a file, which is made
 * empty first. No host may be there yet. Returns 0 or a negative errno. */
int world_trace(struct world *world, const char *path);

/* Ends the trace, if there is one. Returns 0, or the negative errno of the
 * first line that could not be written. */
int world_trace_end(struct world *world);

/* Sets who is told of answers and who checks. Either may be NULL. */
void world_observe(struct world *world, world_answer answer, world_check check,
                   void *context);

/* Sets who decides about messages and who hears of named events. Either may be
 * NULL. */
void world_intercept(struct world *world, world_filter filter,
                     world_listener listener, void *context);

/* Sets who is woken and who decides about deaths between effects and about the
 * messages of the dead. Any may be NULL; then nobody is woken, any host with a
 * next life may die, and messages arrive. */
void world_govern(struct world *world, world_alarm alarm, world_victim victim,
                  world_late late, void *context);

/* Wakes a host's owner after a delay; a paused host's, when it goes on. */
void world_wake(struct world *world, size_t host, uint64_t delay_us);

/* Sets who is told of messages that come in. May be NULL. */
void world_watch(struct world *world, world_arrival arrival, void *context);

/* Puts a message on the network, past the filter. It is neither lost nor
 * doubled by chance, and takes the plan's time. Takes a reference of its own.
 */
void world_post(struct world *world, const struct world_message *message);

/* Adds a host at an address and starts its first life (incarnation 1). Returns
 * its index, counting from 0. birth may be NULL when node is given: then node
 * is its only life. */
size_t world_add(struct world *world, const char *address, struct node *node,
                 world_birth birth, const void *context);

/* Returns the node of a host, borrowed, or NULL while it is down. */
struct node *world_node(const struct world *world, size_t host);

/* Returns the identity of a host's present or last life. */
struct peer world_peer(const struct world *world, size_t host);

/* Returns the durable record of a host, borrowed, or NULL when it has none. */
const struct bytes *world_record(const struct world *world, size_t host);

/* Returns whether a host is up (a paused one is). */
bool world_is_up(const struct world *world, size_t host);
bool world_is_paused(const struct world *world, size_t host);

/* Ends a host's life: its timers, and all it has not sent. */
void world_crash(struct world *world, size_t index);

/* Begins a host's next life, as a new incarnation. It must be down. */
void world_restart(struct world *world, size_t index);

/* Puts a new client in the place of one that has done its work. */
void world_succeed(struct world *world, size_t index);

/* Stops a host for a while: what comes in meanwhile happens afterwards, and the
 * host believes that nothing happened. */
void world_pause(struct world *world, size_t index, uint64_t duration_us);

/* Makes a host's timers run at percent of their delay: 100 is right. */
void world_skew(struct world *world, size_t host, uint32_t percent);

/* Cuts or restores the link from one host to another, one way. Messages on the
 * way are lost when they arrive at a cut link. */
void world_cut(struct world *world, size_t from, size_t to, bool cut);

/* Restores all links. */
void world_heal(struct world *world);

/* An event that the caller makes: function(argument, node, env) on a host that
 * is up, now. */
typedef void (*world_call_function)(void *argument, struct node *node,
                                    struct env *env);
void world_call(struct world *world, size_t host, world_call_function function,
                void *argument);

/* Has a timer of a host run out now. Returns false when it is not set. */
bool world_fire(struct world *world, size_t host, unsigned slot);

/* Delivers the next event. Returns false when there is none before limit_us;
 * the clock is then at limit_us. */
bool world_step(struct world *world, uint64_t limit_us);

/* Returns the time in microseconds, the counts, and a hash of all events so
 * far, by which two runs are known to be the same. */
uint64_t world_now(const struct world *world);
const struct world_counts *world_counts(const struct world *world);
uint64_t world_hash(const struct world *world);

/* Returns the number of named events so far, of all hosts: rare-path coverage.
 */
uint64_t world_event_count(const struct world *world, const char *name);

/* Returns the world's generator, for the caller's own draws from the seed. */
uint64_t *world_random(struct world *world);

#endif
