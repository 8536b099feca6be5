/* SPDX-License-Identifier: MIT */
/*
 * statistics: see statistics.h.
 */
#include "tests/bench/statistics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

struct summary summary_of(const double *values, size_t count)
{
    struct summary summary = {.count = count};
    double sorted[TURNS_MAX];

    assert(count <= TURNS_MAX);
    if (count == 0)
        return summary;
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare);
    summary.median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    summary.min = sorted[0];
    summary.max = sorted[count - 1];
    return summary;
}

struct summary summary_of_ratios(const double *values, const double *references,
                                 size_t count)
{
    double ratios[TURNS_MAX];
    size_t pairs = 0;

    assert(count <= TURNS_MAX);
    for (size_t i = 0; i < count; i++)
        if (references[i] > 0)
            ratios[pairs++] = values[i] / references[i];
    return summary_of(ratios, pairs);
}

bool summary_meets(const struct summary *summary, enum bound bound,
                   double target)
{
    if (summary->count == 0)
        return false;
    switch (bound) {
    case NO_BOUND: return true;
    case AT_LEAST: return summary->median >= target;
    case AT_MOST: return summary->median <= target;
    }
    return false;
}
