/* SPDX-License-Identifier: MIT */
/*
 * store_log: what has been sent and received, and what was done to the
 * store, as lines that tests look for and a failure's report tells; and the
 * same messages in a trace, when there is one.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "node/memory.h"
#include "tests/labs/store_state.h"

/* Adds an empty line to the log; good until the next. */
static struct store_line *add_line(struct store *store)
{
    if (store->line_count == store->line_capacity) {
        store->line_capacity =
            store->line_capacity ? 2 * store->line_capacity : 256;
        store->lines = memory_resize(store->lines, store->line_capacity *
                                                       sizeof(*store->lines));
    }
    store->lines[store->line_count] =
        (struct store_line){.time_us = world_now(store->world), .to = NOBODY};
    return &store->lines[store->line_count++];
}

void store_log_message(struct store *store, enum line_kind kind,
                       const struct flight *flight, int to)
{
    struct store_line *line = add_line(store);
    int clock = kind == LINE_RECEIVE ? to : flight->from;

    line->kind = kind;
    line->from = (int16_t)flight->from;
    line->from_life = (uint16_t)flight->from_life;
    line->to = (int16_t)to;
    line->to_life = (uint16_t)store->actors[to].life;
    line->what = flight->what;
    line->body = bytes_share(flight->body);
    line->lamport = kind == LINE_LOST ? flight->lamport
                                      : store->actors[clock].clock.lamport.time;
}

void store_note(struct store *store, int actor, const char *format, ...)
{
    struct store_line *line = add_line(store);
    char text[EVENT_DETAIL_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    line->kind = LINE_NOTE;
    line->from = (int16_t)actor;
    line->from_life = (uint16_t)(actor < 0 ? 0 : store->actors[actor].life);
    line->note = memory_copy_text(text);
}

void store_trace_message(struct store *store, int actor, enum trace_kind kind,
                         const struct flight *flight)
{
    char text[256];
    Pbkv__Body *body;

    if (!store->trace)
        return;
    if (message_decode(&store->trace_arena, flight->body->data,
                       flight->body->length, &body) != 0)
        return;
    message_format(body, text, sizeof(text));
    trace_write(store->trace, &store->actors[actor].clock, kind,
                flight->from_name, flight->sent, text);
}

size_t store_mark(const struct store *store)
{
    return store->line_count;
}

const struct store_line *store_line_at(const struct store *store, size_t index)
{
    return index < store->line_count ? &store->lines[index] : NULL;
}

size_t store_line_index(const struct store *store,
                        const struct store_line *line)
{
    return (size_t)(line - store->lines);
}

static bool fits(const struct store_line *line, enum line_kind kind,
                 Pbkv__Body__KindCase what, int from, int to)
{
    return line->kind == kind &&
           (what == PBKV__BODY__KIND__NOT_SET || line->what == what) &&
           (from == NOBODY || line->from == from) &&
           (to == NOBODY || line->to == to);
}

const struct store_line *store_find(const struct store *store, size_t mark,
                                    enum line_kind line,
                                    Pbkv__Body__KindCase kind, int from, int to)
{
    for (size_t i = mark; i < store->line_count; i++) {
        if (fits(&store->lines[i], line, kind, from, to))
            return &store->lines[i];
    }
    return NULL;
}

size_t store_count(const struct store *store, size_t mark, enum line_kind line,
                   Pbkv__Body__KindCase kind, int from, int to)
{
    size_t count = 0;

    for (size_t i = mark; i < store->line_count; i++)
        count += fits(&store->lines[i], line, kind, from, to);
    return count;
}

const Pbkv__Body *store_body(struct store *store, const struct store_line *line)
{
    Pbkv__Body *body;
    int result = message_decode(&store->arena, line->body->data,
                                line->body->length, &body);

    assert(result == 0);
    (void)result;
    return body;
}

void store_release_log(struct store *store)
{
    for (size_t i = 0; i < store->line_count; i++) {
        bytes_release(store->lines[i].body);
        free(store->lines[i].note);
    }
    free(store->lines);
}
