/* SPDX-License-Identifier: MIT */
/*
 * explorer_text: paths for people and for files. A file has one event per line,
 *
 *     deliver s1 1 s2 0 a20104...   from, its life, to, meant for life, body
 *     timer view 0
 *     crash s1
 *     restart s1
 *     act client:1
 *     forget                        everything on the way is lost
 *
 * and comments, which tell what the event is and what the node does about it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

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
        fprintf(story->file, "everything on the way is lost\n");
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
    case EVENT_FORGET: fprintf(file, "forget\n"); break;
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

    fprintf(file, "# A path of the explorer, system %s\n", system);
    write_path(explorer, &global, &explorer->prefix, true, file);
    write_path(explorer, &global, path, true, file);
    catch_end(catch);
    return ferror(file) ? -EIO : 0;
}

/* ---- Files ---- */

static uint32_t host_named(const struct explorer *explorer, const char *name)
{
    uint32_t host = 0;

    while (name && host < explorer->count &&
           strcmp(explorer->nodes[host].address, name) != 0)
        host++;
    return name ? host : explorer->count;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Turns hexadecimal digits into octets, in place. Returns their number, or
 * -EBADMSG. */
static long from_hex(char *text)
{
    size_t length = strlen(text);

    if (length % 2 != 0)
        return -EBADMSG;
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);

        if (high < 0 || low < 0)
            return -EBADMSG;
        text[i / 2] = (char)(16 * high + low);
    }
    return (long)(length / 2);
}

/* Reads the rest of a line about a message. */
static int load_message(struct explorer *explorer, enum event_kind kind,
                        char **rest, struct explorer_path *path)
{
    uint32_t from = host_named(explorer, strtok_r(NULL, " ", rest));
    const char *from_life = strtok_r(NULL, " ", rest);
    uint32_t to = host_named(explorer, strtok_r(NULL, " ", rest));
    const char *to_life = strtok_r(NULL, " ", rest);
    char *hex = strtok_r(NULL, " ", rest);
    struct sent_message message = {.from = (uint8_t)from, .to = (uint8_t)to};
    Pbkv__Body *body;
    long length;

    if (from == explorer->count || to == explorer->count || !from_life ||
        !to_life || !hex || (length = from_hex(hex)) < 0)
        return -EBADMSG;
    message.from_incarnation = strtoull(from_life, NULL, 10);
    message.to_incarnation = strtoull(to_life, NULL, 10);
    message.body = (const uint8_t *)hex;
    message.length = (size_t)length;
    if (message_decode(&explorer->runner.arena, message.body, message.length,
                       &body) != 0)
        return -EBADMSG;
    message.what = body->kind_case;
    path_append(path, to,
                event_make(kind, message_number(explorer, &message,
                                                &explorer->runner.other_sink)));
    return 0;
}

static int load_line(struct explorer *explorer, char *line,
                     struct explorer_path *path)
{
    char *rest;
    const char *word = strtok_r(line, " ", &rest);
    const char *slot;
    uint32_t host;

    if (!word || word[0] == '#')
        return 0;
    if (strcmp(word, "deliver") == 0)
        return load_message(explorer, EVENT_DELIVER, &rest, path);
    if (strcmp(word, "lose") == 0)
        return load_message(explorer, EVENT_LOSE, &rest, path);
    if (strcmp(word, "forget") == 0) {
        path_append(path, 0, event_make(EVENT_FORGET, 0));
        return 0;
    }
    host = host_named(explorer, strtok_r(NULL, " ", &rest));
    if (host == explorer->count)
        return -EBADMSG;
    if (strcmp(word, "timer") == 0) {
        slot = strtok_r(NULL, " ", &rest);
        if (!slot || strtoul(slot, NULL, 10) >= TIMERS_MAX)
            return -EBADMSG;
        path_append(path, host,
                    event_make(EVENT_TIMER, (uint32_t)strtoul(slot, NULL, 10)));
    } else if (strcmp(word, "crash") == 0)
        path_append(path, host, event_make(EVENT_CRASH, 0));
    else if (strcmp(word, "restart") == 0)
        path_append(path, host, event_make(EVENT_RESTART, 0));
    else if (strcmp(word, "act") == 0)
        path_append(path, host, event_make(EVENT_ACT, 0));
    else
        return -EBADMSG;
    return 0;
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
