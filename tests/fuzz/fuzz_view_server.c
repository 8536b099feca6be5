/* SPDX-License-Identifier: MIT */
/*
 * fuzz_view_server: a view server among servers and liars. The octets are read
 * as a sequence of events: pings that nearly fit, any other message in
 * anybody's name, ends of cycles, and restarts from the record that it last
 * wrote (V11).
 *
 * It may not assert, whatever arrives. Its view never goes down, and rises by
 * one at the most in one event (V10); every record that it writes can be read
 * back; and what it tells is on disk by then (V11).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/forge.h"
#include "tests/fuzz/fuzz.h"
#include "viewservice/view_server.h"

enum { EVENTS_MAX = 800, PEERS = 8, LIVES = 4 };

struct stage {
    struct dice *dice;
    struct forge *forge;
    struct env env;
    struct node *node;
    struct view_record record; /* as it is on disk */
    bool has_record;
    bool timer; /* it runs */
};

static struct view_server *view_server_of(const struct stage *stage)
{
    return (struct view_server *)(void *)stage->node;
}

static void write_record(struct stage *stage, const struct bytes *record)
{
    const char *reason;

    if (view_record_decode(record->data, record->length, &stage->record,
                           &reason) < 0)
        abort();
    stage->has_record = true;
}

/* V11: nobody is told of what is not on disk yet. */
static void check_told(const struct stage *stage, const struct effect *effect)
{
    struct arena arena;
    struct view view;
    Pbkv__Body *body;

    if (effect->send.what != PBKV__BODY__KIND_VIEW_REPLY)
        return;
    arena_init(&arena);
    if (message_decode(&arena, effect->send.body->data,
                       effect->send.body->length, &body) < 0)
        abort();
    if (view_from_message(body->view_reply->view, &view) < 0 ||
        view.number > (stage->has_record ? stage->record.view.number : 0))
        abort();
    arena_release(&arena);
}

static void carry_out(struct stage *stage)
{
    for (size_t i = 0; i < stage->env.count; i++) {
        const struct effect *effect = &stage->env.effects[i];

        if (effect->kind == EFFECT_PERSIST)
            write_record(stage, effect->persist.record);
        else if (effect->kind == EFFECT_SEND)
            check_told(stage, effect);
        else if (effect->kind == EFFECT_SET_TIMER)
            stage->timer = true;
    }
    env_clear(&stage->env);
}

static void restart(struct stage *stage)
{
    static const struct view_server_config config = {.ping_ms = 100,
                                                     .dead_pings = 3};

    node_release(stage->node);
    stage->node =
        view_server_new(&config, stage->has_record ? &stage->record : NULL);
    stage->timer = false;
    node_start(stage->node, &stage->env);
    carry_out(stage);
}

static void hint(struct stage *stage)
{
    static const char *const addresses[] = {"a:1", "b:1", "c:1", "d:1"};
    uint64_t number = view_server_of(stage)->record.view.number;

    forge_hint(stage->forge, "Ping", "view", number);
    forge_hint(stage->forge, "View", "number", number);
    stage->forge->peer_count = 0;
    for (unsigned i = 0; i < PEERS; i++)
        forge_add_peer(stage->forge, addresses[i % 4], 1 + i / 4);
    forge_add_peer(stage->forge, "client:1", 1);
    forge_add_peer(stage->forge, "e:1", 0);
}

static void tell(struct stage *stage, const struct peer *from,
                 const Pbkv__Body *body)
{
    uint64_t before = view_server_of(stage)->record.view.number;
    uint64_t after;

    if (body == NULL)
        return;
    node_message(stage->node, &stage->env, from, body);
    after = view_server_of(stage)->record.view.number;
    if (after != before && after != before + 1)
        abort(); /* V10 */
    carry_out(stage);
}

/* Somebody pings; some of them are one of very many. */
static void ping(struct stage *stage)
{
    struct peer from;

    hint(stage);
    from = *forge_peer(stage->forge);
    if (dice_below(stage->dice, 8) == 7) {
        from.address.text[0] = (char)('A' + dice_below(stage->dice, 26));
        from.incarnation += dice_below(stage->dice, LIVES);
    }
    tell(stage, &from, forge_body(stage->forge, PBKV__BODY__KIND_PING));
}

static void lie(struct stage *stage, bool raw)
{
    struct peer from;

    hint(stage);
    from = *forge_peer(stage->forge);
    tell(stage, &from,
         raw ? forge_raw(stage->forge)
             : forge_body(stage->forge, PBKV__BODY__KIND__NOT_SET));
}

static void end_cycle(struct stage *stage)
{
    if (!stage->timer)
        return;
    stage->timer = false;
    node_timer(stage->node, &stage->env, VIEW_SERVER_TIMER);
    carry_out(stage);
}

static void replace_by_clone(struct stage *stage)
{
    struct node *copy = stage->node->type->clone(stage->node);
    struct digest old = node_digest(stage->node);
    struct digest new = node_digest(copy);

    if (!digest_equal(&old, &new))
        abort();
    node_release(stage->node);
    stage->node = copy;
}

static void step(struct stage *stage)
{
    switch (dice_below(stage->dice, 16)) {
    case 8:
    case 9:
    case 10: lie(stage, false); break;
    case 11: lie(stage, true); break;
    case 12:
    case 13: end_cycle(stage); break;
    case 14: replace_by_clone(stage); break;
    case 15: restart(stage); break;
    default: ping(stage);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    struct dice dice = dice_of(octets, length);
    struct stage stage = {.dice = &dice, .forge = forge_new(&dice)};

    env_init(&stage.env);
    restart(&stage);
    for (unsigned i = 0; i < EVENTS_MAX && !dice_is_over(&dice); i++)
        step(&stage);
    node_release(stage.node);
    env_release(&stage.env);
    forge_free(stage.forge);
    return 0;
}
