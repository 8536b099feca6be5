/* SPDX-License-Identifier: MIT */
/*
 * tool_path: keys as paths of files. A key names a file below a directory if it
 * is a relative path in its plainest form: components separated by single
 * slashes, none of them "." or "..", without a zero octet. Any other key could
 * name a file outside, or one that another key names too, and is refused.
 *
 * The directories on the way are opened one by one, and none may be a symbolic
 * link, so what is found below the directory cannot lead outside either.
 */
#ifndef CLIENT_TOOL_PATH_H
#define CLIENT_TOOL_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Returns NULL if the key names a file, or why it does not: a constant
 * phrase. */
const char *path_refuse(const void *key, size_t length);

/* Opens the directory that a path, which path_refuse accepts, puts its file in,
 * below the directory that is open as root, and makes directories that are
 * missing. Returns it for the caller to close, with the file's own name, a part
 * of path, in *name; or a negative errno. */
int path_open_parent(int root, const char *path, const char **name);

#endif
