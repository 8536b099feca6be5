/* SPDX-License-Identifier: MIT */
/*
 * stamp: no short cut. Every receipt is host_clock_receive's, which you write
 * in lab 1A.
 */
#include "clocks/stamp.h"

bool stamp_receive(struct host_clock *clock, struct stamp_places *places,
                   const Pbkv__Frame *frame, bool sender_passes, bool *honest)
{
    (void)clock;
    (void)places;
    (void)frame;
    (void)sender_passes;
    (void)honest;
    return false;
}
