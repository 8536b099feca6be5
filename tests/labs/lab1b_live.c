/* SPDX-License-Identifier: MIT */
/*
 * lab1b_live: see lab1b_live.h. The server is never killed: it is alone, so its
 * state would be gone. It is stopped instead, which makes clients repeat what
 * it will then get many times; and it loses, doubles and delays its answers.
 */
#include "tests/labs/lab1b_live.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "tests/labs/live.h"

enum {
    PATIENCE_MS = 800, /* of a client, which repeats every 200 ms */
    FIRST_MS = 3000,   /* for the first answer of all */
};

/* Starts a store of one server, which has to answer. */
static struct process *form(struct lab *lab, struct cluster *cluster)
{
    struct process *server;
    struct pbkv *store;
    struct pbkv_value value = {0};

    live_form(lab, cluster, &server, 1);
    store = cluster_open(cluster, NULL);
    LAB_EXPECT(lab,
               pbkv_get(store, "k", 1, cluster_stretch(FIRST_MS), &value) ==
                   PBKV_NO_KEY,
               "the server does not answer the first get of a key that nobody "
               "has written");
    pbkv_close(store);
    return server;
}

void lab1b_live_clients(struct lab *lab)
{
    static const struct ledger_plan plan = {
        .clients = 6, .keys = 3, .appends = 50, .own_handles = true};
    static const struct cluster_options options = {0};
    struct cluster *cluster = cluster_new(&options);

    form(lab, cluster);
    live_audit(lab, cluster, ledger_start(cluster, &plan), 300);
    cluster_free(cluster);
}

/* How often a letter is in a value. */
static unsigned count(const struct pbkv_value *value, char letter)
{
    const char *octets = value->data;
    unsigned found = 0;

    for (size_t i = 0; i < value->length; i++)
        found += octets[i] == letter;
    return found;
}

static void append(struct lab *lab, struct pbkv *store, const char *letter)
{
    enum pbkv_status status = pbkv_append(store, "k", 1, letter, 1, 0);

    LAB_EXPECT(lab, status == PBKV_OK, "an append ended with \"%s\"",
               pbkv_status_text(status));
}

/* The append under way when the server stops is sent again and again, until its
 * caller has had enough; all copies wait in the server's socket. */
void lab1b_live_stopped_server(struct lab *lab)
{
    static const struct cluster_options options = {0};
    struct cluster *cluster = cluster_new(&options);
    struct process *server = form(lab, cluster);
    struct pbkv *store;
    struct pbkv_value value = {0};
    enum pbkv_status status;

    store = cluster_open(cluster, NULL);
    append(lab, store, "a");
    process_signal(server, SIGSTOP);
    status = pbkv_append(store, "k", 1, "x", 1, cluster_stretch(PATIENCE_MS));
    process_signal(server, SIGCONT);
    LAB_EXPECT(lab, status == PBKV_TIMEOUT,
               "the server is stopped, and an append ended with \"%s\" instead "
               "of at its deadline (C2)",
               pbkv_status_text(status));
    append(lab, store, "y");
    append(lab, store, "z");
    LAB_EXPECT(lab, pbkv_get(store, "k", 1, 0, &value) == PBKV_OK,
               "the value cannot be read");
    LAB_EXPECT(lab,
               count(&value, 'a') == 1 && count(&value, 'y') == 1 &&
                   count(&value, 'z') == 1 && count(&value, 'x') <= 1,
               "a, y and z were appended, and x, whose caller had given up, at "
               "most once; the value is \"%.*s\" (P6)",
               (int)value.length, (const char *)value.data);
    pbkv_free(&value);
    pbkv_close(store);
    cluster_free(cluster);
}

void lab1b_live_loss(struct lab *lab)
{
    static const struct ledger_plan plan = {
        .clients = 4, .keys = 2, .appends = 15};
    char faults[64];
    const struct cluster_options options = {.faults = faults};
    struct cluster *cluster;

    snprintf(faults, sizeof(faults),
             "drop=0.1,dup=0.1,delay=0-5ms,seed=%" PRIu64, lab->seed);
    cluster = cluster_new(&options);
    form(lab, cluster);
    live_audit(lab, cluster, ledger_start(cluster, &plan), 60);
    cluster_free(cluster);
}
