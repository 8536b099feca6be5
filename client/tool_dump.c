/* SPDX-License-Identifier: MIT */
/*
 * tool_dump: the whole store as TSV, or as files. The library reads it page by
 * page; every entry is written as it comes, so a store of any size passes
 * through. Files appear complete or not at all (tool_output), and only below
 * the directory that was named (tool_path).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/tool.h"
#include "client/tool_output.h"
#include "client/tool_path.h"
#include "client/tool_tsv.h"

struct dump {
    struct tool *tool;
    FILE *stream; /* of TSV; NULL: files */
    int root;     /* directory of files */
    int error;    /* negative errno that ends the dump */
    uint64_t entries;
    uint64_t octets;
    uint64_t refused;
};

/* ---- Entries ------------------------------------------------------------ */

static void dump_line(struct dump *dump, const struct pbkv_entry *entry)
{
    errno = 0;
    tsv_write(dump->stream, entry->key, entry->key_length, entry->value,
              entry->value_length);
    if (ferror(dump->stream))
        dump->error = errno != 0 ? -errno : -EIO;
}

/* Writes the file of an entry. Returns 0 or a negative errno. */
static int write_file(struct dump *dump, const char *path,
                      const struct pbkv_entry *entry)
{
    struct tool_output output;
    const char *name;
    int error, parent = path_open_parent(dump->root, path, &name);

    if (parent < 0)
        return parent;
    error = tool_output_open_in(&output, dump->tool->stop, parent, name);
    if (error == 0) {
        fwrite(entry->value, 1, entry->value_length, output.stream);
        error = tool_output_commit(&output, false);
    }
    close(parent);
    return error;
}

/* Returns whether the next file will fail like this one. */
static bool ends_everything(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EROFS;
}

static void dump_file(struct dump *dump, const struct pbkv_entry *entry)
{
    const char *reason = path_refuse(entry->key, entry->key_length);
    char path[PBKV_KEY_MAX + 1];
    int error = 0;

    if (!reason && entry->key_length > PBKV_KEY_MAX)
        reason = "the key is too large";
    if (!reason) {
        memcpy(path, entry->key, entry->key_length);
        path[entry->key_length] = '\0';
        error = write_file(dump, path, entry);
    }
    if (ends_everything(error)) {
        dump->error = error;
    } else if (reason || error != 0) {
        dump->refused++;
        tool_say_refused(dump->tool, entry->key, entry->key_length,
                         reason ? reason : strerror(-error));
    }
}

/* A pbkv_entry_function. */
static bool on_entry(void *context, const struct pbkv_entry *entry)
{
    struct dump *dump = context;

    if (dump->stream)
        dump_line(dump, entry);
    else
        dump_file(dump, entry);
    dump->entries++;
    dump->octets += entry->key_length + entry->value_length;
    tool_progress_update(&dump->tool->progress, dump->entries, dump->octets);
    return dump->error == 0 && !tool_stop_wanted(dump->tool->stop);
}

/* ---- The whole ---------------------------------------------------------- */

/* Returns how many keys the primary has, 0 if that cannot be told. */
static uint64_t count_keys(struct tool *tool)
{
    enum { PATIENCE_MS = 500 };
    struct pbkv_inspection *primary = NULL;
    struct pbkv_view view;
    uint64_t keys = 0;

    if (pbkv_view(tool->store, PATIENCE_MS, &view) == PBKV_OK &&
        pbkv_inspect(tool->store, view.primary.address, PATIENCE_MS,
                     &primary) == PBKV_OK)
        keys = primary->keys;
    pbkv_inspection_free(primary);
    return keys;
}

/* Reads the store. Returns TOOL_OK when every entry was seen. */
static int scan(struct dump *dump)
{
    struct tool *tool = dump->tool;
    enum pbkv_status result;

    if (!tool->quiet)
        tool_progress_begin(&tool->progress, "dump", "keys", count_keys(tool));
    result = pbkv_scan(tool->store, 0, on_entry, dump);
    tool_progress_end(&tool->progress);
    if (result != PBKV_OK)
        return tool_conclude_read(tool, result);
    if (dump->error != 0 && dump->error != -EPIPE)
        tool_say(tool, "cannot write: %s", strerror(-dump->error));
    if (dump->error != 0 || dump->refused > 0 || tool_stop_wanted(tool->stop))
        return TOOL_NEGATIVE;
    return TOOL_OK;
}

static int dump_to_stdout(struct dump *dump)
{
    int status;

    dump->stream = stdout;
    status = scan(dump);
    dump->tool->output_failed = dump->error != 0;
    return status;
}

static int dump_to_file(struct dump *dump, const char *path)
{
    struct tool_output output;
    int error = tool_output_open(&output, dump->tool->stop, path);
    int status;

    if (error != 0) {
        tool_say(dump->tool, "cannot write %s: %s", path, strerror(-error));
        return TOOL_NEGATIVE;
    }
    dump->stream = output.stream;
    status = scan(dump);
    if (status != TOOL_OK) {
        tool_output_discard(&output);
        return status;
    }
    error = tool_output_commit(&output, true);
    if (error == 0)
        return TOOL_OK;
    tool_say(dump->tool, "cannot write %s: %s", path, strerror(-error));
    return TOOL_NEGATIVE;
}

static int dump_to_directory(struct dump *dump, const char *path)
{
    int status;

    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        dump->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dump->root < 0) {
        tool_say(dump->tool, "cannot open %s: %s", path, strerror(errno));
        return TOOL_NEGATIVE;
    }
    status = scan(dump);
    close(dump->root);
    return status;
}

int tool_dump(struct tool *tool, int argc, char **argv)
{
    struct dump dump = {.tool = tool, .root = -1};
    const char *file = NULL, *dir = NULL;
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("file", "F", "write TSV to a file", &file),
        PROGRAM_TEXT_OPTION("dir", "DIR", "write files below a directory",
                            &dir),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        "pbkv dump",
        "",
        "Writes every key and its value to standard output, one line each,\n"
        "in the form that load reads. With --dir every value becomes a file,\n"
        "whose path is the key; keys that are no plain relative paths, and\n"
        "those that lead through a symbolic link, are named and refused (exit\n"
        "status 1). A file appears when it is complete.",
        options,
        TOOL_COUNT(options),
        0,
        0};
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    if (file && dir)
        return program_refuse(&program, "--file and --dir exclude each other");
    status = tool_open(tool, 1);
    if (status != TOOL_OK)
        return status;
    if (dir)
        return dump_to_directory(&dump, dir);
    return file ? dump_to_file(&dump, file) : dump_to_stdout(&dump);
}
