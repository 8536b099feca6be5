/* SPDX-License-Identifier: MIT */
/*
 * socket: the system calls that make sockets. All sockets are non-blocking,
 * closed on exec, and never raise SIGPIPE (by MSG_NOSIGNAL at every send). TCP
 * sockets send at once (TCP_NODELAY) and notice a peer that has vanished, with
 * or without something to send, within some 20 seconds.
 */
#ifndef RPC_SOCKET_H
#define RPC_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "rpc/address.h"

/* A socket that listens, and what a Unix socket left in the file system. */
struct listening {
    int fd;
    struct address address; /* with the port that the system chose */
    bool is_file;           /* there is a file, which is this one: */
    dev_t device;
    ino_t inode;
};

/*
 * Makes a socket that listens. A Unix socket that nobody listens on any more is
 * replaced; any other file in the way is left alone. Returns 0, or a negative
 * errno with *reason, a constant sentence.
 */
int socket_listen(const struct address *address, struct listening *listening,
                  const char **reason);

/* Closes it and removes its file, if the file is still the one it made. */
void socket_unlisten(struct listening *listening);

/* Accepts one connection. Returns its socket or a negative errno. */
int socket_accept(int fd);

/* Begins to dial. Returns the socket, which becomes writable when it is
 * connected or has failed, or a negative errno. */
int socket_dial(const struct endpoint *endpoint);

/* Returns how dialling ended: 0 or a negative errno. */
int socket_dialled(int fd);

#endif
