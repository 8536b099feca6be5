/* SPDX-License-Identifier: MIT */
/*
 * jitter: see jitter.h. splitmix64 (Steele, Lea and Flood, "Fast Splittable
 * Pseudorandom Number Generators", 2014): the state walks by the golden ratio
 * and every output is a bijective mix of it, so any seed will do, 0 included.
 */
#include "rpc/jitter.h"

#include <assert.h>

uint64_t jitter_next(uint64_t *state)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

uint32_t jitter_between(uint64_t *state, uint32_t low, uint32_t high)
{
    assert(low <= high);
    uint64_t span = (uint64_t)high - low + 1;
    return low + (uint32_t)(jitter_next(state) % span);
}

double jitter_fraction(uint64_t *state)
{
    return (double)(jitter_next(state) >> 11) * 0x1.0p-53;
}
