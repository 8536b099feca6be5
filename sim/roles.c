/* SPDX-License-Identifier: MIT */
/*
 * roles: see roles.h.
 */
#include "sim/roles.h"

#include <assert.h>

#include "pbserver/server.h"
#include "viewservice/view_server.h"

struct node *roles_view_service(const void *context, const struct peer *self,
                                const struct bytes *record)
{
    const struct view_server_config *config = context;
    struct view_record decoded;
    const char *reason;
    int result;

    (void)self;
    if (!record)
        return view_server_new(config, NULL);
    result =
        view_record_decode(record->data, record->length, &decoded, &reason);
    assert(result == 0);
    (void)result;
    return view_server_new(config, &decoded);
}

struct node *roles_server(const void *context, const struct peer *self,
                          const struct bytes *record)
{
    struct server_config config = *(const struct server_config *)context;

    assert(!record);
    (void)record;
    config.self = *self;
    return server_new(&config);
}
