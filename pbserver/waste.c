/* SPDX-License-Identifier: MIT */
/*
 * waste: see waste.h.
 */
#include "pbserver/waste.h"

#include <stdlib.h>

#include "node/memory.h"

void waste_init(struct waste *waste)
{
    waste->stores = NULL;
    waste->count = 0;
}

void waste_release(struct waste *waste)
{
    for (size_t i = 0; i < waste->count; i++)
        kv_release(&waste->stores[i]);
    free(waste->stores);
    waste_init(waste);
}

void waste_take(struct waste *waste, struct kv *kv)
{
    if (kv->count <= WASTE_STEP) {
        kv_release(kv);
        return;
    }
    waste->stores = memory_resize(waste->stores,
                                  (waste->count + 1) * sizeof(*waste->stores));
    waste->stores[waste->count++] = *kv;
    kv_init(kv);
}

bool waste_free_some(struct waste *waste)
{
    if (waste->count > 0 &&
        !kv_release_some(&waste->stores[waste->count - 1], WASTE_STEP))
        waste->count--;
    if (waste->count == 0)
        waste_release(waste);
    return waste->count > 0;
}
