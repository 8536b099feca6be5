/* SPDX-License-Identifier: MIT */
/*
 * A network that falls apart, with the real programs. On one side are the
 * primary, s1, and a loyal client; on the other the view service, s2, s3 and
 * everybody else:
 *
 *     loyal client ──> s1 ──X── view service
 *          └─────X───────┐      s2, s3
 *                        └───── other clients
 *
 * The links marked X go through proxies (link.h): s1 and the loyal client know
 * the view service by a proxy's address, and s2 is known to everybody by a
 * proxy's address. So what has to be cut can be cut while the loyal client
 * still reaches s1, and s1 still believes in the old view.
 */
#include <signal.h>

#include "tests/cluster.h"
#include "tests/suite.h"

struct parted {
    struct cluster *cluster;
    struct process *s1;
    struct process *s2;
    struct process *s3;
    struct link *to_views;  /* of s1 and the loyal client */
    struct link *to_backup; /* s1's way to s2 */
    struct pbkv *loyal;     /* knows the old view */
    struct pbkv *store;     /* on the other side */
};

/* Adds s2, whom everybody reaches through a link. */
static struct process *add_backup(struct parted *net)
{
    char path[CLUSTER_PATH_SIZE], address[PBKV_ADDRESS_SIZE];

    snprintf(address, sizeof(address), "unix:%s",
             cluster_path(net->cluster, "s2.sock", path));
    net->to_backup = cluster_add_link(net->cluster, address);
    const char *const more[] = {"--advertise", link_address(net->to_backup),
                                NULL};

    return cluster_add_server(net->cluster, more);
}

/* Makes the store, and clients on both sides that know the view. */
static void form(struct parted *net)
{
    static const struct cluster_options usual = {0};

    net->cluster = cluster_new(&usual);
    ck_assert_ptr_nonnull(cluster_add_view_service(net->cluster));
    net->to_views =
        cluster_add_link(net->cluster, cluster_view_address(net->cluster));
    const char *const through[] = {"--view", link_address(net->to_views), NULL};

    net->s1 = cluster_add_server(net->cluster, through);
    ck_assert_ptr_nonnull(net->s1);
    ck_assert(cluster_settles(net->cluster, net->s1, NULL, NULL));
    net->s2 = add_backup(net);
    ck_assert_ptr_nonnull(net->s2);
    ck_assert(cluster_settles(net->cluster, net->s1, net->s2, NULL));
    net->s3 = cluster_add_server(net->cluster, NULL);
    ck_assert_ptr_nonnull(net->s3);
    net->loyal = cluster_open(net->cluster, link_address(net->to_views));
    net->store = cluster_open(net->cluster, NULL);
    ck_assert_int_eq(pbkv_put(net->store, "k", 1, "old", 3, 0), PBKV_OK);
    ck_assert_int_eq(pbkv_put(net->loyal, "mine", 4, "old", 3, 0), PBKV_OK);
}

static void part(struct parted *net)
{
    link_cut(net->to_views);
    link_cut_for(net->to_backup, net->s1->pid);
}

static void join(struct parted *net)
{
    link_join(net->to_backup);
    link_join(net->to_views);
}

static void end(struct parted *net)
{
    pbkv_close(net->loyal);
    pbkv_close(net->store);
    cluster_free(net->cluster);
}

/* Asserts that the value of a key is text. */
static void expect(struct pbkv *store, const char *key, const char *text)
{
    struct pbkv_value value;

    ck_assert_int_eq(pbkv_get(store, key, strlen(key), 0, &value), PBKV_OK);
    ck_assert_str_eq(value.data, text);
    pbkv_free(&value);
}

struct role_question {
    struct pbkv *handle;
    const char *address;
    const char *role;
};

static bool condition_role(void *context)
{
    struct role_question *question = context;
    struct pbkv_inspection *inspection;
    bool so = pbkv_inspect(question->handle, question->address, 1000,
                           &inspection) == PBKV_OK &&
              strcmp(inspection->role, question->role) == 0;

    pbkv_inspection_free(inspection);
    return so;
}

/* Asserts that s1, which the loyal client still reaches, answers nothing. */
static void expect_silence(struct parted *net)
{
    struct pbkv_value value;
    uint32_t ms = cluster_stretch(250);

    ck_assert_int_eq(pbkv_get(net->loyal, "k", 1, ms, &value), PBKV_TIMEOUT);
    ck_assert_ptr_null(value.data);
    ck_assert_int_eq(pbkv_get(net->loyal, "never", 5, ms, &value),
                     PBKV_TIMEOUT);
    ck_assert_int_eq(pbkv_append(net->loyal, "mine", 4, "+", 1, ms),
                     PBKV_TIMEOUT);
}

/* Waits until s1 says that this is its role; the loyal client can ask it. */
static void expect_role(struct parted *net, const char *role)
{
    struct role_question question = {net->loyal, net->s1->listen, role};

    ck_assert_msg(cluster_wait(CLUSTER_WAIT_MS, condition_role, &question),
                  "s1 is not %s", role);
}

/* P4: without its backup a primary commits nothing and confirms no read, also
 * while its view is still the newest. */
TEST(a_primary_without_its_backup_answers_nothing)
{
    struct parted net;

    form(&net);
    link_cut_for(net.to_backup, net.s1->pid);
    expect_silence(&net);
    expect_role(&net, "primary");
    link_join(net.to_backup);
    expect(net.loyal, "k", "old");
    end(&net);
}

/* P1, P4, P5, V5: the other side goes on; the old primary, whom clients still
 * reach and who believes in its view, answers nothing. */
TEST(an_old_primary_that_is_cut_off_answers_nothing)
{
    struct parted net;

    form(&net);
    part(&net);
    ck_assert(cluster_settles(net.cluster, net.s2, net.s3, NULL));
    ck_assert_int_eq(pbkv_put(net.store, "k", 1, "new", 3, 0), PBKV_OK);
    expect_role(&net, "primary");
    expect_silence(&net);
    expect(net.store, "k", "new");
    expect(net.store, "mine", "old");
    end(&net);
}

/* P2, V8, T4: when the network is whole again, what was under way arrives late
 * and changes nothing; the old primary becomes idle, then backup with the right
 * state, then primary. */
TEST(a_healed_partition_leaves_no_trace)
{
    struct parted net;

    form(&net);
    part(&net);
    ck_assert(cluster_settles(net.cluster, net.s2, net.s3, NULL));
    expect_silence(&net);
    ck_assert_int_eq(pbkv_put(net.store, "k", 1, "new", 3, 0), PBKV_OK);
    join(&net);
    expect_role(&net, "idle");
    expect(net.loyal, "k", "new");
    expect(net.loyal, "mine", "old");
    ck_assert(cluster_settles(net.cluster, net.s2, net.s3, NULL));
    process_signal(net.s3, SIGKILL);
    ck_assert(cluster_settles(net.cluster, net.s2, net.s1, NULL));
    ck_assert(cluster_agree(net.cluster, net.s2, net.s1));
    process_signal(net.s2, SIGKILL);
    ck_assert(cluster_settles(net.cluster, net.s1, NULL, NULL));
    expect(net.store, "k", "new");
    expect(net.loyal, "mine", "old");
    end(&net);
}

SUITE("live partition",
      CASE_LIMIT(a_primary_without_its_backup_answers_nothing, 60),
      CASE_LIMIT(an_old_primary_that_is_cut_off_answers_nothing, 60),
      CASE_LIMIT(a_healed_partition_leaves_no_trace, 60))
