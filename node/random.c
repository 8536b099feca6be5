/* SPDX-License-Identifier: MIT */
/*
 * random: see random.h. splitmix64 (Steele, Lea and Flood, "Fast Splittable
 * Pseudorandom Number Generators", 2014): a counter and a mixing function.
 */
#include "node/random.h"

#include <assert.h>

uint64_t random_next(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

uint32_t random_between(uint64_t *state, uint32_t low, uint32_t high)
{
    uint64_t span = (uint64_t)high - low + 1;

    assert(low <= high);
    return low + (uint32_t)(((random_next(state) >> 32) * span) >> 32);
}

double random_fraction(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}
