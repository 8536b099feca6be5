/* SPDX-License-Identifier: MIT */
/*
 * tool_bench: the command `pbkv bench`. It opens the clients, waits until each
 * has had an answer, writes every key once if it is asked to, measures, and
 * prints what came out. The work is in tool_bench_load.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/tool_bench.h"
#include "node/memory.h"

enum {
    CLIENTS_DEFAULT = 50,
    CLIENTS_MAX = 10000,
    OUTSTANDING_MAX = 1024, /* the library's limit of sessions */
    THREADS_DEFAULT = 1,
    THREADS_MAX = 64,
    VALUE_SIZE_DEFAULT = 100,
    KEYS_DEFAULT = 100000,
    KEYS_MAX = 1000000000,
    SECONDS_DEFAULT = 10,
    SECONDS_MAX = 86400,
};

/* What the command line asks for. */
struct request {
    struct bench_plan plan;
    size_t value_size;
    bool fill;
    bool json;
};

/* Runs a stage that has to succeed before anything can be measured. */
static int run_before(struct tool *tool, struct bench *bench,
                      enum bench_stage stage, struct measure *measure)
{
    enum pbkv_status status = bench_run(bench, stage, measure);

    if (status == PBKV_OK && tool_stop_wanted(tool->stop))
        return TOOL_NEGATIVE;
    return stage == BENCH_FILL ? tool_conclude_update(tool, status)
                               : tool_conclude_read(tool, status);
}

static int measure_and_print(struct tool *tool, struct bench *bench,
                             const struct request *request,
                             struct measure *measure)
{
    enum pbkv_status status = bench_run(bench, BENCH_MEASURE, measure);

    if (request->json)
        measure_write_json(stdout, measure);
    else
        measure_write_text(stdout, measure);
    if (tool_stop_wanted(tool->stop))
        return TOOL_NEGATIVE;
    return tool_conclude_update(tool, status);
}

static int run_stages(struct tool *tool, struct bench *bench,
                      const struct request *request)
{
    struct measure *measure = memory_new(sizeof(*measure));
    int status = run_before(tool, bench, BENCH_TOUCH, measure);

    if (status == TOOL_OK && request->fill)
        status = run_before(tool, bench, BENCH_FILL, measure);
    if (status == TOOL_OK)
        status = measure_and_print(tool, bench, request, measure);
    free(measure);
    return status;
}

static int run_bench(struct tool *tool, const struct request *request)
{
    struct bench *bench = NULL;
    int status = tool_open(tool, 1); /* asks who is silent, if need be */

    program_raise_descriptors();
    if (status == TOOL_OK)
        status = bench_open(tool, &request->plan, &bench);
    if (status == TOOL_OK)
        status = run_stages(tool, bench, request);
    bench_close(bench);
    return status;
}

static const char purpose[] =
    "Measures a running store. Every client has a connection of its own and\n"
    "keeps so many operations under way; when one ends it starts the next.\n"
    "Clients share threads, and a thread does the work of all of its clients.\n"
    "Prints operations per second and how long they took: the mean, the time\n"
    "that 50, 90, 99 and 99.9 percent of them did not exceed, and the "
    "longest.\n"
    "It writes keys of its own, k000000000000000 and on, and leaves them in\n"
    "the store. Time counts from when every client is connected.\n"
    "\n"
    "Exit status as for every command; 3 when an operation had no answer.";

/* Reads the flags, and checks what a table cannot say. */
static int read_request(struct tool *tool, int argc, char **argv,
                        struct request *request)
{
    struct bench_plan *plan = &request->plan;
    const struct program_option options[] = {
        PROGRAM_U32_OPTION("clients", "N", "connections (50)", &plan->clients,
                           1, CLIENTS_MAX),
        PROGRAM_U32_OPTION("outstanding", "N",
                           "operations under way on each (1)",
                           &plan->outstanding, 1, OUTSTANDING_MAX),
        PROGRAM_U32_OPTION("threads", "N", "threads that the clients share (1)",
                           &plan->threads, 1, THREADS_MAX),
        PROGRAM_SIZE_OPTION("value-size", "OCTETS", "of a value (100)",
                            &request->value_size, 0, PBKV_VALUE_MAX),
        PROGRAM_U32_OPTION("keys", "N", "different keys (100000)", &plan->keys,
                           1, KEYS_MAX),
        PROGRAM_U32_OPTION("read-share", "PERCENT", "of all operations (0)",
                           &plan->read_share, 0, 100),
        PROGRAM_U32_OPTION("seconds", "S", "how long (10)", &plan->seconds, 1,
                           SECONDS_MAX),
        PROGRAM_U32_OPTION("count", "N", "operations, instead of a time",
                           &plan->count, 1, UINT32_MAX),
        PROGRAM_FLAG_OPTION("fill", "write every key once before",
                            &request->fill),
        PROGRAM_U32_OPTION("seed", "S", "of every random choice (1)",
                           &plan->seed, 0, UINT32_MAX),
        PROGRAM_FLAG_OPTION("json", "print one JSON object", &request->json),
        TOOL_OPTIONS(tool)};
    const struct program program = {"pbkv bench",        "", purpose, options,
                                    TOOL_COUNT(options), 0,  0};
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    if (plan->seconds > 0 && plan->count > 0)
        return program_refuse(&program, "--seconds or --count, not both");
    if (plan->seconds == 0)
        plan->seconds = SECONDS_DEFAULT;
    plan->value_size = (uint32_t)request->value_size;
    return PROGRAM_GO_ON;
}

int tool_bench(struct tool *tool, int argc, char **argv)
{
    struct request request = {
        .plan = {.clients = CLIENTS_DEFAULT,
                 .outstanding = 1,
                 .threads = THREADS_DEFAULT,
                 .keys = KEYS_DEFAULT,
                 .seed = 1},
        .value_size = VALUE_SIZE_DEFAULT,
    };
    int status = read_request(tool, argc, argv, &request);

    return status == PROGRAM_GO_ON ? run_bench(tool, &request) : status;
}
