/* SPDX-License-Identifier: MIT */
/*
 * view: see view.h. Addresses are stored with their length and a closing zero,
 * so that they serve as protobuf bytes and as C strings alike.
 */
#include "node/view.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clocks/octets.h"
#include "node/sink.h"

static bool address_is_valid(const char *text, size_t length)
{
    return length > 0 && length <= ADDRESS_MAX &&
           octets_are_printable(text, length, ' ', ' ');
}

int address_init(struct address *address, const void *text, size_t length)
{
    if (!address_is_valid(text, length))
        return -EINVAL;
    memset(address, 0, sizeof(*address));
    memcpy(address->text, text, length);
    address->length = (uint8_t)length;
    return 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

struct peer peer_at(const char *text, uint64_t incarnation)
{
    struct peer peer = {.incarnation = incarnation};
    int result = address_init(&peer.address, text, strlen(text));

    assert(result == 0);
    (void)result;
    return peer;
}

bool peer_is_present(const struct peer *peer)
{
    return peer->address.length > 0;
}

bool peer_equal(const struct peer *a, const struct peer *b)
{
    return a->incarnation == b->incarnation &&
           address_equal(&a->address, &b->address);
}

const char *peer_format(const struct peer *peer, char text[PEER_TEXT_MAX])
{
    if (peer_is_present(peer))
        snprintf(text, PEER_TEXT_MAX, "%s/%llu", peer->address.text,
                 (unsigned long long)peer->incarnation);
    else
        snprintf(text, PEER_TEXT_MAX, "none");
    return text;
}

bool view_equal(const struct view *a, const struct view *b)
{
    return a->number == b->number && peer_equal(&a->primary, &b->primary) &&
           peer_equal(&a->backup, &b->backup);
}

void peer_describe(const struct peer *peer, const char *name, struct sink *sink)
{
    sink_open(sink, name);
    sink_octets(sink, "address", peer->address.text, peer->address.length);
    sink_u64(sink, "incarnation", peer->incarnation);
    sink_close(sink);
}

void view_describe(const struct view *view, const char *name, struct sink *sink)
{
    sink_open(sink, name);
    sink_u64(sink, "number", view->number);
    peer_describe(&view->primary, "primary", sink);
    peer_describe(&view->backup, "backup", sink);
    sink_close(sink);
}

/* protobuf-c's structs have no const pointers; it only reads what it packs. */
static uint8_t *borrow(const char *text)
{
    union {
        const char *in;
        uint8_t *out;
    } cast = {.in = text};

    return cast.out;
}

void peer_to_message(const struct peer *peer, Pbkv__Peer *message)
{
    pbkv__peer__init(message);
    message->address.data = borrow(peer->address.text);
    message->address.len = peer->address.length;
    message->incarnation = peer->incarnation;
}

void view_to_message(const struct view *view, struct view_message *message)
{
    pbkv__view__init(&message->view);
    message->view.number = view->number;
    peer_to_message(&view->primary, &message->primary);
    peer_to_message(&view->backup, &message->backup);
    message->view.primary = &message->primary;
    message->view.backup = &message->backup;
}

bool peer_message_is_valid(const Pbkv__Peer *message)
{
    return !message || message->address.len == 0 ||
           address_is_valid((const char *)message->address.data,
                            message->address.len);
}

int peer_from_message(const Pbkv__Peer *message, struct peer *peer)
{
    memset(peer, 0, sizeof(*peer));
    if (!message || message->address.len == 0)
        return 0;
    peer->incarnation = message->incarnation;
    return address_init(&peer->address, message->address.data,
                        message->address.len);
}

int view_from_message(const Pbkv__View *message, struct view *view)
{
    int result;

    memset(view, 0, sizeof(*view));
    if (!message)
        return 0;
    view->number = message->number;
    result = peer_from_message(message->primary, &view->primary);
    if (result == 0)
        result = peer_from_message(message->backup, &view->backup);
    return result;
}
