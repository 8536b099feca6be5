/* SPDX-License-Identifier: MIT */
/*
 * effects: kv servers event by event. A group is a few servers without a
 * network: what they send is kept as mail until a test delivers, repeats,
 * reorders or loses it. Nothing happens that the test does not ask for.
 *
 *     group_init(&group, &config);
 *     group_view(&group, 2, A, B);             both learn view 2
 *     group_pump(&group);                      mail goes round until none is
 * left ask_put(&group, A, CLIENT, 7, session, 1, "key", "value");
 *     post_drop(&group.network, FORWARD);      the forward is lost
 *     group_timer(&group, A, SERVER_TIMER_RESEND);
 *
 * Every event of every test goes through group_event, which gives it to a clone
 * of the server as well: the clone must describe itself like the original, the
 * original must not notice, and both must end alike with the same effects. So
 * each state that any test reaches is also a test of clone and of determinism.
 */
#ifndef TESTS_EFFECTS_H
#define TESTS_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/message.h"
#include "pbserver/server.h"

enum { A, B, C, GROUP_SIZE, NOBODY = GROUP_SIZE };

enum { CLIENT = 1, OTHER_CLIENT = 2, THIRD_CLIENT = 3 };

/* Short names for the kinds of mail that tests handle. */
enum {
    PING = PBKV__BODY__KIND_PING,
    REPLY = PBKV__BODY__KIND_REPLY,
    OPENED = PBKV__BODY__KIND_SESSION_OPENED,
    PAGE = PBKV__BODY__KIND_PAGE,
    FORWARD = PBKV__BODY__KIND_FORWARD,
    FORWARD_ACK = PBKV__BODY__KIND_FORWARD_ACK,
    CHUNK = PBKV__BODY__KIND_CHUNK,
    CHUNK_ACK = PBKV__BODY__KIND_CHUNK_ACK,
    REFUSAL = PBKV__BODY__KIND_REFUSAL,
};

/* One encoded message on its way. */
struct mail {
    struct peer from;
    struct peer to;
    Pbkv__Body__KindCase kind;
    struct bytes *body;
};

/* Mail in the order in which it was sent. */
struct post {
    struct mail *mails;
    size_t count;
    size_t capacity;
};

/* A named event that a server noted. */
struct noted {
    unsigned server;
    const char *name;
    enum log_level level;
};

struct group {
    struct node *nodes[GROUP_SIZE];
    struct peer peers[GROUP_SIZE];
    struct env envs[GROUP_SIZE]; /* effects of each server's last event */
    bool timers[GROUP_SIZE][TIMERS_MAX];
    struct post network; /* to servers */
    struct post answers; /* to clients */
    struct post pings;   /* to the view service */
    struct noted *noted;
    size_t noted_count;
    size_t noted_capacity;
    struct arena arena; /* of mail_body */
    struct arena input; /* of the message that a server is given */
    bool one_turn;      /* events arrive together, until group_end_turn */
    bool unchecked;     /* large states: no clones, and only digests compared */
};

/* ---- Mail ---- */

/* Frees a mail's body. */
void mail_release(struct mail *mail);

/* Decodes a mail, which must pass message_check. What it returns lives until
 * the next call. */
const Pbkv__Body *mail_body(struct group *group, const struct mail *mail);

/* Asserts that the frame that a runtime makes of a mail is within its limits
 * and can be decoded. */
void mail_assert_frame(struct group *group, const struct mail *mail);

/* Returns how much mail of a kind there is. */
size_t post_count(const struct post *post, int kind);

/* Returns the n-th mail of a kind, from 0, borrowed until the post changes. The
 * test fails when there is none. */
const struct mail *post_at(const struct post *post, int kind, size_t n);

/* Takes the n-th mail of a kind out; the caller releases it. */
struct mail post_take(struct post *post, int kind, size_t n);

/* Loses all mail of a kind, or all mail; returns how much it was. */
size_t post_drop(struct post *post, int kind);
size_t post_drop_all(struct post *post);

/* ---- The group ---- */

/* A configuration with small limits: chunks of 200 octets, a log of 4096. */
struct server_config group_config(void);

/* Makes GROUP_SIZE servers with this configuration (but for `self` and
 * `view_service`) and starts them. */
void group_init(struct group *group, const struct server_config *config);

/* Frees servers and mail. */
void group_release(struct group *group);

/* Replaces a server by its next incarnation, which knows nothing. */
void group_restart(struct group *group, unsigned server,
                   const struct server_config *config);

/* Returns a server's state, for assertions and for turning its knobs. */
struct server *group_server(const struct group *group, unsigned server);

/* Returns the name of a client. */
struct peer group_client(unsigned client);

/* Gives a server an event and collects the effects. */
void group_receive(struct group *group, unsigned server,
                   const struct peer *from, const Pbkv__Body *body);
void group_timer(struct group *group, unsigned server, unsigned slot);

/* Ends a turn of a server's loop: fires its turn timer, if it is set. Every
 * event is a turn of its own, unless the test sets one_turn. */
void group_end_turn(struct group *group, unsigned server);

/* Lets a primary notice that its backup has stopped moving, so that it sends
 * again: the resend timer, a second time if there was progress before. */
void group_resend(struct group *group, unsigned server);

/* Tells one server, or all of them, of a view. */
void group_tell(struct group *group, unsigned server, uint64_t number,
                unsigned primary, unsigned backup);
void group_view(struct group *group, uint64_t number, unsigned primary,
                unsigned backup);

/* Delivers a mail to the server whose address it has; the mail stays. Mail for
 * an earlier incarnation is lost, as in a runtime. */
void group_deliver(struct group *group, const struct mail *mail);

/* Takes the n-th mail of a kind out and delivers it. */
void group_pass(struct group *group, int kind, size_t n);

/* Delivers mail in order until there is none. */
void group_pump(struct group *group);

/* Returns how often a server noted an event since the last group_forget. */
size_t group_events(const struct group *group, unsigned server,
                    const char *name);
void group_forget(struct group *group);

/* Brings the group into view 2 with primary A and installed backup B, or into
 * view 1 with A alone. */
void group_make_pair(struct group *group, const struct server_config *config);
void group_make_single(struct group *group, const struct server_config *config);

/* Asserts that both hold the same state, and returns its op number. */
uint64_t group_assert_equal(const struct group *group, unsigned a, unsigned b);

/* Returns the newest view number that a server has pinged. */
uint64_t group_pinged(struct group *group, unsigned server);

/* ---- Clients ---- */

void ask_open(struct group *group, unsigned server, unsigned client,
              uint64_t call);
void ask_put(struct group *group, unsigned server, unsigned client,
             uint64_t call, uint64_t session, uint64_t seq, const char *key,
             const char *value);
void ask_append(struct group *group, unsigned server, unsigned client,
                uint64_t call, uint64_t session, uint64_t seq, const char *key,
                const char *value);
void ask_get(struct group *group, unsigned server, unsigned client,
             uint64_t call, const char *key);
void ask_scan(struct group *group, unsigned server, unsigned client,
              uint64_t call, uint64_t cursor);

/* Updates with values of any octets. */
void ask_update(struct group *group, unsigned server, unsigned client,
                uint64_t call, Pbkv__Kind kind, uint64_t session, uint64_t seq,
                ProtobufCBinaryData key, ProtobufCBinaryData value);

/* Opens a session at a primary, pumping, and returns its id. */
uint64_t open_session(struct group *group, unsigned server, unsigned client);

/* Takes the oldest answer out; it must be a Reply to this client and call with
 * this status. */
void expect_status(struct group *group, unsigned client, uint64_t call,
                   Pbkv__Status status);

/* The same for an OK with a value. */
void expect_value(struct group *group, unsigned client, uint64_t call,
                  const char *value);

/* The same for WRONG_SERVER that names a view of this number. */
void expect_wrong_server(struct group *group, unsigned client, uint64_t call,
                         uint64_t view);

/* The same for SessionOpened; returns the session. */
uint64_t expect_opened(struct group *group, unsigned client, uint64_t call);

/* Asserts that no client has been answered. */
void expect_silence(const struct group *group);

#endif
