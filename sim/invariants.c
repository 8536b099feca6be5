/* SPDX-License-Identifier: MIT */
/*
 * invariants: see invariants.h. An event changes one host, so a check looks at
 * that host, and at the others only as far as they are compared with it.
 */
#include "sim/invariants.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pbserver/server.h"
#include "viewservice/view_server.h"

void invariants_init(struct invariants *invariants, const struct world *world,
                     size_t view_service)
{
    memset(invariants, 0, sizeof(*invariants));
    invariants->world = world;
    invariants->view_service = view_service;
}

void invariants_add_server(struct invariants *invariants, size_t host)
{
    assert(invariants->server_count < INVARIANTS_SERVERS_MAX);
    invariants->servers[invariants->server_count++].host = host;
}

void invariants_violated(struct invariants *invariants, const char *sentence,
                         const char *detail)
{
    if (invariants->violation)
        return;
    invariants->violation = sentence;
    snprintf(invariants->detail, sizeof(invariants->detail), "%s", detail);
}

/* ---- The view service ---- */

/* Returns whether the state of view number was in this peer's hands. Of a life
 * that is over nothing is known any more, and it can do no harm. */
static bool has_held(const struct invariants *invariants,
                     const struct peer *peer, uint64_t number)
{
    for (size_t i = 0; i < invariants->server_count; i++) {
        const struct invariants_server *seen = &invariants->servers[i];
        struct peer self = world_peer(invariants->world, seen->host);

        if (address_equal(&self.address, &peer->address))
            return seen->life > peer->incarnation ||
                   (seen->life == peer->incarnation && seen->held == number);
    }
    return false;
}

/* Returns what is wrong with a view that follows another, or NULL. */
static const char *check_successor(const struct invariants *invariants,
                                   const struct view *old,
                                   const struct view *next)
{
    if (next->number < old->number)
        return "the view went back"; /* V11 */
    if (next->number > old->number + 1)
        return "the view changed twice in one event"; /* V10 */
    if (old->number == 0)
        return peer_is_present(&next->backup) ? "view 1 has a backup" : NULL;
    if (peer_equal(&next->primary, &old->primary))
        return NULL;
    if (!peer_equal(&next->primary, &old->backup)) /* V2 */
        return "somebody from outside the view was made primary";
    if (!has_held(invariants, &next->primary, old->number)) /* V3, T2 */
        return "a server without the state was made primary";
    return NULL;
}

/* V11 */
static const char *check_disk(const struct world *world, size_t host,
                              const struct view_record *record)
{
    const struct bytes *octets = world_record(world, host);
    struct view_record stored;
    const char *reason;

    if (!octets ||
        view_record_decode(octets->data, octets->length, &stored, &reason) < 0)
        return "the view is not on disk";
    if (!view_equal(&stored.view, &record->view))
        return "the view is not on disk";
    if (stored.acknowledged != record->acknowledged)
        return "the view's acknowledgement is not on disk";
    return NULL;
}

static const struct view_record *record_of(const struct invariants *invariants)
{
    const struct node *node =
        world_node(invariants->world, invariants->view_service);

    return &((const struct view_server *)node)->record;
}

static bool is_news(const struct invariants *invariants,
                    const struct view_record *record)
{
    return record->acknowledged != invariants->acknowledged ||
           record->view.number != invariants->view.number;
}

/* Returns what is wrong with the view service's news, or NULL. */
static const char *check_news(const struct invariants *invariants,
                              const struct view_record *record)
{
    const char *sentence = NULL;

    if (record->view.number != invariants->view.number)
        sentence =
            check_successor(invariants, &invariants->view, &record->view);
    if (!sentence && record->acknowledged == record->view.number &&
        peer_is_present(&record->view.backup) &&
        !has_held(invariants, &record->view.backup, record->view.number))
        sentence = "a view was acknowledged whose backup has no state"; /* T2 */
    if (!sentence)
        sentence =
            check_disk(invariants->world, invariants->view_service, record);
    return sentence;
}

static void check_view_service(struct invariants *invariants)
{
    const struct view_record *record = record_of(invariants);
    const char *sentence;
    char detail[128];

    if (!is_news(invariants, record))
        return;
    sentence = check_news(invariants, record);
    if (sentence) {
        snprintf(detail, sizeof(detail), "view %" PRIu64 " after view %" PRIu64,
                 record->view.number, invariants->view.number);
        invariants_violated(invariants, sentence, detail);
    }
    invariants->view = record->view;
    invariants->acknowledged = record->acknowledged;
}

/* In the event that makes news, nobody hears of it before the disk (V11). */
void invariants_on_message(struct invariants *invariants,
                           const struct world_message *message)
{
    const struct view_record *record;
    const char *sentence;

    if (message->from != invariants->view_service ||
        message->what != PBKV__BODY__KIND_VIEW_REPLY)
        return;
    record = record_of(invariants);
    if (!is_news(invariants, record))
        return;
    sentence = check_disk(invariants->world, invariants->view_service, record);
    if (sentence)
        invariants_violated(invariants, sentence, "and it is told");
}

/* ---- Servers ---- */

static const struct server *server_at(const struct invariants *invariants,
                                      size_t host)
{
    return (const struct server *)world_node(invariants->world, host);
}

static bool sums_equal(const struct digest_sum *a, const struct digest_sum *b)
{
    return a->low == b->low && a->high == b->high;
}

/* The primary and the installed backup of one view have the same state at the
 * same op number. */
static void check_digests(struct invariants *invariants, const struct server *a,
                          const struct server *b)
{
    struct digest left;
    struct digest right;
    char detail[64];

    if (!a->initialised || !b->initialised ||
        a->view.number != b->view.number || a->state.op != b->state.op ||
        (sums_equal(&a->state.kv.sum, &b->state.kv.sum) &&
         sums_equal(&a->state.sessions.sum, &b->state.sessions.sum)))
        return;
    left = state_digest(&a->state);
    right = state_digest(&b->state);
    if (digest_equal(&left, &right))
        return;
    snprintf(detail, sizeof(detail), "view %" PRIu64 " op %" PRIu64,
             a->view.number, a->state.op);
    invariants_violated(
        invariants, "primary and backup differ at the same op number", detail);
}

/* Whoever serves in a later view has everything that was committed before. */
static void check_committed(struct invariants *invariants,
                            const struct server *server)
{
    const char *sentence = NULL;
    char detail[128];

    if (!server_is_serving(server))
        return;
    if (server->view.number > invariants->committed_view &&
        server->state.op < invariants->committed)
        sentence = "a committed operation was lost";
    if (server->committed > invariants->committed &&
        server->view.number < invariants->committed_view)
        sentence = "a deposed primary committed an operation";
    if (sentence) {
        snprintf(detail, sizeof(detail),
                 "view %" PRIu64 " op %" PRIu64 ", committed in view %" PRIu64
                 ": %" PRIu64,
                 server->view.number, server->state.op,
                 invariants->committed_view, invariants->committed);
        invariants_violated(invariants, sentence, detail);
    }
    if (server->committed > invariants->committed) {
        invariants->committed = server->committed;
        invariants->committed_view = server->view.number;
    }
}

/* Notes how far a server is. Its view never goes down in one life (P2). */
static void note_server(struct invariants *invariants,
                        struct invariants_server *seen,
                        const struct server *server)
{
    char detail[64];

    if (seen->life != server->config.self.incarnation) {
        seen->life = server->config.self.incarnation;
        seen->view = 0;
        seen->held = 0;
    }
    if (server->view.number < seen->view) {
        snprintf(detail, sizeof(detail), "view %" PRIu64 " after view %" PRIu64,
                 server->view.number, seen->view);
        invariants_violated(invariants, "a server's view went down", detail);
    }
    seen->view = server->view.number;
    if (server->initialised)
        seen->held = server->view.number;
}

static void check_server(struct invariants *invariants,
                         struct invariants_server *seen)
{
    const struct server *server = server_at(invariants, seen->host);

    note_server(invariants, seen, server);
    check_committed(invariants, server);
    for (size_t i = 0; i < invariants->server_count; i++) {
        size_t other = invariants->servers[i].host;

        if (other != seen->host && world_is_up(invariants->world, other))
            check_digests(invariants, server, server_at(invariants, other));
    }
}

void invariants_check(struct invariants *invariants, size_t host)
{
    if (!world_is_up(invariants->world, host))
        return;
    if (host == invariants->view_service) {
        check_view_service(invariants);
        return;
    }
    for (size_t i = 0; i < invariants->server_count; i++) {
        if (invariants->servers[i].host == host)
            check_server(invariants, &invariants->servers[i]);
    }
}

static bool never_happens(const char *name)
{
    static const char *const never[] = {
        "chunk.digest",       "chunk.impossible",  "forward.impossible",
        "chunk_ack.ahead",    "forward_ack.ahead", "forward.uninitialised",
        "message.unexpected", "ping.anonymous",    "ping.from_the_future",
        "refusal.unexpected", "reply.unexpected",  "reply.unknown",
        "view.conflict",      "view.foreign",      "view.unexpected",
        "view.uninitialised",
    };

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (strcmp(name, never[i]) == 0)
            return true;
    }
    return false;
}

/* Names are constants, so most are known by where they are. */
void invariants_on_event(struct invariants *invariants, size_t host,
                         const char *name)
{
    const char **place =
        &invariants->harmless[(uintptr_t)name % INVARIANTS_NAMES];
    char detail[PEER_TEXT_MAX + 64];
    struct peer self;

    if (*place == name)
        return;
    if (!never_happens(name)) {
        *place = name;
        return;
    }
    self = world_peer(invariants->world, host);
    snprintf(detail, sizeof(detail), "%s at %s", name, self.address.text);
    invariants_violated(invariants, "an impossible event", detail);
}
