/* SPDX-License-Identifier: MIT */
/*
 * machine: where and with what a run was made, for results_new. What cannot be
 * found out is left empty.
 */
#include <event2/event.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/results.h"

enum { LINE_SIZE = 256 };

/* Takes the end of the line away. */
static void cut_line(char *line)
{
    line[strcspn(line, "\n")] = '\0';
}

/* Stores what stands behind a name and a colon in a file of /proc. */
static void read_field(const char *path, const char *name,
                       char field[LINE_SIZE])
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "r");

    field[0] = '\0';
    while (file && fgets(line, sizeof(line), file)) {
        const char *colon = strchr(line, ':');

        if (colon && strncmp(line, name, strlen(name)) == 0) {
            snprintf(field, LINE_SIZE, "%s",
                     colon + 1 + strspn(colon + 1, " "));
            cut_line(field);
            break;
        }
    }
    if (file)
        fclose(file);
}

/* Stores the first line that a command writes. */
static void read_command(const char *command, char line[LINE_SIZE])
{
    FILE *pipe = popen(command, "r");

    line[0] = '\0';
    if (!pipe)
        return;
    if (!fgets(line, LINE_SIZE, pipe))
        line[0] = '\0';
    cut_line(line);
    pclose(pipe);
}

static json_t *machine_json(void)
{
    char model[LINE_SIZE], memory[LINE_SIZE], system[LINE_SIZE] = "";
    struct utsname name;

    read_field("/proc/cpuinfo", "model name", model);
    read_field("/proc/meminfo", "MemTotal", memory);
    if (uname(&name) == 0)
        snprintf(system, sizeof(system), "%.64s %.64s %.64s", name.sysname,
                 name.release, name.machine);
    return json_pack("{s:s,s:i,s:s,s:s}", "processor", model, "cores",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "memory", memory,
                     "system", system);
}

static json_t *versions_json(const char *build)
{
    char own[LINE_SIZE], commit[LINE_SIZE], redis[LINE_SIZE];
    char command[4096];

    snprintf(command, sizeof(command), "'%s/pbkv' --version 2>/dev/null",
             build);
    read_command(command, own);
    read_command("git describe --always --dirty 2>/dev/null", commit);
    read_command("redis-server --version 2>/dev/null", redis);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "pbkv", own, "commit", commit,
                     "Redis", redis, "libevent", event_get_version(),
                     "protobuf-c", protobuf_c_version(), "compiler",
                     __VERSION__);
}

json_t *results_new(const char *build)
{
    time_t now = time(NULL);
    struct tm utc;
    char when[64] = "";

    if (gmtime_r(&now, &utc))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &utc);
    return json_pack("{s:s,s:o,s:o,s:[]}", "when", when, "machine",
                     machine_json(), "versions", versions_json(build), "cases");
}
