/* SPDX-License-Identifier: MIT */
/*
 * octets: which octets may be in names and addresses. Two addresses and some
 * names are in every message, and one by one their octets take longer than all
 * else about a stamp, so eight are looked at together, in a word. What is
 * subtracted from a word borrows from an octet that is too small, what is added
 * carries into the highest bit of one that is too large; borrows and carries
 * that reach a neighbour come from an octet that is bad already.
 */
#ifndef CLOCKS_OCTETS_H
#define CLOCKS_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A word with this octet everywhere. */
#define OCTETS_EACH(octet) (UINT64_C(0x0101010101010101) * (uint8_t)(octet))

/* Returns a word in which the highest bit of an octet is set where one of eight
 * octets is bad, and maybe behind it. */
static inline uint64_t octets_bad(uint64_t word, char but, char nor)
{
    uint64_t ones = OCTETS_EACH(1);

    return word | (word - OCTETS_EACH('!')) | (word + ones) |
           ((word ^ OCTETS_EACH(but)) - ones) |
           ((word ^ OCTETS_EACH(nor)) - ones);
}

/* Returns whether length octets at text, at least 1, are all printable ASCII
 * and none is a blank, `but` or `nor`. A blank for these leaves out no other.
 * Thread-safe. */
static inline bool octets_are_printable(const char *text, size_t length,
                                        char but, char nor)
{
    uint64_t word = OCTETS_EACH('a'); /* for those that a short text lacks */
    uint64_t bad = 0;
    size_t done = 0;

    for (; length - done >= sizeof(word); done += sizeof(word)) {
        memcpy(&word, text + done, sizeof(word));
        bad |= octets_bad(word, but, nor);
    }
    if (done > 0) /* the last eight, some of them again */
        memcpy(&word, text + length - sizeof(word), sizeof(word));
    else
        memcpy(&word, text, length);
    bad |= octets_bad(word, but, nor);
    return (bad & OCTETS_EACH(0x80)) == 0;
}

#endif
