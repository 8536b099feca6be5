/* SPDX-License-Identifier: MIT */
/*
 * rpc: see rpc.h and loop.h. This file makes, starts and frees what runs a
 * node, ends its turns, and holds what other threads want of it: a queue of
 * posted functions and a wish to stop, under the reactor's mutex. Posts are run
 * at the end of a turn, so what a callback of this very turn posts goes out in
 * the same write as everything else, and costs no system call.
 */
#include "rpc/rpc.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utlist.h>

#include "node/memory.h"
#include "rpc/address.h"
#include "rpc/connection.h"
#include "rpc/effects.h"
#include "rpc/inspect.h"
#include "rpc/listener.h"
#include "rpc/loop.h"
#include "rpc/route.h"

enum {
    MEBIBYTE = 1024 * 1024,
    HOST_TEXT_MAX = 256,
    CONNECTIONS_DEFAULT = 10000,
    INPUT_PAUSE_MS = 5000,
    INPUT_AGE_MS = 60000,
};

struct post {
    rpc_posted_function function;
    void *argument;
};

struct rpc_config rpc_config_default(void)
{
    return (struct rpc_config){
        .name = "host",
        .limits = {.connections = CONNECTIONS_DEFAULT,
                   .connection_output = (size_t)32 * MEBIBYTE,
                   .total_output = (size_t)256 * MEBIBYTE,
                   .total_input = (size_t)256 * MEBIBYTE,
                   .input_pause_ms = INPUT_PAUSE_MS,
                   .input_age_ms = INPUT_AGE_MS},
        .faults = faults_none(),
        .timer_scale_percent = 100,
        .log_level = LOG_LEVEL_INFO};
}

/* ---- Time ------------------------------------------------------------- */

uint64_t rpc_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t rpc_new_incarnation(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t newest;
    struct timespec now;
    uint64_t incarnation;

    clock_gettime(CLOCK_REALTIME, &now);
    incarnation = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    pthread_mutex_lock(&mutex);
    if (incarnation <= newest)
        incarnation = newest + 1;
    newest = incarnation;
    pthread_mutex_unlock(&mutex);
    return incarnation;
}

/* ---- Named events and the trace ---------------------------------------- */

/* Ends a trace that cannot be written: the node goes on without. */
static void give_up_trace(struct rpc *rpc, int error)
{
    struct trace *trace = rpc->trace;

    rpc->trace = NULL;
    trace_close(trace);
    rpc_event(rpc, LOG_LEVEL_WARN, "trace.failed", strerror(-error));
}

void rpc_trace(struct rpc *rpc, enum trace_kind kind, const char *sender,
               uint64_t sent, const char *text)
{
    int error;

    if (rpc->trace == NULL)
        return;
    error = trace_write(rpc->trace, &rpc->clock, kind, sender, sent, text);
    if (error < 0)
        give_up_trace(rpc, error);
    rpc_schedule_turn(rpc);
}

static void trace_event(struct rpc *rpc, const char *name, const char *detail)
{
    char text[EVENT_NAME_MAX + EVENT_DETAIL_MAX];

    if (rpc->trace == NULL)
        return;
    snprintf(text, sizeof(text), detail[0] != '\0' ? "%s %s" : "%s%s", name,
             detail);
    rpc_trace(rpc, TRACE_EVENT, NULL, 0, text);
}

static void log_line(struct rpc *rpc, enum log_level level, const char *name,
                     const char *detail)
{
    struct inspection inspection = {0};
    struct rpc_log_line line = {.level = level,
                                .host = host_clock_name(&rpc->clock),
                                .lamport = rpc->clock.lamport.time,
                                .event = name,
                                .detail = detail};

    rpc->node->type->inspect(rpc->node, &inspection);
    line.view = inspection.view.number;
    rpc->config.on_log(rpc->config.context, &line);
}

void rpc_event(struct rpc *rpc, enum log_level level, const char *name,
               const char *detail)
{
    counters_add(&rpc->counters, name, 1);
    host_clock_tick(&rpc->clock);
    rpc->knowledge++;
    trace_event(rpc, name, detail);
    if (level >= rpc->config.log_level && rpc->config.on_log != NULL)
        log_line(rpc, level, name, detail);
}

void rpc_event_format(struct rpc *rpc, enum log_level level, const char *name,
                      const char *format, ...)
{
    char detail[EVENT_DETAIL_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    rpc_event(rpc, level, name, detail);
}

uint64_t rpc_count(const struct rpc *rpc, const char *name)
{
    return inspect_count(rpc, name);
}

/* ---- The loop's events -------------------------------------------------- */

struct event *rpc_event_new(struct rpc *rpc, int fd, short what,
                            event_callback_fn function, void *argument)
{
    struct event *event =
        event_new(rpc->reactor->base, fd, what, function, argument);

    if (event == NULL) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return event;
}

void rpc_event_after(struct event *event, uint32_t delay_ms)
{
    struct timeval delay = {.tv_sec = (time_t)(delay_ms / 1000),
                            .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};

    event_add(event, &delay);
}

void rpc_schedule_turn(struct rpc *rpc)
{
    if (rpc->turn_scheduled)
        return;
    rpc->turn_scheduled = true;
    if (!rpc->turn_held)
        event_active(rpc->turn, EV_TIMEOUT, 0);
}

static void on_turn(evutil_socket_t fd, short what, void *argument);

/* Whether more is to be done in this turn of the loop that belongs to the turn
 * of this rpc. One that does not listen has few peers, and does not wait for
 * them. */
static bool gathers_more(const struct rpc *rpc)
{
    return rpc->listener != NULL &&
           event_base_get_num_events(rpc->reactor->base,
                                     EVENT_BASE_COUNT_ACTIVE) > 0;
}

void rpc_hold_turn(struct rpc *rpc)
{
    assert(!rpc->turn_held);
    rpc->turn_held = !rpc->turn_scheduled;
}

void rpc_let_turn(struct rpc *rpc)
{
    bool wanted = rpc->turn_held && rpc->turn_scheduled;

    rpc->turn_held = false;
    if (!wanted)
        return;
    if (gathers_more(rpc))
        event_active(rpc->turn, EV_TIMEOUT, 0);
    else
        on_turn(-1, EV_TIMEOUT, rpc);
}

static void take_posts(struct rpc *rpc, struct posts *posts)
{
    struct posts taken = rpc->taken;

    assert(taken.count == 0);
    rpc->taken = *posts;
    *posts = taken;
}

/* Takes what other threads posted. Returns whether the loop is to stop after
 * that: a post is never accepted after the wish to stop. */
static bool take_foreign_posts(struct rpc *rpc)
{
    bool stop;

    pthread_mutex_lock(&rpc->reactor->mutex);
    take_posts(rpc, &rpc->posts);
    stop = rpc->stop_wanted;
    pthread_mutex_unlock(&rpc->reactor->mutex);
    return stop;
}

static void run_post(struct rpc *rpc, const struct post *post)
{
    if (rpc->halted) {
        post->function(post->argument, NULL, NULL);
        return;
    }
    post->function(post->argument, rpc->node, &rpc->env);
    effects_carry_out(rpc);
}

static void run_posts(struct rpc *rpc)
{
    for (size_t i = 0; i < rpc->taken.count; i++)
        run_post(rpc, &rpc->taken.all[i]);
    rpc->taken.count = 0;
}

/* Runs what this thread posted. What this posts waits for the next turn, so
 * that sockets get theirs. */
static void attend_here(struct rpc *rpc)
{
    take_posts(rpc, &rpc->here);
    run_posts(rpc);
}

/* Runs what other threads posted, and then halts if that is wanted. */
static void attend(struct rpc *rpc)
{
    bool stop = take_foreign_posts(rpc);

    rpc->posted = false;
    run_posts(rpc);
    if (stop)
        rpc_halt(rpc, 0);
}

static void fire(struct rpc *rpc, unsigned slot)
{
    node_timer(rpc->node, &rpc->env, slot);
    effects_carry_out(rpc);
}

/* Fires the timers without a delay, now that all that has come is handled. */
static void fire_due(struct rpc *rpc)
{
    unsigned due = rpc->due;

    rpc->due = 0;
    for (unsigned slot = 0; slot < TIMERS_MAX && !rpc->halted; slot++) {
        if (due >> slot & 1)
            fire(rpc, slot);
    }
}

static void flush_trace(struct rpc *rpc)
{
    int error = rpc->trace != NULL ? trace_flush(rpc->trace) : 0;

    if (error < 0)
        give_up_trace(rpc, error);
}

/* Sees to what is due already when a turn has ended: timers in this turn of the
 * loop, posts in the next. */
static void go_on(struct rpc *rpc)
{
    rpc->turn_scheduled = false;
    if (rpc->halted)
        return;
    if (rpc->posted || rpc->here.count > 0) {
        rpc->turn_scheduled = true;
        rpc_event_after(rpc->turn, 0);
    } else if (rpc->due != 0) {
        rpc_schedule_turn(rpc);
    }
}

static void begin(struct rpc *rpc);

/* Ends a turn of the loop. The trace goes before the frames: whoever receives
 * one finds its send in the file. */
static void end_turn(struct rpc *rpc)
{
    rpc->ending = true;
    if (!rpc->started && !rpc->halted)
        begin(rpc);
    if (rpc->here.count > 0)
        attend_here(rpc);
    if (rpc->posted)
        attend(rpc);
    fire_due(rpc);
    go_on(rpc);
    flush_trace(rpc);
    connections_end_turn(rpc);
    rpc->ending = false;
}

void rpc_end(struct rpc *rpc)
{
    assert(rpc->halted && rpc->shares && rpc->attached);
    end_turn(rpc); /* which runs the posts, without the node */
    rpc->config.on_end(rpc->config.context);
}

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
    struct rpc *rpc = argument;

    (void)fd;
    (void)what;
    end_turn(rpc);
    if (rpc->halted && rpc->shares)
        rpc->config.on_end(rpc->config.context);
}

static void on_sweep(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    connections_sweep(argument);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
    const struct rpc_timer *timer = argument;

    (void)fd;
    (void)what;
    if (!timer->rpc->halted)
        fire(timer->rpc, timer->slot);
}

/* ---- Between threads ---------------------------------------------------- */

void rpc_stop(struct rpc *rpc)
{
    pthread_mutex_lock(&rpc->reactor->mutex);
    rpc->stop_wanted = true;
    reactor_summon(rpc->reactor, rpc);
    pthread_mutex_unlock(&rpc->reactor->mutex);
}

void rpc_halt(struct rpc *rpc, int result)
{
    if (rpc->halted)
        return;
    rpc->halted = true;
    rpc->result = result;
    pthread_mutex_lock(&rpc->reactor->mutex);
    rpc->stop_wanted = true;
    pthread_mutex_unlock(&rpc->reactor->mutex);
    if (rpc->shares)
        rpc_schedule_turn(rpc);
    else
        event_base_loopbreak(rpc->reactor->base);
}

static void posts_add(struct posts *posts, struct post post)
{
    if (posts->count == posts->capacity) {
        posts->capacity = posts->capacity ? 2 * posts->capacity : 8;
        posts->all =
            memory_resize(posts->all, posts->capacity * sizeof(*posts->all));
    }
    posts->all[posts->count++] = post;
}

int rpc_post(struct rpc *rpc, rpc_posted_function function, void *argument)
{
    bool accepted;

    pthread_mutex_lock(&rpc->reactor->mutex);
    accepted = !rpc->stop_wanted;
    if (accepted) {
        posts_add(&rpc->posts, (struct post){function, argument});
        reactor_summon(rpc->reactor, rpc);
    }
    pthread_mutex_unlock(&rpc->reactor->mutex);
    return accepted ? 0 : -ESHUTDOWN;
}

int rpc_post_here(struct rpc *rpc, rpc_posted_function function, void *argument)
{
    if (rpc->halted)
        return -ESHUTDOWN;
    posts_add(&rpc->here, (struct post){function, argument});
    rpc_schedule_turn(rpc);
    return 0;
}

static void on_signal(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    rpc_stop(argument);
}

int rpc_stop_on_signals(struct rpc *rpc)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    for (size_t i = 0; i < 2; i++) {
        if (rpc->signals[i] == NULL)
            rpc->signals[i] = rpc_event_new(
                rpc, numbers[i], EV_SIGNAL | EV_PERSIST, on_signal, rpc);
        if (event_add(rpc->signals[i], NULL) < 0)
            return -EIO;
    }
    sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGPIPE, &ignore, NULL) < 0 ||
        sigaction(SIGXFSZ, &ignore, NULL) < 0)
        return -errno;
    return 0;
}

/* ---- Making ------------------------------------------------------------- */

/* Writes name, a dash and the incarnation in base 36 into text. */
static void format_host(const struct rpc_config *config,
                        char text[HOST_TEXT_MAX])
{
    char digits[16];
    size_t at = sizeof(digits) - 1;
    uint64_t rest = config->self.incarnation;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
        rest /= 36;
    } while (rest > 0);
    snprintf(text, HOST_TEXT_MAX, "%s-%s", config->name, digits + at);
}

static int make_reactor(struct rpc *rpc, const char **reason)
{
    rpc->shares = rpc->config.reactor != NULL;
    rpc->reactor = rpc->config.reactor;
    *reason = "the system gives no event loop";
    return rpc->shares ? 0 : reactor_new(&rpc->reactor);
}

static int make_clock(struct rpc *rpc, const char **reason)
{
    char host[HOST_TEXT_MAX];

    format_host(&rpc->config, host);
    *reason = "the name cannot be a host's: too long, or not printable";
    if (!host_name_is_valid(host, strlen(host)))
        return -EINVAL;
    host_clock_init(&rpc->clock, host);
    *reason = "the trace cannot be opened";
    if (rpc->config.trace_path == NULL)
        return 0;
    return trace_open(rpc->config.trace_path, rpc->config.trace_limit,
                      &rpc->trace);
}

static void make_events(struct rpc *rpc)
{
    rpc->turn = rpc_event_new(rpc, -1, 0, on_turn, rpc);
    rpc->sweep = rpc_event_new(rpc, -1, 0, on_sweep, rpc);
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        struct rpc_timer *timer = &rpc->timers[i];

        timer->rpc = rpc;
        timer->slot = i;
        timer->event = rpc_event_new(rpc, -1, 0, on_timer, timer);
    }
}

/* Begins to listen, and learns our own address if the system chose it. */
static int make_listener(struct rpc *rpc, const char **reason)
{
    struct address_parts parts;
    struct address *self = &rpc->self.address;
    const char *text = rpc->config.listen;
    struct address listen;
    int error;

    if (text == NULL)
        return 0;
    *reason = "the address to listen on makes no sense";
    if (address_init(&listen, text, strlen(text)) < 0)
        return -EINVAL;
    error = listener_open(rpc, &listen, reason);
    if (error < 0)
        return error;
    listen = *listener_address(rpc->listener);
    if (self->length == 0)
        *self = listen;
    if (address_split(self, &parts) == 0 && parts.kind == ADDRESS_INET &&
        parts.port == 0 && address_split(&listen, &parts) == 0)
        return address_with_port(self, parts.port, self);
    return 0;
}

static int make(struct rpc *rpc, const char **reason)
{
    int error = make_reactor(rpc, reason);

    if (error == 0)
        error = make_clock(rpc, reason);
    if (error == 0)
        make_events(rpc);
    if (error == 0)
        error = make_listener(rpc, reason);
    if (error == 0 && !peer_is_present(&rpc->self)) {
        *reason = "there is no address of our own";
        error = -EINVAL;
    }
    return error;
}

int rpc_new(const struct rpc_config *config, struct node *node,
            struct rpc **result, const char **reason)
{
    struct rpc *rpc = memory_new(sizeof(*rpc));
    const char *ignored;
    int error;

    rpc->config = *config;
    rpc->self = config->self;
    rpc->random = config->self.incarnation ^ rpc_new_incarnation();
    rpc->stamp = memory_new(sizeof(*rpc->stamp));
    env_init(&rpc->env);
    if (config->trace_path == NULL)
        rpc->env.log_level = config->log_level;
    arena_init_trusted(&rpc->outgoing);
    error = make(rpc, reason != NULL ? reason : &ignored);
    if (error < 0) {
        rpc_free(rpc);
        return error;
    }
    rpc->node = node;
    *result = rpc;
    return 0;
}

struct address rpc_listen_address(const struct rpc *rpc)
{
    if (rpc->listener == NULL)
        return (struct address){0};
    return *listener_address(rpc->listener);
}

struct peer rpc_self(const struct rpc *rpc)
{
    return rpc->self;
}

/* Tells where others can reach this process, now that it will answer. */
static void tell_ready(struct rpc *rpc)
{
    struct address address = rpc_listen_address(rpc);

    if (address.length > 0)
        rpc_event(rpc, LOG_LEVEL_INFO, "listen.ready", address.text);
}

static void begin(struct rpc *rpc)
{
    assert(!rpc->started);
    rpc->started = true;
    tell_ready(rpc);
    node_start(rpc->node, &rpc->env);
    effects_carry_out(rpc);
}

int rpc_run(struct rpc *rpc)
{
    assert(!rpc->shares);
    begin(rpc);
    if (!rpc->halted && reactor_run(rpc->reactor) < 0)
        rpc_halt(rpc, -EIO);
    end_turn(rpc);
    assert(rpc->halted);
    return rpc->result;
}

int rpc_start(struct rpc *rpc)
{
    struct reactor *reactor = rpc->reactor;
    int error;

    assert(rpc->shares && rpc->config.on_end != NULL);
    pthread_mutex_lock(&reactor->mutex);
    error = reactor->failed ? -ESHUTDOWN : 0;
    if (error == 0) {
        rpc->attached = true;
        DL_APPEND(reactor->rpcs, rpc);
        reactor_summon(reactor, rpc);
    }
    pthread_mutex_unlock(&reactor->mutex);
    return error;
}

/* ---- Freeing ------------------------------------------------------------ */

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

static void free_events(struct rpc *rpc)
{
    free_event(rpc->turn);
    free_event(rpc->sweep);
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        free_event(rpc->timers[i].event);
    for (size_t i = 0; i < 2; i++)
        free_event(rpc->signals[i]);
}

/* Nothing of this rpc is left with the reactor, and no posts either. */
static void leave_reactor(struct rpc *rpc)
{
    struct reactor *reactor = rpc->reactor;

    attend_here(rpc);
    attend(rpc);
    pthread_mutex_lock(&reactor->mutex);
    if (rpc->summoned)
        DL_DELETE2(reactor->summoned, rpc, prev_summoned, next_summoned);
    if (rpc->attached)
        DL_DELETE(reactor->rpcs, rpc);
    pthread_mutex_unlock(&reactor->mutex);
}

void rpc_free(struct rpc *rpc)
{
    if (rpc == NULL)
        return;
    rpc->halted = true;
    if (rpc->reactor != NULL)
        leave_reactor(rpc);
    routes_release(rpc);
    connections_release(rpc);
    listener_free(rpc->listener);
    free_events(rpc);
    trace_close(rpc->trace);
    node_release(rpc->node);
    counters_release(&rpc->counters);
    arena_release(&rpc->outgoing);
    env_release(&rpc->env);
    if (!rpc->shares)
        reactor_free(rpc->reactor);
    free(rpc->here.all);
    free(rpc->posts.all);
    free(rpc->taken.all);
    free(rpc->stamp);
    free(rpc);
}
