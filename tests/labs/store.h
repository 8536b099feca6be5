/* SPDX-License-Identifier: MIT */
/*
 * store: a view service, servers and clients in an imagined world, as a lab's
 * tests see them: by the messages that they send, the views that are published,
 * the answers that clients get, and what a server tells when it is inspected.
 * Nothing here looks into a role, so every correct solution is judged alike.
 *
 * Time is virtual, in milliseconds. A test lets it pass (store_run,
 * store_until) and says what breaks. Actors are numbered: VS, S1 …, C1 …. An
 * actor can be by hand: then it does nothing, and the test sends its messages
 * for it (store_send) and reads what it received.
 *
 * Every message is stamped by the clocks of clocks/, as the real runtime does,
 * and goes into a log, from which the report of a failure is made. Some rules
 * are judged all the time, whatever the test does (store.c, "Judgement").
 */
#ifndef TESTS_LABS_STORE_H
#define TESTS_LABS_STORE_H

#include "client/client.h"
#include "clocks/host_clock.h"
#include "node/message.h"
#include "pbserver/server.h"
#include "sim/history.h"
#include "sim/world.h"
#include "tests/labs/lab.h"

enum {
    NOBODY = -1, /* no server; in a pattern: any */
    VS = 0,
    S1 = 1,
    S2,
    S3,
    S4,
    C1 = 8,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    ACTORS = 24,
    SERVERS = 6, /* S1 … */
    CLIENTS = 8, /* C1 … */
    PING_MS = 100,
    DEAD_PINGS = 5,
    /* Enough for a change of view, with all that it takes. */
    SOON_MS = 3000,
};

struct store_config {
    uint64_t seed;    /* 0: the test's */
    unsigned servers; /* that are started at once */
    unsigned clients;
    uint32_t by_hand;            /* actors, as bits */
    struct world_plan network;   /* all 0: 1 ms each way, nothing lost */
    struct server_config server; /* only limits and sizes; see store_config */
    uint32_t dead_pings;
    bool no_trace; /* for long runs */
};

enum line_kind { LINE_SEND, LINE_RECEIVE, LINE_LOST, LINE_NOTE };

/* A line of the log. */
struct store_line {
    uint64_t time_us;
    uint64_t lamport;
    struct bytes *body; /* of a message */
    char *note;         /* of LINE_NOTE, on the heap */
    Pbkv__Body__KindCase what;
    int16_t from; /* actors; a note has only `from` */
    int16_t to;
    uint16_t from_life;
    uint16_t to_life;
    enum line_kind kind;
};

struct store;

/* Returns the usual: two servers, one client. */
struct store_config store_config(void);

/* Makes a store and reports failures of the test from it. */
struct store *store_new(struct lab *lab, const struct store_config *config);
void store_free(struct store *store);

/* Returns an actor's name with its life, such as "s1" and "s1/2". */
const char *store_name(struct store *store, int actor);

/* Closes the trace, which is then complete: "trace.jsonl" in the lab's folder.
 */
void store_end_trace(struct store *store);

/* ---- What happens -------------------------------------------------------- */

void store_start(struct store *store, int actor);
/* Servers that start from now on have room for this. */
void store_limit(struct store *store, uint64_t octets, uint32_t sessions);
void store_crash(struct store *store, int actor);
void store_restart(struct store *store, int actor);
void store_pause(struct store *store, int actor, uint32_t ms);
void store_cut(struct store *store, int from, int to);
void store_isolate(struct store *store, int actor); /* from all, both ways */
void store_heal(struct store *store);
void store_network(struct store *store, const struct world_plan *plan);
bool store_is_up(const struct store *store, int actor);
struct world *store_world(struct store *store);

/* What is to happen to the next count messages of a kind (NOT_SET: any) from
 * one actor to another (NOBODY: any). Earlier rules come first. */
enum rule_action {
    RULE_DROP,
    RULE_DOUBLE,
    RULE_HOLD,         /* until store_release */
    RULE_SPOIL,        /* a last Chunk arrives with a wrong digest */
    RULE_CRASH_BEFORE, /* it is not sent: its sender dies */
    RULE_CRASH_AFTER,  /* it is the last thing its sender does */
};
enum { ALWAYS = 1000000 };
void store_rule(struct store *store, enum rule_action action,
                Pbkv__Body__KindCase kind, int from, int to, unsigned count);
void store_release(struct store *store); /* what is held goes on its way */
void store_pass(struct store *store);    /* ends all rules */

/* Sends a message for an actor by hand. */
void store_send(struct store *store, int from, int to, const Pbkv__Body *body);
void store_ping(struct store *store, int server, uint64_t view);
void store_tell_view(struct store *store, int server, uint64_t number,
                     int primary, int backup);

/* ---- Time ---------------------------------------------------------------- */

typedef bool (*store_condition)(struct store *store, const void *argument);
void store_run(struct store *store, uint32_t ms);
bool store_until(struct store *store, store_condition condition,
                 const void *argument, uint32_t ms);
uint64_t store_now_ms(const struct store *store);

/* ---- What can be seen ---------------------------------------------------- */

/* The newest view that the view service has told anybody, and the number of the
 * newest that its primary has acknowledged there. */
const struct view *store_view(const struct store *store);
uint64_t store_acknowledged(const struct store *store);

/* The identity of an actor's present life; of a life. NOBODY: none. */
struct peer store_peer(const struct store *store, int actor);

/* Whether the published view has these servers' present lives, NOBODY: none. */
bool store_view_is(struct store *store, int primary, int backup);

/* Waits until the view is this and acknowledged; fails otherwise. */
void store_settles(struct store *store, int primary, int backup);

/* Asks a server about itself. */
struct inspection store_inspect(struct store *store, int actor);

/* Position in the log; the first line from there that fits, or NULL; how many
 * fit. NOBODY and NOT_SET fit all. */
size_t store_mark(const struct store *store);
const struct store_line *store_find(const struct store *store, size_t mark,
                                    enum line_kind line,
                                    Pbkv__Body__KindCase kind, int from,
                                    int to);
size_t store_count(const struct store *store, size_t mark, enum line_kind line,
                   Pbkv__Body__KindCase kind, int from, int to);

/* The message of a line, until the next call. */
const Pbkv__Body *store_body(struct store *store,
                             const struct store_line *line);
size_t store_line_index(const struct store *store,
                        const struct store_line *line);
const struct store_line *store_line_at(const struct store *store, size_t index);
void store_note(struct store *store, int actor, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Clients ------------------------------------------------------------- */

/* Begins an operation of a client that has none; kind GET, PUT or APPEND. */
void store_begin(struct store *store, int client, Pbkv__Body__KindCase kind,
                 const char *key, const char *value, uint32_t deadline_ms);
void store_begin_octets(struct store *store, int client,
                        Pbkv__Body__KindCase kind, const char *key,
                        struct bytes *value, uint32_t deadline_ms);
bool store_is_waiting(const struct store *store, int client);

/* Waits for the end of it and returns the status; fails when it does not end
 * although its deadline has passed. */
Pbkv__Status store_end(struct store *store, int client);

/* Does one operation to its end; it must be OK. */
void store_put(struct store *store, int client, const char *key,
               const char *value);
void store_append(struct store *store, int client, const char *key,
                  const char *value);

/* Reads a key; fails when the answer is another (NULL: no such key). */
void store_expect(struct store *store, int client, const char *key,
                  const char *value);

/* What the client's last Get has read; NULL: no such key. Borrowed. */
const struct bytes *store_read(const struct store *store, int client);

/* Judges all that clients were told so far: is it linearizable? */
void store_judge(struct store *store);

/* ---- Storms -------------------------------------------------------------- */

/* Random work and random faults, in 1/1000 each 100 ms. A server is only hurt
 * when the store can do without it. */
struct storm {
    uint32_t ms;
    unsigned keys;
    uint32_t crash;
    uint32_t restart;
    uint32_t pause;
    uint32_t partition;
    uint32_t heal;
    uint32_t view_restart;
};

/* Lets clients work during the storm; then faults end, everybody returns, and
 * the clients must finish and read every key within a bounded time. Judges. */
void store_storm(struct store *store, const struct storm *storm);

#endif
