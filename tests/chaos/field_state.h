/* SPDX-License-Identifier: MIT */
/*
 * field_state: what field.c and strike.c share.
 */
#ifndef TESTS_CHAOS_FIELD_STATE_H
#define TESTS_CHAOS_FIELD_STATE_H

#include "tests/chaos/field.h"
#include "tests/chaos/proxy.h"

/* Hosts of the proxy. */
enum { CLIENTS_HOST, VIEW_HOST, FIRST_SERVER };

struct field {
    struct field_options options;
    struct cluster *cluster;
    struct proxy *proxy; /* NULL with namespaces */
    struct process *view_service;
    struct process *servers[FIELD_SERVERS_MAX];
    char view_address[PBKV_ADDRESS_SIZE];
    struct pbkv *observer; /* asks */

    struct pbkv_view view;            /* newest that was seen */
    uint64_t born[FIELD_SERVERS_MAX]; /* no incarnation of the present life of
                                         the server is less */
    unsigned stops[FIELD_SERVERS_MAX + FIRST_SERVER]; /* by host: SIGSTOP */
    unsigned downs[FIELD_SERVERS_MAX + FIRST_SERVER]; /* by host: link down */
};

/* Returns whether the view's primary has acknowledged it. */
bool field_is_acknowledged(const struct pbkv_inspection *seen);

#endif
