/* SPDX-License-Identifier: MIT */
/*
 * explorer_local: node states and messages get their numbers. Both are named by
 * their canonical octets, which are kept and compared.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/explorer_state.h"

/* ---- Locals ---- */

void local_describe(const struct local *local, struct sink *sink)
{
    sink_clear(sink);
    sink_u64(sink, "host", local->host);
    sink_u64(sink, "crashes", local->crashes);
    sink_u64(sink, "incarnation", local->incarnation);
    sink_bool(sink, "finished", local->finished);
    for (uint32_t i = 0; i < local->timer_count; i++) {
        sink_u64(sink, "slot", local->timers[i].slot);
        sink_u64(sink, "min", local->timers[i].min_ms);
        sink_u64(sink, "max", local->timers[i].max_ms);
    }
    if (local->record)
        sink_octets(sink, "record", local->record->data, local->record->length);
    sink_bool(sink, "up", local->node != NULL);
    if (local->node)
        local->node->type->describe(local->node, sink);
}

void local_release(struct local *local)
{
    node_release(local->node);
    bytes_release(local->record);
}

uint32_t local_intern(struct explorer *explorer, struct local *local,
                      const struct sink *name, bool *is_new)
{
    const struct explorer_node *node = &explorer->nodes[local->host];
    uint32_t number =
        intern_put(&explorer->local_names, name->buffer, name->length, is_new);

    if (!*is_new)
        return number;
    if (local->node && node->wants) {
        local->wants = node->wants(local->node);
        local->progress = node->progress(local->node);
        assert(local->progress < 16);
    }
    *(struct local *)segments_push(&explorer->locals) = *local;
    return number;
}

uint32_t local_unborn(struct explorer *explorer, uint32_t host)
{
    struct local local = {.host = host, .origin = INTERN_NONE};
    struct sink name;
    uint32_t number;
    bool is_new;

    sink_init(&name, SINK_CANONICAL);
    local_describe(&local, &name);
    number = local_intern(explorer, &local, &name, &is_new);
    sink_release(&name);
    return number;
}

/* ---- Timers ---- */

bool timer_may_fire(const struct local *local, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (local->timers[index].min_ms >= local->timers[i].max_ms)
            return false;
    }
    return true;
}

/* ---- Messages ---- */

uint32_t message_number(struct explorer *explorer,
                        const struct sent_message *message, struct sink *name)
{
    struct sent_message *kept;
    const struct interned *octets;
    bool is_new;
    uint32_t number;

    sink_clear(name);
    sink_u64(name, "f", message->from);
    sink_u64(name, "i", message->from_incarnation);
    sink_u64(name, "t", message->to);
    sink_u64(name, "j", message->to_incarnation);
    sink_octets(name, "b", message->body, message->length);
    number = intern_put(&explorer->message_names, name->buffer, name->length,
                        &is_new);
    if (!is_new)
        return number;
    assert(number < (uint32_t)1 << EVENT_SHIFT);
    octets = intern_at(&explorer->message_names, number);
    kept = segments_push(&explorer->messages);
    *kept = *message;
    kept->body = octets->octets + octets->length - message->length;
    return number;
}

uint64_t event_hash(const struct explorer *explorer, uint32_t host,
                    uint32_t event)
{
    enum event_kind kind = event_kind(event);
    uint64_t hash = event;

    if (kind == EVENT_DELIVER || kind == EVENT_LOSE)
        hash = intern_at(&explorer->message_names, event_argument(event))->hash;
    return intern_mix(hash + host + (kind == EVENT_LOSE));
}
