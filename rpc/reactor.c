/* SPDX-License-Identifier: MIT */
/*
 * reactor: see reactor.h. A stop before the loop runs is a wish like any other
 * and waits for it there, which event_base_loopbreak would not do.
 */
#include "rpc/reactor.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

#include "node/memory.h"
#include "rpc/loop.h"

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (config == NULL)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* Schedules the turns of all that want attention. Returns whether to stop. */
static bool take_summoned(struct reactor *reactor)
{
    bool stop;

    pthread_mutex_lock(&reactor->mutex);
    while (reactor->summoned != NULL) {
        struct rpc *rpc = reactor->summoned;

        DL_DELETE2(reactor->summoned, rpc, prev_summoned, next_summoned);
        rpc->summoned = false;
        rpc->posted = true;
        rpc_schedule_turn(rpc);
    }
    reactor->woken = false;
    stop = reactor->stop_wanted;
    pthread_mutex_unlock(&reactor->mutex);
    return stop;
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
    struct reactor *reactor = argument;
    uint64_t count;
    ssize_t got = read((int)fd, &count, sizeof(count));

    (void)what;
    (void)got;
    if (take_summoned(reactor))
        event_base_loopbreak(reactor->base);
}

static int make(struct reactor *reactor)
{
    reactor->base = new_base();
    if (reactor->base == NULL)
        return -ENOMEM;
    reactor->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (reactor->wake_fd < 0)
        return -errno;
    reactor->wake = event_new(reactor->base, reactor->wake_fd,
                              EV_READ | EV_PERSIST, on_wake, reactor);
    if (reactor->wake == NULL || event_add(reactor->wake, NULL) < 0)
        return -ENOMEM;
    return 0;
}

int reactor_new(struct reactor **result)
{
    struct reactor *reactor = memory_new(sizeof(*reactor));
    int error;

    reactor->wake_fd = -1;
    reactor->input = memory_resize(NULL, INPUT_SIZE);
    arena_init(&reactor->incoming);
    pthread_mutex_init(&reactor->mutex, NULL);
    error = make(reactor);
    if (error < 0) {
        reactor_free(reactor);
        return error;
    }
    *result = reactor;
    return 0;
}

/* Wakes the loop. The caller holds the mutex. */
static void wake(struct reactor *reactor)
{
    const uint64_t one = 1;
    ssize_t written;

    if (reactor->woken)
        return;
    reactor->woken = true;
    written = write(reactor->wake_fd, &one, sizeof(one));
    assert(written == (ssize_t)sizeof(one));
    (void)written;
}

void reactor_summon(struct reactor *reactor, struct rpc *rpc)
{
    if (reactor->running && pthread_equal(reactor->thread, pthread_self())) {
        rpc->posted = true;
        rpc_schedule_turn(rpc);
        return;
    }
    if (rpc->summoned)
        return;
    rpc->summoned = true;
    DL_APPEND2(reactor->summoned, rpc, prev_summoned, next_summoned);
    wake(reactor);
}

void reactor_stop(struct reactor *reactor)
{
    pthread_mutex_lock(&reactor->mutex);
    reactor->stop_wanted = true;
    wake(reactor);
    pthread_mutex_unlock(&reactor->mutex);
}

static void set_running(struct reactor *reactor, bool running)
{
    pthread_mutex_lock(&reactor->mutex);
    reactor->thread = pthread_self();
    reactor->running = running;
    pthread_mutex_unlock(&reactor->mutex);
}

/* The base cannot wait: whatever was started here ends. */
static void fail(struct reactor *reactor)
{
    struct rpc *rpc;

    pthread_mutex_lock(&reactor->mutex);
    reactor->failed = true;
    rpc = reactor->rpcs;
    pthread_mutex_unlock(&reactor->mutex);
    while (rpc != NULL) {
        rpc_halt(rpc, -EIO);
        rpc_end(rpc);
        pthread_mutex_lock(&reactor->mutex);
        rpc = reactor->rpcs;
        pthread_mutex_unlock(&reactor->mutex);
    }
}

int reactor_run(struct reactor *reactor)
{
    int error;

    set_running(reactor, true);
    error = event_base_dispatch(reactor->base) < 0 ? -EIO : 0;
    if (error < 0)
        fail(reactor);
    set_running(reactor, false);
    return error;
}

void reactor_free(struct reactor *reactor)
{
    if (reactor == NULL)
        return;
    assert(!reactor->running && reactor->rpcs == NULL);
    if (reactor->wake != NULL)
        event_free(reactor->wake);
    if (reactor->base != NULL)
        event_base_free(reactor->base);
    if (reactor->wake_fd >= 0)
        close(reactor->wake_fd);
    pthread_mutex_destroy(&reactor->mutex);
    segment_pool_release(&reactor->segments);
    arena_release(&reactor->incoming);
    free(reactor->input);
    free(reactor->spare);
    free(reactor);
}
