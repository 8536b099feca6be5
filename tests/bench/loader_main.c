/* SPDX-License-Identifier: MIT */
/*
 * loader: does to other servers what `pbkv bench` does to a store, and prints
 * the same JSON object. One thread and epoll, because the loader's own work is
 * in every measurement.
 *
 * Kinds of load; each operation is
 *
 *     redis-set  SET, then WAIT 1 0, so that the replica has it; what a
 *                connection has under way shares one WAIT, behind the last SET
 *     redis-get  GET
 *     echo       as many octets as key and value have, there and back
 *
 * Redis does nothing else for a connection that is in WAIT. With a WAIT behind
 * every SET one would wait for the other, at about a third of the throughput;
 * sharing it is how a user gets the most out of Redis.
 *
 * Answers come in the order of the requests, so a connection is a ring of
 * beginnings. The answers of one recv are all read before the next requests go
 * out in one send.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/tool.h"
#include "client/tool_measure.h"
#include "node/memory.h"
#include "node/random.h"
#include "tests/bench/answers.h"
#include "tests/bench/port.h"

enum {
    INPUT_SIZE = 65536,
    REQUEST_ROOM = 256, /* octets of a request besides its value */
    EVENTS = 256,
};

struct request {
    const char *kind;
    uint32_t port;
    struct measure *measure;
    size_t value_size;
    uint32_t seconds;
    uint32_t count;
    bool fill;
};

struct connection {
    int fd;
    uint64_t *began_ns; /* a ring of outstanding of them */
    uint32_t oldest;    /* index of the first that is not answered */
    uint32_t under_way;
    struct answers answers;
};

struct loader {
    const struct request *request;
    enum answers_kind kind;
    struct measure *measure;
    struct connection *connections;
    int epoll;
    uint64_t random;
    uint64_t left;     /* operations not yet begun */
    uint32_t next_key; /* while filling */
    bool filling;
    uint64_t busy; /* operations under way */
    char *value;
    char *output; /* requests for one send */
    size_t length;
};

static void die(const char *what)
{
    perror(what);
    exit(PROGRAM_FAILED);
}

/* ---- Requests ----------------------------------------------------------- */

static void put(struct loader *loader, const char *octets, size_t length)
{
    memcpy(loader->output + loader->length, octets, length);
    loader->length += length;
}

static void put_text(struct loader *loader, const char *text)
{
    put(loader, text, strlen(text));
}

static void put_wait(struct loader *loader)
{
    put_text(loader, "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n");
}

static void put_key(struct loader *loader)
{
    char key[MEASURE_KEY_SIZE];
    uint32_t keys = loader->measure->keys;

    measure_key(loader->filling ? loader->next_key++ % keys
                                : random_between(&loader->random, 0, keys - 1),
                key);
    put(loader, key, sizeof(key));
}

static void put_set(struct loader *loader)
{
    char length[32];

    put_text(loader, "*3\r\n$3\r\nSET\r\n$16\r\n");
    put_key(loader);
    snprintf(length, sizeof(length), "\r\n$%zu\r\n",
             loader->request->value_size);
    put_text(loader, length);
    put(loader, loader->value, loader->request->value_size);
    put_text(loader, "\r\n");
}

/* Adds the request of one operation. */
static void put_request(struct loader *loader)
{
    switch (loader->kind) {
    case ANSWERS_WAITS: put_set(loader); break;
    case ANSWERS_VALUES:
        put_text(loader, "*2\r\n$3\r\nGET\r\n$16\r\n");
        put_key(loader);
        put_text(loader, "\r\n");
        break;
    case ANSWERS_OCTETS:
        put_key(loader);
        put(loader, loader->value, loader->request->value_size);
        break;
    }
}

static void send_output(struct loader *loader, int fd)
{
    size_t sent = 0;

    while (sent < loader->length) {
        ssize_t more = send(fd, loader->output + sent, loader->length - sent,
                            MSG_NOSIGNAL);
        struct pollfd wait = {fd, POLLOUT, 0};

        if (more >= 0)
            sent += (size_t)more;
        else if (errno == EAGAIN)
            poll(&wait, 1, -1);
        else
            die("send");
    }
    loader->length = 0;
}

/* Begins as many operations as the connection has room for. */
static void begin(struct loader *loader, struct connection *connection)
{
    uint32_t outstanding = loader->measure->outstanding;
    uint64_t now = tool_now_ns();

    if (loader->kind == ANSWERS_WAITS && connection->under_way > 0)
        return;
    while (connection->under_way < outstanding && loader->left > 0) {
        uint32_t at = connection->oldest + connection->under_way;

        connection->began_ns[at % outstanding] = now;
        connection->under_way++;
        loader->left--;
        loader->busy++;
        put_request(loader);
    }
    if (loader->kind == ANSWERS_WAITS && loader->length > 0)
        put_wait(loader);
    send_output(loader, connection->fd);
}

/* ---- Answers ------------------------------------------------------------ */

/* Ends the oldest operations. */
static void end(struct loader *loader, struct connection *connection,
                uint64_t ended)
{
    uint64_t now = tool_now_ns();

    if (loader->kind == ANSWERS_WAITS && ended > 0)
        ended = connection->under_way;
    for (; ended > 0; ended--) {
        histogram_add(&loader->measure->latency,
                      now - connection->began_ns[connection->oldest]);
        connection->oldest =
            (connection->oldest + 1) % loader->measure->outstanding;
        connection->under_way--;
        loader->busy--;
    }
}

static void on_readable(struct loader *loader, struct connection *connection)
{
    char input[INPUT_SIZE];
    ssize_t got = recv(connection->fd, input, sizeof(input), 0);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("recv");
    if (!answers_read(&connection->answers, input, (size_t)got)) {
        fprintf(stderr, "loader: an answer makes no sense\n");
        exit(PROGRAM_FAILED);
    }
    end(loader, connection, connection->answers.ended);
    connection->answers.ended = 0;
    begin(loader, connection);
}

/* ---- Running ------------------------------------------------------------ */

static void wait_for_events(struct loader *loader, uint64_t now,
                            uint64_t end_ns)
{
    struct epoll_event events[EVENTS];
    int ms = end_ns == UINT64_MAX ? -1 : (int)((end_ns - now) / 1000000 + 1);
    int count = epoll_wait(loader->epoll, events, EVENTS, ms);

    for (int i = 0; i < count; i++)
        on_readable(loader, events[i].data.ptr);
}

/* Lets all connections work until so many operations have ended or the time is
 * over. */
static void run(struct loader *loader, uint64_t operations, uint32_t seconds)
{
    uint64_t began = tool_now_ns();
    uint64_t end_ns =
        seconds > 0 ? began + seconds * UINT64_C(1000000000) : UINT64_MAX;

    memset(&loader->measure->latency, 0, sizeof(loader->measure->latency));
    loader->left = operations;
    for (uint32_t i = 0; i < loader->measure->clients; i++)
        begin(loader, &loader->connections[i]);
    while (loader->busy > 0) {
        uint64_t now = tool_now_ns();

        if (now >= end_ns) {
            loader->left = 0;
            end_ns = UINT64_MAX;
        }
        wait_for_events(loader, now, end_ns);
    }
    loader->measure->duration_ns = tool_now_ns() - began;
    loader->measure->operations = loader->measure->latency.count;
}

static void connect_one(struct loader *loader, struct connection *connection)
{
    struct epoll_event event = {EPOLLIN, {.ptr = connection}};

    connection->fd = port_dial((uint16_t)loader->request->port);
    if (connection->fd < 0)
        die("connect");
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    connection->began_ns = memory_new(loader->measure->outstanding *
                                      sizeof(*connection->began_ns));
    answers_init(&connection->answers, loader->kind,
                 MEASURE_KEY_SIZE + loader->request->value_size);
    if (epoll_ctl(loader->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        die("epoll_ctl");
}

static void prepare(struct loader *loader)
{
    struct measure *measure = loader->measure;
    size_t size = loader->request->value_size;

    loader->epoll = epoll_create1(EPOLL_CLOEXEC);
    loader->random = 1;
    loader->value = memory_new(size + 1);
    memset(loader->value, 'v', size);
    loader->output =
        memory_new((size + REQUEST_ROOM) * (measure->outstanding + 1));
    loader->connections =
        memory_new(measure->clients * sizeof(*loader->connections));
    for (uint32_t i = 0; i < measure->clients; i++)
        connect_one(loader, &loader->connections[i]);
}

static void release(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->measure->clients; i++) {
        close(loader->connections[i].fd);
        free(loader->connections[i].began_ns);
    }
    close(loader->epoll);
    free(loader->connections);
    free(loader->output);
    free(loader->value);
}

static int load(const struct request *request, enum answers_kind kind)
{
    struct loader loader = {
        .request = request, .kind = kind, .measure = request->measure};

    program_raise_descriptors();
    prepare(&loader);
    if (request->fill) {
        loader.filling = true;
        run(&loader, loader.measure->keys, 0);
        loader.filling = false;
    }
    run(&loader, request->count > 0 ? request->count : UINT64_MAX,
        request->count > 0 ? 0 : request->seconds);
    measure_write_json(stdout, loader.measure);
    release(&loader);
    return 0;
}

static int read_request(int argc, char **argv, struct request *request,
                        enum answers_kind *kind)
{
    struct measure *measure = request->measure;
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("kind", "KIND", "redis-set, redis-get or echo",
                            &request->kind),
        PROGRAM_U32_OPTION("port", "PORT", "of loopback", &request->port, 1,
                           UINT16_MAX),
        PROGRAM_U32_OPTION("clients", "N", "connections (50)",
                           &measure->clients, 1, 10000),
        PROGRAM_U32_OPTION("outstanding", "N", "on each (1)",
                           &measure->outstanding, 1, 1024),
        PROGRAM_SIZE_OPTION("value-size", "OCTETS", "of a value (100)",
                            &request->value_size, 0, PBKV_VALUE_MAX),
        PROGRAM_U32_OPTION("keys", "N", "different keys (100000)",
                           &measure->keys, 1, 1000000000),
        PROGRAM_U32_OPTION("seconds", "S", "how long (10)", &request->seconds,
                           1, 86400),
        PROGRAM_U32_OPTION("count", "N", "operations, instead of a time",
                           &request->count, 1, UINT32_MAX),
        PROGRAM_FLAG_OPTION("fill", "write every key once before",
                            &request->fill),
    };
    const struct program program = {
        "loader",
        "",
        "Measures other servers as pbkv bench does a store.",
        options,
        TOOL_COUNT(options),
        0,
        0};
    int at, status = program_parse(&program, argc, argv, &at);

    if (status != PROGRAM_GO_ON)
        return status;
    if (!request->kind || !answers_kind_of(request->kind, kind))
        return program_refuse(&program, "--kind is missing or unknown");
    return PROGRAM_GO_ON;
}

int main(int argc, char **argv)
{
    struct measure *measure = memory_new(sizeof(*measure));
    struct request request = {
        .measure = measure, .value_size = 100, .seconds = 10};
    enum answers_kind kind;
    int status;

    measure->clients = 50;
    measure->outstanding = 1;
    measure->keys = 100000;
    status = read_request(argc, argv, &request, &kind);
    if (status == PROGRAM_GO_ON) {
        measure->value_size = (uint32_t)request.value_size;
        measure->read_share = kind == ANSWERS_VALUES ? 100 : 0;
        status = load(&request, kind);
    }
    free(measure);
    return status;
}
