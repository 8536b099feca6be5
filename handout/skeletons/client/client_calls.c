/* SPDX-License-Identifier: MIT */
/*
 * client_calls: yours in lab 1B: the calls under way; see client_state.h and
 * rules C1 and C2. The table of calls is in client_table.h.
 */
#include "client/client_state.h"
#include "node/unfinished.h"

struct call *client_calls_add(struct client *client, Pbkv__Body__KindCase kind)
{
    (void)client;
    (void)kind;
    unfinished("client/client_calls.c: client_calls_add");
}

struct call *client_calls_find(const struct client *client, uint64_t tag)
{
    (void)client;
    (void)tag;
    unfinished("client/client_calls.c: client_calls_find");
}

void client_call_renew(struct client *client, struct call *call)
{
    (void)client;
    (void)call;
    unfinished("client/client_calls.c: client_call_renew");
}

bool client_call_is_update(const struct call *call)
{
    (void)call;
    unfinished("client/client_calls.c: client_call_is_update");
}

bool client_call_is_for_primary(const struct call *call)
{
    (void)call;
    unfinished("client/client_calls.c: client_call_is_for_primary");
}

void client_call_send(struct client *client, struct env *env, struct call *call)
{
    (void)client;
    (void)env;
    (void)call;
    unfinished("client/client_calls.c: client_call_send (C1, C2)");
}

void client_call_pause(struct client *client, struct env *env,
                       struct call *call)
{
    (void)client;
    (void)env;
    (void)call;
    unfinished("client/client_calls.c: client_call_pause");
}

void client_call_forget(struct client *client, struct call *call)
{
    (void)client;
    (void)call;
    unfinished("client/client_calls.c: client_call_forget");
}

void client_call_end(struct client *client, struct env *env, struct call *call,
                     const Pbkv__Body *answer)
{
    (void)client;
    (void)env;
    (void)call;
    (void)answer;
    unfinished("client/client_calls.c: client_call_end (C2)");
}

void client_call_end_status(struct client *client, struct env *env,
                            struct call *call, Pbkv__Status status)
{
    (void)client;
    (void)env;
    (void)call;
    (void)status;
    unfinished("client/client_calls.c: client_call_end_status (C2)");
}

void client_call_tick(struct client *client, struct env *env, struct call *call,
                      uint32_t ticks)
{
    (void)client;
    (void)env;
    (void)call;
    (void)ticks;
    unfinished("client/client_calls.c: client_call_tick (C1, C2)");
}
