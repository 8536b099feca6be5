/* SPDX-License-Identifier: MIT */
/*
 * microscope find FILE [SEED]: searches for a schedule that violates the rules
 * and writes it to FILE. microscope minimise FILE: leaves out of it what does
 * not matter. microscope show FILE: tells a schedule event by event,
 * with Lamport times and vector clocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "tests/labs/microscope.h"

enum { STATES = 300000 };

static int find(const char *path, uint64_t seed)
{
    struct microscope *microscope = microscope_new();
    bool found = microscope_find(microscope, STATES, seed, path);

    microscope_free(microscope);
    if (found)
        printf("a violation; its schedule is in %s\n", path);
    else
        printf("no violation among %d states and some walks: another seed?\n",
               STATES);
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int minimise(const char *path)
{
    struct microscope *microscope = microscope_new();
    bool good = microscope_minimise(microscope, path);

    microscope_free(microscope);
    if (!good)
        fprintf(stderr, "%s is no schedule with a violation\n", path);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_event(size_t number, const struct observed *event)
{
    printf("%3zu  L%-4" PRIu64 " {", number, event->lamport);
    for (uint32_t i = 0; i < MICROSCOPE_NODES; i++) {
        if (event->vector[i] > 0)
            printf(" %s=%" PRIu64, microscope_name(i), event->vector[i]);
    }
    printf(" }\n     %s %s\n", microscope_name(event->node), event->text);
    for (uint32_t i = 0; i < MICROSCOPE_NODES; i++) {
        if (event->answers[i])
            printf("     and sends a reply to %s\n", microscope_name(i));
    }
}

static int show(const char *path)
{
    struct schedule *schedule = memory_new(sizeof(*schedule));
    bool good = microscope_observe(path, schedule);

    for (size_t i = 0; i < schedule->count; i++)
        print_event(i + 1, &schedule->events[i]);
    if (!good)
        fprintf(stderr, "%s is no schedule of this store, from event %zu on\n",
                path, schedule->count + 1);
    free(schedule);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "find") == 0)
        return find(argv[2], argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    if (argc == 3 && strcmp(argv[1], "minimise") == 0)
        return minimise(argv[2]);
    if (argc == 3 && strcmp(argv[1], "show") == 0)
        return show(argv[2]);
    fprintf(stderr,
            "usage: microscope find FILE [SEED] | minimise FILE | show FILE\n");
    return EXIT_FAILURE;
}
