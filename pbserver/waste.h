/* SPDX-License-Identifier: MIT */
/*
 * waste: stores that nobody needs any more. To free a million keys takes a
 * tenth of a second and more; in one event, the server's next ping would wait
 * for it. So a large store is put here and freed some keys at a time.
 *
 * It is not part of what a server knows: copies of a server have none, and no
 * digest covers it.
 */
#ifndef PBSERVER_WASTE_H
#define PBSERVER_WASTE_H

#include <stdbool.h>
#include <stddef.h>

#include "pbserver/kv.h"

struct waste {
    struct kv *stores;
    size_t count;
};

enum { WASTE_STEP = 4096 /* keys that are freed at once */ };

/* Makes an empty waste; release it with waste_release. */
void waste_init(struct waste *waste);
void waste_release(struct waste *waste);

/* Empties a store: at once if it has few keys; a larger one is kept here. */
void waste_take(struct waste *waste, struct kv *kv);

/* Frees some of what is here. Returns whether there is more. */
bool waste_free_some(struct waste *waste);

#endif
