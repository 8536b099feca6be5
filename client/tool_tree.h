/* SPDX-License-Identifier: MIT */
/*
 * tool_tree: the regular files below a directory, by path relative to it, in
 * the order of the paths' octets. Symbolic links are not followed; only
 * the directory that a user names may be one. Neither they nor sockets, pipes
 * and devices appear. What cannot be looked at is reported, not left out.
 */
#ifndef CLIENT_TOOL_TREE_H
#define CLIENT_TOOL_TREE_H

#include <stddef.h>
#include <stdint.h>

struct tree {
    int root;     /* the directory, open; -1: none */
    char **paths; /* count of them */
    size_t count;
    size_t capacity;
};

/* Learns of a path below the directory that cannot be read, and of the errno.
 */
typedef void (*tree_problem_function)(void *context, const char *path,
                                      int error);

/*
 * Reads the tree at directory. Files and directories whose name is among
 * excludes, names separated by commas (NULL: none), are passed over, at every
 * depth. Returns 0 and a tree to release, or the negative errno of opening the
 * directory itself.
 */
int tree_read(struct tree *tree, const char *directory, const char *excludes,
              tree_problem_function on_problem, void *context);

/* Closes and frees everything. */
void tree_release(struct tree *tree);

#endif
