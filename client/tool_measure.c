/* SPDX-License-Identifier: MIT */
/*
 * tool_measure: see tool_measure.h. Both forms go through one table of the
 * shares that people ask for.
 */
#include "client/tool_measure.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    const char *name;
    double share;
} shares[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1},
};

enum { SHARES = sizeof(shares) / sizeof(shares[0]) };

/* Steps between 0 and 0.5, 0.5 and 0.75, 0.75 and 0.875, and so on. */
enum { STEPS = 4 };

void measure_key(uint32_t number, char key[MEASURE_KEY_SIZE])
{
    memset(key, '0', MEASURE_KEY_SIZE);
    for (int i = MEASURE_KEY_SIZE - 1; number > 0; i--) {
        key[i] = (char)('0' + number % 10);
        number /= 10;
    }
    key[0] = 'k';
}

/* Returns answered operations per second. */
static double throughput_of(const struct measure *measure)
{
    if (measure->duration_ns == 0)
        return 0;
    return (double)measure->operations * 1e9 / (double)measure->duration_ns;
}

static double quantile_us(const struct measure *measure, double share)
{
    return (double)histogram_quantile(&measure->latency, share) / 1000;
}

void measure_write_text(FILE *file, const struct measure *measure)
{
    fprintf(file, "operations  %" PRIu64, measure->operations);
    if (measure->failed > 0)
        fprintf(file, ", and %" PRIu64 " failed", measure->failed);
    if (measure->missing > 0)
        fprintf(file, ", %" PRIu64 " of keys never written", measure->missing);
    fprintf(file, "\nseconds     %.3f\nthroughput  %.0f /s\n",
            (double)measure->duration_ns / 1e9, throughput_of(measure));
    fprintf(file, "mean        %.1f us\n",
            histogram_mean(&measure->latency) / 1000);
    for (int i = 0; i < SHARES; i++)
        fprintf(file, "%-11s %.1f us\n", shares[i].name,
                quantile_us(measure, shares[i].share));
}

static void write_latency(FILE *file, const struct measure *measure)
{
    fprintf(file, "\"latency_us\":{\"mean\":%.3f,\"min\":%.3f",
            histogram_mean(&measure->latency) / 1000,
            (double)measure->latency.least / 1000);
    for (int i = 0; i < SHARES; i++)
        fprintf(file, ",\"%s\":%.3f", shares[i].name,
                quantile_us(measure, shares[i].share));
    fputs("}", file);
}

/* Writes pairs until a step has less than one operation in it. */
static void write_quantiles(FILE *file, const struct measure *measure)
{
    double count = (double)measure->latency.count;

    fputs("\"quantiles\":[", file);
    for (double left = 1; left * count >= STEPS; left /= 2)
        for (int i = 0; i < STEPS; i++) {
            double share = 1 - left + left / 2 * i / STEPS;

            fprintf(file, "[%.9g,%.3f],", share, quantile_us(measure, share));
        }
    fprintf(file, "[1,%.3f]]", quantile_us(measure, 1));
}

void measure_write_json(FILE *file, const struct measure *measure)
{
    fprintf(file,
            "{\"clients\":%" PRIu32 ",\"outstanding\":%" PRIu32
            ",\"value_size\":%" PRIu32 ",\"keys\":%" PRIu32
            ",\"read_share\":%" PRIu32 ",\"operations\":%" PRIu64
            ",\"failed\":%" PRIu64 ",\"missing\":%" PRIu64
            ",\"seconds\":%.6f,\"throughput\":%.1f,",
            measure->clients, measure->outstanding, measure->value_size,
            measure->keys, measure->read_share, measure->operations,
            measure->failed, measure->missing,
            (double)measure->duration_ns / 1e9, throughput_of(measure));
    write_latency(file, measure);
    fputc(',', file);
    write_quantiles(file, measure);
    fputs("}\n", file);
}
