/* SPDX-License-Identifier: MIT */
/*
 * message_chunk: the codec by hand for a Chunk and the items in it; see
 * message_hot.c for how such a codec is made. A state transfer moves a store
 * through here, so an item is read into memory that its whole list takes at
 * once, and written by one copy of its key and value.
 */
#include "node/message_codec.h"

enum {
    TAG_SESSION = WIRE_TAG(4, WIRE_DELIMITED),
    TAG_ENTRY = WIRE_TAG(5, WIRE_DELIMITED),
    OPERATIONS = 6,
    LAST = 7,
    TAG_BODY = 22 << 3 | WIRE_DELIMITED, /* two octets */
};

/* ---- SessionRecord ------------------------------------------------------- */

static size_t session_size(const Pbkv__SessionRecord *record)
{
    return wire_number_size(record->id) + wire_number_size(record->seq) +
           wire_number_size(record->status) + wire_number_size(record->op);
}

static uint8_t *session_write(const Pbkv__SessionRecord *record, uint8_t *room)
{
    *room++ = TAG_SESSION;
    room = wire_put_varint(room, session_size(record));
    room = wire_put_number(room, 1, record->id);
    room = wire_put_number(room, 2, record->seq);
    room = wire_put_number(room, 3, record->status);
    return wire_put_number(room, 4, record->op);
}

static bool session_read(struct wire_reader *reader,
                         Pbkv__SessionRecord *record)
{
    unsigned status = 0;
    bool good = wire_read_number(reader, 1, &record->id) &&
                wire_read_number(reader, 2, &record->seq) &&
                wire_read_short(reader, 3, &status) &&
                wire_read_number(reader, 4, &record->op);

    record->status = (Pbkv__Status)status;
    return good && reader->at == reader->end;
}

static bool sessions_read(struct arena *arena, struct wire_reader *reader,
                          Pbkv__Chunk *chunk)
{
    size_t count = wire_count(*reader, TAG_SESSION);
    struct wire_reader inside;
    Pbkv__SessionRecord *records;

    if (count == 0)
        return true;
    chunk->sessions = arena_take(arena, count * sizeof(*chunk->sessions));
    records = arena_take(arena, count * sizeof(*records));
    if (!chunk->sessions || !records)
        return false;
    while (chunk->n_sessions < count) {
        Pbkv__SessionRecord *record = &records[chunk->n_sessions];

        *record = (Pbkv__SessionRecord)PBKV__SESSION_RECORD__INIT;
        if (!wire_take_inside(reader, TAG_SESSION, &inside) ||
            !session_read(&inside, record))
            return false;
        chunk->sessions[chunk->n_sessions++] = record;
    }
    return true;
}

/* ---- Entry --------------------------------------------------------------- */

static size_t entry_size(const Pbkv__Entry *entry)
{
    return wire_octets_size(&entry->key) + wire_octets_size(&entry->value) +
           wire_number_size(entry->modified);
}

static uint8_t *entry_write(const Pbkv__Entry *entry, uint8_t *room)
{
    *room++ = TAG_ENTRY;
    room = wire_put_varint(room, entry_size(entry));
    room = wire_put_octets(room, 1, &entry->key);
    room = wire_put_octets(room, 2, &entry->value);
    return wire_put_number(room, 3, entry->modified);
}

static bool entry_read(struct arena *arena, struct wire_reader *reader,
                       Pbkv__Entry *entry)
{
    return message_read_octets(arena, reader, 1, &entry->key) &&
           message_read_octets(arena, reader, 2, &entry->value) &&
           wire_read_number(reader, 3, &entry->modified) &&
           reader->at == reader->end;
}

static bool entries_read(struct arena *arena, struct wire_reader *reader,
                         Pbkv__Chunk *chunk)
{
    size_t count = wire_count(*reader, TAG_ENTRY);
    struct wire_reader inside;
    Pbkv__Entry *entries;

    if (count == 0)
        return true;
    chunk->entries = arena_take(arena, count * sizeof(*chunk->entries));
    entries = arena_take(arena, count * sizeof(*entries));
    if (!chunk->entries || !entries)
        return false;
    while (chunk->n_entries < count) {
        Pbkv__Entry *entry = &entries[chunk->n_entries];

        *entry = (Pbkv__Entry)PBKV__ENTRY__INIT;
        if (!wire_take_inside(reader, TAG_ENTRY, &inside) ||
            !entry_read(arena, &inside, entry))
            return false;
        chunk->entries[chunk->n_entries++] = entry;
    }
    return true;
}

/* ---- Chunk --------------------------------------------------------------- */

/* Returns the octets of a message in a list, whose own are inside. */
static size_t nested_size(size_t inside)
{
    return 1 + wire_varint_size(inside) + inside;
}

static size_t operation_size(const Pbkv__LogOp *op)
{
    return wire_number_size(op->kind) + wire_number_size(op->session) +
           wire_number_size(op->seq) + wire_octets_size(&op->key) +
           wire_octets_size(&op->value) + wire_number_size(op->status) +
           wire_number_size(op->evicted);
}

static uint8_t *operation_write(const Pbkv__LogOp *op, uint8_t *room)
{
    room = wire_put_tag(room, OPERATIONS, WIRE_DELIMITED);
    room = wire_put_varint(room, operation_size(op));
    return message_operation_fields(op, room);
}

static size_t chunk_size(const Pbkv__Chunk *chunk)
{
    size_t size =
        wire_number_size(chunk->view) + wire_number_size(chunk->first) +
        wire_number_size(chunk->since) + wire_number_size(chunk->last != 0) +
        wire_octets_size(&chunk->digest) + wire_number_size(chunk->total) +
        wire_number_size(chunk->transfer);

    for (size_t i = 0; i < chunk->n_sessions; i++)
        size += nested_size(session_size(chunk->sessions[i]));
    for (size_t i = 0; i < chunk->n_entries; i++)
        size += nested_size(entry_size(chunk->entries[i]));
    for (size_t i = 0; i < chunk->n_ops; i++)
        size += nested_size(operation_size(chunk->ops[i]));
    return size;
}

static void chunk_write(const Pbkv__Chunk *chunk, uint8_t *room)
{
    room = wire_put_number(room, 1, chunk->view);
    room = wire_put_number(room, 2, chunk->first);
    room = wire_put_number(room, 3, chunk->since);
    for (size_t i = 0; i < chunk->n_sessions; i++)
        room = session_write(chunk->sessions[i], room);
    for (size_t i = 0; i < chunk->n_entries; i++)
        room = entry_write(chunk->entries[i], room);
    for (size_t i = 0; i < chunk->n_ops; i++)
        room = operation_write(chunk->ops[i], room);
    room = wire_put_number(room, LAST, chunk->last != 0);
    room = wire_put_octets(room, 8, &chunk->digest);
    room = wire_put_number(room, 9, chunk->total);
    wire_put_number(room, 10, chunk->transfer);
}

bool message_chunk_read(struct arena *arena, struct wire_reader *reader,
                        Pbkv__Chunk *chunk)
{
    unsigned last = 0;
    bool good = wire_read_number(reader, 1, &chunk->view) &&
                wire_read_number(reader, 2, &chunk->first) &&
                wire_read_number(reader, 3, &chunk->since) &&
                sessions_read(arena, reader, chunk) &&
                entries_read(arena, reader, chunk) &&
                message_operations_read(arena, reader, OPERATIONS, &chunk->ops,
                                        &chunk->n_ops) &&
                wire_read_short(reader, LAST, &last) &&
                message_read_octets(arena, reader, 8, &chunk->digest) &&
                wire_read_number(reader, 9, &chunk->total) &&
                wire_read_number(reader, 10, &chunk->transfer);

    chunk->last = last != 0;
    return good;
}

/* Whether a chunk that was decoded has fields that only protobuf-c keeps. */
static bool has_unknown_fields(const Pbkv__Chunk *chunk)
{
    if (chunk->base.n_unknown_fields > 0)
        return true;
    for (size_t i = 0; i < chunk->n_sessions; i++) {
        if (chunk->sessions[i]->base.n_unknown_fields > 0)
            return true;
    }
    for (size_t i = 0; i < chunk->n_entries; i++) {
        if (chunk->entries[i]->base.n_unknown_fields > 0)
            return true;
    }
    return message_operations_have_unknown_fields(chunk->ops, chunk->n_ops);
}

struct bytes *message_chunk_encode(const Pbkv__Body *body)
{
    struct bytes *encoded;
    uint8_t *room;
    size_t inside;

    if (body->base.n_unknown_fields > 0 || has_unknown_fields(body->chunk))
        return NULL;
    inside = chunk_size(body->chunk);
    encoded = bytes_new_uninitialised(wire_varint_size(TAG_BODY) +
                                      wire_varint_size(inside) + inside);
    room = wire_put_varint(encoded->data, TAG_BODY);
    chunk_write(body->chunk, wire_put_varint(room, inside));
    return encoded;
}
