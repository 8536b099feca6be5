/* SPDX-License-Identifier: MIT */
/*
 * tool_measure: what one measurement was of and what came out, and its two
 * forms: lines for people and one JSON object for programs. The JSON is
 *
 *     {"clients":50,"outstanding":1,"value_size":100,"keys":100000,
 *      "read_share":0,"operations":912345,"failed":0,"missing":0,
 *      "seconds":10.0012,"throughput":91224.1,
 *      "latency_us":{"mean":547.1,"min":101.2,"p50":530.0,"p90":700.1,
 *      "p99":1100.0,"p99.9":2100.5,"max":9100.2},
 *      "quantiles":[[0,101.2],…,[1,9100.2]]}
 *
 * (on one line). Quantiles are pairs of a share and microseconds, ever finer
 * towards 1. The benchmark's own loaders write the same.
 */
#ifndef CLIENT_TOOL_MEASURE_H
#define CLIENT_TOOL_MEASURE_H

#include <stdint.h>
#include <stdio.h>

#include "client/tool_histogram.h"

enum { MEASURE_KEY_SIZE = 16 /* octets of every key */ };

struct measure {
    /* What was asked for. */
    uint32_t clients;     /* connections */
    uint32_t outstanding; /* operations under way at once on each */
    uint32_t value_size;  /* octets */
    uint32_t keys;        /* different ones */
    uint32_t read_share;  /* percent of the operations */

    /* What came out. */
    uint64_t operations; /* that were answered */
    uint64_t failed;     /* that were not, or were refused */
    uint64_t missing;    /* of those answered: reads of keys never written */
    uint64_t duration_ns;
    struct histogram latency; /* of those answered */
};

/* Writes the name of a key: 'k', then its number in 15 decimal digits. */
void measure_key(uint32_t number, char key[MEASURE_KEY_SIZE]);

/* Write the result. Errors are left in the stream. */
void measure_write_text(FILE *file, const struct measure *measure);
void measure_write_json(FILE *file, const struct measure *measure);

#endif
