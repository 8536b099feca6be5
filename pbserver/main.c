/* SPDX-License-Identifier: MIT */
/*
 * pbserver: one kv server as a program. The role does the work (server.h), the
 * runtime feeds it (rpc/rpc.h); what is left here is the command line.
 *
 * A server keeps nothing on disk: what it knows, it knows from the view service
 * and from the primary. Each start is a new incarnation.
 */
#include <malloc.h>
#include <string.h>

#include "node/message.h"
#include "pbserver/server.h"
#include "rpc/program.h"
#include "rpc/rpc.h"

struct arguments {
    const char *listen;
    const char *advertise;
    const char *view;
    const char *name;
    size_t max_key;
    size_t max_value;
    size_t max_memory;
    uint32_t max_connections;
    struct program_runtime runtime;
    struct server_config server;
};

enum {
    OPTIONS_MAX = 16,
    MEBIBYTE = 1024 * 1024,
};

static const struct arguments defaults = {
    .max_key = KEY_LIMIT,
    .max_value = VALUE_LIMIT,
};

/* Fills in the table of flags and returns how many there are. */
static size_t list_options(struct arguments *arguments,
                           struct program_option options[OPTIONS_MAX])
{
    const struct program_option list[] = {
        PROGRAM_TEXT_OPTION("listen", "ADDR",
                            "host:port, [v6]:port or unix:/path (required)",
                            &arguments->listen),
        PROGRAM_TEXT_OPTION("view", "ADDR",
                            "address of the view service (required)",
                            &arguments->view),
        PROGRAM_TEXT_OPTION("advertise", "ADDR",
                            "address at which others reach this server "
                            "(what --listen says)",
                            &arguments->advertise),
        PROGRAM_TEXT_OPTION("name", "NAME",
                            "name in logs and traces (the address)",
                            &arguments->name),
        PROGRAM_U32_OPTION("ping-ms", "MS",
                           "between pings; as the view service has it (100)",
                           &arguments->server.ping_ms, 1, 60000),
        PROGRAM_U32_OPTION("resend-ms", "MS",
                           "without progress before sending again (50)",
                           &arguments->server.resend_ms, 1, 60000),
        PROGRAM_SIZE_OPTION("max-key", "OCTETS", "of a key (4K)",
                            &arguments->max_key, 1, KEY_LIMIT),
        PROGRAM_SIZE_OPTION("max-value", "OCTETS", "of a value (1008K)",
                            &arguments->max_value, 1, VALUE_LIMIT),
        PROGRAM_SIZE_OPTION("max-memory", "OCTETS",
                            "of all keys and values together (8G)",
                            &arguments->max_memory, 1024, 0),
        PROGRAM_U32_OPTION("max-sessions", "N",
                           "client sessions remembered (65536)",
                           &arguments->server.limits.sessions, 1, 16777216),
        PROGRAM_U32_OPTION("max-connections", "N",
                           "connections open at once (10000)",
                           &arguments->max_connections, 1, 1000000),
        PROGRAM_RUNTIME_OPTIONS(&arguments->runtime),
    };

    memcpy(options, list, sizeof(list));
    return sizeof(list) / sizeof(list[0]);
}

/* Makes the server's and the runtime's configuration from the arguments. */
static int configure(const struct program *program, struct arguments *arguments,
                     struct program_log *log, struct rpc_config *config)
{
    struct peer *self = &arguments->server.self;
    int status =
        program_address(program, "listen", arguments->listen, &self->address);

    if (status == PROGRAM_GO_ON && arguments->advertise)
        status = program_address(program, "advertise", arguments->advertise,
                                 &self->address);
    if (status == PROGRAM_GO_ON)
        status = program_address(program, "view", arguments->view,
                                 &arguments->server.view_service);
    if (status != PROGRAM_GO_ON)
        return status;
    self->incarnation = rpc_new_incarnation();
    arguments->server.limits.key = (uint32_t)arguments->max_key;
    arguments->server.limits.value = (uint32_t)arguments->max_value;
    arguments->server.limits.octets = arguments->max_memory;
    config->name = arguments->name ? arguments->name : arguments->listen;
    config->self = *self;
    config->listen = arguments->listen;
    config->limits.connections = arguments->max_connections;
    return program_configure(program, &arguments->runtime, log, config);
}

/* Tells malloc what to expect. The tables of a store are mapped on their own,
 * so that growing one moves pages and copies nothing; frames and chunks, which
 * come and go, are not, and their memory stays here for the next ones. */
static void prepare_malloc(void)
{
    mallopt(M_MMAP_THRESHOLD, 2 * MEBIBYTE);
    mallopt(M_TRIM_THRESHOLD, 16 * MEBIBYTE);
    mallopt(M_TOP_PAD, MEBIBYTE);
}

int main(int argc, char **argv)
{
    struct arguments arguments = defaults;
    struct program_option options[OPTIONS_MAX];
    struct program program = {
        .name = "pbserver",
        .operands = "",
        .purpose = "Serves keys and values as primary or backup, as the view "
                   "service says.",
        .options = options,
    };
    struct program_log log;
    struct rpc_config config = rpc_config_default();
    int operand;
    int status;

    prepare_malloc();
    arguments.server = server_config_default();
    arguments.max_memory = arguments.server.limits.octets;
    arguments.max_connections = config.limits.connections;
    program.option_count = list_options(&arguments, options);
    program_log_init(&log);
    status = program_parse(&program, argc, argv, &operand);
    if (status == PROGRAM_GO_ON)
        status = configure(&program, &arguments, &log, &config);
    if (status == PROGRAM_GO_ON)
        status = program_serve(&program, &config, server_new(&arguments.server),
                               server_set_address);
    program_log_close(&log);
    return status;
}
