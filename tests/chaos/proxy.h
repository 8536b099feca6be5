/* SPDX-License-Identifier: MIT */
/*
 * proxy: the network between processes, in one thread, for those who want to
 * break it. Every process has a front, a Unix socket at which all others reach
 * it; what they send there passes through the proxy, which knows by the number
 * of the process on the near side who is talking to whom. So each direction
 * between each two hosts can be cut or made slow.
 *
 * Hosts have numbers; host 0 is this program, with all clients in it. What is
 * cut waits in the proxy or in the sockets and arrives late, when the cut is
 * over, as it would with a protocol that sends again. A host that dies takes
 * along what it had sent and what has not arrived (proxy_forget).
 *
 * All functions can be called from any thread.
 */
#ifndef TESTS_CHAOS_PROXY_H
#define TESTS_CHAOS_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROXY_HOSTS_MAX = 8 };

struct proxy;

/* Starts the thread. Ends the program when the system refuses. The caller frees
 * the proxy. */
struct proxy *proxy_new(void);
void proxy_free(struct proxy *proxy);

/* Opens the front of a host at a path, which leads to the socket at target;
 * nobody need be there yet. Ends the program when the system refuses. */
void proxy_add(struct proxy *proxy, unsigned host, const char *path,
               const char *target);

/* Says which process is the host now. */
void proxy_set_process(struct proxy *proxy, unsigned host, pid_t pid);

/* Cuts the way from one host to another once more, or takes one cut back:
 * octets pass when there are as many joins as cuts. */
void proxy_cut(struct proxy *proxy, unsigned from, unsigned to);
void proxy_join(struct proxy *proxy, unsigned from, unsigned to);

/* Makes what goes from one host to another take so many milliseconds, in order;
 * 0: no longer. */
void proxy_delay(struct proxy *proxy, unsigned from, unsigned to, uint32_t ms);

/* Closes the connections of a host and drops what it has sent. Others learn of
 * it when they are not cut off from it. */
void proxy_forget(struct proxy *proxy, unsigned host);

#endif
