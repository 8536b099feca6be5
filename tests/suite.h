/* SPDX-License-Identifier: MIT */
/*
 * suite: a test program in two macros, on top of Check.
 *
 *     #include "tests/suite.h"
 *
 *     TEST(one_and_one_is_two)
 *     {
 *         ck_assert_int_eq(1 + 1, 2);
 *     }
 *
 *     SUITE("sums",
 *           CASE(one_and_one_is_two),
 *           CASE_LIMIT(a_slow_sum, 60),
 *           CASE_SIGNAL(dividing_by_zero_asserts, SIGABRT))
 *
 * Every test is one TCase of the same name with a time limit of its own. A test
 * that is defined and missing from SUITE is an unused constant: the compiler
 * refuses it. The program's optional argument runs only the tests whose name
 * contains it. It exits non-zero when a test fails and when no test ran.
 *
 * Check's environment is respected: CK_FORK=no (for valgrind and debuggers; no
 * time limits then), CK_TIMEOUT_MULTIPLIER, CK_VERBOSITY. In worker threads
 * record what happened and assert it in the main thread.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/time_scale.h"

/* Defined in builds whose allocator is a sanitizer's: it keeps what is freed,
 * and ends the process when there is no memory. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SUITE_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SUITE_SANITIZED
#endif

enum {
    SUITE_LIMIT_S = 10, /* time limit of a test */
    /* Octets of a failed assertion's message. Check moves a buffer of this size
     * for every assertion, so that more would make all tests slow. */
    SUITE_MESSAGE_MAX = 16384,
};

struct suite_case {
    const TTest *test;
    double limit_s;
    int signal; /* that has to end the test; 0: none */
};

/* Begins a test: a function without arguments that returns nothing. */
#define TEST(name)                                                             \
    static void name(int suite_unused);                                        \
    static const TTest name##_test = {#name, name, __FILE__, __LINE__};        \
    static void name(int suite_unused CK_ATTRIBUTE_UNUSED)

/* Entries of SUITE: a test with the usual time limit, with another one in
 * seconds, and one that a signal has to end (skipped when CK_FORK=no). */
#define CASE(name)                SUITE_CASE(name, SUITE_LIMIT_S, 0)
#define CASE_LIMIT(name, seconds) SUITE_CASE(name, seconds, 0)
#define CASE_SIGNAL(name, signal) SUITE_CASE(name, SUITE_LIMIT_S, signal)
#define SUITE_CASE(name, seconds, signal)                                      \
    {                                                                          \
        &name##_test, (seconds), (signal)                                      \
    }

/* Defines main, which runs these cases. */
#define SUITE(title, ...)                                                      \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        static const struct suite_case cases[] = {__VA_ARGS__};                \
        return suite_run(title, cases, sizeof(cases) / sizeof(cases[0]),       \
                         argc > 1 ? argv[1] : "");                             \
    }

/* Adds one test to the suite as a TCase of its own. */
/* Returns the seed of a random test, which is never 0: PBKV_SEED, or 1. Prints
 * it, so that whoever sees the test fail can run it again. */
static inline uint64_t suite_seed(void)
{
    const char *chosen = getenv("PBKV_SEED");
    uint64_t seed = chosen ? strtoull(chosen, NULL, 10) : 1;

    seed += seed == 0; /* the only bad one for the generators */
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

static inline void suite_add(Suite *suite, const struct suite_case *one)
{
    TCase *tcase = tcase_create(one->test->name);

    tcase_set_timeout(tcase,
                      one->limit_s * time_scale_percent() / TIME_SCALE_MIN);
    _tcase_add_test(tcase, one->test, one->signal, 0, 0, 1);
    suite_add_tcase(suite, tcase);
}

/* Runs the cases whose name contains the word. Returns main's exit status:
 * success when at least one test ran and none failed. */
static inline int suite_run(const char *title, const struct suite_case *cases,
                            size_t count, const char *word)
{
    Suite *suite = suite_create(title);
    SRunner *runner = srunner_create(suite);
    int ran, failed;

    check_set_max_msg_size(SUITE_MESSAGE_MAX);
    for (size_t i = 0; i < count; i++) {
        if (cases[i].signal != 0 && srunner_fork_status(runner) == CK_NOFORK)
            continue;
        if (strstr(cases[i].test->name, word))
            suite_add(suite, &cases[i]);
    }
    srunner_run_all(runner, CK_ENV);
    ran = srunner_ntests_run(runner);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (ran == 0)
        fprintf(stderr, "%s: no test is called *%s*\n", title, word);
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
