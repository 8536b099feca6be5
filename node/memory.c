/* SPDX-License-Identifier: MIT */
/*
 * memory: see memory.h. The message is written with write(2), since nothing
 * that allocates can be trusted at that point.
 */
#include "node/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = 1024 /* octets */ };

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
