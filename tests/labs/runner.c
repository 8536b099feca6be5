/* SPDX-License-Identifier: MIT */
/*
 * runner: see lab.h. The parent forks one child for each run of a test, several
 * at a time when asked to, and prints one line a test, in their order, as they
 * end. A child's stdout and stderr are a report file, which is shown and never
 * believed. A run has passed when its child ends with status 0 after it has
 * sent back, through a pipe of its own, the random number that it was born
 * with: who leaves before the test is over does not. What a child leaves
 * running in its process group is ended with it.
 *
 * A form whose file is "fd:3" is written by the parent to what it inherited;
 * children do not have it, and cannot look into the parent.
 *
 * The child's handler of SIGTERM (a hang), SIGABRT and SIGSEGV writes the same
 * report as a failure. It calls functions that are not safe in a handler; the
 * child is lost anyway, and a second SIGTERM comes as SIGKILL.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"
#include "tests/labs/lab.h"

enum {
    EXIT_JUDGED = 1,
    EXIT_CRASHED = 2,
    EXIT_HUNG = 3,
    JOBS_MAX = 64,
    FORMS = 4,
    POLL_NS = 2000000,
    GRACE_S = 3, /* for a hung child to write its report */
    PATH_SIZE = 512,
    REPORT_MAX = 65536, /* octets of a report that are kept */
    FORK_TRIES = 500,   /* 10 ms apart */
    LAST_POLLS = 10,    /* for what others add to a report */
    LAST_POLL_MS = 50,
};

static const char *const form_names[FORMS] = {"tap", "junit", "gradescope",
                                              "csv"};

struct options {
    const char *test; /* number or a part of a name; NULL: all */
    int kind;         /* -1: all */
    uint64_t seed;
    unsigned repeat;
    unsigned jobs;
    unsigned slow;
    bool trace;
    bool no_fork;
    bool list;
    bool worst;      /* a test that has failed is not repeated */
    unsigned budget; /* seconds, after which no more runs begin; 0: none */
    const char *out;
    const char *forms[FORMS]; /* files, by form_names */
};

/* A run of a test that has not ended. */
struct attempt {
    pid_t pid; /* 0: this place is free */
    size_t test;
    uint64_t seed;
    double began;
    bool told;      /* it was told to end */
    int channel;    /* on which the child says that it is done */
    uint64_t nonce; /* what it says */
    char folder[PATH_SIZE];
};

struct runner {
    const struct lab_suite *suite;
    struct options options;
    struct lab_result *results;
    bool *selected;
    struct attempt attempts[JOBS_MAX];
    size_t printed; /* tests before this one are printed */
};

/* The test of this process, for the handlers of signals. */
static struct lab *lab_here;

const char *lab_kind_name(enum lab_kind kind)
{
    static const char *const names[LAB_KINDS] = {"unit", "live", "unreliable",
                                                 "simulated", "searched"};

    return names[kind];
}

const char *lab_end_name(enum lab_end end)
{
    static const char *const names[] = {"passed", "judged", "crash", "limit",
                                        "not run"};

    return names[end];
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- In the child ---------------------------------------------------------
 */

static void end_child(struct lab *lab, int status)
{
    if (lab->reporter)
        lab->reporter(lab->context, stdout);
    printf("replay: make lab%s TEST=%s SEED=%" PRIu64 "\n", lab->id,
           lab->test->name, lab->seed);
    fflush(stdout);
    _exit(status);
}

void lab_fail(struct lab *lab, const char *format, ...)
{
    va_list arguments;

    if (lab->test->rule[0] != '\0')
        printf("rule %s: ", lab->test->rule);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    end_child(lab, EXIT_JUDGED);
    abort();
}

static void on_signal(int signal)
{
    struct lab *lab = lab_here;

    sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (signal == SIGTERM)
        printf("the test did not end within its limit of %u s\n",
               lab->test->limit_s * lab->slow);
    else
        printf("the program crashed (%s) in this test\n",
               signal == SIGABRT ? "a failed assertion" : strsignal(signal));
    end_child(lab, signal == SIGTERM ? EXIT_HUNG : EXIT_CRASHED);
}

static void catch_signals(void)
{
    static const int signals[] = {SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE};
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
}

static void run_test(const struct runner *runner, const struct lab_test *test,
                     uint64_t seed, const char *folder)
{
    struct lab lab = {
        .id = runner->suite->id,
        .test = test,
        .seed = seed,
        .folder = folder,
        .keep_trace = runner->options.trace,
        .slow = runner->options.slow,
    };

    lab_here = &lab;
    test->run(&lab);
    lab_here = NULL;
}

/* Closes what only the parent writes to. */
static void close_forms(const struct options *options)
{
    for (int i = 0; i < FORMS; i++) {
        if (lab_form_descriptor(options->forms[i]) >= 0)
            close(lab_form_descriptor(options->forms[i]));
    }
}

static void child(const struct runner *runner, const struct attempt *attempt,
                  int channel)
{
    char path[PATH_SIZE + 16];
    FILE *report;

    close_forms(&runner->options);
    snprintf(path, sizeof(path), "%s/report.txt", attempt->folder);
    report = freopen(path, "w", stdout);
    if (!report || dup2(fileno(report), STDERR_FILENO) < 0)
        _exit(EXIT_CRASHED);
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_signals();
    run_test(runner, &runner->suite->tests[attempt->test], attempt->seed,
             attempt->folder);
    if (write(channel, &attempt->nonce, sizeof(attempt->nonce)) < 0)
        _exit(EXIT_CRASHED);
    exit(EXIT_SUCCESS);
}

/* ---- Files ----------------------------------------------------------------
 */

static void make_folders(const char *path)
{
    char part[PATH_SIZE];

    snprintf(part, sizeof(part), "%s", path);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        mkdir(part, 0777);
        *at = '/';
    }
    mkdir(part, 0777);
}

/* Returns the report, of which what comes after a zero or REPORT_MAX octets is
 * left out, and after it a sentence. */
static char *read_report(const struct attempt *attempt, const char *sentence)
{
    char path[PATH_SIZE + 16];
    char *text = memory_new(REPORT_MAX + strlen(sentence) + 2);
    size_t length;
    FILE *file;

    snprintf(path, sizeof(path), "%s/report.txt", attempt->folder);
    file = fopen(path, "r");
    if (file) {
        text[fread(text, 1, REPORT_MAX, file)] = '\0';
        fclose(file);
    }
    length = strlen(text);
    if (length > 0 && text[length - 1] != '\n')
        text[length++] = '\n';
    strcpy(text + length, sentence);
    return text;
}

/* A run that passed leaves nothing behind, unless its trace is wanted. */
static void remove_folder(const struct attempt *attempt)
{
    static const char *const names[] = {"report.txt", "trace.jsonl",
                                        "history.jsonl"};
    char path[PATH_SIZE + 16];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", attempt->folder, names[i]);
        unlink(path);
    }
    rmdir(attempt->folder);
}

/* ---- Output ---------------------------------------------------------------
 */

static void print_report(const char *report)
{
    const char *line = report;

    while (*line) {
        size_t length = strcspn(line, "\n");

        printf("       %.*s\n", (int)length, line);
        line += length + (line[length] != '\0');
    }
}

static void print_test(const struct runner *runner, size_t index)
{
    const struct lab_test *test = &runner->suite->tests[index];
    const struct lab_result *result = &runner->results[index];
    bool passed = result->end == LAB_PASSED;

    printf("%3zu %-4s %2u/%-2u %7.2fs  %-10s %s", index + 1,
           passed ? "ok" : "FAIL", passed ? test->points : 0, test->points,
           result->seconds, lab_kind_name(test->kind), test->name);
    if (result->runs > 1)
        printf("  (%u of %u runs)", result->runs - result->failures,
               result->runs);
    printf("\n");
    if (!passed && result->report)
        print_report(result->report);
    fflush(stdout);
}

/* Whether a test has failed and its other runs could not change that. */
static bool is_decided(const struct runner *runner, size_t test)
{
    return runner->options.worst && runner->results[test].failures > 0;
}

/* Prints, in order, all tests whose runs have all ended. */
static void print_finished(struct runner *runner)
{
    while (runner->printed < runner->suite->count) {
        size_t index = runner->printed;

        if (runner->selected[index]) {
            if (runner->results[index].runs < runner->options.repeat &&
                !is_decided(runner, index))
                return;
            print_test(runner, index);
        }
        runner->printed++;
    }
}

static int print_total(const struct runner *runner, double seconds)
{
    unsigned points = 0, possible = 0, tests = 0, failed = 0;

    for (size_t i = 0; i < runner->suite->count; i++) {
        const struct lab_test *test = &runner->suite->tests[i];

        if (!runner->selected[i])
            continue;
        tests++;
        possible += test->points;
        if (runner->results[i].end == LAB_PASSED)
            points += test->points;
        else
            failed++;
    }
    if (tests == 0) {
        fprintf(stderr, "lab%s: no test is selected\n", runner->suite->id);
        return EXIT_FAILURE;
    }
    printf("lab %s, %s: %u of %u tests passed, %u of %u points, %.1f s\n",
           runner->suite->id, runner->suite->title, tests - failed, tests,
           points, possible, seconds);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Running --------------------------------------------------------------
 */

/* Whether the child of an attempt, which has ended, has said that it is done.
 */
static bool is_done(const struct attempt *attempt)
{
    uint64_t said = 0;

    return read(attempt->channel, &said, sizeof(said)) ==
               (ssize_t)sizeof(said) &&
           said == attempt->nonce;
}

static enum lab_end end_of(const struct attempt *attempt, int status)
{
    if (WIFEXITED(status)) {
        switch (WEXITSTATUS(status)) {
        case EXIT_SUCCESS: return is_done(attempt) ? LAB_PASSED : LAB_CRASHED;
        case EXIT_HUNG: return LAB_HUNG;
        case EXIT_CRASHED: return LAB_CRASHED;
        default: return LAB_JUDGED;
        }
    }
    return WTERMSIG(status) == SIGKILL ? LAB_HUNG : LAB_CRASHED;
}

/* What a report has to say besides what the child wrote. */
static const char *last_words(int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
        return "the process of the test left before the test was over\n";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return "the process of the test was killed\n";
    return WIFSIGNALED(status) ? "a signal ended the process of the test\n"
                               : "";
}

/* Gives a janitor (tests/cluster.h) time to add to the report: all who can,
 * hold the channel open. */
static void wait_for_others(const struct attempt *attempt)
{
    struct pollfd channel = {.fd = attempt->channel, .events = POLLIN};
    char octet;

    for (int i = 0; i < LAST_POLLS; i++) {
        if (poll(&channel, 1, LAST_POLL_MS) > 0 &&
            read(attempt->channel, &octet, 1) == 0)
            return;
    }
}

static void note_end(struct runner *runner, struct attempt *attempt, int status)
{
    struct lab_result *result = &runner->results[attempt->test];
    enum lab_end end = end_of(attempt, status);

    kill(-attempt->pid, SIGKILL);
    if (end != LAB_PASSED)
        wait_for_others(attempt);
    close(attempt->channel);

    result->runs++;
    result->seconds += now() - attempt->began;
    if (end == LAB_PASSED) {
        if (!runner->options.trace)
            remove_folder(attempt);
    } else if (result->failures++ == 0) {
        result->end = end;
        result->seed = attempt->seed;
        result->report = read_report(attempt, last_words(status));
    }
    if (result->end == LAB_NOT_RUN)
        result->end = LAB_PASSED;
    attempt->pid = 0;
}

/* Returns a number that nobody can guess. */
static uint64_t new_nonce(void)
{
    uint64_t nonce = 0;
    FILE *file = fopen("/dev/urandom", "r");

    if (!file || fread(&nonce, sizeof(nonce), 1, file) != 1) {
        perror("/dev/urandom");
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return nonce;
}

/* Forks, also when what an earlier test left behind has to end first. */
static pid_t fork_patiently(void)
{
    pid_t pid = fork();

    for (int i = 0; pid < 0 && errno == EAGAIN && i < FORK_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        pid = fork();
    }
    return pid;
}

static void start(struct runner *runner, struct attempt *attempt, size_t test,
                  uint64_t seed)
{
    int channel[2];

    *attempt = (struct attempt){.test = test, .seed = seed};
    snprintf(attempt->folder, sizeof(attempt->folder), "%s/%zu-%" PRIu64,
             runner->options.out, test + 1, seed);
    make_folders(attempt->folder);
    attempt->began = now();
    attempt->nonce = new_nonce();
    fflush(stdout);
    if (pipe(channel) != 0 || (attempt->pid = fork_patiently()) < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (attempt->pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(channel[0]);
        child(runner, attempt, channel[1]);
    }
    setpgid(attempt->pid, attempt->pid); /* whoever comes first */
    close(channel[1]);
    fcntl(channel[0], F_SETFL, O_NONBLOCK);
    attempt->channel = channel[0];
}

/* Ends a child that is over its limit: by a word, then by force. */
static void enforce_limit(const struct runner *runner, struct attempt *attempt)
{
    double limit = (double)runner->suite->tests[attempt->test].limit_s *
                   runner->options.slow;
    double age = now() - attempt->began;

    if (age > limit && !attempt->told) {
        attempt->told = true;
        kill(attempt->pid, SIGTERM);
    } else if (age > limit + GRACE_S * runner->options.slow)
        kill(attempt->pid, SIGKILL);
}

/* Waits until a place is free (all: until all are) and returns one. */
static struct attempt *wait_for_place(struct runner *runner, bool all)
{
    for (;;) {
        struct attempt *place = NULL;
        bool busy = false;

        for (unsigned i = 0; i < runner->options.jobs; i++) {
            struct attempt *attempt = &runner->attempts[i];
            int status;

            if (attempt->pid != 0) {
                enforce_limit(runner, attempt);
                if (waitpid(attempt->pid, &status, WNOHANG) == attempt->pid)
                    note_end(runner, attempt, status);
            }
            busy |= attempt->pid != 0;
            if (attempt->pid == 0)
                place = attempt;
        }
        print_finished(runner);
        if (place && !(all && busy))
            return place;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

static bool is_over_budget(const struct runner *runner, double began)
{
    return runner->options.budget > 0 &&
           now() - began > (double)runner->options.budget;
}

static void run_forked(struct runner *runner)
{
    double began = now();

    for (size_t i = 0; i < runner->suite->count; i++) {
        for (unsigned j = 0; runner->selected[i] && j < runner->options.repeat;
             j++) {
            struct attempt *place = wait_for_place(runner, false);

            if (is_decided(runner, i) || is_over_budget(runner, began))
                break;
            start(runner, place, i, runner->options.seed + j);
        }
    }
    wait_for_place(runner, true);
}

/* Everything in this process, without limits: for a debugger. */
static void run_here(struct runner *runner)
{
    for (size_t i = 0; i < runner->suite->count; i++) {
        if (!runner->selected[i])
            continue;
        printf("%s\n", runner->suite->tests[i].name);
        make_folders(runner->options.out);
        run_test(runner, &runner->suite->tests[i], runner->options.seed,
                 runner->options.out);
        runner->results[i].end = LAB_PASSED;
    }
}

/* ---- Options --------------------------------------------------------------
 */

static int kind_named(const char *name)
{
    for (int i = 0; i < LAB_KINDS; i++) {
        if (strncmp(lab_kind_name((enum lab_kind)i), name, strlen(name)) == 0)
            return i;
    }
    fprintf(stderr, "there is no kind of tests called %s\n", name);
    exit(EXIT_FAILURE);
}

static bool parse(struct options *options, int argc, char **argv)
{
    static const struct option flags[] = {
        {"tap", required_argument, NULL, 0},
        {"junit", required_argument, NULL, 1},
        {"gradescope", required_argument, NULL, 2},
        {"csv", required_argument, NULL, 3},
        {"test", required_argument, NULL, 't'},
        {"kind", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 's'},
        {"repeat", required_argument, NULL, 'r'},
        {"jobs", required_argument, NULL, 'j'},
        {"slow", required_argument, NULL, 'w'},
        {"out", required_argument, NULL, 'o'},
        {"trace", no_argument, NULL, 'T'},
        {"no-fork", no_argument, NULL, 'n'},
        {"list", no_argument, NULL, 'l'},
        {"worst", no_argument, NULL, 'W'},
        {"budget", required_argument, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    int flag;

    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        switch (flag) {
        case 't': options->test = optarg; break;
        case 'k': options->kind = kind_named(optarg); break;
        case 's': options->seed = strtoull(optarg, NULL, 0); break;
        case 'r': options->repeat = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'j': options->jobs = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'w': options->slow = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'o': options->out = optarg; break;
        case 'T': options->trace = true; break;
        case 'n': options->no_fork = true; break;
        case 'l': options->list = true; break;
        case 'W': options->worst = true; break;
        case 'b': options->budget = (unsigned)strtoul(optarg, NULL, 0); break;
        case '?': return false;
        default: options->forms[flag] = optarg; break;
        }
    }
    return optind == argc && options->repeat > 0 && options->jobs > 0 &&
           options->jobs <= JOBS_MAX && options->slow > 0;
}

static bool is_selected(const struct runner *runner, size_t index)
{
    const struct lab_test *test = &runner->suite->tests[index];
    const struct options *options = &runner->options;
    char *end;
    unsigned long number;

    if (options->kind >= 0 && (int)test->kind != options->kind)
        return false;
    if (!options->test || options->test[0] == '\0')
        return true;
    number = strtoul(options->test, &end, 10);
    if (*end == '\0')
        return number == index + 1;
    return strstr(test->name, options->test) != NULL;
}

static void print_list(const struct runner *runner)
{
    for (size_t i = 0; i < runner->suite->count; i++) {
        const struct lab_test *test = &runner->suite->tests[i];

        if (runner->selected[i])
            printf("%3zu %2u %-10s %3us %-6s %s\n", i + 1, test->points,
                   lab_kind_name(test->kind), test->limit_s, test->rule,
                   test->name);
    }
}

static bool write_forms(const struct runner *runner)
{
    bool written = true;

    for (int i = 0; i < FORMS; i++) {
        if (runner->options.forms[i])
            written &=
                lab_write_results(runner->suite, runner->results, form_names[i],
                                  runner->options.forms[i]);
    }
    return written;
}

static int run_suite(struct runner *runner)
{
    double began = now();
    int status;

    if (runner->options.no_fork)
        run_here(runner);
    else
        run_forked(runner);
    status = print_total(runner, now() - began);
    return write_forms(runner) ? status : EXIT_FAILURE;
}

int lab_main(const struct lab_suite *suite, int argc, char **argv)
{
    struct runner runner = {
        .suite = suite,
        .options = {.kind = -1,
                    .seed = 1,
                    .repeat = 1,
                    .jobs = 1,
                    .slow = 1,
                    .out = "build/lab-runs"},
        .results = memory_new(suite->count * sizeof(struct lab_result)),
        .selected = memory_new(suite->count * sizeof(bool)),
    };
    int status = EXIT_SUCCESS;

    if (!parse(&runner.options, argc, argv)) {
        fprintf(stderr,
                "usage: lab%s [--test N|NAME] [--kind K] [--seed N] "
                "[--repeat N] [--jobs N] [--slow N] [--out DIR] "
                "[--trace] [--no-fork] [--list] [--worst] [--budget SECONDS] "
                "[--tap|--junit|--gradescope|--csv FILE]\n",
                suite->id);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < FORMS; i++) {
        if (lab_form_descriptor(runner.options.forms[i]) >= 0)
            prctl(PR_SET_DUMPABLE, 0);
    }
    for (size_t i = 0; i < suite->count; i++) {
        runner.selected[i] = is_selected(&runner, i);
        runner.results[i].end = LAB_NOT_RUN;
    }
    if (runner.options.list)
        print_list(&runner);
    else
        status = run_suite(&runner);
    for (size_t i = 0; i < suite->count; i++)
        free(runner.results[i].report);
    free(runner.results);
    free(runner.selected);
    return status;
}
