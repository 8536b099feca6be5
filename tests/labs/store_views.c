/* SPDX-License-Identifier: MIT */
/*
 * store_views: the view, as the view service tells it. Whatever is said of
 * views in any message is judged at once (V2, V3, V7, V11, P2), in every
 * test; and the newest view, with its acknowledgement, is what tests wait for.
 */
#include <inttypes.h>

#include "tests/labs/store_state.h"

/* ---- Judgement ------------------------------------------------------------
 */

/* V2, V3, V7: what can be said of a view and the one that follows it. */
static void judge_successor(struct store *store, const struct view *next)
{
    const struct view *last = &store->view;
    bool same_primary = peer_equal(&next->primary, &last->primary);

    LAB_EXPECT(store->lab,
               same_primary || peer_equal(&next->primary, &last->backup),
               "the primary of view %" PRIu64 " was neither primary nor backup "
               "of view %" PRIu64 " (V2)",
               next->number, last->number);
    LAB_EXPECT(store->lab, same_primary || store->acknowledged == last->number,
               "view %" PRIu64 " names another primary although the primary of "
               "view %" PRIu64 " has not acknowledged that view (V3)",
               next->number, last->number);
    LAB_EXPECT(store->lab,
               !same_primary || !peer_equal(&next->backup, &last->backup),
               "view %" PRIu64 " has the same servers as view %" PRIu64 " (V7)",
               next->number, last->number);
}

static void judge_view(struct store *store, const Pbkv__ViewReply *reply)
{
    struct view view;

    if (view_from_message(reply->view, &view) != 0)
        return;
    LAB_EXPECT(store->lab, view.number >= store->view.number,
               "the view service told view %" PRIu64 " after view %" PRIu64,
               view.number, store->view.number);
    if (view.number == store->view.number) {
        LAB_EXPECT(store->lab, view_equal(&view, &store->view),
                   "the view service told two different views of number "
                   "%" PRIu64,
                   view.number);
        return;
    }
    LAB_EXPECT(store->lab,
               peer_is_present(&view.primary) &&
                   !peer_equal(&view.primary, &view.backup),
               "view %" PRIu64 " has no primary, or one server in both places",
               view.number);
    if (view.number == store->view.number + 1 && store->view.number > 0)
        judge_successor(store, &view);
    store->view = view;
    store_note(store, VS, "view %" PRIu64 " is published", view.number);
}

/* P2: no server talks of a view that does not exist. */
static void judge_view_number(struct store *store, int from, uint64_t number,
                              const char *what)
{
    if (store->config.by_hand & 1)
        return;
    LAB_EXPECT(store->lab, number <= store->view.number,
               "%s sent a %s of view %" PRIu64
               ", which the view service has not published (P2)",
               store_name(store, from), what, number);
}

void store_judge_message(struct store *store, const struct flight *flight,
                         const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_VIEW_REPLY:
        if (flight->from == VS && !(store->config.by_hand & 1))
            judge_view(store, body->view_reply);
        break;
    case PBKV__BODY__KIND_PING:
        if (!(store->config.by_hand >> flight->from & 1))
            judge_view_number(store, flight->from, body->ping->view, "ping");
        break;
    case PBKV__BODY__KIND_FORWARD:
        if (!(store->config.by_hand >> flight->from & 1))
            judge_view_number(store, flight->from, body->forward->view,
                              "forward");
        break;
    default: break;
    }
}

void store_note_ping(struct store *store, const struct flight *flight,
                     const Pbkv__Body *body)
{
    struct actor *from = &store->actors[flight->from];
    struct peer pinger = peer_at(from->address, flight->from_life);

    if (flight->from_life == from->life)
        from->heard_us = world_now(store->world);
    if (body->ping->view == store->view.number &&
        peer_equal(&pinger, &store->view.primary) &&
        store->acknowledged < body->ping->view)
        store->acknowledged = body->ping->view; /* V3 */
}

/* ---- What can be seen -----------------------------------------------------
 */

const struct view *store_view(const struct store *store)
{
    return &store->view;
}

uint64_t store_acknowledged(const struct store *store)
{
    return store->acknowledged;
}

bool store_view_is(struct store *store, int primary, int backup)
{
    struct peer first = store_peer(store, primary);
    struct peer second = store_peer(store, backup);

    return peer_equal(&store->view.primary, &first) &&
           peer_equal(&store->view.backup, &second);
}

struct pair {
    int primary;
    int backup;
};

static bool is_settled(struct store *store, const void *argument)
{
    const struct pair *pair = argument;

    return store_view_is(store, pair->primary, pair->backup) &&
           store->acknowledged == store->view.number;
}

void store_settles(struct store *store, int primary, int backup)
{
    struct pair pair = {primary, backup};
    char text[2][PEER_TEXT_MAX];

    LAB_EXPECT(store->lab, store_until(store, is_settled, &pair, 2 * SOON_MS),
               "within %d ms there is no acknowledged view with primary %s and "
               "backup %s: the view is %" PRIu64
               " with primary %s and backup %s, and view %" PRIu64
               " is acknowledged (V3 to V6, T2)",
               2 * SOON_MS, store_name(store, primary),
               store_name(store, backup), store->view.number,
               peer_format(&store->view.primary, text[0]),
               peer_format(&store->view.backup, text[1]), store->acknowledged);
}
