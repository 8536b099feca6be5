/* SPDX-License-Identifier: MIT */
/*
 * sessions: which operation each client session did last, and with what
 * outcome. It makes a retry harmless: an operation that comes again gets the
 * first answer and is not executed again (rule P6). The table is part of the
 * replicated state.
 *
 * A session's id is the op number of the operation that opened it, so an id is
 * never given out twice and an unknown id is an expired session, never a new
 * one. The sessions are ordered by their last use; when the table is full the
 * primary evicts the one unused for longest.
 */
#ifndef PBSERVER_SESSIONS_H
#define PBSERVER_SESSIONS_H

#include <stddef.h>
#include <stdint.h>

#include "node/sink.h"
#include "pbkv.pb-c.h"
#include "pbserver/kv.h"

struct session;

/* What is known of one session. */
struct session_record {
    uint64_t id;         /* op number of its opening */
    uint64_t seq;        /* of its newest operation; 0: none yet */
    Pbkv__Status status; /* outcome of seq */
    uint64_t op;         /* op number of seq, or of the opening */
};

/* Treat the fields as private, except count. */
struct sessions {
    struct session *table; /* by id (uthash) */
    struct session *list;  /* in the order of last use (utlist) */
    size_t count;
    struct digest_sum sum;
};

/* Makes an empty table; release it with sessions_release. */
void sessions_init(struct sessions *sessions);
void sessions_release(struct sessions *sessions);

/* Makes copy a copy. copy is not initialised. */
void sessions_clone(const struct sessions *sessions, struct sessions *copy);

/* Returns the record of a session, borrowed until the next change, or NULL when
 * there is no such session (any more). */
const struct session_record *sessions_find(const struct sessions *sessions,
                                           uint64_t id);

/* Sets a session's record, adding it if need be, as the most recently used. */
void sessions_set(struct sessions *sessions,
                  const struct session_record *record);

/* Returns the id of the session that was used least recently; 0: there is none.
 */
uint64_t sessions_oldest(const struct sessions *sessions);

/* Removes a session, if it is there. */
void sessions_evict(struct sessions *sessions, uint64_t id);

/* Returns all records in the order of last use, oldest first: count of them, on
 * the heap for the caller to free; NULL when there are none. */
struct session_record *sessions_list(const struct sessions *sessions);

/* Describes all records in the order of last use. */
void sessions_describe(const struct sessions *sessions, struct sink *sink);

#endif
