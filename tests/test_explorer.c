/* SPDX-License-Identifier: MIT */
/*
 * The explorer. First with toys whose states can be counted by hand; then with
 * the real roles, where the counts of exhausted systems are pinned: they change
 * when a role or a bound changes, and then somebody has to look. Last, with
 * roles that are wrong on purpose: an explorer that finds nothing in them would
 * be worth nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer.h"
#include "sim/explorer_rules.h"
#include "sim/explorer_systems.h"
#include "sim/intern.h"
#include "sim/replay.h"
#include "sim/script.h"
#include "tests/suite.h"

/* ---- Toys: nodes that count what their timers do ---- */

enum toy_fault {
    TOY_SOUND,
    TOY_ASSERTS,
    TOY_CRASHES,
    TOY_RECURS,
    TOY_HANGS,
    TOY_REMEMBERS,
    TOY_REMEMBERS_LATER, /* when the guards have looked already */
    TOY_SHARES
};

struct toy_config {
    uint32_t limit;     /* events until it stops its timers */
    uint32_t delays[2]; /* of timers 0 and 1; 0: not set */
    enum toy_fault fault;
    uint32_t *hidden; /* what a role must not have */
};

struct toy {
    struct node node;
    struct toy_config config;
    uint32_t fired[2];
    uint32_t *count; /* its own; of TOY_SHARES, everybody's */
};

static const struct node_type toy_type;

static struct node *toy_birth(const void *context, const struct peer *self,
                              const struct bytes *record)
{
    struct toy *toy = memory_new(sizeof(*toy));

    ck_assert(peer_is_present(self) && !record);
    toy->node.type = &toy_type;
    toy->config = *(const struct toy_config *)context;
    toy->count = toy->config.fault == TOY_SHARES
                     ? toy->config.hidden
                     : memory_new(sizeof(*toy->count));
    return &toy->node;
}

static void toy_on_start(struct node *node, struct env *env)
{
    struct toy *toy = (struct toy *)node;

    for (unsigned slot = 0; slot < 2; slot++) {
        if (toy->config.delays[slot] > 0)
            env_set_timer(env, slot, toy->config.delays[slot],
                          toy->config.delays[slot]);
    }
}

static void toy_on_message(struct node *node, struct env *env,
                           const struct peer *from, const Pbkv__Body *body)
{
    ck_assert(node && env && from && body);
}

/* Calls itself until there is no stack left; or nearly, for the compiler. */
static uint32_t recur(volatile uint32_t *depth)
{
    volatile uint32_t here[64] = {++*depth};

    return *depth == UINT32_MAX ? here[0] : recur(depth) + here[0];
}

/* Fails at the third event, as its fault says. */
static void go_wrong(const struct toy *toy)
{
    volatile uint32_t word = 0;
    volatile uint32_t *volatile nowhere = NULL;

    switch (toy->config.fault) {
    case TOY_ASSERTS: abort();
    case TOY_CRASHES: *nowhere = 1; break;
    case TOY_RECURS: recur(&word); break;
    case TOY_HANGS:
        while (word == 0)
            continue;
        break;
    default: break;
    }
}

static void toy_on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct toy *toy = (struct toy *)node;
    uint32_t delay = toy->config.delays[slot];

    ++*toy->count;
    toy->fired[slot]++;
    if (toy->config.fault == TOY_REMEMBERS)
        *toy->count += ++*toy->config.hidden;
    if (toy->config.fault == TOY_REMEMBERS_LATER && *toy->config.hidden > 0)
        *toy->count += 1;
    if (*toy->count == 3)
        go_wrong(toy);
    if (*toy->count < toy->config.limit)
        env_set_timer(env, slot, delay, delay);
}

static struct node *toy_clone(const struct node *node)
{
    const struct toy *toy = (const struct toy *)node;
    struct toy *copy = memory_new(sizeof(*copy));

    *copy = *toy;
    if (toy->config.fault != TOY_SHARES) {
        copy->count = memory_new(sizeof(*copy->count));
        *copy->count = *toy->count;
    }
    return &copy->node;
}

static void toy_release(struct node *node)
{
    struct toy *toy = (struct toy *)node;

    if (toy->config.fault != TOY_SHARES)
        free(toy->count);
    free(toy);
}

static void toy_describe(const struct node *node, struct sink *sink)
{
    const struct toy *toy = (const struct toy *)node;

    sink_u64(sink, "count", *toy->count);
    sink_u64(sink, "first", toy->fired[0]);
    sink_u64(sink, "second", toy->fired[1]);
}

static void toy_check(const struct node *node)
{
    ck_assert(((const struct toy *)node)->count);
}

static const struct node_type toy_type = {
    .name = "toy",
    .on_start = toy_on_start,
    .on_message = toy_on_message,
    .on_timer = toy_on_timer,
    .clone = toy_clone,
    .release = toy_release,
    .describe = toy_describe,
    .check = toy_check,
};

static struct explorer *toys(const struct toy_config *config, uint32_t count,
                             bool crashes)
{
    static const char *const names[] = {"a", "b", "c"};
    struct explorer_node nodes[3];

    memset(nodes, 0, sizeof(nodes));
    for (uint32_t i = 0; i < count; i++) {
        nodes[i].address = names[i];
        nodes[i].birth = toy_birth;
        nodes[i].context = config;
        nodes[i].crashes = crashes;
        nodes[i].restarts = crashes;
    }
    return explorer_new(nodes, count, true, 1);
}

static struct explorer_result run_toys(const struct toy_config *config,
                                       uint32_t count,
                                       const struct explorer_search *search)
{
    struct explorer *explorer = toys(config, count, search->crash_budget > 0);
    struct explorer_result result = explorer_run(explorer, search);

    explorer_free(explorer);
    return result;
}

/* Three nodes that count to four have 5 * 5 * 5 states. */
TEST(independent_nodes_give_the_product_of_their_states)
{
    struct toy_config config = {.limit = 4, .delays = {10, 0}};
    struct explorer_search search = {.threads = 1};
    struct explorer_result result = run_toys(&config, 3, &search);

    ck_assert_int_eq(result.end, EXPLORER_EXHAUSTED);
    ck_assert_uint_eq(result.states, 125);
    ck_assert_uint_eq(result.depth, 12);
    ck_assert_uint_eq(result.transitions, 3 * 4 * 25);
    ck_assert_uint_eq(result.handlers, 3 * 4);
    explorer_result_release(&result);
}

/* Of two equal timers the one that was set first runs out first, so they take
 * turns; a shorter one may come any number of times before a longer one. */
TEST(a_later_timer_is_early_only_if_it_is_shorter)
{
    struct explorer_search search = {.threads = 1};
    struct toy_config equal = {.limit = 4, .delays = {10, 10}};
    struct toy_config longer = {.limit = 4, .delays = {10, 20}};
    struct toy_config shorter = {.limit = 4, .delays = {20, 10}};

    ck_assert_uint_eq(run_toys(&equal, 1, &search).states, 6);
    ck_assert_uint_eq(run_toys(&longer, 1, &search).states, 13);
    ck_assert_uint_eq(run_toys(&shorter, 1, &search).states, 18);
}

/* One node that counts to one, up or down, two lives: (0), (1), down. */
TEST(a_crash_ends_a_life_and_the_next_one_begins_anew)
{
    struct toy_config config = {.limit = 1, .delays = {10, 0}};
    struct explorer_search search = {.threads = 1, .crash_budget = 1};
    struct explorer_result result = run_toys(&config, 1, &search);

    ck_assert_int_eq(result.end, EXPLORER_EXHAUSTED);
    ck_assert_uint_eq(result.states, 2 + 1 + 2);
    explorer_result_release(&result);
}

TEST(limits_are_reported_honestly)
{
    struct toy_config config = {.limit = 9, .delays = {10, 0}};
    struct explorer_search depth = {.threads = 1, .depth = 3};
    struct explorer_search states = {.threads = 1, .states = 1};

    ck_assert_int_eq(run_toys(&config, 3, &depth).end, EXPLORER_DEPTH);
    ck_assert_uint_eq(run_toys(&config, 3, &depth).states, 1 + 3 + 6 + 10);
    ck_assert_int_eq(run_toys(&config, 3, &states).end, EXPLORER_STATES);
}

/* A caught failure leaves a clone behind, which LeakSanitizer finds, and UBSan
 * ends a process that writes to nowhere before it crashes. */
#ifdef SUITE_SANITIZED
#define FAILING_CASES
#else
#define FAILING_CASES                                                          \
    CASE(a_handler_that_aborts_is_a_counterexample),                           \
        CASE(a_handler_that_crashes_is_a_counterexample),                      \
        CASE(a_handler_that_exhausts_its_stack_is_a_counterexample),           \
        CASE_LIMIT(a_handler_that_does_not_return_is_a_counterexample, 60),

/* The shortest way to the failing event is found, and it stays three events
 * when it is made as short as can be. */
static void check_failing(enum toy_fault fault, uint32_t threads,
                          const char *sentence)
{
    struct toy_config config = {.limit = 9, .delays = {10, 0}, .fault = fault};
    struct explorer_search search = {.threads = threads};
    struct explorer *explorer = toys(&config, 2, false);
    struct explorer_result result = explorer_run(explorer, &search);

    ck_assert_int_eq(result.end, EXPLORER_VIOLATION);
    ck_assert_str_eq(result.sentence, sentence);
    explorer_minimise(explorer, &search, &result.path);
    ck_assert_uint_eq(result.path.count, 3);
    explorer_result_release(&result);
    explorer_free(explorer);
}

TEST(a_handler_that_aborts_is_a_counterexample)
{
    check_failing(TOY_ASSERTS, 1,
                  "a handler aborted: an assertion of the role failed");
}

TEST(a_handler_that_crashes_is_a_counterexample)
{
    check_failing(TOY_CRASHES, 1, "a handler crashed");
    check_failing(TOY_CRASHES, 2, "a handler crashed");
}

TEST(a_handler_that_exhausts_its_stack_is_a_counterexample)
{
    check_failing(TOY_RECURS, 1, "a handler crashed");
}

TEST(a_handler_that_does_not_return_is_a_counterexample)
{
    check_failing(TOY_HANGS, 1, "a handler does not return");
    check_failing(TOY_HANGS, 2, "a handler does not return");
}
#endif

TEST(a_role_that_remembers_outside_its_state_is_found_out)
{
    uint32_t hidden = 0;
    struct toy_config config = {.limit = 9,
                                .delays = {10, 0},
                                .fault = TOY_REMEMBERS,
                                .hidden = &hidden};
    struct explorer_search search = {.threads = 1};
    struct explorer_result result = run_toys(&config, 1, &search);

    ck_assert_int_eq(result.end, EXPLORER_VIOLATION);
    ck_assert(strstr(result.sentence, "did something else"));
    explorer_result_release(&result);
}

TEST(a_clone_that_shares_with_its_original_is_found_out)
{
    uint32_t shared = 0;
    struct toy_config config = {
        .limit = 9, .delays = {10, 0}, .fault = TOY_SHARES, .hidden = &shared};
    struct explorer_search search = {.threads = 1};
    struct explorer_result result = run_toys(&config, 1, &search);

    ck_assert_int_eq(result.end, EXPLORER_VIOLATION);
    ck_assert(strstr(result.sentence, "changed the original"));
    explorer_result_release(&result);
}

/* The first search keeps what the guards found sound. When the role behaves
 * otherwise later, the hits that are run again tell. */
TEST(a_role_that_changes_later_is_found_out)
{
    uint32_t hidden = 0;
    struct toy_config config = {.limit = 9,
                                .delays = {10, 0},
                                .fault = TOY_REMEMBERS_LATER,
                                .hidden = &hidden};
    struct explorer_search search = {.threads = 1};
    struct explorer *explorer = toys(&config, 3, false);
    struct explorer_result result = explorer_run(explorer, &search);

    ck_assert_int_eq(result.end, EXPLORER_EXHAUSTED);
    ck_assert_uint_eq(result.checks, result.handlers + result.states * 3 -
                                         result.states / 10 * 3);
    hidden = 1;
    result = explorer_run(explorer, &search);
    ck_assert_int_eq(result.end, EXPLORER_VIOLATION);
    ck_assert(strstr(result.sentence, "did something else"));
    explorer_result_release(&result);
    explorer_free(explorer);
}

/* ---- Interning ---- */

TEST(equal_octets_get_equal_numbers_and_others_do_not)
{
    enum { MANY = 20000 };
    struct intern table;

    intern_init(&table);
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(intern_put(&table, &i, sizeof(i), NULL), i);
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_uint_eq(intern_put(&table, &i, sizeof(i), NULL), i);
        ck_assert_mem_eq(intern_at(&table, i)->octets, &i, sizeof(i));
    }
    ck_assert_uint_eq(intern_put(&table, "", 0, NULL), MANY);
    intern_release(&table);
}

/* ---- Histories ---- */

static const struct script_op append_op[] = {{SCRIPT_APPEND, "k", "a"}};
static const struct script_op get_op[] = {{SCRIPT_GET, "k", NULL}};

static bool read_is_possible(uint32_t over, Pbkv__Status appended,
                             Pbkv__Status read)
{
    struct script writer = {.ops = append_op, .count = 1, .begun = 1};
    struct script reader = {.ops = get_op, .count = 1, .begun = 1, .ended = 1};
    const struct script *scripts[] = {&writer, &reader};
    bool possible;

    writer.notes[0].status = appended;
    writer.ended = appended != PBKV__STATUS__STATUS_INVALID;
    reader.notes[0].knowledge = over;
    reader.notes[0].status = read;
    reader.notes[0].value = read == PBKV__STATUS__OK ? bytes_new("a", 1) : NULL;
    possible = script_histories_are_linearizable(scripts, 2);
    bytes_release(reader.notes[0].value);
    return possible;
}

/* A read that began after an append had ended must see it; one that overlaps it
 * may; an append without an outcome may have happened or not. */
TEST(histories_respect_real_time)
{
    const Pbkv__Status ok = PBKV__STATUS__OK;
    const Pbkv__Status no_key = PBKV__STATUS__NO_KEY;

    ck_assert(read_is_possible(1, ok, ok));
    ck_assert(!read_is_possible(1, ok, no_key));
    ck_assert(read_is_possible(0, ok, ok));
    ck_assert(read_is_possible(0, ok, no_key));
    ck_assert(read_is_possible(0, PBKV__STATUS__STATUS_INVALID, ok));
    ck_assert(read_is_possible(0, PBKV__STATUS__STATUS_INVALID, no_key));
    ck_assert(read_is_possible(1, PBKV__STATUS__SESSION_EXPIRED, ok));
    ck_assert(read_is_possible(1, PBKV__STATUS__SESSION_EXPIRED, no_key));
}

/* ---- The real roles ---- */

struct explored {
    struct system_plan plan;
    struct system system;
    struct explorer *explorer;
    struct explorer_search search;
    struct explorer_result result;
};

/* Explores the last stage of a plan. */
static struct explored *explore(const char *name, uint32_t threads, bool memo,
                                bool ticks)
{
    struct explored *explored = memory_new(sizeof(*explored));
    struct system_stage *last;

    explored->plan = *system_plan_named(name);
    last = &explored->plan.stages[explored->plan.stage_count - 1];
    if (!ticks) {
        last->ticks_off = true;
        last->resends_off = true;
    }
    explored->search.threads = threads;
    explored->search.no_memo = !memo;
    system_init(&explored->system, &explored->plan);
    explored->explorer =
        explorer_new(explored->system.nodes, explored->system.count, true, 64);
    ck_assert_msg(system_go_to_last_stage(&explored->system, explored->explorer,
                                          &explored->search, &explored->result),
                  "%s", explorer_end_name(explored->result.end));
    explored->result = explorer_run(explored->explorer, &explored->search);
    return explored;
}

static void explored_free(struct explored *explored)
{
    explorer_result_release(&explored->result);
    explorer_free(explored->explorer);
    free(explored);
}

/* Exhausts a system in one and in two threads. */
static void check_exhausted(const char *name, bool ticks, uint64_t states,
                            uint64_t transitions, uint32_t depth)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct explored *explored = explore(name, threads, true, ticks);
        const struct explorer_result *result = &explored->result;

        ck_assert_msg(result->end == EXPLORER_EXHAUSTED, "%s",
                      result->sentence ? result->sentence
                                       : explorer_end_name(result->end));
        ck_assert_msg(
            result->states == states && result->transitions == transitions &&
                result->depth == depth,
            "%s: %" PRIu64 " states, %" PRIu64 " transitions, depth %" PRIu32,
            name, result->states, result->transitions, result->depth);
        explored_free(explored);
    }
}

/* V1 to V11 */
TEST(two_servers_and_their_views_up_to_2)
{
    check_exhausted("views2", true, 125029, 1746533, 29);
}

/* V1 to V11, with a third server */
TEST(three_servers_and_their_views)
{
    check_exhausted("views3", true, 30097, 316231, 16);
    check_exhausted("views3-on", true, 2624, 19730, 14);
    check_exhausted("views3-crash", true, 7638, 58313, 14);
}

/* V11 */
TEST(the_view_service_goes_on_from_its_record)
{
    check_exhausted("view-restart", true, 5519, 42058, 19);
}

/* T1 to T4: operations during a transfer in small chunks */
TEST(operations_during_a_transfer)
{
    check_exhausted("transfer", true, 61376, 825664, 31);
}

/* P4: reads of a primary that does not know that it was replaced */
TEST(a_deposed_primary_is_asked)
{
    check_exhausted("stale-read", true, 125537, 1365027, 29);
}

/* P2, P3 */
TEST(a_forward_arrives_four_views_later)
{
    check_exhausted("stale-forward", true, 4322, 60437, 21);
}

/* T5 */
TEST(an_acknowledgement_of_a_transfer_arrives_two_views_later)
{
    check_exhausted("stale-ack", true, 115440, 999546, 34);
}

/* P1, P3, P4, P6 */
TEST(one_client_over_primary_and_backup)
{
    check_exhausted("one-client", true, 201272, 1896020, 42);
}

/* P3, P6: requests and forwards in any order */
TEST(two_clients_append_to_one_key)
{
    check_exhausted("two-clients", false, 17232, 114662, 27);
}

/* P3, P6: one message a turn */
TEST(two_clients_append_twice)
{
    check_exhausted("two-clients-2", false, 295388, 2471814, 39);
}

/* P2, P4, P5, P6 */
TEST(failover_while_an_operation_is_under_way)
{
    check_exhausted("failover-op", false, 40766, 318782, 22);
}

/* T1 to T5, with a deposed primary that does not know it */
TEST(failover_with_a_state_transfer)
{
    check_exhausted("failover-transfer", false, 69116, 825984, 29);
}

/* V3's exception */
TEST(the_backup_dies_during_the_transfer)
{
    check_exhausted("backup-dies", true, 25880, 181036, 26);
}

TEST(two_failovers_back_to_the_first_server)
{
    check_exhausted("two-failovers", false, 17523, 238750, 21);
}

/* Numbers of messages and states differ from run to run; what is found does
 * not. */
TEST(one_thread_and_two_find_the_same_path)
{
    static const struct explorer_rule finished[] = {
        {"finished", goal_finished, UINT32_MAX, 0, NULL},
        {NULL, NULL, 0, 0, NULL}};
    char texts[2][65536];

    for (uint32_t i = 0; i < 2; i++) {
        struct explored *explored =
            explore("failover-transfer", 1 + i, true, false);
        FILE *file = fmemopen(texts[i], sizeof(texts[i]), "w");

        ck_assert(file);
        explorer_result_release(&explored->result);
        explored->search.goals = finished;
        explored->result = explorer_run(explored->explorer, &explored->search);
        ck_assert_int_eq(explored->result.end, EXPLORER_GOAL);
        explorer_save(explored->explorer, &explored->result.path, "x", file);
        fclose(file);
        explored_free(explored);
    }
    ck_assert_str_eq(texts[0], texts[1]);
}

/* … and searches of one explorer do not see each other's switches. */
TEST(short_turns_leave_out_what_comes_during_a_turn)
{
    struct explored *all = explore("two-clients", 1, true, false);
    struct explorer_result few, again;

    ck_assert(!all->search.short_turns);
    all->search.short_turns = true;
    few = explorer_run(all->explorer, &all->search);
    ck_assert_int_eq(few.end, EXPLORER_EXHAUSTED);
    ck_assert_uint_eq(all->result.states, 17232);
    ck_assert_uint_eq(few.states, 7594);
    all->search.short_turns = false;
    again = explorer_run(all->explorer, &all->search);
    ck_assert_uint_eq(again.states, 17232);
    explorer_result_release(&few);
    explorer_result_release(&again);
    explored_free(all);
}

/* A handler is a function of its arguments: running it each time changes
 * nothing. */
TEST(without_the_memo_the_counts_are_the_same)
{
    struct explored *with = explore("two-clients", 1, true, false);
    struct explored *without = explore("two-clients", 2, false, false);

    ck_assert_uint_eq(with->result.states, without->result.states);
    ck_assert_uint_eq(with->result.transitions, without->result.transitions);
    ck_assert_uint_eq(with->result.successors, without->result.successors);
    ck_assert_uint_eq(with->result.depth, without->result.depth);
    ck_assert_uint_ge(without->result.handlers, without->result.transitions);
    ck_assert_uint_lt(20 * with->result.handlers, with->result.transitions);
    explored_free(with);
    explored_free(without);
}

/* Each state that is left looks up the steps of each node. */
TEST(one_use_of_the_memo_in_64_is_run_again)
{
    struct explored *explored = explore("two-clients", 1, true, false);
    const struct explorer_result *result = &explored->result;
    uint64_t uses = (result->states - result->pruned) * explored->system.count;

    ck_assert_uint_ge(result->checks, result->handlers + uses / 64 / 2);
    ck_assert_uint_le(result->checks, result->handlers + uses);
    explored_free(explored);
}

/* ---- A server that answers before the backup has the operation (P4) ---- */

/* The real server with another handler for messages. Rules of the explorer know
 * a server by its type's name, so it keeps its struct and borrows the type. */
static const struct node_type *real_type;
static const struct node_type eager_type;

static struct node *eager_begin(const struct node *node)
{
    union {
        const struct node *in;
        struct node *out;
    } cast = {.in = node};

    cast.out->type = real_type;
    return cast.out;
}

static void eager_end(struct node *node)
{
    node->type = &eager_type;
}

static struct node *eager_birth(const void *context, const struct peer *self,
                                const struct bytes *record)
{
    struct server_config config = *(const struct server_config *)context;
    struct node *node;

    ck_assert(!record);
    config.self = *self;
    node = server_new(&config);
    real_type = node->type;
    eager_end(node);
    return node;
}

static void eager_on_start(struct node *node, struct env *env)
{
    real_type->on_start(eager_begin(node), env);
    eager_end(node);
}

static void eager_on_message(struct node *node, struct env *env,
                             const struct peer *from, const Pbkv__Body *body)
{
    struct server *server = (struct server *)eager_begin(node);

    real_type->on_message(node, env, from, body);
    if (server_is_serving(server) && server->committed < server->state.op)
        server_commit(server, env, server->state.op);
    eager_end(node);
}

static void eager_on_timer(struct node *node, struct env *env, unsigned slot)
{
    real_type->on_timer(eager_begin(node), env, slot);
    eager_end(node);
}

static struct node *eager_clone(const struct node *node)
{
    struct node *copy = real_type->clone(eager_begin(node));

    eager_end(eager_begin(node));
    eager_end(copy);
    return copy;
}

static void eager_release(struct node *node)
{
    real_type->release(eager_begin(node));
}

static void eager_describe(const struct node *node, struct sink *sink)
{
    struct node *real = eager_begin(node);

    real_type->describe(real, sink);
    eager_end(real);
}

static void eager_check(const struct node *node)
{
    struct node *real = eager_begin(node);

    real_type->check(real);
    eager_end(real);
}

static const struct node_type eager_type = {
    .name = "kv server",
    .on_start = eager_on_start,
    .on_message = eager_on_message,
    .on_timer = eager_on_timer,
    .clone = eager_clone,
    .release = eager_release,
    .describe = eager_describe,
    .check = eager_check,
};

static struct explored *explore_eager(uint64_t walks)
{
    struct explored *explored = memory_new(sizeof(*explored));

    explored->plan = *system_plan_named("failover-op");
    explored->plan.stages[1].goal = NULL; /* never under way: from view 2 on */
    explored->plan.stages[1].views = 3;
    explored->plan.stages[1].pings_off = false;
    explored->plan.stages[1].cycles_off = false;
    explored->plan.stage_count = 2;
    explored->search.threads = 1;
    system_init(&explored->system, &explored->plan);
    for (uint32_t i = 1; i <= 2; i++)
        explored->system.nodes[i].birth = eager_birth;
    explored->explorer =
        explorer_new(explored->system.nodes, explored->system.count, true, 64);
    ck_assert_msg(system_go_to_last_stage(&explored->system, explored->explorer,
                                          &explored->search, &explored->result),
                  "%s", explorer_end_name(explored->result.end));
    explored->search.walks = walks;
    explored->search.depth = walks > 0 ? 150 : 0;
    explored->search.seed = 1;
    explored->result = explorer_run(explored->explorer, &explored->search);
    return explored;
}

TEST(an_answer_before_the_backup_has_it_is_found)
{
    struct explored *explored = explore_eager(0);

    ck_assert_int_eq(explored->result.end, EXPLORER_VIOLATION);
    ck_assert(strstr(explored->result.sentence, "lost"));
    explored_free(explored);
}

/* Random walks find it, too, in a long path, of which little is needed. */
TEST(a_random_path_is_made_as_short_as_can_be)
{
    struct explored *explored = explore_eager(200000);
    size_t before = explored->result.path.count;

    ck_assert_int_eq(explored->result.end, EXPLORER_VIOLATION);
    explorer_minimise(explored->explorer, &explored->search,
                      &explored->result.path);
    ck_assert_uint_lt(explored->result.path.count, before);
    ck_assert_uint_le(explored->result.path.count, 30);
    explored_free(explored);
}

/* A file has the whole way, and leads to the same violation elsewhere. */
TEST(a_path_is_saved_and_gone_again)
{
    struct explored *explored = explore_eager(0);
    struct explorer *other;
    struct explorer_path path;
    const char *sentence;
    uint32_t line;
    FILE *file = tmpfile();

    ck_assert(file);
    ck_assert_int_eq(explorer_save(explored->explorer, &explored->result.path,
                                   "failover-op", file),
                     0);
    rewind(file);
    other =
        explorer_new(explored->system.nodes, explored->system.count, true, 0);
    ck_assert_int_eq(explorer_load(other, file, &path, &line), 0);
    sentence = explorer_replay(other, &explored->search, &path, NULL);
    ck_assert(sentence && strcmp(sentence, explored->result.sentence) == 0);
    fclose(file);
    free(path.events);
    explorer_free(other);
    explored_free(explored);
}

/* Two runtimes, one file, one sentence. The roles that are not wrong go the
 * same way without a violation. */
TEST(a_saved_path_plays_in_the_world)
{
    struct explored *explored = explore_eager(0);
    struct replay_result result;
    struct system sound;
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);

    ck_assert(file);
    explorer_whole_path(explored->explorer, &explored->result.path);
    explorer_minimise(explored->explorer, &explored->search,
                      &explored->result.path);
    explorer_save(explored->explorer, &explored->result.path, "failover-op",
                  file);
    fclose(file);
    ck_assert_ptr_eq(replay_plan(text), system_plan_named("failover-op"));
    ck_assert_int_eq(replay_play(&explored->system, text, &result), 0);
    ck_assert_msg(result.sentence &&
                      strcmp(result.sentence, explored->result.sentence) == 0,
                  "%s", result.sentence);
    ck_assert_uint_eq(result.played, explored->result.path.count);
    ck_assert_uint_eq(result.left_out, 0);
    system_init(&sound, system_plan_named("failover-op"));
    ck_assert_int_eq(replay_play(&sound, text, &result), 0);
    ck_assert_msg(!result.sentence, "%s", result.sentence);
    ck_assert_uint_gt(result.played, 10);
    free(text);
    explored_free(explored);
}

TEST(a_line_that_is_no_event_is_named)
{
    struct replay_result result;
    struct system system;

    system_init(&system, system_plan_named("views2"));
    ck_assert_ptr_null(replay_plan("# nothing\n\n"));
    ck_assert_ptr_null(replay_plan("timer view 0\nsystem views2\n"));
    ck_assert_ptr_null(replay_plan("system nonsense\n"));
    ck_assert_int_eq(replay_play(&system,
                                 "system views2\ntimer view 0\ntimer s9 0\n",
                                 &result),
                     -EBADMSG);
    ck_assert_uint_eq(result.line, 3);
    ck_assert_int_eq(replay_play(&system, "deliver s1 1 view 0 zz", &result),
                     -EBADMSG);
    ck_assert_int_eq(
        replay_play(&system, "timer view 0\ntimer view 3\n", &result), 0);
    ck_assert_uint_eq(result.played, 1);
    ck_assert_uint_eq(result.left_out, 1);
}

SUITE("explorer", CASE(independent_nodes_give_the_product_of_their_states),
      CASE(a_later_timer_is_early_only_if_it_is_shorter),
      CASE(a_crash_ends_a_life_and_the_next_one_begins_anew),
      CASE(limits_are_reported_honestly),
      FAILING_CASES CASE(a_role_that_remembers_outside_its_state_is_found_out),
      CASE(a_clone_that_shares_with_its_original_is_found_out),
      CASE(a_role_that_changes_later_is_found_out),
      CASE_LIMIT(one_use_of_the_memo_in_64_is_run_again, 60),
      CASE(equal_octets_get_equal_numbers_and_others_do_not),
      CASE(histories_respect_real_time),
      CASE_LIMIT(two_servers_and_their_views_up_to_2, 60),
      CASE_LIMIT(three_servers_and_their_views, 60),
      CASE_LIMIT(the_view_service_goes_on_from_its_record, 60),
      CASE_LIMIT(operations_during_a_transfer, 60),
      CASE_LIMIT(a_deposed_primary_is_asked, 60),
      CASE_LIMIT(a_forward_arrives_four_views_later, 60),
      CASE_LIMIT(an_acknowledgement_of_a_transfer_arrives_two_views_later, 60),
      CASE_LIMIT(one_client_over_primary_and_backup, 60),
      CASE_LIMIT(two_clients_append_to_one_key, 60),
      CASE_LIMIT(two_clients_append_twice, 120),
      CASE(short_turns_leave_out_what_comes_during_a_turn),
      CASE_LIMIT(failover_while_an_operation_is_under_way, 60),
      CASE_LIMIT(failover_with_a_state_transfer, 60),
      CASE_LIMIT(the_backup_dies_during_the_transfer, 60),
      CASE_LIMIT(two_failovers_back_to_the_first_server, 60),
      CASE_LIMIT(one_thread_and_two_find_the_same_path, 60),
      CASE_LIMIT(without_the_memo_the_counts_are_the_same, 60),
      CASE_LIMIT(an_answer_before_the_backup_has_it_is_found, 60),
      CASE_LIMIT(a_random_path_is_made_as_short_as_can_be, 60),
      CASE_LIMIT(a_path_is_saved_and_gone_again, 60),
      CASE_LIMIT(a_saved_path_plays_in_the_world, 60),
      CASE(a_line_that_is_no_event_is_named))
