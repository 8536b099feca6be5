/* SPDX-License-Identifier: MIT */
/*
 * settings: see settings.h.
 */
#include "sim/settings.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

static uint32_t *number_of(const struct setting *setting, void *structure)
{
    return (uint32_t *)(void *)((char *)structure + setting->offset);
}

const char *settings_format(const struct settings *settings,
                            const void *structure, char text[SETTINGS_TEXT])
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->table[i];
        uint32_t number;

        memcpy(&number, (const char *)structure + setting->offset,
               sizeof(number));
        if (number == 0 && !setting->always)
            continue;
        used +=
            (size_t)snprintf(text + used, SETTINGS_TEXT - used, "%s%s=%" PRIu32,
                             used > 0 ? "," : "", setting->name, number);
        assert(used < SETTINGS_TEXT);
    }
    return text;
}

static const struct setting *find(const struct settings *settings,
                                  const char *name, size_t length)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->table[i];

        if (strlen(setting->name) == length &&
            memcmp(setting->name, name, length) == 0)
            return setting;
    }
    return NULL;
}

/* Reads `name=number`, length octets at item. */
static bool read_item(const struct settings *settings, const char *item,
                      size_t length, void *structure,
                      char reason[SETTINGS_REASON])
{
    const char *equals = memchr(item, '=', length);
    size_t name = equals ? (size_t)(equals - item) : length;
    const struct setting *setting = find(settings, item, name);
    unsigned long long number;
    char *end;

    if (!setting) {
        snprintf(reason, SETTINGS_REASON, "'%.*s' is nothing that a %s has",
                 (int)(name < 40 ? name : 40), item, settings->noun);
        return false;
    }
    errno = 0;
    number = equals ? strtoull(equals + 1, &end, 10) : 0;
    if (!equals || equals[1] < '0' || equals[1] > '9' || end != item + length ||
        errno != 0 || number < setting->minimum || number > setting->maximum) {
        snprintf(reason, SETTINGS_REASON,
                 "%s needs a number from %" PRIu32 " to %" PRIu32,
                 setting->name, setting->minimum, setting->maximum);
        return false;
    }
    *number_of(setting, structure) = (uint32_t)number;
    return true;
}

/* Returns the next item from *at on, with its length, or NULL. */
static const char *next_item(const char **at, size_t *length)
{
    const char *item = *at + strspn(*at, ", \t\r\n");

    while (*item == '#') {
        item += strcspn(item, "\n");
        item += strspn(item, ", \t\r\n");
    }
    *length = strcspn(item, ", \t\r\n#");
    *at = item + *length;
    return *length > 0 ? item : NULL;
}

bool settings_read(const struct settings *settings, const char *text,
                   void *structure, size_t size, char reason[SETTINGS_REASON])
{
    void *draft = memory_new(size);
    const char *at = text;
    size_t length;
    const char *item = next_item(&at, &length);
    const char *wrong = item ? NULL : "there is nothing in it";
    bool good = item != NULL;

    memcpy(draft, structure, size);
    if (item && !memchr(item, '=', length) &&
        settings->named(item, length, draft))
        item = next_item(&at, &length);
    for (; good && item; item = next_item(&at, &length))
        good = read_item(settings, item, length, draft, reason);
    if (good)
        wrong = settings->wrong(draft);
    if (wrong)
        snprintf(reason, SETTINGS_REASON, "%s", wrong);
    good = good && !wrong;
    if (good)
        memcpy(structure, draft, size);
    free(draft);
    return good;
}

static bool read_file(const struct settings *settings, const char *path,
                      char text[SETTINGS_FILE], char reason[SETTINGS_REASON])
{
    FILE *file = fopen(path, "r");
    size_t length;

    if (!file) {
        snprintf(reason, SETTINGS_REASON,
                 "'%.60s' is neither the name of a %s nor a file", path,
                 settings->noun);
        return false;
    }
    length = fread(text, 1, SETTINGS_FILE, file);
    fclose(file);
    if (length == SETTINGS_FILE) {
        snprintf(reason, SETTINGS_REASON, "'%.60s' is too long", path);
        return false;
    }
    text[length] = '\0';
    return true;
}

bool settings_enter(const struct settings *settings, const char *text,
                    void *structure, size_t size, char reason[SETTINGS_REASON])
{
    char contents[SETTINGS_FILE];

    if (strchr(text, '=') || strchr(text, ',') ||
        settings->named(text, strlen(text), structure))
        return settings_read(settings, text, structure, size, reason);
    return read_file(settings, text, contents, reason) &&
           settings_read(settings, contents, structure, size, reason);
}
