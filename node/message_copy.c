/* SPDX-License-Identifier: MIT */
/*
 * message_copy: messages with memory of their own, for effects that outlive the
 * message that they were made of. A copy is one piece of memory that begins
 * with the Body, so freeing it takes nothing but its address.
 *
 * Answers that are frequent or large are copied field by field: Replies without
 * a view, EchoReplies and Pages. All others go through their encoding: that
 * copies any message, and the arena that it is decoded into is the piece, which
 * is many times as large as the message.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "node/message.h"

/* A message with at most one field of octets. */
struct short_copy {
    Pbkv__Body body;
    union {
        Pbkv__Reply reply;
        Pbkv__EchoReply echo_reply;
    };
    uint8_t octets[];
};

struct page_copy {
    Pbkv__Body body;
    Pbkv__Page page;
    Pbkv__Entry *entries[]; /* then the entries themselves, then octets */
};

/* Moves octets to a place and returns the place behind them. */
static uint8_t *move_octets(ProtobufCBinaryData *octets, uint8_t *place)
{
    if (octets->len > 0)
        memcpy(place, octets->data, octets->len);
    octets->data = place;
    return place + octets->len;
}

/* Returns a copy of this kind, without its message, with room for octets. */
static struct short_copy *short_new(Pbkv__Body__KindCase kind, size_t octets)
{
    struct short_copy *copy = memory_resize(NULL, sizeof(*copy) + octets);

    copy->body = (Pbkv__Body)PBKV__BODY__INIT;
    copy->body.kind_case = kind;
    return copy;
}

static Pbkv__Body *copy_reply(const Pbkv__Reply *reply)
{
    struct short_copy *copy =
        short_new(PBKV__BODY__KIND_REPLY, reply->value.len);

    copy->body.reply = &copy->reply;
    copy->reply = (Pbkv__Reply)PBKV__REPLY__INIT;
    copy->reply.call = reply->call;
    copy->reply.status = reply->status;
    copy->reply.value = reply->value;
    move_octets(&copy->reply.value, copy->octets);
    return &copy->body;
}

static Pbkv__Body *copy_echo_reply(const Pbkv__EchoReply *reply)
{
    struct short_copy *copy =
        short_new(PBKV__BODY__KIND_ECHO_REPLY, reply->payload.len);

    copy->body.echo_reply = &copy->echo_reply;
    copy->echo_reply = (Pbkv__EchoReply)PBKV__ECHO_REPLY__INIT;
    copy->echo_reply.call = reply->call;
    copy->echo_reply.payload = reply->payload;
    move_octets(&copy->echo_reply.payload, copy->octets);
    return &copy->body;
}

/* ---- Page ---------------------------------------------------------------- */

static size_t page_size(const Pbkv__Page *page)
{
    size_t size =
        sizeof(struct page_copy) +
        page->n_entries * (sizeof(Pbkv__Entry *) + sizeof(Pbkv__Entry));

    for (size_t i = 0; i < page->n_entries; i++)
        size += page->entries[i]->key.len + page->entries[i]->value.len;
    return size;
}

static void copy_entries(const Pbkv__Page *page, struct page_copy *copy)
{
    Pbkv__Entry *entries = (Pbkv__Entry *)(copy->entries + page->n_entries);
    uint8_t *place = (uint8_t *)(entries + page->n_entries);

    for (size_t i = 0; i < page->n_entries; i++) {
        entries[i] = (Pbkv__Entry)PBKV__ENTRY__INIT;
        entries[i].key = page->entries[i]->key;
        entries[i].value = page->entries[i]->value;
        entries[i].modified = page->entries[i]->modified;
        place = move_octets(&entries[i].key, place);
        place = move_octets(&entries[i].value, place);
        copy->entries[i] = &entries[i];
    }
}

static Pbkv__Body *copy_page(const Pbkv__Page *page)
{
    struct page_copy *copy = memory_resize(NULL, page_size(page));

    copy->body = (Pbkv__Body)PBKV__BODY__INIT;
    copy->body.kind_case = PBKV__BODY__KIND_PAGE;
    copy->body.page = &copy->page;
    copy->page = (Pbkv__Page)PBKV__PAGE__INIT;
    copy->page.call = page->call;
    copy->page.next = page->next;
    copy->page.total = page->total;
    copy->page.n_entries = page->n_entries;
    copy->page.entries = copy->entries;
    copy_entries(page, copy);
    return &copy->body;
}

/* ---- All others ---------------------------------------------------------- */

static Pbkv__Body *copy_encoded(const Pbkv__Body *body)
{
    struct bytes *encoded = message_encode(body);
    Pbkv__Body *copy = NULL;
    struct arena arena;
    int error;

    arena_init(&arena);
    error = message_decode(&arena, encoded->data, encoded->length, &copy);
    if (error == -E2BIG) { /* denser than a stranger's message may be */
        arena_release(&arena);
        arena_init_trusted(&arena);
        error = message_decode(&arena, encoded->data, encoded->length, &copy);
    }
    assert(error == 0 && (uint8_t *)copy == arena.memory);
    (void)error;
    bytes_release(encoded);
    return copy;
}

Pbkv__Body *message_copy(const Pbkv__Body *body)
{
    assert(message_check(body) == 0);
    if (body->kind_case == PBKV__BODY__KIND_REPLY && !body->reply->view)
        return copy_reply(body->reply);
    switch (body->kind_case) {
    case PBKV__BODY__KIND_ECHO_REPLY: return copy_echo_reply(body->echo_reply);
    case PBKV__BODY__KIND_PAGE: return copy_page(body->page);
    default: return copy_encoded(body);
    }
}

void message_free(Pbkv__Body *body)
{
    free(body);
}
