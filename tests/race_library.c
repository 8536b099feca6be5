/* SPDX-License-Identifier: MIT */
/*
 * The library in a process with many threads, against a whole store in the same
 * process (hosts.h): what pbkv.h promises about threads, and nothing else.
 * tests/test_library.c has the same promises against a fake server that can
 * hold its answers back: there are calls that are under way for certain when
 * the handle is closed.
 *
 * Threads record, and the main thread asserts.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hosts.h"
#include "tests/suite.h"

enum {
    THREADS = 16,
    ROUNDS = 10,
    HOPS = 100, /* of a chain of callbacks */
    FILES_MAX = 1024,
};

static const struct hosts_options two = {.servers = 2};

struct worker {
    const struct hosts *hosts;
    struct pbkv *store;
    unsigned number;
    unsigned failures;
    pthread_t thread;
};

static void worker_expect(struct worker *worker, bool so)
{
    worker->failures += !so;
}

static void start_workers(struct worker *workers, unsigned count,
                          const struct hosts *hosts, struct pbkv *store,
                          void *(*run)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        workers[i] =
            (struct worker){.hosts = hosts, .store = store, .number = i};
        ck_assert_int_eq(
            pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
}

/* Returns how much went wrong in all of them. */
static unsigned join_workers(struct worker *workers, unsigned count)
{
    unsigned failures = 0;

    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        failures += workers[i].failures;
    }
    return failures;
}

/* ---- Callbacks that count ----------------------------------------------- */

struct tally {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned ended;
    unsigned good;
};

#define TALLY_INIT                                                             \
    {                                                                          \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0              \
    }

/* Ends a tally: what lies there next may be another kind of lock. */
static void tally_end(struct tally *tally)
{
    pthread_mutex_destroy(&tally->mutex);
    pthread_cond_destroy(&tally->changed);
}

static void tally_note(struct tally *tally, bool good)
{
    pthread_mutex_lock(&tally->mutex);
    tally->ended++;
    tally->good += good;
    pthread_cond_broadcast(&tally->changed);
    pthread_mutex_unlock(&tally->mutex);
}

static void tally_wait(struct tally *tally, unsigned count)
{
    pthread_mutex_lock(&tally->mutex);
    while (tally->ended < count)
        pthread_cond_wait(&tally->changed, &tally->mutex);
    pthread_mutex_unlock(&tally->mutex);
}

static void on_result(void *context, const struct pbkv_result *result)
{
    tally_note(context, result->status == PBKV_OK);
}

/* ---- One handle, many threads ------------------------------------------- */

static bool on_entry(void *context, const struct pbkv_entry *entry)
{
    unsigned *count = context;

    (void)entry;
    return ++*count < 3;
}

/* Every function of the library once, on a key of the worker's own. */
static void use_everything(struct worker *worker, struct tally *tally)
{
    struct pbkv *store = worker->store;
    struct pbkv_inspection *inspection;
    struct pbkv_value value;
    struct pbkv_view view;
    char key[16];
    size_t length = (size_t)snprintf(key, sizeof(key), "w%u", worker->number);
    unsigned entries = 0;

    worker_expect(worker, pbkv_put(store, key, length, "a", 1, 0) == PBKV_OK);
    worker_expect(worker,
                  pbkv_append(store, key, length, "bc", 2, 0) == PBKV_OK);
    worker_expect(worker, pbkv_get(store, key, length, 0, &value) == PBKV_OK &&
                              value.length == 3 &&
                              memcmp(value.data, "abc", 3) == 0);
    pbkv_free(&value);
    worker_expect(worker, pbkv_get_async(store, key, length, 0, on_result,
                                         tally) == PBKV_OK);
    worker_expect(worker, pbkv_scan(store, 0, on_entry, &entries) == PBKV_OK &&
                              entries > 0);
    worker_expect(worker, pbkv_view(store, 0, &view) == PBKV_OK);
    worker_expect(worker, pbkv_inspect(store, hosts_address(worker->hosts, 1),
                                       0, &inspection) == PBKV_OK);
    pbkv_inspection_free(inspection);
    worker_expect(worker, pbkv_echo(store, hosts_address(worker->hosts, 0), "x",
                                    1, 0, &value) == PBKV_OK);
    pbkv_free(&value);
}

static void *run_everything(void *argument)
{
    struct worker *worker = argument;
    struct tally tally = TALLY_INIT;

    for (unsigned i = 0; i < ROUNDS; i++)
        use_everything(worker, &tally);
    tally_wait(&tally, ROUNDS);
    worker_expect(worker, tally.good == ROUNDS);
    tally_end(&tally);
    return NULL;
}

TEST(sixteen_threads_use_every_function_of_one_handle)
{
    struct hosts *hosts = hosts_new(&two);
    struct worker workers[THREADS];
    struct pbkv *store;

    ck_assert_ptr_nonnull(hosts);
    store = hosts_open(hosts);
    start_workers(workers, THREADS, hosts, store, run_everything);
    ck_assert_uint_eq(join_workers(workers, THREADS), 0);
    ck_assert_int_eq(pbkv_close(store), PBKV_OK);
    hosts_free(hosts);
}

/* ---- Handles that come and go ------------------------------------------- */

static void *open_and_close(void *argument)
{
    struct worker *worker = argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct pbkv *store = hosts_open(worker->hosts);

        /* Half of them have never had a connection. */
        if ((i + worker->number) % 2 == 0)
            worker_expect(worker,
                          pbkv_put(store, "own", 3, "v", 1, 0) == PBKV_OK);
        worker_expect(worker, pbkv_close(store) == PBKV_OK);
    }
    return NULL;
}

TEST(handles_are_opened_and_closed_while_others_work)
{
    struct hosts *hosts = hosts_new(&two);
    struct worker steady[THREADS / 2], passing[THREADS / 2];
    struct pbkv *store;

    ck_assert_ptr_nonnull(hosts);
    store = hosts_open(hosts);
    start_workers(steady, THREADS / 2, hosts, store, run_everything);
    start_workers(passing, THREADS / 2, hosts, NULL, open_and_close);
    ck_assert_uint_eq(join_workers(passing, THREADS / 2), 0);
    ck_assert_uint_eq(join_workers(steady, THREADS / 2), 0);
    ck_assert_int_eq(pbkv_close(store), PBKV_OK);
    hosts_free(hosts);
}

/* ---- Close during calls ------------------------------------------------- */

/* A chain of calls, each started by the callback of the one before, for as long
 * as they are accepted. */
struct chain {
    struct pbkv *store;
    struct tally links;
    bool over; /* guarded by the tally's mutex */
};

static void on_link(void *context, const struct pbkv_result *result)
{
    struct chain *chain = context;
    enum pbkv_status status = result->status;

    tally_note(&chain->links, status == PBKV_OK);
    if (status == PBKV_OK)
        status =
            pbkv_put_async(chain->store, "k", 1, "v", 1, 0, on_link, chain);
    if (status != PBKV_OK) {
        pthread_mutex_lock(&chain->links.mutex);
        chain->over = status == PBKV_CLOSED;
        pthread_mutex_unlock(&chain->links.mutex);
    }
}

/* Close ends each chain exactly once, with PBKV_CLOSED, in a callback or in the
 * call that a callback makes, also when the server is gone. */
static void close_under_chains(struct hosts *hosts, bool crash)
{
    struct pbkv *store = hosts_open(hosts);
    struct chain chains[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        chains[i] = (struct chain){.store = store, .links = TALLY_INIT};
        ck_assert_int_eq(
            pbkv_put_async(store, "k", 1, "v", 1, 0, on_link, &chains[i]),
            PBKV_OK);
    }
    for (unsigned i = 0; i < THREADS; i++)
        tally_wait(&chains[i].links, 2);
    if (crash)
        hosts_crash(hosts, 0);
    ck_assert_int_eq(pbkv_close(store), PBKV_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert(chains[i].over);
        tally_end(&chains[i].links);
    }
}

TEST(a_handle_is_closed_during_calls)
{
    struct hosts *hosts = hosts_new(&two);

    ck_assert_ptr_nonnull(hosts);
    for (unsigned i = 0; i < ROUNDS; i++)
        close_under_chains(hosts, false);
    close_under_chains(hosts, true);
    hosts_free(hosts);
}

/* ---- Fork in the host program ------------------------------------------- */

/* A child may open a handle of its own, but ThreadSanitizer and the allocator
 * of AddressSanitizer cannot follow a process there. */
static bool child_may_open(void)
{
    const char *mode = getenv("PBKV_MODE");

    return !mode || strcmp(mode, "debug") == 0 || strcmp(mode, "release") == 0;
}

/* Returns 0 if all in a child is as the manual says. */
static unsigned char use_as_child(const struct hosts *hosts, struct pbkv *store)
{
    struct tally tally = TALLY_INIT;
    struct pbkv_value value;
    struct pbkv *own;

    if (pbkv_get(store, "k", 1, 0, &value) != PBKV_CLOSED)
        return 1;
    if (pbkv_put_async(store, "k", 1, "v", 1, 0, on_result, &tally) !=
        PBKV_CLOSED)
        return 2;
    if (pbkv_close(store) != PBKV_CLOSED)
        return 3;
    if (!child_may_open())
        return 0;
    own = hosts_open(hosts);
    if (pbkv_put(own, "child", 5, "was here", 8, 0) != PBKV_OK)
        return 4;
    return pbkv_close(own) == PBKV_OK ? 0 : 5;
}

/* Forks a child that uses the parent's handle. It ends without exit, where
 * tools would look for what the parent still needs. */
static unsigned char fork_and_use(const struct hosts *hosts, struct pbkv *store)
{
    unsigned char result = 99;
    int ends[2];
    pid_t child;

    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        result = use_as_child(hosts, store);
        if (write(ends[1], &result, 1) != 1)
            abort();
        raise(SIGKILL);
    }
    ck_assert_int_gt(child, 0);
    close(ends[1]);
    if (read(ends[0], &result, 1) != 1)
        result = 98;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    return result;
}

TEST(the_host_program_forks_while_threads_work)
{
    struct hosts *hosts = hosts_new(&two);
    struct worker workers[4];
    struct pbkv *store;

    ck_assert_ptr_nonnull(hosts);
    store = hosts_open(hosts);
    start_workers(workers, 4, hosts, store, run_everything);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(fork_and_use(hosts, store), 0);
    ck_assert_uint_eq(join_workers(workers, 4), 0);
    ck_assert_int_eq(pbkv_close(store), PBKV_OK);
    hosts_free(hosts);
}

TEST(a_program_that_the_host_starts_inherits_no_file)
{
    struct hosts *hosts = hosts_new(&two);
    bool was_open[FILES_MAX];
    struct pbkv *store;
    unsigned made = 0;

    ck_assert_ptr_nonnull(hosts);
    for (int fd = 0; fd < FILES_MAX; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    store = hosts_open(hosts);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    for (int fd = 0; fd < FILES_MAX; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0 || was_open[fd])
            continue;
        ck_assert_int_eq(flags & FD_CLOEXEC, FD_CLOEXEC);
        made++;
    }
    ck_assert_uint_ge(made, 3); /* epoll, eventfd, a connection */
    pbkv_close(store);
    hosts_free(hosts);
}

/* ---- Callbacks that call back into the library -------------------------- */

/* Two handles play ball: the callback of one starts a call of the other. */
struct ball {
    struct pbkv *players[2];
    const struct hosts *hosts;
    unsigned hops; /* only one callback runs at a time */
    struct tally over;
};

static void on_ball(void *context, const struct pbkv_result *result)
{
    struct ball *ball = context;
    enum pbkv_status status = result->status;
    struct pbkv_value value;

    if (status == PBKV_OK && ball->hops < HOPS)
        status = pbkv_append_async(ball->players[++ball->hops % 2], "ball", 4,
                                   "x", 1, 0, on_ball, ball);
    else
        tally_note(&ball->over, pbkv_get(ball->players[ball->hops % 2], "ball",
                                         4, 0, &value) == PBKV_WOULD_DEADLOCK);
    if (status != PBKV_OK)
        tally_note(&ball->over, false);
}

TEST(callbacks_call_other_handles_and_their_own)
{
    struct hosts *hosts = hosts_new(&two);
    struct ball ball = {.over = TALLY_INIT};
    struct pbkv_value value;

    ck_assert_ptr_nonnull(hosts);
    ball.players[0] = hosts_open(hosts);
    ball.players[1] = hosts_open(hosts);
    ck_assert_int_eq(pbkv_append_async(ball.players[0], "ball", 4, "x", 1, 0,
                                       on_ball, &ball),
                     PBKV_OK);
    tally_wait(&ball.over, 1);
    ck_assert_uint_eq(ball.over.good, 1);
    ck_assert_int_eq(pbkv_get(ball.players[1], "ball", 4, 0, &value), PBKV_OK);
    ck_assert_uint_eq(value.length, HOPS + 1);
    pbkv_free(&value);
    pbkv_close(ball.players[0]);
    pbkv_close(ball.players[1]);
    tally_end(&ball.over);
    hosts_free(hosts);
}

/* Opening does not wait, and closing waits for the other handle only. */
static void on_result_open(void *context, const struct pbkv_result *result)
{
    struct ball *ball = context;
    struct pbkv *passing = hosts_open(ball->hosts);

    tally_note(&ball->over,
               result->status == PBKV_OK && pbkv_close(passing) == PBKV_OK &&
                   pbkv_close(ball->players[0]) == PBKV_WOULD_DEADLOCK);
}

TEST(a_callback_opens_and_closes_another_handle)
{
    struct hosts *hosts = hosts_new(&two);
    struct ball ball = {.hosts = hosts, .over = TALLY_INIT};

    ck_assert_ptr_nonnull(hosts);
    ball.players[0] = hosts_open(hosts);
    for (unsigned i = 0; i < ROUNDS; i++)
        ck_assert_int_eq(pbkv_put_async(ball.players[0], "k", 1, "v", 1, 0,
                                        on_result_open, &ball),
                         PBKV_OK);
    tally_wait(&ball.over, ROUNDS);
    ck_assert_uint_eq(ball.over.good, ROUNDS);
    pbkv_close(ball.players[0]);
    tally_end(&ball.over);
    hosts_free(hosts);
}

SUITE("library in a process with many threads",
      CASE_LIMIT(sixteen_threads_use_every_function_of_one_handle, 30),
      CASE_LIMIT(handles_are_opened_and_closed_while_others_work, 30),
      CASE_LIMIT(a_handle_is_closed_during_calls, 30),
      CASE_LIMIT(the_host_program_forks_while_threads_work, 30),
      CASE(a_program_that_the_host_starts_inherits_no_file),
      CASE(callbacks_call_other_handles_and_their_own),
      CASE(a_callback_opens_and_closes_another_handle))
