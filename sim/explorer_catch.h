/* SPDX-License-Identifier: MIT */
/*
 * explorer_catch: calls a function that may fail by a signal, as a handler of a
 * wrong role may: it asserts, it writes through a bad pointer, it recurses
 * without end, or it does not return.
 */
#ifndef SIM_EXPLORER_CATCH_H
#define SIM_EXPLORER_CATCH_H

/* From catch_begin to catch_end, which frees what it returned, signals end a
 * catch_call and not the process; in all threads. Nests not. */
struct catch_signals;
struct catch_signals *catch_begin(void);
void catch_end(struct catch_signals *catch);

/* Calls function(argument). Returns 0, or the signal that it ended with; after
 * about half a second of processor time that is SIGVTALRM. */
int catch_call(void (*function)(void *argument), void *argument);

/* Returns the constant sentence for a signal that catch_call returned. */
const char *catch_sentence(int number);

#endif
