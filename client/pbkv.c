/* SPDX-License-Identifier: MIT */
/*
 * pbkv: handles. A handle is an rpc with the client's role in it, which runs in
 * a loop thread. See pbkv_internal.h for how the threads meet.
 *
 * The end of a handle is the loop thread's business, whatever brought it about
 * (pbkv_close, or a loop that failed): it refuses new operations, then frees
 * the rpc, which hands back those that never reached the role, then ends those
 * that the role had. Only then is pbkv_close free to go on. So every operation
 * ends in the same thread, and exactly once.
 */
#include "client/pbkv.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <utlist.h>

#include "client/pbkv_internal.h"
#include "node/message.h"
#include "rpc/address.h"

enum {
    DEFAULT_DEADLINE_MS = 5000,
    DEFAULT_RETRY_MS = 200,
    DEFAULT_SESSIONS = 16,
    DEFAULT_CALLS_MAX = 65536,
    SESSIONS_LIMIT = 1024,
    NAME_LIMIT = 40, /* octets of options.name */
};

_Static_assert((int)PBKV_KEY_MAX == (int)KEY_LIMIT, "key limit of pbkv.h");
_Static_assert((int)PBKV_VALUE_MAX == (int)VALUE_LIMIT,
               "value limit of pbkv.h");
_Static_assert((int)PBKV_ADDRESS_SIZE > (int)ADDRESS_MAX,
               "address size of pbkv.h");
_Static_assert((int)PBKV_DIGEST_SIZE == (int)DIGEST_SIZE,
               "digest size of pbkv.h");
_Static_assert((int)PBKV_LOG_DEBUG == LOG_LEVEL_DEBUG + 1 &&
                   (int)PBKV_LOG_FATAL == LOG_LEVEL_FATAL + 1,
               "log levels of pbkv.h");

/* ---- Operations in the loop thread --------------------------------------- */

/* Ends an operation that the role had. */
static void end_running(struct operation *operation, enum pbkv_status status,
                        const Pbkv__Body *body)
{
    DL_DELETE(operation->handle->running, operation);
    operation->end(operation, status, body);
    operation_free(operation);
}

static void begin(struct operation *operation, struct client *client,
                  struct env *env)
{
    struct client_request request = {
        .kind = operation->kind,
        .call = (uint64_t)(uintptr_t)operation,
        .deadline_ticks = operation->deadline_ticks,
        .key = operation->key,
        .value = operation->value,
        .cursor = operation->cursor,
    };

    if (operation->address)
        request.address = *operation->address;
    DL_APPEND(operation->handle->running, operation);
    client_call(client, env, &request);
}

static void on_posted(void *argument, struct node *node, struct env *env)
{
    struct operation *operation = argument;

    if (!node) {
        operation->end(operation, PBKV_CLOSED, NULL);
        operation_free(operation);
        return;
    }
    begin(operation, (struct client *)node, env);
}

static void on_answer(void *context, uint64_t call, const Pbkv__Body *body)
{
    struct operation *operation = (struct operation *)(uintptr_t)call;

    assert(operation->handle == context);
    end_running(operation, status_of_answer(body), body);
}

static void on_lost(void *context, struct node *node, struct env *env,
                    const struct address *address)
{
    (void)context;
    client_lost((struct client *)node, env, address);
}

static void on_log(void *context, const struct rpc_log_line *line)
{
    const struct pbkv *handle = context;
    struct pbkv_log_line copy = {
        .level = (enum pbkv_log_level)(line->level + 1),
        .host = line->host,
        .view = line->view,
        .lamport = line->lamport,
        .event = line->event,
        .detail = line->detail ? line->detail : "",
    };

    handle->on_log(handle->log_context, &copy);
}

/* The rpc has ended: takes everything down. The closer may free the handle as
 * soon as it hears that the thread has left it. */
static void on_end(void *context)
{
    struct pbkv *handle = context;
    struct rpc *rpc;
    struct operation *operation, *next;

    pthread_mutex_lock(&handle->lock);
    rpc = handle->rpc;
    handle->closing = true;
    handle->rpc = NULL;
    pthread_mutex_unlock(&handle->lock);
    rpc_free(rpc); /* and the role, which shares keys and values */
    DL_FOREACH_SAFE(handle->running, operation, next)
    end_running(operation, PBKV_CLOSED, NULL);
    handle_leave(handle);
}

/* ---- From other threads -------------------------------------------------- */

/* Posts an operation from the loop thread, which needs no lock: nobody else
 * takes the rpc away. If the handle is being closed, the operation may still
 * end with that and not here. */
static enum pbkv_status submit_here(struct operation *operation)
{
    struct rpc *rpc = operation->handle->rpc;

    return rpc && rpc_post_here(rpc, on_posted, operation) == 0 ? PBKV_OK
                                                                : PBKV_CLOSED;
}

/* Posts an operation. The caller holds the lock. */
static enum pbkv_status submit_locked(struct operation *operation)
{
    struct pbkv *handle = operation->handle;

    if (handle->closing || rpc_post(handle->rpc, on_posted, operation) < 0)
        return PBKV_CLOSED;
    return PBKV_OK;
}

enum pbkv_status handle_submit(struct operation *operation)
{
    struct pbkv *handle = operation->handle;
    enum pbkv_status status;

    if (loop_is_foreign(handle->loop))
        return PBKV_CLOSED;
    if (loop_is_here(handle->loop))
        return submit_here(operation);
    pthread_mutex_lock(&handle->lock);
    status = submit_locked(operation);
    pthread_mutex_unlock(&handle->lock);
    return status;
}

enum pbkv_status handle_enter(struct pbkv *handle)
{
    enum pbkv_status status = PBKV_OK;

    if (loop_is_foreign(handle->loop))
        return PBKV_CLOSED;
    pthread_mutex_lock(&handle->lock);
    if (handle->closing)
        status = PBKV_CLOSED;
    else
        handle->uses++;
    pthread_mutex_unlock(&handle->lock);
    return status;
}

/* Gives the lock back and ends a use. */
static void unlock_and_leave(struct pbkv *handle)
{
    bool counted = handle->counted;

    assert(handle->uses > 0);
    handle->uses--;
    pthread_mutex_unlock(&handle->lock);
    if (counted)
        sem_post(&handle->left);
}

void handle_leave(struct pbkv *handle)
{
    pthread_mutex_lock(&handle->lock);
    unlock_and_leave(handle);
}

enum pbkv_status handle_wait(struct operation *operation, struct waiter *waiter)
{
    struct pbkv *handle = operation->handle;
    enum pbkv_status status;

    if (loop_is_foreign(handle->loop))
        return PBKV_CLOSED;
    if (loop_is_here(handle->loop))
        return PBKV_WOULD_DEADLOCK;
    pthread_cond_init(&waiter->ended, NULL);
    pthread_mutex_lock(&handle->lock);
    status = submit_locked(operation);
    if (status == PBKV_OK) {
        handle->uses++;
        while (!waiter->done)
            pthread_cond_wait(&waiter->ended, &handle->lock);
        unlock_and_leave(handle);
    } else {
        pthread_mutex_unlock(&handle->lock);
    }
    pthread_cond_destroy(&waiter->ended);
    return status;
}

void handle_wake(struct pbkv *handle, struct waiter *waiter,
                 enum pbkv_status status)
{
    pthread_mutex_lock(&handle->lock);
    assert(!waiter->done);
    waiter->status = status;
    waiter->done = true;
    pthread_cond_signal(&waiter->ended);
    pthread_mutex_unlock(&handle->lock);
}

/* ---- Open ---------------------------------------------------------------- */

/* Everything that pbkv_open makes of the options. */
struct opening {
    struct client_config client;
    struct rpc_config rpc;
    const char *reason; /* what is wrong with the options */
};

static bool name_is_valid(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= NAME_LIMIT &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_.") == length;
}

static uint32_t value_or(uint32_t value, uint32_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static bool read_client_options(const struct pbkv_options *options,
                                struct opening *opening)
{
    struct client_config *client = &opening->client;
    uint32_t retry_ms = value_or(options->retry_ms, DEFAULT_RETRY_MS);

    opening->reason = "view_service is not an address";
    if (!options->view_service ||
        address_init(&client->view_service, options->view_service,
                     strlen(options->view_service)) < 0 ||
        !address_is_dialable(&client->view_service))
        return false;
    opening->reason = "a number is over its limit";
    if (options->sessions > SESSIONS_LIMIT ||
        options->deadline_ms > PBKV_DEADLINE_MAX_MS ||
        retry_ms > PBKV_DEADLINE_MAX_MS)
        return false;
    client->tick_ms = PBKV_TICK_MS;
    client->stride_ticks = PBKV_STRIDE_TICKS;
    client->retry_ticks = (retry_ms + PBKV_TICK_MS - 1) / PBKV_TICK_MS;
    client->sessions_max = value_or(options->sessions, DEFAULT_SESSIONS);
    client->calls_max = value_or(options->calls_max, DEFAULT_CALLS_MAX);
    client->queue_max = client->calls_max;
    return true;
}

/* Gives the client a name that nobody else has, and that cannot be dialled. */
static void name_self(struct peer *self)
{
    uint64_t octets[2];
    char text[ADDRESS_MAX + 1];

    self->incarnation = rpc_new_incarnation();
    if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets)) {
        octets[0] = self->incarnation;
        octets[1] = (uint64_t)getpid();
    }
    snprintf(text, sizeof(text), "client:%016" PRIx64 "%016" PRIx64, octets[0],
             octets[1]);
    *self = peer_at(text, self->incarnation);
}

static bool read_rpc_options(const struct pbkv_options *options,
                             struct opening *opening)
{
    struct rpc_config *rpc = &opening->rpc;

    *rpc = rpc_config_default();
    rpc->name = options->name ? options->name : "client";
    opening->reason = "name is empty, too long or has other characters";
    if (!name_is_valid(rpc->name))
        return false;
    if (options->faults &&
        faults_parse(options->faults, &rpc->faults, &opening->reason) < 0)
        return false;
    opening->reason = "log_level is none";
    if ((int)options->log_level < 0 || options->log_level > PBKV_LOG_FATAL)
        return false;
    name_self(&rpc->self);
    rpc->trace_path = options->trace_path;
    rpc->log_level = LOG_LEVEL_INFO;
    if (options->log_level > 0)
        rpc->log_level = (enum log_level)((int)options->log_level - 1);
    if (!options->on_log)
        rpc->log_level = LOG_LEVEL_FATAL;
    rpc->on_log = options->on_log ? on_log : NULL;
    rpc->on_answer = on_answer;
    rpc->on_lost = on_lost;
    opening->client.delivers_at_most_once = !(rpc->faults.dup > 0);
    return true;
}

static void log_open_failed(const struct pbkv_options *options,
                            const char *reason)
{
    struct pbkv_log_line line = {
        .level = PBKV_LOG_FATAL,
        .host = options->name ? options->name : "client",
        .event = "open.failed",
        .detail = reason,
    };

    if (options->on_log)
        options->on_log(options->log_context, &line);
}

static void handle_free(struct pbkv *handle)
{
    assert(!handle->rpc && !handle->running && handle->uses == 0);
    sem_destroy(&handle->left);
    pthread_mutex_destroy(&handle->lock);
    free(handle->trace_path);
    free(handle->name);
    free(handle);
}

static bool copy_texts(struct pbkv *handle, const struct rpc_config *rpc)
{
    handle->name = strdup(rpc->name);
    if (rpc->trace_path)
        handle->trace_path = strdup(rpc->trace_path);
    return handle->name && (handle->trace_path || !rpc->trace_path);
}

/* Returns a new handle without an rpc, or NULL when there is no memory. The
 * strings of the rpc's configuration become copies of the handle's. */
static struct pbkv *handle_new(const struct pbkv_options *options,
                               struct rpc_config *rpc)
{
    struct pbkv *handle = calloc(1, sizeof(*handle));

    if (!handle)
        return NULL;
    pthread_mutex_init(&handle->lock, NULL);
    sem_init(&handle->left, 0, 0);
    handle->deadline_ms = value_or(options->deadline_ms, DEFAULT_DEADLINE_MS);
    handle->on_log = options->on_log;
    handle->log_context = options->log_context;
    if (!copy_texts(handle, rpc)) {
        handle_free(handle);
        return NULL;
    }
    rpc->name = handle->name;
    rpc->trace_path = handle->trace_path;
    rpc->context = handle;
    return handle;
}

/* Makes the rpc and starts it. Returns 0 or a positive errno. */
static int handle_start(struct pbkv *handle, struct opening *opening)
{
    struct node *node = client_node(client_new(&opening->client));
    int error;

    opening->rpc.reactor = loop_reactor(handle->loop);
    opening->rpc.on_end = on_end;
    error = -rpc_new(&opening->rpc, node, &handle->rpc, &opening->reason);
    if (error != 0) {
        handle->rpc = NULL;
        node_release(node);
        return error;
    }
    opening->reason = "the loop has failed";
    handle->uses = 1;
    error = -rpc_start(handle->rpc);
    if (error != 0) {
        handle->uses = 0;
        rpc_free(handle->rpc);
        handle->rpc = NULL;
    }
    return error;
}

/* Gives the handle a loop: that of the options, or one of its own. */
static int take_loop(struct pbkv *handle, struct pbkv_loop *loop,
                     struct opening *opening)
{
    enum pbkv_status status = PBKV_OK;

    handle->owns_loop = loop == NULL;
    handle->loop = loop;
    opening->reason = "the thread could not be started";
    if (handle->owns_loop)
        status = pbkv_loop_open(&handle->loop);
    if (status == PBKV_OK)
        loop_enter(handle->loop);
    else if (status == PBKV_NO_MEMORY)
        return ENOMEM;
    return status == PBKV_OK ? 0 : errno;
}

static void give_loop_back(struct pbkv *handle)
{
    if (!handle->loop)
        return;
    loop_leave(handle->loop);
    if (handle->owns_loop)
        pbkv_loop_close(handle->loop);
}

enum pbkv_status pbkv_open(const struct pbkv_options *options,
                           struct pbkv **handle)
{
    struct opening opening = {0};
    struct pbkv *new;
    int error;

    if (!handle)
        return PBKV_INVALID;
    *handle = NULL;
    if (!options)
        return PBKV_INVALID;
    if (!read_client_options(options, &opening) ||
        !read_rpc_options(options, &opening)) {
        log_open_failed(options, opening.reason);
        return PBKV_INVALID;
    }
    if (options->loop && loop_is_foreign(options->loop))
        return PBKV_CLOSED;
    new = handle_new(options, &opening.rpc);
    if (!new)
        return PBKV_NO_MEMORY;
    error = take_loop(new, options->loop, &opening);
    if (error == 0)
        error = handle_start(new, &opening);
    if (error != 0) {
        log_open_failed(options, opening.reason);
        give_loop_back(new);
        handle_free(new);
        errno = error;
        return error == ENOMEM ? PBKV_NO_MEMORY : PBKV_SYSTEM;
    }
    *handle = new;
    return PBKV_OK;
}

/* ---- Close --------------------------------------------------------------- */

enum pbkv_status pbkv_close(struct pbkv *handle)
{
    uint32_t users;

    if (!handle)
        return PBKV_OK;
    if (loop_is_foreign(handle->loop))
        return PBKV_CLOSED;
    if (loop_is_here(handle->loop))
        return PBKV_WOULD_DEADLOCK;
    pthread_mutex_lock(&handle->lock);
    handle->closing = true;
    handle->counted = true;
    users = handle->uses;
    if (handle->rpc)
        rpc_stop(handle->rpc);
    pthread_mutex_unlock(&handle->lock);
    while (users > 0)
        users -= sem_wait(&handle->left) == 0; /* a signal may interrupt it */
    give_loop_back(handle);
    handle_free(handle);
    return PBKV_OK;
}
