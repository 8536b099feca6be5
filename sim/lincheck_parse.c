/* SPDX-License-Identifier: MIT */
/*
 * lincheck_parse: how can the observed values have been written?
 *
 * A value is a root, which is nothing or a token that was set, followed by
 * tokens that were appended. The parse goes over a value from left to right and
 * keeps for every offset in how many ways (0, 1, 2 for more) the octets before
 * it can be written, and the earliest moment at which all these writes can have
 * begun. The values are sorted, so each one goes on at the first octet at which
 * it differs from the one before: all values together cost about as much as
 * their distinct prefixes.
 */
#include "sim/lincheck_part.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/memory.h"

/* What is known of the octets before an offset. */
struct place {
    uint64_t born;
    uint32_t ways;
    uint32_t arrivals; /* different last pieces, or where these begin */
    uint32_t token;    /* the last piece, if there is one; NONE: no piece */
    bool is_root;      /* … which is the root */
};

struct parse {
    const struct part *part;
    struct place *places; /* as many as the longest value has offsets */
};

static int compare_lengths(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static void collect_lengths(struct part *part)
{
    uint32_t *lengths = memory_new((part->token_count + 1) * sizeof(*lengths));
    uint32_t kept = 0;

    for (uint32_t i = 0; i < part->token_count; i++)
        lengths[i] = part->tokens[i]->text->length;
    qsort(lengths, part->token_count, sizeof(*lengths), compare_lengths);
    for (uint32_t i = 0; i < part->token_count; i++) {
        if (lengths[i] > 0 && (kept == 0 || lengths[kept - 1] != lengths[i]))
            lengths[kept++] = lengths[i];
    }
    part->lengths = lengths;
    part->length_count = kept;
}

/* The place before the first octet: a key that is absent, or was set to
 * nothing. */
static void parse_init(struct parse *parse, const struct part *part,
                       uint32_t longest)
{
    const struct token *empty = part_token(part, (const uint8_t *)"", 0);

    parse->part = part;
    parse->places = memory_new(((size_t)longest + 1) * sizeof(*parse->places));
    parse->places[0] = (struct place){0, 1, 1, PART_NONE, true};
    if (empty && empty->sets > 0)
        parse->places[0].ways = 2;
}

/* Adds a way to get to a place. */
static void arrive(struct place *place, uint64_t born, uint32_t ways,
                   uint32_t token, bool is_root)
{
    place->ways = place->ways + ways > 1 ? 2 : 1;
    if (born < place->born)
        place->born = born;
    place->arrivals++;
    place->token = token;
    place->is_root = is_root;
}

/* Goes on from an offset by all tokens that end behind the known octets. */
static void leave(struct parse *parse, const struct bytes *text,
                  uint32_t offset, uint32_t known)
{
    const struct part *part = parse->part;
    struct place *from = &parse->places[offset];

    for (uint32_t i = 0; i < part->length_count; i++) {
        uint32_t length = part->lengths[i];
        struct token *token;

        if (length > text->length - offset)
            return;
        if (offset + length <= known)
            continue;
        token = part_token(part, text->data + offset, length);
        if (token && token->appends > 0) {
            token->append_used = true;
            arrive(from + length,
                   from->born > token->append_born ? from->born
                                                   : token->append_born,
                   from->ways, token->id, false);
        }
        if (token && token->sets > 0 && offset == 0)
            arrive(from + length, token->set_born, 1, token->id, true);
    }
}

/* Parses a text of which the first octets are known from the text before. */
static void parse_text(struct parse *parse, const struct bytes *text,
                       uint32_t known)
{
    const struct part *part = parse->part;
    uint32_t longest =
        part->length_count > 0 ? part->lengths[part->length_count - 1] : 0;
    uint32_t offset = known > longest ? known - longest : 0;

    for (uint32_t i = known + 1; i <= text->length; i++)
        parse->places[i] = (struct place){.born = HISTORY_PENDING};
    for (; offset < text->length; offset++) {
        if (parse->places[offset].ways > 0)
            leave(parse, text, offset, known);
    }
}

/* ---- Results ---- */

/* Notes that a token is a piece of a value. Values come in order. Returns false
 * when it is one already. */
static bool note_piece(struct token *token, uint32_t value)
{
    struct range *last =
        token->range_count > 0 ? &token->ranges[token->range_count - 1] : NULL;

    if (last && last->high == value + 1)
        return false;
    if (last && last->high == value) {
        last->high = value + 1;
        return true;
    }
    if (token->range_count == token->range_capacity) {
        token->range_capacity =
            token->range_capacity > 0 ? 2 * token->range_capacity : 1;
        token->ranges = memory_resize(
            token->ranges, token->range_capacity * sizeof(*token->ranges));
    }
    assert(token->ranges);
    token->ranges[token->range_count++] = (struct range){value, value + 1};
    return true;
}

/* Walks back from the end of a value, as long as there is one way to go: these
 * pieces are in the value however it was written. */
static void walk_back(const struct parse *parse, uint32_t index)
{
    struct value *value = &parse->part->values[index];
    const struct place *place = &parse->places[value->text->length];

    while (place->arrivals == 1 && !place->is_root) {
        struct token *token = parse->part->tokens[place->token];

        if (!note_piece(token, index) && token->appends == 1)
            value->repeated = token->id;
        value->pieces++;
        place -= token->text->length;
    }
    value->root = place->token;
}

/* A key that is there and empty was set to nothing, or nothing was appended. */
static void judge_empty(const struct part *part, struct value *value)
{
    const struct token *empty = part_token(part, (const uint8_t *)"", 0);

    value->repeated = PART_NONE;
    value->born = HISTORY_PENDING;
    value->ways = 0;
    if (!empty)
        return;
    value->born = empty->set_born < empty->append_born ? empty->set_born
                                                       : empty->append_born;
    value->ways = empty->appends > 0 ? 2 : 1;
    value->root = empty->id;
}

static void judge(const struct parse *parse, uint32_t index)
{
    struct value *value = &parse->part->values[index];
    const struct place *end = &parse->places[value->text->length];

    if (value->text->length == 0) {
        judge_empty(parse->part, value);
        return;
    }
    value->repeated = PART_NONE;
    value->born = end->born;
    value->ways = end->ways;
    if (value->ways > 0)
        walk_back(parse, index);
}

static uint32_t common_prefix(const struct bytes *a, const struct bytes *b)
{
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    uint32_t at = 0;

    while (at < shorter && a->data[at] == b->data[at])
        at++;
    return at;
}

/* Where absent and empty are one, a key can also become so. */
static void judge_absent(struct part *part)
{
    struct value *absent = &part->values[VALUE_ABSENT];

    absent->root = PART_NONE;
    absent->repeated = PART_NONE;
    absent->ways = 1;
    if (part->no_absence && part_token(part, (const uint8_t *)"", 0))
        absent->ways = 2;
}

void part_parse(struct part *part)
{
    struct parse parse;
    uint32_t longest = 0;

    for (uint32_t i = 1; i < part->value_count; i++) {
        if (part->values[i].text->length > longest)
            longest = part->values[i].text->length;
    }
    collect_lengths(part);
    parse_init(&parse, part, longest);
    judge_absent(part);
    for (uint32_t i = 1; i < part->value_count; i++) {
        uint32_t known = i > 1 ? common_prefix(part->values[i - 1].text,
                                               part->values[i].text)
                               : 0;

        parse_text(&parse, part->values[i].text, known);
        judge(&parse, i);
    }
    free(parse.places);
}

uint32_t part_pieces(const struct part *part, uint32_t value, uint32_t **ends,
                     uint32_t **tokens)
{
    const struct bytes *text = part->values[value].text;
    uint32_t count = part->values[value].pieces;
    struct parse parse;
    uint32_t end;

    *ends = memory_new((count + 1) * sizeof(**ends));
    *tokens = memory_new((count + 1) * sizeof(**tokens));
    if (count == 0)
        return 0;
    parse_init(&parse, part, text->length);
    parse_text(&parse, text, 0);
    end = text->length;
    for (uint32_t i = count; i-- > 0;) {
        (*ends)[i] = end;
        (*tokens)[i] = parse.places[end].token;
        end -= part->tokens[(*tokens)[i]]->text->length;
    }
    free(parse.places);
    return count;
}
