/* SPDX-License-Identifier: MIT */
/*
 * The clock is one number. Time stops at LAMPORT_MAX: a peer that claims to be
 * there can hold the clock up, but it can never make it wrap around and order
 * a later event before an earlier one. Nothing honest comes near it: at a
 * thousand million events a second it takes 146 years.
 */
#include "clocks/lamport.h"

uint64_t lamport_tick(struct lamport *clock)
{
    if (clock->time < LAMPORT_MAX)
        clock->time++;
    return clock->time;
}

uint64_t lamport_receive(struct lamport *clock, uint64_t received)
{
    if (received > clock->time)
        clock->time = received < LAMPORT_MAX ? received : LAMPORT_MAX;
    return lamport_tick(clock);
}
