/* SPDX-License-Identifier: MIT */
/*
 * tool: `pbkv`, the store on the command line. It is an ordinary user of
 * libpbkv: what it does with a store, any program can do.
 *
 *     tool_main.c      finds the command; exit statuses
 *     tool_store.c     flags of all commands, the handle, messages
 *     tool_values.c    put, get, append, echo
 *     tool_status.c    view, status
 *     tool_load.c      load, verify; many calls in flight: tool_flight.c
 *     tool_dump.c      dump
 *     tool_history.c   history
 *     tool_bench.c     bench; its clients: tool_bench_load.c
 *
 * The rest are parts that know nothing of stores: tool_tsv (the text form of
 * entries), tool_source (entries from a file or a directory), tool_tree (the
 * files below a directory), tool_path (keys as paths), tool_output (files that
 * appear complete), tool_histogram and tool_measure (durations), tool_json,
 * tool_progress, tool_stop (signals).
 *
 * Standard output is for results, standard error for everything else.
 */
#ifndef CLIENT_TOOL_H
#define CLIENT_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/pbkv.h"
#include "client/tool_progress.h"
#include "client/tool_stop.h"
#include "rpc/program.h"

/* Exit statuses. They are part of the interface: see the help. */
enum tool_exit {
    TOOL_OK = 0,
    TOOL_NEGATIVE = 1, /* not found, refused, different, or a file's trouble */
    TOOL_USAGE = 2,    /* the command line is wrong */
    TOOL_UNAVAILABLE = 3 /* no answer until the deadline; outcome unknown */
};

/* One run of the tool. */
struct tool {
    const char *view_service;
    uint32_t deadline_ms;
    bool quiet;
    bool output_failed; /* writing to standard output did, and it was said */
    struct program_runtime runtime;
    const char *name; /* of the command, for messages */
    struct pbkv *store;
    struct tool_stop *stop;
    struct tool_progress progress;
};

/* Entries of an options table that every command has. */
#define TOOL_OPTIONS(tool)                                                     \
    PROGRAM_TEXT_OPTION("view", "ADDR",                                        \
                        "address of the view service ($PBKV_VIEW)",            \
                        &(tool)->view_service),                                \
        PROGRAM_U32_OPTION("deadline", "MS",                                   \
                           "how long to wait for an answer (10000)",           \
                           &(tool)->deadline_ms, 1, PBKV_DEADLINE_MAX_MS),     \
        PROGRAM_FLAG_OPTION("quiet", "no progress and no summary",             \
                            &(tool)->quiet),                                   \
        PROGRAM_TEXT_OPTION("log-level", "LEVEL",                              \
                            "debug, info, warn or none (warn)",                \
                            &(tool)->runtime.log_level),                       \
        PROGRAM_TEXT_OPTION("trace", "FILE",                                   \
                            "append one stamped line per event to FILE",       \
                            &(tool)->runtime.trace),                           \
        PROGRAM_TEXT_OPTION("faults", "SPEC",                                  \
                            "lose, double and delay messages that are sent: "  \
                            "drop=0.1,dup=0.05,delay=0-20ms,seed=7",           \
                            &(tool)->runtime.faults)

#define TOOL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Checks an address of the command line, which `where` names. Returns
 * PROGRAM_GO_ON, or after a message the status to exit with. */
int tool_check_address(const struct program *program, const char *where,
                       const char *text);

/* Reads a command's flags and operands. Returns PROGRAM_GO_ON with the index of
 * the first operand in *operand, or the status to exit with. */
int tool_begin(struct tool *tool, const struct program *program, int argc,
               char **argv, int *operand);

/* Opens a handle with so many sessions, for the caller to close, in a loop of
 * its own if loop is NULL. Returns TOOL_OK, or after a message the status to
 * exit with. */
int tool_open_handle(struct tool *tool, const char *name, uint32_t sessions,
                     struct pbkv_loop *loop, struct pbkv **handle);

/* Opens tool->store, which main closes. Returns as tool_open_handle. */
int tool_open(struct tool *tool, uint32_t sessions);

/* Returns the exit status for the end of a call. */
int tool_exit_of(enum pbkv_status status);

/* Say on standard error how a call ended and return the exit status for it;
 * PBKV_OK is said by saying nothing. After PBKV_TIMEOUT they ask the view
 * service, for half a second, who it is that does not answer. _update is for
 * calls that may have taken effect, _read for those that change nothing; _asked
 * is for calls to the process at an address. Only in the main thread. */
int tool_conclude_update(struct tool *tool, enum pbkv_status status);
int tool_conclude_read(struct tool *tool, enum pbkv_status status);
int tool_conclude_asked(struct tool *tool, enum pbkv_status status,
                        const char *address);

/* Writes one line to standard error: "pbkv put: …". Only in the main thread. */
void tool_say(struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes one line to standard error about something that was refused, with its
 * name (a key or a path) in the escapes of tool_tsv. Only in the main thread.
 */
void tool_say_refused(struct tool *tool, const void *name, size_t length,
                      const char *reason);

/* Completes what went to standard output. Returns status, or TOOL_NEGATIVE
 * after a message when something could not be written (no message when the
 * reader of a pipe has gone, which is its right). */
int tool_flush(struct tool *tool, int status);

/* Returns nanoseconds since some moment in the past; never goes back. */
uint64_t tool_now_ns(void);

/* A command. argv[0] is its name. Each returns the status to exit with. */
typedef int (*tool_command_function)(struct tool *tool, int argc, char **argv);

int tool_put(struct tool *tool, int argc, char **argv);
int tool_get(struct tool *tool, int argc, char **argv);
int tool_append(struct tool *tool, int argc, char **argv);
int tool_echo(struct tool *tool, int argc, char **argv);
int tool_view(struct tool *tool, int argc, char **argv);
int tool_status(struct tool *tool, int argc, char **argv);
int tool_load(struct tool *tool, int argc, char **argv);
int tool_verify(struct tool *tool, int argc, char **argv);
int tool_dump(struct tool *tool, int argc, char **argv);
int tool_history(struct tool *tool, int argc, char **argv);
int tool_bench(struct tool *tool, int argc, char **argv);

#endif
