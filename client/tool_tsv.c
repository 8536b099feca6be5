/* SPDX-License-Identifier: MIT */
/*
 * tool_tsv: see tool_tsv.h. The reader looks at one octet at a time and pushes
 * it, unescaped, into the field it belongs to. An escape that is cut short by
 * the end of the line gives the line feed back, so that lines never merge.
 */
#include "client/tool_tsv.h"

#include <stdlib.h>

#include "node/memory.h"

void tsv_reader_init(struct tsv_reader *reader, FILE *file, size_t key_max,
                     size_t value_max)
{
    *reader = (struct tsv_reader){.file = file};
    reader->key.limit = key_max;
    reader->key.octets = memory_new(key_max);
    reader->value.limit = value_max;
    reader->value.octets = memory_new(value_max);
}

void tsv_reader_release(struct tsv_reader *reader)
{
    free(reader->key.octets);
    free(reader->value.octets);
    *reader = (struct tsv_reader){0};
}

static void field_clear(struct tsv_field *field)
{
    field->length = 0;
    field->overflow = false;
}

static void field_push(struct tsv_field *field, int octet)
{
    if (field->length < field->limit)
        field->octets[field->length++] = (uint8_t)octet;
    else
        field->overflow = true;
}

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Reads two hexadecimal digits. Returns the octet or -1. */
static int read_hex(FILE *file)
{
    int value = 0;

    for (int i = 0; i < 2; i++) {
        int c = getc_unlocked(file);
        int digit = hex_value(c);

        if (digit < 0) {
            if (c != EOF)
                ungetc(c, file);
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* Reads what follows a backslash. Returns the octet meant, or -1. */
static int read_escape(FILE *file)
{
    int c = getc_unlocked(file);

    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case '\\': return '\\';
    case 'x': return read_hex(file);
    default:
        if (c != EOF)
            ungetc(c, file);
        return -1;
    }
}

/* Judges a complete line. */
static enum tsv_result end_of_line(struct tsv_reader *reader, bool has_tab)
{
    if (!reader->problem && !has_tab)
        reader->problem = "the line has no TAB";
    if (reader->problem)
        return TSV_WRONG;
    if (reader->key.overflow)
        reader->problem = "the key is too large";
    else if (reader->value.overflow)
        reader->problem = "the value is too large";
    return reader->problem ? TSV_TOO_LARGE : TSV_ENTRY;
}

/* Takes the octets of a line up to its end. Returns whether it has a TAB. */
static bool read_line(struct tsv_reader *reader, int c)
{
    struct tsv_field *field = &reader->key;

    for (; c != EOF && c != '\n'; c = getc_unlocked(reader->file)) {
        if (c == '\t') {
            if (field == &reader->value)
                reader->problem = "the line has a second TAB";
            field = &reader->value;
            continue;
        }
        if (c == '\\')
            c = read_escape(reader->file);
        if (c >= 0)
            field_push(field, c);
        else
            reader->problem = "the line has an unknown escape";
    }
    return field == &reader->value;
}

enum tsv_result tsv_read(struct tsv_reader *reader)
{
    int c = getc_unlocked(reader->file);
    bool has_tab;

    if (c == EOF)
        return ferror(reader->file) ? TSV_FAILED : TSV_END;
    reader->line++;
    reader->problem = NULL;
    field_clear(&reader->key);
    field_clear(&reader->value);
    has_tab = read_line(reader, c);
    if (ferror(reader->file))
        return TSV_FAILED;
    return end_of_line(reader, has_tab);
}

void tsv_write_field(FILE *file, const void *octets, size_t length)
{
    const uint8_t *at = octets;

    for (size_t i = 0; i < length; i++) {
        if (at[i] == '\t')
            fputs("\\t", file);
        else if (at[i] == '\n')
            fputs("\\n", file);
        else if (at[i] == '\\')
            fputs("\\\\", file);
        else if (at[i] < 0x20 || at[i] == 0x7f)
            fprintf(file, "\\x%02x", (unsigned)at[i]);
        else
            putc_unlocked(at[i], file);
    }
}

void tsv_write(FILE *file, const void *key, size_t key_length,
               const void *value, size_t value_length)
{
    tsv_write_field(file, key, key_length);
    putc_unlocked('\t', file);
    tsv_write_field(file, value, value_length);
    putc_unlocked('\n', file);
}
