/* SPDX-License-Identifier: MIT */
/*
 * A random walk of three kv servers: messages are lost, doubled and reordered,
 * timers fire at any time, servers restart and views change in every way that a
 * view service may choose (V2, V3). Clients append tokens, each of them once,
 * retry until they are answered, and read.
 *
 * Checked on the way: a primary and its installed backup are equal whenever
 * they are at the same op number; a read shows every token that had been
 * acknowledged before it was asked for. Checked at the end, when the network
 * has become kind: every token is there exactly once, those of one client in
 * their order (P3, P4, P6, T3).
 *
 * The seed of every walk is printed; PBKV_SEED runs that one alone.
 */
#include <inttypes.h>
#include <stdio.h>

#include "node/memory.h"
#include "node/random.h"
#include "tests/effects.h"
#include "tests/suite.h"

enum {
    CLIENTS = 4,
    KEYS = 5,
    FILLERS = 25,   /* keys that make a transfer longer */
    STEPS = 3000,   /* of one walk */
    WALKS = 24,     /* of one test */
    PATIENCE = 2000 /* rounds until everything has to be quiet at the end */
};

struct token {
    unsigned client;
    uint64_t seq;
};

struct walk_client {
    uint64_t session;
    uint64_t seq;   /* of the newest append */
    unsigned key;   /* it goes to this key */
    unsigned last;  /* the one before went to this key */
    bool appending; /* and has not been answered */
    bool reading;
    unsigned read_key;
    uint64_t call;     /* of the newest request */
    size_t read_after; /* tokens of the key acknowledged when it was asked */
};

struct walk {
    struct group group;
    struct server_config config;
    uint64_t random;
    uint32_t loss;    /* percent of messages that are lost */
    struct view view; /* of the view service */
    struct view old;  /* the one before */
    bool acknowledged;
    struct walk_client clients[CLIENTS + 1];
    struct token *tokens[KEYS]; /* acknowledged appends */
    size_t token_count[KEYS];
    size_t answered;
    bool garbles; /* shows clones what bits turned over make of mail */
    size_t garbled;
};

static unsigned below(struct walk *walk, size_t limit)
{
    return (unsigned)(random_next(&walk->random) % limit);
}

static bool chance(struct walk *walk, uint32_t percent)
{
    return below(walk, 100) < percent;
}

/* ---- Clients ---- */

static const char *key_name(unsigned key, char text[8])
{
    snprintf(text, 8, "key%u", key);
    return text;
}

static const char *token_text(unsigned client, uint64_t seq, char text[32])
{
    snprintf(text, 32, "<%u.%" PRIu64 ">", client, seq);
    return text;
}

/* Clients ask the primary, or somebody else. */
static unsigned whom(struct walk *walk)
{
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        if (peer_equal(&walk->group.peers[i], &walk->view.primary) &&
            !chance(walk, 15))
            return i;
    }
    return below(walk, GROUP_SIZE);
}

static void send_append(struct walk *walk, unsigned number, uint64_t seq,
                        unsigned key)
{
    struct walk_client *client = &walk->clients[number];
    char name[8], token[32];

    ask_append(&walk->group, whom(walk), number, client->call, client->session,
               seq, key_name(key, name), token_text(number, seq, token));
}

static void client_step(struct walk *walk, unsigned number, bool may_begin)
{
    struct walk_client *client = &walk->clients[number];
    char name[8];

    if (client->appending)
        send_append(walk, number, client->seq, client->key);
    else if (client->reading)
        ask_get(&walk->group, whom(walk), number, client->call,
                key_name(client->read_key, name));
    else if (!may_begin)
        return;
    else if (client->seq > 1 && chance(walk, 20)) /* late in the network */
        send_append(walk, number, client->seq - 1, client->last);
    else if (chance(walk, 70)) {
        client->appending = true;
        client->call++;
        client->seq++;
        client->last = client->key;
        client->key = below(walk, KEYS);
        send_append(walk, number, client->seq, client->key);
    } else {
        client->reading = true;
        client->call++;
        client->read_key = below(walk, KEYS);
        client->read_after = walk->token_count[client->read_key];
    }
}

static void note_token(struct walk *walk, unsigned number)
{
    struct walk_client *client = &walk->clients[number];
    unsigned key = client->key;
    size_t count = walk->token_count[key]++;

    walk->tokens[key] =
        memory_resize(walk->tokens[key], (count + 1) * sizeof(struct token));
    walk->tokens[key][count] = (struct token){number, client->seq};
    client->appending = false;
    walk->answered++;
}

/* Returns how often a value has a text. */
static unsigned occurrences(const char *value, const char *text)
{
    unsigned count = 0;

    for (; (value = strstr(value, text)); value++)
        count++;
    return count;
}

static char *text_of(const void *octets, size_t length)
{
    char *text = memory_new(length + 1);

    if (length > 0)
        memcpy(text, octets, length);
    return text;
}

/* P4: the read shows everything that was acknowledged before it. */
static void check_read(struct walk *walk, struct walk_client *client,
                       const Pbkv__Reply *reply)
{
    char *value = text_of(reply->value.data, reply->value.len);
    char token[32];

    for (size_t i = 0; i < client->read_after; i++) {
        const struct token *seen = &walk->tokens[client->read_key][i];

        token_text(seen->client, seen->seq, token);
        ck_assert_msg(occurrences(value, token) == 1, "%s in %s", token, value);
    }
    free(value);
    client->reading = false;
    walk->answered++;
}

static void take_answer(struct walk *walk, size_t n)
{
    struct group *group = &walk->group;
    struct mail mail = post_take(&group->answers, REPLY, n);
    const Pbkv__Reply *reply = mail_body(group, &mail)->reply;
    unsigned number =
        (unsigned)(mail.to.address.text[mail.to.address.length - 1] - '0');
    struct walk_client *client = &walk->clients[number];
    bool waits = client->appending || client->reading;

    if (reply->call == client->call && waits) {
        switch (reply->status) {
        case PBKV__STATUS__OK:
            if (client->appending)
                note_token(walk, number);
            else
                check_read(walk, client, reply);
            break;
        case PBKV__STATUS__NO_KEY:
            ck_assert(client->reading);
            check_read(walk, client, reply);
            break;
        case PBKV__STATUS__WRONG_SERVER:
        case PBKV__STATUS__OVERLOADED:
        case PBKV__STATUS__STATE_TRANSFER: break; /* the client retries */
        default: ck_abort_msg("a client got %s", status_name(reply->status));
        }
    }
    mail_release(&mail);
}

/* ---- The view service ---- */

static void tell(struct walk *walk, unsigned server, const struct view *view)
{
    struct peer from = peer_at("views:1", 1);
    struct view_message message;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    view_to_message(view, &message);
    reply.view = &message.view;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    group_receive(&walk->group, server, &from, &body);
}

/* Takes a ping, if there is one, and answers it with the view, sometimes with
 * the one before: the answer was late. */
static void take_ping(struct walk *walk)
{
    struct group *group = &walk->group;
    struct mail mail;
    uint64_t number;

    if (group->pings.count == 0)
        return;
    mail = post_take(&group->pings, PING, below(walk, group->pings.count));
    number = mail_body(group, &mail)->ping->view;
    if (peer_equal(&mail.from, &walk->view.primary) &&
        number == walk->view.number)
        walk->acknowledged = true;
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        if (peer_equal(&group->peers[i], &mail.from) &&
            !chance(walk, walk->loss))
            tell(walk, i,
                 chance(walk, walk->loss) && walk->old.number > 0
                     ? &walk->old
                     : &walk->view);
    }
    mail_release(&mail);
}

static bool is_alive(const struct walk *walk, const struct peer *peer)
{
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        if (peer_equal(&walk->group.peers[i], peer))
            return true;
    }
    return false;
}

/* Returns a server that is not this one, or nobody. */
static struct peer someone_else(struct walk *walk, const struct peer *primary)
{
    const struct peer *peer;

    if (chance(walk, 15))
        return (struct peer){0};
    do
        peer = &walk->group.peers[below(walk, GROUP_SIZE)];
    while (address_equal(&peer->address, &primary->address));
    return *peer;
}

/* V2, V3: the next view has the primary, with anybody as its backup, or, when
 * this view is acknowledged, the backup as primary. */
static void change_view(struct walk *walk)
{
    struct view next = {
        .number = walk->view.number + 1,
        .primary = walk->view.primary,
    };
    bool alive = is_alive(walk, &walk->view.primary);

    if (walk->acknowledged && is_alive(walk, &walk->view.backup) &&
        (!alive || chance(walk, 60)))
        next.primary = walk->view.backup;
    next.backup = someone_else(walk, &next.primary);
    if (peer_equal(&next.primary, &walk->view.primary) &&
        peer_equal(&next.backup, &walk->view.backup))
        return; /* V7 */
    walk->old = walk->view;
    walk->view = next;
    walk->acknowledged = false;
}

/* Restarts a server, unless it is the only one that has the state. */
static void crash(struct walk *walk)
{
    struct group *group = &walk->group;
    unsigned server = below(walk, GROUP_SIZE);
    bool primary = peer_equal(&group->peers[server], &walk->view.primary);

    if (primary && !(walk->acknowledged && is_alive(walk, &walk->view.backup)))
        return;
    group_restart(group, server, &walk->config);
    while (primary && !is_alive(walk, &walk->view.primary))
        change_view(walk);
}

/* ---- The walk ---- */

/* P3, T4: equal op numbers, equal states. */
static void check_pair(const struct walk *walk)
{
    for (unsigned a = 0; a < GROUP_SIZE; a++) {
        const struct server *primary = group_server(&walk->group, a);

        for (unsigned b = 0; b < GROUP_SIZE; b++) {
            const struct server *backup = group_server(&walk->group, b);

            if (primary->initialised && backup->initialised &&
                server_is_primary(primary) && server_is_backup(backup) &&
                view_equal(&primary->view, &backup->view) &&
                primary->state.op == backup->state.op)
                group_assert_equal(&walk->group, a, b);
        }
    }
}

/* A mail with a few bits turned over, given to a clone of its receiver: what
 * the decoder lets through may be lies, but must not break a server. */
static void garble(struct walk *walk, const struct mail *mail)
{
    struct bytes *octets = bytes_new(mail->body->data, mail->body->length);
    struct arena arena;
    struct env env;
    Pbkv__Body *body;

    for (unsigned flips = 1 + below(walk, 3); flips > 0; flips--)
        octets->data[below(walk, octets->length)] ^=
            (uint8_t)(1U << below(walk, 8));
    arena_init(&arena);
    env_init(&env);
    if (message_decode(&arena, octets->data, octets->length, &body) == 0) {
        for (unsigned i = 0; i < GROUP_SIZE; i++) {
            const struct node *node = walk->group.nodes[i];
            struct node *clone = node->type->clone(node);

            node_message(clone, &env, &mail->from, body);
            if (walk->group.timers[i][SERVER_TIMER_RESEND])
                node_timer(clone, &env, SERVER_TIMER_RESEND);
            node_release(clone);
            walk->garbled++;
        }
    }
    env_release(&env);
    arena_release(&arena);
    bytes_release(octets);
}

static void move_mail(struct walk *walk)
{
    struct post *network = &walk->group.network;
    size_t place = below(walk, network->count);
    struct mail mail = network->mails[place];

    if (walk->garbles)
        garble(walk, &mail);
    if (chance(walk, walk->loss)) { /* doubled: it stays where it is */
        bytes_share(mail.body);
        group_deliver(&walk->group, &mail);
        mail_release(&mail);
        return;
    }
    network->count--;
    memmove(network->mails + place, network->mails + place + 1,
            (network->count - place) * sizeof(mail));
    if (!chance(walk, walk->loss))
        group_deliver(&walk->group, &mail);
    mail_release(&mail);
}

static void fire_timer(struct walk *walk)
{
    unsigned server = below(walk, GROUP_SIZE);
    unsigned slot = chance(walk, 50) ? SERVER_TIMER_PING : SERVER_TIMER_RESEND;

    if (walk->group.timers[server][slot])
        group_timer(&walk->group, server, slot);
}

static void walk_step(struct walk *walk)
{
    struct group *group = &walk->group;
    unsigned dice = below(walk, 1000);

    for (unsigned i = below(walk, 4); i > 0 && group->network.count > 0; i--)
        move_mail(walk);
    if (dice < 150)
        client_step(walk, 1 + below(walk, CLIENTS), true);
    else if (dice < 330 && group->answers.count > 0)
        take_answer(walk, below(walk, group->answers.count));
    else if (dice < 400)
        fire_timer(walk);
    else if (dice < 490)
        take_ping(walk);
    else if (dice < 500)
        change_view(walk);
    else if (dice < 503)
        crash(walk);
    check_pair(walk);
}

static void walk_begin(struct walk *walk, uint64_t seed)
{
    char key[8];

    memset(walk, 0, sizeof(*walk));
    walk->random = seed;
    walk->loss = below(walk, 4) * 10;
    walk->config = group_config();
    walk->config.limits.value = 100000;
    group_make_single(&walk->group, &walk->config);
    walk->group.unchecked = seed % 8 != 0;
    walk->view = (struct view){.number = 1, .primary = walk->group.peers[A]};
    walk->acknowledged = true;
    for (unsigned i = 1; i <= CLIENTS; i++)
        walk->clients[i].session = open_session(&walk->group, A, i);
    for (unsigned i = 0; i < FILLERS; i++) {
        snprintf(key, sizeof(key), "fill%02u", i % 100);
        ask_put(&walk->group, A, 1, 0, walk->clients[1].session, i + 1, key,
                "some octets");
    }
    walk->clients[1].seq = FILLERS;
    walk->clients[1].last = KEYS; /* stale if it comes again */
    post_drop_all(&walk->group.answers);
}

static bool walk_is_quiet(const struct walk *walk)
{
    for (unsigned i = 1; i <= CLIENTS; i++) {
        if (walk->clients[i].appending || walk->clients[i].reading)
            return false;
    }
    return walk->acknowledged;
}

/* A kind network: everything arrives, everybody is answered. */
static void walk_calm_down(struct walk *walk)
{
    struct group *group = &walk->group;

    walk->loss = 0;
    for (unsigned round = 0; !walk_is_quiet(walk); round++) {
        ck_assert_msg(round < PATIENCE, "the servers do not get on");
        for (unsigned i = 0; i < GROUP_SIZE; i++)
            group_timer(group, i, SERVER_TIMER_PING);
        while (group->pings.count > 0)
            take_ping(walk);
        if (!is_alive(walk, &walk->view.backup))
            change_view(walk);
        group_pump(group);
        for (unsigned i = 0; i < GROUP_SIZE; i++) {
            if (group->timers[i][SERVER_TIMER_RESEND])
                group_timer(group, i, SERVER_TIMER_RESEND);
        }
        group_pump(group);
        for (unsigned i = 1; i <= CLIENTS; i++)
            client_step(walk, i, false);
        group_pump(group);
        while (group->answers.count > 0)
            take_answer(walk, 0);
    }
    group_pump(group);
}

/* P6: every token of a key exactly once, and a client's in their order. */
static void check_value(const struct walk *walk, unsigned key,
                        const struct bytes *octets)
{
    char *value =
        octets ? text_of(octets->data, octets->length) : text_of(NULL, 0);
    size_t length = 0;
    const char *last[CLIENTS + 1] = {0};
    char token[32];

    for (size_t i = 0; i < walk->token_count[key]; i++) {
        const struct token *seen = &walk->tokens[key][i];
        const char *place;

        token_text(seen->client, seen->seq, token);
        ck_assert_msg(occurrences(value, token) == 1, "%s in %s", token, value);
        place = strstr(value, token);
        ck_assert(!last[seen->client] || place > last[seen->client]);
        last[seen->client] = place;
        length += strlen(token);
    }
    ck_assert_uint_eq(strlen(value), length); /* and nothing else */
    free(value);
}

static void check_end(struct walk *walk)
{
    char name[8];

    check_pair(walk);
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        const struct server *server = group_server(&walk->group, i);

        if (!server_is_serving(server) ||
            !view_equal(&server->view, &walk->view))
            continue;
        for (unsigned key = 0; key < KEYS; key++) {
            key_name(key, name);
            check_value(walk, key,
                        kv_get(&server->state.kv, name, strlen(name)));
        }
        return;
    }
    ck_abort_msg("nobody serves at the end");
}

/* Returns how many requests were answered. */
static size_t walk_once(uint64_t seed, bool garbles)
{
    struct walk walk;

    printf("walk: seed %" PRIu64 "\n", seed);
    fflush(stdout);
    walk_begin(&walk, seed);
    walk.garbles = garbles;
    for (unsigned i = 0; i < STEPS; i++)
        walk_step(&walk);
    walk_calm_down(&walk);
    check_end(&walk);
    for (unsigned key = 0; key < KEYS; key++)
        free(walk.tokens[key]);
    group_release(&walk.group);
    ck_assert(walk.garbled > 0 || !garbles);
    return walk.answered;
}

/* Walks with all seeds, or with the chosen one. */
static void walk_all(bool garbles)
{
    const char *chosen = getenv("PBKV_SEED");
    size_t answered = 0;

    if (chosen) {
        walk_once(strtoull(chosen, NULL, 10), garbles);
        return;
    }
    for (uint64_t seed = 1; seed <= WALKS; seed++)
        answered += walk_once(seed, garbles);
    ck_assert_uint_gt(answered, WALKS * 50);
}

TEST(no_acknowledged_append_is_lost_or_doubled)
{
    walk_all(false);
}

TEST(garbled_messages_never_break_a_server)
{
    walk_all(true);
}

SUITE("walk", CASE_LIMIT(no_acknowledged_append_is_lost_or_doubled, 60),
      CASE_LIMIT(garbled_messages_never_break_a_server, 60))
