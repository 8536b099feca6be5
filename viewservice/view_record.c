/* SPDX-License-Identifier: MIT */
/*
 * view_record: writing and reading the state file's text. See view_record.h for
 * the format.
 *
 * The writer appends to an array that is large enough for every record. The
 * reader is a cursor that takes what it expects or fails; it never skips, so
 * there is only one way to write each record. The checksum comes before the
 * fields: it is written again from the octets before it and must be found there
 * octet by octet, so nothing parses it. The fields are then what some view
 * service once wrote, and they are still checked, because a checksum does not
 * stop an operator with an editor and a calculator.
 */
#include "viewservice/view_record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define RECORD_TITLE "pbkv view record "

enum {
    RECORD_VERSION = 1,
    DIGITS_MAX = 20,    /* of a 64-bit number in base 10 */
    CHECKSUM_LINE = 26, /* octets of "checksum ", 16 digits, end of line */
};

bool view_record_is_possible(const struct view_record *record)
{
    const struct peer *primary = &record->view.primary;
    const struct peer *backup = &record->view.backup;
    bool has_primary = peer_is_present(primary);
    bool has_backup = peer_is_present(backup);

    if (record->acknowledged > record->view.number)
        return false;
    if (record->view.number == UINT64_MAX) /* it could have no successor */
        return false;
    if (has_primary != (record->view.number > 0))
        return false;
    if (has_primary != (primary->incarnation > 0))
        return false;
    if (has_backup != (backup->incarnation > 0))
        return false;
    if (!has_backup)
        return true;
    return has_primary && !address_equal(&primary->address, &backup->address);
}

/* ---- Writing ---- */

struct writer {
    size_t length;
    char text[VIEW_RECORD_MAX];
};

static void put_octets(struct writer *writer, const char *octets, size_t length)
{
    assert(length <= sizeof(writer->text) - writer->length);
    memcpy(writer->text + writer->length, octets, length);
    writer->length += length;
}

static void put_text(struct writer *writer, const char *text)
{
    assert(text != NULL);
    put_octets(writer, text, strlen(text));
}

static void put_number(struct writer *writer, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t first = sizeof(digits);

    do {
        assert(first > 0);
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_octets(writer, digits + first, sizeof(digits) - first);
}

static void put_peer(struct writer *writer, const struct peer *peer)
{
    if (!peer_is_present(peer)) {
        put_text(writer, "none\n");
        return;
    }
    assert(peer->incarnation > 0);
    put_number(writer, peer->incarnation);
    put_text(writer, " ");
    put_octets(writer, peer->address.text, peer->address.length);
    put_text(writer, "\n");
}

/* Writes the checksum line of the length octets at text. */
static void format_checksum(const char *text, size_t length,
                            char line[CHECKSUM_LINE])
{
    static const char label[] = "checksum ";
    uint64_t sum = XXH64(text, length, 0);
    size_t end = CHECKSUM_LINE - 1;

    line[end] = '\n';
    while (end > sizeof(label) - 1) {
        line[--end] = "0123456789abcdef"[sum & 0xf];
        sum >>= 4;
    }
    assert(sum == 0);
    memcpy(line, label, sizeof(label) - 1);
}

struct bytes *view_record_encode(const struct view_record *record)
{
    struct writer writer = {0};
    char checksum[CHECKSUM_LINE];

    assert(view_record_is_possible(record));
    put_text(&writer, RECORD_TITLE);
    put_number(&writer, RECORD_VERSION);
    put_text(&writer, "\nview ");
    put_number(&writer, record->view.number);
    put_text(&writer, "\nprimary ");
    put_peer(&writer, &record->view.primary);
    put_text(&writer, "backup ");
    put_peer(&writer, &record->view.backup);
    put_text(&writer, "acknowledged ");
    put_number(&writer, record->acknowledged);
    put_text(&writer, "\n");
    format_checksum(writer.text, writer.length, checksum);
    put_octets(&writer, checksum, sizeof(checksum));
    return bytes_new(writer.text, writer.length);
}

/* ---- Reading ---- */

struct reader {
    const char *at;
    size_t left;
};

/* Each take_ function moves over what it names and returns whether it was
 * there. After a false the reader is of no more use. */
static bool take_text(struct reader *reader, const char *text)
{
    size_t length = strlen(text);

    assert(length > 0);
    if (reader->left < length || memcmp(reader->at, text, length) != 0)
        return false;
    reader->at += length;
    reader->left -= length;
    return true;
}

static bool take_number(struct reader *reader, uint64_t *number)
{
    size_t count = 0;

    assert(number != NULL);
    *number = 0;
    while (reader->left > 0 && *reader->at >= '0' && *reader->at <= '9') {
        uint64_t digit = (uint64_t)(*reader->at - '0');
        if (count > 0 && *number == 0)
            return false; /* a leading zero: a second encoding */
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
        reader->at++;
        reader->left--;
        count++;
    }
    return count > 0;
}

static bool take_address(struct reader *reader, struct address *address)
{
    const char *end = memchr(reader->at, '\n', reader->left);
    size_t length;

    assert(address != NULL);
    if (end == NULL)
        return false;
    length = (size_t)(end - reader->at);
    if (address_init(address, reader->at, length) != 0)
        return false;
    reader->at += length;
    reader->left -= length;
    return true;
}

static bool take_peer(struct reader *reader, struct peer *peer)
{
    assert(!peer_is_present(peer));
    if (take_text(reader, "none\n"))
        return true;
    return take_number(reader, &peer->incarnation) && take_text(reader, " ") &&
           take_address(reader, &peer->address) && take_text(reader, "\n");
}

static bool take_fields(struct reader *reader, struct view_record *record)
{
    assert(record->view.number == 0);
    return take_text(reader, "view ") &&
           take_number(reader, &record->view.number) &&
           take_text(reader, "\nprimary ") &&
           take_peer(reader, &record->view.primary) &&
           take_text(reader, "backup ") &&
           take_peer(reader, &record->view.backup) &&
           take_text(reader, "acknowledged ") &&
           take_number(reader, &record->acknowledged) &&
           take_text(reader, "\n") && reader->left == 0;
}

/* Takes the checksum line from the end of the reader's octets. */
static bool take_checksum(struct reader *reader, const char *start)
{
    char expected[CHECKSUM_LINE];
    const char *line;

    assert(reader->at >= start);
    if (reader->left < CHECKSUM_LINE)
        return false;
    reader->left -= CHECKSUM_LINE;
    line = reader->at + reader->left;
    format_checksum(start, (size_t)(line - start), expected);
    return memcmp(line, expected, CHECKSUM_LINE) == 0;
}

int view_record_decode(const void *octets, size_t length,
                       struct view_record *record, const char **reason)
{
    struct reader reader = {.at = octets, .left = length};
    struct view_record decoded = {0};
    uint64_t version;

    assert(record != NULL && reason != NULL);
    *reason = "it is not a view record";
    if (length == 0 || !take_text(&reader, RECORD_TITLE) ||
        !take_number(&reader, &version) || !take_text(&reader, "\n"))
        return -EBADMSG;
    *reason = "it is a view record of a version that this program cannot read";
    if (version != RECORD_VERSION)
        return -EPROTO;
    *reason = "it is truncated or corrupt: its checksum does not match";
    if (!take_checksum(&reader, octets))
        return -EBADMSG;
    *reason = "it has a line that is not understood";
    if (!take_fields(&reader, &decoded))
        return -EBADMSG;
    *reason = "it names a view that cannot be";
    if (!view_record_is_possible(&decoded))
        return -EPROTO;
    *reason = NULL;
    *record = decoded;
    return 0;
}
