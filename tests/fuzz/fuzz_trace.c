/* SPDX-License-Identifier: MIT */
/*
 * fuzz_trace: trace files, which any process may have written, torn or wrong,
 * and the verifier that reads them. A zero octet in the input begins another
 * file. Whatever is reported names a file, a line and a sentence.
 */
#define _GNU_SOURCE // memfd_create
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clocks/verify.h"
#include "tests/fuzz/fuzz.h"

enum { FILES_MAX = 4, PATH_SIZE = 64 };

static void on_report(void *context, const char *rule, const char *file,
                      uint64_t line, const char *sentence)
{
    uint64_t *reports = context;

    (void)line;
    if (rule[0] == '\0' || file[0] == '\0' || sentence[0] == '\0')
        abort();
    ++*reports;
}

/* The reader opens files by name, so the octets become one in memory. */
static void add_file(struct verifier *verifier, const uint8_t *octets,
                     size_t length)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);
    char path[PATH_SIZE];
    ssize_t written;
    int result;

    assert(fd >= 0);
    written = write(fd, octets, length);
    assert(written == (ssize_t)length);
    (void)written;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    result = verifier_add_file(verifier, path);
    assert(result == 0);
    (void)result;
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    struct verifier *verifier = verifier_new();
    struct verify_summary summary;
    uint64_t reports = 0;

    for (unsigned i = 0; i < FILES_MAX && length > 0; i++) {
        const uint8_t *end = memchr(octets, 0, length);
        size_t part = end != NULL ? (size_t)(end - octets) : length;

        add_file(verifier, octets, part);
        part += end != NULL;
        octets += part;
        length -= part;
    }
    verifier_run(verifier, on_report, &reports, &summary);
    if (summary.broken != reports)
        abort();
    verifier_free(verifier);
    return 0;
}
