/* SPDX-License-Identifier: MIT */
/*
 * reserve: see reserve.h. The question is asked by taking the memory and giving
 * it back untouched. In pieces of the size that the largest copies have, so
 * that memory in pieces counts too.
 */
#include "rpc/reserve.h"

#include <stddef.h>
#include <stdlib.h>

#include "node/message.h"

/* The value of an append, what it is added to, the Forward and the frame. */
enum { PIECES = 4 };

bool reserve_is_there(void)
{
    /* Volatile, or the compiler would know the answer without asking. */
    void *volatile pieces[PIECES];
    bool there = true;

    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = malloc(FRAME_LIMIT);
        there = there && pieces[i] != NULL;
    }
    for (size_t i = 0; i < PIECES; i++)
        free(pieces[i]);
    return there;
}
