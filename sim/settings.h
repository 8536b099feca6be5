/* SPDX-License-Identifier: MIT */
/*
 * settings: numbers with names, which can be printed on one line and read back
 * from it: `drop=50,dup=50,max_us=20000`. What a seed has drawn is printed this
 * way, and whoever reads it can enter it again.
 *
 * Items are separated by commas, blanks or ends of lines; from a `#` to the end
 * of its line is a remark. So a file can hold them too.
 */
#ifndef SIM_SETTINGS_H
#define SIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SETTINGS_TEXT = 640,   /* octets of all settings as text, with the zero */
    SETTINGS_REASON = 160, /* octets of a reason, with its zero */
    SETTINGS_FILE = 4096,  /* octets of a file with settings */
};

/* A number of a structure, always a uint32_t. */
struct setting {
    const char *name;
    size_t offset;
    uint32_t minimum;
    uint32_t maximum;
    bool always; /* printed also when it is 0 */
};

struct settings {
    const char *noun; /* what they are together: "plan" */
    const struct setting *table;
    size_t count;

    /* Finds a named structure and copies it. Returns false when there is none
     * of that name (length octets without a zero). */
    bool (*named)(const char *name, size_t length, void *structure);

    /* Returns what is wrong with a structure as a whole, or NULL. */
    const char *(*wrong)(const void *structure);
};

/* Writes those numbers of structure that are not 0 into text and returns text.
 */
const char *settings_format(const struct settings *settings,
                            const void *structure, char text[SETTINGS_TEXT]);

/*
 * Reads text into a structure, which holds the defaults: `name=number` sets
 * one; the first item may be a name, whose structure then comes before the
 * others. Returns true, or false with a reason, and then the structure is not
 * changed.
 */
bool settings_read(const struct settings *settings, const char *text,
                   void *structure, size_t size, char reason[SETTINGS_REASON]);

/* Does the same with what a user enters: a name, settings, or the path of a
 * file with either, which is tried when the text has no `=` and is no name. */
bool settings_enter(const struct settings *settings, const char *text,
                    void *structure, size_t size, char reason[SETTINGS_REASON]);

#endif
