/* SPDX-License-Identifier: MIT */
/*
 * tool_progress: see tool_progress.h. The line is made by one function for both
 * forms; only the bar and how it is ended differ.
 */
#include "client/tool_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/tool.h"

enum {
    BAR_WIDTH = 24,
    BAR_PAUSE_MS = 100,
    LINE_PAUSE_MS = 1000,
};

static uint64_t now_ms(void)
{
    return tool_now_ns() / 1000000;
}

const char *tool_octets_text(uint64_t octets, char *text, size_t size)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)octets / 1000;
    unsigned unit = 0;

    if (octets < 1000) {
        snprintf(text, size, "%" PRIu64 " B", octets);
        return text;
    }
    for (; value >= 999.95 && unit + 1 < TOOL_COUNT(units); unit++)
        value /= 1000;
    snprintf(text, size, "%.1f %s", value, units[unit]);
    return text;
}

void tool_progress_begin(struct tool_progress *progress, const char *what,
                         const char *unit, uint64_t total)
{
    *progress = (struct tool_progress){
        .running = true,
        .terminal = isatty(STDERR_FILENO) == 1,
        .what = what,
        .unit = unit,
        .total = total,
        .began_ms = now_ms(),
    };
    progress->updated_ms = progress->began_ms;
}

static void draw_bar(const struct tool_progress *progress)
{
    char bar[BAR_WIDTH + 1];
    uint64_t done = progress->done;

    if (done > progress->total)
        done = progress->total;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '=', (size_t)(done * BAR_WIDTH / progress->total));
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "[%s] %3d%% ", bar, (int)(done * 100 / progress->total));
}

static void draw(struct tool_progress *progress, uint64_t now)
{
    uint64_t elapsed_ms = now - progress->began_ms;
    uint64_t rate = progress->octets * 1000 / (elapsed_ms ? elapsed_ms : 1);
    char total[32] = "";
    char octets[16];
    char per_second[16];

    if (progress->total > 0)
        snprintf(total, sizeof(total), " of %" PRIu64, progress->total);
    fprintf(stderr, "%s%s: ", progress->terminal ? "\r\033[K" : "",
            progress->what);
    if (progress->terminal && progress->total > 0)
        draw_bar(progress);
    fprintf(stderr, "%" PRIu64 "%s %s, %s, %s/s%s", progress->done, total,
            progress->unit,
            tool_octets_text(progress->octets, octets, sizeof(octets)),
            tool_octets_text(rate, per_second, sizeof(per_second)),
            progress->terminal ? "" : "\n");
    fflush(stderr);
    progress->drawn = progress->terminal;
}

void tool_progress_update(struct tool_progress *progress, uint64_t done,
                          uint64_t octets)
{
    uint64_t pause = progress->terminal ? BAR_PAUSE_MS : LINE_PAUSE_MS;
    uint64_t now;

    if (!progress->running)
        return;
    progress->done = done;
    progress->octets = octets;
    now = now_ms();
    if (now - progress->updated_ms < pause)
        return;
    progress->updated_ms = now;
    draw(progress, now);
}

void tool_progress_clear(struct tool_progress *progress)
{
    if (!progress->drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->drawn = false;
}

void tool_progress_end(struct tool_progress *progress)
{
    tool_progress_clear(progress);
    progress->running = false;
}
