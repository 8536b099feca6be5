/* SPDX-License-Identifier: MIT */
/*
 * hosts: see hosts.h. A host is an rpc and the thread that runs it. What the
 * test wants to know of a node it has told by the node's own loop: it posts a
 * question there and waits for the answer.
 */
#include "tests/hosts.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"
#include "pbserver/server.h"
#include "rpc/loop.h"
#include "rpc/rpc.h"
#include "tests/time_scale.h"
#include "viewservice/view_record.h"
#include "viewservice/view_server.h"

enum {
    PING_MS = 40,
    DEAD_PINGS = 5,
    RETRY_MS = 100, /* of clients */
    CALL_MS = 5000, /* of clients */
    LOOK_MS = 10,   /* between two looks */
    PATH_SIZE = 96,
};

struct host {
    struct hosts *hosts;
    char name[16];
    char address[PBKV_ADDRESS_SIZE]; /* with the port, once it is known */
    struct peer self;                /* of the newest life */
    struct rpc *rpc;                 /* NULL: does not run */
    pthread_t thread;
};

struct hosts {
    struct hosts_options options;
    char directory[PATH_SIZE / 2];
    char state[PATH_SIZE]; /* file of the view service */
    struct host view_service;
    struct host servers[HOSTS_SERVERS_MAX];

    pthread_mutex_t mutex; /* guards `done` of a look */
    pthread_cond_t looked;
};

/* Ends the process: the system is in no state to go on. */
static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("hosts: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

/* ---- Waiting ------------------------------------------------------------ */

static void rest(void)
{
    struct timespec pause = {0, LOOK_MS * 1000000L};

    nanosleep(&pause, NULL);
}

struct condition {
    struct hosts *hosts;
    const struct host *one;
    const struct host *other;
    uint64_t number;
    bool (*holds)(struct condition *condition);
};

/* Looks until the condition holds. Returns false at the deadline. */
static bool wait_until(struct condition *condition)
{
    uint64_t end = rpc_now_ms() + time_scaled(HOSTS_WAIT_MS);

    while (!condition->holds(condition)) {
        if (rpc_now_ms() >= end)
            return false;
        rest();
    }
    return true;
}

/* ---- Looking into a node ------------------------------------------------ */

struct look {
    struct hosts *hosts;
    struct inspection *inspection;
    bool done;
};

static void look_posted(void *argument, struct node *node, struct env *env)
{
    struct look *look = argument;
    struct hosts *hosts = look->hosts;

    (void)env;
    if (node)
        node->type->inspect(node, look->inspection);
    pthread_mutex_lock(&hosts->mutex);
    look->done = true;
    pthread_cond_broadcast(&hosts->looked);
    pthread_mutex_unlock(&hosts->mutex);
}

/* Asks a host's node about itself; a host that does not run says nothing. */
static void host_look(const struct host *host, struct inspection *inspection)
{
    struct look look = {host->hosts, inspection, false};
    struct hosts *hosts = host->hosts;

    memset(inspection, 0, sizeof(*inspection));
    if (!host->rpc || rpc_post(host->rpc, look_posted, &look) < 0)
        return;
    pthread_mutex_lock(&hosts->mutex);
    while (!look.done)
        pthread_cond_wait(&hosts->looked, &hosts->mutex);
    pthread_mutex_unlock(&hosts->mutex);
}

static bool is_acknowledged(const struct inspection *vs)
{
    for (uint32_t i = 0; i < vs->server_count; i++)
        if (peer_equal(&vs->servers[i].peer, &vs->view.primary))
            return vs->servers[i].view == vs->view.number;
    return false;
}

static bool is_settled(struct condition *condition)
{
    struct inspection vs;
    const struct host *backup = condition->other;

    host_look(&condition->hosts->view_service, &vs);
    condition->number = vs.view.number;
    return is_acknowledged(&vs) &&
           peer_equal(&vs.view.primary, &condition->one->self) &&
           (backup ? peer_equal(&vs.view.backup, &backup->self)
                   : !peer_is_present(&vs.view.backup));
}

bool hosts_settle(struct hosts *hosts, unsigned primary, int backup,
                  uint64_t *number)
{
    struct condition condition = {.hosts = hosts,
                                  .one = &hosts->servers[primary],
                                  .other = backup < 0 ? NULL
                                                      : &hosts->servers[backup],
                                  .holds = is_settled};
    bool settled = wait_until(&condition);

    if (number)
        *number = condition.number;
    return settled;
}

static bool is_agreed(struct condition *condition)
{
    struct inspection one, other;

    host_look(condition->one, &one);
    host_look(condition->other, &other);
    return one.applied == other.applied && one.keys == other.keys &&
           memcmp(&one.digest, &other.digest, sizeof(one.digest)) == 0;
}

bool hosts_agree(struct hosts *hosts, unsigned one, unsigned other)
{
    struct condition condition = {.hosts = hosts,
                                  .one = &hosts->servers[one],
                                  .other = &hosts->servers[other],
                                  .holds = is_agreed};

    return wait_until(&condition);
}

/* ---- One host ----------------------------------------------------------- */

static void *host_main(void *argument)
{
    rpc_run(argument);
    return NULL;
}

/* Makes the loop of a node and notes the address that it was given. */
static void host_make(struct host *host, struct rpc_config *config,
                      struct node *node)
{
    struct hosts *hosts = host->hosts;
    const char *reason = "";
    int error;

    config->name = host->name;
    config->self = host->self;
    config->listen = host->address;
    config->timer_scale_percent = hosts->options.scale_percent;
    error = rpc_new(config, node, &host->rpc, &reason);
    if (error < 0)
        give_up("%s: %s: %s", host->address, reason, strerror(-error));
    host->self = rpc_self(host->rpc);
    snprintf(host->address, sizeof(host->address), "%s",
             host->self.address.text);
}

/* Starts the thread of a host that was made. */
static void host_go(struct host *host)
{
    if (pthread_create(&host->thread, NULL, host_main, host->rpc) != 0)
        give_up("there is no thread for %s", host->name);
}

static void host_crash(struct host *host)
{
    if (!host->rpc)
        return;
    rpc_stop(host->rpc);
    pthread_join(host->thread, NULL);
    rpc_free(host->rpc);
    host->rpc = NULL;
}

/* Gives a host that does not run its next life. */
static void host_be_born(struct host *host)
{
    const char *text = host->address;

    if (host->rpc)
        give_up("%s runs", host->name);
    if (address_init(&host->self.address, text, strlen(text)) < 0)
        give_up("%s is no address", text);
    host->self.incarnation = rpc_new_incarnation();
}

void hosts_crash(struct hosts *hosts, unsigned server)
{
    host_crash(&hosts->servers[server]);
}

void hosts_restart(struct hosts *hosts, unsigned server)
{
    struct host *host = &hosts->servers[server];
    struct server_config config = server_config_default();
    struct rpc_config loop = rpc_config_default();
    const char *view = hosts->view_service.address;
    const char *reason = "";
    struct node *node;

    host_be_born(host);
    config.self = host->self;
    config.ping_ms = PING_MS;
    if (hosts->options.chunk_octets > 0)
        config.chunk_octets = hosts->options.chunk_octets;
    if (address_init(&config.view_service, view, strlen(view)) < 0 ||
        (hosts->options.faults &&
         faults_parse(hosts->options.faults, &loop.faults, &reason) < 0))
        give_up("%s: %s", host->name, reason);
    node = server_new(&config);
    host_make(host, &loop, node);
    server_set_address(node, &host->self.address);
    host_go(host);
}

void hosts_crash_view_service(struct hosts *hosts)
{
    host_crash(&hosts->view_service);
}

void hosts_restart_view_service(struct hosts *hosts)
{
    static const struct view_server_config config = {PING_MS, DEAD_PINGS};
    struct host *host = &hosts->view_service;
    struct rpc_config loop = rpc_config_default();
    struct view_record record;
    struct bytes *octets = NULL;
    const char *reason = "it cannot be read";

    host_be_born(host);
    if (rpc_read_record(hosts->state, &octets) < 0 ||
        (octets && view_record_decode(octets->data, octets->length, &record,
                                      &reason) < 0))
        give_up("%s: %s", hosts->state, reason);
    loop.persist_path = hosts->state;
    host_make(host, &loop, view_server_new(&config, octets ? &record : NULL));
    bytes_release(octets);
    host_go(host);
}

/* ---- All of them -------------------------------------------------------- */

static void host_init(struct host *host, struct hosts *hosts, const char *name,
                      unsigned number)
{
    host->hosts = hosts;
    snprintf(host->name, sizeof(host->name), "%s%.0u", name, number);
    snprintf(host->address, sizeof(host->address), "127.0.0.1:0");
}

static void make_directory(struct hosts *hosts)
{
    const char *parent = getenv("TMPDIR");

    if (!parent || strlen(parent) > sizeof(hosts->directory) - 20)
        parent = "/tmp";
    snprintf(hosts->directory, sizeof(hosts->directory), "%s/pbkv-hosts-XXXXXX",
             parent);
    if (!mkdtemp(hosts->directory))
        give_up("%s: %s", hosts->directory, strerror(errno));
    snprintf(hosts->state, sizeof(hosts->state), "%s/view.state",
             hosts->directory);
}

/* Starts server 0 as primary, server 1 as its backup, and the others. */
static bool form(struct hosts *hosts)
{
    for (unsigned i = 0; i < hosts->options.servers; i++) {
        hosts_restart(hosts, i);
        if (i < 2 && !hosts_settle(hosts, 0, i == 0 ? -1 : 1, NULL))
            return false;
    }
    return true;
}

struct hosts *hosts_new(const struct hosts_options *options)
{
    struct hosts *hosts = memory_new(sizeof(*hosts));

    hosts->options = *options;
    if (options->scale_percent == 0)
        hosts->options.scale_percent = time_scale_percent();
    pthread_mutex_init(&hosts->mutex, NULL);
    pthread_cond_init(&hosts->looked, NULL);
    make_directory(hosts);
    host_init(&hosts->view_service, hosts, "view", 0);
    for (unsigned i = 0; i < options->servers; i++)
        host_init(&hosts->servers[i], hosts, "s", i + 1);
    hosts_restart_view_service(hosts);
    if (form(hosts))
        return hosts;
    hosts_free(hosts);
    return NULL;
}

void hosts_free(struct hosts *hosts)
{
    for (unsigned i = 0; i < hosts->options.servers; i++)
        host_crash(&hosts->servers[i]);
    host_crash(&hosts->view_service);
    unlink(hosts->state);
    if (rmdir(hosts->directory) != 0)
        give_up("%s: %s", hosts->directory, strerror(errno));
    pthread_cond_destroy(&hosts->looked);
    pthread_mutex_destroy(&hosts->mutex);
    free(hosts);
}

static const char *view_address(const struct hosts *hosts)
{
    return hosts->view_service.address;
}

const char *hosts_address(const struct hosts *hosts, unsigned server)
{
    return hosts->servers[server].address;
}

struct pbkv *hosts_open(const struct hosts *hosts)
{
    struct pbkv_options options = {0};
    struct pbkv *store;

    options.view_service = view_address(hosts);
    options.retry_ms = time_scaled(RETRY_MS);
    options.deadline_ms = time_scaled(CALL_MS);
    if (pbkv_open(&options, &store) != PBKV_OK)
        give_up("pbkv_open failed");
    return store;
}
