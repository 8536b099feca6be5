/* SPDX-License-Identifier: MIT */
/*
 * tool_json: writes octets as a JSON string. JSON strings hold characters, and
 * our keys and values hold octets, so each octet becomes the character of the
 * same number: 0xe9 is written \u00e9. Everything outside printable ASCII is
 * escaped. A reader gets the octets back exactly.
 */
#ifndef CLIENT_TOOL_JSON_H
#define CLIENT_TOOL_JSON_H

#include <stddef.h>
#include <stdio.h>

/* Writes octets as a string with its quotes. Errors are left in the stream. */
void json_write_octets(FILE *file, const void *octets, size_t length);

/* Writes a text, which ends in a zero, the same way. */
void json_write_text(FILE *file, const char *text);

#endif
