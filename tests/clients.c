/* SPDX-License-Identifier: MIT */
/*
 * clients: see clients.h. The history and everything in it, also the byte
 * strings that it counts references to, is touched under one mutex only. Real
 * time in the history is the order in which threads took that mutex: an
 * invocation is noted before its call begins, a return after it has ended.
 */
#include "tests/clients.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/history.h"
#include "sim/lincheck.h"

enum { TOKEN_SIZE = 32 };

struct client {
    struct clients *clients;
    struct pbkv *handle;
    unsigned number;
    uint32_t process; /* in the history; another one after an unknown outcome */
    pthread_t thread;
};

struct clients {
    struct clients_plan plan;
    struct client *all;
    struct pbkv **handles;

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    struct history history;
    uint64_t moment;
    unsigned answered;
    unsigned running; /* threads */

    struct lincheck_report report;
};

/* One operation on its way. */
struct call {
    enum history_kind kind;
    char key[TOKEN_SIZE];
    char token[TOKEN_SIZE];
    size_t index; /* in the history */
    enum pbkv_status status;
    struct pbkv_value value; /* that was read */
};

/* ---- The history -------------------------------------------------------- */

static void note_invocation(struct client *client, struct call *call)
{
    struct clients *clients = client->clients;
    struct bytes *key = bytes_new(call->key, strlen(call->key));
    struct bytes *value = NULL;

    if (call->kind != HISTORY_GET)
        value = bytes_new(call->token, strlen(call->token));
    pthread_mutex_lock(&clients->mutex);
    call->index = history_invoke(&clients->history, client->process, call->kind,
                                 key, value, ++clients->moment);
    bytes_release(key);
    bytes_release(value);
    pthread_mutex_unlock(&clients->mutex);
}

static bool is_answered(const struct call *call)
{
    return call->status == PBKV_OK ||
           (call->kind == HISTORY_GET && call->status == PBKV_NO_KEY);
}

static void note_return(struct client *client, const struct call *call)
{
    struct clients *clients = client->clients;
    struct bytes *value = NULL;

    pthread_mutex_lock(&clients->mutex);
    if (is_answered(call)) {
        if (call->kind == HISTORY_GET && call->status == PBKV_OK)
            value = bytes_new(call->value.data, call->value.length);
        history_return(&clients->history, call->index, value,
                       ++clients->moment);
        bytes_release(value);
        clients->answered++;
        pthread_cond_broadcast(&clients->changed);
    } else {
        client->process += clients->plan.threads;
    }
    pthread_mutex_unlock(&clients->mutex);
}

/* ---- The threads -------------------------------------------------------- */

static void client_call_once(struct client *client, struct call *call)
{
    size_t key_length = strlen(call->key);
    size_t length = strlen(call->token);

    if (call->kind == HISTORY_PUT)
        call->status = pbkv_put(client->handle, call->key, key_length,
                                call->token, length, 0);
    else if (call->kind == HISTORY_APPEND)
        call->status = pbkv_append(client->handle, call->key, key_length,
                                   call->token, length, 0);
    else
        call->status =
            pbkv_get(client->handle, call->key, key_length, 0, &call->value);
}

static void *client_run(void *argument)
{
    static const enum history_kind kinds[] = {
        HISTORY_APPEND, HISTORY_GET, HISTORY_PUT, HISTORY_GET, HISTORY_APPEND};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    struct client *client = argument;
    struct clients *clients = client->clients;

    for (unsigned i = 0; i < clients->plan.operations; i++) {
        struct call call = {.kind = kinds[(i + client->number) % KINDS]};

        snprintf(call.key, sizeof(call.key), "key-%u",
                 (i / 3 + client->number) % clients->plan.keys);
        snprintf(call.token, sizeof(call.token), "%u.%u;", client->number, i);
        note_invocation(client, &call);
        client_call_once(client, &call);
        note_return(client, &call);
        pbkv_free(&call.value);
    }
    pthread_mutex_lock(&clients->mutex);
    clients->running--;
    pthread_cond_broadcast(&clients->changed);
    pthread_mutex_unlock(&clients->mutex);
    return NULL;
}

struct clients *clients_start(const struct hosts *hosts,
                              const struct clients_plan *plan)
{
    struct clients *clients = memory_new(sizeof(*clients));

    clients->plan = *plan;
    clients->all = memory_new(plan->threads * sizeof(*clients->all));
    clients->handles = memory_new(plan->handles * sizeof(*clients->handles));
    clients->running = plan->threads;
    pthread_mutex_init(&clients->mutex, NULL);
    pthread_cond_init(&clients->changed, NULL);
    history_init(&clients->history);
    for (unsigned i = 0; i < plan->handles; i++)
        clients->handles[i] = hosts_open(hosts);
    for (unsigned i = 0; i < plan->threads; i++) {
        struct client *client = &clients->all[i];

        *client = (struct client){.clients = clients,
                                  .handle = clients->handles[i % plan->handles],
                                  .number = i,
                                  .process = i};
        if (pthread_create(&client->thread, NULL, client_run, client) != 0) {
            fputs("clients: there is no thread\n", stderr);
            abort();
        }
    }
    return clients;
}

bool clients_reach(struct clients *clients, unsigned count)
{
    bool reached;

    pthread_mutex_lock(&clients->mutex);
    while (clients->answered < count && clients->running > 0)
        pthread_cond_wait(&clients->changed, &clients->mutex);
    reached = clients->answered >= count;
    pthread_mutex_unlock(&clients->mutex);
    return reached;
}

unsigned clients_finish(struct clients *clients)
{
    for (unsigned i = 0; i < clients->plan.threads; i++)
        pthread_join(clients->all[i].thread, NULL);
    for (unsigned i = 0; i < clients->plan.handles; i++)
        pbkv_close(clients->handles[i]);
    return clients->answered;
}

const char *clients_judge(struct clients *clients)
{
    lincheck_release(&clients->report);
    clients->report = lincheck_check(&clients->history, NULL);
    if (clients->report.verdict == LINCHECK_LINEARIZABLE)
        return NULL;
    if (clients->report.verdict == LINCHECK_VIOLATION)
        lincheck_print(stderr, &clients->history, &clients->report);
    return clients->report.sentence ? clients->report.sentence
                                    : "the checker gave up";
}

void clients_free(struct clients *clients)
{
    lincheck_release(&clients->report);
    history_release(&clients->history);
    pthread_cond_destroy(&clients->changed);
    pthread_mutex_destroy(&clients->mutex);
    free(clients->handles);
    free(clients->all);
    free(clients);
}
