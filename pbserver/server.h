/* SPDX-License-Identifier: MIT */
/*
 * server: the kv server role. One server is primary, backup or idle, as the
 * newest view it knows says; this header has its state, and each file beside it
 * one concern:
 *
 * - server.c: the life cycle, and which file handles which message;
 * - views.c: pings, new views, and what becomes of the server in them (P1, P2);
 * - requests.c: what clients ask, and exactly-once (P1, P6);
 * - replicate.c: forwarding, acknowledgement, commit point, reads (P3 to P5);
 * - transfer.c, with transfer_send.c and transfer_receive.c: the state for a
 * new backup (T1 to T5);
 * - state.c: the replicated state itself.
 *
 * One update, walked through: on_put (requests.c) looks the session up,
 * decides, applies and logs the operation; the turn timer (replicate.c)
 * forwards it with all others that have come in; the backup's on_forward
 * applies and acknowledges them; on_forward_ack commits, which answers the
 * clients.
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
#include "pbserver/waste.h"

enum {
    SERVER_TIMER_PING = 0,   /* time to ping the view service */
    SERVER_TIMER_RESEND = 1, /* time to see whether the backup still moves */
    SERVER_TIMER_TURN = 2,   /* what has arrived together is handled */
    SERVER_TIMER_WASTE = 3,  /* some more of the waste can be freed */
    WASTE_MS = 1,            /* between parts of the waste */
    TRANSFER_WINDOW = 8,     /* chunks on the way at once */
};

struct server_config {
    struct peer self; /* as others know this server */
    struct address view_service;
    uint32_t ping_ms;   /* between pings */
    uint32_t resend_ms; /* without progress, before sending again */
    struct state_limits limits;
    size_t log_octets;   /* of operations the backup lacks (oplog) */
    size_t read_octets;  /* of answers that wait for confirmation */
    size_t chunk_octets; /* of a Chunk or Forward, about */
};

/* A chunk on the way: its encoded message, and the item after its last one. */
struct transfer_chunk {
    struct bytes *body;
    uint64_t end;
};

/* The state on its way to the backup of the current view. */
struct transfer_out {
    bool active;
    uint64_t
        number;  /* of transfers in this life; acks and chunks name it (T5) */
    bool closed; /* the last chunk was built: `total` and `close_op` hold */
    uint64_t since; /* op number at the start; later operations are items */
    struct session_record *sessions; /* items 0 … */
    size_t session_count;
    size_t key_count; /* items session_count …: the first keys of the store */
    uint64_t acked;   /* items that have arrived (T5) */
    uint64_t next;    /* first item in no chunk yet */
    uint64_t total;
    uint64_t close_op;    /* op number as of the last chunk */
    struct digest digest; /* of the state as of close_op */
    /* The chunks on the way, kept as they were built: built again, they would
     * have values of operations after the last item. */
    struct transfer_chunk way[TRANSFER_WINDOW];
    size_t on_the_way;
    uint64_t again; /* chunks up to this item are sent again as those before
                       them arrive */
};

/* The state on its way from the primary of the current view. */
struct transfer_in {
    bool active;
    uint64_t number;      /* of the transfer, as its primary counts */
    Pbkv__Status refused; /* why it came to nothing; 0: it did not */
    uint64_t newest;      /* greatest op number that an entry names */
    uint64_t received;    /* items 0 … received-1 are in `state` */
    uint64_t total;       /* as the primary last said, for progress */
    struct state state;
};

struct server {
    struct node node;
    struct server_config config;

    /* The view (P2). It never goes down. What it makes of this server is noted
     * when it is adopted. */
    struct view view;
    bool is_primary;
    bool is_backup;
    uint64_t
        acknowledged;  /* newest view we are ready for; what pings say (T2) */
    bool pinged_early; /* at most one extra ping per interval */

    /* Holds the state of `view`, as its primary or as an installed backup. A
     * server that is not initialised neither answers nor is worth promoting. */
    bool initialised;
    struct state state;

    /* As primary with a backup (P3 to P5). Operations up to `committed` are
     * answered, up to `forwarded` are sent, up to state.op are applied here. */
    struct oplog log;
    uint64_t committed;
    uint64_t forwarded;
    size_t flight_octets; /* of the operations sent and not committed */
    uint64_t round;       /* of the newest confirmation asked for */
    uint64_t confirmed;   /* newest round that the backup has answered */
    struct reads reads;
    bool deposed;      /* the backup knows of a newer view (P5) */
    bool backup_full;  /* the backup refuses to grow */
    bool progressed;   /* the backup moved since the last resend timer */
    unsigned patience; /* resends in a row that moved nothing */
    bool resending;    /* the resend timer runs */
    bool turning;      /* the turn timer runs */

    uint64_t transfers; /* started in this life */
    struct transfer_out out;
    struct transfer_in in;

    struct waste waste; /* of states it held before */
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

/* ---- Facts (server.c) ---- */

/* Whether this server is primary or backup of the newest view that it knows. */
bool server_is_primary(const struct server *server);
bool server_is_backup(const struct server *server);

/* Whether it may answer clients (P1, P5). */
bool server_is_serving(const struct server *server);

/* Whether an operation is committed as soon as the primary has applied it:
 * there is no backup, or the backup still waits for the state and gets the
 * operation with it (P4, T3). */
bool server_commits_alone(const struct server *server);

/* Whether the backup of the view has the state, so that it must apply an
 * operation before a client hears of it (P4). */
bool server_has_installed_backup(const struct server *server);

/* Octets that a backup takes: more than a primary with the same limits can send
 * it, also while values of different moments are together in a transfer. */
uint64_t server_room(const struct server *server);

/* Empties a state without doing much in this event: a large one is freed little
 * by little. */
void server_discard(struct server *server, struct env *env,
                    struct state *state);

/* ---- Views (views.c) ---- */

void server_on_view_reply(struct server *server, struct env *env,
                          const struct peer *from,
                          const Pbkv__ViewReply *reply);
void server_on_ping_timer(struct server *server, struct env *env);

/* Sends a ping now, besides the regular ones, at most once per interval. */
void server_ping_early(struct server *server, struct env *env);

/* Declares this server ready for its view: pings say so from now on (T2). */
void server_acknowledge(struct server *server, struct env *env);

/* ---- Requests of clients (requests.c) ---- */

void server_on_request(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Body *body);

/* Answers a request with a status; with WRONG_SERVER, also with the view. */
void server_reply(const struct server *server, struct env *env,
                  const struct peer *client, uint64_t call,
                  Pbkv__Status status);

/* Answers the operation of a log entry, if a client waits for it. */
void server_answer_update(const struct server *server, struct env *env,
                          struct log_entry *entry, uint64_t number);

/* ---- Replication (replicate.c) ---- */

/* Sees to it that the backup gets what it lacks, as far as the window allows,
 * at the end of this turn of the runtime; or commits alone when there is no
 * backup. Called whenever something may have become possible. */
void server_replicate(struct server *server, struct env *env);

/* Everything up to number is committed: answers who waited for it. */
void server_commit(struct server *server, struct env *env, uint64_t number);

/* Refuses everything that waits, with the view: this server is not primary any
 * more. */
void server_refuse_waiting(struct server *server, struct env *env);

void server_on_forward(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Forward *forward);
void server_on_forward_ack(struct server *server, struct env *env,
                           const struct peer *from,
                           const Pbkv__ForwardAck *ack);
void server_on_refusal(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Refusal *refusal);
void server_on_turn_timer(struct server *server, struct env *env);
void server_on_resend_timer(struct server *server, struct env *env);

/* The backup has moved: the next resend timer has nothing to do. */
void server_note_progress(struct server *server);

/* Sees to it that the resend timer runs. */
void server_watch_backup(struct server *server, struct env *env);

/* Whether a Forward or Chunk of a view is from our primary to its backup; if
 * not, refuses it by name (P2). */
bool server_accepts_from_primary(struct server *server, struct env *env,
                                 const struct peer *from, uint64_t view);
void server_refuse(const struct server *server, struct env *env,
                   const struct peer *to, uint64_t view, Pbkv__Status status);

/* ---- State transfer (transfer.c, transfer_send.c, transfer_receive.c) ---- */

/* Starts to send the whole state to the backup of the view, from the beginning.
 */
void transfer_start(struct server *server, struct env *env);

/* Sends the first chunk on the way once more: something was lost. */
void transfer_resend(struct server *server, struct env *env);

/* Forgets any transfer, in and out. */
void transfer_clear(struct server *server);

void server_on_chunk(struct server *server, struct env *env,
                     const struct peer *from, const Pbkv__Chunk *chunk);
void server_on_chunk_ack(struct server *server, struct env *env,
                         const struct peer *from, const Pbkv__ChunkAck *ack);

void transfer_describe(const struct server *server, struct sink *sink);
void transfer_clone(const struct server *server, struct server *copy);
void transfer_check(const struct server *server);

#endif
