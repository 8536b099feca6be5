/* SPDX-License-Identifier: MIT */
/*
 * history_read: see history_read.h. Each form turns a line into an event; here
 * the ends are matched with their invocations, by process.
 */
#include "sim/history_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "node/memory.h"

#define uthash_malloc(size)       memory_new(size)
#define uthash_free(memory, size) free(memory)
#include <uthash.h>

/* A process that was seen, and its operation under way. */
struct reader_process {
    uint32_t number;
    bool busy;
    size_t op;
    UT_hash_handle hh;
};

struct reader {
    struct history *history;
    struct reader_process *processes;
    uint64_t line;
    uint64_t events;
    enum history_form form;
    bool form_is_known;
};

/* ---- Names ---- */

static bool is_named(const char *name, size_t length, const char *wanted)
{
    return strlen(wanted) == length && memcmp(name, wanted, length) == 0;
}

bool history_type_named(const char *name, size_t length,
                        enum history_type *type)
{
    static const char *const names[] = {"invoke", "ok", "fail", "info"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (is_named(name, length, names[i])) {
            *type = (enum history_type)i;
            return true;
        }
    }
    return false;
}

bool history_kind_named(const char *name, size_t length,
                        enum history_kind *kind)
{
    static const struct {
        const char *name;
        enum history_kind kind;
    } names[] = {
        {"get", HISTORY_GET},       {"read", HISTORY_GET},
        {"put", HISTORY_PUT},       {"write", HISTORY_PUT},
        {"append", HISTORY_APPEND}, {"cas", HISTORY_CAS},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (is_named(name, length, names[i].name)) {
            *kind = names[i].kind;
            return true;
        }
    }
    return false;
}

/* ---- Events ---- */

static struct reader_process *find_process(struct reader *reader,
                                           uint32_t number)
{
    struct reader_process *process;

    HASH_FIND(hh, reader->processes, &number, sizeof(number), process);
    if (process)
        return process;
    process = memory_new(sizeof(*process));
    process->number = number;
    HASH_ADD(hh, reader->processes, number, sizeof(number), process);
    return process;
}

static const char *invoke(struct reader *reader, struct history_event *event,
                          struct reader_process *process)
{
    if (process->busy)
        return "the process has an operation that has not ended";
    if (event->kind == HISTORY_GET && (event->value || event->is_pair))
        return "a read is invoked with a value";
    if (event->kind != HISTORY_GET && !event->value)
        return "a write has no value";
    if ((event->kind == HISTORY_CAS) != event->is_pair)
        return "a cas, and nothing else, has two values";
    process->busy = true;
    process->op = history_invoke(reader->history, event->process, event->kind,
                                 event->key, event->value, reader->line);
    if (event->kind == HISTORY_CAS)
        history_expect(reader->history, process->op, event->expected);
    return NULL;
}

static bool same(const struct bytes *a, const struct bytes *b)
{
    return a && b ? bytes_equal(a, b) : a == b;
}

/* Whether an end repeats the values of its invocation. */
static bool repeats(const struct history_event *event,
                    const struct history_op *op)
{
    return event->is_pair == (op->kind == HISTORY_CAS) &&
           same(event->value, op->value) && same(event->expected, op->expected);
}

static const char *end_ok(struct reader *reader, struct history_event *event,
                          size_t index)
{
    const struct history_op *op = &reader->history->ops[index];
    bool given = event->value || event->is_pair;

    if (op->kind == HISTORY_GET && event->is_pair)
        return "a read has two values";
    if (op->kind != HISTORY_GET && given && !repeats(event, op))
        return "the end has another value than the invocation";
    history_return(reader->history, index, event->value, reader->line);
    return NULL;
}

static const char *end(struct reader *reader, struct history_event *event,
                       struct reader_process *process)
{
    const struct history_op *op;

    if (!process->busy)
        return "the process has no operation that could end";
    op = &reader->history->ops[process->op];
    if (op->kind != event->kind || !bytes_equal(op->key, event->key))
        return "the end is that of another operation";
    process->busy = false;
    if (event->type == HISTORY_OK)
        return end_ok(reader, event, process->op);
    if (event->type == HISTORY_FAIL)
        history_end(reader->history, process->op,
                    op->kind == HISTORY_CAS && repeats(event, op)
                        ? HISTORY_REFUSED
                        : HISTORY_FAILED,
                    reader->line);
    return NULL;
}

static const char *add_event(struct reader *reader, struct history_event *event)
{
    struct reader_process *process = find_process(reader, event->process);

    reader->events++;
    if (!event->key)
        event->key = bytes_new("", 0);
    return event->type == HISTORY_INVOKE ? invoke(reader, event, process)
                                         : end(reader, event, process);
}

/* ---- Lines ---- */

static size_t skip_blanks(const char *line, size_t length)
{
    size_t at = 0;

    while (at < length && strchr(" \t\r\n,", line[at]) && line[at] != '\0')
        at++;
    return at;
}

static enum history_form form_of(const char *line, size_t length)
{
    size_t at = skip_blanks(line, length);

    if (line[at] != '{')
        return HISTORY_LOG;
    at++;
    at += skip_blanks(line + at, length - at);
    return at < length && line[at] == ':' ? HISTORY_EDN : HISTORY_JSON;
}

static const char *read_line(struct reader *reader, const char *line,
                             size_t length)
{
    struct history_event event = {.process = 0};
    const char *wrong;

    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (skip_blanks(line, length) == length)
        return NULL;
    if (!reader->form_is_known)
        reader->form = form_of(line, length);
    reader->form_is_known = true;
    switch (reader->form) {
    case HISTORY_JSON: wrong = history_read_json(line, length, &event); break;
    case HISTORY_EDN: wrong = history_read_edn(line, length, &event); break;
    default: wrong = history_read_log(line, length, &event); break;
    }
    if (!wrong && !event.ignored)
        wrong = add_event(reader, &event);
    bytes_release(event.key);
    bytes_release(event.value);
    bytes_release(event.expected);
    return wrong;
}

static const char *read_lines(struct reader *reader, FILE *file)
{
    const char *wrong = NULL;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while (!wrong && (length = getline(&line, &size, file)) >= 0) {
        reader->line++;
        wrong = read_line(reader, line, (size_t)length);
    }
    free(line);
    if (!wrong && ferror(file))
        wrong = strerror(errno);
    if (!wrong && reader->form_is_known && reader->events == 0)
        wrong = "there is no operation in it";
    return wrong;
}

bool history_read(FILE *file, struct history *history, enum history_form *form,
                  char *error)
{
    struct reader reader = {.history = history, .form = HISTORY_JSON};
    const char *wrong = read_lines(&reader, file);
    struct reader_process *process;
    struct reader_process *next;

    HASH_ITER(hh, reader.processes, process, next)
    {
        HASH_DEL(reader.processes, process);
        free(process);
    }
    *form = reader.form;
    history->no_absence = reader.form == HISTORY_EDN;
    if (wrong)
        snprintf(error, HISTORY_ERROR_TEXT, "line %" PRIu64 ": %s", reader.line,
                 wrong);
    return !wrong;
}
