/* SPDX-License-Identifier: MIT */
/*
 * Tests of the contract between roles and runtimes: byte strings, the effects
 * of an event, descriptions and their digests, views, and the calls that give a
 * node its events.
 */
#include <errno.h>
#include <signal.h>

#include "node/memory.h"
#include "node/message.h"
#include "node/node.h"
#include "node/random.h"
#include "tests/suite.h"

/* ---- Bytes ---- */

TEST(bytes_are_a_copy)
{
    char source[] = "abc";
    struct bytes *bytes = bytes_new(source, 3);
    struct bytes *empty = bytes_new(NULL, 0);

    source[0] = 'x';
    ck_assert_uint_eq(bytes->length, 3);
    ck_assert_mem_eq(bytes->data, "abc", 3);
    ck_assert_uint_eq(empty->length, 0);
    bytes_release(bytes);
    bytes_release(empty);
}

TEST(the_last_reference_frees)
{
    struct bytes *bytes = bytes_new("abc", 3);

    ck_assert_ptr_eq(bytes_share(bytes), bytes);
    bytes_release(bytes);
    ck_assert_uint_eq(bytes->references, 1);
    bytes_release(bytes); /* the address sanitizer sees if this is not all */
    ck_assert_ptr_null(bytes_share(NULL));
    bytes_release(NULL);
}

TEST(bytes_are_compared_by_length_and_octets)
{
    struct bytes *a = bytes_new("a\0b", 3);
    struct bytes *same = bytes_new("a\0b", 3);
    struct bytes *other = bytes_new("a\0c", 3);
    struct bytes *shorter = bytes_new("a\0", 2);

    ck_assert(bytes_equal(a, same));
    ck_assert(!bytes_equal(a, other));
    ck_assert(!bytes_equal(a, shorter));
    bytes_release(a);
    bytes_release(same);
    bytes_release(other);
    bytes_release(shorter);
}

TEST(concatenation_leaves_its_parts_alone)
{
    struct bytes *first = bytes_new("ab", 2);
    struct bytes *both = bytes_concat(first, "cd", 2);
    struct bytes *same = bytes_concat(first, NULL, 0);

    ck_assert_uint_eq(both->length, 4);
    ck_assert_mem_eq(both->data, "abcd", 4);
    ck_assert(bytes_equal(first, same));
    ck_assert_ptr_ne(first, same);
    bytes_release(first);
    bytes_release(both);
    bytes_release(same);
}

TEST(memory_is_zeroed_and_never_null)
{
    unsigned char *memory = memory_new(1000);
    char *text = memory_copy_text("text");

    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(memory[i], 0);
    memory = memory_resize(memory, 2000);
    ck_assert_uint_eq(memory[999], 0);
    ck_assert_str_eq(text, "text");
    free(memory);
    free(text);
    free(memory_new(0));
}

/* docs/decisions.md: a process without memory ends. Sanitizers end it in a way
 * of their own. */
#ifdef SUITE_SANITIZED
#define MEMORY_CASE
#else
#define MEMORY_CASE CASE_SIGNAL(exhausted_memory_ends_the_process, SIGABRT),
TEST(exhausted_memory_ends_the_process)
{
    volatile size_t much = SIZE_MAX / 2;

    memory_new(much);
}
#endif

/* ---- Effects ---- */

static void ping(struct env *env, const struct peer *to, uint64_t view)
{
    Pbkv__Ping message = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    message.view = view;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &message;
    env_send(env, to, &body);
}

TEST(effects_are_kept_in_their_order)
{
    struct env env;
    struct peer to = peer_at("host:1", 3);
    struct bytes *record = bytes_new("record", 6);

    env_init(&env);
    env_persist(&env, record);
    ping(&env, &to, 7);
    env_set_timer(&env, 2, 10, 20);
    env_stop_timer(&env, 3);
    env_log(&env, LOG_LEVEL_INFO, "view.adopted", "view %d", 7);
    ck_assert_uint_eq(env.count, 5);
    ck_assert_int_eq(env.effects[0].kind, EFFECT_PERSIST);
    ck_assert_ptr_eq(env.effects[0].persist.record, record);
    ck_assert_int_eq(env.effects[1].kind, EFFECT_SEND);
    ck_assert(peer_equal(&env.effects[1].send.to, &to));
    ck_assert_int_eq(env.effects[1].send.what, PBKV__BODY__KIND_PING);
    ck_assert_int_eq(env.effects[2].kind, EFFECT_SET_TIMER);
    ck_assert_uint_eq(env.effects[2].timer.slot, 2);
    ck_assert_uint_eq(env.effects[2].timer.min_ms, 10);
    ck_assert_uint_eq(env.effects[2].timer.max_ms, 20);
    ck_assert_int_eq(env.effects[3].kind, EFFECT_STOP_TIMER);
    ck_assert_uint_eq(env.effects[3].timer.slot, 3);
    ck_assert_int_eq(env.effects[4].kind, EFFECT_LOG);
    ck_assert_str_eq(env.effects[4].log.name, "view.adopted");
    ck_assert_str_eq(env.effects[4].log.detail, "view 7");
    ck_assert_uint_eq(record->references, 2);
    env_clear(&env);
    ck_assert_uint_eq(record->references, 1);
    ck_assert_uint_eq(env.count, 0);
    bytes_release(record);
    env_release(&env);
}

/* A message is encoded before env_send returns: its sender keeps nothing. */
TEST(a_sent_message_is_encoded_at_once)
{
    struct env env;
    struct arena arena;
    struct peer to = peer_at("host:1", 0);
    Pbkv__Ping message = PBKV__PING__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Body *decoded;
    const struct bytes *sent;

    env_init(&env);
    arena_init(&arena);
    message.view = 7;
    body.kind_case = PBKV__BODY__KIND_PING;
    body.ping = &message;
    env_send(&env, &to, &body);
    env_answer(&env, 9, &body);
    message.view = 8;
    sent = env.effects[0].send.body;
    ck_assert_int_eq(message_decode(&arena, sent->data, sent->length, &decoded),
                     0);
    ck_assert_uint_eq(decoded->ping->view, 7);
    ck_assert_int_eq(env.effects[1].kind, EFFECT_ANSWER);
    ck_assert_uint_eq(env.effects[1].answer.call, 9);
    ck_assert_uint_eq(env.effects[1].answer.body->ping->view, 7);
    arena_release(&arena);
    env_release(&env);
}

TEST(an_encoded_message_is_shared)
{
    struct env env;
    struct peer to = peer_at("host:1", 0);
    struct bytes *body = bytes_new("encoded", 7);

    env_init(&env);
    env_send_encoded(&env, &to, PBKV__BODY__KIND_ECHO, body);
    env_send_encoded(&env, &to, PBKV__BODY__KIND_ECHO, body);
    ck_assert_uint_eq(body->references, 3);
    env_release(&env);
    ck_assert_uint_eq(body->references, 1);
    bytes_release(body);
}

/* The memory of a body is used again unless somebody else holds it. */
TEST(a_body_that_is_shared_outlives_its_event)
{
    struct env env;
    struct peer to = peer_at("host:1", 0);
    Pbkv__Reply message = PBKV__REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    struct bytes *kept, *as_sent;
    const struct bytes *free_again;

    env_init(&env);
    message.call = 1;
    message.status = PBKV__STATUS__OK;
    body.kind_case = PBKV__BODY__KIND_REPLY;
    body.reply = &message;
    env_send(&env, &to, &body);
    env_send(&env, &to, &body);
    kept = bytes_share(env.effects[0].send.body);
    as_sent = bytes_new(kept->data, kept->length);
    free_again = env.effects[1].send.body;
    env_clear(&env);
    message.call = 2;
    env_send(&env, &to, &body);
    env_send(&env, &to, &body);
    ck_assert_ptr_eq(env.effects[0].send.body, free_again);
    ck_assert_ptr_ne(env.effects[1].send.body, kept);
    ck_assert(bytes_equal(kept, as_sent));
    ck_assert(!bytes_equal(kept, env.effects[1].send.body));
    bytes_release(as_sent);
    bytes_release(kept);
    env_release(&env);
}

TEST(an_env_is_used_again_and_again)
{
    struct env env;
    struct peer to = peer_at("host:1", 0);

    env_init(&env);
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < round * 7; i++)
            ping(&env, &to, i);
        ck_assert_uint_eq(env.count, round * 7);
        env_clear(&env);
    }
    env_release(&env);
    ck_assert_ptr_null(env.effects);
}

TEST(events_are_counted_by_name)
{
    struct env env;

    env_init(&env);
    env_log(&env, LOG_LEVEL_DEBUG, "forward.gap", "op %d", 1);
    env_log(&env, LOG_LEVEL_DEBUG, "forward.gap", "op %d", 2);
    env_log(&env, LOG_LEVEL_WARN, "forward.full", "op %d", 3);
    env_stop_timer(&env, 0);
    ck_assert_uint_eq(env_count_events(&env, "forward.gap"), 2);
    ck_assert_uint_eq(env_count_events(&env, "forward.full"), 1);
    ck_assert_uint_eq(env_count_events(&env, "forward"), 0);
    env_release(&env);
}

/* Details below the level of an env are not formatted; events still count. */
TEST(details_are_formatted_only_when_wanted)
{
    struct env env;
    char text[2 * EVENT_DETAIL_MAX];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    env_init(&env);
    env.log_level = LOG_LEVEL_INFO;
    env_log(&env, LOG_LEVEL_DEBUG, "ping.stale", "%s", "detail");
    env_log(&env, LOG_LEVEL_INFO, "ping.stale", "%s", text);
    env_log(&env, LOG_LEVEL_WARN, "ping.stale", "%s", "");
    ck_assert_uint_eq(env_count_events(&env, "ping.stale"), 3);
    ck_assert_ptr_null(env.effects[0].log.detail);
    ck_assert_uint_eq(strlen(env.effects[1].log.detail), EVENT_DETAIL_MAX - 1);
    ck_assert_ptr_null(env.effects[2].log.detail);
    env_release(&env);
}

TEST(a_message_to_nobody_asserts)
{
    struct env env;
    struct peer nobody = {0};

    env_init(&env);
    ping(&env, &nobody, 1);
}

TEST(a_timer_slot_that_does_not_exist_asserts)
{
    struct env env;

    env_init(&env);
    env_set_timer(&env, TIMERS_MAX, 1, 1);
}

/* What message_check refuses is never sent. */
TEST(sending_a_message_that_means_nothing_asserts)
{
    struct env env;
    struct peer to = peer_at("host:1", 0);
    Pbkv__Body body = PBKV__BODY__INIT;

    env_init(&env);
    env_send(&env, &to, &body);
}

/* ---- Descriptions ---- */

static void describe_some(struct sink *sink, uint64_t number)
{
    sink_u64(sink, "number", number);
    sink_open(sink, "group");
    sink_bool(sink, "bool", true);
    sink_text(sink, "text", "a b");
    sink_octets(sink, "octets", "\0\\\x7f", 3);
    sink_close(sink);
    sink_octets(sink, "none", NULL, 0);
}

TEST(a_description_reads_as_lines)
{
    struct sink sink;

    sink_init(&sink, SINK_TEXT);
    describe_some(&sink, 7);
    ck_assert_str_eq(sink.buffer, "number: 7\n"
                                  "group: \n"
                                  "  bool: 1\n"
                                  "  text: a b\n"
                                  "  octets: \\x00\\x5c\\x7f\n"
                                  "none: \n");
    sink_clear(&sink);
    ck_assert_str_eq(sink.buffer, "");
    sink_u64(&sink, "number", UINT64_MAX);
    ck_assert_str_eq(sink.buffer, "number: 18446744073709551615\n");
    sink_release(&sink);
}

static struct digest digest_of(uint64_t number)
{
    struct sink sink;
    struct digest digest;

    sink_init(&sink, SINK_CANONICAL);
    describe_some(&sink, number);
    digest = sink_digest(&sink);
    sink_release(&sink);
    return digest;
}

TEST(equal_descriptions_have_equal_digests)
{
    struct digest one = digest_of(1), same = digest_of(1), two = digest_of(2);

    ck_assert(digest_equal(&one, &same));
    ck_assert(!digest_equal(&one, &two));
}

/* The canonical form is exact: fields cannot run into each other. */
TEST(different_descriptions_never_have_the_same_octets)
{
    enum { FORMS = 10 };
    struct sink sinks[FORMS];

    for (size_t i = 0; i < FORMS; i++)
        sink_init(&sinks[i], SINK_CANONICAL);
    sink_text(&sinks[0], "a", "bc");
    sink_text(&sinks[1], "ab", "c");
    sink_text(&sinks[2], "a", "b");
    sink_text(&sinks[2], "", "c");
    sink_octets(&sinks[3], "a", "bc\0", 3);
    sink_u64(&sinks[4], "a", 1);
    sink_open(&sinks[5], "a");
    sink_u64(&sinks[6], "a", 256);
    sink_open(&sinks[7], "a");
    sink_close(&sinks[7]);
    sink_u64(&sinks[8], "a", 1);
    sink_u64(&sinks[8], "a", 1);
    sink_octets(&sinks[9], "a", "\1\0\0\0\0\0\0\0", 8);
    for (size_t i = 0; i < FORMS; i++) {
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(sinks[i].length != sinks[j].length ||
                              memcmp(sinks[i].buffer, sinks[j].buffer,
                                     sinks[i].length) != 0,
                          "%zu and %zu", i, j);
    }
    for (size_t i = 0; i < FORMS; i++)
        sink_release(&sinks[i]);
}

TEST(the_first_difference_is_one_line_of_each)
{
    struct sink a, b;
    char *difference;

    sink_init(&a, SINK_TEXT);
    sink_init(&b, SINK_TEXT);
    ck_assert_ptr_null(sink_first_difference(&a, &b));
    sink_u64(&a, "same", 1);
    sink_u64(&b, "same", 1);
    ck_assert_ptr_null(sink_first_difference(&a, &b));
    sink_u64(&a, "number", 1);
    sink_u64(&b, "number", 12);
    sink_u64(&a, "after", 1);
    difference = sink_first_difference(&a, &b);
    ck_assert_str_eq(difference, "- number: 1\n+ number: 12\n");
    free(difference);
    sink_clear(&b);
    sink_u64(&b, "same", 1);
    difference = sink_first_difference(&a, &b); /* one has lines left */
    ck_assert_str_eq(difference, "- number: 1\n+ \n");
    free(difference);
    difference = sink_first_difference(&b, &a);
    ck_assert_str_eq(difference, "- \n+ number: 1\n");
    free(difference);
    sink_release(&a);
    sink_release(&b);
}

TEST(an_empty_description_has_a_digest)
{
    struct sink sink;
    struct digest empty, some = digest_of(1);

    sink_init(&sink, SINK_CANONICAL);
    empty = sink_digest(&sink);
    ck_assert(!digest_equal(&empty, &some));
    sink_release(&sink);
}

/* ---- Addresses, peers, views ---- */

TEST(an_address_is_printable_and_bounded)
{
    struct address address;
    char text[ADDRESS_MAX + 2];

    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(address_init(&address, text, 0), -EINVAL);
    ck_assert_int_eq(address_init(&address, text, ADDRESS_MAX + 1), -EINVAL);
    ck_assert_int_eq(address_init(&address, text, ADDRESS_MAX), 0);
    ck_assert_uint_eq(address.length, ADDRESS_MAX);
    ck_assert_uint_eq(strlen(address.text), ADDRESS_MAX);
    ck_assert_int_eq(address_init(&address, "a b", 3), -EINVAL);
    ck_assert_int_eq(address_init(&address, "a\0b", 3), -EINVAL);
    for (size_t length = 1; length <= 17; length++) {
        for (size_t place = 0; place < length; place++) {
            for (int octet = 0; octet < 256; octet++) {
                bool good = octet > ' ' && octet <= '~';

                memset(text, 'a', length);
                text[place] = (char)octet;
                ck_assert_int_eq(address_init(&address, text, length),
                                 good ? 0 : -EINVAL);
            }
        }
    }
    ck_assert_int_eq(address_init(&address, "a\x7f", 2), -EINVAL);
    ck_assert_int_eq(address_init(&address, "\xc3\xa4", 2), -EINVAL);
    ck_assert_int_eq(address_init(&address, "unix:/~!", 8), 0);
}

/* V8: identity is address plus incarnation. */
TEST(peers_are_lives_of_processes)
{
    struct peer a = peer_at("host:1", 1), again = peer_at("host:1", 1);
    struct peer later = peer_at("host:1", 2), other = peer_at("host:12", 1);
    struct peer nobody = {0};
    char text[PEER_TEXT_MAX];

    ck_assert(peer_equal(&a, &again));
    ck_assert(!peer_equal(&a, &later));
    ck_assert(!peer_equal(&a, &other));
    ck_assert(!peer_equal(&a, &nobody));
    ck_assert(peer_is_present(&a));
    ck_assert(!peer_is_present(&nobody));
    ck_assert(address_equal(&a.address, &later.address));
    ck_assert(!address_equal(&a.address, &other.address));
    ck_assert_str_eq(peer_format(&later, text), "host:1/2");
    ck_assert_str_eq(peer_format(&nobody, text), "none");
}

TEST(the_longest_peer_fits_its_text)
{
    char address[ADDRESS_MAX + 1];
    char text[PEER_TEXT_MAX];
    struct peer peer;

    memset(address, 'x', ADDRESS_MAX);
    address[ADDRESS_MAX] = '\0';
    peer = peer_at(address, UINT64_MAX);
    peer_format(&peer, text);
    ck_assert_uint_eq(strlen(text), ADDRESS_MAX + 1 + 20);
}

TEST(a_view_survives_being_a_message)
{
    struct view view = {
        .number = 3,
        .primary = peer_at("a:1", 1),
        .backup = peer_at("b:1", UINT64_MAX),
    };
    struct view single = {.number = 1, .primary = peer_at("a:1", 1)};
    struct view copy;
    struct view_message message;

    view_to_message(&view, &message);
    ck_assert_int_eq(view_from_message(&message.view, &copy), 0);
    ck_assert(view_equal(&view, &copy));
    view_to_message(&single, &message);
    ck_assert_int_eq(view_from_message(&message.view, &copy), 0);
    ck_assert(view_equal(&single, &copy));
    ck_assert(!view_equal(&view, &copy));
    ck_assert(!peer_is_present(&copy.backup));
    ck_assert_int_eq(view_from_message(NULL, &copy), 0);
    ck_assert_uint_eq(copy.number, 0);
}

TEST(a_view_with_a_bad_address_is_refused)
{
    struct view view = {.number = 3, .primary = peer_at("a:1", 1)};
    struct view copy;
    struct view_message message;
    uint8_t bad[] = "a b";

    view_to_message(&view, &message);
    message.backup.address.data = bad;
    message.backup.address.len = 3;
    ck_assert_int_eq(view_from_message(&message.view, &copy), -EINVAL);
    message.primary.address = message.backup.address;
    ck_assert_int_eq(view_from_message(&message.view, &copy), -EINVAL);
}

/* A peer without an address is absent, whatever its incarnation says. */
TEST(an_absent_peer_has_no_incarnation)
{
    Pbkv__Peer message = PBKV__PEER__INIT;
    struct peer peer = peer_at("a:1", 1);
    struct peer nobody = {0};

    message.incarnation = 5;
    ck_assert_int_eq(peer_from_message(&message, &peer), 0);
    ck_assert(peer_equal(&peer, &nobody));
    peer = peer_at("a:1", 1);
    ck_assert_int_eq(peer_from_message(NULL, &peer), 0);
    ck_assert(peer_equal(&peer, &nobody));
}

/* Every field of a view is in its description. */
TEST(a_view_describes_all_its_fields)
{
    struct view views[6];
    struct sink sinks[6];

    for (size_t i = 0; i < 6; i++) {
        views[i] = (struct view){
            .number = 3,
            .primary = peer_at("a:1", 1),
            .backup = peer_at("b:1", 1),
        };
    }
    views[1].number = 4;
    views[2].primary.incarnation = 2;
    views[3].backup.incarnation = 2;
    views[4].primary = peer_at("c:1", 1);
    views[5].backup = (struct peer){0};
    for (size_t i = 0; i < 6; i++) {
        sink_init(&sinks[i], SINK_TEXT);
        view_describe(&views[i], "view", &sinks[i]);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(sinks[i].buffer, sinks[j].buffer);
            ck_assert(!view_equal(&views[i], &views[j]));
        }
    }
    for (size_t i = 0; i < 6; i++)
        sink_release(&sinks[i]);
}

/* ---- Nodes ---- */

/* A role that counts its events and breaks its invariant at the third. */
struct counter {
    struct node node;
    uint64_t events;
    bool *released;
};

static void count_start(struct node *node, struct env *env)
{
    ((struct counter *)node)->events++;
    env_set_timer(env, 0, 1, 1);
}

static void count_message(struct node *node, struct env *env,
                          const struct peer *from, const Pbkv__Body *body)
{
    ((struct counter *)node)->events++;
    message_answer_echo(env, from, body->echo);
}

static void count_timer(struct node *node, struct env *env, unsigned slot)
{
    ((struct counter *)node)->events++;
    env_stop_timer(env, slot);
}

static void count_release(struct node *node)
{
    *((struct counter *)node)->released = true;
}

static void count_describe(const struct node *node, struct sink *sink)
{
    sink_u64(sink, "events", ((const struct counter *)node)->events);
}

static void count_check(const struct node *node)
{
    if (((const struct counter *)node)->events > 3)
        abort();
}

static const struct node_type counter_type = {
    .name = "counter",
    .on_start = count_start,
    .on_message = count_message,
    .on_timer = count_timer,
    .release = count_release,
    .describe = count_describe,
    .check = count_check,
};

/* Starts a counter and gives it events until there are count. */
static void run_counter(struct counter *counter, struct env *env,
                        unsigned count)
{
    struct peer from = peer_at("client:1", 1);
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    counter->node.type = &counter_type;
    echo.call = 4;
    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    node_start(&counter->node, env);
    node_message(&counter->node, env, &from, &body);
    while (counter->events < count)
        node_timer(&counter->node, env, 5);
}

TEST(a_node_gets_its_events_through_its_type)
{
    bool released = false;
    struct counter counter = {.released = &released};
    struct digest before, after;
    struct env env;

    env_init(&env);
    counter.node.type = &counter_type;
    before = node_digest(&counter.node);
    run_counter(&counter, &env, 3);
    after = node_digest(&counter.node);
    ck_assert_uint_eq(counter.events, 3);
    ck_assert(!digest_equal(&before, &after));
    ck_assert_uint_eq(env.count, 3);
    ck_assert_int_eq(env.effects[1].send.what, PBKV__BODY__KIND_ECHO_REPLY);
    ck_assert_uint_eq(env.effects[2].timer.slot, 5);
    node_release(&counter.node);
    ck_assert(released);
    node_release(NULL);
    env_release(&env);
}

/* A broken invariant is found at the event that broke it. */
TEST(every_event_ends_with_a_check)
{
    bool released = false;
    struct counter counter = {.released = &released};
    struct env env;

    env_init(&env);
    run_counter(&counter, &env, 4);
}

/* ---- Random numbers ---- */

TEST(random_numbers_repeat_with_their_seed)
{
    uint64_t one = 1, again = 1, two = 2;
    uint64_t seen = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t number = random_next(&one);
        uint32_t between;

        ck_assert_uint_eq(number, random_next(&again));
        ck_assert_uint_ne(number, random_next(&two));
        between = random_between(&one, 10, 13);
        ck_assert_uint_eq(between, random_between(&again, 10, 13));
        random_between(&two, 10, 13);
        ck_assert_uint_ge(between, 10);
        ck_assert_uint_le(between, 13);
        seen |= (uint64_t)1 << (between - 10);
    }
    ck_assert_uint_eq(seen, 15);
    ck_assert_uint_eq(random_between(&one, 7, 7), 7);
    random_between(&one, 0, UINT32_MAX);
    for (unsigned i = 0; i < 1000; i++) {
        double fraction = random_fraction(&one);

        ck_assert(fraction >= 0 && fraction < 1);
    }
}

SUITE("node", MEMORY_CASE CASE(bytes_are_a_copy),
      CASE(the_last_reference_frees),
      CASE(bytes_are_compared_by_length_and_octets),
      CASE(concatenation_leaves_its_parts_alone),
      CASE(memory_is_zeroed_and_never_null),
      CASE(effects_are_kept_in_their_order),
      CASE(a_sent_message_is_encoded_at_once),
      CASE(an_encoded_message_is_shared),
      CASE(a_body_that_is_shared_outlives_its_event),
      CASE(an_env_is_used_again_and_again), CASE(events_are_counted_by_name),
      CASE(details_are_formatted_only_when_wanted),
      CASE_SIGNAL(a_message_to_nobody_asserts, SIGABRT),
      CASE_SIGNAL(a_timer_slot_that_does_not_exist_asserts, SIGABRT),
      CASE_SIGNAL(sending_a_message_that_means_nothing_asserts, SIGABRT),
      CASE(a_description_reads_as_lines),
      CASE(equal_descriptions_have_equal_digests),
      CASE(different_descriptions_never_have_the_same_octets),
      CASE(the_first_difference_is_one_line_of_each),
      CASE(an_empty_description_has_a_digest),
      CASE(an_address_is_printable_and_bounded),
      CASE(peers_are_lives_of_processes), CASE(the_longest_peer_fits_its_text),
      CASE(a_view_survives_being_a_message),
      CASE(a_view_with_a_bad_address_is_refused),
      CASE(an_absent_peer_has_no_incarnation),
      CASE(a_view_describes_all_its_fields),
      CASE(a_node_gets_its_events_through_its_type),
      CASE_SIGNAL(every_event_ends_with_a_check, SIGABRT),
      CASE(random_numbers_repeat_with_their_seed))
