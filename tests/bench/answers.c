/* SPDX-License-Identifier: MIT */
/*
 * answers: see answers.h. Octet by octet, except for values, which are skipped.
 */
#include "tests/bench/answers.h"

#include <string.h>

enum { LINE_END = 2 /* octets of CR LF */ };

bool answers_kind_of(const char *name, enum answers_kind *kind)
{
    static const char *const names[] = {"redis-set", "redis-get", "echo"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0) {
            *kind = (enum answers_kind)i;
            return true;
        }
    return false;
}

void answers_init(struct answers *answers, enum answers_kind kind, size_t size)
{
    memset(answers, 0, sizeof(*answers));
    answers->kind = kind;
    answers->size = size;
}

static void count_octets(struct answers *answers, size_t length)
{
    answers->skip += length;
    answers->ended += answers->skip / answers->size;
    answers->skip %= answers->size;
}

/* Ends a line. Returns whether it may be there. */
static bool line_ended(struct answers *answers)
{
    bool waits = answers->kind != ANSWERS_VALUES;
    char first = answers->first;

    answers->first = '\0';
    if (first == '+')
        return waits;
    if (first == ':') {
        answers->ended++;
        return waits && answers->number >= 1;
    }
    if (first != '$')
        return false;
    answers->ended++;
    if (!answers->negative)
        answers->skip = (size_t)answers->number + LINE_END;
    return !waits;
}

/* Reads one octet of a line. */
static bool line_read(struct answers *answers, char octet)
{
    if (answers->first == '\0') {
        answers->first = octet;
        answers->number = 0;
        answers->negative = false;
        return strchr("+:$", octet) && octet != '\0';
    }
    if (octet == '\n')
        return line_ended(answers);
    if (octet == '-')
        answers->negative = true;
    if (octet >= '0' && octet <= '9')
        answers->number = answers->number * 10 + (octet - '0');
    return true;
}

bool answers_read(struct answers *answers, const char *octets, size_t length)
{
    size_t at = 0;

    if (answers->kind == ANSWERS_OCTETS) {
        count_octets(answers, length);
        return true;
    }
    while (at < length) {
        if (answers->skip > 0) {
            size_t step =
                answers->skip < length - at ? answers->skip : length - at;

            answers->skip -= step;
            at += step;
        } else if (!line_read(answers, octets[at++])) {
            return false;
        }
    }
    return true;
}
