/* SPDX-License-Identifier: MIT */
/*
 * path_file: how a path of the explorer stands in a file, for those that go it
 * again: the explorer (explorer_text.c) and the world (replay.c). One event per
 * line,
 *
 *     system failover-op            comes first: who is there (--list)
 *     deliver s1 1 s2 0 a20104...   from, its life, to, meant for life, body
 *     lose s1 1 s2 0 a20104...      … is lost, where losses are counted
 *     timer view 0
 *     crash s1
 *     restart s1
 *    act client:1                   begins its next operation
 *     forget                        everything on the way is lost
 *     forget but forward            … except messages of this kind
 *
 * and `#` begins a comment.
 */
#ifndef SIM_PATH_FILE_H
#define SIM_PATH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "sim/explorer.h"

enum path_line_kind {
    PATH_NOTHING, /* a comment, or an empty line */
    PATH_SYSTEM,
    PATH_DELIVER,
    PATH_LOSE,
    PATH_TIMER,
    PATH_CRASH,
    PATH_RESTART,
    PATH_ACT,
    PATH_FORGET,
};

/* A line that was read; what its kind does not have is 0. */
struct path_line {
    enum path_line_kind kind;
    const char *system; /* borrowed from the line */
    uint32_t host;      /* that has the event; of a message, who gets it */
    uint32_t slot;      /* of the timer */
    uint32_t but;       /* the kind of message that is not forgotten, or 0 */
    uint32_t from;
    uint64_t from_life;
    uint64_t to_life;    /* 0: whoever is there */
    const uint8_t *body; /* a message that decodes; borrowed from the line */
    size_t length;
};

/* Reads a line, without its end, and changes it. nodes are those of the system;
 * NULL before it is known, and then only PATH_NOTHING and PATH_SYSTEM are
 * understood. Returns 0 or -EBADMSG. */
int path_line_read(char *line, const struct explorer_node *nodes,
                   uint32_t count, struct path_line *read);

#endif
