/* SPDX-License-Identifier: MIT */
/*
 * replay: the plain main of a fuzz target. `fuzz_x PATH...` tries every file,
 * and every file in a folder, and says which one it tries, so that a crash
 * names its input; without arguments it tries standard input once (AFL++). The
 * last line tells how many inputs there were. Exit status 1 when a file cannot
 * be read or there was none at all.
 */
#define _GNU_SOURCE // scandir and its order
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/memory.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 4 * 1024 * 1024, PATH_SIZE = 4096 };

/* Reads a stream to its end and tries what was in it. */
static void try_stream(FILE *file)
{
    uint8_t *octets = memory_new(INPUT_MAX);
    size_t length = fread(octets, 1, INPUT_MAX, file);
    /* In memory of exactly its size, so that reading past it is noticed. */
    uint8_t *exact = memory_new(length > 0 ? length : 1);

    if (length > 0)
        memcpy(exact, octets, length);
    free(octets);
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
}

static bool try_file(const char *path, unsigned *count)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    printf("%s\n", path);
    fflush(stdout);
    try_stream(file);
    fclose(file);
    ++*count;
    return true;
}

static bool try_folder(const char *path, unsigned *count)
{
    struct dirent **entries;
    int found = scandir(path, &entries, NULL, alphasort);
    bool good = found >= 0;

    for (int i = 0; i < found; i++) {
        char file[PATH_SIZE];

        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            good = try_file(file, count) && good;
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
    return good;
}

static bool try_path(const char *path, unsigned *count)
{
    struct stat status;

    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return try_folder(path, count);
    return try_file(path, count);
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    bool good = true;

    if (argc == 1) {
        try_stream(stdin);
        return EXIT_SUCCESS;
    }
    for (int i = 1; i < argc; i++)
        good = try_path(argv[i], &count) && good;
    printf("%u inputs\n", count);
    return good && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
