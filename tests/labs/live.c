/* SPDX-License-Identifier: MIT */
/*
 * live: see live.h. What the programs do is waited for, by asking them or by
 * what the clients were told, and every wait has an end.
 */
#include "tests/labs/live.h"

#include <inttypes.h>

void live_settles(struct lab *lab, struct cluster *cluster,
                  const struct process *primary, const struct process *backup)
{
    struct pbkv_view view = {0};

    LAB_EXPECT(lab, cluster_settles(cluster, primary, backup, &view),
               "there is no acknowledged view with primary %s and backup %s in "
               "time; the view is %" PRIu64,
               primary->name, backup ? backup->name : "nobody", view.number);
}

void live_form(struct lab *lab, struct cluster *cluster,
               struct process **servers, unsigned count)
{
    LAB_EXPECT(lab, cluster_form(cluster, servers, count),
               "a view service and %u of the servers do not form a view",
               count);
}

void live_audit(struct lab *lab, struct cluster *cluster, struct ledger *ledger,
                uint64_t least)
{
    struct pbkv *store = cluster_open(cluster, NULL);
    uint64_t acknowledged = ledger_finish(ledger);
    const char *problem = ledger_audit(ledger, store);

    LAB_EXPECT(lab, !problem,
               "the appends of the clients are not all there, "
               "once and in order: %s",
               problem);
    LAB_EXPECT(lab, acknowledged >= least,
               "only %" PRIu64 " of %" PRIu64 " appends were acknowledged",
               acknowledged, least);
    ledger_free(ledger);
    pbkv_close(store);
}

void live_reaches(struct lab *lab, struct ledger *ledger, uint64_t count)
{
    LAB_EXPECT(lab, ledger_reaches(ledger, count),
               "the clients do not come to %" PRIu64 " acknowledged appends",
               count);
}
