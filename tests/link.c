/* SPDX-License-Identifier: MIT */
/*
 * link: see link.h and cluster.h. One thread polls the listening socket and the
 * two sockets of every pair. What it reads from one end it writes to the other
 * before it looks at anything else: a far end that reads nothing holds up the
 * whole link, which is what a link is for.
 *
 * Cutting. What is cut is guarded by the mutex, and so is every step that moves
 * octets: once link_cut has returned, the thread is before or after such a
 * step. What is cut is not polled, so octets wait in the sockets of the system,
 * and new connections to a link that is cut for everybody wait to be accepted.
 */
#define _GNU_SOURCE // accept4, struct ucred
#include "tests/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/cluster.h"

enum {
    PAIRS_MAX = 32,          /* connections through a link */
    CARRY_SIZE = 256 * 1024, /* octets carried in one step */
    BACKLOG = 16,
    STUCK_MS = 2000, /* after which an end that takes nothing is given up */
};

struct pair {
    int ends[2]; /* -1: not in use */
    pid_t pid;   /* of the process that connected */
};

struct link {
    char address[PBKV_ADDRESS_SIZE];
    char target[PBKV_ADDRESS_SIZE];
    int listener;
    int wake[2];
    pthread_t thread;

    /* Used by the thread only. */
    struct pair pairs[PAIRS_MAX];
    char octets[CARRY_SIZE];

    /* Guarded by the mutex. */
    pthread_mutex_t mutex;
    bool cut;      /* for everybody */
    pid_t cut_pid; /* for this process; 0: for none */
    bool stopped;
};

/* Fills in the socket address of "unix:/path". */
static bool unix_name(const char *address, struct sockaddr_un *name)
{
    static const char scheme[] = "unix:";
    const char *path = address + strlen(scheme);

    memset(name, 0, sizeof(*name));
    name->sun_family = AF_UNIX;
    if (strncmp(address, scheme, strlen(scheme)) != 0 ||
        strlen(path) >= sizeof(name->sun_path))
        return false;
    memcpy(name->sun_path, path, strlen(path) + 1);
    return true;
}

static bool has_stopped(struct link *link)
{
    bool stopped;

    pthread_mutex_lock(&link->mutex);
    stopped = link->stopped;
    pthread_mutex_unlock(&link->mutex);
    return stopped;
}

/* ---- The thread --------------------------------------------------------- */

static void close_pair(struct pair *pair)
{
    for (int end = 0; end < 2; end++) {
        if (pair->ends[end] >= 0)
            close(pair->ends[end]);
        pair->ends[end] = -1;
    }
}

static int dial(const char *address)
{
    struct sockaddr_un name;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || !unix_name(address, &name))
        return -1;
    if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Returns the number of the process at the other end. */
static pid_t peer_pid(int fd)
{
    struct ucred who = {0};
    socklen_t size = sizeof(who);

    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    return who.pid;
}

/* Takes a new connection and dials the target for it. */
static void accept_pair(struct link *link)
{
    int near = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC);
    int far = near < 0 ? -1 : dial(link->target);

    for (int i = 0; far >= 0 && i < PAIRS_MAX; i++)
        if (link->pairs[i].ends[0] < 0) {
            link->pairs[i] = (struct pair){{near, far}, peer_pid(near)};
            return;
        }
    if (near >= 0)
        close(near);
    if (far >= 0)
        close(far);
}

/* Writes all octets to fd. Returns false when the other side is gone. */
static bool carry(struct link *link, int fd, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t sent = send(fd, link->octets + done, length - done,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd full = {fd, POLLOUT, 0};

        if (sent > 0)
            done += (size_t)sent;
        else if (errno != EAGAIN && errno != EINTR)
            return false;
        else if (poll(&full, 1, STUCK_MS) == 0)
            return false;
    }
    return true;
}

/* Moves what has arrived at one end of a pair to the other. */
static void serve(struct link *link, struct pair *pair, int end)
{
    ssize_t got = recv(pair->ends[end], link->octets, CARRY_SIZE, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || !carry(link, pair->ends[!end], (size_t)got))
        close_pair(pair);
}

/* One step, under the mutex: everything that poll has found ready. */
static void step(struct link *link, const struct pollfd *watched)
{
    char octet;

    if (watched[0].revents != 0 && read(link->wake[0], &octet, 1) < 0)
        return;
    if (link->cut || link->stopped)
        return;
    for (int i = 0; i < PAIRS_MAX; i++)
        for (int end = 0; end < 2; end++)
            if (watched[2 + 2 * i + end].revents != 0 &&
                link->pairs[i].ends[end] >= 0 &&
                link->pairs[i].pid != link->cut_pid)
                serve(link, &link->pairs[i], end);
    if (watched[1].revents != 0)
        accept_pair(link);
}

/* Lists what to wait for: the wake pipe, the listener, and the pairs. */
static void list_watched(struct link *link, struct pollfd *watched)
{
    pthread_mutex_lock(&link->mutex);
    watched[0] = (struct pollfd){link->wake[0], POLLIN, 0};
    watched[1] = (struct pollfd){link->cut ? -1 : link->listener, POLLIN, 0};
    for (int i = 0; i < 2 * PAIRS_MAX; i++) {
        const struct pair *pair = &link->pairs[i / 2];
        bool cut = link->cut || pair->pid == link->cut_pid;

        watched[2 + i] =
            (struct pollfd){cut ? -1 : pair->ends[i % 2], POLLIN, 0};
    }
    pthread_mutex_unlock(&link->mutex);
}

static void *link_run(void *argument)
{
    struct link *link = argument;
    struct pollfd watched[2 + 2 * PAIRS_MAX];

    while (!has_stopped(link)) {
        list_watched(link, watched);
        if (poll(watched, 2 + 2 * PAIRS_MAX, -1) < 0)
            continue;
        pthread_mutex_lock(&link->mutex);
        step(link, watched);
        pthread_mutex_unlock(&link->mutex);
    }
    return NULL;
}

/* ---- From outside ------------------------------------------------------- */

/* Makes the sockets. Returns false with errno. */
static bool open_ends(struct link *link)
{
    struct sockaddr_un name;

    if (!unix_name(link->address, &name) ||
        pipe2(link->wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    link->listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return link->listener >= 0 &&
           bind(link->listener, (const struct sockaddr *)&name, sizeof(name)) ==
               0 &&
           listen(link->listener, BACKLOG) == 0;
}

/* Starts the thread, which takes no signals. */
static bool start_thread(struct link *link)
{
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&link->thread, NULL, link_run, link);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = result;
    return result == 0;
}

struct link *link_new(const char *address, const char *target)
{
    struct link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    memcpy(link->address, address, strlen(address) + 1);
    memcpy(link->target, target, strlen(target) + 1);
    for (int i = 0; i < PAIRS_MAX; i++)
        link->pairs[i] = (struct pair){{-1, -1}, 0};
    pthread_mutex_init(&link->mutex, NULL);
    if (open_ends(link) && start_thread(link))
        return link;
    free(link);
    return NULL;
}

/* Makes the thread look at its state. */
static void wake(struct link *link)
{
    if (write(link->wake[1], "", 1) < 0)
        return; /* full: it will wake */
}

static void set_cut(struct link *link, bool cut, pid_t pid)
{
    pthread_mutex_lock(&link->mutex);
    link->cut = cut;
    link->cut_pid = pid;
    pthread_mutex_unlock(&link->mutex);
    wake(link);
}

void link_cut(struct link *link)
{
    set_cut(link, true, 0);
}

void link_cut_for(struct link *link, pid_t pid)
{
    set_cut(link, false, pid);
}

void link_join(struct link *link)
{
    set_cut(link, false, 0);
}

const char *link_address(const struct link *link)
{
    return link->address;
}

void link_free(struct link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->stopped = true;
    pthread_mutex_unlock(&link->mutex);
    wake(link);
    pthread_join(link->thread, NULL);
    for (int i = 0; i < PAIRS_MAX; i++)
        close_pair(&link->pairs[i]);
    close(link->listener);
    close(link->wake[0]);
    close(link->wake[1]);
    pthread_mutex_destroy(&link->mutex);
    free(link);
}
