/* SPDX-License-Identifier: MIT */
/*
 * view_server: rules V1 to V11, each cited at the line that enforces it.
 *
 * Liveness is a count of timer events, not of milliseconds (rule V4): when this
 * process is paused for a minute, it finds one cycle missed and not hundreds,
 * so a pause of the judge kills nobody. Counts stop at dead_pings, so that the
 * states of a view server are finitely many for the explorer.
 *
 * The end of a cycle only counts and never changes the view. A server of the
 * view is given up only in the event in which the other one pings. A count is
 * no proof of life: a server that pinged a cycle ago may have crashed since,
 * and a view that keeps only that one would shut out the other one, which may
 * hold the state and return (rules V5, V6 and V9).
 *
 * A server is told apart by its peer, address and incarnation (rule V8). A view
 * can name a peer whose address now has a newer incarnation in the table: that
 * peer is SERVER_DEAD, and the newer one is an idle server like any other.
 *
 * A ping that is refused changes nothing at all, not even the sender's
 * liveness. It is answered with the view when that can help its sender; a stale
 * ping is not, because a newer one of the same server has been.
 */
#include "viewservice/view_server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

static const struct node_type view_server_type;

static struct view_server *view_server_of(struct node *node)
{
    assert(node->type == &view_server_type);
    return (struct view_server *)node;
}

static const struct view_server *const_view_server_of(const struct node *node)
{
    assert(node->type == &view_server_type);
    return (const struct view_server *)node;
}

/* ---- The decision ---- */

/* Returns the next view in number, with these servers. */
static struct view successor(const struct view *view,
                             const struct peer *primary,
                             const struct peer *backup)
{
    assert(view->number < UINT64_MAX && peer_is_present(primary));
    return (struct view){view->number + 1, *primary, *backup};
}

/* Returns view 1, once there is a server for it. */
static struct view first_view(const struct view *view, const struct peer *idle)
{
    static const struct peer nobody;

    assert(view->number == 0);
    if (!peer_is_present(idle))
        return *view;
    return successor(view, idle, &nobody); /* V1 */
}

struct view view_server_next_view(const struct view *view,
                                  const struct view_facts *facts)
{
    bool has_idle = peer_is_present(&facts->idle);
    bool has_backup = peer_is_present(&view->backup);
    bool backup_dead = has_backup && facts->backup == SERVER_DEAD;
    bool backup_pings = has_backup && facts->backup == SERVER_PINGING;
    bool primary_dead = facts->primary == SERVER_DEAD;
    bool primary_pings = facts->primary == SERVER_PINGING;
    bool primary_heard = primary_pings || facts->primary == SERVER_HEARD;

    assert(peer_is_present(&view->primary) == (view->number > 0));
    assert(!primary_pings || !backup_pings);
    if (view->number == 0)
        return first_view(view, &facts->idle); /* V1 */

    /* V6, and the exception of V3: the primary stays, acknowledged or not. */
    if (primary_pings && backup_dead)
        return successor(view, &view->primary, &facts->idle);

    /* V3 */
    if (!facts->acknowledged)
        return *view;

    /* V5, and V2: nobody but the backup follows. */
    if (primary_dead && backup_pings)
        return successor(view, &view->backup, &facts->idle);

    /* V6 */
    if (primary_heard && !has_backup && has_idle)
        return successor(view, &view->primary, &facts->idle);

    /* V7, and V9: what is silent gets time, what holds the state may return. */
    return *view;
}

/* ---- What is known about servers ---- */

/* Returns what is known at an address, or NULL. */
static struct server_seen *find_server(const struct view_server *vs,
                                       const struct address *address)
{
    assert(vs->server_count <= SERVERS_MAX);
    for (uint32_t i = 0; i < vs->server_count; i++)
        if (address_equal(&vs->servers[i].peer.address, address))
            return &vs->servers[i];
    return NULL;
}

/* V4 */
static enum liveness server_liveness(const struct view_server *vs,
                                     const struct server_seen *seen)
{
    assert(vs->config.dead_pings >= VIEW_SERVER_DEAD_PINGS_MIN);
    if (seen->missed_cycles >= vs->config.dead_pings)
        return SERVER_DEAD;
    return seen->missed_cycles > VIEW_SERVER_FORGIVEN ? SERVER_SILENT
                                                      : SERVER_HEARD;
}

static enum liveness peer_liveness(const struct view_server *vs,
                                   const struct peer *peer,
                                   const struct peer *pinger)
{
    const struct server_seen *seen = find_server(vs, &peer->address);

    assert(seen == NULL || peer->incarnation <= seen->peer.incarnation);
    if (seen == NULL || !peer_equal(&seen->peer, peer)) /* V8: superseded */
        return SERVER_DEAD;
    return peer_equal(peer, pinger) ? SERVER_PINGING
                                    : server_liveness(vs, seen);
}

/* Returns whether an address is that of a server in the view. */
static bool address_is_in_view(const struct view *view,
                               const struct address *address)
{
    assert(address->length > 0);
    return address_equal(address, &view->primary.address) ||
           address_equal(address, &view->backup.address);
}

/* Returns the idle server to choose: of those that are SERVER_HEARD (V7), the
 * one at the address known longest. None: a peer that is not present. */
static struct peer choose_idle(const struct view_server *vs)
{
    const struct view *view = &vs->record.view;

    assert(vs->server_count <= SERVERS_MAX);
    for (uint32_t i = 0; i < vs->server_count; i++) {
        const struct server_seen *seen = &vs->servers[i];
        if (peer_equal(&seen->peer, &view->primary) ||
            peer_equal(&seen->peer, &view->backup))
            continue;
        if (server_liveness(vs, seen) == SERVER_HEARD)
            return seen->peer;
    }
    return (struct peer){0};
}

/* Returns the facts in the event in which the pinger, if present, pings. */
static struct view_facts gather_facts(const struct view_server *vs,
                                      const struct peer *pinger)
{
    const struct view_record *record = &vs->record;

    assert(record->acknowledged <= record->view.number);
    return (struct view_facts){
        .acknowledged = record->acknowledged == record->view.number,
        .primary = peer_liveness(vs, &record->view.primary, pinger),
        .backup = peer_liveness(vs, &record->view.backup, pinger),
        .idle = choose_idle(vs),
    };
}

static struct server_seen *append_server(struct view_server *vs,
                                         const struct peer *peer)
{
    struct server_seen *seen;

    assert(vs->server_count < SERVERS_MAX);
    assert(find_server(vs, &peer->address) == NULL);
    vs->servers = memory_resize(vs->servers, (vs->server_count + 1) *
                                                 sizeof(vs->servers[0]));
    seen = &vs->servers[vs->server_count++];
    *seen = (struct server_seen){.peer = *peer};
    return seen;
}

/* Returns the table's entry for a peer that pings, which is new or known but
 * not superseded. */
static struct server_seen *admit_server(struct view_server *vs, struct env *env,
                                        const struct peer *peer)
{
    struct server_seen *seen = find_server(vs, &peer->address);
    char text[PEER_TEXT_MAX];

    if (seen == NULL) {
        env_log(env, LOG_LEVEL_INFO, "server.joined", "%s",
                peer_format(peer, text));
        return append_server(vs, peer);
    }
    assert(seen->peer.incarnation <= peer->incarnation);
    if (seen->peer.incarnation < peer->incarnation) { /* V8: the old one died */
        env_log(env, LOG_LEVEL_INFO, "server.restarted", "%s",
                peer_format(peer, text));
        *seen = (struct server_seen){.peer = *peer};
    }
    return seen;
}

/* Counts a ping cycle for every server (V4). A ping sets the count back. */
static void count_missed_cycles(struct view_server *vs, struct env *env)
{
    char text[PEER_TEXT_MAX];

    for (uint32_t i = 0; i < vs->server_count; i++) {
        struct server_seen *seen = &vs->servers[i];
        assert(seen->missed_cycles <= vs->config.dead_pings);
        if (seen->missed_cycles == vs->config.dead_pings)
            continue;
        seen->missed_cycles++;
        if (server_liveness(vs, seen) == SERVER_DEAD)
            env_log(env, LOG_LEVEL_INFO, "server.dead", "%s",
                    peer_format(&seen->peer, text));
    }
}

/* Forgets dead servers, but none at an address of the view: there an older
 * incarnation must stay recognisable (V8), and the server may return (V9). */
static void forget_dead_servers(struct view_server *vs)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < vs->server_count; i++) {
        const struct server_seen *seen = &vs->servers[i];
        if (server_liveness(vs, seen) != SERVER_DEAD ||
            address_is_in_view(&vs->record.view, &seen->peer.address))
            vs->servers[kept++] = *seen;
    }
    assert(kept <= vs->server_count);
    vs->server_count = kept;
}

/* ---- The view ---- */

/* Puts the record on disk, before any effect that comes after this (V11). */
static void persist_record(const struct view_server *vs, struct env *env)
{
    struct bytes *encoded = view_record_encode(&vs->record);

    assert(encoded->length <= VIEW_RECORD_MAX);
    env_persist(env, encoded);
    bytes_release(encoded);
}

static void log_view(const struct view *view, struct env *env,
                     const char *event)
{
    char primary[PEER_TEXT_MAX];
    char backup[PEER_TEXT_MAX];

    assert(view->number > 0);
    env_log(env, LOG_LEVEL_INFO, event, "view %" PRIu64 " primary %s backup %s",
            view->number, peer_format(&view->primary, primary),
            peer_format(&view->backup, backup));
}

static void acknowledge_view(struct view_server *vs, struct env *env)
{
    assert(vs->record.acknowledged < vs->record.view.number);
    vs->record.acknowledged = vs->record.view.number; /* V3 */
    persist_record(vs, env);                          /* V11 */
    log_view(&vs->record.view, env, "view.acknowledged");
}

static void change_view(struct view_server *vs, struct env *env,
                        const struct view *next)
{
    assert(next->number == vs->record.view.number + 1);
    assert(next->number == 1 ||
           peer_equal(&next->primary, &vs->record.view.primary) ||
           peer_equal(&next->primary, &vs->record.view.backup)); /* V2 */
    vs->record.view = *next;
    persist_record(vs, env); /* V11 */
    log_view(next, env, "view.changed");
}

/* What every ping that counts leads to: one decision and at most one change
 * (V10). */
static void reconsider_view(struct view_server *vs, struct env *env,
                            const struct peer *pinger)
{
    struct view_facts facts = gather_facts(vs, pinger);
    struct view next = view_server_next_view(&vs->record.view, &facts);

    assert(next.number >= vs->record.view.number);
    if (next.number > vs->record.view.number)
        change_view(vs, env, &next);
    forget_dead_servers(vs);
}

/* Sends the view, and tells an older incarnation that it is one (V8). */
static void reply_view(const struct view_server *vs, struct env *env,
                       const struct peer *to)
{
    const struct server_seen *seen = find_server(vs, &to->address);
    struct view_message view;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    assert(peer_is_present(to));
    view_to_message(&vs->record.view, &view);
    reply.view = &view.view;
    if (seen != NULL && to->incarnation < seen->peer.incarnation)
        reply.superseded_by = seen->peer.incarnation;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    env_send(env, to, &body);
}

/* ---- Pings ---- */

/* Why a ping is refused: the event's name and level, and whether the sender
 * gets the view all the same. */
struct refusal {
    const char *event;
    enum log_level level;
    bool is_answered;
};

static const struct refusal anonymous = {"ping.anonymous", LOG_LEVEL_WARN,
                                         false};
static const struct refusal superseded = {"ping.superseded", LOG_LEVEL_WARN,
                                          true};
static const struct refusal from_the_future = {"ping.from_the_future",
                                               LOG_LEVEL_WARN, true};
static const struct refusal stale = {"ping.stale", LOG_LEVEL_DEBUG, false};
static const struct refusal full = {"ping.full", LOG_LEVEL_WARN, true};

/* Returns why a ping is refused, or NULL when it counts. */
static const struct refusal *ping_refusal(const struct view_server *vs,
                                          const struct peer *from,
                                          uint64_t view)
{
    const struct server_seen *seen = find_server(vs, &from->address);

    assert(seen == NULL || seen->peer.incarnation > 0);
    if (from->incarnation == 0)
        return &anonymous; /* without an identity there is no V8 */
    if (seen != NULL && from->incarnation < seen->peer.incarnation)
        return &superseded; /* V8 */
    if (view > vs->record.view.number)
        return &from_the_future; /* V11: nobody heard of it from here */
    if (seen != NULL && peer_equal(&seen->peer, from) && view < seen->view)
        return &stale; /* V8; an equal number counts, because of T2 */
    if (seen == NULL && vs->server_count == SERVERS_MAX)
        return &full;
    return NULL;
}

static void refuse_ping(const struct view_server *vs, struct env *env,
                        const struct peer *from, uint64_t view,
                        const struct refusal *refusal)
{
    char text[PEER_TEXT_MAX];

    assert(refusal != NULL);
    env_log(env, refusal->level, refusal->event,
            "from %s with view %" PRIu64 " in view %" PRIu64,
            peer_format(from, text), view, vs->record.view.number);
    if (refusal->is_answered)
        reply_view(vs, env, from);
}

/* Returns whether a ping by this peer acknowledges the view (V3). */
static bool ping_acknowledges(const struct view_record *record,
                              const struct peer *from, uint64_t view)
{
    assert(view <= record->view.number);
    return peer_equal(from, &record->view.primary) &&
           view == record->view.number && record->acknowledged < view;
}

static void on_ping(struct view_server *vs, struct env *env,
                    const struct peer *from, uint64_t view)
{
    const struct refusal *refusal = ping_refusal(vs, from, view);
    struct server_seen *seen;

    if (refusal != NULL) {
        refuse_ping(vs, env, from, view, refusal);
        return;
    }
    seen = admit_server(vs, env, from);
    assert(peer_equal(&seen->peer, from) && seen->view <= view);
    seen->view = view;
    seen->missed_cycles = 0; /* V4 */
    if (ping_acknowledges(&vs->record, from, view))
        acknowledge_view(vs, env);
    reconsider_view(vs, env, from); /* V10: in this event, not a later one */
    reply_view(vs, env, from);
}

/* ---- Other messages ---- */

static void on_get_view(const struct view_server *vs, struct env *env,
                        const struct peer *from)
{
    char text[PEER_TEXT_MAX];

    assert(peer_is_present(from));
    env_log(env, LOG_LEVEL_DEBUG, "view.asked", "by %s",
            peer_format(from, text));
    reply_view(vs, env, from);
}

static void ignore_message(struct env *env, const struct peer *from,
                           Pbkv__Body__KindCase kind)
{
    char text[PEER_TEXT_MAX];

    assert(kind != PBKV__BODY__KIND__NOT_SET);
    env_log(env, LOG_LEVEL_WARN, "message.unexpected", "%s from %s",
            message_name(kind), peer_format(from, text));
}

/* ---- The node ---- */

static void on_start(struct node *node, struct env *env)
{
    const struct view_server *vs = view_server_of(node);

    assert(vs->server_count <= 2);
    if (vs->record.view.number > 0)
        log_view(&vs->record.view, env, "view.restored");
    env_set_timer(env, VIEW_SERVER_TIMER, vs->config.ping_ms,
                  vs->config.ping_ms);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct view_server *vs = view_server_of(node);

    assert(body != NULL);
    if (body->kind_case == PBKV__BODY__KIND_PING)
        on_ping(vs, env, from, body->ping->view);
    else if (body->kind_case == PBKV__BODY__KIND_GET_VIEW)
        on_get_view(vs, env, from);
    else if (body->kind_case == PBKV__BODY__KIND_ECHO)
        message_answer_echo(env, from, body->echo);
    else
        ignore_message(env, from, body->kind_case);
}

/* The end of a ping cycle, which counts and decides nothing (V9). */
static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct view_server *vs = view_server_of(node);

    assert(slot == VIEW_SERVER_TIMER);
    count_missed_cycles(vs, env);
    forget_dead_servers(vs);
    env_set_timer(env, VIEW_SERVER_TIMER, vs->config.ping_ms,
                  vs->config.ping_ms);
}

static struct node *view_server_clone(const struct node *node)
{
    const struct view_server *vs = const_view_server_of(node);
    struct view_server *copy = memory_new(sizeof(*copy));

    *copy = *vs;
    copy->servers = NULL;
    if (vs->server_count > 0) {
        size_t size = vs->server_count * sizeof(vs->servers[0]);
        copy->servers = memory_new(size);
        memcpy(copy->servers, vs->servers, size);
    }
    assert(copy->server_count == vs->server_count);
    return &copy->node;
}

static void view_server_release(struct node *node)
{
    struct view_server *vs = view_server_of(node);

    assert(vs->servers != NULL || vs->server_count == 0);
    free(vs->servers);
    free(vs);
}

static void view_server_describe(const struct node *node, struct sink *sink)
{
    const struct view_server *vs = const_view_server_of(node);

    assert(vs->server_count <= SERVERS_MAX);
    sink_u64(sink, "ping_ms", vs->config.ping_ms);
    sink_u64(sink, "dead_pings", vs->config.dead_pings);
    view_describe(&vs->record.view, "view", sink);
    sink_u64(sink, "acknowledged", vs->record.acknowledged);
    sink_open(sink, "servers");
    for (uint32_t i = 0; i < vs->server_count; i++) {
        sink_open(sink, "server");
        peer_describe(&vs->servers[i].peer, "peer", sink);
        sink_u64(sink, "view", vs->servers[i].view);
        sink_u64(sink, "missed_cycles", vs->servers[i].missed_cycles);
        sink_close(sink);
    }
    sink_close(sink);
}

/* Asserts what must hold of one entry of the table. */
static void check_server(const struct view_server *vs,
                         const struct server_seen *seen)
{
    assert(peer_is_present(&seen->peer) && seen->peer.incarnation > 0);
    assert(find_server(vs, &seen->peer.address) == seen); /* no duplicates */
    assert(seen->view <= vs->record.view.number);
    assert(server_liveness(vs, seen) != SERVER_DEAD ||
           address_is_in_view(&vs->record.view, &seen->peer.address));
}

static void view_server_check(const struct node *node)
{
    static const struct peer nobody;
    const struct view_server *vs = const_view_server_of(node);
    const struct view *view = &vs->record.view;
    struct view_facts facts = gather_facts(vs, &nobody);
    struct view next = view_server_next_view(view, &facts);

    assert(view_record_is_possible(&vs->record));
    assert(view->number == 0 ||
           find_server(vs, &view->primary.address) != NULL);
    assert(!peer_is_present(&view->backup) ||
           find_server(vs, &view->backup.address) != NULL);
    assert(view_equal(&next, view)); /* V10: no change is overdue */
    for (uint32_t i = 0; i < vs->server_count; i++)
        check_server(vs, &vs->servers[i]);
}

static void view_server_inspect(const struct node *node,
                                struct inspection *inspection)
{
    const struct view_server *vs = const_view_server_of(node);

    assert(vs->server_count <= SERVERS_MAX);
    inspection->role = "view service";
    inspection->view = vs->record.view;
    inspection->server_count = vs->server_count;
    for (uint32_t i = 0; i < vs->server_count; i++)
        inspection->servers[i] = vs->servers[i];
}

static const struct node_type view_server_type = {
    .name = "view service",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_timer,
    .clone = view_server_clone,
    .release = view_server_release,
    .describe = view_server_describe,
    .check = view_server_check,
    .inspect = view_server_inspect,
};

struct node *view_server_new(const struct view_server_config *config,
                             const struct view_record *record)
{
    struct view_server *vs = memory_new(sizeof(*vs));

    assert(config->ping_ms > 0);
    assert(config->dead_pings >= VIEW_SERVER_DEAD_PINGS_MIN);
    vs->node.type = &view_server_type;
    vs->config = *config;
    if (record != NULL) { /* V11 */
        assert(view_record_is_possible(record));
        vs->record = *record;
        if (peer_is_present(&record->view.primary))
            append_server(vs, &record->view.primary);
        if (peer_is_present(&record->view.backup))
            append_server(vs, &record->view.backup);
    }
    return &vs->node;
}
