/* SPDX-License-Identifier: MIT */
/*
 * Tests of lamport, vector and host_clock: rules K1, K2 and K4, one function
 * after the other, and at the end a random exchange of messages in which every
 * entry is compared with what an unbounded clock would say.
 *
 * Random tests print the seed that they use; PBKV_SEED chooses another.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks/host_clock.h"
#include "tests/suite.h"

/* A frame with a stamp, and everything that it points at. */
struct stamped {
    Pbkv__Frame frame;
    struct stamp_storage storage;
};

static void stamp(const struct host_clock *clock, struct stamped *stamped)
{
    pbkv__frame__init(&stamped->frame);
    host_clock_stamp(clock, &stamped->frame, &stamped->storage);
}

/* A frame with the stamp {"a": 1, "b": 2, …} of count entries. The names lie in
 * the caller's array and have no zero after them. */
struct made {
    struct stamped stamped;
    uint8_t names[CLOCK_ENTRIES_LIMIT + 1][2];
    Pbkv__ClockEntry entries[CLOCK_ENTRIES_LIMIT + 1];
    Pbkv__ClockEntry *pointers[CLOCK_ENTRIES_LIMIT + 1];
};

static void make_stamp(struct made *made, size_t count)
{
    Pbkv__Frame *frame = &made->stamped.frame;

    pbkv__frame__init(frame);
    for (size_t i = 0; i < count; i++) {
        made->names[i][0] = (uint8_t)('a' + i / 10);
        made->names[i][1] = (uint8_t)('0' + i % 10);
        pbkv__clock_entry__init(&made->entries[i]);
        made->entries[i].host.data = made->names[i];
        made->entries[i].host.len = 2;
        made->entries[i].time = i + 1;
        made->pointers[i] = &made->entries[i];
    }
    frame->lamport = 5;
    frame->n_vector = count;
    frame->vector = made->pointers;
}

static int check_made(const struct made *made)
{
    return host_clock_check_stamp(&made->stamped.frame);
}

/* A numbered host name in a buffer of its own. */
struct name {
    char text[HOST_NAME_MAX_LENGTH + 1];
};

static struct name numbered(const char *prefix, unsigned number)
{
    struct name name;

    snprintf(name.text, sizeof name.text, "%s%u", prefix, number);
    return name;
}

/* Fills the clock of "own", at own time 1, with 63 hosts "h0" … "h62"; host hN
 * last advanced at own time N + 1. */
static void fill(struct vclock *clock)
{
    vclock_init(clock, "own");
    for (unsigned i = 0; i < CLOCK_ENTRIES_LIMIT - 1; i++) {
        vclock_tick(clock);
        vclock_raise(clock, numbered("h", i).text, 100);
    }
    ck_assert_uint_eq(clock->count, CLOCK_ENTRIES_LIMIT);
}

/* ---- Lamport clocks ------------------------------------------------------ */

/* K1 */
TEST(a_lamport_clock_ticks_by_one)
{
    struct lamport clock = {0};

    ck_assert_uint_eq(lamport_tick(&clock), 1);
    ck_assert_uint_eq(lamport_tick(&clock), 2);
    ck_assert_uint_eq(clock.time, 2);
}

/* K1 */
TEST(a_receipt_is_later_than_the_send_and_the_event_before)
{
    struct lamport clock = {10};

    ck_assert_uint_eq(lamport_receive(&clock, 3), 11);
    ck_assert_uint_eq(lamport_receive(&clock, 11), 12);
    ck_assert_uint_eq(lamport_receive(&clock, 40), 41);
    ck_assert_uint_eq(clock.time, 41);
}

/* K4 */
TEST(a_lamport_clock_stops_at_its_maximum)
{
    struct lamport clock = {LAMPORT_MAX - 1};

    ck_assert_uint_eq(lamport_tick(&clock), LAMPORT_MAX);
    ck_assert_uint_eq(lamport_tick(&clock), LAMPORT_MAX);
    ck_assert_uint_eq(lamport_receive(&clock, 1), LAMPORT_MAX);
    clock.time = 1;
    ck_assert_uint_eq(lamport_receive(&clock, LAMPORT_MAX), LAMPORT_MAX);
    clock.time = 1;
    ck_assert_uint_eq(lamport_receive(&clock, UINT64_MAX), LAMPORT_MAX);
}

/* ---- Vector clocks ------------------------------------------------------- */

/* K2 */
TEST(a_new_clock_lists_its_owner_at_zero)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    ck_assert_uint_eq(clock.count, 1);
    ck_assert_str_eq(clock.entries[0].host, "own");
    ck_assert_uint_eq(vclock_time(&clock, "own"), 0);
    ck_assert_uint_eq(vclock_time(&clock, "other"), 0);
}

/* K2 */
TEST(a_vector_clock_ticks_its_own_entry)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_raise(&clock, "other", 7);
    ck_assert_uint_eq(vclock_tick(&clock), 1);
    ck_assert_uint_eq(vclock_tick(&clock), 2);
    ck_assert_uint_eq(vclock_time(&clock, "own"), 2);
    ck_assert_uint_eq(vclock_time(&clock, "other"), 7);
}

/* K2 */
TEST(raising_takes_the_maximum)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_raise(&clock, "other", 7);
    vclock_raise(&clock, "other", 5);
    ck_assert_uint_eq(vclock_time(&clock, "other"), 7);
    vclock_raise(&clock, "other", 9);
    ck_assert_uint_eq(vclock_time(&clock, "other"), 9);
    ck_assert_uint_eq(clock.count, 2);
}

/* K2 */
TEST(nobody_raises_the_owners_entry)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_tick(&clock);
    vclock_raise(&clock, "own", 50);
    ck_assert_uint_eq(vclock_time(&clock, "own"), 1);
    ck_assert_uint_eq(clock.count, 1);
}

/* K2 */
TEST(raising_to_zero_lists_nobody)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_raise(&clock, "other", 0);
    ck_assert_uint_eq(clock.count, 1);
}

/* K2 */
TEST(a_name_in_a_message_needs_no_zero)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_raise_octets(&clock, "otherwise", 5, 3);
    ck_assert_uint_eq(vclock_time(&clock, "other"), 3);
    ck_assert_uint_eq(vclock_time(&clock, "otherwise"), 0);
    ck_assert_str_eq(clock.entries[1].host, "other");
}

/* K2 */
TEST(names_that_begin_alike_are_different_hosts)
{
    struct vclock clock;

    vclock_init(&clock, "s1");
    vclock_raise(&clock, "s", 3);
    vclock_raise(&clock, "s11", 4);
    ck_assert_uint_eq(clock.count, 3);
    ck_assert_uint_eq(vclock_time(&clock, "s"), 3);
    ck_assert_uint_eq(vclock_time(&clock, "s1"), 0);
    ck_assert_uint_eq(vclock_time(&clock, "s11"), 4);
}

/* K2 */
TEST(the_longest_name_fits)
{
    struct name name;
    struct vclock clock;

    memset(name.text, 'x', HOST_NAME_MAX_LENGTH);
    name.text[HOST_NAME_MAX_LENGTH] = '\0';
    vclock_init(&clock, name.text);
    ck_assert_str_eq(clock.entries[0].host, name.text);
    name.text[0] = 'y';
    vclock_raise(&clock, name.text, 2);
    ck_assert_str_eq(clock.entries[1].host, name.text);
}

/* K2 */
TEST(merging_takes_the_componentwise_maximum)
{
    struct vclock clock, other;

    vclock_init(&clock, "a");
    vclock_tick(&clock);
    vclock_raise(&clock, "b", 2);
    vclock_raise(&clock, "c", 9);
    vclock_init(&other, "b");
    other.entries[0].time = 5;
    vclock_raise(&other, "c", 4);
    vclock_raise(&other, "d", 1);
    vclock_raise(&other, "a", 30);
    vclock_merge(&clock, &other);
    ck_assert_uint_eq(clock.count, 4);
    ck_assert_uint_eq(vclock_time(&clock, "a"), 1);
    ck_assert_uint_eq(vclock_time(&clock, "b"), 5);
    ck_assert_uint_eq(vclock_time(&clock, "c"), 9);
    ck_assert_uint_eq(vclock_time(&clock, "d"), 1);
}

/* K2: the result does not depend on the order in which hosts are listed. */
TEST(merging_finds_hosts_in_any_order)
{
    struct vclock clock, forward, backward;

    vclock_init(&clock, "own");
    vclock_init(&forward, "f");
    vclock_init(&backward, "b");
    for (unsigned i = 0; i < 60; i++) {
        vclock_raise(&forward, numbered("h", i).text, i + 1);
        vclock_raise(&backward, numbered("h", 59 - i).text, 100 - i);
    }
    vclock_merge(&clock, &forward);
    ck_assert_uint_eq(clock.count, 61);
    vclock_merge(&clock, &backward);
    ck_assert_uint_eq(clock.count, 61);
    for (unsigned i = 0; i < 60; i++)
        ck_assert_uint_eq(vclock_time(&clock, numbered("h", i).text), 41 + i);
}

/* K4 */
TEST(forgetting_drops_one_entry)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_raise(&clock, "a", 1);
    vclock_raise(&clock, "b", 2);
    vclock_raise(&clock, "c", 3);
    vclock_forget(&clock, "a");
    ck_assert_uint_eq(clock.count, 3);
    ck_assert_uint_eq(vclock_time(&clock, "a"), 0);
    ck_assert_uint_eq(vclock_time(&clock, "b"), 2);
    ck_assert_uint_eq(vclock_time(&clock, "c"), 3);
    vclock_forget(&clock, "c");
    ck_assert_uint_eq(clock.count, 2);
    ck_assert_uint_eq(vclock_time(&clock, "b"), 2);
}

/* K4 */
TEST(forgetting_never_drops_the_owner_or_somebody_else)
{
    struct vclock clock;

    vclock_init(&clock, "own");
    vclock_tick(&clock);
    vclock_raise(&clock, "a", 1);
    vclock_forget(&clock, "own");
    vclock_forget(&clock, "stranger");
    ck_assert_uint_eq(clock.count, 2);
    ck_assert_uint_eq(vclock_time(&clock, "own"), 1);
    ck_assert_uint_eq(vclock_time(&clock, "a"), 1);
}

/* K4 */
TEST(the_65th_entry_takes_the_place_of_the_stalest)
{
    struct vclock clock;

    fill(&clock);
    vclock_raise(&clock, "new", 1);
    ck_assert_uint_eq(clock.count, CLOCK_ENTRIES_LIMIT);
    ck_assert_uint_eq(vclock_time(&clock, "new"), 1);
    ck_assert_uint_eq(vclock_time(&clock, "h0"), 0);
    for (unsigned i = 1; i < CLOCK_ENTRIES_LIMIT - 1; i++)
        ck_assert_uint_eq(vclock_time(&clock, numbered("h", i).text), 100);
}

/* K4 */
TEST(an_entry_that_advances_is_not_stale)
{
    struct vclock clock;

    fill(&clock);
    vclock_tick(&clock);
    vclock_raise(&clock, "h0", 101);
    vclock_raise(&clock, "h1", 100);
    vclock_raise(&clock, "new", 1);
    ck_assert_uint_eq(vclock_time(&clock, "h0"), 101);
    ck_assert_uint_eq(vclock_time(&clock, "h1"), 0);
}

/* K4 */
TEST(the_owners_entry_is_never_dropped)
{
    struct vclock clock;

    fill(&clock);
    for (unsigned i = 0; i < 200; i++)
        vclock_raise(&clock, numbered("new", i).text, 1);
    ck_assert_str_eq(clock.entries[0].host, "own");
    ck_assert_uint_eq(vclock_time(&clock, "own"), CLOCK_ENTRIES_LIMIT - 1);
    ck_assert_uint_eq(clock.count, CLOCK_ENTRIES_LIMIT);
}

/* K2 */
TEST(a_clock_equals_itself_and_a_reordered_copy)
{
    struct vclock a, b;

    vclock_init(&a, "x");
    vclock_tick(&a);
    vclock_raise(&a, "y", 2);
    vclock_raise(&a, "z", 3);
    vclock_init(&b, "z");
    b.entries[0].time = 3;
    vclock_raise(&b, "y", 2);
    vclock_raise(&b, "x", 1);
    ck_assert_int_eq(vclock_compare(&a, &a), VCLOCK_EQUAL);
    ck_assert_int_eq(vclock_compare(&a, &b), VCLOCK_EQUAL);
}

/* K2 */
TEST(an_event_is_before_its_successor)
{
    struct vclock a, b;

    vclock_init(&a, "x");
    vclock_tick(&a);
    b = a;
    vclock_tick(&b);
    ck_assert_int_eq(vclock_compare(&a, &b), VCLOCK_BEFORE);
    ck_assert_int_eq(vclock_compare(&b, &a), VCLOCK_AFTER);
}

/* K2 */
TEST(events_that_do_not_know_of_each_other_are_concurrent)
{
    struct vclock a, b;

    vclock_init(&a, "x");
    vclock_tick(&a);
    vclock_init(&b, "y");
    vclock_tick(&b);
    ck_assert_int_eq(vclock_compare(&a, &b), VCLOCK_CONCURRENT);
    vclock_raise(&a, "z", 2);
    vclock_raise(&b, "z", 3);
    ck_assert_int_eq(vclock_compare(&b, &a), VCLOCK_CONCURRENT);
}

/* K2: a host that is not listed counts as 0. */
TEST(clocks_of_different_lengths_compare_as_if_padded)
{
    struct vclock longer, shorter;

    vclock_init(&shorter, "x");
    vclock_tick(&shorter);
    longer = shorter;
    vclock_raise(&longer, "y", 1);
    ck_assert_int_eq(vclock_compare(&shorter, &longer), VCLOCK_BEFORE);
    ck_assert_int_eq(vclock_compare(&longer, &shorter), VCLOCK_AFTER);
    vclock_tick(&shorter);
    ck_assert_int_eq(vclock_compare(&shorter, &longer), VCLOCK_CONCURRENT);
    vclock_init(&shorter, "w");
    vclock_raise(&shorter, "x", 1);
    vclock_raise(&shorter, "y", 1);
    ck_assert_int_eq(vclock_compare(&shorter, &longer), VCLOCK_EQUAL);
}

/* K2 */
TEST(host_names_are_printable_and_of_limited_length)
{
    char longest[HOST_NAME_MAX_LENGTH + 1];

    memset(longest, 'x', sizeof longest);
    ck_assert(host_name_is_valid("s1-9f", 5));
    ck_assert(host_name_is_valid("client:{~!}", 11));
    ck_assert(host_name_is_valid(longest, HOST_NAME_MAX_LENGTH));
    ck_assert(!host_name_is_valid(longest, HOST_NAME_MAX_LENGTH + 1));
    ck_assert(!host_name_is_valid("", 0));
    ck_assert(!host_name_is_valid("a b", 3));
    ck_assert(!host_name_is_valid("a\"b", 3));
    ck_assert(!host_name_is_valid("a\\b", 3));
    ck_assert(!host_name_is_valid("a\0b", 3));
    ck_assert(!host_name_is_valid("a\nb", 3));
    ck_assert(!host_name_is_valid("a\x7f", 2));
    ck_assert(!host_name_is_valid("a\xc3\xa9", 3));
}

/* K2: every octet at every place, also in the words that are looked at whole.
 */
TEST(every_octet_of_a_host_name_is_looked_at)
{
    for (size_t length = 1; length <= 17; length++) {
        for (size_t place = 0; place < length; place++) {
            for (int octet = 0; octet < 256; octet++) {
                char name[17];
                bool good = octet > ' ' && octet <= '~' && octet != '"' &&
                            octet != '\\';

                memset(name, '!', sizeof(name));
                name[place] = (char)octet;
                ck_assert(host_name_is_valid(name, length) == good);
            }
        }
    }
}

TEST(a_clock_for_no_host_asserts)
{
    struct vclock clock;

    vclock_init(&clock, "two words");
}

/* ---- Both clocks of a host ----------------------------------------------- */

/* K1, K2 */
TEST(a_tick_moves_both_clocks)
{
    struct host_clock clock;

    host_clock_init(&clock, "s1");
    ck_assert_str_eq(host_clock_name(&clock), "s1");
    ck_assert_uint_eq(clock.lamport.time, 0);
    host_clock_tick(&clock);
    host_clock_tick(&clock);
    ck_assert_uint_eq(clock.lamport.time, 2);
    ck_assert_uint_eq(vclock_time(&clock.vector, "s1"), 2);
}

/* K1, K2 */
TEST(a_receipt_joins_both_clocks)
{
    struct host_clock a, b;
    struct stamped stamped;

    host_clock_init(&a, "a");
    host_clock_init(&b, "b");
    for (int i = 0; i < 7; i++)
        host_clock_tick(&a);
    host_clock_tick(&b);
    stamp(&a, &stamped);
    ck_assert(host_clock_receive(&b, &stamped.frame, false));
    ck_assert_uint_eq(b.lamport.time, 8);
    ck_assert_uint_eq(vclock_time(&b.vector, "b"), 2);
    ck_assert_uint_eq(vclock_time(&b.vector, "a"), 7);
    host_clock_tick(&b);
    ck_assert_uint_eq(vclock_time(&b.vector, "a"), 7);
}

/* K2: the sender's own entry comes first. */
TEST(a_stamp_names_the_sender_first_and_everything_it_knows)
{
    struct host_clock clock;
    struct stamped stamped;

    host_clock_init(&clock, "own");
    vclock_raise(&clock.vector, "x", 4);
    vclock_raise(&clock.vector, "y", 5);
    host_clock_tick(&clock);
    stamp(&clock, &stamped);
    ck_assert_uint_eq(stamped.frame.lamport, 1);
    ck_assert_uint_eq(stamped.frame.n_vector, 3);
    ck_assert_mem_eq(stamped.frame.vector[0]->host.data, "own", 3);
    ck_assert_uint_eq(stamped.frame.vector[0]->host.len, 3);
    ck_assert_uint_eq(stamped.frame.vector[0]->time, 1);
    ck_assert_uint_eq(stamped.frame.vector[1]->time, 4);
    ck_assert_uint_eq(stamped.frame.vector[2]->time, 5);
    ck_assert_int_eq(host_clock_check_stamp(&stamped.frame), 0);
}

/* K2 */
TEST(a_stamp_survives_the_wire)
{
    struct host_clock a, b;
    struct stamped stamped;
    uint8_t octets[8192];
    size_t length;
    Pbkv__Frame *frame;

    host_clock_init(&a, "a");
    host_clock_init(&b, "b");
    for (unsigned i = 0; i < CLOCK_ENTRIES_LIMIT - 1; i++)
        vclock_raise(&a.vector, numbered("host-number-", i).text, i + 1);
    host_clock_tick(&a);
    stamp(&a, &stamped);
    length = pbkv__frame__get_packed_size(&stamped.frame);
    ck_assert_uint_le(length, sizeof octets);
    pbkv__frame__pack(&stamped.frame, octets);
    frame = pbkv__frame__unpack(NULL, length, octets);
    ck_assert_ptr_nonnull(frame);
    ck_assert_int_eq(host_clock_check_stamp(frame), 0);
    ck_assert(host_clock_receive(&b, frame, false));
    pbkv__frame__free_unpacked(frame, NULL);
    ck_assert_int_eq(vclock_compare(&a.vector, &b.vector), VCLOCK_CONCURRENT);
    ck_assert_uint_eq(vclock_time(&b.vector, "a"), 1);
    ck_assert_uint_eq(b.vector.count, CLOCK_ENTRIES_LIMIT);
}

TEST(a_stamp_before_the_first_event_asserts)
{
    struct host_clock clock;
    struct stamped stamped;

    host_clock_init(&clock, "own");
    stamp(&clock, &stamped);
}

/* K4 */
TEST(the_largest_good_stamp_is_accepted)
{
    struct made made;

    make_stamp(&made, CLOCK_ENTRIES_LIMIT);
    made.stamped.frame.lamport = LAMPORT_MAX;
    made.entries[3].time = LAMPORT_MAX;
    ck_assert_int_eq(check_made(&made), 0);
    make_stamp(&made, 1);
    ck_assert_int_eq(check_made(&made), 0);
}

/* K4 */
TEST(a_stamp_without_entries_is_refused)
{
    struct made made;

    make_stamp(&made, 0);
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K4 */
TEST(a_stamp_with_too_many_entries_is_refused)
{
    struct made made;

    make_stamp(&made, CLOCK_ENTRIES_LIMIT + 1);
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K1 */
TEST(a_stamp_with_a_lamport_time_of_zero_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.stamped.frame.lamport = 0;
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K4 */
TEST(a_stamp_beyond_the_lamport_maximum_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.stamped.frame.lamport = LAMPORT_MAX + 1;
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K2 */
TEST(an_entry_of_zero_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.entries[2].time = 0;
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K4 */
TEST(an_entry_beyond_the_maximum_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.entries[1].time = LAMPORT_MAX + 1;
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K4 */
TEST(an_entry_with_a_bad_name_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.names[1][1] = '"';
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K4 */
TEST(an_entry_with_an_empty_name_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.entries[0].host.len = 0;
    made.entries[0].host.data = NULL;
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K4 */
TEST(an_entry_with_a_long_name_is_refused)
{
    uint8_t name[HOST_NAME_MAX_LENGTH + 1];
    struct made made;

    memset(name, 'x', sizeof name);
    make_stamp(&made, 3);
    made.entries[2].host.data = name;
    made.entries[2].host.len = sizeof name;
    ck_assert_int_eq(check_made(&made), -EPROTO);
    made.entries[2].host.len--;
    ck_assert_int_eq(check_made(&made), 0);
}

/* K4 */
TEST(an_entry_that_is_missing_is_refused)
{
    struct made made;

    make_stamp(&made, 3);
    made.pointers[1] = NULL;
    ck_assert_int_eq(check_made(&made), -EPROTO);
}

/* K2: every pair of equal names is found, wherever the two are. */
TEST(a_name_that_repeats_is_refused)
{
    for (size_t first = 0; first < CLOCK_ENTRIES_LIMIT; first++) {
        for (size_t again = 0; again < CLOCK_ENTRIES_LIMIT; again++) {
            struct made made;

            make_stamp(&made, CLOCK_ENTRIES_LIMIT);
            memcpy(made.names[again], made.names[first], 2);
            ck_assert_int_eq(check_made(&made), first == again ? 0 : -EPROTO);
        }
    }
}

/* Returns whether "own", with four events, finds a stamp honest in which "peer"
 * claims that it had `claim` events. Its entry must not believe it. */
static bool claim_is_believed(uint64_t claim)
{
    struct host_clock own, peer;
    struct stamped stamped;
    bool honest;

    host_clock_init(&own, "own");
    for (int i = 0; i < 4; i++)
        host_clock_tick(&own);
    host_clock_init(&peer, "peer");
    host_clock_tick(&peer);
    vclock_raise(&peer.vector, "own", claim);
    stamp(&peer, &stamped);
    honest = host_clock_receive(&own, &stamped.frame, false);
    ck_assert_uint_eq(vclock_time(&own.vector, "own"), 5);
    ck_assert_uint_eq(vclock_time(&own.vector, "peer"), 1);
    return honest;
}

/* K2 */
TEST(a_lie_about_the_receiver_is_noticed_and_ignored)
{
    ck_assert(claim_is_believed(1));
    ck_assert(claim_is_believed(4));
    ck_assert(!claim_is_believed(5)); /* the receipt itself: not yet */
    ck_assert(!claim_is_believed(LAMPORT_MAX));
}

/* K2 */
TEST(a_sender_in_the_receivers_name_is_a_lie)
{
    struct host_clock own, impostor;
    struct stamped stamped;

    host_clock_init(&own, "own");
    host_clock_init(&impostor, "own");
    for (int i = 0; i < 9; i++)
        host_clock_tick(&impostor);
    stamp(&impostor, &stamped);
    ck_assert(!host_clock_receive(&own, &stamped.frame, true));
    ck_assert_uint_eq(vclock_time(&own.vector, "own"), 1);
    host_clock_tick(&own);
    ck_assert_uint_eq(vclock_time(&own.vector, "own"), 2);
}

/* K4 */
TEST(a_client_is_named_by_its_receipt_and_forgotten_by_the_next_event)
{
    struct host_clock server, client;
    struct stamped stamped;

    host_clock_init(&server, "s1");
    host_clock_init(&client, "c");
    host_clock_tick(&client);
    stamp(&client, &stamped);
    ck_assert(host_clock_receive(&server, &stamped.frame, true));
    ck_assert_uint_eq(vclock_time(&server.vector, "c"), 1);
    host_clock_tick(&server);
    ck_assert_uint_eq(server.vector.count, 1);
    stamp(&server, &stamped);
    ck_assert_uint_eq(stamped.frame.n_vector, 1);
}

/* K4 */
TEST(a_receipt_forgets_the_client_of_the_receipt_before)
{
    struct host_clock server, first, second;
    struct stamped stamped;

    host_clock_init(&server, "s1");
    host_clock_init(&first, "c1");
    host_clock_init(&second, "c2");
    host_clock_tick(&first);
    host_clock_tick(&second);
    stamp(&first, &stamped);
    host_clock_receive(&server, &stamped.frame, true);
    stamp(&second, &stamped);
    host_clock_receive(&server, &stamped.frame, true);
    ck_assert_uint_eq(vclock_time(&server.vector, "c1"), 0);
    ck_assert_uint_eq(vclock_time(&server.vector, "c2"), 1);
    host_clock_tick(&first);
    stamp(&second, &stamped);
    host_clock_receive(&server, &stamped.frame, true);
    ck_assert_uint_eq(vclock_time(&server.vector, "c2"), 1);
    ck_assert_uint_eq(server.vector.count, 2);
}

/* K4 */
TEST(what_a_client_knows_of_servers_is_kept)
{
    struct host_clock server, client;
    struct stamped stamped;

    host_clock_init(&server, "s2");
    host_clock_init(&client, "c");
    vclock_raise(&client.vector, "s1", 8);
    host_clock_tick(&client);
    stamp(&client, &stamped);
    host_clock_receive(&server, &stamped.frame, true);
    host_clock_tick(&server);
    ck_assert_uint_eq(vclock_time(&server.vector, "s1"), 8);
    ck_assert_uint_eq(vclock_time(&server.vector, "c"), 0);
}

/* K4 */
TEST(five_thousand_clients_cost_a_server_nothing)
{
    struct host_clock server, client;
    struct stamped stamped;

    host_clock_init(&server, "s1");
    vclock_raise(&server.vector, "s2", 3);
    for (unsigned i = 0; i < 5000; i++) {
        host_clock_init(&client, numbered("client-", i).text);
        host_clock_tick(&client);
        stamp(&client, &stamped);
        host_clock_receive(&server, &stamped.frame, true);
        ck_assert_uint_le(server.vector.count, 3);
        host_clock_tick(&server);
        ck_assert_uint_eq(server.vector.count, 2);
    }
    ck_assert_uint_eq(vclock_time(&server.vector, "s2"), 3);
}

/* K4: even if clock and stamp are full and have no other host in common. */
TEST(a_receipt_always_names_its_sender)
{
    struct host_clock own, peer;
    struct stamped stamped;

    host_clock_init(&own, "own");
    host_clock_init(&peer, "peer");
    for (unsigned i = 0; i < CLOCK_ENTRIES_LIMIT - 1; i++) {
        vclock_raise(&own.vector, numbered("x", i).text, 1);
        vclock_raise(&peer.vector, numbered("y", i).text, 1);
    }
    host_clock_tick(&peer);
    stamp(&peer, &stamped);
    host_clock_receive(&own, &stamped.frame, false);
    ck_assert_uint_eq(vclock_time(&own.vector, "peer"), 1);
    ck_assert_uint_eq(own.vector.count, CLOCK_ENTRIES_LIMIT);
    ck_assert_uint_eq(vclock_time(&own.vector, "x7"), 0);
    ck_assert_uint_eq(vclock_time(&own.vector, "y7"), 1);
}

/* ---- Against an unbounded clock ------------------------------------------ */

enum {
    SERVERS = 5,
    CLIENTS = 20,
    HOSTS = SERVERS + CLIENTS,
    WAITING = 8, /* messages on their way */
    STEPS = 5000,
};

struct random {
    uint64_t state;
};

/* xorshift64* (Vigna). */
static unsigned below(struct random *random, unsigned bound)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (unsigned)((random->state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) %
           bound;
}

static struct random random_from_environment(void)
{
    return (struct random){suite_seed()};
}

/* A host, and what an unbounded vector clock would hold. */
struct host {
    struct host_clock clock;
    uint64_t full[HOSTS];
};

/* A message: the sender as it was at the send. */
struct message {
    unsigned to, from;
    struct host sender;
};

static void host_receive(struct host *hosts, const struct message *message)
{
    struct host *to = &hosts[message->to];
    struct stamped stamped;

    stamp(&message->sender.clock, &stamped);
    ck_assert(host_clock_check_stamp(&stamped.frame) == 0 &&
              host_clock_receive(&to->clock, &stamped.frame,
                                 message->from >= SERVERS));
    for (unsigned i = 0; i < HOSTS; i++) {
        if (message->sender.full[i] > to->full[i])
            to->full[i] = message->sender.full[i];
    }
    to->full[message->to]++;
}

/* Returns whether every server's entry is the one of the unbounded clock. */
static bool servers_are_known(const struct host *host)
{
    bool known = host->clock.vector.count <= SERVERS + 1;

    for (unsigned i = 0; i < SERVERS; i++)
        known &= vclock_time(&host->clock.vector, numbered("host", i).text) ==
                 host->full[i];
    return known;
}

/* K2, K4: with clients in between, messages out of order and repeated,
 * happened-before between servers is exactly what it would be if nothing were
 * ever forgotten. */
TEST(nothing_is_lost_between_servers)
{
    struct random random = random_from_environment();
    static struct host hosts[HOSTS];
    static struct message waiting[WAITING];
    bool used[WAITING] = {false};

    for (unsigned i = 0; i < HOSTS; i++)
        host_clock_init(&hosts[i].clock, numbered("host", i).text);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned slot = below(&random, WAITING);
        struct message *message = &waiting[slot];

        if (used[slot]) {
            host_receive(hosts, message);
            ck_assert(servers_are_known(&hosts[message->to]));
        }
        if (used[slot] && below(&random, 10) == 0)
            continue; /* it stays, and arrives again */
        message->from = below(&random, HOSTS);
        do {
            /* clients talk to servers only */
            message->to =
                below(&random, message->from < SERVERS ? HOSTS : SERVERS);
        } while (message->to == message->from);
        host_clock_tick(&hosts[message->from].clock);
        hosts[message->from].full[message->from]++;
        ck_assert(servers_are_known(&hosts[message->from]));
        message->sender = hosts[message->from];
        used[slot] = true;
    }
}

/* Sends from one host to another and returns whether all was well. */
static bool exchange(struct host_clock *from, struct host_clock *to)
{
    struct stamped stamped;

    host_clock_tick(from);
    stamp(from, &stamped);
    return host_clock_check_stamp(&stamped.frame) == 0 &&
           pbkv__frame__get_packed_size(&stamped.frame) <= 1024 &&
           host_clock_receive(to, &stamped.frame, false);
}

/* K4 */
TEST(two_thousand_restarts_leave_a_bounded_clock)
{
    struct host_clock service, server;
    bool well = true;

    host_clock_init(&service, "vs");
    for (unsigned life = 0; life < 2000; life++) {
        host_clock_init(&server, numbered("s1-", life).text);
        for (unsigned i = 0; i < 3; i++)
            well &= exchange(&server, &service) && exchange(&service, &server);
        ck_assert(well);
        ck_assert_uint_eq(
            vclock_time(&service.vector, host_clock_name(&server)), 5);
    }
    ck_assert_uint_eq(service.vector.count, CLOCK_ENTRIES_LIMIT);
    ck_assert_uint_eq(vclock_time(&service.vector, "s1-1937"), 5);
    ck_assert_uint_eq(vclock_time(&service.vector, "s1-1936"), 0);
}

SUITE("clocks", CASE(a_lamport_clock_ticks_by_one),
      CASE(a_receipt_is_later_than_the_send_and_the_event_before),
      CASE(a_lamport_clock_stops_at_its_maximum),
      CASE(a_new_clock_lists_its_owner_at_zero),
      CASE(a_vector_clock_ticks_its_own_entry), CASE(raising_takes_the_maximum),
      CASE(nobody_raises_the_owners_entry), CASE(raising_to_zero_lists_nobody),
      CASE(a_name_in_a_message_needs_no_zero),
      CASE(names_that_begin_alike_are_different_hosts),
      CASE(the_longest_name_fits),
      CASE(merging_takes_the_componentwise_maximum),
      CASE(merging_finds_hosts_in_any_order), CASE(forgetting_drops_one_entry),
      CASE(forgetting_never_drops_the_owner_or_somebody_else),
      CASE(the_65th_entry_takes_the_place_of_the_stalest),
      CASE(an_entry_that_advances_is_not_stale),
      CASE(the_owners_entry_is_never_dropped),
      CASE(a_clock_equals_itself_and_a_reordered_copy),
      CASE(an_event_is_before_its_successor),
      CASE(events_that_do_not_know_of_each_other_are_concurrent),
      CASE(clocks_of_different_lengths_compare_as_if_padded),
      CASE(host_names_are_printable_and_of_limited_length),
      CASE(every_octet_of_a_host_name_is_looked_at),
      CASE_SIGNAL(a_clock_for_no_host_asserts, SIGABRT),
      CASE(a_tick_moves_both_clocks), CASE(a_receipt_joins_both_clocks),
      CASE(a_stamp_names_the_sender_first_and_everything_it_knows),
      CASE(a_stamp_survives_the_wire),
      CASE_SIGNAL(a_stamp_before_the_first_event_asserts, SIGABRT),
      CASE(the_largest_good_stamp_is_accepted),
      CASE(a_stamp_without_entries_is_refused),
      CASE(a_stamp_with_too_many_entries_is_refused),
      CASE(a_stamp_with_a_lamport_time_of_zero_is_refused),
      CASE(a_stamp_beyond_the_lamport_maximum_is_refused),
      CASE(an_entry_of_zero_is_refused),
      CASE(an_entry_beyond_the_maximum_is_refused),
      CASE(an_entry_with_a_bad_name_is_refused),
      CASE(an_entry_with_an_empty_name_is_refused),
      CASE(an_entry_with_a_long_name_is_refused),
      CASE(an_entry_that_is_missing_is_refused),
      CASE(a_name_that_repeats_is_refused),
      CASE(a_lie_about_the_receiver_is_noticed_and_ignored),
      CASE(a_sender_in_the_receivers_name_is_a_lie),
      CASE(a_client_is_named_by_its_receipt_and_forgotten_by_the_next_event),
      CASE(a_receipt_forgets_the_client_of_the_receipt_before),
      CASE(what_a_client_knows_of_servers_is_kept),
      CASE(five_thousand_clients_cost_a_server_nothing),
      CASE(a_receipt_always_names_its_sender),
      CASE(nothing_is_lost_between_servers),
      CASE(two_thousand_restarts_leave_a_bounded_clock))
