/* SPDX-License-Identifier: MIT */
/*
 * Tests of what a kv server is made of: the map, the sessions, the state with
 * its operations, the log of operations and the queue of reads. Where a
 * structure has an obvious slow double (an array), the two are compared over a
 * random sequence whose seed is printed; PBKV_SEED chooses another.
 */
#include <signal.h>
#include <stdio.h>

#include "node/memory.h"
#include "node/message.h"
#include "node/random.h"
#include "pbserver/oplog.h"
#include "pbserver/reads.h"
#include "pbserver/waste.h"
#include "tests/suite.h"

static struct bytes *text(const char *string)
{
    return bytes_new(string, strlen(string));
}

/* ---- The map ---- */

static void put(struct kv *kv, const char *key, const char *value, uint64_t op)
{
    struct bytes *key_bytes = text(key);
    struct bytes *value_bytes = text(value);

    kv_put(kv, key_bytes, value_bytes, op);
    bytes_release(key_bytes);
    bytes_release(value_bytes);
}

static void append(struct kv *kv, const char *key, const char *value,
                   uint64_t op)
{
    struct bytes *key_bytes = text(key);
    struct bytes *value_bytes = text(value);

    kv_append(kv, key_bytes, value_bytes, op);
    bytes_release(key_bytes);
    bytes_release(value_bytes);
}

static void assert_value(const struct kv *kv, const char *key,
                         const char *value)
{
    const struct bytes *found = kv_get(kv, key, strlen(key));

    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->length, strlen(value));
    ck_assert_mem_eq(found->data, value, found->length);
}

static bool same_sum(const struct kv *a, const struct kv *b)
{
    return a->sum.low == b->sum.low && a->sum.high == b->sum.high;
}

TEST(a_map_keeps_the_newest_value)
{
    struct kv kv;

    kv_init(&kv);
    ck_assert_ptr_null(kv_get(&kv, "k", 1));
    ck_assert_uint_eq(kv_modified(&kv, "k", 1), 0);
    put(&kv, "k", "one", 3);
    append(&kv, "k", "two", 4);
    assert_value(&kv, "k", "onetwo");
    ck_assert_uint_eq(kv_modified(&kv, "k", 1), 4);
    put(&kv, "k", "", 9);
    assert_value(&kv, "k", "");
    append(&kv, "new", "x", 10);
    assert_value(&kv, "new", "x");
    ck_assert_uint_eq(kv.count, 2);
    kv_release(&kv);
    ck_assert_uint_eq(kv.count, 0);
}

/* A key is its octets: a prefix is another key, and so is the empty one. */
TEST(keys_are_compared_by_all_their_octets)
{
    struct kv kv;
    struct bytes *zero = bytes_new("a\0b", 3);
    struct bytes *value = text("v");

    kv_init(&kv);
    put(&kv, "a", "1", 1);
    put(&kv, "", "2", 2);
    kv_put(&kv, zero, value, 3);
    ck_assert_uint_eq(kv.count, 3);
    assert_value(&kv, "a", "1");
    assert_value(&kv, "", "2");
    ck_assert_ptr_nonnull(kv_get(&kv, NULL, 0));
    ck_assert_ptr_eq(kv_get(&kv, "a\0b", 3), value);
    ck_assert_ptr_null(kv_get(&kv, "a\0c", 3));
    ck_assert_ptr_null(kv_get(&kv, "a\0", 2));
    bytes_release(zero);
    bytes_release(value);
    kv_release(&kv);
}

/* A known key takes no memory of its own; an unknown one is not stored. */
TEST(a_key_is_taken_from_the_map_if_it_is_there)
{
    struct kv kv;
    struct bytes *known, *unknown, *empty;

    kv_init(&kv);
    put(&kv, "k", "v", 1);
    known = kv_key(&kv, "k", 1);
    unknown = kv_key(&kv, "other", 5);
    empty = kv_key(&kv, NULL, 0);
    ck_assert_ptr_eq(known, kv_at(&kv, 0).key);
    ck_assert_uint_eq(unknown->length, 5);
    ck_assert_mem_eq(unknown->data, "other", 5);
    ck_assert_uint_eq(empty->length, 0);
    ck_assert_uint_eq(kv.count, 1);
    kv_release(&kv);
    ck_assert_mem_eq(known->data, "k", 1); /* a reference of our own */
    bytes_release(known);
    bytes_release(unknown);
    bytes_release(empty);
}

/* What is remembered of a key counts for that key only, also when others are
 * added, and not in a copy. */
TEST(a_key_that_was_found_is_put_where_it_is)
{
    struct kv kv, copy;
    struct bytes *key, *value = text("new");
    char other[8];

    kv_init(&kv);
    put(&kv, "ab", "1", 1);
    put(&kv, "abc", "2", 2);
    key = kv_key(&kv, "abc", 3);
    ck_assert_ptr_null(kv_get(&kv, key->data, 1));
    ck_assert_ptr_eq(kv_get(&kv, key->data, 2), kv_at(&kv, 0).value);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(other, sizeof(other), "%u", i);
        put(&kv, other, other, i + 3);
    }
    kv_clone(&kv, &copy);
    kv_put_newer(&kv, key, value, 103);
    kv_append(&copy, key, value, 103);
    ck_assert_uint_eq(kv.count, 102);
    assert_value(&kv, "abc", "new");
    assert_value(&kv, "ab", "1");
    ck_assert_uint_eq(kv_modified(&kv, key->data, 3), 103);
    assert_value(&copy, "abc", "2new");
    kv_release(&copy);
    kv_release(&kv);
    put(&kv, "zero", "0", 1);
    ck_assert_ptr_null(kv_get(&kv, key->data, 3));
    bytes_release(key);
    bytes_release(value);
    kv_release(&kv);
}

/* What was foreseen of a key is a hint, right or wrong. */
TEST(a_key_that_was_foreseen_is_the_same)
{
    struct kv kv;
    struct bytes *known, *added, *unknown;
    struct kv_foreseen of[2]; /* known and new */

    kv_init(&kv);
    put(&kv, "other", "1", 1);
    put(&kv, "known", "2", 2);
    of[0] = kv_foresee(&kv, "known", 5);
    of[1] = kv_foresee(&kv, "new", 3);
    kv_foresee_rest(&kv, of, 2);
    unknown = kv_key_foreseen(&kv, "new", 3, &of[1]);
    put(&kv, "new", "3", 3);
    added = kv_key_foreseen(&kv, "new", 3, &of[1]);
    known = kv_key_foreseen(&kv, "known", 5, &of[0]);
    ck_assert_ptr_eq(known, kv_at(&kv, 1).key);
    ck_assert_ptr_eq(added, kv_at(&kv, 2).key);
    ck_assert(bytes_equal(unknown, added));
    bytes_release(known);
    of[0].position = 0; /* a key with the same hash came before */
    known = kv_key_foreseen(&kv, "known", 5, &of[0]);
    ck_assert_ptr_eq(known, kv_at(&kv, 1).key);
    bytes_release(known);
    bytes_release(added);
    bytes_release(unknown);
    kv_release(&kv);
}

static void foresee(const struct kv *kv, const char *key, size_t length)
{
    struct kv_foreseen foreseen = kv_foresee(kv, key, length);

    kv_foresee_rest(kv, &foreseen, 1);
}

/* In an empty map, for known and unknown keys, and while the index grows. */
TEST(hints_change_nothing)
{
    struct kv kv, twin;
    char key[16];

    kv_init(&kv);
    kv_init(&twin);
    foresee(&kv, NULL, 0);
    ck_assert_uint_eq(kv.count, 0);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        foresee(&kv, key, strlen(key));
        put(&kv, key, key, i + 1);
        put(&twin, key, key, i + 1);
        foresee(&kv, key, strlen(key));
        ck_assert(same_sum(&kv, &twin));
        ck_assert_uint_eq(kv.count, twin.count);
        assert_value(&kv, key, key);
    }
    kv_release(&kv);
    kv_release(&twin);
}

/* A large map is freed a part at a time, a small one at once. */
TEST(what_nobody_needs_is_freed_little_by_little)
{
    struct waste waste;
    struct kv kv;
    char key[8];
    unsigned parts = 1;

    waste_init(&waste);
    kv_init(&kv);
    put(&kv, "k", "v", 1);
    waste_take(&waste, &kv);
    ck_assert_uint_eq(kv.count, 0);
    ck_assert_uint_eq(waste.count, 0);
    for (unsigned i = 0; i < 2 * WASTE_STEP + 1; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        put(&kv, key, "v", i + 1);
    }
    waste_take(&waste, &kv);
    ck_assert_uint_eq(kv.count, 0);
    put(&kv, "k0", "another", 1);
    assert_value(&kv, "k0", "another");
    while (waste_free_some(&waste)) {
        ck_assert_uint_eq(waste.stores[0].count,
                          2 * WASTE_STEP + 1 - parts * WASTE_STEP);
        parts++;
    }
    ck_assert_uint_eq(parts, 3);
    ck_assert(!waste_free_some(&waste));
    kv_release(&kv);
}

TEST(an_entry_that_is_newer_stays)
{
    struct kv kv;
    struct bytes *key = text("k");
    struct bytes *value = text("new");

    kv_init(&kv);
    kv_put_newer(&kv, key, value, 0); /* no operation wrote that */
    ck_assert_uint_eq(kv.count, 0);
    put(&kv, "k", "old", 5);
    kv_put_newer(&kv, key, value, 5);
    assert_value(&kv, "k", "old");
    kv_put_newer(&kv, key, value, 6);
    assert_value(&kv, "k", "new");
    bytes_release(key);
    bytes_release(value);
    kv_release(&kv);
}

TEST(keys_keep_their_positions)
{
    struct kv kv;
    char key[8];

    kv_init(&kv);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        put(&kv, key, "v", i + 1);
    }
    put(&kv, "k7", "again", 200);
    for (unsigned i = 0; i < 100; i++) {
        struct kv_item item = kv_at(&kv, i);

        snprintf(key, sizeof(key), "k%u", i);
        ck_assert_uint_eq(item.key->length, strlen(key));
        ck_assert_mem_eq(item.key->data, key, strlen(key));
        ck_assert_uint_eq(item.modified, i == 7 ? 200 : i + 1);
    }
    kv_release(&kv);
}

/* The octets of keys and values, and what they would be. */
TEST(a_map_counts_its_octets)
{
    struct kv kv;
    struct bytes *known = text("key");
    struct bytes *unknown = text("other");

    kv_init(&kv);
    put(&kv, "key", "12345", 1);
    ck_assert_uint_eq(kv.octets, 8);
    ck_assert_uint_eq(kv_octets_after(&kv, known, 2), 5);
    ck_assert_uint_eq(kv_octets_after(&kv, unknown, 2), 15);
    append(&kv, "key", "678", 2);
    ck_assert_uint_eq(kv.octets, 11);
    put(&kv, "key", "", 3);
    ck_assert_uint_eq(kv.octets, 3);
    bytes_release(known);
    bytes_release(unknown);
    kv_release(&kv);
}

/* The digest says what is in the map, not how it came there. */
TEST(the_digest_depends_on_the_content_only)
{
    struct kv one, two, other;

    kv_init(&one);
    kv_init(&two);
    kv_init(&other);
    put(&one, "a", "1", 1);
    put(&one, "b", "23", 2);
    put(&two, "b", "x", 5);
    put(&two, "b", "2", 6);
    append(&two, "b", "3", 7);
    put(&two, "a", "1", 8);
    ck_assert(same_sum(&one, &two));
    put(&other, "a", "23", 1); /* the values are exchanged */
    put(&other, "b", "1", 2);
    ck_assert(!same_sum(&one, &other));
    put(&two, "c", "", 9); /* an empty value counts too */
    ck_assert(!same_sum(&one, &two));
    kv_release(&one);
    kv_release(&two);
    kv_release(&other);
}

TEST(a_cloned_map_is_independent)
{
    struct kv kv, copy;
    struct sink texts[2];

    kv_init(&kv);
    put(&kv, "a", "1", 1);
    put(&kv, "b", "2", 2);
    kv_clone(&kv, &copy);
    ck_assert(same_sum(&kv, &copy));
    ck_assert_uint_eq(kv.octets, copy.octets);
    sink_init(&texts[0], SINK_TEXT);
    sink_init(&texts[1], SINK_TEXT);
    kv_describe(&kv, &texts[0]);
    kv_describe(&copy, &texts[1]);
    ck_assert_str_eq(texts[0].buffer, texts[1].buffer);
    append(&copy, "a", "+", 3);
    put(&kv, "b", "3", 4);
    assert_value(&kv, "a", "1");
    assert_value(&copy, "b", "2");
    kv_release(&kv);
    assert_value(&copy, "a", "1+");
    kv_release(&copy);
    sink_release(&texts[0]);
    sink_release(&texts[1]);
}

static bool index_has(const struct kv_index *index, uint32_t hash,
                      size_t wanted)
{
    struct kv_search search = kv_search_begin(index, hash);
    size_t position;

    while (kv_search_next(&search, &position)) {
        if (position == wanted)
            return true;
    }
    return false;
}

/* While it grows, positions are in two tables: none is lost between them, also
 * when many share a hash, and it is never more than a part full. */
TEST(an_index_finds_every_position_while_it_grows)
{
    enum { POSITIONS = 20000, SHARED = 4 };
    struct kv_index index;
    uint64_t random = suite_seed();
    size_t growing = 0;
    size_t wrong = 0; /* one assertion each would take Check too long */

    kv_index_init(&index);
    ck_assert(!index_has(&index, 0, 0));
    for (uint32_t i = 0; i < POSITIONS; i++) {
        uint32_t earlier = random_between(&random, 0, i);

        kv_index_add(&index, i / SHARED * 7919, i);
        growing += index.old.slots != NULL;
        wrong += !index_has(&index, i / SHARED * 7919, i);
        wrong += !index_has(&index, earlier / SHARED * 7919, earlier);
        wrong += index_has(&index, i / SHARED * 7919 + 1, i);
        wrong += 4 * index.count > 3 * index.table.size;
    }
    ck_assert_uint_gt(growing, 100);
    for (uint32_t i = 0; i < POSITIONS; i++)
        wrong += !index_has(&index, i / SHARED * 7919, i);
    ck_assert_uint_eq(wrong, 0);
    kv_index_release(&index);
}

/* Thousands of changes, against an array of values. */
TEST(a_map_is_like_an_array_of_values)
{
    enum { KEYS = 50 };
    struct kv kv, rebuilt;
    char *values[KEYS] = {0};
    uint64_t random = suite_seed();
    uint64_t octets = 0;
    char key[8];

    kv_init(&kv);
    kv_init(&rebuilt);
    for (uint64_t op = 1; op <= 5000; op++) {
        uint32_t which = random_between(&random, 0, KEYS - 1);
        bool replaces = random_between(&random, 0, 3) == 0;
        size_t old = values[which] && !replaces ? strlen(values[which]) : 0;
        char letter[2] = {(char)('a' + op % 26), '\0'};

        snprintf(key, sizeof(key), "k%u", which);
        values[which] = memory_resize(values[which], old + 2);
        memcpy(values[which] + old, letter, 2);
        if (replaces)
            put(&kv, key, letter, op);
        else
            append(&kv, key, letter, op);
        ck_assert_uint_eq(kv_modified(&kv, key, strlen(key)), op);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        if (!values[i])
            continue;
        assert_value(&kv, key, values[i]);
        put(&rebuilt, key, values[i], 1);
        octets += strlen(key) + strlen(values[i]);
        free(values[i]);
    }
    ck_assert_uint_eq(kv.octets, octets);
    ck_assert(same_sum(&kv, &rebuilt));
    kv_release(&kv);
    kv_release(&rebuilt);
}

/* A change cannot be older than the one before it. */
TEST(a_change_by_an_older_operation_asserts)
{
    struct kv kv;

    kv_init(&kv);
    put(&kv, "k", "v", 5);
    put(&kv, "k", "w", 5);
}

/* ---- Sessions ---- */

static void set_session(struct sessions *sessions, uint64_t id, uint64_t seq,
                        uint64_t op)
{
    struct session_record record = {
        .id = id,
        .seq = seq,
        .status = PBKV__STATUS__OK,
        .op = op,
    };

    sessions_set(sessions, &record);
}

/* P6: the order of last use decides who is evicted. */
TEST(the_oldest_session_is_the_one_unused_for_longest)
{
    struct sessions sessions;

    sessions_init(&sessions);
    ck_assert_uint_eq(sessions_oldest(&sessions), 0);
    for (uint64_t id = 1; id <= 3; id++)
        set_session(&sessions, id, 0, id);
    ck_assert_uint_eq(sessions_oldest(&sessions), 1);
    set_session(&sessions, 1, 1, 4);
    ck_assert_uint_eq(sessions_oldest(&sessions), 2);
    sessions_evict(&sessions, 2);
    sessions_evict(&sessions, 77); /* there is none */
    ck_assert_uint_eq(sessions_oldest(&sessions), 3);
    ck_assert_uint_eq(sessions.count, 2);
    ck_assert_ptr_null(sessions_find(&sessions, 2));
    ck_assert_uint_eq(sessions_find(&sessions, 1)->seq, 1);
    sessions_release(&sessions);
}

/* T1: the list is what a transfer sends, in the order of last use. */
TEST(a_list_of_sessions_rebuilds_the_table)
{
    struct sessions sessions, rebuilt;
    struct session_record *list;

    sessions_init(&sessions);
    sessions_init(&rebuilt);
    ck_assert_ptr_null(sessions_list(&sessions));
    for (uint64_t id = 1; id <= 50; id++)
        set_session(&sessions, id, id % 7, id);
    for (uint64_t id = 1; id <= 50; id += 3)
        set_session(&sessions, id, 9, 100 + id);
    list = sessions_list(&sessions);
    for (size_t i = 0; i < 50; i++)
        sessions_set(&rebuilt, &list[i]);
    ck_assert_uint_eq(rebuilt.sum.low, sessions.sum.low);
    ck_assert_uint_eq(rebuilt.sum.high, sessions.sum.high);
    while (sessions.count > 0) {
        uint64_t oldest = sessions_oldest(&sessions);

        ck_assert_uint_eq(sessions_oldest(&rebuilt), oldest);
        sessions_evict(&sessions, oldest);
        sessions_evict(&rebuilt, oldest);
    }
    ck_assert_uint_eq(sessions.sum.low, 0);
    ck_assert_uint_eq(sessions.sum.high, 0);
    free(list);
    sessions_release(&sessions);
    sessions_release(&rebuilt);
}

TEST(a_cloned_table_keeps_order_and_is_independent)
{
    struct sessions sessions, copy;

    sessions_init(&sessions);
    for (uint64_t id = 1; id <= 20; id++)
        set_session(&sessions, id, 0, id);
    set_session(&sessions, 1, 1, 30);
    sessions_clone(&sessions, &copy);
    ck_assert_uint_eq(sessions_oldest(&copy), 2);
    ck_assert_uint_eq(copy.sum.low, sessions.sum.low);
    set_session(&copy, 2, 5, 31);
    ck_assert_uint_eq(sessions_find(&sessions, 2)->seq, 0);
    sessions_release(&sessions);
    ck_assert_uint_eq(sessions_find(&copy, 1)->seq, 1);
    ck_assert_uint_eq(copy.count, 20);
    sessions_release(&copy);
}

/* ---- State and operations ---- */

static const struct state_limits limits = {
    .key = 4,
    .value = 6,
    .sessions = 2,
    .octets = 12,
};

static struct operation operation_new(Pbkv__Kind kind, uint64_t session,
                                      uint64_t seq, const char *key,
                                      const char *value)
{
    return (struct operation){
        .kind = kind,
        .session = session,
        .seq = seq,
        .key = text(key),
        .value = text(value),
    };
}

/* Decides and applies; returns the status. */
static Pbkv__Status run(struct state *state, Pbkv__Kind kind, uint64_t session,
                        uint64_t seq, const char *key, const char *value)
{
    struct operation operation = operation_new(kind, session, seq, key, value);
    Pbkv__Status status;

    state_decide(state, &limits, &operation);
    status = operation.status;
    state_apply(state, &operation);
    operation_release(&operation);
    return status;
}

static uint64_t open_one(struct state *state)
{
    run(state, PBKV__KIND__KIND_OPEN, 0, 0, "", "");
    return state->op;
}

/* P6: the id of a session is the op number of its opening. */
TEST(an_opening_makes_a_session_of_its_number)
{
    struct state state;
    uint64_t session;

    state_init(&state);
    session = open_one(&state);
    ck_assert_uint_eq(session, 1);
    ck_assert_uint_eq(sessions_find(&state.sessions, 1)->seq, 0);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_PUT, 1, 1, "k", "v"),
                     PBKV__STATUS__OK);
    ck_assert_uint_eq(open_one(&state), 3);
    ck_assert_uint_eq(sessions_find(&state.sessions, 1)->op, 2);
    state_release(&state);
}

/* P6: a full table evicts, by decision. */
TEST(an_opening_evicts_when_the_table_is_full)
{
    struct state state;
    struct operation opening =
        operation_new(PBKV__KIND__KIND_OPEN, 0, 0, "", "");

    state_init(&state);
    open_one(&state);
    open_one(&state);
    run(&state, PBKV__KIND__KIND_PUT, 1, 1, "k", "v");
    state_decide(&state, &limits, &opening);
    ck_assert_uint_eq(opening.session, 4);
    ck_assert_uint_eq(opening.evicted, 2);
    state_apply(&state, &opening);
    ck_assert_ptr_null(sessions_find(&state.sessions, 2));
    ck_assert_uint_eq(state.sessions.count, 2);
    open_one(&state);
    ck_assert_ptr_null(sessions_find(&state.sessions, 1));
    ck_assert_uint_eq(state.sessions.count, 2);
    operation_release(&opening);
    state_release(&state);
}

/* Too large is decided by the result, and stores nothing but the outcome. */
TEST(the_limits_of_keys_and_values_decide)
{
    struct state state;

    state_init(&state);
    open_one(&state);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_PUT, 1, 1, "12345", ""),
                     PBKV__STATUS__TOO_LARGE);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_PUT, 1, 2, "1234", "123456"),
                     PBKV__STATUS__OK);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_APPEND, 1, 3, "1234", ""),
                     PBKV__STATUS__OK);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_APPEND, 1, 4, "1234", "7"),
                     PBKV__STATUS__TOO_LARGE);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_APPEND, 1, 5, "x", "1234567"),
                     PBKV__STATUS__TOO_LARGE);
    ck_assert_int_eq(run(&state, PBKV__KIND__KIND_PUT, 1, 6, "x", "1234567"),
                     PBKV__STATUS__TOO_LARGE);
    ck_assert_uint_eq(state.kv.count, 1);
    ck_assert_uint_eq(state.op, 7);
    ck_assert_int_eq(sessions_find(&state.sessions, 1)->status,
                     PBKV__STATUS__TOO_LARGE);
    assert_value(&state.kv, "1234", "123456");
    state_release(&state);
}

/* What is too large is not sent to the backup: it would be for nothing. */
TEST(an_operation_that_is_too_large_loses_key_and_value)
{
    struct state state;
    struct operation operation =
        operation_new(PBKV__KIND__KIND_PUT, 1, 1, "12345", "v");

    state_init(&state);
    open_one(&state);
    state_decide(&state, &limits, &operation);
    ck_assert_uint_eq(operation.key->length, 0);
    ck_assert_uint_eq(operation.value->length, 0);
    ck_assert(!state_is_full(&state, &limits, &operation));
    operation_release(&operation);
    state_release(&state);
}

TEST(a_store_is_full_by_what_it_would_become)
{
    static const struct {
        Pbkv__Kind kind;
        const char *key;
        const char *value;
        bool full;
    } cases[] = {
        {PBKV__KIND__KIND_PUT, "b", "1234", true},
        {PBKV__KIND__KIND_PUT, "b", "123", false},
        {PBKV__KIND__KIND_APPEND, "b", "1234", true},
        {PBKV__KIND__KIND_PUT, "a", "12345678", false},
        {PBKV__KIND__KIND_APPEND, "a", "12345", true},
        {PBKV__KIND__KIND_APPEND, "a", "1234", false},
    };
    struct state state;

    state_init(&state);
    open_one(&state);
    open_one(&state);
    run(&state, PBKV__KIND__KIND_PUT, 1, 1, "a", "123456");
    run(&state, PBKV__KIND__KIND_PUT, 1, 2, "c", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct operation operation = operation_new(
            cases[i].kind, 1, 2 + i, cases[i].key, cases[i].value);

        struct state_limits tight = limits;

        tight.octets += (cases[i].key[0] == 'b' ? 3U : 2U) * ENTRY_COST;
        operation.status = PBKV__STATUS__OK;
        ck_assert_msg(state_is_full(&state, &tight, &operation) ==
                          cases[i].full,
                      "case %zu", i);
        operation_release(&operation);
    }
    state_release(&state);
}

/* T3: an operation that is in a key already, by a transfer, counts for the
 * session and leaves the key alone. */
TEST(an_operation_that_is_in_the_entry_already_is_not_repeated)
{
    struct state state;
    struct operation operation =
        operation_new(PBKV__KIND__KIND_APPEND, 1, 1, "k", "x");

    state_init(&state);
    open_one(&state);
    put(&state.kv, "k", "x", 2); /* with operation 2 in it */
    operation.status = PBKV__STATUS__OK;
    state_apply(&state, &operation);
    assert_value(&state.kv, "k", "x");
    ck_assert_uint_eq(state.op, 2);
    ck_assert_uint_eq(sessions_find(&state.sessions, 1)->seq, 1);
    operation.seq = 2;
    state_apply(&state, &operation);
    assert_value(&state.kv, "k", "xx");
    operation_release(&operation);
    state_release(&state);
}

/* The digest covers op number, keys, values and sessions. */
TEST(the_digest_of_a_state_covers_everything)
{
    struct state states[5];
    struct digest digests[5];

    for (size_t i = 0; i < 5; i++) {
        state_init(&states[i]);
        open_one(&states[i]);
        open_one(&states[i]);
    }
    run(&states[0], PBKV__KIND__KIND_PUT, 1, 1, "k", "v");
    run(&states[1], PBKV__KIND__KIND_PUT, 1, 1, "k", "w");
    run(&states[2], PBKV__KIND__KIND_PUT, 2, 1, "k", "v");
    run(&states[3], PBKV__KIND__KIND_PUT, 1, 2, "k", "v");
    run(&states[4], PBKV__KIND__KIND_PUT, 1, 1, "k", "v");
    for (size_t i = 0; i < 5; i++)
        digests[i] = state_digest(&states[i]);
    ck_assert(digest_equal(&digests[0], &digests[4]));
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++)
            ck_assert(!digest_equal(&digests[i], &digests[j]));
    }
    states[4].op++;
    digests[4] = state_digest(&states[4]);
    ck_assert(!digest_equal(&digests[0], &digests[4]));
    for (size_t i = 0; i < 5; i++)
        state_release(&states[i]);
}

/* P3: an operation that has been a message is the same operation. */
TEST(an_operation_survives_being_a_message)
{
    struct operation sent =
        operation_new(PBKV__KIND__KIND_APPEND, 7, 8, "key", "value");
    struct operation received;
    Pbkv__LogOp message;
    struct sink texts[2];

    sent.status = PBKV__STATUS__OK;
    sent.evicted = 3;
    operation_to_message(&sent, &message);
    received = operation_from_message(&message);
    sink_init(&texts[0], SINK_TEXT);
    sink_init(&texts[1], SINK_TEXT);
    operation_describe(&sent, "operation", &texts[0]);
    operation_describe(&received, "operation", &texts[1]);
    ck_assert_str_eq(texts[0].buffer, texts[1].buffer);
    ck_assert_ptr_ne(sent.key, received.key);
    ck_assert_uint_eq(operation_size(&sent), operation_size(&received));
    ck_assert_uint_ge(operation_size(&sent),
                      pbkv__log_op__get_packed_size(&message));
    sink_release(&texts[0]);
    sink_release(&texts[1]);
    operation_release(&sent);
    operation_release(&received);
}

/* An operation without a decision has no business in a state. */
TEST(an_undecided_operation_asserts)
{
    struct state state;
    struct operation operation =
        operation_new(PBKV__KIND__KIND_PUT, 1, 1, "k", "v");

    state_init(&state);
    open_one(&state);
    state_apply(&state, &operation);
}

/* ---- The log ---- */

static void log_one(struct oplog *log, uint64_t number)
{
    struct log_entry entry = {.call = number};

    entry.operation =
        operation_new(PBKV__KIND__KIND_PUT, 1, number, "key", "value");
    entry.operation.status = PBKV__STATUS__OK;
    oplog_append(log, &entry);
}

TEST(a_log_drops_what_is_acknowledged)
{
    struct oplog log;

    oplog_init(&log, 5);
    ck_assert_uint_eq(oplog_last(&log), 4);
    oplog_drop_through(&log, 100); /* nothing is there */
    ck_assert_uint_eq(log.first, 5);
    for (uint64_t number = 5; number <= 9; number++)
        log_one(&log, number);
    ck_assert_uint_eq(oplog_last(&log), 9);
    ck_assert_uint_eq(log.octets, 5 * (64 + 8));
    oplog_drop_through(&log, 4);
    ck_assert_uint_eq(log.count, 5);
    oplog_drop_through(&log, 7);
    ck_assert_uint_eq(log.first, 8);
    ck_assert_uint_eq(oplog_at(&log, 8)->call, 8);
    oplog_drop_through(&log, 9);
    ck_assert_uint_eq(log.count, 0);
    ck_assert_uint_eq(log.octets, 0);
    ck_assert_uint_eq(oplog_last(&log), 9);
    oplog_release(&log);
}

/* The ring turns round and grows while it is turned. */
TEST(a_log_is_like_a_window_on_the_numbers)
{
    struct oplog log;
    uint64_t random = suite_seed();
    uint64_t first = 1, next = 1;

    oplog_init(&log, 1);
    for (unsigned i = 0; i < 4000; i++) {
        if (random_between(&random, 0, 99) < 55)
            log_one(&log, next++);
        else if (first < next) {
            first += random_between(&random, 0, (uint32_t)(next - first));
            oplog_drop_through(&log, first - 1);
        }
        ck_assert_uint_eq(log.count, next - first);
        ck_assert_uint_eq(log.octets, log.count * (64 + 8));
        if (log.count > 0) {
            uint64_t number =
                first + random_between(&random, 0, (uint32_t)log.count - 1);

            ck_assert_uint_eq(oplog_at(&log, number)->call, number);
        }
    }
    oplog_release(&log);
}

TEST(a_cloned_log_is_independent)
{
    struct oplog log, copy;
    struct sink texts[2];

    oplog_init(&log, 1);
    for (uint64_t number = 1; number <= 13; number++)
        log_one(&log, number);
    oplog_drop_through(&log, 6);
    log_one(&log, 14);
    oplog_clone(&log, &copy);
    sink_init(&texts[0], SINK_TEXT);
    sink_init(&texts[1], SINK_TEXT);
    oplog_describe(&log, &texts[0]);
    oplog_describe(&copy, &texts[1]);
    ck_assert_str_eq(texts[0].buffer, texts[1].buffer);
    ck_assert_uint_eq(copy.octets, log.octets);
    oplog_drop_through(&log, 10);
    ck_assert_uint_eq(copy.first, 7);
    oplog_release(&log);
    ck_assert_uint_eq(oplog_at(&copy, 14)->call, 14);
    ck_assert_uint_eq(oplog_at(&copy, 14)->operation.value->length, 5);
    oplog_release(&copy);
    sink_release(&texts[0]);
    sink_release(&texts[1]);
}

TEST(a_number_outside_the_log_asserts)
{
    struct oplog log;

    oplog_init(&log, 3);
    log_one(&log, 3);
    oplog_at(&log, 2);
}

/* ---- Reads ---- */

static void push(struct reads *reads, uint64_t call)
{
    struct waiting_read read = {
        .call = call,
        .op = call,
        .round = call,
        .answer = text("answer"),
        .what = PBKV__BODY__KIND_REPLY,
    };

    reads_push(reads, &read);
}

/* The queue moves in its array and grows; it stays in order. */
TEST(reads_are_answered_in_the_order_of_their_arrival)
{
    struct reads reads;
    uint64_t random = suite_seed();
    uint64_t first = 1, next = 1;

    reads_init(&reads);
    ck_assert_ptr_null(reads_at(&reads, 0));
    for (unsigned i = 0; i < 4000; i++) {
        if (random_between(&random, 0, 99) < (i < 2000 ? 55 : 45))
            push(&reads, next++);
        else if (first < next) {
            ck_assert_uint_eq(reads_at(&reads, 0)->call, first++);
            reads_remove(&reads, 0);
        }
        ck_assert_uint_eq(reads.count, next - first);
        ck_assert_uint_eq(reads.octets, reads.count * 6);
    }
    reads_release(&reads);
    ck_assert_uint_eq(reads.octets, 0);
}

TEST(cloned_reads_are_independent)
{
    struct reads reads, copy;
    struct sink texts[2];

    reads_init(&reads);
    for (uint64_t call = 1; call <= 20; call++)
        push(&reads, call);
    for (unsigned i = 0; i < 5; i++)
        reads_remove(&reads, 0);
    reads_clone(&reads, &copy);
    sink_init(&texts[0], SINK_TEXT);
    sink_init(&texts[1], SINK_TEXT);
    reads_describe(&reads, &texts[0]);
    reads_describe(&copy, &texts[1]);
    ck_assert_str_eq(texts[0].buffer, texts[1].buffer);
    reads_release(&reads);
    ck_assert_uint_eq(copy.count, 15);
    ck_assert_uint_eq(reads_at(&copy, 0)->call, 6);
    ck_assert_mem_eq(reads_at(&copy, 0)->answer->data, "answer", 6);
    reads_release(&copy);
    sink_release(&texts[0]);
    sink_release(&texts[1]);
}

SUITE("kv", CASE(a_map_keeps_the_newest_value),
      CASE(keys_are_compared_by_all_their_octets),
      CASE(a_key_is_taken_from_the_map_if_it_is_there),
      CASE(a_key_that_was_found_is_put_where_it_is),
      CASE(a_key_that_was_foreseen_is_the_same), CASE(hints_change_nothing),
      CASE(what_nobody_needs_is_freed_little_by_little),
      CASE(an_entry_that_is_newer_stays), CASE(keys_keep_their_positions),
      CASE(a_map_counts_its_octets),
      CASE(the_digest_depends_on_the_content_only),
      CASE(a_cloned_map_is_independent),
      CASE(an_index_finds_every_position_while_it_grows),
      CASE(a_map_is_like_an_array_of_values),
      CASE_SIGNAL(a_change_by_an_older_operation_asserts, SIGABRT),
      CASE(the_oldest_session_is_the_one_unused_for_longest),
      CASE(a_list_of_sessions_rebuilds_the_table),
      CASE(a_cloned_table_keeps_order_and_is_independent),
      CASE(an_opening_makes_a_session_of_its_number),
      CASE(an_opening_evicts_when_the_table_is_full),
      CASE(the_limits_of_keys_and_values_decide),
      CASE(an_operation_that_is_too_large_loses_key_and_value),
      CASE(a_store_is_full_by_what_it_would_become),
      CASE(an_operation_that_is_in_the_entry_already_is_not_repeated),
      CASE(the_digest_of_a_state_covers_everything),
      CASE(an_operation_survives_being_a_message),
      CASE_SIGNAL(an_undecided_operation_asserts, SIGABRT),
      CASE(a_log_drops_what_is_acknowledged),
      CASE(a_log_is_like_a_window_on_the_numbers),
      CASE(a_cloned_log_is_independent),
      CASE_SIGNAL(a_number_outside_the_log_asserts, SIGABRT),
      CASE(reads_are_answered_in_the_order_of_their_arrival),
      CASE(cloned_reads_are_independent))
