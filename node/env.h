/* SPDX-License-Identifier: MIT */
/*
 * env: the effects of one event. A handler does nothing to the world; it writes
 * down here what should be done, and the runtime does it after the handler has
 * returned, in the order written. So a test reads effects without a network,
 * and the simulator can crash a node between any two of them.
 *
 * An env belongs to its runtime and is used again for the next event. Messages
 * are encoded before env_send returns: the sender keeps nothing alive for it.
 */
#ifndef NODE_ENV_H
#define NODE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/view.h"
#include "pbkv.pb-c.h"

enum effect_kind {
    EFFECT_SEND,       /* a message to a peer; may be lost on the way */
    EFFECT_SET_TIMER,  /* (re)start a timer */
    EFFECT_STOP_TIMER, /* stop a timer; harmless when it is not running */
    EFFECT_PERSIST,    /* replace the node's durable record, on disk when the
                          next effect is carried out (rule V11) */
    EFFECT_ANSWER,     /* the result of a local call (clients) */
    EFFECT_LOG,        /* a named event */
};

enum log_level {
    LOG_LEVEL_DEBUG, /* expected in bulk: duplicates, retries */
    LOG_LEVEL_INFO,  /* a change of view, role or transfer */
    LOG_LEVEL_WARN,  /* somebody else's mistake, refused */
    LOG_LEVEL_FATAL, /* the node can be of no more use: the runtime stops it
                        after the effects before this one */
};

enum {
    TIMERS_MAX = 8,         /* timer slots of a node: 0 … TIMERS_MAX-1 */
    EVENT_NAME_MAX = 32,    /* octets of an event's name with its zero */
    EVENT_DETAIL_MAX = 256, /* octets of an event's detail with its zero */
    ENV_ROOMS_MAX = 64,     /* short bodies whose memory an env keeps */
};

struct effect {
    enum effect_kind kind;
    bool in_room; /* the body is in memory that the env uses again */
    union {
        struct {
            struct peer to;
            struct bytes *body; /* encoded Body */
            Pbkv__Body__KindCase what;
        } send;
        struct {
            unsigned slot;
            uint32_t min_ms;
            uint32_t max_ms;
        } timer;
        struct {
            struct bytes *record;
        } persist;
        struct {
            uint64_t call;
            Pbkv__Body *body; /* a copy of its own */
        } answer;
        struct {
            enum log_level level;
            const char *name; /* a string constant */
            char *detail;     /* on the heap; NULL: no detail */
        } log;
    };
};

struct env {
    struct effect *effects;
    size_t count;
    size_t capacity;
    enum log_level log_level; /* details below this level are not formatted */
    /* Memory of bodies that nobody shared, for those of the next event. */
    struct bytes *rooms[ENV_ROOMS_MAX];
    size_t room_count;
};

/* Makes an env with no effects. Release it with env_release. */
void env_init(struct env *env);

/* Frees all effects and the env's memory. */
void env_release(struct env *env);

/* Frees all effects and keeps the memory for the next event. */
void env_clear(struct env *env);

/* Sends body to a peer. The runtime adds the stamps (rules K1 and K2). Delivery
 * is not promised: messages can be lost, doubled, late and out of order. */
void env_send(struct env *env, const struct peer *to, const Pbkv__Body *body);

/* Sends a body that was encoded before, by message_encode: for a message that
 * is kept for later or goes to several. Takes a reference of its own. */
void env_send_encoded(struct env *env, const struct peer *to,
                      Pbkv__Body__KindCase what, struct bytes *body);

/* Starts timer slot, or starts it anew: it fires once, after a delay between
 * min_ms and max_ms milliseconds that the runtime chooses. With no delay at all
 * (0, 0) it fires when what arrived together with this event has been handled,
 * so that a node can answer all of it at once. */
void env_set_timer(struct env *env, unsigned slot, uint32_t min_ms,
                   uint32_t max_ms);

/* Stops timer slot. It does not fire any more until it is set again. */
void env_stop_timer(struct env *env, unsigned slot);

/* Replaces the durable record by these octets, on stable storage before any
 * later effect is carried out. Takes a reference of its own. */
void env_persist(struct env *env, struct bytes *record);

/* Ends the local call `call` with a copy of a body: a Reply, Page, ViewReply,
 * EchoReply or InspectReply. */
void env_answer(struct env *env, uint64_t call, const Pbkv__Body *body);

/*
 * Notes a named event. The name is a dotted noun from docs/protocol.md and must
 * be a string constant: tests assert on it and runtimes count it. The detail,
 * formatted like printf, is for readers only and is cut at EVENT_DETAIL_MAX.
 */
void env_log(struct env *env, enum log_level level, const char *name,
             const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Returns the number of log effects with this name: for tests and invariants.
 */
size_t env_count_events(const struct env *env, const char *name);

#endif
