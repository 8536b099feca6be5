/* SPDX-License-Identifier: MIT */
/*
 * lincheck_search: decides whether the operations on one key can be put into an
 * order that respects real time and explains every answer.
 *
 * It is the search of Wing and Gong ("Testing and verifying concurrent
 * objects", 1993) with Lowe's memoisation ("Testing for linearizability",
 * 2017): the invocations and ends of operations are a linked list in the order
 * of time; the operations invoked before the first end in it are those that can
 * come next; one is done by taking it out of the list and undone by putting it
 * back; a configuration (set of operations done, state) is searched once.
 *
 * Four observations make it quick without making it wrong:
 *  - An operation that answers rightly now and changes nothing can be done now:
 *    in any order that works it can be moved to the front.
 *  - In a state that nobody will observe any more (DEAD), writes that nobody
 *    observes change nothing either. States in which all observations are done
 *    are DEAD.
 *  - A read that is still to come needs a state that can still become what it
 *    read, or a write that can still bring that about in time
 *    (lincheck_future.h).
 *  - Of pending operations that do the same, the earliest can go first. A
 *    pending write need not happen if it would change nothing.
 */
#ifndef SIM_LINCHECK_SEARCH_H
#define SIM_LINCHECK_SEARCH_H

#include "sim/lincheck.h"
#include "sim/lincheck_part.h"

struct search_result {
    enum lincheck_verdict verdict;
    uint64_t states;  /* that were remembered */
    uint32_t *order;  /* of a linearizable part: indices of its operations; */
    uint32_t ordered; /* … all that have ended are among them */
};

/* Decides. The part is changed only by new states. The caller frees the result
 * with search_release. */
struct search_result search_part(struct part *part,
                                 const struct lincheck_limits *limits);
void search_release(struct search_result *result);

#endif
