/* SPDX-License-Identifier: MIT */
/*
 * roles: how the nodes of an imagined store begin their lives, whatever the
 * runtime. The context of each birth is a configuration, which is copied.
 */
#ifndef SIM_ROLES_H
#define SIM_ROLES_H

#include "node/node.h"

/* Returns a view service that goes on from a record (rule V11), or starts when
 * record is NULL. context: struct view_server_config. A record that does not
 * decode asserts: it was written by the life before. */
struct node *roles_view_service(const void *context, const struct peer *self,
                                const struct bytes *record);

/* Returns a kv server with this identity. context: struct server_config, whose
 * `self` does not matter. Servers have no record. */
struct node *roles_server(const void *context, const struct peer *self,
                          const struct bytes *record);

#endif
