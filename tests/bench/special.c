/* SPDX-License-Identifier: MIT */
/*
 * special: memory, and what all of them need. See special.h.
 */
#include "tests/bench/special.h"

enum { QUICK = 10 /* a quick run has so much less */ };

uint32_t special_keys(const struct special *special,
                      const struct series *series)
{
    if (special->quick && series->keys >= QUICK * 1000)
        return series->keys / QUICK;
    return series->keys;
}

/* ---- Memory ------------------------------------------------------------- */

bool measure_memory(struct special *special, const struct series *series,
                    struct outcome *outcome)
{
    const struct contender *contender = contenders_get(
        special->contenders, series->kind, special_keys(special, series));

    if (!contender)
        return false;
    outcome->figure =
        process_memory(contender->servers[series->server]) / (1 << 20);
    return outcome->figure > 0;
}
