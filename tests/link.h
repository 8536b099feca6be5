/* SPDX-License-Identifier: MIT */
/*
 * link: a path between two processes that can be cut: a listening Unix socket,
 * and a thread that carries octets from whoever connects there to the target
 * and back. See cluster_add_link in cluster.h.
 */
#ifndef TESTS_LINK_H
#define TESTS_LINK_H

struct link;

/* Makes a link whose near end listens at an address (unix:/path) and leads to
 * the Unix socket target (unix:/path), and starts its thread. Returns NULL with
 * errno when the system refuses. */
struct link *link_new(const char *address, const char *target);

/* Stops the thread, closes everything and frees the link. */
void link_free(struct link *link);

#endif
