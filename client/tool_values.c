/* SPDX-License-Identifier: MIT */
/*
 * tool_values: put, get, append and echo: one call each. Values are octets; a
 * key on the command line is taken as it is. A value that comes from a file is
 * read up to one octet more than the store takes, so a file of any size, or one
 * without end, is refused like any other value that is too large.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool.h"
#include "node/memory.h"

typedef enum pbkv_status (*update_function)(struct pbkv *, const void *, size_t,
                                            const void *, size_t, uint32_t);

/* ---- The value ---------------------------------------------------------- */

static void copy_argument(const char *text, struct pbkv_value *value)
{
    value->length = strlen(text);
    value->data = memory_copy_text(text);
}

/* Reads a stream to its end, or to the limit and one octet more. */
static int read_stream(struct tool *tool, FILE *file, const char *name,
                       struct pbkv_value *value)
{
    enum { SIZE = PBKV_VALUE_MAX + 1 };

    value->data = memory_new(SIZE);
    value->length = fread(value->data, 1, SIZE, file);
    if (!ferror(file))
        return TOOL_OK;
    tool_say(tool, "cannot read %s: %s", name, strerror(errno));
    return TOOL_NEGATIVE;
}

static int read_file(struct tool *tool, const char *path,
                     struct pbkv_value *value)
{
    FILE *file = fopen(path, "rbe");
    int status;

    if (!file) {
        tool_say(tool, "cannot open %s: %s", path, strerror(errno));
        return TOOL_NEGATIVE;
    }
    status = read_stream(tool, file, path, value);
    fclose(file);
    return status;
}

/* Gets the value that the operand (NULL: none) or --file names. */
static int take_value(struct tool *tool, const char *operand, const char *path,
                      struct pbkv_value *value)
{
    if (path && strcmp(path, "-") != 0)
        return read_file(tool, path, value);
    if (path || strcmp(operand, "-") == 0)
        return read_stream(tool, stdin, "standard input", value);
    copy_argument(operand, value);
    return TOOL_OK;
}

/* ---- Commands ----------------------------------------------------------- */

/* put and append: the same but for what they do. */
static int run_update(struct tool *tool, const char *name, const char *purpose,
                      update_function update, int argc, char **argv)
{
    const char *path = NULL;
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("file", "F", "take the value from a file", &path),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        name, "KEY [VALUE|-]", purpose, options, TOOL_COUNT(options), 1, 2};
    struct pbkv_value value = {NULL, 0};
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    if ((argc - at == 2) == (path != NULL))
        return program_refuse(&program, "expected either VALUE or --file F");
    status = take_value(tool, argv[at + 1], path, &value);
    if (status == TOOL_OK)
        status = tool_open(tool, 1);
    if (status == TOOL_OK)
        status = tool_conclude_update(tool, update(tool->store, argv[at],
                                                   strlen(argv[at]), value.data,
                                                   value.length, 0));
    free(value.data);
    return status;
}

int tool_put(struct tool *tool, int argc, char **argv)
{
    return run_update(tool, "pbkv put",
                      "Stores VALUE under KEY in the place of what was there.\n"
                      "With '-' the value is what standard input holds.",
                      pbkv_put, argc, argv);
}

int tool_append(struct tool *tool, int argc, char **argv)
{
    return run_update(tool, "pbkv append",
                      "Adds VALUE to the end of what is stored under KEY; a\n"
                      "key that was never written counts as empty. With '-'\n"
                      "the value is what standard input holds.",
                      pbkv_append, argc, argv);
}

int tool_get(struct tool *tool, int argc, char **argv)
{
    bool newline = false;
    const struct program_option options[] = {
        PROGRAM_FLAG_OPTION("newline", "write a line feed after the value",
                            &newline),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        "pbkv get",
        "KEY",
        "Writes the octets stored under KEY to standard output, as they are.\n"
        "Exit status 1 when the key was never written.",
        options,
        TOOL_COUNT(options),
        1,
        1};
    struct pbkv_value value;
    enum pbkv_status result;
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    status = tool_open(tool, 1);
    if (status != TOOL_OK)
        return status;
    result = pbkv_get(tool->store, argv[at], strlen(argv[at]), 0, &value);
    if (result == PBKV_OK)
        fwrite(value.data, 1, value.length, stdout);
    if (result == PBKV_OK && newline)
        putchar('\n');
    pbkv_free(&value);
    return tool_conclude_read(tool, result);
}

int tool_echo(struct tool *tool, int argc, char **argv)
{
    const char *to = NULL;
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("to", "ADDR",
                            "whom to send it to (the view service)", &to),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        "pbkv echo",
        "[TEXT]",
        "Sends TEXT to a server, or to the view service, and writes what "
        "comes\n"
        "back: proof that somebody is there and understands us.",
        options,
        TOOL_COUNT(options),
        0,
        1};
    struct pbkv_value reply;
    enum pbkv_status result;
    const char *text;
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status == PROGRAM_GO_ON && to)
        status = tool_check_address(&program, "--to", to);
    if (status != PROGRAM_GO_ON)
        return status;
    status = tool_open(tool, 1);
    if (status != TOOL_OK)
        return status;
    to = to ? to : tool->view_service;
    text = at < argc ? argv[at] : "hello";
    result = pbkv_echo(tool->store, to, text, strlen(text), 0, &reply);
    if (result == PBKV_OK) {
        fwrite(reply.data, 1, reply.length, stdout);
        putchar('\n');
    }
    pbkv_free(&reply);
    return tool_conclude_asked(tool, result, to);
}
