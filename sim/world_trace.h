/* SPDX-License-Identifier: MIT */
/*
 * world_trace: the clocks of the hosts of a world and the trace of their events
 * (clocks/trace.h), as the real runtime keeps them: one tick and one line for
 * every send, every receipt and every named event (rules K1 to K3). A restarted
 * host is a host of another name, and the entry of a client passes (rule K4).
 *
 * A world that nobody traces has none of this: the clocks are no part of any
 * state, so the run is the same.
 */
#ifndef SIM_WORLD_TRACE_H
#define SIM_WORLD_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "node/bytes.h"
#include "node/view.h"
#include "pbkv.pb-c.h"

struct world_trace;

/* Opens a trace of a world with at most this many hosts and stores it for the
 * caller to close. The file is made empty first. Returns 0 or a negative errno.
 */
int world_trace_open(const char *path, size_t hosts,
                     struct world_trace **trace);

/* Writes what is left and frees. NULL is allowed. Returns 0, or the negative
 * errno of the first write that failed. */
int world_trace_close(struct world_trace *trace);

/* Begins a life: its clocks stand at 0. */
void world_trace_birth(struct world_trace *trace, size_t host,
                       const struct peer *self, bool is_client);

/* Notes a send and returns its stamp; the caller owns one reference. */
struct bytes *world_trace_send(struct world_trace *trace, size_t host,
                               const struct bytes *body);

/* Notes the receipt of a message with a stamp from the host `from`. */
void world_trace_receive(struct world_trace *trace, size_t host, size_t from,
                         const struct bytes *stamp, const Pbkv__Body *body);

/* Notes a named event; detail may be NULL. */
void world_trace_event(struct world_trace *trace, size_t host, const char *name,
                       const char *detail);

#endif
