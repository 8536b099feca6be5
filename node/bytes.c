/* SPDX-License-Identifier: MIT */
/*
 * bytes: see bytes.h. Header and octets share one allocation.
 */
#include "node/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

struct bytes *bytes_new_uninitialised(size_t length)
{
    struct bytes *bytes;

    assert(length <= UINT32_MAX);
    bytes = memory_resize(NULL, sizeof(*bytes) + length);
    bytes->references = 1;
    bytes->length = (uint32_t)length;
    return bytes;
}

struct bytes *bytes_new(const void *data, size_t length)
{
    struct bytes *bytes = bytes_new_uninitialised(length);

    if (length > 0)
        memcpy(bytes->data, data, length);
    return bytes;
}

struct bytes *bytes_concat(const struct bytes *first, const void *data,
                           size_t length)
{
    struct bytes *bytes = bytes_new_uninitialised(first->length + length);

    memcpy(bytes->data, first->data, first->length);
    if (length > 0)
        memcpy(bytes->data + first->length, data, length);
    return bytes;
}

struct bytes *bytes_share(struct bytes *bytes)
{
    if (bytes) {
        assert(bytes->references > 0 && bytes->references < UINT32_MAX);
        bytes->references++;
    }
    return bytes;
}

void bytes_release(struct bytes *bytes)
{
    if (!bytes)
        return;
    assert(bytes->references > 0);
    if (--bytes->references == 0)
        free(bytes);
}

bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
    return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}
