/* SPDX-License-Identifier: MIT */
/*
 * tool_stop: ends the tool cleanly on SIGINT and SIGTERM. Both signals are
 * blocked in all threads and taken by a thread that waits for them, so no code
 * runs inside a signal handler.
 *
 * A signal first asks: long work looks at tool_stop_wanted, ends what it does,
 * closes its files and says how far it came. What has not ended after half a
 * second, or at a second signal, is ended by force; then this thread removes
 * the half-written file that was left in its care. Either way the process dies
 * of the signal, so that a shell sees what happened.
 *
 * All functions may be called from any thread.
 */
#ifndef CLIENT_TOOL_STOP_H
#define CLIENT_TOOL_STOP_H

#include <stdbool.h>

struct tool_stop;

/* Blocks the signals in this thread and those it will start, and starts the
 * thread that takes them. Returns it, for tool_stop_finish, or NULL with errno.
 */
struct tool_stop *tool_stop_start(void);

/* Returns whether a signal asks to stop. */
bool tool_stop_wanted(struct tool_stop *stop);

/* Puts a file that is about to be made into care: `name` in the directory that
 * is open as `directory` (AT_FDCWD is allowed). There is one at a time. The
 * name is borrowed until it leaves care. */
void tool_stop_guard(struct tool_stop *stop, int directory, const char *name);

/* Renames the file in care to `name` in the same directory.
 * Returns 0, and the file is in care no more, or a negative errno. */
int tool_stop_rename(struct tool_stop *stop, const char *name);

/* Takes the file out of care and removes it. */
void tool_stop_remove(struct tool_stop *stop);

/* Ends the thread and frees stop. If a signal came, the process dies of it here
 * and the function does not return. */
void tool_stop_finish(struct tool_stop *stop);

#endif
