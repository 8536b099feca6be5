/* SPDX-License-Identifier: MIT */
/*
 * soak: a steady load with failovers, for as long as one likes, to see whether
 * anything grows that should not. A view service and three servers run as
 * processes, with small limits: TRACE_MAX for traces, SESSIONS_MAX sessions.
 * Again and again the primary is stopped until it is replaced, and then goes
 * on as a server without state; every third time it is killed and started
 * again, so that most processes live through many failovers.
 *
 * A sample is taken in every interval, and judged by these rules:
 *
 * - flat: the greatest value of the last quarter of the time is at most that of
 *   the second quarter, and a quarter of it, and an allowance (memory: 4 MiB;
 *   descriptors: 8). The first quarter is for warming up. Held for the view
 *   service, for the greatest of all servers, and for this program's clients.
 * - p99: the median of the intervals of the last quarter is at most twice that
 *   of the second quarter, and 20 ms: most intervals have no failover, and the
 *   allowance is for machines that have other work to do.
 * - bounded: never more than a limit (sessions, octets of a trace, octets that
 *   wait to be sent, operations that the backup lacks, octets of a log).
 * - every operation is answered.
 *
 * The report is a page of HTML with all samples as charts and these verdicts.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"
#include "rpc/program.h"
#include "tests/chaos/field.h"
#include "tests/chaos/load.h"
#include "tests/chaos/plot.h"
#include "tests/chaos/watch.h"

enum {
    SERVERS = 3,
    CLIENTS = 8,
    SAMPLES = 240, /* about so many, but none in less than SAMPLE_MIN_MS */
    SAMPLE_MIN_MS = 500,
    FAILOVERS = 60, /* about so many, but none sooner than FAILOVER_MIN_MS */
    FAILOVER_MIN_MS = 3000,
    OUTAGE_MS = 1000,
    STEP_MS = 10,
    TRACE_MAX = 1 << 20,
    SESSIONS_MAX = 128,
    TRACE_LINE = 16 << 10, /* the last line may go past the limit */
    HELD_MAX = 1 << 20,
    LACKING_MAX = 256,
    LOG_MAX = 256 << 10, /* of one life */
};

/* What is sampled. */
enum figure {
    MEMORY_VIEW,
    MEMORY_SERVERS,
    MEMORY_CLIENTS,
    OPEN_VIEW,
    OPEN_SERVERS,
    OPEN_CLIENTS,
    P50,
    P99,
    RATE,
    SESSIONS,
    HELD,
    LACKING,
    TRACE,
    LOG,
    FIGURES,
};

enum rule { RULE_NONE, RULE_FLAT, RULE_MEDIAN, RULE_BOUND };

static const struct {
    const char *name;
    enum rule rule;
    double allowance; /* RULE_BOUND: the limit */
} figures[FIGURES] = {
    [MEMORY_VIEW] = {"memory of the view service, KiB", RULE_FLAT, 4096},
    [MEMORY_SERVERS] = {"memory of servers, KiB", RULE_FLAT, 4096},
    [MEMORY_CLIENTS] = {"memory of the clients, KiB", RULE_FLAT, 4096},
    [OPEN_VIEW] = {"descriptors of the view service", RULE_FLAT, 8},
    [OPEN_SERVERS] = {"descriptors of servers", RULE_FLAT, 8},
    [OPEN_CLIENTS] = {"descriptors of the clients", RULE_FLAT, 8},
    [P50] = {"p50, ms", RULE_NONE, 0},
    [P99] = {"p99, ms", RULE_MEDIAN, 20},
    [RATE] = {"operations per second", RULE_NONE, 0},
    [SESSIONS] = {"sessions in the table", RULE_BOUND, SESSIONS_MAX},
    [HELD] = {"octets that wait to be sent", RULE_BOUND, HELD_MAX},
    [LACKING] = {"operations that the backup lacks", RULE_BOUND, LACKING_MAX},
    [TRACE] = {"octets of a trace", RULE_BOUND, TRACE_MAX + TRACE_LINE},
    [LOG] = {"octets of a log", RULE_BOUND, LOG_MAX},
};

struct soak {
    uint32_t seconds;
    const char *report;
    struct field *field;
    struct watch watch;
    struct load *load;

    size_t count; /* samples */
    size_t room;
    double *moments;
    double *values[FIGURES];
    double *marks;
    size_t mark_count;
    uint64_t operations;
    uint64_t failed;
    uint64_t newcomers;

    uint64_t sample_ms; /* the last one */
    uint64_t outage_ms; /* when the outage began; or ended */
    bool is_out;
    struct fault fault;
    struct strike strike;
    unsigned failures;
};

/* ---- Sampling ----------------------------------------------------------- */

/* Returns resident memory of a process in KiB, or -1. */
static double memory_kib(pid_t pid)
{
    char path[64];
    long total = 0, resident = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return -1;
    if (fscanf(file, "%ld %ld", &total, &resident) != 2)
        resident = -1;
    fclose(file);
    return resident < 0
               ? -1
               : (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* Returns how many descriptors a process has open, or -1. */
static double open_count(pid_t pid)
{
    char path[64];
    double count = -2; /* "." and ".." */
    DIR *stream;

    snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
    stream = opendir(path);
    if (!stream)
        return -1;
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static double file_size(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (double)status.st_size : -1;
}

static void raise_to(double *greatest, double value)
{
    if (value > *greatest)
        *greatest = value;
}

/* Notes what can be seen of a process from outside. */
static void sample_outside(struct soak *soak, const struct process *process,
                           double sample[FIGURES])
{
    bool view = process == field_view_service(soak->field);
    char file[CLUSTER_NAME_SIZE + 16], path[CLUSTER_PATH_SIZE];

    if (process->pid == 0)
        return;
    raise_to(&sample[view ? MEMORY_VIEW : MEMORY_SERVERS],
             memory_kib(process->pid));
    raise_to(&sample[view ? OPEN_VIEW : OPEN_SERVERS],
             open_count(process->pid));
    snprintf(file, sizeof(file), "%s-%u.trace", process->name, process->life);
    raise_to(&sample[TRACE],
             file_size(cluster_path(field_cluster(soak->field), file, path)));
    raise_to(&sample[LOG], file_size(process->log));
}

/* Notes what a server tells about itself. */
static void sample_inside(struct soak *soak, const struct process *server,
                          double sample[FIGURES])
{
    struct pbkv_inspection *seen;

    if (server->pid == 0 || (soak->is_out && server == soak->strike.victim))
        return;
    seen = field_inspect(soak->field, server);
    if (!seen)
        return;
    raise_to(&sample[SESSIONS], (double)seen->sessions);
    raise_to(&sample[HELD], (double)inspection_count(seen, "rpc.output_held"));
    if (strcmp(seen->role, "primary") == 0)
        raise_to(&sample[LACKING], (double)(seen->applied - seen->committed));
    pbkv_inspection_free(seen);
}

static void sample_load(struct soak *soak, double seconds,
                        double sample[FIGURES])
{
    struct load_interval taken = load_take(soak->load);

    if (taken.operations > 0) {
        sample[P50] = taken.p50_ms;
        sample[P99] = taken.p99_ms;
    }
    sample[RATE] = (double)taken.operations / seconds;
    soak->operations += taken.operations;
    soak->failed += taken.failed;
    soak->newcomers += taken.newcomers;
}

static void take_sample(struct soak *soak)
{
    uint64_t now_ms = watch_now_ms(&soak->watch);
    double seconds = (double)(now_ms - soak->sample_ms) / 1000;
    double sample[FIGURES];

    if (soak->count == soak->room || seconds <= 0)
        return;
    for (unsigned i = 0; i < FIGURES; i++)
        sample[i] = -1;
    sample_outside(soak, field_view_service(soak->field), sample);
    for (unsigned i = 0; i < SERVERS; i++) {
        sample_outside(soak, field_server(soak->field, i), sample);
        sample_inside(soak, field_server(soak->field, i), sample);
    }
    sample[MEMORY_CLIENTS] = memory_kib(getpid());
    sample[OPEN_CLIENTS] = open_count(getpid());
    sample_load(soak, seconds, sample);
    soak->moments[soak->count] = (double)now_ms / 1000;
    for (unsigned i = 0; i < FIGURES; i++)
        soak->values[i][soak->count] = sample[i];
    soak->count++;
    soak->sample_ms = now_ms;
}

/* ---- Failovers ---------------------------------------------------------- */

static void begin_outage(struct soak *soak, uint64_t now_ms)
{
    char sentence[FIELD_SENTENCE];

    soak->fault = (struct fault){.kind = soak->mark_count % 3 == 2 ? FAULT_KILL
                                                                   : FAULT_STOP,
                                 .target = TARGET_PRIMARY};
    soak->outage_ms = now_ms;
    if (!field_settles(soak->field, CLUSTER_WAIT_MS)) {
        watch_tell(&soak->watch, "FAILED: there is no backup with the state");
        soak->failures++;
        return;
    }
    soak->is_out =
        field_strike(soak->field, &soak->fault, &soak->strike, sentence);
    watch_tell(&soak->watch, "%s", sentence);
    if (soak->is_out && soak->mark_count < soak->room)
        soak->marks[soak->mark_count++] = (double)now_ms / 1000;
}

static void end_outage(struct soak *soak, uint64_t now_ms)
{
    char sentence[FIELD_SENTENCE];

    soak->outage_ms = now_ms;
    soak->is_out = false;
    if (!field_mend(soak->field, &soak->fault, &soak->strike, sentence)) {
        watch_tell(&soak->watch, "FAILED: a server does not come back");
        soak->failures++;
    }
}

static uint64_t at_least(uint64_t value, uint64_t minimum)
{
    return value < minimum ? minimum : value;
}

static void step(struct soak *soak)
{
    struct timespec pause = {0, STEP_MS * 1000000L};
    uint64_t length_ms = (uint64_t)soak->seconds * 1000;
    uint64_t now_ms = watch_now_ms(&soak->watch);
    const char *casualty = field_casualty(soak->field);

    if (casualty) {
        watch_tell(&soak->watch, "FAILED: %s has ended by itself", casualty);
        soak->failures++;
    }
    if (now_ms - soak->sample_ms >=
        at_least(length_ms / SAMPLES, SAMPLE_MIN_MS))
        take_sample(soak);
    if (soak->is_out && now_ms - soak->outage_ms >= OUTAGE_MS)
        end_outage(soak, now_ms);
    else if (!soak->is_out &&
             now_ms - soak->outage_ms >=
                 at_least(length_ms / FAILOVERS, FAILOVER_MIN_MS))
        begin_outage(soak, now_ms);
    watch_views(&soak->watch);
    nanosleep(&pause, NULL);
}

/* ---- Judging ------------------------------------------------------------ */

static int compare(const void *one, const void *other)
{
    const double *a = one, *b = other;

    return (*a > *b) - (*a < *b);
}

/* Returns the greatest or the median value of a quarter (0 to 3) of the time,
 * or -1 when it has none. */
static double quarter(const struct soak *soak, enum figure figure, unsigned at,
                      bool median)
{
    double *sorted = memory_new((soak->count + 1) * sizeof(double));
    double result = -1;
    size_t count = 0;

    for (size_t i = 0; i < soak->count; i++)
        if (i * 4 / soak->count == at && soak->values[figure][i] >= 0)
            sorted[count++] = soak->values[figure][i];
    qsort(sorted, count, sizeof(double), compare);
    if (count > 0)
        result = median ? sorted[count / 2] : sorted[count - 1];
    free(sorted);
    return result;
}

struct verdict {
    bool good;
    double early; /* of the second quarter */
    double late;  /* of the last quarter; or the greatest of all */
    double limit;
};

static struct verdict judge(const struct soak *soak, enum figure figure)
{
    enum rule rule = figures[figure].rule;
    bool median = rule == RULE_MEDIAN || rule == RULE_NONE;
    struct verdict verdict = {.early = quarter(soak, figure, 1, median),
                              .late = quarter(soak, figure, 3, median),
                              .limit = figures[figure].allowance};

    if (rule == RULE_BOUND)
        for (unsigned i = 0; i < 3; i++)
            raise_to(&verdict.late, quarter(soak, figure, i, false));
    if (rule == RULE_FLAT)
        verdict.limit += verdict.early * 1.25;
    if (rule == RULE_MEDIAN)
        verdict.limit += verdict.early * 2;
    verdict.good = rule == RULE_NONE ||
                   (verdict.late >= 0 && verdict.late <= verdict.limit);
    return verdict;
}

static const char *rule_name(enum rule rule)
{
    switch (rule) {
    case RULE_FLAT: return "flat";
    case RULE_MEDIAN: return "median flat";
    case RULE_BOUND: return "bounded";
    case RULE_NONE: break;
    }
    return "shown";
}

/* Prints the verdicts, and writes them as a table. */
static void write_verdicts(struct soak *soak, FILE *page)
{
    fputs("<table><tr><th>figure<th>rule<th>second quarter<th>last quarter"
          "<th>limit<th>verdict</tr>\n",
          page);
    printf("\n%-36s %-12s %12s %12s %12s\n", "", "", "2nd quarter",
           "last quarter", "limit");
    for (unsigned i = 0; i < FIGURES; i++) {
        struct verdict verdict = judge(soak, (enum figure)i);
        const char *word = verdict.good ? "ok" : "FAILED";

        soak->failures += !verdict.good;
        printf("%-36s %-12s %12.1f %12.1f %12.1f  %s\n", figures[i].name,
               rule_name(figures[i].rule), verdict.early, verdict.late,
               verdict.limit, word);
        fprintf(page, "<tr><td>%s<td>%s<td>%.1f<td>%.1f<td>%.1f<td>%s</tr>\n",
                figures[i].name, rule_name(figures[i].rule), verdict.early,
                verdict.late, verdict.limit, word);
    }
    fputs("</table>\n", page);
}

static void write_charts(const struct soak *soak, FILE *page)
{
    static const struct {
        const char *title;
        enum figure from, to;
    } charts[] = {{"Resident memory", MEMORY_VIEW, MEMORY_CLIENTS},
                  {"Open descriptors", OPEN_VIEW, OPEN_CLIENTS},
                  {"Time of an operation", P50, P99},
                  {"Operations", RATE, RATE},
                  {"Sessions", SESSIONS, SESSIONS},
                  {"Waiting to be sent", HELD, HELD},
                  {"Lacking at the backup", LACKING, LACKING},
                  {"Traces and logs", TRACE, LOG}};
    const struct plot_axis axis = {soak->moments, soak->count, soak->marks,
                                   soak->mark_count};

    fputs("<p>A line marks each failover. Of several servers the greatest "
          "value is shown.</p>\n",
          page);
    for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]); i++) {
        struct plot_line lines[FIGURES];
        size_t count = 0;

        for (unsigned f = charts[i].from; f <= (unsigned)charts[i].to; f++)
            lines[count++] =
                (struct plot_line){figures[f].name, soak->values[f]};
        plot_chart(page, &axis, charts[i].title, lines, count);
    }
}

static void report(struct soak *soak)
{
    FILE *page = fopen(soak->report, "we");

    if (!page) {
        perror(soak->report);
        soak->failures++;
        return;
    }
    plot_begin(page, "pbkv under a steady load with failovers");
    write_verdicts(soak, page);
    write_charts(soak, page);
    plot_end(page);
    if (fclose(page) != 0)
        soak->failures++;
    if (soak->failed > 0)
        soak->failures++;
    printf("operations %" PRIu64 ", without an answer %" PRIu64
           "; newcomers %" PRIu64 "; failovers %zu; views %u\nreport %s\n%s\n",
           soak->operations, soak->failed, soak->newcomers, soak->mark_count,
           soak->watch.views, soak->report,
           soak->failures > 0 ? "FAILED" : "passed");
}

/* ---- Running ------------------------------------------------------------ */

static bool set_up(struct soak *soak)
{
    static const char *const more[] = {"--max-sessions", "128", NULL};
    const struct field_options options = {
        .servers = SERVERS, .trace_max = "1M", .more = more};

    soak->room = (size_t)soak->seconds * 1000 / SAMPLE_MIN_MS + 1;
    soak->moments = memory_new(soak->room * sizeof(double));
    soak->marks = memory_new(soak->room * sizeof(double));
    for (unsigned i = 0; i < FIGURES; i++)
        soak->values[i] = memory_new(soak->room * sizeof(double));
    soak->field = field_new(&options);
    watch_begin(&soak->watch, soak->field);
    if (field_start(soak->field))
        soak->load = load_start(field_view_address(soak->field), CLIENTS);
    soak->watch.began_ms = cluster_now_ms();
    if (!soak->load)
        printf("FAILED: the store does not start\n");
    return soak->load;
}

static void take_down(struct soak *soak)
{
    watch_end(&soak->watch);
    if (soak->failures > 0)
        setenv("CLUSTER_KEEP", "1", 1);
    field_free(soak->field);
    free(soak->moments);
    free(soak->marks);
    for (unsigned i = 0; i < FIGURES; i++)
        free(soak->values[i]);
}

static int soak_run(struct soak *soak)
{
    if (!set_up(soak)) {
        soak->failures++;
    } else {
        while (soak->failures == 0 &&
               watch_now_ms(&soak->watch) < (uint64_t)soak->seconds * 1000)
            step(soak);
        if (soak->is_out)
            end_outage(soak, watch_now_ms(&soak->watch));
        load_stop(soak->load);
        report(soak);
    }
    take_down(soak);
    return soak->failures > 0 ? PROGRAM_FAILED : 0;
}

int main(int argc, char **argv)
{
    struct soak soak = {.seconds = 60, .report = "soak.html"};
    const struct program_option options[] = {
        PROGRAM_U32_OPTION("seconds", "S", "how long (60)", &soak.seconds, 10,
                           10000000),
        PROGRAM_TEXT_OPTION("report", "FILE", "page to write (soak.html)",
                            &soak.report)};
    const struct program program = {
        .name = "soak",
        .operands = "",
        .purpose = "Loads a store for a long time and watches what grows.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0])};
    int at, status = program_parse(&program, argc, argv, &at);

    return status == PROGRAM_GO_ON ? soak_run(&soak) : status;
}
