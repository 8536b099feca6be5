/* SPDX-License-Identifier: MIT */
/*
 * tool_output: a file that appears complete or not at all. It is written under
 * a temporary name next to its place and takes its place by rename. Until then
 * it is in the care of tool_stop, which removes it when the tool is stopped.
 *
 * What exists and is no regular file, such as /dev/null or a named pipe, is
 * written directly when a user names it.
 */
#ifndef CLIENT_TOOL_OUTPUT_H
#define CLIENT_TOOL_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "client/tool_stop.h"

struct tool_output {
    FILE *stream; /* write here; errors are found by tool_output_commit */
    struct tool_stop *stop;
    bool direct;                   /* no temporary file */
    int directory;                 /* of the path, AT_FDCWD or the caller's */
    char path[PATH_MAX];           /* that it will have */
    char temporary[PATH_MAX + 32]; /* that it has until then */
};

/* Opens a file for the path that a user names. If the path is a symbolic link
 * to a regular file, that file is replaced and the link stays. Returns 0 or a
 * negative errno. */
int tool_output_open(struct tool_output *output, struct tool_stop *stop,
                     const char *path);

/* Opens a file `name`, which has no slash, for the directory that is open as
 * `directory` and stays open until the end. A link of that name is replaced,
 * not followed. Returns 0 or a negative errno. */
int tool_output_open_in(struct tool_output *output, struct tool_stop *stop,
                        int directory, const char *name);

/* Completes the file and closes it. With `durable` it is on disk before it
 * takes its place. Returns 0, or the negative errno of the first thing that
 * failed since it was opened; then the file is removed. */
int tool_output_commit(struct tool_output *output, bool durable);

/* Closes and removes what was written. */
void tool_output_discard(struct tool_output *output);

#endif
