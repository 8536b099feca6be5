/* SPDX-License-Identifier: MIT */
/*
 * store_report: what a failure shows after its sentence: the last messages that
 * matter, one line each, with the virtual time and the Lamport time; then where
 * the whole trace and the clients' history are, and how to read them.
 *
 * Pings and answers to them that repeat what was said before do not matter, and
 * a message that arrived is one line, not two.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "sim/lincheck.h"
#include "tests/labs/store_state.h"

enum { TIMELINE_LINES = 28, PATH_SIZE = 600 };

static uint64_t number_of(struct store *store, const struct store_line *line)
{
    const Pbkv__Body *body = store_body(store, line);

    if (line->what == PBKV__BODY__KIND_PING)
        return body->ping->view;
    return body->view_reply->view ? body->view_reply->view->number : 0;
}

/* Whether a ping or its answer says what the one before on the same way said.
 */
static bool repeats(struct store *store, size_t index)
{
    const struct store_line *line = &store->lines[index];
    uint64_t number;

    if (line->what != PBKV__BODY__KIND_PING &&
        line->what != PBKV__BODY__KIND_VIEW_REPLY)
        return false;
    number = number_of(store, line);
    while (index-- > 0) {
        const struct store_line *before = &store->lines[index];

        if (before->kind == line->kind && before->what == line->what &&
            before->from == line->from && before->to == line->to &&
            before->from_life == line->from_life)
            return number_of(store, before) == number;
    }
    return false;
}

static bool matters(struct store *store, size_t index)
{
    const struct store_line *line = &store->lines[index];

    return line->kind == LINE_NOTE ||
           (line->what != PBKV__BODY__KIND_GET_VIEW && !repeats(store, index));
}

static void format_party(const struct store *store, int actor, unsigned life,
                         char *text, size_t size)
{
    const char *address = store->actors[actor].address;

    if (life > 1)
        snprintf(text, size, "%s/%u", address, life);
    else
        snprintf(text, size, "%s", address);
}

static void print_line(struct store *store, const struct store_line *line,
                       FILE *out)
{
    static const char *const arrows[] = {"-> ", "=> ", "-x "};
    char from[32];
    char to[32];
    char text[256];

    fprintf(out, "%10.3f ms ", (double)line->time_us / 1000);
    if (line->kind == LINE_NOTE) {
        fprintf(out, "        %s\n", line->note);
        return;
    }
    format_party(store, line->from, line->from_life, from, sizeof(from));
    format_party(store, line->to, line->to_life, to, sizeof(to));
    message_format(store_body(store, line), text, sizeof(text));
    fprintf(out, "L%-6" PRIu64 " %-5s %s%-5s %s%s\n", line->lamport, from,
            arrows[line->kind], to, text,
            line->kind == LINE_LOST ? "  (lost)" : "");
}

static void print_timeline(struct store *store, FILE *out)
{
    size_t chosen[TIMELINE_LINES];
    size_t count = 0;

    for (size_t i = store->line_count; i-- > 0 && count < TIMELINE_LINES;) {
        if (matters(store, i))
            chosen[count++] = i;
    }
    fprintf(out, "the last messages (time, Lamport time; -> is sent, => "
                 "arrives, -x is lost):\n");
    while (count-- > 0)
        print_line(store, &store->lines[chosen[count]], out);
}

/* ---- Files ----------------------------------------------------------------
 */

static const char *name_of(enum history_kind kind)
{
    return kind == HISTORY_PUT      ? "put"
           : kind == HISTORY_APPEND ? "append"
                                    : "get";
}

static void write_text(FILE *file, const struct bytes *text)
{
    if (!text) {
        fprintf(file, "null");
        return;
    }
    fputc('"', file);
    for (uint32_t i = 0; i < text->length; i++) {
        unsigned char c = text->data[i];

        if (c < ' ' || c == '"' || c == '\\' || c > '~')
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

static void write_event(FILE *file, const struct history_op *op,
                        const char *type, uint64_t moment)
{
    fprintf(file,
            "{\"process\":%" PRIu32 ",\"type\":\"%s\",\"f\":\"%s\","
            "\"key\":",
            op->process, type, name_of(op->kind));
    write_text(file, op->key);
    fprintf(file, ",\"value\":");
    write_text(file, op->kind == HISTORY_GET && strcmp(type, "invoke") == 0
                         ? NULL
                         : op->value);
    fprintf(file, ",\"time\":%" PRIu64 "}\n", moment);
}

/* One line for each moment, in the form that lincheck reads. */
static bool write_history(const struct store *store, const char *path)
{
    const struct history *history = &store->history;
    FILE *file = fopen(path, "w");

    if (!file)
        return false;
    for (uint64_t moment = 1; moment <= store->moments; moment++) {
        for (size_t i = 0; i < history->count; i++) {
            const struct history_op *op = &history->ops[i];

            if (op->invoked == moment)
                write_event(file, op, "invoke", moment);
            else if (op->returned == moment)
                write_event(file, op,
                            op->result == HISTORY_DONE ? "ok" : "fail", moment);
        }
    }
    return fclose(file) == 0;
}

static void report(void *context, FILE *out)
{
    struct store *store = context;
    char path[PATH_SIZE];

    if (store->world)
        print_timeline(store, out);
    if (store->trace) {
        trace_close(store->trace);
        store->trace = NULL;
        fprintf(out,
                "trace:   %s/trace.jsonl   (read it in ShiViz; "
                "build/debug/tracecheck FILE)\n",
                store->lab->folder);
    }
    snprintf(path, sizeof(path), "%s/history.jsonl", store->lab->folder);
    if (store->history.count > 0 && write_history(store, path))
        fprintf(out, "history: %s   (build/debug/lincheck FILE)\n", path);
}

void store_report_to(struct store *store)
{
    char path[PATH_SIZE];

    store->lab->reporter = report;
    store->lab->context = store;
    if (store->config.no_trace)
        return;
    snprintf(path, sizeof(path), "%s/trace.jsonl", store->lab->folder);
    unlink(path);
    if (trace_open(path, 0, &store->trace) != 0)
        store->trace = NULL;
}
