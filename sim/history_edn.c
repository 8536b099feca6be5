/* SPDX-License-Identifier: MIT */
/*
 * history_edn: a line of EDN, or of a Jepsen log, as an event. Of EDN this is
 * what histories are made of: maps, vectors, keywords, whole numbers, strings
 * and nil; commas are blanks. Keys of the map that do not matter are passed
 * over with their values, however deep.
 */
#include "sim/history_read.h"

#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

enum { DEPTH_MAX = 32, DIGITS_MAX = 10 };

/* What is left of a line. */
struct scanner {
    const char *at;
    const char *end;
};

static void skip_blanks(struct scanner *scanner)
{
    while (scanner->at < scanner->end &&
           (*scanner->at == ' ' || *scanner->at == '\t' || *scanner->at == ','))
        scanner->at++;
}

static bool accept(struct scanner *scanner, char wanted)
{
    skip_blanks(scanner);
    if (scanner->at == scanner->end || *scanner->at != wanted)
        return false;
    scanner->at++;
    return true;
}

static bool is_at_end(struct scanner *scanner)
{
    skip_blanks(scanner);
    return scanner->at == scanner->end;
}

/* Reads what goes up to a blank or bracket: a keyword, number or symbol.
 * Returns its length, 0 when there is none. */
static size_t scan_word(struct scanner *scanner, const char **word)
{
    skip_blanks(scanner);
    *word = scanner->at;
    while (scanner->at < scanner->end && *scanner->at != '\0' &&
           !strchr(" \t,{}[]()\"", *scanner->at))
        scanner->at++;
    return (size_t)(scanner->at - *word);
}

/* ---- Strings ---- */

/* Reads four hexadecimal digits that stand for an octet. */
static bool scan_octet(struct scanner *scanner, uint8_t *octet)
{
    unsigned value = 0;

    if (scanner->end - scanner->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        char c = *scanner->at++;
        const char *digit =
            strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

        if (!digit || c == '\0')
            return false;
        value = value * 16 + (unsigned)(digit - digits);
    }
    *octet = (uint8_t)value;
    return value <= UINT8_MAX;
}

static bool scan_escape(struct scanner *scanner, uint8_t *octet)
{
    static const char names[] = "\"\\/nrtbf";
    static const char octets[] = "\"\\/\n\r\t\b\f";
    const char *found;

    if (scanner->at == scanner->end || *scanner->at == '\0')
        return false;
    if (*scanner->at == 'u') {
        scanner->at++;
        return scan_octet(scanner, octet);
    }
    found = strchr(names, *scanner->at++);
    if (!found)
        return false;
    *octet = (uint8_t)octets[found - names];
    return true;
}

/* Reads a string behind its first quote. NULL: it is none. */
static struct bytes *scan_string(struct scanner *scanner)
{
    size_t most = (size_t)(scanner->end - scanner->at);
    struct bytes *bytes = bytes_new_uninitialised(most);
    uint32_t used = 0;

    while (scanner->at < scanner->end) {
        char c = *scanner->at++;

        if (c == '"') {
            bytes->length = used;
            return bytes;
        }
        bytes->data[used++] = (uint8_t)c;
        if (c == '\\' && !scan_escape(scanner, &bytes->data[used - 1]))
            break;
    }
    bytes_release(bytes);
    return NULL;
}

/* ---- Values ---- */

/* Reads nil, a string, or a word that stands for itself. */
static const char *scan_scalar(struct scanner *scanner, struct bytes **value)
{
    const char *word;
    size_t length;

    bytes_release(*value);
    *value = NULL;
    if (accept(scanner, '"')) {
        *value = scan_string(scanner);
        return *value ? NULL : "a string is malformed";
    }
    length = scan_word(scanner, &word);
    if (length == 0)
        return "a value is missing";
    if (length != 3 || memcmp(word, "nil", 3) != 0)
        *value = bytes_new(word, length);
    return NULL;
}

/* Reads a scalar or a vector of two of them. */
static const char *scan_value(struct scanner *scanner,
                              struct history_event *event)
{
    const char *wrong;

    event->is_pair = accept(scanner, '[');
    if (!event->is_pair)
        return scan_scalar(scanner, &event->value);
    wrong = scan_scalar(scanner, &event->expected);
    if (!wrong)
        wrong = scan_scalar(scanner, &event->value);
    if (!wrong && !accept(scanner, ']'))
        wrong = "a vector has not two values";
    return wrong;
}

/* Passes over any value. */
static bool skip_value(struct scanner *scanner)
{
    char closers[DEPTH_MAX];
    int depth = 0;

    do {
        struct bytes *ignored = NULL;

        skip_blanks(scanner);
        if (scanner->at == scanner->end)
            return false;
        if (*scanner->at != '\0' && strchr("[({", *scanner->at) &&
            depth < DEPTH_MAX) {
            closers[depth++] = *scanner->at == '(' ? ')' : *scanner->at + 2;
            scanner->at++;
        } else if (depth > 0 && *scanner->at == closers[depth - 1]) {
            depth--;
            scanner->at++;
        } else if (scan_scalar(scanner, &ignored)) {
            return false;
        }
        bytes_release(ignored);
    } while (depth > 0);
    return true;
}

/* Reads the value of an event. What is told with an end that brought no answer
 * may be anything. */
static const char *scan_answer(struct scanner *scanner,
                               struct history_event *event)
{
    struct scanner start = *scanner;
    const char *wrong = scan_value(scanner, event);

    event->odd = wrong;
    if (!wrong)
        return NULL;
    event->is_pair = false;
    *scanner = start;
    return skip_value(scanner) ? NULL : wrong;
}

static const char *scan_process(struct scanner *scanner,
                                struct history_event *event)
{
    const char *word;
    size_t length = scan_word(scanner, &word);
    uint64_t number = 0;

    if (length > 1 && word[0] == ':') { /* such as :nemesis */
        event->ignored = true;
        return NULL;
    }
    if (length == 0 || length > DIGITS_MAX)
        return "the process is no number";
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9')
            return "the process is no number";
        number = number * 10 + (uint64_t)(word[i] - '0');
    }
    event->process = (uint32_t)number;
    return number <= UINT32_MAX ? NULL : "the number of the process is too big";
}

static const char *scan_type(struct scanner *scanner,
                             struct history_event *event)
{
    const char *word;
    size_t length = scan_word(scanner, &word);

    if (length > 1 && word[0] == ':' &&
        history_type_named(word + 1, length - 1, &event->type))
        return NULL;
    return event->ignored ? NULL
                          : "the type is not :invoke, :ok, :fail or :info";
}

static const char *scan_kind(struct scanner *scanner,
                             struct history_event *event)
{
    const char *word;
    size_t length = scan_word(scanner, &word);

    if (length > 1 && word[0] == ':' &&
        history_kind_named(word + 1, length - 1, &event->kind))
        return NULL;
    return event->ignored
               ? NULL
               : "f is not :get, :put, :append, :read, :write or :cas";
}

/* Whether the value must make sense. */
static bool has_answer(const struct history_event *event)
{
    return event->type == HISTORY_INVOKE || event->type == HISTORY_OK;
}

/* ---- EDN ---- */

enum field { FIELD_PROCESS, FIELD_TYPE, FIELD_F, FIELD_KEY, FIELD_VALUE };

static const char *const field_names[] = {":process", ":type", ":f", ":key",
                                          ":value"};

static const char *scan_field(struct scanner *scanner, unsigned field,
                              struct history_event *event)
{
    switch (field) {
    case FIELD_PROCESS: return scan_process(scanner, event);
    case FIELD_TYPE: return scan_type(scanner, event);
    case FIELD_F: return scan_kind(scanner, event);
    case FIELD_KEY: return scan_scalar(scanner, &event->key);
    case FIELD_VALUE: return scan_answer(scanner, event);
    default: return skip_value(scanner) ? NULL : "the map is malformed";
    }
}

static unsigned field_named(const char *name, size_t length)
{
    unsigned field = 0;

    while (field <= FIELD_VALUE &&
           (strlen(field_names[field]) != length ||
            memcmp(field_names[field], name, length) != 0))
        field++;
    return field;
}

/* Whether a map has a process that is no number. Its other values may be
 * anything. */
static bool is_of_nobody(struct scanner scanner)
{
    struct history_event event = {.process = 0};
    const char *name;
    size_t length;

    while ((length = scan_word(&scanner, &name)) > 0) {
        if (field_named(name, length) == FIELD_PROCESS)
            return !scan_process(&scanner, &event) && event.ignored;
        if (!skip_value(&scanner))
            break;
    }
    return false;
}

const char *history_read_edn(const char *line, size_t length,
                             struct history_event *event)
{
    struct scanner scanner = {line, line + length};
    const char *wrong = NULL;
    unsigned seen = 0;

    if (!accept(&scanner, '{'))
        return "it is no map";
    event->ignored = is_of_nobody(scanner);
    if (event->ignored)
        return NULL;
    while (!wrong && !accept(&scanner, '}')) {
        const char *name;
        size_t name_length = scan_word(&scanner, &name);
        unsigned field = field_named(name, name_length);

        if (name_length == 0 || *name != ':')
            return "the map is malformed";
        if (field <= FIELD_VALUE && seen & 1u << field)
            return "the map has a key twice";
        seen |= 1u << field;
        wrong = scan_field(&scanner, field, event);
    }
    if (wrong)
        return wrong;
    if ((seen & 7u) != 7u)
        return "the map lacks :process, :type or :f";
    if (event->odd && has_answer(event))
        return event->odd;
    return is_at_end(&scanner) ? NULL : "there is something behind the map";
}

/* ---- Jepsen's log ---- */

const char *history_read_log(const char *line, size_t length,
                             struct history_event *event)
{
    static const char logger[] = "jepsen.util";
    struct scanner scanner = {line, line + length};
    const char *word;
    size_t word_length;
    const char *wrong;
    bool kind_is_known;

    do {
        word_length = scan_word(&scanner, &word);
        if (word_length == 0) {
            event->ignored = true; /* a line of somebody else */
            return NULL;
        }
    } while (word_length != sizeof(logger) - 1 ||
             memcmp(word, logger, word_length) != 0);
    if (!accept(&scanner, '-'))
        return "there is no - behind jepsen.util";
    wrong = scan_process(&scanner, event);
    if (wrong || event->ignored)
        return wrong;
    wrong = scan_type(&scanner, event);
    if (!wrong)
        wrong = scan_kind(&scanner, event);
    kind_is_known = !wrong;
    if (!wrong)
        wrong = scan_value(&scanner, event);
    if (!wrong && !is_at_end(&scanner))
        wrong = "there is something behind the value";
    if (wrong && kind_is_known && !has_answer(event)) {
        event->is_pair = false;
        return NULL;
    }
    return wrong;
}
