/* SPDX-License-Identifier: MIT */
/*
 * How messages travel in the explorer: in a set, in a bag, in order; with and
 * without a budget of losses. One node writes letters when it starts, another
 * notes the order in which it reads them, so that the states can be counted by
 * hand. Last, real roles over links that keep the order.
 */
#include <inttypes.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer.h"
#include "sim/explorer_systems.h"
#include "tests/suite.h"

enum { READ_MAX = 8 };

/* ---- Toys: a writer and a reader ---- */

struct letters {
    struct node node;
    const char *text; /* of the writer */
    char read[READ_MAX + 1];
};

static void letters_on_start(struct node *node, struct env *env)
{
    const struct letters *letters = (const struct letters *)node;
    struct peer reader = peer_at("reader", 0);

    for (const char *letter = letters->text; *letter; letter++) {
        Pbkv__Echo echo = PBKV__ECHO__INIT;
        Pbkv__Body body = PBKV__BODY__INIT;

        echo.call = (uint8_t)*letter;
        body.kind_case = PBKV__BODY__KIND_ECHO;
        body.echo = &echo;
        env_send(env, &reader, &body);
    }
}

/* Reads every letter once. */
static void letters_on_message(struct node *node, struct env *env,
                               const struct peer *from, const Pbkv__Body *body)
{
    struct letters *letters = (struct letters *)node;
    size_t length = strlen(letters->read);

    ck_assert(env && peer_is_present(from));
    ck_assert_int_eq(body->kind_case, PBKV__BODY__KIND_ECHO);
    if (length < READ_MAX && !strchr(letters->read, (int)body->echo->call))
        letters->read[length] = (char)body->echo->call;
}

static void letters_on_timer(struct node *node, struct env *env, unsigned slot)
{
    ck_abort_msg("%s: no timer %u was set", env ? node->type->name : "", slot);
}

static struct node *letters_clone(const struct node *node)
{
    struct letters *copy = memory_new(sizeof(*copy));

    *copy = *(const struct letters *)node;
    return &copy->node;
}

static void letters_release(struct node *node)
{
    free(node);
}

static void letters_describe(const struct node *node, struct sink *sink)
{
    sink_text(sink, "read", ((const struct letters *)node)->read);
}

static void letters_check(const struct node *node)
{
    ck_assert(((const struct letters *)node)->text);
}

static const struct node_type letters_type = {
    .name = "letters",
    .on_start = letters_on_start,
    .on_message = letters_on_message,
    .on_timer = letters_on_timer,
    .clone = letters_clone,
    .release = letters_release,
    .describe = letters_describe,
    .check = letters_check,
};

static struct node *letters_birth(const void *context, const struct peer *self,
                                  const struct bytes *record)
{
    struct letters *letters = memory_new(sizeof(*letters));

    ck_assert(peer_is_present(self) && !record);
    letters->node.type = &letters_type;
    letters->text = context;
    return &letters->node;
}

/* Returns how many states there are when these letters are written. */
static uint64_t count(const char *text, enum explorer_network network,
                      uint32_t losses)
{
    struct explorer_node nodes[2] = {
        {.address = "reader", .birth = letters_birth, .context = ""},
        {.address = "writer", .birth = letters_birth, .context = text},
    };
    struct explorer_search search = {.threads = 1, .loss_budget = losses};
    struct explorer *explorer = explorer_new(nodes, 2, true, 1);
    struct explorer_result result;

    explorer_set_network(explorer, network);
    result = explorer_run(explorer, &search);
    ck_assert_int_eq(result.end, EXPLORER_EXHAUSTED);
    explorer_result_release(&result);
    explorer_free(explorer);
    return result.states;
}

/* "", a, b, ab, ba: a letter may be late, or never come. */
TEST(in_a_set_messages_come_in_any_order)
{
    ck_assert_uint_eq(count("ab", EXPLORER_SET, 0), 5);
    ck_assert_uint_eq(count("aa", EXPLORER_SET, 0), 2);
}

/* "", a, b, ab, ba; and of two equal letters, first one, then the other. */
TEST(in_a_bag_a_message_comes_once)
{
    ck_assert_uint_eq(count("ab", EXPLORER_BAG, 0), 5);
    ck_assert_uint_eq(count("aa", EXPLORER_BAG, 0), 3);
}

/* "", a, ab, abc. */
TEST(in_order_there_is_one_way)
{
    ck_assert_uint_eq(count("abc", EXPLORER_FIFO, 0), 4);
    ck_assert_uint_eq(count("aba", EXPLORER_FIFO, 0), 4);
}

/* Read, with what is still on its way and how many were lost:
 * in order    |ab  a|b  ab|  and after a loss  |b  b|  a|
 * in a bag    |ab  a|b  b|a  ab|  ba|  and     |a  |b  a|  b| */
TEST(losses_are_events_within_a_budget)
{
    ck_assert_uint_eq(count("ab", EXPLORER_FIFO, 1), 6);
    ck_assert_uint_eq(count("ab", EXPLORER_BAG, 1), 9);
    ck_assert_uint_eq(count("ab", EXPLORER_FIFO, 2), 7);
    ck_assert_uint_eq(count("ab", EXPLORER_SET, 2), 5);
}

/* ---- The real roles ---- */

struct finding {
    enum explorer_end end;
    uint64_t states;
    uint64_t transitions;
    uint32_t depth;
};

static struct finding explore(const char *name, enum explorer_network network,
                              uint32_t losses, uint32_t threads)
{
    struct system system;
    struct explorer *explorer;
    struct explorer_search search = {.threads = threads};
    struct explorer_result result;

    system_init(&system, system_plan_named(name));
    explorer = explorer_new(system.nodes, system.count, true, 64);
    explorer_set_network(explorer, network);
    ck_assert(system_go_to_last_stage(&system, explorer, &search, &result));
    search.loss_budget = losses;
    search.queue = 4;
    result = explorer_run(explorer, &search);
    explorer_result_release(&result);
    explorer_free(explorer);
    return (struct finding){result.end, result.states, result.transitions,
                            result.depth};
}

/* P3, P4, P6: over connections that keep the order and lose one message. */
TEST(two_clients_over_links_that_keep_the_order)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct finding found =
            explore("two-clients", EXPLORER_FIFO, 1, threads);

        ck_assert_int_eq(found.end, EXPLORER_EXHAUSTED);
        ck_assert_msg(found.states == 6286 && found.transitions == 14448 &&
                          found.depth == 29,
                      "%" PRIu64 " states, %" PRIu64
                      " transitions, depth %" PRIu32,
                      found.states, found.transitions, found.depth);
    }
}

SUITE("explorer_network", CASE(in_a_set_messages_come_in_any_order),
      CASE(in_a_bag_a_message_comes_once), CASE(in_order_there_is_one_way),
      CASE(losses_are_events_within_a_budget),
      CASE_LIMIT(two_clients_over_links_that_keep_the_order, 60))
