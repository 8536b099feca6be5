/* SPDX-License-Identifier: MIT */
/*
 * memory: allocation that does not fail. Roles and runtimes keep small objects
 * whose number is bounded by limits of their own, so running out of memory is
 * not an event that a handler could answer: the process says so and ends, and
 * the protocol treats it like any other crash. Where a stranger decides the
 * size (frames, connections) the code allocates with malloc and refuses.
 *
 * Everything is freed with free().
 */
#ifndef NODE_MEMORY_H
#define NODE_MEMORY_H

#include <stddef.h>

/* Returns size octets of zeroed memory. Never returns NULL. Thread-safe. */
void *memory_new(size_t size);

/* Changes the size of old (NULL: nothing yet) to size octets, which must not be
 * 0; new octets are not initialised. Never returns NULL. Thread-safe. */
void *memory_resize(void *old, size_t size);

/* Returns a copy of a text on the heap. Never returns NULL. Thread-safe. */
char *memory_copy_text(const char *text);

/*
 * A hint without any effect that could be seen: so many octets will be taken in
 * small pieces. If they are many, the system provides their pages now, in one
 * call, which takes a fifth less time than a fault for each.
 */
void memory_foresee(size_t size);

#endif
