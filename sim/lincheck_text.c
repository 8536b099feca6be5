/* SPDX-License-Identifier: MIT */
/*
 * lincheck_text: what the checker says: operations in one line each, and the
 * report of a violation. Octets that do not print are written \xNN, and of a
 * long value only the beginning and the end are shown.
 */
#include "sim/lincheck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_HEAD = 20, /* octets of a long value */
    SHOWN_TAIL = 16,
    LINE_TEXT = 1024,
};

static size_t write_octets(char *text, const uint8_t *octets, size_t length)
{
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        bool plain = octets[i] >= 0x20 && octets[i] < 0x7f;

        if (plain && octets[i] != '"' && octets[i] != '\\')
            text[used++] = (char)octets[i];
        else if (plain)
            used += (size_t)sprintf(text + used, "\\%c", octets[i]);
        else
            used += (size_t)sprintf(text + used, "\\x%02x", octets[i]);
    }
    return used;
}

const char *lincheck_value_text(const struct bytes *value, char *text)
{
    size_t used = 0;

    if (!value)
        return "nothing";
    text[used++] = '"';
    if (value->length <= SHOWN_HEAD + SHOWN_TAIL + 3) {
        used += write_octets(text + used, value->data, value->length);
    } else {
        used += write_octets(text + used, value->data, SHOWN_HEAD);
        used += (size_t)sprintf(text + used, "...");
        used += write_octets(
            text + used, value->data + value->length - SHOWN_TAIL, SHOWN_TAIL);
    }
    memcpy(text + used, "\"", 2);
    return text;
}

static const char *answer_text(const struct history_op *op)
{
    if (op->result == HISTORY_FAILED)
        return " (failed)";
    if (op->returned == HISTORY_PENDING)
        return " (no answer)";
    return op->result == HISTORY_REFUSED ? " -> refused" : " -> ok";
}

void lincheck_describe(const struct history_op *op, char *text, size_t size)
{
    static const char *const kinds[] = {"get", "put", "append", "cas"};
    char key[LINCHECK_VALUE_TEXT];
    char value[LINCHECK_VALUE_TEXT];
    char expected[LINCHECK_VALUE_TEXT];
    const char *answer = answer_text(op);
    int used = snprintf(text, size, "process %" PRIu32 " %s", op->process,
                        kinds[op->kind]);
    size_t at = (size_t)used < size ? (size_t)used : size;

    if (op->key->length > 0)
        used += snprintf(text + at, size - at, " %s",
                         lincheck_value_text(op->key, key));
    at = (size_t)used < size ? (size_t)used : size;
    if (op->kind == HISTORY_GET && op->returned != HISTORY_PENDING &&
        op->result == HISTORY_DONE)
        snprintf(text + at, size - at, " -> %s",
                 lincheck_value_text(op->value, value));
    else if (op->kind == HISTORY_GET)
        snprintf(text + at, size - at, "%s", answer);
    else if (op->kind == HISTORY_CAS)
        snprintf(text + at, size - at, " %s to %s%s",
                 lincheck_value_text(op->expected, expected),
                 lincheck_value_text(op->value, value), answer);
    else
        snprintf(text + at, size - at, " %s%s",
                 lincheck_value_text(op->value, value), answer);
}

static void print_op(FILE *file, const struct history_op *op, bool is_culprit)
{
    char text[LINE_TEXT];

    lincheck_describe(op, text, sizeof(text));
    if (op->returned == HISTORY_PENDING)
        fprintf(file, "%c %8" PRIu64 " .. %-8s %s\n", is_culprit ? '*' : ' ',
                op->invoked, "", text);
    else
        fprintf(file, "%c %8" PRIu64 " .. %-8" PRIu64 " %s\n",
                is_culprit ? '*' : ' ', op->invoked, op->returned, text);
}

void lincheck_print(FILE *file, const struct history *history,
                    const struct lincheck_report *report)
{
    char text[LINE_TEXT];

    if (report->verdict != LINCHECK_VIOLATION)
        return;
    fprintf(file,
            "%s\n\nthe smallest failing part (%zu of %zu operations; * "
            "fits nowhere):\n",
            report->sentence, report->failing_count, history->count);
    for (size_t i = 0; i < report->failing_count; i++)
        print_op(file, &history->ops[report->failing[i]],
                 report->failing[i] == report->culprit);
    lincheck_describe(&history->ops[report->culprit], text, sizeof(text));
    fprintf(file, "\nwhat fits nowhere: %s\n", text);
    if (report->reason)
        fprintf(file, "why: %s\n", report->reason);
}
