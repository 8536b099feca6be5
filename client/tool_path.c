/* SPDX-License-Identifier: MIT */
/*
 * tool_path: see tool_path.h. Nothing here joins paths: each step is relative
 * to a directory that is already open, with O_NOFOLLOW.
 */
#include "client/tool_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *component_refuse(const char *text, size_t length)
{
    if (length == 0)
        return "an empty component in a path";
    if (length == 1 && text[0] == '.')
        return "a '.' in a path";
    if (length == 2 && text[0] == '.' && text[1] == '.')
        return "a '..' in a path";
    if (length > NAME_MAX)
        return "a file name is too long";
    return NULL;
}

const char *path_refuse(const void *key, size_t length)
{
    const char *at = key;
    const char *end = at + length;
    const char *reason = NULL;

    if (length == 0)
        return "an empty path";
    if (memchr(key, '\0', length))
        return "a zero octet in a path";
    if (at[0] == '/')
        return "an absolute path";
    while (!reason && at <= end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;

        reason = component_refuse(at, (size_t)(stop - at));
        at = stop + 1;
    }
    return reason;
}

/* Opens a directory in a directory, and makes it if it is missing. */
static int open_component(int parent, const char *text, size_t length)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    char name[NAME_MAX + 1];
    int fd;

    memcpy(name, text, length);
    name[length] = '\0';
    fd = openat(parent, name, FLAGS);
    if (fd < 0 && errno == ENOENT &&
        (mkdirat(parent, name, 0777) == 0 || errno == EEXIST))
        fd = openat(parent, name, FLAGS);
    return fd < 0 ? -errno : fd;
}

int path_open_parent(int root, const char *path, const char **name)
{
    int parent = fcntl(root, F_DUPFD_CLOEXEC, 0);
    const char *slash;

    if (parent < 0)
        return -errno;
    for (; parent >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        int next = open_component(parent, path, (size_t)(slash - path));

        close(parent);
        parent = next;
    }
    *name = path;
    return parent;
}
