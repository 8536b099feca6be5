/* SPDX-License-Identifier: MIT */
/*
 * lab: the tests of a lab and the program that runs them. A test is a function;
 * its name is a sentence that says what must be so, and it has points, a kind,
 * a time limit and the rule that it proves. A lab's program is a table of tests
 * and LAB_SUITE.
 *
 * Each test runs in a process of its own. What it finds wrong it says with
 * lab_fail, in the words of the lab; the program then tells, in this order, the
 * sentence, what the test's reporter shows (a timeline of the messages), where
 * the trace and the history are, and the command that repeats the run. A
 * failed assertion of a role, a crash and a hang end in the same report.
 *
 * This is not Check because points, kinds, repetitions with seeds, reports of
 * hangs and the forms that graders read would all be fought for there
 * (docs/decisions.md).
 */
#ifndef TESTS_LABS_LAB_H
#define TESTS_LABS_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum lab_kind {
    LAB_UNIT,       /* one part or one role, by hand */
    LAB_LIVE,       /* the real programs on real sockets */
    LAB_UNRELIABLE, /* the real programs; messages are lost and doubled */
    LAB_SIMULATED,  /* a whole store in an imagined world */
    LAB_SEARCHED,   /* all schedules up to a bound */
    LAB_KINDS,
};

struct lab;

struct lab_test {
    const char *name; /* a sentence with underscores */
    void (*run)(struct lab *lab);
    unsigned points;
    enum lab_kind kind;
    unsigned limit_s;
    const char *rule; /* in docs/protocol.md or labs.md; "" for none */
};

/* Writes what a failure needs besides its sentence. */
typedef void (*lab_reporter)(void *context, FILE *out);

/* A test that runs. Tests read it and set reporter and context. */
struct lab {
    const char *id; /* "2b" */
    const struct lab_test *test;
    uint64_t seed;
    const char *folder; /* for what this run leaves behind */
    bool keep_trace;    /* the trace is wanted also when the test passes */
    unsigned slow;      /* times that this build is slower than usual */
    lab_reporter reporter;
    void *context;
};

/* Ends the test: it has failed. The format makes one sentence that says what
 * rule broke, by which operation, servers and views. */
void lab_fail(struct lab *lab, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Fails with the sentence if the condition does not hold. */
#define LAB_EXPECT(lab, condition, ...)                                        \
    do {                                                                       \
        if (!(condition))                                                      \
            lab_fail((lab), __VA_ARGS__);                                      \
    } while (0)

/* A lab. */
struct lab_suite {
    const char *id;
    const char *title;
    const struct lab_test *tests;
    size_t count;
};

/* What the program's main does. */
int lab_main(const struct lab_suite *suite, int argc, char **argv);

/* Defines main for a table of tests. */
#define LAB_SUITE(id_, title_, table)                                          \
    int main(int argc, char **argv)                                            \
    {                                                                          \
        static const struct lab_suite suite = {                                \
            id_, title_, table, sizeof(table) / sizeof(table[0])};             \
        return lab_main(&suite, argc, argv);                                   \
    }

/* ---- What the runner and the writers of results share ---------------------
 */

enum lab_end {
    LAB_PASSED,
    LAB_JUDGED,  /* the test said what is wrong */
    LAB_CRASHED, /* an assertion or a signal */
    LAB_HUNG,    /* the time limit */
    LAB_NOT_RUN,
};

/* What became of a test, over all its repetitions. */
struct lab_result {
    enum lab_end end; /* of the first repetition that failed */
    unsigned runs;    /* that have ended */
    unsigned failures;
    double seconds; /* of all runs together */
    uint64_t seed;  /* of the first failure */
    char *report;   /* of the first failure, on the heap; or NULL */
};

const char *lab_kind_name(enum lab_kind kind);
const char *lab_end_name(enum lab_end end);

/* Returns the number N when a file is written as "fd:N", a descriptor that is
 * open; otherwise -1, also for NULL. */
int lab_form_descriptor(const char *path);

/* Writes the results in the form that name says: "tap", "junit", "gradescope"
 * or "csv", to a path or a descriptor. Returns false when the file cannot be
 * written. Tests that were not selected are left out. */
bool lab_write_results(const struct lab_suite *suite,
                       const struct lab_result *results, const char *form,
                       const char *path);

#endif
