/* SPDX-License-Identifier: MIT */
/*
 * view: who is who. An address is where a process listens, a peer is one life
 * (incarnation) of the process at an address, and a view names the primary and
 * the backup of one numbered configuration.
 *
 * All three are plain values without pointers: copy them by assignment, compare
 * them with the functions below, never with memcmp.
 */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pbkv.pb-c.h"

struct sink;

enum {
    ADDRESS_MAX = 110, /* octets: "unix:" and the longest socket path */
    /* Octets that address_format and peer_format need at most. */
    PEER_TEXT_MAX = ADDRESS_MAX + 24,
};

/* `host:port`, `[v6]:port`, `unix:/path`, or the made-up name of a process that
 * does not listen (a client). Length 0: no address. Always ends in a zero. */
struct address {
    uint8_t length;
    char text[ADDRESS_MAX + 1];
};

/* One life of the process at an address (rule V8). Of two lives at one address
 * the greater incarnation is the newer. Incarnation 0: not known. */
struct peer {
    struct address address;
    uint64_t incarnation;
};

/* Number 0 is "no view yet". An absent server is a peer with no address. */
struct view {
    uint64_t number;
    struct peer primary;
    struct peer backup;
};

/* Makes an address of length octets at text. Returns 0, or -EINVAL when it is
 * empty, longer than ADDRESS_MAX, or has an octet outside printable ASCII. */
int address_init(struct address *address, const void *text, size_t length);

/* Returns whether both are the same text. */
bool address_equal(const struct address *a, const struct address *b);

/* Returns a peer at the text, which must be a valid address: for constants. */
struct peer peer_at(const char *text, uint64_t incarnation);

/* Returns whether there is a server at all (an address). */
bool peer_is_present(const struct peer *peer);

/* Returns whether both are the same life of the same process. */
bool peer_equal(const struct peer *a, const struct peer *b);

/* Writes "address/incarnation", or "none", into text of PEER_TEXT_MAX octets,
 * and returns text. */
const char *peer_format(const struct peer *peer, char text[PEER_TEXT_MAX]);

/* Returns whether number, primary and backup are all the same. */
bool view_equal(const struct view *a, const struct view *b);

/* Describes the fields to a sink, under a name. */
void peer_describe(const struct peer *peer, const char *name,
                   struct sink *sink);
void view_describe(const struct view *view, const char *name,
                   struct sink *sink);

/* Points a message at the fields of a peer or view. The message borrows: it is
 * good for as long as its source stays where it is and as it is. */
void peer_to_message(const struct peer *peer, Pbkv__Peer *message);

/* A View message has two Peer messages inside; this holds all three. */
struct view_message {
    Pbkv__View view;
    Pbkv__Peer primary;
    Pbkv__Peer backup;
};
void view_to_message(const struct view *view, struct view_message *message);

/* Returns whether a message can be copied into a value; NULL can. */
bool peer_message_is_valid(const Pbkv__Peer *message);

/* Copies a message into a value. Returns 0, or -EINVAL when an address is not
 * valid. A message that is NULL, or has an empty address, gives an absent
 * server; a NULL view gives view 0. */
int peer_from_message(const Pbkv__Peer *message, struct peer *peer);
int view_from_message(const Pbkv__View *message, struct view *view);

#endif
