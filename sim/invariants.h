/* SPDX-License-Identifier: MIT */
/*
 * invariants: what must hold across the nodes of a world after every event,
 * whatever the schedule. No role can check these by itself, because each knows
 * only its own state; here all states are in sight at once.
 *
 *   view service   the view advances by one and never goes back (V10, V11),
 *                  starts without a backup (V1), passes only between primary
 *                  and backup (V2), and only to one that has the state (V3);
 *                  it is acknowledged only when the backup has the state (T2);
 *                  what the view service says is on disk (V11)
 *   servers        a server's view never goes down (P2); whoever serves in a
 *                  later view has what was committed before (P4, T3); a deposed
 *                  primary commits nothing (P5); the primary and the installed
 *                  backup of one view are equal at equal op numbers (P3, T3)
 *   events         some named events mean that a role was told nonsense; among
 *                  our own roles nobody ever is
 */
#ifndef SIM_INVARIANTS_H
#define SIM_INVARIANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/view.h"
#include "sim/world.h"

enum {
    INVARIANTS_SERVERS_MAX = 16,
    INVARIANTS_DETAIL_MAX = 256,
    INVARIANTS_NAMES = 64, /* a power of two */
};

/* A server host as last seen: its life, the newest view that this life knew,
 * and the newest in which it had the state. */
struct invariants_server {
    size_t host;
    uint64_t life;
    uint64_t view;
    uint64_t held;
};

struct invariants {
    const struct world *world;
    size_t view_service;
    struct invariants_server servers[INVARIANTS_SERVERS_MAX];
    size_t server_count;

    const char *violation; /* the first one, a constant sentence, or NULL */
    char detail[INVARIANTS_DETAIL_MAX];

    /* What the view service has decided. */
    struct view view;
    uint64_t acknowledged;

    /* Named events that mean no harm, as last met, by where they are. */
    const char *harmless[INVARIANTS_NAMES];

    uint64_t committed; /* the greatest op number any client can know of */
    uint64_t committed_view;
};

/* Makes invariants of a world with this host as its view service and no server
 * yet. Borrows the world. */
void invariants_init(struct invariants *invariants, const struct world *world,
                     size_t view_service);

/* Tells of a host that is a kv server. */
void invariants_add_server(struct invariants *invariants, size_t host);

/* Checks after an event of a host, when a message is sent, and after a named
 * event of a host. The first violation is kept. */
void invariants_check(struct invariants *invariants, size_t host);
void invariants_on_message(struct invariants *invariants,
                           const struct world_message *message);
void invariants_on_event(struct invariants *invariants, size_t host,
                         const char *name);

/* Notes a violation that the caller has found; detail is copied. */
void invariants_violated(struct invariants *invariants, const char *sentence,
                         const char *detail);

#endif
