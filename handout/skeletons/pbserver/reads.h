/* SPDX-License-Identifier: MIT */
/*
 * reads: answers to reads that wait for the backup (P4); yours in lab 2B.
 * requests.c of lab 1B uses what is declared here.
 */
#ifndef PBSERVER_READS_H
#define PBSERVER_READS_H

#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/view.h"
#include "pbkv.pb-c.h"

struct waiting_read {
    struct peer client;
    uint64_t call;
    uint64_t op;               /* the newest operation that it shows */
    uint64_t round;            /* the confirmation that it waits for */
    struct bytes *answer;      /* encoded */
    Pbkv__Body__KindCase what; /* of the answer */
};

struct reads {
    size_t count;
    size_t octets; /* of all answers */
};

/* Adds a read; takes its answer over. */
void reads_push(struct reads *reads, const struct waiting_read *read);

#endif
