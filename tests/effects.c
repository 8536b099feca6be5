/* SPDX-License-Identifier: MIT */
/*
 * effects: see effects.h. A server's peer is "A:1", "B:1" or "C:1" with an
 * incarnation that starts at 1; a client is "client:N"; the view service is
 * "views:1".
 */
#include "tests/effects.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

static const char view_service[] = "views:1";

/* ---- Mail ---- */

static void post_add(struct post *post, const struct peer *from,
                     const struct effect *effect)
{
    if (post->count == post->capacity) {
        post->capacity = post->capacity ? 2 * post->capacity : 16;
        post->mails =
            memory_resize(post->mails, post->capacity * sizeof(*post->mails));
    }
    post->mails[post->count++] = (struct mail){
        .from = *from,
        .to = effect->send.to,
        .kind = effect->send.what,
        .body = bytes_share(effect->send.body),
    };
}

void mail_release(struct mail *mail)
{
    bytes_release(mail->body);
    mail->body = NULL;
}

const Pbkv__Body *mail_body(struct group *group, const struct mail *mail)
{
    Pbkv__Body *body;
    int result = message_decode(&group->arena, mail->body->data,
                                mail->body->length, &body);

    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(body->kind_case, mail->kind);
    return body;
}

void mail_assert_frame(struct group *group, const struct mail *mail)
{
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Frame *decoded;
    Pbkv__Peer from, to;
    Pbkv__Body *body;
    struct bytes *octets;
    struct arena arena;
    int result;

    arena_init(&arena);
    result =
        message_decode(&arena, mail->body->data, mail->body->length, &body);
    ck_assert_int_eq(result, 0);
    peer_to_message(&mail->from, &from);
    peer_to_message(&mail->to, &to);
    frame.from = &from;
    frame.to = &to;
    frame.n_bodies = 1;
    frame.bodies = &body;
    octets = bytes_new_uninitialised(pbkv__frame__get_packed_size(&frame));
    pbkv__frame__pack(&frame, octets->data);
    arena_release(&arena);
    ck_assert_uint_le(octets->length, FRAME_LIMIT);
    result =
        frame_decode(&group->arena, octets->data, octets->length, &decoded);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(decoded->bodies[0]->kind_case, mail->kind);
    bytes_release(octets);
}

static bool post_has(const struct post *post, int kind, size_t n, size_t *place)
{
    for (size_t i = 0; i < post->count; i++) {
        if ((int)post->mails[i].kind == kind && n-- == 0) {
            *place = i;
            return true;
        }
    }
    return false;
}

size_t post_count(const struct post *post, int kind)
{
    size_t count = 0;

    for (size_t i = 0; i < post->count; i++)
        count += (int)post->mails[i].kind == kind;
    return count;
}

const struct mail *post_at(const struct post *post, int kind, size_t n)
{
    size_t place = 0;

    ck_assert_msg(post_has(post, kind, n, &place), "there is no %s number %zu",
                  message_name((Pbkv__Body__KindCase)kind), n);
    return &post->mails[place];
}

struct mail post_take(struct post *post, int kind, size_t n)
{
    size_t place = 0;
    struct mail mail;

    ck_assert_msg(post_has(post, kind, n, &place), "there is no %s number %zu",
                  message_name((Pbkv__Body__KindCase)kind), n);
    mail = post->mails[place];
    post->count--;
    memmove(post->mails + place, post->mails + place + 1,
            (post->count - place) * sizeof(mail));
    return mail;
}

size_t post_drop(struct post *post, int kind)
{
    size_t dropped = 0;
    size_t place;

    while (post_has(post, kind, 0, &place)) {
        struct mail mail = post_take(post, kind, 0);

        mail_release(&mail);
        dropped++;
    }
    return dropped;
}

size_t post_drop_all(struct post *post)
{
    size_t dropped = post->count;

    while (post->count > 0)
        mail_release(&post->mails[--post->count]);
    return dropped;
}

static void post_release(struct post *post)
{
    post_drop_all(post);
    free(post->mails);
    memset(post, 0, sizeof(*post));
}

/* ---- Events ---- */

struct server *group_server(const struct group *group, unsigned server)
{
    return (struct server *)group->nodes[server];
}

struct peer group_client(unsigned client)
{
    char text[] = "client:0";

    ck_assert_uint_lt(client, 10);
    text[sizeof(text) - 2] = (char)('0' + client);
    return peer_at(text, 1);
}

static void note(struct group *group, unsigned server,
                 const struct effect *effect)
{
    if (group->noted_count == group->noted_capacity) {
        group->noted_capacity =
            group->noted_capacity ? 2 * group->noted_capacity : 64;
        group->noted = memory_resize(group->noted, group->noted_capacity *
                                                       sizeof(*group->noted));
    }
    group->noted[group->noted_count++] =
        (struct noted){server, effect->log.name, effect->log.level};
}

static void collect_send(struct group *group, unsigned server,
                         const struct effect *effect)
{
    const char *to = effect->send.to.address.text;
    struct post *post = &group->network;

    ck_assert_uint_le(effect->send.body->length, BODY_LIMIT);
    if (strcmp(to, view_service) == 0)
        post = &group->pings;
    else if (strncmp(to, "client:", 7) == 0)
        post = &group->answers;
    post_add(post, &group->peers[server], effect);
}

static void collect(struct group *group, unsigned server)
{
    const struct env *env = &group->envs[server];

    for (size_t i = 0; i < env->count; i++) {
        const struct effect *effect = &env->effects[i];

        switch (effect->kind) {
        case EFFECT_SEND: collect_send(group, server, effect); break;
        case EFFECT_SET_TIMER:
            group->timers[server][effect->timer.slot] = true;
            break;
        case EFFECT_STOP_TIMER:
            group->timers[server][effect->timer.slot] = false;
            break;
        case EFFECT_LOG: note(group, server, effect); break;
        default: ck_abort_msg("a kv server neither persists nor answers");
        }
    }
}

/* One of: the start (slot TIMERS_MAX), a timer, a message. */
struct event {
    const struct peer *from;
    const Pbkv__Body *body; /* NULL: a timer or the start */
    unsigned slot;
};

static void step(struct node *node, struct env *env, const struct event *event)
{
    if (event->body)
        node_message(node, env, event->from, event->body);
    else if (event->slot < TIMERS_MAX)
        node_timer(node, env, event->slot);
    else
        node_start(node, env);
}

static void assert_same_digest(const struct node *a, const struct node *b)
{
    struct digest left = node_digest(a);
    struct digest right = node_digest(b);

    ck_assert_mem_eq(left.octets, right.octets, DIGEST_SIZE);
}

static void assert_same_effect(const struct effect *a, const struct effect *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    if (a->kind == EFFECT_SEND) {
        ck_assert(peer_equal(&a->send.to, &b->send.to));
        ck_assert(bytes_equal(a->send.body, b->send.body));
    } else if (a->kind == EFFECT_LOG)
        ck_assert_str_eq(a->log.name, b->log.name);
    else
        ck_assert_uint_eq(a->timer.slot, b->timer.slot);
}

/* Gives an event to a clone: the original does not change, and what becomes of
 * the clone is what then becomes of the original. */
static void step_with_clone(struct node *node, struct env *env,
                            const struct event *event)
{
    struct node *clone = node->type->clone(node);
    struct digest before = node_digest(node);
    struct digest after;
    struct env effects;

    env_init(&effects);
    assert_same_digest(node, clone);
    step(clone, &effects, event);
    after = node_digest(node);
    ck_assert_mem_eq(before.octets, after.octets, DIGEST_SIZE);
    step(node, env, event);
    assert_same_digest(node, clone);
    ck_assert_uint_eq(env->count, effects.count);
    for (size_t i = 0; i < env->count; i++)
        assert_same_effect(&env->effects[i], &effects.effects[i]);
    env_release(&effects);
    node_release(clone);
}

static void group_event(struct group *group, unsigned server,
                        const struct event *event)
{
    struct env *env = &group->envs[server];

    env_clear(env);
    if (group->unchecked)
        step(group->nodes[server], env, event);
    else
        step_with_clone(group->nodes[server], env, event);
    collect(group, server);
    if (!group->one_turn)
        group_end_turn(group, server);
}

void group_end_turn(struct group *group, unsigned server)
{
    if (group->timers[server][SERVER_TIMER_TURN])
        group_timer(group, server, SERVER_TIMER_TURN);
}

/* Delivers what the network would: a body that was decoded from its octets. */
static void receive_octets(struct group *group, unsigned server,
                           const struct peer *from, const struct bytes *octets)
{
    struct event event = {.from = from};
    Pbkv__Body *body;
    int result =
        message_decode(&group->input, octets->data, octets->length, &body);

    ck_assert_int_eq(result, 0);
    event.body = body;
    group_event(group, server, &event);
}

void group_receive(struct group *group, unsigned server,
                   const struct peer *from, const Pbkv__Body *body)
{
    struct bytes *octets = message_encode(body);

    receive_octets(group, server, from, octets);
    bytes_release(octets);
}

void group_timer(struct group *group, unsigned server, unsigned slot)
{
    struct event event = {.slot = slot};

    group->timers[server][slot] = false;
    group_event(group, server, &event);
}

void group_resend(struct group *group, unsigned server)
{
    size_t before = group_events(group, server, "replication.resend");

    group_timer(group, server, SERVER_TIMER_RESEND);
    if (group_events(group, server, "replication.resend") == before)
        group_timer(group, server, SERVER_TIMER_RESEND);
    ck_assert_uint_eq(group_events(group, server, "replication.resend"),
                      before + 1);
}

/* ---- The group ---- */

struct server_config group_config(void)
{
    struct server_config config = server_config_default();

    config.chunk_octets = 200;
    config.log_octets = 4096 + 61 * sizeof(struct log_entry);
    config.read_octets = 4096 + 4 * sizeof(struct waiting_read);
    config.limits.value = 1000;
    config.limits.sessions = 8;
    return config;
}

static void group_start(struct group *group, unsigned server,
                        const struct server_config *config)
{
    struct server_config own = *config;
    struct event event = {.slot = TIMERS_MAX};

    own.self = group->peers[server];
    own.view_service = peer_at(view_service, 0).address;
    group->nodes[server] = server_new(&own);
    memset(group->timers[server], 0, sizeof(group->timers[server]));
    group_event(group, server, &event);
}

void group_init(struct group *group, const struct server_config *config)
{
    static const char *const names[GROUP_SIZE] = {"A:1", "B:1", "C:1"};

    memset(group, 0, sizeof(*group));
    arena_init(&group->arena);
    arena_init(&group->input);
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        env_init(&group->envs[i]);
        group->peers[i] = peer_at(names[i], 1);
        group_start(group, i, config);
    }
}

void group_restart(struct group *group, unsigned server,
                   const struct server_config *config)
{
    node_release(group->nodes[server]);
    group->peers[server].incarnation++;
    group_start(group, server, config);
}

void group_release(struct group *group)
{
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        node_release(group->nodes[i]);
        env_release(&group->envs[i]);
    }
    post_release(&group->network);
    post_release(&group->answers);
    post_release(&group->pings);
    free(group->noted);
    arena_release(&group->arena);
    arena_release(&group->input);
}

void group_tell(struct group *group, unsigned server, uint64_t number,
                unsigned primary, unsigned backup)
{
    struct peer from = peer_at(view_service, 1);
    struct view view = {.number = number};
    struct view_message message;
    Pbkv__ViewReply reply = PBKV__VIEW_REPLY__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    if (primary != NOBODY)
        view.primary = group->peers[primary];
    if (backup != NOBODY)
        view.backup = group->peers[backup];
    view_to_message(&view, &message);
    reply.view = &message.view;
    body.kind_case = PBKV__BODY__KIND_VIEW_REPLY;
    body.view_reply = &reply;
    group_receive(group, server, &from, &body);
}

void group_view(struct group *group, uint64_t number, unsigned primary,
                unsigned backup)
{
    for (unsigned i = GROUP_SIZE; i-- > 0;) /* the primary hears of it last */
        group_tell(group, i, number, primary, backup);
}

void group_deliver(struct group *group, const struct mail *mail)
{
    for (unsigned i = 0; i < GROUP_SIZE; i++) {
        if (peer_equal(&group->peers[i], &mail->to))
            receive_octets(group, i, &mail->from, mail->body);
    }
}

void group_pass(struct group *group, int kind, size_t n)
{
    struct mail mail = post_take(&group->network, kind, n);

    group_deliver(group, &mail);
    mail_release(&mail);
}

void group_pump(struct group *group)
{
    size_t rounds = 0;

    while (group->network.count > 0) {
        group_pass(group, (int)group->network.mails[0].kind, 0);
        ck_assert_uint_lt(rounds++, 1000000);
    }
}

size_t group_events(const struct group *group, unsigned server,
                    const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < group->noted_count; i++)
        count += group->noted[i].server == server &&
                 strcmp(group->noted[i].name, name) == 0;
    return count;
}

void group_forget(struct group *group)
{
    group->noted_count = 0;
}

void group_make_single(struct group *group, const struct server_config *config)
{
    group_init(group, config);
    group_view(group, 1, A, NOBODY);
    group_pump(group);
    post_drop_all(&group->pings);
    group_forget(group);
}

void group_make_pair(struct group *group, const struct server_config *config)
{
    group_make_single(group, config);
    group_view(group, 2, A, B);
    group_pump(group);
    ck_assert(group_server(group, B)->initialised);
    ck_assert_uint_eq(group_server(group, A)->acknowledged, 2);
    post_drop_all(&group->pings);
    group_forget(group);
}

/* Compares field by field: says what differs. */
static void assert_same_state(const struct state *a, const struct state *b)
{
    struct sink texts[2];
    char *difference;

    sink_init(&texts[0], SINK_TEXT);
    sink_init(&texts[1], SINK_TEXT);
    state_describe(a, &texts[0]);
    state_describe(b, &texts[1]);
    difference = sink_first_difference(&texts[0], &texts[1]);
    ck_assert_msg(!difference, "%s", difference);
    sink_release(&texts[0]);
    sink_release(&texts[1]);
}

uint64_t group_assert_equal(const struct group *group, unsigned a, unsigned b)
{
    const struct server *left = group_server(group, a);
    const struct server *right = group_server(group, b);
    struct digest one = state_digest(&left->state);
    struct digest two = state_digest(&right->state);

    if (!group->unchecked)
        assert_same_state(&left->state, &right->state);
    ck_assert_mem_eq(one.octets, two.octets, DIGEST_SIZE);
    return left->state.op;
}

uint64_t group_pinged(struct group *group, unsigned server)
{
    uint64_t number = 0;

    group_timer(group, server, SERVER_TIMER_PING);
    for (size_t i = 0; i < group->pings.count; i++) {
        const struct mail *mail = &group->pings.mails[i];

        if (peer_equal(&mail->from, &group->peers[server]))
            number = mail_body(group, mail)->ping->view;
    }
    post_drop_all(&group->pings);
    return number;
}

/* ---- Clients ---- */

static void ask(struct group *group, unsigned server, unsigned client,
                const Pbkv__Body *body)
{
    struct peer from = group_client(client);

    group_receive(group, server, &from, body);
}

void ask_open(struct group *group, unsigned server, unsigned client,
              uint64_t call)
{
    Pbkv__OpenSession open = PBKV__OPEN_SESSION__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    open.call = call;
    body.kind_case = PBKV__BODY__KIND_OPEN_SESSION;
    body.open_session = &open;
    ask(group, server, client, &body);
}

static void ask_put_octets(struct group *group, unsigned server,
                           unsigned client, Pbkv__Put *put)
{
    Pbkv__Body body = PBKV__BODY__INIT;

    body.kind_case = PBKV__BODY__KIND_PUT;
    body.put = put;
    ask(group, server, client, &body);
}

void ask_update(struct group *group, unsigned server, unsigned client,
                uint64_t call, Pbkv__Kind kind, uint64_t session, uint64_t seq,
                ProtobufCBinaryData key, ProtobufCBinaryData value)
{
    Pbkv__Put put = PBKV__PUT__INIT;
    Pbkv__Append append = PBKV__APPEND__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    put.call = append.call = call;
    put.session = append.session = session;
    put.seq = append.seq = seq;
    put.key = append.key = key;
    put.value = append.value = value;
    if (kind == PBKV__KIND__KIND_PUT) {
        ask_put_octets(group, server, client, &put);
        return;
    }
    ck_assert_int_eq(kind, PBKV__KIND__KIND_APPEND);
    body.kind_case = PBKV__BODY__KIND_APPEND;
    body.append = &append;
    ask(group, server, client, &body);
}

void ask_put(struct group *group, unsigned server, unsigned client,
             uint64_t call, uint64_t session, uint64_t seq, const char *key,
             const char *value)
{
    ask_update(group, server, client, call, PBKV__KIND__KIND_PUT, session, seq,
               message_octets(key, strlen(key)),
               message_octets(value, strlen(value)));
}

void ask_append(struct group *group, unsigned server, unsigned client,
                uint64_t call, uint64_t session, uint64_t seq, const char *key,
                const char *value)
{
    ask_update(group, server, client, call, PBKV__KIND__KIND_APPEND, session,
               seq, message_octets(key, strlen(key)),
               message_octets(value, strlen(value)));
}

void ask_get(struct group *group, unsigned server, unsigned client,
             uint64_t call, const char *key)
{
    Pbkv__Get get = PBKV__GET__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    get.call = call;
    get.key = message_octets(key, strlen(key));
    body.kind_case = PBKV__BODY__KIND_GET;
    body.get = &get;
    ask(group, server, client, &body);
}

void ask_scan(struct group *group, unsigned server, unsigned client,
              uint64_t call, uint64_t cursor)
{
    Pbkv__Scan scan = PBKV__SCAN__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    scan.call = call;
    scan.cursor = cursor;
    body.kind_case = PBKV__BODY__KIND_SCAN;
    body.scan = &scan;
    ask(group, server, client, &body);
}

/* Takes the oldest answer out and decodes it. */
static const Pbkv__Body *next_answer(struct group *group, unsigned client,
                                     int kind)
{
    struct peer peer = group_client(client);
    const Pbkv__Body *body;
    struct mail mail;

    ck_assert_msg(group->answers.count > 0, "nobody was answered");
    mail = post_take(&group->answers, (int)group->answers.mails[0].kind, 0);
    ck_assert_str_eq(message_name(mail.kind),
                     message_name((Pbkv__Body__KindCase)kind));
    ck_assert_str_eq(mail.to.address.text, peer.address.text);
    body = mail_body(group, &mail);
    mail_release(&mail);
    return body;
}

static const Pbkv__Reply *next_reply(struct group *group, unsigned client,
                                     uint64_t call, Pbkv__Status status)
{
    const Pbkv__Reply *reply = next_answer(group, client, REPLY)->reply;

    ck_assert_uint_eq(reply->call, call);
    ck_assert_str_eq(status_name(reply->status), status_name(status));
    return reply;
}

void expect_status(struct group *group, unsigned client, uint64_t call,
                   Pbkv__Status status)
{
    next_reply(group, client, call, status);
}

void expect_value(struct group *group, unsigned client, uint64_t call,
                  const char *value)
{
    const Pbkv__Reply *reply =
        next_reply(group, client, call, PBKV__STATUS__OK);

    ck_assert_uint_eq(reply->value.len, strlen(value));
    if (reply->value.len > 0)
        ck_assert_mem_eq(reply->value.data, value, reply->value.len);
}

void expect_wrong_server(struct group *group, unsigned client, uint64_t call,
                         uint64_t view)
{
    const Pbkv__Reply *reply =
        next_reply(group, client, call, PBKV__STATUS__WRONG_SERVER);

    ck_assert_ptr_nonnull(reply->view);
    ck_assert_uint_eq(reply->view->number, view);
}

uint64_t expect_opened(struct group *group, unsigned client, uint64_t call)
{
    const Pbkv__SessionOpened *opened =
        next_answer(group, client, OPENED)->session_opened;

    ck_assert_uint_eq(opened->call, call);
    return opened->session;
}

void expect_silence(const struct group *group)
{
    ck_assert_msg(group->answers.count == 0, "a client was answered: %s",
                  message_name(group->answers.mails[0].kind));
}

uint64_t open_session(struct group *group, unsigned server, unsigned client)
{
    ask_open(group, server, client, 1);
    group_pump(group);
    return expect_opened(group, client, 1);
}
