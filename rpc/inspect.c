/* SPDX-License-Identifier: MIT */
/*
 * inspect: see inspect.h. The reply is rare and short, so it is put together on
 * the heap without further ado.
 */
#include "rpc/inspect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

struct figure {
    const char *name;
    uint64_t value;
};

enum { FIGURES = 11 };

/* An InspectReply with the memory behind its pointers. */
struct reply {
    Pbkv__Body body;
    Pbkv__InspectReply message;
    struct inspection inspection;
    struct view_message view;
    Pbkv__ServerSeen servers[SERVERS_MAX];
    Pbkv__ServerSeen *server_pointers[SERVERS_MAX];
    Pbkv__Peer peers[SERVERS_MAX];
    Pbkv__Counter *counters;
    Pbkv__Counter **counter_pointers;
};

static void list_figures(const struct rpc *rpc, struct figure list[FIGURES])
{
    const struct figures *figures = &rpc->figures;

    list[0] = (struct figure){"rpc.accepted", figures->accepted};
    list[1] = (struct figure){"rpc.connections", figures->connections};
    list[2] = (struct figure){"rpc.dialled", figures->dialled};
    list[3] = (struct figure){"rpc.frames_in", figures->frames_in};
    list[4] = (struct figure){"rpc.frames_out", figures->frames_out};
    list[5] = (struct figure){"rpc.messages_in", figures->messages_in};
    list[6] = (struct figure){"rpc.messages_out", figures->messages_out};
    list[7] = (struct figure){"rpc.octets_in", figures->octets_in};
    list[8] = (struct figure){"rpc.octets_out", figures->octets_out};
    list[9] = (struct figure){"rpc.input_held", rpc->input_octets};
    list[10] = (struct figure){"rpc.output_held", rpc->output_octets};
}

uint64_t inspect_count(const struct rpc *rpc, const char *name)
{
    struct figure list[FIGURES];

    list_figures(rpc, list);
    for (size_t i = 0; i < FIGURES; i++) {
        if (strcmp(list[i].name, name) == 0)
            return list[i].value;
    }
    return counters_value(&rpc->counters, name);
}

static ProtobufCBinaryData octets_of(const char *text)
{
    return message_octets(text, strlen(text));
}

static void add_counter(void *context, const char *name, uint64_t value)
{
    struct reply *reply = context;
    size_t i = reply->message.n_counters++;

    pbkv__counter__init(&reply->counters[i]);
    reply->counters[i].name = octets_of(name);
    reply->counters[i].value = value;
    reply->counter_pointers[i] = &reply->counters[i];
}

static void add_counters(struct rpc *rpc, struct reply *reply)
{
    size_t count = FIGURES + counters_count(&rpc->counters);
    struct figure list[FIGURES];

    reply->counters = memory_new(count * sizeof(*reply->counters));
    reply->counter_pointers =
        memory_new(count * sizeof(*reply->counter_pointers));
    counters_visit(&rpc->counters, add_counter, reply);
    list_figures(rpc, list);
    for (size_t i = 0; i < FIGURES; i++)
        add_counter(reply, list[i].name, list[i].value);
    assert(reply->message.n_counters == count);
    reply->message.counters = reply->counter_pointers;
}

static void add_servers(struct reply *reply)
{
    const struct inspection *inspection = &reply->inspection;

    assert(inspection->server_count <= SERVERS_MAX);
    for (uint32_t i = 0; i < inspection->server_count; i++) {
        const struct server_seen *seen = &inspection->servers[i];
        Pbkv__ServerSeen *server = &reply->servers[i];

        pbkv__server_seen__init(server);
        peer_to_message(&seen->peer, &reply->peers[i]);
        server->peer = &reply->peers[i];
        server->view = seen->view;
        server->missed_cycles = seen->missed_cycles;
        reply->server_pointers[i] = server;
    }
    reply->message.n_servers = inspection->server_count;
    reply->message.servers = reply->server_pointers;
}

static void add_state(struct reply *reply)
{
    const struct inspection *from = &reply->inspection;
    Pbkv__InspectReply *to = &reply->message;

    to->role = octets_of(from->role != NULL ? from->role : "");
    view_to_message(&from->view, &reply->view);
    to->view = &reply->view.view;
    to->applied = from->applied;
    to->committed = from->committed;
    to->keys = from->keys;
    to->bytes = from->bytes;
    to->sessions = from->sessions;
    to->digest = message_octets(from->digest.octets, DIGEST_SIZE);
    to->transfer_items = from->transfer_items;
    to->transfer_total = from->transfer_total;
}

void inspect_answer(struct rpc *rpc, const struct peer *from,
                    const Pbkv__Inspect *inspect)
{
    struct reply *reply = memory_new(sizeof(*reply));

    pbkv__body__init(&reply->body);
    pbkv__inspect_reply__init(&reply->message);
    reply->body.kind_case = PBKV__BODY__KIND_INSPECT_REPLY;
    reply->body.inspect_reply = &reply->message;
    reply->message.call = inspect->call;
    reply->message.name = octets_of(rpc->config.name);
    reply->message.incarnation = rpc->self.incarnation;
    rpc->node->type->inspect(rpc->node, &reply->inspection);
    add_state(reply);
    add_servers(reply);
    add_counters(rpc, reply);
    env_send(&rpc->env, from, &reply->body);
    free(reply->counters);
    free(reply->counter_pointers);
    free(reply);
}
