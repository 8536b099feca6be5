/* SPDX-License-Identifier: MIT */
/*
 * The lines are gathered per host and sorted by the host's own entry. Each line
 * is then compared with the line before it and, for a receipt, with the line of
 * the send: three clocks, sorted the same way, walked side by side. Nothing
 * else is needed: if every line follows from its predecessors, then by
 * induction every clock is what the rules make it.
 *
 * A mistake is reported where it comes in and not again by everyone who later
 * learns it from there. After a gap or a repetition in a host's lines there is
 * no line before to compare with, so checking goes on with the next one.
 *
 * How a client is told from a server (rule K4): a server's entry, once
 * received, is kept and passed on; a client's is named by its own lines and by
 * receipts from it, and by no other line.
 */
#include "clocks/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clocks/trace_reader.h"

enum { SENTENCE_MAX = 512 };

struct verifier {
    struct trace_log log;
};

/* The lines of one host. */
struct host_lines {
    const struct trace_line **lines; /* sorted by own entry */
    size_t count;
    bool full; /* the trace ended with TRACE_FULL; more happened */
    bool kept; /* not a client: other hosts keep its entry */
};

struct check {
    const struct trace_log *log;
    struct host_lines *hosts;
    verify_report report;
    void *context;
    struct verify_summary *summary;
};

static void broken(const struct check *check, const struct trace_line *line,
                   const char *rule, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void broken(const struct check *check, const struct trace_line *line,
                   const char *rule, const char *format, ...)
{
    char sentence[SENTENCE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    check->summary->broken++;
    check->report(check->context, rule, check->log->files[line->file],
                  line->number, sentence);
}

/* ---- Lines by host ------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
    const struct trace_line *left = *(const struct trace_line *const *)a;
    const struct trace_line *right = *(const struct trace_line *const *)b;

    if (left->own != right->own)
        return left->own < right->own ? -1 : 1;
    return (left > right) - (left < right);
}

/* Returns count zeroed elements; at least one, so that NULL means failure. */
static void *array_new(size_t count, size_t element_size)
{
    void *array = calloc(count == 0 ? 1 : count, element_size);

    if (array == NULL) {
        fputs("verifying a trace: out of memory\n", stderr);
        abort();
    }
    return array;
}

/* Notes which hosts this line shows not to be clients. */
static void note_kept(struct host_lines *hosts, const struct trace_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        size_t host = line->entries[i].host;

        if (host != line->host &&
            !(line->kind == TRACE_RECEIVE && host == line->sender))
            hosts[host].kept = true;
    }
}

/* Returns the lines of every host; they share one array, which is that of the
 * first host. */
static struct host_lines *gather(const struct trace_log *log)
{
    struct host_lines *hosts = array_new(log->host_count, sizeof *hosts);
    const struct trace_line **next =
        array_new(log->line_count, sizeof(struct trace_line *));

    for (size_t i = 0; i < log->line_count; i++)
        hosts[log->lines[i].host].count++;
    for (size_t i = 0; i < log->host_count; i++) {
        hosts[i].lines = next;
        next += hosts[i].count;
        hosts[i].count = 0;
    }
    if (log->host_count == 0)
        hosts[0].lines = next;
    for (size_t i = 0; i < log->line_count; i++) {
        struct host_lines *host = &hosts[log->lines[i].host];

        host->lines[host->count++] = &log->lines[i];
        host->full |= log->lines[i].full;
        note_kept(hosts, &log->lines[i]);
    }
    for (size_t i = 0; i < log->host_count; i++)
        qsort(hosts[i].lines, hosts[i].count, sizeof *hosts[i].lines,
              compare_lines);
    return hosts;
}

/* Returns the newest own entry of a host with lines. */
static uint64_t newest(const struct host_lines *host)
{
    return host->lines[host->count - 1]->own;
}

/* Returns whether event `time` of a host should be in its trace and is later
 * than everything there. */
static bool is_unheard_of(const struct host_lines *host, uint64_t time)
{
    return host->count > 0 && !host->full && time > newest(host);
}

/* Returns the line of a host with this own entry, or NULL. */
static const struct trace_line *find_line(const struct host_lines *host,
                                          uint64_t own)
{
    size_t low = 0, high = host->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (host->lines[middle]->own < own)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == host->count || host->lines[low]->own != own)
        return NULL;
    return host->lines[low];
}

/* ---- K1: Lamport times --------------------------------------------------- */

static void check_lamport(const struct check *check,
                          const struct trace_line *before,
                          const struct trace_line *send,
                          const struct trace_line *line)
{
    struct lamport expected = {before->lamport};

    if (line->kind == TRACE_RECEIVE && send == NULL) {
        lamport_tick(&expected);
        if (line->lamport < expected.time)
            broken(check, line, "K1",
                   "The Lamport time is %ju, not even %ju, which is one more "
                   "than in the line before.",
                   (uintmax_t)line->lamport, (uintmax_t)expected.time);
        return;
    }
    if (send != NULL)
        lamport_receive(&expected, send->lamport);
    else
        lamport_tick(&expected);
    if (line->lamport != expected.time)
        broken(check, line, "K1",
               "The Lamport time is %ju instead of %ju: one more than %s.",
               (uintmax_t)line->lamport, (uintmax_t)expected.time,
               send != NULL ? "the greater of the line before and the send"
                            : "in the line before");
}

/* ---- K2: vector clocks --------------------------------------------------- */

/* What three clocks say about one host; 0: not listed. */
struct three_times {
    uint64_t before;
    uint64_t send;
    uint64_t now;
};

/* Returns the time of host in a sorted clock whose entries up to *next are done
 * with, and steps over it. */
static uint64_t take(const struct trace_line *line, size_t *next, size_t host)
{
    if (line == NULL || *next == line->count ||
        line->entries[*next].host != host)
        return 0;
    return line->entries[(*next)++].time;
}

/* Lowers *host to the next one in a sorted clock. */
static void lower_to_next(const struct trace_line *line, size_t next,
                          size_t *host)
{
    if (line != NULL && next < line->count && line->entries[next].host < *host)
        *host = line->entries[next].host;
}

/* Returns whether rule K4 allows this line to know less of host than the line
 * before. */
static bool may_forget(const struct check *check, const struct trace_line *line,
                       size_t host)
{
    bool is_client = !check->hosts[host].kept;
    bool is_full =
        line->kind == TRACE_RECEIVE && line->count == CLOCK_ENTRIES_LIMIT;

    return is_client || is_full;
}

/* Returns whether the entry of host is what it should be. */
static bool entry_is_right(const struct check *check,
                           const struct trace_line *send,
                           const struct trace_line *line, size_t host,
                           const struct three_times *times)
{
    bool from_sender = line->kind == TRACE_RECEIVE && line->sender == host;
    uint64_t brought = from_sender ? line->sent : times->send;
    uint64_t joined = times->before > brought ? times->before : brought;

    if (times->now == joined)
        return true;
    if (line->kind == TRACE_RECEIVE && send == NULL && !from_sender &&
        times->now > joined)
        return true;
    if (!may_forget(check, line, host))
        return false;
    /* Forgotten; or forgotten and then learned again from the send. */
    return times->now == brought || (times->now == 0 && !from_sender);
}

/* Returns whether this line is the first to know of an event that its host did
 * not log. That a receipt names no send is for match_receipt to say. */
static bool entry_is_invented(const struct check *check,
                              const struct trace_line *line, size_t host,
                              const struct three_times *times)
{
    return times->now > times->before && times->now > times->send &&
           !(line->kind == TRACE_RECEIVE && line->sender == host) &&
           is_unheard_of(&check->hosts[host], times->now);
}

static void check_entry(const struct check *check,
                        const struct trace_line *send,
                        const struct trace_line *line, size_t host,
                        const struct three_times *times)
{
    const char *name = check->log->hosts[host];

    if (entry_is_invented(check, line, host, times))
        broken(check, line, "K3",
               "The line knows event %ju of %s, whose trace ends at %ju.",
               (uintmax_t)times->now, name,
               (uintmax_t)newest(&check->hosts[host]));
    else if (entry_is_right(check, send, line, host, times))
        return;
    else if (send == NULL)
        broken(check, line, "K2",
               "The entry of %s is %ju, and it was %ju in the line before.",
               name, (uintmax_t)times->now, (uintmax_t)times->before);
    else
        broken(check, line, "K2",
               "The entry of %s is %ju, and it was %ju in the line before and "
               "%ju in the send.",
               name, (uintmax_t)times->now, (uintmax_t)times->before,
               (uintmax_t)times->send);
}

static void check_vector(const struct check *check,
                         const struct trace_line *before,
                         const struct trace_line *send,
                         const struct trace_line *line)
{
    size_t before_next = 0, send_next = 0, line_next = 0;
    /* The sender is to be looked at even if nobody lists it. */
    size_t sender = line->kind == TRACE_RECEIVE ? line->sender : SIZE_MAX;

    for (;;) {
        size_t host = sender;
        struct three_times times;

        lower_to_next(before, before_next, &host);
        lower_to_next(send, send_next, &host);
        lower_to_next(line, line_next, &host);
        if (host == SIZE_MAX)
            return;
        times.before = take(before, &before_next, host);
        times.send = take(send, &send_next, host);
        times.now = take(line, &line_next, host);
        if (host == sender)
            sender = SIZE_MAX;
        if (host != line->host)
            check_entry(check, send, line, host, &times);
    }
}

/* ---- A line, a host, everything ------------------------------------------ */

/* Returns the line of the send that a receipt names, or NULL after counting or
 * reporting that there is none. */
static const struct trace_line *match_receipt(const struct check *check,
                                              const struct trace_line *line)
{
    const struct host_lines *sender = &check->hosts[line->sender];
    const char *name = check->log->hosts[line->sender];
    const struct trace_line *send = find_line(sender, line->sent);

    if (send != NULL && send->kind == TRACE_SEND) {
        check->summary->receipts_matched++;
        return send;
    }
    if (send != NULL)
        broken(check, line, "K3",
               "The receipt names line %ju of %s, which is not a send.",
               (uintmax_t)line->sent, name);
    else if (sender->count > 0 &&
             !(sender->full && line->sent > newest(sender)))
        broken(check, line, "K3",
               "The receipt names line %ju of %s, which does not exist.",
               (uintmax_t)line->sent, name);
    return NULL;
}

/* Checks a line against the line before it. */
static void check_line(const struct check *check,
                       const struct trace_line *before,
                       const struct trace_line *line)
{
    const struct trace_line *send = NULL;

    if (line->kind == TRACE_RECEIVE)
        send = match_receipt(check, line);
    check_lamport(check, before, send, line);
    check_vector(check, before, send, line);
}

/* Reports a line whose own entry does not follow the one before. */
static void report_own_entry(const struct check *check,
                             const struct trace_line *line, uint64_t before)
{
    const char *name = check->log->hosts[line->host];

    if (line->own == before)
        broken(check, line, "K3", "%s has another line with own entry %ju.",
               name, (uintmax_t)before);
    else if (before == 0)
        broken(check, line, "K3", "The first line of %s has own entry %ju.",
               name, (uintmax_t)line->own);
    else
        broken(check, line, "K3",
               "The own entry of %s goes from %ju to %ju: lines are missing.",
               name, (uintmax_t)before, (uintmax_t)line->own);
}

static void check_host(const struct check *check, const struct host_lines *host)
{
    static const struct trace_line nothing; /* before the first line */
    const struct trace_line *before = &nothing;

    for (size_t i = 0; i < host->count; i++) {
        const struct trace_line *line = host->lines[i];

        if (line->own == before->own + 1)
            check_line(check, before, line);
        else
            report_own_entry(check, line, before->own);
        before = line;
    }
}

/* Reports the lines that could not be read. */
static void report_faults(const struct check *check)
{
    for (size_t i = 0; i < check->log->fault_count; i++) {
        const struct trace_fault *fault = &check->log->faults[i];

        check->summary->broken++;
        check->report(check->context, "format", check->log->files[fault->file],
                      fault->number, fault->sentence);
    }
}

static void count_lines(const struct check *check)
{
    check->summary->lines = check->log->line_count;
    for (size_t i = 0; i < check->log->host_count; i++)
        check->summary->hosts += check->hosts[i].count > 0;
    for (size_t i = 0; i < check->log->line_count; i++)
        check->summary->receipts += check->log->lines[i].kind == TRACE_RECEIVE;
}

struct verifier *verifier_new(void)
{
    struct verifier *verifier = array_new(1, sizeof *verifier);

    trace_log_init(&verifier->log);
    return verifier;
}

int verifier_add_file(struct verifier *verifier, const char *path)
{
    return trace_log_read(&verifier->log, path);
}

void verifier_run(struct verifier *verifier, verify_report report,
                  void *context, struct verify_summary *summary)
{
    struct check check = {.log = &verifier->log,
                          .hosts = gather(&verifier->log),
                          .report = report,
                          .context = context,
                          .summary = summary};

    *summary = (struct verify_summary){0};
    count_lines(&check);
    report_faults(&check);
    for (size_t i = 0; i < verifier->log.host_count; i++)
        check_host(&check, &check.hosts[i]);
    free(check.hosts[0].lines);
    free(check.hosts);
}

void verifier_free(struct verifier *verifier)
{
    if (verifier == NULL)
        return;
    trace_log_release(&verifier->log);
    free(verifier);
}
