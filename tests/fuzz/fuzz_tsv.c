/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tsv: the text form of keys and values. Every entry that is read is
 * within its limits, and is read again as it was after it was written.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool_tsv.h"
#include "tests/fuzz/fuzz.h"

enum { KEY_MAX = 8, VALUE_MAX = 24, ROOM = 4 * (KEY_MAX + VALUE_MAX) + 16 };

static void read_again(const struct tsv_reader *reader)
{
    char text[ROOM];
    struct tsv_reader again;
    FILE *file = fmemopen(text, sizeof(text), "w+");

    assert(file != NULL);
    tsv_write(file, reader->key.octets, reader->key.length,
              reader->value.octets, reader->value.length);
    rewind(file);
    tsv_reader_init(&again, file, KEY_MAX, VALUE_MAX);
    if (tsv_read(&again) != TSV_ENTRY ||
        again.key.length != reader->key.length ||
        again.value.length != reader->value.length ||
        (again.key.length > 0 &&
         memcmp(again.key.octets, reader->key.octets, again.key.length) != 0) ||
        (again.value.length > 0 &&
         memcmp(again.value.octets, reader->value.octets, again.value.length) !=
             0))
        abort();
    tsv_reader_release(&again);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    struct tsv_reader reader;
    enum tsv_result result;
    FILE *file;

    if (length == 0)
        return 0;
    /* fmemopen only reads in this mode. */
    file = fmemopen((void *)(uintptr_t)octets, length, "r");
    assert(file != NULL);
    tsv_reader_init(&reader, file, KEY_MAX, VALUE_MAX);
    while ((result = tsv_read(&reader)) != TSV_END) {
        if (result == TSV_FAILED)
            abort();
        if (reader.key.length > KEY_MAX || reader.value.length > VALUE_MAX)
            abort();
        if (result == TSV_ENTRY)
            read_again(&reader);
        else if (reader.problem == NULL)
            abort();
    }
    tsv_reader_release(&reader);
    fclose(file);
    return 0;
}
