/* SPDX-License-Identifier: MIT */
/*
 * Tests of rpc/rpc.h with honest peers: the life of a loop, conversations
 * between two of them over real sockets, timers, durable records, and the
 * sockets they leave behind. Dishonest peers are in test_rpc_wire.c.
 *
 * The system chooses all ports; Unix sockets and files lie in a directory that
 * each test makes and removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clocks/verify.h"
#include "node/memory.h"
#include "node/message.h"
#include "rpc/address.h"
#include "tests/probe.h"
#include "tests/raw_peer.h"
#include "tests/suite.h"

static void join_path(char to[PROBE_PATH_SIZE + 32], const char *prefix,
                      const char *directory, const char *name)
{
    snprintf(to, PROBE_PATH_SIZE + 32, "%s%s/%s", prefix, directory, name);
}

/* ---- Life --------------------------------------------------------------- */

TEST(a_stop_before_the_loop_runs_is_not_lost)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    ck_assert_int_eq(runner_open(&a), 0);
    rpc_stop(a.rpc);
    rpc_stop(a.rpc);
    ck_assert_int_eq(rpc_run(a.rpc), 0);
    runner_end(&a);
}

TEST(another_thread_stops_the_loop)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_go(&a);
    runner_await(&a, "probe.start", 1);
    rpc_stop(a.rpc);
    ck_assert_int_eq(runner_join(&a), 0);
    runner_end(&a);
}

struct tally {
    int run;
    int cleaned;
};

static void tally_post(void *argument, struct node *node, struct env *env)
{
    struct tally *tally = argument;

    ck_assert((node == NULL) == (env == NULL));
    if (node != NULL)
        tally->run++;
    else
        tally->cleaned++;
}

TEST(functions_posted_before_the_stop_run_and_later_ones_are_refused)
{
    struct runner a;
    struct tally tally = {0};

    runner_init(&a, "a", "127.0.0.1:0");
    ck_assert_int_eq(runner_open(&a), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(rpc_post(a.rpc, tally_post, &tally), 0);
    rpc_stop(a.rpc);
    ck_assert_int_eq(rpc_post(a.rpc, tally_post, &tally), -ESHUTDOWN);
    ck_assert_int_eq(rpc_run(a.rpc), 0);
    ck_assert_int_eq(tally.run, 100);
    runner_end(&a);
    ck_assert_int_eq(tally.cleaned, 0);
}

TEST(functions_that_never_ran_are_told_so_when_the_loop_is_freed)
{
    struct runner a;
    struct tally tally = {0};
    bool released = false;

    runner_init(&a, "a", "127.0.0.1:0");
    a.probe->released = &released;
    ck_assert_int_eq(runner_open(&a), 0);
    ck_assert_int_eq(rpc_post(a.rpc, tally_post, &tally), 0);
    runner_end(&a);
    ck_assert_int_eq(tally.run, 0);
    ck_assert_int_eq(tally.cleaned, 1);
    ck_assert(released);
}

enum { LINKS = 10 };

/* A function that posts itself again from the loop's thread. */
struct chain {
    struct rpc *rpc;
    struct tally tally;
    int refused;
};

static void run_link(void *argument, struct node *node, struct env *env)
{
    struct chain *chain = argument;

    tally_post(&chain->tally, node, env);
    if (chain->tally.run == LINKS)
        rpc_stop(chain->rpc);
    chain->refused += rpc_post_here(chain->rpc, run_link, chain) < 0;
}

/* One by one, so that the sockets get their turn; the last one is accepted
 * before the loop has heard of the stop, and is told that it never ran. */
TEST(a_function_posted_in_the_loop_may_post_another)
{
    struct runner a;
    struct chain chain = {0};

    runner_init(&a, "a", "127.0.0.1:0");
    ck_assert_int_eq(runner_open(&a), 0);
    chain.rpc = a.rpc;
    ck_assert_int_eq(rpc_post(a.rpc, run_link, &chain), 0);
    ck_assert_int_eq(rpc_run(a.rpc), 0);
    runner_end(&a);
    ck_assert_int_eq(chain.tally.run, LINKS);
    ck_assert_int_eq(chain.tally.cleaned, 1);
    ck_assert_int_eq(chain.refused, 1);
}

static void die(void *argument, struct node *node, struct env *env)
{
    const struct peer *to = argument;
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Echo echo = PBKV__ECHO__INIT;

    if (node == NULL)
        return;
    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    env_send(env, to, &body);
    env_log(env, LOG_LEVEL_FATAL, "probe.dying", "%s", "");
    env_log(env, LOG_LEVEL_INFO, "probe.undead", "%s", "");
}

TEST(a_fatal_event_stops_the_loop_after_the_effects_before_it)
{
    struct runner a, b;
    struct tally tally = {0};

    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "127.0.0.1:0");
    runner_go(&b);
    runner_go(&a);
    runner_echo(&a, &b.self, 1, 1);
    runner_await(&a, "answer", 1);
    ck_assert_int_eq(rpc_post(a.rpc, die, &b.self), 0);
    ck_assert_int_eq(runner_join(&a), -ECANCELED);
    runner_await(&b, "probe.echo", 2);
    ck_assert_int_eq(rpc_post(a.rpc, tally_post, &tally), -ESHUTDOWN);
    ck_assert_uint_eq(rpc_count(a.rpc, "probe.dying"), 1);
    ck_assert_uint_eq(rpc_count(a.rpc, "probe.undead"), 0);
    runner_end(&a);
    runner_end(&b);
}

static void log_fatal(struct env *env)
{
    env_log(env, LOG_LEVEL_FATAL, "probe.dying", "%s", "");
}

TEST(a_node_that_dies_at_its_start_never_enters_the_loop)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    a.probe->at_start = log_fatal;
    ck_assert_int_eq(runner_open(&a), 0);
    ck_assert_int_eq(rpc_run(a.rpc), -ECANCELED);
    runner_end(&a);
}

TEST(a_signal_stops_the_loop)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    ck_assert_int_eq(runner_open(&a), 0);
    ck_assert_int_eq(rpc_stop_on_signals(a.rpc), 0);
    ck_assert_int_eq(raise(SIGTERM), 0);
    ck_assert_int_eq(rpc_run(a.rpc), 0);
    runner_end(&a);
}

TEST(incarnations_only_rise)
{
    uint64_t before = rpc_new_incarnation();

    for (int i = 0; i < 10000; i++) {
        uint64_t next = rpc_new_incarnation();

        ck_assert_uint_gt(next, before);
        before = next;
    }
}

/* ---- Configuration ------------------------------------------------------ */

static void expect_refusal(const char *name, const char *listen, int error)
{
    struct runner a;

    runner_init(&a, name, "127.0.0.1:0");
    a.config.listen = listen;
    ck_assert_int_eq(runner_open(&a), error);
    runner_end(&a);
}

TEST(a_bad_configuration_is_refused_and_leaves_the_node_alone)
{
    expect_refusal("a", "nonsense", -EINVAL);
    expect_refusal("a", "client:12", -EINVAL);
    expect_refusal("a", "127.0.0.1:70000", -EINVAL);
    expect_refusal("a", "", -EINVAL);
    expect_refusal("a b", "127.0.0.1:0", -EINVAL);
    expect_refusal("a\"", "127.0.0.1:0", -EINVAL);
    expect_refusal("a", "unix:/nowhere/at/all/socket", -ENOENT);
}

TEST(a_trace_that_cannot_be_opened_is_refused)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    a.config.trace_path = "/nowhere/at/all/trace";
    ck_assert_int_eq(runner_open(&a), -ENOENT);
    runner_end(&a);
}

TEST(the_port_that_the_system_chose_becomes_our_address)
{
    struct runner a;
    struct address_parts parts;

    runner_init(&a, "a", "127.0.0.1:0");
    ck_assert_int_eq(runner_open(&a), 0);
    ck_assert_int_eq(address_split(&a.self.address, &parts), 0);
    ck_assert_uint_ne(parts.port, 0);
    ck_assert_str_eq(rpc_listen_address(a.rpc).text, a.self.address.text);
    runner_end(&a);
}

TEST(a_port_in_use_is_refused)
{
    struct runner a, b;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_go(&a);
    runner_init(&b, "b", a.self.address.text);
    ck_assert_int_eq(runner_open(&b), -EADDRINUSE);
    runner_end(&b);
    runner_end(&a);
}

TEST(ten_thousand_connections_are_allowed_by_default)
{
    struct rpc_config config = rpc_config_default();

    ck_assert_uint_eq(config.limits.connections, 10000);
}

/* ---- Unix sockets ------------------------------------------------------- */

TEST(a_unix_socket_in_use_is_refused_and_survives)
{
    struct runner a, b, c;
    char directory[PROBE_PATH_SIZE];
    char address[PROBE_PATH_SIZE + 32];

    directory_make(directory);
    join_path(address, "unix:", directory, "socket");
    runner_init(&a, "a", address);
    runner_go(&a);
    runner_init(&b, "b", address);
    ck_assert_int_eq(runner_open(&b), -EADDRINUSE);
    runner_init(&c, "c", "client:c");
    runner_go(&c);
    runner_echo(&c, &a.self, 1, 1);
    runner_await(&c, "answer", 1);
    runner_end(&c);
    runner_end(&b);
    runner_end(&a);
    ck_assert_int_eq(access(address + 5, F_OK), -1);
    directory_remove(directory);
}

TEST(a_stale_unix_socket_is_replaced)
{
    struct runner a;
    char directory[PROBE_PATH_SIZE];
    char address[PROBE_PATH_SIZE + 32];
    struct address text;
    struct endpoint endpoint;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    directory_make(directory);
    join_path(address, "unix:", directory, "socket");
    ck_assert_int_eq(address_init(&text, address, strlen(address)), 0);
    ck_assert_int_eq(address_resolve(&text, true, 0, &endpoint), 0);
    ck_assert_int_eq(bind(fd, &endpoint.socket.any, endpoint.length), 0);
    close(fd);
    ck_assert_int_eq(access(address + 5, F_OK), 0);
    runner_init(&a, "a", address);
    runner_go(&a);
    runner_echo(&a, &a.self, 1, 1);
    runner_await(&a, "answer", 1);
    runner_end(&a);
    directory_remove(directory);
}

TEST(a_file_that_is_not_a_socket_is_never_removed)
{
    struct runner a;
    char directory[PROBE_PATH_SIZE];
    char address[PROBE_PATH_SIZE + 32];
    int fd;

    directory_make(directory);
    join_path(address, "unix:", directory, "precious");
    fd = open(address + 5, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    runner_init(&a, "a", address);
    ck_assert_int_eq(runner_open(&a), -EADDRINUSE);
    runner_end(&a);
    ck_assert_int_eq(access(address + 5, F_OK), 0);
    directory_remove(directory);
}

TEST(the_socket_of_a_successor_is_left_alone)
{
    struct runner a, b;
    char directory[PROBE_PATH_SIZE];
    char address[PROBE_PATH_SIZE + 32];

    directory_make(directory);
    join_path(address, "unix:", directory, "socket");
    runner_init(&a, "a", address);
    runner_go(&a);
    ck_assert_int_eq(unlink(address + 5), 0);
    runner_init(&b, "b", address);
    runner_go(&b);
    runner_end(&a);
    ck_assert_int_eq(access(address + 5, F_OK), 0);
    runner_end(&b);
    ck_assert_int_eq(access(address + 5, F_OK), -1);
    directory_remove(directory);
}

/* ---- Conversations ------------------------------------------------------ */

TEST(two_loops_talk_over_tcp)
{
    struct runner a, b;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "127.0.0.1:0");
    runner_go(&a);
    runner_go(&b);
    runner_echo(&a, &b.self, 500, 100);
    runner_echo(&b, &a.self, 500, 100);
    runner_await(&a, "answer", 500);
    runner_await(&b, "answer", 500);
    runner_await(&a, "probe.echo", 500);
    ck_assert_uint_eq(runner_count(&a, "rpc.frames_in"), 1000);
    ck_assert_uint_eq(runner_count(&a, "rpc.frames_out"), 1000);
    runner_end(&a);
    runner_end(&b);
}

TEST(two_loops_talk_over_ipv6)
{
    struct runner a, b;

    runner_init(&a, "a", "[::1]:0");
    runner_init(&b, "b", "client:b");
    if (runner_open(&a) == -EADDRNOTAVAIL) {
        runner_end(&a); /* a machine without IPv6 */
        runner_end(&b);
        return;
    }
    runner_start(&a);
    runner_go(&b);
    runner_echo(&b, &a.self, 3, 10);
    runner_await(&b, "answer", 3);
    runner_end(&a);
    runner_end(&b);
}

TEST(a_host_is_found_by_its_name)
{
    struct runner a, b;
    struct address_parts parts;
    char text[32];
    struct peer to;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "client:b");
    runner_go(&a);
    runner_go(&b);
    ck_assert_int_eq(address_split(&a.self.address, &parts), 0);
    snprintf(text, sizeof(text), "localhost:%u", (unsigned)parts.port);
    to = peer_at(text, 0);
    runner_echo(&b, &to, 3, 10);
    runner_await(&b, "answer", 3);
    runner_end(&a);
    runner_end(&b);
}

TEST(the_largest_messages_get_through)
{
    struct runner a, b;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "client:b");
    runner_go(&a);
    runner_go(&b);
    runner_echo(&b, &a.self, 20, VALUE_LIMIT);
    runner_await(&b, "answer", 20);
    ck_assert_uint_eq(runner_count(&a, "rpc.input_held"), 0);
    ck_assert_uint_eq(runner_count(&a, "rpc.output_held"), 0);
    runner_end(&a);
    runner_end(&b);
}

TEST(a_message_to_oneself_arrives)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_go(&a);
    runner_echo(&a, &a.self, 10, 10);
    runner_await(&a, "answer", 10);
    runner_end(&a);
}

TEST(a_client_that_nobody_can_dial_gets_its_answer)
{
    struct runner server, client;

    runner_init(&server, "s", "127.0.0.1:0");
    runner_init(&client, "c", "client:99");
    runner_go(&server);
    runner_go(&client);
    runner_echo(&client, &server.self, 5, 10);
    runner_await(&client, "answer", 5);
    ck_assert_uint_eq(runner_count(&server, "rpc.dialled"), 0);
    runner_end(&client);
    runner_end(&server);
}

TEST(a_message_to_a_client_that_has_gone_is_lost)
{
    struct runner server;
    struct peer nobody = peer_at("client:1", 0);

    runner_init(&server, "s", "127.0.0.1:0");
    runner_go(&server);
    runner_echo(&server, &nobody, 1, 1);
    runner_await(&server, "send.nowhere", 1);
    runner_end(&server);
}

TEST(a_peer_that_comes_back_at_its_address_is_found_again)
{
    struct runner a, b;
    struct peer to;

    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "127.0.0.1:0");
    runner_go(&a);
    runner_go(&b);
    to = peer_at(b.self.address.text, 0);
    runner_echo(&a, &to, 1, 1);
    runner_await(&a, "answer", 1);
    runner_end(&b);
    /* The connection's end and the message can meet: send until one fails. */
    while (runner_recorded(&a, "peer.unreachable") == 0) {
        runner_echo(&a, &to, 1, 1);
        runner_count(&a, "rpc.connections");
    }
    runner_echo(&a, &to, 1, 1);
    runner_init(&b, "b", to.address.text);
    runner_go(&b);
    runner_await(&a, "peer.reachable", 1);
    runner_await(&a, "answer", 2);
    runner_end(&a);
    runner_end(&b);
}

TEST(a_frame_for_another_life_is_dropped_and_the_connection_kept)
{
    struct runner a, b;
    struct peer older;

    runner_init(&a, "a", "client:a");
    runner_init(&b, "b", "127.0.0.1:0");
    runner_go(&a);
    runner_go(&b);
    older = b.self;
    older.incarnation--;
    runner_echo(&a, &older, 1, 1);
    runner_echo(&a, &b.self, 1, 1);
    runner_await(&a, "answer", 1);
    ck_assert_uint_eq(runner_count(&b, "frame.misaddressed"), 1);
    ck_assert_uint_eq(runner_count(&b, "probe.echo"), 1);
    ck_assert_uint_eq(runner_count(&b, "rpc.accepted"), 1);
    runner_end(&a);
    runner_end(&b);
}

TEST(frames_wait_only_within_the_output_limit)
{
    struct runner a;
    struct peer nobody;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in bound = {.sin_family = AF_INET};
    socklen_t length = sizeof(bound);
    char text[32];

    /* A bound port on which nobody listens refuses for as long as it lives. */
    bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&bound, sizeof(bound)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&bound, &length), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u",
             (unsigned)ntohs(bound.sin_port));
    nobody = peer_at(text, 0);
    runner_init(&a, "a", "client:a");
    a.config.limits.connection_output = 10000;
    runner_go(&a);
    runner_echo(&a, &nobody, 100, 1000);
    runner_await(&a, "send.overflow", 85);
    ck_assert_uint_lt(runner_count(&a, "rpc.output_held"), 20000);
    runner_await(&a, "peer.unreachable", 1);
    runner_end(&a);
    close(fd);
}

enum { ENTRIES = 20000 };

/* A page of the shortest entries: no message of ours takes more memory for its
 * length. */
static void answer_densely(void *argument, struct node *node, struct env *env)
{
    Pbkv__Body body = PBKV__BODY__INIT;
    Pbkv__Page page = PBKV__PAGE__INIT;
    Pbkv__Entry *entries = memory_new(ENTRIES * sizeof(*entries));
    Pbkv__Entry **pointers = memory_new(ENTRIES * sizeof(*pointers));

    (void)argument;
    for (size_t i = 0; i < ENTRIES; i++) {
        pbkv__entry__init(&entries[i]);
        entries[i].modified = 1;
        pointers[i] = &entries[i];
    }
    body.kind_case = PBKV__BODY__KIND_PAGE;
    body.page = &page;
    page.n_entries = ENTRIES;
    page.entries = pointers;
    if (node != NULL)
        env_answer(env, 1, &body);
    free(entries);
    free(pointers);
}

TEST(an_answer_arrives_however_dense_it_is)
{
    struct runner a;

    runner_init(&a, "a", "client:a");
    runner_go(&a);
    ck_assert_int_eq(rpc_post(a.rpc, answer_densely, NULL), 0);
    runner_await(&a, "answer", 1);
    runner_end(&a);
}

/* ---- Timers ------------------------------------------------------------- */

static void set_timers(struct env *env)
{
    env_set_timer(env, 3, 90, 90);
    env_set_timer(env, 1, 30, 30);
    env_set_timer(env, 0, 1, 1);
    env_set_timer(env, 2, 60, 60);
    env_set_timer(env, 4, 10, 10);
    env_stop_timer(env, 4);
    env_stop_timer(env, 5);
    env_set_timer(env, 6, 20, 20);
    env_set_timer(env, 6, 120, 120);
}

TEST(timers_fire_once_and_in_order)
{
    struct runner a;

    runner_init(&a, "a", "client:a");
    a.probe->at_start = set_timers;
    runner_go(&a);
    runner_await(&a, "probe.timer6", 1);
    ck_assert_uint_eq(runner_recorded(&a, "probe.timer4"), 0);
    ck_assert_str_eq(a.recorder.order, "01236");
    runner_end(&a);
}

static void set_timers_without_delay(struct env *env)
{
    env_set_timer(env, 3, 1, 1);
    env_set_timer(env, 2, 0, 0);
    env_set_timer(env, 1, 0, 0);
    env_set_timer(env, 0, 0, 0);
    env_stop_timer(env, 0);
    env_set_timer(env, 2, 30, 30);
}

/* Stopped, or set anew with a delay, it does not fire at the end of the turn.
 */
TEST(timers_without_delay_fire_at_the_end_of_the_turn)
{
    struct runner a;

    runner_init(&a, "a", "client:a");
    a.probe->at_start = set_timers_without_delay;
    runner_go(&a);
    runner_await(&a, "probe.timer2", 1);
    ck_assert_uint_eq(runner_recorded(&a, "probe.timer0"), 0);
    ck_assert_uint_eq(runner_recorded(&a, "probe.timer1"), 1);
    ck_assert_uint_eq(runner_recorded(&a, "probe.timer3"), 1);
    runner_end(&a);
}

static void set_one_timer(struct env *env)
{
    env_set_timer(env, 0, 50, 60);
}

TEST(timers_are_stretched_by_the_scale)
{
    struct runner a;
    struct timespec before, after;
    double elapsed_ms;

    runner_init(&a, "a", "client:a");
    a.probe->at_start = set_one_timer;
    a.config.timer_scale_percent = 400;
    clock_gettime(CLOCK_MONOTONIC, &before);
    runner_go(&a);
    runner_await(&a, "probe.timer0", 1);
    clock_gettime(CLOCK_MONOTONIC, &after);
    elapsed_ms = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                 (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    ck_assert_double_ge(elapsed_ms, 190);
    runner_end(&a);
}

/* ---- Durable records ---------------------------------------------------- */

static void persist_text(struct env *env, const char *text)
{
    struct bytes *record = bytes_new(text, strlen(text));

    env_persist(env, record);
    bytes_release(record);
}

static void persist_twice(struct env *env)
{
    persist_text(env, "first record, which is longer");
    persist_text(env, "second record");
    env_log(env, LOG_LEVEL_INFO, "probe.persisted", "%s", "");
}

/* V11 */
TEST(a_record_is_on_disk_before_the_next_effect)
{
    struct runner a;
    char directory[PROBE_PATH_SIZE];
    char path[PROBE_PATH_SIZE + 32];
    struct bytes *record = NULL;

    directory_make(directory);
    join_path(path, "", directory, "state");
    ck_assert_int_eq(rpc_read_record(path, &record), 0);
    ck_assert_ptr_null(record);
    runner_init(&a, "a", "client:a");
    a.config.persist_path = path;
    a.probe->at_start = persist_twice;
    runner_go(&a);
    runner_await(&a, "probe.persisted", 1);
    ck_assert_int_eq(rpc_read_record(path, &record), 0);
    ck_assert_uint_eq(record->length, strlen("second record"));
    ck_assert_mem_eq(record->data, "second record", record->length);
    bytes_release(record);
    runner_end(&a);
    directory_remove(directory);
}

/* V11 */
TEST(a_record_that_cannot_be_written_stops_the_loop_before_later_effects)
{
    struct runner a;

    runner_init(&a, "a", "client:a");
    a.config.persist_path = "/nowhere/at/all/state";
    a.probe->at_start = persist_twice;
    ck_assert_int_eq(runner_open(&a), 0);
    ck_assert_int_eq(rpc_run(a.rpc), -ENOENT);
    ck_assert_uint_eq(rpc_count(a.rpc, "persist.failed"), 1);
    ck_assert_uint_eq(rpc_count(a.rpc, "probe.persisted"), 0);
    runner_end(&a);
}

/* V11 */
TEST(a_failed_write_leaves_the_old_record)
{
    struct runner a;
    char directory[PROBE_PATH_SIZE];
    char path[PROBE_PATH_SIZE + 32];
    char obstacle[PROBE_PATH_SIZE + 32];
    struct bytes *record = NULL;
    int fd;

    directory_make(directory);
    join_path(path, "", directory, "state");
    join_path(obstacle, "", directory, "state.tmp");
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "old", 3), 3);
    close(fd);
    ck_assert_int_eq(mkdir(obstacle, 0700), 0);
    runner_init(&a, "a", "client:a");
    a.config.persist_path = path;
    a.probe->at_start = persist_twice;
    ck_assert_int_eq(runner_open(&a), 0);
    ck_assert_int_eq(rpc_run(a.rpc), -EISDIR);
    ck_assert_int_eq(rpc_read_record(path, &record), 0);
    ck_assert_uint_eq(record->length, 3);
    bytes_release(record);
    runner_end(&a);
    ck_assert_int_eq(rmdir(obstacle), 0);
    directory_remove(directory);
}

TEST(a_directory_is_no_record)
{
    struct bytes *record = NULL;

    ck_assert_int_eq(rpc_read_record("/", &record), -EINVAL);
    ck_assert_ptr_null(record);
}

/* ---- Traces ------------------------------------------------------------- */

static void report_broken(void *context, const char *rule, const char *file,
                          uint64_t line, const char *sentence)
{
    (void)context;
    fprintf(stderr, "%s:%llu: %s: %s\n", file, (unsigned long long)line, rule,
            sentence);
}

static struct verify_summary verify(const char *path)
{
    struct verify_summary summary = {0};
    struct verifier *verifier = verifier_new();

    ck_assert_int_eq(verifier_add_file(verifier, path), 0);
    verifier_run(verifier, report_broken, NULL, &summary);
    verifier_free(verifier);
    return summary;
}

/* K1, K2, K3 */
TEST(the_trace_of_a_conversation_is_right)
{
    struct runner a, b, c;
    char directory[PROBE_PATH_SIZE];
    char path[PROBE_PATH_SIZE + 32];
    struct verify_summary summary;

    directory_make(directory);
    join_path(path, "", directory, "trace");
    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "127.0.0.1:0");
    runner_init(&c, "c", "client:c");
    a.config.trace_path = b.config.trace_path = c.config.trace_path = path;
    runner_go(&a);
    runner_go(&b);
    runner_go(&c);
    for (int i = 0; i < 5; i++) {
        runner_echo(&a, &b.self, 10, 10);
        runner_echo(&b, &a.self, 10, 10);
        runner_echo(&c, &a.self, 10, 10);
    }
    runner_await(&a, "answer", 50);
    runner_await(&b, "answer", 50);
    runner_await(&c, "answer", 50);
    runner_end(&a);
    runner_end(&b);
    runner_end(&c);
    summary = verify(path);
    ck_assert_uint_eq(summary.broken, 0);
    ck_assert_uint_eq(summary.hosts, 3);
    ck_assert_uint_eq(summary.receipts, 300);
    ck_assert_uint_eq(summary.receipts_matched, 300);
    directory_remove(directory);
}

/* K1, K2, K3 */
TEST(the_trace_of_a_faulty_network_is_right)
{
    struct runner a, b;
    char directory[PROBE_PATH_SIZE];
    char path[PROBE_PATH_SIZE + 32];
    const char *reason = NULL;
    struct verify_summary summary;

    directory_make(directory);
    join_path(path, "", directory, "trace");
    runner_init(&a, "a", "127.0.0.1:0");
    runner_init(&b, "b", "127.0.0.1:0");
    a.config.trace_path = b.config.trace_path = path;
    ck_assert_int_eq(faults_parse("drop=0.2,dup=0.2,delay=0-9ms,seed=3",
                                  &a.config.faults, &reason),
                     0);
    runner_go(&a);
    runner_go(&b);
    runner_echo(&a, &b.self, 200, 10);
    runner_await(&a, "answer", 150);
    ck_assert_uint_gt(runner_count(&a, "fault.drop"), 10);
    ck_assert_uint_gt(runner_count(&a, "fault.dup"), 10);
    runner_end(&a);
    runner_end(&b);
    summary = verify(path);
    ck_assert_uint_eq(summary.broken, 0);
    ck_assert_uint_eq(summary.receipts, summary.receipts_matched);
    directory_remove(directory);
}

TEST(a_trace_that_fails_is_given_up_and_the_node_goes_on)
{
    struct runner a;

    runner_init(&a, "a", "127.0.0.1:0");
    a.config.trace_path = "/dev/full";
    runner_go(&a);
    runner_await(&a, "trace.failed", 1);
    runner_echo(&a, &a.self, 10, 10);
    runner_await(&a, "answer", 10);
    ck_assert_uint_eq(runner_recorded(&a, "trace.failed"), 1);
    runner_end(&a);
}

/* ---- Faults ------------------------------------------------------------- */

static void converse_with_faults(struct runner *a, struct runner *b,
                                 const char *faults)
{
    const char *reason = NULL;

    runner_init(a, "a", "client:a");
    runner_init(b, "b", "127.0.0.1:0");
    ck_assert_int_eq(faults_parse(faults, &a->config.faults, &reason), 0);
    runner_go(a);
    runner_go(b);
    runner_echo(a, &b->self, 50, 10);
}

TEST(a_network_that_drops_everything_delivers_nothing)
{
    struct runner a, b;

    converse_with_faults(&a, &b, "drop=1");
    ck_assert_uint_eq(runner_count(&a, "fault.drop"), 50);
    ck_assert_uint_eq(runner_count(&a, "rpc.frames_out"), 0);
    ck_assert_uint_eq(runner_count(&a, "rpc.dialled"), 0);
    runner_end(&a);
    runner_end(&b);
}

TEST(a_network_that_doubles_everything_delivers_twice)
{
    struct runner a, b;

    converse_with_faults(&a, &b, "dup=1");
    runner_await(&b, "probe.echo", 100);
    runner_await(&a, "answer", 100);
    ck_assert_uint_eq(runner_count(&a, "rpc.frames_out"), 100);
    runner_end(&a);
    runner_end(&b);
}

TEST(delayed_messages_arrive_all_the_same)
{
    struct runner a, b;

    converse_with_faults(&a, &b, "delay=1-30ms");
    runner_await(&a, "answer", 50);
    runner_end(&a);
    runner_end(&b);
}

TEST(messages_still_held_back_are_freed_with_the_loop)
{
    struct runner a, b;

    converse_with_faults(&a, &b, "delay=60000ms,dup=1");
    ck_assert_uint_gt(runner_count(&a, "rpc.output_held"), 0);
    runner_end(&a);
    runner_end(&b);
}

SUITE("rpc", CASE(a_stop_before_the_loop_runs_is_not_lost),
      CASE(another_thread_stops_the_loop),
      CASE(functions_posted_before_the_stop_run_and_later_ones_are_refused),
      CASE(functions_that_never_ran_are_told_so_when_the_loop_is_freed),
      CASE(a_function_posted_in_the_loop_may_post_another),
      CASE(a_fatal_event_stops_the_loop_after_the_effects_before_it),
      CASE(a_node_that_dies_at_its_start_never_enters_the_loop),
      CASE(a_signal_stops_the_loop), CASE(incarnations_only_rise),
      CASE(a_bad_configuration_is_refused_and_leaves_the_node_alone),
      CASE(a_trace_that_cannot_be_opened_is_refused),
      CASE(the_port_that_the_system_chose_becomes_our_address),
      CASE(a_port_in_use_is_refused),
      CASE(ten_thousand_connections_are_allowed_by_default),
      CASE(a_unix_socket_in_use_is_refused_and_survives),
      CASE(a_stale_unix_socket_is_replaced),
      CASE(a_file_that_is_not_a_socket_is_never_removed),
      CASE(the_socket_of_a_successor_is_left_alone),
      CASE_LIMIT(two_loops_talk_over_tcp, 30), CASE(two_loops_talk_over_ipv6),
      CASE(a_host_is_found_by_its_name),
      CASE_LIMIT(the_largest_messages_get_through, 30),
      CASE(a_message_to_oneself_arrives),
      CASE(a_client_that_nobody_can_dial_gets_its_answer),
      CASE(a_message_to_a_client_that_has_gone_is_lost),
      CASE_LIMIT(a_peer_that_comes_back_at_its_address_is_found_again, 30),
      CASE(a_frame_for_another_life_is_dropped_and_the_connection_kept),
      CASE(frames_wait_only_within_the_output_limit),
      CASE(an_answer_arrives_however_dense_it_is),
      CASE(timers_fire_once_and_in_order),
      CASE(timers_without_delay_fire_at_the_end_of_the_turn),
      CASE(timers_are_stretched_by_the_scale),
      CASE(a_record_is_on_disk_before_the_next_effect),
      CASE(a_record_that_cannot_be_written_stops_the_loop_before_later_effects),
      CASE(a_failed_write_leaves_the_old_record),
      CASE(a_directory_is_no_record),
      CASE_LIMIT(the_trace_of_a_conversation_is_right, 30),
      CASE_LIMIT(the_trace_of_a_faulty_network_is_right, 30),
      CASE(a_trace_that_fails_is_given_up_and_the_node_goes_on),
      CASE(a_network_that_drops_everything_delivers_nothing),
      CASE(a_network_that_doubles_everything_delivers_twice),
      CASE(delayed_messages_arrive_all_the_same),
      CASE(messages_still_held_back_are_freed_with_the_loop))
