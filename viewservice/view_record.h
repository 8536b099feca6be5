/* SPDX-License-Identifier: MIT */
/*
 * view_record: what a view service must never forget (rule V11), as it stands
 * in its state file. A view service that lost it could crown a second primary.
 *
 * The record is text, so that an operator can read it with `cat`:
 *
 *     pbkv view record 1
 *     view 3
 *     primary 1732176000000000 127.0.0.1:7001
 *     backup none
 *     acknowledged 2
 *     checksum 5d5fdb3d0a6b7e1c
 *
 * A server is written as its incarnation and then its address, up to the end of
 * the line. The checksum is the XXH64 (seed 0) of all octets before its line.
 * Every record has exactly one encoding, and decoding accepts nothing else: one
 * flipped bit, a missing octet or one too many refuses the file, because to
 * guess here is to risk two primaries.
 */
#ifndef VIEWSERVICE_VIEW_RECORD_H
#define VIEWSERVICE_VIEW_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/view.h"

enum { VIEW_RECORD_MAX = 512 /* octets of an encoded record, at the most */ };

struct view_record {
    struct view view;
    /* Number of the newest view that its primary has acknowledged (rule V3).
     * The view is acknowledged when this is its number. */
    uint64_t acknowledged;
};

/* Returns whether a view service can have been in this state: view 0 has no
 * servers, every other view has a primary, a backup is somebody else at another
 * address, servers have incarnations, and nothing newer than the view is
 * acknowledged. */
bool view_record_is_possible(const struct view_record *record);

/* Returns the encoding of a possible record. The caller owns one reference. */
struct bytes *view_record_encode(const struct view_record *record);

/*
 * Decodes length octets. Returns 0 and the record; or -EBADMSG when they are
 * not the exact encoding of a record (truncated, corrupt, something appended),
 * or -EPROTO when they are of another version or name an impossible view. On
 * failure *reason is a constant clause for a person to read, to follow the
 * file's name and a colon, and *record is unchanged.
 */
int view_record_decode(const void *octets, size_t length,
                       struct view_record *record, const char **reason);

#endif
