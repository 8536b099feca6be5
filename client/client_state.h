/* SPDX-License-Identifier: MIT */
/*
 * client_state: what a client knows, for the files of the role only. Calls,
 * sessions and the view each have a file of functions; they meet here.
 *
 *   client.c          the node: events in, dispatch, ticks, clone, describe
 *   client_table.c    the calls under way, by tag
 *   client_calls.c    a call begins; sending one; ending one
 *   client_replies.c  one function for each message that ends a call
 *   client_sessions.c which update goes into which session
 *   client_view.c     the cached view (rule C1)
 *
 * A call is in one of three places. It waits in the queue (an update without a
 * session); or it is ready but was never sent (there is no view yet); or it was
 * sent, and `wait` counts the ticks until it is sent again.
 *
 * Opening a session is a call, too, with no caller and no deadline.
 */
#ifndef CLIENT_CLIENT_STATE_H
#define CLIENT_CLIENT_STATE_H

#include "client/client.h"
#include "client/client_table.h"

#define CLIENT_NO_SESSION UINT32_MAX

enum client_transmissions { SENT_NEVER, SENT_ONCE, SENT_AGAIN };

/* What the end of a call looks at comes first: with many calls under way, most
 * of them are not in a cache. */
struct call {
    uint64_t tag;       /* on the wire; the table's key */
    struct call *chain; /* these three are the table's */
    struct call *before;
    struct call *after;

    uint64_t call; /* the caller's tag; 0 for OPEN_SESSION */
    struct bytes *key;
    struct bytes *value;
    Pbkv__Body__KindCase kind;
    uint32_t ticks_left; /* until the deadline; 0: none (OPEN_SESSION) */

    /* Rule C2: a retry repeats tag, session and seq. */
    uint64_t seq;
    uint32_t session; /* index, or CLIENT_NO_SESSION */
    enum client_transmissions sent;

    /* When to send again. */
    uint32_t wait;  /* ticks; 0: when the view is known */
    uint32_t pause; /* ticks to wait after the next refusal */
    bool refused;   /* the wait is a pause after a refusal, not silence */

    /* The queue of updates that wait for a session. */
    bool queued;
    struct call *prev;
    struct call *next;

    uint64_t cursor;
    struct peer to; /* where it was sent last, or where it has to go */
};

enum client_session_state {
    SESSION_CLOSED,
    SESSION_OPENING,
    SESSION_IDLE,
    SESSION_BUSY,
};

struct client_session {
    enum client_session_state state;
    uint64_t id;  /* the servers' name for it; 0 until it is open */
    uint64_t seq; /* of the newest update; it only rises */
    uint64_t tag; /* OPENING, BUSY: of the call that has it */
};

struct client {
    struct node node;
    struct client_config config;

    /* Rule C1. Number 0: no view is known yet. */
    struct view view;
    bool view_wanted;   /* the view service has to be asked, or was */
    uint32_t view_wait; /* ticks until it may be asked (again) */
    uint32_t doubts;    /* questions since the primary was lost; 0: it is not */
    bool lost;          /* it was lost while nobody waited for it */

    /* Calls under way, in the order of their tags. callers counts those that
     * somebody waits for, viewers the GET_VIEWs among them. */
    struct call_table calls;
    struct call *spare; /* calls that ended, for the next ones; by `next` */
    uint32_t spares;
    uint64_t last_tag;
    uint32_t callers;
    uint32_t viewers;

    bool ticking;    /* the timer runs */
    uint32_t stride; /* ticks that it covers */
    uint32_t hurry;  /* ticks for which it covers one at a time */

    /* Rule P6. queue and waiting are the updates that have no session. */
    struct client_session *sessions; /* sessions_max of them */
    uint32_t opening;                /* sessions in state OPENING */
    uint32_t idle;                   /* sessions in state IDLE */
    uint32_t first_idle;             /* no session before this one is IDLE */
    uint32_t busy;                   /* sessions in state BUSY */
    struct call *queue;
    uint32_t waiting;
};

/* ---- client.c ------------------------------------------------------------ */

/* Something is urgent: for a while the timer covers one tick at a time, and the
 * first one begins now. What the timer has waited for already is not counted,
 * so other calls may end later by less than a stride. */
void client_hurry(struct client *client, struct env *env);

/* ---- client_calls.c ------------------------------------------------------ */

/* Returns a new call in the table, with a tag of its own. */
struct call *client_calls_add(struct client *client, Pbkv__Body__KindCase kind);

/* Returns the call with this tag, or NULL. */
struct call *client_calls_find(const struct client *client, uint64_t tag);

/* Gives a call a new tag, so that answers to the old one mean nothing. */
void client_call_renew(struct client *client, struct call *call);

/* Return whether a call is answered by the primary; whether it is a Put or an
 * Append. */
bool client_call_is_for_primary(const struct call *call);
bool client_call_is_update(const struct call *call);

/* Sends a call that is ready, for the first time or again. Without a view it
 * stays unsent, and the view service is asked. */
void client_call_send(struct client *client, struct env *env,
                      struct call *call);

/* Notes that the call was refused for now: it is sent again after a pause that
 * doubles each time, up to the time of silence. */
void client_call_pause(struct client *client, struct env *env,
                       struct call *call);

/* Ends a call with an answer; ends it with a status. The call is gone then, its
 * session free and possibly in use again. */
void client_call_end(struct client *client, struct env *env, struct call *call,
                     const Pbkv__Body *answer);
void client_call_end_status(struct client *client, struct env *env,
                            struct call *call, Pbkv__Status status);

/* Takes a call out of the table and frees it. It has no session and is in no
 * queue any more. */
void client_call_forget(struct client *client, struct call *call);

/* Counts ticks of a call: its deadline, its silence or its pause. */
void client_call_tick(struct client *client, struct env *env, struct call *call,
                      uint32_t ticks);

/* ---- client_replies.c ---------------------------------------------------- */

void client_on_reply(struct client *client, struct env *env,
                     const struct peer *from, const Pbkv__Body *body);
void client_on_session_opened(struct client *client, struct env *env,
                              const Pbkv__Body *body);
void client_on_page(struct client *client, struct env *env,
                    const Pbkv__Body *body);
void client_on_echo_reply(struct client *client, struct env *env,
                          const Pbkv__Body *body);
void client_on_inspect_reply(struct client *client, struct env *env,
                             const Pbkv__Body *body);

/* ---- client_sessions.c --------------------------------------------------- */

/* Puts an update into the queue: at its end, or, for one that has already been
 * out of it, at its head. */
void client_queue_append(struct client *client, struct call *call);
void client_queue_prepend(struct client *client, struct call *call);

/* Gives waiting updates to idle sessions and sends them, and opens as many
 * sessions as the rest needs, within the limit. */
void client_sessions_serve(struct client *client, struct env *env);

/* Takes a call out of the queue or away from its session, which is idle (or,
 * for an OPEN_SESSION, closed) afterwards. */
void client_session_leave(struct client *client, struct call *call);

/* Closes the session of an update because the servers do not know it. */
void client_session_expire(struct client *client, struct env *env,
                           struct call *call);

/* Assert what must hold of sessions and queue: by the counts only, and in every
 * session, of which there can be many; and of a call in a session. */
void client_sessions_check_counts(const struct client *client);
void client_sessions_check(const struct client *client);
void client_session_check_call(const struct client *client,
                               const struct call *call);

/* ---- client_view.c ------------------------------------------------------- */

/* Asks the view service: at once, or as soon as it may be asked again. */
void client_view_want(struct client *client, struct env *env);

/* Takes over a newer view and sends what waits for it. An older view, or one
 * that differs under the same number, is ignored. Returns whether the view is
 * now the client's. */
bool client_view_adopt(struct client *client, struct env *env,
                       const struct view *view);

/* The primary cannot be reached: asks the view service until there is another,
 * or until client_view_trust, which is told when the primary answers. */
void client_view_doubt(struct client *client, struct env *env);
void client_view_trust(struct client *client);

/* Counts ticks of asking the view service. */
void client_view_tick(struct client *client, struct env *env, uint32_t ticks);

void client_on_view_reply(struct client *client, struct env *env,
                          const struct peer *from, const Pbkv__Body *body);

#endif
