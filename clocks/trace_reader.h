/* SPDX-License-Identifier: MIT */
/*
 * trace_reader: turns trace files (see trace.h) back into structures. Every
 * host gets a number, in order of first appearance, and every clock becomes a
 * list sorted by that number, so that verify.c compares clocks by walking down
 * lists side by side.
 *
 * A writer that is killed leaves a torn line. At the end of a file it is left
 * out; where another line follows it on the same line, because the next writer
 * appended to it, only the torn part is left out. Whether something is missing
 * is then for the rules to say: the torn line's number is.
 *
 * Ends the process when memory is exhausted; it is for tools and tests.
 */
#ifndef CLOCKS_TRACE_READER_H
#define CLOCKS_TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clocks/trace.h"

/* One entry of a clock; host counts from 0. */
struct line_entry {
    size_t host;
    uint64_t time;
};

struct trace_line {
    size_t file;     /* counts from 0 */
    uint64_t number; /* of the line in the file, counts from 1 */
    enum trace_kind kind;
    bool full; /* the event is TRACE_FULL */
    size_t host;
    uint64_t own; /* the host's own entry */
    uint64_t lamport;
    size_t sender; /* of a receipt */
    uint64_t sent; /* of a receipt */
    size_t count;
    struct line_entry *entries; /* sorted by host */
};

/* A line that could not be read. */
struct trace_fault {
    size_t file;
    uint64_t number;
    const char *sentence; /* a constant */
};

struct host_names; /* a hash table */

/* Everything that was read, in the order in which it was read. */
struct trace_log {
    size_t file_count;
    char **files;
    size_t host_count;
    const char **hosts; /* names; they belong to by_name */
    struct host_names *by_name;
    size_t line_count;
    struct trace_line *lines;
    size_t fault_count;
    struct trace_fault *faults;
};

/* Makes an empty log; release it with trace_log_release. */
void trace_log_init(struct trace_log *log);

/* Frees what the log holds. */
void trace_log_release(struct trace_log *log);

/* Adds the lines of a file. Returns 0, or the negative errno of opening or
 * reading; lines before the error stay. */
int trace_log_read(struct trace_log *log, const char *path);

#endif
