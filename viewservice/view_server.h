/* SPDX-License-Identifier: MIT */
/*
 * view_server: the view service's role. It watches which servers ping, and
 * decides who is primary and who is backup (rules V1 to V11).
 *
 * It is a function of its state and one event, like every role (node/node.h).
 * Three events matter: a Ping, a GetView and the end of a ping cycle. Only a
 * ping can change the view. It goes this way: note what it tells about servers,
 * acknowledge the view if it does, decide once whether the view changes,
 * answer. All judgement is in one pure function, view_server_next_view, which
 * reads as a table. The end of a cycle only counts (rule V4).
 *
 * The view service itself is one process. While it is away the servers go on in
 * the view they have; when it returns it reads its record (rule V11) and goes
 * on where it was. Its events are listed in docs/protocol.md.
 */
#ifndef VIEWSERVICE_VIEW_SERVER_H
#define VIEWSERVICE_VIEW_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "node/node.h"
#include "node/view.h"
#include "viewservice/view_record.h"

enum {
    VIEW_SERVER_TIMER = 0, /* timer slot: the end of a ping cycle */
    /* Ends of cycles since a server's last ping. One of them means nothing: the
     * ping may have come just before. At two a whole cycle was missed, which is
     * forgiven too, so death comes with the third at the earliest (rule V4). */
    VIEW_SERVER_FORGIVEN = 1,
    VIEW_SERVER_DEAD_PINGS_MIN = 3,
};

struct view_server_config {
    uint32_t ping_ms;    /* length of a ping cycle, at least 1 */
    uint32_t dead_pings; /* ends of cycles since the last ping that mean death,
                            at least VIEW_SERVER_DEAD_PINGS_MIN */
};

struct view_server {
    struct node node;
    struct view_server_config config;

    /* Rule V11: what a change of it says is told to nobody until it is on disk.
     * Rule V3 is in it: the view and the newest acknowledged number. */
    struct view_record record;

    /* Rule V8: one entry for each address, the newest incarnation that pinged
     * from there, in the order in which the addresses became known. The
     * addresses of the view stay here for as long as they are in it; a dead
     * server at another address is forgotten. */
    uint32_t server_count;
    struct server_seen *servers;
};

/*
 * How a server stands with the view service (rule V4), by its missed cycles:
 * the ends of ping cycles since its last ping. One is no sign of anything, as
 * every cycle ends between two pings; pings that drift against the cycles, or
 * one that is lost, make it two. So dead_pings of 3 or more suit a real
 * network. Only the event of a server's own ping proves that it is there.
 */
enum liveness {
    SERVER_DEAD,    /* dead_pings or more, or superseded, or never heard of */
    SERVER_SILENT,  /* more than the forgiven number, but not dead yet */
    SERVER_HEARD,   /* at most the forgiven number */
    SERVER_PINGING, /* this very event is its ping */
};

/* All that a change of view depends on, besides the view. */
struct view_facts {
    bool acknowledged; /* the primary has acknowledged the view */
    enum liveness primary;
    enum liveness backup; /* of no meaning when the view has no backup */
    struct peer idle;     /* an idle server that is SERVER_HEARD, or none */
};

/*
 * Returns the view that follows in this situation, or the same view when
 * nothing changes. Rules V1 to V3, V5 to V7 and V9; a pure function. A server
 * of the view is dropped or replaced only when the other one is SERVER_PINGING;
 * an empty slot is filled when the primary is at least SERVER_HEARD. At most
 * one of the two is SERVER_PINGING, as an event is one server's.
 */
struct view view_server_next_view(const struct view *view,
                                  const struct view_facts *facts);

/*
 * Returns a new view server, which goes on from a record, or starts at view 0
 * when record is NULL. Both arguments are copied. A record must be possible
 * (view_record_is_possible). The caller owns the node; node_release frees it.
 */
struct node *view_server_new(const struct view_server_config *config,
                             const struct view_record *record);

#endif
