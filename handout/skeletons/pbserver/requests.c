/* SPDX-License-Identifier: MIT */
/*
 * requests: yours in lab 1B: what clients ask of the primary; see rule P6 and
 * server.h. An update is decided (state_decide), applied (state_apply), logged
 * with who waits for it (oplog_append) and handed to server_replicate, which
 * calls server_answer_update when it is committed: in this lab before it
 * returns. Reads are answered from server->state.
 */
#include "node/unfinished.h"
#include "pbserver/server.h"

void server_reply(const struct server *server, struct env *env,
                  const struct peer *client, uint64_t call, Pbkv__Status status)
{
    (void)server;
    (void)env;
    (void)client;
    (void)call;
    (void)status;
    unfinished("pbserver/requests.c: server_reply");
}

void server_answer_update(const struct server *server, struct env *env,
                          struct log_entry *entry, uint64_t number)
{
    (void)server;
    (void)env;
    (void)entry;
    (void)number;
    unfinished("pbserver/requests.c: server_answer_update");
}

void server_on_request(struct server *server, struct env *env,
                       const struct peer *from, const Pbkv__Body *body)
{
    (void)server;
    (void)env;
    (void)from;
    (void)body;
    unfinished("pbserver/requests.c: server_on_request (P6)");
}
