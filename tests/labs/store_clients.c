/* SPDX-License-Identifier: MIT */
/*
 * store_clients: the clients of a store, what they are told, and storms. A
 * client is the client role with one operation at a time; an operation whose
 * outcome is unknown stays open in the history, and the client goes on as
 * another process.
 *
 * A storm hurts a server only while the store can do without it, judged by what
 * can be seen: the view is acknowledged, so its backup has the state (T2), and
 * the view service has heard the server that is to survive.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/random.h"
#include "sim/lincheck.h"
#include "tests/labs/store_state.h"

enum {
    STEP_MS = 100,
    HEARD_US = 250000, /* two cycles and a half */
    FINISH_MS = 20000, /* after a storm */
    WORK_MS = 2000,    /* deadline of an operation in a storm */
    PAUSE_MAX_MS = 1500,
};

static size_t index_of(int client)
{
    assert(client >= C1 && client < C1 + CLIENTS);
    return (size_t)(client - C1);
}

static struct worker *worker_of(struct store *store, int client)
{
    return &store->workers[index_of(client)];
}

/* ---- Operations -----------------------------------------------------------
 */

void store_on_answer(void *context, size_t host, uint64_t call,
                     const Pbkv__Body *body)
{
    struct store *store = context;
    int client = store->actor_of[host];
    struct worker *worker = worker_of(store, client);
    const Pbkv__Reply *reply = body->reply;
    struct bytes *value = NULL;

    assert(worker->busy && call == worker->call);
    assert(body->kind_case == PBKV__BODY__KIND_REPLY);
    worker->busy = false;
    worker->status = reply->status;
    bytes_release(worker->read);
    worker->read = NULL;
    if (reply->status == PBKV__STATUS__TOO_LARGE) {
        history_end(&store->history, worker->operation, HISTORY_FAILED,
                    ++store->moments);
        return;
    }
    if (reply->status != PBKV__STATUS__OK &&
        reply->status != PBKV__STATUS__NO_KEY) {
        worker->process = store->processes++; /* C2: unknown */
        return;
    }
    if (reply->status == PBKV__STATUS__OK &&
        store->history.ops[worker->operation].kind == HISTORY_GET)
        value = bytes_new(reply->value.data, reply->value.len);
    history_return(&store->history, worker->operation, value, ++store->moments);
    worker->read = value;
}

struct beginning {
    struct client_request request;
};

static void begin(void *argument, struct node *node, struct env *env)
{
    const struct beginning *beginning = argument;

    client_call((struct client *)(void *)node, env, &beginning->request);
}

static enum history_kind kind_of(Pbkv__Body__KindCase kind)
{
    switch (kind) {
    case PBKV__BODY__KIND_PUT: return HISTORY_PUT;
    case PBKV__BODY__KIND_APPEND: return HISTORY_APPEND;
    default: return HISTORY_GET;
    }
}

static void note_operation(struct store *store, int client,
                           const struct client_request *request)
{
    const char *verb = message_name(request->kind);

    store_note(store, client, "%s begins: %s %.*s %.*s",
               store_name(store, client), verb, (int)request->key->length,
               (const char *)request->key->data,
               request->value && request->value->length < 40
                   ? (int)request->value->length
                   : 0,
               request->value ? (const char *)request->value->data : "");
}

void store_begin_octets(struct store *store, int client,
                        Pbkv__Body__KindCase kind, const char *key,
                        struct bytes *value, uint32_t deadline_ms)
{
    struct worker *worker = worker_of(store, client);
    struct beginning beginning = {
        .request = {.kind = kind,
                    .call = ++worker->call,
                    .deadline_ticks = deadline_ms / CLIENT_TICK_MS,
                    .key = bytes_new(key, strlen(key)),
                    .value = value},
    };

    assert(!worker->busy);
    worker->busy = true;
    worker->ends_us = world_now(store->world) +
                      (deadline_ms + 2 * CLIENT_TICK_MS) * UINT64_C(1000);
    worker->operation =
        history_invoke(&store->history, worker->process, kind_of(kind),
                       beginning.request.key, value, ++store->moments);
    note_operation(store, client, &beginning.request);
    world_call(store->world, store->actors[client].host, begin, &beginning);
    bytes_release(beginning.request.key);
}

void store_begin(struct store *store, int client, Pbkv__Body__KindCase kind,
                 const char *key, const char *value, uint32_t deadline_ms)
{
    struct bytes *octets = value ? bytes_new(value, strlen(value)) : NULL;

    store_begin_octets(store, client, kind, key, octets, deadline_ms);
    bytes_release(octets);
}

bool store_is_waiting(const struct store *store, int client)
{
    return store->workers[index_of(client)].busy;
}

static bool has_ended(struct store *store, const void *argument)
{
    const struct worker *worker = argument;

    (void)store;
    return !worker->busy;
}

Pbkv__Status store_end(struct store *store, int client)
{
    const struct worker *worker = worker_of(store, client);
    uint64_t now = world_now(store->world);
    uint32_t ms = worker->ends_us > now
                      ? (uint32_t)((worker->ends_us - now) / 1000) + 1
                      : 0;

    LAB_EXPECT(store->lab, store_until(store, has_ended, worker, ms),
               "the operation of %s has not ended although its deadline has "
               "passed (C2)",
               store_name(store, client));
    return worker->status;
}

static void update(struct store *store, int client, Pbkv__Body__KindCase kind,
                   const char *key, const char *value)
{
    Pbkv__Status status;

    store_begin(store, client, kind, key, value, 2 * SOON_MS);
    status = store_end(store, client);
    LAB_EXPECT(store->lab, status == PBKV__STATUS__OK,
               "%s's %s of %s got %s instead of OK", store_name(store, client),
               message_name(kind), key, status_name(status));
}

void store_put(struct store *store, int client, const char *key,
               const char *value)
{
    update(store, client, PBKV__BODY__KIND_PUT, key, value);
}

void store_append(struct store *store, int client, const char *key,
                  const char *value)
{
    update(store, client, PBKV__BODY__KIND_APPEND, key, value);
}

const struct bytes *store_read(const struct store *store, int client)
{
    return store->workers[index_of(client)].read;
}

void store_expect(struct store *store, int client, const char *key,
                  const char *value)
{
    struct bytes *expected = value ? bytes_new(value, strlen(value)) : NULL;
    const struct bytes *read;
    Pbkv__Status status;
    char texts[2][LINCHECK_VALUE_TEXT];

    store_begin(store, client, PBKV__BODY__KIND_GET, key, NULL, 2 * SOON_MS);
    status = store_end(store, client);
    read = store_read(store, client);
    LAB_EXPECT(store->lab,
               status == PBKV__STATUS__OK || status == PBKV__STATUS__NO_KEY,
               "%s's get of %s got %s", store_name(store, client), key,
               status_name(status));
    LAB_EXPECT(store->lab,
               (read == NULL) == (expected == NULL) &&
                   (!read || bytes_equal(read, expected)),
               "%s reads %s from %s and not %s, which is what was written",
               store_name(store, client), lincheck_value_text(read, texts[0]),
               key, lincheck_value_text(expected, texts[1]));
    bytes_release(expected);
}

void store_judge(struct store *store)
{
    struct lincheck_report report = lincheck_check(&store->history, NULL);

    LAB_EXPECT(store->lab, report.verdict != LINCHECK_VIOLATION,
               "what the clients were told is not linearizable: %s",
               report.sentence);
    lincheck_release(&report);
}

/* ---- Work of a storm ------------------------------------------------------
 */

static void begin_random(struct store *store, const struct storm *storm,
                         int client)
{
    uint64_t *random = &store->random;
    uint32_t draw = random_between(random, 0, 9);
    char key[16];
    char value[24];

    snprintf(key, sizeof(key), "k%" PRIu32,
             random_between(random, 0, storm->keys - 1));
    snprintf(value, sizeof(value), "<%" PRIu64 ">", ++store->tokens);
    if (draw < 3)
        store_begin(store, client, PBKV__BODY__KIND_GET, key, NULL, WORK_MS);
    else
        store_begin(store, client,
                    draw < 4 ? PBKV__BODY__KIND_PUT : PBKV__BODY__KIND_APPEND,
                    key, value, WORK_MS);
}

static void work(struct store *store, const struct storm *storm)
{
    for (unsigned i = 0; i < store->config.clients; i++) {
        int client = C1 + (int)i;

        if (!store_is_waiting(store, client))
            begin_random(store, storm, client);
    }
}

/* ---- Faults of a storm ----------------------------------------------------
 */

static bool chance(struct store *store, uint32_t per_mille)
{
    return random_between(&store->random, 0, 999) < per_mille;
}

static bool is_sound(const struct store *store, const struct peer *peer)
{
    for (int i = S1; i < S1 + SERVERS; i++) {
        const struct actor *one = &store->actors[i];
        struct peer self;

        if (!store_is_up(store, i))
            continue;
        self = store_peer(store, i);
        if (peer_equal(&self, peer))
            return !world_is_paused(store->world, one->host) &&
                   one->heard_us + HEARD_US > world_now(store->world);
    }
    return false;
}

static bool is_paired(const struct store *store)
{
    return store->acknowledged == store->view.number &&
           is_sound(store, &store->view.primary) &&
           is_sound(store, &store->view.backup);
}

static bool is_dispensable(const struct store *store, int server)
{
    struct peer victim = store_peer(store, server);

    if (store->view.number == 0)
        return false;
    if (peer_equal(&victim, &store->view.primary))
        return is_paired(store);
    return is_sound(store, &store->view.primary);
}

static void partition(struct store *store, int server)
{
    bool both_ways = chance(store, 500);

    store_note(store, server, "%s is cut off from some",
               store_name(store, server));
    for (int other = VS; other < S1 + (int)store->config.servers; other++) {
        if (other == server || chance(store, 300))
            continue;
        store_cut(store, server, other);
        if (both_ways)
            store_cut(store, other, server);
    }
}

static void break_something(struct store *store, const struct storm *storm)
{
    int server =
        S1 + (int)random_between(&store->random, 0, store->config.servers - 1);

    if (!store_is_up(store, server)) {
        if (chance(store, storm->restart))
            store_restart(store, server);
    } else if (chance(store, storm->crash) && is_dispensable(store, server)) {
        store_crash(store, server);
        store_heal(store);
    } else if (chance(store, storm->pause) && is_paired(store)) {
        store_pause(store, server,
                    random_between(&store->random, 1, PAUSE_MAX_MS));
    } else if (chance(store, storm->partition) && is_paired(store))
        partition(store, server);
    if (chance(store, storm->heal))
        store_heal(store);
    if (chance(store, storm->view_restart)) {
        store_crash(store, VS);
        store_restart(store, VS);
    }
}

/* ---- Storms ---------------------------------------------------------------
 */

/* Lets time pass with the clients always at work. */
static void run_busy(struct store *store, const struct storm *storm,
                     uint32_t ms)
{
    uint64_t until = world_now(store->world) + ms * UINT64_C(1000);

    work(store, storm);
    while (world_step(store->world, until))
        work(store, storm);
}

static bool all_ended(struct store *store, const void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < store->config.clients; i++) {
        if (store->workers[i].busy)
            return false;
    }
    return true;
}

static void end_faults(struct store *store)
{
    static const struct world_plan quiet = {.min_us = 200, .max_us = 1500};

    store_heal(store);
    store_pass(store);
    store_network(store, &quiet);
    for (unsigned i = 0; i < store->config.servers; i++) {
        if (!store_is_up(store, S1 + (int)i))
            store_restart(store, S1 + (int)i);
    }
    store_note(store, NOBODY, "faults have ended");
}

/* After the faults, each key can be read within a bounded time. */
static void read_all(struct store *store, unsigned keys)
{
    for (unsigned i = 0; i < keys; i++) {
        char key[16];
        Pbkv__Status status;

        snprintf(key, sizeof(key), "k%u", i);
        store_begin(store, C1, PBKV__BODY__KIND_GET, key, NULL, FINISH_MS);
        status = store_end(store, C1);
        LAB_EXPECT(store->lab,
                   status == PBKV__STATUS__OK || status == PBKV__STATUS__NO_KEY,
                   "%d ms after the last fault a get of %s still gets %s",
                   FINISH_MS, key, status_name(status));
    }
}

void store_storm(struct store *store, const struct storm *storm)
{
    for (uint32_t ms = 0; ms < storm->ms; ms += STEP_MS) {
        run_busy(store, storm, STEP_MS);
        break_something(store, storm);
    }
    end_faults(store);
    LAB_EXPECT(store->lab, store_until(store, all_ended, NULL, FINISH_MS),
               "the clients' operations have not ended %d ms after the last "
               "fault (C2)",
               FINISH_MS);
    read_all(store, storm->keys);
    store_judge(store);
}
