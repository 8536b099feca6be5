/* SPDX-License-Identifier: MIT */
/*
 * forge: see forge.h. It goes by the descriptors that protobuf-c generates, so
 * it knows every message, the next one that somebody adds to pbkv.proto too.
 * The memory of a message is taken from one block and forgotten all at once.
 */
#include "tests/fuzz/forge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum {
    REPEATED_MAX = 6, /* elements of a list */
    TEXT_MAX = 64,    /* octets of a short value */
    ALIGNMENT = 16,   /* of what memory holds */
    ALTERATIONS = 3,  /* fields of a message that are changed */
    LONG_TEXT = 4097, /* octets: over the limit of a key */
    ENUM_VALUES = 14, /* one over the greatest that any has, and 0 */
    UNUSUAL = 250,    /* dice from here on make something unusual */
    DEPTH_MAX = 4,    /* of messages in messages */
    DIGEST_OCTETS = 16
};

static const uint8_t zeros[LONG_TEXT];

struct forge *forge_new(struct dice *dice)
{
    struct forge *forge = memory_new(sizeof(*forge));

    forge->dice = dice;
    arena_init(&forge->arena);
    return forge;
}

void forge_free(struct forge *forge)
{
    arena_release(&forge->arena);
    free(forge->encoded);
    free(forge);
}

void forge_add_peer(struct forge *forge, const char *address,
                    uint64_t incarnation)
{
    assert(forge->peer_count < FORGE_PEERS_MAX);
    forge->peers[forge->peer_count++] = peer_at(address, incarnation);
}

static struct forge_hint *find_hint(struct forge *forge, const char *message,
                                    const char *field)
{
    for (size_t i = 0; i < forge->hint_count; i++) {
        struct forge_hint *hint = &forge->hints[i];

        if (strcmp(hint->message, message) == 0 &&
            strcmp(hint->field, field) == 0)
            return hint;
    }
    return NULL;
}

void forge_hint(struct forge *forge, const char *message, const char *field,
                uint64_t value)
{
    struct forge_hint *hint = find_hint(forge, message, field);

    if (hint == NULL) {
        assert(forge->hint_count < FORGE_HINTS_MAX);
        hint = &forge->hints[forge->hint_count++];
        hint->message = message;
        hint->field = field;
    }
    hint->value = value;
}

const struct peer *forge_peer(struct forge *forge)
{
    assert(forge->peer_count > 0);
    return &forge->peers[dice_below(forge->dice, (uint32_t)forge->peer_count)];
}

/* ---- Fields -------------------------------------------------------------- */

/* Returns zeroed memory, or NULL when there is no more for this message. */
static void *take(struct forge *forge, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    void *place = forge->memory + forge->used;

    if (rounded > FORGE_MEMORY - forge->used)
        return NULL;
    forge->used += rounded;
    return memset(place, 0, rounded);
}

static ProtobufCMessage *forge_message(
    struct forge *forge, const ProtobufCMessageDescriptor *descriptor,
    unsigned depth);

static uint64_t forge_number(struct forge *forge,
                             const ProtobufCMessageDescriptor *descriptor,
                             const ProtobufCFieldDescriptor *field)
{
    const struct forge_hint *hint =
        find_hint(forge, descriptor->short_name, field->name);

    return dice_number(forge->dice, hint ? hint->value : 1);
}

static ProtobufCBinaryData forge_octets(struct forge *forge, const char *name)
{
    static const char keys[] = "abcd";
    uint8_t octet = dice_octet(forge->dice);
    const uint8_t *octets;
    size_t length;

    if (strcmp(name, "address") == 0) {
        const struct peer *peer =
            &forge->peers[octet % (uint32_t)forge->peer_count];

        return message_octets(peer->address.text, peer->address.length);
    }
    if (octet >= UNUSUAL)
        return message_octets(zeros, LONG_TEXT - (octet & 1U));
    if (strcmp(name, "digest") == 0)
        return message_octets(zeros, octet < UNUSUAL / 2 ? DIGEST_OCTETS : 3);
    if (strcmp(name, "key") == 0)
        return message_octets(&keys[octet % 4], octet / 4 % 4 != 3);
    octets = dice_octets(forge->dice, TEXT_MAX, &length);
    return message_octets(octets, length);
}

/* Writes one value of the field's type to place. Returns false when it did not
 * fit into the memory. */
static bool forge_value(struct forge *forge,
                        const ProtobufCMessageDescriptor *descriptor,
                        const ProtobufCFieldDescriptor *field, void *place,
                        unsigned depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *(uint64_t *)place = forge_number(forge, descriptor, field);
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        *(uint32_t *)place = dice_below(forge->dice, ENUM_VALUES);
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)place = dice_octet(forge->dice) & 1;
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)place = forge_octets(forge, field->name);
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)place =
            forge_message(forge, field->descriptor, depth + 1);
        return *(ProtobufCMessage **)place != NULL;
    default: abort(); /* pbkv.proto has no other types */
    }
}

static size_t size_of_value(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData)
                                                : sizeof(uint64_t);
}

static void forge_list(struct forge *forge, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, unsigned depth)
{
    uint8_t *octets = (uint8_t *)message;
    size_t *count = (size_t *)(void *)(octets + field->quantifier_offset);
    size_t wanted = dice_below(forge->dice, REPEATED_MAX + 1);
    uint8_t *list = take(forge, wanted * size_of_value(field));

    *count = 0;
    *(void **)(void *)(octets + field->offset) = list;
    while (list != NULL && *count < wanted &&
           forge_value(forge, message->descriptor, field,
                       list + *count * size_of_value(field), depth))
        ++*count;
}

/* Forges one field that is in no oneof. */
static void forge_field(struct forge *forge, ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field, unsigned depth)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        forge_list(forge, message, field, depth);
    else
        forge_value(forge, message->descriptor, field,
                    (uint8_t *)message + field->offset, depth);
}

/* Somebody who is there, mostly in his own life, or nobody. */
static void forge_somebody(struct forge *forge, Pbkv__Peer *peer)
{
    uint32_t choice = dice_below(forge->dice, (uint32_t)forge->peer_count + 1);

    if (choice == forge->peer_count)
        return;
    peer_to_message(&forge->peers[choice], peer);
    if (dice_octet(forge->dice) >= UNUSUAL)
        peer->incarnation = dice_number(forge->dice, peer->incarnation);
}

static ProtobufCMessage *forge_message(
    struct forge *forge, const ProtobufCMessageDescriptor *descriptor,
    unsigned depth)
{
    ProtobufCMessage *message = take(forge, descriptor->sizeof_message);

    if (message == NULL || depth > DEPTH_MAX)
        return NULL;
    descriptor->message_init(message);
    if (descriptor == &pbkv__peer__descriptor) {
        forge_somebody(forge, (Pbkv__Peer *)message);
        return message;
    }
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        forge_field(forge, message, &descriptor->fields[i], depth);
    return message;
}

/* ---- Bodies -------------------------------------------------------------- */

/* Returns the body as its receiver decodes it, or NULL. */
static const Pbkv__Body *deliver(struct forge *forge, const Pbkv__Body *body)
{
    size_t size = pbkv__body__get_packed_size(body);
    Pbkv__Body *received;

    forge->encoded = memory_resize(forge->encoded, size + 1);
    pbkv__body__pack(body, forge->encoded);
    if (message_decode(&forge->arena, forge->encoded, size, &received) < 0)
        return NULL;
    return received;
}

const Pbkv__Body *forge_body(struct forge *forge, Pbkv__Body__KindCase kind)
{
    const ProtobufCMessageDescriptor *descriptor = &pbkv__body__descriptor;
    const ProtobufCFieldDescriptor *field;
    Pbkv__Body body = PBKV__BODY__INIT;

    forge->used = 0;
    if (kind == PBKV__BODY__KIND__NOT_SET)
        field =
            &descriptor->fields[dice_below(forge->dice, descriptor->n_fields)];
    else
        field = protobuf_c_message_descriptor_get_field(descriptor, kind);
    assert(field != NULL);
    body.kind_case = (Pbkv__Body__KindCase)field->id;
    if (!forge_value(forge, descriptor, field, &body.ping, 0))
        return NULL;
    return deliver(forge, &body);
}

/* Returns the message in the field, if it is one and there is one. */
static ProtobufCMessage *nested(struct forge *forge, ProtobufCMessage *message,
                                const ProtobufCFieldDescriptor *field)
{
    uint8_t *octets = (uint8_t *)message;
    void *place = octets + field->offset;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = *(size_t *)(void *)(octets + field->quantifier_offset);

        if (count == 0)
            return NULL;
        return (*(ProtobufCMessage ***)place)[dice_below(
            forge->dice, count < 256 ? (uint32_t)count : 256)];
    }
    return *(ProtobufCMessage **)place;
}

/* Forges one field somewhere in a message. */
static void alter(struct forge *forge, ProtobufCMessage *message)
{
    for (unsigned depth = 0; message->descriptor->n_fields > 0; depth++) {
        const ProtobufCMessageDescriptor *descriptor = message->descriptor;
        const ProtobufCFieldDescriptor *field =
            &descriptor->fields[dice_below(forge->dice, descriptor->n_fields)];
        ProtobufCMessage *inner = nested(forge, message, field);

        if (inner == NULL || dice_octet(forge->dice) >= UNUSUAL) {
            forge_field(forge, message, field, depth);
            return;
        }
        message = inner;
    }
}

const Pbkv__Body *forge_altered(struct forge *forge, const struct bytes *body)
{
    Pbkv__Body *mine;
    uint32_t count = 1 + dice_below(forge->dice, ALTERATIONS);

    forge->used = 0;
    if (message_decode(&forge->arena, body->data, body->length, &mine) < 0)
        return NULL;
    for (uint32_t i = 0; i < count; i++) /* all members are one pointer */
        alter(forge, (ProtobufCMessage *)mine->ping);
    return deliver(forge, mine);
}

const Pbkv__Body *forge_raw(struct forge *forge)
{
    size_t length;
    const uint8_t *octets = dice_octets(forge->dice, UINT8_MAX, &length);
    Pbkv__Body *received;

    if (message_decode(&forge->arena, octets, length, &received) < 0)
        return NULL;
    return received;
}
