/* SPDX-License-Identifier: MIT */
/*
 * field: see field.h. Making and asking; what is done to processes is in
 * strike.c.
 *
 * Behind a proxy every process listens at NAME.sock and is known to others as
 * NAME.front. Host 1 of the proxy is the view service, host 2 the first server.
 */
#include "tests/chaos/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "tests/chaos/field_state.h"
#include "tests/chaos/hosts.h"

enum { ASK_MS = 700, PORT = 7000 };

struct cluster *field_cluster(const struct field *field)
{
    return field->cluster;
}

struct process *field_view_service(const struct field *field)
{
    return field->view_service;
}

struct process *field_server(const struct field *field, unsigned number)
{
    return field->servers[number];
}

const char *field_view_address(const struct field *field)
{
    return field->view_address;
}

struct process *field_server_at(const struct field *field, const char *address)
{
    for (unsigned i = 0; i < field->options.servers; i++)
        if (strcmp(field->servers[i]->address, address) == 0)
            return field->servers[i];
    return NULL;
}

struct pbkv_inspection *field_inspect(struct field *field,
                                      const struct process *process)
{
    struct pbkv_inspection *inspection = NULL;

    pbkv_inspect(field->observer, process->listen, cluster_stretch(ASK_MS),
                 &inspection);
    return inspection;
}

/* ---- Making ------------------------------------------------------------- */

struct field *field_new(const struct field_options *options)
{
    struct cluster_options usual = {.trace = options->trace_max != NULL};
    struct field *field = memory_new(sizeof(*field));

    field->options = *options;
    field->cluster = cluster_new(&usual);
    return field;
}

void field_free(struct field *field)
{
    pbkv_close(field->observer);
    if (field->proxy)
        proxy_free(field->proxy);
    cluster_free(field->cluster);
    free(field);
}

/* Writes the address of a Unix socket in the cluster's directory. */
static void local_address(struct field *field, const char *name,
                          const char *suffix, char address[PBKV_ADDRESS_SIZE])
{
    char file[CLUSTER_NAME_SIZE + 8], path[CLUSTER_PATH_SIZE];

    snprintf(file, sizeof(file), "%s.%s", name, suffix);
    snprintf(address, PBKV_ADDRESS_SIZE, "unix:%s",
             cluster_path(field->cluster, file, path));
}

/* Decides where a process listens and where others reach it. Returns false when
 * it gets no host. */
static bool place(struct field *field, unsigned host, const char *name,
                  char listen[PBKV_ADDRESS_SIZE], char front[PBKV_ADDRESS_SIZE])
{
    char address[HOSTS_ADDRESS_SIZE] = HOSTS_HUB_ADDRESS;
    int network = -1;

    if (field->options.namespaces) {
        if (host >= FIRST_SERVER)
            network = hosts_add(host - FIRST_SERVER + 1, address);
        cluster_set_network(field->cluster, network);
        snprintf(listen, PBKV_ADDRESS_SIZE, "%s:%d", address, PORT);
        snprintf(front, PBKV_ADDRESS_SIZE, "%s", listen);
        return host < FIRST_SERVER || network >= 0;
    }
    local_address(field, name, "sock", listen);
    local_address(field, name, "front", front);
    proxy_add(field->proxy, host, strchr(front, '/'), strchr(listen, '/'));
    return true;
}

/* The arguments of a process, put together. */
struct words {
    const char *list[CLUSTER_ARGUMENTS_MAX];
    int count;
};

static void add_words(struct words *words, const char *flag, const char *value)
{
    if (words->count + 3 > CLUSTER_ARGUMENTS_MAX)
        abort();
    words->list[words->count++] = flag;
    words->list[words->count++] = value;
}

/* Starts a process that has a place. */
static struct process *start(struct field *field, unsigned host,
                             const char *program, const char *name,
                             struct words *words)
{
    char ping[16];
    struct process *process;

    snprintf(ping, sizeof(ping), "%u", cluster_stretch(FIELD_PING_MS));
    add_words(words, "--ping-ms", ping);
    if (field->options.trace_max)
        add_words(words, "--trace-max", field->options.trace_max);
    process = process_start(field->cluster, program, name, words->list);
    if (field->proxy)
        proxy_set_process(field->proxy, host, process->pid);
    return process_is_ready(process) ? process : NULL;
}

static bool start_view_service(struct field *field)
{
    char listen[PBKV_ADDRESS_SIZE], dead[16], path[CLUSTER_PATH_SIZE];
    struct words words = {.count = 0};
    struct pbkv_options options = {.name = "observer", .retry_ms = 100};

    if (!place(field, VIEW_HOST, "view", listen, field->view_address))
        return false;
    snprintf(dead, sizeof(dead), "%d", FIELD_DEAD_PINGS);
    add_words(&words, "--listen", listen);
    add_words(&words, "--state",
              cluster_path(field->cluster, "view.state", path));
    add_words(&words, "--dead-pings", dead);
    field->view_service =
        start(field, VIEW_HOST, "viewservice", "view", &words);
    options.view_service = listen;
    return field->view_service &&
           pbkv_open(&options, &field->observer) == PBKV_OK;
}

static bool start_server(struct field *field, unsigned number)
{
    char listen[PBKV_ADDRESS_SIZE], front[PBKV_ADDRESS_SIZE], name[16];
    const char *const *more = field->options.more;
    struct words words = {.count = 0};

    snprintf(name, sizeof(name), "s%u", number + 1);
    if (!place(field, FIRST_SERVER + number, name, listen, front))
        return false;
    add_words(&words, "--listen", listen);
    add_words(&words, "--advertise", front);
    add_words(&words, "--view", field->view_address);
    add_words(&words, "--name", name);
    if (field->options.loss && field->options.loss[0] != '\0')
        add_words(&words, "--faults", field->options.loss);
    for (; more && more[0]; more += 2)
        add_words(&words, more[0], more[1]);
    field->servers[number] =
        start(field, FIRST_SERVER + number, "pbserver", name, &words);
    return field->servers[number];
}

bool field_start(struct field *field)
{
    if (!field->options.namespaces)
        field->proxy = proxy_new();
    if (!start_view_service(field))
        return false;
    for (unsigned i = 0; i < field->options.servers; i++)
        if (!start_server(field, i))
            return false;
    return field_settles(field, CLUSTER_WAIT_MS);
}

/* ---- Asking ------------------------------------------------------------- */

/* Returns whether the view's primary has acknowledged it. */
bool field_is_acknowledged(const struct pbkv_inspection *seen)
{
    const struct pbkv_peer *primary = &seen->view.primary;

    for (size_t i = 0; i < seen->server_count; i++)
        if (strcmp(seen->servers[i].peer.address, primary->address) == 0 &&
            seen->servers[i].peer.incarnation == primary->incarnation)
            return seen->servers[i].view == seen->view.number;
    return false;
}

static bool condition_settled(void *context)
{
    struct field *field = context;
    struct pbkv_inspection *seen = field_inspect(field, field->view_service);
    bool settled = seen && field_is_acknowledged(seen) &&
                   seen->view.backup.address[0] != '\0';

    if (seen)
        field->view = seen->view;
    pbkv_inspection_free(seen);
    return settled;
}

bool field_settles(struct field *field, uint32_t ms)
{
    return cluster_wait(ms, condition_settled, field);
}

const char *field_casualty(struct field *field)
{
    struct process *process = field->view_service;

    for (unsigned i = 0; i <= field->options.servers; i++) {
        if (process->pid != 0 && process_wait(process, 0) >= 0)
            return process->name;
        if (i < field->options.servers)
            process = field->servers[i];
    }
    return NULL;
}
