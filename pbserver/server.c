/* SPDX-License-Identifier: MIT */
/*
 * server: the life cycle of a kv server and the table of who handles what; see
 * server.h for the map.
 */
#include "pbserver/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

static const struct node_type server_type;

static struct server *server_of(struct node *node)
{
    assert(node->type == &server_type);
    return (struct server *)node;
}

static const struct server *server_of_const(const struct node *node)
{
    assert(node->type == &server_type);
    return (const struct server *)node;
}

struct server_config server_config_default(void)
{
    return (struct server_config){
        .ping_ms = 100,
        .resend_ms = 50,
        .limits =
            {
                .key = KEY_LIMIT,
                .value = VALUE_LIMIT,
                .sessions = 65536,
                .octets = (uint64_t)8 << 30,
            },
        .log_octets = (size_t)512 << 20,
        .read_octets = (size_t)64 << 20,
        .chunk_octets = CHUNK_LIMIT / 4,
    };
}

struct node *server_new(const struct server_config *config)
{
    struct server *server = memory_new(sizeof(*server));

    assert(peer_is_present(&config->self) && config->self.incarnation > 0);
    assert(config->limits.key <= KEY_LIMIT);
    assert(config->limits.value <= VALUE_LIMIT);
    assert(config->limits.sessions > 0);
    server->node.type = &server_type;
    server->config = *config;
    state_init(&server->state);
    state_init(&server->in.state);
    oplog_init(&server->log, 1);
    reads_init(&server->reads);
    waste_init(&server->waste);
    return &server->node;
}

void server_set_address(struct node *node, const struct address *address)
{
    struct server *server = server_of(node);

    assert(server->view.number == 0 && address->length > 0);
    server->config.self.address = *address;
}

bool server_is_primary(const struct server *server)
{
    return server->is_primary;
}

bool server_is_backup(const struct server *server)
{
    return server->is_backup;
}

bool server_is_serving(const struct server *server)
{
    return server_is_primary(server) && server->initialised && !server->deposed;
}

bool server_commits_alone(const struct server *server)
{
    return !peer_is_present(&server->view.backup) ||
           (server->out.active && !server->out.closed);
}

bool server_has_installed_backup(const struct server *server)
{
    return peer_is_present(&server->view.backup) && !server->out.active;
}

uint64_t server_room(const struct server *server)
{
    return server->config.limits.octets + server->config.limits.octets / 8 +
           (uint64_t)server->config.limits.sessions * SESSION_COST;
}

void server_discard(struct server *server, struct env *env, struct state *state)
{
    waste_take(&server->waste, &state->kv);
    state_release(state);
    if (server->waste.count > 0)
        env_set_timer(env, SERVER_TIMER_WASTE, WASTE_MS, WASTE_MS);
}

static void on_waste_timer(struct server *server, struct env *env)
{
    if (waste_free_some(&server->waste))
        env_set_timer(env, SERVER_TIMER_WASTE, WASTE_MS, WASTE_MS);
}

static void on_start(struct node *node, struct env *env)
{
    server_on_ping_timer(server_of(node), env);
}

static void on_message(struct node *node, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    struct server *server = server_of(node);

    switch (body->kind_case) {
    case PBKV__BODY__KIND_VIEW_REPLY:
        server_on_view_reply(server, env, from, body->view_reply);
        break;
    case PBKV__BODY__KIND_OPEN_SESSION:
    case PBKV__BODY__KIND_GET:
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND:
    case PBKV__BODY__KIND_SCAN:
        server_on_request(server, env, from, body);
        break;
    case PBKV__BODY__KIND_FORWARD:
        server_on_forward(server, env, from, body->forward);
        break;
    case PBKV__BODY__KIND_FORWARD_ACK:
        server_on_forward_ack(server, env, from, body->forward_ack);
        break;
    case PBKV__BODY__KIND_REFUSAL:
        server_on_refusal(server, env, from, body->refusal);
        break;
    case PBKV__BODY__KIND_CHUNK:
        server_on_chunk(server, env, from, body->chunk);
        break;
    case PBKV__BODY__KIND_CHUNK_ACK:
        server_on_chunk_ack(server, env, from, body->chunk_ack);
        break;
    case PBKV__BODY__KIND_ECHO:
        message_answer_echo(env, from, body->echo);
        break;
    default:
        env_log(env, LOG_LEVEL_WARN, "message.unexpected", "%s from %s",
                message_name(body->kind_case), from->address.text);
        break;
    }
}

static void on_timer(struct node *node, struct env *env, unsigned slot)
{
    struct server *server = server_of(node);

    if (slot == SERVER_TIMER_PING)
        server_on_ping_timer(server, env);
    else if (slot == SERVER_TIMER_TURN)
        server_on_turn_timer(server, env);
    else if (slot == SERVER_TIMER_WASTE)
        on_waste_timer(server, env);
    else {
        assert(slot == SERVER_TIMER_RESEND);
        server_on_resend_timer(server, env);
    }
}

static struct node *server_clone(const struct node *node)
{
    const struct server *server = server_of_const(node);
    struct server *copy = memory_new(sizeof(*copy));

    *copy = *server;
    state_clone(&server->state, &copy->state);
    oplog_clone(&server->log, &copy->log);
    reads_clone(&server->reads, &copy->reads);
    transfer_clone(server, copy);
    waste_init(&copy->waste);
    return &copy->node;
}

static void server_release(struct node *node)
{
    struct server *server = server_of(node);

    transfer_clear(server);
    reads_release(&server->reads);
    oplog_release(&server->log);
    state_release(&server->state);
    waste_release(&server->waste);
    free(server);
}

static void describe(const struct node *node, struct sink *sink)
{
    const struct server *server = server_of_const(node);

    peer_describe(&server->config.self, "self", sink);
    view_describe(&server->view, "view", sink);
    sink_u64(sink, "acknowledged", server->acknowledged);
    sink_bool(sink, "pinged_early", server->pinged_early);
    sink_bool(sink, "initialised", server->initialised);
    state_describe(&server->state, sink);
    oplog_describe(&server->log, sink);
    sink_u64(sink, "committed", server->committed);
    sink_u64(sink, "forwarded", server->forwarded);
    sink_u64(sink, "flight_octets", server->flight_octets);
    sink_u64(sink, "round", server->round);
    sink_u64(sink, "confirmed", server->confirmed);
    reads_describe(&server->reads, sink);
    sink_bool(sink, "deposed", server->deposed);
    sink_bool(sink, "backup_full", server->backup_full);
    sink_bool(sink, "progressed", server->progressed);
    sink_u64(sink, "patience", server->patience);
    sink_bool(sink, "resending", server->resending);
    sink_bool(sink, "turning", server->turning);
    transfer_describe(server, sink);
}

static void check_primary(const struct server *server)
{
    assert(oplog_last(&server->log) == server->state.op);
    assert(server->committed <= server->state.op);
    assert(server->forwarded >= server->committed);
    assert(server->forwarded <= server->state.op);
    assert(server->confirmed <= server->round);
    if (server_commits_alone(server) && server_is_serving(server)) {
        assert(server->committed == server->state.op); /* P4 */
        assert(server->reads.count == 0);
    }
}

/* Returns the key that a client's message is about, or NULL. */
static const ProtobufCBinaryData *key_of(const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_PUT: return &body->put->key;
    case PBKV__BODY__KIND_APPEND: return &body->append->key;
    case PBKV__BODY__KIND_GET: return &body->get->key;
    default: return NULL;
    }
}

/* The search for a key begins with its slot in the index. When there are
 * several, the slot of the first has come when the last is asked for. */
static void foresee(const struct node *node, Pbkv__Body **bodies, size_t count)
{
    const struct kv *kv = &server_of_const(node)->state.kv;
    struct kv_foreseen keys[FRAME_BODIES_LIMIT];
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        const ProtobufCBinaryData *key = key_of(bodies[i]);

        if (key)
            keys[used++] = kv_foresee(kv, key->data, key->len);
    }
    if (used > 1)
        kv_foresee_rest(kv, keys, used);
}

static void check(const struct node *node)
{
    const struct server *server = server_of_const(node);

    assert(server->acknowledged <= server->view.number);
    assert(!server_is_primary(server) || !server_is_backup(server));
    assert(!server->deposed || server_is_primary(server));
    if (server->initialised)
        assert(server_is_primary(server) || server_is_backup(server));
    if (server_is_primary(server) && server->initialised) {
        check_primary(server);
        /* T2: not before the backup has installed the state. */
        assert(server->out.active ==
               (server->acknowledged < server->view.number));
    } else {
        assert(server->log.count == 0 && server->reads.count == 0); /* P1 */
        assert(!server->out.active);
    }
    transfer_check(server);
}

static void inspect(const struct node *node, struct inspection *inspection)
{
    const struct server *server = server_of_const(node);
    bool primary = server_is_primary(server);

    inspection->role = primary                    ? "primary"
                       : server_is_backup(server) ? "backup"
                                                  : "idle";
    inspection->view = server->view;
    inspection->applied = server->state.op;
    inspection->committed = primary ? server->committed : server->state.op;
    inspection->keys = server->state.kv.count;
    inspection->bytes = server->state.kv.octets;
    inspection->sessions = server->state.sessions.count;
    inspection->digest = state_digest(&server->state);
    if (server->out.active) {
        inspection->transfer_items = server->out.acked;
        inspection->transfer_total = server->out.session_count +
                                     server->out.key_count +
                                     (server->state.op - server->out.since);
    } else if (server->in.active) {
        inspection->transfer_items = server->in.received;
        inspection->transfer_total = server->in.total;
    }
}

static const struct node_type server_type = {
    .name = "kv server",
    .on_start = on_start,
    .on_message = on_message,
    .on_timer = on_timer,
    .clone = server_clone,
    .release = server_release,
    .describe = describe,
    .foresee = foresee,
    .check = check,
    .inspect = inspect,
};
