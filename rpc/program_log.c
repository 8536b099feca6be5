/* SPDX-License-Identifier: MIT */
/*
 * program_log: log lines for people (see program.h). A stranger can cause named
 * events as fast as he can send, so each name has a share of lines per second;
 * names that find no place in the table share the last one.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rpc/program.h"

enum { STAMP_MAX = 40, LOG_LINE_MAX = 1024 };

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "fatal"};

    assert((unsigned)level < sizeof(names) / sizeof(names[0]));
    return names[level];
}

static const char *stamp_format(char text[STAMP_MAX])
{
    struct timespec now;
    struct tm parts;
    size_t length;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    length = strftime(text, STAMP_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, STAMP_MAX - length, ".%03uZ",
             (unsigned)(now.tv_nsec / 1000000));
    return text;
}

static uint64_t now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

/* Returns the share of a name: its own, a new one, or the last. */
static struct log_share *share_of(struct program_log *log, const char *name)
{
    for (size_t i = 0; i < LOG_NAMES_MAX; i++) {
        struct log_share *share = &log->shares[i];

        if (share->name[0] == '\0')
            snprintf(share->name, sizeof(share->name), "%s",
                     i == LOG_NAMES_MAX - 1 ? "other events" : name);
        if (strcmp(share->name, name) == 0 || i == LOG_NAMES_MAX - 1)
            return share;
    }
    return NULL;
}

static void report_suppressed(struct log_share *share)
{
    char stamp[STAMP_MAX];

    if (share->suppressed == 0)
        return;
    fprintf(stderr, "%s %" PRIu64 " more lines of %s were left out\n",
            stamp_format(stamp), share->suppressed, share->name);
    share->suppressed = 0;
}

static bool may_write(struct log_share *share)
{
    uint64_t second = now_seconds();

    if (second != share->second) {
        report_suppressed(share);
        share->second = second;
        share->written = 0;
    }
    if (share->written < LOG_LINES_PER_SECOND) {
        share->written++;
        return true;
    }
    share->suppressed++;
    return false;
}

static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
    }
}

void program_log_init(struct program_log *log)
{
    memset(log, 0, sizeof(*log));
}

void program_log_line(void *context, const struct rpc_log_line *line)
{
    struct program_log *log = context;
    char stamp[STAMP_MAX];
    char text[LOG_LINE_MAX];

    if (!may_write(share_of(log, line->event)))
        return;
    snprintf(text, sizeof(text),
             "%s %s %s view %" PRIu64 " lamport %" PRIu64 " %s%s%s",
             stamp_format(stamp), level_name(line->level), line->host,
             line->view, line->lamport, line->event,
             line->detail[0] != '\0' ? " " : "", line->detail);
    make_printable(text);
    fprintf(stderr, "%s\n", text);
}

void program_log_close(struct program_log *log)
{
    for (size_t i = 0; i < LOG_NAMES_MAX; i++)
        report_suppressed(&log->shares[i]);
}
