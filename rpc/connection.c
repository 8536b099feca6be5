/* SPDX-License-Identifier: MIT */
/*
 * connection: see connection.h. Two events per socket: `readable` is persistent
 * and wanted unless reading pauses; `writable` is wanted only while connecting
 * and while the system takes no more output. Octets queued here are counted in
 * rpc->output_octets, memory of unfinished frames in rpc->input_octets.
 */
#include "rpc/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "rpc/incoming.h"
#include "rpc/reserve.h"
#include "rpc/route.h"
#include "rpc/socket.h"

enum {
    /* Queued octets that are sent without waiting for the turn: what answers
     * us can begin, and who reads a lot does not have to wait for the rest. At
     * the end of the turn only the latter counts, because all else goes out in
     * a moment, in one write. */
    FLUSH_DIALLED = 4 * 1024,
    FLUSH_ACCEPTED = 128 * 1024,
    PAUSE_OUTPUT = 256 * 1024, /* queued octets of one who is not read from */
    VECTORS = 64,              /* segments in one sendmsg */
    PARTIAL_KEPT = 4 * 1024,   /* octets of memory an idle connection keeps */
    IN_PLACE = 16 * 1024,      /* octets missing of a frame, to receive there */
    RESERVE_SHARE = 4,         /* one octet in so many is for dialled ones */
    CONNECT_LIMIT_MS = 3000,   /* after which an attempt is given up */
    SWEEPS = 5,                /* in the time that a frame may not grow */
    RESERVE_STEP = 256 * 1024, /* octets for strangers, then memory is asked */
    LARGE_FRAME = 16 * 1024, /* octets: too many to take when memory is short */
};

/* ---- Life ------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *argument);
static void on_writable(evutil_socket_t fd, short what, void *argument);

static void watch_for_input(struct connection *connection)
{
    int result = event_add(connection->readable, NULL);

    assert(result == 0);
    (void)result;
}

struct connection *connection_new(struct rpc *rpc, int fd,
                                  enum connection_state state,
                                  struct route *route)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        return NULL;
    connection->rpc = rpc;
    connection->fd = fd;
    connection->state = state;
    connection->route = route;
    connection->dialled = route != NULL;
    connection->readable =
        rpc_event_new(rpc, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writable =
        rpc_event_new(rpc, fd, EV_WRITE, on_writable, connection);
    DL_APPEND(rpc->connections, connection);
    ++rpc->figures.connections;
    if (state == CONNECTION_OPEN)
        watch_for_input(connection);
    else
        rpc_event_after(connection->writable, CONNECT_LIMIT_MS);
    return connection;
}

/* The unfinished frame is complete or given up. */
static void end_partial(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;

    if (connection->partial_length == 0)
        return;
    connection->partial_length = 0;
    DL_DELETE2(rpc->partials, connection, prev_partial, next_partial);
    if (rpc->partials == NULL)
        event_del(rpc->sweep);
}

static void drop_partial(struct connection *connection)
{
    end_partial(connection);
    connection->rpc->input_octets -= connection->partial_capacity;
    free(connection->partial);
    connection->partial = NULL;
    connection->partial_capacity = 0;
}

static void drop_output(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;

    connection->open.frame = NULL;
    rpc->output_octets -= connection->output.octets;
    output_clear(&connection->output, &rpc->reactor->segments);
}

void connection_close(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;

    if (connection->state == CONNECTION_DEAD)
        return;
    connection->state = CONNECTION_DEAD;
    event_free(connection->readable);
    event_free(connection->writable);
    close(connection->fd);
    --rpc->figures.connections;
    drop_partial(connection);
    drop_output(connection);
    DL_DELETE(rpc->connections, connection);
    DL_APPEND(rpc->dead, connection);
    rpc_schedule_turn(rpc);
    route_lost(connection);
}

/* ---- Output ----------------------------------------------------------- */

/* Makes the system take what it will. Returns 0, or the negative errno of a
 * connection that is broken. */
static int push(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;
    struct iovec vectors[VECTORS];
    struct msghdr message = {.msg_iov = vectors};
    int count = output_gather(&connection->output, vectors, VECTORS);

    connection->open.frame = NULL;
    message.msg_iovlen = (size_t)count;
    ssize_t sent = count == 1 ? send(connection->fd, vectors[0].iov_base,
                                     vectors[0].iov_len, MSG_NOSIGNAL)
                              : sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
        return 0;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        connection->blocked = true;
        return 0;
    }
    if (sent < 0)
        return -errno;
    output_consume(&connection->output, &rpc->reactor->segments, (size_t)sent);
    rpc->output_octets -= (size_t)sent;
    if (connection->output.octets == 0)
        connection->overflows = false;
    rpc->figures.octets_out += (uint64_t)sent;
    return 0;
}

/* Queued octets at which an accepted connection is not read from. */
static size_t pause_threshold(const struct connection *connection)
{
    size_t half = connection->rpc->config.limits.connection_output / 2;

    return half < PAUSE_OUTPUT ? half : PAUSE_OUTPUT;
}

/* Who does not take answers is asked for no more questions. Only accepted
 * connections pause: two loops that did not read from each other before the
 * other one does would wait for ever. */
static void pause_if_unread(struct connection *connection)
{
    if (connection->dialled || connection->paused || !connection->blocked ||
        connection->output.octets <= pause_threshold(connection))
        return;
    connection->paused = true;
    event_del(connection->readable);
    rpc_event(connection->rpc, LOG_LEVEL_DEBUG, "receive.paused",
              "answers are not taken");
}

static void note_growth(struct connection *connection);

/* An unfinished frame did not grow because it was not read: its time begins
 * anew. */
static void resume_if_read(struct connection *connection)
{
    if (!connection->paused ||
        connection->output.octets > pause_threshold(connection) / 2)
        return;
    connection->paused = false;
    if (connection->partial_length > 0) {
        note_growth(connection);
        connection->begun_ms = connection->grown_ms;
    }
    watch_for_input(connection);
}

/* Sends what can be sent now. Returns 0 or the negative errno of a broken
 * connection. */
static int flush(struct connection *connection)
{
    int error = 0;

    while (connection->output.octets > 0 && !connection->blocked && error == 0)
        error = push(connection);
    if (error == 0 && connection->blocked)
        event_add(connection->writable, NULL);
    if (error == 0)
        pause_if_unread(connection);
    return error;
}

static void mark_dirty(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;

    if (connection->dirty || connection->blocked)
        return;
    connection->dirty = true;
    connection->next_dirty = rpc->dirty;
    rpc->dirty = connection;
    rpc_schedule_turn(rpc);
}

/* Accepted connections cannot use up everything: strangers that do not read, or
 * do not finish, must not keep us from those whom we dialled. */
static size_t share_of(const struct connection *connection, size_t limit)
{
    return connection->dialled ? limit : limit - limit / RESERVE_SHARE;
}

static size_t flush_threshold(const struct connection *connection)
{
    return connection->dialled && !connection->rpc->ending ? FLUSH_DIALLED
                                                           : FLUSH_ACCEPTED;
}

/* What may wait on one connection. Nobody gets more than is free in all, so
 * however many do not read, as much as each of them holds stays free for those
 * who do. */
static size_t output_limit(const struct connection *connection)
{
    const struct rpc_limits *limits = &connection->rpc->config.limits;
    size_t all = share_of(connection, limits->total_output);
    size_t held = connection->rpc->output_octets;
    size_t left = held < all ? all - held : 0;

    return left < limits->connection_output ? left : limits->connection_output;
}

/* Whether so many more octets may be queued. */
static bool may_queue(const struct connection *connection, size_t size)
{
    return connection->output.octets + size <= output_limit(connection);
}

/* Counts a message that is queued, and sends if there is enough now. */
static void note_queued(struct connection *connection, size_t size)
{
    connection->rpc->output_octets += size;
    ++connection->rpc->figures.messages_out;
    mark_dirty(connection);
    if (connection->output.octets >= flush_threshold(connection) &&
        !connection->broken)
        connection->broken = flush(connection) < 0;
    pause_if_unread(connection);
}

/* Notes a frame to which others of the same moment can be added. */
static void open_frame(struct connection *connection, uint8_t *frame,
                       const struct outgoing *outgoing)
{
    connection->open.frame = outgoing->open ? frame : NULL;
    connection->open.incarnation = outgoing->incarnation;
    connection->open.knowledge = connection->rpc->knowledge;
    connection->open.bodies = 1;
}

/* Queues a whole frame. A body that would have a segment of its own is not
 * copied into it. Returns false when the system has no memory. */
static bool queue_frame(struct connection *connection,
                        const struct outgoing *outgoing, size_t size)
{
    struct segment_pool *pool = &connection->rpc->reactor->segments;
    uint8_t *room;

    if (outgoing->shared != NULL && size > SEGMENT_SIZE) {
        open_frame(connection, NULL, outgoing);
        return output_lend(&connection->output, pool, outgoing->head,
                           outgoing->head_length, outgoing->shared);
    }
    room = output_reserve(&connection->output, pool, size);
    if (room == NULL)
        return false;
    frame_write(outgoing, room);
    open_frame(connection, room, outgoing);
    return true;
}

bool connection_send(struct connection *connection,
                     const struct outgoing *outgoing)
{
    struct rpc *rpc = connection->rpc;
    size_t size = frame_size(outgoing);

    assert(connection->state == CONNECTION_OPEN);
    if (!may_queue(connection, size) ||
        !queue_frame(connection, outgoing, size))
        return false;
    ++rpc->figures.frames_out;
    note_queued(connection, size);
    return true;
}

bool connection_join(struct connection *connection, uint64_t incarnation,
                     const struct bytes *body)
{
    size_t size = frame_addition(body);

    assert(connection->state == CONNECTION_OPEN);
    if (connection->open.frame == NULL ||
        connection->open.knowledge != connection->rpc->knowledge ||
        connection->open.bodies == FRAME_BODIES_LIMIT ||
        connection->open.incarnation != incarnation ||
        !may_queue(connection, size) ||
        !output_extend(&connection->output, size))
        return false;
    frame_add(connection->open.frame, body);
    connection->open.bodies++;
    note_queued(connection, size);
    return true;
}

static void open_dialled(struct connection *connection)
{
    connection->state = CONNECTION_OPEN;
    watch_for_input(connection);
    route_connected(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;

    (void)fd;
    if (connection->state == CONNECTION_CONNECTING) {
        int error = (what & EV_TIMEOUT) != 0 ? -ETIMEDOUT
                                             : socket_dialled(connection->fd);
        if (error == 0)
            open_dialled(connection);
        else
            route_dial_failed(connection, error);
        return;
    }
    connection->blocked = false;
    if (flush(connection) < 0)
        connection_close(connection);
    else
        resume_if_read(connection);
}

/* ---- Input ------------------------------------------------------------ */

/* Closes for a fault of the other side. */
static void refuse(struct connection *connection, const char *event,
                   const char *detail)
{
    rpc_event(connection->rpc, LOG_LEVEL_WARN, event, detail);
    connection_close(connection);
}

static bool length_is_good(struct connection *connection, uint32_t length)
{
    if (length > 0 && length <= FRAME_LIMIT)
        return true;
    rpc_event_format(connection->rpc, LOG_LEVEL_WARN, "frame.length",
                     "%lu octets claimed", (unsigned long)length);
    connection_close(connection);
    return false;
}

static void handle_frame(struct connection *connection, const uint8_t *data,
                         size_t length)
{
    if (incoming_frame(connection, data, length) < 0)
        connection_close(connection);
}

static struct connection *first_accepted(struct connection *connection)
{
    while (connection != NULL && connection->dialled)
        connection = connection->next_partial;
    return connection;
}

/* Returns the connection that gives way to the newcomer (NULL: one that is not
 * accepted yet), or NULL. */
static struct connection *victim_of(const struct rpc *rpc,
                                    const struct connection *newcomer)
{
    struct connection *victim = first_accepted(rpc->partials);

    if (victim != NULL && victim == newcomer)
        victim = first_accepted(victim->next_partial);
    return victim;
}

bool connections_keep_reserve(struct rpc *rpc,
                              const struct connection *newcomer, size_t size)
{
    rpc->taken_octets += size;
    if (rpc->taken_octets < RESERVE_STEP)
        return true;
    while (!reserve_is_there()) {
        struct connection *victim = victim_of(rpc, newcomer);

        if (victim == NULL)
            return false;
        refuse(victim, "receive.limit", "memory is short");
    }
    rpc->taken_octets = 0;
    return true;
}

/* Returns whether the connection's memory can become this large, after others
 * have been closed for it if need be. */
static bool make_room(struct connection *connection, size_t capacity)
{
    struct rpc *rpc = connection->rpc;
    size_t limit = share_of(connection, rpc->config.limits.total_input);

    if (capacity > limit)
        return false;
    while (rpc->input_octets - connection->partial_capacity + capacity >
           limit) {
        struct connection *victim = victim_of(rpc, connection);

        if (victim == NULL)
            return false;
        refuse(victim, "receive.limit", "unfinished frames of others get on");
    }
    return connection->dialled ||
           connections_keep_reserve(rpc, connection, capacity);
}

/* Whether a frame can begin in the memory of one that is finished, without more
 * being closed for it. */
static bool spare_fits(const struct connection *connection, size_t need)
{
    const struct rpc *rpc = connection->rpc;
    size_t size = rpc->reactor->spare_size;

    return connection->partial == NULL && need <= size &&
           rpc->input_octets + size <=
               share_of(connection, rpc->config.limits.total_input);
}

static uint8_t *take_spare(struct reactor *reactor)
{
    uint8_t *spare = reactor->spare;

    reactor->spare = NULL;
    reactor->spare_size = 0;
    return spare;
}

/* Leaves the memory of a frame that is finished to the next one. */
static void leave_spare(struct connection *connection)
{
    struct reactor *reactor = connection->rpc->reactor;
    uint8_t *partial = connection->partial;
    size_t capacity = connection->partial_capacity;

    if (capacity > reactor->spare_size) {
        connection->partial = reactor->spare;
        reactor->spare = partial;
        reactor->spare_size = capacity;
    }
    drop_partial(connection);
}

/* Makes room for `more` octets of the unfinished frame: what is spare, or twice
 * what it was, so in proportion to what has arrived. Closes when a limit is
 * reached. */
static bool grow_partial(struct connection *connection, size_t more)
{
    struct rpc *rpc = connection->rpc;
    size_t need = connection->partial_length + more;
    size_t capacity = connection->partial_capacity;
    bool spare = spare_fits(connection, need);
    uint8_t *grown;

    if (need <= capacity)
        return true;
    capacity = need < 2 * capacity ? 2 * capacity : need;
    if (spare)
        capacity = rpc->reactor->spare_size;
    if (!make_room(connection, capacity)) {
        refuse(connection, "receive.limit", "too many unfinished frames");
        return false;
    }
    grown = spare ? take_spare(rpc->reactor)
                  : realloc(connection->partial, capacity);
    if (grown == NULL) {
        refuse(connection, "receive.limit", "out of memory");
        return false;
    }
    rpc->input_octets += capacity - connection->partial_capacity;
    connection->partial = grown;
    connection->partial_capacity = capacity;
    return true;
}

static void start_sweep(struct rpc *rpc)
{
    rpc_event_after(rpc->sweep, rpc->config.limits.input_pause_ms / SWEEPS);
}

/* Notes that the unfinished frame has grown, or begun. */
static void note_growth(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;

    connection->grown_ms = rpc_now_ms();
    if (connection->partial_length == 0) {
        connection->begun_ms = connection->grown_ms;
        if (rpc->partials == NULL)
            start_sweep(rpc);
    } else if (connection->next_partial != NULL) {
        DL_DELETE2(rpc->partials, connection, prev_partial, next_partial);
    } else {
        return; /* it is the last already */
    }
    DL_APPEND2(rpc->partials, connection, prev_partial, next_partial);
}

static size_t append_partial(struct connection *connection, const uint8_t *data,
                             size_t length, size_t wanted)
{
    size_t take = length < wanted ? length : wanted;

    if (!grow_partial(connection, take))
        return length;
    note_growth(connection);
    memcpy(connection->partial + connection->partial_length, data, take);
    connection->partial_length += take;
    return take;
}

/* Returns how long the unfinished frame will be, whose length is there. */
static size_t partial_whole(const struct connection *connection)
{
    return FRAME_LENGTH_SIZE + (size_t)frame_length_read(connection->partial);
}

/* Handles the unfinished frame, now that it is complete. */
static void finish_partial(struct connection *connection)
{
    handle_frame(connection, connection->partial + FRAME_LENGTH_SIZE,
                 connection->partial_length - FRAME_LENGTH_SIZE);
    end_partial(connection);
    if (connection->partial_capacity > PARTIAL_KEPT)
        leave_spare(connection);
}

/* Goes on with the length of an unfinished frame. */
static size_t feed_length(struct connection *connection, const uint8_t *data,
                          size_t length)
{
    size_t wanted = FRAME_LENGTH_SIZE - connection->partial_length;
    size_t used = append_partial(connection, data, length, wanted);

    if (connection->partial_length == FRAME_LENGTH_SIZE)
        length_is_good(connection, frame_length_read(connection->partial));
    return used;
}

/* Goes on with an unfinished frame. Returns how many octets it used. */
static size_t feed_partial(struct connection *connection, const uint8_t *data,
                           size_t length)
{
    size_t have = connection->partial_length;
    size_t used;
    size_t whole;

    if (have < FRAME_LENGTH_SIZE)
        return feed_length(connection, data, length);
    whole = partial_whole(connection);
    used = append_partial(connection, data, length, whole - have);
    if (connection->partial_length == whole)
        finish_partial(connection);
    return used;
}

/* Handles the frame that begins at data, or keeps what there is of it. Returns
 * how many octets it used. */
static size_t feed_whole(struct connection *connection, const uint8_t *data,
                         size_t length)
{
    uint32_t claimed;

    if (length < FRAME_LENGTH_SIZE)
        return append_partial(connection, data, length, length);
    claimed = frame_length_read(data);
    if (!length_is_good(connection, claimed))
        return length;
    if (length - FRAME_LENGTH_SIZE < claimed)
        return append_partial(connection, data, length, length);
    if (claimed > LARGE_FRAME && !connection->dialled &&
        !connections_keep_reserve(connection->rpc, connection, claimed)) {
        refuse(connection, "receive.limit", "memory is short");
        return length;
    }
    handle_frame(connection, data + FRAME_LENGTH_SIZE, claimed);
    return FRAME_LENGTH_SIZE + (size_t)claimed;
}

static bool wants_more(const struct connection *connection)
{
    return connection->state == CONNECTION_OPEN && !connection->rpc->halted;
}

static void feed(struct connection *connection, const uint8_t *data,
                 size_t length)
{
    while (length > 0 && wants_more(connection)) {
        size_t used;

        if (connection->partial_length == 0)
            used = feed_whole(connection, data, length);
        else
            used = feed_partial(connection, data, length);
        assert(used > 0 && used <= length);
        data += used;
        length -= used;
    }
}

/* Returns how many octets can be received right behind those of the unfinished
 * frame, in the memory that it has: 0 when too little is missing to be worth a
 * read of its own. */
static size_t room_in_place(const struct connection *connection)
{
    size_t end = connection->partial_capacity;
    size_t room;

    if (connection->partial_length < FRAME_LENGTH_SIZE)
        return 0;
    if (end > partial_whole(connection))
        end = partial_whole(connection);
    room = end - connection->partial_length;
    return room >= IN_PLACE ? room : 0;
}

/* Goes on with the unfinished frame: so many octets were received in place. */
static void extend_partial(struct connection *connection, size_t count)
{
    note_growth(connection);
    connection->partial_length += count;
    if (connection->partial_length == partial_whole(connection))
        finish_partial(connection);
}

/* Receives the share of a turn and handles it. Returns what recv does. */
static ssize_t receive_share(struct connection *connection)
{
    struct rpc *rpc = connection->rpc;
    size_t room = room_in_place(connection);
    uint8_t *place = room > 0 ? connection->partial + connection->partial_length
                              : rpc->reactor->input;
    ssize_t count =
        recv(connection->fd, place, room > 0 ? room : INPUT_SIZE, 0);

    if (count <= 0)
        return count;
    connection->heard = true;
    rpc->figures.octets_in += (uint64_t)count;
    if (room > 0)
        extend_partial(connection, (size_t)count);
    else
        feed(connection, place, (size_t)count);
    return count;
}

static void receive(struct connection *connection)
{
    ssize_t count = receive_share(connection);

    if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK ||
                                    errno == EINTR)))
        return;
    if (connection->partial_length > 0)
        rpc_event(connection->rpc, LOG_LEVEL_DEBUG, "frame.truncated",
                  "closed in the middle of a frame");
    connection_close(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;
    struct rpc *rpc = connection->rpc;

    (void)fd;
    (void)what;
    rpc_hold_turn(rpc);
    receive(connection);
    rpc_let_turn(rpc);
}

/* ---- All of them ------------------------------------------------------ */

static void free_dead(struct rpc *rpc)
{
    struct connection *connection;
    struct connection *next;

    DL_FOREACH_SAFE(rpc->dead, connection, next)
    {
        free(connection);
    }
    rpc->dead = NULL;
}

void connections_end_turn(struct rpc *rpc)
{
    while (rpc->dirty != NULL) {
        struct connection *connection = rpc->dirty;

        rpc->dirty = connection->next_dirty;
        connection->dirty = false;
        if (connection->state == CONNECTION_DEAD)
            continue;
        if (connection->broken || flush(connection) < 0)
            connection_close(connection);
    }
    free_dead(rpc);
}

static bool is_stalled(const struct connection *connection, uint64_t now_ms)
{
    const struct rpc_limits *limits = &connection->rpc->config.limits;

    if (connection->paused)
        return false;
    return now_ms - connection->grown_ms >= limits->input_pause_ms ||
           now_ms - connection->begun_ms >= limits->input_age_ms;
}

void connections_sweep(struct rpc *rpc)
{
    uint64_t now_ms = rpc_now_ms();
    struct connection *connection;
    struct connection *next;

    DL_FOREACH_SAFE2(rpc->partials, connection, next, next_partial)
    {
        if (is_stalled(connection, now_ms))
            refuse(connection, "receive.stalled", "a frame is not finished");
    }
    if (rpc->partials != NULL)
        start_sweep(rpc);
}

void connections_release(struct rpc *rpc)
{
    struct connection *connection;
    struct connection *next;

    DL_FOREACH_SAFE(rpc->connections, connection, next)
    {
        connection_close(connection);
    }
    rpc->dirty = NULL;
    free_dead(rpc);
}
