/* SPDX-License-Identifier: MIT */
/*
 * node: see node.h. Every event ends with the role's own check, in every
 * runtime, so a broken invariant is found at the event that broke it.
 */
#include "node/node.h"

#include <assert.h>

#include "node/message.h"

void node_start(struct node *node, struct env *env)
{
    node->type->on_start(node, env);
    node->type->check(node);
}

void node_message(struct node *node, struct env *env, const struct peer *from,
                  const Pbkv__Body *body)
{
    assert(peer_is_present(from));
    node->type->on_message(node, env, from, body);
    node->type->check(node);
}

void node_timer(struct node *node, struct env *env, unsigned slot)
{
    assert(slot < TIMERS_MAX);
    node->type->on_timer(node, env, slot);
    node->type->check(node);
}

void node_foresee(const struct node *node, Pbkv__Body **bodies, size_t count)
{
    if (node->type->foresee)
        node->type->foresee(node, bodies, count);
}

void node_release(struct node *node)
{
    if (node)
        node->type->release(node);
}

struct digest node_digest(const struct node *node)
{
    struct sink sink;
    struct digest digest;

    sink_init(&sink, SINK_CANONICAL);
    node->type->describe(node, &sink);
    digest = sink_digest(&sink);
    sink_release(&sink);
    return digest;
}
