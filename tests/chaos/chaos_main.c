/* SPDX-License-Identifier: MIT */
/*
 * chaos: breaks a running store in every way that it promises to survive, and
 * checks that it did. A view service and five servers run as processes; clients
 * work and record what they are told; faults come and go by a plan that a seed
 * decides. At the end everything is mended, and then
 *
 * - every client is answered again, and a primary and a backup share the state,
 *   within PROGRESS_MS;
 * - the record is linearizable (lincheck);
 * - every acknowledged append is there exactly once, any other at most once;
 * - no process has ended by itself.
 *
 * What the faults are (plan.h): SIGKILL and a restart with nothing in memory;
 * SIGSTOP and SIGCONT; cuts of the network in one or both directions, of one
 * server from everybody, from another one or from the view service; delays; the
 * same for the view service, which goes on from its state file; in one run of
 * three also servers that lose and double messages. They overlap.
 *
 * What they are not, because no primary with one backup survives it: the memory
 * of all servers that hold the state is never lost at once. A server is killed
 * only when another one that can go on has the state (field.h); when that is
 * not so, the timeline says it in brackets. A killed server takes along what it
 * had sent and what has not arrived: old pings of a dead server, together with
 * those of a living one, could stop the store (docs/reliability.md).
 *
 * The plan is the same for the same seed and length. What comes of it is not:
 * the system decides who runs when.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/memory.h"
#include "rpc/program.h"
#include "sim/history_read.h"
#include "sim/lincheck.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/field.h"
#include "tests/chaos/hosts.h"
#include "tests/chaos/plan.h"
#include "tests/chaos/watch.h"

enum {
    SERVERS = 5,
    CLIENTS = 16,
    PROGRESS_MS = 10000,
    DEADLINE_MS = 4000, /* of an operation */
    STEP_MS = 5,
    SEARCH_S = 120,
    MEMORY_MAX = 1 << 30,
};

enum strike_state { STRIKE_TO_COME, STRIKE_ON, STRIKE_OVER };

struct chaos {
    uint32_t seed;
    uint32_t seconds;
    bool namespaces;
    struct plan plan;
    struct field *field;
    struct watch watch;
    struct clients *clients;
    char record[CLUSTER_PATH_SIZE];

    enum strike_state *states; /* of the plan's faults */
    struct strike *strikes;
    unsigned done[FAULT_KINDS];
    unsigned spared; /* faults that would have been unfair or impossible */
    uint64_t recovered_ms;
    unsigned failures;
};

static void __attribute__((format(printf, 2, 3)))
fail(struct chaos *chaos, const char *format, ...)
{
    char sentence[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    watch_tell(&chaos->watch, "FAILED: %s", sentence);
    chaos->failures++;
}

/* ---- Faults ------------------------------------------------------------- */

static void begin_fault(struct chaos *chaos, size_t index)
{
    const struct fault *fault = &chaos->plan.faults[index];
    char sentence[FIELD_SENTENCE];
    bool struck =
        field_strike(chaos->field, fault, &chaos->strikes[index], sentence);

    watch_tell(&chaos->watch, "%s", sentence);
    chaos->states[index] = struck ? STRIKE_ON : STRIKE_OVER;
    if (struck)
        chaos->done[fault->kind]++;
    else
        chaos->spared++;
}

static void end_fault(struct chaos *chaos, size_t index)
{
    char sentence[FIELD_SENTENCE];

    if (!field_mend(chaos->field, &chaos->plan.faults[index],
                    &chaos->strikes[index], sentence))
        fail(chaos, "%s does not start again",
             chaos->strikes[index].victim->name);
    watch_tell(&chaos->watch, "  %s", sentence);
    chaos->states[index] = STRIKE_OVER;
}

/* Begins and ends what is due. Returns whether there is more to come. */
static bool advance(struct chaos *chaos)
{
    bool more = false;

    for (size_t i = 0; i < chaos->plan.count; i++) {
        const struct fault *fault = &chaos->plan.faults[i];
        uint64_t now_ms = watch_now_ms(&chaos->watch);

        if (chaos->states[i] == STRIKE_TO_COME && now_ms >= fault->at_ms)
            begin_fault(chaos, i);
        else if (chaos->states[i] == STRIKE_ON &&
                 now_ms >= fault->at_ms + fault->lasts_ms)
            end_fault(chaos, i);
        more = more || chaos->states[i] != STRIKE_OVER;
    }
    return more;
}

static void step(struct chaos *chaos)
{
    struct timespec pause = {0, STEP_MS * 1000000L};
    const char *casualty = field_casualty(chaos->field);

    if (casualty)
        fail(chaos, "%s has ended by itself", casualty);
    watch_views(&chaos->watch);
    nanosleep(&pause, NULL);
}

/* Waits until all is well again. */
static void await_recovery(struct chaos *chaos)
{
    uint64_t mended_ms = cluster_now_ms();
    uint64_t end_ms = mended_ms + cluster_stretch(PROGRESS_MS);

    watch_tell(&chaos->watch, "everything is mended");
    while (!clients_all_go_on(chaos->clients, mended_ms)) {
        if (cluster_now_ms() > end_ms) {
            fail(chaos, "not all clients are answered after %d ms",
                 PROGRESS_MS);
            return;
        }
        step(chaos);
    }
    chaos->recovered_ms = cluster_now_ms() - mended_ms;
    watch_tell(&chaos->watch, "every client is answered again");
    if (!field_settles(chaos->field, PROGRESS_MS))
        fail(chaos, "there is no backup with the state after %d ms",
             PROGRESS_MS);
    watch_views(&chaos->watch);
}

/* ---- Judging ------------------------------------------------------------ */

static bool has_expired(void *context)
{
    const uint64_t *end_ms = context;

    return cluster_now_ms() > *end_ms;
}

/* Judges the record. */
static void check_record(struct chaos *chaos, const struct history *history)
{
    uint64_t end_ms = cluster_now_ms() + cluster_stretch(SEARCH_S * 1000);
    struct lincheck_limits limits = {MEMORY_MAX, has_expired, &end_ms};
    struct lincheck_report report = lincheck_check(history, &limits);

    if (report.verdict == LINCHECK_LINEARIZABLE)
        watch_tell(&chaos->watch, "linearizable: %zu operations on %zu keys",
                   history->count, report.keys);
    else
        fail(chaos, report.verdict == LINCHECK_VIOLATION
                        ? "the history is not linearizable"
                        : "lincheck reached a limit");
    lincheck_print(stdout, history, &report);
    lincheck_release(&report);
}

static void judge(struct chaos *chaos)
{
    enum history_form form = HISTORY_JSON;
    char error[HISTORY_ERROR_TEXT];
    const char *complaint = clients_audit(chaos->clients);
    struct history history;
    FILE *file;

    if (complaint)
        fail(chaos, "%s", complaint);
    else
        watch_tell(&chaos->watch, "every acknowledged append is there once");
    history_init(&history);
    file = fopen(chaos->record, "re");
    if (file && history_read(file, &history, &form, error))
        check_record(chaos, &history);
    else
        fail(chaos, "the record cannot be read");
    if (file)
        fclose(file);
    history_release(&history);
}

static void report(struct chaos *chaos)
{
    struct clients_figures figures = clients_figures(chaos->clients);
    unsigned faults = 0;

    printf("\noperations answered %" PRIu64 ", unknown %" PRIu64
           ", refused or unread %" PRIu64 "\n",
           figures.done, figures.unknown, figures.failed);
    printf("acknowledged appends %" PRIu64 "\n", figures.appends);
    printf("views %u\nfaults", chaos->watch.views);
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        if (chaos->done[kind] > 0)
            printf("%s %s %u", faults > 0 ? "," : "",
                   fault_name((enum fault_kind)kind), chaos->done[kind]);
        faults += chaos->done[kind];
    }
    printf("; in all %u, spared %u\n", faults, chaos->spared);
    printf("longest time without an answer %" PRIu64 " ms, up to %.3f s\n",
           figures.longest_gap_ms, (double)figures.longest_gap_at_ms / 1000);
    printf("every client answered %" PRIu64
           " ms after the last fault (bound %u)\n",
           chaos->recovered_ms, cluster_stretch(PROGRESS_MS));
    printf("%s\n", chaos->failures > 0 ? "FAILED" : "passed");
}

/* ---- Running ------------------------------------------------------------ */

static void print_replay(const struct chaos *chaos)
{
    printf("make chaos SEED=%" PRIu32 " TIME=%" PRIu32 "%s\n", chaos->seed,
           chaos->seconds, chaos->namespaces ? " NAMESPACES=1" : "");
    fflush(stdout);
}

static bool set_up(struct chaos *chaos)
{
    const struct field_options options = {.servers = SERVERS,
                                          .namespaces = chaos->namespaces,
                                          .loss = chaos->plan.loss,
                                          .trace_max = "8M"};
    struct clients_plan plan = {
        .clients = CLIENTS, .seed = chaos->seed, .deadline_ms = DEADLINE_MS};

    chaos->states =
        memory_new((chaos->plan.count + 1) * sizeof(*chaos->states));
    chaos->strikes =
        memory_new((chaos->plan.count + 1) * sizeof(*chaos->strikes));
    chaos->field = field_new(&options);
    watch_begin(&chaos->watch, chaos->field);
    if (!field_start(chaos->field)) {
        fail(chaos, "the store does not start");
        return false;
    }
    plan.record = cluster_path(field_cluster(chaos->field), "history.jsonl",
                               chaos->record);
    plan.view_address = field_view_address(chaos->field);
    if (chaos->plan.loss[0] != '\0')
        watch_tell(&chaos->watch, "servers run with --faults %s",
                   chaos->plan.loss);
    chaos->watch.began_ms = cluster_now_ms();
    chaos->clients = clients_start(&plan);
    if (!chaos->clients)
        fail(chaos, "the clients do not start");
    return chaos->clients;
}

static void run(struct chaos *chaos)
{
    if (!set_up(chaos))
        return;
    while (chaos->failures == 0 && advance(chaos))
        step(chaos);
    if (chaos->failures == 0)
        await_recovery(chaos);
    clients_stop(chaos->clients);
    judge(chaos);
    report(chaos);
}

static void take_down(struct chaos *chaos)
{
    watch_end(&chaos->watch);
    if (chaos->failures > 0) {
        printf("logs, traces and history.jsonl are kept\n");
        print_replay(chaos);
        setenv("CLUSTER_KEEP", "1", 1);
    }
    if (chaos->clients)
        clients_free(chaos->clients);
    field_free(chaos->field);
    plan_release(&chaos->plan);
    free(chaos->states);
    free(chaos->strikes);
}

static int chaos_run(struct chaos *chaos)
{
    const char *obstacle = chaos->namespaces ? hosts_enter_hub() : NULL;

    if (obstacle) {
        printf("SKIPPED: network namespaces: %s\n", obstacle);
        return 0;
    }
    if (chaos->seed == 0)
        chaos->seed = (uint32_t)(rpc_new_incarnation() % 1000000) + 1;
    print_replay(chaos);
    chaos->plan = plan_draw(chaos->seed, chaos->seconds * 1000, SERVERS,
                            chaos->namespaces);
    run(chaos);
    take_down(chaos);
    return chaos->failures > 0 ? PROGRAM_FAILED : 0;
}

int main(int argc, char **argv)
{
    struct chaos chaos = {.seconds = 60};
    const struct program_option options[] = {
        PROGRAM_U32_OPTION("seed", "N", "of all faults and operations (0: any)",
                           &chaos.seed, 0, 0),
        PROGRAM_U32_OPTION("seconds", "S", "with faults (60)", &chaos.seconds,
                           1, 1000000),
        PROGRAM_FLAG_OPTION("namespaces",
                            "each server a host of its own; needs root",
                            &chaos.namespaces),
    };
    const struct program program = {
        .name = "chaos",
        .operands = "",
        .purpose = "Breaks a running store and checks what it promises.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0])};
    int at, status = program_parse(&program, argc, argv, &at);

    return status == PROGRAM_GO_ON ? chaos_run(&chaos) : status;
}
