/* SPDX-License-Identifier: MIT */
/*
 * pages: large zeroed memory for tables that are read at random.
 *
 * A search reads its tables in no order that a cache could foresee, so with
 * pages of 4 KiB nearly every read also misses the address cache. Large pieces
 * are therefore asked for in pages of 2 MiB; the system may refuse, which only
 * costs time. Untouched pages take no memory.
 */
#ifndef SIM_PAGES_H
#define SIM_PAGES_H

#include <stddef.h>

/* Returns size octets of zeros. Never returns NULL: it ends the process when
 * memory is exhausted. The caller frees it with pages_free. Thread-safe. */
void *pages_new(size_t size);

/* Frees what pages_new returned for this size; NULL is allowed. Thread-safe. */
void pages_free(void *pages, size_t size);

#endif
