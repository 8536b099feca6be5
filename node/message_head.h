/* SPDX-License-Identifier: MIT */
/*
 * message_head: the head of a Frame is all that is in front of its bodies: who
 * sends it to whom, and the stamp. On one connection nothing in it changes from
 * frame to frame but the times in the stamp. So a connection remembers the head
 * of the last frame that was looked at in full, and a head that repeats it,
 * octet for octet except for the times, has the same sender and receiver and
 * the same host names: they are valid and no two are the same, and nobody has
 * to find that out again.
 *
 * Whatever does not repeat the known head is decoded by frame_decode and
 * checked in full. So who writes something else each time makes us slow, and
 * nothing worse; and who reads the code may forget about this file.
 */
#ifndef NODE_MESSAGE_HEAD_H
#define NODE_MESSAGE_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "node/message.h"

/* The fields of a head (pbkv.proto), and the field behind it. */
enum {
    FRAME_FROM = 1,
    FRAME_TO = 2,
    FRAME_LAMPORT = 3,
    FRAME_VECTOR = 4,
    FRAME_BODIES = 6,
    PEER_ADDRESS = 1,
    PEER_INCARNATION = 2,
    ENTRY_HOST = 1,
    ENTRY_TIME = 2,
};

enum { KNOWN_HEAD_MAX = 512 /* octets; a dozen hosts have room */ };

/* A head without its times. octets begins with from and to as they are on the
 * wire. For each entry of the stamp what is in front of the time follows, with
 * an octet for its length. All zeros: no head is known. */
struct known_head {
    uint16_t length; /* of octets in use */
    uint16_t peers;  /* octets of from and to */
    uint8_t hosts;   /* entries of the stamp */
    uint8_t octets[KNOWN_HEAD_MAX];
};

/* Remembers the head of a frame that frame_decode has taken and whose stamp
 * host_clock_check_stamp has accepted. A head that is too long is not known
 * afterwards. */
void known_head_learn(struct known_head *known, const Pbkv__Frame *frame);

/*
 * Decodes a frame like frame_decode if its head repeats the known one and
 * host_clock_check_stamp would accept its stamp. It has the stamp and the
 * bodies, but neither from nor to, which are the known head's. Returns NULL for
 * every other frame: frame_decode says what it is.
 */
Pbkv__Frame *frame_decode_known(struct arena *arena,
                                const struct known_head *known,
                                const uint8_t *data, size_t length);

/* Writes a peer as a field of a head, or nothing when it is NULL, and returns
 * the place behind it. */
uint8_t *head_put_peer(uint8_t *room, unsigned field, const Pbkv__Peer *peer);

#endif
