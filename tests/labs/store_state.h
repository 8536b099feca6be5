/* SPDX-License-Identifier: MIT */
/*
 * store_state: what a store keeps, for its own files only: store.c has the
 * actors and moves the world, store_messages.c carries messages, store_log.c
 * notes them, store_views.c judges and tells views, store_clients.c has the
 * clients and storms, store_report.c the report of a failure.
 */
#ifndef TESTS_LABS_STORE_STATE_H
#define TESTS_LABS_STORE_STATE_H

#include "clocks/trace.h"
#include "tests/labs/store.h"
#include "viewservice/view_server.h"

enum {
    ADDRESS_SIZE = 16,
    RULES_MAX = 64,
    CLIENT_TICK_MS = 10,
    PER_MILLE = 1000,
};

struct actor {
    char address[ADDRESS_SIZE];
    char name[ADDRESS_SIZE + 8]; /* with its life */
    size_t host;                 /* in the world */
    unsigned life;               /* 0: not started */
    struct host_clock clock;
    uint64_t heard_us; /* when the view service heard this life last */
};

struct stamp_entry {
    char host[ADDRESS_SIZE + 8];
    uint64_t time;
};

/* A message that has been sent and not arrived; body NULL: this place is free.
 */
struct flight {
    struct bytes *body;
    int from;
    int to;
    unsigned from_life;
    uint64_t to_life;
    Pbkv__Body__KindCase what;
    unsigned copies; /* yet to arrive */
    unsigned held;   /* its place among the held; 0: it is not held */
    char from_name[ADDRESS_SIZE + 8];
    uint64_t lamport;
    uint64_t sent;
    struct stamp_entry *entries;
    size_t entry_count;
};

struct rule {
    enum rule_action action;
    Pbkv__Body__KindCase what;
    int from;
    int to;
    unsigned left;
};

/* A client's operation. */
struct worker {
    bool busy;
    uint64_t call;
    uint64_t ends_us; /* when it has to be over */
    size_t operation; /* in the history */
    uint32_t process;
    Pbkv__Status status;
    struct bytes *read;
    unsigned keys_read; /* in the end of a storm */
};

struct store {
    struct lab *lab;
    struct store_config config;
    struct view_server_config view_config;
    struct world *world;
    struct world_plan network;
    uint64_t random;
    struct actor actors[ACTORS];
    int actor_of[WORLD_HOSTS_MAX];
    size_t hosts;

    struct store_line *lines;
    size_t line_count;
    size_t line_capacity;
    struct flight *flights;
    size_t flight_count;
    size_t flight_capacity;
    struct rule rules[RULES_MAX];
    size_t rule_count;
    unsigned holds;

    struct view view;
    uint64_t acknowledged;

    struct worker workers[CLIENTS];
    struct history history;
    uint64_t moments;
    uint32_t processes;
    uint64_t tokens;

    struct trace *trace;
    struct arena arena; /* of store_body */
    struct arena judge_arena;
    struct arena trace_arena;
};

/* Whether an actor is a client. */
bool store_is_client(int actor);

/* The world's calls for a message that is sent, and for one that comes in,
 * or is lost on its way. */
bool store_on_send(void *context, const struct world_message *message);
void store_on_arrival(void *context, const struct world_message *message,
                      bool delivered);

/* Adds a line about a message to the log; writes it to the trace, if there is
 * one. */
void store_log_message(struct store *store, enum line_kind kind,
                       const struct flight *flight, int to);
void store_trace_message(struct store *store, int actor, enum trace_kind kind,
                         const struct flight *flight);

/* Fails if a message that is sent says what the rules of views forbid; notes
 * what a ping that the view service gets says. */
void store_judge_message(struct store *store, const struct flight *flight,
                         const Pbkv__Body *body);
void store_note_ping(struct store *store, const struct flight *flight,
                     const Pbkv__Body *body);

/* Free what is on its way, and the log. */
void store_release_messages(struct store *store);
void store_release_log(struct store *store);

/* The world's answer to a client's call. */
void store_on_answer(void *context, size_t host, uint64_t call,
                     const Pbkv__Body *body);

/* Makes the report of a failure come from this store. */
void store_report_to(struct store *store);

#endif
