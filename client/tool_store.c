/* SPDX-License-Identifier: MIT */
/*
 * tool_store: what commands share: the flags that all of them have, opening the
 * store, saying how a call ended, and completing standard output. See tool.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/tool.h"
#include "client/tool_tsv.h"
#include "rpc/address.h"

enum { PROBE_MS = 500 /* to find out who is silent */ };

uint64_t tool_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void tool_say(struct tool *tool, const char *format, ...)
{
    va_list arguments;

    tool_progress_clear(&tool->progress);
    fprintf(stderr, "%s: ", tool->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void tool_say_refused(struct tool *tool, const void *name, size_t length,
                      const char *reason)
{
    tool_progress_clear(&tool->progress);
    fprintf(stderr, "%s: refused ", tool->name);
    tsv_write_field(stderr, name, length);
    fprintf(stderr, ": %s\n", reason);
}

/* ---- The command line --------------------------------------------------- */

/*
 * Flags come before operands; then any operand can follow, also one that looks
 * like a flag, so `pbkv put KEY "$VALUE"` is safe. But when there are more
 * words than operands, those from the first on that looks like a flag can only
 * be flags: they are moved to the front. `at` is the first operand.
 */
static void move_flags(const struct program *program, int argc, char **argv,
                       int at)
{
    int flags = at + 1;

    if (argc - at <= program->operands_max || strcmp(argv[at - 1], "--") == 0)
        return;
    while (flags < argc && strncmp(argv[flags], "--", 2) != 0)
        flags++;
    if (flags == argc || strcmp(argv[flags], "--") == 0)
        return;
    for (; flags < argc; flags++) {
        char *flag = argv[flags];

        for (int i = flags; i > at; i--)
            argv[i] = argv[i - 1];
        argv[at++] = flag;
    }
}

int tool_check_address(const struct program *program, const char *where,
                       const char *text)
{
    struct address address;

    if (address_init(&address, text, strlen(text)) < 0 ||
        !address_is_dialable(&address))
        return program_refuse(program, "%s: '%s' is not an address", where,
                              text);
    return PROGRAM_GO_ON;
}

int tool_begin(struct tool *tool, const struct program *program, int argc,
               char **argv, int *operand)
{
    struct program any = *program;
    int status;

    any.operands_min = 0;
    any.operands_max = -1;
    tool->name = program->name;
    status = program_parse(&any, argc, argv, operand);
    if (status != PROGRAM_GO_ON)
        return status;
    move_flags(program, argc, argv, *operand);
    status = program_parse(program, argc, argv, operand);
    if (status != PROGRAM_GO_ON)
        return status;
    if (!tool->view_service || tool->view_service[0] == '\0')
        return program_refuse(program, "--view ADDR is missing, and PBKV_VIEW "
                                       "is not set");
    return tool_check_address(
        program,
        tool->view_service == getenv("PBKV_VIEW") ? "PBKV_VIEW" : "--view",
        tool->view_service);
}

/* ---- The handle --------------------------------------------------------- */

/* Receives the library's log lines, in its thread. One call writes a line, so
 * lines of several threads do not mix. */
static void write_log_line(void *context, const struct pbkv_log_line *line)
{
    static const char *const levels[] = {"", "debug", "info", "warn", "fatal"};
    const struct tool *tool = context;

    if (strcmp(line->event, "open.failed") == 0) {
        fprintf(stderr, "%s: %s\n", tool->name, line->detail);
        return;
    }
    fprintf(stderr, "%s%s: %s %s view %" PRIu64 " lamport %" PRIu64 " %s%s%s\n",
            tool->progress.terminal ? "\r\033[K" : "", tool->name,
            levels[line->level], line->host, line->view, line->lamport,
            line->event, line->detail[0] ? " " : "", line->detail);
}

/* Reads --log-level. Returns whether it makes sense. */
static bool set_log_level(const struct tool *tool, struct pbkv_options *options)
{
    static const char *const names[] = {"debug", "info", "warn", "none"};
    const char *wanted = tool->runtime.log_level;

    options->log_level = PBKV_LOG_WARN;
    for (unsigned i = 0; wanted && i < TOOL_COUNT(names); i++) {
        if (strcmp(wanted, names[i]) == 0) {
            options->log_level = (enum pbkv_log_level)(PBKV_LOG_DEBUG + i);
            return true;
        }
    }
    return !wanted;
}

int tool_open_handle(struct tool *tool, const char *name, uint32_t sessions,
                     struct pbkv_loop *loop, struct pbkv **handle)
{
    struct pbkv_options options = {
        .view_service = tool->view_service,
        .loop = loop,
        .name = name,
        .deadline_ms = tool->deadline_ms,
        .sessions = sessions,
        .trace_path = tool->runtime.trace,
        .faults = tool->runtime.faults,
        .on_log = write_log_line,
        .log_context = tool,
    };
    enum pbkv_status status;

    if (!set_log_level(tool, &options)) {
        tool_say(tool, "--log-level takes debug, info, warn or none, not '%s'",
                 tool->runtime.log_level);
        return TOOL_USAGE;
    }
    status = pbkv_open(&options, handle);
    if (status == PBKV_SYSTEM)
        tool_say(tool, "cannot start: %s", strerror(errno));
    if (status == PBKV_INVALID)
        fprintf(stderr, "Try '%s --help'.\n", tool->name);
    return status == PBKV_SYSTEM ? TOOL_NEGATIVE : tool_exit_of(status);
}

int tool_open(struct tool *tool, uint32_t sessions)
{
    return tool_open_handle(tool, "pbkv", sessions, NULL, &tool->store);
}

/* ---- How it ended ------------------------------------------------------- */

int tool_exit_of(enum pbkv_status status)
{
    switch (status) {
    case PBKV_OK: return TOOL_OK;
    case PBKV_INVALID: return TOOL_USAGE;
    case PBKV_TIMEOUT:
    case PBKV_SESSION_EXPIRED:
    case PBKV_OVERLOADED:
    case PBKV_CLOSED: return TOOL_UNAVAILABLE;
    case PBKV_NO_KEY:
    case PBKV_TOO_LARGE:
    case PBKV_BAD_REQUEST:
    case PBKV_WOULD_DEADLOCK:
    case PBKV_NO_MEMORY:
    case PBKV_SYSTEM: break;
    }
    return TOOL_NEGATIVE;
}

/* Says which server it is that gives no answer, of those behind a view service
 * that answers. */
static void say_silent_server(struct tool *tool,
                              const struct pbkv_inspection *service,
                              const char *rest)
{
    const char *primary = service->view.primary.address;

    if (strcmp(service->role, "view service") != 0)
        tool_say(tool, "%s is not a view service but a server (%s)%s",
                 tool->view_service, service->role, rest);
    else if (primary[0] == '\0')
        tool_say(tool, "no primary answers: the view service knows none yet%s",
                 rest);
    else
        tool_say(tool, "no answer from the primary, %s, before the deadline%s",
                 primary, rest);
}

/* Says who did not answer a call to the primary; rest is the end of the line.
 */
static void say_silent(struct tool *tool, const char *rest)
{
    struct pbkv_inspection *service;

    if (pbkv_inspect(tool->store, tool->view_service, PROBE_MS, &service) ==
        PBKV_OK)
        say_silent_server(tool, service, rest);
    else
        tool_say(tool, "the view service at %s does not answer%s",
                 tool->view_service, rest);
    pbkv_inspection_free(service);
}

int tool_conclude_update(struct tool *tool, enum pbkv_status status)
{
    if (status == PBKV_TIMEOUT)
        say_silent(tool, "; the outcome is unknown");
    else if (status != PBKV_OK)
        tool_say(tool, "%s", pbkv_status_text(status));
    return tool_exit_of(status);
}

int tool_conclude_read(struct tool *tool, enum pbkv_status status)
{
    if (status != PBKV_TIMEOUT)
        return tool_conclude_update(tool, status);
    say_silent(tool, "");
    return tool_exit_of(status);
}

int tool_conclude_asked(struct tool *tool, enum pbkv_status status,
                        const char *address)
{
    if (status != PBKV_TIMEOUT)
        return tool_conclude_update(tool, status);
    tool_say(tool, "no answer from %s before the deadline", address);
    return tool_exit_of(status);
}

int tool_flush(struct tool *tool, int status)
{
    bool failed = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) != 0)
        failed = true;
    if (!failed && !tool->output_failed)
        return status;
    if (errno != EPIPE && !tool->output_failed)
        tool_say(tool, "cannot write to standard output%s%s",
                 errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return TOOL_NEGATIVE;
}
