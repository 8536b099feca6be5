/* SPDX-License-Identifier: MIT */
/*
 * report: what a submission earned, for its student and for the instructor.
 *
 *   report NAME FOLDER LAB...
 *
 * For each lab, FOLDER has three files of the grader: LAB.list are the tests as
 * the pristine suite lists them, LAB.results what the suite said of the
 * submission (Gradescope's form; it may be missing or not whole), LAB.note
 * remarks in plain text. A test counts as passed only if it is in the list and
 * its result says so; one without a result has failed. Written are results.json
 * for Gradescope and report.html; the line for the instructor's CSV goes to
 * stdout. What a submission wrote is text here and never markup.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/labs/markup.h"

enum { LINE_SIZE = 512, PATH_SIZE = 4096, NOTE_SIZE = 65536 };

struct test {
    unsigned number;
    unsigned points;
    char kind[16];
    char name[256];
};

struct totals {
    unsigned points;
    unsigned possible;
    unsigned passed;
    unsigned tests;
};

struct report {
    const char *name;
    const char *folder;
    FILE *html;
    json_t *tests;
    struct totals totals;
    char labs[LINE_SIZE];  /* "0 44/44; 1a 3/57" */
    char notes[NOTE_SIZE]; /* of all labs */
};

static char *part_path(const struct report *report, const char *lab,
                       const char *ending, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s%s", report->folder, lab, ending);
    return path;
}

/* Returns the result of a test among those of the suite, or NULL. */
static const json_t *result_of(const json_t *results, const struct test *test)
{
    const json_t *tests = json_object_get(results, "tests");
    const json_t *result;
    size_t i;

    json_array_foreach(tests, i, result)
    {
        const char *name = json_string_value(json_object_get(result, "name"));

        if (name && strcmp(name, test->name) == 0)
            return result;
    }
    return NULL;
}

static void write_test(const struct report *report, const struct test *test,
                       bool passed, const char *output)
{
    fprintf(report->html,
            "<tr class=\"%s\"><td>%u</td><td>%s</td><td>%u / %u</td>"
            "<td>%s</td><td>%s",
            passed ? "ok" : "bad", test->number, passed ? "passed" : "failed",
            passed ? test->points : 0, test->points, test->kind, test->name);
    if (output[0] != '\0') {
        fputs("<details open><summary>what happened</summary><pre>",
              report->html);
        markup_text(report->html, output);
        fputs("</pre></details>", report->html);
    }
    fputs("</td></tr>\n", report->html);
}

static void add_test(struct report *report, const char *lab,
                     const struct test *test, const json_t *results)
{
    const json_t *result = result_of(results, test);
    const char *status = json_string_value(json_object_get(result, "status"));
    const char *output = json_string_value(json_object_get(result, "output"));
    bool passed = status && strcmp(status, "passed") == 0;
    char number[LINE_SIZE];

    if (!result)
        output = "This test has no result: the program was not built, or it "
                 "ended before, or time was up.";
    snprintf(number, sizeof(number), "%s.%u", lab, test->number);
    json_array_append_new(report->tests,
                          json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:[s]}",
                                    "name", test->name, "number", number,
                                    "score", passed ? (int)test->points : 0,
                                    "max_score", (int)test->points, "status",
                                    passed ? "passed" : "failed", "output",
                                    output ? output : "", "tags", test->kind));
    write_test(report, test, passed, output ? output : "");
    report->totals.tests++;
    report->totals.possible += test->points;
    report->totals.passed += passed;
    report->totals.points += passed ? test->points : 0;
}

/* Shows the remarks of a lab and keeps them for the other forms. */
static void add_note(struct report *report, const char *lab)
{
    char path[PATH_SIZE];
    FILE *file = fopen(part_path(report, lab, ".note", path), "r");
    char *note = report->notes + strlen(report->notes);
    size_t room = sizeof(report->notes) - strlen(report->notes) - 1;

    if (!file)
        return;
    note[fread(note, 1, room, file)] = '\0';
    fclose(file);
    if (note[0] == '\0')
        return;
    fputs("<pre class=\"note\">", report->html);
    markup_text(report->html, note);
    fputs("</pre>\n", report->html);
}

static bool add_lab(struct report *report, const char *lab)
{
    char path[PATH_SIZE];
    char line[LINE_SIZE];
    struct totals before = report->totals;
    FILE *list = fopen(part_path(report, lab, ".list", path), "r");
    json_t *results =
        json_load_file(part_path(report, lab, ".results", path), 0, NULL);
    size_t length = strlen(report->labs);

    if (!list)
        return false;
    fprintf(report->html, "<h2>Lab %s</h2>\n", lab);
    add_note(report, lab);
    fputs("<table>\n", report->html);
    while (fgets(line, sizeof(line), list)) {
        struct test test = {0};
        const char *name = strrchr(line, ' ');

        line[strcspn(line, "\n")] = '\0';
        if (!name || sscanf(line, "%u %u %15s", &test.number, &test.points,
                            test.kind) != 3)
            continue;
        snprintf(test.name, sizeof(test.name), "%s", name + 1);
        add_test(report, lab, &test, results);
    }
    fclose(list);
    json_decref(results);
    fputs("</table>\n", report->html);
    snprintf(report->labs + length, sizeof(report->labs) - length, "%s%s %u/%u",
             length > 0 ? "; " : "", lab, report->totals.points - before.points,
             report->totals.possible - before.possible);
    return true;
}

static void begin_html(struct report *report)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
          "<title>",
          report->html);
    markup_text(report->html, report->name);
    fputs("</title>\n<style>body { font: 15px sans-serif; margin: 2em; }"
          " table { border-collapse: collapse; } td { border-top: 1px solid"
          " #ccc; padding: 3px 10px; vertical-align: top; } .ok { color:"
          " #060; } .bad { color: #a00; } pre { color: #222; background:"
          " #f4f4f4; padding: 6px; max-height: 30em; overflow: auto; }"
          "</style>\n<h1>",
          report->html);
    markup_text(report->html, report->name);
    fputs("</h1>\n", report->html);
}

static bool write_json(struct report *report)
{
    char path[PATH_SIZE];
    json_t *root =
        json_pack("{s:i, s:s, s:o}", "score", (int)report->totals.points,
                  "output", report->notes, "tests", report->tests);
    int failed =
        json_dump_file(root, part_path(report, "results", ".json", path),
                       JSON_INDENT(1) | JSON_ENSURE_ASCII);

    json_decref(root);
    return failed == 0;
}

/* One line: the submission, its points and tests, by labs, and remarks. */
static void print_line(const struct report *report)
{
    const char *note = report->notes;

    printf("\"%s\",%u,%u,%u,%u,\"%s\",\"", report->name, report->totals.points,
           report->totals.possible, report->totals.passed, report->totals.tests,
           report->labs);
    for (size_t i = 0; note[i] != '\0' && i < LINE_SIZE; i++) {
        if (note[i] == '\n')
            fputs(note[i + 1] == '\0' ? "" : "; ", stdout);
        else
            putchar(note[i] == '"' ? '\'' : note[i]);
    }
    printf("\"\n");
}

int main(int argc, char **argv)
{
    static struct report report;
    char path[PATH_SIZE];
    bool written = true;

    if (argc < 4) {
        fprintf(stderr, "usage: report NAME FOLDER LAB...\n");
        return EXIT_FAILURE;
    }
    report.name = argv[1];
    report.folder = argv[2];
    report.html = fopen(part_path(&report, "report", ".html", path), "w");
    report.tests = json_array();
    if (!report.html) {
        perror(path);
        return EXIT_FAILURE;
    }
    begin_html(&report);
    for (int i = 3; i < argc; i++)
        written &= add_lab(&report, argv[i]);
    fprintf(report.html, "<p><b>%u of %u points</b>, %u of %u tests</p>\n",
            report.totals.points, report.totals.possible, report.totals.passed,
            report.totals.tests);
    written &= fclose(report.html) == 0;
    written &= write_json(&report);
    print_line(&report);
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
