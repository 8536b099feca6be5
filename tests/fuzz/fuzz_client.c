/* SPDX-License-Identifier: MIT */
/*
 * fuzz_client: a client whose view service and servers answer whatever they
 * like. The octets are read as a sequence of events: calls of its own process,
 * ticks, cancellations, answers that nearly fit and any other message in
 * anybody's name.
 *
 * It may not assert, whatever arrives, and every call ends exactly once (C2):
 * by an answer, or, once enough ticks have passed, at its deadline.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/client_state.h"
#include "tests/fuzz/forge.h"
#include "tests/fuzz/fuzz.h"

enum {
    EVENTS_MAX = 600,
    CALLS_MAX = 64, /* of one input */
    DEADLINE_MAX = 40,
};

static const char view_service[] = "vs:1";

struct stage {
    struct dice *dice;
    struct forge *forge;
    struct env env;
    struct client *client;
    bool open[CALLS_MAX + 1]; /* by the caller's tag, from 1 */
    uint64_t calls;
    bool timer; /* it runs */
};

static void end_call(struct stage *stage, const struct effect *effect)
{
    uint64_t call = effect->answer.call;

    if (call == 0 || call > stage->calls || !stage->open[call])
        abort(); /* an answer that nobody waits for */
    stage->open[call] = false;
}

static void carry_out(struct stage *stage)
{
    for (size_t i = 0; i < stage->env.count; i++) {
        const struct effect *effect = &stage->env.effects[i];

        if (effect->kind == EFFECT_ANSWER)
            end_call(stage, effect);
        else if (effect->kind == EFFECT_SET_TIMER)
            stage->timer = true;
        else if (effect->kind == EFFECT_STOP_TIMER)
            stage->timer = false;
    }
    env_clear(&stage->env);
}

static void hint(struct stage *stage)
{
    const struct client *client = stage->client;
    struct forge *forge = stage->forge;

    forge_hint(forge, "View", "number", client->view.number);
    forge_hint(forge, "Reply", "call", client->last_tag);
    forge_hint(forge, "SessionOpened", "call", client->last_tag);
    forge_hint(forge, "SessionOpened", "session", client->last_tag);
    forge_hint(forge, "Page", "call", client->last_tag);
    forge_hint(forge, "EchoReply", "call", client->last_tag);
    forge_hint(forge, "InspectReply", "call", client->last_tag);
    forge->peer_count = 0;
    forge_add_peer(forge, "a:1", 1);
    forge_add_peer(forge, "b:1", 1);
    forge_add_peer(forge, "b:1", 2);
    forge_add_peer(forge, view_service, 1);
    forge_add_peer(forge, "client:1", 1);
}

static void tell(struct stage *stage, const struct peer *from,
                 const Pbkv__Body *body)
{
    if (body == NULL)
        return;
    node_message(client_node(stage->client), &stage->env, from, body);
    carry_out(stage);
}

/* Somebody answers, with a tag close to the newest; or says anything. */
static void answer(struct stage *stage, Pbkv__Body__KindCase kind)
{
    struct peer from;

    hint(stage);
    from = kind == PBKV__BODY__KIND_VIEW_REPLY ? peer_at(view_service, 1)
                                               : *forge_peer(stage->forge);
    tell(stage, &from, forge_body(stage->forge, kind));
}

static void answer_raw(struct stage *stage)
{
    struct peer from;

    hint(stage);
    from = *forge_peer(stage->forge);
    tell(stage, &from, forge_raw(stage->forge));
}

/* The answer that a call under way waits for, if it is one octet away. */
static void answer_well(struct stage *stage)
{
    struct call *call = stage->client->calls.first;

    for (uint32_t i = dice_below(stage->dice, 8); i > 0 && call; i--)
        call = call->after;
    if (call == NULL)
        return;
    hint(stage);
    forge_hint(stage->forge, "Reply", "call", call->tag);
    forge_hint(stage->forge, "Page", "call", call->tag);
    forge_hint(stage->forge, "EchoReply", "call", call->tag);
    forge_hint(stage->forge, "InspectReply", "call", call->tag);
    forge_hint(stage->forge, "SessionOpened", "call", call->tag);
    static const Pbkv__Body__KindCase answers[] = {
        PBKV__BODY__KIND_REPLY, PBKV__BODY__KIND_SESSION_OPENED,
        PBKV__BODY__KIND_PAGE, PBKV__BODY__KIND_ECHO_REPLY,
        PBKV__BODY__KIND_INSPECT_REPLY};
    struct peer from = call->to;

    if (peer_is_present(&from))
        tell(stage, &from,
             forge_body(stage->forge, answers[dice_below(stage->dice, 5)]));
}

static struct bytes *short_octets(struct stage *stage)
{
    size_t length;
    const uint8_t *octets = dice_octets(stage->dice, 16, &length);

    return bytes_new(octets, length);
}

static void begin(struct stage *stage)
{
    static const Pbkv__Body__KindCase kinds[] = {
        PBKV__BODY__KIND_PUT,      PBKV__BODY__KIND_APPEND,
        PBKV__BODY__KIND_GET,      PBKV__BODY__KIND_SCAN,
        PBKV__BODY__KIND_GET_VIEW, PBKV__BODY__KIND_ECHO,
        PBKV__BODY__KIND_INSPECT,  PBKV__BODY__KIND_PUT};
    struct client_request request = {.call = stage->calls + 1};

    if (stage->calls == CALLS_MAX)
        return;
    request.kind = kinds[dice_below(stage->dice, 8)];
    request.deadline_ticks = 1 + dice_below(stage->dice, DEADLINE_MAX);
    request.key = short_octets(stage);
    request.value = short_octets(stage);
    request.cursor = dice_number(stage->dice, 0);
    request.address =
        peer_at(request.deadline_ticks & 1 ? "a:1" : "q:1", 0).address;
    stage->open[++stage->calls] = true;
    client_call(stage->client, &stage->env, &request);
    carry_out(stage);
    bytes_release(request.key);
    bytes_release(request.value);
}

static void cancel(struct stage *stage)
{
    uint64_t call = 1 + dice_below(stage->dice, CALLS_MAX);

    if (client_cancel(stage->client, &stage->env, call) != stage->open[call])
        abort();
    stage->open[call] = false;
    carry_out(stage);
}

static void tick(struct stage *stage)
{
    if (!stage->timer)
        return;
    stage->timer = false;
    node_timer(client_node(stage->client), &stage->env, CLIENT_TICK);
    carry_out(stage);
}

static void replace_by_clone(struct stage *stage)
{
    struct node *node = client_node(stage->client);
    struct node *copy = node->type->clone(node);
    struct digest old = node_digest(node);
    struct digest new = node_digest(copy);

    if (!digest_equal(&old, &new))
        abort();
    node_release(node);
    stage->client = (struct client *)(void *)copy;
}

static void step(struct stage *stage)
{
    switch (dice_below(stage->dice, 16)) {
    case 4:
    case 5: tick(stage); break;
    case 6:
    case 7: answer(stage, PBKV__BODY__KIND_VIEW_REPLY); break;
    case 8: cancel(stage); break;
    case 9: replace_by_clone(stage); break;
    case 10: answer_raw(stage); break;
    case 11: answer(stage, PBKV__BODY__KIND__NOT_SET); break;
    case 12:
    case 13:
    case 14:
    case 15: answer_well(stage); break;
    default: begin(stage);
    }
}

/* C2: whatever happened, every call has ended when its deadline has passed. */
static void finish(struct stage *stage)
{
    for (unsigned i = 0; i <= DEADLINE_MAX; i++)
        tick(stage);
    for (uint64_t call = 1; call <= stage->calls; call++) {
        if (stage->open[call])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    const struct client_config config = {
        .view_service = peer_at(view_service, 1).address,
        .tick_ms = 10,
        .retry_ticks = 5,
        .sessions_max = 2,
        .queue_max = 3,
        .calls_max = 8,
        .delivers_at_most_once = length % 2 == 0,
    };
    struct dice dice = dice_of(octets, length);
    struct stage stage = {.dice = &dice, .forge = forge_new(&dice)};

    env_init(&stage.env);
    stage.client = client_new(&config);
    node_start(client_node(stage.client), &stage.env);
    carry_out(&stage);
    for (unsigned i = 0; i < EVENTS_MAX && !dice_is_over(&dice); i++)
        step(&stage);
    finish(&stage);
    node_release(client_node(stage.client));
    env_release(&stage.env);
    forge_free(stage.forge);
    return 0;
}
