/* SPDX-License-Identifier: MIT */
/*
 * explore: tries every schedule of small systems, or goes again the one that a
 * file tells. A system is searched in stages (explorer_systems.h); what is
 * violated on the way to the last one is a finding like any other.
 *
 * A path to a violation is told from the beginning of the system and with as
 * few events as greedy removal leaves. The file that --save writes is for
 * --replay here, for --replay of sim, and for tests/scenarios.
 *
 * Exit status: 0 nothing is violated, 1 something is, 2 wrong arguments.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/program.h"
#include "sim/explorer.h"
#include "sim/explorer_systems.h"
#include "sim/intern.h"
#include "sim/replay.h"

enum { NOT_GIVEN = INT32_MAX, WALK_DEPTH = 200, FAILED = 1, USAGE = 2 };

struct options {
    const char *replay;
    const char *save;
    uint32_t threads;
    uint32_t depth;
    uint32_t states;
    uint32_t seconds;
    size_t memory;
    uint32_t walks;
    uint32_t seed;
    uint32_t views; /* bounds of the last stage, or NOT_GIVEN */
    uint32_t ops;
    uint32_t rounds;
    uint32_t crashes;
    uint32_t recheck;
    const char *network;
    uint32_t losses;
    uint32_t queue;
    bool no_memo;
    bool no_guards;
    bool calibrate;
    bool list;
};

static const struct options defaults = {
    .threads = 2,
    .seconds = 60,
    .memory = (size_t)4 << 30,
    .seed = 1,
    .views = NOT_GIVEN,
    .ops = NOT_GIVEN,
    .rounds = NOT_GIVEN,
    .crashes = NOT_GIVEN,
    .recheck = 64,
    .network = "set",
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
                      const struct explorer_result *result, const char *system)
{
    FILE *file;

    if (!options->save)
        return;
    file = fopen(options->save, "w");
    if (file)
        fprintf(file, "# %s: %s\n", result->rule, result->sentence);
    if (!file || explorer_save(explorer, &result->path, system, file) < 0)
        perror(options->save);
    else
        printf("  again: explore --replay %s; in the world: sim --replay %s\n",
               options->save, options->save);
    if (file)
        fclose(file);
}

static int report_violation(const struct options *options,
                            struct explorer *explorer,
                            const struct explorer_search *search,
                            struct explorer_result *result, const char *system)
{
    printf("VIOLATED: %s (%s)\n", result->sentence, result->rule);
    explorer_whole_path(explorer, &result->path);
    explorer_minimise(explorer, search, &result->path);
    printf("in %zu events:\n", result->path.count);
    explorer_narrate(explorer, &result->path, stdout);
    save_path(options, explorer, result, system);
    return FAILED;
}

/* ---- Runs ---- */

static void bound(uint32_t *bound, uint32_t given)
{
    if (given != NOT_GIVEN)
        *bound = given;
}

static struct system_plan bounded_plan(const struct options *options,
                                       const struct system_plan *plan)
{
    struct system_plan bounded = *plan;
    struct system_stage *last = &bounded.stages[bounded.stage_count - 1];

    bound(&last->views, options->views);
    bound(&last->ops, options->ops);
    bound(&last->rounds, options->rounds);
    bound(&last->crashes, options->crashes);
    return bounded;
}

/* Returns whether the name is one of a network. */
static bool find_network(const char *name, enum explorer_network *network)
{
    static const char *const names[] = {[EXPLORER_SET] = "set",
                                        [EXPLORER_BAG] = "bag",
                                        [EXPLORER_FIFO] = "fifo"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *network = (enum explorer_network)i;
            return true;
        }
    }
    return false;
}

/* Returns a new explorer over the network that was chosen. */
static struct explorer *explorer_for(const struct options *options,
                                     const struct system *system)
{
    struct explorer *explorer = explorer_new(
        system->nodes, system->count, !options->no_guards, options->recheck);
    enum explorer_network network = EXPLORER_SET;

    if (find_network(options->network, &network) && network != EXPLORER_SET)
        explorer_set_network(explorer, network);
    return explorer;
}

static struct explorer_search search_of(const struct options *options)
{
    return (struct explorer_search){
        .depth = options->walks > 0 ? 0 : options->depth,
        .states = options->states,
        .memory = options->memory,
        .seconds = options->seconds,
        .threads = options->threads,
        .no_memo = options->no_memo,
        .loss_budget = options->losses,
        .queue = options->queue,
        .seed = options->seed,
    };
}

/* Searches the last stage after the others. Returns whether it came to it. */
static bool search_stages(const struct options *options, struct system *system,
                          struct explorer *explorer,
                          struct explorer_search *search,
                          struct explorer_result *result)
{
    if (!system_go_to_last_stage(system, explorer, search, result))
        return false;
    if (options->walks > 0) {
        search->walks = options->walks;
        search->depth = options->depth > 0 ? options->depth : WALK_DEPTH;
    }
    *result = explorer_run(explorer, search);
    return true;
}

static int explore(const struct options *options,
                   const struct system_plan *plan)
{
    struct system_plan bounded = bounded_plan(options, plan);
    struct explorer_search search = search_of(options);
    struct explorer_result result;
    struct explorer *explorer;
    struct system system;
    int status = 0;

    system_init(&system, &bounded);
    explorer = explorer_for(options, &system);
    printf("%s: %s\n", plan->name, plan->what);
    if (!search_stages(options, &system, explorer, &search, &result)) {
        printf("  on the way to the last stage:\n");
        status = FAILED;
    }
    print_result(explorer, &result);
    if (status == FAILED && result.end == EXPLORER_EXHAUSTED)
        puts("VIOLATED: no schedule leads to this stage's goal (progress)");
    if (result.end == EXPLORER_VIOLATION)
        status =
            report_violation(options, explorer, &search, &result, plan->name);
    explorer_result_release(&result);
    explorer_free(explorer);
    fflush(stdout);
    return status;
}

/* Goes the path in a file's text again. */
static int replay(const struct options *options, const struct system_plan *plan,
                  FILE *file)
{
    struct explorer_search search = search_of(options);
    struct explorer_path path;
    struct explorer_path used = {NULL, 0};
    struct explorer *explorer;
    struct system system;
    uint32_t line;
    const char *sentence;
    int status = USAGE;

    system_init(&system, plan);
    system_stage_search(&system, 0, &search);
    explorer = explorer_for(options, &system);
    if (explorer_load(explorer, file, &path, &line) < 0)
        fprintf(stderr, "explore: %s:%" PRIu32 ": not an event of %s\n",
                options->replay, line, plan->name);
    else {
        sentence = explorer_replay(explorer, &search, &path, &used);
        explorer_narrate(explorer, &used, stdout);
        printf("%zu events that could not happen left out\n%s%s\n",
               path.count - used.count, sentence ? "VIOLATED: " : "",
               sentence ? sentence : "nothing is violated");
        status = sentence ? FAILED : 0;
    }
    free(path.events);
    free(used.events);
    explorer_free(explorer);
    return status;
}

static int replay_named(const struct program *program,
                        const struct options *options)
{
    const struct system_plan *plan;
    char *text = replay_read(options->replay);
    FILE *file;
    int status;

    if (!text)
        return program_refuse(program, "--replay: '%s': %s", options->replay,
                              strerror(errno));
    plan = replay_plan(text);
    file = plan ? fmemopen(text, strlen(text), "r") : NULL;
    if (file) {
        status = replay(options, plan, file);
        fclose(file);
    } else
        status = program_refuse(program, "--replay: '%s' names no system",
                                options->replay);
    free(text);
    return status;
}

/* ---- Arguments ---- */

static void list_systems(void)
{
    uint32_t count;
    const struct system_plan *plans = system_plans(&count);

    for (uint32_t i = 0; i < count; i++)
        printf("%-18s %s\n", plans[i].name, plans[i].what);
}

enum { OPTIONS_MAX = 24 };

/* Fills in the table of flags and returns how many there are. */
static size_t list_options(struct options *to,
                           struct program_option options[OPTIONS_MAX])
{
    const struct program_option list[] = {
        PROGRAM_FLAG_OPTION("list", "shows the systems", &to->list),
        PROGRAM_U32_OPTION("threads", "N", "threads of a search (2)",
                           &to->threads, 1, EXPLORER_THREADS_MAX),
        PROGRAM_U32_OPTION("depth", "N", "events of a path at most; 0: any (0)",
                           &to->depth, 0, 0),
        PROGRAM_U32_OPTION("states", "N", "states at most; 0: any (0)",
                           &to->states, 0, 0),
        PROGRAM_U32_OPTION("seconds", "S", "of a search; 0: any (60)",
                           &to->seconds, 0, 0),
        PROGRAM_SIZE_OPTION("memory", "SIZE", "of the process; 0: any (4G)",
                            &to->memory, 0, 0),
        PROGRAM_U32_OPTION("views", "N", "bound of the last stage; 0: none",
                           &to->views, 0, 0),
        PROGRAM_U32_OPTION("ops", "N", "bound of op numbers, likewise",
                           &to->ops, 0, 0),
        PROGRAM_U32_OPTION("rounds", "N", "bound of rounds, likewise",
                           &to->rounds, 0, 0),
        PROGRAM_U32_OPTION("crashes", "N", "crashes in the last stage",
                           &to->crashes, 0, EXPLORER_CRASHES_MAX),
        PROGRAM_TEXT_OPTION("network", "NAME",
                            "set: all may be lost, late, doubled; bag: each "
                            "comes once; fifo: in order (set)",
                            &to->network),
        PROGRAM_U32_OPTION("losses", "N", "messages lost in a bag or fifo (0)",
                           &to->losses, 0, UINT8_MAX),
        PROGRAM_U32_OPTION("queue", "N",
                           "messages that wait for a node; 0: any (0)",
                           &to->queue, 0, 0),
        PROGRAM_U32_OPTION("walks", "N", "random walks, not all schedules",
                           &to->walks, 0, 0),
        PROGRAM_U32_OPTION("seed", "N", "of the walks (1)", &to->seed, 0, 0),
        PROGRAM_FLAG_OPTION("no-memo", "runs each handler each time",
                            &to->no_memo),
        PROGRAM_FLAG_OPTION("no-guards", "trusts clones and handlers",
                            &to->no_guards),
        PROGRAM_U32_OPTION("recheck", "N",
                           "runs one hit of the memo in N; 0: none (64)",
                           &to->recheck, 0, 0),
        PROGRAM_FLAG_OPTION("calibrate", "says how fast this machine is now",
                            &to->calibrate),
        PROGRAM_TEXT_OPTION("save", "FILE", "writes the path to a violation",
                            &to->save),
        PROGRAM_TEXT_OPTION("replay", "FILE", "goes a saved path again",
                            &to->replay),
    };

    static_assert(sizeof(list) / sizeof(list[0]) <= OPTIONS_MAX,
                  "the table is too small");
    memcpy(options, list, sizeof(list));
    return sizeof(list) / sizeof(list[0]);
}

static int explore_named(const struct program *program,
                         const struct options *options, const char *name)
{
    const struct system_plan *plan = system_plan_named(name);

    return plan ? explore(options, plan)
                : program_refuse(program,
                                 "'%s' is no system; --list shows them", name);
}

/* Explores the systems that are named, or all. */
static int explore_all(const struct program *program,
                       const struct options *options, char **names)
{
    const struct system_plan *plans;
    uint32_t count;
    int status = 0;

    for (size_t i = 0; names[i] && status != USAGE; i++)
        status |= explore_named(program, options, names[i]);
    if (names[0])
        return status;
    plans = system_plans(&count);
    for (uint32_t i = 0; i < count; i++)
        status |= explore(options, &plans[i]);
    return status;
}

/* Returns PROGRAM_GO_ON, or the exit status after a mistake. */
static int check_options(const struct program *program,
                         const struct options *options)
{
    enum explorer_network network;

    if (!find_network(options->network, &network))
        return program_refuse(program,
                              "--network: '%s' is not set, bag or fifo",
                              options->network);
    if (network == EXPLORER_SET && options->losses > 0)
        return program_refuse(program, "--losses: in a set, everything may be "
                                       "lost; choose a bag or fifo");
    if (options->walks > 0 && options->no_memo)
        return program_refuse(program, "--walks needs the memo");
    return PROGRAM_GO_ON;
}

int main(int argc, char **argv)
{
    struct options options = defaults;
    struct program_option table[OPTIONS_MAX];
    struct program program = {
        .name = "explore",
        .operands = "[SYSTEM...]",
        .purpose = "Tries every schedule of small systems; without operands, "
                   "of all of them.",
        .options = table,
        .operands_max = -1,
    };
    int operand;
    int status;

    program.option_count = list_options(&options, table);
    status = program_parse(&program, argc, argv, &operand);
    if (status == PROGRAM_GO_ON)
        status = check_options(&program, &options);
    if (status != PROGRAM_GO_ON)
        return status;
    if (options.list) {
        list_systems();
        return 0;
    }
    if (options.calibrate)
        printf("calibration: %.1f million reads/s\n", calibrate());
    if (options.replay)
        return replay_named(&program, &options);
    return explore_all(&program, &options, argv + operand);
}
