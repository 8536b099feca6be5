/* SPDX-License-Identifier: MIT */
/*
 * pbkv_loop: a reactor and the thread that runs it. Every handle has one, its
 * own or one that it shares.
 *
 * After fork() the child has the memory but not the thread. Every call has to
 * notice that, and asking the system who we are each time would cost more than
 * the rest of the call. So the loop has a page that the system empties in the
 * child (MADV_WIPEONFORK): a mark in it that is gone says that we are the
 * child.
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/pbkv_internal.h"
#include "rpc/reactor.h"

struct pbkv_loop {
    struct reactor *reactor;
    pthread_t thread;
    volatile const char *mark; /* 0 in a child after fork */
    size_t mark_size;
    pthread_mutex_t lock; /* guards handles */
    size_t handles;
};

bool loop_is_foreign(const struct pbkv_loop *loop)
{
    return *loop->mark == 0;
}

bool loop_is_here(const struct pbkv_loop *loop)
{
    return pthread_equal(loop->thread, pthread_self());
}

struct reactor *loop_reactor(const struct pbkv_loop *loop)
{
    return loop->reactor;
}

void loop_enter(struct pbkv_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->handles++;
    pthread_mutex_unlock(&loop->lock);
}

void loop_leave(struct pbkv_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    assert(loop->handles > 0);
    loop->handles--;
    pthread_mutex_unlock(&loop->lock);
}

static int make_mark(struct pbkv_loop *loop)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int error;

    if (page == MAP_FAILED)
        return errno;
    if (madvise(page, size, MADV_WIPEONFORK) < 0) {
        error = errno;
        munmap(page, size);
        return error;
    }
    *page = 1;
    loop->mark = page;
    loop->mark_size = size;
    return 0;
}

static void *loop_main(void *argument)
{
    reactor_run(argument);
    return NULL;
}

/* Starts the thread, which takes none of the process's signals. Those that tell
 * of a fault in the thread itself stay as they are. */
static int start_thread(struct pbkv_loop *loop)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE,
                                 SIGILL,  SIGABRT, SIGTRAP};
    sigset_t all, before;
    int error;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0)
        return error;
    error = pthread_create(&loop->thread, NULL, loop_main, loop->reactor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void loop_free(struct pbkv_loop *loop)
{
    if (loop->mark)
        munmap((void *)(uintptr_t)loop->mark, loop->mark_size);
    reactor_free(loop->reactor);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

enum pbkv_status pbkv_loop_open(struct pbkv_loop **loop)
{
    struct pbkv_loop *new;
    int error;

    if (!loop)
        return PBKV_INVALID;
    *loop = NULL;
    new = calloc(1, sizeof(*new));
    if (!new)
        return PBKV_NO_MEMORY;
    pthread_mutex_init(&new->lock, NULL);
    error = make_mark(new);
    if (error == 0)
        error = -reactor_new(&new->reactor);
    if (error == 0)
        error = start_thread(new);
    if (error != 0) {
        loop_free(new);
        errno = error;
        return error == ENOMEM ? PBKV_NO_MEMORY : PBKV_SYSTEM;
    }
    *loop = new;
    return PBKV_OK;
}

enum pbkv_status pbkv_loop_close(struct pbkv_loop *loop)
{
    bool used;

    if (!loop)
        return PBKV_OK;
    if (loop_is_foreign(loop))
        return PBKV_CLOSED;
    if (loop_is_here(loop))
        return PBKV_WOULD_DEADLOCK;
    pthread_mutex_lock(&loop->lock);
    used = loop->handles > 0;
    pthread_mutex_unlock(&loop->lock);
    if (used)
        return PBKV_INVALID;
    reactor_stop(loop->reactor);
    pthread_join(loop->thread, NULL);
    loop_free(loop);
    return PBKV_OK;
}
