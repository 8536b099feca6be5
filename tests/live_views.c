/* SPDX-License-Identifier: MIT */
/*
 * The view service's memory (rule V11), with the real programs: it goes on
 * where it was, and refuses a state file that it cannot trust.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster.h"
#include "tests/suite.h"

static const struct cluster_options usual = {0};

/* Ends the view service by a signal and starts it again, while a client goes on
 * with its view; then lets it prove that it still decides. */
static void go_through_restart(int signal, int expected)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2], *view_service;
    struct pbkv_view before, after;
    struct pbkv *store;

    view_service = cluster_add_view_service(cluster);
    ck_assert_ptr_nonnull(view_service);
    for (unsigned i = 0; i < 2; i++) {
        servers[i] = cluster_add_server(cluster, NULL);
        ck_assert(cluster_settles(cluster, servers[0], i ? servers[1] : NULL,
                                  &before));
    }
    store = cluster_open(cluster, NULL);
    ck_assert_int_eq(pbkv_put(store, "k", 1, "1", 1, 0), PBKV_OK);
    process_signal(view_service, signal);
    ck_assert_int_eq(process_wait(view_service, CLUSTER_WAIT_MS), expected);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "2", 1, 0), PBKV_OK);
    process_restart(view_service);
    ck_assert(cluster_settles(cluster, servers[0], servers[1], &after));
    ck_assert_uint_eq(after.number, before.number);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "3", 1, 0), PBKV_OK);
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], NULL, &after));
    ck_assert_uint_eq(after.number, before.number + 1);
    ck_assert_int_eq(pbkv_append(store, "k", 1, "4", 1, 0), PBKV_OK);
    pbkv_close(store);
    cluster_free(cluster);
}

/* V11, V9, C1 */
TEST(a_killed_view_service_goes_on_with_its_view)
{
    go_through_restart(SIGKILL, 128 + SIGKILL);
}

/* V11 */
TEST(a_stopped_view_service_goes_on_with_its_view)
{
    go_through_restart(SIGTERM, 0);
}

/* V11: the new primary is on disk. A view service that was killed at once after
 * the failover does not remember the old view. */
TEST(a_failover_outlives_the_view_service)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2], *view_service;
    struct pbkv_view before, after;

    view_service = cluster_add_view_service(cluster);
    ck_assert_ptr_nonnull(view_service);
    for (unsigned i = 0; i < 2; i++) {
        servers[i] = cluster_add_server(cluster, NULL);
        ck_assert(
            cluster_settles(cluster, servers[0], i ? servers[1] : NULL, NULL));
    }
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], NULL, &before));
    process_signal(view_service, SIGKILL);
    process_restart(view_service);
    ck_assert(process_is_ready(view_service));
    ck_assert(cluster_view(cluster, &after));
    ck_assert_uint_eq(after.number, before.number);
    ck_assert_str_eq(after.primary.address, before.primary.address);
    cluster_free(cluster);
}

/* ---- State files that are refused --------------------------------------- */

/* Damages the file. */
typedef void (*damage)(const char *path);

static void cut_in_half(const char *path)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(truncate(path, status.st_size / 2), 0);
}

static void empty_it(const char *path)
{
    ck_assert_int_eq(truncate(path, 0), 0);
}

static void flip_a_bit(const char *path)
{
    int fd = open(path, O_RDWR);
    struct stat status;
    off_t middle;
    char octet;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    middle = status.st_size / 2;
    ck_assert_int_eq(pread(fd, &octet, 1, middle), 1);
    octet = (char)(octet ^ 4);
    ck_assert_int_eq(pwrite(fd, &octet, 1, middle), 1);
    close(fd);
}

static void lengthen(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    ck_assert_int_eq(write(fd, "more", 4), 4);
    close(fd);
}

/* Asserts that the view service refuses a file that was damaged: it ends with
 * status 1, names the file, and leaves it as it is. */
static void refuse(damage hurt)
{
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2], *view_service;
    char path[CLUSTER_PATH_SIZE];
    struct stat before, after;
    char *log;

    view_service = cluster_add_view_service(cluster);
    ck_assert_ptr_nonnull(view_service);
    servers[0] = cluster_add_server(cluster, NULL);
    ck_assert(cluster_settles(cluster, servers[0], NULL, NULL));
    process_signal(view_service, SIGKILL);
    hurt(cluster_path(cluster, "view.state", path));
    ck_assert_int_eq(stat(path, &before), 0);
    process_restart(view_service);
    ck_assert_int_eq(process_wait(view_service, CLUSTER_WAIT_MS), 1);
    log = process_log(view_service);
    ck_assert_msg(strstr(log, path), "no file name in: %s", log);
    free(log);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
    cluster_free(cluster);
}

/* V11 */
TEST(a_truncated_state_file_is_refused)
{
    refuse(cut_in_half);
}

/* V11 */
TEST(an_empty_state_file_is_refused)
{
    refuse(empty_it);
}

/* V11 */
TEST(a_corrupt_state_file_is_refused)
{
    refuse(flip_a_bit);
}

/* V11 */
TEST(a_state_file_with_something_behind_it_is_refused)
{
    refuse(lengthen);
}

/* V11: two view services on one state file could crown two primaries. */
TEST(a_second_view_service_on_a_state_file_is_refused)
{
    struct cluster *cluster = cluster_new(&usual);
    char path[CLUSTER_PATH_SIZE], socket_path[CLUSTER_PATH_SIZE];
    char address[PBKV_ADDRESS_SIZE + CLUSTER_PATH_SIZE];
    struct process *first, *second;
    struct pbkv_view view;
    char *log;

    first = cluster_add_view_service(cluster);
    ck_assert_ptr_nonnull(first);
    cluster_path(cluster, "view.state", path);
    snprintf(address, sizeof(address), "unix:%s",
             cluster_path(cluster, "second.sock", socket_path));
    const char *const arguments[] = {"--listen", address, "--state", path,
                                     NULL};

    second = process_start(cluster, "viewservice", "second", arguments);
    ck_assert_int_eq(process_wait(second, CLUSTER_WAIT_MS), 1);
    log = process_log(second);
    ck_assert_msg(strstr(log, path), "no file name in: %s", log);
    free(log);
    ck_assert(cluster_view(cluster, &view));
    cluster_free(cluster);
}

SUITE("live views", CASE_LIMIT(a_killed_view_service_goes_on_with_its_view, 60),
      CASE_LIMIT(a_stopped_view_service_goes_on_with_its_view, 60),
      CASE_LIMIT(a_failover_outlives_the_view_service, 60),
      CASE_LIMIT(a_truncated_state_file_is_refused, 60),
      CASE_LIMIT(an_empty_state_file_is_refused, 60),
      CASE_LIMIT(a_corrupt_state_file_is_refused, 60),
      CASE_LIMIT(a_state_file_with_something_behind_it_is_refused, 60),
      CASE_LIMIT(a_second_view_service_on_a_state_file_is_refused, 60))
