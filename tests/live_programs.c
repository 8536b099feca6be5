/* SPDX-License-Identifier: MIT */
/*
 * The programs as their users meet them: command lines, exit statuses, signals,
 * and everything that a stranger or a mistake can send to them.
 */
#include <signal.h>
#include <unistd.h>

#include "tests/cluster.h"
#include "tests/raw_peer.h"
#include "tests/suite.h"

static const struct cluster_options usual = {0};

/* Runs a program to its end and returns its exit status. *log is the caller's
 * to free. */
static int run(struct cluster *cluster, const char *program, const char *name,
               const char *const *arguments, char **log)
{
    struct process *process = process_start(cluster, program, name, arguments);
    int status = process_wait(process, CLUSTER_WAIT_MS);

    *log = process_log(process);
    return status;
}

/* ---- Command lines ------------------------------------------------------ */

/* Asserts that a command line is refused with status 2, and that the message
 * has a word in it. */
static void refuse_usage(const char *program, const char *const *arguments,
                         const char *word)
{
    struct cluster *cluster = cluster_new(&usual);
    char *log;
    int status = run(cluster, program, "wrong", arguments, &log);

    ck_assert_msg(status == 2, "%s: status %d: %s", program, status, log);
    ck_assert_msg(strstr(log, word), "no '%s' in: %s", word, log);
    ck_assert_msg(strstr(log, "--help") || strstr(log, "usage"),
                  "no usage in: %s", log);
    free(log);
    cluster_free(cluster);
}

TEST(an_unknown_flag_is_refused)
{
    static const char *const arguments[] = {"--no-such-flag", "1", NULL};

    refuse_usage("pbserver", arguments, "no-such-flag");
    refuse_usage("viewservice", arguments, "no-such-flag");
}

TEST(a_bad_address_is_refused)
{
    static const char *const server[] = {"--listen", "nowhere", "--view",
                                         "127.0.0.1:1", NULL};
    static const char *const lost[] = {"--listen", "127.0.0.1:0", "--view",
                                       "127.0.0.1:99999", NULL};
    static const char *const views[] = {"--listen", "127.0.0.1", "--state",
                                        "/nowhere/state", NULL};

    refuse_usage("pbserver", server, "nowhere");
    refuse_usage("pbserver", lost, "127.0.0.1:99999");
    refuse_usage("viewservice", views, "127.0.0.1");
}

TEST(a_missing_flag_is_refused)
{
    static const char *const arguments[] = {"--listen", "127.0.0.1:0", NULL};

    refuse_usage("pbserver", arguments, "--view");
    refuse_usage("viewservice", arguments, "--state");
}

/* Asserts that a second server at the address of the first ends with status 1
 * and names the address and the reason, and that the first goes on. */
static void refuse_second(bool tcp)
{
    struct cluster *cluster =
        cluster_new(&(struct cluster_options){.tcp = tcp});
    struct process *servers[1];
    struct pbkv_inspection *inspection;
    char *log;
    int status;

    ck_assert(cluster_form(cluster, servers, 1));
    const char *const arguments[] = {"--listen", servers[0]->listen, "--view",
                                     cluster_view_address(cluster), NULL};

    status = run(cluster, "pbserver", "second", arguments, &log);
    ck_assert_int_eq(status, 1);
    ck_assert_msg(strstr(log, servers[0]->listen), "no address in: %s", log);
    ck_assert_msg(strstr(log, "in use"), "no reason in: %s", log);
    free(log);
    inspection = cluster_inspect(cluster, servers[0]);
    ck_assert_ptr_nonnull(inspection);
    ck_assert_str_eq(inspection->role, "primary");
    pbkv_inspection_free(inspection);
    cluster_free(cluster);
}

TEST(a_port_in_use_is_refused)
{
    refuse_second(true);
}

TEST(a_unix_socket_in_use_is_refused)
{
    refuse_second(false);
}

/* ---- Signals ------------------------------------------------------------ */

/* Asserts that a signal ends all programs, soon and well, and that their
 * sockets are gone. */
static void stop_all(int signal)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *all[3];
    struct pbkv *store;

    all[0] = cluster_add_view_service(cluster);
    ck_assert_ptr_nonnull(all[0]);
    for (unsigned i = 1; i < 3; i++) {
        all[i] = cluster_add_server(cluster, NULL);
        ck_assert_ptr_nonnull(all[i]);
        ck_assert(
            cluster_settles(cluster, all[1], i > 1 ? all[2] : NULL, NULL));
    }
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    for (unsigned i = 0; i < 3; i++) {
        const char *path = strchr(all[i]->listen, '/');

        ck_assert_int_eq(access(path, F_OK), 0);
        process_signal(all[i], signal);
        ck_assert_int_eq(process_wait(all[i], 1000), 0);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    pbkv_close(store);
    cluster_free(cluster);
}

TEST(sigterm_ends_all_programs_well)
{
    stop_all(SIGTERM);
}

TEST(sigint_ends_all_programs_well)
{
    stop_all(SIGINT);
}

/* ---- Nobody there ------------------------------------------------------- */

static unsigned count_lines(const struct process *process)
{
    char *log = process_log(process);
    unsigned lines = 0;

    for (const char *at = log; (at = strchr(at, '\n')); at++)
        lines++;
    free(log);
    return lines;
}

static bool condition_tried(void *context)
{
    return process_count(context, "dial.failed") +
               process_count(context, "peer.unreachable") >=
           4;
}

/* A server that finds no view service keeps trying, does not fill the disk with
 * complaints, and joins when there is one. */
TEST(a_server_waits_for_its_view_service)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *view_service, *server;

    view_service = cluster_add_view_service(cluster);
    ck_assert_ptr_nonnull(view_service);
    process_signal(view_service, SIGKILL);
    server = cluster_add_server(cluster, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, condition_tried, server));
    ck_assert(process_says(server, cluster_view_address(cluster), 1000));
    ck_assert_uint_le(count_lines(server), 30);
    process_restart(view_service);
    ck_assert(cluster_settles(cluster, server, NULL, NULL));
    cluster_free(cluster);
}

/* C2: without a primary every call ends at its own deadline, not before it. The
 * upper bound is below the deadline of the handle, and far enough away for a
 * busy machine. */
TEST(without_a_primary_calls_end_at_their_deadline)
{
    struct cluster *cluster = cluster_new(&usual);
    struct pbkv_value value;
    struct pbkv *store;
    uint64_t began, took;

    ck_assert_ptr_nonnull(cluster_add_view_service(cluster));
    store = cluster_open(cluster, NULL);
    began = cluster_now_ms();
    ck_assert_int_eq(pbkv_get(store, "k", 1, 300, &value), PBKV_TIMEOUT);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 300), PBKV_TIMEOUT);
    took = cluster_now_ms() - began;
    ck_assert_uint_ge(took, 600 - 2);
    ck_assert_uint_le(took, 600 + cluster_stretch(4000));
    pbkv_close(store);
    cluster_free(cluster);
}

/* A server that takes another server for the view service is told nothing, by
 * name, and serves nobody. */
TEST(a_server_is_no_view_service)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[1], *lost;
    struct pbkv_inspection *inspection;

    ck_assert(cluster_form(cluster, servers, 1));
    const char *const wrong[] = {"--view", servers[0]->address, NULL};

    lost = cluster_add_server(cluster, wrong);
    ck_assert_ptr_nonnull(lost);
    ck_assert(process_says(servers[0], "message.unexpected", CLUSTER_WAIT_MS));
    inspection = cluster_inspect(cluster, lost);
    ck_assert_ptr_nonnull(inspection);
    ck_assert_str_eq(inspection->role, "idle");
    ck_assert_uint_eq(inspection->view.number, 0);
    pbkv_inspection_free(inspection);
    cluster_free(cluster);
}

/* ---- Limits ------------------------------------------------------------- */

/* Asserts the length of a key's value. */
static void expect_length(struct pbkv *store, const char *key, size_t length)
{
    struct pbkv_value value;

    ck_assert_int_eq(pbkv_get(store, key, strlen(key), 0, &value), PBKV_OK);
    ck_assert_uint_eq(value.length, length);
    pbkv_free(&value);
}

/* P6: the refusal is an answer like any other, and the value is as before. */
TEST(an_append_past_the_limit_changes_nothing)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2];
    struct pbkv *store;
    char *value = calloc(1, PBKV_VALUE_MAX);

    ck_assert_ptr_nonnull(value);
    ck_assert(cluster_form(cluster, servers, 2));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, value, PBKV_VALUE_MAX, 0),
                     PBKV_OK);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pbkv_append(store, "k", 1, "+", 1, 0), PBKV_TOO_LARGE);
    expect_length(store, "k", PBKV_VALUE_MAX);
    ck_assert(cluster_agree(cluster, servers[0], servers[1]));
    pbkv_close(store);
    free(value);
    cluster_free(cluster);
}

/* The server's own limits, which are below the client's here. */
TEST(what_is_too_large_for_the_server_is_not_stored)
{
    static const char *const small[] = {"--max-key", "8", "--max-value", "1K",
                                        NULL};
    struct cluster *cluster = cluster_new(&usual);
    struct process *server;
    struct pbkv_value value;
    struct pbkv *store;
    char large[2048] = {0};

    ck_assert_ptr_nonnull(cluster_add_view_service(cluster));
    server = cluster_add_server(cluster, small);
    ck_assert_ptr_nonnull(server);
    ck_assert(cluster_settles(cluster, server, NULL, NULL));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "123456789", 9, "v", 1, 0),
                     PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_append(store, "123456789", 9, "v", 1, 0),
                     PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_put(store, "k", 1, large, 1025, 0), PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_get(store, "k", 1, 0, &value), PBKV_NO_KEY);
    ck_assert_int_eq(pbkv_put(store, "k", 1, large, 1024, 0), PBKV_OK);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "+", 1, 0), PBKV_TOO_LARGE);
    expect_length(store, "k", 1024);
    pbkv_close(store);
    cluster_free(cluster);
}

/* The client's limits, which need no server. */
TEST(what_is_too_large_for_the_client_is_not_sent)
{
    struct cluster *cluster = cluster_new(&usual);
    char *large = calloc(1, PBKV_VALUE_MAX + 1);
    struct process *servers[1];
    struct pbkv_value value;
    struct pbkv *store;

    ck_assert_ptr_nonnull(large);
    ck_assert(cluster_form(cluster, servers, 1));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, large, PBKV_KEY_MAX + 1, "v", 1, 0),
                     PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_put(store, "k", 1, large, PBKV_VALUE_MAX + 1, 0),
                     PBKV_TOO_LARGE);
    ck_assert_int_eq(pbkv_put(store, large, PBKV_KEY_MAX, "v", 1, 0), PBKV_OK);
    ck_assert_int_eq(pbkv_get(store, "k", 1, 0, &value), PBKV_NO_KEY);
    pbkv_close(store);
    free(large);
    cluster_free(cluster);
}

/* ---- Strangers ---------------------------------------------------------- */

/* Sends octets to a server and asserts that it closes that connection. */
static void send_and_await_close(const struct process *server,
                                 const void *octets, size_t length)
{
    struct address address;
    int fd;

    ck_assert_int_eq(
        address_init(&address, server->listen, strlen(server->listen)), 0);
    fd = raw_dial(&address);
    raw_send(fd, octets, length);
    raw_await_close(fd);
    close(fd);
}

/* What makes no sense costs its sender the connection, is counted by name, and
 * does not disturb anybody else. */
TEST(garbage_closes_only_its_own_connection)
{
    static const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    static const unsigned char junk[] = {0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff};
    static const unsigned char empty[] = {0, 0, 0, 0};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2];
    struct pbkv *store;
    uint64_t dialled;

    ck_assert(cluster_form(cluster, servers, 2));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    dialled = process_count(servers[0], "rpc.accepted");
    send_and_await_close(servers[0], huge, sizeof(huge));
    send_and_await_close(servers[0], junk, sizeof(junk));
    send_and_await_close(servers[0], empty, sizeof(empty));
    send_and_await_close(servers[0], "GET / HTTP/1.0\r\n\r\n", 18);
    ck_assert_uint_ge(process_count(servers[0], "frame.length"), 2);
    ck_assert_uint_ge(process_count(servers[0], "frame.malformed"), 1);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "w", 1, 0), PBKV_OK);
    expect_length(store, "k", 2);
    ck_assert_uint_eq(process_count(servers[0], "rpc.accepted"), dialled + 4);
    pbkv_close(store);
    cluster_free(cluster);
}

/* Every answer comes over TCP too, and a port is given back to its server. */
TEST(servers_on_ports_fail_over_and_come_back)
{
    struct cluster *cluster =
        cluster_new(&(struct cluster_options){.tcp = true});
    struct process *servers[2];
    struct pbkv *store;

    ck_assert(cluster_form(cluster, servers, 2));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "1", 1, 0), PBKV_OK);
    process_signal(servers[0], SIGKILL);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "2", 1, 0), PBKV_OK);
    process_restart(servers[0]);
    ck_assert(process_is_ready(servers[0]));
    ck_assert(cluster_settles(cluster, servers[1], servers[0], NULL));
    expect_length(store, "k", 2);
    pbkv_close(store);
    cluster_free(cluster);
}

/* ---- Traces ------------------------------------------------------------- */

/* Returns a file's octets, which end with a zero, for the caller to free. */
static char *read_file(const char *path)
{
    struct process writer = {.life = 1};

    snprintf(writer.log, sizeof(writer.log), "%s", path);
    return process_log(&writer);
}

static bool condition_full(void *context)
{
    char *text = read_file(context);
    bool full = strstr(text, "\"event\":\"trace.full\"}\n") != NULL;

    free(text);
    return full;
}

/* K3: a trace that is full ends with a line that says so, and does no harm. */
TEST(a_trace_ends_at_its_limit_and_the_server_goes_on)
{
    struct cluster *cluster = cluster_new(&usual);
    char path[CLUSTER_PATH_SIZE], *text;
    struct process *server;
    struct pbkv *store;

    ck_assert_ptr_nonnull(cluster_add_view_service(cluster));
    const char *const more[] = {"--trace",
                                cluster_path(cluster, "small.trace", path),
                                "--trace-max", "8K", NULL};

    server = cluster_add_server(cluster, more);
    ck_assert_ptr_nonnull(server);
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, condition_full, path));
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, 0), PBKV_OK);
    text = read_file(path);
    ck_assert_uint_lt(strlen(text), 9 * 1024);
    ck_assert_str_eq(strstr(text, "trace.full"), "trace.full\"}\n");
    free(text);
    pbkv_close(store);
    cluster_free(cluster);
}

SUITE("live programs", CASE(an_unknown_flag_is_refused),
      CASE(a_bad_address_is_refused), CASE(a_missing_flag_is_refused),
      CASE_LIMIT(a_port_in_use_is_refused, 60),
      CASE_LIMIT(a_unix_socket_in_use_is_refused, 60),
      CASE_LIMIT(sigterm_ends_all_programs_well, 60),
      CASE_LIMIT(sigint_ends_all_programs_well, 60),
      CASE_LIMIT(a_server_waits_for_its_view_service, 60),
      CASE_LIMIT(without_a_primary_calls_end_at_their_deadline, 60),
      CASE_LIMIT(a_server_is_no_view_service, 60),
      CASE_LIMIT(an_append_past_the_limit_changes_nothing, 60),
      CASE_LIMIT(what_is_too_large_for_the_server_is_not_stored, 60),
      CASE_LIMIT(what_is_too_large_for_the_client_is_not_sent, 60),
      CASE_LIMIT(garbage_closes_only_its_own_connection, 60),
      CASE_LIMIT(servers_on_ports_fail_over_and_come_back, 60),
      CASE_LIMIT(a_trace_ends_at_its_limit_and_the_server_goes_on, 60))
