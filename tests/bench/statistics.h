/* SPDX-License-Identifier: MIT */
/*
 * statistics: what several turns of the same measurement say together. Turns
 * are few and the machine is shared, so there are medians and extremes, no
 * means; and two contenders are compared pair by pair, each turn of one with
 * the turn of the other next to it, so what slows both cancels out.
 */
#ifndef TESTS_BENCH_STATISTICS_H
#define TESTS_BENCH_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

enum { TURNS_MAX = 64 };

struct summary {
    size_t count; /* 0: nothing is known, and the rest is 0 */
    double median;
    double min;
    double max;
};

/* Sums up at most TURNS_MAX values. The median of an even number of them is the
 * mean of the two in the middle. */
struct summary summary_of(const double *values, size_t count);

/* Sums up values[i] / references[i]. Pairs whose reference is 0 are left out.
 */
struct summary summary_of_ratios(const double *values, const double *references,
                                 size_t count);

enum bound { NO_BOUND, AT_LEAST, AT_MOST };

/* Returns whether the median is on the right side of the target, which counts
 * as being there. Nothing is on the right side when nothing is known. */
bool summary_meets(const struct summary *summary, enum bound bound,
                   double target);

#endif
