/* SPDX-License-Identifier: MIT */
/*
 * tool_histogram: see tool_histogram.h. The slots of values from 2^n to 2^(n+1)
 * follow each other; a value's slot is its n and the seven bits behind its
 * first one.
 */
#include "client/tool_histogram.h"

#include <assert.h>

enum { PARTS = 1 << HISTOGRAM_BITS };

/* Returns the position of the highest bit of a value that is not 0. */
static unsigned highest_bit(uint64_t value)
{
    return 63 - (unsigned)__builtin_clzll(value);
}

static size_t slot_of(uint64_t ns)
{
    unsigned shift;

    if (ns < PARTS)
        return (size_t)ns;
    if (ns >= HISTOGRAM_LIMIT)
        return HISTOGRAM_SLOTS - 1;
    shift = highest_bit(ns) - HISTOGRAM_BITS;
    return ((size_t)shift << HISTOGRAM_BITS) + (size_t)(ns >> shift);
}

/* Returns the middle of a slot. */
static uint64_t middle_of(size_t slot)
{
    size_t shift;
    uint64_t low;

    if (slot < 2 * PARTS)
        return slot;
    shift = (slot >> HISTOGRAM_BITS) - 1;
    low = (uint64_t)(slot - (shift << HISTOGRAM_BITS)) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    size_t slot = slot_of(ns);

    assert(slot < HISTOGRAM_SLOTS);
    if (histogram->count == 0 || ns < histogram->least)
        histogram->least = ns;
    if (ns > histogram->greatest)
        histogram->greatest = ns;
    histogram->count++;
    histogram->sum += ns;
    histogram->counts[slot]++;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    if (other->count == 0)
        return;
    if (histogram->count == 0 || other->least < histogram->least)
        histogram->least = other->least;
    if (other->greatest > histogram->greatest)
        histogram->greatest = other->greatest;
    histogram->count += other->count;
    histogram->sum += other->sum;
    for (size_t i = 0; i < HISTOGRAM_SLOTS; i++)
        histogram->counts[i] += other->counts[i];
}

/* Returns the rank that has a share of all below and in it. */
static uint64_t rank_of(uint64_t count, double share)
{
    double exact = share * (double)count;
    uint64_t rank = (uint64_t)exact;

    if ((double)rank < exact)
        rank++;
    return rank < 1 ? 1 : rank > count ? count : rank;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t rank, seen = 0, found;
    size_t slot = 0;

    assert(share >= 0 && share <= 1);
    if (histogram->count == 0)
        return 0;
    rank = rank_of(histogram->count, share);
    if (rank == histogram->count)
        return histogram->greatest;
    if (rank == 1)
        return histogram->least;
    while (seen + histogram->counts[slot] < rank)
        seen += histogram->counts[slot++];
    found = middle_of(slot);
    if (found < histogram->least)
        return histogram->least;
    return found > histogram->greatest ? histogram->greatest : found;
}

double histogram_mean(const struct histogram *histogram)
{
    if (histogram->count == 0)
        return 0;
    return (double)histogram->sum / (double)histogram->count;
}
