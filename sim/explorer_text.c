/* SPDX-License-Identifier: MIT */
/*
 * explorer_text: paths for people and for files (path_file.h). A file has
 * comments, too, which tell what each event is and what the node does about it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"
#include "sim/path_file.h"

enum { TEXT_MAX = 256, LINE_OCTETS_MAX = 65536 };

/* ---- Stories ---- */

struct story {
    const struct explorer *explorer;
    FILE *file;
    const char *indent;
};

static void tell_send(const struct story *story, const struct effect *effect)
{
    struct arena arena;
    Pbkv__Body *body;
    char text[TEXT_MAX];

    arena_init(&arena);
    if (message_decode(&arena, effect->send.body->data,
                       effect->send.body->length, &body) == 0)
        fprintf(story->file, "%s  sends %s: %s\n", story->indent,
                effect->send.to.address.text,
                message_format(body, text, sizeof(text)));
    arena_release(&arena);
}

static void tell_effects(void *context, const struct env *env)
{
    const struct story *story = context;

    for (size_t i = 0; i < env->count; i++) {
        const struct effect *effect = &env->effects[i];

        if (effect->kind == EFFECT_SEND)
            tell_send(story, effect);
        else if (effect->kind == EFFECT_LOG)
            fprintf(story->file, "%s  %s %s\n", story->indent, effect->log.name,
                    effect->log.detail ? effect->log.detail : "");
        else if (effect->kind == EFFECT_ANSWER)
            fprintf(story->file, "%s  its call %" PRIu64 " ends\n",
                    story->indent, effect->answer.call);
    }
}

static void tell_message(const struct story *story, const char *what,
                         uint32_t number)
{
    const struct sent_message *message = message_at(story->explorer, number);
    const struct explorer_node *nodes = story->explorer->nodes;
    struct arena arena;
    Pbkv__Body *body;
    char text[TEXT_MAX] = "?";

    arena_init(&arena);
    if (message_decode(&arena, message->body, message->length, &body) == 0)
        message_format(body, text, sizeof(text));
    fprintf(story->file, "%s %s from %s/%" PRIu64 ": %s\n",
            nodes[message->to].address, what, nodes[message->from].address,
            message->from_incarnation, text);
    arena_release(&arena);
}

/* Returns the name of a kind of message; "" for 0. */
static const char *kind_name(uint32_t kind)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&pbkv__body__descriptor, kind);

    return field ? field->name : "";
}

static void tell_event(const struct story *story,
                       const struct explorer_event *event)
{
    const char *name = story->explorer->nodes[event->node].address;

    switch (event_kind(event->event)) {
    case EVENT_DELIVER:
        tell_message(story, "receives", event_argument(event->event));
        break;
    case EVENT_LOSE:
        tell_message(story, "will not receive", event_argument(event->event));
        break;
    case EVENT_TIMER:
        fprintf(story->file, "%s: timer %" PRIu32 " runs out\n", name,
                event_argument(event->event));
        break;
    case EVENT_CRASH: fprintf(story->file, "%s crashes\n", name); break;
    case EVENT_RESTART: fprintf(story->file, "%s comes back\n", name); break;
    case EVENT_ACT:
        fprintf(story->file, "%s begins its next operation\n", name);
        break;
    case EVENT_FORGET:
        fprintf(story->file, "everything on the way is lost%s%s\n",
                event_argument(event->event) > 0 ? " but " : "",
                kind_name(event_argument(event->event)));
        break;
    }
}

static void write_hex(const uint8_t *octets, size_t length, FILE *file)
{
    for (size_t i = 0; i < length; i++)
        fprintf(file, "%02x", octets[i]);
}

static void write_event(const struct explorer *explorer,
                        const struct explorer_event *event, FILE *file)
{
    const struct explorer_node *nodes = explorer->nodes;
    const char *name = nodes[event->node].address;
    uint32_t argument = event_argument(event->event);
    const struct sent_message *message;

    switch (event_kind(event->event)) {
    case EVENT_DELIVER:
    case EVENT_LOSE:
        message = message_at(explorer, argument);
        fprintf(file, "%s %s %" PRIu64 " %s %" PRIu64 " ",
                event_kind(event->event) == EVENT_LOSE ? "lose" : "deliver",
                nodes[message->from].address, message->from_incarnation,
                nodes[message->to].address, message->to_incarnation);
        write_hex(message->body, message->length, file);
        fprintf(file, "\n");
        break;
    case EVENT_TIMER:
        fprintf(file, "timer %s %" PRIu32 "\n", name, argument);
        break;
    case EVENT_CRASH: fprintf(file, "crash %s\n", name); break;
    case EVENT_RESTART: fprintf(file, "restart %s\n", name); break;
    case EVENT_ACT: fprintf(file, "act %s\n", name); break;
    case EVENT_FORGET:
        fprintf(file, "forget%s%s\n", argument > 0 ? " but " : "",
                kind_name(argument));
        break;
    }
}

/* Goes a path from global, telling each event; written: as a file, too. */
static void write_path(struct explorer *explorer, struct global *global,
                       const struct explorer_path *path, bool written,
                       FILE *file)
{
    struct story story = {explorer, file, written ? "#      " : "       "};

    for (size_t i = 0; i < path->count; i++) {
        const struct explorer_event *event = &path->events[i];
        uint32_t local =
            context_at(explorer, global->contexts[event->node])->local;

        fprintf(file, written ? "# %3zu  " : "  %3zu  ", i + 1);
        tell_event(&story, event);
        if (event_kind(event->event) != EVENT_FORGET)
            explorer_tell(explorer, local, event->event, tell_effects, &story);
        if (written)
            write_event(explorer, event, file);
        if (path_go(explorer, global, event))
            return;
    }
}

void explorer_narrate(struct explorer *explorer,
                      const struct explorer_path *path, FILE *file)
{
    struct catch_signals *catch = catch_begin();
    struct global global = explorer->start;

    write_path(explorer, &global, path, false, file);
    catch_end(catch);
}

int explorer_save(struct explorer *explorer, const struct explorer_path *path,
                  const char *system, FILE *file)
{
    struct catch_signals *catch = catch_begin();
    struct global global = explorer->beginning;

    fprintf(file, "system %s\n", system);
    write_path(explorer, &global, &explorer->prefix, true, file);
    write_path(explorer, &global, path, true, file);
    catch_end(catch);
    return ferror(file) ? -EIO : 0;
}

/* ---- Files ---- */

static uint32_t event_of(struct explorer *explorer,
                         const struct path_line *line)
{
    struct sent_message message = {
        .from = (uint8_t)line->from,
        .to = (uint8_t)line->host,
        .from_incarnation = line->from_life,
        .to_incarnation = line->to_life,
        .body = line->body,
        .length = line->length,
    };

    switch (line->kind) {
    case PATH_DELIVER:
        return event_make(
            EVENT_DELIVER,
            message_number(explorer, &message, &explorer->runner.other_sink));
    case PATH_LOSE:
        return event_make(
            EVENT_LOSE,
            message_number(explorer, &message, &explorer->runner.other_sink));
    case PATH_TIMER: return event_make(EVENT_TIMER, line->slot);
    case PATH_CRASH: return event_make(EVENT_CRASH, 0);
    case PATH_RESTART: return event_make(EVENT_RESTART, 0);
    case PATH_ACT: return event_make(EVENT_ACT, 0);
    case PATH_FORGET:
    case PATH_NOTHING:
    case PATH_SYSTEM: break;
    }
    return event_make(EVENT_FORGET, line->but);
}

static int load_line(struct explorer *explorer, char *text,
                     struct explorer_path *path)
{
    struct path_line line;
    int result = path_line_read(text, explorer->nodes, explorer->count, &line);

    if (result == 0 && line.kind != PATH_NOTHING && line.kind != PATH_SYSTEM)
        path_append(path, line.host, event_of(explorer, &line));
    return result;
}

int explorer_load(struct explorer *explorer, FILE *file,
                  struct explorer_path *path, uint32_t *line)
{
    char *text = memory_new(LINE_OCTETS_MAX);
    int result = 0;

    *path = (struct explorer_path){NULL, 0};
    *line = 0;
    while (result == 0 && fgets(text, LINE_OCTETS_MAX, file)) {
        ++*line;
        text[strcspn(text, "\n")] = '\0';
        result = load_line(explorer, text, path);
    }
    free(text);
    if (result < 0) {
        free(path->events);
        *path = (struct explorer_path){NULL, 0};
    }
    return result;
}
