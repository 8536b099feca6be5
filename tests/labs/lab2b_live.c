/* SPDX-License-Identifier: MIT */
/*
 * lab2b_live: the real programs on real sockets (tests/cluster.h), with clients
 * that append at once and an audit afterwards (tests/ledger.h): what was
 * acknowledged is there once and in order. Servers are killed and stopped; for
 * the unreliable kind they also lose and double what they send.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "tests/cluster.h"
#include "tests/labs/lab2b.h"
#include "tests/labs/live.h"

enum { FILES_MAX = 32 };

static const struct cluster_options usual = {0};

static void agree(struct lab *lab, struct cluster *cluster,
                  const struct process *one, const struct process *other)
{
    LAB_EXPECT(lab, cluster_agree(cluster, one, other),
               "%s and %s are primary and backup and differ", one->name,
               other->name);
}

void lab2b_live_failover(struct lab *lab)
{
    static const struct ledger_plan plan = {
        .clients = 6, .keys = 3, .appends = 60};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[3];
    struct ledger *ledger;

    live_form(lab, cluster, servers, 3);
    ledger = ledger_start(cluster, &plan);
    live_reaches(lab, ledger, 100);
    process_signal(servers[0], SIGKILL);
    live_settles(lab, cluster, servers[1], servers[2]);
    live_audit(lab, cluster, ledger, 360);
    agree(lab, cluster, servers[1], servers[2]);
    cluster_free(cluster);
}

void lab2b_live_restarts(struct lab *lab)
{
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 2, .appends = 150};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2];
    struct ledger *ledger;

    live_form(lab, cluster, servers, 2);
    ledger = ledger_start(cluster, &plan);
    for (unsigned i = 0; i < 2; i++) {
        live_reaches(lab, ledger, UINT64_C(150) * (i + 1));
        process_signal(servers[i], SIGKILL);
        process_restart(servers[i]);
        LAB_EXPECT(lab, process_is_ready(servers[i]), "%s does not start again",
                   servers[i]->name);
        live_settles(lab, cluster, servers[1 - i], servers[i]);
    }
    live_audit(lab, cluster, ledger, 600);
    agree(lab, cluster, servers[0], servers[1]);
    cluster_free(cluster);
}

void lab2b_live_loss(struct lab *lab)
{
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 2, .appends = 25, .deadline_ms = 15000};
    static const struct cluster_options options = {.faults =
                                                       "drop=0.05,dup=0.05"};
    struct cluster *cluster = cluster_new(&options);
    struct process *servers[3];
    struct ledger *ledger;

    live_form(lab, cluster, servers, 3);
    ledger = ledger_start(cluster, &plan);
    live_reaches(lab, ledger, 30);
    process_signal(servers[0], SIGKILL);
    live_settles(lab, cluster, servers[1], servers[2]);
    live_audit(lab, cluster, ledger, 100);
    cluster_free(cluster);
}

/* The primary is stopped, replaced, and wakes. */
void lab2b_live_stopped_primary(struct lab *lab)
{
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 2, .appends = 100};
    struct cluster *cluster = cluster_new(&usual);
    struct process *servers[2];
    struct ledger *ledger;

    live_form(lab, cluster, servers, 2);
    ledger = ledger_start(cluster, &plan);
    live_reaches(lab, ledger, 100);
    process_signal(servers[0], SIGSTOP);
    live_settles(lab, cluster, servers[1], NULL);
    process_signal(servers[0], SIGCONT);
    live_settles(lab, cluster, servers[1], servers[0]);
    live_audit(lab, cluster, ledger, 400);
    agree(lab, cluster, servers[1], servers[0]);
    cluster_free(cluster);
}

/* ---- Stamps ---------------------------------------------------------------
 */

/* Lists the traces in the cluster's directory: paths for the caller to free. */
static size_t list_traces(struct cluster *cluster, char *paths[FILES_MAX])
{
    char path[CLUSTER_PATH_SIZE];
    DIR *folder;
    const struct dirent *entry;
    size_t count = 0;

    cluster_path(cluster, ".", path);
    folder = opendir(path);
    if (!folder)
        return 0;
    while ((entry = readdir(folder)) && count < FILES_MAX) {
        if (strstr(entry->d_name, ".trace")) {
            cluster_path(cluster, entry->d_name, path);
            paths[count++] = memory_copy_text(path);
        }
    }
    closedir(folder);
    return count;
}

void lab2b_live_stamps(struct lab *lab)
{
    static const struct cluster_options options = {.trace = true};
    struct cluster *cluster = cluster_new(&options);
    struct process *servers[3];
    char *paths[FILES_MAX];
    struct pbkv *store;
    size_t count;

    live_form(lab, cluster, servers, 3);
    store = cluster_open(cluster, NULL);
    for (int i = 0; i < 20; i++)
        LAB_EXPECT(lab, pbkv_append(store, "k", 1, "x", 1, 0) == PBKV_OK,
                   "append %d is not answered OK", i + 1);
    process_signal(servers[0], SIGKILL);
    live_settles(lab, cluster, servers[1], servers[2]);
    LAB_EXPECT(lab, pbkv_append(store, "k", 1, "y", 1, 0) == PBKV_OK,
               "the append after the failover is not answered OK");
    pbkv_close(store);
    cluster_hush(cluster);
    for (unsigned i = 1; i < 3; i++) {
        process_signal(servers[i], SIGTERM);
        process_wait(servers[i], CLUSTER_WAIT_MS);
    }
    process_signal(cluster_view_service(cluster), SIGTERM);
    process_wait(cluster_view_service(cluster), CLUSTER_WAIT_MS);
    count = list_traces(cluster, paths);
    LAB_EXPECT(lab, count >= 5, "there are only %zu traces", count);
    lab2b_verify_traces(lab, (const char *const *)paths, count);
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    cluster_free(cluster);
}
