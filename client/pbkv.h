/* SPDX-License-Identifier: MIT */
/*
 * pbkv: the client library of the primary-backup key-value store. This header
 * is its reference manual and needs nothing else of the project. Link with
 * libpbkv and the thread library.
 *
 * A handle (`struct pbkv`) is one client of one store. A thread, the loop
 * thread, owns its connections, finds the primary through the view service,
 * follows it after a failover and repeats what was lost. Open one handle per
 * process and use it from any number of threads at once: its sessions share one
 * connection. Whoever needs many handles lets them share a loop thread, too
 * (`struct pbkv_loop`).
 *
 * What a result means. PBKV_OK and PBKV_NO_KEY are the store's answers, and
 * what they report survives every failure the store tolerates. An update that
 * ends with PBKV_TIMEOUT, PBKV_SESSION_EXPIRED or PBKV_CLOSED has an unknown
 * outcome: it took effect once, or not at all, or (PBKV_TIMEOUT and PBKV_CLOSED
 * only) will still take effect once in a moment. No update ever takes effect
 * twice. All other results mean that nothing was changed.
 *
 * Time. Deadlines are milliseconds from the call, on a clock that does not
 * jump. 0 means the default of the handle. A call ends at its deadline, never
 * early and as a rule within 20 ms of it, or within a tenth of it if that is
 * more.
 *
 * Bytes. Keys and values are octets with an explicit length; they may hold
 * zeros, and both may be empty (then the pointer may be NULL). What you pass in
 * is copied before the call returns. What you get is yours where the comment
 * says so, and borrowed for the length of the callback otherwise.
 *
 * Threads. Every function may be called from any thread, and on one handle from
 * many at the same time, except where its comment says otherwise. Callbacks run
 * in the loop thread, one at a time, of all handles that share it: they may
 * call the _async functions of any handle and open and close handles of other
 * loops, and must return soon, because nothing moves while they run. The
 * blocking functions refuse to run there with a handle of the callback's own
 * loop (PBKV_WOULD_DEADLOCK). Two loops must not wait for each other in
 * callbacks: that is a deadlock that nobody sees. What the callbacks of one
 * turn of the loop start on one connection leaves together; so does what other
 * threads start meanwhile.
 *
 * Handles may be opened and closed in any thread while other handles are in
 * use. Closing one waits for the threads in its functions, which it wakes; what
 * must not happen is that a call begins with a handle that is closed or being
 * closed, for the handle's memory is gone in the end.
 *
 * Manners. The library has no global state, so handles do not know of each
 * other. It prints nothing, installs no signal handler, never raises SIGPIPE,
 * and its thread takes none of the process's signals. It never ends the
 * process, with one exception: abort() when the system has no memory left for
 * the loop thread (copies in your own thread fail with PBKV_NO_MEMORY).
 * After fork() a handle belongs to the parent: in the child every call with it
 * fails with PBKV_CLOSED, and pbkv_close leaves everything as it is. The child
 * may open a handle of its own, unless another thread was in pbkv_open or
 * pbkv_close at the moment of the fork; after exec it always may. Files and
 * sockets are closed on exec.
 *
 * Example: write a key and read it back.
 * @example hello
 *     #include <stdio.h>
 *     #include "pbkv.h"
 *
 *     int main(void)
 *     {
 *         struct pbkv_options options = {0};
 *         struct pbkv *store;
 *         struct pbkv_value value;
 *         enum pbkv_status status;
 *
 *         options.view_service = "127.0.0.1:4000";
 *         status = pbkv_open(&options, &store);
 *         if (status != PBKV_OK) {
 *             fprintf(stderr, "open: %s\n", pbkv_status_text(status));
 *             return 1;
 *         }
 *         status = pbkv_put(store, "color", 5, "blue", 4, 0);
 *         if (status == PBKV_OK)
 *             status = pbkv_get(store, "color", 5, 0, &value);
 *         if (status == PBKV_OK) {
 *             fwrite(value.data, 1, value.length, stdout);
 *             pbkv_free(&value);
 *         } else {
 *             fprintf(stderr, "%s\n", pbkv_status_text(status));
 *         }
 *         pbkv_close(store);
 *         return status == PBKV_OK ? 0 : 1;
 *     }
 * @end
 *
 * Example: many puts at once, without a thread for each. The callback counts,
 * and the main thread waits for the count.
 * @example pipeline
 *     #include <pthread.h>
 *     #include <stdio.h>
 *     #include "pbkv.h"
 *
 *     struct progress {
 *         pthread_mutex_t lock;
 *         pthread_cond_t changed;
 *         int waiting;
 *         int failed;
 *     };
 *
 *     static void on_put(void *context, const struct pbkv_result *result)
 *     {
 *         struct progress *progress = context;
 *
 *         pthread_mutex_lock(&progress->lock);
 *         progress->waiting--;
 *         if (result->status != PBKV_OK)
 *             progress->failed++;
 *         pthread_cond_signal(&progress->changed);
 *         pthread_mutex_unlock(&progress->lock);
 *     }
 *
 *     int main(void)
 *     {
 *         struct progress progress = {PTHREAD_MUTEX_INITIALIZER,
 *                                     PTHREAD_COND_INITIALIZER, 100, 0};
 *         struct pbkv_options options = {0};
 *         struct pbkv *store;
 *         char key[16];
 *         int i, length;
 *
 *         options.view_service = "unix:/run/pbkv/view.sock";
 *         if (pbkv_open(&options, &store) != PBKV_OK)
 *             return 1;
 *         for (i = 0; i < 100; i++) {
 *             struct pbkv_result refused = {PBKV_OK, NULL, 0};
 *
 *             length = snprintf(key, sizeof(key), "key-%d", i);
 *             refused.status = pbkv_put_async(store, key, (size_t)length,
 *                                             "x", 1, 2000, on_put,
 *                                             &progress);
 *             if (refused.status != PBKV_OK)
 *                 on_put(&progress, &refused);
 *         }
 *         pthread_mutex_lock(&progress.lock);
 *         while (progress.waiting > 0)
 *             pthread_cond_wait(&progress.changed, &progress.lock);
 *         pthread_mutex_unlock(&progress.lock);
 *         pbkv_close(store);
 *         printf("%d failed\n", progress.failed);
 *         return 0;
 *     }
 * @end
 *
 * Example: list the store and say who serves it.
 * @example list
 *     #include <inttypes.h>
 *     #include <stdio.h>
 *     #include "pbkv.h"
 *
 *     static bool print_key(void *context, const struct pbkv_entry *entry)
 *     {
 *         size_t *count = context;
 *
 *         fwrite(entry->key, 1, entry->key_length, stdout);
 *         printf(" (%zu octets)\n", entry->value_length);
 *         return ++*count < 1000; // false: enough
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct pbkv_options options = {0};
 *         struct pbkv_view view;
 *         struct pbkv *store;
 *         size_t count = 0;
 *         enum pbkv_status status;
 *
 *         options.view_service = argc > 1 ? argv[1] : "127.0.0.1:4000";
 *         options.deadline_ms = 1000;
 *         if (pbkv_open(&options, &store) != PBKV_OK)
 *             return 1;
 *         status = pbkv_view(store, 0, &view);
 *         if (status == PBKV_OK)
 *             printf("view %" PRIu64 ": %s\n", view.number,
 *                    view.primary.address);
 *         if (status == PBKV_OK)
 *             status = pbkv_scan(store, 0, print_key, &count);
 *         pbkv_close(store);
 *         return status == PBKV_OK ? 0 : 1;
 *     }
 * @end
 */
#ifndef PBKV_H
#define PBKV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the library exports; everything else is hidden. */
#ifndef PBKV_API
#define PBKV_API __attribute__((visibility("default")))
#endif

enum {
    PBKV_KEY_MAX = 4096,                /* octets of a key */
    PBKV_VALUE_MAX = 1048576 - 16384,   /* octets of a value, also of the value
                                           that an append would make */
    PBKV_ADDRESS_SIZE = 112,            /* octets of an address and its zero */
    PBKV_DIGEST_SIZE = 16,              /* octets of a digest */
    PBKV_DEADLINE_MAX_MS = 86400 * 1000 /* one day */
};

/* How a call ended. The values are stable: they will not be renumbered. */
enum pbkv_status {
    PBKV_OK = 0,              /* done, and replicated */
    PBKV_NO_KEY = 1,          /* the key was never written */
    PBKV_TIMEOUT = 2,         /* the deadline passed; outcome unknown */
    PBKV_SESSION_EXPIRED = 3, /* the servers forgot this client while an update
                                 was under way; outcome unknown. The handle
                                 goes on with a new session by itself. */
    PBKV_TOO_LARGE = 4,       /* key or value over the limit; not stored */
    PBKV_OVERLOADED = 5,      /* too many calls wait in this handle; not sent */
    PBKV_BAD_REQUEST = 6,     /* the server makes no sense of the request */
    PBKV_INVALID = 7,         /* an argument is wrong; nothing was sent */
    PBKV_CLOSED = 8,          /* the handle is being closed; outcome unknown if
                                 the call was under way */
    PBKV_WOULD_DEADLOCK = 9,  /* a blocking function was called in a callback */
    PBKV_NO_MEMORY = 10,      /* no memory for the copies; nothing was sent */
    PBKV_SYSTEM = 11          /* the system refused; errno says what */
};

/* Returns a sentence about the status, in English, without a full stop. The
 * string is constant; an unknown status gives "unknown status". */
PBKV_API const char *pbkv_status_text(enum pbkv_status status);

/* A client of one store. */
struct pbkv;

/* How much a log line matters. */
enum pbkv_log_level {
    PBKV_LOG_DEBUG = 1, /* expected in bulk: retries, duplicates */
    PBKV_LOG_INFO = 2,  /* a new view, a new session */
    PBKV_LOG_WARN = 3,  /* somebody else's mistake, refused */
    PBKV_LOG_FATAL = 4  /* the handle can be of no more use */
};

/* A line for a human. Strings are borrowed for the length of the callback. */
struct pbkv_log_line {
    enum pbkv_log_level level;
    const char *host;   /* name of this client in traces */
    uint64_t view;      /* newest view that it knows; 0: none yet */
    uint64_t lamport;   /* time of the event on its Lamport clock */
    const char *event;  /* name of the event, such as "view.adopted" */
    const char *detail; /* text, may be empty */
};

/* Receives log lines, in the loop thread, or in the thread that is in
 * pbkv_open. The rules for callbacks apply. */
typedef void (*pbkv_log_function)(void *context,
                                  const struct pbkv_log_line *line);

/*
 * A loop thread that handles share, of one store or of several. With many
 * handles it is much cheaper than a thread for each: whatever came for any of
 * them is found with one system call. What it does not do is use more than one
 * processor.
 */
struct pbkv_loop;

/* Starts a loop thread and stores it in *loop, for the caller to close. Blocks
 * signals in the new thread only. Returns PBKV_OK; otherwise *loop is NULL:
 * PBKV_INVALID, PBKV_NO_MEMORY, or PBKV_SYSTEM with errno. */
PBKV_API enum pbkv_status pbkv_loop_open(struct pbkv_loop **loop);

/* Ends the thread and frees the loop. Close its handles first. Returns PBKV_OK,
 * also for NULL; PBKV_INVALID while a handle uses it, PBKV_WOULD_DEADLOCK in
 * its own thread, and PBKV_CLOSED in a child after fork(), which all change
 * nothing. */
PBKV_API enum pbkv_status pbkv_loop_close(struct pbkv_loop *loop);

/*
 * How to open a store. Set everything to zero, then view_service and whatever
 * else should differ from the default. Strings are borrowed until pbkv_open
 * returns.
 *
 * Addresses are `host:port`, `[v6]:port` or `unix:/path`.
 */
struct pbkv_options {
    const char *view_service;      /* its address; required */
    struct pbkv_loop *loop;        /* thread to share with other handles; it
                                      is open until the handle is closed.
                                      NULL: a thread of its own */
    const char *name;              /* of this client in traces: 1 to 40
                                      letters, digits, '-', '_' and '.';
                                      NULL: "client" */
    uint32_t deadline_ms;          /* of calls that name none; 0: 5000 */
    uint32_t retry_ms;             /* silence after which a request is sent
                                      again; 0: 200 */
    uint32_t sessions;             /* updates in flight at once, at most
                                      1024; 0: 16. More wait their turn. */
    uint32_t calls_max;            /* calls under way at once, waiting ones
                                      included; 0: 65536 */
    const char *trace_path;        /* file for one line per event, stamped
                                      with logical clocks; NULL: none */
    const char *faults;            /* faults to inject into what is sent,
                                      such as "drop=0.1,seed=7"; NULL: none */
    pbkv_log_function on_log;      /* NULL: silence */
    void *log_context;             /* of on_log */
    enum pbkv_log_level log_level; /* lowest to report; 0: INFO */
};

/*
 * Opens a handle, starts its thread unless it shares one, and stores it in
 * *handle, for the caller to close. Does not wait for the store: with nobody at
 * the address it succeeds, and calls time out. Blocks signals in the new thread
 * only.
 *
 * Returns PBKV_OK; PBKV_INVALID for options that make no sense; PBKV_NO_MEMORY;
 * PBKV_CLOSED with options.loop in a child after fork();
 * PBKV_SYSTEM with errno when the thread or the trace file is refused. On
 * failure *handle is NULL and the reason goes to on_log as "open.failed".
 */
PBKV_API enum pbkv_status pbkv_open(const struct pbkv_options *options,
                                    struct pbkv **handle);

/*
 * Ends every call under way with PBKV_CLOSED, runs their callbacks, stops its
 * own thread and frees the handle. Returns when no other thread is inside a
 * function with this handle, and no callback runs any more. Threads blocked in
 * a call are woken; no call may begin once pbkv_close has begun, except in
 * callbacks, where it fails with PBKV_CLOSED.
 *
 * Returns PBKV_OK, also for NULL; PBKV_WOULD_DEADLOCK from a callback of this
 * handle or of one that shares its thread, which leaves it open; PBKV_CLOSED in
 * a child after fork(), which leaves it to the parent.
 */
PBKV_API enum pbkv_status pbkv_close(struct pbkv *handle);

/* ---- Blocking calls ----------------------------------------------------- */

/* Octets that the caller owns. Give them back with pbkv_free. */
struct pbkv_value {
    void *data; /* followed by a zero that length does not count */
    size_t length;
};

/* Frees the octets of a value and empties it. Safe to repeat, and on a value of
 * all zeros. NULL is allowed. */
PBKV_API void pbkv_free(struct pbkv_value *value);

/*
 * Reads the value of a key: linearizable, so it is never older than any update
 * that had ended before the call began. On PBKV_OK stores the value, which the
 * caller frees with pbkv_free; otherwise empties *value.
 *
 * Returns PBKV_OK, PBKV_NO_KEY, PBKV_TIMEOUT, PBKV_TOO_LARGE, PBKV_OVERLOADED,
 * PBKV_BAD_REQUEST, PBKV_INVALID, PBKV_CLOSED, PBKV_WOULD_DEADLOCK or
 * PBKV_NO_MEMORY.
 */
PBKV_API enum pbkv_status pbkv_get(struct pbkv *handle, const void *key,
                                   size_t key_length, uint32_t deadline_ms,
                                   struct pbkv_value *value);

/*
 * Stores a value under a key, in the place of what was there. Takes effect at
 * most once, however often it is repeated inside.
 *
 * Returns PBKV_OK, PBKV_TIMEOUT, PBKV_SESSION_EXPIRED, PBKV_TOO_LARGE,
 * PBKV_OVERLOADED, PBKV_BAD_REQUEST, PBKV_INVALID, PBKV_CLOSED,
 * PBKV_WOULD_DEADLOCK or PBKV_NO_MEMORY.
 */
PBKV_API enum pbkv_status pbkv_put(struct pbkv *handle, const void *key,
                                   size_t key_length, const void *value,
                                   size_t value_length, uint32_t deadline_ms);

/* Adds octets to the end of a key's value; a key that was never written counts
 * as empty. Otherwise as pbkv_put. */
PBKV_API enum pbkv_status pbkv_append(struct pbkv *handle, const void *key,
                                      size_t key_length, const void *value,
                                      size_t value_length,
                                      uint32_t deadline_ms);

/* A key and its value, borrowed. */
struct pbkv_entry {
    const void *key;
    size_t key_length;
    const void *value;
    size_t value_length;
    uint64_t modified; /* op number of the last change */
};

/* Receives one entry of a scan, in the thread that is in pbkv_scan: so it may
 * block and may call any function but pbkv_close. Returns whether to go on. */
typedef bool (*pbkv_entry_function)(void *context,
                                    const struct pbkv_entry *entry);

/*
 * Calls on_entry for every key, in the order in which keys were first written,
 * until there are no more or it returns false. The store is read page by page,
 * and the deadline is that of each page. Each page is as fresh as a get; keys
 * that are written meanwhile may or may not appear, none appears twice.
 *
 * Returns PBKV_OK at the end or when on_entry had enough, or how a page failed:
 * the codes of pbkv_get without PBKV_NO_KEY.
 */
PBKV_API enum pbkv_status pbkv_scan(struct pbkv *handle, uint32_t deadline_ms,
                                    pbkv_entry_function on_entry,
                                    void *context);

/* ---- Asynchronous calls ------------------------------------------------- */

/* The end of a call. data and length are the value of a get that is PBKV_OK,
 * or the payload of an echo; borrowed for the length of the callback. */
struct pbkv_result {
    enum pbkv_status status;
    const void *data;
    size_t length;
};

/* Receives the end of a call, once, in the loop thread. */
typedef void (*pbkv_callback)(void *context, const struct pbkv_result *result);

/*
 * Start a call and return at once. On PBKV_OK the callback will run exactly
 * once, with one of the codes of the blocking form, at the latest in
 * pbkv_close. Any other result (PBKV_INVALID, PBKV_TOO_LARGE, PBKV_CLOSED,
 * PBKV_NO_MEMORY) means that nothing was started and the callback will not run.
 * The callback may run before the function returns. Calls from one thread are
 * sent in order, but end in any order, and updates in flight together may take
 * effect in any order: wait for the first to end if the order matters.
 */
PBKV_API enum pbkv_status pbkv_get_async(struct pbkv *handle, const void *key,
                                         size_t key_length,
                                         uint32_t deadline_ms,
                                         pbkv_callback callback, void *context);
PBKV_API enum pbkv_status pbkv_put_async(struct pbkv *handle, const void *key,
                                         size_t key_length, const void *value,
                                         size_t value_length,
                                         uint32_t deadline_ms,
                                         pbkv_callback callback, void *context);
PBKV_API enum pbkv_status pbkv_append_async(
    struct pbkv *handle, const void *key, size_t key_length, const void *value,
    size_t value_length, uint32_t deadline_ms, pbkv_callback callback,
    void *context);

/* A page of the store, borrowed for the length of the callback. With a status
 * other than PBKV_OK everything else is 0. */
struct pbkv_page {
    enum pbkv_status status;
    const struct pbkv_entry *entries;
    size_t count;
    uint64_t next;  /* cursor of the next page */
    uint64_t total; /* keys in the store; next == total: this was the last */
};

/* Receives a page, once, in the loop thread. */
typedef void (*pbkv_page_callback)(void *context, const struct pbkv_page *page);

/* Starts to read the page at cursor, 0 for the first, and returns at once, like
 * pbkv_get_async. The callback may ask for the next page. */
PBKV_API enum pbkv_status pbkv_scan_async(struct pbkv *handle, uint64_t cursor,
                                          uint32_t deadline_ms,
                                          pbkv_page_callback callback,
                                          void *context);

/* ---- Observation -------------------------------------------------------- */

/* One life of a server. An absent server has an empty address. */
struct pbkv_peer {
    char address[PBKV_ADDRESS_SIZE]; /* ends in a zero */
    uint64_t incarnation;            /* the greater, the newer */
};

/* Number 0 is "no view yet": no server has ever reported. */
struct pbkv_view {
    uint64_t number;
    struct pbkv_peer primary;
    struct pbkv_peer backup;
};

/* Asks the view service for the current view and stores it in *view, which is
 * zeroed on failure. Blocks. Returns PBKV_OK, PBKV_TIMEOUT, PBKV_OVERLOADED,
 * PBKV_BAD_REQUEST, PBKV_INVALID, PBKV_CLOSED, PBKV_WOULD_DEADLOCK or
 * PBKV_NO_MEMORY. */
PBKV_API enum pbkv_status pbkv_view(struct pbkv *handle, uint32_t deadline_ms,
                                    struct pbkv_view *view);

/* Sends length octets to the process at address (any server or view service),
 * which sends them back, and stores what came, for the caller to free with
 * pbkv_free; otherwise empties *reply. At most PBKV_VALUE_MAX octets. Blocks.
 * Returns as pbkv_view, or PBKV_TOO_LARGE. */
PBKV_API enum pbkv_status pbkv_echo(struct pbkv *handle, const char *address,
                                    const void *payload, size_t length,
                                    uint32_t deadline_ms,
                                    struct pbkv_value *reply);

/* How often something happened in a process. */
struct pbkv_counter {
    const char *name;
    uint64_t value;
};

/* A server as the view service sees it. */
struct pbkv_server_seen {
    struct pbkv_peer peer;
    uint64_t view;          /* newest view it has acknowledged */
    uint64_t missed_cycles; /* ping cycles since its last ping */
};

/* What a process tells about itself. Fields that do not apply to its role are
 * 0. One block of memory: free it with pbkv_inspection_free. */
struct pbkv_inspection {
    const char *name;        /* host name in traces */
    const char *role;        /* "view service", "primary", "backup", "idle" */
    uint64_t incarnation;    /* this life of the process */
    struct pbkv_view view;   /* newest it knows */
    uint64_t applied;        /* op number of the newest operation applied */
    uint64_t committed;      /* op number up to which clients are answered */
    uint64_t keys;           /* in the store */
    uint64_t bytes;          /* octets of keys and values */
    uint64_t sessions;       /* clients' sessions in the table */
    uint64_t transfer_items; /* of a state transfer, so far */
    uint64_t transfer_total; /* 0: no transfer under way */
    uint8_t digest[PBKV_DIGEST_SIZE]; /* of keys, values and sessions */
    bool has_digest;                  /* whether the role has one */
    const struct pbkv_counter *counters;
    size_t counter_count;
    const struct pbkv_server_seen *servers; /* of a view service */
    size_t server_count;
};

/* Asks the process at address (any server or view service) about itself. On
 * PBKV_OK stores what it said, for the caller to free with
 * pbkv_inspection_free; otherwise NULL. Blocks. Returns as pbkv_view. */
PBKV_API enum pbkv_status pbkv_inspect(struct pbkv *handle, const char *address,
                                       uint32_t deadline_ms,
                                       struct pbkv_inspection **inspection);

/* Frees an inspection. NULL is allowed. */
PBKV_API void pbkv_inspection_free(struct pbkv_inspection *inspection);

#ifdef __cplusplus
}
#endif

#endif
