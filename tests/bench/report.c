/* SPDX-License-Identifier: MIT */
/*
 * report: see report.h.
 */
#include "tests/bench/report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "tests/bench/chart.h"

static const char head[] =
    "<!doctype html>\n<html lang='en'><meta charset='utf-8'>\n"
    "<title>pbkv: benchmark</title>\n<style>\n"
    "body{font:15px/1.45 sans-serif;max-width:1280px;margin:2em auto;"
    "padding:0 1em;color:#1b1b1b}\n"
    "table{border-collapse:collapse;margin:.6em 0 1em}\n"
    "td,th{border-bottom:1px solid #ddd;padding:.25em .7em;text-align:right;"
    "font-variant-numeric:tabular-nums}\n"
    "td:first-child,th:first-child,.name{text-align:left}\n"
    "th{background:#f3f5f7}\n"
    ".range{color:#666;font-size:80%;display:block;white-space:nowrap}\n"
    ".met{color:#1c6b33;font-weight:bold}\n"
    ".missed{color:#a31515;font-weight:bold}\n"
    "svg{font:12px sans-serif;margin-right:1em}\n"
    "svg polyline{stroke-width:1.6}\n"
    "svg .grid{stroke:#e3e3e3}\nsvg .title{font-weight:bold;font-size:13px}\n"
    "h2{margin-top:2em;border-top:2px solid #1b1b1b;padding-top:.4em}\n"
    "</style>\n<h1>pbkv: benchmark</h1>\n";

void report_write_text(FILE *file, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", file); break;
        case '<': fputs("&lt;", file); break;
        case '>': fputs("&gt;", file); break;
        default: fputc(*text, file);
        }
}

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static double number_at(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

/* Writes a number with the digits that are worth reading. */
static void write_number(FILE *file, double number)
{
    int digits = number >= 100 || number == 0 ? 0 : number >= 10 ? 1 : 2;

    fprintf(file, "%.*f", digits, number);
}

/* ---- Tables ------------------------------------------------------------- */

static void write_text_cell(FILE *file, const char *text)
{
    fputs("<td class='name'>", file);
    report_write_text(file, text);
    fputs("</td>", file);
}

/* Writes a median with its extremes: of a summary that is a field of object. */
static void write_summary_cell(FILE *file, const json_t *summary)
{
    double min = number_at(summary, "min"), max = number_at(summary, "max");

    fputs("<td>", file);
    if (max != 0)
        write_number(file, number_at(summary, "median"));
    if (min != max) {
        fputs(" <span class='range'>", file);
        write_number(file, min);
        fputs(" to ", file);
        write_number(file, max);
        fputs("</span>", file);
    }
    fputs("</td>", file);
}

static void write_verdict(FILE *file, const json_t *comparison)
{
    const char *bound = text_at(comparison, "bound");
    bool met = json_is_true(json_object_get(comparison, "met"));
    bool measured = json_is_true(json_object_get(comparison, "measured"));

    if (strcmp(bound, "none") == 0) {
        fputs("<td></td><td></td>", file);
        return;
    }
    fprintf(file, "<td>%s %g</td><td class='%s'>%s</td>", bound,
            number_at(comparison, "target"), met ? "met" : "missed",
            met        ? "met"
            : measured ? "missed"
                       : "not measured");
}

static void write_pairs_cell(FILE *file, const json_t *comparison)
{
    const json_t *value;
    size_t i;

    fputs("<td>", file);
    json_array_foreach(json_object_get(comparison, "values"), i, value)
    {
        if (i > 0)
            fputs("&ensp;", file);
        write_number(file, json_number_value(value));
    }
    fputs("</td>", file);
}

static void write_comparison(FILE *file, const char *name,
                             const json_t *comparison)
{
    fputs("<tr>", file);
    if (name)
        write_text_cell(file, name);
    write_text_cell(file, text_at(comparison, "what"));
    write_summary_cell(file, comparison);
    write_verdict(file, comparison);
    write_pairs_cell(file, comparison);
    fputs("</tr>\n", file);
}

/* Writes all comparisons that have a target. */
static void write_targets(FILE *file, const json_t *cases)
{
    const json_t *one, *comparison;
    size_t i, c;

    fputs("<h2>Targets</h2>\n<table><tr><th>case</th><th class='name'>what</th>"
          "<th>median, min to max</th><th>target</th><th></th><th>pair by "
          "pair</th></tr>\n",
          file);
    json_array_foreach(cases, i, one)
    {
        json_array_foreach(
            json_object_get(one, "comparisons"), c,
            comparison) if (strcmp(text_at(comparison, "bound"), "none") != 0)
            write_comparison(file, text_at(one, "name"), comparison);
    }
    fputs("</table>\n", file);
}

static void write_comparisons(FILE *file, const json_t *one)
{
    const json_t *comparisons = json_object_get(one, "comparisons");
    const json_t *comparison;
    size_t c;

    if (json_array_size(comparisons) == 0)
        return;
    fputs("<table><tr><th>what</th><th>median, min to max</th>"
          "<th>target</th><th></th><th>pair by pair</th></tr>\n",
          file);
    json_array_foreach(comparisons, c, comparison)
        write_comparison(file, NULL, comparison);
    fputs("</table>\n", file);
}

static void write_series_row(FILE *file, const json_t *series, bool figure)
{
    static const char *const columns[] = {"throughput", "p50_us",   "p90_us",
                                          "p99_us",     "p99.9_us", "max_us",
                                          "server_us",  "loader_us"};

    fputs("<tr>", file);
    write_text_cell(file, text_at(series, "name"));
    fprintf(file, "<td>%.0f x %.0f</td><td>%.0f</td>",
            number_at(series, "connections"), number_at(series, "outstanding"),
            number_at(series, "keys"));
    if (figure)
        write_summary_cell(file, json_object_get(series, "figure"));
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        write_summary_cell(file, json_object_get(series, columns[i]));
    fputs("</tr>\n", file);
}

static void write_series(FILE *file, const json_t *one)
{
    const char *unit = text_at(one, "unit");
    const json_t *series;
    size_t s;

    fputs("<table><tr><th>contender</th><th>connections x outstanding</th>"
          "<th>keys</th>",
          file);
    if (unit[0])
        fprintf(file, "<th>%s</th>", unit);
    fputs("<th>operations/s</th><th>p50 us</th><th>p90 us</th><th>p99 us</th>"
          "<th>p99.9 us</th><th>max us</th><th>servers' CPU us/op</th>"
          "<th>loader's CPU us/op</th></tr>\n",
          file);
    json_array_foreach(json_object_get(one, "series"), s, series)
        write_series_row(file, series, unit[0] != '\0');
    fputs("</table>\n", file);
}

/* ---- Charts ------------------------------------------------------------- */

/* Throughput turn by turn, or of its median over an axis. */
static void write_throughput(FILE *file, const json_t *one, struct chart *chart)
{
    const char *axis = text_at(one, "axis");
    bool by_turns = strcmp(axis, "turns") == 0;
    const json_t *series, *turn;
    size_t s, t;

    *chart = (struct chart){.title = "Throughput",
                            .x_label = axis,
                            .y_label = "operations per second",
                            .x_logarithmic = !by_turns};
    json_array_foreach(json_object_get(one, "series"), s, series)
    {
        if (!by_turns) {
            chart_add(
                chart, text_at(series, "contender"), number_at(series, axis),
                number_at(json_object_get(series, "throughput"), "median"));
            continue;
        }
        json_array_foreach(json_object_get(series, "turns"), t, turn)
            chart_add(chart, text_at(series, "name"), (double)(t + 1),
                      number_at(turn, "throughput"));
    }
    chart_write(file, chart);
}

/* Latency over the share of operations that do not exceed it. */
static void write_quantiles(FILE *file, const json_t *one, struct chart *chart)
{
    const json_t *series, *pair;
    size_t s, p;

    *chart = (struct chart){.title = "Latency (last turn)",
                            .x_label = "share of operations not slower",
                            .y_label = "microseconds",
                            .x_logarithmic = true,
                            .y_logarithmic = true,
                            .x_shares = true};
    json_array_foreach(json_object_get(one, "series"), s, series)
    {
        json_array_foreach(json_object_get(series, "quantiles"), p, pair)
        {
            double share = json_number_value(json_array_get(pair, 0));

            if (share < 1)
                chart_add(chart, text_at(series, "name"), 1 / (1 - share),
                          json_number_value(json_array_get(pair, 1)));
        }
    }
    chart_write(file, chart);
}

/* Latency over throughput, as an axis is walked along. */
static void write_trade(FILE *file, const json_t *one, struct chart *chart)
{
    static const char *const names[] = {"p50_us", "p99_us"};
    static const char *const titles[] = {"Median latency over throughput",
                                         "p99 latency over throughput"};
    const json_t *series;
    size_t s;

    for (int i = 0; i < 2; i++) {
        *chart = (struct chart){.title = titles[i],
                                .x_label = "operations per second",
                                .y_label = "microseconds",
                                .y_logarithmic = true};
        json_array_foreach(json_object_get(one, "series"), s, series) chart_add(
            chart, text_at(series, "contender"),
            number_at(json_object_get(series, "throughput"), "median"),
            number_at(json_object_get(series, names[i]), "median"));
        chart_write(file, chart);
    }
}

/* What a failover or a transfer measures, turn by turn. */
static void write_figures(FILE *file, const json_t *one, struct chart *chart)
{
    const json_t *series, *turn;
    size_t s, t;

    *chart = (struct chart){.title = "Turn by turn",
                            .x_label = "turns",
                            .y_label = text_at(one, "unit")};
    json_array_foreach(json_object_get(one, "series"), s, series)
    {
        json_array_foreach(json_object_get(series, "turns"), t,
                           turn) if (number_at(turn, "figure") > 0)
            chart_add(chart, text_at(series, "name"), (double)(t + 1),
                      number_at(turn, "figure"));
    }
    chart_write(file, chart);
}

static bool has_throughput(const json_t *one)
{
    const json_t *series;
    size_t s;

    json_array_foreach(
        json_object_get(one, "series"), s,
        series) if (number_at(json_object_get(series, "throughput"), "median") >
                    0) return true;
    return false;
}

static void write_case(FILE *file, const json_t *one, struct chart *chart)
{
    bool by_turns = strcmp(text_at(one, "axis"), "turns") == 0;

    fprintf(file, "<h2 id='%s'>", text_at(one, "name"));
    report_write_text(file, text_at(one, "title"));
    fputs("</h2>\n", file);
    write_comparisons(file, one);
    write_series(file, one);
    if (text_at(one, "unit")[0])
        write_figures(file, one, chart);
    if (!has_throughput(one))
        return;
    write_throughput(file, one, chart);
    if (by_turns)
        write_quantiles(file, one, chart);
    else
        write_trade(file, one, chart);
}

/* ---- The page ----------------------------------------------------------- */

static void write_facts(FILE *file, const char *title, const json_t *facts)
{
    const char *name;
    json_t *value;

    fprintf(file, "<h2>%s</h2>\n<table>", title);
    json_object_foreach((json_t *)(uintptr_t)facts, name, value)
    {
        fputs("<tr>", file);
        write_text_cell(file, name);
        if (json_is_string(value))
            write_text_cell(file, json_string_value(value));
        else if (json_is_boolean(value))
            write_text_cell(file, json_is_true(value) ? "yes" : "no");
        else
            fprintf(file, "<td>%g</td>", json_number_value(value));
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
}

void report_write(FILE *file, const json_t *results)
{
    struct chart *chart = memory_new(sizeof(*chart));
    const json_t *cases = json_object_get(results, "cases"), *one;
    size_t i;

    fputs(head, file);
    fprintf(file,
            "<p>%s. Values are medians over the turns, with the least "
            "and the greatest; ratios are taken pair by pair.</p>\n",
            text_at(results, "when"));
    write_targets(file, cases);
    json_array_foreach(cases, i, one) write_case(file, one, chart);
    write_facts(file, "Machine", json_object_get(results, "machine"));
    write_facts(file, "Versions", json_object_get(results, "versions"));
    write_facts(file, "Run", json_object_get(results, "run"));
    fputs("</html>\n", file);
    free(chart);
}
