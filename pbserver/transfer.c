/* SPDX-License-Identifier: MIT */
/*
 * transfer: the whole state for a new backup (rules T1 to T5), while clients go
 * on.
 *
 * The state is a sequence of numbered items: the sessions as of op number
 * `since`, at which the transfer starts; then the keys that exist at that
 * moment, in their fixed positions, each with the value it has when its chunk
 * is built; then the operations since+1, since+2, …. A chunk is a run of items.
 * The receiver takes every item exactly once and in order, and acknowledges how
 * many it has; so after loss, duplicates and broken connections it is enough to
 * send again, as they were built, the chunks that have not been acknowledged.
 *
 * A key's value may be newer than `since`. The entry says by which operation it
 * was last changed, and state_apply leaves it alone for operations up to that
 * one; at the end of the items both sides are exactly equal, which the digest
 * in the last chunk proves before the receiver installs anything.
 *
 * While items are left, the primary answers clients alone: nothing is lost that
 * a crash of this only holder of the state would not lose anyway, since the
 * view cannot pass to another primary before this one acknowledges it (V3, T2),
 * and every operation becomes an item (T3). The last chunk ends that:
 * operations after it wait for the backup.
 *
 * transfer_send.c has the primary's side and transfer_receive.c the backup's;
 * this file has what concerns both.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "pbserver/server.h"

void transfer_clear(struct server *server)
{
    struct transfer_out *out = &server->out;

    for (size_t i = 0; i < out->on_the_way; i++)
        bytes_release(out->way[i].body);
    free(out->sessions);
    memset(out, 0, sizeof(*out));
    state_release(&server->in.state);
    memset(&server->in, 0, sizeof(server->in));
    state_init(&server->in.state);
}

void transfer_clone(const struct server *server, struct server *copy)
{
    const struct transfer_out *out = &server->out;
    size_t size = out->session_count * sizeof(*out->sessions);

    for (size_t i = 0; i < out->on_the_way; i++)
        bytes_share(out->way[i].body);
    if (out->sessions) {
        copy->out.sessions = memory_new(size);
        memcpy(copy->out.sessions, out->sessions, size);
    }
    state_clone(&server->in.state, &copy->in.state);
}

void transfer_check(const struct server *server)
{
    const struct transfer_out *out = &server->out;
    const struct transfer_in *in = &server->in;

    if (out->active) {
        assert(server_is_primary(server) && server->initialised);
        assert(peer_is_present(&server->view.backup));
        assert(out->on_the_way > 0 && out->on_the_way <= TRANSFER_WINDOW);
        assert(out->acked <= out->next);
        assert(out->way[out->on_the_way - 1].end == out->next);
        assert(!out->closed || out->next == out->total);
    } else
        assert(out->on_the_way == 0);
    if (in->active)
        assert(server_is_backup(server) && !server->initialised);
    else
        assert(in->state.kv.count == 0);
}

static void describe_out(const struct transfer_out *out, struct sink *sink)
{
    sink_open(sink, "transfer_out");
    sink_u64(sink, "number", out->number);
    sink_bool(sink, "active", out->active);
    sink_bool(sink, "closed", out->closed);
    sink_u64(sink, "since", out->since);
    for (size_t i = 0; i < out->session_count; i++) {
        sink_u64(sink, "session", out->sessions[i].id);
        sink_u64(sink, "seq", out->sessions[i].seq);
        sink_u64(sink, "status", (uint64_t)out->sessions[i].status);
        sink_u64(sink, "op", out->sessions[i].op);
    }
    sink_u64(sink, "key_count", out->key_count);
    sink_u64(sink, "acked", out->acked);
    sink_u64(sink, "next", out->next);
    sink_u64(sink, "again", out->again);
    sink_u64(sink, "total", out->total);
    sink_u64(sink, "close_op", out->close_op);
    sink_octets(sink, "digest", out->digest.octets, DIGEST_SIZE);
    for (size_t i = 0; i < out->on_the_way; i++) {
        sink_u64(sink, "end", out->way[i].end);
        sink_octets(sink, "chunk", out->way[i].body->data,
                    out->way[i].body->length);
    }
    sink_close(sink);
}

void transfer_describe(const struct server *server, struct sink *sink)
{
    const struct transfer_in *in = &server->in;

    sink_u64(sink, "transfers", server->transfers);
    describe_out(&server->out, sink);
    sink_open(sink, "transfer_in");
    sink_bool(sink, "active", in->active);
    sink_u64(sink, "number", in->number);
    sink_u64(sink, "refused", (uint64_t)in->refused);
    sink_u64(sink, "newest", in->newest);
    sink_u64(sink, "received", in->received);
    sink_u64(sink, "total", in->total);
    state_describe(&in->state, sink);
    sink_close(sink);
}
