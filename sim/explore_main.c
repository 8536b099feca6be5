/* SPDX-License-Identifier: MIT */
/*
 * explore: tries every schedule of small systems, or goes again the one that a
 * file tells.
 *
 *     explore                        all systems, each up to the limits
 *     explore --system NAME          one; --list shows them
 *     explore --walks N --depth D --seed S
 *     explore --system NAME --replay FILE
 *
 * Exit status: 0 nothing is violated, 1 something is, 2 wrong arguments.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/explorer.h"
#include "sim/explorer_systems.h"
#include "sim/intern.h"

struct options {
    const char *system;
    const char *replay;
    const char *save;
    struct explorer_search limits;
    uint32_t recheck;
    bool guards;
    bool calibrate;
    int views;
    int ops;
    int crashes;
};

/* ---- What a run says ---- */

/* Returns millions of dependent reads from 64 MiB per second: how fast this
 * machine is now, with its neighbours. */
static double calibrate(void)
{
    enum { WORDS = 1 << 23, READS = 1 << 22 };
    uint64_t *words = malloc(WORDS * sizeof(*words));
    uint64_t place = 1;
    double start;
    double seconds;

    if (!words)
        return 0;
    for (uint64_t i = 0; i < WORDS; i++)
        words[i] = intern_mix(i);
    start = explorer_seconds();
    for (uint32_t i = 0; i < READS; i++)
        place = words[(place + i) & (WORDS - 1)];
    seconds = explorer_seconds() - start;
    free(words);
    return (place == 0 ? 1e-9 : 0) + READS / seconds * 1e-6;
}

static void print_result(const struct explorer *explorer,
                         const struct explorer_result *result)
{
    struct explorer_sizes sizes = explorer_sizes(explorer);
    double seconds = result->seconds > 0 ? result->seconds : 1e-9;
    double states = (double)result->states;
    double transitions = (double)result->transitions;

    printf("  %s\n", explorer_end_name(result->end));
    printf("  states %" PRIu64 " (%" PRIu64 " not left)  transitions %" PRIu64
           "  successors %" PRIu64 "  depth %" PRIu32 "\n",
           result->states, result->pruned, result->transitions,
           result->successors, result->depth);
    printf("  %.2f s  %.0f states/s  %.0f transitions/s  %.0f octets/state\n"
           "  %.2f s of processors  %.0f states/s  %.0f transitions/s\n",
           result->seconds, states / seconds, transitions / seconds,
           (double)result->octets / states, result->cpu_seconds,
           states / result->cpu_seconds, transitions / result->cpu_seconds);
    printf("  node states %" PRIu32 "  messages %" PRIu32 "  sets %" PRIu32
           "  contexts %" PRIu32 "  handlers run %" PRIu64 " and %" PRIu64
           " to check  memo hits %.4f %%\n",
           sizes.locals, sizes.messages, sizes.sets, sizes.contexts,
           result->handlers, result->checks,
           transitions > (double)result->handlers
               ? 100 * (1 - (double)result->handlers / transitions)
               : 0.0);
    if (result->walks > 0)
        printf("  walks %" PRIu64 "\n", result->walks);
}

static void save_path(const struct options *options, struct explorer *explorer,
                      const struct explorer_path *path, const char *system)
{
    FILE *file;

    if (!options->save)
        return;
    file = fopen(options->save, "w");
    if (!file || explorer_save(explorer, path, system, file) < 0)
        perror(options->save);
    else
        printf("  again: explore --system %s --replay %s\n", system,
               options->save);
    if (file)
        fclose(file);
}

static int report_violation(const struct options *options,
                            struct explorer *explorer,
                            const struct explorer_search *search,
                            struct explorer_result *result, const char *system)
{
    printf("VIOLATED: %s (%s)\n", result->sentence, result->rule);
    explorer_minimise(explorer, search, &result->path);
    printf("in %zu events:\n", result->path.count);
    explorer_narrate(explorer, &result->path, stdout);
    save_path(options, explorer, &result->path, system);
    return 1;
}

/* ---- Runs ---- */

static struct system_plan bounded_plan(const struct options *options,
                                       const struct system_plan *plan)
{
    struct system_plan bounded = *plan;
    struct system_stage *last = &bounded.stages[bounded.stage_count - 1];

    if (options->views >= 0)
        last->views = (uint32_t)options->views;
    if (options->ops >= 0)
        last->ops = (uint32_t)options->ops;
    if (options->crashes >= 0)
        last->crashes = (uint32_t)options->crashes;
    return bounded;
}

static int explore(const struct options *options,
                   const struct system_plan *plan)
{
    struct system_plan bounded = bounded_plan(options, plan);
    struct explorer_search search = options->limits;
    struct explorer_result result;
    struct explorer *explorer;
    struct system system;
    const char *trouble;
    int status = 0;

    system_init(&system, &bounded);
    explorer = explorer_new(system.nodes, system.count, options->guards,
                            options->recheck);
    search.walks = 0;
    printf("%s: %s\n", plan->name, plan->what);
    trouble = system_go_to_last_stage(&system, explorer, &search);
    if (trouble) {
        printf("  the way to the last stage: %s\n", trouble);
        explorer_free(explorer);
        return 1;
    }
    search.walks = options->limits.walks;
    result = explorer_run(explorer, &search);
    print_result(explorer, &result);
    if (result.end == EXPLORER_VIOLATION)
        status =
            report_violation(options, explorer, &search, &result, plan->name);
    explorer_result_release(&result);
    explorer_free(explorer);
    fflush(stdout);
    return status;
}

static int replay(const struct options *options, const struct system_plan *plan)
{
    struct explorer_search search = options->limits;
    struct explorer_path path;
    struct explorer_path used = {NULL, 0};
    struct explorer *explorer;
    struct system system;
    uint32_t line;
    const char *sentence = NULL;
    FILE *file = fopen(options->replay, "r");

    if (!file) {
        perror(options->replay);
        return 2;
    }
    system_init(&system, plan);
    system_stage_search(&system, 0, &search);
    explorer = explorer_new(system.nodes, system.count, false, 0);
    if (explorer_load(explorer, file, &path, &line) < 0)
        printf("%s:%" PRIu32 ": not an event of this system\n", options->replay,
               line);
    else {
        sentence = explorer_replay(explorer, &search, &path, &used);
        explorer_narrate(explorer, &used, stdout);
        printf("%s\n", sentence ? sentence : "nothing is violated");
    }
    fclose(file);
    free(path.events);
    free(used.events);
    explorer_free(explorer);
    return sentence ? 1 : 0;
}

/* ---- Arguments ---- */

static int usage(void)
{
    fputs("usage: explore [--list] [--system NAME] [--threads N] [--depth N]\n"
          "               [--states N] [--seconds S] [--memory MIB]\n"
          "               [--views N] [--ops N] [--crashes N] [--no-memo]\n"
          "               [--no-guards] [--recheck N] [--calibrate]\n"
          "               [--walks N --seed N] [--save FILE]\n"
          "               [--replay FILE]\n",
          stderr);
    return 2;
}

static void list_systems(void)
{
    uint32_t count;
    const struct system_plan *plans = system_plans(&count);

    for (uint32_t i = 0; i < count; i++)
        printf("%-18s %s\n", plans[i].name, plans[i].what);
}

enum option_name {
    OPT_LIST = 1,
    OPT_SYSTEM,
    OPT_THREADS,
    OPT_DEPTH,
    OPT_STATES,
    OPT_SECONDS,
    OPT_MEMORY,
    OPT_VIEWS,
    OPT_OPS,
    OPT_CRASHES,
    OPT_NO_MEMO,
    OPT_NO_GUARDS,
    OPT_RECHECK,
    OPT_CALIBRATE,
    OPT_WALKS,
    OPT_SEED,
    OPT_SAVE,
    OPT_REPLAY,
};

static const struct option long_options[] = {
    {"list", no_argument, NULL, OPT_LIST},
    {"system", required_argument, NULL, OPT_SYSTEM},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"states", required_argument, NULL, OPT_STATES},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"views", required_argument, NULL, OPT_VIEWS},
    {"ops", required_argument, NULL, OPT_OPS},
    {"crashes", required_argument, NULL, OPT_CRASHES},
    {"no-memo", no_argument, NULL, OPT_NO_MEMO},
    {"no-guards", no_argument, NULL, OPT_NO_GUARDS},
    {"recheck", required_argument, NULL, OPT_RECHECK},
    {"calibrate", no_argument, NULL, OPT_CALIBRATE},
    {"walks", required_argument, NULL, OPT_WALKS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"save", required_argument, NULL, OPT_SAVE},
    {"replay", required_argument, NULL, OPT_REPLAY},
    {NULL, 0, NULL, 0},
};

static void set_number(struct options *options, int name, const char *text)
{
    struct explorer_search *limits = &options->limits;
    uint64_t number = strtoull(text, NULL, 10);

    switch (name) {
    case OPT_THREADS: limits->threads = (uint32_t)number; break;
    case OPT_DEPTH: limits->depth = (uint32_t)number; break;
    case OPT_STATES: limits->states = number; break;
    case OPT_SECONDS: limits->seconds = strtod(text, NULL); break;
    case OPT_MEMORY: limits->memory = number << 20; break;
    case OPT_VIEWS: options->views = (int)number; break;
    case OPT_OPS: options->ops = (int)number; break;
    case OPT_CRASHES: options->crashes = (int)number; break;
    case OPT_RECHECK: options->recheck = (uint32_t)number; break;
    case OPT_WALKS: limits->walks = number; break;
    case OPT_SEED: limits->seed = number; break;
    default: break;
    }
}

/* Returns whether the arguments make sense. */
static bool parse(struct options *options, int argc, char **argv)
{
    int name;

    while ((name = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (name) {
        case '?': return false;
        case OPT_LIST: list_systems(); exit(0);
        case OPT_SYSTEM: options->system = optarg; break;
        case OPT_NO_MEMO: options->limits.no_memo = true; break;
        case OPT_NO_GUARDS: options->guards = false; break;
        case OPT_CALIBRATE: options->calibrate = true; break;
        case OPT_SAVE: options->save = optarg; break;
        case OPT_REPLAY: options->replay = optarg; break;
        default: set_number(options, name, optarg);
        }
    }
    if (options->limits.walks > 0 && options->limits.depth == 0)
        options->limits.depth = 200;
    return optind == argc && options->limits.threads > 0 &&
           options->limits.threads <= EXPLORER_THREADS_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {
        .limits = {.threads = 2, .seconds = 60, .memory = (uint64_t)4 << 30},
        .recheck = 64,
        .guards = true,
        .views = -1,
        .ops = -1,
        .crashes = -1,
    };
    const struct system_plan *plan;
    uint32_t count;
    int status = 0;

    if (!parse(&options, argc, argv))
        return usage();
    if (options.calibrate)
        printf("calibration: %.1f million reads/s\n", calibrate());
    if (options.system) {
        plan = system_plan_named(options.system);
        if (!plan)
            return usage();
        return options.replay ? replay(&options, plan)
                              : explore(&options, plan);
    }
    if (options.replay)
        return usage();
    plan = system_plans(&count);
    for (uint32_t i = 0; i < count; i++)
        status |= explore(&options, &plan[i]);
    return status;
}
