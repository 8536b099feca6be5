/* SPDX-License-Identifier: MIT */
/*
 * lincheck_shrink: makes a part that the search found not to be linearizable as
 * small as possible, so that a person can see why.
 *
 * Linearizability is closed under prefixes, so there is a first end of an
 * operation with which the history stops being linearizable: that operation
 * fits nowhere. Others are then left out, in large pieces first, as long as the
 * rest still fails. A read can always be left out; a write only when no value
 * that is still read has it as a piece, because otherwise the rest would fail
 * for another reason; and no write while a compare-and-set is left that was
 * refused, because any write can be the reason for that.
 */
#ifndef SIM_LINCHECK_SHRINK_H
#define SIM_LINCHECK_SHRINK_H

#include "sim/lincheck.h"
#include "sim/lincheck_part.h"

struct failure {
    const struct history_op **ops; /* what is left, by invocation */
    size_t count;
    const struct history_op *culprit;
    char *reason;
};

/* Shrinks operations of one key, which the search has found to fail. The caller
 * frees the result with failure_release. When a limit is reached it is larger
 * than it need be. */
struct failure shrink_failure(const struct history_op *const *ops, size_t count,
                              bool no_absence,
                              const struct lincheck_limits *limits);
void failure_release(struct failure *failure);

#endif
