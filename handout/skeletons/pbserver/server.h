/* SPDX-License-Identifier: MIT */
/*
 * server: the kv server role, yours in lab 2B; labs.md has its rules. What is
 * declared here is used by others (the programs, the simulator, requests.c of
 * lab 1B) and stays, with the meaning that it has; add what you need. The
 * replicated state itself is in state.h.
 */
#ifndef PBSERVER_SERVER_H
#define PBSERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "pbserver/oplog.h"
#include "pbserver/reads.h"
#include "pbserver/state.h"

enum {
    SERVER_TIMER_PING = 0,   /* slots of timers */
    SERVER_TIMER_RESEND = 1, /* unused so far */
};

struct server_config {
    struct peer self; /* as others know this server */
    struct address view_service;
    uint32_t ping_ms;   /* between pings */
    uint32_t resend_ms; /* without progress, before sending again */
    struct state_limits limits;
    size_t log_octets;   /* of operations the backup lacks */
    size_t read_octets;  /* of answers that wait for the backup */
    size_t chunk_octets; /* of a Chunk or Forward, about */
};

/* A state transfer to the backup. */
struct transfer_out {
    bool active; /* there is one */
    bool closed; /* its last chunk has been built */
};

struct server {
    struct node node;
    struct server_config config;
    struct view view;      /* the newest it knows (P2) */
    uint64_t acknowledged; /* the number that its pings say (T2) */
    bool initialised;      /* it has the state of the view */
    bool deposed;          /* it was refused with a newer view (P5) */
    bool backup_full;      /* the backup takes no more */
    struct state state;
    struct oplog log;   /* what the backup lacks */
    struct reads reads; /* what waits for the backup (P4) */
    uint64_t committed; /* op number; all up to here are answered */
    uint64_t forwarded; /* all up to here are sent to the backup */
    uint64_t round;     /* of the newest confirmation asked for */
    struct transfer_out out;
};

/* Returns a configuration with default limits; self and view_service are left
 * empty. */
struct server_config server_config_default(void);

/* Returns a new server that knows no view. The caller owns it and releases it
 * with node_release. */
struct node *server_new(const struct server_config *config);

/* Tells a server that has had no event yet its own address, when the system
 * chose the port. */
void server_set_address(struct node *node, const struct address *address);

/* Whether it is primary, or backup, of its view; whether it may answer clients
 * (P1, P5); whether what it applies is committed without a backup (P4). */
bool server_is_primary(const struct server *server);
bool server_is_backup(const struct server *server);
bool server_is_serving(const struct server *server);
bool server_commits_alone(const struct server *server);

/* In requests.c, of lab 1B: takes a client's request; answers one with a
 * status; answers an update of the log, if a client waits for it. */
void server_on_request(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Body *body);
void server_reply(const struct server *server, struct env *env,
                  const struct peer *client, uint64_t call,
                  Pbkv__Status status);
void server_answer_update(const struct server *server, struct env *env,
                          struct log_entry *entry, uint64_t number);

/* Called by requests.c: there is something new in the log (P3, P4); there is
 * something new in reads, which waits for a confirmation of round + 1 (P4). */
void server_replicate(struct server *server, struct env *env);
void server_confirm(struct server *server, struct env *env);

#endif
