/* SPDX-License-Identifier: MIT */
/*
 * sessions: see sessions.h. A session is in a table, where it stays, and in a
 * list, at whose end every use puts it: so the list is in the order of last
 * use. It keeps what it adds to the digest, to be taken away with the next use.
 */
#include "pbserver/sessions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "node/memory.h"

/* Ids are op numbers: close together, and given out by the primary alone. So
 * a multiplication spreads them well enough (Fibonacci hashing). */
static unsigned id_hash(const uint64_t *id)
{
    return (unsigned)(*id * 0x9e3779b97f4a7c15u >> 32);
}

#define HASH_FUNCTION(key, length, hash) ((hash) = id_hash(key))
#define uthash_malloc(size)              memory_new(size)
#define uthash_free(memory, size)        free(memory)
#include <uthash.h>

/* A step along a bucket is a session to be fetched from memory: so there are
 * more buckets, with fewer sessions in each, than uthash would have. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 4U

/* What a search looks at comes first, together. */
struct session {
    UT_hash_handle hh;
    struct session_record record;
    struct digest_sum digest; /* of the record */
    struct session *prev;     /* in the list */
    struct session *next;
};

void sessions_init(struct sessions *sessions)
{
    memset(sessions, 0, sizeof(*sessions));
}

static struct session *session_find(const struct sessions *sessions,
                                    uint64_t id)
{
    struct session *session;

    HASH_FIND(hh, sessions->table, &id, sizeof(id), session);
    return session;
}

/* Returns what a record adds to the digest. */
static struct digest_sum record_digest(const struct session_record *record)
{
    uint64_t counted[] = {record->seq, (uint64_t)record->status, record->op};
    struct digest_sum digest = {0};

    digest_sum_add(&digest, counted, sizeof(counted), record->id);
    return digest;
}

/* Sets a session's record and the digest with it. A new session's is 0. */
static void session_set(struct sessions *sessions, struct session *session,
                        const struct session_record *record)
{
    struct digest_sum digest = record_digest(record);

    sessions->sum.low += digest.low - session->digest.low;
    sessions->sum.high += digest.high - session->digest.high;
    session->digest = digest;
    session->record = *record;
}

void sessions_release(struct sessions *sessions)
{
    struct session *session;
    struct session *next;

    HASH_CLEAR(hh, sessions->table);
    DL_FOREACH_SAFE(sessions->list, session, next)
    {
        free(session);
    }
    sessions_init(sessions);
}

void sessions_clone(const struct sessions *sessions, struct sessions *copy)
{
    sessions_init(copy);
    for (const struct session *session = sessions->list; session;
         session = session->next)
        sessions_set(copy, &session->record);
}

const struct session_record *sessions_find(const struct sessions *sessions,
                                           uint64_t id)
{
    const struct session *session = session_find(sessions, id);

    return session ? &session->record : NULL;
}

static struct session *session_new(struct sessions *sessions, uint64_t id)
{
    struct session *session = memory_new(sizeof(*session));

    session->record.id = id;
    HASH_ADD(hh, sessions->table, record.id, sizeof(id), session);
    sessions->count++;
    return session;
}

void sessions_set(struct sessions *sessions,
                  const struct session_record *record)
{
    struct session *session = session_find(sessions, record->id);

    assert(record->id > 0 && record->op >= record->id);
    if (session)
        DL_DELETE(sessions->list, session);
    else
        session = session_new(sessions, record->id);
    session_set(sessions, session, record);
    DL_APPEND(sessions->list, session);
}

uint64_t sessions_oldest(const struct sessions *sessions)
{
    return sessions->list ? sessions->list->record.id : 0;
}

void sessions_evict(struct sessions *sessions, uint64_t id)
{
    struct session *session = session_find(sessions, id);

    if (!session)
        return;
    sessions->sum.low -= session->digest.low;
    sessions->sum.high -= session->digest.high;
    DL_DELETE(sessions->list, session);
    HASH_DEL(sessions->table, session);
    sessions->count--;
    free(session);
}

struct session_record *sessions_list(const struct sessions *sessions)
{
    struct session_record *list;
    size_t i = 0;

    if (sessions->count == 0)
        return NULL;
    list = memory_new(sessions->count * sizeof(*list));
    for (const struct session *session = sessions->list; session;
         session = session->next)
        list[i++] = session->record;
    assert(i == sessions->count);
    return list;
}

void sessions_describe(const struct sessions *sessions, struct sink *sink)
{
    sink_open(sink, "sessions");
    for (const struct session *session = sessions->list; session;
         session = session->next) {
        sink_u64(sink, "id", session->record.id);
        sink_u64(sink, "seq", session->record.seq);
        sink_u64(sink, "status", (uint64_t)session->record.status);
        sink_u64(sink, "op", session->record.op);
    }
    sink_close(sink);
}
