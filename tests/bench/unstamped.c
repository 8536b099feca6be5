/* SPDX-License-Identifier: MIT */
/*
 * unstamped: what stamping every message with both clocks costs is measured
 * against the same programs without it. Nothing in the programs can switch it
 * off, so the benchmark links their objects a second time and lets the linker
 * send the four calls of host_clock that happen for every message to these
 * (ld --wrap). Such programs understand each other only. Their log lines show
 * that it worked: the Lamport time in them stays 0.
 *
 * A runtime may look at a frame's first entry once its stamp was checked, so
 * the check gives it one that says nothing.
 */
#include "clocks/host_clock.h"

#include <stdint.h>

void __wrap_host_clock_tick(struct host_clock *clock);
void __wrap_host_clock_stamp(const struct host_clock *clock, Pbkv__Frame *frame,
                             struct stamp_storage *storage);
int __wrap_host_clock_check_stamp(const Pbkv__Frame *frame);
bool __wrap_host_clock_receive(struct host_clock *clock,
                               const Pbkv__Frame *frame, bool sender_passes);

void __wrap_host_clock_tick(struct host_clock *clock)
{
    (void)clock;
}

void __wrap_host_clock_stamp(const struct host_clock *clock, Pbkv__Frame *frame,
                             struct stamp_storage *storage)
{
    (void)clock;
    (void)frame;
    (void)storage;
}

int __wrap_host_clock_check_stamp(const Pbkv__Frame *frame)
{
    static Pbkv__ClockEntry nothing;
    static Pbkv__ClockEntry *entries[1] = {&nothing};

    ((Pbkv__Frame *)(uintptr_t)frame)->vector = entries;
    return 0;
}

bool __wrap_host_clock_receive(struct host_clock *clock,
                               const Pbkv__Frame *frame, bool sender_passes)
{
    (void)clock;
    (void)frame;
    (void)sender_passes;
    return true;
}
