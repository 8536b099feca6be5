/* SPDX-License-Identifier: MIT */
/*
 * The demonstration itself (demo.c): it succeeds on a small input, and leaves
 * nothing behind, whether it ends by itself or is interrupted. It gets a
 * directory of its own for temporary files, which has to be empty afterwards.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster.h"
#include "tests/suite.h"

enum { LINES = 300, DEMO_MS = 40000 };

struct stage {
    struct cluster *cluster;
    char directory[CLUSTER_PATH_SIZE]; /* of the demonstration */
    char input[CLUSTER_PATH_SIZE];
};

/* Writes an input with a few odd lines. */
static void write_input(const char *path)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    for (unsigned i = 0; i < LINES; i++)
        fprintf(file, "key-%u\tvalue %u\n", i, i);
    fputs("key-0\tthe last line of a key counts\n", file);
    fputs("odd\\t\\x00key\t\\n\\\\\\xff\nempty value\t\n", file);
    ck_assert_int_eq(fclose(file), 0);
}

static struct process *start_demo(struct stage *stage)
{
    static const char *const none[] = {NULL};

    stage->cluster = cluster_new(&(struct cluster_options){0});
    cluster_path(stage->cluster, "demo", stage->directory);
    ck_assert_int_eq(mkdir(stage->directory, 0700), 0);
    write_input(cluster_path(stage->cluster, "input.tsv", stage->input));
    setenv("TMPDIR", stage->directory, 1);
    setenv("INPUT", stage->input, 1);
    unsetenv("DIR");
    unsetenv("CLUSTER_KEEP");
    return process_start(stage->cluster, "tests/demo", "demo", none);
}

/* Asserts that none of the processes that the log names is there. */
static unsigned expect_no_process(const char *log)
{
    static const char word[] = ", process ";
    unsigned named = 0;

    for (const char *at = log; (at = strstr(at, word)); named++) {
        at += strlen(word);
        ck_assert_int_ne(kill((pid_t)strtol(at, NULL, 10), 0), 0);
    }
    return named;
}

/* Asserts that nothing is left, and ends the test. */
static void leave(struct stage *stage, const struct process *demo,
                  unsigned processes)
{
    char *log = process_log(demo);

    ck_assert_uint_ge(expect_no_process(log), processes);
    ck_assert_msg(rmdir(stage->directory) == 0, "files are left: %s", log);
    free(log);
    cluster_free(stage->cluster);
}

TEST(the_demonstration_loses_nothing)
{
    struct stage stage;
    struct process *demo = start_demo(&stage);
    char *log;
    int status = process_wait(demo, DEMO_MS);

    log = process_log(demo);
    ck_assert_msg(status == 0, "status %d: %s", status, log);
    ck_assert_msg(strstr(log, "\nlost 0\n"), "%s", log);
    ck_assert_msg(strstr(log, "failover 2: "), "%s", log);
    ck_assert_msg(strstr(log, "digests, equal"), "%s", log);
    ck_assert_msg(strstr(log, " in 302 entries"), "%s", log);
    free(log);
    leave(&stage, demo, 5);
}

TEST(an_interrupted_demonstration_leaves_nothing)
{
    struct stage stage;
    struct process *demo = start_demo(&stage);

    ck_assert(process_says(demo, "kill -9", DEMO_MS));
    process_signal(demo, SIGINT);
    ck_assert_int_eq(process_wait(demo, CLUSTER_WAIT_MS), 130);
    leave(&stage, demo, 3);
}

TEST(a_demonstration_without_input_is_refused)
{
    static const char *const none[] = {NULL};
    struct cluster *cluster = cluster_new(&(struct cluster_options){0});
    struct process *demo;

    setenv("INPUT", "/nowhere/input.tsv", 1);
    demo = process_start(cluster, "tests/demo", "demo", none);
    ck_assert_int_eq(process_wait(demo, CLUSTER_WAIT_MS), 2);
    ck_assert(process_says(demo, "/nowhere/input.tsv", 0));
    cluster_free(cluster);
}

TEST(an_input_and_a_directory_exclude_each_other)
{
    static const char *const none[] = {NULL};
    struct cluster *cluster = cluster_new(&(struct cluster_options){0});
    struct process *demo;

    setenv("INPUT", "input.tsv", 1);
    setenv("DIR", "/", 1);
    demo = process_start(cluster, "tests/demo", "demo", none);
    ck_assert_int_eq(process_wait(demo, CLUSTER_WAIT_MS), 2);
    ck_assert(process_says(demo, "DIR and INPUT exclude each other", 0));
    cluster_free(cluster);
}

TEST(a_demonstration_without_room_for_files_is_refused)
{
    static const char *const none[] = {NULL};
    struct cluster *cluster = cluster_new(&(struct cluster_options){0});
    struct process *demo;

    setenv("TMPDIR", "/nowhere/at/all", 1);
    demo = process_start(cluster, "tests/demo", "demo", none);
    ck_assert_int_eq(process_wait(demo, CLUSTER_WAIT_MS), 1);
    ck_assert(process_says(demo, "TMPDIR: /nowhere/at/all: No such file", 0));
    cluster_free(cluster);
}

SUITE("live demo", CASE_LIMIT(the_demonstration_loses_nothing, 60),
      CASE_LIMIT(an_interrupted_demonstration_leaves_nothing, 60),
      CASE_LIMIT(a_demonstration_without_input_is_refused, 60),
      CASE_LIMIT(an_input_and_a_directory_exclude_each_other, 60),
      CASE_LIMIT(a_demonstration_without_room_for_files_is_refused, 60))
