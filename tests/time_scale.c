/* SPDX-License-Identifier: MIT */
/*
 * time_scale: see time_scale.h. The environment is read each time: it does not
 * change, and a value kept here would be state that threads share.
 */
#include "tests/time_scale.h"

#include <stdlib.h>

uint32_t time_scale_percent(void)
{
    const char *text = getenv("PBKV_TIME_SCALE");
    long percent = text ? strtol(text, NULL, 10) : TIME_SCALE_MIN;

    if (percent < TIME_SCALE_MIN)
        return TIME_SCALE_MIN;
    return percent > TIME_SCALE_MAX ? TIME_SCALE_MAX : (uint32_t)percent;
}

uint32_t time_scaled(uint32_t ms)
{
    return (uint32_t)((uint64_t)ms * time_scale_percent() / TIME_SCALE_MIN);
}
