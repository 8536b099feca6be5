/* SPDX-License-Identifier: MIT */
/*
 * ledger: see ledger.h. Client c makes its append number n to the key number
 * (c + n) modulo keys. `outcomes` has an octet for every append; each is
 * written by its client's thread only, and read after the threads have ended.
 * The audit counts tokens in `seen`, laid out in the same way.
 */
#include "tests/ledger.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBLEM_SIZE = 256,
    TOKEN_SIZE = 32,
    DEADLINE_MS = 5000,
};

struct client {
    struct ledger *ledger;
    unsigned number;
    struct pbkv *handle;
    pthread_t thread;
};

struct ledger {
    struct ledger_plan plan;
    struct client *clients;
    uint8_t *outcomes; /* 1: acknowledged */
    uint8_t *seen;
    char problem[PROBLEM_SIZE];
    pthread_mutex_t mutex;
    uint64_t acknowledged; /* guarded by the mutex */
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (!memory) {
        fputs("ledger: no memory\n", stderr);
        abort();
    }
    return memory;
}

static size_t place_of(const struct ledger *ledger, unsigned client,
                       unsigned number)
{
    return (size_t)client * ledger->plan.appends + number;
}

static unsigned key_of(const struct ledger *ledger, unsigned client,
                       unsigned number)
{
    return (client + number) % ledger->plan.keys;
}

static size_t write_key(char room[TOKEN_SIZE], unsigned key)
{
    return (size_t)snprintf(room, TOKEN_SIZE, "ledger-%u", key);
}

/* ---- The clients -------------------------------------------------------- */

static void note_acknowledged(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->acknowledged++;
    pthread_mutex_unlock(&ledger->mutex);
}

static void *client_run(void *argument)
{
    struct client *client = argument;
    struct ledger *ledger = client->ledger;
    char key[TOKEN_SIZE], token[TOKEN_SIZE];

    for (unsigned i = 0; i < ledger->plan.appends; i++) {
        size_t key_length = write_key(key, key_of(ledger, client->number, i));
        size_t length =
            (size_t)snprintf(token, sizeof(token), "%u.%u;", client->number, i);

        if (pbkv_append(client->handle, key, key_length, token, length,
                        ledger->plan.deadline_ms) == PBKV_OK) {
            ledger->outcomes[place_of(ledger, client->number, i)] = 1;
            note_acknowledged(ledger);
        }
    }
    return NULL;
}

struct ledger *ledger_start(struct cluster *cluster,
                            const struct ledger_plan *plan)
{
    struct ledger *ledger = allocate(1, sizeof(*ledger));
    size_t appends = (size_t)plan->clients * plan->appends;

    ledger->plan = *plan;
    if (ledger->plan.deadline_ms == 0)
        ledger->plan.deadline_ms = cluster_stretch(DEADLINE_MS);
    ledger->clients = allocate(plan->clients, sizeof(*ledger->clients));
    ledger->outcomes = allocate(appends, 1);
    ledger->seen = allocate(appends, 1);
    pthread_mutex_init(&ledger->mutex, NULL);
    for (unsigned i = 0; i < plan->clients; i++) {
        struct client *client = &ledger->clients[i];

        *client = (struct client){.ledger = ledger, .number = i};
        client->handle = i == 0 || plan->own_handles
                             ? cluster_open(cluster, NULL)
                             : ledger->clients[0].handle;
        if (pthread_create(&client->thread, NULL, client_run, client) != 0)
            abort();
    }
    return ledger;
}

struct reaching {
    struct ledger *ledger;
    uint64_t count;
};

static bool condition_reached(void *context)
{
    struct reaching *reaching = context;
    struct ledger *ledger = reaching->ledger;
    bool reached;

    pthread_mutex_lock(&ledger->mutex);
    reached = ledger->acknowledged >= reaching->count;
    pthread_mutex_unlock(&ledger->mutex);
    return reached;
}

bool ledger_reaches(struct ledger *ledger, uint64_t count)
{
    struct reaching reaching = {ledger, count};

    return cluster_wait(CLUSTER_WAIT_MS, condition_reached, &reaching);
}

uint64_t ledger_finish(struct ledger *ledger)
{
    for (unsigned i = 0; i < ledger->plan.clients; i++)
        pthread_join(ledger->clients[i].thread, NULL);
    for (unsigned i = 0; i < ledger->plan.clients; i++)
        if (i == 0 || ledger->plan.own_handles)
            pbkv_close(ledger->clients[i].handle);
    return ledger->acknowledged;
}

/* ---- The audit ---------------------------------------------------------- */

static bool __attribute__((format(printf, 2, 3)))
complain(struct ledger *ledger, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(ledger->problem, sizeof(ledger->problem), format, arguments);
    va_end(arguments);
    return false;
}

/* Notes one token. newest has, for each client, 1 plus the number of its newest
 * acknowledged append that was found before in this key. */
static bool audit_token(struct ledger *ledger, unsigned key, unsigned client,
                        unsigned number, unsigned *newest)
{
    size_t place;

    if (client >= ledger->plan.clients || number >= ledger->plan.appends ||
        key_of(ledger, client, number) != key)
        return complain(ledger, "ledger-%u has %u.%u, which was never sent",
                        key, client, number);
    place = place_of(ledger, client, number);
    if (ledger->seen[place]++ != 0)
        return complain(ledger, "ledger-%u has %u.%u twice", key, client,
                        number);
    if (!ledger->outcomes[place])
        return true;
    if (number < newest[client])
        return complain(ledger, "ledger-%u has %u.%u after %u.%u", key, client,
                        number, client, newest[client] - 1);
    newest[client] = number + 1;
    return true;
}

/* Reads a number and the octet that has to follow it, and moves *text on. */
static bool read_number(const char **text, char follows, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(*text, &end, 10);

    if (end == *text || *end != follows || value > UINT32_MAX)
        return false;
    *text = end + 1;
    *number = (unsigned)value;
    return true;
}

/* Reads the tokens of a value, which ends in a zero. */
static bool audit_value(struct ledger *ledger, unsigned key, const char *text,
                        unsigned *newest)
{
    unsigned client, number;

    while (*text != '\0') {
        const char *token = text;

        if (!read_number(&text, '.', &client) ||
            !read_number(&text, ';', &number))
            return complain(ledger, "ledger-%u has '%.20s'", key, token);
        if (!audit_token(ledger, key, client, number, newest))
            return false;
    }
    return true;
}

static bool audit_key(struct ledger *ledger, struct pbkv *store, unsigned key)
{
    unsigned *newest = allocate(ledger->plan.clients, sizeof(*newest));
    char name[TOKEN_SIZE];
    size_t length = write_key(name, key);
    struct pbkv_value value;
    enum pbkv_status status = pbkv_get(store, name, length, 0, &value);
    bool good = status == PBKV_NO_KEY;

    if (status == PBKV_OK)
        good = audit_value(ledger, key, value.data, newest);
    else if (!good)
        complain(ledger, "%s: %s", name, pbkv_status_text(status));
    pbkv_free(&value);
    free(newest);
    return good;
}

const char *ledger_audit(struct ledger *ledger, struct pbkv *store)
{
    memset(ledger->seen, 0,
           (size_t)ledger->plan.clients * ledger->plan.appends);
    for (unsigned key = 0; key < ledger->plan.keys; key++)
        if (!audit_key(ledger, store, key))
            return ledger->problem;
    for (unsigned client = 0; client < ledger->plan.clients; client++)
        for (unsigned i = 0; i < ledger->plan.appends; i++) {
            size_t place = place_of(ledger, client, i);

            if (ledger->outcomes[place] && !ledger->seen[place]) {
                complain(ledger, "%u.%u was acknowledged and is lost", client,
                         i);
                return ledger->problem;
            }
        }
    return NULL;
}

void ledger_free(struct ledger *ledger)
{
    pthread_mutex_destroy(&ledger->mutex);
    free(ledger->clients);
    free(ledger->outcomes);
    free(ledger->seen);
    free(ledger);
}
