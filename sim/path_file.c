/* SPDX-License-Identifier: MIT */
/*
 * path_file: see path_file.h. A line is a word and its arguments; each kind has
 * a function that reads the arguments.
 */
#include "sim/path_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/message.h"

/* The rest of a line, and who its names may mean. */
struct rest {
    char *text;
    const struct explorer_node *nodes;
    uint32_t count;
};

static char *next_word(struct rest *rest)
{
    return strtok_r(NULL, " ", &rest->text);
}

static int read_host(struct rest *rest, uint32_t *host)
{
    const char *name = next_word(rest);

    for (*host = 0; name && *host < rest->count; ++*host) {
        if (strcmp(rest->nodes[*host].address, name) == 0)
            return 0;
    }
    return -EBADMSG;
}

static int read_number(struct rest *rest, uint64_t *number)
{
    const char *word = next_word(rest);
    char *end;

    if (!word || *word < '0' || *word > '9')
        return -EBADMSG;
    *number = strtoull(word, &end, 10);
    return *end == '\0' ? 0 : -EBADMSG;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Turns hexadecimal digits into octets, in place. Returns their number, or
 * -EBADMSG. */
static long from_hex(char *text)
{
    size_t length = strlen(text);

    if (length % 2 != 0)
        return -EBADMSG;
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);

        if (high < 0 || low < 0)
            return -EBADMSG;
        text[i / 2] = (char)(16 * high + low);
    }
    return (long)(length / 2);
}

static int read_body(struct rest *rest, struct path_line *read)
{
    char *hex = next_word(rest);
    long length = hex ? from_hex(hex) : -EBADMSG;
    struct arena arena;
    Pbkv__Body *body;
    int result;

    if (length < 0)
        return -EBADMSG;
    read->body = (const uint8_t *)hex;
    read->length = (size_t)length;
    arena_init(&arena);
    result = message_decode(&arena, read->body, read->length, &body);
    arena_release(&arena);
    return result == 0 ? 0 : -EBADMSG;
}

static int read_deliver(struct rest *rest, struct path_line *read)
{
    if (read_host(rest, &read->from) < 0 ||
        read_number(rest, &read->from_life) < 0 ||
        read_host(rest, &read->host) < 0 ||
        read_number(rest, &read->to_life) < 0)
        return -EBADMSG;
    return read_body(rest, read);
}

static int read_timer(struct rest *rest, struct path_line *read)
{
    uint64_t slot;

    if (read_host(rest, &read->host) < 0 || read_number(rest, &slot) < 0 ||
        slot >= TIMERS_MAX)
        return -EBADMSG;
    read->slot = (uint32_t)slot;
    return 0;
}

static int read_who(struct rest *rest, struct path_line *read)
{
    return read_host(rest, &read->host);
}

static int read_forget(struct rest *rest, struct path_line *read)
{
    const char *but = next_word(rest);
    const char *kind = but ? next_word(rest) : NULL;
    const ProtobufCFieldDescriptor *field;

    if (!but)
        return 0;
    field = kind && strcmp(but, "but") == 0
                ? protobuf_c_message_descriptor_get_field_by_name(
                      &pbkv__body__descriptor, kind)
                : NULL;
    if (!field)
        return -EBADMSG;
    read->but = field->id;
    return 0;
}

static int read_system(struct rest *rest, struct path_line *read)
{
    read->system = next_word(rest);
    return read->system ? 0 : -EBADMSG;
}

int path_line_read(char *line, const struct explorer_node *nodes,
                   uint32_t count, struct path_line *read)
{
    static const struct {
        const char *word;
        enum path_line_kind kind;
        int (*read)(struct rest *rest, struct path_line *read);
    } kinds[] = {
        {"system", PATH_SYSTEM, read_system},
        {"deliver", PATH_DELIVER, read_deliver},
        {"lose", PATH_LOSE, read_deliver},
        {"timer", PATH_TIMER, read_timer},
        {"crash", PATH_CRASH, read_who},
        {"restart", PATH_RESTART, read_who},
        {"act", PATH_ACT, read_who},
        {"forget", PATH_FORGET, read_forget},
    };
    struct rest rest = {NULL, nodes, nodes ? count : 0};
    const char *word = strtok_r(line, " ", &rest.text);

    *read = (struct path_line){.kind = PATH_NOTHING};
    if (!word || word[0] == '#')
        return 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(word, kinds[i].word) != 0)
            continue;
        read->kind = kinds[i].kind;
        return kinds[i].read(&rest, read);
    }
    return -EBADMSG;
}
