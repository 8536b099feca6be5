/* SPDX-License-Identifier: MIT */
/*
 * dice: see dice.h. An octet that chooses a number is read as a small distance
 * from what the state makes likely; the sixteen highest octets stand for the
 * numbers at which counting goes wrong.
 */
#include "tests/fuzz/dice.h"

#include <assert.h>

#include "node/message.h"

enum {
    EDGE_FIRST = 240, /* octets from here on stand for an edge */
    NEAR = 16,        /* distances on each side of the base */
};

struct dice dice_of(const uint8_t *octets, size_t length)
{
    return (struct dice){.next = octets, .left = length};
}

bool dice_is_over(const struct dice *dice)
{
    return dice->left == 0;
}

uint8_t dice_octet(struct dice *dice)
{
    if (dice->left == 0)
        return 0;
    dice->left--;
    return *dice->next++;
}

uint32_t dice_below(struct dice *dice, uint32_t count)
{
    assert(count > 0 && count <= 256);
    return dice_octet(dice) % count;
}

uint64_t dice_number(struct dice *dice, uint64_t base)
{
    static const uint64_t edges[256 - EDGE_FIRST] = {
        0,
        1,
        2,
        127,
        128,
        UINT32_MAX - 1,
        UINT32_MAX,
        (uint64_t)UINT32_MAX + 1,
        NUMBER_LIMIT - 2,
        NUMBER_LIMIT - 1,
        NUMBER_LIMIT,
        NUMBER_LIMIT + 1,
        INT64_MAX,
        (uint64_t)INT64_MAX + 1,
        UINT64_MAX - 1,
        UINT64_MAX,
    };
    uint8_t octet = dice_octet(dice);

    if (octet >= EDGE_FIRST)
        return edges[octet - EDGE_FIRST];
    if (octet % 4 != 3) /* most numbers are the likely one or its neighbours */
        return base + octet % 4;
    return base + octet / 4 % (2 * NEAR) - NEAR;
}

const uint8_t *dice_octets(struct dice *dice, size_t limit, size_t *length)
{
    size_t wanted = dice_octet(dice);
    const uint8_t *octets = dice->next;

    if (wanted > limit)
        wanted = limit;
    if (wanted > dice->left)
        wanted = dice->left;
    dice->next += wanted;
    dice->left -= wanted;
    *length = wanted;
    return octets;
}
