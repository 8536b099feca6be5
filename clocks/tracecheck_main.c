/* SPDX-License-Identifier: MIT */
/*
 * tracecheck: the program that checks traces against the clock rules K1 to K4
 * (see verify.h). It is given the traces of all programs of a run, in any
 * order, and prints one line per broken rule in the form that editors and
 * continuous integration recognise, FILE:LINE: RULE: SENTENCE, and a summary.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clocks/trace.h"
#include "clocks/verify.h"

enum exit_status { ALL_RIGHT = 0, RULES_BROKEN = 1, NOT_CHECKED = 2 };

static const char usage[] = "usage: tracecheck [--quiet] FILE...\n"
                            "       tracecheck --shiviz | --help | --version\n";

static const char help[] =
    "\n"
    "Checks traces of pbkv programs against the clock rules K1 to K4.\n"
    "Give the traces of all programs of a run; a receipt whose sender left\n"
    "no trace is counted and not checked.\n"
    "\n"
    "  --quiet    print nothing when no rule is broken\n"
    "  --shiviz   print the regular expression by which ShiViz reads traces\n"
    "  --help     print this text\n"
    "  --version  print the version\n"
    "\n"
    "Exit status: 0 no rule is broken, 1 some are, 2 nothing was checked.\n";

static int fail_usage(void)
{
    fputs(usage, stderr);
    return NOT_CHECKED;
}

static void print_broken(void *context, const char *rule, const char *file,
                         uint64_t line, const char *sentence)
{
    (void)context;
    printf("%s:%" PRIu64 ": %s: %s\n", file, line, rule, sentence);
}

static void print_summary(const struct verify_summary *summary)
{
    printf("%" PRIu64 " lines of %" PRIu64 " hosts, %" PRIu64
           " receipts, %" PRIu64 " of them checked against their sends, "
           "%" PRIu64 " rules broken\n",
           summary->lines, summary->hosts, summary->receipts,
           summary->receipts_matched, summary->broken);
}

static int check_files(int count, char **paths, bool quiet)
{
    struct verifier *verifier = verifier_new();
    struct verify_summary summary = {0};
    int error = 0;

    for (int i = 0; i < count && error == 0; i++) {
        error = verifier_add_file(verifier, paths[i]);
        if (error != 0)
            fprintf(stderr, "tracecheck: %s: %s\n", paths[i], strerror(-error));
    }
    if (error == 0) {
        verifier_run(verifier, print_broken, NULL, &summary);
        if (!quiet || summary.broken > 0)
            print_summary(&summary);
    }
    verifier_free(verifier);
    if (error != 0)
        return NOT_CHECKED;
    return summary.broken == 0 ? ALL_RIGHT : RULES_BROKEN;
}

/* Does what an option alone asks for. Returns the exit status. */
static int run_option(const char *option)
{
    if (strcmp(option, "--help") == 0)
        printf("%s%s", usage, help);
    else if (strcmp(option, "--version") == 0)
        puts("tracecheck " PBKV_VERSION);
    else if (strcmp(option, "--shiviz") == 0)
        puts(TRACE_SHIVIZ_EXPRESSION);
    else
        return fail_usage();
    return ALL_RIGHT;
}

static int run(int argc, char **argv)
{
    bool quiet = false;
    int first = 1;

    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--") == 0) {
            first++;
            break;
        }
        if (strcmp(argv[first], "--quiet") != 0)
            return first + 1 == argc ? run_option(argv[first]) : fail_usage();
        quiet = true;
    }
    if (first == argc)
        return fail_usage();
    return check_files(argc - first, argv + first, quiet);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "tracecheck: cannot write: %s\n", strerror(errno));
        return NOT_CHECKED;
    }
    return status;
}
