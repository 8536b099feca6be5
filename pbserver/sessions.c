/* SPDX-License-Identifier: MIT */
/*
 * sessions: see sessions.h. A session is in a table, where it stays, and in a
 * list, at whose end every use puts it: so the list is in the order of last
 * use.
 */
#include "pbserver/sessions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <xxhash.h>

#include "node/memory.h"

#define HASH_FUNCTION(key, length, hash)                                       \
    ((hash) = (unsigned)XXH3_64bits((key), (length)))
#define uthash_malloc(size)       memory_new(size)
#define uthash_free(memory, size) free(memory)
#include <uthash.h>

struct session {
    struct session_record record;
    struct session *prev; /* in the list */
    struct session *next;
    UT_hash_handle hh;
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

/* What of a record counts for the digest. */
static void record_sum(const struct session_record *record, uint64_t counted[3])
{
    counted[0] = record->seq;
    counted[1] = (uint64_t)record->status;
    counted[2] = record->op;
}

static void sum_add(struct sessions *sessions,
                    const struct session_record *record)
{
    uint64_t counted[3];

    record_sum(record, counted);
    digest_sum_add(&sessions->sum, counted, sizeof(counted), record->id);
}

static void sum_subtract(struct sessions *sessions,
                         const struct session_record *record)
{
    uint64_t counted[3];

    record_sum(record, counted);
    digest_sum_subtract(&sessions->sum, counted, sizeof(counted), record->id);
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
    if (session) {
        sum_subtract(sessions, &session->record);
        DL_DELETE(sessions->list, session);
    } else
        session = session_new(sessions, record->id);
    session->record = *record;
    sum_add(sessions, record);
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
    sum_subtract(sessions, &session->record);
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
