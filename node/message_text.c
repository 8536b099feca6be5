/* SPDX-License-Identifier: MIT */
/*
 * message_text: how messages read in logs and traces. The names come from the
 * descriptors that protoc-c generates, so they are the names in pbkv.proto and
 * nobody keeps a second list.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/message.h"

enum { KEY_SHOWN = 32 /* octets of a key that a summary shows */ };

const char *message_name(Pbkv__Body__KindCase kind)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&pbkv__body__descriptor,
                                                (unsigned)kind);

    return field ? field->name : "nothing";
}

const char *status_name(Pbkv__Status status)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &pbkv__status__descriptor, (int)status);

    return value ? value->name : "STATUS_INVALID";
}

static const char *key_format(ProtobufCBinaryData key,
                              char text[4 * KEY_SHOWN + 4])
{
    char *end = text;

    for (size_t i = 0; i < key.len && i < KEY_SHOWN; i++) {
        if (key.data[i] > ' ' && key.data[i] <= '~' && key.data[i] != '\\')
            *end++ = (char)key.data[i];
        else
            end += snprintf(end, 5, "\\x%02x", key.data[i]);
    }
    strcpy(end, key.len > KEY_SHOWN ? "..." : "");
    return text;
}

static void view_format(const Pbkv__View *message, char *text, size_t size)
{
    char primary[PEER_TEXT_MAX];
    char backup[PEER_TEXT_MAX];
    struct view view;

    if (view_from_message(message, &view) < 0)
        return;
    snprintf(text, size, " view %" PRIu64 " primary %s backup %s", view.number,
             peer_format(&view.primary, primary),
             peer_format(&view.backup, backup));
}

static void update_format(uint64_t session, uint64_t seq,
                          ProtobufCBinaryData key, size_t length, char *text,
                          size_t size)
{
    char shown[4 * KEY_SHOWN + 4];

    snprintf(text, size, " %s (%zu octets) session %" PRIu64 " seq %" PRIu64,
             key_format(key, shown), length, session, seq);
}

static void forward_format(const Pbkv__Forward *forward, char *text,
                           size_t size)
{
    snprintf(text, size, " view %" PRIu64 " ops %" PRIu64 "+%zu round %" PRIu64,
             forward->view, forward->first, forward->n_ops, forward->round);
}

static void chunk_format(const Pbkv__Chunk *chunk, char *text, size_t size)
{
    snprintf(text, size, " view %" PRIu64 " items %" PRIu64 "+%zu%s",
             chunk->view, chunk->first,
             chunk->n_sessions + chunk->n_entries + chunk->n_ops,
             chunk->last ? " last" : "");
}

static void reply_format(const Pbkv__Reply *reply, char *text, size_t size)
{
    int length = snprintf(text, size, " %s", status_name(reply->status));

    if (reply->view && (size_t)length < size)
        view_format(reply->view, text + length, size - (size_t)length);
}

/* Writes what replication messages say, after their name. */
static void replication_format(const Pbkv__Body *body, char *text, size_t size)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_FORWARD:
        forward_format(body->forward, text, size);
        break;
    case PBKV__BODY__KIND_FORWARD_ACK:
        snprintf(text, size,
                 " view %" PRIu64 " applied %" PRIu64 " round %" PRIu64,
                 body->forward_ack->view, body->forward_ack->applied,
                 body->forward_ack->round);
        break;
    case PBKV__BODY__KIND_CHUNK: chunk_format(body->chunk, text, size); break;
    case PBKV__BODY__KIND_CHUNK_ACK:
        snprintf(text, size, " view %" PRIu64 " received %" PRIu64 "%s",
                 body->chunk_ack->view, body->chunk_ack->received,
                 body->chunk_ack->installed ? " installed" : "");
        break;
    case PBKV__BODY__KIND_REFUSAL:
        snprintf(text, size, " of view %" PRIu64 " known %" PRIu64 " %s",
                 body->refusal->refused, body->refusal->known,
                 status_name(body->refusal->status));
        break;
    default: break;
    }
}

/* Writes what the messages of clients and the view service say. */
static void request_format(const Pbkv__Body *body, char *text, size_t size)
{
    char shown[4 * KEY_SHOWN + 4];

    switch (body->kind_case) {
    case PBKV__BODY__KIND_PING:
        snprintf(text, size, " view %" PRIu64, body->ping->view);
        break;
    case PBKV__BODY__KIND_VIEW_REPLY:
        view_format(body->view_reply->view, text, size);
        break;
    case PBKV__BODY__KIND_GET:
        snprintf(text, size, " %s", key_format(body->get->key, shown));
        break;
    case PBKV__BODY__KIND_PUT:
        update_format(body->put->session, body->put->seq, body->put->key,
                      body->put->value.len, text, size);
        break;
    case PBKV__BODY__KIND_APPEND:
        update_format(body->append->session, body->append->seq,
                      body->append->key, body->append->value.len, text, size);
        break;
    case PBKV__BODY__KIND_REPLY: reply_format(body->reply, text, size); break;
    case PBKV__BODY__KIND_SESSION_OPENED:
        snprintf(text, size, " session %" PRIu64,
                 body->session_opened->session);
        break;
    default: replication_format(body, text, size); break;
    }
}

const char *message_format(const Pbkv__Body *body, char *text, size_t size)
{
    int length = snprintf(text, size, "%s", message_name(body->kind_case));

    assert(length >= 0);
    if ((size_t)length < size)
        request_format(body, text + length, size - (size_t)length);
    return text;
}

const char *frame_format(const Pbkv__Frame *frame, char *text, size_t size)
{
    size_t length;

    message_format(frame->bodies[0], text, size);
    length = strlen(text);
    if (frame->n_bodies > 1)
        snprintf(text + length, size - length, " and %zu more",
                 frame->n_bodies - 1);
    return text;
}
