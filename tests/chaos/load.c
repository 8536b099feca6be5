/* SPDX-License-Identifier: MIT */
/*
 * load: see load.h.
 */
#include "tests/chaos/load.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/pbkv.h"
#include "node/memory.h"
#include "node/random.h"

enum {
    KEYS = 500,
    VALUE_SIZE = 200,
    PACE_US = 8000,      /* between two operations of a client */
    NEWCOMER_US = 20000, /* between two newcomers */
    DEADLINE_MS = 10000,
    DURATIONS_MAX = 100000, /* of an interval */
};

struct client {
    struct load *load;
    struct pbkv *store;
    pthread_t thread;
    uint64_t random;
};

struct load {
    const char *view_address;
    struct client *clients;
    unsigned client_count;
    pthread_t newcomers;

    pthread_mutex_t lock; /* guards everything below */
    bool stopping;
    struct load_interval now;
    size_t duration_count;
    double durations_ms[DURATIONS_MAX];
};

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void rest(long us)
{
    struct timespec pause = {0, us * 1000};

    nanosleep(&pause, NULL);
}

/* Returns false when the load is to stop. */
static bool goes_on(struct load *load)
{
    bool going;

    pthread_mutex_lock(&load->lock);
    going = !load->stopping;
    pthread_mutex_unlock(&load->lock);
    return going;
}

static void note(struct load *load, bool answered, double took_ms)
{
    pthread_mutex_lock(&load->lock);
    load->now.operations++;
    if (!answered)
        load->now.failed++;
    if (load->duration_count < DURATIONS_MAX)
        load->durations_ms[load->duration_count++] = took_ms;
    pthread_mutex_unlock(&load->lock);
}

static void *work(void *argument)
{
    static const char value[VALUE_SIZE];
    struct client *client = argument;

    while (goes_on(client->load)) {
        struct pbkv_value read = {0};
        double began_ms = now_ms();
        enum pbkv_status status;
        char key[16];

        snprintf(key, sizeof(key), "key%u",
                 random_between(&client->random, 0, KEYS - 1));
        if (random_between(&client->random, 0, 1) == 0)
            status =
                pbkv_get(client->store, key, strlen(key), DEADLINE_MS, &read);
        else
            status = pbkv_put(client->store, key, strlen(key), value,
                              sizeof(value), DEADLINE_MS);
        note(client->load, status == PBKV_OK || status == PBKV_NO_KEY,
             now_ms() - began_ms);
        pbkv_free(&read);
        rest(PACE_US);
    }
    return NULL;
}

static void *come_and_go(void *argument)
{
    struct load *load = argument;
    struct pbkv_options options = {.view_service = load->view_address,
                                   .name = "newcomer"};

    while (goes_on(load)) {
        struct pbkv *store;

        if (pbkv_open(&options, &store) == PBKV_OK) {
            pbkv_put(store, "newcomer", 8, "", 0, DEADLINE_MS);
            pbkv_close(store);
        }
        pthread_mutex_lock(&load->lock);
        load->now.newcomers++;
        pthread_mutex_unlock(&load->lock);
        rest(NEWCOMER_US);
    }
    return NULL;
}

struct load *load_start(const char *view_address, unsigned clients)
{
    struct load *load = memory_new(sizeof(*load));
    struct pbkv_options options = {.view_service = view_address};

    load->view_address = view_address;
    load->client_count = clients;
    load->clients = memory_new(clients * sizeof(*load->clients));
    pthread_mutex_init(&load->lock, NULL);
    for (unsigned i = 0; i < clients; i++) {
        struct client *client = &load->clients[i];

        *client = (struct client){.load = load, .random = i};
        if (pbkv_open(&options, &client->store) != PBKV_OK ||
            pthread_create(&client->thread, NULL, work, client) != 0)
            return NULL;
    }
    if (pthread_create(&load->newcomers, NULL, come_and_go, load) != 0)
        return NULL;
    return load;
}

void load_stop(struct load *load)
{
    pthread_mutex_lock(&load->lock);
    load->stopping = true;
    pthread_mutex_unlock(&load->lock);
    pthread_join(load->newcomers, NULL);
    for (unsigned i = 0; i < load->client_count; i++) {
        pthread_join(load->clients[i].thread, NULL);
        pbkv_close(load->clients[i].store);
    }
    pthread_mutex_destroy(&load->lock);
    free(load->clients);
    free(load);
}

static int compare(const void *one, const void *other)
{
    const double *a = one, *b = other;

    return (*a > *b) - (*a < *b);
}

struct load_interval load_take(struct load *load)
{
    struct load_interval taken;
    size_t count;

    pthread_mutex_lock(&load->lock);
    count = load->duration_count;
    taken = load->now;
    qsort(load->durations_ms, count, sizeof(double), compare);
    if (count > 0) {
        taken.p50_ms = load->durations_ms[count / 2];
        taken.p99_ms = load->durations_ms[count * 99 / 100];
    }
    load->now = (struct load_interval){0};
    load->duration_count = 0;
    pthread_mutex_unlock(&load->lock);
    return taken;
}
