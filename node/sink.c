/* SPDX-License-Identifier: MIT */
/*
 * sink: see sink.h. The text form is one "name: value" line per field, indented
 * by two blanks per group, with octets that are not printable written as \xNN.
 * The canonical form is a tag octet, the name with its zero, and the value with
 * its length, so no two descriptions can run together into the same octets.
 */
#include "node/sink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/memory.h"

enum { TAG_NUMBER = 1, TAG_OCTETS = 2, TAG_OPEN = 3, TAG_CLOSE = 4 };

void sink_init(struct sink *sink, enum sink_kind kind)
{
    memset(sink, 0, sizeof(*sink));
    sink->kind = kind;
}

void sink_release(struct sink *sink)
{
    free(sink->buffer);
    memset(sink, 0, sizeof(*sink));
}

void sink_clear(struct sink *sink)
{
    sink->length = 0;
    sink->depth = 0;
    if (sink->buffer)
        sink->buffer[0] = '\0';
}

static char *sink_reserve(struct sink *sink, size_t length)
{
    size_t needed = sink->length + length + 1;

    if (needed > sink->capacity) {
        size_t grown = sink->capacity * 2;

        sink->capacity = grown > needed ? grown : needed + 240;
        sink->buffer = memory_resize(sink->buffer, sink->capacity);
    }
    return sink->buffer + sink->length;
}

static void sink_write(struct sink *sink, const void *octets, size_t length)
{
    char *place = sink_reserve(sink, length);

    if (length > 0)
        memcpy(place, octets, length);
    sink->length += length;
    sink->buffer[sink->length] = '\0';
}

static void sink_string(struct sink *sink, const char *text)
{
    sink_write(sink, text, strlen(text));
}

static void sink_line(struct sink *sink, const char *name)
{
    for (uint32_t i = 0; i < sink->depth; i++)
        sink_string(sink, "  ");
    sink_string(sink, name);
    sink_string(sink, ": ");
}

/* Writes a field in the canonical form. This is what describing a state costs,
 * so it is done in one piece. */
static void sink_field(struct sink *sink, char tag, const char *name,
                       const void *value, size_t length)
{
    size_t name_length = strlen(name) + 1;
    char *place = sink_reserve(sink, 1 + name_length + length);

    *place = tag;
    memcpy(place + 1, name, name_length);
    if (length > 0)
        memcpy(place + 1 + name_length, value, length);
    sink->length += 1 + name_length + length;
    sink->buffer[sink->length] = '\0';
}

void sink_u64(struct sink *sink, const char *name, uint64_t value)
{
    char text[24];

    if (sink->kind == SINK_CANONICAL) {
        sink_field(sink, TAG_NUMBER, name, &value, sizeof(value));
        return;
    }
    snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
    sink_line(sink, name);
    sink_string(sink, text);
}

void sink_bool(struct sink *sink, const char *name, bool value)
{
    sink_u64(sink, name, value ? 1 : 0);
}

void sink_text(struct sink *sink, const char *name, const char *value)
{
    sink_octets(sink, name, value, strlen(value));
}

static void sink_escaped(struct sink *sink, const unsigned char *octets,
                         size_t length)
{
    char text[8];

    for (size_t i = 0; i < length; i++) {
        if (octets[i] >= ' ' && octets[i] <= '~' && octets[i] != '\\')
            sink_write(sink, &octets[i], 1);
        else {
            snprintf(text, sizeof(text), "\\x%02x", octets[i]);
            sink_string(sink, text);
        }
    }
}

void sink_octets(struct sink *sink, const char *name, const void *octets,
                 size_t length)
{
    uint64_t size = length;

    if (sink->kind == SINK_CANONICAL) {
        sink_field(sink, TAG_OCTETS, name, &size, sizeof(size));
        sink_write(sink, octets, length);
        return;
    }
    sink_line(sink, name);
    sink_escaped(sink, octets, length);
    sink_string(sink, "\n");
}

void sink_open(struct sink *sink, const char *name)
{
    if (sink->kind == SINK_CANONICAL)
        sink_field(sink, TAG_OPEN, name, NULL, 0);
    else {
        sink_line(sink, name);
        sink_string(sink, "\n");
    }
    sink->depth++;
}

void sink_close(struct sink *sink)
{
    assert(sink->depth > 0);
    sink->depth--;
    if (sink->kind == SINK_CANONICAL)
        sink_field(sink, TAG_CLOSE, "", NULL, 0);
}

struct digest sink_digest(const struct sink *sink)
{
    XXH128_hash_t hash = XXH3_128bits(sink->buffer, sink->length);
    XXH128_canonical_t canonical;
    struct digest digest;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest.octets, canonical.digest, DIGEST_SIZE);
    return digest;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->octets, b->octets, DIGEST_SIZE) == 0;
}

static const char *sink_content(const struct sink *sink)
{
    assert(sink->kind == SINK_TEXT);
    return sink->buffer ? sink->buffer : "";
}

/* Returns the length of the first line at text, without its end. */
static int line_length(const char *text)
{
    return (int)strcspn(text, "\n");
}

char *sink_first_difference(const struct sink *a, const struct sink *b)
{
    const char *old = sink_content(a);
    const char *new = sink_content(b);
    size_t size;
    char *text;

    while (*old && line_length(old) == line_length(new) &&
           memcmp(old, new, (size_t)line_length(old)) == 0) {
        old += line_length(old) + (old[line_length(old)] == '\n');
        new += line_length(new) + (new[line_length(new)] == '\n');
    }
    if (!*old && !*new)
        return NULL;
    size = (size_t)line_length(old) + (size_t)line_length(new) + 8;
    text = memory_new(size);
    snprintf(text, size, "- %.*s\n+ %.*s\n", line_length(old), old,
             line_length(new), new);
    return text;
}
