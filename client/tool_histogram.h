/* SPDX-License-Identifier: MIT */
/*
 * tool_histogram: counts of durations in bounded memory. Below 128 ns every
 * nanosecond has a slot of its own; above that each power of two is divided
 * into 128 slots of the same width. So a slot is never wider than 1/128 of what
 * is in it, and a quantile, which is the middle of its slot, is off by at most
 * 1/256. Durations of HISTOGRAM_LIMIT and more go to the last slot. The least
 * and the greatest are kept exactly.
 *
 * A histogram belongs to one thread at a time.
 */
#ifndef CLIENT_TOOL_HISTOGRAM_H
#define CLIENT_TOOL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7, /* of a value that its slot remembers */
    HISTOGRAM_TOP = 47, /* 2^47 ns is 39 hours */
    HISTOGRAM_SLOTS = (HISTOGRAM_TOP - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS
};

#define HISTOGRAM_LIMIT (UINT64_C(1) << HISTOGRAM_TOP)

/* All zeros: nothing was counted. */
struct histogram {
    uint64_t count;
    uint64_t sum; /* of all durations */
    uint64_t least;
    uint64_t greatest;
    uint64_t counts[HISTOGRAM_SLOTS];
};

/* Counts one duration. */
void histogram_add(struct histogram *histogram, uint64_t ns);

/* Adds what another histogram has counted. */
void histogram_merge(struct histogram *histogram,
                     const struct histogram *other);

/*
 * Returns the duration that the given share (0 to 1) of all do not exceed: that
 * of rank ceil(share * count), rank 1 being the least. The first and the last
 * rank are exact. Of nothing it is 0.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* Returns the mean, exactly; of nothing it is 0. */
double histogram_mean(const struct histogram *histogram);

#endif
