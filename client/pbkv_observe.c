/* SPDX-License-Identifier: MIT */
/*
 * pbkv_observe: what an operator wants to know. The answers become plain
 * structures without protobuf in them. An inspection is one block of memory:
 * the structure, its servers, its counters, and behind them all texts.
 */
#include <stdlib.h>
#include <string.h>

#include "client/pbkv_internal.h"
#include "node/message.h"
#include "rpc/address.h"

static void copy_peer(const Pbkv__Peer *message, struct pbkv_peer *peer)
{
    struct peer value;

    memset(peer, 0, sizeof(*peer));
    if (peer_from_message(message, &value) < 0)
        return;
    memcpy(peer->address, value.address.text, value.address.length);
    peer->incarnation = value.incarnation;
}

static void copy_view(const Pbkv__View *message, struct pbkv_view *view)
{
    memset(view, 0, sizeof(*view));
    if (!message)
        return;
    view->number = message->number;
    copy_peer(message->primary, &view->primary);
    copy_peer(message->backup, &view->backup);
}

static enum pbkv_status copy_view_reply(void *result, const Pbkv__Body *body)
{
    copy_view(body->view_reply->view, result);
    return PBKV_OK;
}

enum pbkv_status pbkv_view(struct pbkv *handle, uint32_t deadline_ms,
                           struct pbkv_view *view)
{
    struct waiter waiter = {.copy = copy_view_reply, .result = view};
    enum pbkv_status status;
    struct operation *operation;

    if (!view)
        return PBKV_INVALID;
    memset(view, 0, sizeof(*view));
    operation = operation_new(handle, PBKV__BODY__KIND_GET_VIEW, NULL,
                              deadline_ms, &status);
    return operation_wait(operation, status, &waiter);
}

/* Sets the address that an operation goes to; it lives as long as the caller
 * waits. */
static enum pbkv_status operation_set_address(struct operation *operation,
                                              const char *text,
                                              struct address *address)
{
    if (!text || address_init(address, text, strlen(text)) < 0 ||
        !address_is_dialable(address))
        return PBKV_INVALID;
    operation->address = address;
    return PBKV_OK;
}

/* ---- Echo ---------------------------------------------------------------- */

static enum pbkv_status copy_echo(void *result, const Pbkv__Body *body)
{
    return copy_value(result, &body->echo_reply->payload);
}

enum pbkv_status pbkv_echo(struct pbkv *handle, const char *address,
                           const void *payload, size_t length,
                           uint32_t deadline_ms, struct pbkv_value *reply)
{
    struct pbkv_entry entry = {.value = payload, .value_length = length};
    struct waiter waiter = {.copy = copy_echo, .result = reply};
    enum pbkv_status status;
    struct operation *operation;
    struct address to;

    if (!reply)
        return PBKV_INVALID;
    memset(reply, 0, sizeof(*reply));
    operation = operation_new(handle, PBKV__BODY__KIND_ECHO, &entry,
                              deadline_ms, &status);
    if (status == PBKV_OK)
        status = operation_set_address(operation, address, &to);
    return operation_wait(operation, status, &waiter);
}

/* ---- Inspect ------------------------------------------------------------- */

/* Copies a text behind the others and returns it. It ends at its first zero. */
static const char *copy_text(char **at, const ProtobufCBinaryData *octets)
{
    char *start = *at;

    if (octets->len > 0)
        memcpy(start, octets->data, octets->len);
    start[octets->len] = '\0';
    *at += octets->len + 1;
    return start;
}

static size_t inspection_size(const Pbkv__InspectReply *reply)
{
    size_t size = sizeof(struct pbkv_inspection) + reply->name.len +
                  reply->role.len + 2 +
                  reply->n_servers * sizeof(struct pbkv_server_seen) +
                  reply->n_counters * sizeof(struct pbkv_counter);

    for (size_t i = 0; i < reply->n_counters; i++)
        size += reply->counters[i]->name.len + 1;
    return size;
}

static void copy_figures(const Pbkv__InspectReply *reply,
                         struct pbkv_inspection *inspection)
{
    copy_view(reply->view, &inspection->view);
    inspection->incarnation = reply->incarnation;
    inspection->applied = reply->applied;
    inspection->committed = reply->committed;
    inspection->keys = reply->keys;
    inspection->bytes = reply->bytes;
    inspection->sessions = reply->sessions;
    inspection->transfer_items = reply->transfer_items;
    inspection->transfer_total = reply->transfer_total;
    if (reply->digest.len != PBKV_DIGEST_SIZE)
        return;
    memcpy(inspection->digest, reply->digest.data, PBKV_DIGEST_SIZE);
    for (size_t i = 0; i < PBKV_DIGEST_SIZE; i++)
        inspection->has_digest |= inspection->digest[i] != 0;
}

static void copy_servers(const Pbkv__InspectReply *reply,
                         struct pbkv_server_seen *servers)
{
    for (size_t i = 0; i < reply->n_servers; i++) {
        copy_peer(reply->servers[i]->peer, &servers[i].peer);
        servers[i].view = reply->servers[i]->view;
        servers[i].missed_cycles = reply->servers[i]->missed_cycles;
    }
}

static void copy_counters(const Pbkv__InspectReply *reply,
                          struct pbkv_counter *counters, char **at)
{
    for (size_t i = 0; i < reply->n_counters; i++) {
        counters[i].name = copy_text(at, &reply->counters[i]->name);
        counters[i].value = reply->counters[i]->value;
    }
}

static enum pbkv_status copy_inspection(void *result, const Pbkv__Body *body)
{
    struct pbkv_inspection **inspection = result;
    const Pbkv__InspectReply *reply = body->inspect_reply;
    struct pbkv_inspection *copy = calloc(1, inspection_size(reply));
    struct pbkv_server_seen *servers;
    struct pbkv_counter *counters;
    char *at;

    if (!copy)
        return PBKV_NO_MEMORY;
    servers = (struct pbkv_server_seen *)(copy + 1);
    counters = (struct pbkv_counter *)(servers + reply->n_servers);
    at = (char *)(counters + reply->n_counters);
    copy_figures(reply, copy);
    copy_servers(reply, servers);
    copy_counters(reply, counters, &at);
    copy->servers = servers;
    copy->server_count = reply->n_servers;
    copy->counters = counters;
    copy->counter_count = reply->n_counters;
    copy->name = copy_text(&at, &reply->name);
    copy->role = copy_text(&at, &reply->role);
    *inspection = copy;
    return PBKV_OK;
}

enum pbkv_status pbkv_inspect(struct pbkv *handle, const char *address,
                              uint32_t deadline_ms,
                              struct pbkv_inspection **inspection)
{
    struct waiter waiter = {.copy = copy_inspection, .result = inspection};
    enum pbkv_status status;
    struct operation *operation;
    struct address to;

    if (!inspection)
        return PBKV_INVALID;
    *inspection = NULL;
    operation = operation_new(handle, PBKV__BODY__KIND_INSPECT, NULL,
                              deadline_ms, &status);
    if (status == PBKV_OK)
        status = operation_set_address(operation, address, &to);
    return operation_wait(operation, status, &waiter);
}

void pbkv_inspection_free(struct pbkv_inspection *inspection)
{
    free(inspection);
}
