/* SPDX-License-Identifier: MIT */
/*
 * world_trace: see world_trace.h. A stamp is what a frame has beside its body,
 * in the same encoding.
 */
#include "sim/world_trace.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks/host_clock.h"
#include "clocks/trace.h"
#include "node/env.h"
#include "node/memory.h"
#include "node/message.h"

struct traced_host {
    struct host_clock clock;
    bool is_client;
};

struct world_trace {
    struct trace *file;
    int error; /* of the first line that could not be written */
    struct arena arena;
    struct stamp_storage storage;
    struct traced_host hosts[];
};

int world_trace_open(const char *path, size_t hosts, struct world_trace **trace)
{
    struct world_trace *made;
    struct trace *file;
    FILE *empty = fopen(path, "w");
    int error;

    if (!empty)
        return -errno;
    fclose(empty);
    error = trace_open(path, 0, &file);
    if (error < 0)
        return error;
    made = memory_new(sizeof(*made) + hosts * sizeof(made->hosts[0]));
    made->file = file;
    arena_init_trusted(&made->arena);
    *trace = made;
    return 0;
}

int world_trace_close(struct world_trace *trace)
{
    int error;

    if (!trace)
        return 0;
    error = trace_close(trace->file);
    if (trace->error < 0)
        error = trace->error;
    arena_release(&trace->arena);
    free(trace);
    return error;
}

void world_trace_birth(struct world_trace *trace, size_t host,
                       const struct peer *self, bool is_client)
{
    char name[HOST_NAME_MAX_LENGTH + 1];
    int length = snprintf(name, sizeof(name), "%s-%" PRIu64, self->address.text,
                          self->incarnation);

    assert(length > 0 && length < (int)sizeof(name));
    (void)length;
    host_clock_init(&trace->hosts[host].clock, name);
    trace->hosts[host].is_client = is_client;
}

static void write_line(struct world_trace *trace, size_t host,
                       enum trace_kind kind, const char *sender, uint64_t sent,
                       const char *text)
{
    int error = trace_write(trace->file, &trace->hosts[host].clock, kind,
                            sender, sent, text);

    if (trace->error == 0)
        trace->error = error;
}

struct bytes *world_trace_send(struct world_trace *trace, size_t host,
                               const struct bytes *body)
{
    struct host_clock *clock = &trace->hosts[host].clock;
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    char text[EVENT_DETAIL_MAX];
    Pbkv__Body *decoded;
    struct bytes *stamp;
    int error =
        message_decode(&trace->arena, body->data, body->length, &decoded);

    assert(error == 0);
    (void)error;
    host_clock_tick(clock);
    write_line(trace, host, TRACE_SEND, NULL, 0,
               message_format(decoded, text, sizeof(text)));
    host_clock_stamp(clock, &frame, &trace->storage);
    stamp = bytes_new_uninitialised(pbkv__frame__get_packed_size(&frame));
    pbkv__frame__pack(&frame, stamp->data);
    return stamp;
}

void world_trace_receive(struct world_trace *trace, size_t host, size_t from,
                         const struct bytes *stamp, const Pbkv__Body *body)
{
    Pbkv__Frame *frame = pbkv__frame__unpack(NULL, stamp->length, stamp->data);
    char sender[HOST_NAME_MAX_LENGTH + 1];
    char text[EVENT_DETAIL_MAX];
    bool honest;

    assert(frame && host_clock_check_stamp(frame) == 0);
    memcpy(sender, frame->vector[0]->host.data, frame->vector[0]->host.len);
    sender[frame->vector[0]->host.len] = '\0';
    honest = host_clock_receive(&trace->hosts[host].clock, frame,
                                trace->hosts[from].is_client);
    assert(honest);
    (void)honest;
    write_line(trace, host, TRACE_RECEIVE, sender, frame->vector[0]->time,
               message_format(body, text, sizeof(text)));
    pbkv__frame__free_unpacked(frame, NULL);
}

void world_trace_event(struct world_trace *trace, size_t host, const char *name,
                       const char *detail)
{
    char text[EVENT_NAME_MAX + EVENT_DETAIL_MAX];

    snprintf(text, sizeof(text), "%s%s%s", name, detail ? " " : "",
             detail ? detail : "");
    host_clock_tick(&trace->hosts[host].clock);
    write_line(trace, host, TRACE_EVENT, NULL, 0, text);
}
