/* SPDX-License-Identifier: MIT */
/*
 * echo: the smallest pair of roles, for a first reading: a server that sends
 * back what it gets, and a client that asks until it is answered. Between them
 * they have all that a role is made of: a message, a timer, a retry, an answer
 * to whoever waits, and an end.
 *
 * Rules:
 *
 * E1 The server answers every Echo with one EchoReply to its sender, with the
 *    same call and payload, and keeps nothing.
 * E2 The client begins when it starts: it sends Echo 1. It has one Echo under
 *    way, and numbers them 1, 2, …, count; the number is `call`.
 * E3 When retry_ms have passed without the answer, it sends the same Echo again
 *    (same call, same payload), up to `attempts` times in all.
 * E4 The answer to the Echo under way ends it: env_answer with the EchoReply,
 *    and the next one is sent. Any other answer (late, doubled, from somebody
 *    else, another payload) is dropped as the event "echo.stale".
 * E5 An Echo without an answer after the last attempt ends with env_answer and
 *    a Reply with status TIMEOUT; then the next one is sent.
 * E6 After the last one the client does nothing more: no timer runs.
 */
#ifndef NODE_ECHO_H
#define NODE_ECHO_H

#include "node/node.h"

enum { ECHO_TIMER = 0 /* timer slot of the client: no answer yet */ };

struct echo_config {
    struct address server;
    uint32_t count;    /* echoes to send, at least 1 */
    uint32_t retry_ms; /* at least 1 */
    uint32_t attempts; /* transmissions of one echo, at least 1 */
};

/* Returns a new server, or client; the configuration is copied. The caller owns
 * it; node_release frees it. */
struct node *echo_server_new(void);
struct node *echo_client_new(const struct echo_config *config);

/* Writes the payload of an Echo, "echo 7", into text and returns its length. */
enum { ECHO_PAYLOAD_MAX = 32 };
size_t echo_payload(uint64_t call, char text[ECHO_PAYLOAD_MAX]);

#endif
