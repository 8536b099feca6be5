/* SPDX-License-Identifier: MIT */
/*
 * tool_status: view and status. The view service names the servers it has seen;
 * each is then asked about itself, all at the same time, in a thread of its
 * own, because a server that does not answer is just what one wants to see and
 * must not hold up the others. A silent server is shown as silent.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool.h"
#include "client/tool_json.h"
#include "node/memory.h"

enum { PATIENCE_MS = 1000 /* with one server */ };

/* One server, and what it says. */
struct probe {
    struct pbkv *store;
    const struct pbkv_server_seen *seen;
    uint32_t deadline_ms;
    struct pbkv_inspection *answer; /* NULL: silent */
    pthread_t thread;
    bool has_thread;
};

struct survey {
    const char *address; /* of the view service */
    struct pbkv_inspection *service;
    struct probe *probes; /* one for each server seen */
    size_t count;
    bool verbose;
};

/* ---- Asking ------------------------------------------------------------- */

static void *ask(void *argument)
{
    struct probe *probe = argument;

    pbkv_inspect(probe->store, probe->seen->peer.address, probe->deadline_ms,
                 &probe->answer);
    return NULL;
}

static void ask_all(struct survey *survey, struct tool *tool)
{
    survey->count = survey->service->server_count;
    survey->probes = memory_new(survey->count * sizeof(*survey->probes));
    for (size_t i = 0; i < survey->count; i++) {
        struct probe *probe = &survey->probes[i];

        probe->store = tool->store;
        probe->seen = &survey->service->servers[i];
        probe->deadline_ms =
            tool->deadline_ms < PATIENCE_MS ? tool->deadline_ms : PATIENCE_MS;
        probe->has_thread =
            pthread_create(&probe->thread, NULL, ask, probe) == 0;
        if (!probe->has_thread)
            ask(probe);
    }
    for (size_t i = 0; i < survey->count; i++)
        if (survey->probes[i].has_thread)
            pthread_join(survey->probes[i].thread, NULL);
}

static void survey_release(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++)
        pbkv_inspection_free(survey->probes[i].answer);
    free(survey->probes);
    pbkv_inspection_free(survey->service);
}

static const char *digest_text(const struct pbkv_inspection *about,
                               char text[2 * PBKV_DIGEST_SIZE + 1])
{
    snprintf(text, 2, "-");
    for (unsigned i = 0; about->has_digest && i < PBKV_DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)about->digest[i]);
    return text;
}

/* ---- For people --------------------------------------------------------- */

static void print_peer(const char *role, const struct pbkv_peer *peer)
{
    if (peer->address[0] == '\0')
        printf("%-8s none\n", role);
    else
        printf("%-8s %s incarnation %" PRIu64 "\n", role, peer->address,
               peer->incarnation);
}

static void print_view(const struct pbkv_view *view)
{
    printf("%-8s %" PRIu64 "\n", "view", view->number);
    print_peer("primary", &view->primary);
    print_peer("backup", &view->backup);
}

static void print_counters(const struct pbkv_inspection *about)
{
    printf("\n%s %s\n", about->role, about->name);
    for (size_t i = 0; i < about->counter_count; i++)
        printf("  %-32s %12" PRIu64 "\n", about->counters[i].name,
               about->counters[i].value);
}

static void print_answer(const struct probe *probe, int width)
{
    const struct pbkv_inspection *about = probe->answer;
    char digest[2 * PBKV_DIGEST_SIZE + 1];
    char transfer[48] = "-";

    if (about->transfer_total > 0)
        snprintf(transfer, sizeof(transfer), "%" PRIu64 "/%" PRIu64,
                 about->transfer_items, about->transfer_total);
    printf("%-8s %-*s %-8s %5" PRIu64 " %10" PRIu64 " %10" PRIu64 " %8" PRIu64
           " %12" PRIu64 " %8" PRIu64 " %-16.16s %-12s %6" PRIu64 " %" PRIu64
           "\n",
           about->name, width, probe->seen->peer.address, about->role,
           about->view.number, about->applied, about->committed, about->keys,
           about->bytes, about->sessions, digest_text(about, digest), transfer,
           probe->seen->missed_cycles, about->incarnation);
}

static void print_silent(const struct probe *probe, int width)
{
    printf("%-8s %-*s %-8s %5" PRIu64 " %10s %10s %8s %12s %8s %-16s %-12s "
           "%6" PRIu64 " %" PRIu64 "\n",
           "-", width, probe->seen->peer.address, "silent", probe->seen->view,
           "-", "-", "-", "-", "-", "-", "-", probe->seen->missed_cycles,
           probe->seen->peer.incarnation);
}

static void print_survey(const struct survey *survey)
{
    int width = (int)strlen("server");

    for (size_t i = 0; i < survey->count; i++) {
        int length = (int)strlen(survey->probes[i].seen->peer.address);

        width = length > width ? length : width;
    }
    printf("service  %s incarnation %" PRIu64 "\n", survey->address,
           survey->service->incarnation);
    print_view(&survey->service->view);
    printf("\n%-8s %-*s %-8s %5s %10s %10s %8s %12s %8s %-16s %-12s %6s %s\n",
           "name", width, "server", "role", "view", "op", "committed", "keys",
           "bytes", "sessions", "digest", "transfer", "missed", "incarnation");
    for (size_t i = 0; i < survey->count; i++) {
        if (survey->probes[i].answer)
            print_answer(&survey->probes[i], width);
        else
            print_silent(&survey->probes[i], width);
    }
    if (survey->verbose)
        print_counters(survey->service);
    for (size_t i = 0; survey->verbose && i < survey->count; i++)
        if (survey->probes[i].answer)
            print_counters(survey->probes[i].answer);
}

/* ---- For programs ------------------------------------------------------- */

static void write_number(const char *name, uint64_t value)
{
    printf(",\"%s\":%" PRIu64, name, value);
}

static void write_text(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    json_write_text(stdout, text);
}

static void write_peer(const char *name, const struct pbkv_peer *peer)
{
    printf(",\"%s\":", name);
    if (peer->address[0] == '\0') {
        printf("null");
        return;
    }
    printf("{\"address\":");
    json_write_text(stdout, peer->address);
    write_number("incarnation", peer->incarnation);
    putchar('}');
}

static void write_view(const struct pbkv_view *view)
{
    printf("{\"number\":%" PRIu64, view->number);
    write_peer("primary", &view->primary);
    write_peer("backup", &view->backup);
    putchar('}');
}

static void write_counters(const struct pbkv_inspection *about)
{
    printf(",\"counters\":{");
    for (size_t i = 0; i < about->counter_count; i++) {
        if (i > 0)
            putchar(',');
        json_write_text(stdout, about->counters[i].name);
        printf(":%" PRIu64, about->counters[i].value);
    }
    putchar('}');
}

static void write_answer(const struct survey *survey,
                         const struct pbkv_inspection *about)
{
    char digest[2 * PBKV_DIGEST_SIZE + 1];

    write_text("name", about->name);
    write_text("role", about->role);
    write_number("incarnation", about->incarnation);
    write_number("view", about->view.number);
    write_number("applied", about->applied);
    write_number("committed", about->committed);
    write_number("keys", about->keys);
    write_number("bytes", about->bytes);
    write_number("sessions", about->sessions);
    if (about->has_digest)
        write_text("digest", digest_text(about, digest));
    else
        printf(",\"digest\":null");
    write_number("transfer_items", about->transfer_items);
    write_number("transfer_total", about->transfer_total);
    if (survey->verbose)
        write_counters(about);
}

static void write_server(const struct survey *survey, const struct probe *probe)
{
    printf("{\"address\":");
    json_write_text(stdout, probe->seen->peer.address);
    printf(",\"seen\":{\"incarnation\":%" PRIu64,
           probe->seen->peer.incarnation);
    write_number("view", probe->seen->view);
    write_number("missed_cycles", probe->seen->missed_cycles);
    printf("},\"answered\":%s", probe->answer ? "true" : "false");
    if (probe->answer)
        write_answer(survey, probe->answer);
    putchar('}');
}

static void write_survey(const struct survey *survey)
{
    printf("{\"service\":{\"address\":");
    json_write_text(stdout, survey->address);
    write_text("name", survey->service->name);
    write_number("incarnation", survey->service->incarnation);
    if (survey->verbose)
        write_counters(survey->service);
    printf("},\"view\":");
    write_view(&survey->service->view);
    printf(",\"servers\":[");
    for (size_t i = 0; i < survey->count; i++) {
        if (i > 0)
            putchar(',');
        write_server(survey, &survey->probes[i]);
    }
    printf("]}\n");
}

/* ---- Commands ----------------------------------------------------------- */

/* Returns whether what answered at the view service's address is one; if not,
 * says so. */
static bool is_view_service(struct tool *tool,
                            const struct pbkv_inspection *about)
{
    if (strcmp(about->role, "view service") == 0)
        return true;
    tool_say(tool, "%s is not a view service but a server (%s)",
             tool->view_service, about->role);
    return false;
}

/* Says why there was no view before the deadline. Returns the exit status. */
static int explain_no_view(struct tool *tool)
{
    struct pbkv_inspection *about;
    bool is_another = pbkv_inspect(tool->store, tool->view_service, PATIENCE_MS,
                                   &about) == PBKV_OK &&
                      !is_view_service(tool, about);

    pbkv_inspection_free(about);
    if (is_another)
        return TOOL_NEGATIVE;
    return tool_conclude_asked(tool, PBKV_TIMEOUT, tool->view_service);
}

int tool_view(struct tool *tool, int argc, char **argv)
{
    bool json = false;
    const struct program_option options[] = {
        PROGRAM_FLAG_OPTION("json", "write one JSON object", &json),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        "pbkv view",
        "",
        "Asks the view service for the current view: its number, the primary\n"
        "and the backup. View 0 is: no server has reported yet.",
        options,
        TOOL_COUNT(options),
        0,
        0};
    struct pbkv_view view;
    enum pbkv_status result;
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    status = tool_open(tool, 1);
    if (status != TOOL_OK)
        return status;
    result = pbkv_view(tool->store, 0, &view);
    if (result == PBKV_TIMEOUT)
        return explain_no_view(tool);
    if (result != PBKV_OK)
        return tool_conclude_read(tool, result);
    if (json) {
        write_view(&view);
        putchar('\n');
    } else {
        print_view(&view);
    }
    return TOOL_OK;
}

int tool_status(struct tool *tool, int argc, char **argv)
{
    struct survey survey = {0};
    bool json = false;
    const struct program_option options[] = {
        PROGRAM_FLAG_OPTION("json", "write one JSON object", &json),
        PROGRAM_FLAG_OPTION("verbose", "also counters of events and traffic",
                            &survey.verbose),
        TOOL_OPTIONS(tool)};
    const struct program program = {
        "pbkv status",
        "",
        "Asks the view service which servers it has seen, and each of them\n"
        "how it is. Servers that do not answer within a second are 'silent'.\n"
        "missed counts the ping cycles since the last ping. Exit status 1 "
        "when\n"
        "a server is at the address of the view service, 3 when nobody answers "
        "there.",
        options,
        TOOL_COUNT(options),
        0,
        0};
    enum pbkv_status result;
    int at, status = tool_begin(tool, &program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    status = tool_open(tool, 1);
    if (status != TOOL_OK)
        return status;
    survey.address = tool->view_service;
    result = pbkv_inspect(tool->store, survey.address, 0, &survey.service);
    if (result != PBKV_OK)
        return tool_conclude_asked(tool, result, survey.address);
    if (!is_view_service(tool, survey.service)) {
        survey_release(&survey);
        return TOOL_NEGATIVE;
    }
    ask_all(&survey, tool);
    if (json)
        write_survey(&survey);
    else
        print_survey(&survey);
    survey_release(&survey);
    return TOOL_OK;
}
