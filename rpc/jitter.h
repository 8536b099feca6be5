/* SPDX-License-Identifier: MIT */
/*
 * jitter: small random numbers from a seed (splitmix64). They spread timers and
 * pauses and draw the fates of messages; nothing that must be secret.
 */
#ifndef RPC_JITTER_H
#define RPC_JITTER_H

#include <stdint.h>

/* Advances the generator, whose whole state is one word, and returns 64 random
 * bits. The same state gives the same sequence. */
uint64_t jitter_next(uint64_t *state);

/* Returns a random number from low to high, both included; low <= high. */
uint32_t jitter_between(uint64_t *state, uint32_t low, uint32_t high);

/* Returns a random number in [0, 1). */
double jitter_fraction(uint64_t *state);

#endif
