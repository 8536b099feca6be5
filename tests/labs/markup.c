/* SPDX-License-Identifier: MIT */
/*
 * markup: see markup.h. The characters that mean something to XML are written
 * by their names, so the text may stand between tags and in an attribute.
 */
#include "tests/labs/markup.h"

bool markup_is_plain(char c)
{
    return c == '\n' || (c >= ' ' && c <= '~');
}

void markup_text(FILE *file, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", file); break;
        case '>': fputs("&gt;", file); break;
        case '&': fputs("&amp;", file); break;
        case '"': fputs("&quot;", file); break;
        default: fputc(markup_is_plain(*text) ? *text : '?', file);
        }
    }
}
