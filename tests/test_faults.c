/* SPDX-License-Identifier: MIT */
/*
 * Tests of rpc/faults.h: what --faults accepts, and that fates follow from the
 * seed alone. That fates reach the network is tested in test_rpc.c.
 */
#include <errno.h>
#include <string.h>

#include "rpc/faults.h"
#include "tests/suite.h"

static struct faults parsed(const char *text)
{
    const char *reason = NULL;
    struct faults faults;

    ck_assert_msg(faults_parse(text, &faults, &reason) == 0, "%s: %s", text,
                  reason);
    return faults;
}

TEST(without_the_flag_there_are_no_faults)
{
    ck_assert(!faults_none().active);
}

TEST(all_faults_are_read)
{
    struct faults faults = parsed("drop=0.1,dup=.05,delay=5-20ms,seed=7");

    ck_assert(faults.active);
    ck_assert_double_eq(faults.drop, 0.1);
    ck_assert_double_eq(faults.dup, 0.05);
    ck_assert_uint_eq(faults.delay_min_ms, 5);
    ck_assert_uint_eq(faults.delay_max_ms, 20);
    ck_assert_uint_eq(faults.seed, 7);
}

TEST(a_single_delay_is_the_longest)
{
    struct faults faults = parsed("delay=60000ms,seed=18446744073709551615");

    ck_assert_uint_eq(faults.delay_min_ms, 0);
    ck_assert_uint_eq(faults.delay_max_ms, 60000);
    ck_assert_uint_eq(faults.seed, UINT64_MAX);
}

TEST(nonsense_is_refused_with_a_reason)
{
    static const char *const texts[] = {"",
                                        "drop",
                                        "drop=",
                                        "drop=1.1",
                                        "drop=-0.1",
                                        "drop=nan",
                                        "drop=0x1",
                                        "drop=1e9",
                                        "dup=2",
                                        "loss=0.1",
                                        "drop=0.1,",
                                        ",drop=0.1",
                                        "delay=5",
                                        "delay=ms",
                                        "delay=9-3ms",
                                        "delay=60001ms",
                                        "delay=-1ms",
                                        "delay=5s",
                                        "delay=1-2-3ms",
                                        "drop=0.1,drop=0.2",
                                        "seed=-1",
                                        "seed=1 ",
                                        "drop=0.1;dup=1",
                                        "delay=1-ms",
                                        "drop=.",
                                        "drop=0.1.2",
                                        "delay=5msx",
                                        "delay=99999999999ms",
                                        "seed=",
                                        "seed=18446744073709551616"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct faults faults = faults_none();
        const char *reason = NULL;

        ck_assert_msg(faults_parse(texts[i], &faults, &reason) == -EINVAL,
                      "accepted: %s", texts[i]);
        ck_assert_ptr_nonnull(reason);
        ck_assert(!faults.active);
    }
}

TEST(an_endless_part_is_refused)
{
    struct faults faults;
    const char *reason = NULL;
    char text[200];

    memset(text, '1', sizeof(text));
    memcpy(text, "drop=0.", 7);
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(faults_parse(text, &faults, &reason), -EINVAL);
}

TEST(the_same_seed_gives_the_same_fates)
{
    struct faults a = parsed("drop=0.3,dup=0.3,delay=1-50ms,seed=42");
    struct faults b = parsed("drop=0.3,dup=0.3,delay=1-50ms,seed=42");
    struct faults other = parsed("drop=0.3,dup=0.3,delay=1-50ms,seed=43");
    unsigned different = 0;

    for (int i = 0; i < 1000; i++) {
        struct fate x = faults_draw(&a);
        struct fate y = faults_draw(&b);
        struct fate z = faults_draw(&other);

        ck_assert_uint_eq(x.copies, y.copies);
        ck_assert_uint_eq(x.delay_ms[0], y.delay_ms[0]);
        ck_assert_uint_eq(x.delay_ms[1], y.delay_ms[1]);
        different += x.delay_ms[0] != z.delay_ms[0];
    }
    ck_assert_uint_gt(different, 500);
}

TEST(fates_keep_to_the_probabilities)
{
    struct faults faults = parsed("drop=0.25,dup=0.5,delay=3-9ms,seed=5");
    unsigned dropped = 0;
    unsigned doubled = 0;

    for (int i = 0; i < 10000; i++) {
        struct fate fate = faults_draw(&faults);

        dropped += fate.copies == 0;
        doubled += fate.copies == 2;
        ck_assert(fate.delay_ms[0] >= 3 && fate.delay_ms[0] <= 9);
        ck_assert(fate.delay_ms[1] >= 3 && fate.delay_ms[1] <= 9);
    }
    ck_assert(dropped > 2300 && dropped < 2700);
    ck_assert(doubled > 3500 && doubled < 4000);
}

TEST(certain_and_impossible_faults_are_exact)
{
    struct faults lossy = parsed("drop=1");
    struct faults doubling = parsed("dup=1");
    struct faults none = parsed("drop=0,dup=0,delay=0ms");

    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(faults_draw(&lossy).copies, 0);
        ck_assert_uint_eq(faults_draw(&doubling).copies, 2);
        ck_assert_uint_eq(faults_draw(&none).copies, 1);
        ck_assert_uint_eq(faults_draw(&none).delay_ms[0], 0);
    }
}

SUITE("faults", CASE(without_the_flag_there_are_no_faults),
      CASE(all_faults_are_read), CASE(a_single_delay_is_the_longest),
      CASE(nonsense_is_refused_with_a_reason), CASE(an_endless_part_is_refused),
      CASE(the_same_seed_gives_the_same_fates),
      CASE(fates_keep_to_the_probabilities),
      CASE(certain_and_impossible_faults_are_exact))
