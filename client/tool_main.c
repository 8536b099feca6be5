/* SPDX-License-Identifier: MIT */
/*
 * tool_main: finds the command and runs it. Flags before the command and flags
 * after it go to the same places; the command's own flags come after it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool.h"

enum { DEFAULT_DEADLINE_MS = 10000 };

struct command {
    const char *name;
    tool_command_function run;
};

static const struct command commands[] = {
    {"put", tool_put},       {"get", tool_get},         {"append", tool_append},
    {"view", tool_view},     {"status", tool_status},   {"load", tool_load},
    {"verify", tool_verify}, {"compare", tool_verify},  {"dump", tool_dump},
    {"echo", tool_echo},     {"history", tool_history}, {"bench", tool_bench},
};

static const char purpose[] =
    "Reads and writes a replicated store. Its view service is at ADDR:\n"
    "host:port, [v6]:port or unix:/path.\n"
    "\n"
    "  put KEY VALUE|-|--file F     store a value\n"
    "  get KEY                      write a value to standard output\n"
    "  append KEY VALUE|-|--file F  add to the end of a value\n"
    "  view                         say who is primary and who is backup\n"
    "  status                       say how every server is\n"
    "  load FILE.tsv|DIR            store every line, or every file\n"
    "  verify FILE.tsv|DIR          read it back and compare (or: compare)\n"
    "  dump                         write the whole store, as TSV or as files\n"
    "  echo [TEXT]                  send a text to a server and back\n"
    "  history                      record what concurrent clients do\n"
    "  bench                        measure throughput and latency\n"
    "\n"
    "'pbkv COMMAND --help' tells more. Flags come before the operands. They\n"
    "may follow them once all are there: 'put KEY --quiet' stores '--quiet'.\n"
    "\n"
    "Exit status: 0 done; 1 not found, refused or different, or a file cannot\n"
    "be read or written; 2 wrong usage; 3 no answer until the deadline, and\n"
    "whether an update took effect is unknown. SIGINT and SIGTERM end the "
    "tool\n"
    "as they end any program, but leave no half-written file.";

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < TOOL_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Reads what stands before the command, and finds it. */
static int choose(struct tool *tool, int argc, char **argv, int *at,
                  const struct command **command)
{
    const struct program_option options[] = {TOOL_OPTIONS(tool)};
    const struct program program = {"pbkv",  "COMMAND [ARGUMENT]...", purpose,
                                    options, TOOL_COUNT(options),     1,
                                    -1};
    int status = program_parse(&program, argc, argv, at);

    if (status != PROGRAM_GO_ON)
        return status;
    *command = find_command(argv[*at]);
    if (!*command)
        return program_refuse(&program, "unknown command '%s'", argv[*at]);
    return PROGRAM_GO_ON;
}

static int run(struct tool *tool, int argc, char **argv)
{
    const struct command *command = NULL;
    int at = 0;
    int status = choose(tool, argc, argv, &at, &command);

    if (status != PROGRAM_GO_ON)
        return tool_flush(tool, status);
    status = command->run(tool, argc - at, argv + at);
    tool_progress_end(&tool->progress);
    status = tool_flush(tool, status);
    pbkv_close(tool->store);
    return status;
}

int main(int argc, char **argv)
{
    struct tool tool = {.name = "pbkv", .deadline_ms = DEFAULT_DEADLINE_MS};
    int status;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    tool.view_service = getenv("PBKV_VIEW");
    tool.stop = tool_stop_start();
    if (!tool.stop) {
        perror("pbkv");
        return TOOL_NEGATIVE;
    }
    status = run(&tool, argc, argv);
    tool_stop_finish(tool.stop);
    return status;
}
