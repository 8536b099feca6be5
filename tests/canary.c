/* SPDX-License-Identifier: MIT */
/*
 * canary: does one thing wrong, on purpose, that a tool has to see. What a tool
 * reports nothing of proves something only if it would have reported: a wrong
 * flag, a suppression that is too wide or a build without the instrumentation
 * looks like a clean run. tests/under.sh runs these first.
 *
 *     none       nothing is wrong: it must not be reported
 *     race       two threads change one number without a lock
 *     callback   the same, in functions that libevent calls: a suppression
 *                for libevent must not hide it
 *     inversion  two locks are taken in both orders
 *     leak       memory that nobody has a pointer to
 *     reachable  memory that is never given back, although it could be
 *     free       memory that is read after it was given back
 *     overflow   a signed number that grows beyond its limit
 */
#include <event2/event.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 1000 };

struct cage {
    pthread_mutex_t first;
    pthread_mutex_t second;
    long number; /* that no lock guards */
};

/* Runs two threads, one after the other or at the same time. */
static void run_two(struct cage *cage, void *(*one)(void *),
                    void *(*other)(void *), int together)
{
    pthread_t threads[2];

    if (pthread_create(&threads[0], NULL, one, cage) != 0)
        abort();
    if (!together)
        pthread_join(threads[0], NULL);
    if (pthread_create(&threads[1], NULL, other, cage) != 0)
        abort();
    if (together)
        pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

/* ---- Threads ------------------------------------------------------------ */

static void *count(void *argument)
{
    struct cage *cage = argument;

    for (unsigned i = 0; i < ROUNDS; i++)
        cage->number++;
    return NULL;
}

static void do_race(struct cage *cage)
{
    run_two(cage, count, count, 1);
}

static void on_timeout(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    count(argument);
}

static void *loop(void *argument)
{
    struct event_base *base = event_base_new();

    if (!base ||
        event_base_once(base, -1, EV_TIMEOUT, on_timeout, argument, NULL) != 0)
        abort();
    event_base_dispatch(base);
    event_base_free(base);
    return NULL;
}

static void do_callback(struct cage *cage)
{
    run_two(cage, loop, loop, 1);
}

static void *first_then_second(void *argument)
{
    struct cage *cage = argument;

    pthread_mutex_lock(&cage->first);
    pthread_mutex_lock(&cage->second);
    pthread_mutex_unlock(&cage->second);
    pthread_mutex_unlock(&cage->first);
    return NULL;
}

static void *second_then_first(void *argument)
{
    struct cage *cage = argument;

    pthread_mutex_lock(&cage->second);
    pthread_mutex_lock(&cage->first);
    pthread_mutex_unlock(&cage->first);
    pthread_mutex_unlock(&cage->second);
    return NULL;
}

static void do_inversion(struct cage *cage)
{
    run_two(cage, first_then_second, second_then_first, 0);
}

/* ---- Memory ------------------------------------------------------------- */

static void do_leak(struct cage *cage)
{
    void *volatile lost = malloc(100);

    (void)cage;
    lost = NULL;
    (void)lost;
}

static void do_reachable(struct cage *cage)
{
    exit(cage ? EXIT_SUCCESS : EXIT_FAILURE); /* with the cage */
}

static void do_free(struct cage *cage)
{
    char *memory = calloc(1, 100);
    char *volatile stale = memory;

    if (!memory)
        abort();
    free(memory);
    cage->number += stale[50];
}

static void do_overflow(struct cage *cage)
{
    volatile int most = INT_MAX;

    most = most + 1;
    cage->number += most;
}

static void do_nothing(struct cage *cage)
{
    cage->number++;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*sing)(struct cage *cage);
    } songs[] = {{"none", do_nothing},      {"race", do_race},
                 {"callback", do_callback}, {"inversion", do_inversion},
                 {"leak", do_leak},         {"reachable", do_reachable},
                 {"free", do_free},         {"overflow", do_overflow}};
    struct cage *cage = calloc(1, sizeof(*cage)); /* drd looks at no stacks */
    int status = EXIT_FAILURE;

    if (!cage)
        abort();
    pthread_mutex_init(&cage->first, NULL);
    pthread_mutex_init(&cage->second, NULL);
    for (size_t i = 0; argc == 2 && i < sizeof(songs) / sizeof(songs[0]); i++) {
        if (strcmp(argv[1], songs[i].name) == 0) {
            songs[i].sing(cage);
            status = EXIT_SUCCESS;
        }
    }
    pthread_mutex_destroy(&cage->first);
    pthread_mutex_destroy(&cage->second);
    free(cage);
    return status;
}
