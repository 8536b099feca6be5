/* SPDX-License-Identifier: MIT */
/*
 * message_check: does a decoded message mean anything? proto3 fills in zeros
 * for whatever is missing, so an empty buffer is a valid message of every type.
 * What handlers may rely on is established here, one function per message that
 * can be wrong: nested messages are present, enums are in range and not 0,
 * addresses can be copied, lengths that the protocol fixes are right.
 *
 * What a peer is told about with a status (an oversize key, session 0) is not
 * checked here but by the role, which can answer.
 */
#include <errno.h>

#include "node/message.h"

static bool status_is_valid(Pbkv__Status status)
{
    return status >= PBKV__STATUS__OK && status <= PBKV__STATUS__TIMEOUT;
}

/* Whether a number that counts from 1 is possible. */
static bool is_number(uint64_t number)
{
    return number > 0 && number <= NUMBER_LIMIT;
}

static bool view_is_valid(const Pbkv__View *message)
{
    struct view view;

    if (!message)
        return true; /* view 0 */
    if (view_from_message(message, &view) < 0 || view.number > NUMBER_LIMIT)
        return false;
    if (view.number == 0 || !peer_is_present(&view.primary))
        return view.number == 0 && !peer_is_present(&view.primary) &&
               !peer_is_present(&view.backup);
    return !address_equal(&view.primary.address, &view.backup.address);
}

static bool entry_is_valid(const Pbkv__Entry *entry)
{
    return entry->key.len <= KEY_LIMIT && entry->value.len <= VALUE_LIMIT &&
           is_number(entry->modified);
}

static bool log_op_is_valid(const Pbkv__LogOp *op)
{
    if (op->kind < PBKV__KIND__KIND_OPEN || op->kind > PBKV__KIND__KIND_APPEND)
        return false;
    if (op->key.len > KEY_LIMIT || op->value.len > VALUE_LIMIT)
        return false;
    return status_is_valid(op->status) && is_number(op->session) &&
           (op->seq > 0) == (op->kind != PBKV__KIND__KIND_OPEN);
}

static bool forward_is_valid(const Pbkv__Forward *forward)
{
    if (!is_number(forward->view) || !is_number(forward->first) ||
        forward->round > NUMBER_LIMIT)
        return false;
    for (size_t i = 0; i < forward->n_ops; i++) {
        const Pbkv__LogOp *op = forward->ops[i];
        uint64_t number = forward->first + i;

        if (!log_op_is_valid(op) || op->session > number)
            return false;
        if (op->kind == PBKV__KIND__KIND_OPEN && op->session != number)
            return false;
    }
    return true;
}

static bool session_record_is_valid(const Pbkv__SessionRecord *record,
                                    const Pbkv__Chunk *chunk)
{
    return is_number(record->id) && record->id <= record->op &&
           record->op <= chunk->since && status_is_valid(record->status);
}

static bool chunk_numbers_are_valid(const Pbkv__Chunk *chunk)
{
    return is_number(chunk->view) && is_number(chunk->transfer) &&
           chunk->first <= NUMBER_LIMIT && chunk->since <= NUMBER_LIMIT &&
           chunk->total <= NUMBER_LIMIT;
}

static bool chunk_is_valid(const Pbkv__Chunk *chunk)
{
    if (!chunk_numbers_are_valid(chunk) ||
        (chunk->last && chunk->digest.len != DIGEST_SIZE))
        return false;
    for (size_t i = 0; i < chunk->n_sessions; i++) {
        if (!session_record_is_valid(chunk->sessions[i], chunk))
            return false;
    }
    for (size_t i = 0; i < chunk->n_entries; i++) {
        if (!entry_is_valid(chunk->entries[i]))
            return false;
    }
    for (size_t i = 0; i < chunk->n_ops; i++) {
        if (!log_op_is_valid(chunk->ops[i]))
            return false;
    }
    return true;
}

static bool page_is_valid(const Pbkv__Page *page)
{
    for (size_t i = 0; i < page->n_entries; i++) {
        if (!entry_is_valid(page->entries[i]))
            return false;
    }
    return page->next <= page->total;
}

static bool inspect_reply_is_valid(const Pbkv__InspectReply *reply)
{
    struct peer peer;

    for (size_t i = 0; i < reply->n_counters; i++) {
        if (reply->counters[i]->name.len == 0)
            return false;
    }
    for (size_t i = 0; i < reply->n_servers; i++) {
        if (peer_from_message(reply->servers[i]->peer, &peer) < 0 ||
            !peer_is_present(&peer))
            return false;
    }
    return view_is_valid(reply->view) && reply->digest.len == DIGEST_SIZE;
}

static bool body_is_valid(const Pbkv__Body *body)
{
    switch (body->kind_case) {
    case PBKV__BODY__KIND_VIEW_REPLY:
        return body->view_reply->view && view_is_valid(body->view_reply->view);
    case PBKV__BODY__KIND_REPLY:
        return status_is_valid(body->reply->status) &&
               view_is_valid(body->reply->view);
    case PBKV__BODY__KIND_SESSION_OPENED:
        return is_number(body->session_opened->session);
    case PBKV__BODY__KIND_PAGE: return page_is_valid(body->page);
    case PBKV__BODY__KIND_FORWARD: return forward_is_valid(body->forward);
    case PBKV__BODY__KIND_FORWARD_ACK:
        return is_number(body->forward_ack->view);
    case PBKV__BODY__KIND_CHUNK: return chunk_is_valid(body->chunk);
    case PBKV__BODY__KIND_CHUNK_ACK:
        return is_number(body->chunk_ack->view) &&
               is_number(body->chunk_ack->transfer);
    case PBKV__BODY__KIND_REFUSAL:
        return is_number(body->refusal->refused) &&
               body->refusal->known <= NUMBER_LIMIT &&
               status_is_valid(body->refusal->status);
    case PBKV__BODY__KIND_INSPECT_REPLY:
        return inspect_reply_is_valid(body->inspect_reply);
    case PBKV__BODY__KIND_PING:
    case PBKV__BODY__KIND_GET_VIEW:
    case PBKV__BODY__KIND_OPEN_SESSION:
    case PBKV__BODY__KIND_GET:
    case PBKV__BODY__KIND_PUT:
    case PBKV__BODY__KIND_APPEND:
    case PBKV__BODY__KIND_SCAN:
    case PBKV__BODY__KIND_INSPECT: return true;
    case PBKV__BODY__KIND_ECHO: return body->echo->payload.len <= VALUE_LIMIT;
    case PBKV__BODY__KIND_ECHO_REPLY:
        return body->echo_reply->payload.len <= VALUE_LIMIT;
    default: return false;
    }
}

int message_check(const Pbkv__Body *body)
{
    /* All members of the oneof are pointers, so one of them stands for all. */
    if (!body || body->kind_case == PBKV__BODY__KIND__NOT_SET || !body->ping)
        return -EPROTO;
    return body_is_valid(body) ? 0 : -EPROTO;
}
