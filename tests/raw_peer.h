/* SPDX-License-Identifier: MIT */
/*
 * raw_peer: the other end of a connection by hand: a blocking socket that sends
 * whatever octets a test likes. Frames are packed by protobuf-c alone, so the
 * runtime's own packing is not tested against itself.
 */
#ifndef TESTS_RAW_PEER_H
#define TESTS_RAW_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/message.h"
#include "node/view.h"

/* A frame to be, with everything that can be wrong about it. */
struct raw_frame {
    const char *from;        /* address; NULL: no sender */
    uint64_t to_incarnation; /* 0: whoever is there */
    uint64_t lamport;
    const char *hosts[3]; /* of the stamp, ended by NULL */
    uint64_t times[3];
    bool inspect; /* instead of an Echo */
    size_t payload;
    size_t more; /* bodies besides the first, and like it */
};

/* Returns a good frame: an Echo from client:feed, stamped "raw-1". */
struct raw_frame raw_frame_good(void);

/* Packs the raw frame with its length in front into memory that the caller
 * frees, and stores the number of octets. */
uint8_t *raw_frame_pack(const struct raw_frame *raw, size_t *size);

/* Dials the address and returns the socket; fails the test if it cannot. */
int raw_dial(const struct address *address);

/* Sends all octets; returns false when the other side has closed. */
bool raw_send(int fd, const void *octets, size_t size);

/* Sends as much of the octets as the system takes at once, and returns how many
 * those were. */
size_t raw_send_some(int fd, const void *octets, size_t size);

/* Packs and sends the frame. */
bool raw_send_frame(int fd, const struct raw_frame *frame);

/* Receives one frame and decodes it into the arena; NULL when closed. Only
 * kinds and numbers are there: octets of names, keys and values are gone. */
Pbkv__Frame *raw_receive_frame(int fd, struct arena *arena);

/* Waits until the other side has closed, throwing away what comes. */
void raw_await_close(int fd);

#endif
