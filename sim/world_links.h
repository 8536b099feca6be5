/* SPDX-License-Identifier: MIT */
/*
 * world_links: the ways from one host of a world to another, one for each
 * direction. A link can be cut; it can be spared by the faults of the plan; it
 * can be narrow, and then messages queue at it. Without the plan's reordering a
 * link keeps the order of its messages, as a connection does, so one that is
 * held back holds back those behind it.
 *
 * The links of a world draw from its generator, after its plan, and count into
 * its counts; all three are borrowed.
 */
#ifndef SIM_WORLD_LINKS_H
#define SIM_WORLD_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/random.h"
#include "sim/world.h"

enum { PER_MILLE = 1000 };

struct link {
    bool cut;
    bool spared;
    bool narrow;
    uint64_t last;  /* time at which the newest message arrives */
    uint64_t clear; /* time at which the newest message has left, if narrow */
};

struct world_links {
    const struct world_plan *plan;
    uint64_t *random;
    struct world_counts *counts;
    struct link links[WORLD_HOSTS_MAX][WORLD_HOSTS_MAX];
};

/* Makes links that are not cut, not spared and not narrow. */
void links_init(struct world_links *links, const struct world_plan *plan,
                uint64_t *random, struct world_counts *counts);

/* Draws which links between the first `hosts` hosts are spared and which are
 * narrow. What is on the way stays there; nothing waits behind it any more. */
void links_draw(struct world_links *links, size_t hosts);

/* Restores the links that are cut. */
void links_heal(struct world_links *links);

/* Returns when a message of some octets that sets out now arrives. */
uint64_t links_arrival(struct world_links *links, size_t from, size_t to,
                       uint64_t now, size_t octets);

/* Returns a link. */
static inline struct link *links_at(struct world_links *links, size_t from,
                                    size_t to)
{
    return &links->links[from][to];
}

/* Returns true with this chance; draws only if there is one. */
static inline bool world_happens(uint64_t *random, uint32_t per_mille)
{
    return per_mille > 0 &&
           random_between(random, 0, PER_MILLE - 1) < per_mille;
}

#endif
