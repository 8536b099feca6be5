/* SPDX-License-Identifier: MIT */
/*
 * proxy: see proxy.h. A connection through the proxy is a pair of sockets, the
 * near end (who connected) and the far end (whose front it is), and a lane in
 * each direction: a queue of pieces that wait until they are due. The far end
 * is dialled when the first piece is delivered, so that who is cut off is not
 * told that nobody is there.
 *
 * One thread polls all sockets. Every step of it, and every change from
 * outside, is under the mutex: once proxy_cut has returned, nothing passes any
 * more. From a lane that is cut or full nothing is read.
 */
#define _GNU_SOURCE // accept4, struct ucred
#include "tests/chaos/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/memory.h"
#include "tests/cluster.h"

enum {
    PAIRS_MAX = 256,
    LANE_MAX = 1 << 20, /* octets that wait in a lane */
    READ_SIZE = 64 * 1024,
    BACKLOG = 128,
    WATCHED_MAX = 1 + PROXY_HOSTS_MAX + 2 * PAIRS_MAX,
};

struct piece {
    struct piece *next;
    uint64_t due_ms;
    size_t length;
    size_t done; /* octets delivered */
    char octets[];
};

struct lane {
    struct piece *first;
    struct piece *last;
    size_t waiting; /* octets */
    bool ended;     /* nothing more comes in */
    bool stuck;     /* the receiver takes nothing more for now */
};

struct pair {
    bool used;
    int ends[2];          /* near and far; -1: closed, or not dialled yet */
    struct lane lanes[2]; /* from the near end, from the far end */
    pid_t pid;            /* of the process at the near end */
    unsigned front;       /* host at the far end */
};

struct front {
    int listener; /* -1: none */
    pid_t pid;
    struct sockaddr_un target;
};

struct proxy {
    pthread_t thread;
    int wake[2];
    struct pollfd watched[WATCHED_MAX]; /* of the thread alone */

    pthread_mutex_t mutex; /* guards everything below */
    bool stopped;
    struct front fronts[PROXY_HOSTS_MAX];
    unsigned cuts[PROXY_HOSTS_MAX][PROXY_HOSTS_MAX];
    uint32_t delays_ms[PROXY_HOSTS_MAX][PROXY_HOSTS_MAX];
    struct pair pairs[PAIRS_MAX];
};

static void __attribute__((noreturn)) give_up(const char *what)
{
    fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- Lanes and pairs ---------------------------------------------------- */

static void lane_clear(struct lane *lane)
{
    while (lane->first) {
        struct piece *next = lane->first->next;

        free(lane->first);
        lane->first = next;
    }
    *lane = (struct lane){0};
}

static void pair_close(struct pair *pair)
{
    for (int end = 0; end < 2; end++) {
        if (pair->ends[end] >= 0)
            close(pair->ends[end]);
        pair->ends[end] = -1;
        lane_clear(&pair->lanes[end]);
    }
    pair->used = false;
}

/* Returns the host at the near end. */
static unsigned near_host(const struct proxy *proxy, const struct pair *pair)
{
    for (unsigned host = 1; host < PROXY_HOSTS_MAX; host++)
        if (proxy->fronts[host].pid == pair->pid)
            return host;
    return 0;
}

/* Returns the host at which a lane of a pair begins. */
static unsigned lane_from(const struct proxy *proxy, const struct pair *pair,
                          int lane)
{
    return lane == 0 ? near_host(proxy, pair) : pair->front;
}

static bool lane_is_cut(const struct proxy *proxy, const struct pair *pair,
                        int lane)
{
    return proxy->cuts[lane_from(proxy, pair, lane)]
                      [lane_from(proxy, pair, !lane)] > 0;
}

static void lane_push(struct proxy *proxy, struct pair *pair, int lane,
                      const char *octets, size_t length)
{
    struct lane *to = &pair->lanes[lane];
    struct piece *piece = memory_new(sizeof(*piece) + length);
    uint32_t delay_ms = proxy->delays_ms[lane_from(proxy, pair, lane)]
                                        [lane_from(proxy, pair, !lane)];

    piece->due_ms = cluster_now_ms() + delay_ms;
    piece->length = length;
    memcpy(piece->octets, octets, length);
    if (to->last)
        to->last->next = piece;
    else
        to->first = piece;
    to->last = piece;
    to->waiting += length;
}

/* ---- Carrying ----------------------------------------------------------- */

/* Dials the far end, if that has not been done. Returns whether it is there. */
static bool dial(struct proxy *proxy, struct pair *pair)
{
    const struct sockaddr_un *target = &proxy->fronts[pair->front].target;

    if (pair->ends[1] >= 0)
        return true;
    pair->ends[1] =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return pair->ends[1] >= 0 &&
           connect(pair->ends[1], (const struct sockaddr *)target,
                   sizeof(*target)) == 0;
}

static void read_lane(struct proxy *proxy, struct pair *pair, int lane)
{
    char octets[READ_SIZE];
    ssize_t got = recv(pair->ends[lane], octets, sizeof(octets), MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        pair->lanes[lane].ended = true;
    else
        lane_push(proxy, pair, lane, octets, (size_t)got);
}

/* Writes the first piece. Returns false when there is nobody to take it. */
static bool deliver_piece(struct pair *pair, int lane)
{
    struct lane *from = &pair->lanes[lane];
    struct piece *piece = from->first;
    ssize_t sent =
        send(pair->ends[!lane], piece->octets + piece->done,
             piece->length - piece->done, MSG_NOSIGNAL | MSG_DONTWAIT);

    from->stuck = sent < 0 && (errno == EAGAIN || errno == EINTR);
    if (sent < 0)
        return from->stuck;
    piece->done += (size_t)sent;
    from->waiting -= (size_t)sent;
    if (piece->done == piece->length) {
        from->first = piece->next;
        if (!from->first)
            from->last = NULL;
        free(piece);
    }
    return true;
}

/* Delivers what is due. Returns false when the pair has come to its end. */
static bool deliver(struct proxy *proxy, struct pair *pair, int lane)
{
    struct lane *from = &pair->lanes[lane];
    uint64_t now_ms = cluster_now_ms();

    if (lane_is_cut(proxy, pair, lane))
        return true;
    from->stuck = false;
    while (from->first && from->first->due_ms <= now_ms && !from->stuck)
        if (!dial(proxy, pair) || !deliver_piece(pair, lane))
            return false;
    return from->first || !from->ended;
}

/* ---- The thread --------------------------------------------------------- */

/* Takes a new connection at a front. */
static void accept_pair(struct proxy *proxy, unsigned host)
{
    int near = accept4(proxy->fronts[host].listener, NULL, NULL,
                       SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred who = {0};
    socklen_t size = sizeof(who);

    if (near < 0)
        return;
    getsockopt(near, SOL_SOCKET, SO_PEERCRED, &who, &size);
    for (unsigned i = 0; i < PAIRS_MAX; i++)
        if (!proxy->pairs[i].used) {
            proxy->pairs[i] = (struct pair){.used = true,
                                            .ends = {near, -1},
                                            .pid = who.pid,
                                            .front = host};
            return;
        }
    close(near);
}

/* Returns what to wait for at one end of a pair. */
static short wanted_events(const struct proxy *proxy, const struct pair *pair,
                           int end)
{
    const struct lane *in = &pair->lanes[end], *out = &pair->lanes[!end];
    short events = 0;

    if (!pair->used || pair->ends[end] < 0)
        return 0;
    if (!in->ended && in->waiting < LANE_MAX && !lane_is_cut(proxy, pair, end))
        events |= POLLIN;
    if (out->stuck && !lane_is_cut(proxy, pair, !end))
        events |= POLLOUT;
    return events;
}

static void watch(struct pollfd *watched, int fd, short events)
{
    *watched = (struct pollfd){events != 0 ? fd : -1, events, 0};
}

/* Lists what to wait for: the wake pipe, the fronts, both ends of all pairs. */
static void list_watched(struct proxy *proxy)
{
    struct pollfd *at = proxy->watched;

    watch(at++, proxy->wake[0], POLLIN);
    for (unsigned host = 0; host < PROXY_HOSTS_MAX; host++)
        watch(at++, proxy->fronts[host].listener, POLLIN);
    for (unsigned i = 0; i < PAIRS_MAX; i++)
        for (int end = 0; end < 2; end++)
            watch(at++, proxy->pairs[i].ends[end],
                  wanted_events(proxy, &proxy->pairs[i], end));
}

/* Returns how long nothing is due: milliseconds, or -1 for ever. */
static int rest_ms(const struct proxy *proxy)
{
    uint64_t now_ms = cluster_now_ms(), next_ms = UINT64_MAX;

    for (unsigned i = 0; i < PAIRS_MAX; i++)
        for (int lane = 0; lane < 2; lane++) {
            const struct pair *pair = &proxy->pairs[i];
            const struct piece *piece = pair->lanes[lane].first;

            if (pair->used && piece && !pair->lanes[lane].stuck &&
                !lane_is_cut(proxy, pair, lane) && piece->due_ms < next_ms)
                next_ms = piece->due_ms;
        }
    if (next_ms == UINT64_MAX)
        return -1;
    return next_ms <= now_ms ? 0 : (int)(next_ms - now_ms);
}

static void serve_pair(struct proxy *proxy, struct pair *pair,
                       const struct pollfd *watched)
{
    for (int end = 0; end < 2; end++)
        if ((watched[end].revents & ~POLLOUT) != 0 &&
            watched[end].fd == pair->ends[end] && !pair->lanes[end].ended &&
            !lane_is_cut(proxy, pair, end))
            read_lane(proxy, pair, end);
    if (!deliver(proxy, pair, 0) || !deliver(proxy, pair, 1))
        pair_close(pair);
}

/* One step: everything that poll has found ready, and all that is due. */
static void step(struct proxy *proxy)
{
    const struct pollfd *at = proxy->watched;
    char octets[64];

    while (at->revents != 0 && read(proxy->wake[0], octets, sizeof(octets)) > 0)
        continue;
    at++;
    for (unsigned i = 0; i < PAIRS_MAX; i++)
        if (proxy->pairs[i].used)
            serve_pair(proxy, &proxy->pairs[i],
                       at + PROXY_HOSTS_MAX + 2 * (size_t)i);
    for (unsigned host = 0; host < PROXY_HOSTS_MAX; host++)
        if (at[host].revents != 0)
            accept_pair(proxy, host);
}

static void *proxy_run(void *argument)
{
    struct proxy *proxy = argument;
    int ms;

    pthread_mutex_lock(&proxy->mutex);
    while (!proxy->stopped) {
        list_watched(proxy);
        ms = rest_ms(proxy);
        pthread_mutex_unlock(&proxy->mutex);
        if (poll(proxy->watched, WATCHED_MAX, ms) < 0 && errno != EINTR)
            give_up("poll");
        pthread_mutex_lock(&proxy->mutex);
        step(proxy);
    }
    pthread_mutex_unlock(&proxy->mutex);
    return NULL;
}

/* ---- From outside ------------------------------------------------------- */

/* Lets go of the mutex and makes the thread look at what has changed. */
static void unlock_and_wake(struct proxy *proxy)
{
    pthread_mutex_unlock(&proxy->mutex);
    if (write(proxy->wake[1], "", 1) < 0)
        return; /* full: it will wake */
}

struct proxy *proxy_new(void)
{
    struct proxy *proxy = memory_new(sizeof(*proxy));

    pthread_mutex_init(&proxy->mutex, NULL);
    for (unsigned host = 0; host < PROXY_HOSTS_MAX; host++)
        proxy->fronts[host].listener = -1;
    for (unsigned i = 0; i < PAIRS_MAX; i++)
        proxy->pairs[i].ends[0] = proxy->pairs[i].ends[1] = -1;
    if (pipe2(proxy->wake, O_CLOEXEC | O_NONBLOCK) != 0 ||
        pthread_create(&proxy->thread, NULL, proxy_run, proxy) != 0)
        give_up("start");
    return proxy;
}

void proxy_free(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->stopped = true;
    unlock_and_wake(proxy);
    pthread_join(proxy->thread, NULL);
    for (unsigned i = 0; i < PAIRS_MAX; i++)
        pair_close(&proxy->pairs[i]);
    for (unsigned host = 0; host < PROXY_HOSTS_MAX; host++)
        if (proxy->fronts[host].listener >= 0)
            close(proxy->fronts[host].listener);
    close(proxy->wake[0]);
    close(proxy->wake[1]);
    pthread_mutex_destroy(&proxy->mutex);
    free(proxy);
}

static struct sockaddr_un socket_name(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof(name.sun_path))
        give_up(path);
    memcpy(name.sun_path, path, strlen(path) + 1);
    return name;
}

void proxy_add(struct proxy *proxy, unsigned host, const char *path,
               const char *target)
{
    struct sockaddr_un name = socket_name(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) != 0 ||
        listen(fd, BACKLOG) != 0)
        give_up(path);
    pthread_mutex_lock(&proxy->mutex);
    proxy->fronts[host] = (struct front){fd, 0, socket_name(target)};
    unlock_and_wake(proxy);
}

void proxy_set_process(struct proxy *proxy, unsigned host, pid_t pid)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->fronts[host].pid = pid;
    unlock_and_wake(proxy);
}

void proxy_cut(struct proxy *proxy, unsigned from, unsigned to)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->cuts[from][to]++;
    unlock_and_wake(proxy);
}

void proxy_join(struct proxy *proxy, unsigned from, unsigned to)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->cuts[from][to]--;
    unlock_and_wake(proxy);
}

void proxy_delay(struct proxy *proxy, unsigned from, unsigned to, uint32_t ms)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->delays_ms[from][to] = ms;
    unlock_and_wake(proxy);
}

/* Closes one end of a pair; the other one learns of it when it can. */
static void end_side(struct pair *pair, int end)
{
    lane_clear(&pair->lanes[end]);
    lane_clear(&pair->lanes[!end]);
    pair->lanes[end].ended = true;
    pair->lanes[!end].ended = true;
    if (pair->ends[end] >= 0)
        close(pair->ends[end]);
    pair->ends[end] = -1;
}

void proxy_forget(struct proxy *proxy, unsigned host)
{
    pthread_mutex_lock(&proxy->mutex);
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        struct pair *pair = &proxy->pairs[i];

        if (pair->used && near_host(proxy, pair) == host)
            end_side(pair, 0);
        else if (pair->used && pair->front == host)
            end_side(pair, 1);
    }
    unlock_and_wake(proxy);
}
