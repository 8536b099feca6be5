/* SPDX-License-Identifier: MIT */
/*
 * persist: see persist.h. The new record is written to a file next to the old
 * one and synchronised; then rename puts it in the old one's place, which is
 * atomic; then the directory is synchronised, because until then the rename
 * itself can be lost. The record counts only after the third step (rule V11).
 */
#include "rpc/persist.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/memory.h"
#include "rpc/rpc.h"

enum { RECORD_LIMIT = 64 * 1024 * 1024 /* octets, against a wrong file */ };

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        data += count;
        size -= (size_t)count;
    }
    return 0;
}

static int write_new_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int error = write_all(fd, data, size);
    if (error == 0 && fsync(fd) < 0)
        error = -errno;
    if (close(fd) < 0 && error == 0)
        error = -errno;
    return error;
}

static int sync_directory_of(const char *path)
{
    char *copy = memory_copy_text(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;
    free(copy);
    if (error == 0 && fsync(fd) < 0)
        error = -errno;
    if (fd >= 0)
        close(fd);
    return error;
}

int persist_write(const char *path, const void *data, size_t size)
{
    static const char suffix[] = ".tmp";
    char *temporary = memory_resize(NULL, strlen(path) + sizeof(suffix));
    memcpy(temporary, path, strlen(path));
    memcpy(temporary + strlen(path), suffix, sizeof(suffix));
    int error = write_new_file(temporary, data, size);
    if (error == 0 && rename(temporary, path) < 0)
        error = -errno;
    if (error < 0)
        unlink(temporary);
    else
        error = sync_directory_of(path);
    free(temporary);
    return error;
}

static int read_all(int fd, struct bytes *record)
{
    size_t have = 0;
    while (have < record->length) {
        ssize_t count = read(fd, record->data + have, record->length - have);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return -EIO;
        have += (size_t)count;
    }
    return 0;
}

static int read_file(int fd, struct bytes **record)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size > RECORD_LIMIT)
        return -EFBIG;
    struct bytes *octets = bytes_new_uninitialised((size_t)status.st_size);
    int error = read_all(fd, octets);
    if (error < 0)
        bytes_release(octets);
    else
        *record = octets;
    return error;
}

int rpc_read_record(const char *path, struct bytes **record)
{
    *record = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int error = read_file(fd, record);
    close(fd);
    return error;
}
