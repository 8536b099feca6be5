/* SPDX-License-Identifier: MIT */
/*
 * The parts of `pbkv bench` and of the benchmark that compute: the histogram,
 * the statistics of turns, what counts as an answer, and the report. That a
 * cluster can be measured is shown in live_bench.c.
 */
#include <math.h>
#include <string.h>

#include "client/tool_histogram.h"
#include "client/tool_measure.h"
#include "node/memory.h"
#include "tests/bench/answers.h"
#include "tests/bench/chart.h"
#include "tests/bench/report.h"
#include "tests/bench/statistics.h"
#include "tests/suite.h"

/* ---- The histogram ------------------------------------------------------- */

TEST(nothing_has_quantiles_of_zero)
{
    struct histogram *histogram = memory_new(sizeof(*histogram));

    ck_assert_uint_eq(histogram_quantile(histogram, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(histogram, 1), 0);
    ck_assert_double_eq(histogram_mean(histogram), 0);
    free(histogram);
}

TEST(small_durations_are_counted_exactly)
{
    struct histogram *histogram = memory_new(sizeof(*histogram));

    for (uint64_t ns = 1; ns <= 100; ns++)
        histogram_add(histogram, ns);
    ck_assert_uint_eq(histogram_quantile(histogram, 0), 1);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.5), 50);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.501), 51);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.9), 90);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.99), 99);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.999), 100);
    ck_assert_uint_eq(histogram_quantile(histogram, 1), 100);
    ck_assert_double_eq(histogram_mean(histogram), 50.5);
    free(histogram);
}

/* Alone with a greater one, a value is the median. */
TEST(any_duration_is_found_again_within_a_part_in_256)
{
    struct histogram *histogram = memory_new(sizeof(*histogram));

    for (uint64_t ns = 1; ns < HISTOGRAM_LIMIT / 2; ns += ns / 3 + 1) {
        uint64_t found;

        memset(histogram, 0, sizeof(*histogram));
        histogram_add(histogram, 0);
        histogram_add(histogram, ns);
        histogram_add(histogram, 2 * ns);
        found = histogram_quantile(histogram, 0.5);
        ck_assert_uint_le(found > ns ? found - ns : ns - found, ns / 256);
    }
    free(histogram);
}

TEST(a_duration_beyond_all_slots_is_still_the_greatest)
{
    struct histogram *histogram = memory_new(sizeof(*histogram));

    histogram_add(histogram, 5);
    histogram_add(histogram, UINT64_MAX / 2);
    ck_assert_uint_eq(histogram_quantile(histogram, 1), UINT64_MAX / 2);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.5), 5);
    free(histogram);
}

TEST(neighbours_on_the_edge_of_a_power_of_two_stay_in_order)
{
    struct histogram *histogram = memory_new(sizeof(*histogram));
    uint64_t before = 0;

    for (unsigned bit = 1; bit < HISTOGRAM_TOP; bit++)
        for (uint64_t step = 0; step < 2; step++)
            histogram_add(histogram, (UINT64_C(1) << bit) - 1 + step);
    for (unsigned i = 1; i <= histogram->count; i++) {
        uint64_t found =
            histogram_quantile(histogram, (double)i / (double)histogram->count);

        ck_assert_uint_ge(found, before);
        before = found;
    }
    free(histogram);
}

TEST(a_merged_histogram_is_that_of_all_durations)
{
    struct histogram *one = memory_new(sizeof(*one));
    struct histogram *other = memory_new(sizeof(*other));
    struct histogram *all = memory_new(sizeof(*all));

    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t ns = i * i * 7 + 3;

        histogram_add(all, ns);
        histogram_add(i % 3 == 0 ? one : other, ns);
    }
    histogram_merge(one, other);
    ck_assert_mem_eq(one, all, sizeof(*all));
    memset(other, 0, sizeof(*other));
    histogram_merge(one, other);
    ck_assert_mem_eq(one, all, sizeof(*all));
    free(one);
    free(other);
    free(all);
}

/* ---- A measurement ------------------------------------------------------- */

TEST(keys_are_sixteen_octets_with_their_number)
{
    char key[MEASURE_KEY_SIZE];

    measure_key(0, key);
    ck_assert_mem_eq(key, "k000000000000000", sizeof(key));
    measure_key(4294967295u, key);
    ck_assert_mem_eq(key, "k000004294967295", sizeof(key));
}

TEST(a_measurement_is_json_with_what_was_counted)
{
    struct measure *measure = memory_new(sizeof(*measure));
    FILE *file = tmpfile();
    json_t *result, *latency;

    for (uint64_t us = 1; us <= 100; us++)
        histogram_add(&measure->latency, us * 1000);
    measure->clients = 3;
    measure->operations = 100;
    measure->duration_ns = 500000000;
    measure_write_json(file, measure);
    rewind(file);
    result = json_loadf(file, 0, NULL);
    ck_assert_ptr_nonnull(result);
    latency = json_object_get(result, "latency_us");
    ck_assert_int_eq(json_integer_value(json_object_get(result, "clients")), 3);
    ck_assert_double_eq(
        json_number_value(json_object_get(result, "throughput")), 200);
    ck_assert_double_eq_tol(json_number_value(json_object_get(latency, "p50")),
                            50, 50.0 / 256);
    ck_assert_double_eq_tol(json_number_value(json_object_get(latency, "p99")),
                            99, 99.0 / 256);
    ck_assert_double_eq(json_number_value(json_object_get(latency, "max")),
                        100);
    json_decref(result);
    fclose(file);
    free(measure);
}

/* ---- Turns --------------------------------------------------------------- */

TEST(the_median_of_turns_ignores_their_order)
{
    const double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2};
    struct summary summary = summary_of(odd, 3);

    ck_assert_double_eq(summary.median, 5);
    ck_assert_double_eq(summary.min, 1);
    ck_assert_double_eq(summary.max, 9);
    summary = summary_of(even, 4);
    ck_assert_double_eq(summary.median, 2.5);
    ck_assert_uint_eq(summary.count, 4);
}

/* A machine that is half as fast in one turn slows both of the pair: every
 * ratio is 2, while the ratio of the medians is 1. */
TEST(ratios_are_taken_pair_by_pair)
{
    const double ours[] = {20, 200, 20, 200, 20};
    const double theirs[] = {10, 100, 10, 100, 10};
    const double shifted[] = {100, 10, 100, 10, 100};
    struct summary summary = summary_of_ratios(ours, theirs, 5);

    ck_assert_double_eq(summary.median, 2);
    ck_assert_double_eq(summary.min, 2);
    ck_assert_double_eq(summary.max, 2);
    summary = summary_of_ratios(ours, shifted, 5);
    ck_assert_double_eq(summary.median, 0.2);
    ck_assert_double_eq(summary.max, 20);
}

TEST(a_pair_without_a_reference_is_left_out)
{
    const double ours[] = {20, 30}, theirs[] = {0, 10};
    struct summary summary = summary_of_ratios(ours, theirs, 2);

    ck_assert_uint_eq(summary.count, 1);
    ck_assert_double_eq(summary.median, 3);
    ck_assert_uint_eq(summary_of_ratios(ours, theirs, 1).count, 0);
}

TEST(a_target_is_met_by_the_median)
{
    struct summary summary = {3, 1.3, 0.1, 9};
    struct summary nothing = {0, 0, 0, 0};

    ck_assert(summary_meets(&summary, AT_LEAST, 1.3));
    ck_assert(!summary_meets(&summary, AT_LEAST, 1.31));
    ck_assert(summary_meets(&summary, AT_MOST, 1.3));
    ck_assert(!summary_meets(&summary, AT_MOST, 1.29));
    ck_assert(summary_meets(&summary, NO_BOUND, 0));
    ck_assert(!summary_meets(&nothing, AT_MOST, 1));
}

/* ---- Answers ------------------------------------------------------------- */

/* Reads a text in pieces of every length. Returns the ends that it found, the
 * same for all; -1 when it makes no sense. */
static int ends_in(enum answers_kind kind, const char *text)
{
    size_t length = strlen(text);
    int found = 0;

    for (size_t piece = 1; piece <= length; piece++) {
        struct answers answers;
        bool sound = true;

        answers_init(&answers, kind, 4);
        for (size_t at = 0; at < length && sound; at += piece)
            sound = answers_read(&answers, text + at,
                                 at + piece < length ? piece : length - at);
        if (piece > 1)
            ck_assert_int_eq(sound ? (int)answers.ended : -1, found);
        found = sound ? (int)answers.ended : -1;
    }
    return found;
}

TEST(a_write_ends_with_its_wait)
{
    ck_assert_int_eq(ends_in(ANSWERS_WAITS, "+OK\r\n"), 0);
    ck_assert_int_eq(ends_in(ANSWERS_WAITS, "+OK\r\n+OK\r\n:1\r\n"), 1);
    ck_assert_int_eq(ends_in(ANSWERS_WAITS, "+OK\r\n:1\r\n+OK\r\n:12\r\n"), 2);
}

TEST(a_write_that_no_replica_has_is_refused)
{
    ck_assert_int_eq(ends_in(ANSWERS_WAITS, "+OK\r\n:0\r\n"), -1);
    ck_assert_int_eq(ends_in(ANSWERS_WAITS, "-ERR no\r\n"), -1);
}

TEST(a_read_ends_with_its_value_whatever_is_in_it)
{
    ck_assert_int_eq(ends_in(ANSWERS_VALUES, "$5\r\na\r\n$1\r\n"), 1);
    ck_assert_int_eq(ends_in(ANSWERS_VALUES, "$-1\r\n$0\r\n\r\n$1\r\nx\r\n"),
                     3);
    ck_assert_int_eq(ends_in(ANSWERS_VALUES, "+OK\r\n"), -1);
}

TEST(echoes_end_by_their_length)
{
    ck_assert_int_eq(ends_in(ANSWERS_OCTETS, "abcdabcdab"), 2);
}

/* ---- The report ---------------------------------------------------------- */

/* Returns what a function of a file writes, which the caller frees. */
static char *report_of(const json_t *results)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    report_write(file, results);
    fclose(file);
    return text;
}

static const char sample[] =
    "{\"when\":\"then\",\"machine\":{\"cores\":2},\"versions\":{\"a\":\"<b>\"},"
    "\"run\":{},\"cases\":[{\"name\":\"one\",\"title\":\"One & only\","
    "\"unit\":\"\",\"axis\":\"turns\",\"series\":[{\"name\":\"ours\","
    "\"turns\":[{\"throughput\":10},{\"throughput\":30}],"
    "\"throughput\":{\"median\":20,\"min\":10,\"max\":30},"
    "\"quantiles\":[[0,1],[0.5,2],[0.99,7],[1,9]]},"
    "{\"name\":\"not measured\",\"turns\":[]}],"
    "\"comparisons\":[{\"what\":\"x\",\"bound\":\"at least\",\"target\":1.5,"
    "\"median\":2,\"min\":1,\"max\":3,\"measured\":true,\"met\":true},"
    "{\"what\":\"y\",\"bound\":\"at most\",\"target\":1.5,\"median\":0,"
    "\"min\":0,\"max\":0,\"measured\":false,\"met\":false}]}]}";

TEST(the_report_needs_nothing_else_and_escapes_names)
{
    json_t *results = json_loads(sample, 0, NULL);
    char *page;

    ck_assert_ptr_nonnull(results);
    page = report_of(results);
    ck_assert_ptr_nonnull(strstr(page, "<polyline"));
    ck_assert_ptr_nonnull(strstr(page, "class='met'>met"));
    ck_assert_ptr_nonnull(strstr(page, "class='missed'>not measured"));
    ck_assert_ptr_nonnull(strstr(page, "&lt;b&gt;"));
    ck_assert_ptr_nonnull(strstr(page, "One &amp; only"));
    ck_assert_ptr_null(strstr(page, "http"));
    ck_assert_ptr_null(strstr(page, "src="));
    ck_assert_ptr_null(strstr(page, "nan"));
    ck_assert_ptr_null(strstr(page, "inf"));
    free(page);
    json_decref(results);
}

TEST(a_chart_of_one_point_has_an_axis)
{
    struct chart *chart = memory_new(sizeof(*chart));
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    chart->title = chart->x_label = chart->y_label = "t";
    chart->x_logarithmic = chart->y_logarithmic = true;
    chart_add(chart, "line", 0, 5); /* has no place on such an axis */
    chart_add(chart, "line", 50, 5);
    chart_write(file, chart);
    fclose(file);
    ck_assert_uint_eq(chart->lines[0].count, 1);
    ck_assert_ptr_nonnull(strstr(text, "<circle"));
    ck_assert_ptr_nonnull(strstr(text, "class='grid'"));
    ck_assert_ptr_null(strstr(text, "nan"));
    free(text);
    free(chart);
}

SUITE("bench", CASE(nothing_has_quantiles_of_zero),
      CASE(small_durations_are_counted_exactly),
      CASE(any_duration_is_found_again_within_a_part_in_256),
      CASE(a_duration_beyond_all_slots_is_still_the_greatest),
      CASE(neighbours_on_the_edge_of_a_power_of_two_stay_in_order),
      CASE(a_merged_histogram_is_that_of_all_durations),
      CASE(keys_are_sixteen_octets_with_their_number),
      CASE(a_measurement_is_json_with_what_was_counted),
      CASE(the_median_of_turns_ignores_their_order),
      CASE(ratios_are_taken_pair_by_pair),
      CASE(a_pair_without_a_reference_is_left_out),
      CASE(a_target_is_met_by_the_median), CASE(a_write_ends_with_its_wait),
      CASE(a_write_that_no_replica_has_is_refused),
      CASE(a_read_ends_with_its_value_whatever_is_in_it),
      CASE(echoes_end_by_their_length),
      CASE(the_report_needs_nothing_else_and_escapes_names),
      CASE(a_chart_of_one_point_has_an_axis))
