/* SPDX-License-Identifier: MIT */
/*
 * message_hot: see message_codec.h. Each message has two functions: how its
 * fields are written, how they are read. Both list the fields in the order of
 * pbkv.proto, which is the order on the wire.
 *
 * What is written goes into memory that is large enough in any case, so it is
 * not measured before. A message inside another begins with its length: it is
 * written behind as many octets as the length will most likely take, and moved
 * when it turns out to take more or fewer.
 *
 * A message ends where its fields end: octets that are left over, or a field
 * that is not as it should be, make the whole body one for protobuf-c, which
 * begins again from its first octet. So nothing here can refuse a message.
 */
#include "node/message_codec.h"

#include <assert.h>

/* The tags of bodies and operations; two octets from number 16 on. */
enum {
    TAG_GET = WIRE_TAG(9, WIRE_DELIMITED),
    TAG_PUT = WIRE_TAG(10, WIRE_DELIMITED),
    TAG_APPEND = WIRE_TAG(11, WIRE_DELIMITED),
    TAG_REPLY = WIRE_TAG(13, WIRE_DELIMITED),
    TAG_FORWARD = WIRE_TAG(20 & 0xf, WIRE_DELIMITED) | 0x80,
    TAG_FORWARD_ACK = WIRE_TAG(21 & 0xf, WIRE_DELIMITED) | 0x80,
    TAG_CHUNK = WIRE_TAG(22 & 0xf, WIRE_DELIMITED) | 0x80,
    TAG_SECOND = 1, /* octet of these three */
    FORWARD_OPERATIONS = 4,
    TAG_OPERATION = WIRE_TAG(FORWARD_OPERATIONS, WIRE_DELIMITED),
    LONG_TAG = 0x80,
};

enum {
    /* Octets of a message and what it begins with, beside keys and values: at
     * most, and seldom fewer of an operation. */
    MOST_BESIDE = 64,
    LEAST_BESIDE = 16,
};

bool message_own_octets(struct arena *arena, ProtobufCBinaryData *octets)
{
    uint8_t *own = arena_take(arena, octets->len);

    if (!own)
        return false;
    octets->data = memcpy(own, octets->data, octets->len);
    return true;
}

/* Writes the length of a message, whose fields are from `fields` to `end`, at
 * room, and moves them if they do not begin right behind. Returns where the
 * message ends. */
static uint8_t *close_inside(uint8_t *room, uint8_t *fields, const uint8_t *end)
{
    size_t length = (size_t)(end - fields);
    uint8_t *place = room + wire_varint_size(length);

    if (place != fields)
        memmove(place, fields, length);
    wire_put_varint(room, length);
    return place + length;
}

/* ---- Get ----------------------------------------------------------------- */

static uint8_t *get_write(const Pbkv__Get *get, uint8_t *room)
{
    room = wire_put_number(room, 1, get->call);
    return wire_put_octets(room, 2, &get->key);
}

static bool get_read(struct arena *arena, struct wire_reader *reader,
                     Pbkv__Get *get)
{
    return wire_read_number(reader, 1, &get->call) &&
           message_read_octets(arena, reader, 2, &get->key);
}

/* ---- Put, Append --------------------------------------------------------- */

static uint8_t *put_write(const Pbkv__Put *put, uint8_t *room)
{
    room = wire_put_number(room, 1, put->call);
    room = wire_put_number(room, 2, put->session);
    room = wire_put_number(room, 3, put->seq);
    room = wire_put_octets(room, 4, &put->key);
    return wire_put_octets(room, 5, &put->value);
}

static bool put_read(struct arena *arena, struct wire_reader *reader,
                     Pbkv__Put *put)
{
    return wire_read_number(reader, 1, &put->call) &&
           wire_read_number(reader, 2, &put->session) &&
           wire_read_number(reader, 3, &put->seq) &&
           message_read_octets(arena, reader, 4, &put->key) &&
           message_read_octets(arena, reader, 5, &put->value);
}

/* An Append has the fields of a Put. */
static Pbkv__Put put_of(const Pbkv__Append *append)
{
    Pbkv__Put put = PBKV__PUT__INIT;

    put.call = append->call;
    put.session = append->session;
    put.seq = append->seq;
    put.key = append->key;
    put.value = append->value;
    return put;
}

static bool append_read(struct arena *arena, struct wire_reader *reader,
                        Pbkv__Append *append)
{
    Pbkv__Put put = put_of(append);

    if (!put_read(arena, reader, &put))
        return false;
    append->call = put.call;
    append->session = put.session;
    append->seq = put.seq;
    append->key = put.key;
    append->value = put.value;
    return true;
}

/* ---- Reply --------------------------------------------------------------- */

static uint8_t *reply_write(const Pbkv__Reply *reply, uint8_t *room)
{
    room = wire_put_number(room, 1, reply->call);
    room = wire_put_number(room, 2, reply->status);
    return wire_put_octets(room, 3, &reply->value);
}

static bool reply_read(struct arena *arena, struct wire_reader *reader,
                       Pbkv__Reply *reply)
{
    unsigned status = 0;
    bool good = wire_read_number(reader, 1, &reply->call) &&
                wire_read_short(reader, 2, &status) &&
                message_read_octets(arena, reader, 3, &reply->value);

    reply->status = (Pbkv__Status)status;
    return good;
}

/* ---- Forward ------------------------------------------------------------- */

uint8_t *message_operation_fields(const Pbkv__LogOp *op, uint8_t *room)
{
    room = wire_put_number(room, 1, op->kind);
    room = wire_put_number(room, 2, op->session);
    room = wire_put_number(room, 3, op->seq);
    room = wire_put_octets(room, 4, &op->key);
    room = wire_put_octets(room, 5, &op->value);
    room = wire_put_number(room, 6, op->status);
    return wire_put_number(room, 7, op->evicted);
}

static uint8_t *operation_write(const Pbkv__LogOp *op, uint8_t *room)
{
    size_t octets = LEAST_BESIDE + op->key.len + op->value.len;
    uint8_t *fields;

    *room++ = TAG_OPERATION;
    fields = room + wire_varint_size(octets);
    return close_inside(room, fields, message_operation_fields(op, fields));
}

static bool operation_read(struct arena *arena, struct wire_reader *reader,
                           Pbkv__LogOp *op)
{
    unsigned kind = 0;
    unsigned status = 0;
    bool good = wire_read_short(reader, 1, &kind) &&
                wire_read_number(reader, 2, &op->session) &&
                wire_read_number(reader, 3, &op->seq) &&
                message_read_octets(arena, reader, 4, &op->key) &&
                message_read_octets(arena, reader, 5, &op->value) &&
                wire_read_short(reader, 6, &status) &&
                wire_read_number(reader, 7, &op->evicted);

    op->kind = (Pbkv__Kind)kind;
    op->status = (Pbkv__Status)status;
    return good && reader->at == reader->end;
}

static uint8_t *forward_write(const Pbkv__Forward *forward, uint8_t *room)
{
    room = wire_put_number(room, 1, forward->view);
    room = wire_put_number(room, 2, forward->first);
    room = wire_put_number(room, 3, forward->round);
    for (size_t i = 0; i < forward->n_ops; i++)
        room = operation_write(forward->ops[i], room);
    return room;
}

bool message_operations_read(struct arena *arena, struct wire_reader *reader,
                             unsigned field, Pbkv__LogOp ***list,
                             size_t *n_list)
{
    uint8_t tag = WIRE_TAG(field, WIRE_DELIMITED);
    size_t count = wire_count(*reader, tag);
    struct wire_reader inside;
    Pbkv__LogOp *ops;

    if (count == 0)
        return true;
    *list = arena_take(arena, count * sizeof(**list));
    ops = arena_take(arena, count * sizeof(*ops));
    if (!*list || !ops)
        return false;
    while (*n_list < count) {
        Pbkv__LogOp *op = &ops[*n_list];

        if (!wire_take_inside(reader, tag, &inside))
            return false;
        *op = (Pbkv__LogOp)PBKV__LOG_OP__INIT;
        if (!operation_read(arena, &inside, op))
            return false;
        (*list)[(*n_list)++] = op;
    }
    return true;
}

static bool forward_read(struct arena *arena, struct wire_reader *reader,
                         Pbkv__Forward *forward)
{
    return wire_read_number(reader, 1, &forward->view) &&
           wire_read_number(reader, 2, &forward->first) &&
           wire_read_number(reader, 3, &forward->round) &&
           message_operations_read(arena, reader, FORWARD_OPERATIONS,
                                   &forward->ops, &forward->n_ops);
}

/* ---- ForwardAck ---------------------------------------------------------- */

static uint8_t *ack_write(const Pbkv__ForwardAck *ack, uint8_t *room)
{
    room = wire_put_number(room, 1, ack->view);
    room = wire_put_number(room, 2, ack->applied);
    return wire_put_number(room, 3, ack->round);
}

static bool ack_read(struct wire_reader *reader, Pbkv__ForwardAck *ack)
{
    return wire_read_number(reader, 1, &ack->view) &&
           wire_read_number(reader, 2, &ack->applied) &&
           wire_read_number(reader, 3, &ack->round);
}

bool message_operations_have_unknown_fields(Pbkv__LogOp *const *ops,
                                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ops[i]->base.n_unknown_fields > 0)
            return true;
    }
    return false;
}

/* ---- Body: writing ------------------------------------------------------- */

/* Whether a message that was decoded has fields that only protobuf-c keeps. */
static bool has_unknown_fields(const Pbkv__Body *body)
{
    if (body->base.n_unknown_fields > 0 ||
        body->ping->base.n_unknown_fields > 0) /* stands for every kind */
        return true;
    return body->kind_case == PBKV__BODY__KIND_FORWARD &&
           message_operations_have_unknown_fields(body->forward->ops,
                                                  body->forward->n_ops);
}

static bool is_hot(const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_REPLY:
        return body->reply->view == NULL && !has_unknown_fields(body);
    case PBKV__BODY__KIND_GET:
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND:
    case PBKV__BODY__KIND_FORWARD:
    case PBKV__BODY__KIND_FORWARD_ACK: return !has_unknown_fields(body);
    default: return false;
    }
}

/* Returns the octets that a body takes at most. */
static size_t most_octets(const Pbkv__Body *body)
{
    size_t octets = MOST_BESIDE;

    switch (body->kind_case) {
    case PBKV__BODY__KIND_GET: return octets + body->get->key.len;
    case PBKV__BODY__KIND_PUT:
        return octets + body->put->key.len + body->put->value.len;
    case PBKV__BODY__KIND_APPEND:
        return octets + body->append->key.len + body->append->value.len;
    case PBKV__BODY__KIND_REPLY: return octets + body->reply->value.len;
    case PBKV__BODY__KIND_FORWARD:
        for (size_t i = 0; i < body->forward->n_ops; i++) {
            const Pbkv__LogOp *op = body->forward->ops[i];

            octets += MOST_BESIDE + op->key.len + op->value.len;
        }
        return octets;
    default: assert(body->kind_case == PBKV__BODY__KIND_FORWARD_ACK);
    }
    return octets;
}

static uint8_t *write_fields(const Pbkv__Body *body, uint8_t *room)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_GET: return get_write(body->get, room);
    case PBKV__BODY__KIND_PUT: return put_write(body->put, room);
    case PBKV__BODY__KIND_APPEND: {
        Pbkv__Put put = put_of(body->append);

        return put_write(&put, room);
    }
    case PBKV__BODY__KIND_REPLY: return reply_write(body->reply, room);
    case PBKV__BODY__KIND_FORWARD: return forward_write(body->forward, room);
    default: assert(body->kind_case == PBKV__BODY__KIND_FORWARD_ACK);
    }
    return ack_write(body->forward_ack, room);
}

struct bytes *message_hot_encode(const Pbkv__Body *body, struct bytes *room)
{
    uint64_t tag = (uint64_t)body->kind_case << 3 | WIRE_DELIMITED;
    struct bytes *encoded = room;
    size_t most;
    uint8_t *at, *fields, *end;

    if (body->kind_case == PBKV__BODY__KIND_CHUNK)
        return message_chunk_encode(body);
    if (!is_hot(body))
        return NULL;
    most = most_octets(body);
    if (!room || most > MESSAGE_ROOM)
        encoded = bytes_new_uninitialised(most);
    at = wire_put_varint(encoded->data, tag);
    fields = at + wire_varint_size(most - MOST_BESIDE);
    end = close_inside(at, fields, write_fields(body, fields));
    encoded->length = (uint32_t)(end - encoded->data);
    assert(encoded->length <= most);
    return encoded;
}

/* ---- Body: reading ------------------------------------------------------- */

/* A body with the message that it points at: one piece of memory. */
struct hot_body {
    Pbkv__Body body;
    union {
        Pbkv__Get get;
        Pbkv__Put put;
        Pbkv__Append append;
        Pbkv__Reply reply;
        Pbkv__Forward forward;
        Pbkv__ForwardAck ack;
        Pbkv__Chunk chunk;
    };
};

/* Reads the tag of the body. Returns NOT_SET for what is not frequent. */
static Pbkv__Body__KindCase read_kind(struct wire_reader *reader)
{
    uint8_t first;

    if (reader->end - reader->at < 2)
        return PBKV__BODY__KIND__NOT_SET;
    first = *reader->at++;
    if ((first & LONG_TAG) && *reader->at++ != TAG_SECOND)
        return PBKV__BODY__KIND__NOT_SET;
    switch (first) {
    case TAG_GET: return PBKV__BODY__KIND_GET;
    case TAG_PUT: return PBKV__BODY__KIND_PUT;
    case TAG_APPEND: return PBKV__BODY__KIND_APPEND;
    case TAG_REPLY: return PBKV__BODY__KIND_REPLY;
    case TAG_FORWARD: return PBKV__BODY__KIND_FORWARD;
    case TAG_FORWARD_ACK: return PBKV__BODY__KIND_FORWARD_ACK;
    case TAG_CHUNK: return PBKV__BODY__KIND_CHUNK;
    default: return PBKV__BODY__KIND__NOT_SET;
    }
}

/* Reads the message inside, and points the body at it. */
static bool read_inside(struct arena *arena, struct wire_reader *reader,
                        struct hot_body *hot)
{
    switch (hot->body.kind_case) {
    case PBKV__BODY__KIND_GET:
        hot->get = (Pbkv__Get)PBKV__GET__INIT;
        hot->body.get = &hot->get;
        return get_read(arena, reader, &hot->get);
    case PBKV__BODY__KIND_PUT:
        hot->put = (Pbkv__Put)PBKV__PUT__INIT;
        hot->body.put = &hot->put;
        return put_read(arena, reader, &hot->put);
    case PBKV__BODY__KIND_APPEND:
        hot->append = (Pbkv__Append)PBKV__APPEND__INIT;
        hot->body.append = &hot->append;
        return append_read(arena, reader, &hot->append);
    case PBKV__BODY__KIND_REPLY:
        hot->reply = (Pbkv__Reply)PBKV__REPLY__INIT;
        hot->body.reply = &hot->reply;
        return reply_read(arena, reader, &hot->reply);
    case PBKV__BODY__KIND_FORWARD:
        hot->forward = (Pbkv__Forward)PBKV__FORWARD__INIT;
        hot->body.forward = &hot->forward;
        return forward_read(arena, reader, &hot->forward);
    case PBKV__BODY__KIND_CHUNK:
        hot->chunk = (Pbkv__Chunk)PBKV__CHUNK__INIT;
        hot->body.chunk = &hot->chunk;
        return message_chunk_read(arena, reader, &hot->chunk);
    default:
        assert(hot->body.kind_case == PBKV__BODY__KIND_FORWARD_ACK);
        hot->ack = (Pbkv__ForwardAck)PBKV__FORWARD_ACK__INIT;
        hot->body.forward_ack = &hot->ack;
        return ack_read(reader, &hot->ack);
    }
}

Pbkv__Body *message_hot_read(struct arena *arena, struct wire_reader reader)
{
    Pbkv__Body__KindCase kind = read_kind(&reader);
    struct wire_reader inside;
    struct hot_body *hot;

    if (kind == PBKV__BODY__KIND__NOT_SET ||
        !wire_read_inside(&reader, &inside) || reader.at != reader.end)
        return NULL;
    hot = arena_take(arena, sizeof(*hot));
    if (!hot)
        return NULL;
    hot->body = (Pbkv__Body)PBKV__BODY__INIT;
    hot->body.kind_case = kind;
    return read_inside(arena, &inside, hot) && inside.at == inside.end
               ? &hot->body
               : NULL;
}
