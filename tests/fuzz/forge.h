/* SPDX-License-Identifier: MIT */
/*
 * forge: messages that nobody in his right mind would send, and some that
 * somebody would. A forger fills in any message of pbkv.proto, field by field,
 * from dice. Numbers are drawn close to what the state makes likely (a hint for
 * "Chunk.first", say), peers from a list, keys from a few; so a forged message
 * is often one that nearly fits, which random octets never are.
 *
 * What it makes is encoded and then decoded like a message from the network:
 * what message_check refuses there never reaches a role.
 */
#ifndef TESTS_FUZZ_FORGE_H
#define TESTS_FUZZ_FORGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/message.h"
#include "node/view.h"
#include "tests/fuzz/dice.h"

enum {
    FORGE_MEMORY = 64 * 1024, /* octets of one forged message */
    FORGE_HINTS_MAX = 40,
    FORGE_PEERS_MAX = 12,
};

/* The likely value of one field, "Message.field". */
struct forge_hint {
    const char *message;
    const char *field;
    uint64_t value;
};

struct forge {
    struct dice *dice;
    struct forge_hint hints[FORGE_HINTS_MAX];
    size_t hint_count;
    struct peer peers[FORGE_PEERS_MAX]; /* who there is */
    size_t peer_count;
    struct arena arena; /* of the decoded message */
    uint8_t *encoded;
    size_t used;
    _Alignas(16) uint8_t memory[FORGE_MEMORY];
};

/* Returns a forger that draws from dice, which it borrows. The caller frees it
 * with forge_free. */
struct forge *forge_new(struct dice *dice);
void forge_free(struct forge *forge);

/* Adds somebody who is there, with a valid address. */
void forge_add_peer(struct forge *forge, const char *address,
                    uint64_t incarnation);

/* Sets the likely value of a field; both names are constants. */
void forge_hint(struct forge *forge, const char *message, const char *field,
                uint64_t value);

/* Draws one of the peers. */
const struct peer *forge_peer(struct forge *forge);

/* Forges a body of any kind, or of this one when kind is not 0. Returns it as a
 * receiver decodes it, until the next message of this forger, or NULL when the
 * receiver refuses it. */
const Pbkv__Body *forge_body(struct forge *forge, Pbkv__Body__KindCase kind);

/* The same for a body that somebody sent, length octets, in which a few fields
 * are forged. */
const Pbkv__Body *forge_altered(struct forge *forge, const struct bytes *body);

/* The same for octets as they are in the input. */
const Pbkv__Body *forge_raw(struct forge *forge);

#endif
