/* SPDX-License-Identifier: MIT */
/*
 * sink: where a node describes itself. A role names its fields once, in its
 * `describe`, and the kind of sink decides what becomes of them: a text to
 * read, canonical octets to compare and intern, or a 128-bit digest of those
 * octets.
 *
 * The canonical form is exact: two nodes have the same octets if and only if
 * they named the same fields with the same values in the same order. A role
 * with an unordered container must describe it in a sorted order.
 */
#ifndef NODE_SINK_H
#define NODE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 16 };

struct digest {
    uint8_t octets[DIGEST_SIZE];
};

enum sink_kind { SINK_TEXT, SINK_CANONICAL };

/* Grows as it is written to. Treat the fields as private. */
struct sink {
    enum sink_kind kind;
    uint32_t depth;
    size_t length;
    size_t capacity;
    char *buffer; /* text always ends in a zero */
};

/* Makes an empty sink; release it with sink_release. */
void sink_init(struct sink *sink, enum sink_kind kind);

/* Frees what the sink holds. */
void sink_release(struct sink *sink);

/* Empties the sink but keeps its memory for the next use. */
void sink_clear(struct sink *sink);

/* Describe one field. name must not be NULL. Octets are copied. */
void sink_u64(struct sink *sink, const char *name, uint64_t value);
void sink_bool(struct sink *sink, const char *name, bool value);
void sink_text(struct sink *sink, const char *name, const char *value);
void sink_octets(struct sink *sink, const char *name, const void *octets,
                 size_t length);

/* Open and close a group of fields; they must balance. A list is a group in
 * which every element uses the same name. */
void sink_open(struct sink *sink, const char *name);
void sink_close(struct sink *sink);

/* Returns the digest of everything described so far. XXH3, 128 bits. */
struct digest sink_digest(const struct sink *sink);

/* Returns whether two digests are the same. */
bool digest_equal(const struct digest *a, const struct digest *b);

/*
 * Returns the first line in which two text sinks differ, as "- old\n+ new\n" in
 * a string that the caller frees, or NULL when they are the same.
 */
char *sink_first_difference(const struct sink *a, const struct sink *b);

#endif
