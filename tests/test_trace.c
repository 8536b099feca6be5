/* SPDX-License-Identifier: MIT */
/*
 * Tests of the trace writer and of the verifier (rules K1 to K4): first lines
 * and files, then one planted break after the other, at the end whole clusters
 * whose traces must be accepted.
 *
 * Planted traces are written with ' for " and through macros, so that a test
 * shows only what matters: host, Lamport time, clock, and who sent what.
 *
 * Random tests print the seed that they use; PBKV_SEED chooses another.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clocks/trace.h"
#include "clocks/verify.h"
#include "tests/suite.h"

/* ---- Files --------------------------------------------------------------- */

enum { PATH_MAX_OCTETS = 64 };

/* A directory for one test, with one file in it. */
struct scratch {
    char directory[PATH_MAX_OCTETS];
    char path[PATH_MAX_OCTETS + 8];
};

static void scratch_make(struct scratch *scratch)
{
    strcpy(scratch->directory, "/tmp/pbkv-trace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch->directory));
    snprintf(scratch->path, sizeof scratch->path, "%s/trace",
             scratch->directory);
}

static void scratch_remove(const struct scratch *scratch)
{
    unlink(scratch->path);
    ck_assert_int_eq(rmdir(scratch->directory), 0);
}

static size_t file_size(const char *path)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return (size_t)status.st_size;
}

/* Returns the file as a text that the caller frees. */
static char *file_read(const char *path)
{
    size_t size = file_size(path);
    char *text = calloc(1, size + 1);
    FILE *file = fopen(path, "r");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(text, 1, size, file), size);
    fclose(file);
    return text;
}

static void file_append(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    while ((text = strchr(text, '\n')) != NULL) {
        lines++;
        text++;
    }
    return lines;
}

static struct trace *open_trace(const char *path, uint64_t limit)
{
    struct trace *trace = NULL;

    ck_assert_int_eq(trace_open(path, limit, &trace), 0);
    ck_assert_ptr_nonnull(trace);
    return trace;
}

/* Ticks and writes an event. */
static int write_event(struct trace *trace, struct host_clock *clock,
                       const char *text)
{
    host_clock_tick(clock);
    return trace_write(trace, clock, TRACE_EVENT, NULL, 0, text);
}

/* Returns the file that one event with this text makes; the caller frees it. */
static char *written(const char *text)
{
    struct scratch scratch;
    struct host_clock clock;
    struct trace *trace;
    char *result;

    scratch_make(&scratch);
    host_clock_init(&clock, "h");
    trace = open_trace(scratch.path, 0);
    ck_assert_int_eq(write_event(trace, &clock, text), 0);
    ck_assert_int_eq(trace_close(trace), 0);
    result = file_read(scratch.path);
    scratch_remove(&scratch);
    return result;
}

/* ---- The regular expression, by hand ------------------------------------- */

/* Steps over a literal. Returns where it ends, or NULL; NULL stays NULL. */
static const char *skip_literal(const char *at, const char *literal)
{
    if (at == NULL || strncmp(at, literal, strlen(literal)) != 0)
        return NULL;
    return at + strlen(literal);
}

static const char *skip_digits(const char *at)
{
    size_t digits = at != NULL ? strspn(at, "0123456789") : 0;

    return digits > 0 ? at + digits : NULL;
}

static const char *skip_until(const char *at, const char *end)
{
    return at != NULL ? strstr(at, end) : NULL;
}

/* Returns whether the first line of a text is matched as a whole by
 * TRACE_SHIVIZ_EXPRESSION; this is that expression, piece by piece. */
static bool shiviz_matches(const char *line)
{
    const char *at = skip_literal(line, "{\"host\":\"");

    at = skip_literal(skip_until(at, "\""), "\",\"lamport\":");
    at = skip_literal(skip_digits(at), ",\"clock\":{");
    if (at == NULL)
        return false;

    const char *end = skip_until(at, "},\"kind\":\"");
    const char *space = strpbrk(at, " \t\n\r\f\v");

    if (end == NULL || (space != NULL && space < end))
        return false;
    at = skip_literal(end, "},\"kind\":\"");
    at += strspn(at, "abcdefghijklmnopqrstuvwxyz");
    at = skip_literal(at, "\",");

    const char *sender = skip_literal(at, "\"sender\":\"");

    if (sender != NULL) {
        at = skip_literal(skip_until(sender, "\""), "\",\"sent\":");
        at = skip_literal(skip_digits(at), ",");
    }
    at = skip_literal(at, "\"event\":\"");
    return at != NULL && skip_until(at, "\"}\n") == skip_until(at, "\n") - 2;
}

/* ---- The writer: lines --------------------------------------------------- */

/* K3 */
TEST(an_event_is_one_line)
{
    char *text = written("started");

    ck_assert_str_eq(text, "{\"host\":\"h\",\"lamport\":1,\"clock\":{\"h\":1},"
                           "\"kind\":\"event\",\"event\":\"started\"}\n");
    free(text);
}

/* K3 */
TEST(a_send_and_a_receipt_are_one_line_each)
{
    struct scratch scratch;
    struct host_clock clock;
    struct trace *trace;
    char *text;

    scratch_make(&scratch);
    host_clock_init(&clock, "s1-9f");
    host_clock_tick(&clock);
    trace = open_trace(scratch.path, 0);
    trace_write(trace, &clock, TRACE_SEND, NULL, 0, "ping view 0");
    host_clock_tick(&clock);
    clock.lamport.time = LAMPORT_MAX;
    vclock_raise(&clock.vector, "vs-9a", 4);
    trace_write(trace, &clock, TRACE_RECEIVE, "vs-9a", 4, "view_reply");
    ck_assert_int_eq(trace_close(trace), 0);
    text = file_read(scratch.path);
    ck_assert_str_eq(
        text, "{\"host\":\"s1-9f\",\"lamport\":1,\"clock\":{\"s1-9f\":1},"
              "\"kind\":\"send\",\"event\":\"ping view 0\"}\n"
              "{\"host\":\"s1-9f\",\"lamport\":4611686018427387904,"
              "\"clock\":{\"s1-9f\":2,\"vs-9a\":4},\"kind\":\"receive\","
              "\"sender\":\"vs-9a\",\"sent\":4,\"event\":\"view_reply\"}\n");
    free(text);
    scratch_remove(&scratch);
}

/* Asserts that text appears as `escaped` in a line that is JSON and that ShiViz
 * reads; returns what a JSON reader makes of it, for the caller to free. */
static char *assert_escaped(const char *text, const char *escaped)
{
    char *line = written(text);
    char *event = strstr(line, "\"event\":\"");
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    char *result;

    ck_assert_ptr_nonnull(event);
    event += strlen("\"event\":\"");
    ck_assert_uint_eq(strlen(event), strlen(escaped) + strlen("\"}\n"));
    ck_assert_mem_eq(event, escaped, strlen(escaped));
    ck_assert_ptr_nonnull(object);
    ck_assert(shiviz_matches(line));
    result = strdup(json_string_value(json_object_get(object, "event")));
    json_decref(object);
    free(line);
    return result;
}

static void assert_comes_back(const char *text, const char *escaped)
{
    char *result = assert_escaped(text, escaped);

    ck_assert_str_eq(result, text);
    free(result);
}

TEST(quotes_and_backslashes_are_escaped)
{
    assert_comes_back("say \"hi\" \\o/", "say \\\"hi\\\" \\\\o/");
    assert_comes_back("\"}", "\\\"}");
    assert_comes_back("\\", "\\\\");
    assert_comes_back("},\"kind\":\"send\",\"event\":\"",
                      "},\\\"kind\\\":\\\"send\\\",\\\"event\\\":\\\"");
    assert_comes_back("", "");
}

TEST(control_characters_are_escaped)
{
    assert_comes_back("a\nb\tc\r\x01\x1f\x7f",
                      "a\\u000ab\\u0009c\\u000d\\u0001\\u001f\\u007f");
}

TEST(utf8_stays_as_it_is)
{
    const char *text = "\xc2\x80 \xc3\xa9 \xdf\xbf \xe0\xa0\x80 \xe2\x82\xac "
                       "\xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf "
                       "\xf0\x90\x80\x80 \xf0\x9f\x90\x98 \xf4\x8f\xbf\xbf";

    assert_comes_back(text, text);
}

/* JavaScript takes them for ends of lines. */
TEST(line_separators_are_escaped)
{
    assert_comes_back("a\xe2\x80\xa8z\xe2\x80\xa9", "a\\u2028z\\u2029");
    assert_comes_back("\xe2\x80\xa7\xe2\x80\xaa", "\xe2\x80\xa7\xe2\x80\xaa");
}

/* Every octet that is not part of UTF-8 becomes the character of its value. */
TEST(octets_that_are_not_utf8_are_escaped_one_by_one)
{
    static const char *const pairs[][2] = {
        {"\x80", "\\u0080"},                         /* stray */
        {"\xff\xfe", "\\u00ff\\u00fe"},              /* never valid */
        {"\xc3", "\\u00c3"},                         /* cut off */
        {"\xe2\x82", "\\u00e2\\u0082"},              /* cut off */
        {"\xf0\x9f\x90x", "\\u00f0\\u009f\\u0090x"}, /* cut off */
        {"\xc0\x80", "\\u00c0\\u0080"},              /* longer than needed */
        {"\xc1\xbf", "\\u00c1\\u00bf"},              /* longer than needed */
        {"\xe0\x9f\xbf", "\\u00e0\\u009f\\u00bf"},   /* longer than needed */
        {"\xf0\x8f\xbf\xbf", "\\u00f0\\u008f\\u00bf\\u00bf"}, /* likewise */
        {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"},            /* surrogate */
        {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080"}, /* too great */
        {"\xf5\x80\x80\x80", "\\u00f5\\u0080\\u0080\\u0080"}, /* too great */
        {"\xe2\xc3\xa9", "\\u00e2\xc3\xa9"}, /* and goes on after it */
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        free(assert_escaped(pairs[i][0], pairs[i][1]));
}

TEST(every_octet_makes_a_line_that_can_be_read)
{
    char text[512];
    size_t length = 0;

    for (unsigned octet = 1; octet < 256; octet++)
        text[length++] = (char)octet;
    for (unsigned octet = 255; octet > 0; octet--)
        text[length++] = (char)octet;
    text[length] = '\0';

    char *line = written(text);
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

    ck_assert_ptr_nonnull(object);
    ck_assert(shiviz_matches(line));
    ck_assert_uint_eq(count_lines(line), 1);
    json_decref(object);
    free(line);
}

/* The matcher that these tests use can say no. */
TEST(the_expression_by_hand_refuses_other_lines)
{
    ck_assert(!shiviz_matches("\n"));
    ck_assert(!shiviz_matches("{\"host\":\"h\",\"lamport\":x}\n"));
    ck_assert(!shiviz_matches("{\"host\":\"h\",\"lamport\":1,\"clock\":{\"h\": "
                              "1},\"kind\":\"event\",\"event\":\"x\"}\n"));
    ck_assert(!shiviz_matches("{\"host\":\"h\",\"lamport\":1,\"clock\":{\"h\":"
                              "1},\"kind\":\"event\",\"event\":\"x\n\"}\n"));
}

/* Every character that host names may have, also those that end a clock. */
TEST(shiviz_reads_lines_of_every_kind_and_host)
{
    struct scratch scratch;
    struct host_clock clock;
    struct trace *trace;
    char *text;
    char name[3] = "!x";

    scratch_make(&scratch);
    trace = open_trace(scratch.path, 0);
    for (int c = '!'; c <= '~'; c++) {
        if (c == '"' || c == '\\')
            continue;
        name[0] = (char)c;
        host_clock_init(&clock, name);
        vclock_raise(&clock.vector, "},", 3);
        vclock_raise(&clock.vector, "kind", 3);
        host_clock_tick(&clock);
        trace_write(trace, &clock, TRACE_SEND, NULL, 0, "\"}");
        trace_write(trace, &clock, TRACE_RECEIVE, "},", 3, "\"event\":\"");
        trace_write(trace, &clock, TRACE_EVENT, NULL, 0, "{\"host\":\"");
    }
    ck_assert_int_eq(trace_close(trace), 0);
    text = file_read(scratch.path);
    ck_assert_uint_eq(count_lines(text), 3 * ('~' - '!' + 1 - 2));
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        ck_assert(shiviz_matches(line));
    free(text);
    scratch_remove(&scratch);
}

/* ---- The writer: files --------------------------------------------------- */

TEST(a_trace_is_appended_to)
{
    struct scratch scratch;
    struct host_clock clock;
    char *text;

    scratch_make(&scratch);
    file_append(scratch.path, "first\n");
    host_clock_init(&clock, "h");
    for (int i = 0; i < 2; i++) {
        struct trace *trace = open_trace(scratch.path, 0);

        write_event(trace, &clock, "x");
        ck_assert_int_eq(trace_close(trace), 0);
    }
    text = file_read(scratch.path);
    ck_assert_int_eq(strncmp(text, "first\n{\"host\"", 13), 0);
    ck_assert_uint_eq(count_lines(text), 3);
    free(text);
    scratch_remove(&scratch);
}

TEST(lines_reach_the_file_when_they_are_flushed)
{
    struct scratch scratch;
    struct host_clock clock;
    struct trace *trace;

    scratch_make(&scratch);
    host_clock_init(&clock, "h");
    trace = open_trace(scratch.path, 0);
    ck_assert_int_eq(trace_flush(trace), 0);
    write_event(trace, &clock, "x");
    ck_assert_uint_eq(file_size(scratch.path), 0);
    ck_assert_int_eq(trace_flush(trace), 0);
    ck_assert_uint_gt(file_size(scratch.path), 0);
    ck_assert_int_eq(trace_close(trace), 0);
    scratch_remove(&scratch);
}

TEST(lines_reach_the_file_when_many_have_gathered)
{
    struct scratch scratch;
    struct host_clock clock;
    struct trace *trace;
    char *text;

    scratch_make(&scratch);
    host_clock_init(&clock, "h");
    trace = open_trace(scratch.path, 0);
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(write_event(trace, &clock, "x"), 0);
    ck_assert_uint_gt(file_size(scratch.path), 0);
    ck_assert_int_eq(trace_close(trace), 0);
    text = file_read(scratch.path);
    ck_assert_uint_eq(count_lines(text), 2000);
    free(text);
    scratch_remove(&scratch);
}

TEST(a_text_longer_than_the_buffer_is_one_line)
{
    size_t length = 300000;
    char *text = malloc(length + 1);
    char *result;

    memset(text, '\x01', length);
    text[length] = '\0';
    result = assert_escaped("x", "x");
    free(result);
    result = written(text);
    ck_assert_uint_eq(count_lines(result), 1);
    ck_assert_uint_gt(strlen(result), 6 * length);
    ck_assert(shiviz_matches(result));
    free(result);
    free(text);
}

enum { WRITERS = 4, LINES_OF_A_WRITER = 3000 };

/* Writes lines of different lengths, now and then flushed. */
static void write_as_child(const char *path, int number)
{
    struct host_clock clock;
    struct trace *trace;
    char name[8], text[256];
    int result = 0;

    snprintf(name, sizeof name, "h%d", number);
    host_clock_init(&clock, name);
    if (trace_open(path, 0, &trace) != 0)
        _exit(1);
    for (int i = 0; i < LINES_OF_A_WRITER; i++) {
        size_t length = (size_t)(i * 7 % 200);

        memset(text, 'a' + number, length);
        text[length] = '\0';
        result |= write_event(trace, &clock, text);
        if (i % 50 == number)
            result |= trace_flush(trace);
    }
    _exit(result | trace_close(trace) ? 1 : 0);
}

static void fail_on_break(void *context, const char *rule, const char *file,
                          uint64_t line, const char *sentence)
{
    (void)context;
    ck_abort_msg("%s:%ju: %s: %s", file, (uintmax_t)line, rule, sentence);
}

/* Asserts that the trace is right and returns what was in it. */
static struct verify_summary assert_right(const char *path)
{
    struct verifier *verifier = verifier_new();
    struct verify_summary summary;

    ck_assert_int_eq(verifier_add_file(verifier, path), 0);
    verifier_run(verifier, fail_on_break, NULL, &summary);
    ck_assert_uint_eq(summary.broken, 0);
    verifier_free(verifier);
    return summary;
}

/* K3 */
TEST(programs_that_share_a_file_do_not_mix_their_lines)
{
    struct scratch scratch;
    struct verify_summary summary;
    pid_t children[WRITERS];

    scratch_make(&scratch);
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            write_as_child(scratch.path, i);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    summary = assert_right(scratch.path);
    ck_assert_uint_eq(summary.lines, WRITERS * LINES_OF_A_WRITER);
    ck_assert_uint_eq(summary.hosts, WRITERS);
    scratch_remove(&scratch);
}

TEST(a_trace_that_cannot_be_opened_says_why)
{
    struct trace *trace = NULL;

    ck_assert_int_eq(trace_open("/nonexistent/trace", 0, &trace), -ENOENT);
    ck_assert_int_eq(trace_open("/", 0, &trace), -EISDIR);
    ck_assert_ptr_null(trace);
    ck_assert_int_eq(trace_close(NULL), 0);
}

TEST(a_full_disk_is_reported_once_and_silences_the_trace)
{
    struct host_clock clock;
    struct trace *trace = open_trace("/dev/full", 0);
    int later = 0;

    host_clock_init(&clock, "h");
    ck_assert_int_eq(write_event(trace, &clock, "x"), 0);
    ck_assert_int_eq(trace_flush(trace), -ENOSPC);
    for (int i = 0; i < 3000; i++)
        later |= write_event(trace, &clock, "x");
    ck_assert_int_eq(later, 0);
    ck_assert_int_eq(trace_flush(trace), 0);
    ck_assert_int_eq(trace_close(trace), 0);
}

TEST(a_full_disk_is_reported_by_the_write_or_close_that_finds_it)
{
    struct host_clock clock;
    struct trace *trace = open_trace("/dev/full", 0);
    int reports = 0;

    host_clock_init(&clock, "h");
    for (int i = 0; i < 3000; i++) {
        int result = write_event(trace, &clock, "x");

        ck_assert(result == 0 || result == -ENOSPC);
        reports += result != 0;
    }
    ck_assert_int_eq(reports, 1);
    ck_assert_int_eq(trace_close(trace), 0);
    trace = open_trace("/dev/full", 0);
    write_event(trace, &clock, "x");
    ck_assert_int_eq(trace_close(trace), -ENOSPC);
}

/* The line that the disk cuts is torn, and the verifier leaves it out. */
TEST(a_disk_that_fills_up_leaves_a_trace_that_is_right)
{
    struct scratch scratch;
    struct host_clock clock;
    struct trace *trace;
    struct verify_summary summary;
    struct rlimit limit = {10050, 10050};
    int reports = 0;

    scratch_make(&scratch);
    host_clock_init(&clock, "h");
    trace = open_trace(scratch.path, 0);
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 1000; i++) {
        write_event(trace, &clock, "x");
        reports += trace_flush(trace) == -EFBIG;
    }
    ck_assert_int_eq(reports, 1);
    ck_assert_int_eq(trace_close(trace), 0);
    ck_assert_uint_eq(file_size(scratch.path), limit.rlim_cur);
    summary = assert_right(scratch.path);
    ck_assert_uint_gt(summary.lines, 100);
    scratch_remove(&scratch);
}

/* Writes 1000 events into a trace with this bound. */
static void write_bounded(const char *path, const char *host, uint64_t limit)
{
    struct host_clock clock;
    struct trace *trace = open_trace(path, limit);

    host_clock_init(&clock, host);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(write_event(trace, &clock, "x"), 0);
    ck_assert_int_eq(trace_close(trace), 0);
}

/* K3: also at its end, the trace has a line for every tick. */
TEST(a_full_trace_ends_with_a_line_that_says_so)
{
    struct scratch scratch;
    struct verify_summary summary;
    char *text, *full;

    scratch_make(&scratch);
    write_bounded(scratch.path, "h", 5000);
    text = file_read(scratch.path);
    ck_assert_uint_gt(strlen(text), 4800);
    ck_assert_uint_lt(strlen(text), 5100);
    full = strstr(text, "\"event\":\"trace.full\"}\n");
    ck_assert_ptr_nonnull(full);
    ck_assert_str_eq(full, "\"event\":\"trace.full\"}\n");
    summary = assert_right(scratch.path);
    ck_assert_uint_eq(summary.lines, count_lines(text));
    free(text);
    scratch_remove(&scratch);
}

TEST(a_bound_counts_what_is_in_the_file_before)
{
    struct scratch scratch;
    char *text;

    scratch_make(&scratch);
    write_bounded(scratch.path, "h1", 5000);
    write_bounded(scratch.path, "h2", 5000);
    text = file_read(scratch.path);
    ck_assert_uint_lt(strlen(text), 5200);
    ck_assert_ptr_nonnull(strstr(text, "{\"host\":\"h2\",\"lamport\":1,"));
    ck_assert_ptr_null(strstr(text, "{\"host\":\"h2\",\"lamport\":2,"));
    free(text);
    scratch_remove(&scratch);
}

/* ---- The verifier: planted traces ---------------------------------------- */

#define LINE(host, lamport, clock, rest)                                       \
    "{'host':'" host "','lamport':" #lamport ",'clock':{" clock                \
    "},'kind':'" rest ",'event':'x'}\n"
#define SEND(host, lamport, clock)  LINE(host, lamport, clock, "send'")
#define EVENT(host, lamport, clock) LINE(host, lamport, clock, "event'")
#define RECEIVE(host, lamport, clock, sender, sent)                            \
    LINE(host, lamport, clock, "receive','sender':'" sender "','sent':" #sent)

enum { FINDINGS_MAX = 16, RULE_MAX = 8, SENTENCE_MAX = 256 };

struct finding {
    char rule[RULE_MAX];
    uint64_t line;
    char sentence[SENTENCE_MAX];
};

struct findings {
    struct verify_summary summary;
    size_t count;
    struct finding list[FINDINGS_MAX];
};

static void note_finding(void *context, const char *rule, const char *file,
                         uint64_t line, const char *sentence)
{
    struct findings *findings = context;
    struct finding *finding = &findings->list[findings->count++];

    ck_assert_uint_le(findings->count, FINDINGS_MAX);
    ck_assert_ptr_nonnull(strstr(file, "/trace"));
    snprintf(finding->rule, sizeof finding->rule, "%s", rule);
    snprintf(finding->sentence, sizeof finding->sentence, "%s", sentence);
    finding->line = line;
    ck_assert_int_eq(sentence[strlen(sentence) - 1], '.');
}

static void write_planted(const char *path, const char *planted)
{
    char *text = strdup(planted);

    for (char *quote = text; (quote = strchr(quote, '\'')) != NULL; quote++)
        *quote = '"';
    file_append(path, text);
    free(text);
}

static struct findings verify(const char *planted)
{
    struct findings findings = {.count = 0};
    struct verifier *verifier = verifier_new();
    struct scratch scratch;

    scratch_make(&scratch);
    write_planted(scratch.path, planted);
    ck_assert_int_eq(verifier_add_file(verifier, scratch.path), 0);
    verifier_run(verifier, note_finding, &findings, &findings.summary);
    ck_assert_uint_eq(findings.count, findings.summary.broken);
    verifier_free(verifier);
    scratch_remove(&scratch);
    return findings;
}

/* Asserts that a trace is right. */
static struct verify_summary accept(const char *planted)
{
    struct findings findings = verify(planted);

    if (findings.count > 0)
        ck_abort_msg("line %ju: %s: %s", (uintmax_t)findings.list[0].line,
                     findings.list[0].rule, findings.list[0].sentence);
    return findings.summary;
}

/* Asserts that one rule is broken in one line, and that the sentence has this
 * in it. */
static void refuse(const char *planted, const char *rule, uint64_t line,
                   const char *words)
{
    struct findings findings = verify(planted);

    ck_assert_uint_eq(findings.count, 1);
    ck_assert_str_eq(findings.list[0].rule, rule);
    ck_assert_uint_eq(findings.list[0].line, line);
    ck_assert_msg(strstr(findings.list[0].sentence, words) != NULL,
                  "\"%s\" is not in \"%s\"", words, findings.list[0].sentence);
}

/* K1, K2, K3, K4 */
TEST(a_right_trace_is_accepted)
{
    struct verify_summary summary =
        accept(SEND("c", 1, "'c':1")                        /**/
               EVENT("s", 1, "'s':1")                       /**/
               RECEIVE("s", 2, "'s':2,'c':1", "c", 1)       /**/
               SEND("s", 3, "'s':3")                        /**/
               RECEIVE("b", 4, "'b':1,'s':3", "s", 3)       /**/
               SEND("b", 5, "'b':2,'s':3")                  /**/
               RECEIVE("s", 6, "'s':4,'b':2", "b", 2)       /**/
               SEND("s", 7, "'s':5,'b':2")                  /**/
               RECEIVE("c", 8, "'c':2,'s':5,'b':2", "s", 5) /**/
               EVENT("c", 9, "'s':5,'b':2,'c':3"));

    ck_assert_uint_eq(summary.lines, 10);
    ck_assert_uint_eq(summary.hosts, 3);
    ck_assert_uint_eq(summary.receipts, 4);
    ck_assert_uint_eq(summary.receipts_matched, 4);
}

/* K3 */
TEST(the_order_of_lines_in_the_file_does_not_matter)
{
    accept(RECEIVE("b", 2, "'b':1,'a':1", "a", 1) /**/
           EVENT("a", 2, "'a':2")                 /**/
           SEND("a", 1, "'a':1"));
}

TEST(an_empty_file_has_no_lines)
{
    struct verify_summary summary = accept("");

    ck_assert_uint_eq(summary.lines, 0);
    ck_assert_uint_eq(summary.hosts, 0);
}

/* A message that arrives twice, and after a newer one. */
TEST(messages_may_repeat_and_overtake)
{
    accept(SEND("a", 1, "'a':1")                  /**/
           SEND("a", 2, "'a':2")                  /**/
           RECEIVE("b", 3, "'b':1,'a':2", "a", 2) /**/
           RECEIVE("b", 4, "'b':2,'a':2", "a", 1) /**/
           RECEIVE("b", 5, "'b':3,'a':2", "a", 2) /**/
           EVENT("b", 6, "'b':4,'a':2"));
}

/* K3 */
TEST(a_host_starts_at_one)
{
    refuse(EVENT("a", 1, "'a':2") /**/
           EVENT("a", 2, "'a':3"),
           "K3", 1, "first line of a");
}

/* K3 */
TEST(a_missing_line_is_found)
{
    refuse(EVENT("a", 1, "'a':1") /**/
           EVENT("a", 2, "'a':2") /**/
           EVENT("a", 4, "'a':4") /**/
           EVENT("a", 5, "'a':5"),
           "K3", 3, "from 2 to 4");
}

/* K3: a restarted server that uses its name again does this, too. */
TEST(a_repeated_own_entry_is_found)
{
    refuse(EVENT("a", 1, "'a':1") /**/
           EVENT("a", 2, "'a':2") /**/
           EVENT("a", 1, "'a':1"),
           "K3", 3, "another line with own entry 1");
}

/* K3 */
TEST(knowing_more_than_a_host_logged_is_found)
{
    refuse(EVENT("a", 1, "'a':1")       /**/
           EVENT("b", 1, "'b':1,'a':2") /**/
           EVENT("b", 2, "'b':2,'a':2"),
           "K3", 2, "knows event 2 of a, whose trace ends at 1");
}

/* K3: a lie that came from somebody who left no trace. */
TEST(learning_more_than_a_host_logged_is_found)
{
    refuse(EVENT("a", 1, "'a':1")                       /**/
           RECEIVE("b", 5, "'b':1,'x':1,'a':9", "x", 1) /**/
           SEND("b", 6, "'b':2,'a':9,'x':1")            /**/
           RECEIVE("c", 7, "'c':1,'b':2,'a':9,'x':1", "b", 2),
           "K3", 2, "knows event 9 of a");
}

/* K3 */
TEST(a_receipt_of_a_line_that_does_not_exist_is_found)
{
    refuse(SEND("a", 1, "'a':1") /**/
           RECEIVE("b", 3, "'b':1,'a':2", "a", 2),
           "K3", 2, "names line 2 of a, which does not exist");
}

/* K3 */
TEST(a_receipt_of_a_line_that_is_no_send_is_found)
{
    refuse(EVENT("a", 1, "'a':1") /**/
           RECEIVE("b", 2, "'b':1,'a':1", "a", 1),
           "K3", 2, "which is not a send");
}

TEST(a_receipt_from_a_host_without_a_trace_is_counted_only)
{
    struct verify_summary summary =
        accept(EVENT("b", 1, "'b':1")                       /**/
               RECEIVE("b", 8, "'b':2,'x':3,'y':4", "x", 3) /**/
               RECEIVE("b", 9, "'b':3,'x':3,'y':4", "x", 2));

    ck_assert_uint_eq(summary.hosts, 1);
    ck_assert_uint_eq(summary.receipts, 2);
    ck_assert_uint_eq(summary.receipts_matched, 0);
}

/* K2: what can be checked without the send is. */
TEST(a_receipt_without_its_senders_trace_may_not_lose_entries)
{
    refuse(SEND("a", 1, "'a':1")                  /**/
           RECEIVE("b", 2, "'b':1,'a':1", "a", 1) /**/
           EVENT("b", 3, "'b':2,'a':1")           /**/
           RECEIVE("b", 8, "'b':3,'x':3", "x", 3),
           "K2", 4, "entry of a is 0");
}

/* K2 */
TEST(a_receipt_without_its_senders_trace_must_name_the_sender)
{
    refuse(RECEIVE("b", 8, "'b':1,'y':3", "x", 3), "K2", 1, "entry of x is 0");
}

/* K1 */
TEST(a_receipt_without_its_senders_trace_may_not_go_back_in_time)
{
    refuse(EVENT("b", 1, "'b':1") /**/
           RECEIVE("b", 1, "'b':2,'x':3", "x", 3),
           "K1", 2, "not even 2");
}

/* K1 */
TEST(a_lamport_clock_that_skips_is_found)
{
    refuse(EVENT("a", 1, "'a':1") /**/
           EVENT("a", 3, "'a':2") /**/
           EVENT("a", 4, "'a':3"),
           "K1", 2, "is 3 instead of 2");
}

/* K1 */
TEST(a_lamport_clock_that_stands_still_is_found)
{
    refuse(EVENT("a", 1, "'a':1") /**/
           SEND("a", 1, "'a':2"),
           "K1", 2, "is 1 instead of 2");
}

/* K1 */
TEST(a_lamport_clock_that_starts_late_is_found)
{
    refuse(SEND("a", 2, "'a':1"), "K1", 1, "is 2 instead of 1");
}

/* K1 */
TEST(a_receipt_no_later_than_its_send_is_found)
{
    refuse(EVENT("a", 1, "'a':1") /**/
           SEND("a", 2, "'a':2")  /**/
           RECEIVE("b", 1, "'b':1,'a':2", "a", 2),
           "K1", 3, "is 1 instead of 3");
}

/* K1 */
TEST(a_receipt_that_ignores_the_line_before_is_found)
{
    refuse(SEND("a", 1, "'a':1")  /**/
           EVENT("b", 1, "'b':1") /**/
           EVENT("b", 2, "'b':2") /**/
           RECEIVE("b", 2, "'b':3,'a':1", "a", 1),
           "K1", 4, "is 2 instead of 3");
}

/* K1 */
TEST(a_receipt_too_late_is_found)
{
    refuse(SEND("a", 1, "'a':1") /**/
           RECEIVE("b", 3, "'b':1,'a':1", "a", 1),
           "K1", 2, "is 3 instead of 2");
}

/* K1, K4 */
TEST(a_lamport_clock_may_stop_at_its_maximum)
{
    accept(RECEIVE("b", 4611686018427387904, "'b':1,'x':1", "x", 1) /**/
           SEND("b", 4611686018427387904, "'b':2,'x':1")            /**/
           RECEIVE("a", 4611686018427387904, "'a':1,'b':2,'x':1", "b", 2));
}

/* K2 */
TEST(an_event_that_raises_another_entry_is_found)
{
    refuse(SEND("a", 1, "'a':1")                  /**/
           SEND("a", 2, "'a':2")                  /**/
           RECEIVE("b", 2, "'b':1,'a':1", "a", 1) /**/
           EVENT("b", 3, "'b':2,'a':2"),
           "K2", 4, "entry of a is 2");
}

/* K2 */
TEST(an_event_that_lowers_another_entry_is_found)
{
    refuse(SEND("a", 1, "'a':1")                  /**/
           SEND("a", 2, "'a':2")                  /**/
           RECEIVE("b", 3, "'b':1,'a':2", "a", 2) /**/
           SEND("b", 4, "'b':2,'a':1"),
           "K2", 4, "entry of a is 1");
}

/* K2 */
TEST(an_event_that_adds_an_entry_is_found)
{
    refuse(EVENT("b", 1, "'b':1") /**/
           EVENT("b", 2, "'b':2,'x':1"),
           "K2", 2, "entry of x is 1");
}

/* K2 */
TEST(a_receipt_that_misses_an_entry_of_the_send_is_found)
{
    refuse(SEND("a", 1, "'a':1")                  /**/
           RECEIVE("b", 2, "'b':1,'a':1", "a", 1) /**/
           SEND("b", 3, "'b':2,'a':1")            /**/
           RECEIVE("c", 4, "'c':1,'b':2", "b", 2),
           "K2", 4, "entry of a is 0");
}

/* K2 */
TEST(a_receipt_that_loses_an_entry_is_found)
{
    refuse(SEND("a", 1, "'a':1")                  /**/
           SEND("b", 1, "'b':1")                  /**/
           RECEIVE("c", 2, "'c':1,'a':1", "a", 1) /**/
           EVENT("c", 3, "'c':2,'a':1")           /**/
           RECEIVE("c", 4, "'c':3,'b':1", "b", 1),
           "K2", 5, "entry of a is 0");
}

/* K2 */
TEST(a_receipt_that_takes_the_lower_entry_is_found)
{
    refuse(SEND("a", 1, "'a':1")                  /**/
           SEND("a", 2, "'a':2")                  /**/
           RECEIVE("b", 2, "'b':1,'a':1", "a", 1) /**/
           SEND("b", 3, "'b':2,'a':1")            /**/
           RECEIVE("c", 3, "'c':1,'a':2", "a", 2) /**/
           RECEIVE("c", 4, "'c':2,'a':1,'b':2", "b", 2),
           "K2", 6, "entry of a is 1");
}

/* K2 */
TEST(a_receipt_that_knows_too_much_is_found)
{
    refuse(SEND("a", 1, "'a':1")  /**/
           EVENT("x", 1, "'x':1") /**/
           RECEIVE("b", 2, "'b':1,'a':1,'x':1", "a", 1),
           "K2", 3, "entry of x is 1");
}

/* K2 */
TEST(a_receipt_that_does_not_name_its_sender_is_found)
{
    refuse(SEND("a", 1, "'a':1") /**/
           RECEIVE("b", 2, "'b':1", "a", 1),
           "K2", 2, "entry of a is 0");
}

/* K4 */
TEST(a_client_may_be_forgotten_by_any_next_event)
{
    accept(SEND("c", 1, "'c':1")                  /**/
           SEND("d", 1, "'d':1")                  /**/
           SEND("c", 2, "'c':2")                  /**/
           RECEIVE("s", 3, "'s':1,'c':2", "c", 2) /**/
           RECEIVE("s", 4, "'s':2,'c':1", "c", 1) /**/
           RECEIVE("s", 5, "'s':3,'d':1", "d", 1) /**/
           EVENT("s", 6, "'s':4"));
}

/* K2, K4: b is no client, because c keeps it. */
TEST(a_server_may_not_be_forgotten_after_its_receipt)
{
    refuse(SEND("b", 1, "'b':1")                  /**/
           RECEIVE("c", 2, "'c':1,'b':1", "b", 1) /**/
           EVENT("c", 3, "'c':2,'b':1")           /**/
           RECEIVE("s", 2, "'s':1,'b':1", "b", 1) /**/
           EVENT("s", 3, "'s':2"),
           "K2", 5, "entry of b is 0");
}

/* K2, K4 */
TEST(an_entry_may_not_be_forgotten_later)
{
    refuse(SEND("c", 1, "'c':1")                  /**/
           RECEIVE("s", 2, "'s':1,'c':1", "c", 1) /**/
           EVENT("s", 3, "'s':2,'c':1")           /**/
           EVENT("s", 4, "'s':3"),
           "K2", 4, "entry of c is 0");
}

/* Writes the entries 'h<from>':1 … 'h<to - 1>':1, each after a comma. */
static size_t put_hosts(char *text, size_t size, unsigned from, unsigned to)
{
    size_t length = 0;

    text[0] = '\0';
    for (unsigned i = from; i < to; i++)
        length += (size_t)snprintf(text + length, size - length, ",'h%u':1", i);
    return length;
}

/* A trace in which s learns of h0 … h<first - 1>, and then of "a", and drops
 * h0 … h<dropped - 1>, at the next receipt or event. The event adds "y". */
static void plant_drop(char *text, size_t size, unsigned first,
                       unsigned dropped, bool at_receipt)
{
    char before[1024], after[1024];

    put_hosts(before, sizeof before, 0, first);
    put_hosts(after, sizeof after, dropped, first);
    snprintf(text, size,
             "{'host':'a','lamport':1,'clock':{'a':1},'kind':'send',"
             "'event':'x'}\n"
             "{'host':'s','lamport':2,'clock':{'s':1%s,'x':1},"
             "'kind':'receive','sender':'x','sent':1,'event':'x'}\n"
             "{'host':'s','lamport':3,'clock':{'s':2%s,'x':1%s},%s"
             "'event':'x'}\n",
             before, after, at_receipt ? ",'a':1" : ",'y':1",
             at_receipt ? "'kind':'receive','sender':'a','sent':1,"
                        : "'kind':'event',");
}

/* K4: s, x and 62 others, and then a. */
TEST(a_full_clock_may_drop_an_entry_for_a_new_one)
{
    char text[4096];

    plant_drop(text, sizeof text, 62, 1, true);
    accept(text);
}

/* K4 */
TEST(a_clock_may_not_drop_more_than_it_must)
{
    char text[4096];

    plant_drop(text, sizeof text, 62, 2, true);
    ck_assert_uint_eq(verify(text).count, 2);
    plant_drop(text, sizeof text, 61, 1, true);
    refuse(text, "K2", 3, "entry of h0 is 0");
}

/* K4: an event brings no new entry. */
TEST(an_event_may_not_drop_an_entry)
{
    char text[4096];

    plant_drop(text, sizeof text, 62, 1, false);

    struct findings findings = verify(text);

    ck_assert_uint_eq(findings.count, 2);
    ck_assert_ptr_nonnull(strstr(findings.list[0].sentence, "h0 is 0"));
    ck_assert_ptr_nonnull(strstr(findings.list[1].sentence, "y is 1"));
}

/* K4: whatever a full clock drops, it is not the sender's entry. */
TEST(a_full_clock_may_not_drop_the_sender)
{
    char hosts[1024], text[4096];

    put_hosts(hosts, sizeof hosts, 0, CLOCK_ENTRIES_LIMIT - 2);
    snprintf(text, sizeof text,
             "{'host':'a','lamport':1,'clock':{'a':1},'kind':'send',"
             "'event':'x'}\n"
             "{'host':'s','lamport':2,'clock':{'s':1,'x':1%s},"
             "'kind':'receive','sender':'x','sent':1,'event':'x'}\n"
             "{'host':'s','lamport':3,'clock':{'s':2,'x':1%s},"
             "'kind':'receive','sender':'a','sent':1,'event':'x'}\n",
             hosts, hosts);
    refuse(text, "K2", 3, "entry of a is 0");
}

/* After TRACE_FULL the host did more than its trace shows. */
TEST(what_is_missing_after_a_full_trace_is_not_condemned)
{
    struct verify_summary summary =
        accept(SEND("a", 1, "'a':1") /**/
               "{'host':'a','lamport':2,'clock':{'a':2},'kind':'send',"
               "'event':'trace.full'}\n"              /**/
               RECEIVE("b", 3, "'b':1,'a':2", "a", 2) /**/
               RECEIVE("b", 9, "'b':2,'a':7", "a", 7) /**/
               SEND("b", 10, "'b':3,'a':7"));

    ck_assert_uint_eq(summary.receipts, 2);
    ck_assert_uint_eq(summary.receipts_matched, 1);
}

/* But before it, its trace shows everything. */
TEST(what_is_missing_before_a_full_trace_ends_is_condemned)
{
    struct findings findings =
        verify(SEND("a", 1, "'a':1") /**/
               "{'host':'a','lamport':3,'clock':{'a':3},'kind':'send',"
               "'event':'trace.full'}\n" /**/
               RECEIVE("b", 3, "'b':1,'a':2", "a", 2));

    ck_assert_uint_eq(findings.count, 2);
    ck_assert_ptr_nonnull(strstr(findings.list[0].sentence, "from 1 to 3"));
    ck_assert_ptr_nonnull(strstr(findings.list[1].sentence, "names line 2"));
}

/* ---- The verifier: files ------------------------------------------------- */

TEST(a_torn_last_line_is_left_out)
{
    struct verify_summary summary =
        accept(EVENT("a", 1, "'a':1") "{'host':'a','lamport':2,'clo");

    ck_assert_uint_eq(summary.lines, 1);
}

/* A killed server starts again and appends. */
TEST(a_torn_line_with_another_after_it_is_left_out)
{
    struct verify_summary summary = accept(EVENT("a-1", 1, "'a-1':1")       /**/
                                           "{'host':'a-1','lamport':2,'clo" /**/
                                           EVENT("a-2", 1, "'a-2':1")       /**/
                                           EVENT("a-2", 2, "'a-2':2"));

    ck_assert_uint_eq(summary.lines, 3);
}

TEST(lines_that_cannot_be_read_are_reported)
{
    static const char *const planted[][2] = {
        {"\n", "not JSON"},
        {"nonsense\n", "not JSON"},
        {"[1]\n", "not JSON"},
        {"{'host':'a','lamp\n", "not JSON"},
        {EVENT("a", 1, "'a':1,'a':1"), "not JSON"},
        {"{}\n", "kind"},
        {LINE("a", 1, "'a':1", "fly'"), "kind"},
        {LINE("a", 1, "'a':1", "event','more':1"), "keys"},
        {LINE("a", 1, "'a':1", "receive'"), "keys"},
        {LINE("a", 1, "'a':1", "send','sender':'b','sent':1"), "keys"},
        {EVENT("a b", 1, "'a b':1"), "host is not"},
        {EVENT("", 1, "'a':1"), "host is not"},
        {EVENT("a", 0, "'a':1"), "Lamport"},
        {EVENT("a", -1, "'a':1"), "Lamport"},
        {EVENT("a", 1.0, "'a':1"), "Lamport"},
        {EVENT("a", '1', "'a':1"), "Lamport"},
        {EVENT("a", 4611686018427387905, "'a':1"), "Lamport"},
        {EVENT("a", 1, "'a':0"), "clock"},
        {EVENT("a", 1, "'a':1,'b b':1"), "clock"},
        {EVENT("a", 1, ""), "clock"},
        {EVENT("a", 1, "'b':1"), "does not name its own host"},
        {RECEIVE("a", 1, "'a':1", "", 1), "sender"},
        {RECEIVE("a", 1, "'a':1,'b':1", "b", 0), "time of the send"},
        {RECEIVE("a", 1, "'a':1", "a", 1), "from the host itself"},
        {"{'host':'a','lamport':1,'clock':{'a':1},'kind':'event','event':1}\n",
         "event is not"},
    };

    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        char text[512];

        snprintf(text, sizeof text, "%s%s%s", EVENT("z", 1, "'z':1"),
                 planted[i][0], EVENT("z", 2, "'z':2"));
        refuse(text, "format", 2, planted[i][1]);
    }
}

TEST(a_clock_of_65_entries_cannot_be_read)
{
    char hosts[1024], text[2048];

    put_hosts(hosts, sizeof hosts, 0, CLOCK_ENTRIES_LIMIT);
    snprintf(text, sizeof text,
             "{'host':'a','lamport':1,'clock':{'a':1%s},'kind':'event',"
             "'event':'x'}\n",
             hosts);
    refuse(text, "format", 1, "clock");
}

TEST(a_file_that_cannot_be_read_says_why)
{
    struct verifier *verifier = verifier_new();

    ck_assert_int_eq(verifier_add_file(verifier, "/nonexistent"), -ENOENT);
    ck_assert_int_eq(verifier_add_file(verifier, "/"), -EISDIR);
    verifier_free(verifier);
    verifier_free(NULL);
}

/* Joins are checked across files, and a verifier can be asked again. */
TEST(the_traces_of_a_run_may_be_in_several_files)
{
    struct scratch a, b;
    struct findings first = {.count = 0}, second = {.count = 0};
    struct verifier *verifier = verifier_new();

    scratch_make(&a);
    scratch_make(&b);
    write_planted(a.path, EVENT("b", 1, "'b':1")
                              RECEIVE("b", 9, "'b':2,'a':1", "a", 1));
    write_planted(b.path, SEND("a", 1, "'a':1"));
    ck_assert_int_eq(verifier_add_file(verifier, a.path), 0);
    ck_assert_int_eq(verifier_add_file(verifier, b.path), 0);
    verifier_run(verifier, note_finding, &first, &first.summary);
    verifier_run(verifier, note_finding, &second, &second.summary);
    ck_assert_uint_eq(first.count, 1);
    ck_assert_str_eq(first.list[0].rule, "K1");
    ck_assert_uint_eq(first.list[0].line, 2);
    ck_assert_uint_eq(first.summary.receipts_matched, 1);
    ck_assert_mem_eq(&first.summary, &second.summary, sizeof first.summary);
    verifier_free(verifier);
    scratch_remove(&a);
    scratch_remove(&b);
}

/* ---- Whole clusters ------------------------------------------------------ */

enum {
    SERVERS = 4,
    CLIENTS = 6,
    HOSTS = SERVERS + CLIENTS,
    WAITING = 12, /* messages on their way */
};

struct random {
    uint64_t state;
};

/* xorshift64* (Vigna). */
static unsigned below(struct random *random, unsigned bound)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (unsigned)((random->state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) %
           bound;
}

struct message {
    bool used;
    unsigned from, to;
    struct host_clock sender; /* as it was at the send */
};

struct cluster {
    struct random random;
    struct trace *trace;
    struct host_clock hosts[HOSTS];
    struct message waiting[WAITING];
    unsigned lives;
};

/* A host's life begins, under a new name. */
static void cluster_start(struct cluster *cluster, unsigned host)
{
    char name[32];

    snprintf(name, sizeof name, "%s%u-%u",
             host < SERVERS ? "s" : "client:", host, ++cluster->lives);
    host_clock_init(&cluster->hosts[host], name);
    write_event(cluster->trace, &cluster->hosts[host], "started \"again\"");
}

static void cluster_send(struct cluster *cluster, struct message *message)
{
    struct host_clock *clock;

    message->from = below(&cluster->random, HOSTS);
    do {
        message->to =
            below(&cluster->random, message->from < SERVERS ? HOSTS : SERVERS);
    } while (message->to == message->from);
    clock = &cluster->hosts[message->from];
    host_clock_tick(clock);
    trace_write(cluster->trace, clock, TRACE_SEND, NULL, 0, "forward 7");
    message->sender = *clock;
    message->used = true;
}

static void cluster_receive(struct cluster *cluster,
                            const struct message *message)
{
    struct host_clock *clock = &cluster->hosts[message->to];
    struct stamp_storage storage;
    Pbkv__Frame frame;

    pbkv__frame__init(&frame);
    host_clock_stamp(&message->sender, &frame, &storage);
    ck_assert_int_eq(host_clock_check_stamp(&frame), 0);
    if (strcmp(host_clock_name(&message->sender), host_clock_name(clock)) == 0)
        return;
    host_clock_receive(clock, &frame, message->from >= SERVERS);
    trace_write(cluster->trace, clock, TRACE_RECEIVE,
                host_clock_name(&message->sender),
                message->sender.vector.entries[0].time, "forward 7");
}

/* Runs a cluster for so many steps; one step of `restarts` restarts somebody.
 * Messages overtake each other and some arrive twice. */
static void cluster_run(const char *path, unsigned steps, unsigned restarts)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);

    cluster->random.state = suite_seed();
    cluster->trace = open_trace(path, 0);
    for (unsigned i = 0; i < HOSTS; i++)
        cluster_start(cluster, i);
    for (unsigned i = 0; i < steps; i++) {
        struct message *message =
            &cluster->waiting[below(&cluster->random, WAITING)];

        if (message->used)
            cluster_receive(cluster, message);
        if (!message->used || below(&cluster->random, 10) > 0)
            cluster_send(cluster, message);
        if (restarts > 0 && below(&cluster->random, restarts) == 0)
            cluster_start(cluster, below(&cluster->random, HOSTS));
    }
    ck_assert_int_eq(trace_close(cluster->trace), 0);
    free(cluster);
}

/* K1, K2, K3, K4 */
TEST(the_trace_of_a_cluster_with_clients_is_right)
{
    struct scratch scratch;
    struct verify_summary summary;

    scratch_make(&scratch);
    cluster_run(scratch.path, 4000, 0);
    summary = assert_right(scratch.path);
    ck_assert_uint_eq(summary.hosts, HOSTS);
    ck_assert_uint_gt(summary.receipts, 3500);
    ck_assert_uint_eq(summary.receipts_matched, summary.receipts);
    scratch_remove(&scratch);
}

/* K1, K2, K3, K4: clocks are full most of the time. */
TEST(the_trace_of_a_cluster_that_restarts_all_the_time_is_right)
{
    struct scratch scratch;
    struct verify_summary summary;

    scratch_make(&scratch);
    cluster_run(scratch.path, 6000, 10);
    summary = assert_right(scratch.path);
    ck_assert_uint_gt(summary.hosts, 400);
    ck_assert_uint_gt(summary.receipts, 5000);
    ck_assert_uint_eq(summary.receipts_matched, summary.receipts);
    scratch_remove(&scratch);
}

static void ignore_break(void *context, const char *rule, const char *file,
                         uint64_t line, const char *sentence)
{
    (void)context, (void)rule, (void)file, (void)line, (void)sentence;
}

static uint64_t count_broken(const char *path)
{
    struct verifier *verifier = verifier_new();
    struct verify_summary summary;

    ck_assert_int_eq(verifier_add_file(verifier, path), 0);
    verifier_run(verifier, ignore_break, NULL, &summary);
    verifier_free(verifier);
    return summary.broken;
}

/* Makes another digit of a digit. */
static void change_digit(char *digit)
{
    *digit = (char)(*digit == '9' ? '8' : *digit + 1);
}

/* K1, K2: a changed Lamport time is found in every line, and a changed clock in
 * every send and event. */
TEST(a_change_of_any_time_in_a_trace_is_found)
{
    struct scratch scratch, changed;
    char *text;

    scratch_make(&scratch);
    scratch_make(&changed);
    cluster_run(scratch.path, 150, 0);
    text = file_read(scratch.path);
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char *kind = strstr(line, "},\"kind\":");
        char *digits[] = {strstr(line, ",\"clock\":") - 1, kind - 1};
        size_t count = kind == strstr(line, "},\"kind\":\"receive") ? 1 : 2;

        for (size_t i = 0; i < count; i++) {
            char digit = *digits[i];

            change_digit(digits[i]);
            unlink(changed.path);
            file_append(changed.path, text);
            *digits[i] = digit;
            ck_assert_uint_gt(count_broken(changed.path), 0);
        }
    }
    free(text);
    scratch_remove(&scratch);
    scratch_remove(&changed);
}

/* Returns the octets of the longest line. */
static size_t longest_line(const char *text)
{
    size_t longest = 0;

    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        if (length > longest)
            longest = length;
        text += length + 1;
    }
    return longest;
}

/* Ticks the sender, delivers, and writes both lines. */
static void exchange(struct trace *trace, struct host_clock *from,
                     struct host_clock *to)
{
    struct stamp_storage storage;
    Pbkv__Frame frame;

    host_clock_tick(from);
    trace_write(trace, from, TRACE_SEND, NULL, 0, "m");
    pbkv__frame__init(&frame);
    host_clock_stamp(from, &frame, &storage);
    ck_assert(host_clock_receive(to, &frame, false));
    trace_write(trace, to, TRACE_RECEIVE, host_clock_name(from),
                from->vector.entries[0].time, "m");
}

/* K4 */
TEST(a_trace_with_two_thousand_restarts_stays_bounded)
{
    struct scratch scratch;
    struct host_clock service, server;
    struct trace *trace;
    struct verify_summary summary;
    char name[32], *text;

    scratch_make(&scratch);
    trace = open_trace(scratch.path, 0);
    host_clock_init(&service, "vs");
    for (unsigned life = 0; life < 2000; life++) {
        snprintf(name, sizeof name, "s1-%u", life);
        host_clock_init(&server, name);
        exchange(trace, &server, &service);
        exchange(trace, &service, &server);
    }
    ck_assert_int_eq(trace_close(trace), 0);
    text = file_read(scratch.path);
    ck_assert_uint_lt(longest_line(text), 64 * 16 + 128);
    free(text);
    summary = assert_right(scratch.path);
    ck_assert_uint_eq(summary.hosts, 2001);
    ck_assert_uint_eq(summary.receipts_matched, 4000);
    scratch_remove(&scratch);
}

SUITE("trace", CASE(an_event_is_one_line),
      CASE(a_send_and_a_receipt_are_one_line_each),
      CASE(quotes_and_backslashes_are_escaped),
      CASE(control_characters_are_escaped), CASE(utf8_stays_as_it_is),
      CASE(line_separators_are_escaped),
      CASE(octets_that_are_not_utf8_are_escaped_one_by_one),
      CASE(every_octet_makes_a_line_that_can_be_read),
      CASE(the_expression_by_hand_refuses_other_lines),
      CASE(shiviz_reads_lines_of_every_kind_and_host),
      CASE(a_trace_is_appended_to),
      CASE(lines_reach_the_file_when_they_are_flushed),
      CASE(lines_reach_the_file_when_many_have_gathered),
      CASE(a_text_longer_than_the_buffer_is_one_line),
      CASE_LIMIT(programs_that_share_a_file_do_not_mix_their_lines, 60),
      CASE(a_trace_that_cannot_be_opened_says_why),
      CASE(a_full_disk_is_reported_once_and_silences_the_trace),
      CASE(a_full_disk_is_reported_by_the_write_or_close_that_finds_it),
      CASE(a_disk_that_fills_up_leaves_a_trace_that_is_right),
      CASE(a_full_trace_ends_with_a_line_that_says_so),
      CASE(a_bound_counts_what_is_in_the_file_before),
      CASE(a_right_trace_is_accepted),
      CASE(the_order_of_lines_in_the_file_does_not_matter),
      CASE(an_empty_file_has_no_lines), CASE(messages_may_repeat_and_overtake),
      CASE(a_host_starts_at_one), CASE(a_missing_line_is_found),
      CASE(a_repeated_own_entry_is_found),
      CASE(knowing_more_than_a_host_logged_is_found),
      CASE(learning_more_than_a_host_logged_is_found),
      CASE(a_receipt_of_a_line_that_does_not_exist_is_found),
      CASE(a_receipt_of_a_line_that_is_no_send_is_found),
      CASE(a_receipt_from_a_host_without_a_trace_is_counted_only),
      CASE(a_receipt_without_its_senders_trace_may_not_lose_entries),
      CASE(a_receipt_without_its_senders_trace_must_name_the_sender),
      CASE(a_receipt_without_its_senders_trace_may_not_go_back_in_time),
      CASE(a_lamport_clock_that_skips_is_found),
      CASE(a_lamport_clock_that_stands_still_is_found),
      CASE(a_lamport_clock_that_starts_late_is_found),
      CASE(a_receipt_no_later_than_its_send_is_found),
      CASE(a_receipt_that_ignores_the_line_before_is_found),
      CASE(a_receipt_too_late_is_found),
      CASE(a_lamport_clock_may_stop_at_its_maximum),
      CASE(an_event_that_raises_another_entry_is_found),
      CASE(an_event_that_lowers_another_entry_is_found),
      CASE(an_event_that_adds_an_entry_is_found),
      CASE(a_receipt_that_misses_an_entry_of_the_send_is_found),
      CASE(a_receipt_that_loses_an_entry_is_found),
      CASE(a_receipt_that_takes_the_lower_entry_is_found),
      CASE(a_receipt_that_knows_too_much_is_found),
      CASE(a_receipt_that_does_not_name_its_sender_is_found),
      CASE(a_client_may_be_forgotten_by_any_next_event),
      CASE(a_server_may_not_be_forgotten_after_its_receipt),
      CASE(an_entry_may_not_be_forgotten_later),
      CASE(a_full_clock_may_drop_an_entry_for_a_new_one),
      CASE(a_clock_may_not_drop_more_than_it_must),
      CASE(an_event_may_not_drop_an_entry),
      CASE(a_full_clock_may_not_drop_the_sender),
      CASE(what_is_missing_after_a_full_trace_is_not_condemned),
      CASE(what_is_missing_before_a_full_trace_ends_is_condemned),
      CASE(a_torn_last_line_is_left_out),
      CASE(a_torn_line_with_another_after_it_is_left_out),
      CASE(lines_that_cannot_be_read_are_reported),
      CASE(a_clock_of_65_entries_cannot_be_read),
      CASE(a_file_that_cannot_be_read_says_why),
      CASE(the_traces_of_a_run_may_be_in_several_files),
      CASE(the_trace_of_a_cluster_with_clients_is_right),
      CASE_LIMIT(the_trace_of_a_cluster_that_restarts_all_the_time_is_right,
                 60),
      CASE_LIMIT(a_change_of_any_time_in_a_trace_is_found, 60),
      CASE_LIMIT(a_trace_with_two_thousand_restarts_stays_bounded, 60))
