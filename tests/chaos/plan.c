/* SPDX-License-Identifier: MIT */
/*
 * plan: see plan.h. Faults come in waves of WAVE_MS with a calm at the end of
 * each, so that a store that was brought to a stand gets going again and has
 * something to lose. Within a wave they overlap as they happen to.
 */
#include "tests/chaos/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/random.h"

enum {
    START_MS = 300, /* before the first fault */
    WAVE_MS = 8000, /* from wave to wave */
    CALM_MS = 2000, /* at the end of a wave, nothing new begins */
    APART_MIN_MS = 150,
    APART_MAX_MS = 1200,
    LASTS_MIN_MS = 50,
    LASTS_MAX_MS = 2000,
    DELAY_MIN_MS = 5,
    DELAY_MAX_MS = 60,
};

/* How often each kind is drawn, relative to the others. */
static const struct {
    const char *name;
    unsigned weight;
    bool needs_proxy;
} kinds[FAULT_KINDS] = {
    [FAULT_KILL] = {"kill", 8, false},
    [FAULT_STOP] = {"stop", 4, false},
    [FAULT_CUT_OUT] = {"cut what is sent by", 2, true},
    [FAULT_CUT_IN] = {"cut what is sent to", 2, true},
    [FAULT_CUT_OFF] = {"cut off", 3, false},
    [FAULT_CUT_PAIR] = {"cut between", 2, true},
    [FAULT_CUT_VIEW] = {"cut from the view service", 2, true},
    [FAULT_SLOW] = {"slow", 2, true},
    [FAULT_VIEW_KILL] = {"kill the view service", 2, false},
    [FAULT_VIEW_STOP] = {"stop the view service", 1, false},
};

const char *fault_name(enum fault_kind kind)
{
    return kinds[kind].name;
}

static enum fault_kind draw_kind(uint64_t *random, bool links_only)
{
    unsigned total = 0, dice;

    for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
        if (!links_only || !kinds[kind].needs_proxy)
            total += kinds[kind].weight;
    dice = random_between(random, 1, total);
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        if (links_only && kinds[kind].needs_proxy)
            continue;
        if (dice <= kinds[kind].weight)
            return (enum fault_kind)kind;
        dice -= kinds[kind].weight;
    }
    return FAULT_KILL;
}

static struct fault draw_fault(uint64_t *random, uint32_t at_ms,
                               unsigned servers, bool links_only)
{
    struct fault fault = {.kind = draw_kind(random, links_only),
                          .at_ms = at_ms};
    uint32_t target = random_between(random, 0, 9);

    fault.target = target < 5   ? TARGET_PRIMARY
                   : target < 8 ? TARGET_BACKUP
                                : TARGET_ANY;
    fault.server = random_between(random, 0, servers - 1);
    fault.other = random_between(random, 1, servers - 1);
    fault.lasts_ms = random_between(random, LASTS_MIN_MS, LASTS_MAX_MS);
    fault.delay_ms = random_between(random, DELAY_MIN_MS, DELAY_MAX_MS);
    return fault;
}

/* One run in three has servers that also lose and double messages. */
static void draw_loss(uint64_t *random, char loss[PLAN_FAULTS_TEXT])
{
    uint32_t seed = random_between(random, 1, 1000000);

    if (random_between(random, 1, 3) == 1)
        snprintf(loss, PLAN_FAULTS_TEXT,
                 "drop=0.01,dup=0.02,delay=0-3ms,seed=%" PRIu32, seed);
}

struct plan plan_draw(uint64_t seed, uint32_t length_ms, unsigned servers,
                      bool links_only)
{
    struct plan plan = {.count = 0};
    size_t most = length_ms / APART_MIN_MS + 1;
    uint32_t at_ms = START_MS;
    uint64_t random = seed;

    plan.faults = memory_new(most * sizeof(*plan.faults));
    draw_loss(&random, plan.loss);
    while (plan.count < most) {
        struct fault fault = draw_fault(&random, at_ms, servers, links_only);

        at_ms += random_between(&random, APART_MIN_MS, APART_MAX_MS);
        if (fault.at_ms + LASTS_MIN_MS > length_ms)
            break;
        if (fault.at_ms % WAVE_MS >= WAVE_MS - CALM_MS)
            continue;
        if (fault.at_ms + fault.lasts_ms > length_ms)
            fault.lasts_ms = length_ms - fault.at_ms;
        plan.faults[plan.count++] = fault;
    }
    return plan;
}

void plan_release(struct plan *plan)
{
    free(plan->faults);
}
