/* SPDX-License-Identifier: MIT */
/*
 * tool_tsv: the text form of keys and values that `pbkv load` reads and `pbkv
 * dump` writes. One entry per line: the key, a TAB, the value. Every octet can
 * be written, so a dump that is loaded again gives the same store:
 *
 *     \t TAB    \n line feed    \\ backslash    \xNN the octet NN (hexadecimal)
 *
 * All other octets stand for themselves, those over 0x7f too, so UTF-8 stays
 * readable. The writer escapes control characters and the backslash only.
 *
 * The reader keeps one entry and forgets the rest: a line of any length costs
 * no more memory than the limits of a key and a value. A line that is wrong is
 * named, skipped to its end, and does not disturb the next.
 */
#ifndef CLIENT_TOOL_TSV_H
#define CLIENT_TOOL_TSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum tsv_result {
    TSV_ENTRY,     /* key and value are set */
    TSV_WRONG,     /* the line makes no sense; problem says why */
    TSV_TOO_LARGE, /* key or value over its limit; problem says which */
    TSV_END,       /* no more lines */
    TSV_FAILED     /* the file cannot be read; errno says why */
};

/* Part of a line, unescaped. */
struct tsv_field {
    uint8_t *octets;
    size_t length;
    size_t limit;
    bool overflow; /* the line had more */
};

struct tsv_reader {
    FILE *file;
    uint64_t line; /* of the newest entry, from 1 */
    const char *problem;
    struct tsv_field key;
    struct tsv_field value;
};

/* Prepares to read entries from file, which stays the caller's, with keys and
 * values of at most so many octets. Release it with tsv_reader_release. */
void tsv_reader_init(struct tsv_reader *reader, FILE *file, size_t key_max,
                     size_t value_max);

/* Reads the next line. After TSV_ENTRY the fields hold the key and the value
 * until the next call; after TSV_TOO_LARGE they hold as much as fits. */
enum tsv_result tsv_read(struct tsv_reader *reader);

/* Frees what the reader holds. The file stays open. */
void tsv_reader_release(struct tsv_reader *reader);

/* Writes octets with escapes. Errors are left in the stream (ferror). */
void tsv_write_field(FILE *file, const void *octets, size_t length);

/* Writes one line: key, TAB, value, line feed. Errors as tsv_write_field. */
void tsv_write(FILE *file, const void *key, size_t key_length,
               const void *value, size_t value_length);

#endif
