/* SPDX-License-Identifier: MIT */
/*
 * tool_source: see tool_source.h. A file that can be read twice is counted
 * first: that gives the total for the progress and, for last_only, the last
 * line of every key. A directory is listed first; what its walk reports as
 * unreadable is kept and handed out at the end.
 */
#include "client/tool_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "client/pbkv.h"
#include "client/tool_tree.h"
#include "client/tool_tsv.h"
#include "node/memory.h"

/* The last line of a key. */
struct last_line {
    uint64_t line;
    UT_hash_handle hh;
    uint8_t key[];
};

/* A path that the walk could not look at. */
struct unreadable {
    char *path;
    int error;
};

struct source {
    char *name; /* of what was refused */
    const char *reason;

    /* A file. */
    FILE *file; /* NULL: it is a directory */
    struct tsv_reader reader;
    uint64_t lines;          /* in the file; 0: not known */
    struct last_line *lasts; /* by key; only with last_only */
    bool last_only;
    bool failed;

    /* A directory. */
    struct tree tree;
    size_t next;
    struct unreadable *unreadable;
    size_t unreadable_count;
};

void item_release(struct item *item)
{
    free(item->key);
    free(item->value);
    *item = (struct item){0};
}

static void set_item(struct item *item, const void *key, size_t key_length,
                     const void *value, size_t value_length)
{
    item->key = memory_new(key_length);
    item->key_length = key_length;
    item->value = memory_new(value_length);
    item->value_length = value_length;
    if (key_length > 0)
        memcpy(item->key, key, key_length);
    if (value_length > 0)
        memcpy(item->value, value, value_length);
}

static enum source_result refuse(struct source *source, char *name,
                                 const char *reason)
{
    free(source->name);
    source->name = name;
    source->reason = reason;
    return SOURCE_REFUSED;
}

/* ---- A file ------------------------------------------------------------- */

static void note_last_line(struct source *source)
{
    const struct tsv_field *key = &source->reader.key;
    struct last_line *last;

    HASH_FIND(hh, source->lasts, key->octets, key->length, last);
    if (!last) {
        last = memory_new(sizeof(*last) + key->length);
        memcpy(last->key, key->octets, key->length);
        HASH_ADD_KEYPTR(hh, source->lasts, last->key, key->length, last);
    }
    last->line = source->reader.line;
}

static bool is_last_line(struct source *source)
{
    const struct tsv_field *key = &source->reader.key;
    struct last_line *last;

    if (!source->last_only)
        return true;
    HASH_FIND(hh, source->lasts, key->octets, key->length, last);
    return !last || last->line == source->reader.line;
}

/* Reads the file once and goes back to its start. */
static int count_lines(struct source *source)
{
    enum tsv_result result;

    if (fseek(source->file, 0, SEEK_SET) != 0)
        return source->last_only ? -ESPIPE : 0;
    do {
        result = tsv_read(&source->reader);
        if (result == TSV_ENTRY && source->last_only)
            note_last_line(source);
    } while (result != TSV_END && result != TSV_FAILED);
    if (result == TSV_FAILED)
        return -errno;
    source->lines = source->reader.line;
    source->reader.line = 0;
    rewind(source->file);
    return 0;
}

static int open_file(struct source *source, const char *path)
{
    source->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (!source->file)
        return -errno;
    tsv_reader_init(&source->reader, source->file, PBKV_KEY_MAX,
                    PBKV_VALUE_MAX);
    return count_lines(source);
}

static char *line_name(const struct source *source)
{
    enum { SIZE = 32 };
    char *name = memory_new(SIZE);

    snprintf(name, SIZE, "line %" PRIu64, source->reader.line);
    return name;
}

static enum source_result next_line(struct source *source, struct item *item)
{
    const struct tsv_reader *reader = &source->reader;
    enum tsv_result result;

    if (source->failed)
        return SOURCE_END;
    do {
        result = tsv_read(&source->reader);
    } while (result == TSV_ENTRY && !is_last_line(source));
    switch (result) {
    case TSV_ENTRY:
        set_item(item, reader->key.octets, reader->key.length,
                 reader->value.octets, reader->value.length);
        return SOURCE_ITEM;
    case TSV_WRONG:
    case TSV_TOO_LARGE:
        return refuse(source, line_name(source), reader->problem);
    case TSV_END: return SOURCE_END;
    case TSV_FAILED: break;
    }
    source->failed = true;
    return refuse(source, line_name(source), strerror(errno));
}

/* ---- A directory -------------------------------------------------------- */

static void note_unreadable(void *context, const char *path, int error)
{
    struct source *source = context;
    size_t size = (source->unreadable_count + 1) * sizeof(struct unreadable);
    struct unreadable *all = memory_resize(source->unreadable, size);

    source->unreadable = all;
    all[source->unreadable_count++] =
        (struct unreadable){memory_copy_text(path), error};
}

/* Reads a file up to the limit and one octet more. Returns 0 or a negative
 * errno. */
static int read_whole(int fd, struct item *item)
{
    enum { SIZE = PBKV_VALUE_MAX + 1 };
    struct stat about;
    size_t size = SIZE;
    ssize_t got;

    if (fstat(fd, &about) != 0)
        return -errno;
    if (!S_ISREG(about.st_mode))
        return -EINVAL;
    if (about.st_size < PBKV_VALUE_MAX)
        size = (size_t)about.st_size + 1;
    item->value = memory_new(size);
    while ((got = read(fd, item->value + item->value_length,
                       size - item->value_length)) != 0) {
        if (got < 0 && errno != EINTR)
            return -errno;
        item->value_length += got > 0 ? (size_t)got : 0;
        if (item->value_length < size)
            continue;
        if (size == SIZE)
            break;
        size = SIZE; // it grows while we read it
        item->value = memory_resize(item->value, size);
    }
    return 0;
}

/* Opens and reads a file below the directory. Returns why that is refused, or
 * NULL. */
static const char *read_member(const struct source *source, const char *path,
                               struct item *item)
{
    int fd, error;

    if (strlen(path) > PBKV_KEY_MAX)
        return "the path is too large for a key";
    fd = openat(source->tree.root, path,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    error = read_whole(fd, item);
    close(fd);
    if (error != 0)
        return strerror(-error);
    return item->value_length > PBKV_VALUE_MAX ? "the file is too large" : NULL;
}

static enum source_result next_member(struct source *source, struct item *item)
{
    const struct tree *tree = &source->tree;
    size_t at = source->next++;
    const char *reason;

    if (at >= tree->count + source->unreadable_count)
        return SOURCE_END;
    if (at >= tree->count) {
        const struct unreadable *bad = &source->unreadable[at - tree->count];

        return refuse(source, memory_copy_text(bad->path),
                      strerror(bad->error));
    }
    *item = (struct item){0};
    reason = read_member(source, tree->paths[at], item);
    if (reason) {
        item_release(item);
        return refuse(source, memory_copy_text(tree->paths[at]), reason);
    }
    item->key_length = strlen(tree->paths[at]);
    item->key = memory_new(item->key_length);
    memcpy(item->key, tree->paths[at], item->key_length);
    return SOURCE_ITEM;
}

/* ---- Both --------------------------------------------------------------- */

int source_open(const char *path, const char *excludes, bool last_only,
                struct source **source)
{
    struct source *new = memory_new(sizeof(*new));
    struct stat about;
    int error;

    new->tree.root = -1;
    new->last_only = last_only;
    if (strcmp(path, "-") != 0 && stat(path, &about) == 0 &&
        S_ISDIR(about.st_mode))
        error = tree_read(&new->tree, path, excludes, note_unreadable, new);
    else
        error = open_file(new, path);
    if (error != 0) {
        source_close(new);
        new = NULL;
    }
    *source = new;
    return error;
}

enum source_result source_next(struct source *source, struct item *item)
{
    return source->file ? next_line(source, item) : next_member(source, item);
}

const char *source_name(const struct source *source)
{
    return source->name;
}

const char *source_reason(const struct source *source)
{
    return source->reason;
}

const char *source_unit(const struct source *source)
{
    return source->file ? "lines" : "files";
}

uint64_t source_total(const struct source *source)
{
    return source->file ? source->lines
                        : source->tree.count + source->unreadable_count;
}

static void release_lasts(struct source *source)
{
    struct last_line *last, *next;

    HASH_ITER(hh, source->lasts, last, next)
    {
        HASH_DEL(source->lasts, last);
        free(last);
    }
}

void source_close(struct source *source)
{
    if (!source)
        return;
    release_lasts(source);
    if (source->file)
        tsv_reader_release(&source->reader);
    if (source->file && source->file != stdin)
        fclose(source->file);
    for (size_t i = 0; i < source->unreadable_count; i++)
        free(source->unreadable[i].path);
    free(source->unreadable);
    tree_release(&source->tree);
    free(source->name);
    free(source);
}
