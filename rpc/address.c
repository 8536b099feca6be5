/* SPDX-License-Identifier: MIT */
/*
 * address: see address.h. Splitting is strict and purely textual; only
 * address_resolve asks the system. The host part is limited to what a host name
 * can hold, so that a made-up name with other characters is never looked up.
 */
#include "rpc/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { PORT_DIGITS_MAX = 5 };

static const char HOST_OCTETS[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_";

static int split_unix(const char *path, struct address_parts *parts)
{
    if (path[0] != '/' || path[1] == '\0')
        return -EINVAL;
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return -EINVAL;
    parts->kind = ADDRESS_UNIX;
    parts->path = path;
    return 0;
}

static int split_port(const char *text, uint16_t *port)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > PORT_DIGITS_MAX || text[length] != '\0')
        return -EINVAL;
    if (text[0] == '0' && length > 1)
        return -EINVAL;
    uint32_t value = 0;
    for (size_t i = 0; i < length; ++i)
        value = value * 10 + (uint32_t)(text[i] - '0');
    if (value > UINT16_MAX)
        return -EINVAL;
    *port = (uint16_t)value;
    return 0;
}

static bool host_is_good(const struct address_parts *parts)
{
    if (parts->bracketed) {
        struct in6_addr v6;
        return inet_pton(AF_INET6, parts->host, &v6) == 1;
    }
    size_t length = strspn(parts->host, HOST_OCTETS);
    return length > 0 && parts->host[length] == '\0' &&
           strcmp(parts->host, "client") != 0;
}

static int split_inet(const char *text, struct address_parts *parts)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return -EINVAL;
    size_t length = (size_t)(colon - text);
    parts->kind = ADDRESS_INET;
    parts->bracketed = text[0] == '[' && text[length - 1] == ']' && length > 2;
    if (parts->bracketed) {
        text += 1;
        length -= 2;
    }
    memcpy(parts->host, text, length);
    parts->host[length] = '\0';
    return host_is_good(parts) ? split_port(colon + 1, &parts->port) : -EINVAL;
}

int address_split(const struct address *address, struct address_parts *parts)
{
    static const char prefix[] = "unix:";
    memset(parts, 0, sizeof(*parts));
    if (strncmp(address->text, prefix, sizeof(prefix) - 1) == 0)
        return split_unix(address->text + sizeof(prefix) - 1, parts);
    return split_inet(address->text, parts);
}

bool address_is_dialable(const struct address *address)
{
    struct address_parts parts;
    if (address_split(address, &parts) < 0)
        return false;
    return parts.kind == ADDRESS_UNIX || parts.port != 0;
}

static int resolver_errno(int code)
{
    switch (code) {
    case EAI_SYSTEM: return errno != 0 ? -errno : -EIO;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_AGAIN: return -EAGAIN;
    default: return -EADDRNOTAVAIL;
    }
}

/* Copies the endpoint number `choice`, counted round and round. */
static void pick_endpoint(const struct addrinfo *list, unsigned choice,
                          struct endpoint *endpoint)
{
    unsigned count = 0;
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next)
        ++count;
    assert(count > 0);
    for (choice %= count; choice > 0; --choice)
        list = list->ai_next;
    assert(list->ai_addrlen <= sizeof(endpoint->socket));
    endpoint->length = list->ai_addrlen;
    memcpy(&endpoint->socket, list->ai_addr, list->ai_addrlen);
}

static int resolve_inet(const struct address_parts *parts, bool passive,
                        unsigned choice, struct endpoint *endpoint)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    if (passive)
        hints.ai_flags |= AI_PASSIVE;
    char port[PORT_DIGITS_MAX + 1];
    snprintf(port, sizeof(port), "%u", (unsigned)parts->port);
    struct addrinfo *list = NULL;
    int code = getaddrinfo(parts->host, port, &hints, &list);
    if (code == EAI_NONAME && !parts->bracketed) {
        hints.ai_flags &= ~AI_NUMERICHOST;
        code = getaddrinfo(parts->host, port, &hints, &list);
    }
    if (code != 0)
        return resolver_errno(code);
    pick_endpoint(list, choice, endpoint);
    freeaddrinfo(list);
    return 0;
}

static void resolve_unix(const char *path, struct endpoint *endpoint)
{
    struct sockaddr_un *local = &endpoint->socket.local;
    local->sun_family = AF_UNIX;
    assert(strlen(path) < sizeof(local->sun_path));
    memcpy(local->sun_path, path, strlen(path) + 1);
    endpoint->length = sizeof(*local);
}

int address_resolve(const struct address *address, bool passive,
                    unsigned choice, struct endpoint *endpoint)
{
    struct address_parts parts;
    if (address_split(address, &parts) < 0)
        return -EINVAL;
    memset(endpoint, 0, sizeof(*endpoint));
    if (parts.kind == ADDRESS_INET)
        return resolve_inet(&parts, passive, choice, endpoint);
    resolve_unix(parts.path, endpoint);
    return 0;
}

int address_with_port(const struct address *address, uint16_t port,
                      struct address *result)
{
    struct address_parts parts;
    if (address_split(address, &parts) < 0 || parts.kind != ADDRESS_INET)
        return -EINVAL;
    char text[ADDRESS_MAX + 8];
    int length =
        snprintf(text, sizeof(text), parts.bracketed ? "[%s]:%u" : "%s:%u",
                 parts.host, (unsigned)port);
    assert(length > 0 && (size_t)length < sizeof(text));
    return address_init(result, text, (size_t)length);
}
