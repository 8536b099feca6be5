/* SPDX-License-Identifier: MIT */
/*
 * program: what every main of this project needs: flags declared in a table,
 * log lines on standard error, and the flags that every runtime understands.
 *
 * Flags are `--name value` or `--name=value` and come before the operands; `--`
 * ends them. The last of repeated flags counts. --help and --version are always
 * there. A mistake is one line on standard error that quotes the offending
 * word, and exit status 2.
 */
#ifndef RPC_PROGRAM_H
#define RPC_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/rpc.h"

enum {
    PROGRAM_GO_ON = -1, /* not an exit status: the program goes on */
    PROGRAM_FAILED = 1, /* exit status when it could not do its work */
    PROGRAM_USAGE = 2,  /* exit status after a mistake in the command line */
};

enum program_option_kind {
    PROGRAM_TEXT, /* any text */
    PROGRAM_U32,  /* a decimal number from minimum to maximum */
    PROGRAM_SIZE, /* octets from minimum to maximum; K, M and G multiply */
    PROGRAM_FLAG, /* takes no value; sets true */
};

/* One flag, and where its value goes. The value there before is the default. */
struct program_option {
    const char *name;     /* without the dashes */
    const char *argument; /* what the help calls its value */
    const char *help;     /* one line */
    enum program_option_kind kind;
    union {
        const char **text;
        uint32_t *number;
        size_t *size;
        bool *flag;
    } value;
    uint64_t minimum;
    uint64_t maximum; /* 0: no maximum but the type's own */
};

struct program {
    const char *name;
    const char *operands; /* "", or how the help shows them */
    const char *purpose;  /* sentences for the help */
    const struct program_option *options;
    size_t option_count;
    int operands_min;
    int operands_max; /* -1: any number */
};

/* Entries of an options table. */
#define PROGRAM_TEXT_OPTION(name, argument, help, to)                          \
    {                                                                          \
        name, argument, help, PROGRAM_TEXT, {.text = (to)}, 0, 0               \
    }
#define PROGRAM_U32_OPTION(name, argument, help, to, minimum, maximum)         \
    {                                                                          \
        name, argument, help, PROGRAM_U32, {.number = (to)}, minimum, maximum  \
    }
#define PROGRAM_SIZE_OPTION(name, argument, help, to, minimum, maximum)        \
    {                                                                          \
        name, argument, help, PROGRAM_SIZE, {.size = (to)}, minimum, maximum   \
    }
#define PROGRAM_FLAG_OPTION(name, help, to)                                    \
    {                                                                          \
        name, NULL, help, PROGRAM_FLAG, {.flag = (to)}, 0, 0                   \
    }

/*
 * Reads the command line. Returns PROGRAM_GO_ON with the index of the first
 * operand in *operand, or the status to exit with: 0 after --help or --version,
 * PROGRAM_USAGE after a mistake. Values are borrowed from argv.
 */
int program_parse(const struct program *program, int argc, char **argv,
                  int *operand);

/* Reads the value of an address flag that must be given; text is NULL when it
 * was not. Returns PROGRAM_GO_ON or PROGRAM_USAGE. */
int program_address(const struct program *program, const char *flag,
                    const char *text, struct address *address);

/* Writes one line about a mistake, formatted like printf, and how to get help
 * to standard error. Returns PROGRAM_USAGE. */
int program_refuse(const struct program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Lets this process open as many descriptors as the system allows it at all:
 * raises the soft limit to the hard one. Returns 0 or a negative errno. */
int program_raise_descriptors(void);

/*
 * Runs a node, which it takes, until a signal. begin is called with the node
 * and the address in fact listened on before the node's first event; it may be
 * NULL. Raises the limit of descriptors. Returns the status to exit with; says
 * on standard error what went wrong.
 */
int program_serve(const struct program *program,
                  const struct rpc_config *config, struct node *node,
                  void (*begin)(struct node *node,
                                const struct address *address));

/* ---- Log lines ---------------------------------------------------------- */

enum {
    LOG_NAMES_MAX = 64,        /* event names that are limited one by one */
    LOG_LINES_PER_SECOND = 10, /* of one event name; the rest is counted */
};

/* How often a name was logged in this second. Private. */
struct log_share {
    char name[EVENT_NAME_MAX];
    uint64_t second;
    uint32_t written;
    uint64_t suppressed;
};

/* Writes log lines to standard error. Belongs to one thread. */
struct program_log {
    struct log_share shares[LOG_NAMES_MAX];
};

/* Makes a log that has written nothing. */
void program_log_init(struct program_log *log);

/*
 * An rpc_log_function, with a struct program_log as context. It writes
 *
 *     2038-01-19T03:14:07.000Z info vs-9a view 3 lamport 17 view.changed …
 *
 * but of one event name at most LOG_LINES_PER_SECOND lines in a second, and
 * then, with the next line or at program_log_close, how many were left out.
 * Octets that do not print appear as '?'.
 */
void program_log_line(void *context, const struct rpc_log_line *line);

/* Writes what is left to say about lines left out. */
void program_log_close(struct program_log *log);

/* ---- Flags of every runtime --------------------------------------------- */

/* What --log-level, --trace, --trace-max and --faults say. NULL: not given. */
struct program_runtime {
    const char *log_level;
    const char *trace;
    size_t trace_max; /* octets; 0: no limit */
    const char *faults;
};

/* Entries of an options table for a struct program_runtime. */
#define PROGRAM_RUNTIME_OPTIONS(runtime)                                       \
    PROGRAM_TEXT_OPTION("log-level", "LEVEL",                                  \
                        "debug, info, warn or none (info)",                    \
                        &(runtime)->log_level),                                \
        PROGRAM_TEXT_OPTION("trace", "FILE",                                   \
                            "append one stamped line per event to FILE",       \
                            &(runtime)->trace),                                \
        PROGRAM_SIZE_OPTION("trace-max", "OCTETS",                             \
                            "end the trace when its file is full "             \
                            "(0: no limit)",                                   \
                            &(runtime)->trace_max, 0, 0),                      \
        PROGRAM_TEXT_OPTION("faults", "SPEC",                                  \
                            "lose, double and delay messages that are sent: "  \
                            "drop=0.1,dup=0.05,delay=0-20ms,seed=7",           \
                            &(runtime)->faults)

/* Puts them into a configuration, with log (which the configuration borrows) as
 * the receiver of lines. Returns PROGRAM_GO_ON or PROGRAM_USAGE. */
int program_configure(const struct program *program,
                      const struct program_runtime *runtime,
                      struct program_log *log, struct rpc_config *config);

#endif
