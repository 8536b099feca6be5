/* SPDX-License-Identifier: MIT */
/*
 * lab2b_storms: whole stores at work while servers crash, stop and are cut off,
 * drawn from the test's seed; then peace, in which everything has to come to an
 * end. What the clients were told is judged as one history. Last, the stamps
 * of such a run.
 */
#include <stdio.h>

#include "clocks/verify.h"
#include "tests/labs/lab2b.h"

static const struct world_plan lossy = {.drop = 60,
                                        .dup = 60,
                                        .min_us = 100,
                                        .max_us = 20000,
                                        .slow = 20,
                                        .slow_us = 300000};
static const struct world_plan quick = {.min_us = 100, .max_us = 3000};

enum { ROUNDS = 6, SEEDS = 1000 };

static struct store_config trio(const struct world_plan *network,
                                unsigned clients)
{
    struct store_config config = store_config();

    config.servers = 3;
    config.clients = clients;
    config.network = *network;
    config.server.chunk_octets = 256; /* many chunks */
    config.server.log_octets = 4096;
    return config;
}

/* Some storms, each with a seed of its own that follows from the test's. */
static void storms(struct lab *lab, struct store_config *config,
                   const struct storm *plan)
{
    uint64_t rounds = lab->slow > 1 ? 1 : ROUNDS;

    for (uint64_t i = 0; i < rounds; i++) {
        struct store *store;

        config->seed = lab->seed * SEEDS + i;
        store = store_new(lab, config);
        store_storm(store, plan);
        store_free(store);
    }
}

static void storm(struct lab *lab, const struct world_plan *network,
                  const struct storm *plan)
{
    struct store_config config = trio(network, 4);

    storms(lab, &config, plan);
}

void lab2b_storm_crashes(struct lab *lab)
{
    static const struct storm plan = {
        .ms = 10000, .keys = 2, .crash = 120, .restart = 300, .heal = 100};

    storm(lab, &quick, &plan);
}

void lab2b_storm_crashes_and_loss(struct lab *lab)
{
    static const struct storm plan = {
        .ms = 10000, .keys = 2, .crash = 80, .restart = 250, .heal = 100};

    storm(lab, &lossy, &plan);
}

void lab2b_storm_loss(struct lab *lab)
{
    static const struct storm plan = {.ms = 6000, .keys = 1};

    storm(lab, &lossy, &plan);
}

void lab2b_storm_partitions(struct lab *lab)
{
    static const struct storm plan = {.ms = 12000,
                                      .keys = 2,
                                      .crash = 20,
                                      .restart = 200,
                                      .pause = 60,
                                      .partition = 80,
                                      .heal = 120};

    storm(lab, &quick, &plan);
}

void lab2b_storm_view_service(struct lab *lab)
{
    static const struct storm plan = {.ms = 10000,
                                      .keys = 2,
                                      .crash = 60,
                                      .restart = 250,
                                      .partition = 30,
                                      .heal = 150,
                                      .view_restart = 80};

    storm(lab, &lossy, &plan);
}

/* Much state, and servers that never stay for long. */
void lab2b_storm_transfers(struct lab *lab)
{
    static const struct storm plan = {
        .ms = 8000, .keys = 20, .crash = 150, .restart = 600, .heal = 100};
    struct store_config config = trio(&lossy, 6);

    config.server.chunk_octets = 100;
    storms(lab, &config, &plan);
}

/* Fewer sessions than clients: outcomes become unknown, but never doubled. */
void lab2b_storm_sessions(struct lab *lab)
{
    static const struct storm plan = {
        .ms = 6000, .keys = 1, .crash = 40, .restart = 300};
    struct store_config config = trio(&lossy, 5);

    config.server.limits.sessions = 3;
    storms(lab, &config, &plan);
}

/* ---- Stamps ---------------------------------------------------------------
 */

static void on_broken(void *context, const char *rule, const char *file,
                      uint64_t line, const char *sentence)
{
    (void)file;
    lab_fail(context, "line %llu of the trace breaks %s: %s",
             (unsigned long long)line, rule, sentence);
}

void lab2b_verify_traces(struct lab *lab, const char *const *paths,
                         size_t count)
{
    struct verifier *verifier = verifier_new();
    struct verify_summary summary;

    for (size_t i = 0; i < count; i++)
        LAB_EXPECT(lab, verifier_add_file(verifier, paths[i]) == 0,
                   "there is no trace %s", paths[i]);
    verifier_run(verifier, on_broken, lab, &summary);
    LAB_EXPECT(lab, summary.receipts_matched > 20,
               "only %llu receipts of the trace could be checked",
               (unsigned long long)summary.receipts_matched);
    verifier_free(verifier);
}

void lab2b_stamps(struct lab *lab)
{
    static const struct storm plan = {
        .ms = 2000, .keys = 2, .crash = 50, .restart = 300};
    struct store_config config = trio(&lossy, 2);
    struct store *store = store_new(lab, &config);
    char path[600];
    const char *paths[] = {path};

    snprintf(path, sizeof(path), "%s/trace.jsonl", lab->folder);
    store_storm(store, &plan);
    store_end_trace(store);
    lab2b_verify_traces(lab, paths, 1);
    store_free(store);
}
