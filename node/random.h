/* SPDX-License-Identifier: MIT */
/*
 * random: numbers from a seed (splitmix64), for runtimes and tests: they spread
 * timers and pauses and draw the fates of messages. Nothing secret may depend
 * on them, and roles do not use them at all.
 */
#ifndef NODE_RANDOM_H
#define NODE_RANDOM_H

#include <stdint.h>

/* Advances the generator, whose whole state is one word, and returns 64 random
 * bits. The same state gives the same sequence. */
uint64_t random_next(uint64_t *state);

/* Returns a random number from low to high, both included; low <= high. */
uint32_t random_between(uint64_t *state, uint32_t low, uint32_t high);

/* Returns a random number in [0, 1). */
double random_fraction(uint64_t *state);

#endif
