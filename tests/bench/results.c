/* SPDX-License-Identifier: MIT */
/*
 * results: see results.h. One table says which fields of an outcome have a
 * name.
 */
#include "tests/bench/results.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"throughput", offsetof(struct outcome, throughput)},
    {"p50_us", offsetof(struct outcome, p50_us)},
    {"p90_us", offsetof(struct outcome, p90_us)},
    {"p99_us", offsetof(struct outcome, p99_us)},
    {"p99.9_us", offsetof(struct outcome, p999_us)},
    {"max_us", offsetof(struct outcome, max_us)},
    {"server_us", offsetof(struct outcome, server_us)},
    {"loader_us", offsetof(struct outcome, loader_us)},
    {"figure", offsetof(struct outcome, figure)},
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static const char *const metric_names[METRICS] = {
    "throughput", "p50_us", "max_us", "server_us + loader_us", "figure"};

static double field_of(const struct outcome *outcome, size_t field)
{
    const char *base = (const char *)outcome;

    return *(const double *)(const void *)(base + fields[field].offset);
}

void case_results_release(struct case_results *results)
{
    for (size_t s = 0; s < SERIES_MAX; s++)
        for (size_t t = 0; t < results->counts[s]; t++)
            outcome_release(&results->outcomes[s][t]);
}

/* ---- Comparisons -------------------------------------------------------- */

/* Stores the values of a comparison, turn by turn. Returns how many. */
static size_t compare_turns(const struct case_results *results,
                            const struct comparison *comparison,
                            double values[TURNS_MAX],
                            double references[TURNS_MAX])
{
    size_t count = results->counts[comparison->series];

    if (comparison->reference != NO_REFERENCE &&
        results->counts[comparison->reference] < count)
        count = results->counts[comparison->reference];
    for (size_t t = 0; t < count; t++) {
        values[t] = outcome_metric(&results->outcomes[comparison->series][t],
                                   comparison->metric);
        references[t] = 1;
        if (comparison->reference != NO_REFERENCE)
            references[t] =
                outcome_metric(&results->outcomes[comparison->reference][t],
                               comparison->metric);
    }
    return count;
}

/* Returns the summary of a comparison, over the turns that both series have. */
static struct summary compare(const struct case_results *results,
                              const struct comparison *comparison)
{
    double values[TURNS_MAX], references[TURNS_MAX];
    size_t count = compare_turns(results, comparison, values, references);

    return summary_of_ratios(values, references, count);
}

static json_t *summary_json(const struct summary *summary)
{
    return json_pack("{s:f,s:f,s:f}", "median", summary->median, "min",
                     summary->min, "max", summary->max);
}

static json_t *comparison_json(const struct case_results *results,
                               const struct comparison *comparison)
{
    static const char *const bounds[] = {"none", "at least", "at most"};
    double values[TURNS_MAX], references[TURNS_MAX];
    size_t count = compare_turns(results, comparison, values, references);
    struct summary summary = summary_of_ratios(values, references, count);
    json_t *object = summary_json(&summary), *pairs = json_array();

    for (size_t t = 0; t < count; t++)
        if (references[t] > 0)
            json_array_append_new(pairs, json_real(values[t] / references[t]));
    json_object_set_new(object, "what", json_string(comparison->what));
    json_object_set_new(object, "metric",
                        json_string(metric_names[comparison->metric]));
    json_object_set_new(object, "bound",
                        json_string(bounds[comparison->bound]));
    json_object_set_new(object, "target", json_real(comparison->target));
    json_object_set_new(object, "values", pairs);
    json_object_set_new(object, "measured", json_boolean(summary.count > 0));
    json_object_set_new(object, "met",
                        json_boolean(summary_meets(&summary, comparison->bound,
                                                   comparison->target)));
    return object;
}

/* ---- Series ------------------------------------------------------------- */

static json_t *turn_json(const struct outcome *outcome)
{
    json_t *object = json_object();

    for (size_t f = 0; f < FIELDS; f++)
        json_object_set_new(object, fields[f].name,
                            json_real(field_of(outcome, f)));
    return object;
}

static void add_summaries(json_t *object, const struct outcome *outcomes,
                          size_t count)
{
    double values[TURNS_MAX];

    for (size_t f = 0; f < FIELDS && count > 0; f++) {
        struct summary summary;

        for (size_t t = 0; t < count; t++)
            values[t] = field_of(&outcomes[t], f);
        summary = summary_of(values, count);
        json_object_set_new(object, fields[f].name, summary_json(&summary));
    }
}

static json_t *series_json(const struct case_results *results, size_t s)
{
    static const char *const kinds[] = {"pbkv",  "pbkv unstamped",
                                        "Redis", "two-hop echo",
                                        "echo",  "the machine"};
    const struct series *series = &results->which->series[s];
    const struct outcome *outcomes = results->outcomes[s];
    size_t count = results->counts[s];
    json_t *turns = json_array();
    json_t *object = json_pack(
        "{s:s,s:s,s:i,s:i,s:i}", "name", series->name, "contender",
        kinds[series->kind], "connections", (int)series->connections,
        "outstanding", (int)series->outstanding, "keys", (int)results->keys[s]);

    for (size_t t = 0; t < count; t++)
        json_array_append_new(turns, turn_json(&outcomes[t]));
    json_object_set_new(object, "turns", turns);
    add_summaries(object, outcomes, count);
    if (count > 0 && outcomes[count - 1].quantiles)
        json_object_set(object, "quantiles", outcomes[count - 1].quantiles);
    return object;
}

json_t *case_results_json(const struct case_results *results)
{
    static const char *const axes[] = {"turns", "connections", "keys"};
    const struct bench_case *which = results->which;
    json_t *series = json_array(), *comparisons = json_array();

    for (size_t s = 0; which->series[s].name; s++)
        if (results->counts[s] > 0 || !which->series[s].full_only)
            json_array_append_new(series, series_json(results, s));
    for (size_t c = 0; which->comparisons[c].what; c++)
        if (!which->series[which->comparisons[c].series].full_only ||
            results->counts[which->comparisons[c].series] > 0)
            json_array_append_new(
                comparisons, comparison_json(results, &which->comparisons[c]));
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "name", which->name, "title",
                     which->title, "unit", which->unit ? which->unit : "",
                     "axis", axes[which->axis], "series", series, "comparisons",
                     comparisons);
}

/* ---- For people --------------------------------------------------------- */

static void print_series(const struct case_results *results, size_t s)
{
    const struct series *series = &results->which->series[s];
    double values[TURNS_MAX] = {0};
    struct summary parts[FIELDS];
    size_t count = results->counts[s];
    bool figure = series->special && results->which->unit;

    if (count == 0 && series->full_only)
        return;
    printf("  %-24s %4" PRIu32 "x%-3" PRIu32, series->name, series->connections,
           series->outstanding);
    if (count == 0) {
        printf(" not measured\n");
        return;
    }
    for (size_t f = 0; f < FIELDS; f++) {
        for (size_t t = 0; t < count; t++)
            values[t] = field_of(&results->outcomes[s][t], f);
        parts[f] = summary_of(values, count);
    }
    if (figure)
        printf(" %10.1f %s (%.1f to %.1f)", parts[FIELDS - 1].median,
               results->which->unit, parts[FIELDS - 1].min,
               parts[FIELDS - 1].max);
    if (parts[0].median > 0)
        printf(" %10.0f /s (%.0f to %.0f)  p50 %.0f  p99 %.0f  max %.0f us  "
               "cpu %.1f+%.1f us",
               parts[0].median, parts[0].min, parts[0].max, parts[1].median,
               parts[3].median, parts[5].median, parts[6].median,
               parts[7].median);
    putchar('\n');
}

/* Prints every pair, in the order of the turns. */
static void print_pairs(const struct case_results *results,
                        const struct comparison *comparison, int digits)
{
    double values[TURNS_MAX], references[TURNS_MAX];
    size_t count = compare_turns(results, comparison, values, references);

    for (size_t t = 0; t < count && count > 1; t++)
        if (references[t] > 0)
            printf("%s%.*f", t == 0 ? "  [" : " ", digits,
                   values[t] / references[t]);
    if (count > 1)
        putchar(']');
}

static void print_comparison(const struct case_results *results,
                             const struct comparison *comparison)
{
    struct summary summary = compare(results, comparison);
    int digits = summary.median < 100 ? 3 : 0;

    if (summary.count == 0 &&
        results->which->series[comparison->series].full_only)
        return;
    printf("  = %-42s", comparison->what);
    if (summary.count == 0)
        printf(" not measured");
    else
        printf(" %.*f (%.*f to %.*f)", digits, summary.median, digits,
               summary.min, digits, summary.max);
    if (comparison->bound != NO_BOUND)
        printf("  target %s %g: %s",
               comparison->bound == AT_LEAST ? "at least" : "at most",
               comparison->target,
               summary_meets(&summary, comparison->bound, comparison->target)
                   ? "met"
                   : "MISSED");
    print_pairs(results, comparison, digits);
    putchar('\n');
}

void case_results_print(const struct case_results *results)
{
    const struct bench_case *which = results->which;

    printf("%s: %s\n", which->name, which->title);
    for (size_t s = 0; which->series[s].name; s++)
        print_series(results, s);
    for (size_t c = 0; which->comparisons[c].what; c++)
        print_comparison(results, &which->comparisons[c]);
    fflush(stdout);
}
