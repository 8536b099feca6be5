/* SPDX-License-Identifier: MIT */
/*
 * echo: the echo roles (node/echo.h) as a program on a real network: with
 * --listen it is the server, with --to it is the client, which prints one line
 * for each echo and ends.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/echo.h"
#include "rpc/program.h"
#include "rpc/rpc.h"

struct arguments {
    const char *listen;
    const char *to;
    uint32_t count;
    uint32_t retry_ms;
    struct program_runtime runtime;
};

/* What the client's answers need. */
struct ending {
    struct rpc *rpc;
    struct program_log log;
    uint32_t left;
    uint32_t failed;
};

enum { OPTIONS_MAX = 16, ATTEMPTS = 20 };

static size_t list_options(struct arguments *arguments,
                           struct program_option options[OPTIONS_MAX])
{
    const struct program_option list[] = {
        PROGRAM_TEXT_OPTION("listen", "ADDR", "be the server, at this address",
                            &arguments->listen),
        PROGRAM_TEXT_OPTION("to", "ADDR", "be the client of this server",
                            &arguments->to),
        PROGRAM_U32_OPTION("count", "N", "echoes to send (3)",
                           &arguments->count, 1, 1000000),
        PROGRAM_U32_OPTION("retry-ms", "MS", "before sending again (100)",
                           &arguments->retry_ms, 1, 60000),
        PROGRAM_RUNTIME_OPTIONS(&arguments->runtime),
    };

    memcpy(options, list, sizeof(list));
    return sizeof(list) / sizeof(list[0]);
}

static void on_log(void *context, const struct rpc_log_line *line)
{
    struct ending *ending = context;

    program_log_line(&ending->log, line);
}

static void on_answer(void *context, uint64_t call, const Pbkv__Body *body)
{
    struct ending *ending = context;

    if (body->kind_case == PBKV__BODY__KIND_ECHO_REPLY)
        printf("%.*s\n", (int)body->echo_reply->payload.len,
               (const char *)body->echo_reply->payload.data);
    else {
        printf("echo %" PRIu64 " is not answered\n", call);
        ending->failed++;
    }
    fflush(stdout);
    if (--ending->left == 0)
        rpc_stop(ending->rpc);
}

static int run_client(const struct program *program,
                      const struct arguments *arguments,
                      struct rpc_config *config)
{
    struct ending ending = {.left = arguments->count};
    struct echo_config echo = {.count = arguments->count,
                               .retry_ms = arguments->retry_ms,
                               .attempts = ATTEMPTS};
    const char *reason;
    struct node *node;
    int status = program_address(program, "to", arguments->to, &echo.server);

    if (status != PROGRAM_GO_ON)
        return status;
    program_log_init(&ending.log);
    config->on_log = on_log;
    config->on_answer = on_answer;
    config->context = &ending;
    config->name = "echo-client";
    config->self = peer_at("client:echo", rpc_new_incarnation());
    node = echo_client_new(&echo);
    if (rpc_new(config, node, &ending.rpc, &reason) < 0) {
        node_release(node);
        return program_refuse(program, "%s", reason);
    }
    status = rpc_run(ending.rpc);
    rpc_free(ending.rpc);
    program_log_close(&ending.log);
    return status == 0 && ending.failed == 0 ? 0 : PROGRAM_FAILED;
}

static int run_server(const struct program *program,
                      const struct arguments *arguments,
                      struct rpc_config *config)
{
    int status = program_address(program, "listen", arguments->listen,
                                 &config->self.address);

    if (status != PROGRAM_GO_ON)
        return status;
    config->self.incarnation = rpc_new_incarnation();
    config->name = arguments->listen;
    config->listen = arguments->listen;
    return program_serve(program, config, echo_server_new(), NULL);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.count = 3, .retry_ms = 100};
    struct program_option options[OPTIONS_MAX];
    struct program program = {
        .name = "echo",
        .operands = "",
        .purpose = "Sends back what it gets, or asks somebody who does.",
        .options = options,
    };
    struct rpc_config config = rpc_config_default();
    struct program_log log;
    int operand;
    int status;

    program.option_count = list_options(&arguments, options);
    program_log_init(&log);
    status = program_parse(&program, argc, argv, &operand);
    if (status == PROGRAM_GO_ON && (!arguments.listen == !arguments.to))
        status = program_refuse(&program, "give --listen or --to");
    if (status == PROGRAM_GO_ON)
        status = program_configure(&program, &arguments.runtime, &log, &config);
    if (status == PROGRAM_GO_ON)
        status = arguments.to ? run_client(&program, &arguments, &config)
                              : run_server(&program, &arguments, &config);
    program_log_close(&log);
    return status;
}
