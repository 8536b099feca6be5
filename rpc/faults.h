/* SPDX-License-Identifier: MIT */
/*
 * faults: what a bad network does, on purpose and by a seed, for tests and
 * lessons on live servers. `--faults drop=0.1,dup=0.05,delay=0-20ms,seed=7`
 * drops one message in ten, sends one in twenty twice and holds each back for
 * up to 20 ms. Faults act on whole messages that a node sends, above the
 * framing of the connection; different delays reorder them.
 */
#ifndef RPC_FAULTS_H
#define RPC_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
    bool active;
    double drop; /* probability, 0 to 1 */
    double dup;  /* probability, 0 to 1 */
    uint32_t delay_min_ms;
    uint32_t delay_max_ms; /* at most 60,000 */
    uint64_t seed;
    uint64_t state; /* of the generator */
};

/* What happens to one message. */
struct fate {
    unsigned copies; /* 0: dropped, 1, or 2 */
    uint32_t delay_ms[2];
};

/* Returns no faults at all. */
struct faults faults_none(void);

/* Reads the text after --faults. Returns 0, or -EINVAL and the offending part's
 * reason, a constant sentence. */
int faults_parse(const char *text, struct faults *faults, const char **reason);

/* Draws the fate of the next message. The same seed gives the same fates. */
struct fate faults_draw(struct faults *faults);

#endif
