/* SPDX-License-Identifier: MIT */
/*
 * world_links: see world_links.h.
 */
#include "sim/world_links.h"

#include <string.h>

enum { MICROSECONDS = 1000000 };

void links_init(struct world_links *links, const struct world_plan *plan,
                uint64_t *random, struct world_counts *counts)
{
    memset(links, 0, sizeof(*links));
    links->plan = plan;
    links->random = random;
    links->counts = counts;
}

void links_draw(struct world_links *links, size_t hosts)
{
    for (size_t from = 0; from < hosts; from++) {
        for (size_t to = 0; to < hosts; to++) {
            struct link *link = links_at(links, from, to);

            link->spared = world_happens(links->random, links->plan->spared);
            link->narrow = world_happens(links->random, links->plan->narrow);
            link->last = 0;
            link->clear = 0;
        }
    }
}

void links_heal(struct world_links *links)
{
    for (size_t from = 0; from < WORLD_HOSTS_MAX; from++) {
        for (size_t to = 0; to < WORLD_HOSTS_MAX; to++)
            links->links[from][to].cut = false;
    }
}

/* Returns when a message that sets out now comes to the end of a narrow link:
 * one message after the other. */
static uint64_t squeeze(struct world_links *links, struct link *link,
                        uint64_t now, size_t octets)
{
    if (!link->narrow)
        return now;
    if (link->clear > now)
        links->counts->queued++;
    else
        link->clear = now;
    link->clear += (uint64_t)octets * MICROSECONDS / links->plan->narrow_octets;
    return link->clear;
}

uint64_t links_arrival(struct world_links *links, size_t from, size_t to,
                       uint64_t now, size_t octets)
{
    const struct world_plan *plan = links->plan;
    struct link *link = links_at(links, from, to);
    uint64_t time = squeeze(links, link, now, octets) +
                    random_between(links->random, plan->min_us, plan->max_us);

    if (!link->spared && world_happens(links->random, plan->slow)) {
        time += random_between(links->random, 0, plan->slow_us);
        links->counts->held++;
    }
    if (time < link->last) {
        if (!link->spared && world_happens(links->random, plan->reorder))
            links->counts->overtaken++;
        else
            time = link->last;
    }
    if (time > link->last)
        link->last = time;
    return time;
}
