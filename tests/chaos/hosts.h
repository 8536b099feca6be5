/* SPDX-License-Identifier: MIT */
/*
 * hosts: a network of imagined machines, made of Linux network namespaces. This
 * program moves to a namespace of its own, the hub, with a bridge; every host
 * is a namespace with one end of a veth pair, whose other end is a port of the
 * bridge. To take a host's link down cuts it off from everybody.
 *
 *     hub: 10.77.0.1 on the bridge        (this program, view service)
 *      ├── h1 ── e1 in the namespace of host 1: 10.77.0.11
 *      ├── h2 ── e2 in the namespace of host 2: 10.77.0.12 …
 *
 * No namespace has a name: each lives as long as a process or a descriptor
 * refers to it. So nothing is left, however this program ends, and nothing
 * outside is touched.
 */
#ifndef TESTS_CHAOS_HOSTS_H
#define TESTS_CHAOS_HOSTS_H

#include <stdbool.h>

enum { HOSTS_ADDRESS_SIZE = 32 };

#define HOSTS_HUB_ADDRESS "10.77.0.1"

/* Moves this program, which has one thread, to a new network with a bridge.
 * Returns NULL, or why that is not possible. */
const char *hosts_enter_hub(void);

/* Makes host number 1, 2, … and stores its address. Returns the descriptor of
 * its namespace, which stays open, or -1. */
int hosts_add(unsigned number, char address[HOSTS_ADDRESS_SIZE]);

/* Takes a host's link down, or up again. Returns false when that fails. */
bool hosts_set_link(unsigned number, bool up);

#endif
