/* SPDX-License-Identifier: MIT */
/*
 * dice: choices out of the octets of a fuzzed input, one octet for most of
 * them. When the octets are used up every choice is 0, so a cut input is an
 * input too. The same octets make the same choices.
 */
#ifndef TESTS_FUZZ_DICE_H
#define TESTS_FUZZ_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
    const uint8_t *next;
    size_t left;
};

/* Starts with these octets, which are borrowed. */
struct dice dice_of(const uint8_t *octets, size_t length);

/* Returns whether all octets are used up. */
bool dice_is_over(const struct dice *dice);

/* Returns the next octet. */
uint8_t dice_octet(struct dice *dice);

/* Returns a choice from 0 to count - 1; count is from 1 to 256. */
uint32_t dice_below(struct dice *dice, uint32_t count);

/* Returns a number at `base` or close to it, or, for some octets, one at the
 * edges of what a message can carry. */
uint64_t dice_number(struct dice *dice, uint64_t base);

/* Takes up to limit octets as they are, as many as the next octet says, and
 * stores how many; returns where they are. */
const uint8_t *dice_octets(struct dice *dice, size_t limit, size_t *length);

#endif
