/* SPDX-License-Identifier: MIT */
/*
 * address: from the text of an address to what the socket calls want. The forms
 * are `host:port`, `[v6]:port` and `unix:/path`; a host is a name or an IPv4
 * address. Two texts are two addresses, so every form has one spelling only:
 * ports are decimal without leading zeros.
 *
 * The host name "client" is reserved: `client:<hex>` is the made-up name of a
 * process that does not listen, whatever digits follow.
 */
#ifndef RPC_ADDRESS_H
#define RPC_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "node/view.h"

enum address_kind { ADDRESS_UNIX, ADDRESS_INET };

/* An address taken apart. */
struct address_parts {
    enum address_kind kind;
    char host[ADDRESS_MAX + 1]; /* of ADDRESS_INET, without brackets */
    bool bracketed;             /* host is an IPv6 address */
    uint16_t port;              /* of ADDRESS_INET */
    const char *path;           /* of ADDRESS_UNIX; points into the address */
};

/* What bind and connect take. */
struct endpoint {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    } socket;
};

/* Takes an address apart. Returns 0, or -EINVAL for a client's name or any
 * other text that is none of the forms. Port 0 is accepted. */
int address_split(const struct address *address, struct address_parts *parts);

/* Returns whether somebody can be dialled there: one of the forms, and a port
 * that is not 0. Nothing is looked up. */
bool address_is_dialable(const struct address *address);

/*
 * Looks an address up: numeric hosts at once, names by getaddrinfo, which can
 * block for as long as the system's resolver does. `passive` asks for an
 * address to listen on. A name can have several endpoints: choice picks one,
 * counted round and round, so that repeated attempts try them all. Returns 0,
 * -EINVAL, -EADDRNOTAVAIL when the name is not known, -EAGAIN when the resolver
 * cannot tell now, or another negative errno.
 */
int address_resolve(const struct address *address, bool passive,
                    unsigned choice, struct endpoint *endpoint);

/* Stores the same address with another port. Returns 0, or -EINVAL when it has
 * no port to replace or becomes too long. */
int address_with_port(const struct address *address, uint16_t port,
                      struct address *result);

#endif
