/* SPDX-License-Identifier: MIT */
/*
 * Reading is strict: a line has exactly the keys that trace.c writes, once
 * each, and every value is in its range. What one line can prove about itself
 * is proved here (a host's clock names the host, a receipt is from another
 * host); what takes two lines is for verify.c.
 *
 * The arrays of a log have no capacity field: an array grows when its count is
 * zero or a power of two, to twice that.
 */
#include "clocks/trace_reader.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct host_names {
    char name[HOST_NAME_MAX_LENGTH + 1];
    size_t number;
    UT_hash_handle hh;
};

/* How every line begins. It cannot occur anywhere else in a line, because a
 * quote in a text is escaped. */
#define LINE_START "{\"host\":\""

enum { KEYS = 5, KEYS_OF_RECEIPT = 7 };

/* ---- Memory -------------------------------------------------------------- */

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("reading a trace: out of memory\n", stderr);
        abort();
    }
    return memory;
}

/* Returns the array with room for one more element than count. */
static void *with_room(void *array, size_t count, size_t element_size)
{
    if ((count & (count - 1)) != 0)
        return array;
    return checked(realloc(array, (count == 0 ? 1 : 2 * count) * element_size));
}

void trace_log_init(struct trace_log *log)
{
    memset(log, 0, sizeof *log);
}

void trace_log_release(struct trace_log *log)
{
    struct host_names *name, *next;

    for (size_t i = 0; i < log->line_count; i++)
        free(log->lines[i].entries);
    for (size_t i = 0; i < log->file_count; i++)
        free(log->files[i]);
    HASH_ITER(hh, log->by_name, name, next)
    {
        HASH_DEL(log->by_name, name);
        free(name);
    }
    free(log->files);
    free(log->hosts);
    free(log->lines);
    free(log->faults);
    trace_log_init(log);
}

/* ---- One line ------------------------------------------------------------ */

/* Returns the number of a host, which may be new. */
static size_t host_number(struct trace_log *log, const char *name)
{
    struct host_names *found;

    HASH_FIND_STR(log->by_name, name, found);
    if (found != NULL)
        return found->number;
    found = checked(calloc(1, sizeof *found));
    memcpy(found->name, name, strlen(name));
    found->number = log->host_count;
    HASH_ADD_STR(log->by_name, name, found);
    log->hosts = with_room(log->hosts, log->host_count, sizeof *log->hosts);
    log->hosts[log->host_count++] = found->name;
    return found->number;
}

/* Each of these stores a value and returns whether it was there and right. */

static bool read_host(struct trace_log *log, const json_t *value, size_t *host)
{
    const char *name = json_string_value(value);

    if (name == NULL || !host_name_is_valid(name, json_string_length(value)))
        return false;
    *host = host_number(log, name);
    return true;
}

static bool read_time(const json_t *value, uint64_t *time)
{
    json_int_t number = json_integer_value(value);

    *time = (uint64_t)number;
    return number >= 1 && *time <= LAMPORT_MAX;
}

static bool read_kind(const json_t *value, enum trace_kind *kind)
{
    static const char *const names[] = {"send", "receive", "event"};
    const char *name = json_string_value(value);

    for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *kind = (enum trace_kind)i;
            return true;
        }
    }
    return false;
}

static int compare_entries(const void *a, const void *b)
{
    const struct line_entry *left = a, *right = b;

    return (left->host > right->host) - (left->host < right->host);
}

static bool read_clock(struct trace_log *log, json_t *clock,
                       struct trace_line *line)
{
    const char *name;
    json_t *time;
    size_t size = json_object_size(clock);

    if (size < 1 || size > CLOCK_ENTRIES_LIMIT)
        return false;
    line->entries = checked(calloc(size, sizeof *line->entries));
    json_object_foreach(clock, name, time)
    {
        struct line_entry *entry = &line->entries[line->count++];

        if (!host_name_is_valid(name, strlen(name)) ||
            !read_time(time, &entry->time))
            return false;
        entry->host = host_number(log, name);
        if (entry->host == line->host)
            line->own = entry->time;
    }
    qsort(line->entries, line->count, sizeof *line->entries, compare_entries);
    return true;
}

/* Fills in the line and returns NULL, or returns what is wrong with it. */
static const char *read_object(struct trace_log *log, json_t *object,
                               struct trace_line *line)
{
    const char *text = json_string_value(json_object_get(object, "event"));

    if (!read_kind(json_object_get(object, "kind"), &line->kind))
        return "The kind is not send, receive or event.";
    if (json_object_size(object) !=
        (line->kind == TRACE_RECEIVE ? KEYS_OF_RECEIPT : KEYS))
        return "The line has keys that its kind does not have, or lacks some.";
    if (text == NULL)
        return "The event is not a text.";
    line->full = strcmp(text, TRACE_FULL) == 0;
    if (!read_host(log, json_object_get(object, "host"), &line->host))
        return "The host is not a host name.";
    if (!read_time(json_object_get(object, "lamport"), &line->lamport))
        return "The Lamport time is not a number from 1 to 2^62.";
    if (!read_clock(log, json_object_get(object, "clock"), line))
        return "The clock is not 1 to 64 host names with times from 1 to 2^62.";
    if (line->own == 0)
        return "The clock does not name its own host.";
    if (line->kind != TRACE_RECEIVE)
        return NULL;
    if (!read_host(log, json_object_get(object, "sender"), &line->sender))
        return "The sender is not a host name.";
    if (!read_time(json_object_get(object, "sent"), &line->sent))
        return "The time of the send is not a number from 1 to 2^62.";
    if (line->sender == line->host)
        return "The receipt is from the host itself.";
    return NULL;
}

/* Returns where in a text of length octets the last whole line starts that
 * follows a torn one, or NULL. */
static const char *after_torn(const char *text, size_t length)
{
    size_t start_length = strlen(LINE_START);

    for (size_t i = length; i > start_length; i--) {
        if (memcmp(text + i - start_length, LINE_START, start_length) == 0)
            return text + i - start_length;
    }
    return NULL;
}

/* Returns the object in a line of length octets, or NULL. */
static json_t *parse(const char *text, size_t length)
{
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *rest = object == NULL ? after_torn(text, length) : NULL;

    if (rest != NULL)
        object = json_loadb(rest, length - (size_t)(rest - text),
                            JSON_REJECT_DUPLICATES, NULL);
    return object;
}

/* ---- A file -------------------------------------------------------------- */

static void add_fault(struct trace_log *log, const struct trace_line *line,
                      const char *sentence)
{
    log->faults = with_room(log->faults, log->fault_count, sizeof *log->faults);
    log->faults[log->fault_count++] =
        (struct trace_fault){line->file, line->number, sentence};
}

static void add_line(struct trace_log *log, uint64_t number, const char *text,
                     size_t length)
{
    struct trace_line line = {.file = log->file_count - 1, .number = number};
    json_t *object = parse(text, length);
    const char *fault = json_is_object(object) ? read_object(log, object, &line)
                                               : "The line is not JSON.";

    json_decref(object);
    if (fault != NULL) {
        free(line.entries);
        add_fault(log, &line, fault);
        return;
    }
    log->lines = with_room(log->lines, log->line_count, sizeof *log->lines);
    log->lines[log->line_count++] = line;
}

int trace_log_read(struct trace_log *log, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t capacity = 0;
    ssize_t length;
    int result = 0;

    if (file == NULL)
        return -errno;
    log->files = with_room(log->files, log->file_count, sizeof *log->files);
    log->files[log->file_count++] = checked(strdup(path));
    errno = 0;
    for (uint64_t number = 1; (length = getline(&text, &capacity, file)) > 0;
         number++) {
        if (text[length - 1] == '\n')
            add_line(log, number, text, (size_t)length - 1);
    }
    if (!feof(file))
        result = errno != 0 ? -errno : -EIO;
    free(text);
    fclose(file);
    return result;
}
