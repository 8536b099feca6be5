/* SPDX-License-Identifier: MIT */
/*
 * tool_bench_load: clients and stages. See tool_bench.h.
 *
 * A slot is room for one operation under way. A client takes an operation from
 * its share of the stage, starts it outside the lock (the callback may run
 * first), and when none is left the slot rests. The stage is over when all
 * slots rest. A slot whose operation could not even start rests too.
 *
 * All clients of a thread share what they count, and the lock: the thread takes
 * it for every operation, and hardly anybody else ever does.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool_bench.h"
#include "node/memory.h"
#include "node/random.h"

enum { WATCH_MS = 100 /* between looks at progress and signals */ };

struct bench_client;

/* One operation under way. */
struct slot {
    struct bench_client *client;
    uint64_t began_ns;
    bool reads;
    uint32_t key;
};

struct bench_thread {
    struct pbkv_loop *loop;

    pthread_mutex_t lock; /* guards the rest, and that of its clients */
    uint64_t failed;
    uint64_t missing;
    enum pbkv_status failure; /* of the first that failed, or PBKV_OK */
    struct histogram latency;
};

struct bench_client {
    struct bench *bench;
    struct bench_thread *thread;
    struct pbkv *store;
    struct slot *slots;

    /* Guarded by the thread's lock. */
    uint64_t random;
    uint64_t left;     /* operations of its share not yet begun */
    uint32_t next_key; /* of BENCH_FILL */
};

struct bench {
    struct tool *tool;
    const struct bench_plan *plan;
    struct bench_thread *threads;
    struct bench_client *clients;
    uint32_t opened;        /* of them */
    char *value;            /* that every write stores */
    enum bench_stage stage; /* changes only while all slots rest */

    pthread_mutex_t lock; /* guards busy */
    pthread_cond_t rested;
    uint64_t busy; /* slots that do not rest */
};

/* ---- Operations --------------------------------------------------------- */

/* Chooses what a slot does next. Returns false when nothing is left to do. The
 * lock is held. */
static bool choose(struct bench_client *client, struct slot *slot)
{
    const struct bench_plan *plan = client->bench->plan;

    if (client->left == 0)
        return false;
    client->left--;
    if (client->bench->stage == BENCH_FILL) {
        slot->reads = false;
        slot->key = client->next_key;
        client->next_key += plan->clients;
        return true;
    }
    slot->key = random_between(&client->random, 0, plan->keys - 1);
    slot->reads = client->bench->stage == BENCH_TOUCH ||
                  (plan->read_share > 0 &&
                   random_between(&client->random, 1, 100) <= plan->read_share);
    return true;
}

static void rest_slot(struct bench *bench)
{
    pthread_mutex_lock(&bench->lock);
    if (--bench->busy == 0)
        pthread_cond_signal(&bench->rested);
    pthread_mutex_unlock(&bench->lock);
}

/* The lock is held. */
static void count_failure(struct bench_thread *thread, enum pbkv_status status)
{
    if (thread->failed++ == 0)
        thread->failure = status;
}

static void on_end(void *context, const struct pbkv_result *result);

/* Starts what was chosen for a slot. Its time begins now, which is when the
 * operation before it ended. */
static void launch(struct slot *slot, uint64_t now_ns)
{
    struct bench_client *client = slot->client;
    struct bench *bench = client->bench;
    char key[MEASURE_KEY_SIZE];
    enum pbkv_status status;

    measure_key(slot->key, key);
    slot->began_ns = now_ns;
    if (slot->reads)
        status =
            pbkv_get_async(client->store, key, sizeof(key), 0, on_end, slot);
    else
        status = pbkv_put_async(client->store, key, sizeof(key), bench->value,
                                bench->plan->value_size, 0, on_end, slot);
    if (status == PBKV_OK)
        return;
    pthread_mutex_lock(&client->thread->lock);
    count_failure(client->thread, status);
    pthread_mutex_unlock(&client->thread->lock);
    rest_slot(bench);
}

/* Ends an operation, in the loop thread, and starts the next. */
static void on_end(void *context, const struct pbkv_result *result)
{
    struct slot *slot = context;
    struct bench_client *client = slot->client;
    struct bench_thread *thread = client->thread;
    uint64_t now_ns = tool_now_ns();
    bool goes_on;

    pthread_mutex_lock(&thread->lock);
    if (result->status == PBKV_OK || result->status == PBKV_NO_KEY)
        histogram_add(&thread->latency, now_ns - slot->began_ns);
    else
        count_failure(thread, result->status);
    if (result->status == PBKV_NO_KEY)
        thread->missing++;
    goes_on = choose(client, slot);
    pthread_mutex_unlock(&thread->lock);
    if (goes_on)
        launch(slot, now_ns);
    else
        rest_slot(client->bench);
}

/* ---- Stages ------------------------------------------------------------- */

/* Returns a client's share of so many operations. */
static uint64_t share_of(const struct bench *bench, uint32_t client,
                         uint64_t operations)
{
    uint32_t clients = bench->plan->clients;

    return operations / clients + (client < operations % clients ? 1 : 0);
}

/* Returns the operations of a stage; UINT64_MAX: as time permits. */
static uint64_t operations_of(const struct bench *bench, enum bench_stage stage)
{
    const struct bench_plan *plan = bench->plan;

    switch (stage) {
    case BENCH_TOUCH: return plan->clients;
    case BENCH_FILL: return plan->keys;
    case BENCH_MEASURE: break;
    }
    return plan->count > 0 ? plan->count : UINT64_MAX;
}

static void prepare(struct bench *bench, enum bench_stage stage)
{
    uint64_t operations = operations_of(bench, stage);

    bench->stage = stage;
    for (uint32_t i = 0; i < bench->plan->threads; i++) {
        struct bench_thread *thread = &bench->threads[i];

        pthread_mutex_lock(&thread->lock);
        thread->failed = 0;
        thread->missing = 0;
        thread->failure = PBKV_OK;
        memset(&thread->latency, 0, sizeof(thread->latency));
        pthread_mutex_unlock(&thread->lock);
    }
    for (uint32_t i = 0; i < bench->opened; i++) {
        struct bench_client *client = &bench->clients[i];

        pthread_mutex_lock(&client->thread->lock);
        client->left = operations == UINT64_MAX
                           ? UINT64_MAX
                           : share_of(bench, i, operations);
        client->next_key = i;
        pthread_mutex_unlock(&client->thread->lock);
    }
}

static void start_slot(struct slot *slot)
{
    struct bench_client *client = slot->client;
    bool begins;

    pthread_mutex_lock(&client->thread->lock);
    begins = choose(client, slot);
    pthread_mutex_unlock(&client->thread->lock);
    if (begins)
        launch(slot, tool_now_ns());
    else
        rest_slot(client->bench);
}

static void start(struct bench *bench)
{
    pthread_mutex_lock(&bench->lock);
    bench->busy = (uint64_t)bench->opened * bench->plan->outstanding;
    pthread_mutex_unlock(&bench->lock);
    for (uint32_t s = 0; s < bench->plan->outstanding; s++)
        for (uint32_t i = 0; i < bench->opened; i++)
            start_slot(&bench->clients[i].slots[s]);
}

/* Lets operations under way end, and no more begin. */
static void stop(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->opened; i++) {
        struct bench_client *client = &bench->clients[i];

        pthread_mutex_lock(&client->thread->lock);
        client->left = 0;
        pthread_mutex_unlock(&client->thread->lock);
    }
}

static void show_progress(struct bench *bench)
{
    uint64_t done = 0;

    for (uint32_t i = 0; i < bench->plan->threads; i++) {
        pthread_mutex_lock(&bench->threads[i].lock);
        done += bench->threads[i].latency.count;
        pthread_mutex_unlock(&bench->threads[i].lock);
    }
    tool_progress_update(&bench->tool->progress, done,
                         done * bench->plan->value_size);
}

/* Waits until all slots rest, or until a moment. Returns whether they do. */
static bool wait_until(struct bench *bench, uint64_t then)
{
    struct timespec until = {(time_t)(then / 1000000000),
                             (long)(then % 1000000000)};
    bool rested;

    pthread_mutex_lock(&bench->lock);
    if (bench->busy > 0)
        pthread_cond_timedwait(&bench->rested, &bench->lock, &until);
    rested = bench->busy == 0;
    pthread_mutex_unlock(&bench->lock);
    return rested;
}

/* Sees the stage to its end; until it is time, if it ends with the time. */
static void watch(struct bench *bench, uint64_t end_ns)
{
    for (;;) {
        uint64_t now = tool_now_ns();
        uint64_t then = now + WATCH_MS * 1000000u;

        if (now >= end_ns || tool_stop_wanted(bench->tool->stop)) {
            stop(bench);
            end_ns = UINT64_MAX;
        }
        if (wait_until(bench, then < end_ns ? then : end_ns))
            return;
        show_progress(bench);
    }
}

static enum pbkv_status collect(struct bench *bench, struct measure *measure)
{
    enum pbkv_status failure = PBKV_OK;

    for (uint32_t i = 0; i < bench->plan->threads; i++) {
        struct bench_thread *thread = &bench->threads[i];

        pthread_mutex_lock(&thread->lock);
        histogram_merge(&measure->latency, &thread->latency);
        measure->failed += thread->failed;
        measure->missing += thread->missing;
        if (failure == PBKV_OK)
            failure = thread->failure;
        pthread_mutex_unlock(&thread->lock);
    }
    measure->operations = measure->latency.count;
    return failure;
}

enum pbkv_status bench_run(struct bench *bench, enum bench_stage stage,
                           struct measure *measure)
{
    static const char *const names[] = {"connect", "fill", "bench"};
    const struct bench_plan *plan = bench->plan;
    uint64_t operations = operations_of(bench, stage);
    bool timed = operations == UINT64_MAX;
    uint64_t began;

    memset(measure, 0, sizeof(*measure));
    measure->clients = plan->clients;
    measure->outstanding = plan->outstanding;
    measure->value_size = plan->value_size;
    measure->keys = plan->keys;
    measure->read_share = plan->read_share;
    prepare(bench, stage);
    if (!bench->tool->quiet)
        tool_progress_begin(&bench->tool->progress, names[stage], "operations",
                            timed ? 0 : operations);
    began = tool_now_ns();
    start(bench);
    watch(bench,
          timed ? began + (uint64_t)plan->seconds * 1000000000u : UINT64_MAX);
    measure->duration_ns = tool_now_ns() - began;
    tool_progress_end(&bench->tool->progress);
    return collect(bench, measure);
}

/* ---- Handles ------------------------------------------------------------ */

static int open_client(struct bench *bench, uint32_t number)
{
    struct bench_client *client = &bench->clients[number];
    const struct bench_plan *plan = bench->plan;
    struct bench_thread *thread = &bench->threads[number % plan->threads];
    char name[16];
    int status;

    snprintf(name, sizeof(name), "bench%u", (unsigned)number);
    status = tool_open_handle(bench->tool, name, plan->outstanding,
                              thread->loop, &client->store);
    if (status != TOOL_OK)
        return status;
    client->bench = bench;
    client->thread = thread;
    client->random = ((uint64_t)plan->seed << 32) + number;
    client->slots = memory_new(plan->outstanding * sizeof(*client->slots));
    for (uint32_t i = 0; i < plan->outstanding; i++)
        client->slots[i].client = client;
    bench->opened++;
    return TOOL_OK;
}

static int open_threads(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->plan->threads; i++)
        pthread_mutex_init(&bench->threads[i].lock, NULL);
    for (uint32_t i = 0; i < bench->plan->threads; i++) {
        if (pbkv_loop_open(&bench->threads[i].loop) != PBKV_OK) {
            tool_say(bench->tool, "cannot start a thread: %s", strerror(errno));
            return TOOL_NEGATIVE;
        }
    }
    return TOOL_OK;
}

int bench_open(struct tool *tool, const struct bench_plan *plan,
               struct bench **bench)
{
    struct bench *new = memory_new(sizeof(*new));
    pthread_condattr_t attributes;
    int status;

    new->tool = tool;
    new->plan = plan;
    new->value = memory_new(plan->value_size + 1);
    memset(new->value, 'v', plan->value_size);
    new->threads = memory_new(plan->threads * sizeof(*new->threads));
    status = open_threads(new);
    new->clients = memory_new(plan->clients * sizeof(*new->clients));
    pthread_mutex_init(&new->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&new->rested, &attributes);
    pthread_condattr_destroy(&attributes);
    while (new->opened < plan->clients && status == TOOL_OK)
        status = open_client(new, new->opened);
    *bench = new;
    return status;
}

void bench_close(struct bench *bench)
{
    if (!bench)
        return;
    for (uint32_t i = 0; i < bench->opened; i++) {
        pbkv_close(bench->clients[i].store);
        free(bench->clients[i].slots);
    }
    for (uint32_t i = 0; i < bench->plan->threads; i++) {
        pbkv_loop_close(bench->threads[i].loop);
        pthread_mutex_destroy(&bench->threads[i].lock);
    }
    pthread_cond_destroy(&bench->rested);
    pthread_mutex_destroy(&bench->lock);
    free(bench->clients);
    free(bench->threads);
    free(bench->value);
    free(bench);
}
