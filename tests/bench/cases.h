/* SPDX-License-Identifier: MIT */
/*
 * cases: what the benchmark measures, as a table. A case has series, each of
 * which is measured once in every turn, one after the other (A B A B), and
 * comparisons of one series with another one or with a number. The targets are
 * the project's own; a comparison without a target is there to be read.
 */
#ifndef TESTS_BENCH_CASES_H
#define TESTS_BENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/contender.h"
#include "tests/bench/load.h"
#include "tests/bench/statistics.h"

enum { SERIES_MAX = 16, COMPARISONS_MAX = 6, NO_REFERENCE = -1 };

enum metric { THROUGHPUT, P50, LONGEST, CPU, FIGURE, METRICS };

struct special;
struct series;

/* Measures one turn of a series in a way of its own. Returns false, after a
 * message, when there is no outcome. */
typedef bool (*special_function)(struct special *special,
                                 const struct series *series,
                                 struct outcome *outcome);

struct series {
    const char *name; /* NULL: the table's end */
    enum contender_kind kind;
    uint32_t keys;
    uint32_t connections;
    uint32_t outstanding;
    bool reads;
    bool full_only;           /* left out unless a full run is asked for */
    uint32_t ping_ms;         /* of a failover */
    unsigned server;          /* whose memory: 0 primary, 1 backup */
    uint32_t seconds;         /* 0: as the run says */
    special_function special; /* NULL: a load is measured */
};

struct comparison {
    const char *what; /* NULL: the table's end */
    int series;
    int reference; /* NO_REFERENCE: the value itself is compared */
    enum metric metric;
    enum bound bound;
    double target;
};

/* What the horizontal axis of a case's charts shows. */
enum axis { AXIS_TURNS, AXIS_CONNECTIONS, AXIS_KEYS };

struct bench_case {
    const char *name; /* for the command line */
    const char *title;
    const char *unit; /* of FIGURE; NULL: there is none */
    enum axis axis;
    unsigned turns_max; /* 0: as the run says */
    struct series series[SERIES_MAX + 1];
    struct comparison comparisons[COMPARISONS_MAX + 1];
};

/* Returns the table and stores its length. */
const struct bench_case *cases_all(size_t *count);

/* Returns what an outcome says about a metric. */
double outcome_metric(const struct outcome *outcome, enum metric metric);

#endif
