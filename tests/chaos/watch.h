/* SPDX-License-Identifier: MIT */
/*
 * watch: what is common to the programs that watch a field for a while: the
 * timeline, the views in it, and the end by Ctrl-C.
 */
#ifndef TESTS_CHAOS_WATCH_H
#define TESTS_CHAOS_WATCH_H

#include <pthread.h>
#include <stdint.h>

#include "tests/chaos/field.h"
#include "tests/cluster.h"

struct watch {
    struct field *field;
    uint64_t began_ms;
    pthread_mutex_t ending; /* held for good by whoever ends the program */

    unsigned life; /* of the view service whose log is read */
    size_t read;   /* octets of that log */
    unsigned views;
};

/* Begins to watch. SIGINT, SIGTERM and SIGHUP end the program from now on: all
 * processes are killed and all files removed. Call it before starting threads.
 */
void watch_begin(struct watch *watch, struct field *field);

/* From here on a signal changes nothing. */
void watch_end(struct watch *watch);

/* Returns milliseconds since the beginning. */
uint64_t watch_now_ms(const struct watch *watch);

/* Prints a line of the timeline, formatted like printf. */
void watch_tell(const struct watch *watch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the views that the view service has logged since the last time. */
void watch_views(struct watch *watch);

#endif
