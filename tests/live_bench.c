/* SPDX-License-Identifier: MIT */
/*
 * `pbkv bench` with a real store: it does what it says, no more and no less,
 * and what it counts is what the servers count. And the contenders of the
 * benchmark that are our own start and can be measured. How fast anything is,
 * no test asserts.
 */
#include <jansson.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "tests/bench/contender.h"
#include "tests/bench/load.h"
#include "tests/cluster.h"
#include "tests/suite.h"

enum { COMMAND_SIZE = 4096, LIMIT_S = 40 };

struct store {
    struct cluster *cluster;
    struct process *servers[2];
};

static struct store store_new(void)
{
    static const struct cluster_options usual = {0};
    struct store store = {.cluster = cluster_new(&usual)};

    ck_assert(cluster_form(store.cluster, store.servers, 2));
    return store;
}

static const char *build_folder(void)
{
    const char *build = getenv("PBKV_BUILD");

    return build ? build : "build/debug";
}

/* Runs `pbkv bench` with flags and stores its exit status. Returns what it
 * writes as JSON, which the caller releases; NULL when it is none. */
static json_t *__attribute__((format(printf, 3, 4)))
bench(const struct store *store, int *status, const char *format, ...)
{
    char flags[COMMAND_SIZE / 4], command[COMMAND_SIZE];
    va_list arguments;
    json_t *result;
    FILE *pipe;

    va_start(arguments, format);
    vsnprintf(flags, sizeof(flags), format, arguments);
    va_end(arguments);
    snprintf(command, sizeof(command),
             "exec '%s/pbkv' bench --json --quiet --view '%s' %s",
             build_folder(), cluster_view_address(store->cluster), flags);
    pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    result = json_loadf(pipe, 0, NULL);
    *status = pclose(pipe);
    ck_assert(WIFEXITED(*status));
    *status = WEXITSTATUS(*status);
    return result;
}

static double number(const json_t *result, const char *name)
{
    return json_number_value(json_object_get(result, name));
}

/* What the primary has. */
struct state {
    uint64_t applied; /* operations */
    uint64_t keys;
};

static struct state state_of(const struct store *store)
{
    struct pbkv_inspection *inspection =
        cluster_inspect(store->cluster, store->servers[0]);
    struct state state;

    ck_assert_ptr_nonnull(inspection);
    state = (struct state){inspection->applied, inspection->keys};
    pbkv_inspection_free(inspection);
    return state;
}

/* Opening a session is an operation of the primary's order as well, so the
 * servers count a few more: one for each update that can be under way. */
TEST(so_many_writes_are_counted_and_done)
{
    struct store store = store_new();
    uint64_t before = state_of(&store).applied, done;
    int status;
    json_t *result = bench(&store, &status,
                           "--clients 3 --outstanding 2 --count 1000 "
                           "--keys 50 --value-size 10");

    ck_assert_int_eq(status, 0);
    ck_assert_double_eq(number(result, "operations"), 1000);
    ck_assert_double_eq(number(result, "failed"), 0);
    ck_assert_double_eq(number(result, "clients"), 3);
    ck_assert_double_eq(number(result, "outstanding"), 2);
    done = state_of(&store).applied - before;
    ck_assert_uint_ge(done, 1000);
    ck_assert_uint_le(done, 1000 + 3 * 2);
    ck_assert_uint_le(state_of(&store).keys, 50);
    json_decref(result);
    cluster_free(store.cluster);
}

TEST(filling_writes_every_key_once_and_reads_find_them)
{
    struct store store = store_new();
    int status;
    json_t *result = bench(&store, &status,
                           "--clients 4 --outstanding 3 --count 500 "
                           "--keys 777 --read-share 100 --fill");

    ck_assert_int_eq(status, 0);
    ck_assert_double_eq(number(result, "operations"), 500);
    ck_assert_double_eq(number(result, "missing"), 0);
    ck_assert_uint_eq(state_of(&store).keys, 777);
    json_decref(result);
    cluster_free(store.cluster);
}

TEST(reads_of_keys_never_written_are_answers_too)
{
    struct store store = store_new();
    uint64_t before = state_of(&store).applied;
    int status;
    json_t *result =
        bench(&store, &status, "--clients 2 --count 100 --read-share 100");

    ck_assert_int_eq(status, 0);
    ck_assert_double_eq(number(result, "operations"), 100);
    ck_assert_double_eq(number(result, "missing"), 100);
    ck_assert_uint_eq(state_of(&store).applied, before);
    json_decref(result);
    cluster_free(store.cluster);
}

TEST(latencies_are_in_order_and_fit_the_time)
{
    struct store store = store_new();
    int status;
    json_t *result =
        bench(&store, &status, "--clients 1 --seconds 1 --read-share 50");
    const json_t *latency = json_object_get(result, "latency_us");

    ck_assert_int_eq(status, 0);
    ck_assert_double_ge(number(result, "seconds"), 1);
    ck_assert_double_gt(number(latency, "min"), 0);
    ck_assert_double_le(number(latency, "min"), number(latency, "p50"));
    ck_assert_double_le(number(latency, "p50"), number(latency, "p90"));
    ck_assert_double_le(number(latency, "p90"), number(latency, "p99"));
    ck_assert_double_le(number(latency, "p99"), number(latency, "p99.9"));
    ck_assert_double_le(number(latency, "p99.9"), number(latency, "max"));
    /* One after the other, they cannot take longer than all of the time. */
    ck_assert_double_le(number(latency, "mean") * number(result, "operations"),
                        number(result, "seconds") * 1e6);
    json_decref(result);
    cluster_free(store.cluster);
}

TEST(a_store_that_does_not_answer_is_said_to_be_unavailable)
{
    static const struct cluster_options usual = {0};
    struct store store = {.cluster = cluster_new(&usual)};
    int status;
    json_t *result;

    ck_assert_ptr_nonnull(cluster_add_view_service(store.cluster));
    result =
        bench(&store, &status, "--clients 2 --count 10 --deadline 200 2>&1");
    ck_assert_int_eq(status, 3);
    json_decref(result);
    cluster_free(store.cluster);
}

TEST(seconds_and_count_exclude_each_other)
{
    struct store store = store_new();
    int status;
    json_t *result = bench(&store, &status, "--seconds 1 --count 10 2>&1");

    ck_assert_int_eq(status, 2);
    json_decref(result);
    cluster_free(store.cluster);
}

/* Starts a contender with 100 keys and lets its loader do 300 operations. */
static void measure(enum contender_kind kind)
{
    struct contenders *contenders = contenders_new(build_folder());
    const struct contender *contender = contenders_get(contenders, kind, 100);
    struct load load = {.connections = 3,
                        .outstanding = 4,
                        .value_size = VALUE_SIZE,
                        .count = 300};
    struct outcome outcome;

    ck_assert_ptr_nonnull(contender);
    ck_assert(
        load_run(contenders_build(contenders), contender, &load, &outcome));
    ck_assert_double_gt(outcome.throughput, 0);
    ck_assert_double_gt(outcome.p50_us, 0);
    ck_assert_double_le(outcome.p50_us, outcome.max_us);
    ck_assert_ptr_nonnull(outcome.quantiles);
    outcome_release(&outcome);
    contenders_free(contenders);
}

/* contenders_get looks for Lamport time 0 in the log: the linker has put the
 * calls in the place of those that stamp. */
TEST(programs_without_stamps_serve_each_other)
{
    measure(UNSTAMPED);
}

TEST(echoes_answer_over_one_hop_and_two)
{
    measure(CEILING);
    measure(FLOOR);
}

SUITE("bench with a store",
      CASE_LIMIT(so_many_writes_are_counted_and_done, LIMIT_S),
      CASE_LIMIT(filling_writes_every_key_once_and_reads_find_them, LIMIT_S),
      CASE_LIMIT(reads_of_keys_never_written_are_answers_too, LIMIT_S),
      CASE_LIMIT(latencies_are_in_order_and_fit_the_time, LIMIT_S),
      CASE_LIMIT(a_store_that_does_not_answer_is_said_to_be_unavailable,
                 LIMIT_S),
      CASE_LIMIT(seconds_and_count_exclude_each_other, LIMIT_S),
      CASE_LIMIT(programs_without_stamps_serve_each_other, LIMIT_S),
      CASE_LIMIT(echoes_answer_over_one_hop_and_two, LIMIT_S))
