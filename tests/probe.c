/* SPDX-License-Identifier: MIT */
/*
 * probe: see probe.h. The runner's log function runs at level DEBUG in the
 * loop's thread and feeds the recorder, so every named event of node and
 * runtime is recorded.
 */
#include "tests/probe.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"
#include "node/message.h"
#include "tests/time_scale.h"

enum { AWAIT_LIMIT_S = 20 };

/* ---- The node ----------------------------------------------------------- */

static void on_start(struct node *node, struct env *env)
{
    struct probe *probe = (struct probe *)node;

    env_log(env, LOG_LEVEL_DEBUG, "probe.start", "%s", "");
    if (probe->at_start != NULL)
        probe->at_start(env);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct probe *probe = (struct probe *)node;

    if (body->kind_case == PBKV__BODY__KIND_ECHO) {
        probe->echoes++;
        env_log(env, probe->frail ? LOG_LEVEL_FATAL : LOG_LEVEL_DEBUG,
                "probe.echo", "%s", from->address.text);
        message_answer_echo(env, from, body->echo);
    } else if (body->kind_case == PBKV__BODY__KIND_ECHO_REPLY) {
        env_log(env, LOG_LEVEL_DEBUG, "probe.reply", "%s", from->address.text);
        env_answer(env, body->echo_reply->call, body);
    } else {
        env_log(env, LOG_LEVEL_DEBUG, "probe.other", "%s",
                message_name(body->kind_case));
    }
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    static const char *const names[TIMERS_MAX] = {
        "probe.timer0", "probe.timer1", "probe.timer2", "probe.timer3",
        "probe.timer4", "probe.timer5", "probe.timer6", "probe.timer7"};

    (void)node;
    env_log(env, LOG_LEVEL_DEBUG, names[slot], "%s", "");
}

static struct node *clone(const struct node *node)
{
    struct probe *copy = memory_new(sizeof(*copy));

    *copy = *(const struct probe *)node;
    return &copy->node;
}

static void release(struct node *node)
{
    struct probe *probe = (struct probe *)node;

    if (probe->released != NULL)
        *probe->released = true;
    free(probe);
}

static void describe(const struct node *node, struct sink *sink)
{
    (void)node;
    sink_bool(sink, "probe", true);
}

static void check(const struct node *node)
{
    (void)node;
}

static void inspect(const struct node *node, struct inspection *inspection)
{
    (void)node;
    inspection->role = "probe";
    inspection->view.number = 7;
    inspection->view.primary = peer_at("unix:/primary", 1);
}

static struct probe *probe_new(void)
{
    static const struct node_type type = {
        "probe", on_start, on_message, on_timer, clone,
        release, describe, check,      inspect,  NULL};
    struct probe *probe = memory_new(sizeof(*probe));

    probe->node.type = &type;
    return probe;
}

/* ---- The recorder ------------------------------------------------------- */

/* Returns the place of a name, which is made if need be. */
static size_t place_of(struct recorder *recorder, const char *name)
{
    size_t i = 0;

    while (i < recorder->name_count && strcmp(recorder->names[i], name) != 0)
        i++;
    if (i == recorder->name_count && i < PROBE_NAMES_MAX - 1) {
        snprintf(recorder->names[i], EVENT_NAME_MAX, "%s", name);
        recorder->name_count++;
    }
    return i;
}

static void record(struct recorder *recorder, const char *name)
{
    pthread_mutex_lock(&recorder->mutex);
    recorder->counts[place_of(recorder, name)]++;
    if (strncmp(name, "probe.timer", 11) == 0) {
        size_t length = strlen(recorder->order);

        if (length + 1 < PROBE_ORDER_SIZE)
            recorder->order[length] = name[11];
    }
    pthread_cond_broadcast(&recorder->changed);
    pthread_mutex_unlock(&recorder->mutex);
}

static void on_log(void *context, const struct rpc_log_line *line)
{
    struct runner *runner = context;

    record(&runner->recorder, line->event);
}

static void on_answer(void *context, uint64_t call, const Pbkv__Body *body)
{
    struct runner *runner = context;

    (void)call;
    (void)body;
    record(&runner->recorder, "answer");
}

void runner_await(struct runner *runner, const char *event, uint64_t count)
{
    struct recorder *recorder = &runner->recorder;
    struct timespec until;
    uint64_t have;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)time_scaled(AWAIT_LIMIT_S);
    pthread_mutex_lock(&recorder->mutex);
    while (recorder->counts[place_of(recorder, event)] < count && error == 0)
        error = pthread_cond_timedwait(&recorder->changed, &recorder->mutex,
                                       &until);
    have = recorder->counts[place_of(recorder, event)];
    pthread_mutex_unlock(&recorder->mutex);
    ck_assert_msg(have >= count, "%s: %llu of %llu came", event,
                  (unsigned long long)have, (unsigned long long)count);
}

uint64_t runner_recorded(struct runner *runner, const char *event)
{
    struct recorder *recorder = &runner->recorder;
    uint64_t count;

    pthread_mutex_lock(&recorder->mutex);
    count = recorder->counts[place_of(recorder, event)];
    pthread_mutex_unlock(&recorder->mutex);
    return count;
}

/* ---- The runner --------------------------------------------------------- */

void runner_init(struct runner *runner, const char *name, const char *address)
{
    memset(runner, 0, sizeof(*runner));
    pthread_mutex_init(&runner->recorder.mutex, NULL);
    pthread_cond_init(&runner->recorder.changed, NULL);
    runner->config = rpc_config_default();
    runner->config.name = name;
    runner->config.self = peer_at(address, rpc_new_incarnation());
    if (strncmp(address, "client:", 7) != 0)
        runner->config.listen = address;
    runner->config.log_level = LOG_LEVEL_DEBUG;
    runner->config.on_log = on_log;
    runner->config.on_answer = on_answer;
    runner->config.context = runner;
    runner->probe = probe_new();
}

int runner_open(struct runner *runner)
{
    const char *reason = NULL;
    int error =
        rpc_new(&runner->config, &runner->probe->node, &runner->rpc, &reason);

    if (error == 0)
        runner->self = rpc_self(runner->rpc);
    else
        ck_assert_ptr_nonnull(reason);
    return error;
}

static void *run(void *argument)
{
    struct runner *runner = argument;

    runner->result = rpc_run(runner->rpc);
    return NULL;
}

void runner_start(struct runner *runner)
{
    ck_assert_int_eq(pthread_create(&runner->thread, NULL, run, runner), 0);
    runner->running = true;
}

void runner_go(struct runner *runner)
{
    ck_assert_int_eq(runner_open(runner), 0);
    runner_start(runner);
}

int runner_join(struct runner *runner)
{
    ck_assert(runner->running);
    ck_assert_int_eq(pthread_join(runner->thread, NULL), 0);
    runner->running = false;
    return runner->result;
}

void runner_end(struct runner *runner)
{
    if (runner->running) {
        rpc_stop(runner->rpc);
        runner_join(runner);
    }
    if (runner->rpc != NULL)
        rpc_free(runner->rpc);
    else
        node_release(&runner->probe->node);
    pthread_mutex_destroy(&runner->recorder.mutex);
    pthread_cond_destroy(&runner->recorder.changed);
}

struct echoes {
    struct peer to;
    unsigned count;
    size_t size;
};

static void send_echoes(void *argument, struct node *node, struct env *env)
{
    struct echoes *echoes = argument;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    uint8_t *payload = memory_new(echoes->size + 1);

    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    echo.payload = message_octets(payload, echoes->size);
    for (unsigned i = 0; node != NULL && i < echoes->count; i++) {
        echo.call = i + 1;
        env_send(env, &echoes->to, &body);
    }
    free(payload);
    free(echoes);
}

void runner_echo(struct runner *runner, const struct peer *to, unsigned count,
                 size_t size)
{
    struct echoes *echoes = memory_new(sizeof(*echoes));

    *echoes = (struct echoes){*to, count, size};
    ck_assert_int_eq(rpc_post(runner->rpc, send_echoes, echoes), 0);
}

struct question {
    struct runner *runner;
    const char *name;
    uint64_t value;
};

static void read_counter(void *argument, struct node *node, struct env *env)
{
    struct question *question = argument;

    (void)node;
    question->value = rpc_count(question->runner->rpc, question->name);
    env_log(env, LOG_LEVEL_DEBUG, "probe.counted", "%s", question->name);
}

uint64_t runner_count(struct runner *runner, const char *counter)
{
    struct question question = {.runner = runner, .name = counter};
    uint64_t before = runner_recorded(runner, "probe.counted");

    if (!runner->running)
        return rpc_count(runner->rpc, counter);
    ck_assert_int_eq(rpc_post(runner->rpc, read_counter, &question), 0);
    runner_await(runner, "probe.counted", before + 1);
    return question.value;
}

/* ---- Directories -------------------------------------------------------- */

void directory_make(char path[PROBE_PATH_SIZE])
{
    const char *parent = getenv("TMPDIR");

    snprintf(path, PROBE_PATH_SIZE, "%s/pbkv-rpc-XXXXXX",
             parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

void directory_remove(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)) != NULL) {
        char name[PROBE_PATH_SIZE + 260];

        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(name);
    }
    closedir(directory);
    ck_assert_int_eq(rmdir(path), 0);
}
