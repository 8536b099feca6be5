/* SPDX-License-Identifier: MIT */
/*
 * tool_progress: tells on standard error how far long work is. On a terminal it
 * is a bar that is drawn again in its place, ten times a second at most;
 * otherwise a line, once a second at most. A progress that was never begun, or
 * that is quiet, does nothing, so callers need not ask.
 *
 * Belongs to one thread.
 */
#ifndef CLIENT_TOOL_PROGRESS_H
#define CLIENT_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tool_progress {
    bool running;
    bool terminal;       /* standard error is one */
    bool drawn;          /* the bar is on the screen */
    const char *what;    /* "load" */
    const char *unit;    /* "files" */
    uint64_t total;      /* of them; 0: not known */
    uint64_t done;       /* of them */
    uint64_t octets;     /* in those done */
    uint64_t began_ms;   /* when the work began */
    uint64_t updated_ms; /* when it was shown last */
};

/* Begins. Texts are borrowed until the end. */
void tool_progress_begin(struct tool_progress *progress, const char *what,
                         const char *unit, uint64_t total);

/* Notes how much is done, and shows it if it is time. */
void tool_progress_update(struct tool_progress *progress, uint64_t done,
                          uint64_t octets);

/* Wipes the bar away, for a line of text in its place. */
void tool_progress_clear(struct tool_progress *progress);

/* Wipes the bar away and ends. Safe to repeat. */
void tool_progress_end(struct tool_progress *progress);

/* Writes a number of octets as people read it, such as "3.2 MB", to text, of
 * size octets, and returns it. */
const char *tool_octets_text(uint64_t octets, char *text, size_t size);

#endif
