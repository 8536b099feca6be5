/* SPDX-License-Identifier: MIT */
/*
 * fuzz_view_record: the state file of a view service (V11). What is accepted is
 * possible, and is octet for octet what is written for it: every record has
 * exactly one encoding.
 *
 * A checksum that fits would hardly ever be guessed, so an input is also tried
 * with the right one: its last line is replaced.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tests/fuzz/fuzz.h"
#include "viewservice/view_record.h"
#include "viewservice/view_server.h"

enum { INPUT_MAX = 2048, LINE_MAX_OCTETS = 32 };

static void read_record(const void *octets, size_t length)
{
    static const struct view_server_config config = {.ping_ms = 1,
                                                     .dead_pings = 3};
    struct view_record record;
    const char *reason = NULL;
    struct bytes *again;

    if (view_record_decode(octets, length, &record, &reason) < 0) {
        if (reason == NULL)
            abort();
        return;
    }
    again = view_record_encode(&record);
    if (again->length != length || memcmp(again->data, octets, length) != 0)
        abort();
    bytes_release(again);
    node_release(view_server_new(&config, &record));
}

/* Tries the input with the checksum that it should have. */
static void read_with_checksum(const uint8_t *octets, size_t length)
{
    char text[INPUT_MAX + LINE_MAX_OCTETS];
    int line;

    while (length > 0 && octets[length - 1] == '\n')
        length--;
    while (length > 0 && octets[length - 1] != '\n')
        length--;
    memcpy(text, octets, length);
    line = snprintf(text + length, LINE_MAX_OCTETS, "checksum %016" PRIx64 "\n",
                    (uint64_t)XXH64(octets, length, 0));
    read_record(text, length + (size_t)line);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    if (length > INPUT_MAX)
        return 0;
    read_record(octets, length);
    read_with_checksum(octets, length);
    return 0;
}
