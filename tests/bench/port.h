/* SPDX-License-Identifier: MIT */
/*
 * port: TCP ports of loopback, for the benchmark's own servers and loaders.
 */
#ifndef TESTS_BENCH_PORT_H
#define TESTS_BENCH_PORT_H

#include <stdint.h>

/* Listens on a port that the system chooses and stores it in *port. Returns the
 * descriptor, for the caller to close, or -1 with errno. */
int port_listen(int backlog, uint16_t *port);

/* Connects to a port, with small packets sent at once. Blocks. Returns the
 * descriptor, for the caller to close, or -1 with errno. */
int port_dial(uint16_t port);

/* Returns a port that nobody listened on a moment ago, or 0 with errno. */
uint16_t port_free(void);

#endif
