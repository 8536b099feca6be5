/* SPDX-License-Identifier: MIT */
/*
 * lincheck_html: a history as one page: a lane for each process, a bar for each
 * operation. Moments become columns: only their order counts, so each distinct
 * moment of the operations shown takes the same room. Pointing at a bar shows
 * the operation in full.
 */
#include "sim/lincheck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum {
    COLUMN = 14, /* pixels for each moment */
    LANE = 26,
    BAR = 18,
    MARGIN = 90, /* for the names of processes */
    TOP = 10,
    LETTER = 7, /* about */
    OP_TEXT = 1024,
};

struct drawing {
    FILE *file;
    const struct history *history;
    const struct lincheck_report *report;
    const struct history_op **ops; /* shown */
    size_t count;
    uint64_t *moments; /* distinct, ascending */
    size_t moment_count;
    uint32_t *processes; /* distinct, ascending */
    size_t process_count;
};

static void write_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': fputs("&lt;", file); break;
        case '>': fputs("&gt;", file); break;
        case '&': fputs("&amp;", file); break;
        case '"': fputs("&quot;", file); break;
        default: putc(*text, file);
        }
    }
}

/* ---- What is shown, and where ---- */

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

/* Of a violation only the key concerned is shown. */
static bool is_shown(const struct drawing *drawing, const struct history_op *op)
{
    const struct lincheck_report *report = drawing->report;

    return report->verdict != LINCHECK_VIOLATION ||
           bytes_equal(op->key, drawing->history->ops[report->culprit].key);
}

static void choose_ops(struct drawing *drawing)
{
    const struct history *history = drawing->history;

    drawing->ops = memory_new((history->count + 1) * sizeof(*drawing->ops));
    for (size_t i = 0; i < history->count; i++) {
        if (is_shown(drawing, &history->ops[i]))
            drawing->ops[drawing->count++] = &history->ops[i];
    }
}

static void lay_out(struct drawing *drawing)
{
    size_t moments = 0;
    size_t kept = 0;

    drawing->moments =
        memory_new((2 * drawing->count + 1) * sizeof(*drawing->moments));
    drawing->processes =
        memory_new((drawing->count + 1) * sizeof(*drawing->processes));
    for (size_t i = 0; i < drawing->count; i++) {
        drawing->processes[i] = drawing->ops[i]->process;
        drawing->moments[moments++] = drawing->ops[i]->invoked;
        if (drawing->ops[i]->returned != HISTORY_PENDING)
            drawing->moments[moments++] = drawing->ops[i]->returned;
    }
    qsort(drawing->moments, moments, sizeof(uint64_t), compare_u64);
    for (size_t i = 0; i < moments; i++) {
        if (kept == 0 || drawing->moments[kept - 1] != drawing->moments[i])
            drawing->moments[kept++] = drawing->moments[i];
    }
    drawing->moment_count = kept;
    qsort(drawing->processes, drawing->count, sizeof(uint32_t), compare_u32);
    kept = 0;
    for (size_t i = 0; i < drawing->count; i++) {
        if (kept == 0 || drawing->processes[kept - 1] != drawing->processes[i])
            drawing->processes[kept++] = drawing->processes[i];
    }
    drawing->process_count = kept;
}

static size_t column_of(const struct drawing *drawing, uint64_t moment)
{
    const uint64_t *found;

    if (moment == HISTORY_PENDING)
        return drawing->moment_count + 1;
    found = bsearch(&moment, drawing->moments, drawing->moment_count,
                    sizeof(moment), compare_u64);
    return (size_t)(found - drawing->moments);
}

static size_t lane_of(const struct drawing *drawing, uint32_t process)
{
    const uint32_t *found =
        bsearch(&process, drawing->processes, drawing->process_count,
                sizeof(process), compare_u32);

    return (size_t)(found - drawing->processes);
}

static size_t width_of(const struct drawing *drawing)
{
    return MARGIN + (drawing->moment_count + 2) * COLUMN;
}

/* ---- Writing ---- */

static void write_head(const struct drawing *drawing)
{
    static const char *const verdicts[] = {"linearizable", "not linearizable",
                                           "unknown: a limit was reached"};
    const struct lincheck_report *report = drawing->report;

    fprintf(drawing->file,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
            "<meta charset=\"utf-8\">\n<title>history: %s</title>\n<style>\n"
            "body { font: 13px sans-serif; margin: 20px }\n"
            "div { overflow-x: auto }\n"
            "text { font: 11px monospace; pointer-events: none }\n"
            ".lane { stroke: #ddd }\n.bar { fill: #cfe0f3; stroke: #789 }\n"
            ".get { fill: #e6f2d9 }\n.pending { stroke-dasharray: 4 3 }\n"
            ".failed { fill: #eee }\n"
            ".part { fill: #ffd98a; stroke: #a60; stroke-width: 2 }\n"
            ".culprit { fill: #f4a3a0; stroke: #b00; stroke-width: 2 }\n"
            "</style>\n</head>\n<body>\n<h1>%s</h1>\n",
            verdicts[report->verdict], verdicts[report->verdict]);
    fputs("<p>", drawing->file);
    if (report->sentence)
        write_text(drawing->file, report->sentence);
    fputs("</p>\n<p>", drawing->file);
    if (report->reason)
        write_text(drawing->file, report->reason);
    fprintf(drawing->file,
            "</p>\n<p>%zu of %zu operations. Time goes to the right; a dashed "
            "bar has no answer. Orange: the smallest failing part; red: what "
            "fits nowhere.</p>\n",
            drawing->count, drawing->history->count);
}

static const char *class_of(const struct drawing *drawing,
                            const struct history_op *op)
{
    const struct lincheck_report *report = drawing->report;
    size_t index = (size_t)(op - drawing->history->ops);

    if (report->verdict == LINCHECK_VIOLATION && index == report->culprit)
        return "culprit";
    for (size_t i = 0; i < report->failing_count; i++) {
        if (report->failing[i] == index)
            return "part";
    }
    if (op->result == HISTORY_FAILED)
        return "failed";
    return op->kind == HISTORY_GET ? "get" : "set";
}

static void write_bar(const struct drawing *drawing,
                      const struct history_op *op)
{
    size_t from = column_of(drawing, op->invoked);
    size_t to = column_of(drawing, op->returned);
    size_t x = MARGIN + from * COLUMN;
    size_t y = TOP + lane_of(drawing, op->process) * LANE;
    size_t width = to > from ? (to - from) * COLUMN : COLUMN / 2;
    char text[OP_TEXT];
    const char *shown;

    lincheck_describe(op, text, sizeof(text));
    fprintf(drawing->file,
            "<rect class=\"bar %s%s\" x=\"%zu\" y=\"%zu\" width=\"%zu\" "
            "height=\"%d\" rx=\"3\"><title>",
            class_of(drawing, op),
            op->returned == HISTORY_PENDING ? " pending" : "", x, y, width,
            BAR);
    write_text(drawing->file, text);
    fprintf(drawing->file, "</title></rect>\n<text x=\"%zu\" y=\"%zu\">", x + 4,
            y + BAR - 5);
    shown = strchr(text, ' '); /* behind `process`, and its number */
    shown = strchr(shown + 1, ' ') + 1;
    text[(size_t)(shown - text) + width / LETTER < sizeof(text)
             ? (size_t)(shown - text) + width / LETTER
             : sizeof(text) - 1] = '\0';
    write_text(drawing->file, shown);
    fputs("</text>\n", drawing->file);
}

static void write_lanes(const struct drawing *drawing)
{
    for (size_t i = 0; i < drawing->process_count; i++) {
        size_t y = TOP + i * LANE;

        fprintf(drawing->file,
                "<text x=\"0\" y=\"%zu\">process %" PRIu32 "</text>\n"
                "<line class=\"lane\" x1=\"%d\" x2=\"%zu\" y1=\"%zu\" "
                "y2=\"%zu\"/>\n",
                y + BAR - 5, drawing->processes[i], MARGIN, width_of(drawing),
                y + BAR / 2, y + BAR / 2);
    }
}

void lincheck_draw(FILE *file, const struct history *history,
                   const struct lincheck_report *report)
{
    struct drawing drawing = {
        .file = file, .history = history, .report = report};

    choose_ops(&drawing);
    lay_out(&drawing);
    write_head(&drawing);
    fprintf(file, "<div>\n<svg width=\"%zu\" height=\"%zu\">\n",
            width_of(&drawing), drawing.process_count * LANE + 2 * TOP);
    write_lanes(&drawing);
    for (size_t i = 0; i < drawing.count; i++)
        write_bar(&drawing, drawing.ops[i]);
    fputs("</svg>\n</div>\n</body>\n</html>\n", file);
    free(drawing.processes);
    free(drawing.moments);
    free(drawing.ops);
}
