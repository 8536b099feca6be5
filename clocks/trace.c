/* SPDX-License-Identifier: MIT */
/*
 * A line is put together in the buffer, octet by octet, after there is certain
 * to be room for it: most octets of a text become at most six, everything else
 * has a fixed maximum. The buffer goes to the file in one write, which the
 * system does in one piece on a file opened for appending, so lines of several
 * programs do not mix.
 *
 * A trace is there to help and must never do harm: after the first error the
 * writer throws lines away, and whoever asked for the write learns of it once.
 */
#include "clocks/trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 64 * 1024,
    NUMBER_MAX = 20, /* digits of a number */
    ESCAPE_MAX = 6,  /* octets that one octet of text becomes */
    /* Octets of an entry: name, number, two quotes, colon and comma. */
    ENTRY_MAX = HOST_NAME_MAX_LENGTH + NUMBER_MAX + 4,
    /* Octets of a line without its clock and text. */
    LINE_REST_MAX = 128 + 2 * HOST_NAME_MAX_LENGTH + 2 * NUMBER_MAX,
    DELETE = 0x7f,
    HEX_DIGIT_MASK = 0xf,
};

struct trace {
    int fd;
    bool silent;     /* an error has been reported, or the file is full */
    uint64_t limit;  /* octets of the file; 0: no bound */
    uint64_t size;   /* octets of the file, as of the last write */
    size_t length;   /* octets in buffer */
    size_t capacity; /* of buffer */
    char *buffer;
};

/* ---- Putting a line together --------------------------------------------- */

static void put_octets(struct trace *trace, const void *octets, size_t length)
{
    assert(length <= trace->capacity - trace->length);
    memcpy(trace->buffer + trace->length, octets, length);
    trace->length += length;
}

static void put_text(struct trace *trace, const char *text)
{
    put_octets(trace, text, strlen(text));
}

static void put_number(struct trace *trace, uint64_t number)
{
    char digits[NUMBER_MAX];
    size_t first = NUMBER_MAX;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_octets(trace, digits + first, NUMBER_MAX - first);
}

/* Puts a 16-bit unit as "\u" and four digits. */
static void put_unit(struct trace *trace, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    char text[ESCAPE_MAX] = {'\\', 'u'};

    for (size_t i = 0; i < 4; i++)
        text[2 + i] = digits[unit >> (12 - 4 * i) & HEX_DIGIT_MASK];
    put_octets(trace, text, sizeof text);
}

/* Returns how many octets a UTF-8 sequence has that begins with this octet, or
 * 0 when none does. */
static size_t utf8_expected(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Returns the length of the UTF-8 sequence at text, or 0 when there is none:
 * stray or missing octets, longer than needed, a surrogate, or past U+10FFFF.
 * The zero at the end of text ends a sequence, too. */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = utf8_expected(text[0]);

    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) ||
        (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

/* Returns the code point U+2028 or U+2029 when text begins with it, else 0.
 * They end a line for JavaScript, and so for ShiViz. */
static unsigned line_separator(const unsigned char *text)
{
    if (text[0] == 0xe2 && text[1] == 0x80 && (text[2] & 0xfe) == 0xa8)
        return 0x2000U + (text[2] - 0x80U);
    return 0;
}

/* Puts the character at text and returns how many octets of text that was. */
static size_t put_character(struct trace *trace, const unsigned char *text)
{
    size_t length = utf8_length(text);

    if (length == 0 || text[0] < ' ' || text[0] == DELETE) {
        put_unit(trace, text[0]);
        return 1;
    }
    if (text[0] == '"' || text[0] == '\\')
        put_octets(trace, "\\", 1);
    if (line_separator(text) != 0)
        put_unit(trace, line_separator(text));
    else
        put_octets(trace, text, length);
    return length;
}

static void put_escaped(struct trace *trace, const char *text)
{
    const unsigned char *next = (const unsigned char *)text;

    while (*next != '\0')
        next += put_character(trace, next);
}

static void put_clock(struct trace *trace, const struct vclock *clock)
{
    for (size_t i = 0; i < clock->count; i++) {
        const struct vclock_entry *entry = &clock->entries[i];

        put_text(trace, i == 0 ? "{\"" : ",\"");
        put_octets(trace, entry->host, entry->length);
        put_text(trace, "\":");
        put_number(trace, entry->time);
    }
    put_text(trace, "}");
}

static const char *kind_name(enum trace_kind kind)
{
    switch (kind) {
    case TRACE_SEND: return "send";
    case TRACE_RECEIVE: return "receive";
    case TRACE_EVENT: break;
    }
    return "event";
}

static void put_line(struct trace *trace, const struct host_clock *clock,
                     enum trace_kind kind, const char *sender, uint64_t sent,
                     const char *text)
{
    put_text(trace, "{\"host\":\"");
    put_text(trace, host_clock_name(clock));
    put_text(trace, "\",\"lamport\":");
    put_number(trace, clock->lamport.time);
    put_text(trace, ",\"clock\":");
    put_clock(trace, &clock->vector);
    put_text(trace, ",\"kind\":\"");
    put_text(trace, kind_name(kind));
    if (kind == TRACE_RECEIVE) {
        put_text(trace, "\",\"sender\":\"");
        put_text(trace, sender);
        put_text(trace, "\",\"sent\":");
        put_number(trace, sent);
        put_text(trace, ",\"event\":\"");
    } else {
        put_text(trace, "\",\"event\":\"");
    }
    put_escaped(trace, text);
    put_text(trace, "\"}\n");
}

/* ---- Handing lines to the system ----------------------------------------- */

/* Notes how long the file is: others may write to it, too. */
static void size_update(struct trace *trace, size_t written)
{
    struct stat status;

    if (fstat(trace->fd, &status) == 0 && S_ISREG(status.st_mode))
        trace->size = (uint64_t)status.st_size;
    else
        trace->size += written;
}

/* Writes the buffer and empties it. Returns 0, or the negative errno of the
 * error after which the trace is silent. */
static int hand_over(struct trace *trace)
{
    size_t written = 0;

    while (written < trace->length) {
        ssize_t count =
            write(trace->fd, trace->buffer + written, trace->length - written);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            trace->silent = true;
            trace->length = 0;
            return -errno;
        }
        written += (size_t)count;
    }
    if (written > 0)
        size_update(trace, written);
    trace->length = 0;
    return 0;
}

/* Makes room for so many octets more, by writing lines if they are in the way.
 * Returns as hand_over. */
static int make_room(struct trace *trace, size_t needed)
{
    char *bigger;

    if (needed <= trace->capacity - trace->length)
        return 0;

    int result = hand_over(trace);

    if (result != 0 || needed <= trace->capacity)
        return result;
    bigger = realloc(trace->buffer, needed);
    if (bigger == NULL) {
        trace->silent = true;
        return -ENOMEM;
    }
    trace->buffer = bigger;
    trace->capacity = needed;
    return 0;
}

static bool is_over_limit(const struct trace *trace)
{
    return trace->limit != 0 && trace->size + trace->length > trace->limit;
}

/* Returns what a line needs at most. */
static size_t line_max(const struct host_clock *clock, const char *text)
{
    size_t text_length = strlen(text);

    if (text_length < strlen(TRACE_FULL))
        text_length = strlen(TRACE_FULL);
    return LINE_REST_MAX + ENTRY_MAX * clock->vector.count +
           ESCAPE_MAX * text_length;
}

/* ---- Interface ----------------------------------------------------------- */

int trace_open(const char *path, uint64_t limit_octets, struct trace **trace)
{
    struct trace *new = calloc(1, sizeof *new);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    int error = fd < 0 ? errno : ENOMEM;

    if (new != NULL)
        new->buffer = malloc(BUFFER_SIZE);
    if (new == NULL || new->buffer == NULL || fd < 0) {
        if (new != NULL)
            free(new->buffer);
        free(new);
        if (fd >= 0)
            close(fd);
        return -error;
    }
    new->fd = fd;
    new->limit = limit_octets;
    new->capacity = BUFFER_SIZE;
    size_update(new, 0);
    *trace = new;
    return 0;
}

int trace_write(struct trace *trace, const struct host_clock *clock,
                enum trace_kind kind, const char *sender, uint64_t sent,
                const char *text)
{
    assert(kind != TRACE_RECEIVE || sender != NULL);
    if (trace->silent)
        return 0;

    int result = make_room(trace, line_max(clock, text));
    size_t before = trace->length;

    if (result != 0)
        return result;
    put_line(trace, clock, kind, sender, sent, text);
    if (is_over_limit(trace)) {
        trace->length = before;
        put_line(trace, clock, kind, sender, sent, TRACE_FULL);
        result = hand_over(trace);
        trace->silent = true;
    }
    return result;
}

int trace_flush(struct trace *trace)
{
    return hand_over(trace);
}

int trace_close(struct trace *trace)
{
    if (trace == NULL)
        return 0;

    bool reported = trace->silent;
    int result = hand_over(trace);

    if (close(trace->fd) != 0 && result == 0 && !reported)
        result = -errno;
    free(trace->buffer);
    free(trace);
    return result;
}
