/* SPDX-License-Identifier: MIT */
/*
 * The checker of linearizability (sim/lincheck.h) against an oracle that tries
 * every order, on thousands of small histories of each model; its speed on
 * histories of the size that it is meant for; what it says about violations.
 *
 * Histories are made by clients that take turns at random: one begins, takes
 * effect, ends. So they are linearizable; then some answers are changed. Seeds
 * are fixed and printed with every failure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "node/memory.h"
#include "node/random.h"
#include "sim/history.h"
#include "sim/history_read.h"
#include "sim/lincheck.h"
#include "sim/lincheck_cheap.h"
#include "sim/lincheck_part.h"
#include "sim/lincheck_search.h"
#include "tests/suite.h"

enum {
    ORACLE_OPS = 8,  /* the oracle's time grows with the factorial */
    VALUE_MAX = 512, /* octets of a value in an oracle's history */
    ROUNDS = 4000,   /* small histories of each kind */
};

/* ---- Making histories --------------------------------------------------- */

/* What the clients do. */
struct recipe {
    uint32_t clients;
    uint32_t ops;
    uint32_t keys;
    uint32_t puts;    /* in 100; the rest are gets */
    uint32_t appends; /* in 100 */
    uint32_t cas;     /* in 100 */
    uint32_t values;  /* how many different ones; 0: each is unique */
    uint32_t lost;    /* answers in 100 that never come */
    uint32_t changed; /* reads in 100 that answer something else */
    bool ties;        /* several events happen at one moment */
};

enum stage { IDLE, BEGUN, APPLIED };

struct actor {
    enum stage stage;
    uint32_t process;
    size_t op;
    uint32_t key;
    struct bytes *read;
    bool refused;
};

struct making {
    struct recipe recipe;
    uint64_t random;
    uint64_t now;
    uint32_t processes;
    uint32_t tokens;
    struct history *history;
    struct bytes **store; /* for each key; NULL: absent */
    struct actor *actors;
};

static uint32_t roll(struct making *making, uint32_t most)
{
    return random_between(&making->random, 0, most);
}

static struct bytes *new_value(struct making *making)
{
    char text[32];

    if (making->recipe.values > 0)
        snprintf(text, sizeof(text), "%" PRIu32,
                 roll(making, making->recipe.values - 1));
    else
        snprintf(text, sizeof(text), "<%" PRIu32 ">", ++making->tokens);
    return bytes_new(text, strlen(text));
}

static enum history_kind choose_kind(struct making *making)
{
    uint32_t dice = roll(making, 99);

    if (dice < making->recipe.puts)
        return HISTORY_PUT;
    dice -= making->recipe.puts;
    if (dice < making->recipe.appends)
        return HISTORY_APPEND;
    dice -= making->recipe.appends;
    return dice < making->recipe.cas ? HISTORY_CAS : HISTORY_GET;
}

static void begin_op(struct making *making, struct actor *actor)
{
    enum history_kind kind = choose_kind(making);
    struct bytes *value = kind == HISTORY_GET ? NULL : new_value(making);
    struct bytes *expected = NULL;
    struct bytes *key;
    char text[16];

    actor->key = roll(making, making->recipe.keys - 1);
    snprintf(text, sizeof(text), "k%" PRIu32, actor->key);
    key = bytes_new(text, strlen(text));
    actor->op = history_invoke(making->history, actor->process, kind, key,
                               value, making->now);
    if (kind == HISTORY_CAS) {
        expected = new_value(making);
        history_expect(making->history, actor->op, expected);
    }
    bytes_release(expected);
    bytes_release(value);
    bytes_release(key);
    actor->stage = BEGUN;
}

static void set_key(struct making *making, uint32_t key, struct bytes *value)
{
    bytes_release(making->store[key]);
    making->store[key] = value;
}

static struct bytes *joined(const struct bytes *first,
                            const struct bytes *second)
{
    return first ? bytes_concat(first, second->data, second->length)
                 : bytes_new(second->data, second->length);
}

static bool same_value(const struct bytes *a, const struct bytes *b)
{
    return a && b ? bytes_equal(a, b) : a == b;
}

static void apply_op(struct making *making, struct actor *actor)
{
    const struct history_op *op = &making->history->ops[actor->op];
    struct bytes *old = making->store[actor->key];

    actor->refused = false;
    actor->stage = APPLIED;
    switch (op->kind) {
    case HISTORY_GET: actor->read = bytes_share(old); return;
    case HISTORY_PUT:
        set_key(making, actor->key, bytes_share(op->value));
        return;
    case HISTORY_APPEND:
        set_key(making, actor->key, joined(old, op->value));
        return;
    case HISTORY_CAS: break;
    }
    actor->refused = !same_value(old, op->expected);
    if (!actor->refused)
        set_key(making, actor->key, bytes_share(op->value));
    if (roll(making, 99) < making->recipe.changed / 2)
        actor->refused = !actor->refused;
}

/* Makes up an answer: that of an earlier read, or what was written once. */
static struct bytes *other_value(struct making *making, size_t before)
{
    const struct history_op *op =
        &making->history->ops[roll(making, (uint32_t)before)];

    if (op->value)
        return bytes_share(op->value);
    return roll(making, 1) ? NULL : new_value(making);
}

static void end_op(struct making *making, struct actor *actor)
{
    const struct history_op *op = &making->history->ops[actor->op];

    actor->stage = IDLE;
    if (roll(making, 99) < making->recipe.lost) {
        actor->process = making->processes++;
    } else if (actor->refused) {
        history_end(making->history, actor->op, HISTORY_REFUSED, making->now);
    } else {
        if (op->kind == HISTORY_GET &&
            roll(making, 99) < making->recipe.changed) {
            bytes_release(actor->read);
            actor->read = other_value(making, actor->op);
        }
        history_return(making->history, actor->op, actor->read, making->now);
    }
    bytes_release(actor->read);
    actor->read = NULL;
}

static void act(struct making *making, struct actor *actor)
{
    if (!making->recipe.ties || roll(making, 2) == 0)
        making->now++;
    switch (actor->stage) {
    case IDLE:
        if (making->history->count < making->recipe.ops)
            begin_op(making, actor);
        break;
    case BEGUN:
        if (roll(making, 99) < making->recipe.lost / 2) {
            actor->stage = IDLE;
            actor->process = making->processes++;
            break;
        }
        apply_op(making, actor);
        break;
    case APPLIED: end_op(making, actor); break;
    }
}

static bool is_made(const struct making *making)
{
    for (uint32_t i = 0; i < making->recipe.clients; i++) {
        if (making->actors[i].stage != IDLE)
            return false;
    }
    return making->history->count >= making->recipe.ops;
}

static void make_history(struct history *history, const struct recipe *recipe,
                         uint64_t seed)
{
    struct making making = {
        .recipe = *recipe, .random = seed, .history = history};

    history_init(history);
    making.store = memory_new(recipe->keys * sizeof(*making.store));
    making.actors = memory_new(recipe->clients * sizeof(*making.actors));
    for (uint32_t i = 0; i < recipe->clients; i++)
        making.actors[i].process = making.processes++;
    while (!is_made(&making))
        act(&making, &making.actors[roll(&making, recipe->clients - 1)]);
    for (uint32_t i = 0; i < recipe->keys; i++)
        bytes_release(making.store[i]);
    free(making.store);
    free(making.actors);
}

/* ---- The oracle --------------------------------------------------------- */

/* Tries every order of operations that respects real time. */
struct oracle {
    const struct history *history;
    bool done[ORACLE_OPS];
};

struct oracle_value {
    bool present;
    size_t length;
    uint8_t data[VALUE_MAX];
};

static bool oracle_sees(const struct oracle_value *value,
                        const struct bytes *bytes, bool no_absence)
{
    if (no_absence)
        return value->length == (bytes ? bytes->length : 0) &&
               (!bytes || memcmp(value->data, bytes->data, value->length) == 0);
    return value->present == (bytes != NULL) &&
           (!bytes || (value->length == bytes->length &&
                       memcmp(value->data, bytes->data, value->length) == 0));
}

static void oracle_write(struct oracle_value *value, size_t keep,
                         const struct bytes *bytes)
{
    value->present = true;
    memcpy(value->data + keep, bytes->data, bytes->length);
    value->length = keep + bytes->length;
}

/* Does an operation. Returns false when its answer is wrong. */
static bool oracle_step(const struct history_op *op, struct oracle_value *value,
                        bool no_absence)
{
    bool pending = op->returned == HISTORY_PENDING;
    bool equal;

    switch (op->kind) {
    case HISTORY_GET:
        return pending || oracle_sees(value, op->value, no_absence);
    case HISTORY_PUT: oracle_write(value, 0, op->value); return true;
    case HISTORY_APPEND:
        oracle_write(value, value->length, op->value);
        return true;
    case HISTORY_CAS: break;
    }
    equal = oracle_sees(value, op->expected, no_absence);
    if (equal && op->result != HISTORY_REFUSED)
        oracle_write(value, 0, op->value);
    return pending || equal == (op->result != HISTORY_REFUSED);
}

static bool oracle_may_go(const struct oracle *oracle, size_t index)
{
    const struct history_op *ops = oracle->history->ops;

    for (size_t i = 0; i < oracle->history->count; i++) {
        if (!oracle->done[i] && ops[i].result != HISTORY_FAILED &&
            ops[i].returned < ops[index].invoked)
            return false;
    }
    return !oracle->done[index] && ops[index].result != HISTORY_FAILED;
}

static bool oracle_search(struct oracle *oracle,
                          const struct oracle_value *value)
{
    const struct history *history = oracle->history;
    bool all = true;

    for (size_t i = 0; i < history->count; i++)
        all &= oracle->done[i] || history->ops[i].returned == HISTORY_PENDING ||
               history->ops[i].result == HISTORY_FAILED;
    if (all)
        return true;
    for (size_t i = 0; i < history->count; i++) {
        struct oracle_value next = *value;
        bool good;

        if (!oracle_may_go(oracle, i) ||
            !oracle_step(&history->ops[i], &next, history->no_absence))
            continue;
        oracle->done[i] = true;
        good = oracle_search(oracle, &next);
        oracle->done[i] = false;
        if (good)
            return true;
    }
    return false;
}

/* Histories of one key only. */
static bool oracle_accepts(const struct history *history)
{
    struct oracle oracle = {.history = history};
    struct oracle_value value = {.present = false};

    ck_assert_uint_le(history->count, ORACLE_OPS);
    return oracle_search(&oracle, &value);
}

/* ---- Comparing ---------------------------------------------------------- */

struct tally {
    uint32_t good;
    uint32_t bad;
    uint32_t cheap; /* bad ones that the cheap checks found */
    uint32_t clean;
};

static struct part *part_of(const struct history *history)
{
    const struct history_op **ops =
        memory_new((history->count + 1) * sizeof(*ops));
    struct part *part;

    for (size_t i = 0; i < history->count; i++)
        ops[i] = &history->ops[i];
    part =
        part_new(ops, history->count, HISTORY_PENDING - 1, history->no_absence);
    free(ops);
    return part;
}

/* Whether an order really explains a part, step by step. */
static bool explains(const struct part *part, const struct search_result *found,
                     bool no_absence)
{
    struct oracle_value value = {.present = false};
    uint32_t ended = 0;
    uint64_t latest = 0;

    for (uint32_t i = 0; i < found->ordered; i++) {
        const struct part_op *op = &part->ops[found->order[i]];

        if (op->returned < latest ||
            !oracle_step(op->source, &value, no_absence))
            return false;
        if (op->invoked > latest)
            latest = op->invoked;
        ended += op->returned != HISTORY_PENDING;
    }
    return ended == part->completed;
}

static bool is_failing(const struct lincheck_report *report, size_t index)
{
    for (size_t i = 0; i < report->failing_count; i++) {
        if (report->failing[i] == index)
            return true;
    }
    return false;
}

/* Whether the oracle accepts the smallest failing part without one operation,
 * as far as it is known at the culprit's end. Of a part that is said in words
 * only the reads are named, so all writes go with them. */
static bool accepts_without(const struct history *history,
                            const struct lincheck_report *report, size_t left)
{
    uint64_t until = report->reason ? history->ops[report->culprit].returned
                                    : HISTORY_PENDING - 1;
    struct history part = {.no_absence = history->no_absence};
    bool good;

    for (size_t i = 0; i < history->count; i++) {
        struct history_op *op = &history->ops[i];
        bool goes = is_failing(report, i) ||
                    (!report->reason && op->kind != HISTORY_GET);
        size_t at;

        if (!goes || i == left || op->invoked > until)
            continue;
        at = history_invoke(&part, op->process, op->kind, op->key,
                            op->kind == HISTORY_GET ? NULL : op->value,
                            op->invoked);
        if (op->kind == HISTORY_CAS)
            history_expect(&part, at, op->expected);
        if (op->returned <= until && op->result != HISTORY_DONE)
            history_end(&part, at, op->result, op->returned);
        else if (op->returned <= until)
            history_return(&part, at, op->value, op->returned);
    }
    good = oracle_accepts(&part);
    history_release(&part);
    return good;
}

/* The smallest failing part fails, and does not without any of its reads. */
static void check_report(const struct history *history, const char *what,
                         uint64_t seed, bool good)
{
    struct lincheck_report report = lincheck_check(history, NULL);

    ck_assert_int_eq(report.verdict,
                     good ? LINCHECK_LINEARIZABLE : LINCHECK_VIOLATION);
    ck_assert(good == !report.sentence);
    if (!good) {
        ck_assert(is_failing(&report, report.culprit));
        ck_assert_msg(!accepts_without(history, &report, SIZE_MAX),
                      "%s, seed %" PRIu64 ": the failing part does not fail",
                      what, seed);
    }
    for (size_t i = 0; i < report.failing_count; i++) {
        size_t index = report.failing[i];

        if (report.reason && history->ops[index].kind == HISTORY_GET)
            ck_assert_msg(accepts_without(history, &report, index),
                          "%s, seed %" PRIu64 ": operation %zu is not needed",
                          what, seed, index);
    }
    lincheck_release(&report);
}

/* The search alone, the cheap checks alone and the oracle must agree. */
static void compare(const struct history *history, const char *what,
                    uint64_t seed, struct tally *tally)
{
    bool good = oracle_accepts(history);
    struct part *part = part_of(history);
    struct search_result result = search_part(part, NULL);
    struct finding finding;
    bool found = cheap_check(part, &finding);
    bool clean = cheap_is_clean(part);

    ck_assert_msg(result.verdict ==
                      (good ? LINCHECK_LINEARIZABLE : LINCHECK_VIOLATION),
                  "%s, seed %" PRIu64 ": the oracle says %d", what, seed, good);
    ck_assert_msg(!good || explains(part, &result, history->no_absence),
                  "%s, seed %" PRIu64 ": a wrong order", what, seed);
    ck_assert_msg(!found || !good, "%s, seed %" PRIu64 ": wrongly said: %s",
                  what, seed, finding.sentence);
    ck_assert_msg(!clean || found == !good,
                  "%s, seed %" PRIu64 ": the cheap checks missed it", what,
                  seed);
    tally->good += good;
    tally->bad += !good;
    tally->cheap += found;
    tally->clean += clean;
    check_report(history, what, seed, good);
    search_release(&result);
    part_free(part);
}

static struct tally compare_many(const char *what, const struct recipe *recipe,
                                 bool no_absence)
{
    struct tally tally = {0, 0, 0, 0};

    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct history history;

        make_history(&history, recipe, seed);
        history.no_absence = no_absence;
        compare(&history, what, seed, &tally);
        history_release(&history);
    }
    printf("%s: seeds 1-%d, %" PRIu32 " good, %" PRIu32 " bad (%" PRIu32
           " said in words), %" PRIu32 " clean\n",
           what, ROUNDS, tally.good, tally.bad, tally.cheap, tally.clean);
    ck_assert_uint_gt(tally.good, ROUNDS / 20);
    ck_assert_uint_gt(tally.bad, ROUNDS / 20);
    return tally;
}

TEST(kv_with_unique_tokens_agrees_with_the_oracle)
{
    struct recipe recipe = {.clients = 4,
                            .ops = 7,
                            .keys = 1,
                            .puts = 25,
                            .appends = 35,
                            .changed = 30,
                            .lost = 10};
    struct tally tally = compare_many("kv, unique", &recipe, false);

    ck_assert_uint_gt(tally.cheap, 0);
    ck_assert_uint_gt(tally.clean, ROUNDS / 4);
    recipe.ties = true;
    recipe.lost = 0;
    compare_many("kv, unique, ties", &recipe, false);
}

TEST(kv_with_appends_only_agrees_with_the_oracle)
{
    const struct recipe recipe = {.clients = 4,
                                  .ops = 7,
                                  .keys = 1,
                                  .appends = 50,
                                  .changed = 20,
                                  .lost = 15};

    compare_many("kv, appends", &recipe, false);
}

TEST(kv_with_equal_tokens_agrees_with_the_oracle)
{
    struct recipe recipe = {.clients = 4,
                            .ops = 7,
                            .keys = 1,
                            .puts = 30,
                            .appends = 30,
                            .values = 2,
                            .changed = 30,
                            .lost = 15};

    compare_many("kv, equal", &recipe, false);
    recipe.ties = true;
    recipe.values = 12; /* some of two digits, which others begin with */
    compare_many("kv, nested", &recipe, true);
}

TEST(a_register_agrees_with_the_oracle)
{
    struct recipe recipe = {.clients = 4,
                            .ops = 7,
                            .keys = 1,
                            .puts = 50,
                            .values = 3,
                            .changed = 30,
                            .lost = 15};

    compare_many("register", &recipe, false);
    recipe.values = 0;
    compare_many("register, unique", &recipe, false);
}

TEST(a_cas_register_agrees_with_the_oracle)
{
    struct recipe recipe = {.clients = 4,
                            .ops = 7,
                            .keys = 1,
                            .puts = 25,
                            .cas = 45,
                            .values = 3,
                            .changed = 30,
                            .lost = 15};

    compare_many("cas", &recipe, false);
    recipe.appends = 20;
    recipe.ties = true;
    compare_many("cas with appends", &recipe, false);
}

/* ---- Size --------------------------------------------------------------- */

enum {
    STATES_MAX = 20000, /* for 2,000 operations; a good search needs 1,100 */
    LARGE_SEEDS = 5,
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Lets a read in the middle answer what some read of that key had seen before
 * it began. Returns its index. */
static size_t change_read(struct history *history)
{
    for (size_t at = history->count / 2; at < history->count; at++) {
        struct history_op *op = &history->ops[at];

        if (op->kind != HISTORY_GET || op->returned == HISTORY_PENDING)
            continue;
        for (size_t from = at; from-- > 0;) {
            struct history_op *other = &history->ops[from];

            if (other->kind == HISTORY_GET && other->returned < op->invoked &&
                bytes_equal(other->key, op->key) &&
                !same_value(other->value, op->value)) {
                bytes_release(op->value);
                op->value = bytes_share(other->value);
                return at;
            }
        }
    }
    ck_abort_msg("no read to change");
    return 0;
}

/* Searches each key without the cheap checks. Returns how many keys fail. */
static uint32_t search_keys(const struct history *history, uint64_t *states)
{
    const struct history_op **ops =
        memory_new((history->count + 1) * sizeof(*ops));
    uint32_t failed = 0;

    for (uint8_t key = 0; key < 10; key++) {
        struct search_result result;
        struct part *part;
        size_t count = 0;

        for (size_t i = 0; i < history->count; i++) {
            if (history->ops[i].key->data[1] == '0' + key)
                ops[count++] = &history->ops[i];
        }
        part = part_new(ops, count, HISTORY_PENDING - 1, false);
        result = search_part(part, NULL);
        failed += result.verdict == LINCHECK_VIOLATION;
        *states += result.states;
        search_release(&result);
        part_free(part);
    }
    free(ops);
    return failed;
}

/* Decides histories with one changed read or none; the checker as it is and the
 * search alone must agree. Returns how many fail. */
static uint32_t decide_large(const char *what, const struct recipe *recipe,
                             bool change)
{
    double slowest = 0;
    uint64_t most = 0;
    uint32_t bad = 0;

    for (uint64_t seed = 1; seed <= LARGE_SEEDS; seed++) {
        struct history history;
        struct lincheck_report report;
        uint64_t states = 0;
        double start;

        make_history(&history, recipe, seed);
        if (change)
            change_read(&history);
        start = now_s();
        report = lincheck_check(&history, NULL);
        if (now_s() - start > slowest)
            slowest = now_s() - start;
        ck_assert_msg(change || report.verdict == LINCHECK_LINEARIZABLE,
                      "%s, seed %" PRIu64 ": %s", what, seed,
                      report.sentence ? report.sentence : "unknown");
        ck_assert_uint_eq(search_keys(&history, &states),
                          report.verdict == LINCHECK_VIOLATION);
        bad += report.verdict == LINCHECK_VIOLATION;
        most = states > most ? states : most;
        lincheck_release(&report);
        history_release(&history);
    }
    printf("%s%s: seeds 1-%d, %" PRIu32 " bad, at most %.3f s; the search "
           "alone: at most %" PRIu64 " states\n",
           what, change ? ", changed" : "", LARGE_SEEDS, bad, slowest, most);
    ck_assert_uint_le(most, STATES_MAX);
    return bad;
}

static void decide_both(const char *what, const struct recipe *recipe)
{
    decide_large(what, recipe, false);
    ck_assert_uint_gt(decide_large(what, recipe, true), 0);
}

TEST(fifty_clients_and_two_thousand_operations_are_decided)
{
    struct recipe recipe = {
        .clients = 50, .ops = 2000, .keys = 10, .puts = 30, .appends = 20};

    decide_both("ten keys", &recipe);
    recipe.keys = 1;
    decide_both("one key", &recipe);
    recipe.lost = 5;
    decide_both("one key, lost answers", &recipe);
    recipe.puts = 0;
    recipe.appends = 50;
    decide_both("one key, appends only", &recipe);
    recipe.keys = 10;
    recipe.puts = 20;
    recipe.values = 100;
    decide_both("ten keys, equal tokens", &recipe);
}

/* ---- Limits ------------------------------------------------------------- */

static bool is_over(void *context)
{
    (void)context;
    return true;
}

/* A limit is no verdict. */
TEST(a_limit_that_is_reached_says_unknown)
{
    const struct recipe recipe = {
        .clients = 50, .ops = 4000, .keys = 1, .puts = 50, .appends = 10};
    const struct lincheck_limits little = {.memory = 1024};
    const struct lincheck_limits short_time = {.expired = is_over};
    struct lincheck_report report;
    struct history history;

    make_history(&history, &recipe, 1);
    report = lincheck_check(&history, &little);
    ck_assert_int_eq(report.verdict, LINCHECK_UNKNOWN);
    lincheck_release(&report);
    report = lincheck_check(&history, &short_time);
    ck_assert_int_eq(report.verdict, LINCHECK_UNKNOWN);
    lincheck_release(&report);
    report = lincheck_check(&history, NULL);
    ck_assert_int_eq(report.verdict, LINCHECK_LINEARIZABLE);
    lincheck_release(&report);
    history_release(&history);
}

/* ---- Reading ------------------------------------------------------------ */

static bool read_text(const char *text, size_t length, struct history *history,
                      char *error)
{
    FILE *file = tmpfile();
    enum history_form form;
    bool good;

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    rewind(file);
    history_init(history);
    good = history_read(file, history, &form, error);
    fclose(file);
    return good;
}

/* Checks that a text is refused with these words. */
static void refuses(const char *text, const char *words)
{
    char error[HISTORY_ERROR_TEXT] = "";
    struct history history;

    ck_assert_msg(!read_text(text, strlen(text), &history, error),
                  "accepted: %s", text);
    ck_assert_msg(strstr(error, words), "%s: %s", text, error);
    history_release(&history);
}

#define JSON(process, type, f, value)                                          \
    "{\"process\":" process ",\"type\":\"" type "\",\"f\":\"" f                \
    "\",\"key\":\"k\",\"value\":" value "}\n"

TEST(malformed_json_is_refused_with_its_line)
{
    refuses("{\"process\":1", "line 1: it is no JSON");
    refuses("\n{\"process\":1} x\n", "line 2: it is no JSON");
    refuses(JSON("1", "invoke", "put", "\"a\"") "[]", "line 2: it is no JSON");
    refuses(JSON("-1", "invoke", "put", "\"a\""), "process");
    refuses(JSON("4294967296", "invoke", "put", "\"a\""), "process");
    refuses(JSON("\"1\"", "invoke", "put", "\"a\""), "process");
    refuses(JSON("1", "invoked", "put", "\"a\""), "type is not");
    refuses(JSON("1", "invoke", "puts", "\"a\""), "f is not");
    refuses(JSON("1", "invoke", "put", "null"), "no value");
    refuses(JSON("1", "invoke", "put", "1.5"), "neither null nor");
    refuses(JSON("1", "invoke", "put", "\"\\u0100\""), "no octet");
    refuses(JSON("1", "invoke", "put", "[1,2]"), "two values");
    refuses(JSON("1", "invoke", "cas", "[1,2,3]"), "has not two");
    refuses(JSON("1", "invoke", "cas", "1"), "two values");
    refuses(JSON("1", "invoke", "get", "\"a\""), "read is invoked with");
    refuses("{\"process\":1,\"process\":2}", "it is no JSON");
    refuses("7\n", "there is no operation");
}

TEST(ends_that_match_no_invocation_are_refused)
{
    refuses(JSON("1", "ok", "get", "null"), "no operation that could end");
    refuses(JSON("1", "invoke", "get", "null")
                JSON("1", "invoke", "get", "null"),
            "line 2: the process has an operation");
    refuses(JSON("1", "invoke", "get", "null") JSON("2", "ok", "get", "null"),
            "line 2: the process has no operation");
    refuses(JSON("1", "invoke", "get", "null") JSON("1", "ok", "put", "\"a\""),
            "another operation");
    refuses(JSON("1", "invoke", "put", "\"a\"") JSON("1", "ok", "put", "\"b\""),
            "another value");
    refuses(JSON("1", "invoke", "put", "\"a\"")
                JSON("1", "info", "put", "\"a\"")
                    JSON("1", "ok", "put", "\"a\""),
            "line 3: the process has no operation");
}

TEST(malformed_edn_is_refused)
{
    refuses("{:process 1", "malformed");
    refuses("{:process 1 :type :invoke}", "lacks");
    refuses("{:process x :type :invoke :f :get}", "no number");
    refuses("{:process 99999999999 :type :invoke :f :get}", "no number");
    refuses("{:process 4294967296 :type :invoke :f :get}", "too big");
    refuses("{:process 1 :type invoke :f :get}", "type is not");
    refuses("{:process 1 :type :invoke :f :gets}", "f is not");
    refuses("{:process 1 :type :invoke :f :put :value \"a}", "malformed");
    refuses("{:process 1 :type :invoke :f :put :value \"\\q\"}", "malformed");
    refuses("{:process 1 :type :invoke :f :put :value \"\\u12\"}", "malformed");
    refuses("{:process 1 :type :invoke :f :put :value [1 2 3]}", "not two");
    refuses("{:process 1 :type :invoke :f :put :f :get}", "twice");
    refuses("{:process 1 :type :invoke :f :get :x {:a [}}}", "malformed");
    refuses("{:process 1 :type :invoke :f :get} {}", "behind the map");
    refuses("{:process :nemesis :type :info :f :start}", "no operation in it");
}

TEST(malformed_logs_are_refused)
{
    refuses("some text\n", "there is no operation");
    refuses("INFO  jepsen.util 1 :invoke :read nil\n", "no -");
    refuses("INFO  jepsen.util - x :invoke :read nil\n", "no number");
    refuses("INFO  jepsen.util - 1 :begin :read nil\n", "type is not");
    refuses("INFO  jepsen.util - 1 :invoke :look nil\n", "f is not");
    refuses("INFO  jepsen.util - 1 :invoke :write\n", "missing");
    refuses("INFO  jepsen.util - 1 :invoke :cas [1\n", "missing");
    refuses("INFO  jepsen.util - 1 :invoke :write 1 2\n", "behind the value");
}

/* No input makes a reader stumble: prefixes, and octets changed at random. */
TEST(damaged_inputs_are_read_or_refused)
{
    static const char *const texts[] = {
        JSON("1", "invoke", "put", "\"\\u00e9a\"")
            JSON("1", "ok", "put", "null"),
        "{:process 1 :type :invoke :f :cas :value [nil \"\\u00e9\"] :x (1)}\n",
        "INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]\n",
    };
    uint64_t random = 7;
    uint32_t good = 0;
    uint32_t bad = 0;

    for (uint32_t round = 0; round < 6000; round++) {
        const char *text = texts[round % 3];
        size_t length = strlen(text);
        struct history history;
        char copy[512];
        char error[HISTORY_ERROR_TEXT];

        snprintf(copy, sizeof(copy), "%s", text);
        for (uint32_t i = random_between(&random, 0, 3); i > 0; i--)
            copy[random_between(&random, 0, (uint32_t)length - 1)] =
                (char)random_between(&random, 0, 255);
        if (round % 2)
            length = random_between(&random, 0, (uint32_t)length);
        if (read_text(copy, length, &history, error))
            good++;
        else
            bad++;
        history_release(&history);
    }
    ck_assert_uint_gt(good, 0);
    ck_assert_uint_gt(bad, 0);
}

/* Any octets survive `pbkv history` and the reader. */
TEST(json_texts_are_octets)
{
    const char *text = JSON("1", "invoke", "put", "\"\\u00e9\\u0000\\\"\\\\~\"")
        JSON("1", "ok", "put", "null");
    struct history history;
    char error[HISTORY_ERROR_TEXT];

    ck_assert(read_text(text, strlen(text), &history, error));
    ck_assert_uint_eq(history.count, 1);
    ck_assert_uint_eq(history.ops[0].value->length, 5);
    ck_assert_mem_eq(history.ops[0].value->data, "\xe9\0\"\\~", 5);
    ck_assert_uint_eq(history.ops[0].invoked, 1);
    ck_assert_uint_eq(history.ops[0].returned, 2);
    history_release(&history);
}

/* An outcome that is unknown is pending, a failure did not happen, and a cas
 * that repeats its values was refused. */
TEST(ends_mean_what_they_say)
{
    const char *text = "INFO jepsen.util - 0 :invoke :write 1\n"
                       "INFO jepsen.util - 0 :info :write :timed-out\n"
                       "INFO jepsen.util - 0 :invoke :cas [1 2]\n"
                       "INFO jepsen.util - 0 :fail :cas [1 2]\n"
                       "INFO jepsen.util - 0 :invoke :cas [nil 2]\n"
                       "INFO jepsen.util - 0 :fail :cas no connection (to n1)\n"
                       "INFO jepsen.util - 1 :invoke :read nil\n";
    struct history history;
    char error[HISTORY_ERROR_TEXT];

    ck_assert_msg(read_text(text, strlen(text), &history, error), "%s", error);
    ck_assert_uint_eq(history.count, 4);
    ck_assert(history.ops[0].returned == HISTORY_PENDING);
    ck_assert_int_eq(history.ops[1].result, HISTORY_REFUSED);
    ck_assert_int_eq(history.ops[2].result, HISTORY_FAILED);
    ck_assert_ptr_null(history.ops[2].expected);
    ck_assert(history.ops[3].returned == HISTORY_PENDING);
    ck_assert_uint_eq(lincheck_misfit(&history, LINCHECK_CAS), 4);
    ck_assert_uint_eq(lincheck_misfit(&history, LINCHECK_KV), 1);
    history_release(&history);
}

/* ---- What is said ------------------------------------------------------- */

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value ? value : otherwise;
}

static void read_sample(const char *name, struct history *history)
{
    char path[1024];
    char error[HISTORY_ERROR_TEXT];
    enum history_form form;
    FILE *file;

    snprintf(path, sizeof(path), "%s/tests/histories/%s",
             environment("PBKV_TREE", "."), name);
    file = fopen(path, "r");
    ck_assert_msg(file, "cannot read %s", path);
    history_init(history);
    ck_assert_msg(history_read(file, history, &form, error), "%s: %s", name,
                  error);
    fclose(file);
}

static char *text_of(const struct history *history,
                     const struct lincheck_report *report,
                     void (*write)(FILE *, const struct history *,
                                   const struct lincheck_report *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(file);
    write(file, history, report);
    fclose(file);
    return text;
}

/* Checks what is said of a sample; words NULL: it is linearizable. */
static void says(const char *sample, const char *words, size_t failing,
                 const char *culprit)
{
    struct lincheck_report report;
    struct history history;
    char *text;

    read_sample(sample, &history);
    report = lincheck_check(&history, NULL);
    text = text_of(&history, &report, lincheck_print);
    ck_assert_msg((words == NULL) == (report.verdict == LINCHECK_LINEARIZABLE),
                  "%s: %s", sample, text);
    if (words) {
        ck_assert_msg(strstr(text, words), "%s: %s", sample, text);
        ck_assert_msg(strstr(text, culprit), "%s: %s", sample, text);
        ck_assert_uint_eq(report.failing_count, failing);
    }
    free(text);
    lincheck_release(&report);
    history_release(&history);
}

TEST(violations_are_said_in_plain_words)
{
    says("kv-linearizable.jsonl", NULL, 0, NULL);
    says("kv-linearizable.edn", NULL, 0, NULL);
    says("cas-linearizable.log", NULL, 0, NULL);
    says("kv-lost-append.jsonl", "an acknowledged append was lost", 2,
         "what fits nowhere: process 2 get \"k\" -> \"a;\"");
    says("kv-append-twice.jsonl", "an append was applied twice", 2,
         "what fits nowhere: process 1 get \"k\" -> \"a;b;a;\"");
    says("kv-never-written.edn", "a value was seen that was never written", 1,
         "what fits nowhere: process 1 get");
    says("kv-stale-read.edn", "stale read", 3,
         "what fits nowhere: process 2 get \"0\" -> \"x 0 1 y\"");
    says("cas-not.log", "At its time the value was then \"1\" or \"2\"", 3,
         "what fits nowhere: process 2 cas \"1\" to \"2\" -> ok");
    says("register-not.log", "no order explains every answer up to", 5,
         "what fits nowhere: process 2 get -> \"2\"");
}

TEST(the_picture_needs_no_other_file)
{
    struct lincheck_report report;
    struct history history;
    char *text;
    size_t bars = 0;

    read_sample("kv-lost-append.jsonl", &history);
    report = lincheck_check(&history, NULL);
    text = text_of(&history, &report, lincheck_draw);
    for (const char *at = text; (at = strstr(at, "<rect")); at++)
        bars++;
    ck_assert_uint_eq(bars, history.count);
    ck_assert_ptr_nonnull(strstr(text, "class=\"bar culprit\""));
    ck_assert_ptr_nonnull(strstr(text, "class=\"bar part\""));
    ck_assert_ptr_nonnull(strstr(text, "get &quot;k&quot; -&gt; &quot;a;"));
    ck_assert_ptr_null(strstr(text, "http"));
    ck_assert_ptr_null(strstr(text, "src="));
    free(text);
    lincheck_release(&report);
    history_release(&history);
}

/* ---- The program -------------------------------------------------------- */

/* Runs lincheck with these arguments in the folder of samples. Returns its exit
 * status. */
static int run_program(const char *arguments)
{
    char command[2048];
    int status;

    snprintf(command, sizeof(command),
             "cd '%s/tests/histories' && '%s/lincheck' %s >/dev/null 2>&1",
             environment("PBKV_TREE", "."),
             environment("PBKV_BUILD", "build/debug"), arguments);
    status = system(command);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(the_exit_status_is_the_verdict)
{
    ck_assert_int_eq(run_program("kv-linearizable.jsonl"), 0);
    ck_assert_int_eq(run_program("- <kv-linearizable.edn"), 0);
    ck_assert_int_eq(run_program("--model cas cas-linearizable.log"), 0);
    ck_assert_int_eq(run_program("--html /dev/null kv-stale-read.edn"), 1);
    ck_assert_int_eq(run_program("--model=register register-not.log"), 1);
    ck_assert_int_eq(run_program("--memory 1 kv-linearizable.jsonl"), 3);
    ck_assert_int_eq(run_program("--memory 1K cas-unknown.log"), 2);
    ck_assert_int_eq(run_program("--model register cas-not.log"), 3);
    ck_assert_int_eq(run_program("--model queue cas-not.log"), 3);
    ck_assert_int_eq(run_program("no-such-file"), 3);
    ck_assert_int_eq(run_program("--html /no/such/file cas-not.log"), 3);
    ck_assert_int_eq(run_program(""), 3);
    ck_assert_int_eq(run_program("--help"), 0);
}

SUITE("lincheck", CASE_LIMIT(kv_with_unique_tokens_agrees_with_the_oracle, 60),
      CASE_LIMIT(kv_with_appends_only_agrees_with_the_oracle, 60),
      CASE_LIMIT(kv_with_equal_tokens_agrees_with_the_oracle, 60),
      CASE_LIMIT(a_register_agrees_with_the_oracle, 60),
      CASE_LIMIT(a_cas_register_agrees_with_the_oracle, 60),
      CASE_LIMIT(fifty_clients_and_two_thousand_operations_are_decided, 120),
      CASE_LIMIT(a_limit_that_is_reached_says_unknown, 60),
      CASE(malformed_json_is_refused_with_its_line),
      CASE(ends_that_match_no_invocation_are_refused),
      CASE(malformed_edn_is_refused), CASE(malformed_logs_are_refused),
      CASE(damaged_inputs_are_read_or_refused), CASE(json_texts_are_octets),
      CASE(ends_mean_what_they_say), CASE(violations_are_said_in_plain_words),
      CASE(the_picture_needs_no_other_file),
      CASE(the_exit_status_is_the_verdict))
