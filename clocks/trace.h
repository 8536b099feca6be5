/* SPDX-License-Identifier: MIT */
/*
 * trace: one JSON object per line and per tick of a host's clocks (rule K3):
 *
 *   {"host":"s1-9f","lamport":7,"clock":{"s1-9f":3,"vs-9a":4},
 *    "kind":"receive","sender":"vs-9a","sent":4,"event":"view_reply …"}
 *
 * (on one line). kind is "send", "receive" or "event"; sender and sent, the
 * sender's own entry at the time of the send, are there for "receive" only.
 * ShiViz reads the file with the regular expression TRACE_SHIVIZ_EXPRESSION;
 * verify.h checks it.
 *
 * A writer belongs to one thread. Lines are buffered and reach the file at
 * trace_flush, trace_close, and when the buffer of 64 KiB may not have room for
 * another line.
 */
#ifndef CLOCKS_TRACE_H
#define CLOCKS_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "clocks/host_clock.h"

/* The text of a line after which its host wrote no more, because the file was
 * full. */
#define TRACE_FULL "trace.full"

/* What to paste into ShiViz's field for the log parsing expression. */
#define TRACE_SHIVIZ_EXPRESSION                                                \
    "\\{\"host\":\"(?<host>[^\"]*)\",\"lamport\":(?<lamport>\\d+),"            \
    "\"clock\":(?<clock>\\{\\S*?\\}),\"kind\":\"(?<kind>\\w+)\","              \
    "(\"sender\":\"[^\"]*\",\"sent\":\\d+,)?"                                  \
    "\"event\":\"(?<event>.*)\"\\}"

enum trace_kind { TRACE_SEND, TRACE_RECEIVE, TRACE_EVENT };

struct trace;

/* Opens path for appending (several programs can share one file, because whole
 * lines are written at once). limit_octets bounds the file, 0 means no bound:
 * the line that would go past it is written with TRACE_FULL instead of its text
 * and is the last. Returns 0 and a trace for the caller to close, or a negative
 * errno. */
int trace_open(const char *path, uint64_t limit_octets, struct trace **trace);

/*
 * Writes a line for the newest tick of clock. sender and sent are read for
 * TRACE_RECEIVE only. The text may hold any octets; it is escaped. Returns 0,
 * or the negative errno of the first write that failed (disk full): from then
 * on the trace is silent and says so only once. A pipe without a reader or a
 * limit on file sizes also raises SIGPIPE or SIGXFSZ; programs ignore them.
 */
int trace_write(struct trace *trace, const struct host_clock *clock,
                enum trace_kind kind, const char *sender, uint64_t sent,
                const char *text);

/* Hands all lines to the system. A runtime does so before it lets frames go:
 * then no other host can name a line that a killed host took with it. Returns
 * as trace_write. */
int trace_flush(struct trace *trace);

/* Flushes, closes and frees. NULL is allowed. Returns as trace_write. */
int trace_close(struct trace *trace);

#endif
