/* SPDX-License-Identifier: MIT */
/*
 * tool_history: lets clients work at the same time and records what they did,
 * for a checker of linearizability. Each client has a handle and a thread of
 * its own and makes one call after the other: 5 of 10 are gets, 3 puts and 2
 * appends, of keys chosen at random by the seed.
 *
 * The record has one JSON object per line for every invocation and every
 * completion, in the order of their times:
 *
 *     {"process":3,"type":"invoke","f":"put","key":"k1","value":"3.17;",
 *      "time":81230001}
 *
 * (on one line). type is invoke, ok, fail (it did not happen) or info (whether
 * it happened, or still will, is unknown). The value of a put or append is
 * unique in the record: client, number, ";". A get that is ok has the value it
 * read, or null for a key that was never written. Times are nanoseconds of a
 * clock that never goes back, taken inside the lock that orders the lines, so a
 * call's true interval lies within the recorded one.
 *
 * After info the client goes on as another process, its number plus the number
 * of clients, because a process does one thing at a time and the old one may
 * not have ended. A get without an answer is fail: it changed nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool.h"
#include "client/tool_json.h"
#include "client/tool_output.h"
#include "node/memory.h"
#include "node/random.h"

enum {
    CLIENTS_DEFAULT = 5,
    CLIENTS_MAX = 256,
    OPS_DEFAULT = 1000,
    KEYS_DEFAULT = 5,
    TEXT_SIZE = 64, /* octets of a key or a value of ours */
    WAIT_MS = 100,  /* between looks at progress and signals */
};

enum kind { KIND_GET, KIND_PUT, KIND_APPEND };

static const char *const kind_names[] = {"get", "put", "append"};

/* What the command line asks for. */
struct plan {
    const char *file;
    const char *prefix;
    uint32_t clients;
    uint32_t ops;
    uint32_t keys;
    uint32_t seed;
};

struct history {
    struct tool *tool;
    const struct plan *plan;
    struct worker *workers; /* plan->clients of them */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    FILE *out;
    uint32_t started; /* operations */
    uint32_t ended;
    uint32_t ok;
    uint32_t failed;
    uint32_t unknown;
    uint32_t running; /* workers */
    bool stopping;
};

/* A client. */
struct worker {
    struct history *history;
    struct pbkv *store;
    pthread_t thread;
    uint32_t number;  /* from 0 */
    uint32_t process; /* its number in the record */
    uint64_t random;
    uint32_t made; /* operations */
};

/* One call of a client. */
struct call {
    enum kind kind;
    char key[TEXT_SIZE];
    char value[TEXT_SIZE]; /* of a put or append */
};

static struct call choose_call(struct worker *worker)
{
    const struct plan *plan = worker->history->plan;
    uint32_t dice = random_between(&worker->random, 1, 10);
    struct call call = {.kind = KIND_GET};

    if (dice > 5)
        call.kind = dice <= 8 ? KIND_PUT : KIND_APPEND;
    snprintf(call.key, sizeof(call.key), "%s%" PRIu32, plan->prefix,
             random_between(&worker->random, 1, plan->keys));
    snprintf(call.value, sizeof(call.value), "%" PRIu32 ".%" PRIu32 ";",
             worker->number, worker->made++);
    return call;
}

/* ---- The record --------------------------------------------------------- */

/* Writes a line. value NULL: null. The lock is held. */
static void write_line(struct worker *worker, const char *type,
                       const struct call *call, const void *value,
                       size_t length)
{
    FILE *out = worker->history->out;

    fprintf(out,
            "{\"process\":%" PRIu32 ",\"type\":\"%s\",\"f\":\"%s\",\"key\":",
            worker->process, type, kind_names[call->kind]);
    json_write_text(out, call->key);
    fputs(",\"value\":", out);
    if (value)
        json_write_octets(out, value, length);
    else
        fputs("null", out);
    fprintf(out, ",\"time\":%" PRIu64 "}\n", tool_now_ns());
}

static const char *own_value(const struct call *call)
{
    return call->kind == KIND_GET ? NULL : call->value;
}

/* Takes one of the operations that are left to do and records that it begins.
 * Returns false when there is none. */
static bool record_invocation(struct worker *worker, const struct call *call)
{
    struct history *history = worker->history;
    bool going;

    pthread_mutex_lock(&history->lock);
    going = !history->stopping && history->started < history->plan->ops;
    if (going) {
        history->started++;
        write_line(worker, "invoke", call, own_value(call),
                   strlen(call->value));
        if (ferror(history->out))
            history->stopping = true;
    }
    pthread_mutex_unlock(&history->lock);
    return going;
}

static const char *type_of(const struct call *call, enum pbkv_status status)
{
    if (status == PBKV_OK || (status == PBKV_NO_KEY && call->kind == KIND_GET))
        return "ok";
    if (call->kind != KIND_GET &&
        (status == PBKV_TIMEOUT || status == PBKV_SESSION_EXPIRED ||
         status == PBKV_CLOSED))
        return "info";
    return "fail";
}

static void record_completion(struct worker *worker, const struct call *call,
                              enum pbkv_status status,
                              const struct pbkv_value *read)
{
    struct history *history = worker->history;
    const char *type = type_of(call, status);

    pthread_mutex_lock(&history->lock);
    if (call->kind != KIND_GET)
        write_line(worker, type, call, call->value, strlen(call->value));
    else
        write_line(worker, type, call, status == PBKV_OK ? read->data : NULL,
                   read->length);
    history->ended++;
    switch (type[0]) {
    case 'o': history->ok++; break;
    case 'f': history->failed++; break;
    default: history->unknown++; worker->process += history->plan->clients;
    }
    pthread_mutex_unlock(&history->lock);
}

/* ---- A client ----------------------------------------------------------- */

static enum pbkv_status make_call(struct worker *worker,
                                  const struct call *call,
                                  struct pbkv_value *read)
{
    size_t length = strlen(call->key);

    switch (call->kind) {
    case KIND_GET: return pbkv_get(worker->store, call->key, length, 0, read);
    case KIND_PUT:
        return pbkv_put(worker->store, call->key, length, call->value,
                        strlen(call->value), 0);
    case KIND_APPEND: break;
    }
    return pbkv_append(worker->store, call->key, length, call->value,
                       strlen(call->value), 0);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct history *history = worker->history;
    struct call call = choose_call(worker);

    while (record_invocation(worker, &call)) {
        struct pbkv_value read = {NULL, 0};
        enum pbkv_status status = make_call(worker, &call, &read);

        record_completion(worker, &call, status, &read);
        pbkv_free(&read);
        call = choose_call(worker);
    }
    pthread_mutex_lock(&history->lock);
    history->running--;
    pthread_cond_signal(&history->changed);
    pthread_mutex_unlock(&history->lock);
    return NULL;
}

/* Opens a client's handle and starts its thread. */
static int start_worker(struct history *history, uint32_t number)
{
    struct worker *worker = &history->workers[number];
    char name[TEXT_SIZE];
    int status, error;

    worker->history = history;
    worker->number = number;
    worker->process = number;
    worker->random = ((uint64_t)history->plan->seed << 32) + number;
    snprintf(name, sizeof(name), "client%" PRIu32, number);
    status = tool_open_handle(history->tool, name, 1, NULL, &worker->store);
    if (status != TOOL_OK)
        return status;
    pthread_mutex_lock(&history->lock);
    history->running++;
    pthread_mutex_unlock(&history->lock);
    error = pthread_create(&worker->thread, NULL, work, worker);
    if (error == 0)
        return TOOL_OK;
    pthread_mutex_lock(&history->lock);
    history->running--;
    pthread_mutex_unlock(&history->lock);
    pbkv_close(worker->store);
    worker->store = NULL;
    tool_say(history->tool, "cannot start a thread: %s", strerror(error));
    return TOOL_NEGATIVE;
}

/* ---- All clients -------------------------------------------------------- */

/* Waits for the workers, shows how far they are and passes on a signal. */
static void watch(struct history *history)
{
    bool running = true;

    while (running) {
        uint64_t then = tool_now_ns() + WAIT_MS * 1000000u;
        struct timespec until = {(time_t)(then / 1000000000),
                                 (long)(then % 1000000000)};
        uint32_t ended;

        pthread_mutex_lock(&history->lock);
        if (tool_stop_wanted(history->tool->stop))
            history->stopping = true;
        if (history->running > 0)
            pthread_cond_timedwait(&history->changed, &history->lock, &until);
        running = history->running > 0;
        ended = history->ended;
        pthread_mutex_unlock(&history->lock);
        tool_progress_update(&history->tool->progress, ended, 0);
    }
}

static void stop_workers(struct history *history, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(history->workers[i].thread, NULL);
        pbkv_close(history->workers[i].store);
    }
}

static int judge(const struct history *history)
{
    if (history->stopping)
        return TOOL_NEGATIVE;
    if (history->ok == 0 && history->plan->ops > 0)
        return TOOL_UNAVAILABLE;
    return TOOL_OK;
}

static int run_workers(struct history *history)
{
    uint32_t count = 0;
    int status = TOOL_OK;

    history->workers =
        memory_new(history->plan->clients * sizeof(*history->workers));
    while (count < history->plan->clients && status == TOOL_OK) {
        status = start_worker(history, count);
        if (status == TOOL_OK)
            count++;
    }
    if (status != TOOL_OK) {
        pthread_mutex_lock(&history->lock);
        history->stopping = true;
        pthread_mutex_unlock(&history->lock);
    }
    watch(history);
    stop_workers(history, count);
    free(history->workers);
    return status != TOOL_OK ? status : judge(history);
}

/* Runs the clients with their record going to out. */
static int run_history(struct tool *tool, const struct plan *plan, FILE *out)
{
    struct history history = {.tool = tool, .plan = plan, .out = out};
    pthread_condattr_t attributes;
    int status;

    pthread_mutex_init(&history.lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&history.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!tool->quiet)
        tool_progress_begin(&tool->progress, "history", "operations",
                            plan->ops);
    status = run_workers(&history);
    tool_progress_end(&tool->progress);
    if (!tool->quiet)
        tool_say(tool,
                 "%" PRIu32 " operations, %" PRIu32 " ok, %" PRIu32
                 " failed, %" PRIu32 " unknown",
                 history.ended, history.ok, history.failed, history.unknown);
    pthread_cond_destroy(&history.changed);
    pthread_mutex_destroy(&history.lock);
    return status;
}

static int run_to_file(struct tool *tool, const struct plan *plan)
{
    struct tool_output output;
    int error = tool_output_open(&output, tool->stop, plan->file);
    int status = TOOL_NEGATIVE;

    if (error == 0) {
        status = run_history(tool, plan, output.stream);
        if (tool_stop_wanted(tool->stop)) {
            tool_output_discard(&output);
            return status;
        }
        error = tool_output_commit(&output, true);
    }
    if (error == 0)
        return status;
    tool_say(tool, "cannot write %s: %s", plan->file, strerror(-error));
    return TOOL_NEGATIVE;
}

static const char purpose[] =
    "Lets clients put, get and append at the same time and writes one JSON\n"
    "object per invocation and completion: process, type (invoke, ok, fail or\n"
    "info: outcome unknown), f, key, value, time in nanoseconds. Values that\n"
    "are put or appended are unique. An octet that is no printable ASCII is\n"
    "written as \\u00NN. A record is complete in itself only if nobody wrote\n"
    "its keys before: use a prefix of your own.\n"
    "\n"
    "Exit status 3 when not one operation was answered.";

int tool_history(struct tool *tool, int argc, char **argv)
{
    struct plan plan = {NULL,        "k",          CLIENTS_DEFAULT,
                        OPS_DEFAULT, KEYS_DEFAULT, 1};
    const struct program_option options[] = {
        PROGRAM_U32_OPTION("clients", "N", "clients at the same time (5)",
                           &plan.clients, 1, CLIENTS_MAX),
        PROGRAM_U32_OPTION("ops", "M", "operations of all together (1000)",
                           &plan.ops, 1, 100000000),
        PROGRAM_U32_OPTION("keys", "K", "different keys (5)", &plan.keys, 1,
                           1000000),
        PROGRAM_U32_OPTION("seed", "S", "of every random choice (1)",
                           &plan.seed, 0, UINT32_MAX),
        PROGRAM_TEXT_OPTION("prefix", "TEXT", "of every key (k)", &plan.prefix),
        PROGRAM_TEXT_OPTION("file", "F", "write to a file", &plan.file),
        TOOL_OPTIONS(tool)};
    const struct program program = {"pbkv history",      "", purpose, options,
                                    TOOL_COUNT(options), 0,  0};
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    if (strlen(plan.prefix) > TEXT_SIZE / 2)
        return program_refuse(&program, "--prefix takes at most %d octets",
                              TEXT_SIZE / 2);
    return plan.file ? run_to_file(tool, &plan)
                     : run_history(tool, &plan, stdout);
}
