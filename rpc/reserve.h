/* SPDX-License-Identifier: MIT */
/*
 * reserve: is there still memory? What strangers make this process keep
 * (connections, unfinished and large frames) is refused while a few megabytes
 * are left, so that the system's refusal never meets the small allocations of
 * roles and loop, which end the process (node/memory.h).
 *
 * What the store itself keeps is the business of --max-memory.
 */
#ifndef RPC_RESERVE_H
#define RPC_RESERVE_H

#include <stdbool.h>

/* Returns whether the system would give as much memory as handling one message
 * needs at the most. Takes microseconds. Thread-safe. */
bool reserve_is_there(void);

#endif
