/* SPDX-License-Identifier: MIT */
/*
 * fuzz_server: two kv servers, and everybody lies. The octets are read as a
 * sequence of events: what one server sends can reach the other, twice, late,
 * altered or never; anything can be forged in anybody's name, the view
 * service's too; timers run out; servers restart or are replaced by their
 * clones. So primary, backup and idle servers, and transfers in both
 * directions, are met by every message.
 *
 * No role may assert (its own check runs after every event), whatever arrives.
 * What it sends must pass message_check, and a view never goes down (P2).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "pbserver/server.h"
#include "tests/fuzz/forge.h"
#include "tests/fuzz/fuzz.h"

enum {
    SERVERS = 2,
    MAIL_MAX = 64,    /* messages on their way; more are lost */
    EVENTS_MAX = 600, /* of one input */
    STORE_OCTETS = 4096,
    LOG_OCTETS = 2048,
    CHUNK_OCTETS = 160,
    KEY_OCTETS = 16,
    VALUE_OCTETS = 300,
    SESSIONS = 3,
};

static const char *const addresses[SERVERS] = {"a:1", "b:1"};
static const char view_service[] = "vs:1";

struct letter {
    struct peer from;
    struct peer to;
    struct bytes *body;
};

struct stage {
    struct dice *dice;
    struct forge *forge;
    struct env env;
    struct node *nodes[SERVERS];
    uint64_t lives[SERVERS];
    bool timers[SERVERS][TIMERS_MAX];
    struct letter mail[MAIL_MAX];
    size_t mail_count;
};

static struct server *server_at(struct stage *stage, unsigned i)
{
    return (struct server *)(void *)stage->nodes[i];
}

static struct peer self_of(const struct stage *stage, unsigned i)
{
    return peer_at(addresses[i], stage->lives[i]);
}

/* ---- Effects ------------------------------------------------------------- */

static void post(struct stage *stage, unsigned from,
                 const struct effect *effect)
{
    struct letter *letter;

    if (stage->mail_count == MAIL_MAX)
        return;
    letter = &stage->mail[stage->mail_count++];
    letter->from = self_of(stage, from);
    letter->to = effect->send.to;
    letter->body = bytes_share(effect->send.body);
}

static void restart(struct stage *stage, unsigned i);

/* Does what a runtime does with the effects of server i. */
static void carry_out(struct stage *stage, unsigned i)
{
    bool fatal = false;

    for (size_t at = 0; at < stage->env.count && !fatal; at++) {
        const struct effect *effect = &stage->env.effects[at];

        if (effect->kind == EFFECT_SEND)
            post(stage, i, effect);
        else if (effect->kind == EFFECT_SET_TIMER)
            stage->timers[i][effect->timer.slot] = true;
        else if (effect->kind == EFFECT_STOP_TIMER)
            stage->timers[i][effect->timer.slot] = false;
        fatal =
            effect->kind == EFFECT_LOG && effect->log.level == LOG_LEVEL_FATAL;
    }
    env_clear(&stage->env);
    if (fatal)
        restart(stage, i);
}

static void restart(struct stage *stage, unsigned i)
{
    struct server_config config = server_config_default();

    node_release(stage->nodes[i]);
    stage->lives[i]++;
    config.self = self_of(stage, i);
    config.view_service = peer_at(view_service, 1).address;
    config.limits.key = KEY_OCTETS;
    config.limits.value = VALUE_OCTETS;
    config.limits.sessions = SESSIONS;
    config.limits.octets = STORE_OCTETS;
    config.log_octets = LOG_OCTETS;
    config.read_octets = LOG_OCTETS;
    config.chunk_octets = CHUNK_OCTETS;
    stage->nodes[i] = server_new(&config);
    memset(stage->timers[i], 0, sizeof(stage->timers[i]));
    node_start(stage->nodes[i], &stage->env);
    carry_out(stage, i);
}

static void tell(struct stage *stage, unsigned i, const struct peer *from,
                 const Pbkv__Body *body)
{
    uint64_t view = server_at(stage, i)->view.number;
    uint64_t life = stage->lives[i];

    if (body == NULL || !peer_is_present(from))
        return;
    node_message(stage->nodes[i], &stage->env, from, body);
    carry_out(stage, i);
    if (stage->lives[i] == life && server_at(stage, i)->view.number < view)
        abort(); /* P2 */
}

/* ---- What is likely ------------------------------------------------------ */

static void hint_at_replication(struct forge *forge, const struct server *s)
{
    forge_hint(forge, "Forward", "view", s->view.number);
    forge_hint(forge, "Forward", "first", s->state.op + 1);
    forge_hint(forge, "Forward", "round", s->round);
    forge_hint(forge, "ForwardAck", "view", s->view.number);
    forge_hint(forge, "ForwardAck", "applied", s->forwarded);
    forge_hint(forge, "ForwardAck", "round", s->round);
    forge_hint(forge, "Refusal", "refused", s->view.number);
    forge_hint(forge, "Refusal", "known", s->view.number);
    forge_hint(forge, "Refusal", "transfer", s->out.number);
    forge_hint(forge, "LogOp", "session", 1);
    forge_hint(forge, "LogOp", "seq", 1);
    forge_hint(forge, "LogOp", "evicted", 0);
}

static void hint_at_transfer(struct forge *forge, const struct server *s)
{
    forge_hint(forge, "Chunk", "view", s->view.number);
    forge_hint(forge, "Chunk", "first", s->in.received);
    forge_hint(forge, "Chunk", "since", s->in.state.op);
    forge_hint(forge, "Chunk", "total", s->in.total);
    forge_hint(forge, "Chunk", "transfer", s->in.number);
    forge_hint(forge, "ChunkAck", "view", s->view.number);
    forge_hint(forge, "ChunkAck", "received", s->out.next);
    forge_hint(forge, "ChunkAck", "transfer", s->out.number);
    forge_hint(forge, "Entry", "modified", s->in.state.op);
    forge_hint(forge, "SessionRecord", "id", 1);
    forge_hint(forge, "SessionRecord", "op", 1);
}

/* What server i expects now. */
static void hint(struct stage *stage, unsigned i)
{
    const struct server *server = server_at(stage, i);

    forge_hint(stage->forge, "View", "number", server->view.number);
    forge_hint(stage->forge, "ViewReply", "superseded_by", 0);
    forge_hint(stage->forge, "Put", "session", 1);
    forge_hint(stage->forge, "Append", "session", 1);
    forge_hint(stage->forge, "Scan", "cursor", 0);
    hint_at_replication(stage->forge, server);
    hint_at_transfer(stage->forge, server);
    stage->forge->peer_count = 0;
    for (unsigned k = 0; k < SERVERS; k++)
        forge_add_peer(stage->forge, addresses[k], stage->lives[k]);
    forge_add_peer(stage->forge, "c:1", 1);
    forge_add_peer(stage->forge, "client:1", 1);
    forge_add_peer(stage->forge, view_service, 1);
}

/* ---- Events -------------------------------------------------------------- */

static struct letter take_letter(struct stage *stage, size_t at)
{
    struct letter letter = stage->mail[at];

    stage->mail_count--;
    memmove(&stage->mail[at], &stage->mail[at + 1],
            (stage->mail_count - at) * sizeof(letter));
    return letter;
}

/* Which server a letter is for; a letter for an earlier life, for a client or
 * for the view service is for nobody. */
static unsigned reader_of(const struct stage *stage,
                          const struct letter *letter)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        struct peer self = self_of(stage, i);

        if (address_equal(&self.address, &letter->to.address) &&
            (letter->to.incarnation == 0 ||
             letter->to.incarnation == self.incarnation))
            return i;
    }
    return SERVERS;
}

/* Delivers a letter: as it is or altered, and it may stay for later. */
static void deliver(struct stage *stage, bool altered)
{
    struct letter letter;
    Pbkv__Body *body;
    unsigned reader;
    struct arena arena;
    bool stays;
    size_t at;

    if (stage->mail_count == 0)
        return;
    at = dice_below(stage->dice, MAIL_MAX) % stage->mail_count;
    stays = altered || dice_below(stage->dice, 8) == 7;
    letter = stays ? stage->mail[at] : take_letter(stage, at);
    if (stays)
        bytes_share(letter.body);
    reader = reader_of(stage, &letter);
    if (reader < SERVERS && altered) {
        hint(stage, reader);
        tell(stage, reader, &letter.from,
             forge_altered(stage->forge, letter.body));
    } else if (reader < SERVERS) {
        arena_init(&arena);
        if (message_decode(&arena, letter.body->data, letter.body->length,
                           &body) < 0)
            abort(); /* a server sent what no server may see */
        tell(stage, reader, &letter.from, body);
        arena_release(&arena);
    }
    bytes_release(letter.body);
}

/* Delivers what is on its way until nothing is, within reason. */
static void deliver_all(struct stage *stage)
{
    for (unsigned i = 0; i < MAIL_MAX && stage->mail_count > 0; i++) {
        struct dice none = dice_of(NULL, 0);
        struct dice *dice = stage->dice;

        stage->dice = &none;
        deliver(stage, false);
        stage->dice = dice;
    }
}

/* The view service speaks: the next view, or one close to it. */
static void announce(struct stage *stage, unsigned i)
{
    struct peer from = peer_at(view_service, 1);
    struct view view = {.number = 0};
    struct view_message message;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;
    uint8_t who = dice_octet(stage->dice);

    view.number = server_at(stage, i)->view.number + who / 8 % 4;
    if (view.number == 0)
        view.number = 1;
    view.primary = self_of(stage, who & 1);
    if (who & 2)
        view.backup = self_of(stage, (who & 1) ^ 1);
    view_to_message(&view, &message);
    reply.view = &message.view;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    if (message_check(&body) < 0)
        return;
    for (unsigned k = 0; k < SERVERS; k++) {
        if (k == i || (who & 4))
            tell(stage, k, &from, &body);
    }
}

static void run_out(struct stage *stage, unsigned i)
{
    unsigned slot = dice_below(stage->dice, 2);

    if (!stage->timers[i][slot])
        return;
    stage->timers[i][slot] = false;
    node_timer(stage->nodes[i], &stage->env, slot);
    carry_out(stage, i);
}

static void replace_by_clone(struct stage *stage, unsigned i)
{
    struct node *copy = stage->nodes[i]->type->clone(stage->nodes[i]);
    struct digest old = node_digest(stage->nodes[i]);
    struct digest new = node_digest(copy);

    if (!digest_equal(&old, &new))
        abort();
    node_release(stage->nodes[i]);
    stage->nodes[i] = copy;
}

/* A request of a client that makes sense. */
static void request(struct stage *stage, unsigned i)
{
    static const Pbkv__Body__KindCase kinds[] = {
        PBKV__BODY__KIND_OPEN_SESSION, PBKV__BODY__KIND_PUT,
        PBKV__BODY__KIND_APPEND, PBKV__BODY__KIND_GET, PBKV__BODY__KIND_SCAN};
    struct peer client = peer_at("client:1", 1);

    hint(stage, i);
    tell(stage, i, &client,
         forge_body(stage->forge, kinds[dice_below(stage->dice, 5)]));
}

/* Anything at all in anybody's name. */
static void lie(struct stage *stage, unsigned i, bool raw)
{
    struct peer from;

    hint(stage, i);
    from = *forge_peer(stage->forge);
    tell(stage, i, &from,
         raw ? forge_raw(stage->forge)
             : forge_body(stage->forge, PBKV__BODY__KIND__NOT_SET));
}

static void step(struct stage *stage)
{
    uint8_t octet = dice_octet(stage->dice);
    unsigned i = octet / 128;

    switch (octet % 16) {
    case 0:
    case 1: deliver(stage, false); break;
    case 2: deliver_all(stage); break;
    case 3:
    case 4: deliver(stage, true); break;
    case 5:
    case 6: announce(stage, i); break;
    case 7: run_out(stage, i); break;
    case 8:
    case 9:
    case 10: request(stage, i); break;
    case 11:
    case 12:
    case 13: lie(stage, i, false); break;
    case 14: lie(stage, i, true); break;
    default:
        if (octet / 16 % 8 == 7)
            restart(stage, i);
        else
            replace_by_clone(stage, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    struct dice dice = dice_of(octets, length);
    struct stage stage = {.dice = &dice, .forge = forge_new(&dice)};

    env_init(&stage.env);
    for (unsigned i = 0; i < SERVERS; i++)
        restart(&stage, i);
    for (unsigned i = 0; i < EVENTS_MAX && !dice_is_over(&dice); i++)
        step(&stage);
    for (unsigned i = 0; i < SERVERS; i++)
        node_release(stage.nodes[i]);
    while (stage.mail_count > 0)
        bytes_release(stage.mail[--stage.mail_count].body);
    env_release(&stage.env);
    forge_free(stage.forge);
    return 0;
}
