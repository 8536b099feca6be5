/* SPDX-License-Identifier: MIT */
/*
 * field: a view service and servers, as processes, and what can be done to
 * them. The network between them is a proxy (proxy.h) or namespaces (hosts.h).
 *
 * A server is killed only when another one has the state and can go on with it.
 * Nobody could know that from outside without stopping the world, so the victim
 * is stopped first, and what it has sent and has not arrived is dropped (with
 * namespaces it arrives, because its link is up). Then the view service is
 * asked. Without the victim, which sends nothing any more, the view can only
 * pass to a backup that is acknowledged, and from then on the primary is
 * somebody else. So the kill is fair when the view's primary is another
 * server's present life (a primary always has the state, V2 and V3); or when
 * the victim is the primary, its view is acknowledged, and the backup is
 * another server's present life. Otherwise the victim goes on.
 */
#ifndef TESTS_CHAOS_FIELD_H
#define TESTS_CHAOS_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/chaos/plan.h"
#include "tests/cluster.h"

enum {
    FIELD_SERVERS_MAX = 5,
    FIELD_PING_MS = 50,
    FIELD_DEAD_PINGS = 5,
    FIELD_MORE_MAX = 8, /* more arguments of servers */
};

struct field;

struct field_options {
    unsigned servers;
    bool namespaces;         /* hosts_enter_hub has been called */
    const char *loss;        /* --faults of the servers; NULL or empty: none */
    const char *trace_max;   /* --trace-max of each life; NULL: no traces */
    const char *const *more; /* arguments of the servers; NULL: none */
};

/* Makes a field without processes: just a cluster, which lives as long. Call it
 * before starting threads; the caller frees the field. */
struct field *field_new(const struct field_options *options);
void field_free(struct field *field);

/* Starts all processes and waits until the first two servers share the state.
 * Returns false when they do not. */
bool field_start(struct field *field);

struct cluster *field_cluster(const struct field *field);
struct process *field_view_service(const struct field *field);
struct process *field_server(const struct field *field, unsigned number);

/* Returns the address at which clients reach the view service. */
const char *field_view_address(const struct field *field);

/* Asks the view service or a server, past the proxy. Returns NULL when it does
 * not answer soon; the caller frees the answer with pbkv_inspection_free. */
struct pbkv_inspection *field_inspect(struct field *field,
                                      const struct process *process);

/* Returns the server at the address of a peer, or NULL. */
struct process *field_server_at(const struct field *field, const char *address);

/* Waits until a primary and a backup have the state, at most ms milliseconds.
 * Returns whether they do. */
bool field_settles(struct field *field, uint32_t ms);

/* Returns the name of a process that ended by itself, or NULL. */
const char *field_casualty(struct field *field);

enum { FIELD_SENTENCE = 96 };

/* A fault that acts, or has acted. */
struct strike {
    struct process *victim;
    struct process *other; /* FAULT_CUT_PAIR */
};

/* Begins a fault and writes what happens in a sentence. Returns false when it
 * cannot or must not be, for the reason in the sentence. */
bool field_strike(struct field *field, const struct fault *fault,
                  struct strike *strike, char sentence[FIELD_SENTENCE]);

/* Ends a fault that has begun. Returns false when the victim does not come
 * back. */
bool field_mend(struct field *field, const struct fault *fault,
                const struct strike *strike, char sentence[FIELD_SENTENCE]);

#endif
