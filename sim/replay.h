/* SPDX-License-Identifier: MIT */
/*
 * replay: a path that the explorer saved (path_file.h), played in the world. It
 * is the same system with the same roles in another runtime: time stands still,
 * every message that is sent waits and can arrive any number of times, and only
 * what the path says happens. After each event the system's invariants are
 * judged, so the world comes to the same sentence as the explorer.
 *
 * Events that cannot happen are left out, as the explorer does: a path that was
 * found in a wrong role leads elsewhere in a right one.
 */
#ifndef SIM_REPLAY_H
#define SIM_REPLAY_H

#include <stdint.h>

#include "sim/explorer_systems.h"

struct replay_result {
    const char *sentence; /* of the first violation, constant, or NULL */
    const char *rule;     /* its name, which belongs to the system */
    uint32_t line;   /* of the event before it; or that is not understood */
    uint32_t played; /* events */
    uint32_t left_out;
};

/* Returns a file's text, which the caller frees, or NULL with errno. */
char *replay_read(const char *path);

/* Returns the plan of the system that the text of a file names before its first
 * event, or NULL: it is no path. */
const struct system_plan *replay_plan(const char *text);

/* Plays the text of a file with the nodes and invariants of a system. Returns
 * 0, or -EBADMSG with result->line when a line is not understood. */
int replay_play(const struct system *system, const char *text,
                struct replay_result *result);

/* Plays a file and prints what came of it, for a program. Returns the status to
 * exit with: 0, 1 when something is violated, 2 when it is no path. */
int replay_file(const char *path);

#endif
