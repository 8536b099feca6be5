/* SPDX-License-Identifier: MIT */
/*
 * demo_work: see demo_work.h. Threads take the items in order. Everything in
 * struct work below the line is guarded by the mutex; operations run outside
 * it. An update whose outcome is unknown is made again: a put may be.
 */
#include "tests/demo_work.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/memory.h"

enum {
    ATTEMPTS = 3, /* to put, when the outcome is unknown */
    DEADLINE_MS = 8000,
};

struct work {
    struct pbkv *store;
    enum work_kind kind;
    const struct item *items;
    size_t count;
    pthread_t threads[DEMO_THREADS];

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t moved;  /* the gate */
    enum work_outcome *outcomes;
    size_t next; /* first item that nobody has taken */
    size_t gate;
    size_t done;
    uint64_t killed_ns;   /* when; 0: nobody was killed */
    uint64_t answered_ns; /* when, after the kill; 0: not yet */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static enum work_outcome put(struct work *work, const struct item *item)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        enum pbkv_status status =
            pbkv_put(work->store, item->key, item->key_length, item->value,
                     item->value_length, DEADLINE_MS);

        if (status == PBKV_OK)
            return WORK_GOOD;
        if (status != PBKV_TIMEOUT && status != PBKV_SESSION_EXPIRED)
            return WORK_FAILED;
    }
    return WORK_FAILED;
}

static enum work_outcome compare(struct work *work, const struct item *item)
{
    struct pbkv_value value;
    enum pbkv_status status =
        pbkv_get(work->store, item->key, item->key_length, DEADLINE_MS, &value);
    enum work_outcome outcome = WORK_DIFFERS;

    if (status == PBKV_OK && value.length == item->value_length &&
        (value.length == 0 ||
         memcmp(value.data, item->value, value.length) == 0))
        outcome = WORK_GOOD;
    else if (status != PBKV_OK && status != PBKV_NO_KEY)
        outcome = WORK_FAILED;
    pbkv_free(&value);
    return outcome;
}

/* Notes the first answer to an operation that began after the kill. */
static void note_answer(struct work *work, uint64_t began_ns)
{
    if (work->killed_ns != 0 && began_ns >= work->killed_ns &&
        work->answered_ns == 0)
        work->answered_ns = now_ns();
}

/* Takes the next item. Returns false when there is none left. Held: mutex. */
static bool take(struct work *work, size_t *item)
{
    while (work->next >= work->gate && work->next < work->count)
        pthread_cond_wait(&work->moved, &work->mutex);
    if (work->next >= work->count)
        return false;
    *item = work->next++;
    return true;
}

static void *work_run(void *argument)
{
    struct work *work = argument;
    size_t item;

    pthread_mutex_lock(&work->mutex);
    while (take(work, &item)) {
        uint64_t began_ns = now_ns();

        pthread_mutex_unlock(&work->mutex);
        enum work_outcome outcome = work->kind == WORK_PUT
                                        ? put(work, &work->items[item])
                                        : compare(work, &work->items[item]);
        pthread_mutex_lock(&work->mutex);
        work->outcomes[item] = outcome;
        work->done++;
        if (outcome != WORK_FAILED)
            note_answer(work, began_ns);
    }
    pthread_cond_broadcast(&work->moved);
    pthread_mutex_unlock(&work->mutex);
    return NULL;
}

struct work *work_start(struct pbkv *store, enum work_kind kind,
                        const struct item *items, size_t count)
{
    struct work *work = memory_new(sizeof(*work));

    work->store = store;
    work->kind = kind;
    work->items = items;
    work->count = count;
    work->outcomes = memory_new(count * sizeof(*work->outcomes));
    pthread_mutex_init(&work->mutex, NULL);
    pthread_cond_init(&work->moved, NULL);
    for (unsigned i = 0; i < DEMO_THREADS; i++)
        if (pthread_create(&work->threads[i], NULL, work_run, work) != 0)
            abort();
    return work;
}

void work_open_gate(struct work *work, size_t gate)
{
    pthread_mutex_lock(&work->mutex);
    work->gate = gate;
    pthread_cond_broadcast(&work->moved);
    pthread_mutex_unlock(&work->mutex);
}

size_t work_done(struct work *work)
{
    size_t done;

    pthread_mutex_lock(&work->mutex);
    done = work->done;
    pthread_mutex_unlock(&work->mutex);
    return done;
}

size_t work_under_way(struct work *work)
{
    size_t under_way;

    pthread_mutex_lock(&work->mutex);
    under_way = work->next - work->done;
    pthread_mutex_unlock(&work->mutex);
    return under_way;
}

void work_note_kill(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    work->killed_ns = now_ns();
    work->answered_ns = 0;
    pthread_mutex_unlock(&work->mutex);
}

uint64_t work_answered_after_ns(struct work *work)
{
    uint64_t after;

    pthread_mutex_lock(&work->mutex);
    after = work->answered_ns ? work->answered_ns - work->killed_ns : 0;
    pthread_mutex_unlock(&work->mutex);
    return after;
}

void work_note_answer(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    note_answer(work, work->killed_ns);
    pthread_mutex_unlock(&work->mutex);
}

void work_finish(struct work *work, enum work_outcome *outcomes)
{
    work_open_gate(work, work->count);
    for (unsigned i = 0; i < DEMO_THREADS; i++)
        pthread_join(work->threads[i], NULL);
    if (work->count > 0)
        memcpy(outcomes, work->outcomes, work->count * sizeof(*outcomes));
    pthread_cond_destroy(&work->moved);
    pthread_mutex_destroy(&work->mutex);
    free(work->outcomes);
    free(work);
}
