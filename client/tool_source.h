/* SPDX-License-Identifier: MIT */
/*
 * tool_source: where load and verify get entries from, one by one: the lines of
 * a TSV file, or the files below a directory, by path. A key can stand in a
 * file more than once, and then the last line counts.
 *
 * What cannot be an entry, because it is too large, cannot be read or makes no
 * sense, is handed out too, with its name and the reason. Nothing is lost
 * without a word.
 */
#ifndef CLIENT_TOOL_SOURCE_H
#define CLIENT_TOOL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;

/* An entry. The octets belong to whoever holds the item: item_release. */
struct item {
    uint8_t *key;
    size_t key_length;
    uint8_t *value;
    size_t value_length;
};

/* Frees an item's octets and empties it. */
void item_release(struct item *item);

enum source_result {
    SOURCE_ITEM,    /* *item is the next entry */
    SOURCE_REFUSED, /* something that is no entry: source_name, _reason */
    SOURCE_END      /* no more */
};

/*
 * Opens a directory, a TSV file, or standard input ("-"). With last_only, a key
 * that stands in a file more than once comes once, with its last value; that
 * takes a file that can be read twice. excludes: see tree_read. Returns 0 and
 * the source for the caller to close, or a negative errno.
 */
int source_open(const char *path, const char *excludes, bool last_only,
                struct source **source);

/* Gets the next entry. After SOURCE_ITEM the caller owns *item. */
enum source_result source_next(struct source *source, struct item *item);

/* Return what was refused and why, until the next call. */
const char *source_name(const struct source *source);
const char *source_reason(const struct source *source);

/* Returns what there is to count: "lines" or "files". */
const char *source_unit(const struct source *source);

/* Returns how many of them there are; 0: not known. */
uint64_t source_total(const struct source *source);

/* Closes a source. NULL is allowed. */
void source_close(struct source *source);

#endif
