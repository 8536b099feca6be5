/* SPDX-License-Identifier: MIT */
/*
 * replicate: forwarding, acknowledgements, the commit point (P3 to P5); yours
 * in lab 2B.
 */
#include "node/unfinished.h"
#include "pbserver/server.h"

bool server_commits_alone(const struct server *server)
{
    (void)server;
    unfinished("pbserver/replicate.c: server_commits_alone (P4)");
}

void server_replicate(struct server *server, struct env *env)
{
    (void)server;
    (void)env;
    unfinished("pbserver/replicate.c: server_replicate (P3, P4)");
}

void server_confirm(struct server *server, struct env *env)
{
    (void)server;
    (void)env;
    unfinished("pbserver/replicate.c: server_confirm (P4)");
}
