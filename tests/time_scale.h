/* SPDX-License-Identifier: MIT */
/*
 * time_scale: how much slower everything is in this run than on an idle machine
 * without a tool. It is one number, in percent, and it stretches the timers of
 * the protocol and the time limits of the tests alike: if only one of them
 * followed a slow tool, servers that are merely slow would be replaced, or
 * tests would give up on what is about to come true.
 *
 * tests/run.sh measures it once, with tests/calibrate under the tool that the
 * tests will run under, and hands it down as PBKV_TIME_SCALE. The tests'
 * harness gives it to programs as flags and to loops as their
 * timer_scale_percent; programs and the library read no environment.
 */
#ifndef TESTS_TIME_SCALE_H
#define TESTS_TIME_SCALE_H

#include <stdint.h>

enum {
    TIME_SCALE_MIN = 100,  /* percent */
    TIME_SCALE_MAX = 6000, /* percent */
};

/* Returns the scale in percent: PBKV_TIME_SCALE within the limits above, or
 * TIME_SCALE_MIN when it is not set. */
uint32_t time_scale_percent(void);

/* Returns so many milliseconds, stretched. */
uint32_t time_scaled(uint32_t ms);

#endif
