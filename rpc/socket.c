/* SPDX-License-Identifier: MIT */
/*
 * socket: see socket.h. Whether a Unix socket is stale is found out by dialling
 * it: only a refusal proves that nobody listens there. Between that and the
 * removal somebody else could do the same; the file is looked at again just
 * before, which leaves a window too small for anything but malice.
 */
#include "rpc/socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    KEEPALIVE_IDLE_S = 10,
    KEEPALIVE_INTERVAL_S = 3,
    KEEPALIVE_PROBES = 3,
    UNANSWERED_LIMIT_MS = 20000,
};

static int set_option(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof(value)) < 0)
        return -errno;
    return 0;
}

/* Options that make a connection better and that a socket can do without. */
static void tune(int fd)
{
    struct sockaddr_storage self = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(self);

    if (getsockname(fd, (struct sockaddr *)&self, &length) < 0 ||
        self.ss_family == AF_UNIX)
        return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_LIMIT_MS);
}

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

/* ---- Listening -------------------------------------------------------- */

/* Returns whether the file at path is a Unix socket that refuses. */
static bool is_stale(const struct endpoint *endpoint, const struct stat *file)
{
    int fd;
    int error;

    if (!S_ISSOCK(file->st_mode))
        return false;
    fd = new_socket(AF_UNIX);
    if (fd < 0)
        return false;
    error =
        connect(fd, &endpoint->socket.any, endpoint->length) < 0 ? errno : 0;
    close(fd);
    return error == ECONNREFUSED;
}

/* Removes a stale Unix socket. Returns 0 when the way is clear. */
static int clear_way(const struct endpoint *endpoint, const char **reason)
{
    const char *path = endpoint->socket.local.sun_path;
    struct stat before;
    struct stat after;

    *reason = "the address is in use";
    if (endpoint->socket.any.sa_family != AF_UNIX)
        return -EADDRINUSE;
    if (lstat(path, &before) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(before.st_mode))
        *reason = "a file that is not a socket is in the way";
    if (!is_stale(endpoint, &before))
        return -EADDRINUSE;
    if (lstat(path, &after) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
        return -EADDRINUSE;
    return unlink(path) < 0 ? -errno : 0;
}

static int bind_once(int fd, const struct endpoint *endpoint)
{
    return bind(fd, &endpoint->socket.any, endpoint->length) < 0 ? -errno : 0;
}

static int bind_socket(int fd, const struct endpoint *endpoint,
                       const char **reason)
{
    int error = bind_once(fd, endpoint);

    *reason = "the address cannot be bound";
    if (error == -EADDRINUSE) {
        error = clear_way(endpoint, reason);
        if (error == 0)
            error = bind_once(fd, endpoint);
    }
    return error;
}

/* Notes what bind made: the file, or the port that the system chose. */
static int note_address(struct listening *listening,
                        const struct address *address,
                        const struct endpoint *endpoint)
{
    struct endpoint bound = {.length = sizeof(bound.socket)};
    struct stat file;

    listening->address = *address;
    if (endpoint->socket.any.sa_family == AF_UNIX) {
        if (lstat(endpoint->socket.local.sun_path, &file) < 0)
            return -errno;
        listening->is_file = true;
        listening->device = file.st_dev;
        listening->inode = file.st_ino;
        return 0;
    }
    if (getsockname(listening->fd, &bound.socket.any, &bound.length) < 0)
        return -errno;
    return address_with_port(address,
                             ntohs(bound.socket.any.sa_family == AF_INET6
                                       ? bound.socket.v6.sin6_port
                                       : bound.socket.v4.sin_port),
                             &listening->address);
}

static int listen_on(const struct address *address,
                     const struct endpoint *endpoint,
                     struct listening *listening, const char **reason)
{
    int error;

    set_option(listening->fd, SOL_SOCKET, SO_REUSEADDR, 1);
    error = bind_socket(listening->fd, endpoint, reason);
    if (error < 0)
        return error;
    *reason = "the socket cannot listen";
    error = note_address(listening, address, endpoint);
    if (error == 0 && listen(listening->fd, BACKLOG) < 0)
        error = -errno;
    return error;
}

int socket_listen(const struct address *address, struct listening *listening,
                  const char **reason)
{
    struct endpoint endpoint;
    int error = address_resolve(address, true, 0, &endpoint);

    memset(listening, 0, sizeof(*listening));
    *reason = error == -EINVAL ? "the address to listen on makes no sense"
                               : "the host to listen on is not known";
    if (error < 0)
        return error;
    *reason = "the system gives no socket";
    listening->fd = new_socket(endpoint.socket.any.sa_family);
    if (listening->fd < 0)
        return listening->fd;
    error = listen_on(address, &endpoint, listening, reason);
    if (error < 0)
        socket_unlisten(listening);
    return error;
}

static bool file_is_ours(const struct listening *listening, const char *path)
{
    struct stat file;

    return lstat(path, &file) == 0 && S_ISSOCK(file.st_mode) &&
           file.st_dev == listening->device && file.st_ino == listening->inode;
}

void socket_unlisten(struct listening *listening)
{
    struct address_parts parts;

    if (listening->is_file && address_split(&listening->address, &parts) == 0 &&
        file_is_ours(listening, parts.path))
        unlink(parts.path);
    close(listening->fd);
    listening->is_file = false;
    listening->fd = -1;
}

int socket_accept(int fd)
{
    int accepted = accept(fd, NULL, NULL);

    if (accepted < 0)
        return -errno;
    if (fcntl(accepted, F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(accepted, F_SETFD, FD_CLOEXEC) < 0) {
        int error = -errno;

        close(accepted);
        return error;
    }
    tune(accepted);
    return accepted;
}

/* ---- Dialling --------------------------------------------------------- */

int socket_dial(const struct endpoint *endpoint)
{
    int fd = new_socket(endpoint->socket.any.sa_family);

    if (fd < 0)
        return fd;
    if (connect(fd, &endpoint->socket.any, endpoint->length) < 0 &&
        errno != EINPROGRESS && errno != EINTR) {
        int error = -errno;

        close(fd);
        return error;
    }
    tune(fd);
    return fd;
}

/* A TCP socket that dials a free port of its own host can, when the system
 * happens to choose the same port for its own end, reach itself. */
static bool reached_itself(int fd)
{
    struct endpoint near = {.length = sizeof(near.socket)};
    struct endpoint far = {.length = sizeof(far.socket)};

    if (getsockname(fd, &near.socket.any, &near.length) < 0 ||
        getpeername(fd, &far.socket.any, &far.length) < 0)
        return false;
    return near.socket.any.sa_family != AF_UNIX && near.length == far.length &&
           memcmp(&near.socket, &far.socket, near.length) == 0;
}

int socket_dialled(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    if (error != 0)
        return -error;
    return reached_itself(fd) ? -ECONNREFUSED : 0;
}
