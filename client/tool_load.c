/* SPDX-License-Identifier: MIT */
/*
 * tool_load: load and verify. Both take entries from a source and send one call
 * for each, many at a time; they differ in the call and in what its end means.
 *
 * Load goes on over failovers. The library repeats what is lost; and a put
 * whose session the servers forgot starts again, although its outcome is
 * unknown, because to put the same value twice is to put it once. This holds
 * while nobody else writes the key. When no answer comes until the deadline,
 * nothing more is started, what is under way is waited for, and everything that
 * is not certainly stored is counted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/tool.h"
#include "client/tool_flight.h"
#include "client/tool_source.h"
#include "client/tool_tsv.h"

enum {
    IN_FLIGHT_DEFAULT = 64,
    WAIT_MS = 100,  /* between looks at progress and signals */
    NAMED_MAX = 10, /* of what is refused */
    AGAIN_MS = 10,  /* pause when somebody is overloaded */
};

/* What a command line asks for. */
struct job_options {
    const char *excludes;
    uint32_t in_flight;
};

struct job {
    struct tool *tool;
    enum flight_kind kind;
    struct source *source;
    struct flights *flights;
    struct item next; /* key NULL: none */
    bool ended;       /* nothing more is taken from the source */
    bool given_up;    /* the end came before that of the source */
    uint64_t began_ns;

    /* Entries by how they ended. */
    uint64_t good;
    uint64_t refused;   /* by the source or the store */
    uint64_t unknown;   /* no answer */
    uint64_t missing;   /* of verify */
    uint64_t different; /* of verify */
    uint64_t octets;    /* keys and values of the good ones */
};

/* ---- The end of an entry ------------------------------------------------ */

/* Writes a line of the result: what is wrong with a key. */
static void report(struct job *job, const char *what, const struct item *item)
{
    tool_progress_clear(&job->tool->progress);
    printf("%s ", what);
    tsv_write_field(stdout, item->key, item->key_length);
    putchar('\n');
}

/* Counts something that is refused, and names it if it is among the first. */
static void refuse(struct job *job, const void *name, size_t length,
                   const char *reason)
{
    if (job->refused++ < NAMED_MAX)
        tool_say_refused(job->tool, name, length, reason);
}

static void count_answer(struct job *job, const struct flight *flight)
{
    const struct item *item = &flight->item;

    if (job->kind == FLIGHT_GET && !flight->same) {
        job->different++;
        report(job, "differs", item);
        return;
    }
    job->good++;
    job->octets += item->key_length + item->value_length;
}

static void give_up(struct job *job)
{
    if (job->ended && !job->next.key)
        return;
    item_release(&job->next);
    job->ended = true;
    job->given_up = true;
}

static void count_failure(struct job *job, const struct flight *flight)
{
    const struct item *item = &flight->item;

    if (tool_exit_of(flight->status) == TOOL_UNAVAILABLE) {
        if (job->unknown++ == 0 && job->kind == FLIGHT_PUT)
            tool_conclude_update(job->tool, flight->status);
        else if (job->unknown == 1)
            tool_conclude_read(job->tool, flight->status);
        give_up(job);
        return;
    }
    refuse(job, item->key, item->key_length, pbkv_status_text(flight->status));
}

static bool can_start_again(const struct job *job, enum pbkv_status status)
{
    return !job->given_up &&
           (status == PBKV_SESSION_EXPIRED || status == PBKV_OVERLOADED);
}

static void on_landed(struct job *job, struct flight *flight)
{
    const struct timespec pause = {0, AGAIN_MS * 1000000L};

    if (can_start_again(job, flight->status)) {
        if (flight->status == PBKV_OVERLOADED)
            nanosleep(&pause, NULL);
        if (flight_again(flight))
            return;
    }
    if (flight->status == PBKV_OK) {
        count_answer(job, flight);
    } else if (flight->status == PBKV_NO_KEY) {
        job->missing++;
        report(job, "missing", &flight->item);
    } else {
        count_failure(job, flight);
    }
    flight_end(flight);
}

/* ---- The run ------------------------------------------------------------ */

/* Sees to it that there is a next item, if there can be one. */
static void take_next(struct job *job)
{
    while (!job->ended && !job->next.key) {
        switch (source_next(job->source, &job->next)) {
        case SOURCE_ITEM: break;
        case SOURCE_REFUSED:
            refuse(job, source_name(job->source),
                   strlen(source_name(job->source)),
                   source_reason(job->source));
            break;
        case SOURCE_END: job->ended = true; break;
        }
    }
}

static void show_progress(struct job *job)
{
    tool_progress_update(&job->tool->progress,
                         job->good + job->refused + job->missing +
                             job->different + job->unknown,
                         job->octets);
}

/* Carries entries until all are done, or a signal wants the end. */
static void run_job(struct job *job)
{
    for (;;) {
        uint32_t wait_ms = WAIT_MS;
        struct flight *flight;

        if (tool_stop_wanted(job->tool->stop))
            return;
        take_next(job);
        if (job->next.key && flights_can_start(job->flights, &job->next)) {
            flights_start(job->flights, &job->next);
            wait_ms = 0;
        }
        if (flights_busy(job->flights) == 0)
            return;
        flight = flights_land(job->flights, wait_ms);
        if (flight)
            on_landed(job, flight);
        show_progress(job);
    }
}

/* ---- What came of it ---------------------------------------------------- */

static void print_summary(const struct job *job)
{
    double seconds = (double)(tool_now_ns() - job->began_ns) / 1e9;
    char size[16];
    char rate[16];

    printf("%s %" PRIu64 " %s, %" PRIu64 " octets (%s) in %.3f s, %s/s; ",
           job->kind == FLIGHT_PUT ? "loaded" : "verified", job->good,
           source_unit(job->source), job->octets,
           tool_octets_text(job->octets, size, sizeof(size)), seconds,
           tool_octets_text((uint64_t)((double)job->octets / seconds), rate,
                            sizeof(rate)));
    if (job->kind == FLIGHT_GET)
        printf("%" PRIu64 " missing, %" PRIu64 " different, ", job->missing,
               job->different);
    printf("%" PRIu64 " refused, %" PRIu64 " %s%s\n", job->refused,
           job->unknown, job->kind == FLIGHT_PUT ? "unknown" : "not answered",
           job->given_up ? ", the rest not tried" : "");
}

static int job_status(const struct job *job)
{
    if (job->unknown > 0 || job->given_up)
        return TOOL_UNAVAILABLE;
    if (job->refused + job->missing + job->different > 0)
        return TOOL_NEGATIVE;
    return TOOL_OK;
}

/* Runs a job whose source is open. */
static int run_with_source(struct job *job, uint32_t in_flight)
{
    struct tool *tool = job->tool;
    int status = tool_open(tool, in_flight);

    if (status != TOOL_OK)
        return status;
    job->flights =
        flights_new(tool->store, job->kind, in_flight, tool->deadline_ms);
    job->began_ns = tool_now_ns();
    if (!tool->quiet)
        tool_progress_begin(
            &tool->progress, job->kind == FLIGHT_PUT ? "load" : "verify",
            source_unit(job->source), source_total(job->source));
    run_job(job);
    if (tool_stop_wanted(tool->stop))
        give_up(job);
    tool_progress_end(&tool->progress);
    pbkv_close(tool->store);
    tool->store = NULL;
    job->unknown += flights_busy(job->flights);
    if (job->refused > NAMED_MAX)
        tool_say(tool, "refused %" PRIu64 " more", job->refused - NAMED_MAX);
    if (!tool->quiet)
        print_summary(job);
    flights_free(job->flights);
    item_release(&job->next);
    return job_status(job);
}

static int run_path(struct tool *tool, enum flight_kind kind, const char *path,
                    const struct job_options *wanted)
{
    struct job job = {.tool = tool, .kind = kind};
    int status;
    int error =
        source_open(path, wanted->excludes, kind == FLIGHT_GET, &job.source);

    if (error != 0) {
        tool_say(tool, "cannot read %s: %s", path,
                 error == -ESPIPE ? "it has to be a file, to be read twice"
                                  : strerror(-error));
        return TOOL_NEGATIVE;
    }
    status = run_with_source(&job, wanted->in_flight);
    source_close(job.source);
    return status;
}

static int run_command(struct tool *tool, enum flight_kind kind,
                       const char *name, const char *purpose, int argc,
                       char **argv)
{
    struct job_options wanted = {NULL, IN_FLIGHT_DEFAULT};
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("exclude", "NAME,...",
                            "pass over files and directories of these names",
                            &wanted.excludes),
        PROGRAM_U32_OPTION("in-flight", "N", "calls under way at once (64)",
                           &wanted.in_flight, 1, FLIGHTS_MAX),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        name, "FILE.tsv|DIR", purpose, options, TOOL_COUNT(options), 1, 1};
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    return run_path(tool, kind, argv[at], &wanted);
}

int tool_load(struct tool *tool, int argc, char **argv)
{
    return run_command(
        tool, FLIGHT_PUT, "pbkv load",
        "Stores every line of a TSV file (key, TAB, value; '-' is standard\n"
        "input), or every regular file below a directory: its path is the\n"
        "key, its contents are the value. Symbolic links are not followed.\n"
        "In TSV, \\t \\n \\\\ and \\xNN stand for octets; of lines with the\n"
        "same key the last one counts.\n"
        "\n"
        "Goes on over failovers; the deadline is that of each key. What\n"
        "cannot be stored is counted, and the first ten are named. Exit\n"
        "status 1 when something was refused, 3 when there was no answer; to\n"
        "load again is safe.",
        argc, argv);
}

int tool_verify(struct tool *tool, int argc, char **argv)
{
    return run_command(
        tool, FLIGHT_GET, "pbkv verify",
        "Reads back what load would store and compares it octet by octet.\n"
        "Writes a line to standard output for every key that is different:\n"
        "'missing KEY' or 'differs KEY'. Keys that are in the store only are\n"
        "not looked for. Exit status 0 when all is there and the same, 1 when\n"
        "it is not, or when something cannot be in the store because it is\n"
        "too large or cannot be read.",
        argc, argv);
}
