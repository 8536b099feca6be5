/* SPDX-License-Identifier: MIT */
/*
 * lincheck_future: what a search still has before it: which values must yet be
 * seen, by when, and which operations could still bring them about. It lets the
 * search turn back as soon as a step makes an answer impossible, instead of
 * where that answer is due.
 *
 * Operations of one purpose wait in queues, sorted by time; because they are
 * done roughly in that order, the first that is left is found quickly.
 */
#ifndef SIM_LINCHECK_FUTURE_H
#define SIM_LINCHECK_FUTURE_H

#include "sim/lincheck_part.h"

/* Operations by time; `first` is the place of the first that is not done. */
struct queue {
    uint32_t *ops;
    uint32_t count;
    uint32_t first;
};

struct future {
    const struct part *part;
    uint32_t *observers;   /* of each value, anything that tells it apart */
    struct queue *needs;   /* of each value, what must see it, by end */
    struct queue *makers;  /* of each state, what sets it, by invocation */
    struct queue *appends; /* of each token, by invocation */
    uint32_t *places;      /* of each operation in its queue of needs */
    uint32_t *make_places; /* … and of makers or appends */
    uint32_t *covers;      /* states that are set and that values begin with */
    uint32_t *cover_ends;  /* of each value, where its covers end */
    uint32_t *slots;       /* memory of all queues */
    bool *is_done;
    size_t state_count; /* when the part was prepared */
};

/* Makes the future of a part of which nothing is done; future_release frees
 * what it holds. The part is borrowed. */
void future_init(struct future *future, const struct part *part);
void future_release(struct future *future);

/* Takes an operation out of the future, or puts it back. */
void future_do(struct future *future, uint32_t op);
void future_undo(struct future *future, uint32_t op);

/* Whether an answer has become impossible by a write that was just taken out:
 * it left the values of a range for those of another. */
bool future_is_spoilt(const struct future *future, uint32_t op,
                      struct range old, struct range new);

/* Whether anything is still going to tell values of a range from others. */
bool future_observes(const struct future *future, struct range range);

#endif
