/* SPDX-License-Identifier: MIT */
/*
 * clients: see clients.h. The times in the record are taken under the lock that
 * orders its lines, so a call's true interval lies within the recorded one.
 *
 * After an operation whose outcome is unknown a client goes on as another
 * process, its number plus the number of clients: a process does one thing at a
 * time, and that one may not have ended.
 */
#include "tests/chaos/clients.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/pbkv.h"
#include "client/tool_json.h"
#include "node/memory.h"
#include "node/random.h"
#include "tests/cluster.h"

enum {
    EPOCH_MS = 1500,
    MIXED_KEYS = 4,  /* of an epoch: written and read in every way */
    APPEND_KEYS = 3, /* of an epoch: only appended to and read */
    KEYS = MIXED_KEYS + APPEND_KEYS,
    PAUSE_MAX_US = 12000, /* between two operations of a client */
    TEXT_SIZE = 32,       /* of a key or a value of ours */
    AUDIT_MS = 10000,     /* deadline of one reading */
    SENTENCE = 160,
};

enum kind { KIND_GET, KIND_PUT, KIND_APPEND };

static const char *const kind_names[] = {"get", "put", "append"};

/* What became of one append to a key that is only appended to. */
struct token {
    bool is_append;
    bool acknowledged;
    unsigned found; /* by the audit */
};

struct worker {
    struct clients *clients;
    struct pbkv *store;
    pthread_t thread;
    unsigned number;
    unsigned process;
    uint64_t random;
    struct token *tokens; /* one for each operation that it made */
    uint32_t made;
    uint32_t room;
    uint64_t gone_on_ms; /* beginning of the newest call with an answer; guarded
                            by lock */
};

struct clients {
    struct clients_plan plan;
    struct worker *workers;
    uint64_t began_ms;
    char sentence[SENTENCE];

    pthread_mutex_t lock; /* guards everything below */
    FILE *record;
    bool stopping;
    uint64_t answered_ms; /* the newest answer of all */
    struct clients_figures figures;
};

/* One call of a client. */
struct call {
    enum kind kind;
    bool only_appends; /* its key */
    uint32_t number;   /* of the client's calls */
    uint64_t began_ms;
    char key[TEXT_SIZE];
    char value[TEXT_SIZE]; /* of a put or append */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- What to do --------------------------------------------------------- */

static void write_key(char key[TEXT_SIZE], uint64_t epoch, unsigned number)
{
    snprintf(key, TEXT_SIZE, "%s%" PRIu64 ".%u",
             number < MIXED_KEYS ? "k" : "a", epoch, number);
}

static struct token *new_token(struct worker *worker)
{
    if (worker->made == worker->room) {
        worker->room = worker->room * 2 + 64;
        worker->tokens = memory_resize(worker->tokens,
                                       worker->room * sizeof(*worker->tokens));
    }
    worker->tokens[worker->made] = (struct token){0};
    return &worker->tokens[worker->made++];
}

static struct call choose_call(struct worker *worker)
{
    unsigned key = random_between(&worker->random, 0, KEYS - 1);
    unsigned dice = random_between(&worker->random, 1, 10);
    struct call call = {.kind = KIND_GET, .began_ms = cluster_now_ms()};

    call.only_appends = key >= MIXED_KEYS;
    if (dice > 5)
        call.kind = dice > 8 || call.only_appends ? KIND_APPEND : KIND_PUT;
    call.number = worker->made;
    new_token(worker)->is_append =
        call.only_appends && call.kind == KIND_APPEND;
    write_key(call.key, (call.began_ms - worker->clients->began_ms) / EPOCH_MS,
              key);
    snprintf(call.value, sizeof(call.value), "%u.%" PRIu32 ";", worker->number,
             call.number);
    return call;
}

static enum pbkv_status make_call(struct worker *worker,
                                  const struct call *call, uint32_t deadline_ms,
                                  struct pbkv_value *read)
{
    size_t key = strlen(call->key), value = strlen(call->value);

    switch (call->kind) {
    case KIND_GET:
        return pbkv_get(worker->store, call->key, key, deadline_ms, read);
    case KIND_PUT:
        return pbkv_put(worker->store, call->key, key, call->value, value,
                        deadline_ms);
    case KIND_APPEND: break;
    }
    return pbkv_append(worker->store, call->key, key, call->value, value,
                       deadline_ms);
}

/* ---- The record --------------------------------------------------------- */

/* Writes a line. value NULL: null. The lock is held. */
static void write_line(const struct worker *worker, const char *type,
                       const struct call *call, const void *value,
                       size_t length)
{
    FILE *record = worker->clients->record;

    fprintf(record,
            "{\"process\":%u,\"type\":\"%s\",\"f\":\"%s\",\"key\":\"%s\","
            "\"value\":",
            worker->process, type, kind_names[call->kind], call->key);
    if (value)
        json_write_octets(record, value, length);
    else
        fputs("null", record);
    fprintf(record, ",\"time\":%" PRIu64 "}\n", now_ns());
}

/* Records that a call begins. Returns false when the work is over. */
static bool record_invocation(struct worker *worker, const struct call *call)
{
    struct clients *clients = worker->clients;
    bool going;

    pthread_mutex_lock(&clients->lock);
    going = !clients->stopping;
    if (going)
        write_line(worker, "invoke", call,
                   call->kind == KIND_GET ? NULL : call->value,
                   strlen(call->value));
    pthread_mutex_unlock(&clients->lock);
    return going;
}

/* Counts an answer. The lock is held. */
static void note_answer(struct worker *worker, const struct call *call)
{
    struct clients_figures *figures = &worker->clients->figures;
    uint64_t now_ms = cluster_now_ms();
    uint64_t gap_ms = now_ms - worker->clients->answered_ms;
    struct token *token = &worker->tokens[call->number];

    worker->gone_on_ms = call->began_ms;
    worker->clients->answered_ms = now_ms;
    if (gap_ms > figures->longest_gap_ms) {
        figures->longest_gap_ms = gap_ms;
        figures->longest_gap_at_ms = now_ms - worker->clients->began_ms;
    }
    figures->done++;
    if (call->kind == KIND_APPEND)
        figures->appends++;
    token->acknowledged = token->is_append;
}

static void record_completion(struct worker *worker, const struct call *call,
                              enum pbkv_status status,
                              const struct pbkv_value *read)
{
    struct clients *clients = worker->clients;
    bool update = call->kind != KIND_GET;
    bool ok = status == PBKV_OK || (status == PBKV_NO_KEY && !update);
    bool unknown = update && (status == PBKV_TIMEOUT || status == PBKV_CLOSED ||
                              status == PBKV_SESSION_EXPIRED);

    pthread_mutex_lock(&clients->lock);
    write_line(worker,
               ok        ? "ok"
               : unknown ? "info"
                         : "fail",
               call,
               update              ? call->value
               : status == PBKV_OK ? read->data
                                   : NULL,
               update ? strlen(call->value) : read->length);
    if (ok)
        note_answer(worker, call);
    else if (unknown)
        clients->figures.unknown++;
    else
        clients->figures.failed++;
    if (unknown)
        worker->process += clients->plan.clients;
    if (!ok && !unknown)
        worker->tokens[call->number].is_append = false;
    pthread_mutex_unlock(&clients->lock);
}

/* ---- Working ------------------------------------------------------------ */

static void rest(struct worker *worker)
{
    uint32_t us = random_between(&worker->random, 0, PAUSE_MAX_US);
    struct timespec pause = {0, (long)us * 1000};

    nanosleep(&pause, NULL);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct call call = choose_call(worker);

    while (record_invocation(worker, &call)) {
        struct pbkv_value read = {0};
        enum pbkv_status status =
            make_call(worker, &call, worker->clients->plan.deadline_ms, &read);

        record_completion(worker, &call, status, &read);
        pbkv_free(&read);
        rest(worker);
        call = choose_call(worker);
    }
    worker->tokens[call.number].is_append = false; /* never made */
    return NULL;
}

static bool start_worker(struct clients *clients, unsigned number)
{
    struct worker *worker = &clients->workers[number];
    struct pbkv_options options = {.view_service = clients->plan.view_address};
    char name[TEXT_SIZE];

    snprintf(name, sizeof(name), "client%u", number);
    options.name = name;
    worker->clients = clients;
    worker->number = worker->process = number;
    worker->random = clients->plan.seed * 1000 + number;
    return pbkv_open(&options, &worker->store) == PBKV_OK &&
           pthread_create(&worker->thread, NULL, work, worker) == 0;
}

struct clients *clients_start(const struct clients_plan *plan)
{
    struct clients *clients = memory_new(sizeof(*clients));

    clients->plan = *plan;
    clients->began_ms = clients->answered_ms = cluster_now_ms();
    pthread_mutex_init(&clients->lock, NULL);
    clients->workers = memory_new(plan->clients * sizeof(struct worker));
    clients->record = fopen(plan->record, "we");
    if (!clients->record)
        return NULL;
    for (unsigned i = 0; i < plan->clients; i++)
        if (!start_worker(clients, i))
            return NULL;
    return clients;
}

void clients_stop(struct clients *clients)
{
    pthread_mutex_lock(&clients->lock);
    clients->stopping = true;
    pthread_mutex_unlock(&clients->lock);
    for (unsigned i = 0; i < clients->plan.clients; i++)
        pthread_join(clients->workers[i].thread, NULL);
}

void clients_free(struct clients *clients)
{
    for (unsigned i = 0; i < clients->plan.clients; i++) {
        pbkv_close(clients->workers[i].store);
        free(clients->workers[i].tokens);
    }
    if (clients->record)
        fclose(clients->record);
    pthread_mutex_destroy(&clients->lock);
    free(clients->workers);
    free(clients);
}

bool clients_all_go_on(struct clients *clients, uint64_t since_ms)
{
    bool all = true;

    pthread_mutex_lock(&clients->lock);
    for (unsigned i = 0; i < clients->plan.clients; i++)
        all = all && clients->workers[i].gone_on_ms >= since_ms;
    pthread_mutex_unlock(&clients->lock);
    return all;
}

struct clients_figures clients_figures(struct clients *clients)
{
    struct clients_figures figures;

    pthread_mutex_lock(&clients->lock);
    figures = clients->figures;
    pthread_mutex_unlock(&clients->lock);
    return figures;
}

/* ---- The audit ---------------------------------------------------------- */

/* Counts the tokens of a value. Returns false when one is none of ours. */
static bool count_tokens(struct clients *clients, const char *at)
{
    while (*at != '\0') {
        char *rest;
        unsigned long client = strtoul(at, &rest, 10);
        unsigned long number = *rest == '.' ? strtoul(rest + 1, &rest, 10) : 0;

        if (*rest != ';' || client >= clients->plan.clients ||
            number >= clients->workers[client].made ||
            !clients->workers[client].tokens[number].is_append)
            return false;
        clients->workers[client].tokens[number].found++;
        at = rest + 1;
    }
    return true;
}

/* Reads a key with the first client, and counts what is there. */
static bool audit_key(struct clients *clients, uint64_t epoch, unsigned key)
{
    struct worker *reader = &clients->workers[0];
    struct call call = {.kind = KIND_GET, .began_ms = cluster_now_ms()};
    struct pbkv_value read = {0};
    enum pbkv_status status;
    bool good;

    call.number = reader->made;
    new_token(reader);
    write_key(call.key, epoch, key);
    record_invocation(reader, &call);
    status = make_call(reader, &call, AUDIT_MS, &read);
    record_completion(reader, &call, status, &read);
    good = status == PBKV_NO_KEY ||
           (status == PBKV_OK && count_tokens(clients, read.data));
    if (!good)
        snprintf(clients->sentence, SENTENCE, "%s: %s", call.key,
                 status == PBKV_OK ? "there is something nobody appended"
                                   : pbkv_status_text(status));
    pbkv_free(&read);
    return good;
}

/* Returns whether the tokens of a client are there as often as they must. */
static bool audit_tokens(struct clients *clients, const struct worker *worker)
{
    for (uint32_t i = 0; i < worker->made; i++) {
        const struct token *token = &worker->tokens[i];

        if (token->found > 1 || (token->acknowledged && token->found != 1)) {
            snprintf(clients->sentence, SENTENCE,
                     "append %u.%" PRIu32 ";, %s, is there %u times",
                     worker->number, i,
                     token->acknowledged ? "acknowledged" : "outcome unknown",
                     token->found);
            return false;
        }
    }
    return true;
}

const char *clients_audit(struct clients *clients)
{
    uint64_t epochs = (cluster_now_ms() - clients->began_ms) / EPOCH_MS + 1;
    bool good = true;

    clients->stopping = false; /* nobody else is there any more */
    for (uint64_t epoch = 0; good && epoch < epochs; epoch++)
        for (unsigned key = MIXED_KEYS; good && key < KEYS; key++)
            good = audit_key(clients, epoch, key);
    for (unsigned i = 0; good && i < clients->plan.clients; i++)
        good = audit_tokens(clients, &clients->workers[i]);
    if (fclose(clients->record) != 0 && good) {
        snprintf(clients->sentence, SENTENCE, "the record cannot be written");
        good = false;
    }
    clients->record = NULL;
    return good ? NULL : clients->sentence;
}
