/* SPDX-License-Identifier: MIT */
/*
 * pbkv_internal: how the library's files work together.
 *
 *   pbkv.c          handles: open, close, operations in the loop thread
 *   pbkv_loop.c     the loop thread, of one handle or of many
 *   pbkv_calls.c    operations: asynchronous calls, and blocking ones on top
 *   pbkv_observe.c  view, echo and inspection
 *   pbkv_status.c   what statuses mean
 *
 * An operation is one call on its way. The caller's thread makes it, with
 * copies of key and value, and posts it to the loop; from then on it belongs to
 * the loop thread, which ends it exactly once: with the role's answer, or with
 * PBKV_CLOSED when the loop ends first. What crosses between threads crosses
 * under a mutex: the rpc's on the way in, the handle's on the way out. What a
 * callback starts crosses nothing and takes no lock.
 */
#ifndef CLIENT_PBKV_INTERNAL_H
#define CLIENT_PBKV_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

#include "client/client.h"
#include "client/pbkv.h"
#include "rpc/rpc.h"

enum {
    PBKV_TICK_MS = 10,     /* of the role; deadlines are rounded up to it */
    PBKV_STRIDE_TICKS = 5, /* that one timer covers while nothing is urgent */
};

struct operation;

/* Ends an operation: hands the result to whoever waits. body is NULL when
 * status is not that of an answer. Does not free the operation. */
typedef void (*operation_end)(struct operation *operation,
                              enum pbkv_status status, const Pbkv__Body *body);

/* With the octets of key and value behind it, in one piece of memory: the role
 * shares them, but never has the last reference. */
struct operation {
    struct pbkv *handle;
    struct operation *prev; /* in handle->running */
    struct operation *next;
    operation_end end;
    void *context; /* the user's, or a struct waiter */
    union {
        pbkv_callback on_result;
        pbkv_page_callback on_page;
    };

    /* What the role is asked for; the operation's address is the tag. */
    struct bytes *key;
    struct bytes *value;
    Pbkv__Body__KindCase kind;
    uint32_t deadline_ticks;
    uint64_t cursor;
    const struct address *address; /* of who waits, or NULL */
};

struct pbkv {
    struct pbkv_loop *loop;
    bool owns_loop;
    uint32_t deadline_ms;
    pbkv_log_function on_log;
    void *log_context;
    char *name;       /* copies, which the rpc borrows */
    char *trace_path; /* NULL: none */

    /* Only the loop thread touches this: operations that the role has. */
    struct operation *running;

    /* Who leaves the handle after it was closed says so here, as the last thing
     * that it does with it. A lock could not tell: whoever gives one back is
     * not quite done with it when the next one has it. */
    sem_t left;

    /* lock guards the rest. */
    pthread_mutex_t lock;
    struct rpc *rpc; /* NULL once the loop thread takes it down; nobody else
                        changes it, so that thread reads it without the lock */
    bool closing;    /* no operation is accepted any more */
    bool counted;    /* pbkv_close waits for so many as use it then */
    uint32_t uses;   /* by the loop thread and by blocking functions */
};

/* Somebody who waits in a blocking function for one operation. copy, called in
 * the loop thread, takes what is wanted from a body and returns the status. The
 * handle's lock guards done and status: a lock in here could be destroyed while
 * the loop thread is not quite done with it. */
struct waiter {
    enum pbkv_status (*copy)(void *result, const Pbkv__Body *body);
    void *result;
    pthread_cond_t ended;
    bool done;
    enum pbkv_status status;
};

/* ---- pbkv_loop.c --------------------------------------------------------- */

/* Return whether this is another process than the one that opened the loop;
 * whether this is the loop's thread. From any thread. */
bool loop_is_foreign(const struct pbkv_loop *loop);
bool loop_is_here(const struct pbkv_loop *loop);

/* Returns what rpcs of the loop's handles run in. */
struct reactor *loop_reactor(const struct pbkv_loop *loop);

/* Count the handles that use the loop. */
void loop_enter(struct pbkv_loop *loop);
void loop_leave(struct pbkv_loop *loop);

/* ---- pbkv.c -------------------------------------------------------------- */

/* Hands an operation to the loop, which owns it if PBKV_OK is returned. */
enum pbkv_status handle_submit(struct operation *operation);

/* Does the same and waits for the end, which handle_wake tells. On PBKV_OK the
 * waiter has the status and the operation is gone; otherwise it is the caller's
 * still. pbkv_close waits for those who are in here. */
enum pbkv_status handle_wait(struct operation *operation,
                             struct waiter *waiter);
void handle_wake(struct pbkv *handle, struct waiter *waiter,
                 enum pbkv_status status);

/* Enter and leave a function that waits several times: pbkv_close waits for the
 * thread in between, too. Returns PBKV_OK or PBKV_CLOSED. */
enum pbkv_status handle_enter(struct pbkv *handle);
void handle_leave(struct pbkv *handle);

/* ---- pbkv_calls.c -------------------------------------------------------- */

/* Returns a new operation with copies of an entry's key and value, which need
 * not mean anything for its kind (NULL: it has neither), or NULL with *status:
 * PBKV_INVALID, PBKV_TOO_LARGE or PBKV_NO_MEMORY. */
struct operation *operation_new(struct pbkv *handle, Pbkv__Body__KindCase kind,
                                const struct pbkv_entry *entry,
                                uint32_t deadline_ms, enum pbkv_status *status);

/* Frees an operation that the role does not have any more. NULL is allowed. */
void operation_free(struct operation *operation);

/* Submits an operation, unless status is a failure already, and waits for its
 * end. The operation, which may be NULL, is gone afterwards. */
enum pbkv_status operation_wait(struct operation *operation,
                                enum pbkv_status status, struct waiter *waiter);

/* Copies octets, with a zero behind them, for the caller to free. */
enum pbkv_status copy_value(struct pbkv_value *value,
                            const ProtobufCBinaryData *octets);

/* ---- pbkv_status.c ------------------------------------------------------- */

/* Returns what the end of a call means: the status of a Reply, else PBKV_OK. */
enum pbkv_status status_of_answer(const Pbkv__Body *body);

#endif
