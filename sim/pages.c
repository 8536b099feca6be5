/* SPDX-License-Identifier: MIT */
/*
 * pages: see pages.h. A large piece is mapped with room to begin at a border of
 * 2 MiB, and what lies before and behind it is given back at once.
 */
#define _DEFAULT_SOURCE // madvise, MAP_ANONYMOUS

#include "sim/pages.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "node/memory.h"

enum { LARGE_PAGE = 2 * 1024 * 1024 };

static size_t round_up(size_t size)
{
    return (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
}

static void give_back(char *from, const char *to)
{
    if (to > from)
        munmap(from, (size_t)(to - from));
}

void *pages_new(size_t size)
{
    size_t length = round_up(size);
    char *room, *begin;

    if (size < LARGE_PAGE)
        return memory_new(size);
    room = mmap(NULL, length + LARGE_PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    begin = room + (round_up((uintptr_t)room) - (uintptr_t)room);
    give_back(room, begin);
    give_back(begin + length, room + length + LARGE_PAGE);
    madvise(begin, length, MADV_HUGEPAGE);
    return begin;
}

void pages_free(void *pages, size_t size)
{
    if (size < LARGE_PAGE)
        free(pages);
    else if (pages)
        munmap(pages, round_up(size));
}
