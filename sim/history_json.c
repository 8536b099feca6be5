/* SPDX-License-Identifier: MIT */
/*
 * history_json: a line of JSON as an event. A text stands for octets: each
 * character is the octet of the same number, so one above 255 is a mistake.
 */
#include "sim/history_read.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* Turns UTF-8 of characters up to 255 into octets. NULL: there is another. */
static struct bytes *octets_of(const char *text, size_t length)
{
    struct bytes *bytes = bytes_new_uninitialised(length);
    uint32_t used = 0;

    for (size_t i = 0; i < length; i++) {
        uint8_t first = (uint8_t)text[i];

        if (first < 0x80) {
            bytes->data[used++] = first;
        } else if (first < 0xc4) { /* two octets in valid UTF-8 */
            i++;
            bytes->data[used++] =
                (uint8_t)((first & 3) << 6 | ((uint8_t)text[i] & 0x3f));
        } else {
            bytes_release(bytes);
            return NULL;
        }
    }
    bytes->length = used;
    return bytes;
}

/* Reads null, a text or a number. */
static const char *read_scalar(const json_t *json, struct bytes **value)
{
    char number[32];

    *value = NULL;
    if (!json || json_is_null(json))
        return NULL;
    if (json_is_integer(json)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                 json_integer_value(json));
        *value = bytes_new(number, strlen(number));
        return NULL;
    }
    if (!json_is_string(json))
        return "a value is neither null nor a text nor a whole number";
    *value = octets_of(json_string_value(json), json_string_length(json));
    return *value ? NULL : "a text has a character that is no octet";
}

static const char *read_value(const json_t *json, struct history_event *event)
{
    const char *wrong;

    if (!json_is_array(json))
        return read_scalar(json, &event->value);
    if (json_array_size(json) != 2)
        return "a list has not two values";
    event->is_pair = true;
    wrong = read_scalar(json_array_get(json, 0), &event->expected);
    return wrong ? wrong : read_scalar(json_array_get(json, 1), &event->value);
}

static const char *read_names(const json_t *json, struct history_event *event)
{
    const json_t *type = json_object_get(json, "type");
    const json_t *kind = json_object_get(json, "f");

    if (!json_is_string(type) ||
        !history_type_named(json_string_value(type), json_string_length(type),
                            &event->type))
        return "type is not invoke, ok, fail or info";
    if (!json_is_string(kind) ||
        !history_kind_named(json_string_value(kind), json_string_length(kind),
                            &event->kind))
        return "f is not get, put, append, read, write or cas";
    return NULL;
}

static const char *read_event(const json_t *json, struct history_event *event)
{
    const json_t *process = json_object_get(json, "process");
    const char *wrong;

    if (!json_is_object(json))
        return "it is no JSON object";
    if (!json_is_integer(process) || json_integer_value(process) < 0 ||
        json_integer_value(process) > UINT32_MAX)
        return "process is no number from 0 to 4294967295";
    event->process = (uint32_t)json_integer_value(process);
    wrong = read_names(json, event);
    if (!wrong)
        wrong = read_scalar(json_object_get(json, "key"), &event->key);
    return wrong ? wrong : read_value(json_object_get(json, "value"), event);
}

const char *history_read_json(const char *line, size_t length,
                              struct history_event *event)
{
    json_t *json =
        json_loadb(line, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = json ? read_event(json, event) : "it is no JSON";

    json_decref(json);
    return wrong;
}
