/* SPDX-License-Identifier: MIT */
/*
 * results: what one run of the benchmark found, as one JSON document, from
 * which the report is made:
 *
 *     {"when":…, "machine":{…}, "versions":{…}, "run":{…},
 *      "cases":[{"name","title","unit","axis",
 *        "series":[{"name","contender","connections","outstanding","keys",
 *          "turns":[{"throughput","p50_us",…,"figure"}],
 *          "throughput":{"median","min","max"}, "p50_us":{…}, …,
 *          "quantiles":[[share,us],…]}],
 *        "comparisons":[{"what","metric","bound","target","median","min","max",
 *          "values":[…],"met"}]}]}
 *
 * A series that could not be measured has no turns and no medians. Quantiles
 * are those of the last turn.
 */
#ifndef TESTS_BENCH_RESULTS_H
#define TESTS_BENCH_RESULTS_H

#include <jansson.h>
#include <stdbool.h>

#include "tests/bench/cases.h"

/* The turns of one case. */
struct case_results {
    const struct bench_case *which;
    struct outcome outcomes[SERIES_MAX][TURNS_MAX];
    size_t counts[SERIES_MAX]; /* of turns */
    uint32_t keys[SERIES_MAX]; /* that each series had in fact */
};

/* Frees what the outcomes hold. */
void case_results_release(struct case_results *results);

/* Returns the JSON object of a case, for the caller to release. */
json_t *case_results_json(const struct case_results *results);

/* Prints a case as lines for people. */
void case_results_print(const struct case_results *results);

/* Returns a new document with when, machine and versions in it; build is the
 * folder of the programs. */
json_t *results_new(const char *build);

#endif
