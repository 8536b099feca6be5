/* SPDX-License-Identifier: MIT */
/*
 * message_frame: decodes a Frame. What is around the bodies (sender, receiver
 * and stamps) is in every frame, so it is read by hand if it is written like we
 * write it (rpc/frame.c): fields in order, all but the repeated ones at most
 * once. Anything else that is a Frame is decoded whole by protobuf-c, and so is
 * a body that is not frequent (message_hot.c). Nobody can tell from the result
 * which it was.
 */
#include "node/message_codec.h"
#include "node/message_head.h"

enum {
    TAG_VECTOR = WIRE_TAG(FRAME_VECTOR, WIRE_DELIMITED),
    TAG_BODIES = WIRE_TAG(FRAME_BODIES, WIRE_DELIMITED),
};

/* A frame with its peers: one piece of memory. */
struct head {
    Pbkv__Frame frame;
    Pbkv__Peer from;
    Pbkv__Peer to;
};

/* Reads a peer, if its tag comes next, and points the frame at it. */
static bool read_peer(struct arena *arena, struct wire_reader *reader,
                      unsigned field, Pbkv__Peer *peer, Pbkv__Peer **place)
{
    struct wire_reader inside;

    if (!wire_take_tag(reader, WIRE_TAG(field, WIRE_DELIMITED)))
        return true;
    *peer = (Pbkv__Peer)PBKV__PEER__INIT;
    *place = peer;
    return wire_read_inside(reader, &inside) &&
           message_read_octets(arena, &inside, PEER_ADDRESS, &peer->address) &&
           wire_read_fixed64(&inside, PEER_INCARNATION, &peer->incarnation) &&
           inside.at == inside.end;
}

static bool read_entry(struct arena *arena, struct wire_reader *reader,
                       Pbkv__ClockEntry *entry)
{
    struct wire_reader inside;

    *entry = (Pbkv__ClockEntry)PBKV__CLOCK_ENTRY__INIT;
    return wire_take_tag(reader, TAG_VECTOR) &&
           wire_read_inside(reader, &inside) &&
           message_read_octets(arena, &inside, ENTRY_HOST, &entry->host) &&
           wire_read_number(&inside, ENTRY_TIME, &entry->time) &&
           inside.at == inside.end;
}

static bool read_vector(struct arena *arena, struct wire_reader *reader,
                        Pbkv__Frame *frame)
{
    size_t count = wire_count(*reader, TAG_VECTOR);
    Pbkv__ClockEntry *entries;

    if (count == 0)
        return true;
    frame->vector = arena_take(arena, count * sizeof(*frame->vector));
    entries = arena_take(arena, count * sizeof(*entries));
    if (!frame->vector || !entries)
        return false;
    for (; frame->n_vector < count; frame->n_vector++) {
        if (!read_entry(arena, reader, &entries[frame->n_vector]))
            return false;
        frame->vector[frame->n_vector] = &entries[frame->n_vector];
    }
    return true;
}

static Pbkv__Body *read_body(struct arena *arena, struct wire_reader *reader)
{
    struct wire_reader inside;

    if (!wire_take_tag(reader, TAG_BODIES) ||
        !wire_read_inside(reader, &inside))
        return NULL;
    return message_read_body(arena, inside.at,
                             (size_t)(inside.end - inside.at));
}

/* Reads the bodies, which are the last field. */
static bool read_bodies(struct arena *arena, struct wire_reader *reader,
                        Pbkv__Frame *frame)
{
    frame->bodies =
        arena_take(arena, FRAME_BODIES_LIMIT * sizeof(*frame->bodies));
    if (!frame->bodies)
        return false;
    for (; reader->at != reader->end; frame->n_bodies++) {
        Pbkv__Body *body = NULL;

        if (frame->n_bodies < FRAME_BODIES_LIMIT)
            body = read_body(arena, reader);
        if (!body)
            return false;
        frame->bodies[frame->n_bodies] = body;
    }
    return true;
}

static Pbkv__Frame *read_frame(struct arena *arena, struct wire_reader reader)
{
    struct head *head = arena_take(arena, sizeof(*head));
    Pbkv__Frame *frame;

    if (!head)
        return NULL;
    frame = &head->frame;
    *frame = (Pbkv__Frame)PBKV__FRAME__INIT;
    return read_peer(arena, &reader, FRAME_FROM, &head->from, &frame->from) &&
                   read_peer(arena, &reader, FRAME_TO, &head->to, &frame->to) &&
                   wire_read_number(&reader, FRAME_LAMPORT, &frame->lamport) &&
                   read_vector(arena, &reader, frame) &&
                   read_bodies(arena, &reader, frame)
               ? frame
               : NULL;
}

/* What was read by hand is forgotten: protobuf-c reads it anew, and decides. */
static void start_again(struct arena *arena, size_t used)
{
    arena->used = used;
    arena->exhausted = false;
}

Pbkv__Body *message_read_body(struct arena *arena, const uint8_t *data,
                              size_t length)
{
    size_t used = arena->used;
    Pbkv__Body *body =
        message_hot_read(arena, (struct wire_reader){data, data + length});

    if (body)
        return body;
    start_again(arena, used);
    return pbkv__body__unpack(&arena->allocator, length, data);
}

Pbkv__Frame *message_read_frame(struct arena *arena, const uint8_t *data,
                                size_t length)
{
    size_t used = arena->used;
    Pbkv__Frame *frame =
        read_frame(arena, (struct wire_reader){data, data + length});

    if (frame)
        return frame;
    start_again(arena, used);
    return pbkv__frame__unpack(&arena->allocator, length, data);
}

Pbkv__Frame *message_read_known_frame(struct arena *arena,
                                      const struct known_head *known,
                                      const uint8_t *data, size_t length)
{
    struct wire_reader reader = {data, data + length};
    Pbkv__Frame *frame = arena_take(arena, sizeof(*frame));

    if (!frame)
        return NULL;
    *frame = (Pbkv__Frame)PBKV__FRAME__INIT;
    return message_read_known_head(arena, known, &reader, frame) &&
                   read_bodies(arena, &reader, frame)
               ? frame
               : NULL;
}
