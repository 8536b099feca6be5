/* SPDX-License-Identifier: MIT */
/*
 * lamport: a counter in the place of the clock that you write in lab 1A. It
 * knows nothing of others.
 */
#include "clocks/lamport.h"

uint64_t lamport_tick(struct lamport *clock)
{
    return ++clock->time;
}

uint64_t lamport_receive(struct lamport *clock, uint64_t received)
{
    (void)received;
    return lamport_tick(clock);
}
