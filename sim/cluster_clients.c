/* SPDX-License-Identifier: MIT */
/*
 * cluster_clients: the clients of a cluster. They put and append unique tokens
 * to a few keys, and read the keys, as the workload says. A value begins with
 * its token; what follows, up to the workload's octets, makes it long.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "node/random.h"
#include "sim/cluster_state.h"

enum { TICK_MS = 20, RETRY_TICKS = 3, DEADLINE_TICKS = 100 };

static struct node *client_birth(const void *context, const struct peer *self,
                                 const struct bytes *record)
{
    struct client_config config = {
        .view_service = peer_at("view", 0).address,
        .tick_ms = TICK_MS,
        .retry_ticks = RETRY_TICKS,
        .sessions_max = 1,
        .queue_max = 1,
        .calls_max = 4,
    };

    (void)context;
    (void)self;
    (void)record;
    return client_node(client_new(&config));
}

void cluster_add_clients(struct cluster *cluster)
{
    char text[32];

    for (uint32_t i = 0; i < cluster->config.workload.keys; i++) {
        snprintf(text, sizeof(text), "k%" PRIu32, i);
        cluster->keys[i] = bytes_new(text, strlen(text));
    }
    for (uint32_t i = 0; i < cluster->config.workload.clients; i++) {
        struct worker *worker = &cluster->workers[i];

        snprintf(text, sizeof(text), "client:%" PRIu32, i + 1);
        worker->host =
            world_add(cluster->world, text, NULL, client_birth, NULL);
        worker->process = cluster->processes++;
        world_wake(cluster->world, worker->host, 0);
    }
}

void cluster_release_clients(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->config.workload.keys; i++)
        bytes_release(cluster->keys[i]);
}

static struct worker *worker_at(struct cluster *cluster, size_t host)
{
    return &cluster->workers[host - 1 - cluster->config.servers];
}

/* ---- The end of an operation ---- */

/* Notes in the history how the worker's operation ended. */
static void note_end(struct cluster *cluster, struct worker *worker,
                     const Pbkv__Reply *reply)
{
    struct bytes *value = NULL;

    if (reply->status == PBKV__STATUS__TOO_LARGE) {
        history_end(&cluster->history, worker->operation, HISTORY_FAILED,
                    ++cluster->moments);
        return;
    }
    if (reply->status != PBKV__STATUS__OK &&
        reply->status != PBKV__STATUS__NO_KEY) {
        cluster->result.unknown++;
        worker->process = cluster->processes++;
        return;
    }
    if (worker->reads_all)
        worker->keys_read++;
    if (reply->status == PBKV__STATUS__OK && reply->value.len > 0)
        value = bytes_new(reply->value.data, reply->value.len);
    history_return(&cluster->history, worker->operation, value,
                   ++cluster->moments);
    bytes_release(value);
}

void cluster_on_answer(void *context, size_t host, uint64_t call,
                       const Pbkv__Body *body)
{
    struct cluster *cluster = context;
    struct worker *worker = worker_at(cluster, host);
    uint32_t pause_us = cluster->config.workload.pause_us;

    assert(worker->busy && call == worker->next_call);
    assert(body->kind_case == PBKV__BODY__KIND_REPLY);
    worker->busy = false;
    worker->done++;
    cluster->result.operations++;
    if (body->reply->status == PBKV__STATUS__SESSION_EXPIRED &&
        cluster->config.plan.sessions == 0) /* P6 */
        invariants_violated(&cluster->invariants,
                            "a session was forgotten without need", "");
    note_end(cluster, worker, body->reply);
    if (pause_us > 0 && !worker->reads_all)
        pause_us = random_between(world_random(cluster->world), 0, pause_us);
    else
        pause_us = 0;
    world_wake(cluster->world, host, pause_us);
}

/* ---- The next operation ---- */

static enum history_kind history_kind_of(Pbkv__Body__KindCase kind)
{
    switch (kind) {
    case PBKV__BODY__KIND_PUT: return HISTORY_PUT;
    case PBKV__BODY__KIND_APPEND: return HISTORY_APPEND;
    default: return HISTORY_GET;
    }
}

static Pbkv__Body__KindCase draw_kind(const struct workload *workload,
                                      uint64_t *random)
{
    uint32_t all = workload->gets + workload->puts + workload->appends;
    uint32_t drawn = random_between(random, 0, all - 1);

    if (drawn < workload->gets)
        return PBKV__BODY__KIND_GET;
    return drawn < workload->gets + workload->puts ? PBKV__BODY__KIND_PUT
                                                   : PBKV__BODY__KIND_APPEND;
}

/* Returns a value that nobody has written before. */
static struct bytes *new_value(struct cluster *cluster)
{
    char text[32];
    int length =
        snprintf(text, sizeof(text), "<%" PRIu64 ".", ++cluster->tokens);
    struct bytes *value = bytes_new_uninitialised(
        cluster->config.workload.octets + (size_t)length);

    memset(value->data, '-', value->length);
    memcpy(value->data, text, (size_t)length);
    return value;
}

struct assignment {
    struct cluster *cluster;
    struct worker *worker;
};

static void begin_operation(void *argument, struct node *node, struct env *env)
{
    struct assignment *assignment = argument;
    struct cluster *cluster = assignment->cluster;
    struct worker *worker = assignment->worker;
    const struct workload *workload = &cluster->config.workload;
    uint64_t *random = world_random(cluster->world);
    struct client_request request = {
        .kind = PBKV__BODY__KIND_GET,
        .call = ++worker->next_call,
        .deadline_ticks = DEADLINE_TICKS,
    };

    if (worker->reads_all) {
        request.key = cluster->keys[worker->keys_read];
    } else {
        request.key =
            cluster->keys[random_between(random, 0, workload->keys - 1)];
        request.kind = draw_kind(workload, random);
    }
    if (request.kind != PBKV__BODY__KIND_GET)
        request.value = new_value(cluster);
    worker->busy = true;
    worker->operation = history_invoke(
        &cluster->history, worker->process, history_kind_of(request.kind),
        request.key, request.value, ++cluster->moments);
    client_call((struct client *)(void *)node, env, &request);
    bytes_release(request.value);
}

void cluster_on_alarm(void *context, size_t host)
{
    struct cluster *cluster = context;
    struct worker *worker = worker_at(cluster, host);
    struct assignment assignment = {cluster, worker};
    uint32_t life = cluster->config.workload.life;

    if (worker->busy || (cluster->finishing && !worker->reads_all) ||
        (worker->reads_all &&
         worker->keys_read == cluster->config.workload.keys))
        return;
    if (life > 0 && worker->done >= life) {
        world_succeed(cluster->world, host);
        worker->done = 0;
    }
    world_call(cluster->world, host, begin_operation, &assignment);
}

/* ---- The end ---- */

void cluster_finish_clients(struct cluster *cluster)
{
    cluster->finishing = true;
}

void cluster_read_all(struct cluster *cluster)
{
    cluster->workers[0].reads_all = true;
    world_wake(cluster->world, cluster->workers[0].host, 0);
}

bool cluster_clients_are_finished(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->config.workload.clients; i++) {
        const struct worker *worker = &cluster->workers[i];

        if (worker->busy || (worker->reads_all &&
                             worker->keys_read < cluster->config.workload.keys))
            return false;
    }
    return true;
}
