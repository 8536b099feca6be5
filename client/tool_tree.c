/* SPDX-License-Identifier: MIT */
/*
 * tool_tree: see tool_tree.h. Directories are a list that grows at its end
 * while it is read from its start, so depth costs neither stack nor open
 * files. Each directory is opened by its path below the root; O_NOFOLLOW
 * guards its last component, and the ones before it were directories when they
 * were listed.
 */
#include "client/tool_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/memory.h"

/* A walk under way. */
struct walk {
    struct tree *tree;
    struct tree folders; /* paths of directories, "" the first; root unused */
    const char *excludes;
    tree_problem_function on_problem;
    void *context;
};

static void add_path(struct tree *list, char *path)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->paths =
            memory_resize(list->paths, list->capacity * sizeof(*list->paths));
    }
    list->paths[list->count++] = path;
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = memory_new(size);

    snprintf(path, size, "%s%s%s", folder, folder[0] ? "/" : "", name);
    return path;
}

/* Returns whether name is one of the names between the commas. */
static bool is_excluded(const char *name, const char *excludes)
{
    size_t length = strlen(name);

    while (excludes && *excludes) {
        size_t part = strcspn(excludes, ",");

        if (part == length && memcmp(name, excludes, length) == 0)
            return true;
        excludes += part + (excludes[part] == ',');
    }
    return false;
}

/* Adds an entry of a folder to the list it belongs to. */
static void visit(struct walk *walk, int fd, const char *folder,
                  const char *name)
{
    char *path = join(folder, name);
    struct stat about;

    if (fstatat(fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
        walk->on_problem(walk->context, path, errno);
        free(path);
    } else if (S_ISREG(about.st_mode)) {
        add_path(walk->tree, path);
    } else if (S_ISDIR(about.st_mode)) {
        add_path(&walk->folders, path);
    } else {
        free(path);
    }
}

/* Opens a folder below the root. */
static DIR *open_folder(const struct walk *walk, const char *folder)
{
    int fd = openat(walk->tree->root, folder[0] ? folder : ".",
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int error = errno;

    if (!stream && fd >= 0)
        close(fd);
    errno = error;
    return stream;
}

static void read_folder(struct walk *walk, const char *folder)
{
    DIR *stream = open_folder(walk, folder);
    struct dirent *entry;

    if (!stream) {
        walk->on_problem(walk->context, folder, errno);
        return;
    }
    while (errno = 0, (entry = readdir(stream))) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            !is_excluded(name, walk->excludes))
            visit(walk, dirfd(stream), folder, name);
    }
    if (errno != 0)
        walk->on_problem(walk->context, folder, errno);
    closedir(stream);
}

static int compare_paths(const void *a, const void *b)
{
    char *const *left = a;
    char *const *right = b;

    return strcmp(*left, *right);
}

int tree_read(struct tree *tree, const char *directory, const char *excludes,
              tree_problem_function on_problem, void *context)
{
    struct walk walk = {.tree = tree,
                        .folders = {.root = -1},
                        .excludes = excludes,
                        .on_problem = on_problem,
                        .context = context};

    *tree = (struct tree){
        .root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (tree->root < 0)
        return -errno;
    add_path(&walk.folders, memory_copy_text(""));
    for (size_t i = 0; i < walk.folders.count; i++)
        read_folder(&walk, walk.folders.paths[i]);
    tree_release(&walk.folders);
    if (tree->count > 0)
        qsort(tree->paths, tree->count, sizeof(*tree->paths), compare_paths);
    return 0;
}

void tree_release(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->paths[i]);
    free(tree->paths);
    if (tree->root >= 0)
        close(tree->root);
    *tree = (struct tree){.root = -1};
}
