/* SPDX-License-Identifier: MIT */
/*
 * lincheck_cheap: finds violations that can be said in plain words.
 *
 * Of every value that was read it asks whether it can have been written at all,
 * and by then. If every value tells which writes it consists of (each written
 * text belongs to one operation, and there is one way to cut the value into
 * such texts), the part is `clean`, and all operations that saw or made the
 * same root value followed by appends form a cluster. In a linearizable history
 * a cluster is a block: nothing of another cluster comes in between. So
 *  - the operations of a cluster must be in the order of their values' lengths;
 *  - of two clusters one must be able to come first: it is wrong that an
 *    operation of each ended before one of the other began (Gibbons and Korach,
 *    "Testing shared memories", 1997).
 * A write that no read tells of is a cluster of its own, and "the key is
 * absent" is the first cluster, which began before everything. For clean parts
 * this decides; for all others it only finds some violations.
 */
#ifndef SIM_LINCHECK_CHEAP_H
#define SIM_LINCHECK_CHEAP_H

#include "sim/lincheck_part.h"

enum { FINDING_OPS = 8, FINDING_TEXT = 1024 };

struct finding {
    char sentence[FINDING_TEXT];
    const struct history_op *ops[FINDING_OPS]; /* the evidence */
    size_t count;
    const struct history_op *culprit; /* … and what fits nowhere */
};

/* Whether every read value tells which writes it consists of. */
bool cheap_is_clean(const struct part *part);

/* Returns whether there is such a violation, and describes it. */
bool cheap_check(const struct part *part, struct finding *finding);

#endif
