/* SPDX-License-Identifier: MIT */
/*
 * cases: the table. See cases.h. The case that measures memory comes before
 * those that use the same stores, so that they are just filled then.
 */
#include "tests/bench/cases.h"

#include "tests/bench/special.h"

enum { K = 1000, M = 1000000, USUAL = 100 * K /* keys */ };

/* Loads by contender, connections and operations under way on each. */
#define STORE_PUT(c, o)                                                        \
    {                                                                          \
        .name = "pbkv Put", .kind = STORE, .keys = USUAL, .connections = (c),  \
        .outstanding = (o)                                                     \
    }
#define STORE_GET(c, o)                                                        \
    {                                                                          \
        .name = "pbkv Get", .kind = STORE, .keys = USUAL, .connections = (c),  \
        .outstanding = (o), .reads = true                                      \
    }
#define REDIS_SET(c, o)                                                        \
    {                                                                          \
        .name = "Redis SET, WAIT 1", .kind = REDIS, .keys = USUAL,             \
        .connections = (c), .outstanding = (o)                                 \
    }
#define REDIS_GET(c, o)                                                        \
    {                                                                          \
        .name = "Redis GET", .kind = REDIS, .keys = USUAL, .connections = (c), \
        .outstanding = (o), .reads = true                                      \
    }
#define ECHO_ONE(c, o)                                                         \
    {                                                                          \
        .name = "echo server", .kind = CEILING, .connections = (c),            \
        .outstanding = (o)                                                     \
    }
#define ECHO_TWO(c, o)                                                         \
    {                                                                          \
        .name = "two-hop echo", .kind = FLOOR, .connections = (c),             \
        .outstanding = (o)                                                     \
    }
#define STAMPED(label, which, c, o)                                            \
    {                                                                          \
        .name = (label), .kind = (which), .keys = USUAL, .connections = (c),   \
        .outstanding = (o)                                                     \
    }
#define GROWN(label, k, c, o, only)                                            \
    {                                                                          \
        .name = (label), .kind = STORE, .keys = (k), .connections = (c),       \
        .outstanding = (o), .full_only = (only)                                \
    }
#define FAILOVER(label, k, ms)                                                 \
    {                                                                          \
        .name = (label), .kind = STORE, .keys = (k), .ping_ms = (ms),          \
        .special = measure_failover                                            \
    }
#define MEMORY(label, which, which_server)                                     \
    {                                                                          \
        .name = (label), .kind = (which), .keys = M, .server = (which_server), \
        .special = measure_memory                                              \
    }

static const struct bench_case cases[] = {
    {.name = "put-50x1",
     .title = "Put, 50 connections, 1 outstanding",
     .series = {STORE_PUT(50, 1), REDIS_SET(50, 1), ECHO_TWO(50, 1)},
     .comparisons = {{"Put / Redis SET+WAIT 1", 0, 1, THROUGHPUT, AT_LEAST,
                      1.3},
                     {"Put / two-hop echo", 0, 2, THROUGHPUT, NO_BOUND, 0},
                     {"CPU of Put / Redis SET+WAIT 1", 0, 1, CPU, NO_BOUND,
                      0}}},
    {.name = "put-50x16",
     .title = "Put, 50 connections, 16 outstanding",
     .series = {STORE_PUT(50, 16), REDIS_SET(50, 16), ECHO_TWO(50, 16)},
     .comparisons = {{"Put / Redis SET+WAIT 1", 0, 1, THROUGHPUT, AT_LEAST, 2},
                     {"Put / two-hop echo", 0, 2, THROUGHPUT, NO_BOUND, 0},
                     {"CPU of Put / Redis SET+WAIT 1", 0, 1, CPU, NO_BOUND,
                      0}}},
    {.name = "put-1x1",
     .title = "Put, one connection, 1 outstanding: latency",
     .series = {STORE_PUT(1, 1), ECHO_TWO(1, 1), REDIS_SET(1, 1)},
     .comparisons = {{"p50 of Put / two-hop echo", 0, 1, P50, AT_MOST, 1.15},
                     {"p50 of Redis SET+WAIT 1 / two-hop echo", 2, 1, P50,
                      NO_BOUND, 0}}},
    {.name = "get-50x1",
     .title = "Linearizable Get, 50 connections, 1 outstanding",
     .series = {STORE_GET(50, 1), REDIS_SET(50, 1), REDIS_GET(50, 1),
                ECHO_ONE(50, 1)},
     .comparisons = {{"Get / Redis SET+WAIT 1", 0, 1, THROUGHPUT, AT_LEAST,
                      1.2},
                     {"Get / plain Redis GET", 0, 2, THROUGHPUT, AT_LEAST, 0.7},
                     {"Get / echo server", 0, 3, THROUGHPUT, NO_BOUND, 0},
                     {"CPU of Get / Redis SET+WAIT 1", 0, 1, CPU, NO_BOUND, 0},
                     {"CPU of Get / plain Redis GET", 0, 2, CPU, NO_BOUND, 0}}},
    {.name = "get-50x16",
     .title = "Linearizable Get, 50 connections, 16 outstanding",
     .series = {STORE_GET(50, 16), REDIS_GET(50, 16), ECHO_ONE(50, 16)},
     .comparisons = {{"Get / plain Redis GET", 0, 1, THROUGHPUT, AT_LEAST, 0.5},
                     {"Get / echo server", 0, 2, THROUGHPUT, NO_BOUND, 0},
                     {"CPU of Get / plain Redis GET", 0, 1, CPU, NO_BOUND, 0}}},
    {.name = "curve",
     .title = "Throughput and latency as connections are added, 1 outstanding",
     .axis = AXIS_CONNECTIONS,
     .turns_max = 1,
     .series = {STORE_PUT(1, 1), REDIS_SET(1, 1), STORE_PUT(5, 1),
                REDIS_SET(5, 1), STORE_PUT(20, 1), REDIS_SET(20, 1),
                STORE_PUT(50, 1), REDIS_SET(50, 1), STORE_PUT(100, 1),
                REDIS_SET(100, 1), STORE_PUT(200, 1), REDIS_SET(200, 1)}},
    {.name = "stamping",
     .title = "Cost of stamping every message with both clocks",
     .series = {STAMPED("stamped", STORE, 50, 1),
                STAMPED("unstamped", UNSTAMPED, 50, 1),
                STAMPED("stamped x16", STORE, 50, 16),
                STAMPED("unstamped x16", UNSTAMPED, 50, 16)},
     .comparisons = {{"stamped / unstamped, 1 outstanding", 0, 1, THROUGHPUT,
                      AT_LEAST, 0.95},
                     {"stamped / unstamped, 16 outstanding", 2, 3, THROUGHPUT,
                      AT_LEAST, 0.95},
                     {"CPU, stamped / unstamped, 1 outstanding", 0, 1, CPU,
                      NO_BOUND, 0},
                     {"CPU, stamped / unstamped, 16 outstanding", 2, 3, CPU,
                      NO_BOUND, 0}}},
    {.name = "stamping-1000",
     .title = "Cost of stamping with 1,000 clients",
     .series = {STAMPED("stamped", STORE, 1000, 1),
                STAMPED("unstamped", UNSTAMPED, 1000, 1)},
     .comparisons = {{"stamped / unstamped", 0, 1, THROUGHPUT, AT_LEAST, 0.95},
                     {"CPU, stamped / unstamped", 0, 1, CPU, NO_BOUND, 0}}},
    {.name = "memory",
     .title = "Memory for 1,000,000 keys of 16 octets with 100-octet values",
     .unit = "MiB",
     .turns_max = 1,
     .series = {MEMORY("pbkv primary", STORE, 0),
                MEMORY("Redis primary", REDIS, 0),
                MEMORY("pbkv backup", STORE, 1),
                MEMORY("Redis replica", REDIS, 1)},
     .comparisons = {{"pbkv primary / Redis primary", 0, 1, FIGURE, AT_MOST, 1},
                     {"pbkv backup / Redis replica", 2, 3, FIGURE, AT_MOST,
                      1}}},
    {.name = "transfer",
     .title = "State transfer of 1 GiB, with four clients at work",
     .unit = "MB/s",
     .series = {{.name = "with a transfer",
                 .kind = STORE,
                 .keys = 1 << 20,
                 .connections = 4,
                 .outstanding = 1,
                 .seconds = 6,
                 .special = measure_transfer},
                {.name = "plain send and store",
                 .kind = MACHINE,
                 .keys = 1 << 20,
                 .connections = 1,
                 .outstanding = 1,
                 .special = measure_storing},
                {.name = "without",
                 .kind = STORE,
                 .keys = USUAL,
                 .connections = 4,
                 .outstanding = 1,
                 .seconds = 6}},
     .comparisons = {{"MB/s", 0, NO_REFERENCE, FIGURE, AT_LEAST, 400},
                     {"transfer / plain send and store", 0, 1, FIGURE, NO_BOUND,
                      0},
                     {"longest wait of a client, us", 0, NO_REFERENCE, LONGEST,
                      AT_MOST, 50000},
                     {"longest wait without a transfer, us", 2, NO_REFERENCE,
                      LONGEST, NO_BOUND, 0}}},
    {.name = "failover",
     .title = "Failover: from SIGKILL to the first answered operation",
     .unit = "ms",
     .series = {FAILOVER("pings of 100 ms, 5 dead", 1 * K, 100),
                FAILOVER("pings of 20 ms, 5 dead", 1 * K, 20),
                FAILOVER("20 ms, 1,000,000 keys", M, 20)},
     .comparisons = {{"100 ms x 5, in ms", 0, NO_REFERENCE, FIGURE, AT_MOST,
                      700},
                     {"20 ms x 5, in ms", 1, NO_REFERENCE, FIGURE, AT_MOST,
                      140},
                     {"20 ms x 5, 1,000,000 keys, in ms", 2, NO_REFERENCE,
                      FIGURE, AT_MOST, 140}}},
    {.name = "growth-keys",
     .title = "Put throughput as the store grows, 50 connections",
     .axis = AXIS_KEYS,
     .series = {GROWN("1,000 keys", 1 * K, 50, 1, false),
                GROWN("10,000 keys", 10 * K, 50, 1, false),
                GROWN("100,000 keys", USUAL, 50, 1, false),
                GROWN("1,000,000 keys", M, 50, 1, false),
                GROWN("10,000,000 keys", 10 * M, 50, 1, true)},
     .comparisons = {{"10,000 / 1,000 keys", 1, 0, THROUGHPUT, AT_LEAST, 0.7},
                     {"100,000 / 1,000 keys", 2, 0, THROUGHPUT, AT_LEAST, 0.7},
                     {"1,000,000 / 1,000 keys", 3, 0, THROUGHPUT, AT_LEAST,
                      0.7},
                     {"10,000,000 / 1,000 keys", 4, 0, THROUGHPUT, AT_LEAST,
                      0.7}}},
    {.name = "growth-connections",
     .title = "Put throughput as connections are added, 1 outstanding",
     .axis = AXIS_CONNECTIONS,
     .series = {GROWN("pbkv Put", USUAL, 10, 1, false),
                GROWN("pbkv Put", USUAL, 50, 1, false),
                GROWN("pbkv Put", USUAL, 500, 1, false),
                GROWN("pbkv Put", USUAL, 2000, 1, false)},
     .comparisons = {{"50 / 10 connections", 1, 0, THROUGHPUT, AT_LEAST, 0.7},
                     {"500 / 10 connections", 2, 0, THROUGHPUT, AT_LEAST, 0.7},
                     {"2,000 / 10 connections", 3, 0, THROUGHPUT, AT_LEAST,
                      0.7}}},
};

const struct bench_case *cases_all(size_t *count)
{
    *count = sizeof(cases) / sizeof(cases[0]);
    return cases;
}

double outcome_metric(const struct outcome *outcome, enum metric metric)
{
    switch (metric) {
    case THROUGHPUT: return outcome->throughput;
    case P50: return outcome->p50_us;
    case LONGEST: return outcome->max_us;
    case CPU: return outcome->server_us + outcome->loader_us;
    case FIGURE: return outcome->figure;
    case METRICS: break;
    }
    return 0;
}
