/* SPDX-License-Identifier: MIT */
/*
 * tool_output: see tool_output.h. Temporary names are hidden, end in random
 * digits and are opened with O_EXCL, so they meet neither users' files nor each
 * other. They do not contain the final name, which may be as long as the file
 * system allows.
 */
#define _XOPEN_SOURCE 700 // realpath

#include "client/tool_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_ATTEMPTS = 100 };

/* Fills in a temporary path next to the final one. */
static void choose_temporary(struct tool_output *output, unsigned attempt)
{
    const char *slash = strrchr(output->path, '/');
    int folder = slash ? (int)(slash + 1 - output->path) : 0;
    struct timespec now;
    uint64_t number;

    clock_gettime(CLOCK_REALTIME, &now);
    number = (uint64_t)now.tv_nsec * 2654435761u + (uint64_t)now.tv_sec +
             ((uint64_t)getpid() << 40) + attempt;
    snprintf(output->temporary, sizeof(output->temporary),
             "%.*s.pbkv-%016" PRIx64, folder, output->path, number);
}

/* Opens the temporary file and puts it into care. */
static int open_temporary(struct tool_output *output)
{
    int fd = -1;

    for (unsigned i = 0; i < NAME_ATTEMPTS && fd < 0; i++) {
        choose_temporary(output, i);
        tool_stop_guard(output->stop, output->directory, output->temporary);
        fd = openat(output->directory, output->temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd >= 0)
        output->stream = fdopen(fd, "wb");
    if (output->stream)
        return 0;
    fd = -errno;
    tool_stop_guard(output->stop, AT_FDCWD, NULL);
    return fd;
}

static int open_direct(struct tool_output *output)
{
    output->direct = true;
    output->stream = fopen(output->path, "wb");
    return output->stream ? 0 : -errno;
}

/* Stores the path, with links resolved if there is something. */
static int set_path(struct tool_output *output, const char *path)
{
    char *real = realpath(path, NULL);
    int length =
        snprintf(output->path, sizeof(output->path), "%s", real ? real : path);

    free(real);
    return length < (int)sizeof(output->path) ? 0 : -ENAMETOOLONG;
}

int tool_output_open(struct tool_output *output, struct tool_stop *stop,
                     const char *path)
{
    struct stat about;
    int error;

    *output = (struct tool_output){.stop = stop, .directory = AT_FDCWD};
    error = set_path(output, path);
    if (error != 0)
        return error;
    if (stat(output->path, &about) == 0 && !S_ISREG(about.st_mode))
        return S_ISDIR(about.st_mode) ? -EISDIR : open_direct(output);
    return open_temporary(output);
}

int tool_output_open_in(struct tool_output *output, struct tool_stop *stop,
                        int directory, const char *name)
{
    *output = (struct tool_output){.stop = stop, .directory = directory};
    if (strlen(name) >= sizeof(output->path))
        return -ENAMETOOLONG;
    memcpy(output->path, name, strlen(name) + 1);
    return open_temporary(output);
}

int tool_output_commit(struct tool_output *output, bool durable)
{
    int error = 0;

    if (ferror(output->stream))
        error = -EIO;
    if (fflush(output->stream) != 0)
        error = -errno;
    if (error == 0 && durable && !output->direct &&
        fsync(fileno(output->stream)) != 0)
        error = -errno;
    if (fclose(output->stream) != 0 && error == 0)
        error = -errno;
    output->stream = NULL;
    if (output->direct)
        return error;
    if (error == 0)
        error = tool_stop_rename(output->stop, output->path);
    if (error != 0)
        tool_stop_remove(output->stop);
    return error;
}

void tool_output_discard(struct tool_output *output)
{
    fclose(output->stream);
    output->stream = NULL;
    if (!output->direct)
        tool_stop_remove(output->stop);
}
