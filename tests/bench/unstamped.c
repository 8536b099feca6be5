/* SPDX-License-Identifier: MIT */
/*
 * unstamped: what stamping every message with both clocks costs is measured
 * against the same programs without it. Nothing in the programs can switch it
 * off, so the benchmark links their objects a second time with this one first:
 * it has all of host_clock.c, stamp.c and packed_stamp.c, but in place of the
 * five functions that run for every message it has some that do nothing, and so
 * the archive's are not needed. Such programs understand each other only. Their
 * log lines show that it worked: the Lamport time in them stays 0.
 *
 * A frame has no entries then, and always the same Lamport time, because one
 * that has none is never like the one before it (message_head.h). A runtime may
 * look at the first entry of what it has received, so there is one that says
 * nothing.
 */
#define host_clock_tick        stamping_tick
#define host_clock_check_stamp stamping_check_stamp
#define host_clock_receive     stamping_receive
#include "clocks/host_clock.c" /* NOLINT(bugprone-suspicious-include) */
#undef host_clock_tick
#undef host_clock_check_stamp
#undef host_clock_receive

#include <stdint.h>

#include "clocks/stamp.h"
#include "rpc/packed_stamp.h"

void host_clock_tick(struct host_clock *clock);
int host_clock_check_stamp(const Pbkv__Frame *frame);
bool host_clock_receive(struct host_clock *clock, const Pbkv__Frame *frame,
                        bool sender_passes);

void host_clock_tick(struct host_clock *clock)
{
    (void)clock;
}

int host_clock_check_stamp(const Pbkv__Frame *frame)
{
    (void)frame;
    return 0;
}

bool host_clock_receive(struct host_clock *clock, const Pbkv__Frame *frame,
                        bool sender_passes)
{
    static Pbkv__ClockEntry nothing;
    static Pbkv__ClockEntry *entries[1] = {&nothing};

    (void)clock;
    (void)sender_passes;
    ((Pbkv__Frame *)(uintptr_t)frame)->vector = entries;
    return true;
}

/* Does not take part, so that there is one way to receive. */
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

void packed_stamp_update(struct packed_stamp *packed,
                         const struct host_clock *clock)
{
    (void)clock;
    packed->lamport = 1;
    packed->length = 0;
}
