/* SPDX-License-Identifier: MIT */
/*
 * tool_json: see tool_json.h. One pass, one octet at a time.
 */
#include "client/tool_json.h"

#include <stdint.h>
#include <string.h>

void json_write_octets(FILE *file, const void *octets, size_t length)
{
    const uint8_t *at = octets;

    putc('"', file);
    for (size_t i = 0; i < length; i++) {
        if (at[i] == '"' || at[i] == '\\')
            fprintf(file, "\\%c", at[i]);
        else if (at[i] < 0x20 || at[i] >= 0x7f)
            fprintf(file, "\\u%04x", (unsigned)at[i]);
        else
            putc(at[i], file);
    }
    putc('"', file);
}

void json_write_text(FILE *file, const char *text)
{
    json_write_octets(file, text, strlen(text));
}
