/* SPDX-License-Identifier: MIT */
/*
 * lincheck: says whether a recorded history is linearizable. The verdict is the
 * first line of its output and its exit status.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc/program.h"
#include "sim/history_read.h"
#include "sim/lincheck.h"

enum {
    STATUS_BAD_INPUT = 3, /* the other statuses are enum lincheck_verdict */
    TIMEOUT_S = 60,
    MEMORY_MAX = 1 << 30,
};

struct arguments {
    const char *model;
    const char *html;
    uint32_t timeout_s;
    size_t memory;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_expired(void *context)
{
    const double *end = context;

    return now_s() >= *end;
}

static int complain(const char *name, const char *what)
{
    fprintf(stderr, "lincheck: %s: %s\n", name, what);
    return STATUS_BAD_INPUT;
}

/* ---- Input ---- */

static int read_file(const char *name, struct history *history,
                     enum history_form *form)
{
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(name, "r");
    char error[HISTORY_ERROR_TEXT];
    bool good;

    if (!file)
        return complain(name, strerror(errno));
    good = history_read(file, history, form, error);
    if (!is_stdin)
        fclose(file);
    return good ? EXIT_SUCCESS : complain(name, error);
}

static bool model_named(const char *name, enum lincheck_model *model)
{
    static const char *const names[] = {"kv", "register", "cas"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *model = (enum lincheck_model)i;
            return true;
        }
    }
    return false;
}

/* Whether the model has all operations of the history. */
static int check_model(const char *name, const struct history *history,
                       enum lincheck_model model)
{
    size_t misfit = lincheck_misfit(history, model);
    char op[512];
    char text[640];

    if (misfit == history->count)
        return EXIT_SUCCESS;
    lincheck_describe(&history->ops[misfit], op, sizeof(op));
    snprintf(text, sizeof(text), "line %llu: the model does not have: %s",
             (unsigned long long)history->ops[misfit].invoked, op);
    return complain(name, text);
}

/* ---- Output ---- */

static int draw(const char *name, const struct history *history,
                const struct lincheck_report *report)
{
    FILE *file = fopen(name, "w");

    if (!file)
        return complain(name, strerror(errno));
    lincheck_draw(file, history, report);
    if (ferror(file) | fclose(file))
        return complain(name, "cannot write");
    return EXIT_SUCCESS;
}

static void print_verdict(const struct history *history,
                          const struct lincheck_report *report, double seconds)
{
    static const char *const verdicts[] = {"linearizable", "not linearizable",
                                           "unknown: a limit was reached"};

    printf("%s\n%zu operations, %zu keys, at most %zu of one key; %llu states "
           "searched in %.3f s\n",
           verdicts[report->verdict], history->count, report->keys,
           report->longest, (unsigned long long)report->states, seconds);
    if (report->verdict == LINCHECK_VIOLATION)
        putchar('\n');
    lincheck_print(stdout, history, report);
}

static int decide(const struct arguments *arguments,
                  const struct history *history)
{
    double start = now_s();
    double end = start + arguments->timeout_s;
    struct lincheck_limits limits = {arguments->memory, is_expired, &end};
    struct lincheck_report report = lincheck_check(history, &limits);
    int status = (int)report.verdict;

    print_verdict(history, &report, now_s() - start);
    if (arguments->html && draw(arguments->html, history, &report) != 0)
        status = STATUS_BAD_INPUT;
    lincheck_release(&report);
    return status;
}

static int run(const struct arguments *arguments, const char *name)
{
    enum lincheck_model model = LINCHECK_KV;
    struct history history;
    enum history_form form = HISTORY_JSON;
    int status;

    history_init(&history);
    status = read_file(name, &history, &form);
    if (form == HISTORY_LOG)
        model = LINCHECK_CAS;
    if (arguments->model && !model_named(arguments->model, &model))
        status = complain(arguments->model, "is not kv, register or cas");
    if (status == EXIT_SUCCESS)
        status = check_model(name, &history, model);
    if (status == EXIT_SUCCESS)
        status = decide(arguments, &history);
    history_release(&history);
    return status;
}

static const char purpose[] =
    "Says whether a history of operations is linearizable. FILE (- is "
    "standard\n"
    "input) has one event on each line, in one of three forms: JSON as `pbkv\n"
    "history` writes it, EDN maps with :process :type :f :key :value, or the\n"
    "log of Jepsen's test of one register. Operations without an answer may\n"
    "take effect later or never.\n"
    "\n"
    "Exit status 0: linearizable; 1: not; 2: unknown, a limit was reached; 3:\n"
    "the input or the command line is wrong.";

int main(int argc, char **argv)
{
    struct arguments arguments = {NULL, NULL, TIMEOUT_S, MEMORY_MAX};
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("model", "NAME",
                            "kv, register or cas (kv; for a log cas)",
                            &arguments.model),
        PROGRAM_U32_OPTION("timeout", "S", "seconds to search (60)",
                           &arguments.timeout_s, 0, 1000000),
        PROGRAM_SIZE_OPTION("memory", "M", "octets for one search (1G)",
                            &arguments.memory, 1024, 0),
        PROGRAM_TEXT_OPTION("html", "FILE", "draw the history",
                            &arguments.html),
    };
    const struct program program = {
        .name = "lincheck",
        .operands = "FILE",
        .purpose = purpose,
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
        .operands_min = 1,
        .operands_max = 1,
    };
    int operand;
    int status = program_parse(&program, argc, argv, &operand);

    if (status == PROGRAM_USAGE)
        return STATUS_BAD_INPUT;
    if (status != PROGRAM_GO_ON)
        return status;
    return run(&arguments, argv[operand]);
}
