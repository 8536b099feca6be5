/* SPDX-License-Identifier: MIT */
/*
 * State transfer of a large store between the real programs (rules T1 to T5):
 * 256 MiB in values of 256 KiB, and clients that go on appending meanwhile. The
 * value of a key is made from its number, so every octet can be checked.
 */
#include <pthread.h>
#include <signal.h>

#include "tests/cluster.h"
#include "tests/ledger.h"
#include "tests/suite.h"

enum {
    VALUE_SIZE = 256 * 1024,
    KEYS_MAX = 1024, /* 256 MiB in all */
    FLIGHT = 64,     /* puts under way at once */
    LONG_MS = 60000,
};

/* Puts under way, and how they ended. */
struct fill {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned flying;
    unsigned failed;
};

/* Returns how many keys there are: fewer in a slow build. */
static unsigned key_count(void)
{
    return KEYS_MAX / cluster_stretch(1);
}

/* Writes the value of a key: a pattern that differs in every key and place. */
static void make_value(unsigned key, uint32_t *words)
{
    for (uint32_t i = 0; i < VALUE_SIZE / sizeof(*words); i++)
        words[i] = (i + 1) * 2654435761U ^ key;
}

static void on_put(void *context, const struct pbkv_result *result)
{
    struct fill *fill = context;

    pthread_mutex_lock(&fill->mutex);
    fill->flying--;
    if (result->status != PBKV_OK)
        fill->failed++;
    pthread_cond_signal(&fill->changed);
    pthread_mutex_unlock(&fill->mutex);
}

/* Waits until at most count puts are under way. */
static void let_land(struct fill *fill, unsigned count)
{
    while (fill->flying > count)
        pthread_cond_wait(&fill->changed, &fill->mutex);
}

static void fill_store(struct pbkv *store)
{
    struct fill fill = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,
                        0};
    uint32_t *value = malloc(VALUE_SIZE);
    char name[16];

    ck_assert_ptr_nonnull(value);
    for (unsigned key = 0; key < key_count(); key++) {
        int length = snprintf(name, sizeof(name), "big-%u", key);

        make_value(key, value);
        pthread_mutex_lock(&fill.mutex);
        let_land(&fill, FLIGHT - 1);
        fill.flying++;
        pthread_mutex_unlock(&fill.mutex);
        ck_assert_int_eq(pbkv_put_async(store, name, (size_t)length, value,
                                        VALUE_SIZE, LONG_MS, on_put, &fill),
                         PBKV_OK);
    }
    pthread_mutex_lock(&fill.mutex);
    let_land(&fill, 0);
    pthread_mutex_unlock(&fill.mutex);
    free(value);
    ck_assert_uint_eq(fill.failed, 0);
}

/* What a scan has found. */
struct audit {
    uint32_t *value;
    unsigned keys;
    unsigned wrong;
};

static bool check_entry(void *context, const struct pbkv_entry *entry)
{
    static const char prefix[] = "big-";
    const size_t start = strlen(prefix);
    struct audit *audit = context;
    char name[16] = "";

    if (entry->key_length >= sizeof(name) || entry->key_length <= start ||
        memcmp(entry->key, prefix, start) != 0)
        return true;
    memcpy(name, entry->key, entry->key_length);
    audit->keys++;
    make_value((unsigned)strtoul(name + start, NULL, 10), audit->value);
    if (entry->value_length != VALUE_SIZE ||
        memcmp(entry->value, audit->value, VALUE_SIZE) != 0)
        audit->wrong++;
    return true;
}

/* Asserts that every octet of every large value is there. */
static void check_store(struct pbkv *store)
{
    struct audit audit = {malloc(VALUE_SIZE), 0, 0};

    ck_assert_ptr_nonnull(audit.value);
    ck_assert_int_eq(pbkv_scan(store, LONG_MS, check_entry, &audit), PBKV_OK);
    ck_assert_uint_eq(audit.keys, key_count());
    ck_assert_uint_eq(audit.wrong, 0);
    free(audit.value);
}

/* Waits for the transfer, which takes longer than other things. */
static bool settles_in_time(struct cluster *cluster, struct process *primary,
                            struct process *backup)
{
    for (unsigned i = 0; i < LONG_MS / CLUSTER_WAIT_MS; i++)
        if (cluster_settles(cluster, primary, backup, NULL))
            return true;
    return false;
}

/* T1, T2, T3: the new backup has everything, also what was appended during the
 * transfer, and can stand in for the primary. */
TEST(a_large_store_moves_to_a_new_backup)
{
    static const struct cluster_options options = {.dead_pings = 10};
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 2, .appends = 200, .deadline_ms = LONG_MS};
    struct cluster *cluster = cluster_new(&options);
    struct process *servers[2];
    struct pbkv *store;
    struct ledger *ledger;
    const char *problem;

    ck_assert(cluster_form(cluster, servers, 1));
    store = cluster_open(cluster, NULL);
    fill_store(store);
    servers[1] = cluster_add_server(cluster, NULL);
    ck_assert_ptr_nonnull(servers[1]);
    ledger = ledger_start(cluster, &plan);
    ck_assert(settles_in_time(cluster, servers[0], servers[1]));
    ck_assert_uint_eq(ledger_finish(ledger), 800);
    ck_assert(cluster_agree(cluster, servers[0], servers[1]));
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], NULL, NULL));
    check_store(store);
    problem = ledger_audit(ledger, store);
    ck_assert_msg(!problem, "%s", problem);
    ledger_free(ledger);
    pbkv_close(store);
    cluster_free(cluster);
}

static bool condition_chunks_arrive(void *context)
{
    struct process *backup = context;
    struct pbkv_inspection *inspection =
        cluster_inspect(backup->cluster, backup);
    bool arrive = inspection && inspection->transfer_items > key_count() / 8;

    pbkv_inspection_free(inspection);
    return arrive;
}

/* T1, T4, V8: a backup that dies in the middle of a transfer and comes back
 * gets the whole state from the beginning; the primary serves all the while. */
TEST(a_transfer_that_is_broken_off_starts_anew)
{
    static const struct cluster_options options = {.dead_pings = 10};
    struct cluster *cluster = cluster_new(&options);
    struct process *servers[2];
    struct pbkv *store;

    ck_assert(cluster_form(cluster, servers, 1));
    store = cluster_open(cluster, NULL);
    fill_store(store);
    servers[1] = cluster_add_server(cluster, NULL);
    ck_assert_ptr_nonnull(servers[1]);
    ck_assert(cluster_wait(LONG_MS, condition_chunks_arrive, servers[1]));
    process_signal(servers[1], SIGKILL);
    process_restart(servers[1]);
    ck_assert(process_is_ready(servers[1]));
    ck_assert_int_eq(pbkv_put(store, "k", 1, "v", 1, LONG_MS), PBKV_OK);
    ck_assert(settles_in_time(cluster, servers[0], servers[1]));
    ck_assert(cluster_agree(cluster, servers[0], servers[1]));
    process_signal(servers[0], SIGKILL);
    ck_assert(cluster_settles(cluster, servers[1], NULL, NULL));
    check_store(store);
    pbkv_close(store);
    cluster_free(cluster);
}

SUITE("live transfer", CASE_LIMIT(a_large_store_moves_to_a_new_backup, 120),
      CASE_LIMIT(a_transfer_that_is_broken_off_starts_anew, 120))
