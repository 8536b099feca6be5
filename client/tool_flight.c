/* SPDX-License-Identifier: MIT */
/*
 * tool_flight: see tool_flight.h. A flight's phase is guarded by the lock,
 * because the library's thread lands it; everything else in it is the owner's
 * while it is not in the air, and the library's thread's while it is.
 */
#include "client/tool_flight.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/tool.h"
#include "node/memory.h"

enum {
    OCTETS_MAX = 16 * 1024 * 1024 /* in the air, but for a single flight */
};

struct flights {
    struct pbkv *store;
    enum flight_kind kind;
    uint32_t deadline_ms;
    uint32_t count;
    uint32_t busy;
    size_t octets; /* of the flights that are busy */

    /* Guarded by lock: the phase of every flight. */
    pthread_mutex_t lock;
    pthread_cond_t landed;
    struct flight all[];
};

struct flights *flights_new(struct pbkv *store, enum flight_kind kind,
                            uint32_t count, uint32_t deadline_ms)
{
    struct flights *flights =
        memory_new(sizeof(*flights) + count * sizeof(flights->all[0]));
    pthread_condattr_t attributes;

    assert(count > 0 && count <= FLIGHTS_MAX);
    flights->store = store;
    flights->kind = kind;
    flights->count = count;
    flights->deadline_ms = deadline_ms;
    for (uint32_t i = 0; i < count; i++)
        flights->all[i].flights = flights;
    pthread_mutex_init(&flights->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&flights->landed, &attributes);
    pthread_condattr_destroy(&attributes);
    return flights;
}

void flights_free(struct flights *flights)
{
    if (!flights)
        return;
    for (uint32_t i = 0; i < flights->count; i++) {
        assert(flights->all[i].phase != FLIGHT_FLYING);
        item_release(&flights->all[i].item);
    }
    pthread_cond_destroy(&flights->landed);
    pthread_mutex_destroy(&flights->lock);
    free(flights);
}

uint32_t flights_busy(const struct flights *flights)
{
    return flights->busy;
}

static size_t item_octets(const struct item *item)
{
    return item->key_length + item->value_length;
}

static bool same_octets(const void *a, size_t a_length, const void *b,
                        size_t b_length)
{
    return a_length == b_length &&
           (a_length == 0 || memcmp(a, b, a_length) == 0);
}

bool flights_can_start(const struct flights *flights, const struct item *item)
{
    if (flights->busy == flights->count)
        return false;
    if (flights->busy > 0 && flights->octets + item_octets(item) > OCTETS_MAX)
        return false;
    for (uint32_t i = 0; i < flights->count; i++) {
        const struct item *other = &flights->all[i].item;

        if (other->key && same_octets(other->key, other->key_length, item->key,
                                      item->key_length))
            return false;
    }
    return true;
}

/* ---- In the air --------------------------------------------------------- */

static void land(struct flight *flight, enum pbkv_status status)
{
    struct flights *flights = flight->flights;

    pthread_mutex_lock(&flights->lock);
    flight->status = status;
    flight->phase = FLIGHT_LANDED;
    pthread_cond_signal(&flights->landed);
    pthread_mutex_unlock(&flights->lock);
}

/* A pbkv_callback: the end of a call. */
static void on_end(void *context, const struct pbkv_result *result)
{
    struct flight *flight = context;

    flight->same = result->status == PBKV_OK &&
                   same_octets(result->data, result->length, flight->item.value,
                               flight->item.value_length);
    land(flight, result->status);
}

static void take_off(struct flight *flight, uint32_t deadline_ms)
{
    struct flights *flights = flight->flights;
    const struct item *item = &flight->item;
    enum pbkv_status status;

    pthread_mutex_lock(&flights->lock);
    flight->phase = FLIGHT_FLYING;
    pthread_mutex_unlock(&flights->lock);
    if (flights->kind == FLIGHT_PUT)
        status = pbkv_put_async(flights->store, item->key, item->key_length,
                                item->value, item->value_length, deadline_ms,
                                on_end, flight);
    else
        status = pbkv_get_async(flights->store, item->key, item->key_length,
                                deadline_ms, on_end, flight);
    if (status != PBKV_OK)
        land(flight, status);
}

void flights_start(struct flights *flights, struct item *item)
{
    struct flight *flight = flights->all;

    assert(flights_can_start(flights, item));
    while (flight->item.key)
        flight++;
    flight->item = *item;
    *item = (struct item){0};
    flights->busy++;
    flights->octets += item_octets(&flight->item);
    flight->deadline_ns =
        tool_now_ns() + (uint64_t)flights->deadline_ms * 1000000;
    take_off(flight, flights->deadline_ms);
}

bool flight_again(struct flight *flight)
{
    uint64_t now = tool_now_ns();

    assert(flight->phase == FLIGHT_LANDED);
    if (now + 1000000 > flight->deadline_ns)
        return false;
    take_off(flight, (uint32_t)((flight->deadline_ns - now) / 1000000));
    return true;
}

/* ---- Landed ------------------------------------------------------------- */

static struct flight *find_landed(struct flights *flights)
{
    for (uint32_t i = 0; i < flights->count; i++)
        if (flights->all[i].phase == FLIGHT_LANDED)
            return &flights->all[i];
    return NULL;
}

static struct timespec after_ms(uint32_t ms)
{
    uint64_t then = tool_now_ns() + (uint64_t)ms * 1000000;

    return (struct timespec){(time_t)(then / 1000000000),
                             (long)(then % 1000000000)};
}

struct flight *flights_land(struct flights *flights, uint32_t wait_ms)
{
    struct timespec until = after_ms(wait_ms);
    struct flight *flight;
    int error = 0;

    pthread_mutex_lock(&flights->lock);
    while (!(flight = find_landed(flights)) && wait_ms > 0 && error == 0)
        error =
            pthread_cond_timedwait(&flights->landed, &flights->lock, &until);
    pthread_mutex_unlock(&flights->lock);
    return flight;
}

void flight_end(struct flight *flight)
{
    assert(flight->phase == FLIGHT_LANDED);
    flight->flights->busy--;
    flight->flights->octets -= item_octets(&flight->item);
    item_release(&flight->item);
    pthread_mutex_lock(&flight->flights->lock);
    flight->phase = FLIGHT_FREE;
    pthread_mutex_unlock(&flight->flights->lock);
}
