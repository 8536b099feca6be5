/* SPDX-License-Identifier: MIT */
/*
 * cluster_faults: what breaks in a cluster, beside what the network does by
 * itself. The store survives one failure at a time, so a fault that could be
 * the second one waits until the first is mended: a server dies only while
 * another one has the state, is heard, and is known to have it.
 */
#include "node/random.h"
#include "sim/cluster_state.h"
#include "viewservice/view_server.h"

enum { PAUSE_MAX_MS = 2000, EVERY = 1000, RIGHT_PERCENT = 100 };

static bool chance(struct cluster *cluster, uint32_t per_mille)
{
    return random_between(world_random(cluster->world), 0, 999) < per_mille;
}

static size_t any_server(struct cluster *cluster)
{
    return 1 + random_between(world_random(cluster->world), 0,
                              cluster->config.servers - 1);
}

/* Returns the view service, or NULL while it is down. */
static const struct view_server *view_service(const struct cluster *cluster)
{
    return (const struct view_server *)world_node(cluster->world, VIEW_SERVICE);
}

/* Returns the server of a view's primary or backup if it is alive and has the
 * state of that view, or NULL. */
static const struct server *holder(const struct cluster *cluster,
                                   const struct peer *peer)
{
    for (size_t host = 1; host <= cluster->config.servers; host++) {
        struct peer self = world_peer(cluster->world, host);
        const struct server *server =
            (const struct server *)world_node(cluster->world, host);

        if (server && server->initialised && peer_equal(&self, peer))
            return server;
    }
    return NULL;
}

static size_t host_of(const struct cluster *cluster,
                      const struct server *server)
{
    size_t host = 1;

    while ((const struct server *)world_node(cluster->world, host) != server)
        host++;
    return host;
}

/* Whether the view service has heard a peer lately (V4). */
static bool is_heard(const struct view_server *vs, const struct peer *peer)
{
    for (uint32_t i = 0; i < vs->server_count; i++) {
        if (peer_equal(&vs->servers[i].peer, peer))
            return vs->servers[i].missed_cycles <= VIEW_SERVER_FORGIVEN;
    }
    return false;
}

/* Whether a holder of the state is alive, running and heard. */
static bool is_sound(const struct cluster *cluster,
                     const struct view_server *vs, const struct peer *peer)
{
    const struct server *server = holder(cluster, peer);

    return server && is_heard(vs, peer) &&
           !world_is_paused(cluster->world, host_of(cluster, server));
}

/* Whether the store survives the loss of this server: one backup survives one
 * crash, if it has the state, the view service knows that (V3), and it is not
 * itself about to be given up. */
static bool is_dispensable(const struct cluster *cluster, size_t host)
{
    const struct view_server *vs = view_service(cluster);
    const struct view_record *record;
    struct peer victim = world_peer(cluster->world, host);

    if (!vs || vs->record.view.number == 0)
        return false;
    record = &vs->record;
    if (peer_equal(&victim, &record->view.primary))
        return record->acknowledged == record->view.number &&
               is_sound(cluster, vs, &record->view.backup);
    return is_sound(cluster, vs, &record->view.primary);
}

/* The links are mended with a crash: a server that is cut off could be the one
 * that is needed now. */
bool cluster_may_die(void *context, size_t host)
{
    struct cluster *cluster = context;

    if (cluster->finishing)
        return false;
    if (host == VIEW_SERVICE)
        return true;
    if (host > cluster->config.servers || !is_dispensable(cluster, host))
        return false;
    world_heal(cluster->world);
    return true;
}

/* A ping of a dead server that comes late could make the view service drop the
 * living one, if that one's pings are slow: the network would be the second
 * failure. So it is lost as long as the view counts on the dead server. Later
 * it must change nothing (V8). */
bool cluster_hears_the_dead(void *context, size_t from, uint64_t life,
                            size_t to)
{
    const struct cluster *cluster = context;
    const struct view_server *vs = view_service(cluster);
    struct peer dead = world_peer(cluster->world, from);

    if (to != VIEW_SERVICE)
        return true;
    dead.incarnation = life;
    return !peer_equal(&dead, &vs->record.view.primary) &&
           !peer_equal(&dead, &vs->record.view.backup);
}

/* Cuts a server off from some or all of the others, on the ways out or on both.
 */
static void partition(struct cluster *cluster, size_t host)
{
    bool both_ways = chance(cluster, EVERY / 2);
    uint64_t cut = 0;

    for (size_t other = 0; other <= cluster->config.servers; other++) {
        if (other == host || chance(cluster, 300))
            continue;
        world_cut(cluster->world, host, other, true);
        if (both_ways)
            world_cut(cluster->world, other, host, true);
        cut++;
    }
    if (cut > 0 && both_ways)
        cluster->result.partitions++;
    else if (cut > 0)
        cluster->result.one_way++;
}

/* Whether two servers hold the state and the view service knows it. While only
 * one does, it is left alone: another fault would be a second failure. */
static bool is_paired(const struct cluster *cluster)
{
    const struct view_server *vs = view_service(cluster);

    return vs && vs->record.acknowledged == vs->record.view.number &&
           holder(cluster, &vs->record.view.primary) &&
           holder(cluster, &vs->record.view.backup);
}

static void pause_host(struct cluster *cluster, size_t host)
{
    world_pause(cluster->world, host,
                1000 * (uint64_t)random_between(world_random(cluster->world), 1,
                                                PAUSE_MAX_MS));
}

static void break_server(struct cluster *cluster, size_t host)
{
    const struct cluster_plan *plan = &cluster->config.plan;

    if (!world_is_up(cluster->world, host)) {
        if (chance(cluster, plan->restart))
            world_restart(cluster->world, host);
    } else if (chance(cluster, plan->crash) && is_dispensable(cluster, host)) {
        world_crash(cluster->world, host);
        world_heal(cluster->world);
    } else if (chance(cluster, plan->pause) && is_paired(cluster))
        pause_host(cluster, host);
}

/* The view service and the clients may stop at any time. */
static void break_other(struct cluster *cluster)
{
    uint32_t others = 1 + cluster->config.workload.clients;
    size_t host = random_between(world_random(cluster->world), 0, others - 1);

    if (host > 0)
        host += cluster->config.servers;
    if (chance(cluster, cluster->config.plan.pause) &&
        world_is_up(cluster->world, host))
        pause_host(cluster, host);
}

/* The view service is never down for long: it dies between two effects, or is
 * restarted on the spot. */
static void break_view_service(struct cluster *cluster)
{
    if (world_is_up(cluster->world, VIEW_SERVICE)) {
        if (!chance(cluster, cluster->config.plan.view_restart))
            return;
        world_crash(cluster->world, VIEW_SERVICE);
    }
    world_restart(cluster->world, VIEW_SERVICE);
    cluster->result.view_restarts++;
}

void cluster_break_something(struct cluster *cluster)
{
    const struct cluster_plan *plan = &cluster->config.plan;

    break_server(cluster, any_server(cluster));
    break_other(cluster);
    if (chance(cluster, plan->partition) && is_paired(cluster))
        partition(cluster, any_server(cluster));
    if (chance(cluster, plan->heal))
        world_heal(cluster->world);
    break_view_service(cluster);
}

void cluster_skew(struct cluster *cluster)
{
    uint32_t most = cluster->config.plan.skew;
    size_t hosts =
        1 + cluster->config.servers + cluster->config.workload.clients;

    for (size_t host = 0; most > 0 && host < hosts; host++) {
        uint32_t percent =
            random_between(world_random(cluster->world), RIGHT_PERCENT - most,
                           RIGHT_PERCENT + most);

        world_skew(cluster->world, host, percent);
        cluster->result.skewed += percent != RIGHT_PERCENT;
    }
}

void cluster_repair(struct cluster *cluster)
{
    static const struct world_plan quiet = {.min_us = 100, .max_us = 1000};

    world_heal(cluster->world);
    world_set_plan(cluster->world, &quiet);
    for (size_t host = 0; host <= cluster->config.servers; host++) {
        if (!world_is_up(cluster->world, host))
            world_restart(cluster->world, host);
    }
}
