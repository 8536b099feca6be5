/* SPDX-License-Identifier: MIT */
/*
 * member: what the other solutions of lab 2B have in common: a server's part in
 * a view. It pings and learns views (P1, P2, P5), reads requests and writes
 * answers, makes and takes the chunks of a state, and plays the backup, which
 * has no choice: it applies what comes next and says so.
 *
 * What a solution is about is how the primary goes on: when it applies, what it
 * keeps for the backup, how a read is confirmed, when the state goes over. That
 * is its struct protocol, in NAME/replica.c; its struct begins with a struct
 * member. Two of the solutions keep a log (log.h).
 */
#ifndef TESTS_LABS_SOLUTIONS_MEMBER_H
#define TESTS_LABS_SOLUTIONS_MEMBER_H

#include "node/node.h"
#include "pbserver/server.h"

/* What a client asks, and what becomes of it. */
struct request {
    struct peer client;
    uint64_t call;
    bool is_read;
    struct operation operation; /* of a read: only the key */
    struct bytes *found;        /* by a read; NULL: no such key */
};

struct member {
    struct node node;
    const struct protocol *protocol;
    struct server_config config;
    struct view view;
    uint64_t acknowledged;
    bool ready; /* holds the state of its view */
    bool deposed;
    struct state state;

    bool transferring; /* as primary: the backup has not got the state */
    bool watching;

    struct state incoming; /* as a backup without the state */
    uint64_t received;
};

/* What the solutions do in different ways. */
struct protocol {
    /* The view has changed: whatever goes on between primary and backup of the
     * one before is over. */
    void (*leave_view)(struct member *member);

    /* It is primary, with the state; transferring says whether there is a
     * backup to give it to. */
    void (*take_over)(struct member *member, struct env *env);

    /* It is primary no more: whoever waits is refused. */
    void (*refuse_all)(struct member *member, struct env *env);

    /* A request, while it serves; takes the request over. An update names a
     * session and a seq. */
    void (*on_request)(struct member *member, struct env *env,
                       struct request *request);

    /* As the backup: the operation with the next number. */
    void (*apply)(struct member *member, const struct operation *operation);

    /* Of the backup of this view (T5), while it serves. */
    void (*on_forward_ack)(struct member *member, struct env *env,
                           const Pbkv__ForwardAck *ack);

    /* The backup has so many items of the state (T5), and lacks others; it has
     * installed the state, and the view is acknowledged (T2). */
    void (*on_received)(struct member *member, struct env *env,
                        uint64_t received);
    void (*on_installed)(struct member *member, struct env *env);

    /* Whether it waits for the backup, besides a transfer; and what it does
     * when that takes resend_ms. */
    bool (*is_waiting)(const struct member *member);
    void (*on_silence)(struct member *member, struct env *env);
};

/* Makes a member of size octets, of which the struct member is the first part.
 */
struct node *member_new(size_t size, const struct server_config *config,
                        const struct node_type *type,
                        const struct protocol *protocol);

/* Returns a copy of size octets, of which only the member's own part is
 * independent so far; frees a member, whose other parts are free. */
struct member *member_clone(const struct node *node, size_t size);
void member_release(struct node *node);

/* The member that a node is. */
struct member *member_of(struct node *node);
const struct member *const_member_of(const struct node *node);

/* Parts of the methods of struct node_type. */
void member_on_start(struct node *node, struct env *env);
void member_on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body);
void member_on_timer(struct node *node, struct env *env, unsigned slot);
void member_describe(const struct node *node, struct sink *sink);
void member_check(const struct node *node);
void member_inspect(const struct node *node, struct inspection *inspection);

/* Whether there is a backup; whether clients may be answered (P1, P5). */
bool member_has_backup(const struct member *member);
bool member_is_serving(const struct member *member);

/* Sees to it that silence is noticed while something is due. */
void member_watch(struct member *member, struct env *env);

/* Applies an operation if it can come next. */
void member_apply(struct member *member, const struct operation *operation);

/* Returns the encoded Chunk with the items of a state from first on, at least
 * one and about octets_max. */
struct bytes *member_build_chunk(const struct member *member,
                                 const struct state *state, uint64_t first,
                                 size_t octets_max);

/* Whether a request is an update, which has a session. */
bool request_is_update(const struct request *request);

/* Notes what a read finds in the state. */
void request_look_up(struct request *request, const struct member *member);

/* Answers a request that is done: with what was found or decided, with the
 * number of a session's opening; or with a status. */
void request_answer(const struct request *request, const struct member *member,
                    struct env *env, uint64_t number);
void request_refuse(const struct request *request, const struct member *member,
                    struct env *env, Pbkv__Status status);

/* Free, share and describe a request. */
void request_release(struct request *request);
void request_share(const struct request *request);
void request_describe(const struct request *request, struct sink *sink);

#endif
