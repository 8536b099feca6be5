/* SPDX-License-Identifier: MIT */
/*
 * bytes: immutable byte strings that are shared by counting references.
 *
 * Keys, values and encoded messages are `struct bytes`. Because nobody changes
 * one after it was made, a clone of a node shares them all and costs almost
 * nothing, and a reply can keep the value it is about to send while the store
 * moves on.
 *
 * The count is a plain integer: a `struct bytes` belongs to one thread at a
 * time. To hand octets to another thread, copy them.
 */
#ifndef NODE_BYTES_H
#define NODE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint32_t references;
    uint32_t length; /* octets in data */
    uint8_t data[];
};

/*
 * Returns a new byte string with a copy of length octets at data, which may be
 * NULL when length is 0. The caller owns one reference. Never returns NULL: it
 * ends the process when memory is exhausted (docs/decisions.md).
 */
struct bytes *bytes_new(const void *data, size_t length);

/* Returns a new byte string of length octets for the caller to fill in before
 * anyone else sees it. The caller owns one reference. */
struct bytes *bytes_new_uninitialised(size_t length);

/* Returns a new byte string: first followed by the length octets at data. The
 * caller owns one reference; first keeps its own. */
struct bytes *bytes_concat(const struct bytes *first, const void *data,
                           size_t length);

/* Takes one more reference and returns its argument, which may be NULL. */
struct bytes *bytes_share(struct bytes *bytes);

/* Gives one reference back; the last one frees. NULL is allowed. */
void bytes_release(struct bytes *bytes);

/* Returns whether both hold the same octets. */
bool bytes_equal(const struct bytes *a, const struct bytes *b);

#endif
