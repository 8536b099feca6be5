/* SPDX-License-Identifier: MIT */
/*
 * demo_work: one pass over all entries of the demonstration by several threads,
 * each with one operation under way: first all puts, later all gets that
 * compare. The demonstration watches how far a pass is, lets it go no further
 * than to a gate, and learns when the store answered again after a kill.
 *
 * All functions belong to the main thread.
 */
#ifndef TESTS_DEMO_WORK_H
#define TESTS_DEMO_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/pbkv.h"
#include "client/tool_source.h"

enum { DEMO_THREADS = 16 };

enum work_kind { WORK_PUT, WORK_COMPARE };

/* What became of an entry. */
enum work_outcome { WORK_OPEN, WORK_GOOD, WORK_DIFFERS, WORK_FAILED };

struct work;

/* Starts a pass over count items, which outlive it, with the gate at 0. The
 * caller ends it with work_finish. */
struct work *work_start(struct pbkv *store, enum work_kind kind,
                        const struct item *items, size_t count);

/* Moves the gate: operations on items before this number may begin. */
void work_open_gate(struct work *work, size_t gate);

/* Returns how many operations have ended. */
size_t work_done(struct work *work);

/* Returns how many operations are under way. */
size_t work_under_way(struct work *work);

/* Notes that a server was killed just now. */
void work_note_kill(struct work *work);

/* Returns nanoseconds from the kill to the first answer to an operation that
 * began after the kill; 0: no answer yet. */
uint64_t work_answered_after_ns(struct work *work);

/* Notes the answer to an operation of another thread that began after the kill.
 */
void work_note_answer(struct work *work);

/* Opens the gate for good, waits for the end of the pass, stores the outcome of
 * each item in outcomes (count of them), and frees the pass. */
void work_finish(struct work *work, enum work_outcome *outcomes);

#endif
