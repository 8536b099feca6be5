/* SPDX-License-Identifier: MIT */
/*
 * results: what became of a lab's tests, in the forms that other programs read:
 * TAP 13, JUnit's XML, Gradescope's results.json, and CSV. For each form one
 * function writes a test and one writes what is around all tests.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/labs/lab.h"
#include "tests/labs/markup.h"

struct output {
    FILE *file;
    const struct lab_suite *suite;
    const struct lab_result *results;
};

static void write_json_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", file);
        else if (*text == '"' || *text == '\\')
            fprintf(file, "\\%c", *text);
        else
            fputc(markup_is_plain(*text) ? *text : '?', file);
    }
    fputc('"', file);
}

static void write_lines(FILE *file, const char *before, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");

        fprintf(file, "%s%.*s\n", before, (int)length, text);
        text += length + (text[length] != '\0');
    }
}

static const char *report_of(const struct lab_result *result)
{
    return result->report ? result->report : "";
}

static size_t count_run(const struct output *output, bool failed_only)
{
    size_t count = 0;

    for (size_t i = 0; i < output->suite->count; i++) {
        enum lab_end end = output->results[i].end;

        count += end != LAB_NOT_RUN && !(failed_only && end == LAB_PASSED);
    }
    return count;
}

/* Writes a test that has run, the number-th of them. */
typedef void (*writer)(const struct output *output, const struct lab_test *test,
                       const struct lab_result *result, size_t number);

static void write_each(const struct output *output, writer write)
{
    size_t number = 0;

    for (size_t i = 0; i < output->suite->count; i++) {
        if (output->results[i].end != LAB_NOT_RUN)
            write(output, &output->suite->tests[i], &output->results[i],
                  ++number);
    }
}

static unsigned points_of(const struct lab_test *test,
                          const struct lab_result *result)
{
    return result->end == LAB_PASSED ? test->points : 0;
}

/* The number of a test in its suite, from 1 on. */
static size_t number_of(const struct output *output,
                        const struct lab_test *test)
{
    return (size_t)(test - output->suite->tests) + 1;
}

static void write_tap_test(const struct output *output,
                           const struct lab_test *test,
                           const struct lab_result *result, size_t number)
{
    fprintf(output->file, "%s %zu - %s\n",
            result->end == LAB_PASSED ? "ok" : "not ok", number, test->name);
    write_lines(output->file, "# ", report_of(result));
}

static void write_tap(const struct output *output)
{
    fprintf(output->file, "TAP version 13\n1..%zu\n", count_run(output, false));
    write_each(output, write_tap_test);
}

static void write_junit_test(const struct output *output,
                             const struct lab_test *test,
                             const struct lab_result *result, size_t number)
{
    (void)number;
    fprintf(output->file,
            "  <testcase classname=\"lab%s.%s\" name=\"%s\" time=\"%.3f\">",
            output->suite->id, lab_kind_name(test->kind), test->name,
            result->seconds);
    if (result->end != LAB_PASSED) {
        fprintf(output->file, "<failure type=\"%s\">",
                lab_end_name(result->end));
        markup_text(output->file, report_of(result));
        fprintf(output->file, "</failure>");
    }
    fprintf(output->file, "</testcase>\n");
}

static void write_junit(const struct output *output)
{
    fprintf(output->file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuite name=\"lab%s\" tests=\"%zu\" failures=\"%zu\">\n",
            output->suite->id, count_run(output, false),
            count_run(output, true));
    write_each(output, write_junit_test);
    fprintf(output->file, "</testsuite>\n");
}

static void write_gradescope_test(const struct output *output,
                                  const struct lab_test *test,
                                  const struct lab_result *result,
                                  size_t number)
{
    fprintf(output->file,
            "%s\n  {\"name\": \"%s\", \"number\": \"%zu\", \"score\": %u, "
            "\"max_score\": %u, \"status\": \"%s\", \"tags\": [\"%s\"], "
            "\"output\": ",
            number > 1 ? "," : "", test->name, number_of(output, test),
            points_of(test, result), test->points,
            result->end == LAB_PASSED ? "passed" : "failed",
            lab_kind_name(test->kind));
    write_json_text(output->file, report_of(result));
    fprintf(output->file, "}");
}

static void write_gradescope(const struct output *output)
{
    double seconds = 0;

    for (size_t i = 0; i < output->suite->count; i++)
        seconds += output->results[i].seconds;
    fprintf(output->file, "{\"tests\": [");
    write_each(output, write_gradescope_test);
    fprintf(output->file, "\n], \"execution_time\": %.1f}\n", seconds);
}

static void write_csv_test(const struct output *output,
                           const struct lab_test *test,
                           const struct lab_result *result, size_t number)
{
    (void)number;
    fprintf(output->file, "%s,%zu,%s,%s,%s,%u,%u,%s,%u,%u,%.3f,%" PRIu64 "\n",
            output->suite->id, number_of(output, test), test->name,
            lab_kind_name(test->kind), test->rule, points_of(test, result),
            test->points, lab_end_name(result->end), result->runs,
            result->failures, result->seconds, result->seed);
}

static void write_csv(const struct output *output)
{
    fprintf(output->file, "lab,number,test,kind,rule,points,of,result,runs,"
                          "failures,seconds,seed\n");
    write_each(output, write_csv_test);
}

int lab_form_descriptor(const char *path)
{
    return path && strncmp(path, "fd:", 3) == 0 ? atoi(path + 3) : -1;
}

bool lab_write_results(const struct lab_suite *suite,
                       const struct lab_result *results, const char *form,
                       const char *path)
{
    int descriptor = lab_form_descriptor(path);
    struct output output = {descriptor >= 0 ? fdopen(descriptor, "w")
                                            : fopen(path, "w"),
                            suite, results};
    bool failed;

    if (!output.file) {
        perror(path);
        return false;
    }
    if (strcmp(form, "tap") == 0)
        write_tap(&output);
    else if (strcmp(form, "junit") == 0)
        write_junit(&output);
    else if (strcmp(form, "gradescope") == 0)
        write_gradescope(&output);
    else
        write_csv(&output);
    failed = ferror(output.file) != 0;
    return fclose(output.file) == 0 && !failed;
}
