/* SPDX-License-Identifier: MIT */
/*
 * memory: see memory.h. The message is written with write(2), since nothing
 * that allocates can be trusted at that point.
 */
#define _DEFAULT_SOURCE // madvise
#include "node/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SMALL = 1024, /* octets */
    PAGE = 4096,
    FORESEE_LEAST = 64 * 1024, /* octets that are worth a call */
};

static void *memory_or_abort(void *memory)
{
    static const char text[] = "pbkv: out of memory\n";

    if (memory)
        return memory;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        abort();
    abort();
}

void *memory_resize(void *old, size_t size)
{
    return memory_or_abort(old ? realloc(old, size) : malloc(size));
}

/* glibc keeps small pieces at hand for malloc and for the realloc of nothing,
 * but not for calloc. */
void *memory_new(size_t size)
{
    if (size == 0 || size > SMALL)
        return memory_or_abort(calloc(1, size ? size : 1));
    return memset(memory_resize(NULL, size), 0, size);
}

char *memory_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(memory_new(size), text, size);
}

/* Malloc cuts small pieces from where it had a large one that was given back.
 * Systems before Linux 5.14 refuse, and all is as without. */
void memory_foresee(size_t size)
{
#ifdef MADV_POPULATE_WRITE
    uint8_t *memory = size >= FORESEE_LEAST ? malloc(size) : NULL;
    size_t before = (PAGE - (uintptr_t)memory % PAGE) % PAGE;

    if (!memory)
        return;
    madvise(memory + before, (size - before) / PAGE * PAGE,
            MADV_POPULATE_WRITE);
    free(memory);
#else
    (void)size;
#endif
}
