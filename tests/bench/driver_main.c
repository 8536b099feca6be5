/* SPDX-License-Identifier: MIT */
/*
 * driver: the benchmark. It runs the cases that it is told to (all, if none),
 * each in turns, prints what came out of each, and writes results.json and
 * report.html after each, so that a run that is stopped leaves what it has.
 *
 * A series that fails is not tried again in later turns. The exit status is 0
 * when everything was measured, whether or not targets were met; 1 when
 * something was not; 2 for wrong usage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/tool.h"
#include "node/memory.h"
#include "tests/bench/report.h"
#include "tests/bench/results.h"
#include "tests/bench/special.h"

enum {
    TURNS = 5,
    SECONDS = 2,
    QUICK_TURNS = 1,
    QUICK_SECONDS = 1,
};

struct driver {
    struct special special;
    const char *build;
    const char *output;
    uint32_t turns;
    uint32_t seconds;
    bool full;
    json_t *results;
    bool failed; /* something could not be measured */
};

/* Measures a turn of a series that is a plain load. */
static bool measure_load(struct driver *driver, const struct series *series,
                         uint32_t keys, struct outcome *outcome)
{
    struct load load = {.connections = series->connections,
                        .outstanding = series->outstanding,
                        .value_size = VALUE_SIZE,
                        .seconds = driver->seconds,
                        .reads = series->reads};
    const struct contender *contender =
        contenders_get(driver->special.contenders, series->kind, keys);

    if (series->seconds > 0 && !driver->special.quick)
        load.seconds = series->seconds;
    return contender && load_run(driver->build, contender, &load, outcome);
}

static void measure_turn(struct driver *driver, struct case_results *results,
                         size_t s, size_t turn)
{
    const struct series *series = &results->which->series[s];
    struct outcome *outcome = &results->outcomes[s][turn];
    bool measured;

    if (results->counts[s] < turn || (series->full_only && !driver->full))
        return;
    results->keys[s] = special_keys(&driver->special, series);
    if (!driver->special.quick)
        fprintf(stderr, "%s: turn %zu, %s\n", results->which->name, turn + 1,
                series->name);
    measured = series->special
                   ? series->special(&driver->special, series, outcome)
                   : measure_load(driver, series, results->keys[s], outcome);
    if (measured)
        results->counts[s]++;
    else
        driver->failed = true;
}

static void run_case(struct driver *driver, const struct bench_case *which)
{
    struct case_results *results = memory_new(sizeof(*results));
    size_t turns = driver->turns;

    if (which->turns_max > 0 && turns > which->turns_max)
        turns = which->turns_max;
    results->which = which;
    for (size_t turn = 0; turn < turns; turn++)
        for (size_t s = 0; which->series[s].name; s++)
            measure_turn(driver, results, s, turn);
    special_release_transfers(&driver->special); /* it has gigabytes */
    case_results_print(results);
    json_array_append_new(json_object_get(driver->results, "cases"),
                          case_results_json(results));
    case_results_release(results);
    free(results);
}

/* ---- Files -------------------------------------------------------------- */

static bool write_files(const struct driver *driver)
{
    char path[4096];
    FILE *file;

    if (mkdir(driver->output, 0777) != 0 && errno != EEXIST) {
        perror(driver->output);
        return false;
    }
    snprintf(path, sizeof(path), "%s/results.json", driver->output);
    if (json_dump_file(driver->results, path, JSON_INDENT(1)) != 0) {
        perror(path);
        return false;
    }
    snprintf(path, sizeof(path), "%s/report.html", driver->output);
    file = fopen(path, "w");
    if (file)
        report_write(file, driver->results);
    if (!file || fclose(file) != 0) {
        perror(path);
        return false;
    }
    return true;
}

/* ---- What to run -------------------------------------------------------- */

static const struct bench_case *find_case(const char *name)
{
    size_t count;
    const struct bench_case *cases = cases_all(&count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    return NULL;
}

static void list_cases(void)
{
    size_t count;
    const struct bench_case *cases = cases_all(&count);

    for (size_t i = 0; i < count; i++)
        printf("%-20s %s\n", cases[i].name, cases[i].title);
}

/* Runs the cases that are named, or all. */
static void run_cases(struct driver *driver, char **names, int named)
{
    size_t count;
    const struct bench_case *cases = cases_all(&count);

    if (named > 0)
        count = (size_t)named;
    for (size_t i = 0; i < count; i++) {
        run_case(driver, named > 0 ? find_case(names[i]) : &cases[i]);
        if (!write_files(driver))
            driver->failed = true;
    }
}

static int run(struct driver *driver, char **names, int named)
{
    driver->build = getenv("PBKV_BUILD");
    if (!driver->build)
        driver->build = "build/release";
    if (driver->turns == 0)
        driver->turns = driver->special.quick ? QUICK_TURNS : TURNS;
    if (driver->seconds == 0)
        driver->seconds = driver->special.quick ? QUICK_SECONDS : SECONDS;
    driver->special.contenders = contenders_new(driver->build);
    driver->results = results_new(driver->build);
    json_object_set_new(driver->results, "run",
                        json_pack("{s:i,s:i,s:b,s:b}", "turns",
                                  (int)driver->turns, "seconds",
                                  (int)driver->seconds, "quick",
                                  driver->special.quick, "full", driver->full));
    run_cases(driver, names, named);
    special_release(&driver->special);
    contenders_free(driver->special.contenders);
    json_decref(driver->results);
    printf("written: %s/report.html and %s/results.json\n", driver->output,
           driver->output);
    return driver->failed ? PROGRAM_FAILED : 0;
}

int main(int argc, char **argv)
{
    struct driver driver = {.output = "build/bench"};
    bool list = false;
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("output", "DIR", "for the report (build/bench)",
                            &driver.output),
        PROGRAM_U32_OPTION("turns", "N", "of every series (5)", &driver.turns,
                           1, TURNS_MAX),
        PROGRAM_U32_OPTION("seconds", "S", "of a load (2)", &driver.seconds, 1,
                           3600),
        PROGRAM_FLAG_OPTION("quick", "one turn of a second, fewer keys",
                            &driver.special.quick),
        PROGRAM_FLAG_OPTION("full", "also with 10,000,000 keys", &driver.full),
        PROGRAM_FLAG_OPTION("list", "list the cases", &list)};
    const struct program program = {
        "driver",
        "[CASE]...",
        "Measures the store against Redis and echoes.",
        options,
        TOOL_COUNT(options),
        0,
        -1};
    int at, status = program_parse(&program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    if (list) {
        list_cases();
        return 0;
    }
    for (int i = at; i < argc; i++)
        if (!find_case(argv[i]))
            return program_refuse(&program, "there is no case '%s'", argv[i]);
    program_raise_descriptors();
    return run(&driver, argv + at, argc - at);
}
