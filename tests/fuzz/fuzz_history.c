/* SPDX-License-Identifier: MIT */
/*
 * fuzz_history: histories that somebody else has written, in all three forms,
 * and the checker that judges them. A reader that refuses says why, in one
 * line; a short history that is read is judged, with little memory.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/history_read.h"
#include "sim/lincheck.h"
#include "tests/fuzz/fuzz.h"

enum {
    OPERATIONS_MAX = 40, /* of a history that is judged */
    MEMORY = 1 << 20,
    QUESTIONS = 200, /* whether the time is over */
};

static bool is_over(void *context)
{
    unsigned *left = context;

    if (*left > 0)
        --*left;
    return *left == 0;
}

static void judge(const struct history *history)
{
    unsigned left = QUESTIONS;
    const struct lincheck_limits limits = {MEMORY, is_over, &left};
    struct lincheck_report report = lincheck_check(history, &limits);

    if (report.verdict == LINCHECK_VIOLATION && report.sentence == NULL)
        abort();
    lincheck_release(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    char error[HISTORY_ERROR_TEXT] = "";
    enum history_form form;
    struct history history;
    FILE *file;

    if (length == 0)
        return 0;
    /* fmemopen only reads in this mode. */
    file = fmemopen((void *)(uintptr_t)octets, length, "r");
    assert(file != NULL);
    history_init(&history);
    if (!history_read(file, &history, &form, error)) {
        if (error[0] == '\0' || strchr(error, '\n') != NULL)
            abort();
    } else if (history.count <= OPERATIONS_MAX &&
               lincheck_misfit(&history, LINCHECK_KV) == history.count) {
        judge(&history);
    }
    history_release(&history);
    fclose(file);
    return 0;
}
