/* SPDX-License-Identifier: MIT */
/*
 * lincheck: see lincheck.h. The operations are sorted by key; each key's are
 * checked cheaply, and searched if that finds nothing.
 */
#include "sim/lincheck.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/lincheck_cheap.h"
#include "sim/lincheck_search.h"
#include "sim/lincheck_shrink.h"

enum { SENTENCE_TEXT = 1024 };

size_t lincheck_misfit(const struct history *history, enum lincheck_model model)
{
    size_t i = 0;

    for (; i < history->count; i++) {
        enum history_kind kind = history->ops[i].kind;

        if ((kind == HISTORY_APPEND && model != LINCHECK_KV) ||
            (kind == HISTORY_CAS && model != LINCHECK_CAS))
            break;
    }
    return i;
}

/* ---- Keys ---- */

static int compare_keys(const struct bytes *a, const struct bytes *b)
{
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, shorter);

    return order != 0 ? order
                      : (a->length > b->length) - (a->length < b->length);
}

static int compare_ops(const void *left, const void *right)
{
    const struct history_op *a = *(const struct history_op *const *)left;
    const struct history_op *b = *(const struct history_op *const *)right;
    int order = a->key == b->key ? 0 : compare_keys(a->key, b->key);

    if (order != 0)
        return order;
    if (a->invoked != b->invoked)
        return a->invoked < b->invoked ? -1 : 1;
    return (a > b) - (a < b);
}

static const struct history_op **sort_ops(const struct history *history)
{
    const struct history_op **ops =
        memory_new((history->count + 1) * sizeof(*ops));

    for (size_t i = 0; i < history->count; i++)
        ops[i] = &history->ops[i];
    qsort(ops, history->count, sizeof(*ops), compare_ops);
    return ops;
}

/* Returns how many operations from the first have its key. */
static size_t same_key(const struct history_op *const *ops, size_t count)
{
    size_t same = 1;

    while (same < count && bytes_equal(ops[0]->key, ops[same]->key))
        same++;
    return same;
}

/* ---- Reports ---- */

static int compare_indices(const void *left, const void *right)
{
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;

    return (a > b) - (a < b);
}

static void set_failing(struct lincheck_report *report,
                        const struct history *history,
                        const struct history_op *const *ops, size_t count,
                        const struct history_op *culprit)
{
    report->verdict = LINCHECK_VIOLATION;
    report->failing = memory_new((count + 1) * sizeof(*report->failing));
    report->failing_count = count;
    for (size_t i = 0; i < count; i++)
        report->failing[i] = (size_t)(ops[i] - history->ops);
    qsort(report->failing, count, sizeof(*report->failing), compare_indices);
    report->culprit = (size_t)(culprit - history->ops);
}

static void report_finding(struct lincheck_report *report,
                           const struct history *history,
                           const struct finding *finding)
{
    set_failing(report, history, finding->ops, finding->count,
                finding->culprit);
    report->sentence = memory_copy_text(finding->sentence);
}

static void report_failure(struct lincheck_report *report,
                           const struct history *history,
                           struct failure *failure)
{
    char text[SENTENCE_TEXT];
    char op[SENTENCE_TEXT / 2];

    set_failing(report, history, failure->ops, failure->count,
                failure->culprit);
    lincheck_describe(failure->culprit, op, sizeof(op));
    snprintf(text, sizeof(text), "no order explains every answer up to %s", op);
    report->sentence = memory_copy_text(text);
    report->reason = failure->reason;
    failure->reason = NULL;
}

/* ---- Deciding ---- */

static void check_part(const struct history *history,
                       const struct history_op *const *ops, size_t count,
                       const struct lincheck_limits *limits,
                       struct lincheck_report *report)
{
    struct part *part =
        part_new(ops, count, HISTORY_PENDING - 1, history->no_absence);
    struct search_result result = {.verdict = LINCHECK_VIOLATION};
    struct finding finding;

    if (cheap_check(part, &finding)) {
        report_finding(report, history, &finding);
        part_free(part);
        return;
    }
    result = search_part(part, limits);
    report->states += result.states;
    if (result.verdict == LINCHECK_UNKNOWN)
        report->verdict = LINCHECK_UNKNOWN;
    if (result.verdict == LINCHECK_VIOLATION) {
        struct failure failure =
            shrink_failure(ops, count, history->no_absence, limits);

        report_failure(report, history, &failure);
        failure_release(&failure);
    }
    search_release(&result);
    part_free(part);
}

struct lincheck_report lincheck_check(const struct history *history,
                                      const struct lincheck_limits *limits)
{
    const struct history_op **ops = sort_ops(history);
    struct lincheck_report report = {.verdict = LINCHECK_LINEARIZABLE};
    size_t count;

    for (size_t at = 0; at < history->count; at += count) {
        count = same_key(ops + at, history->count - at);
        report.keys++;
        if (count > report.longest)
            report.longest = count;
        if (report.verdict != LINCHECK_VIOLATION)
            check_part(history, ops + at, count, limits, &report);
    }
    free(ops);
    return report;
}

void lincheck_release(struct lincheck_report *report)
{
    free(report->sentence);
    free(report->reason);
    free(report->failing);
    memset(report, 0, sizeof(*report));
}
