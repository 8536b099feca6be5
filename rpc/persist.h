/* SPDX-License-Identifier: MIT */
/*
 * persist: a node's durable record, which is one small file. After a crash at
 * any moment the file holds either the old record or the new one, complete.
 */
#ifndef RPC_PERSIST_H
#define RPC_PERSIST_H

#include <stddef.h>

/* Replaces the file at path by size octets at data and returns 0 once they are
 * on stable storage, or a negative errno; then the old record is intact unless
 * only the last step, making the new name durable, failed. Uses the file
 * `path.tmp` on the way. Blocks for as long as the disk takes. */
int persist_write(const char *path, const void *data, size_t size);

#endif
